"""Newton's method by products: the same ends as with the matrix, and no more products than the space has dimensions."""

from importlib import import_module
from time import perf_counter

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import rosen, rosen_der, rosen_hess_prod
from scipy.sparse import csc_array

from steepest import minimize
from steepest.bounds import Bounds
from steepest.budget import Budget, BudgetSpent
from steepest.linear_algebra.krylov_curvature import KrylovCurvature
from steepest.linear_algebra.spectrum import Spectrum
from steepest.objective import Objective
from steepest.solvers import drive, newton_cg
from steepest.solvers.newton_cg import _curvature

RNG = np.random.default_rng(17)
SEEDED = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def numbers_of_its_own():
    """Each test draws the same numbers whichever ran before it, and wherever."""
    RNG.bit_generator.state = SEEDED


def test_rosenbrock_in_a_hundred_dimensions_ends_on_its_minimum():
    problem = Objective(
        100,
        value_and_gradient=lambda x: (float(rosen(x)), rosen_der(x)),
        hessian_product=lambda x, v: rosen_hess_prod(x, v),
    )
    run = drive(newton_cg(), problem, np.linspace(0.5, 1.5, 100))
    assert_allclose(run.x, np.ones(100), atol=1e-10)
    assert problem.counts.hessians == 0


def test_a_quadratic_with_few_different_curvatures_takes_as_many_products():
    """Conjugate gradients end after as many products as there are different eigenvalues."""
    n = 500
    curvatures = np.array([1.0, 10.0, 1000.0])[np.arange(n) % 3]
    seen = []

    def times(v):
        seen.append(None)
        return curvatures * v

    g = RNG.normal(size=n)
    step = KrylovCurvature(times, accuracy=1e-10).newton(g, None)
    assert_allclose(step, -g / curvatures, rtol=1e-8)
    assert len(seen) == 3


@pytest.mark.parametrize("radius", [0.1, 2.0, 50.0])
def test_the_step_in_a_ball_is_the_exact_one_once_the_space_is_whole(radius):
    n = 12
    A, g = RNG.normal(size=(n, n)), RNG.normal(size=n)
    H = A + A.T
    curvature = KrylovCurvature(H.dot, accuracy=1e-12)
    assert curvature.newton(g, None) is None
    found = curvature.in_ball(g, radius, 0.0, None)
    decrease = Spectrum(H).lowest_in_ball(g, radius)[1]
    assert found.decrease >= 0.95 * decrease
    assert_allclose(found.decrease, -(g @ found.step + 0.5 * found.step @ H @ found.step), rtol=1e-9)


def test_steps_over_some_parameters_leave_the_others_alone():
    n = 30
    A = RNG.normal(size=(n, n))
    H, g = A @ A.T + np.eye(n), RNG.normal(size=n)
    free = np.arange(n) % 3 != 0
    step = KrylovCurvature(H.dot, accuracy=1e-12).newton(g, free)
    assert not step[~free].any()
    assert_allclose(step[free], -np.linalg.solve(H[np.ix_(free, free)], g[free]), rtol=1e-7)


def test_two_thousand_bounded_parameters_meet_the_conditions_of_a_minimum():
    """Least squares over a box, convex: slope zero where free, pushing where held."""
    n = 2_000
    A = RNG.normal(size=(60, n)) / 8.0
    b = RNG.normal(size=60)

    def cost(x):
        r = A @ x - b
        return 0.5 * float(r @ r) + 0.05 * float(x @ x), A.T @ r + 0.1 * x

    problem = Objective(
        n,
        value_and_gradient=cost,
        hessian_product=lambda x, v: A.T @ (A @ v) + 0.1 * v,
        bounds=Bounds(np.zeros(n), np.full(n, np.inf)),
    )
    run = drive(newton_cg(), problem, np.ones(n))
    held = run.x == 0.0
    assert 200 < np.count_nonzero(held) < 1_800
    assert np.abs(run.gradient[~held]).max() < 1e-9
    assert run.gradient[held].min() > -1e-9


def chain_in_units(scale):
    """Σ log cosh(sᵢxᵢ - 1) + Σ (sᵢ₊₁xᵢ₊₁ - sᵢxᵢ)²: at its minimum, zero, every sᵢxᵢ is 1."""
    n = scale.size
    far = np.eye(n, k=1) - np.eye(n)
    D = far[:-1]

    def value_and_gradient(x):
        z = scale * x
        return float(np.sum(np.log(np.cosh(z - 1.0))) + np.sum((D @ z) ** 2)), scale * (
            np.tanh(z - 1.0) + 2.0 * D.T @ (D @ z)
        )

    def hessian(x):
        H = np.diag(1.0 / np.cosh(scale * x - 1.0) ** 2) + 2.0 * D.T @ D
        return csc_array(H * scale * scale[:, None])

    return Objective(n, value_and_gradient=value_and_gradient, sparse_hessian=hessian)


