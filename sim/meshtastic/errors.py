"""What can be wrong with a radio twin before it runs.

RadioError
    MeshtasticMissingError      the optional package is not installed (also an ImportError)
    RadioSettingError           it cannot be what is asked for (also a ValueError)
"""

from __future__ import annotations


class RadioError(Exception):
    """Base of this package's errors."""


class MeshtasticMissingError(RadioError, ImportError):
    """The protobufs of the package `meshtastic` cannot be imported."""


class RadioSettingError(RadioError, ValueError):
    """A radio cannot be what it is asked to be: the message names the setting and the choices."""
