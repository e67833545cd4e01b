"""Recorded CAN traffic played into the world: logs of every common format as a bus source.

    player = play_log(env, node, path, offset_s=0.0, start_s=0.0, speed=1.0, loop=False,
                      only=(), without=(), remap=None)

python-can reads the files (loaded when the first one is).
`CanLogError` (a ValueError) names the file, the place, what was expected and what was found.
"""

from __future__ import annotations

from sim.can_log.errors import CanLogError
from sim.can_log.log import CanLog
from sim.can_log.player import LogPlayer, play_log

__all__ = ["CanLog", "CanLogError", "LogPlayer", "play_log"]
