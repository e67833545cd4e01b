"""The link of a base station: a Meshtastic radio that receives from vehicles and nodes.

    [links.mesh]
    kind = "mesh"
    port = "/dev/ttyACM0"         # or "tcp://192.168.1.5", a radio's network API (port 4403)
    vehicles = {"!a1b2c3d4" = "car-7"}   # device of each node; others are "node-" and their number
    only_listed = false           # true: only these
    channel = 0                   # only packets on this channel; default: on any
    duty_cycle_pct = 2.5          # airtime of the base's own messages; default: 5, or half of what
                                  # the region allows
    ack_packets = 8               # an acknowledgement is due after so many packets,
    ack_s = 60.0                  # or so long after the first

Messages of vehicles (server/wire/air.py) become uplinks, the same as those of an edge logger:
decoded, committed, then acknowledged. What the radio measured of a packet (SNR, RSSI, hops), and
what ordinary nodes say of themselves (Position, Telemetry), become readings of the node's device.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import structlog

from server.clock import Clock
from server.config_section import Section, Where, describe
from server.devices.key import DEVICE_ID
from server.errors import LinkLost
from server.links.base import LinkReport, LinkServices, UplinkRefused
from server.mesh.base.nodes import metadata, name_of, readings_of
from server.mesh.base.station import Message, Station, Vehicle
from server.mesh.base.stream import Stream
from server.mesh.radio.link import RadioLink
from server.mesh.radio.packets import (
    DUTY_CYCLE_LIMIT,
    PRIORITY_HIGH,
    PRIVATE_PORT,
    Event,
    Notice,
    Packet,
    Ready,
    Rebooted,
    Refused,
    SendRefused,
    Utilisation,
    node_id,
    node_number,
)
from server.mesh.radio.transport import check_port
from server.readings import Reading, ReadingSink
from server.wire.telemetry_pb2 import Downlink

log = structlog.get_logger("telerig.mesh")

FLUSH_S = 5.0
"""Readings of nodes wait so long for others: a row of the store for each would be dear."""
BUFFERED_READINGS = 20_000
RETRY_FIRST_S = 1.0
RETRY_LAST_S = 30.0
AT_A_TIME = 64
GROUP = 64
TOLD_VEHICLES = 128
"""Vehicles whose first message is worth a line in the log."""
FEW_S = 600.0
MOST_NAMES = 64
MOST_NOTICES = 10
"""Lines in `FEW_S` of what nodes and the radio may say as often as they like."""
LAST_FLUSH_S = 2.0
"""The stop of a gateway does not wait longer for a store that is slow or away."""
_PORTS = "a device path, tcp://host or tcp://host:4403, or a pyserial URL (socket://host:port)"
NAMES = 512
"""Nodes whose names are remembered, and warnings that are given once."""


@dataclass(frozen=True, slots=True)
class BaseOptions:
    """The table `[links.<name>]` of a base station."""

    port: str
    vehicles: Mapping[int, str] = field(default_factory=dict)
    only_listed: bool = False
    channel: int | None = None
    duty_cycle_pct: float | None = None
    ack_packets: int = 8
    ack_s: float = 60.0


class _Kept:
    """What outlives a connection to the radio.

    Attributes:
        station: the vehicles.
        looked: streams whose boot was looked for in the database.
        metadata: what was measured of packets, by device, on its way to the store.
        readings: of one message each: the same message again is known there.
        buffered: how many these are.
        names: of nodes, as they say.
        warned: what was logged once.
        few_names, few_notices, few_reboots: lines of the log.
    """

    def __init__(self, station: Station) -> None:
        self.station = station
        self.looked: OrderedDict[tuple[int, int], None] = OrderedDict()
        self.metadata: dict[str, list[Reading]] = {}
        self.readings: list[tuple[str, list[Reading]]] = []
        self.buffered = 0
        self.names: OrderedDict[int, str] = OrderedDict()
        self.warned: set[str] = set()
        self.few_names = _Few(MOST_NAMES)
        self.few_notices = _Few(MOST_NOTICES)
        self.few_reboots = _Few(MOST_NOTICES)


class _Few:
    """Lets a few lines of the log through; the others are counted by the caller."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._since_s = -FEW_S
        self._told = 0

    def lets(self, now_s: float) -> bool:
        if now_s - self._since_s >= FEW_S:
            self._since_s, self._told = now_s, 0
        self._told += 1
        return self._told <= self._most


