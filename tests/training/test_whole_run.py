"""Runs over all data: their ends against closed forms and SciPy, their checkpoints against runs never stopped."""

import errno
import re

import jax
import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix

import steepest
from steepest.runs import read_run
from steepest.training import checkpoint, passes, resident, whole_run, whole_verdict
from steepest.training.checkpoint import read, write
from steepest.training.passes import Passes

pytestmark = pytest.mark.usefixtures("compiled_once")

METHODS = ["l-bfgs", "newton-cg"]


def logistic(params, batch):
    x, sign = batch
    return np.mean(np.logaddexp(0.0, -sign * (x @ params["w"] + params["b"]))) + 1e-3 * np.sum(
        params["w"] ** 2
    )


def task(rows=6000, n=8, seed=0):
    """Columns of very different size, and correlated ones."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, n)) @ (np.eye(n) + 0.5) * np.logspace(-1.5, 1.5, n)
    margin = x @ (np.linspace(-1, 1, n) / np.logspace(-1.5, 1.5, n)) + 0.3
    return x, np.where(rng.random(rows) < 1 / (1 + np.exp(-margin)), 1.0, -1.0)


def start(n=8):
    return {"w": np.zeros(n), "b": 0.0}


def trained(data, method, **settings):
    return steepest.train(logistic, start(), data, method=method, progress=False, **settings)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_both_methods_come_to_the_optimum_of_scipy_and_call_it_global(method, precision):
    x, sign = task()
    theirs = scipy.optimize.minimize(
        lambda u: logistic({"w": u[:8] / x.std(axis=0), "b": u[8]}, (x, sign)), np.zeros(9), tol=1e-13
    )
    result = trained((x, sign), method, precision=precision)
    assert result.verdict == "global minimum", str(result)
    assert_allclose(result.cost, theirs.fun, rtol=1e-7 if precision == "float32" else 1e-10)
    assert all(item.holds for item in result.evidence)
    assert "convex" in result.message


@pytest.mark.parametrize("method", METHODS)
def test_rows_on_an_accelerator_lead_to_the_same_optimum(method, monkeypatch):
    """The processor stands for an accelerator, which computes in the same program."""
    there = trained(task(), method)
    monkeypatch.setattr(resident, "accelerated", lambda: True)
    monkeypatch.setattr(resident, "WORTH_HOLDING", 0)
    seen, over_blocks = [], resident.over_blocks
    monkeypatch.setattr(passes, "over_blocks", lambda *a, **k: seen.append(a) or over_blocks(*a, **k))
    here = trained(task(), method)
    assert seen and here.verdict == there.verdict == "global minimum", str(here)
    assert_allclose(here.cost, there.cost, rtol=1e-7)


@pytest.mark.parametrize("few", [1024, 20])
def test_columns_that_nearly_stand_in_for_each_other_hide_no_minimum_that_lies_far_away(few, monkeypatch):
    """Neither of few parameters nor of many, for which products of the Hessian are counted."""
    monkeypatch.setattr(whole_verdict, "MOST_FORMED", few)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12_000, 40)).astype(np.float32)
    x[:, 1] = x[:, 0] + 1e-4 * x[:, 1]
    y = x @ rng.normal(size=40) + rng.normal(size=12_000)
    lowest = np.linalg.lstsq(x.astype(float), y.astype(np.float32).astype(float), rcond=None)[0]

    def cost(w, batch):
        x, y = batch
        return np.mean((x @ w - y) ** 2)

    result = steepest.train(cost, np.zeros(40), (x, y), method="l-bfgs", progress=False)
    # What single precision shows of the cost, 16 roundings, is left to win, and the minimum is not near.
    assert result.cost - cost(lowest, (x.astype(float), y)) > 16 * np.finfo(np.float32).eps * result.cost
    assert np.linalg.norm(result.params - lowest) > np.linalg.norm(result.params)
    assert result.verdict == "noise floor"


@pytest.mark.parametrize("method", METHODS)
def test_large_data_are_judged_by_the_slope_that_the_walk_saw_last(method, monkeypatch):
    """No pass in double precision over all rows, and what single precision is wrong by is held against the slope."""
    data = task()
    twice = trained(data, method)
    looks = []
    look = Passes.look
    monkeypatch.setattr(whole_verdict, "LOOKED_AT_AGAIN", 0)
    monkeypatch.setattr(
        Passes, "look", lambda own, x: looks.append((own.precision, own.rows)) or look(own, x)
    )
    once = trained(data, method)
    assert ("float32", 6000) in looks
    assert ("float64", 6000) not in looks
    assert once.verdict == twice.verdict == "global minimum"
    assert_array_equal(once.params["w"], twice.params["w"])
    assert_allclose(once.cost, twice.cost, rtol=2e-7)  # single precision tells the cost to 1.2e-7
    assert "float32" in once.evidence[0].how
    assert "double" in twice.evidence[0].how
    early = trained(data, method, steps=1)
    assert early.verdict == "still falling"


@pytest.mark.parametrize("case", ["few rows", "a device"])
def test_the_slope_is_looked_at_in_double_precision_where_the_walks_own_error_cannot_be_measured(
    case, monkeypatch
):
    """Too few rows for a sample, or a walk whose slopes a device rounds in its own way."""
    monkeypatch.setattr(whole_verdict, "LOOKED_AT_AGAIN", 0)
    if case == "a device":
        monkeypatch.setattr(whole_run, "MOST_ON_HOST", 0)
    rows = 1500 if case == "few rows" else 6000

    looks, look = [], Passes.look
    monkeypatch.setattr(
        Passes, "look", lambda own, x: looks.append((own.precision, own.rows)) or look(own, x)
    )
    result = trained(task(rows), "l-bfgs")
    assert ("float64", rows) in looks
    assert "double" in result.evidence[0].how


def test_single_precision_is_held_to_account_in_blocks_as_long_as_those_of_the_walk(monkeypatch):
    monkeypatch.setattr(whole_verdict, "LOOKED_AT_AGAIN", 0)
    compared, look = [], Passes.look

    def noted(own, x):
        compared.append((own.precision, own.rows, own.block))
        return look(own, x)

    monkeypatch.setattr(Passes, "look", noted)
    result = trained(task(), "l-bfgs")
    walk = next(block for precision, rows, block in compared if rows == 6000)
    _, rows, block = next(one for one in compared if one[0] == "float64" and one[1] < 6000)
    assert block == min(walk, rows)
    assert (
        result.evidence[0].how.endswith("roundings of the cost")
        and f"over {rows:,}," in result.evidence[0].how
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", [np.asarray, csr_matrix])
def test_data_that_are_not_finite_are_named_with_their_row(method, form):
    x, sign = task(300)
    x[7, 2] = np.nan
    x[9, 0] = np.inf
    result = trained((form(x), sign), method)
    assert result.verdict == "not finite"
    assert not result.verdict.is_success
    assert "data[0], row 7 and 1 more" in result.message
    assert_array_equal(result.params["w"], start()["w"])
    assert result.epochs < 5, "passes were spent along a slope that is no number"


@pytest.mark.parametrize("method", METHODS)
def test_a_start_without_a_finite_cost_is_told_as_that(method):
    result = steepest.train(
        lambda w, x: np.mean(np.log(w[0] - x**2)), np.zeros(1), np.linspace(0.1, 1, 50), method=method
    )
    assert result.verdict == "not finite"
    assert "at the start" in result.message


@pytest.mark.parametrize("method", METHODS)
def test_a_start_with_a_cost_but_no_finite_slope_is_told_with_group_row_and_line(method):
    x, sign = task(300)
    x[:] = np.abs(x)
    x[41] = 0.0

    def cost(params, batch):
        rows, y = batch
        return np.mean(
            (np.sqrt(rows @ params["w"]) - y) ** 2 + params["b"] ** 2  # no slope at sqrt(0)
        )

    result = steepest.train(cost, {"w": np.ones(8), "b": 1.0}, (x, sign), method=method, progress=False)
    assert result.verdict == "not finite" and not result.verdict.is_success
    assert np.isfinite(result.cost)
    assert "that of w, row 41;" in result.message
    assert "np.sqrt(rows @" in result.message and "test_whole_run.py" in result.message
    everywhere = steepest.train(
        lambda params, batch: logistic(params, batch) + np.sqrt(np.sum(params["w"] ** 2)),
        start(), (x, sign), method=method, progress=False,
    )  # fmt: skip
    assert everywhere.verdict == "not finite"
    assert "in every row" in everywhere.message


@pytest.mark.parametrize("method", [*METHODS, "auto"])
def test_data_may_have_a_part_without_columns(method):
    x, sign = task(300)
    data = {"x": x, "sign": sign, "none": np.zeros((300, 0))}

    def cost(params, batch):
        return logistic(params, (batch["x"], batch["sign"]))

    result = steepest.train(cost, start(), data, method=method, progress=False)
    assert_allclose(result.params["w"], trained((x, sign), method).params["w"], rtol=1e-6)


def test_the_first_step_of_lbfgs_goes_to_where_the_slope_along_it_vanishes():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(20_000, 6)) * np.logspace(-1, 1, 6)
    y = 40.0 * x @ rng.normal(size=6)

    def slope(w):
        return 2.0 * x.T @ (x @ w - y) / len(x)

    def squares(w, batch):
        return np.mean((batch[0] @ w - batch[1]) ** 2)

    step = steepest.train(squares, np.zeros(6), (x, y), method="l-bfgs", steps=1, precision="float64").params
    assert abs(slope(step) @ step) < 0.05 * abs(slope(np.zeros(6)) @ step)


@pytest.mark.parametrize("form", [csr_matrix, csr_matrix.toarray])
def test_columns_that_hardly_any_row_has_do_not_hold_the_walk_up(form):
    """Words as often as 1/k; most are in no row of the sample that the parameters are scaled by."""
    rng = np.random.default_rng(5)
    often = 1.0 / np.arange(1, 1001)
    words = rng.choice(1000, size=(6000, 10), p=often / often.sum())
    x = csr_matrix((np.ones(60_000), words.ravel(), np.arange(0, 60_001, 10)), shape=(6000, 1000))
    x.sum_duplicates()
    sign = np.where(rng.random(6000) < 1 / (1 + np.exp(-(x @ rng.normal(size=1000)))), 1.0, -1.0)

    def penalised(w, batch):
        rows, signs = batch
        return np.mean(np.logaddexp(0.0, -signs * (rows @ w))) + 1e-3 * np.sum(w * w)

    result = steepest.train(
        penalised, np.zeros(1000), (form(x), sign), method="l-bfgs", precision="float64", progress=False
    )
    assert result.verdict == "global minimum"
    theirs = scipy.optimize.minimize(
        lambda w: (
            penalised(w, (x, sign)),
            -x.T @ (sign / (1 + np.exp(sign * (x @ w)))) / 6000 + 2e-3 * w,
        ),
        np.zeros(1000),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 5000, "maxfun": 9000, "gtol": 1e-9, "ftol": 1e-15},
    )
    assert_allclose(result.cost, theirs.fun, rtol=1e-9)
    assert result.steps < 120


@pytest.mark.parametrize("order", ["random", "sorted"])
def test_lbfgs_begins_on_samples_and_ends_with_the_optimum_over_all_rows(order):
    """From the second sample on rows are not copied: every so-manieth block, which sorted labels must not deceive."""
    x, sign = task(rows=150_000)
    if order == "sorted":
        first = np.argsort(sign, kind="stable")
        x, sign = x[first], sign[first]
    seen = []
    result = trained((x, sign), "l-bfgs", precision="float64", callback=lambda row: seen.append(row.epoch))
    wide = np.column_stack([x, np.ones(len(x))])
    w = np.zeros(9)
    for _ in range(12):  # Newton's method
        p = 1 / (1 + np.exp(sign * (wide @ w)))
        slope = -(sign * p) @ wide / len(x) + 2e-3 * np.append(w[:8], 0.0)
        curvature = (wide.T * (p * (1 - p))) @ wide / len(x) + 2e-3 * np.diag([1.0] * 8 + [0.0])
        w -= np.linalg.solve(curvature, slope)
    assert result.verdict == "global minimum"
    assert_allclose(result.cost, logistic({"w": w[:8], "b": w[8]}, (x, sign)), rtol=1e-10)
    assert sum(epoch < 1.0 for epoch in seen) >= 5  # steps taken before any pass over all rows


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [60.0, 1000.0])
def test_a_row_that_no_sample_held_does_not_spoil_the_walk(method, size, capsys):
    """At the optimum of the others it costs e²⁵ or overflows: counts whose mean is exp(x @ w), and one wild row."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(40_000, 5)), rng.normal(size=5)
    y = rng.poisson(np.exp(0.5 * x @ w)).astype(float)
    x[77], y[77] = size * w, 0.0

    def counts(params, batch):
        rows, found = batch
        return np.mean(np.exp(rows @ params) - found * (rows @ params))

    result = steepest.train(counts, np.zeros(5), (x, y), method=method, precision="float64", progress=True)
    assert min(result.history.costs[:5]) < 0.6  # over samples
    assert result.cost < 1.0, str(result)  # that of the start
    expected = np.exp(x @ result.params)
    slope, first = x.T @ (expected - y) / len(y), x.T @ (1.0 - y) / len(y)
    assert np.linalg.norm(slope) < 1e-5 * np.linalg.norm(first)
    assert any("samples" in remark for remark in result.remarks)
    assert "on the cost is that of all rows" in capsys.readouterr().err
    assert len(result.history.costs) == result.steps


