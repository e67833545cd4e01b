"""DBC, KCD, SYM and ARXML files, read by cantools; what is wrong with them, in one line.

cantools refuses what does not parse, signals that overlap, and signals that do not fit; it lets
the last of two messages with one identifier win, without an error. Everything is refused here,
with the file and the line where cantools or the text tell it.

Where the key `signals` chooses, overlaps and misfits of others are let pass: most files of cars
were made by people who watched a bus, and have some.
"""

from __future__ import annotations

import codecs
import importlib.util
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from server.can.frame import EXTENDED, ID_MASK, shown_id
from server.config_section import Section
from server.errors import ConfigError

if TYPE_CHECKING:
    from cantools.database.can import Message, Signal

FORMATS = ("dbc", "kcd", "sym", "arxml")
PSEUDO_MESSAGE = "VECTOR__INDEPENDENT_SIG_MSG"
"""Where Vector's editor keeps signals that are in no message."""

J1939_GROUP = 0x03FF_FF00
"""Of a 29 bit identifier: the parameter group (SAE J1939-21), without priority and source."""
_PDU2 = 240  # from this PDU format on the byte behind it is part of the group, else a destination
_ANY_SOURCE = 0xFE  # J1939's null address: the file means no particular source

LONGEST_FRAME = 64
"""Bytes; of CAN FD."""
FLOAT_BITS = (16, 32, 64)

_LINE = re.compile(r"\bline (\d+)(?:, column \d+)?")
_OVERLAP = re.compile(r"The signals (\S+) and (\S+) are overlapping in message (\S+?)\.")
_MISFIT = re.compile(r"The signal (\S+) does not fit in message (\S+?)\.")
_SHORT_ID = re.compile(r"Standard frame id 0x([0-9a-f]+) is more than 11 bits in message (\S+?)\.")
_NO_BITS = re.compile(r"The signal (\S+) length \S+ is not greater than 0 in message (\S+?)\.")
_VALUES = re.compile(r"VAL_ \d+ \S+")
_WAY_OUT = "(or leave one out of the file, or choose with the key signals)"


class LoadedMessage:
    """A message and where it comes from.

    Attributes:
        message: as cantools has it.
        file: path, as configured.
    """

    __slots__ = ("file", "message")

    def __init__(self, message: Message, file: str) -> None:
        self.message = message
        self.file = file

    @property
    def can_id(self) -> int:
        """The identifier, with the flag EXTENDED."""
        return self.message.frame_id | (EXTENDED if self.message.is_extended_frame else 0)

    @property
    def is_j1939(self) -> bool:
        """Whether the file calls it a parameter group of J1939 (`VFrameFormat`)."""
        return self.message.protocol == "j1939" and self.message.is_extended_frame

    @property
    def mask(self) -> int:
        """Bits of the identifier that tell the message; of J1939 neither priority nor destination.

        The source counts unless the file has the null address, which stands for any.
        """
        if not self.is_j1939:
            return ID_MASK if self.message.is_extended_frame else 0x7FF
        number = self.message.frame_id
        mask = J1939_GROUP if number >> 16 & 0xFF >= _PDU2 else J1939_GROUP & ~0xFF00
        return mask if number & 0xFF == _ANY_SOURCE else mask | 0xFF

    @property
    def name(self) -> str:
        """Its name."""
        return self.message.name


def files_of(section: Section) -> tuple[str, ...]:
    """Give the files that the key `dbc` names: one, or several.

    Raises:
        ConfigError: no such key, or no file names.
    """
    if isinstance(section.table.get("dbc"), list):
        files: tuple[str, ...] = section.texts("dbc")
        if not files:
            raise section.where.error("dbc", "one file or more", "none")
        return files
    return (section.text("dbc"),)


