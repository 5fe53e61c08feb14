"""Filters of signals and images: SciPy's own where only the signal depends on the parameters, being linear in it.

SciPy filters the unit signals once, which gives the matrix of the filter, or its few entries where it is local. Where
the coefficients depend on the parameters too, the difference equation is followed step by step.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from .creation import build_array
from .indexing import getitem
from .shape import moveaxis, reshape
from .values import Rule, Value, array_value, axis_of, dtype_of, is_traced, refused

# A filter of more samples than this is not made a matrix: filtering that many unit signals takes seconds.
MOST_SAMPLES = 2048
# With no more entries than this part of all, the matrix is stored by its entries.
FEW = 0.25

# What `resample_poly` subtracts from a signal before it filters, that does not add up over signals.
_NOT_LINEAR = ("maximum", "minimum", "median")

# Where the signal stands among the arguments.
_OF_SIGNALS = {
    "detrend": 0, "savgol_filter": 0, "hilbert": 0, "decimate": 0, "resample": 0, "resample_poly": 0, "lfilter": 2,
    "filtfilt": 2, "sosfilt": 1, "sosfiltfilt": 1,
}  # fmt: skip
_OF_IMAGES = (
    "gaussian_filter", "gaussian_filter1d", "uniform_filter", "uniform_filter1d", "sobel", "prewitt", "laplace",
    "gaussian_laplace", "shift", "zoom", "rotate", "map_coordinates", "affine_transform", "spline_filter",
    "spline_filter1d",
)  # fmt: skip


def _linear(module: str, name: str, *positions: int) -> Rule:
    """A rule for SciPy's function `name`, linear but for a constant in each of its arguments at these positions."""

    def rule(*args: Any, **settings: Any) -> Value:
        plain = getattr(sys.modules[module], name)
        parts = [k for k, argument in enumerate(args) if _depends(argument)]
        given = inspect.signature(plain).bind(*args, **settings).arguments
        if given.get("padtype") in _NOT_LINEAR:
            raise refused(
                f"{module}.{name} with padtype={given['padtype']!r}", "has no rule", "Take another padtype."
            )
        stores = isinstance(given.get("output"), np.ndarray)
        if stores or len(parts) != 1 or parts[0] not in positions or _depends(list(settings.values())):
            raise refused(
                f"{module}.{name} with more than its signal or by a keyword",
                "has no rule",
                "Write the sum with np.convolve or a loop.",
            )
        position = parts[0]
        x = build_array(args[position]) if isinstance(args[position], list) else array_value(args[position])
        if module == "scipy.ndimage" and dtype_of(x).kind not in "fc":
            raise refused(f"{module}.{name} of whole numbers", "has no rule", "Take x.astype(float).")
        size = int(np.prod(x.shape))
        if size > MOST_SAMPLES:
            raise refused(
                f"{module}.{name} of {size} samples",
                "is not followed",
                "Write the sum with np.convolve or slices.",
            )

        def of(signal: np.ndarray) -> np.ndarray:
            return np.asarray(plain(*args[:position], signal, *args[position + 1 :], **settings))

        still = of(np.zeros(x.shape))
        responses = [of(unit.reshape(x.shape)) - still for unit in np.eye(size)]
        rows = np.reshape(responses, (size, still.size))
        return reshape(_product(rows.T, reshape(x, (-1,))), still.shape) + still

    return rule


def _product(matrix: np.ndarray, x: Value) -> Value:
    places = np.nonzero(matrix)
    if places[0].size > FEW * matrix.size:
        return jnp.asarray(matrix) @ x
    start = jnp.zeros(matrix.shape[0], np.result_type(matrix.dtype, dtype_of(x)))
    return start.at[places[0]].add(matrix[places] * x[places[1]])


def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """`scipy.signal.lfilter`: a₀ yₙ = Σ bₖ xₙ₋ₖ - Σ aₖ yₙ₋ₖ, in the transposed direct form II."""
    if not _depends([b, a]) and zi is None and _is_short(x):
        return _OF_SIGNAL_ALONE(b, a, x, axis)
    b, a, x = (jnp.ravel(_array(b)), jnp.ravel(_array(a)), _array(x))
    axis = axis_of(axis, x.ndim)
    order = max(b.shape[0], a.shape[0]) - 1
    b, a = (jnp.concatenate([v, jnp.zeros(order + 1 - v.shape[0], v.dtype)]) / a[0] for v in (b, a))
    signal = moveaxis(x, axis, 0)
    start = jnp.zeros(()) if zi is None else moveaxis(_array(zi), axis, 0)
    start = jnp.broadcast_to(start, (order, *signal.shape[1:]))
    kind = jnp.result_type(b, a, x, start, np.float64)
    column = (-1, *(1,) * (signal.ndim - 1))

    def step(held: Any, now: Any) -> tuple[Any, Any]:
        out = b[0] * now + (held[0] if order else 0.0)
        later = jnp.concatenate([held[1:], jnp.zeros((min(order, 1), *now.shape), kind)])
        return later + jnp.reshape(b[1:], column) * now - jnp.reshape(a[1:], column) * out, out

    held, found = lax.scan(step, start.astype(kind), signal.astype(kind))
    found = moveaxis(found, 0, axis)
    return found if zi is None else (found, moveaxis(held, 0, axis))


def sosfilt(sos: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """`scipy.signal.sosfilt`: one section of second order after the other."""
    if zi is not None:
        raise refused(
            "scipy.signal.sosfilt(..., zi=...)", "has no rule", "Filter by lfilter, section by section."
        )
    if not _depends(sos) and _is_short(x):
        return _SECTIONS_OF_SIGNAL_ALONE(sos, x, axis)
    sos = _array(sos)
    for k in range(sos.shape[0]):
        x = lfilter(getitem(sos, (k, slice(0, 3))), getitem(sos, (k, slice(3, 6))), x, axis)
    return x


def _depends(value: Any) -> bool:
    return any(map(_depends, value)) if isinstance(value, (list, tuple)) else is_traced(value)


def _is_short(x: Any) -> bool:
    return int(np.size(x) if isinstance(x, (list, tuple)) else np.prod(np.shape(x))) <= MOST_SAMPLES


def _array(value: Any) -> Value:
    return jnp.asarray(build_array(value) if isinstance(value, (list, tuple)) else value)


_OF_SIGNAL_ALONE = _linear("scipy.signal", "lfilter", 2)
_SECTIONS_OF_SIGNAL_ALONE = _linear("scipy.signal", "sosfilt", 1)

# Linear in the signal and in the kernel.
_OF_KERNELS = ("convolve", "convolve1d", "correlate", "correlate1d")

SIGNALS_BY_NAME: dict[str, Rule] = {
    **{name: _linear("scipy.signal", name, position) for name, position in _OF_SIGNALS.items()},
    **{name: _linear("scipy.signal", name, 0, 1) for name in ("convolve2d", "correlate2d")},
    "lfilter": lfilter,
    "sosfilt": sosfilt,
}
IMAGES_BY_NAME: dict[str, Rule] = {
    **{name: _linear("scipy.ndimage", name, 0) for name in _OF_IMAGES},
    **{name: _linear("scipy.ndimage", name, 0, 1) for name in _OF_KERNELS},
}
