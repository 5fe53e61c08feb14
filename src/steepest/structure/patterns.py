"""Well-known functions that arrive taken apart: log-sum-exp with its shift, softmax losses, logaddexp, hypot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.extend.core as jex
import numpy as np

from .reading import MOVING, PICKING, Reading, moved
from .sides import Choices, Sides


@dataclass(frozen=True)
class Pattern:
    """`name` of the function that a variable is the value of, its `operands`, and the equations inside it.

    `sides`: of a choice by the sign of a difference, whose sides its operands are, what it is on either side.
    `signs`: of a sum the sign of each operand past the first two, which are those of logaddexp.
    """

    name: str
    operands: tuple[Any, ...]
    inside: frozenset[int]
    sides: Sides | None = None
    signs: tuple[int, ...] = ()


def patterns(reading: Reading) -> dict[Any, Pattern]:
    """Variables that are the value of a well-known function, whatever operations it was written with."""
    found: dict[Any, Pattern] = {}
    choices = Choices(reading, _Match(reading, found).same)
    for equation in reading.equations:
        out = equation.outvars[0]
        if out not in reading.varies:
            continue
        sides = choices.read(equation)
        for matcher in _MATCHERS.get(equation.primitive.name, ()):
            pattern = matcher(_Match(reading, found), equation)
            if pattern is not None:
                found[out] = pattern
                break
        else:
            if sides is not None and sides.bend and out.aval.dtype.kind == "f":
                name = "convex choice" if sides.bend > 0 else "concave choice"
                found[out] = Pattern(name, sides.difference, frozenset(), sides)
    return found


def guarded_root(reading: Reading, equation: Any) -> Any:
    """What `equation` takes a square root of whose slope at zero is kept finite, as `np.linalg.norm` does; or None."""
    pattern = _guarded_root(_Match(reading, {}), equation) if equation.primitive.name == "select_n" else None
    return pattern and pattern.operands[0]


class _Match:
    """Looks back from a variable for the operations that made it, and keeps count of those it used."""

    def __init__(self, reading: Reading, known: dict[Any, Pattern]) -> None:
        self.reading = reading
        self.known = known
        self.inside: set[int] = set()

    def made(self, atom: Any, *names: str) -> Any:
        """The equation of `atom` if its primitive is one of `names`, past plain reshaping; else None."""
        root = self.reading.plain(atom)
        equation = self.reading.producer(root)
        if equation is None or equation.primitive.name not in names:
            return None
        self._note(atom, root)
        return equation

    def _note(self, atom: Any, root: Any) -> None:
        while atom is not root:
            index = self.reading.made_by[atom]
            self.inside.add(index)
            atom = self.reading.equations[index].invars[0]
        self.inside.add(self.reading.made_by[root])

    def same(self, one: Any, other: Any) -> bool:
        """Whether two atoms hold the same numbers."""
        if one is other:
            return True
        if not (self.reading.depends(one) or self.reading.depends(other)):
            first, second = self.reading.constant(one), self.reading.constant(other)
            if first is None or second is None or np.size(first) == 0:
                return False
            # A number and an array full of it are the same to every operation on elements.
            number = np.ravel(first)[0]
            return bool(np.all(np.asarray(first) == number) and np.all(np.asarray(second) == number))
        one, other = (self.reading.plain(atom) if atom.aval.size == 1 else atom for atom in (one, other))
        if one.aval.size > 1 and one.aval.shape != other.aval.shape:
            return False  # the same numbers, but spread along other axes
        return self.reading.plain(one) is self.reading.plain(other)

    def pattern(self, name: str, *operands: Any) -> Pattern:
        return Pattern(name, operands, frozenset(self.inside))


def _logaddexp(match: _Match, equation: Any) -> Pattern | None:
    """max(a, b) + log1p(exp(-|a - b|))."""
    for larger, rest in (equation.invars, equation.invars[::-1]):
        match.inside.clear()
        maximum = match.made(larger, "max")
        log = maximum is not None and match.made(rest, "log1p")
        exp = log and match.made(log.invars[0], "exp")
        minus = exp and match.made(exp.invars[0], "neg")
        size = minus and match.made(minus.invars[0], "abs")
        difference = size and match.made(size.invars[0], "sub")
        if not difference:
            continue
        a, b = maximum.invars
        c, d = difference.invars
        if _same_pair(match, (a, b), (c, d)):
            return match.pattern("logaddexp", a, b)
        # softplus: with b = 0 the difference may have been simplified away.
    return _softplus(match, equation)


def _softplus(match: _Match, equation: Any) -> Pattern | None:
    """max(a, 0) + log1p(exp(-|a|)): logaddexp(a, 0) without its subtraction of zero."""
    for larger, rest in (equation.invars, equation.invars[::-1]):
        match.inside.clear()
        found = _of_softplus(match, larger, rest)
        if found is not None:
            return match.pattern("logaddexp", *found)
    return None


def _of_softplus(match: _Match, larger: Any, rest: Any) -> tuple[Any, Any] | None:
    """a and the zero of max(a, 0) and log1p(exp(-|a|)), if these two are that."""
    maximum = match.made(larger, "max")
    log = maximum is not None and match.made(rest, "log1p")
    exp = log and match.made(log.invars[0], "exp")
    minus = exp and match.made(exp.invars[0], "neg")
    size = minus and match.made(minus.invars[0], "abs")
    if not size:
        return None
    inner = size.invars[0]
    negated = match.reading.producer(match.reading.plain(inner))
    if negated is not None and negated.primitive.name == "neg":
        inner = negated.invars[0]
    for a, zero in (maximum.invars, maximum.invars[::-1]):
        if match.reading.is_number(zero, 0.0):
            outer = match.reading.producer(match.reading.plain(a))
            plain = outer.invars[0] if outer is not None and outer.primitive.name == "neg" else a
            if match.same(a, inner) or match.same(plain, inner):
                return a, zero
    return None


def _softplus_among_terms(match: _Match, equation: Any) -> Pattern | None:
    """max(a, 0) - y·a + log1p(exp(-|a|)), as losses of classifiers are written: softplus in two parts of a sum."""
    for sum_, part in (equation.invars, equation.invars[::-1]):
        match.inside.clear()
        if match.made(part, "max", "log1p") is None:
            continue
        terms = _terms(match, sum_)
        for k, (sign, term) in enumerate(terms):
            found = sign > 0 and (_of_softplus(match, term, part) or _of_softplus(match, part, term))
            if found:
                others = terms[:k] + terms[k + 1 :]
                signs = tuple(sign for sign, _ in others)
                operands = (*found, *(atom for _, atom in others))
                return Pattern("logaddexp", operands, frozenset(match.inside), signs=signs)
    return None


def _terms(match: _Match, atom: Any, sign: int = 1, depth: int = 3) -> list[tuple[int, Any]]:
    """The terms of a sum or difference that is used once, with their signs."""
    made = match.made(atom, "add", "sub") if depth else None
    if made is None or len(match.reading.uses.get(made.outvars[0], ())) > 1:
        return [(sign, atom)]
    first, second = made.invars
    minus = -sign if made.primitive.name == "sub" else sign
    return _terms(match, first, sign, depth - 1) + _terms(match, second, minus, depth - 1)


def _log_sum_exp(match: _Match, equation: Any) -> Pattern | None:
    """log(sum(exp(a - m))) + m for any m: the shift cancels, whatever it is."""
    for outer, shift in (equation.invars, equation.invars[::-1]):
        match.inside.clear()
        log = match.made(outer, "log")
        total = log and match.made(log.invars[0], "abs", "reduce_sum")
        if total and total.primitive.name == "abs":
            total = match.made(total.invars[0], "reduce_sum")
        exp = total and match.made(total.invars[0], "exp")
        difference = exp and match.made(exp.invars[0], "sub")
        if not difference:
            continue
        a, inner = difference.invars
        if _is_shift(match.reading, inner, shift, total):
            root = match.reading.root(shift)
            match.inside.update(_shift_equations(match.reading, inner, root))
            match.inside.update(_shift_equations(match.reading, shift, root))
            match.inside.update(_maximum_behind(match.reading, root))
            return match.pattern("log-sum-exp", a)
    return None


def _softmax_loss(match: _Match, equation: Any) -> Pattern | None:
    """log(sum(exp(a - m))) - (a - m)[k], one k of each row, as classifiers are trained: the shift m cancels.

    Read the other way round it is the logarithm of a softmax: (a - m) - log(sum(exp(a - m))), elements of all k.
    """
    for name, (outer, picked) in (
        ("softmax loss", equation.invars),
        ("log-softmax", equation.invars[::-1]),
    ):
        match.inside.clear()
        log = match.made(match.reading.root(outer), "log")
        total = log and match.made(log.invars[0], "reduce_sum")
        exp = total and match.made(total.invars[0], "exp")
        difference = exp and match.made(exp.invars[0], "sub")
        if not difference or total.outvars[0].aval.size == 0:
            continue
        a, inner = difference.invars
        shifted = difference.outvars[0]
        root = match.reading.root(inner)
        if not _same_within_sums(match.reading, inner, root, total):
            continue
        rows = _rows_of(match.reading, picked, shifted, total)
        sums = np.arange(total.outvars[0].aval.size).reshape(log.outvars[0].aval.shape)
        outside = _carried(match.reading, outer, log.outvars[0], sums)
        if rows is None or outside is None or not _equal_in(equation.outvars[0].aval.shape, rows, outside):
            continue
        match.inside.update(_shift_equations(match.reading, inner, root))
        match.inside.update(_shift_equations(match.reading, outer, log.outvars[0]))
        match.inside.update(_maximum_behind(match.reading, root))
        return match.pattern(name, a)
    return None


def _equal_in(shape: tuple[int, ...], one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the two, spread over `shape`, are equal; False where they do not fit in it."""
    try:
        return bool((np.broadcast_to(one, shape) == np.broadcast_to(other, shape)).all())
    except ValueError:
        return False


