"""Several processes: the same run to rounding, and a name for whoever is missing, different or late."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.training import roll
from steepest.training.launch import _free_port, _without_processes
from steepest.training.preflight import differences

JOB = """
import numpy as np

def cost(params, batch):
    x, y = batch
    hidden = np.tanh(x @ params["W"] + params["b"])
    return np.mean((hidden @ params["v"] - y) ** 2)

def job():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1024, 8)).astype(np.float32)
    y = np.sin(x.sum(axis=1)).astype(np.float32)
    params = {"W": rng.normal(size=(8, 32)).astype(np.float32), "b": np.zeros(32), "v": np.zeros(32)}
    return dict(cost=cost, params=params, data=(x, y), batch_size=64, steps=40, method="adam", rate=0.01)

def torn():
    import os
    seed = int(os.environ.get("STEEPEST_PROCESS", "0"))
    return job() | {"seed": seed}
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "job.py").write_text(JOB)

    def train(function, *arguments):
        program = "import sys; from steepest.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", program, "train", f"{tmp_path / 'job.py'}:{function}"]
        return subprocess.run(
            [*command, *map(str, arguments)], capture_output=True, text=True, timeout=400, check=False
        )

    return train


def same_to_rounding(one, other):
    with np.load(one) as first, np.load(other) as second:
        for name in first.files:
            assert_allclose(first[name], second[name], rtol=1e-4, atol=1e-6)


def test_two_processes_come_to_the_parameters_of_one(run, tmp_path):
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    assert run("job", "--out", one).returncode == 0
    done = run("job", "--out", two, "--processes", 2)
    assert done.returncode == 0, done.stderr
    same_to_rounding(one, two)
    assert done.stdout.count("cost") >= 1  # one speaks


@pytest.mark.slow
def test_a_run_is_taken_up_on_another_number_of_processes(run, tmp_path):
    whole, parts, folder = tmp_path / "whole.npz", tmp_path / "parts.npz", tmp_path / "run"
    assert run("job", "--out", whole).returncode == 0
    assert run("job", "--checkpoint", folder, "--steps", 20, "--processes", 2).returncode == 0
    done = run("job", "--checkpoint", folder, "--resume", "--out", parts)
    assert done.returncode == 0, done.stderr
    same_to_rounding(whole, parts)


@pytest.mark.slow
def test_a_process_with_another_seed_is_named_before_the_first_step(run):
    done = run("torn", "--processes", 2)
    assert done.returncode == 2
    assert "not the same in all 2 processes: the seed of process" in done.stderr


def test_what_differs_is_named_by_process_and_item():
    hashes = np.zeros((4, 3, 32), np.uint8)
    hashes[2, 1] = 7
    words = differences(hashes, ["the code", "the data", "the seed"])
    assert words == "not the same in all 4 processes: the data of process 2"
    assert differences(np.zeros((4, 3, 32), np.uint8), ["the code", "the data", "the seed"]) == ""


def address():
    return f"127.0.0.1:{_free_port()}"


def test_the_roll_names_the_processes_that_did_not_come():
    where = address()
    came = threading.Thread(target=roll.answer, args=(where, 2, 5.0))
    came.start()
    assert roll.call(where, 4, patience=1.5) == [1, 3]
    came.join()


def test_the_roll_is_over_as_soon_as_all_are_there():
    where = address()
    for index in (1, 2):
        threading.Thread(target=roll.answer, args=(where, index, 5.0)).start()
    began = time.monotonic()
    assert roll.call(where, 3, patience=30.0) == []
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("way", ["stands still", "falls silent"])
def test_the_watchdog_names_the_late_process(way):
    where = address()
    said = []
    steps = {0: 0, 1: 0, 2: 0}
    dog = roll.Watchdog(where, 0, 3, lambda: steps[0], patience=1.0, end=said.append)
    for _ in range(60):
        steps[0] += 1
        steps[1] += 1
        roll.tell(where, f"1 {steps[1]}")
        if way == "stands still":
            roll.tell(where, "2 5")
        if said:
            break
        time.sleep(0.1)
    dog.close()
    assert said
    assert said[0].startswith("process 2 of 3")
    assert f"step {5 if way == 'stands still' else 0:,}" in said[0]


def test_the_copies_are_started_without_being_told_to_start_copies():
    given = ["train", "job.py:job", "--processes", "4", "--steps", "3", "--processes=2"]
    assert _without_processes(given) == ["train", "job.py:job", "--steps", "3"]
