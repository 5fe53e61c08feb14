"""Falling, flat, rising: one word, arrow, dash and colour for each, the same in every picture and table.

Red, yellow and green alone fail: to a reader without green cones the usual red and green nearly coincide. So
the word, the arrow and the dash carry the meaning and the colour only supports it; the colours are chosen to
stay apart under simulated protanopia, deuteranopia and tritanopia (Machado, Oliveira & Fernandes 2009).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """How one direction is shown.

    `dash` is a Matplotlib dash pattern, in multiples of the line width; () is an unbroken line, None no line
    at all. `light` and `dark` are the colours on a light and on a dark background.

    >>> MARKS["falling"].arrow, MARKS["rising"].dash
    ('↘', ())
    """

    word: str
    arrow: str
    dash: tuple[float, ...] | None
    light: str
    dark: str

    def color(self, *, dark: bool) -> str:
        """The colour for the background at hand."""
        return self.dark if dark else self.light


MARKS: dict[str, Mark] = {
    "falling": Mark("falling", "↘", (4.0, 1.6), "#A50F15", "#BF3039"),
    "flat": Mark("flat", "→", (1.0, 1.2), "#B8860B", "#D99D00"),
    "rising": Mark("rising", "↗", (), "#009E86", "#6DF2D8"),
    "no slope here": Mark("no slope here", "", None, "#3A3F47", "#C9CED6"),
}

# Curves, points and words are drawn in ink: text needs more contrast than a coloured line has.
INK = {"light": "#1A1D21", "dark": "#E8EAED"}
SOFT_INK = {"light": "#5F6670", "dark": "#A7ADB5"}
# What the dark colours were tested against; anything darker than mid-grey is taken for dark.
DARK_BACKGROUND = "#14181F"


def mark_of(direction: str) -> Mark:
    """The mark of a direction; whatever is not falling, flat or rising has no slope to draw.

    >>> mark_of("flat").word
    'flat'
    """
    return MARKS.get(direction, MARKS["no slope here"])


@dataclass(frozen=True)
class Series:
    """How one of several results is told from the others: colour, dash and marker, never colour alone.

    `dash`: a Matplotlib dash pattern, () is unbroken; `marker`: Matplotlib's letter; `shape`: the marker in words.
    """

    dash: tuple[float, ...]
    marker: str
    shape: str
    light: str
    dark: str

    def color(self, *, dark: bool) -> str:
        """The colour for the background at hand."""
        return self.dark if dark else self.light


# In the order in which they are handed out. Chosen to lie far apart in OKLab under each simulated sight and to
# reach a contrast of 3 on their background; the first is the ink of all other curves.
SERIES: tuple[Series, ...] = (
    Series((), "o", "circle", INK["light"], INK["dark"]),
    Series((5.0, 1.6), "s", "square", "#1C97FD", "#9178DF"),
    Series((1.0, 1.2), "^", "triangle", "#AD2314", "#BD480B"),
    Series((5.0, 1.4, 1.0, 1.4), "D", "diamond", "#AF8E19", "#D8BE1E"),
    Series((9.0, 2.0), "v", "falling triangle", "#1F3A7F", "#316F84"),
    Series((5.0, 1.4, 1.0, 1.4, 1.0, 1.4), "P", "cross", "#1F768A", "#1BC2AD"),
)


def series_of(index: int) -> Series:
    """The series of the `index`-th result; after the sixth they begin again.

    >>> series_of(7) is SERIES[1]
    True
    """
    return SERIES[index % len(SERIES)]
