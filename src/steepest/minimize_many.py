"""Thousands of small minimisations of one cost in one compiled program, with a verdict for each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from .bounds import Bounds
from .box import box_of
from .cost import Cost, check_derivatives, read_cost
from .errors import InputError, TracingError
from .minimize import minimize
from .parameters import Parameters
from .search.existing import A_WALL, around
from .solvers.many import Members, Program, before
from .solvers.stopping import StopReason
from .verdict.members import judged

Vector = np.ndarray

# Costs of more parameters are minimised one by one: their Hessians no longer fit into the cache together.
MOST_PARAMETERS = 50

# Two ends are the same minimum when costs and parameters agree to this part of their size. A parameter whose minimum is
# at zero has no size there but that of its starts, nor has a cost whose minimum is zero.
SAME = 1e-5


@dataclass(frozen=True)
class ManyResult:
    """Minimisations of B members.

    `x` in the structure of the starts with a leading axis B, `fun` (B,), `verdicts` (B,) of `Verdict`, `success` (B,),
    `steps` (B,) tried in the batch, `alone` (B,): taken up by `minimize` on its own, `vectors` (B, n) flat.
    """

    x: Any
    fun: Vector
    verdicts: np.ndarray
    steps: Vector
    alone: np.ndarray
    vectors: Vector
    names: tuple[str, ...]
    label: str
    _restore: Callable[[Vector], Any]
    _least_size: Vector
    _least_cost: float

    def __len__(self) -> int:
        return self.fun.size

    def __getitem__(self, k: int) -> dict[str, Any]:
        """Member k: x, fun, verdict, success."""
        return {
            "x": self._restore(self.vectors[k]),
            "fun": float(self.fun[k]),
            "verdict": self.verdicts[k],
            "success": bool(self.success[k]),
        }

    @functools.cached_property
    def success(self) -> np.ndarray:
        """Whether each verdict is a minimum, (B,)."""
        return np.array([word.is_minimum for word in self.verdicts], dtype=bool)

    @property
    def best(self) -> int:
        """The member with the lowest cost among the minima; among all where there is none."""
        cost = np.where(np.isfinite(self.fun), self.fun, np.inf)
        return int(np.argmin(np.where(self.success, cost, np.inf) if self.success.any() else cost))

    def minima(self) -> list[dict[str, Any]]:
        """The distinct minima, lowest first: x, fun, and how many members ended there.

        Those equally low to rounding stand in the order of their parameters.
        """
        size = np.maximum(np.abs(self.vectors).max(axis=0, initial=0.0), self._least_size)

        def as_low(cost: float, other: float) -> bool:
            return bool(abs(cost - other) <= SAME * max(self._least_cost, abs(other)))

        found: list[dict[str, Any]] = []
        for k in np.argsort(self.fun, kind="stable"):
            if not self.success[k]:
                continue
            for other in found:
                near = np.abs(self.vectors[k] - other["vector"]) <= SAME * size
                if near.all() and as_low(self.fun[k], other["fun"]):
                    other["count"] += 1
                    break
            else:
                found.append({"vector": self.vectors[k], "fun": float(self.fun[k]), "count": 1})
        level: float | None = None
        for one in found:
            if level is None or not as_low(one["fun"], level):
                level = one["fun"]
            one["level"] = level
        found.sort(key=lambda one: (one["level"], *one["vector"].tolist()))
        return [
            {"x": self._restore(one["vector"]), "fun": one["fun"], "count": one["count"]} for one in found
        ]

    def __str__(self) -> str:
        words, counts = np.unique([str(word) for word in self.verdicts], return_counts=True)
        ranked = sorted(zip(counts.tolist(), words.tolist(), strict=True), reverse=True)
        told = ", ".join(f"{count:,} × {word}" for count, word in ranked)
        return (
            f"{len(self):,} minimisations of {self.label}: {told}\n  lowest cost {self.fun[self.best]:.6g}, "
            f"median steps {int(np.median(self.steps))}, {int(self.alone.sum()):,} taken up one by one"
        )

    __repr__ = __str__


def minimize_many(
    fun: Any,
    x0s: Any,
    args_batch: Sequence[Any] = (),
    *,
    bounds: Any = None,
    tol: float | None = None,
    max_steps: int = 200,
    alone: bool = True,
    seed: int = 0,
    derivatives: str = "auto",
) -> ManyResult:
    """Minimise `fun(x, *args)` from every start in `x0s`, compiled once.

    Parameters
    ----------
    fun : as for `minimize`; it is run once, unless what it does depends on the data of a member, as in `if y > 0:`.
    x0s : starts: an array with a leading axis over members, a dict of such arrays, or a list of structures.
    args_batch : further arguments of `fun`, each with a leading axis over members; numbers arrive as float64.
    bounds : as for `minimize`, the same for all members.
    tol : stop a member when its next step would gain less than this part of what it gained. By default as far as
        double precision can tell.
    max_steps : trials allowed for each member in the batch.
    alone : members that do not end in a minimum are taken up one by one by `minimize`, which has more means;
        without, they are left as they are, "out of budget". Costs of more than 50 parameters, and those that no one
        program tells for all members, are taken up so from their starts.
    seed : of the directions that `minimize` probes along, and of the places tried beside a start without a cost.
    derivatives : as for `minimize`; where they are "numeric", all members are taken up one by one.

    A member whose cost has no value at its start begins at a place nearby where it has one, as `minimize` does. Ctrl-C
    while members are taken up one by one stops that one and leaves those after it as they are.

    Returns
    -------
    ManyResult : x, cost and verdict of each member; `best`, and the distinct `minima()`.

    Raises
    ------
    InputError : an argument cannot be used. TracingError : the cost cannot be traced.

    >>> found = minimize_many(lambda x, a: np.sum((x - a) ** 2), np.zeros((3, 2)), [np.arange(6.0).reshape(3, 2)])
    >>> found.x.tolist(), set(found.verdicts) == {"local minimum"}
    ([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], True)
    """
    check_derivatives(derivatives)
    if tol is not None and not 0 <= tol < np.inf:
        raise InputError(
            f"tol={tol!r}; give the fraction of the gain that may be left, a number from 0 upwards"
        )
    members = _members(x0s)
    data = [_data(k, part, len(members)) for k, part in enumerate(_listed(args_batch))]
    own = tuple(part[0] for part in data)
    cost = read_cost(fun, members[0], own)
    parameters = Parameters.of(members[0], cost.first)
    starts = _flat(members, x0s, parameters)
    if not np.isfinite(starts).all():
        raise InputError("x0s holds values that are not finite")
    names = cost.names if cost.names and len(cost.names) == parameters.n else tuple(parameters.names)
    box, _ = box_of(bounds, parameters, names)
    program = None if cost.is_measured(derivatives) else _program(cost, parameters, data, box, tol, alone)
    end = before(starts) if program is None else _walked(program, starts, data, box, max_steps, seed)
    words = judged(end, starts, box, program is not None and not data and _is_convex(cost, parameters, box))
    x, first = np.clip(end.x, box.lower, box.upper), np.array(end.first)
    value = np.where(np.isfinite(end.cost), end.cost, first)
    retried = np.array([not word.is_minimum for word in words]) if alone else np.zeros(len(members), bool)
    for k in np.flatnonzero(retried).tolist():
        from_here = x[k] if np.isfinite(x[k]).all() and np.isfinite(value[k]) else starts[k]
        result = minimize(
            fun,
            parameters.restore(from_here),
            tuple(part[k] for part in data),
            bounds=bounds,
            tol=tol,
            seed=seed,
            derivatives=derivatives,
        )
        x[k], value[k], words[k] = parameters.flatten(result.x), result.fun, result.verdict
        if not np.isfinite(first[k]) and len(result.history):  # it was not in the batch
            first[k] = result.history.value[0]
        if result.stop == StopReason.STOPPED:  # Ctrl-C: those to come do not begin
            retried[k + 1 :] = False
            break
    return ManyResult(
        _stacked(x, x0s, parameters),
        value,
        words,
        np.maximum(end.steps, 0),
        retried,
        x,
        tuple(names),
        cost.label,
        parameters.restore,
        _least_size(starts),
        float(_least_size(first[np.isfinite(first)][:, None])[0]),
    )


# -- what was given ------------------------------------------------------------------------------------------


def _listed(args_batch: Any) -> Sequence[Any]:
    return args_batch if isinstance(args_batch, (tuple, list)) else (args_batch,)


def _members(x0s: Any) -> list[Any]:
    """One structure for each member."""
    members: list[Any]
    if isinstance(x0s, Mapping):
        parts = {name: np.asarray(part, dtype=np.float64) for name, part in x0s.items()}
        lengths = {part.shape[:1] for part in parts.values()}
        if len(lengths) != 1 or lengths == {()}:
            raise InputError("every entry of x0s needs the same leading axis, one entry for each member")
        (count,) = lengths.pop()
        members = [{name: part[k] for name, part in parts.items()} for k in range(count)]
    elif (
        isinstance(x0s, list)
        and x0s
        and not np.isscalar(x0s[0])
        and not isinstance(x0s[0], (list, np.ndarray))
    ):
        members = list(x0s)
    else:
        try:
            whole = np.asarray(x0s, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(
                "x0s holds starts of different lengths, or what is no number; give one start for each member, all of "
                "the same shape"
            ) from None
        if whole.ndim == 0:
            raise InputError(f"x0s is one number, {x0s!r}; give an array with one start for each member")
        members = [float(row) if np.ndim(row) == 0 else row for row in whole]
    if not members:
        raise InputError("x0s has no start")
    return members


def _flat(members: list[Any], x0s: Any, parameters: Parameters) -> Vector:
    """The starts as flat vectors, (B, n)."""
    if isinstance(x0s, np.ndarray) and x0s.dtype != object:
        return np.array(x0s, dtype=np.float64).reshape(len(members), parameters.n)
    return np.array([parameters.flatten(member, "a start") for member in members])


def _least_size(starts: Vector) -> Vector:
    """The size of what is zero at a minimum, (n,): that at the starts, (B, n), and one at most."""
    largest = np.abs(starts).max(axis=0, initial=0.0)
    return np.where(largest > 0.0, np.minimum(largest, 1.0), 1.0)


def _data(k: int, part: Any, count: int) -> np.ndarray:
    try:
        array = np.asarray(part, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"args_batch[{k}] does not hold numbers") from None
    if array.ndim == 0 or array.shape[0] != count:
        raise InputError(
            f"args_batch[{k}] has the shape {array.shape}; its first axis runs over the {count:,} members"
        )
    return array


def _stacked(x: Vector, like: Any, parameters: Parameters) -> Any:
    """Structures of all members as one with a leading axis, in the form the starts came in."""
    if isinstance(like, np.ndarray) and like.dtype != object:
        return x.reshape(like.shape).copy()
    rows = [parameters.restore(row) for row in x]
    if isinstance(like, Mapping):
        return {name: np.array([row[name] for row in rows]) for name in like}
    return np.array(rows) if isinstance(rows[0], (float, np.floating, np.ndarray)) else rows


# -- walking and judging -------------------------------------------------------------------------------------


def _program(
    cost: Cost, parameters: Parameters, data: list[np.ndarray], box: Bounds, tol: float | None, alone: bool
) -> Program | None:
    """One program for all members; None where there are too many parameters, or where the cost looks at its data."""
    n = parameters.n
    if n > MOST_PARAMETERS:
        return None
    from .tracing.trace import as_number

    try:
        own = tuple(part[0] for part in data)
        traced = cost.trace(parameters, ()) if not data else _traced_with_data(cost, parameters, own)
    except TracingError:
        # With data of its own for constants each member may have a trace; where none has one, `minimize` says why.
        if not (data and alone):
            raise
        return None
    if int(np.prod(traced.shape)) != 1:
        raise InputError(f"{cost.label} returns an array of shape {traced.shape}; a cost is one number")
    key = ("many", n, box.any, tol)
    if key not in traced.kept:
        from jax.extend.core import jaxpr_as_fun

        function = jaxpr_as_fun(as_number(traced))

        def value(x: Any, member: Any) -> Any:
            import jax.numpy as jnp

            return function(jnp.concatenate([x, *member]) if member else x)[0]

        traced.kept[key] = Program(value, n, box.any, tol or 0.0)
    program: Program = traced.kept[key]
    return program


def _walked(
    program: Program, starts: Vector, data: list[np.ndarray], box: Bounds, max_steps: int, seed: int
) -> Members:
    """The end states of the batch."""
    flat = tuple(np.ascontiguousarray(part.reshape(len(starts), -1)) for part in data)
    end = program.run(starts, flat, (box.lower, box.upper), max_steps)
    return _begun_where_it_exists(program, end, starts, flat, box, max_steps, seed)


def _begun_where_it_exists(
    program: Program,
    end: Members,
    starts: Vector,
    data: tuple[np.ndarray, ...],
    box: Bounds,
    max_steps: int,
    seed: int,
) -> Members:
    """The end states with those members walked from the lowest of the nearest places, whose start (n,) had no cost."""
    lost = np.flatnonzero(~np.isfinite(end.first) & ~(end.first < 0.0))
    if not lost.size:
        return end
    bounds, n = (box.lower, box.upper), starts.shape[1]
    begins, found = starts[lost], np.zeros(lost.size, dtype=bool)
    own = tuple(part[lost] for part in data)
    for at_once in zip_longest(*[around(start, box, seed) for start in starts[lost]]):
        ways = max(len(there) for there in at_once if there is not None)
        # Members with no farther places wait at their starts.
        still = zip(at_once, starts[lost], strict=True)
        places = np.array([[start] * ways if there is None else there for there, start in still])
        there = program.run(
            places.reshape(-1, n), tuple(np.repeat(part, ways, axis=0) for part in own), bounds, 0
        )
        value = np.where(np.abs(there.cost) < A_WALL, there.cost, np.inf).reshape(-1, ways)
        new = ~found & np.isfinite(value).any(axis=1)
        begins[new] = places[new, np.argmin(value[new], axis=1)]
        found |= new
        if found.all():
            break
    if found.any():
        again = program.run(begins[found], tuple(part[found] for part in own), bounds, max_steps)
        for whole, part in zip(end, again, strict=True):
            whole[lost[found]] = part
    return end


def _traced_with_data(cost: Cost, parameters: Parameters, own: tuple[Any, ...]) -> Any:
    """The cost as one of its parameters and its further arguments together."""
    from .tracing.trace import trace

    if cost.names is not None:
        raise InputError(f"{cost.label!r} is an expression, which takes no further arguments")
    structure = {"x": parameters.restore(parameters.vector)}
    # A member whose data hold NaN may come first: what is recorded is the same for all.
    structure |= {f"args_batch[{k}]": np.where(np.isfinite(part), part, 0.0) for k, part in enumerate(own)}
    try:
        both = _of_both(cost.function, cost.style, len(own))
    except TypeError:  # an object that cannot be hashed
        both = _of_both.__wrapped__(cost.function, cost.style, len(own))
    return trace(both, Parameters.of(structure))


@functools.lru_cache(maxsize=32)
def _of_both(function: Any, style: str, count: int) -> Callable[[Any], Any]:
    def both(p: Any) -> Any:
        args = [p[f"args_batch[{k}]"] for k in range(count)]
        if style == "whole":
            return function(p["x"], *args)
        return function(*args, **p["x"]) if style == "keywords" else function(*p["x"], *args)

    return both


def _is_convex(cost: Cost, parameters: Parameters, box: Bounds) -> bool:
    from .structure.facts import read

    traced = cost.trace(parameters, ())
    return read(traced.jaxpr, box if box.any else None).convexity.is_convex
