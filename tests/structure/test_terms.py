"""The terms of a cost: they add up to it, and each depends on no more than its pattern says."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.derivatives.tiers import Tiered
from steepest.structure.reading import Reading
from steepest.structure.terms import terms_of

rng = np.random.default_rng(4)
A = rng.normal(size=(6, 8)) * (rng.random((6, 8)) < 0.4)

COSTS = {
    "a chain": lambda x: (jax.numpy.cos(x[1:] - x[:-1]) * 3.0).sum() - (x**4).sum() + 7.0,
    "rows of a matrix": lambda x: ((A @ x) ** 2 + 4 * jax.numpy.cos(A @ x)).sum(),
    "weights that leave terms out": lambda x: np.array([1.0, 0.0, -2.0]) @ jax.numpy.sin(x[:3]) + x[5],
    "a product of two": lambda x: x[:4] @ x[4:] / 5.0,
    "one term of all": lambda x: jax.numpy.exp(-(x**2).sum()),
}


def terms(cost, n=8):
    with jax.enable_x64(True):
        return terms_of(Reading(jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((n,), np.float64))))


@pytest.mark.parametrize("name", COSTS)
def test_terms_add_up_to_the_cost_but_for_a_constant(name):
    cost, found = COSTS[name], terms(COSTS[name])
    one, other = rng.normal(size=(2, 8))
    values = Tiered(found.jaxpr)
    change = values(other)[0].sum() - values(one)[0].sum()
    with jax.enable_x64(True):
        assert_allclose(change, float(cost(other)) - float(cost(one)), rtol=1e-12)


@pytest.mark.parametrize("name", COSTS)
def test_a_term_changes_only_with_the_parameters_of_its_pattern(name):
    found, x = terms(COSTS[name]), rng.normal(size=8)
    values = Tiered(found.jaxpr)
    moved = np.stack([values(x + step)[0] != values(x)[0] for step in 0.3 * np.eye(8)], axis=1)
    assert moved.any() and not (moved & ~found.pattern.toarray().astype(bool)).any()


def test_terms_of_no_weight_are_left_out_and_a_constant_has_none():
    assert terms(COSTS["weights that leave terms out"]).pattern.shape == (3, 8)
    assert terms(lambda x: 0.0 * x[0] + 2.0) is None
