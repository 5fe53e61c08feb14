"""Which way does the ground bend? Curvature in every direction that the bounds leave free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite, sqrt

import numpy as np

from ..linear_algebra.equilibrate import balanced
from ..linear_algebra.lanczos import lanczos
from ..linear_algebra.long_vectors import holds_everywhere, is_zero
from ..linear_algebra.symmetric import eigensystem, eigenvalues, finite_part
from ..numerics import EPS, TINY, all_finite, largest
from ..presentation.text import counted
from .look import Look, Rounding

Vector = np.ndarray

# Up to this many free parameters the whole Hessian is formed and all its eigenvalues are taken.
DENSE = 200

# Equilibrated curvatures below this are looked at again a few units in the last place away; those that change by
# no less than this part of themselves are rounding.
SUSPICIOUS = 1e-6
TREMBLES = 10.0

# So are those that are this small a part of the largest over the parameters' own sizes.
FAINT = 1e-12

# A parameter of at least this part of its natural size has that of its value.
SURE = 0.1

NEIGHBOURS = (3.0, 30.0, 300.0)

# Up to this many free parameters differences of the slope are tried before exact second derivatives are made.
PLAIN = 10

# Differences on the two sides of the point may disagree by this part, and so may the two halves of the matrix.
UNEVEN = 1e-3

# A curvature that differs by more than this many times itself so far away, in natural sizes, is none to go by.
UNSTEADY = 10.0
ASIDE = 1e-3

# A curvature that would lower the cost over a natural size by less than this part of the walk's fall is looked at
# with a longer difference: the differences of a slope that grows with the cube show a curvature of their own making.
SHALLOW = 1e-6
LONGER = 2.0

# Equilibrated curvatures above this are positive beyond what differences can err by.
PLAINLY_POSITIVE = 1e-3

# Without second derivatives up to this many columns are built from differences of the slope.
DENSE_BY_DIFFERENCES = 20

# Hessian products for large n: those started along the slope tell what is left to gain, those started at
# random find negative curvature. Together with the slopes looked at they stay below 20 gradients' cost.
PRODUCTS_ALONG_SLOPE = 3
PRODUCTS_AT_RANDOM = 2

# Relative error of a Hessian entry that comes from exact second derivatives, or from differences of slopes.
ERROR_EXACT = 64 * EPS
ERROR_DIFFERENCES = 1e-6

# The difference step that balances truncation against rounding when slopes are subtracted on both sides.
DIFFERENCE_STEP = EPS ** (1 / 3)

# Indices of no direction; of many free parameters a list would be one more vector.
NONE = np.empty(0, dtype=np.intp)
NONE.setflags(write=False)

# What is told of a Hessian that holds NaN or infinities.
LEFT_OUT = "; parameters without finite ones are left out"


@dataclass
class Curvature:
    """What is known of the Hessian H on the free parameters.

    Decisions are made on D·H·D, equilibrated so that every row's largest entry is about one; inertia does
    not change (Sylvester), and parameters in units 10¹² apart weigh the same. `values` (k,), ascending:
    curvatures of that matrix (Ritz values unless `complete`); `vectors` (n, k): its directions, mapped back
    to parameters; `limit`: what of `values` is rounding. `extremes`: smallest and largest curvature of H
    itself on the free parameters.
    """

    hessian: np.ndarray | None  # the free block, where it was formed
    free: np.ndarray  # indices of the parameters of that block
    scaling: Vector  # D, (n,)
    values: Vector
    vectors: np.ndarray
    limit: float
    extremes: tuple[float, float]
    all_values: Vector | None
    complete: bool
    products: Callable[[np.ndarray], np.ndarray]  # of one vector (n,), or where `complete` of columns (n, k)
    how: str
    along_slope: Callable[[Vector], tuple[Vector, float]] | None = None
    unseen: np.ndarray | None = None  # mask (k,) of curvatures that are rounding, or cannot show in the cost

    @property
    def _all_bend_up(self) -> bool:
        """Whether the smallest of all curvatures, and so each, is positive beyond rounding."""
        return self.unseen is None and bool(self.values.size) and self.values.item(0) > self.limit

    @property
    def negative(self) -> bool:
        """Whether some direction bends downwards beyond rounding."""
        if self.unseen is None:
            return bool(self.values.size and self.values.item(0) < -self.limit)
        return bool((self._plain_values < -self.limit).any())

    @property
    def downward(self) -> np.ndarray:
        """Indices of the directions that bend downwards beyond rounding, the steepest first."""
        return (self._plain_values < -self.limit).nonzero()[0]

    def without_negative(self) -> Curvature:
        """The same, with downward curvatures taken for zero, as the cost was not seen to fall along any.

        What made them made upward ones as large.
        """
        unseen = self.values <= TREMBLES * abs(float(self.values[0]))
        return replace(self, unseen=unseen if self.unseen is None else unseen | self.unseen)

    @property
    def null(self) -> np.ndarray:
        """Indices of the directions whose curvature is zero to rounding."""
        return NONE if self._all_bend_up else (np.abs(self._plain_values) <= self.limit).nonzero()[0]

    @property
    def _plain_values(self) -> Vector:
        return self.values if self.unseen is None else np.where(self.unseen, 0.0, self.values)

    def seen_over(self, scale: Vector, rounding: float) -> Curvature:
        """The same, with downward curvatures taken for zero that cost less than `rounding` over a natural size."""
        if not self.values.size or self.values.item(0) >= -self.limit:
            return self
        longest = np.max(np.abs(self.vectors) / scale[:, None], axis=0)
        fall = 0.5 * np.abs(self.values) / np.where(longest > 0, longest, 1.0) ** 2
        unseen = (self.values < 0.0) & (fall <= rounding)
        return replace(self, unseen=unseen if self.unseen is None else unseen | self.unseen)

    @property
    def positive(self) -> bool:
        """Whether every direction looked at bends upwards beyond rounding."""
        return self._all_bend_up or bool((self._plain_values > self.limit).all())

    def product(self, v: Vector) -> Vector:
        """H·v for a `v` (n,)."""
        return self.products(v)

    def products_of(self, rows: np.ndarray) -> np.ndarray:
        """H·v for each row v of (k, n), as rows."""
        if self.complete:
            return self.products(rows.T).T
        if len(rows) == 1:
            return self.products(rows[0])[None]
        return np.array([self.products(row) for row in rows])

    def newton(self, slope: Vector, rounding: Rounding) -> tuple[Vector, float]:
        """The Newton step for `slope` (n,) and the decrease it promises.

        Along directions without curvature the step is zero and the promise infinite, unless the slope along
        them is rounding itself. Negative curvature promises an infinite decrease.
        """
        if self.along_slope is not None:
            return self.along_slope(slope)
        if self.values.size == 0:
            return np.zeros(slope.size), 0.0
        along = self.vectors.T.dot(slope)
        if self.values.item(0) > self.limit:
            bottom = along / self.values
            return self.vectors.dot(-bottom), 0.5 * float(bottom.dot(along))
        bent = self.values > self.limit
        error = rounding.slope + rounding.grain
        uncertain = 8.0 * (np.abs(self.vectors).T @ error)
        lost = ~bent & (np.abs(along) > uncertain)
        coefficients = np.where(bent, -along / np.where(bent, self.values, 1.0), 0.0)
        step = self.vectors @ coefficients
        remaining = np.inf if lost.any() else 0.5 * float(-coefficients @ along)
        return step, remaining

    def spread_of(self, error: Vector) -> Vector:
        """How far the minimum can lie from where the slope says, (n,), when the slope errs by `error` (n,)."""
        vectors, values = self._upward
        sizes = np.abs(vectors)
        return sizes.dot(sizes.T.dot(error) / values)

    def shift_by(self, change: Vector) -> Vector:
        """Where the minimum moves to, (n,), when the slope changes by `change`, of known signs."""
        vectors, values = self._upward
        return -vectors.dot(vectors.T.dot(change) / values)

    @property
    def _upward(self) -> tuple[np.ndarray, Vector]:
        """The directions that bend upwards beyond rounding, and their curvatures."""
        vectors, values = self.vectors, self.values
        if values.size and not values.item(0) > self.limit:
            bent = values > self.limit
            vectors, values = vectors[:, bent], values[bent]
        return vectors, values


def curvature_of(look: Look) -> Curvature:
    """Dense eigenvalues where that is cheap, otherwise Lanczos from Hessian products with a stated budget."""
    objective, count = look.objective, look.count_free
    if look.hessian is not None and count <= DENSE and objective.derivatives == "exact":
        H = _without_rounding(look, np.asarray(look.hessian))
        return _dense(look, H, ERROR_EXACT, "eigenvalues of the exact Hessian")
    is_due = objective.has_hessian and not objective.has_hessian_at_hand
    if is_due and count <= PLAIN and objective.derivatives == "exact":
        plain = _plain(look, look.free_indices)
        if plain is not None:
            return plain
    if objective.has_hessian and count <= DENSE and look.n <= 4 * DENSE:
        H = np.asarray(objective.hessian(look.x), dtype=np.float64)
        if objective.derivatives == "numeric":
            H = _as_seen_farther(look, H)
            return _dense(look, H, ERROR_DIFFERENCES, "eigenvalues of second differences of the cost")
        if objective.derivatives == "exact":
            H = _without_rounding(look, H)
        origin = "exact" if objective.derivatives == "exact" else "supplied"
        return _dense(look, H, ERROR_EXACT, f"eigenvalues of the {origin} Hessian")
    if count <= (DENSE if objective.has_hessian_product else DENSE_BY_DIFFERENCES):
        exact = objective.has_hessian_product
        product = _exact_product(look) if exact else _difference_product(look)
        columns = np.zeros((look.n, count))
        for k, i in enumerate(look.free_indices.tolist()):
            unit = np.zeros(look.n)
            unit[i] = 1.0 if exact else look.scale[i]
            columns[:, k] = product(unit) / unit[i]
        if exact:
            return _of_columns(look, columns, ERROR_EXACT, "eigenvalues of the Hessian, by products")
        return _of_columns(look, columns, ERROR_DIFFERENCES, "eigenvalues of differences of the slope")
    return _by_products(look)


def confirmed(look: Look, curvature: Curvature) -> Curvature:
    """The same, with those small curvatures taken for zero that change as much between neighbouring numbers.

    Where a sum of squares ends at zero, its residuals are rounding, and so is what they curve the cost by. And those
    that change the slope over a natural size by no more than the steps through differential equations do.
    """
    objective = look.objective
    if (
        curvature.hessian is None
        or objective.derivatives != "exact"
        or not objective.has_hessian
        or look.quadratic
    ):
        return curvature
    if curvature.values.size and curvature.values.item(0) >= SUSPICIOUS:
        return curvature
    sizes = np.abs(curvature.values)
    small = (sizes < SUSPICIOUS) & (sizes > curvature.limit)
    if is_zero(small):
        return curvature
    unit = 3.0 * np.maximum(np.spacing(np.abs(look.x)), EPS * look.scale)
    near = look.objective.bounds.project(look.x + look.signs() * unit)
    change = np.asarray(look.objective.hessian(near)) - np.asarray(look.objective.hessian(look.x))
    error = np.abs(_bent_by(np.nan_to_num(change), curvature.vectors))
    if look.unfollowed is not None:
        ways = np.abs(curvature.vectors)
        over_size = (ways / look.scale[:, None]).max(axis=0)
        error = np.maximum(error, (np.abs(look.unfollowed[1]) @ ways) * over_size)
    return replace(curvature, unseen=small & (np.abs(curvature.values) <= TREMBLES * error))


def _bent_by(H: np.ndarray, vectors: np.ndarray) -> Vector:
    """vᵀHv for each column v of `vectors` (n, k), shape (k,); `einsum` of all three takes a hundred times as long."""
    return np.asarray(((H @ vectors) * vectors).sum(axis=0))


def _as_seen_farther(look: Look, H: np.ndarray) -> np.ndarray:
    """`H` (n, n) without weak curvatures that longer differences of the cost do not show: a quartic's, from near."""
    size = np.where(look.free, look.scale, 0.0)
    values, vectors = eigensystem(finite_part(size[:, None] * 0.5 * (H + H.T) * size))
    weak = (values > 0.0) & (values < SHALLOW * max(2.0 * (look.fall or 0.0), float(values[-1])))
    made = np.zeros(values.size, dtype=bool)
    for i in np.flatnonzero(weak).tolist():
        v = ASIDE * size * vectors[:, i]
        seen = look.value_at(look.x + v) + look.value_at(look.x - v) - 2.0 * look.value
        made[i] = bool(seen > UNSTEADY * ASIDE**2 * values[i])
    if not made.any():
        return H
    kept = (vectors * np.where(made, 0.0, values)) @ vectors.T
    units = np.where(look.free, look.scale, np.inf)
    return kept / units[:, None] / units


