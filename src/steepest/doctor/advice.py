"""What the doctor adds to a verdict that is no minimum: the first finding, and its rewrite."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..problem import Problem
from ..verdict.words import Judgement
from .examine import first_finding


def advised(problem: Problem, x: np.ndarray, judgement: Judgement) -> Judgement:
    """The judgement at `x` (n,), with what the cheap examination found there; a minimum is left as it is."""
    if judgement.verdict.is_minimum:
        return judgement
    finding = first_finding(problem, x)
    if finding is None:
        return judgement
    where = f" ({finding.spot})" if finding.line else ""
    sentence = f"{judgement.sentence} {finding.sentence[:1].upper()}{finding.sentence[1:]}{where}."
    next_step = finding.rewrite if finding.severity == "error" and finding.rewrite else judgement.next_step
    return replace(judgement, sentence=sentence, next_step=next_step)
