"""The synergy model: which entity should act when another one triggers."""
