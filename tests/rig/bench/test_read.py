"""Bench files: what stands on the desk, and what is said where they are wrong."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.bench import DRIVE, MODEL, REAL, Bench, GatewayPlace, PowerSwitch, read_bench
from rig.scenario.errors import ScenarioError

ADAPTER = "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0"


def bench(folder: Path, text: str) -> Path:
    """Write a bench file."""
    path = folder / "desk.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def links(folder: Path, text: str) -> Bench:
    """Read a bench of which only the links are written."""
    return read_bench(bench(folder, f"bench: 1\nlinks:\n  {text}\n"))


def test_a_desk(tmp_path: Path) -> None:
    """A real adapter with its switch, a simulated receiver, a driven CAN interface."""
    path = bench(
        tmp_path,
        f"""
bench: 1
name: cellar
about: OBD real, the rest simulated
features: [sky, ignition]
links:
  obd:
    real: {ADAPTER}
    baud: 115200
    power: {{off: [uhubctl, -a, off], on: [uhubctl, -a, on], off_for: 500 ms}}
  gps: model
  can: {{drive: {{interface: pcan, channel: PCAN_USBBUS1, bitrate: 250 kbit/s}}}}
gateway: local
""",
    )
    read = read_bench(path)
    assert (read.name, read.features) == ("cellar", ("sky", "ignition"))
    assert (read.real_links, read.driven_links) == (("obd",), ("can",))
    obd = read.at("obd")
    assert (obd.kind, obd.device, obd.baud, obd.tap) == (REAL, ADAPTER, 115_200, True)
    assert obd.power == PowerSwitch(
        ("uhubctl", "-a", "off"), ("uhubctl", "-a", "on"), 0.5, 3.0, f"{path}:10"
    )
    assert obd.place == f"{path}:8"
    assert read.at("gps").kind == read.at("mesh").kind == MODEL
    can = read.at("can")
    assert can.kind == DRIVE
    assert can.can is not None
    assert (can.can.interface, can.can.channel, can.can.bitrate_bps) == (
        "pcan",
        "PCAN_USBBUS1",
        250_000,
    )
    assert read.gateway.is_here
    assert not read.is_simulated
    assert len(read.sha256) == 64


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        (f"obd: {{real: {ADAPTER}}}", "device", ADAPTER),
        ("obd: {real: 'rfc2217://box:4000'}", "url", "rfc2217://box:4000"),
        ("obd: {real: 192.168.0.10:35000}", "address", ("192.168.0.10", 35000)),
        ("mesh: {real: 'tcp://radio.lan:4403'}", "address", ("radio.lan", 4403)),
        ("mesh: {real: '[fe80::1]:4403'}", "address", ("fe80::1", 4403)),
        ("gps: {drive: /dev/ttyUSB3}", "device", "/dev/ttyUSB3"),
        ("gps: {real: /dev/ttyUSB3, tap: false}", "tap", False),
        ("gps: {real: /dev/ttyUSB3, clock_offset: -150 ms}", "clock_offset_s", -0.15),
    ],
)
def test_places(tmp_path: Path, text: str, field: str, expected: object) -> None:
    """A path, a pyserial URL, or a TCP server."""
    read = links(tmp_path, text)
    assert getattr(read.at(text.partition(":")[0]), field) == expected


def test_can_interfaces(tmp_path: Path) -> None:
    """Bit rates are numbers or have a unit; a channel may be a number; host:port is socketcand."""
    options = "options: {auto_reset: true, state: ACTIVE, sjw: 2, name: '7'}"
    can = links(tmp_path, f"can: {{real: {{interface: kvaser, channel: 0, {options}}}}}").at("can")
    assert can.can is not None
    assert (can.can.channel, can.can.bitrate_bps) == (0, 500_000)
    assert can.can.options == {"auto_reset": True, "state": "ACTIVE", "sjw": 2, "name": "7"}
    assert can.can.place == f"{tmp_path}/desk.yaml:3"
    bare = links(tmp_path, "obd: {drive: {interface: x, channel: y, bitrate: 125000}}").at("obd")
    assert bare.can is not None
    assert bare.can.bitrate_bps == 125_000
    remote = links(tmp_path, "can: {real: 10.0.0.5:29536}").at("can").can
    assert remote is not None
    assert (remote.interface, dict(remote.options)) == (
        "socketcand",
        {"host": "10.0.0.5", "port": 29536},
    )


def test_a_gateway_elsewhere(tmp_path: Path) -> None:
    """Its address, how to get in, and how it is started."""
    text = 'gateway: {at: "http://box:8000/", token: BOX_TOKEN, start: [ssh, box, start]}'
    gateway = read_bench(bench(tmp_path, f"bench: 1\n{text}\n")).gateway
    assert gateway == GatewayPlace(
        "http://box:8000", "BOX_TOKEN", "", ("ssh", "box", "start"), (), f"{tmp_path}/desk.yaml:2"
    )
    assert not gateway.is_here


def test_an_empty_bench_is_simulated(tmp_path: Path) -> None:
    """Every link is the world's model, and the name is that of the file."""
    read = read_bench(bench(tmp_path, "bench: 1\n"))
    assert read.is_simulated
    assert read.name == "desk"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a bench, found an empty file; start with `bench: 1`"),
        ("bench: 2", ":1: expected format version 1, found '2'"),
        ("name: x", ":1: expected 'bench' in a bench, found name; add, say, `bench: 1`"),
        ("bench: 1\nlinsk: {}", ":2: expected a key of a bench, found 'linsk'; did you mean 'link"),
        ("bench: 1\nfeatures: [gps]", ":2: expected a feature that is no link, found 'gps'; every"),
        ("bench: 1\nfeatures: [a, a]", ":2: expected each feature once"),
        ("bench: 1\nlinks: [a]", ":2: expected 'links', say obd: {real:"),
        ("bench: 1\nlinks: {odb: model}", "found 'odb'; did you mean 'obd'?"),
        ("bench: 1\ngateway: here", "expected `local`, or where it is: gateway: {at:"),
        ("bench: 1\ngateway: {at: 'ftp://x'}", "expected the gateway's address, say http://"),
        ("bench: 1\ngateway: {token: X}", "expected 'at' in 'gateway', found token; add, say"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, words: str) -> None:
    """File, line, what was expected, what stands there, what to do."""
    path = bench(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        read_bench(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("obd: /dev/ttyUSB0", "write `obd: {real: /dev/ttyUSB0}`"),
        ("obd: simulated", "write `model` for a simulated device"),
        (
            "obd: {baud: 9600}",
            "expected one of 'real' and 'drive' at the link 'obd', found neither",
        ),
        ("obd: {real: /dev/a, drive: /dev/b}", "found real and drive"),
        ("obd: {real: ttyUSB0}", "found 'ttyUSB0'; write it in full: /dev/ttyUSB0"),
        ("obd: {real: 'usb://x'}", "expected a URL of pyserial (socket://"),
        ("obd: {real: 'host:99999'}", "expected a TCP port from 1 to 65535"),
        ("obd: {real: /dev/a, baud: 3}", "expected at least 300 baud, found '3'"),
        ("obd: {real: 'h:1', baud: 9600}", "expected no 'baud' at a TCP server"),
        ("obd: {real: /dev/a, power: {off: [x]}}", "expected 'on' in 'power', found off; add, say"),
        ("obd: {real: /dev/a, power: {off: x, on: [y]}}", "a command as a list of words"),
        ("gps: {drive: /dev/a, tap: true}", "expected 'tap' beside a real serial port"),
        ("gps: {drive: 'h:1'}", "expected a real port that the model drives, found the TCP server"),
        ("gps: {real: {interface: a, channel: b}}", "expected a port (a device path"),
        ("can: {real: /dev/ttyACM0}", "write {interface: slcan, channel: /dev/ttyACM0}"),
        (
            "can: {real: {interface: pcan}}",
            "expected 'channel' in a CAN interface, found interface",
        ),
        ("can: {real: {interface: a b, channel: c}}", "an interface: a letter, then letters"),
        ("can: {real: {interface: a, channel: c, bitrate: 3}}", "a whole number from 5000"),
        ("can: {real: {interface: a, channel: c, bitrate: 5 Mbit/s}}", "expected at most 1e+06"),
        ("can: {real: {interface: a, channel: c, options: 3}}", "'options', keywords of can.Bus"),
        ("obd: {real: /dev/a}\n  gps: {real: /dev/a}", "found /dev/a, which 'obd' has already"),
    ],
)
def test_mistakes_at_a_link(tmp_path: Path, text: str, words: str) -> None:
    """Each with its line and what to write."""
    with pytest.raises(ScenarioError) as caught:
        links(tmp_path, text)
    line = 3 + text.count("\n")
    assert str(caught.value).startswith(f"{tmp_path}/desk.yaml:{line}: ")
    assert words in str(caught.value)


def test_the_old_form_is_told_what_to_write(tmp_path: Path) -> None:
    """`can:` at the top was the whole format once."""
    path = bench(tmp_path, "# desk\ncan: {interface: pcan, channel: PCAN_USBBUS1}\n")
    with pytest.raises(
        ScenarioError, match=r"write `bench: 1` and `links: {can: {drive: "
    ) as caught:
        read_bench(path)
    assert caught.value.line == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is called what it should have been."""
    with pytest.raises(ScenarioError, match="expected a readable bench file, found no such file"):
        read_bench(tmp_path / "none.yaml")


@given(st.text(alphabet=st.sampled_from("{}[]:, \n-$'#|>&*!%@abz019/."), max_size=60))
def test_any_text(text: str) -> None:
    """Whatever stands under `links`, it is a bench or an error of the file."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(ScenarioError):
        assert links(Path(folder), text).name == "desk"
