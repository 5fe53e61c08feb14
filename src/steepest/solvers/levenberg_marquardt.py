"""Levenberg-Marquardt: Gauss-Newton steps on the residuals within a trust radius, Newton where those turn slow."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..bounds import Bounds, Mask, Vector
from ..errors import InputError
from ..linear_algebra.damped import FEW, Damped, of_hessian, of_residual, of_sparse_residual
from ..linear_algebra.long_vectors import holds_everywhere, is_finite, is_zero
from ..numerics import EPS
from ..objective import Matrix, Objective
from ..oracles import Linearised
from .bent_path import (
    AFTER_REFUSAL,
    PUT_BACK_BELOW,
    WORTH_PUTTING_BACK,
    Bend,
    Reach,
    foretold,
    is_bearable,
    next_radius,
    reach_of,
)
from .shrinking_steps import is_near, is_steady, led_by, shrinking
from .stopping import VALUE_ROUNDING, StopReason

# A step is taken when it gains this part of what the model promised (Moré 1978).
WORTH_TAKING = 1e-4

# The model is trusted further when it promised well, less when it promised badly (Moré 1978).
POOR, GOOD = 0.25, 0.75
GROWTH = 2.0
SMALLEST_CUT, LARGEST_CUT = 0.1, 0.5

# The first radius, in units of the change of the residuals that the parameters' own size would make: 1 keeps the
# first step within the size of the start, so that far starts are not thrown out of the valley they lie in.
FIRST_RADIUS = 1.0

# Gauss-Newton leaves out the curvature of the residuals, and then converges by a fixed factor. When what is left to
# gain falls by less than SLOW on PATIENCE free steps, the whole Hessian repays its price.
SLOW, PATIENCE = 0.1, 3

# Where that curvature is upwards and large, whole steps leap across the valley, and the radius holds every one of them
# back. After HELD_PATIENCE slow held steps, and after twice as many each time after that, both models are asked how the
# slope changed along the last step; the whole Hessian is taken where it is positive definite and errs by less than
# ERRS_LESS of what Gauss-Newton does. In a valley that merely bends both err alike, and Gauss-Newton keeps to it with
# longer steps; most are through in fewer, and never pay for the program of a Hessian, worth some 80 steps.
HELD_PATIENCE, ERRS_LESS = 12, 0.5

# The units of the parameters never shrink on the way (Moré 1978), but the Hessian holds their squares: after a fall
# from a start 10⁸ times as steep, curvatures in units of that time drown in rounding. Where a unit has become so many
# times too large, units shrink with it, to this part at most from one step to the next.
DROWNED = 1e-4
REMEMBERED = 0.1

# Without the Hessian columns are lost only beside units that the rounding of the Jacobian hides them in. What has sunk
# below this part of its unit is raised to this part at once: what is left to gain there would be none.
SUNK, RAISED = 1e-11, 1e-6

# Where residuals are left at the bottom, Gauss-Newton steps shrink by a factor each, and the last two tell it. So they
# do where what is left to gain falls to between the first part and SLOW of what it was, and has become less than the
# second part of the squares: where it is all of them, nothing may be left at the bottom, and steps shrink ever faster.
LED_FROM, LITTLE = 1e-5, 0.1

# So many such steps, and more for each parameter that a valley may wind through, are enough where another method stands
# ready: Newton's is out of it sooner, in units that follow the curvature. Fewer, and walks are broken off close to
# their end: a valley in 3 parameters took 96 in a row, one in 10 took 175.
SLOW_STEPS, SLOW_EACH = 60, 20

# Steps in a row that the radius holds, that converge slowly and of which each turns from the one before by more than 60
# degrees lead from side to side of a valley whose walls are steeper than Gauss-Newton knows: each is poor, yet not so
# poor that the radius shrinks. After so many another method comes on sooner. In forty fits no walk that arrived took
# more than 14 in a row, and half of those that did not took more than 100.
FROM_SIDE_TO_SIDE, TURNED = 30, 0.5

# Steps that shrink by one factor shrink what is left to gain by no less than this from one to the next; where it falls
# faster nothing is compared. And where all of them together lead, no more than the second part of what the next step
# promises may be left of it: it leaves several times as much itself, however high the order of the bottom.
LEAST_LEFT, LEFT_OF_ALL = 1e-3, 1e-2

# Below this part of the cost what is left to gain moves no parameter by 1e-8 of its standard error; slowness there
# is rounding, not curvature.
TOO_LITTLE = 1e-3 * EPS

# A change of a residual by so many roundings of what it is made of may be one of x.
FEIGNED = 2.0

# What rounding of a whole step has left is mended at once where it is no more than this part of the step: more is left
# where the model has next to no curvature, and rounding of its slope there would be taken for a way to go.
OF_ROUNDING = 1e-4

# A step that has lost most of its promise to the bounds is worse than the slope bent onto them.
KEPT_PROMISE = 0.01

# Rounds of putting on their bounds the parameters that a step pushes through them.
ROUNDS = 4


class LMState(NamedTuple):
    """The state of Levenberg-Marquardt: what the driver reads, and the model at `x`.

    `linear`: value, residual (m,) and Jacobian (m, n). `hessian` (n, n): in place of the Gauss-Newton model, or
    None. `scale` (n,): residual units per parameter unit. `radius`: how far the model is trusted, in residual
    units. `model`: the model over the parameters in `free` (None: all of them). `slow`: free steps in a row that
    converged slowly, `slow_held`: held ones; `held_curved`: held ones with the whole Hessian; `turned`: slow held ones
    that turned from the one before. `spent`: whether what is left to gain is rounding. `grain`: by how much the value
    may be off because each residual is a difference of two
    numbers that are larger. `bend`: that of the last step, if the radius held it; `reach`: what it tells of longer
    ones, if it was bent. `ratio`: of the model's next step to the last one, where both are free and go the same way,
    else 0; `steady`: how many times in a row it has been the same, and `wanted`: how many it takes to go ahead. `way`:
    the lengths of all steps so far, scaled. `aimed` (n,): the last step as the model had it, where it was free and the
    next one is shorter; else None. `unseen` (n,): which parameters have moved no residual yet; None where all have.
    """

    x: Vector
    value: float
    gradient: Vector
    step: Vector | None
    decrease: float
    stop: StopReason | None
    linear: Linearised
    hessian: Matrix | None
    scale: Vector
    radius: float
    model: Any
    free: Mask | None
    slow: int
    slow_held: int
    spent: bool
    grain: float
    bend: Bend | None = None
    reach: Reach | None = None
    held_curved: int = 0
    turned: int = 0
    ratio: float = 0.0
    steady: int = 0
    wanted: int = 1
    way: float = 0.0
    aimed: Vector | None = None
    unseen: Mask | None = None


class Move(NamedTuple):
    """A step p (n,), the decrease the model promises, its scaled length, whether the radius held it back.

    `damping`: the λ that did so; zero where the step is not the model's own, for the bounds. `own`: whether it is.
    """

    p: Vector
    promise: float
    length: float
    held: bool
    damping: float
    own: bool = True


class Trial(NamedTuple):
    """A place tried, x (n,), what is known there, and by how much the cost fell; `missed`: at the first of its kind.

    That is a part of the promise. `bent`: whether the step there is more than the model's.
    """

    x: Vector
    found: Linearised
    fell: float
    missed: float
    bent: bool


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Trust-region Gauss-Newton (Moré 1978), invariant to the units of the parameters and of the residuals.

    Dense Jacobians are decomposed (safe when rank-deficient), sparse ones factorised or iterated on. Bounds are
    kept by moving parameters onto them and solving for the rest. `first_radius` limits the first step, in units of
    what the start's own size changes in the residuals; `newton` allows the switch to full second derivatives.
    `hands_over`: it ends for what comes next after many held steps, in a row that converged slowly or with the whole
    Hessian, or after fewer that led from side to side.
    """

    name: ClassVar[str] = "Levenberg-Marquardt"
    remedy: ClassVar[str] = ""
    first_radius: float = FIRST_RADIUS
    newton: bool = True
    hands_over: bool = False

    def default_max_steps(self, n: int) -> int:
        """Far more than a curve fit needs; curved valleys of collapsing exponentials take hundreds."""
        return max(2_000, 50 * n)

    def init(self, objective: Objective, x: Vector) -> LMState:
        """The start and the model there; raises `InputError` for a cost that is no sum of squares."""
        if not objective.has_residual:
            raise InputError(
                "Levenberg-Marquardt needs a cost that is a sum of squares, such as np.sum(residual**2), and this one "
                'was not recognised as such; leave method out, or write method="bfgs"'
            )
        linear = objective.linearised(x)
        size, gram = _measured(linear.jacobian)
        moved = size * x
        reach = sqrt(float(moved.dot(moved)))
        radius = self.first_radius * (reach if reach > 0.0 else sqrt(linear.residual.dot(linear.residual)))
        unseen = size == 0.0
        if is_zero(unseen):
            return self._aim(objective, x, linear, None, size, size, gram, radius, False, False, None, 0.0)
        scale = np.where(unseen, float(size.max()) or 1.0, size)
        state = self._aim(objective, x, linear, None, scale, size, gram, radius, False, False, None, 0.0)
        return state._replace(unseen=unseen)

    def step(self, objective: Objective, state: LMState) -> LMState:
        """The first step, at shrinking radius, that lowers the cost about as the model says."""
        if state.spent:
            return state._replace(stop=StopReason.ROUNDING)
        if self.hands_over and _is_slow(state):
            return state._replace(stop=StopReason.OUT_OF_BUDGET)
        if state.steady >= state.wanted:
            ahead = self._all_at_once(objective, state)
            if ahead is not None:
                return ahead
            # Bottoms of unlike order look steady and lead nowhere for long: each look costs a Jacobian.
            state = state._replace(steady=0, wanted=2 * state.wanted)
        x, value, radius = state.x, state.value, state.radius
        rounding = VALUE_ROUNDING * abs(value) + state.grain
        refused = False
        while True:
            if not radius > 0.0:  # all cut away, beside a jump at zero that x is a denormal number from
                return state._replace(stop=StopReason.NO_PROGRESS)
            move = _move(objective.bounds, state, radius)
            free = not move.damping > 0.0
            bent = None if free else _foretold(state, move)
            further = _led(state, move) if free and not refused else bent
            led = further is not bent
            place = _place(objective.bounds, x, move.p if further is None else move.p + further)
            if free and radius == inf:
                place = _refined(objective.bounds, state, move, place)
            if not move.promise > 0.0 or (move.promise <= rounding and holds_everywhere(place == x)):
                lost = state.decrease <= rounding
                return state._replace(stop=StopReason.ROUNDING if lost else StopReason.NO_PROGRESS)
            least = WORTH_TAKING * move.promise if move.promise > rounding else -rounding
            if refused and not value - objective.value(place) >= least:
                radius = SMALLEST_CUT * min(radius, move.length)
                continue
            trial = _tried(objective, state, move, place, bent is not None)
            if move.own and move.promise > rounding:
                trial = _put_back(objective, state, move, trial)
            if trial.fell >= least and isfinite(trial.found.value):
                size, gram = _measured(trial.found.jacobian)
                if is_finite(size):
                    break
            if led:
                state = state._replace(aimed=None)  # once more without
                continue
            cut = AFTER_REFUSAL if trial.bent else _cut(state, move, trial.fell)
            radius = cut * min(radius, move.length)
            refused = True
        reach = None
        if trial.bent and move.promise > rounding:
            reach = reach_of(state.reach, move.length, trial.missed)
            poor = trial.fell < POOR * move.promise
            radius = LARGEST_CUT * min(radius, move.length) if poor else next_radius(reach)
        else:
            radius = _next_radius(state, move, trial.fell, radius, rounding)
        scale = _units(state, size)
        fitting = _fitting(scale, size, state.hessian is not None)
        if fitting is not scale:
            scale = fitting
            radius *= sqrt(float(((scale * move.p) ** 2).sum())) / move.length if move.length > 0.0 else 1.0
            reach = None  # it was told in the units before
        step = trial.x - x
        way = state.way + move.length
        # A free step that had to be put back on the floor of the valley says nothing of the model at its bottom.
        held = move.held or trial.bent
        onward = self._aim(
            objective, trial.x, trial.found, step, scale, size, gram, radius, held, led, state, way
        )
        if onward.model is None:
            return onward
        if free and not trial.bent:
            return _compared(state, _aimed(state, onward, move))
        return onward._replace(bend=Bend(step, _off(onward, state.linear, -step)), reach=reach)

    def _all_at_once(self, objective: Objective, state: LMState) -> LMState | None:
        """The state where all steps still to come would lead, if next to nothing is left there; else None."""
        move = _move(objective.bounds, state, state.radius)
        place = _place(objective.bounds, state.x, move.p / (1.0 - state.ratio))
        found = objective.linearised(place)
        if not _fell(objective, state.linear, found) >= (1.0 - LEFT_OF_ALL) * move.promise:
            return None
        size, gram = _measured(found.jacobian)
        if not (isfinite(found.value) and is_finite(size)):
            return None
        scale, step = _units(state, size), place - state.x
        way = state.way + move.length
        return self._aim(
            objective, place, found, step, scale, size, gram, state.radius, False, False, state, way
        )

    def _aim(
        self,
        objective: Objective,
        x: Vector,
        linear: Linearised,
        step: Vector | None,
        scale: Vector,
        size: Vector,
        gram: Matrix | None,
        radius: float,
        held: bool,
        led: bool,
        before: LMState | None,
        way: float,
    ) -> LMState:
        """The state at `x` with the model for the next step, and what that model says of the last one.

        That was `held` back by the radius, or `led` by the one before it: what it left says nothing of rounding then.
        """
        value, r, J = linear
        is_dense = type(J) is np.ndarray
        half = r.dot(J) if is_dense else J.T @ r
        gradient = half + half
        if not (isfinite(value) and is_finite(gradient)):
            return LMState(
                x, value, gradient, step, inf, None, linear, None, scale, radius, None, None, 0, 0, False, 0.0
            )
        free = objective.bounds.free(x, gradient) if objective.bounds.any else None
        if free is not None and is_zero(free):  # the slope pushes every parameter against a bound
            return LMState(
                x, value, gradient, step, 0.0, None, linear, None, scale, radius, None, free, 0, 0, True, 0.0
            )
        curved = before is not None and before.hessian is not None
        held_curved = before.held_curved + held if before is not None and curved else 0
        hessian = _finite_hessian(objective, x) if curved else None
        if is_dense and hessian is None and free is None:
            model: Any = of_residual(J, r, scale, gram, half, radius)
        else:
            model = _model(linear, gradient, hessian, scale, free, None)
        decrease: float = model.decrease
        # What the rounding of x and of the residuals themselves can feign, JᵀJ-wise.
        squares = float(r.dot(r))
        moved = size * x
        reach = float(moved.dot(moved))
        grain = 4.0 * EPS * sqrt(squares * reach)
        spent = decrease <= EPS**2 * x.size * (squares + reach)
        if spent and before is not None and decrease <= SLOW * before.decrease:
            spent = not _is_above_rounding(model, x, linear, scale, free)
        slow = slow_held = turned = 0
        if before is not None:
            slow, slow_held = before.slow, before.slow_held
        if before is not None and not spent:
            shrinks_slowly = decrease > SLOW * before.decrease
            if curved or not (is_dense and self.newton and objective.has_hessian):
                spent = shrinks_slowly and before.decrease <= EPS * abs(value) and not (held or led)
            elif decrease <= TOO_LITTLE * abs(value):
                spent = shrinks_slowly and not (held or led)
            else:
                if held:
                    slow_held = slow_held + 1 if shrinks_slowly else 0
                    turned = before.turned + 1 if shrinks_slowly and _turns(before.step, step, scale) else 0
                else:
                    slow, slow_held = slow + 1 if shrinks_slowly else 0, 0
                if slow >= PATIENCE or (slow_held >= HELD_PATIENCE and _is_time_to_compare(slow_held)):
                    hessian = _finite_hessian(objective, x)
                    if hessian is not None:
                        whole = _model(linear, gradient, hessian, scale, free, None)
                        if held and not _tells_more(hessian, whole, J, gradient, scale, before, x):
                            hessian = None
                        else:
                            model, decrease = whole, whole.decrease
        return LMState(
            x,
            value,
            gradient,
            step,
            decrease,
            None,
            linear,
            hessian,
            scale,
            radius,
            model,
            free,
            slow,
            slow_held,
            spent,
            grain,
            held_curved=held_curved,
            turned=turned,
            way=way,
            unseen=_still_unseen(before, size),
        )


