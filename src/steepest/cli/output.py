"""What goes to the screen: colours on a terminal, plain lines into a pipe, one JSON object for a program."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from ..presentation.marks import MARKS
from ..results import to_json

if TYPE_CHECKING:
    from rich.console import Console

# Columns that the numbers beside a curve take.
BESIDE_THE_CURVE = 14
# A run shorter than this needs no progress; a line that changes faster than this cannot be read.
PROGRESS_AFTER, PROGRESS_EVERY = 0.5, 0.1
# What a shell reports for a program that a closed pipe ended: 128 + SIGPIPE.
PIPE_CLOSED = 141
# What stands out on a terminal, besides the arrows: a pattern and its style.
STANDING_OUT = (
    (r"^[a-z][a-z ]+(?=: cost)", "bold yellow"),
    # After the words of every verdict: where two patterns meet, the later one is seen.
    (r"^(global|local|flat) minimum\b|^minimum at a kink\b", "bold green"),
    (
        r"(?<=point: |oints: )(global|local|flat) minimum$|(?<=point: |oints: )minimum at a kink$",
        "bold green",
    ),
    (r"^    holds\b", "green"),
    (r"^    fails\b", "bold red"),
    (r"^  (why|how|next|quality|no error bar|strongly correlated|constraints)$", "bold"),
    (r"^slope of .*$", "bold"),
    (r"^error:", "bold red"),
    (r"^  error: .*$", "bold red"),
    (r"^  warning: .*$", "bold yellow"),
    (r"^  note: .*$", "bold"),
    (r"^#+ .*$", "bold"),
)


class PipeClosed(Exception):
    """Whoever read our output has stopped reading."""


def is_terminal(stream: TextIO) -> bool:
    """Whether a person is looking: a terminal that knows more than plain lines."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def show(text: str, stream: TextIO | None = None) -> None:
    """Print `text`, coloured where the stream is a terminal; NO_COLOR leaves the colours out."""
    stream = stream or sys.stdout
    if is_terminal(stream):
        console(stream).print(coloured(text), soft_wrap=True)
        stream.flush()
    else:
        write(text, stream)


def show_curve(values: Any, stream: TextIO | None = None) -> None:
    """Draw how the cost fell, in letters, where a person is looking at a terminal that has them."""
    stream = stream or sys.stdout
    if not is_terminal(stream) or not (stream.encoding or "").lower().startswith("utf"):
        return
    import numpy as np

    from ..plots.convergence_picture import shared_scale
    from ..presentation.braille import WIDTH, curve

    values = np.asarray(values, dtype=float)
    shift, name, logarithmic = shared_scale([values])
    above = values - shift
    room = max(columns_of(stream) - BESIDE_THE_CURVE, 10)
    lines = curve(np.where(above > 0, above, np.nan) if logarithmic else above, name, width=min(WIDTH, room))
    if lines:
        show("\n" + "\n".join(lines), stream)


def columns_of(stream: TextIO) -> int:
    """How wide the terminal is; 80 where it does not say."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80


def show_json(value: Any) -> None:
    """Print one JSON object; what is not finite is null."""
    write(json.dumps(to_json(value), ensure_ascii=False, allow_nan=False), sys.stdout)


def write(text: str, stream: TextIO) -> None:
    """Print plain lines; raises `PipeClosed` when nobody reads any more."""
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError as error:
        raise PipeClosed from error
    except UnicodeEncodeError:
        # A terminal of another alphabet: arrows it cannot show become question marks.
        encoding = stream.encoding or "ascii"
        print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)


def console(stream: TextIO) -> Console:
    """A rich console that adds nothing of its own to the text."""
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def coloured(text: str) -> Any:
    """The text with the marks of `presentation/marks.py` and the verdict standing out."""
    from rich.text import Text

    found = Text(text)
    for pattern, style in STANDING_OUT:
        found.highlight_regex("(?m)" + pattern, style)
    dark = on_dark_background()
    for mark in MARKS.values():
        if mark.arrow:
            found.highlight_regex(mark.arrow, f"bold {mark.color(dark=dark)}")
    return found


def on_dark_background() -> bool:
    """Whether the terminal says so in COLORFGBG; most that say nothing are dark."""
    return os.environ.get("COLORFGBG", "15;0").rsplit(";", 1)[-1] not in ("7", "15")


@contextmanager
def progress(wanted: bool) -> Iterator[Callable[..., None] | None]:
    """A callback for `minimize` that keeps one line of progress on the terminal, or None without one."""
    if not wanted or not is_terminal(sys.stderr):
        yield None
        return
    line = ProgressLine()
    try:
        yield line.step
    finally:
        line.stop()


class ProgressLine:
    """One line on standard error: the step, the cost, the slope; it goes away when the walk ends."""

    def __init__(self) -> None:
        self.began = self.told = time.perf_counter()
        self.status: Any = None

    def step(self, intermediate_result: Any) -> None:
        """Tell one step; most are not told."""
        now = time.perf_counter()
        if now - self.began < PROGRESS_AFTER or now - self.told < PROGRESS_EVERY:
            return
        self.told = now
        state = intermediate_result
        words = (
            f"step {state.nit:,}  cost {state.fun:.6g}  {state.nfev:,} evaluations  {now - self.began:.0f} s"
        )
        if self.status is None:
            self.start(words)
        else:
            self.status.update(words)

    def start(self, words: str) -> None:
        """Show the line, unless the user's own code keeps a live display: there can be only one."""
        from rich.errors import LiveError

        status = console(sys.stderr).status(words)
        try:
            status.start()
        except LiveError:
            self.told = float("inf")
        else:
            self.status = status

    def stop(self) -> None:
        """Take the line away."""
        if self.status is not None:
            self.status.stop()
