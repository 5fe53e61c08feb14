"""PyTorch costs against torch.optim: the same batches, the same steps, the same weights."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import steepest
from steepest.training.batches import Part, read_data

from .test_checkpoint import killed_and_resumed, run, same_parameters

torch = pytest.importorskip("torch")


def data(rows=512):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4)).astype(np.float32)
    return x, np.sin(x.sum(axis=1)).astype(np.float32)


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))


def cost(module, batch):
    x, y = batch
    return ((module(x)[:, 0] - y) ** 2).mean()


def by_torch(module, optimiser, rows, steps, batch_size):
    source, taken, epoch = read_data(rows, 0), 0, 0
    while taken < steps:
        for batch in source.batches(epoch, 0, batch_size, Part()):
            if taken == steps:
                break
            optimiser.zero_grad()
            cost(module, tuple(torch.as_tensor(array) for array in batch)).backward()
            optimiser.step()
            taken += 1
        epoch += 1


OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.05),
    # PyTorch's default decay is 0.01; ours, optax's, 1e-4.
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=1e-4),
}


@pytest.mark.parametrize("method", OPTIMISERS)
def test_a_module_gets_the_weights_that_torch_optim_gives_it(method):
    ours, theirs = network(), network()
    rows = [array.astype(np.float64) for array in data()]
    ours, theirs = ours.double(), theirs.double()
    result = steepest.train(cost, ours, tuple(rows), batch_size=64, steps=30, method=method, rate=0.05)
    by_torch(theirs, OPTIMISERS[method](theirs.parameters()), tuple(rows), 30, 64)
    assert result.params is ours
    assert result.precision == "float64"
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        # The rate is held in float32: 6e-8 of each step.
        assert_allclose(mine.detach().numpy(), its.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_tensors_in_a_dict_come_back_as_tensors_and_the_users_stay_as_they_were():
    start = {"w": torch.zeros(4), "b": torch.zeros(())}

    def linear(params, batch):
        x, y = batch
        return ((x @ params["w"] + params["b"] - y) ** 2).mean()

    x, _ = data()
    y = (x @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.3).astype(np.float32)
    result = steepest.train(linear, start, (x, y), batch_size=64, epochs=20, method="adam", rate=0.05)
    assert isinstance(result.params["w"], torch.Tensor)
    assert_allclose(result.params["w"], [1.0, -2.0, 0.5, 0.0], atol=0.02)
    assert_allclose(start["w"], 0.0)


def test_tensors_and_a_loader_of_pytorch_are_data_too():
    x, y = data(rows=128)
    ours, tensors, loaded = network(), network(), network()
    given = {"batch_size": 64, "epochs": 2, "method": "sgd"}
    steepest.train(cost, ours, (x, y), **given)
    steepest.train(cost, tensors, (torch.tensor(x), torch.tensor(y)), **given)
    for mine, its in zip(ours.parameters(), tensors.parameters(), strict=True):
        assert_allclose(mine.detach(), its.detach(), rtol=0)
    rows = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
    result = steepest.train(
        cost, loaded, torch.utils.data.DataLoader(rows, batch_size=32), epochs=2, method="sgd"
    )
    assert (result.steps, result.epochs) == (8, 2.0)
    assert_allclose(result.cost, float(cost(loaded, (torch.tensor(x), torch.tensor(y))).detach()), rtol=1e-5)


SOURCES = {
    "arrays": lambda x, y: (x, y),
    "a list of batches": lambda x, y: [(x[k : k + 64], y[k : k + 64]) for k in range(0, len(x), 64)],
    "tensors": lambda x, y: (torch.from_numpy(x), torch.from_numpy(y)),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("method", ["adam", "auto"])
def test_a_cost_that_changes_its_rows_in_place_is_one_that_does_not(source, method):
    """The first step of "auto" is found by evaluating one batch again and again; a list is read once an epoch."""

    def in_place(module, batch):
        batch[0].mul_(0.25)
        return cost(module, batch)

    def apart(module, batch):
        return cost(module, (batch[0] * 0.25, batch[1]))

    found = []
    for function in (in_place, apart):
        x, y = data()
        sizes = {} if source == "a list of batches" else {"batch_size": 64}
        result = steepest.train(
            function, network(), SOURCES[source](x, y), validation=(x[:100], y[:100]), method=method, steps=20, **sizes
        )  # fmt: skip
        assert_array_equal(x, data()[0])  # the user's rows are what they were
        found.append((result.arrays, result.history.costs, result.validation))
    for ours, its in zip(found[0][0], found[1][0], strict=True):
        assert_array_equal(ours, its)
    assert found[0][1:] == found[1][1:]


def test_minimize_walks_a_torch_function_to_its_minimum():
    def valley(p):
        return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2

    result = steepest.minimize(valley, torch.tensor([-1.2, 1.0], dtype=torch.float64))
    assert isinstance(result.x, torch.Tensor)
    assert_allclose(result.x, [1.0, 1.0], atol=1e-6)
    assert result.success


def test_minimize_writes_the_weights_of_a_module_back():
    module = torch.nn.Linear(3, 1).double()
    x = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) + 0.3
    before = copy.deepcopy(module)
    result = steepest.minimize(lambda m: ((m(x)[:, 0] - y) ** 2).mean(), module)
    assert result.x is module
    for k in range(3):
        told = next(line for line in str(result).splitlines() if f"weight[0, {k}]" in line)
        assert_allclose(float(told.split("]")[1].split()[0]), module.weight[0, k].item(), rtol=1e-9)
    assert_allclose(module.weight.detach()[0], [1.0, -2.0, 0.5], atol=1e-6)
    assert not torch.equal(module.weight, before.weight)


def test_minimize_leaves_running_means_numbers_where_the_cost_is_none():
    module = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.BatchNorm1d(1)).double()
    x = torch.linspace(1.0, 2.0, 20, dtype=torch.float64)[:, None]

    def cost(m):  # no number where the weight is negative
        return (m(torch.sqrt(m[0].weight) * x)[:, 0] - x[:, 0]).square().mean() + 1e3 * m[0].weight.sum()

    with torch.no_grad():
        module[0].weight.fill_(1.0)
    steepest.minimize(cost, module)
    assert all(torch.isfinite(tensor).all() for tensor in module.buffers())


def test_minimize_has_the_exact_slope_of_a_torch_function():
    A = torch.tensor([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]], dtype=torch.float64)
    b = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    seen = []

    def quadratic(x):
        seen.append(x)
        return 0.5 * x @ A @ x - b @ x

    result = steepest.minimize(quadratic, torch.zeros(3, dtype=torch.float64))
    assert all(isinstance(x, torch.Tensor) for x in seen)
    assert_allclose(result.x, torch.linalg.solve(A, b), rtol=1e-9)
    assert_allclose(result.jac, (A @ result.x - b).numpy(), atol=1e-13)


def test_accumulated_slopes_are_those_of_the_whole_batch():
    whole, parts = network().double(), network().double()
    given = {"batch_size": 64, "steps": 20, "method": "momentum"}
    steepest.train(cost, whole, data(), **given)
    steepest.train(cost, parts, data(), accumulate=4, **given)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert_allclose(one.detach().numpy(), other.detach().numpy(), rtol=1e-12)


def test_the_validation_cost_is_the_mean_over_all_rows_kept_aside():
    module, aside = network(), data(rows=1300)
    result = steepest.train(cost, module, data(), batch_size=64, epochs=2, validation=aside)
    with torch.no_grad():
        exact = cost(module, tuple(map(torch.as_tensor, aside)))
    assert_allclose(result.validation, float(exact), rtol=1e-5)


def test_early_stopping_gives_back_the_best_weights():
    x, y = data(rows=64)
    noisy = y + np.random.default_rng(1).normal(size=64).astype(np.float32)
    module = torch.nn.Sequential(torch.nn.Linear(4, 128), torch.nn.Tanh(), torch.nn.Linear(128, 1))
    aside = data(rows=300)
    given = {"batch_size": 32, "epochs": 400, "method": "adam", "rate": 0.02}
    result = steepest.train(cost, module, (x, noisy), validation=aside, patience=5, **given)
    assert result.ended == "stopped early"
    with torch.no_grad():
        reached = float(cost(module, tuple(map(torch.as_tensor, aside))))
    assert_allclose(reached, min(value for _, value in result.history.validations), rtol=1e-5)


def drawing():
    """A module that draws random numbers and keeps running means."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 32),
        torch.nn.BatchNorm1d(32),
        torch.nn.Tanh(),
        torch.nn.Dropout(0.2),
        torch.nn.Linear(32, 1),
    )


