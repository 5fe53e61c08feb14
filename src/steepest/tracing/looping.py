"""Computing what the turns of a loop computed: circles by `lax.scan`, all else for all turns at once.

Sums over the turns are sums of arrays, so that what is known of a sum (its squares, say) stays known.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.core
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
from jax import lax

from .turns import FEWEST_TURNS, SUMS, Loop, Operand, circles, goes_round, picks_elsewhere


class _Turns(NamedTuple):
    """An equation's result in every turn, first axis `turns`; or the one value it has in all of them."""

    value: Any
    stacked: bool


class Evaluation:
    """The function that a jaxpr with these loops computes, to be recorded again."""

    def __init__(self, closed: Any, loops: Sequence[Loop]) -> None:
        self.closed = closed
        self.jaxpr = closed.jaxpr
        self.loops = {loop.start: loop for loop in loops}
        self.readers: dict[Any, list[int]] = defaultdict(list)
        for place, equation in enumerate(self.jaxpr.eqns):
            for atom in equation.invars:
                if isinstance(atom, jex.Var):
                    self.readers[atom].append(place)
        for atom in self.jaxpr.outvars:
            if isinstance(atom, jex.Var):
                self.readers[atom].append(len(self.jaxpr.eqns))

    def __call__(self, *inputs: Any) -> list[Any]:
        """The results of the jaxpr for its inputs."""
        self.values: dict[Any, Any] = dict(zip(self.jaxpr.invars, inputs, strict=True))
        self.values.update(zip(self.jaxpr.constvars, map(np.asarray, self.closed.consts), strict=True))
        # A result of one turn, as (all turns, which); picked out where somebody asks for it.
        self.elements: dict[Any, tuple[Any, int]] = {}
        place = 0
        while place < len(self.jaxpr.eqns):
            loop = self.loops.get(place)
            if loop is not None:
                _Looping(self, loop).run()
                place = loop.end
                continue
            equation = self.jaxpr.eqns[place]
            if not self._joined(equation):
                self.values.update(
                    zip(equation.outvars, self.bind(equation)(*map(self.value, equation.invars)), strict=True)
                )
            place += 1
        return [self.value(atom) for atom in self.jaxpr.outvars]

    def value(self, atom: Any) -> Any:
        """What an operand is; of one turn of a loop, picked out of all of them."""
        if isinstance(atom, jex.Literal):
            return np.asarray(atom.val, atom.aval.dtype)[()]
        if atom not in self.values:
            stack, turn = self.elements[atom]
            self.values[atom] = lax.index_in_dim(stack, turn, keepdims=False)
        return self.values[atom]

    def bind(self, equation: Any) -> Callable[..., list[Any]]:
        """One equation as a function of its operands."""
        invars = [jex.Var(atom.aval) for atom in equation.invars]
        outvars = [jex.Var(var.aval) for var in equation.outvars]
        alone = self.jaxpr.replace(
            constvars=[],
            invars=invars,
            outvars=outvars,
            eqns=[equation.replace(invars=invars, outvars=outvars)],
            effects=equation.effects,
            debug_info=self.jaxpr.debug_info._replace(arg_names=None, result_paths=None),
        )
        return lambda *operands: jax.core.eval_jaxpr(alone, (), *operands)

    def stacked(self, atoms: Sequence[Any]) -> Any:
        """Values of the same shape as one array, first axis along `atoms`."""
        if all(isinstance(a, jex.Literal) or isinstance(self.values.get(a), np.ndarray) for a in atoms):
            return np.stack([np.asarray(self.value(a)) for a in atoms])
        return _concatenated(
            [
                lax.expand_dims(self.value(piece), (0,)) if not isinstance(piece, tuple) else _picked(*piece)
                for piece in self._pieces(atoms)
            ],
            axis=0,
        )

    def _pieces(self, atoms: Sequence[Any]) -> list[Any]:
        """The atoms in order: as (all turns, which of them) where neighbours are results of one loop, or one by one."""
        pieces: list[Any] = []
        for atom in atoms:
            stack, turn = self.elements.get(atom, (None, 0)) if isinstance(atom, jex.Var) else (None, 0)
            if stack is None:
                pieces.append(atom)
            elif pieces and isinstance(pieces[-1], tuple) and pieces[-1][0] is stack:
                pieces[-1][1].append(turn)
            else:
                pieces.append((stack, [turn]))
        return pieces

    def _joined(self, equation: Any) -> bool:
        """An array put together from the results of many turns is those, reshaped."""
        if equation.primitive.name != "concatenate" or len(equation.invars) < FEWEST_TURNS:
            return False
        pieces = self._pieces(equation.invars)
        if len(pieces) * FEWEST_TURNS > len(equation.invars):
            return False
        axis = equation.params["dimension"]
        self.values[equation.outvars[0]] = _concatenated(
            [
                self.value(piece) if not isinstance(piece, tuple) else _end_to_end(_picked(*piece), axis)
                for piece in pieces
            ],
            axis,
        )
        return True


