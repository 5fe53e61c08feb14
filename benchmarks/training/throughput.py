"""Time of one training step: steepest, a jitted JAX and optax loop written by hand, and PyTorch run eagerly.

Run as a program: `python -m benchmarks.training.throughput MODEL BATCH STEPS ROUNDS` prints JSON.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from .tasks import layers, mlp_cost, softmax_cost

# Steps under way at once in the loop written by hand, as in ours: without a limit batches would pile up.
IN_FLIGHT = 8
# The first part of each run compiles and warms up, and is not timed.
WARM = 0.25
RATE = 1e-3
# Our loop looks back, and waits for the device, once in so many steps: a row there starts from nothing under way.
LOOK = 100


def mlp(rows: int = 8192) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    data = {
        "x": rng.normal(size=(rows, 784)).astype(np.float32),
        "y": rng.integers(0, 10, rows).astype(np.int32),
    }
    return mlp_cost(3), layers(rng, [784, 512, 512, 10]), data


def convolution(rows: int = 4096) -> tuple[Any, Any, Any]:
    """Two layers of 3×3 patches at stride 2, each one matrix product, and a linear one."""
    rng = np.random.default_rng(0)
    data = {
        "x": rng.normal(size=(rows, 29, 29, 1)).astype(np.float32),
        "y": rng.integers(0, 10, rows).astype(np.int32),
    }
    params = {
        "K0": (rng.normal(size=(9, 16)) / 3).astype(np.float32),
        "K1": (rng.normal(size=(144, 32)) / 12).astype(np.float32),
        "W": (rng.normal(size=(1152, 10)) / 34).astype(np.float32),
        "b": np.zeros(10, np.float32),
    }

    def cost_of(xp: Any) -> Callable[..., Any]:
        def patches(h: Any, size: int) -> Any:
            last = 2 * size - 1
            parts = [h[:, i : i + last : 2, j : j + last : 2, :] for i in range(3) for j in range(3)]
            return xp.concatenate(parts, axis=-1)

        def cost(params: Any, batch: Any) -> Any:
            h = xp.maximum(patches(batch["x"], 14) @ params["K0"], 0.0)
            h = xp.maximum(patches(h, 6) @ params["K1"], 0.0)
            return softmax_cost(xp, h.reshape(-1, 1152) @ params["W"] + params["b"], batch["y"])

        return cost

    return cost_of, params, data


WIDTH, DEPTH, HEADS, CONTEXT, WORDS = 384, 6, 6, 64, 512


def transformer(rows: int = 2048) -> tuple[Any, Any, Any]:
    """A language model of 10 million parameters: 6 layers of width 384, a context of 64 words out of 512."""
    rng = np.random.default_rng(0)
    data = rng.integers(0, WORDS, (rows, CONTEXT + 1)).astype(np.int32)
    params = {
        "embed": 0.05 * rng.normal(size=(WORDS, WIDTH)),
        "place": 0.05 * rng.normal(size=(CONTEXT, WIDTH)),
    }
    for k in range(DEPTH):
        params[f"qkv{k}"] = rng.normal(size=(WIDTH, 3 * WIDTH)) / np.sqrt(WIDTH)
        params[f"mix{k}"] = rng.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH)
        params[f"up{k}"] = rng.normal(size=(WIDTH, 4 * WIDTH)) / np.sqrt(WIDTH)
        params[f"down{k}"] = rng.normal(size=(4 * WIDTH, WIDTH)) / np.sqrt(4 * WIDTH)
    params = {name: value.astype(np.float32) for name, value in params.items()}
    mask = np.where(np.tril(np.ones((CONTEXT, CONTEXT), bool)), 0.0, -1e9).astype(np.float32)
    scale = float(1 / np.sqrt(WIDTH // HEADS))

    def cost_of(xp: Any) -> Callable[..., Any]:
        def normal(h: Any) -> Any:
            return h / xp.sqrt(xp.mean(h * h, axis=-1, keepdims=True) + 1e-6)

        def heads(h: Any) -> Any:
            return xp.transpose(h.reshape(-1, CONTEXT, HEADS, WIDTH // HEADS), (0, 2, 1, 3))

        def cost(params: Any, batch: Any) -> Any:
            seen, following = batch[:, :-1], batch[:, 1:]
            h = params["embed"][seen] + params["place"]
            for k in range(DEPTH):
                q, key, v = (heads(part) for part in xp.split(normal(h) @ params[f"qkv{k}"], 3, axis=-1))
                weight = q @ xp.swapaxes(key, 2, 3) * scale + xp.asarray(mask)
                weight = xp.exp(weight - xp.max(weight, axis=-1, keepdims=True))
                weight = weight / xp.sum(weight, axis=-1, keepdims=True)
                mixed = xp.transpose(weight @ v, (0, 2, 1, 3)).reshape(-1, CONTEXT, WIDTH)
                h = h + mixed @ params[f"mix{k}"]
                h = h + xp.maximum(normal(h) @ params[f"up{k}"], 0.0) @ params[f"down{k}"]
            scores = normal(h) @ params["embed"].T
            return softmax_cost(xp, scores.reshape(-1, WORDS), following.reshape(-1))

        return cost

    return cost_of, params, data


MODELS = {"mlp": mlp, "convolution": convolution, "transformer": transformer}


def seconds_of_ours(model: Any, batch: int, steps: int) -> float:
    import steepest

    cost_of, params, data = model
    result = steepest.train(
        cost_of(np), params, data, batch_size=batch, steps=steps, method="adam", rate=RATE, progress=False
    )
    return seconds_a_step(result, WARM * steps)


def seconds_a_step(result: Any, warm: float) -> float:
    """From the first row after `warm` steps to the last; from rows where the device had caught up, if there are two."""
    step, seconds = result.history.column("step"), result.history.column("seconds")
    late = step >= warm
    caught_up = late & (step % LOOK == 0)
    chosen = np.flatnonzero(caught_up if caught_up.sum() > 1 else late)
    first, last = chosen[0], chosen[-1]
    return float((seconds[last] - seconds[first]) / (step[last] - step[first]))


def seconds_by_hand(model: Any, batch: int, steps: int) -> float:
    """What an experienced user writes: a jitted step that takes over its state, data on the accelerator if any."""
    import jax
    import jax.numpy as jnp
    import optax

    cost_of, params, data = model
    cost, rule = cost_of(jnp), optax.adam(RATE)
    resident = jax.default_backend() != "cpu"
    if resident:
        data = jax.tree.map(jnp.asarray, data)

    def step(params: Any, memory: Any, rows: Any) -> Any:
        value, slope = jax.value_and_grad(cost)(params, rows)
        updates, memory = rule.update(slope, memory, params)
        return optax.apply_updates(params, updates), memory, value

    if resident:
        run = jax.jit(
            lambda p, m, data, rows: step(p, m, jax.tree.map(lambda a: a[rows], data)), donate_argnums=(0, 1)
        )
    else:
        run = jax.jit(step, donate_argnums=(0, 1))
    params = jax.tree.map(jnp.array, params)
    memory = rule.init(params)
    rows = len(jax.tree.leaves(data)[0])
    taken, began = 0, 0.0
    waiting: deque[Any] = deque()
    first = int(WARM * steps)
    epoch = 0
    while True:
        order = np.random.default_rng(epoch).permutation(rows).astype(np.int32)
        for k in range(rows // batch):
            chosen = order[k * batch : (k + 1) * batch]
            if resident:
                params, memory, value = run(params, memory, data, chosen)
            else:
                params, memory, value = run(params, memory, jax.tree.map(lambda a, c=chosen: a[c], data))
            waiting.append(value)
            if len(waiting) > IN_FLIGHT:
                waiting.popleft().block_until_ready()
            taken += 1
            if taken == first:
                began = time.perf_counter()
            if taken == steps:
                return (time.perf_counter() - began) / (steps - first)
        epoch += 1


class Torch:
    """PyTorch under the names of NumPy that the costs use."""

    def __init__(self, device: str) -> None:
        import torch

        self.torch, self.device = torch, device
        self.exp, self.log, self.sqrt = torch.exp, torch.log, torch.sqrt

    def max(self, x: Any, axis: int, keepdims: bool = False) -> Any:
        """NumPy's max."""
        return self.torch.amax(x, dim=axis, keepdim=keepdims)

    def sum(self, x: Any, axis: int, keepdims: bool = False) -> Any:
        """NumPy's sum."""
        return self.torch.sum(x, dim=axis, keepdim=keepdims)

    def mean(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        """NumPy's mean."""
        return self.torch.mean(x) if axis is None else self.torch.mean(x, dim=axis, keepdim=keepdims)

    def maximum(self, x: Any, floor: float) -> Any:
        """NumPy's maximum."""
        return self.torch.relu(x)

    def asarray(self, x: Any) -> Any:
        """A constant."""
        return self.torch.as_tensor(x, device=self.device)

    def arange(self, count: int) -> Any:
        """NumPy's arange."""
        return self.torch.arange(count, device=self.device)

    def concatenate(self, parts: Any, axis: int) -> Any:
        """NumPy's concatenate."""
        return self.torch.cat(parts, dim=axis)

    def split(self, x: Any, count: int, axis: int) -> Any:
        """NumPy's split."""
        return self.torch.chunk(x, count, dim=axis)

    def swapaxes(self, x: Any, a: int, b: int) -> Any:
        """NumPy's swapaxes."""
        return self.torch.transpose(x, a, b)

    def transpose(self, x: Any, axes: Any) -> Any:
        """NumPy's transpose."""
        return x.permute(*axes)


def seconds_of_torch(model: Any, batch: int, steps: int) -> float:
    import os

    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    xp = Torch(device)
    cost_of, params, data = model
    cost = cost_of(xp)
    params = {name: torch.tensor(value, device=device, requires_grad=True) for name, value in params.items()}
    whole: dict[str, Any] = {"x": data} if isinstance(data, np.ndarray) else data
    whole = {name: torch.tensor(value, device=device) for name, value in whole.items()}
    whole = {name: value.long() if value.dtype == torch.int32 else value for name, value in whole.items()}
    rule = torch.optim.Adam(params.values(), lr=RATE)
    taken, began, first, epoch = 0, 0.0, int(WARM * steps), 0
    rows = len(next(iter(whole.values())))
    _constants_for(torch, device)
    while True:
        order = torch.tensor(np.random.default_rng(epoch).permutation(rows), device=device)
        for k in range(rows // batch):
            chosen = order[k * batch : (k + 1) * batch]
            part = {name: value[chosen] for name, value in whole.items()}
            value = cost(params, part["x"] if isinstance(data, np.ndarray) else part)
            rule.zero_grad(set_to_none=True)
            value.backward()
            rule.step()
            taken += 1
            if taken == first:
                _wait(torch, device)
                began = time.perf_counter()
            if taken == steps:
                _wait(torch, device)
                return (time.perf_counter() - began) / (steps - first)
        epoch += 1


def _constants_for(torch: Any, device: str) -> None:
    """NumPy constants in a cost (the mask) meet tensors on the device."""
    torch.set_default_device(device)


def _wait(torch: Any, device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


LOOPS = {"steepest": seconds_of_ours, "JAX by hand": seconds_by_hand, "PyTorch": seconds_of_torch}


def measure(name: str, batch: int, steps: int, rounds: int) -> dict[str, Any]:
    """Median seconds a step of each loop, the loops taking turns, and the median ratio within a round."""
    model = MODELS[name]()
    taken: dict[str, list[float]] = {loop: [] for loop in LOOPS}
    for _ in range(rounds):
        for loop, seconds in LOOPS.items():
            try:
                taken[loop].append(seconds(model, batch, steps))
            except ImportError:
                taken[loop].append(float("nan"))
    ratio = {
        loop: median(other / ours for ours, other in zip(taken["steepest"], taken[loop], strict=True))
        for loop in LOOPS
    }
    return {
        "model": name,
        "batch": batch,
        "seconds": {k: median(v) for k, v in taken.items()},
        "ratio": ratio,
    }


if __name__ == "__main__":
    model_name, *numbers = sys.argv[1:]
    print(json.dumps(measure(model_name, *map(int, numbers))))
