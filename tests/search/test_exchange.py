"""Parts of a fit exchanged: the parameters that made the data are the truth."""

import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose

import steepest as st
from steepest.objective import Objective
from steepest.oracles import Linearisation, Linearised
from steepest.search.exchange import Exchanges, Shapes, basis, damped, follow_a_curve, smoothness, solved
from steepest.search.parts import parts_of
from steepest.solvers import drive
from steepest.solvers.levenberg_marquardt import LevenbergMarquardt

T = np.linspace(0.0, 10.0, 120)
NOISE = 0.02
# Height, place, width. From this start two of three peaks share one feature of the data, or lie beyond their end.
PEAKS = np.array([3.0, 2.0, 0.4, 2.0, 5.0, 0.6, 4.0, 8.0, 0.3])
ASTRAY = np.array([1.5, 2.2, 0.5, 3.0, 2.6, 0.4, 1.0, 14.0, 0.5])


def curve(p):
    q = p.reshape(-1, 3)
    return np.sum(q[:, 0] * np.exp(-(((T[:, None] - q[:, 1]) / q[:, 2]) ** 2)), axis=1)


def measured(seed=0, true=PEAKS, noise=NOISE):
    return curve(true) + noise * np.random.default_rng(seed).standard_normal(T.size)


def cost_of(y, scale=1.0):
    return lambda p: scale * np.sum((y - curve(p)) ** 2)


def sorted_peaks(p):
    q = np.abs(np.reshape(p, (-1, 3)))
    return q[np.argsort(q[:, 1])]


def moved(result):
    return [item for item in result.evidence if item.name == "parts of the model moved"]


def test_a_peak_beyond_the_end_of_the_data_is_brought_to_what_is_left():
    y = measured()
    result = st.minimize(cost_of(y), ASTRAY)
    assert result.fun <= cost_of(y)(PEAKS)  # the minimum is no higher than the truth
    assert_allclose(sorted_peaks(result.x), sorted_peaks(PEAKS), rtol=0.1)
    assert result.success and moved(result) and "parts of the model moved" in result.message
    alone = st.minimize(cost_of(y), ASTRAY, starts=1)
    assert alone.fun > 10 * result.fun and not moved(alone)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_the_cost_changes_nothing(scale):
    y = measured()
    result = st.minimize(cost_of(y, scale), ASTRAY)
    assert_allclose(sorted_peaks(result.x), sorted_peaks(st.minimize(cost_of(y), ASTRAY).x), rtol=1e-6)


def test_the_order_of_the_parts_changes_nothing():
    y = measured()
    turned = ASTRAY.reshape(3, 3)[[2, 0, 1]].ravel()
    assert_allclose(
        sorted_peaks(st.minimize(cost_of(y), turned).x),
        sorted_peaks(st.minimize(cost_of(y), ASTRAY).x),
        rtol=1e-6,
    )


def test_inside_bounds_the_peaks_stay_inside_them():
    y = measured()
    bounds = [(0.0, 10.0), (0.0, 20.0), (0.1, 2.0)] * 3
    result = st.minimize(cost_of(y), ASTRAY, bounds=bounds)
    assert result.fun <= cost_of(y)(PEAKS)
    low, high = np.array(bounds).T
    assert ((result.x >= low) & (result.x <= high)).all()


def test_a_good_fit_is_left_as_it_is():
    result = st.minimize(cost_of(measured()), PEAKS * 1.05)
    assert result.success and not moved(result)


def test_a_fit_that_nothing_explains_is_told_to_follow_a_curve():
    y = np.cos(3.0 * T) + 0.3 * T
    result = st.minimize(lambda p: np.sum((y - p[0] * np.exp(-p[1] * T) - p[2]) ** 2), [1.0, 0.5, 0.0])
    assert result.success and "follow a curve" in result.next_step and "starts=20" in result.next_step
    assert moved(result)
    explained = st.minimize(cost_of(measured()), ASTRAY)
    assert moved(explained) and not explained.next_step


def test_a_budget_is_kept_and_what_was_found_is_not_lost():
    y = measured()
    alone = st.minimize(cost_of(y), ASTRAY, starts=1)
    for more in (1, 40, 150):
        result = st.minimize(cost_of(y), ASTRAY, budget=alone.nfev + more)
        assert result.nfev <= alone.nfev + more
        assert result.fun <= alone.fun


