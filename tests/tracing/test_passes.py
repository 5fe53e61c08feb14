"""Passes over jaxprs: the same values from fewer equations."""

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import lax
from numpy.testing import assert_allclose, assert_array_equal

from steepest.tracing import passes
from steepest.tracing.primitives import evaluate
from steepest.tracing.rewriting import FOLDED_BYTES

data = np.random.default_rng(1).normal(size=(5, 3))
x = np.array([0.3, -1.2, 2.0])


def traced(function, *shapes):
    with jax.enable_x64(True):
        return jax.make_jaxpr(function)(*[jax.ShapeDtypeStruct(s, np.float64) for s in shapes or [(3,)]])


def names(closed):
    return [equation.primitive.name for equation in closed.jaxpr.eqns]


def same(before, after, *arguments):
    for a, b in zip(evaluate(before, *arguments), evaluate(after, *arguments), strict=True):
        assert_array_equal(a, b)
        assert np.asarray(a).dtype == np.asarray(b).dtype


@jax.custom_jvp
def doubled(a):
    return 2 * a


@doubled.defjvp
def _(primals, tangents):
    # On purpose not the derivative of the value, so that it shows which of the two is used.
    return doubled(primals[0]), 7 * tangents[0]


def test_calls_are_replaced_by_what_they_call():
    closed = traced(lambda a: jax.jit(lambda a: jax.nn.softplus(jnp.where(a > 0, a, doubled(a))) @ data.T)(a))
    flat = passes.inline(closed)
    assert not {"jit", "custom_jvp_call"} & set(names(flat))
    same(closed, flat, x)


def test_a_choice_that_every_platform_makes_alike_is_made_at_once():
    """The diagonal of a matrix asks where it runs; a choice between processor and accelerator stays one."""
    before = traced(lambda a: jnp.log(jnp.diagonal(jnp.outer(a, a) + jnp.eye(3))).sum())
    after = passes.simplify(before)
    assert "cond" not in names(after) and "platform_index" not in names(after)
    with jax.enable_x64(True):
        (value,) = evaluate(after, x)
    assert_allclose(value, np.log(x**2 + 1).sum(), rtol=1e-14)
    chosen = traced(lambda a: lax.platform_dependent(a, cpu=lambda b: b + 1.0, default=lambda b: b - 1.0))
    assert "cond" in names(passes.simplify(chosen))


def test_a_derivative_rule_survives_when_asked_for():
    closed = traced(lambda a: jax.jit(doubled)(a).sum())
    kept = passes.simplify(closed, keep_derivatives=True)
    assert names(kept) == ["custom_jvp_call", "reduce_sum"]
    with jax.enable_x64(True):
        slope = jax.grad(lambda a: jex.jaxpr_as_fun(kept)(a)[0])(x)
    assert_array_equal(slope, [7.0, 7.0, 7.0])


def test_a_stopped_gradient_stays_stopped_when_asked_for():
    closed = traced(lambda a: (lax.stop_gradient(a) * a).sum())
    assert "stop_gradient" in names(passes.simplify(closed, keep_derivatives=True))
    assert "stop_gradient" not in names(passes.simplify(closed))


def test_a_rematerialised_derivative_is_still_computed_twice():
    closed = traced(jax.grad(lambda a: jax.checkpoint(lambda a: jnp.sin(jnp.sin(a)))(a).sum()))
    simple = passes.simplify(closed)
    assert "remat2" in names(simple)
    same(closed, simple, x)


def test_what_depends_on_constants_alone_is_computed_once():
    closed = traced(lambda a: (jnp.sin(data) @ np.ones(3)).sum() * a + jnp.arange(3.0))
    simple = passes.simplify(closed)
    assert sorted(names(simple)) == ["add", "mul"]
    assert_allclose(
        evaluate(simple, x)[0], (np.sin(data) @ np.ones(3)).sum() * x + np.arange(3.0), rtol=1e-15
    )


