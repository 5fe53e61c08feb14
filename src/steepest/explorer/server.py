"""The local server: the page, and one WebSocket over which it asks. Bound to the loopback address, behind `Guard`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from ..errors import InputError
from .conversation import Conversation, WorkerProcess
from .frames import pack
from .guard import Guard
from .live import Follower

LOOPBACK = "127.0.0.1"
# Bytes one message of the page may have: 20,000 points of a dropped file fit, a flood does not.
LONGEST_MESSAGE = 2**20
# Pages open at a time; each holds memory in the server.
MOST_PAGES = 16
# Seconds between two looks whether anybody is still there.
IDLE_LOOK = 0.2

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass
class Settings:
    """What `steepest explore` was asked for.

    `worker`: the command of the process that answers. `hello`: what the page is told first. `landing`: the
    fragment that the page opens with. `run`: the run file to follow. `idle_exit`: seconds without a page after
    which the server ends; None means never.
    """

    worker: Sequence[str]
    hello: dict[str, Any] = field(default_factory=dict)
    landing: str = ""
    port: int = 0
    run: str | None = None
    idle_exit: float | None = None


def page_files() -> dict[str, tuple[bytes, str]]:
    """The built page, by path: read once, so that no path of a request ever reaches the file system."""
    found = {}
    for file in (files("steepest.explorer") / "page").iterdir():
        kind = TYPES.get(f".{file.name.rpartition('.')[2]}")
        if kind is not None:
            found[f"/{file.name}"] = (file.read_bytes(), kind)
    if "/index.html" not in found:
        raise InputError("the page is missing from this copy of steepest; `make explorer` builds it")
    found["/"] = found["/index.html"]
    return found


def bind(port: int) -> socket.socket:
    """A socket on the loopback address; port 0 takes a free one. Raises `InputError` for one in use."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise InputError(f"--port {port} cannot be used: {error}; leave it out to take a free one") from error
    return listening


class Application:
    """The ASGI application behind the guard."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pages = 0
        self.last_seen = time.monotonic()
        self.files = page_files()
        self.worker = WorkerProcess(settings.worker)
        self.follower = Follower(settings.run) if settings.run is not None else None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a file, or hold a conversation."""
        from starlette.responses import Response
        from starlette.websockets import WebSocket, WebSocketDisconnect

        self.last_seen = time.monotonic()
        if scope["type"] == "http":
            body, kind = self.files.get(scope["path"], (b"there is nothing here", "text/plain"))
            status = 200 if scope["path"] in self.files else 404
            await Response(body, status, media_type=kind)(scope, receive, send)
            return
        connection = WebSocket(scope, receive, send)
        if scope["path"] != "/ask" or self.pages >= MOST_PAGES:
            await connection.close(1008)
            return
        await connection.accept()
        self.pages += 1
        try:
            with contextlib.suppress(WebSocketDisconnect):
                await self._converse(connection)
        finally:
            self.pages -= 1
            self.last_seen = time.monotonic()

    async def _converse(self, connection: Any) -> None:
        from starlette.websockets import WebSocketDisconnect

        lock = asyncio.Lock()

        async def send(frame: bytes) -> None:
            async with lock:
                with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                    await connection.send_bytes(frame)

        await send(pack({"hello": self.settings.hello}))
        conversation = Conversation(self.worker, send)
        following: asyncio.Task[None] | None = None
        try:
            while True:
                question = _question(await connection.receive_text())
                if question is None:
                    await connection.close(1008)
                    return
                if question["ask"] == "stop":
                    await conversation.stop()
                elif question["ask"] == "follow" and self.follower is not None:
                    if following is not None:
                        following.cancel()
                    following = asyncio.create_task(self.follower.follow(question, send))
                elif question["ask"] == "command" and self.follower is not None:
                    await send(pack({"id": question.get("id"), **self.follower.command(question)}))
                else:
                    conversation.put(question)
        finally:
            conversation.close()
            if following is not None:
                following.cancel()


def _question(text: str) -> dict[str, Any] | None:
    """A message of the page as a question; None for what no page of ours would send."""
    try:
        question = json.loads(text)
    except (ValueError, RecursionError):
        return None
    known = isinstance(question, dict) and isinstance(question.get("ask"), str)
    if not known or not isinstance(question.get("id"), int | None):
        return None
    return question


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until Ctrl-C, or until nobody has been there for `idle_exit` seconds; `announce` is given the address."""
    listening = bind(settings.port)
    application = Application(settings)
    guard = Guard(application, listening.getsockname()[1], landing=f"/{settings.landing}")
    try:
        asyncio.run(_serve(guard, application, listening, announce))
    finally:
        listening.close()


async def _serve(
    guard: Guard, application: Application, listening: socket.socket, announce: Callable[[str], None]
) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Any:
            yield  # ours are below: uvicorn would raise the signal again when all is done

    await application.worker.start()  # imports while the browser opens
    config = uvicorn.Config(
        guard,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws_max_size=LONGEST_MESSAGE,
        ws_per_message_deflate=False,  # 20 ms for a frame of walks on loopback, for nothing
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has no such handlers: Ctrl-C then interrupts
            loop.add_signal_handler(number, _end, server)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    announce(guard.address)
    application.last_seen = time.monotonic()
    watch = asyncio.create_task(_idle(server, application))
    try:
        await serving
    finally:
        watch.cancel()
        await application.worker.end()


def _end(server: Any) -> None:
    if server.should_exit:
        server.force_exit = True
    server.should_exit = True


async def _idle(server: Any, application: Application) -> None:
    limit = application.settings.idle_exit
    while limit is not None:
        await asyncio.sleep(IDLE_LOOK)
        if application.pages == 0 and time.monotonic() - application.last_seen > limit:
            server.should_exit = True
            return
