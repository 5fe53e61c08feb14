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
from ..objective import Objective
from ..oracles import Later

# Units are at most this power of two from one: beyond, products of three of them may overflow.
FARTHEST = 100


@dataclass(frozen=True)
class SmoothProgram:
    """Minimise `objective` where `rows` are zero, in w (N,) with y = `units` (N,) times w; y as in `splitting.Split`.

    `cost_unit`: the objective is the cost divided by it. `program`: the `splitting.Split` it is made from. `parts`:
    what norms are taken of, each in the unit of its norm, as rows of equations; None where there are no norms.
    """

    objective: Objective
    rows: Rows
    units: Vector
    cost_unit: float
    program: Any
    parts: Block | None = None

    def vanishing(self, norms: np.ndarray, w: Vector, rows: Rows) -> Vanishing:
        """The program under `rows` of w, its equations first, with the norms of the mask (K,) held at zero, at w."""
        nothing = np.zeros(0, dtype=int)
        if self.parts is None or not norms.any():
            return Vanishing(self, rows, norms, nothing, nothing, nothing, np.zeros(0), np.zeros(0))
        from scipy.sparse import csr_array

        slopes = csr_array(self.parts.jacobian(w))
        slopes.eliminate_zeros()
        entries = np.diff(slopes.indptr)
        # What no parameter moves, as the zeros that fill short norms up, is no equation.
        held = np.flatnonzero(norms[self.program.part_of] & (entries > 0))
        alone = self._moved_alone(slopes, held, w, rows)
        equations, fixed = held[~alone], held[alone]
        first = slopes.indptr[fixed]
        places, factors = slopes.indices[first], slopes.data[first]
        at = w[places] - self.parts.value(w)[fixed] / factors
        zero = np.zeros(equations.size)
        if equations.size:
            rows = Rows(
                rows.n,
                np.concatenate([rows.lower, zero]),
                np.concatenate([rows.upper, zero]),
                [*rows.names, *(f"part {k}" for k in equations)],
                (*rows.blocks, _taken(self.parts, equations)),
                np.concatenate([rows.order, rows.m + np.arange(equations.size)]),
            )
        return Vanishing(self, rows, norms, equations, fixed, places, factors, at)

    def _moved_alone(self, slopes: Any, held: np.ndarray, w: Vector, rows: Rows) -> np.ndarray:
        """Mask of the parts `held` of norms all of whose parts are one parameter each that moves none of the `rows`."""
        assert self.parts is not None
        if not self.parts.linear:
            return np.zeros(held.size, dtype=bool)
        chosen = slopes[held]
        uses = np.bincount(chosen.indices, minlength=w.size)
        uses += np.asarray(abs(rows.jacobian(w)).sum(axis=0)).ravel() > 0.0
        single = np.diff(chosen.indptr) == 1
        first = chosen.indices[chosen.indptr[:-1]]
        alone = single & (uses[first] == 1) & (first < self.program.n)
        of = self.program.part_of[held]
        shared = np.zeros(self.program.radii.size, dtype=bool)
        shared[of[~alone]] = True
        return ~shared[of]


@dataclass(frozen=True)
class Vanishing:
    """A smooth program whose `norms`, a mask (K,), are held at zero: what they are taken of is zero.

    `rows` end in equations for the parts `parts` (r,), places in (S,). Those at `fixed` (f,) are `factors` (f,) times
    the parameters `places` (f,), which are held `at` (f,) instead.
    """

    smooth: SmoothProgram
    rows: Rows
    norms: np.ndarray
    parts: np.ndarray
    fixed: np.ndarray
    places: np.ndarray
    factors: Vector
    at: Vector

    @property
    def objective(self) -> Objective:
        """The cost inside bounds that leave those norms and parameters no room."""
        objective = self.smooth.objective
        lower, upper = objective.bounds.lower.copy(), objective.bounds.upper.copy()
        upper[self.smooth.program.radii[self.norms]] = 0.0
        inside = np.clip(self.at, lower[self.places], upper[self.places])
        lower[self.places] = upper[self.places] = inside
        return objective.within(Bounds(lower, upper))

    def onto(self, w: Vector) -> Vector:
        """`w` (N,) with those norms at zero, and those parameters where they are held."""
        return self.objective.bounds.project(w)

    def strain(self, multipliers: Vector, bounds: Vector, slope: Vector) -> float:
        """How hard `multipliers` (m,) of the rows and `bounds` (N,) pull at the norms, against what each bears.

        A norm stays at zero for as long as the pull is no longer than the `slope` (N,) of the cost in the norm, less
        what the rows that are made from norms push with: for up to one.
        """
        program = self.smooth.program
        pull = np.zeros(program.radii.size)
        np.add.at(pull, program.part_of[self.parts], multipliers[multipliers.size - self.parts.size :] ** 2)
        own = bounds[self.places]
        # A bound of the user's takes what pushes against it.
        box = self.smooth.objective.bounds
        own = np.where(self.at <= box.lower[self.places], np.minimum(own, 0.0), own)
        own = np.where(self.at >= box.upper[self.places], np.maximum(own, 0.0), own)
        np.add.at(pull, program.part_of[self.fixed], (own / self.factors) ** 2)
        bears = slope[program.radii]
        pulled = pull > 0.0
        if (bears[pulled] <= 0.0).any():
            return np.inf
        return float((np.sqrt(pull[pulled]) / bears[pulled]).max(initial=0.0))


