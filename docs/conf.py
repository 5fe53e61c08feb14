"""The documentation as a site: plain Markdown by MyST, the reference from docstrings, no network needed."""

import re
import tomllib
from pathlib import Path

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

project = "steepest"
author = "The steepest authors"
copyright = "The steepest authors"
release = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# Docstrings are plain text with `names` in single backticks.
default_role = "code"
smartquotes = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_display_short_literal_types = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
add_module_names = False

html_theme = "furo"
html_title = f"steepest {release}"
html_show_sphinx = False
# Formulas are written into the pages as MathML: no script, no network.
html_math_renderer = "mathml"


def _inline_formula(self, node):
    self.body.append(convert(node.astext()))
    raise SkipNode


def _block_formula(self, node):
    self.body.append(f"<p>{convert(node.astext(), display='block')}</p>")
    raise SkipNode


def _plain_text(app, what, name, obj, options, lines):
    """Docstrings are plain text: `names`, examples and underlined sections of `name : meaning` are all there is."""
    written, in_example, in_section = [], False, False
    for k, line in enumerate(lines):
        following = lines[k + 1] if k + 1 < len(lines) else ""
        example = line.lstrip().startswith((">>>", "..."))
        if set(line) == {"-"} and in_section:
            continue
        if line.strip() and len(following) > 2 and set(following) == {"-"}:
            written += ["", f".. rubric:: {line}", ""]
            in_section = True
            continue
        if example and not in_example:
            written.append("")
            in_section = False
        in_example = bool(line.strip()) and (example or in_example)
        entry = ENTRY.match(line) if in_section else None
        if entry:
            written.append(f"`{entry.group(1)}`")
            line = f"    {entry.group(2)}"
        written.append(line if in_example else _escaped(line))
    lines[:] = written


# An entry of a section: "name : meaning", or several names.
ENTRY = re.compile(r"([\w*]+(?:, [\w*]+)*) : (.*)")


def _escaped(line):
    pieces = line.split("`")
    for k in range(0, len(pieces), 2):
        pieces[k] = re.sub(r"([*|])|(?<=\w)_(?=\W|$)", lambda found: "\\" + found.group(), pieces[k])
    return "`".join(pieces)


def setup(app):
    app.add_html_math_renderer("mathml", (_inline_formula, None), (_block_formula, None))
    # Before napoleon, which reads the sections of the other kind ("Args:").
    app.connect("autodoc-process-docstring", _plain_text, priority=400)
