"""A plain NumPy function is recorded as it is written, whatever style it is written in."""

import copy
import functools
import math
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import InputError, TracingError, gradient, hessian, minimize
from steepest.cost import read_cost
from steepest.parameters import Parameters
from steepest.traced import evaluation
from tests.tracing import helper_module


def value_of(function, structure, *args):
    """The cost evaluated through its trace, beside which the test sets the plain call."""
    cost = read_cost(function, structure, args)
    parameters = Parameters.of(structure, cost.first)
    trace = cost.trace(parameters, args)
    return float(evaluation(trace, "value")(parameters.vector)[0])


def central_difference(function, x, h=1e-6):
    x = np.asarray(x, dtype=float)
    steps = np.eye(x.size).reshape(x.size, *x.shape) * h
    return np.array([(function(x + s) - function(x - s)) / (2 * h) for s in steps]).reshape(x.shape)


DATA = np.linspace(0.1, 2.0, 7)


def filled_by_assignment(p):
    out = np.zeros(4)
    out[0] = p[0] * 2
    out[1:3] = p[1:]
    out[3] += p[0] * p[1]
    out *= 1.5
    return np.sum(out**2)


def filled_in_a_loop(p):
    path = np.empty((5, 2))
    path[0] = p[:2]
    for k in range(1, 5):
        path[k] = 0.9 * path[k - 1] + np.sin(p[2])
    return np.sum(path[-1] ** 2) + path[:, 0].sum()


def view_written_through(p):
    grid = np.zeros((2, 3))
    row = grid[1]
    row[:] = p
    grid.T[0] += p[0]
    return np.sum(grid * np.arange(6.0).reshape(2, 3))


def array_of_scalars(p):
    rotation = np.array([[np.cos(p[0]), -np.sin(p[0])], [np.sin(p[0]), np.cos(p[0])]])
    return np.sum((rotation @ p[1:] - np.array([1.0, p[2] * 2])) ** 2)


def python_builtins(p):
    terms = [abs(v - 0.3) ** 3 for v in p]
    return sum(terms) + max(p[0], p[1]) * min(p[1], 4.0) + sum(p) + pow(p[2], 2)


def math_module(p):
    return (
        math.exp(p[0])
        + math.sqrt(p[1] ** 2 + 1) * math.hypot(p[2], 2.0)
        + math.log(4.0)
        + math.atan2(p[0], p[1])
    )


def copies_of_data(p):
    y = DATA.copy()
    y[2] = p[0]
    y[-1] -= p[1]
    return np.dot(y, y) + p[2] ** 2


def masked_with_a_constant(p):
    weights = DATA > 0.8
    return np.sum((DATA[weights] * p[0] - p[1]) ** 2) + p[2] ** 2


def through_helpers(p):
    return helper_module.squared_distance(p, 2.0) + helper_module.made_inside(p)


def piecewise(p):
    return np.sum(
        np.where(p > 0.5, p**2, np.exp(p))
        + np.select([p < 0, p < 1], [p, 2 * p], 3 * p)
        + np.clip(p, 0.2, 0.9)
    )


def in_place_on_a_scalar(p):
    total = 0.0
    for v in p:
        total += v**2
    s = p[0]
    s += 1
    return total * s


def matrices(p):
    A = np.outer(p, p) + 3 * np.eye(3)
    return np.linalg.solve(A, p) @ p + np.linalg.slogdet(A)[1] + np.trace(A.T @ A) + np.linalg.norm(p)


def overwritten_after_use(p):
    weights = np.zeros(3)
    weights += p
    start = np.arange(3.0)
    first = start * p
    start[0] = 5.0
    start[1:] *= p[0]
    np.add(weights, p, out=weights)
    return np.sum(first) + start @ start + weights @ weights


def lists_in_numpy_functions(p):
    rows = [[p[0], 1.0], [p[1], p[2]]]
    return (
        np.linalg.det(rows)
        + np.mean([p[0], p[1]])
        + np.dot(rows, [1, 2])[0]
        + np.max([p[0], 1.0])
        + np.trace(rows)
    )


