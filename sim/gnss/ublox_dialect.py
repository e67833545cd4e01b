"""What u-blox chips answer to: PUBX,40 and PUBX,41, UBX-CFG-*, MON-VER, polls of UBX-NAV-*.

Sources: u-blox M8 protocol specification (UBX-13003221), M9 SPG 4.04 interface description
(UBX-21022436). A CFG message is acknowledged, or refused with ACK-NAK; all else that is unknown is
ignored, as the chips do.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType

from sim.gnss.commands import Command, NmeaCommand, UbxCommand, ubx_frame
from sim.gnss.controls import COLD, HOT, WARM, Controls, number, plausible_baud
from sim.gnss.profiles import ReceiverProfile
from sim.gnss.ubx_chip import M8_UBX
from sim.gnss.ubx_nav import NAV_CLASS, NAV_IDS
from sim.gnss.ubx_settings import Settings
from sim.gnss.ubx_values import UbxValues

ACK_CLASS, CFG_CLASS, MON_CLASS, NMEA_CLASS = 0x05, 0x06, 0x0A, 0xF0
PRT, MSG, RST, RATE, CFG, VALSET, VALGET = 0x00, 0x01, 0x04, 0x08, 0x09, 0x8A, 0x8B
VER = 0x04
NMEA_IDS: Mapping[int, str] = MappingProxyType({
    0: "GGA", 1: "GLL", 2: "GSA", 3: "GSV", 4: "RMC", 5: "VTG", 7: "GST", 8: "ZDA", 9: "GBS",
})  # fmt: skip

UBX, NMEA = 0x01, 0x02  # bits of the protocol masks
INPUTS, OUTPUTS = 0x07, UBX | NMEA  # out of the box
DDC, UART1, UART2, USB, SPI = range(5)
PORTS = 6  # intervals in CFG-MSG: these five and one reserved
PORT_BYTES = 20
MODE_8N1 = 0x08C0
GPS_TIME = 1


class UbloxDialect:
    """Obeys one command and returns the answers, complete with checksum.

    The port that asks is UART1, or USB for a stick. Settings of the other ports are kept and read
    back, but nothing hangs there.
    """

    def __init__(self, profile: ReceiverProfile) -> None:
        self._chip = profile.ubx or M8_UBX
        self._port = USB if profile.usb else UART1
        self._inputs, self._outputs = INPUTS, OUTPUTS
        self._other_ports: dict[int, bytes] = {}
        self._settings = Settings(profile, self._chip)
        self._values = UbxValues(self)

    @property
    def port(self) -> int:
        """The port at which the host is."""
        return self._port

    def obey(self, command: Command, receiver: Controls) -> list[bytes]:
        if isinstance(command, NmeaCommand):
            if self._inputs & NMEA:
                self._pubx(command.fields, receiver)
            return []
        answers = self._ubx(command, receiver) if self._inputs & UBX else []
        return answers if self._outputs & UBX else []

    # -- protocols ---------------------------------------------------------------
    @property
    def masks(self) -> tuple[int, int]:
        """Protocols that are (let in, let out); see `set_masks`."""
        return self._inputs, self._outputs

    def set_masks(self, inputs: int, outputs: int, receiver: Controls) -> None:
        """Let protocols in and out."""
        self._inputs, self._outputs = inputs, outputs
        receiver.set_output(nmea=bool(outputs & NMEA), ubx=bool(outputs & UBX))

    # -- NMEA --------------------------------------------------------------------
    def _pubx(self, fields: tuple[str, ...], receiver: Controls) -> None:
        if fields[:2] == ("PUBX", "41") and number(fields, 2) == self._port:
            if plausible_baud(number(fields, 5)):
                receiver.set_baud(number(fields, 5))
                inputs, outputs = number(fields, 3, base=16), number(fields, 4, base=16)
                if inputs >= 0 and outputs >= 0:
                    self.set_masks(inputs, outputs, receiver)
        elif fields[:2] == ("PUBX", "40") and len(fields) > 3 + self._port:
            self._set_sentence(fields[2], number(fields, 3 + self._port, 1), receiver)

    def _set_sentence(self, name: str, epochs: int, receiver: Controls) -> None:
        if name in NMEA_IDS.values():
            receiver.set_every(name, max(0, epochs))

    # -- UBX ---------------------------------------------------------------------
    def _ubx(self, command: UbxCommand, receiver: Controls) -> list[bytes]:
        class_, id_, payload = command.message_class, command.message_id, command.payload
        if class_ == MON_CLASS and id_ == VER and not payload:
            return [ubx_frame(MON_CLASS, VER, self._versions())]
        if class_ == NAV_CLASS and not payload and id_ in NAV_IDS:
            receiver.send_once(NAV_IDS[id_])
        if class_ != CFG_CLASS:
            return []
        if id_ == RST:
            self._reset(payload, receiver)
            return []  # a restarting chip acknowledges nothing
        asked = self._read(id_, payload, receiver)
        if asked is not None:
            return [ubx_frame(CFG_CLASS, id_, asked), _acknowledgement(id_, True)]
        return [_acknowledgement(id_, self._configure(id_, payload, receiver))]

    def _versions(self) -> bytes:
        chip = self._chip
        texts = ((chip.software, 30), (chip.hardware, 10), *((e, 30) for e in chip.extensions))
        return b"".join(text.encode("ascii").ljust(size, b"\0") for text, size in texts)

    def _reset(self, payload: bytes, receiver: Controls) -> None:
        cleared = int.from_bytes(payload[:2], "little")
        receiver.restart(HOT if cleared == 0 else WARM if cleared == 1 else COLD)

    def _read(self, id_: int, payload: bytes, receiver: Controls) -> bytes | None:
        """Return what a poll of a configuration is answered with; None where this is no poll."""
        if id_ == PRT and len(payload) < 2:
            return self._port_settings(payload[0] if payload else self._port, receiver)
        if id_ == RATE and not payload:
            return struct.pack("<HHH", round(1000.0 / receiver.rate_hz), 1, GPS_TIME)
        if id_ == MSG and len(payload) == 2:
            every = receiver.every(_message(*payload))
            if every is None:
                return None
            return payload + bytes(every if port == self._port else 0 for port in range(PORTS))
        if id_ == VALGET and self._chip.has_values:
            return self._values.read(payload, receiver)
        return self._settings.get(id_, payload)

    def _configure(self, id_: int, payload: bytes, receiver: Controls) -> bool:
        if id_ == PRT and len(payload) == PORT_BYTES:
            return self._set_port(payload, receiver)
        if id_ == RATE and len(payload) >= 6:
            period_ms, cycles = struct.unpack_from("<HH", payload)
            return self.set_period(period_ms * cycles, receiver)
        if id_ == MSG and len(payload) in (3, 8):
            # Three bytes set the port that asks; eight set each.
            epochs = payload[2] if len(payload) == 3 else payload[2 + self._port]
            return receiver.set_every(_message(payload[0], payload[1]), epochs)
        if id_ == VALSET and self._chip.has_values and len(payload) >= 8:
            return self._values.set(payload[4:], receiver)
        # Saving the configuration always works.
        return id_ == CFG or self._settings.set(id_, payload)

    def _port_settings(self, port: int, receiver: Controls) -> bytes | None:
        if port in self._other_ports:
            return self._other_ports[port]
        if port > SPI:
            return None
        here = port == self._port
        baud = receiver.baud if here and port == UART1 else 9600 if port in (UART1, UART2) else 0
        inputs, outputs = self.masks if here else (INPUTS, OUTPUTS)
        mode = MODE_8N1 if port in (UART1, UART2) else 0
        return struct.pack("<BBHIIHHHH", port, 0, 0, mode, baud, inputs, outputs, 0, 0)

    def _set_port(self, payload: bytes, receiver: Controls) -> bool:
        port, _, _, _, baud, inputs, outputs, _, _ = struct.unpack("<BBHIIHHHH", payload)
        if port != self._port:
            self._other_ports[port] = payload
            return bool(port <= SPI)
        if port == UART1 and not self.set_baud(baud, receiver):
            return False
        self.set_masks(inputs, outputs, receiver)
        return True

    def set_baud(self, baud: int, receiver: Controls) -> bool:
        """Change the rate of the line; False when the chip can't."""
        if not plausible_baud(baud):
            return False
        receiver.set_baud(baud)
        return True

    def set_period(self, period_ms: int, receiver: Controls) -> bool:
        """Change the time from epoch to epoch; False when the chip can't."""
        return period_ms > 0 and receiver.set_rate(1000.0 / period_ms)


def _acknowledgement(id_: int, done: bool) -> bytes:
    return ubx_frame(ACK_CLASS, int(done), bytes((CFG_CLASS, id_)))


def _message(class_: int, id_: int) -> str:
    """Return the name of a message; empty when it is not modelled."""
    if class_ == NMEA_CLASS:
        return NMEA_IDS.get(id_, "")
    return NAV_IDS.get(id_, "") if class_ == NAV_CLASS else ""
