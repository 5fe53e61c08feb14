"""Kinked costs with known minima: linear programs, closed forms and other methods tell the truth."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linprog
from scipy.optimize import minimize as scipy_minimize

from steepest import InputError, Verdict, minimize

RNG = np.random.default_rng(0)
X = np.column_stack([np.ones(80), RNG.standard_normal((80, 3))])
Y = X @ np.arange(1.0, 5.0) + RNG.standard_t(2, 80)


def quantile_by_linear_program(q):
    m, n = X.shape
    costs = np.concatenate([np.zeros(2 * n), np.full(m, q), np.full(m, 1 - q)])
    found = linprog(costs, A_eq=np.hstack([X, -X, np.eye(m), -np.eye(m)]), b_eq=Y)
    return found.x[:n] - found.x[n : 2 * n], found.fun


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_quantile_regression_is_the_linear_programs(q):
    result = minimize(
        lambda b: np.sum(np.maximum(q * (Y - X @ b), (q - 1) * (Y - X @ b))), np.zeros(X.shape[1])
    )
    best, value = quantile_by_linear_program(q)
    assert result.plan.taken == ("split interior point",)
    assert result.verdict is Verdict.MINIMUM_AT_A_KINK
    np.testing.assert_allclose(result.fun, value, rtol=1e-12)
    np.testing.assert_allclose(result.x, best, rtol=1e-9)
    assert (result.digits >= 9).all()


def test_the_best_polynomial_in_the_largest_error_is_the_linear_programs():
    t = np.linspace(-1, 1, 61)
    V = np.vander(t, 5)
    m = t.size
    found = linprog(
        np.append(np.zeros(5), 1.0),
        A_ub=np.block([[V, -np.ones((m, 1))], [-V, -np.ones((m, 1))]]),
        b_ub=np.concatenate([np.exp(t), -np.exp(t)]),
        bounds=[(None, None)] * 6,
    )
    result = minimize(lambda c: np.max(np.abs(V @ c - np.exp(t))), np.zeros(5))
    assert result.success
    np.testing.assert_allclose(result.fun, found.fun, rtol=1e-9)
    np.testing.assert_allclose(result.x, found.x[:5], rtol=1e-7)


def test_lasso_meets_its_conditions_and_its_zeros_are_exact():
    A, weight = RNG.standard_normal((60, 30)), 12.0
    y = A[:, :3] @ np.array([3.0, -2.0, 1.0]) + 0.1 * RNG.standard_normal(60)
    result = minimize(lambda w: np.sum((A @ w - y) ** 2) + weight * np.sum(np.abs(w)), np.zeros(30))
    w = np.where(np.abs(result.x) < 1e-14, 0.0, result.x)
    slope = 2 * A.T @ (A @ w - y)
    assert result.verdict is Verdict.MINIMUM_AT_A_KINK and "no lower point exists" in result.message
    assert 0 < (w == 0).sum() < 30
    np.testing.assert_allclose(slope[w != 0], -weight * np.sign(w[w != 0]), rtol=1e-11)
    assert (np.abs(slope[w == 0]) <= weight).all()


def test_total_variation_of_many_parameters_meets_its_conditions():
    """u - signal = λ·Dᵀs with |s| <= 1, and s the sign of each jump (Condat 2013): a chain, summed from one end."""
    signal = np.repeat([0.0, 1.0, 0.3], 40) + 0.1 * RNG.standard_normal(120)
    result = minimize(
        lambda u: 0.5 * np.sum((u - signal) ** 2) + 0.5 * np.sum(np.abs(np.diff(u))), np.zeros(120)
    )
    assert result.verdict is Verdict.MINIMUM_AT_A_KINK
    s = np.cumsum(result.x - signal)[:-1] / 0.5
    jump = np.diff(result.x)
    assert (np.abs(s) <= 1 + 1e-9).all()
    moving = np.abs(jump) > 1e-9
    assert 0 < moving.sum() < 20
    np.testing.assert_allclose(s[moving], np.sign(jump[moving]), atol=1e-9)


def test_a_curved_valley_of_kinks_is_followed_to_its_end():
    """Nesterov's chained, kinked Rosenbrock function (Gürbüzbalaban & Overton 2012): methods of slopes stall in it."""
    result = minimize(
        lambda x: 0.25 * (x[0] - 1) ** 2 + np.sum(np.abs(x[1:] - 2 * x[:-1] ** 2 + 1)),
        np.array([-1.0, 1.0, 1.0, 1.0]),
    )
    assert result.success and result.fun < 1e-20
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-9)


