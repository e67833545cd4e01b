"""Which gateways work on this database now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import structlog

log = structlog.get_logger("telerig.instances")

Change = Callable[[tuple["Member", ...], tuple["Member", ...]], None]


class Member(msgspec.Struct, frozen=True):
    """A living gateway, or a process that compacts for them (`telerig compact`).

    Attributes:
        name: unique among those that live.
        boot: number of its run.
        device: id under which its local links' readings are stored; empty: it is no gateway.
        url: where others reach it.
        bus: the kind of its bus.
        failing: why its bus does not work; empty while it does.
        began_s: when it joined, UTC seconds of the database.
        seen_s: when it last renewed, likewise.
        shards: that it owns.
        is_store_owner: it compacts, and drops what is too old.
        ahead_s: seconds by which the database's clock is ahead of its own.
    """

    name: str
    boot: int
    device: str
    url: str
    bus: str
    failing: str
    began_s: float
    seen_s: float
    shards: int = 0
    is_store_owner: bool = False
    ahead_s: float = 0.0


class Members:
    """Who lives, as the database last said; in order of names.

    Attributes:
        living: the gateways, this one among them.
        compactors: processes that compact for them, or would.
        on_death: called with each that is gone without having said so.
        bus: the kind of this gateway's bus; one of another kind is heard by nobody here.
        on_change: called with who joined and who is gone (died or left).
    """

    def __init__(self) -> None:
        self.living: tuple[Member, ...] = ()
        self.compactors: tuple[Member, ...] = ()
        self.on_death: list[Callable[[Member], None]] = []
        self.bus = ""
        self._left: set[tuple[str, int]] = set()
        self._warned: set[tuple[str, int]] = set()
        self.on_change: list[Change] = []

    def update(self, living: Sequence[Member]) -> None:
        """Take who lives now, and tell what has changed."""
        before = {(one.name, one.boot): one for one in self.living}
        named = sorted(living, key=lambda one: one.name)
        self.living = tuple(self._with_bus(one) for one in named if one.device)
        self.compactors = tuple(one for one in named if not one.device)
        now = {(one.name, one.boot): one for one in self.living}
        joined = tuple(one for key, one in now.items() if key not in before)
        gone = tuple(one for key, one in before.items() if key not in now)
        if not joined and not gone:
            return
        died = [one for one in gone if (one.name, one.boot) not in self._left]
        self._left -= {(one.name, one.boot) for one in gone}
        calls = [partial(take, joined, gone) for take in self.on_change]
        calls += [partial(take, one) for one in died for take in self.on_death]
        for call in calls:
            try:
                call()
            except Exception:
                log.exception("a listener of the members failed")

    def has_left(self, name: str, boot: int) -> None:
        """Take note that a gateway has said farewell: it leaves nothing undone."""
        if any((one.name, one.boot) == (name, boot) for one in self.living):
            self._left.add((name, boot))

    def _with_bus(self, one: Member) -> Member:
        if one.failing or not self.bus or one.bus == self.bus:
            return one
        reason = f"it tells by {one.bus}, we listen to {self.bus}: give all one [instances] bus"
        if (one.name, one.boot) not in self._warned:
            self._warned.add((one.name, one.boot))
            log.warning(
                "gateways with different buses: what they commit is seen through the database",
                name=one.name,
                bus=one.bus,
                ours=self.bus,
            )
        return msgspec.structs.replace(one, failing=reason)
