"""The step in a ball, against the conditions that characterise the lowest point (Moré & Sorensen 1983)."""

import numpy as np
import pytest

from steepest.linear_algebra.spectrum import NOISE, ON_THE_SPHERE, Spectrum

RNG = np.random.default_rng(3)


def symmetric(n):
    A = RNG.normal(size=(n, n))
    return A + A.T


def shift_of(g, H, s):
    """λ from (H + λI)s = -g by least squares, and how well it fits."""
    shift = -float(s @ (g + H @ s)) / float(s @ s)
    return shift, np.linalg.norm(H @ s + shift * s + g)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
@pytest.mark.parametrize("radius", [1e-6, 0.1, 3.0, 1e4])
def test_the_step_meets_the_conditions_of_a_lowest_point_in_a_ball(n, radius):
    H, g = symmetric(n), RNG.normal(size=n)
    s, decrease = Spectrum(H).lowest_in_ball(g, radius)
    size = np.linalg.norm(s)
    shift, misfit = shift_of(g, H, s)
    assert size <= (1.0 + 2 * ON_THE_SPHERE) * radius
    assert misfit <= 1e-9 * (np.linalg.norm(g) + np.linalg.norm(H) * size)
    assert shift >= -np.linalg.eigvalsh(H)[0] - 1e-9 * np.linalg.norm(H)
    assert shift >= -1e-9 and (size >= (1.0 - 2 * ON_THE_SPHERE) * radius or abs(shift) <= 1e-9)
    np.testing.assert_allclose(decrease, -(g @ s + 0.5 * s @ H @ s), rtol=1e-8)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, -0.7])
@pytest.mark.parametrize("radius", [1e-3, 5.0])
def test_beside_the_hard_case_the_step_stays_in_the_ball(part, radius):
    """Along the lowest eigenvector the shifted system reaches a `part` of the radius; the lowest is on the sphere.

    Without a slope there, it would be (±√(r² - s²), s) with s = -g₂ / (1 + 2); so little changes that by a billionth.
    """
    g = np.array([part * radius * 2.0 * NOISE, 0.3 * radius])
    s, decrease = Spectrum(np.diag([-2.0, 1.0])).lowest_in_ball(g, radius)
    assert np.linalg.norm(s) <= (1.0 + 1e-12) * radius
    along = np.sqrt(radius**2 - (g[1] / 3.0) ** 2)
    np.testing.assert_allclose(s, [-along if part > 0.0 else along, -g[1] / 3.0], rtol=1e-9)
    np.testing.assert_allclose(decrease, along**2 + g[1] ** 2 / 3.0 - 0.5 * (g[1] / 3.0) ** 2, rtol=1e-9)


def test_in_the_hard_case_the_step_reaches_the_sphere_along_the_lowest_eigenvector():
    """g is orthogonal to the direction of negative curvature, so no shifted system reaches the radius."""
    s, decrease = Spectrum(np.diag([-2.0, 1.0])).lowest_in_ball(np.array([0.0, 3.0]), 5.0)
    np.testing.assert_allclose(np.abs(s), [np.sqrt(24.0), 1.0], rtol=0.05)
    np.testing.assert_allclose(decrease, 3.0 - 0.5 + 24.0, rtol=0.05)


def test_a_singular_matrix_gives_the_shortest_exact_step():
    """(s₀ + s₁ - 2)² has a valley of minima; from 0 the nearest is (1, 1)."""
    s, decrease = Spectrum(np.full((2, 2), 2.0)).lowest_in_ball(np.array([-4.0, -4.0]), np.inf)
    np.testing.assert_allclose(s, [1.0, 1.0], rtol=1e-12)
    np.testing.assert_allclose(decrease, 4.0, rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-120, 1e100])
@pytest.mark.parametrize("n", [3, 20])
def test_the_unit_of_the_cost_does_not_change_the_step(n, unit):
    """Neither where few axes are solved for on Python's floats nor where many are on NumPy's."""
    H, g = symmetric(n), RNG.normal(size=n)
    g[0] = 0.0
    plain, decrease = Spectrum(H).lowest_in_ball(g, 0.5)
    other, foretold = Spectrum(unit * H).lowest_in_ball(unit * g, 0.5)
    np.testing.assert_allclose(other, plain, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(foretold, unit * decrease, rtol=1e-6)


def test_nothing_is_divided_by_a_radius_of_zero():
    s, decrease = Spectrum(np.diag([-1.0, 2.0])).lowest_in_ball(np.array([0.0, 3.0]), 0.0)
    assert not s.any() and decrease == 0.0
