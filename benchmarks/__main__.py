"""Print a benchmark's table and keep it, with versions and machine, under benchmarks/results."""

import argparse
import importlib
import shlex
import sys
from pathlib import Path

from .table import listing, page, renewed

HERE = Path(__file__).parent
RESULTS = HERE / "results"
# The parts of this package that are no benchmarks.
FRAMEWORK = {"__init__", "__main__", "table", "processes", "contest", "contestants", "cutest_worker", "sif"}
FRAMEWORK |= {"constrained_contestants", "constraints_worker", "collection_worker"}


def main() -> int:
    """Run the benchmark named on the command line."""
    names = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in FRAMEWORK)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", choices=names, help="the benchmark to run")
    parser.add_argument("--peers", action="store_true", help="measure other libraries beside steepest")
    parser.add_argument("--list", action="store_true", help="print the names of the benchmarks")
    arguments, rest = parser.parse_known_args()
    if arguments.list or arguments.name is None:
        sys.stdout.write(listing(names))
        return 0
    benchmark = importlib.import_module(f"benchmarks.{arguments.name}")
    own = argparse.ArgumentParser(
        prog=f"python -m benchmarks {arguments.name}", description=benchmark.__doc__
    )
    for option, settings in getattr(benchmark, "OPTIONS", {}).items():
        own.add_argument(option, **settings)
    options, purpose = vars(own.parse_args(rest)), benchmark.__doc__ or ""
    path = RESULTS / f"{arguments.name}.md"
    RESULTS.mkdir(exist_ok=True)
    if hasattr(
        benchmark, "sections"
    ):  # a page whose parts are measured one by one, each kept as soon as it is there
        for title, found in benchmark.sections(arguments.peers, **options):
            before = path.read_text(encoding="utf-8") if path.exists() else ""
            text = renewed(before, arguments.name, purpose, {title: found})
            path.write_text(text, encoding="utf-8")
    else:
        header, rows, note = benchmark.table(arguments.peers, **options)
        command = shlex.join([arguments.name, *(["--peers"] if arguments.peers else []), *rest])
        text = page(arguments.name, purpose, header, rows, note, command=command)
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
