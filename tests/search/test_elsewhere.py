"""Where the walk ran off to no minimum, one from elsewhere finds a minimum that is as low; and none is made up."""

import numpy as np
import pytest

import steepest as st
from steepest.objective import Objective
from steepest.search.elsewhere import starts_elsewhere


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


def rosenbrock(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@pytest.mark.parametrize("asked", [{"tol": 0.1}, {"options": {"gtol": 1.0}}], ids=["tol", "gtol"])
def test_a_walk_that_is_as_precise_as_was_asked_for_ran_off_nowhere(asked):
    found = st.minimize(rosenbrock, np.array([-1.2, 1.0]), **asked)
    assert found.stop == "tolerance reached"
    assert found.nit == st.minimize(rosenbrock, np.array([-1.2, 1.0]), starts=1, **asked).nit


@pytest.mark.parametrize("cut_by", ["steps", "evaluations", "callback", "interrupt"])
def test_a_lower_cost_met_elsewhere_is_told_where_the_walk_there_was_cut_short(cut_by):
    """Right of its ridge at 1 + √6 the cost fades to 0; left of it, it falls to -12.35 at 1 - √6."""

    def cost(x):
        return (x[0] ** 2 - 5) * np.exp(-x[0])

    seen = []

    def callback(x):
        seen.append(x[0])
        if seen[-1] < -1.0 and cut_by == "interrupt":
            raise KeyboardInterrupt
        return seen[-1] < -1.0 and cut_by == "callback"

    start = np.array([5.0])
    alone, whole = st.minimize(cost, start, starts=1), st.minimize(cost, start)
    assert whole.fun < -12.0
    budget = {"steps": alone.nit + 3, "evaluations": whole.nfev - 2}
    asked = {"budget": {cut_by: budget[cut_by]}} if cut_by in budget else {"callback": callback}
    found = st.minimize(cost, start, **asked)
    assert found.fun == alone.fun
    lowest = float(found.message.split("The lowest cost met elsewhere is ")[1].split(",")[0])
    place = float(found.message.split(", at x[0] = ")[1].split(";")[0])
    assert lowest == cost([place]) < -10.0


def test_the_advice_where_to_begin_for_a_higher_minimum_can_be_followed():
    def cost(x):
        return (x[0] ** 2 + 0.1) * np.exp(-x[0])

    found = st.minimize(cost, np.array([3.0]))
    assert found.verdict == "infimum not attained"
    place = found.next_step.split("Begin at x[0] = ")[1].split(" for that minimum")[0]
    there = st.minimize(cost, np.array([float(place)]), starts=1)
    assert there.success
    assert np.isclose(there.x[0], 1 - np.sqrt(0.9))


def test_a_ridge_is_found_where_cost_and_parameters_are_large():
    """The product of a slope and two sizes of its parameter is beyond all numbers."""

    def value_and_gradient(x):
        z = x / 1e200
        return 1e200 * float(z[0] ** 2 * np.exp(-z[0])), (2 - z) * z * np.exp(-z)

    words, place = next(
        starts_elsewhere(Objective(1, value_and_gradient=value_and_gradient), np.array([3e200]), 0)
    )
    assert words == "behind a ridge"
    assert 0.0 < place[0] < 2e200


def test_walks_of_many_parameters_from_elsewhere_are_no_longer_than_the_first():
    """From zero the way down is long and bent; the one from the start leads off to where the exponential vanishes."""
    n = 200

    def cost(x):
        bent = np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
        return bent * np.exp(-bent / 1e10)

    alone, found = (st.minimize(cost, np.full(n, 50.0), starts=starts) for starts in (1, None))
    assert found.evidence[-1].how.startswith("walks: 1;")
    assert found.nit <= 2 * alone.nit


# -- a lower cost seen beyond a level stretch -------------------------------------------------------------------


def hole(x):
    """Level to rounding but within some sizes of (1, 8), where it has its only minimum, -1."""
    return (x[0] - 1) ** 2 - np.exp(-0.5 * (x[1] - 8.0) ** 2)


@pytest.mark.parametrize("start", [[5.0, -50.0], [5.0, 1.0], [5.0, -3.0]])
def test_a_walk_that_came_down_to_a_plateau_goes_on_where_the_judge_saw_a_lower_cost(start):
    result = st.minimize(hole, start)
    assert result.verdict.is_minimum
    np.testing.assert_allclose(result.x, [1.0, 8.0], atol=1e-7)
    assert "plateau and went on" in result.message


def test_without_walks_elsewhere_another_method_begins_at_the_start_of_a_walk_that_came_down_to_a_plateau():
    assert st.minimize(hole, [5.0, -50.0], starts=1).verdict == "plateau"
    assert st.minimize(hole, [5.0, 1.0], starts=1).verdict.is_minimum


def test_a_lower_cost_where_the_slope_overflows_is_nowhere_to_walk_on_from():
    # Beyond x[1] = 42 the exponential, and so the slope, is no number, though the cost is finite and below 1.
    def wall(x):
        return (x[0] - 1) ** 2 + 1 / (1 + np.exp(60 * (x[1] - 30))) + 1e-3 * np.maximum(x[1] - 20, 0) ** 2

    result = st.minimize(wall, [5.0, -50.0])
    assert result.verdict == "plateau" and np.isfinite(result.jac).all()


def test_a_budget_that_ends_at_a_saddle_is_no_error():
    def wells(x):
        return (x[0] ** 2 - 1) ** 2 + (x[1] ** 2 - 1) ** 2

    for evaluations in range(1, 40):
        result = st.minimize(wells, [0.0, 0.5], budget=evaluations)
        assert result.nfev <= evaluations and result.fun <= wells(np.array([0.0, 0.5]))


def arc(seed):
    """Points about a part of a circle, and the circle: centre and radius."""
    random = np.random.default_rng(seed)
    count, radius = random.integers(5, 20), 10 ** random.uniform(0, 2)
    angle = random.uniform(0, 2 * np.pi) + random.uniform(0, random.choice([0.5, 1.5, 3.0]), count)
    centre = random.normal(size=2) * radius
    points = centre + radius * (
        np.column_stack([np.cos(angle), np.sin(angle)]) + 0.02 * random.normal(size=(count, 2))
    )
    return points, np.append(centre, radius), random


def test_a_circle_that_grows_into_a_line_is_no_minimum_and_the_arcs_own_is_found():
    # From a centre on the wrong side of the arc the circle may grow for ever. What it fits then is a line, and the best
    # line leaves the smallest singular value of the points about their mean, squared.
    ran_off = missed = 0
    for seed in range(30):
        points, circle, random = arc(seed)

        def cost(p, points=points):
            return np.sum((np.sqrt((points[:, 0] - p[0]) ** 2 + (points[:, 1] - p[1]) ** 2) - p[2]) ** 2)

        start = random.normal(size=3) * circle[2] * 3 + np.append(circle[:2], 3 * circle[2])
        line = np.linalg.svd(points - points.mean(axis=0))[1][-1] ** 2
        best = st.minimize(cost, circle, starts=1).fun
        assert best < (1.0 - 1e-3) * line
        alone, found = st.minimize(cost, start, starts=1), st.minimize(cost, start)
        if alone.fun > (1.0 - 1e-5) * line:
            ran_off += 1
            assert alone.fun == pytest.approx(line, rel=1e-4)
            assert not alone.success, alone.message
        if found.success:
            assert found.fun == pytest.approx(best, rel=1e-9)
        missed += not found.success
    assert ran_off >= 6
    assert missed <= 1


def peaks_from_a_poor_start(seed):
    """Peaks fitted from a poor start: of two that cancel, one height runs off up and one down, without an end.

    The measurements come in no order: what they leave is no curve, and no parts are exchanged for it.
    """
    random = np.random.default_rng(seed)
    count, t = random.integers(2, 8), np.linspace(0, 10, 150)
    peaks = np.c_[random.uniform(1, 5, count), random.uniform(0, 10, count), random.uniform(0.1, 1, count)]

    def model(p):
        height, place, width = p.reshape(-1, 3).T
        return np.sum(height / (1 + ((t[:, None] - place) / width) ** 2), axis=1)

    y = model(peaks.ravel()) + 0.02 * random.normal(size=t.size)
    shuffled = np.random.default_rng(0).permutation(t.size)
    t, y = t[shuffled], y[shuffled]
    return lambda p: np.sum((y - model(p)) ** 2), (
        peaks * np.exp(0.7 * random.normal(size=peaks.shape))
    ).ravel()


def rounding_of_heights(found):
    """By what part of a cost may sums of heights that nearly cancel be off: residuals are as large as its root."""
    return np.finfo(float).eps * np.abs(found.x[::3]).sum() / np.sqrt(found.fun)


@pytest.mark.parametrize("seed", [1, 6, 38])
def test_what_is_lower_elsewhere_is_walked_on_and_given_back_where_the_first_walk_was_broken_off(seed):
    cost, start = peaks_from_a_poor_start(seed)
    alone, found = st.minimize(cost, start, starts=1), st.minimize(cost, start)
    assert alone.verdict in ("stopped", "out of budget")
    assert found.fun < alone.fun
    assert found.fun == pytest.approx(cost(found.x), rel=1e-12 + rounding_of_heights(found))
    assert "met elsewhere" not in found.message and "led here" in found.message
    assert np.array_equal(found.history.x[0], start)
    assert np.min(found.history.value) == pytest.approx(found.fun, rel=1e-10)


@pytest.mark.parametrize("how", ["callback", "interrupt", "steps"])
def test_what_is_lower_elsewhere_is_given_back_too_where_the_user_ends_the_walk_there(how):
    # How many steps the walk takes until then depends on roundings, which compiled programs do not share with others.
    cost, start = peaks_from_a_poor_start(1)
    alone = st.minimize(cost, start, starts=1)

    def lower_ones():
        return sum(value < 0.5 * alone.fun for value in seen)

    def callback(x):
        seen.append(cost(x))
        ends = how != "steps" and lower_ones() == 20
        if how == "interrupt" and ends:
            raise KeyboardInterrupt
        return ends

    for steps in range(300, 2000, 100) if how == "steps" else (None,):
        seen = []
        found = st.minimize(
            cost, start, callback=callback, budget=None if steps is None else {"steps": steps}
        )
        if lower_ones():
            break
    assert lower_ones() and found.fun <= min(seen) * (1.0 + 1e-12 + rounding_of_heights(found))
    assert found.fun == pytest.approx(cost(found.x), rel=1e-12 + rounding_of_heights(found))
    assert found.fun < 0.5 * alone.fun
    assert not found.success and found.stop == ("out of budget" if how == "steps" else "stopped")


@pytest.mark.parametrize("by", ["minimize", "fit"])
@pytest.mark.parametrize("unit", [1.0, 1e3])
def test_exponents_that_overflow_at_a_start_of_ones_hide_no_minimum(by, unit):
    """Planck's law of wavelengths in micrometres or nanometres; what made the data is the truth."""
    wavelength = unit * np.linspace(0.3, 3.0, 80)

    def planck(x, scale, temperature):
        return scale / x**5 / (np.exp(14388.0 * unit / (x * temperature)) - 1.0)

    true = np.array([1e8, 5800.0])
    measured = planck(wavelength, *true)
    if by == "fit":
        found = st.fit(planck, wavelength, measured, [1.0, 1.0])
    else:
        found = st.minimize(lambda p: np.sum((measured - planck(wavelength, *p)) ** 2), [1.0, 1.0])
        assert "times the start" in found.message
    assert found.success, found.message
    np.testing.assert_allclose(found.x if by == "minimize" else found.params, true, rtol=1e-9)


def test_wherever_a_budget_ends_a_start_whose_slope_overflows_is_left_for_the_lowest_place_that_is_told():
    """More evaluations lead as low or lower, and nothing lower is told of than what is returned."""
    wavelength = np.linspace(0.3, 3.0, 80)

    def planck(x, scale, temperature):
        return scale / x**5 / (np.exp(14388.0 / (x * temperature)) - 1.0)

    measured = planck(wavelength, 1e8, 5800.0)
    found = [
        st.minimize(
            lambda p: np.sum((measured - planck(wavelength, *p)) ** 2),
            [1.0, 1.0],
            budget={"evaluations": most},
        )
        for most in (20, 30, 40, 60, 100)
    ]
    costs = [result.fun for result in found]
    assert costs == sorted(costs, reverse=True) and costs[0] < 0.9 * np.sum(measured**2)
    assert not any("lowest cost met elsewhere" in result.message for result in found)
    assert [result.success for result in found] == [False, False, False, False, True]
