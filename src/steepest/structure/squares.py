"""Is the cost a sum of squares? Then it gives back the residual, read off the trace and never guessed from names.

The cost is taken apart into a weighted sum of elements (`sums`). It is a sum of squares when every element
that is not constant is the square of something and its weight is not negative: a power, a product with equal factors,
an inner product of something with itself, a quadratic form with a positive semidefinite matrix, or a choice
between squares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..linear_algebra.semidefinite import is_exactly_semidefinite
from ..numerics import EPS
from ..tracing.passes import eliminate_dead, with_outputs
from .degree import degrees
from .reading import Reading
from .sums import SHUFFLING, Leaf, sum_of
from .writing import Writer

# A matrix between two equal vectors is factorised up to this many rows (0.2 s); beyond, the cost is no sum of squares.
MOST_ROWS = 2000

# Up to this many rows its eigenvalues tell whether it is positive definite where a factor does not, for rounding.
WEIGHED_ROWS = 300

# Operations of which some elements of the result come from one operand alone, times a constant at most.
TOGETHER = SHUFFLING | {
    "concatenate", "pad", "select_n", "slice", "gather", "broadcast_in_dim", "mul", "div", "neg",
    "dynamic_update_slice", "scatter", "stack",
}  # fmt: skip

# Residuals whose weight is zero are left out when they are more than this part of their array.
MANY_ZEROS = 0.25


@dataclass(frozen=True)
class Squares:
    """The cost is `constant` + rᵀr.

    `both`: closed jaxpr x (n,) -> cost (), r (m,). `equations`: where the terms end in the trace.
    """

    both: Any
    constant: float
    m: int
    reading: Reading = field(repr=False)
    equations: tuple[Any, ...] = field(repr=False)

    @property
    def residual(self) -> Any:
        """The closed jaxpr x (n,) -> r (m,) alone."""
        return eliminate_dead(with_outputs(self.both, self.both.jaxpr.outvars[1:]))

    @cached_property
    def linear(self) -> bool:
        """Whether r is linear in the parameters: one linear least-squares problem."""
        reading = Reading(self.residual)
        return degrees(reading).get(reading.out, 0) <= 1

    @cached_property
    def partly_linear(self) -> bool:
        """Whether some of the arrays that make up r are linear in the parameters."""
        reading = Reading(self.residual)
        degree = degrees(reading)
        pending, seen = [reading.out], set()
        while pending:
            atom = pending.pop()
            if not reading.depends(atom) or atom in seen:
                continue
            if degree[atom] <= 1:
                return True
            seen.add(atom)
            equation = reading.producer(atom)
            if equation is not None and equation.primitive.name in TOGETHER:
                pending.extend(equation.invars)
        return False

    @property
    def places(self) -> tuple[str, ...]:
        """The user's lines of the terms, each once."""
        return self.reading.places(self.equations)


def squares_of(reading: Reading) -> Squares | None:
    """The residual of a cost that is a sum of squares; None where it is not seen to be one.

    `reading`: of a jaxpr whose calls with a derivative of their own were kept, since the residual is there
    to be differentiated.

    >>> import jax
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: 4 * (x[0] - 1)**2 + (x @ x) / 2 + 7)(jax.ShapeDtypeStruct((2,), float))
    >>> found = squares_of(Reading(jaxpr))
    >>> found.m, found.constant
    (3, 7.0)
    """
    if not reading.depends(reading.out):
        return None
    total = sum_of(reading)
    if total is None:
        return None
    roots = Roots(reading)
    pieces, equations = [], []
    for leaf in total.leaves:
        if not leaf.weight.any():
            continue
        piece = roots.of(leaf)
        if piece is None:
            return None
        pieces.append(piece)
        if leaf.equation is not None:
            equations.append(leaf.equation)
    if not any(piece.aval.size for piece in pieces):
        return None
    residual = roots.writer.joined(pieces)
    both = roots.writer.finished([reading.out, residual])
    return Squares(both, total.constant, int(residual.aval.size), reading, tuple(equations))


def is_squares_and_line(reading: Reading, result: Any, degrees: dict[Any, float]) -> bool:
    """Whether a variable of one element is a sum of squares of linear expressions and linear terms: convex."""
    total = sum_of(reading, result)
    if total is None:
        return False
    roots = Roots(reading, strict=True)
    for leaf in total.leaves:
        degree = sum(degrees.get(factor, 0.0) for factor in leaf.factors)
        if leaf.weight.any() and degree > 1 and (degree > 2 or roots.of(leaf) is None):
            return False
    return True


