"""Run files: what a walk appends to while it goes, and what anybody may read while it does.

A run file holds JSON objects, one a line, UTF-8. The process that computes only ever appends; a viewer is another
process that reads. So a viewer can neither slow nor hang nor end a run, and the file survives both.

    {"run": 1, "kind": "train", "label": "model.py:loss", "names": ["w", "b"], "n": 2, "started": 1767225600.0, ...}
    {"step": 0, "value": 6.0, "gradient_norm": 4.0, "seconds": 0.001, "evaluations": 1, "x": [3.0]}
    {"step": 1, "value": 2.4, "rate": 0.1, "groups": {"layer 1": {"step": 0.02, "size": 1.5, "gradient": 0.3}}, ...}
    {"event": "rate halved", "step": 120, "seconds": 4.2, "by": "explorer"}
    {"end": "local minimum", "sentence": "...", "seconds": 9.1, "step": 300, "value": 2.0}

*Header*, first line: `run` is the version of the format; `kind` is "minimize", "fit" or "train"; `label` names the
cost, and is the expression itself where `expression` is true; `names` of the parameters (of at most 1,000 of them),
`n` their number; `started`, seconds since 1970; `steerable`, whether the job obeys commands; `settings`, whatever else
the kind of run wants to say. A later header begins another run in the same file, unless it says `"continues": true`,
as a resumed training does.

*Step*: `step` counts accepted iterates, the start is 0; `value` is the cost. Everything else is optional:
`gradient_norm`, `step_length`, `rate`, `seconds` since the start, `evaluations`, `epoch`, `validation`, `x`, and
`groups`, a dict from the name of a parameter group to numbers `gradient`, `step` and `size`, the Euclidean lengths
of its gradient, its step and itself. Numbers that JSON cannot write stand as the strings "NaN", "Infinity",
"-Infinity". `x` is left out above 1,000 parameters, and thinned in long runs: every 1st, 2nd, 4th, ... step has it.

*Event*: something done to the run, by whom. *End*: the verdict or the reason, and a sentence.

Lines go out at least once a second and are never synchronised to disk. A process that is killed leaves at most one
line without its end; the reader waits for the end of a line, skips what is damaged, and counts it. A writer that
finds such a line begins a new one.

Commands go the other way, through a file beside it, `RUN.commands`, one JSON object a line: {"command": "stop"},
"pause", "go on", "halve the rate". They are obeyed only where the job opted in (`steerable=True`), and each is
written into the run file as an event.

    with RunWriter("run.jsonl", kind="train", label="loss", n=2, steerable=True) as run:
        run.step(0, 6.0, gradient_norm=4.0)
        for command in run.asked():              # "stop" and "halve the rate"; a pause is waited out in here
            ...
        run.end("stopped", "asked to stop")
"""

from __future__ import annotations

import json
import math
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from .errors import InputError

FORMAT = 1
# Seconds between two writes. More and a viewer seems to hang; less and a fast walk spends its time writing.
FLUSH_EVERY = 0.5
# Seconds between two looks for commands, and between two looks while paused.
POLL_EVERY, PAUSE_EVERY = 0.5, 0.1
# With more parameters a row of them is longer than anybody reads, and a long run fills the disk.
MOST_PARAMETERS = 1_000
# Rows with `x` kept at an even stride; then every second is left out, and so on.
MOST_POINTS = 4_000
# A line longer than this was not written by us.
LONGEST_LINE = 1 << 20
# Bytes read at a time, so that a file of any size never has to fit into memory at once.
CHUNK = 1 << 22

STOP, PAUSE, GO_ON, HALVE_RATE = "stop", "pause", "go on", "halve the rate"
COMMANDS = (STOP, PAUSE, GO_ON, HALVE_RATE)


def commands_path(path: str | os.PathLike[str]) -> Path:
    """Where the commands for a run are written: beside its file."""
    return Path(f"{os.fspath(path)}.commands")


# -- writing ------------------------------------------------------------------------------------------------


