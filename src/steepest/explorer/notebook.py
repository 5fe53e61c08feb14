"""A screen of the explorer in a notebook: the page's own script, its data inside, and Python behind for exact numbers.

The widget draws by itself: between samples the point moves without asking. Where the kernel is free, each number is
confirmed by a message there and back; in a notebook that was saved, or beside a busy kernel, it stays "between
samples". Nothing is fetched from anywhere by us; some notebooks fetch their own widget runtime.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from ..errors import InputError
from ..optional import optional
from .frames import pack, plain
from .questions import Desk, answer
from .still import ASKED, screen_of, subject_of

# What the numbers of parameters may be that a screen can show.
FITS = {"slope": (1, 1), "limit": (1, 1), "walk": (1, 1), "landscape": (2, None), "found": (1, None)}


@functools.cache
def _kind() -> Any:
    """The widget's class; it cannot be written before its optional package is there."""
    base: Any = optional("anywidget", feature="the explorer in a notebook", extra="notebook").AnyWidget
    traitlets: Any = optional("traitlets", feature="the explorer in a notebook", extra="notebook")
    page = files("steepest.explorer") / "page"

    class Explorer(base):
        """One screen; `_payload` is the saved screen, `_style` the sheet that its shadow root is given."""

        _esm = (page / "explorer.js").read_text(encoding="utf-8")
        _style = traitlets.Unicode((page / "explorer.css").read_text(encoding="utf-8")).tag(sync=True)
        _payload = traitlets.Dict().tag(sync=True)

        def __init__(self, desk: Desk, payload: Mapping[str, Any]) -> None:
            super().__init__(_payload=plain(payload))
            self._desk = desk
            self.on_msg(self._asked)

        def _asked(self, _widget: Any, question: Any, _buffers: Any) -> None:
            """Answer a question of the page: its frames, then the word that they are all."""
            if not isinstance(question, Mapping):
                return
            number = question.get("id")
            for header, arrays in answer(self._desk, question):
                self.send({"id": number}, buffers=[pack({**header, "id": number}, arrays)])
            self.send({"id": number, "done": True})

    return Explorer


def widget(
    fun: Any,
    start: Any = None,
    *,
    screen: str | None = None,
    low: float | None = None,
    high: float | None = None,
    window: Sequence[float] | None = None,
    title: str = "",
) -> Any:
    """The cost `fun`, an expression or a function, as a notebook's widget whose point can be dragged.

    Parameters
    ----------
    fun, start:
        The cost and where it is looked at from, as `minimize` takes them; an expression needs no start.
    screen:
        "slope", "limit" (where the slope comes from) or "walk" for one parameter, "landscape" for two and more,
        "found" for any; the default is "slope" or "landscape".
    low, high, window:
        Ends of the curve; left, right, bottom, top of the landscape.
    title:
        A heading.

    Raises
    ------
    MissingDependencyError
        anywidget is not installed.
    InputError
        The screen does not exist, or does not fit the number of parameters; and what reading the cost raises.

    Examples
    --------
    >>> from steepest.explorer import widget
    >>> shown = widget("x**2 - 2*x + 3", start=1.2)  # doctest: +SKIP
    """
    kind = _kind()
    subject = subject_of(fun, start)
    name = screen or ("slope" if subject.n == 1 else "landscape")
    if name not in ASKED:
        raise InputError(f"screen={name!r}: there are {', '.join(ASKED)}")
    least, most = FITS[name]
    if subject.n < least or (most is not None and subject.n > most):
        few = [other for other, (a, b) in FITS.items() if a <= subject.n and (b is None or subject.n <= b)]
        raise InputError(
            f"screen={name!r} shows {'one parameter' if most == 1 else 'two'}, and {subject.label} has "
            f"{subject.n}; write screen={' or '.join(map(repr, few))}"
        )
    payload = screen_of(name, subject, low=low, high=high, window=window, title=title)
    return kind(Desk(named=subject), payload)
