"""Exact derivatives as functions on NumPy values: of any order, for any structure of parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .bounds import Bounds
from .cost import Cost, check_derivatives, plain_value, read_cost
from .errors import InputError
from .parameters import Parameters
from .traced import evaluation

Vector = np.ndarray


def derivative(f: Any, order: int = 1, *, derivatives: str = "auto") -> Callable[..., Any]:
    """The `order`-th derivative of a function of one number.

    Returns a function `(x, *args)`: for a number `x` a float, for an array the derivative at each entry, same
    shape. `derivatives` as in `gradient`.

    Raises
    ------
    InputError : `order` is not a whole number from 0 on, or `f` is not a function of one number.
    TracingError : `f` cannot be traced (when the derivative is first evaluated).

    >>> derivative("x**2 - 2*x + 3")(3.0), derivative(np.sin, order=2)(0.5) == -np.sin(0.5)
    (4.0, np.True_)
    """
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)) or order < 0:
        raise InputError(f"order={order!r}; give a whole number, 0 or more")
    check_derivatives(derivatives)

    def at(x: Any, *args: Any) -> Any:
        points = np.asarray(x)
        if points.dtype.kind not in "fiu":
            raise InputError(f"x = {x!r} is not a real number or an array of them")
        sample = float(points.flat[0]) if points.size else 0.0
        cost = read_cost(f, sample, args)
        evaluate = _nth_derivative(cost, args, int(order), derivatives)
        if points.ndim == 0:
            return evaluate(float(points))
        return np.array([evaluate(float(entry)) for entry in points.ravel()]).reshape(points.shape)

    return _named(at, f, f"derivative of order {order}" if order != 1 else "derivative")


def gradient(f: Any, *, derivatives: str = "auto") -> Callable[..., Any]:
    """The gradient of a cost `f` as a function `(x, *args)` that returns it in the structure of `x`.

    `derivatives`: "exact", "numeric" (measured by differences), or "auto", which measures those of compiled code alone.
    Raises `InputError` if the cost is not one number, `TracingError` if it cannot be traced.

    >>> gradient(lambda p: p["a"] ** 2 * p["b"])({"a": 3.0, "b": 2.0})
    {'a': np.float64(12.0), 'b': np.float64(9.0)}
    """
    check_derivatives(derivatives)

    def at(x: Any, *args: Any) -> Any:
        cost, parameters = _read(f, x, args)
        if cost.is_measured(derivatives):
            measured = _measured(plain_value(cost, parameters, args), parameters.n)
            found = measured.value_and_gradient(parameters.vector)[1]
        else:
            trace = _scalar_trace(cost, parameters, args)
            found = evaluation(trace, "value_and_gradient")(parameters.vector)[1]
        return parameters.restore(np.asarray(found))

    return _named(at, f, "gradient")


def jacobian(f: Any, *, derivatives: str = "auto") -> Callable[..., Any]:
    """The Jacobian of an array-valued function as a function `(x, *args)`.

    For parameters that are one array of shape `s` and a result of shape `r` it has the shape `r + s`; for a
    dict, list or dataclass, that structure of such arrays. `derivatives` as in `gradient`. Raises `TracingError` if `f`
    cannot be traced.

    >>> jacobian(lambda x: np.array([x[0] * x[1], x[0] ** 2]))(np.array([3.0, 2.0]))
    array([[2., 3.],
           [6., 0.]])
    """
    check_derivatives(derivatives)

    def at(x: Any, *args: Any) -> Any:
        cost, parameters = _read(f, x, args)
        if cost.is_measured(derivatives):
            matrix = _measured_jacobian(cost, parameters, args)
            shape = matrix.shape[:-1]
        else:
            trace = cost.trace(parameters, args)
            if "jacobian" not in trace.kept:
                from .derivatives import exact
                from .derivatives.tiers import Tiered

                trace.kept["jacobian"] = Tiered(exact.jacobian(trace.jaxpr))
            matrix, shape = trace.kept["jacobian"](parameters.vector)[0], trace.shape
        matrix = np.asarray(matrix).reshape((*shape, parameters.n))
        return parameters.build(
            matrix[..., leaf.start : leaf.stop].reshape(shape + leaf.shape).copy()
            for leaf in parameters.leaves
        )

    return _named(at, f, "jacobian")


def hessian(f: Any, sparse: bool | None = None, *, derivatives: str = "auto") -> Callable[..., Any]:
    """The matrix of second derivatives of a cost `f` as a function `(x, *args)`.

    For a number a float; for one array of shape `s` an array of shape `s + s`; for any other structure of `n`
    numbers shape (n, n), in the order of `Parameters.names`. With `sparse=True` a SciPy sparse array of shape
    (n, n), found by colouring its pattern; `sparse=None` chooses sparse for more than 2,000 parameters.
    `derivatives`, and what is raised, as in `gradient`.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 2.0]))
    array([[4., 6.],
           [6., 0.]])
    """
    check_derivatives(derivatives)

    def at(x: Any, *args: Any) -> Any:
        cost, parameters = _read(f, x, args)
        n = parameters.n
        if cost.is_measured(derivatives):
            matrix = _measured(plain_value(cost, parameters, args), n).hessian(parameters.vector)
        else:
            trace = _scalar_trace(cost, parameters, args)
            if sparse or (sparse is None and n > LARGEST_DENSE):
                found = evaluation(trace, "sparse_hessian")
                if found is not None:
                    return found(parameters.vector)[0]
                from scipy.sparse import csc_array

                return csc_array(evaluation(trace, "hessian")(parameters.vector)[0])
            matrix = evaluation(trace, "hessian")(parameters.vector)[0]
        shape = parameters.leaves[0].shape if len(parameters.leaves) == 1 else None
        if shape is not None and cost.style == "whole" and type(x) is not dict:
            return (
                np.asarray(matrix).reshape(shape + shape).copy()
                if shape
                else float(np.asarray(matrix).item())
            )
        return np.asarray(matrix).copy()

    return _named(at, f, "hessian")


# Above this many parameters a dense Hessian takes more than 32 MB, and is seldom what is wanted.
LARGEST_DENSE = 2000


def hvp(f: Any) -> Callable[..., Any]:
    """The product of the Hessian of a cost `f` with a vector, as a function `(x, v, *args)`, without the matrix.

    `v` and the result have the structure of `x`. Raises as `gradient`.

    >>> hvp(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 2.0]), np.array([1.0, 0.0]))
    array([4., 6.])
    """

    def at(x: Any, v: Any, *args: Any) -> Any:
        cost, parameters = _read(f, x, args)
        trace = _scalar_trace(cost, parameters, args)
        product = evaluation(trace, "hessian_product")(parameters.vector, parameters.flatten(v, "v"))[0]
        return parameters.restore(np.asarray(product))

    return _named(at, f, "Hessian product")


def symbolic(f: Any, order: int = 0, *, at: Any = None) -> Any:
    """The cost `f`, or its derivative of some order, as a SymPy expression: for display.

    `str(...)` gives plain text, `sympy.latex(...)` LaTeX. For a Python function of several parameters give
    example values `at=`; for more than one parameter `order=1` gives the list of partial derivatives.

    Raises
    ------
    TracingError : the cost has an operation without a symbol; the message names it.

    >>> print(symbolic("x**2 - 2*x + 3", order=1))
    2*x - 2
    """
    from .derivatives.symbolic import differentiated, symbolic_of_expression, symbolic_of_jaxpr

    structure = at
    if structure is None:
        structure = _example_of(f)
    cost, parameters = _read(f, structure, ())
    names: Sequence[str] = cost.names or parameters.names
    if cost.names is not None:
        expression = symbolic_of_expression(cost.function)
    else:
        expression = symbolic_of_jaxpr(_scalar_trace(cost, parameters, ()).jaxpr, names)
    if order == 0:
        return expression
    partial = [differentiated(expression, name, order) for name in names]
    return partial[0] if len(partial) == 1 else partial


def _example_of(f: Any) -> Any:
    """Example parameters for a cost that was given none: one number, or one for each name."""
    if isinstance(f, str):
        from .tracing.expressions import parse

        names = parse(f).names
        return dict.fromkeys(names, 0.5) if len(names) > 1 else 0.5
    from .cost import positional_names

    known = positional_names(f)
    return dict.fromkeys(known[0][: known[1]], 0.5) if known and known[1] > 1 else 0.5


def _read(f: Any, x: Any, args: tuple[Any, ...]) -> tuple[Cost, Parameters]:
    cost = read_cost(f, x, args)
    return cost, Parameters.of(x, cost.first)


def _scalar_trace(cost: Cost, parameters: Parameters, args: tuple[Any, ...]) -> Any:
    trace = cost.trace(parameters, args)
    if np.prod(trace.shape) != 1:
        raise InputError(
            f"{cost.label} returns an array of shape {trace.shape}; its gradient needs one number. Take "
            "jacobian(...) of it, or reduce it with np.sum(...)"
        )
    return trace


def _nth_derivative(
    cost: Cost, args: tuple[Any, ...], order: int, derivatives: str
) -> Callable[[float], float]:
    parameters = Parameters.of(0.5, cost.first)
    if cost.is_measured(derivatives):
        return _measured_derivative(plain_value(cost, parameters, args), order)
    trace = _scalar_trace(cost, parameters, args)
    kind = ("derivative", order)
    if kind not in trace.kept:
        from .derivatives import exact
        from .derivatives.tiers import Tiered
        from .tracing.trace import as_number

        trace.kept[kind] = Tiered(exact.derivative(as_number(trace), order))
    tiered = trace.kept[kind]
    return lambda x: float(np.asarray(tiered(np.array([x]))[0]).reshape(()))


def _measured(value: Callable[[Vector], float], n: int) -> Any:
    from .derivatives.numeric import NumericDerivatives

    return NumericDerivatives(value, Bounds.none(n))


def _measured_derivative(value: Callable[[Vector], float], order: int) -> Callable[[float], float]:
    if order == 0:
        return lambda x: value(np.array([x]))
    if order == 1:
        return lambda x: float(_measured(value, 1).value_and_gradient(np.array([x]))[1][0])
    if order == 2:
        return lambda x: float(_measured(value, 1).hessian(np.array([x]))[0, 0])
    raise InputError(
        f"order={order} is beyond what differences can measure (0, 1 and 2): rounding would be all that is left. "
        "Write the function in NumPy, so that it can be traced"
    )


def _measured_jacobian(cost: Cost, parameters: Parameters, args: tuple[Any, ...]) -> Vector:
    """Rows of differences, shape (result's shape, n); values are shared between the rows."""
    known: dict[bytes, Vector] = {}

    def whole(x: Vector) -> Vector:
        key = x.tobytes()
        if key not in known:
            known[key] = np.asarray(cost(parameters.restore(x), *args), dtype=np.float64)
        return known[key]

    x0 = parameters.vector
    shape = whole(x0).shape

    def row(k: int) -> Vector:
        found: Vector = _measured(lambda x: float(whole(x).flat[k]), parameters.n).value_and_gradient(x0)[1]
        return found

    return np.array([row(k) for k in range(int(np.prod(shape)))]).reshape((*shape, parameters.n))


def _named(function: Callable[..., Any], f: Any, what: str) -> Callable[..., Any]:
    label = f if isinstance(f, str) else getattr(f, "__name__", type(f).__name__)
    function.__name__ = what.replace(" ", "_")
    function.__doc__ = f"The {what} of {label}."
    return function
