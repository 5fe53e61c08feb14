"""Constants that a choice or an index leaves aside for all parameters: harmless there, so that no slope is lost.

np.where(counts > 0, (model - counts)**2 / counts, 0) has the slope 0·∞ at an empty bin, since both branches are
computed and the one that is not taken is divided by zero; so have np.where(known, (model - y)**2, 0) and
((model - y)**2)[known] where y is NaN. Entries of the data that lead nowhere else may be any number. They become ones.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import jax.extend.core as jex
import numpy as np

from .primitives import NoRule, evaluate_equation
from .rewriting import Rewriting, read

# What computes each entry of its result from the same entries of its operands.
EACH_BY_ITSELF = frozenset(
    "add sub mul div pow integer_pow square neg abs sign sqrt cbrt rsqrt exp exp2 expm1 log log1p sin cos tan "
    "sinh cosh tanh asin acos atan atan2 asinh acosh atanh logistic erf erfc lgamma max min copy "
    "convert_element_type select_n lt le gt ge eq ne and or not".split()
)

# What takes some entries of its first operand.
_PICKING = frozenset(("gather", "slice"))

# Constants with more entries are left alone: more are not worth their memory.
MOST_ENTRIES = 10**6


def with_harmless_constants(closed: Any) -> Any:
    """The same closed jaxpr; constants are ones where only what is never taken would meet 1/0, ∞ or NaN."""
    jaxpr = closed.jaxpr
    if not any(equation.primitive.name in ("select_n", *_PICKING) for equation in jaxpr.eqns):
        return closed
    rewriting = Rewriting(closed)
    environment = rewriting.opening(closed)
    rewriting.equations = [
        equation.replace(invars=[read(environment, atom) for atom in equation.invars])
        for equation in jaxpr.eqns
    ]
    outvars = [read(environment, atom) for atom in jaxpr.outvars]
    branches = _Branches(rewriting, outvars)
    for equation in list(rewriting.equations):
        name = equation.primitive.name
        if name == "select_n" and rewriting.is_known(equation.invars[0]):
            branches.make_harmless(equation)
        elif name in _PICKING and all(rewriting.is_known(atom) for atom in equation.invars[1:]):
            branches.leave_out(equation)
    return rewriting.finished(outvars) if branches.changed else closed


class _Branches:
    """The branches of choices, and the entries left out by indices, that are the same for all parameters."""

    def __init__(self, rewriting: Rewriting, outvars: list[Any]) -> None:
        self.rewriting = rewriting
        self.changed = False
        self.made_at: dict[Any, int] = {}
        self.uses: dict[Any, int] = {}
        for index, equation in enumerate(rewriting.equations):
            self.made_at |= dict.fromkeys(equation.outvars, index)
            for atom in equation.invars:
                self._use(atom)
        for atom in outvars:
            self._use(atom)

    def _use(self, atom: Any) -> None:
        if isinstance(atom, jex.Var):
            self.uses[atom] = self.uses.get(atom, 0) + 1

    def make_harmless(self, choice: Any) -> None:
        """Go up each branch of a `choice` as far as nothing else uses it, entry by entry."""
        shape = choice.outvars[0].aval.shape
        if math.prod(shape) > MOST_ENTRIES or not shape:
            return
        taken = np.broadcast_to(self.rewriting.known(choice.invars[0]), shape).astype(np.int64)
        for branch, atom in enumerate(choice.invars[1:]):
            untaken = taken != branch
            if untaken.any():
                self._go_up(atom, untaken)

    def leave_out(self, picking: Any) -> None:
        """Go up from the entries that are not among those picked."""
        operand = picking.invars[0]
        shape, dtype = operand.aval.shape, operand.aval.dtype
        index = self.made_at.get(operand) if isinstance(operand, jex.Var) else None
        if index is None or self.rewriting.equations[index].primitive.name not in EACH_BY_ITSELF:
            return
        if dtype not in (np.float32, np.float64) or self.uses[operand] > 1:
            return
        if max(math.prod(shape), math.prod(picking.outvars[0].aval.shape)) > MOST_ENTRIES:
            return
        # The entries, counted, go the way of the values; where nothing is picked it says NaN.
        counted = np.arange(math.prod(shape), dtype=dtype).reshape(shape)
        others = [self.rewriting.known(atom) for atom in picking.invars[1:]]
        try:
            (picked,) = evaluate_equation(picking, [counted, *others])
        except NoRule:
            return
        untaken = np.ones(shape, dtype=bool)
        untaken.flat[picked[np.isfinite(picked)].astype(np.int64)] = False
        if untaken.any():
            self._go_up(operand, untaken)

    def _go_up(self, atom: Any, untaken: np.ndarray) -> None:
        waiting = [atom]
        met: Counter[Any] = Counter()  # of an atom's uses, those in this branch
        while waiting:
            atom = waiting.pop()
            index = self.made_at.get(atom) if isinstance(atom, jex.Var) else None
            if index is None:
                continue
            met[atom] += 1
            if met[atom] < self.uses[atom]:
                continue
            equation = self.rewriting.equations[index]
            if equation.primitive.name not in EACH_BY_ITSELF:
                continue
            if any(operand.aval.shape not in ((), untaken.shape) for operand in equation.invars):
                continue
            invars = [self._harmless(equation, k, untaken) for k in range(len(equation.invars))]
            self.rewriting.equations[index] = equation.replace(invars=invars)
            waiting += invars

    def _harmless(self, equation: Any, k: int, untaken: np.ndarray) -> Any:
        """Operand `k`, a constant, with ones where it is `untaken` and harms; any other as it is."""
        atom = equation.invars[k]
        if (
            atom.aval.shape != untaken.shape
            or atom.aval.dtype.kind != "f"
            or not self.rewriting.is_known(atom)
        ):
            return atom
        value = self.rewriting.known(atom)
        harmful = ~np.isfinite(value)
        if equation.primitive.name == "div" and k == 1:
            harmful |= value == 0.0
        harmful &= untaken
        if not harmful.any():
            return atom
        self.changed = True
        return self.rewriting.constant(np.where(harmful, 1.0, value).astype(value.dtype), atom.aval)
