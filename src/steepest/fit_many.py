"""Thousands of fits of one model in one compiled program, with errors and a verdict for each."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .box import box_of
from .errors import InputError
from .fitting.result import Values
from .models.model import Model, as_model
from .parameters import Parameters
from .solvers.batch import SMALLEST_PIVOT, TOLERANCE, Program
from .verdict.words import Verdict

Vector = np.ndarray[Any, np.dtype[np.float64]]

# Members whose cost is this many times the median of the finished ones are tried again from what fitted others: where
# the noise is alike, they are in another basin.
MANY_MEDIANS = 1.6

# Answers of other members that are looked at for each member that is tried again, and rounds of that.
BORROWED, ROUNDS = 16, 3

# Steps allowed from a borrowed answer, which is near or of no use.
AGAIN_STEPS = 50

# Two ends of one member are the same minimum when their costs agree to this.
SAME = 1e-6


@dataclass(frozen=True)
class BatchResult:
    """Fits of B curves; iterates over (params, covariance) of each.

    `params` (B, n), `errors` (B, n), `covariance` (B, n, n), `chi2` (B,), `verdicts` (B,) of `Verdict`, `success`
    (B,), `steps` (B,), `start` (B, n) those walked from, `again` (B,): found from another member's answer.
    `degrees_of_freedom` (B,): points less the parameters that the data determine or that sit at their bounds.
    """

    names: tuple[str, ...]
    params: Vector
    covariance: Vector
    chi2: Vector
    degrees_of_freedom: Vector
    verdicts: np.ndarray
    steps: np.ndarray
    start: Vector
    again: np.ndarray
    noise: str
    label: str

    def __len__(self) -> int:
        return self.params.shape[0]

    def __iter__(self) -> Iterator[tuple[Vector, Vector]]:
        return iter(zip(self.params, self.covariance, strict=True))

    def __getitem__(self, k: int) -> dict[str, Any]:
        """Curve k: values, errors, chi2, verdict, success."""
        return {
            "values": Values(zip(self.names, self.params[k].tolist(), strict=True)),
            "errors": Values(zip(self.names, self.errors[k].tolist(), strict=True)),
            "chi2": float(self.chi2[k]),
            "verdict": self.verdicts[k],
            "success": bool(self.success[k]),
        }

    @functools.cached_property
    def errors(self) -> Vector:
        """Standard errors, (B, n); infinite where the data do not determine the parameters."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.einsum("bii->bi", self.covariance))

    @functools.cached_property
    def success(self) -> np.ndarray:
        """Whether each verdict is a minimum, (B,)."""
        return np.array([word.is_minimum for word in self.verdicts], dtype=bool)

    @property
    def values(self) -> Values:
        """Each parameter by name, (B,)."""
        return Values((name, self.params[:, j]) for j, name in enumerate(self.names))

    def __str__(self) -> str:
        words, counts = np.unique([str(word) for word in self.verdicts], return_counts=True)
        told = ", ".join(
            f"{count:,} × {word}" for count, word in sorted(zip(counts, words, strict=True), reverse=True)
        )
        return (
            f"{len(self):,} fits of {self.label}: {told}\n  median steps {int(np.median(self.steps))}, "
            f"{int(self.again.sum()):,} found from the answers of others"
        )

    __repr__ = __str__

    def to_frame(self) -> Any:
        """A row for each curve: values, errors, chi2, verdict; a polars frame."""
        from .optional import optional

        polars: Any = optional("polars", feature="frames", extra="tables")
        columns: dict[str, Any] = {name: self.params[:, j] for j, name in enumerate(self.names)}
        columns |= {f"{name}_error": self.errors[:, j] for j, name in enumerate(self.names)}
        return polars.DataFrame(
            {**columns, "chi2": self.chi2, "verdict": [str(word) for word in self.verdicts]}
        )


