"""A jaxpr compiled by XLA ahead of its first call, with its data handed in rather than baked in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ..numerics import double_precision
from ..tracing.blocks import in_blocks


def compile_jaxpr(closed_jaxpr: Any) -> Callable[..., tuple[Any, ...]]:
    """A compiled function of NumPy arrays that evaluates a closed jaxpr in double precision.

    The function takes one array for each input of the jaxpr, of its shape and dtype, and returns a tuple of
    arrays (NumPy scalars for shape ()). On the CPU the arrays are views of XLA's own memory: nothing is
    copied, and they are read-only. Copy one before writing to it.

    Constants are put on the device once and passed at each call, so that large data neither slows the
    compiler nor is kept twice. Long chains of elementwise operations on large arrays are computed block by
    block (`tracing.blocks`), so that their intermediate results stay in the cache.

    >>> import jax, numpy as np
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: x**2 - 2 * x + 3)(jax.ShapeDtypeStruct((), np.float64))
    >>> compile_jaxpr(jaxpr)(np.float64(3.0))
    (np.float64(6.0),)
    """
    closed = in_blocks(closed_jaxpr)
    with double_precision():
        constants = [jax.device_put(np.asarray(constant)) for constant in closed.consts]

        def evaluate(constants: list[Any], *inputs: Any) -> list[Any]:
            return jax.core.eval_jaxpr(closed.jaxpr, constants, *inputs)

        inputs = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in closed.in_avals]
        executable = jax.jit(evaluate).lower(constants, *inputs).compile()

    def call(*arrays: Any) -> tuple[Any, ...]:
        # Outside this scope JAX would read float64 operands as float32.
        with double_precision():
            results = executable(constants, *arrays)
        return tuple([result[()] if result.ndim == 0 else result for result in map(np.asarray, results)])

    return call
