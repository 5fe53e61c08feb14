"""Is the cost convex? Disciplined convex programming, read off the jaxpr; never claimed when it is not shown.

The rules are those of Grant, Boyd & Ye, "Disciplined convex programming" (2006), and Boyd & Vandenberghe,
"Convex Optimization" (2004), sections 3.2 and 3.5, with three more facts carried along: that the logarithm of
a positive expression is convex or concave, and that its square root is convex. They make log-sum-exp, products of
exponentials, reciprocals and norms fall out of plain composition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from .elementwise import arguments_of, is_convex, pieces_of
from .patterns import Pattern
from .quadratic import is_positive_semidefinite
from .ranges import Interval, constant_range, hull
from .reading import MOVING, PICKING, Reading
from .sides import Sides


class Kind(StrEnum):
    """What was shown of a function of the parameters."""

    CONSTANT = "constant"
    AFFINE = "affine"
    CONVEX = "convex"
    CONCAVE = "concave"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Convexity:
    """`kind`, the `reason` as half a sentence, and the user's `line` where the rules end, or "".

    >>> Convexity(Kind.AFFINE, "the cost is linear").is_convex
    True
    """

    kind: Kind
    reason: str
    line: str = ""

    @property
    def is_convex(self) -> bool:
        """Whether the cost lies below each of its chords: affine and constant ones included."""
        return self.kind in (Kind.CONSTANT, Kind.AFFINE, Kind.CONVEX)


class Shape(NamedTuple):
    """What is known of all elements of one variable; both `convex` and `concave` means affine.

    `log_convex`, `log_concave`: it is nowhere negative and its logarithm is that; `root_convex`: nowhere
    negative, and its square root is convex.
    """

    convex: bool = False
    concave: bool = False
    log_convex: bool = False
    log_concave: bool = False
    root_convex: bool = False

    @property
    def affine(self) -> bool:
        """Convex and concave at once."""
        return self.convex and self.concave


UNKNOWN = Shape()
AFFINE = Shape(convex=True, concave=True)


def convexity_of(
    reading: Reading, ranges: dict[Any, Interval], degrees: dict[Any, float], patterns: dict[Any, Pattern]
) -> Convexity:
    """What the composition rules show of the cost, where `ranges` hold."""
    if not reading.depends(reading.out):
        return Convexity(Kind.CONSTANT, "the cost is constant")
    rules = _Rules(reading, ranges, degrees, patterns)
    shapes = rules.shapes()
    shape = shapes[reading.out]
    if shape.affine:
        return Convexity(Kind.AFFINE, "the cost is linear")
    if shape.convex:
        if degrees[reading.out] == 2:
            reason = "the cost is a convex quadratic"
        else:
            used = ", ".join(rules.used[:4])
            reason = f"the cost is convex by composition rules ({used})" if used else "the cost is convex"
        return Convexity(Kind.CONVEX, reason)
    if shape.concave:
        return Convexity(Kind.CONCAVE, "the cost is concave by composition rules")
    first = rules.first_unknown
    line = reading.place(first) if first is not None else ""
    what = f"{first.primitive.name} of what comes before" if first is not None else "an operation"
    return Convexity(Kind.UNKNOWN, f"no composition rule shows {what} to be convex", line)


class _Rules:
    """One pass over the equations: the shape of each variable from those of its operands."""

    def __init__(
        self,
        reading: Reading,
        ranges: dict[Any, Interval],
        degrees: dict[Any, float],
        patterns: dict[Any, Pattern],
    ) -> None:
        self.reading = reading
        self.ranges = ranges
        self.degrees = degrees
        self.patterns = patterns
        self.found: dict[Any, Shape] = {reading.x: AFFINE}
        self.used: list[str] = []
        self.first_unknown: Any = None
        self.hidden = {index for pattern in patterns.values() for index in pattern.inside}

    def shapes(self) -> dict[Any, Shape]:
        """The shape of every variable that depends on the parameters."""
        for equation in self.reading.equations:
            var = equation.outvars[0]
            if var not in self.reading.varies:
                continue
            # Complex numbers have no order: z² is no convex square, and the real part of it bends down.
            shape = self._shape(equation) if var.aval.dtype.kind != "c" else UNKNOWN
            if shape == UNKNOWN:
                shape = self._by_degree(var)
            low, _ = hull(self.ranges[var])
            if shape.concave and low >= 0.0:
                shape = shape._replace(log_concave=True)
            if shape.log_convex:
                shape = shape._replace(root_convex=True)
            if shape.root_convex:
                shape = shape._replace(convex=True)
            if not (shape.convex or shape.concave) and self._convex_quadratic(var):
                shape = shape._replace(convex=True)
                self._note("quadratic form with a positive semidefinite matrix")
            self._tell(equation, shape)
            self.found[var] = shape
            for other in equation.outvars[1:]:
                self.found[other] = self._by_degree(other)
            if shape == UNKNOWN and self.first_unknown is None and var.aval.dtype.kind == "f":
                if not self._may_recover(equation):
                    self.first_unknown = equation
        return self.found

    def of(self, atom: Any) -> Shape:
        if self.reading.depends(atom):
            return self.found[atom]
        low, _ = hull(self.range(atom))
        positive = low >= 0.0
        return Shape(True, True, positive, positive, positive)

    def range(self, atom: Any) -> Interval:
        if self.reading.depends(atom):
            return self.ranges[atom]
        return constant_range(self.reading, atom)

    def sign(self, atom: Any) -> int:
        """1 where no element is negative, -1 where none is positive, 0 otherwise."""
        low, high = hull(self.range(atom))
        sign = 1 if low >= 0.0 else (-1 if high <= 0.0 else 0)
        pattern = self.patterns.get(atom) if self.reading.depends(atom) else None
        return pattern.sides.sign if not sign and pattern is not None and pattern.sides is not None else sign

    def is_one(self, atom: Any) -> bool:
        """Whether it is a constant full of ones."""
        return self.reading.is_number(atom, 1.0)

    def same(self, one: Any, other: Any) -> bool:
        """Whether two operands of one equation hold the same numbers."""
        return one is other

    def _shape(self, equation: Any) -> Shape:
        pattern = self.patterns.get(equation.outvars[0])
        if pattern is not None:
            told = list(self.used)
            shape = self._of_pattern(pattern)
            if self.reading.made_by[equation.outvars[0]] in self.hidden:
                self.used = told
            if pattern.sides is None or shape is not UNKNOWN:
                return shape
        name = equation.primitive.name
        if name in MOVING:
            return (
                self.of(equation.invars[0]) if name != "convert_element_type" or _keeps(equation) else UNKNOWN
            )
        if name in PICKING:
            picked = not any(self.reading.depends(atom) for atom in equation.invars[1:])
            return self.of(equation.invars[0]) if picked else UNKNOWN
        rule = _RULES.get(name)
        if rule is None:
            return UNKNOWN
        return rule(self, equation)

    def _by_degree(self, var: Any) -> Shape:
        """Affine where the degree says so, whatever made it: a loop, or a Fourier transform and back."""
        return AFFINE if self.degrees[var] <= 1 and var.aval.dtype.kind == "f" else UNKNOWN

    def _tell(self, equation: Any, shape: Shape) -> None:
        """Remember which rule made something convex, for the reason given to people."""
        name = equation.primitive.name
        if (
            not shape.convex
            or shape.affine
            or name not in _TOLD
            or self.reading.made_by[equation.outvars[0]] in self.hidden
        ):
            return
        if name in ("div", "dot_general", "mul") and not all(
            self.reading.depends(a) for a in equation.invars[-1:]
        ):
            return
        self._note(_TOLD[name])

    def _note(self, word: str) -> None:
        if word not in self.used:
            self.used.append(word)

    def _of_sides(self, sides: Sides, operands: list[Shape]) -> Shape:
        """A convex function of d where its slope rises; of what is only convex or concave, if it goes with it."""
        difference = _join([operands[0], *map(_flipped, operands[1:])])
        shape = difference if difference.affine else _signed(difference, sides.way) if sides.way else UNKNOWN
        if not (shape.convex if sides.bend > 0 else shape.concave):
            return UNKNOWN
        self._note("maximum" if sides.bend > 0 else "minimum")
        return Shape(convex=sides.bend > 0, concave=sides.bend < 0)

    def _of_pattern(self, pattern: Pattern) -> Shape:
        operands = [self.of(atom) for atom in pattern.operands]
        if pattern.name == "same":
            return operands[0]
        if pattern.name in ("maximum", "minimum"):
            joined = _join(operands)
            if pattern.name == "minimum":
                return Shape(concave=joined.concave, log_concave=joined.log_concave)
            if joined.convex:
                self._note("maximum")
            return Shape(joined.convex, log_convex=joined.log_convex, root_convex=joined.root_convex)
        for k, sign in enumerate(pattern.signs, 2):
            operands[k] = _signed(operands[k], sign)
        if pattern.sides is not None:
            return self._of_sides(pattern.sides, operands)
        if pattern.name == "square root":
            a = operands[0]
            if a.root_convex:
                self._note("norm")
            return Shape(a.root_convex, a.concave, a.log_convex, a.log_concave)
        if pattern.name in ("softmax loss", "log-softmax"):
            if not operands[0].affine:
                return UNKNOWN
            self._note("log-sum-exp")
            return Shape(convex=pattern.name == "softmax loss", concave=pattern.name == "log-softmax")
        if pattern.name == "hypot":
            good = all(
                s.affine or (s.convex and self.sign(a) > 0) or (s.concave and self.sign(a) < 0)
                for s, a in zip(operands, pattern.operands, strict=True)
            )
        else:
            good = all(s.convex for s in operands)
        if not good:
            return UNKNOWN
        self._note(pattern.name)
        return Shape(convex=True)

    def _may_recover(self, equation: Any) -> bool:
        """Whether what is unknown here is only the inside of something recognised, or of a quadratic."""
        index = self.reading.made_by[equation.outvars[0]]
        return index in self.hidden or self.degrees[equation.outvars[0]] <= 2

    def _convex_quadratic(self, var: Any) -> bool:
        """Whether `var` is one real number, quadratic, not part of a larger quadratic, and its Hessian is PSD."""
        if self.degrees[var] != 2 or var.aval.size != 1 or var.aval.dtype.kind != "f":
            return False
        for use in self.reading.uses.get(var, ()):
            if use < len(self.reading.equations):
                outer = self.reading.equations[use].outvars[0]
                if self.degrees.get(outer) == 2:
                    return False
        if self._is_only_squared(var):
            return False
        return is_positive_semidefinite(self.reading, var, self.degrees)

    def _is_only_squared(self, var: Any) -> bool:
        """Whether all that becomes of `var` is squares, and of both signs as it is, none is convex for its being so."""
        uses = self.reading.uses.get(var, ())
        if self.sign(var) or not uses or max(uses) >= len(self.reading.equations):
            return False
        return all(self._squares(self.reading.equations[use]) for use in uses)

    def _squares(self, equation: Any) -> bool:
        name, operands = equation.primitive.name, equation.invars
        if name == "integer_pow":
            return bool(equation.params["y"] >= 2 and equation.params["y"] % 2 == 0)
        return name == "square" or (name == "mul" and self.same(*operands))


def _keeps(equation: Any) -> bool:
    return equation.outvars[0].aval.dtype.kind == "f"


def _join(shapes: list[Shape]) -> Shape:
    """What holds of all."""
    return Shape(*(all(flags) for flags in zip(*shapes, strict=True)))


def _flipped(shape: Shape) -> Shape:
    return Shape(convex=shape.concave, concave=shape.convex)


def _signed(shape: Shape, sign: int) -> Shape:
    """The shape times constants of one sign, or of both signs (0)."""
    if sign > 0:
        return shape
    if sign < 0:
        return _flipped(shape)
    return AFFINE if shape.affine else UNKNOWN


def _sum(rules: _Rules, equation: Any) -> Shape:
    one, other = equation.invars
    tanh = rules.reading.producer(one if rules.is_one(other) else other if rules.is_one(one) else None)
    # 1 + tanh(a) = 2 σ(2a).
    sigmoid = tanh is not None and tanh.primitive.name == "tanh" and rules.of(tanh.invars[0]).concave
    return _join([rules.of(one), rules.of(other)])._replace(log_concave=sigmoid)


def _difference(rules: _Rules, equation: Any) -> Shape:
    a, b = (rules.of(atom) for atom in equation.invars)
    flipped = _flipped(b)
    return Shape(
        a.convex and flipped.convex,
        a.concave and flipped.concave,
        log_concave=rules.is_one(equation.invars[0]) and _complement_of(rules, equation.invars[1]),
    )


def _complement_of(rules: _Rules, atom: Any) -> bool:
    """Whether the logarithm of one less `atom` is concave: 1 - σ(a) = σ(-a), and 1 - tanh(a) = 2 σ(-2a)."""
    made = rules.reading.producer(atom)
    name = "" if made is None else made.primitive.name
    if name in ("logistic", "tanh"):
        return rules.of(made.invars[0]).convex  # type: ignore[union-attr]
    if name != "div" or not rules.is_one(made.invars[0]):  # type: ignore[union-attr]
        return False
    # 1/(1 + exp(b)) = σ(-b).
    total = rules.reading.producer(made.invars[1])  # type: ignore[union-attr]
    if total is None or total.primitive.name != "add":
        return False
    one, other = total.invars if rules.is_one(total.invars[0]) else total.invars[::-1]
    exp = rules.reading.producer(other)
    return (
        rules.is_one(one)
        and exp is not None
        and exp.primitive.name == "exp"
        and rules.of(exp.invars[0]).concave
    )


def _total(rules: _Rules, equation: Any) -> Shape:
    return rules.of(equation.invars[0])._replace(log_concave=False)


def _power_of_two(rules: _Rules, atom: Any) -> Shape:
    a = rules.of(atom)
    sign = rules.sign(atom)
    root = a.affine or (a.convex and sign > 0) or (a.concave and sign < 0)
    return Shape(log_convex=a.log_convex, log_concave=a.log_concave, root_convex=root)


def _square(rules: _Rules, equation: Any) -> Shape:
    return _power_of_two(rules, equation.invars[0])


def _product(rules: _Rules, equation: Any) -> Shape:
    a, b = equation.invars
    if rules.same(a, b):
        return _power_of_two(rules, a)
    for constant, other in ((a, b), (b, a)):
        if not rules.reading.depends(constant):
            return _signed(rules.of(other), rules.sign(constant))
    for plain, log in ((a, b), (b, a)):
        made = rules.reading.producer(log)
        if (
            made is not None
            and made.primitive.name == "log"
            and made.invars[0] is plain
            and rules.of(plain).affine
        ):
            rules._note("x log x")
            return Shape(convex=True)  # on x > 0, the only place where it is a number
    p, q = rules.of(a), rules.of(b)
    return Shape(log_convex=p.log_convex and q.log_convex, log_concave=p.log_concave and q.log_concave)


def _quotient(rules: _Rules, equation: Any) -> Shape:
    a, b = equation.invars
    p, q = rules.of(a), rules.of(b)
    if not rules.reading.depends(b):
        low, high = hull(rules.range(b))
        if low > 0.0 or high < 0.0:
            return _signed(p, 1 if low > 0.0 else -1)
        return AFFINE if p.affine else UNKNOWN
    shape = Shape(
        # A positive over a positive one: logarithms subtract.
        log_convex=p.log_convex and q.log_concave,
        log_concave=p.log_concave and q.log_convex,
        # Square over linear: (√a)²/b grows with √a and falls with b (Boyd & Vandenberghe, example 3.18).
        convex=p.root_convex and q.concave and rules.sign(b) > 0,
    )
    if not rules.reading.depends(a) and rules.sign(a) < 0:
        inverse = q.log_concave
        return Shape(concave=inverse)
    return shape


def _integer_power(rules: _Rules, equation: Any) -> Shape:
    return _power(rules, equation.invars[0], equation.params["y"])


def _power(rules: _Rules, atom: Any, y: float) -> Shape:
    a, sign = rules.of(atom), rules.sign(atom)
    if y == 0:
        return AFFINE
    if y == 1:
        return a
    if y > 1 and float(y).is_integer():
        if y % 2 == 0:
            return _power_of_two(rules, atom)
        convex = a.convex and sign > 0
        return Shape(
            concave=a.concave and sign < 0,
            log_convex=a.log_convex,
            log_concave=a.log_concave,
            root_convex=convex,
        )
    if y > 1:
        # Not a whole number: no number at all where the base is negative.
        convex = a.affine or (a.convex and sign > 0)
        return Shape(
            convex=convex, root_convex=convex and y >= 2, log_convex=a.log_convex, log_concave=a.log_concave
        )
    if y > 0:
        return Shape(concave=a.concave, log_convex=a.log_convex, log_concave=a.log_concave)
    positive = sign > 0 or not float(y).is_integer()
    falls = (a.concave and positive) or a.log_concave
    return Shape(log_convex=falls, log_concave=a.log_convex)


def _general_power(rules: _Rules, equation: Any) -> Shape:
    base, exponent = equation.invars
    if not rules.reading.depends(exponent):
        low, high = hull(rules.range(exponent))
        return _power(rules, base, low) if low == high else UNKNOWN
    if rules.reading.depends(base):
        return UNKNOWN
    low, high = hull(rules.range(base))
    a = rules.of(exponent)
    if low >= 1.0:
        return Shape(log_convex=a.convex, log_concave=a.concave)
    if low > 0.0 and high <= 1.0:
        return Shape(log_convex=a.concave, log_concave=a.convex)
    return Shape(log_convex=a.affine, log_concave=a.affine) if low > 0.0 else UNKNOWN


def _exp(rules: _Rules, equation: Any) -> Shape:
    a = rules.of(equation.invars[0])
    return Shape(log_convex=a.convex, log_concave=a.concave)


def _kept_convex(rules: _Rules, equation: Any) -> Shape:
    return Shape(convex=rules.of(equation.invars[0]).convex)


def _log(rules: _Rules, equation: Any) -> Shape:
    a = rules.of(equation.invars[0])
    return Shape(convex=a.log_convex, concave=a.concave or a.log_concave)


def _log1p(rules: _Rules, equation: Any) -> Shape:
    a, minus = rules.of(equation.invars[0]), rules.reading.producer(equation.invars[0])
    complement = (
        minus is not None and minus.primitive.name == "neg" and _complement_of(rules, minus.invars[0])
    )
    return Shape(convex=a.log_convex, concave=a.concave or complement)


def _sqrt(rules: _Rules, equation: Any) -> Shape:
    a = rules.of(equation.invars[0])
    return Shape(a.root_convex, a.concave, a.log_convex, a.log_concave)


def _rsqrt(rules: _Rules, equation: Any) -> Shape:
    a = rules.of(equation.invars[0])
    return Shape(log_convex=a.concave or a.log_concave, log_concave=a.log_convex)


def _abs(rules: _Rules, equation: Any) -> Shape:
    (of,) = equation.invars
    if of.aval.dtype.kind == "c":
        return Shape(convex=rules.degrees.get(of, 0) <= 1)
    a, sign = rules.of(of), rules.sign(of)
    if sign > 0 or a.log_convex or a.log_concave or a.root_convex:
        return a
    if sign < 0:
        return _flipped(a)
    return Shape(convex=a.affine)


def _maximum(rules: _Rules, equation: Any) -> Shape:
    joined = _join([rules.of(atom) for atom in equation.invars])
    return Shape(convex=joined.convex, log_convex=joined.log_convex, root_convex=joined.root_convex)


def _minimum(rules: _Rules, equation: Any) -> Shape:
    joined = _join([rules.of(atom) for atom in equation.invars])
    return Shape(concave=joined.concave, log_concave=joined.log_concave)


def _dot(rules: _Rules, equation: Any) -> Shape:
    a, b = equation.invars
    for constant, other in ((a, b), (b, a)):
        if not rules.reading.depends(constant):
            return _signed(rules.of(other), rules.sign(constant))._replace(log_concave=False)
    contracted, batched = equation.params["dimension_numbers"]
    p, q = rules.of(a), rules.of(b)
    free = len(a.aval.shape) - len(contracted[0]) - len(batched[0])
    if rules.same(a, b) and free == 0 and tuple(contracted[0]) == tuple(contracted[1]):
        if tuple(batched[0]) == tuple(batched[1]):
            return _power_of_two(rules, a)._replace(log_concave=False)
    return Shape(log_convex=p.log_convex and q.log_convex)


def _joined(rules: _Rules, equation: Any) -> Shape:
    return _join([rules.of(atom) for atom in equation.invars])


def _select(rules: _Rules, equation: Any) -> Shape:
    which, *cases = equation.invars
    if rules.reading.depends(which):
        return _in_pieces(rules, equation)
    return _join([rules.of(atom) for atom in cases])


def _in_pieces(rules: _Rules, equation: Any) -> Shape:
    """A choice by where an affine argument lies, such as Huber's loss: convex if it is so as a whole."""
    for argument in arguments_of(rules.reading, equation.outvars[0]):
        if rules.of(argument).affine:
            pieces = pieces_of(rules.reading, equation.outvars[0], argument)
            if pieces is not None and is_convex(pieces):
                rules._note("convex piece by piece")
                return Shape(convex=True)
            return UNKNOWN
    return UNKNOWN


