"""The words for costs of hundreds and thousands of parameters, whose truth is known."""

import tracemalloc

import numpy as np
import pytest

import steepest
from steepest import verify
from steepest.objective import Objective
from steepest.verdict import flatness
from steepest.verdict.judge import judge
from steepest.verdict.weakest import shifted_factor

MINIMUM = ("local minimum", "global minimum")


def saddle(x):
    return np.sum(x[:-1] ** 2) - x[-1] ** 2 + 0.25 * x[-1] ** 4


WALKS = {
    "saddle": (saddle, np.zeros(2000), None, MINIMUM, -1.0),
    "maximum of cosines": (lambda x: np.sum(np.cos(x)), np.zeros(500), None, MINIMUM, -500.0),
    "exponentials": (lambda x: np.sum(np.exp(-x)), np.zeros(2000), None, ("infimum not attained",), None),
    "only differences count": (
        lambda x: np.sum((x[1:] - x[:-1] - 0.5) ** 2),
        np.zeros(300),
        None,
        ("flat minimum",),
        0.0,
    ),
    "half the bounds push": (
        lambda x: np.sum(np.arange(-50, 50) * x),
        np.full(100, 0.5),
        ((0, 1),) * 100,
        ("flat minimum",),
        -1275.0,
    ),
}


@pytest.mark.parametrize("name", WALKS)
def test_the_walk_ends_at_the_truth(name):
    cost, start, bounds, words, lowest = WALKS[name]
    result = steepest.minimize(cost, start, bounds=bounds)
    assert str(result.verdict) in words, result.message
    if lowest is not None:
        assert abs(result.fun - lowest) <= 1e-9 * max(1.0, abs(lowest))


def test_one_weak_downward_curvature_among_thousands_is_seen():
    """Two products from random vectors never see it; a factor of the sparse second derivatives does."""
    found = verify(
        lambda x: np.sum(x[:-1] ** 2) - 1e-6 * x[-1] ** 2 + np.sum(x[1:] * x[:-1]) * 1e-9, np.zeros(3000)
    )
    assert found == "saddle point"
    assert np.argmax(np.abs(found.downhill)) == 2999


def test_a_direction_that_costs_nothing_among_thousands_is_named():
    found = verify(lambda x: np.sum((x[1:] - x[:-1] - 0.5) ** 2), 0.5 * np.arange(1000.0))
    assert found == "flat minimum", found.message


@pytest.mark.parametrize(
    ("cost", "start"),
    [
        (lambda x: np.sum((x[::2] ** 2 + x[1::2] ** 2 - 1) ** 2), np.tile([2.0, 1.0], 5000)),
        (lambda x: np.sum((x[::2] * x[1::2] - 1) ** 2), np.linspace(1.0, 2.0, 1000)),
    ],
)
def test_thousands_of_valleys_that_bend_are_flat(cost, start):
    found = steepest.minimize(cost, start)
    assert found.verdict == "flat minimum", found.message


def test_thousands_of_quartic_bottoms_are_not_flat():
    found = steepest.minimize(
        lambda x: np.sum((x[1:] - x[:-1]) ** 4) + np.sum(x**4), np.linspace(1.0, 2.0, 1000)
    )
    assert found.verdict != "flat minimum", found.message


