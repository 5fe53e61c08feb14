"""Beside a wall of a pole, or a root at its zero, slopes gathered from all sides hold zero; that is no minimum."""

import numpy as np
import pytest

import steepest as st


def deviation_of_one_datum(p):
    return np.log(np.abs(p[1])) + 0.5 * ((3.0 - p[0]) / p[1]) ** 2


@pytest.mark.parametrize("seed", range(6))
def test_a_point_that_its_own_slope_leads_far_down_from_is_no_minimum_at_a_kink(seed):
    found = st.minimize(deviation_of_one_datum, np.array([0.1, 1.0]), seed=seed)
    assert found.verdict == "unbounded below", found.message


@pytest.mark.parametrize("miss", [0.0, 1e-13, 1e-11])
def test_a_point_beside_a_true_kink_is_still_a_minimum_there(miss):
    def corner(x):
        return np.abs(x[0] - 1.0) + 3.0 * np.abs(x[1] + 2.0) + (x[0] - 1.0) ** 2

    found = st.verify(corner, np.array([1.0 + miss, -2.0 - miss]))
    assert found.verdict == "minimum at a kink" or (found.verdict == "global minimum"), found.message


def test_where_a_matrix_inverted_beyond_its_digits_makes_the_cost_no_minimum_is_claimed():
    """The likelihood of a Gaussian process whose noise is next to nothing: -1e13 here, +1e13 at the next number."""
    t = np.linspace(0.0, 5.0, 40)
    y = np.exp(-0.7 * t) + 0.05 * np.sin(40.0 * t)

    def likelihood(p):
        K = np.exp(2 * p[0] - 0.5 * ((t[:, None] - t) / np.exp(p[1])) ** 2) + np.exp(2 * p[2]) * np.eye(
            t.size
        )
        return 0.5 * y @ np.linalg.solve(K, y) + 0.5 * np.linalg.slogdet(K)[1]

    for lost in ([3.3, 14.9, -37.5], [0.4, 15.4, -21.5], [0.37, 5.6, -20.2], [0.55, 4.8, -32.6]):
        found = st.verify(likelihood, np.array(lost), start=[1.0, 0.5, 0.2])
        assert not found.success, found.message


@pytest.mark.parametrize("method", ["newton", "l-bfgs", "newton-cg"])
@pytest.mark.parametrize(
    ("cost", "start"),
    [
        (lambda x: np.log(np.sum((x - 1) ** 2)), [0.0, 0.0, 0.0]),
        (lambda x: np.log(np.abs(x[0])), [3.0]),
    ],
    ids=["away from zero", "at zero"],
)
def test_the_pole_of_a_logarithm_is_not_taken_for_lost_digits(cost, start, method):
    """Beside it neighbouring numbers differ by a part of the whole fall, and 64 times farther off by hardly more."""
    found = st.minimize(cost, np.array(start), method=method)
    assert found.verdict == "unbounded below", found.message


@pytest.mark.parametrize("start", [[6.0, 1.0], [6.4, 1e20]])
def test_a_wall_of_an_exponential_of_an_exponential_is_no_tail(start):
    """From 1e175 its fall hides 1e128, half-way down; the minimum is where exp(exp(x) + x) is 20."""
    found = st.minimize(lambda x: np.exp(np.exp(x[0])) - 20 * x[0] + x[1] ** 2, start)
    assert found.success and abs(found.x[1]) < 1e-5, found.message
    assert np.exp(found.x[0]) + found.x[0] == pytest.approx(np.log(20.0), rel=1e-9)


@pytest.mark.parametrize("off", [1e-2, 2.0])
@pytest.mark.parametrize(
    "cost",
    [
        lambda x: np.sqrt(x[0]) + (x[1] - 1) ** 2,
        lambda x: np.sqrt(x[0]) * (1 + x[1] ** 2) + (x[1] - 1) ** 2,
        lambda x: np.sqrt(np.abs(x[0])) + (x[1] - 1) ** 2,
        lambda x: np.cbrt(np.abs(x[0])) + (x[1] - 1) ** 2,
    ],
    ids=["edge", "edge and product", "cusp", "sharper cusp"],
)
@pytest.mark.parametrize("beside", [0.0, 1e-100])
def test_an_infinite_slope_of_one_parameter_hides_no_slope_of_another(cost, beside, off):
    """The only minimum of each is (0, 1); with the second parameter `off` the cost is higher by at least off²."""
    assert cost(np.array([beside, 1 + off])) >= cost(np.array([beside, 1.0])) + off**2
    found = st.verify(cost, np.array([beside, 1 + off]))
    assert not found.verdict.is_minimum, found.message
    assert st.verify(cost, np.array([0.0, 1.0])).verdict.is_minimum


@pytest.mark.parametrize("start", [[1.0, 1.2], [1e-100, 3.0], [4.0, -2.0]])
def test_a_walk_to_the_edge_ends_where_the_other_parameter_is_lowest_too(start):
    found = st.minimize(lambda x: np.sqrt(x[0]) + (x[1] - 1) ** 2, np.array(start))
    assert found.success, found.message
    np.testing.assert_allclose(found.x, [0.0, 1.0], atol=1e-7)


def test_a_sum_of_squares_that_falls_towards_infinity_is_not_unbounded_below():
    """Its third peak widens and grows without end into a straight line: the cost falls on and on, but not below 0."""
    t = np.linspace(0.0, 10.0, 120)

    def peaks(p):
        height, place, width = p.reshape(3, 3).T
        return np.sum(height * np.exp(-(((t[:, None] - place) / width) ** 2)), axis=1)

    true = np.array([3, 2, 0.4, 2, 5, 0.6, 4, 8, 0.3])
    y = peaks(true) + 0.02 * np.random.default_rng(0).standard_normal(t.size)

    def cost(p):
        return np.sum((y - peaks(p)) ** 2)

    found = st.minimize(cost, np.array([3, 2.2, 0.5, 2, 5.5, 0.6, 1, 12, 0.5]), starts=1)
    assert found.verdict != "unbounded below", found.message
    astray = np.array(
        [3.00533543, 1.99856129, 0.399004875, 1.99147581, 5.00086605, 0.605005579, 2.33e8, 2.93e7, 3.67e6]
    )
    judged = st.verify(cost, astray, start=[3, 2.2, 0.5, 2, 5.5, 0.6, 1, 12, 0.5])
    assert judged.verdict != "unbounded below" and not judged.success, judged.message
