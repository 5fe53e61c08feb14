"""`steepest train`: jobs in files, parameters out, one JSON object, errors that name the remedy."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

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
