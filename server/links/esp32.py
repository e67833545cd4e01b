"""The link of an edge logger on a serial line: an ESP32's USB console.

    [links.logger]
    kind = "esp32"
    port = "/dev/ttyUSB0"
    baud = 115200           # default
    device = "esp-1"        # default: what the logger says of itself, which must be registered
    key = "vtg_dev_…"       # instead of `device`: the key decides which device it is
    silence_s = 25.0        # nothing from the logger for so long: the port is opened anew

The gateway says HELLO when it opens the port and every few seconds; from then on the logger sends
its uplinks here, and each is answered when it is committed (server/wire/frame.py). What cannot be
taken now is not answered: the logger keeps it and sends it again. Log lines between the frames,
the ROM's own among them, go to the gateway's log.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import structlog

from server.clock import Clock
from server.config_section import Section, Where
from server.errors import LinkLost
from server.links.base import Link, LinkReport, UplinkRefused
from server.links.link_port import LinkPort
from server.links.reader_thread import ReaderThread
from server.readings import ReadingSink
from server.wire import frame

log = structlog.get_logger("telerig.device")

HELLO_S = 3.0
"""Well within the time after which a logger gives a silent host up."""
WRITE_TIMEOUT_S = 2.0
MUTE_S = 12.0
"""A logger sends at least this often; later than that the link is degraded."""
LINE_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Esp32Options:
    """The table `[links.<name>]` of an edge logger."""

    port: str
    baud: int = 115_200
    device: str = ""
    key: str = ""
    silence_s: float = 25.0


class Esp32Link(Link):
    """Serves one edge logger on a serial port."""

    kind: ClassVar[str] = "esp32"
    options: Esp32Options

    def __init__(
        self,
        name: str,
        options: Esp32Options,
        *,
        sink: ReadingSink,
        clock: Clock,
        report: LinkReport,
    ) -> None:
        super().__init__(name, options, sink=sink, clock=clock, report=report)
        self._counts: Counter[str] = Counter(uplinks=0, uplinks_refused=0, frames_damaged=0)
        self.counters = self._counts
        self._frames = frame.Decoder()
        self._text = b""
        self._port = LinkPort(options.port, options.baud, write_timeout_s=WRITE_TIMEOUT_S)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answering: concurrent.futures.Future[bytes] | None = None
        self._state: str | None = None  # last report: "" is up, else the reason
        self._heard_s = 0.0
        self._greeted_s = -HELLO_S

    @classmethod
    def parse(cls, name: str, table: Mapping[str, Any], where: Where) -> Esp32Options:
        """Check `[links.<name>]`."""
        section = Section(table, where)
        section.has("kind")
        options = Esp32Options(
            port=section.text("port"),
            baud=section.integer("baud", 115_200, minimum=300, maximum=4_000_000),
            device=section.text("device", ""),
            key=section.text("key", ""),
            silence_s=section.number("silence_s", 25.0, minimum=1.0, maximum=3600.0),
        )
        section.done()
        if options.device and options.key:
            raise where.error("key", "one of device and key", "both")
        return options

    async def run(self) -> None:
        """Open the port and serve until cancelled.

        Raises:
            LinkLost: the port cannot be opened or went away, or nothing came for `silence_s`.
        """
        self._loop = asyncio.get_running_loop()
        await ReaderThread(f"esp32-{self.name}", self._serve, self._interrupt).run()

    # -- in the reader's thread --------------------------------------------------------------------
    def _serve(self, stop: threading.Event) -> None:
        port = self._port
        port.open()
        self._heard_s = self.clock.monotonic_s()
        try:
            while not stop.is_set():
                self._greet()
                self._take(port.receive(), stop)
        finally:
            port.close()

    def _write(self, data: bytes) -> None:
        if not self._port.write(data):
            # Nobody reads at the other end; the logger will ask again, or is not there.
            self._counts["writes_timed_out"] += 1

    def _greet(self) -> None:
        now_s = self.clock.monotonic_s()
        if now_s - self._greeted_s >= HELLO_S:
            self._greeted_s = now_s
            self._write(frame.hello("telerig"))

    def _take(self, chunk: bytes, stop: threading.Event) -> None:
        """Take bytes read just now, b"" for a quiet line.

        Raises:
            LinkLost: the logger is silent for too long.
        """
        frames = self._frames
        found = frames.feed(chunk) if chunk else frames.give_up() if frames.waits() else []
        self._counts["bytes"] += len(chunk)
        self._counts["frames_damaged"] = frames.damaged
        self._counts["bytes_skipped"] = frames.skipped_bytes
        for kind, payload in found:
            self._heard_s = self.clock.monotonic_s()
            if kind == frame.UPLINK and not stop.is_set():
                self._answer(payload)
            elif kind == frame.HELLO:
                self._hello(payload)
            elif kind == frame.TEXT:
                self._say(payload)
        self._console(frames.text(), is_quiet=not chunk)
        self._look()

    def _hello(self, payload: bytes) -> None:
        version = payload[0] if payload else 0
        if version != frame.VERSION:
            expected = f"expected version {frame.VERSION} of the serial protocol"
            self._report(f"{expected}, found {version}: another firmware is needed")
        elif self._state is None:
            self._report("")

    def _answer(self, message: bytes) -> None:
        """Hand on an uplink, and write the answer when it is committed."""
        services, loop = self.services, self._loop
        if services is None or loop is None:
            raise LinkLost("this link runs without a gateway: nobody takes uplinks")
        self._counts["uplinks"] += 1
        options = self.options
        taken = services.uplink(message, device=options.device, key=options.key)
        try:
            self._answering = asyncio.run_coroutine_threadsafe(_awaited(taken), loop)
            answer = self._answering.result()
        except UplinkRefused as refused:
            self._counts["uplinks_not_now" if refused.again else "uplinks_refused"] += 1
            self._report(f"uplink not taken: {refused}")
            return
        except concurrent.futures.CancelledError:
            return  # the gateway stops: not acknowledged, and sent again
        finally:
            self._answering = None
        try:
            framed = frame.frame(frame.DOWNLINK, answer)
        except frame.FrameError as error:
            self._report(f"answer not sent: {error}")
            return
        self._write(framed)
        self._report("")

    def _console(self, text: bytes, *, is_quiet: bool) -> None:
        """Hand on what the console says beside frames, line by line."""
        self._text += text
        *lines, self._text = self._text.split(b"\n")
        if (is_quiet or len(self._text) > LINE_CHARACTERS) and self._text:
            lines.append(self._text)
            self._text = b""
        for line in lines:
            self._say(line)

    def _say(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()[:LINE_CHARACTERS]
        if text:
            self._counts["lines"] += 1
            shown = "".join(c if c.isprintable() else "�" for c in text)
            log.info(shown, link=self.name, device=self.options.device or None)

    def _look(self) -> None:
        silent_s = self.clock.monotonic_s() - self._heard_s
        if silent_s > self.options.silence_s:
            cause = (
                f"{self._counts['bytes']} bytes and no frame (baud {self.options.baud} wrong?)"
                if self._counts["bytes"] and not self._frames.frames
                else "silence (running? the right port?)"
            )
            raise LinkLost(
                f"expected a frame each {MUTE_S:g} s from {self.options.port}, found {cause}"
            )
        if silent_s > MUTE_S and self._state is not None:
            self._report(f"nothing from the logger for {MUTE_S:g} s")

    def _report(self, reason: str) -> None:
        if reason == self._state:
            return
        self._state = reason
        if reason:
            self.report.degraded(reason)
        else:
            self.report.up()

    def _interrupt(self) -> None:
        """Wake the thread out of its read or its wait for an answer; called in the event loop."""
        answering = self._answering
        if answering is not None:
            answering.cancel()
        self._port.interrupt()


async def _awaited(taken: Any) -> bytes:
    """Give a coroutine's result: `run_coroutine_threadsafe` takes no other awaitable."""
    answer: bytes = await taken
    return answer
