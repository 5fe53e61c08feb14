"""How each NumPy and SciPy function is recorded: one row for each, on raw values, in tables by what it is called on.

A rule takes what the NumPy function takes, with JAX tracers in place of some arrays, and returns what it returns:
same values, shapes and types. Rows are called only when something in the call is traced.

UFUNCS         ufunc → rule                        np.exp(x), x + y
UFUNC_METHODS  (ufunc, "reduce" and its like)      np.add.reduce(x)
FUNCTIONS      NumPy function → rule               np.sum(x), np.linalg.norm(x)
REFUSED        the rows of FUNCTIONS that only say what to write instead
IN_PLACE       NumPy function → what its first argument becomes
METHODS        method name → rule                  x.sum()
scipy_rules()  SciPy function or ufunc → rule, built when SciPy is first needed
TAKE_FUNCTIONS  those of these rules that are handed functions, such as an integrand
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import (
    calculus,
    creation,
    factorisations,
    fourier,
    indexing,
    norms,
    polynomials,
    products,
    reductions,
    selection,
    shape,
    special,
    statistics,
    ufuncs,
)
from .creation import build_array as BUILD_ARRAY  # noqa: N812
from .indexing import IN_PLACE
from .indexing import getitem as GETITEM  # noqa: N812
from .indexing import setitem as SETITEM  # noqa: N812
from .methods import METHODS
from .reductions import UFUNC_METHODS
from .scipy_functions import TAKE_FUNCTIONS, scipy_rules
from .values import Rule

UFUNCS: dict[np.ufunc, Rule] = {**ufuncs.UFUNCS, **products.PRODUCTS}

# Functions that cannot be traced by their nature; their rules raise an error that says what to write instead.
REFUSED: dict[Any, Rule] = {**selection.REFUSED, **calculus.REFUSED}

FUNCTIONS: dict[Any, Rule] = dict(REFUSED)
for _module in (
    creation,
    indexing,
    shape,
    reductions,
    selection,
    calculus,
    polynomials,
    products,
    factorisations,
    norms,
    statistics,
    fourier,
    special,
):
    FUNCTIONS.update(_module.FUNCTIONS)

__all__ = [
    "BUILD_ARRAY",
    "FUNCTIONS",
    "GETITEM",
    "IN_PLACE",
    "METHODS",
    "REFUSED",
    "SETITEM",
    "TAKE_FUNCTIONS",
    "UFUNCS",
    "UFUNC_METHODS",
    "scipy_rules",
]
