"""The conditions of a minimum between constraints, each measured against its own rounding.

They are those of Karush, Kuhn and Tucker (Nocedal & Wright 2006, theorems 12.1, 12.5 and 12.6): the constraints are
met, the slope of the cost is balanced by the slopes of the active constraints, each pushing the right way, and the
cost bends upwards in every direction that keeps to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..constraints.rows import outside
from ..linear_algebra.dense import dense
from ..numerics import EPS
from .constrained_point import MET, SMALL, Point, Vector
from .optimality import SPREAD_FACTOR, UNITS
from .tangent_space import TangentSpace
from .words import Evidence

# What would change the cost by no more than this part of its size, moved onto a limit, is at that limit.
ONTO_A_LIMIT = 1e-6
# This part of it where the slopes of the limits depend on each other: the point is then off by the root of a distance,
# and the cost by some times what the multipliers say.
DEPENDENT = 0.1

# A slope that would change the cost by no more than this part, as it is here, on the way to a bound has met the bound.
NEXT_TO_NOTHING = 1e-9

# Slopes that balance to this part of their own sizes cancel as well as the last digits of an unpolished point allow.
BALANCED = 1e-8

# A Newton step that promises less than this part of the fall, and moves no parameter by more than that part of its
# size, says that the minimum is here.
REMAINING_PART, STEP_PART = 1e-10, 1e-5

# Curvature below this part of the largest is not told from none.
NO_CURVATURE = 1e-10

# Distances, in natural sizes, at which a direction without curvature, or with negative one, is tried both ways.
TRIED = (1e-1, 1e-2, 1e-3, 1e-4)

# The name of the evidence that constraints which push are at their limits.
MOVED = "multiplier × distance to the limit"

# What is said of a point among many constraints that the walk passed and did not end at.
NO_MULTIPLIERS = "the walk came to no multipliers for this point"

# Slopes of missed constraints, one for each of them and of the parameters, that a step is looked for with (128 MB); up
# to so many with one bound after the other, by a decomposition each, which takes minutes of more.
MOST_SLOPES, FEW_SLOPES = 1 << 24, 1 << 15

# So many places beside a point, so far off in natural sizes, show the slopes of constraints on other sides of a kink:
# those that differ by this part.
SIDES, BESIDE, ANOTHER = 4, 1e-6, 1e-3

# Random directions, each both ways, along which a corner of kinks is left where some way leads down.
CORNER_WAYS = 30

# Rounds in which they are drawn around the best so far, half as far apart each time, and how many of each are followed.
CONE_ROUNDS, CONE_NARROWS, CONE_BEST = 5, 0.5, 3


@dataclass(frozen=True)
class Bend:
    """What the second-order look found: the evidence, directions that cost nothing (in sizes), a lower point."""

    evidence: Evidence
    flat: tuple[Vector, ...] = ()
    lower: Vector | None = None
    known: bool = True


def feasibility(point: Point) -> Evidence:
    """Whether every constraint is met, to a small part of its own size."""
    off = point.violations / point.sizes
    if not off.size:
        return Evidence("constraint violation", 0.0, 0.0, True, "bounds alone, and every one is met")
    worst = int(np.argmax(off))
    holds = bool(off[worst] <= MET)
    name = point.rows.names[worst]
    how = f"largest violation, of {name}" if off[worst] > 0 else "every constraint and bound is met"
    return Evidence("constraint violation", point.worst, float(MET * point.sizes[worst]), holds, how)


def least_violation(point: Point) -> Evidence:
    """Whether a linear step inside the bounds could lessen the violation: none can at its minimum."""
    from scipy.optimize import lsq_linear

    signed = (point.value - np.clip(point.value, point.rows.lower, point.rows.upper)) / point.sizes
    off = np.flatnonzero(signed)
    name = "violation that a small step could take away"
    if not point.has_slopes:
        return Evidence(name, None, 1e-3, False, "the slopes of the constraints are not finite there")
    if off.size * point.look.n > MOST_SLOPES:
        return Evidence(name, None, 1e-3, False, "not looked for: too many constraints are missed")
    A = dense(point.J[off]) * point.scale / point.sizes[off][:, None]
    least = np.minimum((point.bounds.lower - point.x) / point.scale, -1e-12)
    most = np.maximum((point.bounds.upper - point.x) / point.scale, 1e-12)
    how: dict[str, Any] = (
        {"method": "bvls"} if A.size <= FEW_SLOPES else {"method": "trf", "lsq_solver": "lsmr"}
    )
    left = lsq_linear(A, -signed[off], bounds=(np.maximum(least, -1e-2), np.minimum(most, 1e-2)), **how)
    before = float(np.linalg.norm(signed))
    gained = 1.0 - float(np.linalg.norm(left.fun)) / before
    return Evidence(name, gained, 1e-3, gained <= 1e-3, "linear step inside the bounds")


def slope_rounding(point: Point) -> Vector:
    """The error of each entry of the Lagrangian's slope, (n,): its spread over neighbouring numbers."""
    look = point.look
    unit = np.maximum(np.spacing(np.abs(point.x)), EPS * point.scale)
    H = point.hessian
    spread = EPS * point.balanced_size
    for _ in range(3):
        shift = (
            look.generator.choice((-1.0, 1.0), look.n)
            * look.generator.uniform(0.5, 1.0, look.n)
            * UNITS
            * unit
        )
        near = point.bounds.project(point.x + shift)
        away = point.unbalanced(near) - point.residual
        trend = H @ (near - point.x) if H is not None else 0.0
        if np.isfinite(away).all():
            spread = np.maximum(spread, np.abs(away - trend))
    grain = 0.0 if H is None else np.abs(H) @ (0.5 * np.spacing(np.abs(point.x)))
    return SPREAD_FACTOR * (spread + grain)


