"""The command `steepest fit`: a model and a table of measurements, parameters with errors back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError
from .commands import MINIMUM, NO_MINIMUM, Debug, Derivatives, Json, Plot, app, check_picture
from .output import show, show_curve, show_json
from .reporting import Report, check_report, write_report


@app.command(
    "fit",
    short_help="The parameters of a model that fit measurements, with errors.",
    help="""The parameters of a model that fit measurements, with errors.

\b
  steepest fit "a*exp(-b*x)+c" data.csv --x x --y y --start a=1,b=0.1,c=0
  steepest fit "a*exp(-b*x)+c" data.csv                   searched from many starts
  steepest fit "gaussian + line" spectrum.csv --y counts --plot fit.png
  steepest fit "a*exp(-b*x)+c" data.csv --report fit.html
  steepest fit model.py:growth data.parquet --y size --sigma error --noise known

The model is an expression, a function FILE.py:FUNC of x and its parameters, or ready-made models joined by +.
DATA is a CSV or Parquet file; the columns default to its first two.
""",
)
def fit_command(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="EXPR|FILE.py:FUNC|MODELS", help="The model.", show_default=False)
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The table.", show_default=False)],
    x: Annotated[
        str | None, typer.Option("--x", metavar="COLUMN", help="What is set; several separated by commas.")
    ] = None,
    y: Annotated[str | None, typer.Option("--y", metavar="COLUMN", help="What is measured.")] = None,
    start: Annotated[str | None, typer.Option(metavar="VALUES", help="a=1,b=0.1 or 1,0.1.")] = None,
    sigma: Annotated[
        str | None, typer.Option(metavar="COLUMN|NUMBER", help="Standard deviation of y.")
    ] = None,
    noise: Annotated[
        str, typer.Option(metavar="KIND", help="known: sigma is in the units of y; unknown: estimated.")
    ] = "unknown",
    bounds: Annotated[
        list[str] | None, typer.Option(metavar="NAME=LOW:HIGH", help="Bounds; either end may be empty.")
    ] = None,
    fixed: Annotated[str | None, typer.Option(metavar="VALUES", help="Held parameters, c=0.")] = None,
    tied: Annotated[
        list[str] | None, typer.Option(metavar="NAME=EXPR", help="A parameter made from others.")
    ] = None,
    loss: Annotated[
        str, typer.Option(metavar="LOSS", help="linear, soft_l1, huber, cauchy or arctan.")
    ] = "linear",
    f_scale: Annotated[
        float, typer.Option("--f-scale", metavar="SIZE", help="The size of an outlier.")
    ] = 1.0,
    omit_nan: Annotated[bool, typer.Option("--omit-nan", help="Leave out rows with gaps.")] = False,
    level: Annotated[float, typer.Option(metavar="P", help="Probability inside the intervals.")] = 0.95,
    profile: Annotated[
        bool, typer.Option("--profile", help="Add intervals from the profile of the cost.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of random starts.")] = 0,
    derivatives: Derivatives = "auto",
    plot: Plot = None,
    report: Report = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Fit and print."""
    import steepest

    from ..fitting.measurements import frame_of
    from .costs import in_file, read_cost
    from .reading import read_places

    check_picture(plot)
    check_report(report)
    _check_order(model, data)
    given, file = _model(model, read_cost)
    table = frame_of(data)
    columns = [str(name) for name in table.columns]
    x_name, y_name = _columns(x, y, columns)
    _check_measured(given, x_name, columns)
    begin = None if start is None else _values(read_places([start], "--start"), "--start")
    held = None if fixed is None else _values(read_places([fixed], "--fixed"), "--fixed")
    if held is not None and not isinstance(held, dict):
        raise InputError("--fixed takes names and values: --fixed c=0")
    with in_file(file):
        found = steepest.fit(
            given,
            x_name,
            y_name,
            begin,
            data=table,
            sigma=_sigma(sigma, columns),
            noise=noise,
            bounds=_bounds(bounds or []),
            fixed=held,
            tied=_ties(tied or []),
            loss=loss,
            f_scale=f_scale,
            nan="omit" if omit_nan else "raise",
            seed=seed,
            derivatives=derivatives,
        )
        intervals = found.intervals(level=level)
        profiles = found.intervals(level=level, method="profile") if profile else None
    if plot is not None:
        steepest.plots.save(steepest.plots.fit(found), plot)
    with in_file(file):
        write_report(found, report, context.obj or ())
    if as_json:
        told = found.to_dict() | {
            "level": level,
            "intervals": {name: list(ends) for name, ends in intervals.items()},
        }
        if profiles is not None:
            told["profiles"] = {name: list(ends) for name, ends in profiles.items()}
        show_json(told)
    else:
        show(str(found))
        show_curve(found.history.value)
        if profiles is not None:
            show("\n".join(_interval_lines(profiles, level)))
        if plot is not None:
            show(f"\n  picture: {plot}")
        if report is not None:
            show(f"\n  report: {report}")
    raise typer.Exit(MINIMUM if found.success else NO_MINIMUM)


