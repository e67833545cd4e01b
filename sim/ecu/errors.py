"""What goes wrong in the ECU models.

EcuError
├── DtcError    a trouble code that is not a letter of PCBU and four digits
└── RefusedError     a service says no; the ECU turns it into 7F SID NRC
"""

from __future__ import annotations

import enum


class Nrc(enum.IntEnum):
    """Negative response codes of SAE J1979 table 10 and ISO 14229-1 annex A."""

    GENERAL_REJECT = 0x10
    SERVICE_NOT_SUPPORTED = 0x11
    SUBFUNCTION_NOT_SUPPORTED = 0x12  # J1979 uses it for "invalid format" as well
    INVALID_LENGTH_OR_FORMAT = 0x13
    BUSY_REPEAT_REQUEST = 0x21
    CONDITIONS_NOT_CORRECT = 0x22
    REQUEST_SEQUENCE_ERROR = 0x24
    REQUEST_OUT_OF_RANGE = 0x31
    SECURITY_ACCESS_DENIED = 0x33
    INVALID_KEY = 0x35
    EXCEEDED_NUMBER_OF_ATTEMPTS = 0x36
    REQUIRED_TIME_DELAY_NOT_EXPIRED = 0x37
    GENERAL_PROGRAMMING_FAILURE = 0x72
    RESPONSE_PENDING = 0x78
    SUBFUNCTION_NOT_SUPPORTED_IN_SESSION = 0x7E
    SERVICE_NOT_SUPPORTED_IN_SESSION = 0x7F


NEGATIVE_RESPONSE = 0x7F
# A functional request asks everybody: "not mine" stays unsaid (ISO 14229-1:2020, 7.5.5, table 5).
UNSAID_WHEN_FUNCTIONAL = frozenset(
    {
        Nrc.SERVICE_NOT_SUPPORTED,
        Nrc.SUBFUNCTION_NOT_SUPPORTED,
        Nrc.REQUEST_OUT_OF_RANGE,
        Nrc.SUBFUNCTION_NOT_SUPPORTED_IN_SESSION,
        Nrc.SERVICE_NOT_SUPPORTED_IN_SESSION,
    }
)


class EcuError(Exception):
    """Base of all errors of `sim.ecu`."""


class DtcError(EcuError, ValueError):
    """A text is not a diagnostic trouble code."""


class RefusedError(EcuError):
    """A service refuses a request with a negative response code."""

    def __init__(self, nrc: Nrc) -> None:
        super().__init__(f"refused with {nrc.name} ({nrc:#04x})")
        self.nrc = nrc
