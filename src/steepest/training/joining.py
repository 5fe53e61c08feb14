"""A process joins the run it was started for: by `launch`, by a scheduler, or by hand; and is watched over in it.

On a cluster the scheduler is the parent, and JAX finds out from its environment what it needs to know.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from .roll import Watchdog

ADDRESS, COUNT, INDEX = "STEEPEST_COORDINATOR", "STEEPEST_PROCESSES", "STEEPEST_PROCESS"
# Seconds after which a process that stands still while others go on is called late; a long compilation takes less.
PATIENCE, LATE = "STEEPEST_PATIENCE", 120.0
# Seconds after which JAX by itself holds a process to be gone.
JAX_HEARTBEAT = 100
# Seconds within which all processes must have come.
ARRIVAL, ALL_HERE = "STEEPEST_ARRIVAL", 300.0
# What Slurm and Open MPI set where they start several tasks of one job; JAX reads the rest from the same environment.
SLURM, OPEN_MPI = "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"
KUBERNETES = "KUBERNETES_SERVICE_HOST"
# Where JAX reads the address of process 0 under Open MPI up to version 4.
OPEN_MPI_4 = "OMPI_MCA_orte_hnp_uri"
# What Open MPI sets besides: which process this is, how many are on this machine, and a name of the job of its own.
RANK, HERE, JOB = "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", "PMIX_NAMESPACE"
# Ports that a job takes by its name, the first of each two: few programs listen so high, where JAX looks for one too.
PORTS = range(61_440, 65_534, 2)
# How errors of what the devices exchange begin, by the names that XLA gives to its states.
STATUS = ("ABORTED: ", "CANCELLED: ", "DEADLINE_EXCEEDED: ", "INTERNAL: ", "UNAVAILABLE: ", "UNKNOWN: ")
# Where process 0 listens in the run to come, as the processes agreed among themselves; "" if some cannot reach it, None
# if it was not asked yet.
_agreed: str | None = None


def join() -> bool:
    """Join the run that this process was started for; False if it was started alone. Touches JAX only if it must."""
    arrival = float(os.environ.get(ARRIVAL, ALL_HERE))
    if _from_open_mpi_5():
        _tell_of_open_mpi()
    address = os.environ.get(ADDRESS)
    if address is not None:
        count, index = int(os.environ[COUNT]), int(os.environ[INDEX])
        _call_roll(address, count, index, arrival, "did not come")
        # All is said; under Kubernetes JAX would ask the cluster besides, or warn that it has no means to.
        how = "deactivate" if KUBERNETES in os.environ else None
        with _heard(address, count, index):
            _initialize(
                arrival,
                coordinator_address=address,
                num_processes=count,
                process_id=index,
                cluster_detection_method=how,
            )
        return True
    if _several(SLURM) or _several(OPEN_MPI):
        _initialize(arrival)
        meet()
        return True
    return False


@contextlib.contextmanager
def _heard(address: str, count: int, index: int) -> Iterator[None]:
    """While in here, all wait for each other once: a process that is stopped meanwhile is named."""
    from .roll import Watchdog

    dog = Watchdog(address, index, count, lambda: (0, 0), _patience())
    try:
        yield
    finally:
        dog.close()


@contextlib.contextmanager
def farewell(step: int) -> Iterator[None]:
    """While in here the first process writes what the run came to, at `step`; one that hangs till all are out is named.

    The watch goes on after this is closed: when Python ends, JAX has every process wait for all others.
    """
    from .signals import over

    over()
    writing = True
    address = meet()
    if address:
        import jax

        from .roll import Watchdog

        with contextlib.suppress(
            OSError
        ):  # the port was taken meanwhile: no reason to lose what is to be written
            Watchdog(
                address,
                jax.process_index(),
                jax.process_count(),
                lambda: (0, step),
                _patience(),
                busy=lambda: writing,
            )
    yield
    writing = False


def leave_alone(status: int) -> None:
    """Let this process end with `status` when Python does, without JAX's farewell, which waits for all the others."""

    def end() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    atexit.register(end)


def _several(variable: str) -> bool:
    """Whether a scheduler has started several tasks of this job."""
    return int(os.environ.get(variable, "1")) > 1


def _from_open_mpi_5() -> bool:
    """Whether Open MPI has started several processes without saying where JAX is to find the first one.

    That holds in an allocation of Slurm too, whose own numbers are those of the script that called mpirun.
    """
    return _several(OPEN_MPI) and OPEN_MPI_4 not in os.environ