def side_by_side(p):
    return np.sum(np.c_[p, p**2] ** 2) + np.r_[p, 1.0, p[0]] @ np.arange(5.0) + np.r_[0:3] @ p


def one_by_one(p):
    def bent(x, y):
        return math.sin(x) * y if y > 1 else x**2

    by_entry = np.vectorize(bent)(p[0], DATA[:3] * 2)
    return by_entry.sum() + np.fromiter((v**2 for v in p), dtype=float).sum() + np.float64(p[1]) ** 2


def arrays_of_objects(p):
    out = np.empty(3, dtype=object)
    for k in range(3):
        out[k] = p[k] ** 2
    return np.sum(out) + np.array([p[0], p[1]], dtype=object).sum()


def polynomials(p):
    return np.polynomial.Polynomial(p)(2.0) + np.polynomial.chebyshev.chebval(0.3, p) + np.polyval(p, 1.5)


def copied_deep(p):
    q = copy.deepcopy(p)
    q[0] = 1.0
    return np.sum(p * q) + copy.copy(p)[1] ** 2


STYLES = [
    overwritten_after_use,
    lists_in_numpy_functions,
    side_by_side,
    one_by_one,
    arrays_of_objects,
    polynomials,
    copied_deep,
    filled_by_assignment,
    filled_in_a_loop,
    view_written_through,
    array_of_scalars,
    python_builtins,
    math_module,
    copies_of_data,
    masked_with_a_constant,
    through_helpers,
    piecewise,
    in_place_on_a_scalar,
    matrices,
]


@pytest.mark.parametrize("function", STYLES, ids=lambda f: f.__name__)
def test_a_trace_has_the_value_and_the_slope_of_the_plain_function(function):
    p = np.array([0.7, -0.4, 1.3])
    assert_allclose(value_of(function, p), function(p), rtol=1e-13)
    assert_allclose(gradient(function)(p), central_difference(function, p), rtol=2e-8, atol=2e-8)


def test_an_assignment_to_a_full_integer_index_is_not_a_view():
    def cost(p):
        a = np.zeros(2)
        a[0] = p[0]
        b = a[0]
        a[0] = 100.0
        return b * p[1]

    assert_allclose(gradient(cost)(np.array([3.0, 5.0])), [5.0, 3.0], rtol=0)


@dataclass
class Layer:
    weight: np.ndarray
    bias: float
    kind: str = "tanh"


def test_parameters_may_be_any_nesting_of_numbers_arrays_dicts_lists_and_dataclasses():
    def cost(p):
        hidden = getattr(np, p["layer"].kind)(p["layer"].weight @ np.ones(2) + p["layer"].bias)
        return np.sum(hidden**2) * p["scale"] + p["rest"][0] ** 2 + p["rest"][1].sum()

    start = {
        "layer": Layer(np.array([[0.1, 0.2], [0.3, 0.4]]), 0.5),
        "scale": 2.0,
        "rest": [3.0, np.ones((2, 2))],
    }
    slope = gradient(cost)(start)
    hidden = np.tanh(np.array([0.3, 0.7]) + 0.5)
    assert isinstance(slope["layer"], Layer) and slope["layer"].kind == "tanh"
    assert_allclose(slope["scale"], np.sum(hidden**2), rtol=1e-14)
    assert_allclose(slope["layer"].bias, np.sum(2 * hidden * (1 - hidden**2)) * 2, rtol=1e-14)
    assert_allclose(slope["rest"][0], 6.0)
    assert_allclose(slope["rest"][1], np.ones((2, 2)))


def test_a_list_of_numbers_is_an_array_as_in_scipy():
    assert_allclose(gradient(lambda p: np.sum(p[1:] * p[:-1]))([1.0, 2.0, 3.0]), [2.0, 4.0, 2.0])


