"""Integrals and roots that hold the same function are computed together, whatever stands between them.

A cost that calls `quad` in a loop holds one equation for each turn. Those that do not wait for each other become one,
and pieces of its result stand for theirs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np
from jax import lax

from .equations import read_atom, run_equation
from .passes import common_subexpressions
from .primitives.integral import integral_p
from .primitives.root import root_p

# What these say of themselves: `along` and `batch` as in `primitives.integral`.
TOGETHER = frozenset({integral_p, root_p})


def side_by_side(closed: Any) -> Any:
    """The closed jaxpr in which like equations of `TOGETHER` are one.

    >>> import numpy as np
    >>> from scipy.integrate import quad
    >>> from steepest.parameters import Parameters
    >>> from steepest.tracing.trace import trace
    >>> cost = lambda p: sum(quad(lambda s: np.exp(-p[0] * s), 0, t)[0] for t in (1.0, 2.0, 3.0))
    >>> equations = trace(cost, Parameters.of(np.ones(1))).jaxpr.jaxpr.eqns
    >>> sum(equation.primitive.name == "integral" for equation in equations)
    1
    """
    if sum(equation.primitive in TOGETHER for equation in closed.jaxpr.eqns) < 2:
        return closed
    # What all of them read is the same only after this.
    closed = common_subexpressions(closed)
    levels = _levels(closed.jaxpr)
    groups = _groups(closed.jaxpr.eqns, levels)
    if all(len(group) == 1 for group in groups.values()):
        return closed
    first = {group[0]: group for group in groups.values()}
    members = {place for group in groups.values() for place in group}
    # What an equation waits for is of a lower level, or of its own and none of `TOGETHER`.
    order = sorted(range(len(levels)), key=lambda place: (levels[place], place not in members, place))

    def run(*inputs: Any) -> list[Any]:
        values = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
        values.update(zip(closed.jaxpr.invars, inputs, strict=True))
        for place in order:
            if place not in members:
                run_equation(closed.jaxpr.eqns[place], values, closed.jaxpr)
            elif place in first:
                _join([closed.jaxpr.eqns[k] for k in first[place]], values)
        return [read_atom(atom, values) for atom in closed.jaxpr.outvars]

    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in closed.in_avals]
    return jax.make_jaxpr(run)(*shapes)


def _levels(jaxpr: Any) -> list[int]:
    """For each equation how many of `TOGETHER` come one after the other up to it, itself counted."""
    known: dict[Any, int] = {}
    levels = []
    for equation in jaxpr.eqns:
        level = max((known.get(a, 0) for a in equation.invars if isinstance(a, jex.Var)), default=0)
        level += equation.primitive in TOGETHER
        known.update((var, level) for var in equation.outvars)
        levels.append(level)
    return levels


def _groups(equations: Sequence[Any], levels: Sequence[int]) -> dict[Any, list[int]]:
    groups = defaultdict(list)
    for place, equation in enumerate(equations):
        if equation.primitive in TOGETHER:
            settings = tuple(sorted(equation.params.items(), key=lambda item: item[0]))
            kinds = tuple((atom.aval.shape, atom.aval.dtype) for atom in equation.invars)
            groups[levels[place], equation.primitive, settings, kinds].append(place)
    return groups


def _join(equations: Sequence[Any], values: dict[Any, Any]) -> None:
    """Evaluate the equations as one."""
    params = equations[0].params
    batch, count = params["batch"], len(equations)
    operands, along = [], []
    for k, own in enumerate(params["along"]):
        atoms = [equation.invars[k] for equation in equations]
        shared = not own and all(_is_same(atom, atoms[0]) for atom in atoms)
        along.append(not shared)
        if shared:
            operands.append(read_atom(atoms[0], values))
            continue
        pieces = [read_atom(atom, values) for atom in atoms]
        if not own:
            pieces = [_repeated(piece, batch) for piece in pieces]
        whole = np.concatenate(pieces) if all(map(_is_known, pieces)) else lax.concatenate(pieces, 0)
        operands.append(whole)
    settings = {**params, "along": tuple(along), "batch": count * batch}
    found = equations[0].primitive.bind(*operands, **settings)
    for place, equation in enumerate(equations):
        for var, whole in zip(equation.outvars, found, strict=True):
            own = var.aval.shape[0]
            values[var] = lax.slice_in_dim(whole, place * own, (place + 1) * own)


def _repeated(value: Any, count: int) -> Any:
    known = _is_known(value)
    return np.broadcast_to(value, (count, *np.shape(value))) if known else lax.broadcast(value, (count,))


def _is_known(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic, float, int))


def _is_same(atom: Any, other: Any) -> bool:
    if isinstance(atom, jex.Literal) and isinstance(other, jex.Literal):
        return bool(atom.val == other.val)
    return atom is other
