"""Which solver, and why: an ordered table of rules, each a rung of the ladder where it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf
from typing import Any

from ..bounds import Vector
from ..evaluations import MOST_KINKS
from ..objective import Objective
from .bfgs import BFGS
from .cobyqa import Cobyqa
from .contract import Solver
from .gradient_descent import GradientDescent
from .lbfgs import LBFGS
from .levenberg_marquardt import LevenbergMarquardt
from .linear_residuals import met_by_linear_residuals
from .methods import plan_for
from .newton import Newton
from .newton_cg import NewtonCG
from .plan import GivesWay, Plan, Rung
from .situation import DENSE_PARAMETERS, HESSIAN_PARAMETERS, Situation, steps_by_residuals_are_cheap
from .split_interior_point import SplitInteriorPoint

# Newton's method on a large sparse cost has arrived after some dozens of steps, or it is far out in country whose
# second derivatives tell nothing of the way; L-BFGS crosses that with cheap steps, and Newton's method takes up again.
OPENING_STEPS, CROSSING_STEPS = 100, 2_000

# The same where one factorisation weighs as much as dozens of slopes and is made for the sake of the valley it leads
# to. Of 28 such costs (double wells, spin glasses, ripples, plates and robust sums, on grids and random graphs of 600
# to 10,000 parameters) twelve had arrived before. The others took 23 to 95 % of the time that they took when a hundred
# steps were allowed; four ended lower, two higher. Fewer, and arrivals after 12 to 19 steps would be broken off. Inside
# bounds nothing was won: double wells there ended higher, in the same time.
WEIGHTY_OPENING_STEPS = 20

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

# Steps of L-BFGS on a dense quadratic before that matrix is made: an easy one has arrived by then, and on a hard one it
# takes some steps for each parameter. Fewer, and the matrix, which costs as much as one slope for each parameter at
# most, would outweigh all that came before.
QUADRATIC_STEPS = 200

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


@dataclass(frozen=True)
class Rule:
    """Take `solver` when `when` holds, `because`; `otherwise` says why it was passed over.

    Both sentences may use {n}, the number of parameters, {limit}, {hessian_limit}, and the {work} of a factorisation.
    `most_steps`: after which the next rung takes over, where there is one; None: when its own limit is reached.
    `even_last`: whether that holds where there is no next one. `more_while_cheap`, `if_faster`, `afresh`, `begins`,
    `fits`, `gives_way`: as in `Rung`.
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
    gives_way: GivesWay | None = None


# Steps of L-BFGS after which steps by the slopes of residuals take over, where they are cheap: easy sums of squares are
# through before.
SOON_STEPS = 300

# Steps by those: they arrive in some dozens, or crawl along a valley.
RESIDUAL_STEPS = 60

TO_RESIDUALS = GivesWay(SOON_STEPS, steps_by_residuals_are_cheap)

# Why sparse second derivatives were not used.
FACTORISED = (
    "it needs exact second derivatives of many parameters of which few meet in any one term, so that a factorisation "
    "takes a moment"
)

# Why the slopes of residuals were not used.
NO_SQUARES = "the cost was not recognised as a sum of squares of few parameters"

# Why products with the Hessian were not used.
NO_PRODUCTS = "it needs exact products with the Hessian; up to {hessian_limit} parameters it is taken whole"

# Why BFGS was not used.
TOO_WIDE = "its matrix of {n} × {n} numbers would cost more than it saves above {limit} parameters"

# Why L-BFGS was not used.
FORGETFUL = "it forgets curvature that BFGS can afford to remember up to {limit} parameters"


def _by_residuals_for_a_while(where: Callable[[Situation], bool], then: int) -> tuple[Rule, Rule]:
    """What L-BFGS gives way to: steps by residuals, and where those do not arrive either, L-BFGS for `then` steps."""

    def when(s: Situation) -> bool:
        return where(s) and s.has_residuals_that_bend and not s.opens_by_residuals

    return (
        Rule(
            lambda: LevenbergMarquardt(newton=False),
            when=when,
            because="the cost is a sum of squares, and where cheap steps do not arrive soon its residuals tell the way",
            otherwise=NO_SQUARES,
            most_steps=RESIDUAL_STEPS,
            fits=steps_by_residuals_are_cheap,
        ),
        Rule(
            LBFGS,
            when=when,
            because="where steps by residuals crawl along a valley, cheap ones come on sooner",
            otherwise=FORGETFUL,
            most_steps=then,
            fits=steps_by_residuals_are_cheap,
        ),
    )


