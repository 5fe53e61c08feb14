"""What a report tells of a result, whichever call it came from: of `minimize`, of `fit` or of `train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..parameters import EntryNames, Leaf
from ..presentation.text import flat, names_of

Vector = np.ndarray


@dataclass(frozen=True)
class Told:
    """The parts of a result that a page shows; None or empty where the result has none.

    `values`, `errors`, `digits`, `start` (n,): of each parameter in the order of `names`. `counts`: pairs of a number
    and what it counts. `kind`: "minimize", "fit" or "train".
    """

    kind: str
    label: str
    verdict: str
    success: bool
    sentence: str
    next_step: str
    cost: float
    names: Sequence[str]
    values: Vector
    errors: Vector | None
    digits: Vector | None
    start: Vector | None
    remarks: tuple[str, ...]
    evidence: tuple[Any, ...]
    plan: Any
    history: Any
    stop: str
    timing: dict[str, float]
    counts: tuple[tuple[int, str], ...]
    derivatives: str
    precision: str


def told(result: Any) -> Told:
    """Read a result; raises `InputError` for anything that carries no verdict."""
    if not hasattr(result, "verdict") or not hasattr(result, "evidence"):
        raise InputError(
            "a report is made of a result with a verdict, such as steepest.minimize returns, not of "
            f"{type(result).__name__}"
        )
    kind = "fit" if hasattr(result, "predict") else "train" if hasattr(result, "epochs") else "minimize"
    values = _values(result, kind)
    digits = getattr(result, "digits", None)
    digits = None if digits is None else np.asarray(flat(digits), dtype=float)
    errors = getattr(result, "errors", None) if kind == "fit" else None
    return Told(
        kind=kind,
        label=str(getattr(result, "label", "") or "cost"),
        verdict=str(result.verdict),
        success=bool(result.success),
        sentence=str(getattr(result, "message", "") or ""),
        next_step=str(getattr(result, "next_step", "") or ""),
        cost=float(result.fun if kind == "minimize" else result.cost),
        names=_entry_names(result)
        if kind == "train"
        else names_of(values.size, getattr(result, "names", ()) or ()),
        values=values,
        errors=None if errors is None else flat(errors).astype(float),
        digits=digits if digits is not None and digits.size == values.size else None,
        start=_start(result, values.size),
        remarks=tuple(getattr(result, "remarks", ()) or ()),
        evidence=tuple(result.evidence or ()),
        plan=getattr(result, "plan", None),
        history=getattr(result, "history", None),
        stop=_stop(result),
        timing=dict(getattr(result, "timing", None) or {}),
        counts=_counts(result),
        derivatives=str(getattr(result, "derivatives", "")),
        precision=str(getattr(result, "precision", "")),
    )


def _entry_names(result: Any) -> Sequence[str]:
    """A name for each number of a training run, from the names and shapes of its arrays."""
    leaves, stop = [], 0
    for name, array in zip(result.names, result.arrays, strict=True):
        start, stop = stop, stop + int(np.size(array))
        leaves.append(Leaf(name, np.shape(array), start, stop))
    return EntryNames(tuple(leaves))


def _values(result: Any, kind: str) -> Vector:
    if kind == "fit":
        return flat(dict(result.values)).astype(float)
    if kind == "train":
        return np.concatenate([np.ravel(np.asarray(array, dtype=float)) for array in result.arrays])
    return flat(result.x).astype(float)


def _start(result: Any, n: int) -> Vector | None:
    """Where the walk began: all parameters, fixed ones included."""
    given = getattr(result, "start", None)
    if given is not None and not callable(given):
        return flat(dict(given)).astype(float) if isinstance(given, dict) else flat(given).astype(float)
    problem = getattr(result, "_problem", None)
    if problem is not None:
        return np.asarray(problem.whole(problem.start), dtype=float)
    x = getattr(getattr(result, "history", None), "x", None)
    known = x is not None and np.ndim(x) == 2 and len(x) and np.shape(x)[1] == n
    return np.asarray(x[0], dtype=float) if known and x is not None else None


def _stop(result: Any) -> str:
    reason = getattr(result, "reason", "") or getattr(result, "ended", "")
    return str(reason or getattr(result, "stop", "") or "")


def _counts(result: Any) -> tuple[tuple[int, str], ...]:
    words = (("nfev", "value"), ("njev", "gradient"), ("nhev", "Hessian"), ("nit", "step"), ("steps", "step"))
    found = [(getattr(result, name, None), word) for name, word in words]
    return tuple(
        (int(count), word) for count, word in found if isinstance(count, (int, np.integer)) and count
    )
