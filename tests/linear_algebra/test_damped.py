"""Damped steps meet the conditions of Moré and Sorensen, with few axes, on floats, and with many."""

import numpy as np
import pytest
import scipy.sparse

from steepest.linear_algebra.damped import FEW, RADIUS_SLACK, of_hessian, of_residual, of_sparse_residual
from steepest.linear_algebra.damped_factors import CholeskyModel, HeldModel, PivotedModel


@pytest.mark.parametrize("n", [1, 2, 5, FEW, FEW + 1, 40])
@pytest.mark.parametrize("bent", ["upwards", "both ways", "flat along one axis"])
@pytest.mark.parametrize("radius", [1e-6, 0.1, 3.0])
def test_a_step_is_lowest_on_its_sphere(n, bent, radius):
    generator = np.random.default_rng(n)
    axes = np.linalg.qr(generator.standard_normal((n, n)))[0]
    values = generator.uniform(0.5, 20.0, n)
    if bent == "both ways":
        values[0] = -2.0
    elif bent != "upwards":
        values[0] = 0.0
    H, g = (axes * values) @ axes.T, generator.standard_normal(n)
    if bent == "flat along one axis":
        g = g - axes[:, 0] * (axes[:, 0] @ g)  # as where a parameter moves nothing
    step, damping, length, promise = of_hessian(H, g, np.ones(n)).step(radius)
    assert damping >= 0.0 and length <= (1.0 + RADIUS_SLACK) * radius * (1.0 + 1e-12)
    assert damping == 0.0 or length >= (1.0 - RADIUS_SLACK) * radius * (1.0 - 1e-12)
    assert np.linalg.eigvalsh(0.5 * H + damping * np.eye(n))[0] >= -1e-9
    np.testing.assert_allclose(0.5 * H @ step + damping * step, -0.5 * g, atol=1e-9 * np.linalg.norm(g))
    np.testing.assert_allclose(promise, -(g @ step + 0.5 * step @ H @ step), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("n", [2, FEW + 1])
def test_a_slope_without_a_part_along_the_lowest_axis_still_fills_the_radius(n):
    H, g = np.diag([-2.0, *np.linspace(1.0, 4.0, n - 1)]), np.zeros(n)
    g[1] = 1.0
    step, _, length, promise = of_hessian(H, g, np.ones(n)).step(5.0)
    np.testing.assert_allclose([np.linalg.norm(step), length], 5.0, rtol=1e-9)
    assert promise > 0.5 * 2.0 * 5.0**2 * 0.9


@pytest.mark.parametrize("n", [3, FEW + 3])
def test_residuals_give_the_least_squares_step_where_the_radius_allows(n):
    generator = np.random.default_rng(n)
    J, r = generator.standard_normal((3 * n, n)), generator.standard_normal(3 * n)
    step = of_residual(J, r, np.ones(n)).step(np.inf).step
    np.testing.assert_allclose(step, np.linalg.lstsq(J, -r, rcond=None)[0], rtol=1e-9)


@pytest.mark.parametrize(("rank", "n"), [(0, 20), (1, 20), (2, 20), (7, 20), (19, 20), (0, 5), (3, 5)])
def test_the_step_of_a_jacobian_of_low_rank_is_the_shortest_least_squares_solution(rank, n):
    rng = np.random.default_rng(rank)
    J = rng.normal(size=(45, rank)) @ rng.normal(size=(rank, n)) if rank else np.zeros((45, n))
    r = rng.normal(size=45)
    model = of_residual(J, r, np.ones(n))
    truth, _, found_rank, values = np.linalg.lstsq(J, -r, rcond=1e-12)
    assert found_rank == rank == model.values.size
    np.testing.assert_allclose(np.sqrt(model.values), values[:rank][::-1], rtol=1e-12)
    np.testing.assert_allclose(model.step(np.inf).step, truth, atol=1e-12)
    np.testing.assert_allclose(model.decrease, r @ r - np.sum((r + J @ truth) ** 2), atol=1e-12)


@pytest.mark.parametrize("weak", [1e-3, 1e-6, 1e-9, 1e-12])
def test_weak_directions_that_the_product_of_a_jacobian_with_itself_does_not_show_are_not_lost(weak):
    rng = np.random.default_rng(4)
    U = np.linalg.qr(rng.normal(size=(200, 3)))[0]
    V = np.linalg.qr(rng.normal(size=(60, 3)))[0]
    J, r = (U * [1.0, weak, 1.0]) @ V.T, rng.normal(size=200)
    model = of_residual(J, r, np.ones(60))
    np.testing.assert_allclose(model.values, [weak**2, 1.0, 1.0], rtol=1e-15 / weak + 1e-12)
    truth = -V @ ((U.T @ r) / [1.0, weak, 1.0])
    np.testing.assert_allclose(model.step(np.inf).step, truth, rtol=1e-3, atol=1e-3 * np.abs(truth).max())


def test_small_singular_values_beside_large_ones_keep_their_digits():
    rng = np.random.default_rng(3)
    left, right = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in (30, 12))
    values = 10.0 ** -np.arange(12.0)
    model = of_residual(left[:, :12] * values @ right.T, np.ones(30), np.ones(12))
    np.testing.assert_allclose(np.sqrt(model.values), values[::-1], rtol=1e-4)


