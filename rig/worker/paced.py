"""Worker of a paced run: the world in wall time, the gateway a separate, unpatched process.

Started as `python -m rig.worker.paced`, with a `Job` on standard input; answers with messages on
standard output. The gateway is started by the command of production and reached as in production.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import sys
import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping
from typing import Any, Protocol

import simpy

from rig import assembly
from rig.errors import RigError
from rig.fleet.spec import FleetError
from rig.http_exchange import Place, exchange
from rig.scenario import load_scenario
from rig.scenario.fleet import FLEET
from rig.scenario.model import CAR, MESH, Scenario
from rig.walltime.clock import WallClock
from rig.walltime.internet import ThreadInternet
from rig.walltime.listener import LOOPBACK
from rig.walltime.pipe_door import PipeDoor
from rig.walltime.pty import PtyPort
from rig.worker import boards
from rig.worker.channel import say, work
from rig.worker.database_control import DATABASE, DatabaseControl
from rig.worker.database_proxy import DatabaseProxy
from rig.worker.fleet import FleetThread
from rig.worker.gateway_log import LogCapture
from rig.worker.gateway_process import STOP_TIMEOUT_S, GatewayProcess, StruckProcess
from rig.worker.job import Finished, Job
from rig.worker.observer import follow_live, get_json
from rig.worker.provisioning import provision_all
from rig.worker.recording import Recording
from rig.worker.run import Run
from rig.worker.watchdog import keep_watch
from rig.worker.world_time import WorldTime
from sim.world import ESP32

START_TIMEOUT_S = 20.0
HOUSEKEEPING_PERIOD_S = 0.05
PROGRESS_PERIOD_S = 1.0


class _Forwarder:
    """Hands what other threads hear to the thread of the world, which alone writes the record."""

    def __init__(
        self, recording: Recording, log: LogCapture, time: WorldTime, devices: Collection[str]
    ) -> None:
        self._recording = recording
        self._log = log
        self._time = time
        self._devices = devices
        self._calls: collections.deque[Callable[[], None]] = collections.deque()

    def published(self, arrived_ns: int, rows: list[list[Any]], device: str, boot: int) -> None:
        whose = device if device in self._devices else ""
        rows, arrived_ns = self._time.rows(rows, whose), self._time.at(arrived_ns)
        self._calls.append(lambda: self._recording.published(arrived_ns, rows, device, boot))

    def stored_at(
        self, boot: int, upto_seq: int, time_ns: int, device: str, first_seq: int
    ) -> None:
        time_ns = self._time.at(time_ns)
        self._calls.append(
            lambda: self._recording.stored_at(boot, upto_seq, time_ns, device, first_seq)
        )

    def gateway_event(self, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        time_ns = self._time.at(time_ns)
        self._calls.append(lambda: self._recording.gateway_event(time_ns, kind, detail))

    def log_line(self, gateway: str, line: str) -> None:
        if gateway != CAR and line.startswith("{"):
            line = f'{{"gateway": "{gateway}", {line[1:]}'
        self._calls.append(lambda: self._log.line(line))

    def call(self, function: Callable[[], None]) -> None:
        """Let the world's thread call `function`."""
        self._calls.append(function)

    def fail(self, error: Exception) -> None:
        """Let the world's thread raise `error`."""

        def raise_it() -> None:
            raise error

        self._calls.append(raise_it)

    def drain(self) -> None:
        while self._calls:
            self._calls.popleft()()


class Port(Protocol):
    """Anything between a device and its gateway."""

    def close(self) -> None: ...


