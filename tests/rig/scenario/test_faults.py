"""The faults of a file: kinds, instants, parameters."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from rig.scenario import Scenario, ScenarioError

Load = Callable[..., Scenario]
Refuse = Callable[..., ScenarioError]

# The file of the fixtures: idle from 0 to 30 s, cruise from 30 to 150 s.


def section(fault: str) -> str:
    """A `faults:` section with one fault; it stands on line 6."""
    return f"faults:\n  - {fault}\n"


@pytest.mark.parametrize(
    ("fault", "windows"),
    [
        ("{at: 20 s, on: obd, drop: 2 %, for: 30 s}", [(20.0, 50.0)]),
        ("{at: cruise, on: obd, drop: 2 %, for: 30 s}", [(30.0, 60.0)]),
        ("{at: cruise+60 s, on: obd, drop: 2 %, for: 30 s}", [(90.0, 120.0)]),
        ("{at: cruise + 1 min, on: obd, drop: 2 %, for: 30 s}", [(90.0, 120.0)]),
        ("{in: cruise, on: obd, mute: true}", [(30.0, 150.0)]),
        ("{in: cruise, on: obd, mute: yes, for: 5 s}", [(30.0, 35.0)]),
        ("{in: cruise, on: gps, tunnel: 45 s}", [(30.0, 75.0)]),
        ("{in: cruise, on: gps, tunnel: true}", [(30.0, 150.0)]),
        ("{at: 5 s, on: obd, reset: true}", [(5.0, 5.0)]),
        (
            "{in: cruise, on: obd, mute: true, for: 10 s, every: 40 s}",
            [(30.0, 40.0), (70.0, 80.0), (110.0, 120.0)],
        ),
        ("{at: 100 s, on: obd, reset: true, every: 20 s}", [(100, 100), (120, 120), (140, 140)]),
    ],
)
def test_instants_resolve_to_seconds(
    load: Load, fault: str, windows: list[tuple[float, float]]
) -> None:
    """Offsets, phases and repetitions become windows of the drive's clock."""
    (found,) = load(section(fault)).faults
    assert list(found.windows) == windows
    assert (found.at_s, found.for_s) == (windows[0][0], windows[0][1] - windows[0][0])


def test_a_plain_value_sets_the_first_parameter_and_defaults_fill_the_rest(load: Load) -> None:
    """Numbers arrive in the unit of the field's name."""
    (fault,) = load(section("{in: idle, on: obd, delay: 50 ms}")).faults
    assert fault.parameters == {"time_s": 0.05, "jitter_s": 0.0, "direction": "to_host"}
    assert (fault.kind, fault.link, fault.name) == ("delay", "obd", "delay on obd")
    assert (fault.number("time_s"), fault.word("direction")) == (0.05, "to_host")


def test_a_mapping_sets_any_parameter(load: Load) -> None:
    """And `as` names the fault."""
    (fault,) = load(
        section("{in: idle, on: gps, as: late, delay: {time: 1 s, jitter: 5 ms, direction: both}}")
    ).faults
    assert fault.parameters == {"time_s": 1.0, "jitter_s": 0.005, "direction": "both"}
    assert (fault.name, fault.line) == ("late", 6)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("{in: idle, on: obd}", "one of drop, delay"),
        ("{in: idle, on: obd, drop: 2 %, mute: true}", "found drop and mute"),
        ("{in: idle, on: obd, dorp: 2 %}", "did you mean 'drop'?"),
        ("{on: obd, mute: true}", "found neither"),
        ("{at: 1 s, in: idle, on: obd, mute: true}", "found both"),
        ("{in: idel, on: obd, mute: true}", "did you mean 'idle'?"),
        ("{at: cruse+5 s, on: obd, mute: true, for: 1 s}", "did you mean 'cruise'?"),
        ("{at: cruise+5, on: obd, mute: true, for: 1 s}", "without a unit"),
        ("{at: cruise+, on: obd, mute: true, for: 1 s}", "a duration"),
        ("{at: 200 s, on: obd, mute: true, for: 1 s}", "within the drive (0 s to 150 s)"),
        ("{at: cruise+120 s, on: obd, mute: true, for: 1 s}", "within the drive"),
        ("{at: 140 s, on: obd, mute: true, for: 11 s}", "ends with the drive, at 150 s"),
        ("{in: idle, on: obd, mute: true, for: 31 s}", "ends with phase 'idle', at 30 s"),
        ("{at: 5 s, on: obd, mute: true}", "a fault without an end"),
        ("{at: 5 s, on: obd, reset: true, for: 3 s}", "happens at an instant"),
        ("{in: idle, on: obd, mute: true, every: 5 s}", "'for' beside 'every'"),
        ("{in: idle, on: obd, mute: true, for: 5 s, every: 5 s}", "above the fault's own 5 s"),
        ("{in: idle, on: obd, reset: true, every: 1 us}", "at most 10000 strikes"),
        ("{in: idle, mute: true}", "'on' in a fault"),
        ("{in: idle, on: lin, mute: true}", "a link"),
        ("{in: idle, on: obd, tunnel: 5 s}", "that 'tunnel' can strike: gps"),
        ("{in: idle, on: gps, tunnel: 5 s, for: 5 s}", "one duration"),
        ("{in: idle, on: gps, tunnel: {for: 5 s}}", "a key of 'tunnel'"),
        ("{in: idle, on: obd, drop: 2}", "without a unit"),
        ("{in: idle, on: obd, drop: 102 %}", "at most 100 %"),
        ("{in: idle, on: obd, drop: {}}", "drop: {probability: 2 %}"),
        ("{in: idle, on: obd, drop: {prob: 2 %}}", "did you mean 'probability'?"),
        ("{in: idle, on: obd, mute: loud}", "`mute: true`"),
        ("{in: idle, on: obd, mute: {direction: up}}", "one of to_host, to_device, both"),
        ("5", "a fault"),
    ],
)
def test_a_wrong_fault_is_refused_with_its_line(refuse: Refuse, fault: str, words: str) -> None:
    """The message says what would be right."""
    error = refuse(section(fault))
    assert error.line == 6
    assert words in str(error)


