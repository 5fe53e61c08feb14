"""A convolution, in plain NumPy, tells horizontal from vertical and slanted bars in noisy pictures."""

import numpy as np

import steepest


def pictures(rows, seed):
    rng = np.random.default_rng(seed)
    kind, place = rng.integers(0, 3, rows), rng.integers(1, 9, rows)
    x = rng.normal(scale=0.4, size=(rows, 10, 10, 1))
    for k in range(rows):
        if kind[k] == 0:
            x[k, place[k], :, 0] += 1
        elif kind[k] == 1:
            x[k, :, place[k], 0] += 1
        else:
            x[k, np.arange(10), np.roll(np.arange(10), place[k]), 0] += 1
    return {"picture": x, "kind": kind}


def cost(params, batch):
    """Mean cross-entropy; a 3×3 convolution is nine shifted matrix products."""
    x = batch["picture"]
    shifted = [x[:, i : i + 8, j : j + 8, :] @ params["kernel"][i, j] for i in range(3) for j in range(3)]
    hidden = np.maximum(sum(shifted) + params["bias"], 0.0)
    scores = np.max(hidden, axis=(1, 2)) @ params["W"] + params["b"]
    scores = scores - np.max(scores, axis=1, keepdims=True)
    chosen = scores[np.arange(len(scores)), batch["kind"]]
    return np.mean(np.log(np.sum(np.exp(scores), axis=1)) - chosen)


rng = np.random.default_rng(0)
params = {
    "kernel": rng.normal(size=(3, 3, 1, 12)) / 3,
    "bias": np.zeros(12),
    "W": rng.normal(size=(12, 3)) / 4,
    "b": np.zeros(3),
}
result = steepest.train(cost, params, pictures(2000, 1), epochs=15, validation=pictures(500, 2))
print(result)
assert result.validation < 0.3
