"""Array look-alikes: what the user's NumPy code computes with while it is being recorded.

`TracedArray` stands for a value that depends on the parameters: NumPy's own protocols hand every operation on
it to a table of rules, which record it onto JAX. `MadeArray` is a real NumPy array made during the trace; it
stays one until a traced value is stored into it.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..errors import TracingError
from . import columns, rules
from .explain import (
    cannot_convert,
    cannot_decide,
    naming,
    no_rule,
    numpy_matrix,
    outside_array,
    undefined_entries,
)
from .source import is_library
from .views import PICKED, VIEWS, shown

Names = frozenset[str]
_NO_NAMES: Names = frozenset()
Tracer = jax.core.Tracer


class TracedArray(NDArrayOperatorsMixin):
    """An array whose values depend on the parameters.

    Behaves as the `numpy.ndarray` it stands for: shape, dtype, operators, methods, indexing, assignment. A
    basic index gives a view that writes through, as in NumPy. `names`: the parameters it depends on. `labels`: those of
    its rows, where it was made of columns of pandas; else None.
    """

    __slots__ = (
        "_base",
        "_get",
        "_key",
        "_label",
        "_look",
        "_put",
        "_seen",
        "_value",
        "_version",
        "labels",
        "names",
    )
    __array_priority__ = __pandas_priority__ = columns.PRIORITY

    _get: Callable[[Any], Any]
    _put: Callable[[Any, Any], Any]
    _look: Callable[[np.ndarray], np.ndarray]

    def __init__(self, value: Any, names: Names = _NO_NAMES, label: str = "") -> None:
        self._value = value
        self._base: TracedArray | None = None
        self._version = 0
        self._seen = 0
        self._label = label
        self._key: Any = None
        self.labels: Any = None
        self.names = names

    # -- the value, and the view it may be ---------------------------------------------------------------

    @property
    def value(self) -> Any:
        """The JAX value now, after all that was stored into it or into the array it is a view of."""
        if self._base is not None and self._seen != self._age():
            self._value = self._get(self._base.value)
            self._seen = self._age()
        return self._value

    def write(self, value: Any, names: Names) -> None:
        """Replace the whole content; an array this is a view of changes with it."""
        self.names |= names
        if self._base is None:
            self._value = value
            self._version += 1
        else:
            self._base.write(self._put(self._base.value, value), names)
            self._value = value
            self._seen = self._age()

    def shared(
        self,
        get: Callable[[Any], Any],
        put: Callable[[Any, Any], Any],
        names: Names,
        look: Callable[[np.ndarray], np.ndarray],
    ) -> TracedArray:
        """An array that shares its content with this one: `get` reads it, `put` stores it back.

        `look` is the same view of an array in memory.
        """
        seen = TracedArray(get(self.value), names)
        seen._base, seen._get, seen._put, seen._look = self, get, put, look
        seen._seen = seen._age()
        return seen

    def layout(self) -> np.ndarray:
        """An array of the same shape and order in memory, whose content must not be read: there is none."""
        if self._base is not None:
            return self.layout_in(self.root().layout())
        steps = np.cumprod([1, *self.shape[:0:-1]])[::-1]
        return np.lib.stride_tricks.as_strided(np.empty(1, np.int8), self.shape, tuple(steps[: self.ndim]))

    def layout_in(self, whole: np.ndarray) -> np.ndarray:
        """The part that this array is of `whole`, the layout of its root."""
        return whole if self._base is None else self._look(self._base.layout_in(whole))

    def root(self) -> TracedArray:
        """The array whose content this one shows, itself where it is no view."""
        root = self
        while root._base is not None:
            root = root._base
        return root

    def _age(self) -> int:
        return self.root()._version

    # -- what an ndarray tells of itself -----------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(np.shape(self._value))

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self._value.dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def device(self) -> str:
        return "cpu"  # as of all arrays of NumPy's

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` sees: the NumPy type the value would have without the trace."""
        return self.dtype.type if self.shape == () else np.ndarray

    @property
    def T(self) -> TracedArray:
        return self.transpose()

    @property
    def mT(self) -> TracedArray:
        return self.swapaxes(-1, -2)

    @property
    def real(self) -> Any:
        if self.dtype.kind != "c":
            return self
        take, imaginary = rules.FUNCTIONS[np.real], rules.FUNCTIONS[np.imag]
        return self.shared(
            take,
            lambda whole, part: rules.UFUNCS[np.add](part, rules.UFUNCS[np.multiply](1j, imaginary(whole))),
            self.names,
            lambda whole: whole,
        )

    @real.setter
    def real(self, value: Any) -> None:
        self.real[...] = value

    @property
    def imag(self) -> Any:
        take, real = rules.FUNCTIONS[np.imag], rules.FUNCTIONS[np.real]
        if self.dtype.kind != "c":
            return TracedArray(take(self.value), self.names)
        return self.shared(
            take,
            lambda whole, part: rules.UFUNCS[np.add](real(whole), rules.UFUNCS[np.multiply](1j, part)),
            self.names,
            lambda whole: whole,
        )

    @imag.setter
    def imag(self, value: Any) -> None:
        self.imag[...] = value

    @property
    def strides(self) -> tuple[int, ...]:
        return tuple(step * self.itemsize for step in self.layout().strides)

    @property
    def flat(self) -> Flat:
        return Flat(self)

    @flat.setter
    def flat(self, value: Any) -> None:
        self.flat[...] = value

    @property
    def at(self) -> Any:
        """JAX's functional update, for code written for JAX."""
        return self.value.at

    def __len__(self) -> int:
        if self.shape == ():
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if self.shape == ():
            raise TypeError("iteration over a 0-d array")
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        shape = ", ".join(map(str, self.shape))
        return f"<{self.dtype}[{shape}] that depends on {', '.join(sorted(self.names)) or 'no parameter'}>"

    def __format__(self, specification: str) -> str:
        return repr(self)

    # -- what one trace cannot follow ----------------------------------------------------------------------

    def __bool__(self) -> bool:
        raise cannot_decide(self.names)

    def __float__(self) -> float:
        raise cannot_convert(self.names, "float")

    def __int__(self) -> int:
        raise cannot_convert(self.names, "int")

    def __index__(self) -> int:
        raise cannot_convert(self.names, "index")

    def __complex__(self) -> complex:
        raise cannot_convert(self.names, "complex")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Its entries as an array of objects for NumPy's own Python code, which computes with those; else refused.

        Compiled code of other libraries would read the addresses of the objects as if they were the numbers.
        """
        caller = sys._getframe(1)
        if is_library(caller.f_code.co_filename) and not _of_numpy_or_ours(caller):
            raise cannot_convert(self.names, "array")
        held = np.empty(self.shape, dtype=object)
        for place in np.ndindex(self.shape):
            held[place] = self if place == () else self[place]
        return held

    # -- operations ----------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **settings: Any) -> Any:
        return apply_ufunc(ufunc, method, inputs, settings)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return apply_function(function, args, kwargs)

    def __jax_array__(self) -> Any:
        return self.value

    def __copy__(self) -> TracedArray:
        return TracedArray(self.value, self.names)

    def __deepcopy__(self, memo: dict[int, Any]) -> TracedArray:
        return TracedArray(self.value, self.names)

    @property
    def flags(self) -> Any:
        return np.empty(self.shape, self.dtype).flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"an array has no attribute {name!r} while it is traced")
        rule = rules.METHODS.get(name)
        if self.labels is not None and name in ("std", "var", "to_numpy", "values"):
            return self._as_a_column(rule, name)
        if rule is not None:
            return functools.partial(_call_method, rule, self)
        ufunc = getattr(np, name, None)
        if isinstance(ufunc, np.ufunc) and ufunc.nin == 1:
            # NumPy computes object arrays by calling the method named after the ufunc on each element.
            return functools.partial(ufunc, self)
        if self.labels is not None:
            raise naming(columns.no_longer_a_column(name), self.names)
        if hasattr(np.ndarray, name) or hasattr(self.dtype.type, name):
            raise no_rule(f"the array method .{name}", self.names)
        raise AttributeError(f"an array has no attribute {name!r}")

    def _as_a_column(self, rule: Any, name: str) -> Any:
        """What pandas gives under this name where NumPy gives another or none."""
        bare = TracedArray(self.value, self.names)
        if name == "values":
            return bare
        if name == "to_numpy":
            return lambda: bare
        return lambda ddof=1: _call_method(rule, bare, ddof=ddof)

    def __round__(self, digits: int | None = None) -> Any:
        return np.round(self, digits or 0)

    def __floor__(self) -> Any:
        return np.floor(self)

    def __ceil__(self) -> Any:
        return np.ceil(self)

    def __trunc__(self) -> Any:
        return np.trunc(self)

    def __getitem__(self, key: Any) -> Any:
        found: set[str] = set()
        if self.labels is not None:
            raise naming(columns.misplaced(), self.names)
        key = unwrap(key, found)
        names = self.names | found
        if self._label and _is_place(key):
            names = frozenset(
                {f"{self._label}[{key if type(key) is not tuple else ', '.join(map(str, key))}]"}
            )
        if not _is_basic(key):
            return TracedArray(_record(rules.GETITEM, names, self.value, key), names)
        if _reaches_one_entry(key, self.ndim):
            return TracedArray(rules.GETITEM(self.value, key), names)
        part = self.shared(
            lambda whole: rules.GETITEM(whole, key),
            lambda whole, part: rules.SETITEM(whole, key, part),
            names,
            lambda whole: whole[key],
        )
        part._key = key
        return part

    def __setitem__(self, key: Any, value: Any) -> None:
        if type(value) is TracedArray and value._base is self and _same_key(value._key, key):
            return  # `x[k] += v` has written through its view already
        found: set[str] = set()
        key, value = unwrap(key, found), unwrap(value, found)
        self.write(_record(rules.SETITEM, self.names | found, self.value, key, value), self.names | found)

    def transpose(self, *axes: Any) -> TracedArray:
        """View with permuted axes."""
        order = axes[0] if len(axes) == 1 and not np.isscalar(axes[0]) else axes
        order = tuple(range(self.ndim))[::-1] if not order else tuple(int(k) % self.ndim for k in order)
        back = tuple(int(k) for k in np.argsort(order))
        permute = rules.FUNCTIONS[np.transpose]
        return self.shared(
            lambda v: permute(v, order),
            lambda whole, part: permute(part, back),
            self.names,
            lambda whole: whole.transpose(order),
        )

    def swapaxes(self, first: int, second: int) -> TracedArray:
        """View with two axes exchanged."""
        order = list(range(self.ndim))
        order[first], order[second] = order[second], order[first]
        return self.transpose(order)

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> TracedArray:
        """View with another shape; a copy where the order of the entries in memory allows none."""
        wanted = shape[0] if len(shape) == 1 else shape
        return self._reshaped(wanted, self._order(order))

    def ravel(self, order: str = "C") -> TracedArray:
        """View with one axis; a copy where the entries do not follow one another in memory."""
        if order == "K" and self._base is not None:  # as they lie in memory
            steps = np.abs(self.layout().strides)
            return self.transpose(np.argsort(-steps, kind="stable").tolist()).ravel()
        order = self._order(order)
        if order == "C" and self._base is not None and not self.layout().flags.c_contiguous:
            return TracedArray(rules.FUNCTIONS[np.ravel](self.value, order), self.names)
        return self._reshaped((-1,), order)

    def flatten(self, order: str = "C") -> TracedArray:
        """Copy with one axis."""
        return TracedArray(self.ravel(order).value, self.names)

    def squeeze(self, axis: Any = None) -> TracedArray:
        """View without its axes of length one."""
        shape = rules.FUNCTIONS[np.squeeze](self.value, axis).shape
        return self._reshaped(shape, "C")

    def _order(self, order: str) -> Any:
        """The order in which a reshape reads: columns first for "A" where they lie so in memory."""
        if order not in ("A", "K"):
            return order
        turned = order == "A" and self._base is not None and self.layout().flags.fnc
        return "F" if turned else "C"

    def _reshaped(self, shape: Any, order: Any) -> TracedArray:
        reshape, mine = rules.FUNCTIONS[np.reshape], self.shape
        if (self._base is not None or order != "C") and not self._can_be_reshaped(shape, order):
            return TracedArray(reshape(self.value, shape, order=order), self.names)
        return self.shared(
            lambda v: reshape(v, shape, order=order),
            lambda whole, part: reshape(part, mine, order=order),
            self.names,
            lambda whole: np.reshape(whole, shape, order=order, copy=False),
        )

    def _can_be_reshaped(self, shape: Any, order: Any) -> bool:
        """Whether the entries in their order in memory have this shape, so that a view of them can be had."""
        try:
            np.reshape(self.layout(), shape, order=order, copy=False)
        except ValueError:
            return False
        return True

    def fill(self, value: Any) -> None:
        """Store one value everywhere."""
        self[...] = value

    def sort(self, axis: int = -1, **settings: Any) -> None:
        """Sort in place."""
        ordered: Any = np.sort(self, axis=axis, **settings)
        self.write(ordered.value, self.names)

    def partition(self, kth: Any, axis: int = -1, **settings: Any) -> None:
        """Partition in place."""
        parted: Any = np.partition(self, kth, axis=axis, **settings)
        self.write(parted.value, self.names)

    def put(self, indices: Any, values: Any, mode: str = "raise") -> None:
        """Store values at places counted along the array made flat."""
        np.put(self, indices, values, mode)  # type: ignore[arg-type]

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """View of a diagonal, which cannot be stored into."""
        return np.diagonal(self, offset, axis1, axis2)

    def item(self, *key: int) -> Any:
        """The one entry, or the entry at `key`, still traced."""
        return self[key[0] if len(key) == 1 else key] if key else self.ravel()[0]

    def tolist(self) -> Any:
        """Nested lists of traced numbers."""
        return self if self.shape == () else [row.tolist() for row in self]

    def view(self, *kinds: Any) -> TracedArray:
        """Itself: the type and the bits of a traced array cannot be looked at differently."""
        if kinds and isinstance(kinds[0], type) and issubclass(kinds[0], np.matrix):
            raise numpy_matrix()
        if kinds and not (isinstance(kinds[0], type) and issubclass(kinds[0], np.ndarray)):
            raise no_rule("the array method .view(dtype)", self.names)
        return self

    def astype(self, dtype: Any, **settings: Any) -> Any:
        """A copy with another type; itself if it has that type already and need not be copied."""
        if not settings.get("copy", True) and self.dtype == np.dtype(dtype):
            return self
        return _call_method(rules.METHODS["astype"], self, dtype)


class Flat:
    """`x.flat`: the entries one after the other, to read and to store into."""

    def __init__(self, whole: TracedArray | MadeArray) -> None:
        self._whole = whole

    @property
    def base(self) -> Any:
        """The array itself."""
        return self._whole

    def __len__(self) -> int:
        return self._whole.size

    def __iter__(self) -> Iterator[Any]:
        return iter(self._whole.ravel())

    def __getitem__(self, key: Any) -> Any:
        return self._whole.ravel()[key].copy()

    def __setitem__(self, key: Any, value: Any) -> None:
        whole: Any = self._whole
        if type(whole) is MadeArray:
            if traced_content(whole) is None and not is_traced(value):
                memory(whole).flat[key] = value
                return
            whole = as_traced(whole, to_store=True)
        places = np.arange(whole.size)[key]
        size = np.size(value)
        if size > 1 and size != np.size(places):  # NumPy begins anew, or leaves the rest away
            value = np.resize(value, np.size(places))
        row = TracedArray(whole.ravel().value, whole.names)
        row[key] = np.reshape(value, np.shape(places)) if size > 1 else value
        whole[...] = row.reshape(whole.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self._whole.ravel(), dtype)


def _of_numpy_or_ours(frame: types.FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in ("numpy", "steepest")


# The NaN in the memory of arrays that have become traced. Arithmetic hands its last bits on: where compiled code reads
# that memory, which no trace can see, what it makes is told from the user's own NaN.
_STALE_BITS = np.uint64(0x7FF8_5EED_0DD5_1057)
STALE = _STALE_BITS.view(np.float64)


def is_stale(value: Any) -> bool:
    """Whether numbers were made from the memory of an array that had become traced."""
    if getattr(value, "dtype", None) not in (np.float64, np.complex128):
        return False
    parts = np.asarray(value).reshape(-1).view(np.float64)
    lost = parts[np.isnan(parts)].view(np.uint64) & np.uint64(0x7FFF_FFFF_FFFF_FFFF)
    return bool(np.any(lost == _STALE_BITS))


class MadeArray(np.ndarray):
    """A NumPy array made during the trace, or the user's data seen during it.

    It is computed with as usual. Storing a traced value into it turns it (and every view of it) into a traced
    array; the array in memory is then filled with a NaN of ours, so that what reads stale numbers is found out.
    """

    _traced: TracedArray | None
    _outside: bool
    _recorded: np.ndarray | None
    _whole: MadeArray | None

    def __array_finalize__(self, source: Any) -> None:
        self._traced = None
        self._whole = None
        self._outside = False
        self._recorded = None

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **settings: Any) -> Any:
        return apply_ufunc(ufunc, method, inputs, settings)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return apply_function(function, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        if traced_content(self) is not None or is_traced(key):
            return as_traced(self)[key]
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        if traced_content(self) is None and not is_traced(key) and not is_traced(value):
            super().__setitem__(key, value)
        else:
            if self.dtype == object:
                super().__setitem__(key, value)
                return
            if not self.flags.writeable and _root(self) is not self:
                raise ValueError("assignment destination is read-only")
            as_traced(self, to_store=True)[key] = value

    def __float__(self) -> float:
        traced = traced_content(self)
        return float(memory(self) if traced is None else as_traced(self))

    def __bool__(self) -> bool:
        traced = traced_content(self)
        return bool(memory(self) if traced is None else as_traced(self))

    @property
    def T(self) -> Any:
        return self.transpose()

    @property
    def real(self) -> Any:
        return np.ndarray.real.__get__(self) if traced_content(self) is None else as_traced(self).real

    @real.setter
    def real(self, value: Any) -> None:
        self.real[...] = value

    @property
    def imag(self) -> Any:
        return np.ndarray.imag.__get__(self) if traced_content(self) is None else as_traced(self).imag

    @imag.setter
    def imag(self, value: Any) -> None:
        self.imag[...] = value

    @property
    def flat(self) -> Any:
        return np.ndarray.flat.__get__(self) if _root(self)._outside else Flat(self)

    @flat.setter
    def flat(self, value: Any) -> None:
        self.flat[...] = value


def _method_of_made(name: str) -> Callable[..., Any]:
    plain = getattr(np.ndarray, name)

    @functools.wraps(plain, assigned=("__name__", "__qualname__"))
    def method(self: MadeArray, *args: Any, **kwargs: Any) -> Any:
        if traced_content(self) is not None or is_traced(args) or is_traced(kwargs):
            whole = as_traced(self, to_store=name in ("fill", "put"))
            return getattr(whole, name)(*args, **kwargs)
        return plain(self, *args, **kwargs)

    return method


_VIEW_METHODS = (
    "transpose",
    "swapaxes",
    "reshape",
    "ravel",
    "squeeze",
    "fill",
    "put",
    "sort",
    "partition",
    "item",
    "tolist",
    "astype",
)
for _name in (*_VIEW_METHODS, *rules.METHODS):
    if _name not in ("__getitem__", "__setitem__", "view") and callable(getattr(np.ndarray, _name, None)):
        setattr(MadeArray, _name, _method_of_made(_name))


def made(array: Any, outside: bool = False) -> Any:
    """`array` as one made during the trace; anything that is not a plain numeric array comes back as it is.

    `outside`: it is the user's data, which must not be stored into.
    """
    if type(array) is np.ndarray and array.dtype.kind in "fiubc":
        seen = array.view(MadeArray)
        seen._outside = outside or _shows_outside(array)
        return seen
    return array


def _shows_outside(array: Any) -> bool:
    """Whether an array is a view of the user's data."""
    while array is not None:
        if type(array) is MadeArray and array._outside:
            return True
        array = getattr(array, "base", None)
    return False


