"""Sums of sorted values against linear programs: shortfalls, largest errors, weights that rise with the order."""

import numpy as np
import pytest
from scipy.optimize import linprog

import steepest as st
from steepest.structure.ordered import ordered_sums
from steepest.structure.reading import Reading
from steepest.tracing.trace import as_number
from tests.posed import posed

RNG = np.random.default_rng(26)
LOSSES = 0.1 * RNG.standard_normal((40, 5))
WEIGHTS = np.linspace(0.0, 1.0, 12)
A, B = RNG.standard_normal((12, 3)), RNG.standard_normal(12)


def largest_by_linear_program(losses, k, unit=1.0):
    """The least sum of the k largest losses of weights that add up to one (Rockafellar & Uryasev 2000)."""
    m, n = losses.shape
    found = linprog(
        np.concatenate([np.zeros(n), [k], np.ones(m)]),
        A_ub=np.hstack([losses, -np.ones((m, 1)), -np.eye(m)]),
        b_ub=np.zeros(m),
        A_eq=[[*np.ones(n), *np.zeros(1 + m)]],
        b_eq=[1.0],
        bounds=[(0, 1)] * n + [(None, None)] + [(0, None)] * m,
    )
    return unit * found.fun


WRITTEN = {
    "the end of them": lambda z, k: np.sort(z)[-k:].sum(),
    "turned round": lambda z, k: np.sum(np.sort(z)[::-1][:k]),
    "a mean": lambda z, k: k * np.mean(np.sort(z)[-k:]),
    "the smallest of the negative": lambda z, k: -np.sum(np.sort(-z)[:k]),
    "partitioned": lambda z, k: np.partition(z, -k)[-k:].sum(),
    "weighted": lambda z, k: np.sort(z) @ (np.arange(z.size) >= z.size - k).astype(float),
}


@pytest.mark.parametrize(
    ("written", "unit"), [*((name, 1.0) for name in WRITTEN), ("the end of them", 1e8), ("a mean", 1e-8)]
)
def test_the_sum_of_the_largest_losses_is_that_of_the_linear_program(written, unit):
    found = st.minimize(
        lambda w: unit * WRITTEN[written](LOSSES @ w, 4),
        np.full(5, 0.2),
        bounds=[(0, 1)] * 5,
        constraints={"type": "eq", "fun": lambda w: np.sum(w) - 1.0},
    )
    assert found.verdict == "minimum at a kink" and found.nfev < 200
    assert found.fun == pytest.approx(largest_by_linear_program(LOSSES, 4, unit), rel=1e-9)


@pytest.mark.parametrize("k", [1, 5, 11])
def test_the_sum_of_the_largest_errors_is_that_of_the_linear_program(k):
    known = linprog(
        np.concatenate([np.zeros(3), [k], np.ones(12)]),
        A_ub=np.block(
            [[A, -np.ones((12, 1)), -np.eye(12)], [-A, -np.ones((12, 1)), -np.eye(12)]],
        ),
        b_ub=np.concatenate([B, -B]),
        bounds=[(None, None)] * 4 + [(0, None)] * 12,
    )
    found = st.minimize(lambda x: np.sort(np.abs(A @ x - B))[-k:].sum(), np.zeros(3))
    assert found.verdict == "minimum at a kink" and found.fun == pytest.approx(known.fun, rel=1e-10)
    beside = st.verify(lambda x: np.sort(np.abs(A @ x - B))[-k:].sum(), found.x + 1e-3).verdict
    assert not beside.is_minimum


def test_weights_that_rise_with_the_order_are_as_many_sums_of_largest():
    """The dual: Σ wᵢ s₍ᵢ₎ is the least Σ α + Σ β with αᵢ + βⱼ >= wᵢ zⱼ (assignment)."""
    m = WEIGHTS.size
    rows, limits = [], []
    for sign in (1.0, -1.0):
        for i, weight in enumerate(WEIGHTS):
            for j in range(m):
                row = np.zeros(3 + 2 * m)
                row[:3] = sign * weight * A[j]
                row[3 + i], row[3 + m + j] = -1.0, -1.0
                rows.append(row)
                limits.append(sign * weight * B[j])
    known = linprog(
        np.concatenate([np.zeros(3), np.ones(2 * m)]), A_ub=np.array(rows), b_ub=limits, bounds=(None, None)
    )
    found = st.minimize(lambda x: WEIGHTS @ np.sort(np.abs(A @ x - B)), np.zeros(3))
    assert found.verdict == "minimum at a kink" and found.fun == pytest.approx(known.fun, rel=1e-10)


def test_columns_are_sorted_apart():
    days = LOSSES.reshape(8, 5, 5)
    of_each = lambda w: np.sum(np.sort(days @ w, axis=0)[-2:])  # noqa: E731
    one_by_one = lambda w: sum(np.sort(days[:, k] @ w)[-2:].sum() for k in range(5))  # noqa: E731
    where = {"bounds": [(0, 1)] * 5, "constraints": {"type": "eq", "fun": lambda w: np.sum(w) - 1.0}}
    found, other = (st.minimize(cost, np.full(5, 0.2), **where) for cost in (of_each, one_by_one))
    assert found.verdict == other.verdict == "minimum at a kink"
    assert found.fun == pytest.approx(other.fun, rel=1e-10)


def test_between_two_ties_the_minimum_is_a_smooth_one():
    place = np.array([1.0, 5.0, 9.0])
    found = st.minimize(lambda x: np.sum((x - place) ** 2) + np.sort(x)[-1:].sum(), np.zeros(3))
    assert found.success and found.x == pytest.approx([1.0, 5.0, 8.5], abs=1e-9)


def read(cost, n):
    return ordered_sums(Reading(as_number(posed(cost, np.ones(n)).trace), keep_derivatives=True))


@pytest.mark.parametrize(
    "cost",
    [
        lambda x: np.sort(x)[1:3].sum(),
        lambda x: np.sort(x)[1],
        lambda x: np.sort(x) @ np.array([0.0, 1.0, 0.5, 2.0]),
        lambda x: np.sum(np.sort(x) ** 2),
        lambda x: np.sort(x)[-2:] @ x[:2],
    ],
)
def test_others_are_left_alone(cost):
    assert not read(cost, 4)


def test_the_spread_of_both_ends_is_two_sums():
    found = read(lambda x: np.sort(x)[-2:].sum() - np.sort(x)[:2].sum(), 5).values()
    assert sorted((one.sign, one.steps) for one in found) == [(-1.0, ((3, 1.0),)), (1.0, ((2, 1.0),))]


def test_the_largest_less_the_smallest_rises_along_the_order():
    (found,) = read(lambda x: np.sort(x) @ np.array([-1.0, 0.0, 0.0, 1.0]), 4).values()
    z = np.array([[3.0, -1.0, 2.0, 7.0]])
    sums = sum(rise * np.sort(z)[0, -k:].sum() for k, rise in found.steps)
    assert found.sign * (found.least * z.sum() + sums) == pytest.approx(8.0)


def test_nothing_sorted_adds_nothing():
    """A slice of no element is sorted: the least of Σ|x - 1| + 0 is at one."""
    found = st.minimize(lambda x: np.sort(x[:0]).sum() + np.abs(x - 1.0).sum(), np.array([0.3, 0.2]))
    assert found.success and found.x == pytest.approx([1.0, 1.0], abs=1e-12)
