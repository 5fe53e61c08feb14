"""Checkpoints: whole or refused, and a run that was killed ends with the bits of one that was not."""

import contextlib
import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import steepest
from steepest.training import checkpoint, sole_writer
from steepest.training.checkpoint import Checkpoints, Damaged, read, write

from .models import classification

pytestmark = pytest.mark.usefixtures("compiled_once")

JOB = """
import numpy as np
from steepest.training.batches import random_numbers

def cost(params, batch):
    x, y = batch
    hidden = np.tanh(x @ params["W"] + params["b"])
    return np.mean((hidden @ params["v"] - y) ** 2)

def job():
    rng = random_numbers(1)
    x = rng.normal(size=(4096, 8)).astype(np.float32)
    y = np.sin(x.sum(axis=1)).astype(np.float32)
    params = {"W": rng.normal(size=(8, 32)).astype(np.float32), "b": np.zeros(32), "v": np.zeros(32)}
    return dict(cost=cost, params=params, data=(x, y), batch_size=64, epochs=40, method="adam",
                schedule="cosine", validation=(x[:512], y[:512]), checkpoint=dict(folder=".", steps=20))
"""


def command(folder, *arguments):
    program = "import sys; from steepest.cli import main; sys.exit(main())"
    return [sys.executable, "-c", program, "train", f"{folder / 'job.py'}:job", *map(str, arguments)]


