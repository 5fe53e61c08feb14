"""`verify` judges anybody's point; a certificate can be checked by a stranger, and cannot be forged by one word."""

import json

import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.optimize import LinearConstraint, NonlinearConstraint

import steepest
from steepest import InputError, Verdict, verify
from steepest.recheck import recheck
from steepest.reference_problems import rosenbrock
from steepest.verdict.certificate import read


def test_scipys_minimum_is_confirmed_with_digits():
    theirs = scipy.optimize.minimize(rosenbrock, [-1.2, 1.0], jac=steepest.gradient(rosenbrock), tol=1e-12)
    found = verify(rosenbrock, theirs)
    assert found == "global minimum"
    assert found.success
    true_digits = -np.log10(np.abs(theirs.x - 1) + 1e-16)
    assert (found.digits <= true_digits + 1).all()


def test_scipys_success_at_a_saddle_is_refused_and_the_way_down_given():
    def cost(x):
        return x[0] ** 2 - x[1] ** 2 + x[1] ** 4

    theirs = scipy.optimize.minimize(cost, [1.0, 0.0], method="BFGS")
    assert theirs.success
    found = verify(cost, theirs.x)
    assert found == Verdict.SADDLE_POINT
    assert cost(theirs.x + 0.1 * found.downhill) < cost(theirs.x)


def test_a_point_on_its_bound_is_a_minimum_with_its_multiplier():
    found = verify(lambda x: np.sum((x - 2) ** 2), [1.0, 2.0], [(0, 1), (0, 5)])
    assert found == "global minimum"
    multiplier = next(item for item in found.evidence if "at its bound" in item.name)
    assert multiplier.measured == -2.0


def test_a_point_outside_its_bounds_is_refused_with_its_name_and_value():
    with pytest.raises(InputError, match=r"rate = 3 lies outside its bounds, which end at 1"):
        verify("(rate - 3)**2 + b**2", {"rate": 3.0, "b": 0.0}, {"rate": (0, 1)})


def test_fixed_parameters_are_left_out_of_the_judgement():
    cost = "(x - 1)**2 + x*y"
    assert not verify(cost, {"x": 1.0, "y": 0.0}).success
    assert verify(cost, {"x": 1.0, "y": 0.0}, fixed=["y"]) == "global minimum"


def test_a_quartic_is_known_by_where_its_walk_began():
    # Alone, (1e-5)⁴ has a slope far above rounding; seen from x = 3, nothing is left to gain.
    assert not verify("x**4", 1e-5).success
    assert verify("x**4", 1e-5, start=3.0).success


def test_verify_leaves_the_point_untouched_and_repeats_itself():
    x = np.array([1.0, 1.0])
    one, other = verify(rosenbrock, x), verify(rosenbrock, x)
    assert x.tolist() == [1.0, 1.0]
    assert one.evidence == other.evidence
    assert one.nfev > 0


def test_a_certificate_holds_what_a_stranger_needs(tmp_path):
    result = steepest.minimize("(1-x)**2 + 100*(y-x**2)**2", {"x": -1.2, "y": 1.0}, bounds={"x": (-2, 0.5)})
    result.certificate().save(tmp_path / "c.json")
    certificate = read(tmp_path / "c.json")
    assert certificate["x"] == {"x": float(result.x["x"]), "y": float(result.x["y"])}
    checked = recheck(certificate, certificate["cost"]["expression"])
    assert checked.holds, str(checked)
    assert checked.verification.verdict == result.verdict


@pytest.mark.parametrize(
    "change",
    [{"fun": 1.0}, {"verdict": "saddle point"}, {"x": {"x": 0.9, "y": 0.81}}, {"verdict": "stopped"}],
)
def test_a_changed_certificate_does_not_hold(change):
    certificate = steepest.minimize("(1-x)**2 + 100*(y-x**2)**2", {"x": -1.2, "y": 1.0}).certificate()
    certificate = json.loads(str(certificate)) | change
    assert not recheck(certificate, certificate["cost"]["expression"]).holds


def test_data_travel_with_the_certificate_and_other_data_are_refused():
    t = np.linspace(0, 1, 20)

    def cost(p, t, y):
        return np.sum((y - p[0] * np.exp(-p[1] * t)) ** 2)

    y = 2 * np.exp(-3 * t) + 0.01 * np.sin(40 * t)
    certificate = steepest.minimize(cost, [1.0, 1.0], args=(t, y), fixed=[]).certificate()
    certificate = json.loads(str(certificate))
    assert recheck(certificate, cost).holds
    assert recheck(certificate, cost, args=(t, y)).holds
    with pytest.raises(InputError, match="argument 2 of the cost is not the one"):
        recheck(certificate, cost, args=(t, y + 1))


def test_a_file_that_is_no_certificate_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.json").write_text("not json")
    for name, words in (("a", "not a certificate"), ("b", "is not JSON"), ("c", "there is no file")):
        with pytest.raises(InputError, match=words):
            read(tmp_path / f"{name}.json")


@pytest.mark.parametrize("cost", ["x**2 - 2*x + 3", "cos(x)", "exp(x)", "-x**2 + 0*x"])
def test_every_verdict_can_be_certified(cost):
    certificate = json.loads(str(steepest.minimize(cost, 0.5, budget=200).certificate()))
    assert recheck(certificate, cost).holds


# -- between constraints -------------------------------------------------------------------------------------


def on_circle(p):
    return p[0] ** 2 + p[1] ** 2


