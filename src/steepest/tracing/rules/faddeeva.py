"""The Faddeeva function w(z) = exp(-z²) erfc(-iz), of which the Voigt profile of a spectral line is the real part.

Weideman, "Computation of the complex error function" (1994): with Z = (L + iz)/(L - iz), which maps the upper half
plane into the unit disc, w(z) = 2 p(Z)/(L - iz)² + 1/(√π (L - iz)). Its slopes are those of this formula: the closed
form 2i/√π - 2zw would lose its digits far out, where its two terms cancel.
"""

from __future__ import annotations

import math
from functools import cache

import jax.numpy as jnp
import numpy as np
from jax import lax

from .values import Value

# Terms of the polynomial: fewer than 36 leave errors above rounding.
TERMS = 40


@cache
def _polynomial() -> tuple[float, tuple[float, ...]]:
    """L and the coefficients of p, lowest power first: Fourier coefficients of exp(-t²)(L² + t²), t = L tan(θ/2)."""
    L = math.sqrt(TERMS / math.sqrt(2.0))
    M = 2 * TERMS
    t = L * np.tan(np.arange(-M + 1, M) * np.pi / (2 * M))
    values = np.concatenate([[0.0], np.exp(-(t**2)) * (L**2 + t**2)])
    found = np.fft.fft(np.fft.fftshift(values)).real / (2 * M)
    return L, tuple(found[1 : TERMS + 1].tolist())


def wofz(z: Value) -> Value:
    """`scipy.special.wofz` of complex z."""
    L, coefficients = _polynomial()
    above = lax.ge(lax.imag(z), 0.0)
    up = jnp.where(above, z, -z)
    denominator = L - 1j * up
    Z = (L + 1j * up) / denominator
    p = jnp.full_like(Z, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        p = p * Z + coefficient
    w = 2.0 * p / denominator**2 + 1.0 / (math.sqrt(math.pi) * denominator)
    # w(z) = 2 exp(-z²) - w(-z); where z lies above, nothing of it may overflow.
    below = jnp.where(above, jnp.zeros_like(z), z)
    return jnp.where(above, w, 2.0 * jnp.exp(-(below**2)) - w)


def voigt_profile(x: Value, sigma: Value, gamma: Value) -> Value:
    """`scipy.special.voigt_profile` with a Gaussian of deviation σ > 0 and a Lorentzian of half width γ."""
    width = sigma * math.sqrt(2.0)
    return lax.real(wofz(lax.complex(x / width, gamma / width))) / (sigma * math.sqrt(2.0 * math.pi))
