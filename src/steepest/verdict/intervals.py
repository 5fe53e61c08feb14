"""Interval arithmetic over a jaxpr, for many boxes at once: what a function cannot leave while its arguments stay in.

Every result is widened outwards past its rounding, so that the true values lie within (Moore, Kearfott & Cloud,
"Introduction to Interval Analysis", 2009, chapters 3 and 5). What single operations make of intervals stands in
`interval_rules`; here they are led through the equations, and elements moved about, gathered and scattered.
"""

from __future__ import annotations

import math
from typing import Any

import jax.extend.core as jex
import numpy as np

from ..numerics import EPS
from ..tracing.passes import inline
from ..tracing.primitives import NoRule, evaluate_equation
from .interval_rules import RULES, Array, Interval, NoInterval, constant, in_one_piece, outwards

# Operations that only move elements about: their result is a choice among the elements of their operands.
MOVING = frozenset(
    {
        "reshape", "squeeze", "expand_dims", "broadcast_in_dim", "transpose", "slice", "rev", "copy", "copy_p",
        "concatenate", "pad", "gather", "dynamic_slice", "split",
    }
)  # fmt: skip

# Those of them that pick by indices, which follow their first operand.
PICKING = frozenset({"gather", "dynamic_slice"})

# Operations that look at the shapes of their operands.
SHAPED = frozenset(
    {
        "reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "dot_general", "sort", "cumsum", "cummax", "cummin",
        "reduce_and", "reduce_or",
    }
)  # fmt: skip

# Operations that do something else to whole numbers, such as dividing without a rest or turning bits over.
OF_REALS = frozenset({"div", "and", "or", "not"})

# Operations that choose: where they may go either way within a box, nothing follows for the value from its slope.
CHOOSING = frozenset(
    {"select_n", "sign", "floor", "ceil", "round", "rem", "lt", "le", "gt", "ge", "eq", "ne", "is_finite"}
)

# Those of them at which the value itself may jump; a comparison does nothing until something is chosen by it.
DECIDING = frozenset({"select_n", "sign", "floor", "ceil", "round", "convert_element_type"})

# Operations that make something of what has no value at all: comparisons, which do not hold for it, and sorting,
# which puts it last.
SEEING = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "is_finite", "convert_element_type", "sort"})

# Scatters with repeated targets are taken apart by adding one number at a time, up to so many.
MOST_SCATTERED = 2_000