class RunWriter:
    """Appends one run to a file; cheap enough to be called at every step.

    Parameters are those of the header (see the module). The file is made where there is none, and added to where
    there is one. `continues`: this goes on with the run that the file ends in. Raises `InputError` where the file
    cannot be opened. Any error in writing later (a full disk) ends the record and never the run; `broken` then
    says what happened.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "run.jsonl"
    >>> with RunWriter(path, kind="minimize", label="x**2", n=1) as run:
    ...     run.step(0, 9.0, x=[3.0])
    ...     run.step(1, math.inf)
    >>> [row["value"] for row in read_run(path).steps]
    [9.0, inf]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        kind: str = "minimize",
        label: str = "cost",
        n: int = 1,
        names: Sequence[str] | None = None,
        expression: bool = False,
        settings: Mapping[str, Any] | None = None,
        continues: bool = False,
        steerable: bool = False,
    ) -> None:
        self.path = Path(path)
        self.steerable = steerable
        self.broken: str | None = None  # why nothing more is written, once a disk has refused
        self._began = self._written = self._looked = time.perf_counter()
        self._waiting: list[str] = []
        self._stride = 1
        self._points = 0
        self._keeps_x = n <= MOST_PARAMETERS
        self._commands_read = 0
        self._last_step = 0
        try:
            self._file: IO[bytes] | None = open(self.path, "ab")  # noqa: SIM115  (closed by close)
            if steerable:
                commands_path(path).write_bytes(
                    b""
                )  # what was asked of an earlier run is not asked of this one
        except OSError as error:
            raise InputError(f"the run cannot be written to {self.path}: {error.strerror}") from error
        if _ends_in_half_a_line(self.path):
            self._waiting.append("")
        named = [str(name) for name in names] if names is not None and n <= MOST_PARAMETERS else []
        self._add(
            {
                "run": FORMAT,
                "kind": kind,
                "label": label,
                "expression": expression,
                "names": named,
                "n": n,
                "started": time.time(),
                "steerable": steerable,
                "continues": continues,
                "settings": dict(settings or {}),
            }
        )
        self._flush()

    def step(self, step: int, value: float, *, x: Any = None, **measured: Any) -> None:
        """Add one accepted iterate; None among `measured` (`gradient_norm`, `rate`, `groups`, ...) is left out."""
        row: dict[str, Any] = {"step": int(step), "value": value}
        row |= {name: number for name, number in measured.items() if number is not None}
        row.setdefault("seconds", time.perf_counter() - self._began)
        if x is not None and self._keeps_x and step % self._stride == 0:
            row["x"] = np.asarray(x, dtype=np.float64).ravel().tolist()
            self._points += 1
            if self._points >= MOST_POINTS:
                self._stride, self._points = 2 * self._stride, self._points // 2
        self._last_step = int(step)
        self._add(row)

    def event(self, what: str, *, by: str = "the run", **details: Any) -> None:
        """Add something that was done to the run."""
        self._add(
            {
                "event": what,
                "by": by,
                "step": self._last_step,
                "seconds": time.perf_counter() - self._began,
                **details,
            }
        )
        self._flush()

    def end(self, word: str, sentence: str = "", **details: Any) -> None:
        """Add how the run ended: a verdict or a reason, and a sentence."""
        seconds = time.perf_counter() - self._began
        self._add({"end": word, "sentence": sentence, "step": self._last_step, "seconds": seconds, **details})
        self._flush()

    def asked(self) -> tuple[str, ...]:
        """What a viewer asked for since the last call: "stop", "halve the rate". Empty unless steerable.

        A pause is waited out inside. Each command is written into the record. Looks twice a second at most.
        """
        now = time.perf_counter()
        if not self.steerable or now - self._looked < POLL_EVERY:
            return ()
        self._looked = now
        found: list[str] = []
        paused = False
        while True:
            for command in self._new_commands():
                self.event(command, by="explorer")
                paused = command == PAUSE or (paused and command not in (GO_ON, STOP))
                if command in (STOP, HALVE_RATE):
                    found.append(command)
            if not paused:
                self._looked = time.perf_counter()
                return tuple(found)
            time.sleep(PAUSE_EVERY)

    def _new_commands(self) -> list[str]:
        try:
            with open(commands_path(self.path), "rb") as file:
                file.seek(self._commands_read)
                text = file.read(LONGEST_LINE)
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._commands_read += len(whole)
        rows = (_row(line) for line in whole.splitlines())
        return [row["command"] for row in rows if row is not None and row.get("command") in COMMANDS]

    def close(self) -> None:
        """Write what is waiting and close the file."""
        self._flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _add(self, row: dict[str, Any]) -> None:
        self._waiting.append(json.dumps(_writable(row), ensure_ascii=False, allow_nan=False))
        if time.perf_counter() - self._written > FLUSH_EVERY:
            self._flush()

    def _flush(self) -> None:
        """Write whole lines in one call, past every buffer but the system's."""
        self._written = time.perf_counter()
        if not self._waiting or self._file is None:
            return
        text = "\n".join(self._waiting) + "\n"
        self._waiting.clear()
        try:
            self._file.write(text.encode("utf-8", "replace"))
            self._file.flush()
        except OSError as error:
            why = f"could not be written ({error.strerror}); the run goes on without it"
            self.broken = f"the run file {self.path} {why}"
            self._file = None
            warnings.warn(self.broken, RuntimeWarning, stacklevel=2)


@contextmanager
def told_if_it_fails(writer: RunWriter) -> Iterator[None]:
    """Close `writer` at the end, whose record says so where the run ends by an exception."""
    with writer:
        try:
            yield
        except BaseException as error:
            writer.end("failed", f"{type(error).__name__}: {error}")
            raise