def load_messages(section: Section) -> tuple[LoadedMessage, ...]:
    """Read the files that a link's table names.

    Raises:
        ConfigError: cantools is missing; or a file is missing, no database, or contradicts
            itself or another one; with the file and the line of what is wrong.
    """
    if importlib.util.find_spec("cantools") is None:
        raise section.where.error(
            "kind",
            "cantools for a link of this kind (pip install 'telerig[can]')",
            "no module cantools",
        )
    files = files_of(section)
    is_one = isinstance(section.table["dbc"], str)
    wanted = section.table.get("signals")
    chosen = frozenset(wanted) if isinstance(wanted, dict) else None
    loaded: list[LoadedMessage] = []
    for index, file in enumerate(files):
        key = ("dbc",) if is_one else ("dbc", index)
        path = Path(file).expanduser()
        suffix = path.suffix[1:].lower()
        if suffix not in FORMATS:
            expected = f"a file that ends with {', '.join('.' + each for each in FORMATS)}"
            raise section.where.error(key, expected, file)
        try:
            text = _text(path)
        except OSError as error:
            expected = "a readable database file"
            raise section.where.error(key, expected, f"{file}: {error.strerror}") from error
        loaded += _messages(text, file, suffix, chosen)
    _refuse_doubles(loaded)
    if not loaded:
        raise section.where.error("dbc", "a message with signals", f"none in {', '.join(files)}")
    return tuple(loaded)


def _text(path: Path) -> str:
    """Read a file: UTF-8 where it is that, else as Windows programs write it.

    cantools takes each DBC for cp1252: "°C" of a newer editor would be "Â°C" then.
    """
    content = path.read_bytes()
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _messages(
    text: str, file: str, suffix: str, chosen: frozenset[str] | None
) -> Iterable[LoadedMessage]:
    import cantools

    try:
        database = cantools.database.load_string(text, suffix, strict=False)
    except Exception as error:  # the formats' parsers raise KeyError, ValueError, …
        raise _refused(text, file, suffix, error) from error
    if not isinstance(database, cantools.database.can.Database):
        raise ConfigError(file, None, "a database of CAN messages", type(database).__name__)
    for message in database.messages:
        if not message.signals or message.name == PSEUDO_MESSAGE:
            continue
        wanted = _wanted(message, chosen)
        if message.length > LONGEST_FRAME:  # of J1939's transport: no frame ever fits
            for signal in wanted if chosen is not None else ():
                raise ConfigError(
                    file,
                    signal_line(text, message.name, signal.name),
                    f"a message of one frame ({LONGEST_FRAME} bytes at most)",
                    f"{signal.name} in message {message.name} of {message.length} bytes",
                )
            continue
        _refuse_numbers(wanted, message.name, text, file)
        try:
            _check_layout(message, wanted)
        except cantools.Error as error:
            raise _refused(text, file, suffix, error) from error
        yield LoadedMessage(message, file)


def _wanted(message: Message, chosen: frozenset[str] | None) -> list[Signal]:
    """Give the signals that are to be read, with the multiplexers that choose them."""
    if chosen is None:
        return list(message.signals)
    muxes = {signal.name: signal.multiplexer_signal for signal in message.signals}
    names: set[str] = set()
    for name in muxes:
        wanted: str | None = name
        if name in chosen or f"{message.name}.{name}" in chosen:
            while wanted is not None and wanted not in names:
                names.add(wanted)
                wanted = muxes.get(wanted)
    return [signal for signal in message.signals if signal.name in names]


def _refuse_numbers(signals: Iterable[Signal], message: str, text: str, file: str) -> None:
    """Refuse signals out of which no value can be made."""
    for signal in signals:
        conversion = signal.conversion
        if not signal.name.strip():
            expected, found = "a name for each signal", f"{signal.name!r} in message {message}"
        elif not conversion.scale or not math.isfinite(conversion.scale):
            expected = f"a factor other than 0 {_WAY_OUT}"
            found = f"factor {conversion.scale:g} of {signal.name} in message {message}"
        elif not math.isfinite(conversion.offset):
            expected = f"a finite offset {_WAY_OUT}"
            found = f"offset {conversion.offset:g} of {signal.name} in message {message}"
        elif conversion.is_float and signal.length not in FLOAT_BITS:
            expected = f"floats of {', '.join(str(bits) for bits in FLOAT_BITS)} bits {_WAY_OUT}"
            found = f"{signal.name} in message {message} is a float of {signal.length} bits"
        else:
            continue
        raise ConfigError(file, signal_line(text, message, signal.name), expected, found)


