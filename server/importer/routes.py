"""Where `telerig import` sends to; an admin's.

POST /api/v1/import/{device}/readings           protobuf `Readings`, as a batch of ingest
POST /api/v1/import/{device}/sessions/{boot}    what is told of the session of these readings
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from server.answers import BadParameter, Refusal
from server.api.endpoint import PROTOBUF, Call, Endpoint, Role, Socket
from server.errors import StoreAway, StoreFull
from server.ingest.limits import BATCH_BYTES
from server.ingest.protobuf_readings import read_protobuf
from server.ingest.service import Answer

if TYPE_CHECKING:
    from server.gateway import Gateway

TAG = "import"
RETRY_S = 2
_Text = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
_Ns = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Told(msgspec.Struct, forbid_unknown_fields=True):
    """What an older system knew of a session."""

    opened_ns: _Ns
    closed_ns: _Ns
    name: _Text = ""
    car_id: _Text = ""
    driver: _Text = ""
    notes: _Text = ""


class Kept(msgspec.Struct, frozen=True):
    """The session; `found` false: no reading of it is there."""

    found: bool
    id: int | None = None


_KEEP = """
    UPDATE sessions SET opened_ns = $3, closed_ns = $4, closed_how = 'stopped',
        name = $5, car_id = $6, driver = $7, notes = $8
    WHERE device = $1 AND boot = $2 AND remote RETURNING id
"""


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    base = "/api/v1/import/{device}"
    return [
        Endpoint(
            "POST",
            f"{base}/readings",
            _readings,
            role=Role.ADMIN,
            summary="Take readings that an older system has stored",
            description="The device is added where it is not registered, without a key.",
            tag=TAG,
            body=bytes,
            body_media=(PROTOBUF,),
            limit_bytes=BATCH_BYTES,
            answer=Answer,
            also=(
                (409, "The device is deactivated, or the gateway's own."),
                (429, "Too much waits for the database: Retry-After."),
            ),
        ),
        Endpoint(
            "POST",
            f"{base}/sessions/{{boot:int}}",
            _session,
            role=Role.ADMIN,
            summary="Take what an older system knew of a session",
            tag=TAG,
            body=Told,
            answer=Kept,
        ),
    ]


async def _readings(call: Call[None, bytes]) -> Answer:
    gateway, body = call.gateway, call.body
    ingest = gateway.ingest
    device = await gateway.registry.adopt(call.path["device"], call.path["device"], None)
    if not device.active:
        raise Refusal(409, "device", "an active device", f"{device.id!r} is deactivated")
    batch = read_protobuf(body, device.id, ingest.clock.now_ns())
    if not batch.boot:
        raise BadParameter("boot", "the number of a session, from 1", "0 or none")
    if not batch.good.columns:
        ingest.refused(device.id, batch.problems)
        problems = batch.problems
        return Answer(0, 0, problems.count, 0, 0, 0.0, 0.0, problems.first)
    try:
        ingest.log.check_room(device.id, len(body))
        return await ingest.store(device, batch)
    except StoreFull as error:
        raise Refusal(429, "database", "room for it", str(error), headers=_RETRY) from None
    except StoreAway as error:
        raise Refusal(503, "database", "a commit", str(error), headers=_RETRY) from None


async def _session(call: Call[None, Told]) -> Kept:
    told = call.body
    if told.closed_ns < told.opened_ns:
        raise BadParameter("closed_ns", "an instant not before opened_ns", "an earlier one")
    async with call.gateway.pool.acquire() as connection:
        found = await connection.fetchval(
            _KEEP,
            call.path["device"],
            call.path["boot"],
            told.opened_ns,
            told.closed_ns,
            told.name,
            told.car_id,
            told.driver,
            told.notes,
        )
    return Kept(found is not None, found)


_RETRY = {"retry-after": str(RETRY_S)}
