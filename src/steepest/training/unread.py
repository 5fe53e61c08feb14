"""Parameters that the cost never reads: a layer that was begun and then left out, a name that another one took over."""

from __future__ import annotations

import jax.extend.core as jex

from ..parameters import Layout
from ..tracing.batched import BatchCost
from ..tracing.passes import eliminate_dead, inline

# Names that are told of; of more, how many there are.
TOLD = 6


def names(cost: BatchCost, layout: Layout) -> list[str]:
    """The arrays among the parameters that the cost does not depend on, whatever they are."""
    jaxpr = eliminate_dead(inline(cost.closed)).jaxpr
    atoms = [*jaxpr.outvars, *(atom for equation in jaxpr.eqns for atom in equation.invars)]
    read = {atom for atom in atoms if isinstance(atom, jex.Var)}
    inputs = zip(jaxpr.invars[: cost.parameters], layout.leaves, strict=True)
    return [leaf.name for v, leaf in inputs if v not in read and leaf.start < leaf.stop]


def remark(cost: BatchCost, layout: Layout) -> str:
    """What is to be said of parameters that the cost does not read; "" where it reads all."""
    found = names(cost, layout)
    if not found:
        return ""
    more = f" and {len(found) - TOLD} more" if len(found) > TOLD else ""
    return (
        f"the cost does not read {', '.join(found[:TOLD])}{more}: nothing is learned there; see that no layer was left "
        "out, and that none is computed with another's name"
    )