def _same_within_sums(reading: Reading, inner: Any, root: Any, total: Any) -> bool:
    """Whether what is subtracted is one number for each sum."""
    if isinstance(inner, jex.Literal) or root.aval.size == 1:
        return True
    indices = np.arange(root.aval.size).reshape(root.aval.shape)
    within, summed = _carried(reading, inner, root, indices), total.invars[0].aval.shape
    if within is None or len(within.shape) != len(summed):
        return False
    within, axes = np.broadcast_to(within, summed), tuple(total.params["axes"])
    return bool((within.min(axis=axes) == within.max(axis=axes)).all())


def _rows_of(reading: Reading, picked: Any, shifted: Any, total: Any) -> np.ndarray | None:
    """Which sum each element of `picked` belongs to, where they are elements of `shifted`; None where they are not."""
    sums = np.arange(total.outvars[0].aval.size).reshape(total.outvars[0].aval.shape)
    axes = tuple(total.params["axes"])
    rows = np.broadcast_to(np.expand_dims(sums, axes), total.invars[0].aval.shape)
    chain = []
    while picked is not shifted:
        equation = reading.producer(picked)
        if equation is None or equation.primitive.name not in MOVING | PICKING:
            return None
        chain.append(equation)
        picked = equation.invars[0]
    for equation in reversed(chain):
        others = [reading.constant(a) if not reading.depends(a) else None for a in equation.invars[1:]]
        if any(other is None for other in others):
            return None
        result = moved(equation, [rows, *map(np.asarray, others)])
        if result is None:
            return None
        rows = np.asarray(result)
    return rows


