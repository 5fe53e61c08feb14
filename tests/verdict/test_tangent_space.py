"""Directions that keep to many constraints, by sparse factors: against dense algebra."""

import numpy as np
import pytest
import scipy.sparse as sparse
from numpy.testing import assert_allclose

from steepest import minimize
from steepest.verdict.tangent_space import TangentSpace


def _problem(n, k, seed, shift):
    generator = np.random.default_rng(seed)
    A = sparse.random_array((k, n), density=0.2, rng=generator).toarray()
    A[np.arange(k), np.arange(k)] += 1.0
    B = sparse.random_array((n, n), density=0.1, rng=generator).toarray()
    return A, B + B.T + shift * np.eye(n), generator


@pytest.mark.parametrize("seed", range(5))
def test_a_projection_is_that_of_dense_algebra(seed):
    A, _, generator = _problem(30, 10, seed, 0.0)
    v = generator.standard_normal(30)
    space = TangentSpace(sparse.csr_array(A))
    assert_allclose(space.onto(v), v - np.linalg.pinv(A) @ (A @ v), atol=1e-9)
    change = generator.standard_normal(10)
    assert_allclose(space.least(change), np.linalg.pinv(A) @ change, atol=1e-9)


def test_rows_that_repeat_each_other_are_projected_as_one():
    A, _, generator = _problem(30, 10, 1, 0.0)
    v = generator.standard_normal(30)
    twice = TangentSpace(sparse.csr_array(np.concatenate([A, A[:4]])))
    assert_allclose(twice.onto(v), v - np.linalg.pinv(A) @ (A @ v), atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shift", [-1.0, 0.5, 4.0])
def test_the_smallest_curvature_has_the_sign_that_eigenvalues_give(seed, shift):
    A, H, generator = _problem(30, 10, seed, shift)
    _, _, V = np.linalg.svd(A)
    lowest = np.linalg.eigvalsh(V[10:] @ H @ V[10:].T)[0]
    found = TangentSpace(sparse.csr_array(A)).curvature(sparse.csc_array(H), np.full(30, 1e-10), generator)
    assert found is not None
    curvature, along = found
    assert (along is None) == (lowest > 1e-10)
    assert curvature >= lowest - 1e-9 * abs(lowest)
    if along is None:
        assert curvature <= 2.0 * lowest
    else:
        assert_allclose(A @ along, 0.0, atol=1e-8)
        assert along @ H @ along <= 0.5 * lowest


@pytest.mark.parametrize("shift", [-1.0, 0.5, 4.0])
def test_products_alone_tell_the_smallest_curvature_too(shift):
    A, H, generator = _problem(60, 20, 3, shift)
    _, _, V = np.linalg.svd(A)
    lowest = np.linalg.eigvalsh(V[20:] @ H @ V[20:].T)[0]
    found = TangentSpace(sparse.csr_array(A)).lowest(lambda v: H @ v, generator)
    assert found is not None
    assert_allclose(found[0], lowest, rtol=0.1)
    assert_allclose(A @ found[1], 0.0, atol=1e-8)


def test_where_nothing_can_move_there_is_no_curvature():
    space = TangentSpace(sparse.csr_array(np.eye(4)))
    assert space.curvature(sparse.csc_array(-np.eye(4)), np.full(4, 1e-10), np.random.default_rng(0)) is None


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_one_way_down_among_hundreds_is_found_and_taken(unit):
    """The start is a saddle: of 400 directions one leads down, which a random one nearly never feels."""

    def cost(x):
        return unit * (np.sum(x**2) - 2 * x[7] ** 2 + x[7] ** 4)

    found = minimize(cost, np.zeros(400), constraints={"type": "eq", "fun": lambda x: np.sum(x[20:])})
    assert found.verdict == "local minimum" and found.success
    assert_allclose(found.fun, -0.25 * unit, rtol=1e-9)


def test_a_hanging_pendulum_that_could_swing_down_is_not_called_a_minimum():
    """Upside down at rest nothing pushes; with a torque that moves it the cost of 100 steps falls."""
    steps, h = 110, 0.05

    def cost(z):
        return h * np.sum(10 * (1 + np.cos(z[:steps])) + 0.01 * z[2 * steps :] ** 2)

    def motion(z):
        angle, speed, torque = z[:steps], z[steps : 2 * steps], z[2 * steps :]
        angle_before = np.concatenate([np.zeros(1), angle[:-1]])
        speed_before = np.concatenate([np.zeros(1), speed[:-1]])
        return np.concatenate(
            [
                angle - angle_before - h * speed,
                speed - speed_before - h * (np.sin(angle_before) - 0.1 * speed_before + torque),
            ]
        )

    found = minimize(cost, np.zeros(3 * steps), constraints={"type": "eq", "fun": motion})
    assert found.violation < 1e-9
    assert found.fun < 0.7 * cost(np.zeros(3 * steps))


@pytest.mark.parametrize("seed", range(3))
def test_a_weak_way_down_is_seen_beside_curvatures_of_other_units(seed):
    n, generator = 400, np.random.default_rng(seed)
    units = 10.0 ** generator.uniform(-4, 4, n)
    bends = np.ones(n)
    bends[np.argmax(units)] = -0.05
    space = TangentSpace(sparse.csr_array(generator.standard_normal((1, n)) / units))
    H = sparse.csc_array(sparse.diags_array(bends / units**2))
    lowest, along = space.curvature(H, 1e-10 * np.abs(H.diagonal()), generator)
    assert lowest < 0.0
    assert along @ H @ along == pytest.approx(lowest)
    assert_allclose(space.A @ along, 0.0, atol=1e-8 * np.abs(space.A.toarray() * along).max())
