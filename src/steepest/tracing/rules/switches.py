"""Where in its range an integrand switches: at the places of its comparisons, absolute values, roundings and the like.

The range is split there. A jump moves an integral by its height times the way it goes (Leibniz's rule): as ends of
intervals these places have slopes, by the implicit function theorem.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..passes import eliminate_dead, with_outputs
from ..primitives.root import MOST_TURNS, roots
from ..settled import settled
from .functionals import FLOAT, Recorded, program, recorded_plainly
from .values import Value, is_traced, refused

# Functions of the place whose zeros are sought, at most: those that are straight lines, and others.
MOST_STRAIGHT, MOST_CURVED = 64, 8
# Zeros of each that is no straight line, and values of it that they are told by.
MOST_CROSSINGS, LOOKS = 16, 64
# The same of the rate of a differential equation, whose doses come day after day.
MOST_REPEATED, LOOKS_FOR_REPEATED = 32, 256

COMPARED = frozenset({"lt", "le", "gt", "ge", "max", "min"})
BENT = frozenset({"abs", "sign"})
ROUNDED = frozenset({"floor", "ceil", "round"})
# Operations that leave a straight line one.
_STRAIGHT = frozenset(
    {
        "add",
        "sub",
        "neg",
        "reshape",
        "broadcast_in_dim",
        "squeeze",
        "expand_dims",
        "slice",
        "concatenate",
        "transpose",
    }
)
STILL, STRAIGHT, CURVED = range(3)


@dataclass(frozen=True)
class _Switch:
    """Zeros of `gap`, of the values of `atoms`: `size` side by side, each `STRAIGHT` or `CURVED` in the place."""

    atoms: tuple[Any, ...]
    gap: Callable[..., Any]
    size: int
    form: int
    moves: bool


def switching(function: Recorded, ends: Sequence[Value], far: Value | None = None) -> Value:
    """Places (k,) at which to split the range of a function of one place, in no order.

    `ends`: of the range, the second being only the way to go if it ends at `far`. Places that are none are spread over
    the range.
    """
    switches = _switches(function)
    sizes = _sizes(switches)
    if sizes[0] > MOST_STRAIGHT or max(sizes[1:]) > MOST_CURVED:
        if any(s.moves for s in switches):
            raise refused(
                f"An integrand with {sum(sizes)} choices whose places depend on the parameters",
                "has no rule",
                "Split the integral at those places, and add the parts.",
            )
        return jnp.zeros(0)
    places, there, _ = _found(function, switches, ends, far, MOST_CROSSINGS, LOOKS)
    begin, end = ends
    part = (np.arange(places.size) + 0.5) / places.size
    spread = begin + (end - begin) * part if far is None else begin + end * (1.0 + 10.0 * part)
    return jnp.where(settled(there), places, spread)


def switching_times(function: Recorded, ends: Sequence[Value], most: int) -> tuple[Value, bool]:
    """The same for an equation followed from place to place, those that are none at its end; and whether all are sure.

    Sure: at most `most`, all of them straight lines. Others are sought where some depend on the parameters.
    """
    switches = _switches(function)
    straight, *curved = _sizes(switches)
    sure = not any(curved)
    if straight > most or max(curved) > MOST_CURVED or not (sure or any(s.moves for s in switches)):
        return jnp.zeros(0), sure
    places, there, told = _found(function, switches, ends, None, MOST_REPEATED, LOOKS_FOR_REPEATED)
    return jnp.where(settled(there & told), places, ends[1]), sure


def _sizes(switches: Sequence[_Switch]) -> list[int]:
    """How many are straight lines, others that stay, and others that move with the parameters."""
    curved = [[s.size for s in switches if s.form == CURVED and s.moves is moves] for moves in (False, True)]
    return [sum(sizes) for sizes in ([s.size for s in switches if s.form == STRAIGHT], *curved)]


def _found(
    function: Recorded,
    switches: Sequence[_Switch],
    ends: Sequence[Value],
    far: Value | None,
    crossings: int,
    looks: int,
) -> tuple[Value, Value, Value]:
    """Places (k,), which of them there are, and which have slopes: none where there are more."""
    begin, end = ends
    grid = _grid(begin, end, far, looks)
    way = jnp.sign(grid[looks - 1] - grid[0])
    found = [(jnp.zeros(0), *[jnp.zeros(0, bool)] * 2)]
    straight = [s for s in switches if s.form == STRAIGHT]
    if straight:
        size = sum(s.size for s in straight)
        places, told = _zeros(
            function, straight, "slopes", [jnp.broadcast_to(begin, (size,))], size, MOST_TURNS
        )
        inside = (places - begin) * (end - places) > 0.0 if far is None else (places - begin) * end > 0.0
        found.append((places, inside, told))
        grid = _with(grid, way, places, inside)
    for moves in (False, True):
        group = [s for s in switches if s.form == CURVED and s.moves is moves]
        if group:
            count = sum(s.size for s in group) * crossings
            places, told = _zeros(function, group, "crossings", [grid, jnp.zeros(count)], count, crossings)
            there = jnp.isfinite(places)
            found.append((places, there, told))
            # What comes repeatedly jumps there, as `t % period` does.
            grid = _with(grid, way, places, there)
    places, there, told = (jnp.concatenate(pieces) for pieces in zip(*found, strict=True))
    return places, there, told


def _with(grid: Value, way: Value, places: Value, there: Value) -> Value:
    """The grid with further places, in order."""
    grid = jnp.concatenate([grid, lax.stop_gradient(jnp.where(there, places, grid[0]))])
    return grid[jnp.argsort(way * grid)]


def _grid(begin: Value, end: Value, far: Value | None, looks: int) -> Value:
    if far is None:
        return lax.stop_gradient(begin + (end - begin) * np.linspace(0.0, 1.0, looks))
    part = np.linspace(0.0, 1.0, looks - 3)[:-1]
    return lax.stop_gradient(begin + end * np.append(part / (1.0 - part), [1e2, 1e3, 1e4, 1e6]))


def _zeros(
    function: Recorded, switches: Sequence[_Switch], way: str, starts: Sequence[Value], count: int, most: int
) -> tuple[Value, Value]:
    """Zeros (count,) of the gaps of `switches`, as many of each, and where they have slopes.

    `most` as in `primitives.root`.
    """
    each = count // sum(switch.size for switch in switches)
    wanted = [atom for switch in switches for atom in switch.atoms]
    operands = jex.jaxpr_as_fun(eliminate_dead(with_outputs(function.jaxpr, wanted)))

    def gaps(place: Value) -> Value:
        values = list(operands(*function.held, place))
        found = []
        for switch in switches:
            mine, values = values[: len(switch.atoms)], values[len(switch.atoms) :]
            found.append(jnp.ravel(switch.gap(*mine)))
        return jnp.concatenate(found)

    def own(places: Value) -> Value:
        return jax.vmap(gaps)(places)[np.arange(count), np.arange(count) // each]

    closed, held = program(recorded_plainly(own, [jax.ShapeDtypeStruct((count,), FLOAT)]))
    return roots(closed, way, [lax.stop_gradient(start) for start in starts], held, most)


def _switches(function: Recorded) -> list[_Switch]:
    jaxpr = function.jaxpr.jaxpr
    form: dict[Any, int] = {jaxpr.invars[-1]: STRAIGHT}
    moving = {var for var, value in zip(jaxpr.invars, function.held, strict=False) if is_traced(value)}
    found: dict[Any, _Switch] = {}
    telling = _telling(jaxpr)
    for equation in jaxpr.eqns:
        forms = [form.get(a, STILL) if isinstance(a, jex.Var) else STILL for a in equation.invars]
        if any(isinstance(atom, jex.Var) and atom in moving for atom in equation.invars):
            moving.update(equation.outvars)
        if not any(forms):
            continue
        form.update((var, _form(equation, forms)) for var in equation.outvars)
        for atoms, gap, periodic in _gaps(equation) if telling.intersection(equation.outvars) else ():
            mine = [form.get(a, STILL) if isinstance(a, jex.Var) else STILL for a in atoms]
            if any(mine) and all(atom.aval.dtype == FLOAT for atom in atoms):
                size = int(np.prod(np.broadcast_shapes(*(atom.aval.shape for atom in atoms))))
                moves = any(isinstance(atom, jex.Var) and atom in moving for atom in atoms)
                key = (tuple(str(a) if isinstance(a, jex.Literal) else a for a in atoms), periodic)
                found[key] = _Switch(tuple(atoms), gap, size, CURVED if periodic else max(mine), moves)
    return [switch for switch in found.values() if switch.size]


def _telling(jaxpr: Any) -> set[Any]:
    """Variables that the value is computed from, other than by what a method of ours decides with them."""
    found = {atom for atom in jaxpr.outvars if isinstance(atom, jex.Var)}
    for equation in reversed(jaxpr.eqns):
        name = equation.primitive.name
        if found.isdisjoint(equation.outvars) or name in ("optimization_barrier", "stop_gradient"):
            continue
        # Where a search begins, and how fine an interval may be, are such decisions.
        decided = {"root": equation.params.get("starts", 0), "integral": 1}.get(name, 0)
        found.update(atom for atom in equation.invars[decided:] if isinstance(atom, jex.Var))
    return found


def _gaps(equation: Any) -> list[tuple[Sequence[Any], Callable[..., Any], bool]]:
    """Functions whose zeros are where an operation switches: of which operands, and whether they come repeatedly."""
    name, operands = equation.primitive.name, equation.invars
    if name in COMPARED:
        return [(operands, jnp.subtract, False)]
    if name in BENT:
        return [(operands, jnp.asarray, False)]
    if name == "clamp":
        return [((operands[1], edge), jnp.subtract, False) for edge in (operands[0], operands[2])]
    if name == "rem":
        return [(operands, lambda value, period: jnp.sin(np.pi * value / period), True)]
    if name in ROUNDED or (name == "convert_element_type" and equation.outvars[0].aval.dtype.kind in "iu"):
        wave = jnp.cos if name == "round" else jnp.sin
        return [(operands, lambda value: wave(np.pi * value), True)]
    return []


def _form(equation: Any, forms: Sequence[int]) -> int:
    name = equation.primitive.name
    if name in _STRAIGHT or (name == "convert_element_type" and equation.outvars[0].aval.dtype.kind == "f"):
        return max(forms)
    if name == "mul" and STILL in forms:
        return max(forms)
    return forms[0] if name == "div" and forms[1] == STILL else CURVED
