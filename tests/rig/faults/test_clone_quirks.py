"""Habits of ELM327 clones, one by one, as bytes on the line of the real adapter model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import simpy

from rig.faults import add_faults, fault
from rig.faults.catalogue import QUIRKS
from sim.can.frame import CanFrame
from sim.elm327.profiles import QUIRKS as HABITS
from sim.route import COURSES
from sim.vehicle import Drive, Idle
from sim.world import ObdSetup, World, WorldSetup

EPOCH_NS = 1_777_622_400_000_000_000
BEFORE_S, WITHIN_S, END_S, AFTER_S = 5.0, 15.0, 30.0, 35.0
Ask = Callable[..., list[tuple[float, bytes]]]


class Client:
    """Writes command lines at instants; keeps what comes with its instant."""

    def __init__(self) -> None:
        env = simpy.Environment()
        setup = WorldSetup(
            Drive([Idle("idle", 60.0)]), COURSES["highway"], obd=ObdSetup(frame_s=0.0), gps=None
        )
        self.world = World(env, setup, seed=1, epoch_ns=EPOCH_NS)
        self.line = self.world.lines["obd"]
        self.heard: list[tuple[float, bytes]] = []
        self.line.attach_host(lambda data: self.heard.append((env.now, data)))
        for number, command in enumerate((b"ATE0\r", b"ATSP6\r", b"0100\r")):
            self.say(number * 0.5 + 0.1, command)

    def say(self, at_s: float, command: bytes) -> None:
        event = self.world.env.timeout(at_s - self.world.env.now)
        event.callbacks.append(lambda _event: self.line.feed(command))

    def strike(self, quirk: str) -> None:
        """From 10 to 30 s."""
        spec = fault("clone_quirk", "obd", at_s=10.0, for_s=END_S - 10.0, quirk=quirk)
        add_faults(self.world, spec)

    def answers(self, *commands: bytes) -> list[list[bytes]]:
        """What the last of the commands brought, before, within and after, write by write."""
        instants = (BEFORE_S, WITHIN_S, AFTER_S)
        for at_s in instants:
            for number, command in enumerate(commands):
                self.say(at_s + number, command)
        self.world.env.run(until=60.0)
        last = len(commands) - 1.0
        return [
            [data for time_s, data in self.heard if at_s + last <= time_s < at_s + last + 3.0]
            for at_s in instants
        ]


@pytest.fixture
def client() -> Client:
    """Connected to the car on its protocol."""
    return Client()


def test_the_catalogue_knows_the_habits_of_the_model() -> None:
    """In the same order."""
    assert tuple(HABITS) == QUIRKS


@pytest.mark.parametrize(
    ("quirk", "commands", "usual", "struck"),
    [
        ("no_repeat", (b"010C\r", b"\r"), b"41 0C", b"\r>"),
        ("not_connected", (b"01FE\r",), b"NO DATA", b"NOT CONNECTED"),
        ("two_bytes", (b"010C0D\r",), b"0D", b"41 0C"),
        ("few_commands", (b"ATCRA 7E8\r",), b"OK", b"?"),
        ("zero_digit", (b"010C0\r",), b"41 0C", b"\r>"),
    ],
)
def test_an_answer_is_another_one_within(
    client: Client, quirk: str, commands: tuple[bytes, ...], usual: bytes, struck: bytes
) -> None:
    """Before and after it is that of a genuine chip."""
    client.strike(quirk)
    before, within, after = (b"".join(parts) for parts in client.answers(*commands))
    assert usual in before
    assert usual in after
    assert struck in within
    assert usual not in within


def test_an_answer_and_its_prompt_come_apart(client: Client) -> None:
    """In two writes, 30 ms apart: a client that reads once sees no prompt."""
    client.strike("split_prompt")
    assert client.answers(b"ATI\r") == [
        [b"ELM327 v1.5\r\r>"],
        [b"ELM327 v1.5", b"\r\r>"],
        [b"ELM327 v1.5\r\r>"],
    ]


def test_searching_comes_late(client: Client) -> None:
    """A second and more after the request: many clients have given up by then."""
    client.strike("late_searching")
    client.answers(b"ATSP0\r", b"0100\r")
    lates = []
    for at_s in (BEFORE_S, WITHIN_S, AFTER_S):
        asked_s = at_s + 1.0
        first = next(t for t, data in client.heard if t >= asked_s and b"SEARCHING" in data)
        lates.append(first - asked_s)
    assert lates[0] < 0.1
    assert lates[1] > 1.1
    assert lates[2] < 0.1


def test_a_burst_fills_the_small_buffer(client: Client) -> None:
    """Fifteen frames are 360 characters: more than its 256, less than the genuine 512."""
    client.strike("small_buffer")
    node = client.world.bus.attach("burst", lambda _frame, _time_s: None)

    def burst(_event: simpy.Event) -> None:
        for number in range(15):
            node.send(CanFrame(0x123, bytes([7, number]) + bytes(6)))

    for at_s in (BEFORE_S, WITHIN_S, AFTER_S):
        client.world.env.timeout(at_s + 2.0).callbacks.append(burst)
    before, within, after = (b"".join(parts) for parts in client.answers(b"ATAL\r", b"ATMA\r"))
    assert b"BUFFER FULL" in within
    assert b"BUFFER FULL" not in before + after
    assert b"\r0E 00" in before


def test_a_locked_up_chip_says_nothing_until_it_is_replugged(client: Client) -> None:
    """AT TP A0 is enough; at the end its banner tells that it has power again."""
    client.strike("lock_up")
    client.say(15.0, b"ATTPA0\r")
    client.say(20.0, b"ATI\r")
    client.say(35.0, b"ATI\r")
    client.world.env.run(until=60.0)
    heard = b"".join(data for at_s, data in client.heard if 15.0 <= at_s < END_S)
    assert heard == b""
    banner_s = next(at_s for at_s, data in client.heard if at_s >= END_S and b"ELM327" in data)
    assert END_S < banner_s < END_S + 2.0
    assert any(at_s >= 35.0 and b"ELM327" in data for at_s, data in client.heard)


def test_two_habits_overlap_and_end_apart(client: Client) -> None:
    """Whichever began first."""
    for quirk, at_s, for_s in (("no_repeat", 3.0, 10.0), ("not_connected", 8.0, 10.0)):
        add_faults(client.world, fault("clone_quirk", "obd", at_s=at_s, for_s=for_s, quirk=quirk))
    profiles = []
    assert client.world.adapter is not None
    for until_s in (1.0, 5.0, 10.0, 15.0, 20.0):
        client.world.env.run(until=until_s)
        profile = client.world.adapter.profile
        profiles.append((profile.repeats_on_cr, profile.no_data))
    assert profiles == [
        (True, "NO DATA"),
        (False, "NO DATA"),
        (False, "NOT CONNECTED"),
        (True, "NOT CONNECTED"),
        (True, "NO DATA"),
    ]
