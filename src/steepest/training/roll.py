"""Who is here, and how far each has come: a line of text to process 0 now and then, beside what the devices exchange.

When a process hangs, all others wait for it inside a sum over all of them, and none can say for whom. These lines go
another way. Process 0 listens at the port after the coordinator's.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from ..errors import InputError

# Exit status of process 0 when it has named the one that is late.
NAMED = 3
# How the words begin with which every process ends alike where they differ; the first one's are enough.
NOT_THE_SAME = "not the same in all"
# Seconds between two lines of one process.
BEAT = 1.0
# All at the same stage for this many times the patience wait for each other in vain; less may be a long compilation.
STANDSTILL = 10
# Seconds without a line after which a process is held to be gone, once what the devices exchange has failed.
SILENCE = 4 * BEAT
# Seconds after which a thread that comes round every few was stopped itself, as the jobs that a scheduler suspends are:
# what it did not hear meanwhile is nobody's fault.
AWAY = 10.0
# Bytes of one line: "index stage step\n".
LINE = 64
# The stage that a process tells when it leaves with an error of its own, or because another one is gone; and when it
# has come to the end of the run.
LEAVING, ARRIVED = -1, -2
# What process 0 answers to a line.
HEARD = b"."
# Times that the latter is tried to be told.
TOLD_AT_MOST = 3
# Bytes in which an address travels to the other processes; a host's name has 253 at most.
ADDRESS_BYTES = 300


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port) + 1


def call(address: str, count: int, patience: float) -> list[int]:
    """Listen until `count` processes have answered; those that have not after `patience` seconds."""
    missing = set(range(1, count))
    deadline = time.monotonic() + patience
    with socket.create_server(("", _place(address)[1]), reuse_port=False) as server:
        while missing and time.monotonic() < deadline:
            server.settimeout(max(0.05, min(1.0, deadline - time.monotonic())))
            with contextlib.suppress(TimeoutError, ValueError):
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(5.0)
                    missing.discard(int(connection.recv(LINE).split()[0]))
                    connection.sendall(
                        HEARD
                    )  # who has come waits, and would take silence for a process that stands
    return sorted(missing)


def answer(address: str, index: int, patience: float) -> None:
    """Tell process 0 that this one is here; it may not be listening yet. Raises `InputError` if it never is."""
    deadline = time.monotonic() + patience
    while True:
        if tell(address, f"{index}"):
            return
        if time.monotonic() > deadline:
            raise InputError(
                f"process {index} did not find process 0 at {address} within {patience:g} s; look at why it did not "
                "start, and whether this machine can reach that address"
            )
        time.sleep(0.1)


def tell(address: str, line: str, *, answered: bool = False) -> bool:
    """Send one line to process 0; False where nobody listens, or with `answered` where nobody says that it was heard.

    The system takes lines for a process that is stopped, too.
    """
    try:
        with socket.create_connection(_place(address), timeout=2.0) as connection:
            connection.sendall((line + "\n").encode())
            return not answered or connection.recv(len(HEARD)) == HEARD
    except OSError:
        return False


def meeting_place(index: int, count: int) -> str | None:
    """An address for these lines where no launcher gave one; None if some process cannot reach process 0."""
    import numpy as np
    from jax.experimental import multihost_utils

    with socket.create_server(("", 0)) as server:
        port = int(server.getsockname()[1]) - 1
        mine = f"{socket.gethostname()}:{port}".encode().ljust(ADDRESS_BYTES, b"\0")
        told = multihost_utils.broadcast_one_to_all(np.frombuffer(mine, np.uint8))
        address = np.asarray(told, np.uint8).tobytes().rstrip(b"\0").decode()
        reached = index == 0 or tell(address, f"{index}")
        everyone = np.asarray(multihost_utils.process_allgather(np.array([reached])))
    if everyone.all():
        return address
    if index == 0:
        deaf = ", ".join(map(str, np.flatnonzero(~everyone.reshape(count))))
        sys.stderr.write(
            f"warning: process {deaf} cannot reach {address}: nobody will be named if one is late\n"
        )
    return None


@dataclass
class Heard:
    """What was last heard of a process: stages and steps behind it, when, and since when another is further.

    `left`: it said that it leaves; `arrived`: it has the end of the run behind it.
    """

    stage: int
    step: int
    when: float
    moved: float
    behind_since: float | None = None
    left: bool = False
    arrived: bool = False


class Watchdog:
    """Names the process that is late, and ends the run instead of letting all wait for it.

    Process 0 hears from each how many stages and steps it has behind it. All go through the same stages, one or more to
    a step, so that whoever has fewer is who the others wait for. One that has not been heard of for `patience` seconds,
    or is behind another that long without moving, is named, and so is a standstill of all ten times as long. Then `end`
    is called: by default the process exits with `NAMED`, and the launcher or the scheduler ends the others. While
    process 0 is `busy` writing, nobody is late. It answers each line: where it does not for that long, the others name
    it. Whoever has come to the end says so, and process 0 watches until all have.
    """

    def __init__(
        self,
        address: str,
        index: int,
        count: int,
        progress: Callable[[], tuple[int, int]],
        patience: float,
        end: Callable[[str], None] | None = None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.address, self.index, self.count = address, index, count
        self.progress, self.patience, self.busy = progress, patience, busy
        self.end = end or _exit
        self._done = threading.Event()
        self._ended = False
        self._heard: dict[int, Heard] = {}
        self._server = None
        if index == 0:
            self._server = socket.create_server(("", _place(address)[1]))
            self._server.settimeout(0.2)
            began = time.monotonic()
            _, step = progress()  # where all come in
            self._heard = {k: Heard(0, step, began, began) for k in range(count)}
        self._thread = threading.Thread(target=self._listen if index == 0 else self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        answered = round_before = time.monotonic()
        while not self._done.wait(BEAT):
            stage, step = self.progress()
            line = f"{self.index} {stage} {step}"
            heard, now = tell(self.address, line, answered=True), time.monotonic()
            if heard or now - round_before > AWAY:
                answered = now
            round_before = now
            if now - answered > self.patience and not self._done.is_set():
                silent = f"has not answered for {now - answered:.0f} s"
                self.end(f"process 0 of {self.count} {silent}; process {self.index} is at step {step:,}")
                return

    def _listen(self) -> None:
        assert self._server is not None
        round_before = time.monotonic()
        while not self._done.is_set():
            with contextlib.suppress(OSError, ValueError):
                connection, _ = self._server.accept()
                with connection:
                    connection.settimeout(1.0)
                    line = connection.recv(LINE)
                    connection.sendall(HEARD)
                    self._note(*map(int, line.split()))
            self._note(0, *((ARRIVED, 0) if self._ended else self.progress()))
            now = time.monotonic()
            if self.busy() or now - round_before > AWAY:
                for heard in self._heard.values():
                    heard.when = heard.moved = now
                    heard.behind_since = None
            round_before = now
            words = self.late()
            if words and not self._done.is_set():
                self.end(words)
                return

    def _note(self, index: int, stage: int, step: int) -> None:
        if index not in self._heard:
            return
        now = time.monotonic()
        before = self._heard[index]
        if before.arrived:
            pass  # what comes now is of another run, or late
        elif stage == LEAVING:
            before.left = True
        elif stage == ARRIVED:
            before.arrived = True
        elif before.stage == stage:
            before.when = now
        else:
            self._heard[index] = Heard(stage, step, now, now)
        waiting = [heard for heard in self._heard.values() if not heard.arrived]
        furthest = max(heard.stage for heard in waiting) if len(waiting) == self.count else inf
        for heard in waiting:
            if heard.stage == furthest:
                heard.behind_since = None
            elif heard.behind_since is None:
                heard.behind_since = now

    def late(self) -> str:
        """Which process is late, in words; "" while none is."""
        now = time.monotonic()
        under_way = {index: heard for index, heard in self._heard.items() if not heard.arrived}
        if not under_way:
            return ""
        furthest = max(heard.step for heard in self._heard.values())
        slowest = min(under_way, key=lambda index: under_way[index].stage)
        heard = under_way[slowest]
        if heard.behind_since is not None and now - heard.behind_since > self.patience:
            still = f"has stood at step {heard.step:,} for {now - heard.behind_since:.0f} s"
            ahead = f"another is at {furthest:,}" if furthest > heard.step else "the others wait for it there"
            if len(under_way) < self.count:
                ahead = "another has judged the end and waits for it"
            return f"process {slowest} of {self.count} {still}; {ahead}"
        for index, heard in under_way.items():
            if index and now - heard.when > self.patience:
                silent = f"has not been heard of for {now - heard.when:.0f} s"
                return f"process {index} of {self.count} {silent}; last at step {heard.step:,}"
        standing = now - max(heard.moved for heard in under_way.values())
        if standing > STANDSTILL * self.patience:
            return f"all {self.count} processes have stood at step {furthest:,} for {standing:.0f} s"
        return ""

    def broken(self) -> None:
        """What the devices exchange has failed: say which process is gone, if one is, and `end`; else return.

        The processes that are left hear of it at about the same time, and say that they leave.
        """
        if self.index != 0:
            if not tell(self.address, f"{self.index} {LEAVING} 0"):
                self.end(f"process 0 of {self.count} is gone, or does not listen any more")
            return
        time.sleep(SILENCE + BEAT)
        now = time.monotonic()
        gone = [k for k, heard in self._heard.items() if k and not heard.left and now - heard.when > SILENCE]
        if gone and not self._done.is_set():
            last = max(self._heard[k].step for k in gone)
            who = f"process{'es' if len(gone) > 1 else ''} {', '.join(map(str, gone))} of {self.count}"
            self._done.set()
            self.end(f"{who} {'are' if len(gone) > 1 else 'is'} gone; last heard of at step {last:,}")

    def arrive(self) -> None:
        """This process has come to the end of the run; process 0 watches on till all have, or names who has not."""
        if self.index != 0:
            self._done.set()
            self._thread.join(timeout=2 * BEAT)
            # Unheard, it would be taken for late, and a run that is over be ended as one that hangs.
            any(tell(self.address, f"{self.index} {ARRIVED} 0") for _ in range(TOLD_AT_MOST))
            return
        self._ended = True
        while self._thread.is_alive() and not all(heard.arrived for heard in self._heard.values()):
            self._thread.join(timeout=0.02)

    def close(self) -> None:
        """Stop watching."""
        self._done.set()
        self._thread.join(timeout=2 * BEAT)
        if self._server is not None:
            self._server.close()


def _exit(words: str) -> None:
    sys.stderr.write(f"error: {words}\n")
    sys.stderr.flush()
    os._exit(NAMED)
