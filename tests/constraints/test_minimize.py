"""Constrained minima against closed forms, multipliers as sensitivities, and honest words where there is no minimum."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sparse
from numpy.testing import assert_allclose
from scipy.optimize import LinearConstraint, isotonic_regression, linprog

from steepest import Verdict, minimize
from steepest.constraints.rows import Rows
from steepest.objective import Objective
from steepest.search import constrained
from steepest.solvers.history import History
from steepest.solvers.stopping import StopReason
from steepest.verdict.constrained_conditions import least_violation

from ..pressing import pressing

# Hock & Schittkowski (1981), problems by number, with their published minima.
PROBLEMS = {
    7: (lambda x: np.log(1 + x[0] ** 2) - x[1], [2, 2], None,
        {"type": "eq", "fun": lambda x: (1 + x[0] ** 2) ** 2 + x[1] ** 2 - 4}, -np.sqrt(3)),
    10: (lambda x: x[0] - x[1], [-10, 10], None,
         {"type": "ineq", "fun": lambda x: -3 * x[0] ** 2 + 2 * x[0] * x[1] - x[1] ** 2 + 1}, -1.0),
    14: (lambda x: (x[0] - 2) ** 2 + (x[1] - 1) ** 2, [2, 2], None,
         [{"type": "ineq", "fun": lambda x: -0.25 * x[0] ** 2 - x[1] ** 2 + 1},
          {"type": "eq", "fun": lambda x: x[0] - 2 * x[1] + 1}], 9 - 2.875 * np.sqrt(7)),
    29: (lambda x: -x[0] * x[1] * x[2], [1, 1, 1], None,
         {"type": "ineq", "fun": lambda x: -x[0] ** 2 - 2 * x[1] ** 2 - 4 * x[2] ** 2 + 48}, -16 * np.sqrt(2)),
    36: (lambda x: -x[0] * x[1] * x[2], [10, 10, 10], [(0, 20), (0, 11), (0, 42)],
         {"type": "ineq", "fun": lambda x: 72 - x[0] - 2 * x[1] - 2 * x[2]}, -3300.0),
    43: (lambda x: np.sum(x**2) + x[2] ** 2 - 5 * x[0] - 5 * x[1] - 21 * x[2] + 7 * x[3], [0, 0, 0, 0], None,
         {"type": "ineq", "fun": lambda x: np.array([
             8 - np.sum(x**2) - x[0] + x[1] - x[2] + x[3],
             10 - np.sum(x**2) - x[1] ** 2 - x[3] ** 2 + x[0] + x[3],
             5 - 2 * x[0] ** 2 - x[1] ** 2 - x[2] ** 2 - 2 * x[0] + x[1] + x[3]])}, -44.0),
    71: (lambda x: x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2], [1, 5, 5, 1], [(1, 5)] * 4,
         [{"type": "ineq", "fun": lambda x: np.prod(x) - 25},
          {"type": "eq", "fun": lambda x: np.sum(x**2) - 40}], 17.0140172891520),
}  # fmt: skip


@pytest.mark.parametrize("number", PROBLEMS)
def test_hock_and_schittkowskis_minima_are_found_and_called_minima(number):
    cost, start, bounds, constraints, least = PROBLEMS[number]
    result = minimize(cost, np.array(start, dtype=float), bounds=bounds, constraints=constraints)
    assert result.success, result
    assert_allclose(result.fun, least, rtol=1e-11)
    assert result.violation < 1e-11


@pytest.mark.parametrize("number", PROBLEMS)
@pytest.mark.parametrize("unit", [1e-8, 1e-12])
def test_a_cost_in_another_unit_has_the_same_minimum(number, unit):
    cost, start, bounds, constraints, least = PROBLEMS[number]
    result = minimize(
        lambda x: unit * cost(x), np.array(start, dtype=float), bounds=bounds, constraints=constraints
    )
    assert result.success, result
    assert_allclose(result.fun, unit * least, rtol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_linear_programs_with_tiny_prices_end_where_a_simplex_method_does(seed):
    rng = np.random.default_rng(seed)
    A, price = rng.integers(-2, 3, size=(5, 4)).astype(float), rng.integers(-2, 3, size=4).astype(float)
    room = A @ rng.integers(0, 3, size=4)
    least = linprog(price, A, room, bounds=(0, 4)).fun
    result = minimize(
        lambda x: 1e-8 * np.sum(price * x),
        rng.uniform(0, 4, 4),
        bounds=(0.0, 4.0),
        constraints=LinearConstraint(A, -np.inf, room),
    )
    assert result.success, result
    assert_allclose(1e8 * result.fun, least, atol=1e-8)


@pytest.mark.parametrize("unit", [1.0, 1e-8])
def test_a_start_that_happens_to_be_level_is_no_tiny_unit(unit):
    # A saddle within a disc: curvature tells the unit where the slope is 1e-9 of it.
    result = minimize(
        lambda x: unit * (x[0] ** 2 - x[1] ** 2),
        np.array([1e-9, 1e-9]),
        constraints={"type": "ineq", "fun": lambda x: 1 - np.sum(x**2)},
    )
    assert result.success, result
    assert_allclose(result.fun, -unit, rtol=1e-9)


def test_a_multiplier_is_what_the_lowest_cost_rises_by_when_the_limit_rises():
    def lowest(limit):
        return minimize("x**2 + 3*y**2", {"x": 1.0, "y": 1.0}, constraints=f"x + y >= {limit!r}")

    result = lowest(2.0)
    h = 1e-4
    assert_allclose(
        result.multipliers["x + y >= 2.0"], (lowest(2.0 + h).fun - lowest(2.0 - h).fun) / (2 * h), rtol=1e-6
    )
    assert result.active == ("x + y >= 2.0",)


def test_the_slope_of_the_cost_is_the_multipliers_times_the_slopes_of_the_constraints():
    result = minimize(
        lambda x: x @ x - x[0] * x[2],
        np.array([1.0, 1.0, 1.0]),
        bounds=[(None, None), (None, None), (0.5, None)],
        constraints=[
            {"type": "eq", "fun": lambda x: x[0] * x[1] - 2},
            {"type": "ineq", "fun": lambda x: 9 - x @ x},
        ],
    )
    x = result.x
    first, second = result.multipliers.values()
    balance = first * np.array([x[1], x[0], 0.0]) - second * 2 * x + result.bound_multipliers
    assert_allclose(2 * x - np.array([x[2], 0.0, x[0]]), balance, atol=1e-10)


def test_constraints_that_contradict_each_other_end_in_the_point_of_least_violation():
    result = minimize(lambda x: x @ x, np.array([3.0, 3.0]), constraints=[
        {"type": "ineq", "fun": lambda x: x[0] - 5}, {"type": "ineq", "fun": lambda x: 2 - x[0]}])  # fmt: skip
    assert result.verdict is Verdict.NOT_FINITE and not result.success
    assert "No point meets the constraints" in result.message
    assert_allclose(result.x[0], 3.5)
    assert_allclose(result.violation, 1.5)


def test_a_cost_that_falls_for_ever_between_constraints_is_told():
    constraint = {"type": "ineq", "fun": lambda x: x[0] * x[1] - 1}
    result = minimize(lambda x: -x[0], np.ones(2), bounds=[(0, None)] * 2, constraints=constraint)
    assert result.verdict is Verdict.UNBOUNDED_BELOW


def test_a_convex_cost_between_convex_constraints_has_a_global_minimum():
    result = minimize("exp(x) + y**2", {"x": 0.0, "y": 0.0}, constraints=["x**2 + y**2 <= 4", "y >= 1"])
    assert result.verdict is Verdict.GLOBAL_MINIMUM
    assert_allclose([result.x["x"], result.x["y"]], [-np.sqrt(3), 1.0])


def test_an_edge_on_which_the_cost_is_level_is_a_flat_minimum():
    result = minimize(lambda x: x[0] + x[1], np.array([1.0, 2.0]), bounds=[(0, None)] * 2,
                      constraints={"type": "ineq", "fun": lambda x: x[0] + x[1] - 1})  # fmt: skip
    assert result.verdict is Verdict.FLAT_MINIMUM
    assert_allclose(result.fun, 1.0)


def test_a_walk_that_starts_on_a_constrained_maximum_leaves_it():
    # On the circle x² + y² = 1 the cost x is largest at (1, 0), where every first-order condition holds.
    result = minimize(
        lambda x: x[0], np.array([1.0, 0.0]), constraints={"type": "eq", "fun": lambda x: x @ x - 1}
    )
    assert result.success
    assert_allclose(result.x, [-1.0, 0.0], atol=1e-9)


def test_dependent_constraints_are_told():
    same = {"type": "ineq", "fun": lambda x: x[0] - 1}
    result = minimize(lambda x: x @ x, np.array([3.0, 3.0]), constraints=[same, dict(same)])
    assert result.success
    assert_allclose(result.x, [1.0, 0.0], atol=1e-9)
    assert any(item.name.startswith("independent") and not item.holds for item in result.evidence)


def test_the_cost_is_never_called_outside_its_bounds_or_where_its_logarithm_has_no_value():
    seen = []

    def cost(x):
        seen.append(np.array(x))
        return x[0] ** 2 - np.log(x[1])

    minimize(cost, np.array([1.0, 1.0]), bounds=[(None, None), (1e-3, 5.0)], derivatives="numeric",
             constraints={"type": "eq", "fun": lambda x: x[0] + x[1] - 1})  # fmt: skip
    seen = np.array(seen)
    assert (seen[:, 1] >= 1e-3).all() and (seen[:, 1] <= 5.0).all() and len(seen) > 20


@pytest.mark.parametrize(
    ("cost", "start", "constraints", "bounds", "where"),
    [
        # x + y = 1: the slopes 1 - 1/x and 2 - 1/y are equal at x = (√5 - 1)/2.
        ("x - log(x) + 2*y - log(y)", [0, 0], "x + y == 1", None, [(5**0.5 - 1) / 2, (3 - 5**0.5) / 2]),
        ("x - log(x) + 2*y - log(y)", [-1, -1], "x + y == 1", (-2, 2), [(5**0.5 - 1) / 2, (3 - 5**0.5) / 2]),
        # The hyperbola x·y = 1 is nearest to zero at (1, 1).
        ("x**2 + y**2", [0, 0], "log(x) + log(y) >= 0", (0, 5), [1, 1]),
        ("(x - 1)**2 + (y - 2)**2", [0, 0], "x/y >= 1", None, [1.5, 1.5]),
        # The constraint has a value at zero, and an infinite slope. At x = s², y = (1 - s)² the cost is s⁴ + (1 - s)⁴.
        ("x**2 + y**2", [0, 0], "sqrt(x) + sqrt(y) >= 1", (0, 5), [0.25, 0.25]),
    ],
    ids=["cost", "cost between bounds", "constraint", "pole of a constraint", "slope of a constraint"],
)
def test_a_start_where_cost_or_constraint_is_not_defined_is_left(cost, start, constraints, bounds, where):
    result = minimize(cost, np.array(start, dtype=float), constraints=constraints, bounds=bounds)
    assert result.success, result
    assert_allclose(result.x, where, atol=1e-7)
    assert "at the start; the walk began at x = " in result.message


def test_a_constraint_without_a_value_anywhere_is_given_up_at_the_start():
    result = minimize("x**2 + y**2", [1.0, 2.0], constraints="log(x - 1e3) >= 0")
    assert result.verdict is Verdict.NOT_FINITE and result.x.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("budget", [1, 3, 12])
def test_a_budget_that_ends_while_a_defined_start_is_looked_for_is_kept(budget):
    result = minimize("log(x) + x**2", 0.0, constraints="x <= 2", budget=budget)
    assert result.nfev <= budget and not result.success


def test_the_cost_is_not_called_outside_its_bounds_while_a_defined_start_is_looked_for():
    seen = []

    def cost(x):
        seen.append(np.array(x))
        return x[0] - np.log(x[0]) + x[1] ** 2

    bounds = [(-0.5, 0.5), (0.0, 3.0)]
    constraints = {"type": "ineq", "fun": lambda x: x[0] + x[1] - 1.0}
    with np.errstate(all="ignore"):
        result = minimize(cost, [-0.5, 0.0], bounds=bounds, constraints=constraints, derivatives="numeric")
    assert result.success, result
    assert_allclose(result.x, [0.5, 0.5], atol=1e-6)
    assert (np.array(seen) >= [-0.5, 0.0]).all() and (np.array(seen) <= [0.5, 3.0]).all()


def test_a_budget_and_a_callback_end_a_constrained_walk():
    cost, start, bounds, constraints, _ = PROBLEMS[71]
    start = np.array(start, dtype=float)
    spent = minimize(cost, start, bounds=bounds, constraints=constraints, budget=4)
    assert spent.verdict is Verdict.OUT_OF_BUDGET and spent.nfev <= 4
    halted = minimize(cost, start, bounds=bounds, constraints=constraints, callback=lambda x: True)
    assert halted.verdict is Verdict.STOPPED and halted.nit == 1


def test_a_large_sparse_problem_is_solved_with_sparse_derivatives():
    n = 400
    target = np.linspace(0.0, 4.0, n)

    def cost(x):
        return np.sum((x - target) ** 2) + np.sum((x[1:] - x[:-1]) ** 2)

    result = minimize(cost, np.zeros(n), constraints={"type": "ineq", "fun": lambda x: 1 - x[1:] * x[:-1]})
    assert result.violation < 1e-8
    x = result.x
    assert result.success and (x[1:] * x[:-1] <= 1 + 1e-8).all() and np.isclose((x[1:] * x[:-1]).max(), 1.0)


def test_the_text_of_a_result_names_multipliers():
    text = str(minimize("x**2 + y**2", {"x": 3.0, "y": 1.0}, constraints=["x >= 1", "y <= 5"]))
    assert "x >= 1" in text and "multiplier" in text


def test_a_ray_along_which_the_cost_falls_is_seen_while_the_walk_is_still_near():
    # In the cone z >= |(x, y)| the cost falls by √2 for each unit along (1, 1, √2), for ever.
    result = minimize(
        lambda p: -p[0] - p[1] + np.sin(p[2]) / 10.0,
        np.array([0.3, 0.1, 1.0]),
        bounds=[(None, None), (None, None), (0.0, None)],
        constraints={"type": "ineq", "fun": lambda p: p[2] ** 2 - p[0] ** 2 - p[1] ** 2},
    )
    assert result.verdict == "unbounded below"
    assert result.nit <= 200
    assert result.violation <= 1e-8 * np.abs(result.x).max()


@pytest.mark.parametrize(
    ("cost", "start"),
    [
        pytest.param(lambda x: np.sum(x**2), [3.0, 4.0], id="a bowl"),
        pytest.param(lambda x: np.sum(np.maximum(x - 1, 0) ** 2), [9.97, 17.2], id="flat"),
        pytest.param(lambda x: np.sum(1 / x**2), [167.0, 76.0], id="a pole"),
    ],
)
def test_a_violation_that_is_least_where_slopes_are_infinite_is_told_and_raises_nothing(cost, start):
    """√z = -1 is missed by the least where z = 0, and there √ has no finite slope."""
    constraint = {"type": "eq", "fun": lambda x: np.sqrt(x[0] + 2 * x[1]) + 1}
    result = minimize(cost, np.array(start), constraints=constraint)
    assert not result.success
    assert "not met" in result.message
    assert abs(result.x[0] + 2 * result.x[1]) < 1e-6


@pytest.mark.parametrize("starts", [None, 3])
@pytest.mark.parametrize("number", [0, 71])
def test_ctrl_c_returns_the_best_point_wherever_it_is_pressed(monkeypatch, number, starts):
    """In the walk, while its end is judged, and in the walk on from a saddle: problem 0 begins at a maximum."""
    saddle = (lambda x: x[0], [1.0, 0.0], None, {"type": "eq", "fun": lambda x: x @ x - 1}, -1.0)
    cost, start, bounds, constraints, lowest = {0: saddle, **PROBLEMS}[number]
    given = {"bounds": bounds, "constraints": constraints, "starts": starts}
    left = [0]
    for holder, names in (
        (Objective, ("value", "value_and_gradient", "hessian")),
        (Rows, ("value", "jacobian")),
    ):
        for name in names:
            monkeypatch.setattr(holder, name, pressing(getattr(holder, name), left))
    left[0] = 10**9
    minimize(cost, np.array(start, dtype=float), **given)
    whole, not_judged = 10**9 - left[0], 0
    for press in np.unique(np.linspace(2, whole, 30).astype(int)).tolist():
        left[0] = press
        found = minimize(cost, np.array(start, dtype=float), **given)
        assert_allclose(found.fun, cost(found.x), rtol=1e-12)
        assert "multipliers" in found and "violation" in found
        if "while the end of the walk was judged" in found.message:
            assert found.verdict is Verdict.STOPPED and found.stop == "stopped" and not found.success
            not_judged += found.fun == pytest.approx(lowest, abs=1e-6)
    assert not_judged > 0


def test_ctrl_c_at_the_start_of_the_walk_on_from_a_saddle_keeps_the_saddle(monkeypatch):
    walks = []
    drive = constrained.drive_constrained

    def interrupted(*arguments, **options):
        walks.append(drive(*arguments, **options))
        if len(walks) > 1:
            start = arguments[3]
            nothing = History(start.size)
            walks[-1] = replace(walks[-1], x=start, value=np.nan, history=nothing, stop=StopReason.STOPPED)
        return walks[-1]

    monkeypatch.setattr(constrained, "drive_constrained", interrupted)
    found = minimize(
        lambda x: x[0], np.array([1.0, 0.0]), constraints={"type": "eq", "fun": lambda x: x @ x - 1}
    )
    assert len(walks) == 2
    assert found.fun == 1.0 and found.verdict is Verdict.SADDLE_POINT and found.stop == "stopped"


def test_a_measured_walk_that_crawls_is_ended_long_before_it_has_taken_all_its_steps():
    """The slopes of the constraint are tiny or huge, and every step wins a millionth: 64,000 calls, if it went on."""
    random = np.random.default_rng(138)
    n, k, tiny = int(random.integers(1, 7)), int(random.integers(5)), 10.0 ** -random.integers(0, 16)
    c, _, x0 = random.normal(size=n), random.normal(size=(2, n)), random.normal(size=n)
    x0 = x0 * 10 ** random.uniform(0, 1.5)
    assert k in (2, 4)
    calls = [0]

    def constraint(x):
        calls[0] += 1
        return float(tiny * (np.exp(-np.sum(x)) - 0.5 if k == 2 else np.prod(x) - 1.0))

    costs = [
        lambda x: float(np.sum((x - c) ** 2)),
        lambda x: float(np.sum(np.exp(x * c))),
        lambda x: float(np.sum((x - c) ** 4) - np.sum(x)),
    ]
    cost = costs[int(random.integers(3))]
    found = minimize(cost, x0, constraints={"type": "ineq", "fun": constraint}, derivatives="numeric")
    assert max(found.nfev, calls[0]) < 30_000 and not found.success
    assert constraint(found.x) >= -1e-8 and found.fun <= cost(x0)


@pytest.mark.parametrize("far", [10.0, 300.0])
def test_a_measured_walk_from_far_off_is_not_broken_off_for_having_won_most_at_once(far):
    """All but a trillionth is won in a few steps; the minimum, zero where all are one, takes hundreds more."""

    def narrow(x):
        return float(np.sum(10.0 ** np.linspace(0, 7, x.size) * (x - 1) ** 2))

    def chain(x):
        return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))

    apart = {"type": "ineq", "fun": lambda x: float(np.sum(x) - 0.3 * x.size)}
    near = {"type": "ineq", "fun": lambda x: float(2.0 * x.size - np.sum(x**2))}
    for cost, n, constraint in ((narrow, 25, apart), (chain, 25 if far < 100 else 10, near)):
        start = far * (1 + 0.1 * np.arange(n) / n)
        found = minimize(cost, start, constraints=constraint, derivatives="numeric")
        assert found.success and found.nit > 150
        assert found.fun < 1e-12 * cost(start)
        assert constraint["fun"](found.x) > 0.0


@pytest.mark.parametrize("unit", [1.0, 1e6, 1e10])
def test_a_linear_program_is_solved_whatever_the_unit_of_a_parameter(unit):
    """The corner is at (0, 1); that the first parameter stays a millionth of its size off costs nothing."""
    found = minimize(
        lambda x: -x[0] / unit - 2 * x[1],
        np.zeros(2),
        constraints={"type": "ineq", "fun": lambda x: 1 - x[0] / unit - x[1]},
        bounds=[(0, None), (0, None)],
    )
    assert found.success and abs(found.fun + 2.0) < 1e-8
    np.testing.assert_allclose(found.x, [0.0, 1.0], atol=1e-8 * unit)


@pytest.mark.parametrize("n", [5, 200])
def test_equations_alone_are_solved_by_a_cost_that_is_the_same_everywhere(n):
    """Kepler's equation for n mean anomalies, as constraints: whatever meets them is a minimum."""
    anomaly = np.linspace(0.1, 3.0, n)
    found = minimize(
        lambda E: 0.0 * E[0],
        np.full(n, 1.0),
        constraints={"type": "eq", "fun": lambda E: E - 0.7 * np.sin(E) - anomaly},
    )
    assert found.success
    np.testing.assert_allclose(found.x - 0.7 * np.sin(found.x), anomaly, rtol=1e-12)
    assert not any(found.multipliers.values())


