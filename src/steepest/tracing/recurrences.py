"""Python loops in which each turn needs the one before it, recorded turn by turn, become loops again.

A Kalman filter, the steps of an ODE or the variance of a GARCH model leaves ten to a hundred operations for each
turn. A thousand turns are more than XLA compiles in a minute, and every pass of ours looks at each of them. The turns
do the same, so that a period is found in the list of equations; what the operations of one turn read tells which of
them go round in a circle (strongly connected components: Tarjan 1972). Each circle becomes a `lax.scan`; everything
else is computed for all turns at once, and sums over the turns are sums of arrays, so that what is known of a sum
(its squares, say) stays known.

Values agree to rounding: sums are added in another order.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, NamedTuple

import jax
import jax.core
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..numerics import double_precision
from .passes import fold_constants, inline

# Shorter records are evaluated, and compiled, as they are.
FEWEST_EQUATIONS = 300
# Fewer turns are no loop worth finding: what lies around them costs as much.
FEWEST_TURNS = 8
# What is found must shorten the record by this factor, or it stays as it was.
SHORTER = 0.5
# Distances between like equations that are tried as the length of a turn, those that cover most first.
PERIODS = 48
# Rows of 1, 2, 4, ... equations are compared, this many lengths of them: rows shorter than a stage, of which a turn has
# several alike, do not tell the turn.
DOUBLINGS = 11
# A loop whose edges do not fit is tried again without them at most this often.
TRIMS = 8

_SUMS = frozenset({"add", "sub", "add_any"})


def with_loops(recorded: Any) -> Any:
    """The recorded closed jaxpr with recurrences as loops; itself where there are none worth the name.

    >>> def cost(x):
    ...     s = x[0]
    ...     for turn in range(200):
    ...         s = s + 0.1 * (x[1] - s**2)
    ...     return s
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((2,), np.float64))
    >>> len(jaxpr.eqns) > 800, len(with_loops(jaxpr).eqns) < 20
    (True, True)
    """
    if len(recorded.jaxpr.eqns) < FEWEST_EQUATIONS:
        return recorded
    closed = _reads_forwarded(fold_constants(inline(recorded, keep_derivatives=True)))
    loops = _found(closed)
    left = len(closed.jaxpr.eqns) - sum((loop.turns - 1) * loop.period for loop in loops)
    if left > SHORTER * len(closed.jaxpr.eqns) or not any(map(_is_worth_it, loops)):
        return recorded
    evaluate = _Evaluation(closed, loops)
    with double_precision():
        return jax.make_jaxpr(evaluate)(*[jax.ShapeDtypeStruct(a.shape, a.dtype) for a in closed.in_avals])


# Reading back what was just written.


def _reads_forwarded(closed: Any) -> Any:
    """Reads of array elements that were assigned before, `a[i] = v … a[i]`, read the value itself."""
    producer: dict[Any, Any] = {}
    names: dict[Any, Any] = {}
    equations = []
    for equation in closed.jaxpr.eqns:
        invars = [a if isinstance(a, jex.Literal) else names.get(a, a) for a in equation.invars]
        equation = equation.replace(invars=invars)
        if equation.primitive.name == "slice" and equation.params["strides"] is None:
            found = _written(equation, producer)
            if found is not invars[0] and found.aval.shape == equation.outvars[0].aval.shape:
                names[equation.outvars[0]] = found
                continue
            equation = equation.replace(invars=[found])
        elif equation.primitive.name == "dynamic_update_slice":
            producer[equation.outvars[0]] = equation
        equations.append(equation)
    outvars = [a if isinstance(a, jex.Literal) else names.get(a, a) for a in closed.jaxpr.outvars]
    return jex.ClosedJaxpr(closed.jaxpr.replace(eqns=equations, outvars=outvars), closed.consts)


def _written(equation: Any, producer: dict[Any, Any]) -> Any:
    """What a slice reads: the very value that was written there, or the array before writes elsewhere."""
    source = equation.invars[0]
    low, high = equation.params["start_indices"], equation.params["limit_indices"]
    while (write := producer.get(source)) is not None:
        target, update, *places = write.invars
        if not all(isinstance(place, jex.Literal) for place in places):
            return source
        first = [
            min(max(int(p.val), 0), n - m)
            for p, n, m in zip(places, target.aval.shape, update.aval.shape, strict=True)
        ]
        last = [a + m for a, m in zip(first, update.aval.shape, strict=True)]
        if first == list(low) and last == list(high) and update.aval.dtype == target.aval.dtype:
            return update
        if all(a < d and c < b for a, b, c, d in zip(first, last, low, high, strict=True)):
            return source
        source = target
    return source


# Finding the turns.


class _Operand(NamedTuple):
    """What one operand of an equation of the loop is, turn by turn.

    `kind`: "same" in all turns (`atoms` holds it), "varying" from outside the loop (one atom for each turn), or
    "inside": output `output` of the loop's equation `row`, `lag` turns ago, and `atoms` before that.
    """

    kind: str
    atoms: tuple[Any, ...]
    row: int = 0
    output: int = 0
    lag: int = 0


@dataclass(frozen=True)
class _Loop:
    """`turns` turns of `period` equations each, from equation `start` on; `operands` of each of them."""

    start: int
    period: int
    turns: int
    rows: tuple[Any, ...]
    operands: tuple[tuple[_Operand, ...], ...]

    @property
    def end(self) -> int:
        return self.start + self.period * self.turns


def _found(closed: Any) -> list[_Loop]:
    """Loops in order, none overlapping another."""
    equations = closed.jaxpr.eqns
    known = set(closed.jaxpr.constvars)
    kinds = _kinds(equations, known)
    made = {var: place for place, eqn in enumerate(equations) for var in eqn.outvars}
    taken = np.zeros(len(equations) + 1, dtype=bool)
    loops = []
    for start, period, turns in _periods(kinds):
        if taken[start : start + period * turns].any():
            continue
        loop = _fitted(equations, made, known, start, period, turns)
        if loop is not None:
            taken[loop.start : loop.end] = True
            loops.append(loop)
    return sorted(loops, key=lambda loop: loop.start)


def _kinds(equations: Sequence[Any], known: set[Any]) -> np.ndarray:
    """A number for each equation, equal for those that do the same to operands of the same shapes."""
    numbers: dict[Any, int] = {}
    told: dict[int, tuple[Any, Any]] = {}

    def parameter(value: Any) -> Any:
        if value is None or isinstance(value, (int, float, str, np.dtype)):
            return value
        if isinstance(value, tuple) and all(isinstance(item, (int, tuple)) for item in value):
            return value
        if id(value) not in told:
            # The text of a jaxpr leaves out the constants inside it.
            told[id(value)] = value, (str(value), tuple(map(id, _constants_in(value))))
        return told[id(value)][1]

    kinds = np.empty(len(equations), dtype=np.int64)
    for place, equation in enumerate(equations):
        params = dict(equation.params)
        if equation.primitive.name == "slice":
            pairs = zip(params.pop("start_indices"), params.pop("limit_indices"), strict=True)
            params["sizes"] = tuple(b - a for a, b in pairs)
        kind: Any = (
            equation.primitive.name,
            tuple((key, parameter(value)) for key, value in sorted(params.items())),
            tuple(
                (isinstance(a, jex.Literal) or a in known, a.aval.shape, a.aval.dtype)
                for a in equation.invars
            ),
            tuple((var.aval.shape, var.aval.dtype) for var in equation.outvars),
        )
        kinds[place] = numbers.setdefault(place if equation.effects else kind, len(numbers))
    return kinds


def _constants_in(value: Any) -> Iterator[Any]:
    """The constants of the jaxprs in a parameter of an equation, however deep inside."""
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from _constants_in(item)
    elif isinstance(value, jex.ClosedJaxpr):
        yield from value.consts
        yield from _constants_in(value.jaxpr)
    elif isinstance(value, jex.Jaxpr):
        for equation in value.eqns:
            yield from (a.val for a in equation.invars if isinstance(a, jex.Literal) and a.aval.shape)
            for inner in equation.params.values():
                yield from _constants_in(inner)


def _periods(kinds: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """(start, period, turns) of stretches that repeat, those that would save most first."""
    gaps = _gaps(kinds)
    covering = sorted(gaps, key=lambda gap: (-gap * gaps[gap], gap))[:PERIODS]
    found = []
    for period in covering:
        same = np.concatenate([[False], kinds[period:] == kinds[:-period], [False]])
        edges = np.flatnonzero(same[1:] != same[:-1])
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            turns = (end - start + period) // period
            if turns >= FEWEST_TURNS:
                found.append(((1 - turns) * period, period, start, turns))
    for _, period, start, turns in sorted(found):
        yield start, period, turns


def _gaps(kinds: np.ndarray) -> Counter[int]:
    """How often an equation is that far from the next of its kind, or a row of equations from the next alike.

    A turn of four alike stages, as Runge-Kutta's, holds every kind several times; only rows of equations longer than a
    stage are a whole turn apart.
    """
    gaps: Counter[int] = Counter()
    rows = kinds
    for doubling in range(DOUBLINGS):
        order = np.argsort(rows, kind="stable")
        like = rows[order[1:]] == rows[order[:-1]]
        if not like.any():
            break
        gaps |= Counter((order[1:] - order[:-1])[like].tolist())
        width = 1 << doubling
        if len(rows) <= width:
            break
        _, rows = np.unique(rows[:-width] * len(kinds) + rows[width:], return_inverse=True)
    return gaps


def _fitted(
    equations: Sequence[Any], made: dict[Any, int], known: set[Any], start: int, period: int, turns: int
) -> _Loop | None:
    """The loop in a stretch that repeats, less the edges that only look like it; None where none is left."""
    end = start + period * turns
    for _ in range(TRIMS):
        turns = (end - start) // period
        if turns < FEWEST_TURNS:
            return None
        read = _read(equations, made, known, start, period, turns)
        if isinstance(read, _Loop):
            return read
        if read < start + 2 * period:
            start = read + 1
        else:
            end = read
    return None


def _read(
    equations: Sequence[Any], made: dict[Any, int], known: set[Any], start: int, period: int, turns: int
) -> _Loop | int:
    """The loop with its operands, or the place of the first equation that does otherwise than the last turn."""
    end = start + period * turns
    last = end - period
    operands = []
    wrong = end
    for row in range(period):
        members = equations[start + row : end : period]
        mine = []
        for k, atom in enumerate(members[-1].invars):
            atoms = tuple(member.invars[k] for member in members)
            if _is_same(atoms):
                mine.append(_Operand("same", atoms[:1]))
                if isinstance(atom, jex.Var) and start <= made.get(atom, -1) < end:
                    wrong = min(wrong, made[atom])
                continue
            places = [-1 if isinstance(a, jex.Literal) else made.get(a, -1) for a in atoms]
            if not start <= places[-1] < end:
                mine.append(_Operand("varying", atoms))
                for turn, place in enumerate(places):
                    if start <= place < end:
                        wrong = min(wrong, start + turn * period + row)
                        break
                continue
            lag, source = divmod(last - places[-1] + period - 1, period)
            source = period - 1 - source
            output = equations[places[-1]].outvars.index(atom)
            for turn, (place, a) in enumerate(zip(places, atoms, strict=True)):
                expected = start + (turn - lag) * period + source
                fits = place == expected if turn >= lag else not start <= place < end
                if fits and turn >= lag:
                    fits = equations[place].outvars[output] is a
                if not fits:
                    wrong = min(wrong, start + turn * period + row)
                    break
            mine.append(_Operand("inside", atoms[:lag], source, output, lag))
        if _picks_elsewhere(members) and mine[0].kind != "same":
            wrong = min(wrong, start + row)
        operands.append(tuple(mine))
    if wrong < end:
        return wrong
    return _Loop(start, period, turns, tuple(equations[start : start + period]), tuple(operands))


def _is_same(atoms: Sequence[Any]) -> bool:
    first = atoms[0]
    if isinstance(first, jex.Literal):
        value = np.asarray(first.val).tobytes()
        return all(isinstance(a, jex.Literal) and np.asarray(a.val).tobytes() == value for a in atoms)
    return all(a is first for a in atoms)


def _picks_elsewhere(members: Sequence[Any]) -> bool:
    """Whether slices begin elsewhere in each turn."""
    return (
        members[0].primitive.name == "slice"
        and len({member.params["start_indices"] for member in members}) > 1
    )


def _circles(loop: _Loop) -> list[list[int]]:
    """Rows of the loop in an order in which they can be computed; those that need each other together."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    needs = [(row, o.row) for row, mine in enumerate(loop.operands) for o in mine if o.kind == "inside"]
    readers, read = np.array(needs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_matrix((np.ones(len(needs)), (readers, read)), shape=(loop.period,) * 2)
    _, label = connected_components(graph, connection="strong")
    groups: dict[int, list[int]] = defaultdict(list)
    for row in range(loop.period):
        groups[int(label[row])].append(row)
    before: dict[int, set[int]] = {key: set() for key in groups}
    for reader, source in needs:
        if label[reader] != label[source]:
            before[int(label[reader])].add(int(label[source]))
    return [groups[key] for key in TopologicalSorter(before).static_order()]


def _goes_round(loop: _Loop, rows: Sequence[int]) -> bool:
    members = set(rows)
    return any(o.kind == "inside" and o.row in members for row in rows for o in loop.operands[row])


def _is_worth_it(loop: _Loop) -> bool:
    """Whether it goes round in a circle, or is about arrays; alike numbers side by side are rolled up elsewhere."""
    if any(
        eqn.primitive.name not in _SUMS
        for rows in _circles(loop)
        if _goes_round(loop, rows)
        for eqn in (loop.rows[r] for r in rows)
    ):
        return True
    return any(math.prod(var.aval.shape) > 1 for eqn in loop.rows for var in eqn.outvars)


# Computing them.


class _Turns(NamedTuple):
    """An equation's result in every turn, first axis `turns`; or the one value it has in all of them."""

    value: Any
    stacked: bool


class _Evaluation:
    """The function that a jaxpr with these loops computes, to be recorded again."""

    def __init__(self, closed: Any, loops: Sequence[_Loop]) -> None:
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

    def __init__(self, evaluation: _Evaluation, loop: _Loop) -> None:
        self.evaluation = evaluation
        self.loop = loop
        self.turns: dict[tuple[int, int], _Turns] = {}
        self.members = [
            evaluation.jaxpr.eqns[loop.start + row : loop.end : loop.period] for row in range(loop.period)
        ]
        self.inside = Counter((o.row, o.output) for mine in loop.operands for o in mine if o.kind == "inside")

    def run(self) -> None:
        for rows in _circles(self.loop):
            if not _goes_round(self.loop, rows):
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

    def _operand(self, operand: _Operand) -> _Turns:
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
        if _picks_elsewhere(self.members[row]):
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
        terms: list[tuple[int, _Operand, float]] = []
        begun: Any = None
        for row in rows:
            equation = self.loop.rows[row]
            mine = self.loop.operands[row]
            if equation.primitive.name not in _SUMS or self.inside[row, 0] != 1:
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
        slots: dict[Any, tuple[_Operand, int]] = {}
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
        kept = [key for key in self._outputs(rows) if self._is_wanted(key, members)]

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

        _, stacks = lax.scan(turn, begun, given, length=self.loop.turns)
        for key, stack in zip(kept, stacks, strict=True):
            self.turns[key] = _Turns(stack, True)

    def _outputs(self, rows: Sequence[int]) -> Iterator[tuple[int, int]]:
        for row in rows:
            for output in range(len(self.loop.rows[row].outvars)):
                yield row, output

    def _is_wanted(self, key: tuple[int, int], members: set[int]) -> bool:
        """Whether anything outside the circle reads a result."""
        for row, mine in enumerate(self.loop.operands):
            if row not in members and any(o.kind == "inside" and (o.row, o.output) == key for o in mine):
                return True
        return any(self._is_read_outside(member.outvars[key[1]]) for member in self.members[key[0]])

    def _type(self, operand: _Operand) -> Any:
        return self.loop.rows[operand.row].outvars[operand.output].aval.dtype


def _slot(operand: _Operand) -> Any:
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
    places = np.arange(math.prod(source.shape)).reshape(source.shape)
    strides = slices[0].params["strides"] or (1,) * places.ndim  # the same in all of them
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
