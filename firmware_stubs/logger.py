"""The edge logger: what a board runs.

    logger = Logger(hal)
    logger.start()
    while True: wait at most logger.poll() milliseconds, less when something arrives

It asks the car and listens to the GNSS receiver as its plan says, packs rows, keeps packets on
flash, and sends them over Wi-Fi or USB until the gateway has them. Without settings it waits to be
provisioned and logs all the same: nothing is lost while nobody has told it where to send.
"""

from firmware_stubs import obd
from firmware_stubs.clock import GNSS_DELAY_MS, Clock, Grid
from firmware_stubs.commands import Commander, templates, templates_hash
from firmware_stubs.hal import INFO, WARNING, Hal
from firmware_stubs.nmea import Receiver, Sentence
from firmware_stubs.packer import Packer
from firmware_stubs.plan import Plan, PlanError
from firmware_stubs.provisioning.provisioner import Provisioner, needed
from firmware_stubs.queue import Queue, RamFlash
from firmware_stubs.sampler import MOST_LATE_ROWS, Sampler
from firmware_stubs.settings import Settings
from firmware_stubs.uplink import PROFILE, TEMPLATES, Gateway, Session
from server.wire.messages import (
    GATEWAY,
    GNSS,
    Command,
    CommandResult,
    Counters,
    Hello,
    LogLine,
    TimeBase,
)

FIRMWARE = "telerig-logger 0.1.0"
MOST_LOGS = 32
MOST_RESULTS = 32
LONGEST_LOG = 200
LONGEST_WAIT_MS = 1000
REBOOT_AFTER_MS = 3000  # the command's result goes out first, if it can
VIN_EVERY_MS = 10000
MOST_EARLY_FIXES = 8
RAM_SECTORS = 4
_SOURCES = {GNSS: "gnss", GATEWAY: "gateway"}


