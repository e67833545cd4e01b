"""The adapter on the bus of the real ECU models."""

from __future__ import annotations

import random

import simpy

from sim.can.bus import CanBus
from sim.ecu import build_ecus
from sim.elm327 import PROFILES, Elm327
from sim.serial_line import SerialLine
from sim.vehicle import FOCUS_ST, Drive, Idle, Vehicle


def test_one_car_answers_through_the_adapter():
    """Engine and gearbox answer 0100, RPM is that of an idling engine, and the VIN is the car's."""
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
        return [
            part.strip() for part in heard.decode().split("\r") if part.strip() not in ("", ">")
        ]

    ask("ATE0")
    assert ask("ATRV") == ["14.1V"]
    lines = ask("0100")
    assert lines[0] == "SEARCHING..."
    assert len(lines) == 3
    rpm = bytes.fromhex(ask("010C1")[0])
    assert rpm[:2] == b"\x41\x0c"
    assert 600 < int.from_bytes(rpm[2:], "big") / 4 < 1100
    length, *frames = ask("0902")
    vin = bytes.fromhex("".join(frame.split(":")[1] for frame in frames))[: int(length, 16)]
    assert vin == b"\x49\x02\x01" + FOCUS_ST.vin.encode()
