"""Logistic regression beside scikit-learn: seconds until the cost is within 1e-6 of the optimum.

Run as a program, `python -m benchmarks.training.logistic ROWS COLUMNS [NONZEROS]`, it prints one JSON object. Seconds
are those of the processor on one core, so that what else the machine does weighs little; every run starts cold:
tracing, compiling and, for steepest, judging are included.

What takes minutes is measured by itself: `--methods "scikit-learn newton-cholesky" --steps 6 --longest 600`.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

PENALTY = 1e-4
WITHIN = 1e-6
# Steps, or passes for saga, that each is given, from few to many; the first to come within 1e-6 counts.
STEPS = (4, 6, 8, 10, 12, 14, 17, 20, 25, 30, 40, 60, 100, 150, 200, 300)
PASSES = (5, 10, 20, 40, 80, 160, 320)
# What takes longer is not tried with more steps.
LONGEST = 60.0


def data(rows: int, columns: int, nonzeros: int = 0) -> tuple[Any, np.ndarray]:
    """Normal columns of which twenty matter; or sparse rows of about so many nonzeros, rare columns among them."""
    rng = np.random.default_rng(0)
    if not nonzeros:
        x = rng.standard_normal((rows, columns), dtype=np.float32)
        margin = x[:, :20] @ rng.standard_normal(20, dtype=np.float32)
        return x, labels(rng, margin)
    from scipy.sparse import csr_matrix

    # Words are drawn as they come in texts, the k-th most frequent in proportion to 1/k.
    often = 1.0 / np.arange(1, columns + 1)
    words = rng.choice(columns, size=rows * nonzeros, p=often / often.sum()).astype(np.int32)
    x = csr_matrix(
        (np.ones(rows * nonzeros, np.float32), words, np.arange(0, rows * nonzeros + 1, nonzeros)),
        shape=(rows, columns),
    )
    x.sum_duplicates()
    return x, labels(rng, x @ rng.standard_normal(columns).astype(np.float32) * 0.5)


def labels(rng: np.random.Generator, margin: np.ndarray) -> np.ndarray:
    return np.where(rng.random(len(margin)) < 1 / (1 + np.exp(-margin)), 1.0, -1.0).astype(np.float32)


def cost(params: Any, batch: Any) -> Any:
    x, sign = batch
    return np.mean(np.logaddexp(0.0, -sign * (x @ params))) + 0.5 * PENALTY * np.sum(params * params)


def exact(w: np.ndarray, x: Any, sign: np.ndarray) -> float:
    margin = sign * (x @ w.astype(np.float32)).astype(np.float64)
    return float(np.mean(np.logaddexp(0.0, -margin)) + 0.5 * PENALTY * np.sum(w.astype(np.float64) ** 2))


def ours(x: Any, sign: np.ndarray, steps: int, method: str = "l-bfgs") -> tuple[np.ndarray, float]:
    import steepest

    began = time.process_time()
    result = steepest.train(
        cost, np.zeros(x.shape[1], np.float32), (x, sign), method=method, steps=steps, progress=False
    )
    return result.params, time.process_time() - began


def sklearns(solver: str, x: Any, sign: np.ndarray, most: int) -> tuple[np.ndarray, float]:
    from sklearn.linear_model import LogisticRegression

    began = time.process_time()
    model = LogisticRegression(
        C=1 / (PENALTY * x.shape[0]), solver=solver, tol=1e-12, max_iter=most, fit_intercept=False
    )
    model.fit(x, sign)
    return model.coef_[0], time.process_time() - began


def runs(
    x: Any, sign: np.ndarray
) -> dict[str, tuple[Callable[[int], tuple[np.ndarray, float]], tuple[int, ...]]]:
    """Each method as a function of its steps, and the steps to try."""
    found: dict[str, Any] = {
        "steepest l-bfgs": (lambda steps: ours(x, sign, steps), STEPS),
        "scikit-learn lbfgs": (lambda steps: sklearns("lbfgs", x, sign, steps), STEPS),
        "scikit-learn saga": (lambda passes: sklearns("saga", x, sign, passes), PASSES),
    }
    if x.shape[1] <= 1000:  # both form the Hessian
        found["steepest newton-cg"] = (lambda steps: ours(x, sign, steps, "newton-cg"), STEPS)
        found["scikit-learn newton-cholesky"] = (
            lambda steps: sklearns("newton-cholesky", x, sign, steps),
            STEPS,
        )
    return found


def tried(
    run: Callable[[int], tuple[np.ndarray, float]], counts: Sequence[int], longest: float
) -> Iterator[tuple[int, Any, float]]:
    for count in counts:
        w, seconds = run(count)
        yield count, w, seconds
        if seconds > longest:
            return


def measure(
    rows: int,
    columns: int,
    nonzeros: int = 0,
    rounds: int = 3,
    methods: Sequence[str] | None = None,
    steps: Sequence[int] | None = None,
    longest: float = LONGEST,
) -> dict[str, Any]:
    """Processor seconds of each, the median of `rounds` at the fewest steps that come within 1e-6; None: none did.

    `methods`, `steps`: only these; all where nothing is said. What took more than `longest` is not tried with more
    steps, and what took a sixth of it not again.
    """
    import warnings

    warnings.filterwarnings("ignore")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    x, sign = data(rows, columns, nonzeros)
    ours(x[:2000], sign[:2000], 2)  # imports
    sklearns("lbfgs", x[:2000], sign[:2000], 2)
    best = exact(ours(x, sign, 1000)[0], x, sign)
    found: dict[str, Any] = {"rows": rows, "columns": columns, "nonzeros": nonzeros}
    for name, (run, counts) in runs(x, sign).items():
        if methods is not None and name not in methods:
            continue
        found[name] = None
        for count, w, seconds in tried(run, steps or counts, longest):
            reached = exact(w, x, sign)
            best = min(best, reached)
            if reached <= best * (1 + WITHIN):
                again = [run(count)[1] for _ in range(rounds - 1 if seconds < longest / 6 else 0)]
                found[name] = float(np.median([seconds, *again]))
                found[f"steps of {name}"] = count
                break
    return found | {"optimum": best}


def main() -> None:
    """The measurement that the command line asks for."""
    parser = argparse.ArgumentParser(description="seconds to 1e-6 of the optimum of a logistic regression")
    for name in ("rows", "columns"):
        parser.add_argument(name, type=int)
    parser.add_argument("nonzeros", type=int, nargs="?", default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", help="names as in the result")
    parser.add_argument("--steps", type=int, nargs="+", help="steps, or passes for saga, to try")
    parser.add_argument("--longest", type=float, default=LONGEST, help="seconds")
    print(json.dumps(measure(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