# In the order in which they are tried; a walk that does not end in a minimum is taken up by the next that applies.
RULES = (
    Rule(
        SplitInteriorPoint,
        when=lambda s: not s.objective.least_squares and s.has_kinks_to_split and not s.may_be_smooth,
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
        SplitInteriorPoint,
        when=lambda s: s.objective.least_squares and s.has_kinks_to_split,
        because="where its squares end at kinks the cost is smooth once each is an equation of its own",
        otherwise="it has no kinks that could be made equations, or is no sum of squares",
        most_steps=None,
    ),
    Rule(
        LBFGS,
        when=lambda s: s.has_weighty_hessian and s.objective.bounds.any,
        because=(
            "all second derivatives of its {n} parameters take as long as many slopes, and inside bounds the last "
            "steps tell enough of them"
        ),
        otherwise=FORGETFUL,
        most_steps=KNOWING_STEPS,
    ),
    Rule(
        BFGS,
        when=lambda s: s.has_weighty_hessian and not s.objective.bounds.any,
        because=(
            "all second derivatives of its {n} parameters take as long as many slopes, and those come near the minimum "
            "sooner"
        ),
        otherwise=TOO_WIDE,
        most_steps=KNOWING_STEPS,
    ),
    Rule(
        Newton,
        when=lambda s: s.has_weighty_hessian,
        because="where slopes do not arrive soon, exact second derivatives see more of the way",
        otherwise="it needs exact second derivatives",
        most_steps=KNOWING_STEPS,
    ),
    Rule(
        Newton,
        when=lambda s: s.exact and s.n <= HESSIAN_PARAMETERS and not s.has_weighty_hessian,
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
        when=lambda s: not s.objective.least_squares and s.has_kinks_to_split and s.may_be_smooth,
        because="where a norm is zero the cost has a kink, and is smooth once that is an equation of its own",
        otherwise="the cost has no norms of so many more numbers than parameters that few can be zero",
        most_steps=None,
    ),
    Rule(
        lambda: LevenbergMarquardt(newton=False),
        when=lambda s: s.opens_by_residuals,
        because="the cost is a sum of squares, and the slopes of its residuals, cheap as they are, tell its curvature",
        otherwise=NO_SQUARES,
        most_steps=RESIDUAL_STEPS,
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
        gives_way=TO_RESIDUALS,
    ),
    *_by_residuals_for_a_while(lambda s: s.is_heavy, HEAVY_CROSSING_STEPS),
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
        otherwise=TOO_WIDE,
        most_steps=TOLD_STEPS,
        more_while_cheap=True,
    ),
    Rule(
        BFGS,
        when=lambda s: s.n <= DENSE_PARAMETERS and not s.objective.has_residual,
        because="the cost has {n} parameters, few enough to learn its whole curvature",
        otherwise=TOO_WIDE,
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
        gives_way=TO_RESIDUALS,
    ),
    *_by_residuals_for_a_while(lambda s: not s.is_bearable, LONG_CROSSING_STEPS),
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
    gives_way = _gives_way(holding, 0)
    if not options:
        return Plan(
            holding[0].solver(),
            because,
            passed_over,
            next_rungs=next_rungs,
            first_steps=first_steps,
            gives_way=gives_way,
        )
    return replace(
        plan_for(holding[0].solver(), options),
        because=because,
        passed_over=passed_over,
        next_rungs=next_rungs,
        first_steps=first_steps,
        gives_way=gives_way,
    )


def _gives_way(holding: tuple[Rule, ...], at: int) -> GivesWay | None:
    """What the walk by the rule there gives way to, if that is what comes next."""
    way = holding[at].gives_way
    follows = way is not None and at + 1 < len(holding) and holding[at + 1].fits is way.fits
    return way if follows else None


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
            _gives_way(holding, at),
        )
        for at, rule in enumerate(holding[1:], 1)
    )
    held = {rule.solver().name for rule in holding}
    otherwise = {rule.solver().name: rule.otherwise.format(**words) for rule in reversed(RULES)}
    passed_over = tuple((name, otherwise[name]) for name in reversed(otherwise) if name not in held)
    return because(holding[0]), passed_over, next_rungs
