"""The messages of protocomm and of Wi-Fi provisioning, with the field numbers of ESP-IDF.

`wifi_provisioning` (up to ESP-IDF 5.5) and `network_provisioning` (its successor) name them
differently and write the same bytes.
"""

from firmware_stubs.provisioning.faults import Fault
from server.wire.pbuf import BOOL, BYTES, STRING, UINT32, UINT64, Field, Message, WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    M = TypeVar("M", bound=Message)

SECURITY_VERSION = 2

# Sec2MsgType
COMMAND0 = 0
RESPONSE0 = 1
COMMAND1 = 2
RESPONSE1 = 3

# Status
SUCCESS = 0
INVALID_ARGUMENT = 4
INTERNAL_ERROR = 5

# Message types of prov-config
GET_STATUS = 0
SET_CONFIG = 2
APPLY_CONFIG = 4

# Message types of prov-scan
SCAN_START = 0
SCAN_STATUS = 2
SCAN_RESULT = 4

# Message types of prov-ctrl
CTRL_RESET = 1
CTRL_REPROV = 3

# WifiStationState
CONNECTED = 0
CONNECTING = 1
DISCONNECTED = 2
CONNECTION_FAILED = 3

# WifiConnectFailedReason
AUTH_ERROR = 0
NETWORK_NOT_FOUND = 1


class Empty(Message):
    """A command, or an answer, without contents."""


class Command0(Message):
    """Who wants a session, and its public key."""

    username: bytes
    public_key: bytes
    FIELDS = (Field(1, "username", BYTES, 512), Field(2, "public_key", BYTES, 512))


class Response0(Message):
    """This device's public key, and the salt of its verifier."""

    status: int
    public_key: bytes
    salt: bytes
    FIELDS = (
        Field(1, "status", UINT32),
        Field(2, "public_key", BYTES, 512),
        Field(3, "salt", BYTES, 64),
    )


class Command1(Message):
    """The proof that the client knows the password."""

    proof: bytes
    FIELDS = (Field(1, "proof", BYTES, 512),)


class Response1(Message):
    """The proof that this device knows the verifier, and the first nonce."""

    status: int
    proof: bytes
    nonce: bytes
    FIELDS = (
        Field(1, "status", UINT32),
        Field(2, "proof", BYTES, 64),
        Field(3, "nonce", BYTES, 12),
    )


class Sec2Payload(Message):
    """One message of the handshake."""

    msg: int
    command0: Command0 | None
    response0: Response0 | None
    command1: Command1 | None
    response1: Response1 | None
    FIELDS = (
        Field(1, "msg", UINT32),
        Field(20, "command0", Command0),
        Field(21, "response0", Response0),
        Field(22, "command1", Command1),
        Field(23, "response1", Response1),
    )


class SessionData(Message):
    """What travels on prov-session."""

    sec_ver: int
    sec2: Sec2Payload | None
    FIELDS = (Field(2, "sec_ver", UINT32), Field(12, "sec2", Sec2Payload))


class AttemptFailed(Message):
    """Wi-Fi did not come up; the device tries again."""

    attempts_remaining: int
    FIELDS = (Field(1, "attempts_remaining", UINT32),)


class WifiConnected(Message):
    """The network that the device is in."""

    ip4_addr: str
    auth_mode: int
    ssid: bytes
    bssid: bytes
    channel: int
    FIELDS = (
        Field(1, "ip4_addr", STRING, 15),
        Field(2, "auth_mode", UINT32),
        Field(3, "ssid", BYTES, 32),
        Field(4, "bssid", BYTES, 6),
        Field(5, "channel", UINT32),
    )


class WifiStatus(Message):
    """The state of the device as a Wi-Fi station."""

    status: int
    state: int
    connected: WifiConnected | None
    attempt_failed: AttemptFailed | None
    FIELDS = (
        Field(1, "status", UINT32),
        Field(2, "state", UINT32),
        Field(11, "connected", WifiConnected),
        Field(12, "attempt_failed", AttemptFailed),
    )
    fail_reason: int | None = None

    def to_bytes(self) -> bytes:
        """Write field 10 even for reason 0: it is one of a oneof, where 0 is told from absent."""
        out = Message.to_bytes(self)
        if self.fail_reason is not None:
            out += bytes([10 << 3, self.fail_reason])
        return out


class SetConfig(Message):
    """The network that the device shall join."""

    ssid: bytes
    passphrase: bytes
    bssid: bytes
    channel: int
    FIELDS = (
        Field(1, "ssid", BYTES, 512),
        Field(2, "passphrase", BYTES, 512),
        Field(3, "bssid", BYTES, 512),
        Field(4, "channel", UINT64),
    )


class StatusOnly(Message):
    """An answer that is a status."""

    status: int
    FIELDS = (Field(1, "status", UINT32),)


