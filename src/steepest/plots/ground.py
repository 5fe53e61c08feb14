"""The cost around a point: sampled along lines and over planes, inside its bounds and within a stated time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from ..bounds import Bounds
from ..errors import InputError, TracingError
from ..parameters import Parameters
from ..presentation.text import flat, names_of
from ..results import Result
from ..verdict.wording import direction_name

Vector = np.ndarray

# Places on a line and along each side of a plane, where the cost is quick enough.
LINE_PLACES, PLANE_PLACES = 241, 80
# The same for constraints, whose limits are drawn as lines between the places.
LIMIT_PLACES = 61
# Fewer would show a shape the cost does not have.
FEWEST_ON_LINE, FEWEST_ON_PLANE = 25, 13
# Seconds a picture may spend on the cost before it takes fewer places.
PATIENCE = 6.0
# Second derivatives are asked for up to here: their matrix and its directions cost well under a second.
CURVATURE_PARAMETERS = 200
# A direction's reach where nothing else is known: this share of the size of the parameters.
BLIND_REACH = 0.5
# How far beyond the walk a picture shows, as a share of it.
BEYOND = 0.25
# A walk whose last point is so many times further out than its usual one has run away.
FAR = 30.0


@dataclass(frozen=True)
class Ground:
    """A cost of `n` free parameters around one point.

    `value` and `gradient` take and give flat vectors (n,); `gradient` and `hessian` are None where they are not to
    be had. `walk`: kept iterates (r, n) and their costs (r,), or None. `found`: whether `center` is where a walk
    ended. `name`: what the cost is called. `limits`: of constraints, how far x (n,) lies beyond the worst limit of the
    inequalities (below zero where all are met), and what the equalities miss, (k,); None without constraints.
    """

    value: Callable[[Vector], float]
    gradient: Callable[[Vector], Vector] | None
    hessian: Callable[[Vector], Vector] | None
    center: Vector
    names: Sequence[str]
    bounds: Bounds
    name: str
    walk: tuple[Vector, Vector] | None = None
    found: bool = False
    limits: Callable[[Vector], tuple[float, Vector]] | None = None

    @property
    def n(self) -> int:
        """Number of free parameters."""
        return int(self.center.size)


def ground_of(source: Any, at: Any = None) -> Ground:
    """The ground under a result, or under a function or expression around `at`.

    Raises:
        InputError: a function without `at=`, or a result that was stored without its cost.
    """
    if hasattr(source, "verdict") or hasattr(source, "history"):
        return _under_result(source, at)
    if at is None:
        raise InputError("plots.landscape needs at=, the point around which the cost is drawn")
    return _under_function(source, at)


def _under_result(result: Any, at: Any) -> Ground:
    problem = getattr(result, "_problem", None)
    walk = _walk_of(result)
    name = getattr(result, "label", "") or "cost"
    if problem is not None:
        center = problem.parameters.flatten(result.x if at is None else at)
        center = center if problem.free is None else center[problem.free]
        center, found = (center, False) if at is not None else _in_sight(center, walk)
        ground = _of_problem(problem, center, name, walk, found=found)
        return replace(ground, limits=_limits_of(result, problem))
    if getattr(result, "_setting", None) is not None:
        return _under_fit(result, at, name, walk)
    if not keeps_its_cost(result):
        raise InputError(
            "this result was stored without its cost, so only its history can be drawn: plots.convergence(result)"
        )
    parameters = Parameters.of(result.x)
    center, found = (parameters.flatten(at), False) if at is not None else _in_sight(parameters.vector, walk)
    names = names_of(parameters.n, getattr(result, "names", ()) or ())
    return Ground(
        lambda x: float(result.cost(parameters.restore(x))), None, None, center, names,
        Bounds.none(parameters.n), name, walk, found,
    )  # fmt: skip


def _limits_of(result: Any, problem: Any) -> Callable[[Vector], tuple[float, Vector]] | None:
    """What `Ground.limits` is for the constraints of a result; None where it has none."""
    asked = getattr(result, "_asked", None) or {}
    if asked.get("constraints") is None:
        return None
    from ..constraints.reading import read

    rows = read(asked["constraints"], problem, asked.get("derivatives", "auto"))
    if rows is None:
        return None
    equal = rows.equality

    def limits(x: Vector) -> tuple[float, Vector]:
        values = rows.value(x)
        beyond = np.maximum(rows.lower - values, values - rows.upper)[~equal]
        return float(beyond.max(initial=-np.inf)), (values - rows.lower)[equal]

    return limits


def _under_fit(fit: Any, at: Any, name: str, walk: tuple[Vector, Vector] | None) -> Ground:
    """The sum of squares of a fit over the parameters that moved."""
    residuals = fit._setting.residuals
    moving = [int(k) for k in fit.moving]
    center = np.array(fit._z, dtype=float) if at is None else Parameters.of(at).vector[moving]
    center, found = (center, False) if at is not None else _in_sight(center, walk)

    def gradient(z: Vector) -> Vector:
        return np.asarray(residuals.value_and_gradient(z)[1], dtype=float)

    bends = residuals.function.curvature is not None
    return Ground(
        lambda z: float(residuals.value(z)), gradient, residuals.hessian if bends else None,
        center, [str(fit.names[k]) for k in moving], fit._setting.bounds, name, walk, found,
    )  # fmt: skip


def _in_sight(end: Vector, walk: tuple[Vector, Vector] | None) -> tuple[Vector, bool]:
    """The end of a walk, or where it was last seen before it ran away, and which of the two."""
    if walk is None:
        return end, True
    seen = in_view(walk[0])
    return (end, True) if len(seen) == len(walk[0]) else (seen[-1], False)


def values_of(result: Any) -> Vector:
    """The parameters of a result in a row, shape (n,); the `x` of a fit are its data."""
    return np.asarray(result.params if hasattr(result, "predict") else flat(result.x), dtype=float).ravel()


def keeps_its_cost(result: Any) -> bool:
    """Whether the cost of a result can still be called: one that was stored in a file has left it behind."""
    if isinstance(result, Result):
        return hasattr(result, "_problem")
    return callable(getattr(result, "cost", None))


def _walk_of(result: Any) -> tuple[Vector, Vector] | None:
    """Kept iterates and their costs, those that are finite."""
    history = getattr(result, "history", None)
    kept = getattr(history, "x", None)
    if history is None or kept is None or np.ndim(kept) != 2 or len(kept) == 0:
        return None
    x: Vector = np.asarray(kept, dtype=float)
    values = np.asarray(history.value, dtype=float)[np.asarray(history.kept)]
    finite = np.isfinite(x).all(axis=1)
    return (x[finite], values[finite]) if finite.any() else None


def _under_function(source: Any, at: Any) -> Ground:
    from ..budget import Budget
    from ..problem import pose

    settings: dict[str, Any] = {"jac": None, "hess": None, "bounds": None, "fixed": None, "budget": Budget()}
    try:
        problem = pose(source, at, (), derivatives="auto", **settings)
    except TracingError:
        problem = pose(source, at, (), derivatives="numeric", **settings)
    return _of_problem(problem, problem.start, problem.cost.label, None, found=False)


def _of_problem(
    problem: Any, center: Vector, name: str, walk: tuple[Vector, Vector] | None, *, found: bool
) -> Ground:
    cost = problem.objective.afresh()
    return Ground(
        cost.value,
        lambda x: cost.value_and_gradient(x)[1],
        cost.hessian if cost.has_hessian else None,
        center,
        names_of(center.size, problem.names),
        cost.bounds,
        name,
        walk,
        found,
    )


# -- directions --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Direction:
    """One axis of a picture: x = center + t · vector, `t` from `low` to `high`.

    `offset`: what is added to `t` on the axis: the parameter's own value where the direction is one parameter.
    """

    vector: Vector
    name: str
    offset: float
    low: float
    high: float


def direction_of(ground: Ground, along: Any, reach: float | None = None) -> Direction:
    """What `along` asks for: a parameter's name or number, "slope", "sharpest", "flattest", "way", or a vector.

    `reach`: half the width of the picture, in units of the parameter; None: as far as the walk went, or as the
    curvature suggests.

    Raises:
        InputError: a name that is not there, or a direction that does not exist at this point.
    """
    vector, name, offset = _named(ground, along) if isinstance(along, (str, int)) else _given(ground, along)
    low, high = (-reach, reach) if reach is not None else _extent(ground, vector)
    return Direction(vector, name, offset, low, high)


def _named(ground: Ground, along: str | int) -> tuple[Vector, str, float]:
    names = list(ground.names) if ground.n <= CURVATURE_PARAMETERS else ground.names
    if isinstance(along, (int, np.integer)) and -ground.n <= along < ground.n:
        along = ground.names[int(along)]
    along = str(along)
    if along in DIRECTIONS and along not in names:
        vector = DIRECTIONS[along][0](ground)
        return vector, f"{DIRECTIONS[along][1]}: {direction_name(vector, ground.names)}", 0.0
    if along not in names:
        import difflib

        known = [str(name) for name in ground.names[:20]]
        near = difflib.get_close_matches(along, [*known, *DIRECTIONS], 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"along={along!r}: the parameters are {', '.join(known)}{', …' if ground.n > 20 else ''}, and "
            f"{', '.join(map(repr, DIRECTIONS))} are directions{hint}"
        )
    index = list(names).index(along)
    vector = np.zeros(ground.n)
    vector[index] = 1.0
    return vector, along, float(ground.center[index])


def _given(ground: Ground, along: Any) -> tuple[Vector, str, float]:
    vector = np.asarray(along, dtype=float).ravel()
    if vector.size != ground.n or not np.isfinite(vector).all() or not vector.any():
        raise InputError(
            f"a direction holds {ground.n} finite numbers, one for each parameter, not all zero; got {along!r}"
        )
    return vector, f"along {direction_name(vector, ground.names)}", 0.0


def _down_the_slope(ground: Ground) -> Vector:
    gradient = None if ground.gradient is None else ground.gradient(ground.center)
    if gradient is None or not np.isfinite(gradient).all() or not gradient.any():
        raise InputError("the slope is zero here or not known, so it names no direction; give along= another")
    return -gradient / np.linalg.norm(gradient)


def _bends(ground: Ground) -> tuple[Vector, Vector]:
    """Curvatures, ascending, and their directions as columns, of unit length in the parameters' own scales."""
    if ground.hessian is None or ground.n > CURVATURE_PARAMETERS:
        raise InputError(
            f"directions of curvature are drawn for up to {CURVATURE_PARAMETERS} parameters whose second "
            "derivatives are known; give along= the name of a parameter or a direction"
        )
    hessian = ground.hessian(ground.center)
    if not np.isfinite(hessian).all():
        raise InputError("the curvature is not finite at this point, so it names no direction")
    curvatures, directions = np.linalg.eigh((hessian + hessian.T) / 2)
    return curvatures, directions


