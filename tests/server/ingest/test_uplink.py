"""Uplinks of edge loggers: what was measured is stored, once, whatever gets lost on the way."""

from __future__ import annotations

import asyncio
import random
import struct
from typing import Any

import pytest
import structlog

import server.ingest.uplink as uplink_module
from firmware_stubs.links import SerialLink
from firmware_stubs.uplink import MOST_PACKETS, MOST_VOIDS
from server.gateway import Gateway
from server.ingest import limits
from server.readings import State
from server.wire import messages
from server.wire.codec.decoder import peek
from server.wire.codec.profile import Profile, SignalPlan
from server.wire.messages import read_downlink
from server.wire.telemetry_pb2 import Downlink, Uplink
from tests.server.ingest.conftest import Sender, rows, stored
from tests.server.ingest.logger import FUEL, START_MS, Logger, plan, truth
from tests.server.running import gateway_config, running

BOOT = 0xC0FFEE


async def check(url: str, count: int, boot: int = BOOT, device: str = "esp-1") -> None:
    """Check that exactly the first rows are stored: each reading once, with its exact value."""
    found = [r for r in await stored(url, device) if r.boot == boot]
    expected = truth(count)
    assert {(r.signal, r.time_ns) for r in found} == set(expected)
    assert len(found) == len(expected)
    for reading in found:
        error = abs(reading.value - expected[reading.signal, reading.time_ns])
        if reading.signal == FUEL:
            assert reading.state is State.BOUNDED
            assert error <= 2 * 20 / 51 + 1e-9
        else:
            assert reading.state is State.MEASURED
            assert error == 0


