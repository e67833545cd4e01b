"""The modes BCM, control and ISO-TP."""

from __future__ import annotations

import re

import pytest

from sim.can.frame import CanFrame
from sim.can.isotp import IsoTpChannel, Outcome
from sim.socketcand.bcm import MOST_JOBS
from tests.sim.socketcand.conftest import Client, Daemon


def frames(client: Client, for_s: float) -> list[str]:
    """Return the data of the frames that came, spaces and all."""
    return re.findall(r"< frame \w+ \d+\.\d{6} (.*?) >", "".join(client.wait(for_s)))


# -- BCM: sending ----------------------------------------------------------------------------------
def test_a_job_sends_at_once_and_then_at_its_interval(daemon: Daemon) -> None:
    """An update changes what, not when; delete ends it."""
    client = daemon.client().bcm()
    client.say("< add 0 100000 123 1 11 >", for_s=0.25)
    assert [frame.data for frame in daemon.heard] == [b"\x11"] * 3
    client.say("< update 123 2 22 33 >", for_s=0.1)
    assert [frame.data for frame in daemon.heard[3:]] == [b"\x22\x33"]
    client.say("< delete 123 >", for_s=1.0)
    assert len(daemon.heard) == 4


def test_an_interval_of_nothing_sends_once(daemon: Daemon) -> None:
    """And the job is there for an update, which does not send."""
    client = daemon.client().bcm()
    client.say("< add 0 0 123 0 >", "< update 123 1 1 >", for_s=1.0)
    assert daemon.heard == [CanFrame(0x123)]


def test_a_job_that_is_added_again_is_replaced(daemon: Daemon) -> None:
    """Its timer, too."""
    client = daemon.client().bcm()
    client.say("< add 0 10000 123 0 >", "< add 1 0 123 1 5 >", for_s=1.5)
    assert [frame.data for frame in daemon.heard] == [b"", b"\x05", b"\x05"]


def test_jobs_end_with_the_mode(daemon: Daemon) -> None:
    """As the text has it: they are removed when the socket is closed."""
    client = daemon.client().bcm()
    client.say("< add 0 10000 123 0 >", "< rawmode >", "< bcmmode >", for_s=1.0)
    assert len(daemon.heard) == 1


def test_a_job_faster_than_any_bus_loses_frames(daemon: Daemon) -> None:
    """Ten microseconds, the text's own example; it does not stop the world."""
    client = daemon.client().bcm()
    client.say("< add 0 10 123 8 11 22 33 44 55 66 77 88 >", for_s=0.1)
    assert 300 < len(daemon.heard) < 500


def test_there_is_an_end_of_jobs(daemon: Daemon) -> None:
    """More are refused and counted."""
    client = daemon.client().bcm()
    client.say(*(f"< add 1000 0 {number:X} 0 >" for number in range(MOST_JOBS + 3)), for_s=1.0)
    client.say(*(f"< subscribe 0 0 {number:X} >" for number in range(MOST_JOBS + 2)))
    assert daemon.server.counters["refused_frames"] == 5


# -- BCM: hearing ----------------------------------------------------------------------------------
def test_nothing_is_heard_that_was_not_subscribed_to(daemon: Daemon) -> None:
    """By identifier and its length; unsubscribing ends it. There is a space behind each byte."""
    client = daemon.client().bcm()
    daemon.send(0x123, b"\x01")
    assert frames(client, 0.01) == []
    client.say("< subscribe 0 0 123 >")
    daemon.send(0x123, b"\x01\x02")
    daemon.send(0x123, b"\x03", is_extended=True)
    daemon.send(0x124, b"\x04")
    assert frames(client, 0.01) == ["01 02 "]
    client.say("< unsubscribe 123 >")
    daemon.send(0x123, b"\x01")
    assert frames(client, 0.01) == []


def test_the_broadcast_manager_hears_itself(daemon: Daemon) -> None:
    """Unlike a raw socket."""
    client = daemon.client().bcm()
    client.say("< subscribe 0 0 123 >", "< send 123 1 7 >")
    assert frames(client, 0.01) == ["07 "]


def test_a_filter_tells_changes_of_its_bits(daemon: Daemon) -> None:
    """The first frame always, then those in which a bit of the mask changed."""
    client = daemon.client().bcm()
    client.say("< filter 0 0 123 2 F0 00 >")
    for data in (b"\x10\x01", b"\x1f\x02", b"\x20\x02", b"\x20\x03", b"\x00\x03"):
        daemon.send(0x123, data)
        daemon.run(0.001)
    assert frames(client, 0.0) == ["10 01 ", "20 02 ", "00 03 "]


def test_a_subscription_can_be_throttled(daemon: Daemon) -> None:
    """No more than one in an interval, the newest one; the last one is not lost."""
    client = daemon.client().bcm()
    client.say("< subscribe 0 100000 123 >")
    for number in range(25):
        daemon.send(0x123, bytes((number,)))
        daemon.run(0.01)
    assert frames(client, 0.5) == ["00 ", "0A ", "14 ", "18 "]
    daemon.send(0x123, b"\x63")
    assert frames(client, 0.01) == ["63 "]  # after a pause at once


