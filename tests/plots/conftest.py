"""Records written by hand, so that a picture is tested without a solver."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from steepest.results import Slope, SlopePoint


def direction(slope: float) -> str:
    return "falling" if slope < 0 else "rising" if slope > 0 else "flat"


def slope_record(curve, derivative, places, label, name="x") -> Slope:
    points = tuple(
        SlopePoint(float(at), float(curve(at)), float(derivative(at)), direction(derivative(at)))
        for at in places
    )
    return Slope(points, (name,), None, curve, "exact", label)


@pytest.fixture
def lesson() -> Slope:
    return slope_record(lambda x: x**2 - 2 * x + 3, lambda x: 2 * x - 2, [-1.0, 1.0, 3.0], "x**2 - 2*x + 3")


@pytest.fixture
def wiggle() -> Slope:
    return slope_record(
        lambda x: np.sin(3 * x) + 0.1 * x**2,
        lambda x: 3 * np.cos(3 * x) + 0.2 * x,
        [-2.0, -0.4, 0.6, 1.9],
        "sin(3*x) + 0.1*x**2",
    )


@pytest.fixture
def kink() -> Slope:
    point = SlopePoint(0.0, 0.0, np.nan, "no slope here", -1.0, 1.0)
    return Slope((point,), ("x",), None, np.abs, "exact", "abs(x)")


@pytest.fixture
def plane() -> Slope:
    """Three parameters, one place."""
    at = {"limit": 100.0, "rate": 1.0, "middle": 5.0}
    slopes = {"limit": -12.5, "rate": 310.0, "middle": 0.0}
    words = {name: direction(value) for name, value in slopes.items()}
    return Slope((SlopePoint(at, 42.0, slopes, words),), tuple(at), None, None, "exact", "growth")


def history_of(xs, gradients, values, evaluations) -> SimpleNamespace:
    xs, gradients, values = (np.asarray(rows, dtype=float) for rows in (xs, gradients, values))
    steps = np.diff(xs, axis=0)
    return SimpleNamespace(
        value=values,
        gradient_norm=np.linalg.norm(gradients, axis=1),
        step_length=np.concatenate([[0.0], np.linalg.norm(steps, axis=1)]),
        evaluations=np.asarray(evaluations),
        seconds=np.linspace(0, 0.01, len(values)),
        kept=np.arange(len(values)),
        x=xs,
        gradient=gradients,
        step=steps,
    )


def result_record(cost, x, history, label, names) -> SimpleNamespace:
    return SimpleNamespace(
        x=x, fun=float(history.value[-1]), verdict="global minimum", history=history, label=label, names=names,
        cost=cost, derivatives="exact", evidence=(), nfev=int(history.evaluations[-1]),
    )  # fmt: skip


@pytest.fixture
def walk_down() -> SimpleNamespace:
    """Gradient descent with rate 0.1 on the lesson's parabola, from 3."""
    cost, slope = lambda x: x**2 - 2 * x + 3, lambda x: 2 * x - 2
    xs = 1 + 2 * 0.8 ** np.arange(80)
    history = history_of(xs[:, None], slope(xs)[:, None], cost(xs), np.arange(80) + 1)
    return result_record(cost, float(xs[-1]), history, "x**2 - 2*x + 3", ("x",))


@pytest.fixture
def valley() -> SimpleNamespace:
    """A walk through the Rosenbrock valley, by BFGS."""
    from scipy.optimize import minimize, rosen, rosen_der

    xs = [np.array([-1.2, 1.0])]
    minimize(rosen, xs[0], jac=rosen_der, method="BFGS", callback=lambda x: xs.append(x.copy()))
    history = history_of(xs, [rosen_der(x) for x in xs], [rosen(x) for x in xs], 1 + 2 * np.arange(len(xs)))
    return result_record(lambda p: rosen([p["x"], p["y"]]), {"x": xs[-1][0], "y": xs[-1][1]}, history,
                         "(1-x)**2 + 100*(y-x**2)**2", ("x", "y"))  # fmt: skip


@pytest.fixture
def many() -> SimpleNamespace:
    """Fifty parameters, a cost whose lowest value is not zero."""
    curvature = np.linspace(1, 50, 50)
    xs = np.ones(50) * (1 - curvature / 51)[None, :] ** np.arange(60)[:, None]
    values = 0.5 * (curvature * xs**2).sum(1) - 7
    history = history_of(xs, curvature * xs, values, 1 + np.arange(60) * 3)
    return result_record(None, xs[-1], history, "bowl", tuple(f"x[{i}]" for i in range(50)))
