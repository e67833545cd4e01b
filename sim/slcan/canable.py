"""CANable's firmware: takes commands without a word, and believes what it is told.

Source: normaldotcom/canable-fw and canable2-fw, src/slcan.c and src/usbd_cdc_if.c, commits of
2024. Its parser keeps the last line in its buffer and checks no digit: an empty line repeats the
last command ("FIXME: Pressing enter repeates the previous TX"), missing digits are those that lay
there before, and a wrong digit becomes some number. All of this is modelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.can.frame import CanFrame
from sim.slcan.acceptance import AcceptanceFilter
from sim.slcan.text import CR

if TYPE_CHECKING:
    from sim.slcan.adapter import SlcanAdapter

# Bits of canable2's error register (inc/error.h) that the model can set.
ERROR_CAN_TX_FAILED = 1 << 2
ERROR_TX_QUEUE_FULL = 1 << 4

FD_LETTERS = b"dDbB"
FD_LENGTHS = (*range(9), 12, 16, 20, 24, 32, 48, 64)


def _nibble(character: int) -> int:
    """Return what the firmware makes of a digit: no check, eight bits wide."""
    if character >= 0x61:
        return character - 0x61 + 10
    if character >= 0x41:
        return character - 0x41 + 10
    return character - 0x30 & 0xFF


_NIBBLES = bytes(_nibble(character) for character in range(256))


class CanableFirmware:
    """Takes characters; gives an answer to `V` and, on canable2, to `E`."""

    def __init__(self, adapter: SlcanAdapter) -> None:
        self._adapter = adapter
        self._profile = adapter.profile
        self._letters = frozenset(self._profile.commands.encode())
        self._take_all = AcceptanceFilter()
        self.reset()

    def reset(self) -> None:
        """Begin anew after power-on."""
        self._buffer = bytearray(self._profile.line_bytes + 1)
        self._length = 0
        self._bitrate_bps = self._profile.default_bitrate_bps or 0
        self._silent = False
        self._errors = 0

    def take(self, data: bytes) -> bytes:
        """Execute the lines that `data` completes; return what it says."""
        answers = b""
        *lines, rest = data.split(CR)
        for line in lines:
            self._append(line)
            answers += self._execute()
        self._append(rest)
        return answers

    def _append(self, characters: bytes) -> None:
        longest = self._profile.line_bytes
        while characters:
            if self._length >= longest:
                self._length = 0  # the firmware begins again at the start of its buffer
                self._adapter.counters.long_lines += 1
            piece = characters[: longest - self._length]
            self._buffer[self._length : self._length + len(piece)] = piece
            self._length += len(piece)
            characters = characters[len(piece) :]

    def _execute(self) -> bytes:
        buffer, length = self._buffer, self._length
        self._length = 0
        buffer[1:length] = buffer[1:length].translate(_NIBBLES)
        letter = buffer[0]
        counters = self._adapter.counters
        counters.commands += 1
        if letter not in self._letters:
            counters.refused += 1
            return b""
        name = chr(letter)
        if name in "vVE":
            return self._tell(name)
        if name in "tTrRdDbBX":
            self._transmit(letter)
        else:
            self._control(name, buffer[1])
        return b""

    def _tell(self, name: str) -> bytes:
        if name == "E":  # without a CR: so it is in the source
            return b"CANable Error Register: %X" % self._errors
        return self._profile.version + CR

    def _control(self, name: str, value: int) -> None:
        adapter = self._adapter
        rates = self._profile.bitrates_bps
        is_open = adapter.channel.is_open
        if name == "O":
            if not is_open:
                adapter.open(self._bitrate_bps, self._take_all, listen_only=self._silent)
        elif name == "C":
            adapter.close()
        elif name == "S":
            if value >= len(rates):
                adapter.counters.refused += 1
            elif not is_open:  # on the bus it is ignored without a word
                self._bitrate_bps = rates[value]
        elif name in "mM" and not is_open:
            self._silent = value == 1
        # A (automatic repetition) and Y (data bit rate) change nothing on this bus.

    def _transmit(self, letter: int) -> None:
        buffer, counters = self._buffer, self._adapter.counters
        is_extended = letter in b"TRDB"
        id_end = 9 if is_extended else 4
        identifier = 0
        for nibble in buffer[1:id_end]:
            identifier = identifier * 16 + nibble
        identifier &= 0x1FFF_FFFF if is_extended else 0x7FF
        dlc = buffer[id_end]
        if letter in FD_LETTERS:
            if dlc < len(FD_LENGTHS):
                counters.fd_refused += 1  # a classical bus would destroy it
            else:
                counters.refused += 1
            return
        if dlc > 8:
            counters.refused += 1
            return
        digits = buffer[id_end + 1 : id_end + 1 + 2 * dlc].ljust(2 * dlc, b"\0")
        data = bytes(
            (high << 4) + low & 0xFF for high, low in zip(digits[::2], digits[1::2], strict=True)
        )
        self._send(
            CanFrame(identifier, b"", is_extended, True, dlc)
            if letter in b"rR"
            else CanFrame(identifier, data, is_extended)
        )

    def _send(self, frame: CanFrame) -> None:
        channel = self._adapter.channel
        if not channel.is_open:
            self._errors |= ERROR_CAN_TX_FAILED
            self._adapter.counters.tx_refused += 1
        elif not channel.listen_only and not channel.send(frame):
            self._errors |= ERROR_TX_QUEUE_FULL
