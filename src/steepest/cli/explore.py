"""`steepest explore`: what was named on the command line, and the local page that shows it."""

from __future__ import annotations

import json
import os
import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ..errors import InputError
from .costs import FILE, check_written, read_cost
from .output import show
from .reading import read_places

# Endings of files that hold measurements, which are no costs and no runs.
TABLES = (".csv", ".tsv", ".txt", ".dat", ".parquet", ".pq")


@dataclass(frozen=True)
class Asked:
    """What the page shall show: texts as typed. At most one of `cost`, `run`, `data` was the argument."""

    cost: str | None = None
    run: str | None = None
    data: str | None = None
    model: str | None = None
    start: str | None = None
    x: str | None = None
    y: str | None = None

    def to_json(self) -> str:
        """As one argument of the worker's command."""
        return json.dumps(vars(self))


def asked(
    what: str | None, *, model: str | None, start: str | None, cost: str | None, x: str | None, y: str | None
) -> Asked:
    """Tell what the argument names: a cost, a run file, or with `--fit` a table."""
    if model is not None:
        if what is None:
            raise InputError('--fit needs a table: steepest explore --fit "a*exp(-b*x) + c" data.csv')
        return Asked(data=what, model=model, start=start, x=x, y=y)
    if what is None or FILE.match(what.strip()):
        return Asked(cost=what, start=start)
    if Path(what).suffix.lower() in TABLES:
        raise InputError(
            f'{what} is a table; say what to fit to it: steepest explore --fit "a*exp(-b*x) + c" {what}'
        )
    if os.path.isfile(what):  # which a Path cannot say of an expression too long for the name of a file
        return Asked(run=what, cost=cost, start=start)
    if Path(what).suffix in (".jsonl", ".run", ".json"):
        raise InputError(f"there is no run file {what}")
    return Asked(cost=what, start=start)


def explore(wanted: Asked, *, port: int, open_page: bool, idle_exit: float | None) -> None:
    """Serve the page until Ctrl-C; the first line of output is the address to open."""
    from ..explorer.server import Settings, serve

    landing, hello = _landing(wanted)
    settings = Settings(
        worker=[sys.executable, "-m", "steepest.cli.explore_worker", wanted.to_json()],
        hello=hello,
        landing=landing,
        port=port,
        run=wanted.run,
        idle_exit=idle_exit,
    )

    def announce(address: str) -> None:
        show(address)
        show("serving this machine only; Ctrl-C ends it")
        if open_page:
            webbrowser.open(address)

    serve(settings, announce)


def _landing(wanted: Asked) -> tuple[str, dict[str, Any]]:
    """The fragment that the page opens with, and what it is told first; nothing of the user's is run here."""
    import steepest

    hello: dict[str, Any] = {"version": steepest.__version__}
    if wanted.run is not None:
        from ..runs import read_run

        record = read_run(wanted.run)
        hello["run"] = {"name": Path(wanted.run).name, "ended": record.end is not None}
        return "#live", hello
    if wanted.data is not None:
        if not Path(wanted.data).is_file():
            raise InputError(f"there is no file {wanted.data}")
        from ..tracing.expressions import parse

        parse(wanted.model or "")
        hello["fit"] = {"model": wanted.model, "name": Path(wanted.data).name}
        return "#fit", hello
    if wanted.cost is None:
        return "", hello
    match = FILE.match(wanted.cost.strip())
    if match is not None:
        check_written(wanted.cost)
        hello["named"] = {"label": f"{Path(match['file']).name}:{match['function'] or ''}"}
        places = read_places([wanted.start], "--start") if wanted.start else []
        count = len(places[0].ordered or places[0].named) if places else 1
        return f"#{'slope' if count == 1 else 'landscape'}?of=file", hello
    named = read_cost(wanted.cost)
    state = {"f": wanted.cost.strip()}
    if wanted.start:
        start = named.start(read_places([wanted.start], "--start")[0], "--start")
        values = list(start.values()) if isinstance(start, dict) else [start]
        state["x"] = ",".join(repr(float(value)) for value in values)
    return f"#{'landscape' if named.several else 'slope'}?{urlencode(state)}", hello
