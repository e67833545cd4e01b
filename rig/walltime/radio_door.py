"""The API of a modelled radio on a TCP port of the loopback, as radios with Wi-Fi have it."""

from __future__ import annotations

from rig.device.speaker import Speaker
from rig.walltime.clock import WallClock
from rig.walltime.pipe_door import PipeDoor
from sim.meshtastic.radio import Radio


class RadioDoor(PipeDoor):
    """Lets one client at a time in, the newest; `open()` it, and `close()` it."""

    def __init__(self, clock: WallClock, radio: Radio, port: int, speaker: Speaker) -> None:
        super().__init__(clock, port, radio.tcp.connect, option="--tcp")
        self._speaker = speaker

    def refused(self, client_port: int) -> None:
        """Say so."""
        self._speaker.event("refused", client=client_port, reason="the radio does not listen")
