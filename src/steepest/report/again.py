"""How to run it again: the Python call that made a result, and the surroundings it ran in."""

from __future__ import annotations

import inspect
import keyword
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ..losses import LOSSES

# What is worth telling of the surroundings: packages whose version can change a digit.
PACKAGES = ("numpy", "scipy", "jax", "jaxlib", "optax", "polars")
# A cost longer than this is told by its file and line.
LONGEST_SOURCE = 80
# Arrays longer than this are told by their shape: nobody types them, and a page is not a store of data.
LONGEST_ARRAY = 40
# Settings of the call in the order in which they are written, with what they are when nobody says anything.
SETTINGS = {
    "method": "auto", "jac": None, "hess": None, "bounds": None, "constraints": None, "fixed": None, "tol": None,
    "budget": None, "options": None, "seed": 0, "derivatives": "auto", "starts": None,
}  # fmt: skip


def call_of(result: Any) -> str | None:
    """The Python that makes this result again; None for a result that does not know how it was asked for.

    Runs as it stands for an expression with parameters written out. A function is imported from the file it stands
    in; data handed over in `args=`, and long arrays, are named by their shape.
    """
    if getattr(result, "_setting", None) is not None:
        return _fit_call(result)
    asked, problem = getattr(result, "_asked", None), getattr(result, "_problem", None)
    if asked is None or problem is None or "x0" not in asked:  # `verify` keeps its constraints alone
        return None
    function = problem.cost.function
    lines = ["import steepest as st"]
    if type(function).__name__ == "Expression":
        name = repr(function.text)
    else:
        name, imported = _name_of(function)
        lines.append(imported)
    start = written(asked["x0"])
    if "np." in start or any("np." in written(asked[key]) for key in SETTINGS):
        lines.insert(0, "import numpy as np")
    settings = [start]
    if asked["args"]:
        settings.append(f"args={written(asked['args'])}")
    given = {key: asked[key] for key, usual in SETTINGS.items() if not _same(asked[key], usual)}
    settings += [f"{key}={written(value, key)}" for key, value in given.items()]
    lines += _brought_in(given, "function")
    return "\n".join([*lines, "", f"result = st.minimize({name}, {', '.join(settings)})", "print(result)"])


def _fit_call(fit: Any) -> str | None:
    """The call of `fit` with the data written out while they are few; None for several data sets."""
    if isinstance(fit.y, list):
        return None
    model = fit._setting.model
    lines, along = ["import numpy as np", "import steepest as st"], "x"
    if _own_name(model.function) in (model.label, "<lambda>"):
        name, imported = _name_of(model.function, "model")
        lines.append(imported)
    elif (measured := _measured_names(model.label, model.names)) is not None:
        name = repr(model.label)
        along = "x" if measured in ([], ["x"]) else f"{{{measured[0]!r}: x}}" if len(measured) == 1 else "x"
    else:
        name = "model"
        lines.append(f"# model: {model.label}")
    lines.append("")
    few = np.size(fit.y) <= LONGEST_ARRAY and isinstance(fit.x, np.ndarray)
    if few:
        lines += [
            f"{name_} = {written(np.asarray(values))}" for name_, values in (("x", fit.x), ("y", fit.y))
        ]
        if fit.sigma is not None:
            lines.append(f"sigma = {written(np.asarray(fit.sigma))}")
    else:
        lines.append(
            f"# x, y{', sigma' if fit.sigma is not None else ''}: the {fit.points:,} points that were fitted"
        )
    settings = [name, along, "y", written(dict(fit.start))]
    settings += ["sigma=sigma"] if fit.sigma is not None else []
    settings += ['noise="known"'] if fit.noise == "known" else []
    bounds = _fit_bounds(fit)
    settings += [f"bounds={written(bounds)}"] if bounds else []
    held = [str(name_) for k, name_ in enumerate(fit.names) if k not in fit.moving]
    settings += [f"fixed={held!r}"] if held else []
    residuals = fit._setting.residuals
    if residuals.rho is not None:
        known = [name_ for name_, rho in LOSSES.items() if rho is residuals.rho]
        settings.append(f"loss={written(known[0] if known else residuals.rho, 'loss')}")
        settings += [f"f_scale={residuals.scale!r}"] if residuals.scale != 1.0 else []
        lines += [] if known else _brought_in(residuals.rho, "loss")
    return "\n".join([*lines, f"fit = st.fit({', '.join(settings)})", "print(fit)"])


