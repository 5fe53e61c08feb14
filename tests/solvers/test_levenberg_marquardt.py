"""Levenberg-Marquardt: closed forms, certified fits, invariance to units, rank deficiency, bounds, sparsity."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal

from steepest import minimize
from steepest.bounds import Bounds
from steepest.errors import InputError
from steepest.linear_algebra import damped
from steepest.objective import Objective
from steepest.oracles import Linearised
from steepest.solvers import Solver, StopReason, drive, levenberg_marquardt
from steepest.solvers.bfgs import BFGS
from steepest.solvers.levenberg_marquardt import LevenbergMarquardt

from ..posed import posed
from .problems import box, parabola
from .problems import objective as plain_objective


def squares(residual, jacobian, n, bounds=None, hessian=None, seen=None):
    """The objective of rᵀr."""

    def linearised(x):
        if seen is not None:
            seen.append(x.copy())
        r = residual(x)
        return Linearised(float(r @ r), r, jacobian(x))

    def value(x):
        return linearised(x).value

    def value_and_gradient(x):
        found = linearised(x)
        return found.value, 2.0 * (found.jacobian.T @ found.residual)

    return Objective(
        n,
        value=value,
        value_and_gradient=value_and_gradient,
        linearised=linearised,
        least_squares=True,
        bounds=bounds,
        hessian=hessian,
    )


def rosenbrock_residual(x):
    return np.array([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])


def rosenbrock_jacobian(x):
    return np.array([[-20.0 * x[0], 10.0], [-1.0, 0.0]])


START = np.array([-1.2, 1.0])


def test_it_meets_the_protocol():
    assert isinstance(levenberg_marquardt(), Solver)


def test_a_linear_fit_is_solved_by_one_step_of_the_normal_equations():
    rng = np.random.default_rng(1)
    A, b = rng.normal(size=(20, 4)), rng.normal(size=20)
    run = drive(
        levenberg_marquardt(first_radius=1e9), squares(lambda x: A @ x - b, lambda x: A, 4), np.ones(4)
    )
    assert_allclose(run.history.x[1], np.linalg.lstsq(A, b)[0], rtol=1e-11)
    assert_allclose(run.x, np.linalg.lstsq(A, b)[0], rtol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_one_whole_step_meets_linear_equations_to_rounding(seed):
    """What rounding leaves of the first step is mended in it: by itself it takes another step."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(20, 70)) * 10.0 ** rng.uniform(-3.0, 3.0, 70)
    b, start = rng.normal(size=20), rng.normal(size=70)
    run = drive(
        levenberg_marquardt(first_radius=np.inf), squares(lambda x: A @ x - b, lambda x: A, 70), start
    )
    rounding = np.finfo(float).eps * (np.abs(A) @ np.abs(run.x) + np.abs(b))
    assert run.steps == 1
    assert (np.abs(A @ run.x - b) <= 4.0 * rounding).all()


def test_a_residual_that_can_vanish_is_followed_to_the_last_digit():
    run = drive(levenberg_marquardt(), squares(rosenbrock_residual, rosenbrock_jacobian, 2), START)
    assert_allclose(run.x, 1.0, rtol=1e-14)
    assert run.stop.is_final and run.steps < 40


@pytest.mark.parametrize("units", [(1e-9, 1e6), (1e12, 1e-3)])
def test_other_units_of_the_parameters_and_the_residual_leave_the_path_alone(units):
    u = np.array(units)
    plain = drive(
        levenberg_marquardt(), squares(rosenbrock_residual, rosenbrock_jacobian, 2), START, max_steps=12
    )
    other = drive(
        levenberg_marquardt(),
        squares(
            lambda x: 1e5 * rosenbrock_residual(x / u), lambda x: 1e5 * rosenbrock_jacobian(x / u) / u, 2
        ),
        START * u,
        max_steps=12,
    )
    assert_allclose(other.history.x / u, plain.history.x, rtol=1e-7)


@pytest.mark.parametrize(("unit", "gauge"), [(2.0**-30, 1.0), (2.0**20, 1.0), (1.0, 2.0**20)])
def test_units_leave_the_path_alone_where_a_parameter_has_no_say_at_the_start(unit, gauge):
    """a·exp(-k·t) from a = 0, where k moves nothing; powers of two round nothing, so the paths agree to the bit."""
    t = np.linspace(0.0, 3.0, 20)
    data = 2.5 * np.exp(-1.3 * t) + 0.01 * np.cos(7.0 * t)

    def walk(unit, gauge):
        def residual(x):
            return gauge * (x[0] * np.exp(-x[1] / unit * t) - data)

        def jacobian(x):
            shape = np.exp(-x[1] / unit * t)
            return gauge * np.column_stack([shape, -x[0] * t * shape / unit])

        start = np.array([0.0, 0.5 * unit])
        return drive(LevenbergMarquardt(newton=False), squares(residual, jacobian, 2), start, max_steps=30)

    plain, other = walk(1.0, 1.0), walk(unit, gauge)
    assert plain.steps > 5
    assert_array_equal(other.history.x / [1.0, unit], plain.history.x)


