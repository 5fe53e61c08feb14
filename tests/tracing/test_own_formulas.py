"""Distributions followed by SciPy's own formulas: SciPy's values, slopes by differences, ends of the support."""

import numpy as np
import pytest
from scipy import stats

import steepest as st
from steepest.errors import TracingError
from steepest.parameters import Parameters
from steepest.tracing.trace import trace
from steepest.vector_functions import TracedVector

x = np.array([-1.3, 0.15, 0.9, 1.7, 6.0])

# Shapes, then place and scale.
CONTINUOUS = {
    "invgamma": (2.2, 0.05, 1.4),
    "erlang": (3.0, 0.05, 1.4),
    "halfnorm": (0.05, 1.4),
    "rayleigh": (0.05, 1.4),
    "invgauss": (0.8, 0.05, 1.4),
    "burr12": (2.2, 1.3, 0.05, 1.4),
    "gengamma": (2.2, 1.3, 0.05, 1.4),
    "nakagami": (1.2, 0.05, 1.4),
    "johnsonsu": (0.7, 1.2, 0.3, 1.4),
    "moyal": (0.3, 1.4),
    "gumbel_r": (0.3, 1.4),
    "gumbel_l": (0.3, 1.4),
    "exponnorm": (0.7, 0.3, 1.4),
    "powerlaw": (1.6, -0.5, 9.0),
}
DENSITIES_ALONE = {
    "skewnorm": (0.7, 0.3, 1.4),
    "vonmises": (0.7, 0.3, 1.4),
    "gennorm": (1.7, 0.3, 1.4),
    "rice": (0.7, 0.05, 1.4),
    "f": (3.3, 4.1, 0.05, 1.4),
}
METHODS = ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf")


def check(function, place):
    place = np.array(place)
    values, jacobian = TracedVector(trace(function, Parameters.of(place))).both(place)
    expected = function(place)
    np.testing.assert_allclose(values, expected, rtol=1e-11, atol=1e-300)
    assert np.isfinite(jacobian).all()
    inside = np.isfinite(expected)
    for k, step in enumerate(np.eye(place.size) * 1e-3):
        rough, fine = (
            (function(place + h)[inside] - function(place - h)[inside]) / (2 * h[k]) for h in (step, step / 2)
        )
        np.testing.assert_allclose(jacobian[inside, k], (4 * fine - rough) / 3, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", CONTINUOUS | DENSITIES_ALONE)
def test_densities_and_tails_are_scipys_with_their_slopes(name):
    place = (CONTINUOUS | DENSITIES_ALONE)[name]
    for method in METHODS if name in CONTINUOUS else METHODS[:2]:
        distribution = getattr(stats, name)

        def function(p, distribution=distribution, method=method):
            return getattr(distribution, method)(x, *p)

        check(function, place)


@pytest.mark.parametrize("name", ["betabinom", "skellam"])
def test_what_counts_is_scipys(name):
    counts = np.array([-1, 0, 1, 2.5, 4, 9])
    if name == "betabinom":
        check(lambda p: stats.betabinom.logpmf(counts, 8, p[0], p[1]), [0.8, 1.7])
        check(lambda p: stats.betabinom(8, p[0], p[1]).pmf(counts), [0.8, 1.7])
    else:
        with pytest.raises(TracingError, match="ncx2"):
            trace(lambda p: np.sum(stats.skellam.pmf(counts, *p)), Parameters.of(np.ones(2)))


@pytest.mark.parametrize(("name", "shapes", "methods"), [
    ("johnsonsu", (0.7, 1.2), (*METHODS, "ppf")), ("norm", (), (*METHODS, "ppf")),
    ("lognorm", (0.6,), (*METHODS, "ppf")), ("genpareto", (0.3,), METHODS), ("powerlaw", (1.6,), ("pdf", "ppf")),
    ("invgamma", (2.2,), ("logpdf",)), ("gamma", (2.0,), ("logpdf",)),
])  # fmt: skip
def test_there_is_no_number_where_scipy_gives_none(name, shapes, methods):
    """A shape or a scale below zero, a number that is missing: a formula goes on, and a minimum was found there."""
    data = np.array([0.3, 0.7, np.nan])
    for method in methods:

        def function(p, method=method):
            return getattr(getattr(stats, name), method)(data, *p[:-1], loc=0.05, scale=p[-1])

        place = np.array([*shapes, 1.4])
        followed = TracedVector(trace(function, Parameters.of(place)))
        for signs in (1.0, -1.0, np.r_[np.ones(len(shapes)), -1.0]):
            values, _ = followed.both(place * signs)
            np.testing.assert_allclose(values, function(place * signs), rtol=1e-10, atol=1e-300)


def test_the_ends_of_the_support_are_scipys():
    for name, shape in (("invgamma", 2.2), ("invgauss", 0.8), ("powerlaw", 1.6), ("halfnorm", None)):
        shapes = () if shape is None else (shape,)
        for method in METHODS:
            distribution = getattr(stats, name)

            def function(p, method=method, distribution=distribution, shapes=shapes):
                return getattr(distribution, method)(np.array([0.0, 1.0, -1.0]), *shapes, loc=p[0])

            values, _ = TracedVector(trace(function, Parameters.of(np.zeros(1)))).both(np.zeros(1))
            np.testing.assert_allclose(values, function(np.zeros(1)), rtol=1e-11)


def test_no_scale_below_zero_is_claimed_for_a_normal_distribution():
    data = np.random.default_rng(0).normal(2.0, 1.7, 80)
    for start in (100.0, -1.0):
        found = st.minimize(lambda p: -np.sum(stats.norm.logpdf(data, p[0], p[1])), [0.0, start])
        np.testing.assert_allclose(found.x, [np.mean(data), np.std(data)], rtol=1e-6)


def test_quantiles_of_fixed_probabilities_have_their_slopes():
    level = np.array([0.02, 0.3, 0.8])
    check(lambda p: stats.lognorm.ppf(level, p[0], scale=p[1]), [0.7, 1.4])
    check(lambda p: stats.weibull_min.ppf(level, p[0], loc=p[1]), [0.7, 0.4])
    check(lambda p: stats.expon.isf(level, p[0], p[1]), [0.7, 0.4])


def test_the_likelihood_of_a_half_normal_gives_the_closed_form():
    """The scale of a half-normal distribution with most likelihood is the root of the mean square."""
    data = np.abs(np.random.default_rng(3).normal(size=60)) * 1.7
    found = st.minimize(lambda p: stats.halfnorm.nnlf((0.0, p), data), 1.0, bounds=(0.1, None))
    assert found.success
    assert found.x == pytest.approx(np.sqrt(np.mean(data**2)), rel=1e-9)


def test_covariances_may_be_lists():
    data = np.random.default_rng(4).normal(size=(7, 2))
    check(
        lambda p: stats.multivariate_normal.logpdf(data, mean=[p[0], 0.2], cov=[[p[1], 0.1], [0.1, 1.5]]),
        [0.3, 1.2],
    )
