"""The one kernel of this process, or None while everything runs in real time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rig.vtime.kernel import Kernel

kernel: Kernel | None = None
