"""Run a cost once on array look-alikes and keep what it did as a jaxpr."""

from __future__ import annotations

import threading
import types
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.extend.core import jaxpr_as_fun

from ..errors import InputError, SteepestError, TracingError
from ..numerics import double_precision
from ..parameters import Leaf, Parameters
from ..returned import check_kind, ragged
from . import alike, rules
from .arrays import TracedArray, is_stale, names_in, unwrap
from .choices import with_harmless_branches
from .clipped import with_clipped_edges_flat
from .constant_zeros import with_constant_zeros_apart
from .explain import NUMERIC, needs_plain, read_by_others, refusals_kept
from .expressions import Expression
from .gaps import with_gaps_apart
from .lookalike import Lookalike
from .marks import Changeable, mark_of, unchanged
from .ownership import written_for_jax
from .passes import simplify
from .prints import silent
from .reads import Reads
from .recurrences import with_loops
from .rolling import rolled
from .side_by_side import side_by_side
from .source import is_library, place_of, user_line
from .untaken import with_harmless_constants

ClosedJaxpr = Any

# What compiled code says of an array of traced numbers.
_OF_OBJECTS = (
    "TracedArray", "that depends on", "dtype('O')", "No matching signature found", "NPY_ITER_REFS_OK"
)  # fmt: skip
# Parameters, arguments and keys that the note on an error of the cost names; more would bury the error.
MOST_HANDED = 6


@dataclass(frozen=True)
class Trace:
    """A cost as one jaxpr: flat parameters, shape (n,), float64, in; one array out.

    `shape`: of the result, () for a cost. `lowest_precision`: the least precise float type met inside.
    `kept`: evaluations built from this trace, kept so that a second call need not build them again.
    """

    jaxpr: ClosedJaxpr
    shape: tuple[int, ...]
    lowest_precision: str
    kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n(self) -> int:
        """The number of parameters."""
        return int(self.jaxpr.in_avals[0].shape[0])


def trace(
    function: Callable[..., Any] | Expression,
    parameters: Parameters,
    args: tuple[Any, ...] = (),
    *,
    style: str = "whole",
    label: str | None = None,
) -> Trace:
    """Record `call(function, structure, args, style)`; errors call the function `label`, or by its own name.

    The function runs once. A trace is kept with the function and used again while everything it read from
    outside (globals, closure, `args`) is unchanged.

    Raises
    ------
    TracingError: the function does something one trace cannot follow; the message says where.
    InputError: the result is not numbers.
    """
    known = _kept(function, parameters, args, style)
    if known is not None:
        return known
    lookalike = Lookalike()
    run = _runnable(function, lookalike)
    given = tuple(lookalike.substitute(value) for value in args)
    failures: list[BaseException] = []
    called = label or label_of(function)

    def record(flat: Any) -> Any:
        pieces = (_piece(flat, leaf) for leaf in parameters.leaves)
        try:
            if run is None:  # written for JAX: it sees JAX values
                structure = parameters.build(piece.value for piece in pieces)
                return _result(call(function, structure, args, style), called)
            return _result(call(run, lookalike.parameters(parameters.build(pieces)), given, style), called)
        except BaseException as error:
            failures.append(error)
            raise

    flat = jax.ShapeDtypeStruct((parameters.n,), np.float64)
    with double_precision(), refusals_kept() as refusals:
        try:
            recorded = jax.make_jaxpr(record)(flat)
        except BaseException:
            if not failures:
                raise
        finally:
            lookalike.settle()
        if refusals and (not failures or isinstance(failures[0], Exception)):
            raise _without_jax(
                refusals[0]
            )  # also where an `except` in the cost swallowed it, or compiled code reworded it
        if failures:
            raise _explained(failures[0], function, parameters.leaves, args)
        _check_nothing_lost(recorded, called)
        recorded = silent(recorded, called)
        key = alike.told(recorded, parameters.key)
        found = None if key is None else alike.known(key)
        if found is None:
            found = _made(recorded if key is None else alike.apart(recorded))
            if key is not None:
                alike.keep(key, found)
    if run is None:
        lookalike.reads.watch(function)
    _keep(function, parameters, args, style, lookalike.reads, found)
    return found


def _made(recorded: ClosedJaxpr) -> Trace:
    whole = simplify(with_loops(side_by_side(recorded)), keep_derivatives=True)
    apart = with_constant_zeros_apart(with_gaps_apart(with_harmless_constants(whole)))
    jaxpr = rolled(with_harmless_branches(with_clipped_edges_flat(apart)))
    return Trace(jaxpr, tuple(jaxpr.out_avals[0].shape), _lowest_precision(recorded))


def _check_nothing_lost(recorded: ClosedJaxpr, called: str) -> None:
    """Refuse where compiled code read an array that traced values had been stored into: it saw no values there."""
    constants = {
        variable: value
        for variable, value in zip(recorded.jaxpr.constvars, recorded.consts, strict=True)
        if is_stale(value)
    }

    def lost(atom: Any) -> bool:
        return is_stale(np.asarray(atom.val)) if hasattr(atom, "val") else atom in constants

    for equation in recorded.jaxpr.eqns:
        if any(map(lost, equation.invars)):
            raise read_by_others(user_line(equation), called)
    if any(map(lost, recorded.jaxpr.outvars)):
        raise read_by_others(None, called)


