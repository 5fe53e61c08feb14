"""Fits against closed forms, certified values, other parametrisations of the same fit, and SciPy."""

from __future__ import annotations

import json
import time

import mpmath
import numpy as np
import polars
import pytest
import scipy.optimize
import scipy.stats
from numpy.testing import assert_allclose, assert_array_equal

from steepest import InputError, NotAMinimumError, Verdict, fit
from steepest.reference_problems import nist

from .decays import START, T, decay, noisy


def straight(x, slope, intercept):
    return slope * x + intercept


def closed_form(X, y, sigma, known):
    """Weighted linear least squares by the normal equations (Aitken): parameters and covariance."""
    W = np.diag(1.0 / sigma**2)
    C = np.linalg.inv(X.T @ W @ X)
    p = C @ X.T @ W @ y
    r = y - X @ p
    return p, C if known else C * (r @ W @ r) / (y.size - X.shape[1])


@pytest.mark.parametrize("noise", ["known", "unknown"])
def test_a_straight_line_has_the_parameters_and_covariance_of_the_closed_form(noise):
    rng = np.random.default_rng(3)
    x, sigma = np.linspace(-1, 4, 25), rng.uniform(0.1, 0.5, 25)
    y = 2.0 * x - 1.0 + sigma * rng.normal(size=25)
    params, covariance = fit(straight, x, y, [0.0, 0.0], sigma=sigma, noise=noise)
    expected, C = closed_form(np.column_stack([x, np.ones(25)]), y, sigma, noise == "known")
    assert_allclose(params, expected, rtol=1e-12)
    assert_allclose(covariance, C, rtol=1e-10)


def test_a_linear_model_is_known_to_have_no_lower_minimum():
    found = fit(straight, T, 2 * T + np.sin(9 * T), [1.0, 0.0])
    assert found.verdict is Verdict.GLOBAL_MINIMUM


def test_a_covariance_matrix_of_the_measurements_weighs_them():
    """Generalised least squares (Aitken 1936)."""
    rng = np.random.default_rng(5)
    x = np.linspace(0, 1, 12)
    root = rng.normal(size=(12, 12)) + 3 * np.eye(12)
    S = root @ root.T
    y = 1.5 * x + 0.3 + root @ rng.normal(size=12)
    found = fit(straight, x, y, [1.0, 0.0], sigma=S, noise="known")
    X = np.column_stack([x, np.ones(12)])
    C = np.linalg.inv(X.T @ np.linalg.solve(S, X))
    assert_allclose(found.params, C @ X.T @ np.linalg.solve(S, y), rtol=1e-10)
    assert_allclose(found.covariance, C, rtol=1e-9)


def test_points_left_out_leave_the_covariance_of_the_others():
    rng = np.random.default_rng(6)
    x = np.linspace(0, 1, 12)
    root = rng.normal(size=(12, 12)) + 3 * np.eye(12)
    S, y = root @ root.T, 1.5 * x + rng.normal(size=12)
    keep = np.arange(12) % 3 != 0
    masked = fit(straight, x, y, [1.0, 0.0], sigma=S, mask=keep)
    alone = fit(straight, x[keep], y[keep], [1.0, 0.0], sigma=S[np.ix_(keep, keep)])
    assert_allclose(masked.params, alone.params, rtol=1e-10)


@pytest.mark.parametrize("name", ["Misra1a", "Gauss1", "MGH09", "Thurber", "BoxBOD", "Rat43", "Nelson"])
@pytest.mark.parametrize("far", [True, False])
def test_certified_parameters_and_errors_are_reached(name, far):
    data = nist.load(name)
    start = dict(zip(data.names, data.starts[0 if far else 1], strict=True))
    found = fit(data.model, data.x, data.y, start)
    assert found.success and found.valid
    assert_allclose(found.params, data.parameters, rtol=1e-7)
    assert_allclose(np.asarray(found.errors), data.standard_errors, rtol=1e-5)
    assert_allclose(found.chi2, data.residual_sum, rtol=1e-8)
    true_digits = -np.log10(np.maximum(np.abs(found.params / data.parameters - 1), 1e-11))
    assert (np.minimum(found.digits, 11) <= true_digits + 1).all()


