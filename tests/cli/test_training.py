"""`steepest train`: jobs in files, parameters out, one JSON object, errors that name the remedy."""

import errno
import json
import os

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import steepest
from steepest.cli import main

JOB = """
import numpy as np

def cost(params, batch):
    x, y = batch
    return np.mean((x @ params["w"] + params["b"] - y) ** 2)

def job():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(512, 3))
    y = x @ [1.0, -2.0, 0.5] + 0.3
    return {"cost": cost, "params": {"w": np.zeros(3), "b": 0.0}, "data": (x, y), "method": "sgd", "rate": 0.1}

def no_dict():
    return 3

def strange():
    return job() | {"batchsize": 3}

def foreign():
    return job() | {"lr": 3}
"""


@pytest.fixture
def job(tmp_path):
    (tmp_path / "job.py").write_text(JOB)
    return tmp_path / "job.py"


def test_a_job_is_trained_and_its_parameters_written_under_their_names(job, capsys):
    out = job.parent / "params.npz"
    assert main(["train", f"{job}:job", "--epochs", "20", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] in ("still falling", "noise floor", "standing still")
    assert told["epochs"] == 20
    with np.load(out) as found:
        assert_allclose(found["w"], [1.0, -2.0, 0.5], atol=1e-4)
        assert_allclose(found["b"], 0.3, atol=1e-4)


def test_what_a_full_disk_refuses_is_told_after_what_the_run_came_to(job, capsys, monkeypatch):
    out, write = job.parent / "params.npz", np.lib.format.write_array
    out.write_bytes(b"of before")

    def full(*given, **settings):
        write(*given, **settings)
        raise OSError(errno.ENOSPC, "No space left on device")

    arguments = ["train", f"{job}:job", "--steps", "20", "--out", str(out)]
    monkeypatch.setattr(np.lib.format, "write_array", full)
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert "still falling" in told.out
    assert "the parameters could not be written (No space left on device)" in told.err
    assert main([*arguments, "--json"]) == 2
    assert "out" not in json.loads(capsys.readouterr().out)
    assert out.read_bytes() == b"of before"
    assert {path.name for path in job.parent.iterdir()} <= {"job.py", "params.npz", "__pycache__"}


def test_parameters_of_any_name_are_read_by_numpy_as_they_were(tmp_path):
    start = {
        "file": np.arange(6.0).reshape(2, 3),
        "allow_pickle": 2.0,
        "layers": [np.ones(2), np.zeros((0, 3))],
    }
    x = np.ones((8, 3))
    result = steepest.train(
        lambda p, x: np.mean(x @ p["file"].T) * p["allow_pickle"] + np.sum(p["layers"][0]) + np.sum(p["layers"][1]),
        start, x, method="sgd", steps=1, progress=False,
    )  # fmt: skip
    result.save(tmp_path / "named")  # as by NumPy, the ending is added
    with np.load(tmp_path / "named.npz", allow_pickle=False) as found:
        assert found.files == list(result.names)
        for name, array in zip(result.names, result.arrays, strict=True):
            assert_array_equal(found[name], array)
            assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that nobody can write to")
def test_parameters_that_could_not_be_written_anywhere_are_not_trained(job, capsys):
    assert main(["train", f"{job}:job", "--out", "/proc/params.npz"]) == 2
    told = capsys.readouterr()
    assert "--out /proc/params.npz: /proc cannot be written" in told.err
    assert "step" not in told.err


def test_resume_starts_afresh_where_there_is_no_checkpoint_yet(job, capsys):
    folder = str(job.parent / "run")
    arguments = ["train", f"{job}:job", "--steps", "20", "--checkpoint", folder, "--resume"]
    assert main(arguments) == 0
    assert "starting afresh" in capsys.readouterr().err
    assert main(arguments) == 0
    assert "going on from step-000000000020.checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["job.py:nothing"], "there is no file"),
        (["JOB:jo"], "did you mean job?"),
        (["JOB:no_dict"], "return the arguments of train as a dict"),
        (["JOB:strange"], "'batchsize', which train does not know"),
        (["JOB:foreign"], "'lr' is rate here"),
        (["JOB:job", "--out", "params.txt"], "into an .npz file"),
        (["JOB:job", "--resume"], "resume=True needs checkpoint="),
        (["x**2"], "FILE.py:FUNC"),
    ],
)
def test_what_cannot_be_run_is_said_with_the_remedy(job, capsys, arguments, said):
    arguments = [argument.replace("JOB", str(job)) for argument in arguments]
    assert main(["train", *arguments]) == 2
    assert said in capsys.readouterr().err
