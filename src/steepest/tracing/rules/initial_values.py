"""SciPy's solutions of ordinary differential equations, `solve_ivp` and `odeint`: what they are asked for and give.

How an equation is followed is ours (`tracing.flows`), whatever `method=` says: by steps of an explicit method of order
8 whose lengths follow the error, and by an implicit one where it is stiff.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..flows.steps import CLOSEST, TOLERANCE, Control
from .functionals import depends, number, recorded, vector
from .pieces import followed
from .shape import reshape
from .values import Value, any_traced, array_value, refused, shape_of

# What a right-hand side has to give.
RATES = "the rate of change of each unknown, an array of the shape {shape} of y0"


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
    rate = recorded(fun, [(), shape_of(start)], further, shape_of(start), RATES)
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
    control = _control(
        options.get("rtol", 1e-3),
        options.get("atol", 1e-6),
        options.get("max_step", np.inf),
        options.get("first_step"),
    )

    def at(times: Value) -> tuple[Value, Value]:
        return followed(rate, control, t0, t1, times, vector(start))

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
    ordered = func if tfirst else _time_first(func)
    rate = recorded(ordered, [(), shape_of(start)], further, shape_of(start), RATES)
    if not depends(rate, start, t):
        return None
    _check_real(start)
    times = jnp.asarray(vector(t))
    default = 1.49012e-8
    control = _control(default if rtol is None else rtol, default if atol is None else atol, hmax or np.inf)
    found = followed(rate, control, times[0], times[-1], times, vector(start))[0]
    return (found, {"message": "Integration successful."}) if full_output else found


def _time_first(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def ordered(t: Any, y: Any, *more: Any) -> Any:
        return function(y, t, *more)

    return ordered


def _check_real(start: Value) -> None:
    if start.dtype.kind == "c":
        raise refused(
            "A differential equation of complex numbers",
            "has no rule",
            "Follow real and imaginary part as two unknowns.",
        )


def _control(relative: Any, absolute: Any, longest: float, first: float | None = None) -> Control:
    """Tolerances no wider than ours: the absolute one as much smaller as the relative one."""
    if any_traced((relative, absolute)):
        raise refused("A tolerance that depends on the parameters", "has no slope", "Give a fixed number.")
    relative, absolute = np.asarray(relative, float), np.asarray(absolute, float)
    least = np.clip(relative, CLOSEST, TOLERANCE)
    return Control(least, absolute * np.minimum(1.0, least / np.maximum(relative, least)), longest, first)


FUNCTIONS_BY_NAME: dict[str, Any] = {"solve_ivp": solve_ivp, "odeint": odeint}
