"""Interpolators of `scipy.interpolate` as a trace meets them: values that are parameters, and places that are.

An interpolator whose values are parameters is linear in them: SciPy makes it once for the unit vectors, and at fixed
places it is a matrix times the parameters. At places that depend on the parameters it is a polynomial in each piece.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import call_rule, is_traced, made, names_in
from .explain import no_rule
from .kinds import kind_called
from .rules import BUILD_ARRAY


def interpolator_class(plain: type) -> type | None:
    """A class of `scipy.interpolate` that can also be made of traced values; None for one that is left as it is."""
    if plain.__name__ not in _MADE_OF_VALUES:
        return None
    make = _MADE_OF_VALUES[plain.__name__]

    def called(*args: Any, **settings: Any) -> Any:
        if is_traced(args) or is_traced(settings):
            return make(plain, *args, **settings)
        return Interpolator(plain(*args, **settings))

    kind: type = kind_called(plain, called, (plain,))
    return kind


def interpolating(plain: Callable[..., Any]) -> Callable[..., Any] | None:
    """`make_interp_spline` or `splev`, which also take traced values; None for another function."""

    def evaluate(x: Any, tck: Any, der: int = 0, ext: int = 0) -> Any:
        if not is_traced((x, tck)):
            return made(plain(x, tck, der, ext))
        from scipy.interpolate import BSpline

        if ext != 0 or not isinstance(tck, tuple):
            raise no_rule("splev with ext", names_in((x, tck)))
        knots, c, k = tck
        c = c[: len(knots) - k - 1]
        spline = _b_spline(BSpline, knots, c, k) if is_traced(c) else Interpolator(BSpline(knots, c, k))
        return spline(x, der)

    if plain.__name__ == "splev":
        return evaluate
    if plain.__name__ != "make_interp_spline":
        return None

    def make(*args: Any, **settings: Any) -> Any:
        if is_traced(args) or is_traced(settings):
            return _linear(plain, *args, **settings)
        return Interpolator(plain(*args, **settings))

    return make


class Interpolator:
    """An interpolator: itself at plain places; `values`, if given, are what the unit vectors in it stand for."""

    def __init__(self, plain: Any, values: Any = None) -> None:
        self._plain = plain
        self._values = values

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` sees."""
        return type(self._plain)

    def __call__(self, x: Any, *args: Any, **settings: Any) -> Any:
        """The values at places `x`."""
        if is_traced(x) or is_traced(args) or is_traced(settings):
            if self._values is None and pieces_of(self._plain) is None:
                return self._plain(x, *args, **settings)  # SciPy refuses, and the user's line is named
            return self._pieces(x)(x, *args, **settings)
        return self._of_values(self._plain(x, *args, **settings))

    def derivative(self, *args: Any, **settings: Any) -> Any:
        """The derivative as an interpolator, or its values where SciPy's method takes the places."""
        if is_traced(args) or is_traced(settings):
            raise no_rule(f"{type(self._plain).__name__}.derivative", names_in((args, settings)))
        found = self._plain.derivative(*args, **settings)
        return Interpolator(found, self._values) if callable(found) else self._of_values(found)

    def antiderivative(self, nu: int = 1) -> Interpolator:
        """The integral from the left end, `nu` times."""
        return Interpolator(self._plain.antiderivative(nu), self._values)

    def integrate(self, a: Any, b: Any, extrapolate: Any = None) -> Any:
        """The integral from `a` to `b`."""
        if is_traced((a, b)):
            if (self._plain.extrapolate if extrapolate is None else extrapolate) is not True:
                raise no_rule(
                    f"{type(self._plain).__name__}.integrate without extrapolation", names_in((a, b))
                )
            whole = self.antiderivative()
            return whole(b) - whole(a)
        return self._of_values(self._plain.integrate(a, b, extrapolate))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._plain, name)
        if self._values is not None:
            raise no_rule(f"{type(self._plain).__name__}.{name} of values", names_in(self._values))
        return made(found)

    def _of_values(self, found: Any) -> Any:
        return made(found) if self._values is None else np.tensordot(found, self._values, 1)

    def _pieces(self, x: Any) -> Pieces:
        found = pieces_of(self._plain)
        if found is None:
            raise no_rule(f"{type(self._plain).__name__} at places", names_in(x))
        breaks, coefficients, beyond = found
        return Pieces(breaks, self._of_values(coefficients), beyond)


