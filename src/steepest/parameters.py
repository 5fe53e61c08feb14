"""Any structure of parameters, seen as one flat vector of float64, and back again.

A structure is a number, an array, a dict, a list, a tuple, a named tuple, a dataclass, anything registered
as a JAX pytree, or any nesting of these. A list or tuple that holds numbers only is an array, as in SciPy.
"""

from __future__ import annotations

import dataclasses
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import isgenerator
from math import isfinite
from operator import eq
from typing import Any

import numpy as np

from .errors import InputError
from .numerics import all_finite

Vector = np.ndarray

# What NumPy's kinds are to somebody who gave one by mistake.
KINDS = {
    "U": "text",
    "S": "text",
    "O": "Python objects",
    "M": "dates",
    "m": "times",
    "c": "complex numbers",
    "V": "records",
}


@dataclass(frozen=True)
class Leaf:
    """One array of the structure: its name, its shape, and where it lies in the flat vector."""

    name: str
    shape: tuple[int, ...]
    start: int
    stop: int

    def entry_name(self, k: int) -> str:
        """The name of its `k`-th entry: `rate`, or one of `x[0]`, `x[1]`, and so on."""
        if self.shape == ():
            return self.name
        if len(self.shape) == 1:
            return f"{self.name}[{k}]"
        return f"{self.name}[{', '.join(str(i) for i in np.unravel_index(k, self.shape))}]"


class EntryNames(Sequence[str]):
    """The names of the entries of a flat vector, made one by one when asked for: there may be millions.

    `chosen`: the entries that are named, in order; None for all.

    >>> EntryNames((Leaf("x", (2,), 0, 2), Leaf("rate", (), 2, 3)))
    ('x[0]', 'x[1]', 'rate')
    """

    def __init__(self, leaves: tuple[Leaf, ...], chosen: np.ndarray | None = None) -> None:
        self._leaves = leaves
        self._starts = [leaf.start for leaf in leaves]
        self._chosen = chosen

    def __len__(self) -> int:
        return self._leaves[-1].stop if self._chosen is None else len(self._chosen)

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return tuple(self[i] for i in range(*k.indices(len(self))))
        if not -len(self) <= k < len(self):
            raise IndexError(f"there are {len(self)} names, none is number {k}")
        k = int(k) % len(self)
        k = k if self._chosen is None else int(self._chosen[k])
        leaf = self._leaves[bisect_right(self._starts, k) - 1]
        return leaf.entry_name(k - leaf.start)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, (EntryNames, tuple)) and len(other) == len(self) and all(map(eq, self, other))
        )

    def __hash__(self) -> int:
        return hash((self._leaves, len(self)))

    def __repr__(self) -> str:
        shown = repr(tuple(self[:20]))
        return shown if len(self) <= 20 else f"{shown[:-1]}, … {len(self):,} names)"


class Parameters:
    """The shape of a structure of parameters and its first values.

    `n`: how many numbers it holds. `vector`: those numbers, float64, shape (n,). `leaves`: its arrays.
    `key`: equal for two structures that one trace serves; None if the structure holds settings too.

    >>> parameters = Parameters.of({"limit": 100.0, "knots": [1.0, 2.0]})
    >>> parameters.vector
    array([100.,   1.,   2.])
    >>> parameters.restore(np.array([1.0, 2.0, 3.0]))
    {'limit': np.float64(1.0), 'knots': array([2., 3.])}
    >>> parameters.names
    ('limit', 'knots[0]', 'knots[1]')
    """

    def __init__(
        self,
        leaves: tuple[Leaf, ...],
        vector: Vector,
        assemble: Callable[[Iterator[Any]], Any],
        key: str | None,
    ) -> None:
        self.leaves = leaves
        self.vector = vector
        self.n = int(vector.size)
        self.key = key
        self._assemble = assemble

    @classmethod
    def of(cls, structure: Any, name: str = "x") -> Parameters:
        """Read `structure`; raises `InputError` naming the place of anything that is not a real number."""
        reader = _Reader()
        assemble = reader.read(structure, name, top=True)
        if not reader.size:
            raise InputError(f"{name} = {structure!r} holds no parameter; give at least one number")
        vector = np.concatenate([value.ravel() for value in reader.values])
        return cls(tuple(reader.leaves), vector, assemble, "".join(reader.key) if reader.plain else None)

    @property
    def names(self) -> EntryNames:
        """A name for each of the `n` numbers, in the order of the flat vector."""
        return EntryNames(self.leaves)

    def build(self, pieces: Iterator[Any]) -> Any:
        """The structure with `pieces`, one for each leaf, in place of its arrays."""
        return self._assemble(pieces)

    def restore(self, vector: Vector) -> Any:
        """The structure filled from a flat vector, shape (n,); nothing is shared with `vector`."""
        return self._assemble(_piece(vector, leaf) for leaf in self.leaves)

    def flatten(self, structure: Any, name: str = "x") -> Vector:
        """The numbers of a structure of the same shape as a flat vector, shape (n,)."""
        other = Parameters.of(structure, name)
        if [leaf.shape for leaf in other.leaves] != [leaf.shape for leaf in self.leaves]:
            raise InputError(
                f"{name} has the shape {_shapes(other)}, but the parameters have the shape {_shapes(self)}; give one "
                "number for each parameter, in the same structure"
            )
        return other.vector


