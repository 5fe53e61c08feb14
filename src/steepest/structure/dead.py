"""Which parameters can move the cost? Dependence followed through the jaxpr, entry by entry."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .reading import MOVING, PICKING, Reading, moved

# Above this many parameters no entry is followed on its own.
FOLLOWED = 100_000

# Operations whose derivative is zero wherever it exists: the cost can change through them, its slope cannot.
FLAT = frozenset(
    {
        "sign", "floor", "ceil", "round", "eq", "ne", "lt", "le", "gt", "ge", "argmax", "argmin", "is_finite",
        "stop_gradient", "shift_right_logical", "nextafter",
    }
)  # fmt: skip

# What a matrix is factorised by, and so many steps on the way there at most.
FACTORS = frozenset({"lu", "cholesky", "qr", "geqrf"})
SOLVING = 8

# Operations that take each element of their result from the same element of their operands.
ELEMENTWISE = frozenset(
    {
        "add", "sub", "mul", "div", "neg", "exp", "exp2", "log", "log1p", "expm1", "sqrt", "rsqrt", "cbrt", "sin",
        "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "logistic",
        "abs", "square", "integer_pow", "pow", "max", "min", "erf", "erfc", "lgamma", "digamma", "atan2",
        "scipy_special",
    }
)  # fmt: skip


class Influence(NamedTuple):
    """Masks (n,) of the parameters that a variable depends on with a slope, and only in steps.

    `entries`: for variables whose every element comes from one parameter, which one (-1: none), in the
    variable's shape; else None.
    """

    sloping: np.ndarray
    stepping: np.ndarray
    entries: np.ndarray | None = None


class Dead(NamedTuple):
    """`dead`: indices of parameters that cannot move the cost; `stepping`: those that move it only in steps."""

    dead: tuple[int, ...]
    stepping: tuple[int, ...]


def dead_parameters(reading: Reading) -> Dead:
    """Parameters the cost does not depend on, or depends on through rounding and comparisons only."""
    n = reading.n
    if n > FOLLOWED:
        return Dead((), ())
    if not reading.depends(reading.out):
        return Dead(tuple(range(n)), ())
    result = influences(reading)[reading.out]
    dead = ~(result.sloping | result.stepping)
    return Dead(
        tuple(np.flatnonzero(dead).tolist()),
        tuple(np.flatnonzero(result.stepping & ~result.sloping).tolist()),
    )


def influences(reading: Reading) -> dict[Any, Influence]:
    """What each variable that varies depends on; empty for more parameters than are followed."""
    n = reading.n
    if n > FOLLOWED:
        return {}
    nothing = np.zeros(n, dtype=bool)
    found: dict[Any, Influence] = {
        reading.x: Influence(~nothing, nothing, np.arange(n).reshape(reading.x.aval.shape))
    }
    for equation in reading.equations:
        if equation.outvars[0] not in reading.varies:
            continue
        influence = _influence(reading, equation, found, nothing)
        for var in equation.outvars:
            found[var] = influence if var is equation.outvars[0] else influence._replace(entries=None)
    return found


def _influence(
    reading: Reading, equation: Any, found: dict[Any, Influence], nothing: np.ndarray
) -> Influence:
    name = equation.primitive.name
    operands = [atom for atom in equation.invars if reading.depends(atom)]
    if name == "mul" and len(operands) == 1 and _is_zero(reading, equation):
        return Influence(nothing, nothing)
    entries = _entries(reading, equation, found)
    if entries is not None:
        known = entries[entries >= 0]
        reached = nothing.copy()
        reached[known] = True
    else:
        reached = nothing
        for atom in operands:
            reached = reached | found[atom].sloping | found[atom].stepping
    rounded = name == "convert_element_type" and equation.outvars[0].aval.dtype.kind not in "fc"
    if (name in FLAT or rounded) and not (name == "stop_gradient" and _serves_to_solve(reading, equation)):
        return Influence(nothing, reached, entries)
    sloping, stepping = nothing, nothing
    for position, atom in enumerate(equation.invars):
        if not reading.depends(atom):
            continue
        chooses = (name == "select_n" and position == 0) or (name in PICKING and position > 0)
        if chooses:
            stepping = stepping | found[atom].sloping | found[atom].stepping
        else:
            sloping = sloping | found[atom].sloping
            stepping = stepping | found[atom].stepping
    if entries is not None:
        sloping, stepping = sloping & reached, stepping & reached
    return Influence(sloping, stepping, entries)


def _serves_to_solve(reading: Reading, equation: Any) -> bool:
    """Whether a matrix is held only to be factorised: linear equations have a slope of their own, found without it."""
    waiting = [equation.outvars[0]]
    for _ in range(SOLVING):
        if not waiting:
            return True
        for index in reading.uses.get(waiting.pop(), ()):
            user = reading.equations[index] if index < len(reading.equations) else None
            name = "" if user is None else user.primitive.name
            if name in FACTORS:
                continue
            if user is None or not (name in MOVING or name in ("add", "mul", "div")):
                return False
            waiting.append(user.outvars[0])
    return False


def _is_zero(reading: Reading, equation: Any) -> bool:
    """Whether a product has a constant factor that is zero throughout."""
    factor = next((atom for atom in equation.invars if not reading.depends(atom)), None)
    value = None if factor is None else reading.constant(factor)
    return value is not None and not np.any(np.asarray(value))


def _entries(reading: Reading, equation: Any, found: dict[Any, Influence]) -> np.ndarray | None:
    """Which parameter each element of the result comes from, where that is a single one."""
    name = equation.primitive.name
    out = equation.outvars[0].aval
    if out.size > FOLLOWED:
        return None
    first = equation.invars[0]
    if name in MOVING or name in PICKING:
        if not reading.depends(first) or any(reading.depends(atom) for atom in equation.invars[1:]):
            return None
        entries = found[first].entries
        if entries is None or name in ("convert_element_type", "reduce_precision", "stop_gradient", "copy"):
            return entries
        rest = [reading.constant(atom) for atom in equation.invars[1:]]
        if any(value is None for value in rest):
            return None
        # Places are moved as numbers counted from 1, so that what a gather fills in reads as no parameter.
        result = moved(equation, [entries + 1.0, *rest])
        if result is None:
            return None
        return np.nan_to_num(np.asarray(result), nan=0.0).astype(np.int64) - 1
    if name == "concatenate":
        parts = []
        for atom in equation.invars:
            part = found[atom].entries if reading.depends(atom) else np.full(atom.aval.shape, -1)
            if part is None:
                return None
            parts.append(part)
        return np.concatenate(parts, equation.params["dimension"])
    if name in ELEMENTWISE or name in FLAT:
        varying = [atom for atom in equation.invars if reading.depends(atom)]
        if any(found[atom].entries is None or atom.aval.size > out.size for atom in varying):
            return None  # unknown, or argmax and its like, which take many elements into one
        entries = np.broadcast_to(found[varying[0]].entries, out.shape)  # type: ignore[arg-type]
        for atom in varying[1:]:
            if not np.array_equal(np.broadcast_to(found[atom].entries, out.shape), entries):  # type: ignore[arg-type]
                return None
        if name == "mul" and len(varying) == 1:
            factor = reading.constant(next(atom for atom in equation.invars if atom is not varying[0]))
            if factor is not None and np.any(np.asarray(factor) == 0):
                return np.where(np.asarray(factor) == 0, -1, entries)
        return entries
    return None
