"""What restarts found, in words."""

from __future__ import annotations

from dataclasses import replace

from ..bounds import Vector
from ..verdict.wording import SHOWN, written
from ..verdict.words import Evidence, Judgement
from .sequels import Sequels


def told(sequels: Sequels, before: float) -> Judgement:
    """The judgement with what the restarts found."""
    if not sequels.looked and not sequels.walks and sequels.seen is None:
        return sequels.judgement
    if sequels.ran_off is not None:
        return _told_of_elsewhere(sequels, before)
    how = f"{sequels.looked} places looked at, {sequels.walks} walks"
    if not sequels.looked and not sequels.walks:
        how = "broken off at the first look around"
    sentence = sequels.judgement.sentence
    if sequels.hopped:
        how += f"; moves of parts alone: {sequels.hopped:,}"
    if sequels.lower:
        how += f"; they came down from {before:.6g} to {sequels.run.value:.6g}"
        which, rest = ("lowest", "") if sequels.among else ("first", "; starts=1 stays in its valley")
        sentence += f" The {which} walk ended in a higher minimum ({before:.6g}), and "
        sentence += "restarts near it" if sequels.across is None else f"one from {sequels.across}"
        if sequels.hopped and sequels.across is None:
            sentence += f", with parts of it moved alone ({sequels.hopped:,} moves),"
        sentence += f" led here{rest}."
    if sequels.astray is not None:
        how += f"; one went lower and ended in no minimum: {sequels.astray}"
        sentence += f" Another walk went lower and ended in no minimum: {sequels.astray}."
    elif not sequels.lower:
        how += "; none lower" if sequels.seen is None else "; one went lower and was cut short"
    if sequels.seen is not None and sequels.seen[0] < sequels.run.value:
        if sequels.astray is None:
            sentence += " Places nearby are lower, with no minimum seen among them."
        sentence += (
            f" The lowest cost met there is {sequels.seen[0]!r}, at {_written(sequels, sequels.seen[1])}."
        )
    evidence = Evidence("restarts nearby", float(sequels.lower), None, True, how)
    return sequels.judgement.told(evidence, sentence)


def _told_of_elsewhere(sequels: Sequels, before: float) -> Judgement:
    """The judgement with what walks from elsewhere found after the first had run off."""
    sentence, next_step = sequels.judgement.sentence, sequels.judgement.next_step
    how = f"walks: {sequels.walks}"
    if sequels.lower and sequels.met is not None:
        words, place, _ = sequels.met
        began = f"{words} ({_written(sequels, place)})" if place.size <= SHOWN else words
        how += f"; the first walk ended at {before:.6g}: {sequels.ran_off}"
        sentence += (
            f" The walk from the start ended in no minimum ({before:.6g}, {sequels.ran_off}); one from {began} led "
            "here. starts=1 walks from the start alone."
        )
    elif sequels.astray is not None and sequels.seen is not None:
        how += f"; one ended at {sequels.seen[0]:.6g}: {sequels.astray}"
        lowest, place = sequels.seen
        sentence += f" A walk from elsewhere fell without limit: {lowest:.6g} at {_written(sequels, place)}."
    elif sequels.seen is not None and sequels.seen[0] < sequels.run.value:
        how += "; one went lower and was not seen to end in a minimum"
        where = f"{sequels.seen[0]!r}, at {_written(sequels, sequels.seen[1])}"
        sentence += f" The lowest cost met elsewhere is {where}; no minimum was seen there."
    elif sequels.met is not None:
        _, place, end = sequels.met
        how += "; one ended in a minimum, though a higher one"
        sentence += f" A minimum that is higher, {end.value:.6g}, lies at {_written(sequels, end.x)}."
        next_step = f"Begin at {_written(sequels, place)} for that minimum. {next_step or ''}".rstrip()
    else:
        how += "; none ended in a minimum"
    evidence = Evidence("walks from elsewhere", float(sequels.lower), None, bool(sequels.lower), how)
    found = (*sequels.judgement.evidence, evidence)
    return replace(sequels.judgement, evidence=found, sentence=sentence, next_step=next_step)


def _written(sequels: Sequels, x: Vector) -> str:
    return written(x, sequels.problem.names)
