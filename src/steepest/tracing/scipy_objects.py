"""SciPy's objects as a trace meets them: sparse matrices that hold data, and probability distributions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import call_rule, is_traced, made, names_in
from .explain import no_rule, random_numbers
from .own_formulas import allowed, formula_of, own_way
from .rules import BUILD_ARRAY
from .sparse import Sparse

# Methods of a distribution that have a counterpart of the same arguments in jax.scipy.stats.
_METHODS = ("pdf", "logpdf", "pmf", "logpmf", "cdf", "logcdf", "sf", "logsf", "ppf", "isf")

# Of these JAX's counterpart takes no place and scale, has no slope, or fewer digits.
_ANOTHER_WAY = ("gumbel_r", "gumbel_l", "vonmises", "gennorm", "betabinom")

# Of these JAX's counterpart raises an error of its own where it is to be differentiated by a shape.
_SLOPELESS = frozenset(("beta", way) for way in ("cdf", "logcdf", "sf", "logsf"))


def of_scipy(
    value: Any, substitute: Callable[[Any], Any], seeded: Callable[[], bool] = lambda: False
) -> Any | None:
    """The look-alike of a sparse matrix or a distribution; None for anything else.

    `substitute` rebuilds the functions of SciPy's that are followed as they are written; `seeded` tells whether the
    cost has set the seed of NumPy's random numbers by now.
    """
    if type(value).__module__.startswith("scipy.sparse."):
        return Sparse(value, outside=True) if hasattr(value, "tocoo") else None
    if type(value).__module__.startswith("scipy.stats."):
        if isinstance(getattr(value, "kwds", None), dict):  # with parameters of its own, as in norm(0, 1)
            return Distribution(value.dist, value.dist.name, substitute, seeded, (value.args, value.kwds))
        name = getattr(value, "name", type(value).__name__.removesuffix("_gen"))
        if isinstance(name, str) and hasattr(value, "rvs"):
            return Distribution(value, name, substitute, seeded)
    return None


class Distribution:
    """A distribution of `scipy.stats`: itself on numbers, its counterpart in `jax.scipy.stats` on traced values.

    `frozen`: the parameters it was called with, as in `norm(mean, sigma).logpdf(x)`.
    """

    def __init__(
        self,
        plain: Any,
        name: str,
        substitute: Callable[[Any], Any],
        seeded: Callable[[], bool],
        frozen: tuple[Any, dict[str, Any]] = ((), {}),
    ) -> None:
        self._plain = plain
        self._name = name
        self._substitute = substitute
        self._seeded = seeded
        self._frozen = frozen

    def __call__(self, *args: Any, **settings: Any) -> Any:
        """The distribution with these parameters."""
        return Distribution(self._plain, self._name, self._substitute, self._seeded, (args, settings))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in _METHODS:
            return self._method(name)
        args, settings = self._frozen
        if name in ("mean", "var", "std", "entropy") and hasattr(self._plain, "_parse_args"):
            return self._summary(name)
        if is_traced(args) or is_traced(settings):
            raise no_rule(f"scipy.stats.{self._name}(...).{name}", names_in((args, settings)))
        return getattr(self._plain(*args, **settings) if args or settings else self._plain, name)

    def median(self, *args: Any, **settings: Any) -> Any:
        """The place below which half the probability lies."""
        return self._method("ppf")(0.5, *args, **settings)

    def interval(self, confidence: Any, *args: Any, **settings: Any) -> Any:
        """The ends that leave out equal probability on both sides."""
        ends = (0.5 * (1.0 - confidence), 0.5 * (1.0 + confidence))
        low, high = (self._method("ppf")(end, *args, **settings) for end in ends)
        return low, high

    def rvs(self, *args: Any, random_state: Any = None, **settings: Any) -> Any:
        """Samples, moved and scaled; their draw has no slope in shapes."""
        if random_state is None and not self._seeded():
            raise random_numbers(f"scipy.stats.{self._name}.rvs")
        args, settings = (*self._frozen[0], *args), {**self._frozen[1], **settings}
        if not is_traced(args) and not is_traced(settings):
            return made(self._plain.rvs(*args, **settings, random_state=random_state))
        shapes, loc, scale, size = self._univariate()._parse_args_rvs(*args, **settings)
        if is_traced(shapes):
            raise no_rule(f"scipy.stats.{self._name}.rvs", names_in((args, settings)))
        return loc + scale * made(self._plain.rvs(*shapes, size=size, random_state=random_state))

    def _univariate(self) -> Any:
        """SciPy's distribution, where it is one of numbers, with a place and a scale."""
        if not hasattr(self._plain, "_parse_args"):
            raise no_rule(f"scipy.stats.{self._name}", names_in(self._frozen))
        return self._plain

    def _summary(self, name: str) -> Callable[..., Any]:
        """Mean, variance, standard deviation or entropy: that of the shapes, moved and scaled."""

        def summary(*args: Any, **settings: Any) -> Any:
            args, settings = (*self._frozen[0], *args), {**self._frozen[1], **settings}
            if not is_traced(args) and not is_traced(settings):
                return getattr(self._plain, name)(*args, **settings)
            shapes, loc, scale = self._univariate()._parse_args(*args, **settings)
            found = (
                self._of_shapes(name, shapes) if is_traced(shapes) else getattr(self._plain, name)(*shapes)
            )
            if found is None:
                raise no_rule(f"scipy.stats.{self._name}.{name}", names_in((args, settings)))
            by_name = {
                "mean": lambda: loc + scale * found,
                "var": lambda: scale**2 * found,
                "std": lambda: scale * found,
                "entropy": lambda: found + np.log(scale),
            }
            right = allowed(self._plain, "mean", self._substitute, 0.0, args, settings)
            return by_name[name]() if right is True else np.where(right, by_name[name](), np.nan)

        return summary

    def _of_shapes(self, name: str, shapes: Any) -> Any:
        """The same of traced shapes at place 0 and scale 1, by SciPy's own formula; None where it has none."""
        way = "_entropy" if name == "entropy" else "_stats"
        formula = own_way(self._plain, way, self._substitute)
        if formula is None:
            return None
        found = formula(*shapes)
        if name == "entropy":
            return found
        first = found[0 if name == "mean" else 1]
        return np.sqrt(first) if name == "std" and first is not None else first

    def nnlf(self, theta: Any, x: Any) -> Any:
        """Minus the log likelihood of the data `x`; `theta` is shapes, then loc, then scale."""
        *shapes, loc, scale = theta
        return -np.sum(self._method("logpdf")(x, *shapes, loc=loc, scale=scale))

    def _method(self, name: str) -> Callable[..., Any]:
        def method(x: Any, *args: Any, **settings: Any) -> Any:
            args, settings = (*self._frozen[0], *args), {**self._frozen[1], **settings}
            if not is_traced((x, *args)) and not is_traced(settings):
                return made(getattr(self._plain, name)(x, *args, **settings))
            import jax.scipy.stats

            from . import extremes, lifetimes

            x, args = _as_array(x), tuple(map(_as_array, args))
            settings = {key: _as_array(item) for key, item in settings.items()}
            right = allowed(self._plain, name, self._substitute, x, args, settings)

            def only_there(value: Any) -> Any:
                return value if right is True else np.where(right, value, np.nan)

            shapes = (args[:2], {key: item for key, item in settings.items() if key in "ab"})
            slopeless = (self._name, name) in _SLOPELESS and (is_traced(shapes[0]) or is_traced(shapes[1]))
            places = (
                (lifetimes, extremes)
                if self._name in _ANOTHER_WAY or slopeless
                else (jax.scipy.stats, lifetimes, extremes)
            )
            for module in (getattr(place, self._name, None) for place in places):
                if hasattr(module, name):
                    return only_there(call_rule(getattr(module, name), (x, *args), settings))
            formula = formula_of(self._plain, name, self._substitute)
            if formula is None:
                raise no_rule(f"scipy.stats.{self._name}.{name}", names_in((x, args, settings)))
            return only_there(formula(x, *args, **settings))

        return method


def _as_array(value: Any) -> Any:
    """A list of numbers, of which some may be traced, as an array."""
    return (
        call_rule(BUILD_ARRAY, (value,), {})
        if isinstance(value, list) and is_traced(value)
        else (made(np.asarray(value)) if isinstance(value, list) else value)
    )