def balance_of_slopes(point: Point, limit: Vector) -> tuple[Evidence, Vector]:
    """Whether the slopes balance: to rounding, to their own size, or so well that nothing is left to gain.

    With it the Newton step (n,) that is left to take where that was asked; zero elsewhere.
    """
    look, residual = point.look, np.abs(point.residual)
    nothing = np.zeros(look.n)
    if not np.isfinite(residual).all():
        return Evidence("balance of slopes", None, None, False, NO_MULTIPLIERS), nothing
    how = "slope of the cost minus multipliers × slopes of the constraints, max norm"
    error = look.objective.gradient_error
    if error is not None:
        limit = np.maximum(limit, np.abs(error) + BALANCED**0.5 * point.balanced_size)
        how += ", slopes measured by differences"
    ratio = np.where(residual == 0.0, 0.0, residual / np.maximum(limit, np.finfo(float).tiny))
    worst = int(np.argmax(ratio))
    if ratio[worst] <= 1.0:
        holds = error is not None or not _slides(point)
        if not holds:
            worst, how = int(np.argmax(residual * point.scale)), f"{how}; the cost falls along what is left"
        measured, most = float(residual[worst]), float(limit[worst]) if holds else 0.0
        return Evidence("balance of slopes", measured, most, holds, how), nothing
    unit = residual * point.scale
    size = max(look.fall or 0.0, abs(look.value))
    if float(unit.sum()) <= 16 * EPS * size:
        how = "what the slope that is left could gain within the parameters' sizes"
        return Evidence("balance of slopes", float(unit.sum()), 16 * EPS * size, True, how), nothing
    whole = float((point.balanced_size * point.scale).max())
    worst = int(np.argmax(unit))
    H = point.hessian
    if H is not None:
        Z = point.tangent
        D = point.scale
        reduced = Z.T @ (D[:, None] * H * D) @ Z
        values, V = np.linalg.eigh(reduced) if reduced.size else (np.zeros(0), reduced)
        if values.size and values[0] > NO_CURVATURE * values[-1]:
            along = V.T @ (Z.T @ (D * point.residual))
            remaining = float(0.5 * (along**2 / values).sum())
            step = D * (Z @ (V @ (along / values)))
            across = D * point.residual - Z @ (Z.T @ (D * point.residual))
            fits = float(np.abs(across).max(initial=0.0)) <= BALANCED * whole
            if fits and remaining <= REMAINING_PART * size and bool((np.abs(step) <= STEP_PART * D).all()):
                how = "decrease that a Newton step within the constraints still promises"
                return Evidence("balance of slopes", remaining, REMAINING_PART * size, True, how), step
    limit_here = BALANCED * whole / float(point.scale[worst])
    holds = bool(unit[worst] <= BALANCED * whole)
    if holds and H is not None:
        # Small beside the slopes of others is no balance: where nothing bends, a slope of the cost must be met by what
        # pushes there. What pushes against none is rounding of the multipliers; what would gain next to nothing on the
        # way to the bound it pushes towards has met that bound.
        room = np.where(point.residual > 0.0, point.x - point.bounds.lower, point.bounds.upper - point.x)
        own = np.maximum(limit, BALANCED * point.balanced_size)
        own = np.maximum(own, STEP_PART * np.abs(np.diag(H)) * point.scale)
        gain = np.multiply(residual, room, out=np.zeros(look.n), where=residual > own)
        free = gain > NEXT_TO_NOTHING * abs(look.value)
        astray = np.where(free & (2.0 * np.abs(look.gradient) > residual), unit, 0.0)
        if astray.any():
            worst = int(np.argmax(astray))
            limit_here, holds = float(own[worst]), False
    return Evidence("balance of slopes", float(residual[worst]), limit_here, holds, how), nothing


