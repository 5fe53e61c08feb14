"""The page of training, whose parts are measured one by one: one measured again leaves the others as they stand."""

import sys

import pytest

from benchmarks import __main__ as command
from benchmarks import train

PAGE = """# train

What it was about before.

## Logistic regression

| rows | s |
|-----:|--:|
|    1 | 2 |

By hand: a machine that was busy.

## Kill and resume

Nothing of the command's own.

## Speed of a step

Old figures.

## Memory

| method | MB |
|--------|---:|
| sgd    |  1 |
"""


def measured(monkeypatch, tmp_path, page, *arguments):
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "train", *arguments])
    path = tmp_path / "train.md"
    if page:
        path.write_text(page, encoding="utf-8")
    assert command.main() == 0
    return path.read_text(encoding="utf-8")


def sections(page):
    return [part.partition("\n")[::2] for part in page.rstrip().split("\n## ")[1:]]


def test_a_part_measured_again_leaves_all_other_sections_to_the_letter(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(train.PARTS, "speed", ("Speed of a step", lambda rounds, cores: "New figures."))
    page = measured(monkeypatch, tmp_path, PAGE, "--part", "speed")
    before, after = sections(PAGE), sections(page)
    assert [title for title, _ in after] == [title for title, _ in before]
    for (title, old), (_, new) in zip(before, after, strict=True):
        if title == "Speed of a step":
            assert "New figures." in new and "Old figures." not in new
            assert "`python -m benchmarks train --part speed`" in new
        else:
            assert new.strip() == old.strip()
    assert page == capsys.readouterr().out


def test_a_part_that_the_page_did_not_have_comes_last(monkeypatch, tmp_path):
    monkeypatch.setitem(train.PARTS, "bandwidth", ("Bandwidth", lambda rounds, cores: "Bytes."))
    page = measured(monkeypatch, tmp_path, PAGE, "--part", "bandwidth")
    assert [title for title, _ in sections(page)] == [*(title for title, _ in sections(PAGE)), "Bandwidth"]
    assert [title for title, _ in sections(measured(monkeypatch, tmp_path, page, "--part", "bandwidth"))][
        -2:
    ] == ["Memory", "Bandwidth"]


def test_a_part_that_fails_leaves_its_section_as_it_was_and_keeps_what_was_measured_before(
    monkeypatch, tmp_path
):
    def fails(rounds, cores):
        raise RuntimeError("no memory")

    monkeypatch.setitem(train.PARTS, "speed", ("Speed of a step", lambda rounds, cores: "New figures."))
    monkeypatch.setitem(train.PARTS, "memory", ("Memory", fails))
    with pytest.raises(RuntimeError, match="no memory"):
        measured(monkeypatch, tmp_path, PAGE, "--part", "speed", "memory")
    found = dict(sections((tmp_path / "train.md").read_text(encoding="utf-8")))
    assert "New figures." in found.pop("Speed of a step")
    for title, old in sections(PAGE):
        assert title not in found or found[title].strip() == old.strip()
    assert len(found) == 3
