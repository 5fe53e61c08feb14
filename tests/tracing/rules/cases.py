"""One or more calls for each row of the rule tables, written as a user writes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.integrate
import scipy.linalg
import scipy.spatial.distance
import scipy.special

from steepest.tracing import rules

_RANDOM = np.random.default_rng(20)


@dataclass(frozen=True)
class Case:
    """A call `function(*arrays)` that uses the row `key`; `smooth`: its derivative is checked, too.

    With `handed` the function is called as `function(key, *arrays)`: a trace puts the rule in place of the key.
    """

    key: Any
    function: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]
    smooth: bool = True
    rtol: float = 1e-12
    handed: bool = False

    @property
    def name(self) -> str:
        """A label for the test."""
        key, method = self.key if isinstance(self.key, tuple) else (self.key, "")
        label = key if isinstance(key, str) else key.__name__
        module = "" if isinstance(key, (str, np.ufunc)) else key.__module__ + "."
        return f"{module}{label}{'.' + method if method else ''}"


CASES: list[Case] = []


def case(
    key: Any, function: Callable[..., Any], *arrays: Any, smooth: bool = True, rtol: float = 1e-12
) -> None:
    CASES.append(Case(key, function, tuple(np.asarray(a) for a in arrays), smooth, rtol))


def numbers(*shape: int) -> np.ndarray:
    """Distinct numbers of both signs, away from zero and from ties."""
    size = math.prod(shape)
    values = np.linspace(0.45, 1.5, size) ** 1.37 * np.where(np.arange(size) % 3 == 1, -1.0, 1.0)
    return _RANDOM.permutation(values).reshape(shape)


def positive(*shape: int) -> np.ndarray:
    return np.abs(numbers(*shape))


def complex_numbers(*shape: int) -> np.ndarray:
    return numbers(*shape) + 1j * numbers(*shape)


def matrix(n: int) -> np.ndarray:
    """A matrix far from singular."""
    return numbers(n, n) + 3.0 * np.eye(n)


def definite(n: int) -> np.ndarray:
    """A symmetric positive definite matrix."""
    a = numbers(n, n)
    return a @ a.T + n * np.diag(np.arange(1.0, n + 1))


v, w, P, A, B, T = numbers(5), numbers(5), positive(5), numbers(3, 4), numbers(4, 3), numbers(2, 3, 4)
M, N, S, C = matrix(3), matrix(3), definite(3), complex_numbers(4)
HOLES = np.where(np.arange(12).reshape(3, 4) % 5 == 3, np.nan, A)
WIDE = 7.0 * numbers(9)

# -- ufuncs: one argument at numbers inside the domain; two at all pairings of shape -------------------------

_DOMAIN = {
    "arccos": 0.5 * v, "arcsin": 0.5 * v, "arctanh": 0.5 * v, "arccosh": 1.2 + P, "log": P, "log2": P, "log10": P,
    "log1p": 0.5 * v, "sqrt": P, "cbrt": v, "invert": np.arange(-2, 3), "bitwise_count": np.arange(-2, 3),
    "reciprocal": v,
}  # fmt: skip
_WHOLE = {"bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift", "gcd", "lcm"}

for _ufunc in rules.UFUNCS:
    if _ufunc.signature is not None:
        continue
    if _ufunc.nin == 1:
        case(_ufunc, _ufunc, _DOMAIN.get(_ufunc.__name__, v))
        continue
    if _ufunc.__name__ in _WHOLE:
        case(_ufunc, _ufunc, np.arange(1, 6), np.array(2))
        case(_ufunc, lambda x, u=_ufunc: u(x[:, None], np.arange(1, 4)), np.arange(12, 17))
        continue
    if _ufunc is np.ldexp:
        case(_ufunc, lambda x: np.ldexp(x, np.arange(-2, 3)), v)
        case(_ufunc, lambda x: np.ldexp(x, np.array([1500, -1500, 3, 0, 1])), v * [1e-300, 1e300, 1, 1, 1],
             smooth=False)  # fmt: skip
        continue
    _left = P if _ufunc in (np.power, np.float_power) else v
    _right = 1.3 * P if _ufunc is np.remainder else w + 0.07
    case(_ufunc, _ufunc, _left, _right)
    case(_ufunc, lambda x, u=_ufunc: u(x, 0.75), _left)
    case(_ufunc, lambda x, u=_ufunc: u(1.25, x), _left)
    case(_ufunc, _ufunc, _left.reshape(5, 1), _right[:3])
    case(_ufunc, _ufunc, np.array(1.375), _right)

for _exponent in (0, 1, 2, 3, -1, -2, 5, 12, 2.0, 0.5, 1.5, -0.5, np.float64(3.0)):
    case(np.power, lambda x, e=_exponent: x**e, P)
case(np.power, lambda x: x ** np.arange(4.0), np.array([[-1.5], [0.0], [2.0]]))
case(np.square, np.square, C)
case(np.sinc, np.sinc, np.array([0.0, 0.1, 0.159, 0.16, 1.0, 2.5, -0.3]))
case(np.i0, np.i0, v)
case(
    np.hypot,
    np.hypot,
    np.array([3e-200, 3e200, 0.0, np.inf]),
    np.array([4e-200, 4e200, 2.0, 1.0]),
    smooth=False,
)
_FAR = np.array([1e3, -1e3, -np.inf, np.inf, 0.0])
case(np.logaddexp, np.logaddexp, _FAR, _FAR * [0.999, 1.0, 1.0, 1.0, 1.0], smooth=False)
_EDGES = np.array([7.0, -7.0, 7.5, -7.5, 0.3, 6.0])
for _ufunc in (np.floor_divide, np.remainder, np.fmod):
    for _divisor in (2.5, -2.5, 3.0):
        case(_ufunc, lambda x, u=_ufunc, d=_divisor: u(x, d), _EDGES)
    case(_ufunc, _ufunc, _EDGES, np.array(-2.25))
    case(_ufunc, _ufunc, np.arange(-5, 5), np.array(3))
    case(_ufunc, _ufunc, np.arange(-5, 5), np.array(-3))

case(np.matmul, lambda a, b: a @ b, A, B)
case(np.matmul, lambda a, b: a @ b, v, w)
case(np.matmul, lambda a, b: a @ b, A, numbers(4))
case(np.matmul, lambda a, b: a @ b, numbers(3), A)
case(np.matmul, lambda a, b: a @ b, T, B)
case(np.matmul, lambda a, b: a @ b, T, numbers(2, 4, 2))
case(np.matmul, lambda a, b: a @ b, T, numbers(5, 1, 4, 2))
case(np.matmul, lambda a, b: a @ b, numbers(3), T)
case(np.matmul, lambda a, b: a @ b, T, numbers(4))
case(np.matmul, lambda a, b: a @ b, A, numbers(2, 4, 3))
case(np.vecdot, np.vecdot, A, numbers(4))
case(np.vecdot, np.vecdot, C, complex_numbers(4))
case(np.matvec, np.matvec, T, numbers(2, 4))
case(np.vecmat, np.vecmat, numbers(2, 3), T)

for _ufunc, _method in rules.UFUNC_METHODS:
    _bound = getattr(_ufunc, _method)
    _key = (_ufunc, _method)
    _whole = _ufunc.__name__ in _WHOLE
    _at = np.arange(1, 13).reshape(3, 4) if _whole else positive(3, 4) + 0.5
    if _method == "outer":
        if _ufunc is np.ldexp:
            case(_key, lambda x: np.ldexp.outer(x, np.arange(3)), v)
        else:
            case(_key, _ufunc.outer, *((np.arange(1, 4), np.arange(2)) if _whole else (P, 0.2 + P[:3])))
    elif _method == "at":
        _operand = np.arange(1, 5) if _whole or _ufunc is np.ldexp else None

        def _changed(x, y, ufunc=_ufunc, operand=_operand):
            out = x[:4] + 0 if x.dtype.kind == "i" else np.zeros(4) + 2.0 * x[:4]
            ufunc.at(out, [0, 2, 0, -1], y[:4] if operand is None else operand)
            return out

        case(_key, _changed, np.arange(5) if _whole else P, np.arange(5) if _whole else 0.2 + P)
    elif _method == "reduceat":
        case(_key, lambda x, u=_ufunc: u.reduceat(x, [0, 2, 1], axis=1), _at)
    else:
        case(_key, _bound, _at)
        case(_key, lambda x, f=_bound: f(x, axis=1), _at)
case((np.add, "reduce"), lambda x: np.add.reduce(x, axis=(0, 2), keepdims=True), T)
case((np.add, "accumulate"), lambda x: np.add.accumulate(x, axis=-1), A)

# -- reductions ----------------------------------------------------------------------------------------------

for _function in (np.sum, np.prod, np.mean, np.std, np.var, np.max, np.min, np.amax, np.amin, np.ptp, np.median,
                  np.all, np.any, np.count_nonzero):  # fmt: skip
    case(_function, _function, T)
    case(_function, lambda x, f=_function: f(x, axis=1), T)
    case(_function, lambda x, f=_function: f(x, axis=(0, -1), keepdims=True), T)
    case(_function, _function, np.arange(6).reshape(2, 3))
case(np.sum, lambda x: np.sum(x, axis=0, where=np.arange(4) > 1, initial=2.0), A)
case(np.sum, lambda x: np.sum(x > 0, axis=1), A)
case(np.prod, lambda x: np.prod(x, axis=1, initial=2.0), A)
case(np.prod, np.prod, np.array([2.0, 0.0, 3.0]))
case(np.mean, lambda x: np.mean(x, where=np.arange(4) > 1), A)
case(np.mean, lambda x: np.mean(x, dtype=np.float32), A, smooth=False, rtol=1e-6)
case(np.var, lambda x: np.var(x, ddof=1, axis=0), A)
case(np.var, lambda x: np.var(x, correction=1), C)
case(np.std, lambda x: np.std(x, ddof=2.0), A)
case(np.max, lambda x: np.max(x, initial=0.5, where=np.arange(4) > 1), A)
for _function in (np.argmax, np.argmin):
    case(_function, _function, T)
    case(_function, lambda x, f=_function: f(x, axis=1, keepdims=True), T)
for _function in (np.cumsum, np.cumprod):
    case(_function, _function, A)
    case(_function, lambda x, f=_function: f(x, axis=0), A)
    case(_function, lambda x, f=_function: f(x, axis=0), np.arange(6, dtype=np.int32).reshape(2, 3))
case(np.cumprod, np.cumprod, np.array([2.0, 0.0, 3.0, 0.0, 1.5]))
case(np.cumulative_sum, lambda x: np.cumulative_sum(x, axis=1, include_initial=True), A)
case(np.cumulative_prod, np.cumulative_prod, v)
case(np.average, np.average, A)
case(np.average, lambda x, q: np.average(x, axis=1, weights=q), A, positive(4))
case(np.average, lambda x, q: np.average(x, weights=q, returned=True), A, positive(3, 4))
for _function in (np.nansum, np.nanprod, np.nanmean, np.nanstd, np.nanvar, np.nanmax, np.nanmin, np.nanmedian,
                  np.nancumsum, np.nancumprod, np.nanargmax, np.nanargmin):  # fmt: skip
    case(_function, _function, HOLES)
    case(_function, lambda x, f=_function: f(x, axis=1), HOLES)
for _function, _level in ((np.quantile, 0.01), (np.percentile, 1.0)):
    case(_function, lambda x, f=_function, q=_level: f(x, 30 * q), v)
    case(_function, lambda x, f=_function, q=_level: f(x, [25 * q, 60 * q], axis=1), A)
    case(
        _function, lambda x, f=_function, q=_level: f(x, [[25 * q], [50 * q]], axis=(0, 2), keepdims=True), T
    )
for _method in ("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen",
                "weibull", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest"):  # fmt: skip
    case(np.quantile, lambda x, m=_method: np.quantile(x, [0.1, 0.5, 0.83], method=m), v)
case(np.nanquantile, lambda x: np.nanquantile(x, [0.25, 0.6], axis=1), HOLES)
case(np.nanpercentile, lambda x: np.nanpercentile(x, 40.0), HOLES)

# -- shape ---------------------------------------------------------------------------------------------------

case(np.reshape, lambda x: np.reshape(x, (2, -1)), A)
case(np.reshape, lambda x: np.reshape(x, (2, 6), order="F"), A)
case(np.ravel, np.ravel, A)
case(np.ravel, lambda x: np.ravel(x, order="F"), A)
for _function in (np.transpose, np.permute_dims):
    case(_function, _function, A)
    case(_function, lambda x, f=_function: f(x, (2, 0, 1)), T)
for _function in (np.matrix_transpose, np.linalg.matrix_transpose):
    case(_function, _function, T)
case(np.moveaxis, lambda x: np.moveaxis(x, 0, -1), T)
case(np.moveaxis, lambda x: np.moveaxis(x, (0, 2), (1, 0)), T)
case(np.rollaxis, lambda x: np.rollaxis(x, 2), T)
case(np.rollaxis, lambda x: np.rollaxis(x, 0, 3), T)
case(np.swapaxes, lambda x: np.swapaxes(x, 0, 2), T)
case(np.squeeze, np.squeeze, numbers(1, 3, 1))
case(np.squeeze, lambda x: np.squeeze(x, axis=-1), numbers(1, 3, 1))
case(np.expand_dims, lambda x: np.expand_dims(x, (0, -1)), A)
for _function in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    case(_function, _function, np.array(1.5))
    case(_function, _function, v)
    case(_function, lambda x, y, f=_function: f(x, y), A, v)
case(np.broadcast_to, lambda x: np.broadcast_to(x, (2, 3, 4)), numbers(3, 1))
case(np.broadcast_arrays, lambda x, y: np.broadcast_arrays(x, y, 1.0), numbers(3, 1), numbers(4))
case(np.concatenate, lambda x, y: np.concatenate([x, y, np.ones((1, 4))]), A, numbers(2, 4))
case(np.concatenate, lambda x, y: np.concatenate((x, y), axis=1), A, numbers(3, 1))
case(np.concatenate, lambda x, y: np.concatenate([x, y], axis=None), A, v)
case(np.stack, lambda x, y: np.stack([x, y, np.arange(5)]), v, w)
case(np.stack, lambda x, y: np.stack([x, y], axis=-1), v, w)
for _function in (np.hstack, np.vstack, np.dstack, np.column_stack):
    case(_function, lambda x, y, f=_function: f([x, y]), v, w)
    case(_function, lambda x, y, f=_function: f((x, y, x)), A, numbers(3, 4))
case(np.hstack, lambda x: np.hstack([x[0], 2.0, x[1]]), v)
case(np.block, lambda x, y: np.block([[x, np.zeros((3, 3))], [np.ones((4, 4)), y]]), A, B)
case(np.block, lambda x, y: np.block([x, y, 1.0]), v, w)
case(np.append, lambda x, y: np.append(x, y), A, v)
case(np.append, lambda x, y: np.append(x, y, axis=0), A, numbers(1, 4))
case(np.insert, lambda x, y: np.insert(x, 2, y), v, w)
case(np.insert, lambda x: np.insert(x, [1, 3], [7.0, 8.0]), v)
case(np.insert, lambda x, y: np.insert(x, 1, y, axis=1), A, numbers(3))
case(np.insert, lambda x: np.insert(x, 0, 3.0, axis=0), A)
case(np.delete, lambda x: np.delete(x, [0, 2], axis=1), A)
case(np.delete, lambda x: np.delete(x, slice(1, 3)), v)
case(np.split, lambda x: np.split(x, 2, axis=1), A)
case(np.split, lambda x: np.split(x, [1, 4]), v)
case(np.array_split, lambda x: np.array_split(x, 3), v)
case(np.hsplit, lambda x: np.hsplit(x, 2), A)
case(np.hsplit, lambda x: np.hsplit(x, [2]), v)
case(np.vsplit, lambda x: np.vsplit(x, [1]), A)
case(np.dsplit, lambda x: np.dsplit(x, 2), T)
case(np.unstack, lambda x: np.unstack(x, axis=1), A)
case(np.tile, lambda x: np.tile(x, 3), v)
case(np.tile, lambda x: np.tile(x, (2, 1, 3)), A)
case(np.repeat, lambda x: np.repeat(x, 2), A)
case(np.repeat, lambda x: np.repeat(x, 3, axis=0), A)
case(np.repeat, lambda x: np.repeat(x, [0, 2, 1], axis=0), A)
case(np.resize, lambda x: np.resize(x, (3, 4)), v)
case(np.flip, np.flip, A)
case(np.flip, lambda x: np.flip(x, axis=1), A)
case(np.fliplr, np.fliplr, A)
case(np.flipud, np.flipud, v)
for _turns in range(4):
    case(np.rot90, lambda x, k=_turns: np.rot90(x, k), A)
case(np.rot90, lambda x: np.rot90(x, axes=(1, 2)), T)
_windows = np.lib.stride_tricks.sliding_window_view
case(_windows, lambda x: np.lib.stride_tricks.sliding_window_view(x, 2), v)
case(_windows, lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 2)), A)
case(_windows, lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=1), T)
case(np.roll, lambda x: np.roll(x, 2), A)
case(np.roll, lambda x: np.roll(x, (-1, 1), axis=(0, 1)), A)
for _mode in ("constant", "edge", "reflect", "symmetric", "wrap", "linear_ramp"):
    case(np.pad, lambda x, m=_mode: np.pad(x, 2, mode=m), A)
    case(np.pad, lambda x, m=_mode: np.pad(x, ((1, 0), (2, 7)), mode=m), A)
case(np.pad, lambda x: np.pad(x, ((0, 2), (1, 1)), constant_values=((1, 2), (3, 4))), A)
case(np.pad, lambda x, y: np.pad(x, (1, 2), constant_values=y), v, np.array(3.5))
case(np.diagonal, np.diagonal, A)
case(np.diagonal, lambda x: np.diagonal(x, offset=1, axis1=0, axis2=2), T)
case(np.diag, np.diag, v)
case(np.diag, lambda x: np.diag(x, -2), v)
case(np.diag, lambda x: np.diag(x, 1), A)
case(np.diagflat, lambda x: np.diagflat(x, 1), A)
case(np.tril, lambda x: np.tril(x, -1), A)
case(np.triu, np.triu, T)
case(np.meshgrid, lambda x, y: np.meshgrid(x, y), v, numbers(3))
case(np.meshgrid, lambda x, y: np.meshgrid(x, y, indexing="ij", sparse=True), v, numbers(3))
case(np.ix_, lambda x: np.ix_(x, np.arange(3)), np.arange(2))
case(np.real, np.real, C)
case(np.real, np.real, v)
case(np.imag, np.imag, C)
case(np.imag, np.imag, v)
case(np.angle, np.angle, C)
case(np.angle, lambda z: np.angle(z, deg=True), C)
case(np.angle, np.angle, v)

# -- making arrays -------------------------------------------------------------------------------------------

for _function in (np.zeros_like, np.ones_like):
    case(_function, lambda x, f=_function: x * f(x), A)
    case(_function, lambda x, f=_function: x[0] * f(x, dtype=int, shape=(2,)), v)
case(np.empty_like, lambda x: np.empty_like(x).shape, A)
case(np.full_like, lambda x: np.full_like(x, 3.5), A)
case(np.copy, np.copy, A)
case(np.astype, lambda x: np.astype(x, np.float32), A, smooth=False)
case(np.astype, lambda x: np.astype(x * 3, np.int64), A)
case(np.nan_to_num, np.nan_to_num, np.array([np.nan, 1.0, np.inf, -np.inf]), smooth=False)
case(np.nan_to_num, lambda x: np.nan_to_num(x, nan=2.0, posinf=5.0), v)
case(np.linspace, lambda x, y: np.linspace(x, y, 7), np.array(0.5), np.array(2.0))
case(np.linspace, lambda x: np.linspace(0, x, 5, endpoint=False, retstep=True), np.array(2.0))
case(np.linspace, lambda x: np.linspace(x, 1.0, 4, axis=-1), v)
case(np.logspace, lambda x: np.logspace(0.0, x, 5), np.array(1.5))
case(np.geomspace, lambda x: np.geomspace(1.0, x, 5), np.array(20.0))
case(np.geomspace, lambda x: np.geomspace(-2.0, x, 5), np.array(-20.0))
case(np.real_if_close, np.real_if_close, v)
case(np.vander, np.vander, v)
case(np.vander, lambda x: np.vander(x, 3, increasing=True), v)
case(np.result_type, lambda x: str(np.result_type(x, np.float32)), v)
case(np.min_scalar_type, lambda x: str(np.min_scalar_type(x)), v)
case(np.shape, np.shape, A)
case(np.ndim, np.ndim, A)
case(np.size, np.size, A)
case(np.iscomplexobj, np.iscomplexobj, C)
case(np.isrealobj, np.isrealobj, C)
case(np.can_cast, lambda x: np.can_cast(x, np.float32), v)
case(np.common_type, lambda x: np.common_type(x) is np.float64, v)
case(np.may_share_memory, lambda x: np.may_share_memory(x, np.ones(2)), v)
case(np.shares_memory, lambda x: np.shares_memory(x, np.ones(2)), v)
case(np.diag_indices_from, lambda x: x[np.diag_indices_from(x)], M)
case(np.tril_indices_from, lambda x: x[np.tril_indices_from(x)], M)
case(np.triu_indices_from, lambda x: x[np.triu_indices_from(x, 1)], M)
case(np.einsum_path, lambda x: np.einsum_path("ij,jk->ik", x, x)[0], M)

# -- indexing, selection, order ------------------------------------------------------------------------------

case(np.take, lambda x: np.take(x, [0, 3, -1, 0]), A)
case(np.take, lambda x: np.take(x, [[0, 5], [2, -7]], axis=1, mode="wrap"), A)
case(np.take, lambda x: np.take(x, np.array([9, -9]), axis=0, mode="clip"), A)
case(np.take_along_axis, lambda x: np.take_along_axis(x, np.argsort(x, axis=1), axis=1), A)
case(np.take_along_axis, lambda x: np.take_along_axis(x, np.array([[0], [2], [1]]), axis=-1), A)
case(np.where, lambda x, y: np.where(x > 0, x, y), A, numbers(4))
case(np.where, lambda x: np.where(np.arange(5) % 2, x, 2), v)
case(np.where, lambda x: np.where(x, 1, 2), v)
case(np.clip, lambda x: np.clip(x, -0.5, 0.9), A)
case(np.clip, lambda x: np.clip(x, None, 0.9), A)
case(np.clip, lambda x, y: np.clip(0.7, x, y), -P, P)
case(np.clip, lambda x: np.clip(x, min=0.1, max=1.0), A)
case(np.select, lambda x: np.select([x > 1, x > 0], [x**2, 3 * x], default=-1.0), v)
case(np.choose, lambda x, y: np.choose(np.array([0, 1, 1, 0, 2]), [x, y, 0.5]), v, w)
case(np.choose, lambda x: np.choose(np.array([0, 4, -2]), [x, 2 * x], mode="wrap"), v[:3])
case(np.choose, lambda x: np.choose(np.array([0, 4, -2]), [x, 2 * x], mode="clip"), v[:3])
case(np.piecewise, lambda x: np.piecewise(x, [x < -0.5, x >= 0.8], [lambda t: t**2, 3.0, lambda t: -t]), v)
case(np.piecewise, lambda x: np.piecewise(x, x < 0, [np.sin, np.cos]), v)
case(np.interp, lambda x: np.interp(x, [-1.0, 0.2, 1.1], [3.0, -1.0, 2.0]), v)
case(np.interp, lambda x: np.interp(x, [-1.0, 0.2, 1.1], [3.0, -1.0, 2.0], left=0.0, right=9.0), v)
case(np.interp, lambda x, xp, fp: np.interp(x, xp, fp), 2.0 * v, np.sort(numbers(6)), numbers(6))
case(np.interp, lambda x, fp: np.interp(x, [0.1, 0.5, 2.4], fp, period=2.5), 3.0 * v, numbers(3))
case(np.searchsorted, lambda x: np.searchsorted([-1.0, 0.0, 0.5, 1.0], x), v)
case(np.searchsorted, lambda x: np.searchsorted(np.array([-1.0, 0.0, 0.5]), x, side="right"), A)
case(np.searchsorted, lambda x: np.searchsorted(np.array([1, 2, 3]), x, side="right"), A)
case(np.searchsorted, lambda x: np.searchsorted(np.linspace(-2, 2, 400), x), A)
case(np.digitize, lambda x: np.digitize(x, [-1.0, 0.0, 1.0]), v)
case(np.digitize, lambda x: np.digitize(x, [1.0, 0.0, -1.0], right=True), v)
for _function in (np.sort, np.argsort):
    case(_function, _function, A)
    case(_function, lambda x, f=_function: f(x, axis=0), A)
    case(_function, lambda x, f=_function: f(x, axis=None), A)
case(np.argsort, lambda x: np.argsort(x, kind="stable"), np.array([1.0, 0.0, 1.0, 0.0]))
case(np.partition, lambda x: np.partition(x, 2)[2], v)
case(np.argpartition, lambda x: x[np.argpartition(x, 2)[2]], v)
case(np.lexsort, lambda x: np.lexsort((x, np.array([0, 1, 0, 1, 0]))), v)
for _function in (np.round, np.around):
    case(_function, _function, A)
    case(_function, lambda x, f=_function: f(x, 2), A)
    case(_function, lambda x, f=_function: f(x, -1), 30 * A)
case(np.fix, np.fix, 3 * v)
case(np.isclose, lambda x: np.isclose(x, 0.5, atol=0.4), A)
case(
    np.isclose, lambda x: np.isclose(x, np.nan, equal_nan=True), np.array([np.nan, np.inf, 1.0]), smooth=False
)
case(np.allclose, lambda x: np.allclose(x, x + 1e-12), A)
case(np.array_equal, lambda x: np.array_equal(x, x), A)
case(np.array_equal, lambda x: np.array_equal(x, 2.0 * x), A)
case(np.array_equal, lambda x: np.array_equal(x, np.ones(3)), A)
case(np.array_equiv, lambda x: np.array_equiv(x, np.broadcast_to(0.0, 4) + x[:1]), A)
case(np.isin, lambda x: np.isin(x, [1, 3]), np.arange(5))
case(np.isin, lambda x: np.isin(x, [1, 3], invert=True), np.arange(4).reshape(2, 2))
case(np.isposinf, np.isposinf, np.array([np.inf, -np.inf, 1.0]), smooth=False)
case(np.isneginf, np.isneginf, np.array([np.inf, -np.inf, 1.0]), smooth=False)
case(np.iscomplex, np.iscomplex, C)
case(np.iscomplex, np.iscomplex, v)
case(np.isreal, np.isreal, C)
case(np.isreal, np.isreal, v)
case(np.compress, lambda x: np.compress([True, False, True], x, axis=0), A)
case(np.extract, lambda x: np.extract(np.arange(12).reshape(3, 4) % 3 == 0, x), A)

# -- calculus ------------------------------------------------------------------------------------------------

case(np.diff, np.diff, A)
case(np.diff, lambda x: np.diff(x, n=2, axis=0, prepend=0.0, append=[[1.0, 2.0, 3.0, 4.0]]), A)
case(np.ediff1d, lambda x: np.ediff1d(x, to_begin=0.0, to_end=[1.0, 2.0]), A)
case(np.trapezoid, np.trapezoid, A)
case(np.trapezoid, lambda y, x: np.trapezoid(y, x, axis=0), A, numbers(3))
case(np.trapezoid, lambda y: np.trapezoid(y, dx=0.1), v)
case(np.gradient, np.gradient, v)
case(np.gradient, lambda x: np.gradient(x, 0.5, axis=1, edge_order=2), A)
case(np.gradient, lambda x, t: np.gradient(x, t, edge_order=2), v, np.cumsum(P))
case(np.gradient, lambda x, t: np.gradient(x, t), v, np.cumsum(P))
case(np.gradient, np.gradient, A)
for _mode in ("full", "same", "valid"):
    for _size in (2, 3, 5, 7):
        case(np.convolve, lambda x, y, m=_mode: np.convolve(x, y, m), v, numbers(_size))
        case(np.correlate, lambda x, y, m=_mode: np.correlate(x, y, m), v, numbers(_size))
case(np.convolve, np.convolve, C, complex_numbers(3))
case(np.correlate, lambda x, y: np.correlate(x, y, "full"), C, complex_numbers(3))
case(np.convolve, np.convolve, np.arange(4), np.arange(3))
case(np.unwrap, np.unwrap, WIDE)
case(np.unwrap, lambda x: np.unwrap(x, period=3.0, axis=0), 4 * A)
case(np.bincount, lambda x: np.bincount([0, 1, 1, 4, 0], weights=x, minlength=6), v)
case(np.apply_along_axis, lambda x: np.apply_along_axis(lambda t: t**2 / np.sum(t), 1, x), A)
case(np.apply_along_axis, lambda x: np.apply_along_axis(np.sum, 0, x), T)
case(np.apply_over_axes, lambda x: np.apply_over_axes(np.sum, x, [0, 2]), T)

# -- polynomials ---------------------------------------------------------------------------------------------

case(np.polyval, lambda p, x: np.polyval(p, x), v, w)
case(np.polyval, lambda x: np.polyval([1.0, -2.0, 3.0], x), np.array(1.5))
case(np.polyadd, np.polyadd, v, numbers(3))
case(np.polysub, np.polysub, numbers(2), v)
case(np.polymul, np.polymul, v, numbers(3))
case(np.polyder, lambda p: np.polyder(p, 2), v)
case(np.polyint, lambda p: np.polyint(p, 2, k=[1.0, 2.0]), v)
case(np.poly, np.poly, numbers(4))
case(np.polydiv, np.polydiv, v, numbers(3))
case(np.polyfit, lambda y: np.polyfit(np.arange(5.0), y, 2), v, rtol=1e-10)
case(np.polyfit, lambda x, y: np.polyfit(x, y, 1, w=np.arange(1.0, 6.0)), np.cumsum(P), v, rtol=1e-10)
case(np.roots, lambda p: np.sum(np.abs(np.roots(p))), v, rtol=1e-9)

# -- linear algebra ------------------------------------------------------------------------------------------

case(np.dot, np.dot, v, w)
case(np.dot, np.dot, A, B)
case(np.dot, np.dot, T, B)
case(np.dot, np.dot, A, numbers(2, 4, 3))
case(np.dot, lambda x: np.dot(x, 2.0), A)
case(np.vdot, np.vdot, C, complex_numbers(4))
case(np.inner, np.inner, A, T)
case(np.inner, np.inner, v, w)
case(np.outer, np.outer, v, A)
case(np.linalg.outer, np.linalg.outer, v, w)
case(np.tensordot, lambda x, y: np.tensordot(x, y, axes=1), T, B)
case(np.tensordot, lambda x, y: np.tensordot(x, y, axes=([1, 0], [0, 1])), A, B)
case(np.tensordot, lambda x, y: np.tensordot(x, y, axes=0), v, w)
case(np.linalg.tensordot, lambda x, y: np.linalg.tensordot(x, y, axes=1), T, B)
case(np.einsum, lambda x, y: np.einsum("ij,jk->ik", x, y), A, B)
case(np.einsum, lambda x: np.einsum("ii", x), M)
case(np.einsum, lambda x, y, z: np.einsum("ij,jk,k->i", x, y, z), A, B, numbers(3))
case(np.einsum, lambda x, y: np.einsum(x, [0, 1], y, [1], [0]), A, numbers(4))
case(np.einsum, lambda x: np.einsum("...ij->...ji", x), T)
case(np.einsum, lambda x: np.einsum("i,i->", x, np.arange(5)), v)
case(np.kron, np.kron, A, numbers(2, 2))
case(np.kron, np.kron, v, numbers(2))
case(np.cross, np.cross, numbers(3), numbers(2, 3))
case(np.cross, lambda x, y: np.cross(x, y, axis=0), numbers(3, 4), numbers(3, 4))
case(np.linalg.cross, np.linalg.cross, numbers(2, 3), numbers(3))
case(np.trace, lambda x: np.trace(x, offset=1), A)
case(np.trace, np.trace, T)
case(np.linalg.trace, np.linalg.trace, T)
case(np.linalg.diagonal, lambda x: np.linalg.diagonal(x, offset=-1), T)
case(np.linalg.matmul, np.linalg.matmul, A, B)
case(np.linalg.vecdot, np.linalg.vecdot, A, numbers(3, 4))
case(np.linalg.vecdot, lambda x, y: np.linalg.vecdot(x, y, axis=0), A, numbers(3, 4))
case(np.linalg.multi_dot, lambda x, y, z: np.linalg.multi_dot([x, y, z, v[:4]]), A, B, numbers(3, 4))
case(np.linalg.matrix_power, lambda x: np.linalg.matrix_power(x, 5), 0.3 * M)
case(np.linalg.matrix_power, lambda x: np.linalg.matrix_power(x, -2), M)
case(np.linalg.matrix_power, lambda x: np.linalg.matrix_power(x, 0), M)
for _order in (None, 0, 1, 2, -1, -2, 3, 2.5, np.inf, -np.inf):
    case(np.linalg.norm, lambda x, o=_order: np.linalg.norm(x, o), v)
    case(np.linalg.norm, lambda x, o=_order: np.linalg.norm(x, o, axis=1, keepdims=True), A)
for _order in (None, "fro", "nuc", 1, 2, -1, -2, np.inf, -np.inf):
    case(np.linalg.norm, lambda x, o=_order: np.linalg.norm(x, o), M)
    case(np.linalg.norm, lambda x, o=_order: np.linalg.norm(x, o, axis=(0, 2)), T)
case(np.linalg.norm, np.linalg.norm, C)
case(np.linalg.norm, np.linalg.norm, T)
case(np.linalg.norm, np.linalg.norm, np.zeros(3), smooth=False)
case(np.linalg.vector_norm, lambda x: np.linalg.vector_norm(x, axis=(0, 2), ord=3), T)
case(np.linalg.vector_norm, np.linalg.vector_norm, A)
case(np.linalg.matrix_norm, lambda x: np.linalg.matrix_norm(x, ord=2), T)
case(np.linalg.solve, np.linalg.solve, M, numbers(3))
case(np.linalg.solve, np.linalg.solve, M, numbers(3, 2))
case(np.linalg.solve, np.linalg.solve, np.stack([M, N]), numbers(2, 3, 2))
case(np.linalg.inv, np.linalg.inv, M)
case(np.linalg.inv, np.linalg.inv, np.stack([M, N]))
case(np.linalg.det, np.linalg.det, M)
case(np.linalg.det, np.linalg.det, np.stack([M, N]))
case(np.linalg.det, np.linalg.det, np.ones((2, 2)) * [[1, 2], [3, 4.5]])
case(np.linalg.slogdet, lambda x: tuple(np.linalg.slogdet(x)), M)
case(np.linalg.cholesky, np.linalg.cholesky, S)
case(np.linalg.cholesky, lambda x: np.linalg.cholesky(x, upper=True), S)
case(np.linalg.cholesky, np.linalg.cholesky, S + np.triu(numbers(3, 3), 1))
case(np.linalg.eigh, lambda x: tuple(np.abs(part) for part in np.linalg.eigh(x)), S, rtol=1e-11)
case(np.linalg.eigh, lambda x: np.linalg.eigh(x, UPLO="U").eigenvalues, M, rtol=1e-11)
case(np.linalg.eigvalsh, np.linalg.eigvalsh, S, rtol=1e-11)
case(np.linalg.eig, lambda x: np.sum(np.abs(np.linalg.eig(x).eigenvalues)), M, rtol=1e-10)
case(np.linalg.eigvals, lambda x: np.sum(np.abs(np.linalg.eigvals(x))), M, rtol=1e-10)
case(
    np.linalg.svd,
    lambda x: tuple(np.abs(part) for part in np.linalg.svd(x, full_matrices=False)),
    A,
    rtol=1e-11,
)
case(np.linalg.svd, lambda x: np.linalg.svd(x, compute_uv=False), A, rtol=1e-11)
case(np.linalg.svdvals, np.linalg.svdvals, A, rtol=1e-11)
case(np.linalg.qr, lambda x: tuple(np.linalg.qr(x)), B, rtol=1e-11)
case(np.linalg.qr, lambda x: tuple(np.linalg.qr(x, mode="complete")), M, rtol=1e-11)
case(np.linalg.qr, lambda x: np.linalg.qr(x, mode="r"), B, rtol=1e-11)
case(np.linalg.pinv, np.linalg.pinv, A, rtol=1e-11)
case(np.linalg.lstsq, lambda a, b: np.linalg.lstsq(a, b)[0], B, numbers(4), rtol=1e-11)
case(np.linalg.lstsq, lambda a, b: np.linalg.lstsq(a, b), B, numbers(4, 2), rtol=1e-10)
case(np.linalg.matrix_rank, np.linalg.matrix_rank, A)
case(np.linalg.matrix_rank, np.linalg.matrix_rank, np.outer(v, w))
for _order in (None, -2, 1, np.inf, "fro"):
    case(np.linalg.cond, lambda x, p=_order: np.linalg.cond(x, p), M, rtol=1e-11)
case(np.linalg.tensorinv, lambda x: np.linalg.tensorinv(x, ind=1), numbers(6, 2, 3), rtol=1e-10)
case(np.linalg.tensorsolve, np.linalg.tensorsolve, numbers(2, 3, 6), numbers(2, 3), rtol=1e-10)
case(np.cov, np.cov, A)
case(np.cov, lambda x, y: np.cov(x, y, ddof=0), v, w)
case(np.cov, lambda x: np.cov(x, rowvar=False, bias=True), A)
case(np.corrcoef, np.corrcoef, A[:2], rtol=1e-11)

# -- Fourier -------------------------------------------------------------------------------------------------

for _name in ("fft", "ifft", "rfft", "ihfft"):
    _function = getattr(np.fft, _name)
    for _normal in (None, "ortho", "forward"):
        case(_function, lambda x, f=_function, m=_normal: f(x, norm=m), v)
    case(_function, lambda x, f=_function: f(x, n=6, axis=0), A)
for _name in ("irfft", "hfft"):
    _function = getattr(np.fft, _name)
    for _normal in (None, "ortho", "forward"):
        case(_function, lambda x, f=_function, m=_normal: f(x, norm=m), C)
    case(_function, lambda x, f=_function: f(x, n=5), C)
for _name in ("fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"):
    _function = getattr(np.fft, _name)
    case(_function, lambda x, f=_function: f(x + 0.0), numbers(2, 3, 4))
    case(_function, lambda x, f=_function: f(x, s=(4, 6), axes=(0, 1), norm="ortho"), A)
for _function in (np.fft.fftshift, np.fft.ifftshift):
    case(_function, _function, v)
    case(_function, lambda x, f=_function: f(x, axes=1), T)

# -- functions that change their first argument --------------------------------------------------------------


def _stored(change: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arrays: Any) -> Any:
        out = np.zeros((3, 4)) + 0.5 * arrays[0]
        change(out, *arrays)
        return out

    return call


case(np.put, _stored(lambda out, x: np.put(out, [0, 5, -1], x[0, :2])), A)
case(
    np.put_along_axis,
    _stored(lambda out, x: np.put_along_axis(out, np.array([[1], [0], [3]]), x[:, :1], 1)),
    A,
)
case(np.putmask, _stored(lambda out, x: np.putmask(out, x > 0, x**2)), A)
case(np.place, _stored(lambda out, x: np.place(out, np.eye(3, 4) > 0, x[0, :2])), A)
case(np.copyto, _stored(lambda out, x: np.copyto(out, x[0])), A)
case(np.copyto, _stored(lambda out, x: np.copyto(out, x**2, where=np.eye(3, 4) > 0)), A)
case(np.fill_diagonal, _stored(lambda out, x: np.fill_diagonal(out, x[0, :3])), A)

# -- methods -------------------------------------------------------------------------------------------------

_METHOD_CALLS: dict[str, list[Callable[[Any], Any]]] = {
    "all": [lambda x: (x > 0).all(axis=0)],
    "any": [lambda x: (x > 0).any()],
    "argmax": [lambda x: x.argmax(), lambda x: x.argmax(axis=1)],
    "argmin": [lambda x: x.argmin(), lambda x: x.argmin(axis=0)],
    "argpartition": [lambda x: x.ravel()[x.ravel().argpartition(3)[3]]],
    "argsort": [lambda x: x.argsort()],
    "astype": [lambda x: x.astype(np.float64), lambda x: x.astype(complex)],
    "choose": [lambda x: (x > 0).astype(int).choose([1.0, 2.0])],
    "clip": [lambda x: x.clip(-0.5, 0.5), lambda x: x.clip(max=0.4)],
    "compress": [lambda x: x.compress([True, False, True], axis=0)],
    "conj": [lambda x: x.conj()],
    "conjugate": [lambda x: (x * 1j).conjugate()],
    "copy": [lambda x: x.copy()],
    "cumprod": [lambda x: x.cumprod(axis=1)],
    "cumsum": [lambda x: x.cumsum(), lambda x: x.cumsum(axis=0)],
    "diagonal": [lambda x: x.diagonal(1)],
    "dot": [lambda x: x.dot(B), lambda x: x.dot(x[0])],
    "flatten": [lambda x: x.flatten()],
    "max": [lambda x: x.max(), lambda x: x.max(axis=1, keepdims=True)],
    "mean": [lambda x: x.mean(), lambda x: x.mean(0)],
    "min": [lambda x: x.min(axis=-1)],
    "prod": [lambda x: x.prod(axis=0)],
    "ravel": [lambda x: x.ravel()],
    "repeat": [lambda x: x.repeat(2, axis=1)],
    "reshape": [lambda x: x.reshape(2, 6), lambda x: x.reshape((4, -1)), lambda x: x.reshape(-1)],
    "round": [lambda x: x.round(1)],
    "searchsorted": [lambda x: x[0].cumsum().searchsorted(0.1) * 0],
    "squeeze": [lambda x: x[:1].squeeze(), lambda x: x[:1].squeeze(axis=0)],
    "std": [lambda x: x.std(), lambda x: x.std(axis=0, ddof=1)],
    "sum": [lambda x: x.sum(), lambda x: x.sum(axis=0), lambda x: x.sum(1, keepdims=True)],
    "swapaxes": [lambda x: x.swapaxes(0, 1)],
    "take": [lambda x: x.take([0, 5]), lambda x: x.take([1], axis=1)],
    "trace": [lambda x: x.trace()],
    "transpose": [
        lambda x: x.transpose(),
        lambda x: x.T,
        lambda x: x.transpose(1, 0),
        lambda x: x.transpose((1, 0)),
    ],
    "var": [lambda x: x.var(axis=1)],
}
for _name, _calls in _METHOD_CALLS.items():
    for _call in _calls:
        case(_name, _call, A)

# -- SciPy ---------------------------------------------------------------------------------------------------

_UNIT = np.array([0.07, 0.31, 0.5, 0.77, 0.96])
_SPECIAL: dict[str, tuple[np.ndarray, ...]] = {
    "logit": (_UNIT,), "erfinv": (2 * _UNIT - 1.03,), "erfcinv": (2 * _UNIT,), "ndtri": (_UNIT,),
    "log_ndtr": (np.array([-40.0, -7.0, -1.0, 0.5, 6.0]),), "gammaln": (3 * P,), "loggamma": (3 * P,),
    "exp1": (P,), "expi": (v,), "spence": (P,), "entr": (P,), "rel_entr": (P, 1.4 * P[::-1]),
    "kl_div": (P, 1.4 * P[::-1]), "gammainc": (P, 2 * P[::-1]),
    "gammaincc": (P, 2 * P[::-1]), "beta": (P, P[::-1]), "betaln": (P, P[::-1]), "poch": (P, P[::-1]),
    "xlogy": (v, P), "xlog1py": (v, P), "boxcox": (P, v), "boxcox1p": (P, v), "inv_boxcox": (0.3 * v, v),
    "huber": (P, WIDE[:5]), "pseudo_huber": (P, WIDE[:5]), "sici": (P,), "log1p": (P,),
    "voigt_profile": (v, 0.5 + P, P),
}  # fmt: skip
for _name, _record in rules.special.BY_NAME.items():
    _ufunc = getattr(scipy.special, _name)
    if _name == "expn":
        case(_ufunc, lambda x: scipy.special.expn(2, x), P)
    elif _name == "hyp1f1":
        case(_ufunc, lambda x: scipy.special.hyp1f1(0.7, 1.9, x), P, rtol=1e-11)
    elif _name == "betainc":
        case(_ufunc, lambda x: scipy.special.betainc([0.5, 2.0, 7.0, 1.5, 3.0], 2.5, x), _UNIT)
    else:
        case(_ufunc, _ufunc, *_SPECIAL.get(_name, (v,)))


def _of_order(name: str, order: float) -> Callable[..., Any]:
    return lambda x: getattr(scipy.special, name)(order, x)


_OF_SCIPY: dict[str, Any] = {
    **{name: _of_order(name, 2.5) for name in ("jv", "yv", "iv", "kv", "ive", "kve", "struve")},
    **{name: _of_order(name, 3) for name in ("yn", "kn")},
    "eval_legendre": lambda x: scipy.special.eval_legendre(5, x),
    "eval_chebyt": lambda x: scipy.special.eval_chebyt(np.array([0, 1, 2, 5, 9]), x),
    "eval_chebyu": lambda x: scipy.special.eval_chebyu(4, x),
    "eval_gegenbauer": lambda x: scipy.special.eval_gegenbauer(4, 0.7, x),
    "eval_jacobi": lambda x: scipy.special.eval_jacobi(4, 0.7, -0.3, x),
    "eval_hermite": lambda x: scipy.special.eval_hermite(np.array([0, 1, 2, 5, 9]), x),
    "eval_hermitenorm": lambda x: scipy.special.eval_hermitenorm(6, x),
    "eval_laguerre": lambda x: scipy.special.eval_laguerre(5, x),
    "eval_genlaguerre": lambda x: scipy.special.eval_genlaguerre(5, 0.4, x),
    "hyp2f1": lambda x: scipy.special.hyp2f1(0.7, 1.9, 2.3, x),
    "hyp0f1": lambda x: scipy.special.hyp0f1(1.7, x),
    "hyperu": lambda x: scipy.special.hyperu(0.7, 1.4, x),
    "stdtr": lambda x: scipy.special.stdtr(4.5, x),
    "stdtrit": lambda x: scipy.special.stdtrit(4.5, x),
    "gammaincinv": lambda x: scipy.special.gammaincinv([0.5, 2.0, 7.0, 1.5, 3.0], x),
    "gammainccinv": lambda x: scipy.special.gammainccinv(2.5, x),
    "betaincinv": lambda x: scipy.special.betaincinv(2.5, 1.2, x),
    "owens_t": lambda x: scipy.special.owens_t(x, 2 * x[::-1]),
    "chdtr": lambda x: scipy.special.chdtr(3.0, x),
    "chdtrc": lambda x: scipy.special.chdtrc(3.0, x),
    "gdtr": lambda x: scipy.special.gdtr(1.3, 2.5, x),
    "gdtrc": lambda x: scipy.special.gdtrc(x, 2.5, 0.7),
    "binom": lambda x: scipy.special.binom(5.5 + x, 2.2 * x),
    "powm1": lambda x: scipy.special.powm1(x, 0.3 * x),
}
for _name in rules.special_of_scipy.BY_NAME:
    case(getattr(scipy.special, _name), _OF_SCIPY.get(_name, getattr(scipy.special, _name)), _UNIT)
case(scipy.special.xlogy, scipy.special.xlogy, np.zeros(3), np.array([0.0, 1.0, 2.0]), smooth=False)
case(scipy.special.expit, scipy.special.expit, np.float32(v), smooth=False, rtol=1e-6)


def scipy_case(function: Any, call: Callable[..., Any], *arrays: Any, rtol: float = 1e-12) -> None:
    """A SciPy function that is no ufunc: in a trace its rule stands in its place."""
    CASES.append(Case(function, call, tuple(np.asarray(a) for a in arrays), rtol=rtol, handed=True))


L = scipy.linalg
scipy_case(scipy.special.logsumexp, lambda f, x: f(x), 20 * A)
scipy_case(scipy.special.lambertw, lambda f, x: f(x).real, _UNIT)
scipy_case(scipy.special.lambertw, lambda f, x: f(-0.3 * x, -1).real, _UNIT)
scipy_case(scipy.special.logsumexp, lambda f, x, b: f(x, axis=1, b=b, keepdims=True), A, positive(3, 4))
scipy_case(scipy.special.logsumexp, lambda f, x, b: f(x, b=b, return_sign=True), v, -P)
scipy_case(scipy.special.softmax, lambda f, x: f(x, axis=1), A)
scipy_case(scipy.special.softmax, lambda f, x: f(x), A)
scipy_case(scipy.special.log_softmax, lambda f, x: f(x, axis=0), A)
scipy_case(scipy.special.polygamma, lambda f, x: f(2, x), P)
scipy_case(scipy.special.polygamma, lambda f, x: f(0, x), P)
scipy_case(scipy.special.zeta, lambda f, x: f(2.5, x), P)
scipy_case(scipy.special.zeta, lambda f, x: f(x), 1.5 + P)
scipy_case(scipy.special.multigammaln, lambda f, x: f(x, 3), 2 + P)
scipy_case(scipy.special.factorial, lambda f, x: f(x), 2 * P)
case(scipy.special.sinc, np.sinc, v)
for _trans in (False, True):
    scipy_case(L.solve, lambda f, a, b, t=_trans: f(a, b, transposed=t), M, numbers(3))
scipy_case(L.solve, lambda f, a, b: f(a, b, assume_a="pos"), S, numbers(3, 2))
scipy_case(L.inv, lambda f, a: f(a), M)
scipy_case(L.det, lambda f, a: f(a), M)
scipy_case(L.cholesky, lambda f, a: f(a), S)
scipy_case(L.cholesky, lambda f, a: f(a, lower=True), S)
scipy_case(L.cho_factor, lambda f, a: np.triu(f(a)[0]), S)
scipy_case(L.cho_solve, lambda f, c, b: f((c, True), b), np.linalg.cholesky(S), numbers(3))
for _trans in (0, "T"):
    scipy_case(L.solve_triangular, lambda f, a, b, t=_trans: f(a, b, lower=True, trans=t), M, numbers(3))
scipy_case(L.solve_triangular, lambda f, a, b: f(a, b, unit_diagonal=True), M, numbers(3, 2))
scipy_case(L.lu_factor, lambda f, a: f(a)[0], M)
scipy_case(L.lu_solve, lambda f, lu, b: f((lu, np.array([0, 2, 2])), b), M, numbers(3))
scipy_case(L.lu, lambda f, a: f(a), M)
scipy_case(L.qr, lambda f, a: f(a, mode="economic"), B, rtol=1e-11)
scipy_case(L.qr, lambda f, a: f(a), M, rtol=1e-11)
scipy_case(L.eigh, lambda f, a: tuple(np.abs(part) for part in f(a)), S, rtol=1e-11)
scipy_case(L.eigh, lambda f, a, b: f(a, b, eigvals_only=True), S, definite(3), rtol=1e-11)
scipy_case(L.eigh, lambda f, a, b: tuple(np.abs(part) for part in f(a, b)), S, definite(3), rtol=1e-10)
scipy_case(L.eigvalsh, lambda f, a: f(a), S, rtol=1e-11)
scipy_case(L.svd, lambda f, a: tuple(np.abs(part) for part in f(a, full_matrices=False)), A, rtol=1e-11)
scipy_case(L.svdvals, lambda f, a: f(a), A, rtol=1e-11)
scipy_case(L.expm, lambda f, a: f(a), M, rtol=1e-11)
scipy_case(L.expm, lambda f, a: f(a), np.stack([M, N]), rtol=1e-11)
scipy_case(L.norm, lambda f, a: f(a, 1), M)
scipy_case(L.lstsq, lambda f, a, b: f(a, b), B, numbers(4), rtol=1e-10)
scipy_case(L.pinv, lambda f, a: f(a), A, rtol=1e-11)
scipy_case(L.block_diag, lambda f, a, b: f(a, b, [[2.0]]), A, v)
scipy_case(L.toeplitz, lambda f, a, b: f(a, b), v, numbers(3))
scipy_case(L.toeplitz, lambda f, a: f(a), v)
scipy_case(L.circulant, lambda f, a: f(a), v)
for _name, _settings in {
    "euclidean": {},
    "sqeuclidean": {"w": [1.0, 2.0, 0.5]},
    "cityblock": {"w": [1.0, 2.0, 0.5]},
    "chebyshev": {},
    "minkowski": {"p": 3.0, "w": [1.0, 2.0, 0.5]},
    "cosine": {},
    "correlation": {},
    "canberra": {},
    "braycurtis": {},
    "seuclidean": {},
    "mahalanobis": {},
}.items():
    scipy_case(
        scipy.spatial.distance.cdist,
        lambda f, a, b, n=_name, s=_settings: f(a, b, n, **s),
        4 + numbers(3, 3),
        4.05 + numbers(4, 3),
        rtol=1e-11,
    )
    scipy_case(
        scipy.spatial.distance.pdist,
        lambda f, a, n=_name, s=_settings: f(a, n, **s),
        4 + numbers(6, 3),
        rtol=1e-11,
    )
scipy_case(scipy.spatial.distance.squareform, lambda f, a: f(a), numbers(6))
scipy_case(scipy.spatial.distance.squareform, lambda f, a: f(a, checks=False), M)
scipy_case(scipy.integrate.trapezoid, lambda f, y: f(y, dx=0.5), A)
scipy_case(scipy.integrate.cumulative_trapezoid, lambda f, y, x: f(y, x, initial=0), A, numbers(4))
scipy_case(scipy.integrate.cumulative_trapezoid, lambda f, y: f(y, axis=0), A)
scipy_case(scipy.integrate.simpson, lambda f, y: f(y, x=np.array([0.0, 0.4, 1.0, 1.1, 2.0])), v)
for _name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
    scipy_case(getattr(scipy.fft, _name), lambda f, x: f(x, n=6), v)
for _name in ("fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"):
    scipy_case(getattr(scipy.fft, _name), lambda f, x: f(x), T)
for _name in ("fftshift", "ifftshift"):
    scipy_case(getattr(scipy.fft, _name), lambda f, x: f(x), v)
for _name in ("dct", "idct", "dst", "idst"):
    for _type in (1, 2, 3, 4):
        scipy_case(getattr(scipy.fft, _name), lambda f, x, t=_type: f(x, t, axis=0), B)
    scipy_case(getattr(scipy.fft, _name), lambda f, x: f(x, n=6, norm="ortho"), v)
    scipy_case(getattr(scipy.fft, f"{_name}n"), lambda f, x: f(x, norm="ortho"), B)
    scipy_case(getattr(scipy.fft, f"{_name}n"), lambda f, x: f(x, s=[3, 5], axes=(1, 0)), B)
