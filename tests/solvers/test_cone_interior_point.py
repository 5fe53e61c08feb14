"""Norms on cones: pictures smoothed by their total variation, as exact as their dual cost tells."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

import steepest as st
from steepest.bounds import Bounds
from steepest.budget import Budget
from steepest.problem import pose
from steepest.search.descent import structure_of
from steepest.solvers.cone_interior_point import ConeInteriorPoint, Cones
from steepest.verdict.cone_gap import minimum_on_cones
from steepest.verdict.look import look_at

PRICE = 0.15


def picture(n):
    i, j = np.mgrid[:n, :n]
    clean = 1.0 * ((i >= n // 4) & (i < 3 * n // 4) & (j >= n // 3) & (j < 2 * n // 3))
    clean[(i - 0.6 * n) ** 2 + (j - 0.6 * n) ** 2 < (n / 5) ** 2] = 0.5
    return clean + 0.1 * np.random.default_rng(0).standard_normal((n, n))


def differences(u):
    return u[1:, :-1] - u[:-1, :-1], u[:-1, 1:] - u[:-1, :-1]


WAYS = {
    "roots": lambda u: np.sum(np.sqrt(differences(u)[0] ** 2 + differences(u)[1] ** 2)),
    "norms": lambda u: np.sum(np.linalg.norm(np.stack(differences(u)), axis=0)),
    "hypot": lambda u: np.sum(np.hypot(*differences(u))),
}


def of_its_dual(y, steps):
    """A lower bound of min ½|u - y|² + PRICE·TV(u): its dual, climbed by Nesterov's steps with restarts.

    The dual is ½|y|² - ½|y - Dᵀv|² over |v| <= PRICE for each pixel (Chambolle, "An algorithm for total variation
    minimization", 2004), and its steps at most 1/8 long.
    """

    def adjoint(p, q):
        found = np.zeros_like(y)
        found[1:, :-1] += p
        found[:-1, :-1] -= p + q
        found[:-1, 1:] += q
        return found

    v = before = np.zeros((2, y.shape[0] - 1, y.shape[1] - 1))
    ahead, momentum = v, 1.0
    for _ in range(steps):
        slope = np.stack(differences(y - adjoint(*ahead)))
        v = ahead + slope / 8.0
        v = v / np.maximum(1.0, np.sqrt((v**2).sum(axis=0)) / PRICE)
        if ((ahead - v) * (v - before)).sum() > 0.0:
            momentum = 1.0
        further = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        ahead, momentum, before = v + (momentum - 1.0) / further * (v - before), further, v
    return 0.5 * (y**2).sum() - 0.5 * ((y - adjoint(*v)) ** 2).sum()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_a_picture_is_as_low_as_its_dual_cost(way, unit):
    y = picture(12)
    least = of_its_dual(y, 20_000)
    result = st.minimize(lambda u: unit * (0.5 * np.sum((u - y) ** 2) + PRICE * way(u)), y)
    assert str(result.verdict) in ("minimum at a kink", "global minimum")
    assert -1e-13 <= result.fun / unit / least - 1.0 <= 1e-9 and result.nfev < 400


@pytest.mark.parametrize("way", [WAYS["roots"], WAYS["norms"]], ids=["roots", "norms"])
def test_large_pictures_are_proven_to_be_lowest_to_ten_digits(way):
    y = picture(40)
    result = st.minimize(lambda u: 0.5 * np.sum((u - y) ** 2) + PRICE * way(u), y)
    assert str(result.verdict) in ("minimum at a kink", "global minimum") and result.nfev < 1000
    least = of_its_dual(y, 3_000)
    assert -1e-13 <= result.fun / least - 1.0 <= 1e-4


def test_a_picture_may_have_pixels_without_neighbours_beyond_its_edge():
    y = picture(12)

    def cost(u):
        down, right = np.diff(u, axis=0, append=u[-1:]), np.diff(u, axis=1, append=u[:, -1:])
        return 0.5 * np.sum((u - y) ** 2) + PRICE * np.sum(np.sqrt(down**2 + right**2))

    result = st.minimize(cost, y)
    assert str(result.verdict) in ("minimum at a kink", "global minimum")
    rng = np.random.default_rng(1)
    for _ in range(200):
        beside = result.x + 10.0 ** rng.uniform(-8, 0) * rng.standard_normal(y.shape)
        assert cost(beside) >= result.fun * (1.0 - 1e-13)
    assert result.fun < cost(y) - 1.0


def test_pixels_between_bounds_stay_there():
    y = picture(10)
    lower = np.full(y.size, 0.1)

    def cost(u):
        return 0.5 * np.sum((u - y) ** 2) + PRICE * WAYS["norms"](u)

    result = st.minimize(cost, np.maximum(y, 0.1), bounds=[(0.1, None)] * y.size)
    free = st.minimize(lambda u: 0.5 * np.sum((u - y) ** 2) + PRICE * WAYS["norms"](u), y)
    assert Bounds(lower, np.full(y.size, np.inf)).contains(np.ravel(result.x))
    assert free.fun < result.fun < cost(np.maximum(free.x, 0.1))
    assert str(result.verdict) in ("minimum at a kink", "global minimum")


def test_a_constant_beside_a_cost_leaves_its_walk_alone():
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((30, 12)), rng.standard_normal(30)

    def cost(x):
        return np.sum((A @ x - b) ** 2) + 15.0 * np.sum(np.linalg.norm(x.reshape(4, 3), axis=1))

    alone = st.minimize(cost, np.ones(12))
    beside = st.minimize(lambda x: cost(x) + 1e8, np.ones(12))
    assert np.abs(np.ravel(beside.x) - np.ravel(alone.x)).max() <= 1e-7
    # Steps that lead uphill had been cut down to 1e-10 of themselves, thirty evaluations each, and taken there.
    assert alone.nfev < 65 and beside.nfev < 65


def test_a_tail_beside_norms_is_no_minimum_however_near_the_dual_cost():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6))
    label = np.sign(X[:, 4])  # told apart without fail by the fifth, which nothing holds

    def cost(w):
        held = 3.0 * np.linalg.norm(w[:2]) + 2.0 * np.linalg.norm(w[2:4])
        return np.sum(np.log1p(np.exp(-label * (X @ w)))) + held

    result = st.minimize(cost, np.full(6, 0.1))
    assert str(result.verdict) == "infimum not attained" and result.fun < 1e-20
    inside = st.minimize(cost, np.full(6, 0.1), bounds=[(-5.0, 5.0)] * 6)
    assert inside.success and np.isclose(inside.x[4], 5.0)


@pytest.mark.parametrize("constant", [0.0, 1e8, -1e8])
def test_a_picture_is_a_minimum_whoever_found_it_and_beside_it_is_none(constant):
    rng = np.random.default_rng(3)
    y = (np.add.outer(np.arange(12), np.arange(12)) > 11) + 0.1 * rng.standard_normal((12, 12))

    def cost(u):
        return 0.5 * np.sum((u - y) ** 2) + PRICE * WAYS["roots"](u) + constant

    best = st.minimize(cost, y)
    assert str(st.verify(cost, best.x).verdict) in ("minimum at a kink", "global minimum")
    for off in (1e-6, 1e-4):
        beside = best.x + off * rng.standard_normal(y.shape)
        assert cost(beside) > best.fun + off  # by 1e-12 of the constant and more
        assert str(st.verify(cost, beside).verdict) not in ("minimum at a kink", "global minimum")


@pytest.mark.parametrize("mixing", [0.0, 0.02])
def test_digits_by_the_dual_cost_are_no_more_than_the_minimum_leaves(mixing):
    rng = np.random.default_rng(3)
    y = (np.add.outer(np.arange(8), np.arange(8)) > 7) + 0.1 * rng.standard_normal((8, 8))
    blur = np.eye(y.size) + mixing * rng.standard_normal((y.size, y.size))

    def cost(u):
        return 0.5 * np.sum((blur @ u.ravel() - y.ravel()) ** 2) + PRICE * WAYS["roots"](u)

    # The cost rises by some 1e-12 along kinks, and a quadratic of curvature one does so over 1e-6.
    best = np.ravel(st.minimize(cost, y).x)
    x = best + 1e-13 * rng.standard_normal(y.size)
    none = dict.fromkeys(("jac", "hess", "bounds", "fixed"))
    problem = pose(cost, y, (), **none, derivatives="auto", budget=Budget())
    found = minimum_on_cones(
        look_at(problem.objective, x, problem.names, structure_of(problem), None, None, 0), []
    )
    assert str(found.verdict) == "global minimum" and 1e-14 < found.gap < 1e-10
    assert (np.abs(x - best) <= 10.0**-found.digits * np.maximum(np.abs(x), 1.0)).all()
    off = np.sqrt(2.0 * found.gap * np.diag(np.linalg.inv(blur.T @ blur))) / np.abs(x)
    large = np.abs(x) > 0.1
    assert np.abs(found.digits + np.log10(off))[large].max() < 0.01


@pytest.mark.parametrize("form", [np.asarray, csr_array], ids=["dense", "sparse"])
def test_the_curvature_of_cones_turns_a_point_into_its_multipliers(form):
    # W z = W⁻¹ s of the scaling of Nesterov and Todd, so that W⁻² s = z.
    rng, of = np.random.default_rng(4), np.array([0, 0, 0, 1, 1])
    cones = Cones(np.array([0, 1]), form(np.eye(7)[2:]), np.zeros(5), of)
    bounds = SimpleNamespace(lower=np.full(7, -np.inf), upper=np.full(7, np.inf))
    method = ConeInteriorPoint(bounds, cones)
    for _ in range(20):
        u, v = rng.standard_normal((2, 5))
        point = cones.point(cones.lengths(u) + rng.exponential(size=2), u)
        pull = cones.point(cones.lengths(v) + rng.exponential(size=2), v)
        bent = method.bending(method.scaling(SimpleNamespace(point=point, pull=pull)), False)
        assert_allclose(bent @ np.r_[point.t, u], np.r_[pull.t, v], rtol=1e-8, atol=1e-8)


def test_a_step_to_the_wall_of_a_cone_ends_where_t_is_the_length_of_u():
    rng = np.random.default_rng(2)
    for _ in range(200):
        u, du, dt = rng.standard_normal(3), rng.standard_normal(3), float(rng.standard_normal())
        cones = Cones(np.array([0]), np.eye(4)[1:], np.zeros(3), np.zeros(3, dtype=int))
        at = cones.point(np.array([np.linalg.norm(u) + rng.exponential()]), u)
        part = cones.longest(at, np.array([dt]), du, 1.0)
        t, length = at.t[0] + part * dt, np.linalg.norm(u + part * du)
        assert t >= length - 1e-12 and (part == 1.0 or abs(t - length) <= 1e-12)
