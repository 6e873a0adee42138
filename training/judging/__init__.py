"""How every model is judged: metrics, splits, calibration, and the comparison of two models."""
