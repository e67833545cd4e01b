"""What boards sent: sizes, shares and losses, out of the bytes of a record made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rig.measures.measures import Measures
from rig.record.streams import Stored
from server.wire import frame
from server.wire.codec.encoder import Encoder
from server.wire.codec.profile import Profile, SignalPlan
from server.wire.telemetry_pb2 import Counters, Downlink, Hello, Refusal, Uplink
from tests.rig.measures.conftest import RPM, SPEED, at

BOOT = 77
PERIOD_S = 0.5
DEVICES = {"esp32": "esp32", "esp32-2": "esp32"}
PROFILE = Profile.cold(
    500,
    [SignalPlan(RPM, 1, 4, maximum=65535), SignalPlan(SPEED, divider=2)],
)
Bench = Any


def rows(count: int) -> list[list[int]]:
    """Each row has an RPM, every second one a SPEED too."""
    return [[3200 + 4 * n] + ([n % 200] if n % 2 == 0 else []) for n in range(count)]


class Board:
    """Packs rows, sends them, and lets the gateway store and acknowledge them."""

    def __init__(self, bench: Bench, name: str = "esp32") -> None:
        self.bench = bench
        self.name = name
        self.encoder = Encoder(PROFILE, BOOT)
        self.row = 0
        self.sent_bytes = 0

    def pack(self, count: int) -> bytes:
        """One packet of `count` rows; the samples are taken as the rows say."""
        for values in rows(count):
            time_s = self.row * PERIOD_S
            for name, value in zip(("RPM", "SPEED"), values, strict=False):
                real = value / 4 if name == "RPM" else float(value)
                self.bench.sample(time_s + 0.02, self.name, name, real, real)
            full = self.encoder.add(self.row, values)
            assert full is None
            self.row += 1
        packet = self.encoder.flush()
        assert packet is not None
        return bytes(packet)

    def send(self, time_s: float, packets: list[bytes], **more: Any) -> None:
        """An uplink over HTTP."""
        body = Uplink(device=self.name, boot=BOOT, packets=packets, **more).SerializeToString()
        self.bench.writer.wire(f"{self.name}.http", at(time_s), True, body)
        self.sent_bytes += len(body)

    def answer(self, time_s: float, **downlink: Any) -> None:
        body = Downlink(boot=BOOT, **downlink).SerializeToString()
        self.bench.writer.wire(f"{self.name}.http", at(time_s), False, body)

    def store(self, packet_seq: int, count: int, *, first_row: int = 0) -> None:
        """What a gateway without fault has in its store after the packet."""
        number = packet_seq * 65536
        for row, values in enumerate(rows(count), first_row):
            for signal, value in zip((RPM, SPEED), values, strict=False):
                number += 1
                real = value / 4 if signal == RPM else float(value)
                time_ns = at(row * PERIOD_S)
                received = at(30.0)
                self.bench.rows.append(
                    Stored(self.name, number, signal, time_ns, real, received, 0, received, BOOT)
                )


@pytest.fixture
def bench(bench: Callable[..., Bench]) -> Bench:
    """A record with two boards."""
    plan = {"esp32": {"RPM": 2.0, "SPEED": 1.0}}
    return bench(devices=DEVICES, plan=plan)


def hello() -> Hello:
    return Hello(profile=PROFILE.to_bytes())


def value(measures: Measures, name: str, **where: Any) -> float | None:
    found = measures.get(name, **where)
    return None if found is None else found.value


def test_sizes_are_those_of_the_plain_record_and_of_all_that_was_sent(bench: Bench) -> None:
    """A retry counts again, its readings do not."""
    board = Board(bench)
    packet = board.pack(20)
    board.send(10.0, [packet], hello=hello())
    board.send(15.0, [packet])
    board.answer(15.1, ack=1)
    board.store(0, 20)
    measures = bench.measures()
    plain_bytes = 20 * 7 + 30 * 5
    assert value(measures, "esp32.compression_ratio") == pytest.approx(
        plain_bytes / board.sent_bytes
    )
    assert value(measures, "esp32.bits_per_reading") == pytest.approx(8 * board.sent_bytes / 30)


def test_a_window_takes_what_was_sent_in_it(bench: Bench) -> None:
    """The phase "hard" begins at 10 s."""
    board = Board(bench)
    board.send(1.0, [board.pack(4)], hello=hello(), counters=Counters(queue_packets=1))
    before = board.sent_bytes
    board.send(12.0, [board.pack(6)], counters=Counters(queue_packets=3))
    measures = bench.measures()
    assert value(measures, "esp32.bits_per_reading", phase="hard") == pytest.approx(
        8 * (board.sent_bytes - before) / 9
    )
    assert value(measures, "esp32.queue_max", phase="calm") == 1
    assert value(measures, "esp32.queue_max") == 3


def test_frames_on_the_console_count_whole_and_the_log_between_them_does_not(bench: Bench) -> None:
    """Cut at any byte."""
    board = Board(bench)
    body = Uplink(boot=BOOT, hello=hello(), packets=[board.pack(4)]).SerializeToString()
    framed = frame.frame(frame.UPLINK, body)
    data = b"I (399) logger: up\r\n" + framed + b"I (400) logger: more\r\n"
    for index in range(0, len(data), 7):
        bench.writer.wire("esp32", at(5.0), True, data[index : index + 7])
    measures = bench.measures()
    assert value(measures, "esp32.bits_per_reading") == pytest.approx(8 * len(framed) / 6)


def test_a_profile_that_one_board_sends_is_that_of_all_who_name_it(bench: Bench) -> None:
    """A short hello is as good as a long one, also where the long one comes later, from another."""
    short = Hello(profile_hash=PROFILE.hash)
    first, second = Board(bench), Board(bench, "esp32-2")
    first.send(5.0, [first.pack(4)], hello=short)
    second.send(9.0, [second.pack(8)], hello=short)
    second.send(9.5, [], hello=hello())
    sent_bytes = first.sent_bytes + second.sent_bytes
    measures = bench.measures()
    assert value(measures, "esp32.bits_per_reading") == pytest.approx(8 * sent_bytes / (6 + 12))


def test_suppression_is_what_the_codec_says_of_each_packet(bench: Bench) -> None:
    """Readings as predicted, of all."""
    from server.wire.codec.decoder import Decoder

    board = Board(bench)
    packet = board.pack(20)
    board.send(10.0, [packet], hello=hello())
    decoded = Decoder(PROFILE, BOOT).decode(packet)
    measures = bench.measures()
    assert decoded.transmitted + decoded.suppressed == 30
    assert value(measures, "esp32.suppression_ratio") == pytest.approx(decoded.suppressed / 30)


def test_what_was_acknowledged_and_is_not_in_the_store_is_lost(bench: Bench) -> None:
    """Half a packet, and a whole one; what was never acknowledged is not."""
    board = Board(bench)
    packets = [board.pack(4), board.pack(6), board.pack(8)]
    board.send(10.0, packets, hello=hello())
    board.answer(10.1, ack=1, acked=[1])
    board.store(0, 2)
    assert value(bench.measures(), "readings.lost") == 3 + 9


def test_packets_that_were_given_up_are_not_lost(bench: Bench) -> None:
    """The board said so, or the gateway refused them for good: neither accepted them."""
    board = Board(bench)
    packets = [board.pack(4), board.pack(6)]
    board.send(10.0, packets, hello=hello())
    board.answer(10.1, refused=[Refusal(seq=0, reason="clock")])
    board.send(11.0, [], voids=[1])
    board.answer(11.1, ack=2)
    assert value(bench.measures(), "readings.lost") == 0


def test_readings_of_two_boots_with_one_number_are_two(bench: Bench) -> None:
    """Nothing is doubled by a reset; the same row twice is."""
    board = Board(bench)
    board.pack(2)
    board.answer(19.0)
    for boot, row in ((1, 0), (2, 1)):
        received, time_ns = at(20.0), at(row * PERIOD_S)
        bench.rows.append(
            Stored("esp32", 1, RPM, time_ns, 800.0 + row, received, 0, received, boot)
        )
    assert value(bench.measures(), "readings.doubled") == 0


def test_two_readings_of_one_sample_are_one_too_many(bench: Bench) -> None:
    """Whatever their numbers."""
    board = Board(bench)
    board.pack(1)
    board.answer(19.0)
    for seq in (1, 65537):
        received = at(20.0)
        bench.rows.append(Stored("esp32", seq, RPM, at(0.0), 800.0, received, 0, received, BOOT))
    assert value(bench.measures(), "readings.doubled") == 1


def test_two_boards_are_measured_against_their_own_samples(bench: Bench) -> None:
    """The same instants, other values."""
    for number, name in enumerate(DEVICES):
        for second in range(10):
            speed = float(10 * number + second)
            bench.sample(second + 0.03, name, "SPEED", speed, speed)
            received = at(12.0)
            bench.rows.append(
                Stored(name, 1 + second, SPEED, at(second), speed, received, 0, received, BOOT)
            )
    measures = bench.measures()
    assert value(measures, "esp32.fidelity.max") == 0.0
    assert value(measures, "esp32.missing") == 0
    assert value(measures, "esp32.time_error.max") == pytest.approx(30.0)
    link = measures.links["esp32"]
    assert link.devices == 2


def test_a_wrong_value_of_one_board_shows(bench: Bench) -> None:
    """In steps; and what has no sample near it is matched to none."""
    bench.sample(1.02, "esp32", "SPEED", 50.0, 50.0)
    received = at(12.0)
    for number, (time_s, speed) in enumerate([(1.0, 53.0), (5.0, 50.0)], 1):
        bench.rows.append(
            Stored("esp32", number, SPEED, at(time_s), speed, received, 0, received, BOOT)
        )
    measures = bench.measures()
    assert value(measures, "esp32.fidelity.max") == 3.0
    matched = measures.links["esp32"].stored["SPEED"]
    assert matched.has_sample.tolist() == [True, False]


def test_coverage_counts_every_boards_plan(bench: Bench) -> None:
    """One of two boards that says nothing halves it."""
    for second in range(20):
        bench.sample(second + 0.02, "esp32", "SPEED", 1.0, 1.0)
        bench.sample(second + 0.02, "esp32-2", "SPEED", 1.0, 1.0)
        received = at(25.0)
        bench.rows.append(
            Stored("esp32", 1 + second, SPEED, at(second), 1.0, received, 0, received, BOOT)
        )
    measures = bench.measures()
    # RPM: 0 of 2 x 40; SPEED: 20 of 2 x 20.
    assert value(measures, "esp32.coverage") == pytest.approx(100.0 * 20 / 120)
    assert value(measures, "esp32.missing") == 20


def test_readings_of_boards_are_none_of_the_gateways_own_links(bench: Bench) -> None:
    """An RPM of a board is no RPM of the adapter."""
    bench.poll(RPM, [1.0, 2.0])
    Board(bench).store(0, 2)
    measures = bench.measures()
    assert len(measures.links["obd"].stored["RPM"].readings) == 2
    assert len(measures.links["esp32"].stored["RPM"].readings) == 2


def test_commits_of_boards_come_from_their_own_acknowledgements(bench: Bench) -> None:
    """Not from those of the gateway's links."""
    board = Board(bench)
    board.pack(2)
    board.store(0, 2)
    bench.writer.stored_at(BOOT, 3, at(31.0), "esp32", 1)
    bench.writer.stored_at(5, 99, at(30.2))
    found = bench.measures().get("esp32.latency.stored.max")
    assert found is not None
    assert found.value == pytest.approx(31_000 - 20)


