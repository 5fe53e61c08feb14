"""Is the cost a sum of losses of residuals, other than squares? Then it has a generalised Gauss-Newton model.

Each leaf of the cost (`sums`) that is no square is looked through, element by element, for a residual e of which it is
a loss φ(e): the same for e and -e, and either convex (Huber's, log cosh) or growing ever more slowly with e² (Cauchy's
and its like), so that it is lowest at e = 0. The cost bends as

    φ''(e)·∇e∇eᵀ + φ'(e)·∇²e,

of which the first part needs no second derivatives of e and, with φ'(e)/e where that is larger, never bends down (Huber
& Ronchetti, "Robust Statistics", 2009, sections 7.3 and 7.8).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from .convexity import Kind, convexity_of
from .degree import degrees
from .elementwise import arguments_of, is_even
from .patterns import patterns
from .portions import Weighted, portion
from .ranges import hull, ranges
from .reading import Reading
from .squares import Roots
from .sums import Leaf, Sum, sum_of
from .writing import Writer

# Arguments further inside a loss than this many are not tried.
MOST_ARGUMENTS = 6


@dataclass(frozen=True)
class Losses:
    """The cost is `constant` + Σ φ_i(e_i).

    `both`: closed jaxpr x (n,) -> cost (), e (m,). `outer`: closed jaxpr e (m,) -> φ (m,), element by element, each
    φ(-e) = φ(e). `equations`: where the losses end in the trace.
    """

    both: Any
    outer: Any
    constant: float
    m: int
    reading: Reading = field(repr=False)
    equations: tuple[Any, ...] = field(repr=False)

    @property
    def places(self) -> tuple[str, ...]:
        """The user's lines of the losses, each once."""
        return self.reading.places(self.equations)


def losses_of(reading: Reading) -> Losses | None:
    """The losses of a cost, at least one of which is no square; None where it is not seen to be such a sum.

    Given only where an argument is not linear in the parameters: elsewhere the model is the Hessian itself.

    >>> import jax
    >>> x = jax.ShapeDtypeStruct((3,), np.float64)
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: jax.numpy.log(1 + jax.numpy.sin(x)**2).sum())(x)
    >>> losses_of(Reading(jaxpr)).m
    3
    """
    total = sum_of(reading)
    if total is None or not total.leaves:
        return None
    known = degrees(reading)
    chosen: dict[Any, Any] = {}
    for leaf in total.leaves:
        if leaf.weight.any() and not _is_square(reading, leaf):
            residual = _residual(reading, leaf, known) if len(leaf.factors) == 1 else None
            if residual is None:
                return None
            chosen[leaf.factors[0]] = residual
    if not chosen or all(known.get(residual, inf) <= 1 for residual in chosen.values()):
        return None
    return _written(reading, total, chosen)


def _is_square(reading: Reading, leaf: Leaf) -> bool:
    return Roots(reading).of(leaf) is not None


def _residual(reading: Reading, leaf: Leaf, known: dict[Any, float]) -> Any | None:
    """What a leaf is a loss of: a linear expression if there is one, else what is nearest to the leaf."""
    nearest = None
    for argument in arguments_of(reading, leaf.factors[0])[:MOST_ARGUMENTS]:
        if not is_even(reading, leaf.factors[0], argument):
            continue
        if not (_is_robust(reading, leaf, argument) or _is_convex(reading, leaf, argument)):
            continue
        if known.get(argument, inf) <= 1:
            return argument
        nearest = argument if nearest is None else nearest
    return nearest


def _inner(reading: Reading, start: Any, atom: Any, weight: np.ndarray) -> Reading | None:
    """Σ weight · atom as a function of the elements of `start` in a row."""
    closed = portion(reading, [start], [[((atom,), weight)]])
    if closed is None:
        return None
    writer = Writer(Reading(closed))
    return Reading(writer.finished([writer.applied(lambda row: row.sum(), [writer.reading.out])]))


def _is_convex(reading: Reading, leaf: Leaf, argument: Any) -> bool:
    inner = _inner(reading, argument, leaf.factors[0], leaf.weight)
    if inner is None or not inner.depends(inner.out):
        return False
    return convexity_of(inner, ranges(inner), degrees(inner), patterns(inner)).is_convex


def _is_robust(reading: Reading, leaf: Leaf, argument: Any) -> bool:
    """Whether a leaf is a function of s = e² that is concave and bounded below on s ≥ 0, and so never falls there."""
    if not (leaf.weight >= 0.0).all():
        return False
    for square in arguments_of(reading, leaf.factors[0])[:MOST_ARGUMENTS]:
        made = reading.producer(square)
        if made is None or made.invars[0] is not argument:
            continue
        if made.primitive.name != "square" and (
            made.primitive.name != "integer_pow" or made.params["y"] != 2
        ):
            continue
        inner = _inner(reading, square, leaf.factors[0], leaf.weight)
        if inner is None or not inner.depends(inner.out):
            return False
        inside = ranges(inner, np.zeros(inner.n), np.full(inner.n, inf))
        shape = convexity_of(inner, inside, degrees(inner), patterns(inner))
        return shape.kind in (Kind.CONCAVE, Kind.AFFINE) and hull(inside[inner.out])[0] > -inf
    return False


def _written(reading: Reading, total: Sum, chosen: dict[Any, Any]) -> Losses | None:
    """Residuals in a row, with the losses of each; squares are losses too."""
    roots = Roots(reading)
    losses: dict[Any, list[Weighted]] = {}
    squares, equations = [], []
    for leaf in total.leaves:
        if not leaf.weight.any():
            continue
        equations.append(leaf.equation)
        residual = chosen.get(leaf.factors[0]) if len(leaf.factors) == 1 else None
        if residual is not None:
            losses.setdefault(residual, []).append((leaf.factors, leaf.weight))
        else:
            squares.append(roots.of(leaf))
    writer = roots.writer
    joined = writer.joined([*losses, *squares])
    m = int(joined.aval.size)
    outer = portion(
        reading, list(losses), list(losses.values()), squares=m - sum(e.aval.size for e in losses)
    )
    if outer is None:
        return None
    both = writer.finished([reading.out, joined])
    return Losses(both, outer, total.constant, m, reading, tuple(equations))
