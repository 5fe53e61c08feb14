"""Several processes: the same run to rounding, and a name for whoever is missing, different or late."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest
from steepest.training import joining, launch, roll
from steepest.training.checkpoint import Checkpoints
from steepest.training.launch import _free_port, _without_processes
from steepest.training.preflight import differences

JOB = """
import os
import time
from pathlib import Path

import numpy as np

ME = os.environ.get("STEEPEST_PROCESS", "0")

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

def spread():
    x, y = job()["data"]
    return job() | {"shard": "params", "validation": (x[:100], y[:100])}

def without_end():
    return spread() | {"steps": 10_000_000, "checkpoint": {"folder": ".", "steps": 20}}

def mixing_rows():
    def cost(params, batch):
        x, y = batch
        hidden = x @ params["W"] + params["b"]
        hidden = np.tanh((hidden - 0.5 * np.mean(hidden, axis=0)) / (1 + np.std(hidden, axis=0)))
        return np.mean((hidden @ params["v"] - y) ** 2)
    return job() | {"cost": cost}

def diverging():
    return spread() | {"method": "sgd", "rate": 300.0}

def diverging_with_a_weight_for_each_row():
    def cost(params, batch):
        x, y = batch
        hidden = np.tanh(x @ params["W"] + params["b"])
        return np.mean(np.full(len(x), 0.5) * (hidden @ params["v"] - y) ** 2)
    return job() | {"cost": cost, "method": "sgd", "rate": 300.0}

def elsewhere():
    import jax
    given = job()
    if WHAT == "seed":
        given["seed"] = int(ME)
    elif WHAT == "data":
        given["data"] = (given["data"][0] + (ME == "1"), given["data"][1])
    elif WHAT == "start":
        given["params"]["b"] = given["params"]["b"] + (ME == "1")
    elif WHAT == "settings":
        given["rate"] = 0.01 * (1 + (ME == "1"))
    elif WHAT == "code":
        given["cost"] = (lambda p, b: 2 * cost(p, b)) if ME == "1" else cost
    return given

def failing():
    if ME == "1":
        raise FileNotFoundError(2, "No such file or directory", "rows.npy")
    return job()

def sleeping_over_its_data():
    if ME == "1":
        time.sleep(1000)
    return job()

def sleeping_over_all_rows():
    def callback(row):
        if row.step == 3 and ME == "1":
            time.sleep(1000)
    given = job() | {"method": "l-bfgs", "callback": callback}
    return {name: value for name, value in given.items() if name not in ("rate", "batch_size")}

def sleeping_over_the_end():
    x, y = job()["data"]
    made = 0
    def data(rng):
        nonlocal made
        made += 1
        if made > 45 and ME == "1":  # the walk takes 40 and looks at two before
            time.sleep(1000)
        rows = rng.integers(0, 1024, 64)
        return x[rows], y[rows]
    return job() | {"data": data}

def sleeping_over_the_end_of_all_rows():
    from steepest.training import whole_verdict
    look = whole_verdict._look
    def asleep(job, run):  # the end is judged without a call of the user's own code
        if ME == "1":
            time.sleep(1000)
        return look(job, run)
    whole_verdict._look = asleep
    given = job() | {"method": "l-bfgs", "steps": 3}
    return {name: value for name, value in given.items() if name not in ("rate", "batch_size")}

def slow():
    return job() | {"steps": 1_000_000, "callback": lambda row: time.sleep(0.1)}

def sleeping():
    x, y = job()["data"]
    made = 0
    def data(rng):
        nonlocal made
        made += 1
        if made > 20 and ME == "1":
            time.sleep(1000)
        rows = rng.integers(0, 1024, 64)
        return x[rows], y[rows]
    return job() | {"data": data, "steps": 400}

def told_to_end_when_it_is_over():
    import signal
    from steepest.cli import training
    finish = training.finish
    def late(*given):
        os.kill(os.getpid(), signal.SIGTERM)
        finish(*given)
    training.finish = late
    return job()

def stopped_when_it_is_over():
    import atexit, signal
    from steepest.cli import training
    def stop(*given):
        os.kill(os.getpid(), signal.SIGSTOP)
    if ME == os.environ["WHO"]:
        training.finish = stop  # which the first process calls
        import jax  # whose own farewell comes after this one
        atexit.register(stop)
    return job()

