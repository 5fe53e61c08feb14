"""Sparse matrices of SciPy's as a trace meets them: the places are SciPy's to keep, the entries may be traced.

A matrix with traced entries is a matrix of SciPy's, of the same format, that holds the number of each entry (1, 2, …)
in its place, and the vector of the entries. What only moves entries about (transposing, slicing, stacking, storing,
another format) SciPy does to the numbers; what computes reads rows, columns and entries.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import MadeArray, as_array, call_rule, is_traced, made, memory, names_in
from .explain import no_rule, outside_array, random_numbers, write_instead
from .kinds import kind_called
from .numpy_matrices import NumpyMatrix
from .rules.scipy_functions import lu_solve, solve_tridiagonal

# Systems are solved as dense ones: of more rows, the matrix and its factors would take seconds each time.
MOST_DENSE_ROWS = 2000

_FORMATS = ("csr", "csc", "coo", "dia", "bsr", "lil", "dok")
CLASSES = tuple(f"{name}_{kind}" for name in _FORMATS for kind in ("matrix", "array"))

# Methods that move entries about.
_MOVES = (
    "transpose", "tocsr", "tocsc", "tocoo", "todia", "tobsr", "tolil", "todok", "asformat", "reshape", "getrow",
    "getcol", "toarray", "diagonal",
)  # fmt: skip
# Methods that put the entries in order: entries are kept once for each place already.
_ORDERING = ("sort_indices", "sum_duplicates", "eliminate_zeros", "prune")
# Methods that are NumPy's function of each entry, zero at zero.
_OF_ENTRIES = (
    "sqrt", "sin", "tan", "sinh", "tanh", "arcsin", "arctan", "arcsinh", "arctanh", "expm1", "log1p", "sign",
    "conjugate",
)  # fmt: skip
_TOLD_BY_PATTERN = ("nnz", "indices", "indptr", "row", "col", "coords", "getnnz")
_TOLD_BY_FORMAT = ("shape", "ndim", "format", "offsets")

# What a matrix of SciPy's may keep that one with traced entries does not, and the other way round.
_TWICE = "with several entries at one place"
_ZEROS = "made of a dense one, whose zeros SciPy leaves out"


class Sparse:
    """A sparse matrix seen from a trace: SciPy's own while all its entries are numbers.

    `plain`: the matrix of SciPy's; it holds the numbers of the entries once these are given in `entries`, (nnz,).
    """

    # NumPy then leaves `p @ S` to this class.
    __array_ufunc__ = None

    def __init__(self, plain: Any, entries: Any = None, outside: bool = False) -> None:
        self._plain = plain
        self._entries = entries
        self._outside = outside
        self._shared = True  # whether SciPy may have made another matrix that shows the same memory
        self._unlike = ""  # why SciPy's has other entries, where it has
        self._seen: Any = None

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` sees."""
        return type(self._plain)

    # -- entries ---------------------------------------------------------------------------------------------

    def _holds_traced(self) -> bool:
        """Whether entries are traced, by now: they may have been stored into `S.data`."""
        if self._entries is None and self._seen is not None and is_traced(self._seen):
            self._take(self._plain, self._seen)
        return self._entries is not None

    def _take(self, plain: Any, entries: Any) -> None:
        """Hold these entries, of the shape and order of `plain.data`; those of one place are added up."""
        plain = plain.copy()
        plain.data = _counted(plain.data.size).reshape(plain.data.shape)
        self._plain, self._entries, self._seen = plain, np.ravel(entries), None
        row, column, kept = self.triples()
        keys = row.astype(np.int64) * plain.shape[-1] + column
        if np.unique(keys).size < keys.size:
            summed = _summed(row, column, kept, self)
            self._plain, self._entries = summed._plain.asformat(plain.format), summed._entries
            self._unlike = _TWICE

    def _become_traced(self) -> None:
        """Tell places from entries, so that traced ones can be stored."""
        if self._holds_traced():
            return
        if self._outside:
            raise outside_array()
        if self._plain.format not in ("lil", "dok"):
            self._take(self._plain, np.array(self._plain.data))
            return
        numbers = self._plain.tocoo(copy=True)
        values = numbers.data
        numbers.data = _counted(values.size)
        self._plain, self._entries = numbers.asformat(self._plain.format), values

    def triples(self) -> tuple[np.ndarray, np.ndarray, Any]:
        """Rows, columns and entries, each (nnz,)."""
        places = self._plain.tocoo()
        row, column = places.coords if places.ndim == 2 else (np.zeros(places.nnz, int), places.coords[0])
        if not self._holds_traced():
            return row, column, np.array(places.data)  # the user's may be stored into later
        there = places.data > 0
        return row[there], column[there], self._at(places.data[there])

    def _at(self, numbers: Any) -> Any:
        """The entries of these numbers, in their shape; zero for the number 0."""
        numbers = np.asarray(numbers, int)
        if numbers.size and numbers.min() > 0:
            return self._entries[numbers - 1]
        return np.append(0.0, self._entries)[numbers]

    def _moved(self, found: Any) -> Any:
        """What SciPy made of the matrix of numbers, of their entries."""
        if found is self._plain:
            return self
        self._shared = True
        if not hasattr(found, "tocoo"):
            return self._at(np.asarray(found))
        moved = self._of_these(found, np.copy(self._entries))
        if self._unlike == _TWICE and self._plain.format == "coo" != found.format:
            moved._unlike = ""  # SciPy adds them up there
        return moved

    def _of_these(self, plain: Any, entries: Any) -> Sparse:
        """Another matrix with the same entries, or with others at the same places."""
        found = Sparse(plain, entries)
        found._unlike = self._unlike
        return found

    @property
    def data(self) -> Any:
        """The entries in the order of the format."""
        if self._holds_traced():
            if self._plain.format not in ("csr", "csc", "coo") or self._unlike:
                raise self._another_order("data")
            if np.array_equal(self._plain.data, _counted(self._plain.nnz)):
                return self._entries
            self._entries = self._at(self._plain.data)
            self._plain = self._plain.copy()
            self._plain.data = _counted(self._plain.nnz)
            return self._entries
        if self._seen is None:
            self._seen = made(self._plain.data, outside=self._outside)
        return self._seen

    @data.setter
    def data(self, values: Any) -> None:
        if self._outside:
            raise outside_array()
        if self._holds_traced() or is_traced(values):
            if self._unlike:
                raise self._another_order("data")
            values = as_array(values)
            same = np.shape(values) == self._plain.data.shape
            self._take(self._plain, values if same else np.broadcast_to(values, self._plain.data.shape))
        else:
            self._plain.data = _in_memory(values)
            self._seen = None

    def _another_order(self, name: str) -> Exception:
        return write_instead(
            f".{name} of a sparse matrix {self._unlike or 'in format ' + self._plain.format}",
            "Make a csr_matrix of one entry for each place, or use the array that it is made of",
            names_in(self._entries),
        )

    # -- what SciPy's matrices have --------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if not self._holds_traced():
            found = getattr(self._plain, name)
            return _of_numbers(found) if callable(found) else _seen(found)
        if name in _MOVES:
            return lambda *args, **settings: self._moved(getattr(self._plain, name)(*args, **settings))
        if name in _ORDERING and hasattr(self._plain, name):
            return lambda: self._put_in_order(name)
        if name in _OF_ENTRIES:
            return lambda: self._of_these(self._plain, getattr(np, name)(self._entries))
        if name in _TOLD_BY_PATTERN and self._unlike:
            raise self._another_order(name)
        if name in _TOLD_BY_PATTERN or name in _TOLD_BY_FORMAT:
            return getattr(self._plain, name)
        if not hasattr(self._plain, name):
            raise AttributeError(f"{type(self._plain).__name__!r} object has no attribute {name!r}")
        raise no_rule(f"a sparse matrix's .{name}", names_in(self._entries))

    def _put_in_order(self, name: str) -> None:
        self._plain = self._plain.copy()
        getattr(self._plain, name)()
        if name == "sum_duplicates" and self._unlike == _TWICE:
            self._unlike = ""

    @property
    def T(self) -> Any:
        """The transpose."""
        return self.transpose()

    @property
    def dtype(self) -> Any:
        """The type of the entries."""
        return self._entries.dtype if self._holds_traced() else self._plain.dtype

    def copy(self) -> Sparse:
        """A matrix with entries of its own."""
        if not self._holds_traced():
            return Sparse(self._plain.copy())
        return self._of_these(self._plain.copy(), np.copy(self._entries))

    def __copy__(self) -> Sparse:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Sparse:
        return self.copy()

    def astype(self, dtype: Any, **settings: Any) -> Sparse:
        """A copy with entries of another type."""
        if not self._holds_traced():
            return Sparse(self._plain.astype(dtype, **settings))
        return self._of_these(self._plain.copy(), self._entries.astype(dtype))

    def todense(self) -> Any:
        """The dense array, a matrix of NumPy's where SciPy makes one."""
        return self._dense(self.toarray())

    def _dense(self, array: Any) -> Any:
        return array if self._is_array() or np.ndim(array) < 2 else NumpyMatrix(array)

    def _is_array(self) -> bool:
        return type(self._plain).__name__.endswith("_array")

    def __getitem__(self, key: Any) -> Any:
        if is_traced(key):
            raise no_rule("an index of a sparse matrix", names_in(key))
        found = self._plain[_numbers_of(key)]
        if not self._holds_traced():
            return Sparse(found) if hasattr(found, "tocoo") else found
        return self._moved(found)

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._outside:
            raise outside_array()
        self._store(
            value,
            np.shape(self._plain[_numbers_of(key)]),
            lambda plain, v: plain.__setitem__(_numbers_of(key), v),
        )

    def setdiag(self, values: Any, k: int = 0) -> None:
        """Store along a diagonal."""
        if self._outside:
            raise outside_array()
        shape = np.shape(values) or (len(self._plain.diagonal(k)),)
        self._store(values, shape, lambda plain, v: plain.setdiag(v, k))

    def _store(self, value: Any, shape: tuple[int, ...], put: Callable[[Any, Any], None]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # SciPy's own on its formats was given when the cost ran without a trace
            if not self._holds_traced() and not _holds(value):
                put(self._plain, _numbers_of(value))
                return
            self._become_traced()
            if self._shared:
                self._plain, self._shared = self._plain.copy(), False
            value = value.toarray() if isinstance(value, Sparse) else value
            value = np.broadcast_to(as_array(value), shape)
            if self.dtype.kind in "iu":
                value = value.astype(self.dtype)
            count = np.size(self._entries)
            numbers = (count + _counted(value.size)).reshape(shape)
            self._entries = np.append(self._entries, np.ravel(value))
            put(self._plain, numbers if shape else numbers[()])

    # -- arithmetic ------------------------------------------------------------------------------------------

    def __matmul__(self, other: Any) -> Any:
        return _product(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        if isinstance(other, Sparse):
            return _product(other, self)
        return np.transpose(_product(self.T, np.transpose(other)))

    dot = __matmul__

    def __mul__(self, other: Any) -> Any:
        if np.ndim(_numbers_of(other)) == 0 and not hasattr(_numbers_of(other), "tocoo"):
            return self._scaled(other, np.multiply)
        return self.multiply(other) if self._is_array() else self @ other

    def __rmul__(self, other: Any) -> Any:
        return self * other if np.ndim(other) == 0 or self._is_array() else other @ self

    def __truediv__(self, other: Any) -> Any:
        if np.ndim(other) == 0 and not isinstance(other, Sparse):
            return self._scaled(other, np.divide)
        if not self._holds_traced() and not _holds(other):
            return _seen(self._plain / _numbers_of(other))
        raise write_instead("a sparse matrix divided by an array", "Write S.multiply(1 / array).")

    def _scaled(self, factor: Any, operation: np.ufunc) -> Any:
        if not self._holds_traced() and not is_traced(factor):
            return Sparse(operation(self._plain, _numbers_of(factor)))
        own = self if self._holds_traced() else _told_apart(self._plain)
        return own._of_these(own._plain, operation(own._entries, factor))

    def __neg__(self) -> Any:
        return self._scaled(-1.0, np.multiply)

    def __abs__(self) -> Any:
        if not self._holds_traced():
            return Sparse(abs(self._plain))
        return self._of_these(self._plain, np.abs(self._entries))

    def power(self, n: Any, dtype: Any = None) -> Any:
        """Each entry to a power."""
        if not self._holds_traced() and not is_traced(n):
            return Sparse(self._plain.power(n, dtype))
        own = self if self._holds_traced() else _told_apart(self._plain)
        return own._of_these(own._plain, np.power(own._entries, n))

    def __pow__(self, n: Any) -> Any:
        if self._is_array():
            return self.power(n)
        if not self._holds_traced():
            return Sparse(self._plain**n)
        if not isinstance(n, int) or n < 1:
            raise no_rule(f"a sparse matrix to the power {n}", names_in(self._entries))
        found = self
        for _ in range(n - 1):
            found = found @ self
        return found

    def __add__(self, other: Any) -> Any:
        return self._plus(other, 1.0)

    def __radd__(self, other: Any) -> Any:
        return self._plus(other, 1.0)

    def __sub__(self, other: Any) -> Any:
        return self._plus(other, -1.0)

    def __rsub__(self, other: Any) -> Any:
        return (-self)._plus(other, 1.0)

    def _plus(self, other: Any, sign: float) -> Any:
        """S + sign · other."""
        if not self._holds_traced() and not _holds(other):
            other = _numbers_of(other)
            return _seen(self._plain + (other if sign > 0 else -other))
        if isinstance(other, Sparse) or hasattr(other, "tocoo"):
            row, column, entries = self.triples()
            rows, columns, others = _sparse(other).triples()
            both = np.append(entries, sign * others)
            return _summed(np.append(row, rows), np.append(column, columns), both, self)
        if np.ndim(other) == 0:
            if not is_traced(other) and other == 0:
                return self
            raise write_instead("a number added to a sparse matrix", "Write S.toarray() + number.")
        return self._dense(self.toarray() + sign * other)

    def multiply(self, other: Any) -> Any:
        """Entry by entry, with a number, an array or a sparse matrix."""
        if np.ndim(_numbers_of(other)) == 0 and not hasattr(_numbers_of(other), "tocoo"):
            return self._scaled(other, np.multiply)
        if not self._holds_traced() and not _holds(other):
            return _seen(self._plain.multiply(_numbers_of(other)))
        row, column, entries = self.triples()
        _check_two_dimensional(entries, self.shape)
        if isinstance(other, Sparse) or hasattr(other, "tocoo"):
            other = _sparse(other)
            if other.shape != self.shape:
                other = _sparse(np.broadcast_to(other.toarray(), self.shape))
            rows, columns, others = other.triples()
            width = self.shape[-1]
            _, mine, theirs = np.intersect1d(
                row * width + column, rows * width + columns, assume_unique=True, return_indices=True
            )
            return _summed(row[mine], column[mine], entries[mine] * others[theirs], self)
        shape = np.broadcast_shapes(self.shape, np.shape(other))
        if shape != self.shape:
            raise write_instead("a sparse matrix made larger by .multiply()", "Write S.toarray() * array.")
        return _summed(row, column, entries * np.broadcast_to(other, shape)[row, column], self)

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        """The sum of all entries, or of each row or column."""
        if not self._holds_traced():
            return _seen(self._plain.sum(axis))
        row, column, entries = self.triples()
        if axis is None or len(self.shape) == 1:
            return np.sum(entries)
        axis = range(len(self.shape))[axis]
        kept, size = (column, self.shape[-1]) if axis == 0 else (row, self.shape[0])
        found = call_rule(_gathered, (entries, kept, size), {})
        return found if self._is_array() else NumpyMatrix(found[None, :] if axis == 0 else found[:, None])

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        """The mean of all entries, zeros included, or of each row or column."""
        count = np.prod(self.shape) if axis is None else self.shape[axis]
        return self.sum(axis) / count

    def trace(self, offset: int = 0) -> Any:
        """The sum along a diagonal."""
        return np.sum(self.diagonal(offset))


def _compared(name: str) -> Callable[..., Any]:
    def compare(self: Sparse, other: Any) -> Any:
        if _holds(self) or _holds(other):
            raise no_rule("a comparison of a sparse matrix", names_in((self._entries, other)))
        return _seen(getattr(self._plain, name)(_numbers_of(other)))

    return compare


for _name in ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"):
    setattr(Sparse, _name, _compared(_name))


# -- parts -------------------------------------------------------------------------------------------------------


def _holds(value: Any) -> bool:
    """Whether entries of a value, or of matrices in it, are traced."""
    if type(value) is Sparse:
        return value._holds_traced()
    if isinstance(value, (list, tuple)):
        return any(_holds(item) for item in value)
    if isinstance(value, dict):
        return any(_holds(item) for item in value.values())
    return is_traced(value)


def _numbers_of(value: Any) -> Any:
    """A value without traced parts as SciPy takes it."""
    if type(value) is Sparse:
        return value._plain
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_numbers_of(item) for item in value)
    return np.asarray(value) if type(value) is NumpyMatrix else _in_memory(value)


def _in_memory(value: Any) -> Any:
    return memory(value) if type(value) is MadeArray else value


def _seen(found: Any) -> Any:
    """What SciPy made of numbers, as the trace sees it."""
    if hasattr(found, "tocoo"):
        return Sparse(found)
    if isinstance(found, np.matrix):
        return found
    if type(found) is tuple or type(found) is list:
        return type(found)(map(_seen, found))
    return made(found)


def _of_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function or method of SciPy's, which takes and gives matrices of numbers; refused where entries are traced."""

    def call(*args: Any, **settings: Any) -> Any:
        if _holds(args) or _holds(settings):
            raise no_rule(
                f"{getattr(function, '__name__', 'SciPy')}() of a sparse matrix", names_in((args, settings))
            )
        return _seen(
            function(*map(_numbers_of, args), **{key: _numbers_of(item) for key, item in settings.items()})
        )

    return call


def _sparse(value: Any) -> Sparse:
    """A sparse or dense matrix as one that is seen."""
    if type(value) is Sparse:
        return value
    return Sparse(value) if hasattr(value, "tocoo") else _of_dense(value, "csr_array")


def _told_apart(plain: Any) -> Sparse:
    """A matrix of numbers with its places told from its entries."""
    found = Sparse(plain)
    found._become_traced()
    return found


def _class(name: str) -> Any:
    import scipy.sparse

    return getattr(scipy.sparse, name)


def _of_dense(array: Any, kind: str) -> Sparse:
    array = np.atleast_2d(as_array(array))
    numbers = _counted(array.size).reshape(array.shape)
    found = Sparse(_class(kind)(numbers), np.ravel(array))
    found._unlike = _ZEROS
    return found


def _summed(row: np.ndarray, column: np.ndarray, entries: Any, like: Any, shape: Any = None) -> Sparse:
    """The matrix of these triples, those of one place added up; of the class of `like`, in rows."""
    shape = shape or like.shape
    _check_two_dimensional(entries, shape)
    keys, places = np.unique(row.astype(np.int64) * shape[-1] + column, return_inverse=True)
    if keys.size < places.size:
        entries = call_rule(_gathered, (entries, places, keys.size), {})
    elif not np.array_equal(places, np.arange(places.size)):
        entries = entries[np.argsort(places)]
    coords = (keys // shape[-1], keys % shape[-1])
    kind = "csr_array" if like is None or like._is_array() else "csr_matrix"
    return Sparse(_class(kind)((_counted(keys.size), coords), shape=shape), entries)


def _check_two_dimensional(entries: Any, shape: tuple[int, ...]) -> None:
    if len(shape) != 2:
        raise no_rule("a sparse array of one dimension", names_in(entries))


def _counted(size: int) -> np.ndarray:
    """The numbers of so many entries; floats, since SciPy turns whole numbers into them here and there."""
    return np.arange(1.0, size + 1)


def _gathered(values: Any, places: Any, size: int) -> Any:
    """Sums of those values that go to the same place."""
    import jax.numpy as jnp

    return jnp.zeros((size, *values.shape[1:]), values.dtype).at[places].add(values)


def _product(matrix: Sparse, other: Any) -> Any:
    """S x, of a vector, a matrix or a sparse matrix."""
    if not _holds(matrix) and not _holds(other):
        return _seen(matrix._plain @ _numbers_of(other))
    row, column, entries = matrix.triples()
    if isinstance(other, Sparse) or hasattr(other, "tocoo"):
        return _sparse_product(matrix, _sparse(other))
    if np.ndim(other) == 0:
        raise ValueError("Scalar operands are not allowed, use '*' instead")
    if np.shape(other)[0] != matrix.shape[-1]:
        raise ValueError(f"matmul: dimension mismatch of {matrix.shape} and {np.shape(other)}")
    picked = as_array(other)[column]
    entries = np.reshape(entries, (-1,) + (1,) * (np.ndim(picked) - 1))
    if len(matrix.shape) == 1:
        return np.sum(entries * picked, axis=0)
    return call_rule(_gathered, (entries * picked, row, matrix.shape[0]), {})


def _sparse_product(first: Sparse, second: Sparse) -> Sparse:
    """Each entry (i, k) of the first meets the row k of the second."""
    if first.shape[-1] != second.shape[0]:
        raise ValueError(f"matmul: dimension mismatch of {first.shape} and {second.shape}")
    row, column, entries = first.triples()
    rows, columns, others = second.triples()
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], np.arange(second.shape[0] + 1))
    counts = (starts[1:] - starts[:-1])[column]
    mine = np.repeat(np.arange(row.size), counts)
    within = np.arange(mine.size) - np.repeat(np.cumsum(counts) - counts, counts)
    theirs = order[np.repeat(starts[column], counts) + within]
    shape = (first.shape[0], second.shape[1])
    return _summed(row[mine], columns[theirs], entries[mine] * others[theirs], first, shape)


