"""Does a quadratic term bend down anywhere? Read off its squares, or from its constant Hessian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..linear_algebra.equilibrate import equilibration
from ..linear_algebra.semidefinite import is_exactly_semidefinite
from ..numerics import EPS
from ..tracing.primitives import NoRule, evaluate_equation
from .reading import Reading
from .squares import is_squares_and_line

# Terms of more parameters that are no sum of squares as they are written are left to the judge, which asks the
# derivative for the Hessian.
MOST_PARAMETERS = 24

# A Hessian entry is a sum of four values of the term, each wrong by some units in its last place.
ENTRY_ROUNDING = 16 * EPS

# Along so many directions of mixed signs a downward bend is looked for before the whole Hessian is made: a product of
# two parameters is found out by the first few.
DIRECTIONS = 8

# Once the rows are in like units, an eigenvalue is off by what the entries are, and by some units in the last place.
EIGENVALUE_ROUNDING = 8 * EPS


def is_positive_semidefinite(reading: Reading, var: Any, degrees: dict[Any, float]) -> bool:
    """Whether the quadratic `var` (one number) has no downward curvature; False where it is not found out."""
    if is_squares_and_line(reading, var, degrees):
        return True
    if reading.n > MOST_PARAMETERS:
        return False
    needed = needed_for(reading, [var])

    def q(x: np.ndarray) -> float:
        return float(np.reshape(values_of(reading, needed, x)[var], ()))

    try:
        if _bends_down(q, reading.n):
            return False
        H, error = _constant_hessian(q, reading.n)
    except (NoRule, ValueError, TypeError):
        return False  # NumPy cannot evaluate the term
    if not np.isfinite(H).all():
        return False
    d = equilibration(H)
    lowest = float(np.linalg.eigvalsh(d[:, None] * H * d)[0])
    doubt = float((d[:, None] * error * d).sum(axis=1).max()) + len(d) * EIGENVALUE_ROUNDING
    if abs(lowest) > doubt:
        return lowest > 0.0
    return is_exactly_semidefinite(H)


def _bends_down(q: Callable[[np.ndarray], float], n: int) -> bool:
    """Whether the quadratic `q` of (n,) was seen to bend down: vᵀHv = q(v) + q(-v) - 2 q(0)."""
    zero = q(np.zeros(n))
    signs = np.random.default_rng(n).integers(0, 2, (DIRECTIONS, n)) * 2.0 - 1.0
    for v in signs:
        ahead, behind = q(v), q(-v)
        size = abs(ahead) + abs(behind) + 2.0 * abs(zero)
        if ahead + behind - 2.0 * zero < -ENTRY_ROUNDING * size:
            return True
    return False


def _constant_hessian(q: Callable[[np.ndarray], float], n: int) -> tuple[np.ndarray, np.ndarray]:
    """The Hessian of the quadratic `q` of (n,), and the size of its rounding errors, both (n, n).

    H_ij = q(e_i + e_j) - q(e_i) - q(e_j) + q(0), without truncation.
    """
    unit = np.eye(n)
    H, error = np.empty((n, n)), np.empty((n, n))
    zero = q(np.zeros(n))
    single = [q(unit[i]) for i in range(n)]
    for i in range(n):
        for j in range(i + 1):
            both = q(unit[i] + unit[j])
            H[i, j] = H[j, i] = both - single[i] - single[j] + zero
            size = abs(both) + abs(single[i]) + abs(single[j]) + abs(zero)
            error[i, j] = error[j, i] = ENTRY_ROUNDING * size
    return H, error


def needed_for(reading: Reading, wanted: Sequence[Any]) -> list[Any]:
    """The equations that the variables `wanted` are made by and that depend on the parameters, in order."""
    left, indices = list(wanted), set()
    while left:
        index = reading.made_by.get(left.pop())
        if index is None or index in indices:
            continue
        indices.add(index)
        left.extend(atom for atom in reading.equations[index].invars if reading.depends(atom))
    return [reading.equations[index] for index in sorted(indices)]


def values_of(reading: Reading, equations: list[Any], x: np.ndarray) -> dict[Any, Any]:
    """What the variables of these equations are at `x` (n,). Raises `NoRule` where NumPy has no rule for one."""
    values: dict[Any, Any] = {reading.x: x.reshape(reading.x.aval.shape)}
    for equation in equations:
        operands = [
            values[a] if reading.depends(a) else np.asarray(reading.constant(a)) for a in equation.invars
        ]
        values.update(zip(equation.outvars, evaluate_equation(equation, operands), strict=True))
    return values
