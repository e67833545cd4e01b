"""The signal catalogue: what a number in a reading means.

Names are those of python-OBD's commands, because people know them. Paths are COVESA VSS 6.0
where VSS has the signal in the unit and resolution that OBD delivers; else the OBD overlay
(`Vehicle.OBD.*`, the branch that VSS removed in 6.0). Barometric pressure stays in the overlay:
the standard path is in hPa, OBD delivers kPa. Resolutions and ranges: SAE J1979 as python-OBD
decodes it, so that a stored value is a whole number of steps.

Ids are stable and stored: OBD mode 01 signals have the number of their PID, GPS signals
1001 and up, derived signals 2001 and up, those of edge loggers 3001 and up, those of Meshtastic
radios 4001 and up. An id is never reused for another meaning.

Signals that a configuration brings (a CAN database file) have ids from 0x10000000 on; `register`
adds them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec

from server.errors import CatalogueError


class Signal(msgspec.Struct, frozen=True):
    """One signal.

    Attributes:
        id: stable number.
        name: short name, unique.
        path: VSS path, or overlay path, unique.
        unit: unit of values, as text.
        resolution: smallest step of the source, in `unit`; the raw scaling of the column.
        minimum: smallest value that the source can express.
        maximum: largest value that the source can express.
        source: "obd:010C" (mode and PID), "gps", "derived", "edge", "mesh", or "can:EngineData"
            (the message).
        time_step_ns: to which instants are kept in the long run; 1000 for a signal whose
            microseconds count.
    """

    id: int
    name: str
    path: str
    unit: str
    resolution: float
    minimum: float
    maximum: float
    source: str
    time_step_ns: int = 1_000_000


_PERCENT = 100 / 255
_TRIM = 100 / 128
_ENGINE = "Vehicle.Powertrain.CombustionEngine."
_OVERLAY = "Vehicle.OBD."

# name, PID, path, unit, resolution, minimum, maximum
_OBD: tuple[tuple[str, int, str, str, float, float, float], ...] = (
    ("ENGINE_LOAD", 0x04, _OVERLAY + "EngineLoad", "%", _PERCENT, 0, 100),
    ("COOLANT_TEMP", 0x05, _ENGINE + "EngineCoolant.Temperature", "°C", 1, -40, 215),
    ("SHORT_FUEL_TRIM_1", 0x06, _OVERLAY + "ShortTermFuelTrim1", "%", _TRIM, -100, 99.21875),
    ("LONG_FUEL_TRIM_1", 0x07, _OVERLAY + "LongTermFuelTrim1", "%", _TRIM, -100, 99.21875),
    ("SHORT_FUEL_TRIM_2", 0x08, _OVERLAY + "ShortTermFuelTrim2", "%", _TRIM, -100, 99.21875),
    ("LONG_FUEL_TRIM_2", 0x09, _OVERLAY + "LongTermFuelTrim2", "%", _TRIM, -100, 99.21875),
    ("FUEL_PRESSURE", 0x0A, _OVERLAY + "FuelPressure", "kPa", 3, 0, 765),
    ("INTAKE_PRESSURE", 0x0B, _ENGINE + "MAP", "kPa", 1, 0, 255),
    ("RPM", 0x0C, _ENGINE + "Speed", "rpm", 0.25, 0, 16383.75),
    ("SPEED", 0x0D, "Vehicle.Speed", "km/h", 1, 0, 255),
    ("TIMING_ADVANCE", 0x0E, _OVERLAY + "TimingAdvance", "°", 0.5, -64, 63.5),
    ("INTAKE_TEMP", 0x0F, _OVERLAY + "IntakeTemp", "°C", 1, -40, 215),
    ("MAF", 0x10, _ENGINE + "MAF", "g/s", 0.01, 0, 655.35),
    ("THROTTLE_POS", 0x11, _ENGINE + "TPS", "%", _PERCENT, 0, 100),
    ("RUN_TIME", 0x1F, _OVERLAY + "RunTime", "s", 1, 0, 65535),
    ("DISTANCE_W_MIL", 0x21, _OVERLAY + "DistanceWithMIL", "km", 1, 0, 65535),
    ("FUEL_RAIL_PRESSURE_VAC", 0x22, _OVERLAY + "FuelRailPressureVac", "kPa", 0.079, 0, 5177.265),
    ("FUEL_RAIL_PRESSURE_DIRECT", 0x23, _OVERLAY + "FuelRailPressureDirect", "kPa", 10, 0, 655350),
    ("COMMANDED_EGR", 0x2C, _OVERLAY + "CommandedEGR", "%", _PERCENT, 0, 100),
    ("EGR_ERROR", 0x2D, _OVERLAY + "EGRError", "%", _TRIM, -100, 99.21875),
    ("EVAPORATIVE_PURGE", 0x2E, _OVERLAY + "CommandedEVAP", "%", _PERCENT, 0, 100),
    ("FUEL_LEVEL", 0x2F, "Vehicle.Powertrain.FuelSystem.RelativeLevel", "%", _PERCENT, 0, 100),
    ("WARMUPS_SINCE_DTC_CLEAR", 0x30, _OVERLAY + "WarmupsSinceDTCClear", "", 1, 0, 255),
    ("DISTANCE_SINCE_DTC_CLEAR", 0x31, _OVERLAY + "DistanceSinceDTCClear", "km", 1, 0, 65535),
    ("EVAP_VAPOR_PRESSURE", 0x32, _OVERLAY + "EVAPVaporPressure", "Pa", 0.25, -8192, 8191.75),
    ("BAROMETRIC_PRESSURE", 0x33, _OVERLAY + "BarometricPressure", "kPa", 1, 0, 255),
    ("CATALYST_TEMP_B1S1", 0x3C, _OVERLAY + "Catalyst.Bank1.Temperature1", "°C", 0.1, -40, 6513.5),
    ("CATALYST_TEMP_B2S1", 0x3D, _OVERLAY + "Catalyst.Bank2.Temperature1", "°C", 0.1, -40, 6513.5),
    ("CATALYST_TEMP_B1S2", 0x3E, _OVERLAY + "Catalyst.Bank1.Temperature2", "°C", 0.1, -40, 6513.5),
    ("CATALYST_TEMP_B2S2", 0x3F, _OVERLAY + "Catalyst.Bank2.Temperature2", "°C", 0.1, -40, 6513.5),
    (
        "CONTROL_MODULE_VOLTAGE",
        0x42,
        "Vehicle.LowVoltageBattery.CurrentVoltage",
        "V",
        0.001,
        0,
        65.535,
    ),
    ("ABSOLUTE_LOAD", 0x43, _OVERLAY + "AbsoluteLoad", "%", _PERCENT, 0, 25700),
    # python-OBD's unit table (UAS 0x1E) rounds 2/65536 to this; a value is a multiple of it.
    (
        "COMMANDED_EQUIV_RATIO",
        0x44,
        _OVERLAY + "CommandedEquivalenceRatio",
        "ratio",
        0.0000305,
        0,
        1.9988175,
    ),
    ("RELATIVE_THROTTLE_POS", 0x45, _OVERLAY + "RelativeThrottlePosition", "%", _PERCENT, 0, 100),
    ("AMBIANT_AIR_TEMP", 0x46, "Vehicle.Exterior.AirTemperature", "°C", 1, -40, 215),
    ("THROTTLE_POS_B", 0x47, _OVERLAY + "ThrottlePositionB", "%", _PERCENT, 0, 100),
    ("THROTTLE_POS_C", 0x48, _OVERLAY + "ThrottlePositionC", "%", _PERCENT, 0, 100),
    ("ACCELERATOR_POS_D", 0x49, _OVERLAY + "AcceleratorPositionD", "%", _PERCENT, 0, 100),
    ("ACCELERATOR_POS_E", 0x4A, _OVERLAY + "AcceleratorPositionE", "%", _PERCENT, 0, 100),
    ("ACCELERATOR_POS_F", 0x4B, _OVERLAY + "AcceleratorPositionF", "%", _PERCENT, 0, 100),
    ("THROTTLE_ACTUATOR", 0x4C, _OVERLAY + "ThrottleActuator", "%", _PERCENT, 0, 100),
    ("RUN_TIME_MIL", 0x4D, _OVERLAY + "TimeWithMIL", "min", 1, 0, 65535),
    ("TIME_SINCE_DTC_CLEARED", 0x4E, _OVERLAY + "TimeSinceDTCCleared", "min", 1, 0, 65535),
    ("MAX_MAF", 0x50, _OVERLAY + "MaxMAF", "g/s", 10, 0, 2550),
    ("ETHANOL_PERCENT", 0x52, _OVERLAY + "EthanolPercent", "%", _PERCENT, 0, 100),
    (
        "EVAP_VAPOR_PRESSURE_ABS",
        0x53,
        _OVERLAY + "EVAPVaporPressureAbsolute",
        "kPa",
        0.005,
        0,
        327.675,
    ),
    (
        "EVAP_VAPOR_PRESSURE_ALT",
        0x54,
        _OVERLAY + "EVAPVaporPressureAlternate",
        "Pa",
        1,
        -32767,
        32768,
    ),
    ("FUEL_RAIL_PRESSURE_ABS", 0x59, _OVERLAY + "FuelRailPressureAbsolute", "kPa", 10, 0, 655350),
    ("RELATIVE_ACCEL_POS", 0x5A, _OVERLAY + "RelativeAcceleratorPosition", "%", _PERCENT, 0, 100),
    ("HYBRID_BATTERY_REMAINING", 0x5B, _OVERLAY + "HybridBatteryRemaining", "%", _PERCENT, 0, 100),
    ("OIL_TEMP", 0x5C, _ENGINE + "EngineOil.Temperature", "°C", 1, -40, 215),
    ("FUEL_INJECT_TIMING", 0x5D, _OVERLAY + "FuelInjectionTiming", "°", 1 / 128, -210, 301.992),
    ("FUEL_RATE", 0x5E, _OVERLAY + "FuelRate", "l/h", 0.05, 0, 3276.75),
)

_LOCATION = "Vehicle.CurrentLocation."

# Resolutions are those of the NMEA text: ddmm.mmmmm, knots with three decimals.
_GPS: tuple[Signal, ...] = (
    Signal(1001, "LAT", _LOCATION + "Latitude", "°", 1e-5 / 60, -90, 90, "gps"),
    Signal(1002, "LON", _LOCATION + "Longitude", "°", 1e-5 / 60, -180, 180, "gps"),
    Signal(1003, "ALT", _LOCATION + "Altitude", "m", 0.1, -1000, 20000, "gps"),
    # Not Vehicle.Speed: the receiver's speed must never overwrite the wheels'.
    Signal(1004, "GPS_SPEED", _LOCATION + "Speed", "km/h", 0.001852, 0, 2000, "gps"),
    Signal(1005, "GPS_HEADING", _LOCATION + "Heading", "°", 0.01, 0, 360, "gps"),
    Signal(1006, "HDOP", _LOCATION + "HorizontalDilution", "", 0.01, 0, 100, "gps"),
    Signal(1007, "SATS", _LOCATION + "Satellites", "", 1, 0, 100, "gps"),
)

_DERIVED: tuple[Signal, ...] = (
    Signal(2001, "BOOST", _ENGINE + "Boost", "psi", 0.1450377377, -15, 37, "derived"),
)

_TRACTION = "Vehicle.Powertrain.TractionBattery."

# What loggers of electric vehicles send as floats; the power's sign is the logger's own.
_EDGE: tuple[Signal, ...] = (
    Signal(3001, "BATTERY_LEVEL", _TRACTION + "StateOfCharge.Displayed", "%", 0.01, 0, 100, "edge"),
    Signal(3002, "BATTERY_POWER", _OVERLAY + "TractionPower", "kW", 0.01, -2000, 2000, "edge"),
)

_LINK = "Mesh.Link."
_NODE = "Mesh.Node."
_AIR = "Mesh.Environment."
_POWER = "Mesh.Power.Channel"

# What a base station's radio measures of a packet, and what Meshtastic nodes say of themselves.
_MESH: tuple[Signal, ...] = (
    Signal(4001, "MESH_SNR", _LINK + "SNR", "dB", 0.25, -64, 64, "mesh"),
    Signal(4002, "MESH_RSSI", _LINK + "RSSI", "dBm", 1, -200, 50, "mesh"),
    Signal(4003, "MESH_HOPS", _LINK + "Hops", "", 1, 0, 7, "mesh"),
    # Of 32 bits of LAT and LON: with 13, a position stands for a cell a few kilometres wide.
    Signal(4004, "MESH_PRECISION", _NODE + "PositionPrecision", "bit", 1, 0, 32, "mesh"),
    Signal(4011, "NODE_BATTERY", _NODE + "BatteryLevel", "%", 1, 0, 100, "mesh"),
    Signal(4012, "NODE_VOLTAGE", _NODE + "Voltage", "V", 0.001, 0, 100, "mesh"),
    Signal(4013, "NODE_CHANNEL_UTILISATION", _NODE + "ChannelUse", "%", 0.01, 0, 100, "mesh"),
    Signal(4014, "NODE_AIRTIME", _NODE + "Airtime", "%", 0.01, 0, 100, "mesh"),
    Signal(4015, "NODE_UPTIME", _NODE + "Uptime", "s", 1, 0, 2**32 - 1, "mesh"),
    Signal(4021, "ENV_TEMPERATURE", _AIR + "Temperature", "°C", 0.01, -100, 200, "mesh"),
    Signal(4022, "ENV_HUMIDITY", _AIR + "Humidity", "%", 0.01, 0, 100, "mesh"),
    Signal(4023, "ENV_PRESSURE", _AIR + "Pressure", "hPa", 0.01, 300, 1200, "mesh"),
    Signal(4024, "ENV_LUX", _AIR + "Illuminance", "lx", 0.01, 0, 200_000, "mesh"),
    Signal(4025, "ENV_WIND_SPEED", _AIR + "WindSpeed", "m/s", 0.01, 0, 150, "mesh"),
    Signal(4026, "ENV_WIND_DIRECTION", _AIR + "WindDirection", "°", 1, 0, 360, "mesh"),
    Signal(4031, "POWER_1_VOLTAGE", _POWER + "1.Voltage", "V", 0.001, -1000, 1000, "mesh"),
    Signal(4032, "POWER_1_CURRENT", _POWER + "1.Current", "mA", 0.1, -1e6, 1e6, "mesh"),
    Signal(4033, "POWER_2_VOLTAGE", _POWER + "2.Voltage", "V", 0.001, -1000, 1000, "mesh"),
    Signal(4034, "POWER_2_CURRENT", _POWER + "2.Current", "mA", 0.1, -1e6, 1e6, "mesh"),
    Signal(4035, "POWER_3_VOLTAGE", _POWER + "3.Voltage", "V", 0.001, -1000, 1000, "mesh"),
    Signal(4036, "POWER_3_CURRENT", _POWER + "3.Current", "mA", 0.1, -1e6, 1e6, "mesh"),
)

CATALOGUE: tuple[Signal, ...] = (
    *(
        Signal(pid, name, path, unit, resolution, minimum, maximum, f"obd:01{pid:02X}")
        for name, pid, path, unit, resolution, minimum, maximum in _OBD
    ),
    *_GPS,
    *_DERIVED,
    *_EDGE,
    *_MESH,
)
"""All built-in signals, ordered by id."""

_BY_NAME = {signal.name: signal for signal in CATALOGUE}
_BY_ID = {signal.id: signal for signal in CATALOGUE}
SHORT_NAMES: dict[int, str] = {signal.id: signal.name for signal in CATALOGUE}
"""Short name of each signal id."""
_BY_PATH = {signal.path: signal for signal in CATALOGUE}
_own: dict[int, Signal] = {}


def register(signals: Iterable[Signal]) -> None:
    """Add signals that a configuration, or the store, knows; the same name again replaces.

    A path that a built-in signal has stays with that one.

    Raises:
        CatalogueError: an id or a name is taken by another signal.
    """
    for signal in signals:
        by_same_id, by_same_name = _BY_ID.get(signal.id), _BY_NAME.get(signal.name)
        if by_same_id is not None and by_same_id.name != signal.name:
            raise CatalogueError(
                f"{signal.name} has the id {signal.id} of {by_same_id.name}; rename one of them"
            )
        if by_same_name is not None and by_same_name.id != signal.id:
            raise CatalogueError(f"{signal.name} has the name of a built-in signal; rename it")
        _own[signal.id] = _BY_ID[signal.id] = _BY_NAME[signal.name] = signal
        SHORT_NAMES[signal.id] = signal.name
        if _BY_PATH.get(signal.path, signal).id in _own:
            _BY_PATH[signal.path] = signal


def all_signals() -> tuple[Signal, ...]:
    """Give the built-in signals and those that were registered, ordered by id."""
    return (*CATALOGUE, *(_own[signal_id] for signal_id in sorted(_own)))


def by_name(name: str) -> Signal:
    """Give the signal of a short name; raise CatalogueError with the nearest names."""
    try:
        return _BY_NAME[name]
    except KeyError:
        near = difflib.get_close_matches(name.upper(), _BY_NAME, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise CatalogueError(f"no signal is named {name!r}{hint}") from None


def by_id(signal_id: int) -> Signal:
    """Give the signal of an id; raise CatalogueError."""
    try:
        return _BY_ID[signal_id]
    except KeyError:
        raise CatalogueError(f"no signal has the id {signal_id}") from None


def by_path(path: str) -> Signal:
    """Give the signal of a VSS path; raise CatalogueError with the nearest paths."""
    try:
        return _BY_PATH[path]
    except KeyError:
        near = difflib.get_close_matches(path, _BY_PATH, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise CatalogueError(f"no signal has the path {path!r}{hint}") from None
