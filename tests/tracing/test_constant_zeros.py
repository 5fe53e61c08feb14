"""Roots and powers of what is zero for all parameters: slopes as in closed form, values as NumPy gives them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import steepest as st
from steepest.cost import read_cost
from steepest.parameters import Parameters
from steepest.structure.facts import read
from steepest.traced import evaluation

T = np.array([0.0, 0.5, 1.0, 2.5, 0.0, 4.0])


def stretched(p):
    return np.sum(p[0] * np.exp(-((T / p[1]) ** p[2])))


def stretched_without(p):
    """The same with the two measurements at zero written out."""
    t = T[T > 0]
    return np.sum(p[0] * np.exp(-((t / p[1]) ** p[2]))) + 2 * p[0]


def rooted(p):
    return np.sum(p[0] * np.sqrt(T * p[1]) + p[2] * (T * p[1]) ** 0.3 + np.cbrt(T * p[2]))


def rooted_without(p):
    t = T[T > 0]
    return np.sum(p[0] * np.sqrt(t * p[1]) + p[2] * (t * p[1]) ** 0.3 + np.cbrt(t * p[2]))


def ratio(p):
    return np.sum(p[0] * (T / p[1]) ** p[2] / (1 + (T / p[1]) ** p[2]))


def ratio_without(p):
    return np.sum(p[0] / (1 + (T[T > 0] / p[1]) ** -p[2]))


def distances(p):
    x = p.reshape(-1, 1)
    d = np.sqrt(np.sum((x[:, None] - x[None]) ** 2, -1))
    return np.sum((d - 1.0) ** 2)


def distances_without(p):
    return sum(2 * (np.abs(p[i] - p[j]) - 1) ** 2 for i in range(p.size) for j in range(i)) + p.size


PAIRS = [
    (stretched, stretched_without),
    (rooted, rooted_without),
    (ratio, ratio_without),
    (distances, distances_without),
]


@pytest.mark.parametrize(("cost", "without"), PAIRS, ids=[cost.__name__ for cost, _ in PAIRS])
def test_slopes_are_those_of_the_cost_with_the_zeros_written_out(cost, without):
    p = np.array([1.7, 1.3, 0.6])
    assert_allclose(st.gradient(cost)(p), st.gradient(without)(p), rtol=1e-13)
    assert_allclose(st.hessian(cost)(p), st.hessian(without)(p), rtol=1e-12, atol=1e-13)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "p", [(1.7, 1.3, 0.6), (1.7, 0.0, 0.6), (1.7, 1.3, 0.0), (1.7, 1.3, -0.5), (1, -2.0, 2.0)]
)
@pytest.mark.parametrize("cost", [stretched, rooted, ratio])
def test_values_are_numpys_also_where_they_are_no_numbers(cost, p):
    p = np.array(p)
    parameters = Parameters.of(p)
    traced = evaluation(read_cost(cost, p).trace(parameters, ()), "value")
    assert_allclose(traced(p)[0], cost(p), rtol=1e-14)


@pytest.mark.parametrize(
    "cost",
    [
        lambda p: np.sum((0.0 * p[0]) ** np.append(p, 0.7)),  # one base, many powers
        lambda p: np.sum(
            np.sqrt(np.conj(T * -p[0] + 0j)).imag
        ),  # on the cut of the root: the sign of a zero decides
        lambda p: np.sum((T * p[0]) ** np.array([0.5, 2.0, 0.0, 3.0, 0.0, 1.0])),
        lambda p: np.sum(np.sqrt(np.float32([0, 1, 2]) * p.astype(np.float32)).astype(float)),
    ],
)
def test_values_are_numpys_whatever_shapes_and_types_bases_and_powers_have(cost):
    p = np.array([1.7, 1.3, 0.6])
    assert_allclose(
        evaluation(read_cost(cost, p).trace(Parameters.of(p), ()), "value")(p)[0], cost(p), rtol=1e-14
    )
    assert np.isfinite(st.gradient(cost)(p)).all()


def test_a_root_of_a_parameter_keeps_its_infinite_slope_at_zero():
    assert_array_equal(st.gradient(lambda p: np.sum(np.sqrt(p)))(np.array([0.0, 4.0])), [np.inf, 0.25])


def test_a_stretched_exponential_is_fitted_through_measurements_at_zero():
    y = 2 * np.exp(-((T / 1.5) ** 0.7))
    result = st.minimize(lambda p: np.sum((p[0] * np.exp(-((T / p[1]) ** p[2])) - y) ** 2), np.ones(3))
    assert result.success
    assert_allclose(result.x, [2.0, 1.5, 0.7], rtol=1e-8)


def test_points_are_placed_by_all_their_distances_with_the_diagonal():
    points = np.random.default_rng(0).normal(size=(6, 2))
    wanted = np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1))

    def stress(x):
        return np.sum((np.sqrt(np.sum((x[:, None] - x[None]) ** 2, -1)) - wanted) ** 2)

    result = st.minimize(stress, np.random.default_rng(1).normal(size=(6, 2)))
    assert result.verdict.is_minimum and result.fun < 1e-25


def test_what_is_known_of_a_cost_does_not_change_by_its_constant_zeros():
    """No jump is seen where there is none, and a concave root with a minus before it is convex as before."""
    bent = st.minimize(lambda p: p[0] ** 2 - np.sum(np.sqrt(T * p[0])), [1.0])
    assert bent.verdict is st.Verdict.GLOBAL_MINIMUM and "convex" in bent.message
    # 2p = Σ√T/(2√p)
    assert_allclose(bent.x, (np.sum(np.sqrt(T)) / 4) ** (2 / 3), rtol=1e-12)
    p = np.array([1.7, 1.3, 0.6])
    structure = read(read_cost(stretched, p).trace(Parameters.of(p), ()).jaxpr)
    assert not structure.kinks


@pytest.mark.parametrize("cost", [stretched, rooted, ratio, distances])
def test_the_doctor_finds_nothing_wrong_with_constant_zeros(cost):
    assert st.diagnose(cost, np.array([1.7, 1.3, 0.6])).findings == ()
