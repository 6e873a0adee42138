"""Home Assistant as a source: its configuration folder, its live API, its recorder."""

DATABASE_NAME = "home-assistant_v2.db"
