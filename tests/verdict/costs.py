"""Costs whose truth is known, written with NumPy through the library's own trace."""

from __future__ import annotations

import jax
import numpy as np

from steepest.bounds import Bounds
from steepest.derivatives.numeric import NumericDerivatives
from steepest.evaluations import exact_evaluations
from steepest.numerics import double_precision
from steepest.objective import Objective
from steepest.structure.facts import read
from steepest.tracing.passes import simplify
from steepest.tracing.trace import Trace


def traced(cost, n, bounds=None, second=True, derivatives="exact"):
    """An objective with exact derivatives of a cost written in jax.numpy, and the facts of its trace."""
    bounds = bounds or Bounds.none(n)
    with double_precision():
        jaxpr = simplify(jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((n,), np.float64)), keep_derivatives=True)
    functions = exact_evaluations(Trace(jaxpr, (), "float64"))
    objective = Objective(
        n,
        value=functions.value,
        value_and_gradient=functions.value_and_gradient,
        hessian=functions.hessian if second else None,
        hessian_product=functions.hessian_product if second else None,
        bounds=bounds,
        derivatives=derivatives,
    )
    return objective, read(jaxpr, bounds)


def opaque(cost, n, bounds=None):
    """An objective by differences, as for a cost that cannot be traced."""
    derivatives = NumericDerivatives(cost, bounds or Bounds.none(n))
    return Objective(
        n,
        value_and_gradient=derivatives.value_and_gradient,
        value=derivatives.value,
        bounds=bounds,
        derivatives="numeric",
    )


def box(lower, upper):
    """Bounds from two sequences; None stands for no bound."""
    fill = lambda values, none: np.array([none if v is None else v for v in values], dtype=np.float64)  # noqa: E731
    return Bounds(fill(lower, -np.inf), fill(upper, np.inf))
