"""Kinked costs between constraints, against linear programming and closed forms: where they end and what holds them."""

import tracemalloc
import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import LinearConstraint, NonlinearConstraint, linprog

import steepest as st
from steepest.objective import Objective

RNG = np.random.default_rng(3)
RETURNS = RNG.normal(0.001, 0.02, size=(60, 5))
A, B = RNG.standard_normal((9, 4)), RNG.standard_normal(9)


def expected_shortfall(z):
    """Of the worst tenth of the days, by Rockafellar and Uryasev's formula; z: five weights and the quantile."""
    return z[5] + np.mean(np.maximum(-RETURNS @ z[:5] - z[5], 0.0)) / 0.1


def test_the_expected_shortfall_of_a_portfolio_is_that_of_the_linear_program():
    days = len(RETURNS)
    known = linprog(
        np.concatenate([np.zeros(5), [1.0], np.full(days, 1.0 / (0.1 * days))]),
        A_ub=np.hstack([-RETURNS, -np.ones((days, 1)), -np.eye(days)]),
        b_ub=np.zeros(days),
        A_eq=[[*np.ones(5), *np.zeros(1 + days)]],
        b_eq=[1.0],
        bounds=[(0, 1)] * 5 + [(None, None)] + [(0, None)] * days,
    )
    start = np.concatenate([np.full(5, 0.2), [0.0]])
    for scale in (1.0, 1e6, 1e-6):
        result = st.minimize(
            lambda z, s=scale: s * expected_shortfall(z),
            start,
            bounds=[(0, 1)] * 5 + [(None, None)],
            constraints={"type": "eq", "fun": lambda z: np.sum(z[:5]) - 1.0},
        )
        assert result.verdict == "minimum at a kink" and result.success
        assert result.fun == pytest.approx(scale * known.fun, rel=1e-9)
        assert result.nfev < 200
        # The multiplier is what a unit more to spend would add to the shortfall.
        (multiplier,) = result.multipliers.values()
        assert multiplier == pytest.approx(scale * known.eqlin.marginals[0], rel=1e-6)
        assert (
            st.verify(
                lambda z, s=scale: s * expected_shortfall(z),
                result.x,
                bounds=[(0, 1)] * 5 + [(None, None)],
                constraints={"type": "eq", "fun": lambda z: np.sum(z[:5]) - 1.0},
            ).verdict
            == result.verdict
        )


def test_the_largest_error_on_a_plane_is_that_of_the_linear_program():
    known = linprog(
        [0, 0, 0, 0, 1],
        A_ub=np.block([[A, -np.ones((9, 1))], [-A, -np.ones((9, 1))]]),
        b_ub=np.concatenate([B, -B]),
        A_eq=[[1, 1, 1, 1, 0]],
        b_eq=[1],
        bounds=[(None, None)] * 5,
    )
    cost = lambda x: np.max(np.abs(A @ x - B))  # noqa: E731
    result = st.minimize(cost, np.zeros(4), constraints=LinearConstraint(np.ones((1, 4)), 1, 1))
    assert result.success and result.fun == pytest.approx(known.fun, rel=1e-9)
    assert np.sum(result.x) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("start", [np.zeros(4), np.array([5.0, -3.0, 2.0, 0.5])], ids=["met", "not met"])
def test_least_absolute_errors_below_a_limit_are_those_of_the_linear_program(start):
    known = linprog(
        np.concatenate([np.zeros(4), np.ones(18)]),
        A_eq=np.hstack([A, -np.eye(9), np.eye(9)]),
        b_eq=B,
        A_ub=[[1, -1, 2, 0, *np.zeros(18)]],
        b_ub=[-0.2],
        bounds=[(None, None)] * 4 + [(0, None)] * 18,
    )
    result = st.minimize(
        lambda x: np.sum(np.abs(A @ x - B)),
        start,
        constraints={"type": "ineq", "fun": lambda x: -0.2 - (x[0] - x[1] + 2 * x[2])},
    )
    assert result.verdict == "minimum at a kink"
    assert result.fun == pytest.approx(known.fun, rel=1e-9)
    assert "no lower point exists" in result.message


