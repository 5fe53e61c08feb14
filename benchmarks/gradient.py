"""What a gradient costs beside the value, for a chain of 100 array operations on 10 to 10⁷ parameters."""

import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

# Each of the ten rounds below is ten array operations.
ROUNDS = 10
SIZES = tuple(10**k for k in range(1, 8))
# Value and gradient take turns this often, for at most so long, and the medians of each are compared.
REPEATS = 25
SECONDS = 20.0


def chain(x: np.ndarray) -> Any:
    a = x
    for _ in range(ROUNDS):
        b = np.sin(a) * 0.9 + x
        c = b / (1.0 + b * b)
        a = np.tanh(c) - np.exp(-0.5 * c)
    return np.sum(a)


def table(peers: bool) -> tuple[list[str], list[list[object]], str]:
    """Rows of milliseconds and megabytes for each size; with `peers`, JAX's own `value_and_grad`."""
    header = ["n", "value ms", "value and gradient ms", "ratio", "memory MB"]
    if peers:
        header += ["jax.value_and_grad ms", "ratio to value", "memory MB"]
    rows: list[list[object]] = []
    for n in SIZES:
        x = np.linspace(-1.0, 1.0, n)
        value, both = _ours(x)
        first, second, memory = _in_turn(value, both, x)
        row: list[object] = [n, first * 1e3, second * 1e3, second / first, memory]
        if peers:
            theirs = _jax(x)
            first, second, memory = _in_turn(value, theirs, x)
            row += [second * 1e3, second / first, memory]
        rows.append(row)
    note = (
        "Compiled, NumPy in and out, median of calls that take turns. Memory: the most the process held during "
        "the calls of the gradient, over what it held before them (input and results of one call included). "
        "The value is compiled by the same rules as the gradient."
    )
    return header, rows, note


def _ours(x: np.ndarray) -> tuple[Any, Any]:
    from steepest.derivatives.compiled import compile_jaxpr
    from steepest.derivatives.exact import value_and_gradient
    from steepest.parameters import Parameters
    from steepest.tracing.passes import simplify
    from steepest.tracing.trace import trace

    traced = trace(chain, Parameters.of(x, "x")).jaxpr
    return compile_jaxpr(simplify(traced)), compile_jaxpr(value_and_gradient(traced))


def _jax(x: np.ndarray) -> Any:
    import jax
    import jax.numpy as jnp

    def theirs(x: Any) -> Any:
        a = x
        for _ in range(ROUNDS):
            b = jnp.sin(a) * 0.9 + x
            c = b / (1.0 + b * b)
            a = jnp.tanh(c) - jnp.exp(-0.5 * c)
        return jnp.sum(a)

    with jax.enable_x64(True):
        compiled = jax.jit(jax.value_and_grad(theirs)).lower(jax.ShapeDtypeStruct(x.shape, x.dtype)).compile()

    def call(x: np.ndarray) -> tuple[Any, ...]:
        with jax.enable_x64(True):
            return tuple(np.asarray(result) for result in compiled(x))

    return call


def _in_turn(value: Any, both: Any, x: np.ndarray) -> tuple[float, float, float]:
    """Median seconds of the value and of the gradient, and megabytes the gradient added at its peak."""
    value(x)
    before = _resident()
    peak_from_here = _reset_peak()
    both(x)
    memory = _peak() - before if peak_from_here else float("nan")
    firsts: list[float] = []
    seconds: list[float] = []
    deadline = time.perf_counter() + SECONDS
    while len(firsts) < REPEATS and (len(firsts) < 3 or time.perf_counter() < deadline):
        start = time.perf_counter()
        value(x)
        middle = time.perf_counter()
        both(x)
        end = time.perf_counter()
        firsts.append(middle - start)
        seconds.append(end - middle)
    return median(firsts), median(seconds), memory


def _reset_peak() -> bool:
    """Start the kernel's high-water mark of memory anew (Linux); whether it could be done."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _resident() -> float:
    return _status("VmRSS")


def _peak() -> float:
    return _status("VmHWM")


def _status(key: str) -> float:
    """Megabytes from the kernel's account of this process."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(float(line.split()[1]) / 1e3 for line in lines if line.startswith(key))