def test_no_accepted_step_goes_uphill():
    run = drive(levenberg_marquardt(), squares(rosenbrock_residual, rosenbrock_jacobian, 2), START)
    assert (np.diff(run.history.value) <= 1e-14).all()


def test_parameters_that_matter_only_through_their_sum_end_at_a_minimum():
    """Rank one: r = (a + b)·t - 3t vanishes on a line; the answer moves each from its start as little as it can."""
    t = np.linspace(1.0, 2.0, 7)
    J = np.column_stack([t, t])
    run = drive(
        levenberg_marquardt(), squares(lambda x: J @ x - 3.0 * t, lambda x: J, 2), np.array([2.0, 0.0])
    )
    assert_allclose(run.x, [2.5, 0.5], rtol=1e-12)


def test_a_parameter_the_residual_does_not_know_stays_where_it_was():
    run = drive(
        levenberg_marquardt(),
        squares(
            lambda x: np.array([x[0] ** 2 - 4.0, x[0]]), lambda x: np.array([[2 * x[0], 0.0], [1.0, 0.0]]), 2
        ),
        np.array([3.0, 7.0]),
    )
    assert run.x[1] == 7.0
    assert_allclose(run.x[0], np.sqrt(3.5), rtol=1e-9)  # lowest of (u - 4)² + u with u = x²: u = 7/2


def fit_of(x, y, bounds=None, seen=None):
    """y = a·(1 - exp(-b·x))."""
    return squares(
        lambda p: y - p[0] * (1 - np.exp(-p[1] * x)),
        lambda p: -np.column_stack([1 - np.exp(-p[1] * x), p[0] * x * np.exp(-p[1] * x)]),
        2,
        bounds,
        seen=seen,
    )


BOD = (
    np.array([1.0, 2.0, 3.0, 5.0, 7.0, 10.0]),
    np.array([109.0, 149.0, 149.0, 191.0, 213.0, 224.0]),
)


def test_the_certified_answer_of_boxbod_is_reached_from_its_far_start():
    run = drive(levenberg_marquardt(), fit_of(*BOD), np.array([1.0, 1.0]))
    assert_allclose(run.x, [213.80940889, 0.54723748542], rtol=2e-10)
    assert_allclose(run.value, 1168.0088766, rtol=1e-10)


