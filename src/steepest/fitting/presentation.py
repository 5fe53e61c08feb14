"""A fit as text and as HTML: values with errors, what they rest on, and in words what could not be had."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..presentation.cards import card, curve, listed, safe
from ..presentation.text import MOST_ROWS, counted, headed, number, shortened, table, wrapped

# Correlations below this are not worth a line.
NOTABLE_CORRELATION = 0.9
MOST_CORRELATIONS = 4
# Decimal digits that every number of double precision holds.
MOST_DIGITS = 15


def with_error(value: float, error: float) -> tuple[str, str]:
    """A value and its error, the error to two digits and the value to the same place.

    >>> with_error(3.14159, 0.0123), with_error(1234567.0, 8900.0), with_error(2.5, float("nan"))
    (('3.142', '0.012'), ('1234600', '8900'), ('2.5', ''))
    >>> with_error(6.0, 5.4e-18), with_error(-45.31, 140000.0)
    (('6', '5.4e-18'), ('-45', '140000'))
    """
    if not (math.isfinite(error) and error > 0 and math.isfinite(value)):
        return number(value, 8), ""
    place = 1 - math.floor(math.log10(error))
    if round(error, place) >= 10 ** (2 - place):
        place -= 1
    largest = max(abs(value), error)
    if -5 < math.log10(largest) < 7 and place <= 8:
        digits, rounded = max(place, 0), round(value, place)
        # Where the error hides all of the value, the value still says which curve was drawn.
        shown = f"{rounded:.{digits}f}" if rounded or not value else number(value, 2)
        return shown, f"{round(error, place):.{digits}f}"
    exponent = math.floor(math.log10(largest))
    if place + exponent > MOST_DIGITS:  # an error below rounding: the value has no such digits
        return f"{value:.{MOST_DIGITS}g}", f"{error:.1e}"
    digits = max(place + exponent, 0)
    return f"{value:.{digits}e}", f"{error:.1e}"


def fit_text(fit: Any) -> str:
    """A `FitResult` as text."""
    lines = [*_heading(fit), "", *_parameters(fit)]
    if fit.reasons:
        lines += ["", "  no error bar", *_reasons(fit)]
    lines += ["", "  quality", *_quality(fit)]
    tight = _correlated(fit)
    if tight:
        lines += ["", "  strongly correlated", *tight]
    lines += ["", "  how", *(line for words in (*_how(fit), *fit.remarks) for line in wrapped(words))]
    if fit.next_step:
        lines += ["", "  next", *wrapped(fit.next_step)]
    return "\n".join(lines)


def _heading(fit: Any) -> list[str]:
    lines = [headed("fit of ", fit.label, f" to {counted(fit.points, 'point')}: {fit.verdict}")]
    return [*lines, *wrapped(fit.message, indent="  ")]


def _parameters(fit: Any) -> list[str]:
    rows = []
    for k, name in enumerate(fit.names[:MOST_ROWS]):
        value, error = with_error(fit.values[name], fit.errors[name])
        rows.append((name, value, f"± {error}" if error else "", _remark(fit, k, name)))
    lines = table(rows, "<><<")
    if len(fit.names) > MOST_ROWS:
        lines.append(f"  and {len(fit.names) - MOST_ROWS:,} more parameters")
    return lines


def _remark(fit: Any, k: int, name: str) -> str:
    if k not in fit.moving:
        return "fixed" if fit.errors[name] == 0 else "tied"
    digits = fit.digits[k]
    if name in fit.reasons:
        return "see below"
    if not math.isfinite(digits):
        return ""
    whole = int(digits)
    return f"{counted(whole, 'digit')} computed" if whole > 0 else "no digit to trust"


def _reasons(fit: Any) -> list[str]:
    by_words: dict[str, list[str]] = {}
    for name, why in fit.reasons.items():
        by_words.setdefault(why, []).append(name)
    return [line for why, names in by_words.items() for line in wrapped(f"{', '.join(names)}: {why}")]


def _quality(fit: Any) -> list[str]:
    known = (
        "errors from the sigma given" if fit.noise == "known" else "errors from the scatter about the curve"
    )
    if fit.noise != "known" and fit.variance != fit.reduced_chi2:
        known = "errors from the scatter of the points that the loss holds to"
    if not math.isfinite(fit.reduced_chi2):
        return table([("chi²", number(fit.chi2, 7), _without_scatter(fit))], "<<<", indent="    ")
    count = f"{counted(fit.degrees_of_freedom, 'degree')} of freedom"
    rows = [
        ("chi²", number(fit.chi2, 7), count),
        ("reduced chi²", number(fit.reduced_chi2, 5), known),
        (
            "R²",
            number(fit.r_squared, 6) if math.isfinite(fit.r_squared) else "none: y does not vary",
            # Without any misfit the likelihood has no bound, and there is nothing to compare.
            f"AIC {number(fit.aic, 6)}, BIC {number(fit.bic, 6)}" if fit.chi2 > 0.0 else "",
        ),
    ]
    return table(rows, "<<<", indent="    ")


def _without_scatter(fit: Any) -> str:
    """Why there is no reduced χ²."""
    return "no degree of freedom left" if math.isfinite(fit.chi2) else "the model is not finite here"


def _correlated(fit: Any) -> list[str]:
    pairs = []
    for i in range(len(fit.names)):
        for j in range(i):
            r = fit.correlation[i, j]
            if math.isfinite(r) and abs(r) >= NOTABLE_CORRELATION:
                pairs.append((abs(r), fit.names[j], fit.names[i], r))
    pairs.sort(reverse=True)
    rows = [(f"{a}, {b}", f"{r:+.4f}") for _, a, b, r in pairs[:MOST_CORRELATIONS]]
    if len(pairs) > MOST_CORRELATIONS:
        rows.append((f"and {counted(len(pairs) - MOST_CORRELATIONS, 'more pair')}", ""))
    return table(rows, "<>", indent="    ") if rows else []


def _how(fit: Any) -> list[str]:
    told = [f"{fit.plan.name}, because {fit.plan.because}"]
    if fit.plan.taken[1:]:
        told.append(f"then {', '.join(fit.plan.taken[1:])}")
    started = {"given": "", "guess": ", start read off the data", "multi-start": ", best of several starts"}
    spent = f"{counted(fit.nfev, 'evaluation')}, {counted(fit.nit, 'step')}"
    return [*told, spent + started.get(fit.start_from, "")]


def fit_html(fit: Any) -> str:
    """A `FitResult` as the card that a notebook shows."""
    rows = []
    for k, name in enumerate(fit.names[:MOST_ROWS]):
        value, error = with_error(fit.values[name], fit.errors[name])
        note = fit.reasons.get(name) or _remark(fit, k, name)
        rows.append((name, *(text.replace("-", "−") for text in (value, error and f"± {error}")), note))
    scatter = fit.reduced_chi2
    quality = f"reduced χ² {number(scatter, 5)}" if math.isfinite(scatter) else _without_scatter(fit)
    head = f"fit of <code>{safe(shortened(fit.label))}</code> to {counted(fit.points, 'point')}, {quality}"
    costs = np.asarray(fit.history.value, dtype=float)
    return card(
        fit, head, listed(rows, len(fit.names), "parameter"), curve(costs), "; ".join(_how(fit)), fit.remarks
    )
