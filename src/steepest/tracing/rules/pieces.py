"""A differential equation whose right-hand side switches at certain times: followed piece by piece.

A dose, a lag, a piecewise input: where the times depend on the parameters, a jump of the rate there moves the solution
by its height times the way the time goes. As end of one piece and start of the next each time has that slope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
from jax import lax

from ..flows.primitive import solution
from ..flows.problem import Flow
from ..flows.steps import Control
from ..passes import eliminate_dead, with_outputs
from ..settled import settled
from .functionals import FLOAT, Recorded
from .switches import COMPARED, ROUNDED, switching_times
from .values import Value

# Operations whose results are the same all along a piece.
LEVEL = (COMPARED - {"max", "min"}) | ROUNDED | {"eq", "ne", "sign", "convert_element_type"}
# Of more times than this that are straight lines steps find the jumps, and the slope does not see them.
MOST_STRAIGHT = 64
# The part of a piece, at either end, that is seen as its inside. Where a switch was overlooked, steps find it there.
AT_ENDS = 1e-6


def followed(
    rate: Recorded, control: Control, start: Value, end: Value, times: Value, state: Value
) -> tuple[Value, Value]:
    """The states at `times` (m, unknowns) and at the end, of y' = rate(t, y) with `state` (unknowns,) at the start."""
    shape = rate.shape
    kinds = [*rate.jaxpr.in_avals[: len(rate.held)]]
    stops, share = _stops(rate, start, end)
    if not stops.size:

        def plain(t: Any, y: Any, *held: Any) -> Any:
            return jnp.reshape(rate.with_held(held, t, jnp.reshape(y, shape)), -1)

        flow = Flow.of(plain, state.shape, kinds, control)
        states, last = solution(flow, start, end, times, [state], rate.held)
        return states, last

    def within(t: Any, y: Any, *held: Any) -> Any:
        *held, low, high = held  # type: ignore[assignment]
        seen = jnp.clip(lax.stop_gradient(t), low, high)
        return jnp.reshape(_within_piece(rate.jaxpr, held, t, seen, jnp.reshape(y, shape)), -1)

    edge = jax.ShapeDtypeStruct((), FLOAT)
    flow = Flow.of(within, state.shape, [*kinds, edge, edge], replace(control, pieces=stops.size + 1))
    start, end = (jnp.asarray(v, FLOAT) for v in (start, end))
    sense = jnp.sign(lax.stop_gradient(end - start))
    stops = stops[jnp.argsort(sense * lax.stop_gradient(stops))]

    def piece(known: Any, ends: Any) -> tuple[Any, None]:
        state, states = known
        low, high = ends
        after, until = (sense * lax.stop_gradient(times - edge) for edge in (low, high))
        inside = settled((after > 0.0) & (until <= 0.0))
        seen = [lax.stop_gradient(low + part * (high - low)) for part in (share, 1.0 - share)]
        held = [*rate.held, jnp.minimum(*seen), jnp.maximum(*seen)]
        found, state = solution(flow, low, high, jnp.where(inside, times, high), [state], held)
        return (state, jnp.where(inside[:, None], found, states)), None

    states = jnp.where(settled(times == start)[:, None], state, jnp.nan)
    edges = jnp.concatenate([start[None], stops, end[None]])
    (last, states), _ = lax.scan(piece, (jnp.asarray(state, FLOAT), states), (edges[:-1], edges[1:]))
    return states, last


def _stops(rate: Recorded, start: Value, end: Value) -> tuple[Value, float]:
    """The times (k,), in no order, at which something that does not depend on the state switches.

    And the share of a piece, at its ends, in which nothing switches: half where all times are sure.
    """
    free, _ = _apart(rate.jaxpr.jaxpr, len(rate.held))
    made = {var for equation in free for var in equation.outvars}
    jaxpr = rate.jaxpr.jaxpr
    rest = [equation for equation in jaxpr.eqns if made.isdisjoint(equation.outvars)]
    read = [*(atom for equation in rest for atom in equation.invars), *jaxpr.outvars]
    wanted = list(dict.fromkeys(atom for atom in read if isinstance(atom, jex.Var) and atom in made))
    if not wanted:
        return jnp.zeros(0), 0.5
    whole = eliminate_dead(with_outputs(rate.jaxpr, wanted))
    names = whole.jaxpr.debug_info._replace(arg_names=None)
    by_time = whole.replace(jaxpr=whole.jaxpr.replace(invars=whole.jaxpr.invars[:-1], debug_info=names))
    stops, sure = switching_times(Recorded(by_time, rate.held), (start, end), MOST_STRAIGHT)
    return stops, 0.5 if sure else AT_ENDS