def fit_many(
    model: Any,
    x: Any,
    y: Any,
    start: Any = None,
    *,
    sigma: Any = None,
    noise: str = "unknown",
    mask: Any = None,
    bounds: Any = None,
    max_steps: int = 200,
    again: bool = True,
    progress: bool | Callable[[int, int], None] = False,
    seed: int = 0,
) -> BatchResult:
    """Fit `model` to each row of `y` (B, m), compiled once.

    Parameters
    ----------
    model : as for `fit`. x : (m,) for all curves or (B, m); for several independent variables a tuple of such.
    start : one start for all (dict or (n,)), or (B, n) or a dict of (B,); left out, a ready-made model guesses for
        each curve.
    sigma : standard deviations, (m,) or (B, m); noise : as for `fit`. mask : True for each point used, (m,) or (B, m);
        points that are not finite are left out too. bounds : as for `fit`, the same for all curves.
    max_steps : after which a curve is given up as out of budget.
    again : curves that ended at no minimum, or fit far worse than the others, are tried again from answers that
        fitted other curves; the lower cost is kept.
    progress : True to show it on the terminal, or a function of (finished, total).

    Returns
    -------
    BatchResult : parameters, errors, covariances and a verdict for each curve.

    Raises
    ------
    InputError : an argument cannot be used. TracingError : the model cannot be traced.

    >>> t = np.linspace(0.0, 3.0, 20)
    >>> curves = np.array([[2.0], [3.0]]) * np.exp(-np.array([[0.5], [1.5]]) * t)
    >>> fit_many("a*exp(-b*t)", t, curves, {"a": 1.0, "b": 1.0}).params.round(6)
    array([[2. , 0.5],
           [3. , 1.5]])
    """
    curves = _curves(y)
    B, m = curves.shape
    places = _places(x, B, m)
    known = as_model(model, places[0][0] if len(places) == 1 else tuple(part[0] for part in places))
    weights = _weights(sigma, mask, curves, noise)
    theta, names = _starts(known, start, places, curves)
    lower, upper = _bounds(bounds, names, theta[0])
    shared = all(part.shape[0] == 1 for part in places)
    columns = tuple(part[0] for part in places) if shared else ()
    program = _program(known, names, columns, shared, len(places), weights is not None, bounds is not None, m)
    target = np.where(np.isfinite(curves), curves, 0.0) if weights is not None else curves
    data: tuple[np.ndarray, ...] = (target,)
    if weights is not None:
        data += (weights,)
    if not shared:
        data += tuple(np.broadcast_to(part, (B, m)) for part in places)
    tell = _teller(progress, B)
    state, inverse, pivot = program.run(theta, data, (lower, upper), max_steps, tell)
    params, chi2 = _ended(state, lower, upper)
    words = _words(state, pivot, max_steps)
    steps, gram = np.array(state.steps), np.array(state.gram)
    retried = np.zeros(B, dtype=bool)
    used = np.full(B, m) if weights is None else (weights > 0).sum(axis=1)
    if again and B > 1:
        found = _Ends(params, chi2, words, steps, inverse, gram, retried, theta)
        _try_again(program, data, (lower, upper), found, used, max_steps, seed)
        params, chi2, words, steps, inverse, gram, retried, theta = found.parts()
    held = (params <= lower) | (params >= upper)
    degrees = used - _determined(gram, words, held)
    covariance = _covariance(inverse, chi2, degrees, words, held, noise)
    if callable(progress) or progress:
        assert tell is not None
        tell(B)
    return BatchResult(
        names,
        params,
        covariance,
        chi2,
        degrees,
        _VERDICTS[words],
        steps,
        theta,
        retried,
        noise,
        known.label,
    )


# -- what was given ------------------------------------------------------------------------------------------


def _curves(y: Any) -> Vector:
    curves = np.array(y, dtype=np.float64)
    if curves.ndim != 2 or 0 in curves.shape:
        raise InputError(f"y has the shape {curves.shape}; give one row for each curve, (curves, points)")
    return curves


def _places(x: Any, B: int, m: int) -> list[Vector]:
    """Each independent variable as (1, m), shared, or (B, m)."""
    parts = []
    for k, part in enumerate(x if isinstance(x, tuple) else (x,)):
        found = np.atleast_2d(np.array(part, dtype=np.float64))
        if found.shape not in ((1, m), (B, m)):
            raise InputError(
                f"x{f'[{k}]' if isinstance(x, tuple) else ''} has the shape {np.shape(part)}; give ({m},) for all "
                f"curves, or ({B}, {m})"
            )
        parts.append(found)
    shared = all(part.shape[0] == 1 for part in parts)
    return parts if shared else [np.broadcast_to(part, (B, m)) for part in parts]


