"""Entries that are no numbers, and are left aside: constants of the slope, so that they take none of it with them.

np.nansum((model - y)**2) leaves out the gaps of y, and np.nansum(np.sqrt(x)) the roots of what is negative. The value
does; its slope is 2·NaN times zero, which is no number. Here what makes such an entry is written as a choice: the
operation from harmless numbers everywhere else, and there the same NaN or infinity without a slope.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np
from jax import lax

from .rewriting import Rewriting, read, strong
from .untaken import EACH_BY_ITSELF

# What leaves entries aside.
_ASIDE = frozenset(("select_n", "gather", "slice"))
# What gives no number where an operand is none.
_CARRYING = frozenset("neg abs add sub mul square integer_pow".split())
_OF_TWO = frozenset(("add", "sub", "mul", "div"))


def _negative(u: Any) -> Any:
    return lax.lt(u, _full(u, 0.0))


def _not_positive(u: Any) -> Any:
    return lax.le(u, _full(u, 0.0))


def _zero(u: Any) -> Any:
    return lax.eq(u, _full(u, 0.0))


# Where the operand of a function lies outside its domain.
_OUTSIDE: dict[str, Callable[[Any], Any]] = {
    "sqrt": _negative,
    "log": _not_positive,
    "log1p": lambda u: lax.le(u, _full(u, -1.0)),
    "pow": _negative,  # and zero where the power is below zero
    "integer_pow": _zero,
}


def with_gaps_apart(closed: Any) -> Any:
    """The same closed jaxpr, and the same value, with entries that are left aside for being no numbers apart.

    Looked at are constants with gaps that meet parameters, and the domains of roots, logarithms, powers and quotients
    whose results are asked whether they are numbers.
    """
    names = {equation.primitive.name for equation in closed.jaxpr.eqns}
    asked = [atom for equation in closed.jaxpr.eqns if (atom := _asked(equation)) is not None]
    if not asked and names.isdisjoint(_ASIDE):
        return closed
    above = _above(closed.jaxpr, asked)
    rewriting = Rewriting(closed)
    environment = rewriting.opening(closed)
    gaps: dict[Any, Any] = {}  # by variable: the atom that says where it is no number
    changed = False
    for equation in closed.jaxpr.eqns:
        given = equation.replace(invars=[read(environment, atom) for atom in equation.invars])
        apart = _with_constant(given, rewriting)
        if apart is None and not above.isdisjoint(equation.outvars):
            apart = _outside(given, rewriting) or _times_a_gap(given, gaps, rewriting)
        if apart is None:
            rewriting.equations.append(given)
            found = _carried(given, gaps)
            if found is not None:
                gaps[given.outvars[0]] = found
            continue
        changed = True
        atoms = [atom for atom in given.invars if not rewriting.is_known(atom)]
        masks = [gaps[atom] for atom in atoms if given.primitive.name == "mul" and atom in gaps]
        atoms += [mask for mask in masks if not rewriting.is_known(mask)]
        result, gap = _added(apart, atoms, given, rewriting)
        environment[equation.outvars[0]] = result
        gaps[result] = gap
    if not changed:
        return closed
    return rewriting.finished([read(environment, atom) for atom in closed.jaxpr.outvars])


def _asked(equation: Any) -> Any | None:
    """The values that an equation asks whether they are numbers."""
    name, operands = equation.primitive.name, equation.invars
    nan = name in ("ne", "eq") and operands[0] is operands[1]
    return operands[0] if (nan or name == "is_finite") and isinstance(operands[0], jex.Var) else None


def _above(jaxpr: Any, asked: list[Any]) -> set[Any]:
    """All variables from which those `asked` are made entry by entry."""
    found = set(asked)
    for equation in reversed(jaxpr.eqns if found else ()):
        if not found.isdisjoint(equation.outvars) and equation.primitive.name in EACH_BY_ITSELF:
            found.update(atom for atom in equation.invars if isinstance(atom, jex.Var))
    return found


def _with_constant(equation: Any, rewriting: Rewriting) -> Callable[..., Any] | None:
    """An operation on a parameter and a constant with entries that take the slope, with these apart; else None."""
    name = equation.primitive.name
    if name not in _OF_TWO or equation.outvars[0].aval.dtype.kind != "f":
        return None
    known = [k for k, atom in enumerate(equation.invars) if rewriting.is_known(atom)]
    if len(known) != 1:
        return None
    place = known[0]
    constant = rewriting.known(equation.invars[place])
    harmful = np.isnan(constant)
    if name in ("add", "sub"):
        harmful |= np.isinf(constant)
    if name == "div" and place == 1:
        harmful |= constant == 0
    if not harmful.any() or constant.ndim == 0:
        return None
    tame = np.where(harmful, 1.0, constant).astype(constant.dtype)
    shape = equation.outvars[0].aval.shape
    harmful = np.broadcast_to(harmful, shape)  # a loop's constants may have one entry for many

    def apart(u: Any) -> Any:
        def of(constant: Any, u: Any) -> Any:
            return equation.primitive.bind(
                *((constant, u) if place == 0 else (u, constant)), **equation.params
            )

        u = lax.broadcast_in_dim(u, shape, ()) if u.shape == () != shape else u
        return lax.select_n(harmful, of(tame, u), of(constant, lax.stop_gradient(u))), harmful

    return apart


def _outside(equation: Any, rewriting: Rewriting) -> Callable[..., Any] | None:
    """A function of what may lie outside its domain, with what does apart; None for any other equation."""
    name, out = equation.primitive.name, equation.outvars[0].aval
    if out.dtype.kind != "f" or any(atom.aval.shape not in ((), out.shape) for atom in equation.invars):
        return None
    bind, params = equation.primitive.bind, equation.params
    if name == "div" and not rewriting.is_known(equation.invars[1]):
        above = rewriting.known(equation.invars[0]) if rewriting.is_known(equation.invars[0]) else None

        def quotient(*atoms: Any) -> Any:
            a, u = (above, atoms[0]) if above is not None else atoms
            zero = _zero(u)
            inside = bind(a, lax.select_n(zero, u, _full(u, 1.0)), **params)
            zero = _wide(zero, out)
            return lax.select_n(
                zero, inside, bind(lax.stop_gradient(a), lax.stop_gradient(u), **params)
            ), zero

        return quotient if equation.invars[0] is not equation.invars[1] else None
    if name not in _OUTSIDE or rewriting.is_known(equation.invars[0]):
        return None
    if name == "integer_pow" and params["y"] >= 0:
        return None
    rest: list[Any] = []
    if name == "pow":
        if not rewriting.is_known(equation.invars[1]):
            return None
        rest = [rewriting.known(equation.invars[1])]
        if np.any(rest[0] == np.rint(rest[0])):
            return None

    def function(u: Any) -> Any:
        u = _wide(u, out)
        outside = _OUTSIDE[name](u)
        if rest:
            infinite = np.broadcast_to(rest[0] < 0.0, out.shape)
            outside = lax.bitwise_or(outside, lax.bitwise_and(_zero(u), infinite))
        inside = bind(lax.select_n(outside, u, _full(u, 1.0)), *rest, **params)
        return lax.select_n(outside, inside, bind(lax.stop_gradient(u), *rest, **params)), outside

    return function


def _times_a_gap(equation: Any, gaps: dict[Any, Any], rewriting: Rewriting) -> Callable[..., Any] | None:
    """A product of which one factor has gaps: the slope in the other factor is no number there."""
    if equation.primitive.name != "mul" or any(map(rewriting.is_known, equation.invars)):
        return None
    which = [k for k, atom in enumerate(equation.invars) if gaps.get(atom) is not None]
    shape = equation.outvars[0].aval.shape
    if len(which) != 1 or any(
        atom.aval.shape != shape for atom in (*equation.invars, gaps[equation.invars[which[0]]])
    ):
        return None

    def product(first: Any, second: Any, *gap: Any) -> Any:
        holed, other = (first, second) if which == [0] else (second, first)
        known = gap[0] if gap else rewriting.known(gaps[equation.invars[which[0]]])
        inside = lax.mul(lax.select_n(known, holed, _full(holed, 1.0)), other)
        return lax.select_n(known, inside, lax.mul(holed, lax.stop_gradient(other))), known

    return product


def _carried(equation: Any, gaps: dict[Any, Any]) -> Any | None:
    """Where the result is no number since an operand is none there; None where that is not told."""
    name = equation.primitive.name
    if name not in _CARRYING or (name == "integer_pow" and equation.params["y"] <= 0):
        return None
    masks = [gaps[atom] for atom in equation.invars if isinstance(atom, jex.Var) and atom in gaps]
    one = len(masks) == 1 or (len(masks) == 2 and masks[0] is masks[1])
    return masks[0] if one and masks[0].aval.shape == equation.outvars[0].aval.shape else None


def _added(
    apart: Callable[..., Any], atoms: list[Any], equation: Any, rewriting: Rewriting
) -> tuple[Any, Any]:
    """The atoms of the result and of its gaps, their equations added."""
    kinds = (jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in atoms)
    made = jax.make_jaxpr(apart)(*kinds)
    environment = dict(zip(made.jaxpr.invars, atoms, strict=True))
    for var, constant in zip(made.jaxpr.constvars, made.consts, strict=True):
        environment[var] = rewriting.constant(constant, var.aval)
    for inner in made.jaxpr.eqns:
        outvars = [jex.Var(strong(var.aval)) for var in inner.outvars]
        invars = [read(environment, atom) for atom in inner.invars]
        environment.update(zip(inner.outvars, outvars, strict=True))
        rewriting.equations.append(
            inner.replace(invars=invars, outvars=outvars, source_info=equation.source_info)
        )
    result, gap = (read(environment, atom) for atom in made.jaxpr.outvars)
    return result, gap


def _full(u: Any, value: float) -> Any:
    return lax.full(u.shape, u.dtype.type(value))


def _wide(u: Any, out: Any) -> Any:
    return u if u.shape == out.shape else lax.broadcast_in_dim(u, out.shape, ())
