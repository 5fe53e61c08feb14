"""Every code block in README and docs runs, in order, and prints what the page says it prints.

Blocks of one page share a namespace and an empty folder. ```python is executed; a ```text block right after
it is its output. A Python block whose first line is a comment with a file name is saved under that name too.
```console holds commands behind `$`, each followed by its output, if the page shows any. In outputs `...`
stands for anything. ```sh is for setting up (pip, git, make) and is not run.
"""

import contextlib
import doctest
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
IDS = [str(page.relative_to(ROOT)) for page in PAGES]

FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
NAMED_FILE = re.compile(r"#\s*([\w-]+\.py)\s*\n")
SETTING_UP = {"pip", "git", "make", "cd", "python", "source"}
# Blocks that are read rather than run; `{...}` are directives of the site.
PROSE = re.compile(r"text|markdown|json|\{[\w-]+\}.*|mermaid|")

SAME = doctest.OutputChecker()
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and the line it begins on."""

    language: str
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(match.group(1).strip(), match.group(2), text.count("\n", 0, match.start()) + 1)
        for match in FENCE.finditer(text)
    ]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
@pytest.mark.usefixtures("compiled_once")
def test_every_code_block_runs_and_prints_what_the_page_shows(page, tmp_path, monkeypatch, run_command):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__page__"}
    blocks = blocks_of(page)
    for block, following in zip_longest(blocks, blocks[1:]):
        where = f"{page.name}:{block.line}"
        if block.language == "python":
            printed = run_python(block, namespace, where)
            if following is not None and following.language == "text":
                compare(following.text, printed, where)
        elif block.language == "console":
            for command, expected in commands_of(block):
                compare(expected, run_command(command, where), f"{where}: {command}")
        elif block.language == "sh":
            for line in block.text.splitlines():
                assert not line.strip() or line.split()[0] in SETTING_UP, f"{where}: use ```console"
        else:
            assert PROSE.fullmatch(block.language), f"{where}: is {block.language!r} to be run?"


def run_python(block: Block, namespace: dict, where: str) -> str:
    if named := NAMED_FILE.match(block.text):
        Path(named.group(1)).write_text(block.text, encoding="utf-8")
    # A real file, so that errors and traces can show the line.
    source = Path(f"block_{block.line}.py")
    source.write_text(block.text, encoding="utf-8")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.text, str(source.resolve()), "exec"), namespace)
    close_figures()
    return printed.getvalue()


def close_figures() -> None:
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def commands_of(block: Block) -> list[tuple[str, str]]:
    pieces = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not pieces[0].strip(), "a console block begins with `$ `"
    commands = []
    for piece in pieces[1:]:
        command, _, output = piece.replace("\\\n", " ").partition("\n")
        commands.append((command, output))
    return commands


@pytest.fixture(scope="module")
def run_command():
    """Runs a command in a process of its own; gives what it printed."""
    program = Path(__file__).with_name("commands.py")
    environment = {**os.environ, "COLUMNS": "110"}
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        ) as runner,
    ):
        out, err = Path(folder, "out"), Path(folder, "err")

        def run(command: str, where: str) -> str:
            words = shlex.split(command, comments=True)
            assert words[0] == "steepest", f"{where}: only steepest is run in a console block"
            given = {"words": words[1:], "folder": os.getcwd(), "out": str(out), "err": str(err)}
            print(json.dumps(given), file=runner.stdin, flush=True)
            status = runner.stdout.readline().strip()
            # 1 says "not a minimum", which a page may well want to show.
            assert status in ("0", "1"), f"{where}: {command}\n{err.read_text(encoding='utf-8')}"
            return out.read_text(encoding="utf-8")

        yield run
        runner.stdin.close()


def compare(expected: str, printed: str, where: str) -> None:
    if expected.strip():
        same = SAME.check_output(expected, printed, FLAGS)
        assert same, f"{where}\nthe page shows\n{expected}\ngot\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_picture_and_page_a_page_points_to_is_there(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), target
