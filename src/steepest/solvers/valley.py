"""Steps along the floor of a bent valley, from the bend that the last step showed.

Far down a valley with steep walls the Hessian says little of the floor: a place beside it by a millionth of the way has
a curvature along the valley that is the wall's, of either sign, and a straight step is soon on the wall. How the slope
changed along the last step t tells the third derivative K(t, t), and with it both what the curvature along t is down on
the floor, and how the floor bends away from t:

    w(α) = -W⁻¹(g + αh + ½α²k),    floor(α) = sα + ½cα²,    s = g_t + h·w₀,    c = H_tt + h·w₁ + k·w₀,

where W, g, h and k are the parts across t of the Hessian, the slope, Ht and K(t, t), W⁻¹ leads down to the floor, and
w₀, w₁ are the first terms of w(α) = w₀ + αw₁ + α²w₂. Third-order terms along t itself are left out, and so are those of
fourth order, which hold up the floor against the third: along a bend both are the same square.
"""

from __future__ import annotations

from math import inf, isfinite, sqrt
from typing import NamedTuple

import numpy as np

from ..bounds import Vector
from ..linear_algebra import lapack
from ..linear_algebra.curvature import SPECTRAL_PARAMETERS, DenseCurvature, Matrix
from ..linear_algebra.long_vectors import inner, length
from ..objective import Objective
from .bent_path import BENT_PART, Bend, Reach, next_radius, reach_of
from .quadratic_models import FreeModel
from .stopping import VALUE_ROUNDING
from .trust_region import POOR, TOO_GOOD, Landing, Model, lost_its_digits

# A step that gained so much more or less than promised, as a part of it, has met third derivatives. So many of them,
# each other step taking one off, are a crawl, in which those are worth their price of half a step; sooner, and walks
# that are soon through pay it for nothing. They count for no more than the second number. A step along the valley that
# does not land on its floor takes `LOST` off, a look that shows no bend `UNBENT`, and a step that wins less than the
# one before takes one. Where the last such step did not land, or none was ever tried, as among bumps, a look that shows
# no bend begins the count anew.
ASTRAY = 0.25
CRAWL, LONG_CRAWL, LOST, UNBENT = 8, 12, 4, 2

# A first step along a valley is so many times as long as the one that showed it.
FIRST_LENGTH = 2.0

# A bend matters where a straight step would climb the wall by this part of what it is to gain; else Newton's own step
# is as good.
MATTERS = 0.1


class Valley(NamedTuple):
    """The floor beside an iterate; all vectors of shape (n,).

    `t`: the direction along it. `down`: the way down to it, w₀; `lean`, `bend`: how it leaves t, w₁ and w₂. `won`: what
    the way down gains; `slope`, `curvature`: of the floor along t; `wall`: what a straight step α climbs, for α⁴.
    """

    t: Vector
    down: Vector
    lean: Vector
    bend: Vector
    won: float
    slope: float
    curvature: float
    wall: float

    def step(self, along: float) -> Vector:
        """The step (n,) to the floor and so far along it."""
        return self.down + along * (self.t + self.lean + along * self.bend)

    def promised(self, along: float) -> float:
        """How much lower the floor is there."""
        return self.won - along * (self.slope + 0.5 * along * self.curvature)

    def lowest_within(self, radius: float) -> float:
        """How far along the floor is lowest, no farther than `radius`, nor than where bend and way are as long."""
        bend = length(self.bend)
        most = min(radius, BENT_PART / (2.0 * bend)) if bend > 0.0 else radius
        if self.curvature > 0.0 and abs(self.slope) < most * self.curvature:
            return -self.slope / self.curvature
        return -most if self.slope > 0.0 else most

    def is_bent(self, along: float) -> bool:
        """Whether a straight step so long would leave the floor, and the way down to it is no longer than it."""
        square = along * along  # a power would raise where it overflows
        return self.wall * square * square >= MATTERS * self.promised(along) and length(self.down) <= abs(
            along
        )


class Crawl(NamedTuple):
    """How a walk with a dense model fares, and the valley that it crawls along, if one shows.

    `steps`: how many were astray. `widest` (n,): the largest unit of each parameter on the way, in which the valley is
    seen: where it goes along an axis, the unit of the place says nothing of its bends. `valley`: that of the iterate,
    `sight`: how far along it to go, and `reach`: what the last step along it missed. `won`: what the last step gained.
    """

    steps: int
    widest: Vector
    valley: Valley | None
    sight: float
    reach: Reach | None
    won: float


