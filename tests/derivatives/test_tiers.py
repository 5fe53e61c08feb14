"""Both tiers give the same numbers, and the move between them comes when it pays."""

import time

import jax
import jax.numpy as jnp
import jax.scipy as jsp
import numpy as np
import pytest
from jax import lax
from numpy.testing import assert_allclose, assert_array_equal

from steepest.derivatives import exact, tiers
from steepest.derivatives.compiled import compile_jaxpr
from steepest.derivatives.costs import foresee
from steepest.derivatives.tiers import Tiered
from steepest.errors import InputError
from steepest.numerics import Quiet


def traced(function, shape=(3,)):
    with jax.enable_x64(True):
        return jax.make_jaxpr(function)(jax.ShapeDtypeStruct(shape, np.float64))


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


data = np.random.default_rng(0).normal(size=(40, 3))
COSTS = {
    "rosenbrock": (rosenbrock, (10,)),
    "logistic": (lambda w: jnp.sum(jnp.log1p(jnp.exp(-data @ w))), (3,)),
    "scalars": (
        lambda p: sum(jnp.exp(-p[0] * t) * p[1] + jnp.sin(p[2] * t) for t in np.linspace(0, 1, 5)),
        (3,),
    ),
    "solve": (lambda x: x @ jnp.linalg.solve(data[:3] + jnp.diag(x**2 + 5), x), (3,)),
    "loop": (lambda x: jnp.sum(lax.fori_loop(0, 4, lambda i, a: jnp.sin(a) + x, x)), (3,)),
}


@pytest.mark.parametrize("kind", ["value_and_gradient", "hessian"])
@pytest.mark.parametrize("name", COSTS)
def test_both_tiers_agree_to_rounding(name, kind):
    function, shape = COSTS[name]
    tiered = Tiered(getattr(exact, kind)(traced(function, shape)))
    x = np.random.default_rng(1).uniform(0.2, 1.2, shape)
    interpreted = tiered(x)
    assert tiered.tier == "interpreted"
    tiered.compile()
    compiled = tiered(x)
    assert tiered.tier == "compiled"
    for a, b in zip(interpreted, compiled, strict=True):
        assert type(a) is type(b) and a.dtype == b.dtype == np.float64
        assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_a_small_cost_is_never_compiled():
    tiered = Tiered(exact.value_and_gradient(traced(rosenbrock, (2,))))
    for _ in range(3000):
        tiered(np.ones(2))
    assert tiered.tier == "interpreted"
    assert tiered.timing.interpreted_calls == 3000
    assert tiered.timing.compiling == 0.0


def test_a_cost_called_often_is_compiled_when_rent_reaches_the_price(monkeypatch):
    monkeypatch.setattr(tiers, "BADLY_WRONG", np.inf)  # a machine that stalls must not decide this

    def long_chain(x):
        for _ in range(200):
            x = x * 1.01 + 0.1
        return jnp.sum(x)

    tiered = Tiered(traced(long_chain, (5000,)))
    expected = int(np.ceil(tiered.foreseen.compiling / tiered.foreseen.wasted))
    calls = 0
    while tiered.tier == "interpreted":
        tiered(np.ones(5000))
        calls += 1
        assert calls < 10_000
    assert abs(calls - expected) <= 1
    assert tiered.timing.compiling > 0
    assert tiered.timing.compiled_calls == 1


def test_calls_that_no_clock_watches_count_as_much_and_give_the_same(monkeypatch):
    monkeypatch.setattr(tiers, "BADLY_WRONG", np.inf)

    def chain(x):
        for _ in range(200):
            x = x * 1.01 + 0.1
        return jnp.sum(x), 2.0 * x

    tiered = Tiered(traced(chain, (5000,)))
    expected = int(np.ceil(tiered.foreseen.compiling / tiered.foreseen.wasted))
    x = np.linspace(0.0, 1.0, 5000)
    with Quiet():
        first = tiered(x)
        while tiered.timing.interpreted_calls < expected - 1:
            value, doubled = tiered(x)
            assert value == first[0]
            assert not doubled.flags.writeable
        assert tiered.tier == "interpreted"
        assert tiered.timing.watched_calls < expected - 1
        assert_array_equal(doubled, first[1])
        with pytest.raises(InputError, match="shape"):
            tiered(np.ones(4))
        tiered(x)
    assert tiered.tier == "compiled"


