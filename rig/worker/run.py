"""What both clocks share about a run: its world, its record, and what is said about both."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simpy

from rig import assembly
from rig.can.setup import can_decoder, can_manifest
from rig.faults.install import install_all
from rig.faults.spec import FaultSpec
from rig.mesh.setup import mesh_info
from rig.record.reader import RecordReader
from rig.record.streams import CAN_LOG_FILE
from rig.record.writer import RecordWriter
from rig.scenario.fleet import FLEET
from rig.scenario.gateway import UPLINK
from rig.scenario.model import BASE, CAN, CAR, MESH, Scenario
from rig.versions import versions
from rig.wires.manifest import played_manifest, truth_of, wires_manifest, wires_of
from rig.wires.world import play_wires
from rig.worker.database_control import DATABASE
from rig.worker.fleet import FleetSide
from rig.worker.gateway_log import LogCapture
from rig.worker.job import Finished, Job, Progress
from rig.worker.observer import LiveListener, NamedListener
from rig.worker.recording import TRUTH_COLUMNS, Recording
from sim.serial_line import SerialLine
from sim.world import World, WorldSetup

if TYPE_CHECKING:
    from rig.fleet.check import Checked
    from rig.worker.stored import StoredReadings


JOURNAL = "journal"


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
        self.store = {"cycles": 0, "segments": 0}
        self.writer = RecordWriter(job.folder, self._manifest(mode))
        self.recording = Recording(
            self.writer, epoch_ns, can_decoder(scenario), has_truth=truth_of(scenario)
        )
        self.log = LogCapture(self.writer)
        self.world = World(
            env,
            self._world_setup(),
            seed=job.seed,
            epoch_ns=epoch_ns,
            on_sample=self.recording.on_sample,
            on_epoch=self.recording.on_epoch,
            on_board_sample=self.recording.on_board_sample,
            on_board_epoch=self.recording.on_board_epoch,
        )
        self.played = play_wires(self.world, scenario)
        self._env = env
        self.targets: dict[str, object] = {}  # what faults can strike besides links
        self.fleet: FleetSide | None = None
        if FLEET in scenario.needs:
            self.fleet = FleetSide(scenario, job.seed, epoch_ns, self.lead_in_s)
            self.targets[FLEET] = self.fleet

    def _plans(self, places: Mapping[str, str]) -> list[assembly.GatewayPlan]:
        """Return the gateways in the order in which they start: who listens comes first."""
        ports = {name: self._port_of(name) for name in self._port_names()}
        ports |= places
        urls = {CAR: self.job.database_url, BASE: self.job.base_database_url}
        return [
            self._adapted(assembly.gateway_plan(self.scenario, name, ports, urls[name]))
            for name in reversed(self.scenario.gateways)
        ]

    # -- what a bench changes: `rig.worker.bench_run` -------------------------------------------
    def _world_setup(self) -> WorldSetup:
        """Return the world that is built."""
        return assembly.world_setup(self.scenario)

    def _port_names(self) -> list[str]:
        """Return the lines at which a gateway opens a port by its path or URL."""
        return assembly.gateway_ports(self.scenario)

    def _port_of(self, name: str) -> str:
        """Return what the gateway opens for a line."""
        return str(self.folder / name)

    def _adapted(self, plan: assembly.GatewayPlan) -> assembly.GatewayPlan:
        """Return the plan as it is carried out."""
        return plan

    def _bench_manifest(self) -> dict[str, Any]:
        """Return what the manifest says of real hardware."""
        return {}

    def _bench_result(self) -> dict[str, Any]:
        """Return what became of real hardware, for the record."""
        return {}

    def _faults(self) -> list[FaultSpec]:
        """Return the faults that strike the world."""
        return assembly.shifted_faults(self.scenario)

    def write_config(self, plan: assembly.GatewayPlan) -> Path:
        """Write the TOML file of a gateway and return its path."""
        path = self.folder / f"{plan.name}.toml"
        # Not in the plan, whose hash is the same in every run: a folder of this one.
        own = {
            "journal": {"folder": str(self.folder / JOURNAL)},
            "database": {**plan.config["database"], "url": self.database_url(plan)},
        }
        assembly.write_config(path, {**plan.config, **own})
        return path

    def database_url(self, plan: assembly.GatewayPlan) -> str:
        """Return where a gateway looks for its database."""
        return plan.database_url

    def journal_of(self, plan: assembly.GatewayPlan) -> Path:
        """Return where a gateway's journal is; it outlives the gateway."""
        return self.folder / JOURNAL / str(plan.config["gateway"]["device"])

    @property
    def strikes_databases(self) -> bool:
        """Whether a fault strikes the databases."""
        return any(fault.link == DATABASE for fault in self.scenario.faults)

    @property
    def database_urls(self) -> list[str]:
        """The databases of the run."""
        return [plan.database_url for plan in self.gateways]

    def remove_folder(self) -> None:
        """Remove what only the run needed: ports, and the gateways' journals."""
        shutil.rmtree(self.folder, ignore_errors=True)

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

    def keep_fleet(self, fleet: FleetSide, checked: Checked) -> None:
        """Record what a fleet was answered, as a number, and the first of what is wrong."""
        now_ns = self._utc_ns(self._env.now)
        answered = {"name": "acknowledged", "sha256": fleet.record.sha256}
        self.writer.event(now_ns, "fleet", answered)
        for example in checked.examples:
            self.writer.event(now_ns, "fleet", {"name": "wrong", "reason": example})

    def prepare_fleet(self) -> None:
        """Make the light vehicles, if there are some; in real time, before the gateway starts."""
        if self.fleet is not None:
            asyncio.run(self.fleet.prepare(self.job.database_url))

    def keep_stored(self, found: StoredReadings) -> None:
        """Record what a gateway has stored."""
        self.writer.stored(found.rows)
        self.store["cycles"] += found.cycles
        self.store["segments"] += found.segments

    @property
    def port_lines(self) -> list[tuple[str, SerialLine]]:
        """The lines that the gateway reads, with their names."""
        return [(name, self.world.lines[name]) for name in assembly.gateway_ports(self.scenario)]

    def begin(self) -> None:
        """Record the world's lines, and let its faults come; the lines have their ports by now."""
        self.writer.manifest.wires |= wires_of(self.world)
        self.recording.attach(self.world)
        install_all(self.world, self._faults(), self.targets)
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
        if self.played is not None:
            self.writer.manifest.played = played_manifest(self.scenario, self.played)
        self.writer.manifest.faults = self.recording.fault_windows(self._utc_ns(sim_s))
        offered = {} if self.world.can is None else self.world.can.offered
        trace = self.writer.close(
            {
                "sim_s": sim_s,
                **({"can": {"offered": offered[CAN]}} if CAN in offered else {}),
                "wall_s": wall_s,
                "gateway": {"exit": exit_code, **gateway},
                "boots": self.writer.boots,
                "counters": self.counters,
                "store": self.store,
                "log": {"errors": self.log.error_count, "warnings": self.log.warning_count},
                **({"measures": self.fleet.figures} if self.fleet is not None else {}),
                **self._bench_result(),
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
            **wires_manifest(scenario, self.epoch_ns, self._bench_manifest()),
            "truth_columns": TRUTH_COLUMNS if truth_of(scenario) else [],
            "limits": [*scenario.limits, *scenario.after],
            "versions": {**versions(), "config": assembly.config_hash(self.gateways)},
        }

    def _utc_ns(self, time_s: float) -> int:
        return self.epoch_ns + round(time_s * 1e9)