def _is_slow(state: LMState) -> bool:
    """Whether so many slow steps were held, or led from side to side, that another method is to be tried."""
    in_a_row = max(state.slow_held, state.held_curved)
    return state.turned >= FROM_SIDE_TO_SIDE or in_a_row >= SLOW_STEPS + SLOW_EACH * state.x.size


def _units(state: LMState, size: Vector) -> Vector:
    """The units that fit columns of the Jacobian of this `size` (n,) too: the largest so far (Moré 1978).

    A parameter whose column was zero until now has had none of its own.
    """
    scale = np.maximum(state.scale, size)
    if state.unseen is None:
        return scale
    return np.where(state.unseen & (size > 0.0), size, scale)


def _fitting(scale: Vector, size: Vector, curved: bool) -> Vector:
    """The units `scale` (n,), smaller where columns of this `size` (n,) are lost in them, in squares where `curved`."""
    if curved:
        if is_zero(size < DROWNED * scale):
            return scale
        return np.where(size > 0.0, np.maximum(REMEMBERED * scale, size), scale)
    sunk = (size < SUNK * scale) & (size > 0.0)
    return scale if is_zero(sunk) else np.where(sunk, size / RAISED, scale)


def _still_unseen(before: LMState | None, size: Vector) -> Mask | None:
    """Which parameters have had columns of zeros alone, these of `size` (n,) included; None where there are none."""
    if before is None or before.unseen is None:
        return None
    unseen = before.unseen & (size == 0.0)
    return None if is_zero(unseen) else unseen


