"""The eight channels of a radio: their roles, names, keys and hashes.

Source: firmware, src/mesh/Channels.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sim.meshtastic.crypto import DEFAULT_KEY, channel_hash, expand_key
from sim.meshtastic.protobufs import channel_pb2, config_pb2

CHANNELS = 8
ADMIN_CHANNEL = "admin"
LONGEST_NAME_BYTES = 11
LONGEST_KEY_BYTES = 32
DEFAULT_PRECISION_BITS = 13
PUBLIC_PRECISION_BITS = 15  # the most on a channel whose key everybody knows
Role = channel_pb2.Channel.Role

# DisplayFormatters.cpp: what a channel without a name is called, by preset.
PRESET_NAMES = {
    "SHORT_TURBO": "ShortTurbo",
    "SHORT_FAST": "ShortFast",
    "SHORT_SLOW": "ShortSlow",
    "MEDIUM_TURBO": "MediumTurbo",
    "MEDIUM_FAST": "MediumFast",
    "MEDIUM_SLOW": "MediumSlow",
    "LONG_TURBO": "LongTurbo",
    "LONG_FAST": "LongFast",
    "LONG_MODERATE": "LongMod",
    "LONG_SLOW": "LongSlow",
}


def preset_name(lora: Any) -> str:
    """Return what a channel without a name is called under a LoRa configuration."""
    if not lora.use_preset:
        return "Custom"
    presets = config_pb2.Config.LoRaConfig.ModemPreset
    if lora.modem_preset not in presets.values():
        return "Invalid"
    return PRESET_NAMES.get(presets.Name(lora.modem_preset), "Invalid")


class ChannelTable:
    """The channels, with index 0 to 7.

    Args:
        lora: gives the LoRa configuration in force: it names channels that have no name.
    """

    def __init__(self, lora: Callable[[], Any]) -> None:
        self._lora = lora
        self._channels: list[Any] = []
        self.set_defaults()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._channels)

    def __getitem__(self, index: int) -> Any:
        return self._channels[index]

    def set_defaults(self) -> None:
        """One public channel with positions of a kilometre's precision, seven that are off."""
        self._channels = [channel_pb2.Channel(index=index) for index in range(CHANNELS)]
        primary = self._channels[0]
        primary.role = Role.PRIMARY
        primary.settings.psk = b"\1"
        primary.settings.module_settings.position_precision = DEFAULT_PRECISION_BITS

    def load(self, channels: list[bytes]) -> None:
        """Take channels out of the flash."""
        self._channels = [channel_pb2.Channel.FromString(data) for data in channels]

    def dump(self) -> list[bytes]:
        """Return the channels for the flash."""
        return [bytes(channel.SerializeToString()) for channel in self._channels]

    def set(self, channel: Any) -> None:
        """Take a channel from a client; there is one primary channel, and always one.

        Raises:
            IndexError: there is no such channel.
            ValueError: name or key are longer than they can be, or the role is none.
        """
        if not 0 <= channel.index < CHANNELS:
            raise IndexError(channel.index)
        name, psk = channel.settings.name.encode(), channel.settings.psk
        if len(name) > LONGEST_NAME_BYTES or len(psk) > LONGEST_KEY_BYTES:
            raise ValueError(f"channel {channel.index}: name or key too long")
        if channel.role not in Role.values():
            raise ValueError(f"channel {channel.index}: no role {channel.role}")
        if channel.role == Role.PRIMARY:
            for other in self._channels:
                if other.role == Role.PRIMARY:
                    other.role = Role.SECONDARY
        self._channels[channel.index].CopyFrom(channel)
        for index, each in enumerate(self._channels):
            self._fix(index, each)
        if not any(each.role == Role.PRIMARY for each in self._channels):
            self._restore_primary()

    def decrypt(self) -> bool:
        """Take every key away and switch the admin channel off; True: something changed."""
        changed = False
        for channel in self._channels:
            admin = channel.settings.name.lower() == ADMIN_CHANNEL
            changed |= bool(channel.settings.psk) or (admin and channel.role != Role.DISABLED)
            channel.settings.psk = b""
            if admin:
                channel.role = Role.DISABLED
        return changed

    def _fix(self, index: int, channel: Any) -> None:
        channel.index = index
        if not channel.HasField("settings"):
            channel.role = Role.DISABLED
            channel.settings.SetInParent()
        elif channel.settings.name == "Default":
            channel.settings.name = ""

    def _restore_primary(self) -> None:
        if self._channels[0].role == Role.SECONDARY:
            self._channels[0].role = Role.PRIMARY
            return
        secondaries = self._channels[1:]
        self.set_defaults()
        self._channels[1:] = secondaries

    @property
    def primary_index(self) -> int:
        """Index of the primary channel."""
        return next(i for i, c in enumerate(self._channels) if c.role == Role.PRIMARY)

    def name(self, index: int) -> str:
        """Return a channel's name; without one it is called as the preset."""
        return str(self._channels[index].settings.name) or preset_name(self._lora())

    def key(self, index: int) -> bytes | None:
        """Return a channel's key, empty where nothing is encrypted; None: the channel is off."""
        if not 0 <= index < CHANNELS:
            return None
        channel = self._channels[index]
        if channel.role == Role.DISABLED:
            return None
        psk = bytes(channel.settings.psk)
        if not psk and channel.role == Role.SECONDARY and index != self.primary_index:
            return self.key(self.primary_index)
        return expand_key(psk)

    def hash(self, index: int) -> int | None:
        """Return the byte by which a channel's packets are told; None: the channel is off."""
        key = self.key(index)
        return None if key is None else channel_hash(self.name(index), key)

    def find(self, hash_: int, key: bytes) -> int | None:
        """Return the index of the channel that reads packets with this hash and key, if any."""
        for index in range(CHANNELS):
            if self.hash(index) == hash_ and self.key(index) == key:
                return index
        return None

    def position_precision(self, index: int) -> int:
        """Return how many bits of a coordinate are sent on a channel: 0 none, 32 all."""
        bits = int(self._channels[index].settings.module_settings.position_precision)
        key = self.key(index)
        public = not key or key[:-1] == DEFAULT_KEY[:-1]
        return min(bits, PUBLIC_PRECISION_BITS) if public else bits
