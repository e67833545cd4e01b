"""The look at a bench: who is at each port, who holds it, and what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from rig.bench import Bench, handshake
from rig.bench.check import Checked, check_bench, manifest_entry
from server.operation.checks import ports
from server.operation.checks.finding import FAIL, OK, WARN, Finding

HOLD = """
import os, sys, time
os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
print("held", flush=True)
time.sleep(60)
"""
LOCK = """
import serial, sys, time
port = serial.Serial(sys.argv[1], exclusive=True)
print("locked", flush=True)
time.sleep(60)
"""
StandIn = Callable[..., Path]
MakeBench = Callable[..., Bench]
Start = Callable[..., subprocess.Popen[str]]


def only(checked: Checked, link: str) -> Finding:
    """Return the one finding of a link."""
    (finding,) = (found for found in checked.findings if found.check == link)
    return finding


def test_the_right_devices(stand_in: StandIn, make_bench: MakeBench) -> None:
    """Each is recognised, and says what it is; the record keeps that."""
    obd, gps = stand_in("elm327", 38_400), stand_in("gps", 9600)
    bench = make_bench(f"  obd: {{real: {obd}}}\n  gps: {{real: {gps}}}")
    checked = check_bench(bench)
    assert not checked.failures
    assert only(checked, "obd").found == f"an ELM327 (ELM327 v1.5) at {obd}, 38400 baud"
    assert checked.identities["obd"] == {
        "ATI": "ELM327 v1.5",
        "AT@1": "OBDII to RS232 Interpreter",
        "ATRV": "12.6V",
    }
    assert checked.identities["gps"] == {"sentences": "GPRMC", "fix": "yes"}
    assert checked.broken() == ""
    entry = manifest_entry(bench, checked)
    assert entry["links"]["obd"] == {"kind": "real", "where": str(obd)}
    assert entry["identities"]["obd"]["ATI"] == "ELM327 v1.5"
    assert entry["sha256"] == bench.sha256


def test_devices_that_were_swapped(stand_in: StandIn, make_bench: MakeBench) -> None:
    """A GPS where an ELM327 was expected, and the other way round: named, and the cure."""
    obd, gps = stand_in("elm327", 38_400), stand_in("gps", 9600)
    checked = check_bench(make_bench(f"  obd: {{real: {gps}}}\n  gps: {{real: {obd}}}"))
    wrong = only(checked, "obd")
    assert wrong.state == FAIL
    assert wrong.found == (
        f"{checked.bench.path}:3: expected an ELM327, found NMEA sentences of a GPS receiver "
        "at 9600 baud"
    )
    assert wrong.advice == "swap the places of 'obd' and 'gps'"
    other = only(checked, "gps")
    assert "expected NMEA sentences of a GPS receiver, found an ELM327" in other.found
    assert other.advice == "swap the places of 'gps' and 'obd'"
    assert checked.broken(["obd"]).startswith("obd: ")
    assert checked.broken(["mesh"]) == ""


def test_a_wrong_device_alone(stand_in: StandIn, make_bench: MakeBench) -> None:
    """Where nothing was swapped, the place at which it would be right is told."""
    gps = stand_in("gps", 38_400)
    wrong = only(check_bench(make_bench(f"  obd: {{real: {gps}}}")), "obd")
    assert "found NMEA sentences of a GPS receiver at 38400 baud" in wrong.found
    assert wrong.advice.startswith(f"write `gps: {{real: {gps}}}`")


@pytest.mark.parametrize(
    ("kind", "link", "baud"), [("elm327", "obd", 115_200), ("gps", "gps", 4800)]
)
def test_a_wrong_rate(
    stand_in: StandIn, make_bench: MakeBench, kind: str, link: str, baud: int
) -> None:
    """The right one is found, and told as it is to be written."""
    port = stand_in(kind, baud)
    wrong = only(check_bench(make_bench(f"  {link}: {{real: {port}, baud: 57600}}")), link)
    assert wrong.state == FAIL
    assert f"at 57600 baud, found one at {baud} baud" in wrong.found
    assert wrong.advice == f"write `baud: {baud}`"
    right = only(check_bench(make_bench(f"  {link}: {{real: {port}, baud: {baud}}}")), link)
    assert right.state == OK


@pytest.mark.parametrize(
    ("kind", "words"),
    [("silent", "found nothing that answers at"), ("noise", "found bytes that make no sense at")],
)
def test_nobody_that_is_known(
    stand_in: StandIn,
    make_bench: MakeBench,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    words: str,
) -> None:
    """Silence and noise are told apart, with the rates that were tried."""
    monkeypatch.setattr(handshake, "RATES", (9600, 115_200))
    wrong = only(check_bench(make_bench(f"  obd: {{real: {stand_in(kind, 9600)}}}")), "obd")
    assert wrong.state == FAIL
    assert f"{words} 38400, 9600, 115200 baud" in wrong.found
    assert wrong.advice


def test_what_works_and_spoils_a_run(stand_in: StandIn, make_bench: MakeBench) -> None:
    """No fix, no car: the bench can be used, and is warned of."""
    gps, obd = stand_in("gps-without-fix", 9600), stand_in("dead-car", 38_400)
    checked = check_bench(make_bench(f"  obd: {{real: {obd}}}\n  gps: {{real: {gps}}}"))
    assert not checked.failures
    warnings = [finding.found for finding in checked.findings if finding.state == WARN]
    assert "the adapter measures 0.2 V" in warnings[0]
    assert "no fix" in warnings[1]


def test_a_port_that_is_absent(make_bench: MakeBench, tmp_path: Path) -> None:
    """The line of the file, and what is plugged in instead; a file is no port."""
    (tmp_path / "file").touch()
    checked = check_bench(
        make_bench(f"  obd: {{real: /dev/ttyUSB97}}\n  gps: {{real: {tmp_path}/file}}")
    )
    gone = only(checked, "obd")
    path = checked.bench.path
    assert gone.found == f"{path}:3: expected a serial port /dev/ttyUSB97, found none"
    assert gone.advice.startswith("plug it in; serial ports here: ")
    assert "found a file that is none" in only(checked, "gps").found


def test_a_port_that_another_process_holds(
    stand_in: StandIn, make_bench: MakeBench, start: Start
) -> None:
    """Its number and command are told; the device behind a PTY is no such process."""
    port = stand_in("elm327", 38_400)
    holder = start(sys.executable, "-c", HOLD, port)
    held = only(check_bench(make_bench(f"  obd: {{real: {port}}}")), "obd")
    assert held.state == FAIL
    assert f"(process {holder.pid})" in held.found
    assert sys.executable in held.found
    assert f"kill {holder.pid}" in held.advice
    holder.kill()
    holder.wait()
    assert only(check_bench(make_bench(f"  obd: {{real: {port}}}")), "obd").state == OK


def test_a_port_whose_holder_cannot_be_seen(
    stand_in: StandIn, make_bench: MakeBench, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another user's process only the lock is seen: that it is held is told all the same."""
    port = stand_in("elm327", 38_400)
    start(sys.executable, "-c", LOCK, port)
    monkeypatch.setattr(ports, "holders", lambda _: [])
    held = only(check_bench(make_bench(f"  obd: {{real: {port}}}")), "obd")
    assert held.state == FAIL
    assert "another program holds it" in held.found