def test_bounds_hold_beside_kinks():
    result = minimize(
        lambda x: np.abs(x[0] - 3) + (x[1] - 1) ** 2 + np.abs(x[0] + x[1]),
        np.array([0.5, 0.5]),
        bounds=[(0, 2), (-1, 0.25)],
    )
    # With x0 <= 2 and x1 <= 1/4 the sums are 3 + x1 + (x1 - 1)², lowest at x1 = 1/4 for every x0.
    np.testing.assert_allclose(result.fun, 3.25 + 0.5625, rtol=1e-12)
    assert result.success and (0 <= result.x[0] <= 2)


@pytest.mark.parametrize("factor", [1e-8, 1e8])
def test_units_of_the_cost_change_nothing(factor):
    def cost(b):
        return np.sum(np.abs(Y - X @ b)) + 0.5 * np.sum(b**2)

    plain = minimize(cost, np.zeros(4))
    scaled = minimize(lambda b: factor * cost(b), np.zeros(4))
    assert scaled.verdict is plain.verdict
    np.testing.assert_allclose(scaled.x, plain.x, rtol=1e-8)


def test_a_cost_without_kinks_is_refused_by_name():
    with pytest.raises(InputError, match="no such kink was found"):
        minimize(lambda x: np.sum(x**2), np.ones(1), method="split interior point")


@pytest.mark.parametrize("x", [1.0, 0.3, -1e-3])
def test_a_kink_that_is_no_minimum_is_not_called_one(x):
    from steepest import verify

    found = verify(lambda p: np.abs(p[0]) + 1.5 * p[0] + p[1] ** 2, np.array([0.0, x]))
    assert not found.success
    found = verify(lambda p: np.abs(p[0]) + p[0] + (p[1] - x) ** 2, np.array([0.0, x]))
    assert found.success


def test_digits_at_a_kink_are_not_more_than_there_are():
    """Along the kink the cost is of fourth order, so its minimum is found to a few digits only."""
    result = minimize(lambda x: (x[0] - 1) ** 4 + np.abs(x[1]), np.array([0.3, 0.3]))
    error = np.abs(result.x - np.array([1.0, 0.0]))
    true = -np.log10(np.maximum(error, 1e-16))
    assert (result.digits <= true + 1.0).all()


def test_units_of_the_parameters_change_neither_the_answer_nor_the_work():
    units = 10.0 ** np.arange(-9, 10, 6)
    plain = minimize(lambda b: np.sum(np.abs(Y - X @ b)) + 0.5 * b[0] ** 2, np.zeros(4))
    scaled = minimize(
        lambda b: np.sum(np.abs(Y - X @ (b * units))) + 0.5 * (b[0] * units[0]) ** 2, np.zeros(4)
    )
    assert scaled.verdict is plain.verdict and scaled.nfev == plain.nfev
    np.testing.assert_allclose(scaled.x * units, plain.x, rtol=1e-10)
    np.testing.assert_allclose(scaled.digits, plain.digits, atol=1.0)


def test_a_kink_and_a_smooth_parameter_of_very_different_size_each_have_their_digits():
    result = minimize(
        lambda x: (
            np.abs(1e-10 * x[0] - 1) + np.abs(1e10 * x[1] - 2) + (1e-10 * x[0]) ** 2 + (1e3 * x[2] - 1) ** 2
        ),
        np.array([5e9, 1e-10, 0.0]),
    )
    np.testing.assert_allclose(result.x, [5e9, 2e-10, 1e-3], rtol=1e-12)
    assert (result.digits > 12).all()


@pytest.mark.parametrize("evaluations", [1, 2, 5, 8])
def test_a_budget_covers_the_evaluations_of_the_smooth_program(evaluations):
    result = minimize(lambda b: np.sum(np.abs(Y - X @ b)), np.zeros(4), budget=evaluations)
    assert result.verdict is Verdict.OUT_OF_BUDGET and result.nfev <= evaluations


def test_a_walk_that_cannot_begin_does_not_say_that_it_arrived():
    """One side of the kink is not finite at the start, though the cost is."""
    result = minimize(
        lambda x: np.minimum(np.maximum(x[0] / (x[1] - 1.0), -1.0), 3.0) + np.sum(x**2),
        np.array([1.0, 1.0]),
        method="split interior point",
    )
    assert result.stop != "first-order conditions hold"


