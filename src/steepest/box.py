"""Bounds and fixed parameters, in any of the forms people write them, as one flat box and the parameters left free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .bounds import Bounds
from .errors import InputError
from .parameters import Parameters

Vector = np.ndarray


def box_of(bounds: Any, parameters: Parameters, names: Sequence[str]) -> tuple[Bounds, tuple[str, ...]]:
    """Bounds in any of the forms people write, as one flat box.

    A pair for each parameter; one pair of numbers for all; a dict from name to pair; `scipy.optimize.Bounds`; a tuple
    of two lists or arrays, lower and upper, of other than two parameters. None or an infinity on either side means no
    bound.
    """
    n = parameters.n
    if bounds is None:
        return Bounds.none(n), ()
    lower, upper = np.full(n, -np.inf), np.full(n, np.inf)
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        _set(lower, upper, (bounds.lb, bounds.ub), "all parameters")
    elif isinstance(bounds, Mapping):
        for name, pair in bounds.items():
            span = _span(str(name), parameters, names)
            _set(lower[span], upper[span], pair, str(name))
    else:
        pairs = _listed(bounds)
        if _is_pair(pairs):
            pairs = [tuple(pairs)] * n
        elif len(pairs) == 2 and n != 2:  # for two parameters it is a pair for each
            pairs = _listed(pairs_of_ends(bounds, n))
        if len(pairs) != n:
            arrays = "" if n == 2 else f", or two arrays (lower, upper) of {n:,} each"
            raise InputError(
                f"bounds has {len(pairs)} {'entry' if len(pairs) == 1 else 'entries'} for {n} "
                f"parameter{'s' if n != 1 else ''} ({', '.join(names[:6])}{', …' if n > 6 else ''}); give one "
                f"(low, high) pair for each, or a dict from name to pair{arrays}"
            )
        plain = _plain_pairs(pairs)
        if plain is not None:
            lower, upper = plain
        else:
            for k, pair in enumerate(pairs):
                _set(lower[k : k + 1], upper[k : k + 1], pair, names[k])
    if not (lower <= upper).all():
        k = int(np.argmin(lower <= upper))
        raise InputError(f"the bounds of {names[k]} leave nothing: {lower[k]} to {upper[k]}")
    return Bounds(lower, upper), ()


def pairs_of_ends(bounds: Any, n: int) -> Any:
    """SciPy's `(lower, upper)` of `least_squares` and `curve_fit` as a pair for each of the `n` parameters.

    Meant is a tuple of two, lists or arrays of n numbers, one of which may be a single number; all else comes back
    as it is.

    >>> pairs_of_ends(([0, 1], np.inf), 2)
    [(0.0, inf), (1.0, inf)]
    """
    if type(bounds) is not tuple or len(bounds) != 2:
        return bounds
    several = [isinstance(end, list | np.ndarray) for end in bounds]
    ends = [list(end) if many else [end] * n for end, many in zip(bounds, several, strict=True)]
    numbers = all(isinstance(value, int | float | np.number) for end in ends for value in end)
    if not any(several) or not numbers or any(len(end) != n for end in ends):
        return bounds
    return [(float(low), float(high)) for low, high in zip(*ends, strict=True)]


def _listed(bounds: Any) -> list[Any]:
    try:
        return list(bounds)
    except TypeError:
        raise InputError(
            f"bounds={bounds!r}; give one (low, high) pair for each parameter, or a dict from name to pair"
        ) from None


def _plain_pairs(pairs: list[Any]) -> tuple[Vector, Vector] | None:
    """Pairs of numbers and None as two arrays (n,), all at once; None where any is something else or leaves nothing."""
    # One pass in C for each question: of 10,000 parameters, asking pair by pair takes as long as a few factorisations.
    if not set(map(type, pairs)) <= {tuple, list} or set(map(len, pairs)) != {2}:
        return None
    lows, highs = zip(*pairs, strict=True)
    types = set(map(type, lows)) | set(map(type, highs))
    if not types <= {float, int, type(None)}:
        return None
    if type(None) in types:
        lows = tuple(-np.inf if low is None else low for low in lows)
        highs = tuple(np.inf if high is None else high for high in highs)
    try:
        lower, upper = np.array(lows, dtype=np.float64), np.array(highs, dtype=np.float64)
    except OverflowError:  # an integer that no float holds
        return None
    return (lower, upper) if (lower <= upper).all() else None


def _is_pair(value: Any) -> bool:
    return len(value) == 2 and all(
        end is None or (type(end) not in (tuple, list) and np.ndim(end) == 0) for end in value
    )


def _set(lower: Vector, upper: Vector, pair: Any, name: str) -> None:
    """Write a pair, each of it one number for all or one for each, into both ends (k,) of what is called `name`."""
    for end, values in zip((lower, upper), _pair(pair, name), strict=True):
        if np.size(values) not in (1, end.size):
            raise InputError(
                f"the bounds of {name} hold {np.size(values)} numbers on one side, for {end.size}; give one number for "
                "all, or one for each"
            )
        end[:] = values


def _pair(pair: Any, name: str) -> tuple[Any, Any]:
    try:
        low, high = pair
        low = -np.inf if low is None else np.asarray(low, dtype=np.float64)
        high = np.inf if high is None else np.asarray(high, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"the bounds of {name} are {pair!r}; write (low, high), with None where there is none"
        ) from None
    if np.isnan(low).any() or np.isnan(high).any():
        raise InputError(f"the bounds of {name} hold NaN; write None where there is no bound")
    return np.ravel(low) if np.ndim(low) else low, np.ravel(high) if np.ndim(high) else high


def _span(name: str, parameters: Parameters, names: Sequence[str]) -> slice:
    """Where a leaf or an entry called `name` lies in the flat vector."""
    for leaf in parameters.leaves:
        if leaf.name == name:
            return slice(leaf.start, leaf.stop)
    if name in names:
        k = names.index(name)
        return slice(k, k + 1)
    import difflib

    known = [leaf.name for leaf in parameters.leaves] if len(parameters.leaves) > 1 else list(names[:20])
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"there is no parameter {name!r}: the parameters are {', '.join(known)}{hint}")


def free_of(fixed: Any, parameters: Parameters, names: Sequence[str]) -> np.ndarray | None:
    """Indices of the parameters that may move; None if all may. `fixed`: names, indices or flags of the others."""
    if fixed is None:
        return None
    if isinstance(fixed, Mapping) and fixed:
        raise InputError(
            f"fixed={fixed!r}; parameters keep the value they start with, so put values there and give their names: "
            f"fixed={[*fixed]!r}"
        )
    held = np.zeros(parameters.n, dtype=bool)
    entries = fixed if np.iterable(fixed) and not isinstance(fixed, str) else [fixed]
    mask = np.asarray(entries) if not isinstance(entries, (set, frozenset)) else None
    if mask is not None and mask.dtype == bool:
        if mask.size != parameters.n:
            raise InputError(f"fixed has {mask.size} flags for {parameters.n} parameters")
        held[:] = mask.ravel()
    else:
        for entry in entries:
            if isinstance(entry, str):
                held[_span(entry, parameters, names)] = True
            elif isinstance(entry, (int, np.integer)) and -parameters.n <= entry < parameters.n:
                held[entry] = True
            else:
                raise InputError(
                    f"fixed={entry!r} is not a parameter; give names, indices or a mask of flags"
                )
    if held.all():
        raise InputError("every parameter is fixed, so there is nothing to minimise; free at least one")
    return np.flatnonzero(~held)
