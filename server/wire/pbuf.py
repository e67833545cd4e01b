"""A small protobuf: what firmware needs to write and read the messages of telemetry.proto.

A message is a plain class with a table `FIELDS`; `Message` writes and reads any of them. Reading is
bounded: a table says how long a text may be and how often a field may come, unknown fields are
skipped, and anything malformed raises `WireError` with the reason. What is too long or too often
raises it too, or is cut, as the reader wishes. The bytes are those of Google's
library (fields in order of their numbers, defaults left out, repeated numbers packed).
"""

import struct

TYPE_CHECKING = False  # MicroPython has no typing; a checker takes this name for True
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

UINT32 = 1
UINT64 = 2
BOOL = 3
FIXED64 = 4
STRING = 5
BYTES = 6

_VARINT = 0
_EIGHT_BYTES = 1
_COUNTED = 2
_FOUR_BYTES = 5

MOST_FIELDS = 4096  # of one message, unknown ones included


class WireError(ValueError):
    """A message cannot be read; `reason` says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Field:
    """One row of a message's table.

    Args:
        number: as in telemetry.proto.
        name: attribute of the message.
        kind: one of the constants above, or the class of a message.
        most: longest text, or bytes, that is read; no meaning for numbers and messages.
        count: most items that are read of a repeated field; 0 for a field that is not repeated.
    """

    def __init__(
        self, number: int, name: str, kind: "int | type[Message]", most: int = 0, count: int = 0
    ) -> None:
        self.number = number
        self.name = name
        self.kind = kind
        self.most = most
        self.count = count

    def default(self) -> "Any":
        """Give the value that stands for "not there"."""
        if self.count:
            return []
        if not isinstance(self.kind, int):
            return None
        if self.kind == STRING:
            return ""
        if self.kind == BYTES:
            return b""
        return False if self.kind == BOOL else 0


class Message:
    """A message: attributes as its table says."""

    FIELDS: tuple[Field, ...] = ()

    def __init__(self, **values: object) -> None:
        for field in self.FIELDS:
            setattr(self, field.name, field.default())
        for name in values:
            if not hasattr(self, name):
                raise AttributeError(name)
            setattr(self, name, values[name])

    def to_bytes(self) -> bytes:
        """Give the message as protobuf."""
        out = bytearray()
        for field in self.FIELDS:
            value = getattr(self, field.name)
            if field.count:
                _write_repeated(out, field, value)
            elif value is not None and (value or not isinstance(field.kind, int)):
                _write_one(out, field, value)
        return bytes(out)

    def merge(self, data: bytes, cut: bool = False) -> None:
        """Take over what the bytes say; raises WireError. Repeated fields grow.

        With `cut`, a text that is too long is cut, and items that are too many are left out.
        """
        by_number = {field.number: field for field in self.FIELDS}
        for number, wire, value in fields_of(data):
            field = by_number.get(number)
            if field is not None:
                _take(self, field, wire, value, cut)


def put_varint(out: bytearray, value: int) -> None:
    """Append a number of 0 or more."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _write_one(out: bytearray, field: Field, value: "Any") -> None:
    kind = field.kind
    if not isinstance(kind, int):
        _write_counted(out, field.number, value.to_bytes())
    elif kind == STRING:
        _write_counted(out, field.number, value.encode())
    elif kind == BYTES:
        _write_counted(out, field.number, value)
    elif kind == FIXED64:
        put_varint(out, field.number << 3 | _EIGHT_BYTES)
        out.extend(struct.pack("<Q", value))
    else:
        put_varint(out, field.number << 3 | _VARINT)
        put_varint(out, int(value))


def _write_counted(out: bytearray, number: int, data: bytes | bytearray) -> None:
    put_varint(out, number << 3 | _COUNTED)
    put_varint(out, len(data))
    out.extend(data)


def _write_repeated(out: bytearray, field: Field, values: "list[Any]") -> None:
    if not values:
        return
    if field.kind in (UINT32, UINT64):
        packed = bytearray()
        for value in values:
            put_varint(packed, value)
        _write_counted(out, field.number, packed)
        return
    for value in values:
        _write_one(out, field, value)


