"""What a fit found: parameters with errors, what could not be determined and why, and predictions with bands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..bounds import Bounds
from ..errors import InputError, NotAMinimumError
from ..models.model import Model
from ..numerics import EPS
from ..residuals import Arrangement, Residuals
from ..results import to_json
from ..uncertainty.covariance import Covariance, correlation_of, covariance_of
from ..uncertainty.intervals import spread_of, student_factor
from ..uncertainty.profile import Profile, crossing
from ..vector_functions import MeasuredVector, TracedVector
from ..verdict.words import Evidence, Verdict
from .measurements import Measurements
from .starts import EXACT

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

BANDS = ("confidence", "prediction")

# A grid of a two-parameter contour reaches this many standard errors; beyond three sigma nobody reads it.
CONTOUR_REACH = 3.5


class Values(dict[str, Any]):
    """Numbers by name, in the order of the parameters; also by place, and as an array with `np.asarray`.

    >>> values = Values(a=1.0, b=2.0)
    >>> values["b"], values[0], np.asarray(values)
    (2.0, 1.0, array([1., 2.]))
    """

    def __missing__(self, key: Any) -> Any:
        if isinstance(key, (int, np.integer)):
            return list(self.values())[key]
        raise KeyError(key)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(list(self.values()), dtype=dtype)


class Prediction(NamedTuple):
    """Predictions at new places: `value`, and `lower` and `upper` ends of the band, each of the shape of x."""

    value: Vector
    lower: Vector
    upper: Vector


@dataclass(frozen=True)
class DataSet:
    """One set of measurements with its model: the columns of all parameters that it sees, by name."""

    name: str
    measurements: Measurements
    columns: np.ndarray


@dataclass(frozen=True)
class Setting:
    """What was fitted: kept so that bands, profiles and contours can be computed when asked for.

    `bounds`: of the parameters that move. `residuals`: over them. `structures`: how to put the parameters of one
    set together for the model, by keyword.
    """

    model: Model
    sets: tuple[DataSet, ...]
    residuals: Residuals
    bounds: Bounds
    assemble: Callable[[Vector], dict[str, Any]]
    trace: Callable[[Any], Any] | None
    least: Callable[[Residuals, Bounds, Vector], tuple[float, Vector]]


@dataclass(eq=False)
class FitResult:
    """A fit; unpacks as `params, covariance`.

    `names`: of all parameters, fixed and tied ones too. `values`, `errors`: by name (standard errors; 0 for a fixed
    parameter, infinite or NaN where there is none, with the reason in `reasons`). `covariance`, `correlation`: (n, n).
    `x`, `y`, `sigma`, `fitted`, `residuals` (y - fitted), each as arrays over the points used; lists of arrays for
    several data sets. `chi2`: sum of squared weighted residuals; `cost`: what was minimised, which differs from it
    for a robust loss. `noise`: "known" where `sigma` is in the units of y, "unknown" where its size was estimated
    from the fit. `degrees_of_freedom`: points less the parameters that the data determine, which are as many as the
    rank of the Jacobian, and less those at their bounds. `digits`: trustworthy digits of each parameter; NaN for those
    that did not move.
    `start`: values the walk began with; `start_from`: "given", "guess" or "multi-start".
    `verdict`, `success`, `message`, `evidence`, `next_step`, `plan`, `history`, `timing`: as in `Result`.
    """

    names: tuple[str, ...]
    values: Values
    covariance: Matrix
    reasons: dict[str, str]
    chi2: float
    cost: float
    noise: str
    degrees_of_freedom: int
    verdict: Verdict
    message: str
    evidence: tuple[Evidence, ...]
    next_step: str
    digits: Vector
    start: Values
    start_from: str
    stop: Any
    reason: str
    plan: Any
    history: Any
    nit: int
    nfev: int
    remarks: tuple[str, ...]
    timing: dict[str, float]
    label: str
    moving: np.ndarray
    _setting: Setting = field(repr=False)
    _z: Vector = field(repr=False)
    _residual: Vector = field(repr=False)

    def __iter__(self) -> Iterator[Matrix]:
        return iter((self.params, self.covariance))

    # -- the parameters ------------------------------------------------------------------------------------

    @property
    def params(self) -> Vector:
        """All parameters, shape (n,), in the order of `names`."""
        return np.array(list(self.values.values()))

    @cached_property
    def errors(self) -> Values:
        """Standard error of each parameter."""
        with np.errstate(invalid="ignore"):
            found = np.sqrt(np.diag(self.covariance))
        return Values(zip(self.names, found.tolist(), strict=True))

    @cached_property
    def correlation(self) -> Matrix:
        """Correlations of the parameters, (n, n); NaN for those that did not move."""
        return correlation_of(self.covariance)

    popt = params
    best_values = property(lambda self: self.values)

    @property
    def pcov(self) -> Matrix:
        """The covariance, under SciPy's name."""
        return self.covariance

    @property
    def success(self) -> bool:
        """Whether the verdict is a minimum."""
        return self.verdict.is_minimum

    @property
    def valid(self) -> bool:
        """A minimum at which every moving parameter has an error bar."""
        return self.success and not self.reasons and self.verdict is not Verdict.FLAT_MINIMUM

    # -- the data ------------------------------------------------------------------------------------------

    def _of_sets(self, pick: Callable[[Measurements], Any]) -> Any:
        found = [pick(part.measurements) for part in self._setting.sets]
        return found[0] if len(found) == 1 else found

    @property
    def x(self) -> Any:
        """The independent variable of the points used."""
        return self._of_sets(lambda data: data.x)

    @property
    def y(self) -> Any:
        """The measurements used."""
        return self._of_sets(lambda data: data.y)

    @property
    def sigma(self) -> Any:
        """Standard deviations of the points used, or None."""
        return self._of_sets(
            lambda data: (
                data.sigma
                if data.sigma is None or data.sigma.ndim == 1
                else np.sqrt(np.einsum("ij,ij->i", data.sigma, data.sigma))
            )
        )

    @cached_property
    def fitted(self) -> Any:
        """The model at the points used."""
        values = self._setting.residuals.function.values(self.params)
        return self._split(values)

    @property
    def residuals(self) -> Any:
        """y less the model, at the points used."""
        y, fitted = self.y, self.fitted
        return (
            [a - b for a, b in zip(y, fitted, strict=True)] if isinstance(y, list) else np.subtract(y, fitted)
        )

    @property
    def weighted_residuals(self) -> Vector:
        """Residuals in units of sigma, shape (m,), all sets after each other."""
        return -self._residual

    def _split(self, values: Vector) -> Any:
        ends = np.cumsum([part.measurements.m for part in self._setting.sets])
        parts = np.split(values, ends[:-1])
        return parts[0] if len(parts) == 1 else parts

    # -- how good it is ------------------------------------------------------------------------------------

    @property
    def points(self) -> int:
        """How many measurements were used, m."""
        return sum(part.measurements.m for part in self._setting.sets)

    @property
    def reduced_chi2(self) -> float:
        """chi2 per degree of freedom; NaN where there is none."""
        return self.chi2 / self.degrees_of_freedom if self.degrees_of_freedom > 0 else math.nan

    @property
    def chisqr(self) -> float:
        """chi2, under lmfit's name."""
        return self.chi2

    @property
    def redchi(self) -> float:
        """reduced_chi2, under lmfit's name."""
        return self.reduced_chi2

    @property
    def r_squared(self) -> float:
        """Part of the variance of y about its mean that the model explains, weighted as the fit was; NaN for level y.

        With a robust loss, that of all but wild points, which would be most of the variance: those farther off than 4.5
        times the median, if they pull less than half as much as by their squares.
        """
        residuals = self._setting.residuals
        target, near = residuals.target, residuals.are_near(self._residual)
        assert target is not None
        level, one = target, np.ones_like(target)
        if residuals.sigma is not None:
            level, one = residuals.whitened(level), residuals.whitened(one)
        level, one, residual = level[near], one[near], self._residual[near]
        about_mean = level - one * (one @ level) / (one @ one)
        total = float(about_mean @ about_mean)
        varies = total > (EXACT * EPS) ** 2 * float(level @ level)
        return 1.0 - float(residual @ residual) / total if varies else math.nan

    @property
    def _minus_twice_log_likelihood(self) -> float:
        """For normal noise: chi2 where its size is known, m·log(chi2/m) where not; constants left out."""
        m = self.points
        return self.chi2 if self.noise == "known" else m * math.log(max(self.chi2, np.finfo(float).tiny) / m)

    @property
    def aic(self) -> float:
        """Akaike's criterion, -2·log(likelihood) + 2k for k determined parameters; smaller is better."""
        return self._minus_twice_log_likelihood + 2 * self._determined

    @property
    def bic(self) -> float:
        """Schwarz's criterion, -2·log(likelihood) + k·log(m) for k determined parameters; smaller is better."""
        return self._minus_twice_log_likelihood + self._determined * math.log(self.points)

    @property
    def _determined(self) -> int:
        """How many parameters are taken off the degrees of freedom."""
        return self._residual.size - self.degrees_of_freedom

    @cached_property
    def variance(self) -> float:
        """Variance of one weighted residual: 1 where the noise is known, else its estimate.

        With a robust loss it is that of the points which the loss does not let go of.
        """
        if self.noise == "known":
            return 1.0
        return self._setting.residuals.variance(self._residual, self.degrees_of_freedom)

    # -- intervals -----------------------------------------------------------------------------------------

    def _factor(self, level: float) -> float:
        return student_factor(level, math.inf if self.noise == "known" else self.degrees_of_freedom)

    def intervals(self, level: float = 0.95, method: str = "t") -> Values:
        """(lower, upper) of each parameter: value ± t·error, or from the profile of the cost (`method="profile"`).

        Raises `InputError` for another method, or a level outside 0 to 1.
        """
        if method == "profile":
            return Values(
                (name, self.profile(name, level=level).interval)
                for k, name in enumerate(self.names)
                if k in self.moving
            )
        if method != "t":
            raise InputError(f'method={method!r}; choose "t" or "profile"')
        t = self._factor(level)
        return Values(
            (name, (self.values[name] - t * self.errors[name], self.values[name] + t * self.errors[name]))
            for name in self.names
        )

    def profile(self, name: str, *, level: float = 0.95, points: int = 0) -> Profile:
        """The cost as `name` is held, all others at their best, and the interval read off it: asymmetric, exact.

        `points`: how many further points to compute, evenly over the interval and half as far again, for a picture.
        The limit is lowest + t²·variance (Bates & Watts 1988, section 6.1).
        """
        place, k = self._place(name)
        best, lowest = float(self._z[k]), self.cost
        limit = lowest + self._factor(level) ** 2 * self.variance
        known: dict[float, tuple[float, Vector]] = {best: (lowest, np.delete(self._z, k))}

        def least(value: float) -> float:
            if value not in known:
                nearest = min(known, key=lambda other: abs(other - value))
                known[value] = self._held(place, k, value, known[nearest][1])
            return known[value][0]

        error = self.errors[name]
        if not (math.isfinite(error) and error > 0):
            error = 0.1 * abs(best) or 0.1
        bounds = self._setting.bounds
        lower = crossing(least, best, lowest, limit, -error, float(bounds.lower[k]))
        upper = crossing(least, best, lowest, limit, error, float(bounds.upper[k]))
        if points:
            ends = [
                end if math.isfinite(end) else best + side * 3 * error
                for end, side in ((lower, -1), (upper, 1))
            ]
            reach = 0.5 * (ends[1] - ends[0])
            middle = 0.5 * (ends[1] + ends[0])
            for value in np.linspace(middle - 1.5 * reach, middle + 1.5 * reach, points).tolist():
                least(min(max(value, float(bounds.lower[k])), float(bounds.upper[k])))
        values = np.array(sorted(known))
        cost = np.array([known[value][0] for value in values.tolist()])
        root = np.sign(values - best) * np.sqrt(np.maximum(cost - lowest, 0.0) / self.variance)
        return Profile(name, best, level, lower, upper, limit, values, cost, root)

    def contour(
        self, first: str, second: str, *, points: int = 21, reach: float = CONTOUR_REACH
    ) -> tuple[Vector, Vector, Matrix]:
        """The least cost on a grid of two parameters, all others at their best, as (rise of the cost / variance).

        `reach`: how many standard errors the grid goes to each side.
        Returns the grid of `first` (points,), of `second` (points,), and the rise (points, points), [i, j] at the
        i-th value of `second` and the j-th of `first`; levels of t² (profile) or 2F (both together) are read off it.
        """
        (place_a, a), (place_b, b) = self._place(first), self._place(second)
        if a == b:
            raise InputError(f"a contour needs two parameters, not {first} twice")
        bounds = self._setting.bounds
        grids = []
        for name, k in ((first, a), (second, b)):
            error = self.errors[name]
            error = error if math.isfinite(error) and error > 0 else 0.1 * abs(self._z[k]) or 0.1
            ends = np.array([-1.0, 1.0]) * reach * error + self._z[k]
            ends = np.clip(ends, bounds.lower[k], bounds.upper[k])
            grids.append(np.linspace(float(ends[0]), float(ends[1]), points))
        rise = np.empty((points, points))
        others = np.delete(self._z, [a, b])
        for i, value_b in enumerate(grids[1]):
            row = others
            for j in range(points) if i % 2 == 0 else range(points - 1, -1, -1):
                cost, row = self._held_two((place_a, a), (place_b, b), grids[0][j], value_b, row)
                rise[i, j] = (cost - self.cost) / self.variance
        return grids[0], grids[1], rise

    def _place(self, name: str) -> tuple[int, int]:
        if name not in self.names:
            raise InputError(f"there is no parameter {name!r}: the parameters are {', '.join(self.names)}")
        place = self.names.index(name)
        found = np.flatnonzero(self.moving == place)
        if found.size == 0:
            raise InputError(f"{name} is fixed or tied: it has no profile of its own")
        return place, int(found[0])

    def _held(self, place: int, k: int, value: float, others: Vector) -> tuple[float, Vector]:
        """The least cost with one parameter held."""
        setting = self._setting
        base = self.params
        base[place] = value
        inner = setting.residuals.arrangement
        held = Arrangement(base, np.delete(inner.free, k), inner.ties)
        return self._least(held, np.delete(np.arange(self._z.size), k), others)

    def _held_two(
        self, first: tuple[int, int], second: tuple[int, int], a: float, b: float, others: Vector
    ) -> tuple[float, Vector]:
        setting = self._setting
        base = self.params
        base[first[0]], base[second[0]] = a, b
        inner = setting.residuals.arrangement
        gone = [first[1], second[1]]
        held = Arrangement(base, np.delete(inner.free, gone), inner.ties)
        return self._least(held, np.delete(np.arange(self._z.size), gone), others)

    def _least(self, held: Arrangement, rest: np.ndarray, others: Vector) -> tuple[float, Vector]:
        from dataclasses import replace

        setting = self._setting
        residuals = replace(setting.residuals, arrangement=held)
        if rest.size == 0:
            return residuals.value(others), others
        box = Bounds(setting.bounds.lower[rest], setting.bounds.upper[rest])
        return setting.least(residuals, box, others)

    # -- predictions ---------------------------------------------------------------------------------------

    def predict(
        self,
        x: Any = None,
        *,
        band: str | None = None,
        level: float = 0.95,
        sigma: Any = None,
        dataset: Any = 0,
    ) -> Any:
        """The model at new places `x` (None: where it was measured), alone or as a `Prediction` with a band.

        `band`: "confidence" (where the curve lies) or "prediction" (where a new measurement would). `sigma`: standard
        deviation of the new measurement; by default that of the noise, the median of the sigma given. `dataset`:
        which of several sets (name or number).
        """
        part = self._part(dataset)
        model = self._setting.model
        if x is None:
            x = part.measurements.x
        elif not isinstance(x, (dict, tuple)):
            x = np.asarray(x, dtype=np.float64)
        theta = self.params[part.columns]
        structure = self._setting.assemble(theta)
        shape = np.shape(x) if isinstance(x, np.ndarray) else None
        value = np.asarray(model.function(x, **structure), dtype=np.float64)
        if shape is not None and value.ndim == 0:
            value = np.broadcast_to(value, shape[-1:]).copy()
        if band is None:
            return value
        if band not in BANDS:
            raise InputError(f"band={band!r}; choose one of {', '.join(map(repr, BANDS))}")
        J = self._jacobian_at(x, theta)
        covariance = self.covariance[np.ix_(part.columns, part.columns)]
        known = np.isfinite(covariance).all(axis=1) | (np.diag(covariance) == 0)
        spread = spread_of(J[:, known], covariance[np.ix_(known, known)])
        loose = ~known
        if loose.any():
            spread = np.where((J[:, loose] != 0).any(axis=1), np.inf, spread)
        if band == "prediction":
            spread = np.sqrt(spread**2 + self._noise_of(part, sigma) ** 2)
        half = self._factor(level) * spread.reshape(value.shape)
        return Prediction(value, value - half, value + half)

    def _part(self, dataset: Any) -> DataSet:
        sets = self._setting.sets
        for k, part in enumerate(sets):
            if dataset == k or dataset == part.name:
                return part
        raise InputError(
            f"there is no data set {dataset!r}: there are {', '.join(part.name for part in sets)}"
        )

    def _jacobian_at(self, x: Any, theta: Vector) -> Matrix:
        setting = self._setting
        if setting.trace is not None:
            return np.asarray(TracedVector(setting.trace(x)).both(theta)[1])
        measured = MeasuredVector(
            lambda p: setting.model.function(x, **setting.assemble(p)),
            Bounds.none(theta.size),
            setting.model.label,
        )
        return measured.both(theta)[1]

    def _noise_of(self, part: DataSet, sigma: Any) -> Any:
        if sigma is not None:
            return np.asarray(sigma, dtype=np.float64).ravel()
        given = part.measurements.sigma
        if given is not None and given.ndim == 2:
            given = np.sqrt(np.einsum("ij,ij->i", given, given))
        return math.sqrt(self.variance) * (1.0 if given is None else float(np.median(given)))

    # -- as other things -----------------------------------------------------------------------------------

    def raise_if_failed(self) -> FitResult:
        """Return the fit; raise `NotAMinimumError` if the verdict is not a minimum."""
        if not self.success:
            raise NotAMinimumError(f"{self.verdict}: {self.message}", self)
        return self

    def __str__(self) -> str:
        from .presentation import fit_text

        return fit_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .presentation import fit_html

        return fit_html(self)

    def to_dict(self) -> dict[str, Any]:
        """The fit as plain JSON values; what is not finite becomes None."""
        found = {
            "model": self.label,
            "values": dict(self.values),
            "errors": dict(self.errors),
            "intervals": {name: list(ends) for name, ends in self.intervals().items()},
            "correlation": self.correlation,
            "covariance": self.covariance,
            "reasons": self.reasons,
            "chi2": self.chi2,
            "reduced_chi2": self.reduced_chi2,
            "r_squared": self.r_squared,
            "aic": self.aic,
            "bic": self.bic,
            "points": self.points,
            "degrees_of_freedom": self.degrees_of_freedom,
            "noise": self.noise,
            "verdict": str(self.verdict),
            "success": self.success,
            "message": self.message,
            "next_step": self.next_step,
            "digits": dict(zip(self.names, self.digits.tolist(), strict=True)),
            "start": dict(self.start),
            "start_from": self.start_from,
            "stop": str(self.stop),
            "steps": self.nit,
            "evaluations": self.nfev,
            "remarks": list(self.remarks),
            "timing": self.timing,
        }
        plain = {key: to_json(value) for key, value in found.items()}
        plain["evidence"] = [to_json(item.to_dict()) for item in self.evidence]
        return plain

    def to_json(self) -> str:
        """The fit as a JSON text."""
        import json

        return json.dumps(self.to_dict())

    def to_frame(self) -> Any:
        """A row for each parameter: name, value, error, interval, digits, reason; a polars frame."""
        from ..optional import optional

        polars: Any = optional("polars", feature="frames", extra="tables")
        ends = self.intervals()
        return polars.DataFrame(
            {
                "name": list(self.names),
                "value": [float(self.values[name]) for name in self.names],
                "error": [float(self.errors[name]) for name in self.names],
                "lower": [float(ends[name][0]) for name in self.names],
                "upper": [float(ends[name][1]) for name in self.names],
                "digits": self.digits.tolist(),
                "reason": [self.reasons.get(name, "") for name in self.names],
            }
        )


