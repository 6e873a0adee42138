"""Evaluation of every model: metrics, splits, calibration, and the comparison of two models."""
