"""A cost of parameters and a batch, recorded once for each shape of batch: what training differentiates.

Unlike `trace`, which sees all parameters as one flat vector of float64, this keeps every array an input of its
own and in the precision that is trained in: a layer's weights never have to be copied together.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import lax

from ..errors import InputError, TracingError
from ..parameters import Layout
from .arrays import TracedArray
from .explain import for_batches, refusals_kept
from .lookalike import Lookalike
from .passes import simplify
from .prints import silent
from .recurrences import with_loops
from .splitting import splits_for_slices
from .trace import _explained, _result, _runnable, label_of

PRECISIONS = ("float32", "float64", "bfloat16")


def numbers_in(precision: str) -> AbstractContextManager[Any]:
    """A scope in which JAX's numbers are at most as wide as `precision` wants, whatever the user's setting is."""
    return jax.enable_x64(precision == "float64")


def kept_type(dtype: np.dtype[Any], precision: str) -> np.dtype[Any]:
    """The type in which an array of `dtype` reaches the device.

    Bytes and short integers stay as they are: an image is a quarter the size on the way to the device.
    """
    wide = precision == "float64"
    if dtype.kind == "f":
        return np.dtype(np.float64 if wide else np.float32)
    if dtype.kind in "iu" and dtype.itemsize == 8 and not wide:
        return np.dtype(np.int32 if dtype.kind == "i" else np.uint32)
    return np.dtype(dtype)


def as_kept(array: Any, precision: str) -> Any:
    """The array in the type in which it reaches the device.

    Raises
    ------
    InputError: whole numbers are beyond what 32 bits hold; they would come out as others.

    >>> as_kept(np.array([3, 4]), "float32").dtype
    dtype('int32')
    """
    kind = kept_type(np.dtype(array.dtype), precision)
    if kind.kind in "iu" and kind.itemsize < array.dtype.itemsize and np.size(array):
        for number in (array.min(), array.max()):
            if not np.iinfo(kind).min <= number <= np.iinfo(kind).max:
                raise InputError(
                    f"a whole number of the data, {int(number):,}, is beyond what {kind} holds, in which whole numbers "
                    f'are kept at precision="{precision}"; give these as floats, near one where you can, or '
                    'precision="float64"'
                )
    return array if array.dtype == kind else array.astype(kind)


@dataclass(frozen=True)
class BatchCost:
    """A cost as one jaxpr: the arrays of the parameters, then those of the batch, in; one number out."""

    closed: Any
    parameters: int

    @property
    def constants(self) -> list[Any]:
        """What the cost reads besides its arguments; handed in at each call, never baked into the program."""
        return list(self.closed.consts)

    def __call__(self, constants: Sequence[Any], parameters: Sequence[Any], batch: Sequence[Any]) -> Any:
        """The cost, shape (), for arrays of the recorded shapes."""
        return jax.core.eval_jaxpr(self.closed.jaxpr, list(constants), *parameters, *batch)[0]


def record(
    cost: Callable[..., Any], parameters: Layout, batch: Layout, *, precision: str = "float32"
) -> BatchCost:
    """Record `cost(parameters, batch)` on stand-ins for arrays of these shapes; the cost runs once.

    Raises
    ------
    TracingError: the cost does something one trace cannot follow; the message says where.
    InputError: the result is not one number.
    """
    lookalike = Lookalike()
    run = _runnable(cost, lookalike)
    failures: list[BaseException] = []
    inputs = [*parameters.leaves, *batch.leaves]
    columns = {leaf.name for leaf in batch.leaves} - {leaf.name for leaf in parameters.leaves}

    def stand_in(value: Any, leaf: Any) -> Any:
        return value if run is None else TracedArray(value, frozenset({leaf.name}), label=leaf.name)

    def recorded(*values: Any) -> Any:
        pieces = [stand_in(value, leaf) for value, leaf in zip(values, inputs, strict=True)]
        given = parameters.build(iter(pieces[: len(parameters.leaves)]))
        rows = batch.build(iter(pieces[len(parameters.leaves) :]))
        try:
            out = cost(given, rows) if run is None else run(lookalike.parameters(given), rows)
            return _as_number(_result(out, label_of(cost)), cost)
        except BaseException as error:
            failures.append(error)
            raise

    types = [kept_type(np.dtype(np.float64), precision)] * len(parameters.leaves)
    types += [kept_type(dtype, precision) for dtype in batch.types]
    shapes = [jax.ShapeDtypeStruct(leaf.shape, dtype) for leaf, dtype in zip(inputs, types, strict=True)]
    with numbers_in(precision), refusals_kept() as refusals, warnings.catch_warnings():
        # In single precision a rule that asks for NumPy's float64 gets float32, which is what is wanted.
        warnings.filterwarnings("ignore", message="Explicitly requested dtype")
        try:
            closed = jax.make_jaxpr(recorded)(*shapes)
        except BaseException:
            if not failures:
                raise
        finally:
            lookalike.settle()
        if refusals and (not failures or isinstance(failures[0], Exception)):
            raise for_batches(refusals[0], columns)
        if failures:
            found = _explained(failures[0], cost, parameters.leaves, batch.leaves)
            raise for_batches(found, columns) if isinstance(found, TracingError) else found
        # To join weights of many layers copies them at every step, and XLA compiles that longer than the layers.
        looped = with_loops(silent(closed, label_of(cost)), may_join=False)
        whole = simplify(looped, keep_derivatives=True)
        closed = splits_for_slices(whole)
        return BatchCost(closed, len(parameters.leaves))


def _as_number(value: Any, cost: Any) -> Any:
    if np.shape(value) == ():
        return value
    if np.size(value) == 1:
        return lax.reshape(value, ())
    raise InputError(
        f"{label_of(cost)} gives an array of shape {tuple(np.shape(value))}; end it with a mean over the batch, "
        "such as `return np.mean(losses)`"
    )
