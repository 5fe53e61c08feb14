"""On which parameters does each element of a result depend? The pattern of a Jacobian, read off the jaxpr.

Forward propagation of index sets (Griewank & Walther, "Evaluating Derivatives", 2nd ed. 2008, section 7.1), but whole
arrays at a time.

The pattern is never too small: an operation without a rule makes every element of its result depend on everything
that its operands depend on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..linear_algebra.elimination import BUSIER
from .dead import FLAT
from .dependence import DENSE, MOST_MEETING, NOTHING, Dependences, entries_of
from .dependence_rules import ELSEWHERE, RULES, STEPS, elementwise, everything
from .reading import Reading

# A set of so many entries takes a tenth of a second to join with others: before the first of them the pattern of a few
# parameters alone, drawn at random, tells whether all will be dense. Counted is what three in four of them reach, so
# that a few parameters which everything depends on do not speak for the others.
LARGE, DRAWN, REACHED_BY = 1_000_000, 8, 0.75

# Of a symmetric matrix the parameters that one of those drawn meets are followed too, where it meets too many for a
# product each (`MOST_MEETING`). Where they meet so many times as many in turn, and this part of all, or that part
# alone, no order of elimination is any good: along a band they meet twice as many, on a grid four times, in space
# eight times. Those that are busier than that one are left out: eliminated last, they cost little.
SPREAD, SPREAD_PART, SPREAD_WHOLE = 8, 0.25, 0.75


def jacobian_pattern(closed: Any) -> Any:
    """Where the Jacobian of a closed jaxpr `x (n,) -> one array` may be nonzero: SciPy CSC (m, n), all ones.

    Raises `Dense` where it would not pay to know.

    >>> import jax
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: x[1:] - x[:-1] ** 2)(jax.ShapeDtypeStruct((4,), np.float64))
    >>> jacobian_pattern(jaxpr).toarray().astype(int)
    array([[1, 1, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 1, 1]])
    """
    reading = Reading(closed)
    size = int(reading.out.aval.size)
    own = any(equation.primitive.name.startswith("custom_") for equation in closed.jaxpr.eqns)
    propagation = _Propagation(reading, steps_count=own)
    found = propagation.of(reading.out) if reading.depends(reading.out) else NOTHING
    return propagation.matrix(found, size).tocsc()


class _Propagation(Dependences):
    """The dependences of all variables, found from equation to equation; refused early where they will be dense."""

    def __init__(self, reading: Reading, *, steps_count: bool, drawn: np.ndarray | None = None) -> None:
        super().__init__(reading, steps_count=steps_count, drawn=drawn)
        self._foreseen = drawn is not None or reading.n <= DRAWN
        for equation in reading.equations:
            if any(var in reading.varies for var in equation.outvars):
                self.follow(equation)

    def follow(self, equation: Any) -> None:
        """Find what the results of one equation depend on."""
        self.foresee(max(map(entries_of, map(self.of, equation.invars)), default=0))
        name = equation.primitive.name
        rule = RULES.get(name)
        results = None
        smooth = [self.steps_count or var.aval.dtype.kind in "fc" for var in equation.outvars]
        steps = name in FLAT or name in STEPS
        if not any(smooth) or (steps and not self.steps_count):
            results = [NOTHING] * len(equation.outvars)
        elif steps and name not in ELSEWHERE:
            results = elementwise(self, equation)
        elif rule is not None:
            results = rule(self, equation)
        if results is None:
            if rule is None or name not in self.unknown:
                self.unknown.append(name)
            results = everything(self, equation)
        for var, result, counts in zip(equation.outvars, results, smooth, strict=True):
            self.found[var] = self.kept(result, var.aval.size) if counts else NOTHING

    def foresee(self, held: int) -> None:
        """Before the first set of many entries: refuse a pattern that will be dense, by that of a few parameters."""
        if self._foreseen or held <= LARGE:
            return
        self._foreseen = True
        drawn = np.sort(np.random.default_rng(0).choice(self.n, DRAWN, replace=False)).astype(np.int32)
        size = self.reading.out.aval.size
        pattern, unknown = self._drawn(drawn)
        counts = np.diff(pattern.indptr)[drawn]
        reached = float(np.quantile(counts, 1.0 - REACHED_BY))
        entries = REACHED_BY * self.n * reached
        # Few entries are cheap, though most of them are filled; what it takes to find them here is not.
        full = entries > DENSE * size * self.n or self.is_full(entries, size)
        if full or (size == self.n and reached > MOST_MEETING and self._spreads(pattern, drawn, counts)):
            raise self.too_full(*unknown)

    def _drawn(self, drawn: np.ndarray) -> tuple[Any, list[str]]:
        """The pattern, CSC, with the entries of the parameters `drawn` alone, and what primitives were unknown."""
        few = _Propagation(self.reading, steps_count=self.steps_count, drawn=drawn)
        out = self.reading.out
        return few.matrix(few.of(out), out.aval.size).tocsc(), few.unknown

    def _spreads(self, pattern: Any, drawn: np.ndarray, counts: np.ndarray) -> bool:
        """Whether what one parameter meets in a symmetric matrix, the median of those drawn, meets most others."""
        middle = np.argsort(counts)[counts.size // 2]
        column, met = drawn[middle], int(counts[middle])
        neighbours = np.sort(pattern.indices[pattern.indptr[column] : pattern.indptr[column + 1]]).astype(
            np.int32
        )
        around, _ = self._drawn(neighbours)
        reach = np.diff(around.indptr)
        alike = neighbours[reach[neighbours] <= BUSIER * met]
        further = np.zeros(self.n, dtype=bool)
        further[around[:, alike].indices] = True
        enough = min(max(SPREAD * met, SPREAD_PART * self.n), SPREAD_WHOLE * self.n)
        return bool(np.count_nonzero(further) >= enough)
