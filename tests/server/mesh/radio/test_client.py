"""The radio client: every trap of the library and of its wire, in a clock that the test moves."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from meshtastic.protobuf import mesh_pb2, telemetry_pb2

from server.errors import LinkLost
from server.mesh.radio import client as radio_module
from server.mesh.radio.client import PENDING, RadioClient, most_bytes
from server.mesh.radio.framing import frame
from server.mesh.radio.packets import (
    BROADCAST,
    TELEMETRY_PORT,
    Acked,
    Channel,
    Event,
    Lost,
    Mute,
    Notice,
    Packet,
    Queued,
    Ready,
    Rebooted,
    Refused,
    SendRefused,
    Utilisation,
)
from tests.server.mesh.fake_radio import CAR, NODE, FakeRadio, ManualClock, MemoryTransport


class Bench:
    """A client on a fake radio, and what it told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, radio: FakeRadio | None = None) -> None:
        self.radio = radio or FakeRadio()
        self.clock = ManualClock()
        self.line = MemoryTransport(self.radio, self.clock)
        monkeypatch.setattr(radio_module, "transport", lambda port: self.line)
        self.packets: list[Packet] = []
        self.events: list[Event] = []
        self.client = RadioClient(
            "fake", clock=self.clock, on_packet=self.packets.append, on_event=self.events.append
        )

    def told(self, kind: type[Any]) -> list[Any]:
        """Events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def run(self, for_s: float) -> None:
        """Serve for some seconds."""
        stop = threading.Event()

        def end() -> None:
            stop.set()
            self.client.wake()

        self.line.at(self.clock.time_s + for_s, end)
        self.client.serve(stop)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A client whose handshake is complete."""
    made = Bench(monkeypatch)
    made.client.open()
    made.run(0.1)
    return made


Make = Callable[[FakeRadio], Bench]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a client on a radio, not open yet."""
    return lambda radio: Bench(monkeypatch, radio)


# -- the handshake ---------------------------------------------------------------------------------
def test_a_radio_tells_what_it_is(bench: Bench) -> None:
    """After the handshake the settings that matter are known."""
    info = bench.client.info
    assert info is not None
    assert (info.node, info.id, info.long_name, info.short_name) == (
        NODE,
        "!a1b2c3d4",
        "Base",
        "BASE",
    )
    assert (info.region, info.preset, info.hop_limit) == ("EU_868", "LONG_FAST", 3)
    assert (info.bandwidth_khz, info.spreading, info.coding) == (250.0, 11, 5)
    assert (info.duty_cycle_pct, info.sends, info.settings_known) == (10.0, True, True)
    assert (info.hardware, info.firmware) == ("HELTEC_V3", "2.7.11.fake")
    assert info.channels == (Channel(0, "", True), Channel(1, "cars", False))
    assert bench.told(Ready) == [Ready(info)]
    assert bench.told(Utilisation) == [Utilisation(4.5, 1.25)]


@pytest.mark.parametrize("part", ["node_info", "metadata", "channels", "config"])
def test_a_handshake_without_what_is_not_needed(make: Make, part: str) -> None:
    """Only my_info and the end are needed; what is not told has its default."""
    bench = make(FakeRadio(left_out=(part,)))
    info = bench.client.open()
    assert info.node == NODE
    assert info.settings_known == (part != "config")
    assert bench.clock.time_s < 101.0


def test_settings_that_got_lost_are_asked_for_again(make: Make) -> None:
    """A serial line may lose one message of the handshake; then it begins once more."""
    radio = FakeRadio(left_out=("config",))
    shake_hands = radio._shake_hands

    def complete_the_second_time(nonce: int) -> None:
        shake_hands(nonce)
        radio.left_out = ()

    radio._shake_hands = complete_the_second_time  # type: ignore[method-assign]
    bench = make(radio)
    info = bench.client.open()
    assert (info.settings_known, info.region) == (True, "EU_868")
    assert bench.told(Ready) == [Ready(info)]


def test_without_settings_packets_are_still_relayed(make: Make) -> None:
    """The library sends a hop limit of 0 when the radio's settings are not known."""
    bench = make(FakeRadio(left_out=("config",)))
    bench.client.open()
    bench.client.send(b"x")
    bench.run(1.0)
    assert bench.radio.sent[0].hop_limit == 3


