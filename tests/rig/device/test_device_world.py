"""The world behind a device alone: its seed, its defaults, its way with options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rig.device.speaker import Speaker
from rig.device.world import DeviceOptions, device_world
from rig.scenario import load_scenario
from rig.vtime.kernel import WorldClock

GPS = DeviceOptions("gps", rate_hz=1.0)


def heard(options: DeviceOptions, until_s: float = 8.0) -> bytes:
    """What a device says in its first seconds, without the times of day in it."""
    env = WorldClock()
    world = device_world(env, options)
    said = bytearray()
    world.lines[options.kind].attach_host(said.extend)
    env.run(until=until_s)
    positions = [line.split(b",") for line in said.split(b"\r\n") if b"GGA" in line]
    assert len(positions) > 3
    return b"\n".join(b",".join(fields[2:10]) for fields in positions)


def test_a_seed_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed gives the same fixes, another seed others."""
    monkeypatch.setattr("time.time_ns", lambda: 1_700_000_000_000_000_000)
    assert heard(GPS) == heard(GPS)
    assert heard(GPS) != heard(replace(GPS, seed=1))


def test_a_rate_that_the_chip_has_not() -> None:
    """A chip is not asked for more than it can."""
    with pytest.raises(ValueError, match="1000"):
        device_world(WorldClock(), replace(GPS, rate_hz=1000.0))


def test_a_scenario_gives_what_the_options_do_not(tmp_path: Path) -> None:
    """Profile and baud are the scenario's, unless an option says otherwise."""
    path = tmp_path / "s.scenario.yaml"
    path.write_text(
        "rig: 1\nneeds: [obd]\nworld: {obd: {profile: clone_v21, baud: 9600}}\n"
        "phases: [{idle: 5 s}]\nlimits: {readings.lost: {equals: 0}}\n"
    )
    options = DeviceOptions("obd", scenario=load_scenario(path, ""))
    assert device_world(WorldClock(), options).lines["obd"].baud == 9600
    faster = device_world(WorldClock(), replace(options, baud=115200))
    assert faster.lines["obd"].baud == 115200
    assert list(faster.lines) == ["obd"]


def test_events_with_any_details(capsys: pytest.CaptureFixture[str]) -> None:
    """Details of an event may have any names, that of the event's own parameter too."""
    Speaker(as_json=True, clock=lambda: 1.0).event("fault", kind="hang_up", name="loose")
    assert capsys.readouterr().out == (
        '{"event": "fault", "time_s": 1.0, "kind": "hang_up", "name": "loose"}\n'
    )
