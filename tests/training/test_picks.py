"""Indices of the data that reach beyond what they pick from end a run before it begins; masked ones do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import steepest
from steepest.training import of_rows

from .test_meeting_rows import LABELS, SCORES, X, likelihood, of

TABLES = {"user": np.ones((5, 2)), "item": np.ones((4, 2))}


def by_axis(params, batch):
    x, label = batch
    scores = x @ params["w"]
    return np.mean(
        np.log(np.sum(np.exp(scores), axis=1)) - np.take_along_axis(scores, label[:, None], axis=1)[:, 0]
    )


def in_jax(params, batch):
    x, label = batch
    return -jnp.mean(jax.nn.log_softmax(x @ params["w"])[jnp.arange(len(label)), label])


def ratings(params, batch):
    return np.mean(
        (np.sum(params["user"][batch["u"]] * params["item"][batch["i"]], axis=1) - batch["r"]) ** 2
    )


@pytest.mark.parametrize("cost", [likelihood, by_axis, in_jax])
def test_labels_numbered_from_one_are_refused_with_line_and_rows(cost):
    beyond = LABELS == 2
    with pytest.raises(steepest.InputError, match="numbered from 0 to 2, and is 3") as refused:
        of(cost, SCORES, (X, LABELS + 1))
    said = str(refused.value)
    assert f"in row {np.flatnonzero(beyond)[0]}, {beyond.sum()} of 64 rows are like it" in said
    assert f"{cost.__name__} (" in said
    assert of(cost, SCORES, (X, LABELS)) == ""


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64])
def test_one_row_among_many_is_found_whatever_the_type_and_the_batch(kind):
    labels = LABELS.astype(kind)
    labels[63] = 7
    for size in (5, 16, 60, 64):
        with pytest.raises(steepest.InputError, match="and is 7 in row 63;"):
            steepest.train(likelihood, SCORES, (X, labels), batch_size=size, steps=2, method="sgd")


def test_the_column_of_a_table_that_reaches_too_far_is_named():
    rng = np.random.default_rng(0)
    data = {"u": rng.integers(0, 5, 64), "i": rng.integers(0, 4, 64), "r": rng.normal(size=64)}
    assert of(ratings, TABLES, data) == ""
    with pytest.raises(steepest.InputError, match="i picks one of 4, numbered from 0 to 3, and is 4 in row"):
        of(ratings, TABLES, data | {"i": data["i"] + 1})


def test_a_label_of_minus_one_that_is_the_last_class_too_is_remarked_on():
    labels = LABELS.copy()
    labels[[3, 40]] = -1
    told = of(likelihood, SCORES, (X, labels))
    assert (
        "-1 in row 3, 2 of 64 rows are like it, which counts from the end and picks number 2 of 0 to 2"
        in told
    )
    assert of(likelihood, SCORES, (X, np.where(LABELS == 2, -1, LABELS))) == ""  # one name for each class


def chosen_where(params, batch):
    x, label = batch
    scores = x @ params["w"]
    lost = np.log(np.sum(np.exp(scores), axis=1)) - scores[np.arange(len(label)), label]
    return np.sum(np.where((label >= 0) & (label < 3), lost, 0.0)) / len(label)


def weighted_by_a_mask(params, batch):
    x, label, known = batch
    scores = x @ params["w"]
    return np.mean(known * (np.log(np.sum(np.exp(scores), axis=1)) - scores[np.arange(len(label)), label]))


def held_within(params, batch):
    x, label = batch
    return likelihood(params, (x, np.clip(label, 0, 2)))


def clamped_in_jax(params, batch):
    x, label = batch
    return -jnp.mean(jax.nn.log_softmax(x @ params["w"]).at[jnp.arange(len(label)), label].get(mode="clip"))


def scaled_by_a_small_variance(params, batch):
    return chosen_where({"w": params["w"] / np.sqrt(params["variance"])}, batch)


def test_parameters_that_have_no_value_a_little_farther_off_accuse_no_index_that_is_masked():
    labels = LABELS.copy()
    labels[[3, 40]] = 9
    small = {"w": np.zeros((X.shape[1], 3)), "variance": np.full(3, 1e-6)}
    assert of(scaled_by_a_small_variance, small, (X, labels)) == ""

    def unmasked(params, batch):
        return likelihood({"w": params["w"] / np.sqrt(params["variance"])}, batch)

    with pytest.raises(steepest.InputError, match="numbered from 0 to 2, and is 9 in row 3"):
        of(unmasked, small, (X, labels))


def test_indices_that_a_mask_or_a_clip_takes_care_of_are_let_be():
    labels = LABELS.copy()
    labels[[3, 40]] = -1
    assert of(chosen_where, SCORES, (X, labels)) == ""
    assert of(weighted_by_a_mask, SCORES, (X, labels, labels >= 0)) == ""
    assert of(held_within, SCORES, (X, labels)) == ""
    labels[[3, 40]] = 255
    assert of(chosen_where, SCORES, (X, labels)) == ""
    assert of(held_within, SCORES, (X, labels)) == ""
    assert of(clamped_in_jax, SCORES, (X, labels)) == ""


def test_tokens_are_picked_by_their_numbers_whatever_their_shape():
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 6, (64, 5))

    def cost(params, batch):
        seen, following = batch[:, :-1], batch[:, 1:]
        scores = params["in"][seen] @ params["out"]
        lost = np.log(np.sum(np.exp(scores), axis=-1))
        return np.mean(lost - np.take_along_axis(scores, following[..., None], axis=-1)[..., 0])

    params = {"in": np.zeros((6, 3)), "out": np.zeros((3, 6))}
    assert of(cost, params, tokens) == ""
    with pytest.raises(steepest.InputError, match="numbered from 0 to 5, and is 6 in row"):
        of(cost, params, tokens + 1)


def test_what_a_batch_makes_of_its_rows_decides_how_many_are_looked_at(monkeypatch):
    x = np.random.default_rng(0).normal(size=(4000, 2))
    made = []

    def nearest(params, batch):  # (b, b) distances for b rows of 2
        apart = np.sum((batch[:, None] - batch[None]) ** 2, axis=-1) + 1e9 * np.eye(len(batch))
        return np.mean(params["w"][0] * (batch - batch[np.argmin(apart, axis=1)]) ** 2)

    def counted(known, wanted, real=of_rows.OfRows.values):
        for places, values in real(known, wanted):
            made.append(places.size * known.rows * 2)
            yield places, values

    monkeypatch.setattr(of_rows.OfRows, "values", counted)
    assert steepest.train(nearest, {"w": np.ones(1)}, x, batch_size=500, steps=1, method="sgd").steps == 1
    assert max(made) <= sum(made) <= of_rows.MOST_LOOKED_AT


def test_picks_that_are_none_are_let_be_where_the_cost_asks_for_them_and_leaves_them_out():
    def asked(params, batch):
        return (jnp.nanmean(params["t"].at[batch["i"]].get(mode="fill")) - 1.0) ** 2

    def masked(params, batch):
        picked = params["t"].at[batch["i"]].get(mode="fill")
        return jnp.mean(jnp.where(jnp.isfinite(picked), picked, 0.0) ** 2)

    def hidden(params, batch):
        picked = params["t"].at[batch["i"]].get(mode="fill")
        return jnp.mean(jnp.where(picked > 0, picked, 0.0) ** 2)

    index = {"i": np.arange(64) % 7}  # of five
    assert of(asked, {"t": np.ones(5)}, index) == of(masked, {"t": np.ones(5)}, index) == ""
    with pytest.raises(steepest.InputError, match="numbered from 0 to 4"):
        of(hidden, {"t": np.ones(5)}, index)
