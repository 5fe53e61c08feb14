"""A Matplotlib figure as a small SVG inside a page, in the page's own colours and letters."""

from __future__ import annotations

import base64
import io
import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..plots.canvas import SVG_SALT
from ..presentation.cards import CONTROL, safe
from ..presentation.marks import INK, MARKS, SERIES, SOFT_INK

# Colours of pictures become names that the style sheet defines for light and for dark pages.
NAMES = {
    INK["light"]: "ink",
    SOFT_INK["light"]: "soft",
    "#ffffff": "paper",
    **{mark.light: f"mark{k}" for k, mark in enumerate(MARKS.values())},
    **{series.light: f"series{k}" for k, series in enumerate(SERIES) if k},
}
# Numbers in an SVG of ours are points of a page: a tenth of one is finer than any screen.
LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}")
GEOMETRY = re.compile(r'\b(d|x|y|width|height|transform|points|cx|cy|r)="([^"]*)"')
# Pixels to the inch of what is drawn as pixels; twice those of a page, for sharp screens, would double the file.
PIXELS = 100
PALETTE = 96
# Pixels of a page to a point of a picture: letters of 9 points are as large as the text beside them.
SCALE = 1.62
# A page narrower than this, in pixels, scrolls over a picture instead of shrinking its letters out of sight.
NARROWEST = 460.0
PIXEL_IMAGE = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")


class Drawer:
    """Turns figures into SVG text; each gets names of its own, since all stand in one page."""

    def __init__(self) -> None:
        self._numbers: Iterator[int] = itertools.count()

    def inline(self, figure: Any, caption: str) -> str:
        """The figure as `<svg>` text that says `caption` to those who do not see it."""
        if not hasattr(figure, "savefig"):
            figure = np.ravel(np.asarray(figure, dtype=object))[0].figure
        text = CONTROL.sub("", written(figure))
        text = PIXEL_IMAGE.sub(
            lambda m: f"data:image/png;base64,{_fewer_colours(m[1])}", _without_ballast(text)
        )
        text = _own_names(text, f"p{next(self._numbers)}-")
        text = GEOMETRY.sub(lambda m: f'{m[1]}="{LONG_NUMBER.sub(_shorter, m[2])}"', text)
        text = _in_named_colours(text)
        size = re.search(r'viewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"', text)
        assert size is not None
        box = f"0 0 {float(size[1]):.0f} {float(size[2]):.0f}"
        label = safe(caption)
        widest = float(size[1]) * SCALE
        width = f"max-width:{widest:.0f}px;min-width:{min(widest, NARROWEST):.0f}px"
        opening = f'<svg class="plot" style="{width}" viewBox="{box}" role="img" aria-label="{label}">'
        return re.sub(r"<svg[^>]*>", lambda _: opening, text, count=1)


def written(figure: Any) -> str:
    """The SVG of a figure without a background, the same on every run."""
    import matplotlib

    page = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": SVG_SALT, "svg.fonttype": "none"}):
        figure.savefig(page, format="svg", dpi=PIXELS, transparent=True, metadata={"Date": None})
    return page.getvalue()


def _without_ballast(text: str) -> str:
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"; ?font-family: [^;\"]*|font-family: [^;\"]*; ?", "", text)
    text = re.sub(r"font: (\d+(?:\.\d+)?px) [^;\"]*", r"font-size: \1", text)
    text = text.replace("xlink:href=", "href=").replace("stroke-linejoin: miter; ", "")
    text = re.sub(r"\n\s*([LC] )", r" \1", text)
    text = re.sub(r">\s+<", "><", text)
    text = re.sub(r"\s*\n\s*|  +", " ", text).replace(' "', '"')
    return re.sub(r"(<[^>]*?)\s+(/?>)", r"\1\2", text)


def _fewer_colours(encoded: str) -> str:
    """The same pixels from a palette, a third of the size: bands of colour need few."""
    from PIL import Image

    page = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA")
    image.quantize(PALETTE, method=Image.Quantize.FASTOCTREE).save(page, format="png", optimize=True)
    return base64.b64encode(page.getvalue()).decode()


def _own_names(text: str, prefix: str) -> str:
    """Keep the ids that something refers to, under a prefix; drop all others."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))

    def named(match: re.Match[str]) -> str:
        return f' id="{prefix}{match[1]}"' if match[1] in used else ""

    text = re.sub(r'\sid="([^"]*)"', named, text)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}", text)


def _shorter(match: re.Match[str]) -> str:
    return f"{float(match[0]):.1f}".removesuffix(".0")


def _in_named_colours(text: str) -> str:
    for color, name in NAMES.items():
        text = re.sub(re.escape(color), f"var(--{name})", text, flags=re.IGNORECASE)
    return text


def colours(theme: str) -> str:
    """The definitions of the named colours for the "light" or the "dark" page."""
    dark = theme == "dark"
    found = {f"mark{k}": mark.color(dark=dark) for k, mark in enumerate(MARKS.values())}
    found |= {f"series{k}": series.color(dark=dark) for k, series in enumerate(SERIES)}
    found |= {"ink": INK[theme], "soft": SOFT_INK[theme]}
    return " ".join(f"--{name}: {value};" for name, value in found.items())
