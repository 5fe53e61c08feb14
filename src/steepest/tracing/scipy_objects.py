"""SciPy's objects as a trace meets them: sparse matrices that hold data, and probability distributions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import call_rule, is_traced, made, names_in
from .explain import no_rule
from .own_formulas import allowed, formula_of
from .rules import BUILD_ARRAY

# Methods of a distribution that have a counterpart of the same arguments in jax.scipy.stats.
_METHODS = ("pdf", "logpdf", "pmf", "logpmf", "cdf", "logcdf", "sf", "logsf", "ppf", "isf")

# Of these JAX's counterpart takes no place and scale, has no slope, or fewer digits.
_ANOTHER_WAY = ("gumbel_r", "gumbel_l", "vonmises", "gennorm", "betabinom")

# Of these JAX's counterpart raises an error of its own where it is to be differentiated by a shape.
_SLOPELESS = frozenset(("beta", way) for way in ("cdf", "logcdf", "sf", "logsf"))


def of_scipy(value: Any, substitute: Callable[[Any], Any]) -> Any | None:
    """The look-alike of a sparse matrix or a distribution; None for anything else.

    `substitute` rebuilds the functions of SciPy's that are followed as they are written.
    """
    if type(value).__module__.startswith("scipy.sparse."):
        return SparseData(value) if hasattr(value, "tocoo") else None
    if type(value).__module__.startswith("scipy.stats."):
        name = getattr(value, "name", type(value).__name__.removesuffix("_gen"))
        return (
            Distribution(value, name, substitute) if isinstance(name, str) and hasattr(value, "rvs") else None
        )
    return None


class SparseData:
    """A sparse matrix of constants: itself, but for products with traced vectors and matrices."""

    # NumPy then leaves `p @ S` to this class.
    __array_ufunc__ = None

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` sees."""
        return type(self._plain)

    @property
    def T(self) -> SparseData:
        """The transpose."""
        return SparseData(self._plain.T)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def __getitem__(self, key: Any) -> Any:
        found = self._plain[key]
        return SparseData(found) if hasattr(found, "tocoo") else found

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, SparseData):
            return SparseData(self._plain @ other._plain)
        if not is_traced(other):
            return made(self._plain @ np.asarray(other))
        return call_rule(_times, (self._plain.tocoo(), other), {})

    def __rmatmul__(self, other: Any) -> Any:
        return (self.T @ np.transpose(other)).T

    def __mul__(self, other: Any) -> Any:
        if not is_traced(other):
            return self._plain * (other._plain if isinstance(other, SparseData) else other)
        if np.ndim(other) == 0 or type(self._plain).__name__.endswith("_array"):
            raise no_rule("a sparse matrix that holds parameters", ())
        return self @ other

    def __rmul__(self, other: Any) -> Any:
        return self * other if np.ndim(other) == 0 else other @ self

    def dot(self, other: Any) -> Any:
        """The matrix product."""
        return self @ other


def _times(matrix: Any, x: Any) -> Any:
    """y = S x with S as (row, column, entry) triples: each entry adds entry·x[column] to y[row]."""
    import jax.numpy as jnp

    entries = matrix.data.astype(np.float64).reshape((-1,) + (1,) * (x.ndim - 1))
    start = jnp.zeros((matrix.shape[0], *x.shape[1:]), x.dtype)
    return start.at[matrix.row].add(entries * x[matrix.col])


class Distribution:
    """A distribution of `scipy.stats`: itself on numbers, its counterpart in `jax.scipy.stats` on traced values.

    `frozen`: the parameters it was called with, as in `norm(mean, sigma).logpdf(x)`.
    """

    def __init__(
        self,
        plain: Any,
        name: str,
        substitute: Callable[[Any], Any],
        frozen: tuple[Any, dict[str, Any]] = ((), {}),
    ) -> None:
        self._plain = plain
        self._name = name
        self._substitute = substitute
        self._frozen = frozen

    def __call__(self, *args: Any, **settings: Any) -> Any:
        """The distribution with these parameters."""
        if not is_traced(args) and not is_traced(settings):
            return self._plain(*args, **settings)
        return Distribution(self._plain, self._name, self._substitute, (args, settings))

    def __getattr__(self, name: str) -> Any:
        return self._method(name) if name in _METHODS else getattr(self._plain, name)

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