def _weights(sigma: Any, mask: Any, curves: Vector, noise: str) -> Vector | None:
    if noise not in ("known", "unknown"):
        raise InputError(f'noise={noise!r}; choose "known" or "unknown"')
    if noise == "known" and sigma is None:
        raise InputError('noise="known" needs sigma=, the standard deviation of each measurement')
    finite = np.isfinite(curves)
    if sigma is None and mask is None and finite.all():
        return None
    weights = np.ones(curves.shape)
    if sigma is not None:
        deviation = np.asarray(sigma, dtype=np.float64)
        if not (deviation > 0).all():
            raise InputError("sigma holds values that are not positive; standard deviations are above 0")
        try:
            weights = weights / np.broadcast_to(deviation, curves.shape)
        except ValueError:
            raise InputError(
                f"sigma has the shape {deviation.shape} for curves of shape {curves.shape}"
            ) from None
    if mask is not None:
        try:
            chosen = np.broadcast_to(np.asarray(mask, dtype=bool), curves.shape)
        except ValueError:
            raise InputError(
                f"mask has the shape {np.shape(mask)} for curves of shape {curves.shape}"
            ) from None
        finite = finite & chosen
    return np.where(finite, weights, 0.0)


def _starts(model: Model, start: Any, places: list[Vector], curves: Vector) -> tuple[Vector, tuple[str, ...]]:
    B = curves.shape[0]
    names = model.names
    if start is None:
        if model.guess is None:
            raise InputError(
                f"{model.label} cannot guess a start; give start= for all curves, or an array ({B}, {len(names)})"
            )
        x = places[0]
        rows = [model.guess(x[min(k, x.shape[0] - 1)], np.nan_to_num(curves[k])) for k in range(B)]
        return np.array([[row[name] for name in names] for row in rows]), names
    if isinstance(start, Mapping):
        missing = [name for name in names if name not in start]
        if missing or set(start) - set(names):
            raise InputError(f"start has {', '.join(map(str, start))}; {model.label} has {', '.join(names)}")
        theta = np.stack(
            [np.broadcast_to(np.asarray(start[name], np.float64), (B,)) for name in names], axis=1
        )
    else:
        theta = np.atleast_2d(np.array(start, dtype=np.float64))
        if not names:
            names = tuple(f"p{k}" for k in range(theta.shape[1]))
        if theta.shape not in ((1, len(names)), (B, len(names))):
            raise InputError(
                f"start has the shape {np.shape(start)}; give ({len(names)},) for all curves, or ({B}, {len(names)})"
            )
        theta = np.broadcast_to(theta, (B, len(names)))
    if not np.isfinite(theta).all():
        raise InputError("start holds values that are not finite")
    return np.array(theta), names


def _bounds(bounds: Any, names: tuple[str, ...], first: Vector) -> tuple[Vector, Vector]:
    parameters = Parameters.of(dict(zip(names, first.tolist(), strict=True)))
    box, _ = box_of(bounds, parameters, names)
    return box.lower, box.upper


# -- the program ---------------------------------------------------------------------------------------------


_programs: dict[Any, tuple[Any, Program]] = {}

# Programs kept for a second call; each holds a compiled loop of a few megabytes.
KEPT_PROGRAMS = 16


def _program(
    model: Model,
    names: tuple[str, ...],
    columns: tuple[Vector, ...],
    shared: bool,
    variables: int,
    weighed: bool,
    bounded: bool,
    m: int,
) -> Program:
    """The compiled loop of this model, kept while its trace is."""
    from .tracing.trace import trace

    if shared:
        x = columns[0] if variables == 1 else columns
        start = Parameters.of(dict.fromkeys(names, 1.0))
        traced = trace(model.function, start, (x,), style="keywords")
        expected = int(np.prod(traced.shape))
    else:
        structure: dict[str, Any] = dict.fromkeys(names, 1.0)
        structure |= {f" x{k}": np.ones(m) for k in range(variables)}
        traced = trace(_of_places(model.function, names, variables), Parameters.of(structure), style="whole")
        expected = int(np.prod(traced.shape))
    if expected not in (1, m):
        raise InputError(f"{model.label} predicts {expected} values for {m} measurements of each curve")
    key = (id(traced), weighed, bounded)
    if key not in _programs:
        while len(_programs) >= KEPT_PROGRAMS:
            _programs.pop(next(iter(_programs)))
        _programs[key] = (traced, Program(_residual(traced, shared, weighed), len(names), bounded))
    return _programs[key][1]