def valley_at(H: Matrix, g: Vector, bend: Bend) -> Valley | None:
    """The valley that the last step, `bend.along`, came along; None where its walls do not rise on all sides.

    `H` (n, n), `g` (n,): the Hessian and the slope at the iterate, in the units in which `bend` is told too.

    >>> found = valley_at(np.diag([0.0, 4.0]), np.array([-1.0, 0.0]), Bend(np.array([1.0, 0.0]), np.array([0.0, 2.0])))
    >>> found.step(1.0)
    array([ 1. , -0.5])
    """
    square = float(bend.along.dot(bend.along))
    if not 0.0 < square < inf:
        return None
    t = bend.along / sqrt(square)
    Ht, K = H.dot(t), (2.0 / square) * bend.off
    # Stiffened along t, H is what it was across, and there its inverse follows from that of the whole.
    factor, trouble = lapack.dpotrf(H + float(H.diagonal().max()) * t * t[:, None], 1, 0)
    if trouble:
        return None
    solved, trouble = lapack.dpotrs(factor, np.array((t, g, Ht, K)).T, 1)
    along = t.dot(solved).tolist()
    if trouble or not along[0] > 0.0:
        return None
    a = solved[:, 0] / along[0]
    down, lean, bent = (along[i] * a - solved[:, i] for i in (1, 2, 3))
    slope = float(t.dot(g) + Ht.dot(down))
    curvature = float(t.dot(Ht) + Ht.dot(lean) + K.dot(down))
    wall = -0.125 * float(K.dot(bent))
    if not isfinite(slope + curvature + wall):
        return None
    return Valley(t, down, lean, 0.5 * bent, -0.5 * float(g.dot(down)), slope, curvature, wall)


def along_the_valley(
    objective: Objective, x: Vector, value: float, model: Model, crawl: Crawl
) -> tuple[Landing | None, Crawl]:
    """Where a step along the floor leads, if that is about as low as it should be; and how the walk fares with it."""
    valley = crawl.valley
    assert valley is not None
    along = valley.lowest_within(crawl.sight)
    promised = valley.promised(along)
    if not (promised > VALUE_ROUNDING * abs(value) and valley.is_bent(along)):
        return None, _saw_no_bend(crawl)
    landed = model.place(valley.step(along) / crawl.widest)
    seen = objective.lowest
    f, g = objective.value_and_gradient(landed)
    won = value - f
    missed = 1.0 - won / promised
    if not (isfinite(missed) and isfinite(inner(g, g))):
        return None, crawl._replace(steps=crawl.steps - LOST, reach=None)
    if won > TOO_GOOD * promised and lost_its_digits(objective, landed, f, won):
        objective.lowest = seen  # it is no point to return
        return None, crawl._replace(steps=crawl.steps - LOST, reach=None)
    reach = reach_of(crawl.reach, abs(along), abs(missed))
    if _is_lost(missed):
        return None, crawl._replace(steps=crawl.steps - LOST, reach=reach)
    steps = min(crawl.steps + 1, LONG_CRAWL) if won >= crawl.won else crawl.steps - 1
    return Landing(landed, f, g, landed - x, 1.0), crawl._replace(steps=steps, reach=reach)


def _saw_no_bend(crawl: Crawl) -> Crawl:
    landed = crawl.reach is not None and not _is_lost(crawl.reach.miss)
    return crawl._replace(steps=max(crawl.steps - UNBENT, 0) if landed else 0)


def _is_lost(miss: float) -> bool:
    """Whether a step along a valley that missed this part of its promise did not land on its floor."""
    return miss > 1.0 - POOR


def is_astray(won: float, promised: float, value: float) -> bool:
    """Whether a step from the cost `value` gained so much more or less than promised that rounding is not to blame."""
    return abs(promised - won) > ASTRAY * promised > VALUE_ROUNDING * abs(value)


def crawled(
    crawl: Crawl | None,
    steps: int,
    won: float,
    scale: Vector,
    last: Model,
    model: Model,
    slopes: tuple[Vector, Vector],
    step: Vector,
) -> Crawl | None:
    """How a walk fares after one more `step` (n,), from the model `last` to `model`, with the `slopes` (n,) there.

    `crawl`: how it fared before, now with so many `steps` astray. `scale` (n,): the units of the parameters. None where
    models are not dense and free.
    """
    if type(model) is not FreeModel or not 1 < step.size <= SPECTRAL_PARAMETERS:
        return None
    widest = scale if crawl is None else np.maximum(scale, crawl.widest)
    reach = None if crawl is None else crawl.reach
    fares = Crawl(max(steps, 0), widest, None, 0.0, reach, won)
    if crawl is None or steps < CRAWL or type(last) is not FreeModel:
        return fares
    here, there = model.curvature, last.curvature
    if type(here) is not DenseCurvature or type(there) is not DenseCurvature:
        return fares
    p, ratio = widest * step, 1.0 / (widest * model.d)
    H = here.H * ratio * ratio[:, None]
    # Slopes and curvatures at both ends tell the third derivative at this one to second order (Hermite).
    Hp = H.dot(p)
    once = (slopes[0] - slopes[1]) / widest + Hp
    twice = Hp - there.product(step / last.d) / (last.d * widest)
    valley = valley_at(H, slopes[1] / widest, Bend(p, 3.0 * once - twice))
    if valley is None:
        return _saw_no_bend(fares)
    way = length(p)
    if reach is None:
        return fares._replace(valley=valley, sight=FIRST_LENGTH * way)
    reach = reach._replace(length=way / length(crawl.widest * step) * reach.length)
    return fares._replace(valley=valley, sight=next_radius(reach), reach=reach)
