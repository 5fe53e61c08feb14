"""Interval arithmetic over a jaxpr, for many boxes at once: what a function cannot leave while its arguments stay in.

Every result is widened outwards past its rounding, so that the true values lie within (Moore, Kearfott & Cloud,
"Introduction to Interval Analysis", 2009, chapters 3 and 5). An interval is a pair of arrays, lowest and highest, of
shape (boxes, *shape of the variable); constants have one box.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.extend.core as jex
import numpy as np

from ..numerics import EPS
from ..tracing.passes import inline
from ..tracing.primitives import NoRule, evaluate_equation

Array = np.ndarray
Interval = tuple[Array, Array]

# NumPy's elementary functions are right to a few units in the last place; four times as many are allowed for.
FUNCTION_ROUNDING = 8 * EPS

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
SHAPED = frozenset({"reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "dot_general"})

# Operations that do something else to whole numbers, such as dividing without a rest or turning bits over.
OF_REALS = frozenset({"div", "and", "or", "not"})

# Operations whose value may jump; of their slope nothing follows for the value.
JUMPING = frozenset({"select_n", "sign", "floor", "ceil", "round", "lt", "le", "gt", "ge", "eq", "ne", "rem"})


class NoInterval(Exception):
    """The cost holds an operation that no interval rule is known for; the message names it."""


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
        self.jumps = any(equation.primitive.name in JUMPING for equation in self.closed.jaxpr.eqns)
        jaxpr = self.closed.jaxpr
        # What does not depend on the parameters is computed once, as the cost itself computes it.
        known = dict(zip(jaxpr.constvars, map(np.asarray, self.closed.consts), strict=True))
        self.equations, self.places = [], {}
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
            if name not in MOVING and name not in RULES:
                raise NoInterval(f"no interval rule is known for the operation {name!r}")
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
        self.known = {var: _constant(value) for var, value in known.items()}
        self.numbers = sum(_numbers_of(equation) for equation in self.equations)

    def __call__(self, lower: Array, upper: Array) -> Interval:
        """Bounds (boxes, *shape) on the result over the boxes between `lower` and `upper`, each (boxes, n).

        Where the function has no value it counts for nothing: √ of [-1, 4] is [0, 2], and √ of [-4, -1] begins at +∞.
        """
        low, high, _ = self.with_doubt(lower, upper)
        return low, high

    def with_doubt(self, lower: Array, upper: Array) -> tuple[Array, Array, Array]:
        """The same, and a mask (boxes,) of those in which the function may have no value, or be infinite, somewhere."""
        jaxpr = self.closed.jaxpr
        doubt, void = np.zeros(len(lower), dtype=bool), np.zeros(len(lower), dtype=bool)
        found: dict[Any, Interval] = {**self.known, jaxpr.invars[0]: (lower, upper)}

        def of(atom: Any) -> Interval:
            return _constant(atom.val) if isinstance(atom, jex.Literal) else found[atom]

        with np.errstate(all="ignore"):
            for equation in self.equations:
                operands = [of(atom) for atom in equation.invars]
                name = equation.primitive.name
                if name in MOVING:
                    moving = 1 if name in PICKING else len(operands)
                    results = _moved(self.places[equation.outvars[0]], operands[:moving])
                else:
                    if name not in SHAPED:
                        operands = _of_one_rank(operands)
                    results = [RULES[name](equation, *operands)]
                if name in ("sqrt", "rsqrt"):
                    doubt |= _any(operands[0][0] < 0.0)
                if name in ("sqrt", "rsqrt", "log") and not self.jumps:
                    # No value at all, which nothing that follows can mend as long as it chooses between no cases.
                    void |= _any(operands[0][1] < 0.0)
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
            doubt | void,
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


def _constant(value: Any) -> Interval:
    array = np.asarray(value, dtype=np.float64)[None]
    # What is not a number may be anything.
    return np.where(np.isnan(array), -np.inf, array), np.where(np.isnan(array), np.inf, array)


def _out(low: Array, high: Array) -> Interval:
    """One unit outwards: enough for what is rounded correctly."""
    return np.nextafter(low, -np.inf), np.nextafter(high, np.inf)


def _wide(low: Array, high: Array) -> Interval:
    """As far outwards as an elementary function may err."""
    return _out(low - FUNCTION_ROUNDING * np.abs(low), high + FUNCTION_ROUNDING * np.abs(high))


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


def _product(a: Interval, b: Interval) -> Interval:
    ends = [x * y for x in a for y in b]
    ends = [
        np.where(np.isnan(end), 0.0, end) for end in ends
    ]  # zero times infinity: zero is what the other end is
    low = np.minimum(np.minimum(ends[0], ends[1]), np.minimum(ends[2], ends[3]))
    high = np.maximum(np.maximum(ends[0], ends[1]), np.maximum(ends[2], ends[3]))
    return _out(low, high)


def _inverse(a: Interval) -> Interval:
    low, high = a
    crosses = (low <= 0.0) & (high >= 0.0)
    return _out(np.where(crosses, -np.inf, 1.0 / high), np.where(crosses, np.inf, 1.0 / low))


def _power(a: Interval, k: int) -> Interval:
    if k < 0:
        return _inverse(_power(a, -k))
    if k == 0:
        return np.ones_like(a[0]), np.ones_like(a[1])
    low, high = a[0] ** k, a[1] ** k
    if k % 2 == 0:
        low, high = np.minimum(low, high), np.maximum(low, high)
        low = np.where((a[0] <= 0.0) & (a[1] >= 0.0), 0.0, low)
        found = _wide(low, high)
        return np.maximum(found[0], 0.0), found[1]
    return _wide(low, high)


def _pow(equation: Any, a: Interval, b: Interval) -> Interval:
    exponent = b[0].reshape(-1)
    if (
        exponent.size == 1
        and np.array_equal(*b)
        and float(exponent[0]).is_integer()
        and abs(exponent[0]) < 64
    ):
        return _power(a, int(exponent[0]))
    # exp(b·log a), where a is positive; elsewhere nothing is known.
    found = _exponential(_product(b, _logarithm(a)))
    return np.where(a[0] > 0.0, found[0], -np.inf), np.where(a[0] > 0.0, found[1], np.inf)


def _exponential(a: Interval) -> Interval:
    low, high = _wide(np.exp(a[0]), np.exp(a[1]))
    return np.maximum(low, 0.0), high


def _logarithm(a: Interval) -> Interval:
    low, high = _wide(np.log(np.maximum(a[0], 0.0)), np.log(np.maximum(a[1], 0.0)))
    # The logarithm errs absolutely next to one.
    return low - FUNCTION_ROUNDING, high + FUNCTION_ROUNDING


def _rising(function: Callable[[Array], Array], lowest: float = -np.inf, highest: float = np.inf) -> Any:
    def rule(equation: Any, a: Interval) -> Interval:
        low, high = _wide(function(a[0]), function(a[1]))
        return np.maximum(low, lowest), np.minimum(high, highest)

    return rule


def _cosine(a: Interval, shift: float) -> Interval:
    """cos(a - shift·π/2): where a highest or lowest place may lie within, it counts as within."""
    low, high = a
    function = np.cos if shift == 0.0 else np.sin
    ends = function(low), function(high)
    found = _wide(np.minimum(*ends), np.maximum(*ends))
    # Highest at 2kπ + shift·π/2, lowest half a turn on; both ends of the count are widened past its rounding.
    turns_low, turns_high = low / (2 * np.pi) - shift / 4, high / (2 * np.pi) - shift / 4
    slack = 4 * EPS * (1.0 + np.maximum(np.abs(turns_low), np.abs(turns_high)))
    far = ~(np.maximum(np.abs(turns_low), np.abs(turns_high)) < 1e12)
    top = np.floor(turns_high + slack) >= np.ceil(turns_low - slack)
    bottom = np.floor(turns_high - 0.5 + slack) >= np.ceil(turns_low - 0.5 - slack)
    return (
        np.where(bottom | far, -1.0, np.maximum(found[0], -1.0)),
        np.where(top | far, 1.0, np.minimum(found[1], 1.0)),
    )


def _tangent(equation: Any, a: Interval) -> Interval:
    slack = 1e-12 * (1.0 + np.maximum(np.abs(a[0]), np.abs(a[1])))
    same = np.floor(a[0] / np.pi + 0.5 - slack) == np.floor(a[1] / np.pi + 0.5 + slack)
    low, high = _wide(np.tan(a[0]), np.tan(a[1]))
    return np.where(same, low, -np.inf), np.where(same, high, np.inf)


def _even(function: Callable[[Array], Array], lowest: float) -> Any:
    """A function that rises away from zero on both sides, from `lowest`."""

    def rule(equation: Any, a: Interval) -> Interval:
        near = np.where((a[0] <= 0.0) & (a[1] >= 0.0), 0.0, np.minimum(np.abs(a[0]), np.abs(a[1])))
        far = np.maximum(np.abs(a[0]), np.abs(a[1]))
        low, high = _wide(function(near), function(far))
        return np.maximum(low, lowest), high

    return rule


def _sum(equation: Any, a: Interval) -> Interval:
    axes = tuple(axis + 1 for axis in equation.params["axes"])
    count = math.prod(a[0].shape[axis] for axis in axes)
    low, high = a[0].sum(axis=axes), a[1].sum(axis=axes)
    # Whatever the order, a sum of `count` terms errs by less than this (Higham, "Accuracy and Stability", eq. 4.4).
    return _out(
        low - count * EPS * np.abs(a[0]).sum(axis=axes), high + count * EPS * np.abs(a[1]).sum(axis=axes)
    )


def _dot(equation: Any, a: Interval, b: Interval) -> Interval:
    (contract_a, contract_b), (batch_a, batch_b) = equation.params["dimension_numbers"]

    def arranged(
        interval: Interval, batch: Any, contract: Any, first: bool
    ) -> tuple[Interval, tuple[int, ...]]:
        shape = interval[0].shape[1:]
        rest = [i for i in range(len(shape)) if i not in (*batch, *contract)]
        order = [*batch, *rest, *contract] if first else [*batch, *contract, *rest]
        sizes = [math.prod(shape[i] for i in group) for group in (batch, rest, contract)]
        new = (sizes[0], sizes[1], sizes[2]) if first else (sizes[0], sizes[2], sizes[1])
        moved = tuple(
            side.transpose(0, *(i + 1 for i in order)).reshape(len(side), *new) for side in interval
        )
        return (moved[0], moved[1]), tuple(shape[i] for i in rest)

    A, rest_a = arranged(a, batch_a, contract_a, True)
    B, rest_b = arranged(b, batch_b, contract_b, False)
    terms = _product(
        (A[0][..., :, :, None], A[1][..., :, :, None]), (B[0][..., None, :, :], B[1][..., None, :, :])
    )
    count = terms[0].shape[3]
    low = terms[0].sum(axis=3) - count * EPS * np.abs(terms[0]).sum(axis=3)
    high = terms[1].sum(axis=3) + count * EPS * np.abs(terms[1]).sum(axis=3)
    shape = (len(low), *(a[0].shape[1:][i] for i in batch_a), *rest_a, *rest_b)
    return _out(low.reshape(shape), high.reshape(shape))


def _products(equation: Any, a: Interval) -> Interval:
    axes = tuple(axis + 1 for axis in equation.params["axes"])
    rest = [i for i in range(1, a[0].ndim) if i not in axes]
    sides = [side.transpose(0, *rest, *axes) for side in a]
    shape = sides[0].shape[: 1 + len(rest)]
    low, high = (side.reshape(*shape, -1) for side in sides)
    total = np.ones(shape), np.ones(shape)
    for k in range(low.shape[-1]):
        total = _product(total, (low[..., k], high[..., k]))
    return total


def _compared(certain: Callable[..., Array], possible: Callable[..., Array]) -> Any:
    """A comparison: [1, 1] where it holds for all values, [0, 0] for none, [0, 1] where it depends."""

    def rule(equation: Any, a: Interval, b: Interval) -> Interval:
        return certain(a, b).astype(np.float64), possible(a, b).astype(np.float64)

    return rule


def _chosen(equation: Any, which: Interval, *cases: Interval) -> Interval:
    """Each case that may be chosen, and all of them where several may."""
    shape = np.broadcast_shapes(*(case[0].shape[1:] for case in cases))
    low, high = np.full((1, *shape), np.inf), np.full((1, *shape), -np.inf)
    for k, case in enumerate(cases):
        may = (which[0] <= k) & (k <= which[1])
        low = np.minimum(low, np.where(may, case[0], np.inf))
        high = np.maximum(high, np.where(may, case[1], -np.inf))
    return low, high


def _converted(equation: Any, a: Interval) -> Interval:
    new, old = np.dtype(equation.params["new_dtype"]), equation.invars[0].aval.dtype
    if new.kind == "b" and old.kind != "b":
        return _differ(equation, a, (np.zeros_like(a[0]), np.zeros_like(a[1])))
    if new == np.float64 or new.kind == "b" or (old.kind in "bi" and new.kind in "iu"):
        return a
    if new.kind == "f":
        raise NoInterval(f"the cost computes in {new}, and intervals in double precision")
    raise NoInterval(f"the cost turns numbers into {new}")


# Whether two numbers differ.
_differ = _compared(
    lambda a, b: (a[0] > b[1]) | (b[0] > a[1]),
    lambda a, b: ~((a[0] == a[1]) & (b[0] == b[1]) & (a[0] == b[0])),
)


def _divided(equation: Any, a: Interval, b: Interval) -> Interval:
    low, high = _product(a, _inverse(b))
    crosses = (b[0] <= 0.0) & (b[1] >= 0.0)
    return np.where(crosses, -np.inf, low), np.where(crosses, np.inf, high)


# One row for each operation: equation, intervals → interval.
RULES: dict[str, Callable[..., Interval]] = {
    "add": lambda e, a, b: _out(a[0] + b[0], a[1] + b[1]),
    "add_any": lambda e, a, b: _out(a[0] + b[0], a[1] + b[1]),
    "sub": lambda e, a, b: _out(a[0] - b[1], a[1] - b[0]),
    "mul": lambda e, a, b: _power(a, 2) if e.invars[0] is e.invars[1] else _product(a, b),
    "div": _divided,
    "neg": lambda e, a: (-a[1], -a[0]),
    "integer_pow": lambda e, a: _power(a, e.params["y"]),
    "square": lambda e, a: _power(a, 2),
    "pow": _pow,
    "sqrt": lambda e, a: _wide(np.sqrt(np.maximum(a[0], 0.0)), np.sqrt(np.maximum(a[1], 0.0))),
    "rsqrt": lambda e, a: _inverse(_wide(np.sqrt(np.maximum(a[0], 0.0)), np.sqrt(np.maximum(a[1], 0.0)))),
    "cbrt": _rising(np.cbrt),
    "exp": lambda e, a: _exponential(a),
    "exp2": _rising(np.exp2, 0.0),
    "expm1": _rising(np.expm1, -1.0),
    "log": lambda e, a: _logarithm(a),
    "log1p": _rising(np.log1p),
    "tanh": _rising(np.tanh, -1.0, 1.0),
    "atan": _rising(np.arctan),
    "asinh": _rising(np.arcsinh),
    "sinh": _rising(np.sinh),
    "logistic": _rising(lambda x: 1.0 / (1.0 + np.exp(-x)), 0.0, 1.0),
    "cosh": _even(np.cosh, 1.0),
    "sin": lambda e, a: _cosine(a, 1.0),
    "cos": lambda e, a: _cosine(a, 0.0),
    "tan": _tangent,
    "abs": _even(np.abs, 0.0),
    "max": lambda e, a, b: (np.maximum(a[0], b[0]), np.maximum(a[1], b[1])),
    "min": lambda e, a, b: (np.minimum(a[0], b[0]), np.minimum(a[1], b[1])),
    "sign": lambda e, a: (np.sign(a[0]), np.sign(a[1])),
    "floor": lambda e, a: (np.floor(a[0]), np.floor(a[1])),
    "ceil": lambda e, a: (np.ceil(a[0]), np.ceil(a[1])),
    "stop_gradient": lambda e, a: a,
    "reduce_sum": _sum,
    "reduce_max": lambda e, a: tuple(s.max(axis=tuple(i + 1 for i in e.params["axes"])) for s in a),
    "reduce_min": lambda e, a: tuple(s.min(axis=tuple(i + 1 for i in e.params["axes"])) for s in a),
    "reduce_prod": _products,
    "dot_general": _dot,
    "clamp": lambda e, low, a, high: tuple(
        np.minimum(np.maximum(a[k], low[k]), high[k]) for k in (0, 1)
    ),
    "lt": _compared(lambda a, b: a[1] < b[0], lambda a, b: a[0] < b[1]),
    "le": _compared(lambda a, b: a[1] <= b[0], lambda a, b: a[0] <= b[1]),
    "gt": _compared(lambda a, b: a[0] > b[1], lambda a, b: a[1] > b[0]),
    "ge": _compared(lambda a, b: a[0] >= b[1], lambda a, b: a[1] >= b[0]),
    "eq": _compared(
        lambda a, b: (a[0] == a[1]) & (b[0] == b[1]) & (a[0] == b[0]), lambda a, b: (a[0] <= b[1]) & (b[0] <= a[1])
    ),
    "ne": _differ,
    "and": lambda e, a, b: (np.minimum(a[0], b[0]), np.minimum(a[1], b[1])),
    "or": lambda e, a, b: (np.maximum(a[0], b[0]), np.maximum(a[1], b[1])),
    "not": lambda e, a: (1.0 - a[1], 1.0 - a[0]),
    "select_n": _chosen,
    "convert_element_type": _converted,
}  # fmt: skip
