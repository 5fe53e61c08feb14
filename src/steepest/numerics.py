"""Where and how precisely JAX computes: double precision is scoped, the user's own configuration never touched."""

import gc
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar, Token
from math import isfinite
from typing import Any

import numpy as np

# Spacing of double precision numbers near one: the unit in which rounding errors are told.
EPS = float(np.finfo(np.float64).eps)

# The smallest number that keeps all its digits: guards a division, and says nothing by its own size.
TINY = float(np.finfo(np.float64).tiny)


# Up to so many numbers are looked at quicker by Python than by NumPy.
FEW = 16


def all_finite(array: np.ndarray) -> bool:
    """Whether an array of any shape holds no NaN and no infinity.

    >>> all_finite(np.array([1.0, -2.0])), all_finite(np.array([1.0, np.nan]))
    (True, False)
    """
    if array.size <= FEW and isfinite(sum(array.ravel().tolist())):
        return True
    return bool(np.isfinite(array).all())


def largest(array: np.ndarray) -> float:
    """The largest of the numbers, none negative, in an array of any shape; 0 where there are none, NaN where one is.

    >>> largest(np.array([[1.0, 3.0], [2.0, 0.0]])), largest(np.array([])), largest(np.array([np.inf, np.nan]))
    (3.0, 0.0, nan)
    """
    if array.size <= FEW:
        numbers = array.ravel().tolist()
        if isfinite(sum(numbers)):
            return max(numbers, default=0.0)
    return float(np.maximum.reduce(array, None, initial=0.0))


# XLA copies what a processor is to read from any other place in memory: a pass over it, and a vector more.
ALIGNMENT = 64


def aligned(n: int) -> np.ndarray:
    """Room for `n` numbers of eight bytes, shape (n,), where XLA reads them without a copy.

    >>> aligned(3).shape, aligned(3).ctypes.data % ALIGNMENT
    ((3,), 0)
    """
    room = np.empty(n + ALIGNMENT // 8 - 1)
    first = -room.ctypes.data % ALIGNMENT // 8
    return room[first : first + n]


# Of fewer numbers a copy more takes less time than finding the place.
MANY = 8_192


def owned(x: np.ndarray) -> np.ndarray:
    """A copy of numbers in double precision, of any shape; of many where XLA reads them without another."""
    if x.size <= MANY:
        return x.copy()
    copy = aligned(x.size).reshape(x.shape)
    copy[...] = x
    return copy


_IS_QUIET: ContextVar[bool] = ContextVar("is_quiet", default=False)

# Whether what runs now is inside a `Quiet` scope.
is_quiet = _IS_QUIET.get


class Quiet:
    """A scope in which NumPy gives infinities and NaN without a warning, and in which that can be asked for.

    Whoever evaluates small costs asks by `is_quiet()`: to enter `numpy.errstate` at each evaluation takes a quarter as
    long as the evaluation.

    >>> with Quiet():
    ...     np.float64(1.0) / 0.0, is_quiet()
    (np.float64(inf), True)
    """

    def __enter__(self) -> None:
        self._errors = np.errstate(all="ignore")
        self._errors.__enter__()
        self._token: Token[bool] = _IS_QUIET.set(True)

    def __exit__(self, *what: Any) -> None:
        _IS_QUIET.reset(self._token)
        self._errors.__exit__(*what)


_NOTHING_LEFT_TO_DO = nullcontext()


def quietly() -> AbstractContextManager[Any]:
    """`Quiet`, or nothing where that holds already: for a few operations that may run inside it or alone."""
    return _NOTHING_LEFT_TO_DO if _IS_QUIET.get() else Quiet()


@contextmanager
def without_collections() -> Iterator[None]:
    """A scope in which Python does not look for cycles of objects that nobody reads.

    What is recorded is kept, and to look through it and all that JAX holds, again and again, takes a third of a long
    recording.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def double_precision() -> AbstractContextManager[Any]:
    """A scope in which JAX computes in float64, whatever the user's setting outside it is."""
    import jax

    return jax.enable_x64(True)


def accelerated() -> bool:
    """Whether JAX computes on something other than the host's own processor by default."""
    return bool(default_device().platform != "cpu")


def default_device() -> Any:
    """The device that JAX computes on where nobody says otherwise; the user's own `jax_default_device` if it is set."""
    import jax

    chosen = jax.config.jax_default_device
    if chosen is None or isinstance(chosen, str):
        return jax.local_devices(backend=chosen)[0]
    return chosen
