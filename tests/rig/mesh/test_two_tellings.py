"""World and gateway tell the air apart from each other; here they are compared."""

from __future__ import annotations

import pytest

from server.mesh.air.airtime import LONGEST_FRAME_BYTES
from server.mesh.air.airtime import PRESETS as GATEWAY_PRESETS
from server.mesh.air.regions import duty_cycle_pct
from sim.lora.presets import PRESETS, airtime_us
from sim.lora.regions import REGIONS


@pytest.mark.parametrize("name", PRESETS)
def test_a_frame_of_any_length_takes_the_same_time(name: str) -> None:
    """The uplink pays for each frame what the channel takes for it, to the microsecond."""
    for size in range(1, LONGEST_FRAME_BYTES + 1):
        assert GATEWAY_PRESETS[name].airtime_us(size) == airtime_us(PRESETS[name], size)


@pytest.mark.parametrize("name", REGIONS)
def test_a_region_allows_the_same(name: str) -> None:
    """The budget begins with the limit at which the radio refuses."""
    assert duty_cycle_pct(name) == REGIONS[name].duty_cycle_pct
