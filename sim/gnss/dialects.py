"""What each family of chips answers to, as far as gateways and gpsd use it.

Sources: u-blox M8 and M9 interface descriptions, MTK NMEA packet manual, SiRF NMEA reference
manual.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sim.gnss.commands import Command, NmeaCommand, UbxCommand, ubx_frame
from sim.gnss.fields import sentence
from sim.gnss.profiles import Family

MAX_DIGITS = 9  # no parameter of these commands is longer
MIN_BAUD, MAX_BAUD = 4800, 921_600

HOT, WARM, COLD = 0, 1, 2
"""Kinds of restart, indices of `ReceiverProfile.first_fix_s`."""


class Controls(Protocol):
    """What a command can change on a receiver."""

    def set_baud(self, baud: int) -> None:
        """Change the rate of the line from the next byte on."""

    def set_rate(self, rate_hz: float) -> bool:
        """Change the navigation rate from the next epoch on; False when the chip can't."""

    def set_every(self, name: str, epochs: int) -> bool:
        """Send a sentence every so many epochs, 0 for never; False when the chip has it not."""

    def reset_sentences(self) -> None:
        """Send what the chip sends out of the box."""

    def restart(self, kind: int) -> None:
        """Start again as after HOT, WARM or COLD."""


class Dialect(Protocol):
    """Obeys one command and returns the answers, complete with checksum."""

    def obey(self, command: Command, receiver: Controls) -> list[bytes]: ...


def _number(fields: tuple[str, ...], index: int, default: int = -1) -> int:
    """Return the field as an integer; `default` where it is absent or no number."""
    try:
        text = fields[index]
        return int(text) if len(text) <= MAX_DIGITS else default
    except (IndexError, ValueError):
        return default


def _plausible_baud(baud: int) -> bool:
    return MIN_BAUD <= baud <= MAX_BAUD


