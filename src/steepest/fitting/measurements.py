"""Measurements as people have them: arrays, columns of a frame, several sets; checked, cleaned, made flat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError

Vector = np.ndarray[Any, np.dtype[np.float64]]

NAN = ("raise", "omit")


@dataclass(frozen=True)
class Measurements:
    """One data set: `x` as the model takes it, `y` (m,) and `sigma` (m,), (m, m) or None, without gaps.

    `omitted`: how many points were left out, by a mask or as NaN. `columns`: names of x and y where they have one.
    `places`: for each point its place among those given, (m,); None where none was left out.
    """

    x: Any
    y: Vector
    sigma: Vector | None
    omitted: int
    columns: tuple[str, str]
    places: np.ndarray | None = None

    @property
    def m(self) -> int:
        """How many points there are."""
        return int(self.y.size)


def read(
    x: Any,
    y: Any,
    sigma: Any = None,
    *,
    data: Any = None,
    mask: Any = None,
    nan: str = "raise",
    where: str = "",
) -> Measurements:
    """Check one data set. `data`: a frame, or a dict of columns, in which x, y and sigma may be names.

    Raises `InputError` naming the argument, the first bad place, and what to write instead.

    >>> read([1.0, 2.0, 3.0], [1.0, np.nan, 2.0], nan="omit").y
    array([1., 2.])
    """
    if nan not in NAN:
        raise InputError(f'nan={nan!r}; choose "raise" or "omit"')
    labels = _label(x, "x"), _label(y, "y")
    if data is not None:
        x, y, sigma, mask = (_looked_up(value, data) for value in (x, y, sigma, mask))
    elif isinstance(x, str) or isinstance(y, str):
        raise InputError(
            f"{where}x and y are names of columns, so data= must hold the frame they are columns of"
        )
    if y is None:
        raise InputError(f"{where}y is None; give the measurements: fit(model, x, y, start)")
    measured = _numbers(y, f"{where}y")
    shape = measured.shape
    measured = measured.ravel()
    m = measured.size
    if m == 0:
        raise InputError(f"{where}y holds no measurement")
    deviation = None if sigma is None else _sigma(sigma, shape, where)
    keep = ~_hidden((x, y, sigma), m)
    if mask is not None:
        chosen = np.asarray(mask)
        if chosen.dtype != bool or chosen.size != m:
            raise InputError(
                f"{where}mask has {chosen.size} entries of type {chosen.dtype} for {m} points; give True for each one "
                "to be used"
            )
        keep &= chosen.ravel()
    parts = _independent(x)
    bad = ~np.isfinite(measured)
    for part in parts:
        if np.size(part) and np.shape(part)[-1:] == (m,):
            bad |= ~np.isfinite(part).reshape(-1, m).all(axis=0)
    if deviation is not None and deviation.ndim == 1:
        bad |= ~np.isfinite(deviation)
    bad &= keep
    if bad.any():
        if nan == "raise":
            place = int(np.argmax(bad))
            raise InputError(
                f"{where}point {place} (counted from 0) is not finite: y = {measured[place]}"
                + ("" if not parts or np.ndim(parts[0]) != 1 else f", x = {_entry(parts[0], place)}")
                + ("" if deviation is None or deviation.ndim != 1 else f", sigma = {deviation[place]}")
                + ('; write nan="omit" to leave such points out' if m > 1 else "")
            )
        keep &= ~bad
    if not keep.any():
        raise InputError(f"{where}no point is left: all {m} are masked or not finite")
    if keep.all():
        return Measurements(_frozen_x(x), measured, _weighing(deviation, where), 0, labels)
    if deviation is not None:
        deviation = deviation[keep] if deviation.ndim == 1 else deviation[np.ix_(keep, keep)]
    deviation = _weighing(deviation, where)
    places = np.flatnonzero(keep)
    return Measurements(_kept(x, keep, m), measured[places], deviation, int(m - places.size), labels, places)


def _label(value: Any, otherwise: str) -> str:
    if isinstance(value, str):
        return value
    name = getattr(value, "name", None)  # a pandas or polars column
    return name if isinstance(name, str) and name else otherwise


def _looked_up(value: Any, data: Any) -> Any:
    if isinstance(value, str):
        columns = list(getattr(data, "columns", data))
        if value not in columns:
            import difflib

            near = difflib.get_close_matches(value, [str(name) for name in columns], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(f"there is no column {value!r}: there are {', '.join(map(str, columns))}{hint}")
        return data[value]
    if isinstance(value, (list, tuple)) and value and all(isinstance(name, str) for name in value):
        return tuple(_looked_up(name, data) for name in value)
    if isinstance(value, Mapping):
        return {key: _looked_up(name, data) for key, name in value.items()}
    return value


def _numbers(value: Any, name: str) -> Vector:
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    try:
        found = np.asarray(value)
        if found.dtype.kind == "c" and np.iscomplexobj(found):
            raise _complex(name)
        if found.dtype.kind in "mM":
            raise _dates(name)
        if _is_masked(value):  # what lies under a mask is anything at all, and no value of a point
            found = np.ma.filled(np.ma.array(value, dtype=np.float64), np.nan)
        found = np.array(found, dtype=np.float64)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        place = _first_word(value)
        told = (
            f"{name} = {place[1]!r} at point {place[0]} (counted from 0) is no number"
            if place
            else (f"{name} is not numbers: {error}")
        )
        raise InputError(told) from None
    return found


def _first_word(value: Any) -> tuple[int, Any] | None:
    """The first entry of a row of values that is no number, with its place; None where there is no row of values."""
    row = isinstance(value, (list, tuple)) or np.ndim(value) == 1
    for place, entry in enumerate(value if row else ()):
        try:
            float(entry if entry is not None else 0)  # None is a gap, which NumPy makes NaN
        except (TypeError, ValueError):
            return place, entry
    return None


def _complex(name: str) -> InputError:
    return InputError(
        f"{name} is complex, and residuals are real: give np.concatenate([{name}.real, {name}.imag]) as {name}, and "
        "let the model return np.concatenate([z.real, z.imag])"
    )


def _dates(name: str) -> InputError:
    return InputError(
        f"{name} holds dates or times, and a model computes with numbers: give the time since the first, such as "
        f"({name} - {name}[0]) / np.timedelta64(1, 'D')"
    )


def _is_masked(value: Any) -> bool:
    return isinstance(value, np.ma.MaskedArray)


def _hidden(columns: tuple[Any, ...], m: int) -> np.ndarray:
    """Which of m points NumPy's masked arrays hide, in x, y or sigma: (m,)."""
    found = np.zeros(m, dtype=bool)
    for column in columns:
        parts = (
            column.values()
            if isinstance(column, Mapping)
            else column
            if isinstance(column, tuple)
            else (column,)
        )
        for part in parts:
            if _is_masked(part) and (part.size == m or part.shape[-1:] == (m,)):
                found |= np.ma.getmaskarray(part).reshape(-1, m).any(axis=0)
    return found


