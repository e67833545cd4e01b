"""One GNSS fix out of the sentences of its epoch, whatever their order.

u-blox sends RMC first, MediaTek and SiRF send it last; at 9600 baud a burst lasts up to 0.85 s. So
sentences are gathered by their UTC time of day, never by their neighbourhood: GGA is never paired
with the RMC of the epoch before. Which kinds a receiver sends is learnt, and an epoch is given out
at the first of: all the kinds that matter are there; a later epoch begins; the line has been
quiet.
"""

from __future__ import annotations

import datetime
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

from server.links.nmea_sentence import NS_PER_DAY, NS_PER_S, Sentence

DATE_FLOOR = datetime.date(2020, 1, 1)
"""Default oldest believable date: older means a rolled-over week count or a clock not yet set."""

_EPOCH_ORDINAL = datetime.date(1970, 1, 1).toordinal()
_RECENT_EPOCHS = 4  # epochs that may still take sentences; beyond that a sentence is stale
_LEARN_EPOCHS = 4  # a kind is expected if one of the last epochs had it: a lost line unlearns none
_STALE_NS = 2 * NS_PER_S  # older than the newest epoch by less: late, not a clock set back
QUIET_LIMIT_S = 0.8  # longest pause that a burst may have, once it has shown shorter ones
_ROLLOVER_DAYS = 1024 * 7
_HALF_DAY_NS = NS_PER_DAY // 2
_DATE_HOLDS_S = 6 * 3600.0  # longest silence over which a date can be carried on without doubt
_POSITIONS = ("RMC", "GGA", "GNS")  # in the order of preference; RMC has the motion too
_QUALITY = ("alt_m", "hdop", "satellites")
_MOTION = ("speed_kph", "heading_deg")


@dataclass(frozen=True, slots=True)
class Fix:
    """What a receiver says about one instant.

    Attributes:
        time_ns: the instant, UTC nanoseconds since 1970 (0 if `refused` says that it is not known).
        received_ns: when the last sentence that matters had been read, UTC nanoseconds.
        refused: why this is no measured position ("no fix", "no date", ...); "" if it is one.
        left_out: attributes of which their sentence came and had no value: the receiver has none.
        others: what is not there is None.
    """

    time_ns: int
    received_ns: int
    refused: str = ""
    lat_deg: float | None = None
    lon_deg: float | None = None
    alt_m: float | None = None
    speed_kph: float | None = None
    heading_deg: float | None = None
    hdop: float | None = None
    satellites: int | None = None
    left_out: tuple[str, ...] = ()


class _Epoch:
    """The sentences of one instant, at most one of each kind."""

    __slots__ = ("given", "last_s", "learnt", "received_ns", "sentences", "time_of_day_ns")

    def __init__(self, time_of_day_ns: int) -> None:
        self.time_of_day_ns = time_of_day_ns
        self.sentences: dict[str, Sentence] = {}
        self.received_ns = 0
        self.last_s = 0.0
        self.given = False
        self.learnt = False


