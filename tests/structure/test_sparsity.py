"""Patterns of Jacobians against the Jacobians themselves, at points where nothing happens to vanish."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from steepest.derivatives.exact import jacobian as exact_jacobian
from steepest.derivatives.tiers import Tiered
from steepest.numerics import double_precision
from steepest.structure import dependence, sparsity
from steepest.structure.dependence import Dense
from steepest.structure.sparsity import jacobian_pattern
from steepest.tracing.passes import simplify

N = 12
RNG = np.random.default_rng(11)
BAND = np.triu(np.tril(RNG.normal(size=(N, N)), 1), -1)
PERMUTATION = RNG.permutation(N)
MASK = np.arange(N) % 3 != 0


def traced(function, n):
    with double_precision():
        closed = jax.make_jaxpr(function)(jax.ShapeDtypeStruct((n,), np.float64))
    return simplify(closed, keep_derivatives=True)


def jacobian(function, n):
    """Entries that are nonzero at any of some random points."""
    evaluate = Tiered(exact_jacobian(traced(function, n)))
    points = RNG.uniform(0.5, 1.5, size=(12, n))
    return sum(np.abs(np.nan_to_num(evaluate(x)[0].reshape(-1, n))) for x in points)


def pattern(function, n):
    return jacobian_pattern(traced(function, n)).toarray()


# Functions whose pattern the rules give exactly.
EXACT = {
    "elementwise": lambda x: jnp.sin(x) * x + 3,
    "shifted": lambda x: x[1:] - x[:-1] ** 2,
    "strided": lambda x: x[::3] * x[1::3],
    "reversed": lambda x: x * x[::-1],
    "rolled": lambda x: jnp.roll(x, 2) * x,
    "padded": lambda x: jnp.pad(x[2:5], (1, 2)),
    "negative padding": lambda x: lax.pad(x, 0.0, [(-2, 1, 1)]),
    "concatenated": lambda x: jnp.concatenate([x[:3] * x[3:6], x[1:2]]),
    "stacked": lambda x: jnp.stack([x[0] * x[1], x[2], x[3] * x[4] * x[5]]),
    "split": lambda x: jnp.split(x, 3)[1] * jnp.split(x, 4)[2][0],
    "permuted": lambda x: x[PERMUTATION] + x,
    "gathered twice": lambda x: x[np.array([[0, 1], [1, 7]])] ** 2,
    "scattered": lambda x: jnp.zeros(5).at[np.array([0, 3])].set(x[:2]),
    "scattered together": lambda x: jnp.ones(5).at[np.array([1, 1, 4])].add(x[:3] * x[3:6]),
    "overwritten": lambda x: x.at[2:4].set(x[7] * 2),
    "updated slice": lambda x: lax.dynamic_update_slice(x, x[:2] * x[8], (5,)),
    "sliced": lambda x: lax.dynamic_slice(x * x[0], (4,), (3,)),
    "rows and columns": lambda x: (x.reshape(3, 4) * x.reshape(3, 4)[0]).T,
    "spread": lambda x: x.reshape(3, 4)[:, :1] * x.reshape(3, 4),
    "outer": lambda x: jnp.outer(x[:3], x[3:6]),
    "sums of rows": lambda x: jnp.sum(x.reshape(3, 4) ** 2, axis=1),
    "sums of columns": lambda x: jnp.mean(x.reshape(3, 4), axis=0) * x[0],
    "a sum in one place": lambda x: jnp.concatenate([jnp.sum(x**2)[None], x[1:] * x[:-1]]),
    "largest": lambda x: jnp.max(x.reshape(6, 2), axis=1),
    "product": lambda x: jnp.prod(x.reshape(4, 3), axis=1),
    "running sum": lambda x: jnp.cumsum(x.reshape(4, 3), axis=1),
    "running sum from the end": lambda x: lax.cumsum(x.reshape(4, 3), axis=0, reverse=True),
    "running sum in the middle": lambda x: jnp.cumsum((MASK * x).reshape(2, 3, 2), axis=1),
    "running sum of running sums": lambda x: lax.cumsum(lax.cumsum(x[:5], reverse=True)[1:3]),
    "running sum of nothing": lambda x: x[:3] + jnp.cumsum(0.0 * x[:3]) + jnp.sum(jnp.cumsum(x[:0])),
    "sparse matrix": lambda x: BAND @ x,
    "sparse matrix, other side": lambda x: x @ BAND.T,
    "matrix of matrices": lambda x: x.reshape(3, 4) @ BAND[:4, :5],
    "products of rows": lambda x: jnp.einsum("bi,bi->b", x.reshape(4, 3), x.reshape(4, 3) ** 2),
    "batched products": lambda x: jnp.einsum("bij,bj->bi", x[:8].reshape(2, 2, 2), x[8:].reshape(2, 2)),
    "matrix product": lambda x: x[:6].reshape(2, 3) @ x[6:].reshape(3, 2),
    "batches of products": lambda x: jnp.einsum("bij,bjk->bik", x[:4].reshape(2, 1, 2), x[4:].reshape(2, 2, 2)),
    "product over two axes": lambda x: jnp.einsum("ijk,jkl->il", x[:4].reshape(1, 2, 2), x[4:].reshape(2, 2, 2)),
    "masked": lambda x: jnp.where(MASK, x * x[0], 0.0),
    "masked by a factor": lambda x: MASK * (x * x[1]),
    "chosen by constants": lambda x: jnp.where(MASK, x, x[::-1]),
    "convolved": lambda x: jnp.convolve(x, np.array([1.0, 0.0, -2.0]), mode="same"),
    "steps": lambda x: jnp.round(x) * x[0] + (x > 1) * x,
    "stopped": lambda x: lax.stop_gradient(x) * x[0],
    "constant": lambda x: jnp.zeros(4) + 0 * x[0],
    "an identity larger than a column": lambda x: jnp.tile(x, 30),
}  # fmt: skip

# Functions for which more is allowed, but nothing may be missed.
SUPERSETS = {
    "chosen by parameters": lambda x: jnp.where(x > 1, x[::-1], x * x[0]),
    "sorted": lambda x: jnp.sort(x.reshape(4, 3), axis=1),
    "solved": lambda x: jnp.linalg.solve(BAND + 5 * np.eye(N), x),
    "loop": lambda x: lax.fori_loop(0, 3, lambda i, y: y * x[:4], x[4:8]),
    "scan": lambda x: lax.scan(lambda c, v: (c * v, c + v), 1.0, x)[1],
    "branches": lambda x: lax.cond(x[0] > 1, lambda y: y * y[0], lambda y: y[::-1] * 2, x),
    "picked by parameters": lambda x: x[jnp.argmax(x)] * x,
    "two convolutions": lambda x: jnp.convolve(x, x[:3]),
    "inverse": lambda x: jnp.linalg.inv(x[:4].reshape(2, 2) + 3 * jnp.eye(2)) * x[5],
    "transform": lambda x: jnp.abs(jnp.fft.fft(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_the_pattern_is_that_of_the_jacobian(name):
    found = pattern(EXACT[name], N)
    np.testing.assert_array_equal(found != 0, jacobian(EXACT[name], N) != 0)


@pytest.mark.parametrize("name", SUPERSETS)
def test_nothing_is_missed(name):
    missed = (jacobian(SUPERSETS[name], N) != 0) & (pattern(SUPERSETS[name], N) == 0)
    assert not missed.any()


@pytest.mark.parametrize("drawn", [[], [4], [0, 11]])
@pytest.mark.parametrize("name", EXACT)
def test_the_pattern_of_a_few_parameters_is_part_of_the_whole(name, drawn, monkeypatch):
    found = []
    original = sparsity._Propagation._drawn

    def noted(own, few):
        found.append(original(own, np.array(drawn, dtype=np.int32)))
        return original(own, few)

    monkeypatch.setattr(sparsity, "LARGE", 0)
    monkeypatch.setattr(sparsity._Propagation, "_drawn", noted)
    with contextlib.suppress(Dense):
        pattern(EXACT[name], N)
    expected = jacobian(EXACT[name], N) != 0
    expected[:, np.setdiff1d(np.arange(N), drawn)] = False
    for few, _ in found:
        np.testing.assert_array_equal(few.toarray() != 0, expected)
    assert found or name == "constant"


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_missed_in_random_compositions(seed):
    rng = np.random.default_rng(seed)
    steps = [
        lambda y: jnp.roll(y, int(rng.integers(1, 5))) * y,
        lambda y: y[rng.permutation(N)] + jnp.sin(y),
        lambda y: BAND @ y,
        lambda y: jnp.concatenate([y[4:] * y[:-4], y[:4]]),
        lambda y: y + jnp.pad(jnp.sum(y[2:6])[None], (3, N - 4)),
        lambda y: jnp.sum(y.reshape(4, 3), axis=1).repeat(3) - y,
    ]
    chosen = [steps[k] for k in rng.integers(0, len(steps), size=4)]

    def function(x):
        for step in chosen:
            state = rng.bit_generator.state
            x = step(x)
            rng.bit_generator.state = state
        return x

    missed = (jacobian(function, N) != 0) & (pattern(function, N) == 0)
    assert not missed.any()


def test_shifts_of_shifts_stay_few():
    kernel = np.ones(21)
    twice = lambda x: jnp.convolve(jnp.convolve(x, kernel, "same") ** 2, kernel, "same")  # noqa: E731
    found = pattern(twice, 500)
    rows, columns = np.nonzero(found)
    np.testing.assert_array_equal(np.abs(rows - columns).max(), 20)
    assert found.sum() == 500 * 41 - 20 * 21


def test_a_full_pattern_is_refused():
    with pytest.raises(Dense):
        pattern(lambda x: x * jnp.sum(x), 800)
    with pytest.raises(Dense) as refused:
        pattern(lambda x: jnp.abs(jnp.fft.fft(x)), 800)
    assert refused.value.unknown


def test_a_pattern_that_will_be_full_is_refused_before_its_large_sets_are_joined(monkeypatch):
    """The slope of a factorisation: 400 products of few parameters each, but each parameter meets a row of them."""

    def slope(x):
        left, right = x[:80].reshape(20, 4), x[80:].reshape(4, 20)
        error = left @ right - 1.0
        return jnp.concatenate([(error @ right.T).ravel(), (left.T @ error).ravel()])

    monkeypatch.setattr(sparsity, "LARGE", 1000)
    monkeypatch.setattr(dependence, "FEW_ENTRIES", 0)
    monkeypatch.setattr(dependence, "FEW", 0)
    largest = []
    joined = sparsity._Propagation.gathered

    def noted(own, found, target, size):
        if own.drawn is None:
            largest.append(dependence.entries_of(found))
        return joined(own, found, target, size)

    monkeypatch.setattr(sparsity._Propagation, "gathered", noted)
    with pytest.raises(Dense):
        pattern(slope, 160)
    assert max(largest) <= 160  # the parameters themselves, and none of the sums of products
    sizes = np.count_nonzero(jacobian(slope, 160), axis=0)
    assert np.quantile(sizes, 0.25) > 0.25 * 160  # it is full


def _meeting(pairs, n):
    """The slope of a sum over pairs of parameters, each of which meets those it is paired with."""
    one, other = pairs

    def slope(x):
        rest = x[one] * x[other] - 1.0
        return jnp.zeros(n).at[one].add(rest * x[other]).at[other].add(rest * x[one])

    return slope


MEETINGS = {
    "at random": (np.random.default_rng(1).integers(0, 2000, size=(2, 40_000)), False),
    "along a band": (np.array([(i, j) for i in range(2000) for j in range(i, min(i + 12, 2000))]).T, True),
    "each with some of twelve": (
        np.array(
            [
                (i, 1988 + j)
                for i in range(1988)
                for j in np.random.default_rng(i).choice(12, 3, replace=False)
            ]
        ).T,
        True,
    ),
}


@pytest.mark.parametrize("name", MEETINGS)
def test_what_meets_everything_at_second_hand_is_refused_early(name, monkeypatch):
    pairs, is_kept = MEETINGS[name]
    monkeypatch.setattr(sparsity, "LARGE", 1000)
    monkeypatch.setattr(sparsity, "MOST_MEETING", 2)
    if is_kept:
        found = pattern(_meeting(pairs, 2000), 2000)
        expected = np.zeros((2000, 2000))
        expected[pairs, pairs[::-1]] = expected[pairs, pairs] = 1
        np.testing.assert_array_equal(found, expected)
    else:
        with pytest.raises(Dense):
            pattern(_meeting(pairs, 2000), 2000)


@pytest.mark.parametrize("busy", [1, 30])
def test_a_few_parameters_that_all_depends_on_do_not_make_a_pattern_full(busy, monkeypatch):
    monkeypatch.setattr(sparsity, "LARGE", 100)
    monkeypatch.setattr(dependence, "FEW_ENTRIES", 0)
    found = pattern(lambda x: x[busy:-1] * x[busy + 1 :] * jnp.sum(x[:busy]), 600)
    expected = np.zeros((599 - busy, 600))
    rows = np.arange(599 - busy)
    expected[:, :busy] = expected[rows, rows + busy] = expected[rows, rows + busy + 1] = 1
    np.testing.assert_array_equal(found, expected)


def test_a_derivative_of_somebodys_own_making_is_followed():
    @jax.custom_jvp
    def straight_through(x):
        return jnp.round(x)

    straight_through.defjvp(lambda primals, tangents: (jnp.round(primals[0]), tangents[0]))
    found = pattern(lambda x: straight_through(x[1:]) * jnp.sum(x[:2]), 6)
    np.testing.assert_array_equal(found, (np.eye(6)[1:] + np.eye(6)[0] + np.eye(6)[1]) > 0)
