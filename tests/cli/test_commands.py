"""The commands from end to end: what they print, into what, and with which status they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steepest.cli import main
from steepest.cli.commands import app

LESSON = "x**2 - 2*x + 3"
GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8")


def process(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "steepest", *args], capture_output=True, text=True, timeout=120, encoding="utf-8",
        env=os.environ | environment,
    )  # fmt: skip


@pytest.mark.parametrize("option", [["--at", "-1,1,3"], ["--at=-1,1,3"], ["--at", "-1", "--at", "1;3"]])
def test_slope_prints_the_lesson(capsys, option):
    assert main(["slope", LESSON, *option]) == 0
    assert capsys.readouterr().out == golden("slope_lesson.txt")


def test_slope_as_json_is_one_object_with_exact_slopes(capsys):
    assert main(["slope", LESSON, "--at", "-1,1,3", "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out)["points"] == [
        {"at": -1.0, "value": 6.0, "slope": -4.0, "direction": "falling"},
        {"at": 1.0, "value": 2.0, "slope": 0.0, "direction": "flat"},
        {"at": 3.0, "value": 6.0, "slope": 4.0, "direction": "rising"},
    ]


def test_limit_adds_secants_that_close_in_on_the_slope_until_rounding_spoils_them(capsys):
    assert main(["slope", LESSON, "--at", "3", "--limit", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["points"][0]["limit"]
    errors = [abs(row["right"] - 4) for row in rows]
    assert errors[0] == pytest.approx(rows[0]["h"])
    best = errors.index(min(errors))
    assert 0 < best < len(errors) - 1
    assert main(["slope", LESSON, "--at", "3", "--limit"]) == 0
    assert "the limit at x = 3" in capsys.readouterr().out


def test_an_expression_that_begins_with_a_minus_is_not_an_option(capsys):
    assert main(["slope", "-x**2", "--at", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["points"][0]["slope"] == -2.0


def test_several_parameters_are_objects_by_name(capsys):
    assert main(["slope", "x*y", "--at", "x=2,y=3", "--json"]) == 0
    point = json.loads(capsys.readouterr().out)["points"][0]
    assert point["at"] == {"x": 2.0, "y": 3.0}
    assert point["slope"] == {"x": 3.0, "y": 2.0}
    assert point["direction"] == {"x": "rising", "y": "rising"}


def test_minimize_finds_the_lesson_and_leaves_with_0(capsys):
    assert main(["minimize", LESSON, "--start", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["x"] == pytest.approx(1, abs=1e-12)
    assert found["fun"] == pytest.approx(2, abs=1e-12)
    assert (found["verdict"], found["success"]) == ("global minimum", True)
    assert {"name", "measured", "limit", "holds", "how"} <= set(found["evidence"][0])


def test_minimize_of_several_parameters_gives_values_by_name(capsys):
    assert main(["minimize", "(1-x)**2 + 100*(y-x**2)**2", "--start", "x=-1.2,y=1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["x"] == pytest.approx({"x": 1, "y": 1}, abs=1e-6)


def test_minimize_respects_bounds(capsys):
    assert main(["minimize", "(x-2)**2 + y**2", "--start", "0,1", "--bounds", "x=:1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["x"] == pytest.approx({"x": 1, "y": 0}, abs=1e-8)


def test_minimize_takes_a_method_and_its_options(capsys):
    args = [
        "minimize",
        LESSON,
        "--start",
        "3",
        "--method",
        "gradient descent",
        "--option",
        "rate=0.1",
        "--json",
    ]
    assert main(args) == 0
    assert json.loads(capsys.readouterr().out)["plan"]["solver"].lower().startswith("gradient descent")


@pytest.mark.parametrize(
    ("args", "verdict"),
    [(["minimize", "-x", "--start", "0"], "unbounded below"),
     (["minimize", "(1-x)**2 + 100*(y-x**2)**2", "--start", "-1.2,1", "--budget", "5"], "out of budget")],
)  # fmt: skip
def test_minimize_leaves_with_1_where_no_minimum_was_shown(capsys, args, verdict):
    assert main([*args, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["success"]) == (verdict, False)
    assert main(args) == 1
    assert capsys.readouterr().out.startswith(verdict)


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["slope", "x**2 +* 3", "--at", "1"], "^"),
        (["slope", LESSON, "--at", "one"], "'one' is not a number"),
        (["slope", LESSON], "--at"),
        (["slope", LESSON, "--at", "1", "--plot", "no/such/folder/a.png"], "no folder"),
        (["slope", LESSON, "--at", "1", "--plot", "picture"], "ends in"),
        (["slope", "gone.py:cost", "--at", "1"], "there is no file gone.py"),
        (["minimize", LESSON, "--start", "1", "--method", "bffs"], "bffs"),
        (["minimize", LESSON, "--start", "1;2"], "one place"),
        (["minimize", LESSON, "--start", "1", "--unknown"], "--unknown"),
        (["minimize", LESSON, "--start", "1", "--budget", "3m"], "5min"),
        (
            ["minimize", LESSON, "--start", "1", "--option", "rate=1"],
            "an option of method 'gradient descent'",
        ),
        (["walk"], "walk"),
    ],
)
def test_bad_input_leaves_with_2_and_tells_why_on_standard_error(capsys, args, complaint):
    assert main(args) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert complaint in said.err
    assert "Traceback" not in said.err


def test_debug_shows_the_exception_itself():
    with pytest.raises(ValueError, match="not a number"):
        main(["slope", LESSON, "--at", "one", "--debug"])


def test_an_error_in_the_users_function_names_its_line(tmp_path, capsys):
    path = tmp_path / "people_faulty.py"
    path.write_text("def cost(x):\n    return x.no_such_thing + 1\n")
    assert main(["slope", f"{path}:cost", "--at", "1"]) == 2
    assert "people_faulty.py" in (said := capsys.readouterr().err)
    assert "line 2" in said


@pytest.mark.parametrize(
    "command", [["slope", LESSON, "--at", "-1,1,3"], ["minimize", LESSON, "--start", "3"]]
)
def test_plot_writes_a_picture(tmp_path, capsys, command):
    path = tmp_path / "picture.svg"
    assert main([*command, "--plot", str(path)]) == 0
    assert path.read_text(encoding="utf-8").startswith("<?xml")
    assert str(path) in capsys.readouterr().out


@pytest.mark.parametrize("args", [["--help"], ["slope", "--help"], ["minimize", "-h"], ["tour", "--help"]])
def test_help_shows_examples_and_leaves_with_0(capsys, args):
    assert main(args) == 0
    out = capsys.readouterr().out
    assert "Usage: steepest" in out
    assert "tour" in args or 'steepest slope "' in out or 'steepest minimize "' in out


def test_help_lists_every_command_in_the_order_of_use(capsys):
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:\n")[2].partition("\n\n")[0]
    names = [line.split()[0] for line in listed.splitlines() if line[2] != " "]
    assert names == ["slope", "minimize", "fit", "train", "verify", "doctor", "explore", "tour"]
    assert set(names) == {command.name for command in app.registered_commands}


def test_version_is_that_of_the_package(capsys):
    import steepest

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"steepest {steepest.__version__}\n"


def test_a_pipe_gets_plain_lines_and_a_process_its_status():
    done = process("slope", LESSON, "--at", "-1,1,3")
    assert done.returncode == 0
    assert done.stdout == golden("slope_lesson.txt")
    assert done.stderr == ""


def test_a_closed_pipe_is_quiet():
    code = "import sys; from steepest.cli import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", code, "slope", LESSON, "--at", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        child.stdout.close()
        said = child.stderr.read()
        status = child.wait(timeout=120)
    assert said == ""
    assert status == 141


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are a Unix thing")
@pytest.mark.parametrize(("environment", "colours"), [({"TERM": "xterm-256color"}, True),
                         ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])  # fmt: skip
def test_a_terminal_gets_colours_unless_told_otherwise(environment, colours):
    import pty

    mother, daughter = pty.openpty()
    code = "import sys; from steepest.cli import main; sys.exit(main())"
    plain = {
        key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "TERM")
    }
    with subprocess.Popen(
        [sys.executable, "-c", code, "slope", LESSON, "--at", "-1,1,3"], stdout=daughter, stderr=daughter,
        env=plain | environment,
    ) as child:  # fmt: skip
        child.wait(timeout=120)
    os.close(daughter)
    out = os.read(mother, 65536).decode("utf-8")
    os.close(mother)
    assert ("\x1b[38;2;" in out or "\x1b[38;5;" in out or "\x1b[1;38" in out) == colours
    assert "falling" in out and "rising" in out


CONSTRAINED = """
import numpy as np

