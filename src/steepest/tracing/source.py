"""Where in the user's own code something happened: file, line, expression, and the statement around it."""

from __future__ import annotations

import ast
import linecache
import os
import sys
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

_STDLIB = sysconfig.get_path("stdlib") + os.sep
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

_LIBRARIES = (
    "numpy",
    "jax",
    "jaxlib",
    "scipy",
    "pandas",
    "polars",
    "pyarrow",
    "xarray",
    "sklearn",
    "statsmodels",
    "torch",
)

_EXPRESSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expressions.py")


@dataclass(frozen=True)
class Place:
    """A spot in the user's code: `file`, 1-based `line`, the `expression` there ("" if its text is unknown).

    `construct` is the Python construct whose decision is being taken: "if", "while", "assert", "conditional
    expression", "and/or", "chained comparison", "comprehension condition", "not", or "".
    """

    file: str
    line: int
    function: str
    expression: str = ""
    construct: str = ""

    def __str__(self) -> str:
        file = os.path.relpath(self.file) if os.path.isabs(self.file) else self.file
        file = self.file if file.startswith("..") else file
        return f"{file}, line {self.line}, in {self.function}"


@lru_cache(maxsize=4096)
def is_library(filename: str) -> bool:
    """Whether a file belongs to this library, to Python or to the numeric packages, not to the user."""
    if filename.startswith(_OURS):
        return True
    if filename.startswith(_STDLIB) and not any(part in filename for part in _PACKAGES):
        return True
    if filename.endswith(".pyx"):  # compiled code tells its source, which is not here
        return filename.startswith(tuple(f"{package}/" for package in _LIBRARIES))
    if filename.startswith("<"):
        return filename.startswith(("<frozen", "<__array_function__", "<stringsource"))
    return any(f"{place}{package}{os.sep}" in filename for place in _PACKAGES for package in _LIBRARIES)


def user_frame() -> FrameType | None:
    """The innermost frame on the stack that is the user's code; None inside an expression string."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_library(frame.f_code.co_filename):
        if frame.f_code.co_filename == _EXPRESSIONS:
            return None
        frame = frame.f_back
    return frame


def library_between() -> str:
    """The library file that the user's code called and that led to this call; "" if there is none."""
    found = ""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_library(frame.f_code.co_filename):
        if not frame.f_code.co_filename.startswith((_OURS, "<")):
            found = frame.f_code.co_filename
        frame = frame.f_back
    return found


def library_behind(error: BaseException) -> str:
    """The library file that the user's code called and in which an error was raised; "" if there is none."""
    found = ""
    step = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if not is_library(file):
            found = ""
        elif not found and not file.startswith((_OURS, "<")):
            found = file
        step = step.tb_next
    return found


def place_of(frame: FrameType | None) -> Place | None:
    """The spot a frame is executing, with the expression read from its source where that can be had."""
    if frame is None:
        return None
    code = frame.f_code
    first, last, begin, end = _positions(code, frame.f_lasti)
    line = first or frame.f_lineno
    expression = _segment(code.co_filename, first, last, begin, end)
    construct = _construct(code.co_filename, first, begin, last, end)
    return Place(code.co_filename, line, code.co_name, expression, construct)


def place_here() -> Place | None:
    """The spot in the user's code that led to this call."""
    return place_of(user_frame())


def user_line(equation: Any) -> Place | None:
    """The user's line that made a jaxpr equation, None where JAX kept no trace of it."""
    traceback = getattr(equation.source_info, "traceback", None)
    if traceback is None:
        return None
    for frame in traceback.frames:
        if not is_library(frame.file_name):
            text = linecache.getline(frame.file_name, frame.line_num).strip()
            return Place(frame.file_name, frame.line_num, frame.function_name, text)
    return None


def in_the_cost(equation: Any) -> str:
    """Where a remark on an equation begins: the user's line with its text, or that it is somewhere in the cost."""
    place = user_line(equation)
    if place is None:
        return "in the cost"
    return f"{place} ({place.expression})" if place.expression else f"{place}"


def user_code(equation: Any) -> tuple[str, CodeType, int] | None:
    """File, code and instruction of the user's that made a jaxpr equation: equal for equal lines in one place."""
    raw = getattr(getattr(equation.source_info, "traceback", None), "raw_frames", None)
    if raw is not None:
        for code, instruction in zip(*raw(), strict=True):
            if not is_library(code.co_filename):
                return code.co_filename, code, instruction
    return None


def has_user_line(equation: Any) -> bool:
    """Whether a line of the user's is on the stack kept with a jaxpr equation; far cheaper than `user_line`."""
    traceback = getattr(equation.source_info, "traceback", None)
    raw = getattr(traceback, "raw_frames", None)
    if raw is None:
        return traceback is not None
    return any(not is_library(code.co_filename) for code in raw()[0])


def expression_of(equation: Any) -> str:
    """The part of the user's line that made a jaxpr equation; "" where that cannot be told."""
    traceback = getattr(equation.source_info, "traceback", None)
    raw = getattr(traceback, "raw_frames", None)
    if raw is None:
        return ""
    for code, instruction in zip(*raw(), strict=True):
        if not is_library(code.co_filename):
            return _segment(code.co_filename, *_positions(code, instruction))
    return ""


def _positions(code: CodeType, instruction: int) -> tuple[int | None, int | None, int | None, int | None]:
    for k, position in enumerate(code.co_positions()):
        if 2 * k == instruction:
            return position
    return None, None, None, None


def _segment(file: str, first: int | None, last: int | None, begin: int | None, end: int | None) -> str:
    """The text between two positions; columns count UTF-8 bytes."""
    if first is None or last is None or begin is None or end is None:
        return ""
    lines = [linecache.getline(file, number).encode() for number in range(first, last + 1)]
    if not lines or not lines[0]:
        return ""
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][begin:]
    return " ".join(line.decode(errors="replace").strip() for line in lines)


def _construct(file: str, first: int | None, begin: int | None, last: int | None, end: int | None) -> str:
    """The construct whose condition covers the position, found by parsing the file; only done for an error."""
    if first is None or begin is None or last is None or end is None:
        return ""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return ""
    found, found_size = "", sys.maxsize
    for node in ast.walk(tree):
        for name, condition in _decisions(node):
            spot = (condition.lineno, condition.col_offset, condition.end_lineno, condition.end_col_offset)
            inside = spot[:2] <= (first, begin) and (last, end) <= spot[2:]
            size = (spot[2] - spot[0]) * 100_000 + spot[3] - spot[1]
            if inside and size <= found_size:
                found, found_size = name, size
    return found


def _decisions(node: ast.AST) -> list[tuple[str, Any]]:
    """The conditions a node tests, each with the word people use for it."""
    match node:
        case ast.If(test=test):
            return [("if", test)]
        case ast.While(test=test):
            return [("while", test)]
        case ast.Assert(test=test):
            return [("assert", test)]
        case ast.IfExp(test=test):
            return [("conditional expression", test)]
        case ast.BoolOp():
            return [("and/or", node)]
        case ast.Compare(ops=ops) if len(ops) > 1:
            return [("chained comparison", node)]
        case ast.UnaryOp(op=ast.Not()):
            return [("not", node)]
        case ast.comprehension(ifs=ifs):
            return [("comprehension condition", test) for test in ifs]
    return []