def memory(array: MadeArray) -> np.ndarray:
    """The plain array underneath."""
    return np.ndarray.view(array, np.ndarray)


def _root(array: MadeArray) -> MadeArray:
    while True:
        above = array._whole if array._whole is not None else array.base
        if not isinstance(above, MadeArray):
            return array
        array = above


def part_of(array: MadeArray, part: Any) -> Any:
    """What NumPy made of the memory of `array`, as a view of it where it shares that."""
    seen = made(part)
    if type(seen) is MadeArray and np.may_share_memory(part, memory(array)):
        seen._whole = _root(array)
    return seen


def traced_content(array: MadeArray) -> TracedArray | None:
    """The traced values stored into the array (or the array it is a view of), None while it is all numbers."""
    return _root(array)._traced


def as_traced(array: MadeArray, to_store: bool = False) -> TracedArray:
    """The traced array that `array` has become; with `to_store` it becomes one now."""
    root = _root(array)
    if root._traced is None:
        whole = TracedArray(np.array(memory(root)))
        if to_store:
            if root._outside:
                raise outside_array()
            root._traced = whole
            if root.dtype.kind in "fc":
                memory(root).fill(STALE)
    else:
        whole = root._traced
    if array is root:
        return whole
    if array.dtype != root.dtype:
        return _half_of(array, root, whole)
    return _placed(array, root.__array_interface__["data"][0], whole)


