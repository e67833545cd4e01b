from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Uplink(_message.Message):
    __slots__ = ("device", "boot", "hello", "time", "packets", "voids", "results", "logs", "counters")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    BOOT_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    VOIDS_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    device: str
    boot: int
    hello: Hello
    time: TimeBase
    packets: _containers.RepeatedScalarFieldContainer[bytes]
    voids: _containers.RepeatedScalarFieldContainer[int]
    results: _containers.RepeatedCompositeFieldContainer[CommandResult]
    logs: _containers.RepeatedCompositeFieldContainer[LogLine]
    counters: Counters
    def __init__(self, device: _Optional[str] = ..., boot: _Optional[int] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., time: _Optional[_Union[TimeBase, _Mapping]] = ..., packets: _Optional[_Iterable[bytes]] = ..., voids: _Optional[_Iterable[int]] = ..., results: _Optional[_Iterable[_Union[CommandResult, _Mapping]]] = ..., logs: _Optional[_Iterable[_Union[LogLine, _Mapping]]] = ..., counters: _Optional[_Union[Counters, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("firmware", "vin", "profile", "templates", "reset_reason", "profile_hash", "templates_hash")
    FIRMWARE_FIELD_NUMBER: _ClassVar[int]
    VIN_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    RESET_REASON_FIELD_NUMBER: _ClassVar[int]
    PROFILE_HASH_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_HASH_FIELD_NUMBER: _ClassVar[int]
    firmware: str
    vin: str
    profile: bytes
    templates: _containers.RepeatedCompositeFieldContainer[CommandTemplate]
    reset_reason: str
    profile_hash: bytes
    templates_hash: bytes
    def __init__(self, firmware: _Optional[str] = ..., vin: _Optional[str] = ..., profile: _Optional[bytes] = ..., templates: _Optional[_Iterable[_Union[CommandTemplate, _Mapping]]] = ..., reset_reason: _Optional[str] = ..., profile_hash: _Optional[bytes] = ..., templates_hash: _Optional[bytes] = ...) -> None: ...

class TimeBase(_message.Message):
    __slots__ = ("row", "utc_ms", "source")
    class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[TimeBase.Source]
        GNSS: _ClassVar[TimeBase.Source]
        NETWORK: _ClassVar[TimeBase.Source]
        GATEWAY: _ClassVar[TimeBase.Source]
    UNKNOWN: TimeBase.Source
    GNSS: TimeBase.Source
    NETWORK: TimeBase.Source
    GATEWAY: TimeBase.Source
    ROW_FIELD_NUMBER: _ClassVar[int]
    UTC_MS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    row: int
    utc_ms: int
    source: TimeBase.Source
    def __init__(self, row: _Optional[int] = ..., utc_ms: _Optional[int] = ..., source: _Optional[_Union[TimeBase.Source, str]] = ...) -> None: ...

class Counters(_message.Message):
    __slots__ = ("readings_taken", "readings_missing", "rows_dropped", "queue_packets", "queue_bytes", "uptime_ms", "can_errors", "link_failures")
    READINGS_TAKEN_FIELD_NUMBER: _ClassVar[int]
    READINGS_MISSING_FIELD_NUMBER: _ClassVar[int]
    ROWS_DROPPED_FIELD_NUMBER: _ClassVar[int]
    QUEUE_PACKETS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    UPTIME_MS_FIELD_NUMBER: _ClassVar[int]
    CAN_ERRORS_FIELD_NUMBER: _ClassVar[int]
    LINK_FAILURES_FIELD_NUMBER: _ClassVar[int]
    readings_taken: int
    readings_missing: int
    rows_dropped: int
    queue_packets: int
    queue_bytes: int
    uptime_ms: int
    can_errors: int
    link_failures: int
    def __init__(self, readings_taken: _Optional[int] = ..., readings_missing: _Optional[int] = ..., rows_dropped: _Optional[int] = ..., queue_packets: _Optional[int] = ..., queue_bytes: _Optional[int] = ..., uptime_ms: _Optional[int] = ..., can_errors: _Optional[int] = ..., link_failures: _Optional[int] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("level", "text", "uptime_ms")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    UPTIME_MS_FIELD_NUMBER: _ClassVar[int]
    level: int
    text: str
    uptime_ms: int
    def __init__(self, level: _Optional[int] = ..., text: _Optional[str] = ..., uptime_ms: _Optional[int] = ...) -> None: ...

class Downlink(_message.Message):
    __slots__ = ("boot", "ack", "acked", "need_key", "refused", "need_hello", "commands", "now_ms", "tally", "need_profile", "need_templates")
    BOOT_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    ACKED_FIELD_NUMBER: _ClassVar[int]
    NEED_KEY_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    NEED_HELLO_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    TALLY_FIELD_NUMBER: _ClassVar[int]
    NEED_PROFILE_FIELD_NUMBER: _ClassVar[int]
    NEED_TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    boot: int
    ack: int
    acked: _containers.RepeatedScalarFieldContainer[int]
    need_key: _containers.RepeatedScalarFieldContainer[int]
    refused: _containers.RepeatedCompositeFieldContainer[Refusal]
    need_hello: bool
    commands: _containers.RepeatedCompositeFieldContainer[Command]
    now_ms: int
    tally: Tally
    need_profile: bool
    need_templates: bool
    def __init__(self, boot: _Optional[int] = ..., ack: _Optional[int] = ..., acked: _Optional[_Iterable[int]] = ..., need_key: _Optional[_Iterable[int]] = ..., refused: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ..., need_hello: _Optional[bool] = ..., commands: _Optional[_Iterable[_Union[Command, _Mapping]]] = ..., now_ms: _Optional[int] = ..., tally: _Optional[_Union[Tally, _Mapping]] = ..., need_profile: _Optional[bool] = ..., need_templates: _Optional[bool] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("seq", "reason")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    seq: int
    reason: str
    def __init__(self, seq: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Tally(_message.Message):
    __slots__ = ("readings", "transmitted", "suppressed", "bytes_plain", "bytes_sent")
    READINGS_FIELD_NUMBER: _ClassVar[int]
    TRANSMITTED_FIELD_NUMBER: _ClassVar[int]
    SUPPRESSED_FIELD_NUMBER: _ClassVar[int]
    BYTES_PLAIN_FIELD_NUMBER: _ClassVar[int]
    BYTES_SENT_FIELD_NUMBER: _ClassVar[int]
    readings: int
    transmitted: int
    suppressed: int
    bytes_plain: int
    bytes_sent: int
    def __init__(self, readings: _Optional[int] = ..., transmitted: _Optional[int] = ..., suppressed: _Optional[int] = ..., bytes_plain: _Optional[int] = ..., bytes_sent: _Optional[int] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("id", "name", "parameters", "expires_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    parameters: str
    expires_ms: int
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., parameters: _Optional[str] = ..., expires_ms: _Optional[int] = ...) -> None: ...

class CommandResult(_message.Message):
    __slots__ = ("id", "status", "detail")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACCEPTED: _ClassVar[CommandResult.Status]
        DONE: _ClassVar[CommandResult.Status]
        REFUSED: _ClassVar[CommandResult.Status]
        FAILED: _ClassVar[CommandResult.Status]
    ACCEPTED: CommandResult.Status
    DONE: CommandResult.Status
    REFUSED: CommandResult.Status
    FAILED: CommandResult.Status
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    id: int
    status: CommandResult.Status
    detail: str
    def __init__(self, id: _Optional[int] = ..., status: _Optional[_Union[CommandResult.Status, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class CommandTemplate(_message.Message):
    __slots__ = ("name", "description", "schema")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    schema: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., schema: _Optional[str] = ...) -> None: ...

class Readings(_message.Message):
    __slots__ = ("device", "boot", "seq", "vin", "columns")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    BOOT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    VIN_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    device: str
    boot: int
    seq: int
    vin: str
    columns: _containers.RepeatedCompositeFieldContainer[Column]
    def __init__(self, device: _Optional[str] = ..., boot: _Optional[int] = ..., seq: _Optional[int] = ..., vin: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[Column, _Mapping]]] = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ("signal", "signal_id", "first_time_ns", "step_ns", "values", "state")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    STEP_NS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    signal: str
    signal_id: int
    first_time_ns: int
    step_ns: _containers.RepeatedScalarFieldContainer[int]
    values: bytes
    state: int
    def __init__(self, signal: _Optional[str] = ..., signal_id: _Optional[int] = ..., first_time_ns: _Optional[int] = ..., step_ns: _Optional[_Iterable[int]] = ..., values: _Optional[bytes] = ..., state: _Optional[int] = ...) -> None: ...

class EdgeRecord(_message.Message):
    __slots__ = ("timestamp", "vehicle_vin", "speed", "battery", "power", "heading", "latitude", "longitude", "more", "fields")
    class MoreEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    VEHICLE_VIN_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    BATTERY_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    HEADING_FIELD_NUMBER: _ClassVar[int]
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    timestamp: float
    vehicle_vin: str
    speed: float
    battery: float
    power: float
    heading: float
    latitude: float
    longitude: float
    more: _containers.ScalarMap[str, float]
    fields: int
    def __init__(self, timestamp: _Optional[float] = ..., vehicle_vin: _Optional[str] = ..., speed: _Optional[float] = ..., battery: _Optional[float] = ..., power: _Optional[float] = ..., heading: _Optional[float] = ..., latitude: _Optional[float] = ..., longitude: _Optional[float] = ..., more: _Optional[_Mapping[str, float]] = ..., fields: _Optional[int] = ...) -> None: ...
