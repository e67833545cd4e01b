"""What the board knows of UTC, and the grid of instants at which rows are taken.

The grid's rows stand on whole multiples of the period in UTC as soon as UTC is known; then a fix of
the GNSS receiver falls on a row exactly, and the instants of all rows follow from one of them.
Small errors (the crystal's, and what a better estimate shows) are worked off by 1 ms a row; larger
ones are a step: the base changes, and what was packed before keeps the old one.

UTC comes from the receiver or, where that is silent, from the gateway's answers. A fix arrives some
time after its instant: the shortest such delay among the last ones counts, less the receiver's own.
"""

from server.wire.messages import GATEWAY, GNSS, UNKNOWN

STEP_MS = 150
GNSS_DELAY_MS = 60  # from the instant of a fix until its first byte, at the fastest
GNSS_FRESH_MS = 60000  # so long the gateway's time is not asked for
WINDOW = 16
AGREE_MS = 250  # samples of one truth differ by less
DOUBTS = 3  # samples that must agree before a step is believed
MOST_ROUND_TRIP_MS = 2000
EARLIEST_MS = 1704067200000  # 2024-01-01: an older instant is a receiver's start value
LATEST_MS = 4102444800000  # 2100-01-01


class Clock:
    """Estimates UTC minus ticks.

    Args:
        gnss_delay_ms: the receiver's own, from the instant of a fix to its first byte.

    Attributes:
        source: who said so, as in TimeBase.
        offset_ms: UTC is ticks plus this; 0 while nothing is known.
    """

    def __init__(self, gnss_delay_ms: int = GNSS_DELAY_MS) -> None:
        self._gnss_delay_ms = gnss_delay_ms
        self.source = UNKNOWN
        self.offset_ms = 0
        self._window: list[int] = []
        self._doubts: list[int] = []
        self._gnss_ms = -GNSS_FRESH_MS

    def utc_ms(self, ticks_ms: int) -> int:
        """Give the UTC of an instant on the board's clock; 0 when it is not known."""
        return ticks_ms + self.offset_ms if self.source else 0

    def from_gnss(self, utc_ms: int, tick_ms: int) -> bool:
        """Take the instant of a fix whose first byte came at `tick_ms`; True when it was used."""
        if not EARLIEST_MS <= utc_ms < LATEST_MS:
            return False
        sample = utc_ms + self._gnss_delay_ms - tick_ms
        if self._window and abs(sample - max(self._window)) <= AGREE_MS:
            self._doubts = []
        elif not self._believes(sample):
            return False
        self._window.append(sample)
        if len(self._window) > WINDOW:
            self._window.pop(0)
        self._gnss_ms = tick_ms
        self.source = GNSS
        self.offset_ms = max(self._window)  # the one that came fastest
        return True

    def from_gateway(self, utc_ms: int, sent_ms: int, received_ms: int) -> bool:
        """Take the gateway's time from an answer; True when it was used."""
        round_trip_ms = received_ms - sent_ms
        if received_ms - self._gnss_ms < GNSS_FRESH_MS or round_trip_ms > MOST_ROUND_TRIP_MS:
            return False
        if not EARLIEST_MS <= utc_ms < LATEST_MS:
            return False
        offset = utc_ms + round_trip_ms // 2 - received_ms
        if self.source and abs(offset - self.offset_ms) <= round_trip_ms // 2 + 1:
            return False  # the answer says nothing that is not known better
        self.source = GATEWAY
        self.offset_ms = offset
        self._window = []
        return True

    def _believes(self, sample: int) -> bool:
        """Take a sample that contradicts what is known only when several agree."""
        self._doubts = [doubt for doubt in self._doubts if abs(doubt - sample) <= AGREE_MS]
        self._doubts.append(sample)
        if len(self._doubts) < DOUBTS and (self._window or len(self._doubts) < 2):
            return False
        self._window = []
        self._doubts = []
        return True


class Grid:
    """When the next row is due, and its number.

    Args:
        period_ms: from row to row.
        modulus: row numbers agree with UTC / period modulo this, once UTC is known.

    Attributes:
        row: number of the next row.
        due_ms: its instant on the board's clock.
        base_row, base_utc_ms: row r was taken at base_utc_ms + (r - base_row) * period.
    """

    def __init__(self, period_ms: int, modulus: int, now_ms: int) -> None:
        self.period_ms = period_ms
        self.modulus = modulus
        self.row = 0
        self.due_ms = now_ms
        self.base_row = 0
        self.base_utc_ms = 0

    def advance(self, clock: Clock) -> None:
        """Go on to the next row, up to 1 ms early or late."""
        self.row += 1
        self.due_ms += self.period_ms
        if self.base_utc_ms:
            error = self.error_ms(clock)
            self.due_ms -= 1 if error > 0 else -1 if error < 0 else 0

    def skip_to(self, now_ms: int) -> int:
        """Leave out the rows whose instants have passed; give how many."""
        count = max(0, (now_ms - self.due_ms + self.period_ms - 1) // self.period_ms)
        self.row += count
        self.due_ms += count * self.period_ms
        return count

    def error_ms(self, clock: Clock) -> int:
        """Tell by how much the next row's instant lies behind what its number says."""
        nominal = self.base_utc_ms + (self.row - self.base_row) * self.period_ms
        return clock.utc_ms(self.due_ms) - nominal

    def needs_step(self, clock: Clock) -> bool:
        """Tell whether the numbers and UTC are too far apart to be worked off."""
        if not clock.source:
            return False
        return not self.base_utc_ms or abs(self.error_ms(clock)) > STEP_MS

    def instant_of_last(self, clock: Clock) -> tuple[int, int]:
        """Give (row, UTC) of the last row by what is known now."""
        return self.row - 1, clock.utc_ms(self.due_ms - self.period_ms)

    def step(self, clock: Clock, now_ms: int) -> None:
        """Put the next row on UTC: at the next multiple, with a number that agrees."""
        utc_ms = clock.utc_ms(now_ms)
        slot = utc_ms // self.period_ms + 1
        self.base_utc_ms = slot * self.period_ms
        self.due_ms = now_ms + self.base_utc_ms - utc_ms
        self.row += (slot - self.row) % self.modulus
        self.base_row = self.row

    def row_of(self, utc_ms: int) -> int:
        """Give the row of an instant in UTC, -1 when none stands there."""
        distance = utc_ms - self.base_utc_ms
        if not self.base_utc_ms or distance % self.period_ms:
            return -1
        return self.base_row + distance // self.period_ms
