"""Answers about a saved run: planes and lines through its path, refined in place, with the price named first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import InputError
from ..runs import RunRecord, read_run
from .planes import KINDS, Plane, plane, sharpest
from .subject import Subject

Array = np.ndarray[Any, np.dtype[Any]]
Answer = tuple[dict[str, Any], dict[str, Array]]

# Grids of a plane, coarse to fine; each is a picture of its own while the next is computed.
GRIDS = (5, 11, 21, 41)
# Above this many points of a path the plane shows every second, every fourth, ... of them.
MOST_SHOWN = 400
# Share of the path's extent left free on every side.
MARGIN = 0.35
LINE_SAMPLES = 81
# Rows of the grid computed between two looks for a stop.
ROWS_AT_A_TIME = 64


def plane_answers(desk: Any, question: Mapping[str, Any], stopped: Callable[[], bool]) -> Iterator[Answer]:
    """Heights over a plane of the run in `desk.run`, with the path and its true costs."""
    record, subject = _run_of(desk)
    points, values, steps = _shown(record)
    laid = _laid(question, subject, points)
    window = _window_of(laid.path)
    began = time.perf_counter()
    subject.values(points[-1:])
    subject.values(points[-1:])
    each = (time.perf_counter() - began) / 2
    last = int(question.get("finest", GRIDS[-1])) if question.get("finest") in GRIDS else GRIDS[-1]
    head = {
        "window": list(window),
        "share": laid.share,
        "kind": question.get("kind", "path"),
        "label": subject.label,
        "names": subject.names[:1000],
        "n": subject.n,
        "evaluations": last * last,
        "seconds": each * last * last,
        "coarse_seconds": each * GRIDS[0] ** 2,
    }
    arrays = {
        "path": laid.path,
        "true": values,
        "steps": steps.astype(np.int32),
        "distance": laid.distance,
        "under": subject.values(laid.places(laid.path)),
    }
    yield {**head, "size": 0, "finished": False}, arrays
    for size in (size for size in GRIDS if size <= last):
        xs = np.linspace(window[0], window[1], size)
        ys = np.linspace(window[2], window[3], size)
        across, up = np.meshgrid(xs, ys)
        flat = np.stack([across.ravel(), up.ravel()], axis=1)
        f = np.full(len(flat), np.nan)
        for at in range(0, len(flat), ROWS_AT_A_TIME):
            f[at : at + ROWS_AT_A_TIME] = subject.values(laid.places(flat[at : at + ROWS_AT_A_TIME]))
            if stopped():
                return
        grid = f.reshape(size, size).astype(np.float32)
        yield {**head, "size": size, "finished": size == last}, {**arrays, "f": grid}


def line_answers(desk: Any, question: Mapping[str, Any], stopped: Callable[[], bool]) -> Iterator[Answer]:
    """Cost along three lines through the end of the run, with the slope of the cost along each."""
    record, subject = _run_of(desk)
    points, _, _ = _shown(record)
    end = points[-1]
    _, slopes = subject.values_and_slopes(end[None])
    extent = float(np.linalg.norm(points - end, axis=1).max()) or max(1.0, float(np.linalg.norm(end)))
    lines: list[tuple[str, Array]] = []
    slope = slopes[0]
    length = float(np.linalg.norm(slope))
    if np.isfinite(length) and length > 0:
        lines.append(("against the slope", -slope / length))
    step = end - points[-2]
    if np.linalg.norm(step) > 0:
        lines.append(("along the last step", step / np.linalg.norm(step)))
    directions, curvatures = sharpest(lambda places: subject.values_and_slopes(places)[1], end)
    lines.append((f"the sharpest direction, curvature {curvatures[0]:.3g}", directions[0]))
    t = np.linspace(-0.5 * extent, 0.5 * extent, LINE_SAMPLES)
    arrays: dict[str, Array] = {"t": t}
    for k, (_, direction) in enumerate(lines):
        places = end + t[:, None] * direction
        f, g = subject.values_and_slopes(places)
        arrays |= {f"f{k}": f, f"slope{k}": g @ direction}
        if stopped():
            return
    yield {"lines": [name for name, _ in lines], "label": subject.label, "finished": True}, arrays


def _run_of(desk: Any) -> tuple[RunRecord, Subject]:
    if desk.run is None:
        raise InputError("no run was named on the command line")
    record = read_run(desk.run)
    subject = desk.from_command_line()
    if subject is None:
        header = record.header
        if not header.get("expression"):
            raise InputError(
                f"the run holds the name of its cost, {header.get('label')}, and not the cost: name it on the "
                "command line, steepest explore RUN --cost FILE.py:FUNC"
            )
        subject = desk.subject({"of": {"text": str(header["label"])}})
    if int(record.header.get("n", 0)) != subject.n:
        raise InputError(
            f"the run has {record.header.get('n')} parameters and {subject.label} has {subject.n}"
        )
    if len(record.points) < 2:
        raise InputError("the run holds fewer than two points: there is no path to look at yet")
    return record, subject


def _shown(record: RunRecord) -> tuple[Array, Array, Array]:
    """Points (k, n), their true costs (k,) and their steps (k,), thinned evenly; the last is the lowest."""
    n = int(record.header.get("n", 1))
    rows = [row for row in record.steps if len(row.get("x", ())) == n]
    rows = [row for row in rows if np.isfinite(row["x"]).all()]
    finite = [row["value"] if np.isfinite(row["value"]) else np.inf for row in rows]
    best = len(finite) - 1 - int(np.argmin(finite[::-1]))
    rows = rows[: best + 1] if best > 0 else rows
    stride = max(1, -(-len(rows) // MOST_SHOWN))
    rows = rows[::-1][::stride][::-1]
    points = np.array([row["x"] for row in rows], dtype=np.float64)
    values = np.array([row["value"] for row in rows], dtype=np.float64)
    return points, values, np.array([row["step"] for row in rows])


def _laid(question: Mapping[str, Any], subject: Subject, points: Array) -> Plane:
    kind = question.get("kind", "path")
    if kind not in KINDS:
        raise InputError(f"there is no plane {str(kind)[:40]!r}; there are {', '.join(KINDS)}")
    directions = None
    if kind == "curvature":
        directions, _ = sharpest(lambda places: subject.values_and_slopes(places)[1], points[-1])
        if len(directions) < 2:
            raise InputError("a plane needs two parameters at least")
    elif kind == "parameters":
        axes = question.get("axes", [0, 1])
        if not isinstance(axes, list) or len(axes) != 2 or not all(_is_axis(a, subject.n) for a in axes):
            raise InputError("name two different parameters of the run")
        directions = np.zeros((2, subject.n))
        directions[0, axes[0]] = directions[1, axes[1]] = 1.0
    return plane(points, kind, directions)


def _is_axis(axis: Any, n: int) -> bool:
    return isinstance(axis, int) and 0 <= axis < n


def _window_of(path: Array) -> tuple[float, float, float, float]:
    low, high = path.min(axis=0), path.max(axis=0)
    span = high - low
    span = np.maximum(span, max(0.35 * float(span.max()), 1e-9))
    middle, half = 0.5 * (low + high), (0.5 + MARGIN) * span
    return (
        float(middle[0] - half[0]),
        float(middle[0] + half[0]),
        float(middle[1] - half[1]),
        float(middle[1] + half[1]),
    )
