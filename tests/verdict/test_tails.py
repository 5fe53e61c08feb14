"""A slope that dies out for ever is no minimum, however flat it has become; a flat bottom is one."""

import numpy as np
import pytest

import steepest as st

TAILS = {
    "exponential": (lambda x: np.tanh(x), 0.0),
    "power of the distance": (lambda x: x / np.sqrt(1 + x**2), 0.0),
    "logistic": (lambda x: 1 / (1 + np.exp(-x)), 0.0),
    "bell from its side": (lambda x: np.exp(-(x**2)), 1.0),
    "beside a settled parameter": (lambda p: np.tanh(p[0]) + p[1] ** 2, [0.0, 1.0]),
    "convex, beside a settled parameter": (lambda p: np.exp(p[0]) + (p[1] - 1) ** 2, [0.0, 0.0]),
    "separable classes": (
        lambda p: np.sum(np.log1p(np.exp(-np.array([1.0, 2.0, 5.0]) * p[0]))) + p[1] ** 2,
        [0.0, 1.0],
    ),
}

BOTTOMS = {
    "quartic, one side": (lambda x: np.maximum(x, 0) ** 4, 3.0),
    "order six": (lambda x: (x - 1) ** 6, 3.0),
    "order ten": (lambda x: (x - 1) ** 10, 3.0),
    "level floor": (lambda x: np.where(np.abs(x) < 1, 0.0, (np.abs(x) - 1) ** 2), 3.0),
    "ramp": (lambda x: np.clip(x, -1, 1), 0.5),
    "shallow beside steep": (lambda p: 1e-9 * (p[0] - 3) ** 2 + np.cosh(p[1]), [0.0, 1.0]),
    "well of tanh": (lambda x: np.tanh(x - 2) ** 2, 1.5),
    "circle": (lambda p: (p @ p - 1) ** 2, [3.0, 4.0]),
}


@pytest.mark.parametrize("name", TAILS)
def test_a_tail_is_no_minimum(name):
    cost, start = TAILS[name]
    result = st.minimize(cost, start)
    assert result.verdict == "infimum not attained", result.message
    assert result.next_step


@pytest.mark.parametrize("name", BOTTOMS)
def test_a_flat_bottom_is_a_minimum(name):
    cost, start = BOTTOMS[name]
    result = st.minimize(cost, start)
    assert result.success, result.message


@pytest.mark.parametrize("start", [(0.0, 0.0), (1.0, 1.0), (5.0, 0.0), (2.9, 3.0)])
def test_a_variance_that_collapses_in_log_scale_is_no_minimum(start):
    """One datum fitted exactly: -log of the likelihood falls without limit as the deviation exp(p[1]) goes to zero."""
    found = st.minimize(lambda p: p[1] + 0.5 * (3 - p[0]) ** 2 * np.exp(-2 * p[1]), np.array(start))
    assert not found.success, found.message
    assert not found.verdict.is_minimum


def test_a_bottom_far_below_a_start_that_rose_like_a_high_power_is_no_tail():
    """From the unstable side the cost is steep beyond measure, and its slope dies out for long on the way down."""

    def cost(p):
        y, total = 1.0, 0.0
        for k in range(20):
            y = y + 0.1 * (p[1] - p[0] * y)
            total = total + (y - 0.5 - 0.5 * 0.9 ** (k + 1)) ** 2
        return total

    found = st.minimize(cost, np.array([30.0, 1.0]))
    assert found.success, found.message
    assert np.allclose(found.x, [1.0, 0.5], atol=1e-9)


@pytest.mark.parametrize(
    ("cost", "start", "lowest"),
    [
        (lambda x: 7 + np.exp(-x[0]), [0.0], 7.0),
        (lambda x: np.arctan(x[0]), [0.0], -np.pi / 2),
        (lambda x: 1 / np.sqrt(1 + x[0] ** 2), [0.5], 0.0),
    ],
)
def test_where_an_infimum_is_reached_to_double_precision_the_gap_says_so(cost, start, lowest):
    found = st.minimize(cost, np.array(start))
    assert found.verdict == "infimum not attained"
    assert not found.success
    assert found.fun - found.gap <= lowest + 1e-15
    assert found.gap <= 1e-15
    assert "nothing is left to gain" in found.message


def test_a_valley_that_was_followed_until_its_fall_drowned_in_rounding_has_no_lowest_point():
    """a + b·exp(ct) nears straight lines as c goes to 0 and b to infinity; cubic noise is orthogonal to all parabolas.

    So the infimum is the noise's own square, 20·0.1², which no finite parameters reach.
    """
    t = np.arange(4.0)
    y = t + 0.1 * np.array([1.0, -3.0, 3.0, -1.0])
    cost = lambda x: np.sum((x[0] + x[1] * np.exp(x[2] * t) - y) ** 2)  # noqa: E731
    found = st.minimize(cost, [0.1, 0.1, 0.1], method="levenberg-marquardt")
    assert found.verdict == "infimum not attained"
    assert abs(found.fun - 0.2) < 1e-9  # the rounding of what is left of differences of 10⁵, too


def test_a_valley_whose_bend_lets_none_but_short_steps_through_is_not_one_that_leads_to_infinity():
    """Each parameter is to be the cube of the one before: all ones are lowest, and the way there turns and turns."""

    def cubes(x):
        return (x[0] - 1.0) ** 2 + 100.0 * np.sum((x[1:] - x[:-1] ** 3) ** 2)

    found = st.minimize(cubes, np.resize([-1.2, 1.0], 30), budget=2000)
    assert found.verdict != "infimum not attained", found.message


@pytest.mark.parametrize("seed", [0, 2, 4])
def test_lengths_that_cost_nothing_are_no_tails(seed):
    """Charges on a sphere, each given by a vector of any length: the lowest energy of ten is published (J. J. Thomson's
    problem; Wikipedia's table has 32.716949460)."""
    pairs = np.triu_indices(10, 1)

    def energy(p):
        x = p.reshape(10, 3)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        return np.sum(1.0 / np.linalg.norm(x[pairs[0]] - x[pairs[1]], axis=1))

    found = st.minimize(energy, np.random.default_rng(seed).standard_normal(30), starts=1)
    assert found.verdict is st.Verdict.FLAT_MINIMUM, found.message
    assert abs(found.fun - 32.716949460) < 1e-8


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("tail", [lambda z: np.exp(-z), lambda z: np.logaddexp(0.0, -z)])
def test_a_tail_across_the_axes_is_none_to_be_ended_by_what_a_level_floor_is_rounded_to_far_out(tail, seed):
    """Both sink towards zero as the first turned parameter grows, whatever the second is, and reach it nowhere."""
    drawn = np.random.default_rng(seed)
    turn = np.linalg.qr(drawn.normal(size=(2, 2)))[0]
    start = turn.T @ drawn.normal(size=2)
    found = st.minimize(lambda x: tail((turn @ x)[0]) + 8.38 * ((turn @ x)[1] - 0.5) ** 2, start)
    assert not found.success, found.message
