"""A gateway whose clock is an hour wrong."""

from __future__ import annotations

import sys

import pytest

from tests.instances.conftest import DEVICES, Fleet
from tests.instances.gateways import settled
from tests.instances.listener import Listener
from tests.instances.load import Load
from tests.instances.stored import check_store


@pytest.mark.parametrize("offset_s", [3600, -3600])
async def test_a_clock_is_an_hour_off(fleet: Fleet, offset_s: int) -> None:
    """Leases are the database's time, order is the commits' numbers: neither looks at a clock."""
    (right,) = await fleet.start("gw-a")
    command = (sys.executable, "-m", "tests.instances.off_clock", str(offset_s))
    (wrong,) = await fleet.start("gw-b", command=command)
    both = [(right.host, right.port), (wrong.host, wrong.port)]
    async with (
        Listener(f"{right.host}:{right.port}", "right") as at_right,
        Listener(f"{wrong.host}:{wrong.port}", "wrong") as at_wrong,
        Load(DEVICES, both, hops=True) as load,
    ):
        await load.grows_by(len(DEVICES) * 30)
        right.kill()
        await settled([wrong])
        right.start()
        await right.ready()
        await settled([right, wrong])
        await load.grows_by(len(DEVICES) * 30)
        await load.end()
        await at_wrong.has_all(load)
    assert at_right.lost
    assert not at_right.faults
    await check_store(fleet.database_url, load)
