"""A small HTTP client: one request at a time over a connection that is kept; no redirects.

The parser is httptools', which the server uses as well. A library with a pool and redirects would
have to be kept from both, and from resolving the name a second time (`server.outbound.addresses`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import httptools
import msgspec

from server.errors import ServerError
from server.outbound.addresses import CONNECT_TIMEOUT_S, Door
from server.outbound.errors import OutboundError

ANSWER_BYTES = 1024 * 1024
HEADERS_MOST = 100
CHUNK_BYTES = 65_536
SENT_BYTES = 256 * 1024
"""Given to the transport at a time, so that a slow receiver holds no more memory than this."""


class BadUrl(ServerError, ValueError):  # noqa: N818 (named for what it is)
    """A URL that cannot be posted to."""


class Target(msgspec.Struct, frozen=True):
    """Where to post.

    Attributes:
        host: name or address, without brackets.
        path: with the query.
        shown: the URL for messages, without its query.
    """

    host: str
    port: int
    is_tls: bool
    path: str
    shown: str

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


def parse_url(url: str) -> Target:
    """Take a URL apart.

    Raises:
        BadUrl: it is none of http or https, or has credentials or a fragment in it.
    """
    expected = "a URL https://HOST/PATH (or http://…) without credentials and fragment"
    if len(url) > 2000 or not url.isascii() or not url.isprintable() or " " in url:
        raise BadUrl(f"expected {expected}, found {url[:80]!r}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        raise BadUrl(f"expected {expected}, found {url[:80]!r}") from None
    is_tls = parts.scheme == "https"
    if parts.scheme not in ("http", "https") or not host or parts.username is not None or port == 0:
        raise BadUrl(f"expected {expected}, found {url[:80]!r}")
    if parts.fragment or parts.password is not None:
        raise BadUrl(f"expected {expected}, found {url[:80]!r}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return Target(host, port or (443 if is_tls else 80), is_tls, path, shown)


class Answer(msgspec.Struct, frozen=True):
    """What came back; names of headers in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after_s(self) -> float:
        """How long the other side asks to wait, bounded; 0 where it says nothing."""
        text = self.headers.get("retry-after", "").strip()
        return min(float(text), 3600.0) if text.isdigit() and len(text) < 9 else 0.0


class HttpClient:
    """Posts to one target.

    Args:
        target: where.
        door: the way out.
        tls: default: the certificates that this machine trusts.
    """

    def __init__(self, target: Target, door: Door, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self._door = door
        self._tls = tls
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answer:
        """Post and give the answer.

        Raises:
            Blocked: not allowed.
            OutboundError: no whole answer in time; whether the body arrived is not known.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._post(body, headers)
        except TimeoutError:
            self.close()
            raise OutboundError(
                f"expected an answer of {self.target.shown} within {timeout_s:g} s, got none"
            ) from None
        except BaseException:
            self.close()
            raise

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        is_kept = self._writer is not None
        if not is_kept:
            await self._connect()
        try:
            return await self._exchange(body, headers)
        except OutboundError:
            # A kept connection may have been closed by the other side meanwhile. What is posted
            # is marked so that the same again changes nothing.
            if not is_kept:
                raise
        self.close()
        await self._connect()
        return await self._exchange(body, headers)

    async def _connect(self) -> None:
        target = self.target
        tls = (self._tls or _trusted()) if target.is_tls else None
        # From here on the socket belongs to the transport, which closes it when that is time.
        dialled = await self._door.dial(target.host, target.port)
        try:
            self._reader, self._writer = await asyncio.open_connection(
                sock=dialled,
                ssl=tls,
                server_hostname=target.host if tls else None,
                limit=CHUNK_BYTES,
                ssl_handshake_timeout=CONNECT_TIMEOUT_S if tls else None,
            )
        except OSError as error:  # ssl.SSLError included
            raise OutboundError(
                f"expected TLS with {target.host} port {target.port}, got: {_reason(error)}"
            ) from None

    async def _exchange(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        reader, writer = self._reader, self._writer
        assert reader is not None
        assert writer is not None
        parsed = _Parsed()
        parser = parsed.parser = httptools.HttpResponseParser(parsed)
        lines = [f"POST {self.target.path} HTTP/1.1", f"host: {self.target.authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"content-length: {len(body)}", "", ""]
        try:
            writer.write("\r\n".join(lines).encode("latin-1"))
            for begin in range(0, len(body), SENT_BYTES):
                writer.write(body[begin : begin + SENT_BYTES])
                await writer.drain()
            while not parsed.is_whole:
                data = await reader.read(CHUNK_BYTES)
                if not data:
                    break
                parser.feed_data(data)
        except OSError as error:
            raise OutboundError(
                f"expected an answer of {self.target.shown}, got: {_reason(error)}"
            ) from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, _TooMuch) as error:
            cause = error.__context__ if isinstance(error.__context__, _TooMuch) else error
            raise OutboundError(
                f"expected an HTTP answer of {self.target.shown}, got: {cause}"
            ) from None
        parsed.parser = None  # they held each other
        if not parsed.is_whole and not parsed.ends_with_connection:
            raise OutboundError(
                f"expected an answer of {self.target.shown}, got the end of the connection"
            )
        status = parser.get_status_code()
        if not parsed.is_whole or not parsed.is_kept:
            self.close()
        return Answer(status, parsed.headers, b"".join(parsed.chunks))

    def close(self) -> None:
        """Close the connection; the next post opens another."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.transport.abort()


class _TooMuch(Exception):  # noqa: N818
    """More than this client takes."""


class _Parsed:
    """What httptools finds in an answer."""

    def __init__(self) -> None:
        self.parser: httptools.HttpResponseParser | None = None
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.is_whole = False
        self.is_kept = False
        self.has_headers = False
        self._size = 0

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of the body."""
        names = self.headers.keys()
        return self.has_headers and not {"content-length", "transfer-encoding"} & names

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= HEADERS_MOST:
            raise _TooMuch(f"more than {HEADERS_MOST} headers")
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.has_headers = True
        # Afterwards the parser does not know any more.
        self.is_kept = self.parser is not None and self.parser.should_keep_alive()

    def on_body(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > ANSWER_BYTES:
            raise _TooMuch(f"more than {ANSWER_BYTES} bytes")
        self.chunks.append(chunk)

    def on_message_complete(self) -> None:
        self.is_whole = True


def _trusted() -> ssl.SSLContext:
    global _context
    if _context is None:
        _context = ssl.create_default_context()
    return _context


_context: ssl.SSLContext | None = None
"""Made once: to load the certificates takes 20 ms and as many megabytes as there are of them."""


def _reason(error: OSError) -> str:
    return (getattr(error, "verify_message", "") or error.strerror or str(error)).lower()