class Pieces:
    """Polynomials from `breaks[k]` to `breaks[k+1]`, shape (m+1,).

    Coefficients, highest power first, shape (degree+1, m, ...). `beyond`: True where the outer ones go on, "periodic"
    where they begin again, else the values left and right.
    """

    def __init__(self, breaks: np.ndarray, coefficients: Any, beyond: Any) -> None:
        self._breaks = made(breaks)
        self._coefficients = made(coefficients)
        self._beyond = beyond

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        """The values, or the derivatives of order `nu`, at places `x`."""
        beyond = self._beyond if extrapolate is None else (extrapolate or (np.nan, np.nan))
        breaks, degree = self._breaks, len(self._coefficients) - 1
        places, trailing = np.reshape(x, (-1,)), np.shape(self._coefficients)[2:]
        if isinstance(beyond, str):
            places = breaks[0] + np.mod(places - breaks[0], breaks[-1] - breaks[0])
        piece = np.clip(np.searchsorted(breaks, places, side="right") - 1, 0, len(breaks) - 2)
        offset = np.reshape(places - breaks[piece], (-1, *(1,) * len(trailing)))
        value: Any = 0.0 * offset + np.zeros(trailing)
        for k in range(degree + 1 - nu):
            factor = math.perm(degree - k, nu)
            value = value * offset + factor * self._coefficients[k][piece]
        if isinstance(beyond, tuple):
            left = np.reshape(places < breaks[0], np.shape(offset))
            right = np.reshape(places > breaks[-1], np.shape(offset))
            value = np.where(left, beyond[0], np.where(right, beyond[1], value))
        return np.reshape(value, (*np.shape(x), *trailing))

    def derivative(self, nu: int = 1) -> Pieces:
        """The derivative of order `nu`."""
        degree = len(self._coefficients) - 1
        kept = max(degree + 1 - nu, 0)
        factors = [math.perm(degree - k, nu) for k in range(kept)] or [0]
        rows = [factor * self._coefficients[k] for k, factor in enumerate(factors)]
        return Pieces(self._breaks, np.stack(rows), self._beyond)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise no_rule(f"the method .{name} of an interpolator", names_in(self._coefficients))


class _Filled(Interpolator):
    """`interp1d` whose values are parameters, with given values outside its places."""

    def __init__(self, plain: Any, values: Any, left: Any, right: Any) -> None:
        super().__init__(plain, values)
        self._sides = left, right

    def __call__(self, x: Any, *args: Any, **settings: Any) -> Any:
        """The values at places `x`."""
        found, (left, right) = super().__call__(x, *args, **settings), self._sides
        x = np.reshape(x, (*np.shape(x), *(1,) * (np.ndim(found) - np.ndim(x))))
        return np.where(x < self._plain.x[0], left, np.where(x > self._plain.x[-1], right, found))


def pieces_of(plain: Any) -> tuple[np.ndarray, np.ndarray, Any] | None:
    """Breaks, coefficients and what is beyond the ends, as `Pieces` has them; None where SciPy's object has none."""
    from scipy import interpolate

    if isinstance(plain, interpolate.PPoly):
        if plain.axis != 0:
            return None
        return plain.x, plain.c, plain.extrapolate or (np.nan, np.nan)
    if isinstance(plain, interpolate.UnivariateSpline):
        return pieces_of(interpolate.BSpline(*plain._eval_args)) if plain.ext in (0, "extrapolate") else None
    if isinstance(plain, interpolate.interp1d):
        beyond = plain._extrapolate or (plain._fill_value_below, plain._fill_value_above)
        if plain._kind == "linear" and plain._y.ndim == 2 and plain.axis == 0:
            values = plain._y[:, 0] if plain.y.ndim == 1 else plain._y
            widths = np.diff(plain.x).reshape(-1, *(1,) * (values.ndim - 1))
            return plain.x, np.stack([np.diff(values, axis=0) / widths, values[:-1]]), beyond
        return None
    if isinstance(plain, interpolate.BSpline) and plain.axis == 0:
        breaks = np.unique(plain.t[plain.k : len(plain.t) - plain.k])
        powers = range(plain.k, -1, -1)
        rows = [plain(breaks[:-1], nu=power, extrapolate=True) / math.factorial(power) for power in powers]
        return breaks, np.stack(rows), plain.extrapolate or (np.nan, np.nan)
    return None


# -- made of values that are parameters ----------------------------------------------------------------------------


def _linear(make: Callable[..., Any], *args: Any, **settings: Any) -> Any:
    """What SciPy makes of `y` linearly, once for the unit vectors."""
    (_, x), (_, y), *others = inspect.signature(make).bind(*args, **settings).arguments.items()
    given = dict(others)
    axis = given.pop("axis", -1 if make.__name__ == "interp1d" else 0)
    sides = None if isinstance(given.get("fill_value"), str) else given.pop("fill_value", None)
    if is_traced(x) or is_traced(given) or axis not in (0, -1):
        raise no_rule(f"{make.__name__} with more than its values", names_in((x, given)))
    y = _array(y)
    if np.ndim(y) > 1 and axis == -1:
        raise no_rule(f"{make.__name__} of several axes", names_in(y))
    if make.__name__ == "interp1d":
        given["axis"] = 0
    _only_named_ends(make, given.get("bc_type"), y)
    plain = make(x, np.eye(len(y)), **given)
    if sides is None:
        return Interpolator(plain, y)
    left, right = sides if isinstance(sides, tuple) and len(sides) == 2 else (sides, sides)
    return _Filled(plain, y, left, right)


