"""The engine: air, boost, fuel, spark and the torque that comes of them.

The chain is causal and consistent: torque wanted -> manifold pressure -> air per stroke -> torque,
air flow -> fuel. So MAP, MAF, torque, fuel and load always belong to one operating point.
No function of libm but sqrt (exact by IEEE 754) is used, so results do not depend on the C library.
"""

from __future__ import annotations

from math import sqrt

from sim.vehicle.ambient import AIR_GAS_CONSTANT, ZERO_C_K, Ambient
from sim.vehicle.curve import STEP_RPM, tabulate
from sim.vehicle.spec import EngineSpec

PER_STEP_RPM = 1.0 / STEP_RPM
FOUR_PI = 12.566370614359172
# [assumed] time constants: throttle and manifold filling, boost falling
MANIFOLD_S = 0.09
BOOST_FALL_S = 0.60
MAP_MIN_KPA = 20.0  # [assumed] closed throttle at speed
UNTHROTTLED = 0.96  # [assumed] share of the ambient pressure that reaches the manifold unboosted
OVERBOOST_PEDAL = 0.90  # [assumed] pedal above which overboost is granted
OVERBOOST_REARM_S = 5.0  # [assumed] rest before a spent overboost is granted again
# [assumed] enrichment at full load: from 3,500 rpm on, lambda 0.87 at 5,500
RICH_LAMBDA = 0.13
RICH_RPM = 3500.0
RICH_SPAN_RPM = 2000.0
COLD_LAMBDA = 0.12  # [assumed] lambda 0.88 in the first seconds of a cold engine
RICHEST_LAMBDA = 0.80  # [assumed] a bound on both enrichments together
CUT_LAMBDA = 1.99  # what a wide-band probe reports at most (PID 0x24 ends at 2)
KNOCK_MAP_KPA = 110.0  # [assumed] above it the spark is retarded against knock
HOT_INTAKE_C = 45.0  # [assumed] heat soak costs spark from here on
RESERVE_RPM = 1150.0  # [assumed] below it the idle control keeps a torque reserve
SPARK_LOSS_PER_DEG2 = 0.00035  # [assumed] torque lost per squared degree away from best spark
STANDARD_AIR_KG_M3 = 1.184  # SAE J1979, absolute load
RAIL_IDLE_KPA = 4500.0  # [assumed] direct injection: 45 bar at idle
RAIL_SPAN_KPA = 10_500.0  # [assumed] up to 150 bar
RAIL_S = 0.2  # [assumed]
THROTTLE_SHUT_PCT = 12.0  # [assumed] absolute position, PID 0x11
THROTTLE_SPAN_PCT = 72.0  # [assumed] 84 % wide open
THROTTLE_FULL_GPS = 260.0  # [assumed] choked flow through the open plate


