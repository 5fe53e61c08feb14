"""A Python loop that stays in the cost turn by turn: what it takes to compile, and how else to write it.

Most loops are rolled up when the cost is recorded (`tracing.recurrences`). Those whose turns differ, and those that
read other parameters at each turn, are compiled as they were written down. That may take XLA time that grows faster
than the square of their equations, before the first step and without a sign of life.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import jax.extend.core as jex

from ..tracing.batched import BatchCost
from ..tracing.recurrences import joins_inputs
from ..tracing.source import user_line

# Shorter costs take less than half a minute (a GRU of 50 turns, 1,400 equations, took 20 s).
MANY_EQUATIONS = 2_000
# A line that left an operation as often ran in a loop.
OFTEN = 20


def remark(cost: BatchCost) -> str:
    """What is to be said of a cost that is long because a loop stayed in it turn by turn; "" elsewhere."""
    equations = list(_equations(cost.closed.jaxpr))
    if len(equations) < MANY_EQUATIONS:
        return ""
    kinds: Counter[tuple[str, int, str]] = Counter()
    lines: Counter[tuple[str, int]] = Counter()
    places: dict[tuple[str, int], Any] = {}
    for equation in equations:
        place = user_line(equation)
        if place is not None:
            key = place.file, place.line
            places[key] = place
            lines[key] += 1
            kinds[(*key, equation.primitive.name)] += 1
    often = {(file, line) for (file, line, _), count in kinds.items() if count >= OFTEN}
    if not often:
        return ""
    key = max(often, key=lambda line: (lines[line], line))
    instead = (
        "its turns read parameters of their own: hold those in one array, a first axis along the turns, and read "
        "A[k] at turn k"
        if joins_inputs(cost.closed)
        else "its turns do not do the same: write it as jax.lax.scan, or with fewer turns"
    )
    return (
        f"{places[key]}: a Python loop is in the cost turn by turn, {len(equations):,} operations in all "
        f"({lines[key]:,} of this line), and compiling them may take minutes and gigabytes: 2,400 of an LSTM took "
        f"30 s, 7,200 took 16 minutes and 14 GB; {instead}"
    )


def _equations(jaxpr: Any) -> Iterator[Any]:
    """All equations, those inside of others too: each is compiled once."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jex.jaxprs_in_params(equation.params):
            yield from _equations(inner)