def smooth_program(
    objective: Objective, split: Any, y: Vector, sizes: Vector | None = None, cost_unit: float = 1.0
) -> SmoothProgram:
    """The program of a kinked `objective`, in units told at `y` (N,); its evaluations count as the objective's own.

    `split`: the same cost without its kinks, a `problem.SplitCost`. `sizes`: of the parameters (n,), where more is
    known of them than their values; `cost_unit`: of a cost without slopes in its kinks. Raises what the cost raises at
    `y`.
    """
    program, cost, n = split.program, split.cost, split.program.n
    block = _no_rows(cost, y.size) if split.rows is None else _traced(split.rows, y.size)
    units, raised = np.ones(y.size), y
    if split.parts is not None:
        of_parts = _traced(split.parts, y.size).jacobian(y)
        own = np.abs(y[:n]) if sizes is None else np.maximum(np.abs(y[:n]), sizes)
        units[program.radii] = _units_of_norms(program, y, abs(of_parts[:, :n]) @ own)
        # At its least a norm's t pulls nowhere: twice as long, with three eighths of what the cost rises with the norm.
        raised = y.copy()
        raised[program.radii] = np.maximum(2.0 * y[program.radii], units[program.radii])
    all_slopes = block.jacobian(raised)
    slopes = all_slopes[:, :n]
    of_kinks = _units_of_kinks(program, raised, all_slopes, sizes)
    units[program.pairs] = of_kinks[:, None]
    units[program.levels[:, 0]] = of_kinks[program.levels[:, 1]]
    _, gradient = cost.value_and_gradient(raised)
    steepest = np.abs(gradient * units)[n:].max(initial=0.0)
    cost_unit = float(_power_of_two(steepest)) if steepest > 0.0 else cost_unit
    of_rows = of_kinks
    if split.parts is not None:
        unit_of_part = units[program.radii][program.part_of]
        slopes, of_rows = _stacked(slopes, of_parts[:, :n]), np.concatenate([of_kinks, unit_of_part])
    units[:n] = _units_of_parameters(cost, raised, slopes, of_rows, cost_unit)
    return _in_these_units(objective, split, units, cost_unit)


def on_cones(objective: Objective, smooth: SmoothProgram, conic: Any) -> SmoothProgram:
    """The program in the same units with t alone for each norm, of the `conic` part of a `problem.SplitCost`."""
    return _in_these_units(objective, conic, smooth.units, smooth.cost_unit)


def _in_these_units(objective: Objective, split: Any, units: Vector, cost_unit: float) -> SmoothProgram:
    program, cost, n, N = split.program, split.cost, split.program.n, units.size
    lower, upper = program.lower.copy(), np.full(N, np.inf)
    bounds = objective.bounds
    lower[:n], upper[:n] = bounds.lower, bounds.upper
    inner = objective.beside(
        N,
        value=lambda w: cost.value(units * w) / cost_unit,
        value_and_gradient=lambda w: _both(cost, w, units, cost_unit),
        hessian=lambda w: _times(1.0 / cost_unit * units, cost.hessian(units * w), units),
        sparse_hessian=_sparse(cost, units, cost_unit),
        bounds=Bounds(lower / units, upper / units),
    )
    block = _no_rows(cost, N) if split.rows is None else _traced(split.rows, N)
    scaled = _in_units(block, units, units[program.pairs[:, 1]])
    parts = None
    if split.parts is not None:
        parts = _in_units(_traced(split.parts, N), units, units[program.radii][program.part_of])
    zero = np.zeros(block.m)
    names = [f"kink {k}" for k in range(block.m)]
    rows = Rows(N, zero, zero, names, (scaled,), np.arange(block.m))
    return SmoothProgram(inner, rows, units, cost_unit, program, parts)


def in_units(objective: Objective, size: float, cost_unit: float) -> SmoothProgram:
    """A cost without kinks as such a program, whose parameters are counted in `size`, and the cost in `cost_unit`."""
    n, none = objective.n, np.zeros(0)
    rows = Rows(n, none, none, (), (), np.zeros(0, dtype=int))
    return SmoothProgram(objective.in_units(size, cost_unit), rows, np.full(n, size), cost_unit, None)


