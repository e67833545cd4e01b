"""One HTTP exchange over a connection of its own, as a small board makes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from urllib.parse import SplitResult, urlsplit

import h11

from sim.esp32 import HttpAnswer, HttpRequest

READ_BYTES = 65536
LONGEST_ANSWER_BYTES = 1 << 20
TIMEOUT_S = 30.0

Place = Callable[[SplitResult], tuple[str, int]]
"""Where a URL's host is found: (address, port)."""


def as_written(url: SplitResult) -> tuple[str, int]:
    """Return host and port as the URL says."""
    return url.hostname or "", url.port or 80


async def exchange(request: HttpRequest, place: Place = as_written) -> HttpAnswer:
    """Send `request` and return the answer; status 0 and a reason where there is none."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _exchange(request, place)
    except TimeoutError:
        return HttpAnswer(0, b"timed out")
    except OSError as error:
        return HttpAnswer(0, (error.strerror or str(error)).lower().encode())
    except (h11.ProtocolError, ValueError) as error:
        return HttpAnswer(0, f"no HTTP: {error}".encode())


async def _exchange(request: HttpRequest, place: Place) -> HttpAnswer:
    url = urlsplit(request.url)
    if url.scheme != "http":
        return HttpAnswer(0, b"expected a URL http://...; TLS is not modelled")
    address, port = place(url)
    reader, writer = await asyncio.open_connection(address, port)
    try:
        connection = h11.Connection(h11.CLIENT)
        writer.write(_bytes_of(connection, request, url))
        return await _read(reader, connection)
    finally:
        writer.close()


def _bytes_of(connection: h11.Connection, request: HttpRequest, url: SplitResult) -> bytes:
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    headers = [
        ("Host", url.netloc.rpartition("@")[2]),
        ("Connection", "close"),
        ("Content-Length", str(len(request.body))),
        *request.headers,
    ]
    events: Iterable[h11.Event] = (
        h11.Request(method=request.method, target=target, headers=headers),
        h11.Data(data=request.body),
        h11.EndOfMessage(),
    )
    # In one write: one segment, so that the other side finds all of it at once.
    return b"".join(connection.send(event) or b"" for event in events)


async def _read(reader: asyncio.StreamReader, connection: h11.Connection) -> HttpAnswer:
    status, body = 0, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(READ_BYTES))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > LONGEST_ANSWER_BYTES:
                return HttpAnswer(0, b"answer too long")
        elif isinstance(event, h11.EndOfMessage):
            return HttpAnswer(status, body)
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            return HttpAnswer(0, b"connection closed")
