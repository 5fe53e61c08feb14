"""Branches that a choice never takes leave no NaN in a slope; against the same cost of the entries that are taken."""

import numpy as np
import pytest
from scipy import special

import steepest as st
from steepest.parameters import Parameters
from steepest.tracing.trace import trace
from steepest.vector_functions import TracedVector

x = np.arange(8.0)
counts = np.array([0.0, 1.0, 2.0, 0.0, 5.0, 3.0, 0.0, 2.0])
some = counts > 0
y = np.exp(-x / 3.0)
y[[2, 5]] = np.nan
known = np.isfinite(y)
place = np.array([1.3, 2.0])


def model(p, x=x):
    return p[0] * np.exp(-x / p[1])


def cash(p):
    return np.sum(model(p)) + np.sum(counts[some] * np.log(counts[some] / model(p, x[some])))


def neyman(p):
    return np.sum((model(p, x[some]) - counts[some]) ** 2 / counts[some])


def squares(p):
    return np.sum((model(p, x[known]) - y[known]) ** 2)


def product(p):
    r = model(p) - y
    return np.sum(np.where(known, r * r, 0.0))


def capped(p, x=x, y=y):
    r = model(p, x) - y
    return np.where(np.abs(r) < 0.5, r**2 / (1 + r**2), 0.3 * np.abs(r))


SAME = {
    "squares by product": (product, squares),
    "kinds of errors": (
        lambda p: np.sum(np.where(known, capped(p), 0.0)),
        lambda p: np.sum(capped(p, x[known], y[known])),
    ),
    "cash by where": (
        lambda p: np.sum(model(p) + np.where(some, counts * np.log(counts / model(p)), 0.0)),
        cash,
    ),
    "cash by xlogy": (lambda p: np.sum(model(p) + special.xlogy(counts, counts / model(p))), cash),
    "neyman": (lambda p: np.sum(np.where(some, (model(p) - counts) ** 2 / counts, 0.0)), neyman),
    "neyman by sigma": (
        lambda p: np.sum(np.where(some, (model(p) - counts) / np.sqrt(counts), 0.0) ** 2),
        neyman,
    ),
    "neyman, other way round": (
        lambda p: np.sum(np.where(counts == 0, 0.0, (model(p) - counts) ** 2 / counts)),
        neyman,
    ),
    "squares by index": (lambda p: np.sum(((model(p) - y) ** 2)[known]), squares),
    "squares by places": (lambda p: np.sum(((model(p) - y) ** 2)[np.flatnonzero(known)]), squares),
    "squares by rows": (lambda p: np.sum(((model(p)[:, None] - y[:, None]) ** 2)[known, 0]), squares),
    "squares by slices": (
        lambda p: np.sum(((model(p) - y) ** 2)[3:5]),
        lambda p: np.sum((model(p, x[3:5]) - y[3:5]) ** 2),
    ),
    "neyman by index": (lambda p: np.sum(((model(p) - counts) ** 2 / counts)[some]), neyman),
    "squares by where": (lambda p: np.sum(np.where(known, (model(p) - y) ** 2, 0.0)), squares),
    "squares by sum": (lambda p: np.sum((model(p) - y) ** 2, where=known), squares),
    "squares, inside": (lambda p: np.sum(np.where(known, model(p) - y, 0.0) ** 2), squares),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", SAME)
def test_what_is_never_taken_takes_no_slope_away(name):
    cost, same = SAME[name]
    assert np.isclose(cost(place), same(place), rtol=1e-13)
    np.testing.assert_allclose(st.gradient(cost)(place), st.gradient(same)(place), rtol=1e-12)
    np.testing.assert_allclose(st.hessian(cost)(place), st.hessian(same)(place), rtol=1e-11)
    found, expected = st.minimize(cost, place), st.minimize(same, place)
    assert found.success and expected.success
    np.testing.assert_allclose(found.x, expected.x, rtol=1e-7)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_that_are_taken_or_used_elsewhere_stay_what_they_are():
    def elsewhere(p):
        ratio = p[0] / counts
        return np.sum(np.where(some, ratio, 0.0)) + np.sum(1.0 / ratio)

    def also_taken(p):
        r = model(p) - y
        return np.sum(np.where(known, r * r, r))

    def also_whole(p):
        r = (model(p) - y) ** 2
        return np.sum(r[known]) + 0.0 * np.sum(r)

    # 1/ratio is counts/p₀ everywhere: the infinite ratios are used there.
    value = TracedVector(trace(elsewhere, Parameters.of(place))).values(place)
    assert np.isclose(value[0], np.sum(1.3 / counts[some]) + np.sum(counts) / 1.3, rtol=1e-13)
    taken = st.minimize(lambda p: np.sum(np.where(known | (x == 2), (model(p) - y) ** 2, 0.0)), place)
    assert taken.verdict == "not finite"
    for cost in (also_taken, also_whole, lambda p: np.sum(((model(p) - y) ** 2)[known | (x == 2)])):
        assert st.minimize(cost, place).verdict == "not finite"


def test_a_logarithm_of_zero_is_minus_infinity_still():
    cost = st.minimize(lambda p: np.sum(np.log(np.zeros(2) * p)), place)
    assert cost.verdict in ("not finite", "unbounded below") and not cost.success