class Engine:
    """Operating point of the engine, advanced by `step`; `torque_nm` is what it gives."""

    __slots__ = (
        "_air_scale",
        "_baro_kpa",
        "_friction",
        "_full_air_kg",
        "_overboost_left_s",
        "_overboost_spent",
        "_per_air",
        "_pumping_nm_kpa",
        "_spec",
        "_spool",
        "_unthrottled_kpa",
        "_ve",
        "absolute_load_pct",
        "boost_ready_kpa",
        "drag_nm",
        "fuel_cut",
        "fuel_gps",
        "full_table",
        "lambda_ratio",
        "load_pct",
        "maf_gps",
        "map_kpa",
        "overboost",
        "rail_kpa",
        "spark_share",
        "throttle_pct",
        "timing_deg",
        "torque_nm",
    )

    def __init__(self, spec: EngineSpec, ambient: Ambient) -> None:
        self._spec = spec
        self._baro_kpa = ambient.pressure_kpa
        self._unthrottled_kpa = UNTHROTTLED * ambient.pressure_kpa
        self.full_table = tabulate(spec.torque_nm)
        # kg of air per cycle = volumetric efficiency x scale x MAP / T
        self._air_scale = 1000.0 * spec.displacement_m3 / AIR_GAS_CONSTANT
        self._ve = tabulate(spec.volumetric_efficiency)
        bar_to_nm = 1.0e5 * spec.displacement_m3 / FOUR_PI
        self._friction = tabulate([(rpm, bar * bar_to_nm) for rpm, bar in spec.friction_bar])
        self._spool = tabulate(spec.spool_s)
        self._per_air = spec.torque_per_air_nm_kg
        self._pumping_nm_kpa = 1000.0 * spec.displacement_m3 / FOUR_PI
        self._full_air_kg = tuple(
            (full_nm + friction_nm + spec.accessories_nm) / spec.torque_per_air_nm_kg
            for full_nm, friction_nm in zip(self.full_table, self._friction, strict=True)
        )
        self._overboost_left_s = spec.overboost_s
        self._overboost_spent = False
        self.boost_ready_kpa = 0.0
        self.drag_nm = 30.0
        self.spark_share = 1.0
        self.stop()

    def stop(self) -> None:
        """Engine at rest: no air flow, manifold at ambient pressure."""
        self.map_kpa = self._baro_kpa
        self.boost_ready_kpa = 0.0
        self.torque_nm = self.fuel_gps = self.maf_gps = 0.0
        self.load_pct = self.absolute_load_pct = 0.0
        self.timing_deg = self.rail_kpa = 0.0
        self.throttle_pct = 16.0  # [assumed] limp-home position of the spring
        self.lambda_ratio = 1.0
        self.overboost = self.fuel_cut = False

    def full_torque_nm(self, rpm: float, pedal: float, limit_nm: float, step_s: float) -> float:
        """Most torque the engine may give now; runs the overboost's clock.

        `pedal` is 0 to 1; `limit_nm` is what the tyres take (no overboost above it). Overboost
        adds torque in its band of rpm while the pedal is down, for at most `overboost_s` in one
        go; it fills again at the same pace with the pedal released.
        """
        place = rpm * PER_STEP_RPM
        index = int(place)
        left = self.full_table[index]
        full_nm = left + (self.full_table[index + 1] - left) * (place - index)
        spec = self._spec
        if pedal >= OVERBOOST_PEDAL:
            low_rpm, high_rpm = spec.overboost_rpm
            granted = full_nm < limit_nm and not self._overboost_spent
            if granted and low_rpm <= rpm <= high_rpm:
                self.overboost = True
                self._overboost_left_s -= step_s
                if self._overboost_left_s < 0.5 * step_s:
                    self._overboost_left_s = 0.0
                    self._overboost_spent = True
                return full_nm * spec.overboost_factor
        elif self._overboost_left_s < spec.overboost_s:
            self._overboost_left_s += step_s
            if self._overboost_left_s >= OVERBOOST_REARM_S:
                self._overboost_spent = False
        self.overboost = False
        return full_nm

    def step(
        self,
        rpm: float,
        wanted_nm: float,
        fuelled: bool,
        intake_c: float,
        friction: float,
        cold: float,
        step_s: float,
    ) -> float:
        """Advance by `step_s` seconds at `rpm`; return the torque in Nm.

        `wanted_nm` is brake torque; `fuelled` False is overrun fuel cut; `friction` multiplies the
        warm friction (cold oil); `cold`, 0 to 1, enriches the mixture.
        """
        spec = self._spec
        place = rpm * PER_STEP_RPM
        index = int(place)
        rest = place - index
        table = self._friction
        left = table[index]
        loss_nm = (left + (table[index + 1] - left) * rest) * friction + spec.accessories_nm
        if self.map_kpa < self._unthrottled_kpa:
            loss_nm += (self._unthrottled_kpa - self.map_kpa) * self._pumping_nm_kpa
        self.drag_nm = loss_nm
        table = self._ve
        left = table[index]
        air_per_kpa = (
            (left + (table[index + 1] - left) * rest) * self._air_scale / (intake_c + ZERO_C_K)
        )
        need_kpa = MAP_MIN_KPA
        if fuelled:
            need_kpa = (wanted_nm + loss_nm) / (self._per_air * self.spark_share * air_per_kpa)
        table = self._spool
        left = table[index]
        map_kpa = self._fill(need_kpa, left + (table[index + 1] - left) * rest, step_s)
        self._time_spark(rpm, map_kpa, intake_c)

        air_kg = map_kpa * air_per_kpa
        maf_gps = self.maf_gps = air_kg * rpm * (1000.0 / 120.0)
        self.absolute_load_pct = air_kg * (100.0 / STANDARD_AIR_KG_M3) / spec.displacement_m3
        load_pct = 100.0 * air_kg / self._full_air_kg[index]
        self.load_pct = load_pct if load_pct < 100.0 else 100.0
        self._set_throttle(maf_gps, map_kpa)
        rail_kpa = RAIL_IDLE_KPA + RAIL_SPAN_KPA * self.load_pct * 0.01
        self.rail_kpa += (rail_kpa - self.rail_kpa) * (step_s / RAIL_S)
        if fuelled:
            lambda_ratio = 1.0 - COLD_LAMBDA * cold
            if load_pct > 80.0 and rpm > RICH_RPM:
                rich = (load_pct - 80.0) * (rpm - RICH_RPM) * (RICH_LAMBDA / (20.0 * RICH_SPAN_RPM))
                lambda_ratio -= rich if rich < RICH_LAMBDA else RICH_LAMBDA
            if lambda_ratio < RICHEST_LAMBDA:
                lambda_ratio = RICHEST_LAMBDA
            self.lambda_ratio = lambda_ratio
            self.fuel_gps = maf_gps / (spec.air_fuel_ratio * lambda_ratio)
            self.fuel_cut = False
            torque_nm = air_kg * self._per_air * self.spark_share - loss_nm
        else:
            self.lambda_ratio = CUT_LAMBDA
            self.fuel_gps = 0.0
            self.fuel_cut = True
            torque_nm = -loss_nm
        self.torque_nm = torque_nm
        return torque_nm

    def _fill(self, need_kpa: float, spool_s: float, step_s: float) -> float:
        """Manifold pressure after one step: what is needed, as far as the turbo has come."""
        top_kpa = self._spec.map_max_kpa
        if need_kpa < MAP_MIN_KPA:
            need_kpa = MAP_MIN_KPA
        elif need_kpa > top_kpa:
            need_kpa = top_kpa
        boost_kpa = self.boost_ready_kpa
        need_boost_kpa = need_kpa - self._unthrottled_kpa
        if need_boost_kpa > boost_kpa:
            boost_kpa += (need_boost_kpa - boost_kpa) * (step_s / spool_s)
        elif boost_kpa > 0.0:
            floor_kpa = need_boost_kpa if need_boost_kpa > 0.0 else 0.0
            boost_kpa += (floor_kpa - boost_kpa) * (step_s / BOOST_FALL_S)
        self.boost_ready_kpa = boost_kpa
        reach_kpa = self._unthrottled_kpa + boost_kpa
        if need_kpa > reach_kpa:
            need_kpa = reach_kpa
        map_kpa = self.map_kpa
        map_kpa += (need_kpa - map_kpa) * (step_s / MANIFOLD_S)
        self.map_kpa = map_kpa
        return map_kpa

    def _time_spark(self, rpm: float, map_kpa: float, intake_c: float) -> None:
        """Best timing less the retard against knock and heat and for the idle control's reserve.

        Torque falls with the square of the retard (Heywood, 15.3.2).
        """
        retard_deg = 0.0
        if map_kpa > KNOCK_MAP_KPA:
            retard_deg = (map_kpa - KNOCK_MAP_KPA) * 0.05
            if intake_c > HOT_INTAKE_C:
                retard_deg += (intake_c - HOT_INTAKE_C) * 0.15
        if rpm < RESERVE_RPM:
            retard_deg += (RESERVE_RPM - rpm) * 0.035
        self.timing_deg = 23.0 + 0.003 * rpm - 0.06 * map_kpa - retard_deg
        self.spark_share = 1.0 - SPARK_LOSS_PER_DEG2 * retard_deg * retard_deg

    def _set_throttle(self, maf_gps: float, map_kpa: float) -> None:
        """Plate position from the orifice equation: flow over what the pressure ratio allows."""
        ratio = map_kpa / (self._baro_kpa + self.boost_ready_kpa)
        flow = 1.0
        if ratio > 0.53:  # below the critical ratio the flow is choked
            beyond = (ratio - 0.53) * (1.0 / 0.47)
            flow = 1.0 - beyond * beyond
            flow = sqrt(flow) if flow > 0.04 else 0.2
        opened = sqrt(maf_gps / (THROTTLE_FULL_GPS * flow))
        if opened > 1.0:
            opened = 1.0
        self.throttle_pct = THROTTLE_SHUT_PCT + THROTTLE_SPAN_PCT * opened
