"""Is the cost a sum of functions of one linear expression each? Its curvature is then known term by term.

With z = Ax + b such a cost is Σ φ_i(z_i), and bends as Aᵀ·diag(φ''(z))·A does. So it is with the double wells of a
field and the squares of its differences, with penalties of sums over windows, and with waves of sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

from .degree import degrees
from .elementwise import arguments_of
from .portions import Weighted, portion
from .reading import Reading
from .sums import Leaf, sum_of
from .writing import Writer


@dataclass(frozen=True)
class LinearTerms:
    """The cost is a constant, a linear function and Σ φ_i(z_i).

    `arguments`: closed jaxpr x (n,) -> z (m,), linear but for a constant. `outer`: closed jaxpr z (m,) -> φ (m,),
    element by element.
    """

    arguments: Any
    outer: Any


def linear_terms_of(reading: Reading) -> LinearTerms | None:
    """The terms of a cost; None where it is not seen to be such a sum, or is linear.

    >>> import jax
    >>> x = jax.ShapeDtypeStruct((3,), float)
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: ((x**2 - 1) ** 2).sum() + ((x[1:] - x[:-1]) ** 2).sum())(x)
    >>> [aval.shape for aval in linear_terms_of(Reading(jaxpr)).outer.in_avals]
    [(5,)]
    """
    total = sum_of(reading)
    if total is None:
        return None
    degree = degrees(reading)
    terms: dict[Any, list[Weighted]] = {}
    for leaf in total.leaves:
        if not leaf.weight.any() or sum(degree.get(factor, inf) for factor in leaf.factors) <= 1:
            continue
        argument = _argument(reading, leaf, degree)
        if argument is None:
            return None
        terms.setdefault(argument, []).append((leaf.factors, leaf.weight))
    outer = portion(reading, list(terms), list(terms.values())) if terms else None
    if outer is None:
        return None
    writer = Writer(reading)
    return LinearTerms(writer.finished([writer.joined(list(terms))]), outer)


def _argument(reading: Reading, leaf: Leaf, degree: dict[Any, float]) -> Any | None:
    """The linear expression that each element of a leaf is a function of one element of; the nearest, if any."""
    first, *others = ([factor, *arguments_of(reading, factor)] for factor in leaf.factors)
    for atom in first:
        if degree.get(atom, inf) <= 1 and all(any(atom is one for one in other) for other in others):
            return atom
    return None