@pytest.mark.parametrize("method", METHODS)
def test_a_run_stopped_at_any_step_and_taken_up_again_ends_with_the_same_bits(method, tmp_path):
    data = task(rows=12_000)
    whole = trained(data, method)
    for stop in (1, 3, 5, 9):
        folder = {"folder": tmp_path / f"{method} {stop}", "steps": 1}
        trained(data, method, checkpoint=folder, callback=lambda row, stop=stop: row.step == stop)
        again = trained(data, method, checkpoint=folder, resume=True)
        assert again.steps == whole.steps
        assert_array_equal(again.params["w"], whole.params["w"])
        assert_array_equal(again.params["b"], whole.params["b"])
        assert [row.cost for row in again.history.rows] == [row.cost for row in whole.history.rows]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_it(tmp_path, capsys):
    data = task()
    folder = {"folder": tmp_path / "run", "steps": 1}
    trained(data, "l-bfgs", checkpoint=folder, callback=lambda row: row.step == 4)
    newest = sorted((tmp_path / "run").glob("*.checkpoint"))[-1]
    held = bytearray(newest.read_bytes())
    held[len(held) // 2] ^= 1
    newest.write_bytes(held)
    again = trained(data, "l-bfgs", checkpoint=folder, resume=True)
    assert_array_equal(again.params["w"], trained(data, "l-bfgs").params["w"])
    assert "damaged" in capsys.readouterr().err


def test_what_happened_before_a_resume_and_other_versions_stand_in_the_report(tmp_path):
    folder = {"folder": tmp_path / "run", "steps": 1}
    first = trained(task(500), "l-bfgs", checkpoint=folder, callback=lambda row: row.step == 1)
    newest = sorted((tmp_path / "run").glob("*.checkpoint"))[-1]
    header, arrays = read(newest)
    header["events"], header["versions"]["numpy"] = ["the lights went out"], "0.1"
    write(newest, header, list(arrays.items()))
    again = trained(task(500), "l-bfgs", checkpoint=folder, resume=True)
    assert again.steps > first.steps
    assert again.events[0] == "the lights went out"
    assert "numpy 0.1 →" in again.events[1]


def test_a_full_disk_is_told_of_once_in_the_report_with_how_often_it_was_full(tmp_path, monkeypatch, capsys):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write", full)
    folder = {"folder": tmp_path / "run", "steps": 1}
    result = trained(task(500), "l-bfgs", checkpoint=folder, steps=3, record=tmp_path / "run.jsonl")
    assert len(result.events) == 2
    assert "No space left on device" in result.events[0]
    assert (
        result.events[1]
        == f"{capsys.readouterr().err.count('No space left')} checkpoints could not be written"
    )
    assert len(read_run(tmp_path / "run.jsonl").events) == 2


def test_a_checkpoint_of_another_method_is_refused(tmp_path):
    trained(task(), "l-bfgs", checkpoint=tmp_path / "run", steps=2)
    with pytest.raises(steepest.InputError, match="method"):
        trained(task(), "newton-cg", checkpoint=tmp_path / "run", resume=True)


def test_cost_without_a_lowest_point_is_never_called_a_minimum():
    """Separable classes: the cost falls towards zero and no finite point reaches it."""
    x = np.linspace(-1, 1, 200)[:, None] * [1.0, 0.5]
    sign = np.sign(x[:, 0])

    def cost(w, batch):
        return np.mean(np.logaddexp(0.0, -batch[1] * (batch[0] @ w)))

    for method in METHODS:
        for precision in ("float32", "float64"):
            for steps in (5, 30, 200):
                result = steepest.train(
                    cost,
                    np.zeros(2),
                    (x, sign),
                    method=method,
                    steps=steps,
                    precision=precision,
                    progress=False,
                )
                assert "minimum" not in result.verdict.value, str(result)


def test_a_cost_that_is_not_convex_gets_a_local_minimum_only_with_its_curvature():
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    y = np.tanh(1.5 * x + 0.3)

    def cost(w, batch):
        return np.mean((np.tanh(w[0] * batch[0] + w[1]) - batch[1]) ** 2) + 1e-3 * np.sum(w**2)

    found = steepest.train(
        cost, np.array([0.5, 0.0]), (x, y), method="newton-cg", precision="float64", progress=False
    )
    assert found.verdict == "local minimum", str(found)
    names = {item.name: item for item in found.evidence}
    w = found.params
    hessian = np.array(
        jax.hessian(
            lambda w: jax.numpy.mean((jax.numpy.tanh(w[0] * x + w[1]) - y) ** 2) + 1e-3 * jax.numpy.sum(w**2)
        )(w)
    )
    assert_allclose(names["smallest curvature"].measured, np.linalg.eigvalsh(hessian)[0], rtol=1e-4)


def test_a_saddle_is_not_called_a_minimum():
    x = np.linspace(1, 2, 50)

    def cost(w, x):
        return np.mean(x) * (w[0] ** 2 - w[1] ** 2 + w[1] ** 4)

    for method in METHODS:
        result = steepest.train(cost, np.zeros(2), x, method=method, progress=False)
        assert "minimum" not in result.verdict.value, str(result)


def test_early_stopping_gives_back_the_parameters_of_the_lowest_validation_cost():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 40))
    y = x[:, 0] + rng.normal(size=60)

    def cost(w, batch):
        return np.mean((batch[0] @ w - batch[1]) ** 2)

    result = steepest.train(
        cost,
        np.zeros(40),
        (x[:30], y[:30]),
        method="l-bfgs",
        validation=(x[30:], y[30:]),
        patience=3,
        progress=False,
    )
    values = [value for _, value in result.history.validations]
    assert result.ended == "stopped early"
    assert len(values) == int(np.argmin(values)) + 4
    assert_allclose(cost(result.params, (x[30:], y[30:])), min(values), rtol=1e-5)
    risen = steepest.train(
        cost, np.zeros(40), (x[:30], y[:30]), method="l-bfgs", validation=(x[30:], y[30:]), progress=False
    )
    assert risen.verdict == "overfitting"