def test_resets_and_crashes_come_from_the_events(bench: Bench) -> None:
    """A board's first start is none, whatever its reason."""
    for time_s, board, name, reason in (
        (0.0, "esp32", "start", "power-on"),
        (0.0, "esp32-2", "start", "power-on"),
        (5.0, "esp32", "start", "watchdog"),
        (6.0, "esp32", "crash", ""),
        (6.0, "esp32", "start", "panic"),
        (12.0, "esp32-2", "start", "power-on"),
    ):
        bench.writer.event(at(time_s), "esp32", {"name": name, "phase": board, "reason": reason})
    measures = bench.measures()
    assert value(measures, "esp32.resets") == 3
    assert value(measures, "esp32.resets", phase="calm") == 2
    assert value(measures, "esp32.crashes") == 1
    assert value(measures, "esp32.provisioned") is None


def test_published_and_stored_rows_of_boards_are_compared_whole(bench: Bench) -> None:
    """With device and boot: another board's reading of the same number is another reading."""
    row = (1, SPEED, at(1), 50.0, at(3), 0)
    bench.writer.published(at(3.1), [row], "esp32", BOOT)
    for name in DEVICES:
        bench.rows.append(Stored(name, *row, at(3), BOOT))
    assert value(bench.measures(), "readings.unpublished") == 1