print("run")

def cost(x):
    return (x[0] - 2) ** 2 + (x[1] - 1) ** 2

def room(x):
    return 1 - np.sum(x**2)

def named(a, b):
    return (a - 2) ** 2 + (b - 1) ** 2

def wells(x):
    return np.sum((x**2 - 1) ** 2) + 0.1 * np.sum(x)

abs = e = room  # names that an expression has for something else
rules = [{"type": "ineq", "fun": room}, {"type": "eq", "fun": lambda x: x[0] - x[1]}]
"""

# The point of the unit disc nearest to (2, 1), and that of its diagonal.
NEAREST, ON_THE_DIAGONAL = [2 / 5**0.5, 1 / 5**0.5], [0.5**0.5, 0.5**0.5]


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["MODEL:cost", "--start", "0,0", "--constraint", "MODEL:room >= 0"], NEAREST),
        (["MODEL:cost", "--start", "0,0", "--constraint", "0 <= MODEL:room <= 2"], NEAREST),
        (["MODEL:cost", "--start", "0,0", "--constraint", "0 == MODEL:room"], NEAREST),
        (["MODEL:cost", "--start", "0,0", "--constraint", "MODEL:abs >= 0"], NEAREST),
        (["MODEL:cost", "--start", "0,0", "--constraint", "0 <= MODEL:e"], NEAREST),
        (["MODEL:cost", "--start", "0,0", "--constraint", "MODEL:rules"], ON_THE_DIAGONAL),
        (["MODEL:named", "--start", "a=0,b=0", "--constraint", "a**2 + b**2 <= 1"], NEAREST),
        (
            [
                "(x-2)**2 + (y-1)**2",
                "--start",
                "x=0,y=0",
                "--constraint",
                "x**2 + y**2 <= 1",
                "--constraint",
                "x == y",
            ],
            ON_THE_DIAGONAL,
        ),
    ],
)
def test_minimize_keeps_to_the_constraints_of_a_file_or_typed(capsys, tmp_path, words, where):
    model = tmp_path / "model.py"
    model.write_text(CONSTRAINED)
    assert main(["minimize", *(word.replace("MODEL", str(model)) for word in words), "--json"]) == 0
    *printed, found = capsys.readouterr().out.strip().split("\n")
    x = json.loads(found)["x"]
    assert list(x.values() if isinstance(x, dict) else x) == pytest.approx(where, abs=1e-9)
    assert printed.count("run") == (1 if "MODEL" in words[0] else 0)  # the file is run once


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        ("MODEL:room", "say what must hold of room"),
        ("MODEL:rom >= 0", "did you mean room?"),
        ("MODEL:room + 1 >= 0", "compare room with numbers"),
        ("MODEL:rules >= 0", "rules is no function: its type is list"),
        ("x + y >", "one side of this constraint is empty"),
        ("nowhere.py:room >= 0", "there is no file nowhere.py"),
        ("MODEL <= 1", "name a function of the file"),
        ("MODEL: room >= 0", "name a function of the file"),
    ],
)
def test_a_constraint_that_cannot_be_read_is_told(capsys, tmp_path, constraint, words):
    model = tmp_path / "model.py"
    model.write_text(CONSTRAINED)
    asked = [
        "minimize",
        f"{model}:cost",
        "--start",
        "0,0",
        "--constraint",
        constraint.replace("MODEL", str(model)),
    ]
    assert main(asked) == 2
    assert words in capsys.readouterr().err


def test_verify_judges_between_constraints(capsys):
    asked = ["verify", "x**2 + y**2", "--constraint", "x + y >= 1", "--json"]
    assert main([*asked, "--at", "0.5,0.5"]) == 0
    assert main([*asked, "--at", "0.6,0.6"]) == 1


def test_minimize_from_many_starts_finds_the_lowest_of_four_wells_with_any_seed(capsys, tmp_path):
    model = tmp_path / "model.py"
    model.write_text(CONSTRAINED)
    for seed in ("0", "3"):
        asked = ["minimize", f"{model}:wells", "--start", "1,1", "--starts", "30", "--seed", seed, "--json"]
        assert main(asked) == 0
        found = json.loads(capsys.readouterr().out.strip().split("\n")[-1])
        assert found["x"] == pytest.approx([-1.0122731310, -1.0122731310], abs=1e-8)
        assert "30 starts" in found["message"]
    assert main(["minimize", "x**2", "--start", "1", "--starts", "0"]) == 2
    assert main(["minimize", "x**2", "--start", "1", "--seed", "-1"]) == 2
    assert "ValueError" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "has no function 'missing'; it has cost, other"),
        ("coste", "did you mean cost?"),
        ("", "say which function is the cost"),
    ],
)
def test_explore_refuses_a_name_that_the_file_does_not_define_before_it_serves_anything(
    capsys, monkeypatch, tmp_path, name, words
):
    served = []
    monkeypatch.setattr("steepest.explorer.server.serve", lambda *arguments: served.append(arguments))
    model = tmp_path / "model.py"
    model.write_text(
        "raise RuntimeError  # it is not run\n\ndef cost(x): return x**2\ndef other(x): return x\n"
    )
    assert main(["explore", f"{model}:{name}", "--no-open"]) == 2
    assert words in capsys.readouterr().err
    assert not served


@pytest.mark.parametrize(
    "line",
    [
        "def cost(x): return x**2",
        "cost = lambda x: x**2",
        "from elsewhere import cost",
        "from elsewhere import first as cost",
        "from elsewhere import *",
        "if True:\n    def cost(x): return x**2",
        "try:\n    from fast import cost\nexcept ImportError:\n    cost = None",
        "class cost: pass",
        "globals()['cost'] = abs",
        "for cost in (abs, max): pass",
        "a, (cost, b) = 1, (abs, 2)",
        "def made():\n    global cost\n    cost = abs\nmade()",
        "def made(name):\n    globals()[name] = abs\nmade('cost')",
        "def __getattr__(name):\n    return abs",
        "locals()['cost'] = abs",
    ],
)
def test_explore_takes_a_name_that_any_line_of_the_file_may_make(monkeypatch, tmp_path, line):
    served = []
    monkeypatch.setattr("steepest.explorer.server.serve", lambda *arguments: served.append(arguments))
    model = tmp_path / "model.py"
    model.write_text(line + "\n")
    assert main(["explore", f"{model}:cost", "--no-open"]) == 0
    assert served
