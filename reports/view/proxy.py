"""The way from the pages to a gateway: requests and WebSockets are passed on as they come.

Bodies stream in both directions, nothing is collected. What is changed:

* `Host` and `Origin` are the gateway's: its guard asks whether a page is one of its own, and these
  pages are, since `telerig view` has checked that they are its own.
* Cookies get a name with the gateway's address in it: a browser keeps cookies for a host, not for
  a port, and another gateway's session on this machine must stay what it is.
* Who comes from another machine is named in `X-Forwarded-For`: what the gateway allows to programs
  of its own machine is not theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

import h11
from starlette.types import Message, Receive, Scope, Send

from reports.view.errors import ViewError
from reports.view.hosts import is_loopback
from reports.view.problems import problem

CONNECT_S = 5.0
READ_BYTES = 64 * 1024
HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""Of one connection, not of the message (RFC 9110 7.6.1)."""
PROBLEM = b"application/problem+json"
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class GatewayAddress:
    """Where a gateway is.

    Attributes:
        host: name or address.
        port: likewise.
        is_tls: it speaks https.
        path: before each path of its API, without a slash at its end.
    """

    host: str
    port: int
    is_tls: bool
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> GatewayAddress:
        """Read an address as people write it: `car:8000`, `http://car:8000`, `https://car/gate`.

        Raises:
            ViewError: it is none.
        """
        whole = text if "://" in text else f"http://{text}"
        try:
            parts = urlsplit(whole)
            port, host = parts.port, parts.hostname
        except ValueError:
            port, host = None, None
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise ViewError(
                f"--gateway: expected an address like http://127.0.0.1:8000, found {text!r}",
                usage=True,
            )
        is_tls = parts.scheme == "https"
        return cls(host, port or (443 if is_tls else 80), is_tls, parts.path.rstrip("/"))

    @property
    def netloc(self) -> str:
        """Host and port, as in a `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """As in an `Origin` header."""
        return f"{'https' if self.is_tls else 'http'}://{self.netloc}"

    @property
    def shown(self) -> str:
        """For the title of the pages."""
        return self.netloc + self.path

    @property
    def mark(self) -> str:
        """What cookies of this gateway are named with."""
        return f"tv{hashlib.sha256((self.origin + self.path).encode()).hexdigest()[:8]}_"


class GatewayAway(Exception):  # noqa: N818 (a state of the other side)
    """The gateway cannot be reached, or ended in the middle; says why."""


class Proxy:
    """Passes requests and WebSockets on to a gateway."""

    def __init__(self, gateway: GatewayAddress) -> None:
        self._gateway = gateway
        self._tls = ssl.create_default_context() if gateway.is_tls else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one on."""
        if scope["type"] == "websocket":
            from reports.view.proxy_socket import pass_socket

            await pass_socket(self._gateway, self._tls, scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await _exchange(self._gateway, self._tls, scope, receive, watched)
        except GatewayAway as error:
            if begun:
                raise ConnectionAbortedError(str(error)) from error
            found = f"{self._gateway.origin} does not answer: {error}"
            detail = (
                f"expected the gateway, found that {found}. Is it running, and is this its address?"
            )
            answer = problem(
                502, detail, scope["path"], expected="the gateway", found=found, where="gateway"
            )
            await answer(scope, receive, send)


async def _exchange(
    gateway: GatewayAddress, tls: ssl.SSLContext | None, scope: Scope, receive: Receive, send: Send
) -> None:
    async with _connection(gateway, tls) as (reader, writer):
        talk = h11.Connection(h11.CLIENT)
        request = h11.Request(
            method=scope["method"],
            target=target(gateway, scope),
            headers=[*request_headers(gateway, scope), (b"connection", b"close")],
        )
        writer.write(talk.send(request) or b"")
        # The answer may come before the request has ended: 413, or a refusal.
        sending = asyncio.create_task(_send_body(talk, writer, receive))
        leaving: asyncio.Task[None] | None = None
        answering = asyncio.create_task(_pass_answer(gateway, talk, reader, scope, send))
        try:
            await asyncio.wait({answering, sending}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done() and sending.exception() is None:
                # The body is out. Who goes away now leaves nothing to answer.
                leaving = asyncio.create_task(_left(receive))
                await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done() or leaving is None:
                await answering
        finally:
            tasks = [task for task in (sending, answering, leaving) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _send_body(talk: h11.Connection, writer: asyncio.StreamWriter, receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        body = message.get("body", b"")
        if body:
            writer.write(talk.send(h11.Data(data=body)) or b"")
            await writer.drain()
        if not message.get("more_body", False):
            writer.write(talk.send(h11.EndOfMessage()) or b"")
            await writer.drain()
            return


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pass_answer(
    gateway: GatewayAddress,
    talk: h11.Connection,
    reader: asyncio.StreamReader,
    scope: Scope,
    send: Send,
) -> None:
    while True:
        try:
            event = talk.next_event()
            if event is h11.NEED_DATA:
                talk.receive_data(await reader.read(READ_BYTES))
                continue
        except (h11.RemoteProtocolError, OSError) as error:
            raise GatewayAway(f"its answer broke off ({error})") from error
        if isinstance(event, h11.InformationalResponse):
            continue
        if isinstance(event, h11.Response):
            headers = answer_headers(gateway, event.headers.raw_items(), scope)
            await send(
                {"type": "http.response.start", "status": event.status_code, "headers": headers}
            )
        elif isinstance(event, h11.Data):
            body = {"type": "http.response.body", "body": bytes(event.data), "more_body": True}
            await send(body)
        elif isinstance(event, h11.EndOfMessage):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        else:
            raise GatewayAway("it closed the connection")


@contextlib.asynccontextmanager
async def _connection(
    gateway: GatewayAddress, tls: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(
                gateway.host,
                gateway.port,
                ssl=tls,
                server_hostname=gateway.host if tls is not None else None,
            )
    except TimeoutError as error:
        raise GatewayAway(f"no connection within {CONNECT_S:g} s") from error
    except (OSError, ssl.SSLError) as error:
        raise GatewayAway((error.strerror or str(error)).lower()) from error
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()


def target(gateway: GatewayAddress, scope: Scope) -> bytes:
    """Give path and query as they came."""
    path = scope.get("raw_path") or scope["path"].encode("ascii", "replace")
    query = scope.get("query_string", b"")
    whole: bytes = gateway.path.encode() + path + (b"?" + query if query else b"")
    return whole


def request_headers(gateway: GatewayAddress, scope: Scope) -> Headers:
    """Give a request's headers as the gateway is to see them."""
    found: Headers = [(b"host", gateway.netloc.encode())]
    left_out = _named_by_connection(scope["headers"]) | HOP_BY_HOP
    for name, value in scope["headers"]:
        if name in left_out or name in (b"host", b"referer", b"forwarded"):
            continue
        if name.startswith((b"x-forwarded-", b"sec-websocket-")):
            continue
        if name == b"origin":
            found.append((name, gateway.origin.encode()))
        elif name == b"cookie":
            kept = _own_cookies(value, gateway.mark)
            if kept:
                found.append((name, kept))
        else:
            found.append((name, value))
    client = (scope.get("client") or ("", 0))[0]
    if not is_loopback(client):
        found.append((b"x-forwarded-for", client.encode()))
    return found


def answer_headers(
    gateway: GatewayAddress, headers: Iterable[tuple[bytes, bytes]], scope: Scope
) -> Headers:
    """Give an answer's headers as the browser is to see them."""
    items = [(bytes(name).lower(), bytes(value)) for name, value in headers]
    left_out = _named_by_connection(items) | HOP_BY_HOP
    found: Headers = []
    for name, value in items:
        if name in left_out:
            continue
        if name == b"set-cookie":
            found += [(name, one) for one in _cookies_for_browser(value, gateway.mark)]
        elif name == b"location":
            # Its own address would lead past us.
            found.append((name, value.removeprefix(gateway.origin.encode()) or b"/"))
        else:
            found.append((name, value))
    return found


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Give the headers that `Connection` says are of the connection only."""
    values = b",".join(value for name, value in headers if name == b"connection")
    return frozenset(name.strip().lower() for name in values.split(b",") if name.strip())


def _own_cookies(value: bytes, mark: str) -> bytes:
    pairs = [pair.strip() for pair in value.decode("latin-1").split(";")]
    kept = [pair.removeprefix(mark) for pair in pairs if pair.startswith(mark)]
    return "; ".join(kept).encode("latin-1")


def _cookies_for_browser(value: bytes, mark: str) -> list[bytes]:
    """Give a cookie under the name that it has in the browser.

    The browser speaks plain HTTP with this machine: `Secure`, and the prefix that asks for it,
    would keep it from taking the cookie.
    """
    cookie: SimpleCookie = SimpleCookie()
    try:
        cookie.load(value.decode("latin-1"))
    except CookieError:
        return []
    made = []
    for name, morsel in cookie.items():
        morsel.set(mark + name, morsel.value, morsel.coded_value)
        morsel["secure"] = ""
        morsel["domain"] = ""
        made.append(morsel.OutputString().encode("latin-1"))
    return made
