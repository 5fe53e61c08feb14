"""Hops of single parts: costs whose lowest minimum is known by dynamic programming or in closed form."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csc_array

from steepest import minimize
from steepest.bounds import Bounds
from steepest.budget import Budget, BudgetSpent
from steepest.objective import Objective
from steepest.oracles import Later, SumOfTerms
from steepest.problem import pose
from steepest.search import restarts
from steepest.search.hops import Hops, Sets

rng = np.random.default_rng(11)
FIELD = 0.3 * rng.normal(size=300)
CENTRES = rng.uniform(-3, 3, 400)


def wells(x):
    """A chain of double wells, each pushed to one side, weakly bound to its neighbours."""
    return np.sum((x**2 - 1) ** 2 + FIELD[: x.size] * x) + 0.15 * np.sum((x[1:] - x[:-1]) ** 2)


def lowest_of_wells(n, points=1201):
    """The lowest cost of the chain over a grid, by dynamic programming from one end to the other."""
    grid = np.linspace(-1.5, 1.5, points)
    bound = 0.15 * (grid[:, None] - grid) ** 2
    best = (grid**2 - 1) ** 2 + FIELD[0] * grid
    for field in FIELD[1:n]:
        best = (best[:, None] + bound).min(axis=0) + (grid**2 - 1) ** 2 + field * grid
    return best.min()


def lattice(x):
    """A chain of waves in a bowl, lowest, with cost zero, at `CENTRES`."""
    off = x - CENTRES[: x.size]
    return np.sum(off**2 + 10 * (1 - np.cos(2 * np.pi * off))) + 0.5 * np.sum((off[1:] - off[:-1]) ** 2)


def tried(result):
    return [item for item in result.evidence if item.name == "restarts nearby"]


@pytest.mark.parametrize("seed", range(3))
def test_a_chain_of_double_wells_comes_down_to_what_dynamic_programming_finds(seed):
    start = np.random.default_rng(seed).uniform(-2, 2, 300)
    alone, hopped = minimize(wells, start, starts=1), minimize(wells, start)
    lowest = lowest_of_wells(300)
    assert alone.fun > lowest + 50.0 and not tried(alone)
    assert lowest - 1e-3 < hopped.fun < lowest + 0.05 * (alone.fun - lowest)
    assert hopped.verdict == "local minimum"
    assert_allclose(hopped.fun, wells(hopped.x), rtol=1e-12)
    assert "parts of it moved alone" in hopped.message and "moves of parts alone" in tried(hopped)[0].how


@pytest.mark.parametrize("seed", range(3))
def test_each_of_many_parts_is_led_to_the_lowest_of_its_waves(seed):
    result = minimize(lattice, np.random.default_rng(seed).uniform(-5, 5, 400))
    assert_allclose(result.x, CENTRES, atol=1e-8)
    assert result.verdict == "global minimum"


def test_the_walk_from_a_hop_follows_curvature_where_the_first_one_ended_by_slopes():
    def chain(x):
        return np.sum(np.cos(x[:-1] ** 2 - 0.5 * x[1:]))

    start = np.random.default_rng(2).uniform(-2, 2, 1000)
    result = minimize(chain, start)
    # No cosine is below -1; where all are, as at every solution of x[:-1]**2 - x[1:]/2 = π, the curvature vanishes.
    assert -999.0 <= result.fun < -998.5 and result.success
    assert minimize(chain, start, starts=1).fun > -800.0
    assert result.plan.taken[-1] == "sparse Newton"


def test_where_factorising_takes_long_the_walk_from_a_hop_follows_slopes(monkeypatch):
    def net(x):
        wells = x.reshape(30, 30)
        bound = np.sum((wells[1:] - wells[:-1]) ** 2) + np.sum((wells[:, 1:] - wells[:, :-1]) ** 2)
        return np.sum((wells**2 - 1) ** 2 + 0.1 * np.sin(7 * wells)) + 0.2 * bound

    start = np.random.default_rng(0).uniform(-2, 2, 900)
    alone, by_curvature = minimize(net, start, starts=1), minimize(net, start)
    monkeypatch.setattr(restarts, "MOST_WORK", 1e6)  # one factorisation takes nearly as much
    by_slopes = minimize(net, start)
    assert by_curvature.nhev > alone.nhev == by_slopes.nhev
    # Any two neighbours on different sides cost 0.8: few do where parts were moved.
    assert by_slopes.success and max(by_curvature.fun, by_slopes.fun) < 0.5 * alone.fun
    assert_allclose(by_slopes.fun, net(by_slopes.x), rtol=1e-12)


def test_where_values_are_dear_rounds_end_after_some_times_what_the_first_walk_was_worth(monkeypatch):
    start = np.random.default_rng(0).uniform(-2, 2, 300)
    alone, cheap = minimize(wells, start, starts=1), minimize(wells, start)
    monkeypatch.setattr("steepest.search.restarts.A_WHILE", 0.0)
    monkeypatch.setattr("steepest.search.restarts.TIMES_WORTH", 0)
    dear = minimize(wells, start)
    assert cheap.fun < dear.fun < alone.fun
    assert alone.nfev < dear.nfev < 0.7 * cheap.nfev


def test_hops_stay_inside_bounds_that_shut_the_lowest_waves_out():
    low = np.where(np.arange(400) % 2, CENTRES + 0.6, -9.0)
    start = np.maximum(np.random.default_rng(0).uniform(-5, 5, 400), low)
    box = [(a, 9.0) for a in low]
    alone, hopped = minimize(lattice, start, bounds=box, starts=1), minimize(lattice, start, bounds=box)
    assert (hopped.x >= low).all() and (hopped.x <= 9.0).all()
    # Every second part at its centre, the others one wave off: no lower minimum differs in one part alone.
    assert hopped.fun < alone.fun / 10 and hopped.success
    near = np.round(hopped.x - CENTRES)
    assert (near[1::2] >= 1).all() and np.mean(near[1::2] == 1) > 0.9 and np.mean(near[::2] == 0) > 0.9


@pytest.mark.parametrize("factor", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize(("low", "high", "seed"), [(1.0, 10.0, 2), (0.05, 10.0, 0), (2.0, 4.0, 1)])
def test_where_a_part_lands_on_a_bound_with_an_infinite_slope_the_walk_goes_on_from_there(
    low, high, seed, factor
):
    def cost(x):
        return factor * np.sum(np.sqrt(x) + 2 * np.sin(5 * x))

    start = np.random.default_rng(seed).uniform(low, high, 200)
    alone, hopped = (minimize(cost, start, bounds=(0, None), starts=k) for k in (1, None))
    # The lowest valley, about x = 0.93, has depth 1.03; the bound, where the slope is infinite, is the second lowest.
    assert alone.fun > -100.0 * factor and -206.4 * factor < hopped.fun < -170.0 * factor
    assert hopped.verdict == "local minimum" and "lowest cost met" not in hopped.message
    inside = hopped.x[hopped.x > 0]
    assert_allclose(0.5 / np.sqrt(inside) + 10 * np.cos(5 * inside), 0.0, atol=1e-6)
    assert (hopped.x >= 0).all() and (50 * np.sin(5 * inside) < -0.25 * inside**-1.5).all()


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_hops_do_not_depend_on_the_unit_of_the_cost(factor):
    start = np.random.default_rng(1).uniform(-2, 2, 60)
    plain, scaled = minimize(wells, start), minimize(lambda x: factor * wells(x), start)
    assert_allclose(scaled.x, plain.x, atol=1e-6)


def test_a_budget_a_callback_and_a_start_alone_are_obeyed():
    start = np.random.default_rng(0).uniform(-2, 2, 300)
    alone = minimize(wells, start, starts=1)
    for more in (1, 20, 60, 150):
        result = minimize(wells, start, budget=alone.nfev + more)
        assert result.nfev <= alone.nfev + more and result.fun <= alone.fun
    stopped = minimize(wells, start, callback=lambda x: np.abs(wells(x) - alone.fun) < 1e-9)
    assert stopped.verdict == "stopped" or stopped.fun <= alone.fun
    again = minimize(wells, start)
    assert_array_equal(again.x, minimize(wells, start).x)


def test_where_no_part_meets_a_ridge_a_glance_is_all():
    def cost(x):  # bends down farther off, and rises all the same: along each parameter there is one minimum
        return np.sum(np.log1p((x - 1) ** 2) + 0.01 * x**2) + 0.5 * np.sum((x[1:] - x[:-1]) ** 4)

    result = minimize(cost, np.linspace(2.0, 3.0, 300))
    # Where all are equal each has 2(x - 1)/(1 + (x - 1)²) + 0.02 x = 0.
    roots = np.roots(np.polyadd([2.0, -2.0], 0.02 * np.array([1.0, -2.0, 2.0, 0.0])))
    assert_allclose(result.x, roots[np.isreal(roots)].real.item(), rtol=1e-6)
    assert 0 < int(tried(result)[0].how.split()[0]) < 20


def chain_of_terms(n, bounds=None, budget=None, unit=1.0):
    """The objective of the wells on `n` parameters with its terms, and every place that they were asked for."""
    places = []

    def terms(x):
        places.append(x.copy())
        x = x / unit
        return np.concatenate([(x**2 - 1) ** 2 + FIELD[:n] * x, 0.15 * (x[1:] - x[:-1]) ** 2])

    pattern = csc_array(np.vstack([np.eye(n), np.eye(n)[1:] + np.eye(n)[:-1]]).astype(np.int8))
    objective = Objective(
        n,
        value_and_gradient=lambda x: (wells(x / unit), np.zeros(n)),
        terms=Later(lambda: SumOfTerms(terms, pattern)),
        bounds=bounds,
        budget=budget,
    )
    return objective, places


def test_a_hop_is_as_much_lower_as_its_gain_says():
    n = 40
    start, x = np.zeros(n), np.sign(FIELD[:n])  # every well on its higher side
    objective, _ = chain_of_terms(n)
    hops = Hops(objective, start, x, float(n))
    there = hops.lower(x, 10_000)
    assert there.moved > n // 4
    assert_allclose(wells(x) - wells(there.x), there.gain, rtol=1e-10)
    assert hops.tried == objective.evaluations


@pytest.mark.parametrize("k", range(13))
def test_of_few_parameters_the_only_one_that_has_a_second_valley_is_seen(k):
    def terms(x):
        return x**2 - np.where(np.arange(13) == k, 8.0 * np.exp(-8.0 * (x - 1.5) ** 2), 0.0)

    objective = Objective(
        13,
        value_and_gradient=lambda x: (terms(x).sum(), np.zeros(13)),
        terms=Later(lambda: SumOfTerms(terms, csc_array(np.eye(13, dtype=np.int8)))),
    )
    there = Hops(objective, np.full(13, 2.0), np.zeros(13), 52.0).lower(np.zeros(13), 10_000)
    # The valley's bottom: x = 64 (1.5 - x) exp(-8 (x - 1.5)²), near 1.48.
    assert abs(there.x[k] - 1.48) < 0.05 and not np.delete(there.x, k).any()


def test_hops_do_not_depend_on_the_units_of_the_parameters():
    n = 40
    unit, x = 2.0 ** rng.integers(-30, 30, n), np.sign(FIELD[:n])
    plain = Hops(chain_of_terms(n)[0], np.zeros(n), x, float(n)).lower(x, 10_000)
    scaled = Hops(chain_of_terms(n, unit=unit)[0], np.zeros(n), x * unit, float(n)).lower(x * unit, 10_000)
    assert plain.moved > n // 4
    assert_array_equal(scaled.x / unit, plain.x)


def test_terms_are_asked_for_only_inside_the_bounds_and_within_the_allowance_and_the_budget():
    n = 40
    x = np.sign(FIELD[:n])
    bounds = Bounds(np.full(n, -0.7), np.full(n, 1.1))
    objective, places = chain_of_terms(n, bounds)
    there = Hops(objective, np.zeros(n), np.maximum(x, -0.7), float(n)).lower(np.maximum(x, -0.7), 10_000)
    assert there.moved and all(((place >= -0.7) & (place <= 1.1)).all() for place in places)
    for allowance in (0, 10, 100):
        hops = Hops(chain_of_terms(n)[0], np.zeros(n), x, float(n))
        hops.lower(x, allowance)
        assert hops.tried <= allowance
    objective, places = chain_of_terms(n, budget=Budget(evaluations=30))
    with pytest.raises(BudgetSpent):
        Hops(objective, np.zeros(n), x, float(n)).lower(x, 10_000)
    assert len(places) == 30


def test_the_best_sets_that_share_no_term_are_chosen():
    # Terms 0, 1, 2 on a line of sets 0, 1, 2, 3: neighbours share one.
    pattern = csc_array(np.array([[1.0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]))
    sets = Sets(pattern, csc_array(np.eye(4)))
    assert sets.undisturbed(np.array([1.0, 3.0, 2.0, 1.5])).tolist() == [False, True, False, True]
    assert sets.undisturbed(np.zeros(4)).tolist() == [False] * 4
    assert sets.undisturbed(np.ones(4)).sum() == 2


def test_parameters_that_meet_all_others_are_not_moved_one_after_the_other():
    n = 40
    dense = csc_array(np.ones((5, n)))
    assert not Sets(dense, csc_array(np.eye(n))).may_be_tried
    shared = csc_array(np.hstack([np.ones((n, 1)), np.eye(n)[:, 1:]]))
    hub = Sets(shared, csc_array(np.eye(n)))
    assert hub.count <= 2


@pytest.mark.parametrize("order", ["none", "along the chain", "ties"])
def test_the_best_sets_that_share_no_term_are_what_going_through_them_finds(order):
    draw = np.random.default_rng(5)
    n = 400
    pattern = csc_array(np.eye(n) + np.eye(n, k=1) + (draw.random((n, n)) < 0.002))
    sets = Sets(pattern, csc_array(np.eye(n)))
    gains = {
        "none": draw.random(n),
        "along the chain": np.linspace(1.0, 2.0, n),
        "ties": np.ceil(3.0 * draw.random(n)),
    }[order]
    gains[draw.random(n) < 0.1] = 0.0
    dense, taken, expected = pattern.toarray() > 0.0, np.zeros(n, bool), np.zeros(n, bool)
    for k in np.argsort(gains, kind="stable")[::-1]:
        if gains[k] > 0.0 and not (taken & dense[:, k]).any():
            expected[k] = True
            taken |= dense[:, k]
    assert_array_equal(sets.undisturbed(gains), expected)


def test_what_follows_from_the_terms_alone_is_made_once_for_all_walks():
    def cost(x):
        return wells(x)

    start = np.zeros(100)
    problems = [
        pose(cost, start, (), jac=None, hess=None, bounds=None, fixed=None, derivatives="auto", budget=None)
        for _ in range(2)
    ]
    first, second = (Hops(problem.objective, start, start, 1.0) for problem in problems)
    assert problems[0].objective is not problems[1].objective
    assert first.alone is second.alone and first.pattern is second.pattern


def test_terms_of_too_many_parameters_are_not_coloured(monkeypatch):
    """Each takes a colour of its own for every parameter of a term, and a look all colours many times over."""
    n = 2_000
    where = np.random.default_rng(2).integers(0, n, (100, 70))
    cost = pose(
        lambda x: np.sum(np.cos(x[where].sum(axis=1))), np.zeros(n), (), jac=None, hess=None, bounds=None,
        fixed=None, derivatives="auto", budget=Budget(),
    ).objective  # fmt: skip

    def refuse(pattern):
        raise AssertionError("coloured")

    monkeypatch.setattr("steepest.search.hops.colour_columns", refuse)
    hops = Hops(cost, np.zeros(n), np.ones(n), 1.0)
    assert hops.lower(np.ones(n), 10**6).moved == 0 and hops.tried == 0
