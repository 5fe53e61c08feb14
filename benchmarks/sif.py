"""Problems of the package `sif2jax` one at a time: importing all of them takes it a minute, one takes no time."""

import importlib
import importlib.util
import re
import sys
import types
from pathlib import Path
from typing import Any

# Packages whose own __init__ imports every problem; stand-ins with the same path are put in their place.
KINDS = (
    "_bounded_minimisation",
    "_constrained_minimisation",
    "_nonlinear_equations",
    "_quadratic_problems",
    "_unconstrained_minimisation",
)


def problem(name: str) -> Any:
    """A new instance of the problem of that name, such as "HS1".

    Raises `LookupError` for a name that is not in the package.
    """
    cutest = _stand_ins() / "cutest"
    definition = re.compile(rf"^class {re.escape(name)}\(", re.MULTILINE)
    for kind in KINDS:
        guess = cutest / kind / f"{name.lower()}.py"
        others = sorted((cutest / kind).glob("*.py"))
        for path in [guess, *others] if guess.exists() else others:
            if path.stem != "__init__" and definition.search(path.read_text(encoding="utf-8")):
                module = importlib.import_module(f"sif2jax.cutest.{kind}.{path.stem}")
                return getattr(module, name)()
    raise LookupError(f"sif2jax has no problem {name!r}")


def names(kind: str) -> list[str]:
    """The problems that a kind's own list holds, by name, such as those of "_constrained_minimisation"."""
    text = (_stand_ins() / "cutest" / kind / "__init__.py").read_text(encoding="utf-8")
    listed = re.findall(r"^from \.\w+ import (.+?)$", text, re.MULTILINE)
    found = [part.split(" as ")[0].strip() for line in listed for part in line.split(",")]
    return sorted({name for name in found if re.fullmatch(r"[A-Z][A-Z0-9_]*", name)})


def _stand_ins() -> Path:
    """Put the stand-ins into `sys.modules` once; gives the package's folder."""
    spec = importlib.util.find_spec("sif2jax") if "sif2jax" not in sys.modules else None
    if spec is not None:
        assert spec.submodule_search_locations is not None
        folder = Path(spec.submodule_search_locations[0])
        packages = {"sif2jax": folder, "sif2jax.cutest": folder / "cutest"}
        packages |= {f"sif2jax.cutest.{kind}": folder / "cutest" / kind for kind in KINDS}
        for package, path in packages.items():
            module = types.ModuleType(package)
            module.__path__ = [str(path)]
            sys.modules[package] = module
        base = importlib.import_module("sif2jax._problem")
        vars(sys.modules["sif2jax"]).update({key: vars(base)[key] for key in vars(base) if "Abstract" in key})
    return Path(sys.modules["sif2jax"].__path__[0])
