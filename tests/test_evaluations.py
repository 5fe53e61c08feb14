"""What is kept with a trace belongs to the cost and constraints that it was made of."""

from dataclasses import replace

import numpy as np

from steepest.evaluations import split_between
from steepest.parameters import Parameters
from steepest.tracing.trace import trace


def test_a_constraint_made_later_is_never_taken_for_one_that_is_gone():
    def of(function):
        return trace(function, Parameters.of(np.array([1.0, 2.0])))

    cost, first, second = of(lambda p: p @ p), of(lambda p: np.abs(p[0]) - 1.0), of(lambda p: p[1] - 3.0)
    gone = replace(second)
    place = id(gone)
    assert (
        split_between(cost, [first, gone], [1, 1]) is split_between(cost, [first, gone], [1, 1]) is not None
    )
    del gone
    later = [replace(second) for _ in range(1_000)]
    assert place not in map(id, later)
