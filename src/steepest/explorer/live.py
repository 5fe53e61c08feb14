"""A run file followed for the page: thinned with its least and greatest kept, gaps and trouble shown, age told."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import InputError
from ..runs import COMMANDS, RunReader, ask
from .frames import pack

Array = np.ndarray[Any, np.dtype[Any]]

# Seconds between two looks at the file.
LOOK_EVERY = 0.25
# Numbers that every step may carry, each a curve of its own.
CURVES = ("value", "gradient_norm", "step_length", "rate", "validation", "seconds", "evaluations")
# Points of a curve that go to the page: more than a screen has columns.
MOST_POINTS = 2_000
# Steps over which the pace is measured, for the time left.
PACE_STEPS = 200
MOST_GROUPS = 24


class Follower:
    """Follows one run file for any number of pages."""

    def __init__(self, path: str) -> None:
        self.path = path

    async def follow(self, question: Mapping[str, Any], send: Callable[[bytes], Any]) -> None:
        """Send the run as it stands, and again whenever it grows; the age of the data twice a second."""
        reader = RunReader(self.path)
        first, quiet = True, 0
        while True:
            fresh = await asyncio.to_thread(reader.read)
            if fresh or first:
                header, arrays = picture(reader)
                await send(pack({"id": question.get("id"), **header}, arrays))
                first, quiet = False, 0
            elif (quiet := quiet + 1) % 2 == 0:
                await send(pack({"id": question.get("id"), "age": reader.age()}))
            await asyncio.sleep(LOOK_EVERY)

    def command(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Pass a command on to a job that opted in."""
        command = question.get("command")
        if command not in COMMANDS:
            return {"error": {"message": f"there is no command {str(command)[:40]!r}"}}
        reader = RunReader(self.path)
        reader.read()
        if not reader.record.header.get("steerable"):
            return {
                "error": {"message": "this run takes no commands: it was not started with steerable=True"}
            }
        try:
            ask(self.path, str(command))
        except (InputError, OSError) as error:
            return {"error": {"message": str(error)}}
        return {"asked": command}


def picture(reader: RunReader) -> tuple[dict[str, Any], dict[str, Array]]:
    """The run as a header and curves, each `step:NAME`, `NAME` of at most `MOST_POINTS` points."""
    record = reader.record
    steps = record.column("step")
    arrays: dict[str, Array] = {}
    for name in CURVES:
        # A number that a step does not tell is no gap in its curve: validation comes once an epoch.
        told = np.array([name in row for row in record.steps], dtype=bool)
        values = record.column(name)[told]
        if np.isfinite(values).any() or (name == "value" and len(values)):
            kept = thinned(values, MOST_POINTS)
            arrays[f"step:{name}"], arrays[name] = steps[told][kept], values[kept]
    last = record.steps[-1] if record.steps else {}
    header = {
        "header": {key: record.header.get(key) for key in ("kind", "label", "n", "started", "steerable")},
        "settings": record.header.get("settings", {}),
        "count": len(record.steps),
        "last": {name: value for name, value in last.items() if name not in ("x", "groups")},
        "groups": _groups(next((row for row in reversed(record.steps) if row.get("groups")), {})),
        "trouble": _trouble(record.steps),
        "events": record.events[-50:],
        "end": record.end,
        "damaged": record.damaged,
        "restarts": reader.restarts,
        "age": reader.age(),
        "pace": _pace(record),
    }
    return header, arrays


def thinned(values: Array, most: int) -> Array:
    """Indices of at most `most` entries: the least, the greatest and the first not finite of every stretch.

    Averages would hide a spike, and every k-th entry could miss it.

    >>> values = np.zeros(10_000); values[5_432] = 7.0
    >>> 5_432 in thinned(values, 100)
    True
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    edges = np.linspace(0, count, max(most // 3, 1) + 1).astype(int)
    kept = {0, count - 1}
    for low, high in pairwise(edges.tolist()):
        part = values[low:high]
        finite = np.isfinite(part)
        if not finite.all():
            kept.add(low + int(np.argmin(finite)))
        if finite.any():
            kept.add(low + int(np.argmin(np.where(finite, part, np.inf))))
            kept.add(low + int(np.argmax(np.where(finite, part, -np.inf))))
    return np.array(sorted(kept))


def _groups(last: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Gradient, step, and step over size of each parameter group at the last step."""
    rows = []
    for name, numbers in list(dict(last.get("groups") or {}).items())[:MOST_GROUPS]:
        if isinstance(numbers, Mapping):
            step, size = numbers.get("step"), numbers.get("size")
            ratio = step / size if isinstance(step, float) and isinstance(size, float) and size else None
            rows.append(
                {"name": str(name), "gradient": numbers.get("gradient"), "step": step, "ratio": ratio}
            )
    return rows


def _trouble(steps: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first step whose cost is not finite, with the parameter groups that are not, and the last finite cost."""
    before = None
    for row in steps:
        value = row["value"]
        if not math.isfinite(value):
            groups = [
                str(name)
                for name, numbers in dict(row.get("groups") or {}).items()
                if isinstance(numbers, Mapping)
                and any(isinstance(v, float) and not math.isfinite(v) for v in numbers.values())
            ]
            return {"step": row["step"], "value": str(value), "before": before, "groups": groups}
        before = value
    return None


def _pace(record: Any) -> dict[str, Any] | None:
    """Steps and evaluations a second over the last steps, and how long the rest takes where the end is known."""
    rows = [row for row in record.steps[-PACE_STEPS:] if "seconds" in row]
    if len(rows) < 3 or not rows[-1]["seconds"] > rows[0]["seconds"]:
        return None
    span = rows[-1]["seconds"] - rows[0]["seconds"]
    pace: dict[str, Any] = {"steps": (rows[-1]["step"] - rows[0]["step"]) / span}
    if "evaluations" in rows[0] and "evaluations" in rows[-1]:
        pace["evaluations"] = (rows[-1]["evaluations"] - rows[0]["evaluations"]) / span
    total = dict(record.header.get("settings") or {}).get("steps")
    if isinstance(total, int | float) and pace["steps"] > 0 and record.end is None:
        left = max(total - rows[-1]["step"], 0)
        each = np.diff([row["seconds"] for row in rows])
        # Independent times of steps: their sum is uncertain by sqrt(count) times the spread of one.
        pace["left"] = left / pace["steps"]
        pace["left_uncertain"] = float(np.std(each) * math.sqrt(left) + 0.02 * pace["left"])
    return pace