def _only_named_ends(make: Callable[..., Any], bc_type: Any, y: Any) -> None:
    if bc_type is None:
        return
    if not isinstance(bc_type, str) and not all(side is None or isinstance(side, str) for side in bc_type):
        raise no_rule(f"{make.__name__} with slopes given at its ends", names_in((y, bc_type)))
    if bc_type == "periodic":
        raise no_rule(f"{make.__name__} of a period", names_in(y))


def _cubic(
    make: Callable[..., Any],
    x: Any,
    y: Any,
    axis: int = 0,
    bc_type: Any = "not-a-knot",
    extrapolate: Any = None,
) -> Any:
    return _linear(make, x, y, axis=axis, bc_type=bc_type, extrapolate=extrapolate)


def _b_spline(
    make: Callable[..., Any], t: Any, c: Any, k: Any, extrapolate: Any = True, axis: int = 0
) -> Any:
    if is_traced((t, k)) or axis != 0:
        raise no_rule("BSpline with more than its coefficients", names_in((t, k)))
    c = _array(c)
    return Interpolator(make(t, np.eye(len(c)), k, extrapolate), c)


def _shape_preserving(
    make: Callable[..., Any], x: Any, y: Any, axis: int = 0, extrapolate: Any = None
) -> Any:
    """`PchipInterpolator`: a cubic in each piece whose slopes keep what rises rising (Fritsch & Butland 1984)."""
    if is_traced(x) or np.ndim(y) != 1:
        raise no_rule("PchipInterpolator with more than a row of values", names_in((x, y)))
    x, y = np.asarray(x, dtype=float), _array(y)
    make(x, np.zeros(np.shape(y)))  # SciPy's own errors where the places do not fit
    h, rise = np.diff(x), np.diff(y) / np.diff(x)
    if len(x) == 2:
        slopes = np.concatenate([rise, rise])
    else:
        before, after = rise[:-1], rise[1:]
        same = before * after > 0
        first, second = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
        mean = (first + second) / (first / np.where(same, before, 1.0) + second / np.where(same, after, 1.0))
        ends = [_end_slope(h[0], h[1], rise[0], rise[1]), _end_slope(h[-1], h[-2], rise[-1], rise[-2])]
        slopes = np.concatenate([ends[0][None], np.where(same, mean, 0.0), ends[1][None]])
    return _of_slopes(x, y, slopes, extrapolate)


def _hermite(
    make: Callable[..., Any], x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Any = None
) -> Any:
    if is_traced(x) or np.ndim(y) != 1:
        raise no_rule("CubicHermiteSpline with more than rows of values and slopes", names_in((x, y)))
    still = np.zeros(np.shape(_array(y)))
    make(x, still, still)  # SciPy's own errors where the places do not fit
    return _of_slopes(np.asarray(x, dtype=float), y, dydx, extrapolate)


def _of_slopes(x: np.ndarray, y: Any, slopes: Any, extrapolate: Any) -> Pieces:
    """The cubic in each piece that has these values and slopes at its ends."""
    y, slopes = _array(y), _array(slopes)
    h, rise, left, right = np.diff(x), np.diff(y) / np.diff(x), slopes[:-1], slopes[1:]
    rows = [(left + right - 2 * rise) / h**2, (3 * rise - 2 * left - right) / h, left, y[:-1]]
    return Pieces(x, np.stack(rows), True if extrapolate is None else extrapolate or (np.nan, np.nan))


def _array(values: Any) -> Any:
    return call_rule(BUILD_ARRAY, (values,), {}) if isinstance(values, (list, tuple)) else values


def _end_slope(near: float, far: float, rise: Any, next_rise: Any) -> Any:
    """The slope at an end by three points, held back where it would leave the shape (Moler 2004, sec. 3.6)."""
    slope = ((2 * near + far) * rise - near * next_rise) / (near + far)
    steep = (rise * next_rise < 0) & (np.abs(slope) > 3 * np.abs(rise))
    return np.where(slope * rise <= 0, 0.0, np.where(steep, 3 * rise, slope))


_MADE_OF_VALUES: dict[str, Callable[..., Any]] = {
    "CubicSpline": _cubic,
    "BSpline": _b_spline,
    "CubicHermiteSpline": _hermite,
    "PchipInterpolator": _shape_preserving,
    "interp1d": _linear,
    "KroghInterpolator": _linear,
    "BarycentricInterpolator": _linear,
}
