"""Parameters next to nothing between constraints end where the same ones end in their own units."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import LinearConstraint, NonlinearConstraint, isotonic_regression

import steepest as st

UNITS = [1e-2, 1e-6, 1e-12]
TARGET = np.array([1.0, 3.0, -2.0])


def constraint_and_answer(name, unit):
    """A constraint in `unit`, and where it is nearest to the target: projections, by hand."""
    return {
        "plane": ({"type": "eq", "fun": lambda x: np.sum(x)}, TARGET - TARGET.mean()),
        "half-space": ({"type": "ineq", "fun": lambda x: unit - np.sum(x)}, TARGET - 1 / 3),
        "square of a length": (
            NonlinearConstraint(lambda x: np.sum(x**2), -np.inf, unit**2),
            TARGET / np.linalg.norm(TARGET),
        ),
        "length": (
            NonlinearConstraint(lambda x: np.linalg.norm(x), -np.inf, unit),
            TARGET / np.linalg.norm(TARGET),
        ),
        "sizes": (
            NonlinearConstraint(lambda x: np.sum(np.abs(x)), unit, 2 * unit),
            np.array([0.0, 1.5, -0.5]),
        ),
    }[name]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", ["plane", "half-space", "square of a length", "length", "sizes"])
@pytest.mark.parametrize("weight", [1.0, None])
def test_projections_are_the_same_in_any_unit(name, unit, weight):
    constraint, answer = constraint_and_answer(name, unit)
    weight = unit**-2 if weight is None else weight
    found = st.minimize(
        lambda x: weight * np.sum((x - unit * TARGET) ** 2), np.full(3, 0.1 * unit), constraints=constraint
    )
    assert found.success
    assert_allclose(found.x / unit, answer, atol=1e-9)


@pytest.mark.parametrize("unit", UNITS)
def test_multipliers_come_back_in_the_units_of_the_user(unit):
    found = st.minimize(
        lambda x: np.sum((x - unit * TARGET) ** 2),
        np.zeros(3),
        constraints={"type": "eq", "fun": lambda x: np.sum(x)},
    )
    (multiplier,) = found.multipliers.values()
    assert multiplier == pytest.approx(-2 * unit * TARGET.mean(), rel=1e-9)


@pytest.mark.parametrize("unit", UNITS)
def test_slopes_in_the_history_are_in_the_units_of_the_user(unit):
    found = st.minimize(
        lambda x: np.sum((x - unit * TARGET) ** 2),
        np.zeros(3),
        constraints={"type": "eq", "fun": lambda x: np.sum(x)},
    )
    assert_allclose(found.history.gradient_norm[0], 2 * unit * np.linalg.norm(TARGET), rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-3, *UNITS[1:]])
def test_isotonic_regression_in_any_unit(unit):
    data = unit * np.cumsum(np.random.default_rng(1).standard_normal(30))
    found = st.minimize(
        lambda x: np.sum((x - data) ** 2),
        np.zeros(30),
        constraints={"type": "ineq", "fun": lambda x: np.diff(x)},
    )
    assert found.success
    assert_allclose(found.x / unit, isotonic_regression(data).x / unit, atol=1e-8)


def test_a_limit_of_a_billionth_is_kept():
    found = st.minimize(
        lambda x: np.sum((x / 1e-9 - TARGET) ** 2),
        np.full(3, 1e-10),
        bounds=[(0, 2e-9)] * 3,
        constraints=LinearConstraint(np.ones((1, 3)), -np.inf, 2.5e-9),
    )
    assert found.success
    assert_allclose(found.x / 1e-9, [0.5, 2.0, 0.0], atol=1e-9)


def test_a_spent_budget_leaves_the_best_point():
    def cost(x):
        return np.sum((x - 1e-6 * TARGET) ** 2)

    for calls in (1, 2, 5, 9):
        found = st.minimize(
            cost,
            np.zeros(3),
            constraints={"type": "ineq", "fun": lambda x: 1e-6 - np.sum(x)},
            budget=calls,
        )
        assert found.nfev <= calls and found.fun <= cost(np.zeros(3)) and found.verdict == "out of budget"