class IntervalProgram:
    """A closed jaxpr of one argument (n,), evaluated on boxes; `numbers` are held for each of them.

    >>> import jax
    >>> with jax.enable_x64(True):
    ...     closed = jax.make_jaxpr(lambda x: x[0] * x[1])(jax.ShapeDtypeStruct((2,), np.float64))
    >>> low, high = IntervalProgram(closed)(np.array([[1.0, -2.0]]), np.array([[3.0, 5.0]]))
    >>> bool(low[0] <= -6.0 <= low[0] + 1e-14), bool(high[0] - 1e-14 <= 15.0 <= high[0])
    (True, True)
    """

    def __init__(self, closed: Any) -> None:
        self.closed = inline(closed, keep_derivatives=False)
        self.chooses = any(equation.primitive.name in CHOOSING for equation in self.closed.jaxpr.eqns)
        jaxpr = self.closed.jaxpr
        # What does not depend on the parameters is computed once, as the cost itself computes it.
        known = dict(zip(jaxpr.constvars, map(np.asarray, self.closed.consts), strict=True))
        self.equations: list[Any] = []
        self.places: dict[Any, list[Array]] = {}
        for equation in jaxpr.eqns:
            values = [
                atom.val if isinstance(atom, jex.Literal) else known.get(atom) for atom in equation.invars
            ]
            if not any(value is None for value in values):
                dtypes = [atom.aval.dtype for atom in equation.invars]
                arrays = [np.asarray(value, dtype) for value, dtype in zip(values, dtypes, strict=True)]
                try:
                    known.update(zip(equation.outvars, evaluate_equation(equation, arrays), strict=True))
                except NoRule as trouble:
                    raise NoInterval(str(trouble)) from trouble
                continue
            name = equation.primitive.name
            if name not in MOVING and name not in RULES and name != "scatter-add":
                raise NoInterval(f"no interval rule is known for the operation {name!r}")
            if name == "scatter-add":
                if any(value is not None for value in values[2:]) or values[1] is None:
                    raise NoInterval("the operation 'scatter-add' adds where a parameter says")
                self.places[equation.outvars[0]] = [_targets(equation, np.asarray(values[1]))]
            if name == "sort" and len(equation.invars) > 1:
                raise NoInterval("no interval rule is known for sorting one array by another")
            if name in OF_REALS and equation.invars[0].aval.dtype.kind in "iu":
                raise NoInterval(f"no interval rule is known for the operation {name!r} of whole numbers")
            if name in MOVING:
                picks = slice(1, None) if name in PICKING else slice(0, 0)
                if any(value is None for value in values[picks]):
                    raise NoInterval(f"the operation {name!r} picks by a parameter")
                indices = [
                    np.asarray(value, atom.aval.dtype)
                    for atom, value in zip(equation.invars[picks], values[picks], strict=True)
                ]
                self.places[equation.outvars[0]] = _places(equation, indices)
            self.equations.append(equation)
        self.sees = any(equation.primitive.name in SEEING for equation in self.equations)
        self.known = {var: constant(value) for var, value in known.items()}
        self.numbers = sum(_numbers_of(equation) for equation in self.equations)

    def __call__(self, lower: Array, upper: Array) -> Interval:
        """Bounds (boxes, *shape) on the result over the boxes between `lower` and `upper`, each (boxes, n).

        Where the function has no value it counts for nothing: √ of [-1, 4] is [0, 2], and √ of [-4, -1] begins at +∞.
        """
        low, high, _ = self.with_doubt(lower, upper)
        return low, high

    def with_doubt(self, lower: Array, upper: Array) -> tuple[Array, Array, Array]:
        """The same, and a mask (boxes,) of those in which the function may have no value, be infinite, or jump."""
        jaxpr = self.closed.jaxpr
        doubt, void, jumps = (np.zeros(len(lower), dtype=bool) for _ in range(3))
        found: dict[Any, Interval] = {**self.known, jaxpr.invars[0]: (lower, upper)}
        # Of each result that may have no value, the boxes where.
        lacking: dict[Any, Array] = {}

        def of(atom: Any) -> Interval:
            return constant(atom.val) if isinstance(atom, jex.Literal) else found[atom]

        with np.errstate(all="ignore"):
            for equation in self.equations:
                operands = [of(atom) for atom in equation.invars]
                name = equation.primitive.name
                if name in MOVING:
                    moving = 1 if name in PICKING else len(operands)
                    results = _moved(self.places[equation.outvars[0]], operands[:moving])
                elif name == "scatter-add":
                    results = [_added(self.places[equation.outvars[0]][0], operands[0], operands[2])]
                else:
                    if name not in SHAPED:
                        operands = _of_one_rank(operands)
                    results = [RULES[name](equation, *operands)]
                if self.sees:
                    lacks = _lacks(equation, operands, results, lacking, len(lower))
                    if name in SEEING and lacks.any():
                        doubt |= lacks
                        results = [_anything(one, lacks, equation.outvars[0].aval.dtype) for one in results]
                    elif lacks.any():
                        lacking.update(dict.fromkeys(equation.outvars, lacks))
                if name in ("sqrt", "rsqrt"):
                    doubt |= _any(operands[0][0] < 0.0)
                if name in ("sqrt", "rsqrt", "log") and not self.chooses:
                    # No value at all, which nothing that follows can mend as long as it chooses between no cases.
                    void |= _any(operands[0][1] < 0.0)
                if name in DECIDING:
                    low, high = operands[0] if name in ("select_n", "convert_element_type") else results[0]
                    jumps |= _any(low != high)
                elif name == "rem":
                    jumps |= _any(~in_one_piece(*operands))
                for var, (low, high) in zip(equation.outvars, results, strict=True):
                    doubt |= _any(~(np.isfinite(low) & np.isfinite(high)))
                    # What is not a number may be anything.
                    found[var] = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
            low, high = of(jaxpr.outvars[0])
        shape = (len(lower), *jaxpr.outvars[0].aval.shape)
        nothing = void.reshape(-1, *(1,) * (len(shape) - 1))
        return (
            np.where(nothing, np.inf, np.broadcast_to(low, shape)),
            np.broadcast_to(high, shape),
            doubt | void | jumps,
        )


def _numbers_of(equation: Any) -> int:
    """How many numbers the results of an equation hold for one box; of a matrix product, every product in its sums."""
    held = sum(math.prod(var.aval.shape) for var in equation.outvars)
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        held *= math.prod(equation.invars[0].aval.shape[i] for i in contracted)
    return held


def _of_one_rank(operands: list[Interval]) -> list[Interval]:
    """A number beside arrays stands for all their elements."""
    rank = max(low.ndim for low, _ in operands)
    return [
        (
            low.reshape(*low.shape, *(1,) * (rank - low.ndim)),
            high.reshape(*high.shape, *(1,) * (rank - high.ndim)),
        )
        for low, high in operands
    ]