def test_a_constant_is_not_blown_up_by_folding():
    closed = traced(lambda a: a[0] + jnp.sum(jnp.broadcast_to(data[0], (10_000, 3)), axis=0))
    folded = passes.fold_constants(closed)
    assert max(np.asarray(c).nbytes for c in folded.consts) <= FOLDED_BYTES


def test_what_is_computed_from_numbers_spread_over_arrays_is_computed_once():
    """A matrix that is filled by index or put together of diagonals is a constant, whatever makes it."""
    wanted = np.diag([2.0, 2.0, 2.0]) - np.eye(3, k=1)
    wanted[2, 0] = 0.5

    def residuals(a):
        B = jnp.diag(2.0 * jnp.ones(3)) + jnp.diag(-jnp.ones(2), 1)
        B = B.at[2, 0].set(0.5)
        return jnp.outer(a, a) - B @ B

    simple = passes.simplify(traced(residuals))
    assert set(names(simple)) <= {"broadcast_in_dim", "reshape", "mul", "sub", "transpose", "squeeze"}
    assert_allclose(evaluate(simple, x)[0], np.outer(x, x) - wanted @ wanted, rtol=1e-15)


def test_a_number_spread_over_an_array_stays_a_number():
    """Moved or not; and what is made of it is kept only where it is small."""
    closed = traced(lambda a: a[0] * jnp.pad(jnp.full((4, 30_000), 2.0).T.reshape(400, -1), 1).sum())
    folded = passes.fold_constants(passes.inline(closed))
    assert all(np.asarray(c).nbytes <= FOLDED_BYTES for c in folded.consts)
    assert "pad" in names(folded)
    assert_allclose(evaluate(folded, x)[0], 240_000.0 * x[0])
    uniform = passes.simplify(
        traced(lambda a: a[:2, None] * jnp.broadcast_to(jnp.full(2, 1.0)[:, None], (2, 2)))
    )
    assert not uniform.consts


@pytest.mark.parametrize("number", [np.nan, 1e30, -np.inf, -2.7])
def test_a_spread_number_becomes_an_integer_as_jax_makes_it(number):
    """NaN is nought and what is too large the largest, not what NumPy's processor makes of them."""

    closed = traced(lambda a: a[0] + jnp.full(3, number).astype(jnp.int32).sum())
    with jax.enable_x64(True):
        wanted = jex.jaxpr_as_fun(closed)(x)[0]
    assert_array_equal(evaluate(passes.simplify(closed), x)[0], wanted)


def test_the_same_expression_is_computed_once():
    closed = traced(lambda a: jnp.sin(a[1:]) * jnp.sin(a[1:]) + jnp.sin(a[:-1]))
    assert names(passes.common_subexpressions(closed)).count("sin") == 2
    same(closed, passes.simplify(closed), x)


def test_an_array_read_twice_is_one_constant_and_its_views_are_others():
    """Small ones by their elements, so that equal arrays made twice are one; large ones by where they lie."""
    for n in (6, 40_000):
        data = np.arange(float(n))
        half = n // 2

        def cost(a, data=data, half=half):
            first, second = a[0] * data[:half], a[0] * data[:half]
            others = a[1] * data[: 2 * half : 2], a[1] * data[half - 1 :: -1], a[1] * data[half:]
            return first @ second + sum(jnp.sum(other**3) for other in others)

        closed = traced(cost)
        short = passes.simplify(closed)
        assert len(short.consts) == 4
        assert names(short).count("dot_general") == 1
        assert (
            len(
                {id(atom) for e in short.jaxpr.eqns if e.primitive.name == "dot_general" for atom in e.invars}
            )
            == 1
        )
        same(closed, short, x)


