"""Small models and data that the tests of training share."""

from inspect import signature

import numpy as np

from steepest.train import _job, train


def regression(rows=512, noise=0.1, seed=0):
    """A linear model's data, its cost, and a start."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    y = x @ np.array([1.0, -2.0, 0.5]) + 0.3 + noise * rng.normal(size=rows)
    return squared_error, {"w": np.zeros(3), "b": 0.0}, {"x": x, "y": y}


def squared_error(params, batch):
    return np.mean((batch["x"] @ params["w"] + params["b"] - batch["y"]) ** 2)


def classification(rows=512, seed=0):
    """Three noisy rings, a two-layer network in NumPy, and a start."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, rows)
    angle, radius = rng.uniform(0, 2 * np.pi, rows), 1 + label + 0.2 * rng.normal(size=rows)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
    params = {
        "hidden": {"W": rng.normal(size=(2, 16)).astype(np.float32), "b": np.zeros(16, np.float32)},
        "out": {"W": rng.normal(size=(16, 3)).astype(np.float32) / 4, "b": np.zeros(3, np.float32)},
    }
    return cross_entropy, params, (x, label)


def cross_entropy(params, batch):
    x, label = batch
    hidden = np.tanh(x @ params["hidden"]["W"] + params["hidden"]["b"])
    scores = hidden @ params["out"]["W"] + params["out"]["b"]
    scores = scores - np.max(scores, axis=1, keepdims=True)
    chosen = scores[np.arange(len(label)), label]
    return np.mean(np.log(np.sum(np.exp(scores), axis=1)) - chosen)


def job(cost, params, data, **settings):
    """A run before its first step, for which nothing is compiled."""
    given = {name: argument.default for name, argument in signature(train).parameters.items()}
    settings = {"batch_size": 16, "steps": 2, "method": "sgd", "rate": 1e-3} | settings
    return _job(given | {"cost": cost, "params": params, "data": data} | settings)


def remarks(cost, params, data, **settings):
    """What a run remarks on before its first step."""
    return " ".join(job(cost, params, data, **settings).remarks)
