"""Where rotated variables mix what never ends with what has a bottom, the word is that of the cost."""

import numpy as np
import pytest

from steepest import minimize


def rotation(seed: int, n: int) -> np.ndarray:
    """An orthogonal matrix (n, n)."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


TAILS = {
    "exponential": lambda u: np.exp(-u),
    "logistic": lambda u: 1.0 / (1.0 + np.exp(u)),
    "gaussian": lambda u: 1.0 - np.exp(-(u**2)),
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("seed", range(2))
def test_a_tail_mixed_with_bottoms_of_higher_order_is_no_strict_minimum(tail, seed):
    Q, g = rotation(seed, 4), TAILS[tail]
    start = np.array([25.0, 0.4, 0.7, -0.3]) @ Q

    def cost(x):
        u = Q @ x
        return g(u[0]) + u[1] ** 4 + 0.3 * u[2] ** 6 + u[3] ** 2

    found = minimize(cost, start, starts=1)
    u = Q @ found.x
    if tail == "gaussian" and abs(u[0]) < 1e-3:
        return  # walked down into the well after all
    assert found.verdict not in ("local minimum", "global minimum")


@pytest.mark.parametrize("seed", range(2))
def test_bottoms_of_higher_order_mixed_with_each_other_are_minima(seed):
    Q = rotation(seed, 4)

    def cost(x):
        u = Q @ x
        return u[0] ** 8 + u[1] ** 4 + 0.3 * u[2] ** 6 + u[3] ** 2

    found = minimize(cost, np.array([0.5, 0.4, 0.7, -0.3]) @ Q, starts=1)
    assert found.verdict in ("local minimum", "global minimum")
    assert found.fun < 1e-12


@pytest.mark.parametrize(("seed", "unit"), [(0, 1e-6), (1, 1.0), (2, 1e6)])
@pytest.mark.parametrize("power", [1, 2, 3])
def test_a_cost_that_falls_to_where_nothing_else_can_be_seen_is_unbounded(power, seed, unit):
    Q = rotation(seed, 5) / unit

    def cost(x):
        u = Q @ x
        return -3.0 * u[0] ** power + 80.0 * u[1] ** 2 + np.cosh(u[2]) + u[3] ** 4 + np.log(1.0 + u[4] ** 2)

    found = minimize(cost, np.linalg.solve(Q, np.array([0.5, 0.4, 0.7, -0.3, 1.0])))
    assert found.verdict == "unbounded below"


def test_a_minimum_far_out_is_not_taken_for_a_fall_without_limit():
    Q = rotation(1, 3)

    def cost(x):
        u = Q @ x
        return -u[0] + 0.5e-12 * u[0] ** 2 + 80.0 * u[1] ** 2 + np.cosh(u[2])

    found = minimize(cost, np.zeros(3), starts=1)
    assert found.verdict != "unbounded below"
    assert abs((Q @ found.x)[0] - 1e12) < 1e6


@pytest.mark.parametrize("seed", range(4))
def test_digits_at_a_kink_beside_a_bottom_of_higher_order_are_true(seed):
    rng = np.random.default_rng(seed)
    A = rotation(seed, 5) @ np.diag(10.0 ** rng.uniform(-2, 2, 5))
    place = rng.standard_normal(5)

    def cost(x):
        u = A @ (x - place)
        return np.abs(u[0]) + u[1] ** 4 + 0.5 * u[2] ** 6 + 3.0 * u[3] ** 2 + np.log(1.0 + u[4] ** 2)

    found = minimize(cost, place + np.linalg.solve(A, 0.5 * rng.standard_normal(5)), starts=1)
    assert found.success
    with np.errstate(divide="ignore"):
        true = -np.log10(np.abs(found.x - place) / np.abs(place))
    assert (found.digits <= true + 0.5).all()


@pytest.mark.parametrize("seed", [3, 7, 8])
def test_bottoms_of_higher_order_that_rounding_hides_among_many_parameters_are_the_only_minimum(seed):
    rng = np.random.default_rng(seed)
    A = np.linalg.qr(rng.standard_normal((30, 30)))[0] @ np.diag(10.0 ** rng.uniform(-2, 2, 30))
    weights = 10.0 ** rng.uniform(-1, 1, 30)

    def cost(x):
        u = A @ x
        bowls = np.sum(weights[2:] * u[2:] ** 2) + np.sum(np.cosh(u[2:4]) - 1.0)
        return 1.0 + weights[0] * u[0] ** 6 + weights[1] * u[1] ** 6 + bowls

    found = minimize(cost, np.linalg.solve(A, rng.standard_normal(30)), starts=1)
    assert found.verdict == "global minimum"
