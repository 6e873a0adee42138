"""The routine model: at which hour of the day an entity is used."""
