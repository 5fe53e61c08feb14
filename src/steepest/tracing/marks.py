"""Telling whether a value that a trace depends on is still what it was."""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import types
from typing import Any

import jax
import numpy as np

from .arrays import MadeArray, TracedArray

# Arrays up to this size are compared by a hash of their content before a kept trace is used again (64 MiB take
# about 60 ms); larger data are traced anew.
LARGEST_FINGERPRINT = 64 * 2**20
# Arrays up to this many bytes are compared by their content itself, which is faster than a hash.
SMALL = 4096
# Lists and dicts of data with more entries than this are not compared before a kept trace is used again either.
MOST_ENTRIES = 1000
# What holds other values, and may be given others.
CONTAINERS = (list, dict, set, collections.defaultdict, collections.deque, collections.OrderedDict)
_FIXED_MEMBERS = (types.FunctionType, property, staticmethod, classmethod, functools.cached_property) + (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
)
# Modules whose contents are taken to stay what they are.
STEADY_MODULES = ("numpy", "math", "scipy", "jax")
UNCHANGED_TYPES = (int, float, complex, str, bytes, bool, type(None), np.generic, np.dtype)
# Types whose values cannot change without being replaced.
_FIXED_TYPES = (
    *UNCHANGED_TYPES,
    *_FIXED_MEMBERS,
    types.BuiltinFunctionType,
    types.CodeType,
    np.ufunc,
)


def fingerprint(array: np.ndarray) -> tuple[Any, ...]:
    """An array's type, shape and content, the content of a large one as its hash."""
    if array.nbytes <= SMALL:
        return array.dtype, array.shape, array.tobytes()
    content = np.ascontiguousarray(array)
    return array.dtype, array.shape, hashlib.blake2b(content.data, digest_size=16).digest()


class Changeable(Exception):
    """A value that could change without being noticed: what depends on it must not be kept."""


def mark_of(value: Any, room: int = MOST_ENTRIES) -> Any:
    """What is equal as long as a value is unchanged; None if it cannot change without being replaced.

    Raises `Changeable` for a value that cannot be watched: a large array, an unknown object, a long list.
    """
    if type(value) is TracedArray or type(value) is MadeArray:
        raise Changeable  # the function's own, stored where it reads it again
    if is_fixed(value):
        return None
    kind = type(value)
    if issubclass(kind, np.ndarray) and value.dtype != object and value.nbytes <= LARGEST_FINGERPRINT:
        return fingerprint(value)
    if kind.__module__.startswith("scipy.sparse.") and hasattr(value, "tocoo"):
        triples = value.tocoo()
        return [fingerprint(part) for part in (triples.data, triples.row, triples.col)]
    if kind in CONTAINERS or kind is tuple:
        items = [*value, *value.values()] if isinstance(value, dict) else list(value)
        if len(items) <= room:
            return [(type(item), id(item), mark_of(item, room - len(items))) for item in items]
    if is_record(value):
        items = list((_fields_of(value) or {}).values())
        return [(type(item), id(item), mark_of(item, room - len(items))) for item in items]
    raise Changeable


def is_record(value: Any) -> bool:
    """Whether a value is an instance of a dataclass, all of whose contents can be looked at."""
    kind = type(value)
    return dataclasses.is_dataclass(kind) and not issubclass(kind, type) and _fields_of(value) is not None


def is_plain_record(value: Any) -> bool:
    """Whether the mark of a value is made of its fields."""
    kind = type(value)
    known = issubclass(kind, np.ndarray) or kind.__module__.startswith("scipy.sparse.")
    return is_record(value) and not known and kind not in (*CONTAINERS, tuple)


def holds_the_same(record: Any, mark: list[tuple[type, int, Any]]) -> bool:
    """Whether a record's mark is still `mark`; what cannot change without being replaced is not looked into."""
    items = (_fields_of(record) or {}).values()
    return len(items) == len(mark) and all(
        type(item) is kind and id(item) == known and (inner is None or mark_of(item) == inner)
        for item, (kind, known, inner) in zip(items, mark, strict=True)
    )


def _fields_of(value: Any) -> dict[str, Any] | None:
    """What `vars` gives, without asking a class that looks up its attributes by Python; None if there is none."""
    try:
        fields: dict[str, Any] = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return fields


def is_fixed(value: Any) -> bool:
    """Whether a value read from outside cannot change without being replaced."""
    kind = type(value)  # an object may make it slow to ask for its class, so that its type is asked
    if kind in _FIXED_TYPES or issubclass(kind, _FIXED_TYPES) or isinstance(value, jax.Array):
        return True
    if kind in (tuple, frozenset):
        return all(map(is_fixed, value))
    if issubclass(kind, types.ModuleType):
        return value.__name__.partition(".")[0] in STEADY_MODULES
    if issubclass(kind, type):
        return value.__module__ in ("builtins", "numpy")
    return (
        kind.__module__.startswith(("numpy", "scipy.stats."))
        and callable(value)
        and not issubclass(kind, np.ndarray)
    )


def unchanged(current: Any, value: Any, mark: Any) -> bool:
    """Whether `current` is still `value`, whose mark was `mark`."""
    if current is value:
        return mark is None or bool(mark_of(current) == mark)
    if type(current) is not type(value):
        return False
    if mark is None:
        return _equal_constants(current, value)
    return isinstance(value, np.ndarray) and bool(fingerprint(current) == mark)


def _equal_constants(first: Any, second: Any) -> bool:
    return isinstance(first, (int, float, complex, str, bytes, np.generic)) and bool(first == second)
