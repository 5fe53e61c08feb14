"""Constraints in every form people write them, read into rows; each function is run once, to be traced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cost import Cost, read_cost
from ..errors import InputError, TracingError
from ..parameters import Parameters
from ..problem import Problem
from .inequality import sides_of
from .rows import Rows

if TYPE_CHECKING:
    from ..tracing.trace import Trace

Vector = np.ndarray

FORMS = (
    'a dict {"type": "ineq", "fun": f} (f(x) >= 0) or {"type": "eq", "fun": f} (f(x) == 0), an expression such as '
    '"x**2 + y**2 <= 1", a scipy.optimize.LinearConstraint or NonlinearConstraint, or a list of these'
)


@dataclass(frozen=True)
class Part:
    """One constraint as given, m rows of it: a function or a matrix, its limits and its names.

    `trace` where the function could be followed, `matrix` where the rows are linear as given, and otherwise `plain`,
    a function of flat parameters, with the user's own `jacobian` if there is one.
    """

    label: str
    lower: Any
    upper: Any
    trace: Trace | None = None
    matrix: Any = None
    plain: Callable[[Vector], Vector] | None = None
    jacobian: Callable[[Vector], Any] | None = None
    m: int = 0
    remarks: tuple[str, ...] = ()


def read(given: Any, problem: Problem, derivatives: str = "auto") -> Rows | None:
    """The constraints `given` on the free parameters of `problem`; None where there are none.

    Raises `InputError` for what cannot be read, and `TracingError` where a function cannot be followed and no other
    way to its derivatives is left.
    """
    parts = []
    for number, one in enumerate(listed(given), start=1):
        part = _part(one, number, problem, derivatives)
        if part.m:
            parts.append(part)
    if not parts:
        return None
    from .assembly import assemble

    lower = np.concatenate([_limit(part.lower, part, "lower") for part in parts])
    upper = np.concatenate([_limit(part.upper, part, "upper") for part in parts])
    names = _distinct([name for part in parts for name in _row_names(part)])
    rows = assemble(parts, lower, upper, names, problem)
    _check_limits(rows)
    return rows


def listed(given: Any) -> Sequence[Any]:
    """The constraints of `constraints=`, one alone or several."""
    if given is None:
        return ()
    if isinstance(given, (str, Mapping)) or hasattr(given, "lb") or callable(given):
        return (given,)
    try:
        return tuple(given)
    except TypeError:
        raise InputError(f"constraints={given!r} cannot be read; give {FORMS}") from None


def _part(one: Any, number: int, problem: Problem, derivatives: str) -> Part:
    if isinstance(one, str):
        return _from_text(one, problem)
    if isinstance(one, Mapping):
        return _from_dict(one, number, problem, derivatives)
    if hasattr(one, "lb") and hasattr(one, "ub") and hasattr(one, "A"):
        return _from_matrix(one, number, problem)
    if hasattr(one, "lb") and hasattr(one, "ub") and hasattr(one, "fun"):
        label = _label(one.fun, number)
        part = _from_function(one.fun, (), one.jac, label, problem, derivatives)
        return _with(part, lower=one.lb, upper=one.ub, remarks=_on_keeping(one, label))
    if hasattr(one, "lb") and hasattr(one, "ub"):
        raise InputError(f"constraint {number} is {one!r}, which bounds parameters: pass it as bounds=")
    raise InputError(f"constraint {number} is {one!r}; give {FORMS}")


# -- the forms ---------------------------------------------------------------------------------------------


def _from_text(text: str, problem: Problem) -> Part:
    """An inequality or equation in the grammar of expressions, over the parameters' names."""
    from ..tracing.trace import trace

    sides = sides_of(text)
    named = _named(problem)
    unknown = [name for name in sides.expression.names if name not in named.restore(named.vector)]
    if unknown:
        known = ", ".join(list(named.restore(named.vector))[:20])
        raise InputError(
            f"the constraint {text!r} speaks of {', '.join(unknown)}, but the parameters are {known}; where an "
            "array's entries are meant, write the constraint as a function of it"
        )
    if not sides.expression.names:
        raise InputError(f"the constraint {text!r} has no parameter in it: it holds always or never")
    traced = trace(sides.expression, named)
    m = int(np.prod(traced.shape))
    return Part(" ".join(text.split()), sides.lower, sides.upper, trace=traced, m=m)