def test_columns_of_a_frame_are_named():
    frame = polars.DataFrame({"time": T, "signal": noisy(), "error": np.full(T.size, 0.05)})
    found = fit(decay, "time", "signal", START, sigma="error", data=frame, noise="known")
    assert_allclose(found.params, fit(decay, T, noisy(), START).params, rtol=1e-9)
    with pytest.raises(InputError, match="did you mean 'signal'"):
        fit(decay, "time", "signl", START, data=frame)


def test_a_table_on_disk_is_read(tmp_path):
    path = tmp_path / "data.csv"
    polars.DataFrame({"t": T, "y": noisy()}).write_csv(path)
    assert_allclose(
        fit("a*exp(-b*t)+c", "t", "y", START, data=path).params,
        fit(decay, T, noisy(), START).params,
        rtol=1e-9,
    )


def test_points_that_are_not_finite_are_named_or_left_out():
    y = noisy()
    y[7] = np.nan
    with pytest.raises(InputError, match="point 7"):
        fit(decay, T, y, START)
    keep = np.arange(T.size) != 7
    clean = fit(decay, T[keep], y[keep], START)
    assert_allclose(fit(decay, T, y, START, nan="omit").params, clean.params, rtol=1e-10)
    assert_allclose(fit(decay, T, noisy(), START, mask=keep).params, clean.params, rtol=1e-10)


def test_bounds_hold_and_the_parameter_on_one_has_no_error_bar():
    found = fit(decay, T, noisy(), START, bounds={"b": (None, 0.9)})
    assert found.values["b"] == 0.9
    assert "bound" in found.reasons["b"] and np.isnan(found.errors["b"])
    held = fit(decay, T, noisy(), START, fixed={"b": 0.9})
    assert_allclose(found.params, held.params, rtol=1e-8)
    assert found.success and not found.valid


def test_data_sets_share_parameters_or_keep_their_own():
    """A shared slope with an intercept for each set is analysis of covariance, which has a closed form."""
    rng = np.random.default_rng(8)
    x = [np.linspace(0, 1, 9), np.linspace(2, 3, 14)]
    y = [2 * x[0] + 1 + 0.1 * rng.normal(size=9), 2 * x[1] - 4 + 0.1 * rng.normal(size=14)]
    found = fit(straight, x, y, {"slope": 0.0, "intercept": 0.0}, separate=["intercept"])
    X = np.zeros((23, 3))
    X[:, 0] = np.concatenate(x)
    X[:9, 1] = X[9:, 2] = 1.0
    p, C = closed_form(X, np.concatenate(y), np.ones(23), known=False)
    assert found.names == ("slope", "intercept[0]", "intercept[1]")
    assert_allclose(found.params, p, rtol=1e-11)
    assert_allclose(found.covariance, C, rtol=1e-9)
    assert_allclose(found.predict(x[1], dataset=1), X[9:] @ p, rtol=1e-11)


def test_named_data_sets_without_separate_parameters_are_one_long_set():
    y = noisy()
    halves = fit(decay, {"a": T[:20], "b": T[20:]}, {"a": y[:20], "b": y[20:]}, START)
    assert_allclose(halves.params, fit(decay, T, y, START).params, rtol=1e-9)


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy", "arctan"])
def test_robust_losses_agree_with_scipy(loss):
    y = noisy()
    y[::9] += 2.0
    found = fit(decay, T, y, START, loss=loss, f_scale=0.1)
    peer = scipy.optimize.least_squares(
        lambda p: decay(T, *p) - y, found.params, loss=loss, f_scale=0.1, xtol=1e-15, ftol=1e-15, gtol=1e-14
    )
    assert found.success
    assert_allclose(found.cost, 2 * peer.cost, rtol=1e-10)
    assert_allclose(found.params, peer.x, rtol=1e-5)


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy", "arctan"])
def test_errors_with_a_robust_loss_are_the_scatter_of_the_answers(loss):
    """Lines through 50 points of which four are wild, 80 times over: SciPy's errors are up to six times the scatter."""
    x = np.linspace(0.0, 10.0, 50)
    answers, errors, inside = [], [], 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        y = 2.0 * x + 1.0 + 0.2 * rng.normal(size=50)
        wild = rng.choice(50, 4, replace=False)
        y[wild] += rng.choice([-1.0, 1.0], 4) * rng.uniform(20.0, 40.0, 4)
        found = fit("m*x + c", x, y, [1.9, 1.1], loss=loss, f_scale=0.3, starts=0)
        answers.append(found.params)
        errors.append(np.asarray(found.errors))
        low, high = found.intervals()["m"]
        inside += low < 2.0 < high
    assert_allclose(np.median(errors, axis=0), np.std(answers, axis=0), rtol=0.25)
    assert 0.85 * 80 <= inside < 80


