"""What a client asks of the live stream: in its address, and later by message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from server.answers import BadParameter, Refusal
from server.api.parameters import DeviceId, Identifier, SignalName, signal_ids
from server.live.client import Policy
from server.live.selection import Selection

if TYPE_CHECKING:
    from server.gateway import Gateway
    from server.users.principal import Principal

HEARTBEAT_MOST_S = 3600

Vin = Annotated[str, Meta(pattern=r"^[A-HJ-NPR-Z0-9]{17}$", description="Number of a vehicle.")]
Resume = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,20}-[0-9]{1,18}$",
        description="`STREAM-N`: the `stream` of the last hello, and the last `n` that came.",
    ),
]
HeartbeatS = Annotated[
    int, Meta(ge=0, le=HEARTBEAT_MOST_S, description="Seconds between heartbeats; 0: none.")
]


class Wish(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which part of the stream; nothing named: all that the asking one may see."""

    device: list[DeviceId] = []
    vehicle: list[Vin] = []
    session: Identifier | None = None
    signal: list[SignalName] = []


class LiveQuery(Wish, kw_only=True):
    """The address of a live stream.

    Attributes:
        form: `rows`: all readings of an instant in one message; `points`: a message for each.
        policy: what a slow client does not get.
        resume: where the client was.
        heartbeat: seconds between heartbeats.
    """

    form: Literal["rows", "points"] = "rows"
    policy: Policy = Policy.DROP_OLDEST
    resume: Resume | None = None
    heartbeat: HeartbeatS | None = None


class DeviceQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """As `LiveQuery`, of a device that the path names."""

    signal: list[SignalName] = []
    form: Literal["rows", "points"] = "rows"
    policy: Policy = Policy.DROP_OLDEST
    resume: Resume | None = None
    heartbeat: HeartbeatS | None = None


async def selection_of(gateway: Gateway, who: Principal, wish: Wish) -> Selection:
    """Give what a wish means, within what the asking one may see.

    Raises:
        Refusal: 404, something is not there, or not theirs to see.
        STORE_ERRORS: what is needed to know cannot be read.
    """
    for device in wish.device:
        if not who.may_read(device) or not await is_known(gateway, device):
            raise Refusal(404, "device", "the id of a registered device", repr(device))
    devices = frozenset(wish.device) if wish.device else None
    if wish.vehicle:
        of_vehicles = await _devices_of(gateway, who, frozenset(wish.vehicle))
        devices = of_vehicles if devices is None else devices & of_vehicles
    selection = Selection(devices, signal_ids(wish.signal))
    if wish.session is not None:
        selection = await _of_session(gateway, who, wish.session, selection)
    return selection.within(who.visible(None))


async def is_known(gateway: Gateway, device: str) -> bool:
    """Tell whether there is such a device: the gateway's own, or a registered one."""
    return device == gateway.config.device or await gateway.registry.find(device) is not None


async def _devices_of(gateway: Gateway, who: Principal, vehicles: frozenset[str]) -> frozenset[str]:
    found = {d.id for d in await gateway.registry.devices() if d.vin in vehicles}
    if gateway.vin in vehicles:
        found.add(gateway.config.device)
    seen = frozenset(device for device in found if who.may_read(device))
    if not seen:
        expected = "a vehicle that a device is in"
        raise Refusal(404, "vehicle", expected, repr(min(vehicles)))
    return seen


async def _of_session(
    gateway: Gateway, who: Principal, number: int, selection: Selection
) -> Selection:
    from server.sessions.store import readings_of

    session = await find_session(gateway, who, number)
    if session.state != "running":
        has_ended = session.state == "ended"
        other = f" (WS /api/v1/replay?session={number} plays this one)" if has_ended else ""
        found = f"{number}, {session.state}"
        raise Refusal(409, "session", f"a session that runs{other}", found)
    wanted = readings_of(session)
    if selection.devices is not None and session.device not in selection.devices:
        raise BadParameter("session", "a session of the device or vehicle", str(number))
    return msgspec.structs.replace(
        selection,
        devices=frozenset((session.device,)),
        boot=wanted.boot,
        start_ns=wanted.start_ns,
        end_ns=wanted.end_ns,
        session=number,
    )


async def find_session(gateway: Gateway, who: Principal, number: int):  # type: ignore[no-untyped-def]
    """Give a session.

    Raises:
        Refusal: 404, there is none, or not theirs to see.
    """
    from server.sessions.store import Sessions

    async with gateway.pool.acquire() as connection:
        sessions = Sessions(connection, gateway.clock.now_ns(), gateway.hotlog.session_id)
        session = await sessions.find(number)
    if session is None or not who.may_read(session.device):
        raise Refusal(404, "session", "the number of a session", str(number))
    return session
