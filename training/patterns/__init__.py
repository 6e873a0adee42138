"""The pattern model: how likely a detected usage pattern is genuine."""
