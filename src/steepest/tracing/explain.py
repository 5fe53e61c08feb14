"""What to say when one trace cannot follow the cost: where, which parameter, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

from ..errors import TracingError
from .source import Place, library_behind, library_between, place_here

NUMERIC = 'or let the slope be measured by differences: derivatives="numeric"'
HANDED_IN = "hand them in through args="

_REWRITES = {
    "if": "Write np.where(condition, a, b) instead of the two branches",
    "while": "Write a fixed number of steps (`for k in range(100)`) and keep finished values with np.where, or use "
    "jax.lax.while_loop",
    "assert": "Take the assert out of the cost, or check the parameters before the call",
    "conditional expression": "Write np.where(condition, a, b) instead of `a if condition else b`",
    "and/or": "Write np.logical_and(a, b) or np.logical_or(a, b), with np.where around the result",
    "not": "Write np.logical_not(condition), with np.where around the result",
    "chained comparison": "Write (a < x) & (x < b) instead of `a < x < b`, with np.where around the result",
    "comprehension condition": "Compute every term and weigh it with np.where(condition, term, 0.0)",
}
_DECISION = "a Python decision (an `if`, `while`, `and`, `or`)"
_NAMES = {
    "if": "a Python `if`",
    "while": "a Python `while`",
    "assert": "an `assert`",
    "conditional expression": "a conditional expression",
    "and/or": "a Python `and` or `or`",
    "not": "a Python `not`",
    "chained comparison": "a chained comparison",
    "comprehension condition": "the condition of a comprehension",
}


# What to write instead of a call that looks at the value itself, by the last part of its name.
_CALLS = {
    "sorted": "Write np.sort(x)",
    "arange": "Write start + step * np.arange(n) with a fixed n, or np.linspace(start, stop, n)",
    "max": "Write np.max, or np.where around the comparison",
    "min": "Write np.min, or np.where around the comparison",
    "isnan": "Leave the check away: a value that is not finite is walked around",
    "any": "Leave the check away, or write np.where(condition, a, b)",
}
# And instead of a call into compiled code, by the package it lives in.
_PACKAGES = {
    "integrate": "Use quad, quad_vec, dblquad, tplquad, nquad, fixed_quad, solve_ivp or odeint, or write a fixed "
    "number of steps",
    "interpolate": "Interpolate with np.interp, or make the matrix of basis functions outside and write B @ p",
    "optimize": "Solve for where the slope is zero with scipy.optimize.root or brentq, or add the inner unknown to the "
    "parameters",
    "stats": "Write the formula of the density with NumPy and scipy.special",
    "pandas": "Take the column as an array, column.to_numpy(), before the cost or inside it",
    "polars": "Take the column as an array, column.to_numpy(), before the cost or inside it",
}

# A list of names in a refusal, as `_listed` writes it.
_LISTED = r"the parameters? '[^']*'(?:, '[^']*')*(?P<more>, …)?"

_refusals: ContextVar[list[TracingError] | None] = ContextVar("refusals", default=None)


@contextmanager
def refusals_kept() -> Iterator[list[TracingError]]:
    """All refusals made inside the block, also those that some `except` swallowed."""
    kept: list[TracingError] = []
    token = _refusals.set(kept)
    try:
        yield kept
    finally:
        _refusals.reset(token)


def refuse(error: TracingError) -> TracingError:
    """Keep note of a refusal."""
    kept = _refusals.get()
    if kept is not None:
        kept.append(error)
    return error


def cannot_decide(names: Iterable[str]) -> TracingError:
    """A Python decision was asked of a traced value."""
    place = place_here()
    construct = place.construct if place else ""
    called = _called(place)
    what = _NAMES.get(construct, f"a true-or-false decision inside {called}()" if called else _DECISION)
    rewrite = _of_call(called) or _REWRITES.get(construct, "Write np.where(condition, a, b)")
    return _error(
        place, names, what, "depends on", "so one trace cannot follow both outcomes", f"{rewrite}, {NUMERIC}."
    )


def cannot_convert(names: Iterable[str], target: str) -> TracingError:
    """A plain number was asked of a traced value."""
    place = place_here()
    text = place.expression if place else ""
    called = _called(place)
    if text[:1] in "'\"" and "%" in text:
        what = "text made with %"
        rewrite = "Print after the call, or write an f-string: f'{value}' shows a traced value too"
    elif target == "index":
        what = "an index, a length or a number of repetitions"
        rewrite = (
            "Use a fixed length and mask with np.where (a loop whose length depends on a parameter has no slope "
            "in that parameter)"
        )
    elif called.rpartition(".")[2].rstrip("0123456789_") == target:
        what = f"{called}()"
        rewrite = (
            f"Leave {called}() away: the value is a number already"
            if target == "float"
            else f"Rounding has slope zero, so leave {called}() away, or use np.floor if the steps are meant"
        )
    elif _of_call(called):
        what, rewrite = f"{called}()" if called else f"an operation ({text})", _of_call(called)
    elif not text:
        what = f"{target}(), or a call that needs a plain number,"
        rewrite = (
            f"Leave {target}() away, and use the NumPy function of the same meaning (np.exp for math.exp, …)"
        )
    else:
        what = f"a call that needs a plain number ({text})" if text else "a call that needs a plain number"
        rewrite = "Use the NumPy or scipy.special function of the same meaning (np.exp for math.exp, …)"
        if not called and text:
            rewrite = (
                "Make the array on the left inside the cost (np.zeros, np.array, np.copy) and store into that"
            )
    return _error(
        place,
        names,
        what,
        "is given",
        "which has no fixed value while the cost is traced",
        f"{rewrite}, {NUMERIC}.",
    )


def no_rule(what: str, names: Iterable[str]) -> TracingError:
    """A NumPy or SciPy function without a rule met a traced value."""
    return _error(
        place_here(),
        names,
        what,
        "is given",
        "and there is no rule for its derivative",
        f"Write it with other NumPy functions, or with jax.numpy, {NUMERIC}.",
    )


def outside_array() -> TracingError:
    """A traced value was stored into an array that was not made during the trace."""
    return _error(
        place_here(),
        (),
        "a value that depends on the parameters",
        "",
        "is stored into an array that was made outside the cost",
        "Store into a copy made inside it: `out = np.array(data)`.",
    )


def write_instead(what: str, rewrite: str, names: Iterable[str] = ()) -> TracingError:
    """What no rule follows, and has one rewrite of its own."""
    why = "which cannot be followed" if list(names) else "cannot be followed"
    return _error(place_here(), names, what, "is given", why, f"{rewrite.rstrip('.')}, {NUMERIC}.")


def numpy_matrix() -> TracingError:
    """An `np.matrix` met traced values: its products and shapes are not those of arrays."""
    return write_instead(
        "an np.matrix that meets values that depend on the parameters",
        "Make an array of it, np.asarray(matrix), and write @ where a product of matrices is meant",
    )


def undefined_entries(name: str) -> TracingError:
    """A ufunc with where= and nothing to keep where that is false."""
    return _error(
        place_here(),
        (),
        f"np.{name}(..., where=...) without out=",
        "",
        "leaves the other entries undefined, whatever lay in memory",
        f"Say what they are: np.{name}(..., where=condition, out=np.zeros_like(x)), or np.where(condition, a, b).",
    )


def read_by_others(place: Place | None, called: str) -> TracingError:
    """Compiled code read an array that traced values had been stored into, and made numbers of what it found."""
    return _error(
        place,
        (),
        f"{'this' if place else called} computes with what compiled code",
        "",
        "read from an array that holds values depending on the parameters, which it cannot see",
        f"Write that call with NumPy functions, {NUMERIC}.",
    )


def overlapping(what: str) -> TracingError:
    """A traced value was stored into a view that shows some entries more than once."""
    return _error(
        place_here(),
        (),
        f"an array made by {what}",
        "",
        "shows some entries more than once, and is stored into",
        "Store into the array itself, by an index.",
    )


def random_numbers(what: str) -> TracingError:
    """The cost draws fresh random numbers: a trace would freeze one draw and call it the cost."""
    return _error(
        place_here(),
        (),
        what,
        "",
        "draws new random numbers at each call, so there is no one cost to take the slope of",
        f"Draw them once outside, or inside from np.random.default_rng(seed), and {HANDED_IN}, {NUMERIC}.",
    )


def needs_plain(place: Place | None, names: Iterable[str], error: BaseException) -> TracingError:
    """Code that is not the user's could make nothing of a traced value, and said so in its own words."""
    called = _called(place)
    what = f"{called}()" if called else "code outside the cost"
    return _error(
        place,
        names,
        what if list(names) else f"{what} is given a value that depends on the parameters,",
        "is given",
        f"which it cannot take ({error})",
        f"{_of_call(called, library_behind(error)) or 'Write it with NumPy functions'}, {NUMERIC}.",
    )


