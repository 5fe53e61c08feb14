"""Answers about a fit: its points, and where the walk of its parameters ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from .fitting import Fitting

Array = np.ndarray[Any, np.dtype[Any]]


def fitted(current: Fitting, start: Array | None) -> tuple[dict[str, Any], dict[str, Array]]:
    """The points, and what `minimize` finds from `start` (n,), by default the fit's own."""
    from ..minimize import minimize

    subject = current.subject
    begin = subject.start if start is None else start
    result = minimize(subject.fun, subject.structure(begin), budget={"evaluations": 20_000})
    end = subject.parameters.flatten(result.x)
    errors = _errors(current, end, result.fun)
    header = {
        "model": current.model.text,
        "variable": current.variable,
        "measured": current.measured,
        "names": list(current.names),
        "start": begin.tolist(),
        "x": end.tolist(),
        "errors": errors,
        "value": result.fun,
        "verdict": result.verdict.value,
        "is_minimum": bool(result.success),
        "sentence": result.message,
        "steps": result.nit,
        "evaluations": result.nfev,
    }
    return header, {"x": current.x, "y": current.y, "path": result.history.x, "f": result.history.value}


def _errors(current: Fitting, end: Array, value: float) -> list[float] | None:
    """Standard errors: sqrt of the diagonal of s²(JᵀJ)⁻¹ with s² = squares / (m − n) (Seber & Wild 1989, 2.3)."""
    m, n = current.x.size, current.subject.n
    if m <= n:
        return None
    J = current.slopes(end, current.x)
    if not np.isfinite(J).all():
        return None
    try:
        covariance = np.linalg.inv(J.T @ J) * (value / (m - n))
    except np.linalg.LinAlgError:
        return None
    found = np.sqrt(np.diag(covariance))
    return found.tolist() if np.isfinite(found).all() else None