def _turns(before: Vector | None, step: Vector | None, scale: Vector) -> bool:
    """Whether a `step` (n,) turns from the one `before` by more than 60 degrees, in units of `scale` (n,)."""
    if before is None or step is None:
        return False
    this, last = scale * step, scale * before
    return float(this.dot(last)) < TURNED * sqrt(float(this.dot(this)) * float(last.dot(last)))


def _compared(state: LMState, onward: LMState) -> LMState:
    """The state `onward`, one free step from `state`, with how its own next step compares to that one."""
    if not (
        onward.decrease > LEAST_LEFT * state.decrease and onward.free is None and onward.step is not None
    ):
        return onward
    ahead = onward.model.step(inf).step
    ratio = shrinking(onward.scale * onward.step, ahead)
    if not ratio > 0.0:
        return onward
    near = is_near(sqrt(float(ahead.dot(ahead))), ratio, onward.way)
    steady = state.steady + 1 if near and is_steady(ratio, state.ratio) else 0
    return onward._replace(ratio=ratio, steady=steady, wanted=state.wanted)


def _is_above_rounding(model: Any, x: Vector, linear: Linearised, scale: Vector, free: Mask | None) -> bool:
    """Whether the model's step changes some residual by more than the rounding of `x` and of itself could.

    Where residuals are of unlike size, the rounding of the large ones hides what the small ones still have to gain.
    """
    r, J = linear.residual, linear.jacobian
    p = np.zeros(x.size)
    p[slice(None) if free is None else free] = model.step(inf).step
    rounding = np.abs(J) @ np.abs(x) + np.abs(r)
    return bool((np.abs(J @ (p / scale)) > FEIGNED * EPS * rounding).any())


