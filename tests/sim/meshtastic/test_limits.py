"""Fields that the firmware's decoder has no room for."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("meshtastic", reason="the package meshtastic (extra mesh) is not installed")

from sim.meshtastic.limits import GREATEST, LONGEST_BYTES, MOST_ITEMS, too_large
from sim.meshtastic.protobufs import (
    admin_pb2,
    channel_pb2,
    config_pb2,
    mesh_pb2,
    module_config_pb2,
)
from tests.sim.meshtastic.bench import Bench, Port

Config = config_pb2.Config


def _messages(descriptor: Any) -> list[Any]:
    return [descriptor, *(m for n in descriptor.nested_types for m in _messages(n))]


def test_every_limit_is_one_of_a_field() -> None:
    """A name that is written wrongly would limit nothing."""
    modules = (admin_pb2, channel_pb2, config_pb2, mesh_pb2, module_config_pb2)
    known = {
        f"{message.name}.{field.name}"
        for module in modules
        for top in module.DESCRIPTOR.message_types_by_name.values()
        for message in _messages(top)
        for field in message.fields
    }
    assert set(LONGEST_BYTES) | set(MOST_ITEMS) | set(GREATEST) <= known


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (mesh_pb2.User(long_name="x" * 39, short_name="äö"), None),
        (mesh_pb2.User(long_name="x" * 40), "User.long_name"),
        (mesh_pb2.User(short_name="äöü"), "User.short_name"),
        (mesh_pb2.Data(payload=bytes(233)), None),
        (
            mesh_pb2.ToRadio(packet=mesh_pb2.MeshPacket(decoded=mesh_pb2.Data(payload=bytes(234)))),
            "Data.payload",
        ),
        (mesh_pb2.MeshPacket(channel=256), "MeshPacket.channel"),
        (mesh_pb2.MeshPacket(hop_limit=255), None),
        (Config.SecurityConfig(admin_key=[bytes(32)] * 3), None),
        (Config.SecurityConfig(admin_key=[bytes(32)] * 4), "SecurityConfig.admin_key"),
        (Config.SecurityConfig(admin_key=[bytes(33)]), "SecurityConfig.admin_key"),
    ],
)
def test_the_field_that_is_too_large_is_found(message: Any, field: str | None) -> None:
    """At any depth: in bytes of UTF-8, items of a list, or by value."""
    assert too_large(message) == field


@pytest.fixture
def bench() -> Bench:
    """A radio with its client."""
    bench = Bench()
    bench.client.connect()
    return bench


def test_a_payload_over_the_decoders_buffer_is_no_packet_at_all(bench: Bench) -> None:
    """At 233 bytes it is refused as too large; at 234 there is no answer."""
    client = bench.client
    packet_id = client.send(bytes(233), wait_s=0.5)
    assert [status.res for status in client.statuses(packet_id)] == [7]
    packet_id = client.send(bytes(234), wait_s=0.5)
    assert not client.statuses(packet_id)
    assert bench.radio.counters["malformed"] == 1


def test_a_name_that_is_too_long_changes_nothing(bench: Bench) -> None:
    """It is not cut: the command is dropped, and only who asked for an answer gets one."""
    client, radio = bench.client, bench.radio
    user = mesh_pb2.User(long_name="x" * 40)
    assert client.admin(radio, set_owner=user) == "NO_RESPONSE"
    request = admin_pb2.AdminMessage(set_owner=user).SerializeToString()
    packet_id = client.send(
        request, to=radio.number, port=Port.ADMIN_APP, want_ack=True, wait_s=0.5
    )
    assert client.acks(packet_id) == []
    assert radio.settings.owner.long_name == "telerig"
    assert radio.counters["undecodable"] == 2
