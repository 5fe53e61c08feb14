"""Python loops in which each turn needs the one before it, recorded turn by turn, become loops again.

A Kalman filter, the steps of an ODE or the variance of a GARCH model leaves ten to a hundred operations for each
turn. A thousand turns are more than XLA compiles in a minute, and every pass of ours looks at each of them. The turns
are found in the list of equations (`turns`), and computed again as loops and as arrays over all turns (`looping`).

Values agree to rounding: sums are added in another order.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.extend.core as jex

from .constant_folding import fold_constants
from .looping import Evaluation
from .passes import inline
from .turns import Loop, is_worth_it, loops_in

# Shorter records are evaluated, and compiled, as they are.
FEWEST_EQUATIONS = 300
# What is found must shorten the record by this factor, or it stays as it was.
SHORTER = 0.5


def with_loops(recorded: Any, *, may_join: bool = True) -> Any:
    """The recorded closed jaxpr with recurrences as loops; itself where there are none worth the name.

    A loop that takes another input at each turn, as the layers of a list, needs them all as one array. Where it may not
    join them, it stays as it is.

    >>> import numpy as np
    >>> def cost(x):
    ...     s = x[0]
    ...     for turn in range(200):
    ...         s = s + 0.1 * (x[1] - s**2)
    ...     return s
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((2,), np.float64))
    >>> len(jaxpr.eqns) > 800, len(with_loops(jaxpr).eqns) < 20
    (True, True)
    """
    if len(recorded.jaxpr.eqns) < FEWEST_EQUATIONS:
        return recorded
    closed = _reads_forwarded(fold_constants(inline(recorded, keep_derivatives=True)))
    loops = [loop for loop in loops_in(closed) if may_join or not _joins(loop, set(closed.jaxpr.invars))]
    left = len(closed.jaxpr.eqns) - sum((loop.turns - 1) * loop.period for loop in loops)
    if left > SHORTER * len(closed.jaxpr.eqns) or not any(map(is_worth_it, loops)):
        return recorded
    evaluate = Evaluation(closed, loops)
    return jax.make_jaxpr(evaluate)(*[jax.ShapeDtypeStruct(a.shape, a.dtype) for a in closed.in_avals])


def joins_inputs(closed: Any) -> bool:
    """Whether a loop was left as it is because each of its turns reads another input."""
    return any(_joins(loop, set(closed.jaxpr.invars)) for loop in loops_in(closed))


def _joins(loop: Loop, inputs: set[Any]) -> bool:
    """Whether the turns read inputs of the program one by one."""
    return any(
        operand.kind == "varying"
        and any(isinstance(atom, jex.Var) and atom in inputs for atom in operand.atoms)
        for mine in loop.operands
        for operand in mine
    )


def _reads_forwarded(closed: Any) -> Any:
    """Reads of array elements that were assigned before, `a[i] = v … a[i]`, read the value itself."""
    producer: dict[Any, Any] = {}
    names: dict[Any, Any] = {}
    equations = []
    for equation in closed.jaxpr.eqns:
        invars = [a if isinstance(a, jex.Literal) else names.get(a, a) for a in equation.invars]
        equation = equation.replace(invars=invars)
        if equation.primitive.name == "slice" and equation.params["strides"] is None:
            found = _written(equation, producer)
            if found is not invars[0] and found.aval.shape == equation.outvars[0].aval.shape:
                names[equation.outvars[0]] = found
                continue
            equation = equation.replace(invars=[found])
        elif equation.primitive.name == "dynamic_update_slice":
            producer[equation.outvars[0]] = equation
        equations.append(equation)
    outvars = [a if isinstance(a, jex.Literal) else names.get(a, a) for a in closed.jaxpr.outvars]
    return jex.ClosedJaxpr(closed.jaxpr.replace(eqns=equations, outvars=outvars), closed.consts)


def _written(equation: Any, producer: dict[Any, Any]) -> Any:
    """What a slice reads: the very value that was written there, or the array before writes elsewhere."""
    source = equation.invars[0]
    low, high = equation.params["start_indices"], equation.params["limit_indices"]
    while (write := producer.get(source)) is not None:
        target, update, *places = write.invars
        if not all(isinstance(place, jex.Literal) for place in places):
            return source
        first = [
            min(max(int(p.val), 0), n - m)
            for p, n, m in zip(places, target.aval.shape, update.aval.shape, strict=True)
        ]
        last = [a + m for a, m in zip(first, update.aval.shape, strict=True)]
        if first == list(low) and last == list(high) and update.aval.dtype == target.aval.dtype:
            return update
        if all(a < d and c < b for a, b, c, d in zip(first, last, low, high, strict=True)):
            return source
        source = target
    return source
