"""What to say when one trace cannot follow the cost: where, which parameter, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import TracingError
from .source import Place, place_here

NUMERIC = 'or let the slope be measured by differences: derivatives="numeric"'

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


def cannot_decide(names: Iterable[str]) -> TracingError:
    """A Python decision was asked of a traced value."""
    place = place_here()
    construct = place.construct if place else ""
    what = _NAMES.get(construct, "a Python decision (true or false?)")
    rewrite = _REWRITES.get(construct, "Write np.where(condition, a, b)")
    return _error(
        place, names, what, "depends on", "so one trace cannot follow both outcomes", f"{rewrite}, {NUMERIC}."
    )


def cannot_convert(names: Iterable[str], target: str) -> TracingError:
    """A plain number was asked of a traced value."""
    place = place_here()
    text = place.expression if place else ""
    called = text.split("(")[0].strip()
    if target == "index":
        what = "an index, a length or a number of repetitions"
        rewrite = (
            "Use a fixed length and mask with np.where (a loop whose length depends on a parameter has no slope "
            "in that parameter)"
        )
    elif called == target:
        what = f"{target}()"
        rewrite = (
            "Leave float() away: the value is a number already"
            if target == "float"
            else "Rounding has slope zero, so leave int() away, or use np.floor if the steps are meant"
        )
    else:
        what = f"a call that needs a plain number ({text})" if text else "a call that needs a plain number"
        rewrite = "Use the NumPy or scipy.special function of the same meaning (np.exp for math.exp, …)"
        if "=" in text or text.endswith("]"):
            rewrite = "Make the array on the left inside the cost (np.zeros, np.array, np.copy) and store into that"
    return _error(
        place, names, what, "is given", "which has no fixed value while the cost is traced", f"{rewrite}, {NUMERIC}."
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


def random_numbers(what: str) -> TracingError:
    """The cost draws fresh random numbers: a trace would freeze one draw and call it the cost."""
    return _error(
        place_here(),
        (),
        what,
        "",
        "draws new random numbers at each call, so there is no one cost to take the slope of",
        "Draw them once outside, or inside from np.random.default_rng(seed), "
        "and hand them in through args=, " + NUMERIC + ".",
    )


def naming(error: TracingError, names: Iterable[str]) -> TracingError:
    """The refusal of a rule, which sees values only, with the parameters it concerns."""
    listed = sorted(names)
    text = str(error)
    if not listed or "parameter " in text or any(repr(name) in text for name in listed):
        return error
    closing = "" if NUMERIC in text else f"\nOr let the slope be measured by differences: {NUMERIC.partition(': ')[2]}."
    return TracingError(f"{text}\nThe value depends on {_listed(listed)}.{closing}")


def _listed(names: list[str]) -> str:
    kind = "the parameter" if len(names) == 1 else "the parameters"
    return f"{kind} {', '.join(repr(name) for name in names[:4])}{', …' if len(names) > 4 else ''}"


def _error(place: Place | None, names: Iterable[str], what: str, verb: str, why: str, rewrite: str) -> TracingError:
    listed = sorted(names)
    if not listed:
        subject = what + " "
    else:
        subject = f"{what} {verb} {_listed(listed)}, "
    where = f"{place}: " if place else ""
    shown_text = f"\n    {place.expression}" if place and place.expression else ""
    return TracingError(f"{where}{subject}{why}.{shown_text}\n{rewrite}")
