"""`verify` judges anybody's point; a certificate can be checked by a stranger, and cannot be forged by one word."""

import json

import numpy as np
import pytest
import scipy.optimize

import steepest
from steepest import InputError, Verdict, verify
from steepest.recheck import recheck
from steepest.reference_problems import rosenbrock
from steepest.verdict.certificate import read


def test_scipys_minimum_is_confirmed_with_digits():
    theirs = scipy.optimize.minimize(rosenbrock, [-1.2, 1.0], jac=steepest.gradient(rosenbrock), tol=1e-12)
    found = verify(rosenbrock, theirs)
    assert found == "local minimum"
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


def test_no_certificate_is_given_that_would_forget_the_constraints():
    found = steepest.minimize("x**2 + y**2", {"x": 1.0, "y": 1.0}, constraints="x + y >= 1")
    assert found.success
    with pytest.raises(InputError, match="no constraints"):
        found.certificate()
