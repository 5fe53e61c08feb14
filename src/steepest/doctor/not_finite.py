"""Where NaN or infinity is first made: in the value, or in the derivative alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax.extend.core as jex
import numpy as np

from ..numerics import EPS
from ..verdict.wording import listed
from .chart import Chart
from .finding import Finding

# Why vectors have no slope, and the values alone have one.
EQUAL = {
    "eigh": "two eigenvalues are equal here, and their eigenvectors have no slope",
    "svd": "two singular values are equal here, and their vectors have no slope",
}

UNTAKEN = "NaN from an untaken branch"

# Operations further on than this from an exponential no longer tell what it was meant for.
NEARBY = 4


def trouble_in_the_value(chart: Chart) -> Iterator[Finding]:
    """The operation that first makes a NaN or an infinity which reaches the cost."""
    cost = chart.cost
    if cost is None or np.isfinite(cost).all():
        return
    atom, equation = _origin(chart, chart.reading.out)
    if equation is None:
        yield _in_the_data(chart, atom)
        return
    made = np.asarray(chart.value(equation.outvars[0]), dtype=np.float64)
    bad = ~np.isfinite(made)
    what = "NaN" if np.isnan(made[bad]).any() else "infinity"
    name = equation.primitive.name
    word, rewrite = MATRICES.get(name) or _in_words(chart, equation)
    told = chart.elements(equation, bad) if name in WORDS or name in ("div", "pow") else ""
    of = f" of {told}" if told else ""
    yield chart.finding(
        f"{what} in the value", "error", f"{word}{of} is {what}", rewrite, equation, *equation.invars
    )


def _origin(chart: Chart, atom: Any) -> tuple[Any, Any]:
    """The atom that is not finite although nothing it is made of is, and its equation; None for data."""
    while True:
        equation = chart.reading.producer(atom)
        if equation is None:
            return atom, None
        bad = ~np.isfinite(np.asarray(chart.value(atom), dtype=np.float64))
        guilty = None
        for position, operand in enumerate(equation.invars):
            value = chart.value(operand)
            if value is None or np.asarray(value).dtype.kind not in "fc":
                continue
            broken = ~np.isfinite(value)
            if equation.primitive.name == "select_n" and position > 0:
                chosen = np.broadcast_to(np.asarray(chart.value(equation.invars[0])), bad.shape)
                broken = broken & bad & (chosen.astype(int) == position - 1)
            if broken.any():
                guilty = operand
                break
        if guilty is None or isinstance(guilty, jex.Literal):
            return atom, equation
        atom = guilty


def _in_the_data(chart: Chart, atom: Any) -> Finding:
    if atom is chart.reading.x:
        return Finding("NaN in the parameters", "error", "the point itself is not finite", "")
    bad = ~np.isfinite(np.asarray(chart.value(atom), dtype=np.float64))
    rows = np.unique(np.argwhere(bad)[:, 0]) if bad.ndim else np.empty(0, dtype=int)
    where = f" in {_rows(rows)} of {bad.shape[0]}" if bad.ndim else ""
    users = chart.reading.uses.get(atom, ())
    equation = next((chart.reading.equations[k] for k in users if k < len(chart.reading.equations)), None)
    kind = "value that is" if bad.sum() == 1 else "values that are"
    sentence = f"the data hold {int(bad.sum())} {kind} not finite{where}"
    rewrite = "Leave those rows out: keep = np.isfinite(y); cost(..., t[keep], y[keep])."
    if equation is None:
        return Finding("NaN in the data", "error", sentence, rewrite)
    return chart.finding("NaN in the data", "error", sentence, rewrite, equation)


def _rows(rows: np.ndarray) -> str:
    return f"row{'s' if rows.size > 1 else ''} {listed([str(k) for k in rows.tolist()], 6)}"


# ---- what an operation is called, and what to write instead

WORDS = {
    "log": "log",
    "log1p": "log1p",
    "sqrt": "the square root",
    "rsqrt": "one over the square root",
    "exp": "exp",
    "exp2": "exp2",
    "expm1": "expm1",
    "cosh": "cosh",
    "sinh": "sinh",
    "asin": "arcsin",
    "acos": "arccos",
    "atanh": "arctanh",
    "acosh": "arccosh",
    "div": "the quotient",
    "pow": "the power",
    "integer_pow": "the power",
    "cbrt": "the cube root",
    "tan": "tan",
    "atan2": "arctan2",
    "lgamma": "the log of gamma",
}
# Those of whole matrices, whose elements are not told one by one.
MATRICES = {
    "cholesky": (
        "the Cholesky factor of a matrix that is not positive definite here",
        "Add a small multiple of the identity (A + 1e-8 * np.eye(n)), or make the factor itself the parameter.",
    ),
    "triangular_solve": (
        "the solution of linear equations whose matrix is singular here",
        "Add a small multiple of the identity, or bound the parameters to where the equations have one solution.",
    ),
    "initial_value": (
        "the solution of the differential equation, which comes to no end here,",
        "Bound the parameters to where the solution exists all the way, or end it earlier.",
    ),
}  # fmt: skip


def _in_words(chart: Chart, equation: Any) -> tuple[str, str]:
    name = equation.primitive.name
    word = WORDS.get(name, name.replace("_", " "))
    first = chart.value(equation.invars[0])
    names = chart.parameters_of(equation.invars[0])
    one = names[0] if len(names) == 1 else ""
    bound = f"bounds={{{one!r}: (1e-12, None)}}" if one and "[" not in one else "bounds="
    if name in ("exp", "exp2", "expm1", "cosh", "sinh"):
        return word, overflow_rewrite(chart, equation)
    if name in ("log", "log1p"):
        return word, (
            f"Keep its argument above zero with {bound}, or take the parameter itself on a log scale: "
            "write np.exp(p) where it stands."
        )
    if name in ("sqrt", "rsqrt"):
        below = first is not None and bool((np.asarray(first) < 0).any())
        reason = "Keep its argument from falling below zero" if below else "Keep its argument above zero"
        return (
            word,
            f"{reason} with {bound}, or take the square root of np.maximum(…, 0) plus a small number.",
        )
    if name == "div":
        return word, "Keep the denominator away from zero: bound it, or add a small positive number to it."
    if name == "pow":
        return word, "A negative base has no such power: bound it, or write np.abs(base)**power."
    if name == "integer_pow":
        if equation.params["y"] < 0:
            return word, "A negative power of zero is infinite: bound the base away from zero."
        return (
            word,
            "The power overflows: measure the parameters in larger units, or take the log of the cost.",
        )
    if name in ("asin", "acos", "atanh"):
        return word, "Its argument must lie between -1 and 1: bound the parameters, or np.clip(…, -1, 1)."
    return word, "Bound the parameters to where the cost exists, or scale them."


def overflow_rewrite(chart: Chart, equation: Any) -> str:
    """What an overflowing exponential was meant for, and how that is written without overflow."""
    reading = chart.reading
    seen, atoms = [], [equation.outvars[0]]
    for _ in range(NEARBY):
        following = [
            reading.equations[k] for a in atoms for k in reading.uses.get(a, ()) if k < len(reading.equations)
        ]
        seen += following
        atoms = [other.outvars[0] for other in following]
    names = [other.primitive.name for other in seen]
    if "log" in names or "log1p" in names:
        if "reduce_sum" in names and names.index("reduce_sum") < max(
            names.index(k) for k in ("log", "log1p") if k in names
        ):
            return "Write scipy.special.logsumexp(z), which takes out the largest first, for np.log(np.sum(np.exp(z)))."
        return "Write np.logaddexp(0, z) for np.log(1 + np.exp(z)): it cannot overflow."
    if "div" in names and "add" in names:
        return "Write scipy.special.expit(-z) for 1 / (1 + np.exp(z)): it cannot overflow."
    if "div" in names:
        return (
            "Take the largest exponent out before np.exp: np.exp(z - z.max()), or scipy.special.softmax(z)."
        )
    if "sub" in names and equation.primitive.name == "exp":
        return "Start nearer, bound the exponent, or write np.expm1(z) for np.exp(z) - 1 where z is small."
    return "Start nearer, bound the exponent (np.exp overflows above 709), or work with the log of the cost."


# ---- finite value, but no derivative


@dataclass(frozen=True)
class _Singular:
    """Where a primitive's own derivative is not finite: a mask over its elements, and why in a few words."""

    where: Callable[..., Any]
    why: str


