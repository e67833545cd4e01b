"""The gateway as one object: what runs, and how it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import asyncpg
import structlog

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
from server.ingest.link_services import GatewayServices
from server.ingest.service import Ingest
from server.ingest.uplink import Uplinks
from server.ingest.uplink_store import UplinkStore
from server.links.supervisor import LinkStatus, Supervisor
from server.live import Hub
from server.pipeline import Pipeline
from server.readings import Reading
from server.store.devicelog import DeviceLog
from server.store.hotlog import HotLog

log = structlog.get_logger("telerig.gateway")


class Gateway:
    """Everything of one run; made by `server.serve.serve`, handed to `on_ready`.

    Attributes:
        config: as given.
        boot: number of this run, random.
        url: where the API is reached, `http://127.0.0.1:8000`; empty before it listens.
        hub: the live stream.
        hotlog: the writer of the store.
        pipeline: from links to store and stream.
        supervisors: the links, by name.
        pool: connections for reads, and for what changes rarely.
        registry: the devices that may send.
        access: who asks: the operator, a device.
        control: commands to devices.
        ingest: takes what remote devices send.
        uplinks: takes the uplinks of edge loggers, from whatever link.
        link_services: what links may ask of the gateway.
        edge: takes the records of the older kind of edge loggers.
        logger: the supervised logger process.
        s4_url: where S4 has an address of its own; empty: nowhere.
        latest: newest published reading of each signal id.
        started_ns: UTC nanoseconds.
    """

    def __init__(
        self, config: GatewayConfig, boot: int, clock: Clock, hotlog: HotLog, pool: asyncpg.Pool
    ) -> None:
        self.config = config
        self.boot = boot
        self.clock = clock
        self.url = ""
        self.s4_url = ""
        self.hotlog = hotlog
        self.pool = pool
        self.started_ns = clock.now_ns()
        self.registry = Registry(
            pool,
            clock,
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
        self.hub = Hub(config.device, boot, clock)
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
        self.ingest = Ingest(DeviceLog(config.database.url or "", clock=clock), clock, self.hub)
        self.uplinks = Uplinks(self.ingest, UplinkStore(pool, clock), self.control, self.registry)
        self.link_services = GatewayServices(self.uplinks, self.registry, lambda: self.vin or "")
        self.edge = EdgeRecords(pool, self.ingest, self.registry, clock)
        self.logger = Logger(config.compat.logger, clock, self._logger_said)
        self.latest: dict[int, Reading] = {}
        self.vin = config.vehicle
        self.supervisors: dict[str, Supervisor] = {}
        self.pipeline = Pipeline(
            hotlog,
            self,
            clock,
            queue_readings=config.pipeline.queue_readings,
            flush_s=config.pipeline.flush_ms / 1000,
            publish_s=config.pipeline.publish_ms / 1000,
        )

    async def close(self) -> None:
        """End what runs beside; write what waits to be written; the store is still there."""
        await self.logger.stop()
        await self.ingest.log.close()
        await self.control.close()
        await self.registry.close()

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

    def stored(self, upto: int, time_ns: int) -> None:
        """Publish how far the store is."""
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
