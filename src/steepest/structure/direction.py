"""Does the cost rise or fall with a value inside it? Signs of slopes, by composition rules, from the end backwards."""

from __future__ import annotations

from collections.abc import Callable
from enum import Flag
from typing import Any

from .patterns import Pattern
from .ranges import EVERYTHING, RISING, Interval, constant_range, hull
from .reading import MOVING, PICKING, Reading


class Way(Flag):
    """How the cost goes as all elements of a variable rise; both flags where it may go either way."""

    NEITHER = 0
    UP = 1
    DOWN = 2
    BOTH = 3


# Of these the result rises, or stays, with every operand.
RISES_WITH_ALL = frozenset(
    {
        "add", "add_any", "max", "min", "reduce_sum", "reduce_max", "reduce_min", "cumsum", "cummax", "cummin",
        "concatenate", "sort", "logistic", "erf", "pad", *RISING, *MOVING,
    }
)  # fmt: skip
FALLS = frozenset({"neg", "erfc", "acos"})

# Patterns whose result rises with every operand, whatever operations they are written with.
RISING_PATTERNS = frozenset({"logaddexp", "log-sum-exp", "maximum", "minimum", "square root"})


def directions(
    reading: Reading, ranges: dict[Any, Interval], patterns: dict[Any, Pattern], inside: set[int]
) -> dict[Any, Way]:
    """For every variable that depends on the parameters, the way the result goes when it rises.

    `ranges`: where each variable lies. `inside`: equations that only serve inside a pattern, which is taken whole.

    >>> import jax, numpy as np
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: abs(x[0]) - abs(x[1]))(jax.ShapeDtypeStruct((2,), np.float64))
    >>> reading = Reading(jaxpr)
    >>> found = directions(reading, {}, {}, set())
    >>> [found[e.outvars[0]].name for e in reading.equations if e.primitive.name == "abs"]
    ['UP', 'DOWN']
    """
    found: dict[Any, Way] = dict.fromkeys(reading.varies, Way.NEITHER)
    if reading.depends(reading.out):
        found[reading.out] = Way.UP

    def of(atom: Any) -> Interval:
        return ranges.get(atom, EVERYTHING) if reading.depends(atom) else constant_range(reading, atom)

    for index in range(len(reading.equations) - 1, -1, -1):
        equation = reading.equations[index]
        if index in inside or not any(var in reading.varies for var in equation.outvars):
            continue
        way = Way.NEITHER
        for var in equation.outvars:
            way |= found.get(var, Way.NEITHER)
        pattern = patterns.get(equation.outvars[0])
        if pattern is not None:
            step = Way.UP if pattern.name in RISING_PATTERNS else Way.BOTH
            pairs = [(atom, step) for atom in pattern.operands]
            for k, sign in enumerate(pattern.signs, 2):
                pairs[k] = (pattern.operands[k], Way.UP if sign > 0 else Way.DOWN)
            if pattern.sides is not None and pattern.sides.way:
                steps = (Way.UP, Way.DOWN)[:: pattern.sides.way]
                pairs = list(zip(pattern.operands, steps, strict=False))
            if pattern.sides is not None and way not in (
                Way.NEITHER,
                Way.UP if pattern.sides.bend > 0 else Way.DOWN,
            ):
                pairs += [(atom, Way.BOTH) for atom in _bends_within(equation, pattern, reading, patterns)]
        else:
            pairs = list(zip(equation.invars, _steps(equation, of, reading), strict=True))
        for atom, step in pairs:
            if reading.depends(atom):
                found[atom] |= _along(way, step)
    return found


def _bends_within(
    equation: Any, pattern: Pattern, reading: Reading, patterns: dict[Any, Pattern]
) -> set[Any]:
    """Other choices by the same difference that a choice is made of: what stands for them is read where it stays."""
    seen: set[Any] = set()
    waiting = list(equation.invars)
    while waiting:
        atom = waiting.pop()
        if not reading.depends(atom) or atom in seen or atom in pattern.operands:
            continue
        seen.add(atom)
        made = reading.producer(atom)
        waiting += [] if made is None else made.invars
    return {atom for atom in seen if atom in patterns and patterns[atom].sides is not None}


def _along(way: Way, step: Way) -> Way:
    """The way through one more operation."""
    if way is Way.NEITHER or step is Way.NEITHER:
        return Way.NEITHER
    if Way.BOTH in (way, step):
        return Way.BOTH
    return Way.UP if way is step else Way.DOWN


def _steps(equation: Any, of: Callable[[Any], Interval], reading: Reading) -> list[Way]:
    """How the result of one operation goes with each of its operands."""
    name, atoms = equation.primitive.name, equation.invars
    if equation.outvars[0].aval.dtype.kind == "c":  # complex numbers do not rise or fall
        return [Way.BOTH] * len(atoms)
    if name in RISES_WITH_ALL:
        return [Way.UP] * len(atoms)
    if name in PICKING:
        return [Way.UP] + [Way.BOTH] * (len(atoms) - 1)
    if name in FALLS:
        return [Way.DOWN]
    if name == "sub":
        return [Way.UP, Way.DOWN]
    if name in ("mul", "dot_general"):
        return [_sign(of(atoms[1])), _sign(of(atoms[0]))]
    if name == "div":
        return [_sign(of(atoms[1])), _of_divisor(*map(of, atoms))]
    if name in ("square", "abs", "cosh"):
        return [_sign(of(atoms[0]))]
    if name == "integer_pow":
        return [_of_power(of(atoms[0]), equation.params["y"])]
    if name == "rsqrt":
        return [Way.DOWN]
    if name == "select_n" and not reading.depends(atoms[0]):
        return [Way.NEITHER] + [Way.UP] * (len(atoms) - 1)
    return [Way.BOTH] * len(atoms)


def _sign(interval: Interval) -> Way:
    low, high = hull(interval)
    return Way.UP if low >= 0.0 else Way.DOWN if high <= 0.0 else Way.BOTH


def _of_divisor(top: Interval, bottom: Interval) -> Way:
    """a/b falls with b where a is positive, as long as b does not pass zero."""
    if _sign(bottom) is Way.BOTH:
        return Way.BOTH
    return _along(_sign(top), Way.DOWN)


def _of_power(base: Interval, power: int) -> Way:
    if power > 0 and power % 2:
        return Way.UP
    side = _sign(base)
    if side is Way.BOTH:
        return Way.BOTH
    if power > 0:
        return side
    return Way.DOWN if power % 2 else _along(side, Way.DOWN)
