"""The next batches made ready on a thread while the device works on this one."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

# Batches of arrays in memory up to this many bytes are gathered in a few dozen microseconds.
SHORT_WORK = 1 << 20
# Batches made ready ahead of the one in work: one would leave the device waiting whenever two in a row are slow.
AHEAD = 3


class Inline:
    """The same, each batch made ready when it is asked for.

    Steps are dispatched ahead of the device, so that short work on the host is hidden behind it already; handing each
    batch from one thread to another would cost more than making it.
    """

    waited = 0.0

    def __init__(self, batches: Iterator[Any], prepare: Callable[[Any], Any]) -> None:
        self._made = map(prepare, batches)

    def __iter__(self) -> Iterator[Any]:
        return self._made

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


class Prefetched:
    """Iterates over `batches`, each put through `prepare` on another thread; `waited` is what the loop lost by waiting.

    >>> with Prefetched(iter([1, 2, 3]), lambda number: number * 10) as ahead:
    ...     list(ahead)
    [10, 20, 30]
    """

    def __init__(self, batches: Iterator[Any], prepare: Callable[[Any], Any]) -> None:
        self.waited = 0.0
        self._queue: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(batches, prepare), daemon=True)
        self._thread.start()

    def _work(self, batches: Iterator[Any], prepare: Callable[[Any], Any]) -> None:
        try:
            for batch in batches:
                if not self._put(("batch", prepare(batch))):
                    return
            self._put(("end", None))
        except BaseException as error:  # it is the loop that must hear of it
            self._put(("error", error))

    def _put(self, item: tuple[str, Any]) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[Any]:
        while True:
            began = time.perf_counter()
            kind, value = self._queue.get()
            self.waited += time.perf_counter() - began
            if kind == "batch":
                yield value
            elif kind == "error":
                raise value
            else:
                return

    def close(self) -> None:
        """Stop the thread; batches made ready are dropped."""
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.get_nowait()
            except queue.Empty:
                self._thread.join(timeout=0.05)

    def __enter__(self) -> Prefetched:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
