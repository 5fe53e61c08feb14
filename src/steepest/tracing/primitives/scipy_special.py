"""One primitive for all functions of `scipy.special` that JAX has no algorithm of: SciPy computes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np
from jax.interpreters import batching, mlir

from .rows import Code, Context, call

# Its parameter `name` is that of the function; "airy:2" is the third of what `airy` gives.
scipy_special_p = jex.Primitive("scipy_special")


@cache
def function_of(name: str) -> Callable[..., Any]:
    """SciPy's function by its name, imported only here.

    >>> float(function_of("j0")(0.0)), float(function_of("airy:2")(0.0)).__round__(4)
    (1.0, 0.6149)
    """
    import scipy.special

    if name == "lambertw":
        return lambda branch, z: scipy.special.lambertw(z, branch)
    own, _, place = name.partition(":")
    function: Callable[..., Any] = getattr(scipy.special, own)
    return (lambda *values: function(*values)[int(place)]) if place else function


def apply(name: str, *operands: Any) -> Any:
    """Record the function of operands of one shape, the last of which tells the type of the result."""
    return scipy_special_p.bind(*operands, name=name)


def written(equation: Any, context: Context) -> Code:
    """The equation as NumPy code."""
    return call(function_of(equation.params["name"]), len(equation.invars))


def _of_arrays(*operands: Any, name: str) -> Any:
    with np.errstate(all="ignore"):
        return np.asarray(function_of(name)(*map(np.asarray, operands)))


def _kind(*operands: Any, name: str) -> Any:
    return jax.core.ShapedArray(np.broadcast_shapes(*(o.shape for o in operands)), operands[-1].dtype)


def _called_back(*operands: Any, name: str) -> Any:
    shape = np.broadcast_shapes(*(np.shape(o) for o in operands))
    kinds = [np.dtype(o.dtype) for o in operands]
    if not all(map(_is_halved, kinds)):
        result = jax.ShapeDtypeStruct(shape, kinds[-1])
        return jax.pure_callback(lambda *values: _of_arrays(*values, name=name), result, *operands)

    # Inside a loop XLA calls from a thread of its own, where JAX would put double precision into single: what is handed
    # over are the halves of each number.
    def of_halves(*halves: Any) -> Any:
        values = [
            np.ascontiguousarray(half).view(kind)[..., 0] for half, kind in zip(halves, kinds, strict=True)
        ]
        found = _of_arrays(*values, name=name).astype(kinds[-1])
        return np.ascontiguousarray(found[..., None]).view(np.uint32)

    halves = [jax.lax.bitcast_convert_type(operand, np.uint32) for operand in operands]
    found = jax.pure_callback(of_halves, jax.ShapeDtypeStruct((*shape, 2), np.uint32), *halves)
    return jax.lax.bitcast_convert_type(found, kinds[-1])


def _is_halved(kind: np.dtype[Any]) -> bool:
    return kind.kind in "fiu" and kind.itemsize == 8


def _batched(operands: Any, axes: Any, *, name: str) -> Any:
    rank = max(np.ndim(operand) - (axis is not None) for operand, axis in zip(operands, axes, strict=True))

    def moved(operand: Any, axis: int | None) -> Any:
        operand = jax.numpy.asarray(operand)
        operand = operand[None] if axis is None else jax.numpy.moveaxis(operand, axis, 0)
        return operand.reshape(operand.shape[0], *(1,) * (rank + 1 - operand.ndim), *operand.shape[1:])

    return scipy_special_p.bind(*map(moved, operands, axes), name=name), 0


scipy_special_p.def_impl(lambda *operands, name: jax.numpy.asarray(_of_arrays(*operands, name=name)))
scipy_special_p.def_abstract_eval(_kind)
batching.primitive_batchers[scipy_special_p] = _batched
mlir.register_lowering(scipy_special_p, mlir.lower_fun(_called_back, multiple_results=False))
