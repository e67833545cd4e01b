"""Identifiers by which every ECU says what it is (F1xx)."""

from __future__ import annotations

from collections.abc import Iterator

from sim.ecu.identity import EcuIdentity
from sim.ecu.uds.identifiers import Certainty, DidSpec, Memory, constant
from sim.ecu.uds.state import DiagnosticState

REPAIR_SHOP, PROGRAMMING_DATE = 0xF198, 0xF199
WRITABLE = {REPAIR_SHOP: b"TELERIG".ljust(16, b"\x00"), PROGRAMMING_DATE: bytes.fromhex("20130815")}

_STANDARD = "ISO 14229-1:2020, table C.1"
_FORD = "owners' diagnostic tools for Fords read it; not confirmed"
_PART_BYTES = 24  # Ford fills part numbers with zeros to 24 characters (assumed)
_SERIAL_BYTES = 16


def _part(text: str) -> bytes:
    return text.encode().ljust(_PART_BYTES, b"\x00")


def identification(
    identity: EcuIdentity, node: str, vin: str, state: DiagnosticState, memory: Memory
) -> Iterator[DidSpec]:
    """Yield the usual identifiers of an ECU; part and serial numbers are made up.

    Args:
        identity: its names.
        node: its name on the bus, for the serial number.
        vin: 17 characters; each ECU of the car knows it.
        state: tells the active session.
        memory: holds `WRITABLE`.
    """
    prefix = identity.calibration_id.partition("-")[0]
    texts = (
        (0xF187, "spare part number", _part(identity.calibration_id)),
        (0xF188, "ECU software number", _part(identity.calibration_id)),
        (0xF189, "ECU software version", b"01.00\x00\x00\x00"),
        (0xF18A, "system supplier", b"TELERIG\x00"),
        (0xF18B, "manufacturing date", bytes.fromhex("20130612")),
        (0xF18C, "ECU serial number", f"TR{node.upper():0<6}13061201".encode()[:_SERIAL_BYTES]),
        (0xF190, "VIN", vin.encode()),
        (0xF191, "ECU hardware number", _part(f"{prefix}-14B000-HW")),
        (0xF192, "supplier's hardware number", _part(f"TR-{identity.acronym}-HW")),
        (0xF194, "supplier's software number", _part(f"TR-{identity.acronym}-SW")),
        (0xF195, "supplier's software version", b"1.0.0\x00\x00\x00"),
        (0xF197, "system name", identity.name_bytes),
    )
    for did, name, data in texts:
        data = data.ljust(_SERIAL_BYTES, b"0") if did == 0xF18C else data
        yield constant(did, name, data, Certainty.STANDARD, _STANDARD)
    yield DidSpec(
        0xF186, "active session", 1, lambda _: bytes((state.session,)), Certainty.STANDARD,
        _STANDARD,
    )  # fmt: skip
    yield memory.spec(REPAIR_SHOP, "repair shop code", Certainty.STANDARD, _STANDARD)
    yield memory.spec(PROGRAMMING_DATE, "programming date", Certainty.STANDARD, _STANDARD)
    for did, name, text in (
        (0xF111, "core assembly number", f"{prefix}-14B000-CA"),
        (0xF113, "delivery assembly number", f"{prefix}-14B000-DA"),
        (0xF124, "calibration number", identity.calibration_id),
    ):
        yield constant(did, name, _part(text), Certainty.COMMUNITY, _FORD)
