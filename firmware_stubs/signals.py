"""The signals that the logger can take: number, name, and how raw integers become values.

The gateway's catalogue (server/catalogue.py) has the same rows; a test compares them. A value is
raw * scale_num / scale_den + offset in the catalogue's unit. OBD signals have the number of their
PID; how many data bytes a PID has is SAE J1979's business.
"""

OBD_LAST = 0xFF
GNSS_FIRST = 1001

LAT = 1001
LON = 1002
ALT = 1003
GPS_SPEED = 1004
GPS_HEADING = 1005
HDOP = 1006
SATS = 1007

SPEED_PID = 0x0D
RPM_PID = 0x0C


class Signal:
    """One signal.

    Attributes:
        id: number in the catalogue; of OBD signals the PID.
        name: short name in the catalogue.
        data_bytes: of the PID's answer; 0 for GNSS signals.
        value_bytes: the leading ones that are the value.
        signed: whether they are in two's complement.
        scale_num, scale_den, offset: how a raw integer becomes a value.
        minimum, maximum: of the raw integer.
    """

    def __init__(self, row: tuple[int, str, int, int, int, int]) -> None:
        self.id, self.name, self.data_bytes, self.scale_num, self.scale_den, self.offset = row
        self.signed = self.id == 0x32
        self.value_bytes = 1 if self.id == 0x50 else self.data_bytes
        most = (1 << 8 * self.value_bytes) - 1
        self.minimum = -(most // 2) - 1 if self.signed else 0
        self.maximum = most // 2 if self.signed else most
        if self.id in _RANGES:
            self.minimum, self.maximum = _RANGES[self.id]

    def raw(self, data: bytes) -> int:
        """Read the raw integer from a PID's data bytes."""
        value = int.from_bytes(data[: self.value_bytes], "big")
        return value - 2 * self.maximum - 2 if self.signed and value > self.maximum else value


# Positions count 1e-5 minutes of arc, as the sentences say them.
_RANGES = {
    LAT: (-540000000, 540000000),
    LON: (-1080000000, 1080000000),
    ALT: (-10000, 200000),
    GPS_SPEED: (0, 1079913),
    GPS_HEADING: (0, 36000),
    HDOP: (0, 10000),
    SATS: (0, 100),
}

# id, name, data bytes, scale_num, scale_den, offset
_ROWS = (
    (0x04, "ENGINE_LOAD", 1, 20, 51, 0),
    (0x05, "COOLANT_TEMP", 1, 1, 1, -40),
    (0x06, "SHORT_FUEL_TRIM_1", 1, 25, 32, -100),
    (0x07, "LONG_FUEL_TRIM_1", 1, 25, 32, -100),
    (0x08, "SHORT_FUEL_TRIM_2", 1, 25, 32, -100),
    (0x09, "LONG_FUEL_TRIM_2", 1, 25, 32, -100),
    (0x0A, "FUEL_PRESSURE", 1, 3, 1, 0),
    (0x0B, "INTAKE_PRESSURE", 1, 1, 1, 0),
    (0x0C, "RPM", 2, 1, 4, 0),
    (0x0D, "SPEED", 1, 1, 1, 0),
    (0x0E, "TIMING_ADVANCE", 1, 1, 2, -64),
    (0x0F, "INTAKE_TEMP", 1, 1, 1, -40),
    (0x10, "MAF", 2, 1, 100, 0),
    (0x11, "THROTTLE_POS", 1, 20, 51, 0),
    (0x1F, "RUN_TIME", 2, 1, 1, 0),
    (0x21, "DISTANCE_W_MIL", 2, 1, 1, 0),
    (0x22, "FUEL_RAIL_PRESSURE_VAC", 2, 79, 1000, 0),
    (0x23, "FUEL_RAIL_PRESSURE_DIRECT", 2, 10, 1, 0),
    (0x2C, "COMMANDED_EGR", 1, 20, 51, 0),
    (0x2D, "EGR_ERROR", 1, 25, 32, -100),
    (0x2E, "EVAPORATIVE_PURGE", 1, 20, 51, 0),
    (0x2F, "FUEL_LEVEL", 1, 20, 51, 0),
    (0x30, "WARMUPS_SINCE_DTC_CLEAR", 1, 1, 1, 0),
    (0x31, "DISTANCE_SINCE_DTC_CLEAR", 2, 1, 1, 0),
    (0x32, "EVAP_VAPOR_PRESSURE", 2, 1, 4, 0),
    (0x33, "BAROMETRIC_PRESSURE", 1, 1, 1, 0),
    (0x3C, "CATALYST_TEMP_B1S1", 2, 1, 10, -40),
    (0x3D, "CATALYST_TEMP_B2S1", 2, 1, 10, -40),
    (0x3E, "CATALYST_TEMP_B1S2", 2, 1, 10, -40),
    (0x3F, "CATALYST_TEMP_B2S2", 2, 1, 10, -40),
    (0x42, "CONTROL_MODULE_VOLTAGE", 2, 1, 1000, 0),
    (0x43, "ABSOLUTE_LOAD", 2, 20, 51, 0),
    (0x44, "COMMANDED_EQUIV_RATIO", 2, 61, 2000000, 0),
    (0x45, "RELATIVE_THROTTLE_POS", 1, 20, 51, 0),
    (0x46, "AMBIANT_AIR_TEMP", 1, 1, 1, -40),
    (0x47, "THROTTLE_POS_B", 1, 20, 51, 0),
    (0x48, "THROTTLE_POS_C", 1, 20, 51, 0),
    (0x49, "ACCELERATOR_POS_D", 1, 20, 51, 0),
    (0x4A, "ACCELERATOR_POS_E", 1, 20, 51, 0),
    (0x4B, "ACCELERATOR_POS_F", 1, 20, 51, 0),
    (0x4C, "THROTTLE_ACTUATOR", 1, 20, 51, 0),
    (0x4D, "RUN_TIME_MIL", 2, 1, 1, 0),
    (0x4E, "TIME_SINCE_DTC_CLEARED", 2, 1, 1, 0),
    (0x50, "MAX_MAF", 4, 10, 1, 0),
    (0x52, "ETHANOL_PERCENT", 1, 20, 51, 0),
    (0x53, "EVAP_VAPOR_PRESSURE_ABS", 2, 1, 200, 0),
    (0x54, "EVAP_VAPOR_PRESSURE_ALT", 2, 1, 1, -32767),
    (0x59, "FUEL_RAIL_PRESSURE_ABS", 2, 10, 1, 0),
    (0x5A, "RELATIVE_ACCEL_POS", 1, 20, 51, 0),
    (0x5B, "HYBRID_BATTERY_REMAINING", 1, 20, 51, 0),
    (0x5C, "OIL_TEMP", 1, 1, 1, -40),
    (0x5D, "FUEL_INJECT_TIMING", 2, 1, 128, -210),
    (0x5E, "FUEL_RATE", 2, 1, 20, 0),
    (LAT, "LAT", 0, 1, 6000000, 0),
    (LON, "LON", 0, 1, 6000000, 0),
    (ALT, "ALT", 0, 1, 10, 0),
    (GPS_SPEED, "GPS_SPEED", 0, 463, 250000, 0),
    (GPS_HEADING, "GPS_HEADING", 0, 1, 100, 0),
    (HDOP, "HDOP", 0, 1, 100, 0),
    (SATS, "SATS", 0, 1, 1, 0),
)


def by_name(name: str) -> Signal | None:
    """Give the signal of a short name, None when there is none."""
    for row in _ROWS:
        if row[1] == name:
            return Signal(row)
    return None


def names() -> list[str]:
    """Name every signal."""
    return [row[1] for row in _ROWS]
