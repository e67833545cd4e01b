"""Serves one WebSocket: greeting, what was missed, what happens; and what the client says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from starlette.websockets import WebSocket

from server.answers import BadParameter, Refusal
from server.live.client import LiveClient, Outlet
from server.live.frames import encode
from server.live.protocol import OUTLET, LiveProtocol
from server.live.seats import NoSeat
from server.requests import decode_json
from server.store.connection import STORE_ERRORS, first_line

if TYPE_CHECKING:
    from server.api.endpoint import SocketCall
    from server.live.hub import Hub
    from server.users.principal import Principal

log = structlog.get_logger("telerig.live")

SUBPROTOCOL = "telerig.live"
CLOSE_POLICY = 1008
CLOSE_INTERNAL = 1011
CLOSE_TRY_AGAIN = 1013

_message = msgspec.json.Decoder(dict[str, Any])

Heard = Callable[[dict[str, Any]], Awaitable[None]]
Begin = Callable[[LiveClient], Awaitable[None]]


class Held:
    """An outlet that is not opened yet: what happens meanwhile waits in the client's queue."""

    def __init__(self, outlet: LiveProtocol) -> None:
        self._outlet = outlet
        self.is_held = True

    @property
    def is_writable(self) -> bool:
        """Whether it takes bytes without piling them up."""
        return not self.is_held and self._outlet.is_writable

    def write(self, data: bytes) -> None:
        """Send whole frames."""
        self._outlet.write(data)

    def end(self, code: int, reason: str) -> None:
        """Close the connection."""
        self._outlet.end(code, reason)


def outlet_of(socket: WebSocket) -> LiveProtocol:
    """Give the connection of a socket.

    Raises:
        RuntimeError: the server is not ours.
    """
    outlet = socket.scope.get("extensions", {}).get(OUTLET)
    if not isinstance(outlet, LiveProtocol):
        raise RuntimeError("expected uvicorn with ws=server.live.protocol.LiveProtocol")
    return outlet


async def serve_client(
    call: SocketCall[Any],
    hub: Hub,
    make: Callable[[Outlet], LiveClient],
    begin: Begin,
    heard: Heard,
    *,
    subprotocol: str = SUBPROTOCOL,
    complaint: Callable[[BadParameter], bytes] | None = None,
    user: str = "",
) -> None:
    """Serve one WebSocket until either side ends it, or the right to listen ends.

    Args:
        call: not yet accepted.
        hub: that the client is made of.
        make: gives the client.
        begin: says the first words, and lets it join.
        heard: takes what the client says; raises Refusal where it makes no sense.
        subprotocol: taken where the client offers it.
        complaint: says such a Refusal.
        user: who counts for the bound of one user; default: who asks.
    """
    socket, gateway = call.socket, call.gateway
    outlet = outlet_of(socket)
    # A browser that offers subprotocols gives up where none is taken.
    offered = socket.scope["subprotocols"]
    await socket.accept(subprotocol if subprotocol in offered else None)

    def end() -> None:
        outlet.end(CLOSE_POLICY, "the right to listen has ended")

    try:
        with gateway.seats.seat(user or user_of(call.who)), gateway.guard.holding(call.who, end):
            client = make(outlet)
            outlet.on_writable = client.resumed
            # What the client has to say is heard while it gets what it has missed, however slowly.
            beginning = asyncio.create_task(_begin(socket, client, begin))
            try:
                await _listen(socket, client, heard, complaint or _complaint)
            finally:
                outlet.on_writable = None
                beginning.cancel()
                await asyncio.gather(beginning, return_exceptions=True)
                hub.detach(client)
    except NoSeat as full:
        log.warning("client refused", reason=str(full))
        await socket.close(CLOSE_TRY_AGAIN, str(full))


async def _begin(socket: WebSocket, client: LiveClient, begin: Begin) -> None:
    try:
        await begin(client)
    except STORE_ERRORS as error:
        await socket.close(CLOSE_TRY_AGAIN, first_line(error)[:100])
    except Exception:
        # A task boundary: nobody else would hear of it.
        log.exception("client not served")
        await socket.close(CLOSE_INTERNAL)


async def _listen(
    socket: WebSocket,
    client: LiveClient,
    heard: Heard,
    complaint: Callable[[BadParameter], bytes],
) -> None:
    """Take what the client says, one after the other."""
    while (event := await socket.receive())["type"] != "websocket.disconnect":
        try:
            text = event.get("text") or event.get("bytes") or ""
            message = decode_json(text.encode() if isinstance(text, str) else text, _message)
            await heard(message)
        except Refusal as refusal:
            told = complaint(BadParameter(refusal.where, refusal.expected, refusal.found))
            if told:
                client.tell(told)


def _complaint(problem: BadParameter) -> bytes:
    error = {"expected": problem.expected, "found": problem.found, "where": problem.where}
    return encode({"type": "error", "error": error})


def user_of(who: Principal) -> str:
    """Name somebody for the bound of one user."""
    return f"{who.kind.value} {who.name}"
