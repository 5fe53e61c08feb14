"""Conjugate gradients: where they end, and that the compiled loop goes the way that Python goes."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.budget import BudgetSpent
from steepest.derivatives import exact
from steepest.derivatives.products import WORTH_LOOPING, Products
from steepest.linear_algebra.conjugate_gradients import IN_ONE_CALL, Iterate, by_python, compiled
from steepest.numerics import double_precision

RNG = np.random.default_rng(5)
n = 300
Q, _ = np.linalg.qr(RNG.normal(size=(n, n)))
G = RNG.normal(size=n)
G /= np.linalg.norm(G)
START = Iterate(np.zeros(n), G, -G, 1.0)


def with_eigenvalues(values):
    """The symmetric matrix H with these eigenvalues, and its product as part of other programs."""
    H = (Q * values) @ Q.T
    H = 0.5 * (H + H.T)
    with double_precision():
        cost = jax.make_jaxpr(lambda x: 0.5 * x @ (H @ x))(jax.ShapeDtypeStruct((n,), np.float64))
    return H, Products(exact.hessian_product(cost)).traceable(np.zeros(n))


def both_ways(values, most, accuracy, reach):
    """Where each way ends, and how many products each took."""
    H, product = with_eigenvalues(values)
    taken = {"python": 0, "compiled": 0}

    def times(v):
        taken["python"] += 1
        return H @ v

    def count(more):
        taken["compiled"] += more

    return (
        H,
        by_python(times, START, most, accuracy, reach),
        compiled(product, START, most, accuracy, reach, count),
        taken,
    )


def test_both_ways_solve_the_system_to_the_accuracy_asked_for():
    H, python, loop, taken = both_ways(np.logspace(-2.0, 0.0, n), 1_000, 1e-9, np.inf)
    for ended in (python, loop):
        assert np.linalg.norm(H @ ended.at.p + G) <= 1.1e-9
        assert ended.bend > 0.0
        assert_allclose(ended.at.p, -np.linalg.solve(H, G), rtol=1e-6, atol=1e-7)
    assert abs(taken["python"] - taken["compiled"]) <= 2


@pytest.mark.parametrize("most", [1, IN_ONE_CALL, IN_ONE_CALL + 7])
def test_no_more_products_are_taken_than_allowed(most):
    _, python, loop, taken = both_ways(np.logspace(-8.0, 0.0, n), most, 1e-14, np.inf)
    assert taken == {"python": most, "compiled": most}
    if most == 1:  # rounding has not told them apart yet
        assert_allclose(loop.at.p, python.at.p, rtol=1e-12)


def test_both_ways_end_with_the_first_point_outside_the_ball():
    _, python, loop, taken = both_ways(np.logspace(-4.0, 0.0, n), 1_000, 1e-12, 50.0)
    assert taken["python"] == taken["compiled"] > 1
    for ended in (python, loop):
        assert np.linalg.norm(ended.at.p) > 50.0
    assert_allclose(loop.at.p, python.at.p, rtol=1e-9)
    _, before, _, _ = both_ways(np.logspace(-4.0, 0.0, n), taken["python"] - 1, 1e-12, np.inf)
    assert np.linalg.norm(before.at.p) <= 50.0


def test_both_ways_stop_at_a_direction_that_bends_downwards_and_hand_it_back():
    values = np.linspace(0.5, 2.0, n)
    values[:3] = -1.0
    H, python, loop, taken = both_ways(values, 1_000, 1e-12, np.inf)
    assert taken["python"] == taken["compiled"]
    for ended in (python, loop):
        assert ended.bend <= 0.0
        assert_allclose(ended.at.d @ H @ ended.at.d, ended.bend, rtol=1e-9)
    assert_allclose(loop.at.p, python.at.p, rtol=1e-6)


def test_a_product_that_is_not_finite_ends_the_run_where_it_was():
    with double_precision():
        jaxpr = jax.make_jaxpr(lambda x: jax.numpy.sum(x**2 / x))(jax.ShapeDtypeStruct((n,), np.float64))
    product = Products(exact.hessian_product(jaxpr)).traceable(np.zeros(n))
    seen = []
    ended = compiled(product, START, 50, 1e-9, np.inf, seen.append)
    assert seen == [1]
    assert not np.isfinite(ended.bend)
    assert_allclose(ended.at.p, START.p)


def test_the_same_run_gives_the_same_bits_and_is_compiled_once():
    _, product = with_eigenvalues(np.logspace(-3.0, 0.0, n))
    first = compiled(product, START, 500, 1e-8, np.inf, lambda more: None)
    loops = list(product.kept.values())
    again = compiled(product, START, 500, 1e-8, np.inf, lambda more: None)
    assert np.array_equal(first.at.p, again.at.p)
    assert loops[0]._cache_size() == 1


def test_whoever_counts_may_end_the_run():
    _, product = with_eigenvalues(np.logspace(-8.0, 0.0, n))

    def count(more):
        raise BudgetSpent("seconds")

    with pytest.raises(BudgetSpent):
        compiled(product, START, 10 * IN_ONE_CALL, 1e-14, np.inf, count)


def test_a_long_product_stands_alone():
    with double_precision():
        jaxpr = jax.make_jaxpr(lambda x: ((x[:, None] * x) ** 4).sum())(
            jax.ShapeDtypeStruct((2_000,), np.float64)
        )
    products = Products(exact.hessian_product(jaxpr))
    assert products._along.foreseen.compiled > WORTH_LOOPING
    assert products.traceable(np.zeros(2_000)) is None
