"""Costs with norms: the groups that vanish are found, and shown to be a minimum by multipliers inside their balls."""

import numpy as np
import pytest

import steepest as st

B = np.random.default_rng(1).standard_normal((20, 4))


def shrunk(rows, by):
    """argmin ½|x - b|² + by·|x| for each row b (Parikh & Boyd, "Proximal algorithms", 2014, section 6.5.1)."""
    length = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
    return rows * np.maximum(1.0 - by / length, 0.0)


WAYS = {
    "norms of rows": lambda X: np.sum(np.linalg.norm(X, axis=1)),
    "roots of sums": lambda X: np.sum(np.sqrt(np.sum(X**2, axis=1))),
    "a loop": lambda X: sum(np.linalg.norm(X[k]) for k in range(20)),
    "roots in a loop": lambda X: sum(np.sqrt(np.sum(row**2)) for row in X),
    "einsum": lambda X: np.sum(np.sqrt(np.einsum("ij,ij->i", X, X))),
}


@pytest.mark.parametrize("start", [0.0, 1.0])
@pytest.mark.parametrize("norms", WAYS.values(), ids=WAYS)
def test_rows_are_shortened_and_the_short_ones_are_exactly_zero(norms, start):
    result = st.minimize(lambda X: 0.5 * np.sum((X - B) ** 2) + 1.8 * norms(X), np.full((20, 4), start))
    truth = shrunk(B, 1.8)
    assert str(result.verdict) == "minimum at a kink" and result.success
    np.testing.assert_allclose(result.x, truth, atol=1e-12)
    assert (np.linalg.norm(result.x[~truth.any(axis=1)], axis=1) <= 1e-15).all() and result.nfev < 150


def lasso(n, m, size, seed):
    rng = np.random.default_rng(seed)
    A, x = rng.standard_normal((m, n)), np.zeros(n)
    x[: 3 * size] = 3.0 * rng.standard_normal(3 * size)
    return A, A @ x + 0.5 * rng.standard_normal(m), [np.arange(k, k + size) for k in range(0, n, size)]


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize(
    ("n", "m", "price"), [(12, 30, 8.0), (60, 100, 20.0), (60, 40, 30.0), (60, 100, 2000.0)]
)
def test_every_group_of_a_lasso_meets_the_condition_of_a_subgradient(n, m, price, unit):
    A, b, groups = lasso(n, m, 3, seed=n)

    def cost(x):
        return unit * (0.5 * np.sum((A @ x - b) ** 2) + price * sum(np.linalg.norm(x[g]) for g in groups))

    result = st.minimize(cost, np.zeros(n))
    assert result.success and str(result.verdict) == "minimum at a kink"
    slope = A.T @ (A @ result.x - b)
    for g in groups:
        length = np.linalg.norm(result.x[g])
        if length == 0.0:
            assert np.linalg.norm(slope[g]) <= price * (1 + 1e-9)
        else:
            np.testing.assert_allclose(slope[g], -price * result.x[g] / length, atol=1e-9 * price)


