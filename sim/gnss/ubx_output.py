"""The binary side of a u-blox receiver's output: silent until the host asks for messages."""

from __future__ import annotations

from sim.gnss.acquisition import Stage
from sim.gnss.clock import Said
from sim.gnss.profiles import ReceiverProfile
from sim.gnss.sentence_plan import MessagePlan
from sim.gnss.sky import SkyView
from sim.gnss.solution import Solution
from sim.gnss.ubx_epoch import NOWHERE, nav_epoch, place_of
from sim.gnss.ubx_nav import nav_frame


class UbxOutput:
    """Which UBX-NAV messages go with an epoch, and their bytes.

    Args:
        profile: the chip; without `ubx` it has no such messages at all.
        geoid_m: height of the geoid over the ellipsoid.
        power_up_ns: UTC at power-up.

    Attributes:
        on: False while the port lets no UBX through.
        plan: how often each message is sent.
    """

    def __init__(self, profile: ReceiverProfile, geoid_m: float, power_up_ns: int) -> None:
        self._profile = profile
        self._chip = profile.ubx
        self._geoid_mm = round(geoid_m * 1000.0)
        self._power_up_ns = power_up_ns
        self.on = True
        self._per_degree = int(60 * 10**profile.minute_digits)
        self.plan = MessagePlan(profile.ubx.messages if profile.ubx else (), {})
        self._once: set[str] = set()
        self._place = NOWHERE
        self._first_fix_ms = 0

    @property
    def active(self) -> bool:
        """True when any message has been asked for and the port lets it through."""
        return self.on and (self.plan.active or bool(self._once))

    def send_once(self, name: str) -> None:
        """Send a message with the next epoch, whatever its interval."""
        if self.plan.every(name) is not None:
            self._once.add(name)

    def write(
        self,
        count: int,
        utc_ns: int,
        said: Said,
        solution: Solution,
        view: SkyView,
        held_course_units: int,
    ) -> list[bytes]:
        """Return the frames of epoch `count`, in the chip's order; it calls `utc_ns` `said`."""
        chip = self._chip
        due = self.plan.due(count)
        if self._once and chip is not None:
            due = tuple(name for name in chip.messages if name in due or name in self._once)
            self._once.clear()
        fixed = solution.stage == Stage.POSITION
        if fixed:
            self._place = place_of(solution, self._per_degree, self._geoid_mm)
            if not self._first_fix_ms:
                self._first_fix_ms = max(1, (utc_ns - self._power_up_ns) // 1_000_000)
        if not due or chip is None:
            return []
        epoch = nav_epoch(
            utc_ns,
            said,
            solution.stage,
            self._place,
            view,
            geoid_mm=self._geoid_mm,
            ranging_error_m=self._profile.ranging_error_m,
            held_course_units=held_course_units,
            power_up_ns=self._power_up_ns,
            first_fix_ms=self._first_fix_ms,
        )
        return [nav_frame(name, epoch, chip) for name in due]
