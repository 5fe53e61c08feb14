"""Constraints mean the same in every form they are written in, and what cannot be meant is refused before any call."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose

from steepest import ExpressionError, InputError, minimize
from steepest.constraints.inequality import sides_of
from steepest.constraints.reading import _distinct as distinct
from steepest.presentation.text import _constraints as text_of_constraints


def paraboloid(x):
    return (x[0] - 2) ** 2 + (x[1] - 1) ** 2


def disc(x):
    return 1 - x[0] ** 2 - x[1] ** 2


# The point of the unit disc nearest to (2, 1).
NEAREST = np.array([2.0, 1.0]) / np.sqrt(5)


@pytest.mark.parametrize(
    "constraint",
    [
        {"type": "ineq", "fun": disc},
        {"type": "ineq", "fun": lambda x, r: r**2 - x @ x, "args": (1.0,)},
        [{"type": "ineq", "fun": disc}, {"type": "ineq", "fun": lambda x: x[0]}],
        scipy.optimize.NonlinearConstraint(lambda x: x @ x, -np.inf, 1.0),
        scipy.optimize.NonlinearConstraint(lambda x: np.array([x @ x, x[0]]), [-np.inf, 0], [1.0, np.inf]),
    ],
)
def test_the_nearest_point_of_a_disc_is_found_however_the_disc_is_written(constraint):
    result = minimize(paraboloid, np.array([0.2, -0.3]), constraints=constraint)
    assert result.success
    assert_allclose(result.x, NEAREST, rtol=1e-12)


@pytest.mark.parametrize(
    "text", ["x**2 + y**2 <= 1", "1 >= x**2 + y**2", "-5 <= x**2 + y**2 < 1", "x**2 <= 1 - y**2"]
)
def test_an_expression_is_a_constraint(text):
    result = minimize("(x-2)**2 + (y-1)**2", {"x": 0.0, "y": 0.0}, constraints=text)
    assert_allclose([result.x["x"], result.x["y"]], NEAREST, rtol=1e-12)


def test_a_linear_constraint_on_a_dict_of_parameters_speaks_of_them_in_their_order():
    def cost(a, b):
        return a**2 + 2 * np.sum(b**2)

    # min a² + 2b₀² + 2b₁² with a + b₀ + b₁ = 4: a = 2, b = 1 by symmetry of 2a = 4b.
    equation = scipy.optimize.LinearConstraint([[1.0, 1.0, 1.0]], 4.0, 4.0)
    result = minimize(cost, {"a": 0.0, "b": np.zeros(2)}, constraints=equation)
    assert_allclose(result.x["a"], 2.0)
    assert_allclose(result.x["b"], [1.0, 1.0])


def test_a_function_may_take_some_of_the_named_parameters():
    result = minimize(
        lambda a, b: (a - 3) ** 2 + (b - 2) ** 2,
        {"a": 0.0, "b": 0.0},
        constraints={"type": "ineq", "fun": lambda b: 1 - b},
    )
    assert_allclose([result.x["a"], result.x["b"]], [3.0, 1.0])


def test_fixed_parameters_stay_and_bounds_hold_beside_constraints():
    seen = []

    def cost(x):
        return np.sum((x - 3) ** 2)

    equation = scipy.optimize.LinearConstraint([[1.0, 1.0, 1.0]], 4.0, 4.0)
    result = minimize(
        cost, [1.0, 0.0, 0.0], constraints=equation, fixed=[0], bounds=[(None, None), (None, 0.5), (None, None)],
        callback=lambda x: seen.append(x),
    )  # fmt: skip
    assert_allclose(result.x, [1.0, 0.5, 2.5])
    assert all(x[1] <= 0.5 and x[0] == 1.0 for x in seen) and seen


def test_a_function_that_branches_uses_its_own_jacobian():
    def branching(x):
        return 1 - x[0] ** 2 - x[1] ** 2 if x[0] < 100 else -1.0

    constraint = {"type": "ineq", "fun": branching, "jac": lambda x: np.array([-2 * x[0], -2 * x[1]])}
    result = minimize(paraboloid, np.zeros(2), constraints=constraint)
    assert_allclose(result.x, NEAREST, rtol=1e-7)


@pytest.mark.parametrize(
    ("constraint", "told"),
    [
        (3.0, "cannot be read"),
        ([3.0], "constraint 1 is 3.0"),
        ({"type": "le", "fun": disc}, "'le'"),
        ({"type": "ineq"}, "lacks"),
        ({"type": "ineq", "fun": disc, "hess": 1}, "'hess'"),
        (scipy.optimize.Bounds(0, 1), "bounds="),
        (scipy.optimize.LinearConstraint([[1.0, 2.0, 3.0]], 0, 1), "3 columns for 2 parameters"),
        (scipy.optimize.NonlinearConstraint(lambda x: x, [0, 0, 0], 1), "3 lower limits"),
        (scipy.optimize.NonlinearConstraint(disc, 2, 1), "leave nothing: 2.0 to 1.0"),
        ("q <= 1", "speaks of q"),
    ],
)
def test_what_is_no_constraint_is_refused_with_what_to_write_instead(constraint, told):
    calls = []

    def cost(x):
        calls.append(1)
        return paraboloid(x)

    with pytest.raises(InputError, match=told):
        minimize(cost, np.zeros(2), constraints=constraint)
    assert len(calls) <= 1  # it was traced and never called


@pytest.mark.parametrize(
    "text", ["x + y", "x != 1", "x <= ", "1 <= x >= 2", "a <= b <= c", "x <= 1 <= y <= 2"]
)
def test_a_text_that_says_nothing_to_hold_points_at_the_place(text):
    with pytest.raises(ExpressionError):
        sides_of(text)


def test_a_method_that_knows_no_constraints_is_refused():
    with pytest.raises(InputError, match="interior point"):
        minimize(paraboloid, np.zeros(2), method="bfgs", constraints={"type": "ineq", "fun": disc})
    with pytest.raises(InputError, match="constraints"):
        minimize(paraboloid, np.zeros(2), method="interior point")


class Compared(str):
    """A name that counts how often it is compared with others."""

    comparisons = 0

    def __eq__(self, other):
        Compared.comparisons += 1
        return str.__eq__(self, other)

    def __hash__(self):
        return str.__hash__(self)


def test_names_of_many_constraints_are_told_apart_without_comparing_each_with_all():
    assert distinct(["limit", "limit (2)", "limit", "other", "limit"]) == (
        "limit", "limit (2)", "limit (3)", "other", "limit (4)",
    )  # fmt: skip
    names = [Compared(f"row {k % 500}") for k in range(2000)]
    Compared.comparisons = 0
    assert len(set(distinct(names))) == 2000
    assert Compared.comparisons < 20 * len(names)


def test_the_text_of_many_constraints_is_written_without_comparing_each_with_all():
    names = [Compared(f"row {k}") for k in range(2000)]
    result = SimpleNamespace(
        multipliers=dict.fromkeys(names, 0.0), active=tuple(map(Compared, names[1000:])),
        bound_multipliers=np.zeros(1), names=("x",),
    )  # fmt: skip
    Compared.comparisons = 0
    assert "row 1000" in "\n".join(text_of_constraints(result))
    assert Compared.comparisons < 20 * len(names)