def test_zeros_of_either_sign_are_not_one_expression():
    closed = traced(lambda a: (a * 0.0, a * -0.0))
    simple = passes.simplify(closed)
    assert [np.signbit(v).all() for v in evaluate(simple, np.ones(3))] == [False, True]


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda a: a * 1.0, []),
        (lambda a: 1.0 * a, []),
        (lambda a: np.ones(3) * a, None),
        (lambda a: jnp.ones(3) * a, []),
        (lambda a: a / 1.0, []),
        (lambda a: a - 0.0, []),
        (lambda a: a + 0.0, ["add"]),
        (lambda a: jnp.exp(a) + 0.0, ["exp"]),
        (lambda a: lax.neg(lax.neg(a)), []),
        (lambda a: a.T.T.reshape(3)[:], []),
        (lambda a: a.astype(np.float64), []),
        (lambda a: jnp.where(True, a, 2 * a), []),
        (lambda a: lax.pad(a, 0.0, ((0, 0, 0),)), []),
        (lambda a: a * (jnp.full(3, 2.0) * 3.0), ["mul"]),
        (lambda a: jnp.sin(a) * jnp.cos(np.full(3, 0.0)), ["sin", "mul"]),
        (lambda a: lax.integer_pow(a, 1), []),
        (lambda a: jnp.outer(a, a).T.T, None),
    ],
)
def test_operations_that_change_nothing_are_dropped(function, left):
    closed = traced(function)
    simple = passes.simplify(closed)
    assert left is None or names(simple) == left
    same(closed, simple, np.array([-0.0, 1.5, -2.0]))


@pytest.mark.parametrize(
    "function",
    [
        lambda a: jnp.ravel(a, order="F"),
        lambda a: lax.reshape(a, (6, 4), dimensions=(1, 2, 0)),
        lambda a: lax.reshape(a, (3, 4, 2), dimensions=(1, 2, 0)),
        jax.grad(lambda a: (jnp.prod(a, axis=1) ** 2).sum()),
    ],
    ids=["order F", "three axes", "turned alone", "slope of a product"],
)
def test_a_reshape_in_another_order_is_a_transpose_and_a_plain_one(function):
    before = traced(function, (2, 3, 4))
    after = passes.simplify(before)
    reshapes = [e for e in after.jaxpr.eqns if e.primitive.name == "reshape"]
    assert all(equation.params["dimensions"] is None for equation in reshapes)
    a = np.random.default_rng(2).normal(size=(2, 3, 4))
    same(before, after, a)
    with jax.enable_x64(True):
        assert_allclose(evaluate(after, a)[0], function(a), rtol=1e-13)


def test_adding_zero_keeps_the_sign_of_zero():
    closed = traced(lambda a: a + 0.0)
    assert not np.signbit(evaluate(passes.simplify(closed), np.array([-0.0] * 3))[0]).any()


def test_what_nobody_reads_is_left_out():
    def function(a):
        jnp.sin(a) @ data.T
        return a * 2

    simple = passes.eliminate_dead(traced(function))
    assert names(simple) == ["mul"]
    assert not simple.consts


def test_source_lines_stay_on_equations():
    closed = traced(
        jax.value_and_grad(lambda a: jax.jit(lambda a: jnp.sin(a) * 1.0 + jnp.cos(a) ** 2)(a).sum())
    )
    simple = passes.simplify(closed)
    for equation in simple.jaxpr.eqns:
        if equation.primitive.name in ("sin", "cos"):
            frames = [frame.file_name for frame in equation.source_info.traceback.frames]
            assert any(name.endswith("test_passes.py") for name in frames)


def test_the_result_is_a_valid_jaxpr_that_still_compiles_and_differentiates():
    def cost(a):
        r = data @ jnp.where(a > 0, a, jnp.exp(a)) - jnp.ones(5) * 0.5
        return jnp.sum(r**2) / 2.0 + jnp.linalg.norm(a)

    closed = traced(jax.value_and_grad(cost))
    simple = passes.simplify(closed)
    jex.jaxpr_as_fun(simple)
    with jax.enable_x64(True):
        before = jax.jit(jex.jaxpr_as_fun(closed))(x)
        after = jax.jit(jex.jaxpr_as_fun(simple))(x)
        curvature = jax.jacfwd(lambda a: jex.jaxpr_as_fun(simple)(a)[1])(x)
        assert_allclose(curvature, jax.hessian(cost)(x), rtol=1e-12)
    for a, b in zip(before, after, strict=True):
        assert_allclose(a, b, rtol=1e-14)