def test_a_port_without_permission(
    stand_in: StandIn, make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group that has the right is named. (Root may do all: the answer of access(2) is ours.)"""
    port = stand_in("elm327", 38_400)
    group = SimpleNamespace(gr_name="dialout")
    monkeypatch.setattr(ports.os, "access", lambda *_: False)
    monkeypatch.setattr(ports.grp, "getgrgid", lambda _: group)
    forbidden = only(check_bench(make_bench(f"  obd: {{real: {port}}}")), "obd")
    assert forbidden.state == FAIL
    assert "may not be opened by this user" in forbidden.found
    assert forbidden.advice.startswith("usermod --append --groups dialout USER")


def test_a_name_that_does_not_stay(
    stand_in: StandIn, make_bench: MakeBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For /dev/ttyUSB0 the by-id name of the same adapter is suggested."""
    port = stand_in("elm327", 38_400, "ttyUSB0")
    stable = tmp_path / "serial" / "by-id" / "usb-FTDI_X-if00-port0"
    stable.parent.mkdir(parents=True)
    stable.symlink_to(port.resolve())
    monkeypatch.setattr(ports, "DEV", tmp_path)
    assert ports.stable_name(port) == stable
    assert ports.candidates() == [str(stable)]
    monkeypatch.setattr("rig.bench.model._NUMBERED", SimpleNamespace(fullmatch=lambda _: True))
    checked = check_bench(make_bench(f"  obd: {{real: {port}}}"))
    (warning,) = (finding for finding in checked.findings if finding.state == WARN)
    assert warning.advice == f"write {stable}"


def test_a_server(make_bench: MakeBench) -> None:
    """A TCP server that refuses, and one that lets in and is somebody else."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    refused = only(check_bench(make_bench(f"  mesh: {{real: 127.0.0.1:{port}}}")), "mesh")
    assert refused.state == FAIL
    assert f"expected a server at 127.0.0.1:{port}, found: connection refused" in refused.found


def test_our_own_devices(make_bench: MakeBench, start: Start, tmp_path: Path) -> None:
    """An adapter, a radio, a board and an slcan adapter of the world are what they stand for."""
    pytest.importorskip("meshtastic", reason="telerig[mesh] is not installed")
    pytest.importorskip("can", reason="telerig[can] is not installed")
    device = (sys.executable, "-m", "rig.cli", "device")
    links = {name: tmp_path / name for name in ("obd", "mesh", "esp32", "can")}
    start(*device, "obd", "--link", links["obd"], "--profile", "clone_v21", "--json")
    start(*device, "mesh", "--link", links["mesh"], "--json")
    start(*device, "esp32", "--link", links["esp32"], "--json")
    start(*device, "can", "--slcan", "--link", links["can"], "--json")
    bench = make_bench(
        f"  obd: {{real: {links['obd']}}}\n  mesh: {{real: {links['mesh']}}}\n"
        f"  esp32: {{real: {links['esp32']}}}\n"
        f"  can: {{real: {{interface: slcan, channel: {links['can']}}}}}"
    )
    checked = check_bench(bench)
    assert not checked.failures, checked.failures
    assert checked.identities["obd"]["ATI"] == "ELM327 v2.1"
    assert checked.identities["mesh"]["hardware"] == "HELTEC_V3"
    assert checked.identities["esp32"]["protocol"] == "1"
    assert "canable" in checked.identities["can"]["version"]
    assert "frames heard in 1 s" in checked.findings[-2].found


def test_a_port_that_is_driven(stand_in: StandIn, make_bench: MakeBench) -> None:
    """A gateway's questions there are right, a device is not; the rig says nothing there itself."""
    gateway, gps = stand_in("gateway", 38_400), stand_in("gps", 9600)
    checked = check_bench(make_bench(f"  obd: {{drive: {gateway}}}\n  gps: {{drive: {gps}}}"))
    assert only(checked, "obd").found.endswith("somebody at its other end asks an ELM327")
    wrong = only(checked, "gps")
    assert wrong.state == FAIL
    assert "expected a gateway at the other end, found NMEA sentences" in wrong.found
    assert f"gps: {{real: {gps}}}" in wrong.advice


def test_a_python_can_interface(make_bench: MakeBench) -> None:
    """One that is not there is told with its line; one that is silent can be driven."""
    pytest.importorskip("can", reason="telerig[can] is not installed")
    absent = check_bench(make_bench("  can: {real: {interface: pcan, channel: PCAN_USBBUS1}}"))
    assert f"{absent.bench.path}:3: expected the CAN interface pcan" in only(absent, "can").found
    driven = check_bench(make_bench("  can: {drive: {interface: virtual, channel: desk}}"))
    assert only(driven, "can").state == OK
    real = check_bench(make_bench("  can: {real: {interface: virtual, channel: desk}}"))
    assert only(real, "can").state == WARN
    asked = check_bench(make_bench("  obd: {real: {interface: virtual, channel: desk}}"))
    assert "nobody answers an OBD request" in only(asked, "obd").found


def test_only_some(make_bench: MakeBench) -> None:
    """What was not asked for is not looked at; a simulated link never is."""
    bench = make_bench("  obd: {real: /dev/ttyUSB97}\n  gps: {real: /dev/ttyUSB98}\n  can: model")
    assert [look.link for look in check_bench(bench, ["gps"]).looks] == ["gps", "gateway"]


def test_a_gateway_elsewhere(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody at its address, a token that is not there, a command that is not installed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        at = f"http://127.0.0.1:{server.getsockname()[1]}"
    absent = only(check_bench(make_bench("", f"gateway: {{at: '{at}'}}")), "gateway")
    assert absent.state == FAIL
    assert "Connection refused" in absent.found
    monkeypatch.delenv("DESK_TOKEN", raising=False)
    token = make_bench("", f"gateway: {{at: '{at}', token: DESK_TOKEN}}")
    assert (
        "environment variable DESK_TOKEN, found none" in only(check_bench(token), "gateway").found
    )
    command = make_bench("", f"gateway: {{at: '{at}', start: [no-such-program]}}")
    assert "expected the program 'no-such-program'" in only(check_bench(command), "gateway").found


def test_nothing_stays_open(stand_in: StandIn, make_bench: MakeBench) -> None:
    """After a look the port is as free as before."""
    port = stand_in("elm327", 38_400)
    check_bench(make_bench(f"  obd: {{real: {port}}}"))
    time.sleep(0.05)
    target = str(port.resolve())
    links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    assert target not in [os.readlink(link) for link in links if link.is_symlink()]


def test_the_numbers_of_a_usb_adapter(
    stand_in: StandIn, make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maker, product, serial number and ids come from sysfs into the record."""
    info = SimpleNamespace(
        manufacturer="FTDI", product="FT232R USB UART", serial_number="A5", vid=0x403, pid=0x6001
    )
    monkeypatch.setattr("serial.tools.list_ports_linux.SysFS", lambda _: info)
    checked = check_bench(make_bench(f"  obd: {{real: {stand_in('elm327', 38_400)}}}"))
    said = checked.identities["obd"]
    assert said["ATI"] == "ELM327 v1.5"
    assert (said["usb.manufacturer"], said["usb.serial"], said["usb.id"]) == (
        "FTDI",
        "A5",
        "0403:6001",
    )
