"""One equation of a recording, run by itself."""

from __future__ import annotations

from typing import Any

import jax
import jax.extend.core as jex


def run_equation(equation: Any, values: dict[Any, Any], program: Any) -> None:
    """Evaluate one equation of the jaxpr `program` on `values`, where its results are put."""
    variables = list(dict.fromkeys(atom for atom in equation.invars if isinstance(atom, jex.Var)))
    alone = program.replace(
        constvars=[], invars=variables, outvars=equation.outvars, eqns=[equation], effects=equation.effects
    )
    results = jax.core.eval_jaxpr(alone, (), *[values[variable] for variable in variables])
    values.update(zip(equation.outvars, results, strict=True))


def read_atom(atom: Any, values: dict[Any, Any]) -> Any:
    """The value of what an equation reads: of a variable, or a number written into it."""
    return atom.val if isinstance(atom, jex.Literal) else values[atom]
