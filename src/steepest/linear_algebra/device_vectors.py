"""Long vectors that stay on an accelerator: what L-BFGS does to them, without a number crossing to the host but sums.

The same products as in `long_vectors`, each one compiled program. A ring of remembered vectors is handed over to the
program that writes into it, so that no second one exists.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..numerics import default_device, double_precision

# An array of JAX, shape (n,), float64.
DeviceVector = Any

# The memory that is free must be this many times what the remembered vectors take: the cost wants some too.
ROOM = 2.0

EXACT = jax.lax.Precision.HIGHEST


def has_room(numbers: int) -> bool:
    """Whether so many numbers fit into the device's memory, and the cost beside them."""
    known = default_device().memory_stats()
    if not known or "bytes_limit" not in known:
        return True
    return bool(ROOM * 8 * numbers <= known["bytes_limit"] - known.get("bytes_in_use", 0))


def placed(x: np.ndarray[Any, np.dtype[np.float64]]) -> DeviceVector:
    """`x`, shape (n,), on the device, in double precision."""
    with double_precision():
        return jax.device_put(x)


def inner(a: DeviceVector, b: DeviceVector) -> float:
    """aᵀb."""
    with double_precision():
        return float(_inner(a, b))


class DeviceRows:
    """`count` vectors of shape (n,) on the device, zero at first; as `long_vectors.Rows`.

    >>> rows = DeviceRows(2, 3)
    >>> s, new, old = (placed(np.array(v)) for v in ([1.0, 0.0, 0.0], [3.0, 4.0, 5.0], [1.0, 1.0, 1.0]))
    >>> rows.learn(0, s, 1.0, new, old, (slice(0, 2),))
    (array([ 3., 38.]), 1.0, 2.0, 29.0)
    """

    def __init__(self, count: int, n: int) -> None:
        self.count, self.n = count, n
        with double_precision():
            self._rows: Any = jnp.zeros((count, n))

    @classmethod
    def of(cls, matrix: Any) -> DeviceRows:
        """The rows of an array of JAX, (count, n), which is nobody else's."""
        rows = cls.__new__(cls)
        rows.count, rows.n = matrix.shape
        rows._rows = matrix
        return rows

    def whole(self) -> Any:
        """All rows as one array of JAX, (count, n). What is handed over with it is gone from here."""
        return self._rows

    def learn(
        self, index: int, direction: DeviceVector, t: float, new: DeviceVector, old: DeviceVector, ranges: Any
    ) -> tuple[np.ndarray[Any, np.dtype[np.float64]], float, float, float]:
        """Write s = t·`direction` and y = `new` - `old` into the rows `index`, `index` + 1; see `long_vectors.Rows`."""
        with double_precision():
            self._rows, told = _learn(self._rows, index, direction, t, new, old)
        told = np.asarray(told)
        products = np.zeros(ranges[-1].stop)
        for rows in ranges:
            products[rows] = told[rows]
        ss, sy, yy = told[self.count :].tolist()
        return products, ss, sy, yy

    def combined_with(
        self,
        coefficients: np.ndarray[Any, np.dtype[np.float64]],
        factor: float,
        v: DeviceVector,
        ranges: Any = None,
    ) -> tuple[DeviceVector, float]:
        """The rows times `coefficients`, plus `factor`·v; and its product with `v`.

        Rows outside `ranges` have coefficient zero.
        """
        every = np.zeros(self.count)
        for rows in ranges or (slice(0, coefficients.size),):
            every[rows] = coefficients[rows]
        with double_precision():
            total, product = _combined(self._rows, every, factor, v)
            return total, float(product)


@partial(jax.jit, donate_argnums=0)
def _learn(rows: Any, index: Any, direction: Any, t: Any, new: Any, old: Any) -> Any:
    """The rows with the two new ones; their products with `new`, and sᵀs, sᵀy, yᵀy, in one vector."""
    s, y = t * direction, new - old
    rows = jax.lax.dynamic_update_slice(rows, jnp.stack([s, y]), (index, 0))
    products = jnp.matmul(rows, new, precision=EXACT)
    return rows, jnp.concatenate([products, jnp.stack([jnp.sum(s * s), jnp.sum(s * y), jnp.sum(y * y)])])


@jax.jit
def _combined(rows: Any, coefficients: Any, factor: Any, v: Any) -> Any:
    total = jnp.matmul(coefficients, rows, precision=EXACT) + factor * v
    return total, jnp.sum(total * v)


@jax.jit
def _inner(a: Any, b: Any) -> Any:
    return jnp.sum(a * b)