def restricted(whole: Trace, base: np.ndarray, free: np.ndarray) -> Trace:
    """The same cost as a function of the entries `free` alone, the others held at `base`, shape (n,)."""
    function = jaxpr_as_fun(whole.jaxpr)

    def record(part: Any) -> Any:
        return function(rules.SETITEM(base, free, part))[0]

    with double_precision():
        recorded = jax.make_jaxpr(record)(jax.ShapeDtypeStruct((free.size,), np.float64))
        return Trace(simplify(recorded, keep_derivatives=True), whole.shape, whole.lowest_precision)


def as_number(traced: Trace) -> ClosedJaxpr:
    """The jaxpr of a cost whose result holds one number, with the result's shape made ()."""
    if traced.shape == ():
        return traced.jaxpr
    function = jaxpr_as_fun(traced.jaxpr)
    with double_precision():
        flat = jax.ShapeDtypeStruct((traced.n,), np.float64)
        return jax.make_jaxpr(lambda x: lax.reshape(function(x)[0], ()))(flat)


def call(function: Any, structure: Any, args: tuple[Any, ...], style: str) -> Any:
    """Call a cost: with the parameters as its first argument ("whole"), by name, or "unpacked" in order."""
    if style == "whole":
        return function(structure, *args)
    if style == "keywords":
        return function(*args, **structure)
    return function(*structure, *args)


def _runnable(function: Any, lookalike: Lookalike) -> Callable[..., Any] | None:
    """The function to call with look-alikes; None if it is written for JAX and wants JAX values."""
    if isinstance(function, Expression):
        return lambda structure, *args: evaluate(function, structure)
    if isinstance(function, types.FunctionType):
        return None if written_for_jax(function) else lookalike.rebuild(function)
    module = type(function).__module__.partition(".")[0]
    if module in ("jax", "jaxlib"):
        return None
    rebuilt: Callable[..., Any] = lookalike.substitute(function)
    return rebuilt


def evaluate(expression: Expression, structure: Any) -> Any:
    """The value of an expression for parameters by name, in order, or for its one parameter."""
    if isinstance(structure, dict):
        return expression.evaluate(structure)
    return expression(structure) if np.ndim(structure) == 0 else expression(*structure)


def _piece(flat: Any, leaf: Any) -> TracedArray:
    if leaf.shape == ():
        value = lax.squeeze(lax.slice(flat, (leaf.start,), (leaf.stop,)), (0,))
    else:
        whole = leaf.stop - leaf.start == flat.shape[0]
        value = flat if whole else lax.slice(flat, (leaf.start,), (leaf.stop,))
        if len(leaf.shape) != 1:
            value = lax.reshape(value, leaf.shape)
    return TracedArray(value, frozenset({leaf.name}), label=leaf.name)


def _result(out: Any, name: str) -> Any:
    raw = unwrap(out, set())
    if isinstance(raw, (list, tuple)):
        if any(isinstance(part, dict) for part in raw):
            raise InputError(
                f"{name} returns a {type(out).__name__} of {len(raw)} parts, a dict among them; let it return its "
                "value alone"
            )
        try:
            raw = rules.BUILD_ARRAY(raw)
        except ValueError:
            raise ragged(out, name) from None
    try:
        kind = np.dtype(getattr(raw, "dtype", None) or np.asarray(raw).dtype).kind
    except TypeError:
        kind = "O"
    check_kind(kind, out, name)
    if isinstance(raw, jax.core.Tracer):
        return raw if raw.dtype == np.float64 else lax.convert_element_type(raw, np.float64)
    return np.asarray(raw, dtype=np.float64)


def label_of(function: Any) -> str:
    """What to call a cost when speaking of it: its text or its name."""
    if isinstance(function, Expression):
        return function.text
    inner = getattr(function, "func", None)  # functools.partial
    if inner is not None and not hasattr(function, "__name__"):
        return label_of(inner)
    name = getattr(function, "__name__", None) or type(function).__name__
    return "the cost" if name == "<lambda>" else str(name)


def _explained(
    error: BaseException, function: Any, leaves: Sequence[Leaf], further: Sequence[Any] = ()
) -> BaseException:
    """The error the user should see when their function failed while it was traced."""
    _without_jax(error)
    if isinstance(error, SteepestError) or not isinstance(error, Exception):
        return error
    if isinstance(error, (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError)):
        return _of_jax(
            error, f"so one trace cannot follow {label_of(function)}", "a decision or a plain value"
        )
    names = _names_given(error)
    if names or any(sign in str(error) for sign in _OF_OBJECTS):
        return needs_plain(place_of(_frame_of(error)), names, error)
    error.add_note(
        f"Raised by {label_of(function)} itself, while steepest ran it once to trace it with "
        f"{_handed(leaves, further)}."
    )
    return error