@functools.lru_cache(maxsize=32)
def _of_places(function: Callable[..., Any], names: tuple[str, ...], variables: int) -> Callable[[Any], Any]:
    """The model as a function of one structure that holds x too, so that every curve may have its own."""

    def whole(structure: Any) -> Any:
        places = tuple(structure[f" x{k}"] for k in range(variables))
        return function(places[0] if variables == 1 else places, **{name: structure[name] for name in names})

    return whole


def _residual(traced: Any, shared: bool, weighed: bool) -> Callable[[Any, Any], Any]:
    """r of one curve from its parameters and its data (y, weights?, x...?)."""
    from jax.extend.core import jaxpr_as_fun

    function = jaxpr_as_fun(traced.jaxpr)

    def residual(theta: Any, data: Any) -> Any:
        import jax.numpy as jnp

        y, *rest = data
        weights = rest.pop(0) if weighed else None
        flat = theta if shared else jnp.concatenate([theta, *rest])
        r = jnp.ravel(function(flat)[0]) - y
        return r if weights is None else jnp.where(weights > 0.0, r * weights, 0.0)

    return residual


# -- what came out -------------------------------------------------------------------------------------------


_WORDS = (
    Verdict.LOCAL_MINIMUM,
    Verdict.FLAT_MINIMUM,
    Verdict.OUT_OF_BUDGET,
    Verdict.NOT_FINITE,
    Verdict.STOPPED,
)
_VERDICTS = np.array(_WORDS, dtype=object)
LOCAL, FLAT, SPENT, NOT_FINITE, STUCK = range(5)


def _ended(state: Any, lower: Vector, upper: Vector) -> tuple[Vector, Vector]:
    """Parameters with the last step taken as well, (B, n), and the cost then, (B,)."""
    last = (state.done & (state.promise >= 0.0) & (state.promise <= TOLERANCE * state.cost))[:, None]
    step = np.where(last & np.isfinite(state.step), state.step, 0.0)
    cost = np.where(last[:, 0], state.cost - np.maximum(state.promise, 0.0), state.cost)
    return np.clip(state.theta + step, lower, upper), cost


def _words(state: Any, pivot: np.ndarray, max_steps: int) -> np.ndarray:
    """The verdict of each member as its place in the table: by what the next step promises and by the pivots."""
    arrived = state.done & np.isfinite(state.cost) & (state.promise <= TOLERANCE * state.cost)
    arrived |= state.cost == 0.0
    words = np.where(arrived, np.where(pivot > SMALLEST_PIVOT, LOCAL, FLAT), STUCK)
    words = np.where(~arrived & ~state.done & (state.steps >= max_steps), SPENT, words)
    return np.where(~np.isfinite(state.cost), NOT_FINITE, words)


@dataclass
class _Ends:
    """Where the members ended; improved in place."""

    params: Vector
    chi2: Vector
    words: np.ndarray
    steps: np.ndarray
    inverse: Vector
    gram: Vector
    retried: np.ndarray
    start: Vector

    def parts(self) -> tuple[Any, ...]:
        return (
            self.params,
            self.chi2,
            self.words,
            self.steps,
            self.inverse,
            self.gram,
            self.retried,
            self.start,
        )


