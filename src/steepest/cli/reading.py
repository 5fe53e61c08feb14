"""What people type after --at, --start and --bounds, read into places and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError

# Units of time in a budget, the longer endings first.
SECONDS = {"min": 60.0, "h": 3600.0, "s": 1.0}
AMOUNTS = "; write how many evaluations, such as 1000, or a time: 30s, 5min, 2h"


@dataclass(frozen=True)
class Place:
    """One place as it was typed: values by name, or in order; `brackets` where it was written as [1, 2]."""

    named: dict[str, float]
    ordered: tuple[float, ...] = ()
    brackets: bool = False


def read_places(texts: Sequence[str], option: str) -> list[Place]:
    """Places from the values of an option that may be repeated; `;` separates places within one value.

    >>> read_places(["x=1,y=2; x=0,y=0"], "--at")[1].named
    {'x': 0.0, 'y': 0.0}
    >>> read_places(["-1,1,3"], "--at")[0].ordered
    (-1.0, 1.0, 3.0)
    """
    parts = [part.strip() for text in texts for part in text.split(";")]
    return [_place(part, option) for part in parts if part]


def _place(text: str, option: str) -> Place:
    brackets = text.startswith("[") and text.endswith("]")
    items = [item.strip() for item in (text[1:-1] if brackets else text).split(",")]
    if all("=" in item for item in items):
        pairs = [item.split("=", 1) for item in items]
        named = {name.strip(): _number(value, text, option) for name, value in pairs}
        if len(named) < len(pairs):
            raise InputError(f"{option} {text}: the same name stands there twice")
        return Place(named)
    if any("=" in item for item in items):
        raise InputError(f"{option} {text}: name all of the values, or none of them")
    return Place({}, tuple(_number(item, text, option) for item in items), brackets)


def _number(text: str, whole: str, option: str, hint: str = "") -> float:
    try:
        return float(text.replace("−", "-"))
    except ValueError:
        raise InputError(f"{option} {whole}: {text.strip()!r} is not a number{hint}") from None


def read_bounds(text: str, names: Sequence[str] | None, n: int) -> list[tuple[float | None, float | None]]:
    """Lower and upper bound of each of `n` parameters, None where there is none.

    Written by name, `x=0:,y=:3`, or in order, `0:,:3`; one range alone holds for every parameter.

    >>> read_bounds("y=:3", ("x", "y"), 2)
    [(None, None), (None, 3.0)]
    """
    items = [item.strip() for item in text.split(",") if item.strip()]
    if items and all("=" in item for item in items):
        box: list[tuple[float | None, float | None]] = [(None, None)] * n
        for item in items:
            name, ends = (part.strip() for part in item.split("=", 1))
            if names is None or name not in names:
                raise InputError(f"--bounds {text}: {_no_such(name, names)}")
            box[list(names).index(name)] = _ends(ends, text)
        return box
    ranges = [_ends(item.split("=", 1)[-1], text) for item in items if "=" not in item]
    if len(ranges) != len(items) or not ranges:
        raise InputError(f"--bounds {text}: name all of the ranges, or none of them")
    if len(ranges) == 1:
        return ranges * n
    if len(ranges) != n:
        raise InputError(f"--bounds {text}: {len(ranges)} ranges for {n} parameter{'s' if n > 1 else ''}")
    return ranges


def _ends(text: str, whole: str) -> tuple[float | None, float | None]:
    parts = text.split(":")
    if len(parts) != 2:
        raise InputError(
            f"--bounds {whole}: write {text!r} as low:high, with either end left out where it is free"
        )
    low, high = (_number(part, whole, "--bounds") if part.strip() else None for part in parts)
    if low is not None and high is not None and low > high:
        raise InputError(f"--bounds {whole}: {low:g} is above {high:g}")
    return low, high


def _no_such(name: str, names: Sequence[str] | None) -> str:
    if not names:
        return f"no parameter is called {name!r}; give the ranges in order"
    return f"no parameter is called {name!r}; there {'is' if len(names) == 1 else 'are'} {', '.join(names)}"


def read_budget(text: str) -> dict[str, float]:
    """A budget: `1000` or `1e6` evaluations, `30s`, `5min`, `2h`, or both with a comma.

    >>> read_budget("1e4,30s")
    {'evaluations': 10000, 'seconds': 30.0}
    """
    budget: dict[str, float] = {}
    for item in (item.strip() for item in text.split(",")):
        unit = next((unit for unit in SECONDS if item.endswith(unit)), None)
        if unit is None:
            budget["evaluations"] = int(_number(item, text, "--budget", AMOUNTS))
        else:
            budget["seconds"] = SECONDS[unit] * _number(item.removesuffix(unit), text, "--budget", AMOUNTS)
    return budget


def read_options(texts: Sequence[str]) -> dict[str, float | int | str]:
    """Settings of a method, written `name=value`; numbers become numbers.

    >>> read_options(["rate=0.1", "memory=20"])
    {'rate': 0.1, 'memory': 20}
    """
    options: dict[str, float | int | str] = {}
    for text in texts:
        name, separator, value = (part.strip() for part in text.partition("="))
        if not separator or not name:
            raise InputError(f"--option {text}: write NAME=VALUE, such as rate=0.1")
        options[name] = _plain_value(value)
    return options


def _plain_value(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