def test_a_torch_run_taken_up_again_has_the_bits_of_one_that_went_through(tmp_path):
    given = {"batch_size": 64, "epochs": 12, "method": "adam", "schedule": "cosine", "validation": data(100)}
    whole, parts, rest = drawing(), drawing(), drawing()
    place = {"folder": tmp_path / "parts", "steps": 10}
    steepest.train(cost, whole, data(), checkpoint={"folder": tmp_path / "whole", "steps": 10}, **given)
    steepest.train(cost, parts, data(), checkpoint=place, callback=lambda row: row.step >= 40, **given)
    torch.manual_seed(99)  # what the user draws in between changes nothing
    torch.rand(5)
    steepest.train(cost, rest, data(), checkpoint=place, resume=True, **given)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, rest.state_dict()[name]), name
    assert not torch.equal(whole[0].weight, parts[0].weight)


JOB = """
import numpy as np, torch

def cost(module, batch):
    x, y = batch
    return ((module(x)[:, 0] - y) ** 2).mean()

def job():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4096, 8)).astype(np.float32)
    module = torch.nn.Sequential(
        torch.nn.Linear(8, 32), torch.nn.BatchNorm1d(32), torch.nn.Tanh(), torch.nn.Dropout(0.1), torch.nn.Linear(32, 1)
    )
    return dict(cost=cost, params=module, data=(x, np.sin(x.sum(axis=1))), batch_size=64, epochs=20, method="adam",
                schedule="cosine", checkpoint=dict(folder=".", steps=20))
"""


