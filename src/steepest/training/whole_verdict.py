"""The word for a walk over all data: measured afresh, in double precision, at the parameters that are given back.

There is no noise of batches here, and so there may be a minimum: where Newton's step from the end point promises less
than the cost can show, and moves the parameters by less than their own digits. It is global where the cost is convex by
composition rules, local where the smallest curvature is measured and positive.
"""

from __future__ import annotations

from math import inf, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tracing.batched import numbers_in
from ..tracing.source import user_line
from ..verdict.words import Evidence
from .divergence import bad_data, first_bad
from .newton_rows import MOST_FORMED, SMALLEST_SCALE, Factor, sample_sizes
from .passes import MATRIX_PRODUCT, Passes, bytes_of
from .verdict import Finding, TrainVerdict
from .whole_choice import shown_convex, structure_of

if TYPE_CHECKING:
    from .batches import Rows
    from .job import Job
    from .whole_run import WholeRun

# A Newton step that promises less than this many roundings of the cost changes nothing that it shows.
ROUNDINGS = 16.0
# Such a step is short: at most this part of the parameters' length times the root of the rounding. A walk towards
# infinity, where the cost falls without end, takes steps that are no small part of what it has come.
SHORT = 8.0
# Passes in which a Hessian over all rows may be formed at the end; above, curvature comes from a sample of them.
FORMED_IN = 100.0
# Data of more bytes are not looked at once more in double precision where the walk has seen the slope at its end: what
# its own precision is wrong by is measured on a sample. For fewer, that takes as long as looking.
LOOKED_AT_AGAIN, COMPARED = 1 << 24, 2048
# Newton's step of the judge leaves this part of the slope. Along columns that nearly stand in for each other the slope
# is a small part of the whole and promises most of what is left: at a tenth, minima were claimed that lay far away.
JUDGED_TO = 1e-4
# With more than `MOST_FORMED` parameters products are taken to come so near for as long as they take so many times the
# walk's own passes; so many at least, for a walk that began near its end.
JUDGING, FEWEST_PRODUCTS = 2.0, 30
# A smallest curvature below this part of the largest is not told from none: products are in double precision.
TOLD_FROM_ZERO = 1e-10


def judge(job: Job, run: WholeRun) -> Finding:
    """What the end of the walk is, and the cost there over all rows."""
    look = _look(job, run) if run.walker.passes is not None else None
    found = run.descent
    rows = job.batch_size
    evidence: tuple[Evidence, ...] = (_on_device(run),) if look is None else look.evidence
    cost, promised = (found.value, None) if look is None else (look.cost, look.promised)
    rise = _rise(run)
    if rise is not None:
        evidence = (*evidence, rise)
        if not rise.holds:
            return Finding(
                TrainVerdict.OVERFITTING,
                evidence,
                f"The validation cost rose to {rise.measured:.4g} after its lowest, while the training cost fell.",
                "stop earlier (patience=2 gives back the best parameters), or penalise large parameters",
                cost,
                rows,
            )
    if not isfinite(cost):
        return _not_finite(run.walker.source, evidence, cost)
    if not isfinite(found.slope) or (look is not None and not look.finite):
        return _slope_not_finite(job, run, look, evidence, cost)
    if found.reason == "stopped early":
        never = run.walker.best is None
        return Finding(
            TrainVerdict.STOPPED,
            evidence,
            "The validation cost was never a finite number; the parameters are the last."
            if never
            else "The validation cost no longer fell; the parameters are those where it was lowest.",
            "look at the validation data" if never else "",
            cost,
            rows,
        )
    if look is not None and look.stationary:
        minimum = _minimum(look)
        if minimum is not None:
            return minimum
    if found.reason in ("stopped", "interrupted"):
        words = "stopped by the callback" if found.reason == "stopped" else "interrupted"
        return Finding(
            TrainVerdict.STOPPED, evidence, f"The run was {words} at step {found.steps:,}.", "", cost, rows
        )
    if found.reason == "converged":
        return Finding(
            TrainVerdict.NOISE_FLOOR,
            evidence,
            f"Over all {rows:,} rows the cost shows no further decrease in {job.precision}: what is left is rounding.",
            'precision="float64" tells further digits' if job.precision != "float64" else "",
            cost,
            rows,
        )
    if found.reason == "no lower point":
        return Finding(
            TrainVerdict.STANDING_STILL,
            evidence,
            "No lower point was found along the way down.",
            "look at the cost with steepest.minimize, which judges the point",
            cost,
            rows,
        )
    # More than the cost is and has fallen by in all is no measure of what is left: there is next to no curvature.
    most = abs(cost) + max(0.0, max(run.history.costs, default=cost) - cost)
    told = promised is not None and 0.0 < promised <= most
    left = f"about {promised:.2g} is left to Newton's step" if told else ""
    return Finding(
        TrainVerdict.STILL_FALLING,
        evidence,
        f"The run ended by its {found.reason}, the cost still falling{': ' + left if left else ''}.",
        f"more {'epochs' if found.reason == 'passes' else found.reason}",
        cost,
        rows,
    )


