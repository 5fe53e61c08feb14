"""The loop: batches in, steps taken, costs looked back over, checkpoints written, trouble rolled back.

The device is never waited for at a step. Costs are collected as they come and looked at every `LOOK` steps, where the
run may be found to have diverged; there too it is remembered as good, and a checkpoint may be written. All of this
happens at step numbers, never at times of the clock, so that a run that is killed and taken up again ends with the
same bits as one that was not.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from math import inf, isfinite
from typing import Any

import jax
import numpy as np

from ..parameters import Layout
from ..tracing.batched import numbers_in
from . import preflight, saved
from .batches import Given, Rows
from .checkpoint import Checkpoints
from .distributed import Placement
from .divergence import Explanation, ceiling_of, explain, opening
from .first_step import begun
from .freed import hand_back
from .job import Job
from .joining import watched
from .kept import IN_MEMORY, Kept
from .met_steps import met
from .methods import with_slope_unit
from .prefetch import SHORT_WORK, Inline, Prefetched
from .shared import shared_sums
from .signals import interruptible
from .steps import (
    Added,
    Program,
    Seen,
    State,
    Tree,
    adding,
    fetched,
    first_state,
    nothing_added,
    plain_cost,
    program,
    slope_of,
)
from .stretches import Piece, Stretches, block_length, forecast, pieces, watched_every
from .together import cost_of_a_part, together
from .torch_steps import kept_besides, put_back, with_kept
from .validation import Evaluation, is_lowest
from .watching import History, Row, Teller, line, rows_apart, smoothed

# Steps between two looks back. A look waits for the device once; a rollback costs at most this many steps.
LOOK = 100
# Where a step takes longer than this many seconds, a tenth as many: a look back every few minutes at the least.
SLOW_STEP, SLOW_LOOK = 0.5, 10
# Batches of data that can be read once are held since the last look back, to be read again from there: as many as come
# to this many bytes, by one of these numbers of steps. The least are not many more than are under way and made ready.
HELD, HELD_LOOKS = 1 << 28, (LOOK, 50, 20, 10)
# Steps that may be under way at once. Without a limit a slow device would pile up batches in memory.
IN_FLIGHT = 8
# A divergence is answered with a smaller rate at most so many times before the run is given up.
ROLLBACKS = 4
# A copy of a state larger than this is not kept in memory for rolling back; the last checkpoint serves instead.
LARGEST_COPY = 1 << 28

FINISHED, OUT_OF_TIME, STOPPED, INTERRUPTED, EARLY, DIVERGED, NOT_FINITE, NO_MORE_DATA = (
    "finished",
    "out of time",
    "stopped by the callback",
    "interrupted",
    "stopped early",
    "diverged",
    "not finite",
    "no more data",
)


@dataclass
class Run:
    """What the loop leaves behind."""

    state: State
    history: History
    ended: str
    steps: int
    epoch: float
    seconds: float
    explanation: Explanation | None = None
    waited: float = 0.0
    rollbacks: int = 0
    program: Program | None = None
    tree: Tree | None = None
    timing: dict[str, float] = field(default_factory=dict)


@dataclass
class Cursor:
    """How far the data have been used: `batch` batches of epoch `epoch`, `step` steps in all."""

    epoch: int = 0
    batch: int = 0
    step: int = 0


class Walker:
    """The state of the loop while it runs; `walk` is the loop."""

    def __init__(self, job: Job, state: State | None = None, steps: Program | None = None) -> None:
        self.job = job
        self.tree = Tree.of(job.layout)
        self.placement: Placement = job.placement or Placement.of(job.mesh, job.shard)
        # Sums between processes on CPUs (gloo) deadlock where two steps ask for threads in another order.
        alone = self.placement.processes == 1 or jax.default_backend() != "cpu"
        self.in_flight = IN_FLIGHT if alone else 0
        # An accelerator takes about as long to hand over one number as many.
        self.joins = job.mesh is None and jax.default_backend() != "cpu"
        self.teller = Teller(job.progress if self.placement.speaks else False)
        self.history = History()
        self.cursor = Cursor()
        self.look = (
            LOOK
            if job.checkpoints is None or job.checkpoints.steps is None
            else min(LOOK, job.checkpoints.steps)
        )
        if self._once:
            self.look = min(self.look, look_for_held(job.source.layout))
        self.good_at = Cursor()
        self.smoothed: float | None = None
        self.lowest = self.opening = inf
        self.before = 0.0  # seconds of earlier sessions of this run
        self.rollbacks = 0
        self._rows_made = 0  # since it began or was taken up
        self.explanation: Explanation | None = None
        self.best: tuple[float, Any] | None = None
        self.best_kept: list[Any] = []  # what a module of PyTorch kept besides its parameters there
        self.since_best = 0
        self._given = state
        self._steps = steps
        self._pending: deque[tuple[int, int, Any]] = deque()  # first step, number of steps, their costs
        self._watched: deque[tuple[int, float, Any]] = deque()  # step, time, what was seen, on the device
        self._seen: deque[tuple[int, float, Seen]] = deque()  # the same on the host
        self._stop = ""
        self._asked = ""
        self._adding: Any = None
        self.stage = (
            0  # what this process has behind it that others wait for; the same in all if none is late
        )
        self._writing = False
        self.unwritten = 0  # checkpoints that the disk would not take
        self.saved_step = 0

    # -- the loop ------------------------------------------------------------------------------------------

    def walk(self) -> Run:
        """Take the steps; returns however they end."""
        with numbers_in(self.job.precision), interruptible(self._interrupt):
            self._prepare()
            waited = 0.0
            feed, batches, prepare = self._feeding()
            while not self._stop:
                cut = pieces(batches(), self.stretches, self.cursor.step)
                with feed(cut, prepare) as ahead:
                    again = self._through(ahead)
                    waited += ahead.waited
                if not again:
                    break
            self._finish()
            self._let_go()
        self.teller.close()
        cursor = self.cursor
        per_epoch = self.job.steps_per_epoch
        return Run(
            self.state,
            self.history,
            self._stop,
            cursor.step,
            cursor.step / per_epoch if per_epoch else float(cursor.epoch),
            self._elapsed(),
            self.explanation,
            waited,
            self.rollbacks,
            program=self.steps,
            tree=self.tree,
        )

    def watched(self) -> AbstractContextManager[None]:
        """While in here, a process that hangs is named: for the walk, and for judging its end."""
        return watched(lambda: (self.stage, self.cursor.step), lambda: self._writing)

    def _prepare(self) -> None:
        job = self.job
        began = time.perf_counter()
        total = job.limits.steps if isfinite(job.limits.steps) else inf
        placed = None if job.mesh is None else self.placement
        state = self._given or first_state(job.method, self.tree, job.layout.arrays, total, placed)
        self.began = began
        self.state: State = self._resumed(state) if job.resume else state
        self.good_at = Cursor(**vars(self.cursor))
        self.steps = self._steps or self._compiled()
        self.constants = self.placement.constants(self.steps.constants)
        self.large = saved.size_of(self.state) > IN_MEMORY
        if self.cursor.step == 0:
            self.opening, slope = opening(self, self.state)
            if slope is not None:
                self.state = self.state._replace(memory=with_slope_unit(self.state.memory, slope))
            del slope  # as large as the parameters
            self.state = begun(self, self.state)
            self._hand_back()
        self.stretches, self.every = self._cut(rows_apart(total))
        size, on_host = saved.size_of(self.state), jax.default_backend() == "cpu" and job.mesh is None
        self.good = (
            None if size > LARGEST_COPY else Kept(self.steps.copy, in_file=on_host and size > IN_MEMORY)
        )
        self._remember()
        self.evaluation = None if job.validation is None else Evaluation(job, self.tree, self.placement)
        self.saved_at = time.perf_counter()
        self._timed = (time.perf_counter(), self.cursor.step)
        self._paced = (time.perf_counter(), self.cursor.step + self.look)  # the first steps compile

    def _compiled(self) -> Program:
        job, part = self.job, cost_of_a_part(self.job, self.placement)
        sharding = self.placement.of_state(self.state)
        steps = program(
            job.recorded if part is None else part,
            job.method,
            self.tree,
            precision=job.precision,
            remat=job.remat,
            accumulate=job.accumulate,
            sharding=sharding,
            joined=None if part is None else partial(together, mesh=job.mesh),
        )
        sums = None if part is None else shared_sums()
        if part is None or sums is None:
            return steps
        value = plain_cost(part, self.tree, precision=job.precision, remat=job.remat)
        slope = slope_of(part, value, job.accumulate)
        return met(steps, slope, sums, job.method, self.tree, job.mesh, sharding)

    def _cut(self, every: int) -> tuple[Stretches, int]:
        """Which steps go in one dispatch; and the steps from a watched one to the next, a whole number of blocks."""
        job, backend = self.job, jax.default_backend()
        if job.recorded is None:
            return Stretches(), every
        workers = 1 if job.mesh is None else int(job.mesh.devices.size)
        seconds = forecast(job.recorded, job.layout.n, backend) * job.accumulate / workers
        every = watched_every(every, seconds, job.layout.n, len(job.layout.leaves), self.look, backend)
        if job.mesh is not None:
            return Stretches(), every
        per_epoch = None if job.validation is None else job.steps_per_epoch
        rows = job.source.layout.arrays
        batch_bytes = sum(array.nbytes / max(1, len(array)) for array in rows) * job.batch_size
        block = block_length(seconds, self.look, every, per_epoch, batch_bytes)
        return Stretches(block, job.limits.steps, per_epoch), -(-every // block) * block

    def _feeding(self) -> tuple[Any, Any, Any]:
        """How batches reach the device: gathered there, made ready at once, or made ready on another thread."""
        source = self.job.source
        if not isinstance(source, Rows):
            return Prefetched, self._batches, self._on_devices
        held = self.placement.held(source)
        if held is not None:
            return Inline, self._chosen, lambda piece: piece._replace(batch=held(piece.batch))
        if source.batch_bytes(self.job.batch_size * max(1, self.stretches.block - 1)) <= SHORT_WORK:
            return Inline, self._chosen, self._taken
        return (
            Prefetched,
            self._chosen,
            lambda piece: self._on_devices(piece._replace(batch=source.taken(piece.batch))),
        )

    def _taken(self, piece: Piece) -> Piece:
        """The rows of a piece, left to the compiled step to take over where there is one device."""
        arrays = self.job.source.taken(piece.batch)  # type: ignore[attr-defined]
        return piece._replace(batch=self.placement.as_they_are(arrays))

    def _chosen(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Which rows each batch holds."""
        job, cursor = self.job, self.cursor
        epoch, first = cursor.epoch, cursor.batch
        assert job.steps_per_epoch is not None
        while True:
            for k in range(first, job.steps_per_epoch):
                yield epoch, k, job.source.chosen(epoch, k, job.batch_size, job.part)  # type: ignore[attr-defined]
            epoch, first = epoch + 1, 0

    def _batches(self) -> Iterator[tuple[int, int, list[np.ndarray]]]:
        job, cursor = self.job, self.cursor
        epoch, first = cursor.epoch, cursor.batch
        while True:
            k = first
            for arrays in job.source.batches(epoch, first, job.batch_size, job.part):
                yield epoch, k, arrays
                k += 1
            if k == 0 or self._once:
                return
            epoch, first = epoch + 1, 0

    def _on_devices(self, piece: Piece) -> Piece:
        with numbers_in(self.job.precision):  # the scope of the loop does not reach into the other thread
            return piece._replace(batch=self.placement.rows(piece.batch))

    def _through(self, ahead: Any) -> bool:
        """Take steps until something ends the run (False) or it was rolled back (True)."""
        cursor = self.cursor
        for piece in ahead:
            self._stop = self._stop or self._reason_to_stop()
            if self._stop:
                return self._settled() is False
            self._step(piece)
            if cursor.step % self.look == 0 and not self._look_back():
                return True
            if self._epoch_ended(piece.k) and not self._after_epoch():
                return not self._stop
        self._stop = NO_MORE_DATA
        return self._settled() is False

    def _reason_to_stop(self) -> str:
        """Why no further step is to be taken, "" if one is. Processes must agree on what a clock or a signal says."""
        limits, step = self.job.limits, self.cursor.step
        if step >= limits.steps:
            return FINISHED
        if self.placement.processes > 1 and step % self.look:
            return ""
        asked = self._asked
        late = isfinite(limits.seconds) and self._elapsed() >= limits.seconds and step > 0
        if self.placement.processes > 1 and step:
            asked = next(
                (reason for reason in (STOPPED, INTERRUPTED) if self._agreed(self._asked == reason)), ""
            )
            late = self._agreed(late)
        return asked or (OUT_OF_TIME if late else "")

    def _agreed(self, flag: bool) -> bool:
        """Whether the flag is up in any process."""
        self.stage += 1
        return self.placement.agreed(flag)

    def _step(self, piece: Piece) -> None:
        """One step, or a stretch of them, sent to the device."""
        cursor = self.cursor
        self.stage += 1
        watch = cursor.step % self.every == 0
        if piece.steps > 1:
            self.state, cost = self.steps.stretch(self.state, piece.batch, self.constants)
        elif watch or self.stretches.block > 1:  # the plain step is not compiled for the few that go alone
            self.state, cost, seen = self.steps.watched(self.state, piece.batch, self.constants)
            if watch:
                self._watched.append((cursor.step, time.perf_counter(), seen))
        else:
            self.state, cost = self.steps.plain(self.state, piece.batch, self.constants)
        self._pending.append((cursor.step, piece.steps, cost))
        cursor.step += piece.steps
        cursor.epoch, cursor.batch = piece.epoch, piece.k + 1
        if len(self._pending) > self.in_flight:
            self._wait_for(-1 - self.in_flight)
        if self.teller.due() or (self.job.callback is not None and self._watched):
            self._tell()
        if self.job.record is not None and self._watched:
            self._obey()
        if cursor.step == 2 and not self.rollbacks and self.stretches.block == 1:
            self._measure_step()

    def _wait_for(self, place: int) -> None:
        """Wait for the steps at this place of those whose costs are not in yet."""
        step, count, cost = self._pending[place]
        cost.block_until_ready()
        if jax.default_backend() == "cpu":
            # Read while other steps are under way: at a look back the device would wait for a hundred readings.
            self._pending[place] = (step, count, np.asarray(cost))

    def _measure_step(self) -> None:
        """Look back more often where steps are slow; decided once, at the second step of a fresh run."""
        began = time.perf_counter()
        if self._pending:
            jax.block_until_ready(self._pending[-1][2])
        if self._agreed(time.perf_counter() - began > SLOW_STEP):
            self.look = min(self.look, SLOW_LOOK)
        self._hand_back()  # what the compiler is done with

    # -- looking back ----------------------------------------------------------------------------------------

    def _settled(self) -> bool:
        """Fetch the costs of all steps so far; False if the run was rolled back for what they show."""
        self._fetch()
        self._flush_rows()
        recent = self.history.costs[self.good_at.step :]
        limit = self.job.ceiling if self.job.ceiling is not None else ceiling_of(self.opening, self.lowest)
        bad = next((i for i, cost in enumerate(recent) if not isfinite(cost)), None)
        above = len(recent) >= 4 and float(np.mean(recent[-max(4, len(recent) // 4) :])) > limit
        if bad is None and not above:
            return True
        self._diverged(None if bad is None else self.good_at.step + bad, limit)
        return False

    def _fetch(self) -> None:
        """Bring the costs of the steps taken so far, and what the watched ones tell, to the host."""
        costs = self.history.costs
        waiting = [cost for _, _, cost in self._pending] + [seen for _, _, seen in self._watched]
        # A whole look's worth comes again in the same shapes, and is worth a program that lays it together.
        whole = sum(count for _, count, _ in self._pending) == self.look
        found = iter(fetched(waiting, joined=self.joins and whole and len(waiting) > 1))
        for step, _, _ in self._pending:
            assert step == len(costs)
            new = np.atleast_1d(next(found)).astype(float).tolist()
            costs.extend(new)
            self.lowest = min([self.lowest, *(cost for cost in new if cost < self.lowest)])
        self._seen.extend((step, when, Seen.unpacked(next(found))) for step, when, _ in self._watched)
        self._pending.clear()
        self._watched.clear()

    def _look_back(self) -> bool:
        """Settle the costs, remember the state as good, write a checkpoint if it is time; False after a rollback."""
        self._spread_schedule()
        # Asked for before the device is waited for: the host needs milliseconds to ask, which steps under way hide.
        if self.good is not None:
            self.good.begin(self.state)
        if not self._settled():
            return False
        if not self._remember():
            self._diverged(self.cursor.step, inf)
            return False
        checkpoints = self.job.checkpoints
        if checkpoints is not None and self._checkpoint_due(checkpoints):
            self._save()
        return True

    def _spread_schedule(self) -> None:
        """Where only the clock ends the run, foresee how many steps it will come to from how fast they went."""
        limits = self.job.limits
        if isfinite(limits.steps) or not isfinite(limits.seconds) or self.job.method.schedule == "constant":
            return
        left = max(0.0, limits.seconds - self._elapsed())
        if self.placement.processes == 1 and self.cursor.step > self._paced[1]:
            pace = (time.perf_counter() - self._paced[0]) / (self.cursor.step - self._paced[1])
            total = self.cursor.step + max(1.0, left / pace)
            self.state = self.state._replace(total=jax.numpy.asarray(total, jax.numpy.float32))
        self._paced = (time.perf_counter(), self.cursor.step)

    def _remember(self) -> bool:
        """Keep a copy of the state for rolling back; False if it holds what is not finite."""
        if self.good is not None and not self.good.keep(self.state):
            return False
        self.good_at = Cursor(**vars(self.cursor))
        if isinstance(self.job.source, Given):
            self.job.source.let_go(self.good_at.batch)
        return True

    def _diverged(self, bad_step: int | None, limit: float) -> None:
        """Roll back and go on with a smaller step, or give the run up, with `_stop` set."""
        job = self.job
        good = self._good_state()
        if good is not None:
            self.explanation, before = explain(self, good, bad_step, limit)
            if before is not None:
                good, self.good_at = before.state, Cursor(before.epoch, before.batch, before.step)
        self.rollbacks += 1
        hopeless = self.explanation is not None and bool(self.explanation.remedy)
        if good is None or self.rollbacks > ROLLBACKS or hopeless or not self._can_rewind():
            if good is not None:
                self._restore(good)
            self._stop = NOT_FINITE if bad_step is not None else DIVERGED
            return
        self._restore(good)
        assert self.explanation is not None
        self.state = self.state._replace(scale=self.state.scale * self.explanation.part_of_step())
        if self.good is not None:
            self.good.keep(self.state)
        rate = "" if job.method.rate is None else f" to {job.method.rate * float(self.state.scale):.2g}"
        words = f"{self.explanation.sentence} Back to step {self.cursor.step:,}, the rate cut{rate}."
        saved.happened(self, words)
        self._stop = ""

    def _good_state(self) -> State | None:
        kept = None if self.good is None else self.good.state()
        if kept is not None:
            return kept
        if self.job.checkpoints is None:
            return None
        found = self.job.checkpoints.newest(self.teller.warn)
        if found is None:
            return None
        header, arrays, _ = found
        self.good_at = Cursor(**header["cursor"])
        return self.placement.state(
            saved.state_from(self.state, arrays, self.tree, [leaf.name for leaf in self.job.layout.leaves])
        )

    @property
    def _once(self) -> bool:
        """Whether the data can be read once only."""
        return isinstance(self.job.source, Given) and self.job.source.once

    def _can_rewind(self) -> bool:
        """Whether the batches since the last good state can be read again."""
        return not self._once or self.job.source.holds(self.good_at.batch)  # type: ignore[attr-defined]

    def _restore(self, good: State) -> None:
        self.state, _ = self.steps.copy(good)
        self.cursor = Cursor(**vars(self.good_at))
        self.history.back_to(self.cursor.step)
        self.lowest = min(filter(isfinite, self.history.costs), default=inf)
        self._pending.clear()
        self._watched.clear()
        self._seen.clear()
        self.smoothed = None

    # -- showing -----------------------------------------------------------------------------------------------

    def _flush_rows(self) -> Row | None:
        """Turn the watched steps whose costs are in into rows; the last of them."""
        row = None
        costs = self.history.costs
        done = self.history.rows[-1].step if self.history.rows else -1
        while self._seen:
            step, when, seen = self._seen.popleft()
            self.smoothed = smoothed(self.smoothed, costs[max(done, step - 400) + 1 : step + 1])
            row = self._row(step, when, seen)
            self.history.add(row)
            done = step
            if self.job.record is not None:
                self.job.record.row(row, seen.slope, seen.step, seen.size)
        return row

    def _row(self, step: int, when: float, seen: Any) -> Row:
        per_epoch = self.job.steps_per_epoch
        started, first = self._timed
        speed = 0.0
        self._rows_made += 1
        if self._rows_made <= 2:  # until then the compiler takes its time, after a resume too
            self._timed = (when, step)
        elif step > first:
            speed = (step - first) * self.job.batch_size / (when - started)
        if step - first > 20 * self.every:
            self._timed = (when, step)
        slope, moved, size = (
            float(np.linalg.norm(norms.astype(np.float64))) for norms in (seen.slope, seen.step, seen.size)
        )
        return Row(
            step=step,
            epoch=step / per_epoch if per_epoch else float(self.cursor.epoch),
            seconds=self.before + when - self.began,
            cost=float(seen.cost),
            smoothed=float(self.smoothed if self.smoothed is not None else seen.cost),
            slope=slope,
            step_ratio=moved / size if size else inf,
            rate=float(seen.rate),
            examples_per_second=speed,
        )

    def _tell(self) -> None:
        """Show the latest row; this waits for the device, and happens only where somebody is looking."""
        self._fetch()
        row = self._flush_rows()
        if row is None:
            return
        if self.job.callback is not None and self.job.callback(row) is True:
            self._asked = STOPPED
        if self.teller.due():
            falling = len(self.history.rows) < 2 or row.smoothed < self.history.rows[-2].smoothed
            self.teller.tell(line(row, self._left(row), "↘" if falling else "↗"))

    def _obey(self) -> None:
        """Do what a viewer of the run file asks for, where the file was opened for that."""
        stop, halve = self.job.record.wants_stop()
        if stop:
            self._asked = STOPPED
        if halve and self.placement.processes == 1:
            self.state = self.state._replace(scale=self.state.scale * 0.5)

    def _left(self, row: Row) -> float | None:
        limits = self.job.limits
        ends = [limits.seconds - row.seconds] if isfinite(limits.seconds) else []
        if isfinite(limits.steps) and row.examples_per_second > 0:
            ends.append((limits.steps - row.step) * self.job.batch_size / row.examples_per_second)
        return max(0.0, min(ends)) if ends else None

    def _elapsed(self) -> float:
        return self.before + time.perf_counter() - self.began

    # -- epochs ------------------------------------------------------------------------------------------------

    def _epoch_ended(self, k: int) -> bool:
        per_epoch = self.job.steps_per_epoch
        return per_epoch is not None and k + 1 == per_epoch

    def _after_epoch(self) -> bool:
        """Measure the validation cost; False if the run stops early for it or was rolled back."""
        if self.evaluation is None:
            return True
        if not self._settled():
            return False
        value = self.evaluation(self.state.parameters)
        self.history.validations.append((self.cursor.step, value))
        if self.job.record is not None:
            self.job.record.validation(self.cursor.step, value, self.history.costs[-1])
        if self.history.rows:
            last = self.history.rows[-1]
            self.history.rows[-1] = Row(**{**vars(last), "validation": value})
        if is_lowest(value, None if self.best is None else self.best[0]):
            best = self.steps.copy(self.state)[0]
            self.best, self.since_best = (value, best.parameters), 0
            self.best_kept = [] if self.job.torch is None else kept_besides(best)
        else:
            self.since_best += 1
        if self.job.patience is not None and self.since_best >= self.job.patience:
            self._stop = EARLY
            return False
        return True

    def _finish(self) -> None:
        job = self.job
        if self._stop in (STOPPED, INTERRUPTED, EARLY):
            asked = self._stop
            self._settled()
            self._stop = self._stop or asked
        if job.checkpoints is not None and self._stop not in (DIVERGED, NOT_FINITE):
            self._save()
        saved.count_unwritten(self)
        if isinstance(job.source, Given) and job.source.shorter:
            words = "a batch" if job.source.shorter == 1 else f"{job.source.shorter:,} batches"
            saved.happened(self, f"{words} of fewer rows than the first left out: all must have its shape")
        if job.patience is not None and self.best is not None:
            self.state = self.state._replace(parameters=self.best[1])
            if job.torch is not None and self.best_kept:
                self.state = with_kept(self.state, self.best_kept)

    def _let_go(self) -> None:
        """Free what only further steps would need: the judge of the end wants memory of its own."""
        if self.good is not None:
            self.good.forget()
        if self.job.torch is not None:
            put_back(self.job.torch, kept_besides(self.state))
        self.state = self.state._replace(memory=None)
        if isinstance(self.job.source, Given):
            self.job.source.let_go(self.cursor.batch)
        self._hand_back()

    def added(self, sums: Any, parameters: Any, batch: Any) -> tuple[Any, Added]:
        """The slope of one more batch added to the sums, None before the first; and what it told."""
        self.stage += 1
        rows = self.placement.rows(batch)
        if self._adding is None:
            self._adding = self._made_adding(parameters, rows)
        found = self._adding(
            nothing_added(parameters) if sums is None else sums, parameters, rows, self.constants
        )
        return found.sums, found

    def _made_adding(self, parameters: Any, rows: Any) -> Any:
        added: Any = self.steps.added
        if added is None:
            return adding(self.tree, self.steps.gradient)
        if not self.large or self.job.mesh is not None or not isinstance(self.job.source, Rows):
            return added
        # Before there are sums: what the compiler needs and what they take is then never needed at once.
        return added.lower(parameters, parameters, rows, self.constants).compile()

    def taken_off(self, parameters: Any) -> list[np.ndarray]:
        """The parameters as arrays of NumPy; each is let go of once copied, so that none but one is there twice."""
        self._hand_back()
        taken = []
        for array in self.tree.leaves(parameters):
            self.stage += 1
            taken.append(self.placement.whole(array))
            if isinstance(array, jax.Array):
                array.delete()
        return taken

    def _hand_back(self) -> None:
        if self.large:
            hand_back()

    # -- checkpoints --------------------------------------------------------------------------------------------

    def _checkpoint_due(self, checkpoints: Checkpoints) -> bool:
        if checkpoints.steps is not None:
            return self.cursor.step - self.saved_step >= checkpoints.steps
        return self._agreed(time.perf_counter() - self.saved_at >= checkpoints.seconds)

    def _save(self) -> None:
        self.saved_at, self.saved_step = time.perf_counter(), self.cursor.step
        header, arrays = saved.pack(self)
        if not self.placement.speaks:
            return
        self._writing = True
        try:
            saved.write(self, header, arrays, self.cursor.step)
        finally:
            self._writing = False

    def _resumed(self, state: State) -> State:
        found = preflight.newest_checkpoint(self)
        if found is None:
            return state
        header, arrays, path = found
        state = self.placement.state(saved.unpack(self, state, header, arrays, path))
        self.teller.note(f"going on from {path.name}")
        return state

    def _interrupt(self) -> None:
        self._asked = INTERRUPTED


def look_for_held(batch: Layout) -> int:
    """Steps between two looks back where batches of this form are held from one to the next.

    >>> [look_for_held(Layout.of(np.zeros((128, width)), "data")) for width in (100, 10_000, 1_000_000)]
    [100, 20, 10]
    """
    size = sum(array.nbytes for array in batch.arrays)
    return next((look for look in HELD_LOOKS if look * size <= HELD), HELD_LOOKS[-1])
