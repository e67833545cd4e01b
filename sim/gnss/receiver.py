"""A GNSS receiver on a serial line.

Covers: epochs on the UTC grid, cold start, outages, error, output delay, a line that is too slow.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

import simpy

from sim.gnss.acquisition import Stage
from sim.gnss.clock import ReceiverClock, Said, Undo
from sim.gnss.commands import CommandReader
from sim.gnss.controls import HOT
from sim.gnss.dialects import dialect
from sim.gnss.errors import GnssError
from sim.gnss.fields import NS_PER_S, cut_to_digits, sentence
from sim.gnss.fix import Fix, Motion
from sim.gnss.obstruction import Kind, Outage
from sim.gnss.position_error import PositionError, VelocityError
from sim.gnss.profiles import ReceiverProfile
from sim.gnss.profiles import profile as named_profile
from sim.gnss.sentence_plan import SentencePlan
from sim.gnss.sentences import SentenceWriter
from sim.gnss.sky import Sky, SkyView
from sim.gnss.sky_watch import SkyWatch
from sim.gnss.solution import Solution, fix_of, solve
from sim.gnss.transmitter import Transmitter
from sim.gnss.ubx_output import UbxOutput
from sim.serial_line import SerialLine

MIN_RATE_HZ = 0.1
MAX_CLIMB_MPS = 500.0  # a truth that jumps is no climb
MAX_DELAY_SHARE = 0.5  # of the period: no chip starts to talk after the next epoch

OnEpoch = Callable[[float, Motion, Fix | None], None]


class GnssReceiver:
    """Measures `motion` on a UTC grid and writes NMEA 0183 to `line`; u-blox UBX too, when asked.

    Args:
        env: the world's SimPy environment.
        line: serial line; its baud is the caller's (see `ReceiverProfile.baud`), the host may
            change it by command.
        motion: true motion of the antenna at a virtual instant in seconds; called once per epoch
            with `env.now`, so with times that only grow.
        profile: a key of PROFILES, or a profile of your own.
        rng: the receiver's random stream (orbits, signals, errors).
        epoch_ns: UTC nanoseconds since 1970 at virtual instant 0.
        rate_hz: navigation rate, 0.1 to the chip's fastest; epochs stand on multiples of whole
            milliseconds (as in UBX-CFG-RATE and PMTK220).
        sentences: names to send instead of the chip's own choice; always in the chip's order.
        sky: the sky at a virtual instant, instead of the synthetic constellation.
        cold_start_s: seconds from power-up to the first position under an open sky; 0: at once.
        on_epoch: called at each measurement instant with (virtual seconds, truth, fix). The fix is
            None where the receiver knows no time yet, or where it puts this epoch not on the wire
            (`skip_epochs`); it is not valid (NaN position) while there is only time.
        burst: one write per epoch instead of one per sentence; None: as the profile (`usb`).
        geoid_m: height of the geoid over the ellipsoid (Eifel: 47 m).
        power_on: False leaves out banner and boot time: the receiver has been running.

    Raises GnssError for an unknown profile, sentence or rate.
    """

    def __init__(
        self,
        env: simpy.Environment,
        line: SerialLine,
        motion: Callable[[float], Motion],
        profile: str | ReceiverProfile,
        rng: random.Random,
        epoch_ns: int,
        rate_hz: float = 1.0,
        sentences: Sequence[str] | None = None,
        sky: Sky | None = None,
        cold_start_s: float = 0.0,
        on_epoch: OnEpoch | None = None,
        *,
        burst: bool | None = None,
        geoid_m: float = 47.0,
        power_on: bool = True,
    ) -> None:
        self.profile = named_profile(profile) if isinstance(profile, str) else profile
        self.counters: Counter[str] = Counter()
        self._env = env
        self._line = line
        self._motion = motion
        self._epoch_ns = epoch_ns
        self._on_epoch = on_epoch
        self._power_on = power_on
        self._period_ns = self._checked_period_ns(rate_hz)
        self._plan = SentencePlan(self.profile, sentences)
        self._reader = CommandReader()
        self._dialect = dialect(self.profile)
        self._transmitter = Transmitter(
            line,
            self.profile,
            burst=self.profile.usb if burst is None else burst,
            counters=self.counters,
        )
        # Streams of their own: how often the sky is looked at changes no position error.
        sky_rng, self._delay_rng = (random.Random(rng.getrandbits(64)) for _ in range(2))
        self._watch = SkyWatch(self.profile, sky, sky_rng, env.now, cold_start_s)
        self._gauss = rng.gauss
        self._error: PositionError | None = None
        self._velocity_error = VelocityError(rng)
        self._writer = SentenceWriter(self.profile, geoid_m, self._now_ns())
        self._clock = ReceiverClock()
        self._had_position = False
        self._held_course_units = 0
        self._last_alt_m: float | None = None
        self._ubx = UbxOutput(self.profile, geoid_m, self._now_ns())
        self._nmea_on = True
        line.attach_device(self._receive)
        env.process(self._run())

    # -- what the scenario does to it ----------------------------------------
    def add_outage(self, start_s: float, end_s: float, kind: Kind = "tunnel") -> None:
        """Cover the sky from `start_s` to `end_s` (virtual seconds): "tunnel" or "canyon"."""
        self._watch.obstructions.add(Outage(start_s, end_s, kind))

    def jump_clock(self, by_s: float) -> Undo:
        """Let its clock be so much ahead (behind where negative), until that is undone."""
        return self._clock.jump(by_s)

    def drift_clock(self, ppm: float) -> Undo:
        """Let its clock run so much too fast, until that is undone; it is right again then."""
        return self._clock.drift(self._now_ns(), ppm)

    def insert_leap_second(self) -> Undo:
        """Let it count a leap second at the next midnight (UTC); undone, it has counted none."""
        return self._clock.insert_leap_second(self._now_ns())

    def roll_over(self) -> Undo:
        """Let it take the GPS week for the one 1024 weeks before, until that is undone."""
        return self._clock.roll_over()

    def brown_out(self) -> None:
        """The supply dips: it starts anew; its backup battery has kept what it knew of the sky."""
        self.restart(HOT)

    # -- what a command changes (see Controls) ----------------------
    @property
    def rate_hz(self) -> float:
        """Navigation epochs per second."""
        return NS_PER_S / self._period_ns

    @property
    def baud(self) -> int:
        """Rate of the line."""
        return self._line.baud

    def set_baud(self, baud: int) -> None:
        """Change the rate of the line; what is queued leaves at the old one."""
        self._line.baud = baud

    def set_rate(self, rate_hz: float) -> bool:
        """Change the rate from the next epoch on; False when the chip can't."""
        if not MIN_RATE_HZ <= rate_hz <= self.profile.max_rate_hz:
            return False
        self._period_ns = self._checked_period_ns(rate_hz)
        return True

    def every(self, name: str) -> int | None:
        """Epochs from one message to the next of its kind, 0: off; None: the chip has it not."""
        every = self._plan.every(name)
        return self._ubx.plan.every(name) if every is None else every

    def set_every(self, name: str, epochs: int) -> bool:
        """Send a message every so many epochs, 0 for never; False when the chip has it not."""
        return self._plan.set_every(name, epochs) or self._ubx.plan.set_every(name, epochs)

    def send_once(self, name: str) -> None:
        """Send a binary message with the next epoch, whatever its interval."""
        self._ubx.send_once(name)

    def set_output(self, *, nmea: bool, ubx: bool) -> None:
        """Let the protocols through to the line, or not."""
        self._nmea_on = self._transmitter.warns = nmea
        self._ubx.on = ubx

    def reset_sentences(self) -> None:
        """Send what the chip sends out of the box."""
        self._plan.reset()

    def restart(self, kind: int) -> None:
        """Start again as after a HOT, WARM or COLD restart (dialects), banner included."""
        self._watch.restart(self.profile.first_fix_s[kind])
        self._had_position = False
        self.counters["restarts"] += 1
        self._send_banner()

    def _send_banner(self) -> None:
        if self._nmea_on:
            self._transmitter.send([sentence(body) for body in self.profile.banner])

    def _checked_period_ns(self, rate_hz: float) -> int:
        fastest = self.profile.max_rate_hz
        if not MIN_RATE_HZ <= rate_hz <= fastest:
            raise GnssError(
                f"rate of GNSS profile {self.profile.name}: expected {MIN_RATE_HZ}-{fastest:g} Hz, "
                f"got {rate_hz} Hz"
            )
        return max(1, round(1000.0 / rate_hz)) * 1_000_000

    # -- the receiver's life -------------------------------------------------
    def _run(self) -> Generator[simpy.Event, None, None]:
        env = self._env
        if self._power_on:
            yield env.timeout(self.profile.boot_s)
            self._send_banner()
        count = 0
        clock, shift_ns = self._clock, 0
        utc_ns = self._now_ns()
        next_ns = -(-utc_ns // self._period_ns) * self._period_ns
        while True:
            due_ns = next_ns - shift_ns - self._epoch_ns
            yield env.timeout(max(0.0, due_ns / NS_PER_S - env.now))
            delay_s = self._delay_s()
            solution = self._measure(next_ns, next_ns - shift_ns, delay_s)
            if solution is not None:
                yield env.timeout(delay_s)
                self._transmitter.send(self._messages(count, next_ns, solution))
            count += 1
            was_ns, shift_ns = shift_ns, clock.shift_ns(self._now_ns())
            if shift_ns != was_ns:
                # To the nearest epoch: a clock that falls behind has none twice.
                next_ns += shift_ns - was_ns + self._period_ns // 2
            next_ns = (next_ns // self._period_ns + 1) * self._period_ns

    def _messages(self, count: int, time_ns: int, solution: Solution) -> list[bytes]:
        """Return what goes out for an epoch: sentences, then binary messages."""
        out: list[bytes] = []
        if self._nmea_on:
            out = self._writer.write(self._plan.due(count), solution, self._watch.text)
        if self._ubx.active:
            held = self._held_course_units
            said = self._clock.said(time_ns)
            out += self._ubx.write(count, time_ns, said, solution, self._watch.view, held)
        return out

    def _now_ns(self) -> int:
        return self._epoch_ns + round(self._env.now * NS_PER_S)

    def _delay_s(self) -> float:
        low_s, high_s = self.profile.output_delay_s
        delay_s = low_s + (high_s - low_s) * self._delay_rng.random()
        return min(delay_s, MAX_DELAY_SHARE * self._period_ns / NS_PER_S)

    def _measure(self, time_ns: int, utc_ns: int, delay_s: float) -> Solution | None:
        """Sample the truth and solve; None when this epoch will not be put out.

        Args:
            time_ns: the epoch by the receiver's seconds.
            utc_ns: its true instant.
            delay_s: until it is put out.
        """
        t_s = self._env.now
        motion = self._motion(t_s)
        self.counters["epochs"] += 1
        watch = self._watch
        watch.look(t_s, utc_ns / NS_PER_S, motion)
        solution = self._solve(self._clock.said(time_ns), motion, watch.view, watch.stage)
        skipped = self.profile.when_full == "skip_epochs" and self._transmitter.busy_at(
            t_s + delay_s
        )
        if skipped:
            self.counters["skipped_epochs"] += 1
        if self._on_epoch is not None:
            fix = None
            if not skipped:
                text = watch.text
                fix = fix_of(self.profile, solution, text.hdop_value, text.satellites)
            self._on_epoch(t_s, motion, fix)
        return None if skipped else solution

    def _solve(self, said: Said, motion: Motion, view: SkyView, stage: Stage) -> Solution:
        if stage < Stage.POSITION:
            self._had_position = False
            self._last_alt_m = None
            time_ns = cut_to_digits(said.time_ns, self.profile.time_digits)
            return Solution(time_ns, stage, is_leap=said.is_leap)
        ranging_m = self.profile.ranging_error_m * view.error_factor
        # HDOP is for both axes together.
        horizontal_m = ranging_m * view.dop.hdop * math.sqrt(0.5)
        vertical_m = ranging_m * view.dop.vdop
        if self._error is None:
            self._error = PositionError(self._gauss, (horizontal_m, vertical_m))
        elif not self._had_position:
            self._error.reacquire(horizontal_m, vertical_m)
        self._had_position = True
        solution = solve(
            self.profile,
            said.time_ns,
            motion,
            self._error.advance(self._period_ns / NS_PER_S, horizontal_m, vertical_m),
            self._velocity_error.apply(motion.speed_mps, motion.course_deg),
            self._held_course_units,
            (horizontal_m, horizontal_m, vertical_m),
            self._climb(motion.alt_m),
        )
        if solution.course_units is not None:
            self._held_course_units = solution.course_units
        return replace(solution, is_leap=True) if said.is_leap else solution

    def _climb(self, alt_m: float) -> float:
        """Return metres per second upwards since the last epoch; 0 for the first."""
        last_m, self._last_alt_m = self._last_alt_m, alt_m
        if last_m is None:
            return 0.0
        climb_mps = (alt_m - last_m) * NS_PER_S / self._period_ns
        return max(-MAX_CLIMB_MPS, min(MAX_CLIMB_MPS, climb_mps))

    def _receive(self, data: bytes) -> None:
        """Take what the host wrote, whatever it is."""
        for command in self._reader.feed(data):
            self.counters["commands"] += 1
            self._transmitter.send(self._dialect.obey(command, self))
        self.counters["ignored_bytes"] = self._reader.ignored_bytes
