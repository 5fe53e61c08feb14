"""Costs with known minima and gradients written by hand, and the whole catalogue of solvers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steepest.bounds import Bounds, Vector
from steepest.budget import Budget
from steepest.objective import Objective
from steepest.solvers import adam, bfgs, gradient_descent, lbfgs, momentum, nesterov, newton, newton_cg

CostAndSlope = Callable[[Vector], tuple[float, Vector]]

QUASI_NEWTON = [bfgs(), lbfgs(), lbfgs(memory=3)]
FIXED_RATE = [
    gradient_descent(),
    gradient_descent(rate=0.02),
    momentum(rate=0.01),
    nesterov(rate=0.01),
    adam(rate=0.05),
]
NEWTON = [newton(), newton_cg()]
CATALOGUE = QUASI_NEWTON + NEWTON + FIXED_RATE


def name_of(solver: object) -> str:
    return repr(solver)


def objective(cost: CostAndSlope, n: int, bounds: Bounds | None = None, **budget: float) -> Objective:
    return Objective(n, value_and_gradient=cost, bounds=bounds, budget=Budget(**budget))  # type: ignore[arg-type]


def box(lower: list[float], upper: list[float]) -> Bounds:
    return Bounds(np.array(lower, dtype=float), np.array(upper, dtype=float))


def parabola(x: Vector) -> tuple[float, Vector]:
    """The lesson's x² - 2x + 3 for each parameter: lowest at 1, where each adds 2."""
    return float((x * x - 2.0 * x + 3.0).sum()), 2.0 * x - 2.0


def rosenbrock(x: Vector) -> tuple[float, Vector]:
    """Lowest at all ones, where it is 0."""
    valley, rest = x[1:] - x[:-1] ** 2, 1.0 - x[:-1]
    gradient = np.zeros(x.size)
    gradient[:-1] = -400.0 * x[:-1] * valley - 2.0 * rest
    gradient[1:] += 200.0 * valley
    return float(100.0 * (valley @ valley) + rest @ rest), gradient


def quadratic(A: np.ndarray, minimum: Vector) -> CostAndSlope:
    """½(x - m)ᵀA(x - m)."""
    return lambda x: (0.5 * float((x - minimum) @ A @ (x - minimum)), A @ (x - minimum))


def cosh(x: Vector) -> tuple[float, Vector]:
    """Σ cosh x: lowest at 0. No method with a quadratic model is there in fewer steps than its digits take."""
    return float(np.cosh(x).sum()), np.sinh(x)


def absolute(x: Vector) -> tuple[float, Vector]:
    """Σ|x| + ½|x₀ - 2x₁|: a kink at its minimum 0, and along three lines."""
    lean = x[0] - 2.0 * x[1]
    gradient = np.sign(x)
    gradient[:2] += 0.5 * np.sign(lean) * np.array([1.0, -2.0])
    return float(np.abs(x).sum() + 0.5 * abs(lean)), gradient


def barrier(x: Vector) -> tuple[float, Vector]:
    """x² - log(x - 0.1): NaN below 0.1; the minimum solves 2x(x - 0.1) = 1."""
    with np.errstate(all="ignore"):
        return float((x * x - np.log(x - 0.1)).sum()), 2.0 * x - 1.0 / (x - 0.1)


BARRIER_MINIMUM = (0.2 + np.sqrt(0.04 + 8.0)) / 4.0
