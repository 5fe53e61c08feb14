"""Which columns are said to be far from one or from each other, and of how many rows that can be told."""

import numpy as np

from steepest.training.far_columns import FAR, far

from .models import job, squared_error

RNG = np.random.default_rng(0)


def told(x):
    data = {"x": x, "y": np.zeros(len(x))}
    run = job(squared_error, {"w": np.zeros(x.shape[1]), "b": 0.0}, data, batch_size=len(x))
    return far(run, [data[leaf.name] for leaf in run.source.layout.leaves], FAR)


def test_columns_far_from_each_other_are_told_by_their_size_but_not_of_a_single_row():
    x = RNG.normal(size=(64, 2000))
    # In a single row some number is next to nothing.
    assert told(x) == told(x[:1]) == told(1e-3 * x[:2]) == ""
    assert np.abs(x[0]).max() > FAR**2 * np.abs(x[0]).min()
    x[:, 7] *= 1e-5
    sizes = np.sqrt(np.mean(x**2, axis=0))
    said = f"column {sizes.argmax()} of x holds numbers of size {sizes.max():.2g}, others of {sizes[7]:.2g}"
    assert told(x) == said
    x[:, 3] *= 1e4
    assert told(x[:1]) == f"column 3 of x holds numbers of size {abs(x[0, 3]):.2g}"
