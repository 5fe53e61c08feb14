"""Checkpoints: a JSON header and raw arrays, each with its hash, written so that no half is ever taken for whole.

A file is: the magic line, the length of the header, the header's SHA-256, the header, then the arrays one after the
other. It is written beside its place under another name, flushed to the disk and moved there in one step. Nothing in
it is code; reading one runs none.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from ..errors import InputError

KIND = b"steepest checkpoint "
MAGIC = KIND + b"1\n"
NAME = re.compile(r"step-(\d{12})\.checkpoint\Z")
# A header holds names, settings and the history: more than this is no header of ours.
LARGEST_HEADER = 1 << 30
# Checkpoints kept at least: the newest may be damaged.
LEAST = 2
# What a disk says that is full, or on which the user may have no more.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Damaged(Exception):
    """A file that is not a checkpoint as it was written, or not one that this version reads."""


@dataclass(frozen=True)
class Checkpoints:
    """Where checkpoints go, how often, and how many are kept.

    `seconds`: between two, looked at when the run next looks back over its costs; `steps`: between two, None for no
    such limit. `keep`: how many; two at least, since the newest may be the damaged one.
    """

    folder: Path
    seconds: float = 60.0
    steps: int | None = None
    keep: int = 3
    # Those that are known to be as they were written, since they were written or read here.
    whole: set[Path] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, given: Any) -> Checkpoints | None:
        """Read `checkpoint=`: a folder, or a dict with "folder", "seconds", "steps" and "keep"."""
        if given is None or isinstance(given, Checkpoints):
            return given
        if isinstance(given, (str, Path)):
            return cls(Path(given))
        if isinstance(given, Mapping) and "folder" in given:
            unknown = set(given) - {"folder", "seconds", "steps", "keep"}
            if unknown:
                raise InputError(
                    f"checkpoint has no {', '.join(sorted(map(repr, unknown)))}; it may hold folder, "
                    "seconds, steps, keep"
                )
            found = cls(**{**given, "folder": Path(given["folder"])})
            if found.keep < LEAST:
                raise InputError(
                    f"checkpoint keep={found.keep}: keep {LEAST} at least, since the newest may be damaged"
                )
            return found
        raise InputError(
            f'checkpoint={given!r}; give a folder, or a dict such as {{"folder": "run", "seconds": 60}}'
        )

    def prepare(self) -> None:
        """Make sure that the folder can be written; raises `InputError` before any work is done."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=self.folder) as probe:  # another process may try the same at this moment
                probe.write(b"yes")
        except OSError as error:
            why = "it is a file; name a folder" if self.folder.is_file() else error.strerror
            raise InputError(f"checkpoint: {self.folder} cannot be written ({why})") from None

    def check_space(self, size: int) -> str:
        """A warning if the disk has no room for two checkpoints of `size` bytes; "" if it has."""
        free = shutil.disk_usage(self.folder).free
        if free > 2 * size:
            return ""
        return (
            f"{self.folder} has {free / 1e6:,.0f} MB left, and two checkpoints take {2 * size / 1e6:,.0f} MB"
        )

    def found(self) -> list[Path]:
        """The checkpoints in the folder, the newest first."""
        if not self.folder.is_dir():
            return []
        return sorted((path for path in self.folder.iterdir() if NAME.match(path.name)), reverse=True)

    def save(self, header: Mapping[str, Any], arrays: Sequence[tuple[str, np.ndarray]], step: int) -> Path:
        """Write one, then drop those that are too many, and what runs that were killed left half written.

        Where there is no room, these halves make some, or the oldest if two that are whole are left then. Raises
        `OSError` when the disk does.
        """
        path = self.folder / f"step-{step:012d}.checkpoint"
        try:
            write(path, header, arrays)
        except OSError as error:
            spare = (self._halves() or self._oldest()) if error.errno in NO_ROOM else []
            if not spare:
                raise
            for unneeded in spare:
                unneeded.unlink(missing_ok=True)
            write(path, header, arrays)
        self.whole.add(path)
        # Those after this one are of a run that could not be taken up from them.
        for old in [other for other in self.found() if other.name <= path.name][self.keep :]:
            old.unlink(missing_ok=True)
        for half in self._halves():
            half.unlink(missing_ok=True)
        return path

    def _halves(self) -> list[Path]:
        """What is left of writing that was cut off: one run writes here, and between two writes these are nobody's."""
        return list(self.folder.glob(".step-*.checkpoint.*.partial"))

    def _oldest(self) -> list[Path]:
        """The oldest, where enough others are whole; none elsewhere."""
        *others, oldest = self.found() or [self.folder]
        return [oldest] if sum(map(self._is_whole, others)) >= LEAST else []

    def _is_whole(self, path: Path) -> bool:
        if path not in self.whole:
            try:
                read(path)
            except Damaged:
                return False
            self.whole.add(path)
        return True

    def newest(
        self, warn: Callable[[str], None]
    ) -> tuple[dict[str, Any], dict[str, np.ndarray], Path] | None:
        """The newest checkpoint that is whole, None if none is; one that cannot be used is told of, with the reason."""
        for path in self.found():
            try:
                header, arrays = read(path)
            except Damaged as damage:
                warn(f"{path.name} cannot be used: {damage}; looking for one before it")
                continue
            self.whole.add(path)
            return header, arrays, path
        return None


