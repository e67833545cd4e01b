"""A paced run on a bench: some links real, some driven, the gateway perhaps on another box."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import simpy

from rig import assembly
from rig.bench import REAL, Bench, Place, read_bench
from rig.bench.check import check_bench, manifest_entry
from rig.bench.power import cycle
from rig.can.setup import can_decoder
from rig.errors import RigError
from rig.faults.spec import FaultSpec
from rig.record.streams import CanRow
from rig.scenario.model import CAN, CAR, Scenario
from rig.stand.can_observer import SHARED, CanObserver
from rig.stand.driven_port import DrivenPort
from rig.stand.power_faults import PowerFaults
from rig.stand.presence import BACK, GONE, Presence
from rig.stand.remote_gateway import RemoteGateway, RemoteGatewayError, Renumbered, Watch
from rig.stand.wiring import NOWHERE, BenchError, Wiring
from rig.walltime.can_bridge import CanBridge
from rig.walltime.pty import PtyPort
from rig.wires.tap import Tap
from rig.worker import boards
from rig.worker.job import Finished, Job
from rig.worker.paced import PacedRun, Port
from sim.can.frame import CanFrame
from sim.world import ESP32, WorldSetup

GATEWAY = "gateway"
LOOK_S = 0.25  # how often a device that nobody taps is looked for
LAST_COMMIT_S = 2.0  # a gateway elsewhere goes on: what it has taken is stored by then
EARLIER_NS = 5_000_000_000


class BrokenBenchError(RigError):
    """What stands on the desk is not what the bench file says."""


class BenchRun(PacedRun):
    """One run with the bench file of its job.

    Raises:
        BenchError: the scenario cannot run on this bench, or not at this pace.
        BrokenBenchError: something on the desk is not as the file says.
    """

    def __init__(self, job: Job, scenario: Scenario) -> None:
        assert job.bench is not None
        self.bench: Bench = read_bench(job.bench)
        self.wiring = Wiring(self.bench, scenario)
        if job.pace != 1.0 and not self.bench.is_simulated:
            raise BenchError(
                f"{job.bench}: expected the pace of real time, found {job.pace:g}; real devices "
                "have one pace only: leave out --pace"
            )
        self.remote = None if self.bench.gateway.is_here else RemoteGateway(self.bench.gateway)
        if self.remote is not None:
            self.remote.start()
        try:
            self.entry = self._checked()
        except RigError:
            if self.remote is not None:
                self.remote.stop()
            raise
        self.presence = Presence(
            {
                name: place.where
                for name, place in self.wiring.real.items()
                if _is_watched(name, place)
            },
            self._note,
        )
        self.renumbered: Renumbered | None = None
        self._watch: Watch | None = None
        self._bridges: dict[str, CanBridge] = {}
        super().__init__(job, scenario)

    # -- before the run ----------------------------------------------------------------------------
    def _checked(self) -> dict[str, Any]:
        """Look at the desk; return what the manifest keeps of it."""
        for place in self.wiring.real.values():
            if place.power is not None:
                cycle(place.power)
        checked = check_bench(self.bench, only=tuple(self.wiring.places))
        broken = checked.broken()
        if broken:
            raise BrokenBenchError(broken)
        self.wiring.nodes = {
            line: int(said["node"].removeprefix("!"), 16)
            for line, said in checked.identities.items()
            if "node" in said
        }
        return manifest_entry(self.bench, checked)

    def _world_setup(self) -> WorldSetup:
        return self.wiring.world_setup()

    def _tcp_lines(self, scenario: Scenario) -> list[str]:
        return [line for line in assembly.tcp_links(scenario) if line not in self.wiring.places]

    def _port_names(self) -> list[str]:
        return [*assembly.gateway_ports(self.scenario), *self._tcp_places]

    @property
    def _tcp_places(self) -> list[str]:
        """The lines at the bench that a scenario alone would reach over TCP."""
        return [name for name in assembly.tcp_links(self.scenario) if name in self.wiring.places]

    def _port_of(self, name: str) -> str:
        place = self.wiring.places.get(name)
        if place is None or _is_tapped(place):
            return super()._port_of(name)
        if place.can is not None:
            return NOWHERE
        if place.address is not None and name.startswith("mesh"):
            return "tcp://{}:{}".format(*place.address)
        return place.serial_name or NOWHERE

    def _plans(self, places: Mapping[str, str]) -> list[assembly.GatewayPlan]:
        return [] if self.remote is not None else super()._plans(places)

    def _adapted(self, plan: assembly.GatewayPlan) -> assembly.GatewayPlan:
        return self.wiring.adapted(plan, {name: self._port_of(name) for name in self._port_names()})

    def _bench_manifest(self) -> dict[str, Any]:
        real = [name for name in self.scenario.needs if name in self.wiring.real]
        entry = self.entry
        places = entry.setdefault("links", {})
        for name, place in self.wiring.places.items():
            told = places.get(name)
            places[name] = {
                **(told if isinstance(told, dict) else {}),
                "kind": place.kind,
                "where": place.where,
                "is_tapped": _is_tapped(place) or _is_observed(name, place),
                "is_watched": name in self.presence.places,
                "clock_offset_ns": round(getattr(place, "clock_offset_s", 0.0) * 1e9),
            }
        entry["has_database"] = bool(self.bench.gateway.database)
        mesh = self.wiring.mesh_info()
        radios = {} if mesh is None else {"mesh": mesh}
        return {"real_links": real, "bench": entry, **radios}

    def _bench_result(self) -> dict[str, Any]:
        return {"gone": self.presence.result()}

    # -- ports -------------------------------------------------------------------------------------
    def _open_ports(self) -> list[Port]:
        ports: list[Port] = []
        try:
            for name, line in self.world.lines.items():
                if name in assembly.gateway_ports(self.scenario) and name not in self.wiring.places:
                    ports.append(PtyPort(self.clock, line, self.folder / name))
            for name, place in self.wiring.places.items():
                port = self._open_place(name, place)
                if port is not None:
                    ports.append(port)
        except BaseException:
            for port in ports:
                port.close()
            raise
        return ports

    def _open_place(self, name: str, place: Place) -> Port | None:
        if place.kind == REAL:
            if place.can is not None:
                return self._observe(name, place) if _is_observed(name, place) else None
            return self._tap(name, place) if _is_tapped(place) else None
        if place.can is not None:
            return self._bridge(name, place)
        line = self.world.lines[name]
        assert place.serial_name is not None
        on_event = functools.partial(self.presence.event, name)
        return DrivenPort(self.clock, line, place.serial_name, place.baud or line.baud, on_event)

    def _tap(self, name: str, place: Place) -> Tap:
        wire, call = self.writer_call, self._call
        tap = Tap(
            name,
            place.serial_name or "",
            baud=place.baud or self._scenario_baud(name) or place.baud_of(name),
            path=self.folder / name,
            on_bytes=lambda *chunk: call(functools.partial(wire, name, *chunk)),
            on_event=lambda *event: call(functools.partial(self._tap_event, name, *event)),
        )
        tap.start()
        return tap

    def _scenario_baud(self, name: str) -> int | None:
        section = getattr(self.scenario.world, name, None)
        baud = getattr(section, "baud", None)
        return baud if isinstance(baud, int) else None

    def writer_call(self, link: str, time_ns: int, to_host: bool, data: bytes) -> None:
        """Keep bytes that passed a tap; in the world's thread."""
        self.writer.wire(link, time_ns, to_host, data)

    def _tap_event(self, link: str, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        if kind in (GONE, BACK):
            self.presence.event(link, time_ns, kind, detail)
        else:
            self._note(time_ns, "bench", {"name": kind, "phase": link, **detail})

    def _observe(self, name: str, place: Place) -> CanObserver:
        assert place.can is not None
        decode = can_decoder(self.scenario)
        writer, call = self.writer, self._call

        def keep(row: CanRow, frame: CanFrame) -> None:
            writer.can(row)
            for signal, value in (decode(frame) if decode else {}).items():
                writer.sample(row.time_ns, CAN, signal, None, value)

        return CanObserver(
            place.can,
            lambda row, frame: call(lambda: keep(row, frame)),
            lambda row: call(lambda: writer.can(row)),
            lambda *event: call(functools.partial(self.presence.event, name, *event)),
        )

    def _bridge(self, name: str, place: Place) -> CanBridge:
        assert place.can is not None

        def event(kind: str, detail: Mapping[str, Any]) -> None:
            self._note(time.time_ns(), "bench", {"name": kind, "phase": name, **detail})

        bridge = CanBridge(self.clock, self.world.bus, place.can, event)
        bridge.open()
        self._bridges[name] = bridge
        return bridge

    def _call(self, action: Any) -> None:
        self.forwarder.call(action)

    def _note(self, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        self.writer.event(time_ns, kind, dict(detail))

    # -- faults ------------------------------------------------------------------------------------
    def _faults(self) -> list[FaultSpec]:
        """Return those of the world; real devices are struck by their switches."""
        faults = list(enumerate(super()._faults()))
        real = self.wiring.real
        PowerFaults(self.world, self.presence, self.forwarder.fail).install(
            [(index, fault) for index, fault in faults if fault.link in real], real
        )
        return [fault for _, fault in faults if fault.link not in real]

    # -- while it runs -----------------------------------------------------------------------------
    def run(self) -> Finished:
        try:
            return super().run()
        finally:
            if self.remote is not None:
                self.remote.stop()

    def _companions(self) -> list[Generator[simpy.Event, None, None]]:
        if self.remote is None:
            return [*super()._companions(), self._look_for_devices()]
        self._watch_remote(self.remote)
        return [self._housekeeping(), self._report_progress(), self._look_for_devices()]

    def _follow_gateway(self, number: int) -> Generator[simpy.Event, None, None]:
        yield from super()._follow_gateway(number)
        if self.gateways[number].name == CAR and ESP32 in self.wiring.real:
            self._register_board(self.processes[number].port or 0)

    def _register_board(self, port: int) -> None:
        """Let the gateway know a real board; the world goes on meanwhile."""

        def register() -> None:
            try:
                asyncio.run(boards.register(self.scenario, port))
            except RigError as error:
                self.forwarder.fail(error)

        threading.Thread(target=register, name="registration", daemon=True).start()

    def _watch_remote(self, remote: RemoteGateway) -> None:
        devices = assembly.devices(self.scenario)
        self.renumbered = Renumbered(self.forwarder, devices)

        def event(time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
            note = {"name": kind, "phase": GATEWAY, "place": remote.place.at, **detail}
            self._call(functools.partial(self._note, time_ns, "bench", note))

        self._watch = Watch(remote, self.renumbered, event)
        self._watch.begin()

    def _look_for_devices(self) -> Generator[simpy.Event, None, None]:
        """Notice what nobody taps: a path that is no longer there."""
        paths = {
            name: Path(place.device)
            for name, place in self.wiring.real.items()
            if place.device is not None and not place.tap
        }
        there = dict.fromkeys(paths, True)
        while paths:
            for name, path in paths.items():
                is_there = os.path.exists(path)
                if is_there != there[name]:
                    there[name] = is_there
                    kind = BACK if is_there else GONE
                    reason = {} if is_there else {"reason": "its path is gone"}
                    self.presence.event(name, time.time_ns(), kind, reason)
            yield self.clock.env.timeout(LOOK_S)

    # -- after it ----------------------------------------------------------------------------------
    def _finish(self, start_s: float, exit_code: int) -> Finished:
        if self.world.can is not None:
            for name, bridge in self._bridges.items():
                self.world.can.offered.setdefault(name, bridge.counters["to_interface"])
        if self.remote is None:
            return super()._finish(start_s, exit_code)
        self._keep_remote(self.remote)
        return self.close(
            wall_s=time.monotonic() - start_s,
            exit_code=exit_code,
            late_events=float(self.clock.late_events),
            worst_lateness_s=self.clock.worst_lateness_s,
        )

    def _keep_remote(self, remote: RemoteGateway) -> None:
        """Record what a gateway elsewhere has stored of this run."""
        from rig.worker.stored import fetch_stored

        time.sleep(LAST_COMMIT_S)
        assert self._watch is not None
        self._watch.end()
        self.forwarder.drain()
        try:
            for name, link in remote.links().items():
                self.counters.setdefault(name, {}).update(link.get("counters", {}))
        except RemoteGatewayError as error:
            self._note(time.time_ns(), "bench", {"name": GONE, "phase": GATEWAY,
                                                 "reason": str(error)})  # fmt: skip
            return
        numbered = self.renumbered
        assert numbered is not None
        begin_ns = (numbered.first_ns or self.epoch_ns) - EARLIER_NS
        if remote.place.database:
            found = asyncio.run(fetch_stored(remote.place.database))
            rows = [row for row in found.rows if row.time_ns >= begin_ns]
            self.keep_stored(found._replace(rows=numbered.counted(rows)))
            return
        devices = assembly.devices(self.scenario)
        self.writer.stored(numbered.of_this_run(remote.stored(begin_ns, time.time_ns(), devices)))


def _is_tapped(place: Place) -> bool:
    """Return whether the rig stands between a real serial port and the gateway."""
    return place.kind == REAL and place.tap and place.serial_name is not None


def _is_observed(name: str, place: Place) -> bool:
    """Return whether the rig listens at a real CAN bus, beside the gateway."""
    return (
        place.kind == REAL
        and name == CAN
        and place.can is not None
        and place.can.interface in SHARED
    )


def _is_watched(name: str, place: Place) -> bool:
    """Return whether the rig notices that a real device goes away."""
    return _is_tapped(place) or _is_observed(name, place) or place.device is not None
