"""Logistic regression, in plain NumPy: all data at once by L-BFGS, and on minibatches without a learning rate."""

import numpy as np

import steepest


def cost(params, batch):
    x, sign = batch
    return np.mean(np.logaddexp(0.0, -sign * (x @ params["w"] + params["b"]))) + 1e-3 * np.sum(
        params["w"] ** 2
    )


rng = np.random.default_rng(0)
x = rng.normal(size=(5000, 10))
truth = np.linspace(-1, 1, 10)
sign = np.where(rng.random(5000) < 1 / (1 + np.exp(-(x @ truth + 0.5))), 1.0, -1.0)
start = {"w": np.zeros(10), "b": 0.0}

whole = steepest.train(cost, start, (x, sign), method="l-bfgs")
batches = steepest.train(cost, start, (x, sign), epochs=10)
print(whole, batches, sep="\n\n")
assert abs(cost(batches.params, (x, sign)) - cost(whole.params, (x, sign))) < 0.005
