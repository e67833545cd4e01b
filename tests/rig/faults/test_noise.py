"""Faults that add bytes: which, how many, until when."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("kind", ["garbage", "flood", "nul"])
def test_noise_comes_at_its_mean_rate_and_only_in_its_window(world: Any, kind: str) -> None:
    """100 B/s over 100 s are 10,000 bytes, within what chance allows."""
    world.strike(kind, 10.0, 110.0, rate_bytes_per_s=100.0)
    world.env.run(until=300.0)
    assert 7_500 < sum(len(data) for _, data in world.at_host) < 12_500
    assert all(10.0 <= at_s <= 110.0 for at_s, _ in world.at_host)


def test_garbage_has_every_byte_value(world: Any) -> None:
    """Among them NUL, CR, LF, and what is no UTF-8."""
    world.strike("garbage", 0.0, 100.0, rate_bytes_per_s=1000.0)
    world.env.run(until=100.0)
    assert len({byte for _, data in world.at_host for byte in data}) == 256


def test_a_flood_has_no_line_end_and_no_prompt(world: Any) -> None:
    """A reader that waits for either must bound what it keeps."""
    world.strike("flood", 0.0, 100.0, rate_bytes_per_s=1000.0)
    world.env.run(until=100.0)
    seen = {byte for _, data in world.at_host for byte in data}
    assert seen
    assert not seen & set(b"\r\n>\x00")


def test_nul_sends_nothing_else(world: Any) -> None:
    """NUL bytes only."""
    world.strike("nul", 0.0, 100.0, rate_bytes_per_s=10.0)
    world.env.run(until=100.0)
    assert {byte for _, data in world.at_host for byte in data} == {0}


def test_noise_stands_between_transmissions_and_never_inside_one(world: Any) -> None:
    """What the device sends in one go stays in one piece."""
    world.strike("garbage", 0.0, 100.0, rate_bytes_per_s=500.0)
    for second in range(100):
        world.send(second + 0.5, b"$GPRMC,whole*00\r\n")
    world.env.run(until=200.0)
    assert sum(data == b"$GPRMC,whole*00\r\n" for _, data in world.at_host) == 100


def test_noise_can_go_towards_the_device(world: Any) -> None:
    """The host sees nothing of it."""
    world.strike("garbage", 0.0, 10.0, rate_bytes_per_s=100.0, direction="to_device")
    world.env.run(until=20.0)
    assert world.at_host == []
    assert world.at_device


def test_noise_that_the_line_has_no_room_for_is_lost(make_world: Any) -> None:
    """Far above the line's rate it fills the line, and is over soon after its end."""
    world = make_world(paced=True)
    world.strike("garbage", 10.0, 40.0, rate_bytes_per_s=20_000.0)
    world.env.run(until=300.0)
    line_bytes = 30 * world.line.baud / 10
    assert 0.8 * line_bytes < sum(len(data) for _, data in world.at_host) < 1.1 * line_bytes
    assert max(at_s for at_s, _ in world.at_host) < 42.0
