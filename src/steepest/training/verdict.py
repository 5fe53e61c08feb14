"""How far training came: measured on fresh batches after the last step, apart from the loop's own records.

A walk on minibatches ends where its budget ends. What can be said is whether the cost was still falling, whether the
slope can still be told from the noise of its batches, whether the model has begun to learn its examples by heart, and
which parts of it learn nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import islice
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ..verdict.words import Evidence
from . import loop
from .alike import alike, equal_slopes
from .divergence import bad_rows
from .endless import TIMES, endless
from .far_columns import ADVICE, FAR, VERY_FAR, far
from .ignored import Exchanged, reason
from .too_short import farther
from .unread import names

if TYPE_CHECKING:
    from .job import Job
    from .loop import Run, Walker

# Fresh batches the slope is measured on: its noise is then known to about a fifth.
BATCHES = 16
# A fall this many standard errors large is told from chance in one run of a hundred at most.
SURE = 2.5
# A squared slope at most this many times what noise alone would show is no slope that can be told.
TOLD_FROM_NOISE = 2.0
# A validation cost above its lowest by this part of it, or of its whole fall, is a rise; less is what one validation
# set differs from another by.
RISE = 0.02
# Blocks the last part of the run is averaged over before a line is put through them.
BLOCKS = 20
# A last third that cannot have fallen by more than this part of the whole fall has come to stand. With more, a slow
# walk near its start, whose fall drowns in the noise of its batches, would be told to have reached the bottom.
STANDS = 0.1
# Steps that a rule needs to find its own step size: on the benchmark's tasks 50 take the cost far lower than 20 do.
SEARCHING = 30
# The same part of the cost itself, for a run whose whole fall cannot be told from noise.
UNMOVED = 0.02
# Costs that scatter about a line by no more than this part of their fall go straight down. Where they are those of
# other rows at each step, or slow down, nobody knows what will be left of them, and zero is not promised.
STRAIGHT = 0.01
# Costs at the start whose mean and median tell how high it began, where the fall was over before a block was full.
FIRST = 5
# A cost that fell this many times its size below zero falls without a limit: no rate brings it to an end.
LIMITLESS = 1e6
# One in so many of the costs tells that size. One that falls without a limit falls ever faster: had it all of them, it
# would tell none of those that do.
BEGINNING = 10
# A cost that came to this part of the first is asked whether it is rounding: whether so many units in the last place of
# the parameters double it.
NOTHING, UNITS = 1e-8, 4
UNMEASURED = "Whether a slope is left was not measured: data that are read once leave no fresh batch."


class TrainVerdict(StrEnum):
    """What a training run came to. The values are a promise: compare against them."""

    STILL_FALLING = "still falling"
    NOISE_FLOOR = "noise floor"
    STANDING_STILL = "standing still"
    OVERFITTING = "overfitting"
    DIVERGED = "diverged"
    NOT_FINITE = "not finite"
    STOPPED = "stopped"
    GLOBAL_MINIMUM = "global minimum"
    LOCAL_MINIMUM = "local minimum"

    @property
    def is_success(self) -> bool:
        """Whether the parameters are worth having: the run neither blew up nor learned its examples by heart."""
        return self not in (TrainVerdict.DIVERGED, TrainVerdict.NOT_FINITE, TrainVerdict.OVERFITTING)


# Words for runs that may have gone too short a way.
UNFINISHED = (TrainVerdict.STILL_FALLING, TrainVerdict.NOISE_FLOOR, TrainVerdict.STANDING_STILL)


@dataclass(frozen=True)
class Finding:
    """The word, its evidence, a sentence, what to do next, and the cost on fresh batches."""

    verdict: TrainVerdict
    evidence: tuple[Evidence, ...]
    sentence: str
    next_step: str
    cost: float
    rows: int


@dataclass(frozen=True)
class Slopes:
    """Slopes of fresh batches: squared length of their mean, what noise alone would make of it, and dead parts.

    `bad`: what in them is no finite number, where their cost is none. `batches`: how many there were; one alone tells
    nothing of noise.
    """

    cost: float
    rows: int
    squared: float
    noise: float
    dead: tuple[str, ...]
    exchanged: Exchanged
    bad: str = ""
    batches: int = BATCHES


def judge(walker: Walker, run: Run) -> Finding:
    """Measure the end point afresh and find the word."""
    slopes = _slopes(walker, run)
    evidence = [] if slopes is None else _slope_evidence(slopes)
    trend = trend_of(run.history.costs)
    if trend is not None:
        evidence.append(trend.evidence)
    rise = _rise(walker, run)
    if rise is not None:
        evidence.append(rise)
    if slopes is not None and slopes.dead:
        evidence.append(
            Evidence(
                "parts that learn",
                None,
                None,
                False,
                f"no slope on {BATCHES} fresh batches: {'; '.join(slopes.dead)}",
            )
        )
    cost = slopes.cost if slopes is not None else _last_cost(run.history.costs)
    rows = slopes.rows if slopes is not None else 0
    word, sentence, following = _word(walker, run, slopes, trend, rise)
    finds_its_step = walker.job.method.begun_at is not None
    if word == TrainVerdict.STILL_FALLING and finds_its_step and run.steps < SEARCHING:
        sentence += f" Most of its steps went into finding their own size, which takes some {SEARCHING}."
    if slopes is not None and slopes.dead:
        sentence += f" Dead: {'; '.join(slopes.dead)}."
        following = (
            following or "look at the dead parts: a unit that is never active gets no slope; start it smaller"
        )
    unused = None if slopes is None else slopes.exchanged.evidence()
    if slopes is not None and unused is not None and word.is_success:
        evidence.append(unused)
        arrays = [walker.placement.whole(array) for array in walker.tree.leaves(run.state.parameters)]
        why, following = reason(walker.job, arrays, slopes.exchanged, slopes.dead)
        sentence += (
            " Nothing was learned that tells one row from another: the cost is the same with the rows of each array "
            f"exchanged{'' if not why else f'; {why}'}."
        )
    elif column := _far(walker, run, word, slopes):
        sentence += f" Not scaled: {column}."
        following = ADVICE
    same = _alike(walker, run) if word.is_success else []
    if same:
        sentence += (
            f" All units of {', '.join(same)} are alike: they began with equal numbers and get equal slopes."
        )
        following = "begin with random numbers, so that the units of a layer differ"
    falls = endless(walker, run) if word == TrainVerdict.STILL_FALLING else None
    if falls is not None:
        sentence += (
            f" It falls without end along this way: {', '.join(f'{times:.0f}' for times in TIMES)} times as far from "
            f"the start it is {', '.join(f'{value:.2g}' for value in falls)}."
        )
        following = (
            "see that the cost has a lowest value: its sign, a logarithm or a softmax left out, labels of -1 where "
            "0 is meant"
        )
    beyond = farther(walker, run) if falls is None and word in UNFINISHED else None
    if beyond is not None:
        times, begun, ended, lowest = beyond
        sentence += (
            f" The steps were far too short: {times:,.0f} times as far along the way it went the cost is {lowest:.4g}, "
            f"where it came from {begun:.4g} to {ended:.4g}."
        )
        following = _longer(walker, times)
    return Finding(word, tuple(evidence), sentence, following, cost, rows)


def _far(walker: Walker, run: Run, word: TrainVerdict, slopes: Slopes | None) -> str:
    """Columns of the data that are far from one, where that may be what keeps the run from learning; "" elsewhere."""
    diverged = run.rollbacks or word == TrainVerdict.DIVERGED
    suspected = diverged or (slopes is not None and slopes.dead)
    stands = word in (TrainVerdict.NOISE_FLOOR, TrainVerdict.STANDING_STILL)
    if walker.job.recorded is None or not (suspected or stands):
        return ""
    batch = _fresh(walker)
    return "" if batch is None else far(walker.job, batch, FAR if suspected else VERY_FAR)


def _longer(walker: Walker, times: float) -> str:
    """What to do about steps that were so many times too short."""
    rate = walker.job.method.rate
    if rate is None:
        return "more steps" if walker.job.method.begun_at is not None else "more steps, or a larger rate"
    return f'a larger rate, up to some {times:,.0f} times the {rate:.2g} it was, or method="auto"'


def _alike(walker: Walker, run: Run) -> list[str]:
    """Matrices whose columns began equal and have stayed so."""
    layout = walker.job.layout
    if walker.job.recorded is None:
        return []
    whole = walker.placement.whole
    leaves = enumerate(zip(layout.arrays, walker.tree.leaves(run.state.parameters), strict=True))
    same = [
        k
        for k, (start, end) in leaves
        if np.ndim(start) > 1 and alike(np.asarray(start), partial(whole, end))
    ]
    batch = _fresh(walker) if same else None
    if batch is None:
        return []
    slopes = walker.tree.leaves(walker.added(None, run.state.parameters, batch)[0])
    return [layout.leaves[k].name for k in same if equal_slopes(whole(slopes[k]))]


def _fresh(walker: Walker) -> Any:
    """A batch of the epoch after the last; None where data are read once."""
    job = walker.job
    batches = () if walker._once else job.source.batches(walker.cursor.epoch + 1, 0, job.batch_size, job.part)
    return next(iter(batches), None)


def _last_cost(costs: list[float]) -> float:
    """The mean over the last steps of a run whose data leave no fresh batch; NaN where it took none."""
    last = costs[-BLOCKS:]
    return float(np.mean(last)) if last else float("nan")


def _word(
    walker: Walker, run: Run, slopes: Slopes | None, trend: Trend | None, rise: Evidence | None
) -> tuple[TrainVerdict, str, str]:
    if run.ended in (loop.DIVERGED, loop.NOT_FINITE):
        word = TrainVerdict.DIVERGED if run.ended == loop.DIVERGED else TrainVerdict.NOT_FINITE
        why = run.explanation.sentence if run.explanation is not None else "The cost left all bounds."
        held = (
            _held_back(walker, run) or f"The parameters are those of step {run.steps:,}, the last good ones."
        )
        if _without_limit(run.history.costs):
            fell = (
                f"Before that the cost fell from {run.history.costs[0]:.3g} to {min(run.history.costs):.3g}"
            )
            return (
                word,
                f"{why} {fell}: it seems to have no lowest value. {held}",
                "give the cost a floor (a penalty on the size of the parameters, a bound in the model): no smaller "
                "rate gives it one",
            )
        return word, f"{why} {held}", _remedy(walker, run)
    if rise is not None and not rise.holds:
        return (
            TrainVerdict.OVERFITTING,
            f"The validation cost rose to {run.history.validations[-1][1]:.4g} after its lowest, "
            f"{min(value for _, value in run.history.validations if isfinite(value)):.4g}, while the training cost "
            "went on.",
            "stop earlier (patience=2 gives back the best parameters), decay the weights, or give it more data",
        )
    if run.ended == loop.EARLY:
        held = _held_back(walker, run)
        return (
            TrainVerdict.STOPPED,
            f"The validation cost came no lower {walker.since_best} times running. {held}"
            if held
            else "The validation cost was never a finite number; the parameters are the last.",
            "" if held else "look at the validation data",
        )
    if run.ended in (loop.STOPPED, loop.INTERRUPTED):
        return TrainVerdict.STOPPED, f"The run was {run.ended} at step {run.steps:,}.", _more(trend)
    if slopes is not None and not isfinite(slopes.cost):
        return (
            TrainVerdict.NOT_FINITE,
            f"The cost was finite at every step, but is not on {slopes.rows:,} fresh rows"
            + (f": the data are not, {slopes.bad}." if slopes.bad else "."),
            "clean these rows, or leave them out" if slopes.bad else "look at the cost of single rows there",
        )
    if slopes is not None and slopes.squared == 0 == slopes.noise:
        return (
            TrainVerdict.STANDING_STILL,
            f"No parameter has any slope on {slopes.rows:,} fresh rows: either all of them are met exactly, or nothing "
            "that the cost depends on is active.",
            "",
        )
    if slopes is not None and _met_to_rounding(walker, run, slopes.cost):
        return (
            TrainVerdict.STANDING_STILL,
            f"The rows are met as exactly as {walker.job.precision} tells: the cost came from "
            f"{run.history.costs[0]:.3g} to {slopes.cost:.2g}.",
            "",
        )
    if slopes is not None and slopes.squared <= TOLD_FROM_NOISE * slopes.noise:
        return (
            TrainVerdict.NOISE_FLOOR,
            "The slope can no longer be told from the noise of its batches: more steps of this kind wander.",
            "a larger batch goes lower; otherwise this is the end"
            if walker.job.method.schedule in ("linear", "cosine")
            else 'a larger batch or a falling rate (schedule="cosine") goes lower; otherwise this is the end',
        )
    if trend is not None and trend.evidence.holds:
        return TrainVerdict.STILL_FALLING, f"The cost was still falling: {trend.words}.", _more(trend)
    if not _schedule_ended(walker) and (trend is None or not trend.stands):
        told = "" if slopes is None or slopes.batches == 1 else "The slope can be told from noise, but "
        return (
            TrainVerdict.STILL_FALLING,
            f"{told}{counted(run.steps)} too few to tell how fast the cost falls.",
            "more steps, or larger ones",
        )
    if slopes is not None and slopes.squared <= BATCHES * slopes.noise and not _schedule_ended(walker):
        return (
            TrainVerdict.NOISE_FLOOR,
            "The cost no longer falls, and the slope of one batch is mostly noise: at this rate and batch size the "
            "walk wanders about the bottom.",
            'a falling rate (schedule="cosine") or a larger batch goes lower',
        )
    if slopes is None and trend is not None and trend.stands:
        return (
            TrainVerdict.STANDING_STILL,
            f"The cost no longer falls. {UNMEASURED}",
            "a longer run (more epochs) goes lower if it was the falling rate that ended the walk"
            if _schedule_ended(walker)
            else "a larger batch or a falling rate goes lower if it is noise that holds the walk up",
        )
    if _schedule_ended(walker):
        ended = "The rate went to zero as planned"
        if slopes is None:
            ended = f"{ended}. {UNMEASURED}"
        elif slopes.batches == 1:
            ended = f"{ended} while a slope was left."
        else:
            ended = f"{ended} while the slope could still be told from noise."
        return TrainVerdict.STILL_FALLING, ended, "a longer run (more epochs) would go lower"
    return (
        TrainVerdict.STANDING_STILL,
        "The cost no longer falls though a slope is there: the step is too long for what is left, or too short to "
        "tell.",
        'let the rate fall (schedule="cosine"), or try method="auto"',
    )


def _without_limit(costs: list[float]) -> bool:
    """Whether the cost fell below zero by many times what it was at first."""
    finite = list(filter(isfinite, costs))
    # Of a cost told from that of the start the first ones are next to nothing, whatever its size is.
    size = max(map(abs, finite[: max(FIRST, len(finite) // BEGINNING)]), default=0.0)
    return size > 0 and -min(finite) > LIMITLESS * size


def _met_to_rounding(walker: Walker, run: Run, cost: float) -> bool:
    """Whether a cost next to nothing is what rounding makes of the parameters: a few units in the last place double it.

    That is tried on one batch.
    """
    costs = list(filter(isfinite, run.history.costs))
    if not costs or min(costs) < 0 or cost > NOTHING * costs[0]:
        return False
    job, parameters = walker.job, run.state.parameters
    batch = next(iter(job.source.batches(walker.cursor.epoch + 1, 0, job.batch_size, job.part)), None)
    if batch is None:
        return False
    reached, beside = (
        float(walker.added(None, there, batch)[1].cost) for there in (parameters, _beside(parameters))
    )
    return beside >= 2 * reached


@jax.jit
def _beside(parameters: Any) -> Any:
    """The parameters moved by a few units in the last place, up and down in turns."""

    def moved(p: Any) -> Any:
        turns = 1 - 2 * (jnp.arange(p.size) % 2).reshape(p.shape)
        return p + (UNITS * jnp.finfo(p.dtype).eps * jnp.abs(p) * turns).astype(p.dtype)

    return jax.tree.map(moved, parameters)


def _held_back(walker: Walker, run: Run) -> str:
    """Which parameters an early stop gives back; "" where it gives back the last."""
    if walker.job.patience is None or walker.best is None:
        return ""
    lowest, _ = walker.best
    step = next((step for step, value in run.history.validations if value == lowest), None)
    where = "" if step is None else f" at step {step:,}"
    return f"The parameters are those where it was lowest, {lowest:.4g}{where}."


def _remedy(walker: Walker, run: Run) -> str:
    if run.explanation is not None and run.explanation.remedy:
        return run.explanation.remedy
    rate = walker.job.method.rate
    return "a smaller rate, clip=1.0, or warmup steps" + (
        "" if rate is None else f"; the rate was {rate:.3g}"
    )


def _more(trend: Trend | None) -> str:
    if trend is None or not trend.evidence.holds or trend.to_zero == 0.0:
        return ""
    if trend.to_zero == inf:
        return "more steps go lower, slower than now: at this rate as many again would take off more than the cost"
    if trend.to_zero is not None:  # most costs go no lower, and none is known to
        return (
            f"at this rate the cost would come to 0 within about {float(f'{trend.to_zero:.2g}'):,.0f} steps"
        )
    return f"as many steps again would lower the cost by about {trend.more:.2g}"


def _schedule_ended(walker: Walker) -> bool:
    return walker.job.method.schedule in ("linear", "cosine") and walker._stop in (
        loop.FINISHED,
        loop.OUT_OF_TIME,
    )


# -- the slope against its noise -------------------------------------------------------------------------------


def _slopes(walker: Walker, run: Run) -> Slopes | None:
    """Slopes g₁ … g_K of fresh batches: |mean|² against the variance of a mean, Σ|gᵢ − mean|²/(K(K − 1))."""
    job = walker.job
    if walker._once:
        return None  # a generator has no batch to spare
    epoch = walker.cursor.epoch + 1
    costs: list[float] = []
    squares = squared = 0.0
    touched: list[np.ndarray] = []
    batches = islice(job.source.batches(epoch, 0, job.batch_size, job.part), BATCHES)
    parameters, whole = run.state.parameters, walker.placement.whole
    sums = None
    bad = ""
    exchanged = Exchanged(walker)
    for k, arrays in enumerate(batches):
        sums, found = walker.added(sums, parameters, arrays)
        costs.append(float(found.cost))
        exchanged.see(parameters, arrays, costs[-1])
        if not isfinite(costs[-1]):
            bad = bad or bad_rows(job, [np.asarray(array) for array in arrays], epoch, k)
        squared, own = map(float, found.squared)
        squares += own
        moved = [whole(leaf) for leaf in found.touched]
        touched = moved if not touched else [a | b for a, b in zip(touched, moved, strict=True)]
    if not costs:
        return None
    count = len(costs)
    squared /= count**2
    spread = max(0.0, squares - count * squared)
    noise = spread / (count * (count - 1)) if count > 1 else 0.0
    dead = _dead(job, touched) if count * job.batch_size >= 64 else ()
    return Slopes(float(np.mean(costs)), count * job.batch_size, squared, noise, dead, exchanged, bad, count)


def _dead(job: Job, touched: list[np.ndarray]) -> tuple[str, ...]:
    """Arrays that the cost reads, and units of matrices (columns), whose slope was zero on every fresh batch.

    `touched`: for each array whether it had a slope, for a matrix column by column.
    """
    found = []
    unread = () if job.recorded is None else names(job.recorded, job.layout)  # which are told of as that
    for leaf, moved in zip(job.layout.leaves, touched, strict=True):
        if leaf.start == leaf.stop or leaf.name in unread:
            continue  # an array without numbers has nothing to learn with
        if not moved.any():
            found.append(f"all of {leaf.name}")
        elif not moved.all():
            found.append(f"{int((~moved).sum())} of the {moved.size} units of {leaf.name}")
    return tuple(found[:8])


def _slope_evidence(slopes: Slopes) -> list[Evidence]:
    if slopes.batches == 1:
        size = float(np.sqrt(slopes.squared))
        how = f"its length over one batch of {slopes.rows:,} rows, all that an epoch has: noise was not measured"
        return [Evidence("slope left", size, 0.0, size > 0.0, how)]
    size, noise = float(np.sqrt(slopes.squared)), float(np.sqrt(slopes.noise))
    limit = float(np.sqrt(TOLD_FROM_NOISE)) * noise
    return [
        Evidence(
            "slope told from noise",
            size,
            limit,
            size > limit,
            f"length of the mean slope of {slopes.rows:,} fresh rows, against √2 times its standard error",
        )
    ]


# -- the way the cost went ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trend:
    """How the cost fell over the last third of the run, and what as many steps again would bring at that rate.

    `to_zero`: within how many steps that rate would lead to a cost of zero, where that is less than as many again and
    none of these costs was negative; infinite where the costs scatter or bend, so that the rate will not last; None
    otherwise. `stands`: whether it was seen to fall no more, rather than too
    short a while to tell.
    """

    evidence: Evidence
    words: str
    more: float
    to_zero: float | None
    stands: bool


def trend_of(costs: list[float]) -> Trend | None:
    """A line through block means of the last third: with blocks longer than the noise's memory they are independent."""
    last = np.asarray(costs[-max(BLOCKS, len(costs) // 3) :])
    last = last[np.isfinite(last)]
    if last.size < BLOCKS:
        return None
    means, middles = (
        np.array([block.mean() for block in np.array_split(of, BLOCKS)])
        for of in (last, np.arange(last.size))
    )
    x = middles - middles.mean()  # in steps: blocks differ by one where the steps do not divide
    slope = float(x @ means / (x @ x))
    residual = means - means.mean() - slope * x
    error = float(np.sqrt(residual @ residual / (BLOCKS - 2) / (x @ x)))
    falls = -slope > SURE * error
    fell = -slope * last.size
    level = float(means[-3:].mean())
    # Blocks as long as those of the last third, at the beginning.
    whole = float(np.mean(first_finite(costs, max(1, last.size // BLOCKS)))) - level
    certain = SURE * float(np.sqrt(2 * residual @ residual / (BLOCKS - 2)))
    most = fell + SURE * error * last.size
    stands = most <= (STANDS * whole if whole > certain else UNMOVED * abs(level))
    first = first_finite(costs, FIRST)
    began = min(float(np.mean(first)), float(np.median(first))) - level
    if began > SURE * float(np.std(last)):  # a fall that was over within the first block
        stands = stands or most <= STANDS * min(began, abs(level))
    before = abs(level + fell)
    more = _more_of(-slope, means, len(costs) - last.size + middles, len(costs))
    left = float(means[-1])
    to_zero = left / more * len(costs) if 0 <= left < more and last.min() >= 0 else None
    if to_zero:
        steps = np.arange(last.size) - middles.mean()
        if float(np.std(last - slope * steps)) > STRAIGHT * fell:
            to_zero = inf
    part = f" ({number_of(100 * fell / before)} %)" if before else ""
    return Trend(
        Evidence(
            "cost falling",
            fell,
            SURE * error * last.size,
            falls,
            f"line through {BLOCKS} block means of the last {last.size:,} steps, against {SURE} standard errors",
        ),
        f"by {fell:.2g}{part} over the last {last.size:,} steps",
        more,
        to_zero,
        stands,
    )


def _more_of(rate: float, means: np.ndarray, middles: np.ndarray, steps: int) -> float:
    """What as many steps again would bring, at `rate` a step, or where the fall slows down, slowing on.

    `means` and `middles` of the last blocks of so many steps. The rate is taken to go as a power of the step, as it
    does for many a cost; a straight line would lead below the floor of one that nears it. Where the fall is
    exponential, this promises up to half as much again.
    """
    half = BLOCKS // 2
    early, late = (
        -float((x - x.mean()) @ part / np.sum((x - x.mean()) ** 2))
        for x, part in ((middles[:half], means[:half]), (middles[half:], means[half:]))
    )
    if not 0 < late < early:
        return rate * steps
    first, last = middles[:half].mean(), middles[half:].mean()
    power = np.log(early / late) / np.log(last / first)
    return float(late * np.mean((np.linspace(steps, 2 * steps, 201) / last) ** -power) * steps)


def number_of(percent: float) -> str:
    """A percentage as people write it.

    >>> number_of(3.72), number_of(134.2)
    ('3.7', '134')
    """
    return f"{percent:.2g}" if abs(percent) < 99.5 else f"{percent:,.0f}"


def counted(steps: int) -> str:
    """How many steps there are, with the verb that belongs to it."""
    return "1 step is" if steps == 1 else f"{steps:,} steps are"


def first_finite(costs: list[float], count: int) -> list[float]:
    """The first `count` costs that are finite numbers."""
    return list(islice(filter(isfinite, costs), count))


def _rise(walker: Walker, run: Run) -> Evidence | None:
    if walker.job.patience is not None:  # the parameters given back are those of the lowest
        return None
    return rise_of([value for _, value in run.history.validations])


def rise_of(values: list[float]) -> Evidence | None:
    """Whether the validation costs of a run, in their order, ended above their lowest; None for fewer than two."""
    finite = [value for value in values if isfinite(value)]
    if len(values) < 2 or not finite:
        return None
    lowest = min(finite)
    limit = lowest + RISE * max(abs(lowest), finite[0] - lowest)
    return Evidence(
        "validation cost not risen",
        values[-1],
        limit,
        values[-1] <= limit,
        f"the last of {len(values)} against the lowest plus {RISE:.0%} of it or of its fall",
    )
