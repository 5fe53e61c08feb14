"""A fit ready to walk: its model, its measurements, its parameters with their start, and the function of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..bounds import Bounds, Vector
from ..box import box_of, free_of, pairs_of_ends
from ..budget import Budget, Calls
from ..cost import check_derivatives, is_opaque
from ..errors import InputError
from ..models.model import Model, as_model
from ..parameters import Parameters
from ..presentation.text import counted
from ..residuals import Arrangement, Residuals
from ..returned import numbers
from ..vector_functions import MeasuredVector, StackedVector, TracedVector, VectorFunction
from .measurements import Measurements
from .result import DataSet
from .starts import from_data


@dataclass(frozen=True)
class Task:
    """A fit ready to walk: all parameters with their start, which move, and the function of them.

    `parameters`: of all sets; `bounds`: of those that move. `own`: parameters of one set, as the model takes them.
    `looked`: places at which the model was called to find a start.
    """

    model: Model
    sets: tuple[DataSet, ...]
    parameters: Parameters
    names: tuple[str, ...]
    own: Parameters
    arrangement: Arrangement
    bounds: Bounds
    function: VectorFunction
    precision: str
    start_from: str
    remarks: tuple[str, ...]
    trace: Callable[[Any], Any] | None
    looked: int

    @property
    def start(self) -> Vector:
        """Where those that move begin, (k,)."""
        return self.arrangement.base[self.arrangement.free]

    def residuals(self, rho: Any, scale: float) -> Residuals:
        """The cost over the parameters that move."""
        measured = [part.measurements for part in self.sets]
        target = measured[0].y if len(measured) == 1 else np.concatenate([data.y for data in measured])
        sigma = _joined([data.sigma for data in measured])
        return Residuals(self.function, self.arrangement, target, sigma, rho, scale)

    def moving(self) -> tuple[str, ...]:
        """Names of the parameters that move."""
        if self.arrangement.whole:
            return self.names
        return tuple(self.names[k] for k in self.arrangement.free.tolist())


def _joined(sigmas: list[Any]) -> Any:
    if any(sigma is None for sigma in sigmas):
        return None
    if len(sigmas) == 1:
        return sigmas[0]
    if any(sigma.ndim == 2 for sigma in sigmas):
        from scipy.linalg import block_diag

        return block_diag(*[sigma if sigma.ndim == 2 else np.diag(sigma) for sigma in sigmas])
    return np.concatenate(sigmas)


@functools.lru_cache(maxsize=64)
def _of_values(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """A model written with *values, called by keyword."""

    def called(x: Any, **values: Any) -> Any:
        return function(x, *[values[name] for name in names])

    return called


def task_of(
    given: Any,
    sets: list[tuple[str, Measurements]],
    start: Any,
    bounds: Any,
    fixed: Any,
    tied: Mapping[str, str] | None,
    separate: tuple[str, ...],
    derivatives: str,
    seed: int,
    budget: Budget,
    began: float,
) -> Task:
    """The task that the arguments of `fit` pose; InputError where they cannot be used.

    To look for a start, where none is given, takes its part of the `budget`, whose seconds count from `began`.
    """
    check_derivatives(derivatives)
    first = sets[0][1]
    model = as_model(given, first.x, first.columns[0])
    start, bounds, fixed, tied = _from_lmfit(start, bounds, fixed, tied)
    if not model.names:
        count = 0 if start is None else np.size(start)
        if not count or isinstance(start, Mapping):
            raise InputError(
                f"{model.label} takes *parameters, so their number is unknown; give start= as a list of values"
            )
        names = tuple(f"p{k}" for k in range(count))
        model = replace(model, function=_of_values(model.function, names), names=names)
    unknown = [name for name in separate if name not in model.names]
    if unknown:
        raise InputError(
            f"separate holds {', '.join(map(repr, unknown))}; {model.label} has {', '.join(model.names)}"
        )
    held = dict(fixed) if isinstance(fixed, Mapping) else {}
    structure, start_from, looked = _start(
        model, start, sets, separate, held, tied or {}, bounds, seed, budget, began
    )
    parameters, own, columns = _laid_out(model, structure, [name for name, _ in sets], separate)
    names = tuple(parameters.names)
    box, remarks = box_of(pairs_of_ends(bounds, parameters.n), parameters, names)
    base = parameters.vector
    outside = (base < box.lower) | (base > box.upper)
    if outside.any():
        moved = ", ".join(names[k] for k in np.flatnonzero(outside)[:4].tolist())
        remarks += (f"the start of {moved} lay outside its bounds and was moved onto them",)
        base = box.project(base)
    arrangement = _arrangement(parameters, names, base, box, list(fixed) if held else fixed, tied or {})
    free = arrangement.free
    moving = box if arrangement.whole else Bounds(box.lower[free], box.upper[free])
    parts = tuple(
        DataSet(name, measured, own_columns)
        for (name, measured), own_columns in zip(sets, columns, strict=True)
    )
    function, precision, trace, told = _function(model, parts, own, box, derivatives)
    remarks += told
    if sum(part.measurements.omitted for part in parts):
        omitted = sum(part.measurements.omitted for part in parts)
        remarks += (f"{counted(omitted, 'point')} left out: masked, or not finite",)
    return Task(
        model,
        parts,
        parameters,
        names,
        own,
        arrangement,
        moving,
        function,
        precision,
        start_from,
        remarks,
        trace,
        looked,
    )


def _from_lmfit(start: Any, bounds: Any, fixed: Any, tied: Any) -> tuple[Any, Any, Any, Any]:
    """Starts, bounds, fixed and tied parameters out of lmfit's `Parameters`; anything else as it is."""
    if not hasattr(start, "valuesdict"):
        return start, bounds, fixed, tied
    values = dict(start.valuesdict())
    if bounds is None:
        bounds = {name: (start[name].min, start[name].max) for name in values}
    if tied is None:
        tied = {name: start[name].expr for name in values if getattr(start[name], "expr", None)}
    if fixed is None:
        fixed = [name for name in values if not start[name].vary and name not in tied]
    return values, bounds, fixed or None, tied or None


