"""SciPy's solutions of equations: `brentq` and its kin, `newton`, `root_scalar`, `fsolve`, `root`, `fixed_point`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..primitives.root import MOST_TURNS, roots
from .functionals import FLOAT, Recorded, depends, number, program, recorded, recorded_plainly, vector
from .shape import ravel, reshape
from .values import Value, array_value, refused, shape_of


class Root(NamedTuple):
    """What `root_scalar` gives; `converged` and `flag` are those of a search that did, else the root is NaN."""

    root: Any
    converged: bool = True
    flag: str = "converged"
    method: str = ""


class Solution(NamedTuple):
    """What `root` gives; `success` is that of a search that found one, else `x` is NaN."""

    x: Any
    fun: Any
    success: bool = True
    status: int = 1
    message: str = "The solution converged."


# -- one unknown -------------------------------------------------------------------------------------------------


def bracketed(
    f: Callable[..., Any],
    a: Any,
    b: Any,
    args: Any = (),
    xtol: float = 2e-12,
    rtol: float = 8.881784197001252e-16,
    maxiter: int = 100,
    full_output: bool = False,
    disp: bool = True,
    **settings: Any,
) -> Any:
    """`scipy.optimize.brentq`, `brenth`, `bisect`, `ridder`, `toms748`: the root between a and b, NaN if none is."""
    equation = recorded(f, [()], args, shape=())
    if not depends(equation, a, b):
        return None
    found = _root(equation, "between", (a, b), ())
    return (found, Root(found)) if full_output else found


def newton(
    func: Callable[..., Any],
    x0: Any,
    fprime: Any = None,
    args: Any = (),
    tol: float = 1.48e-8,
    maxiter: int = 50,
    fprime2: Any = None,
    x1: Any = None,
    rtol: float = 0.0,
    full_output: bool = False,
    disp: bool = True,
) -> Any:
    """`scipy.optimize.newton`: by secants, or by the exact slope where one is handed in; entry by entry of an array."""
    shape = shape_of(array_value(x0))
    equation = recorded(func, [shape], args, shape=shape)
    if not depends(equation, x0, x1):
        return None
    if fprime is None and shape == ():
        start = number(x0)
        # As SciPy takes it.
        second = start * (1.0 + 1e-4) + jnp.where(start >= 0.0, 1e-4, -1e-4) if x1 is None else x1
        found = _root(equation, "secants", (start, second), shape, maxiter)
    else:
        found = _root(equation, "slopes", (x0,), shape, maxiter)
    return (found, Root(found)) if full_output else found


def root_scalar(
    f: Callable[..., Any],
    args: Any = (),
    method: Any = None,
    bracket: Any = None,
    fprime: Any = None,
    fprime2: Any = None,
    x0: Any = None,
    x1: Any = None,
    xtol: Any = None,
    rtol: Any = None,
    maxiter: Any = None,
    options: Any = None,
) -> Any:
    """`scipy.optimize.root_scalar`, of a function that gives values only."""
    if fprime is True or fprime2 is True:
        raise refused(
            "scipy.optimize.root_scalar(..., fprime=True)",
            "of a function that gives value and slope has no rule",
            "Give the value alone: its slope is exact without.",
        )
    if bracket is not None:
        low, high = bracket
        found = bracketed(f, low, high, args)
    elif x0 is None:
        return None
    else:
        found = newton(f, x0, fprime, args, maxiter=maxiter or 50, x1=x1)
    return None if found is None else Root(found)


def _root(
    equation: Recorded, way: str, starts: Sequence[Value], shape: tuple[int, ...], most: int = MOST_TURNS
) -> Value:
    """The root of an equation of unknowns of `shape`, found by one of the ways of `primitives.root`."""

    def flat(x: Value) -> Value:
        return ravel(equation(reshape(x, shape)))

    size = int(np.prod(shape))
    function, held = program(recorded_plainly(flat, [jax.ShapeDtypeStruct((size,), FLOAT)]))
    still = [lax.stop_gradient(jnp.asarray(vector(start))) for start in starts]
    return reshape(roots(function, way, still, held, most)[0], shape)


# -- several unknowns --------------------------------------------------------------------------------------------


def fsolve(
    func: Callable[..., Any],
    x0: Any,
    args: Any = (),
    fprime: Any = None,
    full_output: int = 0,
    col_deriv: int = 0,
    xtol: float = 1.49012e-8,
    maxfev: int = 0,
    band: Any = None,
    epsfcn: Any = None,
    factor: float = 100,
    diag: Any = None,
) -> Any:
    """`scipy.optimize.fsolve`."""
    found = _system(func, x0, args)
    if found is None:
        return None
    x, value = found
    return (x, {"fvec": value}, 1, "The solution converged.") if full_output else x


def root(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: str = "hybr",
    jac: Any = None,
    tol: Any = None,
    callback: Any = None,
    options: Any = None,
) -> Any:
    """`scipy.optimize.root`, of a function that gives values only."""
    if jac is True:
        raise refused(
            "scipy.optimize.root(..., jac=True)",
            "of a function that gives values and slopes has no rule",
            "Give the values alone: their slopes are exact without.",
        )
    found = _system(fun, x0, args)
    return None if found is None else Solution(*found)


def fixed_point(
    func: Callable[..., Any],
    x0: Any,
    args: Any = (),
    xtol: float = 1e-8,
    maxiter: int = 500,
    method: str = "del2",
) -> Any:
    """`scipy.optimize.fixed_point`: where func(x) = x."""
    shape = shape_of(array_value(x0))
    mapping = recorded(func, [shape], args, shape=shape)
    if not depends(mapping, x0):
        return None
    rest = recorded_plainly(lambda x: mapping(x) - x, [jax.ShapeDtypeStruct(shape, FLOAT)])
    return _root(rest, "system", (x0,), shape)


def _system(func: Callable[..., Any], x0: Any, args: Any) -> tuple[Value, Value] | None:
    start = array_value(x0)
    start = reshape(start, (1,)) if shape_of(start) == () else start
    shape = shape_of(start)
    equations = recorded(func, [shape], args)
    size = int(np.prod(equations.shape))
    if size != int(np.prod(shape)):
        raise refused(
            f"a system of {size} equations for {int(np.prod(shape))} unknowns",
            "has no single solution",
            "Give as many equations as unknowns.",
        )
    if not depends(equations, start):
        return None
    x = _root(equations, "system", (start,), shape)
    return x, equations(x)


FUNCTIONS_BY_NAME: dict[str, Any] = {
    **dict.fromkeys(("brentq", "brenth", "bisect", "ridder", "toms748"), bracketed),
    "newton": newton,
    "root_scalar": root_scalar,
    "fsolve": fsolve,
    "root": root,
    "fixed_point": fixed_point,
}
