"""A softmax of a softmax is remarked on with the floor it sets; one alone, and those of attention, are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from .test_meeting_rows import LABELS, SCORES, X, likelihood, of

TOLD = "a softmax is taken of what a softmax gave already"


def softmax(scores):
    e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def cross_entropy(scores, label):
    scores = scores - np.max(scores, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(scores), axis=1)) - scores[np.arange(len(label)), label])


def twice(params, batch):
    return cross_entropy(softmax(batch[0] @ params["w"]), batch[1])


def twice_plain(params, batch):
    q = softmax(batch[0] @ params["w"])
    return -np.mean(
        np.log((np.exp(q) / np.sum(np.exp(q), axis=1)[:, None])[np.arange(len(batch[1])), batch[1]])
    )


def twice_in_jax(params, batch):
    q = jax.nn.softmax(batch[0] @ params["w"])
    return -jnp.mean(jax.nn.log_softmax(q)[jnp.arange(len(batch[1])), batch[1]])


@pytest.mark.parametrize("cost", [twice, twice_plain, twice_in_jax])
def test_a_softmax_of_a_softmax_is_remarked_on_with_its_line_and_its_floor(cost):
    told = of(cost, SCORES, (X, LABELS))
    sure = np.eye(3)[LABELS]  # the best that a first softmax can give
    assert TOLD in told
    assert f"3 classes stays above {cross_entropy(sure, LABELS):.2g}" in told
    assert "test_twice.py" in told


def once(params, batch):
    return -np.mean(np.log(softmax(batch[0] @ params["w"])[np.arange(len(batch[1])), batch[1]]))


def attention(params, batch):
    mixed = softmax(batch[0] @ params["w"]) @ params["w"].T
    return cross_entropy(mixed @ params["w"], batch[1])


def shares_compared(params, batch):
    return np.mean(np.exp(softmax(batch[0] @ params["w"])[:, 0]))


@pytest.mark.parametrize("cost", [likelihood, once, attention, shares_compared])
def test_one_softmax_and_those_of_layers_are_not(cost):
    assert TOLD not in of(cost, SCORES, (X, LABELS))
