"""What a trace depends on beside its parameters: every outside value that was read, and whether each is what it was.

A trace may be kept for a second call only as long as the function's globals, closure, defaults, attributes and data
are unchanged.
"""

from __future__ import annotations

import functools
import operator
import types
from collections.abc import Callable
from typing import Any

from .marks import Changeable, holds_the_same, is_fixed, is_plain_record, is_record, mark_of, unchanged
from .mirrors import can_mirror
from .ownership import STDLIB, is_jax, is_users_instance


class Reads:
    """The outside values that one trace depends on, noted while it is made; see `still_valid`.

    `cacheable` becomes false once the trace depends on something that cannot be watched.
    """

    def __init__(self) -> None:
        self.cacheable = True
        self._reads: dict[tuple[int, Any], tuple[Callable[[Any], Any], Any, Any, Any]] = {}
        self._columns = _Columns({})

    def note(self, owner: Any, read: Callable[[Any], Any], key: Any, value: Any) -> None:
        """Remember that the trace depends on `value = read(key)`, so that it is not used again once that changed."""
        if not self.cacheable or (id(owner), key) in self._reads:
            return
        try:
            mark = None if self._is_followed(value) else mark_of(value)
        except Changeable:
            self.cacheable = False
        else:
            self._reads[id(owner), key] = (read, key, value, mark)

    def note_attribute(self, owner: Any, name: str, value: Any) -> None:
        """Remember that the trace depends on an attribute."""
        self.note(owner, functools.partial(getattr, owner), name, value)

    def note_absence(self, owner: Any, name: str) -> None:
        """Remember that the trace depends on there being no such attribute, as `hasattr` and defaults do."""
        self.note(owner, functools.partial(_has, owner), name, False)

    def watch(self, function: Any) -> None:
        """Note all that a function written for JAX could read: its names are not followed while it runs."""
        if (
            not self.cacheable
        ):  # nothing is noted any more, so that functions calling each other would go round
            return
        plain = getattr(function, "__wrapped__", function)
        plain = getattr(plain, "__wrapped__", plain)
        if not isinstance(plain, types.FunctionType):
            self.cacheable = False
            return
        for part in ("__code__", "__defaults__", "__kwdefaults__"):
            self.note_attribute(plain, part, getattr(plain, part))
        namespace = plain.__globals__
        held: list[tuple[Any, Callable[[Any], Any], str]] = [
            (namespace, namespace.__getitem__, name)
            for name in _names_of(plain.__code__)
            if name in namespace
        ]
        held += [
            (cell, functools.partial(getattr, cell), "cell_contents") for cell in plain.__closure__ or ()
        ]
        for owner, read, key in held:
            self._watch_value(owner, read, key, read(key))

    def _watch_value(self, owner: Any, read: Callable[[Any], Any], key: str, value: Any) -> None:
        """Note `value = read(key)` and all that it could read in turn: of a dataclass or a class, by their methods."""
        if not self.cacheable or (id(owner), key) in self._reads:
            return
        if is_jax(value) or (isinstance(value, type) and not is_fixed(value)):
            self._reads[id(owner), key] = (read, key, value, None)
            wrapped = isinstance(getattr(value, "__wrapped__", None), types.FunctionType)
            if wrapped and not str(value.__module__).startswith("jax"):
                self.watch(value)  # a function of the user's, jitted
            elif isinstance(value, type) and not is_jax(value):
                self._watch_class(value)
        elif is_record(value):
            try:
                self._reads[id(owner), key] = (read, key, value, mark_of(value))
            except Changeable:
                self.cacheable = False
            else:
                self._watch_class(type(value))
        else:
            self.note(owner, read, key, value)
            if isinstance(value, types.FunctionType):
                self.watch(value)
            elif self._is_followed(value) and not is_fixed(value):
                self.cacheable = False

    def _watch_class(self, made: type) -> None:
        """Note what a class and its ancestors hold, and all that their methods could read; once for each class."""
        if (id(made), "__mro__") in self._reads:
            return
        self._reads[id(made), "__mro__"] = (functools.partial(getattr, made), "__mro__", made.__mro__, None)
        for kind in made.__mro__:
            if kind.__module__.partition(".")[0] in STDLIB | {"equinox"}:
                continue
            # A name given to it later may hide one of its ancestors'.
            self._reads[id(kind), len] = (len, vars(kind), len(vars(kind)), None)
            for name, member in vars(kind).items():
                method = getattr(member, "fget", None) or getattr(member, "__func__", member)
                if isinstance(method, types.FunctionType):
                    self._reads[id(kind), name] = (vars(kind).__getitem__, name, member, None)
                    if method.__module__ == kind.__module__:
                        self.watch(method)
                elif not name.startswith("__") and name != "_abc_impl":  # Python's own
                    self._watch_value(kind, vars(kind).__getitem__, name, member)

    def _is_followed(self, value: Any) -> bool:
        """Whether what is read through a value is noted by itself, so that only the value's identity counts."""
        if isinstance(value, (types.ModuleType, types.MethodType, functools.partial)) or hasattr(
            value, "cache_info"
        ):
            return True
        return can_mirror(value) if isinstance(value, type) else is_users_instance(value)

    def still_valid(self) -> bool:
        """Whether everything read during the trace is still what it was."""
        if not self.cacheable:
            return False
        try:
            columns = self.in_columns()
            if columns.are_the_same():
                marked, records = columns.marked, columns.records
                unmoved = not records or all(holds_the_same(value, mark) for value, mark in records)
                return unmoved and (not marked or all(mark_of(value) == mark for value, mark in marked))
            for read, key, value, mark in self._reads.values():
                current = read(key)
                if (current is not value or mark is not None) and not unchanged(current, value, mark):
                    return False
        except (KeyError, ValueError, AttributeError, Changeable):
            return False
        return True

    def in_columns(self) -> _Columns:
        """All that was read, column by column; made anew when something more was read."""
        if self._columns.count != len(self._reads):
            self._columns = _Columns(self._reads)
        return self._columns


