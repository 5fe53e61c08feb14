"""A proof is given of global minima, whose values are known in closed form, and of nothing else."""

import math

import jax
import numpy as np
import pytest
import scipy.special as special
from mpmath import mp, mpf

import steepest as st
from steepest import InputError, verify
from steepest.budget import Budget
from steepest.problem import pose
from steepest.verdict.interval_rules import NoInterval
from steepest.verdict.intervals import IntervalProgram


def rastrigin(x):
    return 20 + x[0] ** 2 + x[1] ** 2 - 10 * (np.cos(2 * np.pi * x[0]) + np.cos(2 * np.pi * x[1]))


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def camel(x):
    return (4 - 2.1 * x[0] ** 2 + x[0] ** 4 / 3) * x[0] ** 2 + x[0] * x[1] + (-4 + 4 * x[1] ** 2) * x[1] ** 2


def branin(x):
    bend = x[1] - 5.1 / (4 * np.pi**2) * x[0] ** 2 + 5 / np.pi * x[0] - 6
    return bend**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x[0]) + 10


def ackley(x):
    return (
        -20 * np.exp(-0.2 * np.sqrt(0.5 * np.sum(x**2)))
        - np.exp(0.5 * np.sum(np.cos(2 * np.pi * x)))
        + 20
        + np.e
    )


def goldstein_price(x):
    a = 19 - 14 * x[0] + 3 * x[0] ** 2 - 14 * x[1] + 6 * x[0] * x[1] + 3 * x[1] ** 2
    b = 18 - 32 * x[0] + 12 * x[0] ** 2 + 48 * x[1] - 36 * x[0] * x[1] + 27 * x[1] ** 2
    return (1 + (x[0] + x[1] + 1) ** 2 * a) * (30 + (2 * x[0] - 3 * x[1]) ** 2 * b)


# The cost, where a walk to its lowest point begins, one to another minimum, the box, and the lowest value.
KNOWN = {
    "Rastrigin": (rastrigin, (0.1, 0.1), (0.995, 0.0), (-5.12, 5.12), 0.0),
    "Himmelblau": (himmelblau, (3.1, 2.1), None, (-5, 5), 0.0),
    "six-hump camel": (camel, (0.1, -0.7), (1.6, 0.57), (-3, 3), -1.0316284534898774),
    "Branin": (branin, (3.0, 2.0), None, (-5, 15), 10 / (8 * math.pi)),
    "Ackley": (ackley, (1e-3, 1e-3), (0.97, 0.0), (-5, 5), 0.0),
}


def box(sides, n=2):
    return [sides] * n


@pytest.mark.parametrize("name", KNOWN)
def test_the_lowest_point_is_proven_to_be_so(name):
    cost, start, _, sides, lowest = KNOWN[name]
    x = (0.0, 0.0) if name == "Ackley" else st.minimize(cost, np.array(start)).x
    found = verify(cost, x, box(sides), proof=True, seconds=60)
    proof = found.evidence[-1]
    assert proof.name == "no lower point in the box"
    assert proof.holds, found.message
    assert found.gap is not None
    assert found.fun - found.gap <= lowest + 1e-9 <= found.fun + 2e-9
    assert found.success


@pytest.mark.parametrize("name", [name for name, row in KNOWN.items() if row[2] is not None])
def test_no_proof_is_given_of_another_minimum_and_a_lower_point_is_named(name):
    cost, _, start, sides, _ = KNOWN[name]
    x = np.array(start)
    for _ in range(8):
        x = x - np.linalg.solve(st.hessian(cost)(x), st.gradient(cost)(x))
    found = verify(cost, x, box(sides), proof=True, seconds=60)
    assert found == "local minimum"
    assert not found.evidence[-1].holds
    assert "A lower point lies within the bounds" in found.message
    assert found.next_step.startswith("Start at")


