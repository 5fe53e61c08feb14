"""Below the rounding of a cost its slope still tells a valley that never ends from a minimum."""

import numpy as np
import pytest

import steepest as st
from steepest.verdict import turning

# The cost sinks for ever along y = 1/x, y = exp(x), y = x² and x·y·z = 1: its lowest number is the constant added.
ENDLESS = {
    "hyperbola": lambda x: (x[0] * x[1] - 1) ** 2 + x[0] ** 2,
    "exponential": lambda x: (x[1] - np.exp(x[0])) ** 2 + np.exp(x[0]),
    "parabola": lambda x: 1 / (1 + x[0] ** 2) + (x[1] - x[0] ** 2) ** 2,
    "product of three": lambda x: (x[0] * x[1] * x[2] - 1) ** 2 + x[0] ** 2 + (x[2] - 1) ** 2,
}

# Each has its only minimum at (1, 1), and there the cost of the constant added.
MINIMA = {
    "bowl": lambda x: (x[0] - 1) ** 2 + 100 * (x[1] - 1) ** 2,
    "Rosenbrock": lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2,
    "hyperbolic cosines": lambda x: np.cosh(x[0] - 1) + np.cosh(10 * (x[1] - x[0])) - 2,
    "end of a hyperbola": lambda x: (x[0] * x[1] - 1) ** 2 + 1e-4 * (x[0] - 1) ** 2,
    "quartic": lambda x: (x[0] - 1) ** 4 + (x[1] - x[0]) ** 2,
}


@pytest.mark.parametrize("constant", [1e3, 1e6, 1e7])
@pytest.mark.parametrize("name", ENDLESS)
def test_a_valley_without_an_end_is_no_minimum_however_large_a_constant_is_added(name, constant):
    cost = ENDLESS[name]
    for start in ([1.0, 1.0, 0.5], [2.0, -1.0, 0.5]):
        start = np.array(start)[: 3 if name == "product of three" else 2]
        found = st.minimize(lambda x: cost(x) + constant, start)
        assert not found.success, found.message


@pytest.mark.parametrize("constant", [1e12, -1e12])
def test_a_slope_that_the_cost_does_not_show_makes_no_flat_minimum_of_a_valley(constant):
    """Of the hyperbola 1/(1 + y²) is left to fall, which a cost of 1e12 shows to 1.2e-4; the slopes are all there."""
    for start in np.random.default_rng(7).uniform(0.5, 2.0, (20, 2)):
        found = st.minimize(lambda x: ENDLESS["hyperbola"](x) + constant, start)
        assert not found.success or 1.0 / (1.0 + found.x[1] ** 2) < np.spacing(1e12), found


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12, 1e24])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_place_in_the_valley_is_no_minimum_in_any_unit_and_order(unit, swapped):
    """On the floor of the hyperbola, 5000 out, a Newton step promises less than the rounding of the cost."""

    def cost(x):
        x = x[::-1] if swapped else x
        return unit * (ENDLESS["hyperbola"](x) + 1e6)

    place = np.array([1.00001 / 5000, 5000.0])
    judged = st.verify(cost, place[::-1].copy() if swapped else place)
    assert not judged.verdict.is_minimum, judged


@pytest.mark.parametrize("constant", [0.0, 1.0, 1e6, 1e12])
@pytest.mark.parametrize("name", MINIMA)
def test_a_minimum_stays_one_however_large_a_constant_is_added(name, constant):
    cost = MINIMA[name]
    for start in ([-1.2, 1.0], [2.0, 0.3]):
        found = st.minimize(lambda x: cost(x) + constant, start)
        assert found.success, found.message


@pytest.mark.parametrize("beside", [[1e-7, 0.0], [0.0, -1e-7], [3e-7, 3e-7]])
@pytest.mark.parametrize("name", ["bowl", "Rosenbrock", "hyperbolic cosines"])
def test_a_place_beside_a_minimum_as_low_as_the_cost_can_tell_is_one(name, beside):
    cost = MINIMA[name]
    judged = st.verify(lambda x: cost(x) + 1e6, np.array([1.0, 1.0]) + beside)
    assert judged.verdict.is_minimum, judged


@pytest.mark.parametrize("name", ["Rosenbrock", "hyperbolic cosines"])
def test_one_slope_tells_a_plain_bottom_and_no_floor_is_followed(name, monkeypatch):
    asked, as_foretold = [], turning._turns_as_foretold

    def told(*given):
        asked.append(as_foretold(*given))
        return asked[-1]

    monkeypatch.setattr(turning, "_turns_as_foretold", told)
    monkeypatch.setattr(turning, "_floor", lambda *given: pytest.fail("a floor is followed"))
    beside = np.array([1.0 + 1e-7, 1.0])
    assert st.verify(lambda x: MINIMA[name](x) + 1e6, beside).verdict.is_minimum
    assert asked == [True]
