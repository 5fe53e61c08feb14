"""What the page may ask, one row a question, and what Python answers.

A question is an object with `ask`, its name, and its arguments. An answer is one or several frames (`frames`), each a
header and arrays; of several, each replaces the one before, and the last has `"finished": true`. Whatever the page
sends is read through `_number`, `_numbers`, `_whole` below: nothing of it reaches Python but numbers, names looked up
in tables, and expressions through the library's own grammar.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ExpressionError, InputError
from ..presentation.text import limit_of
from .fitting import EXAMPLE, EXAMPLE_MODEL, EXAMPLE_START, Fitting, fitting
from .subject import Subject

Answer = tuple[dict[str, Any], dict[str, np.ndarray[Any, np.dtype[Any]]]]
Stopped = Callable[[], bool]

# What one question may ask for at most; a page that is ours stays far below.
MOST_GRID, MOST_STEPS, MOST_STARTS = 400, 1_000, 20
# Subjects kept, so that going back to one is immediate.
KEPT_SUBJECTS = 32
# An expression of more parameters than this is no picture; a function from a file may have any number.
MOST_NAMES = 50
# Numbers beyond this are not places that anybody looks at, and their squares overflow.
LARGEST = 1e150
# With more points than this their single pulls say nothing to the eye.
MOST_PULLS = 500


@dataclass
class Desk:
    """What lies on the desk: the subject named on the command line, if any, and the expressions asked about.

    `make_named` and `make_fit` read the user's files, at the first question about them, so that what goes wrong in
    there is an answer; their results are kept in `named` and `fit`.
    """

    named: Subject | None = None
    fit: Fitting | None = None
    make_named: Callable[[], Subject] | None = None
    make_fit: Callable[[], Fitting] | None = None
    run: str | None = None
    kept: OrderedDict[str, Subject] = field(default_factory=OrderedDict)
    fits: OrderedDict[str, Fitting] = field(default_factory=OrderedDict)
    tables: OrderedDict[str, dict[str, Any]] = field(default_factory=OrderedDict)

    def subject(self, question: Mapping[str, Any]) -> Subject:
        """The cost that a question is about: an expression, the one on the command line, or the current fit."""
        about = question.get("of")
        if about == {"named": True}:
            named = self.from_command_line()
            if named is None:
                raise InputError("no function was named on the command line")
            return named
        if isinstance(about, Mapping) and "fit" in about:
            return self.fitting(about["fit"]).subject
        text = about.get("text") if isinstance(about, Mapping) else None
        if not isinstance(text, str):
            raise InputError("a question needs an expression")
        if text not in self.kept:
            from ..tracing.expressions import parse

            names = parse(text).names
            if not names:
                raise ExpressionError("there is no parameter in it: write a letter such as x", text, 0)
            if len(names) > MOST_NAMES:
                raise InputError(f"an expression of {len(names)} parameters; a page shows up to {MOST_NAMES}")
            self.kept[text] = Subject(text, 0.5 if len(names) == 1 else dict.fromkeys(names, 0.5))
            while len(self.kept) > KEPT_SUBJECTS:
                self.kept.popitem(last=False)
        self.kept.move_to_end(text)
        return self.kept[text]

    def from_command_line(self) -> Subject | None:
        """The cost that the command line named, or None."""
        if self.named is None and self.make_named is not None:
            self.named = self.make_named()
        return self.named

    def fitting(self, about: Any) -> Fitting:
        """The fit of the command line, or of points that the page was given."""
        about = about if isinstance(about, Mapping) else {}
        model = about.get("model")
        start: Mapping[str, float] | None = None
        if about.get("example") is True:
            columns: Mapping[str, Any] = EXAMPLE
            model = EXAMPLE_MODEL if model is None else model
            start = EXAMPLE_START if model == EXAMPLE_MODEL else None
        elif "table" in about:
            found = self.tables.get(str(about["table"]))
            if found is None:
                raise InputError("the page's points are no longer here: drop the file once more")
            columns = found
        else:
            if self.fit is None and self.make_fit is not None:
                self.fit = self.make_fit()
            if self.fit is None:
                raise InputError("no data were named on the command line")
            if model is None or model == self.fit.model.text:
                return self.fit
            columns = {self.fit.column: self.fit.x, self.fit.measured: self.fit.y}
        if not isinstance(model, str):
            raise InputError("a fit needs a model, such as a*exp(-b*x) + c")
        key = repr((model, {name: np.asarray(v).tobytes() for name, v in columns.items()}))
        if key not in self.fits:
            self.fits[key] = fitting(model, columns, start=start)
            while len(self.fits) > KEPT_SUBJECTS:
                self.fits.popitem(last=False)
        return self.fits[key]


def answer(desk: Desk, question: Mapping[str, Any], stopped: Stopped = lambda: False) -> Iterator[Answer]:
    """The frames that answer a question; an error of the user's becomes a header with `error`.

    >>> (header, arrays), = answer(Desk(), {"ask": "point", "of": {"text": "x**2"}, "x": [1.0]})
    >>> header["value"], header["slope"], header["direction"]
    (1.0, [2.0], ['rising'])
    """
    name = question.get("ask")
    handler = QUESTIONS.get(name) if isinstance(name, str) else None
    if handler is None:
        yield {"error": {"message": f"there is no question {str(name)[:40]!r}"}}, {}
        return
    try:
        yield from handler(desk, question, stopped)
    except ExpressionError as error:
        yield {"error": {"message": error.reason, "position": error.position, "kind": "expression"}}, {}
    except Exception as error:  # whatever the user's function raises is shown, and the page goes on
        yield {"error": {"message": _said(error), "line": _line_of(error), "kind": type(error).__name__}}, {}


def _said(error: Exception) -> str:
    text = str(error) or type(error).__name__
    notes = "\n".join(getattr(error, "__notes__", ()))
    return f"{text}\n{notes}".strip()[:2_000]


def _line_of(error: Exception) -> str | None:
    """Where in the user's own file it happened."""
    import traceback
    from pathlib import Path

    own = Path(__file__).parents[1]
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if own not in Path(frame.filename).parents and "site-packages" not in frame.filename
    ]
    return (
        f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: {frames[-1].line}" if frames else None
    )