def _at_zero(x: Any, *_: Any) -> Any:
    return np.asarray(x) == 0


SINGULAR: dict[str, _Singular] = {
    "sqrt": _Singular(lambda x: np.asarray(x) <= 0, "the square root has an infinite slope at zero, and none below"),
    "rsqrt": _Singular(lambda x: np.asarray(x) <= 0, "one over a square root is infinite at zero"),
    "cbrt": _Singular(_at_zero, "the cube root has an infinite slope at zero"),
    "log": _Singular(lambda x: np.asarray(x) <= 0, "log exists above zero only"),
    "log1p": _Singular(lambda x: np.asarray(x) <= -1, "log1p exists above -1 only"),
    "div": _Singular(lambda a, b: (np.asarray(b) == 0) | ~np.isfinite(np.asarray(a)), "it divides by zero"),
    "pow": _Singular(
        lambda a, b: ((np.asarray(a) == 0) & (np.asarray(b) < 1) & (np.asarray(b) != 0)) | (np.asarray(a) < 0),
        "a power below one has an infinite slope at zero, and a negative base has no slope in its power",
    ),
    "asin": _Singular(lambda x: np.abs(x) >= 1, "arcsin has an infinite slope at -1 and 1"),
    "acos": _Singular(lambda x: np.abs(x) >= 1, "arccos has an infinite slope at -1 and 1"),
    "atanh": _Singular(lambda x: np.abs(x) >= 1, "arctanh exists between -1 and 1 only"),
    "acosh": _Singular(lambda x: np.asarray(x) <= 1, "arccosh has an infinite slope at 1"),
    "atan2": _Singular(lambda a, b: (np.asarray(a) == 0) & (np.asarray(b) == 0), "arctan2 has no slope at the origin"),
    "exp": _Singular(lambda x: np.asarray(x) > 709.7, "exp overflows above 709"),
    "cosh": _Singular(lambda x: np.abs(x) > 710.0, "cosh overflows above 710"),
    "sinh": _Singular(lambda x: np.abs(x) > 710.0, "sinh overflows above 710"),
}  # fmt: skip


