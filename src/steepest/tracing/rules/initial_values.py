"""SciPy's solutions of ordinary differential equations: `solve_ivp` and `odeint`, in plain operations with slopes.

Steps of the explicit method of order 8 by Dormand and Prince, whose coefficients are read from SciPy's own `DOP853`,
are as long as the error allows. Where stability holds them shorter than that, the equation is stiff, and the linearly
implicit Euler method goes on, extrapolated (Hairer, Nørsett & Wanner, "Solving Ordinary Differential Equations I",
1993, sections II.4 to II.6, and Hairer & Wanner, "II", 1996, sections IV.2 and IV.9). The tolerance is at least that of
`TOLERANCE`, whatever SciPy is asked for: the slope is that of the steps taken, their lengths held, and is as good as
they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.lib.mixins import NDArrayOperatorsMixin

from .functionals import Recorded, depends, number, recorded, settled, vector
from .shape import reshape
from .values import Value, any_traced, array_value, refused, shape_of

TOLERANCE = 1e-10
EPS = float(np.finfo(float).eps)
MOST_STEPS = 100_000
# How a step follows from the error of the one before.
SAFETY, LEAST, GREATEST = 0.9, 0.2, 10.0
# Where |h·λ| of the explicit method is beyond this, a solution that shows λ could not be followed to `TOLERANCE`: so
# many such steps in a row show a stiff equation. (Stability ends at 6.1; steps at that edge are erratic.)
STABLE, SHOWN = 2.0, 8
# The implicit Euler method with 1, 2, … steps, extrapolated to this order.
ORDER = 8


class Path(NamedTuple):
    """What `solve_ivp` gives: `y` of shape (unknowns, times). Where the equation could not be followed it is NaN."""

    t: Any
    y: Any
    sol: Any = None
    t_events: Any = None
    y_events: Any = None
    nfev: int = 0
    njev: int = 0
    nlu: int = 0
    status: int = 0
    message: str = "The solver successfully reached the end of the integration interval."
    success: bool = True

    def __getitem__(self, key: Any) -> Any:
        return getattr(self, key) if isinstance(key, str) else tuple.__getitem__(self, key)


class Ends(NDArrayOperatorsMixin):
    """The times or states of a path whose steps nobody knows beforehand: the first and the last of them."""

    def __init__(self, first: Any, last: Any, ahead: int = 0) -> None:
        # `ahead` axes, of unknowns, come before that of time.
        self._first, self._last, self._ahead = first, last, ahead

    @property
    def T(self) -> Ends:
        """The states as rows."""
        return Ends(self._first, self._last)

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) <= self._ahead:
            kept = 1 if isinstance(parts[0], slice) else 0
            return Ends(self._first[parts], self._last[parts], kept)
        place, others = parts[self._ahead], (*parts[: self._ahead], *parts[self._ahead + 1 :])
        if not isinstance(place, (int, np.integer)) or place not in (0, -1):
            raise self._refused()
        found = self._last if place == -1 else self._first
        return found[others] if others else found

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(str(self._refused())) if name.startswith("__") else self._refused()

    def __array__(self, *args: Any, **settings: Any) -> Any:
        raise self._refused()

    def __array_ufunc__(self, *args: Any, **settings: Any) -> Any:
        raise self._refused()

    def __array_function__(self, *args: Any, **settings: Any) -> Any:
        raise self._refused()

    def __len__(self) -> int:
        raise self._refused()

    def __iter__(self) -> Any:
        raise self._refused()

    def _refused(self) -> Exception:
        return refused(
            "scipy.integrate.solve_ivp(...) without t_eval=",
            "stops at times of its own, and how many depends on the parameters",
            "Give the times that are wanted, t_eval=t, or read the last state, sol.y[:, -1].",
        )


def solve_ivp(
    fun: Callable[..., Any],
    t_span: Any,
    y0: Any,
    method: Any = "RK45",
    t_eval: Any = None,
    dense_output: bool = False,
    events: Any = None,
    vectorized: bool = False,
    args: Any = None,
    **options: Any,
) -> Any:
    """`scipy.integrate.solve_ivp`; `method` is not followed, since the one that serves is found on the way."""
    start = array_value(y0)
    further = () if args is None else tuple(args)
    rate = recorded(fun, [(), shape_of(start)], further, shape=shape_of(start))
    if not depends(rate, start, t_span, t_eval):
        return None
    if events is not None:
        raise refused(
            "scipy.integrate.solve_ivp(..., events=...)",
            "has no rule",
            "Solve up to a time of your own, or write the steps in a loop.",
        )
    _check_real(start)
    t0, t1 = (number(end) for end in t_span)
    if t_eval is not None and not any_traced((t0, t1, t_eval)):
        outside = (np.asarray(t_eval) < min(t0, t1)) | (np.asarray(t_eval) > max(t0, t1))
        if np.any(outside):
            raise ValueError("Values in `t_eval` are not within `t_span`.")
    tolerances = _tolerances(options.get("rtol", 1e-3), options.get("atol", 1e-6))
    limits = options.get("max_step", np.inf), options.get("first_step")

    def at(times: Value) -> tuple[Value, Value]:
        return follow(rate, t0, t1, vector(start), times, tolerances, *limits)

    def dense(t: Any) -> Any:
        from ..arrays import unwrap, wrap

        times = array_value(unwrap(t, set()))
        found = at(vector(times))[0].T
        return wrap(found[:, 0] if shape_of(times) == () else found, frozenset())

    sol = dense if dense_output else None
    if t_eval is None:
        from ..arrays import wrap

        first, last = (wrap(v, frozenset()) for v in (vector(start), at(np.zeros(0))[1]))
        began, ended = (wrap(v, frozenset()) for v in (t0, t1))
        return Path(Ends(began, ended), Ends(first, last, 1), sol)
    times = vector(t_eval)
    return Path(times, at(times)[0].T, sol)


def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    args: Any = (),
    Dfun: Any = None,
    col_deriv: int = 0,
    full_output: int = 0,
    ml: Any = None,
    mu: Any = None,
    rtol: Any = None,
    atol: Any = None,
    tcrit: Any = None,
    h0: float = 0.0,
    hmax: float = 0.0,
    hmin: float = 0.0,
    ixpr: int = 0,
    mxstep: int = 0,
    mxhnil: int = 0,
    mxordn: int = 12,
    mxords: int = 5,
    printmessg: int = 0,
    tfirst: bool = False,
) -> Any:
    """`scipy.integrate.odeint`: the states at the times `t`, of which the first is that of `y0`, as rows."""
    start = array_value(y0)
    start = reshape(start, (1,)) if shape_of(start) == () else start
    further = args if isinstance(args, tuple) else (args,)
    ordered = func if tfirst else lambda t, y, *more: func(y, t, *more)
    rate = recorded(ordered, [(), shape_of(start)], further, shape=shape_of(start))
    if not depends(rate, start, t):
        return None
    _check_real(start)
    times = jnp.asarray(vector(t))
    default = 1.49012e-8
    tolerances = _tolerances(default if rtol is None else rtol, default if atol is None else atol)
    found = follow(rate, times[0], times[-1], vector(start), times, tolerances, hmax or np.inf)[0]
    return (found, {"message": "Integration successful."}) if full_output else found


def _check_real(start: Value) -> None:
    if start.dtype.kind == "c":
        raise refused(
            "A differential equation of complex numbers",
            "has no rule",
            "Follow real and imaginary part as two unknowns.",
        )


def _tolerances(relative: Any, absolute: Any) -> tuple[Value, Value]:
    """Tolerances no wider than ours: the absolute one as much smaller as the relative one."""
    if any_traced((relative, absolute)):
        raise refused("A tolerance that depends on the parameters", "has no slope", "Give a fixed number.")
    relative, absolute = np.asarray(relative, float), np.asarray(absolute, float)
    least = np.clip(relative, 100.0 * EPS, TOLERANCE)
    return least, absolute * np.minimum(1.0, least / np.maximum(relative, least))


# -- the way -----------------------------------------------------------------------------------------------------


def follow(
    rate: Recorded,
    t0: Value,
    t1: Value,
    y0: Value,
    times: Value,
    tolerances: tuple[Value, Value],
    longest: float = np.inf,
    first: float | None = None,
) -> tuple[Value, Value]:
    """The states at `times`, shape (times, unknowns), and at t1, of y' = rate(t, y) with y(t0) = y0, shape (unknowns,).

    NaN where the end is not reached in `MOST_STEPS` steps, or the steps vanish.
    """
    shape = rate.shape

    def slope(t: Value, y: Value) -> Value:
        return rate(t, y.reshape(shape)).reshape(-1)

    t0, t1, times, y0 = (jnp.asarray(v) for v in (t0, t1, times, y0))
    sense = settled(jnp.sign(t1 - t0))
    began = slope(t0, y0)
    length = _first_step(slope, t0, y0, began, sense, tolerances) if first is None else jnp.float64(first)
    length = settled(jnp.minimum(jnp.minimum(length, longest), jnp.abs(t1 - t0)))
    here = settled(sense * (times - t0) <= 0.0)
    states = jnp.where(here[:, None], y0, jnp.zeros((times.size, y0.size)))
    way = _Way(slope, t1, times, sense, tolerances, longest)
    place = _Place(t0, y0, began, length, states, jnp.int64(0))
    place = way.implicitly(way.explicitly(place))
    whole = settled(sense * lax.stop_gradient(t1 - place.t) <= 0.0)
    states, y = (jnp.where(whole, found, jnp.nan) for found in (place.states, place.y))
    # SciPy refuses times outside the span; here they are not known yet.
    inside = settled((sense * (times - t0) >= 0.0) & (sense * (t1 - times) >= 0.0))
    return jnp.where(inside[:, None], states, jnp.nan), y


class _Place(NamedTuple):
    """Where a walk has come to: time, state, its rate of change, the next step, the states met so far, steps tried."""

    t: Any
    y: Any
    rate: Any
    length: Any
    states: Any
    steps: Any


class _Way:
    """One equation, followed up to a time."""

    def __init__(
        self,
        slope: Callable[[Value, Value], Value],
        end: Value,
        times: Value,
        sense: Value,
        tolerances: tuple[Value, Value],
        longest: float,
    ) -> None:
        self.slope, self.end, self.times, self.sense = slope, end, times, sense
        self.tolerances, self.longest = tolerances, longest

    def explicitly(self, place: _Place) -> _Place:
        """On by steps of DOP853, to the end or to where the equation shows itself to be stiff."""
        method = sys.modules["scipy.integrate"].DOP853

        def going(state: Any) -> Value:
            place, stiff, _ = state
            return self._is_under_way(place) & (stiff < SHOWN)

        def turn(state: Any) -> Any:
            place, stiff, shrunk = state
            t, y, rate, length, states, steps = place
            h, ahead = self._step(t, length, self.end)
            stages, at = self._stages(rate[None, :], method.A[1:], method.C[1:], t, h, y)
            onward = y + h * (method.B @ stages)
            leads = self.slope(ahead, onward)
            stages = jnp.concatenate([stages, leads[None, :]])
            error = self._error_of(method, h, y, onward, stages)
            taken = error < 1.0
            factor = SAFETY * jnp.where(error > 0.0, error, 1e-300) ** (-1.0 / 8.0)
            factor = jnp.clip(factor, LEAST, jnp.where(shrunk | ~taken, 1.0, GREATEST))
            factor = jnp.where(jnp.isfinite(error), factor, LEAST)
            still = lax.stop_gradient
            # |λ| as the last two stages show it, both at the end of the step.
            apart = _norm(still(stages[-1] - stages[-2])) / jnp.maximum(_norm(still(onward - at)), 1e-300)
            short = jnp.abs(still(h)) * apart > STABLE
            states = lax.cond(
                taken & jnp.any(self._passes(t, ahead)),
                lambda: self._seen_between(method, t, h, ahead, y, onward, stages, states),
                lambda: states,
            )
            return (
                _Place(
                    jnp.where(taken, ahead, t),
                    jnp.where(taken, onward, y),
                    jnp.where(taken, leads, rate),
                    jnp.minimum(jnp.abs(still(h)) * factor, self.longest),
                    states,
                    steps + 1,
                ),
                jnp.where(taken, jnp.where(short, stiff + 1, 0), stiff),
                ~taken,
            )

        return lax.while_loop(going, turn, (place, jnp.int64(0), jnp.bool_(False)))[0]

    def implicitly(self, place: _Place) -> _Place:
        """On to the end by steps of the extrapolated implicit Euler method, which stop at the times asked for."""
        size, counts = place.y.size, np.arange(1.0, ORDER + 1.0)
        best, second = _to_length_zero(1.0 / counts), _to_length_zero(1.0 / counts[1:])
        second = np.concatenate([[0.0], second])

        def going(state: Any) -> Value:
            return self._is_under_way(state[0])

        def turn(state: Any) -> Any:
            place, shrunk = state
            t, y, rate, length, states, steps = place
            ahead_of = self.sense * lax.stop_gradient(self.times - t) > 0.0
            until = self.sense * lax.stop_gradient(self.times)
            nearest = self.sense * jnp.min(jnp.where(ahead_of, until, jnp.inf), initial=jnp.inf)
            stop = jnp.where(
                self.sense * nearest < self.sense * lax.stop_gradient(self.end),
                self.sense * nearest * self.sense,
                self.end,
            )
            h, ahead = self._step(t, length, stop)
            by_y = jax.jacfwd(lambda y: self.slope(t, y))(y)
            parts = h / counts
            back = _inverses(jnp.eye(size) - parts[:, None, None] * by_y)

            def on(moved: Value, k: Value) -> tuple[Value, None]:
                """One step of the walks of 1, 2, … steps side by side, those that have come to their end aside.

                How far each has moved, and not where it is, since extrapolation magnifies what is rounded.
                """
                rates = jax.vmap(self.slope)(t + k * parts, y + moved)
                moves = parts[:, None] * (back @ rates[:, :, None])[:, :, 0]
                return moved + jnp.where((k <= counts)[:, None], moves, 0.0), None

            moved, _ = lax.scan(on, jnp.zeros((ORDER, size)), counts)
            onward = y + best @ moved
            error = self._norm_of((best - second) @ moved, y, onward)
            taken = error < 1.0
            factor = SAFETY * jnp.where(error > 0.0, error, 1e-300) ** (-1.0 / ORDER)
            factor = jnp.clip(factor, LEAST, jnp.where(shrunk | ~taken, 1.0, GREATEST))
            factor = jnp.where(jnp.isfinite(error), factor, LEAST)
            # A step cut short by a time asked for says nothing against the longer one.
            tried = jnp.abs(lax.stop_gradient(h))
            following = tried * factor
            following = jnp.where(taken & (tried < length), jnp.maximum(following, length), following)
            met = self._passes(t, ahead) & taken
            return (
                _Place(
                    jnp.where(taken, ahead, t),
                    jnp.where(taken, onward, y),
                    rate,
                    jnp.minimum(following, self.longest),
                    jnp.where(met[:, None], onward, states),
                    steps + 1,
                ),
                ~taken,
            )

        return lax.while_loop(going, turn, (place, jnp.bool_(False)))[0]

    def _stages(
        self, known: Value, rows: Value, shares: Value, t: Value, h: Value, y: Value
    ) -> tuple[Value, Value]:
        """The rates of change at the stages `known` and at those that follow from them, and the state at the last."""
        count = known.shape[0]
        rows = np.pad(rows, [(0, 0), (0, count + len(rows) - rows.shape[1])])
        places = np.arange(count, count + len(rows), dtype=np.int32)

        def on(state: Any, stage: Any) -> tuple[Any, None]:
            row, share, place = stage
            at = y + h * (row @ state[0])
            found = self.slope(t + share * h, at)
            return (lax.dynamic_update_slice(state[0], found[None, :], (place, np.int32(0))), at), None

        room = jnp.concatenate([known, jnp.zeros((len(rows), y.size))])
        return lax.scan(on, (room, y), (rows, np.asarray(shares), places))[0]

    def _is_under_way(self, place: _Place) -> Value:
        t = lax.stop_gradient(place.t)
        left = self.sense * (lax.stop_gradient(self.end) - t) > 0.0
        return left & (place.steps < MOST_STEPS) & (place.length > 10.0 * EPS * jnp.abs(t))

    def _step(self, t: Value, length: Value, end: Value) -> tuple[Value, Value]:
        """The step and where it leads: to the end exactly, where it would pass it."""
        ahead = t + self.sense * length
        passes = self.sense * lax.stop_gradient(ahead - end) >= 0.0
        ahead = jnp.where(passes, end, ahead)
        return ahead - t, ahead

    def _passes(self, t: Value, ahead: Value) -> Value:
        """Which of the times lie in (t, ahead]."""
        along = self.sense * lax.stop_gradient(self.times)
        low, high = self.sense * lax.stop_gradient(t), self.sense * lax.stop_gradient(ahead)
        return (along > low) & (along <= high)

    def _norm_of(self, error: Value, y: Value, onward: Value) -> Value:
        relative, absolute = self.tolerances
        still = lax.stop_gradient
        scale = absolute + relative * jnp.maximum(jnp.abs(still(y)), jnp.abs(still(onward)))
        return _norm(still(error) / scale) / np.sqrt(max(error.size, 1))

    def _error_of(self, method: Any, h: Value, y: Value, onward: Value, stages: Value) -> Value:
        relative, absolute = self.tolerances
        h, y, onward, stages = (lax.stop_gradient(v) for v in (h, y, onward, stages))
        scale = absolute + relative * jnp.maximum(jnp.abs(y), jnp.abs(onward))
        fifth, third = ((weights @ stages) / scale for weights in (method.E5, method.E3))
        large = jnp.sum(fifth**2)
        both = large + 0.01 * jnp.sum(third**2)
        return jnp.abs(h) * large / jnp.sqrt(jnp.where(both > 0.0, both, 1.0) * y.size)

    def _seen_between(
        self,
        method: Any,
        t: Value,
        h: Value,
        ahead: Value,
        y: Value,
        onward: Value,
        stages: Value,
        states: Value,
    ) -> Value:
        """The states at the times within a step, by the polynomial of degree seven that goes with it."""
        stages, _ = self._stages(stages, method.A_EXTRA, method.C_EXTRA, t, h, y)
        change = onward - y
        leads = stages[method.n_stages]
        parts = [change, h * stages[0] - change, 2.0 * change - h * (leads + stages[0])]
        parts += [h * (row @ stages) for row in method.D]
        x = ((self.times - t) / h)[:, None]
        found = jnp.zeros_like(states)
        for k, part in enumerate(reversed(parts)):
            found = (found + part) * (x if k % 2 == 0 else 1.0 - x)
        return jnp.where(self._passes(t, ahead)[:, None], y + found, states)


def _first_step(
    slope: Callable[[Value, Value], Value],
    t: Value,
    y: Value,
    rate: Value,
    sense: Value,
    tolerances: tuple[Value, Value],
) -> Value:
    """A first step by the sizes of state, rate and its change (Hairer, Nørsett & Wanner 1993, section II.4)."""
    t, y, rate = (lax.stop_gradient(v) for v in (t, y, rate))
    relative, absolute = tolerances
    scale = absolute + relative * jnp.abs(y)
    root = np.sqrt(max(y.size, 1))
    d0, d1 = _norm(y / scale) / root, _norm(rate / scale) / root
    h0 = jnp.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / jnp.where(d1 > 0.0, d1, 1.0))
    turned = lax.stop_gradient(slope(t + sense * h0, y + sense * h0 * rate))
    d2 = _norm((turned - rate) / scale) / root / h0
    largest = jnp.maximum(d1, d2)
    h1 = jnp.where(
        largest <= 1e-15,
        jnp.maximum(1e-6, 1e-3 * h0),
        (0.01 / jnp.where(largest > 0.0, largest, 1.0)) ** 0.125,
    )
    return jnp.minimum(100.0 * h0, h1)


def _inverses(matrices: Value) -> Value:
    """The inverses of matrices (k, n, n): found without slopes, put right with them by two steps of Newton's method.

    X ← X(2 - MX) doubles the order of the derivatives that are exact (Schulz 1933).
    """
    inverses = lax.stop_gradient(jnp.linalg.inv(lax.stop_gradient(matrices)))
    twice = 2.0 * np.eye(matrices.shape[-1])
    for _ in range(2):
        inverses = inverses @ (twice - matrices @ inverses)
    return inverses


def _to_length_zero(lengths: np.ndarray) -> np.ndarray:
    """The weights with which values at some step lengths give that at length zero (Lagrange's polynomial).

    >>> bool(np.isclose(_to_length_zero(np.array([1.0, 0.5, 0.25])) @ np.array([3.0, 2.0, 1.5]), 1.0))
    True
    """
    others = ~np.eye(lengths.size, dtype=bool)
    ratios = lengths[None, :] / (lengths[None, :] - lengths[:, None] + ~others)
    return np.prod(np.where(others, ratios, 1.0), axis=1)


def _norm(values: Value) -> Value:
    return jnp.sqrt(jnp.sum(values * values))


FUNCTIONS_BY_NAME: dict[str, Any] = {"solve_ivp": solve_ivp, "odeint": odeint}
