"""Where and how precisely JAX computes: double precision is scoped, the user's own configuration never touched."""

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

# Spacing of double precision numbers near one: the unit in which rounding errors are told.
EPS = float(np.finfo(np.float64).eps)


def double_precision() -> AbstractContextManager[Any]:
    """A scope in which JAX computes in float64, whatever the user's setting outside it is."""
    import jax

    return jax.enable_x64(True)


def accelerated() -> bool:
    """Whether JAX computes on something other than the host's own processor by default."""
    return bool(default_device().platform != "cpu")


def default_device() -> Any:
    """The device that JAX computes on where nobody says otherwise; the user's own `jax_default_device` if it is set."""
    import jax

    chosen = jax.config.jax_default_device
    if chosen is None or isinstance(chosen, str):
        return jax.local_devices(backend=chosen)[0]
    return chosen
