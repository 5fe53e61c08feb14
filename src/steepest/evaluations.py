"""The functions an objective is made of: exact ones of a trace, those handed in, or slopes measured by differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .bounds import Bounds, Vector
from .budget import Calls
from .cost import Cost, call_like, number_of, plain_value
from .linear_algebra.minimum_degree import normal_work
from .oracles import HessianProduct, Later, Linearisation, Linearised, MadeWhenAsked, SparseHessian
from .parameters import Parameters
from .traced import SMALL, evaluation, slopes_are_cheaper, sum_of_squares, sum_of_terms, upright_evaluation

if TYPE_CHECKING:
    from .derivatives.compiled import Traceable
    from .structure.splitting import Split
    from .tracing.trace import Trace


# The part of a sparse multiplication that one of dense matrices takes: LAPACK makes several at once.
DENSE = 0.2

# A product with the Hessian takes no longer than so many slopes (Griewank & Walther, "Evaluating Derivatives", 2008,
# section 4.4): one for each parameter tells what a whole Hessian takes at most, before a program of it is made.
MOST_FOR_A_PRODUCT = 4.0

# Elements with a kink that are made equations at most: beyond, the program costs more than the steps it saves.
MOST_KINKS = 20_000


@dataclass(frozen=True)
class Evaluations:
    """The functions an objective is made of, on flat vectors of shape (n,).

    `gradient_error`: error of each entry of the last gradient, (n,), where slopes are measured; `calls`: counts
    each call of the cost for them. `on_device`: value and gradient of and in arrays of JAX,
    None where they are computed on the host.
    """

    value: Callable[[Vector], float] | None
    value_and_gradient: Callable[[Vector], tuple[float, Vector]]
    hessian: Callable[[Vector], Vector] | None
    hessian_product: Callable[[Vector, Vector], Vector] | None
    derivatives: str
    precision: str = "float64"
    trace: Trace | None = None
    gradient_error: Callable[[], Vector | None] | None = None
    calls: Calls | None = None
    sparse_hessian: Later | None = None
    linearised: Callable[[Vector], Linearised] | Later | None = None
    least_squares: bool = False
    split: Later | None = None
    terms: Later | None = None
    on_device: Callable[[Any], Any] | Later | None = None
    traceable: Callable[[int], Traceable | None] | None = None
    closer: Later | None = None

    def restricted(self, base: Vector, free: np.ndarray) -> Evaluations:
        """The same functions of the entries `free` alone, the others held at `base`."""
        if self.trace is not None:
            from .tracing.trace import restricted

            return exact_evaluations(restricted(self.trace, base, free))

        def whole(z: Vector) -> Vector:
            x = base.copy()
            x[free] = z
            return x

        def spread(v: Vector) -> Vector:
            direction = np.zeros_like(base)
            direction[free] = v
            return direction

        def value_and_gradient(z: Vector) -> tuple[float, Vector]:
            value, gradient = self.value_and_gradient(whole(z))
            return value, gradient[free]

        def gradient_error() -> Vector | None:
            error = self.gradient_error() if self.gradient_error is not None else None
            return None if error is None else error[free]

        inner_value, inner_hessian, inner_product = self.value, self.hessian, self.hessian_product
        return Evaluations(
            None if inner_value is None else lambda z: inner_value(whole(z)),
            value_and_gradient,
            None if inner_hessian is None else lambda z: inner_hessian(whole(z))[np.ix_(free, free)],
            None if inner_product is None else lambda z, v: inner_product(whole(z), spread(v))[free],
            self.derivatives,
            gradient_error=gradient_error,
            calls=self.calls,
        )


def exact_evaluations(traced: Trace) -> Evaluations:
    """Value, gradient, Hessian and its products of a traced cost, each built when first asked for; kept with it."""
    if "evaluations" not in traced.kept:
        traced.kept["evaluations"] = _evaluations_of(traced)
    kept: Evaluations = traced.kept["evaluations"]
    return kept


def _evaluations_of(traced: Trace) -> Evaluations:
    kept = traced.kept  # asked first: a call of `evaluation` takes as long as a small cost

    def value(x: Vector) -> float:
        return (kept.get("value") or evaluation(traced, "value"))(x)[0]

    def value_and_gradient(x: Vector) -> tuple[float, Vector]:
        return (kept.get("value_and_gradient") or evaluation(traced, "value_and_gradient"))(x)

    def hessian(x: Vector) -> Vector:
        return (kept.get("hessian") or evaluation(traced, "hessian"))(x)[0]

    def hessian_in_slopes(least: float) -> float:
        slope = evaluation(traced, "value_and_gradient").foreseen.at_best
        if slope * traced.n * MOST_FOR_A_PRODUCT <= least:
            return 0.0
        whole = evaluation(traced, "hessian").foreseen.at_best
        return whole / slope if whole > least else 0.0

    def hessian_product(x: Vector, v: Vector) -> Vector:
        return evaluation(traced, "hessian_product")(x, v)[0]

    def traceable_product(x: Vector) -> Any | None:
        from .derivatives.products import Products

        products = evaluation(traced, "hessian_product")
        return products.traceable(x) if isinstance(products, Products) else None

    squares = sum_of_squares(traced)

    def find_linearised() -> Callable[[Vector], Linearised] | None:
        found = evaluation(traced, "linearised")
        if found is None:
            return None
        plan = getattr(found, "plan", None)

        def linearised(x: Vector) -> Linearised:
            value, residual, jacobian = found(x)
            return Linearised(float(value), residual, jacobian)

        if plan is not None:
            work = lru_cache(maxsize=1)(partial(normal_work, plan.shape, plan.indptr, plan.indices))
            return Linearisation(linearised, True, plan.shape[0], plan.products, work)
        if squares is None:
            return Linearisation(linearised, False)
        few, many = sorted((squares.m, traced.n))
        return Linearisation(linearised, False, squares.m, traced.n, lambda most: DENSE * few**2 * many)

    def find_sparse_hessian() -> Callable[[Vector], Any] | None:
        found = evaluation(traced, "sparse_hessian")
        if found is None or slopes_are_cheaper(traced):
            return None
        if "sparse Hessian" not in traced.kept:
            plan = found.plan
            traced.kept["sparse Hessian"] = SparseHessian(
                lambda x: found(x)[0], plan.indptr, plan.indices, lambda: upright_evaluation(traced, plan)
            )
        kept: SparseHessian = traced.kept["sparse Hessian"]
        return kept

    def find_on_device() -> Callable[[Any], Any] | None:
        compiled = evaluation(traced, "value_and_gradient").compile()
        return None if compiled.on_host else compiled.on_device

    def traceable(times: int) -> Traceable | None:
        found: Traceable | None = evaluation(traced, "value_and_gradient").traceable_after(times)
        return found

    def find_closer() -> Callable[[Vector], tuple[float, Vector]] | None:
        from .tracing.flows.closer import trace_followed_closer

        found = trace_followed_closer(traced)
        return None if found is None else exact_evaluations(found).value_and_gradient

    return Evaluations(
        value,
        value_and_gradient,
        MadeWhenAsked(hessian, lambda: "hessian" in traced.kept, hessian_in_slopes),
        HessianProduct(hessian_product, traceable_product),
        "exact",
        traced.lowest_precision,
        traced,
        sparse_hessian=Later(find_sparse_hessian) if traced.n > SMALL else None,
        linearised=Later(find_linearised, lambda: slopes_are_cheaper(traced)),
        least_squares=squares is not None,
        split=Later(lambda: split_cost(traced)),
        terms=Later(lambda: sum_of_terms(traced)),
        on_device=Later(find_on_device),
        traceable=traceable,
        closer=Later(find_closer),
    )


@dataclass(frozen=True)
class SplitCost:
    """A cost without its kinks, to be walked on: `program` as `structure.splitting` found it, and its evaluations.

    `cost`: value, derivatives and sparsity of the smooth cost of y (N,). `rows`: the equations, a traced function, and
    `parts` what norms are taken of; None where there are none.
    `limits`: constraints, where they have kinks as well, as one traced function of y. `conic`: the same with t alone in
    the place of each norm, which is no cost by itself: on the cones t >= |u| it is.
    """

    program: Split
    cost: Evaluations
    rows: Trace | None
    limits: Trace | None = None
    parts: Trace | None = None
    conic: SplitCost | None = None


def split_cost(traced: Trace) -> SplitCost | None:
    """The same cost without its kinks, kept with its trace; None where it has none that can be replaced."""
    if "split" not in traced.kept:
        from .structure.splitting import split_of
        from .tracing.trace import as_number

        exact = traced.lowest_precision == "float64"
        program = split_of(as_number(traced), MOST_KINKS) if exact else None
        traced.kept["split"] = program and _split_cost(program, program.cost)
    found: SplitCost | None = traced.kept["split"]
    return found


def _split_cost(program: Split, cost: Any, limits: Any = None) -> SplitCost:
    from .tracing.trace import Trace

    def of(closed: Any) -> Trace:
        return Trace(closed, closed.out_avals[0].shape, "float64")

    def with_numbers(cost: Any, rows: Any, parts: Any, limits: Any, conic: SplitCost | None) -> SplitCost:
        return SplitCost(
            program,
            exact_evaluations(of(cost)),
            of(rows) if len(program.pairs) else None,
            None if limits is None else of(limits),
            None if program.parts is None else of(parts),
            conic,
        )

    conic = None
    if program.conic:
        first, rows, parts, *further = program.conic
        cost_on_cones, limits_on_cones = further if limits is not None else (first, None)
        conic = with_numbers(cost_on_cones, rows, parts, limits_on_cones, None)
    return with_numbers(cost, program.rows, program.parts, limits, conic)


def split_between(cost: Trace, limits: Sequence[Trace], senses: Sequence[int]) -> SplitCost | None:
    """A cost and constraints without their kinks, kept with the first constraint; None where these have none.

    `senses`: of each constraint 1 where it has upper limits, -1 where it has lower ones, 0 where it has both. Only a
    kink that makes constraints harder to meet, as it makes the cost higher, is an equation as good.
    """
    from .structure.splitting import split_of, together
    from .tracing.trace import as_number

    asked = (cost, *limits)
    known = limits[0].kept.get("split together")
    if (
        known is None
        or len(known[0]) != len(asked)
        or any(a is not b for a, b in zip(known[0], asked, strict=True))
        or known[1] != tuple(senses)
    ):
        joint = together(as_number(cost), [trace.jaxpr for trace in limits], senses)
        program = None if joint is None else split_of(joint, MOST_KINKS)
        found = None
        if program is not None:
            smooth, values = program.further
            found = _split_cost(program, smooth, values)
        known = limits[0].kept["split together"] = asked, tuple(senses), found
    split: SplitCost | None = known[2]
    return split


def supplied_evaluations(
    cost: Cost, args: tuple[Any, ...], parameters: Parameters, jac: Any, hess: Any
) -> Evaluations:
    """The user's own gradient, called as SciPy calls it."""

    def number(value: Any) -> float:
        return number_of(cost, value)

    def gradient_of(given: Any) -> Vector:
        # Copied: it is kept with its point, and the user's function may write the next one into the same array.
        gradient = np.array(given, dtype=np.float64) if parameters.n == np.size(given) else None
        if gradient is None:
            gradient = parameters.flatten(given, "the gradient")
        return gradient.reshape(parameters.n)

    def both(x: Vector) -> tuple[float, Vector]:
        structure = parameters.restore(x)
        if jac is True:
            value, gradient = cost(structure, *args)
            return number(value), gradient_of(gradient)
        return number(cost(structure, *args)), gradient_of(call_like(cost, jac, structure, args))

    def value(x: Vector) -> float:
        out = cost(parameters.restore(x), *args)
        return number(out[0] if jac is True else out)

    def hessian(x: Vector) -> Vector:
        matrix = np.array(call_like(cost, hess, parameters.restore(x), args), dtype=np.float64)
        return matrix.reshape(parameters.n, parameters.n)

    return Evaluations(value, both, hessian if callable(hess) else None, None, "supplied")


def numeric_evaluations(
    cost: Cost, args: tuple[Any, ...], parameters: Parameters, box: Bounds
) -> Evaluations:
    """The gradient measured by differences, for a cost that cannot be traced."""
    from .derivatives.numeric import NumericDerivatives

    plain, calls = plain_value(cost, parameters, args), Calls()

    def value(x: Vector) -> float:
        calls.count()
        return plain(x)

    measured = NumericDerivatives(value, box, calls_left=lambda: calls.left)
    return Evaluations(
        value,
        measured.value_and_gradient,
        measured.hessian,
        measured.hessian_product,
        "numeric",
        gradient_error=lambda: measured.gradient_error,
        calls=calls,
    )