def _start(
    model: Model,
    start: Any,
    sets: list[tuple[str, Measurements]],
    separate: tuple[str, ...],
    held: Mapping[str, Any],
    tied: Mapping[str, str],
    bounds: Any,
    seed: int,
    budget: Budget,
    began: float,
) -> tuple[dict[str, Any], str, int]:
    """A value for each parameter of the model (a dict per set for a separate one), and where it came from.

    And how many places were looked at for it.
    """
    given = _by_name(model, start)
    labels = [name for name, _ in sets]
    full = {name: [f"{name}[{label}]" for label in labels] for name in separate}
    _refuse_unknown(model, full, [*given, *held, *tied])
    given |= held
    empty = next((name for name, value in given.items() if value is None), None)
    if empty is not None:
        raise InputError(f"the start of {empty} is None; give a number")
    missing = [
        name
        for name in model.names
        if name not in given
        and name not in tied
        and not all(part in given for part in full.get(name, [name]))
    ]
    guess: dict[str, Any] = {}
    origin, looked = "given", 0
    if missing:
        if start is not None and model.guess is None and given.keys() - held.keys():
            raise InputError(
                f"no start for {', '.join(missing)}; give one, as in start={{'{missing[0]}': 1.0}}"
            )
        if model.guess is not None:
            guess, origin = dict(model.guess(sets[0][1].x, sets[0][1].y)), "guess"
        else:
            box = _ends_of(model.names, full, given, bounds)
            measured = [data for _, data in sets]
            guess, looked = from_data(
                model.function, model.names, measured, box, dict(given), tuple(tied), seed, budget, began
            )
            origin = "multi-start"
    return _for_each_set(model, full, labels, given, guess), origin, looked


def _by_name(model: Model, start: Any) -> dict[str, Any]:
    """The values of a start by name: as given, or in the order of the model's parameters."""
    if start is None:
        return {}
    if isinstance(start, Mapping):
        return dict(start)
    alone = np.ndim(start) == 0 or (
        len(model.names) == 1 and not (isinstance(start, (tuple, list)) and len(start) == 1)
    )
    values = [start] if alone else list(start)
    if len(values) != len(model.names):
        raise InputError(
            f"start has {len(values)} values, but {model.label} has {len(model.names)} parameters: "
            f"{', '.join(model.names)}"
        )
    return dict(zip(model.names, values, strict=True))


def _refuse_unknown(model: Model, full: Mapping[str, list[str]], named: list[str]) -> None:
    """Raise where a name is no parameter's, with the one that may be meant; `full`: names of separate ones by set."""
    known = {*model.names, *(name for names in full.values() for name in names)}
    unknown = next((name for name in named if name not in known), None)
    if unknown is None:
        return
    import difflib

    written = {name.lower(): name for name in sorted(known, reverse=True)}
    near = difflib.get_close_matches(str(unknown).lower(), written, 1)
    hint = f"; did you mean {written[near[0]]!r}?" if near else ""
    if unknown == model.variable:
        hint = f"; its first argument, {unknown}, is given x: the parameters come after it"
    if len(model.names) == 1 and len(known) == 1:
        (only,) = model.names
        hint = f"; where {only} itself is a dict, write start={{{only!r}: {{...}}}}"
    raise InputError(f"{model.label} has no parameter {unknown!r}: it has {', '.join(model.names)}{hint}")


