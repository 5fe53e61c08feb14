"""Between the page's questions and the worker's answers: the newest question wins, and a stuck worker is replaced.

Each question carries an `id` and a `lane`, the part of the page that asks. In a lane one question is under way; of
those that arrive meanwhile only the last is kept. So a page can ask at every move of a finger and no queue grows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from .frames import pack
from .worker import HEAD

# Seconds one answer may take before its worker is ended: longer than the dearest question of ours, shorter than a
# person waits before closing the page. Between two frames of an answer that comes in several, the clock starts anew.
TIME_LIMIT = 60.0


class WorkerProcess:
    """The worker, started at once, started anew after it was ended; questions are put to it one after another."""

    def __init__(self, command: Sequence[str], time_limit: float = TIME_LIMIT) -> None:
        self.command = list(command)
        self.time_limit = time_limit
        self.process: asyncio.subprocess.Process | None = None
        self.fault: str | None = None
        self.busy_since: float | None = None
        self._ticket = 0
        self._answers: dict[int, asyncio.Queue[bytes | None]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process if it does not run."""
        if self.process is not None and self.process.returncode is None:
            return
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self._reader = asyncio.create_task(self._read(self.process))

    async def ask(self, question: dict[str, Any]) -> AsyncIterator[bytes]:
        """The frames of an answer, as they come."""
        await self.start()
        assert self.process is not None and self.process.stdin is not None
        self._ticket += 1
        ticket = self._ticket
        frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._answers[ticket] = frames
        try:
            self._tell({"ticket": ticket, "question": question})
            while True:
                try:
                    frame = await asyncio.wait_for(frames.get(), self.time_limit)
                except TimeoutError:
                    await self.end()
                    message = f"no answer within {self.time_limit:g} s: the function was stopped"
                    yield pack({"id": question.get("id"), "error": {"message": message, "kind": "time"}})
                    return
                if frame is None:
                    return
                yield frame
        finally:
            if self._answers.pop(ticket, None) is not None:
                self._tell({"cancel": ticket})

    def _tell(self, message: dict[str, Any]) -> None:
        if self.process is not None and self.process.stdin is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self.process.stdin.write(json.dumps(message).encode() + b"\n")

    async def end(self) -> None:
        """End the process now, whatever it is doing."""
        process, self.process = self.process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None
        self._close_answers(b"")

    def _close_answers(self, note: bytes) -> None:
        waiting, self._answers = self._answers, {}
        for frames in waiting.values():
            if note:
                frames.put_nowait(note)
            frames.put_nowait(None)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while True:
                length, ticket, last = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
                frame = await process.stdout.readexactly(length)
                frames = self._answers.get(ticket)
                if frames is not None:
                    if frame:
                        frames.put_nowait(frame)
                    if last:
                        del self._answers[ticket]
                        frames.put_nowait(None)
        except asyncio.IncompleteReadError:
            await process.wait()
            if self.process is process:
                note = f"the process that runs the function ended (status {process.returncode})"
                self._close_answers(pack({"id": None, "error": {"message": note, "kind": "ended"}}))


class Conversation:
    """One page's questions: one under way in each lane, the newest waiting, older ones dropped."""

    def __init__(self, worker: WorkerProcess, send: Callable[[bytes], Any]) -> None:
        self.worker = worker
        self.send = send
        self._waiting: dict[str, dict[str, Any]] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._current: dict[str, Any] = {}

    def put(self, question: dict[str, Any]) -> None:
        """Take a question in."""
        lane = str(question.get("lane", ""))[:40]
        self._waiting[lane] = question
        if lane not in self._under_way:
            self._under_way[lane] = asyncio.create_task(self._go(lane))

    async def stop(self) -> None:
        """Drop everything: what waits, what is under way, and the worker with it if it does not let go."""
        self._waiting.clear()
        busy = bool(self._under_way)
        for task in self._under_way.values():
            task.cancel()
        self._under_way.clear()
        if busy:
            await self.worker.end()
            await self.worker.start()

    def close(self) -> None:
        """The page is gone."""
        self._waiting.clear()
        for task in self._under_way.values():
            task.cancel()

    async def _go(self, lane: str) -> None:
        try:
            while lane in self._waiting:
                question = self._waiting.pop(lane)
                answer = self.worker.ask(question)
                try:
                    async for frame in answer:
                        await self.send(_named(frame, question))
                        if lane in self._waiting:
                            break  # a newer question: the worker is told to let go of this one
                finally:
                    await answer.aclose()  # type: ignore[attr-defined]
        except asyncio.CancelledError:
            raise
        except Exception as error:
            print(f"explorer: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            if self._under_way.get(lane) is asyncio.current_task():
                del self._under_way[lane]


def _named(frame: bytes, question: dict[str, Any]) -> bytes:
    """The frame, with the id of its question where the worker could not give it."""
    if b'"id": null' in frame[4:20]:
        from .frames import unpack

        header, arrays = unpack(frame)
        return pack({**header, "id": question.get("id")}, arrays)
    return frame