def test_the_error_of_hubers_mean_is_that_of_the_textbook():
    """sqrt(Σψ² / (m - 1) · m) / Σψ' for ψ cut at ±1 (Huber & Ronchetti 2009, section 7.6), J being all ones."""
    y = np.array([0.1, -0.4, 0.3, 0.8, -0.2, 9.0, -7.0, 0.5])
    found = fit("c + 0*x", np.zeros(8), y, [0.0], loss="huber", f_scale=1.0)
    r = y - found.params[0]
    pull, held = np.clip(r, -1.0, 1.0), np.abs(r) < 1.0
    assert abs(pull.sum()) < 1e-9
    assert_allclose(found.errors["c"], np.sqrt(np.sum(pull**2) / 7 * 8) / held.sum(), rtol=1e-9)


def test_the_smallest_curvature_is_told_beyond_the_rounding_of_the_largest():
    """Of diag(82, 6e-42) with a coupling: one over the largest eigenvalue of the inverse, in 60 digits."""
    x = np.linspace(0.0, 5e-9, 40)
    y = 3e-12 * np.exp(-1.2e9 * x) + 5e-13 + 2e-14 * np.random.default_rng(7).normal(size=40)
    found = fit("a*exp(-b*x) + c", x, y, [1e-12, 1e9, 0.0])
    (told,) = [item.measured for item in found.evidence if item.name == "smallest curvature"]
    a, b, _ = found.params
    with mpmath.workdps(60):
        H = mpmath.zeros(3)
        for place, misfit in zip(x.tolist(), (-found.residuals).tolist(), strict=True):
            fall = mpmath.exp(-mpmath.mpf(b) * place)
            slope = [fall, -a * place * fall, mpmath.mpf(1)]
            bend = {(0, 1): -place * fall, (1, 0): -place * fall, (1, 1): a * place**2 * fall}
            for i in range(3):
                for j in range(3):
                    H[i, j] += 2 * (slope[i] * slope[j] + misfit * bend.get((i, j), 0))
        exact = min(mpmath.eigsy(H, eigvals_only=True))
    assert told > 0
    assert_allclose(told, float(exact), rtol=1e-6)
    assert "-" not in found.message.split("positive (")[1].split(" to ")[0].replace("e-", "e")


@pytest.mark.parametrize("sigma", [None, np.array([0.1, 0.3, 0.2, 1.7, 0.6])])
@pytest.mark.parametrize("level", [3.0, 0.1])
def test_measurements_that_do_not_vary_have_no_share_explained(level, sigma):
    found = fit("a*x + b", np.arange(5.0), np.full(5, level), [1.0, 1.0], sigma=sigma)
    assert np.isnan(found.r_squared)
    assert "y does not vary" in str(found) and "nan" not in str(found)


def test_outliers_pull_less_with_a_robust_loss():
    y = noisy()
    y[::9] += 2.0
    plain, robust = fit(decay, T, y, START), fit(decay, T, y, START, loss="cauchy", f_scale=0.1)
    truth = np.array([3.0, 1.2, 0.5])
    assert np.linalg.norm(robust.params - truth) < 0.2 * np.linalg.norm(plain.params - truth)


def test_a_product_that_is_all_the_data_know_is_named():
    found = fit(lambda x, a, b: a * b * x, T, 6.0 * T, [2.0, 1.0])
    assert found.verdict is Verdict.FLAT_MINIMUM and not found.valid
    assert set(found.reasons) == {"a", "b"}
    assert "a" in found.reasons["a"] and "b" in found.reasons["a"]
    assert np.isinf(found.errors["a"])


def test_a_parameter_the_model_ignores_is_said_to_be_dead():
    found = fit(lambda x, a, b: a * x + 0 * b, T, 3.0 * T + 0.01 * np.sin(40 * T), [1.0, 1.0])
    assert "does not change" in found.reasons["b"]
    assert_allclose(found.values["a"], 3.0, rtol=1e-2)


def test_as_many_points_as_parameters_leave_no_error_bars():
    found = fit(straight, [0.0, 1.0], [1.0, 3.0], [0.0, 0.0])
    assert_allclose(found.params, [2.0, 1.0], rtol=1e-12)
    assert "points" in found.reasons["slope"]


