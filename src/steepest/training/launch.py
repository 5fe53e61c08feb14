"""Several processes on one machine: started together, told to end together, and the one that failed named.

`launch` is the parent of N copies of the command; what each copy does first is in `joining.py`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from ..errors import InputError
from .joining import ADDRESS, COUNT, INDEX
from .roll import NAMED, NOT_THE_SAME

# Exit statuses of a process that ended in order: trained, diverged, asked to stop.
ORDERLY = (0, 1, 130)
# Seconds the others are given to end by themselves after one has failed.
GRACE = 10.0
# Seconds after a failure in which others that fail of themselves are seen to, before they are ended: where all refuse
# the same input, the first one to say so is then not blamed for the rest.
SETTLING = 0.5


@dataclass
class Child:
    """A process that was started; what the ones after the first say is kept until it matters."""

    process: subprocess.Popen[bytes]
    said: IO[bytes] | None

    def words(self) -> str:
        """What it wrote to standard error."""
        if self.said is None:
            return ""
        self.said.seek(0)
        return self.said.read().decode(errors="replace")


def launch(count: int, arguments: Sequence[str]) -> int:
    """Run the command line `arguments` in `count` processes; its exit status, the first failure's if one fails.

    The first process has the terminal. Of the others, standard error is shown where one of them fails.
    """
    if count < 1:
        raise InputError(f"--processes {count}: give a number from 1 upwards")
    address = f"127.0.0.1:{_free_port()}"
    program = "import sys; from steepest.cli import main; sys.exit(main())"
    cores = _cores(count)
    children: list[Child] = []
    with _passed_on(children), contextlib.ExitStack() as files:
        files.callback(_end, children)  # where one cannot be started, those that were do not wait for it
        for index in range(count):
            environment = {**os.environ, ADDRESS: address, COUNT: str(count), INDEX: str(index)}
            command = [sys.executable, "-c", program, *_without_processes(arguments)]
            out = None if index == 0 else subprocess.DEVNULL
            said = None if index == 0 else files.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=said)
            if cores is not None:
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(process.pid, cores[index])
            children.append(Child(process, said))
        return _watched(children)


def _watched(children: list[Child]) -> int:
    """Wait for all; when one fails, say which and end the others."""
    while True:
        codes = [child.process.poll() for child in children]
        if any(code not in (None, *ORDERLY) for code in codes):
            time.sleep(SETTLING)
            return _failed(children)
        if all(code is not None for code in codes):
            return max(code for code in codes if code is not None)
        time.sleep(0.05)


def _failed(children: list[Child]) -> int:
    if any(child.process.poll() == -signal.SIGABRT for child in children[1:]):
        # JAX aborts them when process 0 goes: on a busy machine before the system has seen that one off.
        with contextlib.suppress(subprocess.TimeoutExpired):
            children[0].process.wait(GRACE)
    codes = [child.process.poll() for child in children]
    failed = [k for k, code in enumerate(codes) if code not in (None, *ORDERLY)]
    guilty = _of_themselves(codes, failed)
    _end(children)
    told: set[str] = set()
    for k in guilty:
        # Process 0 has spoken for itself. Once it is gone, JAX kills the others, with many words.
        if codes[0] == NAMED or (0 in guilty and codes[k] == -signal.SIGABRT):
            continue
        words = children[k].words()
        if 0 in guilty and NOT_THE_SAME in words:
            continue
        if words and words not in told:
            told.add(words)
            sys.stderr.write("".join(f"process {k}: {line}\n" for line in words.splitlines()))
    code = codes[guilty[0]]
    assert code is not None
    if code != NAMED and (len(failed) < len(children) or code < 0):
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        who = f"process {guilty[0]} of {len(children)} ended with {how}"
        sys.stderr.write(f"{who}; the others were ended\n")
    return code if code > 0 else 128 - code


def _of_themselves(codes: Sequence[int | None], failed: list[int]) -> list[int]:
    """Of the processes that failed those that did so first: not who was aborted for it, nor who named another.

    >>> _of_themselves([-signal.SIGKILL, NAMED], [0, 1]), _of_themselves([None, NAMED, -signal.SIGABRT], [1, 2])
    ([0], [1])
    """
    if codes[0] == NAMED:
        return [0]
    alone = [k for k in failed if codes[k] not in (NAMED, -signal.SIGABRT)]
    return alone or [k for k in failed if codes[k] == NAMED] or failed


@contextlib.contextmanager
def _passed_on(children: list[Child]) -> Iterator[None]:
    """Pass Ctrl-C, or a signal to end, on to the processes, which end in order; a second one ends them at once."""
    asked = False

    def end(signum: int, frame: Any) -> None:
        nonlocal asked
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.process.send_signal(signal.SIGKILL if asked else signal.SIGTERM)
        asked = True

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(children: list[Child]) -> None:
    deadline = time.monotonic() + GRACE
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    for child in children:
        try:
            child.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


def _without_processes(arguments: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == "--processes":
            skip = True
        elif not argument.startswith("--processes="):
            kept.append(argument)
    return kept


def _cores(count: int) -> list[set[int]] | None:
    """Cores for each process, so that their threads do not get in each other's way; None where nothing can be held.

    Where there are more processes than cores, each has one, and shares it: with the threads of all on all cores, four
    processes on two took twice the CPU time for a step.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    share = len(cores) // count
    if not share:
        return [{cores[i % len(cores)]} for i in range(count)]
    return [set(cores[i * share : (i + 1) * share]) for i in range(count)]


def _free_port() -> int:
    """A port that is free, as is the one after it, where processes tell how far they are.

    Linux gives odd ports to who listens and even ones to who connects, and one that was connected cannot be listened at
    for a minute: the port after the one that the system names would often be taken.
    """
    while True:
        with socket.socket() as after, socket.socket() as probe, contextlib.suppress(OSError):
            after.bind(("", 0))
            port = int(after.getsockname()[1]) - 1
            probe.bind(("", port))
            return port
