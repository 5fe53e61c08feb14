"""Every row of the tables: NumPy's value, shape and type, and a derivative that independent means confirm."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import TracingError
from steepest.tracing import rules
from steepest.tracing.arrays import call_rule
from steepest.tracing.rules import filters

from .cases import CASES, Case, P, v
from .recorded import evaluate, flat, record, slope_along

FILTERS = {*filters.SIGNALS_BY_NAME.values(), *filters.IMAGES_BY_NAME.values()}
ROWS: list[Any] = [
    *rules.UFUNCS,
    *rules.UFUNC_METHODS,
    *rules.FUNCTIONS,
    *rules.IN_PLACE,
    *rules.METHODS,
    # Those that are handed functions have tests of their own: integrals, equations, differential equations. So have
    # filters (test_filters).
    *(
        function
        for function, rule in rules.scipy_rules().items()
        if rule not in rules.TAKE_FUNCTIONS and rule not in FILTERS
    ),
]
# Rows that only raise; their message has a test of its own.
REFUSED = {*rules.REFUSED, "nonzero", "view"}


def called(case: Case) -> Callable[..., Any]:
    if not case.handed:
        return case.function
    return lambda *arrays: case.function(case.key, *arrays)


def traced(case: Case) -> Callable[..., Any]:
    if not case.handed:
        return case.function
    rule = rules.scipy_rules()[case.key]
    return lambda *arrays: case.function(lambda *args, **kwargs: call_rule(rule, args, kwargs), *arrays)


def numpy_result(function: Callable[..., Any], arrays: Sequence[np.ndarray]) -> list[Any]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return [leaf for leaf in flat(function(*(np.array(a) for a in arrays))) if not isinstance(leaf, str)]


def label(row: Any) -> str:
    return Case(row, lambda: None, ()).name


def test_every_row_has_a_case():
    covered = {case.key for case in CASES}
    assert [label(row) for row in ROWS if row not in covered and row not in REFUSED] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_rule_keeps_numpys_values_shapes_types_and_derivatives(case):
    function = called(case)
    expected = numpy_result(function, case.arrays)
    closed = record(traced(case), case.arrays)
    found = evaluate(closed, case.arrays)
    assert len(found) == len(expected)
    for mine, numpys in zip(found, expected, strict=True):
        numpys = np.asarray(numpys)
        assert mine.shape == numpys.shape
        assert mine.dtype == numpys.dtype
        scale = (
            np.max(np.abs(numpys), initial=0.0, where=np.isfinite(numpys))
            if numpys.dtype.kind in "fc"
            else 0.0
        )
        assert_allclose(mine, numpys, rtol=case.rtol, atol=case.rtol * scale)
    if case.smooth:
        check_slope(case, function, closed, expected)


def check_slope(case: Case, function: Callable[..., Any], closed: Any, expected: Sequence[Any]) -> None:
    """The slope of a random sum of the results along a random direction, three ways where possible."""
    random = np.random.default_rng(5)
    along = [direction(random, a) for a in case.arrays]
    weights = [direction(random, np.asarray(out)) for out in expected]
    if all(d is None for d in along) or all(w is None for w in weights):
        return

    def at(step: complex) -> complex:
        moved = [a if d is None else a + step * d for a, d in zip(case.arrays, along, strict=True)]
        outs = numpy_result(function, moved)
        return sum(
            np.sum(np.real(w) * out) if not np.iscomplexobj(w) else np.sum(np.conj(w) * out)
            for w, out in zip(weights, outs, strict=True)
            if w is not None
        )

    slope = slope_along(closed, case.arrays, along, weights)
    differences, doubt = ridders(lambda h: float(np.real(at(h))))
    size = max(1.0, abs(differences))
    assert abs(slope - differences) <= max(1e-8 * size, 100 * doubt)
    if all(a.dtype.kind == "f" for a in case.arrays) and not any(
        np.iscomplexobj(w) for w in weights if w is not None
    ):
        exact = complex_step(at)
        if exact is not None and abs(exact - differences) <= max(1e-6 * size, 100 * doubt):
            assert_allclose(slope, exact, rtol=max(1e-11, 10 * case.rtol), atol=max(1e-12, case.rtol) * size)


def direction(random: np.random.Generator, array: np.ndarray) -> np.ndarray | None:
    """Random numbers of the shape and kind of a floating array; None for other arrays."""
    if array.dtype not in (np.float64, np.complex128):
        return None
    found = random.uniform(-1.0, 1.0, array.shape)
    return found + 1j * random.uniform(-1.0, 1.0, array.shape) if array.dtype.kind == "c" else found


def ridders(f: Callable[[float], float], start: float = 0.02, levels: int = 7) -> tuple[float, float]:
    """Slope at 0 by differences extrapolated to step 0, and how far its last two estimates lie apart.

    Ridders 1982, Accurate computation of F'(x) and F'(x)F''(x); steps are halved.
    """
    table: list[list[float]] = []
    best, doubt = np.nan, np.inf
    for level in range(levels):
        h = start / 2**level
        row = [(f(h) - f(-h)) / (2 * h)]
        for k in range(1, level + 1):
            row.append((4**k * row[k - 1] - table[-1][k - 1]) / (4**k - 1))
            change = max(abs(row[k] - row[k - 1]), abs(row[k] - table[-1][k - 1]))
            if change <= doubt:
                best, doubt = row[k], change
        table.append(row)
    return best, doubt


def complex_step(f: Callable[[complex], complex]) -> float | None:
    """Slope at 0 to rounding, where NumPy follows complex numbers; None where it does not."""
    try:
        found = np.imag(f(1e-30j)) / 1e-30
    except (TypeError, ValueError, NotImplementedError, np.linalg.LinAlgError):
        return None
    return float(found) if np.isfinite(found) else None


_MPMATH = {
    "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan, "exp": mpmath.exp, "expm1": mpmath.expm1,
    "log": mpmath.log, "log1p": lambda x: mpmath.log(1 + x), "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10, "exp2": lambda x: mpmath.power(2, x), "sqrt": mpmath.sqrt, "cbrt": mpmath.cbrt,
    "arcsin": mpmath.asin, "arccos": mpmath.acos, "arctan": mpmath.atan, "sinh": mpmath.sinh, "cosh": mpmath.cosh,
    "tanh": mpmath.tanh, "arcsinh": mpmath.asinh, "arccosh": mpmath.acosh, "arctanh": mpmath.atanh,
    "reciprocal": lambda x: 1 / x, "square": lambda x: x**2, "erf": mpmath.erf, "erfc": mpmath.erfc,
    "gammaln": mpmath.loggamma, "gamma": mpmath.gamma, "rgamma": mpmath.rgamma, "psi": mpmath.digamma,
    "expit": lambda x: 1 / (1 + mpmath.exp(-x)), "logit": lambda x: mpmath.log(x / (1 - x)),
    "log_expit": lambda x: -mpmath.log(1 + mpmath.exp(-x)), "ndtr": mpmath.ncdf,
    "log_ndtr": lambda x: mpmath.log(mpmath.ncdf(x)), "erfinv": mpmath.erfinv, "i0": lambda x: mpmath.besseli(0, x),
    "i1": lambda x: mpmath.besseli(1, x), "expi": mpmath.ei, "exp1": mpmath.e1, "erfi": mpmath.erfi,
    "erfcx": lambda x: mpmath.exp(x**2) * mpmath.erfc(x), "sinc": lambda x: mpmath.sincpi(x),
    "spence": lambda x: mpmath.polylog(2, 1 - x), "exp10": lambda x: mpmath.power(10, x),
    "cosm1": lambda x: mpmath.cos(x) - 1,
}  # fmt: skip
# Positive arguments only, or inside (0, 1).
_POSITIVE = {"log", "log2", "log10", "sqrt", "cbrt", "gammaln", "gamma", "rgamma", "psi", "exp1", "spence"}
_INSIDE = {"arcsin", "arccos", "arctanh", "logit", "erfinv", "log1p"}


@pytest.mark.parametrize("name", sorted(_MPMATH))
def test_value_and_two_derivatives_of_a_scalar_function_against_fifty_digits(name):
    import jax
    import scipy.special

    from steepest.numerics import double_precision

    function = getattr(np, name, None) or getattr(scipy.special, name)
    points = (
        P if name in _POSITIVE else 0.1 + 0.5 * P if name in _INSIDE else 1.1 + P if name == "arccosh" else v
    )
    closed = record(function, [np.array(0.5)])
    run = jax.extend.core.jaxpr_as_fun(closed)
    first = jax.grad(lambda x: run(x)[0])
    with double_precision():
        jaxpr = jax.make_jaxpr(lambda x: (run(x)[0], first(x), jax.grad(first)(x)))(np.array(0.5))
    with mpmath.workdps(50):
        for point in points:
            exact = [
                float(mpmath.re(mpmath.diff(_MPMATH[name], mpmath.mpf(float(point)), k))) for k in range(3)
            ]
            found = evaluate(jaxpr, [np.asarray(point)])
            assert_allclose([float(part) for part in found], exact, rtol=2e-11)


_OTHER_TYPES = (np.bool_, np.int32, np.int64, np.uint8, np.float32, np.complex128)


@pytest.mark.parametrize("ufunc", [u for u in rules.UFUNCS if u.signature is None], ids=lambda u: u.__name__)
def test_a_ufunc_keeps_numpys_promotion(ufunc):
    checked = 0
    for dtype in _OTHER_TYPES:
        first = (
            np.array([1, ufunc is np.reciprocal, 1, 1]).astype(dtype)
            if dtype is np.bool_
            else np.array([1, 2, 5, 3]).astype(dtype)
        )
        if dtype is np.complex128:
            first = first + 0.5j * np.array([1, -1, 2, 0.5])
        for second in (first[::-1], 2, 1.5, np.float32(0.5), np.int64(3)):
            args = (first,) if ufunc.nin == 1 else (first, second)
            try:
                with np.errstate(all="ignore"):
                    expected = flat(ufunc(*args))
            except (TypeError, ValueError):
                continue
            closed = record(lambda x, rest=args[1:]: ufunc(x, *rest), [first])
            for mine, numpys in zip(evaluate(closed, [first]), expected, strict=True):
                assert (mine.dtype, mine.shape) == (numpys.dtype, numpys.shape), (
                    args,
                    mine.dtype,
                    numpys.dtype,
                )
                precision = 1e-12 if numpys.dtype.itemsize >= 8 and numpys.dtype.kind in "fc" else 2e-3
                if numpys.dtype.char in "fF":
                    precision = 1e-5
                assert_allclose(mine, numpys, rtol=precision, err_msg=str(args))
            checked += 1
            if ufunc.nin == 1:
                break
    assert checked > 0


@pytest.mark.parametrize("function", list(rules.REFUSED), ids=lambda f: f.__name__)
def test_a_result_of_unknown_length_is_refused_with_a_rewrite(function):
    with pytest.raises(TracingError, match=r"np\.where|kernel"):
        record(lambda x: call_rule(rules.FUNCTIONS[function], (x, x), {}), [v])


def test_a_mask_that_depends_on_the_parameters_is_refused_with_a_rewrite():
    with pytest.raises(TracingError, match=r"np\.where\(mask"):
        record(lambda x: x[x > 0], [v])