def test_a_curved_constraint_holds_a_kink():
    """min |x₀ - x₁| + (x₂ - 2)² in the ball of radius √3: x₀ = x₁ = 0 and x₂ = √3, whose multiplier is (2 - √3)/√3."""
    cost = lambda x: np.abs(x[0] - x[1]) + (x[2] - 2.0) ** 2  # noqa: E731
    result = st.minimize(
        cost, np.array([0.5, -0.5, 0.3]), constraints=NonlinearConstraint(lambda x: x @ x, -np.inf, 3.0)
    )
    assert result.success
    np.testing.assert_allclose(result.x, [0.0, 0.0, np.sqrt(3.0)], atol=1e-8)
    (multiplier,) = result.multipliers.values()
    assert multiplier == pytest.approx(-(2.0 - np.sqrt(3.0)) / np.sqrt(3.0), rel=1e-6)


def test_a_cost_that_is_convex_alone_is_not_called_lowest_between_curved_constraints():
    """|x| + |y - 3| outside the unit circle about (0, 3): every point of the diamond's corners is as low as its kin."""
    result = st.minimize(
        lambda x: np.abs(x[0]) + 2 * np.abs(x[1] - 3.0),
        np.array([0.3, 5.0]),
        constraints=NonlinearConstraint(lambda x: x[0] ** 2 + (x[1] - 3.0) ** 2, 1.0, np.inf),
    )
    assert "no lower point exists" not in result.message
    assert result.violation <= 1e-8


def test_a_callback_that_stops_and_a_budget_keep_the_best_point():
    seen = []

    def stop(x):
        seen.append(x.copy())
        return len(seen) == 3

    about = {"constraints": LinearConstraint(np.ones((1, 4)), 1, 1)}
    cost = lambda x: np.max(np.abs(A @ x - B))  # noqa: E731
    stopped = st.minimize(cost, np.zeros(4), callback=stop, **about)
    assert len(seen) == 3 and seen[0].shape == (4,)
    assert stopped.stop.startswith("stopped") and np.isfinite(stopped.fun) and not stopped.success
    short = st.minimize(cost, np.zeros(4), budget=5, **about)
    assert short.nfev <= 12 and np.isfinite(short.fun)


def test_constraints_that_exclude_each_other_are_told():
    result = st.minimize(
        lambda x: np.sum(np.abs(x)),
        np.ones(2),
        constraints=[
            {"type": "ineq", "fun": lambda x: x[0] - 1},
            {"type": "ineq", "fun": lambda x: -x[0] - 1},
        ],
    )
    assert not result.success and "No point meets the constraints" in result.message


C = np.array([1.7, -0.4, 0.9, -2.2])

# Constraints with kinks, and the nearest point to C that meets each, with its multiplier where it is known.
NEAREST = {
    "largest at most one": ({"fun": lambda x: 1.0 - np.max(x)}, np.minimum(C, 1.0), 1.4),
    "least at least a half": ({"fun": lambda x: np.min(x) - 0.5}, np.maximum(C, 0.5), None),
    "each size at most one": ({"fun": lambda x: 1.0 - np.abs(x)}, np.clip(C, -1.0, 1.0), None),
    "largest size at most one": (
        {"fun": lambda x: 1.0 - np.linalg.norm(x, np.inf)},
        np.clip(C, -1.0, 1.0),
        3.8,
    ),
    # Soft thresholds: the sizes less one number each, down to zero, add up to two.
    "sizes add up to at most two": (
        {"fun": lambda x: 2.0 - np.sum(np.abs(x))},
        np.sign(C) * np.maximum(np.abs(C) - 0.95, 0.0),
        1.9,
    ),
}


@pytest.mark.parametrize("case", NEAREST.values(), ids=NEAREST)
@pytest.mark.parametrize(
    "start", [np.zeros(4), np.array([3.0, -3.0, 4.0, -5.0]), C], ids=["inside", "out", "there"]
)
def test_the_nearest_point_to_another_is_known_where_constraints_have_kinks(case, start):
    about, nearest, multiplier = case
    cost = lambda x: np.sum((x - C) ** 2)  # noqa: E731
    result = st.minimize(cost, start, constraints={"type": "ineq", **about})
    assert result.success, result.message
    np.testing.assert_allclose(result.x, nearest, atol=1e-9)
    assert result.nfev < 150
    if multiplier is not None:
        assert list(result.multipliers.values()) == [pytest.approx(multiplier, rel=1e-6)]


