"""The public names are a promise: one that goes missing breaks somebody, one that appears must be meant."""

import inspect

import numpy as np
import pytest

import steepest
from steepest import Verdict

PUBLIC = [
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

WORDS = [
    "global minimum",
    "local minimum",
    "flat minimum",
    "minimum at a kink",
    "saddle point",
    "plateau",
    "infimum not attained",
    "unbounded below",
    "no slope",
    "wrong gradient",
    "noise floor",
    "not finite",
    "out of budget",
    "stopped",
]

MINIMIZE = (
    *(
        "fun",
        "x0",
        "args",
        "method",
        "jac",
        "hess",
        "bounds",
        "constraints",
        "fixed",
        "tol",
        "budget",
        "callback",
    ),
    *("options", "seed", "derivatives", "record", "starts"),
)


def test_the_public_names_are_these():
    assert sorted(steepest.__all__) == PUBLIC
    assert all(hasattr(steepest, name) for name in PUBLIC)


def test_the_words_of_the_verdict_are_these_and_compare_as_strings():
    assert [str(word) for word in Verdict] == WORDS
    assert all(Verdict(word) == word for word in WORDS)


def test_exactly_the_first_four_words_mean_a_minimum():
    assert [word for word in WORDS if Verdict(word).is_minimum] == WORDS[:4]


def test_minimize_takes_its_arguments_in_scipys_order():
    import scipy.optimize

    ours = inspect.signature(steepest.minimize).parameters
    assert tuple(ours) == MINIMIZE
    theirs = list(inspect.signature(scipy.optimize.minimize).parameters)
    shared = [name for name in theirs[:4] if name in ours]
    assert list(ours)[: len(shared)] == shared
    assert all(ours[name].kind is inspect.Parameter.KEYWORD_ONLY for name in MINIMIZE[4:])


@pytest.mark.parametrize("name", [name for name in PUBLIC if not name.startswith("_")])
def test_every_public_name_is_documented(name):
    assert inspect.getdoc(getattr(steepest, name))


@pytest.mark.parametrize("name", ["InputError", "ExpressionError"])
def test_input_errors_can_be_caught_as_value_errors(name):
    assert issubclass(getattr(steepest, name), ValueError)
    assert issubclass(getattr(steepest, name), steepest.SteepestError)


def test_a_result_has_what_scipys_has():
    import scipy.optimize

    def cost(x):
        return np.sum((x - 1) ** 2)

    theirs = scipy.optimize.minimize(cost, np.zeros(2))
    ours = steepest.minimize(cost, np.zeros(2))
    for name in ("x", "fun", "jac", "success", "status", "message", "nit", "nfev", "njev"):
        assert np.shape(getattr(ours, name)) == np.shape(theirs[name])
        assert name in ours
