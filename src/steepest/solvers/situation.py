"""What the choice of a solver may look at: what the objective offers, the facts of its trace, and what steps cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from ..linear_algebra.elimination import BEARABLE
from ..objective import Objective

# Up to here the n × n matrix of BFGS stays in the cache and its update costs less than most gradients; beyond, updating
# it takes longer than the better directions save.
DENSE_PARAMETERS = 300

# With as many parameters second derivatives are asked for at every step; beyond, one Hessian costs about as much as
# the gradients of a whole walk that learns curvature on the way.
HESSIAN_PARAMETERS = 120

# Seconds, as foreseen, that one whole Hessian takes, and slopes that take as long, beyond which slopes begin: Newton's
# method asks for some dozen of those, BFGS for a slope or two for each parameter. Marginal likelihoods of Gaussian
# processes with 11 parameters, where a Hessian takes as long as 20 slopes or more, took BFGS 0.2 s and Newton's method
# 2.3 s; mixtures with 60 parameters 0.2 and 5 s. Below, all steps together are through in a moment.
WEIGHTY_HESSIAN, MANY_SLOPES = 2e-3, 10.0

# Multiplications to factorise a sparse Hessian, for each of its entries, up to which Newton's method begins. A slope
# takes a few for each entry, but L-BFGS takes a thousand of them where Newton's method factorises fifty times. Minimal
# surfaces of 1,000, 10,000 and 100,000 parameters, with 70, 220 and 700, took Newton's method 0.3, 1.4 and 40 s, and
# L-BFGS 0.3, 0.6 and 8 s.
LIGHT = 150.0

# Multiplications that take QDLDL a fiftieth of a second.
MOMENT = 5e7

# With more parameters than this, or where all products at once take more numbers than this (256 MB), the second
# derivatives of a quadratic are not taken as one dense matrix: a factor of it takes seconds.
WHOLE_PARAMETERS, WHOLE_NUMBERS = 2_000, 1 << 25

# Multiplications of one factorisation beyond which a sparse quadratic is first walked by slopes: QDLDL takes up to two
# seconds for it, and they a tenth of one. Where each of 3,000 parameters met a dozen others, drawn at random, 30 steps
# by slopes were all it took.
SOON_MADE = 5e8

# Directions in which residuals are pushed for their slopes, numbers in all of them together, and multiplications that a
# step by them takes, up to which they are cheap.
FEW_DIRECTIONS, FEW_NUMBERS, CHEAP_STEP = 100, 1e6, 2e8

# Of more parameters the pattern of the slopes takes as long to find as hundreds of slopes of the cost.
SOON_READ = 10_000

# Norms of so many times more numbers than there are parameters cannot but a few be zero at once: distances from given
# points, whose sum is smooth wherever it is not at one of them.
OUTNUMBERED = 4


def steps_by_residuals_are_cheap(objective: Objective, most: float = CHEAP_STEP) -> bool:
    """Whether the slopes of residuals take few directions, or few numbers, and a step by them no more than `most`.

    That is in multiplications.
    """
    found = objective.linearisation
    if found is None:
        return False
    if found.directions > FEW_DIRECTIONS and not found.directions * found.rows <= FEW_NUMBERS:
        return False
    return found.work(most) <= most


@dataclass(frozen=True)
class Situation:
    """What a rule may look at: the objective with what it offers, and the facts read off the trace, when asked for."""

    objective: Objective
    read_facts: Callable[[], Any] | None = None

    @property
    def facts(self) -> Any:
        """The facts read off the trace; None for a cost without one."""
        return None if self.read_facts is None else self.read_facts()

    @property
    def n(self) -> int:
        """Number of parameters."""
        return self.objective.n

    @property
    def may_be_smooth(self) -> bool:
        """Whether all kinks are distances from given places, at few of which the parameters can be: steps tell soon.

        Of what is zero where all parameters are, as a penalty on groups of them, many may be zero in the end.
        """
        split = self.objective.split if self.n <= HESSIAN_PARAMETERS else None
        if split is None or not split.program.complete or len(split.program.pairs):
            return False
        if split.program.part_of.size <= OUTNUMBERED * self.n:
            return False
        try:
            at_zero = split.program.lift(np.zeros(self.n))
        except ArithmeticError:
            return False
        return bool((at_zero[split.program.radii] != 0.0).all())

    @property
    def has_kinks_to_split(self) -> bool:
        """Whether the cost has kinks that can be made equations."""
        return self.exact and self.objective.split is not None

    @property
    def has_weighty_hessian(self) -> bool:
        """Whether a whole Hessian of few parameters takes as long as many slopes, and no moment; nor residuals help."""
        if not (self.exact and self.n <= HESSIAN_PARAMETERS) or self.objective.has_residual:
            return False
        return self.objective.hessian_in_slopes(WEIGHTY_HESSIAN) > MANY_SLOPES

    @property
    def is_sparse(self) -> bool:
        """Whether there are many parameters and most second derivatives are zero."""
        return self.exact and self.n > HESSIAN_PARAMETERS and self.objective.has_sparse_hessian

    @property
    def is_light(self) -> bool:
        """Whether there are sparse second derivatives, factorised as often as needed in the time that slopes take.

        Once or twice is enough where they are the same everywhere. Or they are weighty, yet worth a longer wait.
        """
        if not self.is_bearable:
            return False
        cost = self.objective.factorising
        if cost is None or cost.work <= LIGHT * cost.entries:
            return True
        return self.is_quadratic or self.is_weighty

    @property
    def is_quadratic(self) -> bool:
        """Whether the trace shows second derivatives to be the same everywhere."""
        facts = self.facts
        return facts is not None and facts.degree <= 2

    @property
    def may_be_easier(self) -> bool:
        """Whether there is a sparse quadratic whose one factorisation takes longer than a walk by slopes may."""
        if not (self.is_light and self.is_quadratic):
            return False
        cost = self.objective.factorising
        return cost is not None and cost.work > SOON_MADE

    @property
    def is_weighty(self) -> bool:
        """Whether factorising sparse second derivatives takes longer than dozens of slopes, yet leads to a valley.

        All methods come to the one minimum of a convex cost, and to different ones of others.
        """
        cost = self.objective.factorising if self.is_sparse else None
        if cost is None or not LIGHT * cost.entries < cost.work <= MOMENT:
            return False
        facts = self.facts
        return facts is None or not (facts.degree <= 2 or facts.convexity.is_convex)

    @property
    def opens_briefly(self) -> bool:
        """Whether a few steps by weighty second derivatives tell if more of them lead to a minimum.

        Inside bounds each also finds out which of them hold, and slopes take as long for that.
        """
        return self.is_bearable and self.is_weighty and not self.objective.bounds.any

    @property
    def is_bearable(self) -> bool:
        """Whether there are sparse second derivatives, and factorising them takes no more than a moment."""
        cost = self.objective.factorising if self.is_sparse else None
        return self.is_sparse and (cost is None or cost.work <= BEARABLE)

    @property
    def is_heavy(self) -> bool:
        """Whether factorising the sparse second derivatives is bearable, yet only near the minimum worth its while."""
        return self.is_bearable and not self.is_light

    @property
    def has_sparse_normal_matrix(self) -> bool:
        """Whether JᵀJ of the residuals is sparse, so that it can be factorised: as sparse as the Hessian is.

        Where that is sparse J is as a rule too; whether it is takes work to tell, and is told when its turn comes.
        """
        objective = self.objective
        if self.is_bearable:
            return objective.least_squares
        return objective.has_slopes_instead and objective.has_sparse_jacobian

    @property
    def has_residuals_that_bend(self) -> bool:
        """Whether the cost is a sum of squares, more than a quadratic, of parameters too many to begin with those."""
        many = self.exact and self.n > DENSE_PARAMETERS
        return many and self.objective.least_squares and not self.is_quadratic

    @property
    def opens_by_residuals(self) -> bool:
        """Whether to begin with the slopes of residuals: they are cheap to find and to solve with, and no polynomials.

        Slopes alone are as soon through polynomials of low degree, as products of factors are.
        """
        if not (self.has_residuals_that_bend and self.n <= SOON_READ):
            return False
        facts = self.facts
        if facts is None or facts.degree < inf:
            return False
        return steps_by_residuals_are_cheap(self.objective, MOMENT)

    @property
    def is_one_matrix(self) -> bool:
        """Whether the cost is a quadratic whose second derivatives, hardly any of them zero, can be taken whole."""
        if not (self.exact and HESSIAN_PARAMETERS < self.n <= WHOLE_PARAMETERS) or self.is_sparse:
            return False
        facts = self.facts
        return facts is not None and facts.degree <= 2 and self.n * facts.width <= WHOLE_NUMBERS

    @property
    def is_partly_linear(self) -> bool:
        """Whether some residuals are linear and others are not: those alone have another lowest place."""
        facts = self.facts
        if facts is None:
            return True
        return facts.degree > 2 and (facts.squares is None or facts.squares.partly_linear)

    @property
    def has_linear_residual(self) -> bool:
        """Whether the cost is a sum of squares that the trace shows to be a quadratic: its residuals are linear."""
        facts = self.facts if self.objective.least_squares else None
        return facts is not None and facts.degree <= 2 and self.objective.has_residual

    @property
    def exact(self) -> bool:
        """Whether second derivatives are exact and not measured."""
        return self.objective.derivatives == "exact" and self.objective.has_hessian