def _slides(point: Point) -> bool:
    """Whether the cost falls along the slope that is left, which a kink beside the point makes look like rounding."""
    look, D = point.look, point.scale
    size = max(look.fall or 0.0, abs(look.value))
    if look.n > SMALL or float((np.abs(point.residual) * D).sum()) <= BALANCED * size:
        return False
    ways = [-point.tangent @ (point.tangent.T @ (D * point.residual))]
    if point.rows.split() is not None:  # at a corner of kinks the slope of no side need lead down
        for _ in range(CORNER_WAYS):
            way = point.tangent @ look.generator.standard_normal(point.tangent.shape[1])
            ways += [way, -way]
    if any(_falls(point, D * way) for way in ways):
        return True
    if point.rows.split() is None:
        return False
    wider = point.tangent_of_equations.shape[1] > point.tangent.shape[1]
    return _falls_in_a_thin_cone(point) or (wider and _falls_in_a_thin_cone(point, equations=True))


def _falls_in_a_thin_cone(point: Point, *, equations: bool = False) -> bool:
    """Whether the cost falls along a way that few lead beside: looked for around those that break the least.

    Where constraints have a corner too, the ways that keep to them may be a thin cone. `equations`: among all ways that
    keep to these, where not only to what pushes.
    """
    ways = point.tangent_of_equations if equations else point.tangent
    space, middle, spread = point.scale[:, None] * ways, np.zeros(ways.shape[1]), 1.0
    for _ in range(CONE_ROUNDS):
        tried = middle + spread * point.look.generator.standard_normal((CORNER_WAYS, middle.size))
        tried /= np.maximum(np.abs(tried).max(axis=1, keepdims=True, initial=0.0), np.finfo(float).tiny)
        ranks = [_rank_along(point, space @ way) for way in tried]
        order = sorted(range(len(tried)), key=ranks.__getitem__)
        if any(_falls(point, space @ tried[k], equations=equations) for k in order[:CONE_BEST]):
            return True
        middle, spread = tried[order[0]], CONE_NARROWS * spread
    return False


def _rank_along(point: Point, way: Vector) -> tuple[float, float]:
    """How far the constraints are broken a small distance along `way` (n,), and where they are not, the cost there."""
    near = point.bounds.project(point.x + TRIED[-2] * way)
    off = outside(point.rows_at(near), point.rows.lower, point.rows.upper) / point.sizes
    most = float(off.max(initial=0.0))
    if not most <= MET:
        return (most if np.isfinite(most) else np.inf), 0.0
    value = point.look.value_at(near)
    return 0.0, value if np.isfinite(value) else np.inf


def _falls(point: Point, way: Vector, *, equations: bool = False) -> bool:
    """Whether the cost is lower at both of two small distances along `way` (n,), within the constraints."""
    longest = float(np.abs(way / point.scale).max(initial=0.0))
    if not longest > 0.0:
        return False
    for distance in TRIED[-2:]:
        near = point.kept(point.x + distance / longest * way, equations=equations)
        if near is None or not point.look.value_at(near) < point.look.value - _rounding_of_values(point):
            return False
    return True


def complementarity(point: Point) -> Evidence:
    """A constraint that pushes has to be at its limit: multiplier times distance, against the cost's own size."""
    distance = np.minimum(np.abs(point.value - point.rows.lower), np.abs(point.value - point.rows.upper))
    largest = float(
        (np.abs(point.multipliers) * np.where(np.isfinite(distance), distance, 0.0)).max(initial=0.0)
    )
    low, high = point.x - point.bounds.lower, point.bounds.upper - point.x
    gap = np.minimum(np.where(np.isfinite(low), low, np.inf), np.where(np.isfinite(high), high, np.inf))
    gap = np.where(np.isfinite(gap), gap, 0.0)
    largest = max(largest, float((np.abs(point.bound_multipliers) * gap).max(initial=0.0)))
    slopes = float((np.abs(point.look.gradient) * point.scale).max(initial=0.0))
    most = ONTO_A_LIMIT * max(abs(point.look.value), point.look.fall or 0.0, slopes)
    if independence_of_slopes(point) is not None:
        most *= DEPENDENT
    return Evidence(
        MOVED, largest, most, largest <= most,
        "what moving each constraint that pushes onto its limit would change the cost by",
    )  # fmt: skip