def naming(error: TracingError, names: Iterable[str]) -> TracingError:
    """The refusal of a rule, which sees values only, with the parameters it concerns."""
    listed = sorted(names)
    text = str(error)
    if not listed or "parameter " in text or any(repr(name) in text for name in listed):
        return error
    kept = _refusals.get()
    if kept and kept[-1] is error:
        kept.pop()
    closing = "" if NUMERIC in text else f"\n{_capital(NUMERIC)}."
    return refuse(TracingError(f"{text}\nThe value depends on {_listed(listed)}.{closing}"))


def for_batches(error: TracingError, columns: Iterable[str] = ()) -> TracingError:
    """The refusal of a cost of batches, whose slope is never measured by differences and which has no args=.

    What it calls parameters are data where their names are those of `columns` of the batch.

    >>> print(for_batches(TracingError(f"Leave float() away, {NUMERIC}.")))
    Leave float() away.
    >>> print(for_batches(TracingError("float() is given the parameter 'x[0]'"), ["x"]))
    float() is given the data 'x[0]'
    """
    anew = "let data= be a function of a random generator that makes them with each batch"
    text = str(error).replace(HANDED_IN, anew).replace(f", {NUMERIC}", "")
    text = text.replace(f"\n{_capital(NUMERIC)}.", "")
    return TracingError(re.sub(_LISTED, partial(_told_apart, columns=tuple(columns)), text))


