"""The collections' formulas against what their papers print, and what the page makes of the runs."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar

from benchmarks import collection, contest
from benchmarks.collected import PROBLEMS, TABLES, more_garbow_hillstrom

LOWEST = contest.known(collection.LOWEST)

# Minimisers as Moré, Garbow & Hillstrom print them, where the cost is zero; and Andrei's that follow from the formula.
ZEROS = {
    "ROSEN": [1, 1],
    "FREUD": [5, 4],
    "BROWNBAD": [1e6, 2e-6],
    "BEALE": [3, 0.5],
    "HELIX": [1, 0, 0],
    "GULF": [50, 25, 1.5],
    "BOX3D": [1, 10, 1],
    "SINGULAR": [0] * 4,
    "WOOD": [1] * 4,
    "BIGGS6": [1, 10, 1, 5, 4, 3],
    "EXTROSEN-10": [1] * 10,
    "EXTSING-12": [0] * 12,
    "VARDIM-10": [1] * 10,
    "TRIG-10": [0] * 10,
    "BROWNAL-10": [1] * 10,
    "WHITE-10": [1] * 10,
    "A-BEALE-10": [3, 0.5] * 5,
    "HIMMEL-10": [3, 2] * 5,
    "FULLHESS2-10": [5, -4, *[0] * 8],
    "A-WOOD-12": [1] * 12,
    "HIEBERT-10": [10, 5000] * 5,
    "TRIDIA-10": 0.5 ** np.arange(10.0),
    "ARWHEAD-10": [1] * 9 + [0],
    "STAIR2-10": [1] * 10,
    "LIARWHD-10": [1] * 10,
    "CUBE-10": [1] * 10,
    "NONSCOMP-10": [1] * 10,
    "DENSCHNB-10": [2, -1] * 5,
    "DENSCHNF-10": [1, 1] * 5,
    "BIGGSB1-10": [1] * 10,
    "CHAINWOO-20": [1] * 20,
    "GENHUMPS-5": [0] * 5,
}


def test_there_are_hundreds_of_problems_and_no_name_stands_twice():
    assert len(PROBLEMS) == sum(map(len, TABLES.values())) > 500
    assert sorted(name for names in collection.groups().values() for name in names) == sorted(PROBLEMS)


@pytest.mark.parametrize("title", TABLES)
def test_every_start_keeps_its_bounds_and_has_a_finite_cost(title):
    for name, p in TABLES[title].items():
        cost = p.cost(np, p.start)
        assert np.isfinite(cost) and np.ndim(cost) == 0, name
        if p.lower is not None:
            assert np.all((p.lower <= p.start) & (p.start <= p.upper)), name


def test_jax_can_trace_every_formula_to_one_number():
    with jax.enable_x64(True):
        for name, p in PROBLEMS.items():
            if p.start.size <= 100 and p.lower is None:
                shape = jax.eval_shape(lambda x, p=p: p.cost(jnp, x), p.start)
                assert shape.shape == () and shape.dtype == np.float64, name


@pytest.mark.parametrize("name", ZEROS)
def test_cost_is_zero_where_the_paper_says_so(name):
    x = np.asarray(ZEROS[name], float)
    assert x.shape == PROBLEMS[name].start.shape
    assert_allclose(PROBLEMS[name].cost(np, x), 0.0, atol=1e-20)


# Where hilly costs are lowest, as Dixon & Szegő, Törn & Žilinskas and Levy & Montalvo print it, and the cost there.
LOWEST_VALLEYS = {
    "CAMEL6": ([0.08984201, -0.71265640], -1.0316284535),
    "CAMEL3": ([0, 0], 0.0),
    "GOLDSTEIN": ([0, -1], 3.0),
    "LEVY": ([1, 1], 0.0),
    "DROPWAVE": ([0, 0], -1.0),
    "RASTRIGIN-2": ([0, 0], 0.0),
    "STYBLINSKI": ([-2.90353403, -2.90353403], -78.3323314),
    "HAIRY": ([0, 0], 20.0),
}


@pytest.mark.parametrize("name", LOWEST_VALLEYS)
def test_hilly_costs_are_measured_against_their_lowest_valley_whether_or_not_a_run_found_it(name):
    x, lowest = LOWEST_VALLEYS[name]
    assert_allclose(PROBLEMS[name].cost(np, np.asarray(x, float)), lowest, atol=1e-7)
    assert_allclose(PROBLEMS[name].minimum, lowest, atol=1e-7)


def test_thirteen_particles_are_lowest_as_an_icosahedron_around_one():
    golden = (1 + 5**0.5) / 2
    one = np.array([(0, a, b * golden) for a in (-1, 1) for b in (-1, 1)])
    corners = np.concatenate([np.roll(one, k, axis=1) for k in range(3)])
    points = np.concatenate([np.zeros((1, 3)), corners / np.linalg.norm(corners[0])])
    cost = PROBLEMS["CLUSTER-13"].cost
    energy = minimize_scalar(lambda r: cost(np, (r * points).ravel()), (0.8, 1.1), tol=1e-12).fun
    assert_allclose(PROBLEMS["CLUSTER-13"].minimum, energy, atol=1e-5)


def test_lowest_costs_found_are_the_minima_that_more_garbow_and_hillstrom_print():
    printed = {name: p.minimum for name, p in more_garbow_hillstrom.PROBLEMS.items() if p.minimum}
    assert len(printed) >= 18
    for name, minimum in printed.items():
        assert_allclose(LOWEST[name], minimum, rtol=5e-6, err_msg=name)


def test_no_run_found_less_than_what_squares_can_have():
    below = [name for name, p in PROBLEMS.items() if p.minimum == 0.0 and LOWEST.get(name, 0.0) < 0.0]
    assert below == []


def test_bounds_move_the_start_to_the_nearest_point_between_them():
    free = PROBLEMS["ROSEN"]
    p = free.within([-1, 2], [0.5, np.inf])
    assert_allclose(p.start, [-1, 2])
    assert p.cost is free.cost and p.minimum is None


def test_a_printed_minimum_counts_where_it_is_lower_than_its_digits_explain(monkeypatch, tmp_path):
    monkeypatch.setattr(collection, "LOWEST", tmp_path / "lowest.json")

    def lowest_of(name, cost):
        record = {"problem": name, "solver": "A", "cost": cost, "slope": 0.0, "outside": 0.0, "claims": True}
        return collection.judged([record]).lowest[name]

    assert lowest_of("JENSAM", 124.3622) == 124.3622  # 124.362 is printed
    assert lowest_of("ACKLEY-2", 2.5) == 0.0
    assert lowest_of("INDEF-10", -1e6) == -np.inf


def test_what_is_kept_is_not_measured_again(monkeypatch, tmp_path):
    keep, asked = tmp_path / "kept.jsonl", []

    def run_all(pairs, jobs, worker, file):
        asked.extend(pairs)
        return [{"problem": name, "solver": solver, "cost": 0.0} for name, solver in pairs]

    monkeypatch.setattr(collection, "run_all", run_all)
    keep.write_text(json.dumps({"problem": "ROSEN", "solver": "steepest", "cost": 7.0}) + "\n")
    records = collection.measured([("ROSEN", "steepest"), ("BEALE", "steepest")], keep, 1)
    assert asked == [("BEALE", "steepest")]
    assert [r["cost"] for r in records] == [7.0, 0.0]


def test_the_page_names_what_is_missed_by_how_much_and_what_is_claimed_falsely():
    judge = contest.Judge({"P": -200.0, "Q": 0.0, "R": -np.inf}, lambda record: True, "slope")
    records = [
        {"problem": "P", "solver": "steepest", "cost": -198.0, "slope": 9.0, "claims": True},
        {"problem": "Q", "solver": "steepest", "cost": 0.0, "slope": 0.0, "claims": False},
        {"problem": "R", "solver": "steepest", "cost": -5.0, "slope": 1.0, "claims": True},
    ]
    assert collection.told(records, judge) == (
        "Not solved by steepest: P (gap 0.01). False success by steepest: P. False failure by steepest: Q."
    )


def test_peers_without_bounds_are_not_asked_for_problems_with_them():
    bounded = {name for name, p in PROBLEMS.items() if p.lower is not None}
    pairs = collection.pairs_of(peers=True)
    assert {name for name, solver in pairs if solver.startswith("optimistix")}.isdisjoint(bounded)
    assert ("ROSEN.cut", "SciPy L-BFGS-B") in pairs
    assert [solver for _, solver in collection.pairs_of(peers=False)] == ["steepest"] * len(PROBLEMS)
