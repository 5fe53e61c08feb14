"""Walks for a whole scale of learning rates at once: every stop of the slider is a run that was really computed.

The rules are the solvers' own (`solvers.gradient_descent`, `solvers.adam`), step for step, written over a batch of
shape (methods, rates): 61 rates of five methods of 200 steps are one array computation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .subject import Subject

Array = np.ndarray[Any, np.dtype[Any]]

RATES, STEPS = 61, 200
# The scale spans this many powers of ten, its upper end this many times the rate at which plain descent diverges.
DECADES, ABOVE = 4.0, 4.0
# A cost has grown past all doubt when it is this many times what it began with (and by as much more than one).
GROWN = 1e6
# A run crept when it covered less than this share of the fall that the best run made.
CREPT = 0.9
# It bounced when more than this share of its steps turned back on the one before.
BOUNCED = 0.4


@dataclass(frozen=True)
class Method:
    """A rule of descent: its name in `minimize`, its options, and what it does in a line."""

    key: str
    name: str
    momentum: float = 0.0
    nesterov: bool = False
    adam: bool = False
    line: str = ""


METHODS = (
    Method("descent", "gradient descent", line="each step is −rate × slope"),
    Method("light", "momentum", 0.5, line="half of the last step is kept"),
    Method("heavy", "momentum", 0.9, line="nine tenths of the last step are kept"),
    Method("nesterov", "nesterov", 0.9, nesterov=True, line="momentum that looks ahead"),
    Method("adam", "adam", adam=True, line="steps of about the rate, whatever the slope"),
)


@dataclass(frozen=True)
class Walks:
    """The runs: `rates` (r,), `x` (m, r, s + 1, n), `f` (m, r, s + 1), and what became of them.

    `x` and `f` are NaN after a run has ended; `ended` (m, r) is the last step with a finite cost; `fates` (m, r) are
    indices of `FATES`; `curvature` is the largest met on the way of the best plain run.
    """

    rates: Array
    x: Array
    f: Array
    ended: Array
    fates: Array
    curvature: float


FATES = ("creeping", "good", "bouncing", "diverging")


def walk_all(subject: Subject, start: Array, *, steps: int = STEPS, center: float | None = None) -> Walks:
    """Every method at every rate from `start`, shape (n,).

    `center` is a rate around which the scale lies; by default it follows from the curvature felt at the start.

    >>> walks = walk_all(Subject("x**2", 0.0), np.array([3.0]), steps=5)
    >>> walks.x.shape, float(walks.curvature)
    ((5, 61, 6, 1), 2.0)
    """
    rates = rate_scale(subject, start) if center is None else _scale_around(center)
    m, r, n = len(METHODS), len(rates), subject.n
    x = np.full((m, r, steps + 1, n), np.nan)
    f = np.full((m, r, steps + 1), np.nan)
    place = np.broadcast_to(start, (m, r, n)).copy()
    state = _State(m, r, n)
    subject.expect(m * r)
    fine = np.zeros((m, r, steps + 1), dtype=bool)
    with np.errstate(all="ignore"):
        for step in range(steps + 1):
            values, slopes = subject.values_and_slopes(place.reshape(-1, n))
            values, slopes = values.reshape(m, r), slopes.reshape(m, r, n)
            x[:, :, step], f[:, :, step] = place, values
            fine[:, :, step] = np.isfinite(values + slopes.sum(axis=-1))
            place = place + state.push(slopes, rates, step + 1)
        # A run has ended before its first cost or slope that is not finite.
        live = np.logical_and.accumulate(fine, axis=-1)
        x[~live], f[~live] = np.nan, np.nan
    ended = live.sum(axis=-1) - 1
    return Walks(rates, x, f, ended, _fates(x, f, ended, steps), _curvature(subject, x, f, start))


class _State:
    """What each method remembers: the velocity; for Adam the running mean and square of the slope."""

    def __init__(self, m: int, r: int, n: int) -> None:
        self.velocity = np.zeros((m, r, n))
        self.momentum = np.array([method.momentum for method in METHODS])[:, None, None]
        self.nesterov = [k for k, method in enumerate(METHODS) if method.nesterov]
        self.adam = [k for k, method in enumerate(METHODS) if method.adam]
        self.mean, self.square = np.zeros((r, n)), np.zeros((r, n))

    def push(self, slopes: Array, rates: Array, count: int) -> Array:
        """The step of every run from its slopes, shape (m, r, n)."""
        # velocity = momentum·velocity + gradient; Nesterov steps along gradient + momentum·velocity
        # (Sutskever et al. 2013, eq. 3-4).
        self.velocity *= self.momentum
        self.velocity += slopes
        push = self.velocity.copy()
        for k in self.nesterov:
            push[k] = slopes[k] + self.momentum[k] * self.velocity[k]
        for k in self.adam:
            # Kingma & Ba 2015, algorithm 1.
            b1, b2, g = 0.9, 0.999, slopes[k]
            self.mean = b1 * self.mean + (1 - b1) * g
            self.square = b2 * self.square + (1 - b2) * g * g
            push[k] = (self.mean / (1 - b1**count)) / (np.sqrt(self.square / (1 - b2**count)) + 1e-8)
        push *= -rates[:, None]
        return push


def rate_scale(subject: Subject, start: Array) -> Array:
    """61 rates, evenly spread in powers of ten, that end a little above where plain descent diverges."""
    return _scale_around(2.0 / max(_felt_curvature(subject, start), 1e-12))


def _scale_around(critical: float) -> Array:
    """Rates rounded to three digits, so that what is shown is what was used."""
    top = np.log10(ABOVE * critical)
    rates = 10.0 ** np.linspace(top - DECADES, top, RATES)
    return np.array([float(f"{rate:.3g}") for rate in rates])


def _felt_curvature(subject: Subject, start: Array) -> float:
    """Largest curvature at the start and around it; a slope per length of the start where there is none."""
    reach = max(1.0, float(np.abs(start).max(initial=0.0)))
    places = [start, 0.5 * start, start + 0.5 * reach, start - 0.5 * reach]
    hessians = subject.hessians(np.array(places))
    if hessians is None:
        _, slopes = subject.values_and_slopes(np.array([start, start + 1e-4 * reach]))
        felt = np.linalg.norm(slopes[1] - slopes[0]) / (1e-4 * reach * np.sqrt(subject.n))
        return float(felt) if np.isfinite(felt) and felt > 0 else 1.0
    here = _largest_curvature(hessians[:1])
    if here > 0:
        return here
    return _largest_curvature(hessians) or 1.0


def _largest_curvature(hessians: Array) -> float:
    finite = hessians[np.isfinite(hessians).all(axis=(1, 2))]
    if not len(finite):
        return 0.0
    return float(np.abs(np.linalg.eigvalsh(finite)).max())


def _curvature(subject: Subject, x: Array, f: Array, start: Array) -> float:
    """Largest curvature on the way of the plain run that came lowest: the L of 2/L."""
    final = _final(f[0])
    if not np.isfinite(final).any():
        return _felt_curvature(subject, start)
    path = x[0, int(np.nanargmin(final))]
    path = path[np.isfinite(path).all(axis=-1)]
    hessians = subject.hessians(path)
    found = _largest_curvature(hessians) if hessians is not None else 0.0
    return found or _felt_curvature(subject, start)


def _final(f: Array) -> Array:
    """The last cost of each run, shape f.shape[:-1]; NaN where the run did not stay finite."""
    return np.asarray(f[..., -1])


def _fates(x: Array, f: Array, ended: Array, steps: int) -> Array:
    """What became of each run, shape (m, r): creeping, good, bouncing or diverging.

    Diverging is said only of a cost that stopped being finite, or that grew past `GROWN` times its start.
    """
    first = f[:, :, :1]
    with np.errstate(all="ignore"):
        highest = np.nanmax(np.where(np.isfinite(f), f, -np.inf), axis=-1)
        grown = highest - first[..., 0] > GROWN * (1 + np.abs(first[..., 0]))
        diverging = (ended < steps) | grown
        lowest = np.min(np.where(diverging, np.inf, f[..., -1]))
        fallen = (first[..., 0] - f[..., -1]) / np.maximum(first[..., 0] - lowest, 1e-300)
        move = np.diff(x, axis=2)
        turning = np.einsum("mrsn,mrsn->mrs", move[:, :, 1:], move[:, :, :-1]) < 0
        # The last steps of a run that has arrived are rounding; the first ones tell.
        bouncing = turning[:, :, :20].mean(axis=-1) > BOUNCED
    fates = np.where(fallen < CREPT, 0, 1)
    fates = np.where(bouncing, 2, fates)
    return np.where(diverging, 3, fates).astype(np.int32)