@pytest.mark.parametrize("sparse", [False, True])
def test_many_columns_are_factorised_and_each_radius_asked_for_gets_its_lowest_point(sparse):
    """(B + λ)p = -a (Nocedal & Wright 2006, theorem 4.1), whichever radius was asked for before."""
    rng = np.random.default_rng(5)
    J, r, slope = rng.normal(size=(90, 40)), rng.normal(size=90), rng.normal(size=40)
    if sparse:
        J *= rng.random(J.shape) < 0.2
    scale = rng.uniform(0.5, 20.0, 40)
    make = of_sparse_residual if sparse else of_residual
    model = make(scipy.sparse.csc_array(J) if sparse else J, r, scale)
    assert isinstance(model, CholeskyModel)
    A = J / scale
    for radius in (0.3, 1e-2, np.inf, 0.5):
        p, damping, length, promise = model.step(radius)
        assert length <= (1.0 + RADIUS_SLACK) * radius
        assert damping == 0.0 or length >= (1.0 - RADIUS_SLACK) * radius
        B = A.T @ A + damping * np.eye(40)
        np.testing.assert_allclose(B @ p, -A.T @ r, atol=1e-10)
        np.testing.assert_allclose(promise, r @ r - np.sum((r + A @ p) ** 2), rtol=1e-9)
        np.testing.assert_allclose(B @ model.damped(slope, damping), -slope, atol=1e-10)
    np.testing.assert_allclose(model.decrease, model.step(np.inf).promise, rtol=1e-12)


def test_columns_that_all_but_repeat_each_other_are_not_trusted_to_the_factors_of_their_products():
    """Halves of 1e-6: JᵀJ holds the condition 1e12, of which its factors would lose all but four digits."""
    rng = np.random.default_rng(7)
    J, r = rng.normal(size=(60, 20)), rng.normal(size=60)
    J[:, 1] = J[:, 0] + 1e-6 * J[:, 1]
    model = of_residual(J, r, np.ones(20))
    assert not isinstance(model, CholeskyModel)
    truth = np.linalg.lstsq(J, -r)[0]
    np.testing.assert_allclose(model.step(np.inf).step, truth, rtol=1e-8, atol=1e-8 * np.abs(truth).max())


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("apart", [0.0, 1e-5])
def test_steps_that_the_radius_holds_back_from_columns_that_all_but_repeat_each_other_are_least_squares(
    apart, unit
):
    """|r + Ap|² + λ|p|² by the singular values of A above √λ, whichever radius was asked for before."""
    rng = np.random.default_rng(7)
    J, r, slope = rng.normal(size=(60, 20)), rng.normal(size=60), rng.normal(size=20)
    J[:, 1] = J[:, 0] + apart * J[:, 1]
    scale = rng.uniform(0.5, 20.0, 20) / unit
    model = of_residual(J, r, scale, radius=0.3 / unit)
    assert isinstance(model, HeldModel)
    A = J / scale
    for radius in (0.3 / unit, 1e-2 / unit, 0.2 / unit):
        p, damping, length, promise = model.step(radius)
        assert abs(length - radius) <= RADIUS_SLACK * radius
        below = np.sqrt(damping) * np.eye(20)
        truth = np.linalg.lstsq(np.vstack([A, below]), -np.append(r, np.zeros(20)))[0]
        np.testing.assert_allclose(p, truth, rtol=1e-6, atol=1e-6 * length)
        np.testing.assert_allclose(promise, r @ r - np.sum((r + A @ p) ** 2), rtol=1e-9)
        B = A.T @ A + damping * np.eye(20)
        np.testing.assert_allclose(B @ model.damped(slope, damping), -slope, atol=1e-6)
    least = np.linalg.lstsq(J, -r)[0]
    np.testing.assert_allclose(model.decrease, r @ r - np.sum((r + J @ least) ** 2), rtol=1e-2)


