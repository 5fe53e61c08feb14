"""BFGS: Newton's method on an inverse Hessian learned from the changes of the gradient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf, isfinite, nan
from typing import ClassVar, NamedTuple

import numpy as np

from ..bounds import Mask, Vector
from ..linear_algebra.long_vectors import length
from ..linear_algebra.symmetric import eigensystem
from ..numerics import EPS
from ..objective import Matrix, Objective
from .box import Route, route
from .line_search import STILL_FALLING, check_still_falling, downhill, first_scale, walk
from .stopping import VALUE_ROUNDING, StopReason

# A pair is used when sᵀy exceeds this part of ‖s‖‖y‖, or with few parameters of Σ|sᵢyᵢ|, which no units change; below
# it the measured curvature is rounding, and dividing by it would fill the matrix with noise.
CURVATURE_FLOOR = EPS

# Where residuals tell the first curvature, what they see less of than this part of the most is taken to be as much: at
# the rounding of the slopes of residuals nothing is known. Costs at the end differ little between 1e-3 and 1e-9.
LEAST_SEEN = EPS**0.5

# Where the curvature along a step was below this part of what H expected, H is scaled up to it first. BFGS
# by itself needs many steps to unlearn a curvature that is too large (Al-Baali, "Numerical experience with a
# class of self-scaling quasi-Newton algorithms", J. Optim. Theory Appl. 96, 1998). At 1 it would also undo,
# at every step, curvature that was learned well. Inside bounds longer steps are bent more, so there it waits
# for clearer evidence.
OVERRATED, OVERRATED_INSIDE = 0.5, 0.25


class BFGSState(NamedTuple):
    """The state of BFGS: what the driver reads, and what was learned.

    `inverse_hessian`: shape (n, n), None until a curvature was measured. `direction`: where to go next,
    shape (n,), with `slope` along it. `route`: the same inside bounds, None without them.
    """

    x: Vector
    value: float
    gradient: Vector
    step: Vector | None
    decrease: float
    stop: StopReason | None
    direction: Vector
    slope: float
    inverse_hessian: Matrix | None
    route: Route | None


@dataclass(frozen=True)
class BFGS:
    """Dense BFGS (Nocedal & Wright 2006, algorithm 6.1), started from the first curvature measured.

    Bounds are kept by a Newton step over the free parameters, bent onto the box. `still_falling` is the line
    search's c₂; small values make it nearly exact, at the price of more evaluations. `from_residuals`: it begins with
    what the residuals of a sum of squares tell of the curvature (Fletcher & Xu, "Hybrid methods for nonlinear least
    squares", IMA J. Numer. Anal. 7, 1987).
    """

    name: ClassVar[str] = "BFGS"
    remedy: ClassVar[str] = ""
    still_falling: float = STILL_FALLING
    from_residuals: bool = False

    def __post_init__(self) -> None:
        check_still_falling(self.still_falling)

    def default_max_steps(self, n: int) -> int:
        """Far more than a quasi-Newton method needs, unless it follows a curved valley for ever."""
        return max(5_000, 200 * n)

    def init(self, objective: Objective, x: Vector) -> BFGSState:
        """The start, with the slope as first direction, or the Gauss-Newton step."""
        value, gradient = objective.value_and_gradient(x)
        known = self.from_residuals and isfinite(value) and objective.has_residual
        return _aim(objective, x, value, gradient, None, _of_residuals(objective, x) if known else None)

    def step(self, objective: Objective, state: BFGSState) -> BFGSState:
        """Go along the direction, learn from what was found, and aim again."""
        x, value, gradient, H = state.x, state.value, state.gradient, state.inverse_hessian
        landing = walk(objective, state, self.still_falling)
        if landing is None and H is not None:
            if state.decrease <= VALUE_ROUNDING * abs(value):
                return state._replace(stop=StopReason.ROUNDING)
            state = _aim(objective, x, value, gradient, state.step, None)
            H = None
            landing = walk(objective, state, self.still_falling) if state.slope < 0.0 else None
        if landing is None:
            return state._replace(stop=StopReason.NO_PROGRESS)
        if state.route is not None:
            s = landing.x - x
        else:
            s = state.direction if landing.t == 1.0 else landing.t * state.direction
        y = landing.gradient - gradient
        sy = float(s.dot(y))
        yy = float(y.dot(y))
        if sy > CURVATURE_FLOOR * float(np.add.reduce(np.abs(s * y))) and yy < inf:
            expected = -landing.t * landing.t * state.slope  # sᵀBs, as the direction solved Bp = -g
            if H is not None and sy < _overrated(state.route) * expected:
                H = H * (expected / sy)
            H = updated(H, s, y, sy)
        return _aim(objective, landing.x, landing.value, landing.gradient, s, H)


def _of_residuals(objective: Objective, x: Vector) -> Matrix | None:
    """The inverse of 2JᵀJ, shape (n, n), in units in which J (m, n) has columns of length one; None without any."""
    J = objective.linearised(x).jacobian
    if type(J) is not np.ndarray:
        return None
    size = np.sqrt(np.add.reduce(J * J))
    if not (np.isfinite(size).all() and (size > 0.0).all()):
        return None
    J = J / size
    seen, turned = eigensystem(J.T.dot(J))
    H = (turned / (2.0 * np.maximum(seen, LEAST_SEEN * seen[-1]))).dot(turned.T) / (size[:, None] * size)
    return H if np.isfinite(H).all() else None


def _overrated(way: Route | None) -> float:
    if way is None:
        return OVERRATED
    return 0.0 if way.bent else OVERRATED_INSIDE


def updated(H: Matrix | None, s: Vector, y: Vector, sy: float) -> Matrix:
    """The inverse Hessian, shape (n, n), after a step s changed the gradient by y (sy = sᵀy).

    H⁺ = (I - ρsyᵀ) H (I - ρysᵀ) + ρssᵀ with ρ = 1/sᵀy (Nocedal & Wright 2006, eq. 6.17), multiplied out as
    H + suᵀ + usᵀ. The first H is (sᵀs / sᵀy)·I, the curvature along the first step. Larger than the usual
    (sᵀy / yᵀy)·I (their eq. 6.20), it errs on the side that BFGS corrects soon: long steps.

    >>> updated(None, np.array([1.0]), np.array([4.0]), 4.0)
    array([[0.25]])
    """
    if H is None:
        H = np.zeros((s.size, s.size))
        scale = float(s.dot(s)) / sy
        np.fill_diagonal(H, scale)
        Hy = y * scale
    else:
        Hy = H.dot(y)
    u = ((0.5 + 0.5 * float(y.dot(Hy)) / sy) * s - Hy) / sy
    su = s[:, None] * u
    return H + su + su.T


def _aim(
    objective: Objective, x: Vector, value: float, gradient: Vector, step: Vector | None, H: Matrix | None
) -> BFGSState:
    """The state at `x`, aimed along -H·gradient; straight down where H is unknown."""
    if objective.bounds.any:
        return _aim_inside(objective, x, value, gradient, step, H)
    if H is not None:
        direction = -H.dot(gradient)
        slope = float(gradient.dot(direction))
        if slope < 0.0:
            return BFGSState(x, value, gradient, step, -0.5 * slope, None, direction, slope, H, None)
    direction = downhill(gradient, None if step is None else length(step))
    slope = float(gradient.dot(direction))
    return BFGSState(x, value, gradient, step, nan, None, direction, slope, None, None)


def _aim_inside(
    objective: Objective, x: Vector, value: float, gradient: Vector, step: Vector | None, H: Matrix | None
) -> BFGSState:
    bounds = objective.bounds
    down = bounds.projected_gradient(x, gradient)
    way = None
    if isfinite(float(down.dot(down))):
        last = None if step is None else length(step)
        scale = first_scale(down, last) if H is None else float(np.trace(H)) / x.size
        newton = partial(_free_step, gradient, H) if H is not None else partial(_steepest, gradient, scale)
        way = route(bounds, x, gradient, newton, scale)
    if way is None:
        stop = StopReason.NO_PROGRESS if down.any() else None
        return BFGSState(x, value, gradient, step, nan, stop, -down, 0.0, H, None)
    decrease = way.decrease if H is not None else nan
    return BFGSState(x, value, gradient, step, decrease, None, way.direction, way.slope, H, way)


def _steepest(gradient: Vector, scale: float, free: Mask, held: Vector | None) -> Vector:
    return np.where(free, -scale * gradient, 0.0 if held is None else held)


def _free_step(gradient: Vector, H: Matrix, free: Mask, held: Vector | None) -> Vector:
    """The Newton step over the free parameters F when the others, A, move by `held`, from the inverse H of B.

    With forces λ on A that make them move so: p = -H(g_F + λ), λ such that p_A is `held`. It is
    -(B_FF)⁻¹(g_F + B_FA·held) without ever forming B.
    """
    pull = np.where(free, gradient, 0.0)
    p = -H.dot(pull)
    others = np.flatnonzero(~free)
    if others.size == 0:
        return p
    target = np.zeros(others.size) if held is None else held[others]
    across = H[:, others]
    try:
        force = np.linalg.solve(across[others], p[others] - target)
    except np.linalg.LinAlgError:
        p = np.where(free, p, 0.0)
    else:
        p -= across.dot(force)
    p[others] = target
    return p