def _for_each_set(
    model: Model,
    full: Mapping[str, list[str]],
    labels: list[str],
    given: dict[str, Any],
    guess: dict[str, Any],
) -> dict[str, Any]:
    """What was given or else guessed, one where neither; of a separate parameter for each data set."""
    structure: dict[str, Any] = {}
    for name in model.names:
        value = given.get(name, guess.get(name, 1.0))
        if name not in full:
            structure[name] = value
            continue
        if not isinstance(value, Mapping):
            value = dict(zip(labels, np.broadcast_to(value, (len(labels),)).tolist(), strict=True))
        for label, key in zip(labels, full[name], strict=True):
            structure[key] = given.get(key, value[label])
    return structure


def _ends_of(
    names: Sequence[str], full: Mapping[str, list[str]], given: Mapping[str, Any], bounds: Any
) -> dict[str, tuple[float, float]]:
    """The bounds of each parameter of the model that is a number, however they are given; of a separate one, of all."""
    structure = {
        key: given.get(key, given.get(name, 1.0)) for name in names for key in full.get(name, [name])
    }
    parameters = Parameters.of(structure)
    box, _ = box_of(pairs_of_ends(bounds, parameters.n), parameters, tuple(parameters.names))
    places = {leaf.name: slice(leaf.start, leaf.stop) for leaf in parameters.leaves}
    ends = {}
    for name in names:
        own = [places[key] for key in full.get(name, [name])]
        low = max(float(box.lower[place].max(initial=-np.inf)) for place in own)
        high = min(float(box.upper[place].min(initial=np.inf)) for place in own)
        ends[name] = (low, max(low, high))
    return ends


def _laid_out(
    model: Model, structure: dict[str, Any], labels: list[str], separate: tuple[str, ...]
) -> tuple[Parameters, Parameters, list[np.ndarray]]:
    """All parameters, those of one set, and for each set the places of its own among all."""
    parameters = Parameters.of(structure)
    if not separate:
        return parameters, parameters, [np.arange(parameters.n)] * len(labels)
    places = {leaf.name: np.arange(leaf.start, leaf.stop) for leaf in parameters.leaves}
    columns = []
    for label in labels:
        keys = [f"{name}[{label}]" if name in separate else name for name in model.names]
        columns.append(np.concatenate([places[key] for key in keys]))
    keys = [f"{name}[{labels[0]}]" if name in separate else name for name in model.names]
    own = Parameters.of({name: structure[key] for name, key in zip(model.names, keys, strict=True)})
    return parameters, own, columns


def _arrangement(
    parameters: Parameters,
    names: tuple[str, ...],
    base: Vector,
    box: Bounds,
    fixed: Any,
    tied: Mapping[str, str],
) -> Arrangement:
    pinned = np.flatnonzero(box.lower == box.upper)
    if not tied and fixed is None and not pinned.size:
        return Arrangement(base, np.arange(parameters.n))
    free = free_of(fixed, parameters, names) if fixed is not None else None
    moving = np.arange(parameters.n) if free is None else free
    places = {name: names.index(name) if name in names else -1 for name in tied}
    for name, place in places.items():
        if place < 0:
            raise InputError(f"tied={name!r} is no parameter: there are {', '.join(names)}")
    moving = np.setdiff1d(moving, [*places.values(), *pinned.tolist()])
    if moving.size == 0:
        raise InputError("no parameter is left to fit: all are fixed or tied")
    ties = _ties(tied, places, names, base)
    filled = Arrangement(base, moving, ties)
    return replace(filled, base=filled.full(base[moving])) if ties else filled


def _ties(
    tied: Mapping[str, str], places: Mapping[str, int], names: tuple[str, ...], base: Vector
) -> tuple[tuple[int, Callable[[Vector], tuple[float, Vector]]], ...]:
    """The ties in an order in which each uses only what is known before it."""
    from ..tracing.expressions import parse

    parsed = {name: parse(str(text)) for name, text in tied.items()}
    for name, expression in parsed.items():
        strange = [part for part in expression.names if part not in names]
        if strange:
            raise InputError(
                f"tied={{{name!r}: {expression.text!r}}} holds {', '.join(strange)}, and the parameters are "
                f"{', '.join(names)}"
            )
    ordered: list[str] = []
    while len(ordered) < len(parsed):
        ready = [
            name
            for name in parsed
            if name not in ordered
            and all(part not in parsed or part in ordered for part in parsed[name].names)
        ]
        if not ready:
            raise InputError(
                f"the ties of {', '.join(name for name in parsed if name not in ordered)} go in a circle"
            )
        ordered += ready
    return tuple((places[name], _tie(parsed[name], names, base)) for name in ordered)


