"""The way to a gateway: what is passed on, what is changed, and what is said when it is away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from http.cookiejar import CookieJar
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from reports.view.errors import ViewError
from reports.view.proxy import GatewayAddress, Proxy, answer_headers, request_headers
from tests.reports.view.served import DEVICE, PASSWORD, ServedGateway, ServedView

PATIENCE_S = 60
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.mark.parametrize(
    ("text", "origin", "path"),
    [
        ("car:8000", "http://car:8000", ""),
        ("http://car", "http://car", ""),
        ("https://car", "https://car", ""),
        ("https://car:8443/gate/", "https://car:8443", "/gate"),
        ("http://[::1]:8000", "http://[::1]:8000", ""),
    ],
)
def test_addresses_as_people_write_them(text: str, origin: str, path: str) -> None:
    """Scheme and port may be left out; a path comes before each path of the API."""
    found = GatewayAddress.parse(text)
    assert (found.origin, found.path) == (origin, path)


@pytest.mark.parametrize(
    "text", ["", "ftp://car", "http://", "http://car:port", "http://car:99999", "http://car/?a=1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """The message says what was expected and what came."""
    with pytest.raises(ViewError, match=r"expected an address like http://127.0.0.1:8000, found"):
        GatewayAddress.parse(text)


CAR = GatewayAddress("car", 8000, False)


def scope(*headers: tuple[str, str], client: str = "127.0.0.1") -> dict[str, Any]:
    """A request."""
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return {"type": "http", "headers": raw, "client": (client, 5), "path": "/", "method": "GET"}


def test_host_and_origin_are_the_gateways() -> None:
    """Its guard sees a page of its own; where the page really is stays here."""
    found = dict(
        request_headers(
            CAR,
            scope(
                ("host", "127.0.0.1:8050"),
                ("origin", "http://127.0.0.1:8050"),
                ("referer", "http://127.0.0.1:8050/x"),
                ("x-csrf-token", "t"),
            ),
        )
    )
    assert found == {b"host": b"car:8000", b"origin": b"http://car:8000", b"x-csrf-token": b"t"}


def test_headers_of_a_connection_stay_there() -> None:
    """What `Connection` names, and what is of one connection by its nature, is not passed on."""
    given = scope(
        ("connection", "keep-alive, x-mine"),
        ("keep-alive", "5"),
        ("x-mine", "1"),
        ("te", "trailers"),
        ("x-forwarded-for", "1.2.3.4"),
        ("forwarded", "for=1.2.3.4"),
        ("accept", "*/*"),
    )
    assert request_headers(CAR, given) == [(b"host", b"car:8000"), (b"accept", b"*/*")]


def test_who_comes_from_another_machine_is_named() -> None:
    """What a gateway allows to its own machine is not for who came over the network to here."""
    assert dict(request_headers(CAR, scope(client="192.168.1.7")))[b"x-forwarded-for"] == (
        b"192.168.1.7"
    )
    assert b"x-forwarded-for" not in dict(request_headers(CAR, scope(client="127.0.0.1")))


def test_cookies_are_kept_apart() -> None:
    """A cookie has the gateway's mark in the browser, and loses it on the way back; others stay."""
    cookie = b"__Host-telerig_session=abc; HttpOnly; Max-Age=60; Path=/; SameSite=lax; Secure"
    ((_, set_cookie),) = answer_headers(CAR, [(b"Set-Cookie", cookie)], scope())
    text = set_cookie.decode()
    assert text.startswith(f"{CAR.mark}__Host-telerig_session=abc;")
    assert "Secure" not in text
    assert "HttpOnly" in text
    assert "SameSite=lax" in text
    pair = text.partition(";")[0]
    headers = dict(request_headers(CAR, scope(("cookie", f"other=1; {pair}; telerig_session=2"))))
    assert headers[b"cookie"] == b"__Host-telerig_session=abc"
    other = GatewayAddress("car", 8001, False)
    assert b"cookie" not in dict(request_headers(other, scope(("cookie", pair))))


# A gateway made of a handler.


@contextlib.asynccontextmanager
async def upstream(handler: Handler) -> AsyncIterator[Proxy]:
    """A proxy to a server that does what the handler does with each connection."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Proxy(GatewayAddress("127.0.0.1", port, False))
    finally:
        server.close()


class Asked:
    """One request to a proxy, message by message."""

    def __init__(self, proxy: Proxy, *body: bytes, method: str = "GET") -> None:
        self.sent: asyncio.Queue[Any] = asyncio.Queue()
        self.gone = asyncio.Event()
        self._body = list(body) or [b""]
        given = scope(("host", "127.0.0.1:8050")) | {"method": method, "path": "/api/x y"}
        given |= {"raw_path": b"/api/x%20y", "query_string": b"a=1&b=%2F"}
        if body:
            given["headers"].append((b"transfer-encoding", b"chunked"))
        self.task = asyncio.create_task(proxy(given, self._receive, self.sent.put))

    async def _receive(self) -> dict[str, Any]:
        if self._body:
            part = self._body.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._body)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def next(self) -> Any:
        """Give the next message of the answer."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.sent.get()


