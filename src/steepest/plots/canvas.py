"""What every picture shares: axes to draw on, ink that suits their background, files that repeat."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..presentation.marks import INK, SOFT_INK, Mark, Series
from ..presentation.text import number

# Inches: the width of two columns of a journal page. Everything also reads at 3.5, one column.
WIDTH = 7.0
HEIGHT = 4.0
CURVE_WIDTH = 1.4
MARK_WIDTH = 2.0
FONT_SIZE = 9.0
# Below this width in inches letters are a point smaller and words are fewer.
NARROW = 4.5
RESOLUTION = 200
# Markers are drawn at every iterate up to so many; beyond, they would hide the line.
MOST_DOTS = 60
# Names inside an SVG are made from this instead of from chance, so that the same picture is the same file.
SVG_SALT = "steepest"
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# What would write the moment of saving into the file, by format.
MOMENTS = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".eps": {"CreationDate": None}}


@dataclass(frozen=True)
class Ink:
    """The colours for one background: `text` for curves and words, `soft` for what stands behind them."""

    dark: bool

    @property
    def text(self) -> str:
        """Colour of curves, points and words."""
        return INK["dark" if self.dark else "light"]

    @property
    def soft(self) -> str:
        """Colour of what stands behind them."""
        return SOFT_INK["dark" if self.dark else "light"]

    def line(self, mark: Mark) -> dict[str, Any]:
        """Colour and dash of a line that tells a direction, as keywords of `Axes.plot`."""
        return {
            "color": mark.color(dark=self.dark),
            "linestyle": (0, mark.dash) if mark.dash else "-",
            "dash_capstyle": "butt",
            "solid_capstyle": "butt",
        }

    def series(self, series: Series) -> dict[str, Any]:
        """Colour and dash of the line of one of several results, as keywords of `Axes.plot`."""
        return {
            "color": series.color(dark=self.dark),
            "linestyle": (0, series.dash) if series.dash else "-",
            "dash_capstyle": "butt",
            "solid_capstyle": "butt",
        }


def ink_of(ax: Any) -> Ink:
    """Ink for the background of `ax`: light letters where the luminance of the background is low."""
    from matplotlib.colors import to_rgba

    red, green, blue, opacity = to_rgba(ax.get_facecolor())
    if opacity < 0.5:
        red, green, blue, _ = to_rgba(ax.figure.get_facecolor())
    return Ink(dark=0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5)


def new_figure(width: float = WIDTH, height: float = HEIGHT) -> Any:
    """An empty figure; one that `plt.show()` will show if the caller already uses pyplot."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        return pyplot.figure(figsize=(width, height), layout="constrained")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def axes_given(ax: Any, wanted: int, what: str) -> list[Any]:
    """The caller's axes as a list of `wanted`; raises `InputError` for another number of them."""
    given = list(np.ravel(np.asarray(ax, dtype=object)))
    if len(given) != wanted:
        raise InputError(f"{what} needs {wanted} axes and ax= holds {len(given)}")
    return given


def width_of(ax: Any) -> float:
    """Width of the axes in inches, as they stand now."""
    return float(ax.get_window_extent().width / ax.figure.dpi)


def font_size(ax: Any) -> float:
    """Letters that suit the width of the axes, in points."""
    return FONT_SIZE if width_of(ax) > NARROW else FONT_SIZE - 1.0


def dress(ax: Any, *, x: str, y: str, title: str = "") -> None:
    """Name the axes and take away the lines that carry nothing."""
    ink = ink_of(ax)
    size = font_size(ax)
    ax.set_xlabel(plain(x), color=ink.text, fontsize=size)
    ax.set_ylabel(plain(y), color=ink.text, fontsize=size)
    if title:
        ax.set_title(plain(title), loc="left", color=ink.text, fontsize=size + 1)
    ax.tick_params(colors=ink.soft, labelcolor=ink.text, labelsize=size - 1, which="both")
    for axis in (ax.xaxis, ax.yaxis):
        if axis.get_scale() == "log":
            axis.set_major_formatter(power_of_ten)
        axis.get_offset_text().set(color=ink.text, fontsize=size - 1)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(ink.soft)


def count_along(ax: Any) -> None:
    """Whole numbers along the bottom, where steps and evaluations are counted."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def power_of_ten(value: float, _: Any = None) -> str:
    """A decade as a reader writes it; what lies between two of them is left unnamed.

    Letters, where Matplotlib would set mathematics: quicker to draw, and text of a page in an SVG.

    >>> power_of_ten(1e-6), power_of_ten(100.0), power_of_ten(2.0)
    ('10⁻⁶', '100', '')
    """
    if not value > 0:
        return ""
    power = round(float(np.log10(value)))
    if abs(value / 10.0**power - 1) > 1e-6:
        return ""
    if -3 <= power <= 4:
        return f"{10.0**power:,g}"
    return "10" + str(power).translate(RAISED)


def plain(text: str) -> str:
    """Text that stays as it is: Matplotlib would set what stands between dollar signs as mathematics."""
    return text.replace("$", r"\$")


def brief(value: float, digits: int = 4) -> str:
    """A number of few letters beside a point, also where it is large and whole.

    >>> brief(-4.0), brief(40_000_000_000_000.0), brief(1234.0)
    ('−4', '4e+13', '1234')
    """
    text = number(value, digits) if abs(value) < 1e6 else f"{value:.{digits}g}"
    return text.replace("-", "−")


def in_one_piece(axes: Sequence[Any]) -> Any:
    """One axes as itself, several as an array of them."""
    return axes[0] if len(axes) == 1 else np.array(axes, dtype=object)


def save(figure: Any, path: str | PathLike[str], *, dpi: float = RESOLUTION) -> Path:
    """Write a figure, or the figure that axes stand in, to `path`; the ending chooses the format.

    `dpi`: dots per inch, of a format made of dots. Text stays text in an SVG. The same picture gives the same
    bytes on every run with the same Matplotlib. Raises `InputError` for an ending Matplotlib cannot write.

    >>> from tempfile import TemporaryDirectory
    >>> import steepest as st
    >>> with TemporaryDirectory() as folder:
    ...     save(st.plots.slope(st.slope("x**2", at=1.0)), Path(folder, "slope.svg")).name
    'slope.svg'
    """
    import matplotlib

    path = Path(path)
    if not hasattr(figure, "savefig"):
        figure = np.ravel(np.asarray(figure, dtype=object))[0].figure
    formats = figure.canvas.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in formats:
        raise InputError(
            f"{path.name}: a picture ends in one of {', '.join('.' + name for name in sorted(formats))}"
        )
    with matplotlib.rc_context({"svg.hashsalt": SVG_SALT, "svg.fonttype": "none"}):
        figure.savefig(path, dpi=dpi, metadata=MOMENTS.get(path.suffix.lower()))
    return path
