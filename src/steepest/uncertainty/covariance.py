"""The covariance of fitted parameters by singular values, and in words what the data leave undetermined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..numerics import EPS

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

# A singular value of the Jacobian with columns of length one that is below this many roundings (times m) of the
# largest cannot be told from zero: an error bar made from it would be noise.
RANK = 4.0 * EPS

# A parameter takes part in an undetermined combination when it holds this much of it; less is rounding.
SHARE = 1e-6

# Up to this many names are told of one combination.
MOST_NAMES = 4


@dataclass(frozen=True)
class Covariance:
    """What the data say of the parameters, in the units of their squares.

    `matrix` (k, k): infinite where nothing is known, NaN for a parameter held at its bound. `rank`: how many
    combinations are determined. `condition`: of the Jacobian with columns of length one. `reasons`: for each
    parameter (by place) without an error bar, why.
    """

    matrix: Matrix
    rank: int
    condition: float
    reasons: dict[int, str]

    @property
    def errors(self) -> Vector:
        """Standard errors, shape (k,)."""
        return np.sqrt(np.diag(self.matrix))

    @property
    def determined(self) -> bool:
        """Whether every parameter has an error bar."""
        return not self.reasons


def covariance_of(
    J: Any,
    variance: float | Callable[[int], float],
    names: Sequence[str],
    at_bound: np.ndarray | None = None,
    least: Vector | float = 0.0,
) -> Covariance:
    """variance · (JᵀJ)⁻¹ for J (m, k), by the singular values of J with its columns made of length one.

    Never forms JᵀJ, which would lose half the digits (Golub & Van Loan 2013, section 5.3.8). `variance`: of one
    weighted residual, or what gives it for a rank; `at_bound` (k,): parameters a bound holds, which are left out;
    `least` (k,): columns of J no longer than this are rounding, and their parameter counts as one that the model does
    not feel.

    >>> found = covariance_of(np.array([[1.0, 0.0], [0.0, 2.0]]), 4.0, ("a", "b"))
    >>> found.errors
    array([2., 1.])
    """
    J = np.asarray(J.toarray() if hasattr(J, "toarray") else J, dtype=np.float64)
    k = J.shape[1]
    held = np.zeros(k, dtype=bool) if at_bound is None else at_bound
    reasons = {int(j): f"{names[j]} sits at its bound" for j in np.flatnonzero(held).tolist()}
    size = np.sqrt(np.einsum("ij,ij->j", J, J))
    if not np.isfinite(size).all():
        whole = np.full((k, k), np.nan)
        return Covariance(whole, 0, np.inf, dict.fromkeys(range(k), "the Jacobian is not finite"))
    dead = (size <= least) & ~held
    for j in np.flatnonzero(dead).tolist():
        reasons[j] = f"the model does not change with {names[j]} here"
    alive = np.flatnonzero(~held & ~dead)
    matrix = np.zeros((k, k))
    if alive.size == 0:
        return _closed(matrix, held, dead, Covariance(matrix, 0, np.inf, reasons))
    from scipy.linalg import lapack

    A = J[:, alive] / size[alive]
    _, s, Vt, trouble = lapack.dgesdd(A, full_matrices=0)
    if trouble:
        _, s, Vt = np.linalg.svd(A, full_matrices=False)
    limit = RANK * max(A.shape) * s[0]
    rank = int((s > limit).sum())
    axes = Vt[:rank] / s[:rank, None]
    inner = (
        axes.T
        @ axes
        * (variance(rank) if callable(variance) else variance)
        / np.outer(size[alive], size[alive])
    )
    matrix[np.ix_(alive, alive)] = inner
    if rank < alive.size:
        null = np.linalg.svd(Vt[:rank])[2][rank:] if rank else np.eye(alive.size)
        for direction in null:
            _blame(direction, size, alive, names, reasons)
        loose = np.zeros(k, dtype=bool)
        loose[list(set(reasons) - set(np.flatnonzero(held)))] = True
        dead = dead | loose
    condition = float(s[0] / s[-1]) if rank == alive.size else np.inf
    return _closed(matrix, held, dead, Covariance(matrix, rank, condition, reasons))


def _blame(
    direction: Vector, size: Vector, alive: np.ndarray, names: Sequence[str], reasons: dict[int, str]
) -> None:
    """Say of every parameter in an undetermined combination which one that is."""
    share = np.abs(direction)
    inside = np.flatnonzero(share > SHARE * share.max())
    steps = direction[inside] / size[alive[inside]]
    steps = steps / np.abs(steps).max()
    order = np.argsort(-share[inside])[:MOST_NAMES]
    told = " ".join(
        f"{'+' if steps[i] >= 0 else '-'} {_times(abs(steps[i]))}{names[alive[inside[i]]]}"
        for i in sorted(order)
    )
    told = told.removeprefix("+ ")
    told = f"-{told[2:]}" if told.startswith("- ") else told
    more = "" if inside.size <= MOST_NAMES else " …"
    words = (
        f"the data do not determine {names[alive[inside[0]]]}"
        if inside.size == 1
        else f"moving along {told}{more} changes nothing: only the rest is determined"
    )
    for i in inside:
        reasons.setdefault(int(alive[i]), words)


def _times(size: float) -> str:
    """A factor before a name; none where it is one."""
    return "" if f"{size:.3g}" == "1" else f"{size:.3g}·"


def _closed(matrix: Matrix, held: np.ndarray, loose: np.ndarray, found: Covariance) -> Covariance:
    """Mark rows and columns of parameters without an error bar."""
    if loose.any():
        matrix[loose, :] = np.nan
        matrix[:, loose] = np.nan
        matrix[loose, loose] = np.inf
    if held.any():
        matrix[held, :] = np.nan
        matrix[:, held] = np.nan
    return found


def correlation_of(covariance: Matrix) -> Matrix:
    """Correlations, (k, k), of a covariance (k, k); NaN where either error is unknown, one on the diagonal.

    >>> correlation_of(np.array([[4.0, 1.0], [1.0, 1.0]]))
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    errors = np.sqrt(np.diag(covariance))
    with np.errstate(all="ignore"):
        found = covariance / np.outer(errors, errors)
    np.fill_diagonal(found, 1.0)
    return np.clip(found, -1.0, 1.0)
