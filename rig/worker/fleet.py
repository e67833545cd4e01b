"""The light vehicles of a run: known to the gateway before it starts, driven, checked in the end.

Their readings are not on the record, which would have millions of rows: the result has their
figures. What was acknowledged is kept beside it (`fleet.npz`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from rig.fleet.build import models_of, register_in, vehicles_of
from rig.fleet.check import Checked, check_fleet
from rig.fleet.driver import Driver, FleetNetwork, Target
from rig.fleet.record import Record, quantiles_s
from rig.scenario.drive import build_drive
from rig.scenario.model import Scenario
from server.clock import SystemClock
from server.store.connection import connect
from server.store.migrate import migrate
from sim.car import fleet_drive
from sim.fleet.packets import Model
from sim.streams import RandomStreams

RECORD_FILE = "fleet.npz"
LATENCIES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
STOP_WAIT_S = 10.0

Figures = dict[str, tuple[float, str]]


class FleetSide:
    """The fleet of one run.

    Args:
        scenario: with a fleet.
        seed: of the run.
        epoch_ns: UTC of the world's zero.
        lead_in_s: when the drive begins, on the world's clock.

    Attributes:
        figures: what was measured: name -> (value, unit); there after `check`.
    """

    def __init__(self, scenario: Scenario, seed: int, epoch_ns: int, lead_in_s: float) -> None:
        self.figures: Figures = {}
        self.record = Record()
        spec = scenario.world.fleet
        # A lap beyond the drive would only take time to make.
        lap_s = min(spec.lap_s, scenario.duration_s + 2.0 * spec.batch_s)
        self._spec = dataclasses.replace(spec, lap_s=lap_s)
        self._scenario = scenario
        self._seed = seed
        self._epoch_ns = epoch_ns
        self._lead_in_s = lead_in_s
        self._models: Sequence[Model] = ()
        self._keys: dict[str, str] = {}
        self._driver: Driver | None = None
        self._shift_s = 0.0  # of the driver's clock to the world's
        self._ends_s: list[tuple[float, int]] = []  # of faults: when, and what waited

    async def prepare(self, database_url: str) -> None:
        """Make the drives, and let the gateway's database know the devices; in real time."""
        rng = RandomStreams(self._seed).stream("fleet/drives")
        drive = build_drive(self._scenario)
        drives = [fleet_drive(drive, rng) for _ in range(self._spec.models)]
        self._models = models_of(self._spec, self._seed, drives=drives)
        connection = await connect(database_url)
        try:
            await migrate(connection, SystemClock())
        finally:
            await connection.close()
        self._keys = await register_in(database_url, self._spec.devices, self._seed)

    def start(self, port: Callable[[], int | None], world_s: float) -> None:
        """Set off in the running loop, at `world_s` of the world's clock."""
        loop = asyncio.get_running_loop()
        spec = self._spec
        shift_s = self._shift_s = loop.time() - world_s
        vehicles = vehicles_of(
            spec,
            self._models,
            self._keys,
            self.record,
            seed=self._seed,
            start_s=self._lead_in_s + shift_s,
            epoch_ms=round(self._epoch_ns / 1e6 - 1000.0 * shift_s),
        )

        def where() -> list[Target]:
            number = port()
            return [] if number is None else [Target("127.0.0.1", number)]

        rng = random.Random(f"{self._seed}/fleet/network")
        network = FleetNetwork(spec.latency_s, spec.loss)
        self._driver = Driver(vehicles, where, self.record, rng, network)
        self._driver.start()
        drive_end_s = self._lead_in_s + self._scenario.duration_s
        self._driver.stop(drive_end_s + shift_s)
        for fault in self._scenario.faults:
            for _, end_s in fault.windows:
                loop.call_at(self._lead_in_s + end_s + shift_s, self._note_end)

    def _note_end(self) -> None:
        """Note what waits when a fault ends: `fleet.recovery` says how long it takes."""
        driver = self.driver
        for vehicle in driver.vehicles:
            vehicle.close_due(driver.loop.time())
        self._ends_s.append((driver.loop.time(), driver.waiting))

    @property
    def driver(self) -> Driver:
        """It is there from `start` on."""
        assert self._driver is not None
        return self._driver

    def outage(self, share: float) -> Callable[[], None]:
        """Take the network from a share of the vehicles; see `Driver.outage`."""
        return self.driver.outage(share)

    def close(self) -> None:
        """Stop every vehicle where it is."""
        if self._driver is not None:
            self._driver.close()

    async def check(self, database_url: str, folder: Path) -> Checked:
        """Compare with the database of the gateway, which has stopped; fill in `figures`."""
        vehicles = self.driver.vehicles
        checked = await check_fleet(
            database_url, vehicles, self.record, compare=self._spec.compare, seed=self._seed
        )
        self.record.save(folder / RECORD_FILE)
        figures: Figures = {
            "fleet.acknowledged": (checked.acknowledged, ""),
            "fleet.missing": (checked.missing, ""),
            "fleet.doubled": (checked.doubled, ""),
            "fleet.order": (checked.out_of_order, ""),
            "fleet.wrong": (checked.wrong, ""),
            "fleet.waiting": (self.driver.waiting, ""),
            "fleet.dropped": (len(self.record.dropped_packets), ""),
            "fleet.refused": (len(self.record.refused_packets), ""),
            "fleet.failures": (sum(vehicle.failures for vehicle in vehicles), ""),
            "fleet.rate": (checked.acknowledged / self._scenario.duration_s, "/s"),
        }
        peak = max(self.record.requests_by_second.values(), default=0)
        figures["fleet.peak_requests"] = (peak, "/s")
        delays = self.record.delays(vehicles)
        if delays is not None:
            late_s = quantiles_s(delays, list(LATENCIES.values()))
            figures |= {
                f"fleet.latency.{name}": (1000.0 * value, "ms")
                for name, value in zip(LATENCIES, late_s, strict=True)
            }
        recovery_s = self._recovery_s()
        if recovery_s is not None:
            figures["fleet.recovery"] = (recovery_s, "s")
        self.figures = figures
        return checked

    def _recovery_s(self) -> float | None:
        """Return the longest time until what had waited at a fault's end was acknowledged."""
        if not self._ends_s:
            return None
        closed_s, at_s = self.record.closed_s(self.driver.vehicles), self.record.arrays()[3]
        longest_s = 0.0
        for end_s, waiting in self._ends_s:
            if not waiting:
                continue
            if self.driver.waiting:
                return float("inf")
            late_s = at_s[(at_s > end_s) & (closed_s <= end_s)]
            longest_s = max(longest_s, float(late_s.max(initial=end_s)) - end_s)
        return longest_s


class FleetThread:
    """A fleet in a thread and a loop of its own: beside a world in wall time."""

    def __init__(self, side: FleetSide) -> None:
        self._side = side
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fleet", daemon=True)
        self._thread.start()

    def call(self, action: Callable[[], object]) -> None:
        """Do something in its loop."""
        self._loop.call_soon_threadsafe(action)

    def start(self, port: Callable[[], int | None], world_s: float) -> None:
        """See `FleetSide.start`."""
        self.call(lambda: self._side.start(port, world_s))

    def outage(self, share: float) -> Callable[[], None]:
        """See `FleetSide.outage`; begins and ends in the fleet's own thread."""
        ends: list[Callable[[], None]] = []
        self.call(lambda: ends.append(self._side.outage(share)))
        return lambda: self.call(lambda: ends[0]())

    def close(self) -> None:
        """Stop every vehicle, and end the thread."""

        def end() -> None:
            self._side.close()
            self._loop.stop()

        self.call(end)
        self._thread.join(STOP_WAIT_S)
