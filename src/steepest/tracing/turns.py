"""Finding the turns of a Python loop in the list of equations it left: where they begin, and what each reads of which.

The turns do the same, so that a period is found in the list; what the operations of one turn read tells which of them
go round in a circle (strongly connected components: Tarjan 1972).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, NamedTuple

import jax.extend.core as jex
import numpy as np

# Fewer turns are no loop worth finding: what lies around them costs as much.
FEWEST_TURNS = 8
# Distances between like equations that are tried as the length of a turn, those that cover most first.
PERIODS = 48
# Rows of 1, 2, 4, ... equations are compared, this many lengths of them: rows shorter than a stage, of which a turn has
# several alike, do not tell the turn.
DOUBLINGS = 11
# A loop whose edges do not fit is tried again without them at most this often.
TRIMS = 8

# Operations that add to what went before.
SUMS = frozenset({"add", "sub", "add_any"})


class Operand(NamedTuple):
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
class Loop:
    """`turns` turns of `period` equations each, from equation `start` on; `operands` of each of them."""

    start: int
    period: int
    turns: int
    rows: tuple[Any, ...]
    operands: tuple[tuple[Operand, ...], ...]

    @property
    def end(self) -> int:
        """The first equation after it."""
        return self.start + self.period * self.turns


def loops_in(closed: Any) -> list[Loop]:
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
        loop = _fitted(equations, made, start, period, turns)
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
    equations: Sequence[Any], made: dict[Any, int], start: int, period: int, turns: int
) -> Loop | None:
    """The loop in a stretch that repeats, less the edges that only look like it; None where none is left."""
    end = start + period * turns
    for _ in range(TRIMS):
        turns = (end - start) // period
        if turns < FEWEST_TURNS:
            return None
        read = _read(equations, made, start, period, turns)
        if isinstance(read, Loop):
            return read
        if read < start + 2 * period:
            start = read + 1
        else:
            end = read
    return None


def _read(equations: Sequence[Any], made: dict[Any, int], start: int, period: int, turns: int) -> Loop | int:
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
                mine.append(Operand("same", atoms[:1]))
                if isinstance(atom, jex.Var) and start <= made.get(atom, -1) < end:
                    wrong = min(wrong, made[atom])
                continue
            places = [-1 if isinstance(a, jex.Literal) else made.get(a, -1) for a in atoms]
            if not start <= places[-1] < end:
                mine.append(Operand("varying", atoms))
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
            mine.append(Operand("inside", atoms[:lag], source, output, lag))
        if picks_elsewhere(members) and mine[0].kind != "same":
            wrong = min(wrong, start + row)
        operands.append(tuple(mine))
    if wrong < end:
        return wrong
    return Loop(start, period, turns, tuple(equations[start : start + period]), tuple(operands))


def _is_same(atoms: Sequence[Any]) -> bool:
    first = atoms[0]
    if isinstance(first, jex.Literal):
        value = np.asarray(first.val).tobytes()
        return all(isinstance(a, jex.Literal) and np.asarray(a.val).tobytes() == value for a in atoms)
    return all(a is first for a in atoms)


def picks_elsewhere(members: Sequence[Any]) -> bool:
    """Whether slices begin elsewhere in each turn."""
    return (
        members[0].primitive.name == "slice"
        and len({member.params["start_indices"] for member in members}) > 1
    )


def circles(loop: Loop) -> list[list[int]]:
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


def goes_round(loop: Loop, rows: Sequence[int]) -> bool:
    """Whether these rows need what they made in an earlier turn, or each other."""
    members = set(rows)
    return any(o.kind == "inside" and o.row in members for row in rows for o in loop.operands[row])


def is_worth_it(loop: Loop) -> bool:
    """Whether it goes round in a circle, or is about arrays; alike numbers side by side are rolled up elsewhere."""
    if any(
        eqn.primitive.name not in SUMS
        for rows in circles(loop)
        if goes_round(loop, rows)
        for eqn in (loop.rows[r] for r in rows)
    ):
        return True
    return any(math.prod(var.aval.shape) > 1 for eqn in loop.rows for var in eqn.outvars)