def test_arrays_in_the_cache_buy_a_compiler_later_than_as_many_numbers_in_memory():
    """For each number; where a compiled call takes as long as it saves, none is ever bought."""

    def chain(x):
        for _ in range(30):
            x = x * 1.01 + 0.1
        return x

    small, large = (foresee(traced(chain, (n,))) for n in (10_000, 1_000_000))
    assert 0.0 < small.wasted / 10_000 < 0.5 * large.wasted / 1_000_000
    few = Tiered(traced(lambda x: jnp.sum(x * x + 0.1), (1_000,)))
    with Quiet():
        for _ in range(20_000):
            few(np.ones(1_000))
    assert few.tier == "interpreted"


def test_a_call_longer_than_compiling_is_compiled_at_once():
    def heavy(x):
        for _ in range(60):
            x = x * x + 0.1
        return jnp.sum(x)

    closed = traced(heavy, (10**7,))
    assert foresee(closed).wasted > foresee(closed).compiling
    assert Tiered(closed).tier == "compiled"


def test_what_numpy_cannot_do_is_compiled():
    closed = traced(lambda x: jnp.sum(lax.igamma_grad_a(x, x)))
    tiered = Tiered(closed)
    assert tiered.tier == "compiled"
    assert np.isfinite(tiered(np.ones(3))[0])


def test_unrolled_sums_are_foreseen_to_compile_slowly():
    def unrolled(terms):
        return foresee(traced(lambda p: sum(jnp.sin(p[0] * t) for t in range(terms)), (1,))).compiling

    assert unrolled(200) > 2 * unrolled(100) - foresee(traced(lambda x: x)).compiling


def test_a_forecast_that_is_badly_wrong_is_overruled_by_the_clock(monkeypatch):
    monkeypatch.setattr(tiers, "BADLY_WRONG", 0.0)
    tiered = Tiered(traced(lambda x: jnp.sum(x)))
    tiered.timing.interpreted, tiered.timing.interpreted_calls = 100.0, 1
    tiered(np.ones(3))
    assert tiered.tier == "interpreted"  # one call has to show that the forecast is wrong
    tiered(np.ones(3))
    assert tiered.tier == "compiled"


@pytest.mark.parametrize(
    ("compiled", "tier"),
    [
        (
            [50.0, 9.0, 30.0, 2.0, 7.0, 90.0, 5.0, 8.0],
            "compiled",
        ),  # a warm-up, and a machine that others keep busy
        ([50.0, 9.0, 30.0, 4.5, 7.0, 90.0, 5.0, 8.0], "interpreted"),
        ([5.0] * 50 + [2.0] * 2, "compiled"),  # threads that wake late; all this takes less than compiling
        ([5.01] * 300, "interpreted"),
    ],
)
def test_the_quickest_calls_decide_whether_what_was_compiled_is_kept(monkeypatch, compiled, tier):
    """A mean would hold what a call waited for: the same run would go on in either tier, with other bits in each."""
    now = 0.0

    def taking(durations, evaluate):
        def timed(*arrays):
            nonlocal now
            now += next(durations)
            return evaluate(*arrays)

        return timed

    monkeypatch.setattr(tiers, "perf_counter", lambda: now)
    monkeypatch.setattr(tiers, "BADLY_WRONG", np.inf)
    tiered = Tiered(traced(lambda x: jnp.sum(x)))
    unit = tiered.foreseen.compiling / (100.0 if len(compiled) == 8 else 1000.0)
    tiered._interpreted = taking(iter(unit * np.array([3.0, 1.0, 2.0])), tiered._interpreted)
    for _ in range(3):
        tiered(np.ones(3))
    tiered._compiled = taking(iter(unit * np.array(compiled)), tiered.compile())
    for _ in compiled:
        tiered(np.ones(3))
        if tiered.tier == "interpreted":
            break
    assert tiered.tier == tier
    assert tiered.timing.compiled_calls == min(len(compiled), 200)


