"""A whole matrix from its products, column after column inside one compiled loop."""

from __future__ import annotations

from typing import Any

import numpy as np

Matrix = np.ndarray[Any, np.dtype[np.float64]]


def whole_matrix(product: Any, n: int) -> Matrix:
    """H (n, n), made symmetric, where `product` is H as a `derivatives.compiled.Traceable`.

    Column after column: many at once would need n times the memory of one, and batches of small matrix products take
    XLA three times as long as one after the other.
    """
    from ..numerics import double_precision

    with double_precision(), product.there():
        if "whole matrix" not in product.kept:
            product.kept["whole matrix"] = _columns(product.function, n)
        H = np.asarray(product.kept["whole matrix"](product.arguments))
    return 0.5 * (H + H.T)


def _columns(function: Any, n: int) -> Any:
    """The jitted loop over the columns of the unit matrix."""
    import jax
    import jax.numpy as jnp

    def columns(arguments: Any) -> Any:
        return jax.lax.map(lambda k: function(arguments, jnp.zeros(n).at[k].set(1.0)), jnp.arange(n))

    return jax.jit(columns)
