"""Functions handed to functions: an integrand, a right-hand side, an equation to be solved.

SciPy calls them as often as it likes, at places that nobody knows beforehand. Here each is recorded once, for arguments
of given shapes, and the rule of what it is handed to is written with the recording.

Slopes are those of what is computed at each place. That of a jump whose place depends on the parameters, as in
np.where(t < p, 1, 0), is not among them: who integrates over one has to split the range there.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np

from ...errors import InputError
from ..passes import simplify
from ..primitives.recorded import interned
from ..prints import silent
from ..source import place_here
from .calculus import call
from .creation import build_array
from .shape import ravel, reshape
from .values import Value, any_traced, array_value, convert, shape_of

FLOAT = np.dtype(np.float64)
# A function into which more numbers are written is no curve but a table.
MOST_NUMBERS = 64


@dataclass(frozen=True)
class Recorded:
    """A function of the user's, recorded for arguments of given shapes.

    `held`: what it reads from outside that depends on the parameters, besides its arguments.
    """

    jaxpr: Any
    held: tuple[Any, ...]

    def __call__(self, *arguments: Any) -> Any:
        """Its value, of shape `shape`; may be called in a loop, mapped over a batch and differentiated."""
        return self.with_held(self.held, *arguments)

    def with_held(self, held: Sequence[Any], *arguments: Any) -> Any:
        """Its value where `held` holds something else."""
        return jex.jaxpr_as_fun(self.jaxpr)(*held, *(convert(a, FLOAT) for a in arguments))[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its value."""
        return tuple(self.jaxpr.out_avals[0].shape)


def recorded(
    function: Callable[..., Any],
    shapes: Sequence[tuple[int, ...]],
    args: Any = (),
    shape: tuple[int, ...] | None = None,
    meaning: str = "a value of shape {shape}",
    parts: bool = False,
) -> Recorded:
    """The function of arguments of `shapes`, float64, and of further `args`; its value has `shape` if given.

    With `parts` it is the real and the imaginary part of a complex one, along a first axis. Raises `InputError` where
    it has another size; `meaning` says what was to be given.
    """
    further = args if isinstance(args, tuple) else (args,)
    named = getattr(function, "__name__", "a function")

    def plain(*arguments: Any) -> Any:
        given = call(function, (*arguments, *further), {})
        value = array_value(build_array(given) if isinstance(given, (list, tuple)) else given)
        if parts and given is not None:
            value = jnp.stack([jnp.real(value), jnp.imag(value)])
        if given is None or (shape is not None and math.prod(shape_of(value)) != math.prod(shape)):
            found = "None" if given is None else f"a value of shape {shape_of(value)}"
            raise InputError(_misshapen(named, function, found, meaning.format(shape=shape or "()")))
        value = convert(value, FLOAT)
        return value if shape is None else reshape(value, shape)

    return recorded_plainly(plain, [jax.ShapeDtypeStruct(shape, FLOAT) for shape in shapes], named)


def _misshapen(named: str, function: Callable[..., Any], found: str, needed: str) -> str:
    """What to say of a function that gives something else than it was asked for."""
    place, code = place_here(), getattr(inspect.unwrap(function), "__code__", None)
    where = f"{place}: " if place else ""
    called = "the function handed over" if named == "<lambda>" else named
    written = f", written on line {code.co_firstlineno}," if code is not None else ""
    return f"{where}{called}{written} gives {found}; it must give {needed}."


def recorded_plainly(
    function: Callable[..., Value], kinds: Sequence[jax.ShapeDtypeStruct], named: str = "a function"
) -> Recorded:
    """A function written with JAX, of arguments of these kinds."""
    return _held_apart(silent(jax.make_jaxpr(function)(*kinds), named))


def _held_apart(closed: Any) -> Recorded:
    """The recording, in which what does not depend on the arguments is computed once, and not at every call."""
    jaxpr = closed.jaxpr
    known = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    moving = set(jaxpr.invars)
    for equation in jaxpr.eqns:
        if any(isinstance(atom, jex.Var) and atom in moving for atom in equation.invars) or equation.effects:
            moving.update(equation.outvars)
    fixed = [equation for equation in jaxpr.eqns if moving.isdisjoint(equation.outvars)]
    turning = [equation for equation in jaxpr.eqns if not moving.isdisjoint(equation.outvars)]
    atoms = [*(atom for equation in turning for atom in equation.invars), *jaxpr.outvars]
    read = {atom for atom in atoms if isinstance(atom, jex.Var)}
    made = [var for e in fixed for var in e.outvars if var in read]
    before = jaxpr.replace(eqns=fixed, invars=[], outvars=made)
    known |= dict(zip(made, jax.core.eval_jaxpr(before, closed.consts), strict=True))
    kept = [var for var in known if var in read]
    # As inputs, since the passes take constants for numbers.
    inner = jaxpr.replace(eqns=turning, constvars=[], invars=[*kept, *jaxpr.invars])
    short = simplify(jex.ClosedJaxpr(inner, ()), keep_derivatives=True)
    return Recorded(short, tuple(known[var] for var in kept))


def program(function: Recorded) -> tuple[Any, list[Any]]:
    """The function as an equation holds it: a closed jaxpr of its arguments and of what it reads, and the latter.

    Numbers written into it are read too, so that twenty integrals that differ in one number hold the same function.
    """
    jaxpr = function.jaxpr.jaxpr
    own = len(function.held)
    numbers: dict[Any, float] = {}

    def handed(atom: Any) -> Any:
        if not isinstance(atom, jex.Literal) or atom.aval.dtype != FLOAT or atom.aval.shape != ():
            return atom
        # One that is written twice may be two different ones in the next integral.
        var = jex.Var(jax.core.ShapedArray((), FLOAT))
        numbers[var] = float(atom.val)
        return var

    equations = [equation.replace(invars=list(map(handed, equation.invars))) for equation in jaxpr.eqns]
    outvars = list(map(handed, jaxpr.outvars))
    if len(numbers) > MOST_NUMBERS:
        equations, outvars, numbers = jaxpr.eqns, jaxpr.outvars, {}
    invars = [*jaxpr.invars[own:], *jaxpr.invars[:own], *numbers]
    whole = jaxpr.replace(
        invars=invars,
        outvars=outvars,
        eqns=equations,
        debug_info=jaxpr.debug_info._replace(arg_names=None, result_paths=None),
    )
    closed = interned(jex.ClosedJaxpr(whole, function.jaxpr.consts))
    return closed, [*function.held, *map(np.float64, numbers.values())]


def depends(*values: Any) -> bool:
    """Whether any of the values, or what a recorded function reads, depends on the parameters."""
    return any(depends(*v.held) if isinstance(v, Recorded) else any_traced(v) for v in values)


def number(value: Any) -> Value:
    """A value as one float64."""
    return reshape(convert(array_value(value), FLOAT), ())


def vector(value: Any) -> Value:
    """A value as a vector of float64."""
    return ravel(convert(array_value(value), FLOAT))
