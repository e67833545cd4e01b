"""On-board test results for service 06: monitor, test, scaling, value and limits.

Monitor identifiers and scalings: SAE J1979-DA. Test identifiers 01-0C are standard, 80 and above
are the maker's own. Values and limits are assumed: those of a sound car, with the value beyond its
limit while one of the test's trouble codes is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Units and scaling identifiers
MILLIVOLT_0_122 = 0x0A
AMPERE_0_001 = 0x0E
MILLISECOND = 0x10
DEGREE_0_01 = 0x1C
RATIO_1_256 = 0x20
COUNT = 0x24
PERCENT_0_01 = 0x2F
PASCAL_0_25 = 0xFE  # signed
KILOPASCAL_0_01 = 0x17

_WORD = 0xFFFF


@dataclass(frozen=True, slots=True)
class MonitorTest:
    """One test of one monitor; numbers are raw, in steps of the scaling.

    Attributes:
        mid: on-board monitor, 0x01-0xFF, not a multiple of 0x20.
        tid: test.
        scaling: unit and scaling identifier; 0x80 and above are signed.
        value: result of a sound car.
        minimum, maximum: limits, both included.
        codes: trouble codes that this test sets.
        failed_value: result while one of `codes` is stored; None = one step beyond a limit.
    """

    mid: int
    tid: int
    scaling: int
    value: int
    minimum: int
    maximum: int
    codes: tuple[str, ...] = ()
    failed_value: int | None = None

    def encode(self, failed: bool, has_run: bool = True) -> bytes:
        """Return the nine bytes of the result; zeros where the test has not run since the clear."""
        result = self._failing() if failed else self.value
        numbers: Sequence[int] = (result, self.minimum, self.maximum) if has_run else (0, 0, 0)
        return bytes((self.mid, self.tid, self.scaling)) + b"".join(
            (number & _WORD).to_bytes(2, "big") for number in numbers
        )

    def _failing(self) -> int:
        if self.failed_value is not None:
            return self.failed_value
        top = 0x7FFF if self.scaling >= 0x80 else _WORD
        return self.maximum + 1 if self.maximum < top else self.minimum - 1


def _misfire(cylinder: int) -> tuple[MonitorTest, MonitorTest]:
    mid = 0xA1 + cylinder
    codes = (f"P030{cylinder}",)
    return (
        MonitorTest(mid, 0x0B, COUNT, 0, 0, _WORD, codes, failed_value=140),  # last ten cycles
        MonitorTest(mid, 0x0C, COUNT, 0, 0, _WORD, codes, failed_value=312),  # this cycle
    )


ENGINE_TESTS: tuple[MonitorTest, ...] = (
    # upstream and downstream oxygen sensor
    MonitorTest(0x01, 0x87, RATIO_1_256, 269, 77, _WORD, ("P0133",), failed_value=40),
    MonitorTest(0x02, 0x01, MILLIVOLT_0_122, 3689, 3689, 3689),
    MonitorTest(0x02, 0x07, MILLIVOLT_0_122, 492, 0, 1639, ("P0138",)),
    MonitorTest(0x02, 0x08, MILLIVOLT_0_122, 6557, 4918, _WORD, ("P0137",), failed_value=1200),
    # catalyst: oxygen storage against a threshold
    MonitorTest(0x21, 0x80, RATIO_1_256, 26, 0, 191, ("P0420",)),
    # variable valve timing, intake and exhaust
    MonitorTest(0x35, 0x80, DEGREE_0_01, 120, 0, 500, ("P0011", "P0012")),
    MonitorTest(0x35, 0x81, DEGREE_0_01, 95, 0, 500, ("P0014", "P0015")),
    # evaporative system, 1 mm and 0.5 mm leak, purge flow
    MonitorTest(0x3B, 0x80, PASCAL_0_25, -1120, -3000, -800, ("P0442",)),
    MonitorTest(0x3C, 0x80, PASCAL_0_25, -260, -2000, -120, ("P0456",)),
    MonitorTest(0x3D, 0x80, KILOPASCAL_0_01, 62, 20, _WORD, ("P0497",), failed_value=4),
    # heaters of the oxygen sensors
    MonitorTest(0x41, 0x80, AMPERE_0_001, 1210, 220, 3000, ("P0030", "P0135")),
    MonitorTest(0x42, 0x80, AMPERE_0_001, 540, 220, 3000, ("P0036", "P0141")),
    # fuel system: adaptation lean and rich; boost control
    MonitorTest(0x81, 0x80, PERCENT_0_01, 120, 0, 2500, ("P0171",)),
    MonitorTest(0x81, 0x81, PERCENT_0_01, 40, 0, 2500, ("P0172",)),
    MonitorTest(0x85, 0x80, KILOPASCAL_0_01, 310, 0, 2000, ("P0234", "P0299")),
    # misfire: all cylinders, then each
    MonitorTest(0xA1, 0x80, PERCENT_0_01, 0, 0, 210, ("P0300", "P0301", "P0302", "P0303", "P0304")),
    *(test for cylinder in (1, 2, 3, 4) for test in _misfire(cylinder)),
)
