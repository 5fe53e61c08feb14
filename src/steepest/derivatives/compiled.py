"""A jaxpr compiled by XLA ahead of its first call, with its data handed in rather than baked in."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import jax
import numpy as np

from .. import numerics
from ..numerics import double_precision
from ..tracing.blocks import in_blocks
from .costs import foresee

# Seconds of work below which an accelerator is not asked: handing it the parameters and fetching what it found takes it
# a few tenths of a millisecond, however short the work.
WORTH_SENDING = 5e-4


class Compiled:
    """A closed jaxpr as a compiled function of arrays; made by `compile_jaxpr`.

    `on_host`: whether it runs on the host's own processor.
    """

    def __init__(self, executable: Any, constants: list[Any], *, on_host: bool) -> None:
        self._executable, self._constants = executable, constants
        self.on_host = on_host

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        """The outputs as NumPy arrays, and NumPy scalars for shape ()."""
        results = map(np.asarray, self.on_device(*arrays))
        return tuple([result[()] if result.ndim == 0 else result for result in results])

    def on_device(self, *arrays: Any) -> list[Any]:
        """The outputs as arrays of JAX, where they were computed."""
        # Outside this scope JAX would read float64 operands as float32.
        with double_precision():
            found: list[Any] = self._executable(self._constants, *arrays)
        return found


def compile_jaxpr(closed_jaxpr: Any) -> Compiled:
    """A compiled function of NumPy arrays that evaluates a closed jaxpr in double precision.

    The function takes one array for each input of the jaxpr, of its shape and dtype, and returns a tuple of
    arrays (NumPy scalars for shape ()). On the CPU the arrays are views of XLA's own memory: nothing is
    copied, and they are read-only. Copy one before writing to it.

    It runs where JAX computes by default; what takes a processor less than half a millisecond runs there, also beside
    an accelerator. Constants are put on the device once and passed at each call, so that large data neither slows
    the compiler nor is kept twice. Long chains of elementwise operations on large arrays are computed block by
    block (`tracing.blocks`), so that their intermediate results stay in the cache; an accelerator has its own ways.

    >>> import jax, numpy as np
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: x**2 - 2 * x + 3)(jax.ShapeDtypeStruct((), np.float64))
    >>> compile_jaxpr(jaxpr)(np.float64(3.0))
    (np.float64(6.0),)
    """
    host = host_for(closed_jaxpr)
    there = nullcontext() if host is None else jax.default_device(host)
    on_host = host is not None or not numerics.accelerated()
    closed = in_blocks(closed_jaxpr) if on_host else closed_jaxpr
    with double_precision(), there:
        constants = [jax.device_put(np.asarray(constant)) for constant in closed.consts]

        def evaluate(constants: list[Any], *inputs: Any) -> list[Any]:
            return jax.core.eval_jaxpr(closed.jaxpr, constants, *inputs)

        inputs = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in closed.in_avals]
        executable = jax.jit(evaluate).lower(constants, *inputs).compile()

    return Compiled(executable, constants, on_host=on_host)


def host_for(closed: Any) -> Any | None:
    """The host's processor, where it is to compute in an accelerator's place; None for JAX's own choice."""
    if not numerics.accelerated() or foresee(closed).compiled > WORTH_SENDING:
        return None
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # the user allows JAX its accelerator alone
        return None