def run(folder, *arguments):
    done = subprocess.run(
        command(folder, *arguments), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def killed_and_resumed(folder, name, kills, seed):
    """Train in `name`, killed at `kills` random moments; how many of the kills hit a run under way."""
    chance = random.Random(seed)
    hits = 0
    arguments = ["--checkpoint", folder / name, "--resume", "--out", folder / f"{name}.npz"]
    for _ in range(kills):
        child = subprocess.Popen(
            command(folder, *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if chance.random() < 0.8:  # after a checkpoint was written; else at any moment, the start included
            newest, deadline = Checkpoints(folder / name).found()[:1], time.monotonic() + 60
            while Checkpoints(folder / name).found()[:1] == newest and time.monotonic() < deadline:
                time.sleep(0.01)
                if child.poll() is not None:
                    break
            time.sleep(chance.uniform(0.0, 0.5))
        else:
            time.sleep(chance.uniform(0.0, 4.0))
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            hits += 1
        child.wait()
    run(folder, *arguments)
    return hits


def same_parameters(one, other):
    with np.load(one) as first, np.load(other) as second:
        assert first.files == second.files
        for name in first.files:
            assert_array_equal(first[name], second[name])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "job.py").write_text(JOB)
    return tmp_path


def test_a_run_killed_and_resumed_ends_with_the_bits_of_one_never_stopped(folder):
    killed_and_resumed(folder, "killed", kills=2, seed=0)
    names = {}
    exec(JOB, names)
    whole = steepest.train(**names["job"]() | {"checkpoint": folder / "whole"})
    with np.load(folder / "killed.npz") as killed:
        assert sorted(killed.files) == sorted(whole.params)
        for name, array in whole.params.items():
            assert_array_equal(killed[name], array)


@pytest.mark.slow
def test_fifty_random_kills_leave_the_same_bits(folder):
    run(folder, "--checkpoint", folder / "whole", "--out", folder / "whole.npz")
    hits = sum(killed_and_resumed(folder, f"killed{k}", kills=10, seed=k) for k in range(5))
    assert hits >= 25  # the others came when the run was over already
    for k in range(5):
        same_parameters(folder / "whole.npz", folder / f"killed{k}.npz")


def trained(folder, **settings):
    cost, params, data = classification()
    given = {"batch_size": 64, "epochs": 30, "method": "momentum", "schedule": "linear"} | settings
    return steepest.train(cost, params, data, checkpoint={"folder": folder, "steps": 10}, **given)


def test_a_run_taken_up_in_process_matches_one_that_went_through(tmp_path):
    whole = trained(tmp_path / "whole")
    trained(tmp_path / "parts", callback=lambda row: row.step >= 50)
    rest = trained(tmp_path / "parts", resume=True)
    assert rest.steps == whole.steps
    assert_array_equal(rest.params["hidden"]["W"], whole.params["hidden"]["W"])
    assert rest.history.costs == whole.history.costs


def test_a_finished_run_taken_up_for_longer_goes_on_at_the_rate_of_the_longer_run(tmp_path):
    short = trained(tmp_path, rate=0.1, epochs=10)
    longer = trained(tmp_path, rate=0.1, epochs=20, resume=True)
    assert longer.steps == 2 * short.steps
    here = [row for row in longer.history.rows if row.step >= short.steps]
    assert [row.examples_per_second for row in here[:2]] == [0.0, 0.0]  # the compiler is at work again
    row = next(row for row in here if row.step > short.steps)
    assert_allclose(row.rate, 0.1 * (1 - row.step / longer.steps), rtol=1e-5)
    assert f"its end at step {longer.steps:,} instead of {short.steps:,}" in " ".join(longer.events)
    assert not np.array_equal(longer.params["out"]["W"], short.params["out"]["W"])


def test_a_rate_that_is_a_function_of_the_step_falls_to_no_end_and_none_is_told(tmp_path):
    def falling(step):
        return 1.0 / (1.0 + step)

    trained(tmp_path, rate=0.1, schedule=falling, steps=20)
    longer = trained(tmp_path, rate=0.1, schedule=falling, steps=40, resume=True)
    assert longer.steps == 40
    assert longer.events == ()
    row = longer.history.rows[-1]
    assert_allclose(row.rate, 0.1 / (1.0 + row.step), rtol=1e-5)


@pytest.mark.parametrize("method", ["adam", "prodigy"])
def test_a_checkpoint_written_before_slopes_had_a_unit_is_gone_on_from(method, tmp_path):
    given = {"method": method, "schedule": "cosine"}
    whole = trained(tmp_path / "whole", steps=40, **given)
    trained(tmp_path / "old", steps=40, callback=lambda row: row.step >= 20, **given)
    for path in Checkpoints(tmp_path / "old").found():
        header, arrays = read(path)
        count = sum(name.startswith("memory ") for name in arrays)
        unit, *memory = (arrays.pop(f"memory {i}") for i in range(count))
        assert unit.shape == () and unit == 1.0
        arrays |= {f"memory {i}": array for i, array in enumerate(memory)}
        write(path, header, list(arrays.items()))
    rest = trained(tmp_path / "old", steps=40, resume=True, **given)
    assert rest.steps == 40
    assert_array_equal(rest.params["out"]["W"], whole.params["out"]["W"])


def test_early_stopping_remembers_its_best_across_a_resume(tmp_path):
    cost, params, data = classification(rows=128)
    aside = classification(rows=64, seed=9)[2]
    given = {"batch_size": 32, "epochs": 60, "method": "adam", "rate": 0.05}
    given |= {"validation": aside, "patience": 5}
    whole = steepest.train(cost, params, data, **given)
    place = {"folder": tmp_path, "steps": 10}
    steepest.train(cost, params, data, checkpoint=place, callback=lambda row: row.step >= 30, **given)
    rest = steepest.train(cost, params, data, checkpoint=place, resume=True, **given)
    assert rest.ended == whole.ended
    assert_array_equal(rest.params["out"]["W"], whole.params["out"]["W"])


def test_what_a_killed_run_left_half_written_goes_with_the_next_checkpoint(tmp_path):
    half = tmp_path / ".step-000000000220.checkpoint.20119.partial"
    half.write_bytes(b"half of it")
    Checkpoints(tmp_path).save({}, [("w", np.ones(3))], 230)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000000230.checkpoint"]


def test_only_the_newest_are_kept_and_a_finished_run_is_not_run_again(tmp_path):
    result = trained(tmp_path)
    assert len(Checkpoints(tmp_path).found()) == 3
    again = trained(tmp_path, resume=True)
    assert again.steps == result.steps
    assert_array_equal(again.params["out"]["W"], result.params["out"]["W"])


def test_a_folder_that_holds_a_run_is_not_overwritten_unasked(tmp_path):
    trained(tmp_path)
    with pytest.raises(steepest.InputError, match="already holds a run"):
        trained(tmp_path)
    with pytest.raises(steepest.InputError, match="batch size"):
        trained(tmp_path, resume=True, batch_size=32)


def test_a_run_is_not_taken_up_on_other_data_of_as_many_rows(tmp_path):
    cost, params, _ = classification()
    given = {"steps": 10, "method": "adam", "checkpoint": tmp_path}
    steepest.train(cost, params, classification(seed=0)[2], **given)
    with pytest.raises(steepest.InputError, match="on other data"):
        steepest.train(cost, params, classification(seed=1)[2], resume=True, **given)
    again = steepest.train(cost, params, classification(seed=0)[2], resume=True, **given)
    assert again.steps == 10


def test_a_run_taken_up_with_another_rate_or_clip_says_so_and_one_with_the_same_says_nothing(tmp_path):
    given = {"schedule": "constant", "epochs": None, "resume": True}
    first = trained(tmp_path / "run", steps=5, rate=0.01, **given)
    same = trained(tmp_path / "run", steps=10, rate=0.01, **given)
    assert first.events == same.events == ()
    other = trained(tmp_path / "run", steps=15, rate=0.005, clip=1.0, record=tmp_path / "run.jsonl", **given)
    words = "taken up with other settings: rate 0.01 → 0.005, clip None → 1.0"
    assert other.events == (words,)
    assert words in (tmp_path / "run.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("method", ["adam", "l-bfgs"])
@pytest.mark.parametrize("what", ["nothing", "what it computes", "what it reads"])
def test_a_run_taken_up_with_another_cost_says_so(what, method, tmp_path, capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3))
    data = x, x @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=64)

    def cost_of(penalty, centre):
        centre = np.asarray(centre)

        def cost(params, batch):
            x, y = batch
            return np.mean((x @ params["w"] - y) ** 2) + penalty * np.sum((params["w"] - centre) ** 2)

        return cost

    given = {"steps": 3, "method": method, "checkpoint": {"folder": tmp_path, "steps": 1}}
    steepest.train(cost_of(0.1, [0.0, 0.0, 0.0]), {"w": np.zeros(3)}, data, **given)
    other = {
        "nothing": (0.1, [0.0] * 3),
        "what it computes": (0.2, [0.0] * 3),
        "what it reads": (0.1, [0, 0, 1]),
    }
    given |= {"steps": 5, "resume": True}
    again = steepest.train(cost_of(*other[what]), {"w": np.zeros(3)}, data, **given)
    told = "warning: taken up with another cost" in capsys.readouterr().err
    assert told == any("taken up with another cost" in event for event in again.events) == (what != "nothing")


def damaged(path, way, chance):
    """Harm a checkpoint in one of the ways disks and crashes do."""
    data = bytearray(path.read_bytes())
    if way == "cut short":
        data = data[: chance.randrange(1, len(data))]
    elif way == "a bit flipped":
        place = chance.randrange(len(data))
        data[place] ^= 1 << chance.randrange(8)
    elif way == "a block of zeros":
        place = chance.randrange(len(data) - 64)
        if not any(data[place : place + 64]):
            data[place] = 1
        else:
            data[place : place + 64] = bytes(64)
    elif way == "empty":
        data = bytearray()
    else:
        data += b"more"
    path.write_bytes(data)


WAYS = ("cut short", "a bit flipped", "a block of zeros", "empty", "longer")


def test_a_damaged_checkpoint_is_told_of_and_the_one_before_it_used(tmp_path, capsys):
    whole = trained(tmp_path)
    newest, before, *_ = Checkpoints(tmp_path).found()
    good = newest.read_bytes()
    for way in WAYS:
        newest.write_bytes(good)
        damaged(newest, way, random.Random(way))
        told = []
        _, _, path = Checkpoints(tmp_path).newest(told.append)
        assert path == before
        assert newest.name in told[0]
        assert "cannot be used" in told[0]
    rest = trained(tmp_path, resume=True)
    assert "cannot be used" in capsys.readouterr().err
    assert_array_equal(rest.params["out"]["W"], whole.params["out"]["W"])


@pytest.mark.parametrize("how", ["cut short", "of a later version", "unreadable"])
@pytest.mark.parametrize("method", ["momentum", "l-bfgs"])
def test_a_run_none_of_whose_checkpoints_can_be_read_is_neither_begun_anew_nor_written_over(
    how, method, tmp_path, capsys
):
    given = {"method": method, "steps": 40, "epochs": None}
    given |= {"schedule": None, "batch_size": None} if method == "l-bfgs" else {}
    trained(tmp_path, **given)
    capsys.readouterr()
    for path in Checkpoints(tmp_path).found():
        data = path.read_bytes()
        if how == "unreadable":
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes(data[:-1] if how == "cut short" else data.replace(b"int 1\n", b"int 2\n", 1))
    left = {path.name: path.stat().st_size for path in Checkpoints(tmp_path).found()}
    with pytest.raises(steepest.InputError, match="none of its checkpoints can be read; move them away"):
        trained(tmp_path, resume=True, **given)
    assert {path.name: path.stat().st_size for path in Checkpoints(tmp_path).found()} == left
    why = {"of a later version": "another version of steepest wrote it", "unreadable": "Is a directory"}
    assert capsys.readouterr().err.count(why.get(how, "it ends within")) == len(left)


@pytest.mark.slow
def test_none_of_many_damaged_checkpoints_is_loaded(tmp_path):
    trained(tmp_path)
    newest = Checkpoints(tmp_path).found()[0]
    good = newest.read_bytes()
    for k in range(200):
        newest.write_bytes(good)
        damaged(newest, WAYS[k % len(WAYS)], random.Random(k))
        assert newest.read_bytes() != good
        with pytest.raises(Damaged):
            read(newest)


def test_what_is_written_is_what_is_read(tmp_path):
    arrays = [
        ("a", np.arange(6.0).reshape(2, 3)),
        ("none", np.zeros((0, 4), np.float32)),
        ("one", np.int32(7)),
    ]
    write(tmp_path / "x", {"name": "é"}, arrays)
    header, found = read(tmp_path / "x")
    assert header == {"name": "é"}
    for name, array in arrays:
        assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_a_full_disk_is_told_loudly_and_the_run_goes_on(tmp_path, monkeypatch, capsys):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    whole = trained(tmp_path / "whole")
    monkeypatch.setattr(checkpoint, "write", full)
    result = trained(tmp_path / "full")
    assert "No space left on device" in capsys.readouterr().err
    assert any("No space left" in event for event in result.events)
    assert_array_equal(result.params["out"]["W"], whole.params["out"]["W"])


@pytest.mark.parametrize(
    ("room", "why", "left"), [(3, errno.ENOSPC, 3), (3, errno.EIO, 0), (2, errno.ENOSPC, 2)]
)
def test_on_a_full_disk_the_oldest_of_three_checkpoints_makes_room_for_the_newest(
    tmp_path, monkeypatch, room, why, left
):
    real, steps = checkpoint.write, [10, 20, 30, 40, 50]

    half = tmp_path / ".step-000000000005.checkpoint.20119.partial"
    half.write_bytes(b"of a run that was killed")

    def full(path, header, arrays):
        if half.exists() or len(Checkpoints(tmp_path).found()) == room:
            raise OSError(why, os.strerror(why))
        real(path, header, arrays)

    monkeypatch.setattr(checkpoint, "write", full)
    written = []
    for step in steps:
        with contextlib.suppress(OSError):
            written.append(Checkpoints(tmp_path).save({}, [("w", np.ones(step))], step))
    makes_room = room > 2 and why == errno.ENOSPC
    assert len(written) == (len(steps) if makes_room else room if why == errno.ENOSPC else 0)
    assert Checkpoints(tmp_path).found() == written[::-1][:left]


def test_no_checkpoint_that_is_whole_makes_room_where_those_after_it_are_damaged(tmp_path, monkeypatch):
    for step in (100, 290, 300):
        good = Checkpoints(tmp_path).save({}, [("w", np.ones(9))], step)
        if step != 100:
            good.write_bytes(good.read_bytes()[:-8])

    def full(path, header, arrays):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint, "write", full)
    taken_up = Checkpoints(tmp_path)
    assert taken_up.newest(lambda words: None)[2].name == "step-000000000100.checkpoint"
    with pytest.raises(OSError, match="space"):
        taken_up.save({}, [("w", np.ones(9))], 310)
    assert Checkpoints(tmp_path).newest(lambda words: None)[2].name == "step-000000000100.checkpoint"


