"""Passes in blocks against the same sums taken at once."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from steepest import InputError
from steepest.parameters import Layout
from steepest.training import resident
from steepest.training.batches import read_data
from steepest.training.passes import MEAN, SUM, Passes, over_rows
from steepest.training.recordings import Recordings
from steepest.training.whole_choice import structure_of


def problem(rows=700, n=6):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, n))
    sign = np.where(rng.random(rows) < 1 / (1 + np.exp(-x[:, 0])), 1.0, -1.0)
    return x, sign, rng.normal(size=n)


def logistic(w, batch):
    x, sign = batch
    return np.mean(np.logaddexp(0.0, -sign * (x @ w))) + 0.01 * np.sum(w * w)


def passes_of(cost, start, data, precision="float64", **settings):
    source = read_data(data, 0)
    return Passes(cost, Layout.of(start, "w"), source, source.arrays, precision, **settings)


def closed_form(w, x, sign):
    """Cost, slope and Hessian of the logistic regression by hand."""
    margin = sign * (x @ w)
    p = 1 / (1 + np.exp(margin))
    cost = np.mean(np.log1p(np.exp(-margin))) + 0.01 * w @ w
    slope = -(sign * p) @ x / len(x) + 0.02 * w
    return cost, slope, (x.T * (p * (1 - p))) @ x / len(x) + 0.02 * np.eye(len(w))


@pytest.fixture(params=["on the host", "on an accelerator"])
def place(request, monkeypatch):
    """Where rows are kept; the processor stands for an accelerator, which computes in the same program."""
    there = request.param == "on an accelerator"
    if there:
        monkeypatch.setattr(resident, "accelerated", lambda: True)
        monkeypatch.setattr(resident, "WORTH_HOLDING", 0)
    return there


@pytest.mark.parametrize("size", [0, 100, 699])
def test_blocks_of_any_size_give_cost_slope_and_curvature_of_the_whole(size, place):
    x, sign, w = problem()
    passes = passes_of(logistic, w, (x, sign), size=size)
    assert passes.resident == place
    cost, slope, hessian = closed_form(w, x, sign)
    look = passes.look(w)
    assert_allclose(look.value, cost, rtol=1e-13)
    assert_allclose(look.slope, slope, atol=1e-14)
    assert_allclose(passes.value(w), cost, rtol=1e-13)
    v = np.arange(6.0)
    assert_allclose(passes.product(w, v), hessian @ v, atol=1e-13)
    assert_allclose(passes.matrix(w), hessian, atol=1e-14)


def test_sums_in_single_precision_are_known_to_more_digits_than_one_number_of_it(place):
    x, sign, w = problem(20_000)
    x, sign, w = (a.astype(np.float32) for a in (x, sign, w))
    exact, _, _ = closed_form(*(a.astype(float) for a in (w, x, sign)))
    found = passes_of(logistic, w, (x, sign), "float32", size=100).look(w.astype(float)).value
    assert abs(found - exact) < 0.3 * np.finfo(np.float32).eps * exact


def test_the_spread_of_blocks_is_the_variance_of_their_slopes(place):
    x, sign, w = problem(6400)
    look = passes_of(logistic, w, (x, sign), size=100).look(w)
    slopes = [closed_form(w, x[k : k + 100], sign[k : k + 100])[1] for k in range(0, 6400, 100)]
    assert_allclose(look.spread, np.var(slopes, axis=0, ddof=1), rtol=1e-10)
    assert look.blocks == 64


def test_rows_that_a_narrower_walk_left_on_an_accelerator_are_widened_there(place):
    """The judge looks in double precision at what a walk in single precision keeps, and copies nothing."""
    x, sign, w = problem()
    x = x.astype(np.float32).astype(float)
    walked = passes_of(logistic, w, (x, sign), "float32")
    with jax.enable_x64(True):
        wide = Passes(logistic, walked.layout, walked.source, walked.arrays, "float64", size=100, copied=0)
        assert all(own is other for own, other in zip(wide.arrays, walked.arrays, strict=True))
        cost, slope, hessian = closed_form(w, x, sign)
        assert_allclose(wide.look(w).value, cost, rtol=1e-13)
        assert_allclose(wide.look(w).slope, slope, atol=1e-14)
        assert_allclose(wide.sampled(np.arange(0, 700, 7), 20).value(w), closed_form(w, x[::7], sign[::7])[0])
        assert_allclose(wide.matrix(w), hessian, atol=1e-14)


def test_classes_in_whole_numbers_that_a_narrower_walk_left_are_compared_in_double_precision_too(place):
    def hinge(w, batch):
        x, classes = batch
        return np.mean(np.where(classes == 1, (x @ w - 1.0) ** 2, (x @ w) ** 2))

    x, sign, w = problem()
    x, classes = x.astype(np.float32).astype(float), (sign > 0).astype(np.int64)
    walked = passes_of(hinge, w, (x, classes), "float32")
    with jax.enable_x64(True):
        wide = Passes(hinge, walked.layout, walked.source, walked.arrays, "float64", size=100, copied=0)
        look = wide.look(w)
    off = x @ w - classes
    assert_allclose(look.value, np.mean(off**2), rtol=1e-13)
    assert_allclose(look.slope, 2 * x.T @ off / len(x), rtol=1e-12, atol=1e-14)


def test_a_mean_over_rows_a_sum_and_a_cost_that_mixes_them_are_told_apart():
    x, sign, w = problem()
    source = read_data((x, sign), 0)
    layout = Layout.of(w, "w")

    def total(w, batch):
        return np.sum((batch[0] @ w) ** 2)

    def standardised(w, batch):
        h = batch[0] @ w
        return np.mean(((h - np.mean(h)) / np.std(h)) * batch[1])

    assert over_rows(logistic, layout, source, w) == MEAN
    assert over_rows(total, layout, source, w) == SUM
    assert over_rows(standardised, layout, source, w) == ""


def test_sparse_rows_give_the_sums_of_the_same_rows_dense():
    rng = np.random.default_rng(1)
    dense = np.where(rng.random((300, 8)) < 0.2, rng.normal(size=(300, 8)), 0.0)
    label = rng.integers(0, 3, 300)

    def softmax(p, batch):
        scores = batch["x"] @ p["W"] + p["b"]
        return np.mean(
            np.log(np.sum(np.exp(scores), axis=1)) - scores[np.arange(len(batch["y"])), batch["y"]]
        )

    start = {"W": rng.normal(size=(8, 3)), "b": rng.normal(size=3)}
    x = np.concatenate([start["W"].ravel(), start["b"]])
    found = [
        passes_of(softmax, start, {"x": kind(dense), "y": label}, size=77) for kind in (csr_array, np.asarray)
    ]
    v = rng.normal(size=x.size)
    assert_allclose(found[0].look(x).value, found[1].look(x).value, rtol=1e-13)
    assert_allclose(found[0].look(x).slope, found[1].look(x).slope, atol=1e-14)
    assert_allclose(found[0].product(x, v), found[1].product(x, v), atol=1e-14)
    assert_allclose(found[0].matrix(x), found[1].matrix(x), atol=1e-14)


def test_what_cannot_be_done_to_sparse_rows_is_refused_with_what_can():
    x = csr_array(np.eye(40))
    with pytest.raises(InputError, match=r"x @ w"):
        passes_of(lambda w, x: np.mean(np.exp(x * w)), np.ones(40), x).look(np.ones(40))


def test_costs_of_jax_are_taken_in_blocks_too():
    x, sign, w = problem()

    def cost(w, batch):
        return jax.numpy.mean(jax.nn.softplus(-batch[1] * (batch[0] @ w))) + 0.01 * jax.numpy.sum(w * w)

    assert_allclose(
        passes_of(cost, w, (x, sign), size=70).look(w).value, closed_form(w, x, sign)[0], rtol=1e-13
    )


def test_a_rule_of_the_users_own_for_the_way_back_is_what_the_slope_follows():
    @jax.custom_vjp
    def straight_through(h):
        return jax.numpy.round(h)

    straight_through.defvjp(lambda h: (jax.numpy.round(h), None), lambda kept, slope: (slope,))

    def cost(w, batch):
        return jax.numpy.mean((straight_through(batch[0] @ w) - batch[1]) ** 2)

    x, y, w = problem()
    look = passes_of(cost, w, (x, y), size=100).look(w)
    rest = np.round(x @ w) - y
    assert_allclose(look.value, np.mean(rest**2), rtol=1e-13)
    assert_allclose(look.slope, 2 * rest @ x / len(x), rtol=1e-12, atol=1e-14)


def test_slopes_go_through_loops_and_choices_of_a_cost():
    def cost(w, batch):
        x, sign = batch

        def turn(h, weight):
            return jax.lax.cond(weight > 0, lambda h: jax.numpy.tanh(weight * h), lambda h: weight * h, h), h

        h, seen = jax.lax.scan(turn, x @ w, w)
        return jax.numpy.mean((h - sign) ** 2 + jax.numpy.sum(seen**2, axis=0))

    x, sign, w = problem()
    passes = passes_of(cost, w, (x, sign), size=100)
    with jax.enable_x64(True):
        value, slope = jax.value_and_grad(cost)(w, (x, sign))
        v = np.cos(np.arange(6.0))
        changed = jax.jvp(lambda w: jax.grad(cost)(w, (x, sign)), (w,), (v,))[1]
    look = passes.look(w)
    assert_allclose(look.value, value, rtol=1e-12)
    assert_allclose(look.slope, slope, rtol=1e-11, atol=1e-13)
    assert_allclose(passes.product(w, v), changed, rtol=1e-10, atol=1e-12)


def test_a_structure_and_the_mean_over_rows_are_read_off_the_same_recordings():
    seen = []

    def counted(w, batch):
        seen.append(len(batch[0]))
        return logistic(w, batch)

    x, sign, w = problem(n=1)
    source, layout = read_data((x, sign), 0), Layout.of(w, "w")
    recordings = Recordings(counted, layout, source)
    assert over_rows(counted, layout, source, w, recordings=recordings) == MEAN
    structure = structure_of(counted, layout, source, recordings=recordings)
    assert structure.convexity.is_convex
    assert seen == [16, 32]