class EpochAssembler:
    """Gathers sentences into fixes.

    Args:
        date_floor: a date before this is refused, and said so, unless its week count rolled on
            makes it today's.
        quiet_s: an epoch that lacks expected sentences is given out after so many seconds of
            silence; doubled, up to 0.8 s, each time that a sentence of it comes even later.
        counters: where to count: `epochs` given out, `epochs_no_fix`, `epochs_no_date` (held back:
            no sentence has told the date yet), `epochs_old_date`, `epochs_week_rollover` (the date
            was 1024 weeks or more back, and is mended), `epochs_partial` (an expected
            kind was missing), `sentences_stale`, `sentences_late` (after their epoch had been
            given out), `leap_seconds`.
    """

    def __init__(
        self,
        *,
        date_floor: datetime.date = DATE_FLOOR,
        quiet_s: float = 0.2,
        counters: Counter[str] | None = None,
    ) -> None:
        self._date_floor = date_floor
        self._quiet_s = quiet_s
        self.counters: Counter[str] = Counter() if counters is None else counters
        self._recent: dict[int, _Epoch] = {}  # by time of day; the newest is the last one
        self._newest: _Epoch | None = None
        self._history: deque[frozenset[str]] = deque(maxlen=_LEARN_EPOCHS)
        self._expected: frozenset[str] = frozenset()
        self._untimed: dict[str, Sentence] = {}  # VTG (and cold start) waiting for their epoch
        self._date: datetime.date | None = None  # of the newest epoch that had one ...
        self._date_time_of_day_ns = 0  # ... its time of day ...
        self._date_s = 0.0  # ... and the monotonic instant at which it came

    def add(self, sentence: Sentence, received_ns: int, now_s: float) -> list[Fix]:
        """Take one sentence; return the fixes that are complete by it, oldest first.

        That may be two: it ends the epoch before and completes its own.

        Args:
            sentence: what was read.
            received_ns: when, UTC nanoseconds since 1970.
            now_s: when, monotonic seconds.
        """
        if sentence.time_of_day_ns is None:
            return self._add_untimed(sentence, received_ns, now_s)
        fixes: list[Fix] = []
        epoch = self._recent.get(sentence.time_of_day_ns)
        if epoch is None:
            if self._is_stale(sentence.time_of_day_ns):
                self.counters["sentences_stale"] += 1
                return fixes
            fixes += self._close_newest()
            epoch = self._begin(sentence.time_of_day_ns)
        self._put(epoch, sentence, received_ns, now_s)
        if not epoch.given and self._is_complete(epoch):
            fixes += self._give(epoch)
        return fixes

    def tick(self, now_s: float) -> list[Fix]:
        """Give out the open epoch if nothing came for `quiet_s`.

        Call it when a read times out, and when all that has come for `QUIET_LIMIT_S` was damaged.
        """
        newest = self._newest
        if newest is None or newest.given or now_s - newest.last_s < self._quiet_s:
            return []
        return self._close_newest()

    def flush(self) -> list[Fix]:
        """Give out what is open; for the end of a recording."""
        return self._close_newest()

    # -- epochs ------------------------------------------------------------------------------------
    def _begin(self, time_of_day_ns: int) -> _Epoch:
        epoch = _Epoch(time_of_day_ns)
        self._recent[time_of_day_ns] = epoch
        self._newest = epoch
        if len(self._recent) > _RECENT_EPOCHS:
            del self._recent[next(iter(self._recent))]
        for waiting in self._untimed.values():
            if waiting.kind == "VTG":
                epoch.sentences[waiting.kind] = waiting
        self._untimed.clear()
        return epoch

    def _is_stale(self, time_of_day_ns: int) -> bool:
        """A straggler from an epoch already forgotten; a clock set back by more is a new epoch."""
        if self._newest is None:
            return False
        return 0 < _age_ns(self._newest.time_of_day_ns, time_of_day_ns) < _STALE_NS

    def _put(self, epoch: _Epoch, sentence: Sentence, received_ns: int, now_s: float) -> None:
        epoch.last_s = now_s
        known = epoch.sentences.get(sentence.kind)
        if known is not None and known.rank <= sentence.rank:
            return  # repeated, or of a talker that knows less (GLGGA beside GPGGA)
        epoch.sentences[sentence.kind] = sentence
        if epoch.given and known is None and self._matters(sentence.kind):
            # What it would add (altitude, dilution) is lost for this epoch, which was given out by
            # the quiet line: this line pauses for longer.
            self.counters["sentences_late"] += 1
            self._quiet_s = min(2 * self._quiet_s, QUIET_LIMIT_S)
            if epoch.learnt and epoch is self._newest:
                self._history.pop()
                self._learn(epoch.sentences)
        if self._matters(sentence.kind):
            epoch.received_ns = received_ns

    def _add_untimed(self, sentence: Sentence, received_ns: int, now_s: float) -> list[Fix]:
        newest = self._newest
        if sentence.kind == "VTG":
            # VTG carries no time: it belongs to the burst that is open, or else to the next one.
            if newest is not None and not newest.given and "VTG" not in newest.sentences:
                self._put(newest, sentence, received_ns, now_s)
                return self._give(newest) if self._is_complete(newest) else []
            self._untimed["VTG"] = sentence
            return []
        if sentence.kind not in _POSITIONS:
            return []
        # A receiver without time (cold start) sends empty sentences; a kind that comes again is the
        # next burst.
        if sentence.kind in self._untimed:
            self._untimed.clear()
        first = all(kind == "VTG" for kind in self._untimed)
        self._untimed[sentence.kind] = sentence
        if not first:
            return []
        self.counters["epochs_no_fix"] += 1
        return [Fix(0, received_ns, refused="no time")]

    def _close_newest(self) -> list[Fix]:
        epoch = self._newest
        if epoch is None:
            return []
        fixes = [] if epoch.given else self._give(epoch)
        if not epoch.learnt:
            epoch.learnt = True
            self._learn(epoch.sentences)
        return fixes

    # -- what matters ------------------------------------------------------------------------------
    def _learn(self, kinds: Iterable[str]) -> None:
        self._history.append(frozenset(kinds))
        self._expected = frozenset().union(*self._history)

    def _matters(self, kind: str) -> bool:
        """True if `kind` adds something to what else this receiver sends."""
        expected = self._expected
        if kind in ("VTG", "ZDA"):
            return "RMC" not in expected
        return kind != "GNS" or "GGA" not in expected

    def _is_complete(self, epoch: _Epoch) -> bool:
        if not self._expected:
            return False  # still learning: the epoch ends with the burst
        return all(kind in epoch.sentences for kind in self._expected if self._matters(kind))

    # -- the fix -----------------------------------------------------------------------------------
    def _give(self, epoch: _Epoch) -> list[Fix]:
        epoch.given = True
        by_kind = epoch.sentences
        if not any(kind in by_kind for kind in _POSITIONS):
            return []  # ZDA alone says nothing about where
        self.counters["epochs"] += 1
        if self._expected and not self._is_complete(epoch):
            self.counters["epochs_partial"] += 1
        if epoch.time_of_day_ns >= NS_PER_DAY:
            self.counters["leap_seconds"] += 1
        date = self._date_of(epoch)
        if date is not None and date < self._date_floor:
            date = self._rolled_on(date, epoch.received_ns)
        time_ns = 0
        if date is not None:
            days = date.toordinal() - _EPOCH_ORDINAL
            time_ns = days * NS_PER_DAY + epoch.time_of_day_ns
        refused = ""
        place = _place(by_kind)
        if place is None:
            self.counters["epochs_no_fix"] += 1
            refused = "no fix"
        elif date is None:
            self.counters["epochs_no_date"] += 1
            refused = "no date"
        elif date < self._date_floor:
            self.counters["epochs_old_date"] += 1
            refused = self._old_date(date)
        if place is None or refused:
            return [Fix(time_ns, epoch.received_ns, refused=refused)]
        return [self._fix(epoch, place, time_ns)]

    def _fix(self, epoch: _Epoch, place: Sentence, time_ns: int) -> Fix:
        quality = epoch.sentences.get("GGA") or epoch.sentences.get("GNS")
        motion = epoch.sentences.get("RMC")
        if motion is None and self._matters("VTG"):
            motion = epoch.sentences.get("VTG")
        asked = ((quality, _QUALITY), (motion, _MOTION))
        return Fix(
            time_ns=time_ns,
            received_ns=epoch.received_ns,
            lat_deg=place.lat_deg,
            lon_deg=place.lon_deg,
            alt_m=None if quality is None else quality.alt_m,
            speed_kph=None if motion is None else motion.speed_kph,
            heading_deg=None if motion is None else motion.heading_deg,
            hdop=None if quality is None else quality.hdop,
            satellites=None if quality is None else quality.satellites,
            left_out=tuple(
                name
                for sentence, names in asked
                if sentence is not None
                for name in names
                if getattr(sentence, name) is None
            ),
        )

    def _date_of(self, epoch: _Epoch) -> datetime.date | None:
        """The date an epoch states, else the last one carried on over midnight."""
        for kind in ("RMC", "ZDA"):
            sentence = epoch.sentences.get(kind)
            if sentence is not None and sentence.date is not None:
                self._keep_date(sentence.date, epoch)
                return sentence.date
        if self._date is None or epoch.last_s - self._date_s > _DATE_HOLDS_S:
            return None
        ahead_ns = epoch.time_of_day_ns - self._date_time_of_day_ns
        if ahead_ns > _HALF_DAY_NS:  # a straggler from before midnight
            return self._date - datetime.timedelta(days=1)
        midnights = 1 if ahead_ns < -_HALF_DAY_NS else 0
        date = self._date + datetime.timedelta(days=midnights)
        self._keep_date(date, epoch)
        return date

    def _rolled_on(self, date: datetime.date, received_ns: int) -> datetime.date:
        """The date with its week count rolled on, if that makes it today's by the own clock.

        Two clocks that agree but for 1024 weeks are both right: the receiver counts weeks with 10
        bits. Where they do not, nobody knows which is wrong, and the date stays as it was told.
        """
        today = received_ns // NS_PER_DAY + _EPOCH_ORDINAL
        rounds = round((today - date.toordinal()) / _ROLLOVER_DAYS)
        rolled = date.toordinal() + rounds * _ROLLOVER_DAYS
        if rounds < 1 or abs(rolled - today) > 1:
            return date
        self.counters["epochs_week_rollover"] += 1
        return datetime.date.fromordinal(rolled)

    def _keep_date(self, date: datetime.date, epoch: _Epoch) -> None:
        self._date = date
        self._date_time_of_day_ns = epoch.time_of_day_ns
        self._date_s = epoch.last_s

    def _old_date(self, date: datetime.date) -> str:
        return (
            f"the receiver says {date.isoformat()}, which is before {self._date_floor.isoformat()}:"
            " its week count has rolled over, or its clock is not set yet (for a recording that old"
            " set oldest_date of the link)"
        )


def _age_ns(newest_ns: int, time_of_day_ns: int) -> int:
    """How much older an instant is than the newest, both as time of day; most of a day: newer.

    A leap second, 86400 s and more, lies before midnight and has no other place in the day.
    """
    if newest_ns >= NS_PER_DAY:
        return newest_ns - time_of_day_ns
    if time_of_day_ns >= NS_PER_DAY and newest_ns < _HALF_DAY_NS:
        return newest_ns + NS_PER_DAY + NS_PER_S - time_of_day_ns
    return (newest_ns - time_of_day_ns) % NS_PER_DAY


def _place(by_kind: dict[str, Sentence]) -> Sentence | None:
    """The sentence with the position; None unless every sentence agrees that there is a fix."""
    found = [by_kind[kind] for kind in _POSITIONS if kind in by_kind]
    if not all(sentence.fix for sentence in found):
        return None
    return next((sentence for sentence in found if sentence.lat_deg is not None), None)