def _ends_in_half_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _writable(value: Any) -> Any:
    """The value as JSON can hold it; what is not finite becomes a string."""
    if isinstance(value, Mapping):
        return {str(key): _writable(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return _writable(value.tolist())
    if isinstance(value, list | tuple):
        return [_writable(entry) for entry in value]
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def ask(path: str | os.PathLike[str], command: str) -> None:
    """Ask the job that writes the run `path` for something; whether it listens, its header says."""
    if command not in COMMANDS:
        raise InputError(f"{command!r} is no command for a run; there are {', '.join(COMMANDS)}")
    with open(commands_path(path), "ab") as file:
        file.write(json.dumps({"command": command, "time": time.time()}).encode() + b"\n")


# -- reading ------------------------------------------------------------------------------------------------


@dataclass
class RunRecord:
    """A run as it stands in its file: `header`, `steps`, `events`, and `end` (None while it goes on).

    `damaged`: lines that could not be read. `size`: bytes read.
    """

    header: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] | None = None
    damaged: int = 0
    size: int = 0

    @property
    def points(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The iterates that the file holds, shape (r, n)."""
        n = int(self.header.get("n", 1))
        rows = [row["x"] for row in self.steps if len(row.get("x", ())) == n]
        return np.array(rows, dtype=np.float64).reshape(len(rows), n)

    def column(self, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """One measured number of every step, shape (k,); NaN where a step has none."""
        return np.array([row.get(name, math.nan) for row in self.steps], dtype=np.float64)


class RunReader:
    """Follows a run file: each `read` takes in what was added since the last.

    The file may not exist yet, may grow while it is read, may end within a line, and may be begun anew.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.record = RunRecord()
        self.restarts = 0
        self._half = b""

    def read(self) -> int:
        """Take in what is new; how many lines that was."""
        try:
            size = self.path.stat().st_size
        except OSError:
            return 0
        if size < self.record.size:  # the file was begun anew
            self._begin_anew()
        lines = 0
        with open(self.path, "rb") as file:
            file.seek(self.record.size)
            while chunk := file.read(CHUNK):
                self.record.size += len(chunk)
                lines += self._take(chunk)
        return lines

    def age(self) -> float | None:
        """Seconds since the file was last added to; None where there is no file."""
        try:
            return max(0.0, time.time() - self.path.stat().st_mtime)
        except OSError:
            return None

    def _begin_anew(self) -> None:
        self.record, self._half = RunRecord(), b""
        self.restarts += 1

    def _take(self, chunk: bytes) -> int:
        *whole, self._half = (self._half + chunk).split(b"\n")
        if len(self._half) > LONGEST_LINE:
            self._half = self._half[:LONGEST_LINE]
        for line in whole:
            if line.strip():
                self._line(line)
        return len(whole)

    def _line(self, line: bytes) -> None:
        row = _row(line)
        record = self.record
        if row is None:
            record.damaged += 1
        elif "run" in row:
            self._header(row)
        elif not record.header:
            record.damaged += 1
        elif "step" in row and "value" in row and "end" not in row and "event" not in row:
            record.steps.append(row)
        elif "event" in row:
            record.events.append(row)
        elif "end" in row:
            record.end = row
        else:
            record.damaged += 1

    def _header(self, row: dict[str, Any]) -> None:
        record = self.record
        if record.header and not row.get("continues"):
            self.record = record = RunRecord(size=record.size, damaged=record.damaged)
            self.restarts += 1
        record.header = row
        record.end = None


def read_run(path: str | os.PathLike[str]) -> RunRecord:
    """The last run in a file, as far as it has been written.

    Raises `InputError` where there is no such file, or it holds no run.
    """
    if not Path(path).is_file():
        raise InputError(f"there is no run file {os.fspath(path)}")
    reader = RunReader(path)
    reader.read()
    if not reader.record.header:
        raise InputError(
            f"{os.fspath(path)} holds no run: it should be a file that record= of minimize or train wrote"
        )
    return reader.record


_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
# Fields whose text is text: a parameter called NaN stays one.
_WORDS = {"kind", "label", "names", "settings", "event", "by", "end", "sentence", "command"}


def _row(line: bytes) -> dict[str, Any] | None:
    """One line as a dict; None for what is no object of ours."""
    if len(line) > LONGEST_LINE:
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    row = {name: entry if name in _WORDS else _numbers(entry) for name, entry in row.items()}
    for name in ("step", "value", "seconds"):
        if name in row and not isinstance(row[name], int | float):
            return None
    return row


def _numbers(value: Any) -> Any:
    if isinstance(value, str):
        return _NOT_FINITE.get(value, value)
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    if isinstance(value, dict):
        return {name: _numbers(entry) for name, entry in value.items()}
    return value