def _named(problem: Problem) -> Parameters:
    """The parameters under the names by which an expression can speak of them, in flat order."""
    names = problem.cost.names
    vector = problem.parameters.vector
    if names is not None and len(names) == vector.size:
        return Parameters.of(dict(zip(names, vector.tolist(), strict=True)))
    if problem.cost.style == "unpacked":
        own = problem.cost.argument_names
        if len(own) == vector.size:
            return Parameters.of(dict(zip(own, vector.tolist(), strict=True)))
    pieces = {
        leaf.name: vector[leaf.start : leaf.stop].reshape(leaf.shape) for leaf in problem.parameters.leaves
    }
    return Parameters.of(pieces)


def _from_dict(one: Mapping[str, Any], number: int, problem: Problem, derivatives: str) -> Part:
    unknown = set(one) - {"type", "fun", "jac", "args", "name"}
    if unknown or "type" not in one or "fun" not in one:
        wrong = f"has no use for {', '.join(map(repr, sorted(unknown)))}" if unknown else "lacks a part"
        raise InputError(
            f'constraint {number} {wrong}; a dict has "type", "fun" and, if wanted, "args", "jac", "name"'
        )
    kind = one["type"]
    if not isinstance(kind, str) or kind.lower() not in ("eq", "ineq"):
        raise InputError(
            f'constraint {number} is of type {kind!r}; write "eq" for fun(x) == 0 or "ineq" for fun(x) >= 0'
        )
    args = one.get("args", ())
    args = args if isinstance(args, tuple) else (args,)
    label = str(one["name"]) if one.get("name") else _label(one["fun"], number)
    part = _from_function(one["fun"], args, one.get("jac"), label, problem, derivatives)
    return _with(part, lower=0.0, upper=0.0 if kind.lower() == "eq" else np.inf)


def _from_matrix(one: Any, number: int, problem: Problem) -> Part:
    """`lb <= A x <= ub` on the flat parameters; A dense or sparse."""
    n = problem.parameters.n
    matrix = one.A
    if not hasattr(matrix, "tocsr"):
        matrix = np.atleast_2d(np.asarray(matrix, dtype=np.float64))
    if matrix.shape[1] != n:
        raise InputError(
            f"the matrix of constraint {number} has {matrix.shape[1]} columns for {n} parameters; give one for each"
        )
    values = matrix.data if hasattr(matrix, "tocsr") else matrix
    if not np.isfinite(values).all():
        raise InputError(f"the matrix of constraint {number} holds an entry that is not finite")
    label = f"linear constraint {number}"
    return Part(label, one.lb, one.ub, matrix=matrix, m=int(matrix.shape[0]), remarks=_on_keeping(one, label))


def _from_function(
    fun: Any, args: tuple[Any, ...], jac: Any, label: str, problem: Problem, derivatives: str
) -> Part:
    """A function of the parameters as the cost takes them, giving one number or an array of them."""
    if isinstance(fun, str):
        return _with(_expression_part(fun, problem), label=label)
    if not callable(fun):
        raise InputError(f"{label}: its fun is {fun!r}, which cannot be called")
    parameters = problem.parameters
    structure = parameters.restore(parameters.vector)
    taken, parameters = _taken(fun, structure, args, parameters)
    numeric = derivatives == "numeric" or problem.derivatives == "numeric"
    if not (numeric or taken.opaque):
        try:
            traced = taken.trace(parameters, args, label)
        except TracingError:
            if not callable(jac):
                raise
        else:
            return Part(label, None, None, trace=traced, m=int(np.prod(traced.shape)))
    if derivatives == "exact":
        raise TracingError(f'{label} cannot be traced, and derivatives="exact" leaves no other way')

    def plain(x: Vector) -> Vector:
        value = taken(parameters.restore(x), *args)
        try:
            return np.atleast_1d(np.asarray(value, dtype=np.float64)).ravel()
        except (TypeError, ValueError):
            kind = type(value).__name__
            raise InputError(
                f"{label} returns {kind}, which is no number; end it with `return` and its value"
            ) from None

    m = plain(parameters.vector).size
    supplied = None
    if callable(jac):

        def supplied(x: Vector) -> Any:
            given = jac(parameters.restore(x), *args)
            given = given if hasattr(given, "tocsr") else np.asarray(given, dtype=np.float64)
            return given.reshape(m, parameters.n)

    return Part(label, None, None, plain=plain, jacobian=supplied, m=m)


