"""The judge against costs whose truth is known: the right word, honest digits, evidence for every claim."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest
from steepest.budget import Budget
from steepest.objective import Objective
from steepest.reference_problems.costs import powell_singular
from steepest.solvers.history import History
from steepest.verdict.judge import judge
from steepest.verdict.words import Verdict

from .costs import box, opaque, traced


def _root(function, low, high):
    """Where a falling function is zero, by bisection to the last bit."""
    while low < (middle := 0.5 * (low + high)) < high:
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return low


QUANTILES = np.array([1.0, 2.0, 3.0, 4.0, 10.0])
LABELS = np.array([-1.0, -1.0, 1.0, 1.0])
FEATURES = np.array([-2.0, -1.0, 1.0, 2.0])
MIXED_LABELS = np.array([-1.0, 1.0, -1.0, 1.0])
# The slope of the logistic loss with mixed labels is zero where 2σ(-2x) = σ(x).
MIXED_MINIMUM = _root(lambda x: 2 / (1 + np.exp(2 * x)) - 1 / (1 + np.exp(-x)), 0.0, 1.0)

# Factors of a matrix, whose entries differ in size by a thousand: the cost is zero there, and nothing is lower.
LEFT, RIGHT = np.eye(8, 3) + 0.1, np.eye(3, 6) + 1e-3


def factors(x):
    return jnp.sum((x[:24].reshape(8, 3) @ x[24:].reshape(3, 6) - LEFT @ RIGHT) ** 2)


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def logistic(labels):
    return lambda x: jnp.mean(jnp.logaddexp(0.0, -labels * (x[0] * FEATURES)))


# name: word, cost, point, bounds
TRUTH = {
    "parabola": ("global minimum", lambda x: x[0] ** 2 - 2 * x[0] + 3, [1.0], None),
    "parabola within rounding": ("global minimum", lambda x: (x[0] - 1 / 3) ** 2, [0.1 * 10 / 3], None),
    "rosenbrock": ("global minimum", rosenbrock, [1.0, 1.0], None),
    "factors of different sizes": ("flat minimum", factors, np.r_[LEFT.ravel(), RIGHT.ravel()], None),
    "quadratic form": ("global minimum", lambda x: x[0] ** 2 + x[0] * x[1] + x[1] ** 2, [0.0, 0.0], None),
    "ill-conditioned": (
        "global minimum", lambda x: (x[0] - 1) ** 2 + 1e10 * (x[1] - 1) ** 2, [1.0, 1.0], None,
    ),
    "ill-conditioned and turned": (
        "global minimum", lambda x: (x[0] + x[1] - 2) ** 2 + 1e-10 * (x[0] - x[1]) ** 2, [1.0, 1.0], None,
    ),
    "tiny units": ("global minimum", lambda x: (x[0] / 1e-12 - 1) ** 2, [1e-12], None),
    "huge units": ("global minimum", lambda x: (x[0] / 1e12 - 1) ** 2, [1e12], None),
    "tiny cost": ("global minimum", lambda x: 1e-12 * (x[0] - 1) ** 2, [1.0], None),
    "huge cost": ("global minimum", lambda x: 1e12 * (x[0] - 1) ** 2, [1.0], None),
    "units far apart": (
        "global minimum", lambda x: (x[0] / 1e-12 - 1) ** 2 + (x[1] / 1e12 - 1) ** 2, [1e-12, 1e12], None,
    ),
    "large offset": ("global minimum", lambda x: 1e10 + (x[0] - 1) ** 2, [1.0], None),
    "quartic": ("global minimum", lambda x: x[0] ** 4, [0.0], None),
    "sum of quartics": ("global minimum", lambda x: jnp.sum((x - 1) ** 4), [1.0] * 5, None),
    "sextic beside a square": ("global minimum", lambda x: x[0] ** 6 + (x[1] - 1) ** 2, [0.0, 1.0], None),
    "not convex quartic": ("local minimum", lambda x: x[0] ** 4 * jnp.cos(x[0] / 10), [0.0], None),
    "cosine": ("global minimum", lambda x: jnp.cos(x[0]), [np.pi], None),
    "square beside a deeper one": (
        "local minimum", lambda x: (x[0] - 1) ** 2 * ((x[0] + 1) ** 2 + 1e-18), [-1.0], None,
    ),
    "logistic, mixed labels": ("global minimum", logistic(MIXED_LABELS), [MIXED_MINIMUM], None),
    # not minima, though the slope is zero
    "saddle": ("saddle point", lambda x: x[0] ** 2 - x[1] ** 2, [0.0, 0.0], None),
    "saddle by its cross term": ("saddle point", lambda x: x[0] * x[1], [0.0, 0.0], None),
    "saddle in unlike units": (
        "saddle point", lambda x: (x[0] / 1e-6) ** 2 - (x[1] / 1e6) ** 2, [0.0, 0.0], None,
    ),
    "weak saddle": ("saddle point", lambda x: x[0] ** 2 - 1e-9 * x[1] ** 2, [0.0, 0.0], None),
    "nearly at a saddle": ("saddle point", lambda x: (x[0] - 1) ** 2 - (x[1] - 1) ** 2, [1.0, 1 + 1e-13], None),
    "monkey saddle": ("saddle point", lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2, [0.0, 0.0], None),
    "inflection": ("saddle point", lambda x: x[0] ** 3, [0.0], None),
    "quartic saddle": ("saddle point", lambda x: x[0] ** 2 - x[1] ** 4, [0.0, 0.0], None),
    "maximum": ("saddle point", lambda x: -jnp.sum(x**2), [0.0, 0.0], None),
    "quartic maximum": ("saddle point", lambda x: -(x[0] ** 4), [0.0], None),
    "kink upwards": ("saddle point", lambda x: -jnp.abs(x[0]), [0.0], None),
    # flat
    "flat valley": ("flat minimum", lambda x: (x[0] + x[1] - 1) ** 2, [0.5, 0.5], None),
    "circle": ("flat minimum", lambda x: (x[0] ** 2 + x[1] ** 2 - 1) ** 2, [0.6, 0.8], None),
    "dead parameter": ("flat minimum", lambda x: (x[0] - 1) ** 2 + 0 * x[1], [1.0, 5.0], None),
    "ratio": ("flat minimum", lambda x: (x[0] / x[1] - 2) ** 2, [6.0, 3.0], None),
    "constant": ("flat minimum", lambda x: 3.0 + 0 * x[0], [1.0], None),
    "flat bottom": ("flat minimum", lambda x: jnp.maximum(jnp.abs(x[0]) - 1, 0.0) ** 2, [0.3], None),
    "dead unit": ("flat minimum", lambda x: jnp.maximum(x[0], 0.0), [-1.0], None),
    # plateaus
    "plateau far": ("plateau", lambda x: 1 - jnp.exp(-((x[0] - 30) ** 2)), [0.0], None),
    "plateau with a slope": ("plateau", lambda x: 1 - jnp.exp(-((x[0] - 30) ** 2)), [20.0], None),
    "plateau of two": ("plateau", lambda x: -jnp.exp(-jnp.sum((x - 40) ** 2)), [0.0, 0.0], None),
    # no minimum at all
    "exponential": ("infimum not attained", lambda x: jnp.exp(x[0]), [0.0], None),
    "exponential far out": ("infimum not attained", lambda x: jnp.exp(x[0]), [-40.0], None),
    "exponential underflown": ("infimum not attained", lambda x: jnp.exp(x[0]), [-800.0], None),
    "exponential above an offset": ("infimum not attained", lambda x: 1 + jnp.exp(x[0]), [-40.0], None),
    "exponential beside a square": (
        "infimum not attained", lambda x: jnp.exp(x[0]) + (x[1] - 1) ** 2, [-20.0, 1.0], None,
    ),
    "reciprocal": ("infimum not attained", lambda x: 1 / x[0], [1e3], ([0.0], [None])),
    "logistic, separable": ("infimum not attained", logistic(LABELS), [30.0], None),
    "linear": ("unbounded below", lambda x: 3 * x[0] - x[1], [0.0, 0.0], None),
    "minus logarithm": ("unbounded below", lambda x: -jnp.log(x[0]), [1.0], None),
    "cubic": ("unbounded below", lambda x: x[0] ** 3, [-1.0], None),
    "minus exponential": ("unbounded below", lambda x: -jnp.exp(x[0]), [1.0], None),
    "unbounded one way only": ("unbounded below", lambda x: x[0] - x[1] + x[1] ** 2, [0.0, 0.5], None),
    "minus infinity": ("unbounded below", lambda x: jnp.log(x[0]), [0.0], None),
    # kinks
    "abs": ("minimum at a kink", lambda x: jnp.abs(x[0] - 1), [1.0], None),
    "abs, a little off": ("minimum at a kink", lambda x: jnp.abs(x[0] - 1), [1 + 1e-12], None),
    "norm": ("minimum at a kink", lambda x: jnp.sqrt(jnp.sum(x**2)), [0.0, 0.0], None),
    "largest of three": (
        "minimum at a kink", lambda x: jnp.max(jnp.array([x[0] + x[1], -x[0] + x[1], -x[1]])), [0.0, 0.0], None,
    ),
    "lasso": (
        "minimum at a kink", lambda x: (x[0] - 0.1) ** 2 + jnp.abs(x[0]) + (x[1] - 1) ** 2, [0.0, 1.0], None,
    ),
    "quantile": (
        "minimum at a kink",
        lambda x: jnp.sum(jnp.where(x[0] < QUANTILES, 0.5 * (QUANTILES - x[0]), 0.5 * (x[0] - QUANTILES))),
        [3.0], None,
    ),
    "relu against a line": ("minimum at a kink", lambda x: 2 * jnp.maximum(x[0], 0.0) - x[0], [0.0], None),
    "cusp": ("minimum at a kink", lambda x: jnp.sqrt(jnp.abs(x[0])), [0.0], None),
    "rosenbrock of absolute values": (
        "minimum at a kink",
        lambda x: jnp.abs(1 - x[0]) + 10 * jnp.abs(x[1] - x[0] ** 2),
        [1.0, 1.0],
        None,
    ),
    # no slope
    "rounding": ("no slope", lambda x: jnp.sum(jnp.round(x) ** 2), [2.3, 1.2], None),
    "rounding one of two": ("no slope", lambda x: jnp.round(x[0]) ** 2 + (x[1] - 1) ** 2, [0.3, 1.0], None),
    "counting": ("no slope", lambda x: jnp.sum(jnp.where(x[0] < QUANTILES, 1.0, 0.0)), [2.5], None),
    # trouble
    "not a number": ("not finite", lambda x: jnp.log(x[0]), [-1.0], None),
    "overflow": ("not finite", lambda x: jnp.exp(x[0] ** 2), [50.0], None),
    # bounds
    "bound active": ("global minimum", lambda x: jnp.sum((x - 2) ** 2), [1.0, 2.0], ([0, 0], [1, 5])),
    "bound touching": ("global minimum", lambda x: jnp.sum((x - 2) ** 2), [2.0, 2.0], ([0, 0], [2, 5])),
    "every bound active": ("global minimum", lambda x: jnp.sum(x), [0.0, 0.0], ([0, 0], [1, 1])),
    "saddle held by its bound": (
        "global minimum", lambda x: x[0] ** 2 - x[1] ** 2, [0.0, 1.0], ([-1, -1], [1, 1]),
    ),
    "the higher of two ends": (
        "local minimum", lambda x: x[0] ** 2 - (x[1] - 0.1) ** 2, [0.0, 1.0], ([-1, -1], [1, 1]),
    ),
    "maximum on a bound": ("saddle point", lambda x: -(x[0] ** 2), [0.0], ([0], [1])),
    "root on a bound": ("global minimum", lambda x: jnp.sqrt(x[0]), [0.0], ([0], [None])),
    # not there yet
    "start of rosenbrock": ("stopped", rosenbrock, [-1.2, 1.0], None),
    "tiny units, not there": ("stopped", lambda x: (x[0] / 1e-12 - 1) ** 2, [5e-12], None),
    "huge units, not there": ("stopped", lambda x: (x[0] / 1e12 - 1) ** 2, [5e12], None),
    "away from a kink": ("stopped", lambda x: jnp.abs(x[0] - 1), [2.0], None),
    "inside, pulled to a bound": ("stopped", lambda x: -x[0], [0.5], ([0], [1])),
}  # fmt: skip


def judged(cost, x, bounds=None, **more):
    x = np.array(x, dtype=np.float64)
    objective, structure = traced(cost, x.size, bounds and box(*bounds))
    names = [f"x{i}" for i in range(x.size)]
    return judge(objective, x, names=names, structure=structure, **more)


@pytest.mark.parametrize("name", TRUTH)
def test_the_word_is_the_truth(name):
    word, cost, x, bounds = TRUTH[name]
    judgement = judged(cost, x, bounds)
    assert judgement.verdict == word, judgement.sentence
    assert judgement.evidence
    assert judgement.sentence.endswith(".")
    assert bool(judgement.next_step) or judgement.verdict.is_minimum


WITHOUT_TRACE = [name for name in TRUTH if name not in ("constant", "minus infinity")]


@pytest.mark.parametrize("name", WITHOUT_TRACE)
def test_without_facts_from_a_trace_only_the_proof_of_global_is_lost(name):
    word, cost, x, bounds = TRUTH[name]
    x = np.array(x)
    objective, _ = traced(cost, x.size, bounds and box(*bounds))
    found = judge(objective, x, names=[f"x{i}" for i in range(x.size)]).verdict
    assert found == ("local minimum" if word == "global minimum" else word)


@pytest.mark.parametrize("name", ["rosenbrock", "saddle", "flat valley", "parabola", "maximum"])
def test_without_second_derivatives_differences_of_the_slope_do(name):
    word, cost, x, _ = TRUTH[name]
    x = np.array(x)
    objective, structure = traced(cost, x.size, second=False)
    found = judge(objective, x, names=[f"x{i}" for i in range(x.size)], structure=structure)
    assert found.verdict == word


@pytest.mark.parametrize("name", [name for name, row in TRUTH.items() if row[0] == "saddle point"])
def test_downhill_leads_down(name):
    _, cost, x, bounds = TRUTH[name]
    judgement = judged(cost, x, bounds)
    x = np.array(x)
    here = float(cost(x))
    reach = max(1.0, 1e6 if "units" in name else 0.0)
    lower = [float(cost(x + t * reach * judgement.downhill)) for t in (1e-3, 1e-2, 1e-1, 0.5)]
    assert min(lower) < here
    assert_allclose(np.linalg.norm(judgement.downhill), 1.0)


def test_a_judgement_repeats_itself_exactly():
    one, other = (judged(rosenbrock, [1.0, 1.0]) for _ in range(2))
    assert one.evidence == other.evidence
    assert one.sentence == other.sentence


def test_the_sentence_has_the_numbers():
    sentence = judged(rosenbrock, [1.0, 1.0]).sentence
    assert "both curvatures are positive (0.3994, 1002)" in sentence
    assert "0 to within rounding" in sentence


def test_a_bottom_without_curvature_is_a_minimum_once_nothing_of_the_fall_is_left():
    # Powell's singular function: quartic in two directions, so that no Newton step lands where it promises.
    start = np.array([3.0, -1.0, 0.0, 1.0])
    history = History(4)
    history.append(start, powell_singular(start), np.zeros(4), 1.0, None, 0.0, 1)
    near = judged(powell_singular, 1e-9 * np.array([1.0, -0.1, 1.2, 1.2]), history=history)
    assert near.verdict.is_minimum
    far = judged(powell_singular, 1e-2 * np.array([1.0, -0.1, 1.2, 1.2]), history=history)
    assert not far.verdict.is_minimum


@pytest.mark.parametrize(
    ("method", "start"), [("newton-cg", [1.0, 0.7]), ("newton-cg", [0.5, 0.4]), ("l-bfgs", [2.0, 2.0])]
)
def test_an_inflection_that_a_walk_creeps_up_to_is_no_minimum(method, start):
    """Right before x = 0 slope and curvature of x³ + x⁴ are zero to rounding and positive; it is lowest at -3/4."""
    result = steepest.minimize(lambda x: np.sum(x**3 + x**4), np.array(start), method=method)
    assert_allclose(result.x, -0.75, rtol=1e-9)
    assert result.success


@pytest.mark.parametrize("power", [4, 6, 8])
@pytest.mark.parametrize("method", ["newton-cg", "l-bfgs", "bfgs"])
def test_a_bottom_of_higher_order_is_a_minimum_however_it_was_come_to(method, power):
    result = steepest.minimize(lambda x: np.sum((x - 1.0) ** power), np.array([3.0, 2.6]), method=method)
    assert_allclose(result.x, 1.0, atol=2e-2)
    assert result.success


def test_a_flat_direction_is_told_in_the_parameters_names():
    objective, structure = traced(lambda p: (p[0] / p[1] - 2) ** 2 + (p[2] - 1) ** 2, 3)
    judgement = judge(
        objective, np.array([6.0, 3.0, 1.0]), names=("limit", "rate", "middle"), structure=structure
    )
    assert judgement.verdict is Verdict.FLAT_MINIMUM
    assert "limit + 0.5·rate" in judgement.sentence
    assert judgement.digits[:2].tolist() == [0.0, 0.0]
    assert judgement.digits[2] > 14


def test_a_kink_is_told_with_its_line():
    judgement = judged(lambda x: jnp.abs(x[0] - 1), [1.0])
    assert "jnp.abs(x[0] - 1)" in judgement.sentence
    assert "no lower point" in judgement.sentence


def test_an_active_bound_does_not_change_the_word_and_its_multiplier_is_evidence():
    judgement = judged(lambda x: jnp.sum((x - 2) ** 2), [1.0, 2.0], ([0, 0], [1, 5]))
    multiplier = next(item for item in judgement.evidence if item.name == "x0 at its bound")
    assert multiplier.measured == -2.0


@pytest.mark.parametrize("error", [1e-3, 1e-6, 1e-9, 1e-12])
def test_digits_are_never_more_than_are_true(error):
    history = History(2)
    start = np.array([-1.2, 1.0])
    history.append(start, rosenbrock(start), np.array([-215.6, -88.0]), 232.9, None, 0.0, 1)
    x = np.array([1.0 + error, 1.0 + 2 * error])
    judgement = judged(rosenbrock, x, history=history)
    if judgement.digits is not None:
        assert (judgement.digits <= -np.log10(np.abs(x - 1)) + 0.5).all()
    if error <= 1e-6:
        assert judgement.verdict is Verdict.LOCAL_MINIMUM
        assert (judgement.digits >= -np.log10(np.abs(x - 1)) - 1.5).all()


def test_the_digits_of_an_ill_conditioned_minimum_tell_the_loose_direction():
    # Rounding of the slope, 1e-16, over a curvature of 1e-10: six digits are left.
    def cost(x):
        return (x[0] + x[1] - 2) ** 2 + 1e-10 * (x[0] - x[1]) ** 2

    judgement = judged(cost, [1.0, 1.0])
    assert (judgement.digits < 8).all()


def test_the_gap_bounds_how_much_lower_the_cost_can_go():
    quadratic = judged(lambda x: jnp.sum((x - 1) ** 2) + 5.0, [1.0 + 1e-9, 1.0])
    assert 1e-18 <= quadratic.gap < 1e-14
    bounded = judged(lambda x: jnp.exp(x[0]) + jnp.exp(-x[0]), [1e-9], ([-1], [1]))
    assert 0.0 <= bounded.gap < 1e-8


def test_out_of_budget_is_said_with_the_rate_and_ignores_the_spent_budget():
    objective, structure = traced(rosenbrock, 2)
    objective.budget = Budget(evaluations=1)
    history = History(2)
    x = np.array([-1.2, 1.0])
    for k in range(8):
        history.append(x, 24.2 + 0.5**k, np.ones(2), 1.0, None if k == 0 else x, 0.1, k)
    judgement = judge(
        objective, x, names=("a", "b"), structure=structure, stop="out of budget", history=history
    )
    assert judgement.verdict is Verdict.OUT_OF_BUDGET
    assert "99 % of it in" in judgement.sentence
    assert objective.counts.values == 0


def test_a_minimum_is_a_minimum_whatever_stopped_the_walk():
    for stop in ("out of budget", "stopped", "no lower point found", "diverged"):
        assert judged(rosenbrock, [1.0, 1.0], stop=stop).verdict is Verdict.GLOBAL_MINIMUM


@pytest.mark.parametrize("level", [1e-3, 1e-6])
def test_a_noisy_cost_ends_at_its_noise_floor(level):
    generator = np.random.default_rng(0)
    objective = opaque(lambda x: float(x @ x) + level * generator.standard_normal(), 2)
    near = 0.1 * np.sqrt(level)
    judgement = judge(objective, np.array([near, -near]), names=("a", "b"))
    assert judgement.verdict is Verdict.NOISE_FLOOR
    far = judge(objective, np.array([3.0, -4.0]), names=("a", "b"))
    assert far.verdict is Verdict.STOPPED


def test_a_smooth_cost_by_differences_is_judged_like_any_other():
    objective = opaque(lambda x: float((x[0] - 1) ** 2 + 3 * (x[1] + 2) ** 2), 2)
    judgement = judge(objective, np.array([1.0, -2.0]), names=("a", "b"))
    assert judgement.verdict is Verdict.LOCAL_MINIMUM
    assert judge(objective, np.array([1.1, -2.0]), names=("a", "b")).verdict is Verdict.STOPPED


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ("sign", lambda x: np.array([-2 * x[0], 6 * x[1]])),
        ("too small by a factor of 2", lambda x: np.array([x[0], 6 * x[1]])),
        ("b", lambda x: np.array([2 * x[0], 6 * x[1] + 1])),
        ("a", lambda x: np.array([6 * x[1], 2 * x[0]])),
    ],
)
def test_a_wrong_supplied_gradient_is_named(told, wrong):
    def cost(x):
        return float(x[0] ** 2 + 3 * x[1] ** 2)

    objective = Objective(
        2, value=cost, value_and_gradient=lambda x: (cost(x), wrong(x)), derivatives="supplied"
    )
    judgement = judge(objective, np.array([1.0, 2.0]), names=("a", "b"))
    assert judgement.verdict is Verdict.WRONG_GRADIENT
    assert told in judgement.sentence


def test_a_right_supplied_gradient_is_accepted():
    objective = Objective(
        2,
        value_and_gradient=lambda x: (float(x[0] ** 2 + 3 * x[1] ** 2), np.array([2 * x[0], 6 * x[1]])),
        derivatives="supplied",
    )
    assert judge(objective, np.zeros(2), names=("a", "b")).verdict is Verdict.LOCAL_MINIMUM


def test_an_exception_of_numbers_in_a_probe_is_not_the_end():
    def cost(x):
        if x[0] <= 0:
            raise ValueError("math domain error")
        return float(x[0] - np.log(x[0])), np.array([1 - 1 / x[0]])

    judgement = judge(Objective(1, value_and_gradient=cost), np.array([1.0]), names=("x",))
    assert judgement.verdict is Verdict.LOCAL_MINIMUM


# ---- many parameters

LARGE = np.linspace(1.0, 100.0, 3000)


@pytest.mark.parametrize(
    ("word", "cost", "x"),
    [
        ("global minimum", lambda x: jnp.sum(LARGE * (x - 1) ** 2), np.ones(3000)),
        ("global minimum", lambda x: jnp.sum(LARGE * (1 - jnp.cos(x - 1))), np.ones(3000)),
        ("saddle point", lambda x: jnp.sum((LARGE - 50) * (x - 1) ** 2), np.ones(3000)),
        ("stopped", lambda x: jnp.sum(LARGE * (x - 1) ** 2), np.zeros(3000)),
    ],
)
def test_many_parameters_are_judged_within_the_stated_budget(word, cost, x):
    objective, structure = traced(cost, x.size)
    spent = []

    class Watched(Objective):
        def afresh(self):
            fresh = Objective.afresh(objective)
            spent.append(fresh)
            return fresh

    watched = Watched(x.size, value_and_gradient=objective.value_and_gradient)
    judgement = judge(watched, x, names=[f"x{i}" for i in range(x.size)], structure=structure)
    assert judgement.verdict == word
    counts = spent[0].counts
    assert counts.hessians == 0
    if word != "stopped":
        # A Hessian product costs about two gradients.
        assert counts.values + 2 * counts.products <= 30


def test_a_plain_minimum_of_two_parameters_costs_a_dozen_evaluations_and_no_hessian():
    objective, structure = traced(rosenbrock, 2)
    spent = []
    original = objective.afresh
    objective.afresh = lambda: spent.append(original()) or spent[-1]
    judge(objective, np.ones(2), names=("a", "b"), structure=structure)
    assert spent[0].counts.values <= 13
    assert spent[0].counts.hessians == 0


def test_two_programs_of_one_cost_that_round_differently_are_not_noise():
    """The value alone and the value beside the slope add their terms in different orders."""
    target = np.sin(np.arange(2_000.0))

    def value(x):
        return float(np.sum((x - target) ** 2)) + 10.0

    def both(x):
        return value(x) * (1.0 + 20 * np.finfo(float).eps), 2.0 * (x - target)

    objective = Objective(2_000, value_and_gradient=both, value=value)
    found = judge(objective, target, names=[f"x{i}" for i in range(2_000)])
    assert found.verdict.is_minimum
    repeats = found.evidence[0]
    assert repeats.holds and 0 < repeats.measured <= repeats.limit


def test_a_cost_that_differs_from_call_to_call_by_more_than_rounding_does_not_repeat_itself():
    calls = iter(range(1_000_000))

    def value(x):
        return float(x @ x) + 1.0 + 1e-6 * (next(calls) % 7)

    found = judge(
        Objective(3, value_and_gradient=lambda x: (value(x), 2.0 * x), value=value),
        np.full(3, 1e-9),
        names=("a", "b", "c"),
    )
    assert not found.evidence[0].holds


def test_judging_many_parameters_costs_less_than_twenty_gradients():
    n = 2000
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, n, n), rng.integers(0, n, n)
    label = np.where(rng.random(n) < 0.5, 1.0, -1.0)

    def cost(w):
        return jnp.sum(jnp.logaddexp(0.0, -label * (w[first] + 0.5 * w[second]))) + 0.05 * jnp.sum(w**2)

    import scipy.optimize

    objective, structure = traced(cost, n)
    x = scipy.optimize.minimize(
        objective.value_and_gradient,
        np.zeros(n),
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 0, "gtol": 1e-10},
    ).x
    judgement = judge(objective, x, names=[f"w{i}" for i in range(n)], structure=structure)
    assert judgement.verdict is Verdict.GLOBAL_MINIMUM, judgement.sentence
    # A product with the Hessian costs at most about two gradients.
    spent = judgement.spent
    assert spent.gradients + 2 * spent.products <= 20


def test_a_hessian_evaluated_at_the_point_before_is_not_evaluated_again():
    def cost(x):
        return jnp.sum((x - 1) ** 4) + jnp.sum(x**2) + x[0] * x[1]

    x = np.array([0.20411, 0.20411])
    for _ in range(6):
        objective, structure = traced(cost, 2)
        _, gradient = objective.value_and_gradient(x)
        x = x - np.linalg.solve(objective.hessian(x), gradient)
    objective, structure = traced(cost, 2)
    fresh = judge(objective, x, names=("a", "b"), structure=structure)
    objective.hessian(x)
    known = judge(objective, x, names=("a", "b"), structure=structure)
    assert known.verdict is fresh.verdict is Verdict.LOCAL_MINIMUM
    assert known.spent.hessians == 0
    assert known.spent.gradients < fresh.spent.gradients
    measured = [
        next(e for e in one.evidence if e.name == "smallest curvature").measured for one in (known, fresh)
    ]
    assert_allclose(*measured, rtol=1e-6)


def test_a_way_down_that_a_bound_halves_is_not_told_both_ways():
    one_sided = steepest.verify(lambda x: -(x[0] ** 2) + x[1] ** 2, [0.0, 0.0], [(0, 1), (-1, 1)])
    assert one_sided == "saddle point"
    assert "both ways" not in one_sided.message
    assert (
        "falls both ways along x[0]"
        in steepest.verify(lambda x: -(x[0] ** 2) + x[1] ** 2, [0.0, 0.0]).message
    )


def test_at_a_kink_of_hundreds_of_parameters_the_whole_hull_is_looked_at():
    """Each parameter's own slopes miss zero: only all of them together hold the slope 1/2 that the line adds."""
    found = steepest.minimize(lambda x: np.linalg.norm(x) - 0.5 * x[0], np.ones(500))
    assert found.verdict == "minimum at a kink", found.message


