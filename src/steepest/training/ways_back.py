"""Slopes of costs with loops whose number of turns only their run tells: SciPy's integrals, JAX's `while_loop`.

Such a loop keeps no way back. Its slope is then had forwards, in one product for each parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..derivatives.narrow_tangents import has_no_way_back
from ..errors import TracingError
from ..tracing.source import user_line

# With more parameters a slope would take longer than anybody waits.
MOST_PARAMETERS = 1000
# Products taken at once: with all of them, intermediate values would be held a thousand times.
AT_ONCE = 32


def value_and_slope(closed: Any) -> Callable[..., Callable[..., tuple[Any, Any]]]:
    """`jax.value_and_grad`, or what does the same forwards, for functions of (parameters, ...) made of `closed`."""
    return _forwards if has_no_way_back(closed) else jax.value_and_grad


def _forwards(value: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    def both(parameters: Any, *rest: Any) -> tuple[Any, Any]:
        flat, grown = ravel_pytree(parameters)

        def along(v: Any) -> tuple[Any, Any]:
            return jax.jvp(lambda x: value(grown(x), *rest), (flat,), (v,))

        costs, changes = jax.lax.map(along, jnp.eye(flat.size, dtype=flat.dtype), batch_size=AT_ONCE)
        return costs[0], grown(changes)

    return both


def check_way_back(closed: Any, n: int) -> None:
    """Raises `TracingError` where a slope by `n` parameters would have to be had forwards, and they are too many."""
    if n <= MOST_PARAMETERS or not has_no_way_back(closed):
        return
    place = next((line for line in map(user_line, _loops(closed.jaxpr)) if line is not None), None)
    raise TracingError(
        f"{'the cost' if place is None else place}: how often a loop goes round (jax.lax.while_loop, or an integral or "
        "a differential equation of SciPy's) is known only when it has run, so that a slope takes one run for each of "
        f"the {n:,} parameters, which is done for {MOST_PARAMETERS:,} at most; write jax.lax.scan, or "
        "jax.lax.fori_loop with bounds that are plain numbers"
    )


def _loops(jaxpr: Any) -> list[Any]:
    """The equations that hold a loop of unknown length, the innermost first."""
    found = []
    for equation in jaxpr.eqns:
        inner = [e for j in jex.jaxprs_in_params(equation.params) for e in _loops(j)]
        if inner or equation.primitive.name == "while":
            found += [*inner, equation]
    return found
