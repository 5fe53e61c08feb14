"""Guessing against walking: what the same number of evaluations finds with 1, 10 and 1,000 parameters."""

from __future__ import annotations

from math import log10
from typing import Any

import numpy as np

import steepest

from ..plots.canvas import CURVE_WIDTH, HEIGHT, WIDTH, dress, ink_of, new_figure
from ..presentation.text import counted, number
from .page import Page

SIZES = (1, 10, 1000)
LOW, HIGH = -3.0, 5.0
# The bowl is this many times steeper in its last direction than in its first: a walk must find its way.
STRETCH = 100.0
SEED = 20260101
# A gradient costs about as much as four values (Griewank & Walther 2008, section 3.3), and is counted so.
VALUES_PER_GRADIENT = 4
# Costs below this are drawn at the bottom of the picture.
FLOOR = 1e-12
# How near, in each parameter, a guess must come to be called a hit.
NEAR = 0.1


def guess_and_walk(page: Page) -> None:
    """The same budget spent by chance and by slope."""
    page.heading("Why not just guess?")
    page.say(
        f"A bowl with its lowest point, cost 0, at x = 1 in every direction, and {STRETCH:.0f} times steeper in some "
        f"directions than in others. Guesses are drawn between {LOW:.0f} and {HIGH:.0f}. The walk starts in a corner; "
        "the guesses get as many evaluations as the walk spent, each of its gradients counted as "
        f"{VALUES_PER_GRADIENT} evaluations."
    )
    rounds = [_round(n) for n in SIZES]
    page.table(
        ("parameters", "evaluations", "best guess, cost", "walk by slope, cost", "verdict"),
        [
            (
                f"{n:,}",
                f"{guesses.size:,}",
                number(guesses.min(), 3),
                number(result.fun, 2),
                str(result.verdict),
            )
            for n, guesses, result in rounds
        ],
    )
    page.picture(_picture(rounds), "guessing.png", "Best cost so far, by guessing and by walking")
    chance = log10((HIGH - LOW) / (2 * NEAR))
    page.say(
        f"A guess comes within {NEAR} of the lowest point in every parameter once in {10**chance:.0f} tries for 1 "
        f"parameter, once in 10^{chance * 10:.0f} for 10 and once in 10^{chance * 1000:.0f} for 1,000. The walk does "
        "not care: one gradient tells which way is down in all directions at once, for the price of a few values."
    )


def bowl(n: int) -> Any:
    """A quadratic of `n` parameters, lowest at all ones with cost 0."""
    steepness = np.geomspace(1.0, STRETCH, n) if n > 1 else np.ones(1)

    def cost(x: Any) -> Any:
        return np.sum(steepness * (x - 1) ** 2, axis=-1) / n

    return cost


def _round(n: int) -> tuple[int, np.ndarray, Any]:
    cost = bowl(n)
    result = steepest.minimize(cost, np.full(n, HIGH))
    tries = result.nfev + VALUES_PER_GRADIENT * result.njev
    guesses = np.random.default_rng(SEED).uniform(LOW, HIGH, size=(tries, n))
    return n, cost(guesses), result


def _picture(rounds: list[tuple[int, np.ndarray, Any]]) -> Any:
    figure = new_figure(WIDTH, HEIGHT * 0.75)
    axes = figure.subplots(1, len(rounds), sharey=True)
    for ax, (n, guesses, result) in zip(axes, rounds, strict=True):
        ink, history = ink_of(ax), result.history
        spent = np.asarray(history.evaluations) * (1 + VALUES_PER_GRADIENT)
        # Below the floor of the picture a walk has arrived; the rest of it is rounding.
        arrived = int(np.argmax(history.value <= FLOOR)) + 1 if (history.value <= FLOOR).any() else len(spent)
        ax.set_yscale("log")
        ax.set_ylim(FLOOR, 1e4)
        ax.step(
            1 + np.arange(guesses.size), np.minimum.accumulate(guesses), where="post",
            color=ink.soft, linestyle="--", linewidth=CURVE_WIDTH,
        )  # fmt: skip
        ax.plot(
            spent[:arrived],
            np.maximum(history.value[:arrived], FLOOR),
            color=ink.text,
            marker="o",
            markersize=4,
            linewidth=CURVE_WIDTH,
            clip_on=False,  # the last dot lies on the axis
        )
        dress(
            ax,
            x="evaluations",
            y="best cost so far" if n == SIZES[0] else "",
            title=counted(n, "parameter"),
        )
    last, ink = axes[-1], ink_of(axes[-1])
    last.text(0.95, 0.8, "guessing", transform=last.transAxes, ha="right", color=ink.soft, fontsize=9)
    last.text(0.95, 0.45, "walking", transform=last.transAxes, ha="right", color=ink.text, fontsize=9)
    return axes
