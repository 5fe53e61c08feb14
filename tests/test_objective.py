"""The objective: counting, budgets, and the best point."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from steepest.budget import Budget, BudgetSpent
from steepest.objective import Objective
from steepest.oracles import Later, Linearised
from steepest.problem import pose


def parabola(x):
    return float(x @ x), 2.0 * x


def test_each_kind_of_evaluation_is_counted():
    full = Objective(
        2,
        value_and_gradient=parabola,
        value=lambda x: float(x @ x),
        hessian=lambda x: 2.0 * np.eye(2),
        hessian_product=lambda x, v: 2.0 * v,
    )
    x = np.ones(2)
    full.value(x)
    full.value_and_gradient(x)
    full.hessian(x)
    full.hessian_product(x, x)
    counts = full.counts
    assert (counts.values, counts.gradients, counts.hessians, counts.products) == (2, 1, 1, 1)
    assert full.has_hessian and full.has_hessian_product


def test_a_value_without_its_own_function_comes_with_the_gradient():
    plain = Objective(1, value_and_gradient=parabola)
    assert plain.value(np.array([3.0])) == 9.0
    assert plain.counts.gradients == 1 and not plain.has_hessian


def test_the_lowest_finite_point_is_kept_with_its_gradient():
    kept = Objective(1, value_and_gradient=lambda x: (float(np.log(x[0])) if x[0] > 0 else -np.inf, 1.0 / x))
    for x in (3.0, 1.0, 2.0):
        kept.value_and_gradient(np.array([x]))
    with np.errstate(divide="ignore"):
        kept.value_and_gradient(np.array([0.0]))
    assert kept.best_value == 0.0 and kept.minus_infinity
    assert_array_equal(kept.best_x, [1.0])
    assert_array_equal(kept.best_gradient, [1.0])


def test_nan_is_never_the_best_point():
    never = Objective(1, value_and_gradient=lambda x: (np.nan, x))
    never.value_and_gradient(np.ones(1))
    assert never.best_x is None


def test_the_best_point_survives_changes_of_the_callers_array():
    kept = Objective(1, value_and_gradient=parabola)
    x = np.array([3.0])
    kept.value_and_gradient(x)
    x[0] = 99.0
    assert kept.best_x[0] == 3.0


def test_a_read_only_point_is_kept_without_a_copy():
    kept = Objective(1, value_and_gradient=parabola)
    x = np.array([3.0])
    x.setflags(write=False)
    kept.value_and_gradient(x)
    assert kept.best_x is x


def test_the_budget_of_evaluations_is_exact():
    calls = []
    tight = Objective(
        1, value_and_gradient=lambda x: (calls.append(1) or 0.0, x), budget=Budget(evaluations=2)
    )
    tight.value_and_gradient(np.ones(1))
    tight.value(np.ones(1))
    with pytest.raises(BudgetSpent, match="evaluations"):
        tight.value_and_gradient(np.ones(1))
    assert len(calls) == 2


def test_the_budget_of_seconds_counts_from_the_clock():
    late = Objective(1, value_and_gradient=parabola, budget=Budget(seconds=100.0))
    late.start_clock()
    late.value(np.ones(1))
    late.start_clock(began=perf_counter() - 100.1)
    with pytest.raises(BudgetSpent, match="seconds"):
        late.value(np.ones(1))
    late.start_clock()
    late.value(np.ones(1))


def test_the_last_hessian_is_remembered_for_its_point_only():
    curved = Objective(1, value_and_gradient=parabola, hessian=lambda x: np.array([[2.0]]))
    assert curved.known_hessian(np.ones(1)) is None
    H = curved.hessian(np.ones(1))
    assert curved.known_hessian(np.ones(1)) is H
    assert curved.known_hessian(np.zeros(1)) is None
    assert curved.counts.hessians == 1


def test_what_takes_work_to_find_is_looked_for_once_when_asked_about():
    looked = []

    def find():
        looked.append(1)
        return lambda x: Linearised(float(x @ x), x, np.eye(x.size))

    objective = Objective(
        2,
        value_and_gradient=lambda x: (float(x @ x), 2 * x),
        linearised=Later(find),
        sparse_hessian=Later(lambda: None),
    )
    assert not looked
    assert objective.has_residual and not objective.has_sparse_hessian
    assert objective.linearised(np.ones(2)).value == 2.0
    assert looked == [1]


def test_what_follows_from_a_sparse_pattern_is_found_once_for_a_thread_and_apart_from_others():
    problem = posed_chain(200)
    objective, x = problem.objective, problem.start
    H = objective.sparse_hessian(x)
    pattern = objective.analysed(H)
    assert objective.afresh().analysed(objective.sparse_hessian(x + 1.0)) is pattern
    assert posed_chain(200).objective.analysed(H) is pattern
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(objective.analysed, H).result()
    assert other is not pattern
    b = np.sin(np.arange(200.0))
    solve = pattern.factorise(H.data, 400.0, None)
    other.factorise(2.0 * H.data, 900.0, None)
    np.testing.assert_allclose(solve(b), np.linalg.solve(H.toarray() + 400.0 * np.eye(200), b), rtol=1e-9)


def chain(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def posed_chain(n):
    return pose(
        chain,
        np.full(n, 0.5),
        (),
        jac=None,
        hess=None,
        bounds=None,
        fixed=None,
        derivatives="auto",
        budget=None,
    )
