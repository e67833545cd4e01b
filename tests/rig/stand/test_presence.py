"""Who went away, and whether the rig itself had switched it off."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from rig.stand.presence import Presence


@pytest.fixture
def noted() -> list[tuple[str, Mapping[str, Any]]]:
    """What was noted for the record."""
    return []


@pytest.fixture
def presence(noted: list[tuple[str, Mapping[str, Any]]]) -> Presence:
    """Of one adapter."""
    return Presence({"obd": "/dev/x"}, lambda _ns, kind, detail: noted.append((kind, detail)))


def test_a_device_that_went_is_told_with_its_times(
    presence: Presence, noted: list[tuple[str, Mapping[str, Any]]]
) -> None:
    """Once for each time; one that is not back ends with 0."""
    presence.event("obd", 1000, "gone", {"reason": "EIO"})
    presence.event("obd", 3000, "back", {})
    presence.event("obd", 9000, "gone", {"reason": "EIO"})
    assert presence.result() == {
        "obd": [
            {"start_ns": 1000, "end_ns": 3000, "reason": "EIO", "place": "/dev/x"},
            {"start_ns": 9000, "end_ns": 0, "reason": "EIO", "place": "/dev/x"},
        ]
    }
    assert [(kind, detail["name"], detail["phase"]) for kind, detail in noted] == [
        ("bench", "gone", "obd"),
        ("bench", "back", "obd"),
        ("bench", "gone", "obd"),
    ]


def test_a_device_that_the_rig_switched_off_is_not_missed(presence: Presence) -> None:
    """From the switch to a moment after it is on again; later than that it is."""
    presence.switched_off("obd")
    presence.event("obd", time.time_ns(), "gone", {})
    presence.switched_on("obd", settle_s=0.0)
    presence.event("obd", time.time_ns(), "back", {})
    assert presence.result() == {"obd": []}
    presence.event("obd", time.time_ns() + 2_000_000_000, "gone", {})
    assert len(presence.result()["obd"]) == 1


def test_who_never_went_is_told_too(presence: Presence) -> None:
    """An empty list: it was watched."""
    assert presence.result() == {"obd": []}