async def send(sender: Sender, body: bytes) -> Downlink:
    """Send an uplink that is to be taken."""
    answer = await sender.post("/uplink", body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-protobuf"
    return Downlink.FromString(answer.content)


async def test_a_drive_is_stored_exactly(sender: Sender, database_url: str) -> None:
    """Rows come out as readings at their instants, bit for bit, and are acknowledged."""
    logger = Logger(BOOT)
    packets = logger.drive(1000)
    answer = await send(sender, logger.uplink())
    assert (answer.boot, answer.ack) == (BOOT, len(packets))
    assert not answer.refused
    assert not answer.need_hello
    assert not answer.need_key
    await check(database_url, 1000)
    tally = answer.tally
    assert tally.readings == len(truth(1000)) == tally.transmitted + tally.suppressed
    assert tally.bytes_sent == sum(map(len, packets)) < tally.bytes_plain
    (day,) = await rows(database_url, "SELECT * FROM device_days")
    assert (day["readings"], day["suppressed"]) == (tally.readings, tally.suppressed)


async def test_the_same_uplink_again_changes_nothing(sender: Sender, database_url: str) -> None:
    """A repeated uplink gets the same acknowledgements and totals, and writes nothing."""
    logger = Logger(BOOT)
    packets = logger.drive(600)
    body = logger.uplink(packets[:1] + packets[2:])
    first = await send(sender, body)
    before = await rows(database_url, "SELECT * FROM device_boots")
    again = await send(sender, body)
    first.now_ms = again.now_ms = 0
    assert first == again
    assert first.ack == 1
    assert list(first.acked) == [peek(packet)[0] for packet in packets[2:]]
    assert await rows(database_url, "SELECT * FROM device_boots") == before


async def test_packets_in_any_order_and_number(sender: Sender, database_url: str) -> None:
    """Lost, doubled and reordered packets: in the end everything is stored once."""
    chance = random.Random(7)
    logger = Logger(BOOT)
    waiting: list[bytes] = []
    answer = await send(sender, logger.uplink([]))
    for _ in range(25):
        waiting += logger.drive(60)
        batch = [packet for packet in waiting if chance.random() > 0.3]
        batch += chance.sample(batch, len(batch) // 3)
        chance.shuffle(batch)
        answer = await send(sender, logger.uplink(batch, hello=False))
        if chance.random() > 0.3:  # the answer arrives
            logger.hear(answer.SerializeToString())
            waiting = [
                packet
                for packet in waiting
                if not (peek(packet)[0] < answer.ack or peek(packet)[0] in answer.acked)
            ]
    for _ in range(3):
        answer = await send(sender, logger.uplink(waiting, hello=False))
    assert answer.ack == len(logger.packets)
    await check(database_url, logger.rows)


async def test_without_a_hello_it_is_asked_for(sender: Sender, database_url: str) -> None:
    """Packets of an unknown boot are not acknowledged before the hello; then they are."""
    logger = Logger(BOOT)
    packets = logger.drive(300)
    answer = await send(sender, logger.uplink(hello=False))
    assert answer.need_hello
    assert answer.ack == 0
    assert not answer.acked
    assert not answer.refused
    assert await stored(database_url) == []
    answer = await send(sender, logger.uplink())
    assert (answer.need_hello, answer.ack) == (False, len(packets))
    await check(database_url, 300)


async def test_a_restart_of_the_gateway_goes_on(database_url: str) -> None:
    """After a restart packets continue from committed ones, and known ones are known."""
    logger = Logger(BOOT)
    async with running(gateway_config(database_url)) as gateway:
        _, minted = await gateway.registry.register("esp-1")
        sender = Sender(gateway.url, minted.key)
        first = logger.drive(400)
        logger.hear((await send(sender, logger.uplink(first))).SerializeToString())
        await sender.http.aclose()
    second = logger.drive(400)
    assert peek(second[0])[1] == "D"
    async with running(gateway_config(database_url)) as gateway:
        sender = Sender(gateway.url, minted.key)
        answer = await send(sender, logger.uplink(first[-2:] + second, hello=False))
        assert answer.ack == len(first) + len(second)
        assert not answer.need_hello
        assert not answer.need_key
        assert answer.tally.readings == len(truth(800))
        await sender.http.aclose()
    await check(database_url, 800)


async def test_a_missing_state_is_asked_for(
    gateway: Gateway, sender: Sender, database_url: str
) -> None:
    """A packet that continues from an unknown one is named in need_key, not acknowledged."""
    logger = Logger(BOOT)
    first = logger.drive(100)
    logger.encoder.acknowledged(peek(first[-1])[0])  # an acknowledgement that nobody gave
    second = logger.drive(100)
    answer = await send(sender, logger.uplink(second))
    missing = [peek(packet)[0] for packet in second if peek(packet)[1] == "D"]
    assert missing
    assert list(answer.need_key) == missing
    assert not set(answer.acked) & set(missing)
    answer = await send(sender, logger.uplink(first + second))
    assert answer.ack == len(first) + len(second)
    await check(database_url, 200)


async def test_damaged_packets_are_refused(
    gateway: Gateway, sender: Sender, database_url: str
) -> None:
    """Damaged packets and those of another boot are refused with a reason; void, they are gone."""
    logger, other = Logger(BOOT), Logger(BOOT + 1)
    packets = logger.drive(600)
    foreign = other.drive(600)[1]
    damaged = bytearray(packets[2])
    damaged[-1] ^= 1
    sent = [packets[0], foreign, bytes(damaged), b"", b"\0" * 9, *packets[3:]]
    answer = await send(sender, logger.uplink(sent))
    assert answer.ack == 1
    assert [refusal.seq for refusal in answer.refused] == [1, 2]
    assert all("check sum" in refusal.reason for refusal in answer.refused)
    answer = await send(sender, logger.uplink([], hello=False, voids=[1, 2]))
    assert answer.ack == len(packets)
    await gateway.ingest.log.close()
    (kept,) = await rows(database_url, "SELECT * FROM device_refusals")
    assert (kept["reason"], kept["count"]) == ("packet", 4)


async def test_instants_without_a_clock(sender: Sender, database_url: str) -> None:
    """A device that does not know the time gets the gateway's; that stays, whatever comes again."""
    logger = Logger(BOOT)
    packets = logger.drive(300)
    message = Uplink.FromString(logger.uplink(packets[:1]))
    message.time.row, message.time.utc_ms = 290, 0
    answer = await send(sender, message.SerializeToString())
    await asyncio.sleep(0.05)
    del message.packets[:]
    message.packets.extend(packets[1:])
    message.time.row = 295
    await send(sender, message.SerializeToString())
    found = await stored(database_url)
    first_ns = min(r.time_ns for r in found)
    assert abs(first_ns // 1_000_000 + 29_000 - answer.now_ms) < 5_000
    assert {(r.signal, r.time_ns - first_ns) for r in found} == {
        (signal, time_ns - START_MS * 1_000_000) for signal, time_ns in truth(300)
    }


@pytest.mark.parametrize(
    "utc_ms", [1, 2**63, START_MS + 3_000_000 + 7_200_000], ids=["past", "absurd", "future"]
)
async def test_impossible_clocks(
    gateway: Gateway, sender: Sender, database_url: str, utc_ms: int
) -> None:
    """A time base in the far past or future counts as none, and is counted."""
    logger = Logger(BOOT)
    logger.drive(50)
    message = Uplink.FromString(logger.uplink())
    message.time.utc_ms = utc_ms
    answer = await send(sender, message.SerializeToString())
    assert answer.ack == len(logger.packets)
    now_ns = answer.now_ms * 1_000_000
    assert all(abs(r.time_ns - now_ns) < 20e9 for r in await stored(database_url))
    await gateway.ingest.log.close()
    (kept,) = await rows(database_url, "SELECT * FROM device_refusals")
    assert kept["reason"] == "time base"


async def test_rows_of_the_far_future_are_refused(sender: Sender, database_url: str) -> None:
    """A packet whose rows would be measured hours from now is refused by its number."""
    logger = Logger(BOOT)
    logger.rows = 2_000_000
    logger.drive(20)
    answer = await send(sender, logger.uplink())
    assert "ahead" in answer.refused[0].reason
    assert await stored(database_url) == []


async def test_uplinks_of_one_device_at_once(sender: Sender, database_url: str) -> None:
    """Uplinks that come at once take turns; more than a few are asked to wait."""
    logger = Logger(BOOT)
    packets = logger.drive(900)
    bodies = [logger.uplink(packets[:n]) for n in range(2, 11)]
    answers = await asyncio.gather(*(sender.post("/uplink", body) for body in bodies))
    codes = [answer.status_code for answer in answers]
    assert set(codes) <= {200, 429}
    assert codes.count(200) >= 4
    assert all(a.headers["retry-after"] == "1" for a in answers if a.status_code == 429)
    answer = await send(sender, logger.uplink())
    assert answer.ack == len(packets)
    await check(database_url, 900)


def _with(change: dict[str, Any]) -> bytes:
    message = Uplink.FromString(Logger(BOOT).uplink())
    for path, value in change.items():
        place: Any = message
        *names, last = path.split(".")
        for name in names:
            place = getattr(place, name)
        setattr(place, last, value)
    return message.SerializeToString()


def _profile(**fields: int) -> bytes:
    return Profile.cold(100, [SignalPlan(**fields)]).to_bytes()


BAD = [
    (b"\xff", "body"),
    (_with({"boot": 0}), "boot"),
    (_with({"device": "another"}), "device"),
    (_with({"hello.profile": b"TRP1"}), "hello.profile"),
    (_with({"hello.profile": b"anything"}), "hello.profile"),
    (_with({"hello.profile": _profile(id=9999)}), "hello.profile.signals[0].id"),
    (_with({"hello.profile": _profile(id=12, scale_num=2**60)}), "hello.profile.signals[0].scale"),
    (_with({"hello.vin": "V" * 33}), "hello.vin"),
    (Uplink(boot=1, packets=[bytes(5000)]).SerializeToString(), "packets[0]"),
    (Uplink(boot=1, packets=[b"x"] * 2000).SerializeToString(), "body"),
    (_with({"hello.firmware": "x" * 50_000}), "hello"),
]


@pytest.mark.parametrize(("body", "where"), BAD, ids=range(len(BAD)))
async def test_bad_uplinks_are_refused_by_name(
    sender: Sender, database_url: str, body: bytes, where: str
) -> None:
    """What is no uplink of this device is answered with 4xx and the field's name."""
    answer = await sender.post("/uplink", body)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["where"] == where, answer.text


async def test_a_packet_of_millions_of_rows_is_refused(sender: Sender) -> None:
    """A few bytes that claim more rows than a packet may have are refused before any is made."""
    logger = Logger(BOOT)
    good = logger.drive(30)[0]
    varint = b"\xff\xff\xff\x7f"
    bomb = good[:2] + b"\0" + varint + good[4:]
    answer = await send(sender, logger.uplink([bomb]))
    assert "readings expected" in answer.refused[0].reason


async def test_an_uplink_is_decoded_for_a_while_only(
    sender: Sender, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packets beyond the bound of one uplink are left, damaged ones count; they come again."""
    monkeypatch.setattr(uplink_module, "UPLINK_READINGS", 400)
    logger = Logger(BOOT)
    packets = logger.drive(900)
    damaged = [packet[:-1] + bytes([packet[-1] ^ 1]) for packet in packets]
    answer = await send(sender, logger.uplink(damaged))
    assert 0 < len(answer.refused) < len(packets)
    rounds = 0
    while answer.ack < len(packets):
        answer = await send(sender, logger.uplink(hello=False))
        rounds += 1
    assert rounds >= 900 * 2 / 400 / 2
    await check(database_url, 900)


async def test_numbers_beyond_the_last(sender: Sender) -> None:
    """A packet whose number no answer could carry is dropped; the greatest void is still told."""
    logger = Logger(BOOT)
    good = logger.drive(30)[0]
    for varint in (b"\xff\xff\xff\x7f", b"\xff" * 9 + b"\x7f"):
        answer = await send(sender, logger.uplink([good[:1] + varint + good[2:]]))
        assert not answer.acked
    answer = await send(sender, logger.uplink([], voids=[2**32 - 1, 2**32 - 2]))
    assert list(answer.acked) == [2**32 - 2]


async def test_answers_are_what_a_board_can_read(gateway: Gateway, sender: Sender) -> None:
    """However much there is to say, the firmware can read the answer; the rest comes later."""
    logger = Logger(BOOT)
    message = Uplink.FromString(logger.uplink([]))
    message.hello.templates.add(name="say", description="", schema='{"type": "object"}')
    await send(sender, message.SerializeToString())
    for number in range(30):
        await gateway.control.order("esp-1", "say", {"text": "x" * (1 if number else 4000)})
    packet = logger.drive(3)[0]
    damaged = [
        packet[:1] + bytes([number % 128 | 128, number // 128]) + packet[2:]
        for number in range(1, 300)
    ]
    body = logger.uplink(damaged, voids=range(6000, 8000, 2))
    answer = await sender.post("/uplink", body)
    assert answer.status_code == 200
    read = read_downlink(answer.content)
    assert len(read.commands) == 16
    assert len(read.acked) == 512
    assert len(read.refused) + len(read.need_key) == 64
    assert len(answer.content) <= SerialLink.LONGEST_DOWNLINK_BYTES
    later = read_downlink((await sender.post("/uplink", body)).content)
    assert later.acked == read.acked


async def test_long_commands_wait_for_a_later_answer(gateway: Gateway, sender: Sender) -> None:
    """However long the commands, an answer is one that the board's line takes; none is lost."""
    logger = Logger(BOOT)
    message = Uplink.FromString(logger.uplink([]))
    message.hello.templates.add(name="say", description="", schema='{"type": "object"}')
    await send(sender, message.SerializeToString())
    for _ in range(8):
        await gateway.control.order("esp-1", "say", {"text": "x" * 4000})
    answer = await sender.post("/uplink", logger.uplink(hello=False))
    assert len(answer.content) <= SerialLink.LONGEST_DOWNLINK_BYTES
    assert len(read_downlink(answer.content).commands) == 3


def test_the_gateway_says_no_more_than_a_board_reads() -> None:
    """The bounds of an answer are within those of the firmware's tables and of its serial line."""
    most = {field.name: field.count for field in messages.Downlink.FIELDS if field.count}
    assert most["acked"] >= limits.ANSWER_ACKED
    assert min(most["refused"], most["need_key"]) >= limits.ANSWER_REFUSED
    assert most["commands"] >= limits.ANSWER_COMMANDS
    longest = {field.name: field.most for field in messages.Command.FIELDS}
    assert longest["parameters"] >= limits.ANSWER_COMMAND_BYTES
    longest = {field.name: field.most for field in messages.Refusal.FIELDS}
    assert longest["reason"] >= limits.ANSWER_REASON_CHARACTERS * 4
    assert limits.ANSWER_BYTES <= SerialLink.LONGEST_DOWNLINK_BYTES
    assert MOST_PACKETS <= limits.ANSWER_REFUSED
    assert MOST_PACKETS + MOST_VOIDS <= limits.ANSWER_ACKED


async def test_the_vehicle_of_a_hello(gateway: Gateway, sender: Sender, database_url: str) -> None:
    """The VIN of a hello is that of the session, of the statistics and of the device."""
    vin = "WF0DXXGAKDDK12345"
    logger = Logger(BOOT)
    logger.drive(50)
    message = Uplink.FromString(logger.uplink())
    message.hello.vin = vin
    await send(sender, message.SerializeToString())
    (session,) = await rows(database_url, "SELECT vin FROM sessions WHERE remote")
    (day,) = await rows(database_url, "SELECT vin FROM device_days")
    device = await gateway.registry.find("esp-1")
    assert device is not None
    assert session["vin"] == day["vin"] == device.vin == vin


async def test_a_new_profile_in_the_same_boot(sender: Sender, database_url: str) -> None:
    """A hello with another profile begins anew; what was stored stays."""
    logger = Logger(BOOT)
    first = logger.drive(100)
    await send(sender, logger.uplink())
    other = Logger(BOOT)
    other.profile = Profile.cold(100, [*plan().signals[:2]])
    other.encoder = type(other.encoder)(other.profile, BOOT, first_seq=len(first))
    packets = []
    for number in range(100, 200):
        packet = other.encoder.add(number, [number * 10, 5])
        packets += [packet] if packet is not None else []
    last = other.encoder.flush()
    assert last is not None
    answer = await send(sender, other.uplink([*packets, last]))
    assert answer.ack == len(first) + len(packets) + 1
    assert len(await stored(database_url)) == len(truth(100)) + 200


@pytest.mark.promise("D11")
async def test_commands_go_out_and_results_come_in(gateway: Gateway, sender: Sender) -> None:
    """A device that told a command gets it in an answer; its result is kept."""
    logger = Logger(BOOT)
    message = Uplink.FromString(logger.uplink())
    message.hello.templates.add(name="get_status", description="", schema='{"type": "object"}')
    assert not (await send(sender, message.SerializeToString())).commands
    order = await gateway.control.order("esp-1", "get_status", {})
    (command,) = (await send(sender, logger.uplink(hello=False))).commands
    assert (command.id, command.name, command.parameters) == (order.id, "get_status", "{}")
    result = Uplink(boot=BOOT)
    result.results.add(id=command.id, status=1, detail='"fine"')
    await send(sender, result.SerializeToString())
    found = await gateway.control.command("esp-1", order.id)
    assert found is not None
    assert found.state == "done"


async def test_lines_of_the_device_go_to_the_log(sender: Sender) -> None:
    """Log lines of an uplink are in the gateway's log, at their level, cleaned."""
    message = Uplink(boot=BOOT)
    message.logs.add(level=30, text="can: bus off\x1b[2J", uptime_ms=5)
    message.logs.add(level=4_000_000_000, text="x" * 600)
    with structlog.testing.capture_logs() as logs:
        await send(sender, message.SerializeToString())
    lines = [entry for entry in logs if entry.get("device") == "esp-1" and "uptime_ms" in entry]
    assert [(line["event"][:15], line["log_level"]) for line in lines] == [
        ("can: bus off�[2", "warning"),
        ("x" * 15, "critical"),
    ]
    assert max(len(line["event"]) for line in lines) == 500


def test_values_of_the_plan_are_exact() -> None:
    """The plan's scales give the values that the truth is compared with."""
    assert [struct.pack("<d", s.value(7)) for s in plan().signals] == [
        struct.pack("<d", value) for value in (7 / 4, 7.0, 7 * 20 / 51)
    ]
