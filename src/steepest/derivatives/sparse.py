"""Sparse Hessians and Jacobians: the pattern read off the trace, coloured, and filled by a few products at once.

The products of all colours are one batch in one jaxpr, which also puts the numbers in the order of the sparse array,
so that each evaluation gives its data and shares the rest (Gebremedhin, Manne, Pothen, "What color is your Jacobian?",
SIAM Review 2005).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np
from jax import lax

from ..linear_algebra.elimination import BEARABLE, expected_work, stays_sparse
from ..linear_algebra.sparse_factor import refilled
from ..numerics import accelerated, double_precision
from ..structure.colouring import Colouring, colour_columns, colour_symmetric
from ..structure.dependence import DENSE, Dense
from ..structure.sparsity import DRAWN, REACHED_BY, jacobian_pattern
from . import exact
from .costs import foresee
from .interpreted import NoRule, interpret
from .tiers import Tiered

Vector = np.ndarray

# All products together may take this many numbers of memory (512 MB).
MOST_NUMBERS = 1 << 26

# Numbers of the widest array in a slope, over all products made side by side, that stay in a processor's cache
# (0.5 MB), and how many times as many may leave it before they are made a few at a time: ratings of 200 people, whose
# 795 products read and write 0.2 GB at each operation, took 0.5 s together and 0.1 s four at a time; 81 of 1,500
# numbers 1.3 ms together and 1.7 ms so. Fewer than a few, and each operation costs more than the numbers in it.
CACHED, WORTH_TURNS, A_FEW = 1 << 16, 4, 4

# A matrix that takes more products than this is worth them where it is factorised, and nowhere else.
DEAR_PRODUCTS = 40

# A second detector of patterns looks at costs of up to this many parameters: it is slow (0.5 s for 10,000, and half a
# minute for a chain of 525 weights).
SECOND_OPINION = 20_000

# How far a parameter is moved, as a part of itself, to see which slopes it changes; and the seconds, as foreseen, that
# one slope may take for nine of them to be quicker than that detector.
BESIDE, QUICKLY = 2.0**-10, 0.25


@dataclass(frozen=True, eq=False)
class Filling:
    """How products of a symmetric matrix (n, n) tell its entries.

    `colours` (n,): in which product each column takes part. `place`: where each entry stands in all of them in a row.
    `at_once`: how many products are made side by side.
    """

    colours: np.ndarray
    products: int
    place: np.ndarray
    at_once: int

    def data(self, product: Callable[[Any], Any]) -> Any:
        """The entries, in their order, from what the matrix makes of a vector (n,)."""
        together, count = jax.vmap(product), self.at_once
        if count >= self.products:
            products = together(_seeds(self.colours, self.products))
        else:
            firsts = np.arange(0, self.products, count, dtype=np.int32)
            # The last turn has a few products of nothing besides, which have no place.
            products = lax.map(lambda first: together(_seeds(self.colours, count, first)), firsts)
        return lax.reshape(products, (products.size,))[self.place]


@dataclass(frozen=True, eq=False)
class Plan:
    """How a sparse matrix is evaluated: where its entries are, CSC, and how many products they take.

    `jaxpr`: from x (n,) to results of which the last is the data of the entries, in their order. `filling`: of a
    symmetric matrix, how its products tell them.
    """

    shape: tuple[int, int]
    indptr: np.ndarray
    indices: np.ndarray
    products: int
    jaxpr: Any
    filling: Filling | None = None

    @property
    def entries(self) -> int:
        """The number of entries that may be nonzero."""
        return int(self.indices.size)


class Sparse:
    """A plan that is evaluated in tiers: x (n,) -> what comes before the matrix, and the matrix."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._evaluate = Tiered(plan.jaxpr)
        self._like: Any = None

    def __call__(self, x: Vector) -> tuple[Any, ...]:
        """The results at `x`, the last of them a SciPy CSC array whose structure is always the same."""
        *before, data = self._evaluate(x)
        if self._like is None:
            from scipy.sparse import csc_array

            like = csc_array((data, self.plan.indices, self.plan.indptr), shape=self.plan.shape)
            like.has_sorted_indices = True
            self._like = refilled(like, data[:0])
        # The solver may change what it is given.
        return (*before, refilled(self._like, np.array(data)))


