"""What the AT commands set: the adapter's state, its defaults, and what survives a power cut.

Defaults are those starred in the ELM327 datasheet's command summary (ELM327DSJ p.10-12).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.elm327.protocols import (
    AUTOMATIC,
    OBD_FUNCTIONAL_11,
    OBD_FUNCTIONAL_29,
    OBD_REPLY_11,
    OBD_REPLY_29,
)

ST_UNIT_S = 0.004  # one count of AT ST
BRT_UNIT_S = 0.005  # one count of AT BRT
BAUD_CLOCK_BPS = 4_000_000  # AT BRD hh gives 4,000,000 / hh

# Programmable parameters 00-2F: value, and whether the factory has it on. Firmware 1.x as an
# adapter prints them; 2.x as in ELM327DSI p.57.
PARAMETERS_1X = bytes.fromhex(
    "FFFFFF3201FFF109FF000AFF680D9AFF0D00FF32FF0AFF920028FFFFFFFFFFFF"
    "FFFFFFFF000000FFFFFF3802E004800A"
)
PARAMETERS_2X = bytes.fromhex(
    "FFFFFF3201FFF109FF000AFF680D9AD50D00FF32500AFF6D0062FFFF030FFFFF"
    "FFFFFFFF000000FFFFFF3802E004800A"
)
PARAMETER_COUNT = 0x30


@dataclass(slots=True)
class Memory:
    """Non-volatile memory: survives `AT Z` and the loss of power.

    Attributes:
        parameters: values of the programmable parameters (`AT PP xx SV yy`).
        enabled: which of them are on.
        protocol: stored protocol digit; `auto` says whether others may be searched.
        saved_byte: `AT SD hh`.
        identifier: `AT @3`, 12 characters, "" while it was never stored.
        voltage_scale: `AT CV`, factor on the measured battery voltage.
    """

    parameters: bytearray
    enabled: bytearray = field(default_factory=lambda: bytearray(PARAMETER_COUNT))
    protocol: str = AUTOMATIC
    auto: bool = True
    saved_byte: int = 0xFF
    identifier: str = ""
    voltage_scale: float = 1.0
    factory: bytes = b""

    def __post_init__(self) -> None:
        self.factory = bytes(self.parameters)

    def value(self, parameter: int) -> int:
        """The value in force: the stored one if the parameter is on, else the factory's."""
        source = self.parameters if self.enabled[parameter] else self.factory
        return source[parameter]


@dataclass(slots=True)
class Settings:
    """What `AT D` and a reset put back to its default; times are counts, as commands take them."""

    # text
    echo: bool = True
    linefeeds: bool = False
    headers: bool = False
    spaces: bool = True
    # requests and replies
    responses: bool = True
    long_messages: bool = False
    timeout_counts: int = 0x32
    timer_multiplier: int = 1
    adaptive: int = 1
    memory_on: bool = True
    standard_order: bool = False
    tester: int = 0xF1
    receiver: int | None = None  # AT SR, AT RA
    handshake_counts: int = 0x0F  # AT BRT
    # CAN
    auto_format: bool = True
    flow_control: bool = True
    dlc_shown: bool = False
    variable_dlc: bool = False
    silent: bool = True
    padding: int = 0x00
    header: int | None = None  # AT SH: 24 bits, or 11
    priority: int = 0x18  # the 5 high bits of a 29 bit identifier
    filter: int | None = None
    mask: int | None = None
    flow_mode: int = 0
    flow_header: int | None = None
    flow_data: bytes | None = None
    extended_address: int | None = None

    @property
    def timeout_s(self) -> float:
        """How long a reply is waited for, in seconds."""
        return self.timeout_counts * ST_UNIT_S * self.timer_multiplier

    @property
    def handshake_s(self) -> float:
        """How long each half of the `AT BRD` handshake lasts, in seconds (00 means 256 counts)."""
        return (self.handshake_counts or 256) * BRT_UNIT_S

    def request_id(self, extended: bool) -> int:
        """The identifier of a request: the functional one until `AT SH` says otherwise."""
        if self.header is None:
            return OBD_FUNCTIONAL_29 if extended else OBD_FUNCTIONAL_11
        if extended:
            return (self.priority & 0x1F) << 24 | self.header & 0xFFFFFF
        return self.header & 0x7FF

    def acceptance(self, extended: bool) -> tuple[int, int]:
        """(filter, mask) of received identifiers: those of OBD replies until CF, CM or CRA."""
        code, mask = OBD_REPLY_29 if extended else OBD_REPLY_11
        if self.receiver is not None:
            shift = 8 if extended else 0  # 29 bit: the target byte; 11 bit: the low byte (assumed)
            code, mask = self.receiver << shift, 0xFF << shift
        if self.filter is not None:
            code = self.filter
        if self.mask is not None:
            mask = self.mask
        return code & mask, mask

    @property
    def filtered(self) -> bool:
        """True when the user set a receive filter, which monitoring then obeys too."""
        return self.filter is not None or self.mask is not None or self.receiver is not None


def default_settings(memory: Memory) -> Settings:
    """Settings after `AT D`, with the programmable parameters that are on."""
    return Settings(
        echo=memory.value(0x09) == 0x00,
        headers=memory.value(0x01) == 0x00,
        long_messages=memory.value(0x02) == 0x00,
        timeout_counts=memory.value(0x03) or 0x32,
        adaptive=min(memory.value(0x04), 2),
        tester=memory.value(0x06),
        auto_format=memory.value(0x24) == 0x00,
        flow_control=memory.value(0x25) == 0x00,
        padding=memory.value(0x26),
        dlc_shown=memory.value(0x29) == 0x00,
    )