def test_multipliers_without_limit_do_not_make_up_for_the_distance_to_their_constraints():
    """The disc and the half-plane meet in (1, 0) alone, where their slopes coincide: the lowest cost is 18 1/3."""

    def within(x):
        return np.stack([np.sum(x) - 3, 3 - np.sum(x), 1 - x[0] ** 2 - x[1] ** 2, x[0] - 1])

    found = minimize(
        lambda x: np.sum((x - np.arange(5.0)) ** 2), np.zeros(5), constraints={"type": "ineq", "fun": within}
    )
    assert not found.success or abs(found.fun - 55.0 / 3.0) < 1e-6


@pytest.mark.parametrize("n", [3, 30, 400])
@pytest.mark.parametrize("unit", [1.0, 1e8])
def test_a_saddle_of_parameters_at_zero_is_left_whatever_their_unit(n, unit):
    """The least eigenvalue of diag(1 ... 2), from the eigenvector in the middle: no slope leads away from there."""
    eigenvalues = np.linspace(1.0, 2.0, n)
    start = np.zeros(n)
    start[n // 2] = unit
    found = minimize(
        lambda x: np.sum(eigenvalues * (x / unit) ** 2),
        start,
        constraints={"type": "eq", "fun": lambda x: np.sum((x / unit) ** 2) - 1.0},
    )
    assert_allclose(found.fun, 1.0, rtol=1e-9)
    assert_allclose(np.abs(found.x[0]), unit, rtol=1e-6)


@pytest.mark.parametrize("place", [0.0, 1.0])
def test_no_digits_are_claimed_that_a_constraint_without_slope_leaves_open(place):
    """(x - a)² = 0 is met to rounding by all x within 1e-8 of a, wherever the cost would rather have x there."""
    found = minimize(
        lambda x: x[0] + x[0] ** 2,
        np.array([place + 0.5]),
        constraints={"type": "eq", "fun": lambda x: (x[0] - place) ** 2},
    )
    off = abs(found.x[0] - place)
    assert off < 1e-3
    if found.digits is not None and off > 0.0:
        assert 10.0 ** -found.digits[0] * max(abs(found.x[0]), off) >= 0.5 * off


@pytest.mark.parametrize("n", [3, 400])
def test_where_bounds_hold_every_parameter_their_point_is_told_to_meet_the_constraints_or_not(n):
    x = np.linspace(0.0, 1.0, n)
    steps = sparse.diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n)).tocsc()
    for least, met in ((0.0, True), (2.0, False)):
        found = minimize(
            lambda x: np.sum((x - 3.0) ** 2), x,
            bounds=list(zip(x, x, strict=True)), constraints=LinearConstraint(steps, least, np.inf),
        )  # fmt: skip
        assert_allclose(found.x, x, rtol=0.0, atol=0.0)
        assert found.success == met, found.message


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_a_walk_that_ends_without_multipliers_says_so_and_tells_no_nan(unit):
    """Increasing numbers nearest to given ones, hundreds of them, in metres far too large or too small."""
    n = 400
    given = np.random.default_rng(n).standard_normal(n)
    steps = sparse.diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n)).tocsc()
    found = minimize(
        lambda x: 0.5 * np.sum((x / unit - given) ** 2), np.zeros(n),
        constraints=LinearConstraint(steps, 0.0, np.inf), budget=60,
    )  # fmt: skip
    assert "nan" not in found.message
    for evidence in found.evidence:
        assert evidence.measured is None or not np.isnan(evidence.measured), evidence
    assert found.success or "no multipliers" in found.message


