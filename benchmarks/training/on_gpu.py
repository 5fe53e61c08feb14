"""What is measured on a GPU, in one run of a few minutes: `python -m benchmarks.training.on_gpu`.

Throughput beside JAX by hand and PyTorch, that no step waits for the device, what bfloat16 brings, and how L-BFGS with
ten and a hundred million parameters stands against the memory's bandwidth, in `train` and in `minimize`; and logistic
regression by all rows at every step.
"""

import json
import sys
import time
from functools import partial
from typing import Any

import numpy as np

from .throughput import MODELS, measure, seconds_a_step


def say(**found: Any) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def circumstances() -> None:
    from importlib import metadata

    import jax

    versions = {name: metadata.version(name) for name in ("jax", "jaxlib", "optax", "numpy", "torch")}
    say(device=jax.devices()[0].device_kind, backend=jax.default_backend(), **versions)


def no_step_waits() -> None:
    """Every step under a guard that forbids fetching from the device; looks back are outside it."""
    import jax

    import steepest
    from steepest.training.loop import Walker

    before = Walker._step
    guarded = 0

    def step(self: Any, piece: Any) -> None:
        nonlocal guarded
        if self.cursor.step > 10:
            guarded += piece.steps
            with jax.transfer_guard_device_to_host("disallow"):
                before(self, piece)
        else:
            before(self, piece)

    cost_of, params, data = MODELS["mlp"]()
    Walker._step = step  # type: ignore[method-assign]
    try:
        result = steepest.train(
            cost_of(np), params, data, batch_size=128, steps=1000, method="adam", progress=False
        )
    finally:
        Walker._step = before  # type: ignore[method-assign]
    say(check="no step fetches from the device", steps=result.steps, guarded=guarded)


def together() -> None:
    """Several steps in one dispatch beside the same run step by step: time, and whether the bits are the same."""
    import steepest
    from steepest.training import loop

    cost_of, params, data = MODELS["mlp"]()
    forecast = loop.forecast
    found: dict[str, Any] = {}
    for name, seconds in (("together", forecast), ("one by one", lambda *_: float("inf"))):
        loop.forecast = seconds
        try:
            found[name] = steepest.train(
                cost_of(np), params, data, batch_size=128, steps=600, method="adam", rate=1e-3, progress=False
            )
        finally:
            loop.forecast = forecast
    one, other = found.values()
    say(
        check="steps together",
        ms={name: 1e3 * seconds_a_step(result, 100) for name, result in found.items()},
        equal=all(np.array_equal(one.params[name], other.params[name]) for name in params),
        largest=max(float(np.max(np.abs(one.params[name] - other.params[name]))) for name in params),
    )


