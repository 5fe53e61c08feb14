"""The Faddeeva function and its slopes against 60-digit arithmetic; the Voigt profile as a fit meets it."""

import mpmath
import numpy as np
import pytest
from scipy import special

import steepest as st
from steepest.parameters import Parameters
from steepest.tracing.trace import trace
from steepest.vector_functions import TracedVector

x = np.array([-300.0, -30.0, -12.0, -5.0, -1.0, -1e-3, 0.0, 0.3, 2.0, 4.0, 6.0, 8.0, 20.0, 1000.0])


def exact(z):
    """w(z) and its slope 2i/√π - 2zw."""
    with mpmath.workdps(60):
        w = mpmath.exp(-z * z) * mpmath.erfc(-1j * z)
        return w, 2j / mpmath.sqrt(mpmath.pi) - 2 * z * w


@pytest.mark.parametrize("height", [0.0, 1e-6, 0.01, 0.3, 1.0, 5.0, 50.0, -0.1, -2.0])
def test_values_and_slopes_agree_with_sixty_digits_over_the_plane(height):
    def both(p):
        w = special.wofz(x + 1j * p)
        return np.concatenate([w.real, w.imag])

    values, jacobian = TracedVector(trace(both, Parameters.of(height))).both(np.array([height]))
    for k, at in enumerate(x):
        w, slope = exact(mpmath.mpc(at, height))
        assert abs(complex(values[k], values[x.size + k]) - w) <= 3e-15 * abs(w)
        # along y: dw/dy = i w'
        assert abs(complex(jacobian[k, 0], jacobian[x.size + k, 0]) - 1j * slope) <= 3e-14 * abs(slope)


def test_a_voigt_profile_is_fitted_as_wofz_or_by_its_own_name():
    t = np.linspace(-5.0, 5.0, 90)
    truth = {"area": 3.0, "centre": 0.5, "sigma": 0.7, "gamma": 0.4}

    def by_hand(t, area, centre, sigma, gamma):
        z = (t - centre + 1j * gamma) / (sigma * np.sqrt(2.0))
        return area * np.real(special.wofz(z)) / (sigma * np.sqrt(2.0 * np.pi))

    def by_name(t, area, centre, sigma, gamma):
        return area * special.voigt_profile(t - centre, sigma, gamma)

    y = by_name(t, **truth)
    for model in (by_hand, by_name):
        found = st.fit(model, t, y, {"area": 1.0, "centre": 0.0, "sigma": 1.0, "gamma": 1.0})
        np.testing.assert_allclose(found.params, list(truth.values()), rtol=1e-11)
