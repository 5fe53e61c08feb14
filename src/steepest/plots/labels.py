"""Find room for a label: the place beside its point that hides least of the lines and other labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

Points = np.ndarray

# Directions tried around a point, in degrees; straight below and above first: curves leave room there.
ANGLES = (270, 90, 300, 240, 60, 120, 330, 210, 30, 150, 0, 180)
# Distances tried between a point and the label's nearest edge, in points (1/72 inch).
DISTANCES = (7.0, 11.0, 16.0, 23.0, 32.0, 42.0)
# Room kept free around a label, in points: a line that touches a letter makes it another letter.
MARGIN = 2.5
# Lines are followed in steps of this many points when looking for what a label would hide.
LINE_STEP = 1.5
# What a label costs: for each step of a line it hides, for leaving the axes, for standing on the side where
# the curve is, for each point of distance, for each place down the list of angles.
HIDING, LEAVING, WRONG_SIDE, DISTANCE, LATER = 30.0, 400.0, 60.0, 0.2, 0.2


@dataclass
class Room:
    """What already stands in the axes, in display coordinates: points along lines, and boxes of labels."""

    ax: Any
    taken: list[Points] = field(default_factory=list)
    boxes: list[Any] = field(default_factory=list)

    def add_line(self, x: Any, y: Any) -> None:
        """Keep labels off the line through the given data coordinates."""
        corners = self.ax.transData.transform(np.column_stack([np.ravel(x), np.ravel(y)]))
        self.taken.append(_along(corners, LINE_STEP * self.pixel))

    @property
    def pixel(self) -> float:
        """Display units in one point."""
        return float(self.ax.figure.dpi / 72)

    def place(
        self, text: str, x: float, y: float, *, color: str, size: float, prefer: int | None = None
    ) -> Any:
        """Write `text` beside the data point (x, y) where it hides least; return the annotation.

        `prefer`: 90 for a place above the point, 270 for one below, where there is room.
        """
        label = self.ax.annotate(
            text.replace("$", r"\$"), (x, y), xytext=(0, 0), textcoords="offset points", ha="center", va="center",
            color=color, fontsize=size, annotation_clip=False,
        )  # fmt: skip
        label.set_in_layout(False)
        box = label.get_window_extent()
        width, height = box.width / self.pixel, box.height / self.pixel
        best = min(
            (self._cost(x, y, width, height, angle, distance, prefer), angle, distance)
            for angle in ANGLES
            for distance in DISTANCES
        )
        label.set_position(_offset(width, height, best[1], best[2]))
        self.boxes.append(label.get_window_extent())
        return label

    def _cost(
        self, x: float, y: float, width: float, height: float, angle: int, distance: float, prefer: int | None
    ) -> float:
        centre = self.ax.transData.transform((x, y)) + self.pixel * np.array(
            _offset(width, height, angle, distance)
        )
        half = self.pixel * (np.array([width, height]) / 2 + MARGIN)
        low, high = centre - half, centre + half
        frame = self.ax.get_window_extent()
        outside = max(frame.x0 - low[0], high[0] - frame.x1, frame.y0 - low[1], high[1] - frame.y1, 0.0)
        hidden = sum(int(np.all((line > low) & (line < high), axis=1).sum()) for line in self.taken)
        for box in self.boxes:
            across = min(high[0], box.x1) - max(low[0], box.x0)
            along = min(high[1], box.y1) - max(low[1], box.y0)
            hidden += int(max(across, 0) * max(along, 0))
        cost = HIDING * hidden + (LEAVING if outside > 0 else 0) + HIDING * outside + DISTANCE * distance
        upwards = np.sin(np.radians(angle))
        if prefer is not None and upwards * np.sin(np.radians(prefer)) < -1e-9:
            cost += WRONG_SIDE
        return float(cost + LATER * ANGLES.index(angle))


def _offset(width: float, height: float, angle: int, distance: float) -> tuple[float, float]:
    """Centre of a label whose edge is `distance` away from its point in the direction `angle`."""
    along, up = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return float(along * (distance + width / 2)), float(up * (distance + height / 2))


def _along(corners: Points, step: float) -> Points:
    """Points no further apart than `step` on the line through `corners`, shape (k, 2); gaps stay gaps."""
    pieces = []
    for start, stop in pairwise(corners):
        length = float(np.hypot(*(stop - start)))
        if np.isfinite(length):
            share = np.linspace(0, 1, min(max(int(length / step), 1), 4000), endpoint=False)[:, None]
            pieces.append(start + share * (stop - start))
    pieces.append(corners[-1:])
    return np.concatenate(pieces)
