"""What a picture needs of a fit: the data, the curve through them, its bands and what is left over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import InputError
from .far_points import far_out

Vector = np.ndarray

# Places on the drawn curve; a band is as smooth as its curve.
CURVE_PLACES = 301
# How far beyond the data the curve is drawn, as a share of their range.
BEYOND_DATA = 0.03


@dataclass(frozen=True)
class FittedData:
    """One data set of a fit, as pictures see it.

    `x` (m,): where the data are, None where that is no line of numbers; `y`, `fitted` (m,); `sigma` (m,): the error of
    each, None where it was not given. `scaled` (m,): y - fitted in units of its error, or of the errors' estimated
    size where that was not known (`known` says which). `curve(x)`: the fit at places x (k,); `band(x, kind)`: the ends
    of a band there, two of (k,), None where there is none.
    """

    name: str
    x: Vector | None
    y: Vector
    fitted: Vector
    sigma: Vector | None
    scaled: Vector
    known: bool
    curve: Callable[[Vector], Vector]
    band: Callable[[Vector, str], tuple[Vector, Vector] | None]
    x_name: str
    y_name: str

    @cached_property
    def places(self) -> Vector:
        """Places along x for a curve, from a little before the first datum to a little after the last.

        A model may refuse those beyond its data, as `solve_ivp` does where its time ends, or all others: then the curve
        is drawn from the first datum to the last, or through the data alone.
        """
        assert self.x is not None
        low, high = float(self.x.min()), float(self.x.max())
        margin = BEYOND_DATA * (high - low) or 0.5
        # Where all data are at zero or above, the model may not be defined below.
        start = max(low - margin, 0.0) if low >= 0 else low - margin
        for first, last in ((start, high + margin), (low, high)):
            places = np.union1d(np.linspace(first, last, CURVE_PLACES), self.x)
            if self._answers(places):
                return places
        return np.unique(self.x)

    def _answers(self, places: Vector) -> bool:
        """Whether the model has a value for each of these places."""
        try:
            with np.errstate(all="ignore"):
                return self.curve(places).size == places.size
        except Exception:  # whatever the model refuses them with
            return False

    @cached_property
    def far(self) -> np.ndarray:
        """Which of the data are so far out that the picture of all would be flat: (m,)."""
        return far_out(self.y, self.y - self.fitted, self.fitted)

    @property
    def unit(self) -> str:
        """Name of an axis of scaled residuals: σ was given, s was estimated from them."""
        return "residual / σ" if self.known else "residual / s"


def data_of(fit: Any) -> list[FittedData]:
    """The data sets of a fit; raises `InputError` for anything else, such as a result of `minimize`."""
    if not hasattr(fit, "predict") or not hasattr(fit, "fitted"):
        raise InputError(
            "this picture needs data and a model: give what steepest.fit returned. For a result of minimize there are "
            "plots.descent, plots.landscape and plots.convergence"
        )
    several = isinstance(fit.y, list)
    columns = [(x, y, sigma, fitted) for x, y, sigma, fitted in zip(fit.x, fit.y, fit.sigma, fit.fitted, strict=True)
               ] if several else [(fit.x, fit.y, fit.sigma, fit.fitted)]  # fmt: skip
    return [_one(fit, k, *column) for k, column in enumerate(columns)]


def _one(fit: Any, k: int, x: Any, y: Any, sigma: Any, fitted: Any) -> FittedData:
    y, fitted = (np.asarray(values, dtype=float).ravel() for values in (y, fitted))
    sigma = None if sigma is None else np.broadcast_to(np.asarray(sigma, dtype=float).ravel(), y.shape)
    size = float(np.sqrt(fit.variance)) if np.isfinite(fit.variance) and fit.variance > 0 else 1.0
    named = next(iter(x)) if isinstance(x, dict) and len(x) == 1 else None
    along = (
        np.asarray(x if named is None else x[named]) if not isinstance(x, tuple) and x is not None else None
    )
    plain = along is not None and along.ndim == 1 and along.dtype.kind in "fiu" and along.size == y.size
    part = _part_of(fit, k)
    x_name, y_name = getattr(getattr(part, "measurements", None), "columns", ("x", "y"))
    if x_name == "x":  # nobody named the data, but the model may
        x_name = named or getattr(getattr(getattr(fit, "_setting", None), "model", None), "variable", "x")

    def at(places: Vector) -> Any:
        return places if named is None else {named: places}

    return FittedData(
        name=str(getattr(part, "name", k)),
        x=along.astype(float) if plain and along is not None else None,
        y=y,
        fitted=fitted,
        sigma=sigma,
        scaled=(y - fitted) / ((1.0 if sigma is None else sigma) * size),
        known=fit.noise == "known",
        curve=lambda places: np.asarray(fit.predict(at(places), dataset=k), dtype=float).ravel(),
        band=lambda places, kind: _band(fit, k, at(places), kind),
        x_name=x_name,
        y_name=y_name,
    )


def _part_of(fit: Any, k: int) -> Any:
    setting = getattr(fit, "_setting", None)
    return None if setting is None else setting.sets[k]


def _band(fit: Any, k: int, places: Any, kind: str) -> tuple[Vector, Vector] | None:
    """Lower and upper end of a band; None where the fit has no errors to make one from."""
    found = fit.predict(places, band=kind, dataset=k)
    low, high = np.asarray(found.lower, dtype=float).ravel(), np.asarray(found.upper, dtype=float).ravel()
    return (low, high) if np.isfinite(low).any() and np.isfinite(high).any() else None


def joined(sets: list[FittedData]) -> tuple[Vector, Vector, Vector | None]:
    """Scaled residuals, fitted values and places of all data sets after each other; no places where any has none."""
    scaled, fitted = (np.concatenate([getattr(part, what) for part in sets]) for what in ("scaled", "fitted"))
    if any(part.x is None for part in sets):
        return scaled, fitted, None
    return scaled, fitted, np.concatenate([part.x for part in sets if part.x is not None])
