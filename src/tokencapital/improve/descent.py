"""Minimizing a smooth convex function of many variables."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from tokencapital.models.arrays import FloatArray

Loss = Callable[[FloatArray], tuple[float, FloatArray]]
"""The value of a function at a point (d,) and its gradient (d,)."""

_ENOUGH_DECREASE = 1e-4
_HALVINGS = 12


def descend(loss: Loss, start: FloatArray, *, iterations: int, memory: int = 6, tolerance: float = 1e-6) -> FloatArray:
    """A point (d,) where the loss is no higher than at `start`, after at most `iterations` steps.

    L-BFGS with backtracking until the decrease is enough (Nocedal & Wright, Numerical Optimization,
    2nd ed., algorithms 7.4 and 3.1); it ends early where a step gains less than `tolerance` of the
    loss. Unlike scipy's bounded variant its own cost per step is a few passes over the variables.
    """
    point = start
    value, gradient = loss(point)
    past: deque[tuple[FloatArray, FloatArray, float]] = deque(maxlen=memory)
    for _ in range(iterations):
        direction = _direction(gradient, past)
        slope = float(gradient @ direction)
        step = 1.0 if past else 1.0 / max(1.0, float(np.sqrt(gradient @ gradient)))
        for _ in range(_HALVINGS):
            moved = point + np.float32(step) * direction
            new_value, new_gradient = loss(moved)
            if new_value <= value + _ENOUGH_DECREASE * step * slope:
                break
            step *= 0.5
        else:
            return point
        change, bend = moved - point, new_gradient - gradient
        curvature = float(change @ bend)
        if curvature > 0.0:
            past.append((change, bend, curvature))
        gained = value - new_value
        point, value, gradient = moved, new_value, new_gradient
        if gained <= tolerance * abs(value):
            break
    return point


def _direction(gradient: FloatArray, past: deque[tuple[FloatArray, FloatArray, float]]) -> FloatArray:
    """Minus the gradient through the inverse Hessian that the past steps suggest (two-loop recursion)."""
    direction = -gradient
    shares: list[float] = []
    for change, bend, curvature in reversed(past):
        share = float(change @ direction) / curvature
        shares.append(share)
        direction -= np.float32(share) * bend
    if past:
        _, bend, curvature = past[-1]
        direction *= np.float32(curvature / float(bend @ bend))
    for (change, bend, curvature), share in zip(past, reversed(shares), strict=True):
        direction += np.float32(share - float(bend @ direction) / curvature) * change
    return direction