@pytest.mark.slow
def test_a_torch_run_killed_and_resumed_ends_with_the_bits_of_one_never_stopped(tmp_path):
    (tmp_path / "job.py").write_text(JOB)
    run(tmp_path, "--checkpoint", tmp_path / "whole", "--out", tmp_path / "whole.npz")
    assert killed_and_resumed(tmp_path, "killed", kills=5, seed=0) >= 2
    same_parameters(tmp_path / "whole.npz", tmp_path / "killed.npz")


def test_a_torch_run_that_blows_up_goes_back_and_takes_smaller_steps():
    module = network()
    result = steepest.train(cost, module, data(), batch_size=64, epochs=20, method="sgd", rate=50.0)
    assert "Back to step" in result.events[0]
    assert result.success
    assert all(torch.isfinite(parameter).all() for parameter in module.parameters())


def test_the_users_random_numbers_and_running_means_are_left_alone():
    module = drawing()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    steepest.train(cost, module, data(), batch_size=64, steps=8)
    assert torch.equal(torch.get_rng_state(), before)
    assert int(module[1].num_batches_tracked) == 8  # neither the verdict's batches nor the opening's count
    assert module.training


def keeping(rows=600):
    """A module that keeps running means and draws nothing, and its data."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    )
    return module, data(rows=rows)


def test_running_means_are_those_before_the_data_that_are_no_numbers():
    module, (x, y) = keeping()
    spoiled = x.copy()
    spoiled[300, 1] = np.nan
    given = {"batch_size": 32, "method": "adam", "rate": 0.01}
    result = steepest.train(cost, module, (spoiled, y), epochs=3, **given)
    assert result.verdict == "not finite"
    assert result.steps > 0
    clean, _ = keeping()
    steepest.train(cost, clean, (x, y), steps=result.steps, **given)
    for name, value in clean.state_dict().items():
        assert_allclose(module.state_dict()[name], value, rtol=1e-6, atol=1e-7, err_msg=name)


def test_running_means_go_with_the_weights_that_an_early_stop_gives_back(tmp_path):
    module, (x, y) = keeping(rows=64)
    noisy = y + np.random.default_rng(1).normal(size=64).astype(np.float32)
    aside = data(rows=300)
    given = {"batch_size": 32, "method": "adam", "rate": 0.03, "validation": aside, "patience": 6}
    place = {"folder": tmp_path, "steps": 1}
    first = steepest.train(cost, module, (x, noisy), epochs=400, checkpoint=place, **given)
    assert first.ended == "stopped early"
    for epochs in (400, 401):  # as it was left, and taken up again only to be given back
        if epochs == 401:
            module, _ = keeping(rows=64)
            steepest.train(cost, module, (x, noisy), epochs=epochs, checkpoint=place, resume=True, **given)
        module.eval()
        with torch.no_grad():
            reached = float(cost(module, tuple(map(torch.as_tensor, aside))))
        assert_allclose(reached, first.validation, rtol=1e-5)


def test_what_costs_of_torch_do_not_have_is_said():
    with pytest.raises(steepest.InputError, match="shard= is not for PyTorch"):
        steepest.train(cost, network(), data(), shard="params")
    with pytest.raises(steepest.InputError, match="no single number"):
        steepest.train(lambda m, batch: m(batch[0]), network(), data(), steps=1)
    with pytest.raises(steepest.InputError, match="float16"):
        steepest.train(cost, network().half(), data(), steps=1)


def of_rows(cost, source=None):
    return " ".join(
        steepest.train(cost, network(), source or data(), batch_size=64, steps=1, method="sgd").remarks
    )


def squares(module, batch):
    return ((module(batch[0]) - batch[1]) ** 2).mean()


def test_a_column_that_meets_flat_targets_is_remarked_on_and_equal_shapes_are_not():
    x, y = data()
    assert "shapes (64, 1) and (64,) make (64, 64)" in of_rows(squares)
    assert not of_rows(squares, (x, y[:, None]))
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=64
    )
    told = steepest.train(squares, network(), loader, steps=1, method="sgd").remarks
    assert "meets what was given for every other" in " ".join(told)


def test_a_sum_over_rows_is_remarked_on_and_a_mean_or_a_norm_is_not():
    assert "sum over the rows" in of_rows(lambda module, batch: 64 * cost(module, batch) / 64 * len(batch[1]))
    assert not of_rows(cost)
    assert not of_rows(lambda module, batch: torch.linalg.norm(module(batch[0])[:, 0] - batch[1]))


def root(module, batch):
    return torch.sqrt(((module(batch[0])[:, 0] - batch[1]) ** 2).mean())


def two_kinds_of_rows(module, batch):
    return torch.sqrt((module(batch[0]) ** 2).mean() + (batch[1] ** 2).mean())


def test_arrays_that_are_not_used_or_are_no_pairs_are_not_remarked_on():
    x, y = data()
    assert not of_rows(root, (x, y, np.arange(len(y))))
    assert not of_rows(two_kinds_of_rows)
    assert not of_rows(lambda module, batch: (module(batch[0]).mean() - batch[1].mean()) ** 2)
    for power in (1.0, 0.5):  # errors of all pairs, with an array besides that is not used
        told = of_rows(
            lambda module, batch, power=power: squares(module, batch) ** power, (x, y, np.arange(len(y)))
        )
        assert "shapes (64, 1) and (64,) make (64, 64)" in told


def test_a_layer_that_is_kept_from_training_stays_so_beside_a_validation():
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    module[1].eval()
    steepest.train(cost, module, data(), batch_size=64, epochs=2, method="sgd", validation=data(64))
    assert [part.training for part in module] == [True, False, True]
    assert_array_equal(module[1].running_mean, np.zeros(4))


def test_a_cost_that_reads_no_parameter_or_gives_no_number_at_the_start_is_told_so():
    inner = network()

    def of_others(tensors, batch):
        return cost(inner, batch)

    def cut_off(module, batch):
        with torch.no_grad():
            return cost(module, batch)

    for wrong, params in ((of_others, list(inner.parameters())), (cut_off, network())):
        with pytest.raises(steepest.InputError, match="depends on none of the parameters"):
            steepest.train(wrong, params, data(), steps=1)
    with pytest.raises(steepest.InputError, match=r"leave out \.item\(\)"):
        steepest.train(lambda module, batch: cost(module, batch).item(), network(), data(), steps=1)
    with pytest.raises(steepest.InputError, match="of a module of PyTorch the module itself"):
        steepest.train(cost, inner.parameters(), data(), steps=1)
    with pytest.raises(steepest.InputError, match="an optimiser of PyTorch's, Adam; name its rule"):
        steepest.train(cost, inner, data(), method=torch.optim.Adam(inner.parameters()))
    hopeless = steepest.train(
        lambda module, batch: torch.log(-torch.exp(module(batch[0]))).mean(), network(), data(), steps=5
    )
    assert (hopeless.verdict, hopeless.steps) == ("not finite", 0)
    assert "no smaller step can help" in hopeless.next_step
    assert len(hopeless.events) == 0


def test_bfloat16_rows_reach_a_module_in_its_own_numbers():
    x, y = (torch.tensor(array).bfloat16() for array in data())
    ours, theirs = network(), network()
    given = {"batch_size": 64, "steps": 3, "method": "sgd"}
    steepest.train(cost, ours, (x, y), **given)
    steepest.train(cost, theirs, (x.float().numpy(), y.float().numpy()), **given)
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_allclose(mine.detach(), its.detach(), rtol=0)
