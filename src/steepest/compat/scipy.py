"""SciPy's `minimize`, `least_squares` and `curve_fit`, by steepest: change `scipy.optimize` to `steepest.compat.scipy`.

Arguments, their order and what comes back are SciPy's; derivatives are exact wherever the function can be traced,
and measured as in SciPy where it cannot. Where behaviour differs on purpose, `docs/how_to/compat.md` says so.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.optimize import Bounds, OptimizeResult, OptimizeWarning

from ..errors import TracingError
from ..fit import fit
from ..least_squares import least_squares as _least_squares
from ..minimize import minimize as _minimize
from ..results import Result
from ..uncertainty.covariance import covariance_of

__all__ = ["Bounds", "OptimizeResult", "OptimizeWarning", "curve_fit", "least_squares", "minimize"]

# SciPy's methods that use no derivative, or one that is here under another name; steepest chooses for them.
CHOSEN_HERE = {
    "nelder-mead",
    "powell",
    "cg",
    "newton-cg",
    "tnc",
    "cobyla",
    "cobyqa",
    "slsqp",
    "trust-constr",
    "trust-ncg",
    "trust-krylov",
}

LEAST_SQUARES_METHODS = ("trf", "dogbox", "lm")
LSMR_OPTIONS = {"damp", "atol", "btol", "conlim", "maxiter", "show", "regularize"}
CURVE_FIT_METHODS = ("lm", "trf", "dogbox")


def minimize(
    fun: Any,
    x0: Any,
    args: Any = (),
    method: Any = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResult:
    """`scipy.optimize.minimize`; `hessp` is not needed and left aside.

    >>> minimize(lambda x: (x[0] - 1) ** 2, [3.0]).x
    array([1.])
    """
    if method is None or (isinstance(method, str) and method.lower() in CHOSEN_HERE):
        method = "auto"
    wishes = {key: value for key, value in dict(options or {}).items() if method != "auto" or key in _COMMON}
    x0 = np.atleast_1d(np.asarray(x0))
    if isinstance(jac, (bool, np.bool_)):
        jac = True if jac else None
    if not (callable(jac) or jac is True) or not callable(hess):
        hess = None
    given: dict[str, Any] = {
        "jac": jac,
        "hess": hess,
        "bounds": bounds,
        "constraints": constraints or None,
        "tol": tol,
        "callback": callback,
        "options": wishes,
    }
    arguments = args if isinstance(args, tuple) else (args,)
    found = _or_measured(lambda **more: _minimize(fun, x0, arguments, method, **given, **more), jac)
    result = OptimizeResult(found)
    result.x = np.atleast_1d(np.asarray(found.x, dtype=np.float64))
    result.jac = np.atleast_1d(np.asarray(found.jac, dtype=np.float64))
    return result


# Options that every method of ours knows.
_COMMON = {"maxiter", "maxfun", "maxfev", "gtol", "ftol", "xtol", "disp", "return_all"}


def _or_measured(call: Callable[..., Any], jac: Any = None) -> Any:
    """The call with exact derivatives; with measured ones where the function cannot be traced."""
    try:
        return call()
    except TracingError:
        if callable(jac) or jac is True:
            raise
        return call(derivatives="numeric")


def least_squares(
    fun: Any,
    x0: Any,
    jac: Any = "2-point",
    bounds: Any = (-np.inf, np.inf),
    method: str = "trf",
    ftol: float | None = 1e-8,
    xtol: float | None = 1e-8,
    gtol: float | None = 1e-8,
    x_scale: Any = None,
    loss: Any = "linear",
    f_scale: float = 1.0,
    diff_step: Any = None,
    tr_solver: str | None = None,
    tr_options: Mapping[str, Any] | None = None,
    jac_sparsity: Any = None,
    max_nfev: int | None = None,
    verbose: int = 0,
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    callback: Callable[..., Any] | None = None,
    workers: Any = None,
) -> OptimizeResult:
    """`scipy.optimize.least_squares`, walked to the end of double precision whatever the tolerances.

    `x_scale`, `diff_step`, `tr_solver`, `tr_options`, `jac_sparsity` and `workers` steer what is not needed here.

    >>> least_squares(lambda x: [10 * (x[1] - x[0] ** 2), 1 - x[0]], [-1.2, 1.0]).x.round(8)
    array([1., 1.])
    """
    if method not in LEAST_SQUARES_METHODS:
        raise ValueError(f"`method` must be one of {', '.join(LEAST_SQUARES_METHODS)}.")
    if not (callable(jac) or jac in ("2-point", "3-point", "cs", None)):
        raise ValueError("`jac` must be '2-point', '3-point', 'cs' or callable.")
    if np.iscomplexobj(x0):
        raise ValueError("`x0` must be real.")
    x0 = np.atleast_1d(np.asarray(x0, dtype=np.float64))
    if x0.ndim > 1:
        raise ValueError("`x0` must have at most 1 dimension.")
    if max_nfev is not None and max_nfev <= 0:
        raise ValueError("`max_nfev` must be None or positive integer.")
    _check_the_rest(method, x_scale, x0.size, tr_solver, tr_options, jac_sparsity, loss, (ftol, xtol, gtol))
    lower, upper = _box(bounds, x0.size)
    if method == "lm" and (np.isfinite(lower).any() or np.isfinite(upper).any()):
        raise ValueError("Method 'lm' doesn't support bounds.")
    if ((x0 < lower) | (x0 > upper)).any():
        raise ValueError("`x0` is infeasible.")
    arguments = args if isinstance(args, tuple) else tuple(args)
    named = dict(kwargs or {})

    def residual(x: Any, *rest: Any) -> Any:
        return np.atleast_1d(fun(x, *rest, **named))

    supplied = None
    if callable(jac):

        def supplied(x: Any, *rest: Any) -> Any:
            found = jac(x, *rest, **named)
            if type(found).__module__.startswith("scipy.sparse.linalg"):
                return found
            return found.tocsr() if hasattr(found, "tocsr") else np.atleast_2d(found)

    started = np.asarray(fun(x0, *arguments, **named))
    if started.ndim > 1:
        raise ValueError(f"`fun` must return at most 1-d array_like. f0.shape: {started.shape}")
    if not np.isfinite(started).all():
        raise ValueError("Residuals are not finite in the initial point.")
    if method == "lm" and started.size < x0.size:
        raise ValueError(
            "Method 'lm' doesn't work when the number of residuals is less than the number of variables."
        )
    if jac_sparsity is not None and np.shape(jac_sparsity) not in ((), (started.size, x0.size)):
        raise ValueError("`jac_sparsity` has wrong shape.")
    if supplied is not None:
        first = supplied(x0, *arguments)
        if type(first).__module__.startswith("scipy.sparse.linalg"):
            raise ValueError(
                "a Jacobian given as a LinearOperator is not supported; give an array or a sparse array"
            )
        if method == "lm" and hasattr(first, "tocsr"):
            raise ValueError("method='lm' does not support `jac` returning sparse matrices.")
        if tr_solver == "exact" and hasattr(first, "tocsr"):
            raise ValueError("tr_solver='exact' works only with dense Jacobian matrices.")
        if first.shape != (np.atleast_1d(started).size, x0.size):
            raise ValueError(
                f"The return value of `jac` has wrong shape: expected {(np.atleast_1d(started).size, x0.size)}, "
                f"actual {first.shape}."
            )
    found: Result = _or_measured(
        lambda **more: _least_squares(
            residual,
            x0,
            arguments,
            jac=supplied,
            bounds=Bounds(lower, upper),
            loss=loss,
            f_scale=f_scale,
            budget=max_nfev,
            callback=callback,
            **more,
        ),
        supplied,
    )
    x = np.atleast_1d(np.asarray(found.x, dtype=np.float64))
    value = found.residual
    gradient = np.atleast_1d(found.jac) / 2.0
    at_lower, at_upper = (x <= lower) & (lower > -np.inf), (x >= upper) & (upper < np.inf)
    pushed = np.where((at_lower & (gradient > 0)) | (at_upper & (gradient < 0)), 0.0, gradient)
    stopped = {"out of budget": 0, "stopped": -2}.get(str(found.stop), 1)
    result = OptimizeResult(
        x=x,
        cost=found.fun / 2.0,
        fun=value,
        jac=_scaled_jacobian(found, value, loss, f_scale),
        grad=gradient,
        optimality=float(np.abs(pushed).max(initial=0.0)),
        active_mask=np.where(at_lower, -1, np.where(at_upper, 1, 0)),
        nfev=found.nfev,
        njev=None if method == "lm" else found.njev,
        nit=found.nit,
        status=stopped,
        message=found.message,
        success=bool(found.success),
        verdict=found.verdict,
        digits=found.digits,
        evidence=found.evidence,
    )
    return result


def _check_the_rest(
    method: str,
    x_scale: Any,
    n: int,
    tr_solver: Any,
    tr_options: Any,
    jac_sparsity: Any,
    loss: Any,
    tolerances: tuple[Any, Any, Any],
) -> None:
    """Refuse what SciPy refuses, though most of it is not needed here."""
    if tr_solver not in (None, "exact", "lsmr"):
        raise ValueError("`tr_solver` must be None, 'exact' or 'lsmr'.")
    if isinstance(x_scale, str) and x_scale != "jac":
        raise ValueError("`x_scale` must be 'jac' or array_like with positive numbers.")
    if x_scale is not None and not isinstance(x_scale, str):
        scale = np.asarray(x_scale)
        if (
            scale.dtype.kind not in "fiu"
            or not (np.isfinite(scale) & (scale > 0)).all()
            or scale.size not in (1, n)
        ):
            raise ValueError("`x_scale` must be 'jac' or array_like with positive numbers.")
    least = np.finfo(np.float64).eps
    given = [tolerance for tolerance in tolerances if tolerance is not None]
    if method == "lm" and any(tolerance is None or tolerance < least for tolerance in tolerances):
        raise ValueError("All tolerances must be higher than machine epsilon for method 'lm'.")
    if tr_solver == "lsmr" and set(tr_options or {}) - LSMR_OPTIONS:
        raise TypeError(f"lsmr() got an unexpected keyword argument in {sorted(tr_options or {})}")
    if not any(tolerance >= least for tolerance in given):
        raise ValueError("At least one of the tolerances must be higher than machine epsilon.")
    if method == "lm" and loss != "linear":
        raise ValueError("method='lm' supports only 'linear' loss function.")
    if method == "lm" and jac_sparsity is not None:
        raise ValueError("method='lm' does not support `jac_sparsity`.")
    if tr_solver == "exact" and jac_sparsity is not None:
        raise ValueError("tr_solver='exact' is incompatible with `jac_sparsity`.")


def _scaled_jacobian(found: Result, residual: np.ndarray, loss: Any, f_scale: float) -> Any:
    """SciPy's `jac` for robust losses: the Jacobian scaled so that JᵀJ models the Hessian of the cost."""
    from ..losses import LEAST_BEND, loss_of

    rho = loss_of(loss)
    if rho is None:
        return found.jacobian
    z = (residual / f_scale) ** 2
    _, slope, bend = rho(z)
    root = np.sqrt(np.maximum(slope + 2.0 * bend * z, LEAST_BEND))
    jacobian = found.jacobian
    return (
        jacobian.multiply(root[:, None]).tocsr() if hasattr(jacobian, "tocsr") else jacobian * root[:, None]
    )