def test_units_change_nothing_where_the_hessian_is_sparse():
    n = 200
    scale = 10.0 ** np.random.default_rng(3).uniform(-3.0, 3.0, n)
    plain, scaled = chain_in_units(np.ones(n)), chain_in_units(scale)
    runs = [drive(newton_cg(), problem, np.zeros(n)) for problem in (plain, scaled)]
    assert_allclose(runs[0].x, 1.0, rtol=1e-9)
    assert_allclose(runs[1].x, 1.0 / scale, rtol=1e-9)
    assert abs(runs[0].steps - runs[1].steps) <= 3
    assert scaled.counts.products == 0


def test_long_solves_with_a_sparse_hessian_end_when_the_seconds_are_spent():
    """Thousands of products follow one evaluation of a sparse Hessian; the clock is looked at in each."""
    problem = Objective(
        2,
        value_and_gradient=lambda x: (float(x @ x), 2.0 * x),
        sparse_hessian=lambda x: csc_array(2.0 * np.eye(2)),
        budget=Budget(seconds=100.0),
    )
    x = np.ones(2)
    times, _ = _curvature(problem, x, 2.0 * x, None)
    assert_allclose(times(x), 1.0)  # in units where curvatures are one
    problem.start_clock(began=perf_counter() - 100.1)
    with pytest.raises(BudgetSpent, match="seconds"):
        times(x)


def ill_conditioned(n, spread):
    """A symmetric positive definite matrix (n, n) whose eigenvalues spread over so many powers of ten."""
    Q, _ = np.linalg.qr(RNG.normal(size=(n, n)))
    return (Q * np.logspace(-spread, 0.0, n)) @ Q.T


def test_conjugate_gradients_go_on_where_the_kept_vectors_end():
    """Curvatures spread over 10⁵ take more products than vectors are kept for; the step is still Newton's."""
    n = 400
    H, g = ill_conditioned(n, 5.0), RNG.normal(size=n)
    exact = -np.linalg.solve(H, g)
    short = KrylovCurvature(H.dot, accuracy=1e-8).newton(g, None)
    long = KrylovCurvature(H.dot, accuracy=1e-8, further=1_000).newton(g, None)
    assert np.linalg.norm(short - exact) > 1e-2 * np.linalg.norm(exact)
    assert np.linalg.norm(long - exact) < 1e-3 * np.linalg.norm(exact)


@pytest.mark.parametrize("unit", [1e-200, 1e-163, 1e150])
@pytest.mark.parametrize("of_curvature", [False, True])
def test_the_way_on_does_not_depend_on_the_unit_of_the_cost(unit, of_curvature):
    """Squares of slopes in such units are no doubles; where they were taken, the way on divided by zero."""
    n = 400
    H, g = ill_conditioned(n, 4.0), RNG.normal(size=n)
    exact = -np.linalg.solve(H, g) * (1.0 if of_curvature else unit)
    if of_curvature:
        H = unit * H
    with np.errstate(over="ignore"):  # as on every walk
        step = KrylovCurvature(H.dot, accuracy=1e-8, further=1_000).newton(unit * g, None)
    assert np.abs(step - exact).max() < 1e-3 * np.abs(exact).max()


def test_the_way_on_takes_no_more_products_than_conjugate_gradients_from_the_start():
    """It is the same walk: the directions before the hand-over still count, or it would begin anew."""
    from scipy.sparse.linalg import LinearOperator, cg

    n = 400
    H, g = ill_conditioned(n, 3.0), RNG.normal(size=n)
    seen = {"ours": 0, "scipy": 0}

    def counted(who):
        def times(v):
            seen[who] += 1
            return H @ v

        return times

    KrylovCurvature(counted("ours"), accuracy=1e-6, further=2_000).newton(g, None)
    cg(LinearOperator((n, n), counted("scipy"), dtype=np.float64), -g, rtol=1e-6, atol=0.0)
    assert seen["ours"] <= 1.1 * seen["scipy"] + 2


@pytest.mark.parametrize("part", [0.5, 0.9])
def test_a_step_within_a_ball_counts_on_the_way_on(part):
    """Where the radius ends Newton's step, the space with its end in it holds a step at least as low as that, cut."""
    n = 400
    H, g = ill_conditioned(n, 3.0), RNG.normal(size=n)
    curvature = KrylovCurvature(H.dot, accuracy=1e-8, further=1_000)
    whole = curvature.newton(g, None)
    radius = part * np.linalg.norm(whole)
    found = curvature.in_ball(g, radius, 0.0, None)
    cut = part * whole
    assert np.linalg.norm(found.step) <= 1.25 * radius
    assert g @ found.step + 0.5 * found.step @ H @ found.step <= g @ cut + 0.5 * cut @ H @ cut
    assert_allclose(found.decrease, -(g @ found.step + 0.5 * found.step @ H @ found.step), rtol=1e-6)


