"""What the AT commands do. Each action returns the answer's text, or None if it answers later."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from sim.elm327.formatting import hex_text
from sim.elm327.protocols import AUTOMATIC, PROTOCOLS
from sim.elm327.settings import BAUD_CLOCK_BPS, PARAMETER_COUNT, default_settings

if TYPE_CHECKING:
    from sim.elm327.adapter import Elm327

OK = "OK"
UNKNOWN = "?"
Args = tuple[str, ...]
_Action = Callable[["Elm327", Args], str | None]

BUFFER_DUMP_BYTES = 12
LOWEST_DIVISOR = 0x08  # 500 kbit/s is the fastest UART setting (PP 0C); assumed for BRD too
DM1_GROUP = 0xFECA  # SAE J1939-73


# -- makers of actions ---------------------------------------------------------------------------
def flag(name: str) -> _Action:
    """An action that switches the setting `name` with its argument, 0 or 1."""

    def act(elm: Elm327, args: Args) -> str:
        setattr(elm.settings, name, args[0] == "1")
        return OK

    return act


def number(name: str) -> _Action:
    """An action that sets `name` to its hexadecimal argument."""

    def act(elm: Elm327, args: Args) -> str:
        setattr(elm.settings, name, int(args[0], 16))
        return OK

    return act


def set_to(name: str, value: bool | int | None) -> _Action:
    """An action that sets `name` to a fixed value."""

    def act(elm: Elm327, args: Args) -> str:
        setattr(elm.settings, name, value)
        return OK

    return act


def accept(elm: Elm327, args: Args) -> str:
    """Accept a setting that has no effect on a CAN bus."""
    return OK


def refuse(elm: Elm327, args: Args) -> str:
    """Refuse what fits no protocol of this car ("not appropriate", ELM327DSJ p.87)."""
    return UNKNOWN


# -- general -------------------------------------------------------------------------------------
def reset(elm: Elm327, args: Args) -> None:
    """AT Z."""
    elm.boot(elm.profile.boot_s, restore_baud=True)


def warm_start(elm: Elm327, args: Args) -> None:
    """AT WS."""
    elm.boot(elm.profile.warm_boot_s, restore_baud=False)


def defaults(elm: Elm327, args: Args) -> str:
    """AT D: settings and protocol; the baud rate stays."""
    elm.settings = default_settings(elm.memory)
    elm.protocol.choose(elm.memory.protocol, elm.memory.auto)
    return OK


def identify(elm: Elm327, args: Args) -> str:
    """AT I."""
    return elm.profile.banner


def describe(elm: Elm327, args: Args) -> str:
    """AT @1."""
    return elm.profile.description


def identifier(elm: Elm327, args: Args) -> str:
    """AT @2: `?` until something was stored."""
    return elm.memory.identifier or UNKNOWN


def store_identifier(elm: Elm327, args: Args) -> str:
    """AT @3: once only."""
    if elm.memory.identifier:
        return UNKNOWN
    elm.memory.identifier = args[0]
    return OK


def low_power(elm: Elm327, args: Args) -> None:
    """AT LP."""
    elm.go_to_low_power()


def read_byte(elm: Elm327, args: Args) -> str:
    """AT RD."""
    return f"{elm.memory.saved_byte:02X}"


def save_byte(elm: Elm327, args: Args) -> str:
    """AT SD hh."""
    elm.memory.saved_byte = int(args[0], 16)
    return OK


def try_divisor(elm: Elm327, args: Args) -> str | None:
    """AT BRD hh: the handshake answers."""
    divisor = int(args[0], 16)
    if divisor < LOWEST_DIVISOR:
        return UNKNOWN
    elm.try_baud(round(BAUD_CLOCK_BPS / divisor), elm.profile.banner)
    return None


def read_voltage(elm: Elm327, args: Args) -> str:
    """AT RV: `12.6V`."""
    return f"{elm.battery_v() * elm.memory.voltage_scale:.1f}V"


def calibrate_voltage(elm: Elm327, args: Args) -> str:
    """AT CV dddd: decimal digits, dd.dd volts."""
    if not args[0].isdecimal():
        return UNKNOWN
    measured_v = elm.battery_v()
    if measured_v <= 0:
        return UNKNOWN
    elm.memory.voltage_scale = int(args[0]) / 100 / measured_v
    return OK


def voltage_factory(elm: Elm327, args: Args) -> str:
    """AT CV 0000."""
    elm.memory.voltage_scale = 1.0
    return OK


def ignition(elm: Elm327, args: Args) -> str:
    """AT IGN: the input is wired to the battery."""
    return "ON" if elm.battery_v() > 6.0 else "OFF"


# -- programmable parameters ---------------------------------------------------------------------
def parameter_summary(elm: Elm327, args: Args) -> str:
    """AT PPS: twelve lines of four."""
    memory = elm.memory
    cells = [
        f"{i:02X}:{memory.parameters[i]:02X} {'N' if memory.enabled[i] else 'F'}"
        for i in range(PARAMETER_COUNT)
    ]
    rows = ["  ".join(cells[i : i + 4]) for i in range(0, PARAMETER_COUNT, 4)]
    return elm.line_end.join(rows)


def _switch(elm: Elm327, parameter: str, on: int) -> str:
    index = int(parameter, 16)
    if index >= PARAMETER_COUNT:
        return UNKNOWN
    elm.memory.enabled[index] = on
    return OK


def parameter_on(elm: Elm327, args: Args) -> str:
    """AT PP xx ON."""
    return _switch(elm, args[0], 1)


def parameter_off(elm: Elm327, args: Args) -> str:
    """AT PP xx OFF."""
    return _switch(elm, args[0], 0)


def parameters_on(elm: Elm327, args: Args) -> str:
    """AT PP FF ON."""
    elm.memory.enabled[:] = b"\x01" * PARAMETER_COUNT
    return OK


def parameters_off(elm: Elm327, args: Args) -> str:
    """AT PP FF OFF."""
    elm.memory.enabled[:] = bytes(PARAMETER_COUNT)
    return OK


def parameter_value(elm: Elm327, args: Args) -> str:
    """AT PP xx SV yy."""
    index = int(args[0], 16)
    if index >= PARAMETER_COUNT:
        return UNKNOWN
    elm.memory.parameters[index] = int(args[1], 16)
    return OK


# -- OBD -----------------------------------------------------------------------------------------
def activity_count(elm: Elm327, args: Args) -> str:
    """AT AMC: counts of 0.65536 s since the last activity; there always is some here."""
    return "00"


def automatic_receive(elm: Elm327, args: Args) -> str:
    """AT AR."""
    elm.settings.receiver = None
    return OK


def buffer_dump(elm: Elm327, args: Args) -> str:
    """AT BD: length, then the buffer's 12 bytes."""
    data = elm.last_data[:BUFFER_DUMP_BYTES]
    return hex_text(bytes((len(data),)) + data.ljust(BUFFER_DUMP_BYTES, b"\0"), elm.settings.spaces)


