"""README quotes only what was measured: every figure of its comparison stands in the result page its row links."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


def numbers_of(text):
    return [number.replace(",", "") for number in NUMBER.findall(text)]


def digits_of(number):
    """Significant digits: of 58000 two, of 0.50 two, of 94 two."""
    digits = number.split("e")[0].lstrip("0.")
    return max(1, len(digits.replace(".", "") if "." in number else digits.rstrip("0")))


def rows_of_the_comparison():
    """(page, figures) of each row, where a row without a link belongs to the page above it."""
    table = README.split("## How it compares")[1].split("\n## ")[0]
    page = None
    for line in table.splitlines()[1:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] != "problems" and not set(line) <= set("|-: "):
            page = (re.findall(r"\]\((benchmarks/results/\w+\.md)\)", cells[0]) or [page])[0]
            yield pytest.param(page, numbers_of(" ".join(cells[2:])), id=" ".join(cells[:2]))


@pytest.mark.parametrize(("page", "figures"), list(rows_of_the_comparison()))
def test_every_figure_of_the_comparison_stands_in_its_result_page(page, figures):
    measured = [float(number) for number in numbers_of((ROOT / page).read_text(encoding="utf-8"))]
    assert figures, "the row shows no figures"
    missing = [
        figure
        for figure in figures
        if not any(f"{m:.{digits_of(figure)}g}" == f"{float(figure):.{digits_of(figure)}g}" for m in measured)
    ]
    assert not missing


def test_the_comparison_has_rows():
    assert len(list(rows_of_the_comparison())) > 5
