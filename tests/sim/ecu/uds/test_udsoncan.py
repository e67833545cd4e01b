"""udsoncan and can-isotp, unchanged, against the car's ECUs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import isotp
import pytest
import udsoncan
from udsoncan.client import Client
from udsoncan.exceptions import NegativeResponseException, TimeoutException

from sim.ecu.pids import ENGINE_PIDS
from sim.ecu.uds import key_of
from tests.sim.ecu.uds.outsider import SteppedConnection

VIN = "WF0DXXGAKDDK12345"
services = udsoncan.services


class Raw(udsoncan.DidCodec):  # type: ignore[misc]
    """Bytes of a given length as they are."""

    def __init__(self, length: int) -> None:
        self._length = length

    def encode(self, val: bytes) -> bytes:
        """Return the bytes."""
        return val

    def decode(self, payload: bytes) -> bytes:
        """Return the bytes."""
        return payload

    def __len__(self) -> int:
        return self._length


DIDS = {
    0xF190: udsoncan.AsciiCodec(17),
    0xF186: Raw(1),
    0xF18C: Raw(16),
    0xF199: Raw(4),
    0xF1FF: Raw(1),
    **{0xF400 | pid: Raw(spec.n_bytes) for pid, spec in ENGINE_PIDS.items()},
}


def client_of(bench: Any, request_id: int, **params: object) -> Client:
    """Return a client of one ECU."""
    address = isotp.Address(isotp.AddressingMode.Normal_11bits, request_id, request_id + 8)
    connection = SteppedConnection(bench, address, **params)
    config = {
        "data_identifiers": DIDS,
        "security_algo": lambda level, seed, params: key_of(seed, level),
        "dtc_snapshot_did_size": 2,
        "extended_data_size": 1,
    }
    return Client(connection, config=config)


@pytest.fixture
def parked(bench: Any) -> Any:
    """A car that stands with its engine off; the bench's own tester keeps still."""
    bench.node.detach()
    bench.car.state.engine_on = False
    bench.car.state.speed_mps = 0.0
    return bench


@pytest.fixture
def client(parked: Any) -> Iterator[Client]:
    """Ask the ECM."""
    with client_of(parked, 0x7E0) as client:
        yield client
        assert client.conn.errors == []


def test_reading(client: Client) -> None:
    """One identifier, several, and one that is not there."""
    assert client.read_data_by_identifier(0xF190).service_data.values[0xF190] == VIN
    values = client.read_data_by_identifier([0xF186, 0xF40C, 0xF18C]).service_data.values
    assert values[0xF186] == b"\x01"
    assert values[0xF40C] == b"\x26\xdd"
    with pytest.raises(NegativeResponseException, match="RequestOutOfRange"):
        client.read_data_by_identifier(0xF1FF)


def test_session_timing_is_understood(client: Client) -> None:
    """The client takes P2 and P2* out of the answer."""
    data = client.change_session(3).service_data
    assert (data.p2_server_max, data.p2_star_server_max) == (0.05, 5.0)
    client.tester_present()
    with client.suppress_positive_response:
        client.tester_present()


def test_unlock_write_and_reset(parked: Any, client: Client) -> None:
    """The usual way of a workshop: session, seed and key, writing, reset."""
    client.change_session(3)
    with pytest.raises(NegativeResponseException, match="SecurityAccessDenied"):
        client.write_data_by_identifier(0xF199, bytes.fromhex("20260131"))
    client.unlock_security_access(1)
    client.write_data_by_identifier(0xF199, bytes.fromhex("20260131"))
    assert client.ecu_reset(1).service_data.reset_type_echo == 1
    with pytest.raises(TimeoutException):
        client.read_data_by_identifier(0xF199)
    parked.run(1.0)
    values = client.read_data_by_identifier(0xF199).service_data.values
    assert values[0xF199] == bytes.fromhex("20260131")


def test_long_routine_is_waited_for(client: Client) -> None:
    """The client follows "response pending" to the result."""
    data = client.start_routine(0x0202).service_data
    assert (data.routine_id_echo, data.routine_status_record) == (0x0202, b"\x00")


def test_trouble_codes(parked: Any, client: Client) -> None:
    """Count, list, supported, snapshots, extended data and clearing, as the client reads them."""
    store = parked.ecus.ecm.dtcs
    store.inject("P0420", confirmed=True)
    store.inject("P0301", confirmed=True)
    assert client.get_number_of_dtc_by_status_mask(0x08).service_data.dtc_count == 2
    dtcs = client.get_dtc_by_status_mask(0x08).service_data.dtcs
    assert [dtc.id for dtc in dtcs] == [0x042000, 0x030100]
    assert dtcs[0].status.confirmed
    assert dtcs[0].status.warning_indicator_requested
    assert client.get_supported_dtc().service_data.dtc_count > 30
    numbered = client.get_dtc_snapshot_identification().service_data.dtcs
    assert [len(dtc.snapshots) for dtc in numbered] == [2, 2]
    (dtc,) = client.get_dtc_snapshot_by_dtc_number(0x042000, 1).service_data.dtcs
    assert {snapshot.did for snapshot in dtc.snapshots} == {0xF400 | pid for pid in ENGINE_PIDS}
    (dtc,) = client.get_dtc_extended_data_by_dtc_number(0x042000, 1).service_data.dtcs
    assert dtc.extended_data[0].raw_data == b"\x01"
    client.clear_dtc(0xFFFFFF)
    assert client.get_number_of_dtc_by_status_mask(0x08).service_data.dtc_count == 0


def test_communication_and_code_setting(client: Client) -> None:
    """28 and 85 in the client's words."""
    client.change_session(3)
    client.communication_control(3, udsoncan.CommunicationType(0, True, False))
    client.control_dtc_setting(2)
    client.control_dtc_setting(1)


@pytest.mark.parametrize("request_id", [0x720, 0x726, 0x730, 0x760, 0x7E1])
def test_other_ecus(parked: Any, request_id: int) -> None:
    """Each ECU is a client's partner like the first."""
    with client_of(parked, request_id) as client:
        assert client.read_data_by_identifier(0xF190).service_data.values[0xF190] == VIN
        client.change_session(3)
        client.unlock_security_access(1)


@pytest.mark.parametrize("params", [{"blocksize": 2}, {"stmin": 5}, {"wftmax": 2}])
def test_flow_control_of_the_client_is_obeyed(parked: Any, params: dict[str, int]) -> None:
    """Blocks, separation times: the answer comes whole."""
    with client_of(parked, 0x7E0, **params) as client:
        dids = [0xF190, 0xF18C, 0xF199]
        values = client.read_data_by_identifier(dids).service_data.values
        assert values[0xF190] == VIN
        assert len(values[0xF18C]) == 16


def test_29_bit_addresses(bench: Any) -> None:
    """can-isotp's normal fixed addressing finds the ECUs of a 29 bit bus."""
    import random

    from sim.can.bus import CanBus
    from sim.ecu import Addressing

    bench.bus = CanBus(bench.env, name="can29")
    bench.ecus.attach(bench.bus, random.Random, addressing=Addressing.NORMAL_FIXED_29)
    for node_address in (0x10, 0x18, 0x28, 0x30, 0x40, 0x60):
        address = isotp.Address(
            isotp.AddressingMode.NormalFixed_29bits,
            target_address=node_address,
            source_address=0xF1,
        )
        connection = SteppedConnection(bench, address)
        with Client(connection, config={"data_identifiers": DIDS}) as client:
            assert client.read_data_by_identifier(0xF190).service_data.values[0xF190] == VIN
