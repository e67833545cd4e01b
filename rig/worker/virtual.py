"""Worker of a virtual run: world and gateway in this process, on one virtual clock.

Started as `python -m rig.worker.virtual`, with a `Job` on standard input; answers with messages
on standard output. One fresh process per run, because the clock must be replaced before the
gateway is imported and threads that are parked in virtual time cannot be unwound.
"""

from __future__ import annotations

import rig.vtime

rig.vtime.install()  # before anything that could bind a clock, a lock or a thread

import asyncio  # noqa: E402
import functools  # noqa: E402
import importlib  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Generator  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

import simpy  # noqa: E402

from rig import assembly  # noqa: E402
from rig.can.setup import socketcand_links  # noqa: E402
from rig.http_exchange import exchange  # noqa: E402
from rig.scenario import load_scenario  # noqa: E402
from rig.scenario.model import Scenario  # noqa: E402
from rig.vtime import tcp  # noqa: E402
from rig.vtime.kernel import Kernel, _real_monotonic  # noqa: E402
from rig.vtime.loop import VirtualLoop  # noqa: E402
from rig.vtime.patches import active  # noqa: E402
from rig.vtime.ports import VirtualPort  # noqa: E402
from rig.worker import boards  # noqa: E402
from rig.worker.channel import say, work  # noqa: E402
from rig.worker.database_control import DATABASE, DatabaseControl  # noqa: E402
from rig.worker.internet import LoopInternet  # noqa: E402
from rig.worker.job import Finished, Job  # noqa: E402
from rig.worker.provisioning import provision_all  # noqa: E402
from rig.worker.run import Run  # noqa: E402
from rig.worker.struck import LoopDoor, StruckLoop  # noqa: E402
from rig.worker.watchdog import keep_watch  # noqa: E402
from sim.esp32 import HttpAnswer, HttpRequest  # noqa: E402
from sim.mesh_setup import BASE_LINE  # noqa: E402
from sim.streams import RandomStreams  # noqa: E402
from sim.world import ESP32  # noqa: E402

if TYPE_CHECKING:
    from rig.worker.loop_gateway import LoopGateway

PROGRESS_PERIOD_S = 1.0  # simulated
PROGRESS_WALL_S = 0.2
RADIO_PORT = 4403
SOCKETCAND_PORT = 29536
OVERTIME_S = 120.0  # simulated time beyond the drive before a run that does not end is stopped