def test_a_callback_ends_the_exchanges():
    y, costs = measured(), []
    alone = st.minimize(cost_of(y), ASTRAY, starts=1)

    def watch(intermediate_result):
        costs.append(intermediate_result.fun)
        return len(costs) > alone.nit + 3

    result = st.minimize(cost_of(y), ASTRAY, callback=watch)
    assert len(costs) <= alone.nit + 5
    assert result.fun <= alone.fun


@pytest.mark.parametrize("how", ["callback", "interrupt"])
def test_what_exchanges_led_to_is_given_back_where_the_user_ends_the_walk_there(how):
    y, seen = measured(), []
    alone = st.minimize(cost_of(y), ASTRAY, starts=1)

    def callback(intermediate_result):
        seen.append(intermediate_result.fun)
        is_lower = seen[-1] < 0.4 * alone.fun
        if how == "interrupt" and is_lower:
            raise KeyboardInterrupt
        return is_lower

    found = st.minimize(cost_of(y), ASTRAY, callback=callback)
    assert all(value >= 0.4 * alone.fun for value in seen[:-1]) and found.stop == "stopped"
    assert found.fun <= seen[-1] < 0.5 * alone.fun
    assert_allclose(found.fun, cost_of(y)(found.x), rtol=1e-12)


def peaks(t, height, place, width):
    return np.sum(height * np.exp(-(((t[:, None] - place) / width) ** 2)), axis=1)


START = {name: ASTRAY[k::3] for k, name in enumerate(("height", "place", "width"))}


def test_fit_moves_a_peak_to_what_is_left_and_then_looks_no_further():
    y = measured()
    fit = st.fit(peaks, T, y, START)
    assert fit.success and fit.cost <= cost_of(y)(PEAKS)
    assert "the best of 1 further starts is lower" in " ".join(fit.remarks)
    turned = {name: values[[2, 0, 1]] for name, values in START.items()}
    assert_allclose(st.fit(peaks, T, y, turned).cost, fit.cost, rtol=1e-9)
    good = st.fit(peaks, T, y, {name: PEAKS[k::3] * 1.02 for k, name in enumerate(START)})
    assert good.cost == pytest.approx(fit.cost, rel=1e-9) and not good.remarks


def test_fit_gives_back_what_exchanges_led_to_where_ctrl_c_ends_them(monkeypatch):
    lower = Exchanges.lower

    def interrupted(self):
        lower(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Exchanges, "lower", interrupted)
    y = measured()
    fit = st.fit(peaks, T, y, START)
    assert fit.stop == "stopped"
    assert fit.cost <= 1.01 * cost_of(y)(PEAKS)
    assert fit.success == (fit.cost <= cost_of(y)(PEAKS)), "the minimum is no higher than the truth"


def far_off(low, high, monkeypatch):
    """Peaks to be fitted from shapes far off; and a list of all costs that a search asks for, judges left out."""
    costs = []

    def listed(evaluate):
        def called(self, x):
            found = evaluate(self, x)
            if self._keeps_best:
                costs.append(found if isinstance(found, float) else found[0])
            return found

        return called

    for name in ("value", "value_and_gradient", "linearised"):
        monkeypatch.setattr(Objective, name, listed(getattr(Objective, name)))
    start = {"height": np.full(3, low), "place": np.array([1.0, 1.5, 14.0]), "width": np.full(3, high)}
    return start, costs


@pytest.mark.parametrize("budget", [20, 60, 90, 150, 400, 700])
def test_a_budget_of_evaluations_holds_for_the_whole_fit_and_its_lowest_point_is_given_back(
    budget, monkeypatch
):
    start, costs = far_off(0.5, 0.2, monkeypatch)
    found = st.fit(peaks, T, measured(), start, budget=budget)
    assert found.nfev == len(costs) <= budget
    assert found.cost <= np.nanmin(costs) * (1 + 1e-8)
    assert_allclose(found.cost, cost_of(measured())(np.reshape(found.params, (3, 3)).T.ravel()), rtol=1e-9)


