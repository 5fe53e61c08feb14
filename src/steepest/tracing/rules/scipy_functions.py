"""SciPy's functions: special functions, dense linear algebra, sums over samples.

SciPy is never imported here. A module the user has imported is in `sys.modules`; its rows are joined to their
rules the first time a rule of SciPy's is asked for after that.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
from jax import lax

from . import distances, filters, initial_values, norms, quadrature, roots, special, special_of_scipy
from . import factorisations as dense
from .calculus import trapezoid
from .fourier import FUNCTIONS as TRANSFORMS
from .indexing import getitem
from .matrix_exponential import expm as matrix_exponential
from .products import contract
from .reductions import cumsum
from .shape import concatenate, moveaxis, ravel, reshape, swapaxes
from .ufuncs import UFUNCS, add, divide, elementwise, multiply
from .values import Rule, Value, array_value, axis_of, convert, dtype_of, is_traced, refused, shape_of

_MODULES = (
    "scipy.special",
    "scipy.linalg",
    "scipy.integrate",
    "scipy.optimize",
    "scipy.fft",
    "scipy.signal",
    "scipy.ndimage",
    "scipy.spatial.distance",
)


def scipy_rules() -> dict[Any, Rule]:
    """Rules of the SciPy functions and ufuncs in the modules that are imported by now."""
    return _rules_of(tuple(name for name in _MODULES if name in sys.modules))


@cache
def _rules_of(modules: tuple[str, ...]) -> dict[Any, Rule]:
    rules: dict[Any, Rule] = {}
    for name in modules:
        module = sys.modules[name]
        if name == "scipy.special":
            for key, record in (special.BY_NAME | special_of_scipy.BY_NAME).items():
                ufunc = getattr(module, key, None)
                if isinstance(ufunc, np.ufunc):
                    # Orders that stay numbers of NumPy's are known to be fixed.
                    rules[ufunc] = elementwise(ufunc, record, aligns=key not in special_of_scipy.BY_NAME)
        for key, rule in _BY_MODULE[name].items():
            function = getattr(module, key, None)
            if function is not None:
                rules[function] = rule
    return rules


# -- linear algebra ----------------------------------------------------------------------------------------------


def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: Any = None,
    transposed: bool = False,
) -> Value:
    """`scipy.linalg.solve`; what is assumed about the matrix is not needed."""
    a, b = dense.matrices(a, b)
    if assume_a in ("pos", "sym", "her", "positive definite", "symmetric", "hermitian"):
        a = dense.hermitian(a, "L" if lower else "U")
    a = swapaxes(a, -1, -2) if transposed else a
    vector = len(b.shape) == 1
    found = dense.solve(a, reshape(b, (-1, 1)) if vector else b)
    return getitem(found, (Ellipsis, 0)) if vector else found


def inv(a: Any, overwrite_a: bool = False, check_finite: bool = True, **settings: Any) -> Value:
    """`scipy.linalg.inv`."""
    return dense.inv(a)


def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Value:
    """`scipy.linalg.det`."""
    return dense.FUNCTIONS[np.linalg.det](a)


def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Value:
    """`scipy.linalg.cholesky`, upper unless told otherwise."""
    return dense.cholesky(a, upper=not lower)


def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Value, bool]:
    """`scipy.linalg.cho_factor`; the other triangle holds zeros."""
    return dense.cholesky(a, upper=not lower), lower


def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Value:
    """`scipy.linalg.cho_solve`."""
    c, lower = c_and_lower
    c, b = dense.matrices(c, b)
    return jsl.cho_solve((c, bool(lower)), b)


def solve_triangular(
    a: Any,
    b: Any,
    trans: Any = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Value:
    """`scipy.linalg.solve_triangular`."""
    a, b = dense.matrices(a, b)
    return jsl.solve_triangular(a, b, trans=trans, lower=lower, unit_diagonal=unit_diagonal)


def solve_tridiagonal(below: Any, middle: Any, above: Any, b: Any) -> Value:
    """The solution of a tridiagonal system of rows (below, middle, above), each (n,), for b of (n,) or (n, k)."""
    below, middle, above, b = dense.matrices(below, middle, above, b)
    return reshape(lax.linalg.tridiagonal_solve(below, middle, above, reshape(b, (b.shape[0], -1))), b.shape)


def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Value, Value]:
    """`scipy.linalg.lu_factor`."""
    (a,) = dense.matrices(a)
    return jsl.lu_factor(a)


def lu_solve(
    lu_and_piv: Any, b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True
) -> Value:
    """`scipy.linalg.lu_solve`."""
    lu, b = dense.matrices(lu_and_piv[0], b)
    return jsl.lu_solve((lu, jnp.asarray(convert(lu_and_piv[1], np.int32))), b, trans=trans)


def lu(
    a: Any,
    permute_l: bool = False,
    overwrite_a: bool = False,
    check_finite: bool = True,
    p_indices: bool = False,
) -> Any:
    """`scipy.linalg.lu`."""
    if p_indices:
        raise refused("scipy.linalg.lu(..., p_indices=True)", "has no rule", "Use the permutation matrix.")
    (a,) = dense.matrices(a)
    return tuple(jsl.lu(a, permute_l=permute_l))


def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> Any:
    """`scipy.linalg.qr` without pivoting."""
    if pivoting or mode == "raw":
        raise refused("scipy.linalg.qr with pivoting or mode='raw'", "has no rule", 'Use mode="economic".')
    if mode == "r":
        return (dense.qr(a, "complete").R,)
    found = dense.qr(a, "reduced" if mode == "economic" else "complete")
    return found.Q, found.R


def eigh(a: Any, b: Any = None, *, lower: bool = True, eigvals_only: bool = False, **settings: Any) -> Any:
    """`scipy.linalg.eigh`; the generalised problem through the Cholesky factor of `b`."""
    for keyword in ("subset_by_index", "subset_by_value"):
        if settings.get(keyword) is not None:
            raise refused(f"scipy.linalg.eigh(..., {keyword}=...)", "has no rule", "Slice the result.")
    if settings.get("type", 1) != 1:
        raise refused("scipy.linalg.eigh(..., type=2 or 3)", "has no rule", "Use type=1.")
    if b is None:
        found = dense.eigh(a, "L" if lower else "U")
        return found.eigenvalues if eigvals_only else (found.eigenvalues, found.eigenvectors)
    a, b = dense.matrices(a, b)
    factor = dense.cholesky(dense.hermitian(b, "L" if lower else "U"))
    half = jsl.solve_triangular(factor, dense.hermitian(a, "L" if lower else "U"), lower=True)
    whole = jsl.solve_triangular(factor, UFUNCS[np.conjugate](swapaxes(half, -1, -2)), lower=True)
    values, vectors = dense.eigh(whole)
    if eigvals_only:
        return values
    return values, jsl.solve_triangular(factor, vectors, trans="C", lower=True)


def eigvalsh(a: Any, b: Any = None, *, lower: bool = True, **settings: Any) -> Value:
    """`scipy.linalg.eigvalsh`."""
    return eigh(a, b, lower=lower, eigvals_only=True, **settings)


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """`scipy.linalg.svd`."""
    found = dense.svd(a, full_matrices, compute_uv)
    return tuple(found) if compute_uv else found


def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Value:
    """`scipy.linalg.svdvals`."""
    return dense.svdvals(a)


def expm(A: Any) -> Value:
    """`scipy.linalg.expm`."""
    (A,) = dense.matrices(A)
    dense.square_matrix(A)
    return matrix_exponential(A)


def norm(
    a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True
) -> Value:
    """`scipy.linalg.norm`."""
    return norms.norm(a, ord, axis, keepdims)


def lstsq(a: Any, b: Any, cond: Any = None, **settings: Any) -> tuple[Value, Value, Value, Value]:
    """`scipy.linalg.lstsq`."""
    a, b = dense.matrices(a, b)
    relative = np.finfo(dtype_of(a)).eps if cond is None else cond
    x, left, rank, values = dense.lstsq(a, b, relative)
    left = reshape(left, ()) if len(b.shape) == 1 and shape_of(left) == (1,) else left
    return x, left, convert(rank, np.int64), values


def pinv(
    a: Any, *, atol: Any = None, rtol: Any = None, return_rank: bool = False, check_finite: bool = True
) -> Value:
    """`scipy.linalg.pinv`."""
    if atol is not None or return_rank:
        raise refused("scipy.linalg.pinv with atol or return_rank", "has no rule", "Use rtol.")
    a = array_value(a)
    relative = max(a.shape[-2:]) * np.finfo(np.float64).eps if rtol is None else rtol
    return dense.pinv(a, rtol=relative)


def block_diag(*arrs: Any) -> Value:
    """`scipy.linalg.block_diag`."""
    blocks = [array_value(a) for a in arrs]
    blocks = [reshape(a, (1, -1)) if len(a.shape) < 2 else a for a in blocks]
    width = sum(a.shape[1] for a in blocks)
    rows, start = [], 0
    for a in blocks:
        rows.append(
            lax.pad(a, np.zeros((), dtype_of(a)), [(0, 0, 0), (start, width - start - a.shape[1], 0)])
        )
        start += a.shape[1]
    return concatenate(rows, 0)


def toeplitz(c: Any, r: Any = None) -> Value:
    """`scipy.linalg.toeplitz`."""
    c = ravel(array_value(c))
    r = UFUNCS[np.conjugate](c) if r is None else ravel(array_value(r))
    m, n = c.shape[0], r.shape[0]
    values = concatenate([getitem(c, slice(None, None, -1)), getitem(r, slice(1, None))])
    return getitem(values, m - 1 + np.arange(n) - np.arange(m)[:, None])


def circulant(c: Any) -> Value:
    """`scipy.linalg.circulant`."""
    c = ravel(array_value(c))
    n = c.shape[0]
    return getitem(c, (np.arange(n)[:, None] - np.arange(n)) % n)


# -- sums over samples -------------------------------------------------------------------------------------------


def cumulative_trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Value:
    """`scipy.integrate.cumulative_trapezoid`."""
    y = array_value(y)
    axis = axis_of(axis, len(y.shape))
    left, right = (getitem(y, (*(slice(None),) * axis, part)) for part in (slice(None, -1), slice(1, None)))
    width: Value = dx
    if x is not None:
        x = array_value(x)
        along = axis if len(x.shape) > 1 else 0
        x1, x0 = (getitem(x, (*(slice(None),) * along, p)) for p in (slice(1, None), slice(None, -1)))
        width = UFUNCS[np.subtract](x1, x0)
        if len(x.shape) == 1:
            width = reshape(width, tuple(-1 if k == axis else 1 for k in range(len(y.shape))))
    found = cumsum(divide(multiply(width, add(left, right)), 2.0), axis)
    if initial is None:
        return found
    shape = tuple(1 if k == axis else length for k, length in enumerate(found.shape))
    return concatenate([np.full(shape, initial, dtype_of(found)), found], axis)


def simpson(y: Any, x: Any = None, *, dx: float = 1.0, axis: int = -1) -> Value:
    """`scipy.integrate.simpson` at fixed places: the weights are SciPy's own."""
    if is_traced(x) or is_traced(dx):
        raise refused("scipy.integrate.simpson at traced places", "has no rule", "Use np.trapezoid.")
    y = array_value(y)
    axis = axis_of(axis, len(y.shape))
    if x is not None and np.ndim(x) > 1:
        raise refused(
            "scipy.integrate.simpson with places of several axes", "has no rule", "Give them as a vector."
        )
    weights = sys.modules["scipy.integrate"].simpson(np.eye(y.shape[axis]), x=x, dx=dx, axis=0)
    return contract(y, np.asarray(weights), (axis,), (0,))