def _shift_equations(reading: Reading, atom: Any, root: Any) -> list[int]:
    indices = []
    while atom is not root and atom in reading.made_by:
        indices.append(reading.made_by[atom])
        atom = reading.equations[indices[-1]].invars[0]
    return indices


def _maximum_behind(reading: Reading, root: Any) -> list[int]:
    """The largest element and the guards against infinity that usually make the shift."""
    indices: list[int] = []
    waiting = [root]
    while waiting and len(indices) < 8:
        equation = reading.producer(waiting.pop())
        if equation is None or equation.primitive.name not in (
            "reduce_max",
            "max",
            "select_n",
            "is_finite",
            "and",
            "gt",
            "stop_gradient",
            "eq",
            "abs",
            "broadcast_in_dim",
            "ne",
            "lt",
        ):
            continue
        indices.append(reading.made_by[equation.outvars[0]])
        if equation.primitive.name != "reduce_max":
            waiting.extend(atom for atom in equation.invars if reading.depends(atom))
    return indices


def _is_shift(reading: Reading, inner: Any, outer: Any, total: Any) -> bool:
    """Whether every sum is shifted inside by the number that is added to it outside."""
    root = reading.root(outer)
    if isinstance(root, jex.Literal) or reading.root(inner) is not root:
        return False
    if root.aval.size == 1:
        return True
    indices = np.arange(root.aval.size, dtype=np.float64).reshape(root.aval.shape)
    within, outside = _carried(reading, inner, root, indices), _carried(reading, outer, root, indices)
    if within is None or outside is None:
        return False
    summed = total.invars[0].aval.shape
    if len(within.shape) != len(summed) or any(
        k not in (1, m) for k, m in zip(within.shape, summed, strict=True)
    ):
        return False
    axes = tuple(total.params["axes"])
    within = np.broadcast_to(within, summed)
    first = within.min(axis=axes)
    return bool((first == within.max(axis=axes)).all() and np.array_equal(first.ravel(), np.ravel(outside)))


