"""Faults of real devices: their power is switched off, and on again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence

import simpy

from rig.bench import Place, PowerSwitch
from rig.bench.power import run_command
from rig.errors import RigError
from rig.faults.spec import FaultSpec
from rig.stand.presence import Presence
from sim.world import World

LASTING = "hang_up"
LOOK_S = 0.02


class PowerFaults:
    """Strikes real devices of a run at the instants that its scenario names.

    The commands take their time and run in a thread; the world goes on meanwhile.

    Args:
        world: whose clock counts, and where faults are noted.
        presence: is told, so that a device that was switched off is not missed.
        fail: ends the run with an error.
    """

    def __init__(self, world: World, presence: Presence, fail: Callable[[Exception], None]) -> None:
        self._world = world
        self._presence = presence
        self._fail = fail

    def install(self, faults: Sequence[tuple[int, FaultSpec]], places: dict[str, Place]) -> None:
        """Schedule the faults, each with its number in the scenario."""
        for index, fault in faults:
            power = places[fault.link].power
            assert power is not None, "a bench without a switch lacks what this fault needs"
            for number, window in enumerate(fault.windows):
                self._world.env.process(self._strike(fault, power, index, number, window))

    def _strike(
        self,
        fault: FaultSpec,
        power: PowerSwitch,
        index: int,
        number: int,
        window: tuple[float, float],
    ) -> Generator[simpy.Event, None, None]:
        env, (start_s, end_s) = self._world.env, window
        detail = {"kind": fault.kind, "link": fault.link, "index": index, "number": number,
                  **fault.parameters}  # fmt: skip
        yield env.timeout(max(0.0, start_s - env.now))
        self._world.note("fault", fault.name, "start", detail)
        self._presence.switched_off(fault.link)
        yield from self._command(power.off, power.place)
        off_s = max(0.0, end_s - env.now) if fault.kind == LASTING else power.off_s
        yield env.timeout(off_s)
        yield from self._command(power.on, power.place)
        self._presence.switched_on(fault.link, power.settle_s)
        self._world.note("fault", fault.name, "end", detail)

    def _command(self, words: Sequence[str], place: str) -> Generator[simpy.Event, None, None]:
        def run() -> None:
            try:
                run_command(words, place)
            except RigError as error:
                self._fail(error)

        thread = threading.Thread(target=run, name="power", daemon=True)
        thread.start()
        while thread.is_alive():
            yield self._world.env.timeout(LOOK_S)
