"""Where arrays live: on one device, copied to all, or spread over them; and what processes say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from ..errors import InputError
from ..tracing.batched import as_kept, kept_type
from .sparse_rows import is_sparse
from .steps import Held

AXIS = "data"
# Data up to this part of an accelerator's memory are put there whole; the rest is for the model and its slopes.
HELD = 0.25


@dataclass(frozen=True)
class Placement:
    """How the arrays of a run are placed.

    `mesh`: the devices in one row, None for a single one. `spread`: whether parameters are cut along their leading
    axis rather than copied to every device. `speaks`: whether this process tells and writes.
    """

    mesh: Any
    spread: bool
    processes: int
    speaks: bool

    @classmethod
    def of(cls, mesh: Any, shard: str | None) -> Placement:
        """The placement for these devices."""
        return cls(mesh, shard == "params", jax.process_count(), jax.process_index() == 0)

    # -- placing ---------------------------------------------------------------------------------------------

    def held(self, source: Any) -> Any:
        """A function that names the rows of a batch, for data held whole on one accelerator; None where they are not.

        What travels at a step is then which rows to take, four bytes each.
        """
        if self.mesh is not None or jax.default_backend() == "cpu" or any(map(is_sparse, source.arrays)):
            return None
        room = (jax.devices()[0].memory_stats() or {}).get("bytes_limit", 0)
        if sum(array.nbytes for array in source.arrays) > HELD * room:
            return None
        return partial(Held, [jax.device_put(array) for array in self._kept(source.arrays)])

    def as_they_are(self, arrays: list[np.ndarray]) -> list[Any]:
        """A batch in the types the device wants, left to the compiled step to take over where there is one device."""
        return self._kept(arrays) if self.mesh is None else self.rows(arrays)

    def _kept(self, arrays: list[Any]) -> list[np.ndarray]:
        return [np.asarray(as_kept(array, _widest())) for array in arrays]

    def rows(self, arrays: list[Any]) -> list[Any]:
        """Arrays whose rows are spread over the devices."""
        kept = self._kept(arrays)
        if self.mesh is None:
            return [jax.device_put(array) for array in kept]
        sharding = jax.sharding.NamedSharding(self.mesh, jax.sharding.PartitionSpec(AXIS))
        return [jax.make_array_from_process_local_data(sharding, array) for array in kept]

    def same_rows(self, arrays: list[Any]) -> list[Any]:
        """Arrays that every process holds whole; their rows are spread where the devices divide them."""
        kept = self._kept(arrays)
        if self.mesh is None:
            return [jax.device_put(array) for array in kept]
        return [self._place(array, self._cut(array.shape)) for array in kept]

    def state(self, state: Any) -> Any:
        """The state where it belongs."""
        if self.mesh is None:
            return state
        return jax.tree.map(self._place, state, self.of_state(state))

    def made(self, function: Any, parameters: Any) -> Any:
        """What a function of the parameters gives, made where it belongs; every array of it is its own."""

        def copied(parameters: Any) -> Any:
            return jax.tree.map(jax.numpy.copy, function(parameters))

        sharding = self.of_state(jax.eval_shape(copied, parameters))
        return jax.jit(copied, out_shardings=sharding)(parameters)

    def remark(self, layout: Any) -> str:
        """How much of the parameters is spread over the devices, in words; "" where none was to be."""
        if not self.spread or self.mesh is None:
            return ""
        devices = self.mesh.devices.size
        cut = [leaf for leaf in layout.leaves if self._divides(leaf.shape)]
        part = sum(leaf.stop - leaf.start for leaf in cut) / layout.n
        whole = [leaf.name for leaf in layout.leaves if not self._divides(leaf.shape)]
        names = ", ".join(whole[:4]) + (f" and {len(whole) - 4} more" if len(whole) > 4 else "")
        left = (
            f"; whole on each, since their first axis does not divide by {devices}: {names}" if whole else ""
        )
        return f"{part:.1%} of the parameters are spread over {devices} devices{left}"

    def of_state(self, state: Any) -> Any:
        """The sharding of each array of the state; None for a single device."""
        return None if self.mesh is None else jax.tree.map(self._sharding, state)

    def constants(self, constants: list[Any]) -> list[Any]:
        """What the cost reads besides its arguments, copied to every device."""
        if self.mesh is None:
            return [jax.device_put(constant) for constant in constants]
        everywhere = jax.sharding.NamedSharding(self.mesh, jax.sharding.PartitionSpec())
        return [self._place(constant, everywhere) for constant in constants]

    def _sharding(self, array: Any) -> Any:
        return self._cut(array.shape if self.spread else ())

    def _cut(self, shape: tuple[int, ...]) -> Any:
        """Along the leading axis where the devices divide it, else whole on each."""
        spec = jax.sharding.PartitionSpec(*([AXIS] if self._divides(shape) else []))
        return jax.sharding.NamedSharding(self.mesh, spec)

    def _divides(self, shape: tuple[int, ...]) -> bool:
        return len(shape) > 0 and shape[0] % self.mesh.devices.size == 0

    @staticmethod
    def _place(array: Any, sharding: Any) -> Any:
        whole = np.asarray(array, kept_type(np.asarray(array).dtype, _widest()))
        return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

    # -- taking together ---------------------------------------------------------------------------------------

    def whole(self, array: Any) -> np.ndarray:
        """The whole of an array as NumPy; every process must ask, where it is spread over them."""
        if getattr(array, "is_fully_addressable", True) or array.is_fully_replicated:
            return np.array(array)
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(array, tiled=True))

    def agreed(self, flag: bool) -> bool:
        """Whether the flag is up in any process; every process must ask."""
        if self.processes == 1:
            return flag
        from jax.experimental import multihost_utils

        return bool(np.any(multihost_utils.process_allgather(np.array([flag]))))


def _widest() -> str:
    return "float64" if jax.config.jax_enable_x64 else "float32"


def mesh_of(shard: str | None) -> Any:
    """All devices of all processes in a row; None where there is only one."""
    if shard not in (None, "params"):
        raise InputError(
            f'shard={shard!r}; leave it out (parameters copied to every device) or give "params"'
        )
    devices = jax.devices()
    if len(devices) == 1:
        return None
    return jax.sharding.Mesh(np.array(devices), (AXIS,))
