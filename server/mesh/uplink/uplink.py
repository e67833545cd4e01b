"""What a vehicle sends by radio: rows on a grid, packed, within a budget of airtime, until the base
says that it has them.

Packets are of kind K: each is decoded by itself, in any order, whatever was lost. Continuing from
what the base has (kind D) would save nothing here: acknowledgements come too late, and over a gap
of rows D costs as much as K (docs/mesh.md).

Nothing here does I/O or asks a clock; the same calls give the same messages. The link `mesh_uplink`
drives it with a radio; so may anything else that has readings and a radio:

    uplink = Uplink(UplinkSettings.of(), boot, node)
    uplink.radio("LONG_FAST", region_duty_pct=10.0)
    uplink.offer(readings)                        # whenever there are some
    uplink.take(payload, now_s)                   # each PRIVATE_APP payload that the radio heard
    message = uplink.next(now_ns, now_s, queue_free=16, utilisation_pct=0.0)
    while message is not None:                    # hand message.payload to the radio
        message = uplink.next(...)                # None: nothing may be sent now
    uplink.refused(message, error, now_s)         # the radio did not send it (Routing error)
    uplink.wait_s(now_ns, now_s)                  # call next() again after this, or after take()

`now_ns` is UTC, as the readings' times; `now_s` is any clock that never goes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.mesh.air.airtime import LONGEST_FRAME_BYTES, PRESETS, Preset, payload_airtime_s
from server.mesh.air.budget import Budget, own_duty_pct, politeness
from server.mesh.uplink.admission import Admission, Level
from server.mesh.uplink.alarms import Alarms
from server.mesh.uplink.hello import Greeting
from server.mesh.uplink.meter import MeteredEncoder
from server.mesh.uplink.outbox import Kept, Outbox
from server.mesh.uplink.plan import UplinkSettings
from server.mesh.uplink.rows import Grid, start_before
from server.readings import Reading
from server.wire import air
from server.wire.codec.profile import Profile

__all__ = ["Level", "Outgoing", "Uplink", "UplinkSettings"]

DUTY_CYCLE_LIMIT = 9
TOO_LARGE = 7
MAX_RETRANSMIT = 5
RADIO_SENDS = 3
"""So often does a radio send a packet that is to be acknowledged, before it gives up."""
GATEWAY_CLOCK = 3
"""TimeBase.Source.GATEWAY: whose clock the rows' instants are of."""