def _rosen_suzuki(x):
    f1 = x[0] ** 2 + x[1] ** 2 + 2 * x[2] ** 2 + x[3] ** 2 - 5 * x[0] - 5 * x[1] - 21 * x[2] + 7 * x[3]
    f2 = x @ x + x[0] - x[1] + x[2] - x[3] - 8
    f3 = x[0] ** 2 + 2 * x[1] ** 2 + x[2] ** 2 + 2 * x[3] ** 2 - x[0] - x[3] - 10
    f4 = 2 * x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + 2 * x[0] - x[1] - x[3] - 5
    return np.maximum(np.maximum(f1, f1 + 10 * f2), np.maximum(f1 + 10 * f3, f1 + 10 * f4))


# Lukšan & Vlček, "Test problems for nonsmooth unconstrained and linearly constrained optimization" (2000), with the
# minima to as many digits as stand there.
NONSMOOTH = {
    "CB2": (
        lambda x: np.max(
            np.array([x[0] ** 2 + x[1] ** 4, (2 - x[0]) ** 2 + (2 - x[1]) ** 2, 2 * np.exp(x[1] - x[0])])
        ),
        (1.0, -0.1),
        1.9522245,
    ),
    "Rosen-Suzuki": (_rosen_suzuki, (0.0, 0.0, 0.0, 0.0), -44.0),
    "Mifflin 2": (
        lambda x: -x[0] + 2 * (x[0] ** 2 + x[1] ** 2 - 1) + 1.75 * np.abs(x[0] ** 2 + x[1] ** 2 - 1),
        (-1.0, -1.0),
        -1.0,
    ),
}


@pytest.mark.parametrize(("cost", "start", "lowest"), NONSMOOTH.values(), ids=NONSMOOTH)
def test_problems_of_the_literature_end_in_their_known_minima(cost, start, lowest):
    result = minimize(cost, np.array(start))
    assert result.verdict is Verdict.MINIMUM_AT_A_KINK and (result.digits > 10).all()
    np.testing.assert_allclose(result.fun, lowest, rtol=1e-8)


def test_kinks_around_loops_of_equal_values_are_shown_to_balance():
    """Total variation of a picture: in each flat patch the kinks depend on each other, and many multipliers would do.

    The truth is the dual problem, max y·Dᵀu - |Dᵀu|²/2 over |u| <= weight (Chambolle 2004): any of its values is a
    lower bound of the cost.
    """
    rng = np.random.default_rng(14)
    picture = 0.2 * rng.normal(size=(14, 14))
    picture[4:10, 4:9] += 1.0
    weight = 0.3

    def cost(x):
        steps = np.sum(np.abs(np.diff(x, axis=0))) + np.sum(np.abs(np.diff(x, axis=1)))
        return 0.5 * np.sum((x - picture) ** 2) + weight * steps

    answer = minimize(cost, picture)
    step = np.diff(np.eye(14), axis=0)
    D = np.vstack([np.kron(step, np.eye(14)), np.kron(np.eye(14), step)])
    y = picture.ravel()
    dual = scipy_minimize(
        lambda u: (0.5 * np.sum((u @ D) ** 2) - u @ D @ y, D @ (u @ D) - D @ y),
        np.zeros(len(D)),
        jac=True,
        bounds=[(-weight, weight)] * len(D),
        options={"ftol": 1e-16, "gtol": 1e-12, "maxiter": 20_000, "maxfun": 100_000},
    )
    assert answer.verdict == "minimum at a kink"
    np.testing.assert_allclose(answer.fun, -dual.fun, rtol=1e-10)


def test_steps_that_creep_are_given_up_for_another_method():
    """A median of a maximum beside logarithms: hundreds of steps in a row are cut to 1e-4 and less of their length.

    The end, off the kinks, is level by central differences.
    """
    C = np.array([1.1, -0.4, 0.3, 0.9, -0.2, 1.6, 0.6, -1.2, 0.2, 0.5, -0.7, 0.8, 0.1])

    def cost(x):
        steps = np.diff(x, append=0.0)
        bend = np.median(np.minimum(x[::-1], 0.0))
        return np.hypot(100.0 + np.sum(np.log1p(steps**2)), bend) + 0.01 * np.sum((x - C) ** 2)

    found = minimize(cost, np.linspace(-4.0, 22.0, 13), starts=1)
    assert found.success and found.nfev < 6000
    h = 1e-5
    level = [(cost(found.x + h * e) - cost(found.x - h * e)) / (2 * h) for e in np.eye(13)]
    assert np.abs(level).max() < 1e-6


