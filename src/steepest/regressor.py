"""A scikit-learn regressor around `fit`: any model function in pipelines, grid searches and cross-validation."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import InputError
from .fit import fit
from .optional import optional

# scikit-learn's base classes cannot be imported with steepest; the class is made when first asked for.
_made: type | None = None


def __getattr__(name: str) -> Any:
    if name != "SteepestRegressor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    global _made
    if _made is None:
        _made = _make()
    return _made


def linear(X: Any, **parameters: Any) -> Any:
    """intercept + Σ weight_k·column_k: what a regressor without a model of its own fits."""
    total = parameters["intercept"]
    for k in range(len(parameters) - 1):
        total = total + parameters[f"weight_{k}"] * X[k]
    return total


def _make() -> type:
    base: Any = optional("sklearn.base", feature="SteepestRegressor", extra="sklearn")
    validation: Any = optional("sklearn.utils.validation", feature="SteepestRegressor", extra="sklearn")

    class SteepestRegressor(base.RegressorMixin, base.BaseEstimator):
        """Least squares of `model(x, a, b, …)` on the columns of X.

        With one column the model is given it as an array (m,); with several, a tuple of arrays. `model` None is
        linear in all columns. `start`, `bounds`, `fixed`, `tied`, `loss`, `f_scale`, `seed` as for `fit`.

        After `fit`: `result_` (the `FitResult`), `params_` (dict by name), `n_features_in_`.
        """

        def __init__(
            self,
            model: Any = None,
            start: Any = None,
            *,
            bounds: Any = None,
            fixed: Any = None,
            tied: Any = None,
            loss: Any = "linear",
            f_scale: float = 1.0,
            seed: int = 0,
        ) -> None:
            self.model = model
            self.start = start
            self.bounds = bounds
            self.fixed = fixed
            self.tied = tied
            self.loss = loss
            self.f_scale = f_scale
            self.seed = seed

        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            """Fit to rows of X (m, k) and y (m,); `sample_weight` (m,) weighs the squares."""
            X, y = validation.validate_data(self, X, y, y_numeric=True, dtype=np.float64)
            sigma = None
            if sample_weight is not None:
                weight = np.asarray(sample_weight, dtype=np.float64)
                weight = np.broadcast_to(weight, y.shape)
                if (weight < 0).any():
                    raise InputError("sample_weight holds negative numbers")
                used = weight > 0
                if not used.any():
                    raise InputError("every sample_weight is zero: no row is left to fit")
                X, y, sigma = X[used], y[used], 1.0 / np.sqrt(weight[used])
            model, start = self.model, self.start
            if model is None:
                model, start = self._linear(X.shape[1], start)
            self.result_ = fit(
                model,
                self._places(X),
                y,
                start,
                sigma=sigma,
                bounds=self.bounds,
                fixed=self.fixed,
                tied=self.tied,
                loss=self.loss,
                f_scale=self.f_scale,
                seed=self.seed,
            )
            self.params_ = dict(self.result_.values)
            self._structure = self.result_._setting.assemble(self.result_.params)
            self._function = self.result_._setting.model.function
            return self

        def __getstate__(self) -> Any:
            """What is saved: the answer without the traces that it was found with."""
            state = dict(super().__getstate__())
            state.pop("result_", None)
            return state

        def predict(self, X: Any) -> np.ndarray:
            """The model at rows of X, shape (rows,)."""
            validation.check_is_fitted(self)
            X = validation.validate_data(self, X, reset=False, dtype=np.float64)
            value = np.asarray(self._function(self._places(X), **self._structure), dtype=np.float64)
            return np.array(np.broadcast_to(value.ravel(), (X.shape[0],)))

        def _linear(self, columns: int, start: Any) -> tuple[Any, Any]:
            from .models import Model

            names = ("intercept", *(f"weight_{k}" for k in range(columns)))
            return Model(linear, names, "linear"), start or dict.fromkeys(names, 0.0)

        def _places(self, X: np.ndarray) -> Any:
            if self.model is not None and X.shape[1] == 1:
                return np.ascontiguousarray(X[:, 0])
            return tuple(np.ascontiguousarray(column) for column in X.T)

    SteepestRegressor.__module__ = __name__
    SteepestRegressor.__qualname__ = "SteepestRegressor"
    return SteepestRegressor