def _sharpest(ground: Ground) -> Vector:
    return upright(_bends(ground)[1][:, -1])


def _flattest(ground: Ground) -> Vector:
    return upright(_bends(ground)[1][:, 0])


def upright(vector: Vector) -> Vector:
    """The one of `vector` and -`vector` whose largest part is positive: both name the same line."""
    return vector if vector[np.argmax(np.abs(vector))] >= 0 else -vector


def _from_the_start(ground: Ground) -> Vector:
    way = None if ground.walk is None else ground.center - ground.walk[0][0]
    if way is None or not way.any():
        raise InputError("there is no way from start to end here; give along= another direction")
    return way / np.linalg.norm(way)


DIRECTIONS: dict[str, tuple[Callable[[Ground], Vector], str]] = {
    "slope": (_down_the_slope, "down the slope"),
    "sharpest": (_sharpest, "sharpest bend"),
    "flattest": (_flattest, "flattest bend"),
    "way": (_from_the_start, "from start to end"),
}


def _extent(ground: Ground, vector: Vector) -> tuple[float, float]:
    """How far to look along a direction: the walk's own extent, or else as far as the curvature suggests."""
    square = float(vector @ vector)
    if ground.walk is not None:
        shadow = in_view((ground.walk[0] - ground.center) @ vector[:, None] / square)[:, 0]
        low, high = float(min(shadow.min(), 0.0)), float(max(shadow.max(), 0.0))
        if high - low > 1e-9 * max(1.0, float(np.abs(ground.center).max())) / np.sqrt(square):
            longer = max(-low, high)
            margin = BEYOND * (high - low)
            return min(low - margin, -longer / 2), max(high + margin, longer / 2)
    half = _natural_reach(ground, vector, square)
    return -half, half


