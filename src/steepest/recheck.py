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
from .verdict.naming import carried
from .verdict.words import Verdict
from .verify import Verification, verify

# Claimed multipliers balance the slope when no more than this part of what cancels is left over: what an interior point
# that could not be polished reaches. A violation may differ by this much of its own size, or of 1.
BALANCED, SAME_VIOLATION = 1e-5, 1e-8

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
        from .presentation.text import table

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


def recheck(
    certificate: Mapping[str, Any],
    cost: Any,
    args: tuple[Any, ...] | None = None,
    constraints: Any = None,
) -> Checked:
    """Judge the certificate's point afresh by `cost`, and compare with what it claims.

    `args`: the data; None takes what the certificate carries. `constraints`: as `minimize` takes them; None takes those
    the certificate carries, which must then be expressions or matrices. Raises `InputError` where data or functions
    are needed that it does not carry, or where data given are not those it was made with.
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
        constraints=_constraints(certificate, constraints),
    )
    claims = _compared(certificate, found)
    if "multipliers" in found:
        claims += _between(certificate, found)
    return Checked(found, claims)


def _constraints(certificate: Mapping[str, Any], given: Any) -> Any:
    told = certificate.get("constraints")
    if given is not None or not told:
        return given
    from .verdict.carried_constraints import read_again

    return read_again(told, _not_here)


def _not_here(told: Mapping[str, Any]) -> Any:
    raise InputError(
        f"a constraint of the certificate is the function {told.get('function')} of {told.get('file')}; give the "
        "constraints as minimize takes them, recheck(certificate, cost, constraints=...)"
    )


def _between(certificate: Mapping[str, Any], found: Any) -> tuple[tuple[str, str, str, bool], ...]:
    """What a certificate claims of its constraints: how far they are missed, and multipliers that hold the point."""
    from .search.constrained import read_rows
    from .verify_between import conditions_of

    told = certificate.get("violation")
    claimed = math.nan if told is None else float(told)
    same = abs(found.violation - claimed) <= SAME_VIOLATION * max(1.0, abs(claimed))
    rows: list[tuple[str, str, str, bool]] = [
        ("violation", f"{claimed:.3g}", f"{found.violation:.3g}", bool(same))
    ]
    if not Verdict(str(certificate["verdict"])).is_minimum:
        return tuple(rows)
    problem = found.__dict__["_problem"]
    constraints = read_rows(found.__dict__["_asked"]["constraints"], problem, "auto")
    assert constraints is not None
    multipliers = certificate.get("multipliers") or {}
    push = [multipliers.get(name) for name in constraints.names]
    if any(value is None for value in push):
        return (*rows, ("multipliers", f"{len(multipliers)}", f"{constraints.m} needed", False))
    of_bounds = _bound_multipliers(certificate, problem)
    part, wrong = conditions_of(problem, constraints, np.array(push, dtype=np.float64), of_bounds)
    shown = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
    return (
        *rows,
        ("slopes balance, part left", f"<= {BALANCED:g}", f"{part:.2g}", part <= BALANCED),
        ("multipliers push from a limit", "all", f"not {shown}" if wrong else "all", not wrong),
    )


def _bound_multipliers(certificate: Mapping[str, Any], problem: Any) -> np.ndarray:
    """Those of the free parameters, (n,); what was not told is zero."""
    told = certificate.get("bound_multipliers")
    if told is None:
        return np.zeros(problem.start.size)
    whole = Parameters.of(_parameters(certificate["x"])).flatten(_parameters(_nulls_as_zero(told)))
    return np.asarray(whole if problem.free is None else whole[problem.free], dtype=np.float64)


def _nulls_as_zero(value: Any) -> Any:
    if isinstance(value, list):
        return [_nulls_as_zero(item) for item in value]
    if isinstance(value, dict):
        return {key: _nulls_as_zero(item) for key, item in value.items()}
    return 0.0 if value is None else value


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