@pytest.mark.parametrize("settings", [{"method": "l-bfgs"}, {"method": "adam", "rate": 0.05}])
def test_a_validation_cost_that_is_no_number_at_first_does_not_pass_for_the_lowest(settings):
    """On the validation data, z = 1, the cost is a number only for w > 1.5; on the way there w is below."""
    x = np.linspace(-1, 1, 64)

    def cost(w, batch):
        x, y, z = batch
        return np.mean((w * x - y) ** 2 + 1e-6 * np.sqrt(1 + z * (w - 2.5)))

    aside = x, 2 * x, np.ones(64)
    settings = {"batch_size": 32, "epochs": 40, "patience": 25, "progress": False} | settings
    result = steepest.train(cost, 0.0, (x, 2 * x, np.zeros(64)), validation=aside, **settings)
    values = [value for _, value in result.history.validations]
    assert np.isnan(values[0])
    assert_allclose(cost(result.params, aside), np.nanmin(values), rtol=1e-3)
    assert result.verdict != "overfitting"


def test_a_validation_cost_that_is_never_a_number_is_told_as_that():
    x = np.linspace(-1, 1, 64)
    aside = np.where(x > 0.9, np.inf, x), x
    result = steepest.train(
        lambda w, batch: np.mean((batch[0] @ w - batch[1]) ** 2),
        np.zeros(3),
        (x[:, None] ** [1, 2, 3], 2 * x**3 - x),
        method="l-bfgs",
        validation=(aside[0][:, None] ** [1, 2, 3], x),
        patience=2,
        progress=False,
    )
    assert result.ended == "stopped early"
    assert "never a finite number" in result.message


