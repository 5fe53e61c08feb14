"""Unrolled Python loops rolled up again: alike operations on single numbers become one operation on an array.

A cost written as a Python loop over data records a few operations on numbers for each turn. XLA's time to compile
them grows faster than their number (18 s for the gradient of a sum of 300 terms), and every pass of ours looks at
each. The turns do the same, so that operations of one kind, at one distance from the parameters and on operands of
one origin, are computed together as one array; sums of many terms become sums of such arrays.

Values agree to rounding: long sums are added in another order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import jax.core
import jax.extend.core as jex
import numpy as np
from jax import lax

from .passes import common_subexpressions, eliminate_dead
from .primitives import ELEMENTWISE

# Below this many operations on numbers there is nothing to win.
FEWEST_SCALARS = 40
# Alike operations that make an array: fewer are as fast one by one.
FEWEST_MEMBERS = 4
# Sums of at least this many terms are taken at once.
FEWEST_TERMS = 8
# What is rolled up must be shorter by this factor, or the jaxpr stays as it was.
SHORTER = 0.7

_VIEWS = frozenset({"slice", "squeeze", "reshape", "broadcast_in_dim", "expand_dims"})


class Element(NamedTuple):
    """One element of an array, by its place in flat order."""

    source: Any
    place: int


def rolled(closed: Any) -> Any:
    """The closed jaxpr with alike operations on single numbers taken together; itself where that wins little.

    >>> import jax
    >>> def cost(x):
    ...     return sum((x[i + 1] - x[i] ** 2) ** 2 for i in range(49))
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((50,), np.float64))
    >>> len(jaxpr.eqns), len(rolled(jaxpr).eqns) < 10
    (392, True)
    """
    scalars = sum(_is_scalar(equation) for equation in closed.jaxpr.eqns)
    if scalars < FEWEST_SCALARS:
        return closed
    shorter = eliminate_dead(common_subexpressions(_Rolling(closed).run()))
    return shorter if len(shorter.jaxpr.eqns) < SHORTER * len(closed.jaxpr.eqns) else closed


def _is_scalar(equation: Any) -> bool:
    """Whether an equation is an elementwise operation on single numbers."""
    return (
        len(equation.outvars) == 1
        and equation.primitive.name in ELEMENTWISE
        and equation.outvars[0].aval.shape == ()
        and all(atom.aval.shape == () for atom in equation.invars)
        and not equation.effects
    )


class _Sum(NamedTuple):
    """A sum of many terms, each with its sign, and the last equation of it."""

    terms: list[tuple[Any, float]]
    equation: Any


class _Rolling:
    def __init__(self, closed: Any) -> None:
        self.closed = closed
        self.jaxpr = closed.jaxpr
        self.producer = {var: eqn for eqn in self.jaxpr.eqns for var in eqn.outvars}
        self.uses = Counter(
            atom for eqn in self.jaxpr.eqns for atom in eqn.invars if isinstance(atom, jex.Var)
        )
        self.uses.update(atom for atom in self.jaxpr.outvars if isinstance(atom, jex.Var))
        self.elements: dict[Any, Element] = {}
        self.level: dict[Any, int] = dict.fromkeys((*self.jaxpr.invars, *self.jaxpr.constvars), 0)
        self.equations: list[Any] = []
        self.constants: dict[Any, Any] = dict(zip(self.jaxpr.constvars, closed.consts, strict=True))
        self.names: dict[Any, Any] = {var: var for var in self.level}
        self.sums, self.swallowed = self._sums()

    def run(self) -> Any:
        levels: dict[int, list[Any]] = {}
        for step in self._steps():
            level = 1 + max(map(self._level, self._operands(step)), default=0)
            out = step.equation.outvars if isinstance(step, _Sum) else step.outvars
            self.level.update(dict.fromkeys(out, level))
            levels.setdefault(level, []).append(step)
        for level in sorted(levels):
            self._emit_level(levels[level])
        outputs = [self._known(atom) for atom in self.jaxpr.outvars]
        jaxpr = self.jaxpr.replace(eqns=self.equations, constvars=list(self.constants), outvars=outputs)
        return jex.ClosedJaxpr(jaxpr, list(self.constants.values()))

    # -- what there is to do -------------------------------------------------------------------------------

    def _sums(self) -> tuple[dict[Any, _Sum], set[Any]]:
        """Sums of many terms by their result, and the results of the additions inside them."""
        roots = []
        for equation in self.jaxpr.eqns:
            if self._adds(equation) and not self._is_inside(equation.outvars[0]):
                terms: list[tuple[Any, float]] = []
                inside: list[Any] = []
                self._collect(equation, 1.0, terms, inside)
                if len(terms) >= FEWEST_TERMS:
                    roots.append((_Sum(terms, equation), inside))
        # Sums that occur in every turn of a loop are operations like others.
        lengths = Counter(len(found.terms) for found, _ in roots)
        sums, swallowed = {}, set()
        for found, inside in roots:
            if lengths[len(found.terms)] < FEWEST_MEMBERS:
                sums[found.equation.outvars[0]] = found
                swallowed.update(inside)
        return sums, swallowed

    def _adds(self, equation: Any) -> bool:
        return _is_scalar(equation) and equation.primitive.name in ("add", "sub", "add_any")

    def _is_inside(self, var: Any) -> bool:
        """Whether a sum is only a part of a larger one."""
        return self.uses[var] == 1 and var in self._added

    @property
    def _added(self) -> set[Any]:
        if not hasattr(self, "_added_once"):
            self._added_once = {
                atom
                for eqn in self.jaxpr.eqns
                if self._adds(eqn)
                for atom in eqn.invars
                if isinstance(atom, jex.Var)
            }
        return self._added_once

    def _collect(self, equation: Any, sign: float, terms: list[Any], inside: list[Any]) -> None:
        stack = [(equation, sign)]
        while stack:
            current, sign = stack.pop()
            second = -sign if current.primitive.name == "sub" else sign
            for atom, own in zip(current.invars, (sign, second), strict=True):
                made = self.producer.get(atom) if isinstance(atom, jex.Var) else None
                if made is not None and self._adds(made) and self.uses[atom] == 1:
                    inside.append(atom)
                    stack.append((made, own))
                else:
                    terms.append((atom, own))

    def _steps(self) -> list[Any]:
        """Equations and sums in order, without those that only pick single elements."""
        steps: list[Any] = []
        for equation in self.jaxpr.eqns:
            var = equation.outvars[0]
            if var in self.swallowed:
                continue
            if var in self.sums:
                steps.append(self.sums[var])
            elif not self._picks(equation):
                steps.append(equation)
        return steps

    def _picks(self, equation: Any) -> bool:
        """Whether an equation is a view of one element; notes of which."""
        if equation.primitive.name not in _VIEWS or len(equation.invars) != 1:
            return False
        (operand,), (var,) = equation.invars, equation.outvars
        if var.aval.size != 1 or isinstance(operand, jex.Literal):
            return False
        if operand.aval.size == 1:
            known = self.elements.get(operand)
            if known is not None:
                self.elements[var] = known
                self.level[var] = self.level.get(operand, 0)
                return True
            if operand.aval.shape == () and operand in self.producer:
                # A number made into an array of one; the number itself stands for it.
                self.elements[var] = Element(operand, 0)
                return True
            return False
        if equation.primitive.name != "slice":
            return False
        place = 0
        for start, length in zip(equation.params["start_indices"], operand.aval.shape, strict=True):
            place = place * length + int(start)
        self.elements[var] = Element(operand, place)
        return True

    def _operands(self, step: Any) -> list[Any]:
        return [atom for atom, _ in step.terms] if isinstance(step, _Sum) else step.invars

    def _level(self, atom: Any) -> int:
        if isinstance(atom, jex.Literal):
            return 0
        element = self.elements.get(atom)
        return self.level[atom] if element is None else self._level(element.source)

    # -- what is written -----------------------------------------------------------------------------------

    def _emit_level(self, steps: Sequence[Any]) -> None:
        groups: dict[Any, list[Any]] = {}
        others = []
        for step in steps:
            if isinstance(step, _Sum) or not _is_scalar(step):
                others.append(step)
                continue
            groups.setdefault(self._kind(step), []).append(step)
        for members in groups.values():
            if len(members) < FEWEST_MEMBERS:
                others += members
            else:
                self._emit_group(members)
        for step in others:
            if isinstance(step, _Sum):
                self._emit_sum(step)
            elif step.primitive.name in ("stack", "concatenate") and self._emit_row(step):
                continue
            else:
                outs = [jex.Var(var.aval) for var in step.outvars]
                self.equations.append(
                    step.replace(invars=[self._known(atom) for atom in step.invars], outvars=outs)
                )
                self.names.update(zip(step.outvars, outs, strict=True))

    def _kind(self, equation: Any) -> Any:
        """What alike equations have in common: operation, types, and the arrays that operands come from."""
        origins = tuple(map(self._origin, equation.invars))
        types = tuple(atom.aval.dtype for atom in (*equation.invars, *equation.outvars))
        parameters = tuple(sorted((key, repr(value)) for key, value in equation.params.items()))
        return equation.primitive.name, parameters, types, origins

    def _element(self, atom: Any) -> Element | None:
        """The element that a number is, of an array that exists by now."""
        element = self.elements.get(atom)
        while element is not None and element.source.aval.shape == ():
            atom = element.source
            element = self.elements.get(atom)
        return element

    def _emit_group(self, members: Sequence[Any]) -> None:
        first, count = members[0], len(members)
        operands = [self._row([member.invars[k] for member in members]) for k in range(len(first.invars))]
        if all(atom.aval.shape == () for atom in operands):
            operands[0] = self._spread(operands[0], count)
        takes_numbers = first.primitive.name in _TAKE_NUMBERS
        operands = [
            atom
            if atom.aval.shape == (count,) or (takes_numbers and isinstance(atom, jex.Literal))
            else self._spread(atom, count)
            for atom in operands
        ]
        out = jex.Var(jax.core.ShapedArray((count,), first.outvars[0].aval.dtype))
        self.equations.append(first.replace(invars=operands, outvars=[out]))
        self.names[out] = out
        self.level[out] = self.level[first.outvars[0]]
        for place, member in enumerate(members):
            self.elements[member.outvars[0]] = Element(out, place)

    def _row(self, atoms: Sequence[Any]) -> Any:
        """Numbers as one array, or as the one number that they all are."""
        first = atoms[0]
        if all(isinstance(atom, jex.Literal) for atom in atoms):
            values = np.array([atom.val for atom in atoms], dtype=first.aval.dtype)
            return first if (values == values[0]).all() else self._constant(values)
        if all(atom is first for atom in atoms[1:]):
            return self._known(first)
        pieces = []
        for origin, together in groupby(atoms, key=self._origin):
            run = list(together)
            if origin == "number":
                pieces.append(self._constant(np.array([atom.val for atom in run], dtype=first.aval.dtype)))
            elif origin == "single":
                pieces += [self._reshaped(self._known(atom), (1,)) for atom in run]
            else:
                found = [self._element(atom) for atom in run]
                pieces.append(self._taken(found[0].source, [e.place for e in found if e is not None]))  # type: ignore[union-attr]
        if len(pieces) == 1:
            return pieces[0]
        return self._emit(jex.primitives.concatenate_p, pieces, (len(atoms),), dimension=0)

    def _origin(self, atom: Any) -> Any:
        """What an operand comes from: a number written down, an array (by its id), or itself."""
        if isinstance(atom, jex.Literal):
            return "number"
        element = self._element(atom)
        return "single" if element is None else id(element.source)

    def _taken(self, source: Any, places: list[int]) -> Any:
        """Elements of an array in a row."""
        size = math.prod(source.aval.shape)
        row = self._known(source)
        row = row if len(source.aval.shape) == 1 else self._reshaped(row, (size,))
        if places == list(range(size)):
            return row
        steps = {b - a for a, b in pairwise(places)} or {1}
        step = next(iter(steps)) if len(steps) == 1 else 0
        if step > 0:
            return self._emit(
                jex.primitives.slice_p,
                [row],
                (len(places),),
                start_indices=(places[0],),
                limit_indices=(places[-1] + 1,),
                strides=None if step == 1 else (step,),
            )
        index = self._constant(np.array(places, dtype=np.int32)[:, None])
        numbers = lax.GatherDimensionNumbers(offset_dims=(), collapsed_slice_dims=(0,), start_index_map=(0,))
        return self._emit(
            jex.primitives.gather_p,
            [row, index],
            (len(places),),
            dimension_numbers=numbers,
            slice_sizes=(1,),
            indices_are_sorted=False,
            unique_indices=len(set(places)) == len(places),
            mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
            fill_value=None,
        )

    def _emit_row(self, step: Any) -> bool:
        """An array put together from single numbers, where those are elements of a few arrays."""
        if any(isinstance(atom, jex.Literal) or atom.aval.size != 1 for atom in step.invars):
            return False
        if len(step.outvars[0].aval.shape) != 1 or len(step.invars) < FEWEST_MEMBERS:
            return False
        runs = sum(1 for _ in groupby(step.invars, key=self._origin))
        if "single" in map(self._origin, step.invars) or runs > len(step.invars) / FEWEST_MEMBERS:
            return False
        self.names[step.outvars[0]] = self._row(step.invars)
        return True

    def _emit_sum(self, step: _Sum) -> None:
        """Terms that are elements of one array are added at once; what remains, one after the other."""
        rows: dict[tuple[int, float], tuple[Any, list[int]]] = {}
        total = 0.0
        parts: list[tuple[Any, float]] = []
        for atom, sign in step.terms:
            element = None if isinstance(atom, jex.Literal) else self._element(atom)
            if isinstance(atom, jex.Literal):
                total += sign * float(atom.val)
            elif element is None:
                parts.append((self._known(atom), sign))
            else:
                rows.setdefault((id(element.source), sign), (element.source, []))[1].append(element.place)
        sums = []
        for (_, sign), (source, places) in rows.items():
            row = self._taken(source, sorted(places))
            whole = self._emit(
                jex.primitives.reduce_sum_p, [row], (), source=step.equation, axes=(0,), out_sharding=None
            )
            sums.append((whole, sign))
        parts = sums + parts
        dtype = step.equation.outvars[0].aval.dtype
        aval = jax.core.ShapedArray((), dtype)
        if total or not parts:
            parts.append((jex.Literal(dtype.type(total), aval), 1.0))
        positive = [atom for atom, sign in parts if sign > 0]
        negative = [atom for atom, sign in parts if sign < 0]
        result = positive[0] if positive else jex.Literal(dtype.type(0), aval)
        for atom in positive[1:]:
            result = self._emit(jex.primitives.add_p, [result, atom], (), source=step.equation)
        for atom in negative:
            result = self._emit(jex.primitives.sub_p, [result, atom], (), source=step.equation)
        self.names[step.equation.outvars[0]] = result

    # -- small pieces --------------------------------------------------------------------------------------

    def _known(self, atom: Any) -> Any:
        """The new atom for an old one; an element of an array is picked where it is asked for."""
        if isinstance(atom, jex.Literal):
            return atom
        if atom not in self.names:
            element = self.elements[atom]
            source = element.source
            if source.aval.shape == ():
                self.names[atom] = self._reshaped(self._known(source), atom.aval.shape)
            else:
                single = self._taken(source, [element.place])
                self.names[atom] = self._reshaped(single, atom.aval.shape)
        return self.names[atom]

    def _spread(self, atom: Any, count: int) -> Any:
        return self._emit(
            jex.primitives.broadcast_in_dim_p,
            [atom],
            (count,),
            shape=(count,),
            broadcast_dimensions=(),
            sharding=None,
        )

    def _reshaped(self, atom: Any, shape: tuple[int, ...]) -> Any:
        if atom.aval.shape == shape:
            return atom
        return self._emit(
            jex.primitives.reshape_p, [atom], shape, new_sizes=shape, dimensions=None, sharding=None
        )

    def _constant(self, value: np.ndarray) -> Any:
        var = jex.Var(jax.core.ShapedArray(value.shape, value.dtype))
        self.constants[var] = value
        return var

    def _emit(
        self,
        primitive: Any,
        operands: Sequence[Any],
        result: tuple[int, ...],
        source: Any = None,
        **params: Any,
    ) -> Any:
        out = jex.Var(jax.core.ShapedArray(result, operands[0].aval.dtype))
        equation = jex.new_jaxpr_eqn(list(operands), [out], primitive, params, jex.no_effects)
        self.equations.append(
            equation if source is None else equation.replace(source_info=source.source_info)
        )
        return out


# Operations of two operands that spread a number over an array by themselves.
_TAKE_NUMBERS = frozenset("add sub mul div rem pow max min atan2 eq ne lt le gt ge".split())