def _cosines(name: str) -> Rule:
    """A transform by cosines or sines along one axis: by SciPy's own matrix of it, which is that of unit vectors."""

    def transform(
        x: Any,
        type: int = 2,
        n: Any = None,
        axis: int = -1,
        norm: Any = None,
        overwrite_x: bool = False,
        workers: Any = None,
        orthogonalize: Any = None,
    ) -> Value:
        x = array_value(x)
        axis = axis_of(axis, len(x.shape))
        length = x.shape[axis]
        if length > filters.MOST_SAMPLES:
            raise refused(f"scipy.fft.{name} of {length} samples", "is not followed", "Use scipy.fft.rfft.")
        plain = getattr(sys.modules["scipy.fft"], name)
        matrix = plain(np.eye(length), type, n, axis=0, norm=norm, orthogonalize=orthogonalize)
        return moveaxis(contract(matrix, x, (1,), (axis,)), 0, axis)

    return transform


def _cosines_of_many(name: str) -> Rule:
    """The same along several axes, one after the other."""
    along = _cosines(name)

    def transform(
        x: Any, type: int = 2, s: Any = None, axes: Any = None, norm: Any = None, *args: Any, **settings: Any
    ) -> Value:
        x = array_value(x)
        s = None if s is None else (list(s) if np.iterable(s) else [s])
        if axes is None:
            axes = range(-len(s), 0) if s is not None else range(len(x.shape))
        axes = list(axes) if np.iterable(axes) else [axes]
        for axis, n in zip(axes, s or [None] * len(axes), strict=True):
            x = along(x, type, n, axis, norm, *args, **settings)
        return x

    return transform


