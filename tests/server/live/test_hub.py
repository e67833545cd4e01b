"""The live stream's frames, groups, numbers and queues."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.clock import SystemClock
from server.links.supervisor import LinkState, LinkStatus
from server.live import hub as hub_module
from server.live.client import Bounds, LiveClient, Policy
from server.live.frames import framed
from server.live.hub import Hub
from server.live.selection import EVERYTHING, Selection
from server.live.words import POINTS, ROWS
from server.readings import Reading, State
from tests.server.live.outlet import FakeOutlet, texts_of


@pytest.fixture
async def hub() -> Any:
    """A stream that says everything at once."""
    hub = Hub("car-1", 77, SystemClock(), coalesce_s=0)
    yield hub
    hub.close()


def rpm(value: float, signal: int = 12) -> Reading:
    """A reading."""
    return Reading(signal, 10, value, 20)


def listen(hub: Hub, outlet: FakeOutlet, **options: Any) -> LiveClient:
    """A client that has been greeted and listens."""
    client = hub.attach(outlet, **options)
    hub.greet(client)
    hub.join(client)
    return client


def status(state: LinkState) -> LinkStatus:
    """A link in a state."""
    return LinkStatus("obd", "obd", state, "because", 1, 1, 0, (), {})


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_frames_of_all_sizes(size: int) -> None:
    """A frame holds its text whatever its size."""
    assert texts_of(framed(b"x" * size) + framed(b"y")) == [b"x" * size, b"y"]


async def test_hello_then_frames_in_order(hub: Hub) -> None:
    """A client gets hello, then what happens, in the documented form, numbered."""
    outlet = FakeOutlet()
    listen(hub, outlet)
    hub.readings(5, [Reading(12, 10, 1.5, 20), Reading(13, 11, float("nan"), 21, State.LOST)])
    hub.stored(6, 30)
    hub.link(status(LinkState.UP))
    hub.stale("obd", (12, 13), 40)
    hub.store_failing("disk full")
    hub.flush()
    hello, *rest = outlet.take()
    assert hello["type"] == "hello"
    assert (hello["boot"], hello["device"], hello["signals"]["12"]) == (77, "car-1", "RPM")
    assert (hello["stream"], hello["n"]) == ("77", 1)
    assert rest[0] == {
        "type": "readings",
        "n": 3,
        "device": "car-1",
        "boot": 77,
        "readings": [[5, 12, 10, 1.5, 20, 0], [6, 13, 11, None, 21, 3]],
    }
    stored = {"type": "stored", "n": 4, "device": "car-1", "boot": 77, "upto": 6, "time_ns": 30}
    assert rest[1] == stored
    del rest[2]["time_ns"]
    link = {"type": "link", "n": 5, "name": "obd", "state": "up", "reason": "because"}
    assert rest[2] == link
    assert rest[3] == {"type": "stale", "n": 6, "link": "obd", "signals": [12, 13], "time_ns": 40}
    assert (rest[4]["type"], rest[4]["state"], rest[4]["n"]) == ("store", "failing", 7)


@pytest.mark.promise("W03")
async def test_one_message_a_point_many_in_one_write(hub: Hub) -> None:
    """Form `points` gives each reading its own message and number; all go out in one write."""
    outlet = FakeOutlet()
    listen(hub, outlet, words=POINTS)
    outlet.take()
    hub.readings(1, [rpm(1.0), rpm(2.5, 13), rpm(float("inf"))])
    hub.stored(3, 30)
    hub.flush()
    assert len(outlet.writes) == 1
    first, second, third, stored = outlet.take()
    assert first == {
        "type": "reading",
        "n": 2,
        "device": "car-1",
        "boot": 77,
        "signal": 12,
        "name": "RPM",
        "unit": "rpm",
        "seq": 1,
        "time_ns": 10,
        "value": 1.0,
        "received_ns": 20,
        "state": 0,
    }
    assert (second["n"], second["name"], second["value"]) == (3, "SPEED", 2.5)
    assert (third["n"], third["value"], stored["n"]) == (4, None, 5)


async def test_clients_that_want_the_same_share_the_bytes(hub: Hub) -> None:
    """What a group gets is made once: its clients hold the same object."""
    outlets = [FakeOutlet() for _ in range(3)]
    for outlet in outlets:
        listen(hub, outlet)
        outlet.take()
    hub.readings(1, [rpm(1.0)])
    hub.flush()
    first, second, third = (outlet.writes[0] for outlet in outlets)
    assert first is second is third


@pytest.mark.promise("F06", "F07", "F12")
async def test_what_happens_together_goes_out_together() -> None:
    """After a pause a frame goes at once; those that follow wait a little and share a write."""
    hub = Hub("car-1", 77, SystemClock(), coalesce_s=0.05)
    outlet = FakeOutlet()
    listen(hub, outlet)
    await asyncio.sleep(0.06)
    outlet.take()
    hub.readings(1, [rpm(1.0)])
    assert not outlet.writes
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(outlet.writes) == 1
    for seq in range(2, 5):
        hub.readings(seq, [rpm(float(seq))])
        await asyncio.sleep(0)
    assert len(outlet.writes) == 1
    async with asyncio.timeout(5):
        await hub.drained()
    assert len(outlet.writes) == 2
    assert [frame["readings"][0][0] for frame in outlet.take()] == [1, 2, 3, 4]
    hub.close()


async def test_a_late_client_learns_what_is_wrong(hub: Hub) -> None:
    """Link states, stale signals and a failing store are told to a client that comes later."""
    hub.link(status(LinkState.CONNECTING))
    hub.link(status(LinkState.DEGRADED))
    hub.stale("obd", (12,), 1)
    hub.stale("gps", (1001,), 1)
    hub.stale("gps", (), 2)
    hub.store_failing("away")
    outlet = FakeOutlet()
    listen(hub, outlet)
    assert [frame["type"] for frame in outlet.take()] == ["hello", "link", "stale", "store"]
    hub.store_failing("")
    other = FakeOutlet()
    listen(hub, other)
    assert [frame["type"] for frame in other.take()] == ["hello", "link", "stale"]


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (EVERYTHING, [("car-1", 12), ("car-1", 13), ("esp-1", 12), ("log", 0)]),
        (Selection(devices=frozenset({"esp-1"})), [("esp-1", 12), ("log", 0)]),
        (Selection(signals=frozenset({13})), [("car-1", 13), ("log", 0)]),
        (
            Selection(devices=frozenset({"car-1"}), boot=77, start_ns=10, end_ns=11),
            [("car-1", 12), ("car-1", 13), ("log", 0)],
        ),
        (Selection(devices=frozenset({"car-1"}), boot=78), [("log", 0)]),
        (Selection(start_ns=11), [("log", 0)]),
        (Selection().within(frozenset()), [("log", 0)]),
        (Selection().within(frozenset({"esp-1"})), [("esp-1", 12), ("log", 0)]),
    ],
)
async def test_a_client_gets_what_it_wants(
    hub: Hub, selection: Selection, wanted: list[tuple[str, int]]
) -> None:
    """Devices, signals, boot, time and what one may see decide; what concerns all goes to all."""
    outlet = FakeOutlet()
    listen(hub, outlet, words=POINTS, selection=selection)
    outlet.take()
    hub.readings(1, [rpm(1.0), rpm(2.0, 13)])
    hub.publish("esp-1", 5, [(1, rpm(3.0))])
    hub.event({"type": "log", "text": "…"})
    hub.event({"type": "command", "device": "esp-2"})
    hub.flush()
    found = [
        (frame["device"], frame["signal"]) if frame["type"] == "reading" else ("log", 0)
        for frame in outlet.take()
        if frame.get("device") != "esp-2"
    ]
    assert found == wanted


async def test_a_slow_client_loses_the_oldest_and_is_told(hub: Hub) -> None:
    """Beyond its bound a client loses the oldest; the count comes first; others lose nothing."""
    slow, quick = FakeOutlet(is_writable=False), FakeOutlet()
    client = listen(hub, slow, bounds=Bounds(messages=3))
    listen(hub, quick)
    for seq in range(1, 7):
        hub.readings(seq, [rpm(float(seq))])
        hub.flush()
    assert not slow.writes
    slow.is_writable = True
    client.resumed()
    told = slow.take()
    assert told[0] == {"type": "dropped", "count": 4}  # hello and three frames
    assert [frame["readings"][0][0] for frame in told[1:]] == [4, 5, 6]
    assert client.dropped == hub.dropped == 4
    assert len(quick.take()) == 7
    hub.readings(7, [rpm(7.0)])
    hub.flush()
    assert [frame["type"] for frame in slow.take()] == ["readings"]


async def test_bytes_bound_a_queue_too(hub: Hub) -> None:
    """However few they are, frames of more than the bound do not wait."""
    outlet = FakeOutlet(is_writable=False)
    client = listen(hub, outlet, bounds=Bounds(messages=1000, bytes=5000))
    for seq in range(1, 1000, 50):
        hub.readings(seq, [rpm(float(n)) for n in range(50)])
        hub.flush()
        assert client.queued_bytes <= 5000
    assert client.dropped > 10


@pytest.mark.parametrize("words", [ROWS, POINTS])
async def test_a_slow_client_gets_the_latest(hub: Hub, words: Any) -> None:
    """By policy `latest` the newest reading of each signal waits, and every notice."""
    outlet = FakeOutlet(is_writable=False)
    client = listen(hub, outlet, words=words, policy=Policy.LATEST)
    for seq in range(1, 101):
        hub.readings(seq, [rpm(float(seq), 12 + seq % 2)])
        hub.publish("esp-1", 3, [(seq, rpm(float(seq)))])
    hub.event({"type": "log", "text": "…"})
    hub.flush()
    outlet.is_writable = True
    client.resumed()
    found = outlet.take()
    rows = [
        (frame["device"], *row)
        for frame in found
        if frame["type"] == "readings"
        for row in frame["readings"]
    ] or [
        (f["device"], f["seq"], f["signal"], 10, f["value"])
        for f in found
        if f["type"] == "reading"
    ]
    assert [row[:3] + row[4:5] for row in rows] == [
        ("car-1", 99, 13, 99.0),
        ("car-1", 100, 12, 100.0),
        ("esp-1", 100, 12, 100.0),
    ]
    assert [frame["type"] for frame in found].count("log") == 1
    assert (client.dropped, client.superseded) == (0, 197)


async def test_the_latest_of_one_who_reads_now_and_then(hub: Hub) -> None:
    """Each time it gets what has changed since, nothing twice; notices beyond the bound are told
    as lost; what it asks for anew comes after what was the latest."""
    outlet = FakeOutlet()
    client = listen(hub, outlet, words=POINTS, policy=Policy.LATEST)

    def read() -> list[tuple[str, object]]:
        outlet.is_writable = True
        client.resumed()
        found = [(m["type"], m.get("value", m.get("count"))) for m in outlet.take()]
        outlet.is_writable = False
        return found

    read()
    hub.readings(1, [rpm(1.0), rpm(2.0, 13)])
    hub.flush()
    hub.readings(3, [rpm(3.0)])
    hub.flush()
    assert read() == [("reading", 2.0), ("reading", 3.0)]
    assert client.superseded == 1
    hub.readings(4, [rpm(4.0, 13)])
    hub.flush()
    assert read() == [("reading", 4.0)]
    for _ in range(300):
        hub.event({"type": "log"})
        hub.flush()
    told = read()
    assert told[0] == ("dropped", 44)
    assert told[1:] == [("log", None)] * 256
    hub.readings(5, [rpm(5.0), rpm(6.0, 13)])
    hub.flush()
    hub.change(client, Selection(signals=frozenset({13})))
    hub.readings(7, [rpm(7.0), rpm(8.0, 13)])
    hub.flush()
    assert read() == [("reading", 5.0), ("reading", 6.0), ("reading", 8.0)]


async def test_resume_gives_exactly_what_was_missed(hub: Hub) -> None:
    """Whoever comes back with its last number gets each later reading once, in either form."""
    listen(hub, FakeOutlet())
    for seq in range(1, 100, 10):
        hub.readings(seq, [rpm(float(n)) for n in range(seq, seq + 10)])
    for words in (ROWS, POINTS):
        for after in (1, 2, 17, 50, 100, 101):
            outlet = FakeOutlet()
            client = hub.attach(outlet, words)
            await hub.catch_up(client, "77", after)
            hub.readings(101, [rpm(101.0)])
            hub.flush()
            found = outlet.take()
            values = [
                value
                for frame in found
                for value in (
                    [row[3] for row in frame["readings"]]
                    if frame["type"] == "readings"
                    else [frame["value"]]
                )
            ]
            # Number 1 stands for what was before the first client.
            assert values[: 101 - after] == [float(n) for n in range(after, 101)], (words, after)
            hub.detach(client)


async def test_resume_of_one_who_sees_less(hub: Hub) -> None:
    """What was missed is chosen like what comes."""
    listen(hub, FakeOutlet())
    hub.readings(1, [rpm(1.0), rpm(2.0, 13)])
    hub.publish("esp-1", 3, [(1, rpm(3.0)), (2, rpm(4.0, 13))])
    outlet = FakeOutlet()
    client = hub.attach(
        outlet, POINTS, Selection(devices=frozenset({"esp-1"}), signals=frozenset({13}))
    )
    await hub.catch_up(client, "77", 1)
    assert [(frame["n"], frame["value"]) for frame in outlet.take()] == [(5, 4.0)]


async def test_too_old_to_resume() -> None:
    """Where the ring has forgotten, the client is told what it lacks and where to fetch it."""
    hub = Hub("car-1", 77, SystemClock(), ring_bytes=4000, coalesce_s=0)
    listen(hub, FakeOutlet())
    for seq in range(1, 1001):
        hub.readings(seq, [rpm(float(seq))])
    outlet = FakeOutlet()
    client = hub.attach(outlet)
    await hub.catch_up(client, "77", 10)
    gap, first, *_ = outlet.take()
    assert (gap["type"], gap["after"]) == ("gap", 10)
    assert gap["resumes_at"] == first["n"] > 900
    assert gap["start_ns"] <= gap["end_ns"]
    assert gap["fetch"] == (
        f"/api/v1/readings?device={{device}}&start_ns={gap['start_ns']}&end_ns={gap['end_ns']}"
    )
    assert hub.counts.ring_bytes <= 4000
    assert hub.counts.gaps == 1
    hub.close()


async def test_another_run_cannot_be_resumed(hub: Hub) -> None:
    """Numbers of another run of the gateway say nothing; nor do numbers that never were."""
    listen(hub, FakeOutlet())
    hub.readings(1, [rpm(1.0)])
    for stream, after in (("78", 2), ("77", 1000)):
        outlet = FakeOutlet()
        await hub.catch_up(hub.attach(outlet), stream, after)
        gap, reading = outlet.take()
        assert (gap["type"], gap["start_ns"]) == ("gap", None)
        assert reading["type"] == "readings"


async def test_a_client_that_reads_slowly_catches_up(hub: Hub) -> None:
    """What was missed waits for the client, and what happens meanwhile comes after it."""
    listen(hub, FakeOutlet())
    for seq in range(1, 5001):
        hub.readings(seq, [rpm(float(seq))])
    outlet = FakeOutlet(is_writable=False)
    client = hub.attach(outlet, POINTS, bounds=Bounds(messages=2000))
    catching_up = asyncio.create_task(hub.catch_up(client, "77", 1))
    seen: list[float] = []
    seq = 5000
    async with asyncio.timeout(10):
        while not catching_up.done():
            await asyncio.sleep(0)
            seq += 1
            if seq <= 5010:
                hub.readings(seq, [rpm(float(seq))])
            outlet.is_writable = True
            client.resumed()
            outlet.is_writable = False
            seen += [frame["value"] for frame in outlet.take()]
    outlet.is_writable = True
    client.resumed()
    hub.flush()
    seen += [frame["value"] for frame in outlet.take()]
    assert seen == [float(n) for n in range(1, len(seen) + 1)]
    assert len(seen) == 5010


async def test_nothing_is_kept_while_nobody_is_expected(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some time after the last client has gone the ring is empty, and its return is a gap."""
    monkeypatch.setattr(hub_module, "RESUME_S", 0.01)
    assert not hub.wants_devices
    hub.readings(1, [rpm(1.0)])
    assert hub.number == 0
    client = listen(hub, FakeOutlet())
    hub.readings(2, [rpm(2.0)])
    last = hub.number
    hub.detach(client)
    assert hub.wants_devices
    hub.readings(3, [rpm(3.0)])
    assert hub.counts.ring_bytes > 0
    await asyncio.sleep(0.05)
    assert not hub.wants_devices
    assert hub.counts.ring_bytes == 0
    hub.readings(4, [rpm(4.0)])
    outlet = FakeOutlet()
    again = hub.attach(outlet)
    hub.greet(again)
    await hub.catch_up(again, "77", last + 1)
    assert [frame["type"] for frame in outlet.take()] == ["hello", "gap"]


