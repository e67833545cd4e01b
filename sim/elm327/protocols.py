"""The OBD protocols that an ELM327 knows, by the number that `AT SP` takes.

Source: ELM327 datasheet (ELM327DSJ), "Selecting Protocols". The world has a CAN bus only, so the
five wired protocols are known by name and can be tried, but never connect.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Protocol:
    """One protocol.

    Attributes:
        number: the hexadecimal digit of `AT SP h`.
        name: what `AT DP` prints.
        bitrate_bps: CAN bit rate; 0 for a protocol that is not CAN.
        extended: True for 29 bit identifiers.
        failed_try_s: how long a search stays on it when the car does not speak it, in seconds
            (assumed: a 5 baud initiation takes 2-3 s by ISO 9141-2, the others a reply timeout).
        init_text: what a fixed protocol prints when its bus initiation fails ("" = no such step).
    """

    number: str
    name: str
    bitrate_bps: int
    extended: bool
    failed_try_s: float
    init_text: str = ""

    @property
    def is_can(self) -> bool:
        """True for protocols 6 to C."""
        return self.bitrate_bps > 0


PROTOCOLS: dict[str, Protocol] = {
    protocol.number: protocol
    for protocol in (
        Protocol("1", "SAE J1850 PWM", 0, False, 0.20),
        Protocol("2", "SAE J1850 VPW", 0, False, 0.20),
        Protocol("3", "ISO 9141-2", 0, False, 2.60, "BUS INIT: ...ERROR"),
        Protocol("4", "ISO 14230-4 (KWP 5BAUD)", 0, False, 2.60, "BUS INIT: ...ERROR"),
        Protocol("5", "ISO 14230-4 (KWP FAST)", 0, False, 0.40, "BUS INIT: ERROR"),
        Protocol("6", "ISO 15765-4 (CAN 11/500)", 500_000, False, 0.10),
        Protocol("7", "ISO 15765-4 (CAN 29/500)", 500_000, True, 0.10),
        Protocol("8", "ISO 15765-4 (CAN 11/250)", 250_000, False, 0.10),
        Protocol("9", "ISO 15765-4 (CAN 29/250)", 250_000, True, 0.10),
        Protocol("A", "SAE J1939 (CAN 29/250)", 250_000, True, 0.10),
        Protocol("B", "USER1 (CAN 11/125)", 125_000, False, 0.10),
        Protocol("C", "USER2 (CAN 11/50)", 50_000, False, 0.10),
    )
}

AUTOMATIC = "0"

# J1978 goes by number (`AT SS`). The chip's own order is not published; this one, CAN first, is
# assumed (python-OBD falls back on the same order). Searches end at protocol 9 (PP 07).
STANDARD_ORDER = "123456789"
FAST_ORDER = "681792345"

OBD_FUNCTIONAL_11 = 0x7DF
OBD_FUNCTIONAL_29 = 0x18DB33F1
# What the receive filter lets through before any CF, CM or CRA: replies of OBD ECUs.
OBD_REPLY_11 = (0x7E8, 0x7F8)
OBD_REPLY_29 = (0x18DAF100, 0x1FFFFF00)


class ProtocolChoice:
    """The protocol in use: which one, whether others may be searched, whether an ECU has answered.

    Attributes:
        number: its digit, "0" while an automatic search has found none.
        auto: True when a search may go on to other protocols.
        active: True since an ECU answered on it.
    """

    __slots__ = ("active", "auto", "current", "number")

    def __init__(self, number: str, auto: bool) -> None:
        self.active = False
        self.choose(number, auto)

    def choose(self, number: str, auto: bool) -> None:
        """Take another protocol; it is not active before an ECU answers."""
        self.number = number
        self.auto = auto
        self.current = PROTOCOLS.get(number)
        self.active = False

    def try_number(self, number: str) -> None:
        """Try this protocol, leaving `auto` as it is."""
        self.choose(number, self.auto)

    def describe(self) -> str:
        """What `AT DP` prints."""
        name = self.current.name if self.current is not None else ""
        if not self.auto:
            return name
        return f"AUTO, {name}" if name else "AUTO"
