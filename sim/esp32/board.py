"""The board: power, clock, and the firmware that it runs.

The firmware is called at the instants that it asked for, and when something has arrived: a frame, a
sentence, bytes on the console, an answer, news of the Wi-Fi. A reset at any instant takes its RAM;
flash and settings stay.
"""

from __future__ import annotations

import math
import random
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import simpy

from sim.can.bus import CanBus
from sim.esp32.boot_log import boot_log
from sim.esp32.can_controller import CanController
from sim.esp32.crystal import Crystal
from sim.esp32.flash import Busy, Flash
from sim.esp32.hal import BoardHal
from sim.esp32.http_client import HttpClient, Internet, NoInternet
from sim.esp32.nvs import Nvs
from sim.esp32.soft_ap import SoftAp
from sim.esp32.uart import Uart
from sim.esp32.wifi import AUTH_FAILED, CONNECTED, NOT_FOUND, Air, Station, WifiSetup
from sim.gnss import HOT, PROFILES, GnssReceiver, Motion
from sim.serial_line import SerialLine

CONSOLE_BAUD = 115200
FLASH_BYTES = 64 * 4096
BOOT_S = 0.4  # from reset to the firmware's first line
POWER_ON = "power-on"
CRYSTAL_PPM = 10.0  # ESP32 data sheet: the crystal must be within ±10 ppm
DRIFT_PPM_PER_H = 1.0
SHORTEST_WAIT_MS = 1
LONGEST_WAIT_MS = 3_600_000
WIFI_NEWS = {CONNECTED: "wifi up", AUTH_FAILED: "wifi refused", NOT_FOUND: "wifi not found"}


class Firmware(Protocol):
    """What a board runs; `firmware_stubs.logger.Logger` is one."""

    def start(self) -> None:
        """Called once after a reset."""
        ...

    def poll(self) -> int:
        """Do what is due; return the milliseconds until it wants to be called again."""
        ...


MakeFirmware = Callable[[BoardHal], Firmware]


def logger_firmware(hal: BoardHal) -> Firmware:
    """Return the edge logger."""
    from firmware_stubs.logger import Logger

    logger: Firmware = Logger(hal)
    return logger


@dataclass(frozen=True, slots=True)
class GnssSetup:
    """The receiver on the board's own UART."""

    profile: str = "ublox_m8"
    baud: int = 38400
    rate_hz: float = 1.0
    sentences: tuple[str, ...] | None = ("RMC", "GGA")
    cold_start_s: float = 0.0


@dataclass(frozen=True, slots=True)
class BoardSetup:
    """What a board is like.

    Attributes:
        baud: of the console.
        gnss: its receiver.
        wifi: the air around it; boards of one world share the first one's.
        crystal_ppm: error of its clock; None: drawn within what the data sheet allows.
        drift_ppm_per_h: how fast that changes; None: drawn.
        flash_bytes: of the queue's partition.
    """

    baud: int = CONSOLE_BAUD
    gnss: GnssSetup = field(default_factory=GnssSetup)
    wifi: WifiSetup = field(default_factory=WifiSetup)
    crystal_ppm: float | None = None
    drift_ppm_per_h: float | None = None
    flash_bytes: int = FLASH_BYTES


class Surroundings(Protocol):
    """What a board is put into: `sim.car.Car` is one."""

    @property
    def bus(self) -> CanBus: ...

    def motion(self, time_s: float, /) -> Motion: ...


