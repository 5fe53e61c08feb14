"""Degree, dead parameters, kinks and their gaps, each against what the formula says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest as st
from steepest.numerics import double_precision
from steepest.parameters import Parameters
from steepest.structure.facts import read
from steepest.tracing.passes import simplify
from steepest.tracing.trace import trace


def structure(cost, n=3):
    with double_precision():
        return read(simplify(jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((n,), np.float64))))


A = np.arange(9.0).reshape(3, 3)


@pytest.mark.parametrize(
    ("degree", "cost"),
    [
        (0, lambda x: jnp.sum(x) * 0 + 1),
        (1, lambda x: 2 * x[0] - jnp.sum(A @ x) / 3),
        (2, lambda x: x @ A @ x + x[1]),
        (2, lambda x: jnp.mean((A @ x - 1) ** 2)),
        (2, lambda x: jnp.sum(jnp.convolve(x, x))),
        (4, lambda x: 100 * (x[1] - x[0] ** 2) ** 2),
        (3, lambda x: x[0] * x[1] * x[2]),
        (np.inf, lambda x: jnp.sum(jnp.exp(x))),
        (np.inf, lambda x: x[0] / x[1]),
        (np.inf, lambda x: jnp.abs(x[0])),
        (np.inf, lambda x: x[0] ** 1.5),
        (np.inf, lambda x: x[0].astype(int) * 1.0),
        (np.inf, lambda x: jnp.where(x[0] > 0, x[1], x[2])),
    ],
)
def test_degree_is_that_of_the_polynomial(degree, cost):
    assert structure(cost).degree == degree


@pytest.mark.parametrize(
    ("dead", "stepping", "cost"),
    [
        ((), (), lambda x: jnp.sum(x)),
        ((1,), (), lambda x: x[0] ** 2 + x[2]),
        ((2,), (), lambda x: jnp.sum(x[:2] ** 2)),
        ((0,), (), lambda x: jnp.sum(x[::-1][:2])),
        ((1,), (), lambda x: jnp.sum(jnp.exp(x) * np.array([1.0, 0.0, 2.0]))),
        ((0, 2), (), lambda x: jnp.sum(x[np.array([1])])),
        ((2,), (0,), lambda x: jnp.round(x[0]) + x[1]),
        ((), (0,), lambda x: jnp.where(x[0] > 1, x[1], x[2])),
        ((0, 1, 2), (), lambda x: 0 * x[0] + 4.0),
        ((), (), lambda x: jnp.sum(jnp.stack([x[0], x[1] * x[2]]))),
    ],
)
def test_parameters_that_cannot_move_the_cost_are_found(dead, stepping, cost):
    facts = structure(cost)
    assert facts.dead == dead
    assert facts.stepping == stepping


@pytest.mark.parametrize(
    ("words", "cost"),
    [
        ([], lambda x: jnp.sum(jnp.exp(x)) + x @ x),
        ([], lambda x: jnp.logaddexp(x[0], x[1]) + jax.nn.logsumexp(x) + jnp.sum(jax.nn.softplus(x))),
        ([], lambda x: jnp.sum(jnp.sqrt(1 + x**2))),
        (["abs"], lambda x: jnp.sum(jnp.abs(x - 1))),
        (["abs"], lambda x: jnp.logaddexp(jnp.abs(x[0]), x[1])),
        (["maximum"], lambda x: jnp.where(x[0] > x[1], x[0], x[1])),
        (["maximum"], lambda x: jax.nn.relu(x[0])),
        (["max"], lambda x: jnp.max(x)),
        (["square root at zero"], lambda x: jnp.linalg.norm(x)),
        (["hypot at zero"], lambda x: jnp.hypot(x[0], x[1])),
        (["round"], lambda x: jnp.round(x[0])),
        (["floor"], lambda x: jnp.floor(x[0])),
        (["where"], lambda x: jnp.where(x[0] > 1, x[1], x[2])),
        (["maximum", "minimum"], lambda x: jnp.sum(jnp.clip(x, 0.0, 1.0))),
        (["sort"], lambda x: jnp.sort(x)[0]),
        (["conversion to integers"], lambda x: x[0].astype(int) * x[1]),
    ],
)
def test_operations_with_a_kink_are_named_and_smooth_ones_are_not(words, cost):
    kinks = structure(cost).kinks
    assert [site.word for site in kinks.sites] == words
    assert bool(kinks) is bool(words)


def test_a_gap_is_the_distance_to_the_kink():
    facts = structure(lambda x: jnp.abs(x[0] - 1) + jnp.maximum(x[1], 2 * x[2]) + jnp.max(x))
    absolute, larger, largest = facts.kinks.gaps(np.array([1.5, 3.0, 1.0]))
    assert_allclose(absolute, 0.5)
    assert_allclose(larger, 1.0)
    assert_allclose(largest, 1.5)


def test_only_kinks_at_the_point_are_near_it():
    facts = structure(lambda x: jnp.abs(x[0] - 1) + jnp.abs(x[1]))
    radius = np.full(3, 1e-6)
    assert len(facts.kinks_near(np.array([1.0, 5.0, 0.0]), radius)) == 1
    assert len(facts.kinks_near(np.array([1.0, 1e-8, 0.0]), radius)) == 2
    assert facts.kinks_near(np.array([0.5, 0.5, 0.0]), radius) == []


@pytest.mark.parametrize(
    "cost",
    [
        lambda x: np.sum(np.linalg.solve(4.0 * np.eye(3) + np.outer(x, x), np.ones(3))),
        lambda x: np.sum(np.linalg.inv(4.0 * np.eye(3) + np.outer(x, x)) @ x),
        lambda x: np.linalg.det(4.0 * np.eye(3) + np.outer(x, x)),
        lambda x: np.linalg.slogdet(4.0 * np.eye(3) + np.outer(x, x))[1],
        lambda x: np.linalg.solve(np.roll(np.eye(3), 1, 0) + 0.1 * np.outer(x, x), x)[
            0
        ],  # rows change places
    ],
)
def test_the_order_in_which_rows_are_eliminated_is_no_kink(cost):
    facts = read(trace(cost, Parameters.of(np.ones(3))).jaxpr)
    assert facts.kinks_near(np.array([0.7, 0.2, 0.3]), np.full(3, 1e-6)) == []


@pytest.mark.parametrize(
    ("at", "cost"),
    [
        (0.25, lambda x: jnp.where(jnp.sum(x > 0.25) == 2, x[0], x[1])),
        (2.0, lambda x: jnp.where(jnp.floor(x[0]).astype(int) == 2, x[0], x[1])),
        (0.7, lambda x: jnp.where(jnp.argmax(x) == 0, x[1], x[2])),
    ],
)
def test_what_is_decided_by_a_whole_number_jumps_where_that_does_and_nowhere_else(at, cost):
    facts, radius = structure(cost), np.full(3, 1e-6)
    jump, beside = np.array([at, 0.7, 0.3]), np.array([at + 0.02, 0.7, 0.3])
    with double_precision():
        values = [float(cost(jnp.asarray(jump + side * np.array([1e-9, 0.0, 0.0])))) for side in (1.0, -1.0)]
    assert abs(values[0] - values[1]) > 0.1
    assert all(site.jumps for site in facts.kinks.sites)
    assert facts.kinks_near(jump, radius)
    assert facts.kinks_near(beside, radius) == []


def test_the_line_of_a_kink_is_the_users():
    facts = structure(lambda x: jnp.abs(x[0] - 1))
    assert "jnp.abs(x[0] - 1)" in str(facts.kinks.sites[0])


def test_a_loop_is_not_claimed_smooth():
    def cost(x):
        return jax.lax.fori_loop(0, 3, lambda i, total: total + jnp.abs(x[0]) * i, 0.0)

    assert structure(cost).kinks.opaque
    assert not structure(cost).convexity.is_convex


def test_the_facts_are_told_in_sentences():
    told = " ".join(structure(lambda x: jnp.sum(x[:2] ** 2)).because)
    assert "quadratic" in told
    assert "1 of 3 parameters" in told


def test_a_sum_of_squares_written_out_is_read_as_convex_and_smooth():
    with double_precision():
        jaxpr = jax.make_jaxpr(lambda x: sum((x[i] - i) ** 2 for i in range(8)))(
            jax.ShapeDtypeStruct((8,), np.float64)
        )
    facts = read(simplify(jaxpr))
    assert facts.convexity.is_convex
    assert not facts.kinks
    assert facts.dead == ()


def test_the_facts_are_told_in_sentences_with_their_lines():
    data, y = np.arange(12.0).reshape(4, 3), np.ones(4)

    def cost(x):
        fit = jnp.sum((data @ x - y) ** 2)
        return fit + 0.1 * x @ x

    told = " ".join(structure(cost).because)
    assert "The cost is quadratic." in told
    assert "a sum of 7 squares of linear residuals" in told and "jnp.sum((data @ x - y) ** 2)" in told
    assert "a sum over 4 examples" in told
    assert "falls apart into 3 sums" in " ".join(structure(lambda x: jnp.sum(jnp.cos(x))).because)
    robust = structure(lambda x: jnp.sum(jnp.log1p((jnp.exp(data[:, 0] * x[0]) - y) ** 2)))
    assert "a sum of 4 losses of residuals" in " ".join(robust.because)


@pytest.mark.parametrize(
    "cost",
    [
        lambda x: jnp.real((x[0] + 1j * x[1]) ** 2),  # x₀² - x₁²
        lambda x: jnp.real(jnp.exp(1j * x[0])),  # cos x₀
        lambda x: jnp.real(jnp.cosh(x[0] + 1j * x[1])),  # cosh x₀ cos x₁
        lambda x: -jnp.abs(jnp.sin(1j * x[2])),  # -|sinh x₂|
    ],
)
def test_what_holds_of_real_numbers_is_no_floor_under_complex_ones(cost):
    lowest = structure(cost).lowest
    points = np.random.default_rng(0).normal(size=(50, 3)) * 5
    with double_precision():
        assert lowest <= jax.vmap(cost)(points).min()


def test_what_is_sorted_along_with_other_numbers_has_a_floor_too():
    def cost(x):
        return jnp.sum(jnp.abs(x[jnp.argsort(x)] - jnp.arange(3)))

    assert structure(cost).lowest == 0.0
    found = st.minimize(cost, np.array([3.0, 1.0, 2.0]))
    assert_allclose(np.sort(found.x), [0.0, 1.0, 2.0], atol=1e-9)