STEPS = [
    jnp.sin,
    lambda a: a * 1.0,
    lambda a: a + 0.0,
    lambda a: -a,
    lambda a: a * jnp.ones(3),
    lambda a: jnp.where(a > 0, a, 1.0),
    lambda a: a[::-1],
    lambda a: a - a,
    lambda a: a + jnp.sum(a),
    lambda a: jnp.broadcast_to(a[0], (3,)),
    lambda a: jax.nn.softplus(a),
    lambda a: jnp.cumsum(a) * (jnp.arange(3.0) + 1.0),
    lambda a: a @ jnp.eye(3),
]


@given(st.lists(st.integers(0, len(STEPS) - 1), min_size=1, max_size=8))
def test_random_programs_keep_their_values_and_never_grow(plan):
    def function(a):
        for step in plan:
            a = STEPS[step](a)
        return a

    for closed in (traced(function), traced(jax.grad(lambda a: function(a).sum()))):
        simple = passes.simplify(closed)
        assert len(simple.jaxpr.eqns) <= len(passes.inline(closed).jaxpr.eqns)
        for a, b in zip(evaluate(closed, x), evaluate(simple, x), strict=True):
            # Sums of derivatives may drop terms that are zero.
            assert_allclose(a, b, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    "pick",
    [
        lambda z: z[np.arange(1, 6)],
        lambda z: z[np.arange(0, 7, 3)],
        lambda z: z[np.array([[4]])[0]],
        lambda z: z[np.arange(7)],
        lambda z: z.reshape(7, 1)[np.arange(2, 7, 2)],
        lambda z: jnp.outer(z, z)[:, np.arange(1, 7, 2)],
        lambda z: z.at[np.arange(3)].get(mode="clip"),
        lambda z: z.at[np.array([5, 6, 9])].get(mode="clip") + z[:3],
        lambda z: jnp.where(np.arange(3) < 2, z.at[np.array([5, 6, 7])].get(mode="fill"), 0.0),
        lambda z: z[np.array([4, 3, 2])],
        lambda z: z[np.array([0, 1, 3])],
        lambda z: z[np.array([2, 2, 2])],
    ],
)
def test_picks_at_places_known_before_keep_values_and_slopes(pick):
    """Those at even distances become slices; JAX's own evaluation and derivative are the truth for all."""
    before = traced(pick, (7,))
    after = passes.simplify(before, keep_derivatives=True)
    z = np.array([0.3, -1.2, 2.0, 0.7, 5.0, -0.1, 1.5])
    same(before, after, z)
    with jax.enable_x64(True):
        slopes = [
            jax.jacrev(lambda z, closed=closed: jex.jaxpr_as_fun(closed)(z)[0])(z)
            for closed in (before, after)
        ]
    assert_array_equal(*slopes)


def test_places_that_follow_one_another_evenly_are_a_slice_and_others_are_not():
    even = (np.arange(1, 6), np.arange(0, 7, 3), np.array([5]))
    uneven = (np.array([4, 3, 2]), np.array([0, 1, 3]), np.array([2, 2]), np.array([[0, 1], [2, 3]]))
    for places in even:
        assert names(passes.simplify(traced(lambda z, p=places: z[p], (7,)))) == ["slice"]
    for places in uneven:
        assert "gather" in names(passes.simplify(traced(lambda z, p=places: z[p], (7,))))
    outside = traced(lambda z: z.at[np.array([5, 6, 7])].get(mode="fill"), (7,))
    assert "gather" in names(passes.simplify(outside))
    across = traced(
        lambda z: lax.gather(
            z,
            np.arange(2)[:, None],
            lax.GatherDimensionNumbers(offset_dims=(0,), collapsed_slice_dims=(0,), start_index_map=(0,)),
            slice_sizes=(1, 3),
        ),
        (5, 3),
    )
    assert "gather" in names(passes.simplify(across))


