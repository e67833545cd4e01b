"""WS /api/v1/realtime/subscribe/{device}: the live stream of one device.

Frames as in `server.live`, and {"type": "heartbeat", "time_ns"} every [http] ws_heartbeat_s. The
API secret or a key of that device goes into the header X-API-Key, or, from a browser, which cannot
set headers, into the subprotocols: ["telerig.live", "telerig.key.<key>"].
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from server.answers import Refusal
from server.devices.access import HEADER
from server.devices.key import DEVICE_ID
from server.live import serve_client
from server.pipeline import STORE_ERRORS
from server.store.connection import first_line

if TYPE_CHECKING:
    from server.gateway import Gateway

KEY_SUBPROTOCOL = "telerig.key."
CLOSE_POLICY = 1008
CLOSE_TRY_AGAIN = 1013
LOOK_S = 2.0
"""A listener whose key was revoked is cut off within this time."""


class Subscriptions:
    """Serves those who listen to one device."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @property
    def routes(self) -> list[WebSocketRoute]:
        """The path."""
        return [WebSocketRoute("/api/v1/realtime/subscribe/{device}", self.subscribe)]

    async def subscribe(self, socket: WebSocket) -> None:
        """Serve one listener; refused before it is accepted where it has no right."""
        take_key(socket)
        device: str = socket.path_params["device"]
        gateway = self._gateway
        try:
            await gateway.access.reader(socket, device)
            is_known = DEVICE_ID.fullmatch(device) and (
                device == gateway.config.device or await gateway.registry.find(device) is not None
            )
        except Refusal:
            await socket.close(CLOSE_POLICY)
            return
        except STORE_ERRORS as error:
            await socket.close(CLOSE_TRY_AGAIN, first_line(error)[:100])
            return
        if not is_known:
            await socket.close(CLOSE_POLICY)
            return
        heartbeat_s = gateway.config.http.ws_heartbeat_s
        serving = asyncio.create_task(serve_client(gateway.hub, socket, device, heartbeat_s))
        watching = asyncio.create_task(self._until_refused(socket, device))
        try:
            await asyncio.wait({serving, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                await socket.close(CLOSE_POLICY, "the key was revoked")
        finally:
            for task in (serving, watching):
                task.cancel()
            await asyncio.gather(serving, watching, return_exceptions=True)

    async def _until_refused(self, socket: WebSocket, device: str) -> None:
        """Return when the listener's key counts no more."""
        key = socket.headers[HEADER]
        while True:
            await asyncio.sleep(LOOK_S)
            with contextlib.suppress(*STORE_ERRORS):
                found = await self._gateway.registry.authenticate(key)
                is_own = found is not None and found.id == device
                if not (is_own or self._gateway.access.is_operator(socket)):
                    return


def take_key(socket: WebSocket) -> None:
    """Move a key from the subprotocols to its header; it is never sent back."""
    offered = socket.scope.get("subprotocols", [])
    keys = [name for name in offered if name.startswith(KEY_SUBPROTOCOL)]
    if keys:
        headers = MutableHeaders(scope=socket.scope)
        headers.setdefault(HEADER, keys[0].removeprefix(KEY_SUBPROTOCOL))
        socket.scope["subprotocols"] = [name for name in offered if name not in keys]
