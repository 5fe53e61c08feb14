"""The drop-in names against SciPy itself, and SciPy's own tests run against them."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose

from steepest.compat.scipy import curve_fit, least_squares, minimize
from steepest.regressor import SteepestRegressor

X = np.linspace(0.0, 4.0, 30)
Y = 2.5 * np.exp(-1.3 * X) + 0.5 + 0.02 * np.random.default_rng(0).normal(size=X.size)

# Tests of SciPy's that fail on purpose; docs/how_to/compat.md gives the reason for each.
DIFFERENT = {
    "test_least_squares.py": [
        "test_nfev",
        "test_linear_operator",
        "test_small_tolerances_for_lm",
    ],
    "test_minpack.py": ["test_gh4555b"],
}

# Imports in SciPy's test files that name what is tested here.
REPLACED = {
    "test_least_squares.py": (
        r"from scipy\.optimize import least_squares, Bounds, minimize",
        "from steepest.compat.scipy import least_squares, minimize\nfrom scipy.optimize import Bounds",
    ),
    "test_minpack.py": (
        r"from scipy\.optimize\._minpack_py import leastsq, curve_fit, fixed_point",
        "from scipy.optimize._minpack_py import leastsq, fixed_point\nfrom steepest.compat.scipy import curve_fit",
    ),
}
CHOSEN = {"test_least_squares.py": "TestTRF or TestLM or not Test", "test_minpack.py": "TestCurveFit"}


def decay(x, a, b, c):
    return a * np.exp(-b * x) + c


@pytest.mark.parametrize("absolute", [True, False])
def test_curve_fit_gives_what_scipy_gives(absolute):
    ours = curve_fit(decay, X, Y, sigma=np.full(30, 0.02), absolute_sigma=absolute)
    theirs = scipy.optimize.curve_fit(
        decay, X, Y, sigma=np.full(30, 0.02), absolute_sigma=absolute, xtol=1e-14, ftol=1e-14
    )
    assert_allclose(ours[0], theirs[0], rtol=1e-6)
    assert_allclose(ours[1], theirs[1], rtol=1e-4)


def test_least_squares_gives_what_scipy_gives():
    arguments = {"loss": "soft_l1", "f_scale": 0.05, "bounds": ([0, 0, -1], [3, 2, 1])}
    ours = least_squares(lambda p: decay(X, *p) - Y, [1.0, 1.0, 0.0], **arguments)
    theirs = scipy.optimize.least_squares(
        lambda p: decay(X, *p) - Y, [1.0, 1.0, 0.0], xtol=1e-14, **arguments
    )
    assert set(theirs) <= set(ours)
    assert_allclose(ours.x, theirs.x, rtol=1e-5)
    assert_allclose(ours.cost, theirs.cost, rtol=1e-9)
    assert_allclose(ours.jac.T @ ours.jac, theirs.jac.T @ theirs.jac, rtol=1e-4)


@pytest.mark.parametrize("method", [None, "BFGS", "Nelder-Mead", "L-BFGS-B", "Newton-CG", "trust-exact"])
def test_minimize_takes_scipys_methods(method):
    found = minimize(scipy.optimize.rosen, np.array([-1.2, 1.0]), method=method)
    assert found.success and isinstance(found, scipy.optimize.OptimizeResult)
    assert_allclose(found.x, 1.0, rtol=1e-5)


def test_functions_that_cannot_be_traced_are_measured_as_in_scipy():
    def branching(x):
        return (float(x[0]) - 1.0) ** 2 + (x[1] + 2.0) ** 2 if x[1] > -10 else 0.0

    assert_allclose(minimize(branching, [3.0, 3.0]).x, [1.0, -2.0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DIFFERENT))
def test_scipys_own_tests_pass_but_for_what_differs_on_purpose(name, tmp_path):
    spec = importlib.util.find_spec("scipy.optimize.tests")
    if spec is None or spec.origin is None:
        pytest.skip("this SciPy comes without its tests")
    text = Path(spec.origin).with_name(name).read_text(encoding="utf-8")
    text, replaced = re.subn(REPLACED[name][0], REPLACED[name][1], text)
    assert replaced == 1
    (tmp_path / name).write_text(text, encoding="utf-8")
    skipped = " and ".join(f"not {test}" for test in DIFFERENT[name])
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",
            f"({CHOSEN[name]}) and {skipped}",
            name,
        ],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert run.returncode == 0, run.stdout[-6000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None and int(passed.group(1)) > 30


# -- scikit-learn ------------------------------------------------------------------------------------------

sklearn = pytest.importorskip("sklearn")


def test_a_regressor_fits_predicts_and_scores():
    model = SteepestRegressor(decay, {"a": 1.0, "b": 1.0, "c": 0.0}).fit(X[:, None], Y)
    assert_allclose(model.params_["b"], 1.3, atol=0.05)
    assert_allclose(model.predict(X[:3, None]), decay(X[:3], *model.result_.params))
    assert model.score(X[:, None], Y) > 0.99
    assert sklearn.base.clone(model).get_params()["start"] == {"a": 1.0, "b": 1.0, "c": 0.0}


def test_weights_of_zero_leave_rows_out():
    weight = np.where(X < 2.0, 1.0, 0.0)
    model = SteepestRegressor(decay, [1.0, 1.0, 0.0]).fit(X[:, None], Y, sample_weight=weight)
    half = SteepestRegressor(decay, [1.0, 1.0, 0.0]).fit(X[X < 2.0, None], Y[X < 2.0])
    assert_allclose(model.result_.params, half.result_.params, rtol=1e-8)


@pytest.mark.slow
def test_it_is_a_regressor_by_scikit_learns_own_checks():
    from sklearn.utils.estimator_checks import check_estimator

    check_estimator(SteepestRegressor())
