"""Minimisers that compete on one problem: a flat JAX function, a start and bounds in; a point and a claim out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Posed:
    """What every contestant is given: `cost` a JAX function of (n,), `start` (n,), bounds (n,) or None.

    `kept`: what a contestant made of the cost in its first solve and may use again in its second.
    """

    cost: Callable[[Any], Any]
    start: np.ndarray
    lower: np.ndarray | None
    upper: np.ndarray | None
    kept: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, made at the first call: compiled functions are compiled once."""
        if name not in self.kept:
            self.kept[name] = make()
        return self.kept[name]

    @property
    def n(self) -> int:
        """Number of parameters."""
        return self.start.size

    @property
    def pairs(self) -> list[tuple[float, float]] | None:
        """Bounds as SciPy takes them."""
        if self.lower is None or self.upper is None:
            return None
        return list(zip(self.lower.tolist(), self.upper.tolist(), strict=True))


@dataclass(frozen=True)
class Answer:
    """Where a contestant ended and whether it claims to have succeeded; `told` in its own words."""

    x: np.ndarray
    claims: bool
    told: str = ""


Contestant = Callable[[Posed], Answer]


def steepest(posed: Posed, method: str = "auto") -> Answer:
    """Our own, with nothing but the cost, the start and the bounds."""
    import steepest as st

    found = st.minimize(posed.cost, posed.start, method=method, bounds=posed.pairs)
    told = f"{found.verdict} · {found.plan.name} · {found.nit} steps, {found.nfev} evaluations · {found.stop}"
    return Answer(np.asarray(found.x), bool(found.success), f"{told} · {found.message}")


def _scipy(method: str, **options: Any) -> Contestant:
    def solve(posed: Posed) -> Answer:
        import jax
        from scipy.optimize import minimize

        both = posed.once("both", lambda: jax.jit(jax.value_and_grad(posed.cost)))

        def value_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = both(x)
            return float(value), np.asarray(gradient)

        found = minimize(
            value_and_gradient,
            posed.start,
            method=method,
            jac=True,
            bounds=posed.pairs,
            options=options or None,
        )
        return Answer(found.x, bool(found.success), str(found.message))

    return solve


def _optimistix(name: str) -> Contestant:
    def solve(posed: Posed) -> Answer:
        import jax.numpy as jnp
        import optimistix as optx

        solver = posed.once("solver", lambda: getattr(optx, name)(rtol=1e-8, atol=1e-8))
        cost = posed.once("cost", lambda: lambda y, _: posed.cost(y))
        found = optx.minimise(cost, solver, jnp.asarray(posed.start), max_steps=100_000, throw=False)
        return Answer(np.asarray(found.value), bool(found.result == optx.RESULTS.successful))

    return solve


TIGHT: dict[str, Any] = {"ftol": 1e-15, "gtol": 1e-8, "maxiter": 100_000, "maxfun": 1_000_000}

# The most parameters each is given; None for any number. Dense matrices of more would not fit in the time.
UNCONSTRAINED: dict[str, tuple[Contestant, int | None]] = {
    "optimistix L-BFGS (1e-8)": (_optimistix("LBFGS"), None),
    "SciPy L-BFGS-B": (_scipy("L-BFGS-B"), None),
    "SciPy L-BFGS-B, tightened": (_scipy("L-BFGS-B", **TIGHT), None),
}
BOUNDED: dict[str, tuple[Contestant, int | None]] = {
    "SciPy L-BFGS-B": (_scipy("L-BFGS-B"), None),
    "SciPy L-BFGS-B, tightened": (_scipy("L-BFGS-B", **TIGHT), None),
}


def contestant(name: str) -> Contestant:
    """The contestant of that name; "steepest", or "steepest METHOD" for one of its methods."""
    if name == "steepest":
        return steepest
    if name.startswith("steepest "):
        return lambda posed: steepest(posed, name.removeprefix("steepest "))
    return {**UNCONSTRAINED, **BOUNDED}[name][0]