@pytest.mark.parametrize("seed", range(12))
def test_a_column_that_is_the_sum_of_others_leads_nowhere_far(seed):
    draw = np.random.default_rng(seed)
    A = draw.normal(size=(30, 4))
    A, b = np.column_stack([A, A[:, 0] + A[:, 1]]), draw.normal(size=30)
    found = minimize(lambda x: np.abs(A @ x - b).sum(), np.ones(5))
    least = least_absolute_sum(A, b)
    assert found.success, found.message
    assert_allclose(found.fun, least, rtol=1e-10)
    assert np.abs(found.x).max() < 10.0


@pytest.mark.parametrize("size", [1e-12, 1e-8, 1e8])
def test_a_way_that_is_truly_long_is_gone(size):
    draw = np.random.default_rng(5)
    A, b = draw.normal(size=(30, 3)), draw.normal(size=30)
    found = minimize(lambda x: np.abs(size * (A @ x) - b).sum(), np.zeros(3))
    assert_allclose(found.fun, least_absolute_sum(A, b), rtol=1e-12)


def test_a_parameter_that_the_cost_does_not_feel_stays():
    draw = np.random.default_rng(5)
    A, b = np.column_stack([draw.normal(size=(30, 3)), np.zeros(30)]), draw.normal(size=30)
    found = minimize(lambda x: np.abs(A @ x - b).sum(), [0.0, 0.0, 0.0, 0.25])
    assert_allclose(found.fun, least_absolute_sum(A, b), rtol=1e-12)
    assert abs(found.x[3]) < 10.0


@pytest.mark.parametrize("seed", [3, 14, 107, 111, 123, 125, 133, 155, 157, 158])
@pytest.mark.parametrize("worst", [False, True], ids=["sum", "largest"])
def test_a_matrix_of_less_than_full_rank_costs_no_digits(seed, worst):
    """Of 3 to 8 columns some are sums of others; every second case has weights over four orders of magnitude."""
    draw = np.random.default_rng(seed)
    n, m = int(draw.integers(3, 9)), int(draw.integers(8, 40))
    rank = int(draw.integers(1, n))
    A, b = draw.normal(size=(m, rank)) @ draw.normal(size=(rank, n)), 10.0 * draw.normal(size=m)
    weights = 10.0 ** draw.uniform(-2, 2, m) if seed % 2 else np.ones(m)
    A, b = weights[:, None] * A, weights * b

    def cost(x):
        return np.max(np.abs(A @ x - b)) if worst else np.sum(np.abs(A @ x - b))

    found = minimize(cost, draw.normal(size=n))
    least = (largest_absolute if worst else least_absolute_sum)(A, b)
    assert found.success, found.message
    assert_allclose(found.fun, least, rtol=1e-10)


def largest_absolute(A, b):
    """The least max |Ax - b|, as a linear program by HiGHS."""
    m, n = A.shape
    rows = np.block([[A, -np.ones((m, 1))], [-A, -np.ones((m, 1))]])
    return linprog(np.append(np.zeros(n), 1.0), rows, np.concatenate([b, -b]), bounds=(None, None)).fun


def least_absolute_sum(A, b):
    """The least sum of |Ax - b|, as a linear program by HiGHS."""
    m, n = A.shape
    cost = np.concatenate([np.zeros(n), np.ones(2 * m)])
    equations = np.hstack([A, np.eye(m), -np.eye(m)])
    return linprog(cost, A_eq=equations, b_eq=b, bounds=[(None, None)] * n + [(0, None)] * (2 * m)).fun


@pytest.mark.parametrize("start", [[1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
def test_a_cost_that_falls_like_a_line_is_told_in_tens_of_steps(start):
    for cost in (
        lambda x: np.linalg.norm(x) - 2 * x[0],
        lambda x: np.linalg.norm(x - 3) - 1.01 * x[0],
        lambda x: np.sum(np.abs(x)) - 2 * x[0],
        lambda x: np.max(x) - 2 * x[0] + np.sum(x[1:] ** 2),
    ):
        result = minimize(cost, start)
        assert result.verdict is Verdict.UNBOUNDED_BELOW and result.nfev < 400, result.message


def test_where_a_bound_ends_the_way_down_it_is_not_asked_at_each_step_whether_the_cost_falls_for_ever():
    result = minimize(lambda x: np.linalg.norm(x) - 2 * x[0], [1.0, 1.0], bounds=[(None, 1e20), (None, None)])
    assert result.success and result.fun == pytest.approx(-1e20, rel=1e-12)
    assert result.nfev < 600, result.nfev