def _model(
    linear: Linearised,
    gradient: Vector,
    hessian: Matrix | None,
    scale: Vector,
    free: Mask | None,
    moved: Vector | None,
) -> Any:
    """The quadratic model over the parameters in `free`, when the others move by `moved` (n,)."""
    r, J = linear.residual, linear.jacobian
    if hessian is not None:
        if moved is not None:
            gradient = gradient + hessian.dot(moved)
        if free is not None:
            hessian, gradient, scale = hessian[np.ix_(free, free)], gradient[free], scale[free]
        return of_hessian(hessian, gradient, scale)
    if moved is not None:
        r = r + J.dot(moved)
    if free is not None and not holds_everywhere(free):
        J, scale = J[:, free], scale[free]
    return of_residual(J, r, scale) if type(J) is np.ndarray else of_sparse_residual(J, r, scale)


def _is_time_to_compare(slow_held: int) -> bool:
    """Whether `slow_held` is HELD_PATIENCE, or that doubled and doubled again."""
    times, rest = divmod(slow_held, HELD_PATIENCE)
    return rest == 0 and times > 0 and times & (times - 1) == 0


def _tells_more(
    hessian: Matrix, model: Any, J: Matrix, gradient: Vector, scale: Vector, before: LMState, x: Vector
) -> bool:
    """Whether the Hessian tells the change of slope since `before` much better than 2JᵀJ, and where the bottom is."""
    if not isfinite(model.decrease):
        return False
    step, change = x - before.x, gradient - before.gradient
    newton, gauss = (change - hessian.dot(step)) / scale, (change - 2.0 * J.T.dot(J.dot(step))) / scale
    return bool(newton.dot(newton) < ERRS_LESS**2 * gauss.dot(gauss))