def _tell_of_open_mpi() -> None:
    """Set our variables by those of Open MPI, where they are not set.

    Raises `InputError` where processes are on several machines and none is named as that of the first.
    """
    if ADDRESS not in os.environ:
        if os.environ.get(HERE) != os.environ[OPEN_MPI] or JOB not in os.environ:
            raise InputError(
                "Open MPI has started processes on several machines, but from version 5 on it does not say where the "
                f"first one is; name it: mpirun -x {ADDRESS}=HOST:PORT ... (a recipe is in the documentation under "
                "Clusters)"
            )
        job = int(hashlib.sha256(os.environ[JOB].encode()).hexdigest(), 16)
        os.environ[ADDRESS] = f"127.0.0.1:{PORTS[job % len(PORTS)]}"
    os.environ.setdefault(COUNT, os.environ[OPEN_MPI])
    os.environ.setdefault(INDEX, os.environ[RANK])


def _initialize(arrival: float, **given: Any) -> None:
    """Join through JAX, and exchange something at once: connecting writes a line, kept from standard output."""
    # JAX's service, which reads this when it is imported, takes the signal to end for itself; the loop answers it with
    # a checkpoint.
    os.environ.setdefault("JAX_ENABLE_PREEMPTION_SERVICE", "false")
    import jax
    import numpy as np
    from jax.experimental import multihost_utils

    # JAX aborts a process that has not heard of the first one for so long, and names none: the watchdog comes first.
    heartbeat = max(JAX_HEARTBEAT, 2 * int(_patience()))
    jax.distributed.initialize(
        initialization_timeout=int(arrival) or 1, heartbeat_timeout_seconds=heartbeat, **given
    )
    with _no_output():
        multihost_utils.process_allgather(np.zeros(1))


@contextlib.contextmanager
def _no_output() -> Iterator[None]:
    """Nothing written below Python reaches standard output in here."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def watched(progress: Callable[[], tuple[int, int]], busy: Callable[[], bool]) -> Iterator[None]:
    """Watch over the processes of a run while they take steps and judge the end, till all have come to it.

    `progress` tells how many stages and how many steps this process has behind it, `busy` whether it is writing a
    file, which the others have to wait for.
    """
    dog = _watchdog(progress, busy)
    try:
        yield
        if dog is not None:
            dog.arrive()
    except Exception as error:
        if dog is not None and _from_devices(error):
            dog.broken()
        raise
    finally:
        if dog is not None:
            dog.close()


def _from_devices(error: Exception) -> bool:
    import jax

    from .shared import ProcessGone

    # Where it first shows as an array is read, JAX hands on the same error as a ValueError.
    told = isinstance(error, ValueError) and str(error).startswith(STATUS)
    return told or isinstance(error, (jax.errors.JaxRuntimeError, ProcessGone))


def _watchdog(progress: Callable[[], tuple[int, int]], busy: Callable[[], bool]) -> Watchdog | None:
    global _agreed
    import jax

    from .roll import Watchdog

    # Asked anew for the next run: till then another program may have taken the port.
    address, _agreed = meet(), None
    if not address:
        return None
    return Watchdog(address, jax.process_index(), jax.process_count(), progress, _patience(), busy=busy)


def _patience() -> float:
    return float(os.environ.get(PATIENCE, LATE))


def meet() -> str:
    """Where the first process listens: told by a launcher or agreed on; "" if alone or if some cannot reach it.

    All have to ask, before they read anything, so that one that hangs over it can be named. Whoever joined them: a
    scheduler, Ray, or the user by `jax.distributed.initialize`.
    """
    global _agreed
    import jax

    from .roll import meeting_place

    if jax.process_count() == 1:
        return ""
    if ADDRESS in os.environ:
        return os.environ[ADDRESS]
    if _agreed is None:
        _agreed = meeting_place(jax.process_index(), jax.process_count()) or ""
    return _agreed


@contextlib.contextmanager
def all_ready() -> Iterator[None]:
    """Wait until every process has read its job and its data; in here one that is stopped is named, too.

    Raises `InputError` naming those that have not within the time for arriving: without it, all others would wait in
    silence for one that hangs there.
    """
    import jax

    address, count, index = meet(), jax.process_count(), jax.process_index()
    if not address:
        yield
        return
    arrival = float(os.environ.get(ARRIVAL, ALL_HERE))
    _call_roll(address, count, index, arrival, "came, but had not read its job and its data")
    with _heard(address, count, index):
        yield


def _call_roll(address: str, count: int, index: int, arrival: float, failing: str) -> None:
    """Wait until every process has come; process 0 names those that have not. Raises `InputError` after `arrival` s."""
    from .roll import answer, call

    if index == 0:
        missing = call(address, count, arrival)
        if missing:
            raise InputError(
                f"process{'es' if len(missing) > 1 else ''} {', '.join(map(str, missing))} of {count} {failing} "
                f"within {arrival:g} s; look at what it does there, at the address {address}, or set {ARRIVAL}= higher"
            )
    else:
        answer(address, index, arrival)
