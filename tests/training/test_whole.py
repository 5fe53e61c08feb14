"""L-BFGS on the device, against SciPy's and against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose

from steepest.training.whole import _two_loops, descend


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_it_walks_the_valley_to_its_end_like_scipys():
    with jax.enable_x64(True):
        function = jax.jit(jax.value_and_grad(rosenbrock))
        start = np.tile([-1.2, 1.0], 10)
        found = descend(function, jnp.asarray(start))
        theirs = scipy.optimize.minimize(
            lambda x: tuple(np.asarray(part, float) for part in function(x)),
            start,
            jac=True,
            method="L-BFGS-B",
        )
    assert found.reason == "converged"
    assert_allclose(found.x, 1.0, atol=1e-5)
    assert found.evaluations <= 2 * theirs.nfev
    assert found.costs == sorted(found.costs, reverse=True)


def test_the_recursion_on_products_gives_the_direction_of_the_recursion_on_vectors():
    rng = np.random.default_rng(0)
    memory, n = 4, 9
    root = rng.normal(size=(n, n))
    hessian = root @ root.T + np.eye(n)
    steps = rng.normal(size=(memory, n))
    changes = steps @ hessian
    slope = rng.normal(size=n)
    # Nocedal & Wright, algorithm 7.4, on the vectors themselves.
    q, chosen = slope.copy(), np.zeros(memory)
    for i in reversed(range(memory)):
        chosen[i] = steps[i] @ q / (steps[i] @ changes[i])
        q -= chosen[i] * changes[i]
    r = q * (steps[-1] @ changes[-1]) / (changes[-1] @ changes[-1])
    for i in range(memory):
        r += steps[i] * (chosen[i] - changes[i] @ r / (steps[i] @ changes[i]))
    pairs = np.vstack([steps, changes])
    weights, own = _two_loops(pairs @ pairs.T, pairs @ slope, list(range(memory)), memory)
    assert_allclose(weights @ pairs + own * slope, -r, rtol=1e-10)


@pytest.mark.parametrize("wide", [False, True])
def test_a_stiff_parabola_is_solved_to_what_its_precision_can_tell(wide):
    with jax.enable_x64(wide):
        curvature = jnp.logspace(0, 3, 40)
        target = jnp.linspace(-1, 1, 40)
        found = descend(
            jax.jit(jax.value_and_grad(lambda x: 0.5 * jnp.sum(curvature * (x - target) ** 2))), jnp.zeros(40)
        )
        assert_allclose(found.x, target, atol=1e-6 if wide else 2e-3)


def test_limits_end_the_walk():
    function = jax.jit(jax.value_and_grad(rosenbrock))
    assert descend(function, jnp.zeros(10), steps=3).steps == 3
    assert descend(function, jnp.zeros(10), seconds=0.0).reason == "seconds"
    stopped = descend(function, jnp.zeros(10), watch=lambda run: run.steps >= 2)
    assert stopped.reason == "stopped"


def test_a_cost_that_is_not_finite_ahead_is_stepped_back_from():
    found = descend(jax.jit(jax.value_and_grad(lambda x: jnp.sum(x - jnp.log(x)))), jnp.full(3, 0.01))
    assert_allclose(found.x, 1.0, atol=1e-3)


def test_train_over_all_data_comes_to_the_optimum_of_scipy():
    import steepest

    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 10))
    sign = np.where(rng.random(2000) < 1 / (1 + np.exp(-x @ np.linspace(-1, 1, 10))), 1.0, -1.0)

    def cost(params, batch):
        x, sign = batch
        return np.mean(np.logaddexp(0.0, -sign * (x @ params["w"]))) + 1e-3 * np.sum(params["w"] ** 2)

    result = steepest.train(cost, {"w": np.zeros(10)}, (x, sign), method="l-bfgs", precision="float64")
    theirs = scipy.optimize.minimize(lambda w: cost({"w": w}, (x, sign)), np.zeros(10), tol=1e-12)
    assert_allclose(result.params["w"], theirs.x, atol=1e-5)
    assert result.ended == "converged"
    assert result.verdict == "global minimum"
    assert result.batch_size == 2000
    with pytest.raises(steepest.InputError, match="line search"):
        steepest.train(cost, {"w": np.zeros(10)}, (x, sign), method="l-bfgs", rate=0.1)
