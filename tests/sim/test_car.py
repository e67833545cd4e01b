"""Cars of a fleet: their VINs and their drives."""

from __future__ import annotations

import random

import pytest

from sim.car import fleet_drive, fleet_spec, fleet_vin
from sim.vehicle import FOCUS_ST, Cruise, Drive, Idle


def test_the_first_car_is_the_one_that_the_world_has() -> None:
    """Its VIN was made by the same rule."""
    assert fleet_spec(FOCUS_ST, 1) is FOCUS_ST
    assert fleet_vin(FOCUS_ST.vin, 1) == FOCUS_ST.vin


def test_every_car_has_a_vin_of_its_own_with_a_right_check_digit() -> None:
    """49 CFR 565.15: the example of the regulation, and five hundred cars."""
    assert fleet_vin("1M8GDM9A_KP042788".replace("_", "0"), 1) == "1M8GDM9AXKP042788"
    vins = {fleet_vin(FOCUS_ST.vin, number) for number in range(1, 501)}
    assert len(vins) == 500
    assert all(len(vin) == 17 for vin in vins)


def test_a_car_of_a_fleet_sets_off_a_little_later() -> None:
    """Its first phase is longer, the others are as they were."""
    drive = Drive([Idle("wait", 10.0), Cruise("go", 60.0, 90.0)])
    later = fleet_drive(drive, random.Random(1))
    assert 10.0 < later.phases[0].duration_s <= 30.0
    assert later.phases[1] == drive.phases[1]


@pytest.mark.parametrize("phase", [Cruise("go", 60.0, 90.0)])
def test_a_drive_that_does_not_begin_with_a_wait_stays(phase: Cruise) -> None:
    """There is nothing to prolong."""
    drive = Drive([phase])
    assert fleet_drive(drive, random.Random(1)) is drive
