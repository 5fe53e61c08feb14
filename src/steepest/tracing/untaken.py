"""Constants that a choice leaves aside whatever the parameters are: harmless there, so that no slope is lost.

np.where(counts > 0, (model - counts)**2 / counts, 0) has the slope 0·∞ at an empty bin, since both branches are
computed and the one that is not taken is divided by zero; so has np.where(known, (model - y)**2, 0) where y is NaN.
Entries of the data that are used nowhere but in such a branch may be any number. They become ones.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import jax.extend.core as jex
import numpy as np

from .passes import Rewriting, read

# What computes each entry of its result from the same entries of its operands.
_EACH_BY_ITSELF = frozenset(
    "add sub mul div pow integer_pow square neg abs sign sqrt cbrt rsqrt exp exp2 expm1 log log1p sin cos tan "
    "sinh cosh tanh asin acos atan atan2 asinh acosh atanh logistic erf erfc lgamma max min copy "
    "convert_element_type select_n lt le gt ge eq ne and or not".split()
)

# Constants with more entries are left alone: more are not worth their memory.
MOST_ENTRIES = 10**6


def with_harmless_constants(closed: Any) -> Any:
    """The same closed jaxpr; constants are ones where only a branch that is never taken would meet 1/0, ∞ or NaN."""
    jaxpr = closed.jaxpr
    if not any(equation.primitive.name == "select_n" for equation in jaxpr.eqns):
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
        if equation.primitive.name == "select_n" and rewriting.is_known(equation.invars[0]):
            branches.make_harmless(equation)
    return rewriting.finished(outvars) if branches.changed else closed


class _Branches:
    """The branches of choices that are the same for all parameters."""

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
            if equation.primitive.name not in _EACH_BY_ITSELF:
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
