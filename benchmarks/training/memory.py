"""Peak memory of a whole call of `train`, in bytes for each parameter, beside what no run can do without.

Run as a program, `python -m benchmarks.training.memory METHOD`, it prints one JSON object.
"""

import json
import os
import sys
import threading
from typing import Any

import numpy as np

# 40 layers of 500 × 500: 10 million parameters, and batches so small that what else a step holds hardly counts.
LAYERS, WIDTH, BATCH, STEPS = 40, 500, 4, 120
# Numbers of four bytes for each parameter: itself and its slope, and the two moments of Adam.
UNAVOIDABLE = {"sgd": 8, "adam": 16}
# Seconds between two looks at the memory of the process.
LOOK = 0.001


def resident() -> int:
    """Bytes of this process in memory now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Peak:
    """The most memory held beyond what there was at the start, looked at on a thread."""

    def __init__(self) -> None:
        self.start = self.most = resident()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._done.wait(LOOK):
            self.most = max(self.most, resident())

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def bytes(self) -> int:
        """What came on top."""
        return self.most - self.start


def cost(params: Any, batch: Any) -> Any:
    h, y = batch
    for name in sorted(params):
        h = h + np.tanh(h @ params[name])
    return np.mean((h - y) ** 2)


def trained(method: str, width: int, layers: int, steps: int) -> Peak:
    import steepest

    rng = np.random.default_rng(0)
    params = {
        f"W{k:02}": rng.standard_normal((width, width), dtype=np.float32) / 10 / width for k in range(layers)
    }
    data = rng.standard_normal((2, 64, width), dtype=np.float32)
    with Peak() as peak:
        steepest.train(
            cost, params, tuple(data), batch_size=BATCH, steps=steps, method=method, rate=1e-4, progress=False
        )
    return peak


def measure(method: str) -> dict[str, Any]:
    """Peak bytes for each parameter, the unavoidable ones, and their ratio. A small run first loads what is needed."""
    trained(method, 8, LAYERS, STEPS)
    peak = trained(method, WIDTH, LAYERS, STEPS).bytes / (LAYERS * WIDTH**2)
    return {
        "method": method,
        "bytes": peak,
        "unavoidable": UNAVOIDABLE[method],
        "ratio": peak / UNAVOIDABLE[method],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(sys.argv[1])) + "\n")
