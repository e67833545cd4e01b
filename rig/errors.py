"""The rig's error tree.

RigError
├── ScenarioError (also ValueError): a scenario file that cannot be used   [rig.scenario.errors]
└── QuantityError (also ValueError): a text that is no number with a unit  [rig.quantity]
"""

from __future__ import annotations


class RigError(Exception):
    """Something that the rig's user can put right; its message is one clear line.

    Attributes:
        usage: True where the user's words or files are wrong (exit code 2), False where a run
            failed.
    """

    usage = False
