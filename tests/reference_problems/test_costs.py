"""The costs have the answers they claim, shown without steepest's own derivatives."""

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.reference_problems import FAMILIES, PROBLEMS, Problem, quadratic
from steepest.reference_problems.costs import freudenstein_roth, himmelblau, powell_badly_scaled

WITH_ANSWER = [problem for problem in PROBLEMS.values() if problem.minimum is not None]


@pytest.mark.parametrize("problem", WITH_ANSWER, ids=lambda problem: problem.name)
def test_the_cost_at_the_stated_minimum_is_the_stated_value(problem):
    assert_allclose(problem.cost(problem.minimum), problem.minimum_value, atol=1e-20)


@pytest.mark.parametrize("problem", WITH_ANSWER, ids=lambda problem: problem.name)
def test_no_point_about_the_stated_minimum_is_lower(problem):
    rng = np.random.default_rng(0)
    scale = np.maximum(np.abs(problem.minimum), 1e-8)
    for distance in (1e-4, 1e-2, 1.0):
        for _ in range(50):
            other = problem.minimum + distance * scale * rng.standard_normal(np.shape(problem.start))
            assert problem.cost(other) >= problem.minimum_value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # Cost at the standard start, from the residuals in Moré, Garbow & Hillstrom (1981), section 3.
        ("rosenbrock", 24.2),
        ("freudenstein roth", 400.5),
        ("powell badly scaled", 1 + (1 + float(np.exp(-1)) - 1.0001) ** 2),
        ("brown badly scaled", 999998000003.0),
        ("beale", 14.203125),
        ("helical valley", 2500.0),
        ("powell singular", 215.0),
        ("wood", 19192.0),
    ],
)
def test_the_cost_at_the_standard_start_is_the_published_one(name, value):
    assert_allclose(PROBLEMS[name].cost(PROBLEMS[name].start), value, rtol=1e-11)


def test_powell_badly_scaled_vanishes_at_the_root_found_with_fifty_digits():
    with mpmath.workdps(50):
        y = mpmath.findroot(lambda y: mpmath.exp(-1 / (10000 * y)) + mpmath.exp(-y) - mpmath.mpf("1.0001"), 9)
        root = [float(1 / (10000 * y)), float(y)]
    assert_allclose(PROBLEMS["powell badly scaled"].minimum, root, rtol=1e-15)
    assert powell_badly_scaled(np.array(root)) < 1e-24


def test_freudenstein_roth_has_the_published_local_minimum():
    assert_allclose(freudenstein_roth(np.array([11.41277899, -0.89680525])), 48.98425, rtol=1e-6)


def test_himmelblau_has_four_minima_of_cost_zero():
    others = [
        (-2.805118086953, 3.131312518250),
        (-3.779310253378, -3.283185991286),
        (3.584428340330, -1.848126526964),
    ]
    for minimum in [(3.0, 2.0), *others]:
        assert himmelblau(np.array(minimum)) < 1e-20


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e8])
def test_a_quadratic_has_the_conditioning_asked_for(condition):
    bowl = quadratic(4, condition)

    def height(step):
        return bowl.cost(bowl.minimum + step)

    A = [[height(p + q) - height(p) - height(q) for p in np.eye(4)] for q in np.eye(4)]
    assert_allclose(np.linalg.cond(A), condition, rtol=1e-6)


def test_every_family_scales_and_starts_above_its_minimum():
    for family in FAMILIES.values():
        for n in (2, 20):
            problem = family(n)
            assert isinstance(problem, Problem)
            assert problem.n == n
            assert problem.cost(problem.start) > (problem.minimum_value or 0.0)
