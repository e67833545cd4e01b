"""Errors of the LoRa package.

LoraError(ValueError)
"""

from __future__ import annotations


class LoraError(ValueError):
    """A radio, preset or channel was given something that it cannot work with."""