class _Columns:
    """What a trace read, column by column: nearly always all are the very same objects as before.

    A loop outside Python that reads attributes and items itself finds that in a fraction of the time that rows take.
    `marked`: those (value, mark) that have a mark; `records`: apart from them, the records.
    """

    def __init__(self, reads: dict[tuple[int, Any], tuple[Callable[[Any], Any], Any, Any, Any]]) -> None:
        self.count = len(reads)
        owners: dict[str, list[tuple[Any, ...]]] = {}
        items: list[tuple[Any, ...]] = []
        others: list[tuple[Any, ...]] = []
        for read, key, value, _ in reads.values():
            held = getattr(read, "__self__", None)
            if isinstance(read, functools.partial) and read.func is getattr and "." not in key:
                owners.setdefault(key, []).append((read.args[0], value))
            elif type(held) in (dict, types.MappingProxyType) and read.__name__ == "__getitem__":
                items.append((held, key, value))
            else:
                others.append((read, key, value))
        found: list[tuple[Any, list[tuple[Any, ...]]]] = [(operator.getitem, items), (operator.call, others)]
        found += [(operator.attrgetter(name), rows) for name, rows in owners.items()]
        self._ways: list[tuple[Callable[[], Any], tuple[Any, ...]]] = []
        for way, rows in found:
            if rows:
                *columns, values = zip(*rows, strict=True)
                self._ways.append((functools.partial(map, way, *columns), values))
        pairs = [(value, mark) for _, _, value, mark in reads.values() if mark is not None]
        self.records = [pair for pair in pairs if is_plain_record(pair[0])]
        self.marked = [pair for pair in pairs if not is_plain_record(pair[0])]

    def are_the_same(self) -> bool:
        """Whether every read gives the very object that it gave before; raises what a read raises."""
        return all(all(map(operator.is_, read(), values)) for read, values in self._ways)


def _has(owner: Any, name: str) -> bool:
    """Whether there is such an attribute, without asking a `__getattr__`, whose own reads are noted."""
    try:
        object.__getattribute__(owner, name)
    except AttributeError:
        return False
    return True


def _names_of(code: types.CodeType) -> set[str]:
    """The names a function's code mentions, in the functions defined inside it too."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names_of(constant)
    return found