class ConfigPayload(Message):
    """What travels on prov-config."""

    msg: int
    get_status: Empty | None
    status: WifiStatus | None
    set_config: SetConfig | None
    set_config_done: StatusOnly | None
    apply_config: Empty | None
    apply_config_done: StatusOnly | None
    FIELDS = (
        Field(1, "msg", UINT32),
        Field(10, "get_status", Empty),
        Field(11, "status", WifiStatus),
        Field(12, "set_config", SetConfig),
        Field(13, "set_config_done", StatusOnly),
        Field(14, "apply_config", Empty),
        Field(15, "apply_config_done", StatusOnly),
    )


class ScanStart(Message):
    """Look for networks."""

    blocking: bool
    passive: bool
    group_channels: int
    period_ms: int
    FIELDS = (
        Field(1, "blocking", BOOL),
        Field(2, "passive", BOOL),
        Field(3, "group_channels", UINT32),
        Field(4, "period_ms", UINT32),
    )


class ScanStatus(Message):
    """How far the search is."""

    finished: bool
    count: int
    FIELDS = (Field(1, "finished", BOOL), Field(2, "count", UINT32))


class ScanWanted(Message):
    """Which of the networks found the client wants to hear of."""

    start: int
    count: int
    FIELDS = (Field(1, "start", UINT32), Field(2, "count", UINT32))


class Network(Message):
    """A network that was found."""

    ssid: bytes
    channel: int
    rssi: int
    bssid: bytes
    auth: int
    FIELDS = (
        Field(1, "ssid", BYTES, 32),
        Field(2, "channel", UINT32),
        Field(3, "rssi", UINT64),  # int32: a negative number travels as its complement of 64 bits
        Field(4, "bssid", BYTES, 6),
        Field(5, "auth", UINT32),
    )


class ScanResult(Message):
    """Networks that were found."""

    entries: list[Network]
    FIELDS = (Field(1, "entries", Network, 0, 64),)


class ScanPayload(Message):
    """What travels on prov-scan."""

    msg: int
    status: int
    start: ScanStart | None
    started: Empty | None
    get_status: Empty | None
    scan_status: ScanStatus | None
    get_result: ScanWanted | None
    result: ScanResult | None
    FIELDS = (
        Field(1, "msg", UINT32),
        Field(2, "status", UINT32),
        Field(10, "start", ScanStart),
        Field(11, "started", Empty),
        Field(12, "get_status", Empty),
        Field(13, "scan_status", ScanStatus),
        Field(14, "get_result", ScanWanted),
        Field(15, "result", ScanResult),
    )


class CtrlPayload(Message):
    """What travels on prov-ctrl."""

    msg: int
    status: int
    reset: Empty | None
    reset_done: Empty | None
    reprov: Empty | None
    reprov_done: Empty | None
    FIELDS = (
        Field(1, "msg", UINT32),
        Field(2, "status", UINT32),
        Field(11, "reset", Empty),
        Field(12, "reset_done", Empty),
        Field(13, "reprov", Empty),
        Field(14, "reprov_done", Empty),
    )


def read(kind: "type[M]", data: bytes) -> "M":
    """Read a message; a wrong one is refused as ESP-IDF does it."""
    message = kind()
    try:
        message.merge(data)
    except WireError as error:
        raise Fault(500, "message: " + error.reason) from None
    return message


def read_session(data: bytes) -> tuple[int, bytes, bytes]:
    """Read a message of the handshake as (type, user, public key) or (type, proof, b"")."""
    message = read(SessionData, data)
    if message.sec_ver != SECURITY_VERSION:
        raise Fault(500, f"sec_ver: expected 2, got {message.sec_ver}")
    sec2 = message.sec2
    if sec2 is None:
        raise Fault(500, "sec2: expected, not there")
    if sec2.msg == COMMAND0 and sec2.command0 is not None:
        return COMMAND0, sec2.command0.username, sec2.command0.public_key
    if sec2.msg == COMMAND1 and sec2.command1 is not None:
        return COMMAND1, sec2.command1.proof, b""
    raise Fault(500, f"sec2.msg: expected command 0 or 1 with its contents, got {sec2.msg}")


def session_response0(public_key: bytes, salt: bytes) -> bytes:
    """Write the answer to command 0."""
    body = Response0(public_key=public_key, salt=salt)
    sec2 = Sec2Payload(msg=RESPONSE0, response0=body)
    return SessionData(sec_ver=SECURITY_VERSION, sec2=sec2).to_bytes()


def session_response1(proof: bytes, nonce: bytes) -> bytes:
    """Write the answer to command 1."""
    sec2 = Sec2Payload(msg=RESPONSE1, response1=Response1(proof=proof, nonce=nonce))
    return SessionData(sec_ver=SECURITY_VERSION, sec2=sec2).to_bytes()
