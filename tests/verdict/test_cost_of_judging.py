"""What a verdict on a plain minimum costs, in evaluations, and that saving them changes no word."""

import re
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest
from steepest.derivatives.tiers import Tiered
from steepest.objective import Objective
from steepest.problem import pose
from steepest.search.descent import structure_of
from steepest.verdict import tails
from steepest.verdict.constrained_point import Point
from steepest.verdict.flatness import _basis_across
from steepest.verdict.judge import judge
from steepest.verify import verify


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def bowl(x):
    return np.sum(np.cosh(x - 1.0))


def posed(cost, n):
    return pose(
        cost, np.zeros(n), (), jac=None, hess=None, bounds=None, fixed=None, derivatives="auto", budget=None
    )


def judged(problem, x):
    return judge(problem.objective, x, names=problem.names, structure=structure_of(problem))


@pytest.mark.parametrize("n", [2, 5])
def test_a_plain_minimum_costs_two_slopes_for_each_parameter_and_six_more(n):
    found = judged(posed(bowl, n), np.ones(n))
    assert found.verdict.is_minimum
    assert found.spent.gradients <= 2 * n + 6
    assert found.spent.hessians == found.spent.products == 0


def test_a_long_way_down_to_nearly_nothing_is_not_taken_for_the_way_into_a_pole():
    def cost(x):
        return np.sum((x**3 + x - 2.0) ** 2)

    n = 20_000  # so many that no place of the walk is kept, only how far the cost fell
    walk = steepest.minimize(cost, np.linspace(2.0, 3.0, n))
    # The cost is next to nothing: its change from one number to the next is much beside it, and little beside the fall.
    for history in (walk.history, None):  # without one, as where the budget ended before the first step
        found = judge(posed(cost, n).objective, np.full(n, 1.0 + 1e-15), names=None, history=history)
        assert found.verdict != "unbounded below"
        assert found.spent.values <= 200  # to look for a pole takes some seven hundred


@pytest.mark.parametrize("cost", [bowl, rosenbrock])
def test_second_derivatives_that_are_made_already_take_the_place_of_differences(cost):
    problem = posed(cost, 3)
    x = np.ones(3)
    before = judged(problem, x)
    assert not problem.objective.has_hessian_at_hand or before.spent.hessians
    problem.objective.hessian(x + 1.0)
    assert problem.objective.has_hessian_at_hand
    after = judged(problem, x)
    assert after.verdict is before.verdict
    assert after.spent.gradients <= 5 and 1 <= after.spent.hessians <= 3
    np.testing.assert_allclose(after.digits, before.digits, atol=1.0)


def test_the_probes_of_one_seed_are_the_same_at_every_look():
    problem = posed(rosenbrock, 4)
    first, second = (judged(problem, np.ones(4)) for _ in range(2))
    assert [item.measured for item in first.evidence] == [item.measured for item in second.evidence]


def test_a_corner_of_very_many_bounds_is_judged_in_memory_for_what_is_free():
    n = 5_000
    x = np.where(np.arange(n) % 1000 == 0, 0.5, 1.0)

    def cost(x):
        return np.sum(np.where(np.arange(n) % 1000 == 0, (x - 0.5) ** 2, -(x**2)))

    tracemalloc.start()
    found = verify(cost, x, bounds=[(-2.0, 1.0)] * n)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.verdict == "local minimum"
    assert "x[1], x[2], x[3], x[4] and 4991 more held at their bounds" in found.message
    assert peak < 0.2 * 8 * n * n  # the whole matrix of second derivatives would be 200 MB


def test_a_valley_that_bends_is_followed_by_the_second_derivatives_at_hand():
    # Each pair of parameters lies on a circle of its own: there are as many level directions as circles.
    def circles(x):
        return np.sum((x[::2] ** 2 + x[1::2] ** 2 - 1.0) ** 2)

    problem = posed(circles, 60)
    angles = np.linspace(0.1, 6.0, 30)
    found = judged(problem, np.column_stack([np.cos(angles), np.sin(angles)]).ravel())
    assert found.verdict == "flat minimum"
    assert "a bend that begins along" in found.sentence
    assert found.spent.hessians <= 24  # two for each direction that is looked along


def test_a_valley_that_runs_into_bounds_is_not_put_back_there_a_hundred_times(monkeypatch):
    # How often it is put back hangs on the last digit of every entry. Compiled evaluations round otherwise, and when to
    # compile is decided by the clock: here never.
    monkeypatch.setattr(Tiered, "_is_worth_compiling", lambda self: False)
    # Factors of a matrix that must not be negative: what one gains another loses, until an entry meets its bound.
    random = np.random.default_rng(0)
    product = abs(random.standard_normal((8, 3))) @ abs(random.standard_normal((3, 6)))

    def factors(x):
        return np.sum((x[:24].reshape(8, 3) @ x[24:].reshape(3, 6) - product) ** 2)

    bounds = [(0.0, np.inf)] * 42
    walk = steepest.minimize(factors, random.uniform(0.0, 1.0, 42), bounds=bounds)
    problem = pose(
        factors,
        walk.x,
        (),
        jac=None,
        hess=None,
        bounds=bounds,
        fixed=None,
        derivatives="auto",
        budget=None,
    )
    found = judge(
        problem.objective, walk.x, names=problem.names, structure=structure_of(problem), history=walk.history
    )
    assert found.verdict == "flat minimum"
    assert found.spent.hessians <= 150  # followed to the end of all corrections, 1200


