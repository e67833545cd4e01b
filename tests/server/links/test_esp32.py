"""The link of an edge logger on a PTY: frames, answers, refusals, text in between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

import server.links.esp32 as esp32_module
from server.clock import SystemClock
from server.config_section import Where
from server.errors import ConfigError, LinkLost
from server.links.base import UplinkRefused
from server.links.esp32 import Esp32Link, Esp32Options
from server.wire import frame
from tests.server.links.conftest import SerialDevice

WHERE = Where("gateway.toml", ("links", "logger"), {("links", "logger"): 7})


class Board(SerialDevice):
    """An edge logger's console: says HELLO when it is greeted, keeps what it hears."""

    def __init__(self, path: Path) -> None:
        self.heard: list[tuple[int, bytes]] = []
        self._frames = frame.Decoder()
        super().__init__(path)

    def receive(self, data: bytes) -> None:
        """Take bytes from the gateway."""
        for kind, payload in self._frames.feed(data):
            self.heard.append((kind, payload))
            if kind == frame.HELLO:
                self.send(frame.hello("esp-1"))

    def answers(self) -> list[bytes]:
        """The downlinks."""
        return [payload for kind, payload in self.heard if kind == frame.DOWNLINK]


class Services:
    """Takes every uplink, or refuses it."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, str, str]] = []
        self.refusal: UplinkRefused | None = None
        self.hold = asyncio.Event()
        self.hold.set()

    async def uplink(self, message: bytes, *, device: str = "", key: str = "") -> bytes:
        """Answer with the message itself."""
        self.taken.append((message, device, key))
        await self.hold.wait()
        if self.refusal is not None:
            raise self.refusal
        return b"answer to " + message


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A logger that is plugged in."""
    device = Board(tmp_path / "logger")
    yield device
    with contextlib.suppress(OSError):
        device.unplug()


async def until(condition: Callable[[], object]) -> None:
    """Wait for the link's thread."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def serving(
    board: Board, sink: Any, report: Any, services: Services | None = None, **options: Any
) -> AsyncIterator[tuple[Esp32Link, asyncio.Task[None]]]:
    """Run a link around a block."""
    made = Esp32Options(board.path, **options)
    link = Esp32Link("logger", made, sink=sink, clock=SystemClock(), report=report)
    link.services = services
    task = asyncio.create_task(link.run())
    try:
        yield link, task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_an_uplink_is_answered(board: Board, sink: Any, report: Any) -> None:
    """The gateway greets; an uplink between text and garbage is taken and answered."""
    services = Services()
    async with serving(board, sink, report, services, device="esp-1") as (link, _):
        await until(lambda: report.states)
        board.send(
            b"rst:0x1\r\nboot\r\n\xfa\xf5\x02" + frame.frame(frame.UPLINK, b"one") + b"tail\n"
        )
        board.send(frame.frame(frame.UPLINK, b"two")[:5])
        board.send(frame.frame(frame.UPLINK, b"two")[5:])
        await until(lambda: len(board.answers()) == 2)
    assert board.heard[0] == (frame.HELLO, bytes((frame.VERSION,)) + b"telerig")
    assert board.answers() == [b"answer to one", b"answer to two"]
    assert services.taken == [(b"one", "esp-1", ""), (b"two", "esp-1", "")]
    assert report.states == [("up", "")]
    assert (link.counters["uplinks"], link.counters["uplinks_refused"]) == (2, 0)


async def test_text_goes_to_the_log(board: Board, sink: Any, report: Any) -> None:
    """Console lines and TEXT frames are log lines; what cannot be printed is replaced."""
    with structlog.testing.capture_logs() as logs:
        async with serving(board, sink, report, Services()) as (link, _):
            await until(lambda: report.states)
            board.send(b"ets Jun  8 2016\r\n" + frame.frame(frame.TEXT, b"can: bus\x1b[1m off"))
            await until(lambda: link.counters["lines"] == 2)
    assert {entry["event"] for entry in logs} == {"ets Jun  8 2016", "can: bus�[1m off"}


async def test_what_is_refused_is_not_answered(board: Board, sink: Any, report: Any) -> None:
    """A refused uplink degrades the link, with the reason; the next good one brings it up."""
    services = Services()
    services.refusal = UplinkRefused("device: expected a registered one", again=False)
    async with serving(board, sink, report, services) as (link, _):
        await until(lambda: report.states)
        board.send(frame.frame(frame.UPLINK, b"one"))
        await until(lambda: link.counters["uplinks_refused"] == 1)
        services.refusal = UplinkRefused("the database is away", again=True)
        board.send(frame.frame(frame.UPLINK, b"one"))
        await until(lambda: link.counters["uplinks_not_now"] == 1)
        assert board.answers() == []
        services.refusal = None
        board.send(frame.frame(frame.UPLINK, b"one"))
        await until(lambda: board.answers() == [b"answer to one"])
    states = [state for state in report.states if state != ("up", "")]
    assert [reason for _, reason in states] == [
        "uplink not taken: device: expected a registered one",
        "uplink not taken: the database is away",
    ]
    assert report.states[-1] == ("up", "")


async def test_a_stop_does_not_wait_for_an_answer(board: Board, sink: Any, report: Any) -> None:
    """A link that is stopped while an uplink is on its way ends at once, without an answer."""
    services = Services()
    services.hold.clear()
    async with serving(board, sink, report, services) as (_, task):
        await until(lambda: report.states)
        board.send(frame.frame(frame.UPLINK, b"one"))
        await until(lambda: services.taken)
        task.cancel()
        async with asyncio.timeout(2):
            await asyncio.wait({task})
    assert task.cancelled()
    assert board.answers() == []


async def test_a_silent_logger(
    board: Board, sink: Any, report: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A logger that falls silent degrades the link, then the port is opened anew."""
    monkeypatch.setattr(esp32_module, "MUTE_S", 0.3)
    monkeypatch.setattr(esp32_module, "HELLO_S", 1000.0)
    async with serving(board, sink, report, Services(), silence_s=1.0) as (_, task):
        with pytest.raises(LinkLost, match="silence"):
            async with asyncio.timeout(10):
                await asyncio.shield(task)
    assert report.states[-1][0] == "degraded"