def test_a_clock_too_coarse_to_tick_during_a_call_decides_nothing(monkeypatch):
    ticks = iter([0.0] * 200 + [0.1] * 200)
    tiered = Tiered(traced(lambda x: jnp.sum(x)))
    monkeypatch.setattr(tiers, "perf_counter", lambda: next(ticks))
    for _ in range(10):
        tiered(np.ones(3))
    tiered.compile()
    monkeypatch.setattr(tiers, "perf_counter", iter(0.1 * k for k in range(10_000)).__next__)
    for _ in range(300):
        tiered(np.ones(3))
    assert tiered.tier == "compiled"


def test_results_are_read_only_in_both_tiers():
    tiered = Tiered(exact.gradient(traced(rosenbrock)))
    for _ in range(2):
        (slope,) = tiered(np.ones(3))
        assert not slope.flags.writeable
        tiered.compile()


def test_the_wrong_number_of_parameters_is_refused():
    tiered = Tiered(traced(rosenbrock))
    with pytest.raises(InputError, match=r"\(3,\)"):
        tiered(np.ones(4))


def test_large_data_is_handed_over_and_not_compiled_in():
    large = np.random.default_rng(0).normal(size=(200_000, 4))
    closed = exact.value_and_gradient(traced(lambda w: jnp.sum((large @ w) ** 2), (4,)))
    value, slope = compile_jaxpr(closed)(np.ones(4))
    assert_allclose(value, np.sum((large @ np.ones(4)) ** 2), rtol=1e-12)
    assert_allclose(slope, 2 * large.T @ (large @ np.ones(4)), rtol=1e-12)


def test_compiling_leaves_the_users_precision_alone():
    before = jax.config.jax_enable_x64
    (value,) = compile_jaxpr(traced(lambda x: jnp.sum(x) / 3.0))(np.ones(3) * 0.1)
    assert value.dtype == np.float64
    assert_array_equal(jax.config.jax_enable_x64, before)


def test_what_is_compiled_alone_is_foreseen_to_take_longer_and_does():
    """The slope of picked entries against that of stretches: gathers and scatters are programs of their own to XLA."""
    n, terms = 300, 12
    rng = np.random.default_rng(0)
    picks = [rng.permutation(n)[: n - terms].astype(np.int32) for _ in range(terms)]

    def picked(x):
        return sum((k + 1.0) * (x[pick] ** 2).sum() for k, pick in enumerate(picks))

    def stretches(x):
        return sum((k + 1.0) * (x[k : n - terms + k] ** 2).sum() for k in range(terms))

    foreseen, taken = [], []
    for cost in (stretches, picked):
        jaxpr = traced(jax.grad(cost), (n,))
        foreseen.append(foresee(jaxpr).compiling)
        begin = time.process_time()
        compile_jaxpr(jaxpr)
        taken.append(time.process_time() - begin)
    assert foreseen[1] > 2.0 * foreseen[0]
    assert taken[1] > 1.5 * taken[0]


def test_the_solution_with_a_triangle_is_foreseen_to_take_as_long_as_it_has_columns():
    n = 300

    def seconds(columns):
        jaxpr = traced(
            lambda x: jsp.linalg.solve_triangular(np.eye(n), x.reshape(n, columns)), (n * columns,)
        )
        return foresee(jaxpr).compiled

    one, all_of_them = seconds(1), seconds(n)
    assert 0.3 * n < (all_of_them - one) / (seconds(2) - one) < 3.0 * n  # n² multiplications each
    assert one < 0.05 * all_of_them