def test_a_limit_on_what_is_traded_is_the_same_as_one_on_what_is_bought_and_sold():
    held, mean = np.full(5, 0.2), RETURNS.mean(axis=0)
    covariance = np.cov(RETURNS.T)
    about = {"type": "eq", "fun": lambda w: np.sum(w[:5]) - 1.0}
    whole = st.minimize(
        lambda w: w @ covariance @ w - 0.02 * mean @ w,
        held,
        bounds=[(0, 1)] * 5,
        constraints=[about, {"type": "ineq", "fun": lambda w: 0.1 - np.sum(np.abs(w - held))}],
    )
    # Bought and sold, ten numbers at least zero: smooth.
    apart = st.minimize(
        lambda z: (
            (held + z[:5] - z[5:]) @ covariance @ (held + z[:5] - z[5:]) - 0.02 * mean @ (z[:5] - z[5:])
        ),
        np.full(10, 0.01),
        bounds=[(0, 1)] * 10,
        constraints=[
            {"type": "eq", "fun": lambda z: np.sum(z[:5] - z[5:])},
            {"type": "ineq", "fun": lambda z: 0.1 - np.sum(z)},
        ],
    )
    assert whole.success
    assert whole.fun - (apart.fun - 0.02 * mean @ held) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("limit", ["equal", "between"])
def test_a_kink_that_constraints_may_hold_from_either_side_is_left_alone(limit):
    """|x| = 1, or between 1 and 3, is met on both sides: the nearer one to 0.4 is 1, and no interval holds both."""
    constraint = NonlinearConstraint(lambda x: np.abs(x), 1.0, 1.0 if limit == "equal" else 3.0)
    result = st.minimize(lambda x: np.sum((x - 0.4) ** 2), np.array([2.0]), constraints=constraint)
    assert result.violation <= 1e-8
    np.testing.assert_allclose(result.x, [1.0], atol=1e-8)
    assert "no lower point exists" not in result.message


def test_the_sparsest_of_many_solutions_is_found_exactly_and_without_a_word():
    """Basis pursuit: of the solutions of 40 equations in 200 unknowns the one of least |x| is that with six entries."""
    rng = np.random.default_rng(0)
    known = np.zeros(200)
    known[:6] = 3 * rng.standard_normal(6)
    matrix = rng.standard_normal((40, 200))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = st.minimize(
            lambda x: np.sum(np.abs(x)),
            np.zeros(200),
            constraints={"type": "eq", "fun": lambda x: matrix @ (x - known)},
        )
    assert result.success
    np.testing.assert_allclose(result.x, known, atol=1e-12)


def test_bounds_that_hold_a_kink_are_named_and_sides_of_kinks_are_not():
    """min |a - 1| + |b - a| with a held at ½ from above, b + a ≤ 10: b = a, and a more would win as much."""
    result = st.minimize(
        lambda p: np.abs(p["a"] - 1.0) + np.abs(p["b"] - p["a"]),
        {"a": 0.2, "b": 3.0},
        bounds={"a": (0.0, 0.5), "b": (None, None)},
        constraints={"type": "ineq", "fun": lambda p: 10.0 - p["a"] - p["b"]},
    )
    assert result.verdict == "minimum at a kink"
    assert result.active == ("bound of a",) and "with bound of a active" in result.message
    assert result.bound_multipliers["a"] == pytest.approx(-1.0, abs=1e-9)
    # Names of parameters that begin like those of the sides: no bound is active here.
    free = st.minimize(
        lambda p: np.abs(p["b"] - 1.0) + np.abs(p["s"] - p["b"]),
        {"b": 0.2, "s": 3.0},
        constraints={"type": "ineq", "fun": lambda p: 10.0 - p["s"] - p["b"]},
    )
    assert free.active == () and "none is active" in free.message


