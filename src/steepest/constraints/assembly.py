"""Constraints put together: traced functions as one jaxpr, matrices and measured functions beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import lax
from jax.extend.core import jaxpr_as_fun

from ..bounds import Bounds
from ..derivatives import exact
from ..derivatives.tiers import Tiered
from ..numerics import EPS, double_precision
from ..problem import Problem
from ..structure.convexity import Kind
from ..structure.facts import Structure
from ..tracing.passes import simplify
from ..tracing.trace import Trace, restricted
from .rows import Block, Rows

if TYPE_CHECKING:
    from .reading import Part

Vector = np.ndarray

# With more parameters than this derivatives are asked for in sparse form; below it, finding and colouring the
# pattern takes longer than a dense matrix ever will, and dense ends are polished to the last digits.
DENSE_PARAMETERS = 150

# Rows that are not all linear, whose shape is asked for one by one when a convex problem is to be recognised.
MOST_SHAPES = 500

# Relative step of a central difference: the cube root of the rounding.
STEP = EPS ** (1 / 3)


def assemble(
    parts: Sequence[Part], lower: Vector, upper: Vector, names: Sequence[str], problem: Problem
) -> Rows:
    """The rows of all parts, in the order given, as functions of the free parameters."""
    n = problem.objective.n
    base, free = problem.parameters.vector, problem.free
    blocks: list[Block] = []
    order: list[np.ndarray] = []
    starts = np.cumsum([0] + [part.m for part in parts])
    spans = [np.arange(starts[k], starts[k + 1]) for k in range(len(parts))]
    traced = [k for k, part in enumerate(parts) if part.trace is not None]
    shift = np.zeros(lower.size)
    traces: list[Trace] = []
    if traced:
        for k in traced:
            found = parts[k].trace
            assert found is not None
            traces.append(found if free is None else restricted(found, base, free))
        blocks.append(_kept_block(traces, n))
        order.append(np.concatenate([spans[k] for k in traced]))
    for k, part in enumerate(parts):
        if part.matrix is not None:
            matrix = part.matrix.tocsr() if hasattr(part.matrix, "tocsr") else part.matrix
            if free is not None:
                held = base.copy()
                held[free] = 0.0
                shift[spans[k]] = matrix @ held
                matrix = matrix[:, free]
            if n <= DENSE_PARAMETERS and hasattr(matrix, "toarray"):
                matrix = matrix.toarray()
            blocks.append(_matrix_block(matrix))
            order.append(spans[k])
        elif part.trace is None:
            blocks.append(_measured_block(part, problem))
            order.append(spans[k])
    return Rows(
        n,
        lower - shift,
        upper - shift,
        tuple(names),
        tuple(blocks),
        np.concatenate(order),
        _convex(traces, [spans[k] for k in traced], parts, lower, upper, problem),
        tuple(remark for part in parts for remark in part.remarks),
        tuple(traces),
        start=problem.start,
    )


def _kept_block(traces: list[Trace], n: int) -> Block:
    """As `traced_block`; kept with the first trace, so that a second call with the same functions builds nothing."""
    known = traces[0].kept.get("rows together")
    if (
        known is None
        or len(known[0]) != len(traces)
        or any(a is not b for a, b in zip(known[0], traces, strict=True))
    ):
        known = (tuple(traces), traced_block(traces, n))
        traces[0].kept["rows together"] = known
    block: Block = known[1]
    return block


def traced_block(traces: list[Trace], n: int) -> Block:
    """All traced functions as one, so that what they share is computed once."""
    closed = _stacked(traces, n)
    m = int(closed.out_avals[0].shape[0])
    linear = all(map(_is_linear, traces))
    if n > DENSE_PARAMETERS:
        from ..derivatives.sparse_rows import sparse_jacobian, sparse_weighted_hessian

        value = Tiered(closed)
        return Block(
            m,
            lambda x: np.asarray(value(x)[0]),
            sparse_jacobian(closed),
            sparse_weighted_hessian(closed),
            linear,
        )
    kept: dict[str, Tiered] = {}

    def evaluation(kind: str, make: Callable[[Any], Any]) -> Tiered:
        if kind not in kept:
            kept[kind] = Tiered(make(closed))
        return kept[kind]

    return Block(
        m,
        lambda x: np.asarray(evaluation("value", lambda c: c)(x)[0]),
        lambda x: np.asarray(evaluation("jacobian", exact.jacobian)(x)[0]),
        lambda x, u: np.asarray(evaluation("hessian", exact.weighted_hessian)(x, u)[0]),
        linear,
    )


def _stacked(traces: list[Trace], n: int) -> Any:
    functions = [jaxpr_as_fun(trace.jaxpr) for trace in traces]

    def rows(x: Any) -> Any:
        pieces = [
            lax.reshape(function(x)[0], (int(np.prod(t.shape)),))
            for function, t in zip(functions, traces, strict=True)
        ]
        return lax.concatenate(pieces, 0) if len(pieces) > 1 else pieces[0]

    with double_precision():
        recorded = jax.make_jaxpr(rows)(jax.ShapeDtypeStruct((n,), np.float64))
        return simplify(recorded, keep_derivatives=True)


def _matrix_block(matrix: Any) -> Block:
    def value(x: Vector) -> Vector:
        return np.asarray(matrix @ x)

    return Block(int(matrix.shape[0]), value, lambda x: matrix, lambda x, u: 0.0, linear=True)


def _measured_block(part: Part, problem: Problem) -> Block:
    """A function that could not be traced: the user's own Jacobian, or central differences inside the bounds."""
    plain, jacobian = part.plain, part.jacobian
    base, free, bounds = problem.parameters.vector, problem.free, problem.objective.bounds
    assert plain is not None

    def whole(z: Vector) -> Vector:
        if free is None:
            return z
        x = base.copy()
        x[free] = z
        return x

    def value(z: Vector) -> Vector:
        return plain(whole(z))

    if jacobian is not None:
        return Block(
            part.m,
            value,
            lambda z: jacobian(whole(z)) if free is None else jacobian(whole(z))[:, free],
            None,
            derivatives="supplied",
        )
    return Block(part.m, value, lambda z: differences(value, z, bounds), None, derivatives="numeric")


