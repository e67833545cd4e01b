"""DBC files as the rig reads them: which signals there are, and how they stand in frames.

The rig decodes with cantools itself, so that no figure rests on the gateway's own reading of a DBC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from rig.errors import RigError
from rig.record.manifest import SignalInfo
from sim.can.frame import CanFrame

CAN = "can"
OF_THE_FRAME = ("Counter", "Checksum")
Decode = Callable[[CanFrame], dict[str, float]]


def _brought() -> Mapping[str, Path]:
    from sim.broadcast import DBC_PATH

    return {"focus_st": Path(DBC_PATH)}


BROUGHT = ("focus_st",)
"""The names of the DBC files that the world brings along."""


class DatabaseError(RigError):
    """A DBC file that cannot be read."""


@dataclass(frozen=True)
class Database:
    """The messages of one or several DBC files, as cantools has them."""

    messages: tuple[Any, ...]

    @cached_property
    def signal_names(self) -> tuple[str, ...]:
        """The names of all signals, each once, in the order of the files."""
        return tuple(dict.fromkeys(s.name for m in self.messages for s in m.signals))

    @cached_property
    def told_names(self) -> tuple[str, ...]:
        """Those that tell something: no counter, no checksum, no multiplexer."""
        return tuple(
            dict.fromkeys(
                signal.name
                for message in self.messages
                for signal in message.signals
                if not signal.is_multiplexer and not signal.name.endswith(OF_THE_FRAME)
            )
        )

    @cached_property
    def message_of(self) -> Mapping[str, Any]:
        """Signal -> the first message that has it."""
        found: dict[str, Any] = {}
        for message in self.messages:
            for signal in message.signals:
                found.setdefault(signal.name, message)
        return found

    def decoder(self, wanted: frozenset[str]) -> Decode:
        """Return what gives the values of the `wanted` signals in a frame."""
        from cantools.database import DecodeError

        by_id = {(m.frame_id, m.is_extended_frame): m for m in self.messages}

        def decode(frame: CanFrame) -> dict[str, float]:
            message = by_id.get((frame.arbitration_id, frame.is_extended))
            if message is None or frame.is_remote:
                return {}
            try:
                found = message.decode(frame.data, decode_choices=False, allow_truncated=True)
            except (ValueError, DecodeError):
                return {}  # no frame that this DBC knows, though of its identifier
            return {name: float(value) for name, value in found.items() if name in wanted}

        return decode

    def info(self, name: str) -> SignalInfo:
        """Return what the record's manifest keeps of a signal."""
        message = self.message_of[name]
        signal = message.get_signal_by_name(name)
        return SignalInfo(name, signal.unit or "", abs(float(signal.scale)) or 1.0, CAN)


@lru_cache
def load_database(names: Sequence[str]) -> Database:
    """Return the database that the DBC files of these names or paths make up.

    Raises:
        DatabaseError: a file cannot be read, or is no DBC.
    """
    import cantools
    from cantools.database.errors import Error

    messages: list[Any] = []
    for name in names:
        path = database_path(name)
        try:
            found: Any = cantools.database.load_file(path, database_format="dbc")
        except (OSError, UnicodeError, ValueError, Error) as error:
            first = (str(error).splitlines() or ["?"])[0]
            raise DatabaseError(f"{path}: expected a DBC file, found: {first}") from error
        messages += found.messages
    return Database(tuple(messages))


def database_path(name: str) -> Path:
    """Return the file of a DBC that the world brings along, or of any other."""
    return _brought()[name] if name in BROUGHT else Path(name)
