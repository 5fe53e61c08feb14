"""Logistic regression beside scikit-learn: seconds until the cost is within 1e-6 of the optimum.

Run as a program, `python -m benchmarks.training.logistic ROWS COLUMNS`, it prints one JSON object.
"""

import json
import sys
import time
from typing import Any

import numpy as np

PENALTY = 1e-4
WITHIN = 1e-6


def data(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, columns), dtype=np.float32)
    margin = x[:, :20] @ rng.standard_normal(20, dtype=np.float32)
    return x, np.where(rng.random(rows) < 1 / (1 + np.exp(-margin)), 1.0, -1.0).astype(np.float32)


def cost(params: Any, batch: Any) -> Any:
    x, sign = batch
    return np.mean(np.logaddexp(0.0, -sign * (x @ params))) + 0.5 * PENALTY * np.sum(params * params)


def exact(w: np.ndarray, x: np.ndarray, sign: np.ndarray) -> float:
    margin = sign * (x @ w.astype(np.float32)).astype(np.float64)
    return float(np.mean(np.logaddexp(0.0, -margin)) + 0.5 * PENALTY * np.sum(w.astype(np.float64) ** 2))


def ours(x: np.ndarray, sign: np.ndarray, steps: int) -> tuple[np.ndarray, float]:
    import steepest

    began = time.perf_counter()
    result = steepest.train(
        cost, np.zeros(x.shape[1], np.float32), (x, sign), method="l-bfgs", steps=steps, progress=False
    )
    return result.params, time.perf_counter() - began


def sklearns(
    solver: str, x: np.ndarray, sign: np.ndarray, tolerance: float, most: int
) -> tuple[np.ndarray, float]:
    from sklearn.linear_model import LogisticRegression

    began = time.perf_counter()
    model = LogisticRegression(
        C=1 / (PENALTY * len(x)), solver=solver, tol=tolerance, max_iter=most, fit_intercept=False
    )
    model.fit(x, sign)
    return model.coef_[0], time.perf_counter() - began


def measure(rows: int, columns: int) -> dict[str, Any]:
    """Seconds of each, the first of a rising number of steps (or falling tolerance) that comes within 1e-6."""
    import warnings

    warnings.filterwarnings("ignore")
    x, sign = data(rows, columns)
    ours(x[:1000], sign[:1000], 2)  # imports
    reference, _ = sklearns("newton-cholesky", x.astype(np.float64), sign, 1e-10, 50)
    best = exact(reference, x, sign)
    found: dict[str, Any] = {"rows": rows, "columns": columns, "optimum": best}

    def first_within(runs: Any) -> float | None:
        for w, seconds in runs:
            if exact(w, x, sign) <= best * (1 + WITHIN):
                return seconds
        return None

    found["steepest l-bfgs"] = first_within(ours(x, sign, n) for n in (5, 8, 10, 12, 15, 20, 30, 50))
    for solver in ("lbfgs", "newton-cholesky", "saga"):
        tolerances = [10.0**-k for k in (2, 3, 4, 5, 6)]
        found[f"scikit-learn {solver}"] = first_within(
            sklearns(solver, x, sign, tolerance, 30 if solver == "saga" else 200) for tolerance in tolerances
        )
    return found


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:]))))