# -- functions ---------------------------------------------------------------------------------------------------


def matrix_class(kind: Any) -> Any:
    """A class of SciPy's that can also be called with traced entries, and whose matrices are seen."""

    def make(content: Any, *args: Any, **settings: Any) -> Any:
        if not _holds(content):
            return _of_numbers(kind)(content, *args, **settings)
        return _made_of(kind, content, *args, **settings)

    return kind_called(kind, make)


def _made_of(kind: Any, content: Any, shape: Any = None, dtype: Any = None, copy: bool = False) -> Sparse:
    """A matrix of traced entries in one of the forms that SciPy takes."""
    if type(content) is Sparse:
        found = content.copy()
    elif isinstance(content, tuple) and len(content) == 3:
        values, indices, starts = content
        values = as_array(values)
        numbers = _counted(np.size(values)).reshape(np.shape(values))
        found = Sparse(None)
        found._take(kind((numbers, _numbers_of(indices), _numbers_of(starts)), shape=shape), values)
    elif isinstance(content, tuple) and isinstance(content[1], (tuple, list)) and kind.__name__[:3] != "dia":
        values, places = as_array(content[0]), _numbers_of(content[1])
        found = Sparse(None)
        plain = _class("coo_array")((np.ones(np.shape(values)), places), shape=shape)
        _check_two_dimensional(values, plain.shape)
        found._take(plain, values)
    elif isinstance(content, tuple):
        values, offsets = np.atleast_2d(as_array(content[0])), _numbers_of(content[1])
        numbers = _counted(values.size).reshape(values.shape)
        found = Sparse(kind((numbers, offsets), shape=shape), np.ravel(values))
    else:
        found = _of_dense(content, "csr_array")
    if isinstance(content, tuple) and len(content) == 2 and not kind.__name__.startswith("coo"):
        found._unlike = ""  # SciPy adds them up as well
    return found._of_these(
        kind(found._plain), found._entries if dtype is None else found._entries.astype(dtype)
    )


