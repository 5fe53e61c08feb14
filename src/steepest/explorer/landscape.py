"""Two parameters: heights over a window of the plane, and the ways that real methods take down from one start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .subject import Subject

Array = np.ndarray[Any, np.dtype[Any]]

# Methods that choose their own step: one run each, by the library's own driver.
OWN_STEP = (
    ("newton", "slope and curvature, both exact"),
    ("bfgs", "learns the curvature on the way"),
    ("l-bfgs", "learns it from the last steps only"),
)
MOST_OWN_STEPS = 200
# Places tried around an end point, and how far around, as a share of the window.
TRIES, TRY_RADIUS = 1_000, 0.05
# Share of the span of what is to be seen, left free on every side.
MARGIN = 0.3
# Distances in units of the start's size. A walk beyond the first is taken for one without an end: no picture could
# show both its ends. Of such a walk as much is shown as lies within the second.
RAN_AWAY, SETS_OUT = 1e8, 10.0


@dataclass(frozen=True)
class Path:
    """One walk: `x` (k, n), `f` (k,), evaluations spent up to each iterate (k,), and why it ended."""

    method: str
    x: Array
    f: Array
    evaluations: Array
    reason: str


def heights(
    subject: Subject, base: Array, axes: tuple[int, int], window: Sequence[float], size: tuple[int, int]
) -> Array:
    """Cost over the window (left, right, bottom, top) of the plane of two parameters, shape (rows, columns).

    Row 0 is at the bottom. The other parameters stay as in `base`, shape (n,).
    """
    left, right, bottom, top = window
    across, up = np.meshgrid(np.linspace(left, right, size[0]), np.linspace(bottom, top, size[1]))
    places = np.tile(base, (across.size, 1))
    places[:, axes[0]], places[:, axes[1]] = across.ravel(), up.ravel()
    return subject.values(places).reshape(across.shape)


def own_step_paths(subject: Subject, start: Array) -> list[Path]:
    """The walks of the methods that need no rate, as far as this version of the library has them."""
    from ..errors import InputError
    from ..solvers import plan_for

    paths = []
    for name, _ in OWN_STEP:
        try:
            plan = plan_for(name, {})
        except InputError:
            continue
        paths.append(walk(subject, start, plan, MOST_OWN_STEPS))
    return paths


def walk(subject: Subject, start: Array, plan: Any, most: int) -> Path:
    """One method's walk from `start`, shape (n,)."""
    from ..budget import Budget
    from ..problem import pose
    from ..solvers import drive

    problem = pose(
        subject.fun,
        subject.structure(start),
        (),
        jac=None,
        hess=None,
        bounds=None,
        fixed=None,
        derivatives="auto" if subject.derivatives == "exact" else "numeric",
        budget=Budget(),
    )
    run = drive(plan.solver, problem.objective, problem.start, tolerance=plan.tolerance(None), max_steps=most)
    history = run.history
    return Path(run.solver, history.x, history.value, history.evaluations, run.reason)


def window_for(subject: Subject, start: Array, axes: tuple[int, int]) -> tuple[float, float, float, float]:
    """A window that shows the start and the way down from it: left, right, bottom, top."""
    from ..solvers import plan_for

    path = walk(subject, start, plan_for("bfgs", {}), MOST_OWN_STEPS)
    places = path.x[:, list(axes)]
    places = places[np.isfinite(places).all(axis=1)]
    # Of a walk that runs away without end, only how it sets out.
    here = start[list(axes)]
    away = np.abs(places - here).max(axis=1, initial=0.0)
    scale = max(1.0, float(np.abs(here).max()))
    endless = bool(away.max(initial=0.0) > RAN_AWAY * scale)
    if endless:
        places = places[away <= SETS_OUT * scale]
    ends = np.array([here, places[-1] if len(places) else here])
    # A line search may leap far away before it settles; only what lies about as near as start and end is shown.
    low, high = ends.min(axis=0), ends.max(axis=0)
    reach = np.maximum(high - low, 0.5 * float((high - low).max()))
    near = ((places >= low - reach) & (places <= high + reach)).all(axis=1)
    points = np.concatenate([ends, places[near]])
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.maximum(high - low, 1e-3 * np.maximum(np.abs(low), np.abs(high)))
    if not (high - low).any():
        span = np.maximum(np.abs(start[list(axes)]), 1.0)
    # A walk along one axis, at zero of the other, says nothing of the other's size.
    span[span == 0] = span.max()
    if endless or span.max() < 5 * span.min():  # of one kind: to one scale, nearly
        span = np.maximum(span, 0.4 * span.max())
    middle = 0.5 * (low + high)
    half = (0.5 + MARGIN) * span
    edges = (middle[0] - half[0], middle[0] + half[0], middle[1] - half[1], middle[1] + half[1])
    left, right, bottom, top = (float(f"{edge:.3g}") for edge in edges)
    return left, right, bottom, top


def lower_nearby(subject: Subject, x: Array, radius: Array, value: float) -> tuple[int, float]:
    """How many of `TRIES` places around `x` were tried, and the lowest cost among them less `value`."""
    random = np.random.default_rng(0)
    places = x + radius * random.uniform(-1.0, 1.0, (TRIES, x.size))
    found = subject.values(places)
    finite = found[np.isfinite(found)]
    return len(found), float(finite.min() - value) if finite.size else float("nan")


def basins(
    subject: Subject,
    base: Array,
    axes: tuple[int, int],
    window: Sequence[float],
    count: int,
    stopped: Callable[[], bool],
) -> Any:
    """Where walks from a grid of `count` × `count` starts end: yields (starts, ends, values), growing.

    `starts` (k, 2), `ends` (k, 2), `values` (k,).
    """
    from ..solvers import plan_for

    left, right, bottom, top = window
    # Middles of the cells of the map.
    shares = (np.arange(count) + 0.5) / count
    across, up = left + shares * (right - left), bottom + shares * (top - bottom)
    starts, ends, values = [], [], []
    for row, y in enumerate(up):
        for x in across:
            start = base.copy()
            start[list(axes)] = (x, y) if len(axes) == 2 else (x,)
            path = walk(subject, start, plan_for("bfgs", {}), MOST_OWN_STEPS)
            lowest = int(np.nanargmin(path.f)) if np.isfinite(path.f).any() else 0
            starts.append((x, y))
            ends.append(path.x[lowest, list(axes)])
            values.append(path.f[lowest])
            if stopped():
                return
        if row % 2 or row == count - 1:
            yield np.array(starts), np.array(ends), np.array(values)