def _alike(equation: Any, chart: Chart) -> bool:
    """Whether two eigenvalues or singular values are the same to rounding, so that their vectors may turn freely."""
    values = chart.value(min(equation.outvars, key=lambda var: len(var.aval.shape)))
    if values is None or len(equation.outvars) < 2 or np.shape(values)[-1] < 2:
        return False
    ordered = np.sort(np.asarray(values), axis=-1)
    return bool((np.diff(ordered, axis=-1) <= 8 * EPS * np.abs(ordered).max(initial=0.0)).any())


def trouble_in_the_slope(chart: Chart, gradient: np.ndarray) -> Iterator[Finding]:
    """Operations whose derivative is not finite here, where the value is: roots at zero, untaken branches."""
    broken = ~np.isfinite(gradient)
    cost = chart.cost
    if cost is None or not np.isfinite(cost).all():
        return
    names = [chart.names[k] for k in np.flatnonzero(broken).tolist()]
    found = 0
    told: set[tuple[str, int]] = set()
    for equation in chart.reading.equations:
        singular = SINGULAR.get(equation.primitive.name)
        if equation.primitive.name == "integer_pow" and equation.params["y"] < 0:
            singular = _Singular(_at_zero, "a negative power of zero is infinite")
        if equation.primitive.name == "pow" and not chart.reading.depends(equation.invars[0]):
            singular = _Singular(
                lambda a, _: np.asarray(a) < 0, "a negative number has no slope in its power"
            )
        if equation.primitive.name in ("eigh", "svd") and broken.any() and _alike(equation, chart):
            singular = _Singular(lambda *_: True, EQUAL[equation.primitive.name])
        if singular is None or not any(chart.reading.depends(atom) for atom in equation.invars):
            continue
        operands = [chart.value(atom) for atom in equation.invars]
        with np.errstate(all="ignore"):
            mask = np.broadcast_to(singular.where(*operands), equation.outvars[0].aval.shape)
        if not mask.any():
            continue
        choice = _untaken(chart, equation.outvars[0], mask)
        if not broken.any() and choice is None:
            continue  # it is there, but nothing of it reaches the slope
        finding = _without_slope(chart, equation, mask, choice, singular.why, names)
        if (finding.expression, finding.line) in told:
            continue
        told.add((finding.expression, finding.line))
        found += 1
        yield finding
    if not found and broken.any():
        yield Finding(
            "no finite slope",
            "error",
            f"the slope is not finite for {listed(names)}, though the cost is {float(np.ravel(cost)[0]):.6g}",
            "Look for intermediate values that overflow, and scale the parameters.",
        )