def _updated(rules: _Rules, equation: Any) -> Shape:
    name = equation.primitive.name
    indices = equation.invars[2:] if name == "dynamic_update_slice" else equation.invars[1:2]
    if any(rules.reading.depends(atom) for atom in indices):
        return UNKNOWN
    parts = [equation.invars[0], equation.invars[1] if name == "dynamic_update_slice" else equation.invars[2]]
    joined = _join([rules.of(atom) for atom in parts])
    return joined if name != "scatter-add" else joined._replace(log_concave=False)


def _logistic(rules: _Rules, equation: Any) -> Shape:
    # log σ(a) = -log(1 + exp(-a)): rises and is concave.
    return Shape(log_concave=rules.of(equation.invars[0]).concave)


def _cosh(rules: _Rules, equation: Any) -> Shape:
    a, sign = rules.of(equation.invars[0]), rules.sign(equation.invars[0])
    return Shape(log_convex=a.affine or (a.convex and sign > 0) or (a.concave and sign < 0))


def _sinh(rules: _Rules, equation: Any) -> Shape:
    a, sign = rules.of(equation.invars[0]), rules.sign(equation.invars[0])
    return Shape(convex=a.convex and sign > 0, concave=a.concave and sign < 0)


def _bending_down(rules: _Rules, equation: Any) -> Shape:
    # tanh, atan, erf: rising, concave to the right of zero, convex to its left.
    a, sign = rules.of(equation.invars[0]), rules.sign(equation.invars[0])
    return Shape(convex=a.convex and sign < 0, concave=a.concave and sign > 0)