def _move(bounds: Bounds, state: LMState, radius: float) -> Move:
    """The model's step within the radius, bent to stay inside the bounds."""
    damped: Damped = state.model.step(radius)
    if state.free is None:
        held = damped.damping > 0.0
        return Move(damped.step / state.scale, damped.promise, damped.length, held, damped.damping)
    return _inside(bounds, state, radius, damped)


def _inside(bounds: Bounds, state: LMState, radius: float, damped: Damped) -> Move:
    x, scale, free = state.x, state.scale, state.free
    assert free is not None
    if holds_everywhere(free):
        p = damped.step / scale
    else:
        p = np.zeros(x.size)
        p[free] = damped.step / scale[free]
    held = damped.damping > 0.0
    if bounds.contains(x + p):
        return Move(p, damped.promise, damped.length, held, damped.damping)
    out = free & ~((x + p >= bounds.lower) & (x + p <= bounds.upper))
    moved = np.zeros(x.size)
    for _ in range(ROUNDS):
        moved[out] = (bounds.project(x + p) - x)[out]
        free = free & ~out
        p = moved.copy()
        if not free.any():
            break
        rest = _model(state.linear, state.gradient, state.hessian, scale, free, moved).step(radius)
        p[free] = rest.step / scale[free]
        held = rest.damping > 0.0
        out = free & ~((x + p >= bounds.lower) & (x + p <= bounds.upper))
        if not out.any():
            break
    p = bounds.project(x + p) - x
    promise = _promise(state, p)
    if not promise > KEPT_PROMISE * damped.promise:
        p, promise = _bent_slope(bounds, state, radius, p, promise)
    return Move(p, promise, sqrt(float(((scale * p) ** 2).sum())), held, 0.0, own=False)


