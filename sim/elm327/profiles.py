"""What tells one adapter on the market from another.

Sources: ELM327 datasheets for the genuine chips, the STN1100 manual for the fast one, and bug
reports of python-OBD, ELMduino and freediag for the clone's quirks. Delays are assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sim.elm327.settings import PARAMETERS_1X, PARAMETERS_2X


@dataclass(frozen=True, slots=True)
class AdapterProfile:
    """One kind of adapter.

    Attributes:
        name: key in `PROFILES`.
        banner: answer to `AT I`, printed after a reset.
        firmware: the version whose command set it has ("1.0" … "2.2", see `commands.VERSIONS`).
        description: answer to `AT @1`.
        st_answers: (command, answer) of the ST commands that it knows; empty if it knows none.
        parameters: factory values of the programmable parameters, 48 bytes.
        at_delay_s: time to process an AT command, seconds.
        request_delay_s: time from the CR of a request to its frame, seconds.
        boot_s: time of `AT Z` until the banner, seconds.
        warm_boot_s: time of `AT WS` until the banner, seconds.
        tx_buffer_bytes: what the UART holds back; more gives BUFFER FULL.
        request_bytes: longest request that is sent; None is the chip's own limit of 8 on the wire.
        repeats_on_cr: an empty line repeats the last command.
        zero_digit_waits: the response digit 0 counts as no digit (assumed for all: documented
            nowhere). False: it returns to the prompt without waiting.
        prompt_gap_s: pause between the text of an AT answer and its prompt; None sends both in one.
        no_data: text for a request without reply.
        search_late_s: pause before SEARCHING... appears, seconds.
        missing: keywords of AT commands that it answers with `?` although its version has them.
        locks_up_on: AT commands (without blanks) after which it is dead until the next power cycle.
        longest_reply_bytes: a longer segmented reply locks it up; None never does.
        radio_delay_s: (low, high) of the radio link's delay per batch, seconds; None is a cable.
    """

    name: str
    banner: str
    firmware: str
    description: str = "OBDII to RS232 Interpreter"
    st_answers: tuple[tuple[str, str], ...] = ()
    parameters: bytes = PARAMETERS_1X
    at_delay_s: float = 0.001
    request_delay_s: float = 0.001
    boot_s: float = 0.75
    warm_boot_s: float = 0.05
    tx_buffer_bytes: int = 512
    request_bytes: int | None = None
    repeats_on_cr: bool = True
    zero_digit_waits: bool = True
    prompt_gap_s: float | None = None
    no_data: str = "NO DATA"
    search_late_s: float = 0.0
    missing: frozenset[str] = frozenset()
    locks_up_on: frozenset[str] = frozenset()
    longest_reply_bytes: int | None = None
    radio_delay_s: tuple[float, float] | None = None


# "v2.1 and later v1.5 clones lack half the commands" (forscan t=1575); no FI, SI, BD, KW
# (freediag). Which ones beyond those differs from clone to clone; this choice is assumed.
_CLONE_MISSING = (
    "@2 @3 AMC AMT BD BRD BRT CEA CER CF CM CP CRA CS CSM CTM CV DM1 FC FE FI FT IA IFR IGN IIA"
    " JE JHF JS JTM KW LP MP MR MT PB PP PPS RA RD RTR SD SI SR SS SW TA V WM"
)

PROFILES: dict[str, AdapterProfile] = {
    profile.name: profile
    for profile in (
        # There is no ELM327 1.5 in Elm's own command tables: it has the set of 1.4b.
        AdapterProfile("elm327_v15", "ELM327 v1.5", "1.4b"),
        AdapterProfile("elm327_v22", "ELM327 v2.2", "2.2", parameters=PARAMETERS_2X),
        AdapterProfile(
            "stn_fast",
            "ELM327 v1.4b",
            "1.4b",
            description="SCANTOOL.NET LLC",
            st_answers=(
                ("I", "STN1110 v4.0.4"),
                ("DI", "OBDLink SX r4.2"),
                ("MFR", "OBD Solutions LLC"),
                ("SN", "111012345678"),
            ),
            at_delay_s=0.0002,
            request_delay_s=0.0002,
            boot_s=0.5,
        ),
        AdapterProfile(
            "bluetooth",
            "ELM327 v1.5",
            "1.4b",
            at_delay_s=0.002,
            request_delay_s=0.002,
            # RFCOMM on a busy phone: python-OBD #28 reports 5-13 replies a second with the digit.
            radio_delay_s=(0.015, 0.050),
        ),
        AdapterProfile(
            "clone_v21",
            "ELM327 v2.1",
            "2.1",
            at_delay_s=0.004,
            request_delay_s=0.006,
            boot_s=1.0,
            tx_buffer_bytes=256,
            request_bytes=2,
            repeats_on_cr=False,  # python-OBD #66
            zero_digit_waits=False,
            prompt_gap_s=0.030,  # python-OBD #150
            no_data="NOT CONNECTED",  # ELMduino #69
            search_late_s=1.2,  # python-OBD PR #215
            missing=frozenset(_CLONE_MISSING.split()),
            locks_up_on=frozenset({"TPA0"}),  # ELMduino #69
            longest_reply_bytes=255,  # "freeze on long replies" (forscan t=1575)
        ),
    )
}

_CLONE = PROFILES["clone_v21"]

QUIRKS: dict[str, dict[str, Any]] = {
    quirk: {habit: getattr(_CLONE, habit) for habit in habits}
    for quirk, habits in {
        "no_repeat": ("repeats_on_cr",),
        "split_prompt": ("prompt_gap_s",),
        "not_connected": ("no_data",),
        "late_searching": ("search_late_s",),
        "two_bytes": ("request_bytes",),
        "few_commands": ("missing",),
        "small_buffer": ("tx_buffer_bytes",),
        "zero_digit": ("zero_digit_waits",),
        "lock_up": ("locks_up_on", "longest_reply_bytes"),
    }.items()
}
"""Habits of clones one by one: what of a profile each changes; the sources stand at `clone_v21`."""
