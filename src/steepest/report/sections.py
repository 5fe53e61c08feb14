"""The sections of a report, each as HTML; every word that comes from outside is escaped here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..plots.ground import Ground
from ..plots.landscape_picture import landscape
from ..plots.training_picture import training
from ..presentation.cards import safe
from ..presentation.text import counted, limit_text, number, pushing, shortened, sizes_of
from .again import call_of, source_of, written
from .again import surroundings as around
from .evidence import picture_for
from .inline import Drawer
from .told import Told

# More rows than this make a page heavy without being read.
MOST_PARAMETERS = 200
# Of a model with more parameters than this the arrays are listed, not their numbers.
MOST_READ = 20
ARRAY_COLUMNS = (("array", ""), ("shape", " class=n"), ("root mean square", " class=n"))
MOST_STEPS = 14
MOST_DATA = 100
# Correlations are drawn up to here.
MOST_CORRELATED = 14
# The longest name or expression in a heading.
LONGEST = 160


def minus(text: str) -> str:
    """A number with a true minus sign."""
    return text.replace("-", "−")


def heading(seen: Told, title: str | None) -> str:
    """The title, and what was done to what."""
    what = {"minimize": "Minimisation", "fit": "Fit", "train": "Training"}[seen.kind]
    count = counted(seen.values.size, "parameter")
    name = title or shortened(seen.label, LONGEST)
    return f"<h1>{safe(name)}</h1>\n<p class=sub>{what} of {count}, by steepest</p>"


def found(seen: Told) -> str:
    """What was found: the word, the cost, the sentence, and what to do next."""
    mark = "minimum" if seen.success else "other"
    lines = [
        f'<section class="found {mark}" aria-label="What was found">',
        f"<strong>{safe(seen.verdict)}</strong>: cost {minus(number(seen.cost, 10))}",
        f"<p>{safe(seen.sentence)}</p>",
    ]
    if seen.next_step:
        lines.append(f"<p><b>Next:</b> {safe(seen.next_step)}</p>")
    return "\n".join([*lines, "</section>"])


def main_picture(result: Any, seen: Told, ground: Ground | None, live: Any, drawer: Drawer) -> str:
    """The cost around the point: to be dragged where it has one parameter, else as the plane of the walk."""
    if live is not None:
        return f"{live.block}\n<noscript><p class=sub>The picture needs a script; the page holds it.</p></noscript>"
    if ground is None or seen.kind == "fit":
        return ""
    try:
        ax = landscape(result)
    except InputError:
        return ""
    is_hatched = any(patch.get_hatch() for patch in ax.patches)
    for drawn in ax.collections:
        hatches = any(getattr(drawn, "hatches", None) or ())
        # Bands of colour are ten times smaller as pixels than as outlines.
        drawn.set_rasterized(not hatches)
        is_hatched = is_hatched or hatches
    beyond = ", hatched beyond the bounds and where a constraint is not met" if is_hatched else ""
    caption = f"The cost around the point{beyond}."
    return figure(drawer.inline(_sized(ax, 6.4, 4.2), "The cost around the point"), caption)


def _sized(ax: Any, width: float, height: float) -> Any:
    axes = np.ravel(np.asarray(ax, dtype=object))[0]
    axes.figure.set_size_inches(width, height)
    return ax


def figure(svg: str, caption: str) -> str:
    """A picture with its caption; on a narrow page it scrolls rather than shrinks."""
    return (
        f'<figure><div class=scroll tabindex=0 role=group aria-label="picture">{svg}</div>'
        f"<figcaption>{safe(caption)}</figcaption></figure>"
    )


# -- parameters --------------------------------------------------------------------------------------------


def parameters(result: Any, seen: Told) -> str:
    """A row for each parameter: its value, to as many digits as can be trusted, its error, where it began."""
    n = seen.values.size
    if seen.kind == "train" and n > MOST_READ:
        return _arrays(result)
    shown = range(min(n, MOST_PARAMETERS))
    columns = ["parameter", "value"]
    if seen.errors is not None:
        columns.append("standard error")
    if seen.digits is not None:
        # Of a fit they tell how far the minimum was computed; the error beside them, what the data tell.
        columns.append("digits computed" if seen.kind == "fit" else "digits to trust")
    if seen.start is not None:
        columns.append("start")
    held, marked = _held(result, seen), False
    rows = []
    for k in shown:
        value = seen.values[k]
        row = [f"<td class=name>{safe(seen.names[k])}</td>", _value_cell(seen, k)]
        if seen.errors is not None:
            error = seen.errors[k]
            row.append(f"<td class=n>{'± ' + minus(number(error, 2)) if _sound(error) else '–'}</td>")
        if seen.digits is not None:
            digits = seen.digits[k]
            row.append(f"<td class=n>{int(digits) if math.isfinite(digits) and digits >= 1 else '–'}</td>")
        if seen.start is not None:
            row.append(f"<td class=n>{minus(number(seen.start[k], 6))}</td>")
        remark = held.get(k, "")
        marked = marked or bool(remark)
        rows.append((row, remark, value))
    if marked:
        columns.append("")
    lines = [
        "<tr>" + "".join(row) + (f"<td class=wide>{safe(remark)}</td>" if marked else "") + "</tr>"
        for row, remark, _ in rows
    ]
    head = "".join(
        f"<th{'' if k == 0 or not name else ' class=n'} scope=col>{name}</th>"
        for k, name in enumerate(columns)
    )
    rest = f"<p class=sub>and {n - MOST_PARAMETERS:,} more parameters</p>" if n > MOST_PARAMETERS else ""
    table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f"<h2>Parameters</h2>\n{scrolling(table, 'parameters')}{rest}"


def multipliers(result: Any) -> str:
    """The constraints and bounds that push, and by how much the lowest cost rises for each unit their limit rises."""
    if not getattr(result, "multipliers", None):
        return ""
    rows, idle = pushing(result)
    rest = (
        f"<p class=sub>{'and ' if rows else ''}{counted(idle, 'constraint')} not active</p>" if idle else ""
    )
    if not rows:
        return f"<h2>Constraints</h2>\n{rest}"
    cells = "".join(
        f"<tr><td class=name>{safe(name)}</td><td class=n>{minus(push)}</td></tr>" for name, push in rows
    )
    head = "<thead><tr><th scope=col>active</th><th class=n scope=col>multiplier</th></tr></thead>"
    told = "<p class=sub>A multiplier says by how much the lowest cost rises for each unit that the limit rises.</p>"
    return f"<h2>Constraints</h2>\n{scrolling(f'{head}<tbody>{cells}</tbody>', 'constraints')}{rest}{told}"


def _arrays(result: Any) -> str:
    """A row for each array of a model: its name, its shape, and how large its numbers are."""
    rows = [
        f"<tr><td class=name>{safe(name)}</td><td class=n>{shape}</td><td class=n>{minus(size)}</td></tr>"
        for name, shape, size in sizes_of(result, MOST_PARAMETERS)
    ]
    more = len(result.names) - len(rows)
    rest = f"<p class=sub>and {more:,} more arrays</p>" if more else ""
    head = "".join(f"<th{kind} scope=col>{name}</th>" for name, kind in ARRAY_COLUMNS)
    table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f"<h2>Parameters</h2>\n{scrolling(table, 'parameters')}{rest}"


def scrolling(table: str, name: str) -> str:
    """A table that scrolls by itself where the page is narrow."""
    return f'<div class=scroll tabindex=0 role=group aria-label="{name}"><table>{table}</table></div>'


def _value_cell(seen: Told, k: int) -> str:
    """The value to its trusted digits or to its error; all digits as the title, for whoever copies it."""
    value = float(seen.values[k])
    places = 8
    if seen.errors is not None and _sound(seen.errors[k]) and value:
        places = int(
            np.clip(math.floor(math.log10(abs(value))) - math.floor(math.log10(seen.errors[k])) + 2, 2, 15)
        )
    elif seen.digits is not None and math.isfinite(seen.digits[k]):
        places = int(np.clip(seen.digits[k], 2, 15))
    return f'<td class=n title="{value!r}">{minus(number(value, places))}</td>'


def _sound(error: float) -> bool:
    return math.isfinite(error) and error > 0


def _held(result: Any, seen: Told) -> dict[int, str]:
    """Remarks on parameters: fixed, at a bound, or without an error and why."""
    remarks: dict[int, str] = {}
    names = {str(name): k for k, name in enumerate(seen.names[:MOST_PARAMETERS])}
    problem = getattr(result, "_problem", None)
    if problem is not None and problem.free is not None:
        free = set(np.asarray(problem.free).tolist())
        remarks |= {k: "fixed" for k in range(min(seen.values.size, MOST_PARAMETERS)) if k not in free}
    for item in seen.evidence:
        name = item.name.removesuffix(" at its bound")
        if name != item.name and name in names:
            remarks[names[name]] = "at its bound"
    for name, why in dict(getattr(result, "reasons", None) or {}).items():
        if str(name) in names:
            remarks[names[str(name)]] = str(why)
    return remarks


# -- data --------------------------------------------------------------------------------------------------


def data(result: Any, drawer: Drawer) -> str:
    """A fit with its bands and residuals, its intervals and its correlations."""
    from ..plots.correlation_picture import correlation
    from ..plots.fit_picture import FEWEST_RESIDUALS, fit, residuals

    parts = ["<h2>Data and fit</h2>", _quality(result)]
    svg = drawer.inline(_sized(fit(result), 6.6, 4.6), "Data, fit and residuals")
    parts.append(figure(svg, "The data, the fit with its bands, and below what is left over."))
    if result.points >= FEWEST_RESIDUALS:
        checks = figure(
            drawer.inline(_sized(residuals(result), 6.6, 4.8), "Four views of the residuals"),
            "Against x and against the fit: a pattern is something the model misses, a funnel a wrong error. In order: "
            "points outside the grey are outliers. Each against the one before: a slope means that errors hang "
            "together.",
        )
        parts.append(
            f"<details><summary>Residuals, looked at four ways</summary><div>{checks}</div></details>"
        )
    parts += [_intervals(result), _data_table(result)]
    if 2 <= len(result.moving) <= MOST_CORRELATED:
        moving = np.asarray(result.moving)
        matrix = np.asarray(result.correlation, dtype=float)[np.ix_(moving, moving)]
        ax = correlation(matrix, [str(result.names[k]) for k in moving])
        picture = figure(
            drawer.inline(ax, "Correlations of the parameters"),
            "How parameters hang together: a thin ellipse means that one nearly determines the other.",
        )
        parts.append(f"<details><summary>Correlations</summary><div>{picture}</div></details>")
    return "\n".join(part for part in parts if part)


def _quality(result: Any) -> str:
    known = result.noise == "known"
    rows = [
        ("points", f"{result.points:,}"),
        ("degrees of freedom", f"{result.degrees_of_freedom:,}"),
        ("chi²", minus(number(result.chi2, 7))),
        ("reduced chi²", known_or_dash(result.reduced_chi2, 5)),
        ("R²", known_or_dash(result.r_squared, 6)),
        ("AIC, BIC", minus(f"{number(result.aic, 6)}, {number(result.bic, 6)}")),
        ("errors", "from the sigma given" if known else "from the scatter about the curve"),
    ]
    return definitions(rows)


def known_or_dash(value: float, digits: int) -> str:
    """A number, or a dash where nothing determines it."""
    return minus(number(value, digits)) if math.isfinite(value) else "–"


def _intervals(result: Any) -> str:
    """The 95% interval of each parameter that moved."""
    found = result.intervals()
    rows = []
    for k in list(result.moving)[:MOST_PARAMETERS]:
        low, high = found[result.names[int(k)]]
        if math.isfinite(low) and math.isfinite(high):
            cells = f"<td class=n>{minus(number(low, 6))}</td><td class=n>{minus(number(high, 6))}</td>"
            rows.append(f"<tr><td class=name>{safe(result.names[int(k)])}</td>{cells}</tr>")
    if not rows:
        return ""
    head = "<thead><tr><th scope=col>parameter</th>"
    head += "<th class=n scope=col>from</th><th class=n scope=col>to</th></tr></thead>"
    table = scrolling(head + f"<tbody>{''.join(rows)}</tbody>", "intervals")
    return f"<details><summary>95% intervals, from the standard errors</summary><div>{table}</div></details>"


def _data_table(result: Any) -> str:
    """The data, the fit and what is left over, as numbers; of many the first ones."""
    from ..plots.fitted import data_of

    sets = data_of(result)
    seen = sets[0]
    if len(sets) > 1 or seen.x is None:
        return ""
    names = [seen.x_name, seen.y_name, *(["σ"] if seen.sigma is not None else []), "fit", seen.unit]
    columns = [seen.x, seen.y, *([seen.sigma] if seen.sigma is not None else []), seen.fitted, seen.scaled]
    head = "".join(f"<th class=n scope=col>{safe(name)}</th>" for name in names)
    rows = []
    for values in list(zip(*columns, strict=True))[:MOST_DATA]:
        rows.append(
            "<tr>" + "".join(f"<td class=n>{minus(number(value, 6))}</td>" for value in values) + "</tr>"
        )
    table = scrolling(f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>", "data")
    count = (
        f"{len(rows):,} of {seen.y.size:,} points"
        if len(rows) < seen.y.size
        else counted(seen.y.size, "point")
    )
    return f"<details><summary>{count} as numbers</summary><div>{table}</div></details>"


def definitions(rows: Iterable[tuple[str, str]]) -> str:
    """Pairs of a word and what it is, already safe."""
    return "<dl>" + "".join(f"<dt>{word}</dt><dd>{value}</dd>" for word, value in rows) + "</dl>"


# -- evidence ----------------------------------------------------------------------------------------------


def evidence(seen: Told, ground: Ground | None, drawer: Drawer | None) -> str:
    """Every piece of evidence, opening on the picture that shows it."""
    if not seen.evidence:
        return ""
    shown: dict[str, int] = {}
    blocks = [
        _piece(k, item, _picture(item, seen, ground, drawer, shown, k))
        for k, item in enumerate(seen.evidence)
    ]
    return "\n".join(["<h2>How that is known</h2>", *blocks])


def _piece(k: int, item: Any, picture: str) -> str:
    word = "<span class=holds>✓ holds</span>" if item.holds else "<span class=fails>✗ does not hold</span>"
    numbers = "" if item.measured is None else f" {minus(number(item.measured, 3))}"
    limit = minus(limit_text(item))
    line = f"{word} <b>{safe(item.name)}</b>{numbers}{limit}<span class=how>{safe(item.how)}</span>"
    inside = picture or "<p class=sub>A fact read off the cost; there is no picture of it.</p>"
    return f"<details id=e{k}><summary>{line}</summary><div>{inside}</div></details>"


def _picture(
    item: Any, seen: Told, ground: Ground | None, drawer: Drawer | None, shown: dict[str, int], k: int
) -> str:
    if ground is None or drawer is None:
        return ""
    picture = picture_for(item, ground, seen.history)
    if picture is None:
        return ""
    if picture.key in shown:
        other = shown[picture.key]
        return f'<p>Shown by <a href="#e{other}">the picture of {safe(seen.evidence[other].name)}</a>.</p>'
    try:
        drawn = picture.draw()
    except (InputError, ArithmeticError, ValueError):
        return ""
    shown[picture.key] = k
    return figure(drawer.inline(drawn, picture.caption), picture.caption)


# -- what was asked, and how it went -----------------------------------------------------------------------


def asked(result: Any, seen: Told) -> str:
    """The cost, where it began, and what it was bound to."""
    rows = [("cost", _code(seen.label))]
    given = getattr(result, "_asked", None) or {}
    for name in ("x0", "bounds", "constraints", "fixed", "budget", "tol", "options", "starts"):
        if given.get(name) is not None:
            rows.append(
                (
                    "start" if name == "x0" else name,
                    f"<code>{safe(shortened(written(given[name], name), 300))}</code>",
                )
            )
    if given.get("args"):
        rows.append(("data", _code(written(given["args"]))))
    source, place = source_of(result)
    code = ""
    if source:
        rows.append(("stands in", safe(place) or "the session"))
        code = f"<pre><code>{safe(source)}</code></pre>"
    return f"<h2>What was asked</h2>\n{definitions(rows)}\n{code}"


def _code(text: str) -> str:
    return f"<code>{safe(shortened(text, 2 * LONGEST))}</code>"


def plan(seen: Told) -> str:
    """What was chosen and why, and what was passed over."""
    if seen.plan is None:
        return ""
    name = getattr(seen.plan, "name", "") or str(seen.plan)
    because = getattr(seen.plan, "because", "")
    lines = ["<h2>What was chosen, and why</h2>"]
    lines.append(f"<p><b>{safe(name)}</b>{', because ' + safe(because) if because else ''}.</p>")
    taken = tuple(getattr(seen.plan, "taken", ()) or ())
    if len(taken) > 1:
        lines.append(f"<p>Then, from the best point: {safe(', '.join(taken[1:]))}.</p>")
    passed = getattr(seen.plan, "passed_over", ()) or ()
    if passed:
        items = "".join(
            f"<li>{safe(other)}</li>"
            if isinstance(other, str)
            else f"<li><b>{safe(other[0])}</b>: {safe(': '.join(map(str, other[1:])))}</li>"
            for other in passed
        )
        lines.append(f"<p>Passed over:</p><ul>{items}</ul>")
    if seen.derivatives:
        lines.append(f"<p>Derivatives: {safe(seen.derivatives)}.</p>")
    lines += [f"<p>{safe(remark)}.</p>" for remark in seen.remarks]
    return "\n".join(lines)


def history(result: Any, seen: Told, drawer: Drawer | None) -> str:
    """How the walk went: the picture, some of its steps, and what it spent."""
    lines = ["<h2>How it went</h2>"]
    spent = ", ".join(f"{count:,} {word}{'' if count == 1 else 's'}" for count, word in seen.counts)
    seconds = ", ".join(f"{word} {number(value, 3)} s" for word, value in seen.timing.items())
    if spent or seconds:
        lines.append(f"<p>{safe(spent)}{'; ' if spent and seconds else ''}{safe(seconds)}.</p>")
    if seen.stop:
        lines.append(f"<p>The walk ended: {safe(seen.stop)}.</p>")
    walked = seen.history
    if seen.kind == "train" and drawer is not None and walked.costs:
        svg = drawer.inline(_sized(training(result), 6.4, 3.2), "Cost of each step of the run")
        lines.append(figure(svg, "The cost of each step over the rows that it saw."))
    if walked is None or not hasattr(walked, "gradient_norm") or len(walked.value) < 2:
        return "\n".join(lines)
    if drawer is not None:
        from ..plots.convergence_picture import convergence

        axes = convergence(result, labels=[shortened(seen.label, 40)], against="evaluations")
        svg = drawer.inline(
            _sized(axes, 6.4, 4.4), "Cost, projected slope and step length against evaluations"
        )
        lines.append(
            figure(svg, "Cost, projected slope and step length at each accepted step, by evaluations spent.")
        )
    lines.append(_steps(walked))
    return "\n".join(lines)


def _steps(walked: Any) -> str:
    k = len(walked.value)
    shown = sorted(
        {0, 1, 2, k - 3, k - 2, k - 1, *np.geomspace(1, k - 1, MOST_STEPS - 6).astype(int).tolist()}
        - {-1, -2}
    )
    shown = [step for step in shown if 0 <= step < k]
    names = ("step", "cost", "projected slope", "step length", "evaluations")
    head = "".join(f"<th class=n scope=col>{name}</th>" for name in names)
    rows = []
    for step in shown:
        cells: Sequence[str] = (
            f"{step:,}", number(walked.value[step], 10), number(walked.gradient_norm[step], 3),
            number(walked.step_length[step], 3), f"{int(walked.evaluations[step]):,}",
        )  # fmt: skip
        rows.append("<tr>" + "".join(f"<td class=n>{minus(cell)}</td>" for cell in cells) + "</tr>")
    table = scrolling(f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>", "steps")
    return f"<details><summary>{len(shown)} of {k:,} steps as numbers</summary><div>{table}</div></details>"


def again(result: Any, command: str | None) -> str:
    """The Python call, and the command line where there was one."""
    call = call_of(result)
    if call is None and command is None:
        return ""
    lines = ["<h2>Run it again</h2>"]
    if command is not None:
        lines.append(f"<pre><code>{safe(command)}</code></pre>")
    if call is not None:
        lines.append(f"<pre><code>{safe(call)}</code></pre>")
    return "\n".join(lines)


def surroundings(seen: Told) -> str:
    """Versions, machine and precision."""
    rows = [(safe(word), safe(value)) for word, value in around()]
    if seen.precision:
        rows.append(("precision", safe(seen.precision)))
    return f"<h2>Surroundings</h2>\n{definitions(rows)}"
