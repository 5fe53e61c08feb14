"""Memory that was freed, handed back to the system.

glibc keeps what one thread has freed for that thread. A large array that a thread of JAX let go would stay with the
process beside the one that another thread makes next.
"""

from __future__ import annotations

import ctypes
import sys


def hand_back() -> None:
    """Let the system have what is free; nothing where the C library has no such call."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