def _told_apart(listed: re.Match[str], columns: tuple[str, ...]) -> str:
    """Names that `_listed` wrote, parameters first, then data."""
    names = re.findall("'([^']*)'", listed[0])
    data = [name for name in names if any(name == c or name.startswith(f"{c}[") for c in columns)]
    parameters = [name for name in names if name not in data]
    kinds = [_listed(parameters)] if parameters else []
    if data:
        kinds.append(f"the data {', '.join(map(repr, data))}")
    return " and ".join(kinds) + (listed["more"] or "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _called(place: Place | None) -> str:
    """The name of what is called at a place, "" if it is no call."""
    name, bracket, _ = (place.expression if place else "").partition("(")
    return name.strip() if bracket and name.strip().replace(".", "").isidentifier() else ""


def _of_call(called: str, library: str = "") -> str:
    """What to write instead of a call, which led into a file of a `library`."""
    by_name = _CALLS.get(called.rpartition(".")[2], "")
    library = library or library_between()
    return by_name or next((text for package, text in _PACKAGES.items() if f"/{package}/" in library), "")


def _listed(names: list[str]) -> str:
    names = [name for name in names if name.partition("[")[0] == name or name.partition("[")[0] not in names]
    kind = "the parameter" if len(names) == 1 else "the parameters"
    return f"{kind} {', '.join(repr(name) for name in names[:4])}{', …' if len(names) > 4 else ''}"


def _error(
    place: Place | None, names: Iterable[str], what: str, verb: str, why: str, rewrite: str
) -> TracingError:
    listed = sorted(names)
    if not listed:
        subject = what + (", " if why.startswith("so ") else " ")
    else:
        subject = f"{what} {verb} {_listed(listed)}, "
    where = f"{place}: " if place else ""
    shown_text = f"\n    {place.expression}" if place and place.expression else ""
    return refuse(TracingError(f"{where}{subject}{why}.{shown_text}\n{rewrite}"))
