"""One contestant on one problem of the collections: `python -m benchmarks.collection_worker CORE`, as for CUTEst."""

import sys
from typing import Any

from .collected import PROBLEMS
from .cutest_worker import look, measured, serve


def measure(name: str, solver: str) -> dict[str, Any]:
    """Pose the problem as a JAX function, solve it twice, and look at the end point."""
    import jax.numpy as jnp

    from .contestants import Posed, contestant

    problem = PROBLEMS[name]
    posed = Posed(lambda x: problem.cost(jnp, x), problem.start, problem.lower, problem.upper)
    return measured(name, solver, posed, contestant(solver), look)


if __name__ == "__main__":
    serve(int(sys.argv[1]), measure)
