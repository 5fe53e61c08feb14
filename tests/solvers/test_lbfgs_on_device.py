"""L-BFGS with its vectors left on an accelerator: the same walk as on the host, and nothing lost at its end."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest
from steepest import numerics
from steepest.derivatives import compiled
from steepest.linear_algebra import device_vectors
from steepest.linear_algebra.device_vectors import DeviceRows, placed
from steepest.linear_algebra.long_vectors import Rows, length

N = 20_000


@pytest.fixture
def on_device(monkeypatch):
    """The processor taken for an accelerator; gives the vectors that were put there."""
    put = []
    monkeypatch.setattr(numerics, "accelerated", lambda: True)
    monkeypatch.setattr(compiled, "WORTH_SENDING", 0.0)
    monkeypatch.setattr(device_vectors, "placed", lambda x: (put.append(x.size), placed(x))[1])
    return put


def valley(x):
    """Lowest at x = 1, where it is 0; its curvatures reach from 1 to 100, and quartic terms couple neighbours."""
    weights = np.linspace(1.0, 100.0, N)
    return np.sum(weights * (x - 1.0) ** 2) + np.sum((x[1:] - x[:-1]) ** 4)


def start():
    return np.sin(np.arange(N))


def test_the_walk_on_a_device_is_the_walk_on_the_host(on_device, monkeypatch):
    there = steepest.minimize(valley, start(), method="l-bfgs")
    monkeypatch.setattr(numerics, "accelerated", lambda: False)
    here = steepest.minimize(valley, start(), method="l-bfgs")
    assert on_device == [N]
    assert isinstance(there.x, np.ndarray) and there.x.dtype == np.float64
    assert_allclose(there.x, 1.0, atol=1e-7)
    # Sums in another order: the first steps are equal to rounding, which grows along the walk.
    assert_allclose(there.history.value[:8], here.history.value[:8], rtol=1e-10)
    assert there.verdict == here.verdict


def test_what_is_bounded_or_small_or_too_large_for_the_device_stays_on_the_host(on_device, monkeypatch):
    def curved(x):
        return np.sum((x - 1.0) ** 2 + 0.1 * (x - 1.0) ** 4)

    steepest.minimize(curved, np.zeros(50), method="l-bfgs")
    steepest.minimize(curved, np.zeros(N), method="l-bfgs", bounds=[(0.0, 3.0)] * N)
    monkeypatch.setattr(device_vectors, "has_room", lambda numbers: False)
    steepest.minimize(curved, np.zeros(N), method="l-bfgs")
    assert on_device == []


def test_what_takes_a_processor_no_time_stays_on_the_host(on_device, monkeypatch):
    def curved(x):
        return np.sum((x - 1.0) ** 2 + 0.1 * (x - 1.0) ** 4)

    monkeypatch.setattr(compiled, "WORTH_SENDING", 1.0)
    result = steepest.minimize(curved, np.zeros(N), method="l-bfgs")
    assert on_device == []
    assert_allclose(result.x, 1.0, atol=1e-9)


def test_callbacks_and_the_last_point_are_arrays_of_numpy(on_device):
    seen = []

    def watch(x):
        seen.append(x)
        return len(seen) == 3

    result = steepest.minimize(valley, start(), method="l-bfgs", callback=watch)
    assert on_device == [N]
    assert all(type(x) is np.ndarray and x.dtype == np.float64 for x in seen)
    assert result.verdict == "stopped"
    assert valley(result.x) == pytest.approx(result.fun, rel=1e-12)
    assert result.fun <= valley(seen[-1]) * (1 + 1e-12)


def test_a_spent_budget_keeps_the_lowest_point_seen(on_device):
    result = steepest.minimize(valley, start(), method="l-bfgs", budget=7)
    assert on_device == [N]
    assert result.nfev <= 7
    assert type(result.x) is np.ndarray
    assert valley(result.x) == pytest.approx(result.fun, rel=1e-12)
    assert result.fun < valley(start())


def test_rows_on_a_device_give_the_products_of_rows_on_the_host():
    rng = np.random.default_rng(0)
    n, here, there = 3_000, Rows(6, 3_000), DeviceRows(6, 3_000)
    for index in (0, 2):
        s, new, old = rng.normal(size=(3, n))
        ranges = (slice(0, index + 2),)
        ours = there.learn(index, placed(s), 0.5, placed(new), placed(old), ranges)
        for one, other in zip(ours, here.learn(index, s, 0.5, new, old, ranges), strict=True):
            assert_allclose(one, other, rtol=1e-11, atol=1e-11)
    coefficients, v = rng.normal(size=4), rng.normal(size=n)
    ours, theirs = (
        rows.combined_with(coefficients, -0.5, vector, (slice(0, 2), slice(2, 4)))
        for rows, vector in ((there, placed(v)), (here, v))
    )
    assert_allclose(ours[0], theirs[0], rtol=1e-11, atol=1e-11)
    assert ours[1] == pytest.approx(theirs[1], rel=1e-11)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_slopes_whose_squares_underflow_or_overflow_have_their_length_on_a_device_too(size):
    assert length(placed(np.full(N, size))) == pytest.approx(size * np.sqrt(N), rel=1e-12)