def test_a_straight_line_has_the_textbook_interval_by_both_ways():
    """Student's t for the slope; for a linear model the profile is exactly quadratic, so both agree."""
    y = 0.7 * T - 0.2 + 0.3 * np.random.default_rng(2).normal(size=T.size)
    found = fit(straight, T, y, [1.0, 0.0])
    p, C = closed_form(np.column_stack([T, np.ones(T.size)]), y, np.ones(T.size), known=False)
    half = scipy.stats.t.ppf(0.95, T.size - 2) * np.sqrt(C[0, 0])
    assert_allclose(found.intervals(level=0.9)["slope"], [p[0] - half, p[0] + half], rtol=1e-8)
    assert_allclose(found.profile("slope", level=0.9).interval, [p[0] - half, p[0] + half], rtol=1e-6)


def test_a_profile_ends_where_the_cost_refitted_without_the_parameter_has_risen_enough():
    y = noisy(size=0.3)
    found = fit(decay, T, y, START)
    profile = found.profile("b", level=0.95, points=9)
    t = scipy.stats.t.ppf(0.975, T.size - 3)
    for end in profile.interval:
        refitted = fit(decay, T, y, {"a": 3.0, "c": 0.5}, fixed={"b": end})
        assert_allclose(refitted.chi2, found.chi2 * (1 + t**2 / (T.size - 3)), rtol=1e-5)
    assert profile.plus > 1.05 * profile.minus  # rates are known better from below than from above
    assert profile.values.size >= 9


def test_a_profile_that_never_rises_enough_has_no_end():
    """b → ∞ leaves a constant curve, which fits these data nearly as well."""
    y = np.array([0.97, 1.03, 0.96, 1.04, 1.0])
    found = fit(lambda t, a, b: a * (1 - np.exp(-b * t)), np.arange(1.0, 6.0), y, [1.0, 2.0])
    assert found.profile("b").upper == np.inf


def test_a_contour_touches_the_profile():
    found = fit(decay, T, noisy(), START)
    a, b, rise = found.contour("a", "b", points=9)
    assert rise.shape == (9, 9) and rise.min() >= -1e-6
    assert_allclose(rise[4, 4], 0.0, atol=1e-6)
    held = fit(decay, T, noisy(), START, fixed={"a": a[0], "b": b[-1]})
    assert_allclose(rise[-1, 0], (held.chi2 - found.chi2) / found.variance, rtol=1e-5)


def test_bands_of_a_straight_line_are_the_textbooks():
    y = 0.7 * T - 0.2 + 0.3 * np.random.default_rng(2).normal(size=T.size)
    found = fit(straight, T, y, [1.0, 0.0])
    at = np.array([-1.0, 2.5, 9.0])
    s = np.sqrt(found.reduced_chi2)
    share = 1 / T.size + (at - T.mean()) ** 2 / np.sum((T - T.mean()) ** 2)
    t = scipy.stats.t.ppf(0.975, T.size - 2)
    curve = found.predict(at, band="confidence")
    assert_allclose(curve.upper - curve.value, t * s * np.sqrt(share), rtol=1e-9)
    new = found.predict(at, band="prediction")
    assert_allclose(new.value - new.lower, t * s * np.sqrt(1 + share), rtol=1e-9)


@pytest.mark.parametrize("loss", ["linear", "huber"])
def test_the_share_explained_is_the_same_with_sigma_as_with_its_covariance(loss):
    y, sigma = noisy(), np.linspace(0.02, 0.5, T.size)
    each = fit(decay, T, y, START, sigma=sigma, loss=loss)
    together = fit(decay, T, y, START, sigma=np.diag(sigma**2), loss=loss)
    assert_allclose(together.r_squared, each.r_squared, rtol=1e-9)
    if loss == "linear":
        mean = np.average(y, weights=sigma**-2)
        misfit, total = (np.sum((off / sigma) ** 2) for off in (y - decay(T, *each.params), y - mean))
        assert_allclose(each.r_squared, 1 - misfit / total, rtol=1e-9)


def test_quality_is_told_by_the_usual_formulas():
    y = noisy()
    found = fit(decay, T, y, START)
    r = y - decay(T, *found.params)
    assert_allclose(found.residuals, r, atol=1e-14)
    assert_allclose(found.chi2, r @ r, rtol=1e-12)
    assert_allclose(found.r_squared, 1 - r @ r / np.sum((y - y.mean()) ** 2), rtol=1e-12)
    assert_allclose(found.aic, T.size * np.log(r @ r / T.size) + 6, rtol=1e-12)
    assert_allclose(found.bic - found.aic, 3 * np.log(T.size) - 6, rtol=1e-9)
    assert_array_equal(found.popt, found.params)
    assert found.best_values["a"] == found.values[0] == found.params[0]


