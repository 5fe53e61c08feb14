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


class LineFit:
    """A straight line through data by the normal equations: everything about it is known in closed form."""

    verdict, label, noise = "global minimum", "a + b*t", "unknown"
    names, moving = ("a", "b"), np.array([0, 1])

    def __init__(self, x, y, sigma=None):
        self.x, self.y, self.sigma = x, y, sigma
        X = np.column_stack([np.ones_like(x), x])
        weights = np.ones_like(y) if sigma is None else 1 / sigma**2
        inverse = np.linalg.inv(X.T @ (weights[:, None] * X))
        best = inverse @ X.T @ (weights * y)
        self.fitted = X @ best
        self.degrees_of_freedom = len(y) - 2
        self.variance = float(weights @ (y - self.fitted) ** 2) / self.degrees_of_freedom
        self.covariance = inverse * self.variance
        self.values = dict(zip(self.names, best.tolist(), strict=True))
        self.errors = dict(zip(self.names, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))
        self.correlation = self.covariance / np.outer(*[np.sqrt(np.diag(self.covariance))] * 2)

    def predict(self, x, *, band=None, dataset=0):
        from scipy.stats import t

        x = np.asarray(x, dtype=float)
        value = self.values["a"] + self.values["b"] * x
        if band is None:
            return value
        X = np.column_stack([np.ones_like(x), x])
        spread = np.einsum("ij,jk,ik->i", X, self.covariance, X)
        if band == "prediction":
            spread = spread + self.variance
        half = t.ppf(0.975, self.degrees_of_freedom) * np.sqrt(spread)
        return SimpleNamespace(value=value, lower=value - half, upper=value + half)

    def profile(self, name, *, level=0.95, points=0):
        from scipy.stats import t

        best, error = self.values[name], self.errors[name]
        factor = t.ppf((1 + level) / 2, self.degrees_of_freedom)
        root = np.union1d(np.linspace(-1.5 * factor, 1.5 * factor, max(points, 5)), [-factor, 0.0, factor])
        return SimpleNamespace(
            name=name, best=best, level=level, lower=best - factor * error, upper=best + factor * error,
            values=best + root * error, root=root,
        )  # fmt: skip

    def contour(self, first, second, *, points=21, reach=3.5):
        grids = [
            self.values[name] + np.linspace(-reach, reach, points) * self.errors[name]
            for name in (first, second)
        ]
        pair = [self.names.index(first), self.names.index(second)]
        inverse = np.linalg.inv(self.covariance[np.ix_(pair, pair)])
        a, b = np.meshgrid(grids[0] - self.values[first], grids[1] - self.values[second])
        d = np.stack([a.ravel(), b.ravel()])
        return *grids, np.einsum("ik,ij,jk->k", d, inverse, d).reshape(a.shape)


@pytest.fixture
def line_fit() -> LineFit:
    rng = np.random.default_rng(5)
    x = np.linspace(0, 10, 30)
    return LineFit(x, 2 + 0.7 * x + rng.normal(size=30))


@pytest.fixture
def weighted_fit() -> LineFit:
    rng = np.random.default_rng(6)
    x = np.linspace(0, 10, 12)
    sigma = np.linspace(0.2, 1.5, 12)
    return LineFit(x, 2 + 0.7 * x + sigma * rng.normal(size=12), sigma)
