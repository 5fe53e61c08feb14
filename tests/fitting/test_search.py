"""Fits from starts that lead astray: when others are tried, what they cost, and what is said of them."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import Budget, Verdict, fit, models
from steepest.fitting.starts import suspicion_of
from steepest.objective import Objective
from steepest.reference_problems import nist
from tests.decays import START, T, decay, noisy


@pytest.mark.parametrize("loss", ["cauchy", "arctan"])
@pytest.mark.parametrize("seed", range(4))
def test_a_loss_that_levels_off_does_not_let_go_of_the_data(loss, seed):
    y = noisy(seed)
    y[::9] += 2.0
    found = fit(decay, T, y, START, loss=loss, f_scale=0.1)
    assert found.success, found.message
    plain = fit(decay, np.delete(T, np.s_[::9]), np.delete(y, np.s_[::9]), START)
    assert_allclose(found.params, plain.params, atol=0.2)


def test_a_bad_basin_is_left_for_a_better_one():
    """BoxBOD from its far start with long first steps runs to infinity; other starts are then tried."""
    data = nist.load("BoxBOD")
    stuck = fit(data.model, data.x, data.y, [1.0, 1.0], options={"first_radius": 100.0}, starts=0)
    assert not stuck.valid
    found = fit(data.model, data.x, data.y, [1.0, 1.0], options={"first_radius": 100.0})
    assert found.start_from == "multi-start" and found.remarks
    assert_allclose(found.params, data.parameters, rtol=1e-8)


def test_the_seconds_of_a_budget_hold_for_walks_from_other_starts_too(monkeypatch):
    """A wave fitted from a frequency far off; every call of the model takes a second of the clock."""
    y, calls = np.sin(3.0 * T), [0]

    def wave(t, a, w):
        calls[0] += 1
        return float(a) * np.sin(float(w) * t)

    monkeypatch.setattr(time, "perf_counter", lambda: float(calls[0]))
    for clocked in ("objective", "budget"):
        monkeypatch.setattr(f"steepest.{clocked}.perf_counter", time.perf_counter)
    start = {"a": 1.0, "w": 1.0}
    assert fit(wave, T, y, start, derivatives="numeric").cost < 1e-12 and calls[0] > 500
    calls[0] = 0
    found = fit(wave, T, y, start, derivatives="numeric", budget={"seconds": 150.0})
    assert calls[0] < 300 and any("all 150 seconds allowed were spent" in remark for remark in found.remarks)
    assert found.cost <= np.sum((y - np.sin(T)) ** 2)


def test_fewer_points_than_parameters_are_fitted_exactly_and_nothing_is_sought_further():
    found = fit(decay, T[:2], noisy()[:2], START)
    assert found.verdict == "flat minimum"
    assert found.start_from == "given" and found.nfev < 50
    assert "nan" not in str(found)
    assert "no degree of freedom left" in str(found)


def test_where_even_the_best_curve_found_explains_nothing_the_result_says_what_to_do():
    def wave(t, amplitude, frequency):
        return amplitude * np.sin(frequency * t)

    t = np.linspace(0, 10, 200)
    y, chirp = (
        wave(t, 2.0, 23.0),
        wave(t, 2.0, 23.0 + 2.0 * t),
    )  # no one frequency explains much of the second
    far, alone = (fit(wave, t, chirp, (1.0, 3.0), starts=starts) for starts in (None, 0))
    near = fit(wave, t, y, (1.0, 22.9))
    assert far.r_squared < 0.5 < near.r_squared
    assert "start nearer" in far.next_step and "steepest.models" in far.next_step
    assert "leave starts=0 away" in alone.next_step
    assert near.next_step == ""
    # The advice holds: the ready-made model reads the frequency off the data.
    assert fit(models.sine(), t, y).r_squared > 0.999


def test_points_that_a_robust_loss_lets_go_of_are_no_reason_for_advice():
    y = noisy()
    y[::6] += 500.0
    found = fit(decay, T, y, START, loss="cauchy", f_scale=0.1)
    assert_allclose(found.params, [3.0, 1.2, 0.5], atol=0.3)
    assert found.next_step == ""


def test_more_starts_than_are_looked_at_by_themselves_are_all_tried(monkeypatch):
    monkeypatch.setattr("steepest.fitting.starts.LOOKS", 4)
    found = fit(decay, T, noisy(), START, starts=6)
    assert "6 further starts" in str(found).replace("\n    ", " ")


def test_ctrl_c_in_the_search_from_other_starts_keeps_the_best_fit_and_begins_no_other(monkeypatch):
    """A wave fitted from a frequency far off, so that the search looks further; pressed at any Jacobian after."""
    t = np.linspace(0.0, 4.0, 30)
    y = 3 * np.exp(-0.7 * t) + 0.3 * np.sin(5 * t)

    def wave(t, a, b, w):
        return a * np.sin(w * t) + b

    left, evaluate = [10**9], Objective.linearised

    def pressed(self, x):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return evaluate(self, x)

    monkeypatch.setattr(Objective, "linearised", pressed)
    start = {"a": 1.0, "b": 0.1, "w": 1.0}
    whole = fit(wave, t, y, start)
    assert any("further starts" in remark for remark in whole.remarks)
    count, cut_short = 10**9 - left[0], 0
    for press in range(2, count + 1, max(count // 25, 1)):
        left[0] = press
        found = fit(wave, t, y, start)
        assert -left[0] < 40, "the end may be judged, and no other walk begins"
        assert found.stop == "stopped"
        assert np.sum((y - wave(t, *found.params)) ** 2) <= np.sum((y - wave(t, **start)) ** 2)
        cut_short += any("the search was interrupted" in remark for remark in found.remarks)
    assert cut_short > 0


def test_ctrl_c_at_the_very_last_evaluations_of_a_fit_loses_no_minimum():
    t = np.linspace(0.0, 3.0, 15)
    y = 2 * np.exp(-1.3 * t) + 0.5 + 0.01 * np.cos(50 * t)
    calls, press = [0], [0]

    def decay(t, a, b, c):
        calls[0] += 1
        if calls[0] == press[0]:
            raise KeyboardInterrupt
        return float(a) * np.exp(-float(b) * t) + float(c)

    start = {"a": 1.0, "b": 0.5, "c": 0.0}
    whole = fit(decay, t, y, start, derivatives="numeric")
    for press[0] in range(calls[0] - 12, calls[0] + 1):
        calls[0] = 0
        found = fit(decay, t, y, start, derivatives="numeric")
        assert calls[0] >= press[0]
        assert_allclose(found.popt, whole.popt)
        assert_allclose(found.covariance, whole.covariance)


@pytest.mark.parametrize(
    "bounds", [None, [(0, 10), (0, 10), (0, 1)], ([0, 0, 0], [10, 10, 1]), {"c": (0, 1)}]
)
@pytest.mark.parametrize("budget", [None, 1, 2, 9, 300, {"seconds": 0.1}])
def test_the_places_looked_at_for_a_start_count_and_lie_within_bounds(bounds, budget):
    t, calls = np.linspace(0.0, 5.0, 40), []

    def decay(t, a, b, c):
        calls.append((a, b, c))
        return a * np.exp(-b * t) + c

    found = fit(decay, t, decay(t, 3.0, 0.7, 0.5), bounds=bounds, budget=budget)
    numbers = [call for call in calls[1:] if all(isinstance(entry, float) for entry in call)]
    assert found.start_from == "multi-start" and len(numbers) <= found.nfev
    if isinstance(budget, int):
        assert found.nfev <= budget
    elif budget is None:
        assert found.nfev > 3000
        assert np.allclose(list(found.values.values()), (3.0, 0.7, 0.5), rtol=1e-6)
    for a, b, c in numbers:
        assert bounds is None or 0 <= c <= 1
        assert bounds is None or isinstance(bounds, dict) or (0 <= a <= 10 and 0 <= b <= 10)


@pytest.mark.parametrize(("m", "n"), [(52, 2), (9, 1), (1250, 50)])
@pytest.mark.parametrize(("part", "is_noise"), [(0.999, True), (1.001, False)])
def test_a_misfit_is_noise_of_known_size_up_to_five_deviations_of_its_chi_square(m, n, part, is_noise):
    """χ² of m - n degrees of freedom has that mean, and twice that variance."""
    most = (m - n) + 5.0 * np.sqrt(2.0 * (m - n))
    rising = np.linspace(-1.0, 1.0, m)  # no noise looks like it
    residuals = SimpleNamespace(
        residual=lambda x: rising * np.sqrt(part * most / (rising @ rising)),
        target=rising,
        sigma=None,
        rho=None,
    )
    end, judgement = SimpleNamespace(x=np.zeros(n)), SimpleNamespace(verdict=Verdict.LOCAL_MINIMUM)
    assert (suspicion_of(residuals, end, judgement, None, "known") is None) == is_noise
    assert suspicion_of(residuals, end, judgement, None, "unknown") is not None


@pytest.mark.parametrize(
    ("loss", "off"), [("soft_l1", 300.0), ("huber", -1e4), ("cauchy", 300.0), ("arctan", -1e4)]
)
def test_wild_points_hide_no_wave_of_another_frequency(loss, off):
    """Whose parameters are the truth; what is said of the fit is said of the other points."""
    rng = np.random.default_rng(0)
    t = np.linspace(0.0, 50.0, 300)
    y = 2.0 * np.sin(2.0 * np.pi * t + 0.5) + 1.0 + 0.1 * rng.standard_normal(t.size)
    y[rng.permutation(t.size)[:20]] += off
    start = {"a": 1.0, "f": 1.7, "phase": 0.0, "c": 0.0}
    found = fit("a * sin(2 * pi * f * x + phase) + c", t, y, start, loss=loss)
    assert_allclose([abs(found.values["a"]), found.values["f"]], [2.0, 1.0], rtol=0.05)
    assert found.success and found.r_squared > 0.98 and not found.next_step


@pytest.mark.parametrize("loss", ["soft_l1", "huber"])
def test_wild_points_hide_no_peak_that_is_elsewhere(loss):
    x = np.linspace(0.0, 100.0, 200)
    y = 8.0 * np.exp(-((x - 62.0) ** 2) / 18.0) + 1.0 + 0.1 * np.random.default_rng(1).standard_normal(x.size)
    y[[10, 50, 150]] += [100.0, -300.0, 50.0]
    start = {"height": 1.0, "middle": 20.0, "width": 2.0, "level": 0.0}
    model = "height * exp(-(x - middle)**2 / (2 * width**2)) + level"
    found = fit(model, x, y, start, loss=loss, f_scale=0.3)
    assert_allclose(found.params, [8.0, 62.0, 3.0, 1.0], rtol=0.03)


def test_a_wave_that_is_little_of_the_variance_is_found_at_its_frequency():
    """Fringes on a curve that falls by four powers of ten; the errors are those that the curve has."""
    q = np.linspace(0.02, 0.2, 200)
    true = np.array([1.0, 420.0, 0.4])

    def fringes(q, scale, thickness, contrast):
        return scale * (1.0 + contrast**2 + 2.0 * contrast * np.cos(q * thickness)) / q**4

    y = fringes(q, *true) * (1.0 + 0.001 * np.random.default_rng(2).standard_normal(q.size))
    found = fit(fringes, q, y, [1.0, 300.0, 0.5], sigma=0.001 * fringes(q, *true))
    assert_allclose(np.abs(found.params), true, rtol=0.01)


@pytest.mark.parametrize("loss", ["linear", "soft_l1"])
def test_a_wave_is_found_within_a_hundred_evaluations(loss):
    """Before parts of the model are moved, which takes hundreds; the data are exact, and their frequency is five."""
    t = np.linspace(0.0, 20.0, 150)
    y = 2.0 * np.sin(5.0 * t + 0.5) + 1.0
    start = {"a": 1.0, "w": 7.0, "p": 0.0, "c": 0.0}
    found = fit("a * sin(w * x + p) + c", t, y, start, loss=loss, budget=Budget(evaluations=100))
    assert_allclose(
        [abs(found.values["a"]), found.values["w"], found.values["c"]], [2.0, 5.0, 1.0], rtol=1e-7
    )


@pytest.mark.parametrize("k", [1, 3])
def test_data_fitted_twice_or_thrice_have_the_same_frequency(k):
    t = np.tile(np.linspace(0.0, 10.0, 100), k)
    y = np.tile(2.0 * np.sin(6.0 * t[:100] + 1.2) + 9.0 + 0.1 * np.cos(np.arange(100) ** 2), k)
    found = fit("a * sin(w * x + p) + c", t, y, {"a": 1.0, "w": 7.5, "p": 0.0, "c": 8.0})
    assert_allclose(found.values["w"], 6.0, atol=0.02)


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy", "arctan"])
def test_a_wave_far_larger_than_the_scale_of_the_loss_is_found(loss):
    """Its residuals are all beyond that scale at the start, and those that are near by chance tell nothing."""
    rng = np.random.default_rng(1)
    x, true = np.linspace(0.0, 10.0, 100), np.array([20.0, 6.0, 1.2, 9.0])

    def wave(x, a, w, p, c):
        return a * np.sin(w * x + p) + c

    y = wave(x, *true) + rng.standard_normal(x.size)
    y[rng.permutation(x.size)[:3]] += 50.0 * rng.standard_normal(3)
    found = fit(wave, x, y, true * (1.0 + 0.5 * rng.uniform(-1.0, 1.0, 4)), loss=loss)
    assert_allclose([abs(found.params[0]), found.params[1]], true[:2], rtol=0.02)
    assert found.nfev < 200


@pytest.mark.parametrize(
    ("loss", "wild", "seed"), [("cauchy", 6, 13), ("cauchy", 18, 2), ("arctan", 6, 11), ("arctan", 18, 17)]
)
def test_a_loss_that_levels_off_takes_no_peak_for_wild_points(loss, wild, seed):
    """The curve that made the data costs what the best minimum does not exceed."""
    rng = np.random.default_rng(seed)
    x, true = np.linspace(0.0, 500.0, 60), np.array([50.0, 320.0, 12.0, 3.0])

    def peak(x, height, middle, width, level):
        return height * np.exp(-((x - middle) ** 2) / (2.0 * width**2)) + level

    y = peak(x, *true) + rng.standard_normal(x.size)
    y[rng.permutation(x.size)[:wild]] += 50.0 * rng.standard_normal(wild)
    found = fit(peak, x, y, true * (1.0 + 0.15 * rng.uniform(-1.0, 1.0, 4)), loss=loss)
    z = (y - peak(x, *true)) ** 2
    assert found.cost <= (np.log1p(z) if loss == "cauchy" else np.arctan(z)).sum()
    assert found.nfev < 300


def test_good_fits_of_damped_waves_are_not_sought_further():
    """Their noise is: beside a wave that does not fade the best of many frequencies explains some of it."""
    spent = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        t = np.linspace(0.0, 10.0, 40)
        true = np.array([2.0, rng.uniform(0.1, 1.5), rng.uniform(1.0, 4.0), 0.4, 1.0])

        def damped(t, a, g, w, p, c):
            return a * np.exp(-g * t) * np.cos(w * t + p) + c

        y = damped(t, *true) + 0.02 * rng.standard_normal(t.size)
        spent.append([fit(damped, t, y, 1.03 * true, starts=starts).nfev for starts in (None, 0)])
    further, alone = np.sum(spent, axis=0)
    assert further - alone <= 2 * len(spent)
