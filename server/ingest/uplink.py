"""Uplinks of edge loggers: packets decoded, committed, acknowledged.

One uplink of a device at a time; a second one waits for the first. The packets of one uplink are
decoded after those of another (`server.ingest.decoding`), a few rows at a time, so that everything
else gets its turn. Everything that an uplink changes is one commit: rows,
which packets are done with, time base, states of the decoder. Only then it is acknowledged. When
the commit fails, the state in memory is forgotten and read again from the database, which alone
knows what was committed.

The same uplink again gets the same acknowledgements and changes nothing.

A device may change gateways in the middle of a drive. The commit refuses what was decoded from a
state that another gateway has gone on from; then the new one is read, and the uplink decoded again.

A packet on which the decoder fails in a way that nobody has foreseen is refused like a damaged one:
it must not keep the others of the device from their place.

A hello may name profile and templates by hash alone. What the gateway does not know it asks for;
packets that need the profile are neither acknowledged nor refused meanwhile, and come again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol

import structlog
from google.protobuf.message import DecodeError

from server.answers import BadParameter, Refusal
from server.clock import Clock
from server.errors import StaleState, StoreAway
from server.ingest.fields import check_fields
from server.ingest.limits import (
    AHEAD_NS,
    ANSWER_ACKED,
    ANSWER_BYTES,
    ANSWER_COMMAND_BYTES,
    ANSWER_COMMANDS,
    ANSWER_REASON_CHARACTERS,
    ANSWER_REFUSED,
    HELLO_BYTES,
    HELLO_FIELDS,
    PACKET_BYTES,
    UPLINK_FIELDS,
    UPLINK_READINGS,
    YEAR_2000_NS,
)
from server.ingest.link_readings import batch_of
from server.ingest.problems import Problem, Problems
from server.ingest.protobuf_readings import check_device, check_vin
from server.ingest.rows import ProfileMisfit, check_profile, check_size, impossible_time, piece_of
from server.ingest.service import Ingest, Sender
from server.ingest.uplink_state import SEQ_LIMIT, TimeBase, UplinkState
from server.ingest.uplink_store import UplinkStore, encoded_templates
from server.readings import Reading
from server.store.appends import Append, Piece
from server.wire.codec.checks import HASH_BYTES, content_hash
from server.wire.codec.decoder import BadPacket, Decoded, Decoder, NeedKey, peek
from server.wire.codec.profile import Profile, ProfileError
from server.wire.telemetry_pb2 import (
    CommandResult,
    CommandTemplate,
    Downlink,
    Hello,
    LogLine,
    Uplink,
)

log = structlog.get_logger("telerig.ingest")
device_log = structlog.get_logger("telerig.device")

WAITING_UPLINKS = 4
"""Uplinks of one device that may wait for each other."""
TRIES = 8
"""So often an uplink is decoded that other gateways take packets of the same device meanwhile."""
POISONED = 1000
"""Boots whose first poisoned packet was logged with its traceback, at most."""
LOG_CHARACTERS = 500
BOOTS_GIVEN = 16
_COMMAND_FRAME_BYTES = 128  # what a command's name, number and expiry take, and more
_GATEWAY_CLOCK = 3  # TimeBase.Source.GATEWAY


class Order(Protocol):
    """A command as it goes to the device."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> str: ...
    @property
    def expires_ms(self) -> int: ...


class Orders(Protocol):
    """Commands of devices (`server.control`)."""

    async def hello(self, device: str, templates: Iterable[CommandTemplate]) -> Sequence[str]:
        """Take the commands that a device has."""

    async def pending(self, device: str) -> Sequence[Order]:
        """Give the commands that are to go to the device now."""

    async def results(self, device: str, results: Iterable[CommandResult]) -> None:
        """Take what the device says about commands."""


class Vehicles(Protocol):
    """Who keeps the vehicle of a device (`server.devices.registry`)."""

    async def name_vehicle(self, device: str, vin: str) -> None:
        """Note the vehicle that a device has reported."""


class _Work:
    """One uplink on its way: what it changes, and its answer."""

    def __init__(self, state: UplinkState, boot: int) -> None:
        self.state = state
        self.pieces: list[Piece] = []
        self.changed = False
        self.is_committed = False
        self.asks = False  # whether the answer depends on the state
        self.problems = Problems()
        self.answer = Downlink(boot=boot)
        self.claimed_readings = 0  # of packets that were decoded, whatever came of them