def bypass_initiation(elm: Elm327, args: Args) -> str:
    """AT BI: impossible while no protocol is chosen."""
    if elm.protocol.current is None:
        return UNKNOWN
    elm.protocol.active = True
    return OK


def close_protocol(elm: Elm327, args: Args) -> str:
    """AT PC."""
    elm.protocol.active = False
    return OK


def is_active(elm: Elm327, args: Args) -> str:
    """AT IA."""
    return "Y" if elm.protocol.active else "N"


def protocol_name(elm: Elm327, args: Args) -> str:
    """AT DP."""
    return elm.protocol.describe()


def protocol_number(elm: Elm327, args: Args) -> str:
    """AT DPN."""
    return ("A" if elm.protocol.auto else "") + elm.protocol.number


def _choose(elm: Elm327, digit: str, auto: bool, store: bool) -> str:
    if digit != AUTOMATIC and digit not in PROTOCOLS:
        return UNKNOWN
    elm.protocol.choose(digit, auto or digit == AUTOMATIC)
    if store and elm.settings.memory_on:
        elm.memory.protocol = digit
        elm.memory.auto = elm.protocol.auto
    return OK


def set_protocol(elm: Elm327, args: Args) -> str:
    """AT SP h."""
    return _choose(elm, args[0], auto=False, store=True)


def set_protocol_auto(elm: Elm327, args: Args) -> str:
    """AT SP Ah."""
    return _choose(elm, args[0], auto=True, store=True)


def try_protocol(elm: Elm327, args: Args) -> str:
    """AT TP h."""
    return _choose(elm, args[0], auto=False, store=False)


def try_protocol_auto(elm: Elm327, args: Args) -> str:
    """AT TP Ah."""
    return _choose(elm, args[0], auto=True, store=False)