def _box(bounds: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(bounds, Bounds):
        lower, upper = bounds.lb, bounds.ub
    else:
        try:
            lower, upper = bounds
        except (TypeError, ValueError):
            raise ValueError("`bounds` must contain 2 elements.") from None
    lower, upper = (np.asarray(end, dtype=np.float64) for end in (lower, upper))
    for end in (lower, upper):
        if end.ndim > 0 and end.shape != (n,):
            raise ValueError("Inconsistent shapes between bounds and `x0`.")
    lower, upper = (np.broadcast_to(end, (n,)).astype(np.float64) for end in (lower, upper))
    if not (lower < upper).all():
        raise ValueError("Each lower bound must be strictly less than each upper bound.")
    return lower, upper


def curve_fit(
    f: Callable[..., Any],
    xdata: Any,
    ydata: Any,
    p0: Any = None,
    sigma: Any = None,
    absolute_sigma: bool = False,
    check_finite: bool | None = None,
    bounds: Any = (-np.inf, np.inf),
    method: str | None = None,
    jac: Any = None,
    *,
    full_output: bool = False,
    nan_policy: str | None = None,
    **kwargs: Any,
) -> Any:
    """`scipy.optimize.curve_fit`: (popt, pcov), with `full_output` also (infodict, mesg, ier).

    Raises RuntimeError where no minimum is found, ValueError for unusable arguments.

    >>> x = np.linspace(0, 1, 9)
    >>> popt, pcov = curve_fit(lambda x, a, b: a * np.exp(-b * x), x, 2 * np.exp(-3 * x))
    >>> popt.round(8)
    array([2., 3.])
    """
    n = _count(f, p0)
    lower, upper = _box(bounds, n)
    bounded = bool(np.isfinite(lower).any() or np.isfinite(upper).any())
    if method is None:
        method = "trf" if bounded else "lm"
    if method not in CURVE_FIT_METHODS:
        raise ValueError(f"`method` must be one of {', '.join(CURVE_FIT_METHODS)}.")
    if method == "lm" and bounded:
        raise ValueError("Method 'lm' only works for unconstrained problems. Use 'trf' instead.")
    if nan_policy not in (None, "raise", "omit"):
        raise ValueError(
            f"`nan_policy={nan_policy!r}` is not supported by this function."
            if nan_policy == "propagate"
            else "nan_policy must be one of {None, 'raise', 'omit'}"
        )
    x, y = _data(xdata, ydata, check_finite is not False and nan_policy is None)
    if y.size == 0:
        raise ValueError("`ydata` must not be empty!")
    if nan_policy == "raise" and (np.isnan(y).any() or (isinstance(x, np.ndarray) and np.isnan(x).any())):
        raise ValueError("The input contains nan values")
    if y.ndim == 0:
        y = np.broadcast_to(y, np.shape(f(x, *np.ones(n)))).copy()
    if method == "lm" and n > y.size:
        raise TypeError(
            f"The number of func parameters={n} must not exceed the number of data points={y.size}"
        )
    start = _begin(lower, upper, n) if p0 is None else np.atleast_1d(np.asarray(p0, dtype=np.float64))
    if ((start < lower) | (start > upper)).any():
        raise ValueError("Initial guess is outside of provided bounds")
    if "args" in kwargs:
        raise ValueError("'args' is not a supported keyword argument.")
    if sigma is not None:
        sigma = np.asarray(sigma, dtype=np.float64)
        if sigma.size not in (1, y.size) and sigma.shape != (y.size, y.size):
            raise ValueError("`sigma` has incorrect shape.")
    budget = kwargs.get("maxfev") or kwargs.get("max_nfev")
    names = [f"p{k}" for k in range(n)]

    def model(x: Any, *p: Any) -> Any:
        return f(x, *p)

    found = _or_measured(
        lambda **more: fit(
            model,
            x,
            y,
            start.tolist(),
            sigma=sigma,
            noise="known" if absolute_sigma and sigma is not None else "unknown",
            bounds=dict(zip(names, zip(lower.tolist(), upper.tolist(), strict=True), strict=True)),
            nan="omit" if nan_policy == "omit" or check_finite is False else "raise",
            loss=kwargs.get("loss", "linear"),
            f_scale=kwargs.get("f_scale", 1.0),
            budget=int(budget) if budget else None,
            **more,
        )
    )
    if not found.success:
        raise RuntimeError(f"Optimal parameters not found: {found.message}")
    covariance = _covariance(found, absolute_sigma and sigma is not None)
    if not full_output:
        return found.params, covariance
    info = {
        "nfev": found.nfev,
        "fvec": -found.weighted_residuals,
        "fjac": None,
        "ipvt": None,
        "qtf": None,
    }
    return found.params, covariance, info, found.message, 1


def _covariance(found: Any, absolute: bool) -> np.ndarray:
    """SciPy's: infinite throughout, with a warning, where some of it is undetermined; bounds are not felt."""
    _, J = found._setting.residuals.both(found._z)
    whole = covariance_of(J, 1.0, found.names)
    degrees = found.points - found.params.size
    if whole.determined and (absolute or degrees > 0):
        return whole.matrix if absolute else whole.matrix * found.cost / degrees
    warnings.warn(
        "Covariance of the parameters could not be estimated", category=OptimizeWarning, stacklevel=3
    )
    return np.full((found.params.size,) * 2, np.inf)


def _count(f: Callable[..., Any], p0: Any) -> int:
    if p0 is not None:
        return int(np.atleast_1d(p0).size)
    parameters = list(inspect.signature(f).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if any(p.kind == p.VAR_POSITIONAL for p in parameters) or len(positional) < 2:
        raise ValueError("Unable to determine number of fit parameters.")
    return len(positional) - 1


def _begin(lower: np.ndarray, upper: np.ndarray, n: int) -> np.ndarray:
    """SciPy's start: ones, moved inside the bounds."""
    start = np.ones(n)
    both = np.isfinite(lower) & np.isfinite(upper)
    start[both] = 0.5 * (lower[both] + upper[both])
    only_lower, only_upper = np.isfinite(lower) & ~both, np.isfinite(upper) & ~both
    start[only_lower] = lower[only_lower] + 1.0
    start[only_upper] = upper[only_upper] - 1.0
    return start


def _data(xdata: Any, ydata: Any, check: bool) -> tuple[Any, np.ndarray]:
    y = np.asarray(ydata, dtype=np.float64)
    if check and not np.isfinite(y).all():
        raise ValueError("array must not contain infs or NaNs")
    if isinstance(xdata, (list, tuple, np.ndarray)):
        xdata = np.asarray(xdata, dtype=np.float64)
        if check and not np.isfinite(xdata).all():
            raise ValueError("array must not contain infs or NaNs")
    return xdata, y
