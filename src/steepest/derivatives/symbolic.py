"""Formulas: a cost or its derivative written in SymPy, for reading; nothing is computed through them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..tracing.expressions import Expression, constant_values
from ..tracing.grammar import (
    Call,
    Chain,
    Comparison,
    Constant,
    Negative,
    Node,
    Number,
    Power,
    Variable,
    children,
)
from ..tracing.vocabulary import FUNCTIONS, nearest_integer_class
from .symbolic_primitives import EXACT_BITS, formulas_of, number

# Above this many operations a formula is left as it is: rearranging takes seconds and nobody reads it.
TIDY_OPERATIONS = 400
# Constant parts outside these magnitudes are shown as floats. Exact integers for 9**300 or gamma(1000) would
# have thousands of digits, and floor(exp(exp(9))) more than memory.
LARGEST_EXACT = 1e15
SMALLEST_EXACT = 1e-15
# Folding the cases of several Piecewise into one multiplies their numbers.
FOLDED_CASES = 4


def symbolic_of_expression(expression: Expression) -> Any:
    """The formula of an expression as a SymPy expression, built from our own tree.

    Variables are real SymPy symbols (`real=True`), found in `.free_symbols`. Whole numbers and simple
    fractions are exact, other decimals are SymPy floats; constant parts have their double precision meaning
    (1/0 is infinity). `gammaln` becomes `loggamma`, which agrees with it for positive arguments.
    Raises `InputError` if SymPy has no form for it (comparing NaN).

    >>> from steepest.tracing.expressions import parse
    >>> symbolic_of_expression(parse("0.5*(x - 1)**2 + 0.1*x"))
    0.1*x + (x - 1)**2/2
    """
    import sympy as sp

    symbols = {name: _symbol(name) for name in expression.names}
    constants = constant_values(expression.tree)

    def formula(node: Node) -> Any:
        constant = constants.get(id(node))
        if (
            constant is not None
            and not isinstance(node, Number | Constant | Comparison)
            and _unwieldy(constant)
        ):
            return number(constant)
        built = _combined(sp, node, [formula(child) for child in children(node)], symbols)
        if (
            constant is not None
            and built.is_Rational
            and max(built.p.bit_length(), built.q.bit_length()) > EXACT_BITS
        ):
            return number(constant)
        return built

    try:
        return formula(expression.tree)
    except TypeError as error:  # SymPy compares only real numbers
        raise InputError(f"{expression.text!r} has no formula: {error}") from error


def symbolic_of_jaxpr(closed_jaxpr: Any, names: Sequence[str]) -> Any:
    """The formula of a traced function of one input, a scalar or a flat vector with one name per entry.

    A scalar output gives a SymPy expression, an array output a SymPy array of the same shape. Constants are
    shown as people write them (2 for 2.0, 1/3, 0.1, pi). Guards against overflow that JAX adds are left out:
    the formula is the mathematics, not the rounding.

    Raises `TracingError` for an operation that has no symbol, with the user's line, and for formulas too long
    to read; `InputError` if the number of names is not that of the entries.
    """
    import sympy as sp

    variables = closed_jaxpr.jaxpr.invars
    if len(variables) != 1:
        raise InputError(f"a formula is made of a function of one array, this one takes {len(variables)}")
    shape = variables[0].aval.shape
    if math.prod(shape) != len(names):
        raise InputError(f"{len(names)} names for {math.prod(shape)} entries")
    inputs = np.empty(len(names), dtype=object)
    inputs[:] = [_symbol(name) for name in names]
    outputs = formulas_of(closed_jaxpr.jaxpr, closed_jaxpr.consts, [inputs.reshape(shape)])
    if len(outputs) != 1:
        raise InputError(f"a formula is made of one output, this function has {len(outputs)}")
    tidy = [tidied(entry) for entry in outputs[0].ravel()]
    return tidy[0] if outputs[0].shape == () else sp.ImmutableDenseNDimArray(tidy, outputs[0].shape)


def differentiated(formula: Any, name: str, order: int = 1) -> Any:
    """The derivative of a formula with respect to the variable `name`, `order` times.

    Steps (floor, round, sign, a remainder's jumps) count as flat, as the exact derivatives of this library do: the
    derivative is the one that holds wherever the function is smooth.

    >>> from steepest.tracing.expressions import parse
    >>> differentiated(symbolic_of_expression(parse("x**2 - 2*x + 3")), "x")
    2*x - 2
    """
    if order < 0:
        raise InputError(f"the order of a derivative is 0, 1, 2, ..., not {order}")
    matching = [symbol for symbol in formula.free_symbols if symbol.name == name]
    symbol = matching[0] if matching else _symbol(name)
    for _ in range(order):
        formula = tidied(_slope(formula, symbol))
    return formula


def tidied(formula: Any) -> Any:
    """A formula rearranged to be shorter, with bounded effort; equal for all real values."""
    import sympy as sp

    if not isinstance(formula, sp.Expr) or formula.count_ops() > TIDY_OPERATIONS:
        return formula
    formula = formula.replace(sp.exp, _with_gamma)
    candidates = [formula, sp.powsimp(formula), sp.factor_terms(formula)]
    if 0 < len(formula.atoms(sp.Piecewise)) <= FOLDED_CASES:
        candidates.append(sp.piecewise_fold(formula))
    return min(candidates, key=lambda candidate: candidate.count_ops())


def plain(formula: Any) -> str:
    """The formula on one line, in Python's notation: 0.1*x**2 - 2*x.

    >>> import sympy
    >>> plain(sympy.Float(0.1) * sympy.Symbol("x") ** 2)
    '0.1*x**2'
    """
    import sympy as sp

    return sp.sstr(formula, full_prec=False)


def pretty(formula: Any) -> str:
    """The formula over several lines, as it is written by hand."""
    import sympy as sp

    return sp.pretty(formula, use_unicode=True, full_prec=False)


def latex(formula: Any) -> str:
    """The formula in LaTeX."""
    import sympy as sp

    return sp.latex(formula, full_prec=False)


def _symbol(name: str) -> Any:
    import sympy as sp

    return sp.Symbol(name, real=True)


def _combined(sp: Any, node: Node, parts: list[Any], symbols: dict[str, Any]) -> Any:
    """The formula of one node from those of its children."""
    match node:
        case Number(value):
            return number(value)
        case Constant(name):
            return sp.pi if name == "pi" else sp.E
        case Variable(name):
            return symbols[name]
        case Negative():
            return -parts[0]
        case Chain(operators):
            rest = zip(operators, parts[1:], strict=True)
            if operators[0] in "+-":
                return sp.Add(parts[0], *(part if sign == "+" else -part for sign, part in rest))
            return sp.Mul(parts[0], *(part if sign == "*" else 1 / part for sign, part in rest))
        case Power():
            return parts[0] ** parts[1]
        case Comparison(sign):
            return sp.Rel(*parts, sign)
        case Call(name):
            return FUNCTIONS[name].symbolic(*parts)


def _unwieldy(constant: float) -> bool:
    return not (constant == 0 or SMALLEST_EXACT <= abs(constant) <= LARGEST_EXACT)


def _slope(formula: Any, symbol: Any) -> Any:
    """The derivative with every step function held constant."""
    import sympy as sp

    formula = formula.replace(sp.Mod, lambda a, b: a - b * sp.floor(a / b))
    steps = formula.atoms(sp.floor, sp.ceiling, sp.sign, sp.Heaviside, nearest_integer_class())
    level = {step: sp.Dummy("level", real=True) for step in steps}
    slope = formula.xreplace(level).diff(symbol)
    slope = slope.xreplace({stand_in: step for step, stand_in in level.items()})
    return slope.replace(
        lambda part: part.is_Pow and isinstance(part.base, sp.sign) and part.exp.is_Integer,
        lambda part: part.base if part.exp % 2 else sp.Integer(1),  # sign² is 1 wherever the slope exists
    )


def _with_gamma(exponent: Any) -> Any:
    """exp(loggamma(u) + rest) as gamma(u)*exp(rest)."""
    import sympy as sp

    factors, rest = [], []
    for term in sp.Add.make_args(exponent):
        weight, function = term.as_coeff_Mul()
        if isinstance(function, sp.loggamma) and weight.is_Integer:
            factors.append(sp.gamma(function.args[0]) ** weight)
        else:
            rest.append(term)
    return sp.Mul(*factors, sp.exp(sp.Add(*rest)))