class _Look:
    """Cost, slope, and Newton's step at the end point, in double precision over all rows."""

    def __init__(self, job: Job, run: WholeRun) -> None:
        walked = run.walker.passes
        assert walked is not None
        self.passes = Passes(
            job.cost,
            job.layout,
            job.source,
            walked.arrays,
            "float64",
            walked.together,
            copied=0,
            recordings=job.recordings,
            beat=run.walker.beat,
        )
        self.rows = job.batch_size
        structure = run.walker.structure or structure_of(
            job.cost, job.layout, job.source, together=walked.together, recordings=job.recordings
        )
        self.structure = structure
        self.convexity = shown_convex(structure)
        self.x = np.concatenate([np.ravel(array).astype(np.float64) for array in run.arrays])
        self.evidence: tuple[Evidence, ...] = ()
        self.promised: float | None = None
        self.stationary = False
        self.smallest: float | None = None
        self.largest: float | None = None
        n = self.x.size
        # Where the cost is not known to be convex, its smallest curvature must be measured, over all rows.
        self.formed = self.convexity is None and n <= MOST_FORMED and 2 * n * MATRIX_PRODUCT <= FORMED_IN
        # Rows of the samples the curvature may come from: the larger one's Hessian is within a third of the whole.
        self.sizes = [] if walked.together else sample_sizes(n, self.rows)
        # Without a sample its Hessian takes many passes over all rows: one more for the slope is nothing beside them.
        sampled = not self.formed and bool(self.sizes)
        large = bytes_of(walked.arrays) > LOOKED_AT_AGAIN
        last = run.walker.last_look() if sampled and large else None
        self.again = last is None
        self._at(last)
        run.walker.stage += 1  # others may wait for this process
        if self.finite:
            self._newton(job, run)
            run.walker.stage += 1
            if not (self.stationary or self.again) and run.descent.reason == "converged":
                self.again = True
                self._at(None)
                self._newton(job, run)

    def _at(self, last: tuple[float, np.ndarray] | None) -> None:
        """Cost and slope over all rows at the end point: looked at in double precision, or as the walk saw them."""
        if last is None:
            here = self.passes.look(self.x)
            last = here.value, here.slope
        self.cost, self.slope = last
        self.finite = bool(np.isfinite(self.slope).all() and np.isfinite(self.cost))

    def _newton(self, job: Job, run: WholeRun) -> None:
        n = self.x.size
        eps = float(np.finfo(np.float64 if job.precision == "float64" else np.float32).eps)
        limit, left = ROUNDINGS * eps * abs(self.cost), 0.0
        told_slope, slope = "slope in double precision over all rows", self.slope
        if self.formed:
            step = self._eigen_step(self.passes.matrix(self.x))
            told = f"Newton's step with the Hessian over all {self.rows:,} rows"
        else:
            seen = self.sizes[-1] if self.sizes else self.rows
            curved = self.passes
            if self.sizes:
                walked = run.walker.passes
                assert walked is not None
                size, blocks = _cut(seen, walked.block)
                seen = min(self.rows, size * blocks)
                curved = _sample(job, run, walked, seen, size)
                if not self.again:
                    slope, compared = self._widened(walked, curved)
                    told_slope = (
                        f"slope over all rows as the walk saw it last, lengthened by what {job.precision} is wrong by "
                        f"over {compared:,}"
                    )
            spread = run.walker.spread()
            factor = Factor(curved, self.x, np.maximum(spread, SMALLEST_SCALE * spread.max()))
            # A promise above the limit only grows: what it comes to is then told well enough.
            step = -factor.solve(slope, JUDGED_TO, limit, self._products(run, seen))
            told, left = f"Newton's step with the Hessian over {seen:,} rows", factor.left
        self.promised = float(-0.5 * slope @ step)
        length, most = float(np.linalg.norm(step)), SHORT * eps**0.5 * float(np.linalg.norm(self.x))
        still = Evidence(
            "decrease still promised",
            self.promised,
            limit,
            0.0 <= self.promised <= limit,
            f"{told}, {told_slope}, against {ROUNDINGS:.0f} roundings of the cost",
        )
        near = Evidence(
            "step still promised",
            length,
            most,
            length <= most,
            f"its length, against {SHORT:.0f}·√{eps:.1e} of the parameters'",
        )
        self.evidence = (still, near)
        self.stationary = still.holds and near.holds
        if still.holds and left > JUDGED_TO:
            how = "the part of the slope that Newton's step leaves after as many products as it may take"
            self.evidence = (*self.evidence, Evidence("left of the slope", left, JUDGED_TO, False, how))
            self.stationary = False
        if not self.slope.any():
            # Far out a cost that falls without end is lost in the smallest numbers, and its curvature with it.
            v = np.random.default_rng(job.seed).standard_normal(n)
            curvature = float(v @ self.passes.product(self.x, v))
            self.evidence = (
                *self.evidence,
                Evidence("curved", curvature, 0.0, curvature > 0.0, "curvature along a random direction"),
            )
            self.stationary = curvature > 0.0

    def _products(self, run: WholeRun, seen: int) -> float:
        """Products of the Hessian over so many rows to be taken; with many parameters each takes long."""
        if self.x.size <= MOST_FORMED:
            return inf
        return max(FEWEST_PRODUCTS, JUDGING * run.passes * self.rows / (2.0 * seen))

    def _widened(self, walked: Passes, sample: Passes) -> tuple[np.ndarray, int]:
        """The walk's slope, (n,), each part farther from zero by what its precision is wrong by; over how many rows.

        They are some of the sample's, a block of the walk's or more, in blocks as long as its own: rounding grows with
        the rows that are added up in single precision.
        """
        every = -(-sample.rows // max(COMPARED, walked.block))
        arrays = [array[::every] for array in sample.arrays]
        rows = int(arrays[0].shape[0])
        size = min(rows, walked.block)
        narrow, wide = (passes.over(arrays, size).look(self.x).slope for passes in (walked, self.passes))
        return self.slope + np.copysign(np.abs(wide - narrow), self.slope), rows

    def _eigen_step(self, H: np.ndarray) -> np.ndarray:
        """Newton's step through the eigenvalues of H, which are kept."""
        n = self.x.size
        if not np.isfinite(H).all():
            return -self.slope
        values, vectors = np.linalg.eigh(H)
        self.smallest, self.largest = float(values[0]), float(np.abs(values).max())
        if not self.largest > 0:
            return -self.slope
        size = np.maximum(np.abs(values), np.finfo(float).eps * n * self.largest)
        along = self.slope @ vectors
        # Directions without curvature and without slope are no step: both are rounding there.
        along = np.where(np.abs(along) > 1e-12 * np.linalg.norm(self.slope), along, 0.0)
        return -vectors @ (along / size)


def _cut(rows: int, block: int) -> tuple[int, int]:
    """Rows of a block of the sample, and how many blocks it has: those the cost is recorded for, where they fit.

    >>> _cut(5120, 2500), _cut(5120, 50_000)
    ((2500, 2), (5120, 1))
    """
    return (block, round(rows / block)) if block <= rows else (rows, 1)


def _sample(job: Job, run: WholeRun, walked: Passes, rows: int, size: int) -> Passes:
    """So many random rows in blocks of `size`: the walk's own first sample where it is as large, else others."""
    drawn = getattr(run.walker.walker, "samples", ())
    if drawn and drawn[0].rows >= rows:
        return walked.over([array[:rows] for array in drawn[0].arrays], size)
    chosen = np.sort(np.random.default_rng([job.seed, 11]).permutation(job.batch_size)[:rows])
    return walked.sampled(chosen, size)


def _look(job: Job, run: WholeRun) -> _Look:
    with numbers_in("float64"):
        return _Look(job, run)


def _minimum(look: _Look) -> Finding | None:
    """The word for a stationary point; None where nothing tells that it is a minimum."""
    structure, convexity, evidence = look.structure, look.convexity, look.evidence
    if look.formed and look.smallest is not None and look.largest is not None:
        limit = TOLD_FROM_ZERO * look.largest
        evidence = (
            *evidence,
            Evidence(
                "smallest curvature",
                look.smallest,
                limit,
                look.smallest > limit,
                f"least eigenvalue of the Hessian over all {look.rows:,} rows",
            ),
        )
    if convexity is not None:
        evidence = (
            *evidence,
            Evidence(
                "convex",
                None,
                None,
                True,
                f"{convexity.reason}; read off the trace over rows that hold the extremes of the data",
            ),
        )
        if _kinked(structure, look.x):
            return None
        return Finding(
            TrainVerdict.GLOBAL_MINIMUM,
            evidence,
            f"The slope over all {look.rows:,} rows is zero to within rounding, and {convexity.reason}.",
            "",
            look.cost,
            look.rows,
        )
    if evidence[-1].name == "smallest curvature" and evidence[-1].holds and not _kinked(structure, look.x):
        return Finding(
            TrainVerdict.LOCAL_MINIMUM,
            evidence,
            f"The slope over all {look.rows:,} rows is zero to within rounding, and every curvature is positive.",
            "",
            look.cost,
            look.rows,
        )
    return None


def _kinked(structure: Any, x: np.ndarray) -> bool:
    """Whether the cost has kinks near: a slope of zero there is one of several."""
    return structure is not None and bool(structure.kinks_near(x, 1e-6 * (1.0 + np.abs(x))))


def _not_finite(source: Rows, evidence: tuple[Evidence, ...], cost: float) -> Finding:
    """For a cost that was no finite number at the start: no walk takes a step to such a place, nor away from it."""
    word, rows = TrainVerdict.NOT_FINITE, source.rows
    bad = bad_data(source.layout, source.arrays)
    if bad is not None:
        name, places = bad
        more = f" and {len(places) - 1:,} more" if len(places) > 1 else ""
        sentence = f"The data are not finite: {name}, row {places[0]:,}{more}."
        return Finding(word, evidence, sentence, "clean these rows, or leave them out", cost, rows)
    sentence = "The cost over all data is not a finite number at the start."
    following = "begin elsewhere; steepest.diagnose(lambda params: cost(params, data), params) names the line"
    return Finding(word, evidence, sentence, following, cost, rows)


def _slope_not_finite(
    job: Job, run: WholeRun, look: _Look | None, evidence: tuple[Evidence, ...], cost: float
) -> Finding:
    """For a finite cost without a finite slope: of which parameters, in which rows, from which line."""
    found, rows = run.descent, job.batch_size
    when = "at the start" if found.steps == 0 else f"at step {found.steps:,}"
    sentence = f"The cost over all data is finite {when}, its slope is not"
    following = "begin elsewhere, or write the cost so that it has a slope there"
    if look is None or look.finite:
        sentence += f" in {job.precision}." if look is not None else "."
        if look is not None and job.precision != "float64":
            following = 'precision="float64" holds it'
        return Finding(TrainVerdict.NOT_FINITE, evidence, sentence, following, cost, rows)
    groups = [
        leaf.name for leaf in job.layout.leaves if not np.isfinite(look.slope[leaf.start : leaf.stop]).all()
    ]
    more = f" and {len(groups) - 1} more" if len(groups) > 1 else ""
    sentence += f": that of {groups[0]}{more}"
    with numbers_in("float64"):
        bad, line = _where_the_slope_breaks(look)
    if bad is not None:
        beside = f" and {len(bad) - 1:,} more near it" if len(bad) > 1 else ""
        sentence += f", {'in every row' if not len(bad) else f'row {bad[0]:,}{beside}'}"
    if line:
        sentence += f"; the first value that is not finite comes from the derivative of {line}"
    return Finding(TrainVerdict.NOT_FINITE, evidence, f"{sentence}.", following, cost, rows)


def _where_the_slope_breaks(look: _Look) -> tuple[np.ndarray | None, str]:
    """The first rows whose own slope is not finite, none for all that were looked at; and the user's line of it.

    None for the rows where they cannot be seen apart.
    """
    passes = look.passes
    if passes.together:
        return None, _line_of_the_slope(passes, look.x)
    size = passes.block
    for first in range(0, passes.rows, size):
        chosen = np.arange(first, min(first + size, passes.rows))
        apart = passes.sampled(chosen, 1)
        bad = chosen[[not np.isfinite(slope).all() for slope in apart.slopes(look.x)]]
        if bad.size:
            line = _line_of_the_slope(passes.sampled(bad[:1], 1), look.x)
            return (bad[:0] if bad.size == chosen.size else bad), line
    return None, ""


def _line_of_the_slope(passes: Passes, x: np.ndarray) -> str:
    """Where the first value of the slope over these rows that is not finite comes from, "" where nothing tells."""
    closed, rows = passes.slope_program()
    equation, _, _ = first_bad(closed.jaxpr, closed.consts, [x, *rows])
    place = None if equation is None else user_line(equation)
    if place is None:
        return ""
    return f"{place} ({place.expression})" if place.expression else f"{place}"


def _on_device(run: WholeRun) -> Evidence:
    found = run.descent
    return Evidence(
        "slope gone",
        found.slope,
        found.slopes[0] * 1e-3,
        found.slope <= found.slopes[0] * 1e-3,
        "length of the slope over all data, against a thousandth of what it was at the start",
    )


def _rise(run: WholeRun) -> Evidence | None:
    from .verdict import rise_of

    if run.descent.reason == "stopped early" or run.walker.job.patience is not None:
        return None
    return rise_of([value for _, value in run.history.validations])
