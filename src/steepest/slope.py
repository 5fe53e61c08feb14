"""The slope of a cost at one or many points: how high, how steep, and which way is down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .bounds import Bounds
from .cost import Cost, check_derivatives, plain_value, read_cost
from .errors import InputError, SteepestError
from .numerics import EPS
from .parameters import Parameters
from .results import FALLING, FLAT, NO_SLOPE_HERE, RISING, LimitRow, Slope, SlopePoint
from .traced import evaluation

Vector = np.ndarray

# Steps of the definition of the slope: far enough down to show rounding spoil the secant.
LIMIT_STEPS = tuple(10.0**-k for k in range(16))


def slope(
    f: Any, at: Any, *, args: tuple[Any, ...] = (), limit: bool = False, derivatives: str = "auto"
) -> Slope:
    """Value, slope and direction of a cost at one or many points.

    Parameters
    ----------
    f : function of the parameters, or an expression such as "x**2 - 2*x + 3".
    at : where. A number, or a list of numbers for several points of a cost of one parameter. For several
        parameters: one point as a dict, an array or a list, or several as a list of these. A list of numbers is
        one point if the cost reduces it to one number, otherwise it is several points; to find out, the cost may
        be run once for each of the two readings.
    args : further arguments of `f`.
    limit : also give the secant slopes for shrinking steps h, the definition of the slope (one parameter only).
    derivatives : "exact" (from the trace), "numeric" (by differences), or "auto": exact unless `f` is compiled.

    Returns
    -------
    Slope : its points carry `at`, `value`, `slope`, `direction` and `tangent(x)`. Where no slope exists
        `direction` is "no slope here" and `left`, `right` hold the one-sided slopes; where the cost jumps,
        `left_value` and `right_value` hold it just beside.

    Raises
    ------
    InputError : `at` does not fit the cost.
    TracingError : the cost cannot be traced.

    >>> print(*(f"{p.slope:g} {p.direction}" for p in slope("x**2 - 2*x + 3", at=[-1, 1, 3])), sep=", ")
    -4 falling, 0 flat, 4 rising
    """
    args = args if isinstance(args, tuple) else (args,)
    places, cost, measure = _read(f, at, args, derivatives)
    points = tuple(_point(measure, place) for place in places)
    single = places[0].n == 1
    if limit and not single:
        raise InputError("limit=True draws the definition for one parameter; give a cost of one parameter")
    table = tuple(_limit(measure.value, place) for place in places) if limit else None
    names = cost.names if cost.names and len(cost.names) == places[0].n else places[0].names
    curve = _curve(measure.value) if single and places[0].leaves[0].shape == () else None
    return Slope(points, names, table, curve, measure.derivatives, cost.label)


class _Measure:
    """Value and gradient of one cost on flat vectors, and how far each kink is from a point."""

    def __init__(self, cost: Cost, parameters: Parameters, args: tuple[Any, ...], derivatives: str) -> None:
        check_derivatives(derivatives)
        if cost.is_measured(derivatives):
            self.derivatives = "numeric"
            self._trace = None
            from .derivatives.numeric import NumericDerivatives

            self.value = plain_value(cost, parameters, args)
            self.value(parameters.vector)  # a cost that does not take parameters of this form says so here
            self.value_and_gradient = NumericDerivatives(
                self.value, Bounds.none(parameters.n)
            ).value_and_gradient
        else:
            self.derivatives = "exact"
            trace = cost.trace(parameters, args)
            if np.prod(trace.shape) != 1:
                raise InputError(
                    f"{cost.label} returns an array of shape {trace.shape} for parameters of shape "
                    f"{parameters.leaves[0].shape}; a cost is one number, for instance np.sum(...) of it"
                )
            self._trace = trace
            exact_value = evaluation(trace, "value")
            self.value = lambda x: float(exact_value(x)[0])
            self.value_and_gradient = evaluation(trace, "value_and_gradient")

    def near_kink(self, x: Vector) -> bool:
        """Whether some operation of the cost is, at `x`, where it has no single slope."""
        if self._trace is None:
            return True  # nothing can be read off compiled code: always look at both sides
        from .structure.facts import read

        kept = self._trace.kept
        if "structure" not in kept:
            kept["structure"] = read(self._trace.jaxpr)
        kinks = kept["structure"].kinks
        return bool(kinks.opaque or (kinks and kinks.near(x, 4 * np.spacing(np.abs(x)))))


def _read(
    f: Any, at: Any, args: tuple[Any, ...], derivatives: str
) -> tuple[list[Parameters], Cost, _Measure]:
    """Decide whether `at` is one point or several, by what the cost accepts."""
    if isinstance(at, (range, map, zip, filter)) or hasattr(at, "__next__"):
        at = list(at)
    readings = list(_readings(at))
    first_error: SteepestError | Exception | None = None
    for structures in readings:
        try:
            cost = read_cost(f, structures[0], args)
            places = [Parameters.of(structure, cost.first) for structure in structures]
            if len({place.key for place in places}) > 1:
                raise InputError("the points have different shapes; give them one by one")
            return places, cost, _Measure(cost, places[0], args, derivatives)
        except (InputError, TypeError, IndexError, ValueError) as error:
            if len(readings) == 1:
                raise
            first_error = first_error if first_error is not None else error
    assert first_error is not None
    raise first_error


def _readings(at: Any) -> list[list[Any]]:
    """The ways `at` can be read as a list of points, the likelier first."""
    if isinstance(at, Mapping) or not isinstance(at, (list, tuple, np.ndarray)) or np.ndim(at) == 0:
        return [[at]]
    if len(at) == 0:
        raise InputError("at is empty; give at least one point")
    if isinstance(at, np.ndarray) or all(isinstance(value, (int, float, np.number)) for value in at):
        rows = list(at) if np.ndim(at) == 1 else [np.asarray(row) for row in at]
        whole = np.asarray(at, dtype=np.float64)
        if np.ndim(at) == 1:
            return [[whole], rows] if len(at) > 1 else [rows, [whole]]
        return [rows, [whole]]
    return [list(at), [at]]


def _point(measure: _Measure, place: Parameters) -> SlopePoint:
    x = place.vector
    value, gradient = measure.value_and_gradient(x)
    value, gradient = float(value), np.array(gradient, dtype=np.float64)
    left = right = left_value = right_value = None
    broken = ~np.isfinite(gradient)
    if np.isnan(value) and not _has_values_beside(measure.value, x):
        # The derivative's formula may give a number where the cost itself has none, as 1/x does left of log(x).
        broken[:], gradient = True, np.full(x.size, np.nan)
        left = right = gradient
    elif broken.any() or measure.near_kink(x):
        left, right = _one_sided(measure, x)
        with np.errstate(invalid="ignore"):
            parted = ~(np.abs(left - right) <= 1e-6 * np.maximum(np.abs(left), np.abs(right)) + 1e-9)
        jump = np.array([_jumps(measure.value, x, k, value) for k in range(place.n)])
        # Where the formula gives no number but both sides agree, there is a slope all the same.
        mended = broken & ~parted & ~jump & np.isfinite(left) & np.isfinite(right)
        gradient = np.where(mended, 0.5 * (left + right), gradient)
        broken = (broken & ~mended) | parted | jump
        gradient = np.where(broken, np.nan, gradient)
        if jump.any():
            left_value, right_value = (_beside(measure.value, x, side, jump, value) for side in (-1.0, 1.0))
    directions = _directions(measure, x, gradient, broken)
    one_sided = broken.any()
    return SlopePoint(
        at=_plain(place, x),
        value=value,
        slope=_plain(place, gradient),
        direction=_words(place, directions),
        left=_plain(place, left) if one_sided and left is not None else None,
        right=_plain(place, right) if one_sided and right is not None else None,
        left_value=_plain(place, left_value),
        right_value=_plain(place, right_value),
    )


def _directions(measure: _Measure, x: Vector, gradient: Vector, broken: np.ndarray) -> list[str]:
    """Falling, flat or rising; flat when the slope is no larger than its own rounding error.

    The rounding error is what the slope changes by when each parameter moves by one spacing of double
    precision numbers, plus the spacing of the slope's own terms.
    """
    rounding = np.zeros_like(gradient)
    small = np.abs(gradient) <= 1e-6 * (1 + np.abs(gradient).max(initial=0.0))
    if small.any():
        for nudge in (1 + EPS, 1 - EPS):
            _, other = measure.value_and_gradient(x * nudge)
            rounding = np.fmax(rounding, np.abs(np.asarray(other) - gradient))
    words = []
    for k, steepness in enumerate(gradient):
        if broken[k] or not np.isfinite(steepness):
            words.append(NO_SLOPE_HERE)
        elif abs(steepness) <= rounding[k]:
            words.append(FLAT)
        else:
            words.append(FALLING if steepness < 0 else RISING)
    return words


# Slopes beside a point that differ by more than this from their limit have none.
UNSETTLED = 1e-3


def _one_sided(measure: _Measure, x: Vector) -> tuple[Vector, Vector]:
    """Slopes from the left and from the right, each extrapolated to the point from beside it.

    Richardson's extrapolation of f'(x ± h) for h → 0 (three values, error of order h³).
    """
    left, right = np.full(x.size, np.nan), np.full(x.size, np.nan)
    for k in range(x.size):
        for side, found in ((-1.0, left), (1.0, right)):
            found[k] = _limit_from(measure, x, k, side)
    return left, right


def _limit_from(measure: _Measure, x: Vector, k: int, side: float) -> float:
    best, best_error = np.nan, np.inf
    nearest: list[float] = []
    for exponent in (12, 18, 24, 30):
        h = 2.0**-exponent * max(1.0, abs(x[k]))
        one, two, four = (_slope_beside(measure, x, k, side * h / part) for part in (1, 2, 4))
        nearest.append(four)
        # Cancels the terms in h and h².
        extrapolated = (8 * four - 6 * two + one) / 3
        error = abs(extrapolated - (2 * four - two))
        if error < best_error:
            best, best_error = extrapolated, error
    if _grows_for_ever(nearest):
        return float(np.copysign(np.inf, nearest[-1]))
    if not best_error <= UNSETTLED * max(abs(best), 1.0):
        return _by_secants(measure, x, k, side)
    return float(best)


def _by_secants(measure: _Measure, x: Vector, k: int, side: float) -> float:
    """The one-sided slope by its definition, for costs whose slope beside the point never settles.

    x² sin(1/x) is one: its slope swings between -1 and 1 all the way to zero, where it is 0.
    """
    here = measure.value(x)
    found = []
    for exponent in (16, 22, 28, 34):
        beside = x.copy()
        beside[k] += side * 2.0**-exponent * max(1.0, abs(x[k]))
        found.append((measure.value(beside) - here) / (beside[k] - x[k]))
    change = abs(found[-1] - found[-2])
    if not change <= UNSETTLED * max(abs(found[-1]), 1.0):
        return np.nan
    # What is no larger than it still changes by, ever less, is on its way to zero.
    sizes = np.abs(found)
    vanishing = sizes[-1] <= 2.0**-8 * sizes.max() or sizes[-1] <= 4.0 * change
    return 0.0 if vanishing and sizes[-1] <= UNSETTLED else float(found[-1])


def _grows_for_ever(slopes: list[float]) -> bool:
    """Whether slopes ever closer to a point do not settle: their changes fail to shrink."""
    changes = np.abs(np.diff(slopes))
    unsettled = (changes > 1e-3 * np.abs(slopes[1:])).all() and (np.diff(changes) > -0.5 * changes[:-1]).all()
    return bool(np.isinf(slopes[-1]) or unsettled)


def _slope_beside(measure: _Measure, x: Vector, k: int, step: float) -> float:
    beside = x.copy()
    beside[k] += step
    value, gradient = measure.value_and_gradient(beside)
    return (
        float(gradient[k]) if np.isfinite(value) else np.nan
    )  # beyond the edge of where the cost has values


def _has_values_beside(value: Callable[[Vector], float], x: Vector) -> bool:
    """Whether the cost is a number a little to one side of `x`, as sin(x)/x is beside zero."""
    step = 2.0**-40 * np.maximum(1.0, np.abs(x))
    return not (np.isnan(value(x - step)) and np.isnan(value(x + step)))


def _jumps(value: Callable[[Vector], float], x: Vector, k: int, here: float) -> bool:
    """Whether the cost leaps at `x` along parameter k: its change does not shrink with the step."""
    for side in (-1.0, 1.0):
        changes = []
        for exponent in (20, 30, 40):
            beside = x.copy()
            beside[k] += side * 2.0**-exponent * max(1.0, abs(x[k]))
            changes.append(abs(value(beside) - here))
        if changes[2] > 0.9 * changes[0] and changes[2] > 1e-9 * max(1.0, abs(here)):
            return True
    return False


def _beside(
    value: Callable[[Vector], float], x: Vector, side: float, jump: np.ndarray, here: float
) -> Vector:
    """The cost just to one side of `x` along each parameter, as near as the last step that `_jumps` takes.

    Along those without a `jump` it is the cost `here`: so short a step changes it by its slope and rounding alone.
    """
    found = np.full(x.size, here)
    for k in np.flatnonzero(jump):
        beside = x.copy()
        beside[k] += side * 2.0**-40 * max(1.0, abs(x[k]))
        found[k] = value(beside)
    return found


def _limit(value: Callable[[Vector], float], place: Parameters) -> tuple[LimitRow, ...]:
    """Secant slopes (f(x + h) - f(x)) / h and (f(x) - f(x - h)) / h for shrinking h."""
    x, here = place.vector, value(place.vector)
    return tuple(LimitRow(h, (value(x + h) - here) / h, (here - value(x - h)) / h) for h in LIMIT_STEPS)


def _curve(value: Callable[[Vector], float]) -> Callable[[np.ndarray], np.ndarray]:
    def curve(xs: np.ndarray) -> np.ndarray:
        """The cost at each of `xs`, any shape."""
        xs = np.asarray(xs, dtype=np.float64)
        return np.array([value(np.array([x])) for x in xs.ravel()]).reshape(xs.shape)

    return curve


def _plain(place: Parameters, vector: Vector | None) -> Any:
    if vector is None:
        return None
    found = place.restore(vector)
    return float(found) if isinstance(found, np.floating) else found


def _words(place: Parameters, words: list[str]) -> Any:
    pieces: list[Any] = []
    for leaf in place.leaves:
        if leaf.shape == ():
            pieces.append(words[leaf.start])
        else:
            pieces.append(np.array(words[leaf.start : leaf.stop], dtype=object).reshape(leaf.shape))
    return place.build(iter(pieces))