class _Looping:
    """One loop within an evaluation."""

    def __init__(self, evaluation: Evaluation, loop: Loop) -> None:
        self.evaluation = evaluation
        self.loop = loop
        self.turns: dict[tuple[int, int], _Turns] = {}
        self.members = [
            evaluation.jaxpr.eqns[loop.start + row : loop.end : loop.period] for row in range(loop.period)
        ]
        self.inside = Counter((o.row, o.output) for mine in loop.operands for o in mine if o.kind == "inside")

    def run(self) -> None:
        for rows in circles(self.loop):
            if not goes_round(self.loop, rows):
                self._at_once(rows[0])
            elif not (self._summed(rows) or self._assigned(rows)):
                self._scanned(rows)
        for (row, output), found in self.turns.items():
            for turn, member in enumerate(self.members[row]):
                var = member.outvars[output]
                if not self._is_read_outside(var):
                    continue
                if found.stacked:
                    self.evaluation.elements[var] = (found.value, turn)
                else:
                    self.evaluation.values[var] = found.value

    def _is_read_outside(self, var: Any) -> bool:
        return any(not self.loop.start <= p < self.loop.end for p in self.evaluation.readers.get(var, ()))

    def _outside_before_the_end(self, row: int) -> bool:
        """Whether a result of any turn but the last is read outside the loop."""
        return any(self._is_read_outside(member.outvars[0]) for member in self.members[row][:-1])

    def _operand(self, operand: Operand) -> _Turns:
        """An operand that is known already, in every turn."""
        if operand.kind == "same":
            return _Turns(self.evaluation.value(operand.atoms[0]), False)
        if operand.kind == "varying":
            return _Turns(self.evaluation.stacked(operand.atoms), True)
        found = self.turns[operand.row, operand.output]
        if operand.lag == 0:
            return found
        before = self.evaluation.stacked(operand.atoms)
        left = self.loop.turns - operand.lag
        value = found.value
        later = lax.slice_in_dim(value, 0, left) if found.stacked else jnp.stack([value] * left)
        return _Turns(lax.concatenate([jnp.asarray(before, later.dtype), later], 0), True)

    def _at_once(self, row: int) -> None:
        """One equation for all turns together."""
        operands = [self._operand(operand) for operand in self.loop.operands[row]]
        equation = self.loop.rows[row]
        values = [operand.value for operand in operands]
        if picks_elsewhere(self.members[row]):
            self.turns[row, 0] = _Turns(_windows(values[0], self.members[row]), True)
            return
        stacked = any(operand.stacked for operand in operands)
        function = self.evaluation.bind(equation)
        if stacked:
            function = jax.vmap(function, in_axes=tuple(0 if o.stacked else None for o in operands))
        for output, value in enumerate(function(*values)):
            self.turns[row, output] = _Turns(value, stacked)

    # -- sums and assignments that only go on --------------------------------------------------------------

    def _summed(self, rows: Sequence[int]) -> bool:
        """A total to which each turn adds; False where the circle is something else."""
        members = set(rows)
        terms: list[tuple[int, Operand, float]] = []
        begun: Any = None
        for row in rows:
            equation = self.loop.rows[row]
            mine = self.loop.operands[row]
            if equation.primitive.name not in SUMS or self.inside[row, 0] != 1:
                return False
            totals = [k for k, o in enumerate(mine) if o.kind == "inside" and o.row in members]
            if len(totals) != 1 or self._outside_before_the_end(row):
                return False
            is_difference = equation.primitive.name == "sub"
            total, term = mine[totals[0]], mine[1 - totals[0]]
            if is_difference and totals[0] == 1:
                return False
            if total.lag:
                if total.lag > 1 or begun is not None:
                    return False
                begun = total.atoms[0]
            terms.append((row, term, -1.0 if is_difference else 1.0))
        if begun is None:
            return False
        turns = self.loop.turns
        for row in rows:
            last = self.members[row][-1].outvars[0]
            if not self._is_read_outside(last):
                continue
            value = self.evaluation.value(begun)
            for other, operand, sign in terms:
                added = self._operand(operand)
                # What a turn adds further down has not been added yet where this row ends.
                count = turns if other <= row else turns - 1
                whole = (
                    # Of integers NumPy and JAX make their longest type when they add them up, unless told.
                    jnp.sum(lax.slice_in_dim(added.value, 0, count), axis=0, dtype=last.aval.dtype)
                    if added.stacked
                    else added.value * last.aval.dtype.type(count)
                )
                value = value + whole if sign > 0 else value - whole
            self.evaluation.values[last] = value
        return True

    def _assigned(self, rows: Sequence[int]) -> bool:
        """An array of which each turn writes the next row; False where the circle is something else."""
        (row, *others) = rows
        equation, mine = self.loop.rows[row], self.loop.operands[row]
        if others or equation.primitive.name != "dynamic_update_slice" or self.inside[row, 0] != 1:
            return False
        target, update, *places = mine
        if target.kind != "inside" or target.lag != 1 or self._outside_before_the_end(row):
            return False
        if any(place.kind == "inside" for place in places):
            return False
        atoms = [member.invars[2:] for member in self.members[row]]
        if not all(isinstance(atom, jex.Literal) for line in atoms for atom in line):
            return False
        indices = np.array([[int(atom.val) for atom in line] for line in atoms])
        steps = np.diff(indices, axis=0)
        axes = np.flatnonzero(steps.any(axis=0))
        shape, whole = equation.invars[1].aval.shape, equation.invars[0].aval.shape
        if len(axes) != 1 or shape[axes[0]] != 1 or not (steps[:, axes[0]] == 1).all():
            return False
        if (indices < 0).any() or (indices + np.array(shape) > np.array(whole)).any():
            return False
        axis = int(axes[0])
        written = self._operand(update)
        value = written.value if written.stacked else jnp.stack([written.value] * self.loop.turns)
        value = jnp.moveaxis(lax.squeeze(value, (axis + 1,)), 0, axis)
        begun = self.evaluation.value(target.atoms[0])
        if value.shape != whole:
            value = lax.dynamic_update_slice(jnp.asarray(begun), value, [int(i) for i in indices[0]])
        self.evaluation.values[self.members[row][-1].outvars[0]] = value
        return True

    # -- circles -------------------------------------------------------------------------------------------

    def _scanned(self, rows: Sequence[int]) -> None:
        """What needs its own earlier turns: one scan over all turns."""
        members = set(rows)
        slots: dict[Any, tuple[Operand, int]] = {}
        given: list[Any] = []
        fixed: dict[tuple[int, int], Any] = {}
        along: dict[tuple[int, int], int] = {}
        for row in rows:
            for k, operand in enumerate(self.loop.operands[row]):
                if operand.kind == "inside" and operand.row in members:
                    if operand.lag:
                        slots.setdefault(_slot(operand), (operand, len(slots)))
                    continue
                known = self._operand(operand)
                if known.stacked:
                    along[row, k] = len(given)
                    given.append(known.value)
                else:
                    fixed[row, k] = known.value
        begun = tuple(
            tuple(jnp.asarray(self.evaluation.value(a), self._type(o)) for a in o.atoms)
            for o, _ in slots.values()
        )
        binds = {row: self.evaluation.bind(self.loop.rows[row]) for row in rows}
        wanted = [key for key in self._outputs(rows) if self._is_wanted(key, members)]
        # What is read of the last turn alone, as the state that a loop ends in, need not be kept of all of them.
        carried = {(o.row, o.output): place for o, place in slots.values()}
        ends = [key for key in wanted if key in carried and self._is_wanted_at_the_end(key, members)]
        kept = [key for key in wanted if key not in ends]

        def turn(carry: Any, now: Any) -> Any:
            made: dict[tuple[int, int], Any] = {}
            for row in rows:
                operands = []
                for k, operand in enumerate(self.loop.operands[row]):
                    if (row, k) in fixed:
                        operands.append(fixed[row, k])
                    elif (row, k) in along:
                        operands.append(now[along[row, k]])
                    elif operand.lag:
                        operands.append(carry[slots[_slot(operand)][1]][0])
                    else:
                        operands.append(made[operand.row, operand.output])
                made.update({(row, i): value for i, value in enumerate(binds[row](*operands))})
            later = tuple(
                (*held[1:], made[o.row, o.output]) for held, (o, _) in zip(carry, slots.values(), strict=True)
            )
            return later, [made[key] for key in kept]

        ended, stacks = lax.scan(turn, begun, given, length=self.loop.turns)
        for row, output in ends:
            self.evaluation.values[self.members[row][-1].outvars[output]] = ended[carried[row, output]][-1]
        for key, stack in zip(kept, stacks, strict=True):
            self.turns[key] = _Turns(stack, True)

    def _outputs(self, rows: Sequence[int]) -> Iterator[tuple[int, int]]:
        for row in rows:
            for output in range(len(self.loop.rows[row].outvars)):
                yield row, output

    def _is_wanted(self, key: tuple[int, int], members: set[int]) -> bool:
        """Whether anything outside the circle reads a result."""
        return self._is_read_beside(key, members) or any(
            self._is_read_outside(member.outvars[key[1]]) for member in self.members[key[0]]
        )

    def _is_wanted_at_the_end(self, key: tuple[int, int], members: set[int]) -> bool:
        """Whether nothing outside the circle reads a result of any turn but the last."""
        return not self._is_read_beside(key, members) and not any(
            self._is_read_outside(member.outvars[key[1]]) for member in self.members[key[0]][:-1]
        )

    def _is_read_beside(self, key: tuple[int, int], members: set[int]) -> bool:
        """Whether an equation of the loop that is not in the circle reads a result."""
        return any(
            o.kind == "inside" and (o.row, o.output) == key
            for row, mine in enumerate(self.loop.operands)
            if row not in members
            for o in mine
        )

    def _type(self, operand: Operand) -> Any:
        return self.loop.rows[operand.row].outvars[operand.output].aval.dtype