def _handed(leaves: Sequence[Leaf], further: Sequence[Any]) -> str:
    """What a function was called with: the shape of each parameter, and of each further argument."""
    given = [f"{leaf.name} {_form(leaf.shape)}" for leaf in leaves[:MOST_HANDED]]
    hidden = len(leaves) - len(given)
    given += [f"{hidden} more"] if hidden else []
    for value in further[:MOST_HANDED]:
        if isinstance(value, Leaf):
            given.append(f"{value.name} {_form(value.shape)}")
        elif isinstance(value, Mapping):
            given.append(f"a dict of {', '.join(map(str, list(value)[:MOST_HANDED]))}")
        else:
            given.append(
                f"an array {_form(value.shape)}" if hasattr(value, "shape") else type(value).__name__
            )
    return ", ".join(given)


def _form(shape: tuple[int, ...]) -> str:
    return f"of shape {shape}" if shape else "(a number)"


def _without_jax(error: BaseException) -> BaseException:
    """The error without JAX's remarks on its own tracebacks."""
    error.__notes__ = [
        note
        for note in getattr(error, "__notes__", ())
        if "JAX has removed" not in note and set(note) != {"-"}
    ]
    error.__cause__ = None
    error.__suppress_context__ = True
    return error


def _of_jax(error: BaseException, why: str, what: str) -> TracingError:
    place = place_of(_frame_of(error))
    where = f"{place}: " if place else ""
    text = f"\n    {place.expression}" if place and place.expression else ""
    return TracingError(
        f"{where}{what} is asked of something that depends on the parameters, {why}.{text}\n"
        f"Write it with np.where and NumPy functions, {NUMERIC}."
    )


def _names_given(error: BaseException) -> set[str]:
    """The parameters behind the traced values that code outside the cost held when it failed; empty if none."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    names: set[str] = set()
    if step is None or not is_library(step.tb_frame.f_code.co_filename):
        return names
    module = str(step.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
    if module not in ("jax", "jaxlib", __name__.partition(".")[0]):
        for value in step.tb_frame.f_locals.values():
            names |= names_in(value)
    return names


def _frame_of(error: BaseException) -> types.FrameType | None:
    found = None
    step = error.__traceback__
    while step is not None:
        if not is_library(step.tb_frame.f_code.co_filename):
            found = step.tb_frame
        step = step.tb_next
    return found


def _lowest_precision(jaxpr: ClosedJaxpr) -> str:
    """The least precise floating type of any intermediate value."""
    lowest = np.dtype(np.float64)
    for equation in jaxpr.jaxpr.eqns:
        for variable in equation.outvars:
            dtype = getattr(variable.aval, "dtype", None)
            if (
                dtype is not None
                and jax.numpy.issubdtype(dtype, np.floating)
                and dtype.itemsize < lowest.itemsize
            ):
                lowest = np.dtype(dtype)
    return lowest.name


# -- traces kept for a second call -------------------------------------------------------------------------

# One function rarely meets more than a few shapes of parameters; beyond this the oldest trace is dropped.
KEPT_PER_FUNCTION = 4
# Functions whose traces are kept, with all that they read: those called last.
KEPT_FUNCTIONS = 32


@dataclass(frozen=True)
class _Entry:
    """A kept trace and what must be equal for it to serve again."""

    function: Any
    key: str
    style: str
    args: tuple[Any, ...]
    marks: tuple[Any, ...]
    reads: Reads
    found: Trace

    def serves(self, parameters: Parameters, args: tuple[Any, ...], style: str) -> bool:
        """Whether a call with these arguments would record the same again."""
        if self.key != parameters.key or self.style != style or len(args) != len(self.args):
            return False
        for value, known, mark in zip(args, self.args, self.marks, strict=True):
            if not unchanged(value, known, mark):
                return False
        return self.reads.still_valid()


_traces: OrderedDict[Any, list[_Entry]] = OrderedDict()
_guard = threading.Lock()


def _identity(function: Any) -> Any:
    """A function by its identity; a method by its object's, an expression by its text: both are made anew."""
    if isinstance(function, Expression):
        return function.text
    if isinstance(function, types.MethodType):
        return id(function.__func__), id(function.__self__)
    return id(function)


def _kept(function: Any, parameters: Parameters, args: tuple[Any, ...], style: str) -> Trace | None:
    for entry in _traces.get(_identity(function), ()):
        if entry.serves(parameters, args, style):
            return entry.found
    return None


def _keep(
    function: Any,
    parameters: Parameters,
    args: tuple[Any, ...],
    style: str,
    reads: Reads,
    found: Trace,
) -> None:
    if not reads.cacheable or parameters.key is None:
        return
    try:
        marks = tuple(mark_of(value) for value in args)
    except Changeable:
        return
    reads.in_columns()  # made ready for the next call
    entry = _Entry(function, parameters.key, style, args, marks, reads, found)
    with _guard:
        entries = _traces.pop(_identity(function), [])
        others = [other for other in entries if not (other.key == entry.key and other.style == style)]
        _traces[_identity(function)] = [*others[-(KEPT_PER_FUNCTION - 1) :], entry]
        while len(_traces) > KEPT_FUNCTIONS:
            _traces.popitem(last=False)
