"""A paced drive: a fleet in this process against gateways that somebody has started.

async with FleetDrive(spec, ["http://127.0.0.1:8080"], keys, seed=1) as drive:
    await asyncio.sleep(60)
    await drive.finish()
checked = await drive.check(database_url)
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rig.fleet.build import models_of, vehicles_of
from rig.fleet.check import COMPARED, Checked, check_fleet
from rig.fleet.driver import Driver, FleetNetwork, Target
from rig.fleet.record import Record, quantiles_s
from rig.fleet.spec import FleetSpec
from sim.fleet.packets import Model

DRAIN_S = 120.0
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


class FleetDrive:
    """Vehicles, their driver and the record of it.

    Args:
        spec: the fleet.
        gateways: URLs; vehicles are spread over them and take the next one after a failure.
        keys: of the devices.
        seed: of drives, phases, boots and jitter. Two drives against one database need two, or
            the gateway takes the second for the first one's packets.
        network: between vehicles and gateways.
        models: drives that were made before, for `spec`.

    Attributes:
        record: what was acknowledged, packet by packet, with instants on the loop's clock.
        vehicles: with what waits.
        driver: whose `outage` takes the network from a share of them.
    """

    def __init__(
        self,
        spec: FleetSpec,
        gateways: Sequence[str],
        keys: Mapping[str, str],
        *,
        seed: int = 1,
        network: FleetNetwork | None = None,
        models: Sequence[Model] | None = None,
    ) -> None:
        self.spec = spec
        self.seed = seed
        self.record = Record()
        self._targets = [Target.of(url) for url in gateways]
        self._keys = keys
        self._network = network
        self._models = models if models is not None else models_of(spec, seed)
        self._driver: Driver | None = None
        self.started_s = self.stopped_s = 0.0

    @property
    def driver(self) -> Driver:
        """It is there from `start` on."""
        assert self._driver is not None
        return self._driver

    @property
    def vehicles(self) -> Sequence[Any]:
        """The vehicles, in the order of their numbers."""
        return self.driver.vehicles

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.driver.close()

    def start(self) -> None:
        """Set off, in the running loop; a vehicle's first packet goes within two batches."""
        loop = asyncio.get_running_loop()
        self.started_s = loop.time()
        vehicles = vehicles_of(
            self.spec,
            self._models,
            self._keys,
            self.record,
            seed=self.seed,
            start_s=self.started_s,
            epoch_ms=round((time.time() - self.started_s) * 1000.0),
        )
        rng = random.Random(f"{self.seed}/driver")
        self._driver = Driver(vehicles, lambda: self._targets, self.record, rng, self._network)
        self._driver.start()

    async def finish(self, at_most_s: float = DRAIN_S) -> bool:
        """Take no more readings, and send what waits; False where that takes too long."""
        self.stopped_s = asyncio.get_running_loop().time()
        self.driver.stop(self.stopped_s)
        return await self.driver.drained(at_most_s)

    async def check(self, database_url: str, compare: int = COMPARED) -> Checked:
        """Compare what was acknowledged with the database; nothing must be written meanwhile."""
        return await check_fleet(
            database_url, self.vehicles, self.record, compare=compare, seed=self.seed
        )

    def figures(self) -> dict[str, Any]:
        """Return what was measured, with units in the names."""
        record, vehicles = self.record, self.vehicles
        each = vehicles[0].model.readings_each
        lasted_s = max(1e-9, (self.stopped_s or asyncio.get_running_loop().time()) - self.started_s)
        delays = record.delays(vehicles)
        late_ms = dict.fromkeys(QUANTILES, float("nan"))
        if delays is not None:
            found = quantiles_s(delays, list(QUANTILES.values()))
            late_ms = {name: 1000.0 * value for name, value in zip(QUANTILES, found, strict=True)}
        return {
            "vehicles": len(vehicles),
            "lasted_s": lasted_s,
            "readings_acknowledged": len(record) * each,
            "readings_per_s": len(record) * each / lasted_s,
            "requests": sum(record.requests_by_second.values()),
            "peak_requests_per_s": max(record.requests_by_second.values(), default=0),
            "failures": sum(vehicle.failures for vehicle in vehicles),
            "answers": {str(status): count for status, count in sorted(record.answers.items())},
            "packets_waiting": self.driver.waiting,
            "packets_refused": len(record.refused_packets),
            "packets_dropped": len(record.dropped_packets),
            **{f"latency_{name}_ms": value for name, value in late_ms.items()},
        }
