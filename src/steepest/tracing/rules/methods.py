"""Array methods: each is the function of the same name, with the array first."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import creation, indexing, products, reductions, selection, shape
from .ufuncs import UFUNCS
from .values import Rule, Value, convert, refused


def _spread(rule: Rule) -> Rule:
    """A method that takes its tuple argument spelled out, too: `x.reshape(2, 3)`."""

    def method(x: Any, *items: Any, **settings: Any) -> Value:
        whole = items[0] if len(items) == 1 else items
        return rule(x, whole, **settings) if items else rule(x, **settings)

    return method


def _clip(x: Any, min: Any = None, max: Any = None, out: Any = None, **settings: Any) -> Value:
    return selection.clip(x, min, max, out, **settings)


def _transpose(x: Any, *axes: Any) -> Value:
    order = axes[0] if len(axes) == 1 and not isinstance(axes[0], (int, np.integer)) else axes
    return shape.transpose(x, order or None)


def _take(x: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Value:
    return indexing.take(x, indices, axis, out, mode)


def _compress(x: Any, condition: Any, axis: Any = None, out: Any = None) -> Value:
    return selection.compress(condition, x, axis, out)


def _view(x: Any, *args: Any, **kwargs: Any) -> Value:
    raise refused("The array method .view", "reinterprets the bits of a parameter", "Use .astype to convert.")


def _nonzero(x: Any) -> Value:
    return selection.REFUSED[np.nonzero](x)


METHODS: dict[str, Rule] = {
    "all": reductions.all_of,
    "any": reductions.any_of,
    "argmax": reductions.argmax,
    "argmin": reductions.argmin,
    "argpartition": selection.argpartition,
    "argsort": selection.argsort,
    "astype": lambda x, dtype, *args, **settings: convert(x, dtype),
    "choose": selection.choose_from,
    "clip": _clip,
    "compress": _compress,
    "conj": UFUNCS[np.conjugate],
    "conjugate": UFUNCS[np.conjugate],
    "copy": creation.copy,
    "cumprod": reductions.cumprod,
    "cumsum": reductions.cumsum,
    "diagonal": shape.diagonal,
    "dot": products.dot,
    "max": reductions.max_of,
    "mean": reductions.mean,
    "min": reductions.min_of,
    "nonzero": _nonzero,
    "prod": reductions.prod,
    "ravel": shape.ravel,
    "repeat": shape.repeat,
    "reshape": _spread(shape.reshape),
    "round": selection.around,
    "searchsorted": selection.searchsorted,
    "squeeze": shape.squeeze,
    "std": reductions.std,
    "sum": reductions.sum_of,
    "swapaxes": shape.swapaxes,
    "take": _take,
    "trace": products.trace,
    "transpose": _transpose,
    "var": reductions.var,
    "view": _view,
}