def test_ctrl_c_at_any_evaluation_of_a_fit_counts_them_all_and_loses_nothing_found(monkeypatch):
    start, costs = far_off(0.5, 0.2, monkeypatch)
    whole = st.fit(peaks, T, measured(), start)
    assert whole.nfev == len(costs) > 100
    evaluate, pressed_at = Objective.linearised, [0]

    def pressed(self, x):
        if self._keeps_best and len(costs) == pressed_at[0]:
            pressed_at[0] = -1
            raise KeyboardInterrupt
        return evaluate(self, x)

    monkeypatch.setattr(Objective, "linearised", pressed)
    cut_short = 0
    for press in range(3, whole.nfev, whole.nfev // 40):
        costs.clear()
        pressed_at[0] = press
        found = st.fit(peaks, T, measured(), start)
        cut_short += found.stop == "stopped"
        assert found.nfev in (len(costs), len(costs) + (found.stop == "stopped"))
        assert found.cost <= np.nanmin(costs) * (1 + 1e-8)
    assert cut_short > 20


def objective_of(y, low, high):
    """The peaks fitted to `y`, with a Jacobian by hand; raises outside the bounds."""

    def linearised(p):
        assert ((p >= low) & (p <= high)).all()
        q = p.reshape(-1, 3)
        u = (T[:, None] - q[:, 1]) / q[:, 2]
        shape = np.exp(-(u**2))
        J = np.stack([shape, 2 * q[:, 0] * u * shape / q[:, 2], 2 * q[:, 0] * u**2 * shape / q[:, 2]], axis=2)
        r = curve(p) - y
        return Linearised(float(r @ r), r, J.reshape(T.size, -1))

    def slopes(p):
        found = linearised(p)
        return found.value, 2.0 * found.jacobian.T @ found.residual

    return Objective(
        9,
        value_and_gradient=slopes,
        linearised=Linearisation(linearised, False),
        least_squares=True,
        bounds=st.bounds.Bounds(low, high),
    )


def test_amplitudes_are_solved_for_where_the_shapes_are():
    y = measured(noise=0.0)
    objective = objective_of(y, np.full(9, -np.inf), np.full(9, np.inf))
    shapes = Shapes(objective, parts_of(objective, PEAKS), PEAKS)
    elsewhere = PEAKS.copy()
    elsewhere[::3] = [7.0, -1.0, 0.0]
    assert_allclose(shapes.solved(elsewhere), PEAKS, rtol=1e-12)


def test_parts_are_where_they_belong_unless_one_explains_little_or_two_are_alike():
    y = measured() + 0.1 * np.sin(T)
    objective = objective_of(y, np.full(9, -np.inf), np.full(9, np.inf))
    shapes = Shapes(objective, parts_of(objective, PEAKS), PEAKS)
    astray, double = PEAKS.copy(), PEAKS.copy()
    astray[1] = 14.0
    double[3:5] = PEAKS[:2] + 0.1
    for place, belong in ((PEAKS, True), (astray, False), (double, False)):
        assert shapes.belong_where_they_are(*shapes.apart(shapes.solved(place))) is belong


def test_a_lack_of_fit_that_no_part_could_explain_costs_little():
    y = measured() + 0.1 * np.sin(T)
    alone, result = (st.minimize(cost_of(y), PEAKS * 1.05, starts=starts) for starts in (1, None))
    assert result.nfev <= 3 * alone.nfev and not moved(result) and "follow a curve" in result.next_step
    assert_allclose(result.fun, alone.fun, rtol=1e-12)


def test_the_residuals_are_never_asked_for_outside_the_bounds():
    y = measured()
    low, high = np.tile([0.0, 0.0, 0.2], 3), np.tile([8.0, 15.0, 3.0], 3)
    objective = objective_of(y, low, high)
    run = drive(LevenbergMarquardt(), objective, ASTRAY)

    def walk(place, steps, lowest):
        return drive(LevenbergMarquardt(), objective, place, max_steps=steps)

    exchanges = Exchanges(objective, ASTRAY, run, walk, lambda: True, 1_000, 0)
    exchanges.lower()
    assert exchanges.best.value <= objective.value(PEAKS) < 0.1 * run.value


def exchanges_of(objective, start, may_walk=lambda: True):
    """Exchanges after a walk from `start`, and the places that they walked from."""
    run, places = drive(LevenbergMarquardt(), objective, start), []

    def walk(place, steps, lowest):
        places.append(place)
        return drive(LevenbergMarquardt(), objective, place, max_steps=steps)

    return Exchanges(objective, start, run, walk, lambda: may_walk() if places else True, 1_000, 0), places


def test_no_walk_begins_once_none_may():
    free = np.full(9, np.inf)
    allowed, many = exchanges_of(objective_of(measured(), -free, free), ASTRAY)
    allowed.lower()
    ended, one = exchanges_of(objective_of(measured(), -free, free), ASTRAY, may_walk=lambda: False)
    ended.lower()
    assert len(one) == 1 < len(many)
    assert_allclose(one[0], many[0])


def test_nothing_is_exchanged_in_a_curve_without_amplitudes():
    def linearised(p):  # exp(-p0·t) - exp(-p1·t²), which no parameter scales
        one, other = np.exp(-p[0] * T), np.exp(-p[1] * T**2)
        r = one - other - np.sin(T)
        return Linearised(float(r @ r), r, np.stack([-T * one, T**2 * other], axis=1))

    def slopes(p):
        found = linearised(p)
        return found.value, 2.0 * found.jacobian.T @ found.residual

    objective = Objective(
        2, value_and_gradient=slopes, linearised=Linearisation(linearised, False), least_squares=True
    )
    exchanges, places = exchanges_of(objective, np.array([0.5, 1.0]))
    before = exchanges.best
    exchanges.lower()
    assert exchanges.best is before
    assert not places and not exchanges.has_parts and not exchanges.rounds


def test_more_measurements_than_shapes_can_be_kept_of_are_left_alone(monkeypatch):
    free = np.full(9, np.inf)
    exchanges, places = exchanges_of(objective_of(measured(), -free, free), ASTRAY)
    monkeypatch.setattr("steepest.search.exchange.MOST_NUMBERS", 16 * 3 * T.size - 1)  # of three amplitudes
    exchanges.lower()
    assert not places and not exchanges.has_parts
    monkeypatch.setattr("steepest.search.exchange.MOST_NUMBERS", 16 * 3 * T.size)
    exchanges.lower()
    assert places and exchanges.has_parts


@pytest.mark.parametrize("m", [5, 20, 100, 1000])
def test_noise_does_not_follow_a_curve_and_a_curve_does(m):
    generator = np.random.default_rng(m)
    assert not any(follow_a_curve(generator.standard_normal(m)) for _ in range(500))
    t = np.linspace(0.0, 3.0, m)
    assert follow_a_curve(np.sin(t)) or m < 10
    noisy = np.sin(t) + 0.1 * generator.standard_normal(m)
    assert follow_a_curve(noisy) or m < 20
    assert not follow_a_curve(generator.permutation(noisy - noisy.mean()))  # unlike an offset


@pytest.mark.parametrize("m", [14, 30, 60, 400])
def test_a_curve_is_told_where_the_ratio_is_below_one_and_four_deviations_below_that_of_noise(m):
    """Of noise it is two, with a variance of 4·(m - 2)/(m² - 1) (von Neumann 1941)."""
    limit = min(1.0, 2.0 - 4.0 * np.sqrt(4.0 * (m - 2) / (m**2 - 1)))
    for part, is_curve in ((0.99, True), (1.01, False)):
        # A constant changes by nothing, and what is added with alternating signs by twice itself each time.
        share = part * limit * m / (4.0 * (m - 1))
        residual = np.sqrt(1.0 - share) + np.sqrt(share) * (-1.0) ** np.arange(m)
        assert smoothness(residual) == pytest.approx(part * limit)
        assert follow_a_curve(residual) == is_curve


@pytest.mark.parametrize("m", [0, 1, 2, 3])
def test_of_next_to_no_residuals_nothing_is_told(m):
    assert not follow_a_curve(np.ones(m))


def test_smoothness_is_von_neumanns_ratio():
    r = np.random.default_rng(0).standard_normal(50)
    ratio = sum((a - b) ** 2 for a, b in zip(r[1:], r[:-1], strict=True)) / sum(a * a for a in r)
    assert_allclose(smoothness(r), ratio, rtol=1e-12)
    assert smoothness(np.zeros(5)) == 2.0


def test_steps_meet_the_normal_equations_of_columns_of_any_size():
    generator = np.random.default_rng(1)
    A, r = generator.standard_normal((20, 4)) * np.array([1.0, 1e8, 1e-8, 0.0]), generator.standard_normal(20)
    p = solved(A, r)
    assert_allclose((A.T @ (r + A @ p)) / np.array([1.0, 1e8, 1e-8, 1.0]), 0.0, atol=1e-12)
    assert p[3] == 0.0
    assert_allclose(basis(A).T @ basis(A), np.eye(3), atol=1e-12)
    B, held = A[:, :3], np.array([0.0, 1.0, 1.0])
    size = np.linalg.norm(B, axis=0)
    q = damped(B, r, 0.3, held)
    assert_allclose((B.T @ (r + B @ q) + 0.3 * held * size**2 * q) / size, 0.0, atol=1e-10)


def test_parts_that_led_lower_but_to_no_minimum_are_given_back_as_such():
    """A bell that moves away for ever becomes the exponential in the data: the least is attained by none."""
    random = np.random.default_rng(5)
    y = 3.0 * np.exp(-(((T - 3.0) / 0.8) ** 2)) + 4.0 * np.exp(0.6 * (T - 10.0))
    y = y + NOISE * random.standard_normal(T.size)
    start = np.array([2.0, 2.7, 0.5, 1.0, 3.4, 0.5]) * np.exp(0.1 * random.standard_normal(6))
    alone, result = (st.minimize(cost_of(y), start, starts=starts) for starts in (1, None))
    assert alone.success and not result.success and result.verdict == "infimum not attained"
    assert result.fun < 0.01 * alone.fun
    assert_allclose(cost_of(y)(result.x), result.fun, rtol=1e-9)
    assert "parts of the model moved to where most was left led here" in result.message


def test_a_lower_end_of_exchanges_is_walked_on_until_it_is_a_minimum():
    """Three decays and a wave in the data: exchanges end in a long valley. SciPy finds nothing lower than its end."""
    random = np.random.default_rng(21)
    t = np.linspace(0.1, 10.0, 60)

    def decays(p):
        return sum(p[k] * np.exp(-p[k + 1] * t) for k in range(0, 6, 2))

    true = random.uniform(0.2, 4.0, 6)
    start = true * np.exp(1.2 * random.normal(size=6))
    y = decays(true) + np.sin(t) + 0.01 * random.normal(size=60)
    alone, result = (
        st.minimize(lambda p: np.sum((y - decays(p)) ** 2), start, starts=starts) for starts in (1, None)
    )
    assert alone.success and result.success and result.fun < 0.999 * alone.fun
    onward = scipy.optimize.least_squares(
        lambda p: decays(p) - y, result.x, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    assert 2.0 * onward.cost > result.fun * (1.0 - 1e-9)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e9])
