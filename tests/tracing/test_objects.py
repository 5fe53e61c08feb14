"""The user's own classes, containers and state, seen from a trace: same slopes, nothing left behind, never stale."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import TracingError, gradient
from steepest.parameters import Parameters
from steepest.tracing.trace import trace

from . import helper_module
from .helper_module import Decay, ShiftedDecay
from .test_trace import central_difference

P = np.array([0.7, -0.4, 1.3])
T = np.linspace(0.0, 1.0, 5)

PREMADE = ShiftedDecay(1.5, 0.2)


def made_inside(p):
    return np.sum(ShiftedDecay(p[0], p[1]).at(T) ** 2) + isinstance(ShiftedDecay(p[0], 1.0), Decay) * p[2]


def made_outside(p):
    return np.sum(PREMADE.at(T) * p[0]) + helper_module.Decay(p[1]).at(T)[1]


class Slotted:
    __slots__ = ("exponential", "weights")

    def __init__(self):
        self.weights = np.array([1.0, 2.0, 3.0])
        self.exponential = math.exp

    def loss(self, p):
        out = self.weights.copy()
        for k in range(3):
            out[k] += self.exponential(p[k]) * self.weights[k]
        return out.sum()


class Lazy:
    def __init__(self, p):
        self.p = p

    @property
    def rate(self):
        return math.exp(self.p[0])

    @cached_property
    def matrix(self):
        out = np.zeros((2, 2))
        out[0, 0], out[1, 1] = self.p[1], self.p[2]
        return out

    @staticmethod
    def square(x):
        return math.pow(x, 2)

    @classmethod
    def of(cls, p):
        return cls(p)


def lazy_parts(p):
    model = Lazy.of(p)
    return Lazy.square(model.rate) + np.sum(model.matrix @ model.matrix) + model.matrix[0, 0]


@dataclass
class Record:
    a: float
    parts: list = field(default_factory=list)

    def total(self):
        return math.sinh(self.a) + sum(self.parts)


def dataclass_inside(p):
    return Record(p[0], [p[1], p[2] ** 2]).total()


class Shape(ABC):
    known: ClassVar[list] = []

    def __init_subclass__(cls):
        Shape.known.append(cls)

    @abstractmethod
    def area(self): ...

    def twice(self):
        return 2 * self.area()


class Square(Shape):
    def __init__(self, side):
        self.side = side

    def area(self):
        return math.pow(self.side, 2)


def abstract_classes(p):
    return Square(p[0]).twice() + sum(shape.area() for shape in [Square(p[1]), Square(2.0)]) * p[2]


STYLES = [made_inside, made_outside, Slotted().loss, lazy_parts, dataclass_inside, abstract_classes]


@pytest.mark.parametrize("function", STYLES, ids=lambda f: f.__name__)
def test_classes_have_the_slope_of_the_plain_function(function):
    assert_allclose(gradient(function)(P), central_difference(function, P), rtol=2e-8, atol=2e-8)


def test_mirroring_a_class_does_not_run_its_subclass_hook():
    before = list(Shape.known)
    gradient(abstract_classes)(P)
    assert Shape.known == before


@dataclass
class Peak:
    height: float
    places: np.ndarray

    def at(self, t):
        out = np.zeros(len(t))
        for k in range(len(t)):
            out[k] = self.height * math.exp(-((t[k] - self.places[0]) ** 2)) + math.cos(self.places[1])
        return out


class Pair(NamedTuple):
    a: float
    b: float

    def product(self):
        return math.sin(self.a) * self.b


def test_parameters_bring_their_methods():
    slope = gradient(lambda peak: np.sum(peak.at(T)))(Peak(2.0, np.array([0.3, 0.5])))
    assert type(slope) is Peak
    assert_allclose(slope.height, np.sum(np.exp(-((T - 0.3) ** 2))), rtol=1e-14)
    assert_allclose(slope.places[1], -T.size * np.sin(0.5), rtol=1e-14)
    assert_allclose(
        gradient(lambda pair: pair.product())(Pair(0.4, 3.0)), (3 * np.cos(0.4), np.sin(0.4)), rtol=1e-14
    )


class Watched:
    calls = 0

    def __init__(self):
        self.last = None
        self.count = 0
        self.history = []

    def loss(self, p):
        Watched.calls += 1
        self.count += 1
        self.last = p * 2
        self.buffer = np.zeros(3)
        self.history.extend([p[0], 1.0])
        return np.sum(self.last**2)


def test_side_effects_happen_once_and_nothing_of_the_trace_is_left_behind():
    watched, seen = Watched(), {"best": 5.0}

    def cost(p):
        seen["best"], seen["runs"] = p[0], seen.get("runs", 0) + 1
        return watched.loss(p)

    assert_allclose(gradient(cost)(P), 8 * P, rtol=1e-14)
    assert (Watched.calls, watched.count, seen) == (1, 1, {"best": 5.0, "runs": 1})
    assert watched.last is None and watched.history == [1.0]
    assert type(watched.buffer) is np.ndarray


class Scaled:
    scale = 1.0

    def __init__(self):
        self.weights = np.ones(2)
        self.powers = [1.0]

    def step(self, p):
        return np.sum(self.weights * p) * self.scale * self.powers[0]

    def loss(self, p):
        return self.step(p)


def test_a_kept_trace_sees_every_change_of_an_object_its_class_and_its_containers():
    model = Scaled()
    slope = gradient(model.loss)

    def first():
        return slope(np.array([1.0, 1.0]))[0]

    assert first() == 1.0
    model.weights[0] = 2.0
    assert first() == 2.0
    model.weights = np.full(2, 3.0)
    assert first() == 3.0
    Scaled.scale = 2.0
    assert first() == 6.0
    model.powers[0] = 5.0
    assert first() == 30.0
    model.scale = 7.0
    assert first() == 105.0
    plain, Scaled.step = Scaled.step, lambda self, p: p[0] * 4
    assert first() == 4.0
    Scaled.step, Scaled.scale = plain, 1.0


class Plain:
    pass


def test_a_kept_trace_sees_attributes_that_were_not_there_and_those_of_functions():
    model = Plain()
    slopes = [
        gradient(lambda p: p[0] * getattr(model, "factor", 1.0)),
        gradient(lambda p: p[0] * (model.factor if hasattr(model, "factor") else 1.0)),
        gradient(lambda p: p[0] * model.__dict__.get("factor", 1.0)),
    ]
    at = np.ones(1)
    for factor in (1.0, 2.0, 3.0):
        assert [slope(at)[0] for slope in slopes] == [factor] * 3
        model.factor = factor + 1.0

    def cost(p):
        return p[0] * cost.factor

    slope = gradient(cost)
    for factor in (2.0, 3.0):
        cost.factor = factor
        assert slope(at)[0] == factor


def test_a_trace_that_asked_for_what_is_not_there_is_kept_until_it_is():
    model = Plain()

    def cost(p):
        return p[0] * getattr(model, "factor", 1.0) * getattr(cost, "times", 1.0)

    cost.unit = "m"
    at = Parameters.of(np.ones(1))
    first = trace(cost, at)
    assert trace(cost, at) is first
    model.factor = 2.0
    assert trace(cost, at) is not first


def test_a_kept_trace_sees_changes_of_modules_defaults_and_code():
    def cost(p, *, factor=[2.0]):  # noqa: B006
        return p[0] * helper_module.FACTOR * factor[0]

    at = np.ones(1)
    helper_module.FACTOR = 3.0
    assert gradient(cost)(at)[0] == 6.0
    helper_module.FACTOR = 4.0
    assert gradient(cost)(at)[0] == 8.0
    cost.__kwdefaults__["factor"][0] = 1.0
    assert gradient(cost)(at)[0] == 4.0
    cost.__code__ = (lambda p, *, factor: 9 * p[0]).__code__
    assert gradient(cost)(at)[0] == 9.0
    del helper_module.FACTOR


def test_a_kept_trace_of_a_jax_function_sees_what_it_reads_change():
    import jax
    import jax.numpy as jnp

    namespace = {"jnp": jnp, "factor": 2.0}
    exec("def cost(p):\n    return jnp.sum(p**2) * factor", namespace)
    assert_allclose(gradient(namespace["cost"])(np.ones(2)), [4.0, 4.0])
    namespace["factor"] = 5.0
    assert_allclose(gradient(namespace["cost"])(np.ones(2)), [10.0, 10.0])
    derived, spread = jax.grad(lambda p: jnp.sum(p**3)), jax.vmap(lambda t: t**2)
    assert_allclose(gradient(lambda p: np.sum(derived(p)) + np.sum(spread(p)))(P), 8 * P, rtol=1e-14)


def test_a_kept_trace_of_a_jax_function_does_not_outlive_what_it_read():
    """What is gone is missed, as the function itself would miss it, and what comes in its place is seen."""
    import jax.numpy as jnp

    namespace = {"jnp": jnp, "factor": 3.0}
    exec("def cost(p):\n    return jnp.sum(factor * p * p)", namespace)
    cost, at = namespace["cost"], np.array([2.0])
    assert_allclose(gradient(cost)(at), [12.0], rtol=1e-14)
    del namespace["factor"]
    with pytest.raises(NameError, match="factor"):
        gradient(cost)(at)
    namespace["factor"] = 5.0
    assert_allclose(gradient(cost)(at), [20.0], rtol=1e-14)


def test_a_kept_trace_of_a_jax_cost_sees_the_dataclass_it_reads_change():
    import jax.numpy as jnp

    @dataclass
    class Model:
        scale: float
        weights: np.ndarray
        power: ClassVar[int] = 2

        def loss(self, p):
            return self.scale * jnp.sum(self.weights * p**self.power)

    model, restore = Model(2.0, np.ones(2)), jnp.ravel

    def cost(p):
        return model.loss(restore(p))

    slope, at = gradient(cost), np.ones(2)
    assert_allclose(slope(at), [4.0, 4.0])
    model.weights[1] = 3.0
    assert_allclose(slope(at), [4.0, 12.0])
    model.scale = 1.0
    assert_allclose(slope(at), [2.0, 6.0])
    Model.power = 3
    assert_allclose(slope(at), [3.0, 9.0])
    Model.loss = lambda self, p: jnp.sum(5.0 * p)
    assert_allclose(slope(at), [5.0, 5.0])


def test_a_jax_cost_that_reads_a_dataclass_is_traced_once():
    import jax.numpy as jnp

    @dataclass
    class Model:
        scale: float

        def loss(self, p):
            runs.append(1)
            return self.scale * jnp.sum(p**2)

    runs: list[int] = []
    model, restore = Model(2.0), jnp.ravel

    def cost(p):
        return model.loss(restore(p))

    for _ in range(3):
        assert_allclose(gradient(cost)(np.ones(2)), [4.0, 4.0])
    assert len(runs) == 1


def test_a_jax_cost_that_names_classes_is_traced_once_until_one_of_them_changes():
    """Changed in the class or in the one it inherits from, hidden by a new name, or reached through a third class."""
    import jax.numpy as jnp

    class Units:
        _metre = 1.0

        @staticmethod
        def metre():
            return Units._metre

    @dataclass
    class Ground:
        level: ClassVar[float] = 1.0

        def height(self):
            return self.level * Units.metre()

    @dataclass
    class Hill(Ground):
        steepness: float = 2.0

        def slope(self):
            return self.steepness

    @dataclass
    class Walk:
        length: float

        def loss(self, p):
            runs.append(1)
            hill = Hill()
            return self.length * jnp.sum(hill.slope() * hill.height() * p)

    runs: list[int] = []
    walk, restore = Walk(1.0), jnp.ravel

    def cost(p):
        return walk.loss(restore(p))

    def traced_to(expected, times):
        for _ in range(2):
            assert_allclose(gradient(cost)(np.ones(2)), [expected, expected])
        assert len(runs) == times

    traced_to(2.0, 1)
    Ground.level = 3.0
    traced_to(6.0, 2)
    Hill.level = 5.0
    traced_to(10.0, 3)
    Units._metre = 2.0
    traced_to(20.0, 4)
    Hill.slope = lambda self: 1.0
    traced_to(10.0, 5)


def test_a_kept_trace_sees_changes_of_the_records_and_classes_that_a_class_holds():
    import jax.numpy as jnp

    @dataclass
    class Soil:
        density: float

    class Scale:
        factor = 1.0

    class Ground:
        soil = Soil(1.0)
        scale = Scale

        def weight(self):
            return self.soil.density * self.scale.factor

    @dataclass
    class Walk:
        length: float

        def loss(self, p):
            return self.length * jnp.sum(Ground().weight() * p)

    walk, restore = Walk(1.0), jnp.ravel

    def cost(p):
        return walk.loss(restore(p))

    at = np.ones(2)
    assert_allclose(gradient(cost)(at), [1.0, 1.0])
    Ground.soil.density = 3.0
    assert_allclose(gradient(cost)(at), [3.0, 3.0])
    Scale.factor = 5.0
    assert_allclose(gradient(cost)(at), [15.0, 15.0])


def test_a_kept_trace_of_a_jax_cost_sees_a_jitted_function_given_another():
    import jax
    import jax.numpy as jnp

    namespace = {"jnp": jnp, "times": jax.jit(lambda x: 2.0 * x)}
    exec("def cost(p):\n    return jnp.sum(times(p))", namespace)
    assert_allclose(gradient(namespace["cost"])(np.ones(2)), [2.0, 2.0])
    namespace["times"] = jax.jit(lambda x: 7.0 * x)
    assert_allclose(gradient(namespace["cost"])(np.ones(2)), [7.0, 7.0])


def test_jax_functions_that_call_each_other_and_something_unwatchable_are_traced():
    import jax.numpy as jnp

    table = np.zeros(3_000_000)  # too large to be watched

    def even(p, k):
        return jnp.sum(p**2) + table[0] if k == 0 else odd(p, k - 1)

    def odd(p, k):
        return even(p, k - 1)

    assert_allclose(gradient(lambda p: odd(jnp.ravel(p), 5))(np.ones(2)), [2.0, 2.0])


def test_many_functions_made_in_turn_are_never_mistaken_for_each_other():
    def times(k):
        return lambda p: p[0] * k

    assert [gradient(times(float(k)))(np.ones(1))[0] for k in range(50)] == list(range(50))


def test_a_refusal_that_the_cost_swallows_is_still_a_refusal():
    def cost(p):
        try:
            value = float(p[0])
        except Exception:
            value = 1e10
        return value * p[1]

    with pytest.raises(TracingError, match=r"Leave float\(\) away"):
        gradient(cost)(P)


def test_threads_trace_side_by_side():
    from concurrent.futures import ThreadPoolExecutor

    def slope_for(k):
        def cost(p):
            out = np.zeros(3)
            for i in range(3):
                out[i] = math.exp(p[i]) * k
            return out.sum()

        return gradient(cost)(P)

    with ThreadPoolExecutor(2) as pool:
        for k, slope in enumerate(pool.map(slope_for, range(8))):
            assert_allclose(slope, k * np.exp(P), rtol=1e-14)


def test_sparse_matrices_multiply_traced_vectors():
    import scipy.sparse

    S = scipy.sparse.csr_array(np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]]))
    A = S.toarray()
    assert_allclose(gradient(lambda p: np.sum((S @ p) ** 2))(P), 2 * A.T @ A @ P, rtol=1e-14)
    assert_allclose(gradient(lambda p: np.sum(p @ S.T) + S.dot(p)[0])(P), A.sum(axis=0) + A[0], rtol=1e-14)
    at = np.arange(6.0).reshape(3, 2)
    assert_allclose(gradient(lambda M: np.sum((S @ M) ** 2))(at), 2 * A.T @ A @ at, rtol=1e-14)


def test_distributions_of_scipy_have_their_slopes():
    from scipy.stats import norm

    data = np.array([0.1, 0.9, 2.0])
    mean, sigma = P[0], P[2]
    expected = [np.sum(mean - data) / sigma**2, 0.0, np.sum(1 / sigma - (data - mean) ** 2 / sigma**3)]
    assert_allclose(gradient(lambda p: -np.sum(norm.logpdf(data, p[0], p[2])))(P), expected, rtol=1e-13)
    assert_allclose(gradient(lambda p: -np.sum(norm(p[0], scale=p[2]).logpdf(data)))(P), expected, rtol=1e-13)


def test_a_vectorized_function_takes_what_is_excluded_whole():
    line = np.vectorize(lambda t, p: p[0] * t + p[1], excluded=[1])
    slope = gradient(lambda p: np.sum(line(T, p) ** 2))(P)
    r = P[0] * T + P[1]
    assert_allclose(slope, [2 * r @ T, 2 * r.sum(), 0.0], rtol=1e-12, atol=1e-14)


def test_a_cross_product_with_a_list_is_that_with_an_array():
    slope = gradient(lambda p: np.sum(np.linalg.cross(p, [1.0, 2.0, 3.0])))(P)
    assert_allclose(slope, [2.0 - 3.0, 3.0 - 1.0, 1.0 - 2.0], rtol=1e-13)


def test_the_cumulative_beta_distribution_is_followed_in_x_and_refused_in_its_shapes_by_name():
    from scipy.stats import beta

    x = np.array([0.3, 0.6, 0.2])
    assert_allclose(gradient(lambda p: np.sum(beta.cdf(p, 2.0, 3.0)))(x), beta.pdf(x, 2.0, 3.0), rtol=1e-10)
    with pytest.raises(TracingError, match="betainc"):
        gradient(lambda p: np.sum(beta.cdf(x, p[0], p[1])))(np.array([2.0, 3.0]))


def moments_of_frozen(p):
    from scipy import stats

    normal, gamma = stats.norm(p[0], scale=p[2]), stats.gamma(p[2], scale=2.0)
    return (
        normal.mean()
        + normal.std() ** 2
        + 2 * normal.var()
        + normal.entropy()
        + normal.median() * normal.interval(0.9)[1]
        + gamma.mean()
        + stats.gamma.var(p[2], scale=p[0] + 2)
        + stats.expon.entropy(0.0, p[2])
        + normal.rvs(size=3, random_state=1).sum()
    )


def their_closed_form(p):
    from scipy import stats

    m, s, q = p[0], p[2], stats.norm.ppf(0.95)
    entropy = 0.5 * np.log(2 * np.pi * np.e * s**2)
    drawn = np.sum(m + s * stats.norm.rvs(size=3, random_state=1))
    return m + 3 * s**2 + entropy + m * (m + s * q) + 2 * s + s * (m + 2) ** 2 + 1 + np.log(s) + drawn


def test_what_a_frozen_distribution_tells_of_itself_depends_on_its_parameters():
    assert_allclose(moments_of_frozen(P), their_closed_form(P), rtol=1e-13)
    assert_allclose(gradient(moments_of_frozen)(P), central_difference(their_closed_form, P), rtol=1e-7)


def test_a_frozen_distribution_made_outside_is_followed():
    from scipy import stats

    fixed = stats.norm(1.0, 2.0)
    assert_allclose(gradient(lambda p: np.sum(fixed.logpdf(p)))(P), -(P - 1.0) / 4, rtol=1e-13)
    assert_allclose(gradient(lambda p: fixed.mean() * p[0] + stats.norm(0, 3).std() * p[1])(P), [1, 3, 0])


@pytest.mark.parametrize(
    "draw",
    [
        lambda p: np.random.default_rng().normal() * p[0],
        lambda p: np.random.RandomState().normal() * p[0],
        lambda p: __import__("scipy.stats").stats.norm(p[0], p[2]).rvs(size=3).sum(),
    ],
)
def test_draws_without_a_seed_inside_the_cost_are_refused(draw):
    with pytest.raises(TracingError, match="draws new random numbers"):
        gradient(draw)(P)


def test_draws_with_a_seed_inside_the_cost_are_numbers():
    drawn = np.random.default_rng(3).normal(size=3)
    assert_allclose(gradient(lambda p: np.random.default_rng(3).normal(size=3) @ p)(P), drawn, rtol=1e-14)


def drawn_inside(p):
    rng = np.random.default_rng(5)
    np.random.seed(2)
    return (
        np.sum(rng.normal(p[0], p[2], size=4) ** 2)
        + np.sum(rng.uniform(p[1], high=p[2], size=3) ** 3)
        + np.sum(rng.exponential(p[2], 2))
        + np.sum(np.log(rng.lognormal(p[0], p[2], size=3)) ** 2)
        + np.sum(rng.laplace(p) ** 2)
        + np.sum(np.random.normal(p[0], 1.0, size=2) ** 2)
        + np.sum(np.random.RandomState(3).gumbel(p[0], p[2], 2))
    )


def test_draws_with_a_seed_are_moved_and_scaled_by_the_parameters():
    p = np.array([0.7, -0.4, 1.3])
    assert_allclose(gradient(drawn_inside)(p), central_difference(drawn_inside, p), rtol=1e-7)
    with pytest.raises(TracingError, match="gamma"):
        gradient(lambda p: np.random.default_rng(1).gamma(p[2]))(p)


def test_what_scipy_designs_of_numbers_inside_the_cost_is_numbers():
    from scipy import signal

    def filtered(p):
        sections = signal.butter(2, 0.3, output="sos")
        b, a = signal.cheby1(2, 1.0, 0.4)
        return np.sum(signal.sosfilt(sections, p) ** 3) + np.sum(signal.lfilter(b, a, p) ** 2)

    assert_allclose(gradient(filtered)(P), central_difference(filtered, P), rtol=1e-6, atol=1e-8)


def test_a_tail_that_scipy_integrates_has_its_slopes_where_its_shapes_are_numbers():
    from scipy import stats

    def cost(p):
        return np.sum(stats.norminvgauss.cdf(np.array([0.3, 0.8]), 1.0, 0.5, loc=p[0], scale=p[2]))

    density = stats.norminvgauss.pdf(np.array([0.3, 0.8]), 1.0, 0.5, loc=P[0], scale=P[2])
    assert_allclose(
        gradient(cost)(P)[0], -np.sum(density), rtol=1e-7
    )  # of both places: SciPy pairs them with shapes


def in_compiled_code(p):
    from scipy.linalg import solve_toeplitz

    return solve_toeplitz(p + np.array([5.0, 0.0, 0.0]), P).sum()


def in_an_iterator(p):
    return sum(v**2 for v in np.nditer(p))


@pytest.mark.parametrize("cost", [in_compiled_code, in_an_iterator])
def test_compiled_code_that_takes_no_objects_is_named_with_its_line(cost):
    with pytest.raises(TracingError, match=cost.__name__) as caught:
        gradient(cost)(P)
    assert 'derivatives="numeric"' in str(caught.value)
