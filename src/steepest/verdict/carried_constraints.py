"""Constraints as a certificate carries them: plain JSON in, the forms that `constraints=` takes out again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .naming import DATA_CARRIED, carried, found_again, naming

# `functions(told)` gives the function that an entry of a certificate names.
Functions = Callable[[Mapping[str, Any]], Callable[..., Any]]


def written(given: Any) -> list[dict[str, Any]]:
    """Each constraint of `constraints=` as JSON values.

    Raises `InputError` for a function that nobody else could find: one without a name or without a file.
    """
    from ..constraints.reading import listed

    return [_written(one, number) for number, one in enumerate(listed(given), start=1)]


def _written(one: Any, number: int) -> dict[str, Any]:
    if isinstance(one, str):
        return {"expression": one}
    if isinstance(one, Mapping):
        kind = str(one["type"]).lower()
        args = one.get("args", ())
        args = args if isinstance(args, tuple) else (args,)
        told: dict[str, Any] = {"type": kind, **_function(one["fun"], number)}
        told |= {"data": [carried(value) for value in args]} if args else {}
        return told | ({"name": str(one["name"])} if one.get("name") else {})
    limits = {"lower": _limits(one.lb), "upper": _limits(one.ub)}
    if hasattr(one, "A"):
        return {"matrix": _matrix(one.A, number), **limits}
    return {**_function(one.fun, number), **limits}


def _function(fun: Any, number: int) -> dict[str, Any]:
    if isinstance(fun, str):
        return {"expression": fun}
    told = naming(fun)
    if not found_again(told):
        raise InputError(
            f"constraint {number} is {told['function']}, which nobody who checks a certificate could find again; write "
            "it as a function of its own in a Python file, or as an expression such as 'x**2 + y**2 <= 1'. "
            "result.to_dict() has the multipliers and the violation meanwhile"
        )
    return told


def _matrix(A: Any, number: int) -> dict[str, Any]:
    if hasattr(A, "tocoo"):
        entries = A.tocoo()
        if entries.nnz <= DATA_CARRIED:
            rows, columns = (np.asarray(index).tolist() for index in entries.coords)
            shape = list(entries.shape)
            return {"shape": shape, "rows": rows, "columns": columns, "values": entries.data.tolist()}
        count = entries.nnz
    else:
        A = np.atleast_2d(np.asarray(A, dtype=np.float64))
        if A.size <= DATA_CARRIED:
            return {"values": A.tolist()}
        count = A.size
    raise InputError(
        f"the matrix of constraint {number} holds {count:,} numbers; a certificate carries {DATA_CARRIED:,}"
    )


def _limits(limit: Any) -> list[float | str]:
    """Limits as JSON: infinities by their names, which JSON has no number for."""
    flat = np.asarray(limit, dtype=np.float64).ravel().tolist()
    return [value if math.isfinite(value) else str(value) for value in flat]


def read_again(told: Sequence[Mapping[str, Any]], functions: Functions) -> list[Any]:
    """What `constraints=` takes, from what `written` wrote; `functions` finds the functions it names."""
    return [_read(one, number, functions) for number, one in enumerate(told, start=1)]


def _read(one: Mapping[str, Any], number: int, functions: Functions) -> Any:
    from scipy.optimize import LinearConstraint, NonlinearConstraint

    try:
        if "matrix" in one:
            return LinearConstraint(_matrix_of(one["matrix"]), *_limits_of(one))
        fun: Any = one["expression"] if "expression" in one else functions(one)
        if "type" in one:
            found = {"type": one["type"], "fun": fun, "args": tuple(_data(one, number))}
            return found | ({"name": one["name"]} if "name" in one else {})
        return fun if "lower" not in one else NonlinearConstraint(fun, *_limits_of(one))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"constraint {number} of the certificate cannot be read: {error}") from None


def _matrix_of(told: Mapping[str, Any]) -> Any:
    if "rows" not in told:
        return np.array(told["values"], dtype=np.float64)
    import scipy.sparse as sparse

    return sparse.csr_array((told["values"], (told["rows"], told["columns"])), shape=tuple(told["shape"]))


def _limits_of(told: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = (np.array([float(value) for value in told[side]]) for side in ("lower", "upper"))
    return lower, upper


def _data(one: Mapping[str, Any], number: int) -> list[Any]:
    values = []
    for row in one.get("data", ()):
        if row.get("values") is None:
            raise InputError(
                f"the certificate does not carry the further arguments of constraint {number}; check it in Python with "
                "steepest.recheck.recheck(certificate, cost, constraints=...)"
            )
        values.append(np.array(row["values"], dtype=row["dtype"]) if row["shape"] else row["values"])
    return values