def test_the_root_of_a_square_is_the_size():
    """√(z²) = |z|, also where z² overflows or vanishes; its slope at zero is one where the chain rule has none."""
    import steepest

    far = np.array([3.0, -1e200, 1e-200, 0.0])
    for cost in (lambda x: jnp.sum(jnp.sqrt(x**2)), lambda x: jnp.sum(jnp.sqrt(x * x))):
        assert evaluate(passes.simplify(traced(cost, (4,))), far)[0] == np.sum(np.abs(far))
        gradient = steepest.gradient(cost)(far)
        assert_array_equal(gradient[:3], np.sign(far[:3]))
        assert abs(gradient[3]) <= 1.0
    assert "sqrt" in names(passes.simplify(traced(lambda x: jnp.sqrt(x[0] ** 4) + jnp.sqrt(x[0] * x[1]))))
    ends = steepest.minimize(lambda x: np.sum(np.sqrt((x - np.arange(3.0)) ** 2)), np.array([0.0, 5.0, 5.0]))
    assert_array_equal(ends.x, np.arange(3.0))


NORMS = {
    "norm": lambda x: np.linalg.norm(data @ x) ** 2,
    "of each row": lambda x: np.sum(np.linalg.norm(data * x, axis=1) ** 2),
    "standard deviation": lambda x: np.square(np.std(data @ x)),
    "root mean square": lambda x: np.sqrt(np.mean((data @ x) ** 2)) ** 2,
    "times itself": lambda x: (lambda size: size * size)(np.linalg.norm(x - 1.0)),
}


@pytest.mark.parametrize("cost", NORMS.values(), ids=NORMS)
def test_the_square_of_a_norm_is_taken_without_its_root(cost):
    """The same values, and second derivatives where the norm is zero: a quadratic form."""
    from steepest import gradient, hessian
    from steepest.parameters import Parameters
    from steepest.tracing.trace import trace

    found = trace(cost, Parameters.of(np.ones(3), "x")).jaxpr
    assert not {"sqrt", "select_n"} & set(names(found))
    for place in (x, 1e3 * x, np.ones(3), np.zeros(3)):
        assert_allclose(evaluate(found, place)[0], cost(place), rtol=1e-14)
    assert_allclose(hessian(cost)(np.zeros(3)), hessian(cost)(x), rtol=1e-12, atol=1e-12)
    assert np.isfinite(gradient(cost)(np.ones(3))).all()


def test_the_square_of_a_root_stays_where_its_operand_may_be_negative():
    for cost in (lambda x: jnp.sqrt(x[0]) ** 2, lambda x: jnp.sqrt(x[0] * x[1] + x[2] ** 2) ** 2):
        assert "sqrt" in names(passes.simplify(traced(cost)))


def test_the_squared_size_of_a_complex_number_has_its_second_derivative_at_zero():
    """|z|² = Re² + Im²: its Hessian is twice the unit matrix everywhere, where that of |z| does not exist at zero."""
    import steepest

    def cost(x):
        return np.sum(np.abs(x[:2] + 1j * x[2:]) ** 2)

    for x in (np.zeros(4), np.array([0.3, -2.0, 0.0, 5.0])):
        np.testing.assert_allclose(steepest.hessian(cost)(x), 2 * np.eye(4), atol=1e-14)
    signal = np.sin(np.arange(8.0))
    found = steepest.minimize(
        lambda x: np.sum(np.abs(np.fft.rfft(x) - np.fft.rfft(signal)) ** 2), np.zeros(8)
    )
    assert found.success and (found.digits > 12).all()
    np.testing.assert_allclose(found.x, signal, atol=1e-14)
