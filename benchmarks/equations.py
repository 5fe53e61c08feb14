"""Curves that are integrals, roots or solutions of differential equations, computed by SciPy inside the model.

*To 4 digits*, *to 6*: fits whose every parameter is within 1e-4, 1e-6 of the truth: that of the same curve in closed
form where it has one, else that of the same model to 1e-12, each fitted until nothing changes. *False success*: claims
success, not within 1e-4 (SciPy claims it by giving an answer). The *tightened* contestant is given models that ask
SciPy for 1e-10. Seconds of CPU time of all fits together, cold, imports not counted, and of the same fits once more.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.integrate import odeint, quad, solve_ivp
from scipy.optimize import brentq, curve_fit, least_squares
from scipy.special import exp1, lambertw

Model = Callable[..., Any]


class Curve(NamedTuple):
    """A model of x and parameters, made for a tolerance, SciPy's or a tighter one; its closed form, if any."""

    model: Callable[[dict[str, float]], Model]
    closed: Model | None
    x: np.ndarray
    truth: tuple[float, ...]
    start: tuple[float, ...]


def _chain(settings: dict[str, float]) -> Model:
    def model(t: Any, k1: float, k2: float) -> Any:
        return odeint(lambda y, t: [-k1 * y[0], k1 * y[0] - k2 * y[1]], [1.0, 0.0], t, **settings)[:, 1]

    return model


def _growth(settings: dict[str, float]) -> Model:
    def model(t: Any, rate: float, most: float, first: float) -> Any:
        path = solve_ivp(lambda t, y: rate * y * (1 - y / most), (0, 10), [first], t_eval=t, **settings)
        return path.y[0]

    return model


def _swing(settings: dict[str, float]) -> Model:
    def model(t: Any, stiffness: float, friction: float, first: float) -> Any:
        def rates(t: Any, y: Any) -> Any:
            return [y[1], -stiffness * y[0] - friction * y[1]]

        return solve_ivp(rates, (0, 12), [first, 0.0], t_eval=t, **settings).y[0]

    return model


def _swing_closed(t: Any, stiffness: float, friction: float, first: float) -> Any:
    w = np.sqrt(stiffness - friction**2 / 4)
    return first * np.exp(-friction * t / 2) * (np.cos(w * t) + friction / (2 * w) * np.sin(w * t))


def _prey(settings: dict[str, float]) -> Model:
    def model(t: Any, a: float, b: float, c: float, d: float) -> Any:
        def rates(t: Any, y: Any) -> Any:
            return [a * y[0] - b * y[0] * y[1], d * y[0] * y[1] - c * y[1]]

        return solve_ivp(rates, (0, 10), [1.0, 1.0], t_eval=t, **settings).y[0]

    return model


def _fast(settings: dict[str, float]) -> Model:
    def model(t: Any, fast: float, slow: float) -> Any:
        def rates(t: Any, y: Any) -> Any:
            return [-1e4 * fast * (y[0] - y[1]), -slow * y[1]]

        return solve_ivp(rates, (0, 8), [0.0, 2.0], "LSODA", t_eval=t, **settings).y[0]

    return model


def _fast_closed(t: Any, fast: float, slow: float) -> Any:
    k = 1e4 * fast
    return 2.0 * k / (k - slow) * (np.exp(-slow * t) - np.exp(-k * t))


def _epidemic(settings: dict[str, float]) -> Model:
    def model(t: Any, contact: float, recovery: float) -> Any:
        def rates(y: Any, t: Any) -> Any:
            new = contact * y[0] * y[1]
            return [-new, new - recovery * y[1]]

        return odeint(rates, [0.99, 0.01], t, **settings)[:, 1]

    return model


def _extinction(settings: dict[str, float]) -> Model:
    tight = {"epsabs": settings["atol"], "epsrel": settings["rtol"]} if settings else {}

    def model(x: Any, scale: float, rate: float) -> Any:
        return np.array([scale * quad(lambda t: np.exp(-rate * t) / t, at, np.inf, **tight)[0] for at in x])

    return model


def _diode(settings: dict[str, float]) -> Model:
    def model(voltage: Any, saturation: float, resistance: float) -> Any:
        def excess(current: float, v: float) -> float:
            return current - 1e-6 * saturation * np.expm1((v - current * resistance) / 0.05)

        return np.array([brentq(excess, -1.0, 10.0, args=(v,)) for v in voltage])

    return model


def _diode_closed(voltage: Any, saturation: float, resistance: float) -> Any:
    s, n = 1e-6 * saturation, 0.05
    inner = s * resistance / n * np.exp((voltage + s * resistance) / n)
    return n / resistance * lambertw(inner).real - s