def _tie(expression: Any, names: tuple[str, ...], base: Vector) -> Callable[[Vector], tuple[float, Vector]]:
    """From all n values to the tied one and its gradient, (n,)."""
    own = [names.index(name) for name in expression.names]
    if not own:
        constant = float(expression())
        return lambda x: (constant, np.zeros(x.size))
    from ..traced import evaluation
    from ..tracing.trace import trace

    traced = trace(
        expression,
        Parameters.of({name: float(base[k]) for name, k in zip(expression.names, own, strict=True)}),
    )
    both = evaluation(traced, "value_and_gradient")

    def tie(x: Vector) -> tuple[float, Vector]:
        value, slope = both(x[own])
        gradient = np.zeros(x.size)
        gradient[own] = slope
        return float(value), gradient

    return tie


def _function(
    model: Model, sets: tuple[DataSet, ...], own: Parameters, box: Bounds, derivatives: str
) -> tuple[VectorFunction, str, Callable[[Any], Any] | None, tuple[str, ...]]:
    """The predictions of all sets as one function of all parameters; its precision, a tracer of it, and remarks."""
    if derivatives == "numeric" or (derivatives == "auto" and is_opaque(model.function)):
        calls = Calls()
        measured = [
            MeasuredVector(
                _sized(functools.partial(_predicted, model, own, part.measurements.x), part, model.label),
                Bounds(box.lower[part.columns], box.upper[part.columns]),
                model.label,
                calls,
            )
            for part in sets
        ]
        return _stacked(measured, sets), "float64", None, ()
    from ..tracing.trace import trace

    def traced(x: Any) -> Any:
        return trace(model.function, own, (x,), style="keywords", label=model.label)

    parts = []
    precision = "float64"
    remarks: tuple[str, ...] = ()
    for part in sets:
        found = traced(part.measurements.x)
        m = part.measurements.m
        if int(np.prod(found.shape)) != m:
            if int(np.prod(found.shape)) != 1:
                raise InputError(_mismatch(model.label, found.shape, part.measurements))
            found = traced_broadcast(found, m)
            remarks = (
                f"{model.label} gives one number, which is taken for each of the {m:,} points: the curve is level",
            )
        if found.lowest_precision != "float64":
            precision = found.lowest_precision
        parts.append(TracedVector(found))
    return _stacked(parts, sets), precision, traced, remarks


def traced_broadcast(found: Any, m: int) -> Any:
    """A trace with a single value as one with m equal values."""
    if ("broadcast", m) not in found.kept:
        import jax
        from jax.extend.core import jaxpr_as_fun

        from ..numerics import double_precision

        function = jaxpr_as_fun(found.jaxpr)
        with double_precision():
            wide = jax.make_jaxpr(lambda p: jax.numpy.broadcast_to(function(p)[0].reshape(-1), (m,)))(
                jax.ShapeDtypeStruct((found.n,), np.float64)
            )
        found.kept["broadcast", m] = type(found)(wide, (m,), found.lowest_precision)
    return found.kept["broadcast", m]


def _mismatch(label: str, shape: tuple[int, ...], data: Measurements) -> str:
    x, m = data.x, data.m
    if isinstance(x, np.ndarray) and x.ndim == 1 and x.size != m and shape == x.shape:
        several = "; several data sets are lists: [x_1, x_2], [y_1, y_2]" if m % x.size == 0 else ""
        return f"x holds {counted(x.size, 'point')} and y {m:,}; give one y for each x{several}"
    told = (
        f"{label} predicts an array of shape {shape} for {m} measurements; it must give one value for each y"
    )
    if isinstance(x, np.ndarray) and x.ndim == 2 and x.shape[0] == m:
        told += f". x has shape {x.shape}, a row for each point: its columns are x[:, 0], x[:, 1], …"
    return told


def _sized(function: Callable[[Vector], Any], part: DataSet, label: str) -> Callable[[Vector], Any]:
    def sized(x: Vector) -> Any:
        values = numbers(function(x), label)
        m = part.measurements.m
        if values.size not in (1, m):
            raise InputError(_mismatch(label, values.shape, part.measurements))
        return np.broadcast_to(values.ravel(), (m,)) if values.size == 1 else values

    return sized


def _predicted(model: Model, own: Parameters, x: Any, theta: Vector) -> Any:
    return model.function(x, **own.restore(theta))


def _stacked(parts: Sequence[VectorFunction], sets: tuple[DataSet, ...]) -> VectorFunction:
    if len(parts) == 1:
        return parts[0]
    return StackedVector(parts, [part.columns for part in sets])
