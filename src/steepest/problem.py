"""What the user asked, made ready for a solver: a counted objective on the free parameters, and a start."""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .bounds import Bounds
from .box import box_of, free_of
from .errors import InputError, SteepestError, TracingError
from .objective import (
    Budget,
    Calls,
    HessianProduct,
    Later,
    Linearisation,
    Linearised,
    MadeWhenAsked,
    Objective,
    SparseHessian,
    SumOfTerms,
)
from .parameters import EntryNames, Parameters
from .returned import numbers

if TYPE_CHECKING:
    from .derivatives.compiled import Traceable
    from .structure.losses import Losses
    from .structure.splitting import Split
    from .structure.squares import Squares
    from .tracing.trace import Trace

Vector = np.ndarray

DERIVATIVES = ("auto", "exact", "numeric")

# Entries of a dense Jacobian, m·n, up to which a sum of squares offers its residual: 256 MB.
LARGEST_JACOBIAN = 1 << 25
# Up to so many entries a Jacobian is taken as dense without a look: finding its pattern takes longer.
SMALL_JACOBIAN = 1 << 14
# Up to so many parameters the gradient of a sum of squares is taken from its Jacobian.
FEW_COLUMNS = 10
# Up to so many parameters matrices are dense: factorising them takes less than the overhead of sparse ones.
SMALL = 64
# Elements with a kink that are made equations at most: beyond, the program costs more than the steps it saves.
MOST_KINKS = 20_000
# A matrix is sparse when less than this part of its entries may be nonzero.
SPARSE = 0.15

# Sparse second derivatives of more than so many products, which are so many times those of the residuals' slopes, are
# not asked for: a step of Gauss and Newton saves more than it loses by leaving them out.
MANY_PRODUCTS, DEARER = 40, 8

# Multiplications to factorise JᵀJ, for each of its entries, up to which a walk begins with steps of Gauss and Newton:
# some dozens, where slopes alone take a thousand. Parameters paired at random, 15,000 each, took 37 of these and 31 of
# those.
SOON = 1_000.0


@dataclass(frozen=True)
class Cost:
    """A cost as it was given: what to call, how, and what to call it by.

    `style`: "whole" (the parameters are the first argument), "keywords" or "unpacked". `first`: the name of
    the first parameter. `opaque`: compiled code that cannot be traced.
    """

    function: Any
    label: str
    style: str
    first: str
    names: tuple[str, ...] | None
    opaque: bool

    @property
    def argument_names(self) -> tuple[str, ...]:
        """The names of the function's own positional arguments, where they are known."""
        found = None if self.names is not None else _positional_names(self.function)
        return self.names or (found[0] if found else ())

    @property
    def takes_any_keyword(self) -> bool:
        """Whether the function ends in **others."""
        code = getattr(self.function, "__code__", None)
        return code is not None and bool(code.co_flags & 0x08)

    def __call__(self, structure: Any, *args: Any) -> Any:
        """The value for NumPy parameters."""
        if isinstance(self.function, str):
            raise AssertionError("expressions are parsed before they are called")
        if self.names is not None:
            from .tracing.trace import evaluate

            return evaluate(self.function, structure)
        if self.style == "whole":
            return self.function(structure, *args)
        if self.style == "keywords":
            return self.function(*args, **structure)
        return self.function(*structure, *args)

    def trace(self, parameters: Parameters, args: tuple[Any, ...], label: str | None = None) -> Trace:
        """The cost as a jaxpr; see `tracing.trace.trace`."""
        from .tracing.trace import trace

        try:
            return trace(self.function, parameters, args, style=self.style, label=label)
        except (TypeError, IndexError, ValueError) as error:
            if self.style == "unpacked" and not isinstance(error, SteepestError):
                error.add_note(
                    f"{self.label} takes several arguments, so each was given one number of the start; what is no "
                    "parameter belongs in args=."
                )
            raise


