"""POST /api/telemetry: records of edge loggers that leave out what they predicted well.

Each vehicle is a device `edge.<VIN>` of its own, with its own predictor (`server.compat.predictor`)
and its own statistics. A record goes the way of all readings; the predictor's state is committed
with it, so that after a restart both sides are still in step. The same record again changes
nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping

import asyncpg
import msgspec
import structlog
from google.protobuf.message import DecodeError

from server.answers import BadParameter, Refusal
from server.catalogue import Signal, by_name
from server.clock import Clock
from server.compat.predictor import Smoothing
from server.devices.registry import Registry
from server.errors import StaleState, StoreAway
from server.ingest.batch import PLAIN_FIELD_BYTES, PLAIN_RECORD_BYTES
from server.ingest.limits import AHEAD_NS, YEAR_2000_NS
from server.ingest.service import Ingest
from server.ingest.signals import find_signal
from server.readings import State
from server.store.appends import Append, Piece
from server.store.body import Column, encode_columns, little_endian
from server.wire.telemetry_pb2 import EdgeRecord

log = structlog.get_logger("telerig.compat")

DEVICE_PREFIX = "edge."
RECORD_BYTES = 16_384
FIELDS_LIMIT = 256
UNKNOWN_SHOWN = 10
VEHICLES_IN_MEMORY = 10_000
REMEMBERED = 64
"""Records of a vehicle that are known again when they are sent again."""
TRIES = 8
"""So often a record is completed that other gateways take records of the same vehicle meanwhile."""
STATISTICS_S = 60.0
BOOT = 0  # these loggers count none

_VEHICLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")
_HASH_MASK = 2**62 - 1
_FIELDS: Mapping[str, Signal] = {
    "speed": by_name("SPEED"),
    "battery": by_name("BATTERY_LEVEL"),
    "power": by_name("BATTERY_POWER"),
    "heading": by_name("GPS_HEADING"),
    "latitude": by_name("LAT"),
    "longitude": by_name("LON"),
}


class EdgeAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to a record.

    Attributes:
        compression_ratio: skipped / total fields; older systems called that compression.
        transmitted_fields: fields that were sent.
        skipped_fields: fields that were left out.
        duplicate: the record was known already.
        unknown_fields: names that mean no signal here; they are not stored.
    """

    status: str
    compression_ratio: float
    transmitted_fields: int
    skipped_fields: int
    duplicate: bool = False
    unknown_fields: tuple[str, ...] = ()


class CompressionStats(msgspec.Struct, frozen=True):
    """Fields of all records of all vehicles; "readings" is the older word for them."""

    total_readings: int
    transmitted_readings: int
    skipped_readings: int
    compression_ratio: float


class _Record(msgspec.Struct, frozen=True):
    """What is in a record, checked."""

    vehicle: str
    time_ns: int
    sent: dict[int, float]
    fields: int
    unknown: tuple[str, ...]


class _State(msgspec.Struct, array_like=True):
    """A vehicle's part of `device_boots.state`."""

    levels: dict[int, float]
    recent: list[int]


class _Vehicle:
    """One vehicle: its predictor, the records that are known, and the order of its commits."""

    def __init__(self, state: _State, turn: int = 0) -> None:
        self.smoothing = Smoothing(state.levels)
        self.recent = deque(state.recent, REMEMBERED)
        self.turn = turn  # of the commit that this is the state after


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_State)


