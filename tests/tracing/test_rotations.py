"""Rotations that depend on the parameters, against SciPy's own at moved parameters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from steepest import TracingError, gradient, hessian, jacobian

from .test_trace import central_difference

X = np.array([0.4, -1.1, 0.8, 0.3])
POINTS = np.random.default_rng(0).normal(size=(5, 3))
FIXED = Rotation.from_rotvec([0.2, 0.5, -0.3])

COSTS = {
    "euler": lambda x: np.sum(Rotation.from_euler("xyz", x[:3]).apply(POINTS) ** 3),
    "euler of the body, in degrees": lambda x: np.sum(
        Rotation.from_euler("ZXZ", 50 * x[:3], degrees=True).as_matrix() ** 3
    ),
    "one axis": lambda x: np.sum(Rotation.from_euler("y", x[0]).apply(POINTS, inverse=True) ** 3),
    "one axis, several turns": lambda x: np.sum(Rotation.from_euler("z", x[:, None]).apply(POINTS[:4]) ** 3),
    "several by euler": lambda x: np.sum(Rotation.from_euler("xyz", [x[:3], x[1:]])[1].as_quat() ** 3),
    "vector": lambda x: np.sum(Rotation.from_rotvec(x[:3]).apply(POINTS) ** 3),
    "a turn so small that series are taken": lambda x: (
        np.sum((Rotation.from_rotvec(1e-3 * x[:3]).apply(POINTS) + POINTS) ** 3)
        + np.sum((Rotation.from_rotvec(1e-3 * x[:3]).as_rotvec() + 1) ** 3)
    ),
    "quaternion": lambda x: (
        np.sum(Rotation.from_quat(x).as_matrix() ** 3)
        + np.sum(Rotation.from_quat(x, scalar_first=True).as_quat(canonical=True) ** 3)
    ),
    "one after another, and back": lambda x: np.sum(
        (FIXED * Rotation.from_rotvec(x[:3]) * Rotation.from_euler("x", x[3])).inv().as_rotvec() ** 3
    ),
    "a fixed one of traced points": lambda x: np.sum(FIXED.apply(np.outer(x, x[:3])) ** 3),
    "magnitude and power": lambda x: (Rotation.from_rotvec(x[:3]) ** 0.7).magnitude() ** 2,
    "back to angles": lambda x: (
        np.sum(Rotation.from_rotvec(x[:3]).as_euler("xyz") ** 3)
        + np.sum(Rotation.from_quat(x).as_euler("ZYX", degrees=True))
        + np.sum(Rotation.from_quat(x).as_euler("zxz") ** 2)
        + np.sum(Rotation.from_quat(x).as_euler("YXY") ** 2)
    ),
    "parameters of Rodrigues": lambda x: np.sum(Rotation.from_mrp(x[:3]).as_mrp() ** 3),
}


@pytest.mark.parametrize("name", COSTS)
def test_rotations_have_the_slopes_of_scipys_own(name):
    cost = COSTS[name]
    slope = gradient(cost)
    assert_allclose(slope(X), central_difference(cost, X), rtol=1e-6, atol=1e-7)
    curvature = np.array(
        [(slope(X + e) - slope(X - e)) / 2e-5 for e in 1e-5 * np.eye(4)]  # of slopes that are right
    )
    assert_allclose(hessian(cost)(X), curvature, rtol=1e-6, atol=1e-6 * max(1, np.abs(curvature).max()))


def test_no_rotation_at_all_has_its_slopes():
    def cost(x):
        return np.sum(Rotation.from_rotvec(x).apply(POINTS) * POINTS[:, ::-1])

    # d(exp(v) p) = v × p at v = 0
    expected = np.sum(np.cross(POINTS, POINTS[:, ::-1]), axis=0)
    assert_allclose(gradient(cost)(np.zeros(3)), expected, rtol=1e-12)
    assert_allclose(
        gradient(lambda x: np.sum(Rotation.from_rotvec(x).as_rotvec() * POINTS[0]))(np.zeros(3)), POINTS[0]
    )


def test_angles_at_a_gimbal_lock_are_scipys():
    from jax.extend.core import jaxpr_as_fun

    from steepest.numerics import double_precision
    from steepest.parameters import Parameters
    from steepest.tracing.trace import trace

    for seq, angles in (
        ("xyz", [0.3, np.pi / 2, 0.2]),
        ("ZYX", [0.3, -np.pi / 2, 0.2]),
        ("zxz", [0.3, 0.0, 0.2]),
    ):
        quat = Rotation.from_euler(seq, angles).as_quat()
        jaxpr = trace(lambda q, s=seq: Rotation.from_quat(q).as_euler(s), Parameters.of(np.ones(4))).jaxpr
        with pytest.warns(UserWarning, match="[Gg]imbal"):
            expected = Rotation.from_quat(quat).as_euler(seq)
        with double_precision():
            assert_allclose(jaxpr_as_fun(jaxpr)(quat)[0], expected, atol=1e-7)
        slopes = jacobian(lambda a, s=seq: Rotation.from_euler(s, a).as_euler(s))(np.array(angles))
        along = (
            -1.0 if seq == "xyz" else 1.0
        )  # the first is the sum of the first and last, or their difference
        assert_allclose(slopes[0], [1.0, 0.0, along], atol=1e-12)
        assert np.isfinite(slopes).all()


def of_a_matrix(x):
    return Rotation.from_matrix(np.eye(3) * x[0]).magnitude()


def averaged(x):
    return Rotation.from_euler("z", x[:, None]).mean().magnitude()


@pytest.mark.parametrize(("cost", "says"), [(of_a_matrix, "matrix @ vector"), (averaged, "mean")])
def test_what_is_not_followed_is_refused(cost, says):
    with pytest.raises(TracingError, match=cost.__name__) as caught:
        gradient(cost)(X)
    assert says in str(caught.value)


def test_fits_of_a_pose_find_it():
    from steepest import least_squares

    turned = Rotation.from_rotvec([0.3, -0.5, 0.9]).apply(POINTS) + [1.0, 2.0, 3.0]
    found = least_squares(
        lambda p: (Rotation.from_rotvec(p[:3]).apply(POINTS) + p[3:] - turned).ravel(), np.zeros(6)
    )
    assert_allclose(found.x, [0.3, -0.5, 0.9, 1.0, 2.0, 3.0], rtol=1e-7)
