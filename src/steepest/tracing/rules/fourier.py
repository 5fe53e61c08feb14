"""Discrete Fourier transforms, with NumPy's lengths, axes and normalisations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from .shape import roll
from .ufuncs import UFUNCS, divide, multiply
from .values import Rule, Value, array_value, axes_of, convert, dtype_of, shape_of, unsupported


def _prepared(name: str, a: Any, out: Any) -> Value:
    unsupported(name, out=out)
    a = array_value(a)
    if dtype_of(a).kind not in "fc":
        a = convert(a, np.float64)
    if dtype_of(a) == np.float16:
        a = convert(a, np.float32)
    return jnp.asarray(a)


def _along_one(name: str, transform: Rule) -> Rule:
    def rule(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Value:
        return transform(_prepared(name, a, out), n=n, axis=axis, norm=norm)

    rule.__doc__ = f"`np.fft.{name}`."
    return rule


def _along_many(name: str, transform: Rule, last_two: bool) -> Rule:
    def rule(
        a: Any,
        s: Any = None,
        axes: Sequence[int] | None = (-2, -1) if last_two else None,
        norm: str | None = None,
        out: Any = None,
    ) -> Value:
        """One axis after the other, so that any number of axes works."""
        a = _prepared(name, a, out)
        rank = len(a.shape)
        if axes is None:
            axes = range(rank - len(s), rank) if s is not None else range(rank)
        axes = [int(k) % rank for k in axes]
        lengths = [None] * len(axes) if s is None else [None if n == -1 else n for n in s]
        return transform(a, axes, lengths, norm)

    rule.__doc__ = f"`np.fft.{name}`."
    return rule


def _complex(step: Rule) -> Rule:
    def transform(a: Value, axes: list[int], lengths: list[Any], norm: Any) -> Value:
        for axis, n in zip(reversed(axes), reversed(lengths), strict=True):
            a = step(a, n=n, axis=axis, norm=norm)
        return a

    return transform


def _real_forward(a: Value, axes: list[int], lengths: list[Any], norm: Any) -> Value:
    a = jnp.fft.rfft(a, n=lengths[-1], axis=axes[-1], norm=norm)
    return _complex(jnp.fft.fft)(a, axes[:-1], lengths[:-1], norm)


def _real_backward(a: Value, axes: list[int], lengths: list[Any], norm: Any) -> Value:
    for axis, n in zip(axes[:-1], lengths[:-1], strict=True):
        a = jnp.fft.ifft(a, n=n, axis=axis, norm=norm)
    return jnp.fft.irfft(a, n=lengths[-1], axis=axes[-1], norm=norm)


def _hfft(a: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    n = 2 * (a.shape[axis] - 1) if n is None else n
    scale = {None: n, "backward": n, "ortho": np.sqrt(n), "forward": 1}[norm]
    return multiply(jnp.fft.irfft(UFUNCS[np.conjugate](a), n=n, axis=axis), scale)


def _ihfft(a: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    n = a.shape[axis] if n is None else n
    scale = {None: n, "backward": n, "ortho": np.sqrt(n), "forward": 1}[norm]
    return divide(UFUNCS[np.conjugate](jnp.fft.rfft(a, n=n, axis=axis)), scale)


def _shifted(direction: int) -> Rule:
    def rule(x: Any, axes: Any = None) -> Value:
        x = array_value(x)
        along = axes_of(axes, len(shape_of(x)))
        lengths = [x.shape[k] for k in along]
        return roll(x, [n // 2 if direction > 0 else -(n // 2) for n in lengths], along)

    return rule


FUNCTIONS: dict[Any, Rule] = {
    np.fft.fft: _along_one("fft", jnp.fft.fft),
    np.fft.ifft: _along_one("ifft", jnp.fft.ifft),
    np.fft.rfft: _along_one("rfft", jnp.fft.rfft),
    np.fft.irfft: _along_one("irfft", jnp.fft.irfft),
    np.fft.hfft: _along_one("hfft", _hfft),
    np.fft.ihfft: _along_one("ihfft", _ihfft),
    np.fft.fft2: _along_many("fft2", _complex(jnp.fft.fft), True),
    np.fft.ifft2: _along_many("ifft2", _complex(jnp.fft.ifft), True),
    np.fft.rfft2: _along_many("rfft2", _real_forward, True),
    np.fft.irfft2: _along_many("irfft2", _real_backward, True),
    np.fft.fftn: _along_many("fftn", _complex(jnp.fft.fft), False),
    np.fft.ifftn: _along_many("ifftn", _complex(jnp.fft.ifft), False),
    np.fft.rfftn: _along_many("rfftn", _real_forward, False),
    np.fft.irfftn: _along_many("irfftn", _real_backward, False),
    np.fft.fftshift: _shifted(1),
    np.fft.ifftshift: _shifted(-1),
}
