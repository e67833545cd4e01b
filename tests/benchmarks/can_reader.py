"""Reads a bus one way or another, in a process of its own, and says what it cost.

`python -m tests.benchmarks.can_reader WAY INTERFACE PLACE COUNT [RATE [URL]]` prints one `Read` as
JSON. Ways:

    link        the gateway's link up to its sink; RATE of its signals
    flat        the same with a queue that holds all: nobody sends so fast but a benchmark
    pipeline    the link, the pipeline, and a store that drops what it gets, after encoding it
    database    the link, the pipeline, and a database (URL)
    recv        python-can's client alone: recv() and nothing else
    decode      python-can's client, and cantools' decode of each frame
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from server.can.link import CanLink
from server.clock import SystemClock
from server.config_section import Where
from server.errors import LinkLost
from server.logs import configure_logs
from server.pipeline import Pipeline
from server.readings import Reading
from server.store.hotlog import Batch, HotLog
from tests.benchmarks.can_blaster import RATE
from tests.benchmarks.can_traffic import CYCLE_MS, dbc_text, frames

PATIENCE_S = 60.0
QUEUE_READINGS = 200_000


@dataclass(frozen=True, slots=True)
class Read:
    """What came, and what it cost in CPU time from the first frame to the last."""

    frames: int
    readings: int
    lost: int
    frames_per_s: float
    cpu_us_per_frame: float
    cores: float


def read_in_process(way: str, interface: str, place: str, count: int, *more: object) -> Read:
    """Start a reader and wait for what it found."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.can_reader", way, interface, place, str(count)]
        + [str(each) for each in more],
        check=True,
        stdout=subprocess.PIPE,
    )
    return Read(**json.loads(done.stdout.splitlines()[-1]))


class _Meter:
    """CPU and wall time between the first frame and the last."""

    def __init__(self) -> None:
        self.first: tuple[float, float] | None = None
        self.last = (0.0, 0.0)
        self.first_count = 0
        self.spared_s = 0.0  # of a sender in the same process

    def mark(self, count: int) -> None:
        now = (time.perf_counter(), time.process_time())
        if self.first is None:
            self.first, self.first_count = now, count
        self.last = now

    def read(self, frames: int, readings: int, wanted: int) -> Read:
        assert self.first is not None, "nothing came"
        wall_s = self.last[0] - self.first[0]
        cpu_s = self.last[1] - self.first[1] - self.spared_s
        counted = frames - self.first_count
        return Read(
            frames,
            readings,
            wanted - frames,
            counted / wall_s,
            cpu_s / counted * 1e6,
            cpu_s / wall_s,
        )


class _Report:
    def up(self, reason: str = "") -> None: ...

    def degraded(self, reason: str) -> None:
        print(reason, file=sys.stderr)

    def vehicle(self, vin: str) -> None: ...


class _Encoded:
    """A store that keeps nothing: the batch was encoded, as for a database."""

    async def append(self, batch: Batch) -> None: ...


class _Deaf:
    def readings(self, seq_first: int, readings: Sequence[Reading]) -> None: ...

    def stored(self, upto: int, time_ns: int) -> None: ...

    def store_failing(self, reason: str) -> None: ...


def _table(interface: str, place: str, dbc: str, rate: str) -> dict[str, Any]:
    table: dict[str, Any] = {"interface": interface, "channel": "can0", "dbc": dbc}
    if interface == "socketcand":
        table["port"] = int(place)
    else:
        table["channel"] = place
    if interface == "slcan":
        table["options"] = {"status_s": 0.0}
    table["rate_hz"] = rate if rate in ("all", "change") else float(rate)
    return table


async def _link(
    way: str, interface: str, place: str, count: int, rate: str = "10", url: str = ""
) -> Read:
    with tempfile.TemporaryDirectory() as folder:
        dbc = Path(folder) / "bench.dbc"
        dbc.write_text(dbc_text())
        table = _table(interface, place, str(dbc), rate)
        if way == "flat":
            table["queue_frames"] = count
        options = CanLink.parse("can", table, Where("bench"))
    clock, meter, came = SystemClock(), _Meter(), [0]
    pipeline: Pipeline | None = None
    hotlog: HotLog | None = None
    if way in ("pipeline", "database"):
        store: Any = _Encoded()
        if url:
            store = hotlog = HotLog(url, device="bench", boot=os.getpid(), clock=clock)
            await hotlog.open()
        pipeline = Pipeline(store, _Deaf(), clock, queue_readings=QUEUE_READINGS)
        pipeline.start()

    def sink(readings: Sequence[Reading]) -> None:
        came[0] += len(readings)
        if pipeline is not None:
            pipeline.offer(readings)

    link = CanLink("can", options, sink=sink, clock=clock, report=_Report())
    task = asyncio.create_task(link.run())
    sender = _VirtualSender(place, count, meter) if interface == "virtual" else None
    known = 0
    deadline_s = time.monotonic() + PATIENCE_S
    while not task.done() and known < count and time.monotonic() < deadline_s:
        await asyncio.sleep(0.02)
        now = link.counters["frames_known"]
        if sender is not None and link._reader.is_open:
            sender.begin()
        if now > known:
            known = now
            meter.mark(known)
    if pipeline is not None:
        for _ in range(int(PATIENCE_S / 0.02)):
            if not pipeline.counts.pending:
                break
            await asyncio.sleep(0.02)
        meter.mark(known)
        assert pipeline.counts.refused == 0, pipeline.counts
        await pipeline.stop(10.0)
    if hotlog is not None:
        await hotlog.close()
    task.cancel()
    with contextlib.suppress(LinkLost, asyncio.CancelledError):
        await task
    assert not link.counters["frames_dropped"], link.counters
    return meter.read(link.counters["frames_known"], came[0], count)