def test_the_checkpoint_just_written_stays_beside_damaged_ones_of_later_steps(tmp_path):
    for step in (100, 290, 300):
        path = Checkpoints(tmp_path).save({}, [("w", np.ones(9))], step)
        if step != 100:
            path.write_bytes(path.read_bytes()[:-8])
    for step in (110, 120, 305):
        written = Checkpoints(tmp_path, keep=2).save({}, [("w", np.ones(9))], step)
        assert Checkpoints(tmp_path).newest(lambda words: None)[2] == written


def test_a_cost_that_holds_keys_for_random_numbers_is_checkpointed_and_known_again(tmp_path, capsys):
    x = np.random.default_rng(0).normal(size=(64, 3))

    def taken(seed, folder, **settings):
        key, keys = jax.random.key(seed), jax.random.split(jax.random.key(seed), 32)

        def cost(params, batch):
            noise = jax.random.normal(key, (32,)) + jax.vmap(jax.random.normal)(keys)
            return jnp.mean((batch @ params - batch[:, 0] + 0.1 * noise) ** 2)

        settings = {"steps": 4, "batch_size": 32, "method": "sgd", "progress": False} | settings
        steepest.train(cost, np.zeros(3), x, checkpoint=folder, **settings)
        return capsys.readouterr().err

    taken(3, tmp_path)
    assert "another cost" not in taken(3, tmp_path, steps=6, resume=True)
    assert "another cost" in taken(4, tmp_path, steps=8, resume=True)


