"""LAPACK's own routines by their own names, such as `lapack.dpotrf`; SciPy, which has them, comes in at first use.

Called directly they cost about a microsecond beyond their work. NumPy's wrappers cost ten, as much as factorising a
10 × 10 matrix.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from scipy.linalg import lapack

    try:
        routine = getattr(lapack, name)
    except AttributeError:
        raise AttributeError(f"LAPACK has no routine {name!r}") from None
    globals()[name] = routine
    return routine
