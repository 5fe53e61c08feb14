"""Choices by the sign of a difference, as people write them: what each is on either side, and where they end."""

import numpy as np
import pytest
from scipy.optimize import linprog

import steepest as st
from steepest.numerics import double_precision
from steepest.parameters import Parameters
from steepest.structure.patterns import patterns
from steepest.structure.reading import Reading
from steepest.tracing.passes import simplify, with_outputs
from steepest.tracing.primitives import evaluate
from steepest.tracing.trace import trace

RNG = np.random.default_rng(4)
A, B = RNG.standard_normal((11, 3)), RNG.standard_normal(11)
LEVELS = np.linspace(0.1, 0.9, 11)
EVEN = np.arange(11) % 2 == 0


def residual(x):
    return A @ x - B


# A quantile loss of the residual with a level for each row: r·w where r > 0, r·(w - 1) where r < 0.
QUANTILE = {
    "multiples chosen": lambda x: np.where(residual(x) > 0, LEVELS * residual(x), (LEVELS - 1) * residual(x)),
    "the other way round": lambda x: np.where(
        residual(x) <= 0, (LEVELS - 1) * residual(x), LEVELS * residual(x)
    ),
    "data and model": lambda x: np.where(A @ x > B, LEVELS * (A @ x - B), (1 - LEVELS) * (B - A @ x)),
    "data below": lambda x: np.where(A @ x >= B, (A @ x - B) * LEVELS, -(A @ x - B) * (1 - LEVELS)),
    "weights chosen": lambda x: residual(x) * np.where(residual(x) > 0, LEVELS, LEVELS - 1),
    "an indicator": lambda x: (LEVELS - (residual(x) < 0)) * residual(x),
    "two indicators": lambda x: (
        LEVELS * residual(x) * (residual(x) > 0) - (1 - LEVELS) * residual(x) * (residual(x) < 0)
    ),
    "indicators of some rows": lambda x: (
        LEVELS * residual(x) * ((residual(x) > 0) & EVEN)
        + LEVELS * residual(x) * ((residual(x) > 0) & ~EVEN)
        - (1 - LEVELS) * residual(x) * (residual(x) < 0)
    ),
    "indicators or rows": lambda x: (
        LEVELS * residual(x) * ((residual(x) > 0) | EVEN) * ~EVEN
        + LEVELS * residual(x) * ((residual(x) > 0) | ~EVEN) * EVEN
        - (1 - LEVELS) * residual(x) * (residual(x) < 0)
    ),
    "a sign": lambda x: 0.5 * residual(x) * (np.sign(residual(x)) + 2 * LEVELS - 1),
    "pieces": lambda x: (
        np.piecewise(
            residual(x) * 1.0, [residual(x) > 0, residual(x) <= 0], [lambda r: 0.3 * r, lambda r: -0.7 * r]
        )
        + (LEVELS - 0.3) * residual(x)
    ),
    "selected": lambda x: np.select(
        [residual(x) > 0, residual(x) <= 0], [LEVELS * residual(x), (LEVELS - 1) * residual(x)]
    ),
    "in a table": lambda x: np.where(
        residual(x)[:, None] > 0, (LEVELS * residual(x))[:, None], ((LEVELS - 1) * residual(x))[:, None]
    ),
    "row by row": lambda x: sum(
        np.where(A[i] @ x > B[i], LEVELS[i] * (A[i] @ x - B[i]), (1 - LEVELS[i]) * (B[i] - A[i] @ x))
        for i in range(11)
    ),
}

# The same, where the choice is that of an absolute value.
SIZES = {
    "absolute value": lambda x: 0.5 * np.abs(residual(x)) + (LEVELS - 0.5) * residual(x),
    "root of a square": lambda x: 0.5 * np.sqrt(residual(x) ** 2) + (LEVELS - 0.5) * residual(x),
    "power of a product": lambda x: (lambda r: 0.5 * (r * r) ** 0.5 + (LEVELS - 0.5) * r)(residual(x)),
}

OTHERS = {
    "a jump": lambda x: np.where(residual(x) > 0, 1.0, -1.0),
    "sides that do not meet": lambda x: np.where(residual(x) > 0, residual(x) + 0.5, residual(x)),
    "another difference": lambda x: np.where(residual(x) > 0, x[0], -x[0]),
    "bends both ways": lambda x: np.where(residual(x) > 0, (LEVELS - 0.5) * residual(x), 0.0),
    "a curve": lambda x: np.where(residual(x) > 0, residual(x) ** 2, -residual(x)),
    "one slope": lambda x: np.where(residual(x) > 0, 2 * residual(x), residual(x) * 2),
    "rounded": lambda x: residual(x).astype(int) * (residual(x) > 0),
    "root of a sum": lambda x: np.sqrt(residual(x) ** 2 + 1.0),
    "root of a fourth power": lambda x: np.sqrt(residual(x) ** 4),
    "infinite": lambda x: np.where(residual(x) > 0, np.inf * residual(x), residual(x)),
}


def choices_of(cost):
    with double_precision():
        program = simplify(trace(cost, Parameters.of(np.ones(3), "x")).jaxpr, keep_derivatives=True)
    return [p for p in patterns(Reading(program, keep_derivatives=True)).values() if p.sides is not None]


@pytest.mark.parametrize("loss", [*QUANTILE.values(), *SIZES.values()], ids=[*QUANTILE, *SIZES])
def test_it_ends_where_linear_programming_does_however_it_is_written(loss):
    cost = lambda x: np.sum(loss(x))  # noqa: E731
    # min Σ w·p + (1 - w)·q over A x - B = p - q and p, q >= 0.
    known = linprog(
        np.concatenate([np.zeros(3), LEVELS, 1 - LEVELS]),
        A_eq=np.hstack([A, -np.eye(11), np.eye(11)]),
        b_eq=B,
        bounds=[(None, None)] * 3 + [(0, None)] * 22,
    )
    result = st.minimize(cost, np.zeros(3))
    assert result.fun == pytest.approx(known.fun, rel=1e-9)
    assert result.verdict == "minimum at a kink"
    assert result.nfev < 150


@pytest.mark.parametrize("loss", QUANTILE.values(), ids=QUANTILE)
def test_each_side_is_the_multiple_of_the_difference_that_it_says(loss):
    with double_precision():
        program = simplify(
            trace(lambda x: np.sum(loss(x)), Parameters.of(np.ones(3), "x")).jaxpr, keep_derivatives=True
        )
    reading = Reading(program, keep_derivatives=True)
    found = {var: p for var, p in patterns(reading).items() if p.sides is not None}
    assert found
    for var, pattern in found.items():
        wanted = [var, *(atom for atom in pattern.operands if reading.depends(atom))]
        for x in RNG.standard_normal((4, 3)):
            value, *varying = evaluate(with_outputs(reading.closed, wanted), x)
            varying = iter(varying)
            a, *rest = (
                next(varying) if reading.depends(o) else reading.constant(o) for o in pattern.operands
            )
            d = np.ravel(a - rest[0] if rest else a)
            (p, c), (q, e) = pattern.sides.above, pattern.sides.below
            np.testing.assert_allclose(
                np.ravel(value), np.where(d > 0, p * d + c, q * d + e), rtol=1e-13, atol=1e-15
            )


@pytest.mark.parametrize("loss", OTHERS.values(), ids=OTHERS)
def test_what_is_no_bend_by_one_difference_is_not_taken_for_one(loss):
    assert not choices_of(lambda x: np.sum(loss(x)))