def _erfc(rules: _Rules, equation: Any) -> Shape:
    # A tail of the normal distribution: log-concave and falling.
    return Shape(log_concave=rules.of(equation.invars[0]).convex)


def _lgamma(rules: _Rules, equation: Any) -> Shape:
    atom = equation.invars[0]
    return Shape(convex=rules.of(atom).affine and hull(rules.range(atom))[0] > 0.0)


def _acosh(rules: _Rules, equation: Any) -> Shape:
    return Shape(concave=rules.of(equation.invars[0]).concave)


def _negated(rules: _Rules, equation: Any) -> Shape:
    return _flipped(rules.of(equation.invars[0]))


def _product_of_all(rules: _Rules, equation: Any) -> Shape:
    a = rules.of(equation.invars[0])
    return Shape(log_convex=a.log_convex, log_concave=a.log_concave)


_RULES: dict[str, Callable[[_Rules, Any], Shape]] = {
    "add": _sum, "add_any": _sum, "sub": _difference, "neg": _negated, "mul": _product, "div": _quotient,
    "square": _square, "integer_pow": _integer_power, "pow": _general_power, "exp": _exp, "exp2": _exp,
    "expm1": _kept_convex, "log": _log, "log1p": _log1p, "sqrt": _sqrt, "rsqrt": _rsqrt, "abs": _abs,
    "max": _maximum, "min": _minimum, "reduce_max": _maximum, "reduce_min": _minimum, "cummax": _maximum,
    "cummin": _minimum, "reduce_sum": _total, "cumsum": _total, "dot_general": _dot, "concatenate": _joined,
    "pad": _joined, "select_n": _select, "dynamic_update_slice": _updated, "scatter": _updated,
    "scatter-add": _updated, "logistic": _logistic, "cosh": _cosh, "sinh": _sinh, "tanh": _bending_down,
    "atan": _bending_down, "erf": _bending_down, "asinh": _bending_down, "erfc": _erfc, "lgamma": _lgamma,
    "acosh": _acosh, "reduce_prod": _product_of_all, "cumlogsumexp": _kept_convex,
}  # fmt: skip

# How a rule is called in the reason given to people.
_TOLD = {
    "square": "square", "integer_pow": "power", "pow": "power", "exp": "exp", "exp2": "exp", "expm1": "exp",
    "log": "log of a log-convex term", "log1p": "log of a log-convex term", "sqrt": "norm", "rsqrt": "reciprocal",
    "abs": "absolute value", "max": "maximum", "reduce_max": "maximum", "div": "reciprocal", "cosh": "cosh",
    "lgamma": "log gamma", "neg": "minus a concave term", "dot_general": "inner product",
}  # fmt: skip
