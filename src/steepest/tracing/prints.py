"""Equations without outputs, as `jax.debug.print` leaves them: they print, or call back, and compute nothing."""

from __future__ import annotations

import warnings
from typing import Any

import jax.extend.core as jex


def silent(closed: Any, name: str) -> Any:
    """`without_prints`, with a warning that calls the function `name` where something is left out."""
    found = without_prints(closed)
    if found is not closed:
        warnings.warn(
            f"{name} prints or calls back on the way (jax.debug.print, jax.debug.callback): that is left out, since "
            "only what its value needs is recorded. Print in callback=, or call the cost yourself at result.x",
            stacklevel=4,
        )
    return found


def without_prints(closed: Any) -> Any:
    """The same closed jaxpr without such equations, at every depth; itself where there are none.

    >>> import jax
    >>> def told(x):
    ...     jax.debug.print("{}", x)
    ...     return 2.0 * x
    >>> [len(c.jaxpr.eqns) for c in (jax.make_jaxpr(told)(1.0), without_prints(jax.make_jaxpr(told)(1.0)))]
    [2, 1]
    """
    jaxpr = _without(closed.jaxpr)
    return closed if jaxpr is closed.jaxpr else closed.replace(jaxpr=jaxpr)


def _without(jaxpr: Any) -> Any:
    kept = [_without_inside(equation) for equation in jaxpr.eqns if equation.outvars]
    if len(kept) == len(jaxpr.eqns) and all(a is b for a, b in zip(kept, jaxpr.eqns, strict=True)):
        return jaxpr
    return jaxpr.replace(eqns=kept, effects=_left(jaxpr.effects, kept))


def _without_inside(equation: Any) -> Any:
    """The equation, with nothing printed by what it calls."""
    params = {name: _each(value) for name, value in equation.params.items()}
    if all(params[name] is value for name, value in equation.params.items()):
        return equation
    inner = [e for jaxpr in jex.jaxprs_in_params(params) for e in jaxpr.eqns]
    return equation.replace(params=params, effects=_left(equation.effects, inner))


def _each(value: Any) -> Any:
    if isinstance(value, jex.ClosedJaxpr):
        return without_prints(value)
    if isinstance(value, jex.Jaxpr):
        return _without(value)
    if isinstance(value, tuple):
        parts = tuple(map(_each, value))
        return value if all(a is b for a, b in zip(parts, value, strict=True)) else parts
    return value


def _left(effects: Any, equations: list[Any]) -> Any:
    """Of some effects those that the equations still have."""
    own = {effect for equation in equations for effect in equation.effects}
    return {effect for effect in effects if effect in own}
