"""Which solver, and why: an ordered table of rules, and the names people already type."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np

from ..bounds import Vector
from ..errors import InputError
from ..linear_algebra.elimination import BEARABLE
from ..objective import Objective
from ..problem import MOST_KINKS
from .adam import Adam
from .bfgs import BFGS
from .cobyqa import Cobyqa
from .constrained_driver import InteriorPointSolver
from .contract import Solver
from .gradient_descent import GradientDescent
from .lbfgs import LBFGS
from .levenberg_marquardt import LevenbergMarquardt
from .linear_residuals import met_by_linear_residuals
from .newton import Newton
from .newton_cg import NewtonCG
from .optax_rules import OptaxRule, is_optax_rule
from .split_interior_point import SplitInteriorPoint
from .stopping import Tolerance

# Up to here the n × n matrix of BFGS stays in the cache and its update costs less than most gradients;
# beyond, updating it takes longer than the better directions save.
DENSE_PARAMETERS = 300


# With as many parameters second derivatives are asked for at every step; beyond, one Hessian costs about as much as
# the gradients of a whole walk that learns curvature on the way.
HESSIAN_PARAMETERS = 120

# Newton's method on a large sparse cost has arrived after some dozens of steps, or it is far out in country whose
# second derivatives tell nothing of the way; L-BFGS crosses that with cheap steps, and Newton's method takes up again.
OPENING_STEPS, CROSSING_STEPS = 100, 2_000

# The same where one factorisation weighs as much as dozens of slopes and is made for the sake of the valley it leads
# to. Of 28 such costs (double wells, spin glasses, ripples, plates and robust sums, on grids and random graphs of 600
# to 10,000 parameters) twelve had arrived before. The others took 23 to 95 % of the time that they took when a hundred
# steps were allowed; four ended lower, two higher. Fewer, and arrivals after 12 to 19 steps would be broken off. Inside
# bounds nothing was won: double wells there ended higher, in the same time.
WEIGHTY_OPENING_STEPS = 20

# Multiplications to factorise a sparse Hessian, for each of its entries, up to which Newton's method begins. A slope
# takes a few for each entry, but L-BFGS takes a thousand of them where Newton's method factorises fifty times. Minimal
# surfaces of 1,000, 10,000 and 100,000 parameters, with 70, 220 and 700, took Newton's method 0.3, 1.4 and 40 s, and
# L-BFGS 0.3, 0.6 and 8 s.
LIGHT = 150.0

# Multiplications that take QDLDL a fiftieth of a second.
MOMENT = 5e7

# Steps of L-BFGS before a factorisation that is heavy, yet bearable, is made: by then it has arrived, or never will.
HEAVY_CROSSING_STEPS = 5_000

# Steps of L-BFGS where second derivatives are neither few nor sparse. It comes nearer by about the same part with each;
# after so many, steps that solve for the minimum by products with the Hessian are quicker. Fewer, and it hands over far
# from the minimum, where those see no further.
LONG_CROSSING_STEPS = 2_500

# Steps by products with the Hessian that the radius may cut short before it is known that they do not arrive: near a
# minimum one or two are. Farther out, in bent valleys, L-BFGS comes on up to five times as far for the same work, and
# goes on for so many steps until products come in again for good. Fewer cut steps, and arrivals are broken off; more,
# and the walk is spent on steps that are cut. Slopes and products together, before and now: eigenproblems with 930,
# 1,640 and 1,980 unknowns 13,000, 22,000 and 32,000, and 13,000, 14,000 and 22,000; CUTEst's EIGENBLS 55,000 and
# 48,000; nonnegative factorisations 18,000 and 25,000, and 8,000 and 22,000. Networks are mixed: one of 420 weights
# took 10,000 and 15,000, to a lower minimum; one of 840 ended at a higher one, 0.001983 for 0.001946. A second time
# L-BFGS takes over only where that paid, `Rung.if_faster`: eigenproblems with 1,640, 1,980 and 2,550 unknowns 29,000,
# 29,000 and 42,000, and then 21,000, 22,000 and 28,000. On networks it had won as much for a slope as products did.
MOST_HELD, WIDE_CROSSING_STEPS = 4, 5_000

# With more parameters than this, or where all products at once take more numbers than this (256 MB), the second
# derivatives of a quadratic are not taken as one dense matrix: a factor of it takes seconds.
WHOLE_PARAMETERS, WHOLE_NUMBERS = 2_000, 1 << 25

# Steps of L-BFGS on a dense quadratic before that matrix is made: an easy one has arrived by then, and on a hard one it
# takes some steps for each parameter. Fewer, and the matrix, which costs as much as one slope for each parameter at
# most, would outweigh all that came before.
QUADRATIC_STEPS = 200

# Multiplications of one factorisation beyond which those steps come before it on a sparse quadratic, too: it takes
# QDLDL up to two seconds, and they a tenth of one. Where each of 3,000 parameters met a dozen others, drawn at random,
# 30 of them were all it took.
SOON_MADE = 5e8

# A quadratic model through values alone needs some n² of them; with more parameters than this too many.
FEW_PARAMETERS = 30

# Steps after which a rung is left for the next one, where there is one: a walk that needs more follows a curved
# valley that another method may see the end of. Fewer, and slow but steady walks are broken off. BFGS goes on to its
# own limit where it began with nothing known.
RUNG_STEPS = 1_000

# The same for BFGS that residuals told the first curvature. By then it has come as far as it otherwise does in twice to
# four times the steps, or it crawls: CUTEst's DMN15103LS came lower by 2e-4 of the cost in 3,000 more. Of eleven fits
# five came lower by 0.4 to 4 % in thousands, which they may take where slopes cost next to nothing.
TOLD_STEPS = 500

# The same for steps that know the whole curvature of few parameters: they are through in some dozens or follow a valley
# that winds or swings from side to side, which steps that learn, or the other kind of curvature, leave sooner. Of 580
# problems from the literature 18 took more than 200 steps, and most that ran on took 0.3 to 0.9 times the evaluations
# once they were handed over after 300. Fewer, and collapsing exponentials and chains of a hundred parameters are broken
# off.
KNOWING_STEPS = 300

# Steps of L-BFGS where BFGS came no farther: it shrinks the slope in a dozen, or crawls along a valley for thousands.
LAST_STEPS = 100

# Norms of so many times more numbers than there are parameters cannot but a few be zero at once: distances from given
# points, whose sum is smooth wherever it is not at one of them.
OUTNUMBERED = 4

# Go as far as double precision does.
NOTHING_ASKED = Tolerance()


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
        """Whether the cost has kinks that can be made equations, and is not known to be a sum of squares."""
        return self.exact and not self.objective.least_squares and self.objective.split is not None

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


@dataclass(frozen=True)
class Rule:
    """Take `solver` when `when` holds, `because`; `otherwise` says why it was passed over.

    Both sentences may use {n}, the number of parameters, {limit}, {hessian_limit}, and the {work} of a factorisation.
    `most_steps`: after which the next rung takes over, where there is one; None: when its own limit is reached.
    `even_last`: whether that holds where there is no next one. `more_while_cheap`, `if_faster`, `afresh`, `begins`,
    `fits`: as in `Rung`.
    """

    solver: Callable[[], Solver]
    when: Callable[[Situation], bool]
    because: str
    otherwise: str
    most_steps: int | None = RUNG_STEPS
    even_last: bool = False
    more_while_cheap: bool = False
    if_faster: bool = False
    afresh: bool = False
    begins: Callable[[Objective, Vector], Vector | None] | None = None
    fits: Callable[[Objective], bool] | None = None


@dataclass(frozen=True)
class Rung:
    """One step of the ladder: a solver, why it stands here, and the steps it may take (None: its own limit).

    `afresh`: begins at the start again, where the walk before was broken off or led towards infinity. `begins`: from
    the best point so far to where this one begins instead; None there passes it over. `fits`: a last question, too
    dear to be asked before its turn comes. `more_while_cheap`: it may take more steps, up to its own limit, while its
    slopes are foreseen to cost next to nothing. `if_faster`: only where the walk before the last, which went its way,
    won far more for its work than the last.
    """

    solver: Solver
    because: str
    max_steps: int | None = None
    afresh: bool = False
    begins: Callable[[Objective, Vector], Vector | None] | None = None
    fits: Callable[[Objective], bool] | None = None
    more_while_cheap: bool = False
    if_faster: bool = False

    @property
    def label(self) -> str:
        """The solver's name, and where it begins if that is not where the one before it ended."""
        return self.solver.name + (
            "" if self.begins is None else " (begun where the linear residuals are met)"
        )


