"""The words of the verdict, and the evidence that stands behind each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import nan

import numpy as np

from ..budget import Counts


class Verdict(StrEnum):
    """What was found at the end point. The values are a promise: compare against them.

    >>> Verdict("saddle point") == "saddle point", Verdict.LOCAL_MINIMUM.is_minimum
    (True, True)
    """

    GLOBAL_MINIMUM = "global minimum"
    LOCAL_MINIMUM = "local minimum"
    FLAT_MINIMUM = "flat minimum"
    MINIMUM_AT_A_KINK = "minimum at a kink"
    SADDLE_POINT = "saddle point"
    PLATEAU = "plateau"
    INFIMUM_NOT_ATTAINED = "infimum not attained"
    UNBOUNDED_BELOW = "unbounded below"
    NO_SLOPE = "no slope"
    WRONG_GRADIENT = "wrong gradient"
    NOISE_FLOOR = "noise floor"
    NOT_FINITE = "not finite"
    OUT_OF_BUDGET = "out of budget"
    STOPPED = "stopped"

    @property
    def is_minimum(self) -> bool:
        """Whether the word says a minimum was shown; `Result.success` is exactly this."""
        return self in MINIMA


MINIMA = frozenset(
    {
        Verdict.GLOBAL_MINIMUM,
        Verdict.LOCAL_MINIMUM,
        Verdict.FLAT_MINIMUM,
        Verdict.MINIMUM_AT_A_KINK,
    }
)


@dataclass(frozen=True)
class Evidence:
    """One thing that was checked: what was measured, against what limit, whether it holds, and how.

    `measured` and `limit` are numbers, or None where the evidence is a fact read off the trace.

    >>> print(Evidence("projected slope", 3.1e-9, 1e-8, True, "max norm, bounds applied"))
    projected slope 3.1e-09, limit 1e-08: holds (max norm, bounds applied)
    """

    name: str
    measured: float | None
    limit: float | None
    holds: bool
    how: str

    def __str__(self) -> str:
        numbers = "" if self.measured is None else f" {self.measured:.3g}"
        limit = "" if self.limit is None else f", limit {self.limit:.3g}"
        return f"{self.name}{numbers}{limit}: {'holds' if self.holds else 'does not hold'} ({self.how})"

    def to_dict(self) -> dict[str, object]:
        """The evidence as plain JSON values."""
        return {
            "name": self.name,
            "measured": self.measured,
            "limit": self.limit,
            "holds": self.holds,
            "how": self.how,
        }


@dataclass(frozen=True)
class Judgement:
    """What the judge says of one point: the word, its evidence, a sentence, and what to do next.

    `digits`: trustworthy digits of each parameter, shape (n,), or None where none can be vouched for.
    `downhill`: a direction, shape (n,), along which the cost falls from a saddle or maximum; else None. `below`: a
    place, shape (n,), where a probe met a lower cost, perhaps far off along it; else None.
    `gap`: a bound on how much lower the cost could still go, where one is known. `value`, `gradient` (n,): the
    cost there and its slope; `spent`: the evaluations that the judgement took.
    """

    verdict: Verdict
    evidence: tuple[Evidence, ...]
    sentence: str
    next_step: str = ""
    digits: np.ndarray | None = None
    downhill: np.ndarray | None = None
    below: np.ndarray | None = None
    gap: float | None = None
    value: float = nan
    gradient: np.ndarray | None = None
    spent: Counts = field(default_factory=Counts)

    def measured(self, value: float, gradient: np.ndarray, spent: Counts) -> Judgement:
        """The same with what was measured at the point, and spent; `dataclasses.replace` takes ten times as long."""
        found = object.__new__(Judgement)
        vars(found).update(vars(self), value=value, gradient=gradient, spent=spent)
        return found

    def told(self, evidence: Evidence, sentence: str) -> Judgement:
        """The same with one more piece of evidence, in other words."""
        found = object.__new__(Judgement)
        vars(found).update(vars(self), evidence=(*self.evidence, evidence), sentence=sentence)
        return found
