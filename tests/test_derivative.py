"""Exact derivatives of any order, against closed forms and fifty-digit arithmetic."""

import numpy as np
import pytest
from mpmath import mp
from numpy.testing import assert_allclose

import steepest as st

FUNCTIONS = {
    "exp(-x**2/2)*sin(3*x)": lambda x: mp.exp(-(x**2) / 2) * mp.sin(3 * x),
    "log(1 + x**2)/(2 + cos(x))": lambda x: mp.log(1 + x**2) / (2 + mp.cos(x)),
    "sqrt(1 + tanh(x))*x**3": lambda x: mp.sqrt(1 + mp.tanh(x)) * x**3,
    "erf(x)*atan(2*x)": lambda x: mp.erf(x) * mp.atan(2 * x),
}


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("text", FUNCTIONS)
def test_derivatives_of_any_order_agree_with_fifty_digits(text, order):
    with mp.workdps(50):
        expected = [float(mp.diff(FUNCTIONS[text], x, order)) for x in (-0.8, 0.3, 1.7)]
    assert_allclose(st.derivative(text, order=order)(np.array([-0.8, 0.3, 1.7])), expected, rtol=1e-11)


def test_a_number_gives_a_number_and_an_array_an_array():
    d = st.derivative(lambda x: x**2 - 2 * x + 3)
    assert d(-1) == -4.0 and isinstance(d(-1), float)
    assert d(np.array([[-1.0, 1.0], [3.0, 0.0]])).tolist() == [[-4.0, 0.0], [4.0, -2.0]]


def test_hessian_of_a_quadratic_is_its_matrix():
    A = np.array([[3.0, 1.0], [1.0, 2.0]])
    cost = lambda x: 0.5 * x @ A @ x  # noqa: E731
    assert_allclose(st.hessian(cost)(np.ones(2)), A, rtol=1e-14)
    assert_allclose(st.hvp(cost)(np.ones(2), np.array([1.0, -1.0])), A @ [1.0, -1.0], rtol=1e-14)
    assert st.hessian(lambda x: x**3)(2.0) == 12.0


def test_a_sparse_hessian_is_the_dense_one():
    chained = lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)  # noqa: E731
    x = np.linspace(-1, 1, 40)
    sparse = st.hessian(chained, sparse=True)(x)
    assert sparse.nnz <= 3 * 40
    assert_allclose(sparse.toarray(), st.hessian(chained)(x), rtol=1e-12, atol=1e-12)
    large = st.hessian(chained)(np.zeros(5000))
    assert large.shape == (5000, 5000) and large.nnz < 15_000


def test_the_jacobian_has_the_shape_of_the_result_and_of_the_parameters():
    def model(p):
        return np.outer(p["a"], p["b"])

    J = st.jacobian(model)({"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0, 5.0])})
    assert J["a"].shape == (2, 3, 2) and J["b"].shape == (2, 3, 3)
    assert_allclose(J["a"][:, :, 0], [[3.0, 4.0, 5.0], [0, 0, 0]])
    t = np.linspace(0, 1, 30)
    wide = st.jacobian(lambda p, t: p[0] * np.exp(-p[1] * t))(np.array([2.0, 0.5]), t)
    assert_allclose(wide, np.stack([np.exp(-0.5 * t), -2 * t * np.exp(-0.5 * t)], axis=1), rtol=1e-14)


def test_numeric_derivatives_of_compiled_code_are_close():
    import math

    with mp.workdps(30):
        expected = float(mp.diff(mp.gamma, 2.5))
    assert_allclose(st.derivative(math.gamma)(2.5), expected, rtol=1e-6)
    assert_allclose(
        st.gradient(lambda p: float(p[0]) ** 2, derivatives="numeric")(np.array([3.0])), [6.0], rtol=1e-6
    )


def test_symbols():
    assert str(st.symbolic("x**2 - 2*x + 3", order=1)) == "2*x - 2"
    import sympy

    assert sympy.latex(st.symbolic("x**2 - 2*x + 3", order=1)) == "2 x - 2"
    traced = st.symbolic(lambda x: np.sin(x) * x**2, order=1)
    x = next(iter(traced.free_symbols))
    assert sympy.simplify(traced - (2 * x * sympy.sin(x) + x**2 * sympy.cos(x))) == 0


@pytest.mark.parametrize("order", [-1, 1.5, "2", True])
def test_an_order_that_is_no_whole_number_is_refused(order):
    with pytest.raises(st.InputError, match="order"):
        st.derivative("x**2", order=order)