def test_a_sum_of_singular_values_is_lowest_at_the_kink_where_they_are_zero():
    found = steepest.verify(
        lambda x: np.sum(np.linalg.svd(x.reshape(2, 2) - np.eye(2), compute_uv=False)), np.eye(2).ravel()
    )
    assert found == "minimum at a kink", found.message


def test_a_cost_that_can_hardly_be_lower_is_a_minimum_though_its_slope_is_not_rounding():
    # Fourth powers that all share the last parameter: where 1e-45 is left of 1e3, the slope of each is told to its last
    # digit, and is not zero; but no power is below zero, and the only point where all vanish is the origin.
    def cost(x):
        return (x[0] - x[1]) ** 2 + (x[-2] - x[-1]) ** 2 + np.sum((x[:-2] + x[1:-1] + x[-1]) ** 4)

    result = steepest.minimize(cost, np.tile([1.0, -1.0], 1000))
    assert result.verdict is Verdict.GLOBAL_MINIMUM
    assert np.abs(result.x).max() < 1e-7


@pytest.mark.slow
def test_no_valley_of_a_cost_with_a_floor_is_one_without_a_limit():
    # No sum of 99 sines is below -99, however long a bent valley keeps falling.
    result = steepest.minimize(lambda x: np.sum(np.sin(x[:-1] ** 2 - 0.5 * x[1:])), np.ones(100))
    assert result.fun >= -99.0
    assert result.verdict is not Verdict.UNBOUNDED_BELOW


