"""What no file of the library does, read off the source."""

import ast
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "src" / "steepest").rglob("*.py"))
IDS = [str(path.relative_to(ROOT / "src")) for path in FILES]

# User text never reaches these, and nothing is unpickled.
FORBIDDEN_CALLS = {"eval", "exec", "compile", "sympify", "parse_expr"}
# These run code that is written out from the equations of a jaxpr; no text of the user's is in it.
WRITES_CODE = {"steepest/tracing/primitives/__init__.py", "steepest/derivatives/interpreted.py"}
FORBIDDEN_MODULES = ("pickle", "dill", "cloudpickle", "marshal", "shelve", "jax._src", "numpy.random.mtrand")
# State that belongs to the user's process, not to a library.
FORBIDDEN_ATTRIBUTES = {
    "jax.config.update": "the user's JAX configuration is theirs; use numerics.double_precision()",
    "np.random.seed": "randomness is an argument",
    "plt.show": "showing is the caller's choice",
    "np.seterr": "use np.errstate",
}


@cache
def sources():
    """(place, tree) of every file; each is read once, not once for each rule."""
    return [
        (name, ast.parse(path.read_text(encoding="utf-8"))) for path, name in zip(FILES, IDS, strict=True)
    ]


@cache
def nodes():
    """(place, node) of all that the rules look at, anywhere in any file."""
    looked_at = ast.Attribute | ast.Call | ast.Import | ast.ImportFrom
    return [
        (name, node) for name, tree in sources() for node in ast.walk(tree) if isinstance(node, looked_at)
    ]


def dotted(node):
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def test_user_text_is_never_evaluated_as_python():
    calls = [(name, node, dotted(node.func)) for name, node in nodes() if isinstance(node, ast.Call)]
    assert len(calls) > len(FILES)
    found = [
        f"{name}, line {node.lineno}: {called}"
        for name, node, called in calls
        if name not in WRITES_CODE
        and (called in FORBIDDEN_CALLS or called.rpartition(".")[2] in {"sympify", "parse_expr"})
    ]
    assert found == []


def imported(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def test_nothing_is_unpickled_and_no_private_module_is_imported():
    modules = [(f"{name}, line {node.lineno}", module) for name, node in nodes() for module in imported(node)]
    assert ("numpy" in {module for _, module in modules}) and ("jax" in {module for _, module in modules})
    assert [place for place in modules if place[1].startswith(FORBIDDEN_MODULES)] == []


def test_no_global_state_is_changed():
    found = [
        f"{name}, line {node.lineno}: {FORBIDDEN_ATTRIBUTES[dotted(node)]}"
        for name, node in nodes()
        if isinstance(node, ast.Attribute) and dotted(node) in FORBIDDEN_ATTRIBUTES
    ]
    assert found == []


def test_a_file_says_in_its_first_line_what_it_is():
    silent = {name for name, tree in sources() if not ast.get_docstring(tree)}
    read = [path for path, name in zip(FILES, IDS, strict=True) if name in silent]
    assert [path.name for path in read if path.read_text(encoding="utf-8").strip()] == []


def test_there_is_no_drawer_called_utils():
    assert not [name for name in IDS if Path(name).stem in {"utils", "util", "helpers", "misc", "common"}]


def test_the_version_is_the_same_wherever_it_stands():
    import steepest

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert steepest.__version__ == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_constraints_are_plain_pins():
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            assert name, line
            assert version, line
            assert not set(line) & set("/@ :;"), line