class UbloxDialect:
    """PUBX,40 and PUBX,41, UBX-CFG-*, MON-VER. All else is ignored, as the chips do."""

    ACK_CLASS, CFG_CLASS, MON_CLASS, NMEA_CLASS = 0x05, 0x06, 0x0A, 0xF0
    PRT, MSG, RST, RATE, CFG, VALSET = 0x00, 0x01, 0x04, 0x08, 0x09, 0x8A
    NMEA_IDS: Mapping[int, str] = {
        0: "GGA", 1: "GLL", 2: "GSA", 3: "GSV", 4: "RMC", 5: "VTG", 7: "GST", 8: "ZDA", 9: "GBS",
    }  # fmt: skip
    RATE_MEAS_KEY, UART1_BAUD_KEY = 0x30210001, 0x40520001
    VALUE_BYTES: Mapping[int, int] = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}  # by bits 28-30 of the key

    def obey(self, command: Command, receiver: Controls) -> list[bytes]:
        if isinstance(command, NmeaCommand):
            self._pubx(command.fields, receiver)
            return []
        return self._ubx(command, receiver)

    def _pubx(self, fields: tuple[str, ...], receiver: Controls) -> None:
        if fields[:2] == ("PUBX", "41") and _plausible_baud(_number(fields, 5)):
            receiver.set_baud(_number(fields, 5))
        elif fields[:2] == ("PUBX", "40") and len(fields) > 4:
            receiver.set_every(fields[2], max(0, _number(fields, 4, 1)))  # UART1

    def _ubx(self, command: UbxCommand, receiver: Controls) -> list[bytes]:
        if command.message_class == self.MON_CLASS and command.message_id == 0x04:
            versions = b"EXT CORE 3.01 (107888)".ljust(30, b"\0") + b"00080000".ljust(10, b"\0")
            return [ubx_frame(self.MON_CLASS, 0x04, versions)]
        if command.message_class != self.CFG_CLASS:
            return []
        if command.message_id == self.RST:
            self._reset(command.payload, receiver)
            return []  # a restarting chip acknowledges nothing
        done = self._configure(command.message_id, command.payload, receiver)
        echo = bytes((command.message_class, command.message_id))
        return [ubx_frame(self.ACK_CLASS, int(done), echo)]

    def _reset(self, payload: bytes, receiver: Controls) -> None:
        cleared = int.from_bytes(payload[:2], "little")
        receiver.restart(HOT if cleared == 0 else WARM if cleared == 1 else COLD)

    def _configure(self, message_id: int, payload: bytes, receiver: Controls) -> bool:
        if message_id == self.PRT and len(payload) >= 20:
            return self._set_baud(int.from_bytes(payload[8:12], "little"), receiver)
        if message_id == self.RATE and len(payload) >= 6:
            return self._set_period(int.from_bytes(payload[:2], "little"), receiver)
        if message_id == self.MSG and len(payload) in (3, 8):
            # Three bytes set the port that asks; eight set each, the UART second.
            epochs = payload[2] if len(payload) == 3 else payload[3]
            name = self.NMEA_IDS.get(payload[1], "")
            return payload[0] == self.NMEA_CLASS and receiver.set_every(name, epochs)
        if message_id == self.VALSET and len(payload) >= 8:
            return self._set_values(payload[4:], receiver)
        return message_id == self.CFG  # saving the configuration always works

    def _set_values(self, pairs: bytes, receiver: Controls) -> bool:
        done = True
        while len(pairs) > 4 and done:
            key = int.from_bytes(pairs[:4], "little")
            size = self.VALUE_BYTES.get(key >> 28 & 7, 0)
            if not size or len(pairs) < 4 + size:
                return False
            value = int.from_bytes(pairs[4 : 4 + size], "little")
            if key == self.RATE_MEAS_KEY:
                done = self._set_period(value, receiver)
            elif key == self.UART1_BAUD_KEY:
                done = self._set_baud(value, receiver)
            pairs = pairs[4 + size :]
        return done

    def _set_baud(self, baud: int, receiver: Controls) -> bool:
        if not _plausible_baud(baud):
            return False
        receiver.set_baud(baud)
        return True

    def _set_period(self, period_ms: int, receiver: Controls) -> bool:
        return period_ms > 0 and receiver.set_rate(1000.0 / period_ms)


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
        number = int(fields[0][4:])
        if number == 605:
            return [sentence("PMTK705,AXN_2.31_3339_13101700,5632,PA6H,1.0")]
        if number in self.RESTARTS:
            receiver.restart(self.RESTARTS[number])
            return []  # the banner is the answer
        if number == 251:
            # PMTK251 is not acknowledged; 0 is the rate out of the box.
            baud = _number(fields, 1) or 9600
            if _plausible_baud(baud):
                receiver.set_baud(baud)
            return []
        return [sentence(f"PMTK001,{number},{self._obey(number, fields, receiver)}")]

    def _obey(self, number: int, fields: tuple[str, ...], receiver: Controls) -> int:
        if number == 0:
            return self.DONE
        if number in (220, 300):
            period_ms = _number(fields, 1)
            done = period_ms > 0 and receiver.set_rate(1000.0 / period_ms)
            return self.DONE if done else self.FAILED
        if number == 314:
            return self._choose(fields, receiver)
        return self.UNSUPPORTED

    def _choose(self, fields: tuple[str, ...], receiver: Controls) -> int:
        if _number(fields, 1) == -1 and len(fields) == 2:
            receiver.reset_sentences()
            return self.DONE
        if len(fields) < 2 + self.ZDA_PLACE:
            return self.FAILED
        every = [_number(fields, index) for index in range(1, 2 + self.ZDA_PLACE)]
        if not all(0 <= epochs <= 5 for epochs in every):
            return self.FAILED
        for name, epochs in (*zip(self.PLACES, every, strict=False), ("ZDA", every[-1])):
            receiver.set_every(name, epochs)
        return self.DONE


class SirfDialect:
    """PSRF100 (baud), PSRF101 (restart) and PSRF103 (sentences); never answered."""

    NAMES = ("GGA", "GLL", "GSA", "GSV", "RMC", "VTG", "MSS", "", "ZDA")

    def obey(self, command: Command, receiver: Controls) -> list[bytes]:
        if not isinstance(command, NmeaCommand):
            return []
        fields = command.fields
        if fields[0] == "PSRF100" and _number(fields, 1) == 1:
            if _plausible_baud(_number(fields, 2)):
                receiver.set_baud(_number(fields, 2))
        elif fields[0] == "PSRF101":
            # 1 hot, 2 and 3 warm, 4 and 8 cold.
            receiver.restart({1: HOT, 2: WARM, 3: WARM}.get(_number(fields, 8), COLD))
        elif fields[0] == "PSRF103" and _number(fields, 2) == 0:
            index, period_s = _number(fields, 1), _number(fields, 3)
            if 0 <= index < len(self.NAMES) and 0 <= period_s <= 255:
                receiver.set_every(self.NAMES[index], period_s)
        return []


def dialect(family: Family) -> Dialect:
    """Return the dialect of a family of chips."""
    dialects: Mapping[Family, Dialect] = {
        "ublox": UbloxDialect(),
        "mtk": MtkDialect(),
        "sirf": SirfDialect(),
    }
    return dialects[family]