def test_a_multiplexed_content_is_told_by_each_value(daemon: Daemon) -> None:
    """Values that were not named are not told; each has its own mask and its own last content."""
    client = daemon.client().bcm()
    mux = "FF 00 00 00 00 00 00 00"
    client.say(f"< muxfilter 0 0 123 3 {mux} 33 FF 00 00 00 00 00 00 44 00 FF 00 00 00 00 00 >")
    for text in ("330100", "440100", "330155", "440155", "550100", "330200"):
        daemon.send(0x123, bytes.fromhex(text))
        daemon.run(0.001)
    assert frames(client, 0.0) == ["33 01 00 ", "44 01 00 ", "44 01 55 ", "33 02 00 "]


@pytest.mark.parametrize(
    "command",
    [
        "< add 0 1 123 >",
        "< add x 0 123 0 >",
        "< filter 0 0 >",
        "< subscribe 0 123 >",
        "< subscribe -1 0 123 >",
        "< muxfilter 0 0 123 1 FF 00 00 00 00 00 00 00 >",
        "< muxfilter 0 0 123 2 FF >",
        "< muxfilter 0 0 123 9999 FF >",
        "< delete >",
        "< unsubscribe x >",
    ],
)
def test_what_cannot_be_read_changes_nothing(daemon: Daemon, command: str) -> None:
    """Silently, as in the daemon."""
    client = daemon.client().bcm()
    assert client.say(command, for_s=0.1) == []
    assert daemon.server.counters["malformed"] == 1
    assert daemon.heard == []


# -- control ---------------------------------------------------------------------------------------
def test_statistics_come_at_their_interval(daemon: Daemon) -> None:
    """Bytes and frames of the interface, both ways; no frames. Zero ends it."""
    client = daemon.client().bcm()
    client.say("< send 55 2 1 2 >", for_s=0.01)
    assert client.say("< controlmode >", for_s=0.1) == ["< ok >"]
    daemon.send(0x123, b"12345678")
    client.say("< statistics 1000 >")
    assert client.wait(2.5) == ["< stat 8 1 2 1 >"] * 2
    assert client.say("< echo >", "< send 1 0 >") == ["< echo >", "< error unknown command >"]
    client.say("< statistics 0 >", "< statistics x >")
    assert client.wait(5.0) == []


# -- ISO-TP ----------------------------------------------------------------------------------------
def isotp(daemon: Daemon, tx_id: int, rx_id: int, *, extended: bool = False) -> list[bytes]:
    """Put a peer on the bus that sends each message back; return what it hears."""
    heard: list[bytes] = []
    replies: list[bytes] = []

    def on_message(payload: bytes, _is_functional: bool) -> None:
        heard.append(payload)
        replies.append(payload[::-1])
        reply()

    def reply(_outcome: Outcome = Outcome.OK) -> None:
        if replies and not channel.busy:
            channel.send(replies.pop(0), reply)

    node = daemon.buses[0].attach("peer", lambda frame, t_s: channel.on_frame(frame, t_s))
    channel = IsoTpChannel(daemon.env, node, tx_id, rx_id, on_message, is_extended=extended)
    return heard


def pdus(client: Client, for_s: float) -> list[str]:
    """Return the messages that came."""
    return re.findall(r"< pdu \d+\.\d{6} (\w+) >", "".join(client.wait(for_s)))


@pytest.mark.parametrize("extended", [False, True])
def test_messages_go_both_ways(daemon: Daemon, extended: bool) -> None:
    """Of one frame and of 4095 bytes; one after the other waits for its turn."""
    ids = (0x18DAF110, 0x18DA10F1) if extended else (0x7E0, 0x7E8)
    width = 8 if extended else 3
    heard = isotp(daemon, ids[1], ids[0], extended=extended)
    client = daemon.client().bcm()
    client.say("< isotpmode >", f"< isotpconf {ids[0]:0{width}X} {ids[1]:0{width}X} 4 0 0 0 AA >")
    client.wait(0.1)
    long = bytes(range(256)) * 15 + bytes(255)
    client.say(f"< sendpdu 0102 >< sendpdu {long.hex()} >< sendpdu 03 >")
    assert pdus(client, 5.0) == ["0201", long[::-1].hex().upper(), "03"]
    assert heard == [b"\x01\x02", long, b"\x03"]
    assert daemon.heard[0].data == b"\x02\x01\x02" + b"\xaa" * 5


def test_a_message_that_nobody_takes_does_not_stop_the_client(daemon: Daemon) -> None:
    """After N_Bs the next one goes out; an event tells it."""
    client = daemon.client().bcm()
    client.say("< isotpmode >", "< isotpconf 7E0 7E8 0 0 0 >")
    client.say("< sendpdu 00112233445566778899 >< sendpdu 01 >", for_s=2.0)
    assert [frame.data for frame in daemon.heard] == [
        bytes.fromhex("100a001122334455"),
        b"\x01\x01",
    ]
    assert "isotp" in daemon.told


def test_what_isotp_cannot_do_is_said(daemon: Daemon) -> None:
    """Extended addresses; before a channel is there nothing else is answered, as in the daemon."""
    client = daemon.client().bcm()
    assert client.say("< isotpmode >", "< foo >", "< sendpdu 01 >", for_s=0.1) == ["< ok >"]
    said = client.say("< isotpconf 7E0 7E8 2 0 0 0 0 0 F1 >", "< isotpconf 7E0 7E8 4 0 0 >")
    assert said == ["< error isotpconf not served >"]
    client.say("< isotpconf 7E0 7E8 0 0 0 >")
    assert client.say("< foo >") == ["< error unknown command >"]
    assert client.say("< sendpdu 0 >", "< sendpdu >", "< sendpdu " + "00" * 4096 + " >") == []
    assert client.say("< rawmode >", for_s=0.1) == ["< ok >"]
