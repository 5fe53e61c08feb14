"""Steps taken together: the bits of steps taken one by one, whatever falls between them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import steepest
from steepest.parameters import Layout
from steepest.training import loop, stretches
from steepest.training.batches import Rows
from steepest.training.job import recorded_for
from steepest.training.steps import fetched, squared
from steepest.training.stretches import Stretches, forecast, pieces, work_of

from .models import classification, regression

pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.fixture
def one_by_one(monkeypatch):
    """Call to have all further steps taken one by one."""
    return lambda: monkeypatch.setattr(loop, "forecast", lambda *arguments: float("inf"))


@pytest.fixture
def dispatched(monkeypatch):
    """How many steps each dispatch of the runs took."""
    found, before = [], loop.Walker._step

    def step(self, piece):
        found.append(piece.steps)
        before(self, piece)

    monkeypatch.setattr(loop.Walker, "_step", step)
    return found


SETTINGS = {
    "auto": {"epochs": 20},
    "ends inside a block": {"method": "momentum", "steps": 157, "precision": "float64"},
    "accumulated, bfloat16": {"method": "adamw", "epochs": 20, "accumulate": 2, "precision": "bfloat16"},
    "validated": {"method": "adam", "epochs": 20, "validation": classification(rows=64, seed=9)[2]},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_steps_taken_together_have_the_bits_of_steps_taken_one_by_one(settings, one_by_one, dispatched):
    cost, params, data = classification()
    together = steepest.train(cost, params, data, batch_size=32, seed=3, **settings)
    assert max(dispatched) >= stretches.SHORTEST - 1
    assert sum(dispatched) == together.steps
    one_by_one()
    dispatched.clear()
    alone = steepest.train(cost, params, data, batch_size=32, seed=3, **settings)
    assert set(dispatched) == {1}
    assert together.history.costs == alone.history.costs
    assert together.history.validations == alone.history.validations
    for layer, name in itertools.product(params, ("W", "b")):
        assert_array_equal(together.params[layer][name], alone.params[layer][name])


def test_data_made_as_they_go_and_batches_of_the_users_own_are_laid_together_too(one_by_one, dispatched):
    cost, params, _ = regression()

    def made(rng):
        x = rng.normal(size=(16, 3))
        return {"x": x, "y": x @ np.array([1.0, -2.0, 0.5])}

    given = [made(np.random.default_rng(k)) for k in range(23)]
    for data in (made, given):
        together = steepest.train(cost, params, data, steps=200, method="adam")
        assert max(dispatched) > 1
        dispatched.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "forecast", lambda *arguments: float("inf"))
            alone = steepest.train(cost, params, data, steps=200, method="adam")
        dispatched.clear()
        assert_array_equal(together.params["w"], alone.params["w"])


def test_a_generator_that_ends_inside_a_stretch_has_all_its_batches_used():
    cost, params, _ = regression()
    batches = ({"x": np.full((4, 3), float(k)), "y": np.ones(4)} for k in range(137))
    result = steepest.train(cost, params, batches, steps=500, method="sgd", rate=1e-6)
    assert result.steps == 137
    assert result.ended == "no more data"


def test_a_run_that_diverges_inside_a_stretch_is_rolled_back_and_goes_on():
    cost, params, data = regression()
    result = steepest.train(cost, params, data, batch_size=64, steps=600, method="sgd", rate=1.2)
    assert result.events
    assert result.steps == 600
    assert np.isfinite(result.params["w"]).all()


def test_every_step_is_taken_once_and_no_block_crosses_a_look_or_an_end():
    for block, look, end, per_epoch in itertools.product((4, 10, 25), (100,), (93, 100, 250), (None, 32)):
        plan = Stretches(block, end, per_epoch)
        batches = ((k // 32, k % 32, np.array([k])) for k in range(end))
        taken = list(pieces(batches, plan, 0))
        step = 0
        for piece in taken:
            assert_array_equal(np.ravel(piece.batch), np.arange(step, step + piece.steps))
            assert step // look == (step + piece.steps - 1) // look
            if per_epoch is not None:
                assert step // 32 == (step + piece.steps - 1) // 32
            step += piece.steps
        assert step == end
        # Taken up at any border, the rest is cut in the same way.
        middle = len(taken) // 2
        at = sum(piece.steps for piece in taken[:middle])
        again = pieces(((k // 32, k % 32, np.array([k])) for k in range(at, end)), plan, at)
        assert [piece.steps for piece in again] == [piece.steps for piece in taken[middle:]]


def test_the_forecast_counts_the_products_of_a_layer():
    w, x = np.ones((30, 20), np.float32), np.ones((64, 30), np.float32)
    cost = recorded_for(
        lambda w, x: np.mean((x @ w) ** 2), Layout.of(w, "w"), Rows(x, 0, "data"), 64, "float32"
    )
    work = work_of(cost.closed.jaxpr)
    products = 2 * 64 * 30 * 20
    assert products <= work.flops <= products + 4 * 64 * 20 + 10
    twice = jax.make_jaxpr(lambda w: jax.lax.scan(lambda s, _: (s @ w, None), w, None, length=2)[0])(w[:20])
    assert work_of(twice.jaxpr).flops == 2 * 2 * 20**3


def test_a_cost_whose_length_is_not_written_down_goes_step_by_step():
    def halved(w, x):
        return jnp.mean(jax.lax.while_loop(lambda v: jnp.any(v > 1), lambda v: v / 2, x @ w))

    x = np.ones((64, 3), np.float32)
    cost = recorded_for(halved, Layout.of(np.ones(3), "w"), Rows(x, 0, "data"), 64, "float32")
    assert forecast(cost, 3, "cpu") == float("inf")


def test_arrays_laid_together_come_back_each_by_itself():
    arrays = [jnp.float32(2.0), jnp.arange(6.0).reshape(2, 3), jnp.ones(1)]
    for one, other in zip(fetched(arrays, joined=True), fetched(arrays, joined=False), strict=True):
        assert_array_equal(one, other)
        assert one.shape == other.shape


def test_a_run_whose_costs_are_fetched_joined_has_the_history_of_one_where_they_are_not(monkeypatch):
    cost, params, data = classification()
    given = {"batch_size": 32, "steps": 300, "method": "adam", "progress": False}
    apart = steepest.train(cost, params, data, **given)
    calls = []

    def joined(arrays, *, joined):
        calls.append(joined)
        return fetched(arrays, joined=joined)

    before = loop.Walker.__init__

    def accelerated(self, *arguments):
        before(self, *arguments)
        self.joins = True

    monkeypatch.setattr(loop.Walker, "__init__", accelerated)
    monkeypatch.setattr(loop, "fetched", joined)
    together = steepest.train(cost, params, data, **given)
    assert calls.count(True) == 3
    assert together.history.costs == apart.history.costs
    for name in ("slope", "step_ratio", "rate", "cost", "smoothed"):
        assert_array_equal(together.history.column(name), apart.history.column(name))


def test_the_squares_of_an_array_are_summed_alike_on_a_cpu_and_on_an_accelerator(monkeypatch):
    array = np.linspace(-1, 2, 3000, dtype=np.float32).reshape(30, 100)
    here = squared(array)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for found in (here, squared(array)):
        assert_allclose(found, np.sum(array.astype(np.float64) ** 2), rtol=1e-6)


def test_rows_are_farther_apart_where_their_norms_would_slow_the_run():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(64, 200)).astype(np.float32), np.zeros((200, 200), np.float32)
    apart = {}
    for batch, times in ((2, 1), (64, 40)):

        def cost(w, x, times=times):
            for _ in range(times):
                x = np.tanh(x @ w)
            return np.mean(x**2)

        run = steepest.train(cost, w, x, batch_size=batch, steps=250, method="adam", progress=False)
        steps = run.history.column("step")
        assert len(run.history.costs) == 250
        apart[batch] = set(np.diff(steps))
    assert apart == {2: {50.0}, 64: {10.0}}
