"""Constraints whose slopes vanish or have a kink where they hold: what is claimed there, against the truth."""

import numpy as np
import pytest

import steepest as st


def at_least_zero(fun):
    return {"type": "ineq", "fun": fun}


def zero(fun):
    return {"type": "eq", "fun": fun}


# Cost, start, equation, and the point that alone meets it or is lowest on it.
VANISHING = {
    "a square": (lambda x: x[0] + x[0] ** 2, [1.0], lambda x: x[0] ** 2, [0.0]),
    "a square beside a bowl": (
        lambda x: x[0] + x[0] ** 2 + (x[1] - 1) ** 2,
        [1.0, 0.0],
        lambda x: x[0] ** 2,
        [0.0, 1.0],
    ),
    "a sum of squares": (lambda x: x[0] + 2 * x[1] + x[0] ** 2, [1.0, 1.0], lambda x: x @ x, [0.0, 0.0]),
    "a cosine at its top": (lambda x: (x[0] - 2) ** 2, [np.pi], lambda x: np.cos(x[0]) - 1, [0.0]),
    "the square of a line": (
        lambda x: x[0] ** 2 + (x[1] - 2) ** 2,
        [0.5, 0.1],
        lambda x: (x[0] - x[1]) ** 2,
        [1.0, 1.0],
    ),
}


@pytest.mark.parametrize("name", VANISHING)
def test_no_more_digits_are_promised_than_are_true_where_the_slope_of_a_constraint_vanishes(name):
    cost, start, equation, truth = VANISHING[name]
    result = st.minimize(cost, np.array(start), constraints=[zero(equation)])
    off = np.abs(result.x - truth)
    if result.digits is not None:
        size = np.maximum(np.abs(result.x), np.where(off >= np.abs(result.x), 1.0, 0.0))
        promised = 10.0 ** -np.floor(result.digits) * size
        assert (off <= 10.0 * promised).all(), (off, result.digits)
    if result.success:
        assert "vanish" in result.message


def test_a_corner_of_a_maximum_is_left_where_another_side_leads_down():
    for n in (2, 3, 5):
        result = st.minimize(
            lambda x: np.sum(x**2), np.zeros(n), constraints=[at_least_zero(lambda x: np.max(x) - 1)]
        )
        assert result.success and result.fun == pytest.approx(1.0, rel=1e-9), result.message


@pytest.mark.parametrize("unit", [1.0, 1e8, 1e-8])
def test_one_constraint_depends_on_no_other_in_any_unit(unit):
    result = st.minimize(
        lambda x: np.sum((x / unit - 0.2) ** 2),
        np.zeros(2),
        constraints=[at_least_zero(lambda x: np.linalg.norm(x) / unit - 1)],
    )
    assert result.success and "depend on each other" not in result.message
    assert result.x / unit == pytest.approx(np.full(2, 0.5**0.5), rel=1e-9)


def test_discs_that_touch_may_be_turned_and_no_digit_of_their_places_is_promised():
    def apart(x):
        first, second, third = x[0:2], x[2:4], x[4:6]
        return np.array(
            [np.linalg.norm(p - q) - 1 for p, q in ((first, second), (second, third), (third, first))]
        )

    result = st.minimize(lambda x: np.sum(x**2), np.arange(6.0), constraints=[at_least_zero(apart)])
    assert result.success and result.fun == pytest.approx(1.0, rel=1e-9)
    assert (result.digits < 1.0).all()
