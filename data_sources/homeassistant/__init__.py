"""Home Assistant as a source: its configuration folder, its live API, its recorder."""