def _without_rounding(look: Look, H: np.ndarray) -> np.ndarray:
    """`H` (n, n) without what of weak parameters, in natural sizes, changes as much between neighbouring numbers.

    Made equally large with the others, a row that is rounding would count as much as they do. Other rows stay what
    they are: put together again from eigenvectors, they would be rounded to a part of the largest of all.
    """
    if look.quadratic or not all_finite(H):
        return H
    size = look.on_free(look.scale)
    sized = size[:, None] * H * size
    if not all_finite(sized):
        return H
    each = np.abs(sized.diagonal())
    most, unseen = largest(each), EPS * abs(look.value)
    # Of a number near zero the size is that of its start, or of nothing: what it would change is no sign.
    sure = np.abs(look.x) >= SURE * look.scale
    faint = each < max(FAINT * most, TINY)
    faint |= sure & (each < min(TREMBLES * unseen, SUSPICIOUS * most))
    if is_zero(faint) or not faint[look.free].any():
        return H
    values, vectors = eigensystem(sized)
    sizes = np.abs(values)
    most = float(np.maximum.reduce(sizes, initial=0.0))
    sure = (vectors[sure] ** 2).sum(axis=0) > 0.5
    weak = sizes < max(FAINT * most, TINY)
    weak |= sure & (sizes < min(TREMBLES * unseen, SUSPICIOUS * most))
    weak &= values != 0.0
    if not weak.any():
        return H
    V = size[:, None] * vectors
    # Neighbours may be rounded alike; and what shows in no digit of the cost over a natural size is none to go by.
    error = np.where(sure, unseen, 0.0)
    for count in NEIGHBOURS:
        shift = count * np.maximum(np.spacing(np.abs(look.x)), EPS * look.scale)
        near = look.objective.bounds.project(look.x + look.signs() * shift)
        change = np.nan_to_num(np.asarray(look.objective.hessian(near)) - H)
        error = np.maximum(error, np.abs(_bent_by(change, V)))
    made = weak & (np.abs(values) <= TREMBLES * error)
    if not made.any():
        return H
    # Taken off, not put together again from the others: those would leave their own rounding in a row of zeros.
    taken = (vectors * np.where(made, values, 0.0)) @ vectors.T
    left = sized - taken
    units = np.where(look.free, look.scale, np.inf)
    kept = np.where(np.abs(left) <= np.abs(taken), 0.0, left) / units[:, None] / units
    return np.where(faint[:, None] | faint, kept, H)


