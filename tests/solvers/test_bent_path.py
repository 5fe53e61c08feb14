"""Steps that bend with a valley: their second-order part by other means, and walks along valleys of known ends."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.bounds import Bounds
from steepest.linear_algebra.damped import of_residual
from steepest.reference_problems import nist
from steepest.solvers import drive, levenberg_marquardt
from steepest.solvers.bent_path import Bend, foretold, next_radius, reach_of

from .test_levenberg_marquardt import squares


def parabolic(weight):
    """Rosenbrock's valley, its walls `weight` times as high as its floor is long: lowest at (1, 1)."""
    w = np.sqrt(weight)
    return (
        lambda x: np.array([w * (x[1] - x[0] ** 2), 1.0 - x[0]]),
        lambda x: np.array([[-2.0 * w * x[0], w], [-1.0, 0.0]]),
    )


def wavy(x):
    """Along a sine, whose bend changes sign five times: lowest at (4, sin 12)."""
    return np.array([100.0 * (x[1] - np.sin(3.0 * x[0])), x[0] - 4.0])


def wavy_slopes(x):
    return np.array([[-300.0 * np.cos(3.0 * x[0]), 100.0], [1.0, 0.0]])


def hyperbolic(x):
    """Along x·y = 1: lowest at (20, 1/20)."""
    return np.array([1e3 * (x[0] * x[1] - 1.0), x[0] - 20.0])


def hyperbolic_slopes(x):
    return np.array([[1e3 * x[1], 1e3 * x[0]], [1.0, 0.0]])


VALLEYS = {
    "parabola": (*parabolic(1e6), [-1.2, 1.0], [1.0, 1.0]),
    "steep parabola": (*parabolic(1e8), [-1.2, 1.0], [1.0, 1.0]),
    "sine": (wavy, wavy_slopes, [-3.0, 0.0], [4.0, np.sin(12.0)]),
    "hyperbola": (hyperbolic, hyperbolic_slopes, [0.05, 20.0], [20.0, 0.05]),
}


@pytest.mark.parametrize("name", VALLEYS)
def test_a_walk_along_a_bent_valley_ends_at_its_end_and_never_goes_up(name):
    residual, jacobian, start, end = VALLEYS[name]
    run = drive(levenberg_marquardt(), squares(residual, jacobian, 2), np.array(start))
    assert_allclose(run.x, end, rtol=1e-12)
    values = np.asarray(run.history.value)
    assert (np.diff(values) <= 1e-14 * values[:-1]).all()


@pytest.mark.parametrize("name", VALLEYS)
@pytest.mark.parametrize("units", [(2.0**-30, 2.0**20, 1.0), (2.0**12, 2.0**-40, 2.0**10)])
def test_the_way_along_a_bent_valley_does_not_depend_on_units(name, units):
    """Powers of two change no rounding, so that the walks agree in every digit, step by step."""
    residual, jacobian, start, _ = VALLEYS[name]
    unit, factor = np.array(units[:2]), units[2]
    plain = drive(levenberg_marquardt(), squares(residual, jacobian, 2), np.array(start), max_steps=40)
    other = drive(
        levenberg_marquardt(),
        squares(lambda u: factor * residual(u * unit), lambda u: factor * jacobian(u * unit) * unit, 2),
        np.array(start) / unit,
        max_steps=40,
    )
    assert_allclose(np.asarray(other.history.x) * unit, plain.history.x, rtol=1e-12)


def test_steps_along_a_parabola_do_not_shrink_with_its_walls():
    """Straight steps stay where walls of height w grow less than the floor falls: their number grows like w^¼.

    A parabola has no third order: bent steps stay on its floor however high the walls are.
    """

    def steps(weight):
        residual, jacobian = parabolic(weight)
        return drive(levenberg_marquardt(), squares(residual, jacobian, 2), np.array([-1.2, 1.0])).steps

    assert steps(1e8) < (1e8 / 1e4) ** 0.25 * steps(1e4) / 2.0


@pytest.mark.parametrize("bounds", [Bounds.none(2), Bounds(np.full(2, -9.0), np.full(2, 9.0))])
@pytest.mark.parametrize("weight", [1e2, 1e4, 1e6])
def test_a_whole_step_that_leaves_the_floor_is_put_back_onto_it(weight, bounds):
    """Gauss-Newton from (0.6, 0.36) ends at (1, 0.84), on the wall; its second-order part then leads to (1, 1)."""
    residual, jacobian = parabolic(weight)
    objective = squares(residual, jacobian, 2, bounds)
    run = drive(levenberg_marquardt(), objective, np.array([0.6, 0.36]))
    assert_allclose(run.history.x[1], [1.0, 1.0], rtol=1e-9)
    assert objective.evaluations <= 5


def test_the_second_order_part_solves_the_damped_normal_equations():
    """[J; √λ·D]a = -[½K(p, p); 0] by least squares; K by its formula."""
    residual, jacobian = parabolic(1e4)
    x, scale = np.array([-1.0, 1.0]), np.array([150.0, 90.0])
    J, r = jacobian(x), residual(x)
    model = of_residual(J, r, scale)
    damped = model.step(1.0)
    p = damped.step / scale
    off = residual(x + p) - r - J @ p
    assert_allclose(off, [-100.0 * p[0] ** 2, 0.0], rtol=1e-9, atol=1e-12)
    bent = model.damped(J.T @ off / scale, damped.damping) / scale
    stacked = np.vstack([J, np.sqrt(damped.damping) * np.diag(scale)])
    assert_allclose(bent, np.linalg.lstsq(stacked, -np.append(off, [0.0, 0.0]))[0], rtol=1e-9)


def test_the_bend_of_the_last_step_is_that_of_the_next_where_the_second_derivative_is_constant():
    """Seen back from its end, a step's miss is the same ½K(p, p); and K(tp, tp) = t²K(p, p)."""
    residual, jacobian = parabolic(1e4)
    x, p = np.array([-1.0, 1.0]), np.array([0.1, -0.2])
    back = residual(x) - residual(x + p) + jacobian(x + p) @ p
    told = foretold(Bend(p, back), 3.0 * p, np.ones(2))
    assert_allclose(told, [-100.0 * 9.0 * p[0] ** 2, 0.0], rtol=1e-9, atol=1e-9)
    assert foretold(Bend(p, back), np.array([0.2, 0.1]), np.ones(2)) is None


@pytest.mark.parametrize("order", [2.0, 5.0])
def test_the_radius_finds_the_length_at_which_misses_of_any_order_are_allowed(order):
    """A miss of (length/8)^order: from two lengths that tell the order, half the promise is missed at the next."""
    reach = reach_of(reach_of(None, 6.0, (6.0 / 8.0) ** order), 7.5, (7.5 / 8.0) ** order)
    assert_allclose((next_radius(reach) / 8.0) ** order, 0.5, rtol=1e-12)


@pytest.mark.parametrize("name", ["Bennett5", "MGH10", "MGH17", "Lanczos3"])
def test_fits_with_bent_valleys_meet_the_certified_parameters_from_both_starts(name):
    from steepest import fit

    data = nist.load(name)
    for start in data.starts:
        found = fit(data.model, data.x, data.y, start)
        assert found.success
        assert_allclose(found.params, data.parameters, rtol=1e-6)


@pytest.mark.parametrize("last", [0.0, 1e-170, 1e-160])
def test_a_step_too_short_to_be_squared_foretells_nothing(last):
    assert (
        foretold(Bend(np.array([last, 0.0]), np.array([5.0, 0.0])), np.array([1e4, 0.0]), np.ones(2)) is None
    )
