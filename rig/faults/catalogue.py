"""The catalogue of faults: kind -> parameters with units, and the function that does it.

Adding a fault is one function `begin(strike)` that returns what undoes it, one entry here, and a
test that fails without the gateway's handling. `docs/scenarios.md` has a line for each kind; a test
checks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rig.faults import (
    board,
    bytestream,
    canbus,
    database,
    device,
    fleet,
    gateway,
    network,
    noise,
    radio,
    time,
    uart,
)
from rig.faults.strike import End, Strike
from rig.quantity import BAUD, BIT_RATE, BYTE_RATE, DRIFT, DURATION, LEVEL, PERCENTAGE, Dimension

Begin = Callable[[Strike], End | None]
"""Begins a strike; returns what undoes it, or None where it ends by itself."""

SERIAL_LINKS = ("obd", "gps", "esp32", "mesh", "can")
BUS_LINKS = ("can", "obd")
TARGETS = ("gateway", "database")
"""What can be struck besides links. Each is a part that the run hands to `install_all`."""

SERIAL = ("serial",)
SERIAL_OR_TCP = ("serial", "tcp")
BUS = ("bus",)
ELM327 = ("elm327",)
BOARD = ("serial", "wifi")
NETWORK = ("tcp", "wifi")
NETWORK_LINKS = ("esp32", "mesh", "can", "obd")

QUIRKS = (
    "no_repeat",
    "split_prompt",
    "not_connected",
    "late_searching",
    "two_bytes",
    "few_commands",
    "small_buffer",
    "zero_digit",
    "lock_up",
)
"""Habits of ELM327 clones, as `sim.elm327.profiles.QUIRKS` has them."""

Range = tuple[float, float]
DRAWN_S: Range = (0.5, 20.0)


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
        maximum: largest number that is right, in the dimension's unit.
        minimum: the smallest.
        drawn: the range from which campaigns draw, in the dimension's unit; None: the default is
            taken. Words are drawn from `choices`.
    """

    word: str
    field: str
    about: str
    dimension: Dimension | None = None
    choices: tuple[str, ...] = ()
    default: float | str | None = None
    maximum: float | None = None
    minimum: float = 0.0
    drawn: Range | None = None


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault.

    Attributes:
        word: its key in a scenario file.
        begin: does it.
        parameters: what can be set.
        primary: the parameter that a plain value sets (`drop: 2 %`), "for" where a plain value is
            the duration (`tunnel: 45 s`), or None where there is nothing to set (`mute: true`).
        links: the links, or of `TARGETS` those, that it can strike.
        lasts: False for an instant.
        wires: what of a link it strikes: its "serial" line, its "tcp" connection, its "wifi", the
            "bus" behind it, its "elm327" or "gnss" chip. A link that has none of them in a scenario
            cannot suffer it.
        drawn_s: the range from which campaigns draw how long it lasts; None: they never draw it.
        usual_s: how long it lasts where a file does not say so; None: it must.
        wrong_time: what a device says of instants is wrong, or a gateway cannot but be wrong about
            them: measures that match by instants (missing, fidelity, doubled, invented,
            time_error) cannot judge the link.
    """

    word: str
    begin: Begin
    parameters: tuple[Parameter, ...] = ()
    primary: str | None = None
    links: tuple[str, ...] = SERIAL_LINKS
    lasts: bool = True
    wires: tuple[str, ...] = SERIAL
    drawn_s: Range | None = DRAWN_S
    usual_s: float | None = None
    wrong_time: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """What it can strike besides links."""
        return tuple(on for on in self.links if on in TARGETS)

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
    "probability",
    "probability_pct",
    "of each transmission",
    PERCENTAGE,
    maximum=100.0,
    drawn=(1.0, 50.0),
)
_PER_BYTE = Parameter(
    "probability", "probability_pct", "of each byte", PERCENTAGE, maximum=100.0, drawn=(0.1, 10.0)
)
_TIME = Parameter(
    "time", "time_s", "added to each transmission", DURATION, maximum=60.0, drawn=(0.005, 3.0)
)
_JITTER = Parameter(
    "jitter",
    "jitter_s",
    "at most so much more, at random",
    DURATION,
    default=0.0,
    maximum=60.0,
    drawn=(0.0, 1.0),
)
# 300 kB/s is more than any baud rate here can carry.
_RATE = Parameter(
    "rate", "rate_bytes_per_s", "mean rate", BYTE_RATE, maximum=300e3, drawn=(20.0, 5000.0)
)

_PER_EXCHANGE = Parameter(
    "probability", "probability_pct", "of each request, and of each answer", PERCENTAGE,
    maximum=100.0, drawn=(5.0, 80.0),
)  # fmt: skip
_FADE = Parameter("by", "by_db", "how much weaker", LEVEL, maximum=100.0, drawn=(5.0, 60.0))
_SIGNAL = Parameter("by", "by_db", "how much weaker", LEVEL, maximum=200.0, drawn=(10.0, 120.0))
_REASON = Parameter(
    "reason",
    "reason",
    "what the board says afterwards; power-on cuts its power for an instant",
    choices=("watchdog", "brown-out", "power-on"),
    default="watchdog",
)
_PER_FRAME = Parameter(
    "probability", "probability_pct", "of each frame", PERCENTAGE, maximum=100.0, drawn=(0.5, 30.0)
)
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
_SHARE = Parameter(
    "share", "share_pct", "of the vehicles", PERCENTAGE, default=100.0, maximum=100.0,
    drawn=(10.0, 100.0),
)  # fmt: skip
_BUS_LOAD = Parameter(
    "load", "load_pct", "of the bus", PERCENTAGE, default=100.0, maximum=100.0, drawn=(50.0, 100.0)
)
_BIT_RATE = Parameter("rate", "rate_bps", "the wrong one", BIT_RATE, maximum=1e6, drawn=(50e3, 1e6))

_BOTH = dataclasses.replace(_DIRECTION, default="both")
_BAUD_RATE = Parameter(
    "rate", "rate_baud", "at which it listens", BAUD, minimum=300.0, maximum=4e6,
    drawn=(1200.0, 460_800.0),
)  # fmt: skip
_QUIRK = Parameter("quirk", "quirk", "which habit", choices=QUIRKS)
_PER_PACKET = Parameter(
    "probability", "probability_pct", "of each IP packet", PERCENTAGE, maximum=90.0,
    drawn=(1.0, 40.0),
)  # fmt: skip
_LATENCY = Parameter(
    "time", "time_s", "added to each way", DURATION, maximum=60.0, drawn=(0.02, 3.0)
)
_BANDWIDTH = Parameter(
    "rate", "rate_bytes_per_s", "that it carries, each way", BYTE_RATE, minimum=1.0, maximum=1e9,
    drawn=(200.0, 50e3),
)  # fmt: skip
_DRIFT = Parameter(
    "rate", "rate_ppm", "how much too fast", DRIFT, minimum=-100e3, maximum=100e3,
    drawn=(-500.0, 500.0),
)  # fmt: skip
_JUMP = Parameter(
    "by", "by_s", "how far ahead", DURATION, minimum=-86_400.0, maximum=86_400.0,
    drawn=(-30.0, 30.0),
)  # fmt: skip


_EXCHANGE = Parameter(
    "time", "time_s", "added to each exchange", DURATION, maximum=60.0, drawn=(0.005, 2.0)
)
_ON_GATEWAY, _ON_DATABASE = ("gateway",), ("database",)


def _kinds(*kinds: FaultKind) -> Mapping[str, FaultKind]:
    return {kind.word: kind for kind in kinds}


FAULT_KINDS: Mapping[str, FaultKind] = _kinds(
    FaultKind("drop", bytestream.drop, (_PER_TRANSMISSION, _DIRECTION), "probability"),
    FaultKind("delay", bytestream.delay, (_TIME, _JITTER, _DIRECTION), "time"),
    FaultKind("corrupt", bytestream.corrupt, (_PER_BYTE, _DIRECTION), "probability"),
    FaultKind("truncate", bytestream.truncate, (_PER_TRANSMISSION, _DIRECTION), "probability"),
    FaultKind("duplicate", bytestream.duplicate, (_PER_TRANSMISSION, _DIRECTION), "probability"),
    FaultKind("reorder", bytestream.reorder, (_PER_TRANSMISSION, _DIRECTION), "probability"),
    FaultKind("baud_mismatch", uart.baud_mismatch, (_BAUD_RATE, _BOTH), "rate"),
    FaultKind("mute", bytestream.mute, (_DIRECTION,)),
    FaultKind("stall", bytestream.stall, (_DIRECTION,)),
    FaultKind("garbage", noise.garbage, (_RATE, _DIRECTION), "rate"),
    FaultKind("flood", noise.flood, (_RATE, _DIRECTION), "rate"),
    FaultKind("nul", noise.nul, (_RATE, _DIRECTION), "rate"),
    FaultKind("hang_up", device.hang_up, primary="for", wires=SERIAL_OR_TCP),
    FaultKind("half_open", network.half_open, primary="for", wires=SERIAL_OR_TCP),
    FaultKind("reset", device.reset, links=("obd",), wires=ELM327, lasts=False),
    FaultKind(
        "brown_out", device.brown_out, links=("obd", "gps"), wires=(*ELM327, "gnss"), lasts=False
    ),
    FaultKind("clone_quirk", device.clone_quirk, (_QUIRK,), "quirk", links=("obd",), wires=ELM327),
    FaultKind("tunnel", device.tunnel, primary="for", links=("gps",)),
    FaultKind("canyon", device.canyon, primary="for", links=("gps",)),
    FaultKind("fleet_outage", fleet.fleet_outage, (_SHARE,), "share", links=("fleet",)),
    FaultKind("wifi_outage", board.wifi_outage, primary="for", links=("esp32",), wires=BOARD),
    FaultKind(
        "wifi_loss",
        board.wifi_loss,
        (_PER_EXCHANGE,),
        "probability",
        links=("esp32",),
        wires=BOARD,
    ),
    FaultKind("wifi_fade", board.wifi_fade, (_FADE,), "by", links=("esp32",), wires=BOARD),
    FaultKind(
        "board_reset",
        board.board_reset,
        (_REASON,),
        "reason",
        links=("esp32",),
        wires=BOARD,
        lasts=False,
    ),
    FaultKind("flash_full", board.flash_full, primary="for", links=("esp32",), wires=BOARD),
    FaultKind(
        "clock_drift",
        time.clock_drift,
        (_DRIFT,),
        "rate",
        links=("esp32", "gps"),
        wires=BOARD,
        wrong_time=True,
    ),
    FaultKind(
        "clock_jump",
        time.clock_jump,
        (_JUMP,),
        "by",
        links=("esp32", "gps"),
        wires=BOARD,
        wrong_time=True,
    ),
    # At midnight only, and beyond what a gateway can know: scenarios of their own have them.
    FaultKind(
        "leap_second",
        time.leap_second,
        primary="for",
        links=("gps",),
        drawn_s=None,
        wrong_time=True,
    ),
    FaultKind(
        "gps_week_rollover", time.gps_week_rollover, primary="for", links=("gps",), wrong_time=True
    ),
    FaultKind(
        "net_loss",
        network.net_loss,
        (_PER_PACKET,),
        "probability",
        links=NETWORK_LINKS,
        wires=NETWORK,
        wrong_time=True,
    ),
    FaultKind(
        "net_latency",
        network.net_latency,
        (_LATENCY, _JITTER),
        "time",
        links=NETWORK_LINKS,
        wires=NETWORK,
        wrong_time=True,
    ),
    FaultKind(
        "net_slow",
        network.net_slow,
        (_BANDWIDTH,),
        "rate",
        links=NETWORK_LINKS,
        wires=NETWORK,
        wrong_time=True,
    ),
    FaultKind(
        "net_partition",
        network.net_partition,
        primary="for",
        links=NETWORK_LINKS,
        wires=NETWORK,
        wrong_time=True,
    ),
    FaultKind(
        "radio_reboot", radio.radio_reboot, links=("mesh",), wires=SERIAL_OR_TCP, lasts=False
    ),
    FaultKind(
        "radio_freeze", radio.radio_freeze, primary="for", links=("mesh",), wires=SERIAL_OR_TCP
    ),
    FaultKind(
        "radio_fade", radio.radio_fade, (_SIGNAL,), "by", links=("mesh",), wires=SERIAL_OR_TCP
    ),
    FaultKind(
        "can_error",
        canbus.can_error,
        (_PER_FRAME, _ERROR),
        "probability",
        links=BUS_LINKS,
        wires=BUS,
    ),
    FaultKind("can_bus_off", canbus.can_bus_off, (_NODE,), "node", links=BUS_LINKS, wires=BUS),
    FaultKind("can_mute", canbus.can_mute, primary="for", links=("can",), wires=BUS),
    FaultKind("can_flood", canbus.can_flood, (_BUS_LOAD,), "load", links=BUS_LINKS, wires=BUS),
    FaultKind(
        "can_wrong_rate", canbus.can_wrong_rate, (_BIT_RATE,), "rate", links=BUS_LINKS, wires=BUS
    ),
    FaultKind("gateway_pause", gateway.gateway_pause, primary="for", links=_ON_GATEWAY, wires=()),
    FaultKind(
        "gateway_kill",
        gateway.gateway_kill,
        primary="for",
        links=_ON_GATEWAY,
        wires=(),
        drawn_s=(0.1, 10.0),
        usual_s=1.0,
    ),
    FaultKind("database_down", database.database_down, primary="for", links=_ON_DATABASE, wires=()),
    FaultKind(
        "database_slow",
        database.database_slow,
        (_EXCHANGE, _JITTER),
        "time",
        links=_ON_DATABASE,
        wires=(),
    ),
    FaultKind("database_full", database.database_full, primary="for", links=_ON_DATABASE, wires=()),
)


def possible_kinds(
    links: Sequence[str], wires: Mapping[str, Sequence[str]]
) -> list[tuple[str, str]]:
    """Return each (kind, link) of `links` that can be.

    Args:
        links: those of a scenario.
        wires: what each consists of; see `FaultKind.wires`.
    """
    return [
        (kind.word, on)
        for kind in FAULT_KINDS.values()
        for on in kind.links
        if on in links and set(kind.wires) & set(wires[on])
    ]