def curves() -> dict[str, Curve]:
    """Eight curves."""
    t = np.linspace(0, 12, 25)
    return {
        "reaction A → B → C": Curve(
            _chain,
            lambda t, k1, k2: k1 / (k2 - k1) * (np.exp(-k1 * t) - np.exp(-k2 * t)),
            t,
            (0.9, 0.3),
            (0.5, 0.5),
        ),
        "logistic growth": Curve(
            _growth,
            lambda t, rate, most, first: most / (1 + (most / first - 1) * np.exp(-rate * t)),
            np.linspace(0, 10, 21),
            (0.8, 5.0, 0.3),
            (0.5, 4.0, 0.5),
        ),
        "damped swing": Curve(_swing, _swing_closed, t, (2.0, 0.3, 1.5), (1.6, 0.1, 1.0)),
        "prey and predator": Curve(
            _prey, None, np.linspace(0, 10, 40), (1.0, 0.5, 1.0, 0.3), (0.8, 0.4, 0.8, 0.4)
        ),
        "a rate 10⁴ times another": Curve(
            _fast, _fast_closed, np.array([2e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1, 2, 4, 8]), (1.0, 0.4), (0.5, 0.8)
        ),
        "epidemic": Curve(_epidemic, None, np.linspace(0, 40, 30), (0.6, 0.2), (0.4, 0.1)),
        "exponential integral": Curve(
            _extinction,
            lambda x, scale, rate: scale * exp1(rate * x),
            np.linspace(0.3, 3, 20),
            (2.5, 1.5),
            (1.0, 1.0),
        ),
        "diode with a resistance": Curve(
            _diode, _diode_closed, np.linspace(0.4, 1.2, 20), (2.0, 0.5), (1.0, 1.0)
        ),
    }


TIGHT = {"rtol": 1e-10, "atol": 1e-12}
TIGHTEST = {"rtol": 1e-12, "atol": 1e-14}


def table(peers: bool) -> tuple[list[str], list[list[Any]], str]:
    """One row for each contestant."""
    rng = np.random.default_rng(0)
    tasks = []
    for curve in curves().values():
        plain = curve.closed or curve.model(TIGHTEST)
        clean = plain(curve.x, *curve.truth)
        y = clean + 0.02 * np.ptp(clean) * rng.standard_normal(curve.x.size)
        tasks.append((curve, y, _fitted_to_the_end(plain, curve, y)))
    # What is imported when first needed is so before any clock runs.
    _run(
        "steepest.fit",
        Curve(lambda _: lambda x, a: a * x, None, np.arange(3.0), (1.0,), (0.5,)),
        np.arange(3.0),
    )
    contestants = (
        ["steepest.fit", "SciPy curve_fit", "SciPy curve_fit, tightened"] if peers else ["steepest.fit"]
    )
    rows = []
    for name in contestants:
        found = [_run(name, curve, y) for curve, y, _ in tasks]
        off = np.array(
            [np.max(np.abs(p / truth - 1)) for (p, _, _, _), (_, _, truth) in zip(found, tasks, strict=True)]
        )
        claims = np.array([claimed for _, claimed, _, _ in found])
        rows.append(
            [
                name,
                len(found),
                int((off <= 1e-4).sum()),
                int((off <= 1e-6).sum()),
                int((claims & ~(off <= 1e-4)).sum()),
                sum(cold for _, _, cold, _ in found),
                sum(warm for _, _, _, warm in found),
            ]
        )
    header = ["method", "curves", "to 4 digits", "to 6", "false success", "seconds", "once more"]
    return header, rows, f"The curves: {', '.join(curves())}."


def _fitted_to_the_end(plain: Model, curve: Curve, y: np.ndarray) -> np.ndarray:
    scale = np.array(curve.truth)
    found = scale
    for _ in range(3):
        found = (
            least_squares(
                lambda p: plain(curve.x, *(p * scale)) - y,
                found / scale,
                jac="3-point",
                xtol=1e-15,
                ftol=1e-15,
                gtol=1e-15,
            ).x
            * scale
        )
    return np.array(found)


def _run(name: str, curve: Curve, y: np.ndarray) -> tuple[np.ndarray, bool, float, float]:
    """Parameters, whether success was claimed, and CPU seconds of the first fit and the second."""
    import steepest

    model = curve.model(TIGHT if name.endswith("tightened") else {})
    seconds = []
    for _ in range(2):
        began = time.process_time()
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if name == "steepest.fit":
                fitted = steepest.fit(model, curve.x, y, curve.start)
                p, claimed = np.asarray(fitted.params), bool(fitted.success)
            else:
                try:
                    p, claimed = curve_fit(model, curve.x, y, curve.start)[0], True
                except (RuntimeError, ValueError):
                    p, claimed = np.full(len(curve.start), np.nan), False
        seconds.append(time.process_time() - began)
    return p, claimed, seconds[0], seconds[1]
