"""The pattern model: the probability that a detected usage pattern is genuine."""
