"""The exponential of a matrix by scaling and squaring, without a branch or loop that depends on its entries.

One Padé approximant of degree 13 serves all sizes (Higham, "The scaling and squaring method for the matrix exponential
revisited", 2005): below its reach it costs more products than a lower degree would, and rounds no worse. A fixed number
of squarings, of which those that are not due are left out by a choice, keeps the program short: a model that takes the
exponential at each of its measurements is then differentiated as one of products and sums.
"""

from __future__ import annotations

from math import log2

import jax.numpy as jnp
import numpy as np
from jax import lax

from .factorisations import solve
from .products import matmul
from .values import Value

# Coefficients of the numerator, by powers of A (Higham 2005, eq. 2.3).
PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip

# Up to this norm the approximant is exact to double precision (Higham 2005, table 2.3).
REACH = 5.371920351148152

# Norms up to REACH times two to this power, 350,000; an exponential beyond that holds numbers of no use.
MOST_SQUARINGS = 16


def expm(A: Value) -> Value:
    """exp(A) of square matrices in the last two axes; NaN where the norm is beyond reach."""
    n = A.shape[-1]
    one = jnp.broadcast_to(jnp.eye(n, dtype=A.dtype), A.shape)
    norm = lax.stop_gradient(jnp.max(jnp.sum(jnp.abs(A), axis=-2), axis=-1))
    squarings = jnp.maximum(jnp.ceil(jnp.log2(jnp.maximum(norm, 1e-300)) - log2(REACH)), 0.0)
    squarings = squarings[..., None, None]
    A = A * jnp.exp2(-squarings)
    A2 = matmul(A, A)
    A4 = matmul(A2, A2)
    A6 = matmul(A4, A2)
    b = PADE
    odd = matmul(A6, b[13] * A6 + b[11] * A4 + b[9] * A2) + b[7] * A6 + b[5] * A4 + b[3] * A2 + b[1] * one
    even = matmul(A6, b[12] * A6 + b[10] * A4 + b[8] * A2) + b[6] * A6 + b[4] * A4 + b[2] * A2 + b[0] * one
    odd = matmul(A, odd)
    R = solve(even - odd, even + odd)
    for k in range(MOST_SQUARINGS):
        due = squarings > k
        # What is not squared must not overflow: the slope of infinity is no number, also where it is left out.
        R = jnp.where(due, matmul(*(jnp.where(due, R, one),) * 2), R)
    return jnp.where(squarings > MOST_SQUARINGS, np.nan, R)