def test_bounds_are_never_left_and_the_answer_agrees_with_scipy():
    seen = []
    bounds = box([0.0, 0.6], [205.0, 3.0])
    run = drive(levenberg_marquardt(), fit_of(*BOD, bounds, seen), np.array([1.0, 1.0]))
    assert all(bounds.contains(x) for x in seen)
    peer = scipy.optimize.least_squares(
        lambda p: BOD[1] - p[0] * (1 - np.exp(-p[1] * BOD[0])),
        [1.0, 1.0],
        bounds=([0.0, 0.6], [205.0, 3.0]),
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    assert_allclose(run.x, peer.x, rtol=1e-6)
    assert run.value <= 2 * peer.cost * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_bounded_linear_fits_end_where_the_multipliers_say(seed):
    """Karush-Kuhn-Tucker: slope zero inside, pushing outwards on the bounds."""
    rng = np.random.default_rng(seed)
    A, b = rng.normal(size=(12, 6)), rng.normal(size=12)
    bounds = Bounds(np.full(6, -0.2), np.full(6, 0.15))
    run = drive(levenberg_marquardt(), squares(lambda x: A @ x - b, lambda x: A, 6, bounds), np.zeros(6))
    gradient = 2 * A.T @ (A @ run.x - b)
    assert_allclose(bounds.projected_gradient(run.x, gradient), 0.0, atol=1e-12)
    assert_allclose(run.x, scipy.optimize.lsq_linear(A, b, (-0.2, 0.15), tol=1e-14).x, atol=1e-7)


def test_large_residuals_converge_fast_once_second_derivatives_are_used():
    """Gauss-Newton alone overshoots and comes back, and gets half the digits of the slope from as many steps."""
    t = np.array([1.0, 2.0, 3.0, 4.0])
    y = np.array([6.0, -7.0, 8.0, -4.0])

    def residual(x):
        return np.exp(x[0] * t) - y

    def jacobian(x):
        return (t * np.exp(x[0] * t))[:, None]

    def hessian(x):
        e = np.exp(x[0] * t)
        return np.array([[2.0 * np.sum((t * e) ** 2 + (e - y) * t * t * e)]])

    with_newton = drive(
        levenberg_marquardt(), squares(residual, jacobian, 1, hessian=hessian), np.array([1.0])
    )
    without = drive(
        levenberg_marquardt(newton=False), squares(residual, jacobian, 1, hessian=hessian), np.array([1.0])
    )
    assert with_newton.steps < 1.5 * without.steps
    assert abs(with_newton.gradient[0]) < 1e-4 * abs(without.gradient[0])
    slope = 2 * jacobian(with_newton.x).T @ residual(with_newton.x)
    assert_allclose(slope, 0.0, atol=1e-12)


def test_a_wall_of_nan_is_walked_around():
    with np.errstate(all="ignore"):
        run = drive(
            levenberg_marquardt(first_radius=1e6),
            squares(lambda x: np.log(x) - 1.0, lambda x: np.diag(1.0 / x), 2),
            np.array([1e3, 0.01]),
        )
    assert_allclose(run.x, np.e, rtol=1e-14)


def broyden(n):
    """Broyden's tridiagonal equations: r_i = (3 - 2x_i)x_i - x_{i-1} - 2x_{i+1} + 1 (Moré, Garbow, Hillstrom, 30)."""

    def residual(x):
        padded = np.concatenate([[0.0], x, [0.0]])
        return (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1

    def jacobian(x):
        return scipy.sparse.diags_array(
            [3 - 4 * x, -np.ones(n - 1), -2 * np.ones(n - 1)], offsets=[0, -1, 1], format="csr"
        )

    return residual, jacobian


def test_a_sparse_jacobian_walks_as_its_dense_copy_does():
    residual, jacobian = broyden(40)
    sparse = drive(levenberg_marquardt(), squares(residual, jacobian, 40), -np.ones(40))
    dense = drive(levenberg_marquardt(), squares(residual, lambda x: jacobian(x).toarray(), 40), -np.ones(40))
    assert sparse.steps == dense.steps
    assert_allclose(sparse.x, dense.x, rtol=1e-12)
    assert np.abs(residual(sparse.x)).max() < 1e-14


def test_ten_thousand_sparse_equations_are_solved_to_rounding():
    residual, jacobian = broyden(10_000)
    run = drive(levenberg_marquardt(), squares(residual, jacobian, 10_000), -np.ones(10_000))
    assert np.abs(residual(run.x)).max() < 1e-14 and run.steps < 12


def test_a_dense_row_in_a_sparse_jacobian_is_iterated_on():
    """A = I with one full row: JᵀJ is dense, so conjugate gradients take over; the answer is that of lstsq."""
    n = 400
    A = scipy.sparse.vstack([scipy.sparse.eye_array(n), np.ones((1, n)) / n], format="csr")
    b = np.linspace(-1.0, 1.0, n + 1)
    assert isinstance(damped.of_sparse_residual(A, -b, np.ones(n)), damped.IterativeModel)
    run = drive(levenberg_marquardt(), squares(lambda x: A @ x - b, lambda x: A, n), np.zeros(n))
    assert_allclose(run.x, np.linalg.lstsq(A.toarray(), b)[0], atol=1e-9)


@pytest.mark.parametrize("radius", [1e-3, 0.1, 1.0, 3.0])
def test_a_damped_step_is_the_lowest_point_of_the_model_within_its_radius(radius):
    """(JᵀJ + λ)p = -Jᵀr with λ ≥ 0, zero unless the radius is reached (Nocedal & Wright 2006, theorem 4.1)."""
    rng = np.random.default_rng(3)
    J, r = rng.normal(size=(9, 4)), rng.normal(size=9)
    for model in (
        damped.of_residual(J, r, np.ones(4)),
        damped.SparseModel(scipy.sparse.csr_array(J), r, np.ones(4)),
    ):
        p, damping, length, promise = model.step(radius)
        assert length <= 1.1 * radius + 1e-12 and (damping == 0.0 or length >= 0.9 * radius)
        assert_allclose((J.T @ J + damping * np.eye(4)) @ p, -J.T @ r, atol=1e-9)
        assert_allclose(promise, r @ r - np.sum((r + J @ p) ** 2), rtol=1e-9)


def test_where_the_model_bends_downwards_the_step_reaches_the_radius_along_the_bend():
    """The hard case: no slope along the lowest axis (Moré & Sorensen 1983)."""
    H = np.diag([-2.0, 4.0])
    p = damped.of_hessian(H, np.array([0.0, 1.0]), np.ones(2)).step(3.0).step
    assert_allclose(np.linalg.norm(p), 3.0, rtol=0.1)
    assert abs(p[0]) > 2.0 and p[1] < 0.0


def test_a_start_at_the_minimum_stops_at_once():
    run = drive(levenberg_marquardt(), squares(lambda x: x - 1.0, lambda x: np.eye(3), 3), np.ones(3))
    assert run.stop == StopReason.SLOPE_ZERO
    assert_array_equal(run.x, 1.0)


def test_a_start_that_is_not_finite_says_so():
    with np.errstate(all="ignore"):
        run = drive(
            levenberg_marquardt(), squares(lambda x: np.log(x), lambda x: np.diag(1 / x), 2), -np.ones(2)
        )
    assert run.stop == StopReason.NOT_FINITE


def test_a_cost_that_is_no_sum_of_squares_is_refused():
    with pytest.raises(InputError, match="sum of squares"):
        drive(levenberg_marquardt(), plain_objective(parabola, 2), np.zeros(2))


def jennrich_sampson():
    """Moré, Garbow & Hillstrom (1981), problem 6: residuals 2 + 2i - (exp(i·x1) + exp(i·x2)), i = 1..10."""
    i = np.arange(1.0, 11.0)

    def residual(x):
        return 2.0 + 2.0 * i - (np.exp(i * x[0]) + np.exp(i * x[1]))

    def jacobian(x):
        return -np.stack([i * np.exp(i * x[0]), i * np.exp(i * x[1])], axis=1)

    def hessian(x):
        J, r = jacobian(x), residual(x)
        curvatures = [-(r @ (i * i * np.exp(i * v))) for v in x]
        return 2.0 * (J.T @ J + np.diag(curvatures))

    return squares(residual, jacobian, 2, hessian=hessian)


def test_large_residuals_that_bend_upwards_cost_no_crawl_of_held_steps():
    # The published minimum is 124.362... at x1 = x2 = 0.2578...; Gauss-Newton sees a valley there that is flat across.
    run = drive(levenberg_marquardt(), jennrich_sampson(), np.array([0.3, 0.4]))
    assert_allclose(run.value, 124.362182, rtol=1e-8)
    assert_allclose(run.x, [0.2578, 0.2578], atol=5e-5)
    assert run.steps < 30


def test_without_second_derivatives_the_same_minimum_takes_many_times_as_long():
    run = drive(levenberg_marquardt(newton=False), jennrich_sampson(), np.array([0.3, 0.4]), max_steps=30)
    assert run.stop is StopReason.OUT_OF_BUDGET


def test_curvatures_are_seen_after_a_fall_from_a_start_that_was_many_times_as_steep():
    # Moré, Garbow & Hillstrom (1981), problem 35, eight parameters: 3.51687e-3 at best, 2e22 at ten times its start.
    def chebyquad(x):
        z = 2.0 * x - 1.0
        last, this = np.ones(8), z
        residuals = []
        for i in range(1, 9):
            residuals.append(np.sum(this) / 8 - (0.0 if i % 2 else -1.0 / (i * i - 1)))
            last, this = this, 2.0 * z * this - last
        return np.sum(np.stack(residuals) ** 2)

    result = minimize(chebyquad, 10.0 * np.arange(1.0, 9.0) / 9.0)
    assert result.success
    assert_allclose(result.fun, 3.51687e-3, rtol=1e-5)


@pytest.mark.parametrize("a", [1e4, 1e6, 1e7])
def test_residuals_of_unlike_size_are_all_met_to_the_rounding_of_their_own(a):
    """x = a and x·y = 3: the rounding of the first, a·10⁻¹⁶, hides none of the second's, 3·10⁻¹⁶."""
    run = drive(
        levenberg_marquardt(),
        squares(
            lambda p: np.array([p[0] - a, p[0] * p[1] - 3.0]),
            lambda p: np.array([[1.0, 0.0], [p[1], p[0]]]),
            2,
        ),
        np.array([2.0, 0.5]),
    )
    assert_allclose(run.x, [a, 3.0 / a], rtol=1e-15)
    assert abs(run.gradient[1]) <= 2.0 * a * 3.0 * 8 * np.finfo(float).eps


def test_a_walk_that_creeps_is_handed_to_newton_long_before_its_steps_run_out():
    """HUMPS of CUTEst: a bowl under steep ripples, lowest at zero with no cost left."""

    def humps(x):
        return 0.05 * x[0] ** 2 + 0.05 * x[1] ** 2 + (np.sin(20.0 * x[0]) * np.sin(20.0 * x[1])) ** 2

    start = [-506.0, -506.2]
    found = minimize(humps, start, starts=1)
    assert found.verdict == "global minimum"
    assert_allclose(found.x, 0.0, atol=1e-12)
    assert len(found.plan.taken) > 1
    alone = minimize(humps, start, method="levenberg-marquardt", budget={"steps": 2 * found.nit})
    assert alone.verdict == "out of budget"


def test_a_jump_beside_zero_ends_the_walk_in_a_verdict():
    """Steps are refused at every radius, down to the smallest number: x is 1e-32 away, which no rounding hides."""

    def cost(x):
        return np.abs(np.where(x[0] > 0, (x[0] + 1j) ** 2, 2 - 1j * x[0]))  # 1 + x² beside √(4 + x²)

    result = minimize(cost, np.array([1.0]))
    assert result.fun == 1.0
    assert 0.0 < result.x[0] < 1e-8


def test_bottoms_of_unlike_order_are_not_taken_for_steps_of_one_factor_again_and_again():
    """A square and a cube: the sum of all steps falls short for long, and each look at where it leads is a Jacobian."""
    seen = []
    objective = squares(lambda x: x ** [2, 3], lambda x: np.diag([2.0, 3.0] * x ** [1, 2]), 2, seen=seen)
    run = drive(levenberg_marquardt(), objective, np.array([1.0, 1.3]))
    assert_allclose(run.x, 0.0, rtol=0, atol=1e-7)
    assert len(seen) <= 55  # 46 without a look ahead, and 68 with one at each step


def test_a_walk_from_side_to_side_is_handed_over_and_bfgs_comes_lower_from_there():
    """Weights of a small network: Gauss-Newton leaps across the valley for hundreds of steps, each as poor."""
    h, draw = 7, np.random.default_rng(202)
    draw.integers(3, 25)
    points = draw.uniform(-2, 2, (80, 2))
    heights = np.sin(2 * points[:, 0]) * points[:, 1] + 0.05 * draw.standard_normal(80)
    start = 0.7 * draw.standard_normal(4 * h + 1)

    def cost(p):
        W, b, v = p[: 2 * h].reshape(2, h), p[2 * h : 3 * h], p[3 * h : 4 * h]
        return np.sum((np.tanh(points @ W + b) @ v + p[4 * h] - heights) ** 2)

    problem = posed(cost, start).objective
    handed_over = drive(LevenbergMarquardt(hands_over=True), problem, start, max_steps=300)
    assert handed_over.stop is StopReason.OUT_OF_BUDGET and handed_over.steps < 150
    problem.forget()
    kept = drive(LevenbergMarquardt(), problem, start, max_steps=300)
    assert kept.steps == 300 and kept.value > 0.97 * handed_over.value
    problem.forget()
    onward = drive(BFGS(from_residuals=True), problem, handed_over.x, max_steps=100)
    assert onward.value < kept.value


def test_a_valley_that_bends_is_followed_to_its_end():
    """A chain of Rosenbrock's residuals is one long bent valley; steps that go on along it are not handed over."""
    n = 40

    def cost(x):
        return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2) + np.sum((1.0 - x[:-1]) ** 2)

    start = np.tile([-1.2, 1.0], n // 2)
    problem = posed(cost, start).objective
    run = drive(LevenbergMarquardt(hands_over=True), problem, start, max_steps=300)
    assert run.stop.is_final


def test_a_parameter_that_had_most_say_at_a_far_start_is_seen_at_the_end():
    """A diode from ones, as `curve_fit` begins: currents of 10¹² there, columns 10¹⁵ times as long as at the end."""
    volts = np.linspace(0.3, 0.75, 30)
    current = lambda p: p[0] * (np.exp(volts / (p[1] * 0.02585)) - 1)  # noqa: E731
    true = np.array([1e-12, 1.3])
    y = current(true)
    y = y + 0.02 * np.std(y) * np.random.default_rng(3).standard_normal(30)
    result = minimize(lambda p: np.sum((y - current(p)) ** 2), np.ones(2))
    assert result.success and result.fun <= np.sum((y - current(true)) ** 2)
    assert_allclose(result.x, true, rtol=0.2)
    assert result.nfev < 100
