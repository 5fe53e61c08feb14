"""Rows of a memory map larger than memory: each batch asks the disk for its own, all at once.

Read as they come, rows taken in a shuffled order cost one visit to the disk each, and the system reads far more around
each than the row, since most programs go on from there: with 8 MB read ahead, as some clouds set it, 256 rows of a file
of 1 GB read all of it. Asked for beforehand (`madvise`), only their pages are read, while the disk works on many.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# The part of memory that maps may take before rows are asked for one by one: what fits is soon in memory whole, and
# the quicker for all that was read around the first rows.
FITS = 0.5
# What the system is told, where there are words for it: not on Windows.
NEEDED, ALONE, NORMAL = (getattr(mmap, f"MADV_{word}", None) for word in ("WILLNEED", "RANDOM", "NORMAL"))
# Where Linux tells how much memory the processes of a container may have, in its second and first form.
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def larger_than_memory(arrays: Sequence[Any]) -> bool:
    """Whether the memory maps among these arrays together are too large to stay in memory."""
    mapped = sum(array.nbytes for array in arrays if isinstance(array, np.memmap))
    return mapped > 0 and mapped > FITS * memory_of_machine()


def memory_of_machine() -> float:
    """Bytes that this machine has, or that this container may use of them; infinite where nobody tells."""
    known = []
    with contextlib.suppress(AttributeError, ValueError, OSError):  # not on Windows
        known.append(float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
    for limit in LIMITS:
        with contextlib.suppress(ValueError, OSError):  # the word "max" stands where there is no limit
            known.append(float(limit.read_text()))
    return min(known, default=float("inf"))


@contextlib.contextmanager
def asked_for(arrays: Sequence[Any], rows: np.ndarray) -> Iterator[None]:
    """In here these rows of memory maps are on their way; nothing is done for what is no map, or lies strewn in one."""
    files = [file for array in arrays if (file := _ask(array, rows)) is not None]
    try:
        yield
    finally:
        for file in files:
            _advise(file, NORMAL)  # passes from the first row to the last want what lies ahead


def _ask(array: Any, rows: np.ndarray) -> mmap.mmap | None:
    file = _file_behind(array)
    if None in (NEEDED, ALONE, NORMAL) or file is None or rows.size == 0:
        return None
    row = array[0]
    if row.nbytes == 0 or not row.flags.c_contiguous:
        return None
    first = array.ctypes.data - np.frombuffer(file, np.uint8).ctypes.data
    starts = np.unique(rows) * array.strides[0] + first
    pages = starts - starts % mmap.PAGESIZE
    # A page that went again before it was read would else be read with all around it, which drives out the others.
    _advise(file, ALONE)
    for page, size in zip(pages.tolist(), (starts - pages + row.nbytes).tolist(), strict=True):
        _advise(file, NEEDED, page, size)
    return file


def _advise(file: mmap.mmap, *advice: Any) -> None:
    with contextlib.suppress(OSError):  # advice, no more: the rows are read all the same
        file.madvise(*advice)


def _file_behind(array: Any) -> mmap.mmap | None:
    """The map of the file that the array is a view of."""
    if not isinstance(array, np.memmap):
        return None
    while isinstance(array, np.ndarray):
        array = array.base
    return array if isinstance(array, mmap.mmap) else None