def _piece(vector: Vector, leaf: Leaf) -> Any:
    if leaf.shape == ():
        return vector[leaf.start]
    return vector[leaf.start : leaf.stop].reshape(leaf.shape).copy()


def _shapes(parameters: Parameters) -> str:
    if len(parameters.leaves) == 1:
        return str(parameters.leaves[0].shape)
    return ", ".join(f"{leaf.name}: {leaf.shape}" for leaf in parameters.leaves)


@dataclass(frozen=True)
class Layout:
    """The arrays of a structure as they are, not copied into one vector: for models too large for that.

    `leaves`: their names, shapes and places; `arrays`: the arrays themselves, NumPy's or a device's, of the types
    `types`.

    >>> layout = Layout.of({"layer": {"W": np.ones((2, 3)), "b": np.zeros(3)}}, "params")
    >>> [leaf.name for leaf in layout.leaves], layout.n
    (['layer.W', 'layer.b'], 9)
    """

    leaves: tuple[Leaf, ...]
    arrays: tuple[Any, ...]
    build: Callable[[Iterator[Any]], Any]

    @classmethod
    def of(cls, structure: Any, name: str) -> Layout:
        """Read `structure`; raises `InputError` naming the place of anything that is not an array of numbers."""
        reader = _LayoutReader()
        assemble = reader.read(structure, name, top=True)
        if not reader.leaves:
            raise InputError(f"{name} = {_short(structure)} holds no array; give at least one")
        return cls(tuple(reader.leaves), tuple(reader.values), assemble)

    @property
    def n(self) -> int:
        """How many numbers all the arrays hold."""
        return self.leaves[-1].stop

    @property
    def types(self) -> tuple[np.dtype[Any], ...]:
        """The type of each array."""
        return tuple(np.dtype(array.dtype) for array in self.arrays)


