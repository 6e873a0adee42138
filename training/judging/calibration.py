"""Platt scaling: from logits to probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.judging.metrics import Array


@dataclass(frozen=True)
class Calibration:
    """Platt scaling: probability = sigmoid(slope * logit + intercept)."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, logit: Array) -> Array:
        """Probabilities, in the shape of ``logit``."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.slope * logit + self.intercept, -60, 60))), dtype=np.float64)

    @classmethod
    def fit(cls, logit: Array, label: Array, weight: Array) -> Calibration:
        """Weighted maximum likelihood, the slope pulled weakly to 1 so that few pairs cannot make it extreme."""
        if not len(logit) or label.min() == label.max():
            return cls()
        x, y = torch.from_numpy(logit), torch.from_numpy(label)
        w = torch.from_numpy(weight / weight.sum())
        log_slope = torch.zeros((), dtype=torch.float64, requires_grad=True)
        intercept = torch.zeros((), dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([log_slope, intercept], max_iter=100, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            z = log_slope.exp() * x + intercept
            value = (w * functional.binary_cross_entropy_with_logits(z, y, reduction="none")).sum()
            value = value + 0.01 * log_slope.square() + 0.0001 * intercept.square()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        return cls(slope=float(log_slope.detach().exp()), intercept=float(intercept.detach()))
