"""Peaks, steps, decays, growth, saturation and oscillation, each with a start read off the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from .model import Model

# At least this part of the points at either end says where the level is.
EDGE = 0.1


def gaussian() -> Model:
    """amplitude·exp(-(x - center)²/(2·width²)); `amplitude` is the height, `width` the standard deviation.

    >>> gaussian()(0.0, 2.0, 0.0, 1.0)
    np.float64(2.0)
    """
    return Model(_gaussian, ("amplitude", "center", "width"), "gaussian", _peak(2.3548200450309493))


def lorentzian() -> Model:
    """amplitude/(1 + ((x - center)/width)²); `width` is half the width at half height.

    >>> round(float(lorentzian()(1.0, 2.0, 0.0, 1.0)), 3)
    1.0
    """
    return Model(_lorentzian, ("amplitude", "center", "width"), "lorentzian", _peak(2.0))


def pseudo_voigt() -> Model:
    """`mix` of a Lorentzian and 1 - `mix` of a Gaussian of the same height and `width` at half height (half of it).

    >>> round(float(pseudo_voigt()(1.0, 2.0, 0.0, 1.0, 0.5)), 3)
    1.0
    """
    shape = _peak(2.0)
    return Model(
        _pseudo_voigt,
        ("amplitude", "center", "width", "mix"),
        "pseudo_voigt",
        lambda x, y: {**shape(x, y), "mix": 0.5},
    )


def constant() -> Model:
    """level everywhere.

    >>> round(float(constant()(5.0, 3.0)), 3)
    3.0
    """
    return Model(_constant, ("level",), "constant", _level, background=True)


def line() -> Model:
    """slope·x + intercept.

    >>> round(float(line()(2.0, 3.0, 1.0)), 3)
    7.0
    """
    return Model(_line, ("slope", "intercept"), "line", _robust_line, background=True)


def parabola() -> Model:
    """curve·x² + slope·x + intercept.

    >>> round(float(parabola()(2.0, 1.0, 0.0, -1.0)), 3)
    3.0
    """
    return Model(_parabola, ("curve", "slope", "intercept"), "parabola", _quadratic, background=True)


def exponential_decay() -> Model:
    """amplitude·exp(-rate·x); a negative `rate` grows.

    >>> round(float(exponential_decay()(0.0, 2.0, 5.0)), 3)
    2.0
    """
    return Model(_decay, ("amplitude", "rate"), "exponential_decay", _decay_start)


def power_law() -> Model:
    """factor·x**exponent, for positive x.

    >>> round(float(power_law()(4.0, 3.0, 0.5)), 3)
    6.0
    """
    return Model(_power, ("factor", "exponent"), "power_law", _power_start)


def smooth_step() -> Model:
    """height/(1 + exp(-(x - center)/width)): a rise by `height` over some four widths; negative height falls.

    >>> round(float(smooth_step()(7.0, 2.0, 7.0, 0.5)), 3)
    1.0
    """
    return Model(_step, ("height", "center", "width"), "smooth_step", _step_start)


def logistic() -> Model:
    """limit/(1 + exp(-rate·(x - middle))): growth to a limit, fastest in the middle.

    >>> round(float(logistic()(5.0, 100.0, 1.0, 5.0)), 3)
    50.0
    """
    return Model(_logistic, ("limit", "rate", "middle"), "logistic", _logistic_start)


def gompertz() -> Model:
    """limit·exp(-exp(-rate·(x - middle))): growth that starts fast and slows down late.

    >>> round(float(gompertz()(5.0, 100.0, 1.0, 5.0)), 3)
    36.788
    """
    return Model(_gompertz, ("limit", "rate", "middle"), "gompertz", _logistic_start)


def michaelis_menten() -> Model:
    """limit·x/(half + x): saturation; half the limit is reached at x = half.

    >>> round(float(michaelis_menten()(2.0, 10.0, 2.0)), 3)
    5.0
    """
    return Model(_saturation, ("limit", "half"), "michaelis_menten", _saturation_start)


def hill() -> Model:
    """limit·xⁿ/(halfⁿ + xⁿ) with n = `steepness`, for positive x.

    >>> round(float(hill()(2.0, 10.0, 2.0, 4.0)), 3)
    5.0
    """
    return Model(
        _hill,
        ("limit", "half", "steepness"),
        "hill",
        lambda x, y: {**_saturation_start(x, y), "steepness": 1.0},
    )


def sine() -> Model:
    """amplitude·sin(2π·frequency·x + phase).

    >>> round(float(sine()(0.25, 3.0, 1.0, 0.0)), 3)
    3.0
    """
    return Model(_sine, ("amplitude", "frequency", "phase"), "sine", _sine_start)


def damped_sine() -> Model:
    """amplitude·exp(-rate·x)·sin(2π·frequency·x + phase).

    >>> round(float(damped_sine()(0.25, 3.0, 0.0, 1.0, 0.0)), 3)
    3.0
    """

    def start(x: Any, y: Any) -> dict[str, float]:
        found = _sine_start(x, y)
        return {
            "amplitude": float(np.abs(y).max()) or 1.0,
            "rate": 1.0 / (float(np.ptp(x)) or 1.0),
            "frequency": found["frequency"],
            "phase": found["phase"],
        }

    return Model(_damped_sine, ("amplitude", "rate", "frequency", "phase"), "damped_sine", start)


# -- the formulas ------------------------------------------------------------------------------------------


def _gaussian(x: Any, amplitude: Any, center: Any, width: Any) -> Any:
    return amplitude * np.exp(-0.5 * ((x - center) / width) ** 2)


def _lorentzian(x: Any, amplitude: Any, center: Any, width: Any) -> Any:
    return amplitude / (1.0 + ((x - center) / width) ** 2)


def _pseudo_voigt(x: Any, amplitude: Any, center: Any, width: Any, mix: Any) -> Any:
    z = ((x - center) / width) ** 2
    return amplitude * (mix / (1.0 + z) + (1.0 - mix) * np.exp(-np.log(2.0) * z))


def _constant(x: Any, level: Any) -> Any:
    return level + 0.0 * x


def _line(x: Any, slope: Any, intercept: Any) -> Any:
    return slope * x + intercept


def _parabola(x: Any, curve: Any, slope: Any, intercept: Any) -> Any:
    return (curve * x + slope) * x + intercept


def _decay(x: Any, amplitude: Any, rate: Any) -> Any:
    return amplitude * np.exp(-rate * x)


def _power(x: Any, factor: Any, exponent: Any) -> Any:
    return factor * x**exponent


def _step(x: Any, height: Any, center: Any, width: Any) -> Any:
    return height / (1.0 + np.exp(-(x - center) / width))


def _logistic(x: Any, limit: Any, rate: Any, middle: Any) -> Any:
    return limit / (1.0 + np.exp(-rate * (x - middle)))


def _gompertz(x: Any, limit: Any, rate: Any, middle: Any) -> Any:
    return limit * np.exp(-np.exp(-rate * (x - middle)))


def _saturation(x: Any, limit: Any, half: Any) -> Any:
    return limit * x / (half + x)


def _hill(x: Any, limit: Any, half: Any, steepness: Any) -> Any:
    return limit / (1.0 + (half / x) ** steepness)


def _sine(x: Any, amplitude: Any, frequency: Any, phase: Any) -> Any:
    return amplitude * np.sin(2.0 * np.pi * frequency * x + phase)


def _damped_sine(x: Any, amplitude: Any, rate: Any, frequency: Any, phase: Any) -> Any:
    return amplitude * np.exp(-rate * x) * np.sin(2.0 * np.pi * frequency * x + phase)


# -- the starts --------------------------------------------------------------------------------------------


def _ordered(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(x, kind="stable")
    return np.asarray(x, dtype=np.float64)[order], np.asarray(y, dtype=np.float64)[order]


def _peak(full_width: float) -> Any:
    """Height and place of the largest deviation (after a running mean), and its width at half height."""

    def start(x: Any, y: Any) -> dict[str, float]:
        x, y = _ordered(x, y)
        span = max(1, y.size // 30)
        smooth = np.convolve(np.pad(y, span // 2, mode="edge"), np.ones(span) / span, mode="same")
        smooth = smooth[span // 2 : span // 2 + y.size]
        top = int(np.argmax(np.abs(smooth)))
        height = float(smooth[top]) or 1.0
        above = smooth / height > 0.5
        left = top
        while left > 0 and above[left - 1]:
            left -= 1
        right = top
        while right < y.size - 1 and above[right + 1]:
            right += 1
        spacing = float(np.ptp(x)) / max(y.size - 1, 1) or 1.0
        width = max(float(x[right] - x[left]) + spacing, spacing)
        return {"amplitude": height, "center": float(x[top]), "width": width / full_width}

    return start


def _level(x: Any, y: Any) -> dict[str, float]:
    return {"level": float(np.median(y))}


def _robust_line(x: Any, y: Any) -> dict[str, float]:
    """The line through the medians of both ends, which a peak in the middle does not move."""
    x, y = _ordered(x, y)
    edge = max(1, int(EDGE * y.size))
    x0, x1 = float(np.median(x[:edge])), float(np.median(x[-edge:]))
    y0, y1 = float(np.median(y[:edge])), float(np.median(y[-edge:]))
    slope = (y1 - y0) / (x1 - x0) if x1 != x0 else 0.0
    return {"slope": slope, "intercept": y0 - slope * x0}


def _quadratic(x: Any, y: Any) -> dict[str, float]:
    curve, slope, intercept = np.polyfit(np.asarray(x, float), np.asarray(y, float), 2)
    return {"curve": float(curve), "slope": float(slope), "intercept": float(intercept)}


def _decay_start(x: Any, y: Any) -> dict[str, float]:
    """A line through log|y| where y has its main sign, weighed by y² since small values have large relative errors."""
    x, y = _ordered(x, y)
    sign = 1.0 if y.sum() >= 0 else -1.0
    use = sign * y > 0
    if use.sum() < 2 or np.ptp(x[use]) == 0:
        return {"amplitude": float(y[0]) or 1.0, "rate": 1.0 / (float(np.ptp(x)) or 1.0)}
    slope, height = np.polyfit(x[use], np.log(sign * y[use]), 1, w=np.abs(y[use]))
    return {"amplitude": sign * float(np.exp(min(height, 600.0))), "rate": float(-slope)}


def _power_start(x: Any, y: Any) -> dict[str, float]:
    x, y = _ordered(x, y)
    sign = 1.0 if y.sum() >= 0 else -1.0
    use = (sign * y > 0) & (x > 0)
    if use.sum() < 2 or np.ptp(np.log(x[use])) == 0:
        return {"factor": float(np.median(y)) or 1.0, "exponent": 1.0}
    exponent, height = np.polyfit(np.log(x[use]), np.log(sign * y[use]), 1)
    return {"factor": sign * float(np.exp(min(height, 600.0))), "exponent": float(exponent)}


def _rise(x: np.ndarray, y: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Where the data pass the middle between two levels, and how long from a quarter to three quarters."""
    part = np.maximum.accumulate((y - low) / (high - low)) if high != low else np.linspace(0, 1, y.size)

    def place(q: float) -> float:
        return float(x[min(int(np.searchsorted(part, q)), x.size - 1)])

    spacing = float(np.ptp(x)) / max(y.size - 1, 1) or 1.0
    return place(0.5), max(place(0.75) - place(0.25), spacing)


