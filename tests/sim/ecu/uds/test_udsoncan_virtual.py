"""udsoncan over can-isotp's own stack and threads, on python-can's `virtual` bus, in wall time."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import can
import isotp
import pytest
from udsoncan import AsciiCodec
from udsoncan.client import Client
from udsoncan.connections import PythonIsoTpConnection

from rig.walltime.can_bridge import CanBridge
from rig.walltime.can_interfaces import VIRTUAL, CanInterfaceSpec
from rig.walltime.clock import WallClock
from sim.can.bus import CanBus
from sim.ecu import build_ecus
from sim.ecu.uds import key_of
from tests.sim.ecu.conftest import VIN, HandSetCar

CHANNEL = "uds-in-wall-time"


@pytest.fixture
def car() -> Iterator[None]:
    """The ECUs of a car, in a thread of their own behind the virtual bus."""
    clock = WallClock()
    bus = CanBus(clock.env)
    build_ecus(clock.env, bus, HandSetCar(), random.Random, VIN)
    bridge = CanBridge(clock, bus, CanInterfaceSpec(VIRTUAL, CHANNEL))
    bridge.open()
    world = threading.Thread(target=clock.run)
    world.start()
    yield
    clock.stop()
    world.join()
    bridge.close()


@pytest.mark.usefixtures("car")
def test_the_usual_stack_works_unchanged() -> None:
    """Session, security, reading of one frame and of several."""
    config: dict[str, Any] = {
        "data_identifiers": {0xF190: AsciiCodec(17), 0xF186: AsciiCodec(1)},
        "security_algo": lambda level, seed, params: key_of(seed, level),
        # The session's answer would set 50 ms, which a busy test machine may not keep.
        "use_server_timing": False,
    }
    with can.Bus(interface="virtual", channel=CHANNEL) as bus:
        address = isotp.Address(isotp.AddressingMode.Normal_11bits, 0x726, 0x72E)
        stack = isotp.CanStack(bus, address=address, params={"blocking_send": False})
        with Client(PythonIsoTpConnection(stack), config=config) as client:
            assert client.read_data_by_identifier(0xF190).service_data.values[0xF190] == VIN
            client.change_session(3)
            client.unlock_security_access(1)
            values = client.read_data_by_identifier([0xF190, 0xF186]).service_data.values
    assert values[0xF186] == "\x03"
