"""Newton's method: what exact curvature must give, and what it must survive."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq
from scipy.sparse import csc_array, diags_array, eye_array, kron

from steepest import minimize
from steepest.bounds import Bounds
from steepest.objective import Objective
from steepest.solvers import StopReason, drive, newton

from .problems import rosenbrock


def with_hessian(cost, hessian, n, bounds=None):
    return Objective(n, value_and_gradient=cost, hessian=hessian, bounds=bounds)


def rosenbrock_hessian(x):
    H = np.diag(np.append(1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0, 0.0))
    H[np.arange(1, x.size), np.arange(1, x.size)] += 200.0
    off = np.arange(x.size - 1)
    H[off, off + 1] = H[off + 1, off] = -400.0 * x[:-1]
    return H


def test_rosenbrock_ends_on_its_exact_minimum():
    run = drive(newton(), with_hessian(rosenbrock, rosenbrock_hessian, 2), np.array([-1.2, 1.0]))
    assert_array_equal(run.x, [1.0, 1.0])
    assert run.steps <= 25


def evidence(inverse):
    """Negative log likelihood of a Gaussian process of 40 values, by `inverse`, in the logarithms of its scales."""
    t = np.linspace(0.0, 5.0, 40)
    y = np.exp(-0.7 * t) + 0.05 * np.sin(40.0 * t)

    def cost(p):
        K = np.exp(2 * p[0] - 0.5 * ((t[:, None] - t) / np.exp(p[1])) ** 2) + np.exp(2 * p[2]) * np.eye(
            t.size
        )
        if inverse == "cholesky":
            L = np.linalg.cholesky(K)
            z = np.linalg.solve(L, y)
            return 0.5 * z @ z + np.log(np.diag(L)).sum()
        if inverse == "solve":
            return 0.5 * y @ np.linalg.solve(K, y) + 0.5 * np.linalg.slogdet(K)[1]
        return 0.5 * y @ np.linalg.inv(K) @ y + 0.5 * np.log(np.linalg.det(K))

    return cost


@pytest.mark.parametrize("inverse", ["cholesky", "solve", "inv"])
@pytest.mark.parametrize("start", [(1.0, 0.5, 0.2), (0.0, 0.0, 0.0), (0.0, 1.0, -2.0)])
def test_a_likelihood_ends_in_its_minimum_whichever_way_its_matrix_is_inverted(inverse, start):
    """Where the noise is next to nothing, K has no inverse in double precision: `solve` gives -1e13 there, the
    logarithm of the determinant -inf, Cholesky nothing. A step that lands there is shortened, and never returned.

    The values wander by 1e-11 about the minimum; their rounding was followed for dozens of steps.
    """
    found = minimize(evidence(inverse), np.array(start))
    assert found.success
    assert_allclose(found.x, [0.29539837, 1.28328116, -3.27776977], rtol=1e-6)
    arrived = int(np.argmax(np.abs(found.history.x - found.x).max(axis=1) < 1e-7))
    assert len(found.history.x) <= arrived + 25


@pytest.mark.parametrize("unit", [1e-10, 1e10])
def test_units_apart_by_twenty_orders_of_magnitude_change_nothing(unit):
    """(x·u - 1)² + (y/u - 1)⁴ + (xu·y/u)²/100 takes the same path in any unit."""

    def path(u):
        D = np.array([u, 1.0 / u])

        def cost(x):
            a, b = D * x
            slope = np.array([2 * (a - 1) + a * b * b / 50, 4 * (b - 1) ** 3 + a * a * b / 50])
            return (a - 1) ** 2 + (b - 1) ** 4 + (a * b) ** 2 / 100, D * slope

        def hessian(x):
            a, b = D * x
            H = np.array(
                [
                    [2 + b * b / 50, 2 * a * b / 50],
                    [2 * a * b / 50, 12 * (b - 1) ** 2 + a * a / 50],
                ]
            )
            return D[:, None] * H * D

        run = drive(newton(), with_hessian(cost, hessian, 2), np.array([-3.0, 4.0]) / D, max_steps=9)
        return run.history.x * D

    assert_allclose(path(unit), path(1.0), rtol=1e-6, atol=1e-9)


def test_a_saddle_is_left_along_its_negative_curvature():
    """x² - y² + y⁴ from just beside the saddle: the minima are at y = ±1/√2."""
    run = drive(
        newton(),
        with_hessian(
            lambda x: (x[0] ** 2 - x[1] ** 2 + x[1] ** 4, np.array([2 * x[0], -2 * x[1] + 4 * x[1] ** 3])),
            lambda x: np.diag([2.0, -2.0 + 12.0 * x[1] ** 2]),
            2,
        ),
        np.array([1.0, 1e-9]),
    )
    assert_allclose(np.abs(run.x), [0.0, np.sqrt(0.5)], atol=1e-15)


def test_a_quartic_is_followed_until_its_slope_is_beyond_double_precision():
    run = drive(
        newton(),
        with_hessian(lambda x: (float((x**4).sum()), 4 * x**3), lambda x: np.diag(12 * x**2), 2),
        np.array([1.0, -2.0]),
    )
    assert np.abs(run.x).max() < 1e-11 and run.stop.is_final


def test_a_flat_valley_is_reached_and_not_walked_along():
    """(xy - 2)²: singular along the hyperbola xy = 2."""

    def cost(x):
        r = x[0] * x[1] - 2.0
        return r * r, 2.0 * r * x[::-1]

    def hessian(x):
        cross = 4.0 * x[0] * x[1] - 4.0
        return np.array([[2 * x[1] ** 2, cross], [cross, 2 * x[0] ** 2]])

    run = drive(newton(), with_hessian(cost, hessian, 2), np.array([5.0, 1.0]))
    assert_allclose(run.x[0] * run.x[1], 2.0, rtol=1e-15)
    assert np.linalg.norm(run.x) < 10.0 and run.steps < 30


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_hessian_that_is_not_finite_does_not_stop_the_walk(bad):
    """|x|^1.5 has an infinite second derivative at 0, where the second parameter starts."""
    run = drive(
        newton(),
        with_hessian(
            lambda x: (
                float((np.abs(x) ** 1.5).sum() + (x @ x)),
                1.5 * np.sign(x) * np.sqrt(np.abs(x)) + 2.0 * x,
            ),
            lambda x: np.diag(
                np.where(x == 0.0, bad, 0.75 / np.sqrt(np.abs(np.where(x == 0.0, 1.0, x))) + 2.0)
            ),
            2,
        ),
        np.array([3.0, 0.0]),
    )
    assert_allclose(run.x, [0.0, 0.0], atol=1e-8)


def test_every_parameter_on_a_bound_is_a_stationary_end():
    box = Bounds(np.array([2.0, -3.0]), np.array([4.0, -1.0]))
    run = drive(
        newton(),
        with_hessian(lambda x: (float(x @ x), 2.0 * x), lambda x: 2.0 * np.eye(2), 2, box),
        np.array([2.0, -1.0]),
    )
    assert run.stop is StopReason.SLOPE_ZERO and run.steps == 0


def test_many_bounds_are_found_in_few_steps():
    """A separable convex quadratic with half of its 200 minima outside the box: one model step finds them all."""
    n = 200
    centre = np.linspace(-2.0, 2.0, n)
    weights = np.geomspace(1e-3, 1e3, n)
    run = drive(
        newton(),
        with_hessian(
            lambda x: (float(weights @ (x - centre) ** 2), 2.0 * weights * (x - centre)),
            lambda x: np.diag(2.0 * weights),
            n,
            Bounds(np.full(n, -1.0), np.full(n, 1.0)),
        ),
        np.zeros(n),
    )
    assert_allclose(run.x, np.clip(centre, -1.0, 1.0), rtol=1e-14)
    assert run.steps <= 3


def test_without_a_hessian_products_or_differences_of_slopes_serve():
    def product(x, v):
        return rosenbrock_hessian(x) @ v

    for problem in (
        Objective(4, value_and_gradient=rosenbrock, hessian_product=product),
        Objective(4, value_and_gradient=rosenbrock),
    ):
        run = drive(newton(), problem, np.array([1.2, 1.0, 0.7, 0.3]))
        assert_allclose(run.x, np.ones(4), rtol=1e-9)


def chain(n):
    """Σ 100(x[i+1] - x[i]²)² + (1 - x[i])² with its tridiagonal Hessian, as a sparse array."""

    def hessian(x):
        diagonal = np.zeros(n)
        diagonal[:-1] = 1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0
        diagonal[1:] += 200.0
        side = -400.0 * x[:-1]
        return diags_array([side, diagonal, side], offsets=[-1, 0, 1], format="csc")

    return rosenbrock, hessian


def test_a_sparse_hessian_and_a_dense_one_lead_the_same_way():
    cost, hessian = chain(20)
    start = np.tile([-1.2, 1.0], 10)
    paths = [
        drive(newton(), problem, start, max_steps=8).history.x
        for problem in (
            Objective(20, value_and_gradient=cost, sparse_hessian=hessian),
            Objective(20, value_and_gradient=cost, hessian=lambda x: hessian(x).toarray()),
        )
    ]
    assert_allclose(paths[0][:2], paths[1][:2], rtol=1e-9)
    ends = [cost(path[-1])[0] for path in paths]
    assert_allclose(ends[0], ends[1], rtol=0.5)


def test_ten_thousand_parameters_are_polished_to_the_last_digit():
    n = 10_000
    cost, hessian = chain(n)
    problem = Objective(n, value_and_gradient=cost, sparse_hessian=hessian)
    run = drive(newton(), problem, np.linspace(0.8, 1.2, n))
    assert_allclose(run.x, np.ones(n), atol=1e-12)
    assert run.steps < 30


def membrane(m):
    """Energy of a membrane on m × m points under a load, with the sparse matrix of its Hessian."""
    line = diags_array([-np.ones(m - 1), 2.0 * np.ones(m), -np.ones(m - 1)], offsets=[-1, 0, 1])
    A = (kron(line, eye_array(m)) + kron(eye_array(m), line)).tocsc()
    A.sort_indices()
    load = 5.0 / (m + 1) ** 2
    return A, load, lambda x: (0.5 * float(x @ (A @ x)) - load * float(x.sum()), A @ x - load)


def test_a_membrane_held_down_by_an_obstacle_meets_the_conditions_of_its_minimum():
    """Convex, so the first-order conditions are enough: slope zero where free, pushing where held."""
    m = 60
    A, _, cost = membrane(m)
    i = np.arange(1, m + 1)
    to_edge = np.minimum(i, m + 1 - i) / (m + 1)
    height = np.minimum.outer(to_edge, to_edge).ravel()
    bounds = Bounds(-height, height)
    problem = Objective(m * m, value_and_gradient=cost, sparse_hessian=lambda x: A, bounds=bounds)
    run = drive(newton(), problem, np.zeros(m * m))
    slope = cost(run.x)[1]
    held = run.x >= height
    assert 50 < np.count_nonzero(held) < m * m
    assert_allclose(slope[~held], 0.0, atol=1e-14)
    assert (slope[held] <= 1e-14).all()
    assert run.steps <= 10


def test_an_indefinite_sparse_quadratic_ends_at_a_first_order_point_of_the_box():
    n = 2_000
    i = np.arange(1, n + 1)
    rows = np.repeat(np.arange(n), 3)
    columns = np.stack([i - 1, (2 * i - 1) % n, (3 * i - 1) % n], axis=1).ravel()
    B = csc_array((np.ones(3 * n), (rows, columns)), (n, n))
    A = (B.T @ diags_array(np.where(i <= 1500, i, -i).astype(float)) @ B).tocsc()
    A.sort_indices()
    bounds = Bounds(np.full(n, 0.1), np.full(n, 10.0))
    problem = Objective(
        n,
        value_and_gradient=lambda x: (0.5 * float(x @ (A @ x)), A @ x),
        sparse_hessian=lambda x: A,
        bounds=bounds,
    )
    run = drive(newton(), problem, np.full(n, 0.5))
    assert np.abs(bounds.projected_gradient(run.x, run.gradient)).max() <= 1e-12 * np.abs(run.gradient).max()
    assert run.steps <= 20


def test_one_bad_neighbourhood_does_not_hold_up_thousands_of_others():
    """Ten thousand chained parameters, scattered around the minimum: many start where the curvature is negative."""
    n = 10_000
    cost, hessian = chain(n)
    problem = Objective(n, value_and_gradient=cost, sparse_hessian=hessian)
    run = drive(newton(), problem, 1.0 + 0.5 * np.random.default_rng(0).normal(size=n))
    assert_allclose(run.x, np.ones(n), atol=1e-9)
    assert problem.evaluations < 200


def test_bounds_that_only_fix_parameters_leave_the_others_to_walk_as_without_bounds():
    """The chain with both ends and one in the middle held: as quick as the chain without them, which has no bounds."""
    n = 3_000
    cost, hessian = chain(n)
    start = 1.0 + 0.5 * np.random.default_rng(0).normal(size=n)
    held = np.array([0, n // 2, n - 1])
    free = np.setdiff1d(np.arange(n), held)
    bounds = Bounds.none(n)
    lower, upper = np.array(bounds.lower), np.array(bounds.upper)
    lower[held] = upper[held] = start[held]

    def rest(x):
        whole = start.copy()
        whole[free] = x
        return whole

    def cost_of_rest(x):
        value, gradient = cost(rest(x))
        return value, gradient[free]

    problem = Objective(n, value_and_gradient=cost, sparse_hessian=hessian, bounds=Bounds(lower, upper))
    reduced = Objective(
        free.size,
        value_and_gradient=cost_of_rest,
        sparse_hessian=lambda x: hessian(rest(x))[free][:, free].tocsc(),
    )
    run, without = drive(newton(), problem, start), drive(newton(), reduced, start[free])
    assert_array_equal(run.x[held], start[held])
    assert_allclose(run.x[free], without.x, atol=1e-7)
    assert problem.evaluations <= 1.5 * reduced.evaluations


def test_negative_curvature_everywhere_among_neighbours_is_left_in_few_steps():
    """Σ q⁴ - 20q² - q/10, q sums of neighbours, begun near the maximum: every curvature is negative."""
    n, width = 4_500, 20
    B = diags_array([np.ones(n - k) for k in range(width + 1)], offsets=range(width + 1), format="csc")

    def cost(x):
        q = B @ x
        return float((q**4 - 20.0 * q**2 - 0.1 * q).sum()), B.T @ (4.0 * q**3 - 40.0 * q - 0.1)

    def hessian(x):
        return (B.T @ diags_array(12.0 * (B @ x) ** 2 - 40.0) @ B).tocsc()

    problem = Objective(n, value_and_gradient=cost, sparse_hessian=hessian)
    run = drive(newton(), problem, 1e-4 * np.arange(1, n + 1) / (n + 1))
    assert np.abs(run.gradient).max() < 1e-8
    assert run.value < -99.9 * n
    assert problem.evaluations < 60


def test_terms_of_sums_of_parameters_in_units_far_apart_fall_each_into_its_own_well():
    """Σ q⁴ - 20q² - q/10 again, q sums of neighbours in units a thousandfold apart, begun right of every hill.

    The sums are as many as the parameters, and can be chosen freely: each ends in the lower of its two wells, at the
    largest root of 4q³ - 40q - 1/10.
    """
    n, width = 1_000, 10
    unit = np.exp(np.linspace(0.0, 7.0, n))

    def cost(x):
        q = jnp.convolve(jnp.pad(unit * x, (0, width)), jnp.ones(width + 1), mode="valid")
        return jnp.sum(q * (q * (q**2 - 20) - 0.1))

    found = minimize(cost, 1e-4 * unit, method=newton())
    q = max(np.roots([4.0, 0.0, -40.0, -0.1]).real)
    assert_allclose(found.fun, n * (q**4 - 20.0 * q**2 - 0.1 * q), rtol=1e-12)
    assert found.success
    assert found.nfev < 100


def test_parameters_that_only_their_sum_matters_for_are_walked_by_newtons_method():
    """Every second pivot of the Hessian is exactly zero."""
    n = 200
    B = kron(eye_array(n // 2), np.ones((1, 2)), format="csr")

    def cost(x):
        q = B @ x
        return float(((q * q - 1.0) ** 2).sum()), B.T @ (4.0 * q * (q * q - 1.0))

    def hessian(x):
        return (B.T @ diags_array(12.0 * (B @ x) ** 2 - 4.0) @ B).tocsc()

    start = np.linspace(0.5, 2.0, n)
    problem = Objective(n, value_and_gradient=cost, sparse_hessian=hessian)
    run = drive(newton(sparse=True), problem, start)
    assert_allclose(B @ run.x, np.ones(n // 2), rtol=1e-12)
    assert run.steps <= 20


def test_a_layout_that_may_be_moved_and_turned_ends_in_newtons_own_steps():
    """Three curvatures are zero, negative in rounding, and for their sake alone no other is to be changed."""
    k, rng = 300, np.random.default_rng(0)
    one = np.concatenate([np.arange(k - 1), rng.integers(0, k, k)])
    other = np.concatenate([np.arange(1, k), rng.integers(0, k, k)])
    one, other = one[one != other], other[one != other]
    length = 1.0 + rng.random(one.size)

    def cost(x):
        p = x.reshape(k, 2)
        return np.sum((np.sqrt(np.sum((p[one] - p[other]) ** 2, axis=1) + 1e-12) - length) ** 2)

    near = minimize(cost, 3.0 * rng.normal(size=2 * k), method="L-BFGS", options={"maxiter": 1000})
    found = minimize(cost, near.x, method=newton(sparse=True))
    assert found.nit < 100
    p = found.x.reshape(k, 2)
    apart = p[one] - p[other]
    far = np.sqrt((apart**2).sum(axis=1) + 1e-12)
    pull = (2.0 * (far - length) / far)[:, None] * apart
    force = np.zeros((k, 2))
    np.add.at(force, one, pull)
    np.add.at(force, other, -pull)
    assert np.abs(force).max() < 1e-12


def test_a_saddle_among_many_parameters_is_left():
    """Σ x² but for the last, where it is -y² + y⁴: the start is beside the saddle, with hardly any slope along y."""
    n = 300
    start = np.ones(n)
    start[-1] = 1e-9

    def cost(x):
        y = x[-1]
        gradient = 2.0 * x
        gradient[-1] = -2.0 * y + 4.0 * y**3
        return float(x[:-1] @ x[:-1]) - y**2 + y**4, gradient

    def hessian(x):
        diagonal = np.full(n, 2.0)
        diagonal[-1] = -2.0 + 12.0 * x[-1] ** 2
        return diags_array([diagonal], offsets=[0], format="csc")

    run = drive(newton(), Objective(n, value_and_gradient=cost, sparse_hessian=hessian), start)
    assert_allclose(abs(run.x[-1]), np.sqrt(0.5), rtol=1e-12)
    assert run.steps < 40


def test_the_units_of_the_others_do_not_hang_on_parameters_that_equal_bounds_hold():
    """One is held that pulls its neighbour hard and has little curvature, or none, of its own."""
    n = 400

    def cost_with(own):
        def cost(x):
            rest = 0.1 * np.sum((x[2:] - x[1:-1]) ** 2) + np.sum(np.cosh(x[1:] - 1.0))
            return rest + x[0] * x[1] + own * x[0] ** 2

        return cost

    start = np.full(n, 2.0)
    for own in (0.0, 1e-3):
        held = minimize(
            cost_with(own), start, method="newton", bounds=[(2.0, 2.0)] + [(None, None)] * (n - 1), starts=1
        )
        left_out = minimize(cost_with(own), start, method="newton", fixed=[0], starts=1)
        assert_allclose(held.history.value, left_out.history.value, rtol=1e-12)
        assert_allclose(held.x, left_out.x, rtol=1e-10)


@pytest.mark.parametrize("power", [4, 6])
@pytest.mark.parametrize("bounds", [None, Bounds(np.full(2, -10.0), np.full(2, 10.0))])
def test_where_curvature_vanishes_at_the_minimum_the_steps_to_come_are_taken_at_once(power, bounds):
    # On a power p each of Newton's steps leaves (p - 2)/(p - 1) of the way: alone they need 68 (p = 4) and 124 (p = 6)
    # for twelve digits of the way.
    def cost(x):
        return float(np.sum((x - 1.0) ** power)), power * (x - 1.0) ** (power - 1)

    def hessian(x):
        return np.diag(power * (power - 1) * (x - 1.0) ** (power - 2))

    run = drive(newton(), with_hessian(cost, hessian, 2, bounds), np.array([5.0, 3.0]))
    assert_allclose(run.x, 1.0, rtol=0, atol=1e-9)
    assert run.steps <= 12


def test_steps_at_once_end_on_a_bound_that_lies_before_the_bottom():
    """All steps of x⁴ together lead to 1: the first parameter may go no farther than 2, and no trial lies behind."""
    seen = []

    def cost(x):
        seen.append(x)
        return float(np.sum((x - 1.0) ** 4)), 4.0 * (x - 1.0) ** 3

    def hessian(x):
        return np.diag(12.0 * (x - 1.0) ** 2)

    bounds = Bounds(np.array([2.0, -10.0]), np.full(2, 20.0))
    run = drive(newton(), with_hessian(cost, hessian, 2, bounds), np.array([17.0, 17.0]))
    assert min(x[0] for x in seen) == run.x[0] == 2.0
    assert_allclose(run.x[1], 1.0, rtol=0, atol=1e-9)
    assert (
        run.steps <= 6
    )  # each alone leaves two thirds of the way: seven until the bound, and 68 to the bottom


def test_steps_at_once_that_lead_no_lower_are_not_taken():
    # x⁴ down to 0.05, then a wall: the sum of all steps leads behind it, and each step alone does not.
    def cost(x):
        behind = np.minimum(x - 0.05, 0.0)
        return float(np.sum(x**4 + 1e6 * behind**2)), 4.0 * x**3 + 2e6 * behind

    def hessian(x):
        return np.diag(12.0 * x**2 + 2e6 * (x < 0.05))

    run = drive(newton(), with_hessian(cost, hessian, 1), np.array([4.0]))
    # The minimum: 4x³ = 2e6·(0.05 - x), so x = 0.05 - 2.5e-10 to first order.
    assert_allclose(run.x, 0.05 - 2.5e-10, rtol=0, atol=1e-15)


@pytest.mark.parametrize("n", [12, 40, 130])
def test_a_maximum_of_many_parameters_between_bounds_is_left_in_all_of_them(n):
    """-Σ (x - 0.3)² from its top: every corner is a minimum, and the walk leaves along all parameters at once."""
    found = minimize(lambda x: -np.sum((x - 0.3) ** 2), np.full(n, 0.3), bounds=[(0.0, 1.0)] * n)
    assert found.success, found.message
    assert np.isin(found.x, (0.0, 1.0)).all()


def test_a_step_on_the_wall_of_a_bent_valley_is_put_back_on_its_floor():
    """Half way round a circle with walls a million times as steep as its floor, without leaving the floor."""

    def circle(x):
        return x[0] + 1e6 * (x[0] ** 2 + x[1] ** 2 - 1.0) ** 2

    found = minimize(circle, np.array([1.1, 0.1]), method="newton")
    # On the axis the slope 1 + 4e6·t·(t² - 1) vanishes at the root next to -1.
    lowest = brentq(lambda t: 1.0 + 4e6 * t * (t * t - 1.0), -1.1, -0.9, xtol=1e-15)
    assert_allclose(found.x, [lowest, 0.0], atol=1e-7)
    assert found.nfev <= 600  # 820 where each such step is refused and made shorter


@pytest.mark.parametrize("seed", [1, 3, 4, 5])
def test_a_gain_that_is_rounding_is_no_abyss(seed):
    """At the bottom of a likelihood its last digit jumps by more than a step promises, which needs no second look."""
    rng = np.random.default_rng(seed)
    X = 50.0 * rng.normal(size=(21, 2))
    y = np.sign(X @ np.array([0.05, -0.03]) + 3.0 * rng.normal(size=21))
    result = minimize(lambda b: np.sum(np.log(1 + np.exp(-y * (X @ b)))), np.zeros(2), starts=1)
    assert result.success
    assert result.nfev <= result.nit + 4


def test_a_ridge_aslant_to_the_box_is_left_in_few_steps():
    """CUTEst's PROBPENL: parts of a whole, which a penalty holds together; the minimum is beside a corner."""

    def cost(x):
        return np.sum((x[1:] + x[:-1]) * np.exp(-x[1:] * x[:-1])) / 100 + 100 * (np.sum(x) - 1) ** 2

    result = minimize(cost, np.full(50, 0.5), bounds=[(0.0, 0.95)] * 50, method="newton", starts=1)
    # One parameter at an end of the row counts once, all others twice: 0.01·s + 100·(s - 1)² is lowest at s = 1 - 5e-5.
    assert_allclose(result.fun, 0.01 * (1 - 5e-5) + 100 * 5e-5**2, rtol=1e-9)
    assert result.nit < 100