def _sigma(sigma: Any, shape: tuple[int, ...], where: str) -> Vector:
    found = _numbers(sigma, f"{where}sigma")
    m = int(np.prod(shape))
    if found.shape == (m, m) and m > 1:
        return found
    if found.size not in (1, m):
        raise InputError(
            f"{where}sigma has {found.size} entries for {m} points; give one for each, or one for all"
        )
    found = np.broadcast_to(found.ravel(), (m,)) if found.size == 1 else found.ravel()
    if not (found[np.isfinite(found)] > 0).all():
        place = int(np.argmax(~(found > 0)))
        raise InputError(
            f"{where}sigma = {found[place]:g} at point {place} (counted from 0); standard deviations are positive"
        )
    return np.array(found)


def _weighing(deviation: Vector | None, where: str) -> Vector | None:
    """Standard deviations as they are; a covariance, (m, m), as its lower Cholesky factor."""
    if deviation is None or deviation.ndim == 1:
        return deviation
    try:
        return np.asarray(np.linalg.cholesky(deviation), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise InputError(
            f"{where}sigma is a matrix, which must be a covariance: symmetric and positive definite"
        ) from None


def _independent(x: Any) -> list[Any]:
    if x is None:
        return []
    if isinstance(x, Mapping):
        return [_numbers(value, f"x[{key!r}]") for key, value in x.items()]
    if isinstance(x, tuple):
        return [_numbers(value, f"x[{k}]") for k, value in enumerate(x)]
    return [_numbers(x, "x")]


def _frozen_x(x: Any) -> Any:
    """x with every column as an array of float64; tuples and dicts stay what they are."""
    if x is None:
        return None
    if isinstance(x, Mapping):
        return {key: _numbers(value, f"x[{key!r}]") for key, value in x.items()}
    if isinstance(x, tuple):
        return tuple(_numbers(value, f"x[{k}]") for k, value in enumerate(x))
    return _numbers(x, "x")


def _kept(x: Any, keep: np.ndarray, m: int) -> Any:
    def chosen(part: Any) -> Any:
        return (
            part[..., keep]
            if np.shape(part)[-1:] == (m,)
            else part.reshape(-1)[keep]
            if part.size == m
            else part
        )

    whole = _frozen_x(x)
    if whole is None:
        return None
    if isinstance(whole, dict):
        return {key: chosen(part) for key, part in whole.items()}
    return tuple(chosen(part) for part in whole) if isinstance(whole, tuple) else chosen(whole)


def _entry(part: Any, place: int) -> float:
    return float(part[place]) if place < np.size(part) else float("nan")


def frame_of(source: Any) -> Any:
    """A table from the path of a file, as `read_table` reads it; a frame or a dict as it is."""
    if not isinstance(source, (str, bytes)) and not hasattr(source, "__fspath__"):
        return source
    from .table_files import read_table

    return read_table(source)


def several(value: Any) -> bool:
    """Whether y holds several data sets: a dict of them, or a list of arrays of their own."""
    if isinstance(value, Mapping):
        return True
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(np.ndim(part) >= 1 for part in value)


def named_sets(
    x: Any, y: Any, sigma: Any, mask: Any
) -> tuple[Sequence[str], list[tuple[Any, Any, Any, Any]]]:
    """Names of several data sets and (x, y, sigma, mask) of each; a single x or sigma serves all of them."""
    names = [str(key) for key in y] if isinstance(y, Mapping) else [str(k) for k in range(len(y))]
    keys = list(y) if isinstance(y, Mapping) else list(range(len(y)))

    def part(value: Any, key: Any) -> Any:
        if isinstance(value, Mapping) and set(value) == set(keys):
            return value[key]
        if isinstance(value, (list, tuple)) and len(value) == len(keys) and not isinstance(key, str):
            return value[key]
        if isinstance(value, list) and len(value) == len(keys):
            return value[keys.index(key)]
        return value

    return names, [(part(x, key), y[key], part(sigma, key), part(mask, key)) for key in keys]
