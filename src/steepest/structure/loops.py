"""Is what a loop does smooth? Its body is followed as the slope goes through it.

What `stop_gradient` shields, as the length of the next step of a method, is no part of the slope, and decides nothing
that the slope sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.extend.core as jex

from ..tracing.primitives import INITIAL_VALUE
from ..tracing.primitives.control import call_operands, called_jaxpr

# Equations that hold jaxprs and are followed here.
FOLLOWED = frozenset({"while", "scan", "cond", "integral", "root", INITIAL_VALUE})


def kinked_loops(closed: Any, kinked: frozenset[str]) -> bool:
    """Whether a loop or a branch in the jaxpr may have a kink: one of the operations `kinked`, or a choice.

    >>> import jax, jax.numpy as jnp, numpy as np
    >>> with jax.enable_x64(True):
    ...     smooth, bent = (
    ...         jax.make_jaxpr(lambda x: jax.lax.fori_loop(0, 5, lambda k, y: f(y * x), x))(np.float64(1.0))
    ...         for f in (jnp.sin, abs)
    ...     )
    >>> kinked_loops(smooth, frozenset({"abs"})), kinked_loops(bent, frozenset({"abs"}))
    (False, True)
    """
    return _Walk(kinked).through(closed.jaxpr, [True] * len(closed.jaxpr.invars), inside=False)[1]


class _Walk:
    def __init__(self, kinked: frozenset[str]) -> None:
        self.kinked = kinked

    def through(self, jaxpr: Any, moving: Sequence[bool], inside: bool = True) -> tuple[list[bool], bool]:
        """Which outputs the slope reaches, from the inputs that it comes in by, and whether it meets a kink."""
        reached = {var for var, moves in zip(jaxpr.invars, moving, strict=True) if moves}
        bent = False
        for equation in jaxpr.eqns:
            name = equation.primitive.name
            operands = [isinstance(atom, jex.Var) and atom in reached for atom in equation.invars]
            if name == "stop_gradient" or not any(operands):
                continue
            outputs = [True] * len(equation.outvars)
            inner = called_jaxpr(equation)
            if name in FOLLOWED:
                outputs, more = getattr(self, f"_{name}")(equation.params, operands)
                bent |= more
            elif inner is not None:
                outputs, more = self.through(inner.jaxpr, call_operands(equation, operands), inside)
                bent |= more
            elif inside and (operands[0] if name == "select_n" else name in self.kinked):
                bent = True
            reached.update(var for var, moves in zip(equation.outvars, outputs, strict=True) if moves)
        return [isinstance(atom, jex.Var) and atom in reached for atom in jaxpr.outvars], bent

    def _while(self, params: Any, operands: list[bool]) -> tuple[list[bool], bool]:
        of_condition, of_body = params["cond_nconsts"], params["body_nconsts"]
        start = of_condition + of_body
        constants, carry = operands[of_condition:start], operands[start:]
        carry, bent = self._settled(params["body_jaxpr"].jaxpr, constants, carry, [])
        ends, _ = self.through(params["cond_jaxpr"].jaxpr, [*operands[:of_condition], *carry])
        return carry, bent or any(ends)

    def _scan(self, params: Any, operands: list[bool]) -> tuple[list[bool], bool]:
        start = params["num_consts"]
        end = start + params["num_carry"]
        body, rows = params["jaxpr"].jaxpr, operands[end:]
        carry, bent = self._settled(body, operands[:start], operands[start:end], rows)
        outputs, _ = self.through(body, [*operands[:start], *carry, *rows])
        return [*carry, *outputs[end - start :]], bent

    def _initial_value(self, params: Any, operands: list[bool]) -> tuple[list[bool], bool]:
        """The right-hand side, at every step; its time moves with the times that a solution is asked for."""
        flow = params["flow"]
        count, timed = len(flow.shapes), any(operands[:3])
        blocks, held = operands[3 : 3 + count], operands[3 + count :]
        while True:
            rates, bent = self.through(flow.rate.jaxpr, [timed, *blocks, *held])
            after = [before or moves or timed for before, moves in zip(blocks, rates, strict=True)]
            if after == blocks:
                return [*blocks, *blocks], bent
            blocks = after

    def _cond(self, params: Any, operands: list[bool]) -> tuple[list[bool], bool]:
        found = [self.through(branch.jaxpr, operands[1:]) for branch in params["branches"]]
        outputs = [any(moves) for moves in zip(*(branch for branch, _ in found), strict=True)]
        return outputs, operands[0] or any(bent for _, bent in found)

    def _integral(self, params: Any, operands: list[bool]) -> tuple[list[bool], bool]:
        (moves,), bent = self.through(params["jaxpr"].jaxpr, [False, *operands[1:]])
        return [moves, False], bent

    def _root(self, params: Any, operands: list[bool]) -> tuple[list[bool], bool]:
        # Where the search begins decides nothing that the slope sees.
        (moves,), _ = self.through(params["jaxpr"].jaxpr, [False, *operands[params["starts"] :]])
        _, bent = self.through(params["jaxpr"].jaxpr, [moves, *operands[params["starts"] :]])
        return [moves, False], bent

    def _settled(
        self, body: Any, constants: list[bool], carry: list[bool], rows: list[bool]
    ) -> tuple[list[bool], bool]:
        """What of the carry the slope reaches after any number of turns."""
        while True:
            outputs, bent = self.through(body, [*constants, *carry, *rows])
            after = [before or moves for before, moves in zip(carry, outputs, strict=False)]
            if after == carry:
                return carry, bent
            carry = after
