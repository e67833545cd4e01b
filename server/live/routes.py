"""WS /api/v1/live and /api/v1/realtime/subscribe/{device}: the live stream.

A client may say:

    {"type": "subscribe", "device"?: […], "vehicle"?: […], "session"?: 7, "signal"?: […]}
        from now on these instead; answered by {"type": "subscribed", "n", "device", "signal"}
    {"type": "ping"}        answered by {"type": "pong", "n", "time_ns"}

What makes no sense is answered by {"type": "error", "error": {"expected", "found", "where"}}.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from server.answers import Refusal
from server.api.endpoint import Endpoint, Role, Socket, SocketCall
from server.api.frame import deny
from server.api.problems import KNOWN
from server.live.asked import DeviceQuery, LiveQuery, Wish, selection_of
from server.live.client import LiveClient, Outlet
from server.live.frames import encode
from server.live.listen import serve_client
from server.live.selection import Selection
from server.live.words import FORMS
from server.requests import refusal_of_invalid
from server.store.connection import STORE_ERRORS, first_line

if TYPE_CHECKING:
    from server.gateway import Gateway


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    return [
        Socket(
            "/api/v1/live",
            live,
            role=Role.VIEWER,
            summary="Listen to what is read and what happens",
            tag="live",
            query=LiveQuery,
            description=LIVE,
        ),
        Socket(
            "/api/v1/realtime/subscribe/{device}",
            subscribe,
            role=Role.VIEWER,
            summary="Listen to one device",
            tag="live",
            query=DeviceQuery,
            or_device=True,
        ),
    ]


LIVE = (
    "Messages, subscriptions, resuming, and what slow clients do not get: `docs/live.md`. "
    "A page needs a ticket or a cookie, because it cannot set headers."
)


async def live(call: SocketCall[LiveQuery]) -> None:
    """Serve a listener to everything, or what it asks for."""
    try:
        selection = await selection_of(call.gateway, call.who, call.query)
    except KNOWN as error:
        await deny(call.socket, error)
        return
    await _Listener(call, selection, call.query).serve()


async def subscribe(call: SocketCall[DeviceQuery]) -> None:
    """Serve a listener to one device."""
    device = call.path["device"]
    query = LiveQuery(
        device=[device],
        signal=call.query.signal,
        form=call.query.form,
        policy=call.query.policy,
        resume=call.query.resume,
        heartbeat=call.query.heartbeat,
    )
    try:
        selection = await selection_of(call.gateway, call.who, query)
    except KNOWN as error:
        await deny(call.socket, error)
        return
    await _Listener(call, selection, query).serve()


class _Listener:
    """One client of the live stream."""

    def __init__(self, call: SocketCall[Any], selection: Selection, query: LiveQuery) -> None:
        self._call = call
        self._hub = call.gateway.hub
        self._query = query
        self._selection = selection
        self._begun = asyncio.Event()
        self._client: LiveClient | None = None

    async def serve(self) -> None:
        """Serve it until either side ends it."""
        await serve_client(self._call, self._hub, self._make, self._begin, self._heard)

    def _make(self, outlet: Outlet) -> LiveClient:
        query = self._query
        self._client = self._hub.attach(outlet, FORMS[query.form], self._selection, query.policy)
        return self._client

    async def _begin(self, client: LiveClient) -> None:
        asked_s = self._query.heartbeat
        heartbeat_s = self._call.gateway.config.http.ws_heartbeat_s if asked_s is None else asked_s
        self._hub.greet(client, form=self._query.form, heartbeat_s=heartbeat_s)
        if self._query.resume is None:
            self._hub.join(client)
        else:
            stream, _, after = self._query.resume.partition("-")
            await self._hub.catch_up(client, stream, int(after))
        if heartbeat_s:
            self._hub.beats(client, heartbeat_s)
        self._begun.set()

    async def _heard(self, message: dict[str, Any]) -> None:
        await self._begun.wait()
        assert self._client is not None
        match message.pop("type", None):
            case "subscribe":
                await self._subscribe(self._client, message)
            case "ping":
                now_ns = self._call.gateway.clock.now_ns()
                pong = {"type": "pong", "n": self._hub.number, "time_ns": now_ns}
                self._client.tell(encode(pong))
            case other:
                raise Refusal(400, "type", '"subscribe" or "ping"', repr(other)[:80])

    async def _subscribe(self, client: LiveClient, message: dict[str, Any]) -> None:
        for key in ("device", "vehicle", "signal"):
            if isinstance(message.get(key), str | int):
                message[key] = [str(message[key])]
        try:
            wish = msgspec.convert(message, Wish)
        except msgspec.ValidationError as error:
            raise refusal_of_invalid(str(error)) from None
        who = self._call.who
        try:
            selection = await selection_of(self._call.gateway, who, wish)
        except STORE_ERRORS as error:
            expected = "an answer from the database"
            raise Refusal(503, "database", expected, first_line(error)) from None
        self._hub.change(client, selection)
        told = {
            "type": "subscribed",
            "n": self._hub.number,
            "device": None if selection.devices is None else sorted(selection.devices),
            "signal": None if selection.signals is None else sorted(selection.signals),
        }
        client.tell(encode(told))
