"""Statistics of several variables: covariances and correlations."""

from __future__ import annotations

from typing import Any

import numpy as np

from .products import matmul
from .reductions import FUNCTIONS as REDUCTIONS
from .shape import concatenate, diagonal, reshape, transpose
from .ufuncs import UFUNCS, divide, subtract
from .values import Rule, Value, array_value, convert, dtype_of, real_part, unsupported


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Value:
    """`np.cov` without weights."""
    unsupported("cov", fweights=fweights, aweights=aweights)
    X = _rows_of(m, rowvar, dtype)
    if y is not None:
        X = concatenate([X, _rows_of(y, rowvar, dtype)], 0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    off = subtract(X, REDUCTIONS[np.mean](X, 1, keepdims=True))
    found = divide(matmul(off, UFUNCS[np.conjugate](transpose(off))), max(X.shape[1] - ddof, 0))
    return reshape(found, tuple(length for length in found.shape if length != 1))


def _rows_of(m: Any, rowvar: bool, dtype: Any) -> Value:
    m = array_value(m)
    if len(m.shape) > 2:
        raise ValueError("m has more than 2 dimensions")
    m = convert(m, dtype or np.result_type(dtype_of(m), np.float64))
    if len(m.shape) < 2:
        return reshape(m, (1, -1))
    return m if rowvar or m.shape[0] == 1 else transpose(m)


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Value:
    """`np.corrcoef`, unclipped: NumPy's limits of -1 and 1 take away rounding alone, and would be seen as kinks."""
    covariance = cov(x, y, rowvar, dtype=dtype)
    if covariance.shape == ():
        return divide(covariance, covariance)
    spread = UFUNCS[np.sqrt](real_part(diagonal(covariance)))
    return divide(divide(covariance, reshape(spread, (-1, 1))), spread)


FUNCTIONS: dict[Any, Rule] = {
    np.cov: cov,
    np.corrcoef: corrcoef,
}