def test_what_many_missed_constraints_leave_is_told_without_their_dense_slopes():
    """Half a million numbers that ought to be one: their slopes, dense, would take two terabytes."""
    n = 500_000
    point = SimpleNamespace(
        value=np.zeros(n), sizes=np.ones(n), scale=np.ones(n), has_slopes=True, J=sparse.eye_array(n).tocsr(),
        rows=SimpleNamespace(lower=np.ones(n), upper=np.ones(n)), look=SimpleNamespace(n=n),
    )  # fmt: skip
    told = least_violation(point)
    assert not told.holds
    assert told.measured is None


@pytest.mark.parametrize("unit", [1.0, 1e3])
@pytest.mark.parametrize("start", ["level", "sorted"])
def test_rows_held_by_mistake_are_let_go_of(start, unit):
    """Isotonic regression (pool adjacent violators), whose blocks lie so near each other that more rows seem to hold.

    Parameters of 1e-6 stand beside ones of 1: in units of these, the curvature along them is next to nothing.
    """
    data = unit * np.sin(np.arange(200.0))
    result = minimize(
        lambda x: np.sum((x - data) ** 2),
        np.zeros(200) if start == "level" else np.sort(data),
        constraints={"type": "ineq", "fun": np.diff},
    )
    assert result.verdict == "global minimum"
    assert_allclose(result.x, isotonic_regression(data).x, rtol=0, atol=1e-14 * unit)