class _Reader:
    """Walks a structure once, collecting leaves and the recipe that puts it together again."""

    def __init__(self) -> None:
        self.leaves: list[Leaf] = []
        self.values: list[Vector] = []
        self.size = 0
        self.key: list[str] = []
        self.plain = True

    def read(self, node: Any, name: str, top: bool = False) -> Callable[[Iterator[Any]], Any]:
        kind = type(node)
        if kind is float or kind is int or kind is np.ndarray:
            return self._leaf(node, name)
        self.key.append(f"{kind.__name__}(")
        if node is None:
            return lambda pieces: None
        if isinstance(node, Mapping):
            self.plain = self.plain and kind is dict
            prefix = "" if top else f"{name}."
            return self._mapping(node, prefix)
        if isinstance(node, tuple) and hasattr(node, "_fields"):
            self.plain = False
            prefix = "" if top else f"{name}."
            parts = [
                self.read(value, prefix + field) for field, value in zip(node._fields, node, strict=True)
            ]
            return lambda pieces: kind(*(part(pieces) for part in parts))
        if isinstance(node, (list, tuple)):
            if _is_numeric(node):
                return self._leaf(node, name)
            parts = [self.read(value, f"{name}[{k}]") for k, value in enumerate(node)]
            self.key.append(")")
            return lambda pieces: kind(part(pieces) for part in parts)
        if dataclasses.is_dataclass(node) and not isinstance(node, type):
            self.plain = False
            return self._dataclass(node, "" if top else f"{name}.")
        if hasattr(node, "__array__") or np.isscalar(node) or hasattr(node, "__float__"):
            return self._leaf(node, name)
        return self._registered(node, name)

    def _leaf(self, node: Any, name: str) -> Callable[[Iterator[Any]], Any]:
        try:
            given = np.asarray(node)
            if given.dtype.kind not in "fiu":
                raise TypeError
            value = np.array(given, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(
                f"{name} = {_short(node)} is {'no real number' if np.ndim(node) == 0 else 'not of real numbers'}; "
                "parameters are floats, arrays, dicts, lists or dataclasses of real numbers"
            ) from None
        if not (isfinite(value) if value.ndim == 0 else all_finite(value)):
            place = tuple(int(k) for k in np.argwhere(~np.isfinite(value))[0])
            entry = f"{name}[{', '.join(map(str, place))}]" if place else name
            raise InputError(f"{entry} = {value[place]} is not finite; give a finite number")
        self.key.append(f"{name}{value.shape};")
        self.leaves.append(Leaf(name, value.shape, self.size, self.size + value.size))
        self.values.append(value)
        self.size += value.size
        return next

    def _mapping(self, node: Mapping[Any, Any], prefix: str) -> Callable[[Iterator[Any]], Any]:
        keys = list(node)
        parts = [self.read(node[key], f"{prefix}{key}") for key in keys]
        self.key.append(")")
        kind = type(node)

        def assemble(pieces: Iterator[Any]) -> Any:
            filled = {key: part(pieces) for key, part in zip(keys, parts, strict=True)}
            return filled if kind is dict else kind(filled)  # type: ignore[call-arg]

        return assemble

    def _dataclass(self, node: Any, prefix: str) -> Callable[[Iterator[Any]], Any]:
        fields = [
            field.name for field in dataclasses.fields(node) if _holds_numbers(getattr(node, field.name))
        ]
        parts = [self.read(getattr(node, field), prefix + field) for field in fields]

        def assemble(pieces: Iterator[Any]) -> Any:
            filled = {field: part(pieces) for field, part in zip(fields, parts, strict=True)}
            return dataclasses.replace(node, **filled)

        return assemble

    def _registered(self, node: Any, name: str) -> Callable[[Iterator[Any]], Any]:
        """A pytree registered with JAX; only looked for when the user has imported JAX already."""
        self.plain = False
        jax = sys.modules.get("jax")
        if jax is not None:
            leaves, tree = jax.tree_util.tree_flatten_with_path(node)
            if not (len(leaves) == 1 and leaves[0][1] is node):
                parts = [self.read(leaf, name + jax.tree_util.keystr(path)) for path, leaf in leaves]
                return lambda pieces: jax.tree_util.tree_unflatten(tree, [part(pieces) for part in parts])
        raise InputError(
            f"{name} = {_short(node)} is of type {type(node).__name__}, which holds no parameters I can see; "
            "use floats, arrays, dicts, lists or dataclasses of real numbers"
            + (", and of a module of PyTorch the module itself" if isgenerator(node) else "")
        )


class _LayoutReader(_Reader):
    """Keeps the arrays themselves, whatever kind of number they hold."""

    def _leaf(self, node: Any, name: str) -> Callable[[Iterator[Any]], Any]:
        given = _array_of(node, name)
        if given.dtype.kind not in "fiub":
            raise InputError(
                f"{name} holds {KINDS.get(given.dtype.kind, given.dtype)}, not real numbers; leave it out or turn it "
                "into numbers"
            )
        self.leaves.append(
            Leaf(name, tuple(given.shape), self.size, self.size + int(np.prod(given.shape, dtype=np.int64)))
        )
        self.values.append(given)
        self.size = self.leaves[-1].stop
        return next


def _array_of(node: Any, name: str) -> Any:
    """The array itself, NumPy's or JAX's, or what a tensor of PyTorch or a column of a table holds, as NumPy's.

    Short floats that NumPy has no rules for (bfloat16) become float32. Raises `InputError` for random keys of JAX, and
    where values are masked.
    """
    if np.ma.is_masked(node):
        raise InputError(
            f"{name} hides some of its values behind a mask; leave these rows out, or give the mask as an array of its "
            "own"
        )
    if hasattr(node, "detach"):  # a tensor of PyTorch
        node = node.detach().cpu()
        node = node.float().numpy() if str(node.dtype) == "torch.bfloat16" else node.numpy()
    # The type of a column of polars, or of those that pandas has beside NumPy's, says nothing to NumPy.
    if not (isinstance(getattr(node, "dtype", None), np.dtype) and hasattr(node, "shape")):
        try:
            node = np.asarray(node)
        except TypeError:
            told = getattr(node, "dtype", type(node).__name__)
            raise InputError(
                f"{name} holds {told}, not real numbers; leave it out or turn it into numbers"
            ) from None
    if node.dtype.kind == "V" and not issubclass(node.dtype.type, np.void):
        return np.asarray(node, dtype=np.float32)
    return node


def _is_numeric(node: Any) -> bool:
    """Whether a list or tuple is an array written out: numbers only, in equal rows."""
    if all(isinstance(value, (int, float, np.number)) for value in node):
        return len(node) > 0
    if not all(isinstance(value, (list, tuple)) and _is_numeric(value) for value in node):
        return False
    return len(node) > 0 and len({np.shape(value) for value in node}) == 1


def _holds_numbers(value: Any) -> bool:
    """Whether a dataclass field is a parameter: strings, flags and functions are settings, kept as they are."""
    return not (value is None or isinstance(value, (str, bytes, bool)) or callable(value))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
