"""The smooth program of a kinked cost: the same values, met equations, and nothing replaced that must not be."""

import numpy as np
import pytest

from steepest.budget import Budget
from steepest.problem import pose


def split_of(cost, x0):
    problem = pose(
        cost, x0, (), jac=None, hess=None, bounds=None, fixed=None, derivatives="exact", budget=Budget()
    )
    return problem.objective.split


DATA = np.random.default_rng(3).standard_normal((7, 3))

KINKED = {
    "abs": lambda x: np.sum(np.abs(DATA @ x - 1.0)) + x[0] ** 2,
    "maximum": lambda x: np.sum(np.maximum(DATA @ x, 0.3)),
    "max": lambda x: np.max(DATA @ x) + np.sum(x**2),
    "max along an axis": lambda x: np.sum(np.max(DATA * x, axis=1)),
    "minus minimum": lambda x: -np.sum(np.minimum(DATA @ x, x[0])),
    "minus min": lambda x: -np.min(DATA @ x),
    "nested": lambda x: np.max(np.abs(DATA @ x)) + np.maximum(np.abs(x[0]), x[1] ** 2),
    "inside a rising function": lambda x: np.exp(np.sum(np.abs(x))) + np.sqrt(1.0 + np.abs(x[1])),
    "clipped from below": lambda x: np.sum(np.clip(DATA @ x, 0.0, None)),
}


@pytest.mark.parametrize("cost", KINKED.values(), ids=KINKED)
def test_the_program_has_the_value_of_the_cost_and_meets_its_equations_where_it_is_lifted(cost):
    found = split_of(cost, np.ones(3))
    assert found is not None and found.program.complete
    for x in np.random.default_rng(0).standard_normal((5, 3)):
        y = found.program.lift(x)
        assert (y >= found.program.lower).all()
        np.testing.assert_array_equal(y[:3], x)
        np.testing.assert_allclose(found.cost.value(y), cost(x), rtol=1e-13)
        residual = np.concatenate([np.ravel(v) for v in _rows(found)(y)])
        np.testing.assert_allclose(residual, 0.0, atol=1e-13)


def test_a_size_that_is_counted_against_the_cost_on_one_side_stays_as_it_is():
    def cost(x):
        size = np.sign(x) * x
        return np.sum(np.where(x >= 0, 0.3 * size, np.array([-0.9, -0.1, -0.7]) * size)) + np.sum(
            (x + 1) ** 2
        )

    found = split_of(cost, np.ones(3))
    for x in np.random.default_rng(2).standard_normal((5, 3)) if found is not None else ():
        y = found.program.lift(x)
        for first, second in found.program.pairs:
            y[[first, second]] += 0.5
        assert found.cost.value(y) >= cost(x) - 1e-12


# Choices whose value where the difference is zero is that of neither side, and what whole numbers make of them.
BETWEEN = {
    "a price for what is not zero": lambda x: np.sum(x * np.sign(x) + np.sign(x) * np.sign(x)),
    "both sides strict": lambda x: np.sum(np.where(x > 0, x, -x) + (x > 0) * 1.0 + (x < 0) * 1.0),
    "one or the other": lambda x: np.sum(
        np.where((x > 0) | (x < 0), 2.0, 1.0) * np.where(x > 0, x, -x) + ((x > 0) | (x < 0))
    ),
    "neither below nor above": lambda x: np.sum(np.where(x > 0, x, -x) - ((x >= 0) & (x <= 0)) * 1.0),
    "bits of whole numbers": lambda x: np.sum((np.where(x > 0, 3, 2) & 1) * x),
    "halves of whole numbers": lambda x: np.sum((np.where(x > 0, 5, 2) // 2) * x),
}


@pytest.mark.parametrize("cost", BETWEEN.values(), ids=BETWEEN)
def test_the_program_has_the_value_of_the_cost_on_a_kink_too(cost):
    found = split_of(cost, np.ones(3))
    for x in ([0.0, 0.0, 0.0], [0.0, -1.5, 2.0], [0.5, -0.5, -2.0], [-0.0, 1.0, 0.0]):
        x = np.array(x)
        if found is not None:
            np.testing.assert_allclose(found.cost.value(found.program.lift(x)), cost(x), rtol=1e-13)


@pytest.mark.parametrize("cost", KINKED.values(), ids=KINKED)
def test_the_program_rises_when_both_sides_of_a_kink_grow(cost):
    """Only then has it the minima of the cost: nothing is won by sides larger than they must be."""
    found = split_of(cost, np.ones(3))
    program = found.program
    rng = np.random.default_rng(1)
    y = program.lift(rng.standard_normal(3))
    rows, checked = _rows(found), 0
    for p in np.unique(program.pairs[:, 0]):
        grown = np.unique(program.pairs[program.pairs[:, 0] == p])
        for way in (0.1, -0.1):  # a least element goes down where what is missing to it grows
            larger = y.copy()
            larger[grown] += 0.1
            larger[p] = y[p] + way
            residual = np.concatenate([np.ravel(v) for v in rows(larger)])
            if np.abs(residual).max() < 1e-12:  # not where another kink is made from this one
                checked += 1
                assert found.cost.value(larger) >= found.cost.value(y) - 1e-12
    assert checked


FALLING = {
    "minus abs": lambda x: np.sum(x**4) - np.sum(np.abs(x)),
    "abs inside abs": lambda x: np.abs(np.abs(x[0]) - 1.0) + x[1] ** 2,
    "plus minimum": lambda x: np.minimum(x[0] ** 2, (x[0] - 1) ** 2) + x[1] ** 2,
    "times a sign that is not known": lambda x: x[0] * np.abs(x[1]) + np.sum(x**4),
    "turned in the complex plane": lambda x: (
        np.real(np.exp(np.abs(x[0]) + 3j)) + np.sum(x**4)
    ),  # -0.99 exp|x₀|
}


@pytest.mark.parametrize("cost", FALLING.values(), ids=FALLING)
def test_a_kink_that_the_cost_may_fall_with_is_left_alone(cost):
    found = split_of(cost, np.array([0.3, 0.7]))
    assert found is None or not found.program.complete


def test_a_smooth_cost_has_nothing_to_replace():
    assert split_of(lambda x: np.sum(np.logaddexp(0.0, x)) + np.linalg.norm(x) ** 2, np.ones(3)) is None
    assert split_of(lambda x: np.sum(np.where(np.abs(x) < 1, x**2, 2 * np.abs(x) - 1)), np.ones(3)) is None


def _rows(found):
    from steepest.derivatives.tiers import Tiered

    return Tiered(found.rows.jaxpr)
