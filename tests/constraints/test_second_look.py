"""A point between constraints at which the slopes balance may be no minimum all the same; each truth in closed form."""

import numpy as np
import pytest

import steepest as st


def above(row):
    return [{"type": "ineq", "fun": row}]


FEATURES = np.array([[1.0, 2.0], [-1.0, -1.0], [2.0, 0.5]])
LABELS = np.array([1.0, -1.0, 1.0])

CASES = {
    "falls for ever inside": (
        lambda x: np.exp(-x[0]) + x[1] ** 2,
        (0.0, 0.0),
        above(lambda x: x[0] - x[1]),
        "infimum not attained",
    ),
    "falls for ever along a constraint": (
        lambda x: np.exp(-x[0]) + (x[1] - 2) ** 2,
        (0.0, 0.0),
        above(lambda x: 1 - x[1]),
        "infimum not attained",
    ),
    "falls for ever along an equation": (
        lambda x: np.exp(-x[0]) + np.exp(-x[1]),
        (0.0, 0.0),
        [{"type": "eq", "fun": lambda x: x[0] - x[1]}],
        "infimum not attained",
    ),
    "separable classes in a half plane": (
        lambda w: np.mean(np.logaddexp(0, -LABELS * (FEATURES @ w))),
        (0.0, 0.0),
        above(lambda w: w[0] - w[1]),
        "infimum not attained",
    ),
    "stopped by a constraint": (
        lambda x: np.exp(-x[0]) + x[1] ** 2,
        (0.0, 0.0),
        above(lambda x: 5 - x[0]),
        "global minimum",
    ),
    "circle inside": (
        lambda x: (x[0] ** 2 + x[1] ** 2 - 1) ** 2,
        (2.0, 1.0),
        above(lambda x: 3 - x[0]),
        "flat minimum",
    ),
    "steps": (
        lambda x: np.round(x[0]) ** 2 + 0 * x[1],
        (3.3, 0.0),
        above(lambda x: 10 - x[0] - x[1]),
        "no slope",
    ),
    "quartic inside": (
        lambda x: x[0] ** 4 + (x[1] - 1) ** 4,
        (1.0, 3.0),
        above(lambda x: 2 - x[0] - x[1]),
        "global minimum",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_word_is_the_truth(name):
    cost, start, constraints, word = CASES[name]
    found = st.minimize(cost, np.array(start), constraints=constraints)
    assert found.verdict == word, found.message
    assert found.message.count("  ") == 0
