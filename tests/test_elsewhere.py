"""Where the walk ran off to no minimum, one from elsewhere finds a minimum that is as low; and none is made up."""

import numpy as np
import pytest

import steepest as st


def pairs(x):
    """Each pair has its minimum 0 at (0, 0), and falls to 0 at infinity as well."""
    return np.sum((2 * x[::2] ** 2 + 3 * x[1::2] ** 2) * np.exp(-x[::2] - x[1::2]))


RATES = np.arange(1, 11) / 10


def two_rates(p):
    data = np.exp(-RATES) - np.exp(-10 * RATES)
    return np.sum((p[2] * (np.exp(-p[0] * RATES) - np.exp(-p[1] * RATES)) - data) ** 2)


def product(p):
    """Powell's badly scaled product: far out along its hyperbola the cost falls to 1e-8, near (1e-5, 9) to 0."""
    return (1e4 * p[0] * p[1] - 1) ** 2 + (np.exp(-p[0]) + np.exp(-p[1]) - 1.0001) ** 2


def beale(p):
    y = np.array([1.5, 2.25, 2.625])
    return sum((y[k] - p[0] * (1 - p[1] ** (k + 1))) ** 2 for k in range(3))


# Cost, start, and the lowest value there is, 0, at a finite place. From each start alone the walk runs off.
WELLS = {
    "tail and well": (lambda x: x[0] ** 2 * np.exp(-x[0]) + (x[1] - x[0]) ** 2, [3.0, 0.0]),
    "well away from zero": (lambda x: (x[0] - 50) ** 2 * np.exp(-(x[0] - 50)), [53.0]),
    "pairs": (pairs, [1.5, 1.5, 1.5, 1.5]),
    "many pairs": (pairs, [1.5] * 200),
    "two rates": (two_rates, [0.0, 1000.0, 2000.0]),
    "badly scaled product": (product, [0.0, 10.0]),
    "wrong side of one": (beale, [10.0, 10.0]),
}


@pytest.mark.parametrize("name", WELLS)
def test_a_minimum_that_is_as_low_is_found_from_elsewhere(name):
    cost, start = WELLS[name]
    alone = st.minimize(cost, np.array(start), starts=1)
    assert not alone.success
    found = st.minimize(cost, np.array(start))
    assert found.success, found.message
    assert found.fun < 1e-20
    assert "starts=1" in found.message
    assert np.array_equal(found.history.x[0], start)


@pytest.mark.parametrize(
    ("cost", "start"),
    [
        (lambda x: (x[1] - x[0] ** 2) ** 2 + np.exp(-x[0]), [0.0, 0.0]),
        (lambda x: 1 / (1 + x[0] ** 2) + (x[1] - x[0]) ** 2, [1.0, 0.0]),
        (lambda x: (x[0] * x[1] - 1) ** 2 + x[0] ** 2, [1.0, 1.0]),
        (lambda x: 1 - np.tanh(x[0] - x[1]) + (x[0] + x[1]) ** 2, [1.0, 2.0]),
    ],
)
def test_no_walk_makes_a_minimum_up_where_there_is_none(cost, start):
    found = st.minimize(cost, np.array(start))
    assert not found.success, found.message


def test_a_minimum_that_is_higher_than_the_tail_is_told_and_not_taken():
    """The well at 0 is at a half; to the right the cost falls to 0."""
    found = st.minimize(
        lambda x: np.where(True, 1.0, x[0]) * (0.5 + x[0] ** 2) * np.exp(-x[0] * x[0] * 0.1), np.array([5.0])
    )
    assert found.verdict == "infimum not attained"
    assert "A minimum that is higher, 0.5" in found.message


def test_a_fall_without_limit_met_from_elsewhere_is_told():
    """a·exp(-c·a) fades for positive c and a, and falls without limit for negative a."""
    found = st.minimize(lambda x: x[0] * np.exp(-x[0]) + x[1] ** 2, np.array([2.0, 1.0]))
    assert not found.success
    assert "without limit" in found.message


def test_a_budget_and_a_method_by_name_hold_off_walks_from_elsewhere():
    cost, start = WELLS["tail and well"]
    assert not st.minimize(cost, np.array(start), method="newton").success
    spent = st.minimize(cost, np.array(start), budget=20)
    assert spent.nfev <= 20
