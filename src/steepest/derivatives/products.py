"""Many products at one place: what depends on the place alone is computed once, and each product does the rest.

Conjugate gradients and Lanczos ask for hundreds of products of one Hessian. As a function of (x, v) each would go
through the cost and its gradient again, which is half of the work or more.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np

from ..numerics import owned
from ..tracing.passes import eliminate_dead
from .compiled import Traceable, constants_at, device_of, host_for
from .costs import FREE, WORTH_LOOPING
from .tiers import Tiered

# What is only moved or filled in is done again rather than kept: a number spread over an array is a view for NumPy, and
# would be an array to be read when handed over.
AGAIN = FREE | {"iota"}


class Products:
    """`(x, v) ↦ J(x) v` from its jaxpr, evaluated in two halves; a tuple of one array, like `Tiered`.

    >>> import jax
    >>> def product(x, v):
    ...     return jax.jvp(lambda x: x**3, (x,), (v,))[1]
    >>> with jax.enable_x64(True):
    ...     two = (jax.ShapeDtypeStruct((2,), np.float64),) * 2
    ...     jaxpr = jax.make_jaxpr(product)(*two)
    >>> Products(jaxpr)(np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    (array([ 3., 12.]),)
    """

    def __init__(self, closed_jaxpr: Any) -> None:
        place, along = halves(closed_jaxpr)
        self._place, self._along = Tiered(place), Tiered(along)
        # One tuple, so that threads that share a cost never meet one's place beside what another's needs.
        self._known: tuple[Any, ...] | None = None
        self._constants: list[Any] | None = None
        self._kept: dict[str, Any] = {}

    def __call__(self, x: np.ndarray, v: np.ndarray) -> tuple[Any, ...]:
        """The product at `x` (n,) with `v` (n,)."""
        return self._along(*self._place_of(x), v)

    def traceable(self, x: np.ndarray) -> Traceable | None:
        """The product at `x` (n,) as a part of other programs; None where one takes so long that it can stand alone."""
        closed = self._along.jaxpr
        if self._along.foreseen.compiled > WORTH_LOOPING:
            return None
        there = partial(device_of, host_for(closed))
        if self._constants is None:
            self._constants = constants_at(there, closed)
        return Traceable(
            self._inside, (self._constants, self._place_of(x)), there, self._kept, self._along.is_on_host
        )

    def _inside(self, arguments: Any, v: Any) -> Any:
        constants, known = arguments
        return jax.core.eval_jaxpr(self._along.jaxpr.jaxpr, constants, *known, v)[0]

    def _place_of(self, x: np.ndarray) -> tuple[Any, ...]:
        """The place `x` (n,), and what else the products there share."""
        known = self._known
        if known is None or not np.array_equal(x, known[0]):
            self._known = None  # of many parameters each vector counts
            x = np.asarray(x, dtype=np.float64)
            # Results may be views of the argument. One that its owner has marked read-only stays as it is.
            kept = owned(x) if x.flags.writeable else x
            known = self._known = (kept, *self._place(kept))
        return known


def halves(closed: Any) -> tuple[Any, Any]:
    """A jaxpr of (x, v) as two: from x to what is needed beside it, and from x, that and v to the outputs.

    >>> import jax
    >>> with jax.enable_x64(True):
    ...     one = jax.ShapeDtypeStruct((), np.float64)
    ...     closed = jax.make_jaxpr(lambda x, v: jax.numpy.cos(x) * v)(one, one)
    >>> [[equation.primitive.name for equation in half.jaxpr.eqns] for half in halves(closed)]
    [['cos'], ['mul']]
    """
    jaxpr = closed.jaxpr
    x, v = jaxpr.invars
    moving = {v}
    first, second = [], []
    made_by: dict[Any, Any] = {}
    for equation in jaxpr.eqns:
        depends = any(isinstance(atom, jex.Var) and atom in moving for atom in equation.invars)
        if depends or equation.effects:
            moving.update(equation.outvars)
            second.append(equation)
        else:
            first.append(equation)
            made_by.update(dict.fromkeys(equation.outvars, equation))
    handed: dict[Any, None] = {}
    again: dict[int, Any] = {}

    def want(atom: Any) -> None:
        if not isinstance(atom, jex.Var) or atom is x or atom in moving or atom in jaxpr.constvars:
            return
        made = made_by.get(atom)
        if made is None or made.primitive.name not in AGAIN:
            handed[atom] = None
        elif id(made) not in again:
            again[id(made)] = made
            for operand in made.invars:
                want(operand)

    for equation in second:
        for atom in equation.invars:
            want(atom)
    for atom in jaxpr.outvars:
        want(atom)
    redone = [equation for equation in first if id(equation) in again]
    names = jaxpr.debug_info

    def made(invars: list[Any], outvars: list[Any], equations: list[Any]) -> Any:
        told = names._replace(arg_names=("",) * len(invars), result_paths=("",) * len(outvars))
        part = jaxpr.replace(invars=invars, outvars=outvars, eqns=equations, debug_info=told)
        return eliminate_dead(jex.ClosedJaxpr(part, closed.consts))

    return made([x], list(handed), first), made([x, *handed, v], list(jaxpr.outvars), redone + second)