def _half_of(array: MadeArray, root: MadeArray, whole: TracedArray) -> TracedArray:
    """A view of the real or of the imaginary parts of an array of complex numbers."""
    start = root.__array_interface__["data"][0]
    offset = (array.__array_interface__["data"][0] - start) % root.itemsize
    if (
        root.dtype.kind != "c"
        or array.dtype != memory(root).real.dtype
        or any(step % root.itemsize for step in array.strides)
    ):
        raise no_rule(f"a view as {array.dtype} of an array of {root.dtype}", whole.names)
    half = whole.imag if offset else whole.real
    return _placed(array, start + offset, half, root.itemsize)


def _placed(array: MadeArray, start: int, whole: TracedArray, itemsize: int = 0) -> TracedArray:
    """The view of `whole`, whose first entry lies at `start` in memory, that `array` is of it there."""
    itemsize = itemsize or array.itemsize
    places = np.arange(whole.size).reshape(whole.shape)
    steps = tuple(step // itemsize for step in array.strides)
    first = (array.__array_interface__["data"][0] - start) // itemsize
    places = np.lib.stride_tricks.as_strided(
        places.ravel()[first:], array.shape, tuple(step * places.itemsize for step in steps)
    )
    reshape, shape = rules.FUNCTIONS[np.reshape], whole.shape

    def put(content: Any, part: Any) -> Any:
        flat = rules.SETITEM(reshape(content, (-1,)), np.array(places), part)
        return reshape(flat, shape)

    return whole.shared(
        lambda content: rules.GETITEM(reshape(content, (-1,)), np.array(places)),
        put,
        whole.names,
        lambda content: np.lib.stride_tricks.as_strided(content, array.shape, steps),
    )


# -- from look-alikes to raw values and back ---------------------------------------------------------------


def unwrap(value: Any, names: set[str]) -> Any:
    """`value` with every look-alike in it replaced by what it stands for; parameter names are added to `names`."""
    kind = type(value)
    if kind is TracedArray:
        names.update(value.names)
        return value.value
    if kind is float or kind is int or kind is str or value is None:
        return value
    if kind is MadeArray:
        if traced_content(value) is None:
            return _unchanging(value)
        return unwrap(as_traced(value), names)
    if kind is list or kind is tuple:
        return kind(unwrap(item, names) for item in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*(unwrap(item, names) for item in value))
    if kind is dict:
        return {key: unwrap(item, names) for key, item in value.items()}
    if kind is np.ndarray and value.dtype == object and is_traced(value):
        return rules.BUILD_ARRAY(unwrap(value.tolist(), names))
    if kind is slice and (is_traced(value.start) or is_traced(value.stop) or is_traced(value.step)):
        raise cannot_convert(names_in((value.start, value.stop, value.step)), "index")
    if isinstance(value, np.matrix):
        raise numpy_matrix()
    return columns.plain(value)


def _unchanging(array: MadeArray) -> np.ndarray:
    """The content as it is now, to be recorded as a constant: the array may be stored into afterwards.

    The user's data are not copied, and a copy serves until the content has changed.
    """
    content = memory(array)
    if _root(array)._outside:
        return content
    if array._recorded is None or not _same_bits(array._recorded, content):
        array._recorded = content.copy()
    return array._recorded


def _same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    if first.dtype != second.dtype or first.itemsize > 8:
        return False
    bits = f"u{first.itemsize}"
    return np.array_equal(first.view(bits), second.view(bits))


def wrap(value: Any, names: Names) -> Any:
    """Raw values as look-alikes: what is traced becomes a `TracedArray`, concrete values stay as they are."""
    if isinstance(value, Tracer):
        return TracedArray(value, names)
    if isinstance(value, tuple):
        parts = [wrap(item, names) for item in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [wrap(item, names) for item in value]
    if isinstance(value, jax.Array):
        return made(np.asarray(value))
    return made(value)


def apply_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    """One call of a NumPy (or SciPy) ufunc on look-alikes."""
    out = settings.pop("out", None)
    if not is_traced(inputs) and not is_traced(settings) and not is_traced(out):
        if out is not None:
            settings["out"] = tuple(plain_numbers(item) for item in out)
        result = getattr(ufunc, method)(
            *map(plain_numbers, inputs), **{k: plain_numbers(v) for k, v in settings.items()}
        )
        return out[0] if out is not None else _made_results(result)
    found: set[str] = set()
    if method == "at":
        _ufunc_at(ufunc, *inputs)
        return None
    raw = [unwrap(item, found) for item in inputs]
    settings = {key: unwrap(item, found) for key, item in settings.items()}
    names = frozenset(found)
    labels = None
    for item in inputs:
        if (type(item) is TracedArray and item.labels is not None) or columns.is_of_pandas(item):
            labels = columns.labels_of(inputs, TracedArray)
            break
    if method == "__call__":
        rule = rules.UFUNCS.get(ufunc) or rules.scipy_rules().get(ufunc)
    else:
        rule = rules.UFUNC_METHODS.get((ufunc, method))
    if rule is None:
        label = (
            f"np.{ufunc.__name__}" if hasattr(np, ufunc.__name__) else ufunc.__name__.lstrip("_")
        )  # scipy.special.lambertw calls its ufunc _lambertw
        raise no_rule(label if method == "__call__" else f"{label}.{method}", names)
    where = settings.pop("where", True) if method == "__call__" else True
    result = _record(rule, names, *raw, **settings)
    if where is not True:
        if out is None or isinstance(result, tuple):
            raise naming(undefined_entries(ufunc.__name__), names)
        result = rules.FUNCTIONS[np.where](where, result, unwrap(out[0], found))
        names = frozenset(found)
    if out is not None and isinstance(result, tuple):
        given = (*out, *(None for _ in result[len(out) :]))
        pairs = zip(given, result, strict=True)
        return tuple(
            wrap(part, names) if place is None else _store(place, part, names) for place, part in pairs
        )
    if out is not None:
        return _store(out[0], result, names)
    wrapped = wrap(result, names)
    if labels is not None and type(wrapped) is TracedArray:
        wrapped.labels = labels
    return wrapped


def apply_function(function: Any, args: Any, kwargs: Any) -> Any:
    """One call of a NumPy function on look-alikes."""
    if function is np.broadcast_arrays:
        shape = np.broadcast_shapes(*map(np.shape, args))
        return tuple(np.broadcast_to(item, shape) for item in args)
    if not is_traced(args) and not is_traced(kwargs):
        array = shown(function, args, kwargs) if function in VIEWS else None
        if type(array) is MadeArray:
            if function in PICKED:
                return part_of(array, function(*plain_numbers(args), **plain_numbers(kwargs)))
            return np.ndarray.__array_function__(
                array, function, (MadeArray,), args, kwargs
            )  # keeps its base
        return _made_results(function(*plain_numbers(args), **plain_numbers(kwargs)))
    array = shown(function, args, kwargs) if function in VIEWS else None
    if type(array) in (TracedArray, MadeArray):
        whole = array if type(array) is TracedArray else as_traced(array)  # type: ignore[arg-type]
        return VIEWS[function](whole, *(item for item in args if item is not array), **kwargs)
    if function in rules.IN_PLACE:
        _change(rules.IN_PLACE[function], *args, **kwargs)
        return None
    if function is np.nan_to_num and not (args[1] if len(args) > 1 else kwargs.get("copy", True)):
        others = {key: item for key, item in kwargs.items() if key != "copy"}
        args[0][...] = np.nan_to_num(args[0], True, *args[2:], **others)
        return args[0]
    found: set[str] = set()
    rule = rules.FUNCTIONS.get(function)
    if rule is None:
        unwrap((args, kwargs), found)
        raise no_rule(f"np.{function.__name__}", frozenset(found))
    out = kwargs.pop("out", None) if kwargs else None
    raw, settings = unwrap(tuple(args), found), unwrap(dict(kwargs), found)
    names = frozenset(found)
    result = _record(rule, names, *raw, **settings)
    if out is not None:
        return _store(out[0] if isinstance(out, tuple) else out, result, names)
    wrapped = wrap(result, names)
    if function in columns.BY_METHOD and args and type(args[0]) is TracedArray:
        return _labelled_as(args[0], wrapped)
    return wrapped


def call_rule(rule: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Call a rule of the tables with look-alikes; the result is wrapped again."""
    found: set[str] = set()
    raw, settings = unwrap(tuple(args), found), unwrap(dict(kwargs), found)
    names = frozenset(found)
    return wrap(_record(rule, names, *raw, **settings), names)


def _record(rule: Callable[..., Any], names: Names, *args: Any, **kwargs: Any) -> Any:
    """Call a rule on raw values; where it refuses, the error is told which parameters are concerned."""
    try:
        return rule(*args, **kwargs)
    except TracingError as error:
        raise naming(error, names) from None


def _call_method(rule: Callable[..., Any], self: TracedArray, *args: Any, **kwargs: Any) -> Any:
    return _labelled_as(self, call_rule(rule, (self, *args), kwargs))


def _labelled_as(column: TracedArray, result: Any) -> Any:
    """The result with the labels of the column it was made of, where its rows are the same."""
    if column.labels is not None and type(result) is TracedArray and result.shape == column.shape:
        result.labels = column.labels
    return result


def _ufunc_at(ufunc: np.ufunc, array: Any, key: Any, *operand: Any) -> None:
    """`np.add.at(array, key, values)` and its like: unbuffered, so repeated places add up."""
    rule = rules.UFUNC_METHODS.get((ufunc, "at"))
    found: set[str] = set()
    raw_key, raw_operand = unwrap(key, found), unwrap(operand, found)
    if rule is None:
        raise no_rule(f"np.{ufunc.__name__}.at", frozenset(found))
    target = as_traced(array, to_store=True) if isinstance(array, MadeArray) and _is_made(array) else array
    if type(target) is not TracedArray:
        raise outside_array()
    target.write(rule(target.value, raw_key, *raw_operand), target.names | found)


def _change(rule: Callable[..., Any], array: Any, *args: Any, **kwargs: Any) -> None:
    """`np.copyto(array, values)` and its like: the rule says what the array becomes."""
    found: set[str] = set()
    rest, settings = unwrap(tuple(args), found), unwrap(dict(kwargs), found)
    target = as_traced(array, to_store=True) if _is_made(array) else array
    if type(target) is not TracedArray:
        raise outside_array()
    target.write(rule(target.value, *rest, **settings), target.names | found)


def _store(out: Any, result: Any, names: Names) -> Any:
    """Put the result of an in-place operation where it belongs and return what the statement's name becomes."""
    if type(out) is TracedArray:
        _check_cast(result, out)
        if out.shape == () and out.root().shape == ():
            return wrap(result, names)  # NumPy's scalars are values: `s += 1` rebinds s
        cast = rules.FUNCTIONS[np.astype](result, out.dtype)
        out.write(rules.SETITEM(out.value, Ellipsis, cast), names)
        return out
    if type(out) is MadeArray:
        _check_cast(result, out)
        as_traced(out, to_store=True)[...] = wrap(result, names)
        return out
    raise outside_array()


def _check_cast(result: Any, out: Any) -> None:
    if not np.can_cast(np.dtype(result.dtype), out.dtype, "same_kind"):
        raise TypeError(
            f"Cannot cast the result from {result.dtype} to {out.dtype} with casting rule 'same_kind'; make the "
            "array on the left with dtype=float"
        )


def _is_made(value: Any) -> bool:
    return type(value) is MadeArray


def is_traced(value: Any) -> bool:
    """Whether any part of a value depends on the parameters."""
    kind = type(value)
    if kind is TracedArray or isinstance(value, Tracer):
        return True
    if kind is MadeArray:
        return traced_content(value) is not None
    if kind is float or kind is int or kind is str:
        return False
    if isinstance(value, (list, tuple)):
        return any(is_traced(item) for item in value)
    if kind is dict:
        return any(is_traced(item) for item in value.values())
    if kind is slice:
        return is_traced(value.start) or is_traced(value.stop) or is_traced(value.step)
    return kind is np.ndarray and value.dtype == object and any(type(v) is TracedArray for v in value.flat)


def as_array(value: Any) -> Any:
    """A list of numbers, some of which may be traced, as an array; anything else as it is."""
    return call_rule(rules.BUILD_ARRAY, (value,), {}) if isinstance(value, (list, tuple)) else value


def names_in(value: Any) -> Names:
    """The parameters that any part of a value depends on."""
    kind = type(value)
    if kind is TracedArray:
        return value.names
    if kind is MadeArray:
        content = traced_content(value)
        return _NO_NAMES if content is None else content.names
    if isinstance(value, (list, tuple)):
        return _NO_NAMES.union(*map(names_in, value))
    if kind is dict:
        return _NO_NAMES.union(*map(names_in, value.values()))
    if isinstance(value, np.ndarray) and value.dtype == object:
        return _NO_NAMES.union(*map(names_in, value.ravel().tolist()))
    return _NO_NAMES


def plain_numbers(value: Any) -> Any:
    """Concrete look-alikes as plain NumPy arrays."""
    kind = type(value)
    if kind is MadeArray:
        return memory(value)
    if kind is list or kind is tuple:
        return kind(plain_numbers(item) for item in value)
    if kind is dict:
        return {key: plain_numbers(item) for key, item in value.items()}
    return value


def _made_results(result: Any) -> Any:
    if type(result) is tuple or type(result) is list:
        return type(result)(made(item) for item in result)
    return made(result)


def _is_place(key: Any) -> bool:
    parts = key if type(key) is tuple else (key,)
    return all(isinstance(part, (int, np.integer)) for part in parts)


def _is_basic(key: Any) -> bool:
    parts = key if type(key) is tuple else (key,)
    return all(
        part is None
        or part is Ellipsis
        or (isinstance(part, (slice, int, np.integer)) and not isinstance(part, bool))
        for part in parts
    )


def _reaches_one_entry(key: Any, ndim: int) -> bool:
    parts = key if type(key) is tuple else (key,)
    return len(parts) == ndim and all(isinstance(part, (int, np.integer)) for part in parts)


def _same_key(first: Any, second: Any) -> bool:
    return type(first) is type(second) and _is_basic(second) and first == second
