"""A model that makes nothing of its rows is told so, and why; one that learns, or draws its own noise, is not."""

import numpy as np
import pytest

import steepest

pytestmark = pytest.mark.usefixtures("compiled_once")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1024, 5))
Y = np.sin(X[:, 0]) + X[:, 1] + 0.1 * RNG.normal(size=1024)
TOLD = "Nothing was learned that tells one row from another"


def relu(x):
    return np.maximum(x, 0)


def layers(params, x, active=np.tanh):
    return (active(x @ params["W"] + params["b"]) @ params["V"] + params["c"])[:, 0]


def squares(params, batch):
    return np.mean((layers(params, batch[0]) - batch[1]) ** 2)


def rectified(params, batch):
    return np.mean((layers(params, batch[0], relu) - batch[1]) ** 2)


def penalised(params, batch):
    return squares(params, batch) + 30 * (np.sum(params["W"] ** 2) + np.sum(params["V"] ** 2))


def start(**changed):
    rng = np.random.default_rng(1)
    params = {
        "W": rng.normal(size=(5, 16)) / np.sqrt(5),
        "b": np.zeros(16),
        "V": rng.normal(size=(16, 1)) / 4,
        "c": np.zeros(1),
    }
    return params | changed


def walked(cost, params, data, **settings):
    settings = {"method": "adam", "rate": 0.02, "epochs": 30, "batch_size": 64} | settings
    return steepest.train(cost, params, data, **settings)


@pytest.mark.parametrize(
    ("cost", "params", "data", "said", "advised"),
    [
        (squares, start(W=np.zeros((5, 16)), V=np.zeros((16, 1))), (X, Y), "W, V began at zero", "random"),
        (rectified, start(b=np.full(16, -100.0)), (X, Y), "Dead: all of W; all of b; all of V", "dead"),
        (penalised, start(), (X, Y), "a penalty or a decay outweighs the data", "a smaller penalty"),
    ],
)
def test_a_model_that_gives_every_row_the_same_is_told_so_and_why(cost, params, data, said, advised):
    result = walked(cost, params, data)
    assert TOLD in result.message
    assert said in result.message
    assert advised in result.next_step
    assert any(item.name == "rows told apart" and not item.holds for item in result.evidence)


@pytest.mark.parametrize("settings", [{}, {"method": "sgd", "rate": 1e-3}])
def test_a_column_far_from_one_is_named_where_it_saturates_units_or_makes_the_run_diverge(settings):
    x = X.copy()
    x[:, 2] *= 1e6
    cost = linear if settings else squares
    result = walked(cost, {"w": np.zeros(5)} if settings else start(), (x, Y), epochs=3, **settings)
    assert "column 2 of data[0] holds numbers of size" in result.message
    assert "x.std(axis=0)" in result.next_step


def linear(params, batch):
    return np.mean((batch[0] @ params["w"] - batch[1]) ** 2)


def test_columns_that_the_cost_scales_itself_are_let_be():
    def scaled(params, batch):
        x, y = batch
        return rectified(params, (x / 1e6 - 1, y))

    result = walked(scaled, start(b=np.full(16, -100.0)), (1e6 * (1 + X), Y), epochs=3)
    assert "Dead" in result.message
    assert "holds numbers of size" not in result.message


def weighted(params, batch):
    x, weight = batch
    return np.mean(weight * (params["s"] + 0.5 * ((x - params["m"]) / np.exp(params["s"])) ** 2))


def apart(params, batch):
    return np.mean((batch[0][:, 0] - params["m"]) ** 2 + np.abs(batch[1] - params["s"]))


def denoised(params, batch):
    x, noise = batch
    return np.mean((np.tanh((x + noise) @ params["W"] + params["b"]) @ params["V"] - noise[:, :1]) ** 2)


def pairs(params, batch):
    one, other = batch[0] @ params["W"], batch[1] @ params["W"]
    scores = one @ other.T
    return np.mean(np.log(np.sum(np.exp(scores), axis=1)) - np.diagonal(scores))


def rebuilt(params, x):
    return np.tanh(x @ params["W"]) @ params["V"].T


def weighted_rows(params, batch):
    x, weight = batch
    return np.mean(weight[:, None] * (rebuilt(params, x) - x) ** 2)


def disturbed(params, batch):
    x, noise = batch
    return np.mean((rebuilt(params, x + 0.003 * noise) - x) ** 2)


CODED = X[:, :2] @ RNG.normal(size=(2, 5))
CODE = {"W": start()["W"][:, :2], "V": start()["W"][:, 2:4]}


@pytest.mark.parametrize(
    ("cost", "params", "data"),
    [
        (weighted_rows, CODE, (CODED, 1 + 0.003 * RNG.normal(size=1024))),
        (disturbed, CODE, (CODED, RNG.normal(size=CODED.shape))),
        (weighted, {"m": 0.0, "s": 0.0}, (3 + X[:, 0], RNG.uniform(0.998, 1.002, 1024))),
        (squares, start(), (X, Y)),
        (squares, start(V=np.zeros((16, 1))), (X, Y)),
        (weighted, {"m": 0.0, "s": 0.0}, (X[:, 0], RNG.uniform(0.5, 1.5, 1024))),
        (apart, {"m": 0.0, "s": 0.0}, (X, Y)),
        (denoised, start(), lambda rng: (0.3 * rng.normal(size=(64, 5)), rng.normal(size=(64, 5)))),
        (pairs, {"W": 0.1 * start()["W"]}, (X, X + 0.1 * RNG.normal(size=X.shape))),
        (squares, start(), (X, 0.1 * X[:, 0] + RNG.normal(size=1024))),
    ],
)
def test_a_model_that_learns_or_has_nothing_to_tell_apart_is_not(cost, params, data):
    result = walked(cost, params, data, **({"epochs": None, "steps": 300} if callable(data) else {}))
    assert TOLD not in result.message
    assert all(item.name != "rows told apart" for item in result.evidence)


def in_a_unit(cost):
    """The same in a unit that is read from the data: one program is compiled for all units."""
    return lambda params, batch: batch[2][0] * cost(params, batch[:2])


def test_the_unit_of_the_cost_changes_nothing_of_it():
    for unit in (1e-9, 1e9):
        data = (X, Y, np.full(1024, unit))
        assert TOLD in walked(in_a_unit(rectified), start(b=np.full(16, -100.0)), data, epochs=5).message
        assert TOLD not in walked(in_a_unit(squares), start(), data, epochs=5).message