@pytest.mark.parametrize("n", [1000, 5000])
def test_quartic_bottoms_among_a_large_cost_are_no_saddle_and_not_flat(n):
    """Off the ends of the chain sin² + cos² is one, and the rest rises by a fourth power of every step.

    Rounding leaves curvatures of -10⁻²¹ there, and no double of a cost of thousands could show what they win.
    """
    found = steepest.minimize(
        lambda x: np.sum(
            (x[:-1] ** 2 + x[1:] ** 2 + x[:-1] * x[1:]) ** 2 + np.sin(x[:-1]) ** 2 + np.cos(x[1:]) ** 2
        ),
        np.tile([3.0, 0.1], n // 2),
    )
    assert found.verdict == "local minimum", found.message
    # Only the end of the chain is lower than n - 1; SciPy's BFGS ends at 10.7220414 for a chain of twelve.
    assert found.fun == pytest.approx(n - 2 + 0.7220414, abs=1e-6)


def test_a_walk_stopped_on_its_way_down_from_great_heights_is_no_minimum():
    """Its fall of 10²⁹ says nothing of the rounding at the end: each term is lowest where q⁴ - 20q² - 0.1q is."""
    n = 400

    def cost(x):
        q = np.convolve(x, np.ones(6))[5:]
        return np.sum(q * (q * (q**2 - 20) - 0.1))

    roots = np.roots([4.0, 0.0, -40.0, -0.1]).real
    lowest = n * float(np.min(roots**4 - 20 * roots**2 - 0.1 * roots))
    words = set()
    for steps in (4, 8, 11, 13, 14, 15, 16, 60):
        taken = []

        def stop(x, taken=taken, steps=steps):
            taken.append(0)
            return len(taken) >= steps

        found = steepest.minimize(cost, 1e6 * np.linspace(1.0, 2.0, n), callback=stop)
        words.add(str(found.verdict))
        if found.success:
            assert found.fun - lowest <= 1e-6 * abs(lowest), (steps, found.message)
    assert words == {"stopped", "local minimum"}


def test_corrections_that_creep_along_a_valley_are_not_made_for_ever(monkeypatch):
    """The bottom y = x + x² rises by x⁴: each correction gains a little of it, and none comes nearer to the bottom."""
    factors = []

    def counted(*arguments):
        factors.append(0)
        return shifted_factor(*arguments)

    monkeypatch.setattr(flatness, "shifted_factor", counted)
    found = steepest.minimize(
        lambda x: np.sum((x[1::2] - x[::2] - x[::2] ** 2) ** 2) + np.sum(x[::2] ** 4),
        np.tile([1.0, 0.5], 300),
    )
    assert found.verdict in MINIMUM, found.message
    assert 0 < len(factors) <= flatness.VALLEY_CORRECTIONS


@pytest.mark.parametrize("n", [10, 150, 5000])
@pytest.mark.parametrize(("sign", "words"), [(1.0, MINIMUM), (-1.0, ("saddle point",))], ids=["up", "down"])
def test_second_derivatives_that_are_no_numbers_are_left_out(n, sign, words):
    """(x²)^(y² + 1) is x² near zero; at zero the logarithm of x² makes its second derivatives zero times infinity."""
    found = verify(lambda x: sign * np.sum((x**2) ** (np.roll(x, 1) ** 2 + 1)), np.zeros(n))
    assert found.verdict in words and "nan" not in found.message, found.message


@pytest.mark.parametrize(("at", "most"), [(0.0, 13.6), (1.0, 15.8)])
def test_few_vectors_are_held_where_the_judge_asks_for_costs_and_slopes(at, most):
    """What is known of the point, of five curvatures and of rounding; no place or slope that was looked at before."""
    n, held = 100_000, []

    def judged(n):
        weights = np.linspace(1.0, 1e3, n)

        def note():
            held.append(tracemalloc.get_traced_memory()[0])

        def value(x):
            note()
            return 0.5 * float(weights @ (x * x))

        def value_and_gradient(x):
            note()
            gradient = weights * x
            return 0.5 * float(gradient @ x), gradient

        def hessian_product(x, v):
            note()
            return weights * v

        evaluations = {"value": value, "value_and_gradient": value_and_gradient}
        objective = Objective(n, **evaluations, hessian_product=hessian_product)
        return judge(objective, np.full(n, at), names=("x",))

    tracemalloc.start()
    try:
        judged(1_000)  # what is made once
        held.clear()
        before = tracemalloc.get_traced_memory()[0]
        found = judged(n)
    finally:
        tracemalloc.stop()
    assert found.verdict.is_minimum is (at == 0.0)
    assert len(held) > 5  # five curvatures and more
    assert (max(held) - before) / (8 * n) < most


def test_corrections_to_a_bottom_of_high_order_are_added_up(monkeypatch):
    """Down a wall of sixth power Newton leaves 4/5 of the way at each correction: after three, the sum is known."""
    factors = []

    def counted(*arguments):
        factors.append(0)
        return shifted_factor(*arguments)

    monkeypatch.setattr(flatness, "shifted_factor", counted)
    x = np.linspace(0.5, 1.0, 200)
    found = verify(
        lambda x: np.sum((x[1::3] - x[::3] - x[::3] ** 2) ** 6) + np.sum((x[2::3] - x[::3]) ** 2),
        np.stack([x, x + x**2, x], axis=1).ravel(),
    )
    assert found == "flat minimum", found.message
    assert 0 < len(factors) <= flatness.VALLEY_CORRECTIONS  # one by one they are 600


def test_corrections_are_added_up_only_where_they_shrink_steadily_and_are_small():
    step = np.array([1e-2, -2e-2])
    steady = flatness._Series()
    assert [steady.at_once(step * q) for q in (1.0, 0.5, 0.25)] == [1.0, 1.0, pytest.approx(2.0)]
    for steps in (
        [step, 0.5 * step, 0.3 * step],  # another factor
        [step, 0.5 * step, 0.25 * step[::-1]],  # another way
        [100.0 * step, 50.0 * step, 25.0 * step],  # farther than what is near
        [step, np.full(2, np.nan), 0.25 * step],
    ):
        series = flatness._Series()
        assert [series.at_once(s) for s in steps] == [1.0] * 3
