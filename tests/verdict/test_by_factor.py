"""Near the minimum of a large cost a factor of its Hessian says what is left, where products leave it to chance."""

import functools

import numpy as np
import pytest

import steepest as st


def area(side, x):
    """Of a surface above a square of side × side heights, between a raised and a flat rim; convex, and stiff."""
    rim = np.zeros((side + 2, side + 2))
    rim[0] = np.sin(np.linspace(0.0, np.pi, side + 2))
    middle = np.concatenate([rim[1:-1, :1], np.reshape(x, (side, side)), rim[1:-1, -1:]], axis=1)
    u = np.concatenate([rim[:1], middle, rim[-1:]], axis=0)
    one, other = u[1:, 1:] - u[:-1, :-1], u[1:, :-1] - u[:-1, 1:]
    return np.sum(np.sqrt(1.0 + 0.5 * (side + 1) ** 2 * (one**2 + other**2))) / (side + 1) ** 2


@functools.cache
def lowest(side):
    """The minimum to rounding, by Newton's method."""
    return st.minimize(functools.partial(area, side), np.zeros(side**2), starts=1).x


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("side", [40, 50])
def test_walks_that_end_as_near_get_the_same_word_whatever_their_last_digits(side, seed):
    """Some 10⁻¹³ of the cost is left where the walks lose their slope in its rounding."""
    cost = functools.partial(area, side)
    start = 0.3 * np.random.default_rng(seed).normal(size=side**2)
    found = st.minimize(cost, start, method="l-bfgs", starts=1)
    assert found.fun - cost(lowest(side)) < 1e-12
    judged = st.verify(lambda x: 1e12 * cost(x), found.x)
    for end in (found, judged):
        assert end.verdict is st.Verdict.GLOBAL_MINIMUM, end
        true = -np.log10(np.abs(found.x - lowest(side)) / np.abs(lowest(side)))
        assert (end.digits <= true + 0.5).all()


@pytest.mark.parametrize("seed", range(3))
def test_places_farther_off_are_no_minima(seed):
    x = lowest(40) + 1e-3 * np.random.default_rng(seed).normal(size=1600)
    assert not st.verify(functools.partial(area, 40), x).verdict.is_minimum
