"""Ctrl-C, and the signal a scheduler sends before it kills, as a wish that a run ends in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interruptible(ask: Callable[[], None]) -> Iterator[None]:
    """Call `ask` at SIGINT or SIGTERM while this is open; a second Ctrl-C means what it always does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: Any) -> None:
        ask()
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def over() -> None:
    """The run is over: from here on this process ends by itself, and is not to be ended before it has.

    `srun --kill-on-bad-exit` and `mpirun` send SIGTERM to all processes as soon as one is out with a status other than
    0, which a run that was interrupted has in each: the first one may still be writing its parameters.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
