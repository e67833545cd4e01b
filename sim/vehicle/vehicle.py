"""The car in motion: driver, engine, clutch, gearbox and road on a fixed grid of time.

Covers: longitudinal dynamics with grade; launch by clutch slip, limited by the grip of the driven
wheels; timed gear shifts; idle; start and stop of the engine.
The grid is `STEP_S`, advanced lazily by `Vehicle.at`, which interpolates between two grid instants.
So the answer depends on the asked instant alone, never on who asked before. Speed, distance, slope
and fuel are rounded to a binary grid on every step, and the model uses no libm function but sqrt:
the same seed gives the same bits on any machine with IEEE 754 doubles.

Not modelled: wheel spin (the drive force is cut at the limit of grip, as a perfect traction control
would), steering, wind. The clutch is kinematic: while it slips, the engine's speed follows the
driver's wish and the clutch passes on what the engine gives beyond its own acceleration.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from math import sqrt

from sim.vehicle.ambient import Ambient
from sim.vehicle.curve import read
from sim.vehicle.drive import Drive
from sim.vehicle.driver import Driver
from sim.vehicle.electrics import Electrics
from sim.vehicle.engine import Engine
from sim.vehicle.spec import VehicleSpec
from sim.vehicle.state import VehicleState
from sim.vehicle.thermal import Thermal

STEP_S = 0.05
STEPS_PER_S = 20
SLOW_STEPS = 10  # temperatures, battery and trims advance every so many grid steps
SLOW_S = STEP_S * SLOW_STEPS
KEPT_STEPS = 400  # 20 s that may be asked for again
FAR_S = 1.0e7  # a bound on time: four months, within which the binary grid holds
GRAVITY_MPS2 = 9.80665
RPM_PER_RADPS = 9.549296585513721
RADPS_PER_RPM = 1.0 / RPM_PER_RADPS
WARM_COOLANT_C = 90.0
WARM_RUN_S = 60.0  # how long a warm engine has been running at t = 0
# Adding and subtracting this rounds a double to a multiple of 2**-30 (1e-9), exactly and cheaply.
ROUNDER = 1.5 * 2.0**22

# The driver's control law, all [assumed]
GAIN_PER_S = 1.3
INTEGRAL_PER_S2 = 0.25
INTEGRAL_MPS2 = 0.8
PEDAL_STEP = 0.3  # the foot moves at most so much of the pedal's way in one step (6 per second)
BRAKE_STEP = 1.0 / 3.0  # share of the way to the wanted brake force in one step
BRAKE_GRIP = 0.95  # of the weight, engine brake included; anti-lock brakes on dry asphalt
CLOSED_RPM = 30.0  # the clutch grabs when both sides are so close
LAUNCH_RPM = 1150.0
LAUNCH_HARD_RPM = 2900.0
DECLUTCH_RPM = 1050.0
CUT_ABOVE_RPM = 1400.0
CUT_BELOW_RPM = 1150.0
CUT_AFTER_STEPS = 6  # overrun fuel cut waits 0.3 s
REST_MPS = 0.05
SETTLED_STEPS = 12  # between two everyday shifts: 0.6 s
STRAINED_STEPS = 10  # a shift down for lack of power waits 0.5 s
PUSHED_RPM = 2600.0
UP_RPM = 1700.0  # an everyday shift up comes here, later with more pedal
UP_PEDAL_RPM = 3300.0
CLUTCH_RPM = 1300.0  # a hard launch lets the clutch in from here on, while the engine still rises
CRANK_S = 0.7
CRANK_RPM = 220.0

STOPPED, CRANKING, OPEN, SLIPPING, SHIFTING, CLOSED = range(6)


class Vehicle:
    """A car that goes through a drive.

    Args:
        spec: the car's constants.
        drive: the phases; the car starts at rest at t = 0, with the engine idling unless the first
            phase is `KeyOff`.
        rng: stream for idle hunting, trims and voltage noise.
        ambient: air temperature and pressure.
        coolant_c: start temperature of engine and oil; None is a warm engine.
        grade: slope as a ratio at a distance in metres; None is level.
    """

    def __init__(
        self,
        spec: VehicleSpec,
        drive: Drive,
        rng: random.Random,
        ambient: Ambient | None = None,
        coolant_c: float | None = None,
        grade: Callable[[float], float] | None = None,
    ) -> None:
        self.spec = spec
        self.drive = drive
        self.ambient = ambient if ambient is not None else Ambient()
        self._rng = rng
        self._grade_of = grade
        self._prepare(spec)
        self._driver = Driver(drive, STEP_S)
        self._engine = Engine(spec.engine, self.ambient)
        self._thermal = Thermal(
            self.ambient, WARM_COOLANT_C if coolant_c is None else float(coolant_c)
        )
        running = self._driver.key
        self._electrics = Electrics(rng, self.ambient.temperature_c, running)
        self._mode = OPEN if running else STOPPED
        self._rpm = spec.engine.idle_rpm if running else 0.0
        self._speed_mps = self._distance_m = self._accel_mps2 = 0.0
        self._gear = 0
        self._pedal = self._brake_n = self._integral = 0.0
        self._left_s = 0.0  # of a shift or of cranking
        self._since_shift = 0  # grid steps
        self._short = 0  # grid steps for which the gear has been too high
        self._coasting = 0  # grid steps in overrun
        self._fuelled = True
        self._run_time_s = 0.0
        self._fuel_g = 0.0
        self._wobble_rpm = 0.0
        self._st_trim = 0.0
        self._lt_trim = round(rng.uniform(-3.0, 4.0), 3)
        self._fuel_start_pct = 70.0
        self._idle_rpm = spec.engine.idle_rpm
        self._friction = self._cold = 0.0
        self._closed_loop = False
        self._grade = 0.0
        self._need_n = 0.0  # resistance of the road
        self._step_index = 0
        self._settle()
        if running:
            self._warm_up(coolant_c is None)
        self._grid: deque[tuple[float, ...]] = deque(maxlen=KEPT_STEPS)
        self._grid.append(self._snapshot(0.0))

    def _warm_up(self, warm: bool) -> None:
        """Let the engine find its idle before t = 0; a warm one has run for a while."""
        if warm:
            self._run_time_s = WARM_RUN_S
            self._settle()
        for _ in range(60):
            self._coast(0.0, 0.0)

    def _prepare(self, spec: VehicleSpec) -> None:
        """Precompute what the hot path needs per gear; index 0 is the open driveline."""
        radius_m = spec.tyre_circumference_m / 6.283185307179586
        efficiency = spec.driveline_efficiency
        ratios = (0.0, *spec.gear_ratios)
        rolling_kg = spec.mass_kg + spec.wheel_inertia_kgm2 / (radius_m * radius_m)
        self._rpm_per_mps = tuple(ratio * 60.0 / spec.tyre_circumference_m for ratio in ratios)
        self._pull_n_nm = tuple(ratio * efficiency / radius_m for ratio in ratios)
        self._drag_n_nm = tuple(ratio / (efficiency * radius_m) for ratio in ratios)
        self._inertia_kg = tuple(
            rolling_kg + spec.engine.inertia_kgm2 * ratio * ratio / (radius_m * radius_m)
            for ratio in ratios
        )
        self._weight_n = spec.mass_kg * GRAVITY_MPS2
        self._rolling_n = self._weight_n * spec.rolling_ratio
        self._aero = 0.5 * self.ambient.density_kg_m3 * spec.drag_area_m2
        # Weight shifts to the rear under acceleration, so front grip solves to a closed form.
        self._grip_n = (
            spec.tyre_grip
            * self._weight_n
            * spec.front_weight_share
            / (1.0 + spec.tyre_grip * spec.cg_height_m / spec.wheelbase_m)
        )
        # The engine's own inertia takes its share before the tyre sees the force.
        self._grip_of = tuple(self._grip_n * kg / self._inertia_kg[0] for kg in self._inertia_kg)
        self._gears = len(spec.gear_ratios)

    # -- reading ---------------------------------------------------------------------------------
    def at(self, t_s: float) -> VehicleState:
        """Return the car at `t_s` virtual seconds since the drive began.

        Instants may go back by up to 19 s; further back, or before 0, raises ValueError.
        """
        if not 0.0 <= t_s < FAR_S:
            raise ValueError(f"vehicle: expected an instant from 0 s on, got {t_s} s")
        place = t_s * STEPS_PER_S
        index = int(place)
        while self._step_index <= index:
            self._advance()
        grid = self._grid
        offset = index - self._step_index - 1
        if -offset > len(grid):
            raise ValueError(
                f"vehicle: expected an instant from {self._oldest_s():.2f} s on, got {t_s} s; "
                f"only the last {KEPT_STEPS * STEP_S:g} s are kept"
            )
        left = grid[offset]
        right = grid[offset + 1]
        share = place - index
        return _between(left, right, share, t_s)

    def _oldest_s(self) -> float:
        return max(0.0, (self._step_index - len(self._grid) + 1) * STEP_S)

    # -- one grid step ---------------------------------------------------------------------------
    def _advance(self) -> None:
        speed = self._speed_mps
        driver = self._driver
        driver.look(self._step_index * STEP_S, speed)
        if self._step_index % SLOW_STEPS == 0:
            self._settle()
        resist_n = self._resistance(speed)
        mode = self._mode
        gear = self._gear
        mass_kg = self._inertia_kg[gear if mode == CLOSED else 0]
        error = driver.speed_mps - speed
        wish = driver.accel_mps2 + GAIN_PER_S * error + self._integral
        want_n = mass_kg * wish + resist_n
        if mode == CLOSED:
            self._need_n = resist_n
            force_n = self._pull(want_n, speed)
        elif mode == SLIPPING:
            force_n = self._slip(want_n, speed)
        elif mode == SHIFTING:
            force_n = self._shift(speed)
        elif mode == OPEN:
            force_n = self._coast(want_n, speed)
        else:
            force_n = self._rest()
        self._move(speed, force_n, resist_n, want_n, mass_kg, error)
        self._step_index += 1
        self._grid.append(self._snapshot(self._step_index * STEP_S))

    def _resistance(self, speed: float) -> float:
        """Force of air, tyres and slope against the motion, in N."""
        spec = self.spec
        square = speed * speed
        resist_n = self._aero * square
        if speed > 0.0:
            resist_n += self._rolling_n * (1.0 + spec.rolling_rise_s2_m2 * square)
        if self._grade_of is not None:
            grade = self._grade = (self._grade_of(self._distance_m) + ROUNDER) - ROUNDER
            resist_n += self._weight_n * grade / sqrt(1.0 + grade * grade)
        return resist_n

    def _move(
        self,
        speed: float,
        force_n: float,
        resist_n: float,
        want_n: float,
        mass_kg: float,
        error: float,
    ) -> None:
        """Apply brakes, integrate speed and distance, and lock the clutch where both sides meet."""
        driver = self._driver
        brake_n = 0.0
        if self._pedal <= 0.0 and driver.pedal <= 0.0 and want_n < force_n:
            brake_n = force_n - want_n
            most_n = BRAKE_GRIP * self._weight_n + (force_n if force_n < 0.0 else 0.0)
            if brake_n > most_n:
                brake_n = most_n
        holding = speed < 0.3 and driver.speed_mps < REST_MPS and driver.ahead_mps < REST_MPS
        if holding and driver.pedal <= 0.0:
            brake_n = max(brake_n, 0.12 * self._weight_n)
        self._brake_n += (brake_n - self._brake_n) * BRAKE_STEP
        if self._brake_n < 1.0 or self._pedal > 0.0:  # one foot for both pedals
            self._brake_n = 0.0
        if self._mode == CLOSED and -1.5 < error < 1.5 and driver.pedal <= 0.0:
            integral = self._integral + INTEGRAL_PER_S2 * error * STEP_S
            if -INTEGRAL_MPS2 < integral < INTEGRAL_MPS2:
                self._integral = integral
        accel = (force_n - resist_n - self._brake_n) / mass_kg
        after = speed + accel * STEP_S
        if after <= 0.0 or (holding and after < REST_MPS):
            after = 0.0
            self._integral = 0.0
        after = (after + ROUNDER) - ROUNDER
        self._accel_mps2 = (after - speed) * STEPS_PER_S
        distance_m = self._distance_m + 0.5 * (speed + after) * STEP_S
        self._distance_m = (distance_m + ROUNDER) - ROUNDER
        self._speed_mps = after
        self._since_shift += 1
        self._fuel_g = (self._fuel_g + self._engine.fuel_gps * STEP_S + ROUNDER) - ROUNDER
        mode = self._mode
        if mode == CLOSED:
            self._rpm = after * self._rpm_per_mps[self._gear]
            if self._rpm < DECLUTCH_RPM:
                self._release(want_n)
        elif mode == SLIPPING:
            wheel_rpm = after * self._rpm_per_mps[1]
            if wheel_rpm >= self._rpm - CLOSED_RPM and wheel_rpm > 850.0:
                self._rpm = wheel_rpm
                self._mode = CLOSED
                self._since_shift = 0
        elif mode == SHIFTING and self._left_s <= 0.0:
            self._rpm = after * self._rpm_per_mps[self._gear]
            self._mode = CLOSED
            self._since_shift = 0
        if mode > CRANKING:
            self._run_time_s += STEP_S

    def _release(self, want_n: float) -> None:
        """Press the clutch before the engine stalls; in first gear under power, let it slip."""
        if self._gear == 1 and want_n > 0.0:
            self._mode = SLIPPING
        else:
            self._mode = OPEN
            self._gear = 0
        self._integral = 0.0

    # -- driveline: each returns the force at the wheels in N ------------------------------------
    def _pull(self, want_n: float, speed: float) -> float:
        """Clutch closed: pedal, engine, force at the wheels."""
        engine = self._engine
        driver = self._driver
        gear = self._gear
        rpm = self._rpm
        grip_n = self._grip_of[gear]
        limit_nm = grip_n / self._pull_n_nm[gear]
        full_nm = engine.full_torque_nm(rpm, self._pedal, limit_nm, STEP_S)
        drag_nm = engine.drag_nm
        if driver.pedal > 0.0:
            target = driver.pedal
        else:
            scale = self._pull_n_nm[gear] if want_n > 0.0 else self._drag_n_nm[gear]
            target = (want_n / scale + drag_nm) / (full_nm + drag_nm)
        pedal = self._press(target)
        wanted_nm = pedal * (full_nm + drag_nm) - drag_nm
        if wanted_nm > limit_nm:
            wanted_nm = limit_nm
        elif rpm < self._idle_rpm + 100.0 and wanted_nm < 0.0:
            wanted_nm = (self._idle_rpm + 100.0 - rpm) * 0.3  # the idle control does not let it die
        torque_nm = engine.step(
            rpm,
            wanted_nm,
            self._feed(pedal, rpm),
            self._thermal.intake_c,
            self._friction,
            self._cold,
            STEP_S,
        )
        self._choose_gear(speed, rpm, full_nm)
        if torque_nm > 0.0:
            force_n = torque_nm * self._pull_n_nm[gear]
            return force_n if force_n < grip_n else grip_n
        return torque_nm * self._drag_n_nm[gear]

    def _press(self, target: float) -> float:
        """Move the pedal (0 to 1) towards `target` at the foot's pace."""
        pedal = self._pedal
        if target > pedal + PEDAL_STEP:
            pedal += PEDAL_STEP
        elif target < pedal - PEDAL_STEP:
            pedal -= PEDAL_STEP
        else:
            pedal = target
        pedal = 0.0 if pedal < 0.0 else 1.0 if pedal > 1.0 else pedal
        self._pedal = pedal
        return pedal

    def _feed(self, pedal: float, rpm: float) -> bool:
        """Whether fuel is injected: not in overrun, and not at the limiter."""
        if pedal > 0.005:
            self._coasting = 0
            self._fuelled = rpm < self.spec.engine.cut_rpm
        elif rpm < CUT_BELOW_RPM:
            self._fuelled = True
            self._coasting = 0
        else:
            self._coasting += 1
            if self._coasting > CUT_AFTER_STEPS and rpm > CUT_ABOVE_RPM:
                self._fuelled = False
        return self._fuelled

    def _slip(self, want_n: float, speed: float) -> float:
        """Launch in first gear: the clutch passes on what the engine gives beyond its own needs."""
        driver = self._driver
        engine = self._engine
        self._gear = 1
        pull = self._pull_n_nm[1]
        rpm = self._rpm
        limit_nm = self._grip_n / pull
        full_nm = engine.full_torque_nm(rpm, self._pedal, limit_nm, STEP_S)
        if driver.pedal > 0.0:
            want_nm = limit_nm * driver.pedal
            target_rpm = LAUNCH_RPM + (LAUNCH_HARD_RPM - LAUNCH_RPM) * driver.pedal
        else:
            if want_n < 0.0:
                self._release(want_n)
            want_nm = want_n / pull
            want_nm = 0.0 if want_nm < 0.0 else limit_nm if want_nm > limit_nm else want_nm
            target_rpm = LAUNCH_RPM + 6.0 * want_nm
        # rpm per second that the driver allows the engine to gain
        rise = (target_rpm - rpm) * 4.0
        rise = 9000.0 if rise > 9000.0 else -5000.0 if rise < -5000.0 else rise
        inertia = self.spec.engine.inertia_kgm2 * RADPS_PER_RPM
        if driver.pedal > 0.0 and rpm > CLUTCH_RPM and inertia * rise > 0.4 * engine.torque_nm:
            rise = 0.4 * engine.torque_nm / inertia
        wanted_nm = want_nm + inertia * rise
        drag_nm = engine.drag_nm
        target = (wanted_nm + drag_nm) / (full_nm + drag_nm)
        pedal = self._press(driver.pedal if driver.pedal > 0.0 else target)
        granted_nm = pedal * (full_nm + drag_nm) - drag_nm
        torque_nm = self._burn(rpm, wanted_nm if wanted_nm < granted_nm else granted_nm, True)
        clutch_nm = torque_nm - inertia * rise
        if clutch_nm < 0.0:
            rise = torque_nm / inertia
            clutch_nm = 0.0
        elif clutch_nm > want_nm:  # the foot on the clutch lets no more through
            clutch_nm = want_nm
        rpm += rise * STEP_S
        self._rpm = rpm if rpm > 600.0 else 600.0
        return clutch_nm * pull

    def _shift(self, speed: float) -> float:
        """Clutch pressed between two gears: the engine's speed goes to that of the new gear."""
        self._left_s -= STEP_S
        rpm = self._rpm
        target_rpm = speed * self._rpm_per_mps[self._gear]
        left = self._left_s + STEP_S
        gain = (target_rpm - rpm) * (STEP_S / left if left > STEP_S else 1.0)
        self._rpm = rpm + gain
        if self._driver.pedal <= 0.0:
            self._press(0.0)
        wanted_nm = self.spec.engine.inertia_kgm2 * RADPS_PER_RPM * gain * STEPS_PER_S
        self._burn(rpm, wanted_nm, True)
        return 0.0

    def _coast(self, want_n: float, speed: float) -> float:
        """Clutch pressed or neutral: idle; engage when the driver wants to go."""
        driver = self._driver
        rpm = self._rpm
        self._press(0.0)
        gain = (self._idle_rpm + self._wobble_rpm - rpm) * 0.15
        gain = 60.0 if gain > 60.0 else -125.0 if gain < -125.0 else gain
        self._rpm = rpm + gain
        wanted_nm = self.spec.engine.inertia_kgm2 * RADPS_PER_RPM * gain * STEPS_PER_S
        self._burn(rpm, wanted_nm, True)
        if not driver.key:
            if speed <= 0.0:
                self._switch_off()
        elif driver.pedal > 0.0 or (want_n > 0.0 and driver.ahead_mps > max(speed, 0.15)):
            self._engage(speed)
        return 0.0

    def _engage(self, speed: float) -> None:
        """Pick the gear to go on with: slip in first, or match the revs in a higher one."""
        gear = self._gears
        while gear > 1 and speed * self._rpm_per_mps[gear] < 1500.0:
            gear -= 1
        if gear > 1 or speed * self._rpm_per_mps[1] > LAUNCH_RPM:
            self._begin_shift(gear, self.spec.shift_full_s)
        else:
            self._gear = 1
            self._mode = SLIPPING

    def _burn(self, rpm: float, wanted_nm: float, fuelled: bool) -> float:
        return self._engine.step(
            rpm,
            wanted_nm,
            fuelled,
            self._thermal.intake_c,
            self._friction,
            self._cold,
            STEP_S,
        )

    def _choose_gear(self, speed: float, rpm: float, full_nm: float) -> None:
        """Shift up or down, by rpm and by how much of the engine the road ahead takes."""
        driver = self._driver
        gear = self._gear
        if driver.pedal > 0.0:
            self._choose_gear_pushed(speed, rpm, driver.pedal)
            return
        spec = self.spec
        if gear < self._gears and rpm >= spec.shift_rpm:
            self._begin_shift(gear + 1, spec.shift_full_s)
            return
        if self._since_shift < SETTLED_STEPS:
            return
        # The wish without the feedback: a lag left by the last shift is no reason for the next.
        need_n = self._inertia_kg[gear] * driver.accel_mps2 + self._need_n
        if need_n <= 0.0:
            return
        per_mps = self._rpm_per_mps
        if gear < self._gears:
            next_rpm = speed * per_mps[gear + 1]
            if next_rpm > 1350.0:
                share = need_n / self._pull_n_nm[gear + 1]
                share /= read(self._engine.full_table, next_rpm)
                pulling = rpm > UP_RPM + UP_PEDAL_RPM * self._pedal and share < 0.65
                if pulling or (share < 0.5 and -0.05 < driver.accel_mps2 < 0.05):
                    self._begin_shift(gear + 1, self._easy_s())
                    return
        if gear > 1:
            strained = need_n > 0.92 * full_nm * self._pull_n_nm[gear] or self._pedal > 0.97
            self._short = self._short + 1 if strained else 0
            lagging = self._short > STRAINED_STEPS and speed * per_mps[gear - 1] < 5200.0
            if rpm < 1250.0 or lagging:
                self._begin_shift(gear - 1, self._easy_s())

    def _choose_gear_pushed(self, speed: float, rpm: float, pushed: float) -> None:
        """Open-loop pedal: rev out each gear as far as the pedal asks, kick down at the start."""
        gear = self._gear
        spec = self.spec
        up_rpm = PUSHED_RPM + (spec.shift_rpm - PUSHED_RPM) * pushed
        if rpm >= up_rpm:
            if gear < self._gears:
                self._begin_shift(gear + 1, spec.shift_full_s)
        elif gear > 1 and self._since_shift >= SETTLED_STEPS and rpm < 0.45 * up_rpm:
            per_mps = self._rpm_per_mps
            lower = gear - 1
            while lower > 1 and speed * per_mps[lower - 1] < 0.8 * up_rpm:
                lower -= 1
            if speed * per_mps[lower] < 0.9 * up_rpm:
                self._begin_shift(lower, spec.shift_full_s)

    def _easy_s(self) -> float:
        """A shift takes an unhurried time at low pedal and less with more pedal."""
        spec = self.spec
        return spec.shift_easy_s + (spec.shift_full_s - spec.shift_easy_s) * self._pedal

    def _begin_shift(self, gear: int, duration_s: float) -> None:
        self._gear = gear
        self._mode = SHIFTING
        self._left_s = duration_s
        self._coasting = self._short = 0

    # -- engine off and on -----------------------------------------------------------------------
    def _switch_off(self) -> None:
        self._mode = STOPPED
        self._gear = 0
        self._engine.stop()
        self._run_time_s = 0.0

    def _rest(self) -> float:
        """Engine off or cranking."""
        self._pedal = 0.0
        if self._mode == CRANKING:
            self._left_s -= STEP_S
            self._rpm += (CRANK_RPM - self._rpm) * 0.4
            if self._left_s <= 0.0:
                self._mode = OPEN
                self._run_time_s = 0.0
                self._settle()
                self._rpm = 600.0
        elif self._driver.key:
            self._mode = CRANKING
            self._left_s = CRANK_S
            self._electrics.crank()
        else:
            self._rpm = self._rpm - 100.0 if self._rpm > 100.0 else 0.0
        return 0.0

    # -- slow quantities -------------------------------------------------------------------------
    def _settle(self) -> None:
        """Advance temperatures, battery, idle target and trims by `SLOW_S`."""
        engine = self._engine
        spec = self.spec.engine
        thermal = self._thermal
        running = self._mode > CRANKING
        load = 0.0
        if engine.torque_nm > 0.0:
            load = min(1.0, engine.torque_nm * self._rpm / 1.9e6)  # of 184 kW, in Nm x rpm
        thermal.step(
            SLOW_S,
            fuel_w=0.001 * engine.fuel_gps * spec.fuel_lhv_j_kg,
            speed_mps=self._speed_mps,
            maf_gps=engine.maf_gps,
            pressure_ratio=1.0 + engine.boost_ready_kpa / self.ambient.pressure_kpa,
            load=load,
        )
        if self._mode != CRANKING:
            self._electrics.step(SLOW_S, running=running, overrun=engine.fuel_cut, load=load)
        chill = (WARM_COOLANT_C - thermal.coolant_c) / 70.0  # 0 warm, 1 at 20 degrees C
        chill = 0.0 if chill < 0.0 else 1.6 if chill > 1.6 else chill
        oil = (WARM_COOLANT_C - thermal.oil_c) / 70.0
        self._friction = 1.0 + (0.6 * oil * (1.0 + oil) if oil > 0.0 else 0.0)
        settled = self._run_time_s * 0.1
        self._cold = chill * (1.0 - settled if settled < 1.0 else 0.0)
        flare = self._run_time_s
        self._idle_rpm = spec.idle_rpm + 380.0 * chill
        if flare < 3.0:
            self._idle_rpm += 110.0 * (3.0 - flare)
        self._hunt(running, chill)

    def _hunt(self, running: bool, chill: float) -> None:
        """Idle hunting and fuel trims: small first-order noise, drawn at a fixed pace."""
        draw = self._rng.random() - 0.5
        self._wobble_rpm = 0.6 * self._wobble_rpm + 22.0 * draw
        self._closed_loop = (
            running
            and self._fuelled
            and self._run_time_s + 60.0 * (1.0 - chill) > 30.0
            and self._engine.lambda_ratio > 0.985
        )
        if self._closed_loop:
            self._st_trim = 0.7 * self._st_trim + 2.4 * (self._rng.random() - 0.5)
        else:
            self._st_trim = 0.0

    def _snapshot(self, t_s: float) -> tuple[float, ...]:
        """The grid instant as a plain tuple, in the order of `VehicleState`."""
        engine = self._engine
        thermal = self._thermal
        mode = self._mode
        baro_kpa = self.ambient.pressure_kpa
        spec = self.spec
        fuel_l = self._fuel_g * 0.001 / spec.engine.fuel_density_kg_l
        return (
            t_s,
            self._speed_mps,
            self._accel_mps2,
            self._distance_m,
            self._rpm,
            self._gear,
            mode == CLOSED,
            self._pedal * 100.0,
            engine.throttle_pct,
            self._brake_n / self._weight_n * 100.0,
            mode > CRANKING,
            engine.torque_nm,
            engine.load_pct,
            engine.absolute_load_pct,
            engine.map_kpa,
            baro_kpa,
            engine.map_kpa - baro_kpa,
            engine.maf_gps,
            engine.lambda_ratio,
            engine.fuel_gps * 3.6 / spec.engine.fuel_density_kg_l,
            fuel_l,
            self._fuel_start_pct - 100.0 * fuel_l / spec.tank_l,
            thermal.coolant_c,
            thermal.oil_c,
            thermal.intake_c,
            self.ambient.temperature_c,
            self._electrics.battery_v,
            engine.timing_deg,
            engine.rail_kpa,
            self._run_time_s,
            engine.overboost,
            self._st_trim,
            self._lt_trim,
            self._grade,
            engine.fuel_cut,
            self._closed_loop,
        )


