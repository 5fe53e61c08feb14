"""A decay towards a level, and data that follow it: the fit that most tests of fits begin with."""

import numpy as np

T = np.linspace(0.0, 5.0, 40)
START = {"a": 1.0, "b": 0.5, "c": 0.0}


def decay(t, a, b, c):
    return a * np.exp(-b * t) + c


def noisy(seed=0, size=0.05):
    """The decay at `T` with a = 3, b = 1.2, c = 0.5, and noise of standard deviation `size`."""
    return decay(T, 3.0, 1.2, 0.5) + size * np.random.default_rng(seed).normal(size=T.size)
