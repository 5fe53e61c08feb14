"""least_squares against closed forms and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from numpy.testing import assert_allclose

from steepest import InputError, Verdict, least_squares, minimize


def valley(x):
    return [10 * (x[1] - x[0] ** 2), 1 - x[0]]


def test_a_residual_that_vanishes_is_followed_to_zero():
    result = least_squares(valley, [-1.2, 1.0])
    assert_allclose(result.x, 1.0, rtol=1e-13)
    assert result.success and result.fun < 1e-25
    assert_allclose(result.jacobian, [[-20.0, 10.0], [-1.0, 0.0]], rtol=1e-12)


def test_parameters_keep_their_structure():
    result = least_squares(
        lambda p: np.array([p["a"] - 2.0, p["b"][0] + 1.0, p["b"][1]]), {"a": 0.0, "b": [1.0, 1.0]}
    )
    assert_allclose(result.x["a"], 2.0)
    assert_allclose(result.x["b"], [-1.0, 0.0], atol=1e-14)


def test_a_jacobian_of_ones_own_is_used_dense_or_sparse():
    A = np.random.default_rng(0).normal(size=(8, 3))
    b = np.arange(8.0)
    expected = np.linalg.lstsq(A, b)[0]
    for jac in (lambda x: A, lambda x: scipy.sparse.csr_array(A)):
        result = least_squares(lambda x: A @ x - b, np.zeros(3), jac=jac)
        assert_allclose(result.x, expected, rtol=1e-9)
        assert result.derivatives == "supplied"


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy", "arctan"])
def test_losses_mean_what_scipys_do(loss):
    t = np.linspace(0, 3, 20)
    y = np.exp(-t) + 0.01 * np.cos(20 * t)
    y[4] += 1.0
    ours = least_squares(lambda p: p[0] * np.exp(-p[1] * t) - y, [0.8, 0.8], loss=loss, f_scale=0.1)
    theirs = scipy.optimize.least_squares(
        lambda p: p[0] * np.exp(-p[1] * t) - y,
        [0.8, 0.8],
        loss=loss,
        f_scale=0.1,
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    assert_allclose(ours.fun, 2 * theirs.cost, rtol=1e-12)
    assert_allclose(ours.x, theirs.x, rtol=1e-6)
    assert ours.verdict is Verdict.LOCAL_MINIMUM


def test_other_methods_walk_the_same_cost():
    assert_allclose(least_squares(valley, [-1.2, 1.0], method="bfgs").x, 1.0, rtol=1e-6)


def test_measured_slopes_find_the_same():
    result = least_squares(valley, [-1.2, 1.0], derivatives="numeric")
    assert_allclose(result.x, 1.0, rtol=1e-7)
    assert result.derivatives == "numeric"


@pytest.mark.parametrize(
    "bounds",
    [([0.0, 0.0], [2.0, 10.0]), (np.zeros(2), np.array([2, 10])), (0, [2, 10]), [(0, 2), (0, 10)]],
)
def test_bounds_as_scipy_has_them_are_lower_and_upper(bounds):
    def apart(p):
        return p - np.array([3.0, 5.0])

    ours = least_squares(apart, [1.0, 1.0], bounds=bounds)
    assert_allclose(ours.x, [2.0, 5.0], atol=1e-12)
    if isinstance(bounds, tuple):
        theirs = scipy.optimize.least_squares(apart, [1.0, 1.0], bounds=bounds)
        assert_allclose(ours.x, theirs.x, atol=1e-6)


def test_bounds_and_fixed_parameters_hold():
    result = least_squares(valley, [-1.2, 1.0], bounds=[(None, 0.5), (None, None)])
    assert_allclose(result.x, [0.5, 0.25], rtol=1e-10)
    held = least_squares(valley, [-1.2, 1.0], fixed=[0])
    assert_allclose(held.x, [-1.2, 1.44], rtol=1e-12)


@pytest.mark.parametrize("change", [{"loss": "l3"}, {"f_scale": -1.0}, {"jac": "4-point"}, {"tol": -1.0}])
def test_wrong_arguments_are_named(change):
    with pytest.raises(InputError):
        least_squares(valley, [1.0, 1.0], **change)


def _bundle(cameras, points, seed=10):
    """Observations of points by cameras that turn and move, and the residual of all of them; five numbers a row."""
    rng = np.random.default_rng(seed)
    pose = np.hstack(
        [0.1 * rng.normal(size=(cameras, 3)), 0.5 * rng.normal(size=(cameras, 2)), np.full((cameras, 1), 6.0)]
    )
    place = rng.normal(size=(points, 3))
    of_camera = rng.integers(0, cameras, (points, 4)).ravel()
    of_point = np.repeat(np.arange(points), 4)

    def project(p):
        c, q = p[: 6 * cameras].reshape(cameras, 6), p[6 * cameras :].reshape(points, 3)
        turn = c[of_camera, :3]
        angle = np.sqrt(np.sum(turn**2, axis=1) + 1e-18)[:, None]
        axis, X = turn / angle, q[of_point]
        seen = X * np.cos(angle) + np.cross(axis, X) * np.sin(angle)
        seen = seen + axis * np.sum(axis * X, axis=1)[:, None] * (1 - np.cos(angle)) + c[of_camera, 3:]
        return 500 * seen[:, :2] / seen[:, 2:]

    truth = np.concatenate([pose.ravel(), place.ravel()])
    return project, truth, rng


def test_a_bundle_of_many_cameras_and_points_has_a_sparse_jacobian_and_is_exact():
    project, truth, rng = _bundle(10, 200)
    seen = project(truth)

    def residual(p):
        return project(p) - seen

    answer = least_squares(residual, truth + 0.02 * rng.normal(size=truth.size))
    # Without noise the lowest sum is zero. A coordinate in a picture depends on where the point is (3), and how the
    # camera is turned (3), and moved along that coordinate and in depth (2).
    assert answer.success and answer.fun < 1e-16
    assert answer.jacobian.shape == (1600, 660) and answer.jacobian.nnz == 1600 * 8
    assert answer.nfev < 30
    assert_allclose(answer.residual, np.ravel(residual(answer.x)), atol=1e-12)


def test_a_sparse_jacobian_is_that_of_differences_and_keeps_the_order_of_the_residuals():
    n = 400

    def residual(x):
        return np.array([np.sin(x[1:]) - x[:-1] ** 2, 3.0 - x[1:] * x[:-1]]).T

    x0 = np.linspace(0.1, 0.9, n)
    answer = least_squares(residual, x0, budget=1)
    J = answer.jacobian.toarray()
    step = 1e-6 * np.eye(n)
    for k in (0, 7, 399):
        difference = (residual(answer.x + step[k]) - residual(answer.x - step[k])).ravel() / 2e-6
        assert_allclose(J[:, k], difference, atol=1e-8)


@pytest.mark.parametrize("loss", ["linear", "soft_l1"])
def test_sparse_and_dense_jacobians_lead_to_the_same_minimum(loss):
    n = 400
    y = np.cumsum(np.random.default_rng(3).normal(size=n)) * 0.1

    def residual(x):
        return np.concatenate([x - y, 3.0 * np.diff(np.sinh(x))])

    sparse = least_squares(residual, np.zeros(n), loss=loss)
    dense = least_squares(
        residual,
        np.zeros(n),
        loss=loss,
        jac=lambda x: np.vstack([np.eye(n), 3.0 * np.diff(np.diag(np.cosh(x)), axis=0)]),
    )
    assert sparse.success and hasattr(sparse.jacobian, "tocsr")
    assert_allclose(sparse.x, dense.x, atol=1e-7)


def test_minimize_takes_the_slopes_of_residuals_where_second_derivatives_cost_many_times_as_much():
    """Each camera meets all its points in the sum of squares: second derivatives take hundreds of products."""
    project, truth, rng = _bundle(60, 1500)
    seen = project(truth) + 0.1 * rng.normal(size=(6000, 2))
    start = truth + 0.02 * rng.normal(size=truth.size)
    answer = minimize(lambda p: np.sum((project(p) - seen) ** 2), start)
    assert answer.success and answer.plan.taken[0] == "Levenberg-Marquardt"
    assert answer.nfev < 40
    # Of 12,000 residuals of variance 0.01, 4,860 parameters less 7 that move all together take their share.
    assert_allclose(answer.fun, 0.01 * (12_000 - 4_853), rtol=0.1)


@pytest.mark.parametrize("made", [np.asarray, scipy.sparse.csc_array], ids=["dense", "sparse"])
def test_a_jacobian_of_ones_own_may_come_in_the_same_array_each_time(made):
    shared = made(np.array([[-20.0, 10.0], [-1.0, 1e-300]]))

    def fresh(x):
        return made(np.array([[-20.0 * x[0], 10.0], [-1.0, 1e-300]]))

    def written(x):
        if made is np.asarray:
            shared[...] = fresh(x)
        else:
            shared.data[:] = fresh(x).data
        return shared

    same, other = (least_squares(valley, [-1.2, 1.0], jac=jac) for jac in (written, fresh))
    assert same.success
    np.testing.assert_array_equal(same.history.x, other.history.x)


@pytest.mark.parametrize("budget", [1, 7, 30, 100, None])
def test_least_squares_counts_every_call_where_slopes_are_measured(budget):
    calls = 0

    def residual(p):
        nonlocal calls
        calls += 1
        return np.array([10.0 * (p[1] - p[0] ** 2), 1.0 - p[0]])

    found = least_squares(residual, [-1.2, 1.0], derivatives="numeric", budget=budget)
    assert found.nfev <= calls <= found.nfev + 6
    assert budget is None or found.nfev <= 1.1 * budget + 6
    assert budget is not None or found.success