def test_many_level_directions_are_told_by_parameters_that_no_other_has():
    # Of 150 parameters only 50 sums of three are told. Those of a quadratic are level alike, and a few speak for all.
    def sums(power):
        def cost(x):
            off = x.reshape(50, 3).sum(axis=1) - 1.0
            return np.sum(off**2) + np.sum(off**power)

        return cost

    for power, probed in ((2, 4), (4, 12)):
        found = judged(posed(sums(power), 150), np.full(150, 1 / 3))
        assert found.verdict == "flat minimum"
        along = [item.name for item in found.evidence if item.name.startswith("cost along")]
        assert len(along) == probed
        _are_between_two_of_three(along[: probed // 2])


@pytest.mark.parametrize("few", [0, 1, 9, 29])
def test_level_directions_are_as_well_told_by_the_few_that_are_not(few):
    rng = np.random.default_rng(few)
    n, scale = 60, 10.0 ** rng.uniform(-8.0, 8.0, 60)
    bent = rng.standard_normal((few, n)) * 10.0 ** rng.uniform(-8.0, 8.0, (few, 1))
    rows = _basis_across(bent, scale) / scale
    assert rows.shape == (n - few, n)
    assert_allclose(rows @ (bent / np.linalg.norm(bent, axis=1)[:, None]).T, 0.0, atol=1e-8)
    assert_allclose(np.abs(rows).max(axis=1), 1.0)
    assert ((rows != 0.0).sum(axis=0) == 1).sum() == n - few  # each has a parameter that no other has
    assert np.linalg.matrix_rank(rows) == n - few


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("power", [2, 4])
def test_a_cost_of_two_sums_of_sixty_parameters_is_flat_along_all_else(unit, power):
    A = np.random.default_rng(3).uniform(1.0, 2.0, (2, 60)) / unit

    def cost(x):
        off = A @ x - 1.0
        return np.sum(off**2 + off**power)

    bottom = np.linalg.lstsq(A, np.ones(2), rcond=None)[0]
    assert judged(posed(cost, 60), bottom).verdict == "flat minimum"


def test_no_tail_is_looked_for_where_a_polynomial_rises_from_its_bottom(monkeypatch):
    def sisser(x):
        return 3.0 * x[0] ** 4 - 2.0 * (x[0] * x[1]) ** 2 + 3.0 * x[1] ** 4

    def fading(x):
        return np.exp(-x[0]) + 3.0 * x[1] ** 4

    looked = []
    monkeypatch.setattr(tails, "_dies_out", lambda *_: looked.append(1) or False)
    walk = steepest.minimize(sisser, np.array([1.0, 0.1]))
    assert walk.verdict.is_minimum and not looked
    steepest.minimize(fading, np.array([1.0, 0.1]))
    assert looked


def test_classes_that_a_plane_parts_are_known_to_have_no_minimum_after_few_second_derivatives(monkeypatch):
    """The logistic loss is convex, and the walk saw it die out: no way on along any direction need be followed."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(1_000, 130))
    label = np.sign(X @ rng.normal(size=130))
    taken = []
    evaluate = Objective.hessian
    monkeypatch.setattr(Objective, "hessian", lambda self, x: taken.append(1) or evaluate(self, x))
    walk = steepest.minimize(lambda w: np.sum(np.logaddexp(0.0, -label * (X @ w))), np.zeros(130))
    assert walk.verdict == "infimum not attained"
    assert len(taken) <= 10  # following a dozen directions took hundreds


def _are_between_two_of_three(names):
    for name in names:
        numbers = [int(part) for part in re.findall(r"x\[(\d+)\]", name)]
        assert len(numbers) == 2 and numbers[0] // 3 == numbers[1] // 3


def test_probes_that_bounds_keep_off_the_pieces_are_not_put_back_again_and_again(monkeypatch):
    """The cubic nearest to exp at 41 places, by its largest error; what that is a linear program tells, too."""
    from scipy.optimize import linprog

    steps = []
    least = Point._least
    monkeypatch.setattr(Point, "_least", lambda self, *given: steps.append(0) or least(self, *given))
    t = np.linspace(-1.0, 1.0, 41)
    found = steepest.minimize(
        lambda p: np.max(np.abs(np.exp(t) - (p[0] + p[1] * t + p[2] * t**2 + p[3] * t**3))), np.zeros(4)
    )
    A = np.vander(t, 4, increasing=True)
    ones = np.ones((41, 1))
    program = linprog(
        [0, 0, 0, 0, 1],
        A_ub=np.block([[A, -ones], [-A, -ones]]),
        b_ub=np.concatenate([np.exp(t), -np.exp(t)]),
        bounds=[(None, None)] * 5,
    )
    assert found.verdict == "minimum at a kink"
    assert abs(found.fun - program.fun) < 1e-9
    assert len(steps) <= 400  # with eight rounds for every probe 2,300


@pytest.mark.parametrize("n", [1, 2])
def test_a_constant_that_is_measured_is_judged_once_and_no_place_is_looked_for_where_it_begins_to_fall(n):
    calls = []

    def constant(x):
        calls.append(0)
        return 2.5

    assert not steepest.minimize(constant, np.linspace(0.3, 0.9, n), derivatives="numeric").success
    assert len(calls) < 7000 * n
