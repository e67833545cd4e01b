"""Worker of a paced run: the world in wall time, the gateway a separate, unpatched process.

Started as `python -m rig.worker.paced`, with a `Job` on standard input; answers with messages on
standard output. The gateway is started by the command of production and reached as in production.
"""

from __future__ import annotations

import asyncio
import collections
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import simpy

from rig import assembly
from rig.errors import RigError
from rig.faults.install import install_all
from rig.record.writer import RecordWriter
from rig.scenario import load_scenario
from rig.scenario.model import Scenario
from rig.walltime.clock import WallClock
from rig.walltime.pty import PtyPort
from rig.worker.channel import keep_watch, say, work
from rig.worker.gateway_log import LogCapture
from rig.worker.gateway_process import STOP_TIMEOUT_S, GatewayProcess
from rig.worker.job import Finished, Job, Progress
from rig.worker.observer import get_json, watch_live
from rig.worker.recording import Recording
from rig.worker.summary import manifest_of, result_of
from sim.world import World

START_TIMEOUT_S = 20.0
HOUSEKEEPING_PERIOD_S = 0.05
PROGRESS_PERIOD_S = 1.0


class _Forwarder:
    """Hands what other threads hear to the thread of the world, which alone writes the record."""

    def __init__(self, recording: Recording, log: LogCapture) -> None:
        self._recording = recording
        self._log = log
        self._calls: collections.deque[Callable[[], None]] = collections.deque()

    def published(self, arrived_ns: int, rows: list[list[Any]]) -> None:
        self._calls.append(lambda: self._recording.published(arrived_ns, rows))

    def stored_at(self, boot: int, upto_seq: int, time_ns: int) -> None:
        self._calls.append(lambda: self._recording.stored_at(boot, upto_seq, time_ns))

    def gateway_event(self, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        self._calls.append(lambda: self._recording.gateway_event(time_ns, kind, detail))

    def log_line(self, line: str) -> None:
        self._calls.append(lambda: self._log.line(line))

    def drain(self) -> None:
        while self._calls:
            self._calls.popleft()()


class PacedRun:
    """One run: start the gateway, drive in wall time, stop it, read back."""

    def __init__(self, job: Job, scenario: Scenario) -> None:
        self.job = job
        self.scenario = scenario
        self.clock = WallClock(job.pace)
        self.epoch_ns = time.time_ns()
        self.end_s = assembly.total_duration_s(scenario)
        self.folder = Path(tempfile.mkdtemp(prefix="tr-"))
        self.config = assembly.gateway_config(
            scenario,
            {link: str(self.folder / link) for link in scenario.needs},
            job.database_url,
            http_port=0,
        )
        self.writer = RecordWriter(
            job.folder, manifest_of(scenario, job, "paced", self.epoch_ns, self.config)
        )
        self.recording = Recording(self.writer, self.epoch_ns)
        self.log = LogCapture(self.writer)
        self.forwarder = _Forwarder(self.recording, self.log)
        self.world = World(
            self.clock.env,
            assembly.world_setup(scenario),
            seed=job.seed,
            epoch_ns=self.epoch_ns,
            on_sample=self.recording.on_sample,
            on_epoch=self.recording.on_epoch,
        )
        self.gateway: GatewayProcess | None = None
        self.watcher: threading.Thread | None = None
        self.drive_cpu_s = 0.0
        self.rss_bytes = 0

    def run(self) -> Finished:
        start_s = time.monotonic()
        ports = [
            PtyPort(self.clock, line, self.folder / name) for name, line in self.world.lines.items()
        ]
        config_file = self.folder / "gateway.toml"
        assembly.write_config(config_file, self.config)
        self.recording.attach(self.world)
        install_all(self.world, assembly.shifted_faults(self.scenario))
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
        self.log.finish()
        sim_s = self.clock.env.now
        self.writer.manifest.faults = self.recording.fault_windows(
            self.epoch_ns + round(sim_s * 1e9)
        )
        wall_s = time.monotonic() - start_s
        trace = self.writer.close(
            result_of(
                sim_s=sim_s,
                wall_s=wall_s,
                exit_code=exit_code,
                counters=counters,
                log=self.log,
                cpu_pct=100.0 * self.drive_cpu_s / (self.scenario.duration_s / self.job.pace),
                rss_mb=self.rss_bytes / 1e6,
                late_events=float(self.clock.late_events),
                worst_lateness_s=self.clock.worst_lateness_s,
            )
        )
        return Finished(sim_s=sim_s, wall_s=wall_s, trace_sha256=trace)

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
            now_s = self.clock.env.now
            say(
                Progress(
                    sim_s=now_s,
                    end_s=self.end_s,
                    phase=self.scenario.phase_at(now_s - assembly.LEAD_IN_S) or "",
                    readings=self.recording.readings,
                    speed_kph=self.world.vehicle.at(now_s).speed_mps * 3.6,
                )
            )
            yield self.clock.env.timeout(PROGRESS_PERIOD_S * self.job.pace)


def run(job: Job) -> Finished:
    return PacedRun(job, load_scenario(job.scenario, job.variant)).run()


if __name__ == "__main__":
    sys.exit(work(run))
