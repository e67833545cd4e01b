"""The AT commands: what each looks like, since which firmware, and what it does.

The table below is the documentation. In a syntax, capitals, digits and signs stand for themselves,
and
    h   one hexadecimal digit           b   0 or 1
    x   a hexadecimal digit or X        c   any character
    …   one to as many bytes as follow the ellipsis ("…5": 2, 4 … 10 digits)
Blanks are for reading: the chip ignores them. Adjacent placeholders make one argument.

Sources: "ELM327 AT Commands, version in which the command first appeared" (Elm Electronics, 2014)
up to KW; from there on ELM327DSJ p.10-12, with the version assumed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.elm327 import actions as do

if TYPE_CHECKING:
    from sim.elm327.adapter import Elm327

Action = Callable[["Elm327", tuple[str, ...]], str | None]

VERSIONS = ("1.0", "1.0a", "1.1", "1.2", "1.2a", "1.3", "1.3a", "1.4", "1.4b", "2.0", "2.1", "2.2")


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table.

    Attributes:
        syntax: what follows AT, in the notation above.
        since: first firmware that has it.
        action: called with the adapter and the arguments; returns the answer's text, or None when
            it answers later by itself.
        does: one line for people.
    """

    syntax: str
    since: str
    action: Action
    does: str

    @property
    def keyword(self) -> str:
        """The letters that name it: "SH" of "SH hhh"."""
        match = re.match(r"@\d|[A-Z]+\d*", self.syntax)
        return match[0] if match else self.syntax


_PIECES = {"h": "[0-9A-F]", "b": "[01]", "x": "[0-9A-FX]", "c": "."}


def compile_syntax(syntax: str) -> re.Pattern[str]:
    """Turn a syntax of the table into a pattern for a command without blanks."""
    pattern = ""
    for run in re.findall(r"[hbxc]+(?:\s[hbxc]+)*|…\d|[^\shbxc…]+", syntax):
        if run[0] == "…":
            pattern += f"((?:[0-9A-F]{{2}}){{1,{run[1:]}}})"
        elif run[0] in _PIECES:
            pattern += "(" + "".join(_PIECES[sign] for sign in run if sign != " ") + ")"
        else:
            pattern += re.escape(run)
    return re.compile(pattern, re.DOTALL)


