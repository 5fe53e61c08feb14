"""What the calls hand back: the slope at some points, and the result of a minimisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError, NotAMinimumError
from .parameters import EntryNames

if TYPE_CHECKING:
    from .problem import Problem
    from .verdict.certificate import Certificate

FALLING, FLAT, RISING, NO_SLOPE_HERE = "falling", "flat", "rising", "no slope here"


@dataclass(frozen=True)
class SlopePoint:
    """The slope at one place.

    `at`, `slope`, `direction`, `left`, `right` have the structure of the parameters (a float for one
    parameter). `direction` holds "falling", "flat", "rising" or "no slope here" for each parameter. `left` and
    `right` are the one-sided slopes, NaN where there is none; both None where the slope exists everywhere.
    `left_value` and `right_value` are the cost just beside the place along each parameter, which along those without
    a jump is `value`; both None where it jumps along none.
    """

    at: Any
    value: float
    slope: Any
    direction: Any
    left: Any = None
    right: Any = None
    left_value: Any = None
    right_value: Any = None

    def tangent(self, x: Any) -> Any:
        """Height of the tangent at `x`: value + slope · (x - at). For one parameter `x` may be an array.

        >>> from steepest import slope
        >>> slope("x**2 - 2*x + 3", at=-1).points[0].tangent(0.0)
        2.0
        """
        if np.ndim(self.slope) == 0 and not isinstance(self.slope, (dict, list, tuple)):
            height = self.value + self.slope * (np.asarray(x, dtype=np.float64) - self.at)
            return float(height) if np.ndim(x) == 0 else height
        from .parameters import Parameters

        place = Parameters.of(self.at)
        step = place.flatten(x) - place.vector
        return float(self.value + place.flatten(self.slope) @ step)

    def to_dict(self) -> dict[str, Any]:
        """The point as plain JSON values; what is not finite becomes None."""
        row = {"at": self.at, "value": self.value, "slope": self.slope, "direction": self.direction}
        if self.left is not None:
            row |= {"left": self.left, "right": self.right}
        if self.left_value is not None:
            row |= {"left_value": self.left_value, "right_value": self.right_value}
        return {key: to_json(value) for key, value in row.items()}


@dataclass(frozen=True)
class LimitRow:
    """One line of the definition of the slope: the secants over a step `h` to the right and to the left."""

    h: float
    right: float
    left: float


@dataclass(frozen=True)
class Slope:
    """Slopes at one or many places; iterates over its points.

    `names`: of the parameters. `limit`: for each point the secant slopes for shrinking h, None unless asked
    for. `curve(xs)`: the cost at many places, shape of `xs` (one parameter only, else None). `derivatives`:
    "exact" or "numeric". `label`: the cost as the user wrote it.
    """

    points: tuple[SlopePoint, ...]
    names: Sequence[str]
    limit: tuple[tuple[LimitRow, ...], ...] | None
    curve: Callable[[np.ndarray], np.ndarray] | None
    derivatives: str
    label: str

    def __iter__(self) -> Iterator[SlopePoint]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: int) -> SlopePoint:
        return self.points[index]

    def __str__(self) -> str:
        from .presentation.text import slope_table

        return slope_table(self)

    def to_dict(self) -> dict[str, Any]:
        """The slopes as plain JSON values: {"points": [{"at", "value", "slope", "direction"}, …]}."""
        found: dict[str, Any] = {"points": [point.to_dict() for point in self.points]}
        if self.limit is not None:
            for row, lines in zip(found["points"], self.limit, strict=True):
                row["limit"] = [
                    to_json({"h": line.h, "right": line.right, "left": line.left}) for line in lines
                ]
        return found | {"cost": self.label, "names": list(self.names), "derivatives": self.derivatives}


class Result(dict[str, Any]):
    """What `minimize` found, as attributes and as keys, a superset of `scipy.optimize.OptimizeResult`.

    `x`: the parameters, in the structure they were given in. `fun`: the cost there. `jac`: its gradient, `hess`:
    its Hessian, shape (n, n), where it was computed, else None. `nit`: steps accepted; `nfev`, `njev`, `nhev`:
    evaluations of the cost, its gradient, its second derivatives during the walk; where the slope is measured by
    differences `nfev` counts every call of the cost, the judge's too.

    `verdict`: a `Verdict`; `success`: whether that is a minimum; `message`: the verdict in a sentence;
    `evidence`: what was measured for it; `next_step`: what to do when the news is not good. `digits`:
    trustworthy digits of each parameter. `plan`: the solver, why, and what was passed over. `history`: one row
    for each accepted step. `timing`: seconds by phase; "choose" holds finding the zeros of the second derivatives of a
    large cost. `stop`: why the solver stopped, which is not the verdict.
    """

    _problem: Problem
    # The arguments of the call, for whoever tells how to run it again.
    _asked: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            hint = "; steepest.plots.descent(result) draws it" if "plot" in name else ""
            raise AttributeError(f"a result has no {name!r}{hint}; it has {', '.join(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self[name] = value

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __str__(self) -> str:
        from .presentation.text import result_text

        return result_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .presentation.cards import result_card

        return result_card(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Result, (dict(self),)

    def cost(self, structure: Any) -> float:
        """The cost at NumPy parameters of the same structure, as the user wrote it."""
        value = self._problem.cost(structure, *self._problem.args)
        return float(np.asarray(value, dtype=np.float64).reshape(()))

    def raise_if_failed(self) -> Result:
        """Return the result; raise `NotAMinimumError` if the verdict is not a minimum."""
        if not self.success:
            raise NotAMinimumError(f"{self.verdict}: {self.message}", self)
        return self

    def certificate(self) -> Certificate:
        """The verdict with all that a stranger needs to check it again by `steepest verify FILE.json`.

        A dict of JSON values; `str` gives the JSON text, `.save(path)` writes it. Constraints travel as expressions,
        matrices, or functions named by their file; raises `InputError` for one that has no such name.

        >>> from steepest import minimize
        >>> certificate = minimize("x**2 - 2*x + 3", 3.0).certificate()
        >>> certificate["verdict"], certificate["x"], certificate["cost"]
        ('global minimum', 1.0, {'expression': 'x**2 - 2*x + 3'})
        """
        from .verdict.certificate import certify

        if "_problem" not in self.__dict__:
            raise InputError(
                "this result no longer knows its cost; steepest.verify(cost, result.x).certificate() makes one"
            )
        told = ("x", "derivatives", "precision", "fun", "verdict", "message", "digits", "gap")
        claims = {key: to_json(self[key]) for key in told}
        claims["evidence"] = [to_json(item.to_dict()) for item in self.evidence]
        constraints = None
        if "multipliers" in self:
            constraints = self._asked["constraints"]
            claims |= {
                key: to_json(self[key]) for key in ("multipliers", "bound_multipliers", "violation", "active")
            }
        return certify(self._problem, claims, _first_point(self.get("history")), constraints)

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON values; what is not finite becomes None."""
        plain = {key: self[key] for key in self if key not in ("evidence", "plan", "history")}
        found = {key: to_json(value) for key, value in plain.items()}
        found["evidence"] = [to_json(item.to_dict()) for item in self.evidence]
        found["plan"] = None if self.plan is None else to_json(self.plan.to_dict())
        return found


def _first_point(history: Any) -> np.ndarray | None:
    """Where a walk began, (n,); None where that was not kept."""
    rows = np.asarray(getattr(history, "x", ()))
    return rows[0] if rows.ndim == 2 and len(rows) and np.isfinite(rows[0]).all() else None


def to_json(value: Any) -> Any:
    """A value of ours as JSON values: arrays become lists, what is not finite becomes None."""
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, (list, tuple, EntryNames)):
        return [to_json(item) for item in value]
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is not None:
        return {name: to_json(getattr(value, name)) for name in fields}
    return str(value)
