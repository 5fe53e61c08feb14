"""Peak memory of a whole call, in bytes for each parameter, beside what no run can do without.

Run as a program, `python -m benchmarks.training.memory METHOD WIDTH`, it prints one JSON object for one size.
"""

import gc
import json
import os
import sys
import threading
from typing import Any

import numpy as np

# 40 layers of 500 × 500, and of 1,000 × 1,000: 10 and 40 million parameters, and batches so small that what else a step
# holds hardly counts. What does not grow with the parameters, the compiler's memory above all, is told by itself.
LAYERS, WIDTHS, BATCH = 40, (500, 1000), 4
# Where two dozen vectors in double precision are held, a quarter as many parameters.
NARROWER = {"minimize, l-bfgs": (250, 500)}
# Numbers for each parameter: itself and its slope; Adam's two moments besides; of L-BFGS the remembered pairs, the
# point, its slope and the direction, and the trial point and its slope.
PAIRS = {"l-bfgs": 10, "minimize, l-bfgs": 7}
NUMBERS = {"sgd": 2, "adam": 4} | {name: 2 * pairs + 5 for name, pairs in PAIRS.items()}
# `minimize` computes in double precision.
BYTES = {"minimize, l-bfgs": 8}
STEPS = {"sgd": 120, "adam": 120, "l-bfgs": 15, "minimize, l-bfgs": 12}
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


def called(method: str, width: int) -> Peak:
    """A whole call, and the most memory it took."""
    import steepest
    from steepest.training.freed import hand_back

    rng = np.random.default_rng(0)
    params = {
        f"W{k:02}": rng.standard_normal((width, width), dtype=np.float32) / 10 / width for k in range(LAYERS)
    }
    batch = tuple(rng.standard_normal((2, 64, width), dtype=np.float32))
    if method.startswith("minimize"):
        params = {name: value.astype(float) for name, value in params.items()}
    # What was freed before but is still with the process would hide as much of what is taken now.
    gc.collect()
    hand_back()
    with Peak() as peak:
        if method.startswith("minimize"):
            steepest.minimize(cost, params, args=(batch,), method="l-bfgs", budget={"steps": STEPS[method]})
        elif method == "l-bfgs":
            steepest.train(cost, params, batch, steps=STEPS[method], method=method, progress=False)
        else:
            own: dict[str, Any] = {"batch_size": BATCH, "steps": STEPS[method], "rate": 1e-4}
            steepest.train(cost, params, batch, method=method, progress=False, **own)
    return peak


def measure(method: str, width: int) -> dict[str, Any]:
    """Bytes at the peak beyond those before the call, and parameters. A small run first loads what is needed."""
    called(method, 8)
    return {"peak": called(method, width).bytes, "parameters": LAYERS * width**2}


def widths(method: str) -> tuple[int, int]:
    """The two sizes that a method is measured at."""
    return NARROWER.get(method, WIDTHS)


def unavoidable(method: str) -> int:
    """Bytes for each parameter that no run of this method can do without."""
    return NUMBERS[method] * BYTES.get(method, 4)


def compared(method: str, small: dict[str, Any], large: dict[str, Any]) -> dict[str, Any]:
    """What a parameter costs, from two sizes; what is left over whatever the size; and what is unavoidable."""
    grown = large["peak"] - small["peak"]
    bytes_each = grown / (large["parameters"] - small["parameters"])
    return {
        "method": method,
        "MB": [1e-6 * one["peak"] for one in (small, large)],
        "bytes": bytes_each,
        "unavoidable": unavoidable(method),
        "ratio": bytes_each / unavoidable(method),
        "besides": 1e-6 * (small["peak"] - bytes_each * small["parameters"]),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(sys.argv[1], int(sys.argv[2]))) + "\n")
