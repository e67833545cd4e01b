"""The regions of Meshtastic: band, power and share of the time that a radio may send.

Source: firmware src/mesh/RadioInterface.cpp, table `regions`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.lora.errors import LoraError


@dataclass(frozen=True, slots=True)
class Region:
    """One region; a duty cycle of 100 % is no limit."""

    name: str
    low_mhz: float
    high_mhz: float
    duty_cycle_pct: float
    power_limit_dbm: int

    @property
    def centre_mhz(self) -> float:
        """The middle of the band."""
        return (self.low_mhz + self.high_mhz) / 2


REGIONS: dict[str, Region] = {
    region.name: region
    for region in (
        Region("US", 902.0, 928.0, 100, 30),
        Region("EU_433", 433.0, 434.0, 10, 10),
        Region("EU_868", 869.4, 869.65, 10, 27),
        Region("EU_866", 865.6, 867.6, 2.5, 27),
        Region("CN", 470.0, 510.0, 100, 19),
        Region("JP", 920.5, 923.5, 100, 13),
        Region("ANZ", 915.0, 928.0, 100, 30),
        Region("ANZ_433", 433.05, 434.79, 100, 14),
        Region("RU", 868.7, 869.2, 100, 20),
        Region("KR", 920.0, 923.0, 100, 23),
        Region("TW", 920.0, 925.0, 100, 27),
        Region("IN", 865.0, 867.0, 100, 30),
        Region("NZ_865", 864.0, 868.0, 100, 36),
        Region("TH", 920.0, 925.0, 100, 16),
        Region("UA_433", 433.0, 434.7, 10, 10),
        Region("UA_868", 868.0, 868.6, 1, 14),
        Region("MY_433", 433.0, 435.0, 100, 20),
        Region("MY_919", 919.0, 924.0, 100, 27),
        Region("SG_923", 917.0, 925.0, 100, 20),
        Region("PH_433", 433.0, 434.7, 100, 10),
        Region("PH_868", 868.0, 869.4, 100, 14),
        Region("PH_915", 915.0, 918.0, 100, 24),
        Region("KZ_433", 433.075, 434.775, 100, 10),
        Region("KZ_863", 863.0, 868.0, 100, 30),
        Region("NP_865", 865.0, 868.0, 100, 30),
        Region("BR_902", 902.0, 907.5, 100, 30),
    )
}


def region_named(name: str) -> Region:
    """Give the region of Meshtastic's name for it; raises LoraError with the names there are."""
    region = REGIONS.get(name)
    if region is None:
        raise LoraError(f"expected a region ({', '.join(REGIONS)}); found {name!r}")
    return region