def _mccormick(x, pull):
    """McCormick's function in many parameters: all lowered by one lower it by n - 1, up to the sines."""
    steps = (x[:-1] - x[1:]) ** 2 + np.sin(x[:-1] + x[1:])
    return np.sum(-1.5 * x[:-1] + 2.5 * x[1:] + 1 + steps) + pull * np.sum(x**2)


@pytest.mark.parametrize(("n", "begin"), [(10, 0.0), (10, 1.0), (20, -3.0), (300, 0.0), (1000, 0.5)])
def test_parameters_that_went_equally_far_but_for_rounding_go_on_for_ever(n, begin):
    found = steepest.minimize(lambda x: _mccormick(x, 0.0), np.full(n, begin))
    assert found.verdict == "unbounded below", found.message


@pytest.mark.parametrize("pull", [1e-10, 1e-6])
def test_parameters_that_went_equally_far_and_are_held_back_there_do_not(pull):
    """Its lower end lies near -0.45/pull, however far that is; the sines end the walk before it."""
    found = steepest.minimize(lambda x: _mccormick(x, pull), np.ones(10))
    assert found.verdict != "unbounded below", found.message


@pytest.mark.parametrize("start", [1e12, -1e12])
@pytest.mark.parametrize("other", [1e-8, 1e-12])
def test_a_far_start_makes_no_global_minimum_of_a_higher_one(start, other):
    """The cost is zero at 1 only, and next to nothing at the local minimum at -1."""
    found = steepest.verify(lambda x: (x[0] - 1) ** 2 * ((x[0] + 1) ** 2 + other), [-1.0], start=[start])
    assert found.verdict is Verdict.LOCAL_MINIMUM, found.message


