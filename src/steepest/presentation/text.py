"""Slopes and results as plain text: the tables that `print` shows, with no package needed to draw them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ..numerics import TINY
from .marks import mark_of

# More rows than this are noise on a screen; the largest slopes are shown and the rest counted.
MOST_ROWS = 20
# The longest cost shown in a heading before it is cut, and what is shown of it in any case.
LONGEST_LABEL, SHORTEST_LABEL = 72, 12
# The longest line of a sentence in a table, and what must be left of it for how a thing was measured to stand beside.
TEXT_WIDTH, BESIDE = 96, 28
# Numbers above zero that span more than this factor are drawn by their logarithms.
WORTH_A_LOG = 30.0
_width: ContextVar[int] = ContextVar("width", default=TEXT_WIDTH)


def fit_to(columns: int) -> None:
    """Break sentences where a screen of so many columns ends, if that is before `TEXT_WIDTH`."""
    _width.set(min(TEXT_WIDTH, max(columns, TEXT_WIDTH // 3)))


def number(value: float | None, digits: int = 6) -> str:
    """A number as a reader wants it: few digits, whole numbers without a point, no surprises at zero.

    >>> number(3.0), number(-0.0), number(1/3), number(1.25e-12), number(float("nan")), number(None)
    ('3', '0', '0.333333', '1.25e-12', 'nan', '-')
    """
    if value is None:
        return "-"
    value = float(value)
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    if value == round(value) and abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def numeral(value: float | None, digits: int = 6) -> str:
    """A number with a true minus sign, as `number` writes it.

    >>> numeral(-0.5)
    '−0.5'
    """
    return number(value, digits).replace("-", "−")


def counted(count: int, noun: str) -> str:
    """How many there are of what, in the number that belongs to it.

    >>> counted(1, "point"), counted(1200, "point")
    ('1 point', '1,200 points')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def flat(structure: Any) -> np.ndarray:
    """The single entries of parameters, or of words about them, in a row: shape (n,).

    >>> flat({"rate": 0.5, "mix": np.array([1.0, 2.0])})
    array([0.5, 1. , 2. ])
    >>> flat(("falling", "flat")).tolist()
    ['falling', 'flat']
    """
    if isinstance(structure, Mapping):
        return _joined(structure.values())
    if is_dataclass(structure) and not isinstance(structure, type):
        return _joined(getattr(structure, field.name) for field in fields(structure))
    if isinstance(structure, (list, tuple)):
        return _joined(structure)
    if hasattr(structure, "named_parameters"):  # a module of PyTorch: what of it was looked for
        found = [tensor for _, tensor in structure.named_parameters() if tensor.requires_grad]
        return _joined(tensor.detach().cpu().numpy() for tensor in found)
    return np.asarray(structure).ravel()


def _joined(parts: Iterable[Any]) -> np.ndarray:
    return np.concatenate([flat(part) for part in parts])


def entries(structure: Any, names: Sequence[str] = ()) -> list[tuple[str, Any]]:
    """Each single entry with its name: the parameter's own where `names` holds one for each.

    >>> entries([3.0, 4.0], ("rate", "limit"))
    [('rate', 3.0), ('limit', 4.0)]
    """
    values = flat(structure).tolist()
    return list(zip(names_of(len(values), names), values, strict=True))


def names_of(n: int, names: Sequence[str] = ()) -> Sequence[str]:
    """`n` names: those given, or x[0], x[1], … where there is not one for each.

    >>> names_of(2, ("p",))
    ['p[0]', 'p[1]']
    """
    if len(names) == n:
        return names
    base = names[0] if len(names) == 1 else "x"
    return [base] if n == 1 else [f"{base}[{i}]" for i in range(n)]