@pytest.mark.parametrize(
    ("part", "found"),
    [("my_info", "none of them my_info"), ("complete", "without an end (config_complete_id)")],
)
def test_a_handshake_that_never_completes_ends(make: Make, part: str, found: str) -> None:
    """The library waits for 300 or 30 s; here it ends in a minute, and says what is missing."""
    bench = make(FakeRadio(left_out=(part,)))
    with pytest.raises(LinkLost, match=r"handshake of a Meshtastic radio at fake") as raised:
        bench.client.open()
    assert found in str(raised.value)
    assert bench.clock.time_s - 100.0 <= radio_module.MOST_HANDSHAKE_S + 1.0
    assert bench.told(Lost) == [Lost(str(raised.value))]


def test_silence_at_the_port(make: Make) -> None:
    """A port with nobody behind it is told as such, in a quarter of a minute."""
    bench = make(
        FakeRadio(left_out=("my_info", "node_info", "metadata", "channels", "config", "complete"))
    )
    with pytest.raises(LinkLost, match="found silence"):
        bench.client.open()
    assert bench.clock.time_s - 100.0 <= radio_module.HANDSHAKE_S + 1.0


def test_another_device_at_the_port(make: Make) -> None:
    """A GPS receiver is no radio."""
    bench = make(
        FakeRadio(left_out=("my_info", "node_info", "metadata", "channels", "config", "complete"))
    )
    for second in range(20):
        bench.line.at(
            100.0 + second, lambda: bench.radio.out.extend(b"$GPRMC,,V,,,,,,,,,,N*53\r\n")
        )
    with pytest.raises(LinkLost, match="bytes and no message of a radio"):
        bench.client.open()


def test_a_radio_that_takes_no_bytes(make: Make) -> None:
    """A port that is not drained is noticed while shaking hands."""
    bench = make(FakeRadio())
    bench.radio.is_frozen = True
    with pytest.raises(LinkLost, match="took none for 10 s"):
        bench.client.open()


def test_a_board_that_is_still_starting_is_asked_again(make: Make) -> None:
    """What is written to a board that was just reset is lost; the request is repeated."""
    parts = ("my_info", "node_info", "metadata", "channels", "config", "complete")
    bench = make(FakeRadio(left_out=parts))

    def started() -> None:
        bench.radio.left_out = ()

    bench.line.at(106.0, started)
    assert bench.client.open().node == NODE
    assert bench.radio.requests >= 2
    assert bench.clock.time_s < 112.0


def test_the_tail_of_another_clients_handshake(make: Make) -> None:
    """An end that comes before my_info is of a handshake that somebody else had begun."""
    bench = make(FakeRadio())
    bench.radio.say(config_complete_id=69420)
    assert bench.client.open().node == NODE
    assert bench.client.counters["handshakes_cut"] == 1


def test_packets_from_before_the_end_of_the_handshake(make: Make) -> None:
    """What was received meanwhile is told after it, and is bounded."""
    bench = make(FakeRadio())
    for number in range(1, 101):
        bench.radio.hears(payload=b"x", number=number)
    bench.client.open()
    assert [packet.id for packet in bench.packets] == list(range(1, 65))
    assert bench.client.counters["packets_early"] == 100


def test_stopping_ends_a_handshake(make: Make) -> None:
    """A gateway that stops does not wait for a radio that says nothing."""
    bench = make(FakeRadio(left_out=("complete",)))
    bench.line.at(101.0, bench.client.stop)
    with pytest.raises(LinkLost, match="stopped"):
        bench.client.open()
    assert bench.clock.time_s < 102.0


def test_the_process_keeps_its_random_numbers(make: Make) -> None:
    """The library seeds the shared generator when it is made, and draws from it for each packet."""
    random.seed(4)
    expected = [random.random() for _ in range(3)]
    random.seed(4)
    bench = make(FakeRadio())
    bench.client.open()
    bench.client.send(b"x")
    assert [random.random() for _ in range(3)] == expected