def test_negative_curvature_met_on_the_way_on_is_followed():
    n = 400
    Q, _ = np.linalg.qr(RNG.normal(size=(n, n)))
    values = np.logspace(-3.0, 0.0, n)
    values[0] = -1e-3
    H, g = (Q * values) @ Q.T, RNG.normal(size=n)
    curvature = KrylovCurvature(H.dot, accuracy=1e-10, further=5_000)
    assert curvature.newton(g, None) is None
    step = curvature.in_ball(g, 1e4, 0.0, None).step
    assert step @ H @ step < 0.0
    assert_allclose(np.linalg.norm(step), 1e4, rtol=0.3)


def test_the_last_steps_converge_faster_than_by_a_fixed_factor():
    """Curvatures that differ by 10⁶ in 600 parameters: a hundred products a step leave part of the slope each time."""
    n = 600
    H = ill_conditioned(n, 6.0)

    def value_and_gradient(x):
        z = H @ x
        return float(np.sum(np.log(np.cosh(x - 1.0))) * 1e-6 + 0.5 * x @ z), np.tanh(x - 1.0) * 1e-6 + z

    problem = Objective(
        n,
        value_and_gradient=value_and_gradient,
        hessian_product=lambda x, v: H @ v + v * 1e-6 / np.cosh(x - 1.0) ** 2,
    )
    run = drive(newton_cg(), problem, RNG.normal(size=n), max_steps=10)
    assert np.abs(run.gradient).max() < 1e-12


def test_a_bent_valley_is_walked_in_long_steps_back_onto_its_floor():
    """From the unit matrix to a far rotation along XᵀX = 1, the floor of a valley whose walls are far steeper."""
    n = 8
    Q, _ = np.linalg.qr(RNG.normal(size=(n, n)))
    if np.linalg.det(Q) < 0.0:
        Q[:, 0] = -Q[:, 0]

    def cost(x):
        X = x.reshape(n, n)
        far, wall = X - Q, X.T @ X - np.eye(n)
        return float(np.sum(far**2) + 1e3 * np.sum(wall**2)), (2.0 * far + 4e3 * X @ wall).ravel()

    def product(x, v):
        X, V = x.reshape(n, n), v.reshape(n, n)
        wall = X.T @ X - np.eye(n)
        return (2.0 * V + 4e3 * (V @ wall + X @ (V.T @ X + X.T @ V))).ravel()

    def steps(corrected):
        problem = Objective(n * n, value_and_gradient=cost, hessian_product=product)
        with pytest.MonkeyPatch.context() as patch:
            if not corrected:
                patch.setattr("steepest.solvers.quadratic_models.FreeModel.corrected", lambda *_: None)
            run = drive(newton_cg(), problem, np.eye(n).ravel())
        assert_allclose(run.x.reshape(n, n), Q, atol=1e-8)
        return run.steps

    assert steps(True) < 0.6 * steps(False)


def roots_of_a_matrix(k):
    """A cost of k² parameters whose valleys are long: X of shape (k, k) with X² a given matrix."""
    wanted = RNG.normal(size=(k, k))
    wanted = wanted @ wanted / k

    def cost(x):
        X = x.reshape(k, k)
        return np.sum((X @ X - wanted) ** 2)

    return cost, 0.1 * RNG.normal(size=k * k) + np.eye(k).ravel()


def test_the_compiled_loop_leads_to_the_same_minimum_and_each_solve_goes_the_same_way(monkeypatch):
    cost, start = roots_of_a_matrix(24)
    by_python = minimize(cost, start, method="newton-cg")
    runs = []
    solver = import_module("steepest.solvers.newton_cg")
    plain = solver.compiled
    monkeypatch.setattr(solver, "MANY_PRODUCTS", 500)
    monkeypatch.setattr(solver, "compiled", lambda *a, **k: runs.append(plain(*a, **k)) or runs[-1])
    first = minimize(cost, start, method="newton-cg")
    assert runs
    assert first.verdict == by_python.verdict
    assert first.fun < 1e-20
    assert by_python.fun < 1e-20
    second, third = (minimize(cost, start, method="newton-cg") for _ in range(2))
    assert np.array_equal(second.x, third.x)
    assert second.nfev == third.nfev


def test_products_taken_in_a_loop_count_and_end_with_the_seconds():
    problem = Objective(
        2,
        value_and_gradient=lambda x: (float(x @ x), 2.0 * x),
        hessian_product=lambda x, v: 2.0 * v,
        budget=Budget(seconds=100.0),
    )
    problem.count_products(40)
    assert problem.counts.products == 40
    problem.start_clock(began=perf_counter() - 100.1)
    with pytest.raises(BudgetSpent, match="seconds"):
        problem.count_products(1)


