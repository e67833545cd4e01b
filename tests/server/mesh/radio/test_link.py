"""What both kinds of links with a radio share."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from server.clock import SystemClock
from server.config_section import Where
from server.errors import LinkLost
from server.mesh.radio.link import INBOX_PACKETS, RadioLink
from server.mesh.radio.packets import Event, Packet, Ready
from server.readings import Reading
from tests.server.mesh.base.test_link import until
from tests.server.mesh.fake_radio import FakeRadio, PtyRadio, on_pty

PROGRAM = """
import sys
sys.modules["meshtastic"] = None  # as if it were not installed
sys.modules.pop("server.mesh.radio.link", None)
from server.config import parse_config
from server.errors import ConfigError
for kind in ("mesh", "mesh_uplink"):
    try:
        parse_config(f"[links.r]\\nkind = \'{kind}\'\\nport = \'/dev/null\'", "telerig.toml", {})
    except ConfigError as error:
        print(error)
"""


class Report:
    """What a link told its supervisor."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def up(self, reason: str = "") -> None:
        self.told.append(f"up {reason}")

    def degraded(self, reason: str) -> None:
        self.told.append(f"degraded {reason}")

    def vehicle(self, vin: str) -> None:
        raise AssertionError(vin)


@dataclass
class Options:
    """Just the port."""

    port: str


class Probe(RadioLink):
    """A link that remembers what it receives."""

    kind: ClassVar[str] = "probe"

    def __init__(self, port: str) -> None:
        super().__init__(
            "probe", Options(port), sink=_no_sink, clock=SystemClock(), report=Report()
        )
        self.items: list[Packet | Event | None] = []
        self.waits = asyncio.Event()
        self.fails: Exception | None = None

    @classmethod
    def parse(cls, name: str, table: Mapping[str, Any], where: Where) -> Options:
        raise NotImplementedError

    async def work(self) -> None:
        """Receive."""
        while True:
            self.items.append(await self.receive(0.05))
            if self.fails is not None:
                raise self.fails


def _no_sink(_: Sequence[Reading]) -> None:
    raise AssertionError


@pytest.fixture
def line() -> Any:
    """A radio on a PTY."""
    with on_pty(FakeRadio()) as served:
        yield served


async def started(line: PtyRadio) -> tuple[Probe, asyncio.Task[None]]:
    """A link that is up."""
    probe = Probe(line.path)
    task = asyncio.create_task(probe.run())
    await until(lambda: task.done() or any(isinstance(item, Ready) for item in probe.items))
    assert not task.done(), task.exception()
    return probe, task


async def test_items_come_in_order_and_quiet_is_told(line: PtyRadio) -> None:
    """Packets and events reach the event loop in the order of their arrival."""
    probe, task = await started(line)
    with line.lock:
        for number in range(1, 51):
            line.radio.hears(payload=b"x", number=number)
    line.poke()
    await until(lambda: len([item for item in probe.items if isinstance(item, Packet)]) == 50)
    numbers = [item.id for item in probe.items if isinstance(item, Packet)]
    assert numbers == list(range(1, 51))
    await asyncio.sleep(0.2)
    assert probe.items[-1] is None
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert task.cancelled()
    await until(lambda: line.radio.said_goodbye)


async def test_troubles_are_told_together(line: PtyRadio) -> None:
    """The link is degraded while anything is wrong, and says all of it; once."""
    probe, task = await started(line)
    report = probe.report
    assert isinstance(report, Report)
    assert report.told == ["up radio !a1b2c3d4 LONG_FAST EU_868"]
    probe.trouble("a", "first")
    probe.trouble("a", "first")
    probe.trouble("b", "second")
    probe.trouble("a", "")
    probe.trouble("b", "")
    assert report.told[1:] == [
        "degraded first",
        "degraded first; second",
        "degraded second",
        "up radio !a1b2c3d4 LONG_FAST EU_868",
    ]
    task.cancel()
    await asyncio.wait({task}, timeout=5)


async def test_the_end_of_the_radio_ends_the_work(line: PtyRadio) -> None:
    """A radio that is pulled ends the attempt with its reason, and leaves no thread."""
    probe, task = await started(line)
    line.unplug()
    with pytest.raises(LinkLost, match="went away"):
        await asyncio.wait_for(task, 10)
    await until(lambda: not [t for t in threading.enumerate() if t.name == "mesh-probe"])
    assert probe.client.queue_free == 0


async def test_a_bug_in_the_work_ends_the_radio(line: PtyRadio) -> None:
    """An error of the work is what the supervisor sees; the port is free again."""
    probe, task = await started(line)
    probe.fails = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(task, 10)
    again, task = await started(line)
    assert again.client.info is not None
    task.cancel()
    await asyncio.wait({task}, timeout=5)


async def test_cancelling_while_it_ends(line: PtyRadio) -> None:
    """A gateway that stops in the moment in which the radio goes stops all the same."""
    _, task = await started(line)
    line.unplug()
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert task.done()


async def test_the_inbox_is_bounded() -> None:
    """A loop that is slower than the radio drops packets, and counts them."""
    probe = Probe("none")
    probe._loop = asyncio.get_running_loop()
    probe._arrived = asyncio.Event()
    packet: Any = Packet(1, 2, 3, b"", 1, 0, None, None, None, 1)
    for _ in range(INBOX_PACKETS + 10):
        probe._deliver(packet)
    assert probe.counters["packets_dropped"] == 10
    event: Any = SimpleNamespace()
    for _ in range(2 * INBOX_PACKETS):
        probe._deliver(event)
    assert len(probe._inbox) == 2 * INBOX_PACKETS
    assert probe.counters["events_dropped"] == INBOX_PACKETS


def test_without_the_library() -> None:
    """A kind whose library is missing is refused with the line and what to install."""
    assert importlib.util.find_spec("meshtastic") is not None
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("telerig.toml:2: expected a kind that can be loaded")
        assert "pip install 'telerig[mesh]'" in line


@pytest.mark.parametrize("steps", range(4))
async def test_cancelled_as_something_arrives(steps: int) -> None:
    """A wait that is cancelled in the moment in which it is over ends the work all the same."""
    probe = Probe("/dev/null")
    probe._arrived = asyncio.Event()
    waiting = asyncio.create_task(probe.receive(60.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    probe._arrived.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    if waiting.cancel():
        with pytest.raises(asyncio.CancelledError):
            await waiting
