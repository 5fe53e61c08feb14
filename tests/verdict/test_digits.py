"""The digits claimed are digits had: against NIST's certified answers, and those of costs of many parameters."""

import numpy as np
import pytest

import steepest
from steepest.linear_algebra.sparse_factor import SymmetricPattern
from steepest.objective import Objective
from steepest.reference_problems import nist
from steepest.verdict.judge import judge

# The answers are certified to eleven digits; what is claimed beyond them cannot be checked.
CERTIFIED = 10.5


@pytest.mark.parametrize("name", nist.NAMES)
@pytest.mark.parametrize("start", [0, 1])
def test_no_parameter_has_a_digit_more_claimed_than_it_has(name, start):
    data = nist.load(name)
    with np.errstate(all="ignore"):
        result = steepest.minimize(data.cost, data.starts[start])
    if not result.success:
        return  # nothing is claimed
    error = np.abs(result.x - data.parameters) / np.abs(data.parameters)
    true = np.clip(-np.log10(np.maximum(error, 1e-16)), 0.0, 16.0)
    assert (np.minimum(result.digits, CERTIFIED) <= true + 1.0).all()


# With very many parameters: against exact answers, and answers refined in extended precision.

MANY = 1_000
EXTENDED = np.longdouble
WEIGHT = np.random.default_rng(3).uniform(0.5, 2.0, MANY)
extended = pytest.mark.skipif(np.finfo(EXTENDED).eps > 1e-18, reason="long doubles are doubles here")


def true_digits(x, answer):
    error = np.abs(x.astype(EXTENDED) - answer).astype(np.float64)
    answer = np.abs(answer.astype(np.float64))
    return np.clip(-np.log10(np.maximum(error / np.where(answer > 0, answer, 1.0), 1e-16)), 0.0, 16.0)


def chain(x):
    return np.sum(np.exp(x) - 3 * WEIGHT * x) + np.sum((x[1:] - x[:-1]) ** 2)


def chain_slope(x):
    slope = np.exp(x) - 3 * WEIGHT.astype(EXTENDED)
    difference = 2 * (x[1:] - x[:-1])
    slope[1:] += difference
    slope[:-1] -= difference
    return slope


STEP = 1 / (MANY + 1)


def boundary_value(u):
    """The squared residuals of u'' = exp(u), u = 0 at both ends, by second differences."""
    p = np.concatenate([np.zeros(1), u, np.zeros(1)])
    return np.sum(((p[2:] - 2 * p[1:-1] + p[:-2]) / STEP**2 - np.exp(u)) ** 2)


def boundary_value_slope(u):
    h = EXTENDED(STEP) ** 2
    p = np.concatenate([[EXTENDED(0)], u, [EXTENDED(0)]])
    residual = (p[2:] - 2 * p[1:-1] + p[:-2]) / h - np.exp(u)
    slope = residual * (-2 / h - np.exp(u))
    slope[1:] += residual[:-1] / h
    slope[:-1] += residual[1:] / h
    return 2 * slope


def refined(objective, slope, x, free=None):
    """The minimum near `x` (n,) by Newton steps with slopes in extended precision; parameters outside `free` stay."""
    from scipy.sparse.linalg import splu

    free = np.ones(x.size, dtype=bool) if free is None else free
    answer = x.astype(EXTENDED)
    for _ in range(40):
        H = objective.sparse_hessian(answer.astype(np.float64))[free][:, free]
        step = splu(H.tocsc()).solve(slope(answer)[free].astype(np.float64))
        answer[free] -= step
    assert np.abs(step).max() <= 1e-17 * np.abs(answer).max()
    return answer


OFF = [0.0, 1e-13, 1e-10, 1e-8]


def moved(x, off, free=True):
    return x * (1.0 + np.where(free, off * np.random.default_rng(1).standard_normal(x.size), 0.0))


@pytest.mark.parametrize("off", OFF)
def test_many_parameters_of_a_quadratic_with_an_exact_answer(off):
    answer = np.round(1024 * (1.5 + np.sin(np.arange(MANY) / 7.0))) / 1024
    pull = 2.5 * answer - np.append(answer[1:], 0.0) - np.append(0.0, answer[:-1])  # exact in binary

    def cost(x):
        return 1.25 * np.sum(x * x) - np.sum(x[1:] * x[:-1]) - np.sum(pull * x)

    x = moved(answer, off)
    digits = steepest.verify(cost, x).digits
    true = true_digits(x, answer)
    assert (digits <= true + 1.0).all()
    assert (digits >= np.minimum(true, 15.0) - 1.5).all()


