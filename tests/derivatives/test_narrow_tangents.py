"""Narrow tangents against JAX's own Jacobians and Hessians, and against the work of pushing every direction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.derivatives import exact
from steepest.derivatives import narrow_tangents as narrow
from steepest.derivatives.tiers import Tiered
from steepest.numerics import double_precision

T = np.linspace(0.0, 4.0, 57)
MIXING = np.random.default_rng(1).normal(size=(5, 3))
POINTS = np.random.default_rng(2).normal(size=(40, 3))


def lorentzians(x):
    height, width, place = x[0::3], x[1::3], x[2::3]
    return (height * width / ((T[:, None] - place) ** 2 + width**2)).sum(axis=1) - np.sin(T)


def gaussians_in_rows(x):
    rows = x.reshape(5, 3)
    bumps = rows[:, 0] * jnp.exp(-(((T[:, None] - rows[:, 1]) / rows[:, 2]) ** 2))
    return bumps @ np.ones(5) / (1.0 + T)


def weights_times_bumps(x):
    """Both factors of the product depend on parameters, of the same peak."""
    return jnp.exp(-((T[:, None] - x[5:10]) ** 2) * x[10:]) @ x[:5]


def hidden_layer(x):
    first, second = x[:12].reshape(4, 3), x[12:16]
    return jnp.tanh(POINTS @ first.T) @ second + x[16]


def mixed_outputs(x):
    bumps = jnp.exp(-((T[:, None] - x[:5]) ** 2) * x[5:10])
    return (bumps @ MIXING).ravel()


def distances(x):
    places = x.reshape(6, 2)
    one, other = np.triu_indices(6, 1)
    gaps = places[one] - places[other]
    return jnp.sqrt((gaps**2).sum(axis=1) + 0.1)


def shared_width(x):
    """A parameter that every peak has beside its own, and one that stands behind the sum."""
    bumps = jnp.exp(-((T[:, None] - x[:6]) ** 2) / x[6] ** 2)
    return bumps.sum(axis=1) * x[7] + jnp.cumsum(x[6] * T)


def picked_twice(x):
    """Places that name a parameter several times: their derivatives add up."""
    chosen = x[np.array([0, 2, 2, 1, 5, 0])]
    return (chosen * jnp.cos(T[:, None] * x[:6])).sum(axis=1)


def joined_and_padded(x):
    whole = jnp.concatenate([x[3:6], x[0:3] ** 2, jnp.zeros(1)])
    kept = jnp.where(T[:, None] > 1.0, whole * T[:, None], jnp.maximum(whole, 0.3))
    return jnp.pad(kept[:, ::-1], ((0, 0), (1, 0))).sum(axis=1)


def squared_product(x):
    """The same variable on both sides of a product of matrices."""
    bumps = jnp.sin(T[:9, None] * x[:4])
    return (bumps @ bumps.T).ravel()


def in_single_precision(x):
    """Tangents of the precision of what they belong to, some parameters of which have none."""
    narrow = x[:5].astype(np.float32)
    return (jnp.sin(narrow * T[:9, None].astype(np.float32)).sum(axis=1)).astype(np.float64) + x[5]


def summed_more_exactly(x):
    """Products of single precision, added in double."""
    factors = x.astype(np.float32) * T[:9, None].astype(np.float32)
    ones = np.ones((6, 2), np.float32)
    return jax.lax.dot(factors, ones, preferred_element_type=np.float64).ravel()


COSTS = [
    (lorentzians, 15),
    (gaussians_in_rows, 15),
    (weights_times_bumps, 15),
    (hidden_layer, 17),
    (mixed_outputs, 10),
    (distances, 12),
    (shared_width, 8),
    (picked_twice, 6),
    (joined_and_padded, 6),
    (squared_product, 4),
    (in_single_precision, 6),
    (summed_more_exactly, 6),
]


def traced(function, n):
    with double_precision():
        return exact.traced(function, jax.ShapeDtypeStruct((n,), np.float64), keep_derivatives=True)


def start(n):
    return np.random.default_rng(n).uniform(0.5, 1.5, n)


@pytest.mark.parametrize(("function", "n"), COSTS, ids=[function.__name__ for function, _ in COSTS])
def test_the_jacobian_is_that_of_jax_whatever_the_work(monkeypatch, function, n):
    monkeypatch.setattr(narrow, "WORTH", 1e-9)
    closed = traced(function, n)
    program = exact.traced(
        lambda x: narrow.values_and_changes(closed, [x])[1][0], jax.ShapeDtypeStruct((n,), np.float64)
    )
    with double_precision():
        expected = np.asarray(jax.jit(jax.jacfwd(function))(start(n)))
    (changes,) = Tiered(program)(start(n))
    np.testing.assert_allclose(changes.T, expected.reshape(-1, n), rtol=1e-12, atol=1e-13)


def peaks(count, points=400):
    t = np.linspace(0.0, 10.0, points)[:, None]
    data = np.cos(t[:, 0])

    def residual(x):
        return (x[0::3] * jnp.exp(-((t - x[1::3]) ** 2) / x[2::3] ** 2)).sum(axis=1) - data

    return residual


def both(residual, n):
    """`x ↦ (rᵀr, r)`, as the structure of a cost gives it."""
    return traced(lambda x: ((residual(x) ** 2).sum(), residual(x)), n)


def test_many_peaks_are_linearised_and_bent_as_by_jax():
    n = 60
    residual = peaks(n // 3)
    squares = both(residual, n)
    linear, hessian = (
        exact.linearised(squares),
        exact.hessian_at_necks(traced(lambda x: (residual(x) ** 2).sum(), n)),
    )
    compiled = Tiered(hessian)
    compiled.compile()
    x = start(n)
    x[1::3] *= 5.0
    value, r, jacobian = Tiered(linear)(x)
    (H,), (same,) = Tiered(hessian)(x), compiled(x)
    with double_precision():
        slopes = np.asarray(jax.jit(jax.jacfwd(residual))(x))
        expected = np.asarray(jax.jit(jax.hessian(lambda x: (residual(x) ** 2).sum()))(x))
    np.testing.assert_allclose(jacobian, slopes, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(H, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())
    np.testing.assert_array_equal(H, H.T)
    np.testing.assert_allclose(same, H, rtol=1e-11, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(value, r @ r, rtol=1e-13)


def poisson(counts):
    """No sum of squares: the slope of each element depends on its own value, and on a background behind the sum."""
    t = np.linspace(0.0, 10.0, 300)[:, None]

    def cost(x):
        expected = (jnp.exp(x[0:20]) * jnp.exp(-((t - x[20:40]) ** 2) / x[40:60] ** 2)).sum(axis=1) + x[
            60
        ] ** 2
        return (expected - counts * jnp.log(expected)).sum() + 0.1 * (x[:20] ** 2).sum()

    return cost


def two_sums(x):
    """Parameters meet in two arrays, one of which is made of another kind of them."""
    t = np.linspace(0.0, 3.0, 300)
    one = jnp.sin(t[:, None] * x[:30]).sum(axis=1)
    other = jnp.exp(-t[:, None] * x[30:60] ** 2) @ x[:30]
    return (one**2 * other).sum() + jnp.log(1.0 + other**2).sum()


@pytest.mark.parametrize(
    ("cost", "n"), [(poisson(np.arange(300) % 7), 61), (two_sums, 60)], ids=["poisson", "two sums"]
)
def test_other_costs_of_many_terms_are_bent_as_by_jax(cost, n):
    hessian = exact.hessian_at_necks(traced(cost, n))
    (H,) = Tiered(hessian)(start(n))
    with double_precision():
        expected = np.asarray(jax.jit(jax.hessian(cost))(start(n)))
    np.testing.assert_allclose(H, expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())
    plain = exact.hessian(traced(cost, n))
    assert numbers_in(hessian) < 0.3 * numbers_in(plain)


def numbers_in(program):
    """Numbers that a program computes or moves."""
    return sum(np.prod(v.aval.shape, dtype=float) for e in program.jaxpr.eqns for v in e.outvars)


def test_the_work_of_many_peaks_grows_with_their_number_not_with_its_square():
    """Three times the peaks: three times the program of the cost, three times the Jacobian's numbers, no more."""
    few, many = (numbers_in(exact.linearised(both(peaks(k), 3 * k))) for k in (20, 60))
    assert many < 3.5 * few
    assert many < 60 * numbers_in(both(peaks(60), 180))


