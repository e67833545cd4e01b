"""What each family of chips answers to, as far as gateways and gpsd use it.

Sources: MTK NMEA packet manual, SiRF NMEA reference manual; u-blox in a module of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sim.gnss.commands import Command, NmeaCommand
from sim.gnss.controls import COLD, HOT, MAX_DIGITS, WARM, Controls, number, plausible_baud
from sim.gnss.fields import sentence
from sim.gnss.profiles import ReceiverProfile
from sim.gnss.ublox_dialect import UbloxDialect

__all__ = ["COLD", "HOT", "WARM", "Dialect", "MtkDialect", "SirfDialect", "dialect"]


class Dialect(Protocol):
    """Obeys one command and returns the answers, complete with checksum."""

    def obey(self, command: Command, receiver: Controls) -> list[bytes]: ...


class MtkDialect:
    """PMTK commands; everything is answered, the unknown with PMTK001,<command>,1."""

    UNSUPPORTED, FAILED, DONE = 1, 2, 3
    # Places in PMTK314.
    PLACES = ("GLL", "RMC", "VTG", "GGA", "GSA", "GSV")
    ZDA_PLACE = 17
    RESTARTS: Mapping[int, int] = {101: HOT, 102: WARM, 103: COLD, 104: COLD}

    def obey(self, command: Command, receiver: Controls) -> list[bytes]:
        if not isinstance(command, NmeaCommand) or not command.fields[0].startswith("PMTK"):
            return []
        fields = command.fields
        if not fields[0][4:].isdigit() or len(fields[0]) > 4 + MAX_DIGITS:
            return []
        code = int(fields[0][4:])
        if code == 605:
            return [sentence("PMTK705,AXN_2.31_3339_13101700,5632,PA6H,1.0")]
        if code in self.RESTARTS:
            receiver.restart(self.RESTARTS[code])
            return []  # the banner is the answer
        if code == 251:
            # PMTK251 is not acknowledged; 0 is the rate out of the box.
            baud = number(fields, 1) or 9600
            if plausible_baud(baud):
                receiver.set_baud(baud)
            return []
        return [sentence(f"PMTK001,{code},{self._obey(code, fields, receiver)}")]

    def _obey(self, code: int, fields: tuple[str, ...], receiver: Controls) -> int:
        if code == 0:
            return self.DONE
        if code in (220, 300):
            period_ms = number(fields, 1)
            done = period_ms > 0 and receiver.set_rate(1000.0 / period_ms)
            return self.DONE if done else self.FAILED
        if code == 314:
            return self._choose(fields, receiver)
        return self.UNSUPPORTED

    def _choose(self, fields: tuple[str, ...], receiver: Controls) -> int:
        if number(fields, 1) == -1 and len(fields) == 2:
            receiver.reset_sentences()
            return self.DONE
        if len(fields) < 2 + self.ZDA_PLACE:
            return self.FAILED
        every = [number(fields, index) for index in range(1, 2 + self.ZDA_PLACE)]
        if not all(0 <= epochs <= 5 for epochs in every):
            return self.FAILED
        for name, epochs in (*zip(self.PLACES, every, strict=False), ("ZDA", every[-1])):
            receiver.set_every(name, epochs)
        return self.DONE


class SirfDialect:
    """PSRF100 (baud), PSRF101 (restart) and PSRF103 (sentences); never answered.

    PSRF100 to the binary protocol, with which gpsd probes every receiver, is ignored, as firmware
    does that speaks NMEA only: fixes keep coming.
    """

    NAMES = ("GGA", "GLL", "GSA", "GSV", "RMC", "VTG", "MSS", "", "ZDA")

    def obey(self, command: Command, receiver: Controls) -> list[bytes]:
        if not isinstance(command, NmeaCommand):
            return []
        fields = command.fields
        if fields[0] == "PSRF100" and number(fields, 1) == 1:
            if plausible_baud(number(fields, 2)):
                receiver.set_baud(number(fields, 2))
        elif fields[0] == "PSRF101":
            # 1 hot, 2 and 3 warm, 4 and 8 cold.
            receiver.restart({1: HOT, 2: WARM, 3: WARM}.get(number(fields, 8), COLD))
        elif fields[0] == "PSRF103" and number(fields, 2) == 0:
            index, period_s = number(fields, 1), number(fields, 3)
            if 0 <= index < len(self.NAMES) and 0 <= period_s <= 255:
                receiver.set_every(self.NAMES[index], period_s)
        return []


def dialect(profile: ReceiverProfile) -> Dialect:
    """Return what a chip of that profile answers to; it keeps the settings made by command."""
    if profile.family == "ublox":
        return UbloxDialect(profile)
    return MtkDialect() if profile.family == "mtk" else SirfDialect()