def _bent_slope(
    bounds: Bounds, state: LMState, radius: float, p: Vector, promise: float
) -> tuple[Vector, float]:
    """The scaled slope bent onto the bounds, where the model promises more along it than along `p`."""
    assert state.free is not None
    down = -np.where(state.free, state.gradient, 0.0) / state.scale**2
    length = sqrt(float(((state.scale * down) ** 2).sum()))
    if length == 0.0:
        return p, promise
    t = min(radius, inf if state.hessian is not None else 0.5 * length) / length
    t = t if isfinite(t) else 1.0
    for _ in range(30):
        bent = bounds.project(state.x + t * down) - state.x
        gained = _promise(state, bent)
        if gained > 0.0:
            return (bent, gained) if gained > promise else (p, promise)
        t *= 0.5
    return p, promise


def _place(bounds: Bounds, x: Vector, step: Vector) -> Vector:
    """One step (n,) from `x` (n,), inside the bounds and marked read-only, as it is kept."""
    place = x + step
    if bounds.any:
        place = bounds.project(place)
    place.setflags(write=False)
    return place


def _refined(bounds: Bounds, state: LMState, move: Move, place: Vector) -> Vector:
    """The `place` (n,) to which a whole step leads, without what rounding left of the model's slope there.

    One step of iterative refinement by the factors of the step itself (Björck, BIT 7, 1967): residuals that are linear
    are at their bottom then, and need no other step.
    """
    if not _is_gauss_newton(state):
        return place
    r, J = state.linear.residual, state.linear.jacobian
    left = r + J.dot(place - state.x)
    slope = left.dot(J) if type(J) is np.ndarray else J.T @ left
    q = state.model.damped(slope / state.scale, 0.0)
    if q is None or not q.dot(q) <= (OF_ROUNDING * move.length) ** 2:
        return place
    return _place(bounds, place, q / state.scale)