class Board:
    """An ESP32 in a car. It is without power until `power_on`.

    Args:
        env: the world's clock.
        name: of the board: of its node, its line and its random streams.
        car: whose bus and whose way it shares.
        setup: what it is like.
        stream: component name -> random stream.
        epoch_ns: UTC at the world's second 0.
        air: shared with other boards; None: its own.
        firmware: what it runs.
        entropy: source of the chip's random numbers; None: a stream of its own.
        on_epoch: see `sim.gnss.GnssReceiver`.

    Attributes:
        internet: what lies behind the access point; the rig puts the gateway there.
        line: the console's serial line.
        receiver: the GNSS module.
        resets, crashes, polls: counters.
        on_note: called as on_note(name, detail) when something is worth an event.
        on_http: called as on_http(to_host, status, body) for every body.
    """

    def __init__(
        self,
        env: simpy.Environment,
        name: str,
        car: Surroundings,
        setup: BoardSetup,
        stream: Callable[[str], random.Random],
        epoch_ns: int,
        *,
        air: Air | None = None,
        firmware: MakeFirmware = logger_firmware,
        entropy: random.Random | None = None,
        on_epoch: Any = None,
    ) -> None:
        self.env = env
        self.name = name
        self.setup = setup
        self.entropy = entropy or stream(f"{name}/entropy")
        self.internet: Internet = NoInternet(env)
        self.on_note: list[Callable[[str, Mapping[str, Any]], None]] = []
        self.on_http: list[Callable[[bool, int, bytes], None]] = []
        self.resets = self.crashes = self.polls = 0
        self.reset_reason = POWER_ON
        self.crystal = _crystal(setup, stream(f"{name}/crystal"))
        self._make_firmware = firmware
        self._firmware: Firmware | None = None
        self._powered = False
        self._start_s = 0.0
        self._utc_offset_ms = 0
        self._polling = False
        self._again = False
        self._due_s = math.inf
        self._timer_s = math.inf
        self._starts = 0
        self._wanted_reset = ""

        self.busy = Busy(lambda: env.now)
        self.flash = Flash(setup.flash_bytes, self.busy, stream(f"{name}/flash"))
        self.nvs = Nvs(self.busy)
        self.can = CanController(car.bus, name, self.ticks_ms, self._wake)
        self.line = SerialLine(env, name, setup.baud)
        self.console = Uart(self.line, self._wake)
        self.station = Station(
            env, air or Air(setup.wifi), stream(f"{name}/wifi"), self._wifi_changed
        )
        self.http = HttpClient(
            env, self.station, lambda: self.internet, self._wake, self._http_bytes
        )
        self.soft_ap = SoftAp(self._wake)
        self.soft_ap.on_change = self._ap_changed
        self.receiver = self._attach_receiver(car, stream(f"{name}/gnss"), epoch_ns, on_epoch)

    def _attach_receiver(
        self, car: Surroundings, rng: random.Random, epoch_ns: int, on_epoch: Any
    ) -> GnssReceiver:
        gnss = self.setup.gnss
        line = SerialLine(self.env, f"{self.name}-gnss", gnss.baud, frame_s=0.0)
        self.gnss = Uart(line, self._wake, flipped=True)
        return GnssReceiver(
            self.env,
            line,
            car.motion,
            PROFILES[gnss.profile],
            rng,
            epoch_ns,
            rate_hz=gnss.rate_hz,
            sentences=gnss.sentences,
            cold_start_s=gnss.cold_start_s,
            on_epoch=on_epoch,
        )

    # -- power -------------------------------------------------------------------------------------
    @property
    def running(self) -> bool:
        """True while the firmware runs."""
        return self._firmware is not None

    def power_on(self) -> None:
        """Give the board its power; harmless when it has it."""
        if not self._powered:
            self._powered = True
            self._begin(POWER_ON)

    def power_off(self) -> None:
        """Take the power: RAM is gone, a write is torn, the radio is silent."""
        if self._powered:
            self._powered = False
            self.busy.cut()
            self._stop()

    def power_cycle(self) -> None:
        """Cut the power for an instant, of the GNSS module too."""
        self.power_off()
        self.receiver.restart(HOT)
        self.power_on()

    def reset(self, reason: str) -> None:
        """Reset the chip from outside (a watchdog, a brown-out) at this very instant."""
        if not self._powered:
            return
        if reason == "brown-out":
            self.busy.cut()
        else:
            self.busy.finish()
        self._stop()
        self._begin(reason)

    def ask_reset(self, reason: str) -> None:
        """Reset as soon as the firmware's call returns: it asked for it."""
        self._wanted_reset = reason or "command"

    def _stop(self) -> None:
        self._firmware = None
        self._due_s = math.inf
        self._starts += 1
        self.nvs.reset()
        self.can.clear()
        self.console.clear()
        self.gnss.clear()
        self.http.reset()
        self.station.disconnect()
        self.soft_ap.stop()

    def _begin(self, reason: str) -> None:
        self.resets += reason != POWER_ON
        self.reset_reason = reason
        self._wanted_reset = ""
        self.crystal.restart(self.env.now - self._start_s)
        self._start_s = self.env.now
        self._utc_offset_ms = 0
        self._note("start", {"reason": reason})
        self.console.write(boot_log(reason, self.flash.size_bytes))
        number = self._starts

        def run(_event: simpy.Event) -> None:
            if number == self._starts:
                self._run_firmware()

        event = self.env.timeout(BOOT_S)
        event.callbacks.append(run)

    def _run_firmware(self) -> None:
        def start() -> int:
            firmware = self._make_firmware(BoardHal(self))
            self._firmware = firmware
            firmware.start()
            return 0

        self._call(start)

    # -- running the firmware ----------------------------------------------------------------------
    def _wake(self) -> None:
        """Something has arrived."""
        if self._firmware is None:
            return
        if self._polling:
            self._again = True
        elif self.env.now >= self.busy.until_s:
            self._call(self._firmware.poll)
        else:
            self._due_s = min(self._due_s, self.busy.until_s)  # the CPU waits for its flash
            self._arm()

    def _call(self, function: Callable[[], int]) -> None:
        self._polling, self._again = True, False
        self.polls += 1
        number = self._starts
        try:
            wait_ms = function()
        except Exception as error:  # noqa: BLE001  the firmware's, whatever it is: the chip resets
            self._crashed(error)
            return
        finally:
            self._polling = False
        if number != self._starts:
            return
        if self._wanted_reset:
            self.reset(self._wanted_reset)
            return
        wait_ms = 0 if self._again else min(max(wait_ms, SHORTEST_WAIT_MS), LONGEST_WAIT_MS)
        self._due_s = max(self._after_ms(wait_ms), self.busy.until_s)
        self._arm()

    def _after_ms(self, wait_ms: int) -> float:
        """Return the instant at which the board's ticks have grown by `wait_ms`."""
        now_s = self.env.now
        if wait_ms == 0:
            return now_s
        local_s = (self.ticks_ms() + wait_ms) / 1000.0
        return self._start_s + self.crystal.true_s(local_s, now_s - self._start_s)

    def _arm(self) -> None:
        # A timer that waits already is not replaced by a later one: it looks again when it fires.
        if self._timer_s <= self._due_s:
            return
        self._timer_s = self._due_s
        event = self.env.timeout(max(0.0, self._due_s - self.env.now), self._due_s)
        event.callbacks.append(self._fired)

    def _fired(self, event: simpy.Event) -> None:
        if event.value != self._timer_s:
            return  # an earlier one took its place
        self._timer_s = math.inf
        if self._firmware is None:
            return
        if self.env.now < self._due_s:
            self._arm()
        else:
            self._wake()

    def _crashed(self, error: Exception) -> None:
        self.crashes += 1
        text = "".join(traceback.format_exception(error))
        self._note("crash", {"error": f"{type(error).__name__}: {error}", "traceback": text})
        self.console.write(b"Guru Meditation Error\r\n" + text.replace("\n", "\r\n").encode())
        self.reset("panic")

    # -- clock -------------------------------------------------------------------------------------
    def ticks_ms(self) -> int:
        """Return the board's milliseconds since its reset."""
        return int(self.crystal.local_s(self.env.now - self._start_s) * 1000.0)

    def tick_s(self, ticks_ms: float) -> float:
        """Return the world's second at which the board counted `ticks_ms` since its reset."""
        local_s = ticks_ms / 1000.0
        return self._start_s + self.crystal.true_s(local_s, local_s)

    def utc_ms(self) -> int:
        """Return the UTC that the firmware set, gone on since; 0 while none is set."""
        return self.ticks_ms() + self._utc_offset_ms if self._utc_offset_ms else 0

    def set_utc_ms(self, ms: int, source: str) -> None:
        """Set the clock."""
        self._utc_offset_ms = ms - self.ticks_ms()

    def drift_clock(self, ppm: float) -> Callable[[], None]:
        """Let its clock run so much faster until that is undone; what it counted too much stays."""
        end = self.crystal.drift(self.env.now - self._start_s, ppm)
        return lambda: end(self.env.now - self._start_s)

    def jump_clock(self, by_s: float) -> None:
        """Let its clock be ahead by so much from now on; behind, where negative."""
        self.crystal.jump(self.env.now - self._start_s, by_s)
        self._wake()  # what waited for an instant that has passed by its clock is due

    # -- news --------------------------------------------------------------------------------------
    def _wifi_changed(self) -> None:
        state = self.station.state
        if state in WIFI_NEWS or state == 0:
            self._note(WIFI_NEWS.get(state, "wifi down"), {})
        self._wake()

    def _ap_changed(self) -> None:
        self._note("access point", {"ssid": self.soft_ap.ssid})

    def _http_bytes(self, to_host: bool, status: int, body: bytes) -> None:
        for listener in self.on_http:
            listener(to_host, status, body)

    def _note(self, name: str, detail: Mapping[str, Any]) -> None:
        for listener in self.on_note:
            listener(name, detail)


def _crystal(setup: BoardSetup, rng: random.Random) -> Crystal:
    error_ppm = rng.uniform(-CRYSTAL_PPM, CRYSTAL_PPM)
    drift_ppm_per_h = rng.uniform(-DRIFT_PPM_PER_H, DRIFT_PPM_PER_H)
    return Crystal(
        error_ppm if setup.crystal_ppm is None else setup.crystal_ppm,
        drift_ppm_per_h if setup.drift_ppm_per_h is None else setup.drift_ppm_per_h,
    )
