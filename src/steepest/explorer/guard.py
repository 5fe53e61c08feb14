"""Who may speak to the explorer: this machine's own browser, on our own page, having shown the token.

One pure ASGI class in front of everything, HTTP and WebSocket alike. A page on another site can make a browser send
requests here; it cannot choose their Host and Origin, and does not know the cookie. All three are compared as whole
strings: a comparison of beginnings would let `127.0.0.1.attacker.example` through.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any
from urllib.parse import parse_qs

# No script but ours, nothing from elsewhere, and nobody may frame the page. `data:` is for the favicon, `blob:` for
# saving a picture.
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; connect-src 'self' {sockets}; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; object-src 'none'"
)
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
# A longer query than this holds no token of ours.
LONGEST_QUERY = 1_000


class Guard:
    """ASGI middleware: Host and Origin lists made from the real port, the token once, then a cookie.

    `landing` is where /enter leads. The cookie is named by the port, since browsers share cookies between the ports
    of a host; it is not `Secure`, which Safari refuses on http.
    """

    def __init__(self, app: Any, port: int, *, token: str | None = None, landing: str = "/") -> None:
        self.app = app
        self.port = port
        self.landing = landing
        self.token = token or secrets.token_urlsafe(32)
        self.session = secrets.token_urlsafe(32)
        self.cookie = f"steepest-{port}"
        names = ("127.0.0.1", "localhost", "[::1]")
        self.hosts = {f"{name}:{port}" for name in names}
        self.origins = {f"http://{host}" for host in self.hosts}
        sockets = " ".join(sorted(f"ws://{host}" for host in self.hosts if not host.startswith("[")))
        self.headers = [*HEADERS, (b"content-security-policy", POLICY.format(sockets=sockets).encode())]

    @property
    def address(self) -> str:
        """What to open to come in."""
        return f"http://127.0.0.1:{self.port}/enter?token={self.token}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let through what may pass."""
        if scope["type"] not in ("http", "websocket"):
            return
        reason = self._refusal(scope)
        if reason is not None:
            await _refuse(scope, receive, send, reason, self.headers)
        elif scope["type"] == "http" and scope["path"] == "/enter":
            await self._enter(scope, send)
        else:
            await self.app(scope, receive, self._with_headers(send))

    def _refusal(self, scope: Any) -> str | None:
        """Why this must not pass, or None."""
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            return "this address does not belong to the explorer"
        origins = _values(scope, b"origin")
        if any(origin not in self.origins for origin in origins):
            return "pages of other sites may not speak to the explorer"
        if scope["type"] == "websocket" and len(origins) != 1:
            return "a connection must say which page it comes from"
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            return "the explorer is only read"
        if scope["type"] == "http" and scope["path"] == "/enter":
            return None
        if not self._has_cookie(scope):
            return "open the address that `steepest explore` printed"
        return None

    def _has_cookie(self, scope: Any) -> bool:
        for line in _values(scope, b"cookie"):
            for piece in line.split(";"):
                name, _, value = piece.strip().partition("=")
                if name == self.cookie and _same(value, self.session):
                    return True
        return False

    async def _enter(self, scope: Any, send: Any) -> None:
        query = scope["query_string"][:LONGEST_QUERY].decode("latin-1")
        given = parse_qs(query).get("token", [""])[0]
        if not (_same(given, self.token) or self._has_cookie(scope)):
            await _answer(send, 403, "this is not the address that `steepest explore` printed", self.headers)
            return
        cookie = f"{self.cookie}={self.session}; HttpOnly; SameSite=Strict; Path=/"
        headers = [*self.headers, (b"location", self.landing.encode()), (b"set-cookie", cookie.encode())]
        await _answer(send, 303, "", headers)

    def _with_headers(self, send: Any) -> Any:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *self.headers]}
            await send(message)

        return sent


def _values(scope: Any, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())


async def _refuse(scope: Any, receive: Any, send: Any, reason: str, headers: Any) -> None:
    if scope["type"] == "websocket":
        await receive()  # "websocket.connect": closing before accepting is answered with HTTP 403
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    await _answer(send, 403, reason, headers)


async def _answer(send: Any, status: int, text: str, headers: Any) -> None:
    head = [(b"content-type", b"text/plain; charset=utf-8"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": text.encode()})
