"""The explorer's worker: it alone runs the user's file, in a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ..explorer.questions import Desk
from ..explorer.subject import Subject
from ..explorer.worker import serve
from .costs import FILE, read_cost
from .explore import Asked
from .reading import read_places


def desk(wanted: Asked) -> Desk:
    """What lies on the desk at the beginning; a mistake in the user's file is told at the first question."""
    found = Desk(run=wanted.run)
    if wanted.data is not None and wanted.model is not None:
        found.make_fit = lambda: _fit(wanted)
    elif wanted.cost is not None and FILE.match(wanted.cost.strip()):
        found.make_named = lambda: _named(wanted)
    elif wanted.run is not None and wanted.cost is not None:
        found.make_named = lambda: found.subject({"of": {"text": wanted.cost}})
    else:
        # Everything heavy is imported while the browser opens, by answering the question it will ask first.
        from ..explorer.questions import answer

        text = wanted.cost or "x**2 - 2*x + 3"
        for _ in answer(found, {"ask": "describe", "of": {"text": text}}):
            pass
    return found


def _named(wanted: Asked) -> Subject:
    named = read_cost(wanted.cost or "")
    if wanted.start is not None:
        start: Any = named.start(read_places([wanted.start], "--start")[0], "--start")
    elif wanted.run is not None:
        start = _start_of_run(wanted.run)
    else:
        start = dict.fromkeys(named.names, 1.0) if named.several else 1.0
    module, _, function = named.label.partition(":")
    return Subject(named.fun, start, label=named.label, code=f"{Path(module).stem}:{function}")


def _start_of_run(run: str) -> Any:
    import numpy as np

    from ..runs import read_run

    points = read_run(run).points
    return np.ones(1) if not len(points) else points[-1]


def _fit(wanted: Asked) -> Any:
    from ..explorer.fitting import fitting, read_columns

    start = read_places([wanted.start], "--start")[0].named if wanted.start else None
    columns = read_columns(Path(wanted.data or ""))
    return fitting(wanted.model or "", columns, x=wanted.x, y=wanted.y, start=start)


def main() -> None:
    """Serve what the command line named."""
    wanted = Asked(**json.loads(sys.argv[1]))
    serve(lambda: desk(wanted))


if __name__ == "__main__":
    main()
