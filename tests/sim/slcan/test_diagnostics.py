"""can-isotp and udsoncan over python-can's slcan client, unchanged, against the world's ECUs."""

from __future__ import annotations

import random

import pytest

from rig.walltime.clock import WallClock
from sim.ecu import build_ecus
from sim.vehicle import FOCUS_ST, Drive, Idle, Vehicle
from tests.sim.slcan.wall import serve

can = pytest.importorskip("can", reason="python-can is not installed")
isotp = pytest.importorskip("isotp", reason="can-isotp is not installed")
udsoncan = pytest.importorskip("udsoncan", reason="udsoncan is not installed")
uds_client = pytest.importorskip("udsoncan.client", reason="udsoncan is not installed")
uds_connections = pytest.importorskip("udsoncan.connections", reason="udsoncan is not installed")

REQUEST_ID, REPLY_ID = 0x7E0, 0x7E8
VIN_IDENTIFIER = 0xF190


@pytest.fixture(params=["lawicel_canusb", "canable"])
def car(request, make_bench):
    """An adapter on the bus of an idling car, in wall time."""
    bench = make_bench(request.param, clock=WallClock())
    vehicle = Vehicle(FOCUS_ST, Drive([Idle("idle", 60.0)]), random.Random(1))
    build_ecus(bench.env, bench.bus, vehicle, random.Random, FOCUS_ST.vin)
    return bench


def test_vehicle_identification_number(car):
    """Multi-frame answers with flow control: 09 02 by can-isotp, 22 F190 by udsoncan."""

    def client(path):
        with can.Bus(interface="slcan", channel=path, bitrate=500_000, sleep_after_open=0) as bus:
            address = isotp.Address(rxid=REPLY_ID, txid=REQUEST_ID)
            stack = isotp.CanStack(bus, address=address, params={"tx_padding": 0})
            stack.start()
            stack.send(b"\x09\x02")
            answer = stack.recv(block=True, timeout=2.0)
            stack.stop()
            connection = uds_connections.PythonIsoTpConnection(
                isotp.CanStack(bus, address=address, params={"tx_padding": 0})
            )
            codecs = {VIN_IDENTIFIER: udsoncan.AsciiCodec(17)}
            with uds_client.Client(connection, config={"data_identifiers": codecs}) as uds:
                response = uds.read_data_by_identifier(VIN_IDENTIFIER)
                return answer, response.service_data.values[VIN_IDENTIFIER]

    answer, vin = serve(car, client)
    assert answer == b"\x49\x02\x01" + FOCUS_ST.vin.encode()
    assert vin == FOCUS_ST.vin