class PacedRun(Run):
    """One run: start the gateway, drive in wall time, stop it, read back."""

    def __init__(self, job: Job, scenario: Scenario) -> None:
        if FLEET in scenario.needs and job.pace != 1.0:
            raise FleetError(
                f"--pace: expected 1 where a scenario needs a fleet, found {job.pace:g}: light "
                "vehicles keep the time of the wall"
            )
        self.clock = WallClock(job.pace)
        self.doors = {line: PipeDoor(self.clock) for line in self._tcp_lines(scenario)}
        for door in self.doors.values():
            door.open()
        super().__init__(
            job,
            scenario,
            mode="paced",
            env=self.clock.env,
            epoch_ns=time.time_ns(),
            places={line: f"tcp://{LOOPBACK}:{door.port}" for line, door in self.doors.items()},
        )
        for line, door in self.doors.items():
            door.connect = functools.partial(self.world.connect, line)
        # Rows for the radio stand on a grid in UTC, which is the gateways': they stay as they are.
        self.time = WorldTime(self.epoch_ns, 1.0 if MESH in scenario.needs else job.pace)
        self.forwarder = _Forwarder(self.recording, self.log, self.time, assembly.devices(scenario))
        self.processes: list[GatewayProcess] = []
        self.watchers: list[threading.Thread] = []
        self.internet: ThreadInternet | None = None
        self.fleet_thread: FleetThread | None = None
        self.drive_cpu_s = 0.0
        self.rss_bytes = 0
        self.is_over = False
        self.proxy: DatabaseProxy | None = None
        self.database: DatabaseControl | None = None

    def run(self) -> Finished:
        start_s = time.monotonic()
        ports = self._open_ports()
        if self.strikes_databases:
            self.proxy = DatabaseProxy(self.folder / "databases", self.job.pace)
            self.database = DatabaseControl(self.proxy, self.database_urls, self.scenario.faults)
            self.targets[DATABASE] = self.database
        self.targets["gateway"] = StruckProcess(lambda: self.gateway, ports)
        if self.fleet is not None:
            self.prepare_fleet()
            self.fleet_thread = FleetThread(self.fleet)
            self.targets[FLEET] = self.fleet_thread
        config_files = [self.write_config(plan) for plan in self.gateways]
        self.begin()
        exit_code = 0
        try:
            for plan, config_file in zip(self.gateways, config_files, strict=True):
                log_line = functools.partial(self.forwarder.log_line, plan.name)
                self.processes.append(GatewayProcess(config_file, log_line))
            for process in self._companions():
                self.clock.env.process(process)
            self.clock.run(until_s=self.end_s)
            for plan, gateway in zip(self.gateways, self.processes, strict=True):
                self.count(plan, _counters(gateway))
        finally:
            if self.internet is not None:
                self.internet.close()
            if self.fleet_thread is not None:
                self.fleet_thread.close()
            self.is_over = True
            for gateway in reversed(self.processes):  # the base hears the car's last words
                exit_code = gateway.stop() or exit_code
            self.forwarder.drain()
            if self.database is not None and self.proxy is not None:
                self.database.close()
                self.proxy.close()
        for watcher in self.watchers:
            watcher.join(STOP_TIMEOUT_S)
        self.forwarder.drain()
        for port in ports:
            port.close()
        for door in self.doors.values():
            door.close()
        for config_file in config_files:
            config_file.unlink()
        self.remove_folder()
        return self._finish(start_s, exit_code)

    def _tcp_lines(self, scenario: Scenario) -> list[str]:
        """Return the lines of the world that have TCP servers."""
        return assembly.tcp_links(scenario)

    def _open_ports(self) -> list[Port]:
        """Open what stands between the gateway and the devices; each has a `close()`."""
        return [PtyPort(self.clock, line, self.folder / name) for name, line in self.port_lines]

    def _companions(self) -> list[Generator[simpy.Event, None, None]]:
        """Return what goes on beside the world."""
        return [
            *map(self._follow_gateway, range(len(self.gateways))),
            self._housekeeping(),
            self._report_progress(),
            self._measure(),
        ]

    def database_url(self, plan: assembly.GatewayPlan) -> str:
        """Return what the gateway is told: where faults strike it, there is something between."""
        url = super().database_url(plan)
        return url if self.proxy is None else self.proxy.url(url)

    @property
    def gateway(self) -> GatewayProcess:
        """The car's."""
        return self.processes[-1]

    def _finish(self, start_s: float, exit_code: int) -> Finished:
        from rig.worker.stored import fetch_stored

        if self.fleet is not None:
            checked = asyncio.run(self.fleet.check(self.job.database_url, self.job.folder))
            self.keep_fleet(self.fleet, checked)
        for plan in reversed(self.gateways):
            found = asyncio.run(fetch_stored(plan.database_url, with_rows=self.fleet is None))
            rows = self.time.stored(found.rows, assembly.devices(self.scenario))
            self.keep_stored(found._replace(rows=rows))
        return self.close(
            wall_s=time.monotonic() - start_s,
            exit_code=exit_code,
            cpu_pct=100.0 * self.drive_cpu_s / (self.scenario.duration_s / self.job.pace),
            rss_mb=self.rss_bytes / 1e6,
            late_events=float(self.clock.late_events),
            worst_lateness_s=self.clock.worst_lateness_s,
        )

    def _follow_gateway(self, number: int) -> Generator[simpy.Event, None, None]:
        """Watch the live stream of a gateway from the moment at which there is one."""
        plan, gateway = self.gateways[number], self.processes[number]
        while gateway.port is None:
            if self.clock.env.now > START_TIMEOUT_S * self.job.pace:
                raise RigError(
                    f"expected the gateway to listen within {START_TIMEOUT_S:.0f} s; it does not; "
                    "see gateway.log in the record"
                )
            yield self.clock.env.timeout(HOUSEKEEPING_PERIOD_S)
        port = gateway.port
        if self.fleet_thread is not None:  # nobody follows thousands of vehicles
            self.fleet_thread.start(lambda: gateway.place, self.clock.env.now)
            return
        listener = self.listener(plan, self.forwarder)
        watcher = threading.Thread(
            target=lambda: asyncio.run(
                follow_live(lambda: gateway.place, listener, lambda: self.is_over)
            ),
            name="live watcher",
            daemon=True,
        )
        self.watchers.append(watcher)
        watcher.start()
        is_played = ESP32 in self.scenario.world.played  # a recorded board is a device, too
        if plan.name == CAR and (self.world.fleet is not None or is_played):
            self._switch_boards_on(port, boards.gateway_at(lambda: gateway.place))

    def _switch_boards_on(self, port: int, place: Place) -> None:
        """Register the boards in a thread: the world goes on meanwhile."""
        internet = self.internet = ThreadInternet(self.clock, place)

        def register() -> None:
            keys: dict[str, str] = {}
            try:
                if self.scenario.world.esp32.provisioned:
                    keys = asyncio.run(boards.register(self.scenario, port))
            except RigError as error:
                self.forwarder.fail(error)
                return
            if self.world.fleet is None:
                return
            self.forwarder.call(lambda: boards.switch_on(self.world, self.scenario, internet, keys))
            if not self.scenario.world.esp32.provisioned:
                time.sleep(max(0.0, self.lead_in_s - self.clock.env.now) / self.job.pace)
                provision_all(
                    self.world,
                    self.scenario,
                    self.forwarder.call,
                    lambda request: asyncio.run(exchange(request, place)),
                )

        threading.Thread(target=register, name="registration", daemon=True).start()

    def _housekeeping(self) -> Generator[simpy.Event, None, None]:
        while True:
            self.forwarder.drain()
            self.writer.flush_if_watched()
            yield self.clock.env.timeout(HOUSEKEEPING_PERIOD_S * self.job.pace)

    def _measure(self) -> Generator[simpy.Event, None, None]:
        """CPU over the drive, and the largest memory seen in it."""
        timeout = self.clock.env.timeout
        yield timeout(self.lead_in_s)
        before_s, _ = self.gateway.usage()
        end_s = self.lead_in_s + self.scenario.duration_s
        while self.clock.env.now < end_s - 1e-9:
            yield timeout(min(1.0, end_s - self.clock.env.now))
            cpu_s, rss_bytes = self.gateway.usage()
            self.rss_bytes = max(self.rss_bytes, rss_bytes)
            self.drive_cpu_s = cpu_s - before_s

    def _report_progress(self) -> Generator[simpy.Event, None, None]:
        while True:
            keep_watch(self.job.wall_limit_s)
            say(self.progress())
            yield self.clock.env.timeout(PROGRESS_PERIOD_S * self.job.pace)


def _counters(gateway: GatewayProcess) -> dict[str, dict[str, int]]:
    if gateway.place is None:
        return {}  # it was killed, and cannot start
    links = asyncio.run(get_json(gateway.port or 0, "/api/v1/links"))["links"]
    return {link["name"]: link["counters"] for link in links}


def run(job: Job) -> Finished:
    scenario = load_scenario(job.scenario, job.variant)
    if job.bench is None:
        return PacedRun(job, scenario).run()
    from rig.worker.bench_run import BenchRun

    return BenchRun(job, scenario).run()


if __name__ == "__main__":
    sys.exit(work(run))
