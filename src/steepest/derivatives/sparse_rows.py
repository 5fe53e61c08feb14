"""Sparse derivatives of many functions at once: their Jacobian, and the Hessian of a weighted sum of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax.extend.core import jaxpr_as_fun

from ..numerics import double_precision

Vector = np.ndarray


@contextmanager
def _although_dense() -> Iterator[None]:
    """Nobody who minimises is told that the rows of a constraint meet all parameters: it is as they wrote it."""
    import asdex

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", asdex.DenseColoringWarning)
        yield


def sparse_jacobian(closed: Any) -> Callable[[Vector], Any]:
    """The Jacobian of a jaxpr (n,) -> (m,) as a function of x to a SciPy CSR array (m, n).

    The pattern is read off the trace and coloured when first asked for; one product for each colour then.
    """
    n = int(closed.in_avals[0].shape[0])
    outputs = jaxpr_as_fun(closed)
    kept: list[Any] = []

    def rows(x: Any) -> Any:
        return outputs(x)[0]

    def jacobian(x: Vector) -> Any:
        import asdex

        with double_precision():
            if not kept:
                with _although_dense():
                    coloring = asdex.jacobian_coloring(rows, np.zeros(n))
                kept.extend((coloring, jax.jit(asdex.compressed_jacobian_from_coloring(rows, coloring))))
            coloring, compressed = kept
            return asdex.decompress(np.asarray(compressed(x)), coloring, output_format="scipy_csr")

    return jacobian


def sparse_weighted_hessian(closed: Any) -> Callable[[Vector, Vector], Any]:
    """The Hessian of u·f(x) for a jaxpr f: (n,) -> (m,), as a function of (x, u) to a SciPy CSC array (n, n)."""
    n, m = int(closed.in_avals[0].shape[0]), int(closed.out_avals[0].shape[0])
    outputs = jaxpr_as_fun(closed)
    kept: list[Any] = []

    def weighted(x: Any, u: Any) -> Any:
        return (outputs(x)[0] * u).sum()

    def hessian(x: Vector, u: Vector) -> Any:
        import asdex

        with double_precision():
            if not kept:
                with _although_dense():
                    coloring = asdex.hessian_coloring(lambda x: weighted(x, np.ones(m)), np.zeros(n))

                def compress(x: Any, u: Any) -> Any:
                    return asdex.compressed_hessian_from_coloring(lambda x: weighted(x, u), coloring)(x)

                kept.extend((coloring, jax.jit(compress)))
            coloring, compressed = kept
            return asdex.decompress(np.asarray(compressed(x, u)), coloring, output_format="scipy_csc")

    return hessian
