"""The commands and their options; what they import heavily they import when they run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import InputError, SteepestError
from ..presentation.text import TEXT_WIDTH, fit_to
from .output import PIPE_CLOSED, PipeClosed, columns_of, is_terminal, show, show_curve, write
from .reporting import Report, check_report, write_report

MINIMUM, NO_MINIMUM, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

HELP = """The lowest point of a cost by its exact slope.

A cost is an expression such as "x**2 - 2*x + 3", or a function in a Python file, FILE.py:FUNC.

\b
  steepest slope "x**2 - 2*x + 3" --at -1,1,3
  steepest minimize "(1-x)**2 + 100*(y-x**2)**2" --start x=-1.2,y=1
  steepest minimize model.py:cost --start 1,2,3 --plot walk.png
  steepest verify "x**4 - y**4" --at 0,0
  steepest doctor "sqrt(x) + y**2" --at 0,1
  steepest explore
  steepest tour
"""

EXIT = """\b
Exit status: 0 a minimum, 1 no minimum, 2 bad input."""


class InTheOrderOfUse(TyperGroup):
    """The commands as one meets them, wherever they are written."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the commands, as the help lists them."""
        order = ("slope", "minimize", "fit", "train", "verify", "doctor", "explore", "tour")
        return sorted(super().list_commands(ctx), key=order.index)