def test_a_fault_on_a_link_that_is_not_needed_is_refused(refuse: Refuse) -> None:
    """It could never strike."""
    error = refuse("needs: [obd]\nfaults: [{in: idle, on: gps, mute: true}]\n")
    assert "needs: [obd, gps]" in error.hint


def test_a_fault_may_strike_what_is_no_link(load: Load) -> None:
    """Without an entry in `needs`."""
    (fault,) = load(section("{at: 5 s, on: gateway, gateway_pause: 3 s}")).faults
    assert (fault.link, fault.windows) == ("gateway", ((5.0, 8.0),))


def test_negative_numbers_are_right_where_a_clock_can_be_behind(load: Load) -> None:
    """And bounded below, too."""
    (fault,) = load(section("{at: 5 s, on: gps, clock_jump: -2 s, for: 10 s}")).faults
    assert fault.parameters == {"by_s": -2.0}


def test_a_leap_second_needs_its_midnight(load: Load, refuse: Refuse) -> None:
    """23:59:60 is no time of a morning; the world's clock begins before the drive."""
    leap = section("{at: 20 s, on: gps, leap_second: 20 s}")
    load(leap + "world: {start: 2026-12-31T23:59:20Z}\n")
    error = refuse(leap)
    assert "'leap_second' over a midnight (UTC)" in str(error)
    assert "found 08:00:32 to 08:00:52" in str(error)


@pytest.mark.parametrize(
    ("needs", "more", "fault", "message"),
    [
        ("[esp32]", "", "on: esp32, net_slow: 1 kB/s", None),
        (
            "[esp32]",
            "world: {esp32: {transport: serial}}\n",
            "on: esp32, net_slow: 1 kB/s",
            "expected a fault that can strike boards on a cable: .*found 'net_slow'",
        ),
        ("[obd]", "", "on: obd, net_slow: 1 kB/s", "strike 'obd' on a cable: .*door: socketcand"),
        (
            "[obd]",
            "world: {obd: {over: can, door: socketcand}}\n",
            "on: obd, net_slow: 1 kB/s",
            None,
        ),
        (
            "[obd]",
            "world: {obd: {over: can, door: socketcand}}\n",
            "on: obd, clone_quirk: no_repeat",
            "expected a fault that can strike an OBD link without an ELM327: .*found 'clone_quirk'",
        ),
        (
            "[obd]",
            "world: {obd: {over: can, door: slcan}}\n",
            "on: obd, brown_out: true",
            "expected a fault that can strike an OBD link without an ELM327: .*found 'brown_out'",
        ),
    ],
)
def test_a_network_fault_needs_a_network_and_one_of_a_cable_a_cable(
    load: Load, refuse: Refuse, needs: str, more: str, fault: str, message: str | None
) -> None:
    """The message lists what the link can suffer as it is reached here."""
    pytest.importorskip("cantools", reason="the package cantools is not installed")
    lasting = "" if "brown_out" in fault else ", for: 10 s"
    text = f"needs: {needs}\n{more}" + section(f"{{at: 5 s, {fault}{lasting}}}")
    if message is None:
        assert load(text).faults
    else:
        assert re.search(message, str(refuse(text)))
