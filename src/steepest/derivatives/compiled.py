"""A jaxpr compiled by XLA ahead of its first call, with its data handed in rather than baked in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
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


@dataclass(frozen=True)
class Traceable:
    """An evaluation as a part of other programs: `function(arguments, …)` is traced by JAX.

    `there()` is the scope of the device that it runs on, `on_host` whether that is the host's own processor. `kept`
    holds what was compiled around it, for all places.
    """

    function: Callable[..., Any]
    arguments: Any
    there: Callable[[], AbstractContextManager[Any]]
    kept: dict[Any, Any] = field(default_factory=dict)
    on_host: bool = True


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
    return compile_program(traceable(closed_jaxpr), closed_jaxpr.in_avals)


def compile_program(program: Traceable, in_avals: Sequence[Any]) -> Compiled:
    """The same of a jaxpr made a `Traceable` before, whose inputs are such."""
    with double_precision(), program.there():
        inputs = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in in_avals]
        executable = jax.jit(program.function).lower(program.arguments, *inputs).compile()
    return Compiled(executable, program.arguments, on_host=program.on_host)


def traceable(closed_jaxpr: Any) -> Traceable:
    """A closed jaxpr as a part of other programs; see `compile_jaxpr` on where it runs."""
    host = host_for(closed_jaxpr)
    on_host = host is not None or not numerics.accelerated()
    closed = in_blocks(closed_jaxpr) if on_host else closed_jaxpr

    def evaluate(constants: list[Any], *inputs: Any) -> list[Any]:
        return jax.core.eval_jaxpr(closed.jaxpr, constants, *inputs)

    there = partial(device_of, host)
    return Traceable(evaluate, constants_at(there, closed), there, on_host=on_host)


def device_of(host: Any | None) -> AbstractContextManager[Any]:
    """Where a program is compiled and run: on `host`, or where JAX chooses for None."""
    return nullcontext() if host is None else jax.default_device(host)


def constants_at(there: Callable[[], AbstractContextManager[Any]], closed: Any) -> list[Any]:
    """The constants of a closed jaxpr, laid where its program runs."""
    with double_precision(), there():
        return [jax.device_put(np.asarray(constant)) for constant in closed.consts]


def host_for(closed: Any) -> Any | None:
    """The host's processor, where it is to compute in an accelerator's place; None for JAX's own choice."""
    if not numerics.accelerated() or foresee(closed).compiled > WORTH_SENDING:
        return None
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # the user allows JAX its accelerator alone
        return None