def _any(mask: Array) -> Array:
    """Whether any element is true, box by box."""
    return np.asarray(mask.reshape(len(mask), -1).any(axis=1))


def _lacks(
    equation: Any, operands: list[Interval], results: list[Interval], lacking: dict[Any, Array], boxes: int
) -> Array:
    """Mask (boxes,) of those in which a result may have no value, by its operation or because an operand has none."""
    lacks = np.zeros(boxes, dtype=bool)
    for atom in equation.invars:
        if not isinstance(atom, jex.Literal) and atom in lacking:
            lacks |= lacking[atom]
    if equation.primitive.name in ("sqrt", "rsqrt", "log"):
        lacks |= _any(operands[0][0] < 0.0)
    elif equation.primitive.name == "rem":
        lacks |= _any((operands[1][0] <= 0.0) & (operands[1][1] >= 0.0))
    for low, high in results:
        lacks |= _any(np.isnan(low) | np.isnan(high))
    return lacks


def _anything(interval: Interval, boxes: Array, dtype: Any) -> Interval:
    """The same interval, but in the `boxes` of that mask whatever its type can hold."""
    here = boxes.reshape(-1, *(1,) * (interval[0].ndim - 1))
    least, most = (0.0, 1.0) if np.dtype(dtype).kind == "b" else (-np.inf, np.inf)
    return np.where(here, least, interval[0]), np.where(here, most, interval[1])


def _places(equation: Any, indices: list[Array]) -> list[Array]:
    """Where each element of the results comes from among all those of the operands, counted through.

    Found by moving their numbers about. `indices`: what a gather picks by; empty for the other operations.
    """
    moving = len(equation.invars) - len(indices)
    numbers, start = [], 0
    for atom in equation.invars[:moving]:
        size = math.prod(atom.aval.shape)
        numbers.append(np.arange(start, start + size, dtype=np.float64).reshape(atom.aval.shape))
        start += size
    return [np.asarray(found).astype(np.intp) for found in evaluate_equation(equation, [*numbers, *indices])]


def _moved(places: list[Array], operands: list[Interval]) -> list[Interval]:
    """Which element goes where is the same for every box."""
    boxes = max(len(low) for low, _ in operands)
    low, high = (
        np.concatenate(
            [np.broadcast_to(o[side], (boxes, *o[side].shape[1:])).reshape(boxes, -1) for o in operands], 1
        )
        for side in (0, 1)
    )
    return [(low[:, where], high[:, where]) for where in places]


def _targets(equation: Any, indices: Array) -> Array:
    """The element of the result that each update is added to, counted through; -1 for those that fall outside."""
    operand, updates = equation.invars[0].aval, equation.invars[2].aval
    nothing = np.zeros(operand.shape)

    def added(numbers: Array) -> Array:
        return np.asarray(
            evaluate_equation(equation, [nothing, indices, numbers.reshape(updates.shape)])[0]
        ).ravel()

    count = math.prod(updates.shape)
    targets = np.full(count, -1)
    if added(np.ones(count)).max(initial=0.0) <= 1.0:
        found = added(np.arange(1.0, count + 1)).astype(np.intp)
        targets[found[found > 0] - 1] = np.flatnonzero(found)
        return targets
    if count > MOST_SCATTERED:
        raise NoInterval("the operation 'scatter-add' adds too many numbers to the same places")
    for k in range(count):
        place = np.flatnonzero(added(np.eye(1, count, k)[0]))
        targets[k] = place[0] if place.size else -1
    return targets


def _added(targets: Array, a: Interval, updates: Interval) -> Interval:
    """Updates added where they belong; each sum errs as one of as many terms."""
    boxes = max(len(a[0]), len(updates[0]))
    shape = a[0].shape[1:]
    inside = targets >= 0
    terms = int(np.bincount(targets[inside]).max(initial=0)) + 1
    sides = []
    for side, sign in ((0, -1.0), (1, 1.0)):
        total = np.broadcast_to(a[side], (boxes, *shape)).reshape(boxes, -1).copy()
        size = np.abs(total)
        more = np.broadcast_to(updates[side], (boxes, *updates[side].shape[1:])).reshape(boxes, -1)[:, inside]
        for k, target in enumerate(targets[inside].tolist()):
            total[:, target] += more[:, k]
            size[:, target] += np.abs(more[:, k])
        sides.append((total + sign * terms * EPS * size).reshape(boxes, *shape))
    return outwards(sides[0], sides[1])
