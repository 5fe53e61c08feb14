"""Pictures of a fit, against a straight line for which everything is known in closed form."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from scipy import stats

from steepest import fit, plots
from steepest.errors import InputError
from steepest.plots.fit_picture import _frame
from steepest.plots.fitted import data_of


def line_like(ax, label):
    return next(line for line in ax.lines if line.get_label() == label)


def points_of(ax, count):
    return next(line for line in ax.lines if len(line.get_xdata()) == count and line.get_marker() == "o")


def test_data_curve_and_bands_are_where_the_fit_has_them(line_fit):
    curve_axes, *_ = plots.fit(line_fit)
    data = line_like(curve_axes, "data")
    assert_allclose(data.get_xydata(), np.column_stack([line_fit.x, line_fit.y]))
    x, y = line_like(curve_axes, "fit").get_data()
    assert_allclose(y, line_fit.predict(x))
    edges = [
        line for line in curve_axes.lines if line.get_linestyle() == "--" and len(line.get_xdata()) > 100
    ]
    band = line_fit.predict(x, band="prediction")
    assert_allclose(edges[0].get_ydata(), band.lower)
    assert_allclose(edges[1].get_ydata(), band.upper)
    corners = curve_axes.collections[0].get_paths()[0].vertices
    narrow = line_fit.predict(corners[:, 0], band="confidence")
    outside = np.minimum(np.abs(corners[:, 1] - narrow.lower), np.abs(corners[:, 1] - narrow.upper))
    assert outside.max() < 1e-9


def test_the_curve_does_not_go_below_zero_where_no_datum_does(line_fit):
    curve_axes = plots.fit(line_fit)[0]
    assert min(line.get_xdata().min() for line in curve_axes.lines if len(line.get_xdata()) > 100) == 0.0
    left, right = curve_axes.get_xlim()
    assert -0.03 * right < left < line_fit.x.min()  # where the point at zero is seen whole


def test_residuals_are_in_units_of_their_error_and_their_name_says_which(line_fit, weighted_fit):
    _, left_over, _ = plots.fit(line_fit)
    size = np.sqrt(np.sum((line_fit.y - line_fit.fitted) ** 2) / 28)
    assert_allclose(points_of(left_over, 30).get_ydata(), (line_fit.y - line_fit.fitted) / size)
    assert left_over.get_ylabel() == "residual / s"
    weighted_fit.noise, weighted_fit.variance = "known", 1.0
    _, left_over, _ = plots.fit(weighted_fit)
    expected = (weighted_fit.y - weighted_fit.fitted) / weighted_fit.sigma
    assert_allclose(points_of(left_over, 12).get_ydata(), expected)
    assert left_over.get_ylabel() == "residual / σ"


def test_errors_of_the_data_are_drawn_as_long_as_they_are(weighted_fit):
    ax = Figure().subplots()
    plots.fit(weighted_fit, ax=ax)
    bars = ax.containers[0].lines[2][0].get_segments()
    lengths = [segment[1, 1] - segment[0, 1] for segment in bars]
    assert_allclose(lengths, 2 * weighted_fit.sigma)


def test_the_distribution_holds_all_residuals(line_fit):
    *_, spread = plots.fit(line_fit)
    assert sum(bar.get_width() * bar.get_height() for bar in spread.patches) == pytest.approx(1.0)


def test_quantiles_are_those_of_the_normal_distribution_and_their_band_holds_95_of_100(line_fit):
    *_, quantiles, _ = plots.residuals(line_fit)
    drawn = points_of(quantiles, 30)
    assert_allclose(drawn.get_ydata(), np.sort((line_fit.y - line_fit.fitted) / np.sqrt(line_fit.variance)))
    vertices = quantiles.collections[0].get_paths()[0].vertices
    rng = np.random.default_rng(0)
    samples = np.sort(rng.normal(size=(4000, 30)), axis=1)
    middle = drawn.get_xdata()[14]
    low, high = np.sort(vertices[np.abs(vertices[:, 0] - middle) < 1e-9, 1])[[0, -1]]
    share = np.mean((samples[:, 14] > low) & (samples[:, 14] < high))
    assert share == pytest.approx(0.95, abs=0.015)
    assert_allclose(stats.norm.cdf(drawn.get_xdata()), (np.arange(1, 31) - 0.375) / 30.25, rtol=1e-12)  # Blom


def test_neighbours_that_hang_together_are_told_with_their_correlation(line_fit):
    wave = np.sin(np.linspace(0, 2 * np.pi, 30))
    line_fit.y = line_fit.fitted + wave
    *_, neighbours = plots.residuals(line_fit)
    expected = (wave[:-1] @ wave[1:]) / (wave @ wave)
    assert f"correlation {expected:.2g}" in neighbours.get_xlabel()
    assert "within ±0.36" in neighbours.get_xlabel()  # 1.96 / √30


def test_data_without_a_single_x_are_drawn_against_the_fitted_values(line_fit):
    line_fit.x = (line_fit.x, line_fit.x**2)
    ax, left_over, _ = plots.fit(line_fit)
    assert ax.get_xlabel() == "fitted y"
    assert_allclose(line_like(ax, "data").get_xydata(), np.column_stack([line_fit.fitted, line_fit.y]))
    assert left_over.get_xlabel() == "fitted y"
    assert plots.residuals(line_fit)[0].get_ylabel() == "density"


def test_several_data_sets_are_told_apart_by_colour_dash_and_marker(line_fit):
    for name in ("x", "y", "fitted"):
        setattr(line_fit, name, [getattr(line_fit, name)[:10], getattr(line_fit, name)[10:]])
    line_fit.sigma = [None, None]
    ax = Figure().subplots()
    plots.fit(line_fit, ax=ax)
    data = [line for line in ax.lines if line.get_linestyle() == "None"]
    assert [len(line.get_xdata()) for line in data] == [10, 20]
    assert len({line.get_marker() for line in data}) == len({line.get_color() for line in data}) == 2


def test_a_profile_of_a_linear_model_is_the_parabola_of_its_standard_error(line_fit):
    for name, ax in zip("ab", plots.profile(line_fit), strict=True):
        curve = next(line for line in ax.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 100)
        x, rise = curve.get_data()
        assert_allclose(rise, ((x - line_fit.values[name]) / line_fit.errors[name]) ** 2, atol=1e-9)
        half = stats.t.ppf(0.975, 28) * line_fit.errors[name]
        ends = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == 0 and line.get_ydata()[1] > 0]  # fmt: skip  # noqa: E501
        assert_allclose(ends, [line_fit.values[name] - half, line_fit.values[name] + half])


def test_an_interval_that_never_ends_is_told_as_such(line_fit):
    inner = line_fit.profile

    def open_ended(name, **settings):
        record = inner(name, **settings)
        record.upper = np.inf
        return record

    line_fit.profile = open_ended
    assert plots.profile(line_fit, "b").get_xlabel().endswith("+no end")


def test_the_region_of_a_linear_model_is_the_ellipse_of_its_covariance(line_fit):
    ax = plots.region(line_fit)
    solid = ax.collections[-1]
    center = np.array([line_fit.values["a"], line_fit.values["b"]])
    for path, level in zip(solid.get_paths(), (0.68, 0.95), strict=True):
        d = path.vertices - center
        rise = np.einsum("ij,jk,ik->i", d, np.linalg.inv(line_fit.covariance), d)
        assert_allclose(rise, 2 * stats.f.ppf(level, 2, 28), rtol=2e-3)


@pytest.mark.parametrize("picture", [plots.fit, plots.residuals, plots.profile, plots.region])
def test_a_result_without_data_is_sent_elsewhere(picture, many):
    with pytest.raises(InputError, match=r"steepest\.fit"):
        picture(many)


def test_files_repeat(weighted_fit, tmp_path):
    for name, picture in (("fit", plots.fit), ("residuals", plots.residuals), ("region", plots.region)):
        one, two = (plots.save(picture(weighted_fit), tmp_path / f"{name}{k}.svg") for k in (1, 2))
        assert one.read_bytes() == two.read_bytes()


@pytest.fixture(scope="module")
def yield_fit():
    """NIST's Rat42: three parameters, nine points."""
    import steepest as st
    from steepest.reference_problems import nist

    data = nist.load("Rat42")

    def growth(t, limit, delay, rate):
        return limit / (1 + np.exp(delay - rate * t))

    return st.fit(growth, data.x, data.y, {"limit": 75.0, "delay": 2.5, "rate": 0.07})