def _natural_reach(ground: Ground, vector: Vector, square: float) -> float:
    along = np.abs(vector) > 0.05 * np.abs(vector).max()
    size = float(np.abs(ground.center[along]).max()) or 1.0
    return BLIND_REACH * size / float(np.abs(vector[along]).max()) if square else 1.0


def in_view(points: Vector) -> Vector:
    """Points (r, d) without those of a walk that ran away: far beyond where most of it took place.

    >>> in_view(np.array([[0.0], [1.0], [2.0], [3.0], [1e6]])).ravel()
    array([0., 1., 2., 3.])
    >>> in_view(np.array([[0.0], [50.0], [50.1], [50.2], [99.0]])).ravel()
    array([ 0. , 50. , 50.1, 50.2, 99. ])
    """
    distance = np.abs(points - np.median(points, axis=0))
    # A walk that crept for most of its steps has not run away by ending as far off as it began.
    usual = np.maximum(np.median(distance, axis=0), distance[0])
    # First steps are often long beside the rest, and are shown: only along what the walk ended far out on is it cut.
    ran_away = (distance[-1] > FAR * usual) & (usual > 0)
    return points[(distance <= np.where(ran_away, FAR * usual, np.inf)).all(axis=1)]


# -- samples -----------------------------------------------------------------------------------------------