def test_partials_methods_and_callable_objects_are_traced():
    class Model:
        def __init__(self, t):
            self.t = t
            self.calls = 0

        def residual(self, p):
            out = np.zeros(self.t.size)
            out[:] = p[0] * self.t - p[1]
            return out

        def __call__(self, p):
            self.calls += 1
            return np.sum(self.residual(p) ** 2)

        def loss(self, p, power):
            return np.sum(self.residual(p) ** power)

    model, p = Model(DATA), np.array([0.5, 0.2])
    expected = [2 * np.sum((0.5 * DATA - 0.2) * DATA), -2 * np.sum(0.5 * DATA - 0.2)]
    for fun in (model, functools.partial(model.loss, power=2), functools.partial(model.loss, power=2)):
        assert_allclose(gradient(fun)(p), expected, rtol=1e-13)
    assert_allclose(gradient(model.loss)(p, 2), expected, rtol=1e-13)
    assert model.calls == 1


def test_functions_written_for_jax_are_taken_as_they_are():
    import jax
    import jax.numpy as jnp

    def cost(p):
        return jax.lax.fori_loop(0, 3, lambda k, v: v * jnp.sin(p[0]), p[1])

    x = np.array([0.7, 2.0])
    assert_allclose(gradient(cost)(x), [3 * 2 * np.sin(0.7) ** 2 * np.cos(0.7), np.sin(0.7) ** 3], rtol=1e-13)
    assert_allclose(gradient(jax.jit(cost))(x), gradient(cost)(x), rtol=1e-15)

    def mixed(p):
        return np.sum(jnp.tanh(p) * np.ones(2)) + jax.nn.softplus(p[0])

    assert_allclose(
        gradient(mixed)(x), 1 - np.tanh(x) ** 2 + np.array([1 / (1 + np.exp(-0.7)), 0.0]), rtol=1e-13
    )
    assert not jax.config.jax_enable_x64, "the user's own precision setting was changed"


def test_a_global_the_cost_counts_with_still_counts_once():
    namespace = {"np": np, "calls": 0}
    exec("def cost(p):\n    global calls\n    calls += 1\n    return np.sum(p ** 2)", namespace)
    gradient(namespace["cost"])(np.ones(2))
    assert namespace["calls"] == 1


def test_a_kept_trace_is_not_used_again_once_what_it_read_has_changed():
    data = np.array([1.0, 2.0])
    factor = 3.0

    def cost(p):
        return np.sum(data * p) * factor

    slope = gradient(cost)
    assert_allclose(slope(np.ones(2)), [3.0, 6.0])
    data[0] = 10.0
    assert_allclose(slope(np.ones(2)), [30.0, 6.0])
    factor = 1.0
    assert_allclose(slope(np.ones(2)), [10.0, 2.0])


def test_user_arrays_are_never_changed():
    data = np.array([1.0, 2.0])
    before = data.copy()

    def cost(p):
        data[0] = p[0]
        return np.sum(data)

    with pytest.raises(TracingError, match="made outside the cost"):
        gradient(cost)(np.ones(2))
    assert_allclose(data, before)
    start = np.array([3.0, 4.0])

    def overwrites(p):
        p[0] = p[1] * 2
        p *= 2
        return np.sum(p)

    assert_allclose(gradient(overwrites)(start), [0.0, 6.0])
    assert_allclose(start, [3.0, 4.0])


def if_on_a_parameter(p):
    if p[0] > 0:
        return p[0] ** 2
    return p[1]


def while_on_a_parameter(rate):
    while rate < 10:
        rate = rate * 2
    return rate


def float_of_a_parameter(p):
    return float(p[0]) ** 2


def int_of_a_parameter(p):
    return p[int(p[0])]


def loop_to_a_parameter(n):
    total = 0.0
    for k in range(n):
        total = total + k
    return total


def and_between_conditions(p):
    return np.where(p[0] > 0 and p[1] > 0, 1.0, p[0])


def into_compiled_code(p):
    import bisect

    return p[bisect.bisect([1.0, 2.0], p[0])]


