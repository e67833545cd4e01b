"""The catalogue of faults: kind -> parameters with units, and the function that does it.

Adding a fault is one function `begin(strike)` that returns what undoes it, one entry here, and a
test that fails without the gateway's handling. `docs/scenarios.md` has a line for each kind; a test
checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rig.faults import board, bytestream, canbus, device, noise, radio
from rig.faults.strike import End, Strike
from rig.quantity import BIT_RATE, BYTE_RATE, DURATION, LEVEL, PERCENTAGE, Dimension

Begin = Callable[[Strike], End | None]
"""Begins a strike; returns what undoes it, or None where it ends by itself."""

SERIAL_LINKS = ("obd", "gps", "esp32", "mesh", "can")
BUS_LINKS = ("can", "obd")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a fault.

    Attributes:
        word: its key in a scenario file.
        field: its key in `FaultSpec.parameters`, with the unit.
        about: what it means.
        dimension: how a number is read; None for a word.
        choices: the words that are right, where `dimension` is None.
        default: value where the file has none; None makes the parameter required.
        maximum: largest number that is right, in the dimension's unit. The smallest is 0.
    """

    word: str
    field: str
    about: str
    dimension: Dimension | None = None
    choices: tuple[str, ...] = ()
    default: float | str | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault.

    Attributes:
        word: its key in a scenario file.
        begin: does it.
        parameters: what can be set.
        primary: the parameter that a plain value sets (`drop: 2 %`), "for" where a plain value is
            the duration (`tunnel: 45 s`), or None where there is nothing to set (`mute: true`).
        links: the links that it can strike.
        lasts: False for an instant.
    """

    word: str
    begin: Begin
    parameters: tuple[Parameter, ...] = ()
    primary: str | None = None
    links: tuple[str, ...] = SERIAL_LINKS
    lasts: bool = True

    @property
    def about(self) -> str:
        """What it does, in one sentence: the first line of its function's docstring."""
        return (self.begin.__doc__ or "").strip().splitlines()[0]


_DIRECTION = Parameter(
    "direction",
    "direction",
    "which way the bytes go that it strikes",
    choices=("to_host", "to_device", "both"),
    default="to_host",
)
_PER_TRANSMISSION = Parameter(
    "probability", "probability_pct", "of each transmission", PERCENTAGE, maximum=100.0
)
_PER_BYTE = Parameter("probability", "probability_pct", "of each byte", PERCENTAGE, maximum=100.0)
_TIME = Parameter("time", "time_s", "added to each transmission", DURATION, maximum=60.0)
_JITTER = Parameter(
    "jitter", "jitter_s", "at most so much more, at random", DURATION, default=0.0, maximum=60.0
)
# 300 kB/s is more than any baud rate here can carry.
_RATE = Parameter("rate", "rate_bytes_per_s", "mean rate", BYTE_RATE, maximum=300e3)

_PER_EXCHANGE = Parameter(
    "probability", "probability_pct", "of each request, and of each answer", PERCENTAGE,
    maximum=100.0,
)  # fmt: skip
_FADE = Parameter("by", "by_db", "how much weaker", LEVEL, maximum=100.0)
_SIGNAL = Parameter("by", "by_db", "how much weaker", LEVEL, maximum=200.0)
_REASON = Parameter(
    "reason",
    "reason",
    "what the board says afterwards; power-on cuts its power for an instant",
    choices=("watchdog", "brown-out", "power-on"),
    default="watchdog",
)
_PER_FRAME = Parameter("probability", "probability_pct", "of each frame", PERCENTAGE, maximum=100.0)
_ERROR = Parameter(
    "error",
    "error",
    "what the receivers, or the sender, find wrong",
    choices=("any", "bit", "stuff", "crc", "form", "ack"),
    default="any",
)
_NODE = Parameter(
    "node",
    "node",
    "whose frames: those of the engine's control unit, or of the link's door",
    choices=("engine", "door"),
    default="engine",
)
_BUS_LOAD = Parameter("load", "load_pct", "of the bus", PERCENTAGE, default=100.0, maximum=100.0)
_BIT_RATE = Parameter("rate", "rate_bps", "the wrong one", BIT_RATE, maximum=1e6)


def _kinds(*kinds: FaultKind) -> Mapping[str, FaultKind]:
    return {kind.word: kind for kind in kinds}


FAULT_KINDS: Mapping[str, FaultKind] = _kinds(
    FaultKind("drop", bytestream.drop, (_PER_TRANSMISSION, _DIRECTION), "probability"),
    FaultKind("delay", bytestream.delay, (_TIME, _JITTER, _DIRECTION), "time"),
    FaultKind("corrupt", bytestream.corrupt, (_PER_BYTE, _DIRECTION), "probability"),
    FaultKind("truncate", bytestream.truncate, (_PER_TRANSMISSION, _DIRECTION), "probability"),
    FaultKind("duplicate", bytestream.duplicate, (_PER_TRANSMISSION, _DIRECTION), "probability"),
    FaultKind("mute", bytestream.mute, (_DIRECTION,)),
    FaultKind("stall", bytestream.stall, (_DIRECTION,)),
    FaultKind("garbage", noise.garbage, (_RATE, _DIRECTION), "rate"),
    FaultKind("flood", noise.flood, (_RATE, _DIRECTION), "rate"),
    FaultKind("nul", noise.nul, (_RATE, _DIRECTION), "rate"),
    FaultKind("hang_up", device.hang_up, primary="for"),
    FaultKind("reset", device.reset, links=("obd",), lasts=False),
    FaultKind("tunnel", device.tunnel, primary="for", links=("gps",)),
    FaultKind("canyon", device.canyon, primary="for", links=("gps",)),
    FaultKind("wifi_outage", board.wifi_outage, primary="for", links=("esp32",)),
    FaultKind("wifi_loss", board.wifi_loss, (_PER_EXCHANGE,), "probability", links=("esp32",)),
    FaultKind("wifi_fade", board.wifi_fade, (_FADE,), "by", links=("esp32",)),
    FaultKind(
        "board_reset", board.board_reset, (_REASON,), "reason", links=("esp32",), lasts=False
    ),
    FaultKind("radio_reboot", radio.radio_reboot, links=("mesh",), lasts=False),
    FaultKind("radio_freeze", radio.radio_freeze, primary="for", links=("mesh",)),
    FaultKind("radio_fade", radio.radio_fade, (_SIGNAL,), "by", links=("mesh",)),
    FaultKind("can_error", canbus.can_error, (_PER_FRAME, _ERROR), "probability", links=BUS_LINKS),
    FaultKind("can_bus_off", canbus.can_bus_off, (_NODE,), "node", links=BUS_LINKS),
    FaultKind("can_mute", canbus.can_mute, primary="for", links=("can",)),
    FaultKind("can_flood", canbus.can_flood, (_BUS_LOAD,), "load", links=BUS_LINKS),
    FaultKind("can_wrong_rate", canbus.can_wrong_rate, (_BIT_RATE,), "rate", links=BUS_LINKS),
)
