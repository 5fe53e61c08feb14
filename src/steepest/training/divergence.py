"""Why a run blew up: the step against the curvature, or the first number that was not one and where it came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..parameters import Layout
from ..tracing.batched import BatchCost
from ..tracing.equations import read_atom, run_equation
from ..tracing.source import user_line
from .batches import Part, Rows
from .job import Job, recorded_for
from .methods import slope_unit_of
from .sparse_rows import is_sparse
from .steps import State, norm, plain_cost, step_factor
from .ways_back import value_and_slope

if TYPE_CHECKING:
    from .loop import Walker

# A cost this many times its first value (or its whole decrease) above the start is lost. Noise stays far below it;
# a run that is left to go on from there rarely comes back within its budget.
LOST = 3.0
# A divergence is answered with this part of the rate, or with as little as brings step × curvature to this part of what
# it must stay below: the curvature met on the way is often some times that of the start.
SMALLER, STABLE = 0.25, 0.5
# Batches on which the cost at the start is measured: the highest counts, since one alone may happen to fit.
OPENING = 4
# Power iterations for the largest curvature; the estimate is then good to a few per cent, from below.
POWER_ITERATIONS = 30
# Data of more bytes are not searched for all rows that are not finite.
LARGEST_LOOKED_AT = 1 << 30
# What to do where the parameters of the last good state, seen with another batch, already give no number.
AT_ONCE = "change that line, or start where it gives a number on every row: no smaller step can help"
ELSEWHERE = "change the cost, or start where it gives a number on every row: no smaller step can help"
NO_SLOPE = "start elsewhere, or add a small number there: a root or a norm has no slope at zero, however short the step"


@dataclass(frozen=True)
class Explanation:
    """What went wrong, in a sentence, with the numbers behind it.

    `curvature`: the largest along the update rule's own scaling; `stability`: step × curvature; `limit`: what it must
    stay below. `remedy`: what helps where no smaller step can, else "".
    """

    sentence: str
    step: int | None = None
    curvature: float | None = None
    stability: float | None = None
    limit: float | None = None
    rows: tuple[int, ...] = ()
    place: str = ""
    parameter: str = ""
    remedy: str = ""

    def part_of_step(self) -> float:
        """Which part of its step the run should go on with.

        >>> Explanation("", stability=1000.0, limit=2.0).part_of_step(), Explanation("").part_of_step()
        (0.001, 0.25)
        """
        if self.stability is None or self.limit is None or not isfinite(self.stability):
            return SMALLER
        return min(SMALLER, STABLE * self.limit / max(self.stability, self.limit))


class Before(NamedTuple):
    """Where a run stood before its first bad step: the state, and `batch` of `epoch` as the one that came next."""

    state: State
    epoch: int
    batch: int
    step: int


def ceiling_of(opening: float, lowest: float) -> float:
    """Above this the mean of recent costs means divergence; `opening` is the cost at the start, `lowest` since then."""
    if not isfinite(opening):
        return float("inf")
    return opening + LOST * max(abs(opening), opening - min(lowest, opening))


def opening(walker: Walker, state: State) -> tuple[float, Any]:
    """The highest cost of the first few batches at the start, and the sum of their slopes, None where there is none."""
    job = walker.job
    batches = islice(job.source.batches(0, 0, job.batch_size, job.part), OPENING)
    costs = []
    sums = None
    for batch in batches:
        # The program that judges the end, so that it is compiled once.
        sums, found = walker.added(sums, state.parameters, batch)
        costs.append(float(found.cost))
    finite = [cost for cost in costs if isfinite(cost)]
    return max(finite, default=float("inf")), sums


def explain(
    walker: Walker, good: State, bad_step: int | None, limit: float
) -> tuple[Explanation, Before | None]:
    """Replay from the last good state to the first bad step, and say what happened there.

    Gives what was before that step, too, where no step can be blamed for it: the data, or the line that reads them.
    """
    state, _ = walker.steps.copy(good)
    cursor = walker.good_at
    batch: Any = None
    step = cursor.step
    last_finite = state
    if not walker._can_rewind():
        step = bad_step if bad_step is not None else walker.cursor.step
        return Explanation(f"At step {step:,} the cost left all bounds.", bad_step), None
    for epoch, k, arrays in _again(walker):
        batch = walker.placement.rows(arrays)
        last_finite, _ = walker.steps.copy(state)
        state, cost = walker.steps.plain(state, batch, walker.constants)
        finite = bool(walker.steps.copy(state)[1])
        if not isfinite(float(cost)) or not finite:
            drawn = _drawn(walker.job, epoch, k)
            # The cost of the very first batch is that of parameters which no step has changed since.
            at_once = step == cursor.step and not isfinite(float(cost))
            found = _not_finite(walker, good, last_finite, batch, step, drawn, at_once)
            return found, Before(last_finite, epoch, k, step) if found.remedy else None
        if bad_step is None and step + 1 >= walker.cursor.step:
            break
        if step > walker.cursor.step:
            break
        step += 1
    if batch is None:
        return Explanation("The cost left all bounds.", bad_step), None
    stability = _stability(walker, good, batch)
    costs = walker.history.costs
    words = f"The cost rose above {limit:.3g} by step {step:,}"
    words += f" (from {costs[cursor.step - 1]:.3g})." if 0 < cursor.step <= len(costs) else "."
    return Explanation(f"{words} {_reason(stability)}", step, stability[0], stability[1], stability[2]), None


def _again(walker: Walker) -> Any:
    """The batches from the last good state on: the epoch, the number in it, the arrays."""
    job, at = walker.job, walker.good_at
    epoch, first = at.epoch, at.batch
    if walker._once:  # what steps have taken is held; what comes after it may be under way on another thread
        held = job.source.batches(epoch, first, job.batch_size, job.part)
        for k, arrays in enumerate(islice(held, walker.cursor.step - at.step), first):
            yield epoch, k, arrays
        return
    while True:
        none = True
        for k, arrays in enumerate(job.source.batches(epoch, first, job.batch_size, job.part), first):
            none = False
            yield epoch, k, arrays
        if none and first == 0:
            return
        epoch, first = epoch + 1, 0


def _drawn(job: Job, epoch: int, k: int) -> np.ndarray | None:
    """Which rows of the data batch `k` of the epoch holds; None for data that have no rows to count."""
    if not isinstance(job.source, Rows):
        return None
    return job.source.chosen(epoch, k, job.batch_size, Part())


def _reason(stability: tuple[float, float, float] | tuple[None, None, None]) -> str:
    curvature, product, limit = stability
    if product is None or limit is None or curvature is None:
        return "The step was too long for the curvature there."
    if not isfinite(product):
        return "The curvature overflowed at the last good state already."
    if product > limit:
        return (
            f"Step × curvature was {product:.3g} at the last good state, above the {limit:.3g} at which this method "
            f"turns unstable (largest curvature {curvature:.3g})."
        )
    return (
        f"Step × curvature was {product:.3g} at the last good state, still under the {limit:.3g} at which this method "
        f"turns unstable (largest curvature {curvature:.3g}): it grew on the way, or one batch pulled far."
    )


def _stability(walker: Walker, state: State, batch: Any) -> Any:
    """Largest curvature seen by the update rule, times its step, and the limit of that product.

    Gradient descent is stable below 2, heavy ball below 2(1 + β), Nesterov below 2(1 + β)/(1 + 2β) (from the
    characteristic roots of each on a parabola); Adam below 2(1 + β₁)/(1 − β₁) = 38 with its preconditioner (Cohen et
    al. 2022, "Adaptive gradient methods at the edge of stability").
    """
    limits = {"gradient": 2.0, "momentum": 3.8, "nesterov": 3.8 / 2.8, "adam": 38.0}
    method = walker.job.method
    if method.family not in limits or method.rate is None or walker.job.recorded is None:
        return None, None, None
    recorded = _of_a_whole_batch(walker.job)
    value = plain_cost(recorded, walker.tree, precision=walker.job.precision, remat=False)
    scaling = None
    if method.family == "adam":
        slope_of = walker.steps.gradient
        scaling = _preconditioner(state, lambda: slope_of(state.parameters, batch, walker.constants)[1])

    @jax.jit
    def largest(parameters: Any, batch: Any, constants: Any, scaling: Any) -> Any:
        def slope(p: Any) -> Any:
            return value_and_slope(recorded.closed)(value)(p, batch, constants)[1]

        def product(v: Any) -> Any:
            v = v if scaling is None else jax.tree.map(jnp.multiply, v, scaling)
            hv = jax.jvp(slope, (parameters,), (v,))[1]
            return hv if scaling is None else jax.tree.map(jnp.multiply, hv, scaling)

        leaves, structure = jax.tree.flatten(parameters)
        keys = jax.random.split(jax.random.key(0), len(leaves))
        start = jax.tree.unflatten(
            structure,
            [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)],
        )

        def turn(_: int, pair: Any) -> Any:
            v, _size = pair
            length = norm(v)
            v = jax.tree.map(lambda x: x / length, v)
            hv = product(v)
            return hv, norm(hv)

        return jax.lax.fori_loop(0, POWER_ITERATIONS, turn, (start, jnp.zeros((), leaves[0].dtype)))[1]

    constants = walker.placement.constants(recorded.constants)
    curvature = float(largest(state.parameters, batch, constants, scaling))
    step = -float(step_factor(method, state))
    return curvature, step * curvature, limits[method.family]


def _of_a_whole_batch(job: Job) -> BatchCost:
    """The cost recorded for all rows of a batch: the steps may be recorded for parts of it."""
    if job.accumulate == 1:
        return job.recorded
    return recorded_for(job.cost, job.layout, job.source, job.batch_size, job.precision)


def _preconditioner(state: State, slope: Callable[[], Any]) -> Any:
    """1/√(√v + ε) for each parameter: Adam divides the slope by √v + ε, half of it on either side of the Hessian.

    Before the first step v is that of the first slope, which `slope` gives. What never had one does not move.
    """
    import optax

    second, unit = optax.tree.get(state.memory, "nu", None), slope_unit_of(state.memory)
    if second is None:
        return None
    count = optax.tree.get(state.memory, "count", jnp.ones(()))
    if count == 0:
        second, count = jax.tree.map(lambda g: jnp.square(g / unit), slope()), np.inf
    correction = 1 - 0.999**count
    return jax.tree.map(lambda v: (v > 0) / jnp.sqrt(unit * (jnp.sqrt(v / correction) + 1e-8)), second)


# -- the first number that is not finite ---------------------------------------------------------------------------


def _not_finite(
    walker: Walker, good: State, state: State, batch: Any, step: int, drawn: np.ndarray | None, at_once: bool
) -> Explanation:
    """Which data, which line, which parameters: found by evaluating the cost one operation after the other.

    `drawn`: the rows of the data in the batch, where they are known. `at_once`: whether no step is to blame. Every
    process does so on the whole batch, so that all come to the same words.
    """
    job = walker.job
    arrays = [walker.placement.whole(array) for array in batch]
    bad = bad_data(job.source.layout, arrays)
    if bad is not None:
        name, rows = bad
        return Explanation(
            f"At step {step:,} the data are not finite: {name}, {_rows(rows, drawn)}{_in_all(job, name)}.",
            step,
            rows=rows,
            remedy="clean these rows, or leave them out",
        )
    if job.recorded is None:
        name = _bad_slope(walker, state, batch)
        blame = f" The slope of {name} is the first that is not finite." if name else ""
        remedy = ELSEWHERE if at_once else ""
        return Explanation(
            f"At step {step:,} the cost or its slope is not finite.{blame}",
            step,
            parameter=name,
            remedy=remedy,
        )
    parameters = [walker.placement.whole(leaf) for leaf in walker.tree.leaves(state.parameters)]
    recorded = _of_a_whole_batch(job)
    equation, rows, values = first_bad_operation(
        recorded, recorded.constants, parameters, arrays, job.batch_size
    )
    if equation is None:
        name = _bad_slope(walker, state, batch)
        near = (
            f" The slope of {name} is the first that is not finite, though the cost still is." if name else ""
        )
        # Nothing moved the parameters since: with a shorter step they would come to the same slope.
        remedy = NO_SLOPE if name and step == walker.good_at.step else ""
        return Explanation(
            f"At step {step:,} the update is not finite.{near}", step, parameter=name, remedy=remedy
        )
    place = user_line(equation)
    where = f"{place}" if place is not None else "the cost"
    text = f" ({place.expression})" if place is not None and place.expression else ""
    names = operands_of_parameters(recorded, job.layout, equation)
    sizes = _cause(equation, values)
    remedy = AT_ONCE if at_once else ""
    if equation.primitive.name == "gather":  # picks what is there, and makes NaN of what is not
        sizes, remedy = (
            " An index there reaches beyond the array.",
            "mend the indices, in these rows or in that line",
        )
    blame = f" It depends on {names}." if names else ""
    what = f"the first value that is not finite comes from {where}{text}, {_rows(rows, drawn)}."
    sentence = f"At step {step:,} {what}{blame}{sizes}"
    if remedy:
        return Explanation(sentence, step, rows=rows, place=where, parameter=names, remedy=remedy)
    stability = _stability(walker, good, batch)
    if stability[1] is not None:
        sentence += f" {_reason(stability)}"
    return Explanation(sentence, step, stability[0], stability[1], stability[2], rows, where, names)


def bad_data(layout: Layout, arrays: Sequence[Any]) -> tuple[str, tuple[int, ...]] | None:
    """The name of the first of the arrays that holds what is not finite, and the rows where; None if none does.

    `arrays`: one for each leaf of the layout, NumPy or SciPy's sparse rows.

    >>> bad_data(Layout.of(np.zeros(1), "data"), [np.array([1.0, np.nan, 2.0])])
    ('data', (1,))
    """
    for leaf, array in zip(layout.leaves, arrays, strict=True):
        numbers = array.data if is_sparse(array) else array
        if numbers.dtype.kind != "f" or np.isfinite(numbers).all():
            continue
        if not is_sparse(array):
            return leaf.name, _bad_rows(array)
        entries = array.tocoo()
        return leaf.name, tuple(np.unique(entries.row[~np.isfinite(entries.data)]).tolist())
    return None


def _in_all(job: Job, name: str) -> str:
    """How many rows of the named array are not finite in all, where more than a batch of it is at hand."""
    source = job.source
    if not isinstance(source, Rows) or source.batch_bytes(source.rows) > LARGEST_LOOKED_AT:
        return ""
    k = next(k for k, leaf in enumerate(source.layout.leaves) if leaf.name == name)
    if is_sparse(source.arrays[k]):
        return ""
    rows = _bad_rows(source.arrays[k])
    return f" ({len(rows):,} of {source.rows:,} rows in all)" if len(rows) > 1 else ""


def bad_rows(job: Job, arrays: Sequence[np.ndarray], epoch: int, k: int) -> str:
    """Which array of batch `k` of the epoch holds what is not finite, and in which rows; "" if none does.

    `arrays`: this process's part of the batch.
    """
    bad = bad_data(job.source.layout, arrays)
    if bad is None:
        return ""
    name, rows = bad
    drawn = _drawn(job, epoch, k)
    return f"{name}, {_rows(rows, None if drawn is None else job.part.of(drawn, job.batch_size))}"


def first_bad_operation(
    cost: Any, constants: Any, parameters: Any, batch: Any, batch_size: int
) -> tuple[Any, tuple[int, ...], list[np.ndarray]]:
    """The first equation whose result is not finite though all it reads is, the rows of it, and what it reads."""
    equation, values, array = first_bad(cost.closed.jaxpr, constants, [*parameters, *batch])
    if equation is None:
        return None, (), []
    rows = _bad_rows(array) if array.ndim and array.shape[0] == batch_size else ()
    return equation, rows, [np.asarray(value) for value in values]


def _cause(equation: Any, values: list[np.ndarray]) -> str:
    """What made of these values something that is not finite, as a sentence after a space."""
    name = equation.primitive.name
    numbers = [value for value in values if value.dtype.kind == "f" and value.size]
    lowest = float(np.min(numbers[0])) if numbers else float("inf")
    edge = {"log": 0.0, "log1p": -1.0}.get(name)
    if name == "div" and not np.all(values[1]):
        return " It divides by zero."
    if edge is not None and lowest <= edge:
        return f" It takes the logarithm of {'zero' if lowest == edge else 'what is negative'}."
    if name == "sqrt" and lowest < 0.0:
        return f" It takes the square root of {lowest:.3g}."
    size = max((float(np.max(np.abs(value))) for value in numbers), default=0.0)
    return f" Its operands reach {size:.3g}." if size > 0 else ""


def first_bad(jaxpr: Any, constants: Any, inputs: Sequence[Any]) -> tuple[Any, list[Any], Any]:
    """The first equation whose result is not finite though all it reads is, what it reads, and the result."""
    environment = dict(zip(jaxpr.constvars, constants, strict=True))
    environment.update(zip(jaxpr.invars, inputs, strict=True))
    for equation in jaxpr.eqns:
        values = [read_atom(atom, environment) for atom in equation.invars]
        run_equation(equation, environment, jaxpr)
        for variable in equation.outvars:
            array = np.asarray(environment[variable])
            if array.dtype.kind == "f" and not np.isfinite(array).all() and _all_finite(values):
                return _in_its_turns(equation, values) or (equation, values, array)
    return None, [], None


def _in_its_turns(loop: Any, values: Sequence[Any]) -> tuple[Any, list[Any], Any] | None:
    """The same of the first turn of a `scan` that makes something not finite; None for any other equation."""
    if loop.primitive.name != "scan":
        return None
    given, body = loop.params, loop.params["jaxpr"]
    begun = given["num_consts"] + given["num_carry"]
    fixed, carry, along = values[: given["num_consts"]], values[given["num_consts"] : begun], values[begun:]
    turns = range(given["length"])
    for turn in reversed(turns) if given["reverse"] else turns:
        inputs = [*fixed, *carry, *(array[turn] for array in along)]
        found = first_bad(body.jaxpr, body.consts, inputs)
        if found[0] is not None:
            return found
        carry = jax.core.eval_jaxpr(body.jaxpr, body.consts, *inputs)[: len(carry)]
    return None


def _all_finite(values: list[Any]) -> bool:
    arrays = [np.asarray(value) for value in values]
    return all(np.isfinite(array).all() for array in arrays if array.dtype.kind == "f")


def _bad_rows(array: np.ndarray) -> tuple[int, ...]:
    bad = ~np.isfinite(array)
    return tuple(int(row) for row in np.flatnonzero(bad.reshape(len(array), -1).any(axis=1)))


def _rows(rows: tuple[int, ...], drawn: np.ndarray | None) -> str:
    if not rows:
        return "for the batch as a whole"
    of = "the batch"
    if drawn is not None:
        rows, of = tuple(sorted(drawn[list(rows)].tolist())), "the data"
    shown = ", ".join(map(str, rows[:5])) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
    return f"row{'s' if len(rows) > 1 else ''} {shown} of {of}"


def operands_of_parameters(cost: Any, layout: Layout, equation: Any) -> str:
    """The parameters an equation's operands were made from, by name."""
    jaxpr = cost.closed.jaxpr
    makers = {variable: eqn for eqn in jaxpr.eqns for variable in eqn.outvars}
    names = {variable: leaf.name for variable, leaf in zip(jaxpr.invars, layout.leaves, strict=False)}
    found: dict[str, None] = {}
    seen: set[int] = set()
    # What a turn of a loop reads was made from what the loop reads.
    around = (e for e in jaxpr.eqns if e.primitive.name == "scan")
    stack = [equation, *(e for e in around if any(equation is one for one in e.params["jaxpr"].jaxpr.eqns))]
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        for atom in current.invars:
            if hasattr(atom, "val"):
                continue
            if atom in names:
                found[names[atom]] = None
            elif atom in makers:
                stack.append(makers[atom])
    ordered = [leaf.name for leaf in layout.leaves if leaf.name in found]
    return ", ".join(ordered[:6]) + (f" and {len(ordered) - 6} more" if len(ordered) > 6 else "")


def _bad_slope(walker: Walker, state: State, batch: Any) -> str:
    _, slope = walker.steps.gradient(state.parameters, batch, walker.constants)
    for leaf, array in zip(walker.job.layout.leaves, walker.tree.leaves(slope), strict=True):
        if not np.isfinite(walker.placement.whole(array)).all():
            return leaf.name
    return ""
