"""One strike of a fault: the world it meets, its draws, and where its link's bytes run."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import simpy

from rig.errors import RigError
from rig.faults.spec import FaultSpec
from sim.serial_line import BITS_PER_BYTE, Direction, SerialLine
from sim.streams import RandomStreams

End = Callable[[], None]
"""Undoes what a strike began."""


_HOLDERS: WeakKeyDictionary[simpy.Environment, Counter[tuple[str, str]]] = WeakKeyDictionary()
"""How many strikes hold the state (kind, link) just now, by the world's clock."""


class FaultError(RigError):
    """A fault that this world cannot suffer: its link is real, absent, or lacks the ability."""

    usage = True


class FaultWorld(Protocol):
    """What a fault needs of the world. `adapter` and `receiver` may be absent."""

    @property
    def env(self) -> simpy.Environment: ...
    @property
    def streams(self) -> RandomStreams: ...
    @property
    def lines(self) -> Mapping[str, SerialLine]: ...

    def note(self, *, kind: str, name: str, phase: str, detail: dict[str, Any]) -> None:
        """Put an event on the record."""
        ...


@dataclass(frozen=True, slots=True)
class Strike:
    """What a fault's `begin` gets.

    Attributes:
        world: the world that suffers.
        fault: kind, link and parameters.
        rng: the fault's own stream; it runs on from strike to strike.
        end_s: virtual second at which the strike ends.
        targets: what can be struck besides links, by name.
    """

    world: FaultWorld
    fault: FaultSpec
    rng: random.Random
    end_s: float
    targets: Mapping[str, object] = field(default_factory=dict)

    @property
    def env(self) -> simpy.Environment:
        """The world's clock."""
        return self.world.env

    @property
    def line(self) -> SerialLine:
        """The serial line of the fault's link.

        Raises:
            FaultError: the link has no simulated line.
        """
        line = self.world.lines.get(self.fault.link)
        if line is None:
            raise FaultError(
                f"fault {self.fault.name!r}: expected a simulated line on link "
                f"{self.fault.link!r}, found {sorted(self.world.lines) or 'none'}; "
                "a real link cannot be made to fail"
            )
        return line

    @property
    def directions(self) -> list[Direction]:
        """The directions that the parameter `direction` names."""
        line = self.line
        return {
            "to_host": [line.to_host],
            "to_device": [line.to_device],
            "both": [line.to_host, line.to_device],
        }[self.fault.word("direction")]

    def departure_s(self, direction: Direction, size_bytes: int) -> float:
        """Return the virtual second at which `size_bytes` sent now would have left."""
        start_s = max(self.env.now, direction.free_at_s)
        line = self.line
        return start_s + size_bytes * BITS_PER_BYTE / line.baud if line.paced else start_s

    def hold(self, begin: Callable[[], None], end: Callable[[], None]) -> End:
        """Begin a state that strikes of one kind on one link share; return what leaves it.

        A cable is pulled or it is not: of strikes that overlap the first one begins, the last one
        ends.
        """
        holders = _HOLDERS.setdefault(self.env, Counter())
        state = (self.fault.kind, self.fault.link)
        holders[state] += 1
        if holders[state] == 1:
            begin()

        def leave() -> None:
            holders[state] -= 1
            if not holders[state]:
                end()

        return leave

    def ability(self, part: str, method: str) -> Callable[..., Any]:
        """Return `targets[part].<method>`, or `world.<part>.<method>` where that is no target.

        Raises:
            FaultError: this world has no such part, or the part no such ability.
        """
        owner = self.targets.get(part) or getattr(self.world, part, None)
        found = getattr(owner, method, None)
        if not callable(found):
            raise FaultError(
                f"fault {self.fault.name!r}: expected a world with {part}.{method}(), found none; "
                f"the device on link {self.fault.link!r} is real or cannot do it"
            )
        return found  # type: ignore[no-any-return]