def draws_numbers(p):
    return np.sum(p * np.random.normal(size=2))


def draws_from_the_standard_library(p):
    import random

    return p[0] * random.gauss(0, 1)


def integrates(p):
    from scipy.integrate import cubature

    return cubature(lambda t: np.exp(-p[0] * t[:, 0]), [0.0], [1.0]).estimate


def writes_text(p):
    return p[0] * len("%f" % p[0])  # noqa: UP031


def sorts(p):
    return sorted(p)[0]


def writes_json(p):
    import json

    return len(json.dumps({"a": p[0]}))


def counts_with(p):
    return np.sum(np.arange(0, 1, p[0]))


UNTRACEABLE = [
    (draws_from_the_standard_library, "random.gauss", "random numbers", "args="),
    (integrates, "cubature(lambda", "'p[0]'", "dblquad"),
    (writes_text, '"%f"', "'p[0]'", "f-string"),
    (sorts, "sorted(p)", "'p[0]'", "np.sort"),
    (writes_json, "json.dumps", "'p[0]'", "NumPy functions"),
    (counts_with, "np.arange(0, 1, p[0])", "'p[0]'", "np.linspace"),
    (if_on_a_parameter, "if p[0] > 0", "'p[0]'", "np.where"),
    (while_on_a_parameter, "while rate < 10", "'rate'", "fixed number of steps"),
    (float_of_a_parameter, "float(p[0])", "'p[0]'", "Leave float() away"),
    (int_of_a_parameter, "int(p[0])", "'p[0]'", "np.floor"),
    (loop_to_a_parameter, "range(n)", "'n'", "fixed length"),
    (and_between_conditions, "p[0] > 0", "'p[0]'", "np.logical_and"),
    (into_compiled_code, "bisect.bisect", "'p[0]'", 'derivatives="numeric"'),
    (draws_numbers, "np.random.normal", "random numbers", "args="),
]


@pytest.mark.parametrize(
    ("function", "text", "who", "rewrite"), UNTRACEABLE, ids=lambda v: getattr(v, "__name__", "")
)
def test_what_cannot_be_traced_is_an_error_with_file_line_expression_parameter_and_rewrite(
    function, text, who, rewrite
):
    at = 3.0 if function.__code__.co_varnames[0] != "p" else np.array([1.0, 2.0])
    with pytest.raises(TracingError) as caught:
        gradient(function)(at)
    message = str(caught.value)
    source = open(__file__).read().splitlines()
    line = next(k for k, row in enumerate(source, 1) if k > function.__code__.co_firstlineno and text in row)
    assert f"test_trace.py, line {line}, in {function.__name__}" in message
    assert who in message and rewrite in message
    assert 'derivatives="numeric"' in message


def test_what_is_not_a_cost_is_refused_with_its_name():
    with pytest.raises(InputError, match=r"returns an array of shape \(2,\)"):
        gradient(lambda p: p * 2)(np.ones(2))
    with pytest.raises(InputError, match="returns nothing"):
        gradient(lambda p: None)(np.ones(2))
    with pytest.raises(InputError, match="complex"):
        gradient(lambda p: np.sum(p * 1j))(np.ones(2))


def test_the_users_own_error_passes_through_with_a_note():
    def cost(p):
        return p[0] * {}["missing"]

    with pytest.raises(KeyError) as caught:
        gradient(cost)(np.ones(2))
    assert any("trace it with p of shape (2,)" in note for note in caught.value.__notes__)


def test_the_note_on_the_users_own_error_tells_the_shapes_the_cost_was_given():
    def cost(p, weights, table):
        return p["a"] @ weights @ np.ones(7)

    with pytest.raises(ValueError) as caught:
        minimize(cost, {"a": np.ones(2), "b": 1.0}, (np.ones((2, 3)), {"k": 1}))
    (note,) = caught.value.__notes__
    assert note.endswith("with a of shape (2,), b (a number), an array of shape (2, 3), a dict of k.")


