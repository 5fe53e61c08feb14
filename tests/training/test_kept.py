"""The last good state comes back as it was, from memory or from a file; one that is not finite is not kept."""

import tempfile
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import steepest
from steepest.parameters import Layout
from steepest.training import kept, loop
from steepest.training.kept import Kept, all_finite
from steepest.training.steps import State, Tree, adding, nothing_added

from .models import regression

pytestmark = pytest.mark.usefixtures("compiled_once")


def state(value):
    parameters = {"W": jnp.full((3, 2), value), "b": jnp.float32(value)}
    return State(parameters, (jnp.arange(4), jnp.zeros((0, 2))), jnp.int32(7), jnp.ones(()), jnp.ones(()))


def copy(state):
    return jax.tree.map(jnp.copy, state), all_finite(state)


def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)


@pytest.mark.parametrize("in_file", [False, True])
def test_what_was_kept_comes_back_and_a_state_that_is_not_finite_does_not_take_its_place(in_file):
    held = Kept(copy, in_file=in_file)
    assert held.state() is None
    for value in (1.5, 2.5):
        assert held.keep(state(value))
        same(held.state(), state(value))
    assert not held.keep(state(np.nan))
    same(held.state(), state(2.5))
    held.forget()
    assert held.state() is None


@pytest.mark.parametrize("in_file", [False, True])
def test_a_copy_asked_for_beforehand_is_of_the_state_at_that_time(in_file):
    held = Kept(copy, in_file=in_file)
    for value in (1.5, np.nan):
        held.begin(state(value))
        assert held.keep(state(value)) == np.isfinite(value)
    same(held.state(), state(1.5))
    assert held.keep(state(3.5))
    same(held.state(), state(3.5))


def test_a_copy_that_a_rollback_makes_useless_is_let_go_of_before_another_is_made():
    made = []

    def counted(state):
        assert sum(one() is not None for one in made) <= 1
        found = copy(state)
        made.append(weakref.ref(found[0].parameters["W"]))
        return found

    held = Kept(counted, in_file=False)
    assert held.keep(state(1.5))
    held.begin(state(2.5))
    same(held.state(), state(1.5))


def test_where_no_file_can_be_written_the_state_stays_in_memory(monkeypatch):
    def full():
        raise OSError("No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    held = Kept(copy, in_file=True)
    assert held.keep(state(1.5))
    same(held.state(), state(1.5))


def test_a_run_rolled_back_to_a_file_goes_on_as_one_rolled_back_in_memory(monkeypatch):
    cost, params, data = regression()
    given = {"batch_size": 64, "steps": 300, "method": "sgd", "rate": 1.2}
    in_memory = steepest.train(cost, params, data, **given)
    monkeypatch.setattr(loop, "IN_MEMORY", 0)
    writes, write = [], kept.Kept._write
    monkeypatch.setattr(kept.Kept, "_write", lambda self, state: (writes.append(1), write(self, state)))
    in_a_file = steepest.train(cost, params, data, **given)
    assert in_a_file.events
    assert len(writes) > 3
    assert_array_equal(in_a_file.params["w"], in_memory.params["w"])
    assert in_a_file.events == in_memory.events


def test_slopes_added_batch_by_batch_are_the_sum_and_tell_which_columns_had_none():
    rng = np.random.default_rng(0)
    W, batches = rng.normal(size=(4, 3)), rng.normal(size=(5, 8, 4))
    tree = Tree.of(Layout.of({"W": W, "b": 0.0}, "params"))

    def gradient(parameters, batch, constants):
        def cost(parameters):
            return jnp.mean((batch @ parameters["W"] + parameters["b"])[:, :2] ** 2)

        return jax.value_and_grad(cost)(parameters)

    with jax.enable_x64(True):
        parameters = {"W": jnp.asarray(W), "b": jnp.asarray(0.5)}
        add = jax.jit(adding(tree, gradient), donate_argnums=0)
        sums = nothing_added(parameters)
        by_hand = np.zeros((4, 3))
        for batch in batches:
            found = add(sums, parameters, batch, None)
            sums = found.sums
            residual = batch @ W[:, :2] + 0.5
            slope = np.zeros((4, 3))
            slope[:, :2] = batch.T @ residual / residual[:, 0].size
            by_hand += slope
            own = np.sum(slope**2) + np.sum(residual / residual[:, 0].size) ** 2
            assert_allclose(found.squared[1], own)
        assert_allclose(sums["W"], by_hand)
        assert_allclose(found.squared[0], np.sum(by_hand**2) + float(sums["b"]) ** 2)
        assert_array_equal(found.touched[0], [True, True, False])
        assert bool(found.touched[1])


def test_the_start_and_the_end_of_a_large_run_are_those_of_a_small_one(monkeypatch):
    """Where memory counts, other programs measure the first cost and free memory goes back to the system."""
    cost, params, data = regression()
    given = {"batch_size": 64, "steps": 30, "method": "adam"}
    small = steepest.train(cost, params, data, **given)
    handed, before = [], loop.hand_back
    monkeypatch.setattr(loop, "IN_MEMORY", 0)
    monkeypatch.setattr(loop, "hand_back", lambda: (handed.append(1), before()))
    large = steepest.train(cost, params, data, **given)
    assert len(handed) == 4
    assert large.evidence == small.evidence
    assert large.cost == small.cost
    assert_array_equal(large.params["w"], small.params["w"])


def aligned(array):
    """A copy at an address that JAX can work on without copying it."""
    raw = np.zeros(array.size + 16, np.float32)
    first = (-raw.ctypes.data // raw.itemsize) % 16
    raw[first : first + array.size] = array.ravel()
    return raw[first : first + array.size]


@pytest.mark.parametrize("steps", [1, 30])
@pytest.mark.parametrize("method", ["sgd", "adam"])
def test_parameters_that_jax_can_work_on_in_place_stay_what_they_are(method, steps):
    cost, params, data = regression()
    own = {
        name: aligned(np.asarray(value, np.float32)).reshape(np.shape(value))
        for name, value in params.items()
    }
    assert all(value.ctypes.data % 64 == 0 for value in own.values())
    before = {name: value.copy() for name, value in own.items()}
    result = steepest.train(cost, own, data, batch_size=64, steps=steps, method=method)
    for name, value in own.items():
        assert_array_equal(value, before[name])
        assert not np.shares_memory(value, result.params[name])
        assert np.any(result.params[name] != value)