def test_a_cost_over_ranks_of_all_rows_is_evaluated_over_all_of_them_at_once():
    """Cox's partial likelihood: each row is compared with all that outlived it."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 2))
    later = np.tri(300).T

    def cost(w, batch):
        h = batch["x"] @ w
        return np.mean(np.log(batch["later"] @ np.exp(h)) - h)

    data = {"x": x, "later": later}
    theirs = scipy.optimize.minimize(lambda w: cost(w, data), np.zeros(2), tol=1e-10)
    for method in METHODS:
        result = steepest.train(cost, np.zeros(2), data, method=method, precision="float64", progress=False)
        assert_allclose(result.params, theirs.x, atol=1e-5)
        assert any("no mean over rows" in remark for remark in result.remarks)


@pytest.mark.parametrize("method", METHODS)
def test_a_cost_that_is_no_mean_over_rows_is_validated_over_all_of_them_at_once(method):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(200, 2))
    # Sorted, and of more bytes than one block: each block by itself would be standardised to something else.
    apart = np.sort(rng.normal(size=(100_000, 2)), axis=0)

    def cost(w, batch):
        h = batch @ w
        return np.mean(((h - np.mean(h)) / (1 + np.std(h)) - batch[:, 0]) ** 2)

    settings = {"steps": 2, "precision": "float64", "progress": False}
    result = steepest.train(cost, np.ones(2), x, method=method, validation=apart, **settings)
    assert_allclose(result.validation, cost(result.params, apart), rtol=1e-12)


@pytest.mark.parametrize("epochs", [0, -1, float("nan")])
def test_epochs_that_leave_nothing_to_do_are_refused(epochs):
    with pytest.raises(steepest.InputError, match="epochs="):
        trained(task(50), "l-bfgs", epochs=epochs)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "setting",
    [
        {"rate": 0.1},
        {"schedule": "cosine"},
        {"warmup": 5},
        {"weight_decay": 0.1},
        {"clip": 1.0},
        {"accumulate": 3},
        {"ceiling": 10.0},
    ],
)
def test_what_only_minibatches_have_is_refused_and_not_dropped(method, setting):
    with pytest.raises(steepest.InputError, match=f"{next(iter(setting))}=.*all data at every step"):
        trained(task(50), method, **setting)


def test_auto_takes_all_rows_where_the_cost_is_convex_and_says_why():
    result = steepest.train(logistic, start(), task(), epochs=20, progress=False)
    assert result.plan.name in METHODS
    assert "convex" in result.plan.because
    assert result.epochs <= 24
    assert result.verdict == "global minimum"


@pytest.mark.parametrize(
    "settings",
    [{"epochs": 2}, {"schedule": "cosine"}, {"clip": 1.0}, {"weight_decay": 0.1}, {"accumulate": 2}],
)
def test_auto_stays_with_minibatches_where_they_were_meant(settings):
    result = steepest.train(logistic, start(), task(600), **({"epochs": 8} | settings), progress=False)
    assert result.plan.name == "prodigy"


def test_auto_stays_with_minibatches_where_the_cost_is_not_convex():
    def cost(w, batch):
        return np.mean((np.tanh(batch[0] @ w["a"]) @ w["c"] - batch[1]) ** 2)

    x, sign = task(400)
    rng = np.random.default_rng(0)
    params = {"a": rng.normal(size=(8, 3)) / 30, "c": rng.normal(size=3)}
    result = steepest.train(cost, params, (x, sign), epochs=10, progress=False)
    assert result.plan.name == "prodigy"
    assert any("not shown to be convex" in words for words in result.plan.passed_over)


def trained_sparse_and_dense(method, rows, **settings):
    rng = np.random.default_rng(3)
    dense = np.where(rng.random((rows, 8)) < 0.1, rng.normal(size=(rows, 8)), 0.0)
    sign = np.where(rng.random(rows) < 1 / (1 + np.exp(-dense @ np.arange(8))), 1.0, -1.0)
    return [trained((x, sign), method, **settings) for x in (csr_matrix(dense), dense)]


@pytest.mark.parametrize("method", [*METHODS, "auto"])
def test_sparse_rows_are_trained_on_as_dense_ones_are(method):
    sparse, dense = trained_sparse_and_dense(method, 3000, epochs=12)
    assert_allclose(sparse.params["w"], dense.params["w"], atol=2e-3)
    assert sparse.verdict == "global minimum", str(sparse)


def test_minibatches_of_sparse_rows_give_the_bits_of_dense_ones():
    sparse, dense = trained_sparse_and_dense("adam", 500, epochs=2)
    assert_array_equal(sparse.params["w"], dense.params["w"])
    assert sparse.history.costs == dense.history.costs


def test_the_run_file_and_the_callback_see_every_step(tmp_path):
    seen = []
    result = trained(task(), "newton-cg", record=tmp_path / "run.jsonl", callback=seen.append)
    assert [row.step for row in seen] == list(range(1, result.steps + 1))
    told = read_run(tmp_path / "run.jsonl")
    assert told.column("value").tolist() == [row.cost for row in seen]
    assert told.end is not None
    stopped = trained(task(), "l-bfgs", callback=lambda row: row.step == 2)
    assert stopped.steps == 2
    assert stopped.verdict == "stopped"


def test_the_judge_tells_of_every_pass_so_that_a_slow_one_is_not_taken_for_late(monkeypatch):
    passes, told = [], []
    over, judge = Passes._over_blocks, whole_verdict.judge

    def counted(self, what, vectors):
        passes.append(what)
        return over(self, what, vectors)

    def judging(job, run):
        passes.clear()
        before = run.walker.stage
        found = judge(job, run)
        told.append(run.walker.stage - before)
        return found

    monkeypatch.setattr(Passes, "_over_blocks", counted)
    monkeypatch.setattr(whole_verdict, "judge", judging)
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(4000, 30)) * np.logspace(0, 2, 30), rng.normal(size=4000)

    def cost(w, batch):
        return np.mean((batch[0] @ w - batch[1]) ** 2)

    assert steepest.train(cost, np.zeros(30), (x, y), method="l-bfgs").verdict == "global minimum"
    assert passes.count("product") > 3
    assert told[0] >= len(passes)


def test_what_is_left_is_not_told_by_a_newton_step_without_curvature():
    rng = np.random.default_rng(0)
    side = np.where(rng.random(400) < 0.5, 1.0, -1.0)
    x = side[:, None] + 2 * rng.normal(size=(400, 2))

    def hinge(params, batch):  # curved in b alone
        x, side = batch
        return np.mean(np.maximum(1 - side * (x @ params["w"] + params["b"]), 0)) + 1e-3 * params["b"] ** 2

    result = steepest.train(
        hinge, {"w": np.zeros(2), "b": 0.0}, (x, side), method="l-bfgs", epochs=8, progress=False
    )
    assert result.verdict == "still falling"
    left = [float(word) for word in re.findall(r"about (\S+) is left", result.message)]
    assert all(amount <= 1.0 for amount in left)  # a cost that is nowhere negative, and was 1 at the start
