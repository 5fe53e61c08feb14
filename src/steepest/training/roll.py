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

# Seconds between two lines of one process.
BEAT = 1.0
# Bytes of one line: "index step\n".
LINE = 64


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
                with connection:
                    connection.settimeout(5.0)
                    missing.discard(int(connection.recv(LINE).split()[0]))
    return sorted(missing)


def answer(address: str, index: int, patience: float) -> None:
    """Tell process 0 that this one is here; it may not be listening yet. Raises `TimeoutError` if it never is."""
    deadline = time.monotonic() + patience
    while True:
        if tell(address, f"{index} 0"):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"process 0 was not to be found at {address} within {patience:.0f} s")
        time.sleep(0.1)


def tell(address: str, line: str) -> bool:
    """Send one line to process 0; False where nobody listens."""
    try:
        with socket.create_connection(_place(address), timeout=2.0) as connection:
            connection.sendall((line + "\n").encode())
    except OSError:
        return False
    return True


class Watchdog:
    """Names the process that is late, and ends the run instead of letting all wait for it.

    Process 0 hears from each how many steps it has taken. One that has not been heard of for `patience` seconds, or
    stands still that long while another is further, is named; then `end` is called (by default the process exits
    with status 3, and the launcher or the scheduler ends the others).
    """

    def __init__(
        self,
        address: str,
        index: int,
        count: int,
        step: Callable[[], int],
        patience: float,
        end: Callable[[str], None] | None = None,
    ) -> None:
        self.address, self.index, self.count = address, index, count
        self.step, self.patience = step, patience
        self.end = end or _exit
        self._done = threading.Event()
        self._heard: dict[int, tuple[int, float, float]] = {}
        self._server = None
        if index == 0:
            self._server = socket.create_server(("", _place(address)[1]))
            self._server.settimeout(0.2)
        self._thread = threading.Thread(target=self._listen if index == 0 else self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._done.wait(BEAT):
            tell(self.address, f"{self.index} {self.step()}")

    def _listen(self) -> None:
        assert self._server is not None
        began = time.monotonic()
        self._heard = dict.fromkeys(range(self.count), (0, began, began))
        while not self._done.is_set():
            with contextlib.suppress(OSError, ValueError):
                connection, _ = self._server.accept()
                with connection:
                    connection.settimeout(1.0)
                    index, step = map(int, connection.recv(LINE).split())
                    self._note(index, step)
            self._note(0, self.step())
            words = self.late()
            if words and not self._done.is_set():
                self.end(words)
                return

    def _note(self, index: int, step: int) -> None:
        if index not in self._heard:
            return
        now = time.monotonic()
        before, moved, _ = self._heard[index]
        self._heard[index] = (step, now if step != before else moved, now)

    def late(self) -> str:
        """Which process is late, in words; "" while none is."""
        now = time.monotonic()
        furthest = max(step for step, _, _ in self._heard.values())
        slowest = min(self._heard, key=lambda index: self._heard[index][0])
        step, moved, _ = self._heard[slowest]
        if step < furthest and now - moved > self.patience:
            still = f"has stood at step {step:,} for {now - moved:.0f} s"
            return f"process {slowest} of {self.count} {still}; another is at {furthest:,}"
        for index, (step, _, heard) in self._heard.items():
            if index and now - heard > self.patience:
                silent = f"has not been heard of for {now - heard:.0f} s"
                return f"process {index} of {self.count} {silent}; last at step {step:,}"
        return ""

    def close(self) -> None:
        """Stop watching."""
        self._done.set()
        self._thread.join(timeout=2 * BEAT)
        if self._server is not None:
            self._server.close()


def _exit(words: str) -> None:
    sys.stderr.write(f"error: {words}\n")
    sys.stderr.flush()
    os._exit(3)
