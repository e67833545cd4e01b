"""One dialect of /ws: events of the live stream, said in the words of an older system.

What happens is said once for all clients of a dialect (`server.live.hub`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from server.answers import BadParameter
from server.api.endpoint import SocketCall
from server.devices.access import address
from server.live.client import LiveClient, Outlet
from server.live.frames import encode
from server.live.hub import Hub
from server.live.listen import Held, serve_client
from server.live.protocol import LiveProtocol
from server.live.words import Words

log = structlog.get_logger("telerig.compat")


class Dialect(Words, Protocol):
    """The words of one older system."""

    @property
    def subprotocol(self) -> str:
        """Name by which a client asks for it."""

    async def first(self) -> Sequence[bytes]:
        """Give what a new client gets first."""

    async def heard(self, message: dict[str, Any]) -> Sequence[bytes]:
        """Take what a client says; give what only this client is to hear."""

    def complaint(self, problem: BadParameter) -> bytes:
        """Give the message that tells a client that it was not understood."""


class Channel:
    """The clients of one dialect.

    Args:
        hub: the live stream.
        dialect: the words.
    """

    def __init__(self, hub: Hub, dialect: Dialect) -> None:
        self._hub = hub
        self._dialect = dialect

    async def serve(self, call: SocketCall[Any]) -> None:
        """Serve one WebSocket until either side closes it."""
        await _Talk(call, self._hub, self._dialect).serve()


class _Talk:
    """One client."""

    def __init__(self, call: SocketCall[Any], hub: Hub, dialect: Dialect) -> None:
        self._call = call
        self._hub = hub
        self._dialect = dialect
        self._client: LiveClient | None = None
        self._held: Held | None = None

    async def serve(self) -> None:
        """Serve it until either side ends it."""
        name = self._dialect.subprotocol
        log.info("client connected", dialect=name, clients=self._hub.clients + 1)
        try:
            await serve_client(
                self._call,
                self._hub,
                self._make,
                self._begin,
                self._heard,
                subprotocol=name,
                complaint=self._dialect.complaint,
                # Nobody has said who it is: the address counts.
                user=f"{name} {address(self._call.socket)}",
            )
        finally:
            dropped = self._client.dropped if self._client is not None else 0
            log.info("client gone", dialect=name, dropped=dropped)

    def _make(self, outlet: Outlet) -> LiveClient:
        assert isinstance(outlet, LiveProtocol)
        self._held = Held(outlet)
        self._client = self._hub.attach(self._held, self._dialect)
        return self._client

    async def _begin(self, client: LiveClient) -> None:
        assert self._held is not None
        # What happens from here on waits for the client while it gets its first messages.
        self._hub.join(client)
        try:
            first = await self._dialect.first()
        finally:
            self._held.is_held = False
        client.begin_with(first)

    async def _heard(self, message: dict[str, Any]) -> None:
        assert self._client is not None
        for answer in await self._dialect.heard(message):
            self._client.tell(answer)


def text_of(content: object) -> bytes:
    """Give a message as JSON."""
    return encode(content)


def unknown_message(message: dict[str, Any], expected: str) -> BadParameter:
    """Make the complaint about a message of another type."""
    return BadParameter("type", expected, repr(message.get("type"))[:80])
