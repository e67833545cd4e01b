"""What a bench makes of a scenario, without anything on the desk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rig import assembly
from rig.bench import read_bench
from rig.scenario import load_scenario
from rig.stand.wiring import NOWHERE, BenchError, Wiring

pytest.importorskip("cantools", reason="the package cantools is not installed")

SCENARIO = """\
rig: 1
needs: [obd, gps, can]
world: {obd: {baud: 38400}}
phases: [{idle: 5 s}]
limits: {readings.lost: {equals: 0}}
"""
Wire = Callable[..., Wiring]


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    """Return `wire(bench, scenario)`."""

    def wire(bench: str, scenario: str = SCENARIO) -> Wiring:
        paths = tmp_path / "desk.yaml", tmp_path / "a.scenario.yaml"
        for path, text in zip(paths, (f"bench: 1\n{bench}", scenario), strict=True):
            path.write_text(text)
        return Wiring(read_bench(paths[0]), load_scenario(paths[1]))

    return wire


def adapted(wiring: Wiring) -> dict[str, dict[str, object]]:
    """Return the links of the car's gateway."""
    ports = {"obd": "/run/obd", "gps": "/run/gps", "can": NOWHERE}
    plan = assembly.gateway_plan(wiring.scenario, "car", ports, "postgresql:///x")
    links: dict[str, dict[str, object]] = wiring.adapted(plan, ports).config["links"]
    return links


def test_a_world_is_built_without_what_is_real(wire: Wire) -> None:
    """The device is missing, the car and the others are there."""
    setup = wire("links: {obd: {real: /dev/ttyS0}}\n").world_setup()
    assert setup.obd is None
    assert setup.gps is not None
    assert setup.can is not None
    setup = wire("links: {gps: {real: /dev/ttyS0}, can: {real: 'box:29536'}}\n").world_setup()
    assert setup.obd is not None
    assert setup.gps is None
    assert setup.can is None


def test_a_driven_bus_has_no_door_of_its_own(wire: Wire) -> None:
    """Its car broadcasts all the same."""
    setup = wire("links: {can: {drive: {interface: socketcand, channel: can0}}}\n").world_setup()
    assert setup.can is not None
    assert setup.can.doors == {}
    assert setup.can.broadcast


def test_the_gateway_opens_what_stands_on_the_desk(wire: Wire) -> None:
    """The port with its rate, and the interface with its keys; all else is the scenario's."""
    links = adapted(
        wire(
            "links: {obd: {real: /dev/ttyS0, baud: 115200}, "
            "can: {real: {interface: socketcan, channel: can1, bitrate: 250 kbit/s}}}\n"
        )
    )
    assert (links["obd"]["port"], links["obd"]["baud"]) == ("/run/obd", 115200)
    assert (links["gps"]["port"], links["gps"]["baud"]) == ("/run/gps", 9600)
    can = links["can"]
    assert (can["interface"], can["channel"], can["bitrate"]) == ("socketcan", "can1", 250_000)
    assert "host" not in can
    assert can["dbc"]


def test_the_rate_is_the_scenarios_where_the_bench_names_none(wire: Wire) -> None:
    """A bench file says what differs."""
    assert adapted(wire("links: {obd: {real: /dev/ttyS0}}\n"))["obd"]["baud"] == 38400


def test_obd_over_a_real_bus_asks_there(wire: Wire) -> None:
    """The table of an adapter is gone, that of an interface is there; host and port too."""
    scenario = SCENARIO.replace("obd: {baud: 38400}", "obd: {over: can}")
    interface = "{interface: socketcand, channel: can0, options: {host: box, port: 29536}}"
    links = adapted(wire(f"links: {{obd: {{real: {interface}}}}}\n", scenario))
    assert "port" not in links["obd"]
    assert links["obd"]["can"] == {
        "interface": "socketcand",
        "channel": "can0",
        "bitrate": 500_000,
        "host": "box",
        "port": 29536,
    }


@pytest.mark.parametrize(
    ("bench", "words"),
    [
        ("links: {obd: {drive: /dev/ttyS0}}\n", ("'obd'", "gateway", "desk.yaml")),
        ('gateway: {at: "http://box:8000"}\n', ("http://box:8000", "simulated")),
    ],
)
def test_what_cannot_be_is_told(wire: Wire, bench: str, words: tuple[str, ...]) -> None:
    """A driven port without a gateway at its other end; a simulated link that nobody reaches."""
    with pytest.raises(BenchError) as error:
        wire(bench)
    for word in words:
        assert word in str(error.value)
