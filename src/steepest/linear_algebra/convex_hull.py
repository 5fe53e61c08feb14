"""The point of a convex hull that is nearest to zero: at a kink, the steepest slope that all sides share."""

from __future__ import annotations

import numpy as np

Vector = np.ndarray

# Relative rounding in the inner products of a corner with the nearest point.
ROUNDING = 1e-14


def nearest_to_zero(points: np.ndarray, max_steps: int = 200) -> tuple[Vector, Vector]:
    """The shortest convex combination of the rows of `points` (m, n), and its weights (m,).

    Wolfe's active-set method (Wolfe, "Finding the nearest point in a polytope", 1976).

    >>> nearest, weights = nearest_to_zero(np.array([[1.0, 1.0], [-1.0, 1.0], [0.0, 3.0]]))
    >>> nearest.round(12), weights.round(12)
    (array([0., 1.]), array([0.5, 0.5, 0. ]))
    """
    m = points.shape[0]
    lengths = np.einsum("ij,ij->i", points, points)
    size = float(lengths.max(initial=0.0))
    corners = [int(np.argmin(lengths))]
    weights = np.array([1.0])
    for _ in range(max_steps):
        nearest = weights @ points[corners]
        heights = points @ nearest
        candidate = int(np.argmin(heights))
        if heights[candidate] >= nearest @ nearest - ROUNDING * size or candidate in corners:
            break
        corners.append(candidate)
        weights = np.append(weights, 0.0)
        while True:
            affine = _affine_nearest(points[corners])
            if (affine > 0).all():
                weights = affine
                break
            shrinking = affine <= 0
            # Walk from the weights towards the affine minimiser until the first corner loses its weight.
            reach = weights[shrinking] / np.maximum(weights[shrinking] - affine[shrinking], 1e-300)
            weights = weights + min(1.0, float(reach.min())) * (affine - weights)
            kept = weights > 1e-15
            if kept.all():
                kept[int(np.argmin(weights))] = False
            corners = [corner for corner, keep in zip(corners, kept, strict=True) if keep]
            weights = weights[kept] / weights[kept].sum()
            if len(corners) == 1:
                break
    shares = np.zeros(m)
    shares[corners] = weights
    return weights @ points[corners], shares


def _affine_nearest(corners: np.ndarray) -> Vector:
    """Weights summing to one that make the combination of `corners` shortest; they may be negative."""
    k = corners.shape[0]
    system = np.zeros((k + 1, k + 1))
    system[1:, 1:] = corners @ corners.T
    scale = max(float(np.trace(system)) / k, 1e-300)
    system /= scale
    system[0, 1:] = system[1:, 0] = 1.0
    right = np.zeros(k + 1)
    right[0] = 1.0
    return np.linalg.lstsq(system, right, rcond=None)[0][1:]