def test_garbage_among_the_messages_is_no_message(bench: Bench) -> None:
    """It counts as sent, and says nothing."""
    board = Board(bench)
    bench.writer.wire("esp32.http", at(1.0), True, b"\xff" * 40)
    board.send(2.0, [board.pack(4), b"\x00damaged"], hello=hello())
    measures = bench.measures()
    assert value(measures, "esp32.bits_per_reading") == pytest.approx(
        8 * (board.sent_bytes + 40) / 6
    )


@pytest.mark.parametrize("error_s", [-0.2, 0.0, 0.2, 0.45])
def test_a_device_whose_clock_is_off_is_matched_all_the_same(bench: Bench, error_s: float) -> None:
    """By less than half the time between two samples; time_error tells how far."""
    received = at(19.5)
    for second in range(1, 16):
        bench.sample(second + 0.02, "esp32", "SPEED", float(second), float(second))
        row = (1 + second, SPEED, at(second + error_s), float(second), received, 0, received, BOOT)
        bench.rows.append(Stored("esp32", *row))
    measures = bench.measures()
    assert value(measures, "esp32.fidelity.max") == 0.0
    assert value(measures, "esp32.missing") == 0
    error_ms = value(measures, "esp32.time_error.max")
    assert error_ms == pytest.approx(abs(error_s - 0.02) * 1000)


