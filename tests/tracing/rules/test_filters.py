"""Filters of signals and images: SciPy's values, slopes by differences, and a filter found from what it did."""

import numpy as np
import pytest
from scipy import ndimage, signal

import steepest as st
from steepest.errors import TracingError
from steepest.parameters import Parameters
from steepest.tracing.rules import filters
from steepest.tracing.trace import trace
from steepest.vector_functions import TracedVector

rng = np.random.default_rng(0)
HEARD = rng.normal(size=23)
TIMES = np.linspace(0.0, 4.0, 23)
IMAGE = rng.random((6, 5))
SECTIONS = signal.butter(4, 0.3, output="sos")

FILTERS = {
    "by both coefficients": lambda p: signal.lfilter([p[0], 0.2], [2.0, -p[1], 0.1], HEARD),
    "by a sum alone": lambda p: signal.lfilter(p, [1.0], HEARD),
    "by one number": lambda p: signal.lfilter([p[0]], [p[1] + 2], HEARD),
    "begun with something": lambda p: np.concatenate(signal.lfilter([p[0]], [1, -p[1]], HEARD, zi=[p[0]])),
    "along columns": lambda p: signal.lfilter([p[0]], [1, -p[1]], IMAGE * p[1], axis=0).ravel(),
    "the signal alone": lambda p: signal.lfilter([0.3], [1, -0.5], p[0] * HEARD + p[1]),
    "sections": lambda p: signal.sosfilt(
        np.array([[p[0], 0.1, 0.2, 1, -p[1], 0.1], [1, p[1], 0, 1, 0, p[0]]]), HEARD
    ),
    "fixed sections": lambda p: signal.sosfiltfilt(SECTIONS, p[0] * HEARD + p[1]),
    "there and back": lambda p: signal.filtfilt([0.3], [1, -0.5], p[0] * HEARD + p[1] * TIMES),
    "smoothed": lambda p: signal.savgol_filter(p[0] * HEARD + p[1] * TIMES**2, 7, 2),
    "without its trend": lambda p: signal.detrend(p[0] * HEARD + p[1] * TIMES**2),
    "a kernel": lambda p: signal.convolve2d(IMAGE, np.array([[p[0], 1.0], [p[1], 0.0]]), mode="same").ravel(),
    "blurred": lambda p: ndimage.gaussian_filter(p[0] * IMAGE + p[1] * IMAGE**2, 1.0).ravel(),
    "weights": lambda p: ndimage.convolve1d(HEARD, np.array([p[0], 1.0, p[1]])),
    "edges": lambda p: ndimage.sobel(p[0] * IMAGE - p[1], 0).ravel(),
    "outside is one": lambda p: ndimage.correlate(
        p[0] * IMAGE, np.ones((3, 3)), mode="constant", cval=1.0
    ).ravel(),
    "moved": lambda p: ndimage.shift(p[0] * IMAGE + p[1], (0.4, -1.2), order=1).ravel(),
}


@pytest.mark.parametrize("name", FILTERS)
def test_values_are_scipys_and_slopes_those_of_their_differences(name):
    function, place = FILTERS[name], np.array([0.7, 0.4])
    values, jacobian = TracedVector(trace(function, Parameters.of(place))).both(place)
    np.testing.assert_allclose(values, function(place), rtol=1e-11, atol=1e-13)
    for k, step in enumerate(np.eye(2) * 1e-3):
        wide, narrow = ((function(place + h) - function(place - h)) / (2 * h[k]) for h in (step, step / 2))
        np.testing.assert_allclose(jacobian[:, k], (4 * narrow - wide) / 3, rtol=1e-8, atol=1e-9)


# Further arguments of every filter, after the signal.
ROWS = {
    **dict.fromkeys(("detrend", "hilbert"), ()),
    "savgol_filter": (7, 2), "decimate": (2, 4), "resample": (9,), "resample_poly": (2, 3),
    **{name: (np.array([[0.3, 1.0]]),) for name in ("convolve2d", "correlate2d", "convolve", "correlate")},
    **{name: (np.array([0.3, 1.0, 0.2]),) for name in ("convolve1d", "correlate1d")},
    **dict.fromkeys(("gaussian_filter", "gaussian_filter1d", "gaussian_laplace"), (0.9,)),
    **dict.fromkeys(("uniform_filter", "uniform_filter1d"), (3,)),
    **dict.fromkeys(("sobel", "prewitt", "laplace", "spline_filter", "spline_filter1d"), ()),
    "shift": (0.4,), "zoom": (1.5,), "rotate": (20.0,), "map_coordinates": (np.array([[0.3, 2.2], [1.1, 3.0]]),),
    "affine_transform": (np.array([[1.0, 0.1], [0.2, 0.9]]),),
}  # fmt: skip
BEFORE = {
    "lfilter": ([0.3], [1, -0.5]),
    "filtfilt": ([0.3], [1, -0.5]),
    "sosfilt": (SECTIONS,),
    "sosfiltfilt": (SECTIONS,),
}