# -- reading what the page sent ------------------------------------------------------------------------------


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise InputError(f"{what} is {str(value)[:40]!r}; it must be a number")
    return float(value)


def _numbers(values: Any, what: str, count: int | None = None) -> np.ndarray[Any, np.dtype[np.float64]]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise InputError(f"{what} must be a list of numbers")
    if count is not None and len(values) != count:
        raise InputError(f"{what} has {len(values)} numbers; it must have {count}")
    return np.array([_number(value, what) for value in values], dtype=np.float64)


def _whole(value: Any, what: str, least: int, most: int) -> int:
    number = _number(value, what)
    if number != int(number) or not least <= number <= most:
        raise InputError(f"{what} is {number:g}; it goes from {least} to {most}")
    return int(number)


def _place(question: Mapping[str, Any], subject: Subject) -> np.ndarray[Any, np.dtype[np.float64]]:
    return _numbers(question.get("x"), "the place", subject.n)


def _axes(question: Mapping[str, Any], subject: Subject) -> tuple[int, int]:
    pair = question.get("axes", [0, 1])
    if not isinstance(pair, Sequence) or len(pair) != 2 or subject.n < 2:
        raise InputError("a landscape has two different parameters")
    first, second = (_whole(axis, "an axis", 0, subject.n - 1) for axis in pair)
    if first == second:
        raise InputError("a landscape has two different parameters")
    return first, second


def _interval(question: Mapping[str, Any]) -> tuple[float, float]:
    low, high = (_number(question.get(end), end) for end in ("low", "high"))
    if not low < high:
        raise InputError("the window is empty")
    return low, high


def _window(question: Mapping[str, Any]) -> tuple[float, float, float, float]:
    left, right, bottom, top = _numbers(question.get("window"), "the window", 4).tolist()
    if not (left < right and bottom < top):
        raise InputError("the window is empty")
    return left, right, bottom, top


# -- the answers -------------------------------------------------------------------------------------------


