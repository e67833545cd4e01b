"""Errors of the GNSS package.

GnssError(ValueError)
"""

from __future__ import annotations


class GnssError(ValueError):
    """A receiver, sky or motion was given something that it cannot work with."""
