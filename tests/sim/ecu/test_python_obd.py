"""Our answers, read by python-OBD's parser and decoders."""

from __future__ import annotations

from typing import Any

import pytest

obd = pytest.importorskip("obd")
protocols = pytest.importorskip("obd.protocols")

UNITS = {
    "%": "percent", "C": "degree_Celsius", "kPa": "kilopascal", "rpm": "revolutions_per_minute",
    "km/h": "kilometer_per_hour", "deg": "degree", "g/s": "gps", "V": "volt", "s": "second",
    "km": "kilometer", "mA": "milliampere", "min": "minute", "l/h": "liters_per_hour",
}  # fmt: skip

CODES = {0x01, 0x03, 0x13, 0x1C, 0x41, 0x51}  # not a physical value: tested one by one


def read(bench: Any, command: Any) -> Any:
    """Ask what `command` asks, functionally, and let python-OBD decode what comes."""
    bench.ask("0100")
    protocol = protocols.ISO_15765_4_11bit_500k(bench.lines())
    bench.ask(command.command.decode())
    return command(protocol(bench.lines())).value


def known_pids() -> list[int]:
    """PIDs that both the ECM and python-OBD know and that carry a physical value."""
    from sim.ecu.pids import ENGINE_PIDS
    from sim.ecu.powertrain import ECM

    ours = set(ENGINE_PIDS) | set(ECM.diagnostic_pids)
    return sorted(pid for pid in ours - CODES if obd.commands.has_pid(1, pid))


@pytest.mark.parametrize("pid", known_pids(), ids=lambda pid: f"{pid:02X}")
def test_same_value_unit_and_name(bench: Any, pid: int) -> None:
    """python-OBD reads the value that our own decoder reads, in our unit, by our name."""
    spec = bench.ecus.ecm.pids[pid]
    command = obd.commands[1][pid]
    value = read(bench, command)
    ours = spec.decode(spec.encode(bench.car.state))
    assert command.name == spec.name
    assert value.magnitude == pytest.approx(ours, rel=1e-9, abs=1e-9)
    if spec.unit:
        assert value.units == obd.Unit.Unit(UNITS[spec.unit])


def test_python_obd_knows_most_of_them() -> None:
    """The comparison above is not empty."""
    assert len(known_pids()) >= 35


def test_supported_pids(bench: Any) -> None:
    """python-OBD reads our bitmaps as the PIDs that the ECM has."""
    found = set()
    for index, command in enumerate(
        (obd.commands.PIDS_A, obd.commands.PIDS_B, obd.commands.PIDS_C)
    ):
        bits = read(bench, command)
        found |= {0x20 * index + n + 1 for n, bit in enumerate(bits) if bit}
    assert found - {0x20, 0x40, 0x60} == {pid for pid in bench.ecus.ecm.pids if pid <= 0x60}


def test_codes_and_bit_fields(bench: Any) -> None:
    """Fuel type, compliance, fuel status and readiness read as what they mean."""
    assert read(bench, obd.commands.FUEL_TYPE) == "Gasoline"
    assert read(bench, obd.commands.OBD_COMPLIANCE) == "EOBD (Europe)"
    fuel, _second = read(bench, obd.commands.FUEL_STATUS)
    assert fuel.startswith("Closed loop")
    status = read(bench, obd.commands.STATUS)
    assert status.ignition_type == "spark"
    assert status.CATALYST_MONITORING.available
    assert status.CATALYST_MONITORING.complete
    assert not status.SECONDARY_AIR_SYSTEM_MONITORING.available


def test_lamp_and_codes(bench: Any) -> None:
    """python-OBD reads lamp, number and codes, of one frame and of several."""
    for count in (1, 2, 3, 7):
        bench.ecus.ecm.dtcs.inject(f"P030{count}", confirmed=True)
        status = read(bench, obd.commands.STATUS)
        codes = [code for code, _text in read(bench, obd.commands.GET_DTC)]
        assert status.MIL is True
        assert status.DTC_count == len(codes)
        assert codes[-1] == f"P030{count}"


def test_vin_and_calibration(bench: Any) -> None:
    """python-OBD reads VIN, calibration and verification number out of segmented answers."""
    assert read(bench, obd.commands.VIN) == b"WF0DXXGAKDDK12345"
    assert read(bench, obd.commands.CALIBRATION_ID).strip(b"\x00") == b"DM5A-12A650-TRG"
    assert read(bench, obd.commands.CVN)


def test_monitor_results(bench: Any) -> None:
    """python-OBD reads each monitor's tests, within their limits."""
    monitor = read(bench, obd.commands.MONITOR_MISFIRE_CYLINDER_1)
    assert monitor.MISFIRE_COUNT.value.magnitude == 0
    catalyst = read(bench, obd.commands.MONITOR_CATALYST_B1)
    assert len(catalyst) == 1
    heater = read(bench, obd.commands.MONITOR_O2_HEATER_B1S1)
    (test,) = heater.tests
    assert test.min <= test.value <= test.max
