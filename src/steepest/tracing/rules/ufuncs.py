"""Elementwise functions: NumPy's ufuncs as JAX's primitives, with NumPy's types and shapes.

A row records one ufunc on values that already have the types of NumPy's loop and shapes that broadcast as they
stand (equal, or scalar). Promotion and broadcasting are done here, so that the usual call is one primitive.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from .values import (
    Rule,
    Value,
    aligned,
    as_value,
    broadcast,
    broadcast_to,
    choose,
    constant,
    convert,
    dtype_of,
    is_traced,
    safe_sqrt,
    shape_of,
    unsupported,
    weak_type,
)

# Above this the rounding errors of repeated squaring are no longer far below 1e-12.
LARGEST_UNROLLED_POWER = 1024


def elementwise(ufunc: np.ufunc, record: Rule, aligns: bool = True) -> Rule:
    """The rule of a ufunc: NumPy chooses the types, shapes are aligned if `aligns`, `record` puts it onto JAX."""
    aligns = aligns and record is not _power
    loops: dict[tuple[Any, ...], tuple[np.dtype[Any], ...]] = {}

    def loop_of(values: tuple[Value, ...], signature: Any = None) -> tuple[np.dtype[Any], ...]:
        kinds = tuple(map(weak_type, values))
        found = None if signature else loops.get(kinds)
        if found is None:
            for value in values:
                dtype_of(value)  # refuses types without derivatives
            choice = {"signature": signature} if signature else {}
            found = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout), **choice)
            if any(dtype.char in "gGO" for dtype in found):
                found = tuple(np.dtype({"g": "d", "G": "D", "O": "d"}.get(d.char, d.char)) for d in found)
            if not signature:
                loops[kinds] = found
        return found

    def rule(*inputs: Any, **settings: Any) -> Any:
        values = tuple(map(as_value, inputs))
        if not any(map(is_traced, values)):
            with np.errstate(all="ignore"):
                return ufunc(*values, **settings)
        loop = loop_of(values, _signature(ufunc, settings) if settings else None)
        first, *rest = (_fit(value, dtype) for value, dtype in zip(values, loop, strict=False))
        if not rest:
            return record(first)
        shape = shape_of(first)
        if aligns and any(shape_of(value) != shape for value in rest):
            first, *rest = aligned(first, *rest)
        return record(first, *rest)

    rule.__name__ = ufunc.__name__
    rule.__doc__ = f"Record np.{ufunc.__name__}."
    return rule


def _fit(value: Value, dtype: np.dtype[Any]) -> Value:
    kind = type(value)
    if kind is float or kind is int or kind is bool or kind is complex:
        return dtype.type(value)
    return value if value.dtype == dtype else convert(value, dtype)


def _signature(ufunc: np.ufunc, settings: dict[str, Any]) -> Any:
    dtype = settings.pop("dtype", None)
    signature = settings.pop("signature", settings.pop("sig", None))
    for harmless in ("casting", "order", "subok"):
        settings.pop(harmless, None)
    unsupported(ufunc.__name__, **settings)
    if dtype is not None:
        return (None,) * ufunc.nin + (np.dtype(dtype),) * ufunc.nout
    return signature


# -- arithmetic ----------------------------------------------------------------------------------------------


def _is_bool(value: Value) -> bool:
    return bool(value.dtype == np.bool_)


def _is_float(value: Value) -> bool:
    return value.dtype.kind in "fc"


def _add(a: Value, b: Value) -> Value:
    return lax.bitwise_or(a, b) if _is_bool(a) else lax.add(a, b)


def _multiply(a: Value, b: Value) -> Value:
    return lax.bitwise_and(a, b) if _is_bool(a) else lax.mul(a, b)


def _scaled(factor: float) -> Rule:
    return lambda x: lax.mul(x, constant(factor, x))


def _power(base: Value, exponent: Value) -> Value:
    """`base ** exponent`; a constant whole exponent is multiplication, also exact for a base of zero.

    Takes shapes as they come: constant exponents are looked at before they are broadcast.
    """
    if is_traced(exponent):
        base, exponent = aligned(base, exponent)
        return lax.pow(base, exponent) if _is_float(base) else jnp.power(base, exponent)
    whole = whole_number(exponent)
    if shape_of(exponent) == ():
        if not _is_float(base) and exponent < 0:
            raise ValueError("Integers to negative integer powers are not allowed.")
        if whole is not None and abs(whole) <= LARGEST_UNROLLED_POWER and base.dtype != np.float16:
            return base if whole == 1 else lax.integer_pow(base, whole)
        if exponent == 0.5:
            return lax.sqrt(base)
    if not _is_float(base):
        return jnp.power(base, exponent)
    exponents = np.asarray(exponent)
    wide = np.broadcast_shapes(shape_of(base), exponents.shape)
    base = base if shape_of(base) in ((), wide) else broadcast_to(base, wide)
    if (
        base.dtype in (np.float64, np.complex128)
        and exponents.dtype.kind == "f"
        and np.all(exponents == np.rint(exponents))
        and np.all(np.abs(exponents) < 2**31)
    ):
        # JAX gives an integer power its derivative at a base of zero, where a float power would give NaN.
        exponents = exponents.astype(np.int64)
    return lax.pow(base, exponents if exponents.shape in ((), wide) else broadcast_to(exponents, wide))


def whole_number(value: Any) -> int | None:
    """The integer a scalar stands for, None if it is not one."""
    if np.ndim(value) != 0 or np.imag(value) != 0:
        return None
    real = float(np.real(value))
    return int(real) if math.isfinite(real) and real == int(real) else None


def _never_zero(value: Value) -> bool:
    return not is_traced(value) and bool(np.all(np.asarray(value) != 0))


def _remainder(a: Value, b: Value) -> Value:
    """Remainder with the sign of the divisor."""
    zero = constant(0, b)
    divisor = b if _is_float(b) or _never_zero(b) else choose(lax.eq(b, zero), constant(1, b), b)
    left = lax.rem(a, divisor)
    if b.dtype.kind != "u":
        wrong_side = lax.bitwise_and(lax.ne(left, zero), lax.ne(lax.lt(left, zero), lax.lt(b, zero)))
        left = choose(wrong_side, lax.add(left, divisor), left)
    return left if divisor is b else choose(lax.eq(b, zero), zero, left)


def _fmod(a: Value, b: Value) -> Value:
    if _is_float(b) or _never_zero(b):
        return lax.rem(a, b)
    zero = lax.eq(b, constant(0, b))
    return choose(zero, constant(0, b), lax.rem(a, choose(zero, constant(1, b), b)))


def _floor_divide(a: Value, b: Value) -> Value:
    """Quotient rounded down, by the algorithm NumPy takes from Python, exact where a / b would round up."""
    zero = constant(0, b)
    if not _is_float(b):
        divisor = b if _never_zero(b) else choose(lax.eq(b, zero), constant(1, b), b)
        quotient = lax.div(a, divisor)
        if b.dtype.kind != "u":
            left = lax.rem(a, divisor)
            below = lax.bitwise_and(lax.ne(left, zero), lax.ne(lax.lt(left, zero), lax.lt(b, zero)))
            quotient = lax.sub(quotient, lax.convert_element_type(below, b.dtype))
        return quotient if divisor is b else choose(lax.eq(b, zero), zero, quotient)
    quotient = lax.div(lax.sub(a, _remainder(a, b)), b)
    down = lax.floor(quotient)
    nearest = choose(
        lax.gt(lax.sub(quotient, down), constant(0.5, b)), lax.floor(lax.add(down, constant(1, b))), down
    )
    return nearest if _never_zero(b) else choose(lax.eq(b, zero), lax.floor(lax.div(a, b)), nearest)


def _trunc(x: Value) -> Value:
    return x if not _is_float(x) else choose(lax.lt(x, constant(0, x)), lax.ceil(x), lax.floor(x))


def _modf(x: Value) -> tuple[Value, Value]:
    whole = _trunc(x)
    infinite = lax.eq(lax.abs(x), constant(np.inf, x))
    return choose(infinite, constant(0, x), lax.sub(x, whole)), whole


def _rounding(record: Rule) -> Rule:
    return lambda x: record(x) if _is_float(x) else x


def _rint(x: Value) -> Value:
    if x.dtype.kind == "c":
        return lax.complex(_rint(lax.real(x)), _rint(lax.imag(x)))
    return lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)


def _positive(x: Value) -> Value:
    return x


def _reciprocal(x: Value) -> Value:
    return lax.integer_pow(x, -1) if _is_float(x) else lax.div(constant(1, x), x)


# -- exponentials, roots, angles ------------------------------------------------------------------------------


def _log_in(base: float) -> Rule:
    return lambda x: lax.mul(lax.log(x), constant(1.0 / math.log(base), x))


def _logaddexp(a: Value, b: Value) -> Value:
    """log(eᵃ + eᵇ) = h + log(1 + e^(l - h)) with h the higher one.

    Either order is the same smooth function, so derivatives of every order are right where a = b too.
    """
    above = lax.ge(a, b)
    high, low = choose(above, a, b), choose(above, b, a)
    gap = lax.sub(low, high)
    if _is_finite_constant(a) or _is_finite_constant(b):
        return lax.add(high, lax.log1p(lax.exp(gap)))
    same_infinity = lax.bitwise_and(lax.eq(high, low), lax.eq(lax.abs(high), constant(np.inf, high)))
    gap = choose(same_infinity, constant(0, high), gap)
    return lax.add(high, lax.log1p(lax.exp(gap)))


def _is_finite_constant(x: Value) -> bool:
    return not is_traced(x) and bool(np.isfinite(x).all())


def _logaddexp2(a: Value, b: Value) -> Value:
    factor = constant(math.log(2.0), a)
    return lax.div(_logaddexp(lax.mul(a, factor), lax.mul(b, factor)), factor)


def _hypot(a: Value, b: Value) -> Value:
    """sqrt(a² + b²) without overflow; its derivative at (0, 0) is 0, as that of abs at 0."""
    largest = lax.stop_gradient(lax.max(lax.abs(a), lax.abs(b)))
    usable = lax.bitwise_and(lax.gt(largest, constant(0, a)), lax.lt(largest, constant(np.inf, a)))
    scale = choose(usable, largest, constant(1, a))
    squares = (lax.integer_pow(lax.div(side, scale), 2) for side in (a, b))
    return lax.mul(scale, safe_sqrt(lax.add(*squares)))


# -- comparing and choosing -----------------------------------------------------------------------------------


def _ordered(compare: Rule) -> Rule:
    """A comparison; complex numbers go by their real part, then by the imaginary one, as in NumPy."""

    def record(a: Value, b: Value) -> Value:
        if a.dtype.kind != "c":
            return compare(a, b)
        (a, b) = aligned(a, b)
        real_a, real_b = jnp.real(a), jnp.real(b)
        return choose(lax.eq(real_a, real_b), compare(jnp.imag(a), jnp.imag(b)), compare(real_a, real_b))

    return record


def _ignoring_nan(extreme: Rule) -> Rule:
    def record(a: Value, b: Value) -> Value:
        found = extreme(a, b)
        if not _is_float(a):
            return found
        return choose(lax.ne(a, a), b, choose(lax.ne(b, b), a, found))

    return record


def _heaviside(x: Value, at_zero: Value) -> Value:
    zero, one = constant(0, x), constant(1, x)
    sides = choose(lax.lt(x, zero), zero, choose(lax.eq(x, zero), at_zero, one))
    return choose(lax.ne(x, x), constant(np.nan, x), sides)


def _truth(x: Value) -> Value:
    return x if _is_bool(x) else lax.ne(x, constant(0, x))


def _logical(record: Rule) -> Rule:
    return lambda *values: record(*map(_truth, values))


def _right_shift(a: Value, b: Value) -> Value:
    return lax.shift_right_logical(a, b) if a.dtype.kind == "u" else lax.shift_right_arithmetic(a, b)


# -- looking into floating point numbers ------------------------------------------------------------------------


def _never(x: Value) -> Value:
    return lax.ne(x, x)


def _is_finite(x: Value) -> Value:
    if x.dtype.kind == "c":
        return lax.bitwise_and(lax.is_finite(lax.real(x)), lax.is_finite(lax.imag(x)))
    return lax.is_finite(x) if _is_float(x) else lax.eq(x, x)


def _is_infinite(x: Value) -> Value:
    if x.dtype.kind == "c":
        return lax.bitwise_or(_is_infinite(lax.real(x)), _is_infinite(lax.imag(x)))
    return lax.eq(lax.abs(x), constant(np.inf, x)) if _is_float(x) else _never(x)


def _signbit(x: Value) -> Value:
    bits = np.dtype(f"i{x.dtype.itemsize}")
    return lax.lt(lax.bitcast_convert_type(x, bits), bits.type(0))


def _copysign(size: Value, sign: Value) -> Value:
    magnitude = lax.abs(size)
    return choose(_signbit(sign), lax.neg(magnitude), magnitude)


def _nextafter(x: Value, towards: Value) -> Value:
    """The next number, as x plus a constant, so that its slope in x is 1."""
    x, towards = broadcast(x, towards)
    still = lax.stop_gradient(x)
    after = lax.nextafter(still, lax.stop_gradient(towards))
    return choose(lax.is_finite(x), lax.add(x, lax.sub(after, still)), after)


def _spacing(x: Value) -> Value:
    still = lax.stop_gradient(x)
    size = lax.abs(still)
    gap = lax.sub(lax.nextafter(size, lax.full_like(size, np.inf)), size)
    return choose(_signbit(still), lax.neg(gap), gap)


def _frexp(x: Value) -> tuple[Value, Value]:
    mantissa, exponent = jnp.frexp(x)
    return mantissa, convert(exponent, np.dtype(np.intc))


def _ldexp(x: Value, exponent: Value) -> Value:
    if is_traced(exponent):
        return jnp.ldexp(x, exponent)
    # Two halves: the whole power of two may overflow where the result does not.
    half = np.asarray(exponent) // 2
    for part in (half, exponent - half):
        x = lax.mul(x, np.ldexp(x.dtype.type(1), part))
    return x


def _conjugate(x: Value) -> Value:
    return lax.conj(x) if x.dtype.kind == "c" else x


def _absolute(x: Value) -> Value:
    return x if x.dtype.kind in "bu" else lax.abs(x)


def _square(x: Value) -> Value:
    return _multiply(x, x) if _is_bool(x) else lax.integer_pow(x, 2)


def square_size(x: Value) -> Value:
    """|x|² of a value of either kind, without a root."""
    if dtype_of(x).kind == "c":
        return add(power(lax.real(x), 2), power(lax.imag(x), 2))
    return power(x, 2)


RECORDS: dict[np.ufunc, Rule] = {
    np.add: _add,
    np.subtract: lax.sub,
    np.multiply: _multiply,
    np.divide: lax.div,
    np.power: _power,
    np.float_power: _power,
    np.negative: lax.neg,
    np.positive: _positive,
    np.absolute: _absolute,
    np.fabs: lax.abs,
    np.sign: lax.sign,
    np.square: _square,
    np.reciprocal: _reciprocal,
    np.remainder: _remainder,
    np.fmod: _fmod,
    np.floor_divide: _floor_divide,
    np.divmod: lambda a, b: (_floor_divide(a, b), _remainder(a, b)),
    np.floor: _rounding(lax.floor),
    np.ceil: _rounding(lax.ceil),
    np.trunc: _trunc,
    np.rint: _rint,
    np.modf: _modf,
    np.conjugate: _conjugate,
    np.sqrt: lax.sqrt,
    np.cbrt: lax.cbrt,
    np.exp: lax.exp,
    np.exp2: lax.exp2,
    np.expm1: lax.expm1,
    np.log: lax.log,
    np.log2: _log_in(2.0),
    np.log10: _log_in(10.0),
    np.log1p: lax.log1p,
    np.logaddexp: _logaddexp,
    np.logaddexp2: _logaddexp2,
    np.sin: lax.sin,
    np.cos: lax.cos,
    np.tan: lax.tan,
    np.arcsin: lax.asin,
    np.arccos: lax.acos,
    np.arctan: lax.atan,
    np.arctan2: lax.atan2,
    np.sinh: lax.sinh,
    np.cosh: lax.cosh,
    np.tanh: lax.tanh,
    np.arcsinh: lax.asinh,
    np.arccosh: lax.acosh,
    np.arctanh: lax.atanh,
    np.hypot: _hypot,
    np.degrees: _scaled(180.0 / math.pi),
    np.rad2deg: _scaled(180.0 / math.pi),
    np.radians: _scaled(math.pi / 180.0),
    np.deg2rad: _scaled(math.pi / 180.0),
    np.maximum: lax.max,
    np.minimum: lax.min,
    np.fmax: _ignoring_nan(lax.max),
    np.fmin: _ignoring_nan(lax.min),
    np.equal: lax.eq,
    np.not_equal: lax.ne,
    np.less: _ordered(lax.lt),
    np.less_equal: _ordered(lax.le),
    np.greater: _ordered(lax.gt),
    np.greater_equal: _ordered(lax.ge),
    np.heaviside: _heaviside,
    np.logical_and: _logical(lax.bitwise_and),
    np.logical_or: _logical(lax.bitwise_or),
    np.logical_xor: _logical(lax.bitwise_xor),
    np.logical_not: _logical(lax.bitwise_not),
    np.bitwise_and: lax.bitwise_and,
    np.bitwise_or: lax.bitwise_or,
    np.bitwise_xor: lax.bitwise_xor,
    np.invert: lax.bitwise_not,
    np.left_shift: lax.shift_left,
    np.right_shift: _right_shift,
    np.bitwise_count: lambda x: convert(lax.population_count(_absolute(x)), np.uint8),
    np.gcd: jnp.gcd,
    np.lcm: jnp.lcm,
    np.isfinite: _is_finite,
    np.isinf: _is_infinite,
    np.isnan: _never,
    np.signbit: _signbit,
    np.copysign: _copysign,
    np.nextafter: _nextafter,
    np.spacing: _spacing,
    np.frexp: _frexp,
    np.ldexp: _ldexp,
}

UFUNCS: dict[np.ufunc, Rule] = {ufunc: elementwise(ufunc, record) for ufunc, record in RECORDS.items()}

add, subtract, multiply, divide = (UFUNCS[u] for u in (np.add, np.subtract, np.multiply, np.divide))
absolute = UFUNCS[np.absolute]
power = UFUNCS[np.power]