def _carried(reading: Reading, atom: Any, root: Any, indices: np.ndarray) -> np.ndarray | None:
    """`indices`, which label the elements of `root`, as the reshaping between `root` and `atom` moves them."""
    chain = []
    while atom is not root:
        chain.append(reading.equations[reading.made_by[atom]])
        atom = chain[-1].invars[0]
    for equation in reversed(chain):
        result = moved(equation, [indices])
        if result is None:
            return None
        indices = np.asarray(result)
    return indices


def _hypot(match: _Match, equation: Any) -> Pattern | None:
    """l·√(1 + (m/l)²) with l, m the larger and the smaller of |a| and |b|; l is kept from zero by a guard."""
    for outer, root in (equation.invars, equation.invars[::-1]):
        match.inside.clear()
        larger = match.made(outer, "max")
        sqrt = larger is not None and match.made(root, "sqrt")
        plus = sqrt and match.made(sqrt.invars[0], "add")
        if not plus:
            continue
        for one, squared in (plus.invars, plus.invars[::-1]):
            square = (
                match.made(squared, "square", "mul", "integer_pow")
                if match.reading.is_number(one, 1.0)
                else None
            )
            ratio = square and match.made(square.invars[0], "div")
            smaller = ratio and match.made(ratio.invars[0], "min")
            if (
                square is None
                or ratio is None
                or smaller is None
                or not _guards(match, ratio.invars[1], outer)
            ):
                continue
            if square.primitive.name == "integer_pow" and square.params["y"] != 2:
                continue
            if square.primitive.name == "mul" and square.invars[0] is not square.invars[1]:
                continue
            sizes = [match.made(atom, "abs") for atom in (*larger.invars, *smaller.invars)]
            if all(sizes):
                a, b, c, d = (size.invars[0] for size in sizes)
                if _same_pair(match, (a, b), (c, d)):
                    return match.pattern("hypot", a, b)
    return None