@pytest.mark.slow
def test_goldstein_and_prices_function_is_proven():
    found = verify(goldstein_price, (0.0, -1.0), box((-2, 2)), proof=True, seconds=120)
    assert found.fun == pytest.approx(3.0, abs=1e-9)
    assert found == "global minimum", found.message


def test_a_minimum_at_a_kink_keeps_its_word_and_gets_a_gap():
    cost = "abs(x - 1) + maximum(y, -2*y)"
    found = verify(cost, {"x": 1.0, "y": 0.0}, {"x": (-3, 3), "y": (-3, 3)}, proof=True)
    assert found == "minimum at a kink"
    assert found.gap < 1e-8


def test_where_the_cost_has_no_value_nothing_is_lower():
    """Left of x = 1 the root does not exist; its slope is infinite there, and no test of slopes may be used."""
    found = verify(lambda x: np.sqrt(x[0] - 1) + x[0], [1.0], [(0, 4)], proof=True)
    assert found.evidence[-1].holds, found.message
    assert not verify(lambda x: np.sqrt(x[0] - 1) + x[0], [2.0], [(0, 4)], proof=True).evidence[-1].holds


def test_a_jump_is_not_followed_by_its_slope():
    """Everywhere the slope says up, but the cost jumps down at x = 1."""
    cost = lambda x: np.where(x[0] > 1, x[0] - 2, x[0])  # noqa: E731
    found = verify(cost, [-1.0], [(-1, 4)], proof=True)
    assert found.evidence[-1].holds, found.message
    found = verify(lambda x: np.where(x[0] > 1, x[0] - 4, x[0]), [-1.0], [(-1, 4)], proof=True)
    assert not found.evidence[-1].holds


@jax.custom_jvp
def bowl_that_claims_to_rise(x):
    return (x - 0.3) ** 2


bowl_that_claims_to_rise.defjvp(lambda at, way: (bowl_that_claims_to_rise(at[0]), way[0]))


@pytest.mark.parametrize(
    "cost",
    [
        lambda x: bowl_that_claims_to_rise(x[0]),
        lambda x: (jax.lax.stop_gradient(x[0]) - 0.3) ** 2 + 1e-3 * x[0],
    ],
)
def test_a_derivative_that_the_cost_only_claims_proves_nothing(cost):
    """By the claimed slope the cost rises everywhere; it is lowest at 0.3, within 1e-3."""
    found = verify(cost, [0.0], [(-2, 2)], proof=True)
    assert not found.evidence[-1].holds, found.message
    assert "A lower point lies within the bounds" in found.message


def test_no_point_is_a_global_minimum_once_a_lower_one_was_met():
    """Without its linear part this would be a convex quadratic with its minimum at 0; it is lower at 1."""
    found = verify(lambda x: x[0] ** 2 - 3 * jax.lax.stop_gradient(x[0]), [0.0], [(-2, 2)], proof=True)
    assert found == "local minimum"
    assert found.gap is None
    assert found.next_step.startswith("Start at")


def test_a_number_taken_as_a_truth_value_is_true_unless_zero():
    """3 + x is true throughout: the cost is -x, and lowest at the upper bound."""
    cost = lambda x: jax.numpy.where((3 + x[0]).astype(bool), -x[0], 5.0)  # noqa: E731
    assert not verify(cost, [-2.0], [(-2, 2)], proof=True).evidence[-1].holds
    assert verify(cost, [2.0], [(-2, 2)], proof=True).evidence[-1].holds


def test_poles_of_the_tangent_far_out_are_seen():
    """Whole numbers near odd multiples of π/2 far out, where a multiple of π is off by its rounding."""
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(lambda x: jax.numpy.tan(x[0]))(jax.ShapeDtypeStruct((1,), np.float64))
    program = IntervalProgram(closed)
    mp.dps = 60
    for k in 10 ** np.arange(3, 13):
        pole = (mpf(int(k)) + mpf(1) / 2) * mp.pi
        below = np.nextafter(float(pole), -np.inf)
        low, high = program(np.array([[below]]), np.array([[np.nextafter(float(pole), np.inf)]]))
        assert low[0] == -np.inf
        assert high[0] == np.inf


