"""What a method of ours decides on its way, marked in the trace so that nobody takes its decisions for the cost's."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax


def settled(value: Any) -> Any:
    """What a method found or decided, as a root, the length of a step, whether it came to its end.

    No slope is taken through it, and how it was found makes no kink of the cost's: `structure.kinks` knows it by this.
    """
    value = jnp.asarray(value)
    shielded = lax.stop_gradient(value) if value.dtype.kind == "f" else value
    return lax.optimization_barrier(shielded)