def _transform(name: str) -> Rule:
    rule = TRANSFORMS[getattr(np.fft, name)]

    def transform(x: Any, *args: Any, **settings: Any) -> Value:
        for harmless in ("overwrite_x", "workers", "plan"):
            settings.pop(harmless, None)
        return rule(x, *args[:3], **settings)

    return transform


_TRANSFORMS = (
    "fft", "ifft", "rfft", "irfft", "fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn", "hfft",
    "ihfft", "fftshift", "ifftshift",
)  # fmt: skip

_COSINES = ("dct", "idct", "dst", "idst")

_BY_MODULE: dict[str, dict[str, Rule]] = {
    "scipy.special": special.FUNCTIONS_BY_NAME | special_of_scipy.FUNCTIONS_BY_NAME,
    "scipy.linalg": {
        "solve": solve,
        "inv": inv,
        "det": det,
        "cholesky": cholesky,
        "cho_factor": cho_factor,
        "cho_solve": cho_solve,
        "solve_triangular": solve_triangular,
        "lu_factor": lu_factor,
        "lu_solve": lu_solve,
        "lu": lu,
        "qr": qr,
        "eigh": eigh,
        "eigvalsh": eigvalsh,
        "svd": svd,
        "svdvals": svdvals,
        "expm": expm,
        "norm": norm,
        "lstsq": lstsq,
        "pinv": pinv,
        "block_diag": block_diag,
        "toeplitz": toeplitz,
        "circulant": circulant,
    },
    "scipy.integrate": {
        "trapezoid": trapezoid,
        "cumulative_trapezoid": cumulative_trapezoid,
        "simpson": simpson,
        **quadrature.FUNCTIONS_BY_NAME,
        **initial_values.FUNCTIONS_BY_NAME,
    },
    "scipy.optimize": roots.FUNCTIONS_BY_NAME,
    "scipy.signal": filters.SIGNALS_BY_NAME,
    "scipy.ndimage": filters.IMAGES_BY_NAME,
    "scipy.fft": {
        **{name: _transform(name) for name in _TRANSFORMS},
        **{name: _cosines(name) for name in _COSINES},
        **{f"{name}n": _cosines_of_many(name) for name in _COSINES},
    },
    "scipy.spatial.distance": distances.FUNCTIONS_BY_NAME,
}

TAKE_FUNCTIONS: frozenset[Rule] = frozenset(
    rule for part in (quadrature, initial_values, roots) for rule in part.FUNCTIONS_BY_NAME.values()
)