def steady(look: Look, curvature: Curvature, rounding: float) -> Curvature:
    """The same, with upward curvatures taken for zero where none shows in the cost and they do not stay as they are.

    At a bottom of higher order the curvature is what is left of the way there: (r² - 1)⁴ bends upwards in every
    direction wherever a walk can end, but along the circle it costs nothing. The stiffest still leads to the bottom.
    """
    block = curvature.hessian
    if block is None or not block.size or not look.objective.has_hessian or look.quadratic:
        return curvature
    values = curvature.values
    if values.item(0) >= SHALLOW * values.item(values.size - 1):
        return curvature
    size = look.scale if block.shape[0] == look.n else look.scale[curvature.free]
    sized = (size[:, None] * block * size).ravel("K")
    if not 0.0 < 0.5 * sqrt(sized.dot(sized)) <= rounding < np.inf:
        return curvature
    weak = (values > curvature.limit) & (values < SHALLOW * values.max())
    if not weak.any():
        return curvature
    shift = ASIDE * look.scale * look.signs()
    near = look.objective.bounds.project(np.where(look.free, look.x + shift, look.x))
    there = finite_part(np.asarray(look.objective.hessian(near)))
    unseen = weak & (np.abs(_bent_by(there, curvature.vectors) - values) > UNSTEADY * values)
    return replace(curvature, unseen=unseen if curvature.unseen is None else unseen | curvature.unseen)


