"""The rate of a terminal as a number: any rate, not only those that termios has names for.

A PTY has no UART, but it keeps the rate that its client sets, and its other end can read it.
"""

from __future__ import annotations

import fcntl
import struct

# struct termios2 of asm-generic, which x86, ARM and RISC-V share.
_TCGETS2 = 0x802C542A
_TCSETS2 = 0x402C542B
_LAYOUT = struct.Struct("=4I20s2I")
_CBAUD, _BOTHER = 0o010017, 0o010000
_INPUT_SHIFT = 16


def read_speed(descriptor: int) -> int:
    """Return the output rate in bit/s; 0 means that the line is hung up (B0).

    Raises:
        OSError: it is no terminal.
    """
    packed = fcntl.ioctl(descriptor, _TCGETS2, bytes(_LAYOUT.size))
    return int(_LAYOUT.unpack(packed)[-1])


def write_speed(descriptor: int, baud: int) -> None:
    """Set both rates.

    Raises:
        OSError: it is no terminal.
    """
    packed = fcntl.ioctl(descriptor, _TCGETS2, bytes(_LAYOUT.size))
    iflag, oflag, cflag, lflag, rest, _, _ = _LAYOUT.unpack(packed)
    cflag &= ~(_CBAUD | _CBAUD << _INPUT_SHIFT)
    cflag |= _BOTHER | _BOTHER << _INPUT_SHIFT
    fcntl.ioctl(descriptor, _TCSETS2, _LAYOUT.pack(iflag, oflag, cflag, lflag, rest, baud, baud))
