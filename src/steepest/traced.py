"""What is known of a traced cost, kept with it: derivatives, evaluated in tiers, and the sums that it is seen to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .bounds import Vector
from .oracles import SumOfTerms

if TYPE_CHECKING:
    from .structure.losses import Losses
    from .structure.squares import Squares
    from .tracing.trace import Trace


# Entries of a dense Jacobian, m·n, up to which a sum of squares offers its residual: 256 MB.
LARGEST_JACOBIAN = 1 << 25

# Up to so many entries a Jacobian is taken as dense without a look: finding its pattern takes longer.
SMALL_JACOBIAN = 1 << 14

# Up to so many parameters the gradient of a sum of squares is taken from its Jacobian.
FEW_COLUMNS = 10

# Up to so many parameters matrices are dense: factorising them takes less than the overhead of sparse ones.
SMALL = 64

# A matrix is sparse when less than this part of its entries may be nonzero.
SPARSE = 0.15

# Sparse second derivatives of more than so many products, which are so many times those of the residuals' slopes, are
# not asked for: a step of Gauss and Newton saves more than it loses by leaving them out.
MANY_PRODUCTS, DEARER = 40, 8

# Multiplications to factorise JᵀJ, for each of its entries, up to which a walk begins with steps of Gauss and Newton:
# some dozens, where slopes alone take a thousand. Parameters paired at random, 15,000 each, took 37 of these and 31 of
# those.
SOON = 1_000.0


def sum_of_terms(traced: Trace) -> SumOfTerms | None:
    """The terms of few parameters that a cost is seen to be a sum of, kept with its trace; None for other costs."""
    if "terms" not in traced.kept:
        from .derivatives.tiers import Tiered
        from .structure.reading import Reading
        from .structure.terms import terms_of
        from .tracing.trace import as_number

        found = terms_of(Reading(as_number(traced))) if traced.lowest_precision == "float64" else None
        traced.kept["terms"] = None
        if found is not None:
            evaluate = Tiered(found.jaxpr)
            traced.kept["terms"] = SumOfTerms(lambda x: evaluate(x)[0], found.pattern)
    terms: SumOfTerms | None = traced.kept["terms"]
    return terms


def sum_of_squares(traced: Trace) -> Squares | None:
    """The residual of a cost that is seen to be a sum of squares, kept with its trace; None for other costs."""
    if "squares" not in traced.kept:
        from .structure.reading import Reading
        from .structure.squares import squares_of
        from .tracing.trace import as_number

        traced.kept["squares"] = squares_of(Reading(as_number(traced), keep_derivatives=True))
    found: Squares | None = traced.kept["squares"]
    return found


def sum_of_losses(traced: Trace) -> Losses | None:
    """The losses of residuals that a cost is seen to be a sum of, where a dense Jacobian of theirs is small enough."""
    if "losses" not in traced.kept:
        from .structure.losses import losses_of
        from .structure.reading import Reading
        from .tracing.trace import as_number

        found = losses_of(Reading(as_number(traced), keep_derivatives=True))
        fits = found is not None and found.m * traced.n <= LARGEST_JACOBIAN
        traced.kept["losses"] = found if fits else None
    losses: Losses | None = traced.kept["losses"]
    return losses


def evaluation(traced: Trace, kind: str) -> Any:
    """The tiered evaluation of one derivative of a trace, kept with it: called on (x) or (x, v), gives a tuple.

    "linearised" (value, residual, Jacobian) and "sparse_hessian" are None where they would not pay.
    """
    if kind not in traced.kept:
        from .derivatives import exact
        from .derivatives.tiers import Tiered
        from .tracing.trace import as_number

        number = as_number(traced)
        if kind == "value":
            traced.kept[kind] = Tiered(number)
        elif kind == "linearised":
            traced.kept[kind] = _linearised_evaluation(traced)
        else:
            both = _value_and_gradient_jaxpr(traced)
            if kind == "sparse_hessian":
                traced.kept[kind] = _sparse_hessian_evaluation(number, both)
            elif kind == "hessian":
                traced.kept[kind] = Tiered(exact.hessian_at_necks(number) or exact.hessian(number, both))
            elif kind == "hessian_product" and traced.n > SMALL:
                from .derivatives.products import Products

                traced.kept[kind] = Products(exact.hessian_product(number, both))
            else:
                traced.kept[kind] = Tiered(getattr(exact, kind)(number, both))
    return traced.kept[kind]


def _value_and_gradient_jaxpr(traced: Trace) -> Any:
    """`x ↦ (f(x), ∇f(x))`, to be differentiated again: what the gradient and all that is made from it share."""
    if "both" not in traced.kept:
        from .derivatives import exact
        from .tracing.trace import as_number

        # One reverse pass; but a Jacobian of few columns is at hand for the same price, and is wanted anyway.
        linear = _linear_jaxpr(traced) if traced.n <= FEW_COLUMNS else None
        if linear is not None:
            traced.kept["both"] = exact.both_from_residual(linear)
        else:
            traced.kept["both"] = exact.both_to_differentiate(as_number(traced))
    return traced.kept["both"]


def _linear_jaxpr(traced: Trace) -> Any | None:
    """`x ↦ (f(x), r(x), J(x))` of a sum of squares with a small dense Jacobian, to be differentiated again."""
    if "linear" not in traced.kept:
        from .derivatives import exact

        squares = sum_of_squares(traced)
        small = squares is not None and squares.m * traced.n <= SMALL_JACOBIAN
        traced.kept["linear"] = exact.linearised(squares.both, keep_derivatives=True) if small else None  # type: ignore[union-attr]
    return traced.kept["linear"]


def _linearised_evaluation(traced: Trace) -> Any | None:
    """Value, residual and Jacobian of a sum of squares or losses: sparse where most is zero, dense where it fits."""
    from .derivatives import exact, sparse
    from .derivatives.tiers import Tiered
    from .structure.dependence import Dense
    from .tracing.passes import simplify

    squares = sum_of_squares(traced)
    if squares is None:
        losses = sum_of_losses(traced)
        if losses is None:
            return None
        linear = exact.linearised(losses.both)
        return Tiered(exact.linearised_losses(linear, losses.outer))
    size = squares.m * traced.n
    linear = _linear_jaxpr(traced)
    if linear is not None:
        return Tiered(simplify(linear))
    if min(squares.m, traced.n) > SMALL:
        try:
            plan = sparse.linearised_plan(squares.both, squares.residual)
        except Dense:
            plan = None
        if plan is not None and plan.entries < SPARSE * size:
            return sparse.Sparse(plan)
    return Tiered(exact.linearised(squares.both)) if size <= LARGEST_JACOBIAN else None


def slopes_are_cheaper(traced: Trace) -> bool:
    """Whether residuals have a sparse Jacobian, and sparse second derivatives cost many times as much.

    So it is where many points are seen by each of some cameras: a residual depends on one of either, but the sum of
    their squares makes each camera meet all its points. Where what meets in the sum is not soon factorised, slopes of
    residuals help no more: JᵀJ has its entries in the same places.
    """
    from .linear_algebra.elimination import expected_work

    curvature = evaluation(traced, "sparse_hessian")
    if curvature is None or curvature.plan.products <= MANY_PRODUCTS:  # a Jacobian takes work to find
        return False
    plan = curvature.plan
    if expected_work(plan.indptr, plan.indices) > SOON * plan.entries:
        return False
    slopes = getattr(evaluation(traced, "linearised"), "plan", None)
    return slopes is not None and bool(plan.products > DEARER * slopes.products)


def _sparse_hessian_evaluation(number: Any, both: Any) -> Any | None:
    """The Hessian as a sparse array, where most of it is zero and a few products tell it all."""
    from .derivatives import exact, sparse
    from .structure.dependence import Dense

    try:
        plan = sparse.hessian_plan(number, exact.gradient_of(both))
    except Dense:
        return None
    n = plan.shape[0]
    return sparse.Sparse(plan) if plan.entries < SPARSE * n * n and plan.products < n / 2 else None


def hessian_pattern(traced: Trace) -> Any | None:
    """Where the Hessian may be other than zero, a SciPy CSC array (n, n) of ones; None where nothing tells it."""
    from .derivatives import exact
    from .structure.dependence import Dense
    from .structure.sparsity import jacobian_pattern
    from .tracing.trace import as_number

    # The slopes that a reverse pass gives: those made from a Jacobian tell less of what meets what.
    both = exact.both_to_differentiate(as_number(traced))
    try:
        return jacobian_pattern(exact.gradient_of(both))
    except Dense:
        return None


def upright_evaluation(traced: Trace, plan: Any) -> Callable[[Vector], Vector] | None:
    """The entries of a matrix beside the sparse Hessian that never bends down; None where terms do not tell one."""
    from .derivatives import sparse
    from .derivatives.tiers import Tiered
    from .structure.linear_terms import linear_terms_of
    from .structure.reading import Reading
    from .tracing.trace import as_number

    terms = linear_terms_of(Reading(as_number(traced), keep_derivatives=True))
    if terms is None:
        return None
    evaluate = Tiered(sparse.upright(plan, terms.arguments, terms.outer))
    return lambda x: evaluate(x)[0]
