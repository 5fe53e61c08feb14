"""Multipliers are drawn into their balls where they can be: the ends of the balls along a direction are known."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from steepest.verdict.norm_balls import _drawn_in

# Entries of three norms, and what each of them bears.
MEMBER = np.array([0, 0, 1, 1, 1, 2, 2])
BEARS = np.array([1.0, 2.0, 0.5])
N = BEARS.size


def balls(others):
    """Multipliers of `others` equations without a ball, then those of the norms."""
    program = SimpleNamespace(part_of=MEMBER, radii=np.arange(N))
    rows, parts = SimpleNamespace(m=others + MEMBER.size), np.arange(MEMBER.size)
    return SimpleNamespace(smooth=SimpleNamespace(program=program), rows=rows, parts=parts)


def drawn_in(A, target, *, others=0, sparse=False, most=1.0):
    gradient = np.r_[BEARS, target]
    C = csr_array(A) if sparse else A
    return _drawn_in(balls(others), C, gradient, N + np.arange(target.size), most)


def lengths(u):
    return np.sqrt(np.bincount(MEMBER, u[-MEMBER.size :] ** 2)) / BEARS


def farthest(A, direction):
    """The multipliers in the balls for which A u reaches farthest along a direction: the ends of the balls there."""
    v = A.T @ direction
    return v * (BEARS / np.sqrt(np.bincount(MEMBER, v**2)))[MEMBER]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_multipliers_just_inside_are_found_and_just_outside_are_not(seed, sparse):
    random = np.random.default_rng(seed)
    A, direction = random.standard_normal((3, MEMBER.size)), random.standard_normal(3)
    end = A @ farthest(A, direction)
    nearest = np.linalg.lstsq(A, 0.97 * end, rcond=None)[0]
    assert lengths(nearest).max() > 1.0  # the shortest are not in their balls
    u = drawn_in(A, 0.97 * end, sparse=sparse)
    assert_allclose(A @ u, 0.97 * end, rtol=1e-9, atol=1e-12)
    assert lengths(u).max() <= 1.0
    # Beyond the end no multipliers are in their balls, and all balls as much larger hold some.
    u = drawn_in(A, 1.03 * end, sparse=sparse)
    assert_allclose(A @ u, 1.03 * end, rtol=1e-9, atol=1e-12)
    assert_allclose(lengths(u).max(), 1.03, rtol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_multiplier_without_a_ball_bears_what_the_norms_cannot(sparse):
    random = np.random.default_rng(1)
    A, direction = random.standard_normal((3, MEMBER.size)), random.standard_normal(3)
    beyond = 5.0 * A @ farthest(A, direction)
    A = np.hstack([beyond[:, None], A])
    u = drawn_in(A, 1.01 * beyond, others=1, sparse=sparse)
    assert_allclose(A @ u, 1.01 * beyond, rtol=1e-9)
    assert lengths(u).max() <= 1.0


def test_what_bears_nothing_holds_nothing():
    gradient = np.r_[1.0, 0.0, 0.5, np.ones(3)]
    A = np.random.default_rng(2).standard_normal((3, MEMBER.size))
    assert _drawn_in(balls(0), A, gradient, N + np.arange(3), 1.0) is None
