"""What comes from a radio, as plain objects: packets, events, and what the radio is."""

from __future__ import annotations

import re
from dataclasses import dataclass

BROADCAST = 0xFFFFFFFF
PRIVATE_PORT = 256
POSITION_PORT = 3
NODEINFO_PORT = 4
ROUTING_PORT = 5
TELEMETRY_PORT = 67

_NODE = re.compile("![0-9A-Fa-f]{8}")  # int() takes signs, '_' and other digits too

PRIORITY_BACKGROUND = 10
PRIORITY_DEFAULT = 64
PRIORITY_RELIABLE = 70
PRIORITY_HIGH = 100

DUTY_CYCLE_LIMIT = 9
"""`Routing.Error`: the radio has sent as much as its region allows."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that a radio has received and could read.

    Attributes:
        sender: node number.
        to: node number, or BROADCAST.
        port: application, `PortNum`.
        payload: bytes of the application.
        id: chosen by the sender; 0 where it has none.
        channel: index of the channel that it came on.
        hops: how often it was relayed; None where the sender does not tell.
        snr_db: of the last hop; None where the radio does not tell.
        rssi_dbm: of the last hop; None where the radio does not tell.
        received_ns: when it was read from the radio, UTC nanoseconds.
        request_id: packet that this one answers; 0 for none.
        via_mqtt: whether it took a way over the internet.
        heard_s: when the radio heard it, UTC seconds by its own clock; 0: it does not know.
    """

    sender: int
    to: int
    port: int
    payload: bytes
    id: int
    channel: int
    hops: int | None
    snr_db: float | None
    rssi_dbm: float | None
    received_ns: int
    request_id: int = 0
    via_mqtt: bool = False
    heard_s: int = 0


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of a radio that is in use; its key is not told."""

    index: int
    name: str
    is_primary: bool


@dataclass(frozen=True, slots=True)
class RadioInfo:
    """What a radio is, as it says after its handshake.

    Attributes:
        node: its number.
        long_name: its owner's name; may be empty.
        short_name: up to four letters; may be empty.
        hardware: name of the board, `HELTEC_V3`; may be empty.
        firmware: version; may be empty.
        region: `EU_868`; `UNSET`: it does not send.
        preset: `LONG_FAST`; empty where the radio has settings of its own.
        bandwidth_khz, spreading, coding: of the preset, or its own settings; 0: not told.
        hop_limit: how often its packets are relayed.
        sends: whether its transmitter is on.
        duty_cycle_pct: share of time for which its region lets it send; 100: no limit, or switched
            off by its settings.
        channels: those in use.
        settings_known: whether it told its settings; else region and preset are defaults.
    """

    node: int
    long_name: str = ""
    short_name: str = ""
    hardware: str = ""
    firmware: str = ""
    region: str = "UNSET"
    preset: str = "LONG_FAST"
    bandwidth_khz: float = 250.0
    spreading: int = 11
    coding: int = 5
    hop_limit: int = 3
    sends: bool = True
    duty_cycle_pct: float = 100.0
    channels: tuple[Channel, ...] = ()
    settings_known: bool = True

    @property
    def id(self) -> str:
        """The node's number as people write it, `!a1b2c3d4`."""
        return node_id(self.node)


@dataclass(frozen=True, slots=True)
class Acked:
    """A packet sent with `want_ack` has arrived: at its receiver, or (broadcast) at a relay.

    Attributes:
        id: of the packet that was sent.
        by: node that says so; the own one where a relay was heard.
        snr_db, rssi_dbm: of the acknowledgement; None where not told.
    """

    id: int
    by: int
    snr_db: float | None = None
    rssi_dbm: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A packet was not sent, or not acknowledged. Told once for each packet.

    Attributes:
        id: of the packet.
        error: number in `Routing.Error`; 5: nobody acknowledged it, 9: duty cycle exhausted.
        name: of the error, `DUTY_CYCLE_LIMIT`.
    """

    id: int
    error: int
    name: str


@dataclass(frozen=True, slots=True)
class Queued:
    """The radio has said how much its queue can take."""

    free: int
    size: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The handshake is complete (again, after a reboot)."""

    info: RadioInfo


@dataclass(frozen=True, slots=True)
class Rebooted:
    """The radio has started anew; what it had queued is gone. `Ready` follows."""


@dataclass(frozen=True, slots=True)
class Notice:
    """The radio says something to people: `You can send again in 12 mins`."""

    text: str


@dataclass(frozen=True, slots=True)
class Mute:
    """The radio does not answer for some seconds; empty reason: it answers again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Utilisation:
    """What the radio measures of the air, percent.

    Attributes:
        channel_pct: time for which the channel was busy, over the last minute.
        sent_pct: time for which it transmitted, over the last hour.
    """

    channel_pct: float
    sent_pct: float


@dataclass(frozen=True, slots=True)
class Lost:
    """The radio is gone; `serve()` raises LinkLost with the same reason."""

    reason: str


Event = Acked | Refused | Queued | Ready | Rebooted | Notice | Mute | Utilisation | Lost


class SendRefused(Exception):  # noqa: N818 (named for what happened)
    """The packet was not taken for sending; nothing was sent.

    Attributes:
        again: whether it can be taken later: the queue is full, or the radio is starting.
    """

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


def node_id(number: int) -> str:
    """Give a node's number as people write it, `!a1b2c3d4`."""
    return f"!{number:08x}"


def node_number(text: str) -> int:
    """Read a node's number, `!a1b2c3d4`.

    Raises:
        ValueError: it is none.
    """
    if not _NODE.fullmatch(text):
        raise ValueError(f"expected a node like !a1b2c3d4, found {text!r}")
    number = int(text[1:], 16)
    if not 0 < number < BROADCAST:
        raise ValueError(f"expected a node, found {text!r}")
    return number
