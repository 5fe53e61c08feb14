"""Norms seen however they are written: the program has the cost's value, and no less for any other length."""

import numpy as np
import pytest

from steepest.budget import Budget
from steepest.problem import pose

RNG = np.random.default_rng(5)
P = RNG.standard_normal((7, 2))
ROOT = RNG.standard_normal((4, 6))
FORM = ROOT.T @ ROOT
WEIGHTS = np.array([1.0, 2.0, 0.5])
GROUPS = [[0, 1, 2], [3, 4], [5]]

# Cost, number of parameters, number of norms.
NORMS = {
    "norm": (lambda x: np.linalg.norm(x - 1.0), 6, 1),
    "groups in a loop": (lambda x: sum(np.linalg.norm(x[g]) for g in GROUPS), 6, 3),
    "many groups in a loop": (lambda x: sum(np.linalg.norm(x[k : k + 2]) for k in range(0, 24, 2)), 24, 12),
    "roots in a loop": (lambda x: sum(np.sqrt(len(g)) * np.sqrt(np.sum(x[g] ** 2)) for g in GROUPS), 6, 3),
    "norms of rows": (lambda x: np.sum(np.linalg.norm(P - x, axis=1)), 2, 7),
    "norms of columns": (lambda x: np.sum(np.linalg.norm(x.reshape(2, 3), axis=0)), 6, 3),
    "roots of rows": (lambda x: np.sum(np.sqrt(((x - P) ** 2).sum(axis=1))), 2, 7),
    "point by point": (lambda x: sum(np.sqrt((x[0] - p[0]) ** 2 + (x[1] - p[1]) ** 2) for p in P), 2, 7),
    "hypot": (lambda x: np.sum(np.hypot(P[:, 0] - x[0], P[:, 1] - x[1])), 2, 7),
    "inner product": (lambda x: np.sqrt(x @ x), 6, 1),
    "einsum": (lambda x: np.sum(np.sqrt(np.einsum("ij,ij->i", x.reshape(3, 2), x.reshape(3, 2)))), 6, 3),
    "a form": (lambda x: np.sqrt(x @ FORM @ x), 6, 1),
    "weights": (lambda x: np.sum(np.sqrt(np.sum(WEIGHTS * x.reshape(2, 3) ** 2, axis=1))), 6, 2),
    "weights by a product": (lambda x: np.sum(np.sqrt(x.reshape(2, 3) ** 2 @ WEIGHTS)), 6, 2),
    "a mean of squares": (lambda x: np.sqrt(np.mean(x**2)) + np.sqrt(np.sum(x**2) / 3.0), 6, 2),
    "complex": (lambda x: np.sum(np.abs(x[:3] + 1j * x[3:])), 6, 3),
    "a picture": (
        lambda x: np.sum(
            np.sqrt(
                (x.reshape(4, 4)[1:, :-1] - x.reshape(4, 4)[:-1, :-1]) ** 2
                + (x.reshape(4, 4)[:-1, 1:] - x.reshape(4, 4)[:-1, :-1]) ** 2
            )
        ),
        16,
        9,
    ),
    "inside a rising function": (lambda x: np.exp(np.linalg.norm(x)) + np.linalg.norm(x[:2]) ** 3, 6, 2),
}  # fmt: skip


def split_of(cost, n):
    return pose(
        cost,
        np.ones(n),
        (),
        jac=None,
        hess=None,
        bounds=None,
        fixed=None,
        derivatives="exact",
        budget=Budget(),
    ).objective.split


@pytest.mark.parametrize(("cost", "n", "count"), NORMS.values(), ids=NORMS)
def test_the_program_has_the_value_of_the_cost_at_the_length_and_more_at_any_other(cost, n, count):
    found = split_of(cost, n)
    assert found.program.radii.size == count and found.program.complete
    rng = np.random.default_rng(0)
    for x in rng.standard_normal((5, n)):
        y = found.program.lift(x)
        np.testing.assert_allclose(found.cost.value(y), cost(x), rtol=1e-13)
        for factor in (0.5, 0.9, 1.1, 3.0):
            other = y.copy()
            other[found.program.radii] *= factor
            assert found.cost.value(other) > cost(x)


@pytest.mark.parametrize(("cost", "n", "count"), NORMS.values(), ids=NORMS)
def test_the_squares_of_the_parts_add_up_to_the_square_of_the_norm(cost, n, count):
    found = split_of(cost, n)
    x = np.random.default_rng(1).standard_normal(n)
    y = found.program.lift(x)
    parts = _parts(found)(y)[0]
    squares = np.bincount(found.program.part_of, parts**2, count)
    np.testing.assert_allclose(np.sqrt(squares), y[found.program.radii], rtol=1e-13)


OTHERS = {
    "minus a norm": lambda x: np.sum(x**2) - np.linalg.norm(x),
    "a norm of given length": lambda x: (np.linalg.norm(x) - 2.0) ** 2 + x[0],
    "never zero": lambda x: np.sqrt(1.0 + np.sum(x**2)),
    "no sum of squares": lambda x: np.sqrt(np.sum(np.exp(x)) - x[0]) + np.sqrt(x[1] + x[2] ** 2 + 5.0),
    "a form that falls": lambda x: np.sqrt(x @ (FORM[:4, :4] - 9.0 * np.eye(4)) @ x + 100.0 * x[0] ** 2),
}


@pytest.mark.parametrize("cost", OTHERS.values(), ids=OTHERS)
def test_what_is_no_norm_or_falls_with_one_is_left_alone(cost):
    found = split_of(cost, 4)
    assert found is None or not found.program.radii.size


def _parts(found):
    from steepest.derivatives.tiers import Tiered

    return Tiered(found.parts.jaxpr)