def _expression_part(text: str, problem: Problem) -> Part:
    """`fun` of a dict written as an expression: the left side of `>= 0` or `== 0`."""
    return _from_text(f"{text} >= 0", problem)


def _taken(
    fun: Any, structure: Any, args: tuple[Any, ...], parameters: Parameters
) -> tuple[Cost, Parameters]:
    """How the function takes the parameters; by names, it need not take all of them."""
    cost = read_cost(fun, structure, args)
    own = cost.argument_names
    if (
        cost.style == "whole"
        and isinstance(structure, Mapping)
        and len(own) == 1 + len(args)
        and own[-1] in structure
    ):
        cost = replace(cost, style="keywords")  # of one parameter, by its name
    if cost.style != "keywords":
        return cost, parameters
    wanted = set(cost.argument_names) & set(structure)
    if wanted == set(structure) or cost.takes_any_keyword:
        return cost, parameters

    def chosen(pieces: Any) -> Any:
        return {name: value for name, value in parameters.build(pieces).items() if name in wanted}

    key = None if parameters.key is None else f"{parameters.key} only {sorted(wanted)}"
    return cost, Parameters(parameters.leaves, parameters.vector, chosen, key)


# -- names and limits --------------------------------------------------------------------------------------


def _label(fun: Any, number: int) -> str:
    if isinstance(fun, str):
        return fun
    name = getattr(fun, "__name__", None)
    return name if name and name != "<lambda>" else f"constraint {number}"


def _with(part: Part, **changes: Any) -> Part:
    changes["remarks"] = (*part.remarks, *changes.get("remarks", ()))
    return replace(part, **changes)


def _on_keeping(one: Any, label: str) -> tuple[str, ...]:
    if np.any(getattr(one, "keep_feasible", False)):
        return (
            f"keep_feasible is not kept for {label}: the walk may leave it on the way; bounds are always kept",
        )
    return ()


def _limit(limit: Any, part: Part, side: str) -> Vector:
    given = np.asarray(limit, dtype=np.float64).ravel()
    if given.size not in (1, part.m):
        raise InputError(
            f"{part.label} has {part.m} rows but {given.size} {side} limits; give one for each or one"
        )
    if np.isnan(given).any():
        raise InputError(
            f"a {side} limit of {part.label} is NaN; write -np.inf or np.inf where there is none"
        )
    return np.broadcast_to(given, (part.m,)).astype(np.float64)


def _row_names(part: Part) -> list[str]:
    return [part.label] if part.m == 1 else [f"{part.label}[{k}]" for k in range(part.m)]


def _distinct(names: list[str]) -> tuple[str, ...]:
    """Names told apart by a number where two are the same."""
    found: dict[str, None] = {}
    numbers: dict[str, int] = {}
    for name in names:
        told = name
        while told in found:
            numbers[name] = numbers.get(name, 1) + 1
            told = f"{name} ({numbers[name]})"
        found[told] = None
    return tuple(found)


def _check_limits(rows: Rows) -> None:
    crossed = np.flatnonzero(~(rows.lower <= rows.upper) | (rows.lower == np.inf) | (rows.upper == -np.inf))
    if crossed.size:
        k = int(crossed[0])
        raise InputError(f"the limits of {rows.names[k]} leave nothing: {rows.lower[k]} to {rows.upper[k]}")
