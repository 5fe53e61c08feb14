"""Answers about a fit: its points, and what `fit` makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .fitting import Fitting

Array = np.ndarray[Any, np.dtype[Any]]


def fitted(current: Fitting, start: Array | None) -> tuple[dict[str, Any], dict[str, Array]]:
    """The points, and what `fit` finds from `start` (n,), by default the fit's own."""
    from ..fit import fit

    begin = current.subject.start if start is None else start
    by_name = {name: float(value) for name, value in zip(current.names, begin, strict=True)}
    result = fit(current.model.text, current.x, current.y, by_name, budget={"evaluations": 20_000})
    end = np.array([float(result.values[name]) for name in current.names])
    errors = result.errors
    header = {
        "model": current.model.text,
        "variable": current.variable,
        "column": current.column,
        "measured": current.measured,
        "names": list(current.names),
        "start": begin.tolist(),
        "x": end.tolist(),
        "errors": None if errors is None else [float(errors[name]) for name in current.names],
        "value": float(np.sum((current.y - current.curve(end, current.x)) ** 2)),
        "verdict": result.verdict.value,
        "is_minimum": bool(result.success),
        "sentence": result.message,
        "steps": result.nit,
        "evaluations": result.nfev,
    }
    history = result.history
    return header, {"x": current.x, "y": current.y, "path": history.x, "f": history.value}
