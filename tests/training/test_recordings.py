"""A cost derived for other rows and another precision against the same cost recorded for them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest
from steepest.parameters import Layout
from steepest.tracing.batched import kept_type
from steepest.training.batches import read_data
from steepest.training.passes import Passes
from steepest.training.recordings import Recordings

RNG = np.random.default_rng(0)
ROWS, N = 90, 4
X, WEIGHTS = RNG.normal(size=(ROWS, N)), np.abs(RNG.normal(size=N))
SIGN = np.where(RNG.random(ROWS) < 0.5, 1.0, -1.0)
CLASSES = RNG.integers(0, 3, size=ROWS)


def logistic(w, batch):
    x, sign = batch
    return np.mean(np.logaddexp(0.0, -sign * (x @ w))) + 1e-6 * np.sum(WEIGHTS * w * w)


def softmax(w, batch):
    x, classes = batch
    scores = x @ np.stack([w, -w, w[::-1]], axis=1)
    scores = scores - np.max(scores, axis=1, keepdims=True)
    own = np.where(classes == 0, scores[:, 0], np.where(classes == 1, scores[:, 1], scores[:, 2]))
    return -np.mean(own - np.log(np.sum(np.exp(scores), axis=1)))


def by_sum_over_length(w, batch):
    x, sign = batch
    return (1 / len(x)) * np.sum(np.where(sign > 0, (x @ w - 1.0) ** 2, np.abs(x @ w)))


def weighted(w, batch):
    x, sign = batch
    return 0.37 * np.mean(np.abs(x @ w - sign) ** 2.7) / 1.3 + 0.11 * np.sum(w**2)


def in_jax(w, batch):
    x, sign = batch
    turned, _ = jax.lax.scan(lambda h, _: (jnp.sin(h) + x @ w, None), jnp.zeros(x.shape[0]), None, length=3)
    return jnp.mean((turned - sign) ** 2)


def recordings_of(cost, data):
    seen = []

    def counted(w, batch):
        seen.append(len(batch[0]))
        return cost(w, batch)

    source = read_data(data, 0)
    return Recordings(counted, Layout.of(np.zeros(N), "w"), source), source, seen


@pytest.mark.parametrize(
    ("cost", "data"),
    [
        (logistic, (X, SIGN)),
        (softmax, (X, CLASSES)),
        (by_sum_over_length, (X, SIGN)),
        (weighted, (X, SIGN)),
        (in_jax, (X, SIGN)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_two_recordings_give_cost_and_slope_for_any_rows_in_either_precision(cost, data):
    recordings, source, seen = recordings_of(cost, data)
    recordings.of(90, "float32")
    recordings.of(16, "float64")
    w = RNG.normal(size=N)
    for rows, precision, rtol in ((90, "float64", 1e-12), (30, "float32", 1e-4), (45, "float64", 1e-12)):
        passes = Passes(
            cost, recordings.layout, source, source.arrays, precision, size=rows, recordings=recordings
        )
        found, expected = passes.look(w), 0.0
        with jax.enable_x64():
            expected, slope = jax.value_and_grad(lambda w: _in_jax_numpy(cost)(w, data))(w)
        assert_allclose(found.value, expected, rtol=rtol)
        assert_allclose(found.slope, slope, rtol=rtol, atol=rtol)
        kinds = [aval.dtype for aval in recordings.of(rows, precision).closed.in_avals]
        assert kinds == [kept_type(np.dtype(float), precision)] + [
            kept_type(a.dtype, precision) for a in data
        ]
    assert seen == [90, 16]


def _in_jax_numpy(cost):
    """The cost as JAX alone differentiates it, all rows at once."""
    return {
        "logistic": lambda w, b: (
            jnp.mean(jnp.logaddexp(0.0, -b[1] * (b[0] @ w))) + 1e-6 * jnp.sum(WEIGHTS * w * w)
        ),
        "softmax": lambda w, b: (
            -jnp.mean(
                jax.nn.log_softmax(b[0] @ jnp.stack([w, -w, w[::-1]], axis=1))[jnp.arange(len(b[0])), b[1]]
            )
        ),
        "by_sum_over_length": lambda w, b: jnp.mean(
            jnp.where(b[1] > 0, (b[0] @ w - 1.0) ** 2, jnp.abs(b[0] @ w))
        ),
        "weighted": lambda w, b: (
            0.37 * jnp.mean(jnp.abs(b[0] @ w - b[1]) ** 2.7) / 1.3 + 0.11 * jnp.sum(w**2)
        ),
        "in_jax": in_jax,
    }[cost.__name__]


@pytest.mark.parametrize(
    "cost",
    [
        lambda w, b: np.mean(b[0] @ w) if len(b[0]) > 40 else np.mean((b[0] @ w) ** 2),
        lambda w, b: np.mean(np.arange(len(b[0])) * (b[0] @ w)),
        lambda w, b: np.mean(np.diff(b[0] @ w) ** 2),
        lambda w, b: np.sum(np.concatenate([b[0] @ w, b[1]])) / (2 * len(b[0])),
        lambda w, b: np.mean((b[0] @ w) ** 2) * np.log(len(b[0])),
    ],
    ids=["branch", "places", "differences", "twice", "logarithm"],
)
def test_a_cost_in_which_rows_stand_otherwise_is_right_too(cost):
    recordings, _, _ = recordings_of(cost, (X, SIGN))
    recordings.of(90, "float64")
    recordings.of(16, "float64")
    w = RNG.normal(size=N)
    for rows in (7, 60):
        with jax.enable_x64():
            value = float(
                recordings.of(rows, "float64")(
                    recordings.of(rows, "float64").constants, [w], [X[:rows], SIGN[:rows]]
                )
            )
        assert_allclose(value, cost(w, (X[:rows], SIGN[:rows])), rtol=1e-12)


def test_what_was_the_rows_of_few_is_asked_again_of_more():
    """A number that goes with the rows up to some of them, and then stands still."""
    few = 40
    recordings, _, seen = recordings_of(lambda w, b: np.sum((b[0] @ w) ** 2) / min(len(b[0]), few), (X, SIGN))
    recordings.of(16, "float64")
    recordings.of(32, "float64")
    w = RNG.normal(size=N)
    with jax.enable_x64():
        found = recordings.of(90, "float64")
        value = float(found(found.constants, [w], [X, SIGN]))
    assert_allclose(value, np.sum((X @ w) ** 2) / few, rtol=1e-12)
    assert seen == [16, 32, 90]


def test_a_slope_found_in_single_precision_is_found_again_once_there_is_a_recording_in_double():
    recordings, source, _ = recordings_of(logistic, (X, SIGN))

    def look(rows, precision):
        return Passes(
            logistic, recordings.layout, source, source.arrays, precision, size=rows, recordings=recordings
        ).look(np.ones(N))

    recordings.of(90, "float32")
    recordings.of(16, "float32")
    look(45, "float32")
    with jax.enable_x64():
        recordings.of(15, "float64")
        slope = jax.grad(lambda w: _in_jax_numpy(logistic)(w, (X, SIGN)))(jnp.ones(N))
        assert_allclose(look(30, "float64").slope, slope, rtol=1e-12)


def test_what_is_written_for_one_precision_is_not_derived_in_the_other():
    def cost(w, batch):
        p = 1 / (1 + np.exp(-(batch[0] @ w)))
        return -np.mean(np.log(p + np.finfo(p.dtype).eps))

    recordings, _, seen = recordings_of(cost, (X, SIGN))
    recordings.of(90, "float32")
    recordings.of(16, "float64")
    recordings.of(30, "float64")
    assert seen == [90, 16, 30]


def test_a_run_over_all_rows_records_its_cost_twice():
    seen = []

    def counted(w, batch):
        seen.append(len(batch[0]))
        return logistic(w, batch)

    result = steepest.train(
        counted, np.zeros(N), (X, SIGN), method="l-bfgs", precision="float64", progress=False
    )
    assert result.verdict in ("local minimum", "global minimum")
    assert len(seen) == 2
