"""Low points of a quadratic in a box, against the first-order conditions and another solver."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from steepest.linear_algebra.box_quadratic import lowest_in_box

RNG = np.random.default_rng(5)


def face_newton(H):
    def newton(free, r):
        step = np.zeros_like(r)
        values, vectors = np.linalg.eigh(H[np.ix_(free, free)])
        step[free] = -vectors @ ((vectors.T @ r[free]) / np.abs(values))
        return step

    return newton


@pytest.mark.parametrize("n", [1, 3, 10, 40])
def test_a_convex_quadratic_is_brought_to_its_one_minimum(n):
    A, b = RNG.normal(size=(2 * n, n)), RNG.normal(size=2 * n)
    H, g = A.T @ A, -A.T @ b
    truth = lsq_linear(A, b, (-0.1, 0.2), method="bvls", tol=1e-14).x
    step = lowest_in_box(g, H.dot, np.full(n, -0.1), np.full(n, 0.2), face_newton(H), 1e-9, rounds=100)
    np.testing.assert_allclose(step.p, truth, atol=1e-9)
    np.testing.assert_allclose(step.decrease, -(g @ truth + 0.5 * truth @ H @ truth), rtol=1e-9)


@pytest.mark.parametrize("n", [1, 3, 10, 40])
def test_an_indefinite_quadratic_is_brought_to_a_first_order_point_in_the_box(n):
    A, g = RNG.normal(size=(n, n)), RNG.normal(size=n)
    H = A + A.T
    step = lowest_in_box(g, H.dot, -np.ones(n), np.ones(n), face_newton(H), 1e-6, rounds=200)
    r = g + H @ step.p
    assert (np.abs(step.p) <= 1.0).all()
    free = np.abs(step.p) < 1.0
    np.testing.assert_allclose(r[free], 0.0, atol=1e-5 * np.linalg.norm(g))
    assert (r[~free] * step.p[~free] <= 0.0).all()
    assert step.decrease > 0.0


@pytest.mark.parametrize("length", [1.0, 1e4, 1e9])
def test_a_ridge_between_steep_walls_aslant_to_the_box_is_followed_to_a_bound(length):
    """Bent onto the box, a long step off the ridge climbs its walls; the way up to the first bound does not."""
    n = 12
    wall = np.ones(n) / np.sqrt(n)
    ridge = np.sin(np.arange(1.0, n + 1))
    ridge -= wall * (wall @ ridge)
    ridge /= np.linalg.norm(ridge)
    H = 1e6 * np.outer(wall, wall) - 1e-3 * np.eye(n)
    g = -1e-6 * ridge

    def newton(free, r):
        inside = np.where(free, ridge, 0.0)
        inside -= np.where(free, inside.sum() / free.sum(), 0.0)
        return -np.sign(r @ inside) * length * inside

    step = lowest_in_box(g, H.dot, np.full(n, -0.1), np.full(n, 0.9), newton)
    assert (step.p >= -0.1).all() and (step.p <= 0.9).all()
    np.testing.assert_allclose(step.decrease, -(g @ step.p + 0.5 * step.p @ H @ step.p), rtol=1e-6)
    # The first bound on the way down the ridge from zero: at least as low as there.
    t = np.min(np.where(ridge < 0.0, -0.1 / ridge, 0.9 / ridge))
    assert step.decrease >= (1e-6 * t + 0.5e-3 * t**2) * (1 - 1e-9)


def test_the_first_bound_on_a_way_is_met_exactly():
    """Short of it by rounding, the next round has no room: the corner of a box of random sides, down a long ridge."""
    sides = np.random.default_rng(0).uniform(0.1, 1.0, size=(200, 2))
    for side in sides:
        ridge = np.array([1.0, 1.0 / 3.0]) / np.sqrt(10.0 / 9.0)
        wall = np.array([-ridge[1], ridge[0]])
        H = 1e12 * np.outer(wall, wall) - 1e-3 * np.outer(ridge, ridge)
        step = lowest_in_box(
            -1e-6 * ridge, H.dot, -side, side, lambda free, r, to=1e8 * ridge: to, gradient_steps=1, rounds=1
        )
        assert (np.abs(step.p) == side).any()
        assert (np.abs(step.p) <= side).all()


def test_nothing_moves_where_every_bound_holds():
    step = lowest_in_box(np.ones(2), np.eye(2).dot, np.zeros(2), np.ones(2), face_newton(np.eye(2)))
    np.testing.assert_array_equal(step.p, [0.0, 0.0])
    assert step.decrease == 0.0


def test_steps_along_the_gradient_find_the_face_with_fewer_factorisations():
    # A membrane of 20 by 20 under an even load, held off the floor: the 1-D Laplacian in both directions.
    line = 2.0 * np.eye(20) - np.eye(20, k=1) - np.eye(20, k=-1)
    H = np.kron(line, np.eye(20)) + np.kron(np.eye(20), line)
    g, faces = np.full(400, 0.2), []

    def newton(free, r):
        faces[-1] += 1
        step = np.zeros_like(r)
        step[free] = -np.linalg.solve(H[np.ix_(free, free)], r[free])
        return step

    found = []
    for steps in (1, 10):
        faces.append(0)
        lower, upper = np.full(400, -1.0), np.full(400, np.inf)
        found.append(lowest_in_box(g, H.dot, lower, upper, newton, 1e-10, 100, gradient_steps=steps).p)
    for p in found:
        r, touches = g + H @ p, p <= -1.0
        assert 50 < touches.sum() < 350
        np.testing.assert_allclose(r[~touches], 0.0, atol=1e-8)
        assert (r[touches] >= 0.0).all()
    assert faces[1] <= 0.7 * faces[0]
