"""The process in which the user's function runs: it answers questions from a pipe and may be killed at any time.

A function from the user's file may loop for ever, print, exit or crash; none of that can touch the server. Messages
in, one JSON object a line: {"ticket": 7, "question": {...}} and {"cancel": 7}. Out: 4 bytes length, 4 bytes ticket,
1 byte that is 1 for the last frame of an answer, then the frame.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import struct
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

from .frames import pack
from .questions import Desk, answer

HEAD = struct.Struct("<IIB")


def serve(make_desk: Callable[[], Desk]) -> None:
    """Answer questions from standard input until it closes. What user code prints goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends this process
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    waiting: queue.Queue[Any] = queue.Queue()
    cancelled: set[int] = set()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, waiting, cancelled), daemon=True).start()
    try:
        desk = make_desk()
    except BaseException as error:
        _send(replies, 0, True, pack({"error": {"message": f"{type(error).__name__}: {error}"}}))
        raise
    _send(replies, 0, True, pack({"ready": True}))
    while True:
        ticket, question = waiting.get()
        if ticket not in cancelled:
            _answer(desk, ticket, question, replies, cancelled)
        cancelled.discard(ticket)
        _send(replies, ticket, True, b"")


def _answer(desk: Desk, ticket: int, question: Any, replies: IO[bytes], cancelled: set[int]) -> None:
    for header, arrays in answer(desk, question, lambda: ticket in cancelled):
        try:
            frame = pack({"id": question.get("id"), **header}, arrays)
        except (TypeError, ValueError, KeyError) as error:
            frame = pack({"id": question.get("id"), "error": {"message": f"{type(error).__name__}: {error}"}})
        _send(replies, ticket, False, frame)


def _send(replies: IO[bytes], ticket: int, last: bool, frame: bytes) -> None:
    data = HEAD.pack(len(frame), ticket, last) + frame
    view = memoryview(data)
    while view:
        view = view[replies.write(view) :]


def _listen(lines: IO[bytes], waiting: queue.Queue[Any], cancelled: set[int]) -> None:
    for line in lines:
        message = json.loads(line)
        if "cancel" in message:
            cancelled.add(message["cancel"])
        else:
            waiting.put((message["ticket"], message["question"]))
    os._exit(0)  # the server is gone, whatever the user's function is doing


def main() -> None:
    """A worker that knows expressions only."""
    serve(Desk)


if __name__ == "__main__":
    main()