@dataclass(frozen=True)
class Plan:
    """What will walk and why; `passed_over` holds (name, why) of each solver that was not chosen.

    `next_rungs`: what takes over, from the best point, if the walk before it does not end in a minimum; `taken`: the
    names of those that did, filled in afterwards, and `looped`: how many of all steps a compiled loop took.
    `first_steps`: after how many steps the first hands over. `asked`, `max_steps` and `max_evaluations` carry what
    options asked for; None leaves the defaults.
    """

    solver: Solver
    because: str
    passed_over: tuple[tuple[str, str], ...] = ()
    asked: Tolerance = NOTHING_ASKED
    max_steps: int | None = None
    max_evaluations: int | None = None
    next_rungs: tuple[Rung, ...] = ()
    first_steps: int | None = None
    taken: tuple[str, ...] = ()
    looped: int = 0

    @property
    def name(self) -> str:
        """Name of the solver."""
        return self.solver.name

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The whole ladder, from the solver that begins."""
        first = Rung(self.solver, self.because, self.first_steps)
        return (first, *self.next_rungs)

    def walked(self, taken: tuple[str, ...], looped: int) -> Plan:
        """The same once it was walked; `dataclasses.replace` takes ten times as long."""
        found = object.__new__(Plan)
        vars(found).update(vars(self), taken=taken, looped=looped)
        return found

    def tolerance(self, tol: float | None = None) -> Tolerance:
        """What is precise enough: the options' wishes, with `tol` from the call where it was given."""
        return self.asked if tol is None else replace(self.asked, remaining=float(tol))

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain JSON values."""
        return {
            "solver": self.name,
            "because": self.because,
            "passed_over": [{"solver": name, "why": why} for name, why in self.passed_over],
            "next": [{"solver": rung.solver.name, "because": rung.because} for rung in self.next_rungs],
            "taken": list(self.taken),
            "looped": self.looped,
        }

    def __str__(self) -> str:
        lines = [f"{self.name}, because {self.because}"]
        if len(self.taken) > 1:
            lines.append(f"  then, from the best point: {', '.join(self.taken[1:])}")
        elif self.taken and self.taken[0] != self.name:
            lines.append(f"  at once: {self.taken[0]}")
        elif self.next_rungs:
            waiting = ", ".join(rung.solver.name for rung in self.next_rungs)
            lines.append(f"  next, had it not ended in a minimum: {waiting}")
        if self.looped:
            lines.append(f"  {self.looped:,} steps were taken many at a time, in one compiled loop")
        lines += [f"  not {name}: {why}" for name, why in self.passed_over]
        return "\n".join(lines)


# Why sparse second derivatives were not used.
FACTORISED = (
    "it needs exact second derivatives of many parameters of which few meet in any one term, so that a factorisation "
    "takes a moment"
)

# Why the slopes of residuals were not used.
NO_SQUARES = "the cost was not recognised as a sum of squares of few parameters"

# Why products with the Hessian were not used.
NO_PRODUCTS = "it needs exact products with the Hessian; up to {hessian_limit} parameters it is taken whole"

# Why L-BFGS was not used.
FORGETFUL = "it forgets curvature that BFGS can afford to remember up to {limit} parameters"

# In the order in which they are tried; a walk that does not end in a minimum is taken up by the next that applies.
RULES = (
    Rule(
        SplitInteriorPoint,
        when=lambda s: s.has_kinks_to_split and not s.may_be_smooth,
        because="the cost has kinks, and is smooth once each is an equation of its own",
        otherwise="the cost has no kinks that could be made equations, or more than {kinks}",
        most_steps=None,
    ),
    Rule(
        lambda: LevenbergMarquardt(first_radius=inf),
        when=lambda s: s.n <= DENSE_PARAMETERS and s.has_linear_residual,
        because="the cost is a sum of squares of linear residuals, so that one whole step leads to its bottom",
        otherwise=NO_SQUARES,
        most_steps=KNOWING_STEPS,
    ),
    Rule(
        lambda: LevenbergMarquardt(hands_over=True),
        when=lambda s: s.n <= DENSE_PARAMETERS and s.objective.has_residual and not s.has_linear_residual,
        because="the cost is a sum of squares, so the slopes of its residuals tell its curvature",
        otherwise=NO_SQUARES,
        most_steps=KNOWING_STEPS,
    ),
    Rule(
        Newton,
        when=lambda s: s.exact and s.n <= HESSIAN_PARAMETERS,
        because="the cost has {n} parameters, few enough for exact second derivatives at every step",
        otherwise=(
            "it needs exact second derivatives at every step, which cost more than they save above {hessian_limit} "
            "parameters"
        ),
        most_steps=KNOWING_STEPS,
        afresh=True,
    ),
    Rule(
        SplitInteriorPoint,
        when=lambda s: s.has_kinks_to_split and s.may_be_smooth,
        because="where a norm is zero the cost has a kink, and is smooth once that is an equation of its own",
        otherwise="the cost has no norms of so many more numbers than parameters that few can be zero",
        most_steps=None,
    ),
    Rule(
        LBFGS,
        when=lambda s: s.may_be_easier,
        because="an easy quadratic in {n} parameters is solved by slopes before its matrix would be factorised",
        otherwise="second derivatives are as cheap",
        most_steps=QUADRATIC_STEPS,
    ),
    Rule(
        lambda: Newton(sparse=True),
        when=lambda s: s.is_light and not s.opens_briefly,
        because="most second derivatives of the cost in its {n} parameters are zero, and the rest are exact and cheap",
        otherwise=FACTORISED,
        most_steps=OPENING_STEPS,
    ),
    Rule(
        lambda: Newton(sparse=True),
        when=lambda s: s.opens_briefly,
        because=(
            "most second derivatives of the cost in its {n} parameters are zero, and a few steps by the rest, which "
            "are exact, tell which of several valleys is near"
        ),
        otherwise=FACTORISED,
        most_steps=WEIGHTY_OPENING_STEPS,
    ),
    Rule(
        lambda: Newton(sparse=True),
        when=lambda s: s.is_light and s.has_sparse_normal_matrix and s.is_partly_linear,
        because="where its linear residuals alone would have the parameters is another place to begin from",
        otherwise="it needs residuals that depend on few of many parameters each",
        most_steps=OPENING_STEPS,
        begins=met_by_linear_residuals,
    ),
    Rule(
        LBFGS,
        when=lambda s: s.is_light,
        because="cheap steps cross wide country that is curved differently everywhere",
        otherwise="second derivatives are as cheap",
        most_steps=CROSSING_STEPS,
    ),
    Rule(
        LBFGS,
        when=lambda s: s.is_heavy,
        because=(
            "factorising the second derivatives of its {n} parameters once, {work:.0e} multiplications, takes as long "
            "as a hundred slopes or more, and cheap steps come near the minimum sooner"
        ),
        otherwise="second derivatives are as cheap",
        most_steps=HEAVY_CROSSING_STEPS,
    ),
    Rule(
        lambda: Newton(sparse=True),
        when=lambda s: s.is_bearable,
        because="near the minimum second derivatives tell the way",
        otherwise=FACTORISED,
    ),
    Rule(
        LevenbergMarquardt,
        when=lambda s: s.n > DENSE_PARAMETERS and s.has_sparse_normal_matrix,
        because="the cost is a sum of squares whose residuals depend on few parameters each",
        otherwise="up to {limit} parameters its Jacobian is taken whole",
        fits=lambda objective: objective.has_sparse_jacobian,
    ),
    Rule(
        LBFGS,
        when=lambda s: s.n > DENSE_PARAMETERS and s.is_one_matrix,
        because="an easy quadratic in {n} parameters is solved by slopes before its matrix would be made",
        otherwise="second derivatives are as cheap",
        most_steps=QUADRATIC_STEPS,
    ),
    Rule(
        lambda: Newton(sparse=False),
        when=lambda s: s.is_one_matrix,
        because="second derivatives in its {n} parameters are the same everywhere, and one matrix leads to the minimum",
        otherwise="it needs second derivatives that are the same everywhere",
        most_steps=OPENING_STEPS,
    ),
    Rule(
        lambda: BFGS(from_residuals=True),
        when=lambda s: s.n <= DENSE_PARAMETERS and s.objective.has_residual,
        because="what steps tell of the curvature is added to what the slopes of the residuals tell",
        otherwise=NO_SQUARES,
        most_steps=TOLD_STEPS,
        more_while_cheap=True,
    ),
    Rule(
        BFGS,
        when=lambda s: s.n <= DENSE_PARAMETERS and not s.objective.has_residual,
        because="the cost has {n} parameters, few enough to learn its whole curvature",
        otherwise="its matrix of {n} × {n} numbers would cost more than it saves above {limit} parameters",
        most_steps=None,
    ),
    Rule(
        LBFGS,
        when=lambda s: s.n <= DENSE_PARAMETERS and s.objective.has_residual,
        because="steps without what was learned of the curvature may shrink a slope that is lost in rounding",
        otherwise=FORGETFUL,
        most_steps=LAST_STEPS,
        even_last=True,
    ),
    Rule(
        LBFGS,
        when=lambda s: not (s.n <= DENSE_PARAMETERS and s.objective.has_residual),
        because="the cost has {n} parameters, and the last steps stand in for a matrix of their curvatures",
        otherwise=FORGETFUL,
        most_steps=LONG_CROSSING_STEPS,
    ),
    Rule(
        lambda: NewtonCG(most_held=MOST_HELD),
        when=lambda s: s.exact and s.n > DENSE_PARAMETERS,
        because="products with the Hessian see curvature that the last steps have forgotten",
        otherwise=NO_PRODUCTS,
        most_steps=None,
    ),
    Rule(
        LBFGS,
        when=lambda s: s.exact and s.n > DENSE_PARAMETERS,
        because="where steps by products with the Hessian are cut short, cheap ones come on sooner",
        otherwise=FORGETFUL,
        most_steps=WIDE_CROSSING_STEPS,
    ),
    Rule(
        lambda: NewtonCG(most_held=MOST_HELD),
        when=lambda s: s.exact and s.n > DENSE_PARAMETERS,
        because="products with the Hessian see curvature that the last steps have forgotten",
        otherwise=NO_PRODUCTS,
        most_steps=None,
    ),
    Rule(
        LBFGS,
        when=lambda s: s.exact and s.n > DENSE_PARAMETERS,
        because="cheap steps came on far sooner before, and steps by products with the Hessian are cut short again",
        otherwise=FORGETFUL,
        most_steps=WIDE_CROSSING_STEPS,
        if_faster=True,
    ),
    Rule(
        NewtonCG,
        when=lambda s: s.exact and s.n > HESSIAN_PARAMETERS,
        because="products with the Hessian see curvature that the last steps have forgotten",
        otherwise=NO_PRODUCTS,
    ),
    Rule(
        LBFGS,
        when=lambda s: s.exact and s.n > DENSE_PARAMETERS,
        because="where products with the Hessian tell no more, as at kinks, cheap steps go on",
        otherwise=FORGETFUL,
        most_steps=None,
    ),
    Rule(
        Cobyqa,
        when=lambda s: s.n <= FEW_PARAMETERS and s.objective.derivatives == "numeric",
        because="the slopes are measured, and models through values alone stand more noise",
        otherwise="the slopes are exact, or the parameters more than {few}",
        most_steps=None,
    ),
    Rule(
        GradientDescent,
        when=lambda s: False,
        because="it was asked for",
        otherwise="it learns nothing of the curvature, so it needs many more steps",
    ),
)


def choose(
    objective: Objective,
    options: Mapping[str, Any] | None = None,
    facts: Callable[[], Any] | None = None,
) -> Plan:
    """The first rule of the table that holds, the rungs below it, and what was passed over.

    Options as for `plan_for`. `facts` gives those read off the trace (`structure.facts`), when a rule asks.

    >>> parabola = Objective(1, value_and_gradient=lambda x: (float(x @ x), 2 * x))
    >>> choose(parabola).name
    'BFGS'
    """
    situation = Situation(objective, facts)
    holding = tuple([rule for rule in RULES if rule.when(situation)])
    factorising = objective.factorising if situation.is_heavy else None
    work = 0.0 if factorising is None else factorising.work
    because, passed_over, next_rungs = _in_words(holding, objective.n, work)
    first_steps = holding[0].most_steps if next_rungs else None
    if not options:
        return Plan(holding[0].solver(), because, passed_over, next_rungs=next_rungs, first_steps=first_steps)
    return replace(
        plan_for(holding[0].solver(), options),
        because=because,
        passed_over=passed_over,
        next_rungs=next_rungs,
        first_steps=first_steps,
    )


@lru_cache(maxsize=64)
def _in_words(
    holding: tuple[Rule, ...], n: int, work: float
) -> tuple[str, tuple[tuple[str, str], ...], tuple[Rung, ...]]:
    """Why the first rule that holds is taken, the solvers passed over and why, and the rungs below the first."""
    words: dict[str, Any] = {"n": f"{n:,}", "limit": DENSE_PARAMETERS, "hessian_limit": HESSIAN_PARAMETERS}
    words["work"] = work
    words |= {"few": f"{FEW_PARAMETERS}", "kinks": f"{MOST_KINKS:,}"}

    def because(rule: Rule) -> str:
        return rule.because.format(**words).replace(" 1 parameters", " 1 parameter")

    next_rungs = tuple(
        Rung(
            rule.solver(),
            because(rule),
            rule.most_steps if rule.even_last or rule is not holding[-1] else None,
            rule.afresh,
            rule.begins,
            rule.fits,
            rule.more_while_cheap,
            rule.if_faster,
        )
        for rule in holding[1:]
    )
    held = {rule.solver().name for rule in holding}
    otherwise = {rule.solver().name: rule.otherwise.format(**words) for rule in reversed(RULES)}
    passed_over = tuple((name, otherwise[name]) for name in reversed(otherwise) if name not in held)
    return because(holding[0]), passed_over, next_rungs


# Every way people write a method, in lower case with punctuation left out, and what builds it.
METHODS: dict[str, Callable[..., Solver]] = {
    "bfgs": BFGS,
    "lbfgs": LBFGS,
    "lbfgsb": LBFGS,
    "levenbergmarquardt": LevenbergMarquardt,
    "lm": LevenbergMarquardt,
    "gradientdescent": GradientDescent,
    "steepestdescent": GradientDescent,
    "gd": GradientDescent,
    "sgd": GradientDescent,
    "momentum": lambda rate=None, momentum=0.9: GradientDescent(rate, momentum),
    "heavyball": lambda rate=None, momentum=0.9: GradientDescent(rate, momentum),
    "nesterov": lambda rate=None, momentum=0.9: GradientDescent(rate, momentum, nesterov=True),
    "nag": lambda rate=None, momentum=0.9: GradientDescent(rate, momentum, nesterov=True),
    "adam": Adam,
    "newton": Newton,
    "trustexact": Newton,
    "dogleg": Newton,
    "newtoncg": NewtonCG,
    "trustncg": NewtonCG,
    "trustkrylov": NewtonCG,
    "tnc": NewtonCG,
    "interiorpoint": InteriorPointSolver,
    "splitinteriorpoint": SplitInteriorPoint,
    "cobyqa": Cobyqa,
}
SPELLINGS = (
    "BFGS",
    "L-BFGS",
    "Newton",
    "Newton-CG",
    "Levenberg-Marquardt",
    "gradient descent",
    "momentum",
    "nesterov",
    "adam",
    "COBYQA",
    "interior point",
    "split interior point",
)

# SciPy's methods that are not here under that name, and what does their work.
INSTEAD = {
    "neldermead": "'BFGS' uses the exact slope of the cost and needs far fewer evaluations",
    "powell": "'BFGS' uses the exact slope of the cost and needs far fewer evaluations",
    "cobyla": "'BFGS' takes bounds=; 'interior point' takes constraints=",
    "slsqp": "'BFGS' takes bounds=; 'interior point' takes constraints=",
    "trustconstr": "'BFGS' takes bounds=; 'interior point' takes constraints=",
    "cg": "'L-BFGS' needs as little memory and fewer evaluations",
}

# Options of each solver under the names people know, and the argument each one sets.
ARGUMENTS: dict[type, dict[str, str]] = {
    BFGS: {"still_falling": "still_falling", "c2": "still_falling"},
    Newton: {"sparse": "sparse"},
    Cobyqa: {"radius": "radius", "initial_tr_radius": "radius"},
    LBFGS: {"memory": "memory", "maxcor": "memory", "still_falling": "still_falling"},
    LevenbergMarquardt: {"first_radius": "first_radius", "newton": "newton"},
    GradientDescent: {"rate": "rate", "learning_rate": "rate", "momentum": "momentum"},
    Adam: {
        "rate": "rate",
        "learning_rate": "rate",
        "mean_decay": "mean_decay",
        "b1": "mean_decay",
        "square_decay": "square_decay",
        "b2": "square_decay",
        "tiny": "tiny",
        "eps": "tiny",
    },
}

# SciPy's options of the walk itself.
TOLERANCES = {"tol": "remaining", "gtol": "gradient", "ftol": "value", "xtol": "step", "xrtol": "step"}
LIMITS = {"maxiter": "max_steps", "maxfun": "max_evaluations", "maxfev": "max_evaluations"}
SPEECHLESS = ("disp", "iprint", "return_all")


def unconstrained_plan(plan: Plan) -> Plan:
    """The plan itself; raises `InputError` where its method needs constraints to walk between."""
    if isinstance(plan.solver, InteriorPointSolver):
        raise InputError(
            "method 'interior point' walks between constraints; give constraints=, or leave method out: bounds are "
            "kept by every method"
        )
    return plan


def plan_for(method: str | Solver, options: Mapping[str, Any] | None = None) -> Plan:
    """The plan for a method named by the user, in SciPy's spelling or ours, or for a solver made by hand.

    `options` may hold the solver's own and SciPy's `maxiter`, `maxfun` / `maxfev`, `gtol`, `ftol`, `xtol`.
    Raises `InputError` for a method or option that does not exist, naming the nearest that does.

    >>> plan_for("L-BFGS-B", {"maxcor": 5, "maxiter": 100}).solver
    LBFGS(memory=5, still_falling=0.9)
    """
    wishes = dict(options or {})
    tolerance = {
        ours: float(wishes.pop(name)) for name, ours in TOLERANCES.items() if wishes.get(name) is not None
    }
    limits: dict[str, Any] = {
        ours: _count(name, wishes.pop(name)) for name, ours in LIMITS.items() if wishes.get(name) is not None
    }
    wishes = {name: value for name, value in wishes.items() if value is not None}
    for name in SPEECHLESS:
        if wishes.pop(name, False) and name != "return_all":
            warnings.warn(
                f"option {name!r} has no effect: nothing is printed on the way. Look at result.history, or pass "
                "a callback",
                stacklevel=3,
            )
    if isinstance(method, str):
        solver = _built(method, wishes)
        because = f"method={method!r} asked for it"
    elif type(method) in ARGUMENTS or isinstance(method, Solver):  # a look into the table is quicker
        solver = _adjusted(method, wishes)
        because = "it was passed in"
    elif is_optax_rule(method):
        solver = _adjusted(OptaxRule(method), wishes)
        because = "it was passed in"
    else:
        raise InputError(
            f"method must be a name or a solver from steepest.solvers, not {type(method).__name__}"
        )
    if isinstance(solver, GradientDescent) and solver.rate is None:
        because += "; its rate is measured: half of 1 / the largest curvature felt at the start"
    return Plan(solver, because, (), Tolerance(**tolerance), **limits)


def _built(method: str, wishes: dict[str, Any]) -> Solver:
    key = "".join(letter for letter in method.lower() if letter.isalnum())
    build = METHODS.get(key)
    if build is None:
        raise InputError(_unknown_method(method, key))
    return _adjusted(build(), wishes)


def _adjusted(solver: Solver, wishes: dict[str, Any]) -> Solver:
    """The same solver with the user's options set."""
    known = ARGUMENTS.get(type(solver), {})
    settings: dict[str, Any] = {}
    for name, value in wishes.items():
        if name not in known:
            raise InputError(_unknown_option(name, known, solver.name))
        settings[known[name]] = value
    if not settings:
        return solver
    current = {part.name: getattr(solver, part.name) for part in fields(solver)}  # type: ignore[arg-type]
    return type(solver)(**{**current, **settings})


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or int(value) != value or value < 0:
        raise InputError(f"option {name!r} counts: write a whole number from 0 upwards, not {value!r}")
    return int(value)


def _unknown_method(method: str, key: str) -> str:
    listed = ", ".join(repr(name) for name in SPELLINGS)
    if key in INSTEAD:
        return f"method {method!r} is not here; {INSTEAD[key]}. Leave method out, or write one of {listed}"
    near = difflib.get_close_matches(key, METHODS, n=1, cutoff=0.5)
    meant = ""
    if near:
        spelling = next((name for name in SPELLINGS if METHODS[near[0]] is METHODS.get(_key(name))), near[0])
        meant = f" Did you mean {spelling!r}?"
    return f"there is no method {method!r}.{meant} Leave method out, or write one of {listed}"


def _key(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _unknown_option(name: str, known: Mapping[str, str], solver: str) -> str:
    everywhere = [*TOLERANCES, *LIMITS]
    near = difflib.get_close_matches(name, [*known, *everywhere], n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    having = [method for method in SPELLINGS if name in ARGUMENTS.get(type(METHODS[_key(method)]()), {})]
    if having:
        meant = f" It is an option of method {' or '.join(map(repr, having))}."
    return (
        f"{solver} has no option {name!r}.{meant} Its own: {', '.join(known) or 'none'}; "
        f"of every method: {', '.join(everywhere)}"
    )