def _over_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that lays diagonals or blocks out: it does so to the numbers of their entries."""

    def lay_out(*args: Any, **settings: Any) -> Any:
        parts: list[Any] = []
        count = 0

        def numbered(value: Any) -> Any:
            nonlocal count
            if value is None:
                return None
            if isinstance(value, (list, tuple)) and not all(np.ndim(_numbers_of(v)) == 0 for v in value):
                return [numbered(item) for item in value]
            if type(value) is Sparse or hasattr(value, "tocoo"):
                own = value if _holds(value) else _told_apart(_numbers_of(value))
                shifted = own._plain.tocoo(copy=True)
                shifted.data = np.where(shifted.data > 0, shifted.data + count, 0)
                shifted.eliminate_zeros()
                parts.append(own._entries)
                count += np.size(own._entries)
                return shifted
            value = as_array(value)
            numbers = (count + _counted(np.size(value))).reshape(np.shape(value))
            parts.append(np.ravel(value))
            count += numbers.size
            return numbers if np.ndim(value) else numbers[()]

        settings.pop("dtype", None)
        if not args:  # diags(diagonals=...), bmat(blocks=...)
            args = (settings.pop(next(key for key in settings if _holds(settings[key]))),)
        plain = function(numbered(args[0]), *map(_numbers_of, args[1:]), **settings)
        return Sparse(plain, np.concatenate(parts))

    return lay_out


def _kron(first: Any, second: Any, format: Any = None) -> Any:
    """Each entry of the first times the whole second."""
    import scipy.sparse

    first, second = _sparse(first), _sparse(second)
    row, column, entries = first.triples()
    rows, columns, others = second.triples()
    m, n = second.shape
    found = _summed(
        np.add.outer(row * m, rows).ravel(),
        np.add.outer(column * n, columns).ravel(),
        np.ravel(np.multiply.outer(entries, others)),
        first if first._is_array() or not second._is_array() else second,
        (first.shape[0] * m, first.shape[1] * n),
    )
    return found.asformat(format or "csr") if scipy.sparse.issparse(found._plain) else found


def solve(matrix: Any, right: Any, *args: Any, **settings: Any) -> Any:
    """`scipy.sparse.linalg.spsolve`: along three diagonals, or as a dense system where there are more."""
    matrix = _sparse(matrix)
    if type(right) is Sparse or hasattr(right, "tocoo"):
        raise write_instead(
            "spsolve() with a sparse right side", "Write b.toarray(), or one vector after the other."
        )
    row, column, entries = matrix.triples()
    n = matrix.shape[0]
    column_vector = np.ndim(right) == 2 and np.shape(right)[1] == 1
    right = np.ravel(right) if column_vector else right
    if np.all(np.abs(row - column) <= 1) and n > 2:
        bands = np.zeros((3, n), int)
        bands[row - column + 1, row] = 1 + np.arange(row.size)
        entries = np.append(0.0, entries)
        return call_rule(solve_tridiagonal, (*(entries[band] for band in bands[::-1]), right), {})
    if n > MOST_DENSE_ROWS:
        raise write_instead(
            f"a sparse system of {n} equations with more than three diagonals",
            f"Systems are solved as dense ones, up to {MOST_DENSE_ROWS} equations. For a larger one make the unknowns "
            "parameters of the problem, and the equations constraints",
        )
    if not _holds(matrix):  # factorised once
        from scipy import linalg

        return call_rule(lu_solve, (linalg.lu_factor(matrix._plain.toarray()), right), {})
    return np.linalg.solve(matrix.toarray(), right)


class Factorised:
    """`scipy.sparse.linalg.splu(S)` of traced entries, or of numbers where what it solves for is traced."""

    def __init__(self, matrix: Any, plain: Any = None) -> None:
        self._matrix = _sparse(matrix)
        self._plain = plain

    @classmethod
    def of_scipy(cls, plain: Any) -> Factorised:
        """Factors that were made outside of the cost, Pr S Pc = L U."""
        return cls((plain.L @ plain.U).tocsc()[plain.perm_r][:, plain.perm_c], plain)

    def __getattr__(self, name: str) -> Any:
        if self._plain is None:
            raise no_rule(f"splu(S).{name}", names_in(self._matrix._entries))
        return getattr(self._plain, name)

    def solve(self, right: Any, trans: str = "N") -> Any:
        """Solve S x = b, or Sᵀ x = b with trans="T"."""
        if self._plain is not None and not _holds(right):
            return made(self._plain.solve(_numbers_of(right), trans))
        return solve(self._matrix if trans == "N" else self._matrix.T, right)

    __call__ = solve


def _factorised(function: Callable[..., Any]) -> Callable[..., Any]:
    def factorise(matrix: Any, *args: Any, **settings: Any) -> Any:
        if _holds(matrix):
            return Factorised(matrix)
        plain = function(_numbers_of(matrix), *args, **settings)
        if not hasattr(plain, "solve"):
            return lambda right: solve(matrix, right) if _holds(right) else made(plain(_numbers_of(right)))
        return Factorised(matrix, plain)

    return factorise


def _norm(matrix: Any, ord: Any = None, axis: Any = None) -> Any:
    if ord not in (None, "fro") or axis is not None:
        return np.linalg.norm(matrix.toarray(), ord, axis)
    return np.linalg.norm(matrix.triples()[2])


def _expm_multiply(matrix: Any, right: Any, **settings: Any) -> Any:
    from scipy.linalg import expm

    from .rules import scipy_rules

    if settings or matrix.shape[0] > MOST_DENSE_ROWS // 10:
        raise no_rule("expm_multiply() of many rows or at several times", names_in(right))
    return call_rule(scipy_rules()[expm], (matrix.toarray(),), {}) @ right


def _iterative(name: str) -> Callable[..., Any]:
    def refuse(*args: Any, **settings: Any) -> Any:
        raise write_instead(
            f"scipy.sparse.linalg.{name}() of values that depend on the parameters",
            "Its answer is as exact as its tolerance says, and so would be the slope. Write spsolve(S, b).",
        )

    return refuse


def _drawn(function: Any) -> Callable[..., Any]:
    def draw(*args: Any, **settings: Any) -> Any:
        if all(settings.get(key) is None for key in ("rng", "random_state")):
            raise random_numbers(f"scipy.sparse.{function.__name__}")
        return _of_numbers(function)(*args, **settings)

    return draw


_LAID_OUT = ("diags", "diags_array", "spdiags", "bmat", "block_array", "hstack", "vstack", "block_diag")
_RULES: dict[str, Callable[..., Any]] = {
    "kron": _kron,
    "spsolve": solve,
    "norm": _norm,
    "expm_multiply": _expm_multiply,
    **{
        name: _iterative(name)
        for name in ("cg", "cgs", "bicg", "bicgstab", "gmres", "lgmres", "minres", "qmr", "lsqr", "lsmr")
    },
}


def sparse_function(function: Any) -> Callable[..., Any]:
    """A function of `scipy.sparse`: itself on numbers, its rule on traced entries."""
    name = function.__name__
    if name in ("splu", "factorized"):
        return _factorised(function)
    if name in ("random", "rand", "random_array"):
        return _drawn(function)
    rule = _over_numbers(function) if name in _LAID_OUT else _RULES.get(name)
    plain = _of_numbers(function)

    def call(*args: Any, **settings: Any) -> Any:
        if rule is not None and (_holds(args) or _holds(settings)):
            args = tuple(_sparse(item) if hasattr(item, "tocoo") else item for item in args)
            return rule(*args, **settings)
        return plain(*args, **settings)

    return call