def _fit_bounds(fit: Any) -> dict[str, tuple[float | None, float | None]]:
    box = fit._setting.bounds
    found = {}
    for k, low, high in zip(fit.moving, box.lower.tolist(), box.upper.tolist(), strict=True):
        if np.isfinite([low, high]).any():
            ends = (low if np.isfinite(low) else None, high if np.isfinite(high) else None)
            found[str(fit.names[int(k)])] = ends
    return found


def _measured_names(text: str, names: tuple[str, ...]) -> list[str] | None:
    """The names in an expression that are no parameters; None for what is no expression."""
    from ..errors import ExpressionError
    from ..tracing.expressions import parse

    try:
        found = parse(text).names
    except ExpressionError:
        return None
    return [name for name in found if name not in names] if set(names) <= set(found) else None


def _same(value: Any, usual: Any) -> bool:
    return value is usual or (isinstance(value, (str, int)) and value == usual)


def _name_of(function: Any, otherwise: str = "cost", where: str = "as it stands above") -> tuple[str, str]:
    """What to call a function, `otherwise` where it has no name, and the line that brings it in."""
    name = _own_name(function)
    if not name.isidentifier() or keyword.iskeyword(name):
        return otherwise, f"# {otherwise}: the function {where}"
    module = getattr(function, "__module__", "") or ""
    known = module and module != "__main__" and getattr(function, "__qualname__", "") == name
    if known and all(part.isidentifier() for part in module.split(".")):
        return name, f"from {module} import {name}"
    return name, f"# {name}: the function {where}"


def _own_name(function: Any) -> str:
    return str(getattr(function, "__name__", None) or type(function).__name__)


def _brought_in(value: Any, name: str) -> list[str]:
    """A line for each function among what was given, called as `written` calls it."""
    if isinstance(value, dict):
        lines = [line for key, item in value.items() for line in _brought_in(item, str(key))]
    elif isinstance(value, (list, tuple)):
        lines = [line for item in value for line in _brought_in(item, name)]
    else:
        lines = [_name_of(value, name, "that was given")[1]] if callable(value) else []
    return list(dict.fromkeys(lines))


def written(value: Any, name: str = "function") -> str:
    """A value as Python text; arrays that are long are told by their shape, functions without a name by `name`.

    >>> written({"rate": np.float64(0.5), "knots": np.array([1.0, 2.0])})
    "{'rate': 0.5, 'knots': np.array([1.0, 2.0])}"
    >>> written({"type": "ineq", "fun": lambda p: p[0]})
    "{'type': 'ineq', 'fun': fun}"
    """
    if isinstance(value, np.ndarray):
        if value.size > LONGEST_ARRAY:
            return f"<array of shape {value.shape}>"
        return f"np.array({value.tolist()!r})"
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {written(item, str(key))}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        inside = ", ".join(written(item, name) for item in value)
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if callable(value):
        return _name_of(value, name)[0]
    text = repr(value)
    return text if " at 0x" not in text else f"<{type(value).__name__}>"


def source_of(result: Any) -> tuple[str, str]:
    """The text of the cost and where it stands ("model.py, line 12"); empty where it is not to be had."""
    problem = getattr(result, "_problem", None)
    function = getattr(getattr(problem, "cost", None), "function", None)
    if function is None:
        function = getattr(getattr(getattr(result, "_setting", None), "model", None), "function", None)
    if function is None or type(function).__name__ == "Expression":
        return "", ""
    function = inspect.unwrap(getattr(function, "func", function))
    if (getattr(function, "__module__", "") or "").startswith("steepest.") and hasattr(result, "predict"):
        return "", ""  # what evaluates an expression or a ready-made model; the label says which
    try:
        lines, first = inspect.getsourcelines(function)
        file = Path(inspect.getsourcefile(function) or "").name
    except (OSError, TypeError):
        return "", ""
    place = f"{file}, line {first}" if file and not file.startswith("<") else ""
    if len(lines) > LONGEST_SOURCE:
        lines = [*lines[:LONGEST_SOURCE], f"… and {len(lines) - LONGEST_SOURCE} more lines\n"]
    return inspect.cleandoc("".join(lines)) if lines and not lines[0][:1].isspace() else _dedented(
        lines
    ), place


def _dedented(lines: list[str]) -> str:
    import textwrap

    return textwrap.dedent("".join(lines)).rstrip()


def surroundings() -> list[tuple[str, str]]:
    """Versions and machine, as pairs; nothing that tells who ran it or where."""
    import steepest

    found = [("steepest", steepest.__version__), ("Python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return [*found, ("machine", f"{platform.system()} {platform.machine()}")]
