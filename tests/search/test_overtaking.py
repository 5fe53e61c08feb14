"""A walk begun again is broken off where it has fallen too far behind, and only there."""

import numpy as np
import pytest

from steepest import minimize
from steepest.search.overtaking import Overtaking


def steps_watched(values, to_come_below, most):
    """After how many of `values` the watch ended the walk; None where it did not."""
    race = Overtaking(to_come_below, most, None)
    for taken, value in enumerate(values):
        if race(np.zeros(1), value, 1.0, 1.0, taken):
            return taken
    return None


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_walk_that_falls_as_much_with_every_doubling_is_judged_by_where_that_leads(scale):
    """A logarithm falls by log 2 with every doubling: after 300 steps it stands at -log 300, whatever the look."""
    values = -scale * np.log(np.arange(1, 302))
    assert steps_watched(values, -scale * np.log(250.0), 300) is None
    ended = steps_watched(values, -scale * np.log(400.0), 300)
    assert ended is not None and ended < 100


def test_what_a_walk_met_before_it_rose_counts():
    values = np.where(np.arange(301) % 2, 50.0, -np.log(np.arange(1, 302)))
    assert steps_watched(values, -np.log(250.0), 300) is None


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_a_walk_that_falls_by_a_power_of_its_steps_is_judged_by_where_that_leads(power, scale):
    """1/tᵃ after t steps: what it never comes to is seen early, and what it comes to just in time is waited for."""
    values = scale * np.arange(1.0, 302.0) ** -power
    assert steps_watched(values, scale * 290.0**-power, 300) is None
    ended = steps_watched(values, -scale * 100.0**-power, 300)
    assert ended is not None and ended <= 100


def test_a_walk_that_has_come_to_rest_is_given_up_sooner_than_one_that_falls_on():
    """Both are as high after 80 steps, and the last doubling brought both as much; the one before brought more."""
    steps = np.arange(301)
    falls_on = 10.0 - np.log2(np.maximum(steps, 1))
    rests = np.where(steps < 40, 1e3 / np.maximum(steps, 1), falls_on)
    assert steps_watched(falls_on, falls_on[80] - 1.2, 300) is None
    assert steps_watched(rests, falls_on[80] - 1.2, 300) == 80


def residuals_of_a_network(h, m, seed):
    draw = np.random.default_rng(seed)
    points = draw.uniform(-2, 2, (m, 2))
    heights = np.sin(2 * points[:, 0]) * points[:, 1] + 0.05 * draw.standard_normal(m)

    def cost(p):
        W, b, v = p[: 2 * h].reshape(2, h), p[2 * h : 3 * h], p[3 * h : 4 * h]
        return np.sum((np.tanh(points @ W + b) @ v + p[4 * h] - heights) ** 2)

    return cost, 0.7 * draw.standard_normal(4 * h + 1)


def test_the_user_ends_a_walk_begun_again_and_no_other_begins():
    cost, start = residuals_of_a_network(7, 80, 202)
    first = minimize(cost, start, starts=1)
    assert "Newton" in first.plan.taken, "the second walk is the one that is watched"
    seen = []

    def stop(xk):
        seen.append(np.array(xk))
        # The walk from the start again has begun.
        return len(seen) > 2 and np.linalg.norm(xk - start) < 0.3 * np.linalg.norm(seen[-2] - start)

    found = minimize(cost, start, starts=1, callback=stop)
    assert found.plan.taken[-1] == "Newton"
    assert found.nit == len(seen)
    assert found.fun <= min(cost(x) for x in seen) * (1 + 1e-12)