def test_many_missed_constraints_are_judged_as_a_few_are(monkeypatch):
    """Steps of one at least between 30 parameters from 0 to 1: no small step takes the violations away."""

    def gained():
        result = minimize(
            lambda x: np.sum(x**2),
            np.zeros(30),
            bounds=[(0.0, 1.0)] * 30,
            constraints={"type": "ineq", "fun": lambda x: np.diff(x) - 1.0},
        )
        assert result.verdict == "not finite" and "No point meets the constraints" in result.message
        return next(part.measured for part in result.evidence if "small step" in part.name)

    few = gained()
    monkeypatch.setattr("steepest.verdict.constrained_conditions.FEW_SLOPES", 0)
    assert_allclose(gained(), few, rtol=1e-3)


def test_a_thousand_second_differences_are_met_exactly_and_the_minimum_is_known_to_be_the_lowest():
    """Convex regression. Running sums of the residuals are the multipliers: none negative, zero where it bends."""
    data = np.random.default_rng(3).normal(size=1000).cumsum()
    result = minimize(
        lambda x: np.sum((x - data) ** 2),
        np.zeros(1000),
        constraints={"type": "ineq", "fun": lambda x: np.diff(x, 2)},
    )
    assert result.verdict == "global minimum"
    bends = np.diff(result.x, 2)
    multipliers = np.cumsum(np.cumsum(2.0 * (result.x - data)))
    size = np.abs(multipliers).max()
    assert bends.min() >= -1e-12 * np.abs(result.x).max()
    assert_allclose(multipliers[-2:] / size, 0.0, atol=1e-11)
    assert multipliers.min() >= -1e-11 * size
    assert_allclose(multipliers[:-2] * bends / size, 0.0, atol=1e-11)


def test_linear_rows_leave_a_convex_set_however_many_they_are():
    data = np.random.default_rng(3).normal(size=400).cumsum()
    steep = {"type": "ineq", "fun": lambda x: 0.5 - np.diff(x)}
    falling = {"type": "ineq", "fun": lambda x: 0.5 + np.diff(x)}
    result = minimize(lambda x: np.sum((x - data) ** 2), np.zeros(400), constraints=[steep, falling])
    assert result.verdict == "global minimum"
    bent = {"type": "ineq", "fun": lambda x: np.sum(x[:2] ** 2) - 1e-3}
    result = minimize(lambda x: np.sum((x - data) ** 2), np.zeros(400), constraints=[steep, falling, bent])
    assert result.verdict == "local minimum"
