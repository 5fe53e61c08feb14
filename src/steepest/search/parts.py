"""Is a curve a sum of parts, each in proportion to an amplitude of its own? Told by which slopes change with what.

The slope of an amplitude depends neither on itself, nor on another amplitude, nor on what belongs to other parts. So
one parameter is moved at a time, and the columns of the Jacobian that change name those it meets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..bounds import Vector
from ..linear_algebra.dense import dense
from ..objective import Objective
from ..solvers.linear_residuals import AWAY, GOLDEN, STRAIGHT

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, eq=False)
class Part:
    """Which parameters are its amplitudes, `linear` (l,), and which give it its shape, `others` (p,).

    `kind`: a number, the same for parts that can stand for each other.
    """

    linear: np.ndarray
    others: np.ndarray
    kind: int


@dataclass(frozen=True, eq=False)
class Parts:
    """The `parts` that have a shape of their own, and all parameters in which the residuals are `linear` (n,).

    `share_shapes`: whether some parameter shapes several parts; it is none of theirs.
    """

    parts: tuple[Part, ...]
    linear: Mask
    share_shapes: bool


def parts_of(objective: Objective, start: Vector) -> Parts | None:
    """The parts of the residuals, looked at about `start` (n,); None where there is none with a shape of its own.

    What bends, and yet is as straight between two places as rounding, is of no consequence: no place follows from the
    parts alone. Takes n + 1 Jacobians, and one for each part that may be of the same kind as another.

    >>> from steepest.objective import Linearisation, Linearised
    >>> t = np.linspace(0.0, 2.0, 5)
    >>> def decays(x):                                     # x₁·exp(-x₂·t) + x₃·exp(-x₄·t) + x₅
    ...     one, other = np.exp(-x[1] * t), np.exp(-x[3] * t)
    ...     J = np.stack([one, -x[0] * t * one, other, -x[2] * t * other, np.ones(5)], axis=1)
    ...     r = x[0] * one + x[2] * other + x[4]
    ...     return Linearised(float(r @ r), r, J)
    >>> slopes = lambda x: (decays(x).value, 2.0 * decays(x).jacobian.T @ decays(x).residual)
    >>> objective = Objective(5, value_and_gradient=slopes, linearised=Linearisation(decays, False))
    >>> found = parts_of(objective, np.array([1.0, 1.0, 2.0, 3.0, 0.0]))
    >>> [(part.linear.tolist(), part.others.tolist(), part.kind) for part in found.parts]
    [([0], [1], 0), ([2], [3], 0)]
    >>> found.linear.tolist()
    [True, False, True, False, True]
    """
    n, project = start.size, objective.bounds.project
    turns = np.modf(GOLDEN * np.arange(1, 2 * n + 1))[0]
    size = np.where(start != 0.0, np.abs(start), 1.0)
    # Not at the start itself: of amplitudes that are zero there, or all alike, it says nothing.
    base = project(start + AWAY * (turns[:n] - 0.5) * size)
    moves = AWAY * (0.5 + turns[n:]) * size
    here = objective.linearised(base)
    J = dense(here.jacobian)
    largest = np.abs(J).max(axis=0)
    meets = np.zeros((n, n), dtype=bool)
    for j in range(n):
        ahead, back = base.copy(), base.copy()
        ahead[j], back[j] = base[j] + moves[j], base[j] - moves[j]
        ahead, back = project(ahead), project(back)
        farther = ahead if abs(ahead[j] - base[j]) >= abs(back[j] - base[j]) else back
        there = dense(objective.linearised(farther).jacobian)
        rounding = STRAIGHT * np.maximum(largest, np.abs(there).max(axis=0))
        meets[:, j] = ~(np.abs(there - J).max(axis=0) <= rounding)  # so that NaN meets everything
    meets |= meets.T
    linear = _apart(meets)
    groups, share_shapes = _groups(meets, linear)
    if not groups:
        return None
    return Parts(_of_kinds(objective, base, here.residual, groups), linear, share_shapes)


def _apart(meets: Mask) -> Mask:
    """Parameters (n,) no two of which meet, nor any itself, those that meet few others first."""
    chosen = np.zeros(len(meets), dtype=bool)
    for i in np.argsort(meets.sum(axis=0), kind="stable"):
        chosen[i] = not meets[i, i] and not meets[i, chosen].any()
    return chosen


def _groups(meets: Mask, linear: Mask) -> tuple[list[tuple[np.ndarray, np.ndarray]], bool]:
    """Amplitudes and shape parameters of each part, and whether parts share some of those.

    Shared are those that meet more amplitudes than others of theirs do, as one width of all peaks does.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    met = (meets & linear).sum(axis=1)
    shaping = ~linear & (met > 0)
    _, label = connected_components(csr_array(meets), directed=False)
    fewest = np.full(label.max() + 1, len(meets))
    np.minimum.at(fewest, label[shaping], met[shaping])
    shared = shaping & (met > fewest[label])
    _, label = connected_components(csr_array(meets & ~shared & ~shared[:, None]), directed=False)
    parts = (
        (np.flatnonzero((label == k) & linear), np.flatnonzero((label == k) & shaping)) for k in set(label)
    )
    found = [(own, others) for own, others in parts if own.size and others.size]
    return sorted(found, key=lambda one: int(one[0][0])), bool(shared.any())


def _of_kinds(
    objective: Objective, base: Vector, residual: Vector, groups: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[Part, ...]:
    """Parts are of one kind where the residuals at `base` (n,) stay as they are when the two change places."""
    parts: list[Part] = []
    for linear, others in groups:
        kind = len(parts)
        for first in (part for k, part in enumerate(parts) if part.kind == k):
            if (first.linear.size, first.others.size) != (linear.size, others.size):
                continue
            mine, its = np.r_[linear, others], np.r_[first.linear, first.others]
            place = base.copy()
            place[mine], place[its] = base[its], base[mine]
            if not objective.bounds.contains(place):
                continue
            off = np.abs(objective.linearised(place).residual - residual).max()
            if off <= STRAIGHT * np.abs(residual).max():
                kind = first.kind
                break
        parts.append(Part(linear, others, kind))
    return tuple(parts)
