"""PyTorch costs against torch.optim: the same batches, the same steps, the same weights."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest
from steepest.training.batches import Part, read_data

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
}


@pytest.mark.parametrize("method", OPTIMISERS)
def test_a_module_gets_the_weights_that_torch_optim_gives_it(method):
    ours, theirs = network(), network()
    result = steepest.train(cost, ours, data(), batch_size=64, steps=30, method=method, rate=0.05)
    by_torch(theirs, OPTIMISERS[method](theirs.parameters()), data(), 30, 64)
    assert result.params is ours
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_allclose(mine.detach().numpy(), its.detach().numpy(), rtol=1e-3, atol=1e-5)


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
    assert_allclose(module.weight.detach()[0], [1.0, -2.0, 0.5], atol=1e-6)
    assert not torch.equal(module.weight, before.weight)


def test_what_the_torch_loop_does_not_do_is_said():
    with pytest.raises(steepest.InputError, match="checkpoint= is not for PyTorch"):
        steepest.train(cost, network(), data(), checkpoint="run")
    with pytest.raises(steepest.InputError, match="no single number"):
        steepest.train(lambda m, batch: m(batch[0]), network(), data(), steps=1)