def struck():
    import signal
    x, y = job()["data"]
    made = 0
    def data(rng):
        nonlocal made
        made += 1
        if made == 20 and ME == os.environ["WHO"]:
            os.kill(os.getpid(), getattr(signal, os.environ["HOW"]))
        rows = rng.integers(0, 1024, 64)
        return x[rows], y[rows]
    return job() | {"data": data, "steps": 400}
"""
PROGRAM = "import sys; from steepest.cli import main; sys.exit(main())"


def command(folder, function, *arguments):
    return [sys.executable, "-c", PROGRAM, "train", f"{folder / 'job.py'}:{function}", *map(str, arguments)]


@pytest.fixture
def run(tmp_path):
    (tmp_path / "job.py").write_text(JOB)

    def train(function, *arguments, **environment):
        return subprocess.run(
            command(tmp_path, function, *arguments),
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
            env={**os.environ, **environment},
        )

    return train


def alone(name):
    """The same job in one process, here."""
    space = {}
    exec(JOB, space)
    return steepest.train(**space[name]() | {"shard": None})


def same_to_rounding(path, result):
    with np.load(path) as found:
        assert found.files == list(result.names)
        for name, array in zip(result.names, result.arrays, strict=True):
            assert_allclose(found[name], array, rtol=1e-4, atol=1e-6)


def test_two_processes_with_spread_parameters_come_to_the_parameters_of_one(run, tmp_path):
    out = tmp_path / "two.npz"
    done = run("spread", "--processes", 2, "--json", "--out", out)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)  # one speaks, and nothing else is on standard output
    one = alone("spread")
    same_to_rounding(out, one)
    assert told["processes"] == 2
    assert_allclose([told["cost"], told["validation"]], [one.cost, one.validation], rtol=1e-5)
    assert told["remarks"] == [*one.remarks, "100.0% of the parameters are spread over 2 devices"]


@pytest.mark.slow
@pytest.mark.parametrize("function", ["job", "mixing_rows"])
def test_a_cost_that_mixes_rows_and_one_that_does_not_come_to_the_parameters_of_one_process(
    run, tmp_path, function
):
    out = tmp_path / "two.npz"
    done = run(function, "--processes", 2, "--out", out)
    assert done.returncode == 0, done.stderr
    same_to_rounding(out, alone(function))


@pytest.mark.slow
@pytest.mark.parametrize("function", ["job", "spread"])
def test_four_processes_come_to_the_parameters_of_one(run, tmp_path, function):
    assert run(function, "--processes", 4, "--out", tmp_path / "four.npz").returncode == 0
    same_to_rounding(tmp_path / "four.npz", alone(function))


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 4)])
def test_a_run_is_taken_up_on_another_number_of_processes(run, tmp_path, before, after):
    out, folder = tmp_path / "parts.npz", tmp_path / "run"
    first = run("spread", "--checkpoint", folder, "--steps", 20, "--processes", before)
    assert first.returncode == 0, first.stderr
    done = run("spread", "--checkpoint", folder, "--resume", "--out", out, "--processes", after)
    assert done.returncode == 0, done.stderr
    assert "going on from step-000000000020.checkpoint" in done.stderr
    same_to_rounding(out, alone("spread"))


@pytest.mark.slow
def test_devices_of_one_process_share_the_parameters(run, tmp_path):
    program = """
import sys
sys.path.insert(0, sys.argv[1])
import jax, job, steepest
from steepest.training.loop import Walker

held = {}
def step(walker, *arguments, before=Walker._step):
    before(walker, *arguments)
    here = jax.devices()[0]
    held[walker.job.shard] = sum(
        part.data.nbytes for leaf in jax.tree.leaves(walker.state) for part in leaf.addressable_shards
        if part.device == here
    )