def read_cost(fun: Any, structure: Any, args: tuple[Any, ...] = ()) -> Cost:
    """Tell what kind of cost was given and how it wants its parameters; nothing is evaluated."""
    if isinstance(fun, str):
        fun = _parsed(fun)
    if type(fun).__name__ == "Expression":
        _check_expression(fun, structure)
        return Cost(fun, fun.text, "whole", fun.names[0], fun.names, opaque=False)
    if not callable(fun):
        raise InputError(
            f"the cost is {fun!r}, which cannot be called; give a function of the parameters or an expression "
            'such as "x**2 - 2*x + 3"'
        )
    from_code = _positional_names(fun) if not _is_scipy_object(fun) else None
    label = getattr(fun, "__name__", None) or type(getattr(fun, "func", fun)).__name__
    label = "cost" if label == "<lambda>" else label
    if from_code is None:
        return Cost(fun, label, "whole", "x", None, opaque=is_opaque(fun))
    names, required = from_code
    wanted = required - len(args)
    style = "whole"
    if wanted >= 2:
        own = names[:wanted] if not isinstance(structure, Mapping) else names[len(args) : required]
        style = _style(structure, own, label)
    return Cost(fun, label, style, names[0] if names else "x", None, opaque=False)


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    from .tracing.expressions import parse

    return parse(text)


def _style(structure: Any, names: tuple[str, ...], label: str) -> str:
    """How a function of several required arguments takes the structure."""
    if isinstance(structure, Mapping):
        if set(names) <= set(structure):
            return "keywords"
        missing = ", ".join(sorted(set(names) - set(structure)))
        raise InputError(f"{label} takes {', '.join(names)}, but no value is given for {missing}")
    if np.ndim(structure) >= 1 and len(structure) == len(names):
        return "unpacked"
    raise InputError(
        f"{label} takes {len(names)} arguments ({', '.join(names)}); give a dict with these names, a list of "
        f"{len(names)} numbers, or pass data through args="
    )


def _check_expression(expression: Any, structure: Any) -> None:
    names = expression.names
    if not names:
        raise InputError(f"{expression.text!r} has no parameter: it is a constant")
    if isinstance(structure, Mapping):
        missing, extra = set(names) - set(structure), set(structure) - set(names)
        if missing or extra:
            said = (
                f"no value for {', '.join(sorted(missing))}"
                if missing
                else f"no {', '.join(sorted(extra))} in it"
            )
            raise InputError(f"{expression.text!r} has the parameters {', '.join(names)}; {said}")
    elif np.size(structure) != len(names):
        raise InputError(
            f"{expression.text!r} has {_counted(len(names), 'parameter')} ({', '.join(names)}), but "
            f"{_counted(np.size(structure), 'value')} given; write {{{', '.join(f'{name!r}: …' for name in names)}}}"
        )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}" + (
        "" if what == "parameter" else " are" if count != 1 else " is"
    )


def _positional_names(fun: Any) -> tuple[tuple[str, ...], int] | None:
    """The names of a Python function's positional arguments and how many are required; None if unknown."""
    if isinstance(fun, functools.partial):
        inner = _positional_names(fun.func)
        if inner is None:
            return None
        names, required = inner[0][len(fun.args) :], inner[1] - len(fun.args)
        cut = next((k for k, name in enumerate(names) if name in fun.keywords), len(names))
        return names[:cut], min(required, cut)
    bound = 0
    if isinstance(fun, types.MethodType):
        fun, bound = fun.__func__, 1
    elif not isinstance(fun, types.FunctionType):
        inner_call = getattr(type(fun), "__call__", None)
        wrapped = getattr(fun, "__wrapped__", None)
        if isinstance(wrapped, types.FunctionType):
            fun = wrapped
        elif isinstance(inner_call, types.FunctionType):
            fun, bound = inner_call, 1
    if not isinstance(fun, types.FunctionType):
        return None
    count = fun.__code__.co_argcount
    names = fun.__code__.co_varnames[bound:count]
    return names, count - bound - len(fun.__defaults__ or ())


def is_opaque(fun: Any) -> bool:
    """Whether a callable is compiled code through and through (its slope can only be measured)."""
    if isinstance(fun, (types.FunctionType, types.MethodType, functools.partial)):
        return False
    if isinstance(fun, np.ufunc) or type(fun).__module__.partition(".")[0] in ("jax", "jaxlib"):
        return False
    return _is_scipy_object(fun) or not isinstance(getattr(type(fun), "__call__", None), types.FunctionType)


