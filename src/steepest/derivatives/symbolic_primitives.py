"""What each jaxpr primitive means in SymPy: rules over NumPy object arrays whose entries are formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..errors import TracingError
from ..tracing.source import user_line
from ..tracing.vocabulary import FUNCTIONS, nearest_integer

# Entries computed in all before a formula is given up: more takes minutes and cannot be read by anybody.
MAX_ENTRIES = 20_000
# A float this close to a small fraction is shown as that fraction: x/3, sqrt(x); 0.1 stays 0.1.
SIMPLE_DENOMINATORS = (2, 3, 4, 6)
LARGEST_SIMPLE_NUMERATOR = 100
# Integers above this are rounded in double precision already, so their last digits would be invented.
LARGEST_WHOLE = 1e15
# Fractions with more bits than this are shown as floats: nobody reads the digits of 9**300.
EXACT_BITS = 128
# Formulas with more operations than this are not searched for shifts that cancel (it takes seconds).
CANCEL_OPERATIONS = 300

Formulas = Any  # NumPy object array, entries are SymPy expressions or SymPy Booleans


def number(value: Any) -> Any:
    """The SymPy number for a float64, integer or Boolean, in the form people read: 2 for 2.0, 1/3, 0.1, pi.

    >>> number(2.0), number(0.5), number(3.141592653589793)
    (2, 1/2, pi)
    """
    import sympy as sp

    if isinstance(value, bool | np.bool_):
        return sp.true if value else sp.false
    if isinstance(value, int | np.integer):
        return sp.Integer(int(value))
    value = float(value)
    if math.isnan(value):
        return sp.nan
    if math.isinf(value):
        return sp.oo if value > 0 else -sp.oo
    if value.is_integer() and abs(value) <= LARGEST_WHOLE:
        return sp.Integer(int(value))
    fraction = Fraction(value).limit_denominator(max(SIMPLE_DENOMINATORS))
    simple = (
        fraction.denominator in SIMPLE_DENOMINATORS and abs(fraction.numerator) <= LARGEST_SIMPLE_NUMERATOR
    )
    if simple and float(fraction) == value:
        return sp.Rational(fraction.numerator, fraction.denominator)
    if value == math.e:
        return sp.E
    turns = Fraction(value / math.pi).limit_denominator(max(SIMPLE_DENOMINATORS))
    if 0 < abs(turns) <= 4 and float(turns) * math.pi == value:
        return sp.Rational(turns.numerator, turns.denominator) * sp.pi
    return sp.Float(value)


def formulas_of(jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Formulas]) -> list[Formulas]:
    """The outputs of an open jaxpr as arrays of formulas.

    Raises `TracingError` for an operation without a symbol, an index that depends on a parameter, and for
    formulas of more than `MAX_ENTRIES` entries.
    """
    reader = _Reader()
    try:
        return [reader.released(output) for output in reader.read(jaxpr, consts, inputs)]
    except _NoSymbol as reason:
        raise TracingError(str(reason)) from None


class _Reader:
    """One walk through a jaxpr. `entries`: how many were computed. `held`: values shielded by stop_gradient."""

    def __init__(self) -> None:
        self.entries = 0
        self.held: list[tuple[Any, Any]] = []

    def read(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Formulas]) -> list[Formulas]:
        known: dict[Any, Formulas] = {}

        def value(atom: Any) -> Formulas:
            return self.constants(atom.val) if hasattr(atom, "val") else known[atom]

        for variable, const in zip(jaxpr.constvars, consts, strict=True):
            known[variable] = self.constants(const)
        known.update(zip(jaxpr.invars, inputs, strict=True))
        for equation in jaxpr.eqns:
            self.spend(sum(math.prod(getattr(variable.aval, "shape", ())) for variable in equation.outvars))
            try:
                outputs = self.apply(equation, [value(atom) for atom in equation.invars])
            except _NoSymbol as reason:
                place = user_line(equation)
                raise (reason if place is None else TracingError(f"{place}: {reason}")) from None
            except TracingError:
                raise
            except TypeError as error:  # SymPy compares only real numbers
                raise TracingError(f"no formula for `{equation.primitive.name}`: {error}") from error
            for variable, output in zip(equation.outvars, outputs, strict=True):
                known[variable] = np.asarray(output, dtype=object).reshape(variable.aval.shape)
        return [value(atom) for atom in jaxpr.outvars]

    def apply(self, equation: Any, inputs: list[Formulas]) -> Sequence[Formulas]:
        name, params = equation.primitive.name, equation.params
        if name in WHOLE_NUMBERS and equation.outvars[0].aval.dtype.kind in "iu":
            return [_each(WHOLE_NUMBERS[name], *inputs)]
        if name in ELEMENTWISE:
            return [_each(ELEMENTWISE[name], *inputs)]
        if name in ARRAYS:
            outputs = ARRAYS[name](params, *inputs)
            return outputs if isinstance(outputs, list) else [outputs]
        if name in _CONTROL:
            return _CONTROL[name](self, params, *inputs)
        if (body := _body(params)) is not None:
            known = KNOWN_CALLS.get(_name_of(params, body[0]))
            if known is not None and _means(body, known):
                return [_each(known, *inputs)]
            return self.read(*body, inputs)
        raise _NoSymbol(
            f"the operation `{name}` has no symbol, so there is no formula; slope and gradient still work"
        )

    def constants(self, values: Any) -> Formulas:
        values = np.asarray(values)
        if values.dtype.kind == "c":
            raise _NoSymbol(
                "complex numbers have no formula here: split the cost into real and imaginary part"
            )
        self.spend(values.size)
        return _filled(values.shape, (number(value) for value in values.ravel()))

    def spend(self, entries: int) -> None:
        self.entries += entries
        if self.entries > MAX_ENTRIES:
            raise _NoSymbol(
                f"this formula would have more than {MAX_ENTRIES:,} terms, which nobody could read: "
                "ask for it with fewer parameters or fewer data"
            )

    def hold(self, values: Formulas) -> Formulas:
        """Stand-ins for the values under a stop_gradient.

        They are mostly shifts that keep exponentials small and cancel in exact arithmetic, as the maximum in
        a log-sum-exp; `released` finds out.
        """
        import sympy as sp

        def stand_in(value: Any) -> Any:
            if not getattr(value, "free_symbols", None) or not isinstance(value, sp.Expr):
                return value
            self.held.append((sp.Dummy("shift", real=True), value))
            return self.held[-1][0]

        return _filled(values.shape, (stand_in(value) for value in values.ravel()))

    def released(self, outputs: Formulas) -> Formulas:
        """The outputs with every stand-in removed: 0 where the formula does not depend on it, else its value."""
        import sympy as sp

        def release(formula: Any) -> Any:
            for shift, value in reversed(self.held):
                if shift not in formula.free_symbols:
                    continue
                small = isinstance(formula, sp.Expr) and formula.count_ops() <= CANCEL_OPERATIONS
                cancels = small and sp.simplify(sp.diff(formula, shift)) == 0
                formula = formula.subs(shift, 0 if cancels else value)
            return formula

        return _filled(outputs.shape, (release(formula) for formula in outputs.ravel()))


class _NoSymbol(Exception):
    """Why an equation has no formula; the innermost equation that knows its line adds it."""


def _body(params: dict[str, Any]) -> tuple[Any, Sequence[Any]] | None:
    """The open jaxpr and the constants of a call (jit, checkpoint, custom derivative rules), if it is one."""
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        if key in params:
            body = params[key]
            return (body.jaxpr, body.consts) if hasattr(body, "consts") else (body, ())
    return None


def _name_of(params: dict[str, Any], jaxpr: Any) -> str:
    named = getattr(getattr(jaxpr, "debug_info", None), "func_name", "")
    return params.get("name") or named


def _means(body: tuple[Any, Sequence[Any]], known: Callable[..., Any]) -> bool:
    """Whether a call by a known name computes what the name says, by trial: users have functions too.

    A body that cannot be read is JAX's own (it looks at bits), and believed.
    """
    import sympy as sp

    jaxpr, consts = body
    if any(variable.aval.dtype.kind != "f" for variable in jaxpr.invars) or len(jaxpr.outvars) != 1:
        return False
    for first, second in ((0.75, 2.0), (-1.25, 0.5), (3.0, -1.75)):
        point = [sp.Float(value) for value in (first, second)][: len(jaxpr.invars)]
        inputs = [_filled(v.aval.shape, [x] * v.aval.size) for v, x in zip(jaxpr.invars, point, strict=True)]
        try:
            found = _Reader().read(jaxpr, consts, inputs)[0].ravel()[0]
        except (TracingError, _NoSymbol):
            return True
        if abs(sp.N(found - known(sp, *point))) > 1e-12:
            return False
    return True


def _filled(shape: tuple[int, ...], entries: Iterator[Any] | Sequence[Any]) -> Formulas:
    array = np.empty(math.prod(shape), dtype=object)
    for index, entry in enumerate(entries):
        array[index] = entry
    return array.reshape(shape)


def _each(function: Callable[..., Any], *inputs: Formulas) -> Formulas:
    import sympy as sp

    inputs = tuple(np.broadcast_arrays(*inputs))
    rows = zip(*(array.ravel() for array in inputs), strict=True)
    return _filled(inputs[0].shape, (function(sp, *row) for row in rows))


# --- one entry at a time --------------------------------------------------------------------------------


def _vocabulary(name: str) -> Callable[..., Any]:
    return lambda sp, *arguments: FUNCTIONS[name].symbolic(*arguments)


def _power(sp: Any, base: Any, exponent: Any) -> Any:
    if base.is_Rational and exponent.is_Integer:
        bits = max(base.p.bit_length(), base.q.bit_length()) * abs(int(exponent))
        return base**exponent if bits <= EXACT_BITS else sp.Float(base) ** exponent
    return base**exponent


def _truncated(sp: Any, x: Any) -> Any:
    return sp.floor(x) if x.is_nonnegative else sp.sign(x) * sp.floor(sp.Abs(x))


def _equal(sp: Any, a: Any, b: Any) -> Any:
    return sp.Equivalent(a, b) if _is_condition(sp, a) else sp.Eq(a, b)


def _different(sp: Any, a: Any, b: Any) -> Any:
    return sp.Xor(a, b) if _is_condition(sp, a) else sp.Ne(a, b)


def _is_condition(sp: Any, x: Any) -> bool:
    return isinstance(x, sp.logic.boolalg.Boolean) and not isinstance(x, sp.Symbol)


def _logical(name: str) -> Callable[..., Any]:
    def apply(sp: Any, *arguments: Any) -> Any:
        if not all(_is_condition(sp, argument) for argument in arguments):
            raise _NoSymbol("operations on the bits of integers have no symbol")
        return getattr(sp, name)(*arguments)

    return apply


def _selected(sp: Any, which: Any, *cases: Any) -> Any:
    if which.is_Integer:
        return cases[int(which)]
    if isinstance(which, sp.Piecewise) and all(value.is_Integer for value, _ in which.args):
        return sp.Piecewise(*((cases[int(value)], condition) for value, condition in which.args))
    if not _is_condition(sp, which):
        raise _NoSymbol("a choice among several cases by a computed number has no symbol")
    if cases[0] == cases[1] or which == sp.false:
        return cases[0]
    return cases[1] if which == sp.true else sp.Piecewise((cases[1], which), (cases[0], True))


ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{
        name: _vocabulary(name)
        for name in (
            "exp expm1 log log1p sqrt cbrt square sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh "
            "abs sign floor ceil min max erf erfc lgamma"
        ).split()
    },
    "add": lambda sp, a, b: a + b,
    "add_any": lambda sp, a, b: a + b,
    "sub": lambda sp, a, b: a - b,
    "mul": lambda sp, a, b: a * b,
    "div": lambda sp, a, b: a / b,
    "neg": lambda sp, a: -a,
    "pow": _power,
    "rem": lambda sp, a, b: a - b * _truncated(sp, a / b),
    "rsqrt": lambda sp, x: 1 / sp.sqrt(x),
    "exp2": lambda sp, x: 2**x,
    "logistic": _vocabulary("expit"),
    "digamma": lambda sp, x: sp.polygamma(0, x),
    "polygamma": lambda sp, order, x: sp.polygamma(order, x),
    "erf_inv": lambda sp, x: sp.erfinv(x),
    "clamp": lambda sp, low, x, high: sp.Min(sp.Max(x, low), high),
    "lt": lambda sp, a, b: sp.Lt(a, b),
    "le": lambda sp, a, b: sp.Le(a, b),
    "gt": lambda sp, a, b: sp.Gt(a, b),
    "ge": lambda sp, a, b: sp.Ge(a, b),
    "lt_to": lambda sp, a, b: sp.Lt(a, b),
    "le_to": lambda sp, a, b: sp.Le(a, b),
    "eq": _equal,
    "ne": _different,
    "and": _logical("And"),
    "or": _logical("Or"),
    "xor": _logical("Xor"),
    "not": _logical("Not"),
    "is_finite": lambda sp, x: sp.true,  # a formula speaks of real numbers
    "select_n": _selected,
    "copy": lambda sp, x: x,
    "copy_p": lambda sp, x: x,
    "reduce_precision": lambda sp, x: x,
    "real": lambda sp, x: x,
}

# Primitives that mean something else for integers, and those that exist for integers only.
WHOLE_NUMBERS: dict[str, Callable[..., Any]] = {
    "div": lambda sp, a, b: _truncated(sp, a / b),
    "shift_right_logical": lambda sp, a, b: sp.floor(a / 2**b),
    "shift_right_arithmetic": lambda sp, a, b: sp.floor(a / 2**b),
    "shift_left": lambda sp, a, b: a * 2**b,
}

# Functions that JAX spells out to guard against overflow; their guards would bury the formula.
KNOWN_CALLS: dict[str, Callable[..., Any]] = {
    "hypot": _vocabulary("hypot"),
    "logaddexp": _vocabulary("logaddexp"),
    "remainder": lambda sp, a, b: sp.Mod(a, b),
    "sinc": lambda sp, x: sp.sinc(sp.pi * x),
    # JAX has Γ(x) = gammasgn(x)·exp(lgamma(x)); SymPy's loggamma carries the sign in its imaginary part.
    "gammasgn": lambda sp, x: sp.Integer(1),
}


# --- whole arrays ---------------------------------------------------------------------------------------


def _converted(params: dict[str, Any], x: Formulas) -> Formulas:
    kind = np.dtype(params["new_dtype"]).kind

    def convert(sp: Any, entry: Any) -> Any:
        if _is_condition(sp, entry):
            return entry if kind == "b" else sp.Piecewise((1, entry), (0, True))
        if kind == "b":
            return sp.Ne(entry, 0)
        if kind == "c":
            raise _NoSymbol("complex numbers have no formula here")
        return _truncated(sp, entry) if kind in "iu" and not entry.is_integer else entry

    return _each(convert, x)


def _rounded(params: dict[str, Any], x: Formulas) -> Formulas:
    if int(params["rounding_method"]) == 1:
        return _each(nearest_integer, x)
    return _each(lambda sp, entry: sp.sign(entry) * sp.floor(sp.Abs(entry) + sp.Rational(1, 2)), x)


def _integer_power(params: dict[str, Any], x: Formulas) -> Formulas:
    return _each(lambda sp, entry: _power(sp, entry, sp.Integer(int(params["y"]))), x)


def _reduction(name: str) -> Callable[..., Formulas]:
    """Entries along `axes` combined by the SymPy function `name`, all at once."""

    def reduce(params: dict[str, Any], x: Formulas) -> Formulas:
        import sympy as sp

        axes = tuple(params["axes"])
        kept = [axis for axis in range(x.ndim) if axis not in axes]
        shape = tuple(x.shape[axis] for axis in kept)
        rows = x.transpose(*kept, *axes).reshape(math.prod(shape), -1)
        return _filled(shape, (getattr(sp, name)(*row) for row in rows))

    return reduce


def _first_true(params: dict[str, Any], x: Formulas) -> Formulas:
    """Where the first condition holds along one axis (argmax of Booleans, as in np.piecewise and np.select)."""
    import sympy as sp

    (axis,) = params["axes"]
    lines = np.moveaxis(x, axis, -1)
    if not all(_is_condition(sp, entry) for entry in x.ravel()):
        raise _NoSymbol("the place of the largest entry has no symbol")
    rows = lines.reshape(-1, lines.shape[-1])
    cases = (
        sp.Piecewise(*((sp.Integer(k), c) for k, c in enumerate(row)), (sp.Integer(0), True)) for row in rows
    )
    return _filled(lines.shape[:-1], cases)


def _running(name: str) -> Callable[..., Formulas]:
    def accumulate(params: dict[str, Any], x: Formulas) -> Formulas:
        import sympy as sp

        axis = params["axis"]
        lines = np.moveaxis(x, axis, -1)
        lines = lines[..., ::-1] if params["reverse"] else lines
        result = np.empty(lines.shape, dtype=object)
        for index in np.ndindex(*lines.shape):
            result[index] = getattr(sp, name)(*lines[index[:-1]][: index[-1] + 1])
        return np.moveaxis(result[..., ::-1] if params["reverse"] else result, -1, axis)

    return accumulate


def _contracted(params: dict[str, Any], a: Formulas, b: Formulas) -> Formulas:
    """Sums of products; the result has the batch axes, then the free axes of `a`, then those of `b`."""
    import sympy as sp

    (a_sum, b_sum), (a_batch, b_batch) = params["dimension_numbers"]
    a, a_free = _grouped(a, a_batch, a_sum)
    b, b_free = _grouped(b, b_batch, b_sum)
    batch = a.shape[: len(a_batch)]
    rows_a = a.reshape(math.prod(batch), math.prod(a_free), -1)
    rows_b = b.reshape(math.prod(batch), math.prod(b_free), -1)
    if rows_a.size * rows_b.shape[1] > MAX_ENTRIES:
        raise _NoSymbol(
            f"this product of arrays has more than {MAX_ENTRIES:,} terms, which nobody could read"
        )
    entries = (
        sp.Add(*(x * y for x, y in zip(row_a, row_b, strict=True)))
        for k in range(len(rows_a))
        for row_a in rows_a[k]
        for row_b in rows_b[k]
    )
    return _filled((*batch, *a_free, *b_free), entries)


def _grouped(x: Formulas, batch: Sequence[int], summed: Sequence[int]) -> tuple[Formulas, tuple[int, ...]]:
    free = [axis for axis in range(x.ndim) if axis not in batch and axis not in summed]
    return x.transpose(*batch, *free, *summed), tuple(x.shape[axis] for axis in free)


def _broadcast(params: dict[str, Any], x: Formulas) -> Formulas:
    shape = [1] * len(params["shape"])
    for axis, size in zip(params["broadcast_dimensions"], x.shape, strict=True):
        shape[axis] = size
    return np.broadcast_to(x.reshape(shape), params["shape"])


def _padded(params: dict[str, Any], x: Formulas, filling: Formulas) -> Formulas:
    for axis, (low, high, interior) in enumerate(params["padding_config"]):
        lines = np.moveaxis(x, axis, 0)
        spread = np.empty((max(len(lines) + (len(lines) - 1) * interior, 0), *lines.shape[1:]), dtype=object)
        spread[...] = filling[()]
        spread[:: interior + 1] = lines
        before, after = (np.empty((max(size, 0), *lines.shape[1:]), dtype=object) for size in (low, high))
        before[...] = after[...] = filling[()]
        joined = np.concatenate([before, spread, after])
        x = np.moveaxis(joined[max(-low, 0) : len(joined) - max(-high, 0)], 0, axis)
    return x


def _counted(params: dict[str, Any]) -> Formulas:
    import sympy as sp

    shape, axis = params["shape"], params["dimension"]
    return _filled(shape, (sp.Integer(index[axis]) for index in np.ndindex(*shape)))


def _whole(entry: Any) -> int:
    if not entry.is_Integer:
        raise _NoSymbol("an index depends on a parameter, which has no symbol")
    return int(entry)


def _gathered(params: dict[str, Any], x: Formulas, indices: Formulas) -> Formulas:
    """XLA's gather at known places: windows of `slice_sizes`, one for each index vector."""
    numbers, sizes = params["dimension_numbers"], params["slice_sizes"]
    collapsed = tuple(sorted((*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)))
    batch = indices.shape[:-1]
    window = tuple(size for axis, size in enumerate(sizes) if axis not in collapsed)
    result = np.empty((*batch, *window), dtype=object)
    for place in np.ndindex(*batch):
        start = _start(
            x.ndim, indices[place], numbers.start_index_map, numbers.operand_batching_dims,
            numbers.start_indices_batching_dims, place,
        )  # fmt: skip
        inside = all(0 <= at <= full - size for at, full, size in zip(start, x.shape, sizes, strict=True))
        if not inside and "fill" in str(params["mode"]).lower():
            result[place] = number(math.nan)
            continue
        start = [min(max(at, 0), full - size) for at, full, size in zip(start, x.shape, sizes, strict=True)]
        piece = x[tuple(slice(at, at + size) for at, size in zip(start, sizes, strict=True))]
        result[place] = piece.reshape(window) if window else piece.reshape(-1)[0]
    return np.moveaxis(result, range(len(batch), result.ndim), numbers.offset_dims)


