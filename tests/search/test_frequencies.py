"""Waves of fits looked for at other frequencies: the parameters that made the data are the truth."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest as st
from steepest.objective import Objective
from steepest.search.frequencies import promising, waves_of
from steepest.structure.facts import read
from tests.posed import posed

NOISE = 0.1
EVEN = np.linspace(0.0, 10.0, 200)
UNEVEN = np.sort(np.random.default_rng(5).uniform(0.0, 50.0, 300))


def noise(t, seed=0):
    return NOISE * np.random.default_rng(seed).standard_normal(t.size)


def sine(p, t):
    amplitude, frequency, phase, offset = p
    return amplitude * np.sin(2 * np.pi * frequency * t + phase) + offset


def two_weights(p, t):
    a, b, w, offset = p
    return a * np.sin(w * t) + b * np.cos(w * t) + offset


def by_period(p, t):
    amplitude, period, phase, offset = p
    return amplitude * np.sin(2 * np.pi * t / period + phase) + offset


def square(p, t):
    return 1 - p[0] * np.sin(p[1] * t) ** 2


def overtone(p, t):
    a, b, w, one, other = p
    return a * np.sin(w * t + one) + b * np.sin(2 * w * t + other)


def complex_wave(p, t):
    return np.abs(1 + p[0] * np.exp(1j * (p[1] * t + p[2])))


def three(p, t):
    a, w, phase = p[:3], p[3:6], p[6:]
    return (a * np.sin(t[:, None] * w + phase)).sum(axis=1)


def found_for(model, true, start, t=EVEN, **options):
    y = model(np.array(true), t) + noise(t)

    def cost(p):
        return np.sum((y - model(p, t)) ** 2)

    return st.minimize(cost, np.array(start, dtype=float), **options), cost(np.array(true))


@pytest.mark.parametrize(
    ("model", "true", "start", "t", "which"),
    [
        *((sine, [2, 1, 0.5, 1], [1, f, 0, 0], EVEN, [1]) for f in (0.4, 1.7, 3.0, 5.0)),
        *((sine, [2, 1, 0.5, 1], [1, f, 0, 0], UNEVEN, [1]) for f in (0.93, 1.3, 2.0)),
        (two_weights, [12, 3, 40, 9], [1, 1, 1, 1], EVEN, [2]),
        (two_weights, [2, 1.3, 5, 1], [1, 0, 8, 0], EVEN, [2]),
        (by_period, [2, 1.3, 0.5, 1], [1, 6, 0, 0], EVEN, [1]),
        (square, [0.8, 5], [0.5, 8], EVEN, [1]),
        (overtone, [2, 1, 5, 0.3, 0.8], [1, 1, 7, 0, 0], EVEN, [2]),
        (complex_wave, [0.5, 5, 0.4], [0.5, 9, 0], EVEN, [1]),
        (three, [3, 2, 1, 4, 6.5, 9.3, 0.1, 0.2, 0.3], [1, 1, 1, 3, 5, 12, 0, 0, 0], EVEN, [3, 4, 5]),
    ],
)
def test_the_frequency_that_made_the_data_is_found_from_far(model, true, start, t, which):
    result, at_truth = found_for(model, true, start, t)
    assert result.fun <= at_truth  # the minimum is no higher than the truth
    assert_allclose(np.sort(np.abs(result.x[which])), np.sort(np.array(true)[which]), rtol=0.01)
    assert result.success


@pytest.mark.parametrize("scatter", [0.1, 2.0])
def test_among_very_many_data_waves_are_found_and_none_where_there_is_none(scatter):
    """Of 20,000 data at a thousand frequencies a part is looked at; the truth and a fit of noise tell what is there."""
    rng = np.random.default_rng(7)
    t = np.sort(rng.uniform(0.0, 200.0, 20_000))
    silence = scatter * rng.standard_normal(t.size)
    y = sine([2, 1, 0.5, 1], t) + silence

    def cost(p):
        return np.sum((y - sine(p, t)) ** 2)

    result = st.minimize(cost, [1.0, 1.4, 0.0, 0.0])
    assert result.fun <= cost(np.array([2, 1, 0.5, 1]))
    x = np.array([0.01 * scatter, 1.4, 0.3, 0.0])
    problem = posed(lambda p: np.sum((silence - sine(p, t)) ** 2), x)
    (wave,) = waves_of(problem.objective, read(problem.trace.jaxpr).phases, x)
    assert promising(wave, 1.4, -np.inf, np.inf) == []


def test_starts_of_one_stay_in_their_valley_and_the_words_tell_of_the_other():
    alone, _ = found_for(sine, [2, 1, 0.5, 1], [1, 1.7, 0, 0], UNEVEN, starts=1)
    result, _ = found_for(sine, [2, 1, 0.5, 1], [1, 1.7, 0, 0], UNEVEN)
    assert alone.fun > 100 * result.fun and "waves" not in alone.message
    assert "where its waves explain more, led here; starts=1" in result.message
    assert f"({alone.fun:.6g})" in result.message


def test_a_wave_that_explains_most_is_left_where_it_is():
    true = [2, 1, 0.5, 1]
    result, _ = found_for(sine, true, [1.8, 1.005, 0.4, 0.9], UNEVEN)
    alone, _ = found_for(sine, true, [1.8, 1.005, 0.4, 0.9], UNEVEN, starts=1)
    assert result.fun == alone.fun and "waves" not in result.message


@pytest.mark.parametrize(
    ("unit", "gauge"), [(2.0**40, 1.0), (2.0**-40, 1.0), (1.0, 2.0**30), (1.0, 2.0**-30)]
)
def test_units_of_time_and_cost_change_nothing(unit, gauge):
    y = sine([2, 1, 0.5, 1], UNEVEN) + noise(UNEVEN)

    def cost(p):
        return gauge * np.sum((y - sine([p[0], p[1] * unit, p[2], p[3]], UNEVEN)) ** 2)

    result = st.minimize(cost, [1.0, 1.7 / unit, 0.0, 0.0])
    assert_allclose([abs(result.x[0]), result.x[1] * unit], [2, 1], rtol=0.02)


def test_what_is_measured_again_tells_of_no_faster_wave():
    """On even data a frequency has aliases that are as good, from half of the sampling rate on."""
    t = np.repeat(np.linspace(0.0, 10.0, 30), 4)
    found, _ = found_for(sine, [2, 1, 0.5, 1], [1, 0.6, 0, 0], t)
    assert_allclose(np.abs(found.x[:2]), [2, 1], rtol=0.02)


def test_the_order_of_the_data_changes_nothing():
    mixed = np.random.default_rng(1).permutation(UNEVEN.size)
    y = sine([2, 1, 0.5, 1], UNEVEN) + noise(UNEVEN)
    costs = [
        st.minimize(lambda p, t=t, y=y: np.sum((y - sine(p, t)) ** 2), [1.0, 1.7, 0.0, 0.0]).fun
        for t, y in ((UNEVEN, y), (UNEVEN[mixed], y[mixed]))
    ]
    assert_allclose(costs[0], costs[1], rtol=1e-9)


def test_no_call_leaves_the_bounds_nor_does_the_answer(monkeypatch):
    bounds = [(0, 5), (1.2, 3.5), (-10, 10), (-5, 5)]
    low, high = np.array(bounds).T
    seen = []
    for name in ("value", "value_and_gradient", "linearised", "hessian"):
        asked = getattr(Objective, name)

        def watched(self, x, asked=asked):
            seen.append(np.array(x))
            return asked(self, x)

        monkeypatch.setattr(Objective, name, watched)
    y = sine([2, 1, 0.5, 1], UNEVEN) + noise(UNEVEN)
    result = st.minimize(lambda p: np.sum((y - sine(p, UNEVEN)) ** 2), [1.0, 1.7, 0.0, 0.0], bounds=bounds)
    assert ((result.x >= low) & (result.x <= high)).all()
    assert len(seen) > 20 and all(((p >= low) & (p <= high)).all() for p in seen)
    # Some were looked at for the frequency alone, farther from the start than the walk went in its valley.
    assert max(abs(p[1] - 1.7) for p in seen) > 0.2


def test_what_waves_explain_is_what_least_squares_give():
    """The gain at each frequency, against a least-squares fit of sine, cosine and mean there."""
    y = sine([2, 1, 0.5, 1], UNEVEN) + noise(UNEVEN)
    cost = lambda p: np.sum((y - sine(p, UNEVEN)) ** 2)  # noqa: E731
    x = np.array([0.05, 1.7, 0.3, 1.0])
    problem = posed(cost, x)
    (wave,) = waves_of(problem.objective, read(problem.trace.jaxpr).phases, x)
    alone = y - x[3] if wave.without @ y > 0.0 else x[3] - y
    assert_allclose(wave.without, alone, rtol=1e-9)  # the residuals of the mean alone

    def left(f):
        A = np.column_stack([np.sin(2 * np.pi * f * UNEVEN), np.cos(2 * np.pi * f * UNEVEN), np.ones(300)])
        return np.linalg.lstsq(A, wave.without)[1][0]

    best = promising(wave, 1.7, -np.inf, np.inf)
    grid = np.linspace(0.25, 3.0, 4000)
    lowest = grid[np.argmin([left(f) for f in grid])]
    assert abs(best[0] - lowest) < 0.25 / np.ptp(UNEVEN)  # within the valley of the lowest
    assert [left(f) for f in best] == sorted(left(f) for f in best)


def test_waves_of_one_of_several_sets_are_found_though_the_first_datum_at_time_zero_tells_nothing_of_them():
    one, other = noise(UNEVEN) + sine([2, 1, 0.5, 1], UNEVEN), noise(EVEN, 1) + sine([1, 2, 2, 0], EVEN)

    def cost(p):
        return np.sum((one - sine(p[:4], UNEVEN)) ** 2) + np.sum((other - sine(p[4:], EVEN)) ** 2)

    result = st.minimize(cost, [1.0, 1.7, 0.0, 0.0, 1.0, 3.0, 0.0, 0.0])
    assert result.fun <= cost(np.array([2, 1, 0.5, 1, 1, 2, 2, 0]))


def test_waves_of_which_one_has_an_element_for_each_datum_of_a_set_and_another_for_all_sets_are_no_error():
    """150 data of a wave and two harmonics, (150, 2) phases, beside 150 of a line: 300 residuals."""
    t, line = np.linspace(0.1, 10.0, 150), np.linspace(0.0, 1.0, 150)

    def wave(p):
        return p[0] * np.sin(p[1] * t) + (p[2:4] * np.cos(p[1] * t[:, None] * np.arange(1, 3))).sum(axis=1)

    true = np.array([2.0, 5.0, 0.5, 0.3, 1.0, 2.0])
    y, z = wave(true) + noise(t), true[4] + true[5] * line + noise(t, 1)

    def cost(p):
        return np.sum((y - wave(p)) ** 2) + np.sum((z - p[4] - p[5] * line) ** 2)

    result = st.minimize(cost, [1.0, 8.0, 0.1, 0.1, 0.0, 0.0])
    assert result.fun <= cost(true)


def test_the_lowest_place_seen_is_told_wherever_the_budget_ends():
    """Also between the place that another frequency led to and the first value of the walk from there."""
    y = sine([2, 1, 0.5, 1], UNEVEN) + noise(UNEVEN)
    start, options = [1.0, 1.7, 0.0, 0.0], {"derivatives": "exact"}

    def cost(p):
        return np.sum((y - sine(p, UNEVEN)) ** 2)

    whole = st.minimize(cost, start, **options)
    alone = st.minimize(cost, start, starts=1, **options)
    lowest = alone.fun
    for budget in range(alone.nfev, whole.nfev):
        result = st.minimize(cost, start, budget=budget, **options)
        told = re.search(r"The lowest cost met there is ([-+.e\d]+), at", result.message)
        seen = float(told[1]) if told else result.fun
        assert seen <= lowest * (1.0 + 1e-9)
        lowest = min(lowest, seen)
    assert lowest < 0.01 * alone.fun


def test_a_fit_of_many_turns_by_name_finds_it_too():
    y = sine([2, 1, 0.5, 1], UNEVEN) + noise(UNEVEN)
    fit = st.fit(
        "a * sin(2 * pi * f * x + phase) + c", UNEVEN, y, {"a": 1.0, "f": 1.7, "phase": 0.0, "c": 0.0}
    )
    assert_allclose(fit.values["f"], 1.0, rtol=0.01)