def test_parameters_that_meet_everywhere_are_pushed_at_once():
    """A full matrix before the first bending: every element depends on every parameter."""
    A = np.random.default_rng(3).normal(size=(300, 200))
    closed = traced(lambda x: jnp.sin(A @ x), 200)
    with pytest.raises(narrow.TooWide):
        exact.traced(
            lambda x: narrow.values_and_changes(closed, [x])[1][0], jax.ShapeDtypeStruct((200,), np.float64)
        )


def test_a_small_program_is_not_traced_twice():
    assert not narrow.is_worth_a_look(both(peaks(3, 50), 9))
    assert narrow.is_worth_a_look(both(peaks(20), 60))


def test_parameters_that_meet_in_pairs_of_their_own_have_no_neck():
    """The sum over pairs joins parameters along both axes: nothing narrow is left, and no exception either."""
    A = np.random.default_rng(4).normal(size=(40, 40, 40))
    closed = traced(lambda x: (jnp.tanh(A * x[:1600].reshape(40, 40)).sum(axis=2) ** 2).sum(), 1600)
    assert exact.hessian_at_necks(closed) is None


def test_a_long_program_of_single_numbers_is_not_traced_twice():
    def cost(x):
        total = x[0]
        for _ in range(300):
            total = jnp.sin(total) * x[1]
        return total + (x**2).sum()

    assert not narrow.is_worth_a_look(traced(cost, 1000))


