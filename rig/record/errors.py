"""What can be wrong with a record.

RigError
└── RecordError (also ValueError): a record that cannot be written or read
"""

from __future__ import annotations

from rig.errors import RigError


class RecordError(RigError, ValueError):
    """A record that cannot be written or read; the message names the file and what to do."""
