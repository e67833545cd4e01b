"""Signals of a database file as entries of the gateway's catalogue.

An entry's id is a function of its name alone, so that the same signal has the same id in each run,
on each gateway, and whatever else stands in the file:

    FIRST_ID + (sha256(name), first 8 bytes, big endian) modulo ID_RANGE

It lies in 0x10000000 to 0x7fffffff, above all ids of the built-in catalogue, and fits in a signed
int of 32 bits. Two names with one id are refused when the configuration is read (1000 signals: 1 in
4000).

The name is the signal's own, `EngineSpeed`, where no other message has a signal of that name and
the built-in catalogue neither; otherwise `Message.Signal`, for all that share it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from server import catalogue
from server.can.database import LoadedMessage
from server.catalogue import Signal

if TYPE_CHECKING:
    import cantools.database.can

FIRST_ID = 0x1000_0000
ID_RANGE = 0x7000_0000
PATH_ATTRIBUTE = "VssPath"
"""A signal attribute (BA_) of a DBC that names a path of the Vehicle Signal Specification."""
OVERLAY = "Vehicle.CAN."
FLOAT_STEP = 1e-6
"""Resolution of signals that are floating-point numbers, times their factor."""
_FLOAT_LIMIT = 3.4028234663852886e38

_BUILT_IN = frozenset(signal.name for signal in catalogue.CATALOGUE)
_NOT_IN_PATHS = re.compile(r"[^A-Za-z0-9_.]+")


def signal_id(name: str) -> int:
    """Give the id of an own signal."""
    digest = hashlib.sha256(name.encode()).digest()
    return FIRST_ID + int.from_bytes(digest[:8], "big") % ID_RANGE


def catalogue_names(messages: Iterable[LoadedMessage]) -> dict[tuple[str, str], str]:
    """Give the name in the catalogue for each (message, signal)."""
    pairs = [(one.name, signal.name) for one in messages for signal in one.message.signals]
    uses = Counter(signal for _, signal in pairs)
    return {
        (message, signal): (
            signal if uses[signal] == 1 and signal not in _BUILT_IN else f"{message}.{signal}"
        )
        for message, signal in pairs
    }


def catalogue_signal(name: str, message: str, signal: cantools.database.can.Signal) -> Signal:
    """Make the entry of a signal."""
    conversion = signal.conversion
    low, high = raw_range(signal)
    ends = sorted(
        max(-_FLOAT_LIMIT, min(_FLOAT_LIMIT, raw * conversion.scale + conversion.offset))
        for raw in (low, high)
    )
    step = abs(float(conversion.scale))
    attribute = signal.dbc.attributes.get(PATH_ATTRIBUTE) if signal.dbc is not None else None
    path = str(attribute.value) if attribute is not None and attribute.value else ""
    return Signal(
        id=signal_id(name),
        name=name,
        path=path or OVERLAY + _NOT_IN_PATHS.sub("_", f"{message}.{signal.name}"),
        unit=signal.unit or "",
        resolution=step * FLOAT_STEP if conversion.is_float else step,
        minimum=float(ends[0] if signal.minimum is None else signal.minimum),
        maximum=float(ends[1] if signal.maximum is None else signal.maximum),
        source=f"can:{message}",
    )


def raw_range(signal: cantools.database.can.Signal) -> tuple[float, float]:
    """Give the smallest and the largest number that the bits can hold."""
    if signal.conversion.is_float:
        return -_FLOAT_LIMIT, _FLOAT_LIMIT
    if signal.is_signed:
        return -(1 << signal.length - 1), (1 << signal.length - 1) - 1
    return 0, (1 << signal.length) - 1
