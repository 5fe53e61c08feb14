"""The lesson: what a slope is, and how following it downhill finds the lowest point."""

from __future__ import annotations

import steepest

from ..presentation.text import number
from .page import Page

COST = "x**2 - 2*x + 3"
PLACES = (-1.0, 1.0, 3.0)
START, RATE = 3.0, 0.1
# Steps written out: enough to see them shrink with the slope.
STEPS_SHOWN = 5


def feel_the_slope(page: Page) -> None:
    """The slope at three places, and its picture."""
    page.heading("The slope under your feet")
    page.say(
        f"Take the cost {COST}. Its slope says how much the cost rises for a small step to the right. steepest does "
        "not estimate it from two nearby points: it differentiates the cost itself, so the slope is exact."
    )
    slopes = steepest.slope(COST, at=list(PLACES))
    page.code(f'steepest.slope("{COST}", at=[-1, 1, 3])', "python")
    page.code(str(slopes))
    page.picture(steepest.plots.slope(slopes), "slope.png", "The curve and its tangents at -1, 1 and 3")
    page.say(
        "Where the tangent falls, the lowest point lies to the right; where it rises, to the left. So one always "
        "walks against the slope, and where the tangent is flat there is nowhere lower nearby to go."
    )


def walk_down(page: Page) -> None:
    """Gradient descent with a fixed rate, step by step, and the verdict on where it ends."""
    page.heading("A walk downhill")
    page.say(
        f"That is the whole method: take a small step in the opposite direction of the slope, feel again, repeat. "
        f"Starting from x = {number(START)}, each step is -{RATE} × slope, so steps shrink as the ground levels."
    )
    page.code(
        f'steepest.minimize("{COST}", {START}, method="gradient descent", options={{"rate": {RATE}}})',
        "python",
    )
    result = steepest.minimize(COST, START, method="gradient descent", options={"rate": RATE})
    history = result.history
    rows = [
        (str(k), *(number(value, 5) for value in (x, slope, step, x + step)))
        for k, (x, slope, step) in enumerate(
            zip(history.x[:STEPS_SHOWN, 0], history.gradient[:, 0], history.step[:, 0], strict=False)
        )
    ]
    page.table(("step", "x", "slope", "-0.1 × slope", "next x"), rows)
    page.picture(steepest.plots.descent(result), "walk.png", "The walk from x = 3 to x = 1, and its cost")
    page.say(
        "Stopping is not the same as arriving. When the walk ends, a judge that knows nothing of the walk looks at "
        "the end point afresh, says what it is, and shows what it measured:"
    )
    page.code(str(result))
