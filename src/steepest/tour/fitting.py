"""A real fit: measurements from the NIST reference data, beside the values the institute has certified."""

from __future__ import annotations

from typing import Any

import numpy as np

import steepest

from ..plots.canvas import CURVE_WIDTH, HEIGHT, WIDTH, dress, ink_of, new_figure
from ..presentation.text import number
from ..reference_problems import nist
from .page import Page

DATA_SET = "Rat42"
# More agreeing digits than the certified values have cannot be shown.
CERTIFIED_DIGITS = 11


def fit_a_curve(page: Page) -> None:
    """Least squares through `minimize`, its answer beside the certified one."""
    data = nist.load(DATA_SET)
    page.heading("A real curve")
    page.say(
        f"The yield of a pasture, measured {data.y.size} times while it grew: data set {DATA_SET} of the "
        f"National Institute of Standards and Technology, which has certified the parameters of {data.formula} to "
        f"{CERTIFIED_DIGITS} digits. The cost is the sum of squares of what the model leaves unexplained."
    )
    start = data.starts[0]
    result = steepest.minimize(data.cost, start)
    rows = [
        (name, number(begin), f"{found:.11g}", f"{certified:.11g}", str(agreeing_digits(found, certified)))
        for name, begin, found, certified in zip(data.names, start, result.x, data.parameters, strict=True)
    ]
    page.table(("parameter", "start", "found", "certified", "digits that agree"), rows)
    page.picture(_picture(data, start, result.x), "fit.png", f"{DATA_SET}: measurements, start and fit")
    page.say(
        f"The verdict: {result.verdict}, with a sum of squares of {number(result.fun, 10)}, certified "
        f"{number(data.residual_sum, 10)}, after {result.nfev} evaluations from a start that fits nothing."
    )


def agreeing_digits(found: float, certified: float) -> int:
    """Leading digits two numbers share, by their relative difference.

    >>> agreeing_digits(72.46, 72.462)
    4
    """
    apart = abs(found - certified) / abs(certified)
    return CERTIFIED_DIGITS if apart == 0 else int(min(max(-np.log10(apart), 0), CERTIFIED_DIGITS))


def _picture(data: Any, start: np.ndarray, found: np.ndarray) -> Any:
    ax = new_figure(WIDTH, HEIGHT * 0.9).subplots()
    ink = ink_of(ax)
    x = np.linspace(0, float(data.x.max()) * 1.08, 300)
    ax.plot(x, data.model(x, *start), color=ink.soft, linestyle="--", linewidth=CURVE_WIDTH)
    ax.plot(x, data.model(x, *found), color=ink.text, linewidth=CURVE_WIDTH)
    ax.plot(data.x, data.y, "o", color=ink.text, markerfacecolor="none", markersize=6)
    ax.annotate("start", (x[60], data.model(x[60], *start)), (0, 8), textcoords="offset points", ha="right")
    ax.annotate("fit", (x[200], data.model(x[200], *found)), (0, -14), textcoords="offset points")
    dress(ax, x="time", y="yield", title=f"{DATA_SET}: {data.formula}")
    return ax
