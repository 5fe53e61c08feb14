"""Training tasks small enough for a grid of rates: data that ship with scikit-learn, and generated ones.

Every cost is written for the array module `xp`, so that NumPy (for steepest) and jax.numpy (for the peers) run the
same lines.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Task:
    """A cost for any array module, where it starts, its data, and the budget it is given."""

    name: str
    cost: Callable[[Any], Callable[..., Any]]
    params: Any
    data: Any
    batch_size: int
    steps: int


def softmax_cost(xp: Any, scores: Any, label: Any) -> Any:
    scores = scores - xp.max(scores, axis=1, keepdims=True)
    return xp.mean(xp.log(xp.sum(xp.exp(scores), axis=1)) - scores[xp.arange(label.shape[0]), label])


def layers(rng: np.random.Generator, sizes: list[int]) -> dict[str, np.ndarray]:
    """Weights scaled for ReLU (He et al. 2015), biases at zero."""
    params = {}
    for i, (a, b) in enumerate(pairwise(sizes)):
        params[f"W{i}"] = (rng.normal(size=(a, b)) * np.sqrt(2 / a)).astype(np.float32)
        params[f"b{i}"] = np.zeros(b, np.float32)
    return params


def forward(xp: Any, params: Any, x: Any, depth: int) -> Any:
    for i in range(depth - 1):
        x = xp.maximum(x @ params[f"W{i}"] + params[f"b{i}"], 0.0)
    return x @ params[f"W{depth - 1}"] + params[f"b{depth - 1}"]


def mlp_cost(depth: int) -> Callable[[Any], Callable[..., Any]]:
    def cost_of(xp: Any) -> Callable[..., Any]:
        def cost(params: Any, batch: Any) -> Any:
            return softmax_cost(xp, forward(xp, params, batch["x"], depth), batch["y"])

        return cost

    return cost_of


def regression_cost(depth: int) -> Callable[[Any], Callable[..., Any]]:
    def cost_of(xp: Any) -> Callable[..., Any]:
        def cost(params: Any, batch: Any) -> Any:
            return xp.mean((forward(xp, params, batch["x"], depth)[:, 0] - batch["y"]) ** 2)

        return cost

    return cost_of


def standardised(x: np.ndarray) -> np.ndarray:
    return ((x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)).astype(np.float32)


def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return (x / 16).astype(np.float32), y.astype(np.int32)


def digits_mlp() -> Task:
    x, y = digits()
    params = layers(np.random.default_rng(0), [64, 64, 10])
    return Task("digits, MLP 64-64-10", mlp_cost(2), params, {"x": x, "y": y}, 64, 1000)


def digits_deep() -> Task:
    x, y = digits()
    params = layers(np.random.default_rng(1), [64, 64, 64, 64, 64, 10])
    noisy = np.random.default_rng(2).permutation(len(y))[: len(y) // 5]
    y = y.copy()
    y[noisy] = np.random.default_rng(3).integers(0, 10, len(noisy))
    return Task(
        "digits, 5 layers, a fifth of the labels wrong", mlp_cost(5), params, {"x": x, "y": y}, 64, 1000
    )


def digits_convolution() -> Task:
    x, y = digits()
    rng = np.random.default_rng(0)
    params = {
        "K": (rng.normal(size=(3, 3, 1, 8)) / 3).astype(np.float32),
        "c": np.zeros(8, np.float32),
        "W": (rng.normal(size=(288, 10)) / 17).astype(np.float32),
        "b": np.zeros(10, np.float32),
    }

    def cost_of(xp: Any) -> Callable[..., Any]:
        def cost(params: Any, batch: Any) -> Any:
            image = batch["x"].reshape(-1, 8, 8, 1)
            pieces = [
                image[:, i : i + 6, j : j + 6, :] @ params["K"][i, j] for i in range(3) for j in range(3)
            ]
            hidden = xp.maximum(sum(pieces[1:], pieces[0]) + params["c"], 0.0)
            return softmax_cost(xp, hidden.reshape(-1, 288) @ params["W"] + params["b"], batch["y"])

        return cost

    return Task("digits, convolution", cost_of, params, {"x": x, "y": y}, 64, 1000)


def cancer_logistic() -> Task:
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    sign = np.where(y == 1, 1.0, -1.0).astype(np.float32)

    def cost_of(xp: Any) -> Callable[..., Any]:
        def cost(params: Any, batch: Any) -> Any:
            margin = batch["y"] * (batch["x"] @ params["w"] + params["b"])
            return xp.mean(xp.logaddexp(0.0, -margin)) + 5e-4 * xp.sum(params["w"] ** 2)

        return cost

    params = {"w": np.zeros(30, np.float32), "b": np.zeros((), np.float32)}
    return Task("breast cancer, logistic", cost_of, params, {"x": standardised(x), "y": sign}, 32, 1000)


def diabetes() -> Task:
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    params = layers(np.random.default_rng(0), [10, 32, 1])
    return Task(
        "diabetes, MLP 10-32-1",
        regression_cost(2),
        params,
        {"x": standardised(x), "y": standardised(y[:, None])[:, 0]},
        32,
        1000,
    )


def wine() -> Task:
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    rng = np.random.default_rng(4)
    x = standardised(x) + rng.normal(size=x.shape).astype(np.float32)
    params = {"W0": np.zeros((13, 3), np.float32), "b0": np.zeros(3, np.float32)}
    return Task("wine with noise, softmax", mlp_cost(1), params, {"x": x, "y": y.astype(np.int32)}, 16, 500)


def teacher() -> Task:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4096, 20)).astype(np.float32)
    truth = layers(rng, [20, 10, 1])
    y = forward(np, truth, x, 2)[:, 0] + 0.3 * rng.normal(size=4096)
    params = layers(np.random.default_rng(6), [20, 64, 64, 1])
    return Task(
        "teacher and student, MLP 20-64-64-1",
        regression_cost(3),
        params,
        {"x": x, "y": y.astype(np.float32)},
        64,
        1500,
    )


def scales() -> Task:
    rng = np.random.default_rng(7)
    size = np.logspace(-1.5, 1.5, 30)
    x = rng.normal(size=(4096, 30)) * size
    y = x @ (rng.normal(size=30) / size) + 0.5 * rng.normal(size=4096)
    params = {"W0": np.zeros((30, 1), np.float32), "b0": np.zeros(1, np.float32)}
    data = {"x": x.astype(np.float32), "y": y.astype(np.float32)}
    return Task("regression, scales 1 to 1,000", regression_cost(1), params, data, 64, 1500)


def factors() -> Task:
    rng = np.random.default_rng(8)
    left, right = rng.normal(size=(200, 5)), rng.normal(size=(150, 5))
    i, j = rng.integers(0, 200, 8000), rng.integers(0, 150, 8000)
    y = np.sum(left[i] * right[j], axis=1) + 0.5 * rng.normal(size=8000)
    params = {
        "L": (rng.normal(size=(200, 8)) / 3).astype(np.float32),
        "R": (rng.normal(size=(150, 8)) / 3).astype(np.float32),
    }

    def cost_of(xp: Any) -> Callable[..., Any]:
        def cost(params: Any, batch: Any) -> Any:
            made = xp.sum(params["L"][batch["i"]] * params["R"][batch["j"]], axis=1)
            return xp.mean((made - batch["y"]) ** 2)

        return cost

    data = {"i": i.astype(np.int32), "j": j.astype(np.int32), "y": y.astype(np.float32)}
    return Task("matrix factors, 200×150 rank 8", cost_of, params, data, 128, 1500)


def language() -> Task:
    rng = np.random.default_rng(9)
    table = rng.dirichlet(np.full(16, 0.2), size=(16, 16))
    text = np.zeros(20000, np.int32)
    for k in range(2, len(text)):
        text[k] = rng.choice(16, p=table[text[k - 2], text[k - 1]])
    context = 16
    windows = np.lib.stride_tricks.sliding_window_view(text, context + 1)[:: context // 2].copy()
    width = 32
    params = {
        "embed": 0.3 * rng.normal(size=(16, width)),
        "place": 0.3 * rng.normal(size=(context, width)),
        "qkv": rng.normal(size=(width, 3 * width)) / np.sqrt(width),
        "mix": rng.normal(size=(width, width)) / np.sqrt(width),
        "up": rng.normal(size=(width, 4 * width)) / np.sqrt(width),
        "down": rng.normal(size=(4 * width, width)) / np.sqrt(4 * width),
        "out": rng.normal(size=(width, 16)) / np.sqrt(width),
    }
    params = {name: value.astype(np.float32) for name, value in params.items()}

    def cost_of(xp: Any) -> Callable[..., Any]:
        def normal(h: Any) -> Any:
            return h / xp.sqrt(xp.mean(h * h, axis=-1, keepdims=True) + 1e-6)

        def cost(params: Any, batch: Any) -> Any:
            seen, following = batch[:, :-1], batch[:, 1:]
            h = params["embed"][seen] + params["place"]
            q, k, v = xp.split(normal(h) @ params["qkv"], 3, axis=-1)
            weight = q @ xp.swapaxes(k, 1, 2) / np.float32(np.sqrt(width))
            weight = xp.where(np.tril(np.ones((context, context), bool)), weight, -1e9)
            weight = xp.exp(weight - xp.max(weight, axis=-1, keepdims=True))
            weight = weight / xp.sum(weight, axis=-1, keepdims=True)
            h = h + weight @ v @ params["mix"]
            h = h + xp.maximum(normal(h) @ params["up"], 0.0) @ params["down"]
            scores = normal(h) @ params["out"]
            return softmax_cost(xp, scores.reshape(-1, 16), following.reshape(-1))

        return cost

    return Task("characters, a small transformer", cost_of, params, windows, 32, 1500)


TASKS = [
    digits_mlp,
    digits_deep,
    digits_convolution,
    cancer_logistic,
    diabetes,
    wine,
    teacher,
    scales,
    factors,
    language,
]
