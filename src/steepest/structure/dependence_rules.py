"""What the results of each operation depend on, element by element: a rule for each primitive.

Each rule gives what the results of one equation depend on; None where it does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..tracing.primitives.indexing import scatter_windows
from .dependence import (
    FEW,
    MANY_ROWS,
    MOST_COLUMNS,
    MOST_ENTRIES,
    MOST_MEETING,
    NOTHING,
    Dependence,
    Dependences,
    ones_where,
)
from .reading import moved


def everything(go: Dependences, equation: Any) -> list[Dependence]:
    """All results depend on all that the operands depend on."""
    from scipy.sparse import csr_array

    reached = np.zeros(go.n, dtype=bool)
    for atom in equation.invars:
        found = go.of(atom)
        for column in found.columns:
            reached[column[column >= 0]] = True
        if found.rest is not None:
            reached[found.rest.indices] = True
    parameters = np.flatnonzero(reached).astype(np.int32)
    results = []
    for var in equation.outvars:
        size = var.aval.size
        if parameters.size * size > MOST_ENTRIES:
            raise go.too_full()
        if parameters.size <= FEW:
            results.append(Dependence(tuple(np.full(size, k, dtype=np.int32) for k in parameters)))
            continue
        indptr = np.arange(size + 1) * parameters.size
        data = np.ones(size * parameters.size, dtype=np.int8)
        results.append(
            Dependence((), csr_array((data, np.tile(parameters, size), indptr), shape=(size, go.n)))
        )
    return results


def elementwise(go: Dependences, equation: Any) -> list[Dependence]:
    """Each element depends on what those at its place in the operands do."""
    return [_joined_elements(go, equation, equation.invars)]


def _joined_elements(go: Dependences, equation: Any, atoms: Sequence[Any]) -> Dependence:
    shape = equation.outvars[0].aval.shape
    parts = []
    for atom in atoms:
        if go.reading.depends(atom):
            found = go.of(atom)
            if atom.aval.shape != shape:
                places = np.arange(atom.aval.size).reshape(atom.aval.shape)
                found = go.placed(found, np.broadcast_to(places, shape).ravel())
            parts.append(found)
    return go.union(parts)


def _product(go: Dependences, equation: Any) -> list[Dependence]:
    """As elementwise, but where a constant factor is zero nothing depends on anything."""
    found = _joined_elements(go, equation, equation.invars)
    for constant in equation.invars:
        if go.reading.depends(constant):
            continue
        value = go.reading.constant(constant)
        if value is None:
            continue
        zero = np.asarray(value) == 0
        if zero.any():
            out = equation.outvars[0].aval
            found = _masked(go, found, ~np.broadcast_to(zero, out.shape).ravel())
    return [found]


def _masked(go: Dependences, found: Dependence, mask: np.ndarray) -> Dependence:
    return go.placed(found, np.where(mask, np.arange(mask.size), -1))


def _select(go: Dependences, equation: Any) -> list[Dependence] | None:
    which, *cases = equation.invars
    out = equation.outvars[0].aval
    chosen = None if go.reading.depends(which) else go.reading.constant(which)
    if chosen is None:
        return [_joined_elements(go, equation, equation.invars if go.steps_count else cases)]
    chosen = np.broadcast_to(chosen, out.shape).ravel().astype(np.int64)
    parts = []
    for number, case in enumerate(cases):
        if go.reading.depends(case):
            found = _joined_elements(go, equation, [case])
            mask = chosen == number
            parts.append(found if mask.all() else _masked(go, found, mask))
    return [go.union(parts)]


def _same(go: Dependences, equation: Any) -> list[Dependence]:
    return [go.of(equation.invars[0])]


def _each(go: Dependences, equation: Any) -> list[Dependence]:
    return [go.of(atom) for atom in equation.invars]


def _first_only(go: Dependences, equation: Any) -> list[Dependence] | None:
    """Operations that move elements of the first operand to where constants say."""
    operand, *rest = equation.invars
    if any(go.reading.depends(atom) for atom in rest):
        return None
    constants = [go.reading.constant(atom) for atom in rest]
    if any(value is None for value in constants):
        return None
    # Places counted from 1: what is filled in from outside reads as 0, or as NaN.
    numbers = np.arange(1.0, operand.aval.size + 1.0).reshape(operand.aval.shape)
    places = moved(equation, [numbers, *map(np.asarray, constants)])
    if places is None:
        return None
    flat = np.nan_to_num(np.asarray(places).ravel(), nan=0.0, posinf=0.0, neginf=0.0)
    flat = np.clip(flat, 0, operand.aval.size).astype(np.int64) - 1
    return [go.placed(go.of(operand), flat)]


def _viewed(view: Callable[[np.ndarray, Any], np.ndarray]) -> Callable[[Dependences, Any], list[Dependence]]:
    """A rule for an operation that NumPy does by looking at the array in another way."""

    def rule(go: Dependences, equation: Any) -> list[Dependence]:
        operand = equation.invars[0]
        found = go.of(operand)
        shape = operand.aval.shape
        if (
            len(found.columns) * equation.outvars[0].aval.size > 4 * MOST_ENTRIES
        ):  # no matrix would be made of it
            raise go.too_full()

        def seen(column: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(view(column.reshape(shape), equation)).ravel()

        if found.rest is not None:
            return [go.placed(found, seen(np.arange(operand.aval.size)))]
        return [Dependence(tuple(seen(column) for column in found.columns))]

    return rule


def _transpose(x: np.ndarray, equation: Any) -> np.ndarray:
    return np.transpose(x, equation.params["permutation"])


def _reverse(x: np.ndarray, equation: Any) -> np.ndarray:
    return np.flip(x, equation.params["dimensions"])


def _slice(x: np.ndarray, equation: Any) -> np.ndarray:
    params = equation.params
    strides = params["strides"] or (1,) * x.ndim
    return x[tuple(map(slice, params["start_indices"], params["limit_indices"], strides))]


def _broadcast(x: np.ndarray, equation: Any) -> np.ndarray:
    shape, kept = equation.params["shape"], equation.params["broadcast_dimensions"]
    inserted = [1] * len(shape)
    for axis, place in enumerate(kept):
        inserted[place] = x.shape[axis]
    return np.broadcast_to(x.reshape(inserted), shape)


def _pad(go: Dependences, equation: Any) -> list[Dependence]:
    operand, filling = equation.invars
    config = equation.params["padding_config"]
    out = equation.outvars[0].aval
    if any(low < 0 or high < 0 for low, high, _ in config):
        places = moved(
            equation, [np.arange(1.0, operand.aval.size + 1.0).reshape(operand.aval.shape), np.float64(0.0)]
        )
        if places is None:
            return everything(go, equation)
        flat = np.asarray(places).ravel().astype(np.int64) - 1
        found = go.placed(go.of(operand), flat)
    else:
        inside = tuple(
            slice(low, size - high, between + 1)
            for (low, high, between), size in zip(config, out.shape, strict=True)
        )

        def padded(column: np.ndarray) -> np.ndarray:
            whole = np.full(out.shape, -1, dtype=column.dtype)
            whole[inside] = column.reshape(operand.aval.shape)
            return whole.ravel()

        known = go.of(operand)
        if known.rest is not None:
            found = go.placed(known, padded(np.arange(operand.aval.size)))
        else:
            found = Dependence(tuple(padded(column) for column in known.columns))
    if go.reading.depends(filling):
        found = go.union([found, go.placed(go.of(filling), np.zeros(out.size, dtype=np.int64))])
    return [found]


def _concatenate(go: Dependences, equation: Any) -> list[Dependence]:
    return [
        _side_by_side(go, equation, equation.params["dimension"], [a.aval.shape for a in equation.invars])
    ]


def _stack(go: Dependences, equation: Any) -> list[Dependence]:
    axis = equation.params["axis"]
    shapes = [(*a.aval.shape[:axis], 1, *a.aval.shape[axis:]) for a in equation.invars]
    return [_side_by_side(go, equation, axis, shapes)]


def _side_by_side(go: Dependences, equation: Any, axis: int, shapes: Sequence[Any]) -> Dependence:
    found = [go.of(atom) for atom in equation.invars]
    if any(part.rest is not None for part in found):
        return _side_by_side_rows(go, equation, axis, shapes, found)
    depth = max(len(part.columns) for part in found)
    columns = []
    for number in range(depth):
        pieces = [
            part.columns[number].reshape(shape)
            if number < len(part.columns)
            else np.full(shape, -1, dtype=np.int32)
            for part, shape in zip(found, shapes, strict=True)
        ]
        columns.append(np.concatenate(pieces, axis).ravel())
    return Dependence(tuple(columns))


def _side_by_side_rows(
    go: Dependences, equation: Any, axis: int, shapes: Sequence[Any], found: Sequence[Dependence]
) -> Dependence:
    """As columns where there are columns, as rows where there are rows: each operand by its places in the result."""
    starts = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    owners = [np.full(shape, number) for number, shape in enumerate(shapes)]
    places = [
        np.arange(start, stop).reshape(shape)
        for start, stop, shape in zip(starts[:-1], starts[1:], shapes, strict=True)
    ]
    owner = np.concatenate(owners, axis).ravel()
    place = np.concatenate(places, axis).ravel()
    parts = []
    for number, part in enumerate(found):
        if part is not NOTHING:
            parts.append(go.placed(part, np.where(owner == number, place - starts[number], -1)))
    return go.union(parts)


def _split(go: Dependences, equation: Any) -> list[Dependence]:
    operand = equation.invars[0]
    numbers = np.arange(operand.aval.size).reshape(operand.aval.shape)
    edges = np.cumsum(equation.params["sizes"])[:-1]
    parts = np.split(numbers, edges, axis=equation.params["axis"])
    return [go.placed(go.of(operand), part.ravel()) for part in parts]


def _unstack(go: Dependences, equation: Any) -> list[Dependence]:
    operand = equation.invars[0]
    numbers = np.moveaxis(
        np.arange(operand.aval.size).reshape(operand.aval.shape), equation.params["axis"], 0
    )
    return [go.placed(go.of(operand), part.ravel()) for part in numbers]


def _reduced(go: Dependences, equation: Any) -> list[Dependence]:
    operand, out = equation.invars[0], equation.outvars[0].aval
    axes = tuple(equation.params["axes"])
    return [_over(go, operand, axes, out.size)]


def _over(go: Dependences, operand: Any, axes: tuple[int, ...], size: int) -> Dependence:
    """What each sum over `axes` depends on."""
    found, shape = go.of(operand), operand.aval.shape
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    each = int(np.prod([shape[axis] for axis in axes], dtype=np.int64))
    if found.rest is None and each * len(found.columns) <= FEW:
        columns = []
        for column in found.columns:
            groups = column.reshape(shape).transpose(*kept, *axes).reshape(size, each)
            columns += [np.ascontiguousarray(groups[:, k]) for k in range(each)]
        return Dependence(tuple(columns))
    target = np.expand_dims(np.arange(size).reshape([shape[axis] for axis in kept]), axes)
    return go.gathered(found, np.broadcast_to(target, shape).ravel(), size)


def _cumulated(go: Dependences, equation: Any) -> list[Dependence] | None:
    """Each element of a running sum depends on all before it."""
    from scipy.sparse import coo_array

    operand, axis = equation.invars[0], equation.params["axis"]
    shape, size = operand.aval.shape, operand.aval.size
    if not size:
        return [NOTHING]
    length = shape[axis]
    numbers = np.moveaxis(np.arange(size).reshape(shape), axis, -1).ravel()
    # Parameter by parameter, in which lines along the axis it stands, and where. It is in all that comes after its
    # first place in a line; how many entries these are is known before any of them is made.
    matrix = go.matrix(go.of(operand), size)[numbers].tocsc()
    matrix.sort_indices()
    line, place = np.divmod(matrix.indices, length)
    column = np.repeat(np.arange(go.n, dtype=np.int32), np.diff(matrix.indptr))
    differs = (np.diff(column) != 0) | (np.diff(line) != 0)
    ends = np.ones(min(column.size, 1), dtype=bool)
    if equation.params.get("reverse", False):
        kept = np.concatenate([differs, ends])
        first, count = np.zeros_like(place[kept]), place[kept] + 1
    else:
        kept = np.concatenate([ends, differs])
        first, count = place[kept], length - place[kept]
    entries = int(count.sum(dtype=np.int64))
    go.refuse(entries, size)
    if entries > MOST_ENTRIES:
        raise go.too_full()
    within = np.arange(entries) - np.repeat(np.cumsum(count, dtype=np.int64) - count, count)
    rows = numbers[np.repeat(line[kept].astype(np.int64) * length + first, count) + within]
    ones = np.ones(entries, dtype=np.int8)
    result = coo_array((ones, (rows, np.repeat(column[kept], count))), shape=(size, go.n))
    return [Dependence((), result.tocsr())]


def _along_axis(go: Dependences, equation: Any) -> list[Dependence]:
    """Sorting: each element may come from anywhere along the axis."""
    results = []
    for operand in equation.invars:
        axis = equation.params["dimension"]
        size = operand.aval.size // max(operand.aval.shape[axis], 1)
        if not go.reading.depends(operand):
            results.append(NOTHING)
            continue
        over = _over(go, operand, (axis,), size)
        shape = operand.aval.shape
        reduced = np.expand_dims(np.arange(size).reshape(shape[:axis] + shape[axis + 1 :]), axis)
        results.append(go.placed(over, np.broadcast_to(reduced, shape).ravel()))
    return [go.union(results)] * len(equation.outvars)


def _dot(go: Dependences, equation: Any) -> list[Dependence] | None:
    """Products of matrices: an element depends on a row of the one and a column of the other."""
    parts = []
    for number, atom in enumerate(equation.invars):
        if go.reading.depends(atom):
            part = _one_side(go, equation, number)
            if part is None:
                return None
            parts.append(part)
    return [go.union(parts)]


def _one_side(go: Dependences, equation: Any, side: int) -> Dependence | None:
    """What the result depends on through one operand of a contraction."""
    from scipy.sparse import coo_array

    (contracted, batch) = equation.params["dimension_numbers"]
    operand, other = equation.invars[side], equation.invars[1 - side]
    mine, theirs = ((tuple(batch[k]), tuple(contracted[k])) for k in (side, 1 - side))
    x, y = operand.aval.shape, other.aval.shape
    free = [d for d in range(len(x)) if d not in mine[0] + mine[1]]
    their_free = [d for d in range(len(y)) if d not in theirs[0] + theirs[1]]
    batches = int(np.prod([x[d] for d in mine[0]], dtype=np.int64))
    inner = int(np.prod([x[d] for d in mine[1]], dtype=np.int64))
    own = int(np.prod([x[d] for d in free], dtype=np.int64))
    far = int(np.prod([y[d] for d in their_free], dtype=np.int64))
    value = None if go.reading.depends(other) else go.reading.constant(other)
    numbers = np.arange(operand.aval.size).reshape(x).transpose(*mine[0], *mine[1], *free)
    numbers = numbers.reshape(batches, inner, own)
    nonzero = None
    if value is not None:
        value = np.asarray(value).transpose(*theirs[0], *theirs[1], *their_free)
        nonzero = value.reshape(batches, inner, far) != 0
    if nonzero is None or nonzero.all():
        # Whatever the other operand holds: a sum over the contracted axes, laid along its free ones.
        target = np.empty(operand.aval.size, dtype=np.int64)
        target[numbers] = np.arange(batches * own).reshape(batches, 1, own)
        summed = go.gathered(go.of(operand), target, batches * own)
        sources = np.arange(batches * own).reshape((batches, own, 1) if side == 0 else (batches, 1, own))
        whole = (batches, own, far) if side == 0 else (batches, far, own)
        return go.placed(summed, np.broadcast_to(sources, whole).ravel())
    matrix = go.matrix(go.of(operand), operand.aval.size).astype(np.int32)
    per_row = np.diff(matrix.indptr)
    nonzero &= (per_row[numbers] > 0).any(axis=2)[:, :, None]
    links = int(np.count_nonzero(nonzero)) * own
    go.foresee(links)
    if links > MOST_ENTRIES:
        raise go.too_full()
    b, k, f = np.nonzero(nonzero)
    size = equation.outvars[0].aval.size
    out = np.arange(size).reshape((batches, own, far) if side == 0 else (batches, far, own))
    if side == 1:
        out = out.transpose(0, 2, 1)
    places = (out[b, :, f].ravel(), numbers[b, k, :].ravel())
    ones = np.ones(places[0].size, dtype=np.int32)
    gather = coo_array((ones, places), shape=(size, operand.aval.size)).tocsr()
    # The product has at most this many terms; as many entries would be too many to find out.
    if int(per_row[places[1]].sum()) > 4 * MOST_ENTRIES:
        raise go.too_full()
    return Dependence((), ones_where(gather @ matrix))


def _scattered(go: Dependences, equation: Any) -> list[Dependence] | None:
    operand, indices, updates = equation.invars
    places = None if go.reading.depends(indices) else go.reading.constant(indices)
    if places is None:
        return None
    windows, order = scatter_windows(equation)
    flat, inside = windows.flat(np.asarray(places))
    if inside is not None:
        flat = np.where(inside.reshape(inside.shape + (1,) * (flat.ndim - inside.ndim)), flat, -1)
    numbers = np.arange(updates.aval.size).reshape(updates.aval.shape).transpose(order)
    target = np.empty(updates.aval.size, dtype=np.int64)
    target[numbers.ravel()] = np.broadcast_to(flat, numbers.shape).ravel()
    size = operand.aval.size
    parts = [go.of(operand)] if go.reading.depends(operand) else []
    written = target[target >= 0]
    if parts and equation.primitive.name == "scatter":
        untouched = np.ones(size, dtype=bool)
        untouched[written] = False
        parts = [_masked(go, parts[0], untouched)]
    if go.reading.depends(updates):
        if written.size == 0 or np.bincount(written, minlength=1).max(initial=0) <= 1:
            source = np.full(size, -1, dtype=np.int64)
            source[written] = np.flatnonzero(target >= 0)
            parts.append(go.placed(go.of(updates), source))
        else:
            found = go.of(updates)
            meeting = len(found.columns) * target.size + (0 if found.rest is None else found.rest.nnz)
            if size >= MANY_ROWS and meeting > MOST_MEETING * size:
                raise go.too_full()
            parts.append(go.gathered(found, target, size))
    return [go.union(parts)]


def _updated(go: Dependences, equation: Any) -> list[Dependence] | None:
    operand, update, *starts = equation.invars
    if any(go.reading.depends(atom) for atom in starts):
        return None
    constants = [go.reading.constant(atom) for atom in starts]
    if any(value is None for value in constants):
        return None
    old = np.arange(1.0, operand.aval.size + 1.0).reshape(operand.aval.shape)
    new = -np.arange(1.0, update.aval.size + 1.0).reshape(update.aval.shape)
    result = moved(equation, [old, new, *map(np.asarray, constants)])
    if result is None:
        return None
    flat = np.asarray(result).ravel().astype(np.int64)
    parts = []
    if go.reading.depends(operand):
        parts.append(go.placed(go.of(operand), np.where(flat > 0, flat - 1, -1)))
    if go.reading.depends(update):
        parts.append(go.placed(go.of(update), np.where(flat < 0, -flat - 1, -1)))
    return [go.union(parts)]


def _convolved(go: Dependences, equation: Any) -> list[Dependence] | None:
    """A convolution with a constant kernel: one shifted copy of the signal for each entry of the kernel."""
    signal, kernel = equation.invars
    if go.reading.depends(kernel):
        return None
    weights = go.reading.constant(kernel)
    if weights is None:
        return None
    weights = np.asarray(weights)
    taps = np.argwhere(weights)
    numbers = np.arange(1.0, signal.aval.size + 1.0).reshape(signal.aval.shape)
    if len(taps) > MOST_COLUMNS:
        return None
    parts = []
    for tap in taps:
        single = np.zeros_like(weights)
        single[tuple(tap)] = 1
        places = moved(equation, [numbers, single])
        if places is None or signal.aval.shape[equation.params["dimension_numbers"].lhs_spec[1]] != 1:
            return None
        flat = np.rint(np.asarray(places)).astype(np.int64).ravel() - 1
        shifted = go.placed(go.of(signal), flat)
        parts.append(Dependence(tuple(map(go.interned, shifted.columns)), shifted.rest))
    return [go.union(parts)]


def _of_many(go: Dependences, equation: Any) -> list[Dependence]:
    """Many integrals or roots: each depends on its own part of what is held along them, and on all of the rest."""
    params = equation.params
    count = params["batch"] // params.get("group", 1)
    parts = []
    for atom, own in zip(equation.invars, params["along"], strict=True):
        if go.reading.depends(atom):
            size = atom.aval.size
            target = np.arange(count).repeat(size // count) if own else np.zeros(size, dtype=np.int64)
            found = go.gathered(go.of(atom), target, count if own else 1)
            parts.append(found if own else go.placed(found, np.zeros(count, dtype=np.int64)))
    together = go.union(parts)
    return [go.placed(together, np.arange(count).repeat(var.aval.size // count)) for var in equation.outvars]


# Operations on elements, whatever they compute.
_ELEMENTWISE = (
    "add sub mul div neg exp exp2 log log1p expm1 sqrt rsqrt cbrt sin cos tan asin acos atan sinh cosh tanh asinh "
    "acosh atanh logistic abs square integer_pow pow max min erf erfc erf_inv lgamma digamma polygamma atan2 rem "
    "add_any igamma igammac igamma_grad_a bessel_i0e bessel_i1e regularized_incomplete_beta zeta clamp real imag "
    "conj complex scipy_special"
).split()

_UNMOVED = ("reshape", "squeeze", "expand_dims", "copy", "copy_p", "reduce_precision", "convert_element_type")

# Operations whose results move in steps only, so that their derivative is zero.
STEPS = frozenset({"and", "or", "not", "xor", "population_count", "clz"})
# Those of them whose result is not element by element.
ELSEWHERE = frozenset({"argmax", "argmin"})

RULES: dict[str, Callable[[Dependences, Any], list[Dependence] | None]] = {
    **dict.fromkeys(_ELEMENTWISE, elementwise), **dict.fromkeys(_UNMOVED, _same),
    "optimization_barrier": _each, "mul": _product, "select_n": _select, "broadcast_in_dim": _viewed(_broadcast),
    "slice": _viewed(_slice), "transpose": _viewed(_transpose), "rev": _viewed(_reverse), "pad": _pad,
    "concatenate": _concatenate, "stack": _stack, "split": _split, "unstack": _unstack,
    "gather": _first_only, "dynamic_slice": _first_only, "tile": _first_only,
    **dict.fromkeys(("reduce_sum", "reduce_prod", "reduce_max", "reduce_min"), _reduced),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), _cumulated),
    "sort": _along_axis, "dot_general": _dot, "dynamic_update_slice": _updated,
    **dict.fromkeys(("scatter", "scatter-add", "scatter_add", "scatter-sub"), _scattered),
    "conv_general_dilated": _convolved, "integral": _of_many, "root": _of_many,
}  # fmt: skip
