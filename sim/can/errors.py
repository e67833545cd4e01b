"""What goes wrong on the simulated CAN bus.

CanError
├── DetachedError       a node was used after it had left the bus
└── IsoTpError
    ├── IsoTpBusyError      a second message was given while one is on its way
    └── IsoTpLengthError    a message is empty or longer than ISO-TP can carry
"""

from __future__ import annotations


class CanError(Exception):
    """Base of all errors of `sim.can`."""


class DetachedError(CanError):
    """A node that has left the bus was asked to send."""


class IsoTpError(CanError):
    """Base of the transport layer's errors."""


class IsoTpBusyError(IsoTpError):
    """A message was given while an earlier one is still being transmitted."""


class IsoTpLengthError(IsoTpError, ValueError):
    """A message is empty or too long for one transmission."""
