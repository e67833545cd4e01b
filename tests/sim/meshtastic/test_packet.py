"""Packets: sizes, and reading what is inside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.meshtastic import packet as wire
from sim.meshtastic.packet import BROADCAST, Packet, private_data, read_data, routing_data

mesh_pb2 = pytest.importorskip("meshtastic.protobuf.mesh_pb2", reason="meshtastic is not installed")


@given(payload=st.binary(max_size=231), port=st.sampled_from([1, 67, 256, 511]))
def test_data_of_a_private_port_is_what_the_library_writes(payload: bytes, port: int) -> None:
    """Written here it reads there, and the other way round."""
    theirs = mesh_pb2.Data.FromString(private_data(payload, port))
    assert (theirs.portnum, theirs.payload) == (port, payload)
    assert theirs.HasField("bitfield")
    ours = read_data(mesh_pb2.Data(portnum=port, payload=payload).SerializeToString())
    assert (ours.port, ours.payload) == (port, payload)


@given(packet_id=st.integers(1, 2**32 - 1), error=st.sampled_from([0, 3, 5, 6, 9, 38]))
def test_acknowledgements_are_what_the_library_reads(packet_id: int, error: int) -> None:
    """A Routing message with its error, NONE written out, and the id that it is for."""
    encoded = routing_data(packet_id, error)
    theirs = mesh_pb2.Data.FromString(encoded)
    routing = mesh_pb2.Routing.FromString(theirs.payload)
    assert (theirs.portnum, theirs.request_id) == (wire.ROUTING_APP, packet_id)
    assert routing.WhichOneof("variant") == "error_reason"
    assert routing.error_reason == error
    ours = read_data(encoded)
    assert (ours.request_id, ours.routing_error) == (packet_id, error)


@given(
    reply_id=st.integers(0, 2**32 - 1), dest=st.integers(0, 2**32 - 1), want_response=st.booleans()
)
def test_other_fields_are_read_or_skipped(reply_id: int, dest: int, want_response: bool) -> None:
    """Fields that the mesh has no use for do not disturb it."""
    theirs = mesh_pb2.Data(
        portnum=1, payload=b"x", want_response=want_response, reply_id=reply_id, dest=dest, emoji=1
    )
    ours = read_data(theirs.SerializeToString())
    assert (ours.reply_id, ours.want_response, ours.payload) == (reply_id, want_response, b"x")


@given(st.binary(max_size=300))
def test_random_bytes_read_as_something(encoded: bytes) -> None:
    """What is malformed is never an exception."""
    data = read_data(encoded)
    assert data.port >= 0
    assert data.routing_error is None or data.routing_error >= 0


def test_the_largest_payload_of_a_private_port_is_231_bytes() -> None:
    """231 bytes fill the frame; a public-key message has room for 12 less."""
    largest = Packet(1, BROADCAST, 1, private_data(b"x" * 231))
    assert largest.frame_bytes == 255
    secret = Packet(1, 2, 1, private_data(b"x" * 219), key=frozenset((1, 2)))
    assert secret.frame_bytes == 255


@pytest.mark.parametrize(
    ("start", "limit", "away"), [(3, 3, 0), (3, 1, 2), (0, 0, None), (2, 3, None)]
)
def test_hops_made_follow_from_start_and_limit(start: int, limit: int, away: int | None) -> None:
    """They are unknown if the sender did not say where it started."""
    assert Packet(1, 2, 3, b"", hop_start=start, hop_limit=limit).hops_away == away


def test_a_copy_can_be_changed_by_itself() -> None:
    """A relay's hop limit is its own."""
    packet = Packet(1, 2, 3, b"", hop_limit=3)
    copy = packet.copy()
    copy.hop_limit = 2
    assert (packet.hop_limit, copy.hop_limit, copy.sender) == (3, 2, 1)


@pytest.mark.parametrize(
    ("data", "want_ack", "priority"),
    [
        (routing_data(5, 0), False, wire.ACK),
        (private_data(b"", wire.TEXT_MESSAGE_APP), False, wire.HIGH),
        (private_data(b"", wire.ADMIN_APP), True, wire.HIGH),
        (private_data(b""), True, wire.RELIABLE),
        (private_data(b""), False, wire.DEFAULT),
        (private_data(b"") + b"\x35\x01\x00\x00\x00", True, wire.RESPONSE),
        (private_data(b"") + b"\x18\x01", False, wire.RELIABLE),
    ],
)
def test_packets_without_a_priority_get_the_firmwares(
    data: bytes, want_ack: bool, priority: int
) -> None:
    """Acknowledgements first, then texts, answers, reliable packets, the rest."""
    assert wire.default_priority(want_ack, read_data(data)) == priority
