"""The gateway as one object: what runs, and how it is."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import structlog

from server.clock import Clock
from server.config import GatewayConfig
from server.links.supervisor import LinkStatus, Supervisor
from server.live import Hub
from server.pipeline import Pipeline
from server.readings import Reading
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
        pool: connections for reads.
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
        self.hotlog = hotlog
        self.pool = pool
        self.started_ns = clock.now_ns()
        self.hub = Hub(config.device, boot, clock)
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
