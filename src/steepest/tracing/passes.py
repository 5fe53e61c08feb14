"""Rewriting a jaxpr into a shorter one that gives the same numbers.

Six passes, each a function from closed jaxpr to closed jaxpr, and `simplify`, which runs them all. Values
stay the same bit for bit, with one exception told at `algebra`; every equation kept or made carries the
source line of the user's code that it came from. Nothing here touches a device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.extend.core as jex

from .algebra import algebra
from .constant_folding import fold_constants
from .primitives.control import call_operands, called_jaxpr
from .rewriting import Rewriting, literal_value, read
from .source import has_user_line

# Calls that hold a derivative of their own, lost when they are inlined.
_DERIVATIVE_CALLS = {"custom_jvp_call", "custom_vjp_call", "custom_linear_solve"}
# What costs run on; other names that JAX may choose by are those of languages that kernels are written in.
_PLATFORMS = {"cpu", "gpu", "cuda", "rocm", "tpu", "axon", "METAL"}
# Where loops and choices keep what they do.
_BODIES = {"while": ("cond_jaxpr", "body_jaxpr"), "scan": ("jaxpr",), "cond": ("branches",)}
_REMATERIALISED = {"remat2", "checkpoint"}


def simplify(closed: Any, *, keep_derivatives: bool = False) -> Any:
    """All passes over a closed jaxpr: fewer equations, same values.

    With `keep_derivatives` the calls that carry a derivative rule of their own, and `stop_gradient`, stay,
    so that the result may still be differentiated; without, the result is only to be evaluated.
    """
    closed = inline(closed, keep_derivatives=keep_derivatives)
    closed = within_loops(closed, keep_derivatives=keep_derivatives)
    closed = fold_constants(closed)
    closed = algebra(closed, keep_derivatives=keep_derivatives)
    closed = common_subexpressions(closed)
    return eliminate_dead(closed)


def inline(closed: Any, *, keep_derivatives: bool = False) -> Any:
    """Replace calls (`jit`, `custom_jvp_call`, …) by the equations they stand for.

    A rematerialised call in a derivative stays: it exists to be computed twice.
    """
    if not any(_inlines(equation, keep_derivatives) for equation in closed.jaxpr.eqns):
        return closed
    rewriting = Rewriting(closed)

    def splice(jaxpr: Any, consts: Sequence[Any], operands: Sequence[Any], outer: Any) -> list[Any]:
        environment = dict(zip(jaxpr.invars, operands, strict=True))
        for var, constant in zip(jaxpr.constvars, consts, strict=True):
            environment[var] = rewriting.constant(constant, var.aval)
        for equation in jaxpr.eqns:
            invars = [read(environment, atom) for atom in equation.invars]
            source = equation.source_info
            # JAX keeps no line of the user's inside its own compiled functions, such as a Cholesky factor.
            if outer is not None and not has_user_line(equation):
                source = outer.source_info
            if _inlines(equation, keep_derivatives):
                branch = _branch_everywhere(equation)
                inner = called_jaxpr(equation) if branch is None else branch
                assert inner is not None
                outputs = splice(
                    inner.jaxpr,
                    inner.consts,
                    call_operands(equation, invars) if branch is None else invars[1:],
                    equation.replace(source_info=source),
                )
                environment.update(zip(equation.outvars, outputs, strict=True))
                continue
            outvars = equation.outvars if outer is None else [jex.Var(var.aval) for var in equation.outvars]
            environment.update(zip(equation.outvars, outvars, strict=True))
            rewriting.equations.append(equation.replace(invars=invars, outvars=outvars, source_info=source))
        return [read(environment, atom) for atom in jaxpr.outvars]

    jaxpr = closed.jaxpr
    return rewriting.finished(splice(jaxpr, closed.consts, jaxpr.invars, None))


def within_loops(closed: Any, *, keep_derivatives: bool = False) -> Any:
    """All passes over what loops do at every turn, and over the branches of choices."""
    if not any(equation.primitive.name in _BODIES for equation in closed.jaxpr.eqns):
        return closed

    def shorter(inner: Any) -> Any:
        if isinstance(inner, tuple):
            return tuple(map(shorter, inner))
        return simplify(inner, keep_derivatives=keep_derivatives)

    equations = []
    for equation in closed.jaxpr.eqns:
        bodies = _BODIES.get(equation.primitive.name, ())
        params = equation.params | {key: shorter(equation.params[key]) for key in bodies}
        equations.append(equation.replace(params=params) if bodies else equation)
    return closed.replace(jaxpr=closed.jaxpr.replace(eqns=equations))


def _inlines(equation: Any, keep_derivatives: bool) -> bool:
    name = equation.primitive.name
    if name in _DERIVATIVE_CALLS:
        return not keep_derivatives
    if name in _REMATERIALISED:
        return not keep_derivatives and not equation.params.get("differentiated", True)
    return called_jaxpr(equation) is not None or _branch_everywhere(equation) is not None


def _branch_everywhere(equation: Any) -> Any | None:
    """The branch that a choice by platform takes on every processor and accelerator; None where they differ.

    JAX writes such a choice into the diagonal of a matrix, and so into determinants, for languages of kernels alone.
    """
    if equation.primitive.name != "cond":
        return None
    platforms = equation.params.get("branches_platforms")
    if platforms is None or None not in platforms:
        return None
    named = {name for group in platforms if group is not None for name in group}
    return None if named & _PLATFORMS else equation.params["branches"][platforms.index(None)]


def common_subexpressions(closed: Any) -> Any:
    """Compute once what is computed twice: same primitive, same parameters, same operands."""
    rewriting = Rewriting(closed)
    environment = rewriting.opening(closed)
    seen: dict[Any, list[Any]] = {}
    for equation in closed.jaxpr.eqns:
        invars = [read(environment, atom) for atom in equation.invars]
        key = _fingerprint(equation, invars)
        before = seen.get(key) if key is not None else None
        if before is not None:
            environment.update(zip(equation.outvars, before, strict=True))
            continue
        if key is not None:
            seen[key] = equation.outvars
        rewriting.equations.append(equation.replace(invars=invars))
    return rewriting.finished([read(environment, atom) for atom in closed.jaxpr.outvars])


def _fingerprint(equation: Any, invars: Sequence[Any]) -> Any | None:
    """Equal for equations that compute the same; None when that cannot be told.

    Optimisation barriers and rematerialised calls are there to keep two computations apart.
    """
    name = equation.primitive.name
    if equation.effects or name in _REMATERIALISED or name == "optimization_barrier":
        return None
    operands = []
    for atom in invars:
        if isinstance(atom, jex.Literal):
            value = literal_value(atom)
            # Bytes tell -0.0 from 0.0 and make NaN equal to itself.
            operands.append((value.dtype, value.tobytes()))
        else:
            operands.append(atom)
    kinds = tuple(var.aval.dtype for var in equation.outvars)
    key = (name, tuple(operands), tuple(equation.params.items()), kinds)
    try:
        hash(key)
    except TypeError:
        return None
    return key


def with_outputs(closed: Any, wanted: Sequence[Any]) -> Any:
    """The same equations with other outputs: any of the variables inside; what nobody needs then is kept."""
    jaxpr = closed.jaxpr
    # The names of the old outputs would no longer fit their number.
    names = jaxpr.debug_info._replace(result_paths=("",) * len(wanted))
    return closed.replace(jaxpr=jaxpr.replace(outvars=list(wanted), debug_info=names))


def eliminate_dead(closed: Any) -> Any:
    """Drop equations, and constants, that no output depends on; equations with effects stay."""
    jaxpr = closed.jaxpr
    needed = {atom for atom in jaxpr.outvars if isinstance(atom, jex.Var)}
    kept = []
    for equation in reversed(jaxpr.eqns):
        if equation.effects or not needed.isdisjoint(equation.outvars):
            kept.append(equation)
            needed.update(atom for atom in equation.invars if isinstance(atom, jex.Var))
    pairs = [(v, c) for v, c in zip(jaxpr.constvars, closed.consts, strict=True) if v in needed]
    if len(kept) == len(jaxpr.eqns) and len(pairs) == len(jaxpr.constvars):
        return closed
    smaller = jaxpr.replace(eqns=kept[::-1], constvars=[v for v, _ in pairs])
    return jex.ClosedJaxpr(smaller, [c for _, c in pairs])


def uses_inputs(closed: Any) -> bool:
    """Whether anything that is computed depends on the inputs, or does more than compute.

    >>> import jax, numpy as np
    >>> x = jax.ShapeDtypeStruct((2,), np.float32)
    >>> [uses_inputs(eliminate_dead(jax.make_jaxpr(f)(x))) for f in (lambda x: 2 * x, lambda x: 0 * x.size + 1)]
    [True, False]
    """
    jaxpr = closed.jaxpr
    atoms = [*jaxpr.outvars, *(atom for equation in jaxpr.eqns for atom in equation.invars)]
    read = {atom for atom in atoms if isinstance(atom, jex.Var)}
    return bool(jaxpr.effects) or not read.isdisjoint(jaxpr.invars)
