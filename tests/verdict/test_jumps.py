"""Beside a jump: its height is no rounding, behind which slopes of other parameters and steps downwards would hide."""

import numpy as np
import pytest

import steepest as st

BESIDE = np.nextafter(1.0, 2.0)


def falls_beyond_one(x):
    return np.sum(np.where(x > 1.0, -3.0, 0.0) + x**2)


@pytest.mark.parametrize("place", [(1.03, BESIDE, 0.94), (BESIDE, -0.4), (0.2, 1.0), (BESIDE, 3.0)])
@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
def test_no_minimum_is_claimed_at_a_jump_where_another_parameter_leads_down(place, factor):
    judged = st.verify(lambda x: factor * falls_beyond_one(x), np.array(place))
    assert not judged.success, judged.message


@pytest.mark.parametrize("seed", range(8))
def test_a_walk_that_ends_in_success_has_no_slope_left_beside_a_jump(seed):
    start = np.random.default_rng(seed).normal(size=3) * 2.0
    found = st.minimize(falls_beyond_one, start)
    at_jump = np.abs(found.x - 1.0) < 1e-9
    assert not found.success or np.abs(2.0 * found.x[~at_jump]).max(initial=0.0) < 1e-6
    assert found.fun <= falls_beyond_one(start)


@pytest.mark.parametrize("place", [(1.0, -4.0, 0.0), (2.0, 0.5), (-3.0,)])
def test_no_minimum_is_claimed_where_the_cost_steps_down_right_beside(place):
    assert not st.verify(lambda x: np.sum(np.floor(np.abs(x))), np.array(place)).success
    found = st.minimize(lambda x: np.sum(np.floor(np.abs(x))), np.array(place))
    assert not found.success or found.fun == 0.0


@pytest.mark.parametrize("place", [(-0.1669,), (0.45,), (-0.1669, 0.45), (-0.5319, 1.6268)])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e9])
def test_the_height_of_steps_far_off_is_no_curvature_where_a_cost_of_unknown_make_is_level(place, unit):
    def stairs(x):
        return unit * float(np.sum(np.floor(3.0 * x) ** 2))

    x = np.array(place)
    near = x + 1e-3 * np.array(np.meshgrid(*[(-1.0, 0.0, 1.0)] * x.size)).reshape(x.size, -1).T
    assert {stairs(point) for point in near} == {stairs(x)}
    judged = st.verify(stairs, x, derivatives="numeric")
    assert judged.verdict == "no slope", judged.message
    assert judged.digits is None


@pytest.mark.parametrize("power", [2, 4, 6])
def test_a_measured_curvature_is_kept_where_powers_lie_below_a_third_of_its_step(power):
    judged = st.verify(
        lambda x: float(np.sum((x - 0.3) ** power)), np.array([0.3, 0.3]), derivatives="numeric"
    )
    assert judged.success, judged.message


@pytest.mark.parametrize("unit", [1e-9, 1e9])
@pytest.mark.parametrize("n", [4, 5])
def test_a_slope_along_the_foot_of_a_jump_is_seen_wherever_the_places_beside_the_point_lie(n, unit):
    generator = np.random.default_rng(n)
    for _ in range(60):
        across, center = generator.normal(size=(2, n))
        at = generator.normal(size=n)
        at -= across * (across @ at) / (across @ across)
        while across @ at > 0.0:
            at = np.nextafter(at, at - across)

        def cost(x, across=across, center=center):
            return unit * (np.sum((x - center) ** 2) + 20.0 * np.where(across @ x > 0.0, 1.0, 0.0))

        slope = 2.0 * (at - center)
        along = slope - across * (across @ slope) / (across @ across)
        assert np.linalg.norm(along) > 0.01
        judged = st.verify(cost, at)
        assert not judged.success, judged.message


COUNTED = {
    "a truth value times a number": lambda x: np.sum(np.abs(x) + 3 * (x >= 0)),
    "its negative": lambda x: np.sum(np.abs(x) - 3.0 * (x < 0)),
    "beside a choice": lambda x: np.sum(np.where(x > 0, x, -x) + 3 * (x >= 0.0)),
    "made a number first": lambda x: np.sum(np.abs(x) + 3 * (x >= 0).astype(float)),
}


