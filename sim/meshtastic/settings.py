"""What a radio remembers: its configuration, channels, owner and texts, in a flash.

The flash is a dict from outside, so it outlives the radio's power and the radio itself. Defaults
are those of firmware, src/mesh/NodeDB.cpp (installDefaultConfig, installDefaultModuleConfig).
"""

from __future__ import annotations

import random
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from sim.lora.regions import REGIONS
from sim.meshtastic.channels import LONGEST_NAME_BYTES, ChannelTable
from sim.meshtastic.crypto import KEY_BYTES, public_key
from sim.meshtastic.errors import RadioSettingError
from sim.meshtastic.protobufs import (
    config_pb2,
    device_ui_pb2,
    localonly_pb2,
    mesh_pb2,
    module_config_pb2,
)

Flash = MutableMapping[str, bytes]
LoRa = config_pb2.Config.LoRaConfig
Role = config_pb2.Config.DeviceConfig.Role

STATE_VERSION = 24  # DEVICESTATE_CUR_VER of firmware 2.7
DEFAULT_HOP_LIMIT = 3
MOST_HOPS = 7
LONGEST_LONG_NAME_BYTES = 39
LONGEST_SHORT_NAME_BYTES = 4
DAY_S = 86400
NEVER_S = 0xFFFFFFFF
MQTT_ROOT = "msh"
_Flags = config_pb2.Config.PositionConfig.PositionFlags
_TAK_FLAGS = _Flags.ALTITUDE | _Flags.SPEED | _Flags.HEADING | _Flags.DOP
CONFIG_SECTIONS = tuple(
    field.name for field in config_pb2.Config.DESCRIPTOR.fields if field.message_type is not None
)
MODULE_SECTIONS = tuple(
    field.name
    for field in sorted(
        module_config_pb2.ModuleConfig.DESCRIPTOR.fields, key=lambda field: field.number
    )
)


@dataclass(frozen=True, slots=True)
class RadioSetup:
    """How a radio is set up when it is first switched on; later its flash decides.

    Attributes:
        name: the owner's long name.
        short_name: up to four characters; empty for the last four digits of the node's number.
        preset, region: as Meshtastic names them ("LONG_FAST", "EU_868").
        role: "CLIENT", "ROUTER", "CLIENT_MUTE"...
        tx_power_dbm: 0 for the region's limit.
        channel_name, channel_psk: of the primary channel; the public one without them.
        position_precision_bits: how much of its position it gives there (0 none, 32 all).
        hw_model: as Meshtastic names it.
        gps: it has a receiver of its own, so it knows the time and where it is.
    """

    name: str = ""
    short_name: str = ""
    preset: str = "LONG_FAST"
    region: str = "EU_868"
    role: str = "CLIENT"
    hop_limit: int = DEFAULT_HOP_LIMIT
    tx_power_dbm: int = 0
    channel_name: str = ""
    channel_psk: bytes = b"\1"
    position_precision_bits: int = 13
    hw_model: str = "HELTEC_V3"
    gps: bool = True

    def __post_init__(self) -> None:
        _choice("preset", self.preset, LoRa.ModemPreset)
        _choice("region", self.region, LoRa.RegionCode)
        _choice("role", self.role, Role)
        _choice("hw_model", self.hw_model, mesh_pb2.HardwareModel)
        _most("name", self.name, LONGEST_LONG_NAME_BYTES)
        _most("short_name", self.short_name, LONGEST_SHORT_NAME_BYTES)
        _most("channel_name", self.channel_name, LONGEST_NAME_BYTES)
        if len(self.channel_psk) not in (0, 1, 16, 32):
            raise RadioSettingError(
                f"channel_psk: expected 0, 1, 16 or 32 bytes, got {len(self.channel_psk)}"
            )
        if not 1 <= self.hop_limit <= MOST_HOPS:
            raise RadioSettingError(f"hop_limit: expected 1 to {MOST_HOPS}, got {self.hop_limit}")
        if not 0 <= self.position_precision_bits <= 32:
            raise RadioSettingError(
                f"position_precision_bits: expected 0 to 32, got {self.position_precision_bits}"
            )