def _plain(look: Look, free: np.ndarray) -> Curvature | None:
    """Curvature from a few differences of the slope, where they leave no doubt: None otherwise.

    Making exact second derivatives of a cost for the first time takes longer than all else at a minimum that
    is plain. The differences on the two sides must agree, the matrix must be symmetric, and every curvature
    clearly positive; a kink within reach, or a cost of which no trace says that there is none, is not for this.
    """
    h = DIFFERENCE_STEP * look.scale
    if look.structure is None or look.structure.kinks.opaque or look.structure.kinks_near(look.x, 2 * h):
        return None
    bounds = look.objective.bounds
    room = np.minimum(bounds.upper - look.x, look.x - bounds.lower) if bounds.any else None
    if room is not None and (room < h)[free].any():
        return None
    forwards, backwards, spans = [], [], np.empty(free.size)
    for k, i in enumerate(free.tolist()):
        ahead, behind = look.x.copy(), look.x.copy()
        ahead[i] += h[i]
        behind[i] -= h[i]
        forward, backward = look.slope_at(ahead)[1], look.slope_at(behind)[1]
        if not isfinite(forward[i] - backward[i]):
            return None
        forwards.append(forward)
        backwards.append(backward)
        spans[k] = ahead[i] - behind[i]
    slopes, others = (np.array(found).reshape(free.size, look.n) for found in (forwards, backwards))
    change = slopes - others
    uneven = np.abs(slopes - 2.0 * look.gradient + others) * look.scale
    most_of = np.maximum.reduce
    if not holds_everywhere(most_of(uneven, 1) <= UNEVEN * most_of(np.abs(change) * look.scale, 1)):
        return None
    columns, whole = (change / spans[:, None]).T, free.size == look.n
    size, block = (look.scale, columns) if whole else (look.scale[free], columns[free])
    sized = size[:, None] * block * size
    if largest(np.abs(sized - sized.T)) > UNEVEN * largest(np.abs(sized)):
        return None
    if free.size and eigenvalues(0.5 * (sized + sized.T))[0] <= SHALLOW * (look.fall or np.inf):
        shift = LONGER * h * np.where(look.free, look.signs(), 0.0)
        ahead, behind = bounds.project(look.x + shift), bounds.project(look.x - shift)
        difference = look.slope_at(ahead)[1] - look.slope_at(behind)[1]
        moved = (ahead - behind)[free]
        doubt = UNEVEN * (np.abs(block) @ np.abs(moved))
        if not (np.abs(difference[free] - block @ moved) <= doubt).all():
            return None
    found = _of_columns(look, columns, ERROR_DIFFERENCES, "eigenvalues of differences of the exact slope")
    return found if found.values.size and found.values[0] > PLAINLY_POSITIVE else None


