"""Ready-made models with starts read off the data: `fit(gaussian() + line(), x, y)`."""

from __future__ import annotations

from .library import (
    constant,
    damped_sine,
    exponential_decay,
    gaussian,
    gompertz,
    hill,
    line,
    logistic,
    lorentzian,
    michaelis_menten,
    parabola,
    power_law,
    pseudo_voigt,
    sine,
    smooth_step,
)
from .model import Model, as_model

__all__ = [
    "Model",
    "as_model",
    "constant",
    "damped_sine",
    "exponential_decay",
    "gaussian",
    "gompertz",
    "hill",
    "line",
    "logistic",
    "lorentzian",
    "michaelis_menten",
    "parabola",
    "power_law",
    "pseudo_voigt",
    "sine",
    "smooth_step",
]