@pytest.mark.parametrize("cost", COUNTED.values(), ids=COUNTED)
def test_no_kink_is_a_minimum_where_a_comparison_is_counted_and_the_cost_jumps_down_beside(cost):
    """At zero each costs three more than right below."""
    assert cost(np.full(2, -1e-9)) < cost(np.zeros(2)) - 5.0
    assert not st.verify(cost, np.zeros(2)).success


ONE_SIDED = {
    "a comparison": lambda x: np.sum(x**2) + 3 * np.sum(x >= 0),
    "a choice": lambda x: np.sum(x**2) + np.sum(np.where(x < 0, -1.0, 0.0)),
    "a whole number": lambda x: np.sum(x**2 + np.floor(x)),
    "a size": lambda x: np.sum(x**2 - 2.0 * x * np.abs(x)),
    "a norm": lambda x: np.sum(x**2) - 3.0 * x[0] * np.linalg.norm(x),
}


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("cost", ONE_SIDED.values(), ids=ONE_SIDED)
def test_no_minimum_is_claimed_where_the_slope_is_zero_and_the_cost_is_lower_on_the_other_side(cost, n, unit):
    nearby = [sign * h * np.ones(n) for sign in (-1, 1) for h in (1e-8, 1e-4)]
    assert min(cost(x) for x in nearby) < cost(np.zeros(n))
    assert not st.verify(lambda x: unit * cost(x), np.zeros(n)).success
    assert st.minimize(lambda x: unit * (cost(x) + np.sum(x**4)), np.zeros(n)).fun < unit * cost(np.zeros(n))


TWO_SIDED = {
    "higher on one side": lambda x: np.sum(x**2) + 3 * np.sum(x > 0),
    "curved otherwise": lambda x: np.sum(x**2 - 0.5 * x * np.abs(x)),
    "level where it is met": lambda x: np.sum(np.where(x > 0, x**4, x**2)),
}


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("cost", TWO_SIDED.values(), ids=TWO_SIDED)
def test_a_minimum_of_two_sides_stays_one(cost, unit):
    assert st.verify(lambda x: unit * cost(x), np.zeros(2)).success


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_a_kink_without_a_jump_of_the_slope_does_not_hide_how_the_cost_bends_across_it(unit):
    """Along x[0] the cost is |h|³ - h², which is least at 2/3, at -4/27."""

    def cost(x):
        return unit * (np.abs(x[1]) + np.abs(x[0]) * x[0] ** 2 - x[0] ** 2)

    assert not st.verify(cost, np.zeros(2)).success
    assert st.minimize(cost, np.zeros(2)).fun == pytest.approx(-4.0 / 27.0 * unit, rel=1e-9)


@pytest.mark.parametrize("place", [np.zeros(1), np.zeros(2), np.array([0.0, 4.493409457909064])])
@pytest.mark.parametrize(("level", "unit"), [(0.0, 1.0), (1.0, 1.0), (0.0, 1e-12), (0.0, 1e12), (1.0, 1e9)])
def test_a_summit_whose_one_number_is_given_apart_is_no_minimum(place, level, unit):
    def waves(x):
        return unit * np.sum(np.where(x == 0.0, 1.0, np.sin(x) / x) - level)

    judged = st.verify(waves, place)
    assert not judged.success, judged.message
    found = st.minimize(waves, place)
    # Every minimum lies where tan(x) = x.
    assert found.success and np.allclose(np.tan(found.x), found.x, atol=1e-4)


def test_a_bottom_whose_one_number_is_given_apart_is_a_minimum():
    assert st.verify(lambda x: -np.sum(np.where(x == 0.0, 1.0, np.sin(x) / x)), np.zeros(2)).success


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_pole_beside_the_point_hides_no_way_down_on_its_other_side():
    def beside_a_pole(x):
        powers = x**-0.5
        return np.sum(np.where(np.isfinite(powers), powers, 0.0) + x)

    assert not st.verify(beside_a_pole, np.zeros(2)).success


@pytest.mark.parametrize(("steep", "word"), [(1.5, "saddle point"), (0.5, "local minimum")])
@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_bound_on_a_kink_is_no_minimum_where_the_cost_falls_off_it(side, size, steep, word):
    def cost(x):  # the slope off the bound is 1 - steep
        return size * (side * x[0] - steep * np.maximum(side * x[0], 0) + (x[1] - 1) ** 2)

    bounds = [(0, 4) if side > 0 else (-4, 0), (None, None)]
    assert st.verify(cost, [0.0, 1.0], bounds=bounds).verdict == word
