"""Distances of points from one another: `scipy.spatial.distance`, by the metrics that are given by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from .creation import build_array
from .factorisations import inv
from .norms import norm
from .values import Rule, Value, array_value, convert, dtype_of, refused, safe_sqrt


def _minkowski(u: Value, v: Value, p: float = 2.0, w: Any = None) -> Value:
    off = jnp.abs(u - v) if w is None else jnp.abs(u - v) * jnp.asarray(w) ** (1.0 / p)
    return norm(off, p, axis=-1)


def _euclidean(u: Value, v: Value, w: Any = None) -> Value:
    return norm(u - v if w is None else (u - v) * jnp.sqrt(w), axis=-1)


def _sum(terms: Value, w: Any) -> Value:
    return jnp.sum(terms if w is None else terms * jnp.asarray(w), -1)


def _cosine(u: Value, v: Value, w: Any = None) -> Value:
    return 1.0 - _sum(u * v, w) / jnp.sqrt(_sum(u * u, w) * _sum(v * v, w))


def _correlation(u: Value, v: Value, w: Any = None) -> Value:
    weights = jnp.ones(u.shape[-1]) if w is None else jnp.asarray(w)
    weights = weights / jnp.sum(weights)
    return _cosine(u - _sum(u, weights)[..., None], v - _sum(v, weights)[..., None], w)


def _canberra(u: Value, v: Value, w: Any = None) -> Value:
    whole = jnp.abs(u) + jnp.abs(v)  # 0/0 counts nothing
    return _sum(jnp.where(whole > 0, jnp.abs(u - v) / jnp.where(whole > 0, whole, 1.0), 0.0), w)


def _mahalanobis(u: Value, v: Value, VI: Any) -> Value:
    off = u - v
    return safe_sqrt(jnp.sum(off @ jnp.asarray(VI) * off, -1))


# Each of points u and v in the last axis, by SciPy's names.
METRICS: dict[str, Callable[..., Value]] = {
    "euclidean": _euclidean,
    "sqeuclidean": lambda u, v, w=None: _sum((u - v) ** 2, w),
    "cityblock": lambda u, v, w=None: _sum(jnp.abs(u - v), w),
    "chebyshev": lambda u, v: norm(u - v, np.inf, axis=-1),
    "minkowski": _minkowski,
    "cosine": _cosine,
    "correlation": _correlation,
    "canberra": _canberra,
    "braycurtis": lambda u, v, w=None: _sum(jnp.abs(u - v), w) / _sum(jnp.abs(u + v), w),
    "seuclidean": lambda u, v, V: norm((u - v) / jnp.sqrt(V), axis=-1),
    "mahalanobis": _mahalanobis,
}


def _metric(name: str, metric: Any, settings: dict[str, Any], *points: Value) -> Callable[..., Value]:
    found = METRICS.get(metric) if isinstance(metric, str) else None
    given = {key: value for key, value in settings.items() if value is not None}
    if found is None or given.keys() - set(inspect.signature(found).parameters):
        raise refused(
            f"scipy.spatial.distance.{name} by the metric {metric!r}"
            + (f" with {', '.join(given)}" if found and given else ""),
            "has no rule",
            f"Take one of {', '.join(map(repr, METRICS))}, or write it with NumPy on X[:, None] - Y[None].",
        )
    if metric == "seuclidean" and "V" not in given:
        given["V"] = jnp.var(jnp.concatenate(points), 0, ddof=1)
    if metric == "mahalanobis" and "VI" not in given:
        given["VI"] = inv(jnp.cov(jnp.concatenate(points).T)).T
    return lambda u, v: found(u, v, **given)


def _points(X: Any) -> Value:
    X = build_array(X) if isinstance(X, (list, tuple)) else array_value(X)
    return jnp.asarray(convert(X, np.float64) if dtype_of(X).kind != "f" else X)


def cdist(XA: Any, XB: Any, metric: Any = "euclidean", *, out: Any = None, **settings: Any) -> Value:
    """`scipy.spatial.distance.cdist`: (m, n) distances of m points from n."""
    first, second = _points(XA), _points(XB)
    return _metric("cdist", metric, settings, first, second)(first[:, None], second[None])


def pdist(X: Any, metric: Any = "euclidean", *, out: Any = None, **settings: Any) -> Value:
    """`scipy.spatial.distance.pdist`: the distance of each pair of points."""
    points = _points(X)
    i, j = np.triu_indices(points.shape[0], 1)
    return _metric("pdist", metric, settings, points)(points[i], points[j])


def squareform(X: Any, force: str = "no", checks: bool = True) -> Value:
    """`scipy.spatial.distance.squareform`: the distances of pairs as a symmetric matrix, or back."""
    X = _points(X)
    if X.ndim == 2:
        return X[np.triu_indices(X.shape[0], 1)]
    n = round((1 + np.sqrt(1 + 8 * X.shape[0])) / 2)
    if n * (n - 1) // 2 != X.shape[0]:
        raise ValueError(
            "Incompatible vector size. It must be a binomial coefficient n choose 2 for some integer n >= 2."
        )
    places = np.zeros((n, n), int)
    places[np.triu_indices(n, 1)] = 1 + np.arange(X.shape[0])
    return jnp.concatenate([jnp.zeros(1, X.dtype), X])[places + places.T]


FUNCTIONS_BY_NAME: dict[str, Rule] = {"cdist": cdist, "pdist": pdist, "squareform": squareform}
