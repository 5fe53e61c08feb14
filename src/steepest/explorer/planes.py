"""Many parameters: planes through the path of a run, and how much of the path a plane holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError

Array = np.ndarray[Any, np.dtype[np.float64]]

KINDS = ("path", "principal", "curvature", "parameters")
# Power iterations on differences of slopes for the sharpest directions; twenty settle them to a percent.
LOOKS = 20


@dataclass(frozen=True)
class Plane:
    """`origin` (n,), orthonormal `across` and `up` (n,), the path in it (k, 2), its distance from it (k,).

    `share`: how much of the path's extent about its mean the plane holds, from 0 to 1.
    """

    origin: Array
    across: Array
    up: Array
    path: Array
    distance: Array
    share: float

    def places(self, flat: Array) -> Array:
        """Points of the plane, shape (k, 2), as parameters, shape (k, n)."""
        return self.origin + flat[:, :1] * self.across + flat[:, 1:] * self.up


def plane(points: Array, kind: str, directions: Array | None = None, *, seed: int = 0) -> Plane:
    """The plane of a run with iterates `points`, shape (k, n).

    "path": through start, best (taken as the last) and the place farthest from the line between them. "principal":
    through the last, along the two directions in which the path extends most. "curvature" and "parameters": through
    the last, along the two rows of `directions`.

    >>> points = np.array([[0.0, 0.0, 0.0], [1.0, 0.5, 0.0], [2.0, 0.0, 0.0]])
    >>> plane(points, "path").share
    1.0
    """
    if kind not in KINDS:
        raise InputError(f"{kind!r} is no plane; there are {', '.join(KINDS)}")
    if len(points) < 2:
        raise InputError("the run holds fewer than two points: there is no path to lay a plane through")
    origin = points[-1]
    if kind == "path":
        along = points[0] - origin
        away = points - origin
        length = np.linalg.norm(along)
        unit = along / length if length > 0 else _some_direction(points.shape[1], seed)
        aside = away - np.outer(away @ unit, unit)
        pair = np.stack([unit, aside[np.argmax(np.linalg.norm(aside, axis=1))]])
    elif kind == "principal":
        centred = points - points.mean(axis=0)
        pair = np.linalg.svd(centred, full_matrices=False)[2][:2]
        if len(pair) < 2:
            pair = np.stack([pair[0], np.zeros_like(pair[0])])
    else:
        if directions is None:
            raise InputError(f"a plane of {kind} needs two directions")
        pair = directions
    across, up = _orthonormal(pair, seed)
    away = points - origin
    path = np.stack([away @ across, away @ up], axis=1)
    distance = np.linalg.norm(away - path[:, :1] * across - path[:, 1:] * up, axis=1)
    centred = points - points.mean(axis=0)
    total = float((centred**2).sum())
    held = float(((centred @ across) ** 2).sum() + ((centred @ up) ** 2).sum())
    return Plane(origin, across, up, path, distance, min(held / total, 1.0) if total > 0 else 1.0)


def sharpest(slope: Any, x: Array, seed: int = 0) -> tuple[Array, Array]:
    """Directions of the two largest curvatures at `x`, by subspace iteration on differences of exact slopes.

    `slope` gives gradients (b, n) of places (b, n). Returns directions (2, n) and curvatures (2,).
    """
    random = np.random.default_rng(seed)
    n = x.size
    basis = np.linalg.qr(random.standard_normal((n, min(2, n))))[0]
    step = np.finfo(np.float64).eps ** (1 / 3) * max(1.0, float(np.linalg.norm(x)) / np.sqrt(n))
    curvature = np.zeros(basis.shape[1])
    for _ in range(LOOKS):
        bent = np.stack(
            [(slope((x + step * v)[None])[0] - slope((x - step * v)[None])[0]) / (2 * step) for v in basis.T],
            axis=1,
        )
        if not np.isfinite(bent).all() or not np.abs(bent).max() > 0:
            break
        curvature = np.einsum("ij,ij->j", basis, bent)
        basis = np.linalg.qr(bent)[0]
    order = np.argsort(-np.abs(curvature))
    return basis.T[order], curvature[order]


def _orthonormal(pair: Array, seed: int) -> tuple[Array, Array]:
    first = pair[0] / (np.linalg.norm(pair[0]) or 1.0)
    second = pair[1] - (pair[1] @ first) * first
    size = float(np.linalg.norm(second))
    if size <= 1e-12 * (np.linalg.norm(pair[1]) or 1.0):
        second = _some_direction(first.size, seed)
        second = second - (second @ first) * first
        size = float(np.linalg.norm(second)) or 1.0
    return first, second / size


def _some_direction(n: int, seed: int) -> Array:
    direction = np.random.default_rng(seed).standard_normal(n)
    return direction / np.linalg.norm(direction)