def write(path: Path, header: Mapping[str, Any], arrays: Sequence[tuple[str, np.ndarray]]) -> None:
    """Write a checkpoint file atomically: whoever looks sees the old file, or the whole new one."""
    arrays = [(name, np.array(array, copy=None, order="C")) for name, array in arrays]
    contents = [
        {
            "name": name,
            "dtype": array.dtype.str if array.dtype.kind in "fiub" else array.dtype.name,
            "shape": list(array.shape),
            "sha256": hashlib.sha256(_raw(array)).hexdigest(),
        }
        for name, array in arrays
    ]
    text = json.dumps({**header, "arrays": contents}).encode()
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(MAGIC + struct.pack("<Q", len(text)) + hashlib.sha256(text).digest() + text)
            for _, array in arrays:
                file.write(_raw(array))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _raw(array: np.ndarray) -> Any:
    """The bytes of an array, not copied."""
    return array.reshape(-1).view(np.uint8).data if array.size else b""


def _flush_folder(folder: Path) -> None:
    """Make the new name itself last through a power cut, where the system knows how."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays of a checkpoint; raises `Damaged` if a single bit differs from what was written."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Damaged(error.strerror or "cannot be read") from None
    if not data.startswith(MAGIC):
        other = data.startswith(KIND)
        raise Damaged("another version of steepest wrote it" if other else "it does not begin as one")
    place = len(MAGIC)
    if len(data) < place + 40:
        raise Damaged("it ends within its header")
    (length,) = struct.unpack_from("<Q", data, place)
    digest = data[place + 8 : place + 40]
    text = data[place + 40 : place + 40 + length]
    if length > LARGEST_HEADER or len(text) < length:
        raise Damaged("it ends within its header")
    if hashlib.sha256(text).digest() != digest:
        raise Damaged("it is damaged: its header is not what was written")
    header = json.loads(text)
    place += 40 + length
    arrays: dict[str, np.ndarray] = {}
    for entry in header.pop("arrays"):
        dtype = np.dtype(entry["dtype"])
        size = dtype.itemsize * int(np.prod(entry["shape"], dtype=np.int64))
        raw = memoryview(data)[place : place + size]
        if len(raw) < size:
            raise Damaged(f"it ends within {entry['name']}")
        if hashlib.sha256(raw).hexdigest() != entry["sha256"]:
            raise Damaged(f"it is damaged: {entry['name']} is not what was written")
        arrays[entry["name"]] = np.frombuffer(raw, dtype=dtype).reshape(entry["shape"])
        place += size
    if place != len(data):
        raise Damaged("more follows than its header says")
    return header, arrays