def test_the_library_starts_no_thread_of_its_own_for_a_radio(make: Make) -> None:
    """Its heartbeat timer would outlive the gateway by five minutes; its reader is not used."""
    bench = make(FakeRadio())
    bench.client.open()
    names = {thread.name for thread in threading.enumerate()}
    assert not [name for name in names if "stream" in name or "Timer" in name]


# -- what comes ------------------------------------------------------------------------------------
def test_a_packet_comes_with_its_metadata(bench: Bench) -> None:
    """Sender, way and strength are told with the payload."""
    bench.radio.hears(payload=b"\x11data", number=7, hop_limit=2, rx_time=1_760_000_000)
    bench.run(0.1)
    (packet,) = bench.packets
    assert (packet.sender, packet.to, packet.port, packet.payload) == (
        CAR,
        BROADCAST,
        256,
        b"\x11data",
    )
    assert (packet.id, packet.hops, packet.snr_db, packet.rssi_dbm) == (7, 1, 6.25, -97.0)
    assert packet.received_ns == pytest.approx(bench.clock.now_ns(), abs=2e8)
    assert packet.heard_s == 1_760_000_000


def test_what_the_radio_does_not_tell_is_not_invented(bench: Bench) -> None:
    """No hop_start: nobody knows the hops; no RSSI: it was not heard by this radio."""
    bench.radio.hears(payload=b"x", hop_start=0, hop_limit=3, rssi=0, snr=0.0)
    bench.radio.hears(payload=b"y", hop_start=1, hop_limit=6)
    bench.run(0.1)
    assert [(p.hops, p.snr_db, p.rssi_dbm) for p in bench.packets] == [
        (None, None, None),
        (None, 6.25, -97.0),
    ]


def test_a_packet_that_cannot_be_read_is_counted(bench: Bench) -> None:
    """Foreign and encrypted packets, empty ones and the radio's own are no packets of vehicles."""
    bench.radio.hears(encrypted=b"\x01\x02\x03")
    bench.radio.say(packet=mesh_pb2.MeshPacket(id=3))
    bench.radio.hears(sender=NODE, payload=b"own")
    bench.radio.hears(sender=0, payload=b"own")
    bench.run(0.1)
    counters = bench.client.counters
    assert not bench.packets
    assert (counters["packets_encrypted"], counters["packets_empty"]) == (1, 1)
    assert counters["packets_own"] == 2


