"""A million parameters: a noisy recording cleaned, every one of its samples a parameter."""

from __future__ import annotations

from typing import Any

import numpy as np

import steepest

from ..plots.canvas import CURVE_WIDTH, HEIGHT, WIDTH, dress, ink_of, new_figure
from ..plots.descent_picture import draw_against_evaluations
from ..presentation.text import number
from .page import Page

SAMPLES = 1_000_000
NOISE = 0.3
# How much a change from one sample to the next costs against leaving the measurement: larger is smoother.
SMOOTHNESS = 10.0
SEED = 20260101
# Samples shown in the picture.
SHOWN = slice(500_000, 500_800)


def clean_a_million(page: Page) -> None:
    """A cost of 1,000,000 parameters, minimised."""
    page.heading("A million parameters")
    truth, recording = noisy_recording()
    page.say(
        f"The same call, with {SAMPLES:,} parameters. A recording of {SAMPLES:,} samples is drowned in noise; the "
        "clean one is the one nearest to it that does not jump: the cost adds the squares of what was changed and "
        "the squares of the jumps that are left."
    )
    page.code(
        "def cost(clean):\n"
        f"    return np.sum((clean - recording) ** 2) + {SMOOTHNESS:g} * np.sum(np.diff(clean) ** 2)\n\n"
        "steepest.minimize(cost, recording)",
        "python",
    )

    def cost(clean: Any) -> Any:
        return np.sum((clean - recording) ** 2) + SMOOTHNESS * np.sum(np.diff(clean) ** 2)

    result = steepest.minimize(cost, recording)
    before, after = (float(np.sqrt(np.mean((signal - truth) ** 2))) for signal in (recording, result.x))
    page.say(
        f"The verdict: {result.verdict}, after {result.nit} steps and {result.nfev} evaluations: the cost went "
        f"from {number(result.history.value[0], 6)} to {number(result.fun, 6)}, and the error against the true "
        f"signal from {before:.3f} to {after:.3f}. Each evaluation told all {SAMPLES:,} parameters which way is down."
    )
    page.aside(f"{result.timing['total']:.1f} s from the call to the verdict")
    page.picture(
        _picture(recording, result), "million.png", "A piece of the recording, and the cost on the way down"
    )


def noisy_recording() -> tuple[np.ndarray, np.ndarray]:
    """A slow, two-toned signal and what was recorded of it, each of shape (1,000,000,)."""
    time = np.arange(SAMPLES)
    truth = np.sin(time / 40) + 0.5 * np.sin(time / 97)
    return truth, truth + NOISE * np.random.default_rng(SEED).standard_normal(SAMPLES)


def _picture(recording: np.ndarray, result: Any) -> Any:
    figure = new_figure(WIDTH, HEIGHT * 0.8)
    grid = figure.add_gridspec(1, 2, width_ratios=[2.2, 1])
    ax, cost = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    ink = ink_of(ax)
    time = np.arange(SAMPLES)[SHOWN]
    ax.plot(time, recording[SHOWN], ".", color=ink.soft, markersize=2)
    ax.plot(time, result.x[SHOWN], color=ink.text, linewidth=CURVE_WIDTH)
    dress(ax, x="sample", y="signal", title=f"{time.size} of {SAMPLES:,} samples")
    draw_against_evaluations(result, cost)
    for axis in (ax.xaxis, cost.yaxis):
        axis.set_major_formatter("{x:,.0f}")
    ax.set_xticks(time[:: time.size // 4])
    return np.array([ax, cost])
