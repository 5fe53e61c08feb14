"""Sparse Hessians: the pattern read off the trace, coloured, and filled by a few Hessian products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend.core import jaxpr_as_fun

from ..numerics import double_precision

Vector = np.ndarray


def sparse_hessian(jaxpr: Any) -> Callable[[Vector], Any]:
    """The Hessian of a cost given as a jaxpr from shape (n,), as a function of x to a SciPy CSC array (n, n).

    Star colouring of the pattern; one Hessian product for each colour (Gebremedhin, Manne, Pothen 2005).
    """
    import asdex

    n = int(jaxpr.in_avals[0].shape[0])
    outputs = jaxpr_as_fun(jaxpr)

    def cost(x: Any) -> Any:
        return outputs(x)[0].reshape(())

    with double_precision():
        coloring = asdex.hessian_coloring(cost, np.zeros(n))
        compressed = jax.jit(asdex.compressed_hessian_from_coloring(cost, coloring))

    def hessian(x: Vector) -> Any:
        with double_precision():
            return asdex.decompress(np.asarray(compressed(x)), coloring, output_format="scipy_csc")

    return hessian