def bfloat16(steps: int = 200, batch: int = 64) -> None:
    import steepest

    cost_of, params, data = MODELS["transformer"]()
    for precision in ("float32", "bfloat16"):
        result = steepest.train(
            cost_of(np),
            params,
            data,
            batch_size=batch,
            steps=steps,
            method="adam",
            precision=precision,
            progress=False,
        )
        say(
            check="precision",
            precision=precision,
            ms=1e3 * seconds_a_step(result, steps // 2),
            cost=float(np.mean(result.history.costs[-10:])),
        )


def bandwidth(n: int, memory: int = 10, steps: int = 30) -> dict[str, float]:
    """A step of L-BFGS, without looking at the cost, against the bytes it touches over the bandwidth of a copy.

    All in the same process; on a CPU both are its seconds, and both copies lie in memory that was touched before.
    """
    import jax
    import jax.numpy as jnp

    from steepest.training.whole import descend

    on_cpu = jax.default_backend() == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    x: Any = np.linspace(0.0, 1.0, n, dtype=np.float32)
    if on_cpu:
        other = np.zeros_like(x)
        again = partial(np.copyto, other)
    else:
        x = jnp.asarray(x)
        again = jax.jit(lambda a: a + 1.0)
    times = []
    for _ in range(9):
        began = clock()
        jax.block_until_ready(again(x))
        times.append(clock() - began)
    rate = 2 * 4 * n / sorted(times)[2]

    def cost(x: Any) -> Any:
        curvature = 1.0 + 99.0 / n * jnp.arange(n, dtype=jnp.float32)
        return 0.5 / n * jnp.sum(curvature * (x - 2.0) ** 2)

    both = jax.jit(jax.value_and_grad(cost))
    looking = 0.0

    def look(x: Any) -> Any:
        nonlocal looking
        began = clock()
        value, slope = jax.block_until_ready(both(x))
        looking += clock() - began
        return value, np.asarray(slope) if on_cpu else slope

    seen: list[tuple[float, float]] = []

    def watch(run: Any) -> bool:
        seen.append((clock(), looking))
        return False

    found = descend(look, x, steps=steps, memory=memory, watch=watch)
    between = np.diff(seen, axis=0)[len(seen) // 2 :]
    taken = float(np.median(between[:, 0] - between[:, 1]))
    # Per step: 2m vectors read twice; and read or written once each: trial point (3), slope along the direction (2),
    # step and change made (4 read, 2 written), new direction (1 read, 1 written).
    touched = 4 * n * (2 * 2 * memory + 13)
    return {
        "n": n,
        "steps": found.steps,
        "ms": 1e3 * taken,
        "cost ms": 1e3 * float(np.median(between[:, 1])),
        "bound ms": 1e3 * touched / rate,
        "ratio": taken * rate / touched,
        "GB/s": rate / 1e9,
    }


def minimising(n: int, steps: int = 60) -> None:
    """`minimize` by L-BFGS in double precision: vectors on the device, on the host, and SciPy beside them."""
    import jax
    import scipy.optimize

    import steepest
    from steepest import numerics

    def chain(x: Any) -> Any:
        return np.sum(10.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    start = np.full(n, 0.5) + 0.1 * np.sin(np.arange(n))
    found: dict[str, float] = {}
    reached: dict[str, float] = {}
    accelerated = numerics.accelerated
    for name, there in (("on the device", accelerated), ("on the host", lambda: False)):
        numerics.accelerated = there
        try:
            result = steepest.minimize(chain, start, method="l-bfgs", budget={"steps": steps})
        finally:
            numerics.accelerated = accelerated
        seconds = result.history.seconds
        later = len(seconds) // 2
        found[name] = 1e3 * float((seconds[-1] - seconds[later]) / (len(seconds) - 1 - later))
        reached[name] = float(result.fun)
    with jax.enable_x64(True):
        import jax.numpy as jnp

        both = jax.jit(
            jax.value_and_grad(lambda x: jnp.sum(10.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2))
        )
        moments: list[float] = []
        theirs = scipy.optimize.minimize(
            lambda x: [np.asarray(part) for part in both(x)],
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": steps},
            callback=lambda x: moments.append(time.perf_counter()),
        )
    later = len(moments) // 2
    found["SciPy L-BFGS-B"] = 1e3 * (moments[-1] - moments[later]) / (len(moments) - 1 - later)
    reached["SciPy L-BFGS-B"] = float(theirs.fun)
    say(check="minimize", n=n, ms=found, reached=reached)


def over_all_rows(rows: int = 1_000_000, columns: int = 500) -> None:
    """Logistic regression by all rows at every step, rows on the device; scikit-learn's on the host beside it."""
    import steepest

    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, columns), dtype=np.float32)
    w = rng.normal(size=columns).astype(np.float32) / np.sqrt(columns, dtype=np.float32)
    sign = np.where(rng.random(rows) < 1 / (1 + np.exp(-x @ w)), 1.0, -1.0).astype(np.float32)
    ridge = 1e-6

    def cost(params: Any, batch: Any) -> Any:
        margin = batch["sign"] * (batch["x"] @ params)
        return np.mean(np.logaddexp(0.0, -margin)) + 0.5 * ridge * np.sum(params**2)

    seconds: dict[str, float] = {}
    reached: dict[str, Any] = {}
    for method in ("auto", "l-bfgs", "newton-cg"):
        for again in ("", " again"):
            began = time.perf_counter()
            result = steepest.train(
                cost, np.zeros(columns), {"x": x, "sign": sign}, method=method, epochs=100, progress=False
            )
            seconds[method + again] = time.perf_counter() - began
        reached[method] = (str(result.verdict), result.cost)
    from sklearn.linear_model import LogisticRegression

    fit = LogisticRegression(C=1 / (ridge * rows), fit_intercept=False, solver="lbfgs", tol=1e-6)
    began = time.perf_counter()
    fit.fit(x, sign)
    seconds["scikit-learn lbfgs"] = time.perf_counter() - began
    margin = sign * (x.astype(float) @ fit.coef_[0])
    reached["scikit-learn lbfgs"] = float(
        np.mean(np.logaddexp(0.0, -margin)) + 0.5 * ridge * np.sum(fit.coef_**2)
    )
    say(check="all rows", rows=rows, columns=columns, seconds=seconds, reached=reached)


def main() -> None:
    """Everything, each line as soon as it is known."""
    circumstances()
    no_step_waits()
    together()
    for name, batch, steps in (
        ("mlp", 128, 1200),
        ("mlp", 1024, 1200),
        ("convolution", 256, 1200),
        ("transformer", 64, 400),
    ):
        say(**measure(name, batch, steps, 3))
    bfloat16()
    for n in (10_000_000, 100_000_000):
        say(check="L-BFGS", **bandwidth(n))
    minimising(1_000_000)
    over_all_rows()


if __name__ == "__main__":
    main()
