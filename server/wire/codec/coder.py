"""A binary range coder of 28 bits: every product stays within MicroPython's small integers.

A probability is that of a 1, in 1/32768, from 1 to 32767. The code is a binary fraction; bytes
that are missing at its end read as zero, so an encoder leaves out what is zero there.
"""

TOP = 1 << 28
BOTTOM = 1 << 20
LOW_MASK = BOTTOM - 1
GREATEST = TOP - 1
TAIL_BYTES = 4  # most bytes that the end of a code takes


class CodeWriter:
    """Writes decisions into a buffer of fixed size.

    Attributes:
        room: size of the buffer; what does not fit is counted in `position` but not kept.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self._bytes = bytearray(room + 8)
        self._kept = bytearray(room + 8)
        self.reset()

    def reset(self) -> None:
        """Start a new code."""
        self._low = 0
        self._range = GREATEST
        self.position = 0
        self.keep()

    def code(self, bit: int, chance: int) -> int:
        """Write one decision; give it back."""
        span = self._range
        part = (((span >> 14) * chance) >> 1) + (((span & 16383) * chance) >> 15)
        if bit:
            span = part
        else:
            self._low += part
            span -= part
        while span < BOTTOM:
            low = self._low
            at = self.position
            if low >= TOP:
                low -= TOP
                _carry(self._bytes, at)
            if at < self.room:
                self._bytes[at] = low >> 20
            self.position = at + 1
            self._low = (low & LOW_MASK) << 8
            span <<= 8
        self._range = span
        return bit

    def length(self) -> int:
        """Tell how many bytes the code takes if it ends here."""
        return self.position + _tail(self._low, self._range)[0]

    def keep(self) -> None:
        """Remember this point, to return to it."""
        self._kept[:] = self._bytes
        self._kept_low = self._low
        self._kept_range = self._range
        self._kept_position = self.position

    def back(self) -> None:
        """Return to the point that was kept."""
        self._bytes[:] = self._kept
        self._low = self._kept_low
        self._range = self._kept_range
        self.position = self._kept_position

    def finish(self) -> bytes:
        """Give the code in its shortest form."""
        at = self.position
        count, value = _tail(self._low, self._range)
        code = bytearray(at + count)
        code[:at] = self._bytes[:at]
        if value >= TOP:
            value -= TOP
            _carry(code, at)
        value <<= 4  # 32 bits
        for index in range(count):
            code[at + index] = (value >> (24 - 8 * index)) & 255
        return bytes(code)


class CodeReader:
    """Reads the decisions that a `CodeWriter` wrote."""

    def __init__(self, code: bytes) -> None:
        self._code = bytes(code) + b"\0\0\0\0\0"
        self._last = len(code)
        self._at = 3
        self._range = GREATEST
        start = self._code
        self._value = (start[0] << 20) | (start[1] << 12) | (start[2] << 4) | (start[3] >> 4)

    def is_over(self) -> bool:
        """True if more was read than a writer could have written."""
        return self._at - 3 > self._last

    def is_whole(self) -> bool:
        """True if the code ends just as the writer ends it after the same decisions."""
        at = self._at - 3
        if at > self._last:
            return False
        code = self._code
        window = (code[at] << 20) | (code[at + 1] << 12) | (code[at + 2] << 4) | (code[at + 3] >> 4)
        count, value = _tail((window - self._value) & GREATEST, self._range)
        return at + count == self._last and (value & GREATEST) == window

    def code(self, bit: int, chance: int) -> int:
        """Read one decision; `bit` is not looked at."""
        span = self._range
        part = (((span >> 14) * chance) >> 1) + (((span & 16383) * chance) >> 15)
        value = self._value
        if value < part:
            span = part
            bit = 1
        else:
            value -= part
            span -= part
            bit = 0
        if span < BOTTOM:
            code = self._code
            while span < BOTTOM:
                at = self._at
                more = ((code[at] << 4) | (code[at + 1] >> 4)) & 255 if at < self._last else 0
                value = (value << 8) | more
                span <<= 8
                self._at = at + 1
            self._value = value
        else:
            self._value = value
        self._range = span
        return bit


def _carry(code: bytearray, at: int) -> None:
    at -= 1
    if at >= len(code):
        return  # beyond the room: this code is given up anyway
    while at >= 0 and code[at] == 255:
        code[at] = 0
        at -= 1
    if at >= 0:
        code[at] += 1


def _tail(low: int, span: int) -> tuple[int, int]:
    """Give the fewest bytes that name a number within [low, low + span), and that number."""
    for count in range(TAIL_BYTES):
        shift = 28 - 8 * count
        value = ((low + (1 << shift) - 1) >> shift) << shift
        if value < low + span:
            return count, value
    return TAIL_BYTES, low
