"""What the receiver sees of the sky at each epoch, and how much of a fix that allows."""

from __future__ import annotations

import math
import random

from sim.gnss.acquisition import Acquisition, Stage
from sim.gnss.constellation import Constellation
from sim.gnss.fix import Motion
from sim.gnss.obstruction import Kind, Obstructions, obstruct
from sim.gnss.profiles import ReceiverProfile
from sim.gnss.sky import Sky, SkyView
from sim.gnss.sky_text import SkyText, write_sky
from sim.gnss.solution import within_limits

REFRESH_S = 5.0  # directions move by less than 0.05 degrees, signals by about 1 dB
MAX_PDOP = 25.0  # u-blox default mask
MIN_SATELLITES = 4


class SkyWatch:
    """Looks at the sky, through what covers it, and counts the way to the first fix.

    The open sky is looked at every 5 s; view and text are made anew only when it, what covers it,
    or the stage has changed.

    Args:
        profile: the chip.
        sky: the sky at a virtual instant; None: a synthetic constellation.
        rng: stream for that constellation.
        start_s: virtual instant of power-up.
        first_fix_s: seconds of open sky until the first position; 0: at once.
    """

    def __init__(
        self,
        profile: ReceiverProfile,
        sky: Sky | None,
        rng: random.Random,
        start_s: float,
        first_fix_s: float,
    ) -> None:
        self._profile = profile
        self._sky = sky
        self._constellation = Constellation(profile.systems, rng)
        self.obstructions = Obstructions()
        self._acquisition = Acquisition(first_fix_s, profile.reacquisition_s)
        self._last_s = start_s
        self._open = SkyView(())
        self._open_until_s = -math.inf
        self._kind: Kind | None = None
        self.view = self._open
        self.stage = self._acquisition.stage
        self.text: SkyText = write_sky(profile, self.view, Stage.NOTHING)

    def restart(self, first_fix_s: float) -> None:
        """Forget the fix; the next one takes `first_fix_s` seconds of open sky."""
        self._acquisition = Acquisition(first_fix_s, self._profile.reacquisition_s)

    def look(self, t_s: float, utc_s: float, motion: Motion) -> Stage:
        """Bring `view`, `stage` and `text` to virtual instant `t_s`; return the stage."""
        possible = within_limits(motion)
        kind = self.obstructions.kind_at(t_s)
        fresh = t_s >= self._open_until_s
        if fresh:
            self._open_until_s = t_s + REFRESH_S
            self._open = (
                self._constellation.view(utc_s, motion.lat_deg, motion.lon_deg)
                if self._sky is None
                else self._sky(t_s)
            )
        if fresh or kind != self._kind:
            fresh = True
            self._kind = kind
            self.view = obstruct(self._open, kind, motion.course_deg)
        view = self.view
        seen = len(view.used) >= MIN_SATELLITES and view.dop.pdop <= MAX_PDOP and possible
        stage = self._acquisition.advance(t_s - self._last_s, seen)
        self._last_s = t_s
        if fresh or stage != self.stage:
            self.stage = stage
            self.text = write_sky(self._profile, view, stage)
        return stage