def test_a_peak_is_found_among_the_data_however_far_off_it_began(unit):
    """From ones, as `curve_fit` begins by default: the peak is narrower than a step of the data, and where none is."""
    t = unit * np.linspace(0.0, 500.0, 60)
    true = np.array([50.0, 320.0 * unit, 12.0 * unit, 3.0])
    peak = lambda p: p[0] * np.exp(-((t - p[1]) ** 2) / 2 / p[2] ** 2) + p[3]  # noqa: E731
    y = peak(true) + 0.2 * np.random.default_rng(3).standard_normal(t.size)
    start = np.array([1.0, unit, unit, 1.0])
    result = st.minimize(lambda p: np.sum((y - peak(p)) ** 2), start)
    assert result.fun <= np.sum((y - peak(true)) ** 2)
    assert_allclose(np.abs(result.x), true, rtol=0.1)
    assert result.success and moved(result)
    assert st.minimize(lambda p: np.sum((y - peak(p)) ** 2), start, starts=1).fun > 100 * result.fun


def test_the_place_of_a_bend_is_found_among_the_data():
    t = np.linspace(0.0, 500.0, 60)
    true = np.array([220.0, 100.0, 0.5, -1.3])
    lines = lambda p: np.where(t < p[0], p[1] + p[2] * (t - p[0]), p[1] + p[3] * (t - p[0]))  # noqa: E731
    y = lines(true) + np.random.default_rng(3).standard_normal(t.size)
    result = st.minimize(lambda p: np.sum((y - lines(p)) ** 2), np.ones(4))
    assert result.fun <= np.sum((y - lines(true)) ** 2)
    assert_allclose(result.x, true, rtol=0.05)


def test_a_step_that_began_where_no_data_are_is_found_among_them():
    """Years and a start of ones: the curve is level at all data, and no slope tells where its step might be."""
    year = np.linspace(1900.0, 2020.0, 61)
    true = np.array([300.0, 0.08, 1960.0])
    step = lambda p: p[0] / (1 + np.exp(-p[1] * (year - p[2])))  # noqa: E731
    y = step(true) + np.random.default_rng(3).standard_normal(year.size)
    result = st.minimize(lambda p: np.sum((y - step(p)) ** 2), np.ones(3))
    assert result.success and result.fun <= np.sum((y - step(true)) ** 2)
    assert_allclose(result.x, true, rtol=0.05)
    fitted = st.fit(lambda t, L, k, m: L / (1 + np.exp(-k * (t - m))), year, y, np.ones(3))
    assert_allclose(fitted.popt, result.x, rtol=1e-6)
