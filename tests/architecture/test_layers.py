"""Imports run one way: a file imports from its own layer or an earlier one, wherever the import stands."""

import ast
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "steepest"

# Earliest first. A row is a layer; its units may import each other as long as no circle closes.
# docs/design.md shows the same picture.
LAYERS = (
    ("errors", "numerics", "optional", "bounds", "parameters", "box", "returned", "runs"),
    ("reference_problems", "presentation"),
    ("tracing",),
    (
        "structure",
        "derivatives",
        "budget",
        "oracles",
        "objective",
        "cost",
        "traced",
        "evaluations",
        "problem",
        "linear_algebra",
        "vector_functions",
        "losses",
        "residuals",
        "constraints",
        "recording",
    ),
    ("solvers",),
    ("verdict", "doctor", "uncertainty"),
    ("search",),
    ("training",),
    (
        "results",
        "slope",
        "derivative",
        "argmin",
        "outcome",
        "minimize",
        "minimize_many",
        "verify",
        "verify_between",
        "recheck",
        "diagnose",
        "train",
        "trained",
        "torch_minimize",
        "models",
        "fitting",
        "least_squares",
        "fit",
        "fit_many",
        "compat",
        "regressor",
    ),
    ("plots", "explorer"),
    ("report",),
    ("tour", "cli"),
)
LAYER_OF = {unit: level for level, layer in enumerate(LAYERS) for unit in layer}
# Gathers the public names; a process begins in __main__. Both may see everything.
TOP = {"__init__", "__main__"}


def unit_name(path: Path) -> str:
    """The file or package directly under steepest that `path` belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@cache
def imported_units(path: Path) -> list[tuple[str, int]]:
    """Units of steepest that the file imports, anywhere in it, each with its line."""
    found = []
    package = ("steepest", *path.relative_to(SOURCE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = list(package[: len(package) - node.level + 1]) if node.level else []
            base = start + (node.module.split(".") if node.module else [])
            targets = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for target in targets:
            if target[0] == "steepest" and len(target) > 1:
                found.append((target[1], node.lineno))
    return found


FILES = sorted(path for path in SOURCE.rglob("*.py") if unit_name(path) not in TOP)


def test_every_unit_has_a_layer():
    assert {unit_name(path) for path in FILES} <= set(LAYER_OF)


def test_a_file_imports_from_its_own_layer_or_an_earlier_one():
    found = []
    for path in FILES:
        own, name = unit_name(path), path.relative_to(SOURCE)
        for unit, line in imported_units(path):
            # A name that is no unit is one that __init__ gathers, from every layer.
            if unit not in LAYER_OF:
                found.append(f"{name}, line {line}: import {unit!r} from the module that defines it")
            elif LAYER_OF[unit] > LAYER_OF[own]:
                found.append(f"{name}, line {line}: {own} may not know {unit}")
    assert found == []


def test_no_circle_closes_between_units():
    graph = {unit: set() for unit in LAYER_OF}
    for path in FILES:
        graph[unit_name(path)] |= {unit for unit, _ in imported_units(path) if unit in graph}
    for unit, neighbours in graph.items():
        neighbours.discard(unit)
    while graph:
        leaves = [unit for unit, neighbours in graph.items() if not neighbours & graph.keys()]
        assert leaves, f"a circle among {sorted(graph)}"
        for unit in leaves:
            del graph[unit]
