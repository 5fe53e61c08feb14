"""The table of large problems: what was kept is not measured again, and gaps are from the true minimum."""

import json

from benchmarks import large


def line(cost, n, solver, value, *, start=100.0, trace=()):
    run = {"trace": [*trace], "total": 1.0, "peak": 10.0, "cost": value, "start": start}
    return json.dumps({"cost": cost, "n": n, "solver": solver, "round": 0, "run": run})


def asked(path, cost, **more):
    settings = {"sizes": [100_000], "costs": [cost], "rounds": 1, "limit": 1.0, "seconds": 0.0, "keep": path}
    return large.table(False, **settings | more)


def test_a_gap_is_from_the_minimum_that_mathematics_knows_and_not_from_the_lowest_found(tmp_path):
    kept = tmp_path / "large.jsonl"
    ours = list(large.OURS)
    kept.write_text(
        "\n".join(line("chained Rosenbrock", 100_000, name, 25.0) for name in ours) + "\n", encoding="utf-8"
    )
    _, rows, _ = asked(kept, "chained Rosenbrock")
    assert [row[-2] for row in rows] == ["2e-01", "2e-01"]
    kept.write_text(
        "\n".join(line("smoothing", 100_000, name, 25.0) for name in ours) + "\n", encoding="utf-8"
    )
    _, rows, _ = asked(kept, "smoothing")
    assert [row[-2] for row in rows] == ["0e+00", "0e+00"]


def test_the_first_entry_low_enough_says_when(tmp_path):
    kept = tmp_path / "large.jsonl"
    trace = [[0.5, 100.0, 1], [1.5, 5e-3, 20], [2.5, 5e-5, 30]]
    kept.write_text(
        line("Broyden tridiagonal", 100_000, "steepest.minimize", 0.0, trace=trace) + "\n", encoding="utf-8"
    )
    header, (row,), note = asked(kept, "Broyden tridiagonal")
    assert dict(zip(header, row, strict=True))["s to 1e-04"] == "1.50"
    assert dict(zip(header, row, strict=True))["evaluations to 1e-06"] == "30"
    assert "want of time, and so without a row: 1." in note


def test_a_peer_that_is_not_installed_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(large, "NEEDS", {"IPOPT": "a_package_that_nobody_has"})
    settings = {
        "sizes": [1_000],
        "costs": ["smoothing"],
        "rounds": 1,
        "limit": 1.0,
        "seconds": -1.0,
        "keep": None,
    }
    _, rows, note = large.table(True, **settings)
    assert rows == [] and "Not installed, and so not measured: IPOPT, limited memory." in note
    kept = tmp_path / "large.jsonl"
    kept.write_text(line("smoothing", 1_000, "IPOPT, limited memory", 1.0) + "\n", encoding="utf-8")
    _, rows, note = large.table(True, **settings | {"keep": kept})
    assert [row[2] for row in rows] == ["IPOPT, limited memory"] and "Not installed" not in note


def test_what_was_measured_is_kept_and_not_measured_again(monkeypatch, tmp_path):
    kept, calls = tmp_path / "large.jsonl", []

    def report(*arguments):
        calls.append(arguments)
        return {"trace": [[0.1, 9.0, 1]], "total": 1.0, "peak": 1.0, "cost": 1.0, "start": 9.0}

    monkeypatch.setattr(large, "report", report)
    first = asked(kept, "smoothing", seconds=None)
    assert len(calls) == len(large.OURS)
    assert asked(kept, "smoothing", seconds=None) == first
    assert len(calls) == len(large.OURS)


def test_a_slice_is_measured_alone_and_the_page_shows_all_that_is_kept(monkeypatch, tmp_path):
    kept, asked_for = tmp_path / "large.jsonl", []

    def report(program, size, cost, *_):
        asked_for.append((int(size), cost))
        return {"trace": [[0.1, 1.0, 1]], "total": 1.0, "peak": 1.0, "cost": 1.0, "start": 9.0}

    monkeypatch.setattr(large, "report", report)
    asked(kept, "smoothing", seconds=None, sizes=[1_000_000], solvers=["steepest"])
    asked(kept, "minimal surface", seconds=None, sizes=[10_000_000], solvers=["steepest"])
    assert asked_for == [(1_000_000, "smoothing"), (10_000_000, "minimal surface")]
    _, rows, _ = asked(kept, "smoothing", sizes=[1_000])
    assert [row[:3] for row in rows] == [
        ["minimal surface", 10_000_000, "steepest.minimize"],
        ["smoothing", 1_000_000, "steepest.minimize"],
    ]
    asked(kept, "smoothing", seconds=None, sizes=[1_000_000], solvers=["steepest"])
    assert len(asked_for) == 2
    asked(kept, "smoothing", seconds=None, sizes=[1_000_000], solvers=["steepest"], again=True)
    assert len(asked_for) == 3