def _scattered(combine: Callable[[Any, Any], Any]) -> Callable[..., Formulas]:
    """XLA's scatter at known places; `combine(old, new)` says what is written."""

    def scatter(params: dict[str, Any], x: Formulas, indices: Formulas, updates: Formulas) -> Formulas:
        numbers = params["dimension_numbers"]
        left_out = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
        windowed = [axis for axis in range(x.ndim) if axis not in left_out]
        updates = (
            np.moveaxis(updates, numbers.update_window_dims, range(-len(windowed), 0))
            if windowed
            else updates
        )
        batch = indices.shape[:-1]
        result = np.array(x, dtype=object)
        for place in np.ndindex(*batch):
            start = _start(
                x.ndim, indices[place], numbers.scatter_dims_to_operand_dims, numbers.operand_batching_dims,
                numbers.scatter_indices_batching_dims, place,
            )  # fmt: skip
            for offset in np.ndindex(*updates.shape[len(batch) :]):
                at = list(start)
                for axis, step in zip(windowed, offset, strict=True):
                    at[axis] += step
                if all(0 <= position < size for position, size in zip(at, x.shape, strict=True)):
                    result[tuple(at)] = combine(result[tuple(at)], updates[(*place, *offset)])
        return result

    return scatter


def _start(
    rank: int,
    index: Formulas,
    axes: Sequence[int],
    operand_batch: Sequence[int],
    index_batch: Sequence[int],
    place: tuple[int, ...],
) -> list[int]:
    """Where the window for one index vector begins."""
    start = [0] * rank
    for axis, entry in zip(axes, index, strict=True):
        start[axis] = _whole(entry)
    for axis, batch_axis in zip(operand_batch, index_batch, strict=True):
        start[axis] = place[batch_axis]
    return start