def independence_of_slopes(point: Point) -> Evidence | None:
    """Evidence that the slopes of the active constraints depend on each other; None where they do not."""
    if point.look.n + point.rows.m > SMALL:
        return None
    rank, count = point.independent
    if rank == count:
        return None
    return Evidence(
        "independent slopes of the active constraints", float(rank), float(count), False,
        "they depend on each other (LICQ fails), so the multipliers are not the only ones that balance",
    )  # fmt: skip


def second_order(point: Point) -> Bend:
    """Curvature of the Lagrangian in the directions that keep to the constraints that push."""
    look, H = point.look, point.hessian
    what = "curvature within the constraints"
    lower = _lower_on_another_side(point)
    if lower is not None:
        how = "where the constraints have a kink, by their slopes on another side of it"
        return Bend(Evidence("slope along the constraints", None, None, False, how), lower=lower)
    convex = look.convex and point.rows.convex()
    if H is None:
        if convex:
            return Bend(Evidence(what, None, None, True, "shown by convexity"), known=False)
        if look.n > SMALL:
            return _second_order_of_many(point, what)
        return Bend(Evidence(what, None, None, False, "second derivatives are not known"), known=False)
    Z, D = point.tangent, point.scale
    if not Z.shape[1]:
        return Bend(Evidence(what, None, None, True, "as many constraints push as there are parameters"))
    of_cost = look.objective.hessian(point.x)
    values, V, limit = _bends(H, of_cost, D, Z)
    units = "in units of the parameters' sizes"
    if not values[0] > limit:
        # Beside parameters next to zero the curvature along others is nothing in units of these: not so in ones.
        in_ones, _, least = _bends(H, of_cost, np.ones(look.n), np.linalg.qr(D[:, None] * Z)[0])
        if in_ones[0] > least:
            values, limit, units = in_ones, least, "in units of ones"
    evidence = Evidence(
        what, float(values[0]), limit, bool(values[0] > limit),
        f"smallest eigenvalue of the Lagrangian's Hessian in {Z.shape[1]} "
        f"{'directions' if Z.shape[1] > 1 else 'direction'}, {units}",
    )  # fmt: skip
    if values[0] > limit:
        return Bend(evidence)
    flat = []
    for k in np.flatnonzero(values <= limit):
        lower, level = _along(point, D * (Z @ V[:, k]))
        if lower is not None and not convex:
            return Bend(evidence, lower=lower)
        if level:
            flat.append(D * (Z @ V[:, k]))
    return Bend(evidence, tuple(flat))


def _bends(H: Any, of_cost: Any, units: Vector, Z: Any) -> tuple[Vector, Any, float]:
    """Eigenvalues and vectors of second derivatives H (n, n) along Z (n, k), in `units` (n,), and what is rounding."""
    reduced = Z.T @ (units[:, None] * H * units) @ Z
    values, V = np.linalg.eigh(0.5 * (reduced + reduced.T))
    parts = np.abs(units[:, None] * of_cost * units).max(initial=0.0)
    return values, V, NO_CURVATURE * max(float(np.abs(values).max()), EPS * float(parts))


def _lower_on_another_side(point: Point) -> Vector | None:
    """A lower feasible place beside a kink of the constraints, by the slopes they have on another side of it.

    max(x) >= 1 is met where one entry is: with all of them at one, the slope between those of its sides balances what
    none of them does.
    """
    look = point.look
    if look.n + point.rows.m > SMALL or point.rows.linear or not point.active.any():
        return None
    for _ in range(SIDES):
        near = point.bounds.project(point.x + BESIDE * point.scale * look.generator.standard_normal(look.n))
        J = point.rows.jacobian(near)
        J = J if isinstance(J, np.ndarray) else J.toarray()
        change = np.abs(J - point.J) * point.scale
        if (
            not np.isfinite(J).all()
            or not (change > ANOTHER * np.abs(J * point.scale).max(initial=0.0)).any()
        ):
            continue
        way = -point.left_by(J) * point.scale**2
        if _falls(point, way):
            return point.kept(point.x + TRIED[-2] / float(np.abs(way / point.scale).max()) * way)
    return None