def hessian_plan(cost: Any, gradient: Any) -> Plan:
    """How the Hessian of a cost is evaluated sparsely, from its jaxpr and that of its gradient.

    Every entry of the diagonal is in the pattern, zero or not. Raises `Dense` where it would not pay: also where nobody
    would factorise it, which is known before it is coloured.
    """
    try:
        pattern = jacobian_pattern(gradient)
    except Dense as dense:
        pattern = _second_opinion(cost) if dense.unknown and not _is_seen_full(gradient) else None
        if pattern is None:
            raise
    pattern = _symmetric(pattern)
    if not stays_sparse(pattern.indptr, pattern.indices):
        raise Dense
    n = pattern.shape[0]
    # The entries between two colours make a forest, fewer than its columns: so many products it takes at least.
    products = pattern.nnz / (2 * n)
    if products > DEAR_PRODUCTS and expected_work(pattern.indptr, pattern.indices) > BEARABLE:
        raise Dense
    colouring = colour_symmetric(pattern)
    if colouring.products * n > MOST_NUMBERS:
        raise Dense
    colours = colouring.colours.copy()
    colours[colouring.aside] = colouring.count + np.arange(colouring.aside.size)
    filling = Filling(
        colours,
        colouring.products,
        _symmetric_places(pattern, colours, colouring),
        _at_once(gradient, colouring.products),
    )
    function, push_one = exact.as_function(gradient), exact.pusher(gradient)
    x = jax.ShapeDtypeStruct((n,), exact.FLOAT)

    def data(x: Any) -> Any:
        return filling.data(lambda v: push_one(lambda x: function(x)[0], x, v)[1])

    return Plan(
        pattern.shape, pattern.indptr, pattern.indices, filling.products, exact.traced(data, x), filling
    )


