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


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_gaps_in_the_rows_of_a_loop_take_no_slope_with_them():
    y = np.where(np.arange(40) % 7 == 3, np.nan, np.sin(np.arange(40.0)))

    def row_by_row(p, rows):
        total = 0.0
        for k in rows:
            total = total + np.nansum((p[k % 2] * np.arange(3.0) - y[k]) ** 2)
        return total

    kept = np.flatnonzero(~np.isnan(y)).tolist()
    slope = st.gradient(lambda p: row_by_row(p, range(40)))(place)
    np.testing.assert_allclose(slope, st.gradient(lambda p: row_by_row(p, kept))(place), rtol=1e-12)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_power_at_zero_is_a_gap_only_where_it_is_infinite():
    x = np.array([0.0, 0.25, -1.0])
    of_root = st.gradient(lambda x: np.nansum(x - x**0.3))(x)
    np.testing.assert_allclose(of_root, [-np.inf, 1.0 - 0.3 * 0.25**-0.7, 0.0])
    of_pole = st.gradient(lambda x: np.sum(np.where(np.isfinite(x**-0.3), x**-0.3, 0.0)))(x)
    np.testing.assert_allclose(of_pole, [0.0, -0.3 * 0.25**-1.3, 0.0])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_infinite_slope_down_from_zero_is_no_minimum():
    found = st.minimize(lambda x: np.nansum(x - x**0.3), np.zeros(2), bounds=(0, 1))
    assert not found.success or found.fun < -0.8  # at 0.3^(1/0.7) each
