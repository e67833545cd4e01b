"""Live streams of S0 and S1: one message for each reading, never several in one.

    WS /ws/telemetry            S0 (where [compat] s0 is on)
        {"pid": "RPM", "value": 812.5, "unit": "rpm", "timestamp": ISO, "device": …}
    WS /api/v1/ws?session_id=7  S1; without a number the session of the gateway's own links
        {"type": "telemetry", "session_id": 7, "timestamp": ISO, "signal": "RPM", "value": 812.5,
         "unit": "rpm"}
        {"type": "session", "session_id": 7, "state": "ended"}, then the stream ends

What a client says is ignored: these systems' clients only listened.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from server.answers import iso
from server.api.endpoint import Endpoint, Role, Socket, SocketCall
from server.api.frame import deny
from server.api.parameters import Identifier
from server.api.problems import KNOWN
from server.catalogue import SHORT_NAMES
from server.live.asked import Wish, selection_of
from server.live.client import LiveClient, Outlet
from server.live.events import Event, Notice, Readings
from server.live.frames import encode
from server.live.listen import serve_client
from server.live.selection import EVERYTHING, Selection
from server.live.words import Words, number, unit_of

if TYPE_CHECKING:
    from server.gateway import Gateway

WORDS_KEPT = 1000


class SessionQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which session."""

    session_id: Identifier | None = None


class _Points:
    """A message for each reading; a subclass says what stands before and behind its instant."""

    def say(self, event: Event) -> Sequence[bytes]:
        """Give a message for each reading."""
        if not isinstance(event, Readings):
            return self.notice(event)
        device = encode(event.device)
        texts = []
        told_ns, told = -1, b""
        for _, signal, time_ns, value, _, _ in event.rows:
            if time_ns != told_ns:
                told_ns, told = time_ns, encode(iso(time_ns))
            texts.append(self.point(device, *_named(signal), number(value), told))
        return texts

    def point(
        self, device: bytes, name: bytes, unit: bytes, value: bytes, timestamp: bytes
    ) -> bytes:
        """Give the message of one reading; all parts are JSON."""
        raise NotImplementedError

    def notice(self, event: Event) -> Sequence[bytes]:
        """Give what anything else becomes."""
        return ()

    def dropped(self, count: int) -> bytes:
        """Say nothing: these clients know no such message."""
        return b""


class S0(_Points):
    """S0's words."""

    def point(
        self, device: bytes, name: bytes, unit: bytes, value: bytes, timestamp: bytes
    ) -> bytes:
        """Give the message of one reading."""
        return b'{"pid":%b,"value":%b,"unit":%b,"timestamp":%b,"device":%b}' % (
            name,
            value,
            unit,
            timestamp,
            device,
        )


class S1(_Points):
    """S1's words about one session."""

    def __init__(self, session: int) -> None:
        self._session = session

    def point(
        self, device: bytes, name: bytes, unit: bytes, value: bytes, timestamp: bytes
    ) -> bytes:
        """Give the message of one reading."""
        return (
            b'{"type":"telemetry","session_id":%d,"timestamp":%b,"signal":%b,"value":%b,"unit":%b}'
            % (self._session, timestamp, name, value, unit)
        )

    def notice(self, event: Event) -> Sequence[bytes]:
        """Tell the end of the session."""
        assert isinstance(event, Notice)
        content = event.content
        if content["type"] != "session" or content.get("id") != self._session:
            return ()
        told = {"type": "session", "session_id": self._session, "state": content["state"]}
        return (encode(told),)


@functools.lru_cache(maxsize=WORDS_KEPT)
def _named(signal: int) -> tuple[bytes, bytes]:
    return encode(SHORT_NAMES.get(signal, str(signal))), encode(unit_of(signal))


@functools.lru_cache(maxsize=WORDS_KEPT)
def _words_of(session: int) -> S1:
    """Give the words of a session: the same ones to all its clients, who are a group."""
    return S1(session)


_S0 = S0()


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    s0 = Socket(
        "/ws/telemetry",
        telemetry,
        role=Role.VIEWER,
        summary="Listen to each reading as S0 has it",
        tag="older systems",
    )
    s1 = Socket(
        "/api/v1/ws",
        session,
        role=Role.VIEWER,
        summary="Listen to a session as S1 has it",
        tag="live",
        query=SessionQuery,
    )
    return [s1, s0] if gateway.config.compat.s0 else [s1]


async def telemetry(call: SocketCall[None]) -> None:
    """Serve a listener in S0's words."""
    await _serve(call, _S0, EVERYTHING.within(call.who.visible(None)))


async def session(call: SocketCall[SessionQuery]) -> None:
    """Serve a listener to one session in S1's words."""
    gateway = call.gateway
    number = call.query.session_id or gateway.hotlog.session_id or 0
    try:
        selection = await selection_of(gateway, call.who, Wish(session=number))
    except KNOWN as error:
        await deny(call.socket, error)
        return
    await _serve(call, _words_of(number), selection)


async def _serve(call: SocketCall[Any], words: Words, selection: Selection) -> None:
    gateway = call.gateway

    def make(outlet: Outlet) -> LiveClient:
        return gateway.hub.attach(outlet, words, selection)

    async def begin(client: LiveClient) -> None:
        gateway.hub.join(client)

    async def heard(message: dict[str, Any]) -> None:
        return None

    await serve_client(
        call, gateway.hub, make, begin, heard, subprotocol="", complaint=lambda problem: b""
    )