def _cut_out(params: dict[str, Any], x: Formulas, *starts: Formulas) -> Formulas:
    sizes = params["slice_sizes"]
    corner = [min(max(_whole(s[()]), 0), n - k) for s, n, k in zip(starts, x.shape, sizes, strict=True)]
    return x[tuple(slice(at, at + size) for at, size in zip(corner, sizes, strict=True))]


def _put_in(params: dict[str, Any], x: Formulas, update: Formulas, *starts: Formulas) -> Formulas:
    corner = [
        min(max(_whole(s[()]), 0), n - k) for s, n, k in zip(starts, x.shape, update.shape, strict=True)
    ]
    result = np.array(x, dtype=object)
    result[tuple(slice(at, at + size) for at, size in zip(corner, update.shape, strict=True))] = update
    return result


def _convolved(params: dict[str, Any], x: Formulas, kernel: Formulas) -> Formulas:
    """A sliding sum of products along one axis, what np.convolve becomes."""
    import sympy as sp

    plain = x.ndim == 3 and x.shape[:2] == kernel.shape[:2] == (1, 1)
    ones = (params["window_strides"], params["lhs_dilation"], params["rhs_dilation"])
    if not plain or any(tuple(value) != (1,) for value in ones):
        raise _NoSymbol("convolutions of more than one axis or channel have no symbol")
    padded = _padded({"padding_config": [(*params["padding"][0], 0)]}, x[0, 0], _filled((), [sp.Integer(0)]))
    weights = kernel[0, 0]
    width = len(weights)
    entries = [sp.Add(*(padded[k : k + width] * weights)) for k in range(len(padded) - width + 1)]
    return _filled((1, 1, len(entries)), entries)


