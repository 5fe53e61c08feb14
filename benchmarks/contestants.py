"""Minimisers that compete on one problem: a flat JAX function, a start and bounds in; a point and a claim out."""

import importlib.util
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
    """Where a contestant ended and whether it claims to have succeeded; `told` in its own words.

    `evaluations`: of the cost, where the contestant counts them.
    """

    x: np.ndarray
    claims: bool
    told: str = ""
    evaluations: int | None = None


Contestant = Callable[[Posed], Answer]


def steepest(posed: Posed, method: str = "auto") -> Answer:
    """Our own, with nothing but the cost, the start and the bounds."""
    import steepest as st

    found = st.minimize(posed.cost, posed.start, method=method, bounds=posed.pairs)
    told = f"{found.verdict} · {found.plan.name} · {found.nit} steps, {found.nfev} evaluations · {found.stop}"
    return Answer(np.asarray(found.x), bool(found.success), f"{told} · {found.message}", int(found.nfev))


def _scipy(method: str, *, products: bool = False, **options: Any) -> Contestant:
    """SciPy's `method` on a jitted value and gradient; `products`: with jitted exact Hessian products too."""

    def solve(posed: Posed) -> Answer:
        import jax
        from scipy.optimize import minimize

        both = posed.once("both", lambda: jax.jit(jax.value_and_grad(posed.cost)))

        def value_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = both(x)
            return float(value), np.asarray(gradient)

        extra: dict[str, Any] = {}
        if products:
            along = posed.once(
                "along", lambda: jax.jit(lambda x, v: jax.jvp(jax.grad(posed.cost), (x,), (v,))[1])
            )
            extra["hessp"] = lambda x, v: np.asarray(along(x, v))
        if posed.pairs is not None:
            extra["bounds"] = posed.pairs
        found = minimize(
            value_and_gradient, posed.start, method=method, jac=True, options=options or None, **extra
        )
        return Answer(found.x, bool(found.success), str(found.message), int(found.nfev))

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


def _jaxopt(name: str) -> Contestant:
    def solve(posed: Posed) -> Answer:
        import jax
        import jax.numpy as jnp
        import jaxopt

        def make() -> Any:
            # Compiled as a whole: left alone, its loop is compiled again in every solve.
            return jax.jit(getattr(jaxopt, name)(posed.cost, maxiter=100_000, tol=1e-8).run)

        solve = posed.once("solve", make)
        bounds = (
            {} if posed.lower is None else {"bounds": (jnp.asarray(posed.lower), jnp.asarray(posed.upper))}
        )
        found = solve(jnp.asarray(posed.start), **bounds)
        error = float(found.state.error)
        return Answer(np.asarray(found.params), error <= 1e-8, f"error {error:.1e}")

    return solve


def ipopt(posed: Posed) -> Answer:
    """IPOPT with its defaults; the exact Hessian, dense, up to `DENSE` parameters and limited memory beyond."""
    import cyipopt
    import jax

    n = posed.n
    both = posed.once("both", lambda: jax.jit(jax.value_and_grad(posed.cost)))
    low = np.tril_indices(n) if n <= DENSE else None
    hessian = posed.once("hessian", lambda: jax.jit(jax.hessian(posed.cost)))
    last: list[Any] = [None, 0.0, None]

    def measured(x: np.ndarray) -> list[Any]:
        if last[0] is None or not np.array_equal(last[0], x):
            value, gradient = both(x)
            last[:] = [np.array(x), float(value), np.asarray(gradient)]
        return last

    class Problem:
        """The cost as IPOPT asks for it."""

        def objective(self, x: np.ndarray) -> float:
            return float(measured(x)[1])

        def gradient(self, x: np.ndarray) -> np.ndarray:
            return np.asarray(measured(x)[2])

        def constraints(self, x: np.ndarray) -> np.ndarray:
            return np.zeros(0)

        def jacobian(self, x: np.ndarray) -> np.ndarray:
            return np.zeros(0)

    if low is not None:
        # cyipopt asks for what is there: with these two it takes exact second derivatives.
        Problem.hessianstructure = lambda self: low  # type: ignore[attr-defined]
        Problem.hessian = (  # type: ignore[attr-defined]
            lambda self, x, multipliers, scale: scale * np.asarray(hessian(x))[low]
        )
    lower = np.full(n, -np.inf) if posed.lower is None else posed.lower
    upper = np.full(n, np.inf) if posed.upper is None else posed.upper
    problem = cyipopt.Problem(n=n, m=0, problem_obj=Problem(), lb=lower, ub=upper)
    problem.add_option("print_level", 0)
    problem.add_option("sb", "yes")
    x, info = problem.solve(posed.start)
    told = info["status_msg"]
    return Answer(x, info["status"] in (0, 1), told.decode() if isinstance(told, bytes) else str(told))


TIGHT: dict[str, Any] = {"ftol": 1e-15, "gtol": 1e-8, "maxiter": 100_000, "maxfun": 1_000_000}

# IPOPT's Hessian is dense up to here, and SciPy's BFGS, whose matrix is dense and updated in full, goes to the other.
DENSE, DENSE_UPDATES = 500, 2000

# The most parameters each is given; None for any number. Dense matrices of more would not fit in the time.
UNCONSTRAINED: dict[str, tuple[Contestant, int | None]] = {
    "optimistix L-BFGS (1e-8)": (_optimistix("LBFGS"), None),
    "JAXopt L-BFGS (1e-8)": (_jaxopt("LBFGS"), None),
    "SciPy L-BFGS-B": (_scipy("L-BFGS-B"), None),
    "SciPy L-BFGS-B, tightened": (_scipy("L-BFGS-B", **TIGHT), None),
    "SciPy BFGS": (_scipy("BFGS"), DENSE_UPDATES),
    "SciPy trust-krylov": (_scipy("trust-krylov", products=True), None),
    "SciPy trust-ncg": (_scipy("trust-ncg", products=True), None),
    "IPOPT": (ipopt, None),
}
BOUNDED: dict[str, tuple[Contestant, int | None]] = {
    "SciPy L-BFGS-B": (_scipy("L-BFGS-B"), None),
    "SciPy L-BFGS-B, tightened": (_scipy("L-BFGS-B", **TIGHT), None),
    "JAXopt L-BFGS-B (1e-8)": (_jaxopt("LBFGSB"), None),
    "IPOPT": (ipopt, None),
}

# What must be installed for a contestant to run beside the others.
NEEDS = {"IPOPT": "cyipopt", "JAXopt": "jaxopt", "optimistix": "optimistix"}


def is_there(name: str) -> bool:
    """Whether the package that the contestant of that name needs is installed."""
    packages = [package for start, package in NEEDS.items() if name.startswith(start)]
    return all(importlib.util.find_spec(package) is not None for package in packages)


def contestant(name: str) -> Contestant:
    """The contestant of that name; "steepest", or "steepest METHOD" for one of its methods."""
    if name == "steepest":
        return steepest
    if name.startswith("steepest "):
        return lambda posed: steepest(posed, name.removeprefix("steepest "))
    return {**UNCONSTRAINED, **BOUNDED}[name][0]