@jax.custom_vjp
def only_pulled_back(x):
    return jnp.sin(x)


only_pulled_back.defvjp(lambda x: (jnp.sin(x), x), lambda x, u: (u * jnp.cos(x),))


def waves(x):
    """Damped waves of many frequencies, made of complex numbers as spectroscopists write them."""
    t = np.linspace(0.0, 1.0, 50)[:, None]
    return jnp.abs((x[:50] * jnp.exp(1j * t * x[50:100])).sum(axis=1))


def test_parameters_behind_complex_numbers_keep_their_slopes():
    n, x = 400, start(400)
    closed = traced(waves, n)
    assert narrow.is_worth_a_look(closed)
    with double_precision():
        expected = np.asarray(jax.jit(jax.jacrev(waves))(x))
    np.testing.assert_allclose(Tiered(exact.jacobian(closed))(x)[0], expected, rtol=1e-11, atol=1e-12)


def inside_a_loop(x):
    return jax.lax.scan(lambda c, a: (c, only_pulled_back(a * x)), 0.0, np.linspace(0.0, 1.0, 5))[1].sum(
        axis=1
    )


@pytest.mark.parametrize("residual", [lambda x: only_pulled_back(x * T[:5, None]).sum(axis=1), inside_a_loop])
def test_functions_with_a_rule_for_the_way_back_alone_go_that_way(monkeypatch, residual):
    n, x = 40, start(40)
    monkeypatch.setattr(narrow, "LEAST_WORK", 0)
    monkeypatch.setattr(narrow, "LEAST_EACH", 0)
    closed = traced(residual, n)
    assert exact.hessian_at_necks(traced(lambda x: (residual(x) ** 2).sum(), n)) is None
    with double_precision():
        expected = np.asarray(jax.jit(jax.jacrev(residual))(x))
    np.testing.assert_allclose(Tiered(exact.jacobian(closed))(x)[0], expected, rtol=1e-12, atol=1e-13)


def test_what_a_neck_gives_besides_is_read_after_it(monkeypatch):
    """Numbers are sorted together with where they stood, which picks others afterwards."""
    monkeypatch.setattr(narrow, "LEAST_WORK", 0)
    monkeypatch.setattr(narrow, "LEAST_EACH", 0)
    monkeypatch.setattr(narrow, "WORTH", 1e-9)

    def cost(x):
        ordered, places = jax.lax.sort((jnp.sin(x), jnp.arange(12)), num_keys=1)
        sums = (x * T[:9, None]).sum(axis=1)
        return (ordered**2 * places).sum() + x[places[3]] ** 3 + (sums**4).sum()

    x = np.random.default_rng(6).permutation(12) / 9.0
    hessian = exact.hessian_at_necks(traced(cost, 12))
    with double_precision():
        expected = np.asarray(jax.jit(jax.hessian(cost))(x))
    np.testing.assert_allclose(Tiered(hessian)(x)[0], expected, rtol=1e-11, atol=1e-10)
