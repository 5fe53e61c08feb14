"""A compiled step beside one written by hand: no work that the other does not do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from steepest.parameters import Layout
from steepest.training.batches import read_data
from steepest.training.job import recorded_for
from steepest.training.methods import method_of
from steepest.training.steps import Tree, first_state, program

pytestmark = pytest.mark.usefixtures("compiled_once")


def attending(xp):
    """A word's chances from those before it: tables, attention, two layers, all in the names NumPy and JAX share."""

    def cost(params, batch):
        h = params["words"][batch[:, :-1]] + params["place"]
        weight = h @ params["look"] @ xp.swapaxes(h, 1, 2) / 8.0
        weight = xp.exp(weight - xp.max(weight, axis=-1, keepdims=True))
        h = h + (weight / xp.sum(weight, axis=-1, keepdims=True)) @ h @ params["mix"]
        h = h + xp.maximum(h @ params["up"], 0.0) @ params["down"]
        scores = (h @ params["words"].T).reshape(-1, 64)
        scores = scores - xp.max(scores, axis=1, keepdims=True)
        chosen = scores[xp.arange(scores.shape[0]), batch[:, 1:].reshape(-1)]
        return xp.mean(xp.log(xp.sum(xp.exp(scores), axis=1)) - chosen)

    return cost


@pytest.mark.parametrize("donated", ["plain", "watched"])
def test_a_step_computes_and_moves_what_one_written_by_hand_does(donated):
    rng = np.random.default_rng(0)
    shapes = {
        "words": (64, 32),
        "place": (16, 32),
        "look": (32, 32),
        "mix": (32, 32),
        "up": (32, 128),
        "down": (128, 32),
    }
    params = {name: rng.normal(size=shape).astype(np.float32) / 6 for name, shape in shapes.items()}
    data = rng.integers(0, 64, (48, 17)).astype(np.int32)
    layout, source = Layout.of(params, "params"), read_data(data, 0)
    method = method_of("adam", 1e-3, None, 0, None, None)
    tree = Tree.of(layout)
    cost = recorded_for(attending(np), layout, source, 48, "float32")
    ours = program(cost, method, tree, precision="float32", remat=False, accumulate=1)
    state = first_state(method, tree, layout.arrays, 100.0)

    rule = optax.adam(1e-3)

    def step(params, memory, batch):
        value, slope = jax.value_and_grad(attending(jnp))(params, batch)
        updates, memory = rule.update(slope, memory, params)
        return optax.apply_updates(params, updates), memory, value

    start = jax.tree.map(jnp.asarray, params)
    hand = jax.jit(step, donate_argnums=(0, 1)).lower(start, rule.init(start), data).compile()
    mine = getattr(ours, donated).lower(state, [data], ours.constants).compile()
    spent, theirs = mine.cost_analysis(), hand.cost_analysis()
    # All of the state is taken over: nothing of it is held twice.
    assert mine.memory_analysis().alias_size_in_bytes >= hand.memory_analysis().alias_size_in_bytes
    if donated == "plain":
        assert spent["flops"] <= 1.01 * theirs["flops"]
        assert spent["bytes accessed"] <= 1.01 * theirs["bytes accessed"]
    else:  # norms of slope, step and parameters: nine numbers for each parameter, some of them for each array besides
        alone = ours.plain.lower(state, [data], ours.constants).compile().cost_analysis()
        more = spent["bytes accessed"] - alone["bytes accessed"]
        assert more <= 1.05 * 4 * 9 * layout.n
