"""Groups of parameters that share no term: the Hessian has blocks, and no entry outside of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.derivatives import exact
from steepest.derivatives.tiers import Tiered
from steepest.numerics import double_precision
from steepest.structure.groups import groups_of
from steepest.structure.reading import Reading
from steepest.tracing.passes import simplify

A = np.random.default_rng(1).normal(size=(4, 6))

GROUPS = {
    "each alone": (6, lambda x: jnp.sum(jnp.cos(x)) + x[0]),
    "pairs": (3, lambda x: jnp.sum(100 * (x[1::2] - x[::2] ** 2) ** 2 + (1 - x[::2]) ** 2)),
    "a chain": (1, lambda x: jnp.sum(x[1:] * x[:-1] ** 2)),
    "two halves": (2, lambda x: jnp.prod(x[:3]) + jnp.exp(jnp.sum(x[3:]))),
    "a full matrix": (1, lambda x: jnp.sum((A @ x) ** 2)),
    "linear": (6, lambda x: jnp.sum(x)),
    "rows": (2, lambda x: jnp.sum(jnp.linalg.norm(x.reshape(2, 3), axis=1))),
    "inner product of parts": (3, lambda x: x[:3] @ x[3:]),
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
def test_parameters_of_different_groups_never_meet_in_the_hessian(name):
    count, cost = GROUPS[name]
    with double_precision():
        closed = simplify(jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((6,), np.float64)), keep_derivatives=True)
    groups = groups_of(Reading(closed))
    assert np.unique(groups).size == count
    hessian = Tiered(exact.hessian(closed))(np.linspace(0.3, 1.2, 6))[0]
    apart = groups[:, None] != groups[None]
    assert (hessian[apart] == 0).all()