def _step_start(x: Any, y: Any) -> dict[str, float]:
    x, y = _ordered(x, y)
    edge = max(1, int(EDGE * y.size))
    low, high = float(y[:edge].mean()), float(y[-edge:].mean())
    center, length = _rise(x, y, low, high)
    if abs(low) > abs(high):  # a fall: height/(1 + exp(+…)) with a negative width
        return {"height": low or 1.0, "center": center, "width": -length / 2.2}
    return {"height": high or 1.0, "center": center, "width": length / 2.2}


def _logistic_start(x: Any, y: Any) -> dict[str, float]:
    x, y = _ordered(x, y)
    limit = float(y[np.argmax(np.abs(y))]) or 1.0
    center, length = _rise(x, y, 0.0, limit)
    return {"limit": 1.05 * limit, "rate": 2.2 / length, "middle": center}


def _saturation_start(x: Any, y: Any) -> dict[str, float]:
    x, y = _ordered(x, y)
    limit = float(y[np.argmax(np.abs(y))]) or 1.0
    half, _ = _rise(x, y, 0.0, limit)
    return {"limit": 1.2 * limit, "half": half if half > 0 else float(np.ptp(x)) / 2 or 1.0}


def _sine_start(x: Any, y: Any) -> dict[str, float]:
    """The strongest frequency of a fine periodogram (Lomb 1976), then a linear fit of sine and cosine there."""
    x, y = _ordered(x, y)
    span = float(np.ptp(x)) or 1.0
    centred = y - y.mean()
    most = max(y.size / 2.0, 1.0) / span
    trials = np.linspace(0.25 / span, most, min(8 * y.size + 8, 4096))
    turn = 2.0 * np.pi * np.outer(trials, x - x[0])
    power = (np.cos(turn) @ centred) ** 2 + (np.sin(turn) @ centred) ** 2
    frequency = float(trials[int(np.argmax(power))])
    turn = 2.0 * np.pi * frequency * x
    (a, b), *_ = np.linalg.lstsq(np.column_stack([np.sin(turn), np.cos(turn)]), y, rcond=None)
    amplitude = float(np.hypot(a, b)) or 1.0
    return {"amplitude": amplitude, "frequency": frequency, "phase": float(np.arctan2(b, a))}