def _sliced(params: dict[str, Any], x: Formulas) -> Formulas:
    strides = params["strides"] or (1,) * x.ndim
    bounds = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
    return x[tuple(slice(start, limit, stride) for start, limit, stride in bounds)]


def _split(params: dict[str, Any], x: Formulas) -> list[Formulas]:
    return np.split(x, np.cumsum(params["sizes"])[:-1], axis=params["axis"])


ARRAYS: dict[str, Callable[..., Any]] = {
    "convert_element_type": _converted,
    "round": _rounded,
    "integer_pow": _integer_power,
    "reduce_sum": _reduction("Add"),
    "reduce_prod": _reduction("Mul"),
    "reduce_max": _reduction("Max"),
    "reduce_min": _reduction("Min"),
    "reduce_and": _reduction("And"),
    "reduce_or": _reduction("Or"),
    "argmax": _first_true,
    "cumsum": _running("Add"),
    "cumprod": _running("Mul"),
    "cummax": _running("Max"),
    "cummin": _running("Min"),
    "dot_general": _contracted,
    "conv_general_dilated": _convolved,
    "broadcast_in_dim": _broadcast,
    "reshape": lambda params, x: x.reshape(params["new_sizes"]),
    "squeeze": lambda params, x: np.squeeze(x, axis=tuple(params["dimensions"])),
    "expand_dims": lambda params, x: np.expand_dims(x, axis=tuple(params["dimensions"])),
    "transpose": lambda params, x: np.transpose(x, params["permutation"]),
    "rev": lambda params, x: np.flip(x, axis=tuple(params["dimensions"])),
    "tile": lambda params, x: np.tile(x, params["reps"]),
    "slice": _sliced,
    "split": _split,
    "concatenate": lambda params, *xs: np.concatenate(xs, axis=params["dimension"]),
    "stack": lambda params, *xs: np.stack(xs, axis=params["axis"]),
    "pad": _padded,
    "iota": _counted,
    "gather": _gathered,
    "scatter": _scattered(lambda old, new: new),
    "scatter-add": _scattered(lambda old, new: old + new),
    "scatter_add": _scattered(lambda old, new: old + new),
    "scatter_mul": _scattered(lambda old, new: old * new),
    "dynamic_slice": _cut_out,
    "dynamic_update_slice": _put_in,
    "optimization_barrier": lambda params, *xs: list(xs),
}


