"""README quotes only what was measured: every row of its comparison stands in a result page."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def rows_of(text):
    """The table rows of a page, without the padding that aligns them."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not set(line) <= set("|-: ")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


def test_every_row_of_the_comparison_stands_in_a_result_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    quoted = rows_of(readme.split("## How it compares")[1].split("\n## ")[0])
    measured = {
        row for page in (ROOT / "benchmarks/results").glob("*.md") for row in rows_of(page.read_text("utf-8"))
    }
    assert quoted, "the comparison shows no figures"
    assert set(quoted) <= measured
