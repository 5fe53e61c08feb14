"""Linear constraints multiplied by numbers of any size are the same constraints."""

import numpy as np
import pytest
import scipy.sparse as sparse
from numpy.testing import assert_allclose
from scipy.optimize import LinearConstraint, isotonic_regression

import steepest as st
from steepest.constraints.rows import Block, Rows
from steepest.solvers.constrained_driver import missed


@pytest.mark.parametrize("unit", [1e-9, 1e-6, 1e-3, 1.0, 1e8])
@pytest.mark.parametrize("n", [5, 40, 400])
def test_a_row_of_differences_is_one_in_any_unit(n, unit):
    data = np.random.default_rng(n).standard_normal(n)
    rows = sparse.diags_array([np.ones(n - 1), -np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n)).tocsc()
    found = st.minimize(
        lambda x: 0.5 * np.sum((x - data) ** 2),
        np.zeros(n),
        constraints=LinearConstraint(unit * rows, -np.inf, 0.0),
    )
    assert found.success
    assert_allclose(found.x, isotonic_regression(data).x, atol=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_rows_of_unlike_units_lead_to_the_same_minimum(seed):
    random = np.random.default_rng(seed)
    n, m = 12, 7
    A, inside, c = random.standard_normal((m, n)), random.standard_normal(n), random.standard_normal(n)
    lower = A @ inside - np.where(np.arange(m) < 3, 0.0, 0.1)
    upper = np.where(np.arange(m) < 3, lower, np.inf)
    units = 10.0 ** random.uniform(-9, 9, m)

    def cost(x):
        return np.sum(np.exp(c * x)) + 0.1 * np.sum(x**4)

    start = random.standard_normal(n)
    one = st.minimize(cost, start, constraints=LinearConstraint(A, lower, upper))
    other = st.minimize(
        cost, start, constraints=LinearConstraint(A * units[:, None], lower * units, upper * units)
    )
    assert one.success and other.success
    assert_allclose(other.x, one.x, atol=1e-7)
    multipliers = [np.array(list(found.multipliers.values())) for found in (one, other)]
    assert_allclose(multipliers[1] * units, multipliers[0], atol=1e-6)


@pytest.mark.parametrize("unit", [1e-10, 1.0])
def test_a_row_missed_by_a_tenth_is_missed_in_any_unit(unit):
    J = unit * np.array([[1.0, 1.0]])
    row = Block(1, lambda x: J @ x, lambda x: J, lambda x, u: 0.0, linear=True)
    rows = Rows(2, np.array([unit]), np.array([np.inf]), ("x + y >= 1",), (row,), np.arange(1))
    assert missed(rows, np.array([0.5, 0.4])) == pytest.approx(0.1)
    assert missed(rows, np.array([0.5, 0.5])) == 0.0