def _is_scipy_object(fun: Any) -> bool:
    """Whether a callable is a spline, an interpolator or their like: Python outside, compiled code inside."""
    return type(fun).__module__.startswith("scipy.")


# -- the problem -------------------------------------------------------------------------------------------


@dataclass
class Problem:
    """A cost ready to be minimised.

    `objective` works on the free parameters, a flat vector of shape (n,); `restore` puts such a vector back
    into the user's structure, fixed values included. `names`: of the free parameters. `remarks`: what was
    changed on the way in, in words. `facts`: those read off the trace, once they were asked for.
    """

    cost: Cost
    args: tuple[Any, ...]
    parameters: Parameters
    objective: Objective
    start: Vector
    names: Sequence[str]
    free: np.ndarray | None
    trace: Trace | None
    derivatives: str
    precision: str
    remarks: tuple[str, ...] = field(default=())
    facts: Any = None

    def whole(self, x: Vector) -> Vector:
        """The full flat vector for the free parameters `x`."""
        if self.free is None:
            return x
        full = self.parameters.vector.copy()
        full[self.free] = x
        return full

    def restore(self, x: Vector) -> Any:
        """The user's structure for the free parameters `x`."""
        return self.parameters.restore(self.whole(x))


def pose(
    fun: Any,
    x0: Any,
    args: tuple[Any, ...],
    *,
    jac: Any,
    hess: Any,
    bounds: Any,
    fixed: Any,
    derivatives: str,
    budget: Budget,
) -> Problem:
    """Check every argument and make the objective; the cost is run at most once, to trace it."""
    if derivatives not in DERIVATIVES:
        raise InputError(f"derivatives={derivatives!r}; choose one of {', '.join(map(repr, DERIVATIVES))}")
    args = args if isinstance(args, tuple) else (args,)
    cost = read_cost(fun, x0, args)
    parameters = Parameters.of(x0, cost.first)
    names = cost.names if cost.names and len(cost.names) == parameters.n else parameters.names
    box, remarks = box_of(bounds, parameters, names)
    start = parameters.vector
    if box.any and not box.contains(start):
        outside = [names[k] for k in np.flatnonzero((start < box.lower) | (start > box.upper))[:4]]
        remarks += (f"the start of {', '.join(outside)} lay outside its bounds and was moved onto them",)
        start = box.project(start)
        parameters = _moved(parameters, start)
    free = free_of(fixed, parameters, names)
    functions = _evaluations(cost, args, parameters, box, jac, hess, derivatives)
    if free is not None:
        functions = functions.restricted(start, free)
        start = start[free]
        box = Bounds(box.lower[free], box.upper[free])
    objective = Objective(
        parameters.n if free is None else int(free.size),
        value=functions.value,
        value_and_gradient=functions.value_and_gradient,
        hessian=functions.hessian,
        hessian_product=functions.hessian_product,
        sparse_hessian=functions.sparse_hessian,
        linearised=functions.linearised,
        least_squares=functions.least_squares,
        split=functions.split,
        terms=functions.terms,
        bounds=box,
        derivatives=functions.derivatives,
        gradient_error=functions.gradient_error,
        calls=functions.calls,
        on_device=functions.on_device,
        traceable=functions.traceable,
        budget=budget,
    )
    return Problem(
        cost,
        args,
        parameters,
        objective,
        start,
        names if free is None else _names_of(names, parameters, free),
        free,
        functions.trace,
        functions.derivatives,
        functions.precision,
        remarks,
    )


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