def test_steps_as_long_as_the_radius_allows_are_left_to_singular_values_where_columns_all_but_repeat_each_other():
    rng = np.random.default_rng(7)
    J, r = rng.normal(size=(60, 20)), rng.normal(size=60)
    J[:, 1] = J[:, 0] + 1e-6 * J[:, 1]
    truth = np.linalg.lstsq(J, -r)[0]
    for radius in (2.0 * np.linalg.norm(truth), np.inf):
        p = of_residual(J, r, np.ones(20), radius=radius).step(radius).step
        np.testing.assert_allclose(p, truth, rtol=1e-8, atol=1e-8 * np.abs(truth).max())
    assert of_residual(np.zeros((60, 20)), r, np.ones(20), radius=1.0).step(1.0).length == 0.0


def test_a_singular_sparse_jacobian_gains_what_least_squares_does():
    """40 columns of rank 25: JᵀJ has no Cholesky factors to speak of."""
    rng = np.random.default_rng(8)
    J = rng.normal(size=(90, 25)) @ (rng.normal(size=(25, 40)) * (rng.random((25, 40)) < 0.2))
    r, slope, scale = rng.normal(size=90), rng.normal(size=40), rng.uniform(0.5, 20.0, 40)
    model = of_sparse_residual(scipy.sparse.csc_array(J), r, scale)
    assert isinstance(model, PivotedModel)
    least = np.linalg.lstsq(J, -r, rcond=None)[0]
    np.testing.assert_allclose(model.decrease, r @ r - np.sum((r + J @ least) ** 2), rtol=1e-9)
    p, damping, length, promise = model.step(0.3)
    assert damping > 0.0
    assert abs(length - 0.3) <= RADIUS_SLACK * 0.3
    A = J / scale
    np.testing.assert_allclose(promise, r @ r - np.sum((r + A @ p) ** 2), rtol=1e-9)
    B = A.T @ A + damping * np.eye(40)
    np.testing.assert_allclose(B @ model.damped(slope, damping), -slope, atol=1e-9)


@pytest.mark.parametrize("rank", [3, 2])
def test_products_known_already_give_the_same_model(rank):
    rng = np.random.default_rng(9)
    J, r = rng.normal(size=(8, rank)) @ rng.normal(size=(rank, 3)), rng.normal(size=8)
    scale = np.array([1e-3, 1.0, 50.0])
    plain, told = of_residual(J, r, scale), of_residual(J, r, scale, J.T @ J, J.T @ r)
    for radius in (1e-3, np.inf):
        np.testing.assert_allclose(told.step(radius).step, plain.step(radius).step, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("radius", [1e-90, 1e-110, 1e-150])
def test_a_radius_whose_square_underflows_is_kept(radius):
    """All that is left of the model is the slope, and the step goes down it."""
    J = scipy.sparse.random_array((60, 40), density=0.1, rng=np.random.default_rng(0)).tocsc()
    r = np.random.default_rng(1).normal(size=60)
    p = of_sparse_residual(J, r, np.ones(40)).step(radius).step
    slope = J.T @ r
    # No square of the step is left to tell its length by.
    assert 0.0 < np.abs(p).max() <= (1.0 + RADIUS_SLACK) * radius
    np.testing.assert_allclose(p / np.abs(p).max(), -slope / np.abs(slope).max(), atol=1e-12)
