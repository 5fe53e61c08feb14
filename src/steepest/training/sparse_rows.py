"""Data in SciPy's sparse rows: the matrix products of a recorded cost taken over the nonzeros alone.

The cost is recorded as if the data were dense. In the recorded equations a sparse array may only be multiplied by a
vector or a matrix; those equations are taken over by SciPy, every other one runs as it does for dense data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.extend.core as jex
import numpy as np

from ..derivatives.interpreted import interpret
from ..errors import InputError


def is_sparse(array: Any) -> bool:
    """Whether this is one of SciPy's sparse arrays or matrices."""
    return hasattr(array, "tocsr") and hasattr(array, "nnz")


def sparse_aside(data: Any) -> tuple[Any, list[tuple[np.ndarray, Any]]]:
    """The data with a dense stand-in, which takes no memory, for each sparse matrix; and the pairs (stand-in, CSR).

    A sparse matrix is found on its own, or in a dict, a tuple or a list.
    """
    found: list[tuple[np.ndarray, Any]] = []

    def replaced(node: Any) -> Any:
        if is_sparse(node):
            matrix = node.tocsr()
            found.append((np.broadcast_to(np.zeros((), matrix.dtype), matrix.shape), matrix))
            return found[-1][0]
        if isinstance(node, dict):
            return {key: replaced(value) for key, value in node.items()}
        if type(node) in (tuple, list):
            return type(node)(replaced(value) for value in node)
        return node

    return replaced(data), found


def reads_sparse(jaxpr: Any, held: set[Any]) -> bool:
    """Whether any equation reads one of the sparse inputs."""
    return any(atom in held for eq in jaxpr.eqns for atom in eq.invars if isinstance(atom, jex.Var))


def evaluated(closed: Any, held: set[Any]) -> Callable[..., tuple[Any, ...]]:
    """The jaxpr as a function of arrays of which those in `held` are sparse.

    Raises `InputError` for an equation that does something else to a sparse array than multiply it.
    """
    jaxpr = closed.jaxpr
    steps: list[tuple[Callable[..., tuple[Any, ...]], list[Any], list[Any]]] = []
    run: list[Any] = []

    def close_run(rest: list[Any]) -> None:
        """Turn the dense equations collected so far into one function of what they read."""
        if not run:
            return
        made = {var for eq in run for var in eq.outvars}
        read = dict.fromkeys(
            atom for eq in run for atom in eq.invars if isinstance(atom, jex.Var) and atom not in made
        )
        wanted = {atom for eq in rest for atom in eq.invars if isinstance(atom, jex.Var)} | {
            atom for atom in jaxpr.outvars if isinstance(atom, jex.Var)
        }
        out = [var for eq in run for var in eq.outvars if var in wanted]
        part = jaxpr.replace(constvars=[], invars=list(read), outvars=out, eqns=list(run))
        steps.append((interpret(jex.ClosedJaxpr(part, [])), list(read), out))
        run.clear()

    for place, equation in enumerate(jaxpr.eqns):
        if any(isinstance(atom, jex.Var) and atom in held for atom in equation.invars):
            close_run(list(jaxpr.eqns[place:]))
            steps.append((_product(equation, held), list(equation.invars), list(equation.outvars)))
        else:
            run.append(equation)
    close_run([])
    constants = dict(zip(jaxpr.constvars, map(np.asarray, closed.consts), strict=True))

    def function(*arrays: Any) -> tuple[Any, ...]:
        values = {**constants, **dict(zip(jaxpr.invars, arrays, strict=True))}
        for call, read, made in steps:
            values.update(zip(made, call(*[values[atom] for atom in read]), strict=True))
        return tuple(
            values[atom] if isinstance(atom, jex.Var) else np.asarray(atom.val) for atom in jaxpr.outvars
        )

    return function


def _product(equation: Any, held: set[Any]) -> Callable[..., tuple[Any, ...]]:
    """A product of a sparse matrix with a dense array over one axis, in either order."""
    if equation.primitive.name == "dot_general":
        left, right = equation.invars
        (over_left, over_right), (batch, _) = equation.params["dimension_numbers"]
        both = all(isinstance(atom, jex.Var) and atom in held for atom in (left, right))
        if not batch and not both and len(over_left) == len(over_right) == 1:
            if isinstance(left, jex.Var) and left in held:
                return _times(over_left[0], over_right[0], first=True)
            return _times(over_right[0], over_left[0], first=False)
    raise InputError(
        f"the data hold a sparse matrix, and the cost does {equation.primitive.name!r} to it; multiply it by the "
        "parameters (x @ w), or give the data dense (x.toarray())"
    )


def _times(along: int, other: int, *, first: bool) -> Callable[..., tuple[Any, ...]]:
    def times(a: Any, b: Any) -> tuple[Any, ...]:
        sparse, dense = (a, b) if first else (b, a)
        matrix = sparse if along == 1 else sparse.T
        if dense.ndim > 2:
            dense = np.moveaxis(dense, other, 0)
            shape = dense.shape[1:]
            found = (matrix @ dense.reshape(dense.shape[0], -1)).reshape(-1, *shape)
        else:
            found = matrix @ (dense if other == 0 else dense.T)
        found = np.asarray(found)
        # The free axis of the left operand stands first.
        return (found if first else np.moveaxis(found, 0, -1),)

    return times
