"""`np.matrix` of traced values: what makes an array of it is followed; its `*` and shapes are its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import TracedArray, is_traced
from .explain import numpy_matrix
from .kinds import kind_called


class NumpyMatrix:
    """What NumPy or SciPy would give as an `np.matrix`, with traced entries; `A` is the array, (m, n)."""

    __array_priority__ = 100.0

    def __init__(self, array: TracedArray) -> None:
        self.A = array

    @property
    def A1(self) -> Any:
        """The entries in one row."""
        return np.ravel(self.A)

    @property
    def T(self) -> NumpyMatrix:
        """The transpose."""
        return NumpyMatrix(self.A.T)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.A.shape

    def getA(self) -> Any:
        """The array."""
        return self.A

    def getA1(self) -> Any:
        """The entries in one row."""
        return self.A1

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise numpy_matrix()

    def _refused(self, *others: Any, **settings: Any) -> Any:
        raise numpy_matrix()

    __array__ = __array_ufunc__ = __array_function__ = _refused
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __matmul__ = __rmatmul__ = _refused
    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __neg__ = __abs__ = __getitem__ = __iter__ = _refused


def _matrix(content: Any, *args: Any, **settings: Any) -> Any:
    if isinstance(content, NumpyMatrix):
        return content
    if is_traced(content):
        raise numpy_matrix()
    return np.matrix(content, *args, **settings)


MATRIX = kind_called(np.matrix, _matrix)