def test_the_seconds_of_a_budget_count_from_the_call():
    def slow_to_trace(t, a, b, c):
        time.sleep(0.3)  # run once, to be traced
        return decay(t, a, b, c)

    found = fit(slow_to_trace, T, noisy(), START, budget={"seconds": 0.2})
    assert found.verdict == "out of budget" and found.nfev == 1
    assert_allclose(found.params, list(START.values()), rtol=0.0)


def test_a_spent_budget_is_told_and_raises_on_request():
    found = fit(decay, T, noisy(), START, budget=2)
    assert found.verdict is Verdict.OUT_OF_BUDGET and not found.success
    with pytest.raises(NotAMinimumError):
        found.raise_if_failed()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": {"a": 1.0, "b": 1.0}}, "no start for c"),
        ({"start": {"a": 1.0, "b": 1.0, "d": 1.0}}, "no parameter 'd'"),
        ({"start": [1.0, 2.0]}, "3 parameters"),
        ({"noise": "known"}, "sigma="),
        ({"noise": "loud"}, "loud"),
        ({"sigma": -1.0}, "positive"),
        ({"sigma": [1.0, 2.0]}, "2 entries for 40"),
        ({"loss": "l3"}, "l3"),
        ({"f_scale": 0.0}, "f_scale"),
        ({"tied": {"c": "q"}}, "holds q, and the parameters are a, b, c"),
        ({"fixed": ["q"]}, "'q'"),
        ({"starts": -1}, "starts"),
        ({"nan": "ignore"}, "nan="),
        ({"mask": [True]}, "mask"),
        ({"separate": ["q"]}, "separate"),
        ({"bounds": {"a": (3, 1)}}, "leave nothing"),
    ],
)
def test_wrong_arguments_are_named_before_the_model_runs(change, words):
    def never(t, a, b, c):
        raise AssertionError("the model was called")

    arguments = {"start": START, **change}
    with pytest.raises(InputError, match=words):
        fit(never, T, noisy(), **arguments)


def test_a_fit_prints_and_goes_into_json_and_frames():
    found = fit(decay, T, noisy(), START)
    text = str(found)
    assert "± " in text and "local minimum" in text and "reduced chi²" in text
    told = json.loads(found.to_json())
    assert told["values"]["a"] == found.values["a"] and told["success"] is True
    frame = found.to_frame()
    assert frame["name"].to_list() == ["a", "b", "c"]
    assert_allclose(frame["error"].to_numpy(), np.asarray(found.errors))


@pytest.mark.parametrize("column", ["x", "y", "sigma"])
def test_points_that_a_masked_array_hides_are_left_out(column):
    sigma = np.linspace(0.02, 0.09, T.size)
    columns = {"x": T.copy(), "y": noisy(), "sigma": sigma}
    hidden = np.isin(np.arange(T.size), [3, 20])
    columns[column][hidden] = 1e3  # what lies under a mask is anything at all
    masked = columns | {column: np.ma.masked_array(columns[column], mask=hidden)}
    found = fit(decay, masked["x"], masked["y"], START, sigma=masked["sigma"])
    kept = fit(decay, T[~hidden], noisy()[~hidden], START, sigma=sigma[~hidden])
    assert_allclose(found.params, kept.params, rtol=1e-9)
    assert_allclose(found.covariance, kept.covariance, rtol=1e-6)
    assert found.points == T.size - 2


def test_a_parameter_that_is_zero_in_measurements_without_noise_is_felt():
    found = fit(straight, T, np.full(T.size, 3.0), {"slope": 1.0, "intercept": 1.0})
    assert not found.reasons
    assert_allclose(found.params, [0.0, 3.0], atol=1e-15)