async def test_the_wrong_baud_is_told(board: Board, sink: Any, report: Any) -> None:
    """Bytes without any frame say that the baud rate may be wrong."""
    board.receive = lambda data: board.send(b"\x80\x00\xff")  # type: ignore[method-assign]
    async with serving(board, sink, report, Services(), silence_s=1.0) as (_, task):
        with pytest.raises(LinkLost, match="baud 115200 wrong"):
            async with asyncio.timeout(10):
                await asyncio.shield(task)


async def test_another_version_is_told(board: Board, sink: Any, report: Any) -> None:
    """A logger that speaks another version of the protocol degrades the link."""
    board.receive = lambda data: None  # type: ignore[method-assign]
    async with serving(board, sink, report, Services()) as (link, _):
        await until(lambda: link._port.is_open)
        board.send(frame.frame(frame.HELLO, b"\x09esp"))
        await until(lambda: any("version 1" in reason for _, reason in report.states))


async def test_a_port_that_goes_away(board: Board, sink: Any, report: Any) -> None:
    """Unplugged, the link is lost; a port that is not there is told with what to do."""
    async with serving(board, sink, report, Services()) as (_, task):
        await until(lambda: report.states)
        board.unplug()
        with pytest.raises(LinkLost, match="went away"):
            async with asyncio.timeout(10):
                await asyncio.shield(task)
    async with serving(board, sink, report, Services()) as (_, task):
        with pytest.raises(LinkLost, match="plugged in"):
            await asyncio.shield(task)


def test_options() -> None:
    """The table is checked: port, baud, device or key, not both."""
    options = Esp32Link.parse("logger", {"port": "/dev/x", "device": "esp-1"}, WHERE)
    assert options == Esp32Options("/dev/x", device="esp-1")
    for table, message in (
        ({}, "port"),
        ({"port": "/dev/x", "baud": 1}, "baud"),
        ({"port": "/dev/x", "speed": 1}, "speed"),
        ({"port": "/dev/x", "device": "a", "key": "b"}, "one of device and key"),
    ):
        with pytest.raises(ConfigError, match=message):
            Esp32Link.parse("logger", table, WHERE)
