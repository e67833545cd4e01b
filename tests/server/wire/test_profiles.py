"""The codec profiles that the package ships."""

from __future__ import annotations

from pathlib import Path

import pytest

import server.wire
from firmware_stubs.plan import Plan
from server.ingest.shipped_profiles import shipped_profiles
from server.wire.codec.profile import Profile

FOLDER = Path(server.wire.__file__).with_name("profiles")
FLASH_BYTES = 32 * 1024


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.profile")), ids=lambda path: path.stem)
def test_it_can_be_used(path: Path) -> None:
    """It is whole, small enough for a board, and the gateway knows it by its hash."""
    data = path.read_bytes()
    profile = Profile.from_bytes(data)
    assert profile.to_bytes() == data
    assert len(data) <= FLASH_BYTES
    assert dict(shipped_profiles())[profile.hash].to_bytes() == data


def test_the_focus_st_is_of_the_default_plan() -> None:
    """The firmware takes it for its default plan, and for no other."""
    data = (FOLDER / "focus_st.profile").read_bytes()
    trained = Profile.from_bytes(data)
    assert Plan({}).profile(data).hash == trained.hash
    other = Plan({"rates": {"RPM": 5}})
    assert other.profile(data).hash == other.profile(None).hash != trained.hash