def test_a_fit_of_the_library_is_drawn_with_its_own_numbers(yield_fit):
    curve, left_over, _ = plots.fit(yield_fit)
    x, y = line_like(curve, "fit").get_data()
    limit, delay, rate = yield_fit.params
    assert_allclose(y, limit / (1 + np.exp(delay - rate * x)), rtol=1e-12)
    scaled = points_of(left_over, 9).get_ydata()
    assert np.sum(scaled**2) == pytest.approx(6.0), (
        "chi² in units of its own estimate is the degrees of freedom"
    )


def test_the_profile_of_a_fit_reaches_the_level_of_its_interval_at_both_ends(yield_fit):
    ax = plots.profile(yield_fit, "rate")
    curve = next(line for line in ax.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 100)
    low, high = yield_fit.intervals(method="profile")["rate"]
    t_squared = stats.t.ppf(0.975, 6) ** 2
    assert_allclose(np.interp([low, high], *curve.get_data()), t_squared, rtol=2e-3)


def test_a_region_that_bends_beyond_its_ellipse_is_drawn_whole(yield_fit):
    ax = plots.region(yield_fit, "limit", "rate")
    outer = ax.collections[-1].get_paths()[1].vertices
    assert np.allclose(outer[0], outer[-1]), "a closed line"
    left, right = ax.get_xlim()
    assert left < outer[:, 0].min() and outer[:, 0].max() < right


