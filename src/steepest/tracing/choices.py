"""Branches that a choice does not take: computed from harmless numbers there, so that no slope is lost.

np.where(x > 0, np.sqrt(x), x**2) computes both branches everywhere, and at x = -1 the chain rule takes the slope of the
root, which is no number there, times zero. Where a branch is not taken, what nothing but this branch uses may be any
number: operands of roots, logarithms, quotients, powers and exponentials become ones or zeros there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np
from jax import lax

from .passes import eliminate_dead
from .rewriting import Rewriting, read, strong
from .untaken import EACH_BY_ITSELF

# By primitive: the operand that must stay inside the domain, and a place inside it where value and slopes are tame.
_HARMLESS: dict[str, tuple[int, float]] = {
    **dict.fromkeys(("sqrt", "rsqrt", "cbrt", "log", "log1p", "lgamma", "digamma", "pow"), (0, 1.0)),
    **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh", "asin", "acos", "atanh", "erf_inv"), (0, 0.0)),
    "integer_pow": (0, 1.0),
    "acosh": (0, 2.0),
    "div": (1, 1.0),
}
# What gives the same entries another shape.
_RESHAPING = frozenset(("reshape", "squeeze", "expand_dims"))
# Choices inside a branch that are gone through: each guards the operations above it once more.
MOST_NESTED = 8
_INNER = {"scan": "jaxpr", "while": "body_jaxpr", "cond": "branches"}


def with_harmless_branches(closed: Any) -> Any:
    """The same closed jaxpr, and the same value; what only an untaken branch uses is computed from harmless numbers."""
    closed = _inside(closed)
    names = {equation.primitive.name for equation in closed.jaxpr.eqns}
    if "select_n" not in names or names.isdisjoint(_HARMLESS):
        return closed
    rewriting = Rewriting(closed)
    environment = rewriting.opening(closed)
    equations = [
        equation.replace(invars=[read(environment, atom) for atom in equation.invars])
        for equation in closed.jaxpr.eqns
    ]
    outvars = [read(environment, atom) for atom in closed.jaxpr.outvars]
    branches = _Branches(rewriting, equations, outvars)
    for equation in list(equations):
        if equation.primitive.name == "select_n" and len(equation.invars) == 3:
            for branch in (0, 1):
                branches.make_harmless(equation, branch)
    if len(branches.equations) == len(closed.jaxpr.eqns):
        return closed
    rewriting.equations = branches.in_order()
    return eliminate_dead(rewriting.finished(outvars))


def _inside(closed: Any) -> Any:
    """The same for what loops do at every turn."""
    if not any(equation.primitive.name in _INNER for equation in closed.jaxpr.eqns):
        return closed

    def followed(inner: Any) -> Any:
        return tuple(map(followed, inner)) if isinstance(inner, tuple) else with_harmless_branches(inner)

    equations = []
    for equation in closed.jaxpr.eqns:
        key = _INNER.get(equation.primitive.name)
        if key is not None:
            equation = equation.replace(params=equation.params | {key: followed(equation.params[key])})
        equations.append(equation)
    return closed.replace(jaxpr=closed.jaxpr.replace(eqns=equations))


class _Branches:
    """The branches of all choices. `equations`: those given, then what guards their operands, which comes earlier."""

    def __init__(self, rewriting: Rewriting, equations: list[Any], outvars: list[Any]) -> None:
        self.rewriting = rewriting
        self.equations = equations
        self.made_at = {var: k for k, equation in enumerate(equations) for var in equation.outvars}
        self.uses: Counter[Any] = Counter()
        for atoms in (outvars, *(equation.invars for equation in equations)):
            self.uses.update(atom for atom in atoms if isinstance(atom, jex.Var))

    def in_order(self) -> list[Any]:
        """All equations, each after those whose results it reads; otherwise as they stood."""
        done: set[int] = set()
        ordered = []
        for first in range(len(self.equations)):
            waiting = [first]
            while waiting:
                index = waiting[-1]
                before = [
                    made
                    for atom in self.equations[index].invars
                    if (made := self._index(atom)) is not None and made not in done
                ]
                if index in done or not before:
                    waiting.pop()
                    if index not in done:
                        ordered.append(self.equations[index])
                        done.add(index)
                waiting += before[::-1] if index not in done else []
        return ordered

    def _index(self, atom: Any) -> int | None:
        """The equation that an atom comes from."""
        return self.made_at.get(atom) if isinstance(atom, jex.Var) else None

    def make_harmless(self, choice: Any, branch: int) -> None:
        """Go up one `branch`, 0 or 1, of a `choice` as far as nothing else uses it."""
        condition = choice.invars[0]
        if condition.aval.dtype != np.bool_ or choice.invars[1 + branch].aval.dtype.kind != "f":
            return
        waiting = [(choice.invars[1 + branch], _Taken(condition, branch), 0)]
        met: Counter[Any] = Counter()  # of an atom's uses, those in this branch
        known: dict[Any, _Taken] = {}
        while waiting:
            atom, taken, depth = waiting.pop()
            index = self._index(atom)
            if index is None or known.setdefault(atom, taken) != taken:
                continue
            met[atom] += 1
            if met[atom] < self.uses[atom]:
                continue
            depth += self.equations[index].primitive.name == "select_n"
            if depth <= MOST_NESTED:
                waiting += [(operand, where, depth) for operand, where in self._above(index, taken)]

    def _above(self, index: int, taken: _Taken) -> list[tuple[Any, _Taken]]:
        """The operands of an equation inside a branch, each with where it is taken; guards those that may harm."""
        equation = self.equations[index]
        name, shape = equation.primitive.name, equation.outvars[0].aval.shape
        if len(equation.outvars) > 1 or equation.effects:
            return []
        if taken.shape == ():
            if _holds_others(equation):
                return []
        elif name in _RESHAPING:
            (operand, *_) = equation.invars
            if self._index(operand) is None:
                return []
            return [(operand, self._moved(index, taken, lambda mask: lax.reshape(mask, operand.aval.shape)))]
        elif name == "broadcast_in_dim":
            return self._before_broadcast(index, taken)
        elif name not in EACH_BY_ITSELF | _HARMLESS.keys() or any(
            operand.aval.shape not in ((), shape) for operand in equation.invars
        ):
            return []
        invars = list(equation.invars)
        for k in range(len(invars)):
            harmless = self._harmless(equation, k)
            if harmless is not None and not self._is_guarded(invars[k], taken):
                invars[k] = self._guarded(index, invars[k], harmless, taken)
        if invars != list(equation.invars):
            self.uses.subtract(atom for atom in equation.invars if isinstance(atom, jex.Var))
            self.uses.update(atom for atom in invars if isinstance(atom, jex.Var))
            self.equations[index] = equation.replace(invars=invars)
        return [
            (operand, taken)
            for operand in equation.invars
            if taken.shape in ((), operand.aval.shape) and not self._is_guarded(operand, taken)
        ]

    def _harmless(self, equation: Any, k: int) -> float | None:
        """What operand `k` is to be where the result is left aside; None for what it is."""
        atom, name = equation.invars[k], equation.primitive.name
        if atom.aval.dtype.kind != "f":
            return None
        which, harmless = _HARMLESS.get(name, (-1, 1.0))
        if name == "integer_pow" and equation.params["y"] > 0:
            which = -1
        if self.rewriting.is_known(atom):
            value = self.rewriting.known(atom)
            harms = not np.isfinite(value).all() or (name == "div" and k == 1 and not np.all(value))
            return 1.0 if harms and name in EACH_BY_ITSELF and name != "select_n" else None
        return harmless if k == which else None

    def _is_guarded(self, atom: Any, taken: _Taken) -> bool:
        """Whether an operand is itself a choice by the same condition, as the user or a rule wrote it."""
        index = self._index(atom)
        made = None if index is None else self.equations[index]
        return made is not None and made.primitive.name == "select_n" and made.invars[0] is taken.condition

    def _guarded(self, index: int, operand: Any, harmless: float, taken: _Taken) -> Any:
        dtype, shape = operand.aval.dtype, np.broadcast_shapes(operand.aval.shape, taken.shape)

        def guard(condition: Any, value: Any) -> Any:
            value = lax.broadcast_in_dim(value, shape, ()) if value.shape != shape else value
            other = lax.full(shape, dtype.type(harmless))
            return lax.select_n(condition, *((other, value) if taken.branch else (value, other)))

        return self._added(index, guard, taken.condition, operand)

    def _moved(self, index: int, taken: _Taken, move: Callable[[Any], Any]) -> _Taken:
        return _Taken(self._added(index, move, taken.condition), taken.branch)

    def _before_broadcast(self, index: int, taken: _Taken) -> list[tuple[Any, _Taken]]:
        """An entry before it is repeated is taken where any of its copies is."""
        equation = self.equations[index]
        operand, *sizes = equation.invars
        dimensions, wide = equation.params["broadcast_dimensions"], equation.outvars[0].aval.shape
        if sizes or self._index(operand) is None:
            return []
        kept = {
            axis: length
            for axis, length in zip(dimensions, operand.aval.shape, strict=True)
            if length == wide[axis]
        }
        axes = tuple(axis for axis in range(len(wide)) if axis not in kept)

        def fewer(mask: Any) -> Any:
            mask = mask if taken.branch else lax.bitwise_not(mask)
            return lax.reshape(lax.reduce_or(mask, axes), operand.aval.shape)

        return [(operand, _Taken(self._added(index, fewer, taken.condition), 1))]

    def _added(self, index: int, function: Callable[..., Any], *atoms: Any) -> Any:
        """The result of a function of atoms, for the equation at `index`."""
        kinds = (jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in atoms)
        made = jax.make_jaxpr(function)(*kinds).jaxpr
        environment = dict(zip(made.invars, atoms, strict=True))
        for equation in made.eqns:
            outvars = [jex.Var(strong(var.aval)) for var in equation.outvars]
            invars = [read(environment, atom) for atom in equation.invars]
            environment.update(zip(equation.outvars, outvars, strict=True))
            self.made_at |= dict.fromkeys(outvars, len(self.equations))
            self.uses.update(atom for atom in invars if isinstance(atom, jex.Var))
            source = self.equations[index].source_info
            self.equations.append(equation.replace(invars=invars, outvars=outvars, source_info=source))
        return read(environment, made.outvars[0])


class _Taken:
    """Where a branch is taken: where `condition` is `branch`, which is 0 or 1."""

    def __init__(self, condition: Any, branch: int) -> None:
        self.condition = condition
        self.branch = branch

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.condition.aval.shape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Taken) and self.condition is other.condition and self.branch == other.branch

    __hash__ = None  # type: ignore[assignment]


def _holds_others(equation: Any) -> bool:
    """Whether an equation calls others of its own, as loops do."""
    return any(
        isinstance(part, (jex.ClosedJaxpr, jex.Jaxpr))
        for value in equation.params.values()
        for part in (value if isinstance(value, (tuple, list)) else (value,))
    )