def _apart(jaxpr: Any, n_held: int) -> tuple[list[Any], set[Any]]:
    """The equations that read the time and not the state, and all variables that depend on the time."""
    time, state = jaxpr.invars[n_held:]
    of_time, of_state, free = {time}, {state}, []
    for equation in jaxpr.eqns:
        atoms = {atom for atom in equation.invars if isinstance(atom, jex.Var)}
        if not atoms.isdisjoint(of_state):
            of_state.update(equation.outvars)
        elif not atoms.isdisjoint(of_time):
            free.append(equation)
        if not atoms.isdisjoint(of_time):
            of_time.update(equation.outvars)
    return free, of_time


def _within_piece(closed: Any, held: Sequence[Any], t: Value, inside: Value, y: Value) -> Value:
    """The rate at `t`, with whatever switches as it is at a time `inside` the piece: also at its very ends."""
    jaxpr = closed.jaxpr
    free = {id(equation) for equation in _apart(jaxpr, len(held))[0]}
    now: dict[Any, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    now |= dict(zip(jaxpr.invars, [*held, t, y], strict=True))
    then = {jaxpr.invars[len(held)]: inside}

    def value(atom: Any, known: dict[Any, Any]) -> Any:
        return atom.val if isinstance(atom, jex.Literal) else known[atom]

    for equation in jaxpr.eqns:
        operands = [value(atom, now) for atom in equation.invars]
        if id(equation) in free:
            seen = [value(atom, now | then) for atom in equation.invars]
            there = _evaluated(jaxpr, equation, seen)
            then |= dict(zip(equation.outvars, there, strict=True))
            seen_so = _as_seen(equation, operands, seen, there)
            found = _evaluated(jaxpr, equation, operands) if seen_so is None else seen_so
        else:
            found = _evaluated(jaxpr, equation, operands)
        now |= dict(zip(equation.outvars, found, strict=True))
    return value(jaxpr.outvars[0], now)


def _as_seen(equation: Any, operands: list[Any], seen: list[Any], there: list[Any]) -> list[Any] | None:
    """What an equation that switches gives of its operands, on the side of those `seen` inside the piece.

    `there`: what it gives of those. None of one that does not switch.
    """
    name = equation.primitive.name
    if name in LEVEL and not _is_float(equation):
        return there
    if name == "abs":
        return [jnp.where(seen[0] < 0.0, -operands[0], operands[0])]
    if name in ("max", "min"):
        first = seen[0] >= seen[1] if name == "max" else seen[0] <= seen[1]
        return [jnp.where(first, *operands)]
    if name == "rem":
        return [operands[0] - lax.round((seen[0] - there[0]) / seen[1]) * operands[1]]
    if name == "clamp":
        low, x, high = operands
        return [jnp.where(seen[1] < seen[0], low, jnp.where(seen[1] > seen[2], high, x))]
    return None


def _is_float(equation: Any) -> bool:
    """Whether it only gives a float another precision."""
    return equation.primitive.name == "convert_element_type" and equation.outvars[
        0
    ].aval.dtype.kind == "f" == (equation.invars[0].aval.dtype.kind)


def _evaluated(jaxpr: Any, equation: Any, operands: Sequence[Any]) -> list[Any]:
    """What an equation of the jaxpr gives of these operands."""
    invars = [jex.Var(atom.aval) for atom in equation.invars]
    alone = jaxpr.replace(
        constvars=[],
        invars=invars,
        outvars=equation.outvars,
        eqns=[equation.replace(invars=invars)],
        effects=equation.effects,
        debug_info=jaxpr.debug_info._replace(arg_names=None, result_paths=None),
    )
    found: list[Any] = jax.core.eval_jaxpr(alone, (), *operands)
    return found
