"""The cost under the glass: its exact values and slopes at many places in one call.

The derivative's jaxpr is given a leading axis by `jax.vmap` and evaluated in tiers like any other: a grid of 40,000
places of an expression takes some milliseconds. A cost that cannot be traced is called place by place, and its slope
is measured by differences; `derivatives` says which it is.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..bounds import Bounds
from ..cost import plain_value, read_cost
from ..errors import InputError, TracingError
from ..parameters import Parameters

Array = np.ndarray[Any, np.dtype[np.float64]]

# Numbers that one batch may hold inside at a time: 64 MiB. More gains nothing and could fill the memory.
MOST_NUMBERS = 2**23
# Batches are made in sizes of powers of two from here, so that few different ones are ever built.
SMALLEST_BATCH = 64
# Second derivatives of more parameters than this are not drawn.
MOST_CURVED = 50


class Subject:
    """A cost of `n` named parameters and where it is looked at from.

    `text` is the expression, or None for a function from a file; `label` names it in words; `code` is how the cost
    is written in a Python call. `start` has the structure that the cost takes its parameters in.
    """

    def __init__(self, fun: Any, start: Any, *, label: str | None = None, code: str | None = None) -> None:
        self.fun = fun
        self.cost = read_cost(fun, start)
        self.parameters = Parameters.of(start, self.cost.first)
        self.label = label or self.cost.label
        self.text = fun if isinstance(fun, str) else None
        self.code = code or (repr(fun) if isinstance(fun, str) else self.cost.label)
        self.derivatives = "exact"
        self._batches: dict[tuple[str, int], Callable[..., Any]] = {}
        self._lock = threading.Lock()
        self._traced: Any = None
        if self.cost.opaque:
            self.derivatives = "numeric"
        else:
            try:
                self._traced = self.cost.trace(self.parameters, ())
            except TracingError:
                self.derivatives = "numeric"
        if self._traced is not None and math.prod(self._traced.shape) != 1:
            raise InputError(
                f"{self.label} returns an array of shape {self._traced.shape}; a cost is one number, for "
                "instance np.sum(...) of it"
            )

    @property
    def n(self) -> int:
        """Number of parameters."""
        return self.parameters.n

    @property
    def names(self) -> list[str]:
        """Names of the parameters, in order."""
        known = self.cost.names
        found = known if known and len(known) == self.n else self.parameters.names
        return [str(name) for name in found]

    @property
    def start(self) -> Array:
        """Where it is looked at from, shape (n,)."""
        return np.array(self.parameters.vector, dtype=np.float64)

    def structure(self, x: Sequence[float] | Array) -> Any:
        """A flat place in the structure that the cost takes."""
        found = self.parameters.restore(np.asarray(x, dtype=np.float64))
        return float(found) if isinstance(found, np.floating) else found

    def values(self, places: Array) -> Array:
        """Cost at each row of `places`, shape (b, n); gives shape (b,)."""
        places = self._checked(places)
        with np.errstate(all="ignore"):
            if self._traced is None:
                value = plain_value(self.cost, self.parameters, ())
                return np.array([_number(value, row) for row in places])
            return self._in_batches("value", places)[0]

    def values_and_slopes(self, places: Array) -> tuple[Array, Array]:
        """Cost, shape (b,), and gradient, shape (b, n), at each row of `places`, shape (b, n)."""
        places = self._checked(places)
        with np.errstate(all="ignore"):
            if self._traced is None:
                return self._measured(places)
            found = self._in_batches("both", places)
            return found[0], found[1]

    def expect(self, count: int) -> None:
        """Make ready for many questions about exactly `count` places, which then need no padding."""
        if self._traced is not None and count <= self._largest_batch("both"):
            self._batch("both", count)

    def hessians(self, places: Array) -> Array | None:
        """Second derivatives at each row of `places`, shape (b, n, n); None where they cannot be had."""
        if self._traced is None or self.n > MOST_CURVED:
            return None
        with np.errstate(all="ignore"):
            return self._in_batches("hessian", self._checked(places))[0]

    def _checked(self, places: Array) -> Array:
        places = np.asarray(places, dtype=np.float64)
        if places.ndim != 2 or places.shape[1] != self.n:
            raise InputError(f"places of shape {places.shape} are no places of {self.n} parameters")
        return places

    def _measured(self, places: Array) -> tuple[Array, Array]:
        from ..derivatives.numeric import NumericDerivatives

        measure = NumericDerivatives(
            plain_value(self.cost, self.parameters, ()), Bounds.none(self.n)
        ).value_and_gradient
        values, slopes = np.full(len(places), np.nan), np.full(places.shape, np.nan)
        for row, place in enumerate(places):
            values[row], slopes[row] = measure(place)
        return values, slopes

    def _in_batches(self, kind: str, places: Array) -> tuple[Array, ...]:
        """The evaluation of every row, in batches whose size is a power of two; the last is padded."""
        most = self._largest_batch(kind)
        size = min(max(SMALLEST_BATCH, 1 << max(len(places) - 1, 0).bit_length()), most)
        if self._batches.get((kind, len(places))) is not None:
            size = len(places)
        evaluate = self._batch(kind, size)
        pieces: list[list[Array]] = []
        for at in range(0, len(places), size):
            part = places[at : at + size]
            padded = np.resize(part, (size, self.n)) if len(part) < size else part
            pieces.append([np.array(out[: len(part)], dtype=np.float64) for out in evaluate(padded)])
        if not pieces:
            kinds: dict[str, list[tuple[int, ...]]] = {
                "value": [()],
                "both": [(), (self.n,)],
                "hessian": [(self.n, self.n)],
            }
            return tuple(np.zeros((0, *shape)) for shape in kinds[kind])
        return tuple(np.concatenate(outs) for outs in zip(*pieces, strict=True))

    def _single(self, kind: str) -> Any:
        from ..derivatives import exact
        from ..tracing.trace import as_number

        number = as_number(self._traced)
        if kind == "value":
            return number
        return exact.hessian(number) if kind == "hessian" else exact.value_and_gradient(number)

    def _largest_batch(self, kind: str) -> int:
        single = self._single_kept(kind)
        inside = max((math.prod(out.aval.shape) for eq in single.jaxpr.eqns for out in eq.outvars), default=1)
        most = max(MOST_NUMBERS // max(inside, self.n, 1), 1)
        return 1 << (most.bit_length() - 1)

    def _single_kept(self, kind: str) -> Any:
        kept = self._traced.kept
        key = ("explorer", kind)
        if key not in kept:
            kept[key] = self._single(kind)
        return kept[key]

    def _batch(self, kind: str, size: int) -> Callable[..., Any]:
        with self._lock:
            if (kind, size) not in self._batches:
                import jax
                import jax.extend.core as jex

                from ..derivatives.tiers import Tiered
                from ..numerics import double_precision
                from ..tracing.passes import simplify

                function = jex.jaxpr_as_fun(self._single_kept(kind))
                with double_precision():
                    jaxpr = jax.make_jaxpr(jax.vmap(function))(
                        jax.ShapeDtypeStruct((size, self.n), np.float64)
                    )
                self._batches[kind, size] = Tiered(simplify(jaxpr))
            return self._batches[kind, size]


def _number(value: Callable[[Array], float], place: Array) -> float:
    return float(value(place))