@pytest.mark.parametrize("beyond", [1e9, np.inf])
@pytest.mark.parametrize("start", [[0.0], None])
def test_a_wall_beside_a_minimum_does_not_make_it_a_global_one(beyond, start):
    """The cost is 1 at its local minimum at -1, where the wall stands, and zero at 2."""

    def cost(x):
        inside = (x[0] - 2) ** 2 * ((x[0] + 28 / 27) ** 2 + 1 / 9 - 1 / 27**2)
        return jnp.where(x[0] >= -1, inside, beyond)

    found = steepest.verify(cost, [-1.0], start=start)
    assert found.verdict is Verdict.LOCAL_MINIMUM, found.message


@pytest.mark.parametrize("start", [[-1.2, 1.0], [-1.2e8, 1.0e4]])
def test_a_cost_that_cannot_be_lower_is_a_global_minimum_from_near_and_far(start):
    found = steepest.minimize(rosenbrock, start)
    assert found.verdict is Verdict.GLOBAL_MINIMUM, found.message


@pytest.mark.parametrize("seed", [5, 6])
def test_the_order_in_which_the_rows_of_a_matrix_are_eliminated_makes_no_kink(seed):
    """The likelihood of a Gaussian process whose matrix is so nearly singular that its slopes lose most digits."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2.0, 2.0, 60)
    y = np.sin(2.0 * x) + 1e-3 * rng.normal(size=60)

    def cost(v):
        K = np.exp(v[1] - 0.5 * (x[:, None] - x) ** 2 / np.exp(v[0])) + np.exp(v[2]) * np.eye(60)
        L = np.linalg.cholesky(K)
        return 0.5 * np.sum(np.linalg.solve(L, y) ** 2) + np.sum(np.log(np.diag(L)))

    found = steepest.minimize(cost, np.array([0.0, 0.0, -2.0]))
    assert found.verdict == "local minimum", found.message
    around = found.x + 0.1 * rng.standard_normal((100, 3))
    assert all(cost(place) > found.fun for place in around)


def test_a_cost_that_is_a_number_in_one_order_of_its_sums_and_none_in_another_is_not_finite():
    """As log(1 - p) times a weight of zero, where p is 1 in one order and rounded below it in another."""
    bowl = Objective(1, value_and_gradient=lambda x: (float(x @ x), 2.0 * x), value=lambda x: np.nan)
    found = judge(bowl, np.array([0.0]), names=("x",))
    assert found.verdict is Verdict.NOT_FINITE
    assert "nan" not in found.sentence and "repeat" not in found.sentence
    assert "logaddexp" in found.next_step
