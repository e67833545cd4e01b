"""One dialect of /ws: frames of the live stream, said in the words of an older system.

The translation is made once for all clients of a dialect, and only while there are clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import structlog
from starlette.websockets import WebSocket

from server.answers import BadParameter
from server.live import CLOSE_TRY_AGAIN, MAX_CLIENTS, Hub, LiveClient, send_frames
from server.requests import decode_json

log = structlog.get_logger("telerig.compat")

CLIENT_MESSAGES = 4096
"""Messages that wait for one client; one reading is one message, and a frame has many."""

_messages = msgspec.json.Decoder(dict[str, Any])
_json = msgspec.json.Encoder()


def text_of(content: object) -> str:
    """Give a message as JSON."""
    return _json.encode(content).decode()


class Dialect(Protocol):
    """The words of one older system."""

    @property
    def subprotocol(self) -> str:
        """Name by which a client asks for it."""

    async def first(self) -> Sequence[str]:
        """Give what a new client gets first."""

    def translate(self, frame: dict[str, Any]) -> Sequence[str]:
        """Give the messages that a frame of the live stream becomes."""

    async def heard(self, message: dict[str, Any]) -> Sequence[str]:
        """Take what a client says; give what only this client is to hear."""

    def complaint(self, problem: BadParameter) -> str:
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
        self._clients: dict[LiveClient, None] = {}
        self._translator: asyncio.Task[None] | None = None

    @property
    def clients(self) -> int:
        """How many clients listen."""
        return len(self._clients)

    @property
    def is_listening(self) -> bool:
        """Whether the channel itself is a client of the live stream now."""
        return self._translator is not None

    async def serve(self, socket: WebSocket) -> None:
        """Serve one WebSocket until either side closes it."""
        dialect = self._dialect
        offered = socket.scope["subprotocols"]
        await socket.accept(dialect.subprotocol if dialect.subprotocol in offered else None)
        if self.clients >= MAX_CLIENTS:
            await socket.close(CLOSE_TRY_AGAIN, f"more than {MAX_CLIENTS} clients")
            return
        log.info("client connected", dialect=dialect.subprotocol, clients=self.clients + 1)
        client = LiveClient(CLIENT_MESSAGES)
        # What happens from here on waits for the client while it gets its first messages.
        self._attach(client)
        sender: asyncio.Task[None] | None = None
        try:
            for message in await dialect.first():
                await socket.send_text(message)
            sender = asyncio.create_task(send_frames(client, socket))
            await self._listen(client, socket)
        finally:
            self._detach(client)
            if sender is not None:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)
            log.info("client gone", dialect=dialect.subprotocol, dropped=client.dropped)

    async def _listen(self, client: LiveClient, socket: WebSocket) -> None:
        """Take what the client says, one after the other."""
        while (event := await socket.receive())["type"] != "websocket.disconnect":
            try:
                message = decode_json((event.get("text") or "").encode(), _messages)
                answers = await self._dialect.heard(message)
            except BadParameter as problem:
                answers = [self._dialect.complaint(problem)]
            for answer in answers:
                client.offer(answer)

    def _attach(self, client: LiveClient) -> None:
        self._clients[client] = None
        if self._translator is None:
            self._translator = asyncio.create_task(self._translate(), name="translator")

    def _detach(self, client: LiveClient) -> None:
        self._clients.pop(client, None)
        if not self._clients and self._translator is not None:
            self._translator.cancel()
            self._translator = None

    async def _translate(self) -> None:
        source = self._hub.attach()
        try:
            while True:
                frame = await source.next()
                try:
                    messages = self._dialect.translate(msgspec.json.decode(frame))
                except Exception:
                    # A task boundary: one frame that cannot be said must not end the others.
                    log.exception("frame not translated", frame=frame[:200])
                    continue
                for message in messages:
                    for client in self._clients:
                        client.offer(message)
        finally:
            self._hub.detach(source)


def unknown_message(message: dict[str, Any], expected: str) -> BadParameter:
    """Make the complaint about a message of another type."""
    return BadParameter("type", expected, repr(message.get("type"))[:80])
