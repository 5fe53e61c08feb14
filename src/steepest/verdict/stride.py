"""Did the walk slow down towards where it ended? One that kept its stride while its falls died out came down a tail.

Near a minimum of order p a step of length s lowers the cost by about s to the p: as what is left to gain dies out, the
steps must shorten with it. Along exp(-x) they stay as long as they were, along a power of the distance they grow, and
the cost still fell by something at every doubling of the way. That can be read off the walk also where the end has
drowned in rounding, and where the tail lies in a valley so bent that no straight probe stays in it. What was read off
is then looked at once more: well beyond the end the floor of the valley must not have risen, and where the steps did
not shorten it must have been higher. A walk may wander along a floor that is level while it falls across it, as do
walks down to an eigenvector, which is one at any length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..numerics import EPS
from .endless import put_across
from .look import Look

Vector = np.ndarray

# A fall of this many times the rounding of the cost is no chance.
SEEN = 4.0

# So many of the last seen falls, and as many that were this much larger, tell how steps shortened between them.
# Fewer, and one step that the solver happened to cut short decides; an odd number has a middle one.
FEW, EARLIER, LARGEST = 3, 1e4, 1e8

# A higher order than this, of a bottom, is none: steps that shortened by less than their falls to this power kept their
# length. A bottom of order ten shows an order of ten.
HIGHEST_ORDER = 16.0

# Beyond the end a floor must not rise over so many times the way of those falls: the bottom of order forty is wide.
ONWARD = 8.0

# Doublings of the way at each of which the cost fell, over the second half of them by less than over the first.
DOUBLINGS = 6

# Parameters that went less far than this part of the farthest are not what leads to infinity.
FAR_PART = 1e-2

# Doublings that are looked for at all: more would be the first steps of a walk from a place of its own.
MOST_DOUBLINGS = 60


@dataclass(frozen=True)
class Tail:
    """The way (n,) that the walk last came, how far in all, and the number of `steps` that told it."""

    direction: Vector
    distance: float
    steps: int
    how: str


def tail_walked(look: Look, rounding: float) -> Tail | None:
    """The tail that the walk came down until its fall drowned in rounding; None where it slowed down."""
    if look.history is None or look.start is None or not look.is_small or len(look.history) < 2 * FEW:
        return None
    places, values = np.asarray(look.history.x), np.asarray(look.history.value)
    if places.shape != (values.size, look.n) or not np.isfinite(values).all():
        return None
    allowed = SEEN * np.maximum(rounding, EPS * np.abs(values))
    rises = np.flatnonzero(values[1:] > values[:-1] + allowed[:-1])
    begun = int(rises[-1]) + 1 if rises.size else 0  # a walk begun anew, higher up
    places, values, allowed = places[begun:], values[begun:], allowed[begun:]
    if len(values) < 2 * FEW or not np.isfinite(places).all():
        return None
    kept = _kept_its_length(look, places, values, allowed)
    if kept is not None and not _was_higher(look, places[kept], rounding):
        kept = None
    for since, onward, how in (
        (
            kept,
            ONWARD,
            "its steps did not shorten as their falls died out",
        ),
        (
            _fell_at_each_doubling(places, values, allowed),
            1.0,
            f"at each of the last {DOUBLINGS} doublings of its way it fell, and ever less",
        ),
    ):
        way = np.zeros(look.n) if since is None else look.x - places[since]
        if since is not None and way.any() and not _rises_beyond(look, onward * way, rounding):
            return Tail(way, float(np.linalg.norm(look.x - places[0])), len(values) - 1 - since, how)
    return None


def _kept_its_length(look: Look, places: np.ndarray, values: Vector, allowed: Vector) -> int | None:
    """The row from which on falls died out by orders of magnitude and steps did not shorten; None where they did."""
    falls = values[:-1] - values[1:]
    steps = np.max(np.abs(np.diff(places, axis=0)) / look.scale, axis=1)
    seen = np.flatnonzero(falls > allowed[:-1])
    if seen.size < 2 * FEW:
        return None
    late = seen[-FEW:]
    least = _middle(falls[late])
    larger = seen[(falls[seen] >= EARLIER * least) & (falls[seen] <= LARGEST * least)]
    if larger.size < FEW:
        return None
    early = larger[-FEW:]
    shortened = _middle(steps[early]) / max(_middle(steps[late]), np.finfo(float).tiny)
    died = _middle(falls[early]) / least
    return int(early[0]) if shortened < died ** (1.0 / HIGHEST_ORDER) else None


def _middle(few: Vector) -> float:
    """The median of an odd number of values; NumPy's takes as long as an evaluation of many a cost."""
    return sorted(few.tolist())[few.size // 2]


def _fell_at_each_doubling(places: np.ndarray, values: Vector, allowed: Vector) -> int | None:
    """The row half way, if at each of the last doublings of the way the cost fell, and later by less."""
    whole = np.abs(places[-1] - places[0])
    far = whole >= FAR_PART * whole.max(initial=0.0)
    if not whole.any():
        return None
    away = np.linalg.norm((places - places[0])[:, far] / whole[far], axis=1)
    parts = away[-1] / 2.0 ** np.arange(MOST_DOUBLINGS, -1.0, -1.0)
    first = (away >= parts[:, None]).argmax(axis=1).tolist()
    falls = -np.diff(values[first])
    seen = np.flatnonzero(falls > SEEN * allowed[first[1:]])
    if seen.size < DOUBLINGS:
        return None
    last = falls[seen[-1] - DOUBLINGS + 1 : seen[-1] + 1]
    half = DOUBLINGS // 2
    if not (last > 0.0).all() or not last[half:].sum() < last[:half].sum():
        return None
    return first[-2]


def _was_higher(look: Look, place: Vector, rounding: float) -> bool:
    """Whether the floor of the valley was higher than the end where the walk passed it, by `place` (n,)."""
    along = (look.x - place) / look.scale
    if look.n < 2 or not look.objective.has_hessian or not along.any():
        return True
    place, value = put_across(look, place, along / float(np.linalg.norm(along)), look.value)
    return not value <= look.value + SEEN * max(rounding, look.trembling(place, value))


def _rises_beyond(look: Look, way: Vector, rounding: float) -> bool:
    """Whether the floor of the valley is higher beyond the end by `way` (n,)."""
    place = look.x + way
    if not np.array_equal(place, look.objective.bounds.project(place)):
        return True
    value = look.value_at(place)
    if not value <= look.value + SEEN * rounding and look.n > 1 and look.objective.has_hessian:
        along = way / look.scale
        place, value = put_across(look, place, along / float(np.linalg.norm(along)), look.value)
    return not value <= look.value + SEEN * max(rounding, look.trembling(place, value))