def test_near_an_ill_conditioned_minimum_a_factor_spares_products(monkeypatch):
    """Curvatures from 1 to 1e-8, each a bent residual's: conjugate gradients take a hundred at every step."""
    n = 100
    Q, _ = np.linalg.qr(RNG.normal(size=(n, n)))
    size, answer, begun = np.logspace(0.0, -4.0, n), RNG.normal(size=n), RNG.normal(size=n)

    def cost(x):
        u = Q @ (x - answer)
        return np.sum((size * (u + 0.1 * u**3)) ** 2)

    def products():
        result = minimize(cost, answer + begun, method="newton-cg")
        assert_allclose(result.x, answer, atol=1e-7)
        return counted.pop()

    counted = []
    module = import_module("steepest.solvers.newton_cg")
    real = module.NewtonCG.step

    def step(self, objective, state):
        after = real(self, objective, state)
        counted[:] = [objective.counts.products]
        return after

    monkeypatch.setattr(module.NewtonCG, "step", step)
    with_factor = products()
    monkeypatch.setattr(module, "FACTORISED", 0)
    without = products()
    assert with_factor < 0.8 * without


def test_few_parameters_take_their_steps_without_a_factor():
    """Their products are one program, that of the place not apart; a dozen of them would have a factor made."""
    data = np.array([-1.0, 0.3, 2.0, 3.0])
    found = minimize(
        lambda p: data.size * p[1] + 0.5 * np.sum((data - p[0]) ** 2) * np.exp(-2 * p[1]),
        np.array([0.0, 2.0]),
        method="newton-cg",
    )
    assert_allclose(found.x, [data.mean(), np.log(data.std())], rtol=1e-9)


def test_where_the_cost_vanishes_no_step_follows_one_shorter_than_the_rounding_of_x():
    """A matrix root: the cost falls on to 10⁻²⁹ by changes of the last digits, each a hundred products dear."""
    k = 12
    root = RNG.normal(size=(k, k))
    square = root @ root

    def value_and_gradient(x):
        X = x.reshape(k, k)
        R = X @ X - square
        return float(np.sum(R * R)), 2.0 * (R @ X.T + X.T @ R).ravel()

    def product(x, v):
        X, V = x.reshape(k, k), v.reshape(k, k)
        R, D = X @ X - square, V @ x.reshape(k, k) + x.reshape(k, k) @ V
        return 2.0 * (D @ X.T + X.T @ D + R @ V.T + V.T @ R).ravel()

    problem = Objective(k * k, value_and_gradient=value_and_gradient, hessian_product=product)
    run = drive(newton_cg(), problem, (root + 0.02 * RNG.normal(size=(k, k))).ravel())
    assert run.stop.is_final
    assert_allclose(
        run.x.reshape(k, k) @ run.x.reshape(k, k), square, rtol=0, atol=1e-12 * np.abs(square).max()
    )
    assert (run.history.step_length[1:] > np.finfo(float).eps * np.linalg.norm(run.x)).all()


@pytest.mark.parametrize("unit", [1e4, 1e8, 1e12])
def test_a_small_parameter_beside_a_large_one_still_moves(unit):
    """All its way is shorter than the spacing of the numbers at the large one, which is at its best already."""

    def cost(x):
        small = x[1] * unit - 1
        return (x[0] / unit - 3) ** 2 + small**2 + small**4

    found = minimize(cost, [3.0 * unit, 5.0 / unit], method="newton-cg")
    assert found.success, found.message
    assert_allclose(found.x, [3.0 * unit, 1.0 / unit], rtol=1e-12)


def test_a_factor_is_made_of_products_that_come_one_by_one():
    """Those of a smooth kernel: conjugate gradients would take as many for each step as there are parameters."""
    points = np.linspace(-3.0, 3.0, 250)
    K = np.exp(-0.5 * (points[:, None] - points) ** 2)
    noise = 0.5 * np.random.default_rng(0).normal(size=points.size)
    sign = np.where(np.sin(3.0 * points) + noise > 0.0, 1.0, -1.0)

    def value_and_gradient(a):
        z = K @ a
        value = np.logaddexp(0.0, -sign * z).sum() + 0.005 * a @ z
        return float(value), K @ (0.01 * a - sign / (1.0 + np.exp(sign * z)))

    def product(a, v):
        z, w = K @ a, K @ v
        return K @ (w / (2.0 + np.exp(z) + np.exp(-z)) + 0.01 * v)

    problem = Objective(250, value_and_gradient=value_and_gradient, hessian_product=product)
    run = drive(newton_cg(), problem, np.zeros(250), max_steps=60)
    assert run.stop.is_final and np.abs(run.gradient).max() < 1e-11
    assert problem.counts.products < 800
