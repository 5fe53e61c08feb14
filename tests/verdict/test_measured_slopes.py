"""Minima by measured slopes: what is claimed is what the values beside the point bear out."""

import numpy as np
import pytest

import steepest as st


def measured(cost, start, unit=1.0, **about):
    def opaque(x):
        return float(cost(np.array([float(v) for v in x]) / unit))

    return st.minimize(opaque, unit * np.asarray(start, float), derivatives="numeric", **about)


@pytest.mark.parametrize("start", [0.0, 1.0, 3e-8])
def test_the_top_between_two_wells_narrower_than_any_step_is_no_minimum(start):
    result = measured(lambda x: ((x[0] / 1e-8) ** 2 - 1) ** 2, [start])
    assert not result.success or result.fun < 0.1
    if result.success:
        off = abs(abs(result.x[0]) - 1e-8)
        assert off <= 10.0 ** (1 - result.digits[0])


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
def test_half_way_down_a_bent_valley_is_no_minimum_in_any_unit(unit):
    result = measured(lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, [-1.2, 1.0], unit)
    assert not result.success or result.fun < 1e-6


# With the only place where each is lowest.
SMOOTH = {
    "a bowl on a high floor": (lambda x: np.cosh(x[0] - 2) + 1e6, [0.0], [2.0]),
    "a bent valley on a floor": (
        lambda x: 7 + 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
        [-1.2, 1.0],
        [1.0, 1.0],
    ),
    "x to the x": (lambda x: x[0] ** x[0], [1.0], [np.exp(-1)]),
    "entropy": (lambda x: np.sum(x * np.log(x)), [1.0, 2.0, 0.1], [np.exp(-1)] * 3),
}


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
@pytest.mark.parametrize("name", SMOOTH)
def test_no_more_digits_are_promised_than_are_true_where_slopes_are_measured(name, unit):
    cost, start, truth = SMOOTH[name]
    result = measured(cost, start, unit)
    if result.success and result.digits is not None:
        off = np.abs(result.x / unit - truth) / np.abs(truth)
        assert (off <= 10.0 ** (1 - result.digits)).all(), (off, result.digits)


def askew(seed, unit):
    """A matrix (3, 3) that turns and stretches the axes, and a place (3,), for parameters of that unit."""
    rng = np.random.default_rng(seed)
    turned = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    return turned @ np.diag(10.0 ** rng.uniform(-1, 1, 3)) / unit, unit * rng.standard_normal(3)


# Lowest where all are zero, and a place on the kink where they are not.
KINKS = {
    "straight": (lambda u: 5.0 * abs(u[0]) + u[1] ** 2 + 0.5 * np.log(1.0 + u[2] ** 2), (0.0, 0.3, -0.2)),
    "bent": (lambda u: 5.0 * abs(u[0] - u[1] ** 2) + u[1] ** 2 + u[2] ** 2, (0.09, 0.3, -0.2)),
    "crossing another": (lambda u: 2.0 * abs(u[0]) + abs(u[1]) + u[2] ** 2, (0.0, 0.0, -0.02)),
}


@pytest.mark.parametrize(("size", "unit"), [(1.0, 1.0), (1e-12, 1e8), (1e12, 1e-8)])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kink", KINKS)
def test_only_the_lowest_place_along_a_kink_askew_to_the_axes_is_a_minimum(kink, seed, size, unit):
    (cost, aside), (A, lowest) = KINKS[kink], askew(seed, unit)

    def askew_cost(x):
        return float(size * cost(A @ (np.array([float(v) for v in x]) - lowest)))

    assert st.verify(askew_cost, lowest, derivatives="numeric") == "minimum at a kink"
    there = lowest + np.linalg.solve(A, np.array(aside))
    assert not st.verify(askew_cost, there, derivatives="numeric").success


@pytest.mark.parametrize("seed", [0, 3, 4])
def test_a_walk_goes_on_along_a_measured_kink_and_its_digits_are_true(seed):
    (cost, _), (A, lowest) = KINKS["bent"], askew(seed, 1.0)
    start = lowest + np.linalg.solve(A, np.array([0.7, -1.0, 2.0]))
    found = measured(lambda x: cost(A @ (x - lowest)), start)
    assert found.verdict == "minimum at a kink"
    assert found.fun < 1e-12
    assert (np.abs(found.x - lowest) <= np.abs(lowest) * 10.0 ** (0.5 - found.digits)).all()