class _VirtualSender:
    """Another node on the in-process bus; what it costs is not the gateway's."""

    def __init__(self, channel: str, count: int, meter: _Meter, rate: int = RATE) -> None:
        self._thread = threading.Thread(target=self._run, args=(channel, count, meter, rate))
        self._begun = False

    def begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._thread.start()

    def _run(self, channel: str, count: int, meter: _Meter, rate: int) -> None:
        import can

        messages = [
            can.Message(arbitration_id=can_id, is_extended_id=False, data=data)
            for can_id, data in frames(count)
        ]
        with can.Bus(interface="virtual", channel=channel) as bus:
            start_cpu_s = time.thread_time()
            start_s, sent = time.perf_counter(), 0
            while sent < count:
                due = min(count, int((time.perf_counter() - start_s) * rate))
                for message in messages[sent:due]:
                    bus.send(message)
                sent = due
                meter.spared_s = time.thread_time() - start_cpu_s
                time.sleep(0.001)


def _python_can(way: str, interface: str, place: str, count: int) -> Read:
    import can
    import cantools

    keywords: dict[str, Any] = {"channel": "can0", "host": "127.0.0.1", "port": place}
    if interface == "socketcand":
        keywords["port"] = int(place)
    else:
        keywords = {"channel": place, "bitrate": 500_000, "sleep_after_open": 0}
    can.util.set_logging_level("error")
    database = cantools.database.load_string(dbc_text(), "dbc")
    assert isinstance(database, cantools.database.can.Database)
    meter, came = _Meter(), 0
    with contextlib.suppress(OSError):  # the end of the bus
        bus = can.Bus(interface=interface, ignore_config=True, **keywords)
        while came < count:
            message = bus.recv(1.0)
            if message is None:
                break
            came += 1
            if way == "decode":
                database.decode_message(message.arbitration_id, message.data, decode_choices=False)
            if came % 50 == 1 or came == count:
                meter.mark(came)
        bus.shutdown()
    return meter.read(came, 0, count)


def cantools_us(count: int) -> float:
    """CPU of cantools' decode alone, per frame."""
    import cantools

    database = cantools.database.load_string(dbc_text(), "dbc")
    assert isinstance(database, cantools.database.can.Database)
    traffic = frames(count)
    start_s = time.process_time()
    for can_id, data in traffic:
        database.decode_message(can_id, data, decode_choices=False)
    return (time.process_time() - start_s) / count * 1e6


def decoder_us(count: int) -> tuple[float, float]:
    """CPU of the link's decoder alone, per frame: every signal each time, and at 10 Hz."""
    from collections import Counter

    from server.can.decoder import Decoder
    from server.can.frame import CanFrame

    took = []
    for rate in ("all", "10"):
        with tempfile.TemporaryDirectory() as folder:
            dbc = Path(folder) / "bench.dbc"
            dbc.write_text(dbc_text())
            table = _table("socketcand", "1", str(dbc), rate)
            plan = CanLink.parse("can", table, Where("bench")).plan
        decoder = Decoder(plan, Counter())
        step_ns = CYCLE_MS * 1_000_000 // 25
        traffic = [
            CanFrame(can_id, data, 10**18 + k * step_ns, 10**18 + k * step_ns)
            for k, (can_id, data) in enumerate(frames(count))
        ]
        start_s = time.process_time()
        for place in range(0, count, 40):
            decoder.decode(traffic[place : place + 40])
        took.append((time.process_time() - start_s) / count * 1e6)
    return took[0], took[1]


def _main(way: str, interface: str, place: str, count: str, *more: str) -> Read:
    configure_logs(level="warning")
    if way in ("recv", "decode"):
        return _python_can(way, interface, place, int(count))
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_link(way, interface, place, int(count), *more))


if __name__ == "__main__":
    print(json.dumps(asdict(_main(*sys.argv[1:]))))
