"""Primitives that act on each element alone: arithmetic, elementary and special functions, comparisons."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .rows import Code, NoRule


@dataclass(frozen=True)
class Elementwise:
    """One row: how the primitive is written for arrays, and, where it differs, for Python floats.

    `array` is an expression with `{f}` standing for `function`. `scalar` may assume that every operand is a
    float and may raise ZeroDivisionError, OverflowError or ValueError where NumPy would give an infinity or
    NaN: the interpreter then evaluates once more with NumPy. `ufunc` tells that `function` takes `out`.
    """

    array: str
    function: Callable[..., Any] | str | None = None
    scalar: str | None = None
    scalar_function: Callable[..., Any] | None = None
    special: Callable[[Any, bool], Code | None] | None = None

    def ufunc(self, equation: Any) -> np.ufunc | None:
        """The NumPy ufunc that computes this equation from its operands in order, if one does."""
        if not isinstance(self.function, np.ufunc) or "1 /" in self.array:
            return None
        if self.special is not None and self.special(equation, False) is not None:
            return None
        return self.function

    def code(self, equation: Any, is_scalar: bool) -> Code:
        """The expression for arrays or NumPy scalars of any dtype."""
        if self.special is not None:
            code = self.special(equation, is_scalar)
            if code is not None:
                return code
        if self.function is None or "{f}" not in self.array:
            return Code(self.array)
        return Code(self.array, {"f": resolve(self.function)})

    def scalar_code(self, equation: Any) -> Code | None:
        """The expression for Python floats, or None where there is no faster one."""
        if self.special is not None and self.special(equation, True) is not None:
            return None
        if self.scalar is None:
            return None
        return Code(self.scalar, {} if self.scalar_function is None else {"f": self.scalar_function})


def resolve(function: Callable[..., Any] | str) -> Callable[..., Any]:
    """The function itself; a string names one of `scipy.special`, imported only here."""
    if isinstance(function, str):
        return getattr(importlib.import_module("scipy.special"), function)
    return function


def infix(symbol: str, function: np.ufunc) -> Elementwise:
    """Two operands around an operator, for arrays and floats alike."""
    return Elementwise(f"{{0}} {symbol} {{1}}", function, f"{{0}} {symbol} {{1}}")


def unary(function: Callable[..., Any] | str, scalar: Callable[..., Any] | None = None) -> Elementwise:
    """A function of one operand; `scalar` is its counterpart in `math`."""
    return Elementwise("{f}({0})", function, "{f}({0})" if scalar else None, scalar)


def binary(function: Callable[..., Any] | str, scalar: Callable[..., Any] | None = None) -> Elementwise:
    """A function of two operands; `scalar` is its counterpart in `math`."""
    return Elementwise("{f}({0}, {1})", function, "{f}({0}, {1})" if scalar else None, scalar)


def _kind(equation: Any) -> str:
    return np.dtype(equation.invars[0].aval.dtype).kind


# Exceptional cases by dtype or parameter: each returns None where the plain row holds.


def _divide(equation: Any, is_scalar: bool) -> Code | None:
    if _kind(equation) in "iu":
        return Code("{f}({0}, {1})", {"f": _truncated_quotient})
    return None


def _truncated_quotient(a: Any, b: Any) -> Any:
    """Integer division towards zero; a zero divisor gives -1, as XLA does."""
    safe = np.where(b == 0, 1, b).astype(np.result_type(b))
    quotient = np.floor_divide(np.abs(a), np.abs(safe)) * (np.sign(a) * np.sign(safe))
    return np.where(b == 0, -1, quotient).astype(np.result_type(a))


def _remainder(equation: Any, is_scalar: bool) -> Code | None:
    if _kind(equation) in "iu":
        return Code("{f}({0}, {1})", {"f": _truncated_remainder})
    return None


def _truncated_remainder(a: Any, b: Any) -> Any:
    """Remainder with the sign of `a`; a zero divisor gives `a` back, as XLA does."""
    return np.where(b == 0, a, np.fmod(a, np.where(b == 0, 1, b))).astype(np.result_type(a))


def _integer_power(equation: Any, is_scalar: bool) -> Code | None:
    power = equation.params["y"]
    if power == 0:
        return Code("{f}({0})", {"f": np.ones_like})
    if power == 1:
        return Code("{0}", fresh=False)
    if power == 2:
        return Code("{0} * {0}")
    if power == 3:
        return Code("{0} * {0} * {0}")
    if power == -1:
        return Code("{one} / {0}", {"one": np.dtype(equation.invars[0].aval.dtype).type(1)})
    if power in (-2, -3):  # of every quotient's derivatives; multiplied in the order of `_repeated_product`
        product = "{0} * {0}" if power == -2 else "{0} * ({0} * {0})"
        return Code(f"1.0 / ({product})")
    return Code("{f}({0})", {"f": _repeated_product(power)})


def _integer_power_scalar(power: int) -> str | None:
    """Python text for small powers of a float."""
    if 1 <= abs(power) <= 4:
        product = " * ".join(["{0}"] * abs(power))
        return product if power > 0 else f"1.0 / ({product})"
    return None


def _repeated_product(power: int) -> Callable[[Any], Any]:
    """x to an integer power by repeated squaring, which is how XLA rounds it."""

    def raised(x: Any) -> Any:
        square, remaining = x, abs(power)
        product: Any = None
        while True:
            if remaining & 1:
                product = square if product is None else product * square
            remaining >>= 1
            if not remaining:
                break
            square = square * square
        return product if power > 0 else 1 / product

    return raised


@dataclass(frozen=True)
class _IntegerPower(Elementwise):
    def scalar_code(self, equation: Any) -> Code | None:
        product = _integer_power_scalar(equation.params["y"])
        return None if product is None else Code(product)

    def ufunc(self, equation: Any) -> np.ufunc | None:
        return np.square if equation.params["y"] == 2 else None


@dataclass(frozen=True)
class _Conversion(Elementwise):
    def scalar_code(self, equation: Any) -> Code | None:
        return Code("float({0})") if equation.params["new_dtype"] == np.float64 else None


def _round(equation: Any, is_scalar: bool) -> Code | None:
    # 0: halves away from zero; 1: halves to even.
    if int(equation.params["rounding_method"]) == 1:
        return Code("{f}({0})", {"f": np.rint})
    return Code("{f}({0})", {"f": _round_away})


def _round_away(x: Any) -> Any:
    whole = np.trunc(x)
    return whole + np.copysign((np.abs(x - whole) >= 0.5).astype(np.result_type(x)), x)


def _convert(equation: Any, is_scalar: bool) -> Code | None:
    source = np.dtype(equation.invars[0].aval.dtype)
    target = np.dtype(equation.params["new_dtype"])
    if source == target:
        return Code("{0}", fresh=False)
    if is_scalar:
        if source.kind == "f" and target.kind in "iu":
            return Code("{f}({0})", {"f": _saturating(target)})
        if source.kind == "c" and target.kind not in "cb":
            return Code("{t}({0}.real)", {"t": target.type})
        return Code("{t}({0})", {"t": target.type})
    if source.kind == "f" and target.kind in "iu":
        return Code("{f}({0})", {"f": _saturating(target)})
    if source.kind == "c" and target.kind not in "cb":
        return Code("{0}.real.astype({t})", {"t": target})
    return Code("{0}.astype({t})", {"t": target})


def _saturating(target: np.dtype[Any]) -> Callable[[Any], Any]:
    """Float to integer as XLA does it: towards zero, NaN to 0, out of range to the nearest integer."""
    limits = np.iinfo(target)

    def convert(x: Any) -> Any:
        x = np.asarray(x)
        inside = (x > float(limits.min)) & (x < float(limits.max))
        limit = np.where(x > 0, limits.max, np.where(x < 0, limits.min, 0)).astype(target)
        return np.where(inside, np.where(inside, x, 0).astype(target), limit)[()]

    return convert


def _is_wide_float(equation: Any, is_scalar: bool) -> Code | None:
    """`reduce_precision` to the format the number has already is nothing; to single precision a cast."""
    bits = (equation.params["exponent_bits"], equation.params["mantissa_bits"])
    dtype = np.dtype(equation.invars[0].aval.dtype)
    formats: dict[Any, np.dtype[Any]] = {
        (11, 52): np.dtype(np.float64),
        (8, 23): np.dtype(np.float32),
        (5, 10): np.dtype(np.float16),
    }
    target = formats.get(bits)
    if target is None:
        raise NoRule("reduce_precision", f"{bits} bits")
    if target.itemsize >= dtype.itemsize:
        return Code("{0}", fresh=False)
    return Code("{own}({0}, {narrow}).astype({wide})", {"own": np.asarray, "narrow": target, "wide": dtype})


def _complex(equation: Any, is_scalar: bool) -> Code:
    dtype = equation.outvars[0].aval.dtype

    def join(real: Any, imaginary: Any) -> Any:
        result = np.empty(np.broadcast_shapes(np.shape(real), np.shape(imaginary)), dtype)
        result.real, result.imag = real, imaginary
        return result[()]

    return Code("{f}({0}, {1})", {"f": join})


def _logistic(x: Any) -> Any:
    result = np.exp(-x)
    result += 1
    return 1 / result


def _scalar_logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def _total_order(x: Any) -> Any:
    """Integers in the total order of floats: -NaN < -inf < … < -0 < +0 < … < inf < NaN."""
    x = np.asarray(x)
    if x.dtype.kind != "f":
        return x
    bits: Any = x.view(np.dtype(f"i{x.dtype.itemsize}"))
    return np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits)


def _total(compare: np.ufunc) -> Elementwise:
    return binary(lambda a, b: compare(_total_order(a), _total_order(b)))


def _shift_right_logical(a: Any, b: Any) -> Any:
    dtype: np.dtype[Any] = np.asarray(a).dtype
    unsigned = np.dtype(f"u{dtype.itemsize}")
    return np.right_shift(np.asarray(a).astype(unsigned), np.asarray(b).astype(unsigned)).astype(dtype)


def _polygamma(order: Any, x: Any) -> Any:
    return resolve("polygamma")(np.asarray(order).astype(int), x).astype(np.result_type(x))


def _population_count(x: Any) -> Any:
    dtype = np.result_type(x)
    return np.bitwise_count(np.asarray(x).astype(f"u{dtype.itemsize}")).astype(dtype)


def _conjugate(equation: Any, is_scalar: bool) -> Code | None:
    return None if _kind(equation) == "c" else Code("{0}", fresh=False)


def _select(equation: Any, is_scalar: bool) -> Code | None:
    predicate, *cases = equation.invars
    if len(cases) == 1:
        return Code("{1}", fresh=False)
    if len(cases) == 2:
        if predicate.aval.shape == ():
            return Code("({2} if {0} else {1})", fresh=False)
        return Code("{where}({0}, {2}, {1})", {"where": np.where})
    arguments = ", ".join(f"{{{i}}}" for i in range(1, len(cases) + 1))
    return Code(f"{{choose}}({{0}}, ({arguments}))", {"choose": np.choose})


def _sign(equation: Any, is_scalar: bool) -> Code | None:
    if _kind(equation) == "c":
        return Code("{f}({0})", {"f": lambda z: np.where(z == 0, 0, z / np.where(z == 0, 1, np.abs(z)))})
    return None


def _clamp(equation: Any, is_scalar: bool) -> Code:
    return Code("{low}({high}({1}, {0}), {2})", {"low": np.minimum, "high": np.maximum})


# NaN wins, as in NumPy and XLA: `a` is taken when it is larger or NaN, else `b`, which may be NaN.
SCALAR_MAXIMUM = "({0} if {0} > {1} or {0} != {0} else {1})"
SCALAR_MINIMUM = "({0} if {0} < {1} or {0} != {0} else {1})"

ELEMENTWISE: dict[str, Elementwise] = {
    "add": infix("+", np.add),
    "add_any": infix("+", np.add),
    "sub": infix("-", np.subtract),
    "mul": infix("*", np.multiply),
    "div": Elementwise("{0} / {1}", np.true_divide, "{0} / {1}", special=_divide),
    "neg": Elementwise("-{0}", np.negative, "-{0}"),
    "rem": Elementwise("{f}({0}, {1})", np.fmod, "{f}({0}, {1})", math.fmod, special=_remainder),
    "pow": binary(np.power, math.pow),
    "integer_pow": _IntegerPower("", None, special=_integer_power),
    "square": Elementwise("{0} * {0}", np.square, "{0} * {0}"),
    "max": Elementwise("{f}({0}, {1})", np.maximum, SCALAR_MAXIMUM),
    "min": Elementwise("{f}({0}, {1})", np.minimum, SCALAR_MINIMUM),
    "abs": Elementwise("{f}({0})", np.absolute, "abs({0})"),
    "sign": Elementwise("{f}({0})", np.sign, special=_sign),
    "floor": unary(np.floor),
    "ceil": unary(np.ceil),
    "round": Elementwise("{f}({0})", np.rint, special=_round),
    "exp": unary(np.exp, math.exp),
    "exp2": unary(np.exp2, math.exp2),
    "expm1": unary(np.expm1, math.expm1),
    "log": unary(np.log, math.log),
    "log1p": unary(np.log1p, math.log1p),
    "logistic": unary(_logistic, _scalar_logistic),
    "sqrt": unary(np.sqrt, math.sqrt),
    "rsqrt": Elementwise("1 / {f}({0})", np.sqrt, "1.0 / {f}({0})", math.sqrt),
    "cbrt": unary(np.cbrt, math.cbrt),
    "sin": unary(np.sin, math.sin),
    "cos": unary(np.cos, math.cos),
    "tan": unary(np.tan, math.tan),
    "asin": unary(np.arcsin, math.asin),
    "acos": unary(np.arccos, math.acos),
    "atan": unary(np.arctan, math.atan),
    "atan2": binary(np.arctan2, math.atan2),
    "sinh": unary(np.sinh, math.sinh),
    "cosh": unary(np.cosh, math.cosh),
    "tanh": unary(np.tanh, math.tanh),
    "asinh": unary(np.arcsinh, math.asinh),
    "acosh": unary(np.arccosh, math.acosh),
    "atanh": unary(np.arctanh, math.atanh),
    "erf": unary("erf", math.erf),
    "erfc": unary("erfc", math.erfc),
    "erf_inv": unary("erfinv"),
    "lgamma": unary("gammaln", math.lgamma),
    "digamma": unary("digamma"),
    "polygamma": binary(_polygamma),
    "zeta": binary("zeta"),
    "igamma": binary("gammainc"),
    "igammac": binary("gammaincc"),
    "regularized_incomplete_beta": Elementwise("{f}({0}, {1}, {2})", "betainc"),
    "bessel_i0e": unary("i0e"),
    "bessel_i1e": unary("i1e"),
    "nextafter": binary(np.nextafter),
    "is_finite": unary(np.isfinite, math.isfinite),
    "eq": infix("==", np.equal),
    "ne": infix("!=", np.not_equal),
    "lt": infix("<", np.less),
    "le": infix("<=", np.less_equal),
    "gt": infix(">", np.greater),
    "ge": infix(">=", np.greater_equal),
    "eq_to": _total(np.equal),
    "le_to": _total(np.less_equal),
    "lt_to": _total(np.less),
    "and": infix("&", np.bitwise_and),
    "or": infix("|", np.bitwise_or),
    "xor": infix("^", np.bitwise_xor),
    "not": unary(np.invert),
    "shift_left": binary(np.left_shift),
    "shift_right_arithmetic": binary(np.right_shift),
    "shift_right_logical": binary(_shift_right_logical),
    "population_count": unary(_population_count),
    "select_n": Elementwise("", None, special=_select),
    "clamp": Elementwise("", None, special=_clamp),
    "convert_element_type": _Conversion("", None, special=_convert),
    "reduce_precision": Elementwise("", None, special=_is_wide_float),
    "real": Elementwise("{0}.real", None, special=lambda equation, is_scalar: Code("{0}.real", fresh=False)),
    "imag": Elementwise("{0}.imag", None, special=lambda equation, is_scalar: Code("{0}.imag", fresh=False)),
    "conj": Elementwise("{f}({0})", np.conjugate, special=_conjugate),
    "complex": Elementwise("", None, special=_complex),
}
