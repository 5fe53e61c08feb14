"""Valleys whose bottom is level, or falls too little for the slope to show: truths in closed form."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import Verdict, minimize, verify

T = np.array([1.0, 2.0, 3.0])


def saturating(y):
    """A curve a + b cᵗ through three points that bend up, reached from c below 1: the best of it is a straight line.

    It is approached as a grows without limit and c goes to 1, and its squares are d²/6 with d the second difference.
    """
    return lambda p: np.sum((p[0] + p[1] * p[2] ** T - y) ** 2), (y[0] - 2 * y[1] + y[2]) ** 2 / 6


@pytest.mark.parametrize("y", [(0.032, 0.056, 0.099), (0.1, 0.2, 0.35)], ids=["small", "larger"])
def test_a_bottom_that_falls_towards_a_limit_is_no_minimum(y):
    cost, limit = saturating(np.array(y))
    result = minimize(cost, [1.2, -1.2, 0.98], method="lm")
    assert result.fun > limit
    assert_allclose(result.fun, limit, rtol=1e-3)
    assert result.verdict is Verdict.INFIMUM_NOT_ATTAINED and not result.success


@pytest.mark.parametrize(
    ("cost", "point"),
    [
        (lambda x: (x[1] - np.log(x[0])) ** 2, (1e9, np.log(1e9))),
        (lambda x: (x[1] - np.log(x[0])) ** 2 + 3.7, (1e4, np.log(1e4))),
        (lambda x: (x[0] * x[1] - 1) ** 2 + 5.0, (2.0, 0.5)),
        (lambda x: (x[0] * x[1] - 1) ** 2, (1e4, 1e-4)),
        (lambda x: (x[0] ** 2 + x[1] ** 2 - 1) ** 2 + 1e6, (0.6, 0.8)),
        (lambda x: (x[0] ** 2 + x[1] ** 2 + x[2] ** 2 - 1) ** 2, (0.48, 0.64, 0.6)),
    ],
    ids=["logarithm", "lifted logarithm", "lifted hyperbola", "far hyperbola", "lifted circle", "sphere"],
)
def test_a_bottom_that_is_level_along_a_bend_stays_a_flat_minimum(cost, point):
    assert verify(cost, np.array(point)).verdict is Verdict.FLAT_MINIMUM


MATRIX = np.random.default_rng(2).standard_normal((9, 7))


def factored(x):
    """‖U V − M‖² for U (9, 2) and V (2, 7): lowest along all of U G, G⁻¹ V, by the singular values left over."""
    return np.sum((x[:18].reshape(9, 2) @ x[18:].reshape(2, 7) - MATRIX) ** 2)


def cosines(x):
    """-6 wherever each x[k]² - x[k+1]/2 is an odd multiple of π, a line that bends through seven dimensions."""
    return np.sum(np.cos(x[:-1] ** 2 - x[1:] / 2))


def _factors():
    left, sizes, right = np.linalg.svd(MATRIX)
    return np.concatenate([(left[:, :2] * sizes[:2]).ravel(), right[:2].ravel()])


def _on_the_line():
    x = [1.1]
    for _ in range(6):
        x.append(2 * (x[-1] ** 2 - np.pi * (2 * np.round(x[-1] ** 2 / np.pi / 2) + 1)))
    return np.array(x)


@pytest.mark.parametrize("off", [0.0, 1e-12, 1e-10, 1e-9, 1e-8])
@pytest.mark.parametrize(
    ("cost", "bottom"), [(factored, _factors()), (cosines, _on_the_line())], ids=["factors", "cosines"]
)
def test_a_little_off_a_level_bottom_the_hessian_bends_downwards_and_it_is_no_saddle(cost, bottom, off):
    point = bottom + off * np.random.default_rng(0).standard_normal(bottom.size)
    assert verify(cost, point).verdict is Verdict.FLAT_MINIMUM


def test_the_walk_to_such_a_bottom_is_a_success():
    result = minimize(cosines, np.full(7, 10.0))
    assert result.success and result.fun == pytest.approx(-6.0, abs=1e-12)
    left_over = np.sum(np.linalg.svd(MATRIX)[1][2:] ** 2)
    result = minimize(factored, 0.5 * np.random.default_rng(5).standard_normal(32))
    assert result.verdict is Verdict.FLAT_MINIMUM and result.fun == pytest.approx(left_over, rel=1e-12)


@pytest.mark.parametrize("width", [1e-2, 1e-4, 1e-6])
def test_a_saddle_between_two_wells_however_near_is_one(width):
    """The wells lie at ±width, deeper by width²/4; a natural size away the walls are far higher."""
    found = verify(lambda x: -(x[0] ** 2) / 2 + x[0] ** 4 / (4 * width**2) + x[1] ** 2, np.zeros(2))
    assert found.verdict is Verdict.SADDLE_POINT


@pytest.mark.parametrize("off", [1e-8, 1e-7])
@pytest.mark.parametrize("width", [1e-2, 1e-4])
def test_a_bound_that_no_downward_bend_leads_out_of_makes_no_minimum_of_a_saddle(width, off):
    """The last parameter lies on its bound, where its slope is zero; the first leads down to the wells."""
    found = verify(
        lambda x: -(x[0] ** 2) / 2 + x[0] ** 4 / (4 * width**2) + x[1] ** 2 + x[2] ** 2,
        np.array([0.0, off, 0.0]),
        bounds=[(-9, 9), (-9, 9), (0, 1)],
    )
    assert found.verdict is Verdict.SADDLE_POINT


def test_a_downward_bend_that_the_bounds_forbid_both_ways_leaves_a_minimum():
    """x·y at the corner of the quadrant: it falls only where one of them is negative."""
    found = verify(lambda x: x[0] * x[1] + x[2] ** 2, np.zeros(3), bounds=[(0, 1), (0, 1), (-1, 1)])
    assert found.verdict.is_minimum


def test_a_valley_that_bends_is_looked_along_inside_the_bounds_alone():
    """From the corner of a box a sum of squares that is measured is judged with Newton steps back across it."""
    seen = []

    def cost(x):
        seen.append(np.array(x))
        return float(np.sum(np.roll(np.asarray(x), 1) ** 2))

    minimize(cost, np.zeros(3), bounds=[(0.0, None), (None, 0.5), (0.0, None)], derivatives="numeric")
    places = np.array(seen)
    assert (places[:, [0, 2]] >= 0.0).all() and (places[:, 1] <= 0.5).all()


@pytest.mark.parametrize("n", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("seed", range(4))
def test_the_length_of_a_vector_in_rayleighs_quotient_costs_nothing(n, seed):
    """Its minimum, the least eigenvalue, is the same all along a ray: whatever word is said, not that it is single."""
    start = np.random.default_rng(seed).normal(size=n) if seed else np.ones(n)
    found = minimize(lambda x: (np.arange(1.0, n + 1.0) * x) @ x / (x @ x), start)
    assert found.fun == pytest.approx(1.0, abs=1e-14)
    assert found.verdict is Verdict.FLAT_MINIMUM or not found.success, found.message


@pytest.mark.parametrize("times", [5, 7, 10, 14, 20, 30, 50, 70, 100, 200])
def test_a_parameter_that_has_vanished_from_the_cost_bends_nothing(times):
    """Box's three exponentials (Moré, Garbow & Hillstrom, 1981, problem 12), whose lowest cost is zero, from afar.

    Where x[1] has grown so large that no digit of its exponentials is left, the cost is level along it.
    """
    t = np.arange(1.0, 11.0) / 10

    def cost(x):
        return np.sum((np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))) ** 2)

    found = minimize(cost, times * np.array([0.0, 10.0, 20.0]))
    has_vanished = np.exp(-0.1 * found.x[1]) < 1e-16
    assert found.verdict is Verdict.FLAT_MINIMUM or not has_vanished, found.message
    assert has_vanished or found.fun == pytest.approx(0.0, abs=1e-20)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize(("order", "n"), [(4, 10), (6, 3), (6, 10), (8, 10), (10, 10)])
@pytest.mark.parametrize("form", [lambda x: np.sum(x**2), np.prod], ids=["sphere", "product"])
def test_a_floor_of_high_order_does_not_fall_because_the_walk_ended_a_little_above_it(form, order, n, unit):
    """The cost is zero on a surface; next to it second derivatives see nothing, and no walk ends right on it."""
    start = np.linspace(0.5, 1.5, n) if form is not np.prod else np.linspace(0.8, 1.3, n)
    found = minimize(lambda x: unit * (form(x) - 1) ** order, start, starts=1)
    assert found.success, found.message
    assert abs(form(found.x) - 1) < 1e-3


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("order", [6, 8])
@pytest.mark.parametrize("seed", [0, 2, 7, 10, 18, 22])
def test_second_derivatives_from_higher_up_do_not_make_an_end_the_floor(seed, order, unit):
    """They are up to 10¹⁷ times those at the end, and a step by them promises nothing there."""
    start = 2 * np.random.default_rng(seed).standard_normal(4)
    found = minimize(lambda x: unit * (np.sum(x**2) - 1) ** order, start, starts=1)
    assert found.success, found.message
    assert abs(np.linalg.norm(found.x) - 1) < 1e-3
