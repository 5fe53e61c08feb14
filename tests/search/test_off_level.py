"""Constraints that are level where the walk begins, or met beyond a hollow of what they are missed by."""

import numpy as np
import pytest

import steepest as st
from steepest.verdict.words import Verdict


def at_least_zero(fun):
    return {"type": "ineq", "fun": fun}


def zero(fun):
    return {"type": "eq", "fun": fun}


def _bowl(x):
    return np.sum(x**2)


# Where they are missed at the start no slope tells how to meet them; the lowest cost that meets them is known.
LEVEL = {
    "a product": (_bowl, np.zeros(2), at_least_zero(lambda x: x[0] * x[1] - 1), 2.0),
    "a product of three": (_bowl, np.zeros(3), zero(lambda x: x[0] * x[1] * x[2] - 1), 3.0),
    "sixth powers": (_bowl, np.zeros(3), zero(lambda x: np.sum(x**6) - 1), 1.0),
    "a norm": (_bowl, np.zeros(3), at_least_zero(lambda x: np.linalg.norm(x) - 1), 1.0),
    "a circle": (_bowl, np.zeros(2), zero(lambda x: x[0] ** 2 + x[1] ** 2 - 1), 1.0),
    "two discs": (
        _bowl,
        np.zeros(4),
        at_least_zero(lambda x: (x[0] - x[2]) ** 2 + (x[1] - x[3]) ** 2 - 4),
        2.0,
    ),
    "an orthonormal pair": (
        lambda x: x[0] + x[2],
        np.zeros(4),
        zero(
            lambda x: np.array(
                [x[0] ** 2 + x[1] ** 2 - 1, x[2] ** 2 + x[3] ** 2 - 1, x[0] * x[2] + x[1] * x[3]]
            )
        ),
        -np.sqrt(2.0),
    ),
}


@pytest.mark.parametrize("unit", [1.0, 1e4, 1e-4])
@pytest.mark.parametrize("name", LEVEL)
def test_constraints_that_are_level_at_the_start_are_met_all_the_same(name, unit):
    cost, start, constraint, least = LEVEL[name]
    scaled = {**constraint, "fun": lambda x: constraint["fun"](x / unit)}
    result = st.minimize(lambda x: cost(x / unit), start, constraints=[scaled])
    assert result.success, result.message
    assert result.fun == pytest.approx(least, rel=1e-7)


def test_a_hollow_of_the_violation_is_left():
    # x³ - 3x - 3 is -1 at its top, x = -1, and zero at its only root.
    root = np.roots([1, 0, -3, -3]).real.max()
    for start in (-1.0, -1.4, -0.5):
        result = st.minimize(
            lambda x: x[0] ** 2, [start], constraints=[at_least_zero(lambda x: x[0] ** 3 - 3 * x[0] - 3)]
        )
        assert result.success and result.x[0] == pytest.approx(root, rel=1e-9), result.message
        assert ("came to where no small move" in result.message) == (start != -0.5)


def test_that_no_point_meets_the_constraints_is_said_where_it_is_proven_and_no_more_elsewhere():
    for contradictory in (
        [at_least_zero(lambda x: x[0] + x[1] - 3), at_least_zero(lambda x: 1 - x[0] - x[1])],
        [at_least_zero(lambda x: -1 - x @ x)],
    ):
        result = st.minimize(_bowl, np.zeros(2), constraints=contradictory)
        assert result.verdict is Verdict.NOT_FINITE and "No point meets the constraints" in result.message
    result = st.minimize(_bowl, [np.pi], constraints=[at_least_zero(lambda x: np.cos(x[0]) - 1.5)])
    assert (
        result.verdict is Verdict.NOT_FINITE
        and "No point that meets the constraints was found" in result.message
    )


def test_a_budget_and_a_callback_end_the_search_off_the_start():
    constraint = at_least_zero(lambda x: x[0] * x[1] - 1)
    result = st.minimize(_bowl, np.zeros(2), constraints=[constraint], budget=3)
    assert not result.success and np.isfinite(result.fun)

    def stop(x):
        raise StopIteration

    result = st.minimize(_bowl, np.zeros(2), constraints=[constraint], callback=stop)
    assert not result.success and np.isfinite(result.fun)


@pytest.mark.parametrize("name", ["a product of three", "an orthonormal pair"])
def test_a_walk_off_the_start_that_is_stopped_is_the_last_and_stays_where_it_has_come_nearer(name):
    cost, start, constraint, _ = LEVEL[name]
    at_start = np.linalg.norm(np.atleast_1d(constraint["fun"](start)))
    places = []
    st.minimize(cost, start, constraints=[constraint], callback=places.append)
    for last in range(1, len(places)):
        seen = []

        def stop(x, seen=seen, last=last):
            seen.append(x)
            if len(seen) >= last:
                raise StopIteration

        result = st.minimize(cost, start, constraints=[constraint], callback=stop)
        assert len(seen) == last
        assert result.verdict is Verdict.STOPPED and not result.success, result.message
        assert np.linalg.norm(np.atleast_1d(constraint["fun"](result.x))) <= at_start
