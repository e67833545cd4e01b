"""The channel table: roles, names, keys, hashes, precision."""

from __future__ import annotations

import pytest

from sim.meshtastic.crypto import DEFAULT_KEY

pytest.importorskip("meshtastic", reason="the package meshtastic (extra mesh) is not installed")

from sim.meshtastic.channels import ChannelTable, Role, preset_name
from sim.meshtastic.protobufs import channel_pb2, config_pb2
from tests.sim.meshtastic.bench import Bench

LoRa = config_pb2.Config.LoRaConfig


@pytest.fixture
def table() -> ChannelTable:
    """Factory channels under LONG_FAST."""
    lora = LoRa(use_preset=True, modem_preset=LoRa.ModemPreset.LONG_FAST)
    return ChannelTable(lambda: lora)


def channel(index: int, role: int, name: str = "", psk: bytes = b"") -> channel_pb2.Channel:
    """Make a channel."""
    made = channel_pb2.Channel(index=index, role=role)
    made.settings.name = name
    made.settings.psk = psk
    return made


def test_factory_channel_is_public(table: ChannelTable) -> None:
    """Named after the preset, with the key that everybody knows; hash 8."""
    assert (table.name(0), table.key(0), table.hash(0)) == ("LongFast", DEFAULT_KEY, 8)
    assert [table.key(index) for index in range(1, 8)] == [None] * 7


def test_a_secondary_channel_without_key_has_the_primarys(table: ChannelTable) -> None:
    """It differs by its name alone."""
    table.set(channel(1, Role.SECONDARY, "admin"))
    assert table.key(1) == DEFAULT_KEY
    assert table.hash(1) != table.hash(0)


def test_there_is_one_primary_channel(table: ChannelTable) -> None:
    """A new one demotes the old one."""
    table.set(channel(2, Role.PRIMARY, "car", bytes(16)))
    assert table.primary_index == 2
    assert table[0].role == Role.SECONDARY


def test_there_is_always_a_primary_channel(table: ChannelTable) -> None:
    """Switched off it comes back as it left the factory; made secondary it stays what it was."""
    table.set(channel(0, Role.DISABLED))
    assert (table.primary_index, table.key(0)) == (0, DEFAULT_KEY)
    table.set(channel(0, Role.SECONDARY, "mine", bytes(16)))
    assert (table[0].role, table.name(0)) == (Role.PRIMARY, "mine")


def test_channels_have_eight_places(table: ChannelTable) -> None:
    """A ninth is refused, and nothing is found there."""
    with pytest.raises(IndexError):
        table.set(channel(8, Role.SECONDARY))
    assert table.key(8) is None


@pytest.mark.parametrize(
    ("name", "psk", "role"),
    [("x" * 12, b"", 2), ("x", bytes(33), 2), ("x", b"", 3)],
)
def test_what_no_channel_can_be_is_refused(
    table: ChannelTable, name: str, psk: bytes, role: int
) -> None:
    """Too long a name or key, or a role that there is not: nothing changes."""
    with pytest.raises(ValueError, match="channel 1: "):
        table.set(channel(1, role, name, psk))
    assert table.key(1) is None


def test_channel_is_found_by_hash_and_key(table: ChannelTable) -> None:
    """The same hash with another key is another's channel."""
    assert table.find(8, DEFAULT_KEY) == 0
    assert table.find(8, bytes(16)) is None


def test_public_channels_get_15_bits_of_position_at_most(table: ChannelTable) -> None:
    """A key of its own lets a channel have all 32."""
    table[0].settings.module_settings.position_precision = 32
    assert table.position_precision(0) == 15
    secret = channel(1, Role.SECONDARY, "car", bytes(range(32)))
    secret.settings.module_settings.position_precision = 32
    table.set(secret)
    assert table.position_precision(1) == 32


@pytest.mark.parametrize(
    ("lora", "name"),
    [
        (LoRa(use_preset=True, modem_preset=LoRa.ModemPreset.LONG_MODERATE), "LongMod"),
        (LoRa(use_preset=True, modem_preset=LoRa.ModemPreset.SHORT_TURBO), "ShortTurbo"),
        (LoRa(use_preset=True, modem_preset=77), "Invalid"),
        (LoRa(), "Custom"),
    ],
)
def test_channel_without_name_is_called_as_the_preset(lora: LoRa, name: str) -> None:
    """So another preset changes the hash too."""
    assert preset_name(lora) == name


def test_node_reads_what_the_table_can_read() -> None:
    """A channel that is added is read from then on."""
    bench = Bench()
    bench.client.connect()
    assert len(bench.radio.node.keys) == 1
    bench.client.admin(bench.radio, set_channel=channel(1, Role.SECONDARY, "car", bytes(16)))
    assert (bench.radio.settings.channels.hash(1), bytes(16)) in bench.radio.node.keys
