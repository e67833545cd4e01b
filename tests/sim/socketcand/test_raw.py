"""Raw mode: every frame of the bus, and frames of one's own."""

from __future__ import annotations

import re

from sim.can.frame import CanFrame
from tests.sim.socketcand.conftest import EPOCH_NS, Daemon


def test_the_handshake_comes_in_three_pieces(daemon: Daemon) -> None:
    """python-can reads each answer alone; "hi" comes before anything is asked."""
    client = daemon.client()
    assert client.wait(0.0) == ["< hi >"]
    assert client.say("< open can0 >") == ["< ok >"]
    assert client.say("< rawmode >") == ["< ok >"]


def test_frames_come_with_the_time_of_their_end(daemon: Daemon) -> None:
    """Identifier of three or eight digits, seconds since 1970, the data without spaces."""
    client = daemon.client().raw()
    start_s = daemon.env.now
    daemon.send(0x123, bytes.fromhex("11223344"))
    daemon.send(0x1ABCDEF0, b"\xff", is_extended=True)
    daemon.send(0x7FF)
    got = "".join(client.wait(0.01))
    frames = re.findall(r"< frame (\w+) (\d+)\.(\d{6}) (\w*) >", got)
    assert [(one[0], one[3]) for one in frames] == [
        ("123", "11223344"),
        ("1ABCDEF0", "FF"),
        ("7FF", ""),
    ]
    first_us = int(frames[0][1] + frames[0][2]) - EPOCH_NS // 1000
    end_s = start_s + daemon.buses[0].frame_time_s(CanFrame(0x123, bytes.fromhex("11223344")))
    assert abs(first_us - end_s * 1e6) <= 1


def test_what_it_sends_goes_to_the_bus_and_to_others(daemon: Daemon) -> None:
    """Not to itself: a raw socket does not hear its own frames."""
    one, other = daemon.client().raw(), daemon.client().raw()
    assert one.say("< send 123 2 1 F1 >", for_s=0.01) == []
    assert [text[:12] for text in other.wait(0.0)] == ["< frame 123 "]
    assert daemon.heard == [CanFrame(0x123, b"\x01\xf1")]


def test_identifiers_of_eight_digits_are_extended(daemon: Daemon) -> None:
    """Whatever their value; the remote flag of linux/can.h makes a remote frame."""
    client = daemon.client().raw()
    client.say("< send 00000123 1 AA >", "< send 40000123 3 >", "< sendrtr 7FF 4 >", for_s=0.01)
    client.say("< send 40000124 3 1 2 3 >", for_s=0.01)
    assert daemon.heard == [
        CanFrame(0x123, b"\xaa", True),
        CanFrame(0x7FF, b"", False, True, 4),
        CanFrame(0x124, b"", True, True, 3),
    ]


def test_remote_frames_are_told(daemon: Daemon) -> None:
    """With their length code."""
    client = daemon.client().raw()
    daemon.send(0x123, is_remote=True, requested_bytes=5)
    (text,) = client.wait(0.01)
    assert re.fullmatch(r"< rtr 123 \d+\.\d{6} 5 >", text)


def test_commands_that_cannot_be_read_are_passed_over_in_silence(daemon: Daemon) -> None:
    """As in the daemon, which logs them; the connection goes on."""
    client = daemon.client().raw()
    wrong = [
        "< send >",
        "< send 123 >",
        "< send 123 2 1 >",
        "< send 123 1 1 2 >",
        "< send 123 9 1 2 3 4 5 6 7 8 9 >",
        "< send xyz 0 >",
        "< send 123 1 zz >",
        "< send -1 0 >",
        "< sendrtr 123 9 >",
        "< send 123 -1 >",
        "< send 20000123 0 >",
        "< send 123 2 1< echo >",
    ]
    assert client.say(*wrong, for_s=0.01) == []
    assert daemon.heard == []
    assert daemon.server.counters["malformed"] == len(wrong)
    assert client.say("< echo >") == ["< echo >"]


def test_unknown_commands_are_answered(daemon: Daemon) -> None:
    """With the daemon's own words; a missing space makes a command unknown."""
    client = daemon.client().raw()
    answer = "< error unknown command >"
    assert client.say("< foo >", "<send 123 0 >", "< subscribe 0 0 123 >", "<>") == [answer] * 4
    assert client.say("< rawmode >") == [answer]  # it is in that mode


def test_can_fd_ends_the_connection(daemon: Daemon) -> None:
    """The kernel refuses such a frame on a classical bus, and the daemon gives up."""
    client = daemon.client().raw()
    client.say("< fdsend 123 1 2 11 22 >")
    assert client.pipe.hung_up
    assert daemon.told[-2:] == ["refused", "left"]


def test_frames_wait_behind_the_last_ok(daemon: Daemon) -> None:
    """So that a client on a full bus reads it alone; they come when it speaks, or a little later.

    Nothing is lost, and the order is kept.
    """
    client = daemon.client()
    client.say("< open can0 >")
    client.wait(0.0)
    daemon.send(0x100)
    assert client.say("< rawmode >", for_s=0.002) == ["< ok >"]
    daemon.send(0x101)
    assert client.wait(0.002) == []
    (text,) = client.wait(0.1)
    assert re.findall(r"frame (\w+)", text) == ["100", "101"]
    quick = daemon.client()
    quick.say("< open can0 >", "< rawmode >")
    daemon.send(0x102)
    quick.wait(0.002)
    pieces = quick.say("< echo >")
    assert re.findall(r"frame (\w+)", pieces[0]) == ["102"]
    assert pieces[1] == "< echo >"


def test_frames_of_one_instant_come_in_one_piece(daemon: Daemon) -> None:
    """At 100,000 frames a second a piece for each would cost more than all the rest."""
    client = daemon.client().raw()
    interface = daemon.interfaces[0]
    for number in range(1000):
        interface._receive(CanFrame(number), daemon.env.now)
    pieces = client.wait(0.0)
    assert len(pieces) == 4
    assert re.findall(r"frame (\w+)", "".join(pieces)) == [f"{n:03X}" for n in range(1000)]