def test_the_landscape_of_a_fit_is_its_sum_of_squares(yield_fit):
    ax = plots.landscape(yield_fit, "rate", reach=0.01, places=21)
    curve = max(
        (line for line in ax.lines if line.get_linestyle() == "-"), key=lambda line: len(line.get_xdata())
    )
    limit, delay, _ = yield_fit.params
    t, y = yield_fit.x, yield_fit.y
    expected = [
        np.sum((y - limit / (1 + np.exp(delay - rate * t))) ** 2)
        for rate in np.asarray(curve.get_xdata(), dtype=float)
    ]
    assert_allclose(curve.get_ydata(), expected, rtol=1e-12)


def test_a_hundred_thousand_points_lie_below_the_curve_as_pixels():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 10, 100_000)
    result = fit("a + b*x", x, 2 + 0.7 * x + rng.normal(size=x.size), {"a": 1.0, "b": 1.0})
    ax = plots.fit(result, ax=Figure().subplots())
    (cloud,) = (line for line in ax.lines if len(line.get_xdata()) == x.size)
    (curve,) = (line for line in ax.lines if line.get_label() == "fit")
    assert cloud.get_zorder() < curve.get_zorder()
    assert cloud.get_alpha() < 0.1
    assert cloud.get_rasterized()
    assert {text.get_text() for text in ax.get_legend().get_texts()} >= {"data", "fit"}


def test_a_model_made_for_its_own_places_is_drawn_through_them():
    x = np.linspace(0, 1, 9)
    result = fit(
        lambda t, a, b: a * x + b + 0 * t, x, 2 * x + 1 + 0.01 * np.cos(20 * x), {"a": 1.0, "b": 0.0}
    )
    ax = plots.fit(result, ax=Figure().subplots())
    (curve,) = (line for line in ax.lines if line.get_label() == "fit")
    assert_allclose(curve.get_xdata(), x)
    assert_allclose(curve.get_ydata(), result.fitted)


def test_long_names_stand_apart_below_profiles(yield_fit):
    from dataclasses import replace

    names = [f"{word}_of_the_growth_in_tonnes_per_hectare" for word in yield_fit.names]
    long = replace(yield_fit, names=tuple(names), values=type(yield_fit.values)(
        zip(names, yield_fit.params.tolist(), strict=True)))  # fmt: skip
    axes = plots.profile(long)
    axes[0].figure.draw_without_rendering()
    boxes = [ax.xaxis.label.get_window_extent() for ax in axes]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def outliers(ax):
    """Where triangles at an edge stand, as (x, y, marker)."""
    lines = [line for line in ax.lines if line.get_marker() in ("^", "v")]
    return [(x, y, line.get_marker()) for line in lines for x, y in line.get_xydata()]


def line_with(far, **settings):
    t = np.linspace(0.0, 1.0, 40)
    y = 1.0 + 2.0 * t + 0.05 * np.cos(97.0 * t)
    for place, value in far.items():
        y[place] = value
    return t, fit(lambda t, a, b: a + b * t, t, y, [0.0, 0.0], **settings)


@pytest.mark.parametrize("unit", [1.0, 1e-9, 1e12])
def test_points_far_out_do_not_flatten_the_picture_and_are_told_at_its_edge(unit):
    t = np.linspace(0.0, 1.0, 40)
    y = unit * (1.0 + 2.0 * t + 0.05 * np.cos(97.0 * t))
    y[10], y[30] = 5000.0 * unit, -70.0 * unit
    found = fit("a + b*t", t, y, {"a": unit, "b": unit}, loss="cauchy", f_scale=0.1 * unit)
    curve, left_over, _ = plots.fit(found)
    low, high = curve.get_ylim()
    others = np.delete(y, [10, 30])
    assert low < others.min()
    assert others.max() < high
    assert np.ptp(others) > 0.8 * (high - low)
    assert outliers(curve) == [(t[10], high, "^"), (t[30], low, "v")]
    assert "2 points beyond the frame" in [text.get_text() for text in curve.get_legend().get_texts()]
    assert len(curve.texts) == 2
    low, high = left_over.get_ylim()
    scaled = np.delete((y - found.fitted) / np.sqrt(found.variance), [10, 30])
    assert np.abs(scaled).max() < high == -low < 5.0
    assert outliers(left_over) == [(t[10], high, "^"), (t[30], low, "v")]