def _check_layout(message: Message, signals: list[Signal]) -> None:
    """Let cantools refuse overlaps and misfits among signals.

    Raises:
        cantools.Error: as it says it.
    """
    from cantools.database.can import Message as Checked

    Checked(
        message.frame_id,
        message.name,
        message.length,
        signals,
        is_extended_frame=message.is_extended_frame,
        is_fd=message.is_fd,
        strict=True,
    )


def _refused(text: str, file: str, suffix: str, error: Exception) -> ConfigError:
    said = str(error).removeprefix(f'{suffix.upper()}: "').removesuffix('"')
    said = "".join(each if each.isprintable() else " " for each in said)
    overlap, misfit, line = _OVERLAP.search(said), _MISFIT.search(said), _LINE.search(said)
    short, values = _SHORT_ID.search(said), _VALUES.search(said)
    if overlap is not None:
        first, second, message = overlap.groups()
        return ConfigError(
            file,
            signal_line(text, message, second),
            f"signals that share no bit {_WAY_OUT}",
            f"{first} and {second} overlap in message {message}",
        )
    if misfit is not None:
        signal, message = misfit.groups()
        return ConfigError(
            file,
            signal_line(text, message, signal),
            f"signals within the bytes of their message {_WAY_OUT}",
            f"{signal} does not fit in {message}",
        )
    if short is not None and suffix == "dbc":
        can_id, message = int(short[1], 16), short[2]
        return ConfigError(
            file,
            signal_line(text, message),
            f"an identifier of 11 bits (if it has 29, add {EXTENDED}: {can_id | EXTENDED})",
            f"{can_id} for message {message}",
        )
    number = int(line[1]) if line is not None else None
    empty = _NO_BITS.search(said)
    if empty is not None:
        number = signal_line(text, empty[2], empty[1])
    if values is not None:
        places = (at for at, each in enumerate(text.splitlines(), 1) if values[0] in each)
        number = next(places, None)
    found = " ".join(said.split())[:200] or type(error).__name__
    return ConfigError(file, number, f"a {suffix.upper()} file that cantools can read", found)


def signal_line(text: str, message: str, signal: str = "") -> int | None:
    """Give the line of a DBC text on which a message, or a signal of it, is defined."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        words = line.replace(":", " ").split()
        if words[:1] == ["BO_"] and len(words) > 2:
            inside = words[2] == message
            if inside and not signal:
                return number
        elif inside and words[:1] == ["SG_"] and len(words) > 1 and words[1] == signal:
            return number
    return None


def _refuse_doubles(loaded: Sequence[LoadedMessage]) -> None:
    by_id: dict[int, LoadedMessage] = {}
    by_name: dict[str, LoadedMessage] = {}
    for one in loaded:
        first = by_id.setdefault(one.can_id, one)
        if first is not one:
            raise ConfigError(
                one.file,
                _line_of(one),
                "each identifier once in all files of a link",
                f"{shown_id(one.can_id)} is {one.name} here and {first.name} in {first.file}",
            )
        first = by_name.setdefault(one.name, one)
        if first is not one:
            raise ConfigError(
                one.file,
                _line_of(one),
                "each message name once in all files of a link",
                f"{one.name} is {shown_id(one.can_id)} here, {shown_id(first.can_id)} in "
                f"{first.file}",
            )


def _line_of(one: LoadedMessage) -> int | None:
    if not one.file.lower().endswith(".dbc"):
        return None
    text = _text(Path(one.file).expanduser())
    number = None
    shown = one.message.frame_id | (EXTENDED if one.message.is_extended_frame else 0)
    for at, line in enumerate(text.splitlines(), 1):  # the last one: an earlier one was first
        if re.match(rf"\s*BO_\s+{shown}\s+{re.escape(one.name)}\s*:", line):
            number = at
    return number
