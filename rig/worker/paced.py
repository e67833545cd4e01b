"""Worker of a paced run: the world in wall time, the gateway a separate, unpatched process.

Started as `python -m rig.worker.paced`, with a `Job` on standard input; answers with messages on
standard output. The gateway is started by the command of production and reached as in production.
"""

from __future__ import annotations

import asyncio
import collections
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

import simpy

from rig import assembly
from rig.errors import RigError
from rig.http_exchange import exchange
from rig.scenario import load_scenario
from rig.scenario.model import Scenario
from rig.walltime.clock import WallClock
from rig.walltime.internet import ThreadInternet
from rig.walltime.pty import PtyPort
from rig.worker import boards
from rig.worker.channel import keep_watch, say, work
from rig.worker.gateway_log import LogCapture
from rig.worker.gateway_process import STOP_TIMEOUT_S, GatewayProcess
from rig.worker.job import Finished, Job
from rig.worker.observer import get_json, watch_live
from rig.worker.provisioning import provision_all
from rig.worker.recording import Recording
from rig.worker.run import Run

START_TIMEOUT_S = 20.0
HOUSEKEEPING_PERIOD_S = 0.05
PROGRESS_PERIOD_S = 1.0


class _Forwarder:
    """Hands what other threads hear to the thread of the world, which alone writes the record."""

    def __init__(self, recording: Recording, log: LogCapture) -> None:
        self._recording = recording
        self._log = log
        self._calls: collections.deque[Callable[[], None]] = collections.deque()

    def published(self, arrived_ns: int, rows: list[list[Any]], device: str, boot: int) -> None:
        self._calls.append(lambda: self._recording.published(arrived_ns, rows, device, boot))

    def stored_at(
        self, boot: int, upto_seq: int, time_ns: int, device: str, first_seq: int
    ) -> None:
        self._calls.append(
            lambda: self._recording.stored_at(boot, upto_seq, time_ns, device, first_seq)
        )

    def gateway_event(self, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        self._calls.append(lambda: self._recording.gateway_event(time_ns, kind, detail))

    def log_line(self, line: str) -> None:
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


class PacedRun(Run):
    """One run: start the gateway, drive in wall time, stop it, read back."""

    def __init__(self, job: Job, scenario: Scenario) -> None:
        self.clock = WallClock(job.pace)
        super().__init__(job, scenario, mode="paced", env=self.clock.env, epoch_ns=time.time_ns())
        self.forwarder = _Forwarder(self.recording, self.log)
        self.gateway: GatewayProcess | None = None
        self.watcher: threading.Thread | None = None
        self.internet: ThreadInternet | None = None
        self.drive_cpu_s = 0.0
        self.rss_bytes = 0

    def run(self) -> Finished:
        start_s = time.monotonic()
        ports = [PtyPort(self.clock, line, self.folder / name) for name, line in self.port_lines]
        config_file = self.write_config()
        self.begin()
        self.gateway = GatewayProcess(config_file, self.forwarder.log_line)
        try:
            for process in (
                self._follow_gateway(),
                self._housekeeping(),
                self._report_progress(),
                self._measure(),
            ):
                self.clock.env.process(process)
            self.clock.run(until_s=self.end_s)
            http_port = self.gateway.port
            counters = {
                link["name"]: link["counters"]
                for link in asyncio.run(get_json(http_port or 0, "/api/v1/links"))["links"]
            }
        finally:
            if self.internet is not None:
                self.internet.close()
            exit_code = self.gateway.stop()
            self.forwarder.drain()
        assert self.watcher is not None
        self.watcher.join(STOP_TIMEOUT_S)
        self.forwarder.drain()
        for port in ports:
            port.close()
        config_file.unlink()
        self.folder.rmdir()
        return self._finish(start_s, exit_code, counters)

    def _finish(
        self, start_s: float, exit_code: int, counters: Mapping[str, Mapping[str, int]]
    ) -> Finished:
        from server.store.reader import fetch_readings

        self.writer.stored(asyncio.run(fetch_readings(self.job.database_url)))
        return self.close(
            wall_s=time.monotonic() - start_s,
            exit_code=exit_code,
            counters=counters,
            cpu_pct=100.0 * self.drive_cpu_s / (self.scenario.duration_s / self.job.pace),
            rss_mb=self.rss_bytes / 1e6,
            late_events=float(self.clock.late_events),
            worst_lateness_s=self.clock.worst_lateness_s,
        )

    def _follow_gateway(self) -> Generator[simpy.Event, None, None]:
        """Watch the live stream from the moment at which there is one."""
        assert self.gateway is not None
        while self.gateway.port is None:
            if self.clock.env.now > START_TIMEOUT_S * self.job.pace:
                raise RigError(
                    f"expected the gateway to listen within {START_TIMEOUT_S:.0f} s; it does not; "
                    "see gateway.log in the record"
                )
            yield self.clock.env.timeout(HOUSEKEEPING_PERIOD_S)
        port = self.gateway.port
        self.watcher = threading.Thread(
            target=lambda: asyncio.run(watch_live(port, self.forwarder)),
            name="live watcher",
            daemon=True,
        )
        self.watcher.start()
        if self.world.fleet is not None:
            self._switch_boards_on(port)

    def _switch_boards_on(self, port: int) -> None:
        """Register the boards in a thread: the world goes on meanwhile."""
        internet = self.internet = ThreadInternet(self.clock, boards.gateway_at(port))

        def register() -> None:
            keys: dict[str, str] = {}
            try:
                if self.scenario.world.esp32.provisioned:
                    keys = asyncio.run(boards.register(self.scenario, port))
            except RigError as error:
                self.forwarder.fail(error)
                return
            self.forwarder.call(lambda: boards.switch_on(self.world, self.scenario, internet, keys))
            if not self.scenario.world.esp32.provisioned:
                time.sleep(max(0.0, assembly.LEAD_IN_S - self.clock.env.now) / self.job.pace)
                provision_all(
                    self.world,
                    self.scenario,
                    self.forwarder.call,
                    lambda request: asyncio.run(exchange(request, boards.gateway_at(port))),
                )

        threading.Thread(target=register, name="registration", daemon=True).start()

    def _housekeeping(self) -> Generator[simpy.Event, None, None]:
        while True:
            self.forwarder.drain()
            yield self.clock.env.timeout(HOUSEKEEPING_PERIOD_S * self.job.pace)

    def _measure(self) -> Generator[simpy.Event, None, None]:
        """CPU over the drive, and the largest memory seen in it."""
        assert self.gateway is not None
        timeout = self.clock.env.timeout
        yield timeout(assembly.LEAD_IN_S)
        before_s, _ = self.gateway.usage()
        end_s = assembly.LEAD_IN_S + self.scenario.duration_s
        while self.clock.env.now < end_s - 1e-9:
            yield timeout(min(1.0, end_s - self.clock.env.now))
            cpu_s, rss_bytes = self.gateway.usage()
            self.rss_bytes = max(self.rss_bytes, rss_bytes)
            self.drive_cpu_s = cpu_s - before_s

    def _report_progress(self) -> Generator[simpy.Event, None, None]:
        while True:
            keep_watch(self.job)
            say(self.progress())
            yield self.clock.env.timeout(PROGRESS_PERIOD_S * self.job.pace)


def run(job: Job) -> Finished:
    return PacedRun(job, load_scenario(job.scenario, job.variant)).run()


if __name__ == "__main__":
    sys.exit(work(run))
