"""A walk that kept its stride came down a tail, also in a bent valley far out; one that slowed down did not."""

import numpy as np
import pytest

import steepest as st
from steepest.verdict.stride import _fell_at_each_doubling

TURN = np.linalg.qr(np.random.default_rng(3).standard_normal((2, 2)))[0]


def beale_branch(p):
    """Beale's function where his second parameter is above one: its infimum is where that falls to one."""
    y = np.array([1.5, 2.25, 2.625])
    b = 1 + np.exp(p[1])
    return (
        (y[0] + p[0] ** 2 * (1 - b)) ** 2
        + (y[1] + p[0] ** 2 * (1 - b**2)) ** 2
        + (y[2] + p[0] ** 2 * (1 - b**3)) ** 2
    )


# None has a minimum: the cost sinks as long as one parameter grows, whatever the others are.
ENDLESS = {
    "power of the distance, turned": (
        lambda x: 1 / (1 + (TURN[0] @ x) ** 2) ** 0.25 + (TURN[1] @ x - 1) ** 2,
        [-2.5, 1.0],
    ),
    "reciprocal of a logarithm, above an offset": (
        lambda x: 1 + 1 / np.log(np.e + x[0] ** 2) + (x[1] - x[0]) ** 2,
        [0.8, -0.8],
    ),
    "hyperbola, turned": (
        lambda x: 1e3 * (((TURN @ x)[0] * (TURN @ x)[1] - 1) ** 2 + (TURN @ x)[0] ** 2),
        [-0.9, 1.1],
    ),
    "a product held by an exponential": (beale_branch, [3.7, 0.9]),
    "the same in other units": (lambda x: 1e30 * beale_branch(x * np.array([325.0, 11.0])), [0.0117, 0.082]),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_valley_without_an_end_is_no_minimum_where_its_fall_has_drowned(name):
    cost, start = ENDLESS[name]
    found = st.minimize(cost, np.array(start), starts=1)
    assert not found.success, found.message


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a product held by an exponential", ("0x1.a09b72e2ea92cp+12", "-0x1.19e51ae628e9ap+4")),
        ("the same in other units", ("0x1.380327d527b69p+4", "-0x1.97ae3da889adep+0")),
    ],
)
def test_a_floor_that_falls_by_more_than_rounding_is_no_minimum_though_its_slope_is_rounding(name, place):
    """Steep walls make the slope coarse, not the cost: along the floor it falls by millions of roundings."""
    cost, _ = ENDLESS[name]
    x = np.array([float.fromhex(digits) for digits in place])
    found = st.verify(cost, x)
    assert not found.success and "along a bend" in found.message


@pytest.mark.parametrize("unit", [1e-150, 1.0, 1e150])
@pytest.mark.parametrize("order", [4, 8])
def test_a_walk_that_slows_down_at_a_bottom_without_curvature_is_believed(order, unit):
    """From a thousandth of a size off the valley, along it for three sizes, to a bottom of higher order."""

    def cost(x):
        z = TURN @ x
        return unit * (30.0 * (z[1] - 0.5 * z[0] ** 2) ** 2 + (z[0] - 1) ** order)

    found = st.minimize(cost, TURN.T @ np.array([-2.0, 2.001]))
    assert found.success, found.message
    assert np.allclose(TURN @ found.x, [1.0, 0.5], atol=0.05)


def test_the_bottom_of_a_logarithm_far_off_is_a_minimum():
    """At every doubling of the way to 10⁶ the cost falls by less than at the one before, and then it rises."""
    found = st.minimize(lambda x: np.log(x[0] / 1e6) ** 2 + (x[1] - x[0] / 1e6) ** 2, np.array([1.0, 0.0]))
    assert found.success, found.message
    assert np.allclose(found.x, [1e6, 1.0], rtol=1e-6)


@pytest.mark.parametrize(("power", "slope"), [(0.5, 1e-9), (1.0, 1e-9), (2.0, 1e-9), (1.0, 1e-6)])
@pytest.mark.parametrize("start", [3.0, 30.0])
def test_a_tail_that_a_rise_ends_at_last_has_a_minimum(power, slope, start):
    """d^-power + slope·d with d² = 1 + x² has its minimum where d^(power + 1) = power / slope: up to 6·10⁵ far out."""

    def cost(x):
        square = 1 + x[0] ** 2
        return square ** (-power / 2) + slope * np.sqrt(square) + (x[1] - x[0]) ** 2

    found = st.minimize(cost, np.array([start, -start]), starts=1)
    assert found.success, found.message
    far = np.sqrt((power / slope) ** (2 / (power + 1)) - 1)
    np.testing.assert_allclose(found.x, far, rtol=1e-5)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize(
    "start", [[1.0, 2.0, 3.0], [-3.16, -13.58, -1.01], [75.4, 18.8, -158.5], [0.157, 0.121, -0.114]]
)
def test_a_walk_down_to_an_eigenvector_of_any_length_ends_in_a_minimum(start, unit):
    """Newton's steps change the length of the vector, which costs nothing, while they turn it the right way."""
    found = st.minimize(lambda x: unit * ((x @ (np.array([1.0, 2.0, 5.0]) * x)) / (x @ x)), np.array(start))
    assert found.success, found.message
    assert found.fun == pytest.approx(unit, rel=1e-12)


# Places 0, 1, 2, 4, …, 2^20 along a line: the last doublings of the way, each one row.
DOUBLED = np.r_[0.0, 2.0 ** np.arange(21)]


def at_each_doubling(values, allowed=1e-15):
    places = DOUBLED[:, None] * np.array([3.0, -4.0])
    return _fell_at_each_doubling(places, np.asarray(values, dtype=float), np.full(DOUBLED.size, allowed))


def test_a_cost_that_falls_less_at_each_doubling_is_on_its_way_from_half_of_it():
    half = DOUBLED.size - 2
    assert at_each_doubling(1.0 / (1.0 + DOUBLED)) == half
    assert at_each_doubling((1.0 + DOUBLED) ** -0.25) == half


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_a_cost_that_falls_more_later_or_once_rose_is_not(unit):
    assert at_each_doubling(-unit * DOUBLED, unit * 1e-15) is None  # a straight way down
    rose = 1.0 / (1.0 + DOUBLED)
    rose[-4] = 2.0 * rose[-5]
    assert at_each_doubling(unit * rose, unit * 1e-15) is None


def test_falls_below_the_rounding_tell_nothing():
    assert at_each_doubling(1.0 / (1.0 + DOUBLED), allowed=1.0) is None
    assert at_each_doubling(np.zeros(DOUBLED.size)) is None