C = Command
COMMANDS: tuple[Command, ...] = (
    # -- general ---------------------------------------------------------------------------------
    C("Z", "1.0", do.reset, "reset all"),
    C("WS", "1.0", do.warm_start, "warm start: reset without lamp test, keeps the baud rate"),
    C("D", "1.0", do.defaults, "set all to defaults"),
    C("I", "1.0", do.identify, "print the version"),
    C("E b", "1.0", do.flag("echo"), "echo off, on"),
    C("L b", "1.0", do.flag("linefeeds"), "line feeds off, on"),
    C("@1", "1.0", do.describe, "print the device description"),
    C("@2", "1.3", do.identifier, "print the stored identifier"),
    C("@3 cccccccccccc", "1.3", do.store_identifier, "store the identifier, once"),
    C("M b", "1.0", do.flag("memory_on"), "protocol memory off, on"),
    C("LP", "1.4", do.low_power, "go to low power"),
    C("FE", "1.3a", do.accept, "forget events"),
    C("RD", "1.4", do.read_byte, "read the stored byte"),
    C("SD hh", "1.4", do.save_byte, "save a byte"),
    C("BRD hh", "1.2", do.try_divisor, "try the baud rate 4,000,000 / hh"),
    C("BRT hh", "1.2", do.number("handshake_counts"), "baud rate handshake lasts hh x 5 ms"),
    C("PPS", "1.1", do.parameter_summary, "print the programmable parameters"),
    C("PP FF ON", "1.1", do.parameters_on, "all parameters on"),
    C("PP FF OFF", "1.1", do.parameters_off, "all parameters off"),
    C("PP hh ON", "1.1", do.parameter_on, "parameter hh on"),
    C("PP hh OFF", "1.1", do.parameter_off, "parameter hh off"),
    C("PP hh SV hh", "1.1", do.parameter_value, "set the value of a parameter"),
    C("RV", "1.0", do.read_voltage, "read the battery voltage"),
    C("CV 0000", "1.4", do.voltage_factory, "restore the factory calibration"),
    C("CV hhhh", "1.0", do.calibrate_voltage, "calibrate: the voltage is now hh.hh (digits)"),
    C("IGN", "1.4", do.ignition, "read the ignition input"),
    # -- OBD -------------------------------------------------------------------------------------
    C("AL", "1.0", do.set_to("long_messages", True), "allow long messages"),
    C("NL", "1.0", do.set_to("long_messages", False), "normal length messages"),
    C("AMC", "2.0", do.activity_count, "print the activity monitor count"),
    C("AMT hh", "2.0", do.accept, "set the activity monitor timeout"),
    C("AR", "1.2", do.automatic_receive, "receive address set automatically"),
    C("AT 0", "1.2", do.set_to("adaptive", 0), "adaptive timing off"),
    C("AT 1", "1.2", do.set_to("adaptive", 1), "adaptive timing on"),
    C("AT 2", "1.2", do.set_to("adaptive", 2), "adaptive timing, more aggressive"),
    C("BD", "1.0", do.buffer_dump, "print the last message's buffer"),
    C("BI", "1.0", do.bypass_initiation, "take the protocol as active without trying"),
    C("DP", "1.0", do.protocol_name, "describe the protocol"),
    C("DPN", "1.0", do.protocol_number, "describe the protocol by number"),
    C("FT", "2.2", do.accept, "filter for transmitter off"),
    C("FT hh", "2.2", do.accept, "filter for transmitter hh"),
    C("H b", "1.0", do.flag("headers"), "headers off, on"),
    C("IA", "2.2", do.is_active, "is the protocol active?"),
    C("MA", "1.0", do.monitor_all, "monitor all"),
    C("MR hh", "1.0", do.monitor_receiver, "monitor for a receiver"),
    C("MT hh", "1.0", do.monitor_transmitter, "monitor for a transmitter"),
    C("PC", "1.0", do.close_protocol, "close the protocol"),
    C("R b", "1.0", do.flag("responses"), "responses off, on"),
    C("RA hh", "1.3", do.number("receiver"), "set the receive address"),
    C("SR hh", "1.2", do.number("receiver"), "set the receive address"),
    C("S b", "1.3", do.flag("spaces"), "spaces off, on"),
    C("SH hhh", "1.0", do.header, "set the header, 11 bit"),
    C("SH hhhhhh", "1.0", do.header, "set the header, low 24 bits"),
    C("SH hhhhhhhh", "2.0", do.header, "set the header, 29 bits"),
    C("SP 00", "1.3", do.erase_protocol, "erase the stored protocol"),
    C("SP A h", "1.0", do.set_protocol_auto, "the same with automatic search"),
    C("SP hA", "1.0", do.set_protocol_auto, "the same: the A may come behind"),
    C("SP h", "1.0", do.set_protocol, "set the protocol and store it"),
    C("SS", "1.4", do.set_to("standard_order", True), "search in the standard's order"),
    C("ST hh", "1.0", do.timeout, "wait hh x 4 ms for replies"),
    C("TA hh", "1.4", do.number("tester"), "set the tester's address"),
    C("TP A h", "1.0", do.try_protocol_auto, "the same with automatic search"),
    C("TP hA", "1.0", do.try_protocol_auto, "the same: the A may come behind"),
    C("TP h", "1.0", do.try_protocol, "try a protocol"),
    # -- J1850 and ISO: no such bus here, the settings are accepted ------------------------------
    C("IFR h", "1.2", do.accept, "in-frame responses"),
    C("IFR H", "1.2", do.accept, "in-frame response from the header"),
    C("IFR S", "1.2", do.accept, "in-frame response from the source"),
    C("FI", "1.4", do.refuse, "fast initiation: wrong unless in protocol 5"),
    C("SI", "1.4", do.refuse, "slow initiation: wrong unless in protocol 3 or 4"),
    C("IB10", "1.0", do.accept, "ISO baud rate 10400"),
    C("IB12", "2.2", do.accept, "ISO baud rate 12500"),
    C("IB15", "2.2", do.accept, "ISO baud rate 15625"),
    C("IB48", "1.4", do.accept, "ISO baud rate 4800"),
    C("IB96", "1.0", do.accept, "ISO baud rate 9600"),
    C("IIA hh", "1.2", do.accept, "ISO slow initiation address"),
    C("KW", "1.3", do.key_words, "print the key words"),
    C("KW b", "1.2", do.accept, "key word check off, on"),
    C("SW hh", "1.0", do.accept, "wake-up interval"),
    C("WM …6", "1.0", do.accept, "wake-up message"),
    # -- CAN -------------------------------------------------------------------------------------
    C("CAF b", "1.0", do.flag("auto_format"), "automatic formatting off, on"),
    C("CEA", "1.4", do.set_to("extended_address", None), "extended addressing off"),
    C("CEA hh", "1.4", do.number("extended_address"), "extended address hh"),
    C("CER hh", "2.2", do.accept, "extended receive address"),
    C("CF hhh", "1.0", do.number("filter"), "identifier filter, 11 bit"),
    C("CF hhhhhhhh", "1.0", do.number("filter"), "identifier filter, 29 bit"),
    C("CM hhh", "1.0", do.number("mask"), "identifier mask, 11 bit"),
    C("CM hhhhhhhh", "1.0", do.number("mask"), "identifier mask, 29 bit"),
    C("CFC b", "1.0", do.flag("flow_control"), "automatic flow control off, on"),
    C("CP hh", "1.0", do.number("priority"), "priority: the 5 high bits of a 29 bit identifier"),
    C("CRA", "1.4b", do.reset_receive_address, "reset the receive filter"),
    C("CRA hhh", "1.3", do.receive_address, "receive this identifier only, 11 bit"),
    C("CRA hhhhhhhh", "1.3", do.receive_address, "receive this identifier only, 29 bit"),
    C("CRA xxx", "2.0", do.receive_address, "the same with don't cares"),
    C("CRA xxxxxxxx", "2.0", do.receive_address, "the same with don't cares"),
    C("CS", "1.0", do.can_status, "print the CAN error counts"),
    C("CSM b", "1.4b", do.flag("silent"), "silent monitoring off, on"),
    C("CTM 1", "2.1", do.set_to("timer_multiplier", 1), "ST counts are 4 ms"),
    C("CTM 5", "2.1", do.set_to("timer_multiplier", 5), "ST counts are 20 ms"),
    C("D b", "1.3", do.flag("dlc_shown"), "data length shown: off, on"),
    C("FC SH hhh", "1.1", do.number("flow_header"), "flow control identifier, 11 bit"),
    C("FC SH hhhhhhhh", "1.1", do.number("flow_header"), "flow control identifier, 29 bit"),
    C("FC SD …5", "1.1", do.flow_data, "flow control data"),
    C("FC SM h", "1.1", do.flow_mode, "flow control mode: 0 automatic, 1 all own, 2 own data"),
    C("PB hhhh", "1.4", do.accept, "options and bit rate of protocol B"),
    C("RTR", "1.3", do.remote_request, "send a remote frame"),
    C("V b", "1.3", do.flag("variable_dlc"), "variable data length off, on"),
    # -- J1939 -----------------------------------------------------------------------------------
    C("DM1", "1.2", do.monitor_dm1, "monitor for DM1 messages"),
    C("JE", "1.3", do.accept, "J1939 format of Elm"),
    C("JS", "1.3", do.accept, "J1939 format of SAE"),
    C("JHF b", "1.4b", do.accept, "J1939 header formatting off, on"),
    C("JTM 1", "1.4b", do.set_to("timer_multiplier", 1), "the same as CTM1"),
    C("JTM 5", "1.4b", do.set_to("timer_multiplier", 5), "the same as CTM5"),
    C("MP hhhh", "1.2", do.monitor_pgn, "monitor for a parameter group"),
    C("MP hhhhhh", "1.2", do.monitor_pgn, "monitor for a parameter group"),
)  # fmt: skip


class CommandTable:
    """The commands of one adapter: those of its firmware, less those that it lacks."""

    def __init__(self, firmware: str, missing: frozenset[str] = frozenset()) -> None:
        """`firmware` is one of `VERSIONS`; `missing` holds keywords."""
        if firmware not in VERSIONS:
            raise ValueError(f"firmware: expected one of {', '.join(VERSIONS)}, got {firmware!r}")
        newest = VERSIONS.index(firmware)
        self.commands = tuple(
            command
            for command in COMMANDS
            if VERSIONS.index(command.since) <= newest and command.keyword not in missing
        )
        self._patterns = [(compile_syntax(c.syntax), c.action) for c in self.commands]

    def find(self, text: str) -> tuple[Action, tuple[str, ...]] | None:
        """The action for `text` (after AT, upper case, no blanks) and its arguments, or None."""
        for pattern, action in self._patterns:
            match = pattern.fullmatch(text)
            if match:
                return action, match.groups()
        return None
