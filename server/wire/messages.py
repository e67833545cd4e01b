"""The messages of telemetry.proto as plain classes, for firmware: see there for their meaning.

`to_bytes` writes one; `read_uplink` and `read_downlink` read, or raise WireError. Longest texts and
most items are those that a board has room for; of an answer with more, the board takes what fits,
for the same answer would come again. The gateway reads with Google's library, has limits of its
own, and keeps its answers within these (server/ingest/limits.py).
"""

from server.wire.pbuf import BOOL, BYTES, FIXED64, STRING, UINT32, UINT64, Field, Message, WireError

UNKNOWN = 0
GNSS = 1
NETWORK = 2
GATEWAY = 3

ACCEPTED = 0
DONE = 1
REFUSED = 2
FAILED = 3

MOST_BYTES = 1 << 17  # of one message


class TimeBase(Message):
    """Instants of rows: row r was taken at utc_ms + (r - row) * the profile's period."""

    row: int
    utc_ms: int
    source: int
    FIELDS = (Field(1, "row", UINT32), Field(2, "utc_ms", FIXED64), Field(3, "source", UINT32))


class Counters(Message):
    """The device's own tally since boot."""

    readings_taken: int
    readings_missing: int
    rows_dropped: int
    queue_packets: int
    queue_bytes: int
    uptime_ms: int
    can_errors: int
    link_failures: int
    FIELDS = (
        Field(1, "readings_taken", UINT64),
        Field(2, "readings_missing", UINT64),
        Field(3, "rows_dropped", UINT64),
        Field(4, "queue_packets", UINT32),
        Field(5, "queue_bytes", UINT32),
        Field(6, "uptime_ms", UINT64),
        Field(7, "can_errors", UINT32),
        Field(8, "link_failures", UINT32),
    )


class LogLine(Message):
    """A line of the device's log."""

    level: int
    text: str
    uptime_ms: int
    FIELDS = (
        Field(1, "level", UINT32),
        Field(2, "text", STRING, 512),
        Field(3, "uptime_ms", UINT64),
    )


class CommandTemplate(Message):
    """A command that the device takes, with the JSON Schema of its parameters."""

    name: str
    description: str
    schema: str
    FIELDS = (
        Field(1, "name", STRING, 64),
        Field(2, "description", STRING, 512),
        Field(3, "schema", STRING, 4096),
    )


class Hello(Message):
    """What a device says of itself."""

    firmware: str
    vin: str
    profile: bytes
    templates: list[CommandTemplate]
    reset_reason: str
    profile_hash: bytes
    templates_hash: bytes
    FIELDS = (
        Field(1, "firmware", STRING, 128),
        Field(2, "vin", STRING, 32),
        Field(3, "profile", BYTES, 1 << 16),
        Field(4, "templates", CommandTemplate, 0, 64),
        Field(5, "reset_reason", STRING, 64),
        Field(6, "profile_hash", BYTES, 8),
        Field(7, "templates_hash", BYTES, 8),
    )


class CommandResult(Message):
    """What came of a command."""

    id: int
    status: int
    detail: str
    FIELDS = (
        Field(1, "id", UINT64),
        Field(2, "status", UINT32),
        Field(3, "detail", STRING, 4096),
    )


class Uplink(Message):
    """From device to gateway."""

    device: str
    boot: int
    hello: Hello | None
    time: TimeBase | None
    packets: list[bytes]
    voids: list[int]
    results: list[CommandResult]
    logs: list[LogLine]
    counters: Counters | None
    FIELDS = (
        Field(1, "device", STRING, 64),
        Field(2, "boot", UINT32),
        Field(3, "hello", Hello),
        Field(4, "time", TimeBase),
        Field(5, "packets", BYTES, 4096, 512),
        Field(6, "voids", UINT32, 0, 512),
        Field(7, "results", CommandResult, 0, 64),
        Field(8, "logs", LogLine, 0, 64),
        Field(9, "counters", Counters),
    )


class Refusal(Message):
    """A packet that is refused for good."""

    seq: int
    reason: str
    FIELDS = (Field(1, "seq", UINT32), Field(2, "reason", STRING, 512))


class Tally(Message):
    """What is committed of this device and boot."""

    readings: int
    transmitted: int
    suppressed: int
    bytes_plain: int
    bytes_sent: int
    FIELDS = (
        Field(1, "readings", UINT64),
        Field(2, "transmitted", UINT64),
        Field(3, "suppressed", UINT64),
        Field(4, "bytes_plain", UINT64),
        Field(5, "bytes_sent", UINT64),
    )


class Command(Message):
    """An order to the device."""

    id: int
    name: str
    parameters: str
    expires_ms: int
    FIELDS = (
        Field(1, "id", UINT64),
        Field(2, "name", STRING, 64),
        Field(3, "parameters", STRING, 4096),
        Field(4, "expires_ms", FIXED64),
    )


class Downlink(Message):
    """From gateway to device: the answer to an Uplink."""

    boot: int
    ack: int
    acked: list[int]
    need_key: list[int]
    refused: list[Refusal]
    need_hello: bool
    commands: list[Command]
    now_ms: int
    tally: Tally | None
    need_profile: bool
    need_templates: bool
    FIELDS = (
        Field(1, "boot", UINT32),
        Field(2, "ack", UINT32),
        Field(3, "acked", UINT32, 0, 512),
        Field(4, "need_key", UINT32, 0, 512),
        Field(5, "refused", Refusal, 0, 512),
        Field(6, "need_hello", BOOL),
        Field(7, "commands", Command, 0, 16),
        Field(8, "now_ms", FIXED64),
        Field(9, "tally", Tally),
        Field(10, "need_profile", BOOL),
        Field(11, "need_templates", BOOL),
    )


def read_uplink(data: bytes) -> Uplink:
    """Read an Uplink; raises WireError."""
    message = Uplink()
    _fill(message, data, False)
    return message


def read_downlink(data: bytes) -> Downlink:
    """Read a Downlink; raises WireError. What is too long or too often in it is cut."""
    message = Downlink()
    _fill(message, data, True)
    return message


def _fill(message: Message, data: bytes, cut: bool) -> None:
    if len(data) > MOST_BYTES:
        raise WireError(f"at most {MOST_BYTES} bytes expected, {len(data)} found")
    message.merge(data, cut)
