"""What both clocks share about a run: its world, its record, and what is said about both."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import simpy

from rig import assembly
from rig.can.setup import can_decoder, can_manifest
from rig.faults.install import install_all
from rig.mesh.setup import mesh_info
from rig.record.reader import RecordReader
from rig.record.streams import CAN_LOG_FILE
from rig.record.writer import RecordWriter
from rig.scenario.gateway import UPLINK
from rig.scenario.model import BASE, CAN, CAR, MESH, Scenario
from rig.versions import versions
from rig.worker.gateway_log import LogCapture
from rig.worker.job import Finished, Job, Progress
from rig.worker.observer import LiveListener, NamedListener
from rig.worker.recording import TRUTH_COLUMNS, Recording
from sim.serial_line import SerialLine
from sim.world import World


class Run:
    """A world, the configuration of its gateway, and the record of what they do.

    Args:
        job: what was asked for.
        scenario: the job's, read.
        mode: "virtual" or "paced", for the record.
        env: the world's clock.
        epoch_ns: UTC of the clock's zero.
        places: where the world's TCP servers are, by line; of a run that has some.
    """

    def __init__(
        self,
        job: Job,
        scenario: Scenario,
        *,
        mode: str,
        env: simpy.Environment,
        epoch_ns: int,
        places: Mapping[str, str],
    ) -> None:
        self.job = job
        self.scenario = scenario
        self.epoch_ns = epoch_ns
        self.lead_in_s = assembly.lead_in_s(scenario)
        self.end_s = assembly.total_duration_s(scenario)
        self.folder = Path(tempfile.mkdtemp(prefix="tr-"))
        self.gateways = self._plans(places)
        self.counters: dict[str, dict[str, int]] = {}
        self.writer = RecordWriter(job.folder, self._manifest(mode))
        self.recording = Recording(self.writer, epoch_ns, can_decoder(scenario))
        self.log = LogCapture(self.writer)
        self.world = World(
            env,
            assembly.world_setup(scenario),
            seed=job.seed,
            epoch_ns=epoch_ns,
            on_sample=self.recording.on_sample,
            on_epoch=self.recording.on_epoch,
            on_board_sample=self.recording.on_board_sample,
            on_board_epoch=self.recording.on_board_epoch,
        )
        self._env = env

    def _plans(self, places: Mapping[str, str]) -> list[assembly.GatewayPlan]:
        """Return the gateways in the order in which they start: who listens comes first."""
        ports = {name: str(self.folder / name) for name in assembly.gateway_ports(self.scenario)}
        ports |= places
        urls = {CAR: self.job.database_url, BASE: self.job.base_database_url}
        return [
            assembly.gateway_plan(self.scenario, name, ports, urls[name])
            for name in reversed(self.scenario.gateways)
        ]

    def write_config(self, plan: assembly.GatewayPlan) -> Path:
        """Write the TOML file of a gateway and return its path."""
        path = self.folder / f"{plan.name}.toml"
        assembly.write_config(path, plan.config)
        return path

    @staticmethod
    def listener(plan: assembly.GatewayPlan, listener: LiveListener) -> LiveListener:
        """Return who takes what the live stream of a gateway says."""
        return listener if plan.name == CAR else NamedListener(plan.name, listener)

    def count(self, plan: assembly.GatewayPlan, counters: Mapping[str, Mapping[str, int]]) -> None:
        """Take the counters of a gateway's links, by link; the radio link has two gateways."""
        for link, values in counters.items():
            end = {(CAR, UPLINK): "uplink.", (BASE, MESH): "base."}.get((plan.name, link), "")
            known = self.counters.setdefault(MESH if end else link, {})
            known.update({f"{end}{name}": count for name, count in values.items()})

    @property
    def port_lines(self) -> list[tuple[str, SerialLine]]:
        """The lines that the gateway reads, with their names."""
        return [(name, self.world.lines[name]) for name in assembly.gateway_ports(self.scenario)]

    def begin(self) -> None:
        """Record the world's lines, and let its faults come; the lines have their ports by now."""
        self.recording.attach(self.world)
        install_all(self.world, assembly.shifted_faults(self.scenario))
        if self.world.mesh is not None:
            from rig.mesh.vehicles import start_vehicles

            start_vehicles(self.world, self.scenario, self.writer)

    def progress(self) -> Progress:
        """How far the world is."""
        now_s = self._env.now
        return Progress(
            sim_s=now_s,
            end_s=self.end_s,
            phase=self.scenario.phase_at(now_s - self.lead_in_s) or "",
            readings=self.recording.readings,
            speed_kph=self.world.vehicle.at(now_s).speed_mps * 3.6,
        )

    def close(
        self,
        *,
        wall_s: float,
        exit_code: int,
        **gateway: float,
    ) -> Finished:
        """Complete the record with what only the runner can know."""
        sim_s = self._env.now
        self.log.finish()
        self.writer.manifest.faults = self.recording.fault_windows(self._utc_ns(sim_s))
        offered = {} if self.world.can is None else self.world.can.offered
        trace = self.writer.close(
            {
                "sim_s": sim_s,
                **({"can": {"offered": offered[CAN]}} if CAN in offered else {}),
                "wall_s": wall_s,
                "gateway": {"exit": exit_code, **gateway},
                "counters": self.counters,
                "log": {"errors": self.log.error_count, "warnings": self.log.warning_count},
            }
        )
        if CAN in self.scenario.needs:
            from rig.record.can_log import write_can_log  # loads python-can

            write_can_log(self.job.folder / CAN_LOG_FILE, RecordReader(self.job.folder).can)
        return Finished(sim_s=sim_s, wall_s=wall_s, trace_sha256=trace)

    def _manifest(self, mode: str) -> dict[str, Any]:
        job, scenario = self.job, self.scenario
        return {
            "scenario": scenario.id,
            "scenario_path": str(job.scenario),
            "seed": job.seed,
            "mode": mode,
            "epoch_ns": self.epoch_ns,
            "command": job.command,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "matrix": dict(scenario.matrix),
            "phases": [
                (name, self._utc_ns(start_s), self._utc_ns(end_s))
                for name, start_s, end_s in assembly.phase_windows(scenario)
            ],
            "plan": assembly.plan_of(scenario),
            "devices": assembly.devices(scenario),
            "mesh": mesh_info(scenario) if MESH in scenario.needs else None,
            **can_manifest(scenario, mode),
            "truth_columns": TRUTH_COLUMNS,
            "limits": [*scenario.limits, *scenario.after],
            "versions": {**versions(), "config": assembly.config_hash(self.gateways)},
        }

    def _utc_ns(self, time_s: float) -> int:
        return self.epoch_ns + round(time_s * 1e9)
