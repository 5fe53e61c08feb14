"""An initial value problem as recorded, and the larger ones whose solutions are its derivatives.

The derivative of a solution y by what it starts from and reads, along a direction, solves z' = ∂f/∂y·z + ∂f/∂p·ṗ beside
it (Hairer, Nørsett & Wanner 1993, section I.14). Followed by the steps of y it is the derivative of the steps taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np

from ...numerics import double_precision
from ..passes import simplify
from .loop import follow
from .steps import Control

FLOAT = np.dtype(np.float64)


class Flow:
    """y' = f(t, y, …): `rate` is a closed jaxpr (t, *blocks, *held) ↦ the rates of the blocks.

    The first block (unknowns,) is the state and decides on the steps. The others are directions pushed through it,
    their last axis that of the unknowns, at most `levels` one upon another. `shapes`: of the blocks. `lowered`: the
    function in JAX (start, end, times, *blocks, *held) ↦ the blocks at the times, (times, …) each, and at the end.
    """

    def __init__(
        self,
        rate: Any,
        shapes: Sequence[tuple[int, ...]],
        control: Control,
        lowered: Callable[..., list[Any]] | None = None,
        levels: int = 0,
    ) -> None:
        self.rate, self.shapes, self.control, self.levels = rate, tuple(shapes), control, levels
        self.lowered = lowered or self._by_steps
        self.sizes = [math.prod(shape) for shape in self.shapes]
        self._larger: dict[Any, Flow] = {}
        # What NumPy functions were made of the rate, by those who made them.
        self.made: dict[Any, Any] = {}

    @classmethod
    def of(
        cls, rate: Callable[..., Any], shape: tuple[int, ...], held: Sequence[Any], control: Control
    ) -> Flow:
        """The problem of a state of this shape, (unknowns,), whose rate in JAX is `rate(t, y, *held)`."""
        kinds = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in held]
        return cls(_recorded(lambda *operands: [rate(*operands)], [shape], kinds), [shape], control)

    def __repr__(self) -> str:
        return f"Flow{self.shapes}"

    def at(self, t: Any, blocks: Sequence[Any], held: Sequence[Any]) -> list[Any]:
        """The rates of the blocks, in JAX."""
        rates: list[Any] = jex.jaxpr_as_fun(self.rate)(t, *blocks, *held)
        return rates

    def closer(self, times: float) -> Flow | None:
        """The same problem, followed so many times closer; None of one made by pushing directions through another."""
        if self.levels:
            return None
        if times not in self._larger:
            self._larger[times] = Flow(self.rate, self.shapes, self.control.closer(times))
        return self._larger[times]

    @cached_property
    def flat(self) -> Any:
        """A closed jaxpr (t, z, *held) ↦ z', all blocks in one vector z; only to be evaluated."""
        return self._evaluated(self._flat)

    @cached_property
    def by_state(self) -> Any:
        """A closed jaxpr (t, z, *held) ↦ the matrix of derivatives of z' by z; only to be evaluated."""
        return self._evaluated(lambda t, z, *held: jax.jacfwd(lambda z: self._flat(t, z, *held))(z))

    def split(self, z: Any) -> list[Any]:
        """The blocks, whose last axis is one of z (…, unknowns)."""
        ends = np.cumsum(self.sizes).tolist()
        return [
            z[..., end - size : end].reshape(*z.shape[:-1], *shape)
            for end, size, shape in zip(ends, self.sizes, self.shapes, strict=True)
        ]

    def moved(self, moving: tuple[bool, ...]) -> Flow:
        """The state with one more direction pushed through all blocks, and through what is held where it is `moving`.

        Its blocks are those of this one and their directions, its held ones likewise.
        """
        known = self._larger.get(moving)
        if known is None:
            known = self._larger[moving] = self._moved(moving)
        return known

    def with_directions(self, count: int, lengths: tuple[bool, ...], held: tuple[bool, ...]) -> Flow:
        """Many directions at once: the blocks of `lengths`, and what is `held`, have an axis of them in front."""
        key = count, lengths, held
        if key not in self._larger:
            self._larger[key] = self._with_directions(count, lengths, held)
        return self._larger[key]

    def _with_directions(self, count: int, lengths: tuple[bool, ...], held: tuple[bool, ...]) -> Flow:
        axes = [0 if wide else None for wide in (*lengths, *held)]
        pushed = jax.vmap(jex.jaxpr_as_fun(self.rate), in_axes=(None, *axes), out_axes=axes[: len(lengths)])
        shapes = [
            (count, *shape) if wide else shape for wide, shape in zip(lengths, self.shapes, strict=True)
        ]
        kinds = [
            jax.ShapeDtypeStruct((count, *a.shape) if wide else a.shape, a.dtype)
            for wide, a in zip(held, self._held, strict=True)
        ]
        at_times = [1 if wide else None for wide in lengths]
        lowered = jax.vmap(
            self.lowered, in_axes=(None, None, None, *axes), out_axes=[*at_times, *axes[: len(lengths)]]
        )
        return Flow(_recorded(pushed, shapes, kinds), shapes, self.control, lowered, self.levels)

    def axes_of(self, blocks: Sequence[bool], held: Sequence[bool]) -> tuple[bool, ...]:
        """Which blocks have an axis of directions, where these start with one and these held ones have one."""
        jaxpr = self.rate.jaxpr
        wide = list(blocks)
        while True:
            reached = {var for var, has in zip(jaxpr.invars, [False, *wide, *held], strict=True) if has}
            for equation in jaxpr.eqns:
                if any(isinstance(atom, jex.Var) and atom in reached for atom in equation.invars):
                    reached.update(equation.outvars)
            found = [
                before or (isinstance(atom, jex.Var) and atom in reached)
                for before, atom in zip(wide, jaxpr.outvars, strict=True)
            ]
            if found == wide:
                return tuple(wide)
            wide = found

    @property
    def _held(self) -> list[Any]:
        return list(self.rate.in_avals[1 + len(self.shapes) :])

    def _moved(self, moving: tuple[bool, ...]) -> Flow:
        count, n_held = len(self.shapes), len(moving)

        def apart(operands: Sequence[Any]) -> tuple[Any, ...]:
            blocks, changes, held = operands[:count], operands[count : 2 * count], operands[2 * count :]
            return blocks, changes, list(held[:n_held]), list(held[n_held:])

        def pushed(function: Callable[..., Any], operands: Sequence[Any]) -> list[Any]:
            blocks, changes, held, by_held = apart(operands)

            def of(blocks: Any, some: Any) -> Any:
                rest = iter(some)
                return function(*blocks, *(next(rest) if m else h for m, h in zip(moving, held, strict=True)))

            some = [h for m, h in zip(moving, held, strict=True) if m]
            found, change = jax.jvp(of, (list(blocks), some), (list(changes), by_held))
            return found, change  # type: ignore[return-value]

        function = jex.jaxpr_as_fun(self.rate)

        def rate(t: Any, *operands: Any) -> list[Any]:
            found, change = pushed(lambda *inner: function(t, *inner), operands)
            return [*found, *change]

        def lowered(start: Any, end: Any, times: Any, *operands: Any) -> list[Any]:
            found, change = pushed(lambda *inner: self.lowered(start, end, times, *inner), operands)
            return [*found[:count], *change[:count], *found[count:], *change[count:]]

        held = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in self._held]
        kinds = [*held, *(a for m, a in zip(moving, held, strict=True) if m)]
        shapes = [*self.shapes, *self.shapes]
        return Flow(_recorded(rate, shapes, kinds), shapes, self.control, lowered, self.levels + 1)

    def _by_steps(self, start: Any, end: Any, times: Any, y: Any, *held: Any) -> list[Any]:
        return list(follow(lambda t, y: self.at(t, [y], held)[0], start, end, times, y, self.control))

    def _flat(self, t: Any, z: Any, *held: Any) -> Any:
        rates = self.at(t, self.split(z), held)
        return rates[0] if len(rates) == 1 else jnp.concatenate([jnp.reshape(rate, -1) for rate in rates])

    def _evaluated(self, function: Callable[..., Any]) -> Any:
        """Of a function of t, all blocks in one vector, and what is held; only to be evaluated."""
        with double_precision():
            z = jax.ShapeDtypeStruct((sum(self.sizes),), FLOAT)
            held = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in self._held]
            return simplify(jax.make_jaxpr(function)(jax.ShapeDtypeStruct((), FLOAT), z, *held))


def _recorded(function: Callable[..., Any], shapes: Sequence[tuple[int, ...]], held: Sequence[Any]) -> Any:
    """The closed jaxpr of a function (t, *blocks, *held), to be differentiated again."""
    with double_precision():
        operands = [jax.ShapeDtypeStruct(shape, FLOAT) for shape in [(), *shapes]]
        return simplify(jax.make_jaxpr(function)(*operands, *held), keep_derivatives=True)
