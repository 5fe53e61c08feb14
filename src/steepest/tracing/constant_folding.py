"""Constant folding: equations of constants alone are evaluated once, and those that spread one number stay small."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.extend.core as jex
import numpy as np

from .algebra import _MOVING
from .primitives import NoRule, evaluate_equation, has_rule
from .rewriting import FOLDED_BYTES, Rewriting, read


def fold_constants(closed: Any) -> Any:
    """Evaluate, in NumPy, every equation whose operands are all constants and whose results are small.

    One number spread over an array stays an equation: it costs nothing, and the array would have to be kept. What is
    computed from such arrays alone is as constant as they are.
    """
    rewriting = Rewriting(closed)
    environment = rewriting.opening(closed)
    spread: dict[Any, Any] = {}

    def known(atom: Any) -> Any:
        return spread[atom] if _is_spread(atom, spread) else rewriting.known(atom)

    for equation in closed.jaxpr.eqns:
        invars = [read(environment, atom) for atom in equation.invars]
        if _is_constant(equation, invars, rewriting, spread):
            if _spreads(equation, invars, spread):
                (var,) = equation.outvars
                number = known(invars[0]).flat[0].astype(var.aval.dtype)
                spread[var] = np.broadcast_to(number, var.aval.shape)
            elif _is_small(equation, invars, spread):
                try:
                    results = evaluate_equation(equation, [known(atom) for atom in invars])
                except NoRule:
                    results = None
                if results is not None:
                    for var, result in zip(equation.outvars, results, strict=True):
                        environment[var] = rewriting.constant(result, var.aval)
                    continue
        rewriting.equations.append(equation.replace(invars=invars))
    return rewriting.finished([read(environment, atom) for atom in closed.jaxpr.outvars])


def _is_constant(
    equation: Any, invars: Sequence[Any], rewriting: Rewriting, spread: Mapping[Any, Any]
) -> bool:
    if equation.effects or not has_rule(equation.primitive.name):
        return False
    return all(rewriting.is_known(atom) or _is_spread(atom, spread) for atom in invars)


def _is_spread(atom: Any, spread: Mapping[Any, Any]) -> bool:
    return isinstance(atom, jex.Var) and atom in spread


def _spreads(equation: Any, invars: Sequence[Any], spread: Mapping[Any, Any]) -> bool:
    """Whether an equation spreads one number over an array, or moves one that was."""
    name = equation.primitive.name
    if len(invars) != 1 or not math.prod(invars[0].aval.shape):
        return False
    if name == "broadcast_in_dim" and invars[0].aval.shape == ():
        return True
    if name == "convert_element_type":
        source, target = invars[0].aval.dtype.kind, equation.params["new_dtype"].kind
        if source == "c" or (
            source == "f" and target in "iu"
        ):  # XLA drops a part, and saturates; NumPy does not
            return False
    return name in _MOVING and _is_spread(invars[0], spread)


def _is_small(equation: Any, invars: Sequence[Any], spread: Mapping[Any, Any]) -> bool:
    results = sum(_bytes(var.aval) for var in equation.outvars)
    kept = sum(_bytes(atom.aval) for atom in invars if not _is_spread(atom, spread))
    return results <= max(FOLDED_BYTES, kept)


def _bytes(aval: Any) -> int:
    return math.prod(aval.shape) * aval.dtype.itemsize