def product(p):
    return p[0] * p[1]


def _between_all_forms():
    # Lowest of x + 2y + z² on the circle of radius √5 with x + y <= 4 and xy >= -10: (-1, -2, 0), multiplier -1/2 of
    # the circle's equation; the other constraints do not push.
    constraints = [
        {"type": "eq", "fun": on_circle, "name": "circle"},
        LinearConstraint(np.array([[1.0, 1.0, 0.0]]), -np.inf, 4.0),
        NonlinearConstraint(product, -10.0, np.inf),
    ]
    circle = NonlinearConstraint(on_circle, 5.0, 5.0)
    return steepest.minimize(
        lambda p: p[0] + 2 * p[1] + p[2] ** 2,
        np.array([1.0, 1.0, 1.0]),
        constraints=[circle, *constraints[1:]],
    )


def test_a_certificate_carries_its_constraints_and_their_multipliers():
    result = _between_all_forms()
    assert_allclose(result.x, [-1.0, -2.0, 0.0], atol=1e-9)
    certificate = json.loads(str(result.certificate()))
    kinds = [set(one) & {"function", "matrix", "lower", "upper"} for one in certificate["constraints"]]
    assert kinds == [
        {"function", "lower", "upper"},
        {"matrix", "lower", "upper"},
        {"function", "lower", "upper"},
    ]
    assert_allclose(sorted(certificate["multipliers"].values()), [-0.5, 0.0, 0.0], atol=1e-9)
    given = [
        NonlinearConstraint(on_circle, 5.0, 5.0),
        LinearConstraint(np.array([[1.0, 1.0, 0.0]]), -np.inf, 4.0),
        NonlinearConstraint(product, -10.0, np.inf),
    ]
    checked = recheck(certificate, lambda p: p[0] + 2 * p[1] + p[2] ** 2, constraints=given)
    assert checked.holds, str(checked)
    assert {"violation", "slopes balance, part left"} <= {claim for claim, *_ in checked.claims}
    with pytest.raises(InputError, match=r"on_circle of .*give the constraints"):
        recheck(certificate, lambda p: p[0] + 2 * p[1] + p[2] ** 2)


TEXT = {"x": 1.0, "y": 1.0}


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        ({}, None),
        ({"multipliers": {"x + y >= 1": 1.1}}, "slopes balance, part left"),
        ({"multipliers": {"x + y >= 1": -1.0}}, "multipliers push from a limit"),
        ({"multipliers": {}}, "multipliers"),
        ({"x": {"x": 0.4, "y": 0.5}, "fun": 0.41}, "violation"),
        ({"x": {"x": 0.6, "y": 0.5}, "fun": 0.61}, "verdict"),
        ({"constraints": [{"expression": "x + y >= 1.2"}]}, "verdict"),
        ({"constraints": [{"expression": "x + y >= 0.8"}]}, "multipliers"),
    ],
)
def test_a_forged_certificate_between_constraints_does_not_hold(change, fails):
    result = steepest.minimize("x**2 + y**2", TEXT, constraints="x + y >= 1")
    assert_allclose([result.x["x"], result.multipliers["x + y >= 1"]], [0.5, 1.0])
    certificate = json.loads(str(result.certificate())) | change
    checked = recheck(certificate, certificate["cost"]["expression"])
    assert checked.holds is (fails is None), str(checked)
    assert fails is None or fails in {claim for claim, *_, agrees in checked.claims if not agrees}


def test_bounds_fixed_parameters_and_sparse_rows_are_rechecked_too():
    n = 6
    rows = LinearConstraint(sparse.csr_array(np.eye(n)[:3] + np.eye(n, k=1)[:3]), 1.0, np.inf)
    start = np.full(n, 2.0)
    bounds = [(0.0, None)] + [(None, None)] * (n - 1)

    def cost(x):
        return np.sum((x + 1.0) ** 2)

    result = steepest.minimize(cost, start, bounds=bounds, fixed=[5], constraints=rows)
    certificate = json.loads(str(result.certificate()))
    assert certificate["constraints"][0]["matrix"]["shape"] == [3, n]
    checked = recheck(certificate, cost)
    assert checked.holds, str(checked)


@pytest.mark.parametrize("nameless", [lambda p: p["x"], lambda x, y: x + y - 1])
def test_a_constraint_that_nobody_could_find_again_is_refused(nameless):
    found = steepest.minimize("x**2 + y**2", TEXT, constraints={"type": "ineq", "fun": nameless})
    assert found.success
    with pytest.raises(InputError, match=r"constraint 1 is .*lambda.*in a Python file, or as an expression"):
        found.certificate()


def test_a_point_between_constraints_is_judged_whoever_found_it():
    lowest = verify("x**2 + y**2", {"x": 0.5, "y": 0.5}, constraints="x + y >= 1")
    assert lowest == "global minimum"
    assert_allclose(lowest.multipliers["x + y >= 1"], 1.0)
    assert verify("x**2 + y**2", {"x": 0.5, "y": 0.5}) != "global minimum"
    assert not verify("x**2 + y**2", {"x": 0.6, "y": 0.6}, constraints="x + y >= 1").success
    outside = verify("x**2 + y**2", {"x": 0.0, "y": 0.0}, constraints="x + y >= 1")
    assert not outside.success and outside.violation == 1.0
    assert recheck(json.loads(str(lowest.certificate())), "x**2 + y**2").holds
