"""The functions and constants an expression may use: one row each, nothing else can be called."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

CONSTANTS: dict[str, float] = {"pi": math.pi, "e": math.e}


@dataclass(frozen=True)
class Function:
    """One function of the grammar.

    `numpy`: where its NumPy (or SciPy) form lives; imported at first use. `symbol`: the name of the SymPy
    function, or a function of the module `sympy` and the arguments. `fewest`, `most`: how many arguments it
    takes; `most` is None where there is no limit (the NumPy form is then applied pairwise).
    """

    numpy: str
    symbol: str | Callable[..., Any]
    fewest: int = 1
    most: int | None = 1

    def takes(self, count: int) -> bool:
        """Whether `count` arguments can be passed."""
        return self.fewest <= count and (self.most is None or count <= self.most)

    def expects(self) -> str:
        """How many arguments it takes, in words: "1 argument", "2 arguments or more"."""
        plural = "argument" if self.fewest == 1 else "arguments"
        return f"{self.fewest} {plural}" + (" or more" if self.most is None else "")

    def numeric(self) -> Callable[..., Any]:
        """The NumPy or SciPy function behind the name."""
        return _located(self.numpy)

    def symbolic(self, *arguments: Any) -> Any:
        """The SymPy expression for the function at SymPy `arguments`."""
        import sympy

        if isinstance(self.symbol, str):
            return getattr(sympy, self.symbol)(*arguments)
        return self.symbol(sympy, *arguments)


@cache
def _located(path: str) -> Callable[..., Any]:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def real_cube_root(sp: Any, x: Any) -> Any:
    """The cube root that is real for negative numbers too; SymPy's own is the complex principal root."""
    third = sp.Rational(1, 3)
    return x**third if x.is_nonnegative else sp.sign(x) * sp.Abs(x) ** third


def nearest_integer(sp: Any, x: Any) -> Any:
    """Rounding to the nearest integer, halves to the even one, as a SymPy function called `round`."""
    return nearest_integer_class()(x)


@cache
def nearest_integer_class() -> Any:
    """The SymPy function class behind `nearest_integer`, made when SymPy is first needed."""
    import sympy

    class NearestInteger(sympy.Function):
        nargs = 1
        is_integer = True

        @classmethod
        def eval(cls, x: Any) -> Any:
            if x.is_integer:
                return x
            return sympy.Integer(round(x)) if x.is_Rational else None

        def fdiff(self, argindex: int = 1) -> Any:
            return sympy.S.Zero

        def _eval_evalf(self, prec: int) -> Any:
            value = self.args[0]._eval_evalf(prec)
            return sympy.Integer(round(sympy.Rational(value))) if value.is_Float else None

    NearestInteger.__name__ = "round"  # what SymPy prints
    return NearestInteger


_ASIN = Function("numpy.arcsin", "asin")
_ACOS = Function("numpy.arccos", "acos")
_ATAN = Function("numpy.arctan", "atan")
_ATAN2 = Function("numpy.arctan2", "atan2", 2, 2)
_ASINH = Function("numpy.arcsinh", "asinh")
_ACOSH = Function("numpy.arccosh", "acosh")
_ATANH = Function("numpy.arctanh", "atanh")
_SMALLER = Function("numpy.minimum", "Min", 2, None)
_LARGER = Function("numpy.maximum", "Max", 2, None)
# log|Γ(x)|; SymPy's function is the same where Γ is positive, and its real part everywhere.
_LOG_GAMMA = Function("scipy.special.gammaln", "loggamma")

FUNCTIONS: dict[str, Function] = {
    "exp": Function("numpy.exp", "exp"),
    "expm1": Function("numpy.expm1", lambda sp, x: sp.exp(x) - 1),
    "log": Function("numpy.log", "log"),
    "log2": Function("numpy.log2", lambda sp, x: sp.log(x) / sp.log(2)),
    "log10": Function("numpy.log10", lambda sp, x: sp.log(x) / sp.log(10)),
    "log1p": Function("numpy.log1p", lambda sp, x: sp.log(1 + x)),
    "logaddexp": Function("numpy.logaddexp", lambda sp, x, y: sp.log(sp.exp(x) + sp.exp(y)), 2, 2),
    "sqrt": Function("numpy.sqrt", "sqrt"),
    "cbrt": Function("numpy.cbrt", real_cube_root),
    "square": Function("numpy.square", lambda sp, x: x**2),
    "hypot": Function("numpy.hypot", lambda sp, x, y: sp.sqrt(x**2 + y**2), 2, 2),
    "sin": Function("numpy.sin", "sin"),
    "cos": Function("numpy.cos", "cos"),
    "tan": Function("numpy.tan", "tan"),
    "asin": _ASIN,
    "arcsin": _ASIN,
    "acos": _ACOS,
    "arccos": _ACOS,
    "atan": _ATAN,
    "arctan": _ATAN,
    "atan2": _ATAN2,
    "arctan2": _ATAN2,
    "sinh": Function("numpy.sinh", "sinh"),
    "cosh": Function("numpy.cosh", "cosh"),
    "tanh": Function("numpy.tanh", "tanh"),
    "asinh": _ASINH,
    "arcsinh": _ASINH,
    "acosh": _ACOSH,
    "arccosh": _ACOSH,
    "atanh": _ATANH,
    "arctanh": _ATANH,
    "abs": Function("numpy.abs", "Abs"),
    "sign": Function("numpy.sign", "sign"),
    "floor": Function("numpy.floor", "floor"),
    "ceil": Function("numpy.ceil", "ceiling"),
    "round": Function("numpy.rint", nearest_integer),
    "min": _SMALLER,
    "minimum": _SMALLER,
    "max": _LARGER,
    "maximum": _LARGER,
    "where": Function(
        "numpy.where", lambda sp, condition, a, b: sp.Piecewise((a, condition), (b, True)), 3, 3
    ),
    "erf": Function("scipy.special.erf", "erf"),
    "erfc": Function("scipy.special.erfc", "erfc"),
    "gamma": Function("scipy.special.gamma", "gamma"),
    "gammaln": _LOG_GAMMA,
    "lgamma": _LOG_GAMMA,
    "expit": Function("scipy.special.expit", lambda sp, x: 1 / (1 + sp.exp(-x))),
}

# What people write from other places, and what to write here: shown in the error, never guessed silently.
OTHER_SPELLINGS: dict[str, str] = {
    "ln": "log(x)",
    "lg": "log10(x)",
    "pow": "x**y",
    "power": "x**y",
    "sqr": "x**2",
    "fabs": "abs(x)",
    "ceiling": "ceil(x)",
    "rint": "round(x)",
    "sgn": "sign(x)",
    "sigmoid": "expit(x)",
    "logistic": "expit(x)",
    "heaviside": "where(x > 0, 1, 0)",
    "clip": "min(max(x, low), high)",
    "if": "where(condition, a, b)",
    "piecewise": "where(condition, a, b)",
    "factorial": "gamma(x + 1)",
    "sec": "1/cos(x)",
    "csc": "1/sin(x)",
    "cot": "1/tan(x)",
    "mod": "x - y*floor(x/y)",
    "fmod": "x - y*floor(x/y)",
    "radians": "x*pi/180",
    "deg2rad": "x*pi/180",
    "degrees": "x*180/pi",
    "rad2deg": "x*180/pi",
    "sum": "the terms with + between them",
    "float": "the number itself",
    "int": "floor(x)",
}