def _try_again(
    program: Program, data: Any, bounds: Any, ends: _Ends, used: np.ndarray, max_steps: int, seed: int
) -> None:
    """Walk doubtful members again from answers that fitted others, and keep what is lower."""
    generator = np.random.default_rng(seed)
    for _ in range(ROUNDS):
        sound = np.flatnonzero((ends.words == LOCAL) & np.isfinite(ends.chi2))
        if sound.size == 0:
            return
        level = ends.chi2 / np.maximum(used, 1)
        typical = float(np.median(level[sound]))
        doubtful = np.flatnonzero((ends.words != LOCAL) | (level > MANY_MEDIANS * typical))
        lenders = sound[level[sound] <= MANY_MEDIANS * typical]
        if doubtful.size == 0 or lenders.size == 0:
            return
        lenders = generator.choice(lenders, min(BORROWED, lenders.size), replace=False)
        starts = _closest(program, data, bounds, doubtful, ends.params[lenders])
        own = tuple(part[doubtful] for part in data)
        state, inverse, pivot = program.run(starts, own, bounds, min(max_steps, AGAIN_STEPS))
        params, chi2 = _ended(state, *bounds)
        words = _words(state, pivot, max_steps)
        old = ends.chi2[doubtful]
        better = (chi2 < old * (1 - SAME)) | ~np.isfinite(old)
        better |= (chi2 <= old * (1 + SAME)) & (words == LOCAL) & (ends.words[doubtful] != LOCAL)
        if not better.any():
            return
        taken = doubtful[better]
        ends.params[taken], ends.chi2[taken] = params[better], chi2[better]
        ends.words[taken], ends.inverse[taken] = words[better], inverse[better]
        ends.gram[taken] = state.gram[better]
        ends.steps[taken] += state.steps[better]
        ends.start[taken] = starts[better]
        ends.retried[taken] = True


def _closest(program: Program, data: Any, bounds: Any, members: np.ndarray, answers: Vector) -> Vector:
    """For each of `members` the answer, of those borrowed, that costs it least; (members, n)."""
    own = tuple(part[members] for part in data)
    best = np.full(members.size, np.inf)
    starts = np.repeat(answers[:1], members.size, axis=0)
    for answer in answers:
        costs = program.costs(np.repeat(answer[None], members.size, axis=0), own, bounds)
        lower = costs < best
        best[lower], starts[lower] = costs[lower], answer
    return starts


def _determined(gram: Vector, words: np.ndarray, held: np.ndarray) -> np.ndarray:
    """How many parameters of each member its data determine or a bound holds, (B,).

    `gram`: JᵀJ, (B, n, n); `held`: which parameters sit at a bound, (B, n).
    """
    count = np.full(held.shape[0], held.shape[1])
    flat = words == FLAT
    inner = np.where(held[flat, :, None] | held[flat, None, :], 0.0, gram[flat])
    size = np.einsum("bii->bi", inner)
    root = np.sqrt(np.where(size > 0.0, size, 1.0))
    values = np.linalg.eigvalsh(inner / (root[:, :, None] * root[:, None, :]))
    count[flat] = held[flat].sum(axis=1) + (values > SMALLEST_PIVOT).sum(axis=1)
    return count


def _covariance(
    inverse: Vector, chi2: Vector, degrees: np.ndarray, words: np.ndarray, held: np.ndarray, noise: str
) -> Vector:
    variance = np.ones(chi2.size)
    if noise == "unknown":
        variance = np.where(degrees > 0, chi2 / np.maximum(degrees, 1), np.nan)
    covariance = np.array(inverse) * variance[:, None, None]
    loose = words == FLAT
    covariance[loose] = np.where(np.eye(held.shape[1]) > 0, np.inf, np.nan)
    for b in np.flatnonzero(held.any(axis=1)).tolist():
        _hold(covariance[b], held[b])
    return covariance


def _hold(covariance: Vector, held: np.ndarray) -> None:
    """Take parameters at their bounds as fixed: the covariance of the rest given them, in place."""
    free = ~held
    if free.any() and np.isfinite(covariance).all():
        inner = covariance[np.ix_(free, free)]
        cross = covariance[np.ix_(free, held)]
        inner = inner - cross @ np.linalg.solve(covariance[np.ix_(held, held)], cross.T)
        covariance[np.ix_(free, free)] = inner
    covariance[held, :] = np.nan
    covariance[:, held] = np.nan


def _teller(progress: bool | Callable[[int, int], None], total: int) -> Callable[[int], None] | None:
    if callable(progress):
        return lambda finished: progress(finished, total)
    if not progress:
        return None

    def show(finished: int) -> None:
        end = "\n" if finished >= total else ""
        sys.stderr.write(f"\r{finished:,} of {total:,} fits{end}")
        sys.stderr.flush()

    return show