def _without_slope(
    chart: Chart, equation: Any, mask: np.ndarray, choice: Any | None, why: str, names: list[str]
) -> Finding:
    told = chart.elements(equation, mask)
    if choice is not None:
        inner = equation.primitive.name
        word = WORDS.get(inner, inner)
        return chart.finding(
            UNTAKEN,
            "error" if names else "note",
            f"this np.where leaves {word} of {told} aside, but its slope is computed all the same and is not finite "
            f"({why}), so that {f'the slope for {listed(names)} is lost' if names else 'other libraries get NaN here'}",
            f"Give the operation a harmless argument where it is not taken: {_safe(inner)}.",
            equation,
            *equation.invars,
        )
    if equation.primitive.name in ("eigh", "svd"):
        return chart.finding(
            "no finite slope",
            "error",
            f"{why}, so that the slope for {listed(names)} is not finite",
            "Use the values alone, or a function of the matrix itself; or start where no two of them are equal.",
            equation,
            *equation.invars,
        )
    kind = "no slope at zero" if equation.primitive.name in ("sqrt", "cbrt", "pow") else "no finite slope"
    return chart.finding(
        kind,
        "error",
        f"{why} (here of {told}), so that the slope for {listed(names)} is not finite",
        _instead(equation.primitive.name, chart, equation),
        equation,
        *equation.invars,
    )


def _untaken(chart: Chart, atom: Any, mask: np.ndarray) -> Any | None:
    """The np.where that leaves the elements in `mask` of `atom` aside; None where some of them are used."""
    reading = chart.reading
    waiting = [(atom, mask)]
    choice = None
    steps = 0
    while waiting and steps < 50:
        steps += 1
        current, selected = waiting.pop()
        for index in reading.uses.get(current, ()):
            if index >= len(reading.equations):
                return None
            user = reading.equations[index]
            if user.primitive.name == "select_n":
                positions = [k for k, operand in enumerate(user.invars) if operand is current]
                if positions == [0]:
                    continue
                chosen = np.broadcast_to(np.asarray(chart.value(user.invars[0])), user.outvars[0].aval.shape)
                taken = np.isin(chosen.astype(int), [p - 1 for p in positions])
                if selected.shape != taken.shape or (taken & selected).any():
                    return None
                choice = user
                continue
            out = user.outvars[0].aval.shape
            if selected.shape not in (out, ()) and user.primitive.name not in ("reshape", "squeeze"):
                return None
            passed = (
                np.reshape(selected, out)
                if selected.size == int(np.prod(out))
                else np.broadcast_to(selected, out)
            )
            waiting.append((user.outvars[0], passed))
    return choice


def _safe(name: str) -> str:
    example = {
        "sqrt": "np.where(ok, np.sqrt(np.where(ok, x, 1.0)), other)",
        "log": "np.where(ok, np.log(np.where(ok, x, 1.0)), other)",
        "div": "np.where(ok, a / np.where(ok, b, 1.0), other)",
        "pow": "np.where(ok, np.where(ok, x, 1.0)**p, other)",
        "exp": "np.where(ok, np.exp(np.where(ok, x, 0.0)), other)",
    }
    return example.get(
        name, f"np.where(ok, f(np.where(ok, x, safe)), other) with f = {WORDS.get(name, name)}"
    )


def _instead(name: str, chart: Chart, equation: Any) -> str:
    if name == "sqrt":
        made = chart.reading.producer(chart.reading.root(equation.invars[0]))
        if made is not None and made.primitive.name in (
            "reduce_sum",
            "add",
            "integer_pow",
            "square",
            "mul",
            "dot_general",
        ):
            return "Minimise the square instead, or round the corner: np.sqrt(… + 1e-12)."
        return "Bound its argument away from zero, or round the corner: np.sqrt(… + 1e-12)."
    if name in ("pow", "cbrt"):
        return "Bound the base away from zero, or add a small positive number to it."
    if name in ("exp", "cosh", "sinh"):
        return overflow_rewrite(chart, equation)
    if name == "div":
        return "Keep the denominator away from zero: bound it, or add a small positive number to it."
    return "Bound the parameters a little inside of where the operation has a slope."