def test_where_the_model_has_no_value_the_first_such_point_is_named():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    found = fit(
        lambda x, a, b: a * np.sqrt(x - b), x, x, {"a": 1.0, "b": 2.5}, bounds={"b": (2.5, 2.6)}, starts=0
    )
    assert "the model is not finite at 2 of 4 points, first at point 0 (x = 1), counted from 0" in str(found)


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        (T, noisy() + 1j, r"np.concatenate\(\[y.real, y.imag\]\) as y"),
        (np.datetime64("2024-01-01") + np.arange(40), noisy(), r"\(x - x\[0\]\) / np.timedelta64"),
        (T, np.arange(40).astype("timedelta64[s]"), "y holds dates or times"),
    ],
)
def test_measurements_that_are_no_real_numbers_are_refused_with_what_to_give(x, y, told):
    with pytest.raises(InputError, match=told):
        fit(decay, x, y, START)


def test_the_advice_for_complex_measurements_gives_the_true_parameters():
    frequency = np.linspace(0.1, 10.0, 50)

    def impedance(w, resistance, capacity):
        z = resistance / (1 + 1j * w * resistance * capacity)
        return np.concatenate([z.real, z.imag])

    z = 2.0 / (1 + 1j * frequency * 2.0 * 0.5)
    y = np.concatenate([z.real, z.imag])
    found = fit(impedance, frequency, y, {"resistance": 1.0, "capacity": 1.0})
    assert_allclose(found.params, [2.0, 0.5], rtol=1e-12)


def test_what_the_data_do_not_determine_is_written_as_a_direction_is():
    found = fit(lambda x, a, b: (a + b) * x, T, T, {"a": 0.0, "b": 0.0})
    assert found.reasons["a"] == "moving along -a + b changes nothing: only the rest is determined" or (
        found.reasons["a"] == "moving along a - b changes nothing: only the rest is determined"
    )


def test_a_word_among_the_measurements_is_named_with_its_place():
    with pytest.raises(InputError, match=r"y = 'abc' at point 2 \(counted from 0\) is no number"):
        fit(straight, [1.0, 2.0, 3.0], ["1", "2.5", "abc"], {"slope": 1.0, "intercept": 0.0})


def test_what_lies_under_a_mask_of_sigma_is_no_deviation():
    sigma = np.full(T.size, 0.05)
    hidden = np.isin(np.arange(T.size), [3, 20])
    sigma[hidden] = -999.0
    found = fit(decay, T, noisy(), START, sigma=np.ma.masked_array(sigma, mask=hidden))
    assert_allclose(
        found.params, fit(decay, T[~hidden], noisy()[~hidden], START, sigma=0.05).params, rtol=1e-9
    )


def test_a_mask_that_belongs_to_no_single_points_hides_none():
    """x of shape (points, 2): its masked place has no value, and no other point may go for it."""
    x = np.stack([T, T**2], axis=1)
    found = fit(
        lambda x, a, b: a * x[:, 0] + b * x[:, 1],
        np.ma.masked_array(x, mask=np.isin(x, x[7, 0])),
        2.0 * T,
        {"a": 1.0, "b": 0.0},
    )
    assert found.points == T.size and found.verdict == "not finite"
    assert "first at point 7, counted from 0" in str(found)


def test_the_point_where_the_model_has_no_value_is_counted_among_those_given():
    x = np.array([np.nan, 5.0, 1.0, 3.0, 4.0])
    found = fit(
        lambda x, a, b: a * np.sqrt(x - b), x, np.ones(5), {"a": 1.0, "b": 2.5}, bounds={"b": (2.5, 2.6)},
        starts=0, nan="omit",
    )  # fmt: skip
    assert "not finite at 1 of 4 points, first at point 2 (x = 1), counted from 0" in str(found)


def test_measurements_of_no_one_shape_are_refused():
    with pytest.raises(InputError, match=r"y = \[2, 3\] at point 1 \(counted from 0\) is no number"):
        fit(straight, [1, 2, 3], [1, [2, 3], 4], {"slope": 1.0, "intercept": 0.0})


def test_a_fit_begins_beside_a_start_at_which_the_model_has_no_value():
    t = np.linspace(0.5, 3.0, 12)
    found = fit(lambda t, a, b: a * np.log(t + b), t, 2 * np.log(t + 1), {"a": 1.0, "b": -5.0})
    assert found.success and "the walk began at a = " in found.message
    assert_allclose(found.params, [2.0, 1.0], rtol=1e-9)


def line(t, a, b):
    return a + b * t


# The same line with one parameter too many: two that only their sum is determined of, and one that nothing depends on.
TOO_MANY = {
    "a sum": (lambda t, a, b, c: a + b * t + c * t, {"b", "c"}),
    "in unlike units": (lambda t, a, b, c: a + b * t + 1e6 * c * t, {"b", "c"}),
    "a parameter without effect": (lambda t, a, b, c: a + b * t + 0 * c, {"c"}),
}