def along_line(ground: Ground, direction: Direction, places: int | None = None) -> tuple[Vector, Vector]:
    """Places t and the cost there, NaN outside the bounds; the centre is always one of them."""
    count = places or _affordable(ground, LINE_PLACES, FEWEST_ON_LINE, 1)
    t = np.union1d(np.linspace(direction.low, direction.high, count), [0.0])
    return t, _costs(ground, ground.center + t[:, None] * direction.vector)


def on_plane(
    ground: Ground, across: Direction, up: Direction, places: int | None = None
) -> tuple[Vector, Vector, Vector]:
    """A grid of places (k, k) along both directions, and the cost there, NaN outside the bounds."""
    count = places or _affordable(ground, PLANE_PLACES, FEWEST_ON_PLANE, 2)
    a, b = np.meshgrid(np.linspace(across.low, across.high, count), np.linspace(up.low, up.high, count))
    points = ground.center + a.reshape(-1, 1) * across.vector + b.reshape(-1, 1) * up.vector
    return a, b, _costs(ground, points).reshape(a.shape)


def limits_on_plane(
    ground: Ground, across: Direction, up: Direction
) -> tuple[Vector, Vector, Vector, Vector] | None:
    """Places (k, k) along both directions, as `on_plane` has them, and `Ground.limits` there: (k, k) and (r, k, k).

    None without constraints, or where they are too slow to be drawn. Outside the bounds nothing is called: NaN.
    """
    if ground.limits is None:
        return None
    ground.limits(ground.center)
    began = perf_counter()
    ground.limits(ground.center)
    if (perf_counter() - began) * LIMIT_PLACES**2 > PATIENCE:
        return None
    sides = (np.linspace(along.low, along.high, LIMIT_PLACES) for along in (across, up))
    a, b = np.meshgrid(*sides)
    points = ground.center + a.reshape(-1, 1) * across.vector + b.reshape(-1, 1) * up.vector
    missed = np.full((ground.limits(ground.center)[1].size, len(points)), np.nan)
    beyond = np.full(len(points), np.nan)
    with np.errstate(all="ignore"):
        for k in np.flatnonzero(_inside(ground, points)):
            far, missed[:, k] = ground.limits(ground.bounds.project(points[k]))
            beyond[k] = np.inf if np.isnan(far) else far
    return a, b, beyond.reshape(a.shape), missed.reshape(-1, *a.shape)


def _inside(ground: Ground, points: Vector) -> Vector:
    """Which of the points (k, n) lie within the bounds, (k,)."""
    # A line along a bound may leave it by a rounding error; that is put right, anything more stays undrawn.
    slack = 1e-12 * (1 + np.abs(points))
    inside = (points >= ground.bounds.lower - slack) & (points <= ground.bounds.upper + slack)
    return np.asarray(inside.all(axis=1))


def _costs(ground: Ground, points: Vector) -> Vector:
    values = np.full(len(points), np.nan)
    with np.errstate(all="ignore"):
        for k in np.flatnonzero(_inside(ground, points)):
            values[k] = ground.value(ground.bounds.project(points[k]))
    values[~np.isfinite(values)] = np.nan
    return values


def _affordable(ground: Ground, wished: int, least: int, power: int) -> int:
    """How many places along each side the time allows, by the time two evaluations take."""
    ground.value(ground.center)
    began = perf_counter()
    ground.value(ground.center)
    each = max(perf_counter() - began, 1e-7)
    return int(np.clip((PATIENCE / each) ** (1 / power), least, wished))