def erase_protocol(elm: Elm327, args: Args) -> str:
    """AT SP 00."""
    elm.memory.protocol = AUTOMATIC
    elm.memory.auto = True
    elm.protocol.choose(AUTOMATIC, True)
    return OK


def header(elm: Elm327, args: Args) -> str:
    """AT SH: 3, 6 or 8 digits; eight set the priority bits as well."""
    value = int(args[0], 16)
    if len(args[0]) == 8:
        elm.settings.priority = value >> 24 & 0x1F
    elm.settings.header = value & 0xFFFFFF
    return OK


def timeout(elm: Elm327, args: Args) -> str:
    """AT ST hh: 00 restores the default."""
    elm.settings.timeout_counts = int(args[0], 16) or elm.memory.value(0x03) or 0x32
    return OK


def key_words(elm: Elm327, args: Args) -> str:
    """AT KW: none were ever received on CAN (text assumed)."""
    return "1:00 2:00"


# -- CAN -----------------------------------------------------------------------------------------
def receive_address(elm: Elm327, args: Args) -> str:
    """AT CRA: filter and mask in one, X is any digit."""
    text = args[0]
    width = 0x7FF if len(text) == 3 else 0x1FFFFFFF
    elm.settings.filter = int(text.replace("X", "0"), 16) & width
    elm.settings.mask = int("".join("0" if digit == "X" else "F" for digit in text), 16) & width
    return OK


def reset_receive_address(elm: Elm327, args: Args) -> str:
    """AT CRA without an address."""
    elm.settings.filter = None
    elm.settings.mask = None
    return OK


def can_status(elm: Elm327, args: Args) -> str:
    """AT CS: transmit and receive error counts of the CAN controller."""
    transmit, receive = elm.error_counts
    return f"T:{'OFF' if transmit > 0xFF else f'{transmit:02X}'} R:{receive:02X}"


def flow_data(elm: Elm327, args: Args) -> str:
    """AT FC SD."""
    elm.settings.flow_data = bytes.fromhex(args[0])
    return OK


def flow_mode(elm: Elm327, args: Args) -> str:
    """AT FC SM: what the mode needs must have been set before (ELM327DSJ p.60)."""
    mode = int(args[0], 16)
    settings = elm.settings
    if mode > 2 or (mode and settings.flow_data is None):
        return UNKNOWN
    if mode == 1 and settings.flow_header is None:
        return UNKNOWN
    settings.flow_mode = mode
    return OK


def remote_request(elm: Elm327, args: Args) -> str | None:
    """AT RTR."""
    protocol = elm.protocol.current
    if protocol is None or not protocol.is_can:
        return UNKNOWN
    elm.send_remote()
    return None


# -- monitoring ----------------------------------------------------------------------------------
def monitor_all(elm: Elm327, args: Args) -> None:
    """AT MA."""
    elm.monitor.all()


def monitor_receiver(elm: Elm327, args: Args) -> None:
    """AT MR hh."""
    elm.monitor.receiver(int(args[0], 16))


def monitor_transmitter(elm: Elm327, args: Args) -> None:
    """AT MT hh."""
    elm.monitor.transmitter(int(args[0], 16))


def monitor_pgn(elm: Elm327, args: Args) -> str | None:
    """AT MP: J1939 only."""
    if elm.protocol.number != "A":
        return UNKNOWN
    elm.monitor.parameter_group(int(args[0], 16))
    return None


def monitor_dm1(elm: Elm327, args: Args) -> str | None:
    """AT DM1: J1939 only."""
    if elm.protocol.number != "A":
        return UNKNOWN
    elm.monitor.parameter_group(DM1_GROUP)
    return None


# -- ST commands ---------------------------------------------------------------------------------
def st_command(elm: Elm327, text: str) -> str | None:
    """An ST command (after ST); the adapter has been asked whether it knows any."""
    known = dict(elm.profile.st_answers)
    if text in known:
        return known[text]
    if text.startswith("BRT") and text[3:].isdecimal():
        elm.settings.handshake_counts = min(255, max(1, math.ceil(int(text[3:][:5]) / 5)))
        return OK
    if text.startswith("BR") and text[2:].isdecimal() and 9600 <= int(text[2:][:8]) <= 2_000_000:
        elm.try_baud(int(text[2:]), known["I"])
        return None
    return UNKNOWN
