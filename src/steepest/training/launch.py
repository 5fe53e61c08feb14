"""Several processes on one machine: started together, joined to one run, and ended together.

`launch` is the parent: it starts N copies of the command and watches them. `join` is what each copy does first. On a
cluster the scheduler is the parent, and `join` finds out from its environment what JAX needs to know.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from ..errors import InputError

ADDRESS, COUNT, INDEX = "STEEPEST_COORDINATOR", "STEEPEST_PROCESSES", "STEEPEST_PROCESS"
# Seconds after which a process that stands still while others go on is called late; a long compilation takes less.
PATIENCE, LATE = "STEEPEST_PATIENCE", 120.0
# What schedulers set that start several tasks of one job; JAX reads the rest from the same environment.
SCHEDULERS = {"SLURM_NTASKS": "Slurm", "OMPI_COMM_WORLD_SIZE": "Open MPI"}
# Seconds the others are given to end by themselves after one has failed.
GRACE = 10.0
# Seconds within which all processes must have come.
ARRIVAL = 300


def launch(count: int, arguments: Sequence[str]) -> int:
    """Run the command line `arguments` in `count` processes; its exit status, the first failure's if one fails."""
    if count < 1:
        raise InputError(f"--processes {count}: give a number from 1 upwards")
    address = f"127.0.0.1:{_free_port()}"
    program = "import sys; from steepest.cli import main; sys.exit(main())"
    cores = _cores(count)
    children = []
    for index in range(count):
        environment = {**os.environ, ADDRESS: address, COUNT: str(count), INDEX: str(index)}
        command = [sys.executable, "-c", program, *_without_processes(arguments)]
        out = None if index == 0 else subprocess.DEVNULL
        child = subprocess.Popen(command, env=environment, stdout=out)
        if cores is not None:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(child.pid, cores[index])
        children.append(child)
    return _watched(children)


def _watched(children: list[subprocess.Popen[bytes]]) -> int:
    """Wait for all; when one fails, say which and end the others."""
    try:
        while True:
            codes = [child.poll() for child in children]
            failed = next((i for i, code in enumerate(codes) if code not in (None, 0, 1)), None)
            if failed is not None:
                _end(children)
                code = codes[failed]
                assert code is not None
                how = f"signal {-code}" if code < 0 else f"exit status {code}"
                sys.stderr.write(
                    f"process {failed} of {len(children)} ended with {how}; the others were ended\n"
                )
                return code if code > 0 else 128 - code
            if all(code is not None for code in codes):
                return max(code for code in codes if code is not None)
            time.sleep(0.05)
    except KeyboardInterrupt:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
        _end(children)
        return 130


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + GRACE
    for child in children:
        if child.poll() is None:
            child.terminate()
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _without_processes(arguments: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == "--processes":
            skip = True
        elif not argument.startswith("--processes="):
            kept.append(argument)
    return kept


def _cores(count: int) -> list[set[int]] | None:
    """Cores for each process, so that their threads do not get in each other's way; None where there are too few."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    share = len(cores) // count
    return [set(cores[i * share : (i + 1) * share]) for i in range(count)] if share else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def join() -> bool:
    """Join the run that this process was started for; False if it was started alone. Touches JAX only if it must."""
    address = os.environ.get(ADDRESS)
    if address is not None:
        import jax

        count, index = int(os.environ[COUNT]), int(os.environ[INDEX])
        _call_roll(address, count, index)
        jax.distributed.initialize(address, count, index, initialization_timeout=ARRIVAL)
        return True
    for variable in SCHEDULERS:
        if int(os.environ.get(variable, "1")) > 1:
            import jax

            jax.distributed.initialize(initialization_timeout=ARRIVAL)
            return True
    return False


@contextlib.contextmanager
def watched(step: Callable[[], int]) -> Iterator[None]:
    """Watch over the processes of a launched run while they take steps; `step` tells how many this one has taken."""
    address, count = os.environ.get(ADDRESS), int(os.environ.get(COUNT, "1"))
    if address is None or count == 1:
        yield
        return
    from .roll import Watchdog

    patience = float(os.environ.get(PATIENCE, LATE))
    dog = Watchdog(address, int(os.environ[INDEX]), count, step, patience)
    try:
        yield
    finally:
        dog.close()


def _call_roll(address: str, count: int, index: int) -> None:
    """Wait until every process has come; process 0 names those that have not. Raises `InputError` after `ARRIVAL` s."""
    from .roll import answer, call

    if index == 0:
        missing = call(address, count, ARRIVAL)
        if missing:
            raise InputError(
                f"process{'es' if len(missing) > 1 else ''} {', '.join(map(str, missing))} of {count} did not come "
                f"within {ARRIVAL} s; look at why it did not start, and at the address {address}"
            )
    else:
        answer(address, index, ARRIVAL)