def test_many_parameters_of_rosenbrocks_chain():
    def cost(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    result = steepest.minimize(cost, np.full(2000, 0.7))
    true = true_digits(result.x, np.ones(2000))
    assert (result.digits <= true + 1.0).all()
    assert result.digits.min() > 12.0
    assert len(str(result)) < 4_000


@extended
@pytest.mark.parametrize("off", OFF)
def test_many_parameters_of_a_convex_chain(off):
    result = steepest.minimize(chain, np.zeros(MANY))
    answer = refined(result._problem.objective, chain_slope, result.x)
    x = moved(result.x, off)
    digits = steepest.verify(chain, x).digits
    true = true_digits(x, answer)
    assert (digits <= true + 1.0).all()
    assert (digits >= np.minimum(true, 15.0) - 1.5).all()


@extended
@pytest.mark.parametrize("off", OFF)
def test_many_parameters_of_which_bounds_hold_some(off):
    low, high = 0.8, 1.2
    result = steepest.minimize(chain, np.ones(MANY), bounds=[(low, high)] * MANY)
    free = (result.x > low) & (result.x < high)
    assert 50 < free.sum() < MANY - 50
    answer = refined(result._problem.objective, chain_slope, result.x, free)
    x = moved(result.x, off, free)
    digits = steepest.verify(chain, x, bounds=[(low, high)] * MANY).digits
    true = true_digits(x, answer)
    assert (digits[~free] > 15.9).all()
    assert (digits <= true + 1.0).all()
    assert (digits >= np.minimum(true, 15.0) - 1.5).all()


@extended
def test_many_parameters_of_a_boundary_value_problem():
    """Its condition number is 10¹², so that four digits are sure; the errors that happen are smaller."""
    result = steepest.minimize(boundary_value, np.zeros(MANY))
    answer = refined(result._problem.objective, boundary_value_slope, result.x)
    assert (result.digits <= true_digits(result.x, answer) + 1.0).all()
    assert (result.digits > 4.0).all()


@pytest.mark.parametrize(
    "cost",
    [
        lambda x: np.sum((x[1:] - x[:-1]) ** 2),  # the mean is free
        lambda x: np.sum((x[1:500] - x[:499]) ** 2),  # and so are parameters that it does not know
        lambda x: np.sum((x - 1) ** 4),  # no curvature at all
    ],
)
def test_no_digit_is_claimed_of_many_parameters_without_curvature_in_some_direction(cost):
    assert steepest.minimize(cost, np.linspace(1.0, 2.0, 600)).digits is None
    assert steepest.verify(cost, np.full(600, 1.0)).digits is None


def test_digits_of_many_parameters_cost_one_hessian_and_one_gradient():
    result = steepest.minimize(chain, np.zeros(MANY))
    objective = result._problem.objective
    plain = Objective(
        MANY,
        value_and_gradient=objective.value_and_gradient,
        value=objective.value,
        hessian_product=objective.hessian_product,
    )
    names = [f"x{i}" for i in range(MANY)]
    with_digits, without = judge(objective, result.x, names=names), judge(plain, result.x, names=names)
    assert with_digits.digits is not None and without.digits is None
    assert with_digits.spent.hessians == 1
    assert with_digits.spent.gradients - without.spent.gradients == 1
    assert with_digits.spent.products == without.spent.products


def test_a_hessian_that_takes_long_to_factorise_is_not_factorised_for_digits(monkeypatch):
    n = 4_000
    first, second = np.random.default_rng(0).integers(0, n, (2, 2 * n))

    def cost(x):
        return np.sum(np.cosh(x[first] - x[second])) + np.sum((x - 1) ** 2)

    def forbidden(*_):
        raise AssertionError("factorised")

    monkeypatch.setattr(SymmetricPattern, "factorise", forbidden)
    result = steepest.minimize(cost, np.full(n, 1.0), method="l-bfgs")
    assert result._problem.objective.has_sparse_hessian
    assert result.success and result.digits is None