app = typer.Typer(
    cls=InTheOrderOfUse,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Cost = Annotated[str, typer.Argument(metavar="EXPR|FILE.py:FUNC", help="The cost.", show_default=False)]
Derivatives = Annotated[
    str,
    typer.Option(metavar="KIND", help="exact, numeric (by differences), or auto: exact wherever it can be."),
]
Plot = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into a .png, .svg or .pdf file.")]
Constraint = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COMPARISON",
        help='What must hold besides: "x + y <= 1", "FILE.py:g >= 0" (==, 0 <= FILE.py:g <= 1), or FILE.py:NAME of a '
        "constraint written as in Python; may be repeated.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; `args` None takes those of the process."""
    args = list(sys.argv[1:] if args is None else args)
    fit_to(columns_of(sys.stdout) if is_terminal(sys.stdout) else TEXT_WIDTH)
    try:
        app(args=[_protected(arg) for arg in args], prog_name="steepest", obj=args)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except PipeClosed:
        # Standard output is gone: let the last flush of the interpreter go nowhere, quietly.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        write("interrupted", sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if "--debug" in args:
            raise
        show(f"error: {_explained(error)}", sys.stderr)
        return BAD_INPUT
    return MINIMUM


def _protected(arg: str) -> str:
    """An expression that begins with a minus sign, kept from being taken for an option.

    >>> _protected("-x**2"), _protected("--at"), _protected("-h")
    (' -x**2', '--at', '-h')
    """
    is_expression = arg.startswith("-") and not arg.startswith("--") and len(arg) > 1 and arg != "-h"
    return f" {arg}" if is_expression else arg


def _explained(error: Exception) -> str:
    if isinstance(error, SteepestError):
        return in_options(str(error))
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return f"{type(error).__name__}: {error} (--debug shows where)"


# Remedies that messages name as arguments of Python, and the options that are meant here.
OPTIONS_OF_ARGUMENTS = {'nan="omit"': "--omit-nan", 'derivatives="numeric"': "--derivatives numeric"}


def in_options(message: str) -> str:
    """The message of an error with the remedy as one writes it on the command line.

    >>> in_options('write nan="omit" to leave such points out')
    'write --omit-nan to leave such points out'
    """
    for argument, option in OPTIONS_OF_ARGUMENTS.items():
        message = message.replace(argument, option)
    return message


def _version(wanted: bool) -> None:
    if wanted:
        import steepest

        typer.echo(f"steepest {steepest.__version__}")
        raise typer.Exit


@app.callback(help=HELP, epilog=EXIT)
def steepest_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hold what all commands share."""


@app.command(
    "slope",
    short_help="Value, slope and direction of a cost at one or more places.",
    help="""Value, slope and direction of a cost at one or more places.

\b
  steepest slope "x**2 - 2*x + 3" --at -1,1,3
  steepest slope "x*y + sin(x)" --at x=1,y=2 --at x=0,y=0
  steepest slope model.py:cost --at "[1,2,3]"       one place of an array of three
  steepest slope "x**3" --at 2 --limit              secants that close in on the slope
""",
)
def slope_command(
    cost: Cost,
    at: Annotated[
        list[str],
        typer.Option(
            metavar="PLACES", help="Where: -1,1,3 or x=1,y=2; repeat it or separate by ;", show_default=False
        ),
    ],
    limit: Annotated[bool, typer.Option("--limit", help="Add the secant slopes for shrinking h.")] = False,
    derivatives: Derivatives = "auto",
    plot: Plot = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Print the slope of a cost."""
    import steepest

    from .costs import in_file, read_cost
    from .output import show_json
    from .reading import read_places

    check_picture(plot)
    named = read_cost(cost)
    places = named.places(read_places(at, "--at"), "--at")
    if not places:
        raise InputError("--at names no place")
    with in_file(named.file):
        at_places = places[0] if len(places) == 1 else places
        record = steepest.slope(named.fun, at_places, limit=limit, derivatives=derivatives)
        if plot is not None:
            steepest.plots.save(steepest.plots.slope(record), plot)
    if as_json:
        show_json(record.to_dict() | ({"plot": str(plot)} if plot else {}))
        return
    show(str(record))
    if plot is not None:
        show(f"\n  picture: {plot}")


@app.command(
    "minimize",
    short_help="Walk downhill to the lowest point; say what was found.",
    help="""Walk downhill to the lowest point of a cost, and say what was found and why.

\b
  steepest minimize "x**2 - 2*x + 3" --start 3
  steepest minimize "(1-x)**2 + 100*(y-x**2)**2" --start x=-1.2,y=1 --plot walk.svg
  steepest minimize "(x-2)**2 + y**2" --start 0,0 --bounds x=:1 --report walk.html
  steepest minimize "x**2 - 2*x + 3" --start 3 --method "gradient descent" --option rate=0.1
  steepest minimize model.py:cost --start 1,2 --constraint "model.py:room >= 0" --starts 20

In the JSON object, x is a number for one parameter, an object of values by name for several, and a list for
an array.
""",
    epilog=EXIT,
)
def minimize_command(
    context: typer.Context,
    cost: Cost,
    start: Annotated[
        str, typer.Option(metavar="PLACE", help="Where to start: 3, 1,2 or x=1,y=2.", show_default=False)
    ],
    bounds: Annotated[
        str | None,
        typer.Option(metavar="RANGES", help='low:high for each parameter: "0:1,:3" or "x=0:,y=:3".'),
    ] = None,
    method: Annotated[
        str,
        typer.Option(metavar="NAME", help='newton, bfgs, l-bfgs, "gradient descent", adam, …; auto chooses.'),
    ] = "auto",
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A setting of the method; may be repeated.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="What may be spent: 1000 evaluations, 30s, or 1000,30s."),
    ] = None,
    constraint: Constraint = None,
    starts: Annotated[
        int | None,
        typer.Option(
            metavar="K", help="Begin at so many places: --start, and others about it or in the bounds."
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Of those places, and of all that is random.")
    ] = 0,
    derivatives: Derivatives = "auto",
    plot: Plot = None,
    report: Report = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Print the minimum of a cost."""
    import steepest

    from .constraints import read_constraints
    from .costs import in_file, read_cost
    from .output import progress, show_json
    from .reading import read_budget, read_options, read_places

    check_picture(plot)
    check_report(report)
    named = read_cost(cost)
    places = read_places([start], "--start")
    if len(places) != 1:
        raise InputError(f"--start {start}: give one place to start from")
    x0 = named.start(places[0], "--start")
    limits = None if budget is None else read_budget(budget)
    constraints = read_constraints(constraint or (), named)
    with constraints.in_files(named), progress(not as_json) as callback:
        result = steepest.minimize(
            named.fun,
            x0,
            method=method,
            bounds=_box(bounds, x0, named.names),
            budget=limits,
            constraints=constraints.given,
            options=read_options(option or ()) or None,
            seed=seed,
            derivatives=derivatives,
            callback=callback,
            starts=starts,
        )
    with in_file(named.file):
        if plot is not None:
            steepest.plots.save(steepest.plots.descent(result), plot)
        write_report(result, report, context.obj or ())
    files = {"plot": plot, "report": report}
    if as_json:
        show_json(result.to_dict() | {name: str(path) for name, path in files.items() if path is not None})
    else:
        show(str(result))
        show_curve(result.history.value)
        if plot is not None:
            show(f"\n  picture: {plot}")
        if report is not None:
            show(f"\n  report: {report}")
    raise typer.Exit(MINIMUM if result.success else NO_MINIMUM)


@app.command(
    "verify",
    short_help="Judge a point somebody found, or check a certificate.",
    help="""Say what a point of a cost is, whoever found it; or check a certificate afresh.

\b
  steepest verify "x**2 - y**2" --at x=0,y=0
  steepest verify model.py:cost --at 1,2,3 --bounds 0:5
  steepest verify certificate.json
  steepest verify certificate.json --cost model.py:cost

A certificate is what result.certificate().save("certificate.json") writes.
""",
    epilog="""\b
Exit status: 0 a minimum, or a certificate confirmed; 1 neither; 2 bad input.""",
)
def verify_command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE.json|EXPR|FILE.py:FUNC", help="A certificate, or the cost.", show_default=False
        ),
    ],
    at: Annotated[
        str | None, typer.Option(metavar="PLACE", help="The point: 3, 1,2 or x=1,y=2.", show_default=False)
    ] = None,
    bounds: Annotated[
        str | None, typer.Option(metavar="RANGES", help="low:high for each parameter, as for minimize.")
    ] = None,
    constraint: Constraint = None,
    cost: Annotated[
        str | None,
        typer.Option(
            metavar="EXPR|FILE.py:FUNC", help="The certificate's cost, where it has moved or changed."
        ),
    ] = None,
    proof: Annotated[
        bool, typer.Option("--proof", help="Also try to prove that no point within --bounds is lower.")
    ] = False,
    derivatives: Derivatives = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Print what a point is, or whether a certificate is confirmed."""
    from .constraints import read_constraints
    from .costs import in_file, read_cost
    from .output import show_json
    from .reading import read_places

    if what.endswith(".json"):
        from ..recheck import recheck
        from ..verdict.certificate import read
        from .costs import constraints_of_certificate, cost_of_certificate

        if constraint:
            raise InputError("--constraint: a certificate carries the constraints that it was written with")
        certificate = read(what)
        named = cost_of_certificate(certificate, Path(what).parent, cost)
        carried = constraints_of_certificate(certificate, Path(what).parent)
        with in_file(named.file):
            checked = recheck(certificate, named.fun, constraints=carried)
        show_json(checked.to_dict()) if as_json else show(str(checked))
        raise typer.Exit(MINIMUM if checked.holds else NO_MINIMUM)
    import steepest

    if at is None:
        raise InputError("--at says which point is to be judged: --at 3, --at 1,2 or --at x=1,y=2")
    named = read_cost(what)
    places = read_places([at], "--at")
    if len(places) != 1:
        raise InputError(f"--at {at}: give one place")
    x = named.start(places[0], "--at")
    constraints = read_constraints(constraint or (), named)
    with constraints.in_files(named):
        found = steepest.verify(
            named.fun,
            x,
            _box(bounds, x, named.names),
            derivatives=derivatives,
            proof=proof,
            constraints=constraints.given,
        )
    show_json(found.to_dict()) if as_json else show(str(found))
    raise typer.Exit(MINIMUM if found.success else NO_MINIMUM)


def _box(bounds: str | None, x: object, names: tuple[str, ...]) -> object:
    """The ranges of --bounds for the parameters `x`."""
    from .reading import read_bounds

    if bounds is None:
        return None
    names = tuple(x) if isinstance(x, dict) else names
    box = read_bounds(bounds, names, len(x) if hasattr(x, "__len__") else 1)
    return dict(zip(names, box, strict=True)) if isinstance(x, dict) else box


@app.command(
    "explore",
    short_help="Open a local page to look at a cost, a fit or a run.",
    help="""Open a local page on which a cost can be dragged, walked down, fitted and watched.

\b
  steepest explore                                      the lesson: x**2 - 2*x + 3
  steepest explore "(1-x)**2 + 100*(y-x**2)**2" --start -1.2,1
  steepest explore model.py:cost --start 1,2
  steepest explore --fit "a*exp(-b*x) + c" data.csv
  steepest explore run.jsonl                            a run that record= writes, live or past

The first line of output is the address. Only this machine can open it.
""",
)
def explore_command(
    what: Annotated[
        str | None,
        typer.Argument(metavar="[EXPR|FILE.py:FUNC|RUN|TABLE]", help="What to look at.", show_default=False),
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Where to look first: 3, 1,2 or x=1,y=2.")
    ] = None,
    fit: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Fit this expression to a TABLE (.csv, .parquet).")
    ] = None,
    x: Annotated[str | None, typer.Option(metavar="NAME", help="With --fit: the column of x.")] = None,
    y: Annotated[str | None, typer.Option(metavar="NAME", help="With --fit: the measured column.")] = None,
    cost: Annotated[
        str | None,
        typer.Option(metavar="EXPR|FILE.py:FUNC", help="With a RUN: the cost that it walked down."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 0,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Print the address and open no browser.")
    ] = False,
    idle_exit: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="End when no page has been open for so long.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Serve the explorer."""
    from .explore import asked, explore

    wanted = asked(what, model=fit, start=start, cost=cost, x=x, y=y)
    explore(wanted, port=port, open_page=not no_open, idle_exit=idle_exit)


@app.command(
    "doctor",
    short_help="What is wrong with a cost at a point, at which line, and what to write instead.",
    help="""What is wrong with a cost at a point, at which line, and what to write instead.

\b
  steepest doctor "sqrt(x) + y**2" --at 0,1
  steepest doctor model.py:cost --at 1,2,3

It looks for NaN and where it is first made, slopes lost in rounding and comparing, parameters that do nothing,
kinks, unlike scales, lost digits and unrolled loops.
""",
    epilog="""\b
Exit status: 0 nothing worse than a note, 1 something found, 2 bad input.""",
)
def doctor_command(
    cost: Cost,
    at: Annotated[
        str, typer.Option(metavar="PLACE", help="The point: 3, 1,2 or x=1,y=2.", show_default=False)
    ],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Print what the derivative doctor finds."""
    import steepest

    from .costs import in_file, read_cost
    from .output import show_json
    from .reading import read_places

    named = read_cost(cost)
    places = read_places([at], "--at")
    if len(places) != 1:
        raise InputError(f"--at {at}: give one place")
    with in_file(named.file):
        diagnosis = steepest.diagnose(named.fun, named.start(places[0], "--at"))
    show_json(diagnosis.to_dict()) if as_json else show(str(diagnosis))
    raise typer.Exit(MINIMUM if diagnosis.healthy else NO_MINIMUM)


@app.command("tour", short_help="See it work, in under a minute.")
def tour_command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for pictures and tour.md.")] = Path(
        "tour"
    ),
    debug: Debug = False,
) -> None:
    """See it work: the lesson, guessing against knowing the slope, a real fit, a million parameters."""
    from ..tour import run

    run(out, show)


def check_picture(path: Path | None) -> None:
    """Refuse a picture that could not be written, before anything is computed."""
    if path is None:
        return
    if not path.suffix:
        raise InputError(f"--plot {path}: the name of a picture ends in .png, .svg or .pdf")
    if not path.parent.is_dir():
        raise InputError(f"--plot {path}: there is no folder {path.parent}")
