"""steepest: the lowest point of a cost by its exact slope, and an honest word on what was found."""

from . import models, plots, report, solvers
from .argmin import argmin
from .budget import Budget
from .derivative import derivative, gradient, hessian, hvp, jacobian, symbolic
from .diagnose import Diagnosis, diagnose
from .doctor.finding import Finding
from .errors import (
    ExpressionError,
    InputError,
    MissingDependencyError,
    NotAMinimumError,
    SteepestError,
    TracingError,
)
from .fit import fit
from .fit_many import BatchResult, fit_many
from .fitting.result import FitResult
from .least_squares import least_squares
from .minimize import minimize
from .minimize_many import ManyResult, minimize_many
from .results import Result, Slope
from .slope import slope
from .train import train
from .trained import TrainResult
from .verdict.words import Evidence, Verdict
from .verify import Verification, verify

__version__ = "0.1.0"

__all__ = [
    "BatchResult",
    "Budget",
    "Diagnosis",
    "Evidence",
    "ExpressionError",
    "Finding",
    "FitResult",
    "InputError",
    "ManyResult",
    "MissingDependencyError",
    "NotAMinimumError",
    "Result",
    "Slope",
    "SteepestError",
    "TracingError",
    "TrainResult",
    "Verdict",
    "Verification",
    "__version__",
    "argmin",
    "derivative",
    "diagnose",
    "fit",
    "fit_many",
    "gradient",
    "hessian",
    "hvp",
    "jacobian",
    "least_squares",
    "minimize",
    "minimize_many",
    "models",
    "plots",
    "report",
    "slope",
    "solvers",
    "symbolic",
    "train",
    "verify",
]