# --- control flow ---------------------------------------------------------------------------------------


def _held(reader: _Reader, params: dict[str, Any], *inputs: Formulas) -> list[Formulas]:
    return [reader.hold(x) for x in inputs]


def _branched(reader: _Reader, params: dict[str, Any], index: Formulas, *inputs: Formulas) -> list[Formulas]:
    import sympy as sp

    branches = params["branches"]
    which = index[()]
    if which.is_Integer:
        chosen = branches[min(max(int(which), 0), len(branches) - 1)]
        return reader.read(chosen.jaxpr, chosen.consts, inputs)
    condition = _condition_behind(sp, which)
    if condition is None or len(branches) != 2:
        raise _NoSymbol("a choice among several branches by a computed number has no symbol")
    no, yes = (reader.read(branch.jaxpr, branch.consts, inputs) for branch in branches)
    which = _filled((), [condition])
    return [_each(_selected, which, a, b) for a, b in zip(no, yes, strict=True)]


def _condition_behind(sp: Any, which: Any) -> Any:
    """The condition that was converted to 0 or 1, None if it is another number."""
    if _is_condition(sp, which):
        return which
    cases: Sequence[Any] = which.args if isinstance(which, sp.Piecewise) else ()
    return cases[0][1] if [case[0] for case in cases] == [1, 0] else None


def _unrolled(reader: _Reader, params: dict[str, Any], *inputs: Formulas) -> list[Formulas]:
    """A loop of known length, written out."""
    body, length = params["jaxpr"], params["length"]
    fixed, carried = params["num_consts"], params["num_carry"]
    consts, carry, sequences = (
        inputs[:fixed],
        list(inputs[fixed : fixed + carried]),
        inputs[fixed + carried :],
    )
    rows: list[list[Formulas]] = [[] for _ in body.jaxpr.outvars[carried:]]
    for k in reversed(range(length)) if params["reverse"] else range(length):
        reader.spend(1)
        entries = [_filled(x.shape[1:], x[k].ravel() if x.ndim > 1 else [x[k]]) for x in sequences]
        outputs = reader.read(body.jaxpr, body.consts, [*consts, *carry, *entries])
        carry = outputs[:carried]
        for row, output in zip(rows, outputs[carried:], strict=True):
            row.append(output)
    ordered = [row[::-1] if params["reverse"] else row for row in rows]
    return [*carry, *(np.stack(row) for row in ordered)]


_CONTROL: dict[str, Callable[..., list[Formulas]]] = {
    "stop_gradient": _held,
    "cond": _branched,
    "scan": _unrolled,
}