async def test_a_detached_client_gets_nothing(hub: Hub) -> None:
    """After detach the hub holds nothing for the client."""
    outlet = FakeOutlet()
    client = listen(hub, outlet)
    hub.detach(client)
    hub.detach(client)
    hub.stored(1, 1)
    hub.flush()
    assert hub.clients == 0
    assert [frame["type"] for frame in outlet.take()] == ["hello"]


async def test_drained_waits_for_the_last_frame(hub: Hub) -> None:
    """`drained` returns when nothing waits any more, or the client has gone."""
    outlet = FakeOutlet(is_writable=False)
    client = listen(hub, outlet)
    waiting = asyncio.create_task(hub.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    outlet.is_writable = True
    client.resumed()
    await asyncio.wait_for(waiting, 5)
    outlet.is_writable = False
    hub.stored(1, 1)
    waiting = asyncio.create_task(hub.drained())
    await asyncio.sleep(0)
    hub.detach(client)
    await asyncio.wait_for(waiting, 5)


async def test_the_heart_beats_while_somebody_listens(
    hub: Hub,
) -> None:
    """Who asked for it gets heartbeats with the newest number; the beat ends with the last."""
    outlet = FakeOutlet()
    client = listen(hub, outlet)
    outlet.take()
    hub.beats(client, 0)
    async with asyncio.timeout(5):
        while len(outlet.writes) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
    beat = outlet.take()[0]
    assert (beat["type"], beat["n"]) == ("heartbeat", hub.number)
    hub.detach(client)
    await asyncio.sleep(0.01)
    assert not outlet.writes


async def test_words_that_fail_do_not_stop_the_stream(hub: Hub) -> None:
    """An event that one dialect cannot say reaches all others."""

    class Broken:
        def say(self, event: object) -> list[bytes]:
            raise RuntimeError("made up")

        def dropped(self, count: int) -> bytes:
            return b""

    outlet = FakeOutlet()
    listen(hub, FakeOutlet(), words=Broken())
    listen(hub, outlet)
    outlet.take()
    hub.readings(1, [rpm(1.0)])
    hub.flush()
    assert len(outlet.take()) == 1