def differences(value: Callable[[Vector], Vector], x: Vector, bounds: Bounds) -> np.ndarray:
    """The Jacobian (m, n) of `value` at `x` by central differences, one-sided where a bound is in the way.

    >>> differences(lambda x: x**2, np.array([3.0, 1.0]), Bounds.none(2)).round(6)
    array([[6., 0.],
           [0., 2.]])
    """
    columns = []
    for i in range(x.size):
        step = STEP * max(1.0, abs(float(x[i])))
        ends = []
        for sign in (1.0, -1.0):
            near = x.copy()
            near[i] = min(max(x[i] + sign * step, bounds.lower[i]), bounds.upper[i])
            ends.append(near)
        width = ends[0][i] - ends[1][i]
        difference = value(ends[0]) - value(ends[1])
        columns.append(difference / width if width > 0 else np.zeros_like(difference))
    return np.stack(columns, axis=1)


def _convex(
    traces: list[Trace],
    traced: list[np.ndarray],
    parts: Sequence[Part],
    lower: Vector,
    upper: Vector,
    problem: Problem,
) -> Callable[[], bool]:
    """Whether the points that meet every constraint are shown to be a convex set, asked when it is needed."""
    if any(part.trace is None and part.matrix is None for part in parts):
        return lambda: False
    box = problem.objective.bounds
    asked: list[bool] = []

    def convex() -> bool:
        if not asked:
            bent = [
                (trace, span) for trace, span in zip(traces, traced, strict=True) if not _is_linear(trace)
            ]
            few = sum(span.size for _, span in bent) <= MOST_SHAPES
            asked.append(
                few
                and all(
                    _keeps_convex(trace, k, lower[row], upper[row], box)
                    for trace, span in bent
                    for k, row in enumerate(span)
                )
            )
        return asked[0]

    return convex


def _is_linear(trace: Trace) -> bool:
    if "linear rows" not in trace.kept:
        trace.kept["linear rows"] = Structure(trace.jaxpr).degree <= 1
    return bool(trace.kept["linear rows"])


def _keeps_convex(trace: Trace, k: int, low: float, high: float, box: Bounds) -> bool:
    """Row k of a traced function: linear, or convex below its limit, or concave above it."""
    key = ("kind of row", k, box.lower.tobytes(), box.upper.tobytes())
    if key not in trace.kept:
        trace.kept[key] = _kind_of_row(trace, k, box)
    kind = trace.kept[key]
    if kind in (Kind.CONSTANT, Kind.AFFINE):
        return True
    return (kind is Kind.CONVEX and low == -np.inf) or (kind is Kind.CONCAVE and high == np.inf)


def _kind_of_row(trace: Trace, k: int, box: Bounds) -> Kind:
    function = jaxpr_as_fun(trace.jaxpr)

    def row(x: Any) -> Any:
        flat = lax.reshape(function(x)[0], (int(np.prod(trace.shape)),))
        return lax.reshape(lax.slice(flat, (k,), (k + 1,)), ())

    with double_precision():
        closed = simplify(jax.make_jaxpr(row)(jax.ShapeDtypeStruct((trace.n,), np.float64)))
    return Structure(closed, box if box.any else None).convexity.kind
