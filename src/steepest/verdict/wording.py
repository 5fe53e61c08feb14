"""How directions and numbers read in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np

from ..numerics import largest

Vector = np.ndarray

# Parts of a direction smaller than this share of its largest part are left out of its name.
VISIBLE = 0.05

# A direction is told by at most this many parameters, the largest first.
TOLD = 4

# Parameters of a place that are written out where it could not be made the answer, or is to be typed in again.
SHOWN = 12


def number(value: float) -> str:
    """A number as it reads in a sentence: three significant digits, no more.

    >>> number(200.43), number(2e-16), number(0.0)
    ('200', '2e-16', '0')
    """
    return f"{value:.3g}"


def direction_name(direction: Vector, names: Sequence[str]) -> str:
    """A direction in the parameters' names, scaled to its largest part.

    >>> direction_name(np.array([0.5, -1.0, 0.0]), ("limit", "rate", "middle"))
    '0.5·limit - rate'
    """
    most = largest(np.abs(direction))
    if most == 0.0 or not isfinite(most):
        return "nowhere"
    parts = direction / most
    sizes = np.abs(parts)
    visible = [i for i in np.argsort(-sizes, kind="stable")[:TOLD].tolist() if sizes.item(i) > VISIBLE]
    dropped = np.count_nonzero(sizes > VISIBLE) - len(visible)
    text = ""
    for i in sorted(visible):
        sign = "-" if parts.item(i) < 0 else "+"
        size = f"{sizes.item(i):.2g}"
        term = names[i] if size == "1" else f"{size}·{names[i]}"
        text += f" {sign} {term}" if text else (f"-{term}" if sign == "-" else term)
    return f"{text} and {dropped} more" if dropped else text


def written(x: Vector, names: Sequence[str]) -> str:
    """`x` (n,) as text that can be typed in again, of many parameters the first.

    >>> written(np.array([0.1, -2.0]), ("a", "b"))
    'a = 0.1, b = -2.0'
    """
    place = ", ".join(f"{names[k]} = {v!r}" for k, v in enumerate(x[:SHOWN].tolist()))
    return f"{place} and {x.size - SHOWN} more" if x.size > SHOWN else place


def listed(words: Sequence[str], most: int = TOLD) -> str:
    """Words joined as in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    words = list(words)
    return _joined(words[:most], len(words) - most)


def named(names: Sequence[str], which: np.ndarray) -> str:
    """The names of the entries `which` (k,), as `listed` joins them; of very many only those that are told are made.

    >>> named([f"x[{i}]" for i in range(10)], np.array([0, 2, 4, 6, 8, 9]))
    'x[0], x[2], x[4], x[6] and 2 more'
    """
    return _joined([names[i] for i in which[:TOLD].tolist()], which.size - TOLD)


def _joined(words: list[str], more: int) -> str:
    if more > 0:
        words = [*words, f"{more} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