def _tried(objective: Objective, state: LMState, move: Move, place: Vector, bent: bool) -> Trial:
    found = objective.linearised(place)
    fell = _fell(objective, state.linear, found)
    return Trial(place, found, fell, 1.0 - fell / move.promise, bent)


def _foretold(state: LMState, move: Move) -> Vector | None:
    """The second-order part (n,) of a step that the radius holds, from the bend of the last one; None for none."""
    off = foretold(state.bend, move.p, state.scale)
    return None if off is None else _bent(state, move, off)


def _aimed(state: LMState, onward: LMState, move: Move) -> LMState:
    """The state `onward`, a free step from `state`, with that step where it may tell of how the next ones shrink."""
    if not LED_FROM * state.decrease < onward.decrease < SLOW * state.decrease:
        return onward
    if move.held or not _is_gauss_newton(state):
        return onward
    r = onward.linear.residual
    return onward._replace(aimed=move.p) if onward.decrease < LITTLE * float(r.dot(r)) else onward


def _is_gauss_newton(state: LMState) -> bool:
    """Whether the model has no second derivatives, and no bound holds a parameter."""
    return state.hessian is None and (state.free is None or holds_everywhere(state.free))


def _led(state: LMState, move: Move) -> Vector | None:
    """What a free step needs besides (n,), as the last one tells; None for nothing."""
    if state.aimed is None or state.step is None or move.held or not _is_gauss_newton(state):
        return None
    return led_by(state.step, state.aimed, move.p, state.scale)


def _put_back(objective: Objective, state: LMState, move: Move, trial: Trial) -> Trial:
    """A trial that fell short, or the one on the floor of the valley beside it, if that is lower."""
    if trial.fell > PUT_BACK_BELOW * move.promise:
        return trial
    place = _beside(objective, state, move, trial)
    if place is None:
        return trial
    back = _tried(objective, state, move, place, True)
    return back._replace(missed=trial.missed) if back.fell > trial.fell else trial


def _beside(objective: Objective, state: LMState, move: Move, trial: Trial) -> Vector | None:
    """The place (n,) on the floor of the valley beside a trial, if the model promises to find what is missing there."""
    bent = _bent(state, move, _off(state, trial.found, trial.x - state.x))
    if bent is None:
        return None
    place = _place(objective.bounds, state.x, move.p + bent)
    across = place - trial.x
    r, J = trial.found.residual, trial.found.jacobian
    if state.hessian is None:
        image = state.linear.jacobian.dot(across)
        gain = -2.0 * float(r.dot(image)) - float(image.dot(image))
    else:
        gain = -2.0 * float(J.T.dot(r).dot(across)) - 0.5 * float(across.dot(state.hessian.dot(across)))
    return place if gain >= WORTH_PUTTING_BACK * (move.promise - trial.fell) else None


