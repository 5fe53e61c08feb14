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


@pytest.mark.parametrize("begins", [0.0, 1.0])
@pytest.mark.parametrize("size", [1e4, 1e8, 1e10])
def test_small_slopes_beside_large_parameters_cost_no_steps(size, begins):
    random = np.random.default_rng(0)
    m, n = 13, 40
    A, data, limits = random.uniform(-1, 1, (m, n)), random.standard_normal(n), random.standard_normal(m)
    for b in (np.zeros(m), limits):
        nearest = data - np.linalg.pinv(A) @ (A @ data - b)
        found = st.minimize(
            lambda x: np.sum((x / size - data) ** 2),
            np.full(n, begins * size),
            constraints=LinearConstraint(A / size, b, b),
        )
        assert found.success and found.nit <= 5
        assert_allclose(found.x / size, nearest, atol=1e-8)
    between = st.minimize(
        lambda x: np.sum((x / size - data) ** 2),
        np.full(n, begins * size),
        constraints=LinearConstraint(A / size, -np.inf, 0.0),
    )
    in_units = st.minimize(
        lambda x: np.sum((x - data) ** 2), np.full(n, begins), constraints=LinearConstraint(A, -np.inf, 0.0)
    )
    assert between.success and between.nit <= 3 * in_units.nit + 5
    assert_allclose(between.x / size, in_units.x, atol=1e-6)


def test_the_unit_of_a_row_grows_with_the_parameters_and_not_beyond_one():
    J = np.array([[1e-8, 0.0], [1e-8, 1e-3], [0.0, 5.0]])
    block = Block(3, lambda x: J @ x, lambda x: J, lambda x, u: 0.0, linear=True)
    rows = Rows(2, np.zeros(3), np.zeros(3), ("a", "b", "c"), (block,), np.array([2, 0, 1]))
    assert_allclose(rows.units, [1e-3, 1.0, 1e-8])
    assert_allclose(rows.units_at(np.array([-1e4, 0.1])), [1e-3, 1.0, 1e-4])
    assert_allclose(rows.units_at(np.array([1e12, 1e12])), 1.0)
