"""Whole numbers as bytes: seven bits a byte, lowest first; signed ones by zigzag."""


def put(out: bytearray, value: int) -> None:
    """Append a number that is not negative."""
    while value >= 128:
        out.append((value & 127) | 128)
        value >>= 7
    out.append(value)


def put_signed(out: bytearray, value: int) -> None:
    """Append a number of either sign."""
    put(out, value * 2 if value >= 0 else -value * 2 - 1)


class Reader:
    """Reads numbers one after another; past the end it raises `ValueError`."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self.at = at

    def take(self) -> int:
        """Read a number that is not negative."""
        value = 0
        shift = 0
        while shift < 70:
            if self.at >= len(self._data):
                raise ValueError("the bytes end within a number")
            byte = self._data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError("a number of more than ten bytes")

    def take_signed(self) -> int:
        """Read a number of either sign."""
        value = self.take()
        return value >> 1 if not value & 1 else -(value >> 1) - 1

    def take_bytes(self, count: int) -> bytes:
        """Read so many bytes."""
        at = self.at
        if at + count > len(self._data):
            raise ValueError("the bytes end too early")
        self.at = at + count
        return bytes(self._data[at : at + count])
