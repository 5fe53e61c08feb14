"""Random numbers drawn inside a cost after a seed is set: the same each time, moved and scaled by the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import is_traced, made, names_in
from .explain import no_rule, random_numbers
from .kinds import kind_called

# The parameters of a draw with their defaults, and what makes it of a draw with the defaults, as NumPy does itself.
_MOVED: dict[str, tuple[dict[str, float], Callable[..., Any]]] = {
    **dict.fromkeys(
        ("normal", "laplace", "logistic", "gumbel"),
        ({"loc": 0.0, "scale": 1.0}, lambda z, loc, scale: loc + scale * z),
    ),
    "uniform": ({"low": 0.0, "high": 1.0}, lambda z, low, high: low + (high - low) * z),
    **dict.fromkeys(("exponential", "rayleigh"), ({"scale": 1.0}, lambda z, scale: scale * z)),
    "lognormal": (
        {"mean": 0.0, "sigma": 1.0},
        lambda z, mean, sigma: np.exp(mean + sigma * np.log(z)),
    ),
}


def drawn(draw: Callable[..., Any], *args: Any, **settings: Any) -> Any:
    """What a method of NumPy's draws; parameters move and scale it, where that is all that they do."""
    if not is_traced(args) and not is_traced(settings):
        return made(draw(*args, **settings))
    name = draw.__name__
    if name not in _MOVED:
        raise no_rule(f"a draw by .{name}()", names_in((args, settings)))
    defaults, move = _MOVED[name]
    given = dict(zip((*defaults, "size"), args, strict=False)) | settings
    size = given.pop("size", None)
    given = defaults | given
    if size is None:
        size = np.broadcast_shapes(*map(np.shape, given.values())) or None
    return move(made(draw(size=size)), **given)


class Seeded:
    """A source of random numbers of NumPy's that was given its seed inside the cost."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` sees."""
        return type(self._plain)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._plain, name)
        if name.startswith("_") or not callable(found):
            return found
        return lambda *args, **settings: drawn(found, *args, **settings)


def with_a_seed(plain: Any) -> Any:
    """A maker of sources of random numbers that must be given a seed: without one, each call would draw others."""

    def make(seed: Any = None, *args: Any, **settings: Any) -> Any:
        if seed is None:
            raise random_numbers(f"np.random.{plain.__name__}() without a seed")
        return Seeded(plain(seed, *args, **settings))

    return kind_called(plain, make) if isinstance(plain, type) else make