def _slot(operand: Operand) -> Any:
    """Equal for operands that are the same in every turn."""
    return operand.row, operand.output, operand.lag, tuple(map(id, operand.atoms))


def _picked(stack: Any, turns: Sequence[int]) -> Any:
    """Some turns of a stack, in the order given."""
    if list(turns) == list(range(stack.shape[0])):
        return stack
    steps = set(np.diff(turns).tolist()) or {1}
    step = steps.pop()
    if not steps and step > 0:
        return lax.slice_in_dim(stack, turns[0], turns[-1] + 1, step)
    return jnp.take(stack, np.asarray(turns), axis=0)


def _end_to_end(stack: Any, axis: int) -> Any:
    """The members of a stack, first axis, put together along `axis` of each."""
    moved = jnp.moveaxis(stack, 0, axis)
    shape = list(stack.shape[1:])
    shape[axis] *= stack.shape[0]
    return lax.reshape(moved, shape)


def _concatenated(pieces: Sequence[Any], axis: int) -> Any:
    return pieces[0] if len(pieces) == 1 else lax.concatenate(pieces, axis)


def _windows(source: Any, slices: Sequence[Any]) -> Any:
    """What each of the equations `slices`, of one shape, cuts out of `source`; first axis along those."""
    strides = slices[0].params["strides"] or (1,) * source.ndim  # the same in all of them
    starts = np.array([e.params["start_indices"] for e in slices])
    moving = np.flatnonzero((starts != starts[0]).any(axis=0))
    if source.ndim > 1 and len(moving) == 1:
        return _along_axis(source, slices[0], strides, starts[:, moving[0]], int(moving[0]))
    places = np.arange(math.prod(source.shape)).reshape(source.shape)
    boxes = [(e.params["start_indices"], e.params["limit_indices"]) for e in slices]
    taken = np.stack([places[tuple(map(slice, low, high, strides))] for low, high in boxes])
    flat = taken.ravel()
    steps = set(np.diff(flat).tolist()) or {1}
    step = steps.pop()
    row = lax.reshape(jnp.asarray(source), (math.prod(source.shape),))
    if not steps and step > 0:
        picked = lax.slice(row, (int(flat[0]),), (int(flat[-1]) + 1,), (step,))
    else:
        picked = jnp.take(row, flat, axis=0)
    return lax.reshape(picked, taken.shape)


def _along_axis(source: Any, first: Any, strides: Sequence[int], starts: np.ndarray, axis: int) -> Any:
    """Windows like that of the slice `first` that begin at `starts` along `axis`, and alike along all others.

    No index for each number: of a batch, laid out row by row, that would be a constant as large as the data.
    """
    low, high = list(first.params["start_indices"]), list(first.params["limit_indices"])
    each = list(strides)
    width = first.outvars[0].aval.shape[axis]
    low[axis], high[axis], each[axis] = 0, source.shape[axis], 1
    whole = lax.slice(jnp.asarray(source), low, high, each)
    step = int(starts[1] - starts[0])
    if width == 1 and step and (np.diff(starts) == step).all():
        ends = sorted((int(starts[0]), int(starts[-1])))
        picked = lax.slice_in_dim(whole, ends[0], ends[1] + 1, abs(step), axis)
        picked = picked if step > 0 else lax.rev(picked, (axis,))
        return lax.expand_dims(jnp.moveaxis(picked, axis, 0), (axis + 1,))
    places = starts[:, None] + strides[axis] * np.arange(width)
    return jnp.moveaxis(jnp.take(whole, places, axis=axis), axis, 0)
