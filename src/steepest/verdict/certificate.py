"""A certificate: a verdict with all that a stranger needs to check it again, as plain JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .naming import DATA_CARRIED, carried, naming

FORMAT = "steepest certificate 1"


class Certificate(dict[str, Any]):
    """The claims of a result and how to check them; JSON values only. `str` gives the JSON text."""

    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False, allow_nan=False, indent=1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON into a file that `steepest verify` reads."""
        Path(path).write_text(f"{self}\n", encoding="utf-8")


def certify(
    problem: Any, claims: Mapping[str, Any], start: np.ndarray | None, constraints: Any = None
) -> Certificate:
    """The certificate of `claims`, JSON values, about a point of `problem`: what is needed to judge it afresh.

    The point is written with all its digits, so that whoever reads it judges the same point. A cost is named by
    its text, or by file, function and the hash of the file, which must be the same when it is checked. `start`
    (n,): where the walk began, from which the judge takes the parameters' natural sizes. `constraints`: those that
    were asked for, in the forms of `minimize`; raises `InputError` for one that nobody could find again.
    """
    from .carried_constraints import written

    between = {} if constraints is None else {"constraints": written(constraints)}
    box, free = problem.objective.bounds, problem.free
    return Certificate(
        format=FORMAT,
        cost=_naming(problem.cost),
        data=[carried(value) for value in problem.args],
        names=list(problem.names) if len(problem.names) <= DATA_CARRIED else None,
        free=None if free is None else free.tolist(),
        bounds=_pairs(box) if box.any else None,
        start=None if start is None else start.tolist(),
        **between,
        **claims,
        made_with=_versions(),
    )


def read(path: str | os.PathLike[str]) -> Certificate:
    """The certificate in a file; raises `InputError` where it is none."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{path} is not a certificate: it does not say {FORMAT!r}")
    missing = {"cost", "x", "verdict", "fun"} - set(found)
    if missing:
        raise InputError(f"{path}: the certificate lacks {', '.join(sorted(missing))}")
    return Certificate(found)


# ---- what is written


def _naming(cost: Any) -> dict[str, Any]:
    return {"expression": cost.label} if cost.names is not None else naming(cost.function)


def _pairs(box: Any) -> list[list[float | None]]:
    return [
        [low if math.isfinite(low) else None, high if math.isfinite(high) else None]
        for low, high in zip(box.lower.tolist(), box.upper.tolist(), strict=True)
    ]


def _versions() -> dict[str, str]:
    import platform
    from importlib import metadata

    found = {"python": platform.python_version()}
    for package in ("steepest", "numpy", "jax"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
