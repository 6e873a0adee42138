"""The YAML generator: a request in plain words gives a Home Assistant automation."""
