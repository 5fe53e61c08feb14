"""One run at a time writes into a folder of checkpoints: two would drop and overwrite each other's."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from ..errors import InputError

# The file whose lock the run holds. It stays behind, and means nothing where nobody holds the lock.
NAME = ".writer"
# Seconds that the run before is given to end: a scheduler may start the next one while it writes its last checkpoint,
# and a server of files keeps the locks of a machine that is gone for a minute and a half.
PATIENCE = 120.0
# Seconds between two looks.
PAUSE = 0.2
# Which run of this process writes into a folder: to the system a lock is the whole process's, and lost with any file
# of that name that the process closes.
_WRITERS: dict[str, object] = {}


@contextlib.contextmanager
def sole_writer(folder: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Keep other runs out of the folder while this is open. Raises `InputError` where another one stays.

    The system lets go of the lock with the process, however that ends. Where it has no locks (Windows, some servers of
    files) there is no such check.
    """
    place, me = os.path.realpath(folder), object()
    try:
        _claim(lambda: _WRITERS.setdefault(place, me) is me, lambda: " (of this process)", folder, warn)
        with contextlib.ExitStack() as open_files:
            with contextlib.suppress(OSError):  # what the disk refuses, the run says itself
                # Without a buffer: what a full disk would not take is not tried again, and raised, at the run's end.
                file = open_files.enter_context((folder / NAME).open("ab+", buffering=0))
                _claim(lambda: _taken(file), lambda: _who(file), folder, warn)
                file.truncate(0)
                file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
            yield
    finally:
        if _WRITERS.get(place) is me:
            del _WRITERS[place]


def _claim(
    taken: Callable[[], bool], who: Callable[[], str], folder: Path, warn: Callable[[str], None]
) -> None:
    """Return once it is taken; raises `InputError` where `who` holds on to it."""
    if taken():
        return
    other = f"another run is writing to {folder}{who()}"
    warn(f"{other}; waiting up to {PATIENCE:g} s for it to end")
    if not _taken_within(taken, PATIENCE):
        raise InputError(f"checkpoint: {other}; end it, or give this run another folder")


def _taken(file: IO[bytes]) -> bool:
    """Take the lock, where the system has any; False where another process has it.

    One of POSIX, which a process that was forked to read data does not hold on to after its parent was killed.
    """
    try:
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except (ImportError, OSError):
        pass
    return True


def _taken_within(taken: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(PAUSE)
        if taken():
            return True
    return False


def _who(file: IO[bytes]) -> str:
    """Which process wrote its name into the file, in words; "" if none did."""
    file.seek(0)
    told = file.read(200).decode(errors="replace")
    return f" ({told})" if told else ""