def test_after_a_reset_a_reading_is_not_taken_for_a_lost_one(bench: Bench) -> None:
    """The last samples before it went with the open packet; the next row stands right behind."""
    received = at(19.5)
    for time_s, speed in ((1.02, 10.0), (2.02, 20.0), (2.6, 30.0), (3.62, 40.0)):
        bench.sample(time_s, "esp32", "SPEED", speed, speed)
    for number, (time_s, speed) in enumerate([(1.0, 10.0), (2.58, 30.0), (3.6, 40.0)], 1):
        row = (number, SPEED, at(time_s), speed, received, 0, received, BOOT)
        bench.rows.append(Stored("esp32", *row))
    measures = bench.measures()
    assert value(measures, "esp32.fidelity.max") == 0.0
    assert value(measures, "esp32.missing") == 1


def test_readings_in_segments_are_those_of_their_packets(bench: Bench) -> None:
    """Segments keep no numbers: the live stream has them; unseen ones may be of any packet."""
    board = Board(bench)
    board.send(10.0, [board.pack(4), board.pack(2)], hello=hello())
    board.answer(10.1, ack=2)
    board.store(0, 4)
    for row in bench.rows:
        shown = (row.seq, row.signal, row.time_ns, row.value, row.received_ns, row.state)
        bench.writer.published(at(30.1), [shown], row.device, row.boot)
    board.store(1, 2, first_row=4)
    bench.rows[:] = [row._replace(seq=0, received_ns=0, written_ns=0) for row in bench.rows]
    del bench.rows[7:]  # of the second packet one of three is left, which no client saw
    del bench.rows[0]
    assert value(bench.measures(), "readings.lost") == 3
