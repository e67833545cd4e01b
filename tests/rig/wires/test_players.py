"""Recordings as devices: who asks, what is answered and when, and what is said unasked."""

from __future__ import annotations

import pytest
import simpy

from rig.record.streams import CAN_ERROR, CAN_EXTENDED, CanRow, WireChunk
from rig.wires.exchanges import conversation
from rig.wires.line import PlayedLine
from rig.wires.players import Answerer, FramePlayer, Talker
from sim.can.bus import CanBus

MS = 1_000_000
Said = list[tuple[float, bytes]]


class Desk:
    """An `Answerer` with a client at its cable."""

    def __init__(self, rows: list[tuple[int, str, str]], answers: str = "order") -> None:
        self.env = simpy.Environment()
        self.line = PlayedLine(self.env, "obd", 38400, paced=False, frame_s=0.0)
        self.heard: Said = []
        self.line.attach_host(lambda data: self.heard.append((round(self.env.now, 9), data)))
        talk = conversation([WireChunk(*row) for row in rows])
        self.player = Answerer(
            self.env, self.line, talk, answers=answers, recorded_ns=lambda s: round(s * 1e9)
        )

    def ask(self, text: str, until_s: float) -> bytes:
        """Ask now, and return what has come until then."""
        before = len(self.heard)
        self.line.feed(text.encode())
        self.env.run(until_s)
        return b"".join(data for _, data in self.heard[before:])


RPM = [
    (1000 * MS, "<", "010C1\r"),
    (1020 * MS, ">", "410C0FA0\r\r>"),
    (2000 * MS, "<", "010C1\r"),
    (2050 * MS, ">", "410C0FB0\r\r>"),
]


def test_the_same_request_gets_its_answers_in_order_and_late_as_then() -> None:
    """20 ms, then 50 ms after the request; then the last one again, which is counted."""
    desk = Desk(RPM)
    answers = [desk.ask("010C1\r", until_s) for until_s in (1.0, 2.0, 3.0)]
    assert answers == [b"410C0FA0\r\r>", b"410C0FB0\r\r>", b"410C0FB0\r\r>"]
    assert [time_s for time_s, _ in desk.heard] == [0.02, 1.05, 2.05]
    assert desk.player.counters["answered"] == 3
    assert desk.player.counters["repeated"] == 1


def test_by_time_the_answer_is_that_of_the_instant() -> None:
    """However often it is asked, the value is the one that was told last by then."""
    desk = Desk(RPM, "time")
    answers = [desk.ask("010C1\r", until_s) for until_s in (0.5, 1.5, 2.5, 3.0)]
    assert answers == [b"410C0FA0\r\r>"] * 3 + [b"410C0FB0\r\r>"]


def test_another_number_of_awaited_answers_is_the_same_request() -> None:
    """A client that awaits none gets the answers of one that did."""
    assert Desk(RPM).ask("01 0c\r", 1.0) == b"410C0FA0\r\r>"


@pytest.mark.parametrize(
    ("request_", "answer", "after_s"),
    [("0105\r", b"0105\rNO DATA\r\r>", 0.2), ("ATXY\r", b"ATXY\r?\r\r>", 0.005)],
)
def test_what_nobody_asked_then_is_refused_as_an_elm327_does(
    request_: str, answer: bytes, after_s: float
) -> None:
    """NO DATA for the vehicle, ? for the adapter, with its echo; both are counted by name."""
    desk = Desk(RPM)
    assert desk.ask(request_, 1.0) == answer
    assert desk.heard[0][0] == after_s
    assert desk.player.unknown == {request_.strip(): 1}


def test_echo_follows_the_client() -> None:
    """After ATE0 a refusal has no echo."""
    desk = Desk([(0, "<", "ATE0\r"), (MS, ">", "OK\r\r>")])
    desk.ask("ATE0\r", 1.0)
    assert desk.ask("0105\r", 2.0) == b"NO DATA\r\r>"


def test_a_silent_adapter_is_silent_again() -> None:
    """A request that had no answer gets none, and the next one is not taken for an interruption."""
    desk = Desk([(0, "<", "0100\r"), (9000 * MS, "<", "ATZ\r"), (9100 * MS, ">", "ELM\r\r>")])
    assert desk.ask("0100\r", 5.0) == b""
    assert desk.ask("ATZ\r", 6.0) == b"ELM\r\r>"


def test_who_asks_before_the_prompt_interrupts() -> None:
    """The rest of the answer does not come; the adapter says STOPPED, and is ready again."""
    desk = Desk(RPM)
    desk.line.feed(b"010C1\r")
    desk.env.run(0.01)
    assert desk.ask("010C1\r", 1.0) == b"STOPPED\r\r>"
    assert desk.player.counters["interrupted"] == 1
    assert desk.ask("010C1\r", 2.0) == b"410C0FB0\r\r>"


def test_a_pulled_cable_ends_the_answer() -> None:
    """What was under way is not said when the cable is back."""
    desk = Desk(RPM)
    desk.line.feed(b"010C1\r")
    desk.env.run(0.01)
    desk.line.hang_up()
    desk.line.replug()
    desk.env.run(1.0)
    assert desk.heard == []


def test_a_line_without_an_end_costs_bounded_memory() -> None:
    """A megabyte without a carriage return is not kept."""
    desk = Desk(RPM)
    desk.line.feed(b"A" * 1_000_000)
    desk.env.run(1.0)
    assert len(desk.player._asked) <= 256


def test_a_talker_talks_at_its_instants_and_hears_nothing() -> None:
    """What came then comes again to the nanosecond; commands are counted and ignored."""
    env = simpy.Environment()
    line = PlayedLine(env, "gps", 9600, paced=False, frame_s=0.0)
    heard: Said = []
    line.attach_host(lambda data: heard.append((env.now, data)))
    said = [(0.1, b"$GP"), (0.1, b"RMC"), (0.25, b"\r\n")]
    player = Talker(env, line, said)
    line.feed(b"$PMTK\r\n")
    env.run(1.0)
    assert heard == said
    assert player.counters == {"played": 3, "ignored_bytes": 7}


def test_each_frame_ends_when_it_ended() -> None:
    """Back to back, with 11 and 29 bits; an error frame is counted and cannot be sent."""
    env = simpy.Environment()
    bus = CanBus(env)
    bus.attach("ear", lambda _frame, _time_s: None)
    rows = [
        (0.0010, CanRow(0, "", 0x123, 0, "\x01\x02")),
        (0.0015, CanRow(0, "", 0x18DAF110, CAN_EXTENDED, "\xff" * 8)),
        (0.0020, CanRow(0, "", 0, CAN_ERROR, "bit")),
    ]
    heard: list[tuple[float, int, bytes]] = []
    bus.taps.append(lambda t, _s, f: heard.append((round(t, 9), f.arbitration_id, f.data)))
    player = FramePlayer(env, bus, "log", rows)
    env.run(1.0)
    assert heard == [(0.001, 0x123, b"\x01\x02"), (0.0015, 0x18DAF110, b"\xff" * 8)]
    assert player.counters == {"played": 2, "refused": 0, "errors": 1}
