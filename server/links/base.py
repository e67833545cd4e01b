"""What a link is: a reader of one device that feeds readings to the gateway.

A link of your own: subclass `Link`, register the class under the entry point group
`telerig.links` (entry point name = kind), and name the kind in `[links.<name>]`:

    [project.entry-points."telerig.links"]
    barometer = "my_package.barometer:BarometerLink"

The gateway makes one object per connection attempt and awaits `run()`. When `run()` ends or
raises, the link is down, and a new object is made after a back-off. Whatever an abandoned
object (a library thread that still blocks) delivers afterwards is refused and counted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from server.catalogue import Signal
from server.clock import Clock
from server.config_section import Where
from server.errors import LinkLost
from server.readings import Reading, ReadingSink

__all__ = ["Link", "LinkLost", "LinkReport", "LinkServices", "UplinkRefused"]

T = TypeVar("T")


class LinkReport(Protocol):
    """What a link tells its supervisor; every method may be called from any thread."""

    def up(self, reason: str = "") -> None:
        """Say that the device answers: CONNECTING or DEGRADED becomes UP."""

    def degraded(self, reason: str) -> None:
        """Say that the device is there but something is missing (no fix, no answer from a PID)."""

    def vehicle(self, vin: str) -> None:
        """Say which vehicle this is; stored with the session."""


class UplinkRefused(Exception):  # noqa: N818 (named for what happened)
    """The message of a remote device was not taken; the text says why.

    Attributes:
        again: whether the same message may be taken later: the store is away, or busy.
    """

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


class LinkServices(Protocol):
    """What the gateway offers to links that bring more than readings of its own."""

    async def uplink(self, message: bytes, *, device: str = "", key: str = "") -> bytes:
        """Take a message `Uplink` (server/wire/telemetry.proto); give the `Downlink` for it.

        Call it in the event loop. What the answer acknowledges is committed.

        Args:
            message: as it came.
            device: whose message it is, where the configuration says so.
            key: of the device, where the configuration has it. Without either, the message names
                a device that is registered.

        Raises:
            UplinkRefused: nothing is acknowledged.
        """

    async def store(self, readings: Sequence[Reading], *, device: str) -> int:
        """Commit readings of a remote device that does not number them; give how many were new.

        Call it in the event loop. The same readings again change nothing; what cannot be (an
        instant ahead, a value out of its range) is left out and counted.

        Raises:
            UplinkRefused: nothing is stored.
        """

    async def boots(self, device: str) -> Sequence[int]:
        """Give the latest boots of a device whose packets can be decoded, the newest first.

        Raises:
            UplinkRefused: the store is away.
        """

    def subscribe(self, take: ReadingSink) -> Callable[[], None]:
        """Hand every reading that the gateway accepts from now on to `take`, in the event loop.

        Returns:
            What ends it.
        """

    def kept(self, name: str, make: Callable[[], T]) -> T:
        """Give what an earlier attempt of a link has kept under this name, else what `make` makes.

        It lives as long as the gateway runs.
        """

    @property
    def vehicle(self) -> str:
        """The vehicle's number, as far as the gateway knows it; else empty."""


class Link(ABC):
    """One device, for one connection attempt.

    The constructor does no I/O. `run()` connects and reads until it is cancelled, or raises
    `LinkLost(reason)`. A blocking library runs in a daemon `threading.Thread` of its own that
    calls `sink(readings)` directly; it may be abandoned, for example by closing its port.
    Waits go through `asyncio`, `time.sleep`, `threading` or `select.select`, and clocks through
    `clock`, so that the same code runs in virtual time.

    Attributes:
        kind: value of `kind` in the configuration.
        name: name of the link, `[links.<name>]`.
        options: what `parse` returned.
        sink: takes readings; from any thread; never blocks.
        clock: wall and monotonic time.
        report: the supervisor.
        counters: counts of anything worth seeing (`crc_errors`, `timeouts`); only grow.
        services: set by the gateway between construction and `run()`; None where a link runs
            without one.
        stale_s: for each signal id that is due, the seconds without a reading after which it is
            stale. May be changed while running (signals that the vehicle lacks are taken out).
        absent: signals of which the device itself says that it has no value now. They become stale
            like others, but that is no fault of the link.
    """

    kind: ClassVar[str]
    services: LinkServices | None = None

    def __init__(
        self, name: str, options: Any, *, sink: ReadingSink, clock: Clock, report: LinkReport
    ) -> None:
        self.name = name
        self.options = options
        self.sink = sink
        self.clock = clock
        self.report = report
        self.counters: dict[str, int] = {}
        self.stale_s: dict[int, float] = {}
        self.absent: Collection[int] = ()

    @classmethod
    @abstractmethod
    def parse(cls, name: str, table: Mapping[str, Any], where: Where) -> Any:
        """Check the table `[links.<name>]` (without `kind`) and give the options.

        Raises:
            ConfigError: made by `where`, or by `Section(table, where)` which does most checks.
        """

    @classmethod
    def signals(cls, options: Any) -> Sequence[Signal]:
        """Give the signals of its own that a link adds to the catalogue; most add none."""
        return ()

    @abstractmethod
    async def run(self) -> None:
        """Connect and read until cancelled.

        Raises:
            LinkLost: the device is not there, went away or is mute; with the reason.
        """

    def count(self, counter: str, by: int = 1) -> None:
        """Add to a counter. Call it from one thread per counter."""
        self.counters[counter] = self.counters.get(counter, 0) + by