def describe(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """What the subject is: names, number of parameters, how its slope is known, how a Python call writes it."""
    subject = desk.subject(question)
    header = {
        "label": subject.label,
        "code": subject.code,
        "names": subject.names[:MOST_NAMES],
        "n": subject.n,
        "start": subject.start[:MOST_NAMES].tolist(),
        "derivatives": subject.derivatives,
        "text": subject.text,
    }
    yield header, {}


def curve(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """Samples along one axis: x, f, slope (k,), and whether two neighbours may be joined (k − 1,)."""
    from .curve import sample

    subject = desk.subject(question)
    low, high = _interval(question)
    base = _place(question, subject) if "x" in question else subject.start
    axis = _whole(question.get("axis", 0), "an axis", 0, subject.n - 1)
    for found in sample(subject, low, high, base, axis):
        arrays = {
            "x": found.x,
            "f": found.f,
            "slope": found.slope,
            "smooth": found.smooth.astype(np.uint8),
        }
        yield {"low": low, "high": high, "finished": found.finished}, arrays
        if stopped():
            return


def point(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """The library's own `slope` at one place: value, slope, direction, and one-sided slopes at a kink."""
    from ..slope import slope

    subject = desk.subject(question)
    x = _place(question, subject)
    derivatives = "auto" if subject.derivatives == "exact" else "numeric"
    found = slope(subject.fun, subject.structure(x), derivatives=derivatives).points[0]
    yield (
        {
            "x": x.tolist(),
            "value": found.value,
            "slope": _flat(found.slope),
            "direction": [str(word) for word in _flat(found.direction)],
            "left": None if found.left is None else _flat(found.left),
            "right": None if found.right is None else _flat(found.right),
            "left_value": None if found.left_value is None else _flat(found.left_value),
            "right_value": None if found.right_value is None else _flat(found.right_value),
        },
        {},
    )


def _flat(structure: Any) -> list[Any]:
    if isinstance(structure, Mapping):
        return [entry for value in structure.values() for entry in _flat(value)]
    if isinstance(structure, np.ndarray | list | tuple):
        return [entry for value in structure for entry in _flat(value)]
    return [structure]


def secants(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """Secant slopes for steps h from 1 to 1e-15 and the exact slope: the definition, and where rounding spoils it."""
    from ..slope import slope

    subject = desk.subject(question)
    if subject.n != 1:
        raise InputError("secants are drawn for one parameter")
    x = _place(question, subject)
    found = slope(subject.fun, subject.structure(x), limit=True)
    assert found.limit is not None
    rows = found.limit[0]
    arrays = {name: np.array([getattr(row, name) for row in rows]) for name in ("h", "right", "left")}
    yield {"x": x.tolist(), "value": found.points[0].value, "slope": _flat(found.points[0].slope)}, arrays


def walks(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """Every method at every rate from one start; see `walks.Walks`."""
    from .walks import FATES, METHODS, walk_all

    subject = desk.subject(question)
    steps = _whole(question.get("steps", 200), "steps", 1, MOST_STEPS)
    center = _number(question["center"], "the middle rate") if question.get("center") else None
    found = walk_all(subject, _place(question, subject), steps=steps, center=center)
    header = {
        "methods": [{"key": m.key, "name": m.name, "momentum": m.momentum, "line": m.line} for m in METHODS],
        "fate_words": list(FATES),
        "curvature": found.curvature,
        "steps": steps,
    }
    kind = np.float64 if subject.n == 1 else np.float32
    with np.errstate(
        over="ignore"
    ):  # a walk that leaves single precision is infinite on the page, as it should
        places, costs = found.x.astype(kind), found.f.astype(kind)
    arrays = {
        "rates": found.rates,
        "x": places,
        "f": costs,
        "ended": found.ended.astype(np.int32),
        "fates": found.fates,
    }
    yield header, arrays


def window(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """A window of the plane that shows the start and the way down from it."""
    from .landscape import window_for

    subject = desk.subject(question)
    found = window_for(subject, _place(question, subject), _axes(question, subject))
    yield {"window": list(found)}, {}


def grid(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """Heights over a window: f4 (rows, columns), row 0 at the bottom."""
    from .landscape import heights

    subject = desk.subject(question)
    edges, axes = _window(question), _axes(question, subject)
    base = _place(question, subject)
    size = [_whole(count, "the grid", 2, MOST_GRID) for count in question.get("size", [121, 121])]
    found = heights(subject, base, axes, edges, (size[0], size[1]))
    with np.errstate(over="ignore"):
        yield {"window": list(edges)}, {"f": found.astype(np.float32)}


def paths(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """The walks of the methods that choose their own step."""
    from .landscape import OWN_STEP, own_step_paths

    subject = desk.subject(question)
    lines = dict(OWN_STEP)
    found = own_step_paths(subject, _place(question, subject))
    header = {
        "paths": [
            {"method": path.method, "line": lines.get(path.method.lower(), ""), "reason": path.reason}
            for path in found
        ]
    }
    arrays: dict[str, Any] = {}
    for k, path in enumerate(found):
        arrays |= {f"x{k}": path.x, f"f{k}": path.f, f"evaluations{k}": path.evaluations.astype(np.int32)}
    yield header, arrays


def arrows(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """At one place: value, gradient, and the Newton step where there are second derivatives."""
    subject = desk.subject(question)
    x = _place(question, subject)
    values, slopes = subject.values_and_slopes(x[None])
    hessians = subject.hessians(x[None])
    newton = None
    eigenvalues: list[float] = []
    if hessians is not None and np.isfinite(hessians[0]).all():
        eigenvalues = np.linalg.eigvalsh(hessians[0]).tolist()
        if min(abs(value) for value in eigenvalues) > 0:
            newton = (-np.linalg.solve(hessians[0], slopes[0])).tolist()
    header = {"value": float(values[0]), "gradient": slopes[0].tolist(), "newton": newton}
    yield {"x": x.tolist(), **header, "curvatures": eigenvalues}, {}


def found(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """What `minimize` finds from one start, with its evidence, and what 1,000 tries around it give."""
    from ..minimize import minimize
    from .landscape import TRY_RADIUS, lower_nearby

    subject = desk.subject(question)
    x = _place(question, subject)
    derivatives = "auto" if subject.derivatives == "exact" else "numeric"
    result = minimize(
        subject.fun, subject.structure(x), derivatives=derivatives, budget={"evaluations": 20_000}
    )
    end = subject.parameters.flatten(result.x)
    hessians = subject.hessians(end[None])
    eigenvalues = (
        np.linalg.eigvalsh(hessians[0]).tolist()
        if hessians is not None and np.isfinite(hessians[0]).all()
        else None
    )
    radius = TRY_RADIUS * np.maximum(np.abs(end - x), np.maximum(np.abs(end), 1.0))
    tries, lowest = lower_nearby(subject, end, radius, result.fun)
    rounding = 8 * np.finfo(float).eps * max(1.0, abs(result.fun))
    digits = None if result.digits is None else np.ravel(result.digits).tolist()
    header = {
        "start": x.tolist(),
        "x": end.tolist(),
        "value": result.fun,
        "verdict": result.verdict.value,
        "is_minimum": bool(result.success),
        "sentence": result.message,
        "next_step": result.next_step,
        "reason": result.reason,
        "evidence": [
            {
                "name": item.name,
                "measured": item.measured,
                "limit": limit_of(item),
                "holds": bool(item.holds),
                "how": item.how,
            }
            for item in result.evidence
        ],
        "digits": digits,
        "curvatures": eigenvalues,
        "slope": float(np.abs(np.ravel(_flat(result.jac))).max()) if subject.n else 0.0,
        "tries": tries,
        "lowest_nearby": lowest if lowest < -rounding else 0.0,
        "radius": radius.tolist(),
        "steps": result.nit,
        "evaluations": result.nfev,
        "method": result.plan.solver.name,
    }
    history = result.history
    yield header, {"x": history.x, "f": history.value, "slope": history.gradient_norm}


def basins(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """Where walks from a grid of starts end; grows row by row."""
    from .landscape import basins as walked

    subject = desk.subject(question)
    count = _whole(question.get("count", 10), "starts", 2, MOST_STARTS)
    axes: tuple[int, ...]
    if subject.n == 1:
        low, high = _interval(question)
        edges, axes = (low, high, 0.0, 1.0), (0,)
    else:
        edges, axes = _window(question), _axes(question, subject)
    base = _place(question, subject)
    if subject.n == 1:
        yield _line_of_starts(subject, edges[0], edges[1])
        return
    for starts, ends, values in walked(subject, base, axes, edges, count, stopped):  # type: ignore[arg-type]
        finished = len(starts) == count * count
        yield {"finished": finished, "count": count}, {"starts": starts, "ends": ends, "values": values}


def _line_of_starts(subject: Subject, low: float, high: float) -> Answer:
    from ..solvers import plan_for
    from .landscape import MOST_OWN_STEPS, walk

    starts = np.linspace(low, high, 100)
    ends, values = [], []
    for start in starts:
        path = walk(subject, np.array([start]), plan_for("bfgs", {}), MOST_OWN_STEPS)
        lowest = int(np.nanargmin(path.f)) if np.isfinite(path.f).any() else 0
        ends.append(path.x[lowest])
        values.append(path.f[lowest])
    header = {"finished": True, "count": 100}
    return header, {"starts": starts[:, None], "ends": np.array(ends), "values": np.array(values)}


def fit_data(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """The points of a fit, its parameters, and where its walk ends."""
    from .fit_answers import fitted

    current = desk.fitting(question.get("fit"))
    start = _numbers(question["start"], "the start", current.subject.n) if "start" in question else None
    yield fitted(current, start)


def fit_curve(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """The model at some parameters: a curve, the residuals, the cost, and how each point pulls."""
    current = desk.fitting(question.get("fit"))
    p = _numbers(question.get("p"), "the parameters", current.subject.n)
    at_points = current.curve(p, current.x)
    value = float(np.sum((current.y - at_points) ** 2))
    arrays = {
        "xs": current.xs,
        "curve": current.curve(p, current.xs),
        "slopes": current.slopes(p, current.xs),
        "at_points": at_points,
    }
    if current.x.size <= MOST_PULLS:
        arrays["pulls"] = current.pulls(p)
    yield {"value": value, "p": p.tolist()}, arrays


def fit_pull(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """The parameters that bring the curve through a place it is pulled to."""
    current = desk.fitting(question.get("fit"))
    p = _numbers(question.get("p"), "the parameters", current.subject.n)
    if current.subject.n == 1:
        axes = (0, 0)
    else:
        axes = _axes(question, current.subject)
    x, y = _number(question.get("at"), "x"), _number(question.get("to"), "y")
    yield {"p": current.pulled(p, axes, x, y).tolist()}, {}


def table(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """Points that were dropped on the page; they are asked about by the key that is given back."""
    given = question.get("points")
    if not isinstance(given, Mapping) or not 2 <= len(given) <= 20:
        raise InputError("a table has from 2 to 20 columns")
    columns = {str(name)[:100]: _numbers(values, f"column {name}") for name, values in given.items()}
    if len({values.size for values in columns.values()}) != 1:
        raise InputError("the columns have different lengths")
    key = hashlib.sha256(repr(sorted((k, v.tobytes()) for k, v in columns.items())).encode()).hexdigest()[:16]
    desk.tables[key] = dict(columns)
    while len(desk.tables) > KEPT_SUBJECTS:
        desk.tables.popitem(last=False)
    yield {"key": key, "names": list(columns)}, {}


def run_plane(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """A plane through the path of the saved run: coarse first, then finer in place."""
    from .run_answers import plane_answers

    yield from plane_answers(desk, question, stopped)


def run_lines(desk: Desk, question: Mapping[str, Any], stopped: Stopped) -> Iterator[Answer]:
    """Slices along a line from the end of the saved run: along the slope, the last step, the sharpest direction."""
    from .run_answers import line_answers

    yield from line_answers(desk, question, stopped)


QUESTIONS: dict[str, Callable[[Desk, Mapping[str, Any], Stopped], Iterator[Answer]]] = {
    "describe": describe,
    "curve": curve,
    "point": point,
    "secants": secants,
    "walks": walks,
    "window": window,
    "grid": grid,
    "paths": paths,
    "arrows": arrows,
    "found": found,
    "basins": basins,
    "fit data": fit_data,
    "fit curve": fit_curve,
    "fit pull": fit_pull,
    "table": table,
    "run plane": run_plane,
    "run lines": run_lines,
}
