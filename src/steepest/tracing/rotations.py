"""Rotations of SciPy's whose angles, vectors or quaternions depend on the parameters, as unit quaternions (x, y, z, w).

Formulas: Diebel (2006), "Representing attitude"; angles of Euler by Bernardes & Viollet (2022), as SciPy has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import as_array, is_traced, made, names_in
from .explain import no_rule, random_numbers, write_instead
from .kinds import kind_called

# Squares of angles below this are put into series, whose next terms are below rounding.
SMALL = 1e-4
# So near to its end the second of three angles is there for SciPy.
LOCKED = 1e-7


class Turn:
    """One rotation, or several in a row. `quaternion`: (4,) or (m, 4), of unit length."""

    def __init__(self, quaternion: Any) -> None:
        self._quaternion = quaternion

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` sees."""
        return _scipys()

    @property
    def single(self) -> bool:
        """Whether it is one rotation."""
        return np.ndim(self._quaternion) == 1

    def __len__(self) -> int:
        if self.single:
            raise TypeError("Single rotation has no len().")
        return int(np.shape(self._quaternion)[0])

    def __getitem__(self, key: Any) -> Turn:
        if self.single:
            raise TypeError("Single rotation is not subscriptable.")
        return Turn(self._quaternion[key])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if is_traced(self._quaternion):
            raise no_rule(f"Rotation.{name}", names_in(self._quaternion))
        return getattr(_scipys().from_quat(np.asarray(self._quaternion)), name)

    def __mul__(self, other: Turn) -> Turn:
        """First `other`, then this one."""
        px, py, pz, pw = _parts(self._quaternion)
        qx, qy, qz, qw = _parts(turn_of(other)._quaternion)
        return Turn(
            _together(
                pw * qx + px * qw + py * qz - pz * qy,
                pw * qy - px * qz + py * qw + pz * qx,
                pw * qz + px * qy - py * qx + pz * qw,
                pw * qw - px * qx - py * qy - pz * qz,
            )
        )

    def __rmul__(self, other: Any) -> Turn:
        return turn_of(other) * self

    def __pow__(self, n: Any) -> Turn:
        return of_vector(n * self.as_rotvec())

    def inv(self) -> Turn:
        """The rotation back."""
        return Turn(self._quaternion * np.array([-1.0, -1.0, -1.0, 1.0]))

    def apply(self, vectors: Any, inverse: bool = False) -> Any:
        """Vectors (3,) or (m, 3) turned."""
        matrix = np.swapaxes(self.as_matrix(), -1, -2) if inverse else self.as_matrix()
        return (matrix @ as_array(vectors)[..., None])[..., 0]

    def magnitude(self) -> Any:
        """The angle of each rotation."""
        return 2.0 * np.arctan2(
            np.linalg.norm(self._quaternion[..., :3], axis=-1), np.abs(self._quaternion[..., 3])
        )

    def as_quat(self, canonical: bool = False, *, scalar_first: bool = False) -> Any:
        """The quaternion itself; the one of the two with w ≥ 0 where it is to be `canonical`."""
        q = self._above() if canonical else self._quaternion
        return np.roll(q, 1, axis=-1) if scalar_first else q

    def _above(self) -> Any:
        return np.where(self._quaternion[..., 3:] < 0, -self._quaternion, self._quaternion)

    def as_matrix(self) -> Any:
        """Matrices (3, 3) or (m, 3, 3)."""
        x, y, z, w = _parts(self._quaternion)
        rows = (
            (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
            (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
            (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
        )
        return np.stack([_together(*row) for row in rows], axis=-2)

    def as_rotvec(self, degrees: bool = False) -> Any:
        """Axis times angle, the angle up to π."""
        q = self._above()
        v, w = q[..., :3], q[..., 3:]
        squares = np.sum(v * v, axis=-1, keepdims=True)
        small = squares < SMALL * w * w
        size = np.sqrt(np.where(small, 1.0, squares))
        s = np.where(small, squares / np.where(small, w * w, 1.0), 0.0)  # tan² of half the angle
        series = 2.0 / np.where(small, w, 1.0) * (1 - s / 3 + s**2 / 5 - s**3 / 7 + s**4 / 9)
        found = v * np.where(small, series, 2.0 * np.arctan2(size, w) / size)
        return np.rad2deg(found) if degrees else found

    def as_mrp(self) -> Any:
        """Axis times the tangent of a quarter of the angle."""
        q = self._above()
        return q[..., :3] / (1.0 + q[..., 3:])

    def as_euler(self, seq: str, degrees: bool = False, **settings: Any) -> Any:
        """Angles about three axes; where the second is at its end (gimbal lock), the third is 0, as SciPy has it."""
        if settings:
            raise no_rule("Rotation.as_euler with more than seq and degrees", names_in(self._quaternion))
        intrinsic = seq.isupper()
        i, j, k = ("xyz".index(axis) for axis in (seq[::-1] if intrinsic else seq).lower())
        symmetric = i == k
        k = 3 - i - j if symmetric else k
        sign = (i - j) * (j - k) * (k - i) // 2
        q = _parts(self._quaternion)
        if symmetric:
            a, b, c, d = q[3], q[i], q[j], q[k] * sign
        else:
            a, b, c, d = q[3] - q[j], q[i] + q[k] * sign, q[j] + q[3], q[k] * sign - q[i]
        middle = 2.0 * np.arctan2(_length(c, d), _length(a, b))
        low, high = np.abs(middle) <= LOCKED, np.abs(middle - np.pi) <= LOCKED
        # At a lock one of the two has no direction, and is left out below.
        half_sum = np.arctan2(np.where(high, 0.0, b), np.where(high, 1.0, a))
        half_difference = np.arctan2(np.where(low, 0.0, d), np.where(low, 1.0, c))
        first, last = half_sum - half_difference, half_sum + half_difference
        if intrinsic:
            first, last = last, first
        turned = 2.0 * np.where(low, half_sum, half_difference if intrinsic else -half_difference)
        first, last = np.where(low | high, turned, first), np.where(low | high, 0.0, last)
        if not symmetric:
            middle = middle - np.pi / 2
            first, last = (first * sign, last) if intrinsic else (first, last * sign)
        found = _together(first, middle, last)
        found = found + 2 * np.pi * (np.where(found < -np.pi, 1.0, 0.0) - np.where(found > np.pi, 1.0, 0.0))
        return np.rad2deg(found) if degrees else found


def of_quaternion(quat: Any, *, scalar_first: bool = False) -> Turn:
    """`Rotation.from_quat`: quaternions of any length."""
    q = np.roll(quat, -1, axis=-1) if scalar_first else quat
    return Turn(q / np.linalg.norm(q, axis=-1, keepdims=True))


def of_vector(rotvec: Any, degrees: bool = False) -> Turn:
    """`Rotation.from_rotvec`: axis times angle."""
    v = np.deg2rad(rotvec) if degrees else rotvec
    squares = np.sum(v * v, axis=-1, keepdims=True)
    small = squares < SMALL
    angle = np.sqrt(np.where(small, 1.0, squares))
    s = np.where(small, squares, 0.0)
    sine = np.where(small, 0.5 - s / 48 + s**2 / 3840 - s**3 / 645120, np.sin(angle / 2) / angle)
    cosine = np.where(small, 1 - s / 8 + s**2 / 384 - s**3 / 46080 + s**4 / 10321920, np.cos(angle / 2))
    return Turn(np.concatenate([v * sine, cosine], axis=-1))


def of_mrp(mrp: Any) -> Turn:
    """`Rotation.from_mrp`: axis times the tangent of a quarter of the angle."""
    squares = np.sum(mrp * mrp, axis=-1, keepdims=True)
    return Turn(np.concatenate([2 * mrp, 1 - squares], axis=-1) / (1 + squares))


def of_euler(seq: str, angles: Any, degrees: bool = False) -> Turn:
    """`Rotation.from_euler`: angles about the axes of the room (small letters) or of the body (capitals)."""
    angles = np.deg2rad(angles) if degrees else angles
    likewise = _scipys().from_euler(seq, np.zeros(np.shape(angles)))  # raises where SciPy does
    if len(seq) == 1:
        angles = np.reshape(angles, (1,) if likewise.single else (-1, 1))
    found: Turn | None = None
    for place, axis in enumerate(seq):
        half = angles[..., place] / 2
        parts = [half * 0.0] * 3
        parts["xyz".index(axis.lower())] = np.sin(half)
        step = Turn(_together(*parts, np.cos(half)))
        found = step if found is None else (found * step if seq.isupper() else step * found)
    assert found is not None
    return found


_MADE_FROM: dict[str, Callable[..., Turn]] = {
    "from_quat": of_quaternion,
    "from_rotvec": of_vector,
    "from_mrp": of_mrp,
    "from_euler": of_euler,
}


def rotation_class(kind: Any) -> Any:
    """SciPy's class, which also makes rotations of traced values."""
    members = {
        name: staticmethod(_maker(kind, name))
        for name in dir(kind)
        if name.startswith("from_") or name in ("identity", "random", "concatenate", "align_vectors")
    }
    return kind_called(kind, _maker(kind, ""), members=members)


def _maker(kind: Any, name: str) -> Callable[..., Any]:
    plain = getattr(kind, name) if name else kind

    def make(*args: Any, **settings: Any) -> Any:
        if name == "concatenate":
            return Turn(np.concatenate([np.atleast_2d(turn_of(item)._quaternion) for item in args[0]]))
        if is_traced(args) or is_traced(settings):
            if name == "from_matrix":
                raise write_instead(
                    "Rotation.from_matrix() of a matrix that depends on the parameters",
                    "SciPy makes it orthogonal first; write matrix @ vector, or from_euler or from_rotvec",
                    names_in((args, settings)),
                )
            rule = _MADE_FROM.get(name)
            if rule is None:
                raise no_rule(f"Rotation.{name}".rstrip("."), names_in((args, settings)))
            args = tuple(item if isinstance(item, str) else as_array(item) for item in args)
            return rule(*args, **{key: as_array(item) for key, item in settings.items()})
        if name == "random" and all(settings.get(key) is None for key in ("rng", "random_state")):
            raise random_numbers("Rotation.random")
        found = plain(*args, **settings)
        return turn_of(found) if isinstance(found, _scipys()) else found

    return make


def _scipys() -> Any:
    from scipy.spatial.transform import Rotation

    return Rotation


def turn_of(rotation: Any) -> Turn:
    """A rotation of SciPy's, as one that turns traced vectors too."""
    return rotation if type(rotation) is Turn else Turn(made(rotation.as_quat()))


def _length(a: Any, b: Any) -> Any:
    return np.linalg.norm(_together(a, b), axis=-1)


def _parts(quaternion: Any) -> list[Any]:
    return [quaternion[..., k] for k in range(4)]


def _together(*parts: Any) -> Any:
    return np.stack(np.broadcast_arrays(*parts), axis=-1)