def all_covariance(
    J: Any,
    variance: float | Callable[[int], float],
    arrangement: Arrangement,
    z: Vector,
    names: Sequence[str],
    at_bound: np.ndarray | None,
    least: Any = 0.0,
) -> tuple[Matrix, dict[str, str], Covariance]:
    """The covariance of all n parameters from J (m, k) of those that move, with reasons by name."""
    free = arrangement.free
    moving = [names[place] for place in free]
    found = covariance_of(J, variance, moving, at_bound, least)
    reasons = {moving[k]: why for k, why in found.reasons.items()}
    if arrangement.whole:
        return found.matrix, reasons, found
    if not arrangement.ties:
        whole = np.zeros((len(names), len(names)))
        whole[np.ix_(free, free)] = found.matrix
        return whole, reasons, found
    T = arrangement.spread(z)
    sound = np.isfinite(np.diag(found.matrix))
    whole = T[:, sound] @ found.matrix[np.ix_(sound, sound)] @ T[:, sound].T
    for place in np.flatnonzero((T[:, ~sound] != 0).any(axis=1)).tolist():
        whole[place, :] = whole[:, place] = np.nan
        own = np.flatnonzero(free == place)
        whole[place, place] = found.matrix[own[0], own[0]] if own.size else np.nan
        reasons.setdefault(names[place], f"{names[place]} is tied to a parameter that is not determined")
    return whole, reasons, found