Walker._step = step
spread = steepest.train(**job.spread())
whole = steepest.train(**job.spread() | {"shard": None})
assert spread.devices == 4
assert held["params"] < 0.27 * held[None], held
spread.save(sys.argv[2])
"""
    run("job", "--steps", 1)  # writes nothing; the file of jobs is there
    flags = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    out = tmp_path / "devices.npz"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(out)],
        env=flags,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    same_to_rounding(out, alone("spread"))


@pytest.mark.slow
@pytest.mark.parametrize("function", ["diverging", "diverging_with_a_weight_for_each_row"])
def test_processes_agree_on_why_a_run_blew_up(run, function):
    done = run(function, "--processes", 2, "--json")
    told = json.loads(done.stdout)
    one = alone(function)
    assert done.returncode == (0 if one.success else 1), done.stderr
    assert (told["ended"], told["verdict"]) == (one.ended, one.verdict)
    assert_allclose(told["rate_left"], one.rate_left, rtol=1e-4)  # by the curvature measured in each
    assert len(told["events"]) == len(one.events) > 0
    for ours, its in zip(told["events"], one.events, strict=True):
        assert ours.partition(" comes from")[0] == its.partition(" comes from")[0]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["seed", "data", "start", "settings", "code"])
def test_a_process_that_differs_is_named_before_the_first_step(run, tmp_path, what):
    (tmp_path / "job.py").write_text(f"WHAT = {what!r}\n{JOB}")
    done = run("elsewhere", "--processes", 2)
    assert done.returncode == 2
    assert done.stderr.count(f"not the same in all 2 processes: the {what}") == 1
    values = {"seed": "seed: 0 in process 0, 1", "settings": "rate: 0.01 in process 0, 0.02"}
    assert values.get(what, "Give all of them the same") in done.stderr
    assert "of process" in done.stderr
    assert "step" not in done.stderr


@pytest.mark.slow
def test_what_stopped_another_process_is_shown(run):
    done = run("failing", "--processes", 2)
    assert done.returncode == 2
    assert "process 1: error: " in done.stderr
    assert "rows.npy" in done.stderr
    assert "process 1 of 2 ended with exit status 2; the others were ended" in done.stderr


@pytest.mark.slow
def test_a_process_that_does_not_come_is_named(run):
    given = {"STEEPEST_ARRIVAL": "3", "STEEPEST_COORDINATOR": address(), "STEEPEST_PROCESSES": "3"}
    first = run("job", STEEPEST_PROCESS="0", **given)
    assert first.returncode == 2
    assert "processes 1, 2 of 3 did not come within 3 s" in first.stderr
    other = run("job", STEEPEST_PROCESS="1", **given)
    assert other.returncode == 2
    assert "process 1 did not find process 0" in other.stderr


@pytest.mark.slow
def test_a_process_that_comes_and_never_has_its_data_is_named(run):
    done = run("sleeping_over_its_data", "--processes", 2, STEEPEST_ARRIVAL="45")
    assert done.returncode == 2
    assert "process 1 of 2 came, but had not read its job and its data within 45 s" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "function",
    ["sleeping", "sleeping_over_all_rows", "sleeping_over_the_end", "sleeping_over_the_end_of_all_rows"],
)
def test_a_process_that_falls_asleep_is_named_and_the_run_ended(run, function):
    # Until the first step one process may get less of its processor than another, but is never behind by a whole run.
    began = time.monotonic()
    done = run("job", "--processes", 2, "--steps", 2)
    assert done.returncode == 0, done.stderr
    patience = max(10.0, time.monotonic() - began)
    done = run(function, "--processes", 2, STEEPEST_PATIENCE=f"{patience}")
    assert done.returncode == 3, done.stderr
    assert "error: process 1 of 2 has stood at step" in done.stderr
    if "end" in function:
        assert f"step {3 if 'rows' in function else 40} for" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("who", ["0", "1"])
@pytest.mark.parametrize("how", ["SIGSTOP", "SIGKILL"])
def test_whichever_process_is_stopped_or_killed_is_named_and_none_is_left_waiting(run, how, who):
    done = run("struck", "--processes", 2, HOW=how, WHO=who, STEEPEST_PATIENCE="20")
    said = {
        "SIGSTOP": {"0": "error: process 0 of 2 has not answered for 2", "1": "error: process 1 of 2 has "},
        "SIGKILL": {who: f"process {who} of 2 ended with signal 9; the others were ended"},
    }
    assert said[how][who] in done.stderr
    assert done.returncode == (roll.NAMED if how == "SIGSTOP" else 128 + 9)
    assert f"process {1 - int(who)} of 2" not in done.stderr  # the other one is not blamed
    assert "Check failure" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("who", ["0", "1"])
def test_a_process_that_hangs_when_all_is_judged_is_named_too(run, who):
    done = run("stopped_when_it_is_over", "--processes", 2, WHO=who, STEEPEST_PATIENCE="20")
    assert done.returncode == roll.NAMED, done.stderr
    silent = "has not answered for 2" if who == "0" else "has not been heard of for 2"
    assert f"error: process {who} of 2 {silent}" in done.stderr
    assert "Check failure" not in done.stderr


@pytest.mark.slow
def test_processes_that_slurm_started_find_each_other_and_name_the_late_one(run, tmp_path):
    # What `srun` leaves in the environment of each task, as far as JAX reads it.
    job = {"SLURM_JOB_ID": "4242", "SLURM_NTASKS": "2", "SLURM_STEP_NODELIST": "localhost"}
    job |= {"SLURM_STEP_NUM_TASKS": "2", "STEEPEST_PATIENCE": "10", "STEEPEST_ARRIVAL": "45"}
    done = {}

    def task(index, function):
        own = {"SLURM_PROCID": str(index), "SLURM_LOCALID": str(index), "STEEPEST_PROCESS": str(index)}
        done[index] = run(function, "--json", **job, **own)

    said = {}
    for function in ("spread", "sleeping", "sleeping_over_its_data"):
        other = threading.Thread(target=task, args=(1, function))
        other.start()
        task(0, function)
        other.join()
        if function == "spread":
            assert [done[k].returncode for k in (0, 1)] == [0, 0], done[0].stderr
            assert json.loads(done[0].stdout)["processes"] == 2
            assert done[1].stdout == ""
        said[function] = done[0].returncode, done[0].stderr
    assert said["sleeping"][0] == 3
    assert "error: process 1 of 2 has stood at step" in said["sleeping"][1]
    assert said["sleeping_over_its_data"][0] == 2
    assert (
        "process 1 of 2 came, but had not read its job and its data within"
        in said["sleeping_over_its_data"][1]
    )


def by_hand(tmp_path, count, function, *arguments, **environment):
    """Processes started without a launcher, as a scheduler would; process 0's words are kept."""
    given = {"STEEPEST_COORDINATOR": address(), "STEEPEST_PROCESSES": str(count)}
    return [
        subprocess.Popen(
            command(tmp_path, function, *arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if index == 0 else subprocess.DEVNULL,
            text=True,
            env={**os.environ, **given, **environment, "STEEPEST_PROCESS": str(index)},
        )
        for index in range(count)
    ]


@pytest.mark.slow
def test_processes_in_pods_find_each_other_by_the_three_variables_alone(run, tmp_path):
    run("job", "--steps", 1)
    pod = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    first, second = by_hand(tmp_path, 2, "job", "--json", "--out", tmp_path / "pods.npz", **pod)
    said = first.communicate(timeout=300)[1]
    assert (first.returncode, second.wait(timeout=100)) == (0, 0), said
    assert "kubernetes" not in said.lower()
    same_to_rounding(tmp_path / "pods.npz", alone("job"))


@pytest.mark.slow
def test_a_process_that_is_killed_where_no_launcher_watches_is_named_by_the_first(run, tmp_path):
    run("job", "--steps", 1)
    processes = by_hand(tmp_path, 4, "slow")
    said = processes[0].stderr.readline()  # the first progress line: all are in the loop
    processes[1].kill()
    said += processes[0].communicate(timeout=200)[1]
    assert processes[0].returncode == roll.NAMED, said
    assert "error: process 1 of 4 is gone; last heard of at step" in said
    assert all(other.wait(timeout=100) != 0 for other in processes[2:])


# Stops one process by itself before it does what all others wait for.
STOPPED_AT = """
import os, signal, sys
from steepest.training import joining, preflight
where = {"joining": joining, "preflight": preflight}[os.environ["MODULE"]]
real = getattr(where, os.environ["FUNCTION"])

def stopped(*given, **named):
    if os.environ["STEEPEST_PROCESS"] == os.environ["WHO"]:
        os.kill(os.getpid(), signal.SIGSTOP)
    return real(*given, **named)

setattr(where, os.environ["FUNCTION"], stopped)
from steepest.cli import main
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("who", ["0", "1"])
@pytest.mark.parametrize("where", ["joining._initialize", "preflight.fingerprints", "preflight._of_all"])
def test_a_process_that_is_stopped_between_joining_and_the_first_step_is_named(run, tmp_path, where, who):
    run("job", "--steps", 1)
    module, function = where.split(".")
    given = {"STEEPEST_COORDINATOR": address(), "STEEPEST_PROCESSES": "2", "STEEPEST_PATIENCE": "20"}
    given |= {"MODULE": module, "FUNCTION": function, "WHO": who}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", STOPPED_AT, *command(tmp_path, "job")[3:]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **given, "STEEPEST_PROCESS": str(index)},
        )
        for index in range(2)
    ]
    try:
        waiting = processes[1 - int(who)]
        said = waiting.communicate(timeout=120)[1]
    finally:
        for process in processes:
            process.kill()
    assert waiting.returncode == roll.NAMED, said
    silent = "has not answered for 2" if who == "0" else "has not been heard of for 2"
    assert f"error: process {who} of 2 {silent}" in said


@pytest.mark.parametrize(
    ("error", "is_theirs"),
    [
        (jax.errors.JaxRuntimeError("INTERNAL: Gloo all-reduce failed: Connection reset by peer"), True),
        (ValueError("UNKNOWN: Gloo AllGather failed: Connection closed by peer [127.0.0.1]:13550"), True),
        (ValueError("the data hold an unknown word"), False),
        (RuntimeError("UNKNOWN: what the user raised"), False),
    ],
)
def test_an_error_of_what_the_devices_exchange_is_told_from_the_users_however_jax_hands_it_on(
    error, is_theirs
):
    assert joining._from_devices(error) is is_theirs


OPEN_MPI = ["mpirun", "-n", "2", "--oversubscribe", "--allow-run-as-root"]


def started_by(scheduler):
    """The words before the command; skips where the scheduler is not there, or has no node to give."""
    if shutil.which(scheduler) is None:
        pytest.skip(f"{scheduler} is not installed")
    if scheduler == "mpirun":
        return OPEN_MPI
    ready = subprocess.run(
        ["sinfo", "-h", "-t", "idle", "-o", "%C"], capture_output=True, text=True, check=False
    )
    if ready.returncode or not ready.stdout.strip():
        pytest.skip("Slurm is installed, but no controller answers with an idle node")
    return ["srun", "-n", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["mpirun", "srun"])
def test_a_scheduler_that_is_here_runs_what_the_launcher_runs_bit_for_bit(run, tmp_path, scheduler):
    words = started_by(scheduler)
    assert run("job", "--processes", 2, "--out", tmp_path / "launched.npz").returncode == 0
    done = subprocess.run(
        [*words, *command(tmp_path, "job", "--out", tmp_path / "scheduled.npz")],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "launched.npz") as one, np.load(tmp_path / "scheduled.npz") as other:
        assert one.files == other.files
        for name in one.files:
            assert one[name].tobytes() == other[name].tobytes()


@pytest.mark.slow
def test_processes_that_open_mpi_started_find_each_other(run, tmp_path):
    # What mpirun 4 leaves in the environment of each process, as far as JAX reads it.
    port = _free_port()
    given = {"OMPI_COMM_WORLD_SIZE": "2", "JAX_COORDINATOR_PORT": str(port)}
    given |= {"OMPI_MCA_orte_hnp_uri": f"{4096 * (port % 4096)}.0;tcp://127.0.0.1:41111"}
    done = {}

    def task(index):
        own = {"OMPI_COMM_WORLD_RANK": str(index), "OMPI_COMM_WORLD_LOCAL_RANK": str(index)}
        done[index] = run("job", "--json", **given, **own)

    other = threading.Thread(target=task, args=(1,))
    other.start()
    task(0)
    other.join()
    assert [done[k].returncode for k in (0, 1)] == [0, 0], done[0].stderr
    assert json.loads(done[0].stdout)["processes"] == 2
    assert done[1].stdout == ""


# What mpirun 5 leaves in the environment of each of two processes of one machine.
OPEN_MPI_5 = {
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "PMIX_NAMESPACE": "prterun-node1-30458@1",
}


def test_open_mpi_5_which_names_no_address_on_several_machines_is_answered_with_what_to_set(run):
    given = OPEN_MPI_5 | {"OMPI_COMM_WORLD_LOCAL_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}
    refused = run("job", **given)
    assert refused.returncode == 2
    assert "mpirun -x STEEPEST_COORDINATOR=HOST:PORT" in refused.stderr


@pytest.mark.parametrize("slurm", [{}, {"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}])
@pytest.mark.parametrize(
    "named", [{}, {"STEEPEST_COORDINATOR": "node1:7077", "OMPI_COMM_WORLD_LOCAL_SIZE": "1"}]
)
def test_processes_of_open_mpi_5_meet_where_its_job_says_or_the_user(monkeypatch, slurm, named):
    """In an allocation of Slurm too, whose numbers are those of the script that called mpirun."""
    called = []
    monkeypatch.setattr(joining, "_call_roll", lambda *roll: called.append(roll[:3]))
    monkeypatch.setattr(joining, "_initialize", lambda arrival, **given: called.append(given))
    for rank, job in (
        (0, "prterun-node1-30458@1"),
        (1, "prterun-node1-30458@1"),
        (1, "prterun-node1-30459@1"),
    ):
        own = {"OMPI_COMM_WORLD_RANK": str(rank), "PMIX_NAMESPACE": job}
        monkeypatch.setattr(os, "environ", OPEN_MPI_5 | slurm | named | own)
        assert joining.join()
    rolls, given = called[::2], called[1::2]
    assert [roll[1:] for roll in rolls] == [(2, 0), (2, 1), (2, 1)]
    assert [(each["num_processes"], each["process_id"]) for each in given] == [(2, 0), (2, 1), (2, 1)]
    places = [roll[0] for roll in rolls]
    assert places == [each["coordinator_address"] for each in given]
    if named:
        assert set(places) == {"node1:7077"}
    else:
        assert places[0] == places[1] != places[2]
        assert all(place.startswith("127.0.0.1:") and 2**15 < int(place[10:]) < 2**16 - 1 for place in places)


@pytest.mark.slow
@pytest.mark.parametrize("who", ["the launcher", "process 1"])
def test_a_signal_to_end_has_all_processes_leave_in_order(run, tmp_path, who):
    run("job", "--steps", 1)
    folder = tmp_path / "run"
    parent = subprocess.Popen(
        command(tmp_path, "without_end", "--processes", 2, "--checkpoint", folder, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not Checkpoints(folder).found() and time.monotonic() < deadline:
        time.sleep(0.1)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    os.kill(parent.pid if who == "the launcher" else int(children[1]), signal.SIGTERM)
    out, err = parent.communicate(timeout=300)
    assert parent.returncode == 130, err
    told = json.loads(out)
    assert told["ended"] == "interrupted"
    assert Checkpoints(folder).found()[0].name == f"step-{told['steps']:012d}.checkpoint"
    assert "were ended" not in err


@pytest.mark.slow
def test_the_first_process_writes_what_it_came_to_though_the_others_are_out_and_it_is_told_to_end(
    run, tmp_path
):
    """As `srun --kill-on-bad-exit` and `mpirun` tell it where the others are out with a status of their own."""
    out = tmp_path / "over.npz"
    done = run("told_to_end_when_it_is_over", "--processes", 2, "--json", "--out", out)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["out"] == str(out)
    assert out.is_file()


def test_what_differs_is_named_by_process_and_item():
    hashes = np.zeros((4, 3, 32), np.uint8)
    hashes[2, 1] = 7
    words = differences(hashes, ["the code", "the data", "the seed"])
    assert words == "not the same in all 4 processes: the data of process 2"
    assert differences(np.zeros((4, 3, 32), np.uint8), ["the code", "the data", "the seed"]) == ""


def test_a_schedule_and_sparse_rows_have_the_same_fingerprint_wherever_they_lie_in_memory():
    """Two processes hold them at two addresses."""
    from scipy.sparse import csr_matrix

    from steepest.training.batches import read_data
    from steepest.training.methods import method_of
    from steepest.training.preflight import of_data

    told = [method_of("adam", None, lambda step: 1.0 / (1 + step), 0, None, None).to_dict() for _ in range(2)]
    assert told[0] == told[1]
    x = np.arange(12.0).reshape(6, 2)
    assert len({of_data(read_data((csr_matrix(x), np.arange(6)), seed=0)) for _ in range(2)}) == 1
    assert of_data(read_data(x, seed=0)) != of_data(read_data(x + 1, seed=0))


def address():
    return f"127.0.0.1:{_free_port()}"


@pytest.mark.parametrize("taken", [None, 40_000])
def test_the_port_after_the_free_one_is_free_too_and_no_port_that_connections_leave_from(monkeypatch, taken):
    """Linux gives odd ports to who listens, even ones to who connects; these cannot be listened at for a minute."""
    given = [40_001, 40_011]

    class Socket:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def bind(self, place):
            self.port = place[1] or given.pop(0)
            if self.port == taken:
                raise OSError("taken")

        def getsockname(self):
            return "", self.port

    monkeypatch.setattr(launch.socket, "socket", Socket)
    assert _free_port() == (40_010 if taken else 40_000)


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
    dog = roll.Watchdog(where, 0, 3, lambda: (steps[0], steps[0]), patience=1.0, end=said.append)
    for _ in range(60):
        steps[0] += 1
        steps[1] += 1
        roll.tell(where, f"1 {steps[1]} {steps[1]}")
        if way == "stands still":
            roll.tell(where, "2 5 5")
        if said:
            break
        time.sleep(0.1)
    dog.close()
    assert said
    assert said[0].startswith("process 2 of 3")
    assert f"step {5 if way == 'stands still' else 0:,}" in said[0]


def test_the_watch_lasts_until_every_process_has_judged_the_end():
    where, said = address(), []
    dog = roll.Watchdog(where, 0, 3, lambda: (40, 40), patience=1.0, end=said.append)
    roll.tell(where, "2 40 40")
    one = roll.Watchdog(where, 1, 3, lambda: (40, 40), patience=1.0, end=said.append)
    one.arrive()
    dog.arrive()  # comes back when process 2 has been named
    dog.close()
    assert said[0].startswith("process 2 of 3 has stood at step 40 for 1 s; another has judged the end")


def test_that_a_process_has_come_to_the_end_is_told_again_where_the_line_did_not_get_through(monkeypatch):
    where, said, tell, lost = address(), [], roll.tell, []

    def losing(address, line):
        if str(roll.ARRIVED) in line and not lost:
            lost.append(line)
            return False
        return tell(address, line)

    monkeypatch.setattr(roll, "tell", losing)
    dog = roll.Watchdog(where, 0, 2, lambda: (40, 40), patience=1.0, end=said.append)
    roll.Watchdog(where, 1, 2, lambda: (40, 40), patience=1.0, end=said.append).arrive()
    dog.arrive()
    dog.close()
    assert lost and said == []


def test_who_has_come_to_the_end_is_not_late_however_long_the_others_take():
    where, said, stage = address(), [], [0]
    dog = roll.Watchdog(where, 0, 2, lambda: (stage[0], 40), patience=0.5, end=said.append)
    other = roll.Watchdog(where, 1, 2, lambda: (9, 40), patience=0.5, end=said.append)
    other.arrive()
    for stage[0] in range(15):  # comes on, slowly
        time.sleep(0.1)
    dog.arrive()
    dog.close()
    assert said == []


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(roll, "SILENCE", 1.0)
    monkeypatch.setattr(roll, "BEAT", 0.2)


@pytest.mark.parametrize("killed", [(2,), ()])
def test_once_the_exchange_has_failed_whoever_fell_silent_is_named(quick, killed):
    where, said, over = address(), [], threading.Event()
    dog = roll.Watchdog(where, 0, 4, lambda: (7, 7), patience=100.0, end=said.append)

    def beat(index):
        while not over.wait(0.1):
            roll.tell(where, f"{index} 7 7")

    alive = [threading.Thread(target=beat, args=(k,)) for k in (1, 2) if k not in killed]
    for thread in alive:
        thread.start()
    for k in killed:
        roll.tell(where, f"{k} 6 6")
    roll.tell(where, "3 7 7")
    roll.tell(where, f"3 {roll.LEAVING} 0")  # says that it leaves, and is silent then
    dog.broken()
    over.set()
    for thread in alive:
        thread.join()
    dog.close()
    assert said == [f"process {k} of 4 is gone; last heard of at step 6" for k in killed]


def test_that_the_first_process_is_gone_is_said_by_the_others():
    said = []
    dog = roll.Watchdog(address(), 2, 3, lambda: (0, 0), patience=100.0, end=said.append)
    dog.broken()
    dog.close()
    assert said == ["process 0 of 3 is gone, or does not listen any more"]


def test_that_the_first_process_hangs_is_said_by_the_others():
    """The system takes connections for a process that is stopped: what counts is that it answers."""
    where, said = address(), []
    with socket.create_server(roll._place(where)):
        dog = roll.Watchdog(where, 1, 3, lambda: (9, 7), patience=2.0, end=said.append)
        deadline = time.monotonic() + 60
        while not said and time.monotonic() < deadline:
            time.sleep(0.1)
        dog.close()
    assert said[0].startswith("process 0 of 3 has not answered for ")
    assert said[0].endswith(" s; process 1 is at step 7")


def test_while_the_first_process_answers_nobody_says_that_it_hangs():
    where, said = address(), []
    dogs = [roll.Watchdog(where, k, 2, lambda: (9, 7), patience=1.5, end=said.append) for k in (0, 1)]
    time.sleep(4.0)
    for dog in reversed(dogs):
        dog.arrive()
        dog.close()
    assert said == []


def test_a_job_that_was_suspended_as_a_whole_blames_nobody(monkeypatch):
    monkeypatch.setattr(roll, "AWAY", 1.0)
    where, said, suspended = address(), [], threading.Event()

    def progress():
        if suspended.is_set():  # the watching thread itself stands still, as every thread does then
            suspended.clear()
            time.sleep(5.0)
        return 7, 7

    dog = roll.Watchdog(where, 0, 2, progress, patience=3.0, end=said.append)
    roll.tell(where, "1 7 7")
    suspended.set()
    while suspended.is_set():
        time.sleep(0.05)
    time.sleep(6.0)  # longer than its patience, and process 1 is heard again soon after
    roll.tell(where, "1 7 7")
    time.sleep(0.5)
    assert said == []
    deadline = time.monotonic() + 60
    while not said and time.monotonic() < deadline:
        time.sleep(0.1)  # it falls silent in earnest
    dog.close()
    assert said[0].startswith("process 1 of 2 has not been heard of for ")


def test_the_copies_are_started_without_being_told_to_start_copies():
    given = ["train", "job.py:job", "--processes", "4", "--steps", "3", "--processes=2"]
    assert _without_processes(given) == ["train", "job.py:job", "--steps", "3"]


@pytest.mark.parametrize(
    ("count", "held"),
    [(1, [{2, 3, 5}]), (2, [{2}, {3}]), (3, [{2}, {3}, {5}]), (5, [{2}, {3}, {5}, {2}, {3}])],
)
def test_processes_have_cores_of_their_own_and_share_them_evenly_where_they_are_too_few(
    monkeypatch, count, held
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5, 2, 3})
    assert launch._cores(count) == held


def test_a_process_that_is_aborted_because_the_first_one_goes_does_not_answer_for_it(capfd):
    """JAX aborts the others when process 0 goes: at times before the system has seen it off."""
    first = f"import os, time; time.sleep(2); os._exit({roll.NAMED})"
    programs = [first, "import os; os.abort()"]
    children = [launch.Child(subprocess.Popen([sys.executable, "-c", p]), None) for p in programs]
    assert launch._watched(children) == roll.NAMED
    assert "process 1" not in capfd.readouterr().err


def test_where_a_process_cannot_be_started_those_that_were_are_ended(monkeypatch):
    started, begin = [], subprocess.Popen

    def popen(command, **settings):
        if started:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        started.append(begin([sys.executable, "-c", "import time; time.sleep(60)"]))
        return started[0]

    monkeypatch.setattr(launch.subprocess, "Popen", popen)
    try:
        with pytest.raises(BlockingIOError):
            launch.launch(2, ["train", "job.py:job"])
        assert started[0].poll() == -signal.SIGTERM
    finally:
        started[0].kill()