@pytest.mark.parametrize("n", [6, 120, 600])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_all_groups_may_vanish_at_once_however_many_they_are(n, start):
    b = np.random.default_rng(n).uniform(-1.0, 1.0, (n // 3, 3))
    result = st.minimize(
        lambda X: 0.5 * np.sum((X - b) ** 2) + 2.0 * np.sum(np.linalg.norm(X, axis=1)),
        np.full(b.shape, start),
    )
    assert result.verdict == "minimum at a kink" and not result.x.any()


@pytest.mark.parametrize("n", [6, 50, 120, 600])
def test_all_parameters_may_vanish_one_by_one_however_many_they_are(n):
    b = np.random.default_rng(n).uniform(-1.0, 1.0, n)
    result = st.minimize(lambda x: 0.5 * np.sum((x - b) ** 2) + 2.0 * np.sum(np.abs(x)), np.zeros(n))
    assert result.verdict == "minimum at a kink" and not result.x.any()


@pytest.mark.parametrize(("far", "is_corner"), [(0.5, True), (3.0, False)])
def test_fermats_point_is_the_corner_of_a_triangle_only_where_that_is_blunt(far, is_corner):
    """At 120° and more the corner has the least sum of distances, else the point that sees all sides at 120°."""
    corners = np.array([[0.0, far], [-2.0, 0.0], [2.0, 0.0]])
    result = st.minimize(lambda x: np.sum(np.linalg.norm(corners - x, axis=1)), np.array([0.3, 0.2]))
    truth = np.array([0.0, far if is_corner else 2.0 / np.sqrt(3.0)])
    assert result.success
    np.testing.assert_allclose(result.x, truth, atol=1e-12)
    assert str(result.verdict) == ("minimum at a kink" if is_corner else "global minimum")


def test_two_facilities_that_belong_together_stand_at_one_place():
    """With so dear a way between them the two are one, at the geometric median of all customers."""
    P = np.random.default_rng(5).standard_normal((12, 2))

    def both(X):
        ways = np.sum(np.linalg.norm(P[:6] - X[0], axis=1)) + np.sum(np.linalg.norm(P[6:] - X[1], axis=1))
        return ways + 50.0 * np.linalg.norm(X[0] - X[1])

    median = st.minimize(lambda x: np.sum(np.linalg.norm(P - x, axis=1)), np.array([0.1, 0.1]))
    result = st.minimize(both, np.zeros((2, 2)))
    assert median.success and result.success
    np.testing.assert_allclose(result.x, [median.x, median.x], atol=1e-11)
    np.testing.assert_allclose(result.fun, median.fun, rtol=1e-14)


def least_variation(Y, price):
    """A bound from below: ½|Y|² - ½|Y - Dᵀv|² for any field v of vectors of length at most `price` (Chambolle 2004).

    By accelerated projected gradients (Beck & Teboulle 2009).
    """
    n = len(Y)
    V = Z = np.zeros((2, n - 1, n - 1))
    t = 1.0

    def left(V):  # Y - Dᵀv
        spread = np.zeros((n, n))
        spread[1:, :-1] += V[0]
        spread[:-1, 1:] += V[1]
        spread[:-1, :-1] -= V[0] + V[1]
        return Y - spread

    for _ in range(6000):
        X = left(Z)
        onward = Z + 0.12 * np.array([X[1:, :-1] - X[:-1, :-1], X[:-1, 1:] - X[:-1, :-1]])
        onward /= np.maximum(np.sqrt((onward**2).sum(axis=0)) / price, 1.0)
        t, before = 0.5 + np.sqrt(0.25 + t * t), t
        V, Z = onward, onward + (before - 1.0) / t * (onward - V)
    return 0.5 * np.sum(Y**2) - 0.5 * np.sum(left(V) ** 2)


@pytest.mark.parametrize("start", ["the picture", "its mean"])
@pytest.mark.parametrize(("n", "seed"), [(5, 0), (5, 2), (8, 0), (8, 3), (12, 3)])
def test_an_even_stretch_of_a_picture_is_as_low_as_the_dual_of_total_variation_says(n, seed, start):
    """Around every loop of an even stretch the equations of its norms depend on each other."""
    price, Y = 0.4, 0.15 * np.random.default_rng(seed).standard_normal((n, n))
    Y[n // 3 : 2 * n // 3, n // 3 : 2 * n // 3] += 1.0

    def cost(X):
        dx, dy = X[1:, :-1] - X[:-1, :-1], X[:-1, 1:] - X[:-1, :-1]
        return 0.5 * np.sum((X - Y) ** 2) + price * np.sum(np.sqrt(dx**2 + dy**2))

    dual = least_variation(Y, price)
    result = st.minimize(cost, Y.copy() if start == "the picture" else np.full((n, n), Y.mean()))
    assert str(result.verdict) == "minimum at a kink"
    assert dual - 1e-12 <= result.fun <= dual + 1e-10


@pytest.mark.parametrize(("price", "is_minimum"), [(0.99, False), (1.000001, True)])
def test_zero_is_a_minimum_as_soon_as_the_price_is_as_high_as_the_slope(price, is_minimum):
    b = np.array([3.0, -4.0, 12.0])

    def cost(x):
        return 0.5 * np.sum((x - b) ** 2) + 13.0 * price * np.linalg.norm(x)

    assert st.verify(cost, np.zeros(3)).verdict.is_minimum == is_minimum


def test_bounds_take_what_pushes_against_them_and_the_norm_the_rest():
    """With x >= 0 a row is that of the positive part of b (the other entries are at their bounds)."""
    result = st.minimize(
        lambda X: 0.5 * np.sum((X - B) ** 2) + 1.2 * np.sum(np.linalg.norm(X, axis=1)),
        np.ones((20, 4)),
        bounds=(0, None),
    )
    assert result.success
    np.testing.assert_allclose(result.x, shrunk(np.maximum(B, 0.0), 1.2), atol=1e-12)


def test_a_budget_ends_the_walk_at_the_best_point_seen():
    seen = []

    def cost(X):
        value = 0.5 * np.sum((X - B) ** 2) + 1.8 * np.sum(np.linalg.norm(X, axis=1))
        return value

    result = st.minimize(cost, np.ones((20, 4)), budget=8, callback=lambda x, *_: seen.append(cost(x)))
    assert result.nfev <= 8 and result.fun == cost(result.x) <= min([cost(np.ones((20, 4))), *seen])


def test_a_norm_keeps_other_kinks_company():
    """The square-root lasso (Belloni, Chernozhukov & Wang 2011): |r| is nowhere zero, |x| is."""
    A, b, _ = lasso(20, 40, 2, seed=0)
    result = st.minimize(lambda x: np.linalg.norm(A @ x - b) + np.sum(np.abs(x)), np.zeros(20))
    assert result.success
    slope = A.T @ (A @ result.x - b) / np.linalg.norm(A @ result.x - b)
    kept = np.abs(result.x) > 1e-12
    np.testing.assert_allclose(slope[kept], -np.sign(result.x[kept]), atol=1e-9)
    assert (np.abs(slope) <= 1.0 + 1e-9).all()


BEARING_NOTHING = {
    "a power": lambda x: np.linalg.norm(x) ** 3 - np.sum(x**2),
    "a product": lambda x: np.sum(x**2) * np.linalg.norm(x) - x[0] ** 2 + np.sum(x**4),
    "beside a kink": lambda x: abs(x[1]) + x[0] ** 2 * np.linalg.norm(x) - x[0] ** 2 + np.sum(x**4),
}


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("cost", BEARING_NOTHING.values(), ids=BEARING_NOTHING)
def test_a_norm_that_is_zero_holds_no_point_where_the_cost_has_no_slope_in_it(cost, unit):
    """Along x[0] the cost is |h|³ - h² or with h⁴ besides: lower on both sides of zero."""
    assert cost(np.array([0.01, 0.0])) < -9e-5 and cost(np.array([-0.01, 0.0])) < -9e-5
    assert not st.verify(lambda x: unit * cost(x), np.zeros(2)).success
    result = st.minimize(lambda x: unit * cost(x), np.zeros(2))
    assert result.success and result.fun < -0.07 * unit
