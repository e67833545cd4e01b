"""The commands of LAWICEL's CANUSB and CAN232, answered with CR for done and BELL for an error.

Source: CAN232 version 3 manual and CANUSB manual, "Available ASCII commands". What they leave open
is assumed here: an empty line is answered with CR, lower-case hex digits are taken, characters
behind a complete command are an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from sim.slcan.acceptance import AcceptanceFilter
from sim.slcan.memory import AutoStart
from sim.slcan.profiles import UART_RATES
from sim.slcan.text import CR, decode

if TYPE_CHECKING:
    from sim.slcan.adapter import SlcanAdapter

BELL = b"\a"
SJA1000_CLOCK_HZ = 16_000_000

_REGISTERS = re.compile(rb"[0-9A-Fa-f]+")

Handler = Callable[[bytes], bytes]


def bitrate_of_registers(btr0: int, btr1: int) -> int:
    """Return the bit rate that the SJA1000's bus timing registers give at 16 MHz, in bit/s."""
    quanta = 3 + (btr1 & 0x0F) + (btr1 >> 4 & 0x07)  # sync segment, TSEG1, TSEG2
    prescaler = 2 * ((btr0 & 0x3F) + 1)
    return round(SJA1000_CLOCK_HZ / (prescaler * quanta))


class LawicelFirmware:
    """Takes characters, gives answers; the adapter does the rest.

    Attributes:
        acceptance: the filter as `W`, `M` and `m` have set it.
    """

    def __init__(self, adapter: SlcanAdapter) -> None:
        self._adapter = adapter
        self._profile = adapter.profile
        self._acknowledgements = dict(self._profile.acknowledgements)
        handlers: dict[bytes, Handler] = {
            b"": lambda _line: CR,
            **dict.fromkeys((b"t", b"T", b"r", b"R"), self._transmit),
            b"S": self._set_bitrate,
            b"s": self._set_registers,
            b"O": self._open,
            b"L": self._listen,
            b"C": self._close,
            b"P": self._poll,
            b"A": self._poll_all,
            b"F": self._flags,
            b"X": self._auto_poll,
            b"W": self._filter_mode,
            b"M": self._acceptance,
            b"m": self._acceptance,
            b"U": self._uart,
            b"V": self._version,
            b"N": self._number,
            b"Z": self._stamps,
            b"Q": self._auto,
        }
        known = {b"", *(letter.encode() for letter in self._profile.commands)}
        self._handlers = {letter: call for letter, call in handlers.items() if letter in known}
        self._partial = b""
        self._too_long = False
        self._bitrate_bps: int | None = None
        self.acceptance = AcceptanceFilter()

    def reset(self) -> None:
        """Begin anew after power-on; the EEPROM's auto start opens the channel."""
        memory = self._adapter.memory
        self._partial = b""
        self._too_long = False
        self._bitrate_bps = None
        self.acceptance = AcceptanceFilter(single=memory.single_filter)
        start = memory.auto_start
        if start is not None:
            self._bitrate_bps = start.bitrate_bps
            self.acceptance = start.acceptance
            self._go(listen_only=start.listen_only)

    def take(self, data: bytes) -> bytes:
        """Execute the lines that `data` completes; return the answers."""
        lines = (self._partial + data).split(CR)
        rest = lines.pop()
        longest = self._profile.line_bytes
        answers = []
        for line in lines:
            if self._too_long or len(line) > longest:
                self._too_long = False
                self._adapter.counters.long_lines += 1
                answers.append(BELL)
            else:
                handler = self._handlers.get(line[:1])
                answers.append(BELL if handler is None else handler(line))
        if len(rest) > longest:
            self._too_long, rest = True, b""  # whatever comes until the next CR belongs to it
        self._partial = rest
        counters = self._adapter.counters
        counters.commands += len(lines)
        counters.refused += answers.count(BELL)
        return b"".join(answers)

    # -- setting up --------------------------------------------------------------------------------
    def _set_bitrate(self, line: bytes) -> bytes:
        rates = self._profile.bitrates_bps
        if self._adapter.channel.is_open or len(line) != 2:
            return BELL
        number = line[1] - 0x30
        if not 0 <= number < len(rates):
            return BELL
        self._bitrate_bps = rates[number]
        return CR

    def _set_registers(self, line: bytes) -> bytes:
        if self._adapter.channel.is_open or len(line) != 5 or not _REGISTERS.fullmatch(line[1:]):
            return BELL
        self._bitrate_bps = bitrate_of_registers(int(line[1:3], 16), int(line[3:], 16))
        return CR

    @property
    def _is_set_up(self) -> bool:
        """Initiated, in the manual's words, and not open."""
        return self._bitrate_bps is not None and not self._adapter.channel.is_open

    def _filter_mode(self, line: bytes) -> bytes:
        if not self._is_set_up or line not in (b"W0", b"W1"):
            return BELL
        single = line == b"W1"
        self._adapter.memory.single_filter = single
        self.acceptance = self.acceptance.with_mode(single)
        return CR

    def _acceptance(self, line: bytes) -> bytes:
        if not self._is_set_up or len(line) != 9 or not _REGISTERS.fullmatch(line[1:]):
            return BELL
        registers = int(line[1:], 16)
        old = self.acceptance
        if line[:1] == b"M":
            self.acceptance = AcceptanceFilter(registers, old.mask, old.single)
        else:
            self.acceptance = AcceptanceFilter(old.code, registers, old.single)
        return CR

    def _auto_poll(self, line: bytes) -> bytes:
        if self._adapter.channel.is_open or line not in (b"X0", b"X1"):
            return BELL
        self._adapter.memory.auto_poll = line == b"X1"
        return CR

    def _stamps(self, line: bytes) -> bytes:
        if self._adapter.channel.is_open or line not in (b"Z0", b"Z1"):
            return BELL
        self._adapter.memory.timestamps = line == b"Z1"
        return CR

    def _uart(self, line: bytes) -> bytes:
        if self._adapter.channel.is_open or len(line) != 2:
            return BELL
        number = line[1] - 0x30
        if not 0 <= number < len(UART_RATES):
            return BELL
        self._adapter.set_uart(number)
        return CR

    def _auto(self, line: bytes) -> bytes:
        channel = self._adapter.channel
        if not channel.is_open or line not in (b"Q0", b"Q1", b"Q2"):
            return BELL
        start = None
        if line != b"Q0" and channel.bitrate_bps is not None:
            start = AutoStart(channel.bitrate_bps, self.acceptance, line == b"Q2")
        self._adapter.memory.auto_start = start
        return CR

    # -- the channel -------------------------------------------------------------------------------
    def _open(self, line: bytes) -> bytes:
        if line != b"O" or not self._is_set_up:
            return BELL
        return self._go(listen_only=False)

    def _listen(self, line: bytes) -> bytes:
        if line != b"L" or not self._is_set_up:
            return BELL
        return self._go(listen_only=True)

    def _go(self, *, listen_only: bool) -> bytes:
        assert self._bitrate_bps is not None
        self._adapter.open(self._bitrate_bps, self.acceptance, listen_only=listen_only)
        return CR

    def _close(self, line: bytes) -> bytes:
        if line != b"C" or not self._adapter.channel.is_open:
            return BELL
        self._adapter.close()
        return CR

    def _transmit(self, line: bytes) -> bytes:
        channel = self._adapter.channel
        if not channel.is_open or channel.listen_only:
            return BELL
        frame = decode(line)
        if frame is None or not channel.send(frame):
            return BELL
        return self._acknowledgements[line[:1]] if self._adapter.auto_poll else CR

    def _poll(self, line: bytes) -> bytes:
        adapter = self._adapter
        if line != b"P" or not adapter.channel.is_open or adapter.auto_poll:
            return BELL
        return adapter.poll(1) or CR

    def _poll_all(self, line: bytes) -> bytes:
        adapter = self._adapter
        if line != b"A" or not adapter.channel.is_open or adapter.auto_poll:
            return BELL
        return adapter.poll(self._profile.rx_frames) + b"A\r"

    def _flags(self, line: bytes) -> bytes:
        if line != b"F" or not self._adapter.channel.is_open:
            return BELL
        return b"F%02X\r" % self._adapter.channel.read_status()

    # -- who it is ---------------------------------------------------------------------------------
    def _version(self, line: bytes) -> bytes:
        return self._profile.version + CR if line == b"V" else BELL

    def _number(self, line: bytes) -> bytes:
        return self._profile.serial_number + CR if line == b"N" else BELL
