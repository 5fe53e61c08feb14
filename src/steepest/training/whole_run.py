"""A run over all data at every step, by L-BFGS or Newton's method: what the loop is to minibatches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ..errors import InputError
from ..numerics import accelerated
from ..tracing.batched import numbers_in
from . import preflight, saved
from .batches import Rows
from .distributed import Placement
from .joining import watched
from .newton_rows import LARGER, SampledNewton, sample_sizes, start_is_lower
from .passes import COPIED_BYTES, MEAN, Passes, bytes_of, over_rows
from .signals import interruptible
from .sparse_rows import is_sparse
from .steps import Tree, plain_cost
from .validation import Evaluation, is_lowest
from .watching import History, Row, Teller, line
from .ways_back import value_and_slope
from .whole import Descent, LimitedMemory
from .whole_choice import MOST_PARAMETERS, structure_of

if TYPE_CHECKING:
    from ..structure.facts import Structure
    from .job import Job

# Steps when nothing is said: a walk that has not arrived by then is better looked at than left alone.
STEPS = 1000
# Parameters up to which the vectors of the walk stay on the host, in double precision.
MOST_ON_HOST = 1_000_000
# Blocks of random rows whose slopes' spread scales the parameters of a convex cost, and rows in all; more of them where
# a rare column might otherwise go unseen.
SCALING_ROWS, SPARSE_ROWS, SCALING_BLOCKS = 2048, 8192, 32
# A walk begins on a sample of the rows, and leaves it when its slope, squared, is below this part of what sampling
# alone makes of it. Left at once or at a fiftieth, one or two passes more were needed over all rows of ten.
LEFT_OF_SAMPLING = 0.1
# Blocks at least of the second sample: their spread tells its noise.
FEWEST_BLOCKS = 8
# The smallest spread in parts of the largest, and what of it is rounding: no entry of that column was seen.
SMALLEST_SPREAD, UNSEEN = 1e-8, 1e-14
# A cost summed over many rows is known to the rounding of one of them over the root of their number; eight of these.
ROUNDINGS = 8.0


@dataclass
class WholeRun:
    """Where the walk ended, its arrays in the order of the layout, and its history."""

    descent: Descent
    arrays: list[np.ndarray]
    history: History
    seconds: float
    passes: float
    walker: WholeWalker
    timing: dict[str, float] = field(default_factory=dict)


class WholeWalker:
    """The walk with what surrounds it: limits, rows, validation, checkpoints, a viewer's wishes."""

    def __init__(self, job: Job) -> None:
        if not isinstance(job.source, Rows):
            raise InputError(
                f"method={job.method.name!r} looks at all data at every step; give arrays, or name a method of "
                "minibatches"
            )
        self.job, self.source = job, job.source
        self.tree = Tree.of(job.layout)
        self.placement = Placement.of(job.mesh, None)
        self.history = History()
        self.teller = Teller(job.progress if self.placement.speaks else False)
        self.before = 0.0
        self.best: tuple[float, np.ndarray] | None = None
        self.since_best = 0
        self.saved_step = 0
        self.unwritten = 0
        self.structure: Structure | None = None
        self.passes: Passes | None = None
        self._sample: tuple[Passes, np.ndarray] | None = None
        self._validated: Any = None
        self._asked = ""
        self.stage = 0  # what this process has behind it that others wait for
        self._writing = False

    def walk(self) -> WholeRun:
        """Walk down the mean cost over all data; returns however it ends."""
        job = self.job
        self.began = self.saved_at = time.perf_counter()
        with numbers_in(job.precision), interruptible(self._interrupt):
            begun = self._host_walk if self._by_passes() else self._device_walk
            self.walker = begun(self._flat())
            run = self.walker.run
            if not self.walker.on_all:
                job.remarks.append("the walk began on samples of the rows: its first costs are theirs")
            if job.resume:
                self._resume()
            prepared = self._elapsed()
            while not run.reason:
                run.reason, on_sample = self._reason_to_stop(), not self.walker.on_all
                if not run.reason and self.walker.step():
                    run.seconds.append(self._elapsed())
                    if on_sample and self.walker.on_all:
                        self.teller.note(f"from step {run.steps:,} on the cost is that of all rows")
                    self._after_step()
            if job.checkpoints is not None:
                self._save()
            saved.count_unwritten(self)
            x = self.best[1] if job.patience is not None and self.best is not None else self._point()
            arrays = self._arrays(x)
        self.teller.close()
        seconds = self._elapsed()
        return WholeRun(
            run, arrays, self.history, seconds, self.spent(), self, {"prepare": prepared, "walk": seconds}
        )

    def watched(self) -> AbstractContextManager[None]:
        """While in here, a process that hangs is named: for the walk, and for judging its end."""
        return watched(lambda: (self.stage, len(self.history.costs)), lambda: self._writing)

    def beat(self) -> None:
        """Something that takes its time is behind this process: not late, though others wait for it."""
        self.stage += 1

    # -- the walk ----------------------------------------------------------------------------------------------

    def _by_passes(self) -> bool:
        """Whether NumPy holds the vectors and passes go block by block: on one device, the processor or another."""
        sparse = any(is_sparse(array) for array in self.source.arrays)
        newton = self.job.method.name == "newton-cg"
        # More of them are better off beside the rows on an accelerator, where L-BFGS can have them.
        beside = accelerated() and not (sparse or newton)
        most = min(MOST_PARAMETERS, MOST_ON_HOST) if beside else MOST_ON_HOST
        plain = not self.job.remat and self.job.precision != "bfloat16" and self.job.mesh is None
        if plain and self.job.layout.n <= most:
            return True
        if sparse or newton:
            what = "sparse data" if sparse else "method='newton-cg'"
            raise InputError(
                f"{what} over all rows run on one device of one machine, up to {MOST_ON_HOST:,} parameters, in "
                "float32 or float64; name method='l-bfgs' and dense data, or a method of minibatches"
            )
        return False

    def _flat(self) -> np.ndarray:
        return np.concatenate([np.ravel(np.asarray(array, np.float64)) for array in self.job.layout.arrays])

    def _made_passes(self, start: np.ndarray) -> Passes:
        """Make ready for passes on the host."""
        job = self.job
        apart = (
            job.rows_alone
            or over_rows(job.cost, job.layout, self.source, start, recordings=job.recordings) == MEAN
        )
        together = not apart
        self.passes = made = Passes(
            job.cost,
            job.layout,
            self.source,
            self.source.arrays,
            job.precision,
            together=together,
            recordings=job.recordings,
            beat=self.beat,
        )
        if together:
            job.remarks.append(
                "the cost is no mean over rows that stand alone: all of them are evaluated at once"
            )
        return made

    def _host_walk(self, start: np.ndarray) -> Any:
        job = self.job
        passes = self._made_passes(start)
        together = passes.together
        eps = float(np.finfo(np.float64 if job.precision == "float64" else np.float32).eps)
        rounding = max(ROUNDINGS * eps / (1.0 if together else self.source.rows**0.5), np.finfo(float).eps)
        if job.method.name == "newton-cg":
            return SampledNewton(passes, start, seed=job.seed, rounding=rounding)
        scale = self._scale(start)
        samples = [] if self._sample is None else [self._sample[0]]
        walk: Scaled
        if samples and self._rows_to_begin_on():
            every = int(passes.rows / (LARGER * samples[0].rows))
            if every > 1 and passes.rows >= FEWEST_BLOCKS * every * passes.block:
                samples.append(passes.thinned(every))
            walk = FromSamples(samples, passes, start, scale, rounding)
        else:
            walk = Scaled(_looking(passes, scale), start / scale, scale, rounding, passes, samples)
        self._first_length(walk.inner, start, scale)
        return walk

    def _rows_to_begin_on(self) -> int:
        """Rows of the sample a walk begins on: of 20 n they tell the curvature; none where they are too many."""
        rows = self.source.rows
        sizes = sample_sizes(self.job.layout.n, rows)
        copied = bytes_of(self.source.arrays) * sizes[-1] / rows if sizes else 0.0
        return sizes[-1] if len(sizes) == 2 and copied <= COPIED_BYTES else 0

    def _first_length(self, walk: LimitedMemory, start: np.ndarray, scale: np.ndarray) -> None:
        """Let the first step go to where the slope along it vanishes, by what it changes to over the sample."""
        if self._sample is None or not walk.downhill < 0:
            return
        sample, before = self._sample
        self._sample = None
        length = 1.0 / walk.size  # far enough to be told from rounding
        after = sample.look(start + scale * (length * walk.direction))
        change = float((after.slope - before) @ (scale * walk.direction))
        if isfinite(change) and change > 0.0:
            walk.length = -walk.downhill * length / change

    def _scale(self, start: np.ndarray) -> np.ndarray:
        """One over the root of the spread of slopes: the Fisher information's diagonal stands for the Hessian's.

        Ones where the cost is not shown to be convex: there it made walks slower on every cost of the benchmark.
        """
        job, none = self.job, np.ones(start.size)
        assert self.passes is not None
        together = self.passes.together
        self.structure = structure_of(
            job.cost, job.layout, self.source, together=together, recordings=job.recordings
        )
        if together or self.structure is None or not self.structure.convexity.is_convex:
            return none
        rows = self.passes.rows
        enough = SPARSE_ROWS if any(map(is_sparse, self.source.arrays)) else SCALING_ROWS
        # The same rows serve to begin the walk on, where they are few of all.
        enough = max(enough, self._rows_to_begin_on())
        size = max(1, min(rows, enough) // SCALING_BLOCKS)
        count = min(SCALING_BLOCKS, rows // size) * size
        chosen = np.random.default_rng([job.seed, 9]).permutation(rows)[:count]
        sample = self.passes.sampled(chosen, size)
        seen = sample.look(start)
        self._sample, spread = (sample, seen.slope), seen.spread
        if not (np.isfinite(spread).all() and spread.max() > 0):
            return none
        scale = 1.0 / np.sqrt(self._with_the_rare(spread, sample.rows))
        return scale / scale.max()

    def _with_the_rare(self, spread: np.ndarray, rows: int) -> np.ndarray:
        """The spread, (n,), with what a column that `rows` sampled rows hold no entry of may have at the most.

        Left at nothing, the walk would take steps along such a column that are as long as it pleases.
        """
        largest = spread.max()
        if any(map(is_sparse, self.source.arrays)):
            return np.maximum(spread, largest / rows)
        unseen = spread <= UNSEEN * largest
        return np.where(unseen, largest / rows, np.maximum(spread, SMALLEST_SPREAD * largest))

    def _device_walk(self, start: np.ndarray) -> Any:
        """On several devices, in bfloat16, or with very many parameters: data and vectors on the device."""
        job, placement = self.job, self.placement
        layout, tree = job.layout, self.tree
        workers = 1 if job.mesh is None else int(job.mesh.devices.size)
        rows = self.source.rows - self.source.rows % workers
        part = [job.part.of(np.asarray(array), rows) for array in self.source.arrays]
        data = placement.rows(part)
        functions = [(rows, self._recorded_value(rows), data)]
        if rows < self.source.rows:
            rest = placement.constants(
                [np.asarray(array[rows:]) for array in placement._kept(self.source.arrays)]
            )
            functions.append((self.source.rows - rows, self._recorded_value(self.source.rows - rows), rest))
        kind = np.float64 if job.precision == "float64" else np.float32
        scale = np.ones(())  # one number where nothing is scaled: for very many parameters memory is short
        if job.layout.n <= MOST_PARAMETERS:
            # Each counts as a stage: a process that gets little of its processor is slow in them, and yet not late.
            self._made_passes(start)
            self.stage += 1
            scale = self._scale(start)
            self.stage += 1
        put = placement.constants

        def of_vector(u: Any, inputs: Any, scale: Any) -> Any:
            x = scale * u
            pieces = [x[leaf.start : leaf.stop].reshape(leaf.shape) for leaf in layout.leaves]
            total = 0.0
            for (count, (value, _), _), (arrays, constants) in zip(functions, inputs, strict=True):
                total = total + count / self.source.rows * value(tree.grow(pieces), arrays, constants)
            return total

        both = jax.jit(value_and_slope(functions[0][1][1].closed)(of_vector))
        inputs = [(arrays, placement.constants(recorded.constants)) for _, (_, recorded), arrays in functions]
        if scale.ndim:
            start = start / scale
        u, wide = put([np.asarray(start, kind), np.asarray(scale, kind)])
        del start
        if workers == 1 and jax.default_backend() == "cpu":
            return Scaled(lambda u: _seen(both(u, inputs, wide)), np.asarray(u), scale, None, None)

        def look(u: Any) -> Any:
            self.stage += 1
            return both(u, inputs, wide)

        return Scaled(look, u, scale, None, None)

    def _recorded_value(self, rows: int) -> Any:
        job = self.job
        recorded = job.recorded if rows == job.batch_size else job.recordings.of_run(rows, job.precision)
        return plain_cost(recorded, self.tree, precision=job.precision, remat=job.remat), recorded

    def spent(self) -> float:
        """Passes over the data so far."""
        return float(self.walker.spent)

    def _agreed(self, flag: bool) -> bool:
        """Whether the flag is up in any process."""
        self.stage += 1
        return self.placement.agreed(flag)

    # -- after a step --------------------------------------------------------------------------------------------

    def _reason_to_stop(self) -> str:
        job, limits = self.job, self.job.limits
        if self.walker.run.steps >= limits.steps:
            return "steps"
        if self.spent() >= job.passes:
            return "passes"
        late, asked = self._elapsed() >= limits.seconds, self._asked
        if self.placement.processes > 1:
            late = isfinite(limits.seconds) and self._agreed(late)
            asked = next((word for word in ("stopped", "interrupted") if self._agreed(asked == word)), "")
        return asked or ("seconds" if late else "")

    def _after_step(self) -> None:
        job, run = self.job, self.walker.run
        row = self._row()
        if job.validation is not None:
            row = Row(**{**vars(row), "validation": self._validate()})
        self.history.add(row)
        self.history.costs.append(row.cost)
        if job.record is not None:
            job.record.row(row, (), (), ())
            if row.validation is not None:
                job.record.validation(row.step, row.validation, row.cost)
            stop, _ = job.record.wants_stop()
            self._asked = "stopped" if stop else self._asked
        if self.teller.due():
            self.teller.tell(line(row, None, "↘"))
        if job.callback is not None and job.callback(row) is True:
            self._asked = "stopped"
        checkpoints = job.checkpoints
        if checkpoints is not None and not run.reason:
            since = run.steps - self.saved_step
            late = time.perf_counter() - self.saved_at >= checkpoints.seconds
            due = since >= checkpoints.steps if checkpoints.steps is not None else self._agreed(late)
            if due:
                self._save()
        if job.patience is not None and self.since_best >= job.patience and not run.reason:
            run.reason = "stopped early"

    def _row(self) -> Row:
        run, seconds = self.walker.run, self._elapsed()
        return Row(
            step=run.steps,
            epoch=self.spent(),
            seconds=seconds,
            cost=run.value,
            smoothed=run.value,
            slope=run.slope,
            step_ratio=float("nan"),
            rate=1.0,
            examples_per_second=self.spent() * self.source.rows / max(seconds, 1e-9),
        )

    def _validate(self) -> float:
        job = self.job
        x = self._point()
        if self._validated is None:
            source = job.validation
            if self.passes is not None and isinstance(source, Rows):
                together = self.passes.together
                passes = Passes(job.cost, job.layout, source, source.arrays, job.precision, together)
                self._validated = passes.value
            else:
                evaluation = Evaluation(job, self.tree, self.placement)
                self._validated = lambda x: evaluation(self.tree.grow(self._arrays(x)))
        value = float(self._validated(x))
        self.history.validations.append((self.walker.run.steps, value))
        if is_lowest(value, None if self.best is None else self.best[0]):
            self.best, self.since_best = (value, np.array(x)), 0
        else:
            self.since_best += 1
        return value

    def last_look(self) -> tuple[float, np.ndarray] | None:
        """Cost and slope over all rows, (n,), where the walk ended, as `passes` saw them.

        None where other parameters are given back, and where a device saw them: how it rounds (a GPU may multiply with
        ten bits) cannot be told from passes on the host.
        """
        if self.job.patience is not None and self.best is not None:
            return None
        walker = self.walker
        if not walker.on_all:
            return None
        if isinstance(walker, Scaled):
            seen = walker.run.value, np.asarray(walker.inner.slope) / walker.scale
            return None if walker.passes is None else seen
        return walker.here.value, walker.here.slope

    def spread(self) -> np.ndarray:
        """The diagonal that scales the parameters, (n,): ones where nothing was measured."""
        walker = self.walker
        if isinstance(walker, Scaled):
            return np.broadcast_to(1.0 / walker.scale**2, (self.job.layout.n,))
        return np.ones(self.job.layout.n) if walker.factor is None else walker.factor.diagonal

    def _point(self) -> Any:
        walker = self.walker
        return walker.x if isinstance(walker, Scaled) else walker.run.x

    def _arrays(self, x: Any) -> list[np.ndarray]:
        whole = np.asarray(x)
        kind = np.float64 if self.job.precision == "float64" else np.float32
        return [
            np.array(whole[leaf.start : leaf.stop].reshape(leaf.shape), kind)
            for leaf in self.job.layout.leaves
        ]

    def _elapsed(self) -> float:
        return self.before + time.perf_counter() - self.began

    def _interrupt(self) -> None:
        self._asked = "interrupted"

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def _save(self) -> None:
        run = self.walker.run
        self.saved_at, self.saved_step = time.perf_counter(), run.steps
        numbers, arrays = self.walker.pack()
        if not self.placement.speaks:
            return
        held = [(name, np.asarray(array)) for name, array in arrays.items()]
        if self.best is not None:
            held.append(("best", self.best[1]))
        header = {
            **saved.told(self),
            "walk": numbers,
            "steps costs": self.history.costs,
        }
        self._writing = True
        try:
            saved.write(self, header, held, run.steps)
        finally:
            self._writing = False

    def _resume(self) -> None:
        found = preflight.newest_checkpoint(self)
        if found is None:
            return
        header, arrays, path = found
        saved.take_up(self, header, path)
        self.walker.unpack(header["walk"], arrays)
        self.history.costs = list(header["steps costs"])
        self.saved_step = self.walker.run.steps
        if header["best"] is not None:
            value, self.since_best = header["best"]
            self.best = value, np.array(arrays["best"])
        self.teller.note(f"going on from {path.name}")


def _seen(found: tuple[Any, Any]) -> tuple[float, np.ndarray]:
    """Cost and slope as the host sees them; on a CPU nothing is copied."""
    return float(found[0]), np.asarray(found[1])


class Scaled:
    """L-BFGS in the variables u = x / scale. `look(u)`: the cost and its slope along u.

    `passes`, and those over `samples`, of which the first gave the scale: who counts.
    """

    def __init__(
        self,
        look: Any,
        start: Any,
        scale: np.ndarray,
        rounding: float | None,
        passes: Any,
        samples: Sequence[Passes] = (),
    ) -> None:
        self.scale, self.passes, self.samples = scale, passes, samples
        self.inner = LimitedMemory(look, start, eps=rounding)
        self.run = self.inner.run

    @property
    def on_all(self) -> bool:
        """Whether the cost is that of all rows."""
        return True

    def step(self) -> bool:
        """Take a step; False where none was taken, with the reason in `run.reason`."""
        return self.inner.step()

    @property
    def x(self) -> np.ndarray:
        """Where the walk stands, in the user's variables, on the host."""
        x = np.asarray(self.run.x)
        return self.scale * x if self.scale.ndim else x

    @property
    def spent(self) -> float:
        """Passes over all rows so far, those over samples by their part."""
        if self.passes is None:
            return float(self.run.evaluations)
        beside = sum(sample.spent * sample.seen for sample in self.samples)
        return float(self.passes.spent + beside / self.passes.rows)

    def pack(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `LimitedMemory`."""
        numbers, arrays = self.inner.pack()
        return {**numbers, "spent": [counter.spent for counter in self._counters()]}, arrays

    def unpack(self, numbers: dict[str, Any], arrays: dict[str, Any]) -> None:
        """See `LimitedMemory`. The scale comes from the seed, with the same bits."""
        self.inner.unpack(numbers, arrays)
        for counter, spent in zip(self._counters(), numbers["spent"], strict=True):
            counter.spent = spent

    def _counters(self) -> list[Passes]:
        return [] if self.passes is None else [self.passes, *self.samples]


class FromSamples(Scaled):
    """L-BFGS that begins on `samples` of the rows, each as long as its slope is told from what sampling makes of it.

    A pass over a sample costs a small part of one over all rows, and what is learned there of the curvature is kept:
    Byrd, Chin, Nocedal & Wu, "Sample size selection in optimization methods for machine learning", Math. Program. 134,
    2012, whose norm test ends the beginning.
    """

    def __init__(
        self, samples: list[Passes], passes: Passes, start: np.ndarray, scale: np.ndarray, rounding: float
    ) -> None:
        self.levels, self.rounding, self.level = [*samples, passes], rounding, 0
        self.noise = 0.0  # the square of what sampling alone makes of the slope
        self.scale, self.passes = scale, passes
        self.begun = start / scale
        super().__init__(self._look(), self.begun, scale, self._coarser(), passes, samples)

    @property
    def on_all(self) -> bool:
        """Whether the cost is that of all rows."""
        return self.level == len(self.levels) - 1

    def step(self) -> bool:
        """Take a step, on a sample or on all rows."""
        while not self.on_all:
            exhausted = self.inner.size**2 <= LEFT_OF_SAMPLING * self.noise
            taken = not exhausted and self.inner.step()
            if taken and not self.run.reason:
                return True
            self.run.reason = ""
            self._to_more_rows()
            if taken:
                return True
        return self.inner.step()

    def _to_more_rows(self) -> None:
        """Go on over the next sample, or all rows: from here, or from the start where that is lower over them."""
        self.level += 1
        with np.errstate(invalid="ignore"):  # where the slope is not finite here
            self.inner.look_anew(self._look(), self._coarser())
        if start_is_lower(self.run, self.levels[self.level], self.scale * self.begun):
            self.run.x = np.array(self.begun)
            self.inner.look_anew(self._look(), self._coarser())

    def _look(self) -> Any:
        looking, level = _looking(self.levels[self.level], self.scale), self.levels[self.level]
        if self.on_all:
            return looking

        def look(u: np.ndarray) -> tuple[float, np.ndarray]:
            sums = level.look(self.scale * u)
            self.noise = float(np.sum(self.scale * self.scale * sums.spread)) / sums.blocks
            return sums.value, self.scale * sums.slope

        return look

    def _coarser(self) -> float:
        """The rounding of a mean over this level's rows."""
        return float(self.rounding * (self.passes.rows / self.levels[self.level].seen) ** 0.5)

    def pack(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `LimitedMemory`."""
        numbers, arrays = super().pack()
        return {**numbers, "level": self.level, "noise": self.noise}, arrays

    def unpack(self, numbers: dict[str, Any], arrays: dict[str, Any]) -> None:
        """See `LimitedMemory`. The samples come from the seed."""
        super().unpack(numbers, arrays)
        self.level, self.noise = numbers["level"], numbers["noise"]
        self.inner.look, self.inner.rounding = self._look(), self._coarser()


def _looking(passes: Passes, scale: np.ndarray) -> Any:
    """Cost and slope along u = x / scale."""

    def look(u: np.ndarray) -> tuple[float, np.ndarray]:
        sums = passes.look(scale * u)
        return sums.value, scale * sums.slope

    return look
