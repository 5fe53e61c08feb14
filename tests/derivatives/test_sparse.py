"""Sparse Hessians and Jacobians against dense ones, and their patterns against another detector's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from numpy.testing import assert_allclose
from scipy.sparse import csc_array

from steepest.derivatives import exact
from steepest.derivatives.sparse import Sparse, hessian_plan, linearised_plan, upright
from steepest.derivatives.tiers import Tiered
from steepest.numerics import double_precision
from steepest.structure.dependence import Dense
from steepest.structure.linear_terms import linear_terms_of
from steepest.structure.reading import Reading
from steepest.structure.squares import squares_of
from steepest.tracing.passes import simplify

RNG = np.random.default_rng(5)
PICKS = RNG.integers(0, 90, size=(3, 60))


def traced(cost, n):
    with double_precision():
        return simplify(jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((n,), np.float64)), keep_derivatives=True)


def plan_of(cost, n):
    closed = traced(cost, n)
    return hessian_plan(closed, exact.gradient(closed))


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def surface(x):
    z = x.reshape(10, 9)
    return jnp.sum(jnp.sqrt(1 + (z[1:, 1:] - z[:-1, :-1]) ** 2 + (z[1:, :-1] - z[:-1, 1:]) ** 2))


HESSIANS = {
    "chain": (3, rosenbrock),
    "grid": (15, surface),
    "arrow": (2, lambda x: jnp.sum((x[0] ** 2 + x[1:] ** 2) ** 2) - 4 * jnp.sum(x)),
    "two heads": (3, lambda x: jnp.sum(jnp.exp(x[0] * x[2:] + x[1]) + x[2:] ** 4)),
    "down the columns": (7, lambda x: rosenbrock(jnp.ravel(x.reshape(10, 9), order="F"))),
    "separate": (1, lambda x: jnp.sum(jnp.sin(x)) + x[3]),
    "picked": (25, lambda x: jnp.sum(jnp.cos(x[PICKS[0]] * x[PICKS[1]] - x[PICKS[2]]))),
    "linear": (1, lambda x: jnp.sum(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", HESSIANS)
def test_a_sparse_hessian_is_the_dense_one(name):
    most, cost = HESSIANS[name]
    closed = traced(cost, 90)
    plan = plan_of(cost, 90)
    assert plan.products <= most
    dense, sparse = Tiered(exact.hessian(closed)), Sparse(plan)
    for x in RNG.normal(size=(2, 90)):
        expected = dense(x)[0]
        (found,) = sparse(x)
        assert found.format == "csc" and found.has_sorted_indices
        assert_allclose(found.toarray(), expected, rtol=1e-12, atol=1e-12 * max(1, np.abs(expected).max()))
        assert (found != found.T).nnz == 0
    assert np.isin(
        np.arange(90) * 91, plan.indices.astype(int) + 90 * np.repeat(np.arange(90), np.diff(plan.indptr))
    ).all()


def test_the_numbers_may_be_changed_and_the_structure_stays():
    evaluate = Sparse(plan_of(rosenbrock, 80))
    x = np.zeros(80)
    (first,) = evaluate(x)
    expected = first.toarray()
    first.data[:] = 0.0
    (second,) = evaluate(x)
    assert_allclose(second.toarray(), expected)
    assert second.indices is first.indices or (second.indices == first.indices).all()


@jax.custom_vjp
def cube(z):
    return z**3


cube.defvjp(lambda z: (cube(z), z), lambda z, u: (3 * z**2 * u,))

RESIDUALS = {
    "rules for the way back alone": (2, 99, lambda x: cube(x[1:]) - x[:-1] ** 2),
    "tall and banded": (4, 100, lambda x: jnp.concatenate([x[3:] * x[:-3] - x[1:-2], jnp.exp(x)])),
    "one dense row": (3, 100, lambda x: jnp.concatenate([x[1:] - x[:-1] ** 2, jnp.sum(x**3)[None]])),
    "wide": (10, 100, lambda x: jnp.sum(jnp.sin(x).reshape(4, 25), axis=1) * 1.0),
    "one dense column": (2, 100, lambda x: x[0] ** 2 * jnp.cos(x[:1]) + x**3),
}  # fmt: skip


@pytest.mark.parametrize("name", RESIDUALS)
def test_a_sparse_jacobian_is_the_dense_one(name):
    most, n, residual = RESIDUALS[name]
    squares = squares_of(Reading(traced(lambda x: jnp.sum(residual(x) ** 2), n), keep_derivatives=True))
    plan = linearised_plan(squares.both, squares.residual)
    assert plan.products <= most
    dense, sparse = Tiered(exact.linearised(squares.both)), Sparse(plan)
    for x in RNG.normal(size=(2, n)):
        value, r, jacobian = dense(x)
        found = sparse(x)
        assert_allclose(found[0], value, rtol=1e-14)
        assert_allclose(found[1], r, rtol=1e-14)
        assert_allclose(found[2].toarray(), jacobian, rtol=1e-12, atol=1e-12 * np.abs(jacobian).max())


@pytest.mark.parametrize("name", ["chain", "grid", "arrow", "picked"])
def test_another_detector_finds_the_same_pattern(name):
    import asdex

    _, cost = HESSIANS[name]
    plan = plan_of(cost, 90)
    with double_precision():
        other = asdex.hessian_sparsity(cost, np.zeros(90))
    columns = np.repeat(np.arange(90), np.diff(plan.indptr))
    ours = set(zip(plan.indices.tolist(), columns.tolist(), strict=True))
    diagonal = {(k, k) for k in range(90)}
    theirs = set(zip(np.asarray(other.rows).tolist(), np.asarray(other.cols).tolist(), strict=True))
    assert ours - diagonal == theirs - diagonal


@pytest.mark.parametrize("rank", [2, 5])
def test_products_made_a_few_at_a_time_tell_the_same_entries(rank):
    """Ratings of people by a product of factors: H = 2·JᵀJ + 2·r·∇²r, r being u·v - seen."""
    people, ratings = 40, 4_000
    one, other = np.random.default_rng(2).integers(0, people, size=(2, ratings))
    seen = RNG.normal(size=ratings)

    def cost(x):
        u, v = x.reshape(2, people, rank)
        return jnp.sum((jnp.sum(u[one] * v[other], axis=1) - seen) ** 2)

    n = 2 * people * rank
    plan = plan_of(cost, n)
    assert plan.filling.at_once < plan.products
    x = RNG.normal(size=n)
    u, v = x.reshape(2, people, rank)
    H = np.zeros((n, n))
    for i, j, value in zip(one, other, seen, strict=True):
        left, right = i * rank + np.arange(rank), (people + j) * rank + np.arange(rank)
        row = np.zeros(n)
        row[left], row[right] = v[j], u[i]
        H += 2.0 * np.outer(row, row)
        H[left, right] += 2.0 * (u[i] @ v[j] - value)
        H[right, left] += 2.0 * (u[i] @ v[j] - value)
    (found,) = Sparse(plan)(x)
    assert_allclose(found.toarray(), H, rtol=1e-11, atol=1e-10)
    compiled = Sparse(plan)
    compiled._evaluate.compile()
    assert_allclose(compiled(x)[0].toarray(), H, rtol=1e-11, atol=1e-10)


def test_full_hessians_are_refused():
    with pytest.raises(Dense):
        plan_of(lambda x: jnp.sum(x**2) ** 2, 900)


def test_a_hessian_that_takes_many_products_and_is_not_factorised_either_is_refused_uncoloured(
    monkeypatch,
):
    """Factors of a matrix, seen at one entry in seven: rows meet many columns, and elimination fills all."""
    coloured = []
    monkeypatch.setattr("steepest.derivatives.sparse.colour_symmetric", coloured.append)
    r, rank = 500, 4
    row, column = np.random.default_rng(0).integers(0, r, size=(2, 36_000))

    def cost(x):
        u, v = x.reshape(2, r, rank)
        return jnp.sum((jnp.sum(u[row] * v[column], axis=1) - 1.0) ** 2)

    with pytest.raises(Dense):
        plan_of(cost, 2 * r * rank)
    assert coloured == []


def test_loops_are_left_to_the_other_detector():
    n = 900
    plan = plan_of(lambda x: jnp.sum(lax.scan(lambda c, v: (c, c * v**3), 2.0, x)[1]), n)
    assert plan.entries == n
    x = RNG.normal(size=n)
    (found,) = Sparse(plan)(x)
    assert_allclose(found.toarray(), np.diag(12 * x), rtol=1e-13)


def test_what_slopes_show_to_be_full_is_not_left_to_the_other_detector(monkeypatch):
    """Every weight of a chain of states meets every other one; the other detector takes half a minute for it."""
    asked = []
    monkeypatch.setattr("steepest.derivatives.sparse._second_opinion", asked.append)
    seen = RNG.normal(size=(30, 40, 20))

    def cost(x):
        weights, moves = x[:600].reshape(20, 30), x[600:].reshape(30, 30)

        def onward(state, here):
            return jax.nn.logsumexp(state[:, :, None] + moves, axis=1) + here @ weights, None

        last, _ = lax.scan(onward, seen[0] @ weights, seen[1:])
        return jnp.sum(jax.nn.logsumexp(last, axis=1))

    with pytest.raises(Dense):
        plan_of(cost, 1500)
    assert asked == []


@pytest.mark.parametrize("outside", [-3.0, 0.0])
def test_slopes_that_are_no_numbers_show_nothing(outside):
    """Where they are looked at, the logarithm of what is left does not exist."""
    n = 900
    plan = plan_of(lambda x: jnp.sum(lax.scan(lambda c, v: (c, jnp.log(outside - v)), 2.0, x)[1]), n)
    assert plan.entries == n


def test_what_no_detector_knows_is_refused():
    with pytest.raises(Dense):
        plan_of(lambda x: jnp.sum(lax.reduce_window(x**3, 0.0, lax.add, (3,), (3,), "VALID") ** 2), 900)


def test_the_hessian_of_a_quadratic_is_computed_once_and_handed_out_afresh():
    n = 60
    plan = plan_of(lambda x: jnp.sum((x[1:] - x[:-1]) ** 2) + jnp.sum(3.0 * x), n)
    hessian = Sparse(plan)
    first = hessian(RNG.normal(size=n))[0]
    truth = 2.0 * (2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1))
    truth[0, 0] = truth[-1, -1] = 2.0
    assert_allclose(first.toarray(), truth)
    first.data[:] = np.nan  # a solver may write into what it is given
    assert_allclose(hessian(RNG.normal(size=n))[0].toarray(), truth)
    timing = hessian._evaluate.timing
    assert timing.interpreted_calls + timing.compiled_calls == 1


def test_a_hessian_that_changes_is_computed_at_each_place():
    hessian = Sparse(plan_of(rosenbrock, 60))
    for x in RNG.normal(size=(2, 60)):
        assert_allclose(
            hessian(x)[0].toarray(), Tiered(exact.hessian(traced(rosenbrock, 60)))(x)[0], rtol=1e-10
        )


def test_terms_turned_upwards_give_a_matrix_that_never_bends_down():
    """Σ (z² - 1)² with z = x_i + 2·x_{i+1}: φ′ = 4z³ - 4z, φ″ = 12z² - 4, φ‴ = 24z."""
    n = 90
    A = np.eye(n)[:-1] + 2.0 * np.eye(n)[1:]
    closed = traced(lambda x: jnp.sum(((x[:-1] + 2 * x[1:]) ** 2 - 1) ** 2) + x[3], n)
    plan = hessian_plan(closed, exact.gradient(closed))
    terms = linear_terms_of(Reading(closed, keep_derivatives=True))
    evaluate = Tiered(upright(plan, terms.arguments, terms.outer))
    for x in RNG.normal(scale=0.4, size=(2, n)):
        z = A @ x
        first, second, third = 4 * z**3 - 4 * z, 12 * z**2 - 4, 24 * z
        size = np.maximum(np.abs(second), np.sqrt(0.5 * np.abs(first * third)))
        found = csc_array((evaluate(x)[0], plan.indices, plan.indptr), shape=(n, n))
        assert_allclose(found.toarray(), A.T @ np.diag(size) @ A, atol=1e-12)
