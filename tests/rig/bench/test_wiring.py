"""The wiring table."""

from __future__ import annotations

from collections.abc import Callable

from rig.bench import Bench
from rig.bench.wiring import Wire, wiring

LINKS = """\
  obd: {real: /dev/a, baud: 115200, power: {off: [x], on: [y]}}
  esp32: {real: /dev/b, tap: false}
  mesh-base: {real: 'box:4403'}
  can: {drive: {interface: socketcan, channel: can0, bitrate: 250 kbit/s}}"""


def test_the_whole_desk(make_bench: Callable[..., Bench]) -> None:
    """Every link has a line; what devices say of themselves stands there."""
    said = {"obd": {"ATI": "ELM327 v1.5", "usb.serial": "A502"}}
    lines = {wire.link: wire for wire in wiring(make_bench(LINKS), said)}
    assert list(lines) == ["obd", "gps", "esp32", "mesh", "can", "mesh-base"]
    assert lines["obd"] == Wire(
        "obd",
        "real: ELM327 v1.5, A502, with a power switch",
        "/dev/a, 115200 baud",
        "a PTY; the rig records between",
    )
    assert lines["gps"] == Wire("gps", "simulated", "-", "a PTY or port of the rig")
    assert lines["esp32"].gateway == "opens /dev/b itself"
    assert lines["mesh-base"].wire == "box:4403"
    assert lines["can"].world == "simulated, drives a real port"
    assert lines["can"].wire == "socketcan can0, 250 kbit/s"


def test_a_gateway_elsewhere(make_bench: Callable[..., Bench]) -> None:
    """Its links are its own ports; what is simulated here is out of its reach."""
    bench = make_bench("  obd: {drive: /dev/a}", "gateway: {at: 'http://box:8000'}")
    ends = {wire.link: wire.gateway for wire in wiring(bench)}
    assert ends["obd"] == "http://box:8000: its own port"
    assert ends["gps"] == "out of reach"