class Uplinks:
    """Takes uplinks of all devices.

    Args:
        ingest: the way to the store and the live stream.
        store: states and profiles in the database.
        orders: commands.
        vehicles: told the vehicle of a hello.

    Attributes:
        poisoned: packets refused because the decoder failed on them.
    """

    def __init__(
        self, ingest: Ingest, store: UplinkStore, orders: Orders, vehicles: Vehicles
    ) -> None:
        self.poisoned = 0
        self._ingest = ingest
        self._store = store
        self._orders = orders
        self._vehicles = vehicles
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}
        self._poisoned: set[tuple[str, int]] = set()

    @property
    def _clock(self) -> Clock:
        return self._ingest.clock

    async def take(self, device: Sender, body: bytes) -> bytes:
        """Take an uplink and give the downlink that answers it.

        Raises:
            Refusal: it is no uplink of this device; names the field.
            StoreFull, STORE_ERRORS: nothing may be acknowledged; the same again changes nothing.
        """
        with self._ingest.turns.let_in():
            return await self._take_in(device, body)

    async def _take_in(self, device: Sender, body: bytes) -> bytes:
        message = read_uplink(body)
        check_device(message.device, device.id)
        if not message.boot:
            raise BadParameter("boot", "a number other than 0, new at each start", "0")
        async with self._held(device.id):
            work = await self._decoded(device, message)
            await self._orders.results(device.id, message.results)
            _add_orders(work.answer, await self._orders.pending(device.id))
        self._ingest.refused(device.id, work.problems)
        _repeat_logs(device.id, message.logs)
        answer: bytes = work.answer.SerializeToString()
        return answer

    async def boots(self, device: str) -> list[int]:
        """Give the latest boots of a device, the newest first.

        Raises:
            STORE_ERRORS: they cannot be read.
        """
        return await self._store.boots(device, BOOTS_GIVEN)

    async def plain(self, device: Sender, readings: Sequence[Reading]) -> int:
        """Commit readings that are not numbered; give how many were new.

        Raises:
            Refusal: not one is good.
            StoreFull, STORE_ERRORS: not committed; the same again changes nothing.
        """
        batch = batch_of(readings, self._clock.now_ns())
        return (await self._ingest.store(device, batch)).accepted

    @contextlib.asynccontextmanager
    async def _held(self, device: str) -> AsyncIterator[None]:
        """Hold a device; few may wait for it."""
        waiting = self._waiting.get(device, 0)
        if waiting >= WAITING_UPLINKS:
            expected = f"at most {WAITING_UPLINKS} uplinks of a device at a time"
            raise Refusal(429, "device", expected, "more", headers={"retry-after": "1"})
        self._waiting[device] = waiting + 1
        lock = self._locks.setdefault(device, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            self._waiting[device] -= 1
            if not self._waiting[device]:
                del self._waiting[device], self._locks[device]

    async def _decoded(self, device: Sender, message: Uplink) -> _Work:
        """Decode and commit an uplink from the newest state of its boot.

        Raises:
            Refusal, StoreFull, STORE_ERRORS: as `take`.
        """
        for _ in range(TRIES):
            try:
                work = await self._take(device, message)
                # A commit says whether the state was the newest; where there was none, and the
                # answer depends on the state, the database is asked.
                if work.is_committed or not work.asks or await self._is_newest(device, work):
                    return work
            except StaleState:
                pass
            except BaseException:
                self._store.forget(device.id, message.boot)
                raise
            self._store.forget(device.id, message.boot)
        raise StoreAway(f"expected packets of {device.id!r} at one gateway at a time; come again")

    async def _is_newest(self, device: Sender, work: _Work) -> bool:
        return await self._store.is_newest(device.id, work.state)

    async def _take(self, device: Sender, message: Uplink) -> _Work:
        state = await self._store.state(device.id, message.boot)
        work = _Work(state, message.boot)
        if message.HasField("hello"):
            await self._hello(device, message, work)
        if message.HasField("time"):
            self._time(message, work)
        for seq in message.voids:
            work.changed |= state.acks.add(seq)
        if message.packets:
            async with self._ingest.turns.turn():
                await self._packets(device.id, message.packets, work)
        if work.changed:
            append = Append(
                device.id,
                message.boot,
                work.pieces,
                state.save(),
                state.vin or device.vin or "",
                state.turn,
            )
            appended = await self._ingest.commit(append)
            state.turn = appended.turn
            work.is_committed = True
            for piece in appended.pieces:
                state.tally.readings += piece.readings
                state.tally.transmitted += piece.transmitted
                state.tally.suppressed += piece.suppressed
                state.tally.bytes_plain += piece.bytes_plain
                state.tally.bytes_sent += piece.bytes_sent
        self._answer(message, work)
        answer = work.answer
        work.asks = bool(
            message.packets or message.voids or answer.need_hello or answer.need_profile
        )
        return work

    def _answer(self, message: Uplink, work: _Work) -> None:
        state, answer = work.state, work.answer
        answer.ack = state.acks.ack
        acks = state.acks
        named = {seq for seq in map(_number, message.packets) if seq is not None}
        named.update(message.voids)
        above = sorted(seq for seq in named if seq >= acks.ack and seq in acks)
        answer.acked.extend(above[:ANSWER_ACKED])
        answer.need_profile = bool(state.wanted)
        answer.need_hello = (state.profile is None and not state.wanted) or state.base is None
        answer.now_ms = self._clock.now_ns() // 1_000_000
        tally = state.tally
        answer.tally.readings = tally.readings
        answer.tally.transmitted = tally.transmitted
        answer.tally.suppressed = tally.suppressed
        answer.tally.bytes_plain = tally.bytes_plain
        answer.tally.bytes_sent = tally.bytes_sent

    # -- hello and time --------------------------------------------------------------------------
    async def _hello(self, device: Sender, message: Uplink, work: _Work) -> None:
        hello, state = message.hello, work.state
        profile = await self._named_profile(hello)
        if profile is None and hello.profile_hash:
            if state.profile is None or state.profile.hash != hello.profile_hash:
                state.want(hello.profile_hash)
        elif profile is not None and state.use(profile):
            work.changed = True
            log.info(
                "device hello",
                device=device.id,
                boot=message.boot,
                firmware=hello.firmware[:LOG_CHARACTERS],
                reset=hello.reset_reason[:LOG_CHARACTERS],
                signals=len(profile.signals),
            )
        if hello.vin and hello.vin != state.vin:
            check_vin(hello.vin, "hello.vin")
            state.vin = hello.vin
            await self._vehicles.name_vehicle(device.id, hello.vin)
        if hello.templates:
            _check_hash("hello.templates", hello.templates_hash, encoded_templates(hello))
            await self._store.keep_templates(hello)
            await self._orders.hello(device.id, hello.templates)
        elif hello.templates_hash:
            known = await self._store.templates(hello.templates_hash)
            if known is None:
                work.answer.need_templates = True
            else:
                await self._orders.hello(device.id, known.templates)

    async def _named_profile(self, hello: Hello) -> Profile | None:
        """Give the profile that a hello carries or names; None where it is not known."""
        if not hello.profile:
            return await self._store.profile(hello.profile_hash)
        profile = _profile(hello.profile)
        _check_hash("hello.profile", hello.profile_hash, profile.to_bytes())
        await self._store.keep(profile)
        return profile

    def _time(self, message: Uplink, work: _Work) -> None:
        told, state = message.time, work.state
        now_ns = self._clock.now_ns()
        base = TimeBase(told.row, told.utc_ms, int(told.source))
        if told.utc_ms and not YEAR_2000_NS <= told.utc_ms * 1_000_000 <= now_ns + AHEAD_NS:
            expected = "an instant from the year 2000 to one hour ahead of the gateway's clock"
            work.problems.add(Problem(expected, f"{told.utc_ms} ms", "time.utc_ms", "time base"))
            base = TimeBase(told.row, 0, 0)
        if not base.utc_ms:
            if state.base is not None:
                return  # what is known already is better
            base = TimeBase(told.row, now_ns // 1_000_000, _GATEWAY_CLOCK)
        if base != state.base:
            state.base = base
            work.changed = True

    # -- packets ---------------------------------------------------------------------------------
    async def _packets(self, device: str, packets: Sequence[bytes], work: _Work) -> None:
        state = work.state
        if state.profile is None or state.decoder is None or state.base is None:
            return  # the hello, or its profile, is asked for; the packets come again
        for packet in packets:
            answer = work.answer
            if (
                work.claimed_readings >= UPLINK_READINGS
                or len(answer.refused) + len(answer.need_key) >= ANSWER_REFUSED
            ):
                return  # what is left comes again
            seq = _number(packet)
            if seq is None:
                work.problems.add(_bad(packet, "no number of a packet"))
                continue
            if seq in state.acks:
                continue
            try:
                work.claimed_readings += check_size(packet, state.profile)
                decoded = await _decode(state.decoder, packet)
                self._accept(work, packet, decoded, state.profile, state.decoder, state.base)
            except NeedKey:
                answer.need_key.append(seq)
            except BadPacket as error:
                self._refuse(work, packet, seq, error.reason)
            except Exception as error:  # noqa: BLE001 (the border of the decoder)
                # Whatever a packet makes of it, it is this packet's. Nothing was taken from it:
                # `_accept` changes the state last.
                self._poison(work, device, packet, seq, error)

    def _accept(
        self,
        work: _Work,
        packet: bytes,
        decoded: Decoded,
        profile: Profile,
        decoder: Decoder,
        base: TimeBase,
    ) -> None:
        now_ns = self._clock.now_ns()
        reason = impossible_time(decoded, profile, base, now_ns)
        if reason:
            self._refuse(work, packet, decoded.seq, reason)
            return
        piece = piece_of(decoded, len(packet), profile, base, now_ns, work.problems)
        decoder.commit(decoded)
        if piece is not None:
            work.pieces.append(piece)
        work.state.acks.add(decoded.seq)
        work.changed = True

    def _poison(self, work: _Work, device: str, packet: bytes, seq: int, error: Exception) -> None:
        """Refuse a packet on which the decoder has failed."""
        self.poisoned += 1
        key = device, work.state.boot
        if key not in self._poisoned and len(self._poisoned) < POISONED:
            self._poisoned.add(key)
            log.error(
                "packet poisons the decoder",
                device=device,
                boot=work.state.boot,
                seq=seq,
                packet=packet[:LOG_CHARACTERS].hex(),
                next="it is refused, the others are taken; please report it",
                exc_info=error,
            )
        self._refuse(work, packet, seq, f"the decoder fails on it: {type(error).__name__}")

    def _refuse(self, work: _Work, packet: bytes, seq: int, reason: str) -> None:
        work.problems.add(_bad(packet, reason))
        work.answer.refused.add(seq=seq, reason=reason[:ANSWER_REASON_CHARACTERS])


def read_uplink(body: bytes) -> Uplink:
    """Read an uplink, within bounds.

    Raises:
        Refusal: it is none, or breaks a bound; names the field.
    """
    check_fields(body, UPLINK_FIELDS)
    message = Uplink()
    try:
        message.ParseFromString(body)
    except DecodeError:
        raise BadParameter("body", "a message telerig.v1.Uplink", "other bytes") from None
    for number, packet in enumerate(message.packets):
        if len(packet) > PACKET_BYTES:
            raise Refusal(
                413, f"packets[{number}]", f"at most {PACKET_BYTES} bytes", f"{len(packet)}"
            )
    if message.HasField("hello") and message.hello.ByteSize() > HELLO_BYTES:
        found = f"{message.hello.ByteSize()}"
        raise Refusal(413, "hello", f"at most {HELLO_BYTES} bytes", found)
    if len(message.hello.templates) > HELLO_FIELDS:
        found = f"{len(message.hello.templates)}"
        raise Refusal(413, "hello.templates", f"at most {HELLO_FIELDS}", found)
    for name in ("profile_hash", "templates_hash"):
        size = len(getattr(message.hello, name))
        if size not in (0, HASH_BYTES):
            raise BadParameter(f"hello.{name}", f"{HASH_BYTES} bytes", f"{size} bytes")
    return message


def _check_hash(where: str, named: bytes, content: bytes) -> None:
    """Refuse content that a hello names otherwise: devices that name it so would get it."""
    found = content_hash(content)
    if named and named != found:
        raise BadParameter(where, f"content of the hash {named.hex()}", f"the hash {found.hex()}")


def _profile(data: bytes) -> Profile:
    try:
        profile = Profile.from_bytes(data)
        check_profile(profile)
    except ProfileMisfit as error:
        raise BadParameter(error.where, error.expected, error.found) from None
    except ProfileError as error:
        raise BadParameter("hello.profile", "a profile of the codec", str(error)[:200]) from None
    return profile


async def _decode(decoder: Decoder, packet: bytes) -> Decoded:
    """Decode a packet a few rows at a time, others in between.

    Raises:
        NeedKey, BadPacket: it cannot be decoded.
    """
    steps = decoder.steps(packet)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            decoded: Decoded = end.value
            return decoded
        await asyncio.sleep(0)


def _add_orders(answer: Downlink, orders: Iterable[Order]) -> None:
    """Add commands to an answer, as many as a board takes; the others are due again later."""
    room_bytes = ANSWER_BYTES - answer.ByteSize()
    for order in orders:
        size_bytes = len(order.parameters.encode())
        if size_bytes > ANSWER_COMMAND_BYTES:
            log.error("command too long for the device", command=order.id, bytes=size_bytes)
            continue
        room_bytes -= size_bytes + _COMMAND_FRAME_BYTES
        if room_bytes < 0 or len(answer.commands) == ANSWER_COMMANDS:
            return
        answer.commands.add(
            id=order.id,
            name=order.name,
            parameters=order.parameters,
            expires_ms=order.expires_ms,
        )


def _number(packet: bytes) -> int | None:
    """Give the number of a packet; None where it has none that an answer could name."""
    try:
        seq = peek(packet)[0]
    except BadPacket:
        return None
    return seq if seq < SEQ_LIMIT else None


def _bad(packet: bytes, reason: str) -> Problem:
    return Problem("a codec packet", f"{reason}: {packet[:100].hex()}", "packets", "packet")


def _repeat_logs(device: str, lines: Iterable[LogLine]) -> None:
    """Write the lines of a device's log into the gateway's."""
    for line in lines:
        text = "".join(c if c.isprintable() else "�" for c in line.text[:LOG_CHARACTERS])
        level = min(50, max(10, line.level // 10 * 10))
        device_log.log(level, text, device=device, uptime_ms=line.uptime_ms)
