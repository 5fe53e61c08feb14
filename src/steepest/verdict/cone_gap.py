"""How far a convex cost of norms is above the least it can be: by its dual cost, on cones.

Where hundreds of norms vanish, as in the even stretches of a picture, and others nearly do, neither slopes nor
curvature at a point tell much: both change within next to no distance. But any multipliers inside the cones t >= |u|
bound the cost from below everywhere (Boyd & Vandenberghe, "Convex Optimization", 2004, section 5.9), and the
interior-point method finds the best of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..bounds import Vector
from ..linear_algebra.saddle_systems import factorise
from ..numerics import EPS
from ..presentation.text import number
from ..solvers.cone_interior_point import ConeInteriorPoint, ConeIterate, Point, cone_method
from ..solvers.smooth_programs import on_cones, smooth_program
from .failures import falls
from .look import NO_NUMBER, Look
from .minima import kinks_within
from .onward import ASKED_TO_STOP
from .precision import digits_of
from .wording import listed
from .words import Evidence, Judgement, Verdict

# Norms shorter than this part of the longest of their operation bend within the reach of what slopes are compared over.
SHORT = 1e-3

# The cost may still fall by this part of its whole fall, or of what it changes by within the parameters' sizes, beyond
# its rounding. A constant beside it says nothing of either.
MET = 1e-10

# Rounds of Newton's method on the multipliers' own place, and what part of the largest curvature counts as some.
ROUNDS, BENT = 3, 1e-10

# Slopes that rounding leaves unbalanced are counted over so many sizes of the parameters.
FAR = 10.0

# Up to so many parameters curvatures in many of them at once tell digits.
MOST_BENT = 1000

# Roundings of the cost, by which its dual cost errs, and by more than which a place is lower.
ROUNDINGS = 32.0


class Gap(NamedTuple):
    """The cost is nowhere lower than at the point by more than `most`; at `x` (n,) it is `value`.

    `size`: what it changes by, by its slopes, within the parameters' sizes and the lengths of the norms. `loose`: mask
    (n,) of the parameters that no kink and no short norm holds.
    """

    most: float
    x: Vector
    value: float
    size: float
    loose: np.ndarray


def minimum_on_cones(look: Look, evidence: Sequence[Evidence]) -> Judgement | None:
    """The word for a point of a convex cost with short norms; None where the gap decides nothing, or is not known."""
    asked_to_stop = look.stop is not None and look.stop in ASKED_TO_STOP
    if asked_to_stop or not (look.convex and _has_short_norms(look)):
        return None
    gap = _gap(look)
    if gap is None:
        return None
    limit = MET * max(gap.size, look.fall or 0.0) + ROUNDINGS * EPS * abs(look.value)
    if not gap.most <= limit:
        if look.stop is None or look.value - gap.value <= limit:
            return None
        return falls(
            look, gap.x - look.x, list(evidence), "inside the cones of its norms the cost falls", below=gap.x
        )
    if _falls_on(look, gap.loose):
        return None  # next to nothing is left to gain, and no point attains it
    evidence = [
        item for item in evidence if item.name not in ("slope", "projected slope", "slope at the point")
    ]
    how = "the dual cost with each norm on its cone, by an interior-point method"
    evidence.append(Evidence("gap to the lowest possible cost", gap.most, limit, True, how))
    sites = kinks_within(look, SHORT)
    where = f" ({listed(sites)})" if sites else ""
    return Judgement(
        Verdict.GLOBAL_MINIMUM,
        tuple(evidence),
        f"Minimum beside kinks{where}: the cost is convex, and by its dual cost it is nowhere lower by more than "
        f"{number(gap.most)}.",
        digits=_digits(look, gap.most),
        gap=gap.most,
    )


def _has_short_norms(look: Look) -> bool:
    split = look.objective.split
    if split is None or split.conic is None or not split.program.complete:
        return False
    try:
        return bool(_short(split.program, split.program.lift(look.x)).any())
    except NO_NUMBER:
        return False


def _short(program: Any, y: Vector) -> np.ndarray:
    """Mask (K,) of the norms next to nothing at y (N,)."""
    lengths = np.abs(y[program.radii])
    longest = np.zeros(int(program.radius_places.max(initial=-1)) + 1)
    np.maximum.at(longest, program.radius_places, lengths)
    return np.asarray(lengths <= SHORT * longest[program.radius_places])


def _falls_on(look: Look, loose: np.ndarray) -> bool:
    """Whether the cost is still lower where the way of the `loose` parameters from their start is gone once more.

    A convex cost that dies out along a tail is bounded by its dual cost as closely as one with a minimum.
    """
    way = np.where(loose, look.x if look.start is None else look.x - look.start, 0.0)
    beyond = look.value_at(look.inside(look.x + way))
    return bool(beyond < look.value - ROUNDINGS * EPS * abs(look.value))


def _digits(look: Look, most: float) -> Vector | None:
    """Digits of the parameters, (n,), that no cost lower by up to `most` leaves open; None where they are not known.

    On the cones, where each norm is an entry of its own, a cost may be a quadratic: from its minimum x* it rises by
    (x - x*)ᵀH(x - x*)/2 at least, so that no parameter is off by more than the root of 2·most·(H⁻¹)ᵢᵢ.
    """
    from scipy.sparse import csc_array

    from ..structure.facts import Structure

    split, n = look.objective.split, look.n
    if split is None or split.conic is None or Structure(split.program.conic[0]).degree > 2:
        return None
    y, cost = split.program.lift(look.x), split.conic.cost
    sparse = cost.sparse_hessian.find() if cost.sparse_hessian is not None else None
    H = csc_array(cost.hessian(y) if sparse is None else sparse(y))
    own, beside = H[:n, :n], H[:n, n:]
    if beside.count_nonzero() or not np.isfinite(own.data).all():
        return None
    diagonal = own.diagonal()
    if (diagonal <= 0.0).any():
        return None
    if own.count_nonzero() == n:
        spread = 1.0 / diagonal
    elif n <= MOST_BENT:
        d = np.sqrt(diagonal)
        values, vectors = np.linalg.eigh(own.toarray() / d[:, None] / d)
        if values[0] <= n * ROUNDINGS * EPS:
            return None
        spread = (vectors**2 / values).sum(axis=1) / diagonal
    else:
        return None
    return digits_of(look, np.sqrt(2.0 * most * spread) + look.spacing)


def _gap(look: Look) -> Gap | None:
    objective = look.objective
    split = objective.split
    if split is None:
        return None
    try:
        y = split.program.lift(look.x)
        if not np.isfinite(y).all():
            return None
        smooth = smooth_program(objective, split, y, look.scale)
        w = y / smooth.units
        method = cone_method(on_cones(objective, smooth, split.conic), w)
        if method is None:
            return None
        it = method.begin(method.program.start(w))
        while it.halt is None:
            it = method.step(it)
    except NO_NUMBER:
        return None
    unit = smooth.cost_unit / method.program.cost_scale
    reach = FAR * np.maximum(np.abs(it.w), 1.0)
    least = unit * _bound(method, it, reach)
    x = look.inside((smooth.units * method.program.x_of(it.w))[: look.n])
    value = look.value_at(x)
    if not (np.isfinite(least) and np.isfinite(value)):
        return None
    size = unit * float(np.abs(it.at.gradient) @ np.abs(it.w))
    return Gap(max(look.value - least, 0.0), x, value, size, _loose(method, _short(split.program, y), look.n))


def _loose(method: ConeInteriorPoint, short: np.ndarray, n: int) -> np.ndarray:
    """Mask (n,) of the parameters that no equation of a kink and no norm of those `short` (K,) is made from."""
    from scipy.sparse import csr_array

    program, cones = method.program, method.cones
    J = abs(csr_array(program.jacobian(program.base[program.free])))
    held = np.asarray(J.sum(axis=0)).ravel()
    held += np.asarray(abs(csr_array(cones.slopes)[short[cones.of]]).sum(axis=0)).ravel()
    own = program.free < n
    loose = np.zeros(n, dtype=bool)
    loose[program.free[own]] = held[: program.free.size][own] == 0.0
    return loose


def _bound(method: ConeInteriorPoint, it: ConeIterate, reach: Vector) -> float:
    """What the cost is nowhere below within `reach` (N,) of the iterate, in its units, by the multipliers.

    A convex cost lies above its tangent. What the multipliers leave of its slope is made as small as can be: where it
    is the slope in a norm they take it, and elsewhere the tangent is laid where there is less.
    """
    pull = _taking_all(method, it)
    at_w = _where_balanced(method, it, pull)
    program = method.program
    at, (below, above) = program.measure(at_w), method.distances(at_w)
    point, sides = method.cones.at(at_w), (below > 0.0).all() and (above > 0.0).all()
    if not (at.finite and sides):
        return -np.inf
    sum_of_products = point.t @ pull.t + point.u @ pull.u
    sum_of_products += it.low[method.has_low] @ below[method.has_low]
    sum_of_products += it.high[method.has_high] @ above[method.has_high]
    left = _left(method, it, at.gradient, pull)
    rounding = 8.0 * EPS * (abs(at.value) + float(np.abs(at.gradient) @ np.abs(at_w)))
    return float(at.value + it.y @ at.residual - sum_of_products - np.abs(left) @ reach - rounding)


def _left(method: ConeInteriorPoint, it: ConeIterate, gradient: Vector, pull: Point) -> Vector:
    """What the multipliers leave of the slope, (N,)."""
    return np.asarray(gradient + it.J.T @ it.y - it.low + it.high - method.pulled(pull))


def _taking_all(method: ConeInteriorPoint, it: ConeIterate) -> Point:
    """The multipliers of the cones with those of t what balances its slope, and those of u no longer."""
    cones, left = method.cones, _left(method, it, it.at.gradient, it.pull)
    t = np.maximum(it.pull.t + left[cones.tips], 0.0)
    lengths = cones.lengths(it.pull.u)
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(lengths > t, t / lengths, 1.0)
    return cones.point(t, part[cones.of] * it.pull.u)


def _where_balanced(method: ConeInteriorPoint, it: ConeIterate, pull: Point) -> Vector:
    """The place (N,) next to the iterate where the multipliers balance the slope of entries with curvature."""
    from scipy.sparse import csc_array

    program, w = method.program, it.w
    for _ in range(ROUNDS):
        H = csc_array(program.hessian(w, it.y))
        diagonal = H.diagonal()
        bent = np.flatnonzero(diagonal > BENT * diagonal.max(initial=0.0))
        if not bent.size:
            break
        left = _left(method, it, program.measure(w).gradient, pull)
        raised = np.full(bent.size, BENT * diagonal.max())
        step = factorise(H[bent][:, bent], raised, csc_array((0, bent.size)), 0.0).solve(-left[bent])
        if step is None or not np.isfinite(step).all():
            break
        w = w.copy()
        w[bent] += step
    return w
