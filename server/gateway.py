"""The gateway as one object: what runs, and how it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncpg
import structlog

from server.alerts.service import Alerts
from server.clock import Clock
from server.compat.edge import EdgeRecords
from server.compat.logger import Logger
from server.config import GatewayConfig
from server.control.command import CommandStatus
from server.control.control import Control
from server.control.json_file import WatchedFile
from server.control.templates import load_templates
from server.devices.access import Access
from server.devices.refused_keys import RefusedKeys
from server.devices.registry import Registry
from server.export.process import Exports
from server.forward.service import Forward, ForwardingStore
from server.http_protocol import Limits
from server.ingest.link_services import GatewayServices
from server.ingest.service import Ingest
from server.ingest.uplink import Uplinks
from server.ingest.uplink_store import UplinkStore
from server.instances.instances import Instances
from server.instances.shard import STORE
from server.instances.takers import Takers
from server.instances.unwritten import Unwritten
from server.journal import Journal
from server.keeping import Store
from server.links.supervisor import LinkStatus, Supervisor
from server.live import Bounds, Hub
from server.live.seats import Seats
from server.operation.http_counts import HttpCounts
from server.operation.live_only import FixedRegistry, LiveEdgeRecords, NoDeviceLog
from server.outbound.addresses import Door
from server.pipeline import Pipeline
from server.provisioning.jobs import Jobs
from server.readings import Reading
from server.replay.replays import Replays
from server.sessions.news import SessionNews
from server.store.compaction_watch import CompactionWatch
from server.store.compactor import Compactor
from server.store.config import ELSEWHERE
from server.store.devicelog import DeviceLog
from server.store.hotlog import Batch, HotLog
from server.store.latest import Latest
from server.users.guard import Guard
from server.users.service import Users

if TYPE_CHECKING:
    from server.operation.reload import Reload

log = structlog.get_logger("telerig.gateway")


class Gateway:
    """Everything of one run; made by `server.serve.serve`, handed to `on_ready`.

    Attributes:
        config: as given.
        boot: number of this run, random.
        url: where the API is reached, `http://127.0.0.1:8000`; empty before it listens.
        hub: the live stream.
        instances: other gateways on the same database, and what this one owns.
        seats: how many may listen.
        replays: recorded drives that are played.
        hotlog: the writer of the store.
        pipeline: from links to store and stream.
        supervisors: the links, by name.
        pool: connections for reads, and for what changes rarely.
        registry: the devices that may send.
        access: knows the API secret and the devices' keys.
        users: people, their sessions, and what was done.
        guard: decides about every request.
        control: commands to devices.
        session_news: changes of sessions, on the live stream.
        takers: who hears of rows that change.
        ingest: takes what remote devices send.
        uplinks: takes the uplinks of edge loggers, from whatever link.
        link_services: what links may ask of the gateway.
        edge: takes the records of the older kind of edge loggers.
        logger: the supervised logger process.
        exports: the downloads that run.
        door: the way out.
        provisioning: devices that are being provisioned from here.
        alerts: rules over readings, and who is told.
        forward: what is stored here, to another gateway.
        s4_url: where S4 has an address of its own; empty: nowhere.
        http_counts: how requests were answered.
        http_limits: of connections; None before it listens.
        latest: newest published reading of each signal id.
        newest: newest committed reading of each signal of each device.
        unwritten: those that a dead gateway has not written.
        compactor: makes segments of the hot log, or sees to it that somebody does.
        started_ns: UTC nanoseconds.
        reload: orders to read the configuration again; None: it cannot be.
    """

    def __init__(
        self,
        config: GatewayConfig,
        boot: int,
        clock: Clock,
        hotlog: HotLog,
        pool: asyncpg.Pool,
        journal: Journal | None = None,
    ) -> None:
        self.config = config
        self.boot = boot
        self.clock = clock
        self.url = ""
        self.s4_url = ""
        self.hotlog = hotlog
        self.pool = pool
        self.started_ns = clock.now_ns()
        self.reload: Reload | None = None
        self.registry = (Registry if config.database.enabled else FixedRegistry)(
            pool,
            clock,
            own=config.device,
            fixed={
                hashlib.sha256(key.encode()).digest(): device
                for device, key in config.api.device_keys
            },
        )
        self.access = Access(
            self.registry,
            config.api.secret,
            clock,
            RefusedKeys(clock, self._key_refused),
            config.api.device_requests_per_s,
        )
        self.users = Users(pool, config.users, clock, is_kept=config.database.enabled)
        self.guard = Guard(
            self.access, self.registry, self.users, config.users, clock, config.http.origins
        )
        live = config.live
        self.hub = Hub(
            config.device,
            boot,
            clock,
            ring_bytes=live.resume_kb * 1024,
            bounds=Bounds(live.queue_messages, live.queue_kb * 1024),
        )
        self.instances = Instances(config, boot, clock, self.hub)
        self.seats = Seats(live.clients, live.clients_per_user)
        self.replays = Replays(self, live.replays)
        self.control = Control(
            pool,
            clock,
            self._command_changed,
            templates=(
                WatchedFile(config.control.templates, load_templates)
                if config.control.templates is not None
                else tuple
            ),
            standing=config.control.standing,
            allowed=config.control.allowed,
        )
        self.session_news = SessionNews(
            self.hub, pool, self.instances.changes, is_alone=self.instances.is_alone
        )
        self.takers = Takers(self)
        self.newest = Latest(pool, clock, config.store.latest_s)
        self.compactor = self._compactor()
        self.ingest = Ingest(self._device_log(), clock, self.hub)
        self.uplinks = Uplinks(self.ingest, UplinkStore(pool, clock), self.control, self.registry)
        self.link_services = GatewayServices(self.uplinks, self.registry, lambda: self.vin or "")
        records = EdgeRecords if config.database.enabled else LiveEdgeRecords
        self.edge = records(pool, self.ingest, self.registry, clock)
        self.exports = Exports(config.export)
        self.logger = Logger(config.compat.logger, clock, self._logger_said)
        self.door = Door(config.outbound)
        self.provisioning = Jobs(self)
        self.alerts = Alerts(
            pool,
            clock,
            self.hub,
            self.door,
            gateway=config.device,
            config=config.alerts,
            mail=config.mail,
            leases=None if self.instances.is_alone else self.instances.leases,
            changes=self.instances.changes,
        )
        data_dir = config.database.data_dir
        self.forward = Forward(
            config.forward,
            device=config.device,
            folder=None if data_dir is None else data_dir / "forward",
            pool=pool,
            has_log=config.database.enabled,
            clock=clock,
            door=self.door,
        )
        self.ingest.on_stored += [self.alerts.stored, self.forward.stored]
        self.ingest.on_unsure.append(self.forward.unsure)
        if config.database.enabled:
            self.ingest.log.committed = self.compactor.committed
            self.ingest.on_stored.append(
                lambda append, pieces: self.newest.take_pieces(append.device, append.boot, pieces)
            )
            hotlog.committed = self._batch_committed
        if not self.instances.is_alone:
            self.ingest.feed = self.instances.feed.committed
            self.ingest.on_unsure.append(self.instances.feed.unsure)
            self.instances.feed.on_turn.append(self.alerts.turn)
            self.instances.feed.has_rules = lambda: self.alerts.has_rules
            self.alerts.on_rules = self.instances.feed.listen
            self.instances.events.on_event.append(self.alerts.elsewhere)
            hotlog.turned = self.instances.feed.link_committed
            self.instances.leases.on_change.append(self._owned_changed)
        self.unwritten = Unwritten(
            self.newest.rebuild, self.instances.leases, self.instances.members
        )
        self.http_counts = HttpCounts()
        self.http_limits: Limits | None = None
        self.latest: dict[int, Reading] = {}
        self.vin = config.vehicle
        self.supervisors: dict[str, Supervisor] = {}
        self.pipeline = Pipeline(
            self._store(hotlog),
            self,
            clock,
            queue_readings=config.pipeline.queue_readings,
            flush_s=config.pipeline.flush_ms / 1000,
            publish_s=config.pipeline.publish_ms / 1000,
            journal=journal,
            vin=lambda: self.vin or "",
        )

    async def open(self) -> None:
        """Begin what needs the tables, before anything comes in.

        Raises:
            StoreError, DATABASE_ERRORS: they cannot be read.
        """
        if self.config.database.enabled:
            await self.newest.rebuild()
            await self.alerts.start(self.vin or "")
            await self.users.open(self.url)
            await self.instances.start(self.url)
        await self.forward.start()

    async def close(self) -> None:
        """End what runs beside; write what waits to be written; the store is still there."""
        await self.exports.close()
        await self.provisioning.close()
        await self.logger.stop()
        await self.replays.close()
        self.hub.close()
        await self.ingest.log.close()
        await self.alerts.stop()
        await self.forward.stop()
        await self.compactor.close()
        await self.unwritten.close()
        await self.instances.close()
        await self.takers.close()
        await self.session_news.close()
        await self.newest.close()
        await self.control.close()
        await self.guard.close()
        await self.users.close()
        await self.registry.close()

    def _store(self, hotlog: HotLog) -> Store:
        if not self.forward:
            return hotlog
        return ForwardingStore(hotlog, self.forward, self.boot, lambda: self.vin or "")

    def _device_log(self) -> DeviceLog:
        database = self.config.database
        if not database.enabled:
            return NoDeviceLog(self.clock)
        return DeviceLog(database.url or "", clock=self.clock)

    def _compactor(self) -> Compactor | CompactionWatch:
        config, clock = self.config, self.clock
        if config.store.compactor == ELSEWHERE:
            return CompactionWatch(self.pool, clock, config.store)
        token = None if self.instances.is_alone else self._store_token
        return Compactor(config.database.url or "", clock, config.store, token)

    def _batch_committed(self, batch: Batch) -> None:
        """Take note of a commit of the local links."""
        self.compactor.committed(len(batch.body))
        boot = self.boot if batch.boot is None else batch.boot
        self.newest.take_readings(self.config.device, boot, batch.newest)

    def _store_token(self) -> int | None:
        """Give the token of the store's lease; None while another gateway compacts."""
        return self.instances.leases.token(STORE)

    def _owned_changed(self, taken: frozenset[int], lost: frozenset[int]) -> None:
        """Begin with what a new owner does."""
        if STORE in taken:
            self.compactor.look()

    def _key_refused(self, device: str, reason: str, example: str) -> None:
        """Count a refused request of a device."""
        self.ingest.log.refusals.add(device, reason, example)

    def _command_changed(self, command: CommandStatus) -> None:
        """Publish a change of a command."""
        self.hub.event(
            {
                "type": "command",
                "device": command.device,
                "id": command.id,
                "name": command.name,
                "state": command.state,
                "detail": command.detail,
                "late": command.late,
            }
        )

    def _logger_said(self, level: str, text: str) -> None:
        """Publish a line of the logger process."""
        self.hub.event({"type": "log", "source": "logger", "level": level, "text": text})

    @property
    def links(self) -> list[LinkStatus]:
        """How the links are, by name."""
        return [self.supervisors[name].status for name in sorted(self.supervisors)]

    @property
    def stale(self) -> set[int]:
        """Ids of signals that are due and missing."""
        return {signal for status in self.links for signal in status.stale}

    # What the pipeline tells (server.pipeline.Publisher).

    def readings(self, seq_first: int, readings: Sequence[Reading]) -> None:
        """Keep the newest value of each signal and publish."""
        for reading in readings:
            self.latest[reading.signal] = reading
        self.hub.readings(seq_first, readings)
        self.link_services.accepted(readings)
        self.alerts.readings(self.config.device, self.vin or "", readings)

    def stored(self, upto: int, time_ns: int) -> None:
        """Publish how far the store is."""
        if self.config.database.enabled:
            self.hub.stored(upto, time_ns)

    def store_failing(self, reason: str) -> None:
        """Publish whether commits succeed."""
        self.hub.store_failing(reason)

    # What the supervisors tell (server.links.supervisor.Observer).

    def link_changed(self, status: LinkStatus) -> None:
        """Publish the state of a link."""
        self.hub.link(status)

    def signals_stale(self, name: str, stale: tuple[int, ...], time_ns: int) -> None:
        """Publish which signals of a link are stale."""
        self.hub.stale(name, stale, time_ns)
        self.alerts.missing(self.config.device, stale)

    def vehicle(self, vin: str) -> None:
        """Take the vehicle's number from a link, unless the configuration names another."""
        if self.config.vehicle is not None:
            if vin != self.config.vehicle:
                log.warning("another vehicle", expected=self.config.vehicle, found=vin)
            return
        if vin != self.vin:
            self.vin = vin
            self.hotlog.name_vehicle(vin)
            log.info("vehicle", vin=vin)
