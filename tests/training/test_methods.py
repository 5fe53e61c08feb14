"""Update rules: what they take from the slopes, and what they do not."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import steepest
from steepest.training.methods import _powers, method_of, slope_unit_of, with_slope_unit

from .models import classification, regression

pytestmark = pytest.mark.usefixtures("compiled_once")


def trained(method, scale, **settings):
    """The result on the classes of rings, whose cost is in another unit.

    That is read from the data: one program is compiled for all units.
    """
    cost, params, data = classification()
    unit = np.full(len(data[0]), scale, np.float32)
    given = {"batch_size": 64, "steps": 60, "progress": False, **settings}
    return steepest.train(
        lambda p, b: b[2][0] * cost(p, b[:2]), params, (*data, unit), method=method, **given
    )


def end(method, scale, **settings):
    params = trained(method, scale, **settings).params
    return np.concatenate([np.ravel(params[layer][name]) for layer in ("hidden", "out") for name in "Wb"])


# 1e-8 beside the size of the slopes is a thousandth of it at most, which changes Adam's steps by so much and the length
# that Prodigy finds by some more; Lion takes the signs of slopes.
@pytest.mark.parametrize(
    ("method", "settings", "within"),
    [("prodigy", {}, 0.04), ("adam", {"rate": 0.01}, 2e-3), ("lion", {"rate": 0.01}, 1e-5)],
)
def test_the_unit_of_the_cost_does_not_change_how_far_it_comes(method, settings, within):
    cost, params, data = classification()
    reached = [
        float(cost(trained(method, scale, **settings).params, data))
        for scale in (1.0, 1e-20, 1e-12, 1e-6, 1e12, 1e22)
    ]
    assert reached[0] < 0.8 * float(cost(params, data))
    assert_allclose(reached[1:], reached[0], rtol=within)


@pytest.mark.parametrize("method", ["prodigy", "adam"])
def test_a_small_unit_that_is_a_power_of_two_costs_no_digit(method):
    assert_array_equal(end(method, 2.0**-40), end(method, 2.0**-60))


@pytest.mark.parametrize("method", ["prodigy", "adam"])
def test_a_large_unit_that_is_a_power_of_two_costs_no_digit(method):
    assert_array_equal(end(method, 2.0**50), end(method, 2.0**80))


def test_for_slopes_of_usual_size_adam_is_that_of_optax():
    cost, params, data = regression()
    given = {"batch_size": 64, "steps": 50, "progress": False}
    ours = steepest.train(cost, params, data, method="adam", rate=0.01, **given)
    its = steepest.train(cost, params, data, method=optax.adam(0.01), **given)
    assert_allclose(ours.params["w"], its.params["w"], rtol=1e-6)


def test_the_unit_follows_the_geometric_mean_of_the_slopes_that_there_are():
    method = method_of("adam", None, None, 0, None, None)
    slope = {"a": jnp.array([1e-9, -1e-11, 0.0]), "b": jnp.array(1e-10)}
    memory = method.transformation.init(slope)
    assert slope_unit_of(memory) == 1.0
    # A hundred-thousandth is left as it is: 1e-10 is to become about that.
    found = float(slope_unit_of(with_slope_unit(memory, slope)))
    assert found == 2.0 ** round(np.log2(1e-10 / 1e-5))
    for other in (slope["b"] * 0.0, slope["b"] * np.nan, slope["b"] * 1e18):
        assert slope_unit_of(with_slope_unit(method.transformation.init(other), other)) == 1.0


@pytest.mark.parametrize(("method", "settings"), [("prodigy", {}), ("adam", {"rate": 0.02})])
def test_parameters_of_next_to_no_slope_do_not_keep_the_others_where_they_are(method, settings):
    """Single precision holds the square of no slope beyond 1.8e19 units."""
    rng = np.random.default_rng(0)
    x, size = rng.normal(size=(2000, 100)), np.where(np.arange(100) < 10, 1.0, 1e-36)
    answer = np.where(np.arange(100) < 10, rng.normal(size=100), 0.0)
    result = steepest.train(
        lambda params, batch: np.mean((batch[0] * size @ params - batch[1]) ** 2),
        np.zeros(100), (x, x @ answer), batch_size=32, steps=600, method=method, progress=False, **settings,
    )  # fmt: skip
    assert result.events == ()
    assert_allclose(result.params[:10], answer[:10], atol=1e-3)


def test_subnormal_slopes_are_none_and_the_largest_leaves_room_for_its_square():
    def unit(*slope):
        slope = jnp.array(slope)
        return float(slope_unit_of(with_slope_unit(method.transformation.init(slope), slope)))

    method = method_of("adam", None, None, 0, None, None)
    assert unit(1e-10, 1e-42, -1e-45) == unit(1e-10) == 2.0 ** round(np.log2(1e-5))
    many = [1e-35] * 100
    assert unit(1e-3, *many) == 2.0 ** (round(np.log2(1e-3)) - 30)
    assert np.isfinite(np.square(np.float32(1e30 / unit(1e30, *many))))
    # A walk that begins on a plateau comes to slopes of one, whose squares must be numbers too.
    assert np.isfinite(np.square(np.float32(1.0 / unit(*many))))


def test_the_unit_is_found_without_writing_out_anything_as_large_as_the_slopes():
    large = {
        "a": jax.ShapeDtypeStruct((1000, 1000), np.float32),
        "b": jax.ShapeDtypeStruct((4_000_000,), np.float32),
    }
    compiled = _powers().lower(large).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 100_000  # the slopes take 20,000,000


def test_the_unit_is_that_of_double_precision_for_a_million_slopes():
    slope = np.exp2(np.random.default_rng(0).uniform(-60.0, -20.0, 1_000_000)).astype(np.float32)
    typical, largest = _powers()(jnp.asarray(slope))
    exact = np.log2(slope.astype(float))
    assert_allclose([typical, largest], [exact.mean(), exact.max()], rtol=1e-7)


@pytest.mark.parametrize("scale", [2.0**-90, 2.0**-70, 2.0**70, 2.0**90])
def test_the_end_is_judged_alike_in_every_unit_of_the_cost(scale):
    """By plain descent, whose rate goes with the unit: a power of two, so that the walks are the same to the bit."""

    def judged(scale):
        cost, params, data = regression()
        factor = np.float32(scale)
        return steepest.train(
            lambda p, b: factor * cost(p, b), params, data,
            method="sgd", rate=0.05 / scale, batch_size=64, steps=400, progress=False,
        )  # fmt: skip

    plain, scaled = judged(1.0), judged(scale)
    assert scaled.verdict == plain.verdict == "noise floor"
    for ours, its in zip(scaled.evidence, plain.evidence, strict=True):
        assert (ours.name, ours.holds) == (its.name, its.holds)
        assert_allclose([ours.measured, ours.limit], [scale * its.measured, scale * its.limit], rtol=1e-5)


def test_the_step_beside_the_curvature_does_not_depend_on_the_unit_of_the_cost():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4))
    y = x @ [1.0, -2.0, 0.5, 0.0] + 0.1

    def cost(params, batch):
        x, y, unit = batch  # one program for all units
        return unit[0] * np.mean(np.log(params["s"]) + (x @ params["w"] - y) ** 2 / params["s"])

    def stability(scale):
        data = x, y, np.full(len(x), scale, np.float32)
        result = steepest.train(
            cost, {"w": np.zeros(4), "s": 1.0}, data, method="adam", rate=0.3, steps=100, progress=False
        )
        return float(re.search(r"Step × curvature was ([0-9.]+e?[+]?[0-9]*)", result.history.events[0])[1])

    others = [stability(scale) for scale in (1e-20, 1e-9, 1e6, 1e22)]
    assert_allclose(others, stability(1.0), rtol=0.05)
