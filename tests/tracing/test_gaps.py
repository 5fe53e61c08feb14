"""Entries that are left aside for being no numbers take no slope with them; against the same cost without them."""

import numpy as np
import pytest

import steepest as st

t = np.linspace(0.1, 2.0, 7)
y = np.array([1.0, 2.0, 0.5, np.nan, 3.0, 1.2, 0.7])
known = ~np.isnan(y)
sigma = np.array([1.0, 2.0, 0.0, 1.0, 3.0, 0.0, 1.0])
place = np.array([0.7, -0.4])


def squares(p, t=t, y=y):
    return (p[0] * t + p[1] - y) ** 2


def without(p):
    return squares(p, t[known], y[known])


def filled(p):
    r = squares(p)
    np.nan_to_num(r, copy=False, nan=2.0)
    return np.sum(r)


def quotients(p, t=t, sigma=sigma):
    return (p[0] * t + p[1]) / sigma


SAME = {
    "nansum": (lambda p: np.nansum(squares(p)), lambda p: np.sum(without(p))),
    "nanmean": (lambda p: np.nanmean(squares(p)), lambda p: np.mean(without(p))),
    "nanstd": (lambda p: np.nanstd(squares(p)), lambda p: np.std(without(p))),
    "nanvar": (lambda p: np.nanvar(squares(p), ddof=1), lambda p: np.var(without(p), ddof=1)),
    "nanmedian": (lambda p: np.nanmedian(squares(p)), lambda p: np.median(without(p))),
    "nanmax": (lambda p: np.nanmax(squares(p)), lambda p: np.max(without(p))),
    "nancumsum": (lambda p: np.nancumsum(squares(p))[-1], lambda p: np.sum(without(p))),
    "nan_to_num": (lambda p: np.sum(np.nan_to_num(squares(p))), lambda p: np.sum(without(p))),
    "nan_to_num in place": (filled, lambda p: np.sum(without(p)) + 2.0),
    "where": (
        lambda p: np.sum(np.where(np.isnan(squares(p)), 0.0, squares(p))),
        lambda p: np.sum(without(p)),
    ),
    "quotients": (
        lambda p: np.sum(np.where(np.isfinite(quotients(p)), quotients(p) ** 2, 0.0)),
        lambda p: np.sum(quotients(p, t[sigma > 0], sigma[sigma > 0]) ** 2),
    ),
    "roots": (
        lambda p: np.nansum(np.sqrt(t - p[0]) * (p[1] + t)),
        lambda p: np.sum(np.sqrt(t[t > 0.7] - p[0]) * (p[1] + t[t > 0.7])),
    ),
    "logarithms": (
        lambda p: np.nansum((p[1] + t) * np.log(t - p[0])),
        lambda p: np.sum((p[1] + t[t > 0.7]) * np.log(t[t > 0.7] - p[0])),
    ),
    "finite ones": (
        lambda p: np.sum(np.where(np.isfinite((t - p[0]) ** -1.5), (t - p[0]) ** -1.5, 0.0)),
        lambda p: np.sum((t[t > 0.7] - p[0]) ** -1.5),
    ),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", SAME)
def test_a_gap_takes_no_slope_with_it(name):
    cost, other = SAME[name]
    np.testing.assert_allclose(cost(place), other(place), rtol=1e-13)
    np.testing.assert_allclose(st.gradient(cost)(place), st.gradient(other)(place), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(st.hessian(cost)(place), st.hessian(other)(place), rtol=1e-9, atol=1e-9)


def test_a_gap_that_is_not_left_aside_is_still_the_value():
    found = st.slope(lambda p: np.sum(squares(p)) + np.nansum(squares(p)), at=place)
    assert np.isnan(found.points[0].value)
