"""Traces alike in every equation, number and line of the user's: what is derived of the one serves the other.

A cost written in place, as in `minimize(lambda p: misfit(p, t, y), start)`, is another function on every call, and is
recorded anew each time. That is soon done; to derive and choose takes ten times as long.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any

import jax.extend.core as jex
import numpy as np

from .source import user_code

# Recordings looked at: longer ones, in equations, and those that hold more numbers, all in bytes, are seldom repeated.
MOST_EQUATIONS = 2_000
MOST_BYTES = 1 << 22

# Traces kept: those asked for last.
KEPT = 32


class _NotTold(Exception):
    """Something in a recording that may change, or that cannot be compared."""


_traces: OrderedDict[Any, Any] = OrderedDict()
_guard = threading.Lock()


def told(recorded: Any, parameters: Any) -> Any | None:
    """A key that recordings share which are alike for parameters of one form; None where that cannot be told."""
    held = sum(getattr(constant, "nbytes", 0) for constant in recorded.consts)
    if parameters is None or len(recorded.jaxpr.eqns) > MOST_EQUATIONS or held > MOST_BYTES:
        return None
    try:
        return parameters, _program(recorded.jaxpr), tuple(map(_array, recorded.consts))
    except _NotTold:
        return None


def known(key: Any) -> Any | None:
    """The trace kept for a recording alike."""
    with _guard:
        if key in _traces:
            _traces.move_to_end(key)
        return _traces.get(key)


def apart(recorded: Any) -> Any:
    """The recording with numbers of its own: data of one cost that change later are not those of costs alike."""
    own = [np.array(held) if isinstance(held, np.ndarray) else held for held in recorded.consts]
    return recorded.replace(consts=own)


def keep(key: Any, found: Any) -> None:
    """Keep the trace, made of a recording that stands `apart`, for recordings alike."""
    with _guard:
        _traces[key] = found
        while len(_traces) > KEPT:
            _traces.popitem(last=False)


def _program(jaxpr: Any) -> tuple[Any, ...]:
    if jaxpr.effects:
        raise _NotTold
    numbers: dict[Any, int] = {}

    def bound(variable: Any) -> int:
        return numbers.setdefault(variable, len(numbers))

    def read(atom: Any) -> Any:
        if isinstance(atom, jex.Literal):
            return atom.aval, _array(atom.val)
        return numbers[atom]

    given = tuple((bound(v), v.aval) for v in (*jaxpr.constvars, *jaxpr.invars))
    equations = tuple(
        (
            equation.primitive,
            tuple(map(read, equation.invars)),
            tuple(map(bound, equation.outvars)),
            tuple((name, _setting(value)) for name, value in equation.params.items()),
            user_code(equation),
        )
        for equation in jaxpr.eqns
    )
    return given, equations, tuple(map(read, jaxpr.outvars))


def _array(value: Any) -> tuple[Any, ...]:
    try:
        array = np.asarray(value)
    except TypeError:  # random keys of JAX
        raise _NotTold from None
    if array.dtype.hasobject or array.nbytes > MOST_BYTES:
        raise _NotTold
    held = array.tobytes()
    return array.shape, array.dtype.str, held if len(held) <= 64 else hashlib.blake2b(held).digest()


def _setting(value: Any) -> Any:
    """A parameter of an equation, if it can never change."""
    if isinstance(value, (str, bytes, bool, int, type(None), np.dtype, type)):
        return type(value), value
    if isinstance(value, (float, complex, np.generic)):
        return type(value), _array(value)
    if isinstance(value, (tuple, list)):
        return type(value), tuple(map(_setting, value))
    if isinstance(value, jex.ClosedJaxpr):
        if value.consts:  # what it closes over may change, while JAX hands out the same program
            raise _NotTold
        return _program(value.jaxpr)
    if isinstance(value, jex.Jaxpr):
        return _program(value)
    if type(value).__module__.partition(".")[0] in ("jax", "jaxlib"):
        try:
            hash(value)
        except TypeError:
            raise _NotTold from None
        return type(value), value
    raise _NotTold
