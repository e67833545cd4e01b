"""Watches the gateway from outside, as any client would: its live stream and its API."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

CONNECT_TIMEOUT_S = 10.0
MAX_MESSAGE_BYTES = 1 << 22
COME_BACK_S = 0.25
"""A client whose connection is gone tries again so often."""


class LiveListener(Protocol):
    """Takes what the gateway's live stream says. `rig.worker.recording.Recording` is one."""

    def published(self, arrived_ns: int, rows: list[list[Any]], device: str, boot: int) -> None: ...

    def stored_at(
        self, boot: int, upto_seq: int, time_ns: int, device: str, first_seq: int
    ) -> None: ...

    def gateway_event(self, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None: ...


class NamedListener:
    """Passes on what a second gateway says; its own readings bear its name as their device."""

    def __init__(self, name: str, listener: LiveListener) -> None:
        self._name = name
        self._listener = listener

    def published(self, arrived_ns: int, rows: list[list[Any]], device: str, boot: int) -> None:
        self._listener.published(arrived_ns, rows, device or self._name, boot)

    def stored_at(
        self, boot: int, upto_seq: int, time_ns: int, device: str, first_seq: int
    ) -> None:
        self._listener.stored_at(boot, upto_seq, time_ns, device or self._name, first_seq)

    def gateway_event(self, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        self._listener.gateway_event(time_ns, kind, {**detail, "gateway": self._name})


async def follow_live(
    place: Callable[[], int | None], listener: LiveListener, is_over: Callable[[], bool]
) -> None:
    """Follow the live stream of a gateway that may be killed and start again; come back each time.

    Args:
        place: gives the port at 127.0.0.1, or None while nobody listens.
        listener: also hears of "lost" and "back", each with the instant.
        is_over: whether the gateway has ended for good.
    """
    is_back = False
    while True:
        port = place()
        if port is not None:
            with contextlib.suppress(OSError, WebSocketException):
                await watch_live(port, _Returning(listener) if is_back else listener)
        if is_over():
            return
        if port is not None:
            listener.gateway_event(time.time_ns(), "lost", {})
            is_back = True
        await asyncio.sleep(COME_BACK_S)


class _Returning(NamedListener):
    """Says that the client is back as soon as the gateway has greeted it."""

    def __init__(self, listener: LiveListener) -> None:
        super().__init__("", listener)

    def gateway_event(self, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        self._listener.gateway_event(time_ns, kind, detail)
        if kind == "hello":
            self._listener.gateway_event(time_ns, "back", {"boot": detail["boot"]})


async def watch_live(port: int, listener: LiveListener) -> None:
    """Follow the live stream of the gateway at 127.0.0.1:`port` until cancelled or closed."""
    await watch_stream(f"ws://127.0.0.1:{port}/api/v1/live?heartbeat=0", listener)


async def watch_stream(
    url: str, listener: LiveListener, headers: Mapping[str, str] | None = None
) -> None:
    """Follow the live stream at `url` until cancelled or closed."""
    decode = msgspec.json.Decoder().decode
    async with connect(
        url,
        additional_headers=headers,
        proxy=None,
        compression=None,
        open_timeout=CONNECT_TIMEOUT_S,
        ping_interval=None,
        max_size=MAX_MESSAGE_BYTES,
    ) as socket:
        with contextlib.suppress(ConnectionClosed):
            async for text in socket:
                now_ns = time.time_ns()
                message = decode(text)
                kind = message["type"]
                if kind == "readings":
                    device, boot = message["device"], message["boot"]
                    listener.published(now_ns, message["readings"], device, boot)
                elif kind == "stored":
                    listener.stored_at(
                        message["boot"],
                        message["upto"],
                        message["time_ns"],
                        message["device"],
                        message.get("first", 0),
                    )
                else:
                    listener.gateway_event(now_ns, kind, message)


async def get_json(port: int, path: str) -> Any:
    """GET a JSON document of the gateway at 127.0.0.1:`port`.

    Raises:
        OSError: it does not answer; ValueError: it answers something else.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise ValueError(f"GET {path}: expected 200, got {head.splitlines()[:1]!r}")
    return msgspec.json.decode(body)
