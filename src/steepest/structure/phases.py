"""The phases of the waves in a cost, at given parameters: what its sines, cosines and complex exponentials are of."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tracing.primitives import NoRule
from .periods import WAVES
from .quadratic import needed_for, values_of
from .reading import Reading

Vector = np.ndarray


class Phases:
    """The arguments of the waves of a `reading` that come in as many elements as there are data, or times that.

    >>> import jax
    >>> t = np.arange(3.0)
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: (x[0] * jax.numpy.sin(x[1] * t)).sum())(np.zeros(2))
    >>> waves = Phases(Reading(jaxpr))
    >>> bool(waves), [phase.tolist() for phase in waves.at(np.array([1.0, 2.0]))]
    (True, [[0.0, 2.0, 4.0]])
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        found = []
        for equation in reading.equations:
            argument = equation.invars[0] if equation.invars else None
            if argument is None or not reading.depends(argument) or argument.aval.size < 2:
                continue
            if equation.primitive.name in WAVES or _is_complex_exponential(equation):
                found.append(argument)
        self.arguments: list[Any] = list(dict.fromkeys(found))
        self.equations = needed_for(reading, self.arguments)

    def __bool__(self) -> bool:
        return bool(self.arguments)

    def at(self, x: Vector) -> list[Vector] | None:
        """The phases at `x` (n,), an array for each argument; None where NumPy cannot compute them."""
        try:
            values = values_of(self.reading, self.equations, x)
        except (NoRule, ValueError, TypeError):
            return None
        return [_phase(np.asarray(values[argument])) for argument in self.arguments]


def _is_complex_exponential(equation: Any) -> bool:
    return equation.primitive.name == "exp" and equation.invars[0].aval.dtype.kind == "c"


def _phase(argument: np.ndarray) -> np.ndarray:
    """The argument of a wave in radians, that of exp(z) being the imaginary part of z."""
    return np.asarray(argument.imag if argument.dtype.kind == "c" else argument, dtype=float)