def _same_pair(match: _Match, one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    """Whether two pairs hold the same numbers, in either order."""
    (a, b), (c, d) = one, other
    return (match.same(a, c) and match.same(b, d)) or (match.same(a, d) and match.same(b, c))


def _guards(match: _Match, divisor: Any, larger: Any) -> bool:
    """Whether `divisor` is `larger`, but for a guard where that is zero."""
    if match.same(divisor, larger):
        return True
    guard = match.made(divisor, "select_n")
    if guard is None:
        return False
    test = match.made(guard.invars[0], "eq")
    if test is None or not any(match.reading.is_number(atom, 0.0) for atom in test.invars):
        return False
    return match.same(guard.invars[1], larger) and any(match.same(atom, larger) for atom in test.invars)


def _guarded(match: _Match, equation: Any) -> Pattern | None:
    """A value behind a guard that only matters for NaN, infinity, or where it says the same anyway."""
    which, *cases = equation.invars
    if len(cases) != 2:
        return None
    test = match.made(which, "ne", "eq", "is_finite", "or", "not")
    if test is None:
        return None
    name = test.primitive.name
    if name == "ne" and test.invars[0] is test.invars[1]:
        return match.pattern("same", cases[0])
    first = match.reading.root(cases[0])
    known = None if isinstance(first, jex.Literal) else match.known.get(first)
    if known is not None:
        match.inside.add(match.reading.made_by[first])
    if name in ("eq", "or") and known is not None and known.name == "hypot":
        # hypot's own guards: the larger part is zero, or one of the parts is infinite.
        sides = [match.reading.root(atom) for atom in test.invars]
        zero = name == "eq" and any(match.reading.is_number(atom, 0.0) for atom in test.invars)
        larger = match.reading.root(cases[1])
        if zero and any(side is larger for side in sides) and _is_maximum_of(match, larger, known.operands):
            return Pattern("hypot", known.operands, known.inside | match.inside)
        if match.reading.is_number(cases[1], np.inf) and name == "or" and _tests_infinity(match, test):
            return Pattern("hypot", known.operands, known.inside | match.inside)
    return None


def _is_maximum_of(match: _Match, larger: Any, operands: tuple[Any, ...]) -> bool:
    """Whether `larger` is max(|a|, |b|) of these operands."""
    maximum = match.made(larger, "max")
    if maximum is None:
        return False
    sizes = [match.made(atom, "abs") for atom in maximum.invars]
    if not all(sizes):
        return False
    a, b = (size.invars[0] for size in sizes)
    return _same_pair(match, (a, b), (operands[0], operands[1]))


def _tests_infinity(match: _Match, test: Any) -> bool:
    """Whether a test is `a == inf or b == inf`, true nowhere that the cost is finite."""
    sides = [match.made(atom, "eq") for atom in test.invars]
    return all(
        side is not None and any(match.reading.is_number(atom, np.inf) for atom in side.invars)
        for side in sides
    )


def _chosen_larger(match: _Match, equation: Any) -> Pattern | None:
    """where(a >= b, a, b): the larger of two, or the smaller."""
    which, *cases = equation.invars
    test = match.made(which, "ge", "gt", "le", "lt")
    if test is None or len(cases) != 2:
        return None
    a, b = test.invars
    otherwise, chosen = cases
    if match.same(chosen, a) and match.same(otherwise, b):
        larger = test.primitive.name in ("ge", "gt")
    elif match.same(chosen, b) and match.same(otherwise, a):
        larger = test.primitive.name in ("le", "lt")
    else:
        return None
    return match.pattern("maximum" if larger else "minimum", a, b)


def _guarded_root(match: _Match, equation: Any) -> Pattern | None:
    """where(d == 0, 0, sqrt(where(d == 0, 1, d))): a square root whose derivative at zero is kept finite."""
    which, otherwise, chosen = equation.invars if len(equation.invars) == 3 else (None, None, None)
    if which is None or not match.reading.is_number(chosen, 0.0):
        return None
    sqrt = match.made(otherwise, "sqrt")
    guard = sqrt and match.made(sqrt.invars[0], "select_n")
    test = match.made(which, "eq")
    if not guard or test is None or guard.invars[0] is not which:
        return None
    inner = guard.invars[1]
    if not (match.reading.is_number(test.invars[1], 0.0) and match.same(test.invars[0], inner)):
        return None
    return match.pattern("square root", inner)


def _logaddexp_by_choice(match: _Match, equation: Any) -> Pattern | None:
    """L + log1p(exp(S - L)) with L, S the larger and the smaller of two, guarded where both are infinite."""
    for outer, rest in (equation.invars, equation.invars[::-1]):
        match.inside.clear()
        log = match.made(rest, "log1p")
        exp = log and match.made(log.invars[0], "exp")
        if not exp:
            continue
        gap = exp.invars[0]
        guard = match.made(gap, "select_n")
        if guard is not None:
            tests = match.made(guard.invars[0], "and")
            equal = [t for t in (match.made(a, "eq") for a in tests.invars) if t is not None] if tests else []
            gap = guard.invars[1]
            if len(guard.invars) != 3 or not match.reading.is_number(guard.invars[2], 0.0):
                continue
        difference = match.made(gap, "sub")
        if difference is None or not match.same(difference.invars[1], outer):
            continue
        small, large = (match.known.get(match.reading.plain(atom)) for atom in difference.invars)
        if large is None or small is None or (large.name, small.name) != ("maximum", "minimum"):
            continue
        if guard is not None and not any(
            _same_pair(match, (t.invars[0], t.invars[1]), (difference.invars[0], difference.invars[1]))
            for t in equal
        ):
            continue
        a, b = large.operands
        if _same_pair(match, (a, b), (small.operands[0], small.operands[1])):
            for atom in difference.invars:
                match.inside.add(match.reading.made_by[match.reading.plain(atom)])
            match.inside |= large.inside | small.inside
            return match.pattern("logaddexp", a, b)
    return None


def _scaled_hypot(match: _Match, equation: Any) -> Pattern | None:
    """m·√((a/m)² + (b/m)²) for a positive m, whatever it is."""
    for m, rest in (equation.invars, equation.invars[::-1]):
        match.inside.clear()
        root = match.reading.plain(rest)
        known = None if isinstance(root, jex.Literal) else match.known.get(root)
        if known is None or known.name != "square root" or not _is_positive(match, m):
            continue
        plus = match.made(known.operands[0], "add")
        if plus is None:
            continue
        squares = [match.made(atom, "square", "integer_pow") for atom in plus.invars]
        if not all(s is not None and s.params.get("y", 2) == 2 for s in squares):
            continue
        ratios = [match.made(square.invars[0], "div") for square in squares]
        if all(r is not None and match.same(r.invars[1], m) for r in ratios):
            match.inside.add(match.reading.made_by[root])
            match.inside |= known.inside
            match.inside.update(_maximum_behind(match.reading, match.reading.plain(m)))
            return match.pattern("hypot", ratios[0].invars[0], ratios[1].invars[0])
    return None


def _is_positive(match: _Match, atom: Any) -> bool:
    """Whether `atom` is a positive constant where a test fails, and above zero by that very test elsewhere."""
    guard = match.made(atom, "select_n")
    if guard is None or len(guard.invars) != 3:
        return False
    constant = None if match.reading.depends(guard.invars[1]) else match.reading.constant(guard.invars[1])
    if constant is None or not np.all(np.asarray(constant) > 0):
        return False
    tests = match.made(guard.invars[0], "and")
    above = [match.made(a, "gt") for a in tests.invars] if tests else [match.made(guard.invars[0], "gt")]
    return any(
        t is not None
        and match.same(t.invars[0], guard.invars[2])
        and match.reading.is_number(t.invars[1], 0.0)
        for t in above
    )


_MATCHERS = {
    "add": (_logaddexp, _log_sum_exp, _logaddexp_by_choice, _softplus_among_terms),
    "mul": (_hypot, _scaled_hypot),
    "sub": (_softmax_loss,),
    "select_n": (_guarded, _chosen_larger, _guarded_root),
}