def _exact_product(look: Look) -> Callable[[Vector], Vector]:
    return lambda v: look.objective.hessian_product(look.x, v)


def _difference_product(look: Look) -> Callable[[Vector], Vector]:
    """H·v from slopes on both sides, or on the inner side next to a bound."""

    def product(v: Vector) -> Vector:
        size = float(np.max(np.abs(v) / look.scale, initial=0.0))
        if size == 0.0:
            return np.zeros(look.n)
        h = DIFFERENCE_STEP / size
        ahead, behind = (look.objective.bounds.project(look.x + s * h * v) for s in (1.0, -1.0))
        difference = look.slope_at(ahead)[1] - look.slope_at(behind)[1]
        span = float((ahead - behind) @ v) / float(v @ v)
        return difference / span if span > 0 else np.zeros(look.n)

    return product


def _dense(look: Look, H: np.ndarray, error: float, how: str) -> Curvature:
    """Curvature from the whole Hessian `H` (n, n)."""
    free = look.free_indices
    block = H.copy() if free.size == look.n else H[np.ix_(free, free)]
    if not all_finite(H):
        block, how = _finite_block(block, how)
        H = np.where(np.isfinite(H), H, 0.0)
        H[np.ix_(free, free)] = block
    return _of_block(look, block, lambda v: H @ v, error, how)


def _of_columns(look: Look, columns: np.ndarray, error: float, how: str) -> Curvature:
    """Curvature from the columns (n, k) of the Hessian that belong to the free parameters, few among very many.

    Of what was measured by differences the half above the diagonal and the half below it are taken together.
    """
    free, whole = look.free_indices, len(columns.T) == look.n
    block = columns if whole else columns[free]
    if error == ERROR_DIFFERENCES:
        block = 0.5 * (block + block.T)
    block, how = _finite_block(block, how)
    if whole:
        return _of_block(look, block, block.dot, error, how)
    columns = np.where(np.isfinite(columns), columns, 0.0)
    columns[free] = block
    return _of_block(look, block, lambda v: columns @ v[free], error, how)


def _finite_block(block: np.ndarray, how: str) -> tuple[np.ndarray, str]:
    """The finite part of the `block` (k, k) between the free parameters, and how it was made, with what was left out.

    What parameters at their bounds have to do with them is not looked at: they do not move.
    """
    return (block, how) if all_finite(block) else (finite_part(block), how + LEFT_OUT)