ASSUMED_PRESET = "LONG_FAST"
ASSUMED_DUTY_PCT = 10.0
"""Of the region, until there is a radio that tells."""
QUEUE_LOW = 4
"""With fewer places free in the radio's queue only alarms are handed to it: others use it too."""
REFUSED_PAUSE_S = 5.0
DUTY_PAUSE_FIRST_S = 60.0
DUTY_PAUSE_LAST_S = 600.0
PATIENCE_S = 120.0
"""While airtime is scarce a packet waits until a full frame is earned, but no longer than this."""
HORIZON_ROWS = 60
"""What is saved is spread over so many rows."""
BACKLOG_SHARE = 0.5
"""Of the income, for packets that wait beside the newest, or that the base lacks."""
LEAST_SHARE = 0.25
"""Of the income, for new rows, whatever waits."""
HEADERS_BYTES = 11
"""About what frame number, check sum and `air` take of a packet."""
MOST_LATE_S = 1.0
FLUSH_SPREAD = 0.25
RESEND_SPREAD_S = 10.0
"""Rows are closed up to so much later, packets up to a quarter of `flush_s` sooner, and what an
acknowledgement lacks waits up to so long, each vehicle by other numbers: many hear the same one."""
UNHEARD_FILL = 0.25
"""So full of unconfirmed packets, each is filled as far as it can wait: their number is limited."""
POSITION_FILL = 0.5
SPARSE_FILL = 0.75
"""So full of unconfirmed packets, only the position is packed; or only each tenth one."""
SKIP_ROWS = 600
"""A longer time without a call leaves rows out."""
STOOD_STILL_NS = 1_000_000_000
CATCH_UP_NS = 1_000_000_000
HELD_ROWS = 60
"""Not called for longer than a row and so much more, the gateway stood still, or the machine slept:
what was measured meanwhile is still being read, so the newest rows stay open for a moment."""
BACK_ROWS = 60
"""A clock that went back further begins a new stream."""
COUNTERS = (
    "data_sent",
    "data_bytes",
    "airtime_ms",
    "rows",
    "readings",
    "resent",
    "refused",
    "duty_refused",
    "hellos",
    "profile_parts",
    "streams",
    "unheard",
)
COUNTERS_OF_STREAM = ("acked", "given_up", "readings_shed", "readings_late")
_BOOT_STEP = 0x9E3779B1  # any odd number: boots of following streams differ in their low byte


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message for the radio.

    Attributes:
        payload: bytes for PRIVATE_APP, at most `air.BROADCAST_BYTES` (direct: DIRECT_BYTES).
        kind: "data", "hello" or "profile".
        seq: the packet's number; None where it is no data.
        airtime_s: of the frame with the radio's preset.
        is_again: whether it was sent before.
        is_urgent: whether an alarm is in it.
        boot: of the stream.
    """

    payload: bytes
    kind: str
    seq: int | None
    airtime_s: float
    is_again: bool = False
    is_urgent: bool = False
    boot: int = 0


class Uplink:
    """The uplink of one start of a vehicle's gateway.

    Args:
        settings: made by `UplinkSettings.of`.
        boot: random, not 0.
        node: number of the vehicle's radio; ACKS for others are passed over.
        vin: for the HELLO; may be set later.

    Attributes:
        boot: of the stream now; a clock that was put back begins another one.
        profile: the codec's.
        acked_s: when the last ACKS for this stream came; None: never.
        sent_s: when the first packet went since then; None: none did.
        wants_profile: whether the base asks for a profile that is too large to send.
    """

    def __init__(self, settings: UplinkSettings, boot: int, node: int, *, vin: str = "") -> None:
        self.settings = settings
        self.profile: Profile = settings.profile
        self.node = node
        self.vin = vin
        self.acked_s: float | None = None
        self.sent_s: float | None = None
        self.wants_profile = False
        self._preset = PRESETS[ASSUMED_PRESET]
        self._has_radio = False
        self._region_duty_pct = ASSUMED_DUTY_PCT
        limit = air.DIRECT_BYTES if settings.is_direct else air.BROADCAST_BYTES
        self._limit_bytes = limit - air.DATA_BYTES
        self._budget = Budget(self.duty_pct, self._frame_s())
        self._on_air_until_s = 0.0  # of what was handed to the radio
        self._duty_pause_s = DUTY_PAUSE_FIRST_S
        self._is_at_limit = False
        self._utilisation_pct = 0.0
        self._counts = dict.fromkeys(COUNTERS, 0)
        self._earlier = dict.fromkeys(COUNTERS_OF_STREAM, 0)
        self._alarms = Alarms(settings.alarms)
        self._begin(boot)

    def _begin(self, boot: int) -> None:
        """Begin a stream: rows, numbers and states start anew."""
        self.boot = boot or 1
        self._counts["streams"] += 1
        self._grid: Grid | None = None
        self._early: list[Reading] = []
        self._encoder = MeteredEncoder(self.profile, self.boot, self._limit_bytes)
        self._outbox = Outbox()
        self._admission = Admission(self.profile, self.settings.first, self._encoder.bits)
        self._greeting = Greeting(self.profile, self.boot, is_trained=self.settings.is_trained)
        self._opened_s = 0.0
        self._is_urgent = False
        # Vehicles have the same clock: none of what they do may fall on the same instant.
        period_s = self.profile.period_ms / 1000.0
        late_s = min(MOST_LATE_S, period_s) * self._chance(0)
        self._delay_ns = int((self.settings.delay_s + late_s) * 1e9)
        self._resend_s = 0.0
        self._asked_ns = 0  # when rows were last closed
        self._held_until_ns = 0  # 0: they are closed as they come due

    def _chance(self, number: int) -> float:
        """Give a number from 0 to 1 that other vehicles do not have."""
        mixed = (self.boot ^ number * _BOOT_STEP) * 0x85EBCA6B & 0xFFFFFFFF
        return ((mixed ^ mixed >> 15) * 0xC2B2AE35 >> 12 & 0xFFFF) / 65536.0

    # -- how it is ---------------------------------------------------------------------------------
    @property
    def level(self) -> Level:
        """Where on the ladder the rows are that are packed now."""
        return self._admission.level

    @property
    def unconfirmed(self) -> int:
        """Packets that the base has not confirmed."""
        return len(self._outbox)

    @property
    def stream(self) -> int:
        """The stream's name in messages."""
        return self.boot & 255

    @property
    def duty_pct(self) -> float:
        """Percent of time that it may be on the air."""
        return own_duty_pct(self._region_duty_pct, self.settings.duty_cycle_pct)

    @property
    def is_at_limit(self) -> bool:
        """Whether the radio refused for its duty cycle, and is left alone for a while."""
        return self._budget.is_paused and self._is_at_limit

    @property
    def counters(self) -> dict[str, int]:
        """Counts since the start; they only grow."""
        now = self._tally()
        return {
            **self._counts,
            **{name: self._earlier[name] + count for name, count in now.items()},
            "alarms": self._alarms.raised,
        }

    def _tally(self) -> dict[str, int]:
        return {
            "acked": self._outbox.acked,
            "given_up": self._outbox.given_up,
            "readings_shed": self._admission.shed,
            "readings_late": 0 if self._grid is None else self._grid.late,
        }

    # -- from outside ------------------------------------------------------------------------------
    def radio(self, preset: str | Preset, *, region_duty_pct: float) -> None:
        """Take what the radio is set to; call it before the first `next`, and when it changes.

        Raises:
            ValueError: no preset of that name.
        """
        found = PRESETS.get(preset) if isinstance(preset, str) else preset
        if found is None:
            raise ValueError(f"expected one of {', '.join(PRESETS)}, found {preset!r}")
        self._region_duty_pct = region_duty_pct
        self._preset = found
        self._has_radio = True
        self._budget.set(self.duty_pct, self._frame_s())
        self._on_air_until_s = 0.0

    def offer(self, readings: Sequence[Reading]) -> None:
        """Take readings that the gateway accepted; those without a place in the plan are passed."""
        if self._grid is None:
            self._early.extend(readings)
            del self._early[: -len(self.profile.signals) * 100]
            return
        self._grid.put(readings)
        self._alarms.look(readings, self._grid)

    def take(self, payload: bytes, now_s: float) -> bool:
        """Take a payload from the air; give whether it was for this vehicle."""
        try:
            message = air.read(payload)
        except air.AirError:
            return False
        if not isinstance(message, air.Acks):
            return False
        mine = [entry for entry in message.entries if entry.node == self.node]
        for entry in mine:
            self._take_ack(entry, now_s)
        return bool(mine)

    def _take_ack(self, ack: air.Ack, now_s: float) -> None:
        if ack.stream != self.stream or ack.next > self._encoder.next_seq:
            self._greeting.ask_hello()  # of an earlier start: the base does not know this one
            return
        self.acked_s = now_s
        self.sent_s = None
        self._resend_s = now_s + RESEND_SPREAD_S * self._chance(self._encoder.next_seq)
        if self._outbox.acknowledged(ack, now_s):
            self._duty_pause_s = DUTY_PAUSE_FIRST_S
            self.wants_profile = False
        self._greeting.heard(ack.wants, now_s)
        if ack.wants & air.WANT_PROFILE and self._greeting.is_too_large:
            self.wants_profile = True

    def refused(self, outgoing: Outgoing, error: int, now_s: float) -> None:
        """Take back what the radio did not send; `error` as `Routing.Error` (9: duty cycle)."""
        self._counts["refused"] += 1
        self._budget.pay_back(outgoing.airtime_s)
        if outgoing.boot != self.boot:
            return
        kept = None if outgoing.seq is None else self._outbox.get(outgoing.seq)
        if kept is not None and error == TOO_LARGE:
            self._outbox.give_up(kept.seq)
        elif kept is not None:
            kept.sent_s = None
        elif outgoing.kind == "hello":
            self._greeting.ask_hello()
        if error == DUTY_CYCLE_LIMIT:
            self._counts["duty_refused"] += 1
            if not self.is_at_limit:  # all that the radio had in this moment is one refusal
                self._is_at_limit = True
                self._budget.pause(now_s + self._duty_pause_s)
                self._duty_pause_s = min(2 * self._duty_pause_s, DUTY_PAUSE_LAST_S)
        elif error != TOO_LARGE:
            self._is_at_limit = False
            self._budget.pause(now_s + REFUSED_PAUSE_S)

    def unheard(self, outgoing: Outgoing) -> None:
        """The radio repeated a packet as often as it does, and heard no relay take it."""
        self._counts["unheard"] += 1
        self._budget.pay((RADIO_SENDS - 1) * outgoing.airtime_s)
        if outgoing.boot == self.boot and outgoing.seq is not None:
            self._outbox.lose(outgoing.seq)

    # -- rows --------------------------------------------------------------------------------------
    def next(
        self, now_ns: int, now_s: float, *, queue_free: int = 16, utilisation_pct: float = 0.0
    ) -> Outgoing | None:
        """Close the rows that are due and give a message to send now, if one may be sent."""
        self._utilisation_pct = utilisation_pct
        self.tick(now_ns, now_s)
        return self._send(now_s, queue_free) if self._has_radio else None

    def tick(self, now_ns: int, now_s: float) -> None:
        """Close the rows that are due; all that can be done while there is no radio."""
        self._budget.count(now_s, self._utilisation_pct)
        self._close_rows(now_ns, now_s)
        self._flush_late(now_s)

    def wait_s(self, now_ns: int, now_s: float) -> float:
        """Give the seconds until `next` is worth a call by itself; one row at most."""
        period_ns = self.profile.period_ms * 1_000_000
        row_ns = period_ns - (now_ns - self._delay_ns) % period_ns
        if self._held_until_ns:
            row_ns = min(row_ns, max(0, self._held_until_ns - now_ns))
        row_s = row_ns / 1e9 + 0.001
        radio_s = self._on_air_until_s - self._budget.frame_s - now_s  # until it may have more
        return min(row_s, radio_s + 0.001) if radio_s > 0 and self._outbox.has_backlog() else row_s

    def _close_rows(self, now_ns: int, now_s: float) -> None:
        grid = self._grid
        if grid is None:
            grid = self._grid = Grid(self.profile, start_before(self.profile, now_ns // 1_000_000))
            self._greeting.set_start(grid.start_ms, GATEWAY_CLOCK)
            early, self._early = self._early, []
            self.offer(early)
            grid.skip_to(grid.row_at(now_ns - self._delay_ns))
        last = grid.row_at(now_ns - self._delay_ns)
        if last < grid.closed - BACK_ROWS:
            self._restart()
            return
        if self._is_catching_up(now_ns):
            last = max(grid.closed, last - HELD_ROWS)
        if last - grid.closed > SKIP_ROWS:
            grid.skip_to(last - SKIP_ROWS)
        for row in range(grid.closed + 1, last + 1):
            self._close(grid, row, now_s)

    def _is_catching_up(self, now_ns: int) -> bool:
        """Tell whether readings of a time for which nothing ran may still be on their way."""
        still_ns = now_ns - self._asked_ns - self.profile.period_ms * 1_000_000
        stood_still = self._asked_ns > 0 and still_ns > STOOD_STILL_NS
        self._asked_ns = now_ns
        if self._held_until_ns:  # once, or who is rarely called would never close a row
            if now_ns >= self._held_until_ns:
                self._held_until_ns = 0
        elif stood_still:
            self._held_until_ns = now_ns + CATCH_UP_NS
        return self._held_until_ns > 0

    def _restart(self) -> None:
        """Begin another stream: rows cannot be numbered backwards."""
        for name, count in self._tally().items():
            self._earlier[name] += count
        self._earlier["given_up"] += len(self._outbox)
        self._begin((self.boot + _BOOT_STEP) & 0xFFFFFFFF)

    def _close(self, grid: Grid, row: int, now_s: float) -> None:
        values = grid.close(row)
        has_alarm = self._alarms.is_in(row)
        admitted = self._admission.admit(
            row, values, self._allowance_bits(), self._cap(), has_alarm=has_alarm
        )
        got = sum(value is not None for value in admitted)
        encoder = self._encoder
        if got or encoder.open_rows:
            if not encoder.open_rows:
                self._opened_s = now_s
            seq = encoder.next_seq
            packet = encoder.add(row, admitted)
            if packet is not None:
                self._put(seq, packet)
                self._opened_s = now_s
            self._counts["rows"] += 1
            self._counts["readings"] += got
        if has_alarm:
            self._is_urgent = True
            self._flush()

    def _cap(self) -> Level:
        """Give the most that unconfirmed packets leave room for."""
        fill = self._outbox.fill
        if fill >= SPARSE_FILL:
            return Level.SPARSE
        return Level.POSITION if fill >= POSITION_FILL else Level.ALL

    def _allowance_bits(self) -> float:
        """Give what a row may cost: the income, and a part of what is saved above what waits."""
        budget = self._budget
        # A pause of the radio stops sending, not packing; a busy channel means less for everybody.
        income_s = budget.income(self._utilisation_pct) * self.profile.period_ms / 1000.0
        if income_s <= 0:
            return 0.0
        if self._outbox.has_backlog():
            share_s = (1.0 - BACKLOG_SHARE) * income_s
        else:
            spare_s = budget.saved_s - self._ahead_s()
            share_s = max(LEAST_SHARE * income_s, income_s + spare_s / HORIZON_ROWS)
        useful_bits = 8 * (self._limit_bytes - HEADERS_BYTES)
        return share_s / budget.frame_s * useful_bits

    def _ahead_s(self) -> float:
        """Give the airtime of what is packed and not yet sent."""
        fresh = self._outbox.fresh()
        waiting_s = 0.0 if fresh is None else self._airtime_s(fresh.packet)
        return waiting_s + self._encoder.open_bytes / self._limit_bytes * self._budget.frame_s

    # -- packets -----------------------------------------------------------------------------------
    def _flush_late(self, now_s: float) -> None:
        """Finish a packet that waited long enough; longer while there is little airtime."""
        if not self._encoder.open_rows:
            return
        budget = self._budget
        has_backlog = self._outbox.has_backlog()
        is_rich = (
            self.level is Level.ALL
            and budget.saved_s >= budget.depth_s / 2
            and self._outbox.fill < UNHEARD_FILL
            and not has_backlog
        )
        income = budget.income(self._utilisation_pct) * (1.0 - BACKLOG_SHARE * has_backlog)
        earned_s = budget.frame_s / max(income, 1e-9)
        if self._outbox.fill >= UNHEARD_FILL:
            earned_s = PATIENCE_S
        patience_s = 0.0 if is_rich else min(earned_s, PATIENCE_S)
        waited_s = now_s - self._opened_s
        is_piled = budget.is_paused or self._outbox.fresh() is not None
        flush_s = self.settings.flush_s
        flush_s -= FLUSH_SPREAD * flush_s * self._chance(self._encoder.next_seq)
        if waited_s >= max(flush_s, patience_s) and not is_piled:
            self._flush()

    def _flush(self) -> None:
        seq = self._encoder.next_seq
        packet = self._encoder.flush()
        if packet is not None:
            self._put(seq, packet)

    def _put(self, seq: int, packet: bytes) -> None:
        self._outbox.put(seq, packet, is_urgent=self._is_urgent)
        self._is_urgent = False

    def _send(self, now_s: float, queue_free: int) -> Outgoing | None:
        """Give the first of: hello, alarm, fresh packet, lost packet, part of the profile."""
        if queue_free <= 0 or self._budget.is_paused:
            return None
        fresh = self._outbox.fresh()
        if fresh is not None and fresh.is_urgent:
            return self._send_kept(fresh, now_s)
        is_busy = politeness(self._utilisation_pct) <= 0 or queue_free < QUEUE_LOW
        if is_busy or self._on_air_until_s - now_s > self._budget.frame_s:
            return None
        hello = self._greeting.hello(now_s, self.vin)
        if hello is not None:
            message = self._outgoing(hello, "hello")
            if not self._budget.allows(message.airtime_s):
                return None
            self._greeting.hello_sent(now_s)
            self._counts["hellos"] += 1
            return self._pay(message, now_s)
        if fresh is not None and not self._outbox.is_backlog(fresh):
            return self._send_kept(fresh, now_s)
        kept = (self._outbox.lost() if now_s >= self._resend_s else None) or fresh
        if kept is not None and self._budget.allows(self._airtime_s(kept.packet) + self._next_s()):
            return self._send_kept(kept, now_s)
        part = self._greeting.part(self._limit_bytes + air.DATA_BYTES)
        if part is not None:
            message = self._outgoing(part, "profile")
            if self._budget.allows(message.airtime_s):
                self._greeting.part_sent(now_s)
                self._counts["profile_parts"] += 1
                return self._pay(message, now_s)
        return None

    def _send_kept(self, kept: Kept, now_s: float) -> Outgoing | None:
        data = air.Data(self.stream, self._outbox.back(kept.seq), kept.packet).to_bytes()
        message = self._outgoing(data, "data", kept)
        if not self._budget.allows(message.airtime_s, is_urgent=kept.is_urgent):
            return None
        self._counts["resent"] += message.is_again
        self._counts["data_sent"] += 1
        self._outbox.sent(kept, now_s)
        if self.sent_s is None:
            self.sent_s = now_s
        return self._pay(message, now_s)

    def _outgoing(self, payload: bytes, kind: str, kept: Kept | None = None) -> Outgoing:
        return Outgoing(
            payload,
            kind,
            None if kept is None else kept.seq,
            self._payload_airtime_s(len(payload)),
            is_again=kept is not None and kept.sent_s is not None,
            is_urgent=kept is not None and kept.is_urgent,
            boot=self.boot,
        )

    def _pay(self, message: Outgoing, now_s: float) -> Outgoing:
        self._budget.pay(message.airtime_s)
        self._on_air_until_s = max(self._on_air_until_s, now_s) + message.airtime_s
        self._counts["data_bytes"] += len(message.payload)
        self._counts["airtime_ms"] += round(1000 * message.airtime_s)
        return message

    def _next_s(self) -> float:
        """Give the airtime that is kept back for what is new: a frame, while there is anything."""
        return self._budget.frame_s if self._encoder.open_rows else 0.0

    def _frame_s(self) -> float:
        return self._preset.airtime_us(LONGEST_FRAME_BYTES) / 1e6

    def _airtime_s(self, packet: bytes) -> float:
        return self._payload_airtime_s(len(packet) + air.DATA_BYTES)

    def _payload_airtime_s(self, size: int) -> float:
        return payload_airtime_s(self._preset, size, is_direct=self.settings.is_direct)
