"""What can go wrong with a campaign itself."""

from __future__ import annotations

from rig.errors import RigError


class CampaignError(RigError):
    """A campaign that cannot go on: its folder, its disk, or the machines that drive for it."""


class CampaignUsageError(CampaignError):
    """A campaign that was asked for in a way that cannot be."""

    usage = True
