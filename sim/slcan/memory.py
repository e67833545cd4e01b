"""What an adapter's EEPROM keeps over a power cycle."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.slcan.acceptance import AcceptanceFilter


@dataclass(frozen=True, slots=True)
class AutoStart:
    """What `Q1` or `Q2` has stored: the channel opens so at power-on (CAN232 manual, Q).

    Attributes:
        bitrate_bps: bits per second.
        acceptance: the filter, of which `M` and `m` alone are kept by nothing else.
        listen_only: True after `Q2`.
    """

    bitrate_bps: int
    acceptance: AcceptanceFilter
    listen_only: bool = False


@dataclass(slots=True)
class SlcanMemory:
    """Settings that survive; make one with values to begin with an adapter that was used before.

    Attributes:
        auto_poll: `X`; None is the profile's delivery state.
        timestamps: `Z`.
        single_filter: `W`.
        uart: `U`, an index into `UART_RATES`; None is the line's own rate.
        auto_start: `Q`; None waits for commands.
    """

    auto_poll: bool | None = None
    timestamps: bool = False
    single_filter: bool = False
    uart: int | None = None
    auto_start: AutoStart | None = field(default=None)
