"""The last good state of a run, kept to roll back to: in memory where it is small, else in a file without a name."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import IO, Any

import jax
import jax.numpy as jnp
import numpy as np

# On a CPU a state larger than this goes into a file: a copy in memory would take as much again as the run itself.
IN_MEMORY = 1 << 25


class Kept:
    """Holds one state; `copy(state)` makes a copy and says whether all of it is finite.

    A file is written in the folder for temporary files. Raises nothing: where it cannot be written, the state stays in
    memory.
    """

    def __init__(self, copy: Callable[[Any], tuple[Any, Any]], *, in_file: bool) -> None:
        self._copy = copy
        self._file: IO[bytes] | None = None
        self._in_file = in_file
        self._state: Any = None
        self._begun: tuple[Any, Any] | None = None

    def begin(self, state: Any) -> None:
        """Ask the device for the copy that `keep` of this state takes, made while the host goes on.

        Nothing where a file will hold it. `state` and `forget` let go of it: for rolling back the memory is wanted.
        """
        self._begun = None if self._in_file else self._copy(state)

    def keep(self, state: Any) -> bool:
        """Keep this state in place of the one before; False, and nothing changed, if it holds what is not finite.

        The copy is the one that was begun, if one was: `state` must be what it was then.
        """
        if not self._in_file:
            (copy, finite), self._begun = self._begun or self._copy(state), None
            if bool(finite):
                self._state = copy
            return bool(finite)
        if not bool(all_finite(state._replace(total=state.scale))):  # its end may be none
            return False
        self._write(state)
        return True

    def state(self) -> Any:
        """A state of its own to go on from; None where nothing was kept."""
        self._begun = None
        if self._state is not None or self._file is None:
            return None if self._state is None else self._copy(self._state)[0]
        self._file.seek(0)
        return jax.tree.map(self._read, self._form)

    def forget(self) -> None:
        """Let go of what was kept."""
        self._state = self._begun = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, state: Any) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `forget`, or with the process
            self._file.seek(0)
            for leaf in jax.tree.leaves(state):
                # A view of the leaf itself would keep the next step from taking over its memory.
                copy = np.ascontiguousarray(jnp.copy(leaf))
                self._file.write(copy.reshape(-1).view(np.uint8).data)
            self._file.flush()
        except OSError:
            self.forget()
            self._in_file = False
            self._state = self._copy(state)[0]
            return
        self._form = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state)

    def _read(self, form: Any) -> Any:
        assert self._file is not None
        count = int(np.prod(form.shape, dtype=int))
        raw = self._file.read(count * np.dtype(form.dtype).itemsize)
        return jnp.array(np.frombuffer(raw, form.dtype).reshape(form.shape), copy=True)


@jax.jit
def all_finite(state: Any) -> Any:
    """Whether the sums of all arrays of floating-point numbers are finite."""
    leaves = [leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.isfinite(jnp.stack([jnp.sum(leaf).astype(jnp.float32) for leaf in leaves])).all()