def test_an_object_of_a_library_that_cannot_take_a_parameter_names_what_can():
    from scipy.interpolate import RegularGridInterpolator

    table = RegularGridInterpolator([np.arange(3.0)], np.array([0.0, 1.0, 4.0]))
    with pytest.raises(TracingError, match=r"(?s)test_trace.py, line \d+.*Interpolate with np.interp"):
        gradient(lambda p: np.sum(table(p[0] * np.ones(3))))(np.ones(2))


def test_a_column_of_a_table_is_an_error_that_names_to_numpy():
    import polars

    table = polars.DataFrame({"x": [1.0, 2.0]})
    with pytest.raises(TracingError, match=r"to_numpy\(\)"):
        gradient(lambda p: np.sum(table["x"] * p[0]))(np.ones(2))
    assert_allclose(gradient(lambda p: np.sum(table["x"].to_numpy() * p[0]))(np.ones(2)), [3.0, 0.0])


def test_a_seed_set_inside_the_cost_makes_its_draws_constants():
    def cost(p):
        np.random.seed(0)
        return np.sum(p * np.random.randn(2))

    assert_allclose(gradient(cost)(np.ones(2)), np.random.RandomState(0).randn(2), rtol=0)


def test_a_spline_is_opaque_and_its_slope_is_measured():
    from scipy.interpolate import CubicSpline

    knots = np.linspace(0, 4, 9)
    assert_allclose(gradient(CubicSpline(knots, (knots - 2) ** 2))(1.0), -2.0, rtol=1e-9)


def test_a_masked_array_in_a_cost_is_refused_with_the_line_and_the_rewrite():
    hidden = np.ma.masked_array([1.0, 2.0, 9.0], mask=[False, False, True])
    with pytest.raises(TracingError, match=r"(?s)test_trace.py, line \d+.*y.data\[keep\]"):
        minimize(lambda x: ((x - hidden) ** 2).sum(), 1.0)


def test_an_error_of_ours_carries_no_remark_of_jax_on_its_tracebacks():
    with pytest.raises(TracingError) as caught:
        minimize(lambda x: 1.0 if x > 0 else x**2, 1.0)
    assert not any("JAX" in note for note in getattr(caught.value, "__notes__", ()))


def test_eigenvectors_without_a_derivative_are_an_error_that_says_what_to_write():
    with pytest.raises(TracingError, match=r"np\.linalg\.eigh"):
        minimize(lambda x: np.abs(np.linalg.eig(np.array([[x[0], 1.0], [x[1], 2.0]]))[1]).sum(), [1.0, 2.0])


def test_a_function_without_a_rule_is_named_as_it_is_called():
    from scipy.special import ellip_harm  # SciPy's own name of what it calls is _ellip_harm

    with pytest.raises(TracingError, match=r": ellip_harm is given .*\n    ellip_harm\(.*x\)\n.*numeric"):
        minimize(lambda x: (ellip_harm(5.0, 8.0, 2, 2, x) - 0.5) ** 2, 1.0)


def test_second_derivatives_of_eigenvalues_of_a_matrix_that_is_not_symmetric():
    """The larger root of λ² - tλ + d: λ = (t + √(t² - 4d))/2, with t and d of the matrix below."""

    def largest(x):
        return np.linalg.eigvals(np.array([[x[0], 3.0], [x[1], 2.0]])).real.max()

    def closed(x):
        trace, det = x[0] + 2.0, 2.0 * x[0] - 3.0 * x[1]
        return (trace + np.sqrt(trace**2 - 4 * det)) / 2

    at = np.array([1.5, 0.7])
    assert_allclose(hessian(largest)(at), hessian(closed)(at), rtol=1e-10, atol=1e-12)


def test_a_cost_whose_data_were_taken_for_a_parameter_is_told_of_args():
    with pytest.raises(IndexError) as caught:
        minimize(lambda x, data: x[0] ** 2 * data, [1.0, 2.0])
    assert any("belongs in args=" in note for note in caught.value.__notes__)
