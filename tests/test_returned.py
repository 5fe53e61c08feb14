"""What functions return that are no costs, residuals or models: said before any walk, traced or not."""

import numpy as np
import pytest

import steepest as st
from steepest import InputError

WAYS = ["auto", "numeric"]
RETURNED = {
    "nothing": lambda p: None,
    "str, which is no number": lambda p: "a",
    "dict, which is no number": lambda p: {"f": 1.0},
    "complex numbers": lambda p: p * 1j,
    r"a tuple of 2 parts of different shapes \(a number, \(2,\)\)": lambda p: (p[0], p),
}


@pytest.mark.parametrize("derivatives", WAYS)
@pytest.mark.parametrize("told", RETURNED)
def test_what_is_no_number_is_named(told, derivatives):
    function = RETURNED[told]
    for call in (st.minimize, st.least_squares, st.verify):
        with pytest.raises(InputError, match=told):
            call(function, [1.0, 2.0], derivatives=derivatives)
    with pytest.raises(InputError, match=f"^model returns {told}"):
        st.fit(lambda x, p: function(p), [1.0, 2.0], [1.0, 2.0], [[1.0, 2.0]], derivatives=derivatives)


@pytest.mark.parametrize("derivatives", WAYS)
@pytest.mark.parametrize(
    "residual", [lambda p: np.zeros(0), lambda p: p[:0] ** 2, lambda p: np.zeros((0, 3))]
)
def test_no_residual_is_an_error(residual, derivatives, capfd):
    with pytest.raises(InputError, match="returns no residual"):
        st.least_squares(residual, [1.0, 2.0], derivatives=derivatives)
    with pytest.raises(InputError, match="returns no residual"):
        st.least_squares(residual, [1.0, 2.0], jac=lambda p: np.zeros((0, 2)))
    assert capfd.readouterr() == ("", "")


def test_a_jacobian_of_another_shape_is_an_error_and_one_of_one_row_may_be_flat():
    def residual(p):
        return np.array([p[0] - 1.0, p[1] - 2.0, p[0] * p[1]])

    with pytest.raises(
        InputError, match=r"jac returns an array of shape \(2, 3\) for 3 residuals of 2 param"
    ):
        st.least_squares(residual, [1.0, 1.0], jac=lambda p: np.array([[1.0, 0, p[1]], [0, 1.0, p[0]]]))
    with pytest.raises(InputError, match="jac returns nothing"):
        st.least_squares(residual, [1.0, 1.0], jac=lambda p: None)
    flat = st.least_squares(lambda p: p[0] - 2.0 * p[1] + 1.0, [1.0, 1.0], jac=lambda p: [1.0, -2.0])
    assert flat.success and flat.fun < 1e-25


def test_measurements_and_starts_that_are_none_are_named():
    with pytest.raises(InputError, match="y is None"):
        st.fit("a*x", [1.0, 2.0], None, [1.0])
    with pytest.raises(InputError, match="the start of a is None"):
        st.fit("a*x + b", [1.0, 2.0], [1.0, 2.0], {"a": None, "b": 1.0})
    with pytest.raises(InputError, match="sigma = nan"):
        st.fit("a*x", [1.0, 2.0], [1.0, 2.0], [1.0], sigma=[1.0, np.nan])


def test_a_model_of_one_number_is_told_to_be_level():
    found = st.fit(lambda x, a: a, [1.0, 2.0, 3.0], [1.0, 2.0, 6.0], [1.0])
    assert found.values["a"] == pytest.approx(3.0, rel=1e-12)
    assert any("one number" in remark and "3 points" in remark for remark in found.remarks)
