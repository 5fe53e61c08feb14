"""Many fits at once against the same fits one by one, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from steepest import InputError, Verdict, fit, fit_many, models

X = np.linspace(-5.0, 5.0, 48)


def peak(x, height, center, width, offset, slope):
    return height * np.exp(-0.5 * ((x - center) / width) ** 2) + offset + slope * x


def curves(count, seed=0, noise=0.05):
    rng = np.random.default_rng(seed)
    truth = np.column_stack(
        [
            rng.uniform(1, 5, count),
            rng.uniform(-2.5, 2.5, count),
            rng.uniform(0.4, 1.5, count),
            rng.normal(size=count),
            0.1 * rng.normal(size=count),
        ]
    )
    y = np.stack([peak(X, *row) for row in truth]) + noise * rng.normal(size=(count, X.size))
    return truth, y


def test_each_curve_gets_what_a_fit_of_its_own_would_find():
    truth, y = curves(300)
    many = fit_many(peak, X, y, truth * 1.1)
    assert many.success.all() and len(many) == 300
    for k in (0, 7, 299):
        alone = fit(peak, X, y[k], truth[k])
        assert_allclose(many.params[k], alone.params, rtol=1e-6)
        assert_allclose(many.chi2[k], alone.chi2, rtol=1e-9)
        assert_allclose(many.errors[k], np.asarray(alone.errors), rtol=1e-5)
        assert many[k]["verdict"] is Verdict.LOCAL_MINIMUM


def test_errors_are_the_scatter_of_the_answers():
    """Over many noisy copies of one curve the answers scatter by the standard errors."""
    truth = np.array([3.0, 0.5, 0.8, 1.0, 0.1])
    y = peak(X, *truth) + 0.05 * np.random.default_rng(1).normal(size=(2000, X.size))
    many = fit_many(peak, X, y, truth)
    assert_allclose(many.params.std(axis=0), many.errors.mean(axis=0), rtol=0.08)


def test_one_start_for_all_is_enough_since_answers_are_borrowed():
    truth, y = curves(400, seed=2)
    many = fit_many(peak, X, y, [2.0, 0.0, 1.0, 0.0, 0.0])
    best = fit_many(peak, X, y, truth)
    assert np.mean(many.chi2 <= best.chi2 * (1 + 1e-4)) >= 0.99
    assert many.again.any()


def test_a_ready_made_model_guesses_for_each_curve():
    truth, y = curves(40, seed=3)
    many = fit_many(models.gaussian() + models.line(), X, y)
    order = [0, 1, 2, 4, 3]  # the line comes as slope, intercept
    assert_allclose(np.abs(many.params), np.abs(truth[:, order]), atol=0.35)


def test_every_curve_may_have_its_own_places_weights_and_gaps():
    rng = np.random.default_rng(4)
    x = rng.uniform(0, 2, size=(20, 15))
    sigma = rng.uniform(0.05, 0.2, size=(20, 15))
    y = 2 * x + 1 + sigma * rng.normal(size=x.shape)
    y[3, 4] = np.nan
    mask = np.ones(x.shape, dtype=bool)
    mask[5, :6] = False
    many = fit_many("a*x + b", x, y, {"a": 1.0, "b": 0.0}, sigma=sigma, noise="known", mask=mask)
    for k in range(20):
        use = mask[k] & np.isfinite(y[k])
        A = np.column_stack([x[k], np.ones(15)])[use] / sigma[k, use, None]
        assert_allclose(many.params[k], np.linalg.lstsq(A, y[k, use] / sigma[k, use])[0], rtol=1e-8)
        assert_allclose(many.covariance[k], np.linalg.inv(A.T @ A), rtol=1e-7)


def test_bounds_hold_for_all():
    truth, y = curves(50, seed=5)
    many = fit_many(peak, X, y, truth, bounds={"width": (None, 0.9)})
    assert (many.params[:, 2] <= 0.9).all()
    k = int(np.argmax(truth[:, 2]))
    alone = fit(peak, X, y[k], truth[k], bounds={"width": (None, 0.9)})
    assert_allclose(many.params[k], alone.params, rtol=1e-4)
    assert np.isnan(many.errors[k, 2])


def test_what_the_data_do_not_determine_is_told():
    many = fit_many(lambda x, a, b: a * b * x, X, np.stack([X, 2 * X]), {"a": 1.0, "b": 1.0}, again=False)
    assert (many.verdicts == Verdict.FLAT_MINIMUM).all()
    assert np.isinf(many.errors).all()
    assert_allclose(many.params.prod(axis=1), [1.0, 2.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "bounds", "determined"),
    [
        (lambda x, a, b, c: a * b + c * x, None, 2),  # only the product of a and b counts
        (lambda x, a, b, c: a + b * x + 0.0 * c, None, 2),  # c does nothing
        (lambda x, a, b, c: (a + b + c) * x, None, 1),
        (lambda x, a, b, c: a * b + c * x, {"c": (9.0, 10.0)}, 2),  # c sits at its bound
        (lambda x, a, b, c: a * b + c * x, {"a": (9.0, 10.0)}, 3),  # at a bound, a leaves nothing loose
        (lambda x, a, b, c: a + b * x + c * x**2, None, 3),
    ],
)
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_parameters_that_the_data_do_not_determine_take_no_degree_of_freedom(model, bounds, determined, size):
    y = size * (1.0 + 0.5 * X + np.sin(7.0 * X + np.arange(3.0)[:, None]))
    scaled = bounds and {name: (size * low, size * high) for name, (low, high) in bounds.items()}
    start = dict.fromkeys("abc", 9.5 * size)
    many = fit_many(model, X, y, start, bounds=scaled, again=False)
    assert (many.degrees_of_freedom == X.size - determined).all()
    if size == 1.0:
        alone = [fit(model, X, row, start, bounds=scaled).degrees_of_freedom for row in y]
        assert many.degrees_of_freedom.tolist() == alone


def test_twelve_parameters_take_the_general_path():
    rng = np.random.default_rng(6)
    A = rng.normal(size=(30, 12))
    truth = rng.normal(size=(9, 12))
    names = ", ".join(f"c{k}" for k in range(12))
    model = eval(f"lambda x, {names}: sum(c * row for c, row in zip(({names}), x))")
    many = fit_many(model, tuple(A.T), truth @ A.T, np.zeros(12))
    assert_allclose(many.params, truth, atol=1e-8)


def test_the_same_call_gives_the_same_bits():
    _, y = curves(60, seed=7)
    first, second = (fit_many(peak, X, y, [2.0, 0.0, 1.0, 0.0, 0.0]) for _ in range(2))
    assert_array_equal(first.params, second.params)


def test_progress_is_told():
    _, y = curves(30)
    seen = []
    fit_many(peak, X, y, [2.0, 0.0, 1.0, 0.0, 0.0], progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (30, 30)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": np.zeros(5)}, "one row for each curve"),
        ({"x": np.zeros(7)}, "x has the shape"),
        ({"start": {"height": 1.0}}, "start has"),
        ({"start": np.zeros((3, 5))}, "start has the shape"),
        ({"sigma": 0.0}, "positive"),
        ({"noise": "known"}, "sigma="),
    ],
)
def test_wrong_arguments_are_named(change, words):
    arguments = {"x": X, "y": curves(4)[1], "start": [2.0, 0.0, 1.0, 0.0, 0.0], **change}
    with pytest.raises(InputError, match=words):
        fit_many(peak, **arguments)