class Roots:
    """Writes down the square roots of leaves; `strict`: of no matrix that is semidefinite only to rounding."""

    def __init__(self, reading: Reading, *, strict: bool = False) -> None:
        self.reading = reading
        self.strict = strict
        self.writer = Writer(reading)

    def of(self, leaf: Leaf) -> Any | None:
        """The piece of the residual for one leaf, in any shape; None where there is no root to be seen."""
        factored = _Factors(self.reading, leaf.factors[0].aval.shape)
        if not all(factored.take(factor) for factor in leaf.factors):
            return None
        weight = leaf.weight * factored.coefficient
        root = self._root(factored) if (weight >= 0.0).all() else None
        if root is None:
            return self._of_form(leaf)
        if not weight.shape:
            return self.writer.times(root, np.sqrt(weight))
        weight = np.broadcast_to(weight, root.aval.shape)
        places = np.flatnonzero(weight)
        if places.size < (1.0 - MANY_ZEROS) * weight.size:
            return self.writer.times(self.writer.taken(root, places), np.sqrt(weight.ravel()[places]))
        return self.writer.times(root, np.sqrt(weight))

    def _root(self, factored: _Factors) -> Any | None:
        """The square root of a product of powers; its coefficient is the caller's."""
        root = None
        for base, exponent in factored.exponents.items():
            if exponent % 1.0:
                return None
            half = int(exponent // 2)
            part = None if half == 0 else self.writer.power(base, half)
            if exponent % 2.0:
                single = self._chosen(base)
                if single is None:
                    return None
                part = single if part is None else self.writer.product(part, single)
            if part is not None:
                root = part if root is None else self.writer.product(root, part)
        return root

    def _chosen(self, atom: Any) -> Any | None:
        """The root of squares that were chosen between, or moved about."""
        equation = self.reading.producer(atom)
        if equation is None:
            return None
        name = equation.primitive.name
        if name in SHUFFLING or name in ("broadcast_in_dim", "slice"):
            inner = self.root_of(equation.invars[0])
            return None if inner is None else self.writer.replaced(equation, [inner])
        if name == "select_n":
            which, *cases = equation.invars
            roots = [self.root_of(case) for case in cases]
            return None if None in roots else self.writer.replaced(equation, [which, *roots])
        return None

    def root_of(self, atom: Any) -> Any | None:
        """The root of every element of an atom, in its shape."""
        if not self.reading.depends(atom):
            value = self.reading.constant(atom)
            if value is None or not (np.asarray(value, dtype=np.float64) >= 0.0).all():
                return None
            return self.writer.constant(np.sqrt(np.asarray(value, dtype=np.float64)))
        return self.of(Leaf((atom,), np.array(1.0), None))

    def _of_form(self, leaf: Leaf) -> Any | None:
        """aᵀ(Ca) for a positive semidefinite constant C: the residual is a root of C times a."""
        found = self.form_of(leaf)
        if found is None:
            return None
        root, a = found
        return self.writer.applied(lambda vector: root @ vector, [a])

    def form_of(self, leaf: Leaf) -> tuple[np.ndarray, Any] | None:
        """R (k, n) and the vector a of a leaf that is aᵀRᵀRa; None where it is none."""
        factors = leaf.factors
        equation = self.reading.producer(factors[0]) if len(factors) == 1 else None
        if equation is not None and (equation.primitive.name == "mul" or _is_inner_product(equation)):
            factors = tuple(equation.invars)
        if leaf.weight.shape or len(factors) != 2 or any(len(a.aval.shape) != 1 for a in factors):
            return None
        for factor, product in (factors, factors[::-1]):
            a, part = self._unscaled(factor)
            matrix, other_part = self._matrix_between(a, product)
            scale = float(leaf.weight) * part * other_part
            if matrix is not None:
                root = _root_of_matrix(matrix * scale, self.strict)
                return None if root is None else (root, a)
        return None

    def _matrix_between(self, a: Any, product: Any) -> tuple[np.ndarray | None, float]:
        """C and a number, where `product` is that many times C times `a`."""
        product, part = self._unscaled(product)
        equation = self.reading.producer(product)
        if equation is None or equation.primitive.name != "dot_general" or a.aval.size > MOST_ROWS:
            return None, part
        one, other = equation.invars
        (over_one, over_other), (batch, _) = equation.params["dimension_numbers"]
        if batch or len(over_one) != 1 or self.reading.depends(one) == self.reading.depends(other):
            return None, part
        vector, matrix, axis = (
            (one, other, over_other[0]) if self.reading.depends(one) else (other, one, over_one[0])
        )
        vector, further = self._unscaled(vector)
        value = self.reading.constant(matrix) if vector is a else None
        if value is None or np.shape(value) != (a.aval.size,) * 2:
            return None, part
        value = np.asarray(value, dtype=np.float64)
        return value if axis == 1 else value.T, part * further

    def _unscaled(self, atom: Any) -> tuple[Any, float]:
        """What `atom` is a constant number of times of, and the number."""
        part = 1.0
        while True:
            equation = self.reading.producer(atom)
            if equation is None or equation.primitive.name not in ("mul", "div", "neg"):
                return atom, part
            inner, *by = sorted(equation.invars, key=self.reading.depends, reverse=True)
            if equation.primitive.name == "div" and inner is not equation.invars[0]:
                return atom, part
            if by and self.reading.depends(by[0]):
                return atom, part
            value: Any = self.reading.constant(by[0]) if by else -1.0
            if value is None or np.size(value) != 1:
                return atom, part
            number = float(np.ravel(value)[0])
            if not np.isfinite(number) or number == 0.0 or inner.aval.shape != atom.aval.shape:
                return atom, part
            part = part / number if equation.primitive.name == "div" else part * number
            atom = inner


class _Factors:
    """A product as `coefficient` · Π base^exponent, elementwise over one shape."""

    def __init__(self, reading: Reading, shape: tuple[int, ...]) -> None:
        self.reading = reading
        self.shape = shape
        self.coefficient: Any = np.float64(1.0)
        self.exponents: dict[Any, float] = {}

    def take(self, atom: Any, exponent: float = 1.0) -> bool:
        """Multiply by `atom` to a power; false where a constant in it is unknown or the power has none."""
        reading = self.reading
        if not reading.depends(atom):
            value = reading.constant(atom)
            if value is None or np.asarray(value).dtype.kind not in "biuf":
                return False
            with np.errstate(all="ignore"):
                self.coefficient = self.coefficient * np.asarray(value, dtype=np.float64) ** exponent
            return bool(np.isfinite(self.coefficient).all())
        equation = reading.producer(atom)
        if equation is None or atom.aval.shape != self.shape:
            return self._keep(atom, exponent)
        name, operands = equation.primitive.name, equation.invars
        if name == "mul" and self._fit(operands):
            return self.take(operands[0], exponent) and self.take(operands[1], exponent)
        if name == "div" and self._fit(operands):
            return self.take(operands[0], exponent) and self.take(operands[1], -exponent)
        if name == "neg" and not exponent % 1.0:
            self.coefficient = self.coefficient * (-1.0) ** exponent
            return self.take(operands[0], exponent)
        if name == "square":
            return self.take(operands[0], 2 * exponent)
        if name == "integer_pow":
            return self.take(operands[0], equation.params["y"] * exponent)
        if name == "sqrt":
            return self.take(operands[0], exponent / 2)
        if name == "abs" and not exponent % 2.0 and operands[0].aval.dtype.kind == "f":
            return self.take(operands[0], exponent)
        if name == "pow" and not reading.depends(operands[1]):
            power = reading.constant(operands[1])
            if power is not None and np.size(power) == 1 and not float(np.ravel(power)[0]) % 2.0:
                return self.take(operands[0], float(np.ravel(power)[0]) * exponent)
        return self._keep(atom, exponent)

    def _fit(self, operands: Any) -> bool:
        """Whether nothing that depends on the parameters is spread along further axes."""
        return all(atom.aval.shape == self.shape or not self.reading.depends(atom) for atom in operands)

    def _keep(self, atom: Any, exponent: float) -> bool:
        if atom.aval.shape != self.shape:
            return False
        self.exponents[atom] = self.exponents.get(atom, 0.0) + exponent
        return True


def _is_inner_product(equation: Any) -> bool:
    return equation.primitive.name == "dot_general" and not equation.outvars[0].aval.shape


def _root_of_matrix(matrix: np.ndarray, strict: bool) -> np.ndarray | None:
    """R with RᵀR the symmetric part of `matrix`; None where that is not positive semidefinite.

    `strict`: None also where it is only to rounding.
    """
    symmetric = (matrix + matrix.T) / 2
    n = len(symmetric)
    if not np.isfinite(symmetric).all():
        return None  # factorising may give NaN for them without a complaint
    if not symmetric.any():
        return symmetric[:0]
    # What factorising is wrong by in the eigenvalues (Rump, "Verification of positive definiteness", BIT 46, 2006).
    doubt = (n + 2) * EPS * max(float(np.trace(symmetric)), 0.0)
    if _factor(symmetric, doubt) is None:
        return None  # it bends down
    factor = _factor(symmetric, -doubt if strict else 0.0)
    if factor is not None:
        return factor if not strict else _factor(symmetric, 0.0)
    if strict and n > WEIGHED_ROWS:
        return None
    values, vectors = np.linalg.eigh(symmetric)
    rounding = n * EPS * float(np.abs(values).max(initial=0.0))
    if values[0] < -rounding:
        return None
    if strict and values[0] <= rounding and not is_exactly_semidefinite(symmetric):
        return None
    kept = values > rounding
    return np.asarray(np.sqrt(values[kept])[:, None] * vectors[:, kept].T)


def _factor(symmetric: np.ndarray, lift: float) -> np.ndarray | None:
    """R with RᵀR = `symmetric` and `lift` more on its diagonal; None where that is not positive definite."""
    from scipy.linalg.lapack import dpotrf

    lifted = symmetric.copy()
    lifted[np.diag_indices_from(lifted)] += lift
    factor, info = dpotrf(lifted, lower=0, clean=1, overwrite_a=1)
    return np.asarray(factor) if info == 0 else None