def _beyond_rounding(own: Vector, values: Vector, vectors: np.ndarray) -> Vector:
    """The eigenvalues `own` (k,) of a positive H, the smallest mended, which the rounding of the largest has swallowed.

    It is one over the largest eigenvalue of H⁻¹, with `values` (k,) and `vectors` (k, k) of D·H·D: D·(D·H·D)⁻¹·D.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        inverse = (vectors / values) @ vectors.T
    if not np.isfinite(inverse).all():
        return own
    return np.maximum(own, 1.0 / eigenvalues(inverse)[-1])


def _of_block(
    look: Look, block: np.ndarray, products: Callable[[np.ndarray], np.ndarray], error: float, how: str
) -> Curvature:
    """Curvature from the `block` (k, k) of the Hessian between the free parameters, and products with all of it."""
    free = look.free_indices
    d = balanced(block)
    values, scaled = eigensystem(d[:, None] * block * d)
    vectors, scaling = d[:, None] * scaled, d
    if free.size < look.n:
        within, vectors, scaling = vectors, np.zeros((look.n, free.size)), np.ones(look.n)
        vectors[free], scaling[free] = within, d
    limit = error * max(free.size, 1)
    own = eigenvalues(block)
    if free.size and values[0] > limit and own[0] <= free.size * EPS * own[-1]:
        own = _beyond_rounding(own, values, d[:, None] * scaled)
    extremes = (float(own[0]), float(own[-1])) if free.size else (np.inf, -np.inf)
    return Curvature(
        block,
        free,
        scaling,
        values,
        vectors,
        limit,
        extremes,
        own,
        True,
        products,
        how,
    )


def _by_products(look: Look) -> Curvature:
    exact = look.objective.has_hessian_product
    whole = _exact_product(look) if exact else _difference_product(look)
    spent = {"products": 0, "not finite": 0}

    def product(v: Vector) -> Vector:
        spent["products"] += 1
        found = look.on_free(whole(look.on_free(v)))
        if all_finite(found):
            return found
        spent["not finite"] += 1
        return np.where(np.isfinite(found), found, 0.0)

    projected = look.on_free(look.projected)
    krylov = lanczos(product, look.on_free(look.generator.standard_normal(look.n)), PRODUCTS_AT_RANDOM)
    size = float(np.abs(krylov.values).max(initial=0.0))
    error = ERROR_EXACT if exact else ERROR_DIFFERENCES
    slope_krylov = lanczos(product, projected, PRODUCTS_ALONG_SLOPE) if projected.any() else None
    if slope_krylov is not None and slope_krylov.values.size and krylov.values.size:
        if slope_krylov.values[0] < krylov.values[0]:
            krylov = slope_krylov
        size = max(size, float(np.abs(slope_krylov.values).max()))
    vectors = np.column_stack([krylov.direction(i) for i in range(krylov.values.size)])
    limit = error * np.sqrt(look.count_free) * size
    # The step is made now, so that its basis need not be kept: of many parameters each vector counts.
    bends: np.ndarray | None = None
    promise, step = 0.0, np.broadcast_to(0.0, look.n)
    if slope_krylov is not None and slope_krylov.values.size:
        bends = slope_krylov.values
        if bends[0] > limit:
            promise = float(slope_krylov.weights @ (1.0 / bends))
            coefficients = slope_krylov.vectors @ (slope_krylov.vectors[0] / bends)
            step = -float(np.linalg.norm(projected)) * coefficients @ slope_krylov.basis
    values = krylov.values
    del krylov, slope_krylov

    def along_slope(slope: Vector) -> tuple[Vector, float]:
        length = float(np.linalg.norm(slope))
        if length == 0.0 or bends is None:
            return np.zeros(look.n), 0.0
        if bends[0] <= limit:
            return np.zeros(look.n), np.inf
        if np.array_equal(slope, projected):
            return step, 0.5 * length**2 * promise
        # Another slope: the mean curvature seen along the first one has to do.
        return -slope / bends[0], 0.5 * length**2 / float(1.0 / promise)

    extremes = (float(values[0]), float(size)) if values.size else (np.nan, np.nan)
    left_out = LEFT_OUT if spent["not finite"] else ""
    return Curvature(
        None,
        NONE,
        np.broadcast_to(1.0, look.n),
        values,
        vectors,
        limit,
        extremes,
        None,
        False,
        product,
        f"Lanczos, {counted(spent['products'], 'Hessian product')}{left_out}",
        along_slope,
    )
