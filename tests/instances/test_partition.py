"""A gateway that devices reach, and that reaches nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.instances.children import Children
from tests.instances.conftest import DEVICES, Fleet
from tests.instances.database import Database
from tests.instances.engines import Nats
from tests.instances.gateways import held, settled
from tests.instances.listener import Listener
from tests.instances.load import Load
from tests.instances.network import Machine
from tests.instances.stored import check_store


@pytest.fixture
def machine(children: Children) -> Iterator[Machine]:
    """Another machine."""
    with Machine(children) as machine:
        yield machine


async def test_a_gateway_is_cut_off(children: Children, machine: Machine) -> None:
    """It acknowledges nothing, its part goes to the other; when the cable is in again, all is."""
    with Database(children, ("127.0.0.1", machine.backend)) as database:
        database.start()
        nats = Nats(children, machine.backend)
        nats.start()
        fleet = Fleet(children, database.url)
        (here,) = await fleet.start("gw-a", bus=nats.url)
        (away,) = await fleet.start(
            "gw-b",
            bus=nats.url,
            database=database.primary.url(machine.backend),
            host=machine.address,
            prefix=machine.prefix,
        )
        near, far = (here.host, here.port), (away.host, away.port)
        async with (
            Listener(f"{here.host}:{here.port}", "here") as at_here,
            Listener(f"{away.host}:{away.port}", "away") as at_away,
            Load(DEVICES, [near, far]) as load,
        ):
            await load.grows_by(len(DEVICES) * 10)
            machine.cut()
            await settled([here])
            took = {name: len(device.took.get(far, ())) for name, device in load.devices.items()}
            await load.grows_by(len(DEVICES) * 40, patience_s=30.0)
            after = {name: len(device.took.get(far, ())) for name, device in load.devices.items()}
            assert after == took, "a gateway without a database has acknowledged"
            assert (await held([away])) == [0]
            machine.mend()
            await settled([here, away], patience_s=40.0)
            await load.grows_by(len(DEVICES) * 10)
            await load.end()
            for listener in (at_here, at_away):
                await listener.has_all(load, patience_s=40.0)
        await check_store(database.url, load)
