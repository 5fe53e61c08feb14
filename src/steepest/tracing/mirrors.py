"""The user's classes, mirrored: a subclass in which every method is rebuilt, so that objects meet a trace well.

A mirror is a subclass, so `isinstance` holds wherever it is asked. It holds the methods of all ancestors, each
rebuilt; `super()` is answered by `answer_super`, which rebuilds what it finds.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from abc import ABCMeta
from collections.abc import Callable
from typing import Any

Substitute = Callable[[Any], Any]
# Called with an attribute's name and value whenever one of the user's own objects is read.
Note = Callable[[Any, str, Any], None]

# Bits of `type.__flags__` (CPython's Py_TPFLAGS_HEAPTYPE and Py_TPFLAGS_BASETYPE): made by a class statement, and
# open to subclasses.
_HEAP_TYPE, _MAY_BE_BASE = 1 << 9, 1 << 10

# Parts of a class that Python keeps for itself.
_KEPT = frozenset(
    "__init_subclass__ __class_getitem__ __dict__ __weakref__ __doc__ __module__ __qualname__ __annotations__ "
    "__getattribute__ __slots__ _abc_impl __abstractmethods__".split()
)


class Mirrored:
    """What every mirror inherits from."""

    __slots__ = ()

    def __init_subclass__(cls, **settings: Any) -> None:
        """The user's own hook ran when the class was made; it must not run again for the mirror."""


class MirrorKind(type):
    """Metaclass of mirrors: the mirror stands for its original in every question about types."""

    _original: type

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, cls._original)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, cls._original)

    def __setattr__(cls, name: str, value: Any) -> None:
        type.__setattr__(cls, name, value)
        _written(cls)[name] = value


class _AbstractMirrorKind(MirrorKind, ABCMeta):
    """The same for abstract classes."""


def _written(mirror: type) -> dict[str, Any]:
    found: dict[str, Any] = mirror.__dict__["_written_by_trace"]
    return found


def can_mirror(kind: type) -> bool:
    """Whether a class is a plain one whose mirror behaves as it does."""
    return (
        type(kind) in (type, ABCMeta)
        and not issubclass(kind, (BaseException, Mirrored))
        and _inheritable(kind)
    )


def _inheritable(kind: type) -> bool:
    return bool(kind.__flags__ & _HEAP_TYPE) and bool(kind.__flags__ & _MAY_BE_BASE)


def mirror_class(kind: Any, substitute: Substitute, remember: Callable[[Any, Any], None]) -> Any:
    """The mirror of `kind`. `remember` is told of it before its methods are rebuilt: they may name the class."""
    members = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "_written_by_trace": {}}
    if kind.__dictoffset__ == 0:
        members["__slots__"] = ()
    make: Any = _AbstractMirrorKind if type(kind) is ABCMeta else MirrorKind
    mirror = (
        type.__new__(make, kind.__name__, (Mirrored, kind), members)
        if make is MirrorKind
        else make(kind.__name__, (Mirrored, kind), members)
    )
    type.__setattr__(mirror, "_original", kind)
    remember(kind, mirror)
    for ancestor in reversed(kind.__mro__[:-1]):
        if ancestor.__module__ in ("builtins", "typing"):
            continue
        for name, member in vars(ancestor).items():
            if name not in _KEPT:
                replaced = _member(name, member, mirror, substitute)
                if replaced is not member or ancestor is not kind:
                    type.__setattr__(mirror, name, replaced)
    return mirror


def _member(name: str, member: Any, owner: type, substitute: Substitute) -> Any:
    if isinstance(member, (staticmethod, classmethod)):
        return type(member)(substitute(member.__func__))
    if isinstance(member, property):
        parts: list[Any] = [substitute(part) for part in (member.fget, member.fset, member.fdel)]
        return property(*parts)
    if isinstance(member, functools.cached_property):
        computed = functools.cached_property(substitute(member.func))
        computed.__set_name__(owner, name)
        return computed
    if isinstance(member, functools.partialmethod):
        return functools.partialmethod(substitute(member.func), *member.args, **member.keywords)
    return substitute(member)


def mirror_instance(value: Any, mirror: Any, substitute: Substitute, note: Note | None) -> Any:
    """An object of the class `mirror` with the attributes of `value`; `value` itself if it cannot be had.

    With `note` the attributes are shared with the user's object, and `note` is told which are read.
    """
    if isinstance(value, tuple):
        return tuple.__new__(mirror, (substitute(item) for item in value))
    try:
        rebuilt = object.__new__(mirror)
    except TypeError:
        return value
    for name in slots_of(type(value)):
        if hasattr(value, name):
            found = getattr(value, name)
            if note is not None:
                note(value, name, found)
            object.__setattr__(rebuilt, name, substitute(found))
    if hasattr(value, "__dict__"):
        if note is None:
            fresh = {name: substitute(item) for name, item in vars(value).items()}
            object.__setattr__(rebuilt, "__dict__", fresh)
        else:
            object.__setattr__(rebuilt, "__dict__", vars(value))
    return rebuilt


def slots_of(kind: type) -> tuple[str, ...]:
    """The names of the slots of a class and its ancestors."""
    return tuple(
        name
        for ancestor in kind.__mro__
        for name, member in vars(ancestor).items()
        if isinstance(member, types.MemberDescriptorType)
    )


def hand_out_replaced(
    mirror: Any,
    original: Any,
    shared: dict[int, Any],
    substitute: Substitute,
    note: Note,
    note_absence: Callable[[Any, str], None],
) -> None:
    """Let the objects of `mirror` in `shared`, which are the user's own, hand out their attributes replaced.

    `note` is told which are read, `note_absence` which are asked for and are not there.
    """
    plain = original.__getattribute__

    def __getattribute__(self: Any, name: str) -> Any:
        try:
            found = plain(self, name)
        except AttributeError:
            if not name.startswith("__") and id(self) in shared:
                note_absence(shared[id(self)], name)
            raise
        if name.startswith("__") or id(self) not in shared:
            return found
        user = shared[id(self)]
        if name in getattr(user, "__dict__", ()):
            note(user, name, found)
            return substitute(found)
        if not hasattr(inspect.getattr_static(original, name, None), "__get__"):
            note(user, name, found)  # of the class, until an attribute of the object hides it
        return found

    type.__setattr__(mirror, "__getattribute__", __getattribute__)


def answer_super(substitute: Substitute) -> Callable[..., Any]:
    """A `super` for rebuilt methods."""

    def answer(*given: Any) -> Any:
        if given:
            kind, self = given[0], given[1] if len(given) > 1 else None
        else:
            frame = sys._getframe(1)
            kind, self = frame.f_locals["__class__"], frame.f_locals[frame.f_code.co_varnames[0]]
        kind = kind.__dict__.get("_original", kind)
        return _Super(super(kind, self), substitute)

    return answer


class _Super:
    """What `super()` gives inside a rebuilt method: every attribute, `__init__` too, is the ancestor's, rebuilt."""

    __slots__ = ("_plain", "_substitute")

    def __init__(self, plain: Any, substitute: Substitute) -> None:
        self._plain = plain
        self._substitute = substitute

    def __getattribute__(self, name: str) -> Any:
        substitute = object.__getattribute__(self, "_substitute")
        found = getattr(object.__getattribute__(self, "_plain"), name)
        if isinstance(found, types.MethodType) and isinstance(found.__func__, types.FunctionType):
            return types.MethodType(substitute(found.__func__), found.__self__)
        return substitute(found)