def _check_order(model: str, data: Path) -> None:
    """Raise `InputError` where the table stands first and what may be a model after it."""
    # Unlike a Path's methods these take what is too long for the name of a file, as many an expression is.
    if os.path.isfile(model) and Path(model).suffix != ".py" and not os.path.exists(data):
        raise InputError(
            f'the model comes first, and {model} is a file of data: steepest fit "{data}" {model}'
        )


def _model(text: str, read_cost: Any) -> tuple[Any, Path | None]:
    """Ready-made models joined by +, a function in a file, or an expression."""
    from .. import models

    parts = [part.strip().removesuffix("()") for part in text.split("+")]
    ready = [name for name in models.__all__ if name not in ("Model", "as_model")]
    if all(part in ready for part in parts):
        total = getattr(models, parts[0])()
        for part in parts[1:]:
            total = total + getattr(models, part)()
        return total, None
    _check_names(parts, ready)
    named = read_cost(text)
    return named.fun, named.file


def _check_names(parts: list[str], ready: list[str]) -> None:
    """Refuse a sum of names of which one is nearly, but not quite, the name of a ready-made model."""
    import difflib

    unknown = [part for part in parts if part not in ready]
    near = {part: difflib.get_close_matches(part, ready, 1, cutoff=0.75) for part in unknown}
    usual = {"x", "t"} & set(parts)
    if all(part.isidentifier() for part in parts) and any(near.values()) and not usual:
        part, (meant, *_) = next((part, found) for part, found in near.items() if found)
        raise InputError(
            f"there is no ready-made model {part!r}; did you mean {meant!r}? There are {', '.join(ready)}"
        )


def _check_measured(given: Any, x: Any, columns: list[str]) -> None:
    """Refuse an expression in which no column stands."""
    from ..models.model import USUAL, Model
    from ..tracing.expressions import parse

    held = parse(given).names if isinstance(given, str) else getattr(given, "names", ())
    if not held or not isinstance(x, str) or isinstance(given, Model) or {x, *USUAL} & set(held):
        return
    raise InputError(
        f"the model holds {', '.join(held)}, and the table {', '.join(columns)}: write {x} in the model "
        "where its values belong, or name another column with --x"
    )


def _columns(x: str | None, y: str | None, columns: list[str]) -> tuple[Any, str]:
    if len(columns) < 2 and (x is None or y is None):
        raise InputError(f"the table has one column, {columns[0]}; a fit needs x and y")
    columns = [name for name in columns if name] or columns  # a frame's own numbers of its rows have no name
    names = [part.strip() for part in x.split(",")] if x is not None else []
    if not names:
        names = [next(name for name in columns if name != y)]
    measured = y if y is not None else next((name for name in columns if name not in names), columns[-1])
    if len(names) > 1:
        return {name: name for name in names}, measured
    return names[0], measured


def _values(places: list[Any], option: str) -> Any:
    if len(places) != 1:
        raise InputError(f"{option} takes one set of values: a=1,b=0.1")
    place = places[0]
    return dict(place.named) if place.named else list(place.ordered)


def _sigma(text: str | None, columns: list[str]) -> Any:
    if text is None or text in columns:
        return text
    try:
        return float(text)
    except ValueError:
        return text  # the error names the columns there are


def _bounds(texts: list[str]) -> dict[str, tuple[float | None, float | None]] | None:
    found: dict[str, tuple[float | None, float | None]] = {}
    for text in [part for whole in texts for part in whole.split(",")]:
        name, equals, pair = text.partition("=")
        low, colon, high = pair.partition(":")
        try:
            ends = tuple(float(end) if end.strip() else None for end in (low, high))
        except ValueError:
            ends = ()
        if not (equals and colon and len(ends) == 2):
            raise InputError(f"--bounds {text!r} cannot be read; write NAME=LOW:HIGH, such as b=0: or c=-1:1")
        found[name.strip()] = (ends[0], ends[1])
    return found or None


def _ties(texts: list[str]) -> dict[str, str] | None:
    found = {}
    for text in texts:
        name, equals, expression = text.partition("=")
        if not equals:
            raise InputError(f"--tied {text!r} cannot be read; write NAME=EXPR, such as c=a/2")
        found[name.strip()] = expression.strip()
    return found or None


def _interval_lines(intervals: Any, level: float) -> list[str]:
    from ..presentation.text import number, table

    rows = [(name, number(low), number(high)) for name, (low, high) in intervals.items()]
    return ["", f"  {level:.0%} intervals from the profile of the cost", *table(rows, "<>>", indent="    ")]
