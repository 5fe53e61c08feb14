"""Nobody but this machine's own browser, on our own page and with the cookie, gets an answer."""

import http.client
import re

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from .conftest import PATIENCE

REFUSED = 403
TOO_BIG = 1009


def get(server, path="/", *, method="GET", host=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Host": host or f"127.0.0.1:{server.port}", **headers}.items():
        if value is not None:
            connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    return response, response.read().decode()


@pytest.fixture(scope="module")
def cookie(server):
    response, _ = get(server, f"/enter?token={server.token}")
    assert response.status == 303
    return response.getheader("set-cookie").partition(";")[0]


def foreign(port):
    return [
        "attacker.example",
        f"attacker.example:{port}",
        f"127.0.0.1.attacker.example:{port}",
        f"localhost.attacker.example:{port}",
        "127.0.0.1",
        f"127.0.0.1:{port + 1}",
        f"127.0.0.2:{port}",
        f"user@127.0.0.1:{port}",
        f"127.0.0.1:{port}/",
        f"127.0.0.1:0{port}",
        "0.0.0.0",
    ]


def test_the_token_is_shown_once_and_becomes_a_cookie_that_no_script_and_no_other_site_can_use(server):
    response, _ = get(server, f"/enter?token={server.token}")
    cookie = response.getheader("set-cookie")
    assert response.status == 303
    assert re.match(rf"steepest-{server.port}=\S+;", cookie)
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert server.token not in cookie
    assert server.token not in response.getheader("location")


def test_the_page_is_served_with_the_cookie_and_refused_without(server, cookie):
    assert get(server)[0].status == REFUSED
    assert get(server, Cookie=cookie[:-1] + "x")[0].status == REFUSED
    response, text = get(server, Cookie=f"other=1; {cookie}")
    assert response.status == 200
    assert "data-explorer" in text


@pytest.mark.parametrize("path", ["/explorer.js", "/explorer.css", "/favicon.svg", "/index.html"])
def test_no_file_is_served_without_the_cookie(server, cookie, path):
    assert get(server, path)[0].status == REFUSED
    assert get(server, path, Cookie=cookie)[0].status == 200


@pytest.mark.parametrize("path", ["/../pyproject.toml", "/%2e%2e/guard.py", "/page/", "//etc/passwd", "/ask"])
def test_nothing_else_is_there(server, cookie, path):
    assert get(server, path, Cookie=cookie)[0].status == 404


@pytest.mark.parametrize("token", ["", "x", "é", "a" * 5_000])
def test_a_wrong_token_opens_nothing(server, token):
    response, _ = get(
        server, "/enter?token=" + token.encode("utf-8").decode("latin-1").replace("Ã©", "%C3%A9")
    )
    assert response.status == REFUSED
    assert response.getheader("set-cookie") is None


def test_a_foreign_host_is_refused_whatever_it_shows(server, cookie):
    for host in foreign(server.port):
        response, _ = get(server, host=host, Cookie=cookie)
        assert response.status in (REFUSED, 400), host
        response, _ = get(server, f"/enter?token={server.token}", host=host)
        assert response.status in (REFUSED, 400), host


def test_own_names_are_accepted(server, cookie):
    for name in ("127.0.0.1", "localhost", "[::1]"):
        assert get(server, host=f"{name}:{server.port}", Cookie=cookie)[0].status == 200


@pytest.mark.parametrize(
    "origin", ["http://attacker.example", "null", "https://127.0.0.1:{}", "http://127.0.0.1"]
)
def test_a_foreign_origin_is_refused(server, cookie, origin):
    assert get(server, Origin=origin.format(server.port), Cookie=cookie)[0].status == REFUSED
    assert get(server, Origin=f"http://127.0.0.1:{server.port}", Cookie=cookie)[0].status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(server, cookie, method):
    assert get(server, method=method, Cookie=cookie, Content_Length="0")[0].status == REFUSED


def test_the_policy_lets_no_script_in_but_ours_and_nobody_frame_the_page(server, cookie):
    policy = get(server, Cookie=cookie)[0].getheader("content-security-policy")
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert get(server)[0].getheader("content-security-policy") == policy  # refusals have it too


def socket_to(server, *, path="/ask", host=None, origin="own", cookie=None):
    headers = {"Cookie": cookie} if cookie else {}
    if host is not None:
        headers["Host"] = host
    own = f"http://127.0.0.1:{server.port}"
    uri = f"ws://127.0.0.1:{server.port}{path}"
    return connect(
        uri, origin=own if origin == "own" else origin, additional_headers=headers, open_timeout=PATIENCE
    )


def first_word(server, **how):
    with socket_to(server, **how) as socket:
        return socket.recv(PATIENCE)


def test_the_socket_answers_our_own_page(server, cookie):
    assert b"hello" in first_word(server, cookie=cookie)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cookie": None},
        {"origin": None},
        {"origin": "http://attacker.example"},
        {"origin": "null"},
        {"path": "/other"},
    ],
    ids=str,
)
def test_the_socket_refuses_whoever_lacks_one_of_the_three(server, cookie, wrong):
    with pytest.raises((InvalidStatus, ConnectionClosed)) as refusal:
        first_word(server, **({"cookie": cookie} | wrong))
    if refusal.type is InvalidStatus:
        assert refusal.value.response.status_code == REFUSED


def test_the_socket_refuses_a_foreign_host(server, cookie):
    for host in foreign(server.port):
        request = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
        key = {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        own = f"http://127.0.0.1:{server.port}"
        response, _ = get(server, "/ask", host=host, Origin=own, Cookie=cookie, **request, **key)
        assert response.status == REFUSED, host


def test_the_socket_with_the_token_in_its_address_but_a_foreign_origin_is_refused(server, cookie):
    with (
        pytest.raises(InvalidStatus),
        socket_to(server, path=f"/ask?token={server.token}", origin="http://attacker.example", cookie=cookie),
    ):
        pass


@pytest.mark.parametrize("text", ["", "[]", "{", '{"ask": 3}', "[" * 50_000, '{"ask": "point", "id": "x"}'])
def test_what_no_page_of_ours_would_send_ends_the_connection(server, cookie, text):
    with socket_to(server, cookie=cookie) as socket:
        socket.recv(PATIENCE)
        socket.send(text)
        with pytest.raises(ConnectionClosed):
            socket.recv(PATIENCE)


def test_a_message_that_is_too_long_ends_the_connection(server, cookie):
    def ask_at_length(socket):
        socket.send('{"ask": "' + "x" * 2**21 + '"}')  # the end may come before the last byte is out
        socket.recv(PATIENCE)

    with socket_to(server, cookie=cookie) as socket:
        socket.recv(PATIENCE)
        with pytest.raises(ConnectionClosed) as end:
            ask_at_length(socket)
    # Where bytes are still on their way, the machine may end the connection before the reason has come.
    assert end.value.rcvd is None or end.value.rcvd.code == TOO_BIG
