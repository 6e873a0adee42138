"""Seeded simulated homes, and the training data of the four models made from them."""