def _evaluations(
    cost: Cost,
    args: tuple[Any, ...],
    parameters: Parameters,
    box: Bounds,
    jac: Any,
    hess: Any,
    derivatives: str,
) -> Evaluations:
    if jac is True or callable(jac):
        if derivatives == "exact":
            raise InputError(
                'jac= hands in a gradient, so derivatives="exact" has nothing to do; leave one out'
            )
        return _supplied(cost, args, parameters, jac, hess)
    if isinstance(jac, str):
        if jac not in ("2-point", "3-point", "cs"):
            raise InputError(f"jac={jac!r}; give a function, True, or leave it out for exact derivatives")
        derivatives = "numeric"
    if hess is not None:
        raise InputError(
            "hess= needs jac= beside it; leave both out and steepest takes exact derivatives itself"
        )
    if derivatives == "numeric" or (cost.opaque and derivatives == "auto"):
        return _numeric(cost, args, parameters, box)
    if cost.opaque:
        raise TracingError(
            f"{cost.label} is compiled code, which cannot be traced; write the cost in NumPy, or let its slope be "
            'measured by differences: derivatives="numeric"'
        )
    traced = cost.trace(parameters, args)
    _require_one_number(cost, traced.shape)
    return exact_evaluations(traced)


def _require_one_number(cost: Cost, shape: tuple[int, ...]) -> None:
    if math.prod(shape) != 1:
        raise InputError(
            f"{cost.label} returns an array of shape {shape}; a cost is one number. Reduce it, for instance with "
            "np.sum(...) or np.sum(residual**2)"
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
        sparse = hasattr(found, "plan")

        def linearised(x: Vector) -> Linearised:
            value, residual, jacobian = found(x)
            return Linearised(float(value), residual, jacobian)

        return Linearisation(linearised, sparse)

    def find_sparse_hessian() -> Callable[[Vector], Any] | None:
        found = evaluation(traced, "sparse_hessian")
        if found is None or _slopes_are_cheaper(traced):
            return None
        if "sparse Hessian" not in traced.kept:
            plan = found.plan
            traced.kept["sparse Hessian"] = SparseHessian(
                lambda x: found(x)[0], plan.indptr, plan.indices, lambda: _upright_evaluation(traced, plan)
            )
        kept: SparseHessian = traced.kept["sparse Hessian"]
        return kept

    def find_on_device() -> Callable[[Any], Any] | None:
        compiled = evaluation(traced, "value_and_gradient").compile()
        return None if compiled.on_host else compiled.on_device

    def traceable(times: int) -> Traceable | None:
        found: Traceable | None = evaluation(traced, "value_and_gradient").traceable_after(times)
        return found

    return Evaluations(
        value,
        value_and_gradient,
        MadeWhenAsked(hessian, lambda: "hessian" in traced.kept),
        HessianProduct(hessian_product, traceable_product),
        "exact",
        traced.lowest_precision,
        traced,
        sparse_hessian=Later(find_sparse_hessian) if traced.n > SMALL else None,
        linearised=Later(find_linearised, lambda: _slopes_are_cheaper(traced)),
        least_squares=squares is not None,
        split=Later(lambda: split_cost(traced)),
        terms=Later(lambda: sum_of_terms(traced)),
        on_device=Later(find_on_device),
        traceable=traceable,
    )


@dataclass(frozen=True)
class SplitCost:
    """A cost without its kinks, to be walked on: `program` as `structure.splitting` found it, and its evaluations.

    `cost`: value, derivatives and sparsity of the smooth cost of y (N,). `rows`: the equations, a traced function, and
    `parts` what norms are taken of; None where there are none.
    `limits`: constraints, where they have kinks as well, as one traced function of y.
    """

    program: Split
    cost: Evaluations
    rows: Trace | None
    limits: Trace | None = None
    parts: Trace | None = None


def split_cost(traced: Trace, *, norms: bool = True) -> SplitCost | None:
    """The same cost without its kinks, kept with its trace; None where it has none that can be replaced.

    `norms`: whether those are replaced too.
    """
    key = "split" if norms else "split but for norms"
    if key not in traced.kept:
        from .structure.splitting import split_of
        from .tracing.trace import as_number

        exact = traced.lowest_precision == "float64"
        program = split_of(as_number(traced), MOST_KINKS, norms=norms) if exact else None
        traced.kept[key] = program and _split_cost(program, program.cost)
    found: SplitCost | None = traced.kept[key]
    return found


def _split_cost(program: Split, cost: Any, limits: Any = None) -> SplitCost:
    from .tracing.trace import Trace

    def of(closed: Any) -> Trace:
        return Trace(closed, closed.out_avals[0].shape, "float64")

    return SplitCost(
        program,
        exact_evaluations(of(cost)),
        of(program.rows) if len(program.pairs) else None,
        None if limits is None else of(limits),
        None if program.parts is None else of(program.parts),
    )


def split_between(cost: Trace, limits: Sequence[Trace], senses: Sequence[int]) -> SplitCost | None:
    """A cost and constraints without their kinks, kept with the first constraint; None where these have none.

    `senses`: of each constraint 1 where it has upper limits, -1 where it has lower ones, 0 where it has both. Only a
    kink that makes constraints harder to meet, as it makes the cost higher, is an equation as good.
    """
    from .structure.splitting import split_of, together
    from .tracing.trace import as_number

    known = limits[0].kept.get("split together")
    if known is None or known[0] is not cost or known[1] != (*map(id, limits), *senses):
        joint = together(as_number(cost), [trace.jaxpr for trace in limits], senses)
        program = None if joint is None else split_of(joint, MOST_KINKS, norms=False)
        found = None
        if program is not None:
            smooth, values = program.further
            found = _split_cost(program, smooth, values)
        known = limits[0].kept["split together"] = cost, (*map(id, limits), *senses), found
    split: SplitCost | None = known[2]
    return split


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


def _slopes_are_cheaper(traced: Trace) -> bool:
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


def _upright_evaluation(traced: Trace, plan: Any) -> Callable[[Vector], Vector] | None:
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


def _supplied(cost: Cost, args: tuple[Any, ...], parameters: Parameters, jac: Any, hess: Any) -> Evaluations:
    """The user's own gradient, called as SciPy calls it."""

    def number(value: Any) -> float:
        return _as_number(cost, value)

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
        return number(cost(structure, *args)), gradient_of(_call_like(cost, jac, structure, args))

    def value(x: Vector) -> float:
        out = cost(parameters.restore(x), *args)
        return number(out[0] if jac is True else out)

    def hessian(x: Vector) -> Vector:
        matrix = np.array(_call_like(cost, hess, parameters.restore(x), args), dtype=np.float64)
        return matrix.reshape(parameters.n, parameters.n)

    return Evaluations(value, both, hessian if callable(hess) else None, None, "supplied")


def _call_like(cost: Cost, function: Callable[..., Any], structure: Any, args: tuple[Any, ...]) -> Any:
    """Call a derivative with the arguments its cost takes."""
    if cost.style == "keywords":
        return function(*args, **structure)
    return function(*structure, *args) if cost.style == "unpacked" else function(structure, *args)


def _numeric(cost: Cost, args: tuple[Any, ...], parameters: Parameters, box: Bounds) -> Evaluations:
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


def plain_value(cost: Cost, parameters: Parameters, args: tuple[Any, ...]) -> Callable[[Vector], float]:
    """The cost on flat vectors, called as it is; where Python's `math` refuses a number it is NaN."""

    def value(x: Vector) -> float:
        try:
            return _as_number(cost, cost(parameters.restore(x), *args))
        except ArithmeticError:
            return np.nan
        except ValueError as error:
            if str(error).startswith(("math domain error", "math range error", "expected a")):
                return np.nan
            raise

    return value


def _as_number(cost: Cost, value: Any) -> float:
    if type(value) is float:
        return value
    number = numbers(value, cost.label)
    if number.size != 1:
        _require_one_number(cost, number.shape)
    return float(number.reshape(()))


def _names_of(names: Sequence[str], parameters: Parameters, free: np.ndarray) -> Sequence[str]:
    return (
        EntryNames(parameters.leaves, free)
        if isinstance(names, EntryNames)
        else tuple(names[k] for k in free)
    )


def _moved(parameters: Parameters, start: Vector) -> Parameters:
    return Parameters.of(
        parameters.restore(start), parameters.leaves[0].name if len(parameters.leaves) == 1 else "x"
    )
