"""The solvers: each a pure `init` and `step`, all walked by one driver.

The lower-case names build one, with its options: `minimize(cost, x0, method=lbfgs(memory=20))`.
"""

from __future__ import annotations

from .adam import Adam
from .bfgs import BFGS
from .choice import Rule, choose
from .contract import Solver, State
from .driver import Run, drive
from .gradient_descent import GradientDescent
from .history import History
from .lbfgs import LBFGS
from .levenberg_marquardt import FIRST_RADIUS, LevenbergMarquardt
from .line_search import STILL_FALLING
from .methods import plan_for
from .newton import Newton
from .newton_cg import NewtonCG
from .plan import Plan
from .stopping import StopReason, Tolerance

__all__ = [
    "History",
    "Plan",
    "Rule",
    "Run",
    "Solver",
    "State",
    "StopReason",
    "Tolerance",
    "adam",
    "bfgs",
    "choose",
    "drive",
    "gradient_descent",
    "lbfgs",
    "levenberg_marquardt",
    "momentum",
    "nesterov",
    "newton",
    "newton_cg",
    "plan_for",
]


def gradient_descent(rate: float | None = None, momentum: float = 0.0) -> GradientDescent:
    """Each step is -rate·slope; with `rate` None the rate is measured at the start and kept safe.

    >>> gradient_descent(rate=0.1).name
    'gradient descent'
    """
    return GradientDescent(rate, momentum)


def momentum(rate: float | None = None, momentum: float = 0.9) -> GradientDescent:
    """Heavy ball (Polyak 1964): each step keeps the part `momentum` of the last one.

    >>> momentum(rate=0.1, momentum=0.5)
    GradientDescent(rate=0.1, momentum=0.5, nesterov=False)
    """
    return GradientDescent(rate, momentum)


def nesterov(rate: float | None = None, momentum: float = 0.9) -> GradientDescent:
    """Nesterov's accelerated gradient: momentum that looks ahead.

    >>> nesterov(rate=0.1)
    GradientDescent(rate=0.1, momentum=0.9, nesterov=True)
    """
    return GradientDescent(rate, momentum, nesterov=True)


def adam(
    rate: float = 0.01, mean_decay: float = 0.9, square_decay: float = 0.999, tiny: float = 1e-8
) -> Adam:
    """Adam (Kingma & Ba 2015): steps of about `rate` for every parameter, whatever its slope.

    >>> adam(rate=0.1).name
    'Adam'
    """
    return Adam(rate, mean_decay, square_decay, tiny)


def bfgs(still_falling: float = STILL_FALLING) -> BFGS:
    """BFGS: learns the whole inverse Hessian on the way; for up to a few hundred parameters.

    >>> bfgs().name
    'BFGS'
    """
    return BFGS(still_falling)


def lbfgs(memory: int | None = None, still_falling: float = STILL_FALLING) -> LBFGS:
    """L-BFGS: learns curvature from the last `memory` steps; for any number of parameters.

    >>> lbfgs(memory=20)
    LBFGS(memory=20, still_falling=0.9)
    """
    return LBFGS(memory, still_falling)


def newton(sparse: bool | None = None) -> Newton:
    """Newton's method in a trust region, by exact second derivatives; for some hundred parameters, or sparse ones.

    `sparse` None uses the zeros of the Hessian where they are known; False never does.

    >>> newton().name
    'Newton'
    """
    return Newton(sparse)


def newton_cg() -> NewtonCG:
    """Newton's method by products with the Hessian alone; for many parameters of any structure.

    >>> newton_cg().name
    'Newton-CG'
    """
    return NewtonCG()


def levenberg_marquardt(first_radius: float = FIRST_RADIUS, newton: bool = True) -> LevenbergMarquardt:
    """For sums of squares: Gauss-Newton within a trust radius, and Newton where residuals stay large.

    `first_radius`: longest first step, in units of what the start's own size changes in the residuals. `newton`:
    whether second derivatives may be used.

    >>> levenberg_marquardt(newton=False).name
    'Levenberg-Marquardt'
    """
    return LevenbergMarquardt(first_radius, newton)