class EdgeRecords:
    """Takes records.

    Args:
        pool: connections for reads.
        ingest: the path of readings.
        registry: where the vehicles' devices are shown, and may be deactivated.
        clock: for instants of arrival.

    Attributes:
        bad_records: records that were none.
        on_count: called when the statistics have changed.
    """

    def __init__(
        self, pool: asyncpg.Pool, ingest: Ingest, registry: Registry, clock: Clock
    ) -> None:
        self.bad_records = 0
        self.on_count: Callable[[], None] | None = None
        self._pool = pool
        self._ingest = ingest
        self._registry = registry
        self._clock = clock
        self._vehicles: OrderedDict[str, _Vehicle] = OrderedDict()
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}
        self._transmitted = self._skipped = 0
        self._counted = False
        self._counting = asyncio.Lock()
        self._told_s = -math.inf

    async def take(self, body: bytes) -> EdgeAnswer:
        """Store a record, completed by what the vehicle's predictor expects.

        Raises:
            Refusal: 400 no record, or a field that cannot be; 403 the vehicle was deactivated.
            STORE_ERRORS: it is not stored; the same again changes nothing.
        """
        try:
            record = read_record(body, self._clock.now_ns())
        except Refusal as error:
            self.bad_records += 1
            log.warning("bad record", reason=str(error), bytes=len(body))
            raise
        device = DEVICE_PREFIX + record.vehicle
        vin = record.vehicle if _VIN.fullmatch(record.vehicle) else None
        registered = await self._registry.adopt(device, record.vehicle, vin)
        if not registered.active:
            raise Refusal(403, "vehicle_vin", "an active vehicle", f"{device} is deactivated")
        await self.stats()  # what is counted already, before this one is added
        async with self._turn(device):
            for _ in range(TRIES):
                vehicle = await self._vehicle(device)
                try:
                    return await self._store(device, vin, vehicle, record, body)
                except StaleState:  # another gateway has taken a record of this vehicle
                    self._vehicles.pop(device, None)
            raise StoreAway(f"expected records of {device!r} at one gateway at a time; come again")

    async def stats(self) -> CompressionStats:
        """Give the statistics over everything that was ever stored."""
        if not self._counted:
            async with self._counting:
                if not self._counted:
                    await self._count()
        return self.stats_now

    @property
    def stats_now(self) -> CompressionStats:
        """The statistics as far as they were counted: complete after the first record."""
        total = self._transmitted + self._skipped
        ratio = round(self._skipped / total, 4) if total else 0.0
        return CompressionStats(total, self._transmitted, self._skipped, ratio)

    async def _count(self) -> None:
        async with self._pool.acquire() as connection:
            row = await connection.fetchrow(
                "SELECT coalesce(sum(transmitted), 0)::bigint, coalesce(sum(suppressed), 0)::bigint"
                " FROM device_boots WHERE boot = $1 AND starts_with(device, $2)",
                BOOT,
                DEVICE_PREFIX,
            )
        self._transmitted, self._skipped = row
        self._counted = True

    async def _store(
        self, device: str, vin: str | None, vehicle: _Vehicle, record: _Record, body: bytes
    ) -> EdgeAnswer:
        number = _number(body)
        sent = len(record.sent)
        held = vehicle.smoothing.left_out(record.sent)
        if record.fields == sent:
            held = {}  # the logger says that the record is whole
        skipped = max(0, record.fields - sent) if record.fields else len(held)
        answer = EdgeAnswer(
            "success",
            round(skipped / (sent + skipped), 4) if sent + skipped else 0.0,
            sent,
            skipped,
            number in vehicle.recent,
            record.unknown,
        )
        if answer.duplicate or not (sent or held):
            return answer
        after = vehicle.smoothing.after(record.sent)
        recent = [*vehicle.recent, number][-REMEMBERED:]
        piece = _piece(record, held, skipped, number, self._clock.now_ns(), len(body))
        state = _encoder.encode(_State(after.levels, recent))
        append = Append(device, BOOT, [piece], state, vin or "", vehicle.turn)
        appended = await self._ingest.commit(append)
        vehicle.turn = appended.turn
        vehicle.smoothing = after
        vehicle.recent = deque(recent, REMEMBERED)
        if appended.pieces:
            self._transmitted += sent
            self._skipped += skipped
            if self.on_count is not None:
                self.on_count()
        await self._tell()
        return answer

    async def _tell(self) -> None:
        """Log the statistics now and then, while records come."""
        now_s = self._clock.monotonic_s()
        if now_s - self._told_s >= STATISTICS_S:
            self._told_s = now_s
            stats = await self.stats()
            log.info("compression", **msgspec.structs.asdict(stats))

    async def _vehicle(self, device: str) -> _Vehicle:
        vehicle = self._vehicles.get(device)
        if vehicle is None:
            async with self._pool.acquire() as connection:
                row = await connection.fetchrow(
                    "SELECT state, turn FROM device_boots WHERE device = $1 AND boot = $2",
                    device,
                    BOOT,
                )
            state, turn = row if row is not None else (None, 0)
            vehicle = _Vehicle(
                _decoder.decode(state) if state is not None else _State({}, []), turn
            )
            self._vehicles[device] = vehicle
            if len(self._vehicles) > VEHICLES_IN_MEMORY:
                # What a vehicle has reached is in the database; one in its turn keeps its object.
                self._vehicles.popitem(last=False)
        self._vehicles.move_to_end(device)
        return vehicle

    def _turn(self, device: str) -> _Turn:
        return _Turn(self._locks, device)