class Reader:
    """Walks through the fields of one message."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def varint(self) -> int:
        """Read a number of at most 64 bits."""
        value = 0
        shift = 0
        while self.at < len(self.data):
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >> 64:
                    break
                return value
            shift += 7
            if shift > 63:
                break
        raise WireError("a number is cut off or longer than 64 bits")

    def take(self, n: int) -> bytes:
        """Read `n` bytes."""
        if n > len(self.data) - self.at:
            raise WireError(f"a field of {n} bytes ends behind the message")
        piece = self.data[self.at : self.at + n]
        self.at += n
        return piece


def fields_of(data: bytes) -> "Iterator[tuple[int, int, Any]]":
    """Yield (number, wire type, value) of each field: an int, or bytes of counted ones."""
    reader = Reader(data)
    count = 0
    while reader.at < len(data):
        count += 1
        if count > MOST_FIELDS:
            raise WireError(f"more than {MOST_FIELDS} fields in one message")
        key = reader.varint()
        number, wire = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise WireError(f"field number {number}")
        if wire == _VARINT:
            yield number, wire, reader.varint()
        elif wire == _EIGHT_BYTES:
            yield number, wire, struct.unpack("<Q", reader.take(8))[0]
        elif wire == _FOUR_BYTES:
            yield number, wire, struct.unpack("<I", reader.take(4))[0]
        elif wire == _COUNTED:
            yield number, wire, reader.take(reader.varint())
        else:
            raise WireError(f"field {number} has wire type {wire}")


def _take(message: Message, field: Field, wire: int, value: "Any", cut: bool) -> None:
    """Set one field of a message from what stood on the wire; another wire type is unknown."""
    kind = field.kind
    if field.count and len(getattr(message, field.name)) >= field.count and cut:
        return
    if not isinstance(kind, int):
        if wire == _COUNTED:
            _take_message(message, field, kind, value, cut)
        return
    if kind in (STRING, BYTES):
        if wire == _COUNTED:
            _put(message, field, _counted(field, value, cut))
    elif wire == _COUNTED and field.count:
        packed = Reader(value)
        while packed.at < len(packed.data):
            number = _number(field, packed.varint())
            if not cut or len(getattr(message, field.name)) < field.count:
                _put(message, field, number)
    elif wire == (_EIGHT_BYTES if kind == FIXED64 else _VARINT):
        _put(message, field, _number(field, value))


def _take_message(
    message: Message, field: Field, kind: "type[Message]", data: bytes, cut: bool
) -> None:
    inner = None if field.count else getattr(message, field.name)
    if inner is None:
        inner = kind()
        _put(message, field, inner)
    inner.merge(data, cut)


def _put(message: Message, field: Field, value: "Any") -> None:
    if not field.count:
        setattr(message, field.name, value)
        return
    items = getattr(message, field.name)
    if len(items) >= field.count:
        raise WireError(f"more than {field.count} items in {field.name}")
    items.append(value)


def _counted(field: Field, data: bytes, cut: bool) -> "Any":
    if len(data) > field.most:
        if not cut:
            raise WireError(f"{field.name}: at most {field.most} bytes expected, {len(data)} found")
        data = data[: _end_of_text(data, field.most) if field.kind == STRING else field.most]
    if field.kind == BYTES:
        return bytes(data)
    try:
        return str(data, "utf-8")
    except (UnicodeError, ValueError):
        raise WireError(f"{field.name} is not UTF-8") from None


def _end_of_text(data: bytes, most: int) -> int:
    """Give where a text may be cut: not within a character of several bytes."""
    end = most
    while end and data[end] & 0xC0 == 0x80:
        end -= 1
    return end


def _number(field: Field, value: int) -> "Any":
    if field.kind == BOOL:
        return value != 0
    if field.kind == UINT32 and value >> 32:
        raise WireError(f"{field.name}: {value} does not fit into 32 bits")
    return value