def between(smooth: SmoothProgram, rows: Rows, limits: Any = None) -> Rows:
    """The equations of the kinks and, after them, the constraints `rows` of the parameters, as functions of w (N,).

    `limits`: the first block of those as a traced function of y, where it has kinks itself. Rows whose units are known
    are in these.
    """
    n, N, kinks = rows.n, smooth.units.size, smooth.rows
    units = smooth.units[:n]
    blocks = [_widened(block, units, N) for block in rows.blocks]
    if limits is not None:
        blocks[0] = _widened(_traced(limits, N), smooth.units, N)
    of_rows, own = np.ones(rows.m), rows.known_units
    if own is not None:
        of_rows, one, start = own, np.ones(N), 0
        for k, block in enumerate(blocks):
            blocks[k] = _in_units(block, one, own[rows.order[start : start + block.m]])
            start += block.m
    return Rows(
        N,
        np.concatenate([kinks.lower, rows.lower / of_rows]),
        np.concatenate([kinks.upper, rows.upper / of_rows]),
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


def _no_rows(cost: Any, n: int) -> Block:
    """No equations at all, sparse where the second derivatives of the cost are."""
    sparse = cost.sparse_hessian is not None and cost.sparse_hessian.find() is not None

    def jacobian(y: Vector) -> Any:
        if not sparse:
            return np.zeros((0, n))
        from scipy.sparse import csr_array

        return csr_array((0, n))

    return Block(0, lambda y: np.zeros(0), jacobian, lambda y, weights: 0.0, linear=True)


def _in_units(block: Block, units: Vector, of_rows: Vector) -> Block:
    """The rows as functions of w = y / `units` (N,), each divided by its own unit of `of_rows` (m,)."""
    return Block(
        block.m,
        lambda w: block.value(units * w) / of_rows,
        lambda w: _times(1.0 / of_rows, block.jacobian(units * w), units),
        None if block.hessian is None else _bend(block, units, of_rows),
        block.linear,
    )


def _taken(block: Block, places: np.ndarray) -> Block:
    """The rows at these places alone."""

    def bend(w: Vector, weights: Vector) -> Any:
        assert block.hessian is not None
        spread = np.zeros(block.m)
        spread[places] = weights
        return block.hessian(w, spread)

    return Block(
        places.size,
        lambda w: block.value(w)[places],
        lambda w: block.jacobian(w)[places],
        None if block.hessian is None else bend,
        block.linear,
    )


def _stacked(one: Any, other: Any) -> Any:
    """Rows of one matrix above those of another, dense if both are."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.concatenate([one, other])
    import scipy.sparse as sparse

    return sparse.csr_array(sparse.vstack([sparse.csr_array(one), sparse.csr_array(other)]))


def _units_of_norms(program: Any, y: Vector, made: Vector) -> Vector:
    """The largest norm of each operation, or what one of its parts is made from, (K,); one for nothing.

    `made` (S,): the sizes of the terms that add up to each part.
    """
    far = np.abs(y[program.radii])
    np.maximum.at(far, program.part_of, np.asarray(made).ravel())
    largest = np.zeros(int(program.radius_places.max()) + 1)
    np.maximum.at(largest, program.radius_places, far)
    return np.asarray(_power_of_two(largest))[program.radius_places]


def _units_of_kinks(program: Any, y: Vector, slopes: Any, sizes: Vector | None) -> Vector:
    """What the sides of the kinks of one operation differ by at most, or are made from, (R,); one for nothing.

    Where that is nothing the `sizes` (n,) of the parameters tell what they may differ by, if these are known. On a
    kink the sides differ by rounding alone. `slopes` (R, N): of the equations by the parameters, and by the sides
    of other kinks that some are made from.
    """
    if not len(program.pairs):
        return np.zeros(0)
    far = np.abs(y[program.pairs[:, 1]])
    two_sided = np.isfinite(program.lower[program.pairs[:, 0]])
    far = np.maximum(far, np.where(two_sided, np.abs(y[program.pairs[:, 0]]), 0.0))
    n, size = program.n, np.abs(y)
    own = size[program.pairs].sum(axis=1)
    of_others = np.maximum(np.asarray(abs(slopes[:, n:]) @ size[n:]) - own, 0.0)
    far = np.maximum(far, np.asarray(abs(slopes[:, :n]) @ size[:n]) + of_others)
    largest = np.zeros(int(program.places_of.max()) + 1)
    np.maximum.at(largest, program.places_of, far)
    if sizes is not None and not largest.all():
        reach = np.zeros(largest.size)
        np.maximum.at(reach, program.places_of, np.asarray(abs(slopes[:, :n]) @ sizes).ravel())
        largest = np.where(largest > 0.0, largest, reach)
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


def _sparse(cost: Any, units: Vector, cost_unit: float) -> Any:
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