class Logger(Session):
    """The whole firmware on one board.

    Attributes:
        plan: what is sampled.
        obd: the car.
        results, logs: what the gateway is to be told.
        running: whether readings are taken.
        vin: of the car; "" until it has said it.
    """

    def __init__(self, hal: Hal) -> None:
        self.settings = Settings(hal)
        self.results: list[CommandResult] = []
        self.logs: list[LogLine] = []
        self.running = True
        self.vin = ""
        self._hal = hal
        self._clock = Clock(self.settings.number("gnss.delay", GNSS_DELAY_MS, 999))
        self._gnss = Receiver()
        self._commander = Commander(self)
        self._templates_hash = templates_hash()
        self._provisioner: Provisioner | None = None
        self._early: list[Sentence] = []
        self._vin_request: obd.Request | None = None
        self._vin_ms = 0
        self._reboot_ms = -1
        self._rows_skipped = 0
        self._taken_before = 0  # by samplers of earlier plans
        self._missing_before = 0
        self._can_errors_before = 0

    # --- start ---

    def start(self) -> None:
        """Take up the work after a reset."""
        hal = self._hal
        self._queue = Queue(hal if hal.flash_size() else RamFlash(RAM_SECTORS))
        self._gateway = Gateway(hal, self.settings, self._queue, self)
        self._queue.open()
        self._begin_plan(self._plan_of_settings())
        if self._wants_provisioning():
            self._provisioner = Provisioner(hal)
            self._provisioner.start()
        waiting = self._queue.packets
        self.log(INFO, f"{FIRMWARE} started: {hal.reset_reason()}, {waiting} packets wait")

    def _plan_of_settings(self) -> Plan:
        wish = self.settings.plan()
        try:
            return Plan(wish if wish is not None else {})
        except PlanError as error:
            self.log(WARNING, f"the plan is refused ({error}); the default is used")
            return Plan({})

    def _wants_provisioning(self) -> bool:
        """A board that was set up at the bench, or waits for a serial host, needs none."""
        if not needed(self._hal):
            return False
        begun = self._hal.nvs_get("prov.salt") is not None
        return begun or not (self.settings.has_gateway() or self.settings.is_wired())

    # --- plan ---

    def change_plan(self, plan: Plan) -> None:
        """Sample by another plan from now on, and after a reset; raises PlanError."""
        profile = plan.profile(self.settings.trained_profile())
        waiting = self._queue.profiles()
        if not self.settings.keep_profile(profile.hash, profile.to_bytes(), waiting):
            raise PlanError("packets of three other plans still wait for the gateway")
        self._close_all()
        self._packer.flush()
        self._taken_before += self._sampler.taken
        self._missing_before += self._sampler.missing
        self._can_errors_before += self.obd.bus.errors
        self.settings.save_plan(plan.wish)
        self._begin_plan(plan)

    def _begin_plan(self, plan: Plan) -> None:
        profile = plan.profile(self.settings.trained_profile())
        content = profile.to_bytes()
        if not self.settings.keep_profile(profile.hash, content, self._queue.profiles()):
            self.log(WARNING, "packets of an older plan cannot be read any more")
            self.settings.keep_profile(profile.hash, content, [])
        boot = 0
        while boot == 0:
            boot = int.from_bytes(self._hal.random(4), "big")
        self.plan = plan
        self.boot = boot
        self._grid = Grid(plan.period_ms, plan.gnss_divider, self._hal.ticks_ms())
        self._sampler = Sampler(plan)
        self._packer = Packer(self._queue, plan, profile, boot)
        lengths = {source.id: source.data_bytes for source in plan.sources if source.data_bytes}
        self.obd = obd.Obd(self._hal, lengths, self._sampler.put_data)
        self._early = []

    # --- one round ---

    def poll(self) -> int:
        """Do what is due; give the milliseconds until there is more, if nothing arrives before."""
        now_ms = self._hal.ticks_ms()
        self._read_console(now_ms)
        self._read_gnss(now_ms)
        if self.running:
            self._sample(now_ms)
        self.obd.poll(now_ms)
        self._packer.flush_late(now_ms)
        self._commander.poll()
        self._ask_vin(now_ms)
        self._gateway.poll(now_ms, self._provisioner is None)
        wait_ms = self._provision()
        self._reboot_when_due(now_ms)
        if self.running:
            wait_ms = min(wait_ms, self._grid.due_ms - now_ms)
        wait_ms = min(wait_ms, self.obd.wait_ms(now_ms), self._gateway.wait_ms(now_ms))
        return max(1, wait_ms)

    def _read_console(self, now_ms: int) -> None:
        data = self._hal.console_read()
        self._gateway.receive(data, now_ms)
        if data and self._provisioner is not None:
            self._provisioner.console(data)

    def _read_gnss(self, now_ms: int) -> None:
        data = self._hal.gnss_read()
        if not data:
            return
        for sentence in self._gnss.feed(data, now_ms):
            if sentence.dated:
                self._clock.from_gnss(sentence.utc_ms, sentence.tick_ms)
            if sentence.values and len(self._early) < MOST_EARLY_FIXES:
                self._early.append(sentence)

    def _sample(self, now_ms: int) -> None:
        grid = self._grid
        if grid.needs_step(self._clock):
            self._step(now_ms)
        elif self._clock.source != self._packer.base.source:
            self._packer.set_base(grid.base_row, grid.base_utc_ms, self._clock.source)
        if now_ms - grid.due_ms > MOST_LATE_ROWS * grid.period_ms:
            self._rows_skipped += grid.skip_to(now_ms)
        while now_ms >= grid.due_ms:
            pids = self._sampler.open(grid.row)
            if pids and now_ms - grid.due_ms < grid.period_ms:
                self.obd.ask_row(grid.row, pids)
            grid.advance(self._clock)
            row = self._sampler.close(grid.row)
            while row is not None:
                self._packer.add(row, now_ms)
                row = self._sampler.close(grid.row)
        if self._early:
            self._place_fixes()

    def _place_fixes(self) -> None:
        """Put fixes into their rows; those of a row to come wait for it."""
        early = []
        for fix in self._early:
            row = self._grid.row_of(fix.utc_ms)
            if self._grid.row <= row < self._grid.row + self.plan.delay_rows:
                early.append(fix)
                continue
            for signal_id, raw in fix.values:
                self._sampler.put(row, signal_id, raw)
        self._early = early

    def _step(self, now_ms: int) -> None:
        """Put the rows to come on what is known of UTC now."""
        clock = self._clock
        self._close_all()
        if not self._packer.time_is_known() and self._grid.row:
            row, utc_ms = self._grid.instant_of_last(clock)
            self._packer.set_base(row, utc_ms, clock.source)
        self._grid.step(clock, now_ms)
        self._packer.set_base(self._grid.base_row, self._grid.base_utc_ms, clock.source)
        self._hal.set_utc_ms(clock.utc_ms(now_ms), _SOURCES[clock.source])

    def _close_all(self) -> None:
        now_ms = self._hal.ticks_ms()
        for row in self._sampler.close_all():
            self._packer.add(row, now_ms)

    def _ask_vin(self, now_ms: int) -> None:
        request = self._vin_request
        if request is not None:
            if request.done:
                self._vin_request = None
                self.vin = obd.vin(request)
                if self.vin:
                    self._gateway.hello_again()
        elif not self.vin and self.obd.owners and now_ms >= self._vin_ms:
            self._vin_ms = now_ms + VIN_EVERY_MS
            request = obd.vin_request()
            if self.obd.ask(request):
                self._vin_request = request

    def _provision(self) -> int:
        if self._provisioner is None:
            return LONGEST_WAIT_MS
        wait_ms = self._provisioner.poll()
        if self._provisioner.done:
            self._provisioner = None
        return wait_ms

    def _reboot_when_due(self, now_ms: int) -> None:
        if 0 <= self._reboot_ms <= now_ms:
            self._reboot_ms = -1
            self._close_all()
            self._packer.flush()
            self._hal.reset("command")

    # --- what commands do ---

    def set_running(self, running: bool) -> None:
        """Take readings, or take none; what was taken is packed at once."""
        if running and not self.running:
            self._grid.skip_to(self._hal.ticks_ms())
        elif self.running and not running:
            self._close_all()
            self._packer.flush()
        self.running = running

    def reboot_soon(self) -> None:
        """Restart in a few seconds."""
        self._reboot_ms = self._hal.ticks_ms() + REBOOT_AFTER_MS

    def status(self) -> "dict[str, object]":
        """Tell what the logger does, for the command get_status."""
        now_ms = self._hal.ticks_ms()
        return {
            "firmware": FIRMWARE,
            "running": self.running,
            "vin": self.vin,
            "uptime_ms": now_ms,
            "utc_ms": self._clock.utc_ms(now_ms),
            "rates": self.plan.rates(),
            "packets_waiting": self._queue.packets,
            "car_answers": not self.obd.is_silent(),
            "bad_gnss_lines": self._gnss.bad_lines,
        }

    # --- what the uplink asks and tells ---

    def hello(self, profile_hash: bytes, parts: int) -> Hello:
        """Make the Hello of a boot with this profile; PROFILE and TEMPLATES as `parts` says."""
        hello = Hello(
            firmware=FIRMWARE,
            vin=self.vin,
            reset_reason=self._hal.reset_reason(),
            profile_hash=profile_hash,
            templates_hash=self._templates_hash,
        )
        if parts & PROFILE:
            hello.profile = self.settings.kept_profile(profile_hash) or b""
        if parts & TEMPLATES:
            hello.templates = templates()
        return hello

    def counters(self) -> Counters:
        """Make the tally."""
        queue = self._queue
        return Counters(
            readings_taken=self._taken_before + self._sampler.taken,
            readings_missing=self._missing_before + self._sampler.missing,
            rows_dropped=queue.rows_dropped + self._gateway.rows_refused + self._rows_skipped,
            queue_packets=queue.packets,
            queue_bytes=queue.bytes,
            uptime_ms=self._hal.ticks_ms(),
            can_errors=self._can_errors_before + self.obd.bus.errors,
            link_failures=self._gateway.failures,
        )

    def time_base(self) -> TimeBase:
        """Give the current boot's time base."""
        return self._packer.base

    def profile_hash(self) -> bytes:
        """Name the current boot's profile."""
        return self._packer.profile_hash

    def acknowledged(self, seq: int) -> None:
        """A packet of the current boot is committed: others may continue from it."""
        self._packer.acknowledged(seq)

    def need_key(self) -> None:
        """The next packet stands alone."""
        self._packer.key()

    def take_command(self, command: Command) -> None:
        """Carry out a command."""
        self._commander.take(command, self._clock.utc_ms(self._hal.ticks_ms()))
        del self.results[:-MOST_RESULTS]

    def gateway_time(self, utc_ms: int, sent_ms: int, received_ms: int) -> None:
        """Learn the time from an answer."""
        self._clock.from_gateway(utc_ms, sent_ms, received_ms)

    def accepted(self, packets: int) -> None:
        """Packets are committed: the settings are right, and provisioning ends."""
        if packets and self._provisioner is not None and self.settings.has_gateway():
            self._provisioner.accepted()

    def log(self, level: int, text: str) -> None:
        """Write a line to the log, here and at the gateway; the oldest of too many are dropped."""
        text = text[:LONGEST_LOG]
        if not self._gateway.is_writing():
            self._hal.log(level, text)
        self.logs.append(LogLine(level=level, text=text, uptime_ms=self._hal.ticks_ms()))
        if len(self.logs) > MOST_LOGS:
            self.logs.pop(0)