class VirtualRun(Run):
    """One run: build, drive, stop, read back."""

    def __init__(self, job: Job, scenario: Scenario) -> None:
        epoch_ns = scenario.world.epoch_ns
        until_s = assembly.total_duration_s(scenario) + OVERTIME_S
        self.kernel = Kernel(epoch_ns, until_s=until_s)
        ports = dict.fromkeys(assembly.tcp_radios(scenario), RADIO_PORT)
        ports |= dict.fromkeys(socketcand_links(scenario), SOCKETCAND_PORT)
        super().__init__(
            job,
            scenario,
            mode="virtual",
            env=self.kernel.env,
            epoch_ns=epoch_ns,
            places={line: f"tcp://{line}.test:{port}" for line, port in ports.items()},
        )
        for line, port in ports.items():
            tcp.register(f"{line}.test", port, functools.partial(self.world.connect, line))
        self.exit_code = 0
        self.ports: dict[str, VirtualPort] = {}
        self.struck = StruckLoop()
        self.targets["gateway"] = self.struck

    def run(self) -> Finished:
        start_wall_s = _real_monotonic()
        entropy = RandomStreams(self.job.seed).stream("entropy")
        database = None
        if self.strikes_databases:  # in real time: it starts a process
            database = DatabaseControl(
                LoopDoor(self.struck), self.database_urls, self.scenario.faults
            )
            self.targets[DATABASE] = database
        self.prepare_fleet()
        with active(self.kernel, entropy):
            self.ports = {
                name: VirtualPort(self.kernel, line, self.folder / name)
                for name, line in self.port_lines
            }
            self.begin()
            self.kernel.env.process(self._report_progress())
            loop = VirtualLoop(self.kernel)
            if database is not None:
                loop.exchange.is_blocked = database.is_blocked
            asyncio.set_event_loop(loop)
            loop.run_until_complete(self._drive())
        wall_s = _real_monotonic() - start_wall_s
        for port in self.ports.values():
            port.close()
        if database is not None:
            database.close()
        self.remove_folder()
        return self.close(wall_s=wall_s, exit_code=self.exit_code)

    async def _drive(self) -> None:
        """The gateways' life, from start to the last row read back; all of it in virtual time."""
        from rig.worker.loop_gateway import LoopGateway
        from server.config import load_config
        from server.logs import configure_logs

        configs = []
        for plan in self.gateways:
            config_file = self.write_config(plan)
            configs.append(load_config(config_file, {}))
            config_file.unlink()
        configure_logs(self.log, format="json")
        if self.job.preload:
            module, _, function = self.job.preload.partition(":")
            getattr(importlib.import_module(module), function)()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        gateways = [
            LoopGateway(
                plan,
                config,
                self.log,
                None if self.fleet is not None else self.listener(plan, self.recording),
                kernel=self.kernel,
                loop=loop,
                let_go=self._let_go,
            )
            for plan, config in zip(self.gateways, configs, strict=True)
        ]
        self.struck.attach(loop, gateways[-1])
        for gateway in gateways:
            await gateway.start()
        internet = await self._switch_boards_on(gateways[-1])
        if self.fleet is not None:
            self.fleet.start(lambda: gateways[-1].port, loop.time())
        await asyncio.sleep(self.end_s - loop.time())
        for gateway in gateways:
            self.count(gateway.plan, await gateway.counters())
        if internet is not None:
            await internet.close()
        if self.fleet is not None:
            self.fleet.close()
        for gateway in reversed(gateways):  # the base hears the car's last words
            self.exit_code = await gateway.stop() or self.exit_code
        if self.fleet is not None:
            checked = await self.fleet.check(self.job.database_url, self.job.folder)
            self.keep_fleet(self.fleet, checked)
        for gateway in reversed(gateways):
            self.keep_stored(await gateway.readings())

    def _let_go(self) -> list[str]:
        """Let go of the ports of the car's gateway, which is killed; return its files' paths."""
        ports = [self.ports[name] for name in self.ports if name != BASE_LINE]
        for port in ports:
            port.let_go()
        return [*(port.device_path for port in ports), str(self.journal_of(self.gateways[-1]))]

    async def _switch_boards_on(self, gateway: LoopGateway) -> LoopInternet | None:
        if self.world.fleet is None:
            if ESP32 in self.scenario.world.played:  # a recorded board is a device, too
                await boards.register(self.scenario, gateway.port or 0)
            return None
        spec = self.scenario.world.esp32
        keys = await boards.register(self.scenario, gateway.port or 0) if spec.provisioned else {}
        internet = LoopInternet(asyncio.get_running_loop(), lambda: gateway.port)
        boards.switch_on(self.world, self.scenario, internet, keys)
        if not spec.provisioned:
            self._provision_boards(lambda: gateway.port)
        return internet

    def _provision_boards(self, port: Callable[[], int | None]) -> None:
        """From the drive's start on, by the client that people use; it blocks, so in a thread."""
        loop, place = asyncio.get_running_loop(), boards.gateway_at(port)

        def ask(request: HttpRequest) -> HttpAnswer:
            return asyncio.run_coroutine_threadsafe(exchange(request, place), loop).result()

        def provision() -> None:
            time.sleep(self.lead_in_s - self.kernel.env.now)
            provision_all(self.world, self.scenario, lambda action: action(), ask)

        threading.Thread(target=provision, name="provisioning", daemon=True).start()

    def _report_progress(self) -> Generator[simpy.Event, None, None]:
        """Speak about twice a second of wall time, and keep the watchdog quiet while time moves."""
        spoken_s = 0.0
        while True:
            wall_s = _real_monotonic()
            if wall_s - spoken_s > PROGRESS_WALL_S:
                spoken_s = wall_s
                keep_watch(self.job.wall_limit_s)
                say(self.progress())
                self.writer.flush_if_watched()
            yield self.kernel.env.timeout(PROGRESS_PERIOD_S)


def run(job: Job) -> Finished:
    return VirtualRun(job, load_scenario(job.scenario, job.variant)).run()


if __name__ == "__main__":
    code = work(run)
    sys.stderr.flush()
    os._exit(code)  # parked library threads cannot be joined
