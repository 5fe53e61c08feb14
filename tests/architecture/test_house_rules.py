"""What no file of the library does, read off the source."""

import ast
import tomllib
from pathlib import Path

import pytest

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


def calls_and_names(path):
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def dotted(node):
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_user_text_is_never_evaluated_as_python_and_nothing_is_unpickled(path):
    for node in calls_and_names(path):
        if isinstance(node, ast.Call) and str(path.relative_to(ROOT / "src")) not in WRITES_CODE:
            name = dotted(node.func)
            assert name not in FORBIDDEN_CALLS, f"line {node.lineno}: {name}"
            assert name.rpartition(".")[2] not in {"sympify", "parse_expr"}, f"line {node.lineno}: {name}"
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module or ""]
        for module in modules:
            assert not module.startswith(FORBIDDEN_MODULES), f"line {node.lineno}: {module}"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_global_state_is_changed(path):
    for node in calls_and_names(path):
        if isinstance(node, ast.Attribute):
            name = dotted(node)
            assert name not in FORBIDDEN_ATTRIBUTES, f"line {node.lineno}: {FORBIDDEN_ATTRIBUTES.get(name)}"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_file_says_in_its_first_line_what_it_is(path):
    text = path.read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "no docstring"


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