async def test_bodies_stream() -> None:
    """The first part of an answer arrives while the gateway still waits to send the second."""
    go_on = asyncio.Event()
    asked_for = b""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked_for
        asked_for = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await go_on.wait()
        writer.write(b"6\r\nsecond\r\n0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with upstream(handler) as proxy:
        asked = Asked(proxy)
        assert (await asked.next())["status"] == 200
        assert (await asked.next())["body"] == b"first"
        go_on.set()
        assert (await asked.next())["body"] == b"second"
        assert (await asked.next())["more_body"] is False
        await asked.task
    assert asked_for.startswith(b"GET /api/x%20y?a=1&b=%2F HTTP/1.1\r\n")


async def test_the_gateway_sees_that_somebody_went_away() -> None:
    """A browser that leaves an endless answer ends it at the gateway too."""
    ended = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await reader.read()
        ended.set()
        writer.close()

    async with upstream(handler) as proxy:
        asked = Asked(proxy)
        await asked.next()
        asked.gone.set()
        async with asyncio.timeout(PATIENCE_S):
            await asked.task
            await ended.wait()


async def test_an_answer_may_come_before_the_body_has_ended() -> None:
    """A refusal of a large upload is passed on."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        await reader.read()
        writer.close()

    async with upstream(handler) as proxy:
        asked = Asked(proxy, b"x" * 100_000, b"x" * 100_000, method="POST")
        assert (await asked.next())["status"] == 413
        assert (await asked.next())["body"] == b"no"
        async with asyncio.timeout(PATIENCE_S):
            await asked.task


async def test_an_answer_that_breaks_off_is_not_made_whole() -> None:
    """What has begun ends as broken: nobody takes half an export for a whole one."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async with upstream(handler) as proxy:
        asked = Asked(proxy)
        assert (await asked.next())["status"] == 200
        assert (await asked.next())["body"] == b"half"
        with pytest.raises(ConnectionError):
            await asked.task
        assert asked.sent.empty()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"hello\r\n\r\n"])
async def test_a_gateway_that_ends_without_answer_is_told(answer: bytes) -> None:
    """502 with a problem in words."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with upstream(handler) as proxy:
        asked = Asked(proxy)
        assert (await asked.next())["status"] == 502
        problem = json.loads((await asked.next())["body"])
        assert "does not answer" in problem["detail"]
        assert "127.0.0.1" in problem["detail"]


async def test_a_gateway_that_is_away_is_told() -> None:
    """502, with its address and what to look at."""
    async with upstream(lambda _r, w: _close(w)) as proxy:
        pass
    asked = Asked(proxy)
    assert (await asked.next())["status"] == 502
    problem = json.loads((await asked.next())["body"])
    assert "Is it running" in problem["detail"]
    assert problem["where"] == "gateway"


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()


# The real one.


@pytest.fixture
def browser_like(view_of_gateway: ServedView) -> urllib.request.OpenerDirector:
    """Something that keeps cookies."""
    return urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))


def call(
    opener: urllib.request.OpenerDirector, url: str, body: Any = None, **headers: str
) -> tuple[int, Any]:
    """Call an API; give status and parsed answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"} | headers)
    try:
        with opener.open(request, timeout=PATIENCE_S) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_user_signs_in_through_it(
    view_of_gateway: ServedView, browser_like: urllib.request.OpenerDirector
) -> None:
    """Cookie and CSRF token count as at the gateway itself; a page of elsewhere may not."""
    url = view_of_gateway.url
    origin = {"origin": url}
    login = {"name": "operator", "password": PASSWORD}
    status, _ = call(browser_like, f"{url}/api/v1/auth/login", login, **origin)
    assert status == 200
    _, me = call(browser_like, f"{url}/api/v1/auth/me")
    assert (me["name"], me["role"]) == ("operator", "operator")
    ticket = f"{url}/api/v1/auth/ticket"
    assert call(browser_like, ticket, {}, **origin)[0] == 403  # no CSRF token
    csrf = {"x-csrf-token": me["csrf"]}
    assert call(browser_like, ticket, {}, **origin, **csrf)[0] == 201
    assert call(browser_like, ticket, {}, origin="http://evil.example", **csrf)[0] == 403


def test_a_socket_goes_through_it(view_of_gateway: ServedView, gateway: ServedGateway) -> None:
    """What is sent to the gateway comes out of the socket; who may not gets the gateway's no."""
    url = view_of_gateway.url.replace("http", "ws")
    headers = {"x-api-key": gateway.secret}
    with connect(
        f"{url}/api/v1/live?device={DEVICE}",
        additional_headers=headers,
        origin=view_of_gateway.url,  # type: ignore[arg-type]
    ) as socket:
        assert json.loads(socket.recv(PATIENCE_S))["type"] == "hello"
        gateway.send([("RPM", 1_767_323_045_000_000_000, 812.25)])
        text = ""
        while "812.25" not in text:
            text = str(socket.recv(PATIENCE_S))
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{url}/api/v1/live")
    assert refused.value.response.status_code == 401
    assert b"problem" in refused.value.response.headers["content-type"].encode()
    with pytest.raises(InvalidStatus):
        connect(f"{url}/api/v1/live", additional_headers=headers, origin="http://evil.example")  # type: ignore[arg-type]
