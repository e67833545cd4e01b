from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUCCESS: _ClassVar[Status]
    INVALID_SEC_SCHEME: _ClassVar[Status]
    INVALID_PROTO: _ClassVar[Status]
    TOO_MANY_SESSIONS: _ClassVar[Status]
    INVALID_ARGUMENT: _ClassVar[Status]
    INTERNAL_ERROR: _ClassVar[Status]
    CRYPTO_ERROR: _ClassVar[Status]
    INVALID_SESSION: _ClassVar[Status]
SUCCESS: Status
INVALID_SEC_SCHEME: Status
INVALID_PROTO: Status
TOO_MANY_SESSIONS: Status
INVALID_ARGUMENT: Status
INTERNAL_ERROR: Status
CRYPTO_ERROR: Status
INVALID_SESSION: Status

class Session(_message.Message):
    __slots__ = ("security_version", "handshake")
    SECURITY_VERSION_FIELD_NUMBER: _ClassVar[int]
    HANDSHAKE_FIELD_NUMBER: _ClassVar[int]
    security_version: int
    handshake: Handshake
    def __init__(self, security_version: _Optional[int] = ..., handshake: _Optional[_Union[Handshake, _Mapping]] = ...) -> None: ...

class Handshake(_message.Message):
    __slots__ = ("type", "hello", "hello_answer", "proof", "proof_answer")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        HELLO: _ClassVar[Handshake.Type]
        HELLO_ANSWER: _ClassVar[Handshake.Type]
        PROOF: _ClassVar[Handshake.Type]
        PROOF_ANSWER: _ClassVar[Handshake.Type]
    HELLO: Handshake.Type
    HELLO_ANSWER: Handshake.Type
    PROOF: Handshake.Type
    PROOF_ANSWER: Handshake.Type
    TYPE_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HELLO_ANSWER_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    PROOF_ANSWER_FIELD_NUMBER: _ClassVar[int]
    type: Handshake.Type
    hello: Hello
    hello_answer: HelloAnswer
    proof: Proof
    proof_answer: ProofAnswer
    def __init__(self, type: _Optional[_Union[Handshake.Type, str]] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., hello_answer: _Optional[_Union[HelloAnswer, _Mapping]] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., proof_answer: _Optional[_Union[ProofAnswer, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("username", "public_key")
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    username: bytes
    public_key: bytes
    def __init__(self, username: _Optional[bytes] = ..., public_key: _Optional[bytes] = ...) -> None: ...

class HelloAnswer(_message.Message):
    __slots__ = ("status", "public_key", "salt")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    status: Status
    public_key: bytes
    salt: bytes
    def __init__(self, status: _Optional[_Union[Status, str]] = ..., public_key: _Optional[bytes] = ..., salt: _Optional[bytes] = ...) -> None: ...

class Proof(_message.Message):
    __slots__ = ("proof",)
    PROOF_FIELD_NUMBER: _ClassVar[int]
    proof: bytes
    def __init__(self, proof: _Optional[bytes] = ...) -> None: ...

class ProofAnswer(_message.Message):
    __slots__ = ("status", "proof", "nonce")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    status: Status
    proof: bytes
    nonce: bytes
    def __init__(self, status: _Optional[_Union[Status, str]] = ..., proof: _Optional[bytes] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class Config(_message.Message):
    __slots__ = ("type", "get_status", "status", "set_network", "network_set", "apply", "applied")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        GET_STATUS: _ClassVar[Config.Type]
        STATUS: _ClassVar[Config.Type]
        SET_NETWORK: _ClassVar[Config.Type]
        NETWORK_SET: _ClassVar[Config.Type]
        APPLY: _ClassVar[Config.Type]
        APPLIED: _ClassVar[Config.Type]
    GET_STATUS: Config.Type
    STATUS: Config.Type
    SET_NETWORK: Config.Type
    NETWORK_SET: Config.Type
    APPLY: Config.Type
    APPLIED: Config.Type
    TYPE_FIELD_NUMBER: _ClassVar[int]
    GET_STATUS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SET_NETWORK_FIELD_NUMBER: _ClassVar[int]
    NETWORK_SET_FIELD_NUMBER: _ClassVar[int]
    APPLY_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    type: Config.Type
    get_status: Nothing
    status: WifiStatus
    set_network: SetNetwork
    network_set: Done
    apply: Nothing
    applied: Done
    def __init__(self, type: _Optional[_Union[Config.Type, str]] = ..., get_status: _Optional[_Union[Nothing, _Mapping]] = ..., status: _Optional[_Union[WifiStatus, _Mapping]] = ..., set_network: _Optional[_Union[SetNetwork, _Mapping]] = ..., network_set: _Optional[_Union[Done, _Mapping]] = ..., apply: _Optional[_Union[Nothing, _Mapping]] = ..., applied: _Optional[_Union[Done, _Mapping]] = ...) -> None: ...

class Nothing(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Done(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: Status
    def __init__(self, status: _Optional[_Union[Status, str]] = ...) -> None: ...

class SetNetwork(_message.Message):
    __slots__ = ("ssid", "passphrase", "bssid", "channel")
    SSID_FIELD_NUMBER: _ClassVar[int]
    PASSPHRASE_FIELD_NUMBER: _ClassVar[int]
    BSSID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    ssid: bytes
    passphrase: bytes
    bssid: bytes
    channel: int
    def __init__(self, ssid: _Optional[bytes] = ..., passphrase: _Optional[bytes] = ..., bssid: _Optional[bytes] = ..., channel: _Optional[int] = ...) -> None: ...

class WifiStatus(_message.Message):
    __slots__ = ("status", "state", "reason", "connected", "attempt_failed")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CONNECTED: _ClassVar[WifiStatus.State]
        CONNECTING: _ClassVar[WifiStatus.State]
        DISCONNECTED: _ClassVar[WifiStatus.State]
        CONNECTION_FAILED: _ClassVar[WifiStatus.State]
    CONNECTED: WifiStatus.State
    CONNECTING: WifiStatus.State
    DISCONNECTED: WifiStatus.State
    CONNECTION_FAILED: WifiStatus.State
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        AUTH_ERROR: _ClassVar[WifiStatus.Reason]
        NETWORK_NOT_FOUND: _ClassVar[WifiStatus.Reason]
    AUTH_ERROR: WifiStatus.Reason
    NETWORK_NOT_FOUND: WifiStatus.Reason
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FAILED_FIELD_NUMBER: _ClassVar[int]
    status: Status
    state: WifiStatus.State
    reason: WifiStatus.Reason
    connected: Connected
    attempt_failed: AttemptFailed
    def __init__(self, status: _Optional[_Union[Status, str]] = ..., state: _Optional[_Union[WifiStatus.State, str]] = ..., reason: _Optional[_Union[WifiStatus.Reason, str]] = ..., connected: _Optional[_Union[Connected, _Mapping]] = ..., attempt_failed: _Optional[_Union[AttemptFailed, _Mapping]] = ...) -> None: ...

class Connected(_message.Message):
    __slots__ = ("ip4_address", "auth_mode", "ssid", "bssid", "channel")
    IP4_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    AUTH_MODE_FIELD_NUMBER: _ClassVar[int]
    SSID_FIELD_NUMBER: _ClassVar[int]
    BSSID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    ip4_address: str
    auth_mode: int
    ssid: bytes
    bssid: bytes
    channel: int
    def __init__(self, ip4_address: _Optional[str] = ..., auth_mode: _Optional[int] = ..., ssid: _Optional[bytes] = ..., bssid: _Optional[bytes] = ..., channel: _Optional[int] = ...) -> None: ...

class AttemptFailed(_message.Message):
    __slots__ = ("attempts_remaining",)
    ATTEMPTS_REMAINING_FIELD_NUMBER: _ClassVar[int]
    attempts_remaining: int
    def __init__(self, attempts_remaining: _Optional[int] = ...) -> None: ...

class Scan(_message.Message):
    __slots__ = ("type", "status_code", "start", "started", "get_status", "status", "get_result", "result")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        START: _ClassVar[Scan.Type]
        STARTED: _ClassVar[Scan.Type]
        GET_STATUS: _ClassVar[Scan.Type]
        STATUS: _ClassVar[Scan.Type]
        GET_RESULT: _ClassVar[Scan.Type]
        RESULT: _ClassVar[Scan.Type]
    START: Scan.Type
    STARTED: Scan.Type
    GET_STATUS: Scan.Type
    STATUS: Scan.Type
    GET_RESULT: Scan.Type
    RESULT: Scan.Type
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_CODE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    GET_STATUS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    GET_RESULT_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    type: Scan.Type
    status_code: Status
    start: ScanStart
    started: Nothing
    get_status: Nothing
    status: ScanStatus
    get_result: ScanWanted
    result: ScanResult
    def __init__(self, type: _Optional[_Union[Scan.Type, str]] = ..., status_code: _Optional[_Union[Status, str]] = ..., start: _Optional[_Union[ScanStart, _Mapping]] = ..., started: _Optional[_Union[Nothing, _Mapping]] = ..., get_status: _Optional[_Union[Nothing, _Mapping]] = ..., status: _Optional[_Union[ScanStatus, _Mapping]] = ..., get_result: _Optional[_Union[ScanWanted, _Mapping]] = ..., result: _Optional[_Union[ScanResult, _Mapping]] = ...) -> None: ...

class ScanStart(_message.Message):
    __slots__ = ("blocking", "passive", "group_channels", "period_ms")
    BLOCKING_FIELD_NUMBER: _ClassVar[int]
    PASSIVE_FIELD_NUMBER: _ClassVar[int]
    GROUP_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    PERIOD_MS_FIELD_NUMBER: _ClassVar[int]
    blocking: bool
    passive: bool
    group_channels: int
    period_ms: int
    def __init__(self, blocking: _Optional[bool] = ..., passive: _Optional[bool] = ..., group_channels: _Optional[int] = ..., period_ms: _Optional[int] = ...) -> None: ...

class ScanStatus(_message.Message):
    __slots__ = ("finished", "count")
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    finished: bool
    count: int
    def __init__(self, finished: _Optional[bool] = ..., count: _Optional[int] = ...) -> None: ...

class ScanWanted(_message.Message):
    __slots__ = ("start", "count")
    START_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    start: int
    count: int
    def __init__(self, start: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class ScanResult(_message.Message):
    __slots__ = ("networks",)
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    networks: _containers.RepeatedCompositeFieldContainer[Network]
    def __init__(self, networks: _Optional[_Iterable[_Union[Network, _Mapping]]] = ...) -> None: ...

class Network(_message.Message):
    __slots__ = ("ssid", "channel", "rssi_dbm", "bssid", "auth_mode")
    SSID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    RSSI_DBM_FIELD_NUMBER: _ClassVar[int]
    BSSID_FIELD_NUMBER: _ClassVar[int]
    AUTH_MODE_FIELD_NUMBER: _ClassVar[int]
    ssid: bytes
    channel: int
    rssi_dbm: int
    bssid: bytes
    auth_mode: int
    def __init__(self, ssid: _Optional[bytes] = ..., channel: _Optional[int] = ..., rssi_dbm: _Optional[int] = ..., bssid: _Optional[bytes] = ..., auth_mode: _Optional[int] = ...) -> None: ...

class Control(_message.Message):
    __slots__ = ("type", "status", "reset", "reset_done", "reprovision", "reprovision_done")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        RESERVED: _ClassVar[Control.Type]
        RESET: _ClassVar[Control.Type]
        RESET_DONE: _ClassVar[Control.Type]
        REPROVISION: _ClassVar[Control.Type]
        REPROVISION_DONE: _ClassVar[Control.Type]
    RESERVED: Control.Type
    RESET: Control.Type
    RESET_DONE: Control.Type
    REPROVISION: Control.Type
    REPROVISION_DONE: Control.Type
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    RESET_DONE_FIELD_NUMBER: _ClassVar[int]
    REPROVISION_FIELD_NUMBER: _ClassVar[int]
    REPROVISION_DONE_FIELD_NUMBER: _ClassVar[int]
    type: Control.Type
    status: Status
    reset: Nothing
    reset_done: Nothing
    reprovision: Nothing
    reprovision_done: Nothing
    def __init__(self, type: _Optional[_Union[Control.Type, str]] = ..., status: _Optional[_Union[Status, str]] = ..., reset: _Optional[_Union[Nothing, _Mapping]] = ..., reset_done: _Optional[_Union[Nothing, _Mapping]] = ..., reprovision: _Optional[_Union[Nothing, _Mapping]] = ..., reprovision_done: _Optional[_Union[Nothing, _Mapping]] = ...) -> None: ...
