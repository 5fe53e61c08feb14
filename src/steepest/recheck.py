"""A certificate looked at again, by somebody who need not trust whoever wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import InputError
from .numerics import EPS
from .parameters import Parameters
from .verdict.certificate import carried
from .verdict.words import Verdict
from .verify import Verification, verify

# Two machines may compute one cost this many units in the last place apart: other orders of a sum, another
# library of elementary functions. More than that is another cost.
SAME_COST = 1e6


@dataclass(frozen=True)
class Checked:
    """A certificate looked at again: each claim with what was found, and whether they agree."""

    verification: Verification
    claims: tuple[tuple[str, str, str, bool], ...]

    @property
    def holds(self) -> bool:
        """Whether every claim was found again."""
        return all(agrees for *_, agrees in self.claims)

    def __str__(self) -> str:
        from .presentation import table

        rows = [("", "claimed", "found")]
        rows += [
            (f"{'holds' if agrees else 'fails'}  {name}", claimed, found)
            for name, claimed, found, agrees in self.claims
        ]
        word = "certificate confirmed" if self.holds else "certificate NOT confirmed"
        return "\n".join([word, "", *table(rows, "<<<", "    "), "", str(self.verification)])

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain JSON values."""
        rows = [
            {"claim": name, "claimed": claimed, "found": found, "holds": agrees}
            for name, claimed, found, agrees in self.claims
        ]
        return {"confirmed": self.holds, "claims": rows, "verification": self.verification.to_dict()}


def recheck(certificate: Mapping[str, Any], cost: Any, args: tuple[Any, ...] | None = None) -> Checked:
    """Judge the certificate's point afresh by `cost`, and compare with what it claims.

    `args`: the data; None takes what the certificate carries. Raises `InputError` where data are needed that it
    does not carry, or where those given are not those it was made with.
    """
    given = _data(certificate, args)
    x = _parameters(certificate["x"])
    free, bounds = certificate.get("free"), certificate.get("bounds")
    fixed = None
    if free is not None:
        fixed = np.ones(Parameters.of(x).n, dtype=bool)
        fixed[free] = False
        if bounds is not None:
            pairs: list[Any] = [(None, None)] * fixed.size
            for k, pair in zip(free, bounds, strict=True):
                pairs[k] = pair
            bounds = pairs
    found = verify(
        cost,
        x,
        bounds,
        args=given,
        fixed=fixed,
        derivatives="numeric" if certificate.get("derivatives") == "numeric" else "auto",
        start=certificate.get("start"),
    )
    return Checked(found, _compared(certificate, found))


def _parameters(value: Any) -> Any:
    if isinstance(value, list):
        if all(isinstance(item, (int, float)) for item in value):
            return np.array(value, dtype=np.float64)
        try:
            return np.array(value, dtype=np.float64)
        except (TypeError, ValueError):
            return [_parameters(item) for item in value]
    if isinstance(value, dict):
        return {key: _parameters(item) for key, item in value.items()}
    return value


def _data(certificate: Mapping[str, Any], args: tuple[Any, ...] | None) -> tuple[Any, ...]:
    rows = certificate.get("data") or []
    if args is None:
        for k, row in enumerate(rows):
            if row.get("values") is None:
                raise InputError(
                    f"the certificate does not carry argument {k + 1} of the cost, "
                    f"{row.get('kind') or 'an array of shape ' + str(tuple(row['shape']))}; check it in Python with "
                    "steepest.recheck.recheck(certificate, cost, args)"
                )
        return tuple(
            np.array(row["values"], dtype=row["dtype"]) if row["shape"] else row["values"] for row in rows
        )
    if len(args) != len(rows):
        raise InputError(f"the certificate was made with {len(rows)} arguments of the cost, not {len(args)}")
    for k, (row, value) in enumerate(zip(rows, args, strict=True)):
        if "sha256" in row and carried(value).get("sha256") != row["sha256"]:
            raise InputError(f"argument {k + 1} of the cost is not the one the certificate was made with")
    return args


def _compared(certificate: Mapping[str, Any], found: Any) -> tuple[tuple[str, str, str, bool], ...]:
    told = certificate["fun"]
    claimed = math.nan if told is None else float(told)
    if math.isfinite(claimed) and math.isfinite(found.fun):
        size = max(abs(claimed), abs(found.fun))
        same = abs(claimed - found.fun) <= SAME_COST * EPS * size + _trembling(found)
    else:
        same = not math.isfinite(claimed) and not math.isfinite(found.fun)
    word = str(certificate["verdict"])
    return (
        ("cost", f"{claimed:.12g}", f"{found.fun:.12g}", bool(same)),
        ("verdict", word, str(found.verdict), _agrees(word, found.verdict)),
    )


def _agrees(claimed: str, found: Verdict) -> bool:
    """Whether the word found says what was claimed, or more."""
    if claimed in (Verdict.STOPPED, Verdict.OUT_OF_BUDGET):
        return not found.is_minimum  # why a walk ended is no property of the point
    if claimed == Verdict.LOCAL_MINIMUM:
        return found in (Verdict.LOCAL_MINIMUM, Verdict.GLOBAL_MINIMUM)
    return claimed == found


def _trembling(found: Any) -> float:
    """What the cost changes by between neighbouring numbers, and between two calls."""
    problem = found.__dict__["_problem"]
    look, x = problem.objective.afresh(), problem.start
    values = [look.value(look.bounds.project(np.nextafter(x, way))) for way in (-np.inf, np.inf)]
    changes = [abs(value - found.fun) for value in (*values, look.value(x)) if math.isfinite(value)]
    return 10.0 * max(changes, default=0.0)
