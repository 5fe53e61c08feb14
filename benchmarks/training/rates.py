"""Without a learning rate: the cost "auto" reaches beside Adam at its default rate and at the best of seven."""

from typing import Any

import numpy as np

from .tasks import TASKS, Task

RATES = [1e-4 * 10 ** (k / 2) for k in range(7)]
DEFAULT = 1e-3


def reached(task: Task, method: str, rate: float | None) -> tuple[float, str]:
    """The cost over all data after the task's steps, and the method that took them."""
    import steepest

    result = steepest.train(
        task.cost(np),
        task.params,
        task.data,
        batch_size=task.batch_size,
        steps=task.steps,
        method=method,
        rate=rate,
        progress=False,
    )
    return whole_cost(task, result.params), result.plan.name


def whole_cost(task: Task, params: Any) -> float:
    with np.errstate(all="ignore"):
        return float(task.cost(np)(params, task.data))


def compare(task: Task) -> dict[str, Any]:
    """Costs reached, and what is missing to the best tuned Adam as a part of its fall from the start."""
    start = whole_cost(task, task.params)
    tried = {rate: reached(task, "adam", rate)[0] for rate in RATES}
    best = min(tried, key=lambda rate: tried[rate] if np.isfinite(tried[rate]) else np.inf)
    auto, method = reached(task, "auto", None)
    fall = start - tried[best]
    return {
        "task": task.name,
        "steps": task.steps,
        "start": start,
        "auto": auto,
        "method": method,
        "default": tried[min(RATES, key=lambda rate: abs(rate - DEFAULT))],
        "best": tried[best],
        "rate": best,
        "missing": (auto - tried[best]) / fall,
        "ratio": auto / tried[best],
    }


def rows() -> list[dict[str, Any]]:
    """Every task."""
    return [compare(make()) for make in TASKS]
