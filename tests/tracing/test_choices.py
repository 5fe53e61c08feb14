"""A branch that is not taken takes no slope with it; against the slope of the branch that is, by hand."""

import numpy as np
import pytest

import steepest as st

x = np.array([0.7, -0.4, 1.3])
up = x > 0


def shared(x):
    root = np.sqrt(x)
    return np.sum(np.where(x > 0, root + root**2 / 3.0, x**2))


def by_scalars(x):
    return sum(np.where(entry > 0, np.sqrt(entry), entry**2) for entry in x)


def nested(x):
    return np.sum(np.where(x > 0, np.where(x < 5, np.sqrt(np.log(x + 1.0) + x**1.5), 0.0), x))


def condition_made_last(x):
    root = np.sqrt(x)
    keep = np.exp(x) > 1
    return np.sum(np.where(keep, root, x**2))


def turn_by_turn(x):
    total = x[1]
    for k in range(30):
        total = 0.9 * total + np.where(x[1] > k, np.log(x[1] - k), 0.1 * x[1])
    return total + np.sum(x**2)


def one_condition_for_all(x):
    return np.where(x[1] > 0, np.sum(np.sqrt(x) / np.sqrt(x[1])), np.sum(x**2))


def repeated(x):
    t = np.array([[0.5], [2.0], [3.0]])
    return np.sum(np.where(t * x[0] < 0, np.sqrt(x[1]), x**2))


SLOPES = {
    "root": (lambda x: np.sum(np.where(x > 0, np.sqrt(x), x**2)), np.where(up, 0.5 / np.sqrt(abs(x)), 2 * x)),
    "power": (lambda x: np.sum(np.where(x > 0, x**1.5, x**2)), np.where(up, 1.5 * abs(x) ** 0.5, 2 * x)),
    "other branch": (
        lambda x: np.sum(np.where(x <= 0, x**2, np.sqrt(x))),
        np.where(up, 0.5 / np.sqrt(abs(x)), 2 * x),
    ),
    "shared in one branch": (shared, np.where(up, 0.5 / np.sqrt(abs(x)) + 1 / 3, 2 * x)),
    "numbers": (by_scalars, np.where(up, 0.5 / np.sqrt(abs(x)), 2 * x)),
    "nested": (
        nested,
        np.where(
            up,
            (1 / (abs(x) + 1) + 1.5 * abs(x) ** 0.5) / 2 / np.sqrt(np.log(abs(x) + 1) + abs(x) ** 1.5),
            1.0,
        ),
    ),
    "condition made last": (condition_made_last, np.where(up, 0.5 / np.sqrt(abs(x)), 2 * x)),
    "loop": (turn_by_turn, 2 * x + np.array([0, 0.9**30 + (1 - 0.9**30), 0])),
    "one condition": (one_condition_for_all, 2 * x),
    "repeated": (repeated, 6 * x),
    "select": (
        lambda x: np.sum(np.select([x > 0, x <= 0], [np.sqrt(x * np.abs(x)), x**2])),
        np.where(up, 1.0, 2 * x),
    ),
    "where=": (
        lambda x: np.sum(np.log(x, where=x > 0, out=np.zeros_like(x))),
        np.where(up, 1 / x, 0.0),
    ),
    "where= into what was there": (
        lambda x: np.sum(np.sqrt(x, where=x > 0, out=x**2)),
        np.where(up, 0.5 / np.sqrt(abs(x)), 2 * x),
    ),
    "where= of a fixed mask": (
        lambda x: np.sum(np.divide(1.0, x - 0.7, out=np.zeros_like(x), where=np.array([False, True, True]))),
        np.append(0.0, -1 / (x[1:] - 0.7) ** 2),
    ),
}


@pytest.mark.parametrize("name", SLOPES)
def test_the_slope_is_that_of_the_branch_taken(name):
    cost, slope = SLOPES[name]
    np.testing.assert_allclose(st.gradient(cost)(x), slope, rtol=1e-12, atol=1e-14)
    assert np.isfinite(st.hessian(cost)(x)).all()


def test_large_exponents_in_the_branch_left_aside():
    def softplus(x):
        return np.sum(np.where(x < 50, np.log1p(np.exp(x)), x))

    np.testing.assert_allclose(st.gradient(softplus)([800.0, 0.3]), [1.0, 1 / (1 + np.exp(-0.3))], rtol=1e-13)


def test_a_slope_zero_over_zero_where_the_limit_is_written():
    def sinc(x):
        return np.sum(np.where(x != 0, np.sin(x) / x, 1.0))

    np.testing.assert_allclose(
        st.gradient(sinc)([0.0, 1.0]), [0.0, np.cos(1.0) - np.sin(1.0)], rtol=1e-12, atol=1e-15
    )


def test_a_walk_goes_through_where_a_branch_is_not_defined():
    result = st.minimize(
        lambda p: np.sum(np.where(p > 1, np.sqrt(p - 1), (p - 1) ** 2) + (p + 1) ** 2), [0.5, 3.0]
    )
    np.testing.assert_allclose(result.x, [0.0, 0.0], atol=1e-6)


def test_where_without_out_is_refused_with_what_to_write():
    with pytest.raises(st.TracingError, match=r"out=np.zeros_like\(x\)"):
        st.gradient(lambda x: np.sum(np.log(x, where=x > 0)))(x)