@pytest.mark.slow
def test_a_run_that_may_write_no_more_goes_on_and_says_so_at_every_checkpoint(folder):
    resource = pytest.importorskip("resource")
    most = 4096  # bytes a file may have: less than a checkpoint of this run, more than its parameters
    done = subprocess.run(
        command(folder, "--checkpoint", folder / "full", "--epochs", 2, "--out", folder / "full.npz"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning: the checkpoint at step") >= 2
    assert "(File too large); the run goes on without it" in done.stderr
    assert list((folder / "full").glob("*step*")) == []  # no half of one is left behind
    run(folder, "--checkpoint", folder / "room", "--epochs", 2, "--out", folder / "room.npz")
    same_parameters(folder / "full.npz", folder / "room.npz")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_run_file_on_a_full_disk_is_told_and_the_run_goes_on():
    cost, params, data = classification()
    with pytest.warns(RuntimeWarning, match="the run file /dev/full could not be written .No space left"):
        result = steepest.train(cost, params, data, steps=5, method="adam", record="/dev/full")
    assert result.steps == 5
    assert any("/dev/full could not be written" in remark for remark in result.remarks)


def test_a_half_written_file_is_never_left_behind(tmp_path, monkeypatch):
    def stops(descriptor):
        raise OSError(errno.EIO, "the disk stopped")

    monkeypatch.setattr(os, "fsync", stops)
    with pytest.raises(OSError, match="stopped"):
        write(tmp_path / "x", {}, [("a", np.ones(3))])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_stops_before_any_work(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(steepest.InputError, match="cannot be written"):
        trained(tmp_path / "file" / "inside")


def test_runs_that_begin_in_one_folder_together_do_not_take_it_for_one_that_cannot_be_written(tmp_path):
    def begins(_):
        for _ in range(100):
            Checkpoints(tmp_path / "run").prepare()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(begins, range(4)))
    assert list((tmp_path / "run").iterdir()) == []


OTHER = """
import sys, time
from pathlib import Path
from steepest.training.sole_writer import sole_writer
with sole_writer(Path(sys.argv[1]), print):
    print("here", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def another_run(folder):
    """A process that holds the folder until it is killed."""
    program = [sys.executable, "-c", OTHER, str(folder)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "here\n"
            yield process
        finally:
            process.kill()


def test_two_runs_do_not_write_into_one_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sole_writer, "PATIENCE", 0.5)
    with another_run(tmp_path) as process:
        with pytest.raises(
            steepest.InputError, match=f"another run is writing to .*process {process.pid} on"
        ):
            trained(tmp_path)
        assert "waiting up to 0.5 s" in capsys.readouterr().err
        assert Checkpoints(tmp_path).found() == []
        process.kill()
        process.wait()
        assert trained(tmp_path).success  # a run that was killed holds nothing
    assert "waiting" not in capsys.readouterr().err
    trained(tmp_path, resume=True)


def test_two_runs_of_one_process_do_not_write_into_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sole_writer, "PATIENCE", 0.5)
    refused = []

    def again(row):
        with pytest.raises(
            steepest.InputError, match=r"another run is writing to .*of this process"
        ) as error:
            trained(tmp_path / "b" / ".." / "a")
        refused.append(error)
        # Nor is the system's lock lost with it, which keeps other processes out.
        program = [sys.executable, "-c", OTHER.replace("600", "0"), str(tmp_path / "a")]
        other = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        try:
            assert f"process {os.getpid()} on" in other.stdout.readline()
        finally:
            other.kill()
            other.communicate()
        return True

    (tmp_path / "b").mkdir()
    assert trained(tmp_path / "a", callback=again).steps
    assert len(refused) == 1
    trained(tmp_path / "a", resume=True)  # a run that is over holds nothing


@pytest.mark.parametrize("left", [False, True])
def test_a_run_waits_for_the_one_before_it_and_looks_again_at_what_that_has_left(
    tmp_path, monkeypatch, capsys, left
):
    wait = sole_writer._taken_within
    with another_run(tmp_path) as process:

        def ends(*given):
            if left:
                Checkpoints(tmp_path).save({}, [("w", np.ones(3))], 10)
            process.kill()
            return wait(*given)

        monkeypatch.setattr(sole_writer, "_taken_within", ends)
        if left:
            with pytest.raises(steepest.InputError, match="already holds a run"):
                trained(tmp_path)
        else:
            assert trained(tmp_path).success
    assert "waiting up to" in capsys.readouterr().err


def test_where_there_are_no_locks_or_no_file_for_one_the_run_goes_on(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def none(*given):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", none)
    assert trained(tmp_path / "a").success
    (tmp_path / "b" / sole_writer.NAME).mkdir(parents=True)
    assert trained(tmp_path / "b").success


def test_a_signal_to_end_leaves_a_checkpoint_to_go_on_from(folder):
    child = subprocess.Popen(
        command(folder, "--checkpoint", folder / "ended", "--epochs", 100000, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not Checkpoints(folder / "ended").found() and time.monotonic() < deadline:
        time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    out, _ = child.communicate(timeout=300)
    assert child.returncode == 130
    told = json.loads(out)
    assert (told["verdict"], told["ended"]) == ("stopped", "interrupted")
    assert Checkpoints(folder / "ended").found()[0].name == f"step-{told['steps']:012d}.checkpoint"
