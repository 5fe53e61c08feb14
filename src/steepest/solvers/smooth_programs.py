"""The smooth program of a kinked cost as a solver and a judge see it: in units in which its slopes are about one.

The program (`structure.splitting`) is in the user's units, and the interior-point method measures steps and errors by
fixed numbers. Here each kink is counted in what its two sides differ by, each parameter in what moves a kink by one
such unit, and the cost in its steepest slope: all powers of two, so that no digit is lost on the way there and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..bounds import Bounds, Vector
from ..constraints.rows import Block, Rows
from ..objective import Later, Objective

# Units are at most this power of two from one: beyond, products of three of them may overflow.
FARTHEST = 100


@dataclass(frozen=True)
class SmoothProgram:
    """Minimise `objective` where `rows` are zero, in w (N,) with y = `units` (N,) times w; y as in `splitting.Split`.

    `cost_unit`: the objective is the cost divided by it.
    """

    objective: Objective
    rows: Rows
    units: Vector
    cost_unit: float


def smooth_program(objective: Objective, split: Any, y: Vector) -> SmoothProgram:
    """The program of a kinked `objective`, in units told at `y` (N,); its evaluations count as the objective's own.

    `split`: the same cost without its kinks, a `problem.SplitCost`. Raises what the cost raises at `y`.
    """
    program, cost, block = split.program, split.cost, _traced(split.rows, y.size)
    all_slopes = block.jacobian(y)
    slopes = all_slopes[:, : program.n]
    of_kinks = _units_of_kinks(program, y, all_slopes)
    units = np.ones(y.size)
    units[program.pairs] = of_kinks[:, None]
    _, gradient = cost.value_and_gradient(y)
    steepest = np.abs(gradient * units)[program.n :].max(initial=0.0)
    cost_unit = float(_power_of_two(steepest))
    units[: program.n] = _units_of_parameters(cost, y, slopes, of_kinks, cost_unit)
    lower, upper = program.lower.copy(), np.full(y.size, np.inf)
    bounds = objective.bounds
    lower[: program.n], upper[: program.n] = bounds.lower, bounds.upper
    inner = objective.beside(
        y.size,
        value=lambda w: cost.value(units * w) / cost_unit,
        value_and_gradient=lambda w: _both(cost, w, units, cost_unit),
        hessian=lambda w: _times(1.0 / cost_unit * units, cost.hessian(units * w), units),
        sparse_hessian=_sparse(cost, y.size, units, cost_unit),
        bounds=Bounds(lower / units, upper / units),
    )
    scaled = Block(
        block.m,
        lambda w: block.value(units * w) / of_kinks,
        lambda w: _times(1.0 / of_kinks, block.jacobian(units * w), units),
        None if block.hessian is None else _bend(block, units, of_kinks),
        block.linear,
    )
    zero = np.zeros(block.m)
    names = [f"kink {k}" for k in range(block.m)]
    return SmoothProgram(
        inner, Rows(y.size, zero, zero, names, (scaled,), np.arange(block.m)), units, cost_unit
    )


def between(smooth: SmoothProgram, rows: Rows, limits: Any = None) -> Rows:
    """The equations of the kinks and, after them, the constraints `rows` of the parameters, as functions of w (N,).

    `limits`: the first block of those as a traced function of y, where it has kinks itself.
    """
    n, N, kinks = rows.n, smooth.units.size, smooth.rows
    units = smooth.units[:n]
    blocks = [_widened(block, units, N) for block in rows.blocks]
    if limits is not None:
        blocks[0] = _widened(_traced(limits, N), smooth.units, N)
    return Rows(
        N,
        np.concatenate([kinks.lower, rows.lower]),
        np.concatenate([kinks.upper, rows.upper]),
        [*kinks.names, *rows.names],
        (*kinks.blocks, *blocks),
        np.concatenate([kinks.order, kinks.m + rows.order]),
    )


def _widened(block: Block, units: Vector, N: int) -> Block:
    """A block of the first entries, in `units`, as one of w (N,), whose further entries do nothing."""
    n = units.size

    def wide(matrix: Any, rows: int) -> Any:
        if isinstance(matrix, np.ndarray):
            found = np.zeros((rows, N))
            found[: matrix.shape[0], :n] = matrix
            return found
        import scipy.sparse as sparse

        found = sparse.coo_array(matrix)
        return sparse.csr_array((found.data, (found.row, found.col)), shape=(rows, N))

    def bend(w: Vector, weights: Vector) -> Any:
        assert block.hessian is not None
        found = block.hessian(units * w[:n], weights)
        return found if np.ndim(found) != 2 else wide(_times(units, found, units), N)

    return Block(
        block.m,
        lambda w: block.value(units * w[:n]),
        lambda w: wide(_times(np.ones(block.m), block.jacobian(units * w[:n]), units), block.m),
        None if block.hessian is None else bend,
        block.linear,
        block.derivatives,
    )


def _traced(rows: Any, n: int) -> Block:
    """A traced function as one block, kept with its trace."""
    if "block" not in rows.kept:
        from ..constraints.assembly import traced_block

        rows.kept["block"] = traced_block([rows], n)
    found: Block = rows.kept["block"]
    return found


def _units_of_kinks(program: Any, y: Vector, slopes: Any) -> Vector:
    """What the sides of the kinks of one operation differ by at most, or are made from, (R,); one for nothing.

    On a kink the sides differ by rounding alone. `slopes` (R, N): of the equations by the parameters, and by the sides
    of other kinks that some are made from.
    """
    far = np.abs(y[program.pairs[:, 1]])
    two_sided = np.isfinite(program.lower[program.pairs[:, 0]])
    far = np.maximum(far, np.where(two_sided, np.abs(y[program.pairs[:, 0]]), 0.0))
    n, size = program.n, np.abs(y)
    own = size[program.pairs].sum(axis=1)
    of_others = np.maximum(np.asarray(abs(slopes[:, n:]) @ size[n:]) - own, 0.0)
    far = np.maximum(far, np.asarray(abs(slopes[:, :n]) @ size[:n]) + of_others)
    largest = np.zeros(int(program.places_of.max()) + 1)
    np.maximum.at(largest, program.places_of, far)
    return np.asarray(_power_of_two(largest))[program.places_of]


def _units_of_parameters(cost: Any, y: Vector, slopes: Any, of_kinks: Vector, cost_unit: float) -> Vector:
    """What moves some kink by its unit, (n,); for a parameter of the smooth part, what moves the cost by one."""
    n = slopes.shape[1]
    pull = abs(_times(1.0 / of_kinks, slopes, np.ones(n))).max(axis=0)
    pull = pull if isinstance(pull, np.ndarray) else pull.toarray().ravel()
    units = 1.0 / _power_of_two(pull)
    alone = pull == 0.0
    if alone.any():
        H = cost.sparse_hessian.find() if cost.sparse_hessian is not None else None
        bend = H(y).diagonal() if H is not None else np.diag(cost.hessian(y))
        units[alone] = 1.0 / _power_of_two(np.sqrt(np.abs(bend[:n][alone]) / cost_unit))
    return np.asarray(units)


def _power_of_two(size: Any) -> Any:
    """The power of two next to each size, within `FARTHEST`; one for zero and what is not finite."""
    usable = np.isfinite(size) & (np.asarray(size) > 0.0)
    return np.exp2(np.clip(np.round(np.log2(np.where(usable, size, 1.0))), -FARTHEST, FARTHEST))


def _both(cost: Any, w: Vector, units: Vector, cost_unit: float) -> tuple[float, Vector]:
    value, gradient = cost.value_and_gradient(units * w)
    return value / cost_unit, gradient * units / cost_unit


def _times(left: Vector, matrix: Any, right: Vector) -> Any:
    """diag(left) · matrix · diag(right), dense or SciPy sparse."""
    if isinstance(matrix, np.ndarray):
        return left[:, None] * matrix * right
    import scipy.sparse as sparse

    return sparse.diags_array(left) @ matrix @ sparse.diags_array(right)


def _sparse(cost: Any, n: int, units: Vector, cost_unit: float) -> Any:
    if cost.sparse_hessian is None:
        return None

    def find() -> Any:
        H = cost.sparse_hessian.find()
        if H is None:
            return None
        import scipy.sparse as sparse

        return lambda w: sparse.csc_array(_times(units / cost_unit, H(units * w), units))

    return Later(find)


def _bend(block: Block, units: Vector, of_kinks: Vector) -> Any:
    hessian = block.hessian
    assert hessian is not None

    def bend(w: Vector, weights: Vector) -> Any:
        found = hessian(units * w, weights / of_kinks)
        return found if np.ndim(found) != 2 else _times(units, found, units)

    return bend
