"""BFGS and L-BFGS: the textbook's termination, known minima, bounds, kinks, and each other."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import minimize
from steepest.bounds import Bounds
from steepest.errors import InputError
from steepest.objective import Objective
from steepest.oracles import Linearised
from steepest.reference_problems.costs import powell_singular
from steepest.solvers import bfgs, drive, lbfgs
from steepest.solvers.bfgs import BFGS, updated
from steepest.solvers.lbfgs import free_step, inverse_times

from .problems import QUASI_NEWTON, absolute, box, name_of, objective, quadratic, rosenbrock

every = pytest.mark.parametrize("solver", QUASI_NEWTON, ids=name_of)


def spread(n: int, condition: float, seed: int) -> np.ndarray:
    """A symmetric matrix with eigenvalues from 1 to `condition`, logarithmically."""
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    return (Q * np.geomspace(1.0, condition, n)) @ Q.T


@pytest.mark.parametrize("n", [2, 5, 9])
def test_bfgs_with_an_exact_search_ends_a_quadratic_in_n_steps(n):
    """Nocedal & Wright 2006, theorem 6.4; the last step needs one more for its own rounding."""
    A = spread(n, 30.0, n)
    run = drive(bfgs(still_falling=1e-3), objective(quadratic(A, np.arange(n) / n), n), 3.0 * np.ones(n))
    fallen = run.history.value / run.history.value[0]
    assert (fallen[n + 1 :] < 1e-6).all()


@pytest.mark.parametrize("seed", range(4))
def test_bfgs_learns_curvature_where_units_are_sixteen_orders_of_magnitude_apart(seed):
    """Powell's singular function, whose minimum is zero at zero: no pair may look like rounding for the units' sake."""
    units = 10.0 ** np.random.default_rng(seed).integers(-8, 9, 4)

    start = np.array([3.0, -1.0, 0.1, 1.0])
    found = minimize(lambda x: powell_singular(x * units), start / units, method="bfgs")
    assert found.fun < 1e-12 and found.nfev < 1000


def test_bfgs_remembers_the_curvature_of_its_last_step_exactly():
    """The secant equation H·y = s, Nocedal & Wright 2006, eq. 6.6."""
    problem = objective(rosenbrock, 4)
    solver = bfgs()
    before = solver.init(problem, np.array([-1.2, 1.0, -1.2, 1.0]))
    for _ in range(12):
        state = solver.step(problem, before)
        y = state.gradient - before.gradient
        assert_allclose(
            state.inverse_hessian @ y, state.step, rtol=1e-7, atol=1e-7 * np.abs(state.step).max()
        )
        before = state


def test_the_update_is_the_product_form_of_the_textbook():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    H, s, y = root @ root.T + np.eye(5), rng.normal(size=5), rng.normal(size=5)
    y = y if s @ y > 0 else -y
    rho = 1.0 / (s @ y)
    V = np.eye(5) - rho * np.outer(y, s)
    assert_allclose(updated(H, s, y, float(s @ y)), V.T @ H @ V + rho * np.outer(s, s), rtol=1e-12)


@every
@pytest.mark.parametrize("n", [2, 10, 100])
def test_rosenbrock_is_solved_to_the_last_digit(solver, n):
    run = drive(solver, objective(rosenbrock, n), np.tile([-1.2, 1.0], n // 2))
    lowest = run.value
    assert lowest < 1e-24 or abs(lowest - 3.98657) < 1e-3  # n >= 4 has one other minimum
    assert np.abs(run.gradient).max() < 1e-11


@pytest.mark.parametrize("n", [2, 10])
def test_bfgs_needs_few_more_evaluations_than_scipy_for_many_more_digits(n):
    optimize = pytest.importorskip("scipy.optimize")
    start = np.tile([-1.2, 1.0], n // 2)
    theirs = optimize.minimize(rosenbrock, start, jac=True, method="BFGS")
    ours = drive(bfgs(), objective(rosenbrock, n), start).history
    reached = int(np.argmax(ours.value <= max(theirs.fun, 1e-12)))
    assert ours.evaluations[reached] <= 1.35 * theirs.nfev


@every
def test_an_ill_conditioned_quadratic_is_solved_to_rounding(solver):
    A = spread(20, 1e6, 3)
    run = drive(solver, objective(quadratic(A, np.ones(20)), 20), np.zeros(20))
    assert_allclose(run.x, np.ones(20), rtol=1e-6)


@every
def test_a_value_of_a_million_costs_no_digits_of_the_slope(solver):
    """The cost alone shows x to 1e-5 only; the approximate Wolfe condition reads the slopes."""

    def raised(x):
        value, gradient = quadratic(np.diag([1.0, 30.0]), np.ones(2))(x)
        return value + 1e6, gradient

    run = drive(solver, objective(raised, 2), np.array([-3.0, 2.0]))
    assert np.abs(run.gradient).max() < 1e-12


@every
def test_the_minimum_at_a_kink_is_found(solver):
    run = drive(solver, objective(absolute, 2), np.array([3.0, 1.0]))
    assert run.value < 1e-12


def hock_schittkowski_2(x):
    return rosenbrock(x)


def hock_schittkowski_5(x):
    s, d = x[0] + x[1], x[0] - x[1]
    slope = np.array([np.cos(s) + 2.0 * d - 1.5, np.cos(s) - 2.0 * d + 2.5])
    return float(np.sin(s) + d * d - 1.5 * x[0] + 2.5 * x[1] + 1.0), slope


def hock_schittkowski_4(x):
    return float((x[0] + 1.0) ** 3 / 3.0 + x[1]), np.array([(x[0] + 1.0) ** 2, 1.0])


def hock_schittkowski_38(x):
    a, b, c, d = x
    value = (
        100.0 * (b - a * a) ** 2 + (1 - a) ** 2 + 90.0 * (d - c * c) ** 2 + (1 - c) ** 2
        + 10.1 * ((b - 1) ** 2 + (d - 1) ** 2) + 19.8 * (b - 1) * (d - 1)
    )  # fmt: skip
    slope = [
        -400.0 * a * (b - a * a) - 2.0 * (1 - a),
        200.0 * (b - a * a) + 20.2 * (b - 1) + 19.8 * (d - 1),
        -360.0 * c * (d - c * c) - 2.0 * (1 - c),
        180.0 * (d - c * c) + 20.2 * (d - 1) + 19.8 * (b - 1),
    ]
    return float(value), np.array(slope)


def hock_schittkowski_45(x):
    product = float(np.prod(x))
    return 2.0 - product / 120.0, -product / x / 120.0


INF = np.inf
HOCK_SCHITTKOWSKI = {
    "1": (rosenbrock, [-2.0, 1.0], [-INF, -1.5], [INF, INF], 0.0),
    "4": (hock_schittkowski_4, [1.125, 0.125], [1.0, 0.0], [INF, INF], 8.0 / 3.0),
    "5": (hock_schittkowski_5, [0.0, 0.0], [-1.5, -3.0], [4.0, 3.0], -np.sqrt(3.0) / 2.0 - np.pi / 3.0),
    "38": (hock_schittkowski_38, [-3.0, -1.0, -3.0, -1.0], [-10.0] * 4, [10.0] * 4, 0.0),
    "45": (hock_schittkowski_45, [2.0] * 5, [1e-9] * 5, [1.0, 2.0, 3.0, 4.0, 5.0], 1.0),
}


@every
@pytest.mark.parametrize("number", HOCK_SCHITTKOWSKI)
def test_published_bounded_problems_are_solved(solver, number):
    """Hock & Schittkowski, Test Examples for Nonlinear Programming Codes, 1981."""
    cost, start, lower, upper, lowest = HOCK_SCHITTKOWSKI[number]
    bounds = box(lower, upper)
    run = drive(solver, objective(cost, len(start), bounds), np.array(start))
    assert_allclose(run.value, lowest, rtol=1e-10, atol=1e-10)
    assert np.abs(run.x - bounds.project(run.x - run.gradient)).max() < 1e-9


@every
def test_hock_schittkowski_2_ends_at_one_of_its_two_published_minima(solver):
    bounds = box([-INF, 1.5], [INF, INF])
    run = drive(solver, objective(hock_schittkowski_2, 2, bounds), np.array([-2.0, 1.0]))
    assert min(abs(run.value - 0.0504261879), abs(run.value - 4.941229318)) < 1e-8


@every
@pytest.mark.parametrize("seed", range(5))
def test_box_constrained_least_squares_agrees_with_an_exact_active_set(seed, solver):
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(seed)
    A, y = rng.normal(size=(40, 15)), rng.normal(size=40) * 3.0
    bounds = Bounds(np.full(15, -0.2), np.full(15, 0.3))

    def cost(x):
        r = A @ x - y
        return 0.5 * float(r @ r), A.T @ r

    exact = optimize.lsq_linear(A, y, (bounds.lower, bounds.upper), method="bvls", tol=1e-15)
    run = drive(solver, objective(cost, 15, bounds), np.zeros(15))
    assert_allclose(run.x, exact.x, atol=1e-8)


def dense_from_pairs(pairs, n):
    """The BFGS matrix B built pair by pair, Nocedal & Wright 2006, eq. 6.19."""
    B = np.eye(n) / pairs.scale
    rows = np.array([pairs.ring.combined(unit) for unit in np.eye(pairs.used)])
    for slot in pairs.slots:
        s, y = rows[2 * slot], rows[2 * slot + 1]
        Bs = B @ s
        B = B - np.outer(Bs, Bs) / (s @ Bs) + np.outer(y, y) / (s @ y)
    return B


def test_the_compact_forms_are_the_matrices_built_pair_by_pair():
    n = 7
    problem = Objective(n, value_and_gradient=rosenbrock, bounds=Bounds(np.full(n, -9.0), np.full(n, 9.0)))
    solver = lbfgs(memory=4)
    state = solver.init(problem, np.linspace(-1.0, 1.2, n))
    free = np.array([True, True, False, True, False, True, True])
    held = np.where(free, 0.0, 0.05)
    for _ in range(12):
        state = solver.step(problem, state)
        B, g = dense_from_pairs(state.pairs, n), state.gradient
        newton, slope = inverse_times(state.pairs, state.products, g)
        assert_allclose(newton, -np.linalg.solve(B, g), rtol=1e-8)
        assert_allclose(slope, g @ newton, rtol=1e-12)
        inside = -np.linalg.solve(B[np.ix_(free, free)], (g + B @ held)[free])
        step = free_step(state.pairs, g, free, held)
        assert_allclose(step[free], inside, rtol=1e-7)
        assert_allclose(step[~free], 0.05)


def test_lbfgs_with_memory_for_every_step_walks_like_bfgs_on_a_quadratic():
    """With exact searches both are conjugate gradients (Nocedal & Wright 2006, section 6.1)."""
    A = spread(6, 10.0, 2)
    cost, start = quadratic(A, np.zeros(6)), np.ones(6)
    one = drive(bfgs(still_falling=1e-3), objective(cost, 6), start, max_steps=4).history
    two = drive(lbfgs(memory=10, still_falling=1e-3), objective(cost, 6), start, max_steps=4).history
    assert_allclose(two.value, one.value, rtol=1e-2, atol=1e-12)


def test_a_large_problem_takes_the_blocked_path_to_the_same_minimum():
    n = 30_001
    weights = np.linspace(1.0, 50.0, n)
    target = np.sin(np.arange(n))

    def cost(x):
        r = x - target
        return 0.5 * float((weights * r) @ r), weights * r

    run = drive(lbfgs(memory=5), objective(cost, n), np.zeros(n))
    assert_allclose(run.x, target, atol=1e-9)
    assert run.history.x.shape == (0, n) and len(run.history) == run.steps + 1


def test_large_bounds_are_kept_and_met():
    n = 20_000
    target = np.sin(np.arange(n))
    bounds = Bounds(np.full(n, -0.5), np.full(n, np.inf))

    def cost(x):
        assert bounds.contains(x)
        r, d = x - target, np.diff(x)
        gradient = r.copy()
        gradient[1:] += 0.1 * d
        gradient[:-1] -= 0.1 * d
        return 0.5 * float(r @ r) + 0.05 * float(d @ d), gradient

    run = drive(lbfgs(), objective(cost, n, bounds), np.zeros(n))
    assert np.abs(run.x - bounds.project(run.x - run.gradient)).max() < 1e-10


@pytest.mark.parametrize("build", [lambda: lbfgs(memory=0), lambda: bfgs(still_falling=1.5)])
def test_settings_that_cannot_work_are_refused(build):
    with pytest.raises(InputError):
        build()


def test_slopes_so_small_that_their_squares_underflow_end_the_walk_quietly():
    run = minimize(lambda x: np.sum((1e-100 * x) ** 4), np.linspace(1.0, 2.0, 400), method="l-bfgs")
    assert np.isfinite(run.fun)


def residuals(J, r, spoilt=None):
    """The objective of |Jx + r|²; `spoilt`: the Jacobian that is told in place of J."""
    told = J if spoilt is None else spoilt

    def value_and_gradient(x):
        e = J @ x + r
        return float(e @ e), 2.0 * (J.T @ e)

    def linearised(x):
        e = J @ x + r
        return Linearised(float(e @ e), e, told)

    return Objective(
        J.shape[1], value_and_gradient=value_and_gradient, linearised=linearised, least_squares=True
    )


@pytest.mark.parametrize("units", [1e-9, 1.0, 1e9])
def test_bfgs_told_by_linear_residuals_is_at_the_bottom_after_one_step(units):
    """The inverse of 2JᵀJ times the slope is the normal equations' own solution, in any units."""
    draw = np.random.default_rng(4)
    plain, r = draw.normal(size=(12, 5)), draw.normal(size=12)
    of_each = units ** np.arange(-2, 3)
    told = BFGS(from_residuals=True)
    problem = residuals(units * plain * of_each, units * r)
    state = told.step(problem, told.init(problem, np.zeros(5)))
    assert_allclose(state.x * of_each, np.linalg.lstsq(plain, -r)[0], rtol=1e-8)


def test_residuals_that_leave_directions_unseen_or_have_dead_parameters_lead_down_all_the_same():
    draw = np.random.default_rng(5)
    J = draw.normal(size=(12, 5))
    r = draw.normal(size=12)
    best = np.linalg.lstsq(J, -r)[0]
    twice, dead = J.copy(), J.copy()
    twice[:, 1] = twice[:, 0]
    dead[:, 2] = 0.0
    for spoilt in (twice, dead, np.full_like(J, np.nan), 1e200 * J):
        run = drive(BFGS(from_residuals=True), residuals(J, r, spoilt), np.zeros(5))
        assert_allclose(run.x, best, rtol=1e-6)
