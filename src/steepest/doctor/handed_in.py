"""A derivative that was handed in, against the exact one: which entries are wrong, and which term is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..derivatives.exact import gradient as exact_gradient
from ..tracing.passes import eliminate_dead, with_outputs
from ..tracing.primitives import evaluate
from ..verdict.supplied import mistake
from .chart import Chart
from .finding import Finding

# Terms of the cost that are tried as the one that was forgotten.
MOST_TERMS = 60

# What a hand-written derivative may be off by and still be right: rounding, or its own differences.
RIGHT = 1e-5


def wrong_gradient(
    chart: Chart, given: np.ndarray, true: np.ndarray, names: Sequence[str]
) -> Iterator[Finding]:
    """The gradient `given` (n,) beside the exact one, `true` (n,), at the same point."""
    size = float(np.abs(true).max(initial=0.0)) + float(np.abs(given).max(initial=0.0))
    wrong = ~(np.abs(given - true) <= RIGHT * size)
    if not wrong.any():
        return
    k = int(np.argmax(np.where(np.isfinite(given), np.abs(given - true), np.inf)))
    told = f"for {names[k]} it says {given[k]:.6g}, the cost says {true[k]:.6g}"
    kind = mistake(given, true, np.full(true.size, 1e-10 * size), names)
    term = _term(chart, given - true, size)
    if term is not None:
        equation, sign = term
        word = "is missing" if sign < 0 else "is counted twice"
        yield chart.finding(
            "wrong gradient",
            "error",
            f"{told}; the slope of this term {word}",
            "Add it, or leave jac= out.",
            equation,
        )
        return
    yield Finding(
        "wrong gradient",
        "error",
        f"{told}{f' ({kind})' if kind else ''}",
        "Correct it, or leave jac= out: the exact gradient is then read off the cost.",
        parameters=tuple(names[i] for i in np.flatnonzero(wrong).tolist()[:10]),
    )


def wrong_hessian(given: np.ndarray, true: np.ndarray, names: Sequence[str]) -> Iterator[Finding]:
    """The Hessian `given` (n, n) beside the exact one, `true` (n, n)."""
    size = float(np.abs(true).max(initial=0.0)) + float(np.abs(given).max(initial=0.0))
    if given.shape == true.shape and (np.abs(given - true) <= RIGHT * size).all():
        return
    if given.shape != true.shape:
        sentence = f"it has the shape {given.shape}, the parameters ask for {true.shape}"
    else:
        i, j = (int(k) for k in np.unravel_index(int(np.argmax(np.abs(given - true))), true.shape))
        sentence = f"for {names[i]} and {names[j]} it says {given[i, j]:.6g}, the cost says {true[i, j]:.6g}"
        upper = np.triu_indices(len(names))
        pairs = [f"({names[p]}, {names[q]})" for p, q in zip(*(u.tolist() for u in upper), strict=True)]
        kind = mistake(given[upper], true[upper], np.full(len(pairs), 1e-10 * size), pairs)
        if np.abs(given - given.T).max() > RIGHT * size:
            kind = "it is not symmetric"
        sentence += f" ({kind})" if kind else ""
    yield Finding("wrong Hessian", "error", sentence, "Correct it, or leave hess= out.")


def _term(chart: Chart, difference: np.ndarray, size: float) -> tuple[Any, float] | None:
    """The term of the cost whose slope is the `difference` (n,), and with which sign."""
    for atom, sign in _terms(chart, chart.reading.out, 1.0, MOST_TERMS):
        equation = chart.reading.producer(atom)
        if equation is None:
            continue
        slope = sign * _slope_of(chart, atom)
        if not np.isfinite(slope).all() or not slope.any():
            continue
        for side in (-1.0, 1.0):
            if (np.abs(difference - side * slope) <= RIGHT * size).all():
                return equation, side
    return None


def _terms(chart: Chart, atom: Any, sign: float, room: int) -> list[tuple[Any, float]]:
    """What the cost is a sum of, taken apart through sums of numbers and of arrays; without the whole itself."""
    found: list[tuple[Any, float]] = []
    waiting = [(atom, sign)]
    while waiting and len(found) < room:
        current, side = waiting.pop()
        equation = chart.reading.producer(current)
        if equation is None:
            continue
        name = equation.primitive.name
        if name in ("add", "sub"):
            parts = [(equation.invars[0], side), (equation.invars[1], -side if name == "sub" else side)]
            parts = [(part, s) for part, s in parts if chart.reading.depends(part)]
            found += parts
            waiting += parts
        elif name in ("reduce_sum", "reshape", "squeeze", "neg"):
            waiting.append((equation.invars[0], -side if name == "neg" else side))
    return found


def _slope_of(chart: Chart, atom: Any) -> np.ndarray:
    """The gradient (n,) of the sum of all elements of an atom."""
    import jax
    import jax.extend.core as jex

    from ..numerics import double_precision

    part = eliminate_dead(with_outputs(chart.reading.closed, [atom]))
    function = jex.jaxpr_as_fun(part)
    with double_precision():
        summed = jax.make_jaxpr(lambda x: function(x)[0].sum())(
            jax.ShapeDtypeStruct(chart.reading.x.aval.shape, np.float64)
        )
    return np.ravel(np.asarray(evaluate(exact_gradient(summed), chart.values[chart.reading.x])[0]))