def table(rows: Sequence[Sequence[str]], align: str, indent: str = "  ", *, cut: bool = True) -> list[str]:
    """Lines of a table whose columns are as wide as they need; `align` holds one of < or > for each column.

    `cut`: leave out the blanks at the ends of lines.

    >>> table([("x", "slope"), ("-1", "-4")], ">>")
    ['   x  slope', '  -1     -4']
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(align))]
    lines = [
        indent
        + "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=True))
        for row in rows
    ]
    return [line.rstrip() for line in lines] if cut else lines


def shortened(label: str, longest: int = LONGEST_LABEL) -> str:
    """A label on one line, cut where it is too long to read.

    >>> shortened("x**2 -   2*x", 8)
    'x**2 -…'
    """
    label = " ".join(label.split())
    return label if len(label) <= longest else label[: longest - 1].rstrip() + "…"


def headed(before: str, label: str, after: str = "") -> str:
    """A heading with a label in it, which is cut where the screen ends.

    >>> headed("fit of ", "a*exp(-b*t)", " to 3 points")
    'fit of a*exp(-b*t) to 3 points'
    """
    room = _width.get() - len(before) - len(after)
    return f"{before}{shortened(label, min(max(room, SHORTEST_LABEL), LONGEST_LABEL))}{after}"


def ends_of(name: str, longest: int) -> str:
    """A name whose middle is cut out where it is too long: names that begin alike often end differently.

    >>> ends_of("rate_of_the_first_component", 15)
    'rate_of…mponent'
    """
    half = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[: longest - 1 - half]}…{name[len(name) - half :]}"


def slope_table(slope: Any) -> str:
    """A `Slope` as text: a row for each place, or for each parameter when there are several."""
    several = any(flat(point.at).size > 1 for point in slope.points)
    heading = headed("slope of ", slope.label) if slope.label else "slope"
    blocks = [heading, ""]
    blocks += _many_parameters(slope) if several else _one_parameter(slope)
    for place, rows in zip(slope.points, slope.limit or (), strict=False):
        blocks += ["", *_limit(place, rows, slope.names)]
    if slope.derivatives == "exact":
        return "\n".join(blocks)
    return "\n".join([*blocks, "", f"  derivatives: {slope.derivatives}"])


def _one_parameter(slope: Any) -> list[str]:
    name = entries(slope.points[0].at, slope.names)[0][0] if slope.points else "x"
    rows = [(name, "value", "slope", "")]
    for point in slope.points:
        at, direction = _only(point.at), str(_only(point.direction))
        steep = "-" if direction == "no slope here" else number(_only(point.slope))
        rows.append((number(at), number(point.value), steep, _words(point, direction, 0)))
    return table(rows, ">>><")


def _words(point: Any, direction: str, i: int) -> str:
    mark = mark_of(direction)
    words = f"{mark.arrow} {direction}".strip()
    if point.left is not None and point.right is not None and direction == "no slope here":
        left, right = flat(point.left)[i], flat(point.right)[i]
        if np.isnan([point.value, left, right]).all():
            return f"{words}: the cost has no value"
        sides = ["none" if np.isnan(side) else number(side) for side in (left, right)]
        words += f": {sides[0]} from the left, {sides[1]} from the right"
        words += _jump(point, i)
    return words


def _jump(point: Any, i: int) -> str:
    """How far the cost jumps along parameter i, where a table tells the two sides apart."""
    if point.left_value is None:
        return ""
    before, after = number(flat(point.left_value)[i]), number(flat(point.right_value)[i])
    return f"; the cost jumps from {before} to {after}" if before != after else ""


def _only(structure: Any) -> Any:
    """The one entry of a structure that holds one."""
    return flat(structure)[0]


def _many_parameters(slope: Any) -> list[str]:
    lines: list[str] = []
    for point in slope.points:
        places, steepness, directions = flat(point.at), flat(point.slope), flat(point.direction)
        names = names_of(places.size, slope.names)
        shown = largest(steepness)
        rows = [("parameter", "at", "slope", "")]
        for i in shown:
            steep = "-" if directions[i] == "no slope here" else number(steepness[i])
            rows.append((names[i], number(places[i]), steep, _words(point, str(directions[i]), i)))
        lines += [*([""] if lines else []), f"  value {number(point.value)}", "", *table(rows, "<>><")]
        if len(shown) < places.size:
            lines += ["", f"  and {places.size - len(shown):,} more, no steeper: {_tally(directions, shown)}"]
    return lines


def _tally(directions: np.ndarray, shown: Sequence[int]) -> str:
    rest = np.delete(directions, shown)
    words, counts = np.unique(rest, return_counts=True)
    return ", ".join(f"{count:,} {word}" for word, count in zip(words, counts, strict=True))


def largest(values: np.ndarray, most: int = MOST_ROWS) -> list[int]:
    """Positions to show: all of them, or the largest where there are too many, in the user's order.

    >>> largest(np.array([3.0, 0.1, -5.0]), most=2)
    [0, 2]
    """
    if values.size <= most:
        return list(range(values.size))
    sizes = np.nan_to_num(np.abs(values.astype(float)), nan=np.inf)
    return sorted(int(i) for i in np.argsort(-sizes, kind="stable")[:most])


def _limit(point: Any, rows: Sequence[Any], names: Sequence[str]) -> list[str]:
    name, at = entries(point.at, names)[0]
    lines = [f"  the limit at {name} = {number(at)}: slope of the secant over h, as h shrinks"]
    body = [("h", "to the right", "to the left")]
    body += [(f"{row.h:.0e}", number(row.right, 12), number(row.left, 12)) for row in rows]
    if str(_only(point.direction)) != "no slope here":
        exact = number(_only(point.slope), 12)
        body.append(("exact", exact, exact))
    return lines + table(body, ">>>", indent="    ")


def result_text(result: Any) -> str:
    """A `Result` as text: the verdict, the point, the evidence, how it was found and what to do next."""
    blocks = [_headline(result), "", *_parameters(result)]
    if getattr(result, "multipliers", None):
        blocks += ["", *_constraints(result)]
    evidence = tuple(result.evidence or ())
    if evidence:
        blocks += ["", "  why", *_evidence(evidence)]
    blocks += ["", "  how", *_how(result)]
    if getattr(result, "next_step", ""):
        blocks += ["", "  next", *wrapped(result.next_step)]
    return "\n".join(blocks)


def _headline(result: Any) -> str:
    name = getattr(result, "label", "") or ""
    heading = f"{result.verdict}: cost {number(result.fun, 10)}"
    sentence = getattr(result, "message", "")
    lines = [headed(f"{heading}  (", name, ")") if name else heading]
    if sentence:
        lines += wrapped(sentence, indent="  ")
    return "\n".join(lines)


def _parameters(result: Any) -> list[str]:
    places = flat(result.x)
    names = names_of(places.size, getattr(result, "names", ()) or ())
    digits = None if getattr(result, "digits", None) is None else flat(result.digits)
    if digits is not None and digits.size != places.size:
        digits = None
    rows = [
        (names[i], number(places[i], 12), "" if digits is None else _trust(digits[i]))
        for i in range(min(places.size, MOST_ROWS))
    ]
    lines = table(rows, "<><")
    if places.size > MOST_ROWS:
        lines.append(f"  and {counted(places.size - MOST_ROWS, 'more parameter')}")
    return lines


def _constraints(result: Any) -> list[str]:
    """The constraints that push: what the lowest cost rises by for each unit their limit rises."""
    rows, idle = pushing(result)
    lines = table([("constraint", "multiplier"), *rows], "<>") if rows else ["  no constraint is active"]
    return [*lines, f"  and {idle:,} not active"] if idle and rows else lines


def pushing(result: Any) -> tuple[list[tuple[str, str]], int]:
    """The active constraints and bounds, each with its multiplier, and how many constraints are not active."""
    active = set(result.active)
    names = [name for name, value in result.multipliers.items() if value or name in active]
    rows = [(shortened(name), number(result.multipliers[name])) for name in names[:MOST_ROWS]]
    bounds = flat(result.bound_multipliers)
    places = names_of(bounds.size, getattr(result, "names", ()) or ())
    held = [i for i in range(bounds.size) if bounds[i] and math.isfinite(bounds[i])]
    rows += [(f"bound of {places[i]}", number(bounds[i])) for i in held[:MOST_ROWS]]
    return rows, len(result.multipliers) - len(names)


def _trust(digits: float | None) -> str:
    if digits is None or not math.isfinite(float(digits)):
        return ""
    whole = int(digits)
    if whole <= 0:
        return "no digit to trust"
    return f"{counted(whole, 'digit')} to trust"


# Under the name of what was measured.
BELOW = " " * 11


def _evidence(evidence: Sequence[Any]) -> list[str]:
    """A line for each piece of evidence; how it was measured goes on below itself where it is long."""
    rows = [("holds" if item.holds else "fails", item.name, _measured(item)) for item in evidence]
    found = table(rows, "<<<", "    ", cut=False)
    width = _width.get()
    room = width - len(found[0]) - 2
    lines: list[str] = []
    for item, line in zip(evidence, found, strict=True):
        if room >= BESIDE:
            first, *others = textwrap.wrap(item.how, room, break_on_hyphens=False) or [""]
            lines.append(f"{line}  {first}".rstrip())
            lines += [" " * (len(line) + 2) + rest for rest in others]
        else:
            how = textwrap.wrap(
                item.how, width, initial_indent=BELOW, subsequent_indent=BELOW, break_on_hyphens=False
            )
            lines += [line.rstrip(), *how]
    return lines


def _measured(item: Any) -> str:
    if item.measured is None:
        return ""
    return f"{number(item.measured, 3)}{limit_text(item)}"


def limit_text(item: Any) -> str:
    """What a piece of evidence was held against; one that only guards against dividing by zero is zero."""
    limit = limit_of(item)
    return "" if limit is None else f" (limit {number(limit, 3)})"


def limit_of(item: Any) -> float | None:
    """The limit of a piece of evidence as it is shown."""
    return 0.0 if item.limit is not None and abs(item.limit) <= TINY else item.limit


def _how(result: Any) -> list[str]:
    plan = getattr(result, "plan", None)
    lines: list[str] = []
    if plan is not None:
        because = f", because {plan.because}" if plan.because else ""
        lines += wrapped(f"{plan.name}{because}")
        onward = getattr(plan, "taken", ())[1:]
        if onward:
            lines += wrapped(f"then {', '.join(onward)}")
    counts = [
        (result.nfev, "value"),
        (result.njev, "gradient"),
        (result.nhev, "Hessian"),
        (result.nit, "step"),
    ]
    spent = ", ".join(f"{count:,} {word}{'' if count == 1 else 's'}" for count, word in counts if count)
    if spent:
        lines += wrapped(spent)
    derivatives = getattr(result, "derivatives", "exact")
    if derivatives != "exact":
        lines += wrapped(f"derivatives: {derivatives}")
    for remark in getattr(result, "remarks", ()):
        lines += wrapped(remark)
    return lines


def sizes_of(trained: Any, most: int = MOST_ROWS) -> list[tuple[str, str, str]]:
    """The first arrays of a trained model: name, shape, and how large their numbers are."""
    arrays = list(zip(trained.names, trained.arrays, strict=True))[:most]
    return [
        (name, "×".join(map(str, np.shape(array))) or "1", number(_mean_size(array), 3))
        for name, array in arrays
    ]


def _mean_size(array: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) if np.size(array) else 0.0


def wrapped(sentence: str, indent: str = "    ") -> list[str]:
    """A sentence broken into indented lines."""
    return textwrap.wrap(
        sentence, _width.get(), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def diagnosis_text(diagnosis: Any) -> str:
    """A `Diagnosis` as text: each finding with its place and its rewrite, the worst first."""
    count = len(diagnosis.findings)
    told = "nothing found" if not count else counted(count, "finding")
    blocks = [headed(f"{told}  (", diagnosis.label, ")") if diagnosis.label else told]
    for finding in diagnosis.findings:
        blocks += ["", f"  {finding.severity}: {finding.kind}"]
        if finding.line:
            blocks.append(f"    {finding.place}")
            blocks += [f"        {finding.expression}"] if finding.expression else []
        blocks += wrapped(f"{finding.sentence[:1].upper()}{finding.sentence[1:]}.")
        blocks += wrapped(finding.rewrite) if finding.rewrite else []
    return "\n".join(blocks)