def _off(state: LMState, there: Linearised, step: Vector) -> Vector:
    """By how much the model at `state` is off one `step` (n,) away: its residuals (m,), or half its slope (n,)."""
    if state.hessian is None:
        return there.residual - state.linear.residual - state.linear.jacobian.dot(step)
    return there.jacobian.T.dot(there.residual) - 0.5 * (state.gradient + state.hessian.dot(step))


def _bent(state: LMState, move: Move, off: Vector) -> Vector | None:
    """What (n,) makes up for a model that is `off`, with the damping of the step; None where that is too much."""
    slope = off if state.hessian is not None else state.linear.jacobian.T.dot(off)
    scale, free = state.scale, state.free
    if free is None:
        q = state.model.damped(slope / scale, move.damping)
        bent = None if q is None else q / scale
    else:
        q = state.model.damped(slope[free] / scale[free], move.damping)
        bent = None if q is None else np.zeros(scale.size)
        if bent is not None:
            bent[free] = q / scale[free]
    return bent if bent is not None and is_bearable(bent, move.length, scale) else None


def _promise(state: LMState, p: Vector) -> float:
    """By how much the model lies lower at `p`."""
    along = -float(state.gradient.dot(p))
    if state.hessian is not None:
        return along - 0.5 * float(p.dot(state.hessian.dot(p)))
    image = state.linear.jacobian.dot(p)
    return along - float(image.dot(image))


def _fell(objective: Objective, old: Linearised, new: Linearised) -> float:
    """By how much the cost fell; for squares as (r - r')ᵀ(r + r'), which keeps digits that f - f' loses."""
    if objective.least_squares:
        before, after = old.residual, new.residual
        return float((before - after).dot(before + after))
    return old.value - new.value


def _cut(state: LMState, move: Move, fell: float) -> float:
    """Where a parabola through both costs and the slope has its bottom, as part of the step; kept in bounds."""
    slope = -float(state.gradient.dot(move.p))
    excess = 2.0 * (slope - fell)
    if not (isfinite(excess) and excess > 0.0):
        return SMALLEST_CUT
    return min(max(slope / excess, SMALLEST_CUT), LARGEST_CUT)


def _next_radius(state: LMState, move: Move, fell: float, radius: float, rounding: float) -> float:
    if move.promise <= rounding:
        # Nothing speaks against a longer step, and steps as short as this are lost in rounding one after the other.
        return GROWTH * radius if move.held else radius
    ratio = fell / move.promise
    if ratio < POOR:
        return _cut(state, move, fell) * min(radius, move.length)
    if ratio > GOOD or not move.held:
        return max(radius, GROWTH * move.length) if move.held else GROWTH * move.length
    return radius


def _measured(J: Any) -> tuple[Vector, Matrix | None]:
    """Length of each column of J (m, n), shape (n,), and JᵀJ where few columns make it as quick to have."""
    if type(J) is np.ndarray and J.shape[1] <= FEW:
        gram = J.T.dot(J)
        return np.sqrt(gram.diagonal()), gram
    return _column_sizes(J), None


def _column_sizes(J: Any) -> Vector:
    """Length of each column of J (m, n), shape (n,)."""
    if type(J) is np.ndarray:
        return np.sqrt(np.add.reduce(J * J))
    J = J.tocsc()
    columns = np.repeat(np.arange(J.shape[1]), np.diff(J.indptr))
    return np.sqrt(np.bincount(columns, J.data * J.data, J.shape[1]))


def _finite_hessian(objective: Objective, x: Vector) -> Matrix | None:
    hessian = objective.hessian(x)
    return hessian if np.isfinite(hessian).all() else None