@pytest.mark.parametrize(
    ("cost", "at"),
    [
        (lambda x: jax.numpy.where(jax.numpy.isnan(jax.numpy.sqrt(x[0])), -5.0, 1 + x[0] ** 2), 1e-9),
        (lambda x: jax.numpy.where(jax.numpy.sqrt(x[0]) > -1, 1 + x[0] ** 2, -5.0), 1e-9),
        (lambda x: jax.numpy.where(jax.numpy.log(x[0]) < 9, (x[0] - 1) ** 2, -5.0), 1.0),
        (lambda x: -jax.numpy.sort(jax.numpy.append(jax.numpy.sqrt(x), 5.0))[0], 4.0),
        (lambda x: jax.numpy.where(jax.lax.rem(1.0, jax.numpy.maximum(x[0], 0.0)) < 9, 1.0, -5.0), 1.0),
    ],
)
def test_what_a_cost_makes_of_having_no_value_counts(cost, at):
    """Each is -5 wherever x is negative, by a comparison that fails for what is not a number, or by sorting."""
    assert cost(np.array([-1.0])) == -5.0
    found = verify(cost, [at], [(-4, 4)], proof=True, seconds=1)
    assert not found.evidence[-1].holds, found.message


def test_where_the_cost_is_not_a_number_nothing_is_proven():
    found = verify(lambda x: np.nan * x[0], [0.0], [(-2, 2)], proof=True)
    assert found == "not finite"
    assert not found.evidence[-1].holds
    assert "Not proven: the cost is not finite at the point" in found.message
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(lambda x: x[0] * np.nan)(jax.ShapeDtypeStruct((1,), np.float64))
    low, high = IntervalProgram(closed)(np.ones((1, 1)), np.full((1, 1), 2.0))
    assert (low[0], high[0]) == (-np.inf, np.inf)


def test_a_box_of_one_point_is_proven_at_once():
    assert verify("x**2", 1.0, [(1, 1)], proof=True).evidence[-1].holds


def test_of_a_large_cost_fewer_boxes_are_held_at_a_time(monkeypatch):
    """512 boxes of 100,000 data would fill the memory; the proof is the same however many are split at a time."""
    most = []
    plain = IntervalProgram.with_doubt

    def counting(self, lower, upper):
        most.append(len(lower))
        return plain(self, lower, upper)

    monkeypatch.setattr(IntervalProgram, "with_doubt", counting)
    monkeypatch.setattr("steepest.verdict.proof.MOST_NUMBERS", 1000)
    x = st.minimize(camel, np.array([0.1, -0.7])).x
    found = verify(camel, x, box((-3, 3)), proof=True, seconds=60)
    assert found.evidence[-1].holds, found.message
    program = IntervalProgram(pose_of(camel, 2).trace.jaxpr)
    assert 2 < max(most) <= 1000 // program.numbers


def pose_of(cost, n):
    with jax.enable_x64(True):
        return pose(
            cost, np.full(n, 0.5), (), jac=None, hess=None, bounds=None, fixed=None, derivatives="exact",
            budget=Budget(),
        )  # fmt: skip


def test_picking_by_a_parameter_is_named_and_nothing_is_proven():
    """Which entry the cost picks depends on the box; that of the first box is not that of the others."""
    table = jax.numpy.array([1.0, -5.0])
    cost = lambda x: table[(x[0] > 0.3).astype(int)] + x[0] ** 2  # noqa: E731
    found = verify(cost, [0.0], [(-2, 2)], proof=True)
    assert not found.evidence[-1].holds
    assert "picks by a parameter" in found.message


def test_an_operation_without_a_rule_is_named_and_nothing_is_proven():
    cost = lambda x: np.linalg.eigvalsh(np.outer(x, x))[1]  # noqa: E731
    found = verify(cost, [0.0, 0.0], box((0, 1)), proof=True)
    assert not found.evidence[-1].holds
    assert "no interval rule is known for the operation" in found.message