def _between(
    left: tuple[float, ...], right: tuple[float, ...], share: float, t_s: float
) -> VehicleState:
    """Interpolate two grid instants; what is counted or switched keeps the left one's value."""
    state = VehicleState(*left)  # type: ignore[arg-type]
    state.t_s = t_s
    if share <= 0.0:
        return state
    speed = left[1]
    gain = right[1] - speed
    state.speed_mps = speed + gain * share
    # The integral of the interpolated speed: position and speed agree at every instant.
    state.distance_m = left[3] + (speed + 0.5 * gain * share) * share * STEP_S
    state.accel_mps2 += (right[2] - state.accel_mps2) * share
    state.rpm += (right[4] - state.rpm) * share
    state.clutch_closed = bool(left[6] and right[6] and left[5] == right[5])
    state.pedal_pct += (right[7] - state.pedal_pct) * share
    state.throttle_pct += (right[8] - state.throttle_pct) * share
    state.brake_pct += (right[9] - state.brake_pct) * share
    state.torque_nm += (right[11] - state.torque_nm) * share
    state.load_pct += (right[12] - state.load_pct) * share
    state.absolute_load_pct += (right[13] - state.absolute_load_pct) * share
    state.map_kpa += (right[14] - state.map_kpa) * share
    state.boost_kpa += (right[16] - state.boost_kpa) * share
    state.maf_gps += (right[17] - state.maf_gps) * share
    state.fuel_rate_lph += (right[19] - state.fuel_rate_lph) * share
    state.fuel_used_l += (right[20] - state.fuel_used_l) * share
    state.timing_deg += (right[27] - state.timing_deg) * share
    state.rail_kpa += (right[28] - state.rail_kpa) * share
    state.run_time_s += (right[29] - state.run_time_s) * share
    return state
