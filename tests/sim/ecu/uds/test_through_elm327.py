"""UDS through the ELM327 model, as owners' tools do it, and OBD beside it as before."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import simpy

from sim.can.bus import CanBus
from sim.ecu import build_ecus
from sim.elm327 import PROFILES, Elm327
from sim.serial_line import SerialLine
from sim.vehicle import FOCUS_ST, Drive, Idle, Vehicle

Ask = Callable[[str], list[str]]


@pytest.fixture
def ask() -> Ask:
    """An adapter in a car that idles: send a line, get the lines of the reply."""
    env = simpy.Environment()
    bus = CanBus(env)
    line = SerialLine(env, "obd", 115200)
    vehicle = Vehicle(FOCUS_ST, Drive([Idle("idle", 60.0)]), random.Random(1))
    build_ecus(env, bus, vehicle, random.Random, FOCUS_ST.vin)
    heard = bytearray()
    line.attach_host(heard.extend)
    Elm327(env, bus, line, PROFILES["elm327_v22"], random.Random(2), lambda: 14.1)

    def ask(text: str) -> list[str]:
        heard.clear()
        line.feed(text.encode() + b"\r")
        while b">" not in heard:
            env.step()
        parts = (part.strip() for part in heard.decode().split("\r"))
        return [part for part in parts if part not in ("", ">")]

    for command in ("ATE0", "ATSP6"):
        assert ask(command)[-1] == "OK"
    return ask


def data_of(lines: list[str]) -> bytes:
    """Return the message of a segmented reply without headers."""
    length, *frames = lines
    return bytes.fromhex("".join(frame.split(":")[1] for frame in frames))[: int(length, 16)]


def test_identifiers_of_the_engine(ask: Ask) -> None:
    """A physical header, one frame and several, and a refusal."""
    ask("ATSH 7E0")
    assert data_of(ask("22F190")) == b"\x62\xf1\x90" + FOCUS_ST.vin.encode()
    assert ask("2203E8") == ["62 03 E8 C0 00"]
    assert ask("221E1C") == ["7F 22 31"]


def test_other_ecus_by_header_and_filter(ask: Ask) -> None:
    """The body control module answers at 72E; OBD requests do not reach it."""
    for command in ("ATSH 726", "ATCRA 72E", "ATFCSH 726", "ATFCSD 300000", "ATFCSM 1"):
        assert ask(command) == ["OK"]
    assert ask("22DD01") == ["62 DD 01 00 E4 2C"]
    assert data_of(ask("22F190")) == b"\x62\xf1\x90" + FOCUS_ST.vin.encode()
    assert ask("0100") == ["7F 01 11"]


def test_session_and_pending_through_the_adapter(ask: Ask) -> None:
    """Session, tester present, and a refused routine."""
    ask("ATSH 7E0")
    assert ask("1003") == ["50 03 00 32 01 F4"]
    assert ask("3E00") == ["7E 00"]
    assert ask("3E80") == ["NO DATA"]
    assert ask("31010202") == ["7F 31 22"]


def test_obd_is_as_before(ask: Ask) -> None:
    """A functional request shows engine and gearbox, and nobody else."""
    ask("ATH1")
    assert sorted(line[:3] for line in ask("0100")) == ["7E8", "7E9"]
    assert {line[:3] for line in ask("0902")} == {"7E8"}
    assert ask("22FFFF") == ["NO DATA"]