class _Turn:
    """Records of one vehicle follow each other; a lock lives while somebody wants it."""

    def __init__(self, locks: dict[str, tuple[asyncio.Lock, int]], device: str) -> None:
        self._locks = locks
        self._device = device

    async def __aenter__(self) -> None:
        lock, waiting = self._locks.get(self._device) or (asyncio.Lock(), 0)
        self._locks[self._device] = (lock, waiting + 1)
        try:
            await lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._locks[self._device][0].release()
        self._leave()

    def _leave(self) -> None:
        lock, waiting = self._locks[self._device]
        if waiting > 1:
            self._locks[self._device] = (lock, waiting - 1)
        else:
            del self._locks[self._device]


def read_record(body: bytes, now_ns: int) -> _Record:
    """Take a record apart.

    Raises:
        Refusal: 400, with the field that is wrong.
    """
    record = EdgeRecord()
    try:
        record.ParseFromString(body)
    except DecodeError:
        expected = "a protobuf message telerig.v1.EdgeRecord"
        raise BadParameter("body", expected, f"{len(body)} other bytes") from None
    if not body:
        raise BadParameter("body", "a protobuf message telerig.v1.EdgeRecord", "nothing")
    if not _VEHICLE.fullmatch(record.vehicle_vin):
        expected = "a VIN (1 to 40 letters, digits, '.', '_' or '-')"
        raise BadParameter("vehicle_vin", expected, repr(record.vehicle_vin[:60]))
    if len(record.more) > FIELDS_LIMIT:
        raise BadParameter("more", f"at most {FIELDS_LIMIT} fields", str(len(record.more)))
    sent: dict[int, float] = {}
    unknown: list[str] = []
    for name, value in record.more.items():
        signal = find_signal(name)
        if signal is None:
            unknown.append(name[:60])
        else:
            sent[signal.id] = _checked(f"more.{name}", signal, value)
    for name, signal in _FIELDS.items():
        if record.HasField(name):
            sent[signal.id] = _checked(name, signal, getattr(record, name))
    unknown.sort()
    return _Record(
        record.vehicle_vin,
        _time_ns(record.timestamp, now_ns),
        sent,
        min(record.fields, FIELDS_LIMIT),
        tuple(unknown[:UNKNOWN_SHOWN]),
    )


def _checked(where: str, signal: Signal, value: float) -> float:
    if not signal.minimum <= value <= signal.maximum:
        expected = f"{signal.minimum:g} to {signal.maximum:g} {signal.unit}".rstrip()
        raise BadParameter(where, expected, repr(value))
    return value


def _time_ns(timestamp_s: float, now_ns: int) -> int:
    expected = "UTC seconds from the year 2000 to one hour ahead of now"
    if not math.isfinite(timestamp_s) or abs(timestamp_s) > 2**33:
        raise BadParameter("timestamp", expected, repr(timestamp_s))
    time_ns = round(timestamp_s * 1e6) * 1000  # a double of today's seconds resolves 0.2 us
    if not YEAR_2000_NS <= time_ns <= now_ns + AHEAD_NS:
        raise BadParameter("timestamp", expected, repr(timestamp_s))
    return time_ns


def _number(body: bytes) -> int:
    """Give the number of the first reading: these loggers do not count, so the content does."""
    digest = hashlib.blake2b(body, digest_size=8).digest()
    return (int.from_bytes(digest, "big") & _HASH_MASK) + 1


def _piece(
    record: _Record,
    held: Mapping[int, float],
    skipped: int,
    number: int,
    now_ns: int,
    size_bytes: int,
) -> Piece:
    columns: list[Column] = []
    for values, state in ((record.sent, State.MEASURED), (held, State.HELD)):
        for signal, value in sorted(values.items()):
            packed = little_endian(array("d", (value,)))
            columns.append(Column(len(columns), signal, record.time_ns, [], packed, state))
    readings = len(columns)
    return Piece(
        number,
        number + readings - 1,
        record.time_ns,
        record.time_ns,
        encode_columns(now_ns, columns),
        readings,
        len(record.sent),
        skipped,
        PLAIN_RECORD_BYTES + PLAIN_FIELD_BYTES * readings,
        size_bytes,
    )
