"""What travels to the page: a short JSON header, then the numbers as they lie in memory.

    4 bytes   length of the header, unsigned, little-endian
    header    JSON, UTF-8, padded with spaces so that what follows begins at a multiple of 8 bytes
    numbers   each array little-endian and C-contiguous, padded to a multiple of 8 bytes

The header is an object; its `arrays` is a list of `{"name", "shape", "type", "at"}` with `type` one of "f8", "f4",
"i4", "u1" and `at` the byte where the array begins, counted from the end of the header. NaN and infinities live in the
arrays only, since JSON has no words for them; a header holds null instead.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

ALIGNED = 8
TYPES = {"f8": np.float64, "f4": np.float32, "i4": np.int32, "u1": np.uint8}
_NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}


def pack(header: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> bytes:
    """One frame.

    >>> header, arrays = unpack(pack({"id": 7}, {"x": np.array([1.0, np.nan])}))
    >>> header["id"], arrays["x"]
    (7, array([ 1., nan]))
    """
    table, pieces, at = [], [], 0
    for name, given in (arrays or {}).items():
        array = np.ascontiguousarray(given)
        kind = _NAMES[array.dtype]
        body = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        body += b"\0" * (-len(body) % ALIGNED)
        table.append({"name": name, "shape": list(array.shape), "type": kind, "at": at})
        pieces.append(body)
        at += len(body)
    text = json.dumps(plain({**header, "arrays": table}), ensure_ascii=False, allow_nan=False).encode(
        "utf-8", "replace"
    )
    text += b" " * (-(len(text) + 4) % ALIGNED)
    return b"".join([struct.pack("<I", len(text)), text, *pieces])


def unpack(frame: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of a frame."""
    (length,) = struct.unpack_from("<I", frame)
    header = json.loads(frame[4 : 4 + length])
    arrays = {}
    for entry in header["arrays"]:
        kind = np.dtype(TYPES[entry["type"]]).newbyteorder("<")
        count = math.prod(entry["shape"])
        body = np.frombuffer(frame, kind, count, 4 + length + entry["at"])
        arrays[entry["name"]] = body.reshape(entry["shape"]).astype(TYPES[entry["type"]])
    return header, arrays


def plain(value: Any) -> Any:
    """The value as JSON can hold it; what is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return str(value)
