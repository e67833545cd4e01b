"""Who an ECU says it is: service 09."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from sim.ecu.dtc import DtcStore

VIN_CHARS = 17
CALIBRATION_ID_BYTES = 16
ECU_NAME_BYTES = 20  # four of the acronym, "-", and 15 of the name (J1979-DA, infotype 0A)

VIN, CALIBRATION_ID, VERIFICATION_NUMBER, PERFORMANCE, ECU_NAME = 0x02, 0x04, 0x06, 0x08, 0x0A

# In-use performance of a car with some history: (completions, conditions met) of catalyst 1 and 2,
# oxygen sensor 1 and 2, VVT, secondary air, evaporative system, secondary oxygen sensor 1 and 2.
# The order is that of J1979-DA, infotype 08; the numbers are assumed; a monitor that the car has
# not shows zeros.
_OBD_CONDITIONS = 812
_PERFORMANCE = (
    (640, 701), (0, 0), (688, 720), (0, 0), (905, 790), (0, 0), (301, 412), (598, 690), (0, 0),
)  # fmt: skip

InformationItems = dict[int, Callable[[], bytes]]


@dataclass(frozen=True, slots=True)
class EcuIdentity:
    """Names of an ECU.

    Attributes:
        acronym: up to four characters, such as "ECM".
        name: up to 15 characters.
        calibration_id: up to 16 characters.
    """

    acronym: str
    name: str
    calibration_id: str

    def __post_init__(self) -> None:
        for what, text, most in (
            ("acronym", self.acronym, 4),
            ("name", self.name, 15),
            ("calibration id", self.calibration_id, CALIBRATION_ID_BYTES),
        ):
            if not text.isascii() or not 1 <= len(text) <= most:
                raise ValueError(f"ECU {what}: expected 1-{most} ASCII characters, got {text!r}")

    @property
    def calibration_bytes(self) -> bytes:
        """The 16 bytes of infotype 04."""
        return self.calibration_id.encode().ljust(CALIBRATION_ID_BYTES, b"\x00")

    @property
    def verification_number(self) -> bytes:
        """The four bytes of infotype 06; made up, but the same for the same calibration."""
        return zlib.crc32(self.calibration_bytes).to_bytes(4, "big")

    @property
    def name_bytes(self) -> bytes:
        """The 20 bytes of infotype 0A."""
        name = self.acronym.encode().ljust(4, b"\x00") + b"-" + self.name.encode()
        return name.ljust(ECU_NAME_BYTES, b"\x00")


def performance_bytes(dtcs: DtcStore) -> bytes:
    """Return the twenty counters of infotype 08 (spark ignition)."""
    counters = [_OBD_CONDITIONS, dtcs.ignition_cycles]
    for pair in _PERFORMANCE:
        counters += pair
    return b"".join(counter.to_bytes(2, "big") for counter in counters)


def information_items(identity: EcuIdentity, dtcs: DtcStore, vin: str | None) -> InformationItems:
    """Return what service 09 answers: infotype -> function giving number of items and data.

    Args:
        vin: 17 characters; None for an ECU that does not know it (one ECU of a car reports it).
            One with a VIN is the engine's and reports in-use performance too.

    Raises:
        ValueError: `vin` has not 17 ASCII characters.
    """
    items: InformationItems = {
        CALIBRATION_ID: lambda: b"\x01" + identity.calibration_bytes,
        VERIFICATION_NUMBER: lambda: b"\x01" + identity.verification_number,
        ECU_NAME: lambda: b"\x01" + identity.name_bytes,
    }
    if vin is not None:
        if len(vin) != VIN_CHARS or not vin.isascii():
            raise ValueError(f"VIN: expected {VIN_CHARS} ASCII characters, got {vin!r}")
        vin_bytes = vin.encode()
        items[VIN] = lambda: b"\x01" + vin_bytes
        items[PERFORMANCE] = lambda: bytes((2 + 2 * len(_PERFORMANCE),)) + performance_bytes(dtcs)
    return items
