"""Is this the bottom of a kink? Zero must lie in the convex hull of the slopes gathered around the point."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..linear_algebra.convex_hull import nearest_to_zero
from ..linear_algebra.symmetric import eigensystem
from ..numerics import EPS, all_finite
from .look import Look
from .overflow import gives_out

Vector = np.ndarray

# How far around the point slopes are gathered, in units of the parameters' size: the smallest that reaches
# across the kink says how well the minimum is located. Beyond the last a kink is another place.
RADII = (1e-10, 1e-8, 1e-6)

# Slopes that differ ten times as much ten times farther off belong to a smooth cost; at a kink they differ
# by the same. This ratio tells the two apart.
SMOOTH_GROWTH = 3.0

# The nearest point of the hull counts as zero where it is this part of the longest slope of each parameter, or where a
# parameter whose slopes are those of a smooth cost is this part of its size from where they vanish.
HULL_ZERO = 1e-6

# A parameter of which no more than this part of its largest slope is left has slopes that cancel.
CANCELLED = 1e-3

# Pieces that are looked for beyond those met at first.
BUNDLED = 40

# A change of the spread farther off of no more than this part of the longest slope is the cost's own bend.
LITTLE = 1e-3

# Up to this many parameters slopes are gathered along every axis; beyond, on both sides of everything.
AXES = 60

# Numbers in all the slopes gathered of very many parameters, up to which their hull is looked at as a whole.
MOST_GATHERED = 1_000_000

# A true minimum may be passed by at most this part of what a kink that points upwards would lose.
ALLOWED_FALL = 0.2

# A point that misses more than this part of the fall within the radius is not at the kink; a walk that ends beside one
# misses about the radius. How often the way there is halved.
MISSED, HALVINGS = 1e-4, 10

# Distances, in natural sizes, at which rises are compared: at a kink each is this many times the next.
RISE_AT = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
RISE_STEP = 10.0

# Distances, in natural sizes, at which a summit is looked for where slopes are measured, and up to how many parameters:
# as many calls as trying steps for each took.
SUMMIT_AT, MEASURED = tuple(10.0**-k for k in range(1, 13)), 20

# Lower by more than this many times what neighbours differ by is lower.
TREMBLES = 8.0

# A minimum by measured slopes is none where values so far off, in natural sizes, are lower by that part of all that the
# cost is and fell by, or by this part of what it is.
DENIED, DENIED_PART = 1e-5, 1e-2

# How near the end of where the cost exists must be for the point to lie on it.
EDGE_RADII = (1e-10, 1e-8)

# Distances, in natural sizes, at which no parameter may lead down its own slope, and the part of the cost and of its
# whole fall that counts: less may be what is left of a minimum a little off the point.
BY_ONE = (1e-4, 1e-3, 1e-2)
ONE_FALL = 1e-8

# Distances, in natural sizes, at which the cost is looked at along its edge, twice as far while it falls, and how far
# inside it, as it may be curved. What is won along the edge grows with the distance by more than the factor; what is
# won nearer to it does not.
ALONG, FARTHEST, GROWS = (1e-4, 1e-3), 1.0, 3.0
INWARD = (0.0, *(10.0**k for k in range(-15, -3)))

# Halvings of the gap between a place without a value and one that has it, on the most promising way.
HALVINGS = 50

# How far inside slopes tell the way across the edge, the nearer the surer, and the one along it.
ACROSS_AT, ALONG_AT = (0.0, 1e-14, 1e-12, 1e-10), 1e-4

# Distances, in natural sizes, at all of which a cost that is smooth on one side only must be lower to be so beside a
# point of zero slope: it steps down there by this part of the cost and of its whole fall, or bends down.
STEPS_DOWN_AT, STEP_DOWN = (1e-9, 1e-8, 1e-7), 1e-9
BENDS_DOWN_AT = (1e-5, 1e-4, 1e-3)
# A slope that the trace does not see is told by falls in proportion to such distances, within this factor.
SLOPES_DOWN_AT, IN_PROPORTION = ((1e-8, 3e-8, 1e-7), (1e-6, 3e-6, 1e-5)), 1.5

# Slopes that differ by less than this part of the longest are one slope.
DIFFERENT = 1e-9


@dataclass(frozen=True)
class Kink:
    """What the slopes around a point say.

    `hull`: shortest slope shared by all sides, `limit` what counts as zero, both in cost per natural size, of the
    parameter of which it is the largest part of the limit;
    `radius`: where they were gathered; `lowest`: direction (n,) of the lowest probe, `rises` whether none was
    lower than at a minimum; `pieces` how many different slopes meet.
    """

    hull: float
    limit: float
    radius: float
    rises: bool
    lowest: Vector
    pieces: int
    how: str
    descent: Vector | None = None  # (n,): the way down that the hull leaves open, where it was taken whole
    floor: Vector | None = None  # (n,): the same in those parameters alone whose slopes do not cancel
    floor_slope: float = 0.0  # what the cost falls by along the floor, per natural size
    slopes: np.ndarray | None = None  # (m, n) that were gathered, per natural size

    @property
    def is_minimum(self) -> bool:
        """Zero lies in the hull, and the cost rises on every side looked at."""
        return self.rises and self.hull <= self.limit


def kink_at(look: Look, rounding: float) -> Kink | None:
    """Slopes at growing distances until they show a kink; None where the cost is smooth as far as seen."""
    directions = _directions(look)
    if not len(directions):
        return None
    best: Kink | None = None
    for radius in RADII:
        values, slopes = _gather(look, directions, radius)
        far_values, far_slopes = _gather(look, directions, 10 * radius)
        if not (np.isfinite(values).all() and np.isfinite(far_values).all()):
            continue
        # Along a cusp, and only there, no slope exists beside the point either.
        told = np.isfinite(slopes).all(axis=1) & np.isfinite(far_slopes).all(axis=1)
        if 2 * int(told.sum()) < len(told):
            continue
        slopes, far_slopes = slopes[told], far_slopes[told]
        size = float(np.linalg.norm(slopes, axis=1).max())
        spread, far_spread = _spread(slopes), _spread(far_slopes)
        if spread <= DIFFERENT * size or far_spread > SMOOTH_GROWTH * spread:
            continue
        limits = _limits(slopes, far_slopes, radius, 16.0 * EPS * abs(look.value))
        descent = floor = None
        floor_slope = 0.0
        if look.n <= AXES:
            nearest, slopes = _completed(look, slopes, radius, limits)
            down = nearest / limits**2
            descent = -down / max(float(np.abs(down).max()), 1e-300) * look.scale
            pull = np.where(np.abs(nearest) > CANCELLED * np.abs(slopes).max(axis=0), nearest, 0.0)
            steepest = max(float(np.abs(pull).max()), 1e-300)
            floor, floor_slope = -pull / steepest * look.scale, float(pull @ (pull / steepest))
            how = f"nearest point to zero in the hull of {len(slopes)} slopes gathered {radius:.0e} around"
        else:
            # For each parameter apart: the part of zero that its slopes on both sides do not reach.
            nearest = np.maximum(slopes.min(axis=0), 0.0) + np.maximum(-slopes.max(axis=0), 0.0)
            how = f"{len(slopes)} slopes gathered {radius:.0e} around, each parameter's two sides"
            if (nearest > limits).any() and slopes.size <= MOST_GATHERED:
                nearest, slopes = _completed(look, slopes, radius, limits)
                how = (
                    f"nearest point to zero in the hull of {len(slopes)} slopes gathered {radius:.0e} around"
                )
        worst = int(np.argmax(np.abs(nearest) / limits))
        hull, limit = float(abs(nearest[worst])), float(limits[worst])
        own = np.abs(slopes).max(axis=0)
        allowed = ALLOWED_FALL * 10 * radius * (np.abs(directions) @ own) + rounding
        rises = not (look.value - far_values > allowed).any()
        found = Kink(
            hull,
            limit,
            radius,
            rises,
            directions[int(np.nanargmin(far_values))] * look.scale,
            _pieces(slopes, size),
            how,
            descent,
            floor,
            floor_slope,
            slopes,
        )
        if found.is_minimum:
            lower = _lower_inside(look, radius, rounding)
            if lower is None and not look.convex:
                # Of sin(x)/x beside zero the slopes are rounding, and their hull holds zero at the summit, too.
                lower = lower_beside(look, TREMBLES * rounding)
            if lower is None:
                return found
            found = replace(found, rises=False, lowest=lower)
        best = best or found
    return best


def _lower_inside(look: Look, radius: float, rounding: float) -> Vector | None:
    """A way (n,) down the point's own slope that comes far lower within the radius; None where none does.

    Slopes gathered farther off than the point lies from a wall or a pole meet on all its sides and hold zero.
    """
    down = -np.where(look.free, look.projected, 0.0) * look.scale
    longest = float(np.abs(down).max(initial=0.0))
    if look.fall is None or not 0.0 < longest < np.inf:
        return None
    way = radius * look.scale * (down / longest)
    for k in range(HALVINGS):
        if look.value - look.value_at(look.x + 0.5**k * way) > MISSED * look.fall + 4.0 * rounding:
            return way
    return None


def _limits(slopes: np.ndarray, far_slopes: np.ndarray, radius: float, least: float) -> Vector:
    """What counts as zero of each parameter's part (n,) of the hull of `slopes` (m, n) gathered at the `radius`.

    In natural sizes a parameter of 1e14 has slopes of 1e14, beside which those of another one are nothing: each is
    measured by its own. `far_slopes`: those ten times as far; `least`: what rounding of the cost hides of any slope.
    """
    own = np.abs(slopes).max(axis=0)
    spread, far_spread = np.ptp(slopes, axis=0), np.ptp(far_slopes, axis=0)
    # What the smooth part of the slopes changes by within the radius; more than a little is another kink.
    bend = np.abs(far_spread - spread)
    of_kinks = HULL_ZERO * own + np.where(bend <= LITTLE * own, bend, 0.0)
    curvature = np.where(far_spread > SMOOTH_GROWTH * spread, far_spread / (20.0 * radius), 0.0)
    least = max(least, float(np.finfo(np.float64).tiny) ** 0.5)
    limits: Vector = np.maximum(np.maximum(of_kinks, HULL_ZERO * curvature), least)
    return limits


def _completed(look: Look, slopes: np.ndarray, radius: float, limits: Vector) -> tuple[Vector, np.ndarray]:
    """The point of the hull nearest to zero, and the slopes (m, n), with those met on the way down that it leaves.

    Nearest in units of the `limits` (n,). The directions looked at may have missed a piece: a step down along the
    nearest point finds it (Burke, Lewis & Overton, "A robust gradient sampling algorithm", 2005, by bundling as in
    Kiwiel 1985).
    """
    for _ in range(BUNDLED):
        nearest, _ = nearest_to_zero(slopes / limits)
        if (np.abs(nearest) <= 1.0).all():
            break
        down = nearest / limits
        _, gradient = look.slope_at(look.x - radius * look.scale * down / float(np.abs(down).max()))
        met = np.where(look.free, gradient, 0.0) * look.scale
        if not np.isfinite(met).all() or float((met / limits) @ nearest) > 0.5 * float(nearest @ nearest):
            break  # the slope there goes on falling: a way down
        slopes = np.vstack([slopes, met])
    return nearest * limits, slopes


def kink_by_values(look: Look, rounding: float) -> Kink | None:
    """A minimum at a kink, where slopes are measured and smear it out: the rise is in proportion to the distance.

    None unless the cost rises on both sides of every direction looked at, and along some in proportion.
    """
    directions = _directions(look)
    if look.n > AXES or not len(directions):
        return None
    rises = np.array(
        [[look.value_at(look.x + h * look.scale * d) - look.value for h in RISE_AT] for d in directions]
    )
    if not np.isfinite(rises).all() or (rises[:, 0] <= 8.0 * rounding).any():
        return None
    if (rises < -8.0 * rounding).any():
        return None  # nearer than the farthest probe, but not there
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = rises[:, :-1] / rises[:, 1:]
    straight = ((ratio > 0.5 * RISE_STEP) & (ratio < 2.0 * RISE_STEP)).all(axis=1)
    if not straight.any():
        return None
    slopes = rises[:, -1] / RISE_AT[-1]
    return Kink(
        0.0,
        float(slopes[straight].min()),
        RISE_AT[-1],
        True,
        directions[0] * look.scale,
        0,
        f"values {RISE_AT[0]:.0e} to {RISE_AT[-1]:.0e} around rise in proportion to the distance along "
        f"{int(straight.sum())} of {len(directions)} directions, and along none less than its square",
    )


@dataclass(frozen=True)
class Edge:
    """The point lies at the edge of where the cost exists.

    Of `probes`, at a distance of `radius` natural sizes, `outside` found no value; `rise`: the least of the others'.
    `below`: a place (n,) along the edge where the cost is lower; None where none was found. `off`: how far along it,
    (n,) in natural sizes, the lowest place may be.
    """

    radius: float
    rise: float
    probes: int
    outside: int
    below: Vector | None
    off: Vector


def edge_at(look: Look, allowed: float) -> Edge | None:
    """Whether the cost ends right here and rises wherever it goes on; None otherwise, as where numbers only overflow.

    `allowed`: what a probe may be lower by and still not count as lower.
    """
    directions = _directions(look)
    for radius in EDGE_RADII:
        values = np.array([look.value_at(look.x + radius * look.scale * d) for d in directions])
        inside = np.isfinite(values)
        if inside.all() or not inside.any():
            continue
        farther = np.array(
            [look.value_at(look.x + 100 * radius * look.scale * d) for d in directions[inside]]
        )
        rise = float(np.min(values[inside] - look.value))
        if rise < -allowed or not (np.nan_to_num(farther, nan=np.inf) - look.value > -allowed).all():
            return None
        if not (farther > look.value).any():
            return None
        if gives_out(look, look.x + radius * look.scale * directions[~inside][0]):
            return None
        if one_slope_down(look) is not None:
            return None
        ways = _directions(look)
        outward = _outward(look, ways)
        below, off = None, np.where(look.free & (look.count_free > 1), ALONG[0], 0.0)
        if outward is not None:
            below = _lower_along_the_edge(look, allowed, ways, outward)
            below, off = (
                (below, off) if below is not None else _settled_along_the_edge(look, outward, off, allowed)
            )
        return Edge(radius, rise, values.size, int((~inside).sum()), below, off)
    return None


def _settled_along_the_edge(
    look: Look, outward: Vector, off: Vector, allowed: float
) -> tuple[Vector | None, Vector]:
    """A lower place (n,) that a Newton step along the edge leads to, else None; and how long that step is, (n,).

    By slope and curvature a little inside, where both exist. `off`: that length where the curvature tells none.
    """
    inner = look.x - ALONG_AT * look.scale * outward
    if look.n > AXES or look.count_free < 2 or not look.objective.has_hessian:
        return None, off
    _, slope = look.slope_at(inner)
    H = np.asarray(look.objective.hessian(look.inside(inner)))
    if not (all_finite(slope) and all_finite(H)):
        return None, off
    free = look.free_indices
    size = look.scale[free]
    sized = size[:, None] * H[np.ix_(free, free)] * size
    along = np.linalg.svd(outward[None, free])[2][1:]  # (k - 1, k)
    bends, turned = eigensystem(along @ sized @ along.T)
    if not bends[0] > EPS * float(np.abs(sized).max()):
        return None, off
    # Back on the edge: what is steep there is steep across it alone, and does not turn the slope along it.
    slant = along @ (size * slope[free] + ALONG_AT * (sized @ outward[free]))
    step = np.zeros(look.n)
    step[free] = -((turned / bends) @ turned.T @ slant) @ along
    worth = allowed + ONE_FALL * look.at_stake
    for depth in INWARD:
        place = look.x + look.scale * (step - depth * outward)
        if look.value_at(place) < look.value - worth:
            return look.inside(place), np.abs(step)
    return None, np.abs(step)


def _lower_along_the_edge(look: Look, allowed: float, ways: np.ndarray, outward: Vector) -> Vector | None:
    """A place (n,) where the cost is lower along the edge of where it exists; None where none is seen.

    A slope that is infinite across the edge hides the one along it, and of straight steps from there half lead out.
    `ways` (m, n): where to look; `outward` (n,): across the edge.
    """
    _, deeper = look.slope_at(look.x - ALONG_AT * look.scale * outward)
    if all_finite(deeper):
        ways = np.concatenate([[np.where(look.free, -deeper, 0.0) * look.scale], ways])
    worth = allowed + ONE_FALL * look.at_stake

    def lowest_at(distance: float, along: Vector, closely: bool) -> tuple[float, Vector]:
        def place(depth: float) -> Vector:
            return np.asarray(look.x + look.scale * (distance * along - depth * outward))

        values = np.array([look.value_at(place(depth)) for depth in INWARD])
        least = int(np.argmin(np.where(np.isfinite(values), values, np.inf)))
        value, depth = values[least], INWARD[least]
        if closely and least and not np.isfinite(values[least - 1]):
            without = INWARD[least - 1]
            for _ in range(HALVINGS):
                middle = 0.5 * (without + depth)
                there = look.value_at(place(middle))
                if not np.isfinite(there):
                    without = middle
                elif there < value:
                    value, depth = there, middle
                else:
                    break
        return float(look.value - value), place(depth)

    for k, way in enumerate(ways):
        along, closely = way - (way @ outward) * outward, k == 0
        length = float(np.linalg.norm(along))
        if not length > 0.0:
            continue
        near, _ = lowest_at(ALONG[0], along / length, closely)
        if not near > worth:
            continue
        fall, place = lowest_at(ALONG[1], along / length, closely)
        if not fall > GROWS * near:
            continue
        distance = 2.0 * ALONG[1]
        while distance <= FARTHEST:
            more, farther = lowest_at(distance, along / length, closely)
            if not more > fall:
                break
            fall, place, distance = more, farther, 2.0 * distance
        for depth in INWARD:  # to where a walk can begin
            inner = place - depth * look.scale * outward
            value, slope = look.slope_at(inner)
            if value < look.value - worth and all_finite(slope):
                return look.inside(inner)
        return look.inside(place)
    return None


def _outward(look: Look, ways: np.ndarray) -> Vector | None:
    """The unit way (n,) across the edge, in natural sizes, by the slope nearest to it that exists; or None."""
    for depth in ACROSS_AT:
        for way in ways[:1] if depth == 0.0 else ways:
            _, slope = look.slope_at(look.x + depth * look.scale * way)
            across = np.where(look.free, -slope, 0.0) * look.scale
            steepness = float(np.linalg.norm(across))
            if 0.0 < steepness < np.inf:
                return across / steepness
    return None


def one_slope_down(look: Look) -> Vector | None:
    """A way (n,) on which one parameter leads down by its own slope; None where none does.

    An infinite slope of another parameter hides it in what counts as rounding.
    """
    worth = ONE_FALL * look.at_stake
    down = -np.sign(np.where(look.free & np.isfinite(look.projected), look.projected, 0.0)) * look.scale
    for i in np.flatnonzero(down)[:AXES].tolist():
        way = np.where(np.arange(look.n) == i, down, 0.0)
        if any(look.value - look.value_at(look.x + t * way) > worth for t in BY_ONE):
            return way
    return None


def summit_by_values(look: Look, allowed: float) -> Vector | None:
    """A place (n,) beside the point, on both sides of which the cost is lower by more than is `allowed`, or None.

    Where slopes are measured over steps far wider than the summit, neither slope nor curvature knows of it.
    """
    if look.n > MEASURED:
        return None
    for way in (np.eye(look.n)[look.free] * look.scale)[: look.n]:
        for t in SUMMIT_AT:
            sides = [look.value_at(look.x + side * t * way) for side in (1.0, -1.0)]
            if max(sides) < look.value - allowed:
                return look.inside(look.x + t * way * (1.0 if sides[0] <= sides[1] else -1.0))
    return None


def off_by_values(look: Look) -> tuple[Vector, Vector | None]:
    """How far off the lowest value nearby is at least along each parameter, (n,) in natural sizes; zero where here.

    With it the lowest place (n,), where that is far off and so much lower that the point is no minimum, else None.
    Measured slopes need not agree with the values that they are measured by.
    """
    off, lowest, place = np.zeros(look.n), look.value, None
    allowed = TREMBLES * max(look.trembling(look.x, look.value), EPS * abs(look.value))
    for i in look.free_indices if look.n <= MEASURED else ():
        for t in reversed(SUMMIT_AT):
            shift = np.where(np.arange(look.n) == i, t * look.scale, 0.0)
            sides = [look.inside(look.x + side * shift) for side in (1.0, -1.0)]
            values = [look.value_at(side) for side in sides]
            if min(values) < look.value - allowed:
                off[i] = 0.5 * t
                if min(values) < lowest:
                    lowest, place = min(values), sides[int(np.argmin(values))]
            elif min(values) > look.value + allowed:
                break  # what is lower farther off lies in another valley
    fall = look.value - lowest
    denied = off.max(initial=0.0) > DENIED and fall > min(
        DENIED * look.at_stake, DENIED_PART * abs(look.value)
    )
    return off, place if denied else None


def lower_beside(look: Look, allowed: float) -> Vector | None:
    """A way (n,) from a kink or jump with one slope, zero, on which the cost is lower; None where none is seen.

    The curvature of the trace is that of one side: where a comparison holds the other way the cost may step down or
    bend down, as x² - 2x·|x| does; so is the slope that holds a parameter at a bound. `allowed`: what it may be lower
    by at a minimum.
    """
    worth = allowed + STEP_DOWN * look.at_stake
    for way in np.concatenate([_directions(look), _inward(look)]) * look.scale:
        for distances, least in ((STEPS_DOWN_AT, worth), (BENDS_DOWN_AT, allowed)):
            if all(look.value - look.value_at(look.x + t * way) > least for t in distances):
                return np.asarray(way)
    return None


def unseen_slope(look: Look, allowed: float) -> Vector | None:
    """A way (n,) straight down a slope that is not in the gradient, as of a jump inside a loop; None if none is seen.

    `allowed`: what the cost may be lower by at a minimum.
    """
    for way in _directions(look) * look.scale:
        for distances in SLOPES_DOWN_AT:
            steepness = []
            for t in distances:
                fall = look.value - look.value_at(look.x + t * way)
                steepness.append(fall / t)
                if not (fall > allowed and max(steepness) < IN_PROPORTION * min(steepness)):
                    break
            else:
                return np.asarray(way)
    return None


def _directions(look: Look) -> np.ndarray:
    """Unit steps (m, n) in natural sizes, along both sides of each axis and some in between."""
    n = look.n
    if n > AXES:
        # A byte for each: ten directions in eight were half of all the memory that a walk over millions takes.
        signs = 2 * look.generator.integers(0, 2, (5, n), dtype=np.int8) - 1
        signs *= look.free
        return np.concatenate([signs, -signs])
    axes = np.eye(n)[look.free]
    free = look.free.astype(np.float64)
    random = look.generator.standard_normal((n + 1, n)) * free if n > 1 else np.empty((0, n))
    if n > 1:
        random /= np.maximum(np.abs(random).max(axis=1, keepdims=True), 1e-300)
    return np.concatenate([axes, -axes, random, -random])


def _inward(look: Look) -> np.ndarray:
    """Unit steps (m, n) in natural sizes, off the bounds that hold parameters."""
    if look.n > AXES:
        return np.empty((0, look.n))
    axes = np.eye(look.n)[~look.free]
    steps = np.concatenate([axes, -axes])
    return steps[[bool(np.any(look.inside(look.x + step * look.scale) != look.x)) for step in steps]]


def _gather(look: Look, directions: np.ndarray, radius: float) -> tuple[Vector, np.ndarray]:
    rows = [look.slope_at(look.x + radius * look.scale * d) for d in directions]
    slopes = np.array([np.where(look.free, gradient, 0.0) * look.scale for _, gradient in rows])
    return np.array([value for value, _ in rows]), slopes


def _spread(slopes: np.ndarray) -> float:
    return float(np.linalg.norm(slopes.max(axis=0) - slopes.min(axis=0)))


def _pieces(slopes: np.ndarray, size: float) -> int:
    """How many different slopes meet here."""
    kept: list[Vector] = []
    for slope in slopes:
        if all(np.linalg.norm(slope - other) > 1e-3 * size for other in kept):
            kept.append(slope)
    return len(kept)