def upright(plan: Plan, arguments: Any, outer: Any) -> Any:
    """The jaxpr from x (n,) to the entries, where `plan` has them, of a matrix like the Hessian that never bends down.

    The cost is Σ φ(z) over the elements of z = Ax + b: `arguments` is x ↦ z, `outer` z ↦ φ, element by element. The
    Hessian is AᵀDA with D = diag(φ″), the matrix AᵀEA with E ≥ |D|. Where φ″ passes through zero, its size says nothing
    about how far to go; E is then as large as keeps the step p of a term alone within the length over which the change
    of its curvature, ½·φ‴·p², turns its slope φ′ around.
    """
    assert plan.filling is not None
    filling = plan.filling
    inner, terms = jex.jaxpr_as_fun(arguments), jex.jaxpr_as_fun(outer)

    def slope(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda z: jax.jvp(function, (z,), (jax.numpy.ones_like(z),))[1]

    def data(x: Any) -> Any:
        z, along = jax.linearize(lambda x: inner(x)[0], x)
        first = slope(lambda z: terms(z)[0])
        second = slope(first)
        size = lax.max(abs(second(z)), lax.sqrt(0.5 * abs(first(z) * slope(second)(z))))
        back = jax.linear_transpose(along, x)
        return filling.data(lambda v: back(size * along(v))[0])

    return exact.traced(data, jax.ShapeDtypeStruct((plan.shape[0],), exact.FLOAT))


def linearised_plan(both: Any, residual: Any) -> Plan:
    """How value, residual and sparse Jacobian are evaluated: `both` is `x ↦ (f(x), r(x))`, `residual` its second part.

    Raises `Dense` where a sparse Jacobian would not pay.
    """
    pattern = jacobian_pattern(residual)
    m, n = pattern.shape
    forward = colour_columns(pattern)
    reverse = colour_columns(pattern.T.tocsc())
    forward_cost = forward.count + exact.REVERSE * forward.aside.size
    backwards = exact.REVERSE * reverse.count + reverse.aside.size < forward_cost
    colouring = reverse if backwards else forward
    numbers = colouring.count * (n if backwards else m) + colouring.aside.size * (m if backwards else n)
    if numbers > MOST_NUMBERS:
        raise Dense
    place = _places(pattern, colouring, backwards)
    function, push_one, pulled = exact.as_function(both), exact.pusher(both), exact.puller(both)
    x = jax.ShapeDtypeStruct((n,), exact.FLOAT)

    def split(x: Any) -> tuple[Any, Any]:
        value, residual = function(x)
        return residual, value

    aside = _numbered(colouring.aside, n if backwards else m)

    def at(x: Any) -> tuple[Any, Any, Any]:
        residual, value = split(x)
        coloured = _seeds(colouring.colours, colouring.count)
        single = _seeds(aside, colouring.aside.size)
        parts = []
        directions, sums = (single, coloured) if backwards else (coloured, single)
        if directions.shape[0]:
            push = jax.vmap(lambda v: push_one(split, x, v, has_aux=True)[1])
            parts.append(push(directions))
        if sums.shape[0]:
            _, pull_back, _ = pulled(split, x, has_aux=True)
            parts.append(jax.vmap(lambda u: pull_back(u)[0])(sums))
        flat = [lax.reshape(part, (part.size,)) for part in (parts[::-1] if backwards else parts)]
        return value, residual, (flat[0] if len(flat) == 1 else lax.concatenate(flat, 0))[place]

    return Plan((m, n), pattern.indptr, pattern.indices, colouring.products, exact.traced(at, x))


def _at_once(gradient: Any, products: int) -> int:
    """How many products with the Hessian are made side by side: all, or on the host as many as its cache holds."""
    widest = max((_size(var) for equation in gradient.jaxpr.eqns for var in equation.outvars), default=1)
    if products * widest <= WORTH_TURNS * CACHED or accelerated():
        return products
    turns = -(-products // max(CACHED // widest, A_FEW))
    return -(-products // turns)


def _size(var: Any) -> int:
    return int(getattr(var.aval, "size", 1))


def _symmetric(pattern: Any) -> Any:
    """The pattern with its transpose and the whole diagonal, CSC with sorted indices."""
    n = pattern.shape[0]
    transposed = pattern.tocsr()  # its arrays are those of the transpose in CSC, with sorted indices
    pattern.sort_indices()
    same = np.array_equal(pattern.indptr, transposed.indptr) and np.array_equal(
        pattern.indices, transposed.indices
    )
    if same and np.count_nonzero(pattern.indices == _columns(pattern)) == n:
        return pattern
    from scipy.sparse import eye_array

    whole = (pattern + pattern.T + eye_array(pattern.shape[0], dtype=np.int8, format="csc")).tocsc()
    whole.sort_indices()
    return whole


def _seeds(colours: np.ndarray, count: int, first: Any = 0) -> Any:
    """One row for each colour from the `first` on, 1 where it is that of the column; made where it is used."""
    shape = (count, colours.size)
    number = lax.broadcasted_iota(np.int32, shape, 0) + first
    return lax.convert_element_type(
        lax.eq(lax.broadcast_in_dim(colours.astype(np.int32), shape, (1,)), number), exact.FLOAT
    )


def _numbered(places: np.ndarray, size: int) -> np.ndarray:
    """(size,): the number of each of `places` in their list, -1 elsewhere."""
    numbers = np.full(size, -1, dtype=np.int32)
    numbers[places] = np.arange(places.size)
    return numbers


def _columns(pattern: Any) -> np.ndarray:
    return np.repeat(np.arange(pattern.shape[1], dtype=pattern.indices.dtype), np.diff(pattern.indptr))


def _symmetric_places(pattern: Any, colours: np.ndarray, colouring: Colouring) -> np.ndarray:
    """Where in the products, flattened, each entry stands; both triangles read the same ones."""
    n = pattern.shape[0]
    i, j = pattern.indices, _columns(pattern)
    if not colouring.aside.size:
        small = colouring.products * n < np.iinfo(np.int32).max
        begins = colours.astype(np.int32 if small else np.int64) * n
        places: np.ndarray = begins[np.minimum(i, j)] + np.maximum(i, j)
        return places
    i = i.astype(np.int64)
    aside = np.zeros(pattern.shape[0], dtype=bool)
    aside[colouring.aside] = True
    larger, smaller = np.maximum(i, j), np.minimum(i, j)
    # A column of the set aside shows its entries by its own product; its row is not seen in any other.
    swap = aside[smaller] & ~aside[larger]
    column, row = np.where(swap, smaller, larger), np.where(swap, larger, smaller)
    return _small(colours[column].astype(np.int64) * n + row)


def _places(pattern: Any, colouring: Colouring, backwards: bool) -> np.ndarray:
    """Where in the products, flattened one after the other, each entry stands."""
    i, j = pattern.indices.astype(np.int64), _columns(pattern)
    m, n = pattern.shape
    if backwards:
        i, j, m, n = j, i, n, m
    own = _numbered(colouring.aside, m)[i].astype(np.int64)
    shared = colouring.colours[j].astype(np.int64) * m + i
    return _small(np.where(own >= 0, colouring.count * m + own * n + j, shared))


def _small(places: np.ndarray) -> np.ndarray:
    return places.astype(np.int32) if places.max(initial=0) < np.iinfo(np.int32).max else places


def _is_seen_full(gradient: Any) -> bool:
    """Whether slopes show that most parameters meet so many others that no pattern of theirs is sparse.

    A slope that changes with a parameter depends on it, whatever operations are in between. Some parameters are drawn
    and moved, where roots and logarithms exist; a few that everything depends on do not speak for the others.
    """
    n = int(gradient.in_avals[0].shape[0])
    if foresee(gradient).interpreted > QUICKLY:
        return False
    try:
        slopes = interpret(gradient)
    except NoRule:
        return False
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 1.5, n)
    first = slopes(x)[0]
    if not np.isfinite(first).all():
        return False
    met = []
    for j in rng.choice(n, min(DRAWN, n), replace=False):
        beside = x.copy()
        beside[j] *= 1.0 + BESIDE
        met.append(np.count_nonzero(slopes(beside)[0] != first))
    return bool(np.quantile(met, 1.0 - REACHED_BY) > DENSE * n)


def _second_opinion(cost: Any) -> Any | None:
    """The pattern as `asdex` finds it, for operations that we have no rule for; None where it is not there."""
    n = int(cost.in_avals[0].shape[0])
    if n > SECOND_OPINION:
        return None
    import asdex
    from scipy.sparse import csc_array

    function = jex.jaxpr_as_fun(cost)
    with double_precision():
        try:
            found = asdex.hessian_sparsity(lambda x: function(x)[0].reshape(()), np.zeros(n))
        except Exception:  # a primitive that it does not know either
            return None
    ones = np.ones(len(found.rows), dtype=np.int8)
    return csc_array((ones, (np.asarray(found.rows), np.asarray(found.cols))), shape=(n, n))