@pytest.mark.parametrize(("module", "name"), [
    *((signal, name) for name in filters.SIGNALS_BY_NAME), *((ndimage, name) for name in filters.IMAGES_BY_NAME)
])  # fmt: skip
def test_every_filter_of_a_signal_has_its_value_and_its_slope(module, name):
    flat = module is signal and not name.endswith("2d")
    start = HEARD if flat else IMAGE

    def function(p):
        found = getattr(module, name)(*BEFORE.get(name, ()), p[0] * start + p[1], *ROWS.get(name, ()))
        return np.abs(np.ravel(found)) ** 2 if name == "hilbert" else np.ravel(found)

    place = np.array([0.7, 0.4])
    values, jacobian = TracedVector(trace(function, Parameters.of(place))).both(place)
    np.testing.assert_allclose(values, function(place), rtol=1e-10, atol=1e-12)
    for k, step in enumerate(np.eye(2) * 1e-3):
        slope = (function(place + step) - function(place - step)) / (2 * step[k])
        np.testing.assert_allclose(jacobian[:, k], slope, rtol=1e-8, atol=1e-9)


LONG = np.sin(np.arange(3000.0) ** 1.2)


@pytest.mark.parametrize("function", [
    lambda p: signal.lfilter([0.3, 0.2], [2.0, -0.5], p[0] * LONG + p[1]),
    lambda p: signal.sosfilt(SECTIONS, p[0] * LONG + p[1]),
    lambda p: np.concatenate([signal.lfilter([0.3, p[0]], [1, -0.5], IMAGE, zi=[[p[1]]])[k] for k in (0,)]),
    lambda p: np.concatenate([signal.lfilter([0.3, 0.1], [1, -0.5], p[:0]), p]),
])  # fmt: skip
def test_long_and_empty_signals_and_one_state_for_all_rows(function):
    place = np.array([0.7, 0.4])
    values, jacobian = TracedVector(trace(lambda p: np.ravel(function(p)), Parameters.of(place))).both(place)
    np.testing.assert_allclose(values, np.ravel(function(place)), rtol=1e-10, atol=1e-12)
    for k, step in enumerate(np.eye(2) * 1e-3):
        slope = np.ravel(function(place + step) - function(place - step)) / (2 * step[k])
        np.testing.assert_allclose(jacobian[:, k], slope, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("function", [
    lambda p: signal.resample_poly(p[0] * HEARD, 3, 2, padtype="maximum"),
    lambda p: signal.resample_poly(p[0] * HEARD, 3, 2, 0, ("kaiser", 5.0), "median"),
    lambda p: ndimage.gaussian_gradient_magnitude(p[0] * IMAGE, 1.0),
    lambda p: ndimage.uniform_filter(p[0] * IMAGE > 1, 3),
])  # fmt: skip
def test_filters_that_are_not_linear_in_numbers_are_refused(function):
    with pytest.raises(TracingError):
        trace(lambda p: np.sum(function(p)), Parameters.of(np.ones(1)))


def test_the_coefficients_of_a_filter_are_found_from_what_it_did():
    heard = np.random.default_rng(1).normal(size=300)
    seen = signal.lfilter([0.7, 0.1], [1, -0.4, 0.2], heard)
    found = st.minimize(
        lambda p: np.sum((signal.lfilter(p[:2], np.array([1.0, p[2], p[3]]), heard) - seen) ** 2), np.zeros(4)
    )
    np.testing.assert_allclose(found.x, [0.7, 0.1, -0.4, 0.2], rtol=1e-9)
    assert found.success


def test_a_filter_in_which_more_depends_on_parameters_is_refused_by_name():
    with pytest.raises(TracingError, match=r"gaussian_filter .*signal"):
        trace(lambda p: np.sum(ndimage.gaussian_filter(IMAGE, p[0])), Parameters.of(np.ones(1)))
