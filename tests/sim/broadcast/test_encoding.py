"""The compiled encoder gives cantools' bytes, and tells what they say."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from cantools.database.can import Message

from sim.broadcast import load_database
from sim.broadcast.bends import Bends
from sim.broadcast.encoding import MessageEncoder, Samples, checksum
from sim.broadcast.readings import Reading
from sim.vehicle import FOCUS_ST, Accelerate, Cruise, Drive, Idle, KeyOff, Vehicle

MESSAGES = load_database().messages
DRIVE = Drive(
    [
        KeyOff("parked", 4),
        Idle("start", 6),
        Accelerate("go", 14, 120),
        Cruise("cruise", 20, 60),
        Idle("stop", 10),
        KeyOff("off", 6),
    ]
)


@pytest.fixture(scope="module")
def readings() -> list[Reading]:
    vehicle = Vehicle(FOCUS_ST, DRIVE, random.Random(3))
    bends = Bends(lambda distance_m: (distance_m % 700.0) * 0.9 + 300.0)
    return [Reading(vehicle.at(0.37 * step), FOCUS_ST, FOCUS_ST.vin, bends) for step in range(160)]


def _encoded(
    message: Message, readings: list[Reading]
) -> Iterator[tuple[bytes, Samples, dict[str, float]]]:
    encoder = MessageEncoder(message)
    for count, reading in enumerate(readings):
        samples: Samples = {}
        data = encoder.encode(reading, count, count % encoder.parts, samples)
        decoded = message.decode(data, decode_choices=False)
        assert isinstance(decoded, dict)
        yield data, samples, {name: float(value) for name, value in decoded.items()}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_bytes_are_those_of_cantools(message: Message, readings: list[Reading]) -> None:
    """For each message, cantools makes the same bytes out of the same values."""
    for data, samples, decoded in _encoded(message, readings):
        values: dict[str, float] = dict(decoded)
        for name, (true, wire) in samples.items():
            signal = message.get_signal_by_name(name)
            assert signal.minimum is not None
            assert signal.maximum is not None
            values[name] = wire if true is None else min(max(true, signal.minimum), signal.maximum)
        assert message.encode(values, strict=False) == data


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_wire_value_is_what_is_decoded(message: Message, readings: list[Reading]) -> None:
    """The wire value that is told of equals the decoded one exactly, and lies near the true one."""
    for _, samples, decoded in _encoded(message, readings):
        assert samples
        for name, (true, wire) in samples.items():
            assert wire == decoded[name], name
            scale = message.get_signal_by_name(name).conversion.scale
            if true is not None:
                assert abs(wire - true) <= 0.5001 * scale, (name, true, wire)


def test_counter_and_checksum() -> None:
    """The counter goes round, and the checksum covers identifier, data and counter."""
    message = load_database().get_message_by_name("WheelTorque")
    vehicle = Vehicle(FOCUS_ST, Drive([Idle("idle", 5)]), random.Random(1))
    reading = Reading(vehicle.at(0.0), FOCUS_ST, FOCUS_ST.vin, None)
    encoder = MessageEncoder(message)
    frames = [encoder.encode(reading, count) for count in range(18)]
    decoded = [message.decode(data, decode_choices=False) for data in frames]
    assert [v["WheelTorqueCounter"] for v in decoded] == [*range(16), 0, 1]  # type: ignore[index]
    for data in frames:
        assert (sum(data) + (message.frame_id >> 8) + (message.frame_id & 0xFF)) & 0xFF == 255
        assert data[7] == checksum(message.frame_id, data[:7])


def test_limits_are_kept(readings: list[Reading]) -> None:
    """A value beyond the DBC's range is sent as its limit, never as "not available"."""
    message = load_database().get_message_by_name("EngineSpeedStatus")
    reading = readings[40]
    reading.state.rpm = 99_999.0
    data = MessageEncoder(message).encode(reading)
    assert message.decode(data, decode_choices=False)["EngineSpeed"] == 8188  # type: ignore[index]


def test_only_wanted_signals_are_sampled(readings: list[Reading]) -> None:
    """With names given, nothing else is told of."""
    message = load_database().get_message_by_name("WheelSpeeds")
    samples: Samples = {}
    MessageEncoder(message, {"WheelSpeedRR", "Other"}).encode(readings[60], samples=samples)
    assert set(samples) == {"WheelSpeedRR"}


def test_vin_comes_in_parts(readings: list[Reading]) -> None:
    """The six parts of the identification message make up the VIN."""
    message = load_database().get_message_by_name("VehicleIdentification")
    encoder = MessageEncoder(message)
    text = b"".join(encoder.encode(readings[0], part=part)[1:4] for part in range(encoder.parts))
    assert text.rstrip(b"\0").decode() == FOCUS_ST.vin