def test_bounds_and_a_trace_are_asked_for():
    with pytest.raises(InputError, match=r"those of y are \(-inf, inf\)"):
        verify("x**2 + y**2", {"x": 0.0, "y": 0.0}, {"x": (-1, 1)}, proof=True)
    with pytest.raises(InputError, match="needs a cost that can be traced"):
        verify(lambda x: float(x[0] ** 2), [0.0], [(-1, 1)], derivatives="numeric", proof=True)
    with pytest.raises(InputError, match="positive number of seconds"):
        verify("x**2", 0.0, [(-1, 1)], proof=True, seconds=0)


DATA = np.array([1.0, 1.2, 0.8, 1.1, 50.0])

# Costs of operations that choose, add up or sort, the box, and the lowest value, in closed form.
CHOSEN = {
    "trimmed squares": (lambda p: np.sum(np.sort((p[0] - DATA) ** 2)[:4]), [1.025], (-5, 60), 0.0875),
    "median of distances": (
        lambda p: np.median(np.abs(p[0] - np.array([1.0, 2, 4, 8, 9]))),
        [2.5],
        (0, 10),
        1.5,
    ),
    "norm": (lambda p: np.linalg.norm(p - 1) + 0.1 * np.sum(p**2), [1.0, 1.0], (-3, 3), 0.2),
    "rest of a division": (lambda p: np.mod(p[0], 2.0) + 0.1 * p[0] ** 2, [0.0], (-0.5, 5), 0.0),
    "piecewise": (lambda p: np.where(p[0] > 0, p[0] ** 2, -p[0]) + (p[1] - 1) ** 2, [0.0, 1.0], (-3, 3), 0.0),
    "log gamma": (lambda p: special.gammaln(p[0]), [1.4616321449683623], (0.2, 5), -0.12148629053584961),
    "steps": (lambda p: np.round(p[0]) ** 2 + 0.1 * (p[0] - 0.2) ** 2, [0.2], (-5, 5), 0.0),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_costs_that_choose_are_proven_by_what_is_chosen_in_each_box(name):
    cost, x, sides, lowest = CHOSEN[name]
    found = verify(cost, x, box(sides, len(x)), proof=True, seconds=60)
    assert found.evidence[-1].holds, found.message
    assert found.fun - found.evidence[-1].measured <= lowest + 1e-12
    assert found.evidence[-1].measured <= 1e-5
    aside = np.array(x) + 0.3
    assert not verify(cost, aside, box(sides, len(x)), proof=True, seconds=60).evidence[-1].holds


def test_a_table_of_data_does_not_stand_in_the_way():
    """Adding to chosen places, which is what the slope of picking is; the lowest cost is the spread within groups."""
    group, y = np.array([0, 1, 1, 0, 1]), np.array([1.0, 2.0, 4.0, 3.0, 3.0])
    found = verify(lambda p: np.sum((p[group] - y) ** 2), [2.0, 3.0], box((-5, 5)), proof=True)
    assert found.evidence[-1].holds, found.message
    assert found.fun == 4.0


ELEMENTARY = {
    "exp": (np.exp, mp.exp),
    "log": (lambda x: np.log(x + 4), lambda x: mp.log(x + 4)),
    "sin": (np.sin, mp.sin),
    "cos": (np.cos, mp.cos),
    "tanh": (np.tanh, mp.tanh),
    "arctan": (np.arctan, mp.atan),
    "sqrt": (lambda x: np.sqrt(x + 4), lambda x: mp.sqrt(x + 4)),
    "cosh": (np.cosh, mp.cosh),
    "tenth": (lambda x: x / 10 + 0.1, lambda x: x / 10 + mpf(0.1)),
    "power": (lambda x: (x - 0.3) ** 3 - x**2, lambda x: (x - mpf(0.3)) ** 3 - x**2),
    "abs": (np.abs, abs),
    "erf": (special.erf, mp.erf),
    "erfc": (special.erfc, mp.erfc),
    "erfc far out": (lambda x: special.erfc(8 * x + 5), lambda x: mp.erfc(8 * x + 5)),
    "logistic far out": (lambda x: special.expit(250 * x), lambda x: 1 / (1 + mp.exp(-250 * x))),
    "log gamma": (lambda x: special.gammaln(x + 4), lambda x: mp.loggamma(x + 4)),
    "digamma": (lambda x: special.digamma(x + 4), lambda x: mp.digamma(x + 4)),
    "trigamma": (lambda x: special.polygamma(1, x + 4), lambda x: mp.polygamma(1, x + 4)),
    "third derivative of log gamma": (
        lambda x: special.polygamma(2, x + 4),
        lambda x: mp.polygamma(2, x + 4),
    ),
    "arcsin": (lambda x: np.arcsin(x / 8), lambda x: mp.asin(x / 8)),
    "arccos": (lambda x: np.arccos(x / 8), lambda x: mp.acos(x / 8)),
    "arctanh": (lambda x: np.arctanh(x / 8), lambda x: mp.atanh(x / 8)),
    "arccosh": (lambda x: np.arccosh(x + 5), lambda x: mp.acosh(x + 5)),
    "arctan2": (lambda x: np.arctan2(x, x + 1), lambda x: mp.atan2(x, x + 1)),
    "log of added exponentials": (
        lambda x: np.logaddexp(x, -2 * x),
        lambda x: mp.log(mp.exp(x) + mp.exp(-2 * x)),
    ),
    "rest": (lambda x: np.mod(x, 0.75), lambda x: x - mpf(0.75) * mp.floor(x / mpf(0.75))),
    "round": (lambda x: np.round(3 * x), lambda x: mp.nint(3 * x)),
    "running sum": (
        lambda x: np.sum(np.cumsum(np.concatenate([x, 0.1 * x, x**2]))),
        lambda x: 3 * x + 2 * mpf(0.1) * x + x**2,
    ),
    "second of four": (
        lambda x: np.sort(np.concatenate([x, -x, 0 * x + 0.5, x**2]))[1],
        lambda x: sorted([x, -x, mpf(0.5), x**2])[1],
    ),
    "matrix": (
        lambda x: np.sum((np.array([[1.5, -0.1], [-2.0, 0.3]]) @ np.concatenate([x, x**2])) ** 3),
        lambda x: (mpf(1.5) * x - mpf(0.1) * x**2) ** 3 + (-2 * x + mpf(0.3) * x**2) ** 3,
    ),
    "groups": (
        lambda x: np.sum(np.concatenate([x, 2 * x])[np.array([0, 1, 1, 0, 1])] ** 2),
        lambda x: 2 * x**2 + 3 * (2 * x) ** 2,
    ),
}


@pytest.mark.parametrize("name", ELEMENTARY)
def test_true_values_lie_within_also_in_the_last_place(name):
    """Against 50 digits: boxes from one number to a width of one, at points inside them."""
    function, exact = ELEMENTARY[name]
    program = IntervalProgram(pose_of(lambda x: np.sum(function(x)), 1).trace.jaxpr)
    generator = np.random.default_rng(3)
    low = generator.uniform(-3, 3, (400, 1))
    width = np.where(np.arange(400) % 2, 0.0, 10.0 ** generator.uniform(-12, 0, 400))[:, None]
    bottom, top = program(low, low + width)
    mp.dps = 50
    for k in range(400):
        inside = min(low[k, 0] + width[k, 0] * generator.uniform(), low[k, 0] + width[k, 0])
        assert mpf(bottom[k]) <= exact(mpf(inside)) <= mpf(top[k])


def test_single_precision_is_refused():
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(lambda x: x.astype(np.float32)[0])(jax.ShapeDtypeStruct((1,), np.float64))
    with pytest.raises(NoInterval, match="float32"):
        IntervalProgram(closed)(np.zeros((1, 1)), np.ones((1, 1)))