def _along(point: Point, direction: Vector) -> tuple[Vector | None, bool]:
    """A lower feasible point along `direction` either way, and whether the cost stays level both ways nearby."""
    look = point.look
    rounding = _rounding_of_values(point)
    level, seen = True, False
    for distance in TRIED:
        for sign in (1.0, -1.0):
            near = point.kept(point.x + sign * distance * direction)
            if near is None or float((np.abs(near - point.x) / point.scale).max()) < 0.1 * distance:
                level = level and near is None
                continue
            seen = True
            value = look.value_at(near)
            if value < look.value - rounding:
                return near, False
            level = level and value <= look.value + rounding
    # What no near place can be put back from bars the far ones too.
    return (_far_along(point, direction) if level and seen else None), level


def _far_along(point: Point, direction: Vector) -> Vector | None:
    """The same point where `direction` moves parameters so far as the largest of all is.

    One that has been zero all along shows no size: in its metres or joules the others may be millions.
    """
    far = float(point.scale.max()) / float(np.abs(direction).max())
    if not 1.0 < far < np.inf:
        return None
    least = point.look.value - _rounding_of_values(point)
    for distance in TRIED[:2]:
        for sign in (1.0, -1.0):
            near = point.kept(point.x + sign * distance * far * direction)
            if near is None:
                continue
            # What a row is missed by, so far out, may not pass for a way down.
            missed = outside(point.rows_at(near), point.rows.lower, point.rows.upper)
            if point.look.value_at(near) + float(np.abs(point.multipliers) @ missed) < least:
                return near
    return None


def _rounding_of_values(point: Point) -> float:
    """What the cost at two places may differ by without a meaning: its rounding, and that of the constraints."""
    rounding = 32 * EPS * max(abs(point.look.value), EPS)
    rounding += float(np.abs(point.multipliers) @ point.violations)
    return rounding + float((np.abs(point.multipliers) * point.sizes).sum()) * 16 * EPS


def _second_order_of_many(point: Point, what: str) -> Bend:
    """The same for many parameters, by the signs of sparse factors; if down, along the lowest direction."""
    import scipy.sparse as sparse

    look, objective, D = point.look, point.look.objective, point.scale
    known = objective.has_sparse_hessian or objective.has_hessian
    if not (known or objective.has_hessian_product) or not point.rows.has_hessian:
        return Bend(Evidence(what, None, None, False, "second derivatives are not known"), known=False)
    rows, bounds = point.pushing
    free = np.flatnonzero(~bounds)
    if not free.size:
        return Bend(Evidence(what, None, None, True, "as many constraints push as there are parameters"))
    units = sparse.diags_array(D[free])
    space = TangentSpace(sparse.csr_array(point.J)[np.flatnonzero(rows)][:, free] @ units)
    bent: Any = point.rows.hessian(point.x, -point.multipliers)
    bent = sparse.csr_array(bent if np.ndim(bent) == 2 else (look.n, look.n))
    if known:
        own = (
            objective.sparse_hessian(point.x) if objective.has_sparse_hessian else objective.hessian(point.x)
        )
        H = sparse.csc_array(units @ (sparse.csr_array(own) + bent)[free][:, free] @ units)
        if not np.isfinite(H.data).all():
            return Bend(Evidence(what, None, None, False, "second derivatives are not finite"), known=False)
        sizes = NO_CURVATURE * np.asarray(abs(H).sum(axis=1)).ravel()
        limit = float(sizes.max(initial=0.0))
        found = space.curvature(H, sizes, look.generator)
    else:
        limit = 0.0
        found = space.lowest(lambda v: _product(point, bent, free, v), look.generator)
    if found is None:
        return Bend(Evidence(what, None, None, True, "as many constraints push as there are parameters"))
    lowest, along = found
    how = "smallest curvature of the Lagrangian within the constraints, in units of the parameters' sizes"
    if along is None:
        return Bend(
            Evidence(what, lowest, limit, True, f"{how}; the signs of sparse factors show it for all")
        )
    evidence = Evidence(what, lowest, limit, not known and lowest > 0.0, f"{how}, by Lanczos' method")
    if evidence.holds:
        return Bend(evidence)
    direction = np.zeros(look.n)
    direction[free] = D[free] * along / float(np.abs(along).max())
    lower, level = _along(point, direction)
    if lower is not None:
        return Bend(evidence, lower=lower)
    return Bend(evidence, (direction,) if level and lowest <= limit else ())


def _product(point: Point, bent: Any, free: Vector, v: Vector) -> Vector:
    """The Lagrangian's Hessian, `bent` (n, n) of it the rows', times `v` for the `free` parameters, in their sizes."""
    whole = np.zeros(point.look.n)
    whole[free] = point.scale[free] * v
    product = point.look.objective.hessian_product(point.x, whole) + bent @ whole
    return np.asarray(point.scale[free] * product[free])