def test_residuals_beyond_the_frame_are_at_the_edge_of_every_view():
    _, found = line_with({10: 5000.0}, loss="cauchy", f_scale=0.1)
    by_x, by_fit, ordered, neighbours = plots.residuals(found)
    for ax in (by_x, by_fit, ordered):
        (_, y, marker), *more = outliers(ax)
        assert not more
        assert marker == "^"
        assert y == ax.get_ylim()[1] < 5.0
    (edge,) = [line for line in neighbours.lines if line.get_marker() == "D"]
    right, top = neighbours.get_xlim()[1], neighbours.get_ylim()[1]
    assert np.isclose(edge.get_xydata(), [right, top]).any(axis=1).all()  # before it and after it
    assert len(edge.get_xydata()) == 2


def test_a_peak_that_the_curve_follows_and_a_moderate_outlier_stay_in_the_frame():
    t = np.arange(60.0)
    y = 1000.0 * np.exp(-((t - 30.0) ** 2)) + 0.01 * np.cos(7.0 * t)
    found = fit("h*exp(-(t - c)**2) + l", t, y, {"h": 900.0, "c": 30.1, "l": 0.0})
    _, moderate = line_with({10: 6.0}, loss="cauchy", f_scale=0.1)
    for one in (found, moderate):
        ax = plots.fit(one)[0]
        assert ax.get_ylim()[1] > np.max(one.y)
        assert not outliers(ax)


def test_beside_an_outlier_a_curve_without_a_value_at_a_point_leaves_the_frame_finite():
    t, found = line_with({10: 5000.0}, loss="cauchy", f_scale=0.1)
    (seen,) = data_of(found)
    broken = replace(seen, fitted=np.where(t == t[20], np.inf, seen.fitted))
    low, high = _frame(broken, np.where(t == t[20], np.inf, seen.fitted))
    assert 0.0 < low < 1.0 < 3.0 < high < 4.0


def test_where_many_points_are_off_all_are_in_the_frame():
    _, found = line_with(dict.fromkeys(range(3, 40, 6), 5000.0), loss="cauchy", f_scale=0.1)
    ax = plots.fit(found)[0]
    assert ax.get_ylim()[1] > 5000.0
    assert not outliers(ax)


def test_data_against_fitted_values_are_not_flattened_either():
    x = np.vstack([np.linspace(0.0, 1.0, 40), np.cos(np.arange(40.0))])
    y = 1.0 + 2.0 * x[0] - x[1] + 0.02 * np.cos(97.0 * x[0])
    y[7] = 1e5
    found = fit(lambda x, a, b, c: a + b * x[0] + c * x[1], x, y, [0.0, 0.0, 0.0], loss="cauchy", f_scale=0.1)
    ax = plots.fit(found)[0]
    assert outliers(ax) == [(found.fitted[7], ax.get_ylim()[1], "^")]
    assert ax.get_ylim()[1] < 5.0


def test_the_axis_is_called_what_the_model_calls_it():
    t, found = line_with({})
    y = 1.0 + 2.0 * t
    assert plots.residuals(found)[0].get_xlabel() == "t"
    assert plots.residuals(fit("a + b*t", t, y, [0.0, 0.0]))[0].get_xlabel() == "t"
    assert plots.residuals(fit("a + b*age", {"age": t}, y, [0.0, 0.0]))[0].get_xlabel() == "age"
    frame = {"days": t, "height": y}
    named = plots.residuals(fit("a + b*x", "days", "height", [0.0, 0.0], data=frame))
    assert [ax.get_xlabel() for ax in named[:2]] == ["days", "fitted height"]


def test_data_of_one_named_column_are_drawn_against_it():
    t = np.linspace(0.0, 1.0, 12)
    curve, *_ = plots.fit(fit("a + b*age", {"age": t}, 1.0 + 2.0 * t, [0.0, 0.0]))
    x, y = line_like(curve, "fit").get_data()
    assert_allclose(y, 1.0 + 2.0 * x, atol=1e-12)