class Settings:
    """The settings in force, and their way into the flash and out of it.

    Attributes:
        config, modules: `LocalConfig` and `LocalModuleConfig`.
        channels: the channel table.
        owner: `User`: names, role, hardware and public key of this node.
        ui: `DeviceUIConfig`.
        canned_messages, ringtone: texts of two modules.
        fixed_position: `Position`; empty if there is none.
        reboots: how often the radio has booted.
    """

    def __init__(self, number: int, setup: RadioSetup, flash: Flash, stream: random.Random) -> None:
        self._number = number
        self._setup = setup
        self._flash = flash
        self._stream = stream
        self.config: Any = localonly_pb2.LocalConfig()
        self.modules: Any = localonly_pb2.LocalModuleConfig()
        self.channels = ChannelTable(lambda: self.config.lora)
        self.owner: Any = mesh_pb2.User()
        self.ui: Any = device_ui_pb2.DeviceUIConfig()
        self.canned_messages = ""
        self.ringtone = ""
        self.fixed_position: Any = mesh_pb2.Position()
        self.reboots = 0
        if "config" in flash:
            self.load()
        else:
            self._leave_the_factory(keep_key=False)
            self._apply_setup()
            self.save()

    # -- flash -----------------------------------------------------------------------------------
    def save(self) -> None:
        """Write everything into the flash."""
        flash = self._flash
        flash["config"] = self.config.SerializeToString()
        flash["modules"] = self.modules.SerializeToString()
        for index, data in enumerate(self.channels.dump()):
            flash[f"channel.{index}"] = data
        flash["owner"] = self.owner.SerializeToString()
        flash["ui"] = self.ui.SerializeToString()
        flash["canned"] = self.canned_messages.encode()
        flash["ringtone"] = self.ringtone.encode()
        flash["position"] = self.fixed_position.SerializeToString()
        flash["reboots"] = str(self.reboots).encode()

    def load(self) -> None:
        """Read everything out of the flash, as at boot: what was not saved is gone."""
        flash = self._flash
        self.config = localonly_pb2.LocalConfig.FromString(flash["config"])
        self.modules = localonly_pb2.LocalModuleConfig.FromString(flash["modules"])
        self.channels.load([flash[f"channel.{index}"] for index in range(8)])
        self.owner = mesh_pb2.User.FromString(flash["owner"])
        self.ui = device_ui_pb2.DeviceUIConfig.FromString(flash["ui"])
        self.canned_messages = flash["canned"].decode()
        self.ringtone = flash["ringtone"].decode()
        self.fixed_position = mesh_pb2.Position.FromString(flash["position"])
        self.reboots = int(flash["reboots"])

    def backup(self) -> None:
        """Keep a second copy of what is saved now."""
        self.save()
        for key in [key for key in self._flash if not key.startswith(("backup.", "node."))]:
            self._flash[f"backup.{key}"] = self._flash[key]

    def restore(self) -> bool:
        """Return to the second copy; False if there is none."""
        kept = {key: data for key, data in self._flash.items() if key.startswith("backup.")}
        for key, data in kept.items():
            self._flash[key.removeprefix("backup.")] = data
        if kept:
            self.load()
        return bool(kept)

    def forget_backup(self) -> None:
        """Delete the second copy."""
        for key in [key for key in self._flash if key.startswith("backup.")]:
            del self._flash[key]

    @property
    def files(self) -> list[tuple[str, int]]:
        """Name and size of the files that a client is told of."""
        flash = self._flash
        channels = sum(len(flash[f"channel.{index}"]) for index in range(8))
        return [
            ("/prefs/config.proto", len(flash["config"])),
            ("/prefs/module.proto", len(flash["modules"])),
            ("/prefs/channels.proto", channels),
            ("/prefs/device.proto", len(flash["owner"])),
        ]

    # -- factory ---------------------------------------------------------------------------------
    def factory_reset(self, *, keep_key: bool) -> None:
        """Return to what the firmware installs itself: no region, so nothing can be sent."""
        private = bytes(self.config.security.private_key)
        self._leave_the_factory(keep_key=keep_key, private=private)
        self.save()

    def _leave_the_factory(self, *, keep_key: bool, private: bytes = b"") -> None:
        number = self._number
        self.config = localonly_pb2.LocalConfig(version=STATE_VERSION)
        self.modules = localonly_pb2.LocalModuleConfig(version=STATE_VERSION)
        self.channels.set_defaults()
        self.ui = device_ui_pb2.DeviceUIConfig(screen_brightness=153, screen_timeout=30)
        self.canned_messages = ""
        self.ringtone = "24:d=32,o=5,b=565:f6,p,f6,4p,p,f6,p,f6,2p,p,b6,p,b6,p,b6,p,b6,p,b,p,b"
        self.fixed_position = mesh_pb2.Position()
        self._default_config()
        self._default_modules()
        digits = f"{number & 0xFFFF:04x}"
        self.owner = mesh_pb2.User(
            id=f"!{number:08x}",
            long_name=f"Meshtastic {digits}",
            short_name=digits,
            macaddr=b"\x24\x6f" + number.to_bytes(4, "big"),
            hw_model=mesh_pb2.HardwareModel.Value(self._setup.hw_model),
            is_unmessagable=False,
        )
        self.set_private_key(private if keep_key and len(private) == KEY_BYTES else b"")

    def _default_config(self) -> None:
        config = self.config
        config.device.node_info_broadcast_secs = 3 * 3600
        config.position.position_broadcast_secs = 15 * 60
        config.position.position_broadcast_smart_enabled = True
        config.position.broadcast_smart_minimum_distance = 100
        config.position.broadcast_smart_minimum_interval_secs = 30
        config.position.gps_update_interval = 120
        config.position.gps_mode = (
            config_pb2.Config.PositionConfig.GpsMode.ENABLED
            if self._setup.gps
            else config_pb2.Config.PositionConfig.GpsMode.NOT_PRESENT
        )
        flags = config_pb2.Config.PositionConfig.PositionFlags
        config.position.position_flags = (
            flags.ALTITUDE | flags.ALTITUDE_MSL | flags.DOP | flags.SATINVIEW
            | flags.SEQ_NO | flags.TIMESTAMP | flags.HEADING | flags.SPEED
        )  # fmt: skip
        config.power.ls_secs = 300
        config.power.sds_secs = 0xFFFFFFFF
        config.power.min_wake_secs = 10
        config.power.wait_bluetooth_secs = 60
        config.network.ntp_server = "meshtastic.pool.ntp.org"
        config.network.enabled_protocols = 1
        config.display.screen_on_secs = 600
        lora = config.lora
        lora.use_preset = True
        lora.modem_preset = LoRa.ModemPreset.LONG_FAST
        lora.region = LoRa.RegionCode.UNSET
        lora.hop_limit = DEFAULT_HOP_LIMIT
        lora.tx_enabled = True
        lora.sx126x_rx_boosted_gain = True
        config.bluetooth.enabled = True
        config.bluetooth.fixed_pin = 123456
        config.security.serial_enabled = True

    def _default_modules(self) -> None:
        modules = self.modules
        modules.mqtt.address = "mqtt.meshtastic.org"
        modules.mqtt.username = "meshdev"
        modules.mqtt.password = "large4cats"
        modules.mqtt.root = MQTT_ROOT
        modules.mqtt.encryption_enabled = True
        modules.telemetry.device_update_interval = 1800
        modules.telemetry.environment_update_interval = 1800
        modules.telemetry.device_telemetry_enabled = True
        modules.neighbor_info.update_interval = 6 * 3600
        modules.detection_sensor.minimum_broadcast_secs = 45
        modules.ambient_lighting.current = 10

    def _apply_setup(self) -> None:
        """What a person sets when the radio is new."""
        setup = self._setup
        lora = self.config.lora
        lora.region = LoRa.RegionCode.Value(setup.region)
        lora.modem_preset = LoRa.ModemPreset.Value(setup.preset)
        lora.hop_limit = setup.hop_limit
        lora.tx_power = setup.tx_power_dbm
        if setup.region != "UNSET":
            self.first_region()
        self.config.device.role = Role.Value(setup.role)
        self.install_role_defaults(self.config.device.role)
        self.owner.role = self.config.device.role
        if setup.name:
            self.owner.long_name = setup.name
            self.owner.short_name = setup.name[:LONGEST_SHORT_NAME_BYTES]
        if setup.short_name:
            self.owner.short_name = setup.short_name
        primary = self.channels[0].settings
        primary.name = setup.channel_name
        primary.psk = setup.channel_psk
        primary.module_settings.position_precision = setup.position_precision_bits

    def first_region(self) -> None:
        """What follows from a region where there was none: it may send, MQTT gets the topic."""
        lora, mqtt = self.config.lora, self.modules.mqtt
        lora.tx_enabled = True
        region = REGIONS.get(self.region)
        if region is not None and region.duty_cycle_pct < 100:
            lora.ignore_mqtt = True
        if mqtt.root == MQTT_ROOT:
            mqtt.root = f"{MQTT_ROOT}/{self.region}"

    def install_role_defaults(self, role: int) -> None:
        """Set what a role brings with it, when it is new."""
        config, telemetry = self.config, self.modules.telemetry
        modes = config.device.RebroadcastMode
        if role in (
            *(Role.ROUTER, Role.ROUTER_LATE, Role.REPEATER),
            *(Role.SENSOR, Role.TRACKER, Role.TAK_TRACKER),
        ):
            self.owner.is_unmessagable = True
        if role in (Role.ROUTER, Role.REPEATER):
            config.device.rebroadcast_mode = modes.CORE_PORTNUMS_ONLY
        if role == Role.ROUTER:  # 0 leaves it to the firmware
            telemetry.device_update_interval = telemetry.environment_update_interval = 0
            self.modules.neighbor_info.update_interval = 0
        elif role == Role.SENSOR:
            telemetry.environment_measurement_enabled = True
            telemetry.environment_update_interval = 300
        elif role == Role.LOST_AND_FOUND:
            config.position.position_broadcast_smart_enabled = False
            config.position.position_broadcast_secs = 300
        elif role in (Role.TAK, Role.TAK_TRACKER):
            config.device.node_info_broadcast_secs = DAY_S
            config.position.position_flags = _TAK_FLAGS
            telemetry.device_update_interval = DAY_S
            moving = role == Role.TAK_TRACKER
            config.position.position_broadcast_smart_enabled = moving
            config.position.position_broadcast_secs = 180 if moving else DAY_S
        elif role == Role.CLIENT_HIDDEN:
            config.device.rebroadcast_mode = modes.LOCAL_ONLY
            config.device.node_info_broadcast_secs = NEVER_S
            config.position.position_broadcast_smart_enabled = False
            config.position.position_broadcast_secs = NEVER_S
            telemetry.device_update_interval = NEVER_S

    # -- keys ------------------------------------------------------------------------------------
    def set_private_key(self, private: bytes) -> None:
        """Take a private key, or make one; the public one follows."""
        security = self.config.security
        if len(private) != KEY_BYTES:
            private = self._stream.randbytes(KEY_BYTES)
        security.private_key = private
        security.public_key = public_key(private)
        self.owner.public_key = security.public_key

    # -- names for the node below ----------------------------------------------------------------
    @property
    def preset(self) -> str:
        """The modem preset's name."""
        return str(LoRa.ModemPreset.Name(self.config.lora.modem_preset))

    @property
    def region(self) -> str:
        """The region's name; "UNSET" sends nothing."""
        return str(LoRa.RegionCode.Name(self.config.lora.region))

    @property
    def role(self) -> str:
        """The role's name."""
        return str(Role.Name(self.config.device.role))

    @property
    def hop_limit(self) -> int:
        """Hops that a packet of its own gets."""
        hops = int(self.config.lora.hop_limit)
        return min(hops, MOST_HOPS) if hops else DEFAULT_HOP_LIMIT


def _choice(what: str, name: str, names: Any) -> None:
    if name not in names.keys():  # noqa: SIM118  an enum of protobuf is no mapping
        raise RadioSettingError(f"{what}: expected one of {', '.join(names.keys())}; got {name!r}")


def _most(what: str, text: str, most_bytes: int) -> None:
    if len(text.encode()) > most_bytes:
        raise RadioSettingError(
            f"{what}: expected at most {most_bytes} bytes of UTF-8, got {len(text.encode())}"
        )
