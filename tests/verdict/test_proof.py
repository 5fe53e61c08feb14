"""A proof is given of global minima, whose values are known in closed form, and of nothing else."""

import math

import jax
import numpy as np
import pytest
from mpmath import mp, mpf

import steepest as st
from steepest import InputError, verify
from steepest.objective import Budget
from steepest.problem import pose
from steepest.verdict.intervals import IntervalProgram, NoInterval


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


def test_an_operation_without_a_rule_is_named_and_nothing_is_proven():
    found = verify(lambda x: np.sort(x)[0] + x[1] ** 2, [0.0, 0.0], box((0, 1)), proof=True)
    assert not found.evidence[-1].holds
    assert "no interval rule is known for the operation" in found.message


def test_bounds_and_a_trace_are_asked_for():
    with pytest.raises(InputError, match=r"those of y are \(-inf, inf\)"):
        verify("x**2 + y**2", {"x": 0.0, "y": 0.0}, {"x": (-1, 1)}, proof=True)
    with pytest.raises(InputError, match="needs a cost that can be traced"):
        verify(lambda x: float(x[0] ** 2), [0.0], [(-1, 1)], derivatives="numeric", proof=True)
    with pytest.raises(InputError, match="positive number of seconds"):
        verify("x**2", 0.0, [(-1, 1)], proof=True, seconds=0)


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
}


@pytest.mark.parametrize("name", ELEMENTARY)
def test_true_values_lie_within_also_in_the_last_place(name):
    """Against 50 digits: boxes from one number to a width of one, at points inside them."""
    function, exact = ELEMENTARY[name]
    with jax.enable_x64(True):
        problem = pose(
            lambda x: np.sum(function(x)), np.array([0.5]), (), jac=None, hess=None, bounds=None, fixed=None,
            derivatives="exact", budget=Budget(),
        )  # fmt: skip
    program = IntervalProgram(problem.trace.jaxpr)
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
