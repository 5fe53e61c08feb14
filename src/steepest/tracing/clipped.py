"""Functions that are infinitely steep where their operand is clipped: constant there, and flat.

np.sqrt(np.maximum(x - 1, 0)) is 0 for all x below 1, and its slope too. The chain rule takes the infinite slope of the
root at 0 times the zero slope of the maximum, which is no number; np.arccos(np.clip(x, -1, 1)) is another such cost.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.extend.core as jex
import numpy as np
from jax import lax

from .rewriting import Rewriting, read, strong

# By primitive: the numbers at which it is infinitely steep, itself there, and a number where it is tame.
_STEEP: dict[str, tuple[dict[float, float], float]] = {
    "sqrt": ({0.0: 0.0}, 1.0),
    "cbrt": ({0.0: 0.0}, 1.0),
    "pow": ({0.0: 0.0}, 1.0),
    "asin": ({-1.0: -np.pi / 2, 1.0: np.pi / 2}, 0.0),
    "acos": ({-1.0: np.pi, 1.0: 0.0}, 0.0),
    "acosh": ({1.0: 0.0}, 2.0),
}
# The numbers at and beyond which each is constant.
_CLIPPING = {"max": lax.le, "min": lax.ge}


def with_clipped_edges_flat(closed: Any) -> Any:
    """The same closed jaxpr, with a choice of the constant where what is steep is given a clipped operand."""
    names = {equation.primitive.name for equation in closed.jaxpr.eqns}
    if names.isdisjoint(_STEEP) or names.isdisjoint(_CLIPPING):
        return closed
    rewriting = Rewriting(closed)
    environment = rewriting.opening(closed)
    made: dict[Any, Any] = {}
    for equation in closed.jaxpr.eqns:
        equation = equation.replace(invars=[read(environment, atom) for atom in equation.invars])
        made |= dict.fromkeys(equation.outvars, equation)
        edges = _edges(equation, made, rewriting)
        if edges:
            _choose(equation, edges, rewriting)
        else:
            rewriting.equations.append(equation)
    return rewriting.finished([read(environment, atom) for atom in closed.jaxpr.outvars])


def _edges(equation: Any, made: dict[Any, Any], rewriting: Rewriting) -> list[tuple[Any, Any, float]]:
    """Where the operand is clipped at a steep place: (what is clipped, its comparison with the place, the place)."""
    steep, _ = _STEEP.get(equation.primitive.name, ({}, 0.0))
    if not steep:
        return []
    operand, *exponent = equation.invars
    if exponent:  # squares and higher powers have slope and curvature at 0
        if not rewriting.is_known(exponent[0]):
            return []
        power = rewriting.known(exponent[0])
        if not np.all((power > 0) & (power < 2)):
            return []
    edges = []
    clipping = made.get(operand) if isinstance(operand, jex.Var) else None
    while clipping is not None and clipping.primitive.name in _CLIPPING:
        constants = [atom for atom in clipping.invars if rewriting.is_known(atom)]
        if len(constants) != 1 or operand.aval.dtype != np.float64:
            break
        (clipped,) = (atom for atom in clipping.invars if atom is not constants[0])
        limit = np.unique(rewriting.known(constants[0]))
        if clipped.aval.shape != operand.aval.shape or limit.size != 1:
            break
        if float(limit[0]) in steep:
            edges.append((clipped, _CLIPPING[clipping.primitive.name], float(limit[0])))
        clipping = made.get(clipped)
    return edges


def _choose(equation: Any, edges: list[tuple[Any, Any, float]], rewriting: Rewriting) -> None:
    """The value at the edge where an operand is at or beyond it, else the function of what is not."""
    at_edge, tame = _STEEP[equation.primitive.name]

    def chosen(operand: Any, exponent: list[Any], clipped: list[Any]) -> Any:
        masks = [beyond(value, limit) for value, (_, beyond, limit) in zip(clipped, edges, strict=True)]
        for mask in masks:
            operand = lax.select(mask, lax.full_like(operand, tame), operand)
        (found,) = jax.tree.leaves(equation.primitive.bind(operand, *exponent, **equation.params))
        for mask, (_, _, limit) in zip(masks, edges, strict=True):
            found = lax.select(mask, lax.full_like(found, at_edge[limit]), found)
        return found

    operand, *exponent = equation.invars
    atoms = [operand, *exponent, *(clipped for clipped, _, _ in edges)]
    kinds = [jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in atoms]
    count = 1 + len(exponent)
    inner = jax.make_jaxpr(chosen)(kinds[0], kinds[1:count], kinds[count:]).jaxpr
    environment = dict(zip(inner.invars, atoms, strict=True))
    for step in inner.eqns:
        last = step.outvars[0] is inner.outvars[0]
        outvars = equation.outvars if last else [jex.Var(strong(var.aval)) for var in step.outvars]
        invars = [read(environment, atom) for atom in step.invars]
        environment.update(zip(step.outvars, outvars, strict=True))
        rewriting.equations.append(
            step.replace(invars=invars, outvars=outvars, source_info=equation.source_info)
        )
