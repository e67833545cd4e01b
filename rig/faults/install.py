"""Puts the faults of a scenario into a world: each begins, ends and is noted at its instants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import simpy

from rig.faults.catalogue import FAULT_KINDS, TARGETS
from rig.faults.spec import FaultSpec
from rig.faults.strike import FaultError, FaultWorld, Strike

NO_TARGETS: Mapping[str, object] = {}


def install_all(
    world: FaultWorld, faults: Iterable[FaultSpec], targets: Mapping[str, object] = NO_TARGETS
) -> None:
    """Install every fault of a scenario, numbered in order."""
    for index, fault in enumerate(faults):
        install(world, fault, index, targets)


def install(
    world: FaultWorld,
    fault: FaultSpec,
    index: int,
    targets: Mapping[str, object] = NO_TARGETS,
) -> None:
    """Schedule every strike of `fault`.

    The draws come from the stream `fault/<index>`, so that one fault's draws change no other's.

    Args:
        world: what suffers.
        fault: kind, link, instants and parameters.
        index: its number in the scenario.
        targets: what can be struck besides links (`TARGETS`), by name, as far as this run has it.

    Raises:
        FaultError: the kind is unknown, the link has no simulated line, or there is no such target.
    """
    if fault.kind not in FAULT_KINDS:
        raise FaultError(
            f"fault {fault.name!r}: expected a kind of {', '.join(FAULT_KINDS)}, "
            f"found {fault.kind!r}"
        )
    if fault.link in TARGETS:
        if fault.link not in targets:
            raise FaultError(
                f"fault {fault.name!r}: expected a run that can strike its {fault.link}, found "
                f"{', '.join(sorted(targets)) or 'none'}"
            )
    elif fault.link not in (*world.lines, *targets):
        raise FaultError(
            f"fault {fault.name!r}: expected a simulated link of "
            f"{', '.join(sorted(world.lines)) or '(none)'}, found {fault.link!r}; "
            "a real link cannot be made to fail"
        )
    rng = world.streams.stream(f"fault/{index}")
    for number, (start_s, end_s) in enumerate(fault.windows):
        _Strikes(Strike(world, fault, rng, end_s, targets), index, number).schedule(start_s)


class _Strikes:
    """One strike on its way: waits for its start, begins, waits for its end, ends."""

    def __init__(self, strike: Strike, index: int, number: int) -> None:
        self._strike = strike
        self._detail = {
            "kind": strike.fault.kind,
            # A fault of no single link is one of all: measures leave its time out for each.
            "link": "" if strike.fault.link in TARGETS else strike.fault.link,
            "index": index,
            "number": number,
            **strike.fault.parameters,
        }

    def schedule(self, start_s: float) -> None:
        """Begin at `start_s`."""
        event = self._strike.env.timeout(max(0.0, start_s - self._strike.env.now))
        event.callbacks.append(self._begin)

    def _begin(self, _event: simpy.Event) -> None:
        strike = self._strike
        self._note("start")
        self._undo = FAULT_KINDS[strike.fault.kind].begin(strike)
        event = strike.env.timeout(max(0.0, strike.end_s - strike.env.now))
        event.callbacks.append(self._end)

    def _end(self, _event: simpy.Event) -> None:
        if self._undo is not None:
            self._undo()
        self._note("end")

    def _note(self, phase: str) -> None:
        strike = self._strike
        strike.world.note(
            kind="fault", name=strike.fault.name, phase=phase, detail=dict(self._detail)
        )
