"""Functions put together at random: the recorded composition has NumPy's value and the complex step's slope."""

import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from .recorded import evaluate, record, slope_along

# Each keeps the shape (4,) and entries of moderate size, and is analytic, so that the complex step is exact.
STEPS = {
    "sin": np.sin,
    "tanh": np.tanh,
    "exp of minus square": lambda x: np.exp(-(x**2)),
    "log of one plus square": lambda x: np.log1p(x**2),
    "root": lambda x: np.sqrt(1.5 + np.sin(x)),
    "quotient": lambda x: x / (2.0 + np.cos(x)),
    "arctan": np.arctan,
    "cumulative": lambda x: np.cumsum(x) / 4,
    "reversed": lambda x: x[::-1],
    "rolled": lambda x: np.roll(x, 1),
    "taken": lambda x: x[[2, 0, 3, 0]],
    "matrix product": lambda x: (np.arange(16.0).reshape(4, 4) / 16 - 0.4) @ x,
    "outer and back": lambda x: np.outer(x, np.ones(4)).sum(axis=0) / 4,
    "stacked": lambda x: np.stack([x, 2 * x]).mean(axis=0),
    "joined": lambda x: np.concatenate([x[:1], np.diff(x)]),
    "rebuilt": lambda x: np.reshape(np.tile(x, 2), (2, 4))[1],
    "centred": lambda x: x - np.mean(x),
    "convolved": lambda x: np.convolve(x, [0.25, 0.5, 0.25], mode="same"),
    "power": lambda x: (1.5 + np.cos(x)) ** 1.7,
    "solved": lambda x: np.linalg.solve(np.eye(4) * 3 + 0.1, x),
    "contracted": lambda x: np.einsum("i,ij->j", x, np.eye(4)[::-1]),
    "product": lambda x: x * np.cos(x[0]),
    "trapezoid": lambda x: x + np.trapezoid(x) / 10,
}


@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6), st.integers(0, 3))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_composition_has_numpys_value_and_the_complex_steps_slope(names, seed):
    def cost(x):
        for name in names:
            x = STEPS[name](x)
        return np.sum(x * np.array([0.3, -1.1, 0.7, 1.9]))

    random = np.random.default_rng(seed)
    x, d = random.uniform(-1, 1, 4), random.uniform(-1, 1, 4)
    closed = record(cost, [x])
    assert_allclose(evaluate(closed, [x])[0], cost(x), rtol=1e-12, atol=1e-14)
    exact = np.imag(cost(x + 1e-30j * d)) / 1e-30
    assert_allclose(slope_along(closed, [x], [d], [np.array(1.0)]), exact, rtol=1e-10, atol=1e-12)


def test_recording_does_not_start_a_device():
    code = """
import numpy as np, scipy.special, scipy.linalg
from jax._src import xla_bridge
from tests.tracing.rules.cases import CASES
from tests.tracing.rules.test_contract import traced
from tests.tracing.rules.recorded import record
for case in CASES:
    record(traced(case), case.arrays)
    assert not xla_bridge.backends_are_initialized(), case.name
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