def test_ctrl_c_in_the_very_first_evaluation_ends_the_call_at_its_start(monkeypatch):
    about = {"constraints": LinearConstraint(np.ones((1, 4)), 1, 1)}
    cost = lambda x: np.max(np.abs(A @ x - B))  # noqa: E731
    kept = Objective.value_and_gradient
    calls = []

    def pressed(self, x):
        calls.append(x)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return kept(self, x)

    monkeypatch.setattr(Objective, "value_and_gradient", pressed)
    result = st.minimize(cost, np.full(4, 0.25), **about)
    assert result.stop.startswith("stopped") and not result.success
    np.testing.assert_array_equal(result.x, np.full(4, 0.25))


def test_rows_without_limits_hold_nothing():
    """Rows from -inf to inf push against no slope: |a - 3| + a/2 + (b - 1)² is least at (3, 1) all the same."""
    free = LinearConstraint(np.array([[1.0, 0.0], [0.0, 1.0]]), [-np.inf, -np.inf], [np.inf, np.inf])
    result = st.minimize(
        lambda x: np.abs(x[0] - 3.0) + x[0] / 2 + (x[1] - 1.0) ** 2, np.array([0.0, 5.0]), constraints=free
    )
    assert result.verdict == "minimum at a kink" and result.active == ()
    np.testing.assert_allclose(result.x, [3.0, 1.0], atol=1e-9)
    assert all(multiplier == 0.0 for multiplier in result.multipliers.values())
    # Halfway down a slope no such row may balance it.
    seen = st.verify(lambda x: x[0] ** 2 + np.exp(x[1]), np.array([2.0, 1.0]), constraints=free)
    assert not seen.success and seen.active == ()


@pytest.mark.parametrize("bounds", [[(None, None)] * 2, [(-5, 5)] * 2], ids=["endless", "bounded"])
@pytest.mark.parametrize("unit", [1.0, 1e12, 1e-12])
@pytest.mark.parametrize(
    "kink",
    [
        lambda t: np.abs(t) - 3.0 * t,
        lambda t: np.maximum(t, 5.0 * t) - 6.0 * t,
        lambda t: np.abs(t) + 3.0 * t,
    ],
    ids=["up", "largest", "down"],
)
def test_a_kink_beside_which_the_cost_falls_is_no_minimum(kink, unit, bounds):
    """Its slope jumps there, but by less than it is: the cost falls on one side. b is held at 1 by the constraint."""
    cost = lambda x: unit * (kink(x[0]) + (x[1] - 2.0) ** 2)  # noqa: E731
    limit = LinearConstraint([[0.0, 1.0]], -5.0, 1.0)
    seen = st.verify(cost, np.array([0.0, 1.0]), bounds=bounds, constraints=limit)
    assert not seen.success
    beside = np.array([-1e-3, 1.0]) if kink(-1.0) < 0 else np.array([1e-3, 1.0])
    assert cost(beside) < cost(np.array([0.0, 1.0]))


def test_a_constraint_far_from_its_limit_is_not_called_active_where_a_parameter_has_a_long_unit():
    """b⁴ is so level at its minimum that b's unit there is billions; the sum of all is far below 50."""
    result = st.minimize(
        lambda x: np.abs(x[0] - 1.0) + x[1] ** 4,
        np.array([0.3, -0.5, 0.2, 0.7]),
        constraints=LinearConstraint(np.ones((1, 4)), -5.0, 50.0),
    )
    assert result.success and abs(np.sum(result.x)) < 49.0 and np.sum(result.x) > -4.0
    assert result.active == () and "none is active" in result.message


