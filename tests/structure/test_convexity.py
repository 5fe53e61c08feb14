"""Convexity: textbook cases are shown, and nothing is claimed that chords refute."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from steepest.bounds import Bounds
from steepest.numerics import double_precision
from steepest.parameters import Parameters
from steepest.structure.convexity import Kind
from steepest.structure.facts import read
from steepest.tracing.passes import simplify
from steepest.tracing.trace import trace

TURNS = np.exp(1j * np.outer([1.0, 2.0], np.arange(3.0)))
A = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.5, 0.0, 1.0]])
P = A @ A.T
Y = np.array([1.0, 0.0, 1.0])
positive = Bounds(np.zeros(3), np.full(3, np.inf))


def structure(cost, n=3, bounds=None, simplified=True):
    with double_precision():
        jaxpr = jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((n,), np.float64))
    return read(simplify(jaxpr) if simplified else jaxpr, bounds)


CONVEX = {
    "sum of squares": lambda x: jnp.sum((A @ x - 1) ** 2),
    "unrolled sum of squares": lambda x: sum((x[i] - i) ** 2 for i in range(3)),
    "product with itself": lambda x: x[0] * x[0] + jnp.dot(x, x),
    "quadratic form": lambda x: x @ P @ x + 3 * x[0],
    "quadratic form beside others": lambda x: x @ P @ x + jnp.sum(jnp.exp(x)),
    "cross terms beside others": lambda x: x[0] ** 2 + x[0] * x[1] + x[1] ** 2 + jnp.exp(x[2]),
    "least squares, ridge and lasso": lambda x: jnp.mean((A @ x) ** 2) + x @ x + jnp.sum(jnp.abs(x)),
    "log-sum-exp": lambda x: jax.nn.logsumexp(A @ x),
    "log-sum-exp along an axis": lambda x: jax.nn.logsumexp(A * x[None], axis=1).sum(),
    "log-sum-exp written out": lambda x: jnp.log(jnp.sum(jnp.exp(A @ x))),
    "logaddexp": lambda x: jnp.logaddexp(x[0], 2 * x[1]),
    "logistic loss": lambda x: jnp.mean(jnp.logaddexp(0.0, -(A @ x))),
    "logistic loss by log1p": lambda x: jnp.sum(jnp.log1p(jnp.exp(-(A @ x)))),
    "softplus": lambda x: jnp.sum(jax.nn.softplus(x)),
    "minus log sigmoid": lambda x: -jnp.sum(jax.nn.log_sigmoid(A @ x)),
    "minus log of the logistic": lambda x: -jnp.sum(jnp.log(jax.nn.sigmoid(A @ x))),
    "norm": lambda x: jnp.linalg.norm(A @ x - 1),
    "hypot": lambda x: jnp.hypot(x[0], x[1] - 1),
    "pseudo-Huber": lambda x: jnp.sum(jnp.sqrt(1 + x**2) - 1),
    "maximum": lambda x: jnp.maximum(x[0], -x[1]) + jnp.max(A @ x),
    "hinge": lambda x: jnp.sum(jax.nn.relu(1 - A @ x)),
    "minus logs": lambda x: -jnp.sum(jnp.log(1 - A @ x)),
    "entropy": lambda x: jnp.sum(x * jnp.log(x)),
    "even power": lambda x: jnp.sum((x - 1) ** 4),
    "broken power": lambda x: jnp.sum(jnp.abs(x) ** 1.5),
    "cosh": lambda x: jnp.sum(jnp.cosh(x)),
    "poisson": lambda x: jnp.sum(jnp.exp(A @ x) - np.array([1.0, 2.0, 3.0]) * (A @ x)),
    "concatenated": lambda x: jnp.sum(jnp.array([x[0], 2 * x[1], x[2] - 1]) ** 2),
    "gathered": lambda x: jnp.sum(x[np.array([0, 2])] ** 2) + x[1] ** 2,
    "larger by choice": lambda x: (lambda a, b: jnp.where(a > b, a, b))(x[0], x[1]),
    "choice that says the same at zero": lambda x: jnp.sum(jnp.where(x * x > 0, x * x, 0.0) + jnp.abs(x)),
    "choice by two strict sides": lambda x: jnp.sum(jnp.where((x > 1) | (x < -1), 2 * jnp.abs(x) - 1, x**2)),
    "linear": lambda x: 3 * x[0] - x[1],
    "absolute values after a filter": lambda x: jnp.sum(jnp.abs(jnp.fft.irfft(jnp.fft.rfft(x) * 2.0, 3) - 1)),
    "sizes of complex numbers": lambda x: jnp.sum(jnp.abs(TURNS @ x - 1j)),
    "power of a spectrum": lambda x: jnp.sum(jnp.abs(jnp.fft.fft(x)) ** 2) + jnp.sum((x - 1) ** 2),
}
CONVEX_ABOVE_ZERO = {
    "reciprocal": lambda x: jnp.sum(1 / x),
    "square over linear": lambda x: x[0] ** 2 / (x[1] + x[2]),
    "odd power": lambda x: jnp.sum(x**3),
    "posynomial": lambda x: jnp.sum(x**-2.0) + jnp.exp(x[0]) / x[1],
}
NOT_CONVEX = {
    "rosenbrock": lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2,
    "saddle": lambda x: x[0] ** 2 - x[1] ** 2,
    "indefinite form": lambda x: x @ (P - 5 * np.eye(3)) @ x,
    "saddle in unlike units": lambda x: (x[0] / 1e-6) ** 2 - (x[1] / 1e6) ** 2,
    "weak saddle": lambda x: x[0] ** 2 + x[0] * x[1] - 1e-9 * x[2] ** 2,
    "product": lambda x: x[0] * x[1],
    "cubic": lambda x: jnp.sum(x**3),
    "cubic with a float power": lambda x: jnp.sum(x**3.0),
    "reciprocal": lambda x: 1 / x[0],
    "cosine": lambda x: jnp.cos(x[0]),
    "square of a square minus one": lambda x: (x[0] ** 2 - 1) ** 2,
    "log of a square": lambda x: jnp.log(1 + x[0] ** 2),
    "norm of a curve": lambda x: jnp.sqrt(x[0] ** 4 + x[1]),
    "minimum": lambda x: jnp.minimum(x[0], x[1]),
    "rounded": lambda x: jnp.round(x[0]) ** 2,
    "whole numbers": lambda x: x[0].astype(int).astype(float) ** 2,
    "shift that does not cancel": lambda x: jnp.log(jnp.sum(jnp.exp(x - jnp.max(x)))) + 2 * jnp.max(-x),
    "whole numbers chosen": lambda x: jnp.sum(jnp.where(x > 0, x.astype(int).astype(float), 0.0)),
    "size of whole numbers": lambda x: jnp.sum(
        jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x.astype(int).astype(float))))
    ),
    "softplus in another order": lambda x: (
        jnp.arange(1, 4.0) @ (jnp.maximum((-x)[::-1], 0) + jnp.log1p(jnp.exp(-jnp.abs(x))))
    ),
    "a price for what is not zero": lambda x: jnp.sum(x * jnp.sign(x) + jnp.sign(x) * jnp.sign(x)),
    "a price above a square of zero": lambda x: jnp.sum((x - 3) ** 2 + jnp.where(x * x > 0, 10.0, 0.0)),
    "a price on both strict sides": lambda x: jnp.sum(jnp.where((x > 0) | (x < 0), x**2 + 1, 0.0)),
    "a price for a size": lambda x: jnp.sum(jnp.where(jnp.abs(x - 0.1) <= 0, 0.0, jnp.abs(x - 0.1) + 1)),
    "a price for a sign": lambda x: jnp.sum(jnp.where(x > 4, 1.0, jnp.abs(jnp.sign(x)))),
    "smaller by choice": lambda x: jnp.where(x[0] < x[1], x[0], x[1]),
    "choice": lambda x: jnp.where(x[0] > 0, x[0] ** 2, x[0]),
    "exponential fit": lambda x: jnp.sum((x[0] * jnp.exp(-x[1] * np.arange(4.0)) - 1) ** 2),
    "square root": lambda x: jnp.sum(jnp.sqrt(x)),
    "size of a square of a spectrum's": lambda x: jnp.sum(jnp.abs(jnp.fft.fft(x**2)[1:])),
    "squares of a spectrum": lambda x: jnp.sum(jnp.real(jnp.fft.fft(x) ** 2)),
    "squares of complex numbers": lambda x: jnp.sum(jnp.real((TURNS @ x) ** 2)),
    "exponential of a complex square": lambda x: jnp.real(jnp.exp(jnp.fft.fft(x)[1] ** 2)),
    "square of what turns in a loop": lambda x: jnp.real(
        jax.lax.scan(lambda ends, t: ((ends[0] + t, 1j * ends[1] + t), None), (0.0, 0j), x)[0][1] ** 2
    ),
}


@pytest.mark.parametrize("name", CONVEX)
def test_textbook_convex_costs_are_shown_to_be_convex(name):
    for simplified in (True, False):
        assert structure(CONVEX[name], simplified=simplified).convexity.is_convex


MANY = 40
FORMS = {
    "half before": lambda x, M: 0.5 * x @ (M @ x),
    "half behind": lambda x, M: x @ (M @ x) / 2,
    "vector first": lambda x, M: x @ M @ x,
    "signs and numbers": lambda x, M: (-x) @ (M @ (3 * x)) * -0.1,
    "element by element": lambda x, M: jnp.sum(x * (M @ x)) - jnp.sum(x),
    "minus a concave one": lambda x, M: -(x @ (-M @ x)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lowest", [1e-6, -1e-6])
def test_forms_of_many_parameters_are_told_by_their_matrix(form, lowest):
    axes = np.linalg.qr(np.random.default_rng(3).normal(size=(MANY, MANY)))[0]
    M = axes @ np.diag(np.r_[lowest, np.linspace(1, 2, MANY - 1)]) @ axes.T
    skew = np.triu(np.ones((MANY, MANY)), 1)
    M = M + skew - skew.T  # what is not symmetric does not count
    found = structure(lambda x: FORMS[form](x, M), n=MANY)
    assert found.convexity.is_convex == (lowest > 0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_form_with_a_matrix_that_is_not_finite_is_not_called_convex(wrong):
    M = np.eye(MANY)
    M[0, 0] = wrong
    assert not structure(lambda x: x @ (M @ x), n=MANY).convexity.is_convex


@pytest.mark.parametrize("name", CONVEX_ABOVE_ZERO)
def test_bounds_are_used_where_convexity_needs_them_and_then_mentioned(name):
    cost = CONVEX_ABOVE_ZERO[name]
    assert not structure(cost).convexity.is_convex
    inside = structure(cost, bounds=positive).convexity
    assert inside.is_convex
    assert "within the bounds" in inside.reason


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_costs_that_are_not_convex_are_never_called_so(name):
    assert not structure(NOT_CONVEX[name]).convexity.is_convex


@pytest.mark.parametrize(
    "cost",
    [
        lambda x: np.sum(np.logaddexp(x - 1, 1 - x)),
        lambda x: np.linalg.norm(x - 1),
        lambda x: np.hypot(x[0], x[1] - 1),
        lambda x: np.mean(np.logaddexp(0, -(A @ x))) + 0.1 * np.sum(x**2),
        lambda x: np.max(np.abs(x)) + np.sum(np.maximum(x, 0)),
        lambda x: np.log(np.sum(np.exp(A @ x))),
        lambda x: (
            -np.mean(Y * np.log(1 / (1 + np.exp(-A @ x))) + (1 - Y) * np.log(1 - 1 / (1 + np.exp(-A @ x))))
        ),
        lambda x: -np.sum(Y * np.log(expit(A @ x)) + (1 - Y) * np.log(1 - expit(A @ x))),
        lambda x: np.mean(np.maximum(A @ x, 0) - Y * (A @ x) + np.log1p(np.exp(-np.abs(A @ x)))),
        lambda x: np.mean(-Y * (A @ x) + np.log1p(np.exp(-np.abs(A @ x))) + np.maximum(0, A @ x)),
        lambda x: -np.sum(np.log(0.5 * (1 + np.tanh((2 * Y - 1) * (A @ x))))),
        lambda x: 0.5 * np.linalg.norm(A @ x - Y) ** 2 + np.linalg.norm(x, 1),
        lambda x: np.sum(np.where(A @ x > Y, 0.3 * (A @ x - Y), 0.7 * (Y - A @ x))),
        lambda x: np.sum(np.where(Y * (A @ x) < 1, 1 - Y * (A @ x), 0) ** 2) + 0.1 * x @ x,
        lambda x: np.sum(((A @ x - Y) * (A @ x > Y)) ** 3),
    ],
)
def test_costs_written_with_numpy_are_read_as_well(cost):
    facts = read(trace(cost, Parameters.of(np.ones(3))).jaxpr)
    assert facts.convexity.is_convex


def test_linear_and_constant_costs_have_their_own_kinds():
    assert structure(lambda x: 2 * x[0] - x[1] / 3).convexity.kind is Kind.AFFINE
    assert structure(lambda x: 3.0 + 0 * x[0]).convexity.kind is Kind.CONSTANT
    assert structure(lambda x: -jnp.sum(x**2)).convexity.kind is Kind.CONCAVE


def test_where_the_rules_end_the_users_line_is_named():
    convexity = structure(lambda x: jnp.sum(x**2) + jnp.cos(x[0])).convexity
    assert "cos" in convexity.reason
    assert "jnp.cos(x[0])" in convexity.line


UNARY = [
    jnp.exp, jnp.log, jnp.sqrt, jnp.abs, jnp.square, jnp.negative, jnp.cosh, jnp.log1p, jnp.expm1, jnp.tanh,
    jnp.reciprocal, jax.nn.softplus, jax.nn.sigmoid, jax.nn.relu, jnp.arctan, jnp.sinh,
    lambda u: u**3, lambda u: u**4, lambda u: u**1.5, lambda u: u**-1, lambda u: u**-2.0, lambda u: u**0.5,
    lambda u: u - 1.0, lambda u: -2.0 * u, lambda u: u / 3.0, lambda u: u * u, lambda u: 1.0 + u,
    lambda u: u * jnp.log(u), lambda u: jnp.clip(u, -1.0, 1.0), lambda u: 2.0**u, lambda u: 0.5**u,
    lambda u: 1.0 - jax.nn.sigmoid(u), lambda u: 1.0 - jnp.tanh(u), lambda u: jnp.tanh(u) + 1.0,
    lambda u: 1.0 / (1.0 + jnp.exp(-u)), lambda u: 1.0 - 1.0 / (1.0 + jnp.exp(-u)),
    lambda u: jnp.log1p(-jax.nn.sigmoid(u)),
    lambda u: jnp.where(u > 0.5, 0.7 * (u - 0.5), -0.3 * (u - 0.5)), lambda u: jnp.where(u < 0, 2.0 * u, 0.5 * u),
    lambda u: jnp.sqrt(u**2), lambda u: jnp.maximum(u, 0.0) - 0.3 * u + jnp.log1p(jnp.exp(-jnp.abs(u))),
    lambda u: u * (u > 0) - 0.2 * u, lambda u: jnp.where(u > 1, u - 1, 0) ** 2, lambda u: jnp.where(u > 0, u, -u) ** 3,
    lambda u: jnp.where(u > 0, -u, 0.5 * u) ** 3,
]  # fmt: skip
BINARY = [
    jnp.add, jnp.subtract, jnp.multiply, jnp.divide, jnp.maximum, jnp.minimum, jnp.logaddexp, jnp.hypot,
    lambda u, v: u**2 / v, lambda u, v: jnp.sqrt(u**2 + v**2), lambda u, v: jnp.log(jnp.exp(u) + jnp.exp(v)),
    lambda u, v: jnp.where(v > 0, u, v), lambda u, v: jnp.where(u > v, u - v, 0.5 * (v - u)),
    lambda u, v: jnp.maximum(u, 0.0) + v + jnp.log1p(jnp.exp(-jnp.abs(u))),
    lambda u, v: jnp.log1p(jnp.exp(-jnp.abs(u))) + (v - (u * v - jnp.maximum(u, 0.0))),
]  # fmt: skip


@st.composite
def compositions(draw, depth=4):
    """A random expression of two parameters, as a function."""
    kind = draw(st.integers(0, 2 if depth else 0))
    if kind == 0:
        index = draw(st.integers(0, 1))
        return lambda x: x[index]
    if kind == 1:
        function, inner = draw(st.sampled_from(UNARY)), draw(compositions(depth - 1))
        return lambda x: function(inner(x))
    function = draw(st.sampled_from(BINARY))
    left, right = draw(compositions(depth - 1)), draw(compositions(depth - 1))
    return lambda x: function(left(x), right(x))


@given(compositions(), st.booleans(), st.integers(0, 1000))
def test_whatever_is_claimed_convex_lies_below_its_chords(cost, bounded, seed):
    bounds = Bounds(np.array([0.1, 0.2]), np.array([2.0, 3.0])) if bounded else Bounds.none(2)
    facts = structure(lambda x: jnp.sum(cost(x) * jnp.ones(())), 2, bounds)
    convexity = facts.convexity
    if convexity.kind in (Kind.UNKNOWN, Kind.CONSTANT):
        return
    sign = -1.0 if convexity.kind is Kind.CONCAVE else 1.0
    generator = np.random.default_rng(seed)
    lower, upper = (bounds.lower, bounds.upper) if bounded else (-3 * np.ones(2), 3 * np.ones(2))
    a, b = generator.uniform(lower, upper, (2, 40, 2))
    with double_precision(), jax.disable_jit(False):
        values = jax.vmap(cost)
        at_a, at_b, middle = (np.asarray(values(points)) for points in (a, b, (a + b) / 2))
    number = np.isfinite(at_a) & np.isfinite(at_b)
    chord = (at_a + at_b) / 2
    slack = 1e-9 * (1 + np.abs(at_a) + np.abs(at_b))
    excess = sign * (middle - chord)
    with np.errstate(invalid="ignore"):
        # Where both ends are numbers the middle is one too: the domain of a convex function is convex.
        assert not np.isnan(middle[number]).any()
        assert (excess[number] <= slack[number]).all()


def test_the_logistic_loss_of_very_many_examples_is_convex_and_has_no_kink():
    n = 20_000
    cost = trace(lambda x: np.sum(np.logaddexp(0.0, -x)) + np.sum(x**2), Parameters.of(np.zeros(n), "x"), ())
    facts = read(cost.jaxpr)
    assert facts.convexity.is_convex
    assert not facts.kinks


PIECES = {
    "Huber": (True, lambda r: jnp.where(jnp.abs(r) <= 1.345, 0.5 * r**2, 1.345 * (jnp.abs(r) - 0.5 * 1.345))),
    "Huber by hand": (True, lambda r: jnp.where(r < -1, -2 * r - 1, jnp.where(r > 1, 2 * r - 1, r * r))),
    "quantile": (True, lambda r: jnp.where(r >= 0, 0.9 * r, -0.1 * r)),
    "clipped hinge": (True, lambda r: jnp.where(1 - r > 0, (1 - r) ** 2, 0.0)),
    "two conditions": (True, lambda r: jnp.abs(r) + jnp.where((r > 2) & (r > 1), r - 2, 0.0)),
    "dead zone": (True, lambda r: jnp.where(jnp.abs(r) < 0.5, 0.0, jnp.abs(r) - 0.5)),
    "jump": (False, lambda r: jnp.where(r > 0, r**2 + 0.1, r**2)),
    "truncated": (False, lambda r: jnp.where(jnp.abs(r) < 1, r**2, 1.0)),
    "corner the wrong way": (False, lambda r: jnp.where(r > 0, 0.5 * r, r)),
}  # fmt: skip


@pytest.mark.parametrize("name", PIECES)
def test_functions_in_pieces_are_convex_when_they_are(name):
    convex, loss = PIECES[name]
    A = np.random.default_rng(4).normal(size=(7, 3))
    found = structure(lambda x: jnp.sum(loss(A @ x - 0.3))).convexity
    assert found.is_convex is convex
    # Against the definition: the chord of two points lies above the middle, for all or not for all.
    t = np.linspace(-4, 4, 321)
    with double_precision():
        low, high, middle = (np.asarray(loss(np.asarray(s))) for s in (t[:-2], t[2:], t[1:-1]))
    assert bool((middle <= (low + high) / 2 + 1e-12).all()) is convex


def test_quadratic_forms_of_many_parameters_are_known_by_their_squares():
    rng = np.random.default_rng(0)
    B = rng.normal(size=(60, 60))
    Q = B @ B.T
    assert structure(lambda x: jnp.exp(x @ Q @ x) + x[0], 60).convexity.is_convex
    Q[0, 0] -= 2 * np.linalg.eigvalsh(Q)[-1]
    assert not structure(lambda x: jnp.exp(x @ Q @ x) + x[0], 60).convexity.is_convex


def softmax_losses():
    """Costs of a linear classifier, written as people write them, and some that only look like it."""
    rng = np.random.default_rng(0)
    x, label, row = rng.normal(size=(30, 4)), rng.integers(0, 3, 30), np.arange(30)

    def shifted(w, axis=1, power=1):
        scores = (x @ w.reshape(4, 3)) ** power
        return scores - scores.max(axis=axis, keepdims=True)

    def loss(t, row=row):
        return (jnp.log(jnp.exp(t).sum(axis=1)) - t[row, label]).mean()

    return {
        "the shift cancels": (lambda w: loss(shifted(w)), True),
        "jax.nn.log_softmax": (
            lambda w: -jax.nn.log_softmax(x @ w.reshape(4, 3))[row, label].mean(),
            True,
        ),
        "the rows do not match": (lambda w: loss(shifted(w), row[::-1]), False),
        "the shift is that of columns": (lambda w: loss(shifted(w, axis=0)), False),
        "the scores are not linear": (lambda w: loss(shifted(w, power=2)), False),
    }


@pytest.mark.parametrize("name", list(softmax_losses()))
def test_a_softmax_loss_is_convex_where_its_shift_cancels_and_its_scores_are_linear(name):
    cost, convex = softmax_losses()[name]
    with jax.enable_x64(True):
        found = structure(cost, 12)
        values = [
            float(cost(a + b) + cost(a - b) - 2 * cost(a))
            for a, b in np.random.default_rng(1).normal(size=(20, 2, 12))
        ]
    assert found.convexity.is_convex == convex
    # Whoever claims convexity must lie below every chord.
    assert not convex or min(values) > -1e-12
