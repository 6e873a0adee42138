"""Platt scaling (Platt, 1999): from logits to probabilities.

Patterns are calibrated by scikit-learn's LogisticRegression instead. The two cannot be one: this one weighs pairs and
keeps the slope positive and near 1, which scikit-learn's penalty towards 0 does not; a published pattern model holds
the scikit-learn object; and importing scikit-learn costs a small run of the synergy model a third of its time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.judging.metrics import Array


@dataclass(frozen=True)
class Calibration:
    """Platt scaling: probability = sigmoid(slope * logit + intercept).

    Attributes:
        slope: A positive number.
        intercept: Any number.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, logit: Array) -> Array:
        """Probabilities, in the shape of ``logit``."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.slope * logit + self.intercept, -60, 60))), dtype=np.float64)

    @classmethod
    def read(cls, held: Mapping[str, float]) -> Calibration:
        """The calibration that a model file holds. Raises ValueError or TypeError where it is none."""
        read = cls(**{name: float(value) for name, value in held.items()})
        if not (read.slope > 0 and math.isfinite(read.slope) and math.isfinite(read.intercept)):
            raise ValueError("calibration: a slope above 0 and an intercept are expected")
        return read

    @classmethod
    def fit(cls, logit: Array, label: Array, weight: Array) -> Calibration:
        """Fit by weighted maximum likelihood; a weak L2 penalty on log(slope) keeps few pairs from making it extreme.

        Args:
            logit: ``[n]``.
            label: ``[n]`` 0 or 1.
            weight: ``[n]`` what each counts.

        Returns:
            The calibration; that with slope 1 and intercept 0 where ``n`` is 0 or all labels are equal.
        """
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