@pytest.mark.parametrize("seed", [23, 90, 139, 146, 164, 183, 193, 222, 229, 249])
def test_no_corner_of_kinks_is_a_minimum_while_a_place_beside_it_is_lower(seed):
    """Corners drawn at random, each with lower places beside it, where the slope of no side need lead down."""
    rng = np.random.default_rng(seed)
    slopes = rng.integers(-2, 3, (4, 3)).astype(float)
    tilt = rng.integers(-4, 5, 3).astype(float)
    x = rng.integers(-1, 2, 3).astype(float)
    shift = slopes @ x * (rng.random(4) < 0.6) + (rng.random(4) < 0.3)
    kinks = {
        "abs": lambda z: np.sum(np.abs(z)),
        "max": lambda z: np.max(z),
        "relu": lambda z: np.sum(np.maximum(z, 0.0)),
    }[rng.choice(["abs", "max", "relu"])]
    cost = lambda x: kinks(slopes @ x - shift) + tilt @ x + 0.5 * np.sum((x - 1.0) ** 2)  # noqa: E731
    seen = st.verify(cost, x, constraints=LinearConstraint([[1.0, 0.0, 0.0]], -np.inf, x[0]))
    places = x + 1e-2 * rng.standard_normal((2000, 3)) * [0.0, 1.0, 1.0]
    inside = x + 1e-2 * rng.standard_normal((2000, 3))
    inside[:, 0] = np.minimum(inside[:, 0], x[0])
    lowest = min(float(cost(place)) for place in (*places, *inside))
    assert lowest < cost(x) - 1e-6 and not seen.success


def test_many_kinks_between_constraints_are_judged_without_a_dense_matrix_of_them():
    """Beside 5,100 kinks a dense matrix of all of their sides takes 600 MB, and its least squares take hours."""
    n, b = 5100, np.random.default_rng(0).standard_normal(5100)
    cost, limit = lambda x: np.sum((x - b) ** 2), lambda x: 10.0 - np.sum(np.abs(x))
    ordered = np.sort(np.abs(b))[::-1]
    lowered = (np.cumsum(ordered) - 10.0) / np.arange(1, n + 1)
    place = np.sign(b) * np.maximum(np.abs(b) - lowered[ordered > lowered][-1], 0.0)
    tracemalloc.start()
    st.verify(cost, place, constraints={"type": "ineq", "fun": limit})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3e8


def test_a_median_filter_of_many_numbers_is_judged_without_a_dense_matrix_of_all_kinks():
    """Its 1,400 kinks depend on each other. The least of Σ|x - x₋₁| + Σ|x - b| is known by linear programming."""
    n, b = 700, np.random.default_rng(0).standard_normal(700)
    tracemalloc.start()
    result = st.minimize(lambda x: np.sum(np.abs(x - np.roll(x, 1))) + np.sum(np.abs(x - b)), np.zeros(n))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    one = sparse.eye_array(n)
    steps = sparse.csr_array(np.eye(n) - np.roll(np.eye(n), -1, axis=1))
    known = linprog(
        np.concatenate([np.zeros(n), np.ones(4 * n)]),
        A_eq=sparse.block_array([[steps, -one, one, None, None], [one, None, None, -one, one]]),
        b_eq=np.concatenate([np.zeros(n), b]),
        bounds=[(None, None)] * n + [(0, None)] * (4 * n),
    )
    assert result.verdict == "minimum at a kink"
    assert result.fun == pytest.approx(known.fun, rel=1e-10)
    assert most < 150e6


@pytest.mark.parametrize("seed", range(12))
def test_multipliers_are_those_of_the_linear_program_where_kinks_are_made_from_kinks(seed):
    """The largest of sizes: a maximum of what are kinks themselves, whose sides are rounding where it is held."""
    rng = np.random.default_rng(seed)
    rows, b = rng.standard_normal((2, 3)), rng.standard_normal(2)
    limits, most = rng.standard_normal((3, 3)), rng.uniform(-1.0, 1.0, 3)
    known = linprog(
        [0, 0, 0, 1],
        A_ub=np.block([[rows, -np.ones((2, 1))], [-rows, -np.ones((2, 1))], [limits, np.zeros((3, 1))]]),
        b_ub=np.concatenate([b, -b, most]),
        bounds=[(-5, 5)] * 3 + [(0, None)],
    )
    result = st.minimize(
        lambda x: np.max(np.abs(rows @ x - b)),
        np.zeros(3),
        bounds=[(-5, 5)] * 3,
        constraints=LinearConstraint(limits, -np.inf, most),
    )
    if known.fun is None:
        assert not result.success
    elif known.fun > 1e-6:  # else the floor is level, and multipliers are zero or none
        assert result.success and result.fun == pytest.approx(known.fun, rel=1e-8)
        np.testing.assert_allclose(list(result.multipliers.values()), known.ineqlin.marginals[4:], atol=1e-6)