@pytest.mark.parametrize("sigma", [None, 0.3])
@pytest.mark.parametrize("points", [3, 20])
@pytest.mark.parametrize("name", TOO_MANY)
def test_what_the_data_do_not_determine_takes_no_degree_of_freedom(name, points, sigma):
    """Chi² has the law of the line through the points, with n - 2 degrees of freedom, and so have the errors of a."""
    model, loose = TOO_MANY[name]
    noise = "unknown" if sigma is None else "known"
    t = np.linspace(0.0, 1.0, points)
    y = 2.0 + 3.0 * t + 0.1 * np.random.default_rng(points).standard_normal(points)
    found = fit(model, t, y, {"a": 1.0, "b": 1.0, "c": 0.5}, sigma=sigma, noise=noise)
    X = np.column_stack([np.ones(points), t])
    misfit = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    variance = misfit @ misfit / (points - 2) if sigma is None else sigma**2
    assert found.degrees_of_freedom == points - 2
    assert_allclose(found.reduced_chi2, misfit @ misfit / (points - 2) / (sigma or 1.0) ** 2, rtol=1e-9)
    assert_allclose(found.errors["a"], np.sqrt(variance * np.linalg.inv(X.T @ X)[0, 0]), rtol=1e-8)
    assert {key for key, error in found.errors.items() if np.isinf(error)} == loose
    assert any("the data determine 2 of 3 parameters" in remark for remark in found.remarks)
    assert all(f" {key} " in found.remarks[0] for key in loose)
    plain = fit(line, t, y, {"a": 1.0, "b": 1.0}, sigma=sigma, noise=noise)
    assert_allclose([found.aic, found.bic], [plain.aic, plain.bic], rtol=1e-9)
    assert_allclose(found.intervals()["a"], plain.intervals()["a"], rtol=1e-7)


def test_a_parameter_at_its_bound_is_taken_off_the_degrees_of_freedom_as_one_that_was_fitted():
    t = np.linspace(0.0, 1.0, 12)
    y = 2.0 + 3.0 * t + 0.1 * np.random.default_rng(1).standard_normal(12)
    found = fit(line, t, y, {"a": 1.0, "b": 1.0}, bounds={"b": (0.0, 1.5)})
    assert found.values["b"] == 1.5 and found.degrees_of_freedom == 10


# -- where slopes are measured, each call counts ---------------------------------------------------------------


@pytest.mark.parametrize("start", [{"a": 1.0, "b": 1.0}, None])
@pytest.mark.parametrize("budget", [None, 1, 10, 60, 400])
@pytest.mark.parametrize("sets", [1, 2])
def test_every_call_of_a_model_that_is_not_traced_is_counted_and_within_the_budget(start, budget, sets):
    calls = 0

    def decay(x, a, b):
        nonlocal calls
        calls += 1
        return a * np.exp(-x / b)

    x = np.linspace(0.0, 3.0, 20)
    y = 2.0 * np.exp(-x / 1.3) + 0.01 * np.sin(9.0 * x)
    data = (x, y) if sets == 1 else ([x, x], [y, y])
    found = fit(decay, *data, start, derivatives="numeric", budget=budget)
    assert found.nfev == calls
    if budget is not None:
        # A tenth for the judge, a first evaluation, and the slopes that the errors of the answer need.
        assert calls <= 1.1 * budget + sets * 6
    else:
        assert found.verdict == "local minimum"
    assert np.isfinite(found.params).all()


def test_a_curve_that_fits_known_noise_is_not_doubted():
    """Noise larger than the signal leaves most of the variance unexplained, and χ² shows that there is no more."""
    x = np.linspace(0.0, 10.0, 200)
    y = np.exp(-x / 4.0) + np.random.default_rng(1).normal(size=200)
    settings = {"start": {"a": 1.0, "tau": 4.0}, "sigma": 1.0}
    known = fit("a*exp(-x/tau)", x, y, noise="known", **settings)
    assert known.r_squared < 0.5 and known.verdict == "local minimum"
    assert not known.next_step and not known.remarks and known.nfev < 50
    too_small = fit("a*exp(-x/tau)", x, y, settings["start"], sigma=0.5, noise="known")
    unknown = fit("a*exp(-x/tau)", x, y, **settings)
    assert too_small.next_step and unknown.next_step