def test_a_malformed_payload_on_a_known_port_comes_as_it_is(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    """The library raises DecodeError in its reader, prints it, and the packet is lost."""
    bench.radio.hears(port=3, payload=b"\xff\xff\xff", number=1)
    bench.radio.hears(port=1, payload=b"\xff\xfe", number=2)
    bench.radio.hears(port=5, payload=b"\xff\xff\xff", number=3, request_id=9)
    bench.radio.hears(payload=b"after", number=4)
    bench.run(0.1)
    assert [packet.id for packet in bench.packets] == [1, 2, 4]
    assert bench.client.counters["payloads_bad"] == 1
    assert capfd.readouterr() == ("", "")


def test_messages_that_nobody_knows(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    """Newer messages, an empty one, and those for other clients change nothing."""
    bench.radio.out += frame(b"")
    bench.radio.out += frame(bytes.fromhex("fa0102 0801".replace(" ", "")))
    bench.radio.say(fileInfo=mesh_pb2.FileInfo(file_name="x", size_bytes=1))
    bench.radio.hears(payload=b"after")
    bench.run(0.1)
    assert len(bench.packets) == 1
    assert bench.client.counters["messages_unknown"] == 3
    assert capfd.readouterr() == ("", "")


def test_a_second_handshake_and_channels_without_end(bench: Bench) -> None:
    """Parts of a handshake at any time change nothing and take no memory."""
    for _ in range(1000):
        message = mesh_pb2.FromRadio()
        message.channel.index = 1
        bench.radio.out += frame(message.SerializeToString())
        bench.radio.say(node_info=mesh_pb2.NodeInfo(num=random.getrandbits(31) + 1))
    bench.run(1.0)
    interface = bench.client._interface
    assert interface is not None
    assert len(interface._localChannels) == 8
    assert not interface.nodesByNum
    assert len(bench.told(Ready)) == 1


def test_text_of_the_radios_log_lies_between_frames(bench: Bench) -> None:
    """Log lines are counted and passed over, also one that ends with half a start."""
    bench.radio.out += b"DEBUG | 12:00 hello\r\n\x94"
    bench.radio.hears(payload=b"1")
    bench.radio.out += b"\x94\x94more"
    bench.radio.hears(payload=b"2")
    bench.run(0.1)
    assert [packet.payload for packet in bench.packets] == [b"1", b"2"]
    assert bench.client.counters["log_bytes"] == len(b"DEBUG | 12:00 hello\r\n\x94\x94\x94more")


def test_a_cut_frame_takes_no_other_along(bench: Bench) -> None:
    """The library loses the packets that fill the hole of a frame that was cut."""
    whole = bench.radio.hears(payload=bytes(range(64)), number=1)
    bench.radio.out = bytearray(whole[:40])
    for number in range(2, 6):
        bench.radio.hears(payload=b"%d" % number, number=number)
    bench.run(2.0)
    assert [packet.id for packet in bench.packets] == [2, 3, 4, 5]
    assert bench.client.counters["frames_damaged"] >= 1


def test_a_frame_that_is_never_completed(bench: Bench) -> None:
    """The beginning of a frame before a silence does not swallow the frame after the silence."""
    whole = bench.radio.hears(payload=bytes(200), number=1)
    bench.radio.out = bytearray(whole[:10])
    bench.line.at(bench.clock.time_s + 3.0, lambda: bench.radio.hears(payload=b"2", number=2))
    bench.run(4.0)
    assert [packet.id for packet in bench.packets] == [2]


def test_oversized_frames_and_garbage(bench: Bench) -> None:
    """No bytes end the connection; what comes after them is read."""
    rng = random.Random(5)
    for number in range(2, 40):
        bench.radio.out += bytes(rng.randbytes(rng.randrange(200)))
        bench.radio.out += b"\x94\xc3\xff\xff" + rng.randbytes(10)
        bench.run(3.0)
        bench.radio.hears(payload=b"x", number=number)
        bench.run(3.0)
    assert [packet.id for packet in bench.packets] == list(range(2, 40))
    assert bench.client.counters["frames_damaged"] >= 38


def test_own_telemetry_tells_how_busy_the_air_is(bench: Bench) -> None:
    """Channel utilisation comes from the radio itself; NaN and nonsense are not told."""
    for value in (12.5, float("nan"), 400.0):
        telemetry = telemetry_pb2.Telemetry()
        telemetry.device_metrics.channel_utilization = value
        telemetry.device_metrics.air_util_tx = 2.0
        bench.radio.hears(sender=NODE, port=TELEMETRY_PORT, payload=telemetry.SerializeToString())
    bench.radio.hears(sender=NODE, port=TELEMETRY_PORT, payload=b"\xff")
    bench.run(0.1)
    assert bench.told(Utilisation)[1:] == [Utilisation(12.5, 2.0)]


def test_a_notice_of_the_radio(bench: Bench) -> None:
    """What the radio says to people is told, without control characters, as one line."""
    bench.radio.say(
        clientNotification=mesh_pb2.ClientNotification(message="Duty\x1b[0m" + "x" * 300)
    )
    bench.run(0.1)
    (notice,) = bench.told(Notice)
    assert notice.text.startswith("Duty\ufffd[0m")
    assert len(notice.text) == 200


# -- sending ---------------------------------------------------------------------------------------
def test_a_packet_is_sent_as_it_was_given(bench: Bench) -> None:
    """All that the caller decides is in the packet that the radio gets."""
    number = bench.client.send(
        b"payload", to=CAR, port=300, channel=1, want_ack=True, hop_limit=1, priority=10
    )
    bench.run(0.1)
    (packet,) = bench.radio.sent
    assert packet.id == number
    assert (packet.to, packet.channel, packet.hop_limit, packet.priority) == (CAR, 1, 1, 10)
    assert (packet.decoded.portnum, packet.decoded.payload, packet.want_ack) == (
        300,
        b"payload",
        True,
    )


@pytest.mark.parametrize(
    ("to", "port", "most"),
    [(BROADCAST, 256, 231), (CAR, 256, 219), (BROADCAST, 3, 232), (CAR, 3, 220)],
)
def test_the_longest_payload(bench: Bench, to: int, port: int, most: int) -> None:
    """The firmware takes 231 bytes on port 256, the library 233: one more is refused here."""
    assert most_bytes(to, port) == most
    bench.client.send(bytes(most), to=to, port=port)
    with pytest.raises(SendRefused, match=f"at most {most} bytes, found {most + 1}") as raised:
        bench.client.send(bytes(most + 1), to=to, port=port)
    assert not raised.value.again
    bench.run(0.1)
    assert [len(packet.decoded.payload) for packet in bench.radio.sent] == [most]


@pytest.mark.parametrize(("to", "port"), [(CAR, 0), (0, 256), (1 << 32, 256)])
def test_a_port_or_node_that_ends_the_library(bench: Bench, to: int, port: int) -> None:
    """For port 0 the library prints a line and ends the process."""
    with pytest.raises(SendRefused, match="expected a port and a node"):
        bench.client.send(b"x", to=to, port=port)


def test_an_acknowledged_packet(bench: Bench) -> None:
    """Each packet with want_ack is told about once, whoever repeats the acknowledgement."""
    bench.radio.fate = 0
    number = bench.client.send(b"x", want_ack=True)
    bench.run(0.1)
    bench.radio.routing(number, 0)
    bench.radio.routing(number, 5)
    bench.radio.routing(12345, 0)
    bench.run(0.1)
    assert bench.told(Acked) == [Acked(number, CAR, 6.25, -97.0)]
    assert not bench.told(Refused)


@pytest.mark.parametrize(
    ("error", "name"),
    [(5, "MAX_RETRANSMIT"), (2, "GOT_NAK"), (9, "DUTY_CYCLE_LIMIT"), (99, "ERROR_99")],
)
def test_a_packet_that_is_not_acknowledged(bench: Bench, error: int, name: str) -> None:
    """The radio's reason is told, also one that the library has no name for."""
    bench.radio.fate = error
    number = bench.client.send(b"x", want_ack=True)
    bench.run(0.1)
    assert bench.told(Refused) == [Refused(number, error, name)]


def test_a_packet_that_the_radio_does_not_take(bench: Bench) -> None:
    """The refusal in the queue status and the NAK that follows it are one."""
    bench.radio.result = bench.radio.fate = 9
    number = bench.client.send(b"x")
    bench.run(0.1)
    assert bench.told(Refused) == [Refused(number, 9, "DUTY_CYCLE_LIMIT")]
    assert bench.client.counters["packets_refused"] == 1


def test_a_full_queue_refuses_and_never_blocks(bench: Bench) -> None:
    """The library blocks its caller without an end while the radio's queue is full."""
    bench.radio.keeps = True
    for _ in range(16):
        bench.client.send(b"x")
    assert bench.client.queue_free == 0
    with pytest.raises(SendRefused, match="queue is full") as raised:
        bench.client.send(b"x")
    assert raised.value.again
    bench.run(1.0)
    assert len(bench.radio.sent) == 16
    assert bench.client.queue_free == 0
    bench.radio.drain()
    bench.run(0.1)
    assert bench.client.queue_free == 16
    bench.client.send(b"x")


def test_no_packet_goes_to_a_radio_whose_queue_is_full(bench: Bench) -> None:
    """It would be thrown away there."""
    bench.client.send(b"1")
    bench.radio.free = 0
    bench.run(0.1)
    with pytest.raises(SendRefused):
        bench.client.send(b"2")
    assert len(bench.radio.sent) == 1


def test_an_urgent_packet_goes_to_a_radio_whose_queue_is_full(bench: Bench) -> None:
    """On a busy channel relays fill the queue; the firmware lets go of one for it."""
    bench.client.send(b"1")
    bench.radio.free = 0
    bench.run(0.1)
    assert not bench.client.takes(70)
    assert bench.client.takes(100)
    bench.client.send(b"2", priority=100)
    assert not bench.client.takes(100)  # one at a time
    with pytest.raises(SendRefused, match="queue is full"):
        bench.client.send(b"3", priority=100)
    bench.run(0.1)
    assert [packet.decoded.payload for packet in bench.radio.sent] == [b"1", b"2"]
    assert bench.client.takes(100)


def test_a_queue_that_drains_is_seen(bench: Bench) -> None:
    """The firmware tells of a queue that drains only when asked, or when it was full."""
    bench.radio.keeps = True
    for _ in range(5):
        bench.client.send(b"x")
    bench.run(1.0)
    assert bench.client.queue_free == 11
    bench.radio.drain()
    bench.run(3.0)
    assert bench.client.queue_free == 16


def test_packets_go_one_at_a_time(bench: Bench) -> None:
    """The next one waits for the status of the one before: a serial buffer holds one or two."""
    bench.radio.statuses = False
    bench.client.send(b"1")
    bench.client.send(b"2")
    bench.run(3.0)
    assert len(bench.radio.sent) == 1
    bench.radio.statuses = True
    bench.run(3.0)  # its heartbeat is answered, its packet's status never comes
    assert len(bench.radio.sent) == 2
    assert bench.client.counters["statuses_missing"] == 1


def test_a_radio_that_never_tells_about_its_queue(make: Make) -> None:
    """Old firmware: packets go out all the same, slowly, and the radio does not count as mute."""
    bench = make(FakeRadio())
    bench.radio.statuses = False
    bench.client.open()
    for _ in range(10):
        bench.client.send(b"x")
    bench.run(300.0)
    assert len(bench.radio.sent) == 10
    assert not bench.told(Mute)
    assert bench.client.queue_free == 16


def test_memory_of_packets_whose_fate_is_not_told_is_bounded(bench: Bench) -> None:
    """A radio that never acknowledges does not fill the memory."""
    for _ in range(3 * PENDING):
        bench.client.send(b"x", want_ack=True)
        bench.run(0.01)
    assert len(bench.client._pending) == PENDING


def test_a_write_that_is_taken_in_pieces(bench: Bench) -> None:
    """The library drops what a short write leaves."""
    bench.line.most_bytes = 7
    bench.client.send(bytes(range(200)))
    bench.run(2.0)
    assert bench.radio.sent[0].decoded.payload == bytes(range(200))


def test_nothing_is_sent_before_the_handshake(make: Make) -> None:
    """The library waits for 30 s in the caller's thread, then raises."""
    bench = make(FakeRadio())
    with pytest.raises(SendRefused, match="not ready") as raised:
        bench.client.send(b"x")
    assert raised.value.again
    assert bench.client.queue_free == 0


# -- a radio that goes ---------------------------------------------------------------------------
def test_hang_up(bench: Bench) -> None:
    """The end of the port ends the attempt; the library would never connect again."""

    def unplug() -> None:
        bench.line.is_gone = True

    bench.line.at(bench.clock.time_s + 5.0, unplug)
    with pytest.raises(LinkLost, match="hung up"):
        bench.run(10.0)
    assert bench.told(Lost) == [Lost("port fake went away: hung up")]
    bench.client.close()
    assert not bench.line.is_open
    with pytest.raises(SendRefused, match="not ready"):
        bench.client.send(b"x")


def test_hang_up_in_the_middle_of_a_frame(bench: Bench) -> None:
    """Half a frame and then no port: the half is not a packet."""
    whole = bench.radio.hears(payload=bytes(100))
    bench.radio.out = bytearray(whole[:50])

    def unplug() -> None:
        bench.line.is_gone = True

    bench.line.at(bench.clock.time_s + 0.1, unplug)
    with pytest.raises(LinkLost):
        bench.run(10.0)
    assert not bench.packets


def test_a_radio_that_stops_draining(bench: Bench) -> None:
    """pyserial would turn in a loop for ever; here the radio is first mute, then lost."""
    bench.radio.is_frozen = True
    bench.client.send(bytes(200))
    with pytest.raises(LinkLost, match="took none for 10 s"):
        bench.run(100.0)
    assert bench.line.waits < 200


def test_a_radio_that_takes_everything_and_says_nothing(bench: Bench) -> None:
    """A buffer on the way swallows what a frozen radio does not read."""
    bench.radio.statuses = False
    bench.client.send(b"x")
    with pytest.raises(LinkLost, match="silence for 30 s: it hangs"):
        bench.run(100.0)
    assert bench.told(Mute) == [Mute("the radio does not answer for 10 s")]


def test_a_radio_that_answers_again(bench: Bench) -> None:
    """A pause of the radio is told, and its end."""
    bench.radio.statuses = False
    bench.client.send(b"x")

    def back() -> None:
        bench.radio.statuses = True
        bench.radio.status()

    bench.line.at(bench.clock.time_s + 15.0, back)
    bench.run(20.0)
    assert bench.told(Mute) == [Mute("the radio does not answer for 10 s"), Mute("")]


def test_a_quiet_radio_is_asked_now_and_then(bench: Bench) -> None:
    """A mesh on which nothing happens is no fault; the firmware forgets clients after 15 min."""
    before = bench.radio.heartbeats
    bench.run(3600.0)
    assert 55 <= bench.radio.heartbeats - before <= 61
    assert not bench.told(Lost)


def test_a_quiet_radio_that_dies_is_noticed(bench: Bench) -> None:
    """The heartbeat finds it, with nothing to send."""
    bench.line.at(bench.clock.time_s + 5.0, lambda: setattr(bench.radio, "statuses", False))
    began_s = bench.clock.time_s
    with pytest.raises(LinkLost, match="it hangs"):
        bench.run(1000.0)
    assert bench.clock.time_s - began_s < 100.0


def test_a_reboot(bench: Bench) -> None:
    """After a reboot the handshake is done again; what was queued is gone."""
    bench.radio.free = 0
    bench.radio.status()
    bench.run(0.1)
    bench.radio.free = 16
    bench.radio.region = 1
    bench.radio.say(rebooted=True)
    bench.run(1.0)
    kinds = [type(event) for event in bench.events if not isinstance(event, Queued | Utilisation)]
    assert kinds == [Ready, Rebooted, Ready]
    assert bench.client.info is not None
    assert bench.client.info.region == "US"
    assert bench.client.queue_free == 16
    bench.client.send(b"x")


def test_a_reboot_without_a_new_handshake(bench: Bench) -> None:
    """A radio that does not come back from its reboot is lost."""
    bench.radio.left_out = ("my_info", "node_info", "metadata", "channels", "config", "complete")
    bench.radio.say(rebooted=True)
    with pytest.raises(LinkLost, match="handshake"):
        bench.run(100.0)


def test_goodbye(bench: Bench) -> None:
    """The radio is told that nobody listens any longer."""
    bench.client.close()
    assert bench.radio.said_goodbye


def test_nothing_of_the_library_reaches_the_terminal(
    make: Make, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library prints and logs what is counted here."""
    logged: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = logged.append  # type: ignore[method-assign]
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    bench = make(FakeRadio())
    bench.client.open()
    bench.radio.hears(sender=0, payload=b"own")
    bench.radio.out += frame(b"\xff\xff\xff")
    message = mesh_pb2.FromRadio()
    message.node_info.num = 0
    bench.radio.out += frame(message.SerializeToString())
    bench.run(1.0)
    logging.getLogger("meshtastic.mesh_interface").error("the library's own")
    assert capfd.readouterr() == ("", "")
    assert not logged