class BaseLink(RadioLink):
    """Receives from vehicles, and answers them."""

    kind: ClassVar[str] = "mesh"
    options: BaseOptions

    def __init__(
        self,
        name: str,
        options: BaseOptions,
        *,
        sink: ReadingSink,
        clock: Clock,
        report: LinkReport,
    ) -> None:
        super().__init__(name, options, sink=sink, clock=clock, report=report)
        self._kept = _Kept(
            Station(
                options.vehicles,
                only_listed=options.only_listed,
                ack_packets=options.ack_packets,
                ack_s=options.ack_s,
                duty_cycle_pct=options.duty_cycle_pct,
            )
        )
        self._counts: Counter[str] = Counter(readings=0)
        self._flush_s: float | None = None
        self._retry_s: float | None = None
        self._pause_s = RETRY_FIRST_S
        self._on_air: OrderedDict[int, Message] = OrderedDict()

    @classmethod
    def parse(cls, name: str, table: Mapping[str, Any], where: Where) -> BaseOptions:
        """Check `[links.<name>]`."""
        section = Section(table, where)
        section.has("kind")
        options = BaseOptions(
            port=_port(section, where),
            vehicles=_vehicles(section),
            only_listed=section.flag("only_listed", False),
            channel=section.integer("channel", None, minimum=0, maximum=7),
            duty_cycle_pct=section.number("duty_cycle_pct", None, minimum=0.01, maximum=100.0),
            ack_packets=section.integer("ack_packets", 8, minimum=1, maximum=128),
            ack_s=section.number("ack_s", 60.0, minimum=1.0, maximum=3600.0),
        )
        section.done()
        if options.only_listed and not options.vehicles:
            raise where.error("only_listed", "vehicles beside only_listed", "none listed")
        return options

    async def work(self) -> None:
        """Take what comes, commit it, answer; until cancelled.

        Raises:
            LinkLost: it runs without a gateway.
        """
        services = self.services
        if services is None:
            raise LinkLost("this link runs without a gateway: nobody takes uplinks")
        own = self._kept
        self._kept = services.kept(f"mesh:{self.name}", lambda: own)
        self._kept.station.counts.clear()  # those of the attempt before were told
        if self._kept.buffered:
            self._flush_s = self.clock.monotonic_s()
        try:
            while True:
                item = await self.receive(self._wait_s())
                for _ in range(AT_A_TIME):
                    if item is None:
                        break
                    self._take(item)
                    item = self.next_item()
                if item is not None:
                    self._take(item)
                await self._commit(services)
                if self._flush_s is not None and self.clock.monotonic_s() >= self._flush_s:
                    await self._flush(services)
                self._answer()
                self._tell()
        finally:
            await self._last(services)
            self._tell()

    async def _last(self, services: LinkServices) -> None:
        """Store what has come from nodes that will not say it again."""
        while (item := self.next_item()) is not None:
            self._take(item)
        if self._kept.buffered and self._retry_s is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_FLUSH_S):
                    await self._flush(services)

    # -- what comes --------------------------------------------------------------------------------
    def _take(self, item: Packet | Event) -> None:
        now_s = self.clock.monotonic_s()
        if isinstance(item, Packet):
            self._packet(item, now_s)
        elif isinstance(item, Ready):
            self._kept.station.radio(item.info)
        elif isinstance(item, Utilisation):
            self._kept.station.utilisation_pct = item.channel_pct
        elif isinstance(item, Refused):
            message = self._on_air.pop(item.id, None)
            if message is not None:
                self._kept.station.unsent(message, now_s, is_limit=item.error == DUTY_CYCLE_LIMIT)
        elif isinstance(item, Rebooted):
            self._on_air.clear()
            if self._kept.few_reboots.lets(now_s):
                log.warning("radio rebooted", link=self.name)
        elif isinstance(item, Notice) and self._kept.few_notices.lets(now_s):
            log.info("radio says", link=self.name, text=item.text)

    def _packet(self, packet: Packet, now_s: float) -> None:
        station = self._kept.station
        device = station.device_of(packet.sender)
        if device is None:
            self._counts["packets_unlisted"] += 1
            return
        if self.options.channel is not None and packet.channel != self.options.channel:
            self._counts["packets_other_channel"] += 1
            return
        if packet.via_mqtt:
            self._counts["packets_mqtt"] += 1
            return
        if not station.is_new(packet):
            return
        self._keep(device, metadata(packet), is_metadata=True)
        if packet.port == PRIVATE_PORT:
            known = station.counts["vehicles_new"]
            station.take(packet, device, now_s)
            if known < station.counts["vehicles_new"] <= TOLD_VEHICLES:
                log.info(
                    "vehicle heard",
                    link=self.name,
                    device=device,
                    node=node_id(packet.sender),
                    hops=packet.hops,
                    snr_db=packet.snr_db,
                )
            return
        name = name_of(packet, self._counts)
        if name and self._kept.names.get(packet.sender) != name:
            self._kept.names[packet.sender] = name
            _bound(self._kept.names)
            if self._kept.few_names.lets(now_s):
                log.info("node", link=self.name, device=device, name=name)
        self._keep(device, readings_of(packet, self._counts))

    def _keep(self, device: str, readings: list[Reading], *, is_metadata: bool = False) -> None:
        """Let readings wait: a commit for each packet would be dear."""
        kept = self._kept
        if not readings:
            return
        if kept.buffered + len(readings) > BUFFERED_READINGS:
            self._counts["readings_dropped"] += len(readings)
            return
        if is_metadata:
            kept.metadata.setdefault(device, []).extend(readings)
        else:
            kept.readings.append((device, readings))
        kept.buffered += len(readings)
        if self._flush_s is None:
            self._flush_s = self.clock.monotonic_s() + FLUSH_S

    # -- to the store ------------------------------------------------------------------------------
    async def _commit(self, services: LinkServices) -> None:
        """Hand on what the streams have; what cannot be taken now waits."""
        now_s = self.clock.monotonic_s()
        if self._retry_s is not None and now_s < self._retry_s:
            return
        self._retry_s = None
        for vehicle, stream in list(self._kept.station.work.values()):
            try:
                await self._commit_stream(services, vehicle, stream)
            except UplinkRefused as refused:
                self._not_now(str(refused))
                return
            self._kept.station.changed(vehicle, stream, self.clock.monotonic_s())
        if self._pause_s != RETRY_FIRST_S:
            self._pause_s = RETRY_FIRST_S
            self.trouble("store", "")

    async def _commit_stream(
        self, services: LinkServices, vehicle: Vehicle, stream: Stream
    ) -> None:
        """Hand on what a stream has.

        Raises:
            UplinkRefused: it cannot be taken now.
        """
        if not stream.boot:
            await self._look_up(services, vehicle, stream)
        was_refused = False
        while stream.has_work:
            message = stream.uplink(vehicle.device)
            before = stream.committed, stream.refused, stream.voided
            try:
                answer = await services.uplink(message, device=vehicle.device)
            except UplinkRefused as refused:
                if refused.again:
                    raise
                stream.not_taken()
                self._counts["uplinks_refused"] += 1
                self._warn(f"{vehicle.device}: {refused}")
                if was_refused:
                    return  # as it is now; not for ever, of a device that may no longer send
                was_refused = True
                continue
            was_refused = False
            stream.answered(Downlink.FromString(answer))
            self._counts["uplinks"] += 1
            self._counts["data_committed"] += stream.committed - before[0]
            self._counts["data_refused"] += stream.refused - before[1]
            self._counts["data_void"] += stream.voided - before[2]

    async def _look_up(self, services: LinkServices, vehicle: Vehicle, stream: Stream) -> None:
        """Find the boot of a stream that was known before this gateway started."""
        key = (vehicle.node, stream.stream)
        if key in self._kept.looked:
            return
        boots = await services.boots(vehicle.device)
        self._kept.looked[key] = None
        _bound(self._kept.looked)
        for boot in boots:
            if boot & 255 == stream.stream:
                stream.found(boot)
                self._counts["streams_found"] += 1
                return

    async def _flush(self, services: LinkServices) -> None:
        """Store the readings that wait; those of one group are one commit."""
        kept = self._kept
        self._flush_s = None
        batches = [*kept.metadata.items(), *kept.readings]
        kept.metadata, kept.readings, kept.buffered = {}, [], 0
        for begin in range(0, len(batches), GROUP):
            group = batches[begin : begin + GROUP]
            try:
                taken = await asyncio.gather(*(self._store(services, *item) for item in group))
            except asyncio.CancelledError:
                for item in batches[begin:]:  # what is stored of it is known there
                    self._keep(*item)
                raise
            if all(taken):
                continue
            again = [item for item, is_taken in zip(group, taken, strict=True) if not is_taken]
            for device, readings in (*again, *batches[begin + GROUP :]):
                self._keep(device, readings)
            self._flush_s = self._retry_s
            return

    async def _store(self, services: LinkServices, device: str, readings: list[Reading]) -> bool:
        """Store readings; tell whether they need not be tried again."""
        try:
            stored = await services.store(readings, device=device)  # others count meanwhile
            self._counts["readings"] += stored
        except UplinkRefused as refused:
            if refused.again:
                if self._retry_s is None:
                    self._not_now(str(refused))
                return False
            self._counts["readings_refused"] += len(readings)
            self._warn(f"{device}: {refused}")
        return True

    def _not_now(self, reason: str) -> None:
        self._counts["uplinks_not_now"] += 1
        self._retry_s = self.clock.monotonic_s() + self._pause_s
        self._pause_s = min(self._pause_s * 2, RETRY_LAST_S)
        self.trouble("store", f"packets wait: {reason}")

    # -- to the vehicles ---------------------------------------------------------------------------
    def _answer(self) -> None:
        """Send the acknowledgement that is due."""
        if not self.client.takes(PRIORITY_HIGH):
            return
        now_s = self.clock.monotonic_s()
        message = self._kept.station.acks(now_s)
        if message is None:
            return
        try:
            number = self.client.send(
                message.payload,
                channel=message.channel,
                hop_limit=message.hop_limit,
                priority=PRIORITY_HIGH,
            )
        except SendRefused as refused:
            self._kept.station.unsent(message, now_s)
            self._warn(str(refused))
            return
        self._on_air[number] = message
        if len(self._on_air) > AT_A_TIME:
            self._on_air.popitem(last=False)

    # -- helpers -----------------------------------------------------------------------------------
    def _wait_s(self) -> float | None:
        now_s = self.clock.monotonic_s()
        waits = [due_s - now_s for due_s in (self._flush_s, self._retry_s) if due_s is not None]
        acks_s = self._kept.station.wait_s(now_s)
        if acks_s is not None:
            # Without a radio that takes it, there is no point in looking at once.
            waits.append(max(acks_s, 0.0 if self.client.takes(PRIORITY_HIGH) else 1.0))
        return max(0.0, min(waits)) + 0.001 if waits else None

    def _tell(self) -> None:
        """Put all counts where the gateway sees them."""
        for counts in (self._counts, self._kept.station.counts):
            for counter, number in counts.items():
                self.counters[counter] = number

    def _warn(self, text: str) -> None:
        """Log something that a stranger may cause: once, and not in ever new words."""
        warned = self._kept.warned
        if text not in warned and len(warned) < NAMES:
            warned.add(text)
            log.warning("not taken", link=self.name, reason=text)


def _bound(items: OrderedDict[Any, Any]) -> None:
    if len(items) > NAMES:
        items.popitem(last=False)


def _port(section: Section, where: Where) -> str:
    port: str = section.text("port")
    try:
        check_port(port)
    except ValueError as error:
        raise where.error("port", _PORTS, port) from error
    return port


def _vehicles(section: Section) -> dict[int, str]:
    table = section.section("vehicles")
    found: dict[int, str] = {}
    for key, device in table.table.items():
        try:
            node = node_number(key)
        except ValueError as error:
            raise table.where.error(key, "a node like !a1b2c3d4", describe(key)) from error
        if not isinstance(device, str) or not DEVICE_ID.fullmatch(device):
            expected = "a device of up to 64 letters, digits, '-', '_' or '.'"
            raise table.where.error(key, expected, describe(device))
        if node in found:
            raise table.where.error(key, "each node once", describe(key))
        if device in found.values():
            raise table.where.error(key, "another device for each node", describe(device))
        found[node] = device
    return found
