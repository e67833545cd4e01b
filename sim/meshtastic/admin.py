"""Messages that read and change a radio's settings, from its client or over the mesh.

Source: firmware 2.7, src/modules/AdminModule.cpp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from sim.meshtastic.channels import ADMIN_CHANNEL, CHANNELS
from sim.meshtastic.limits import too_large
from sim.meshtastic.phone import config_section, module_section
from sim.meshtastic.protobufs import (
    admin_pb2,
    config_pb2,
    connection_status_pb2,
    mesh_pb2,
)
from sim.meshtastic.services import IGNORED
from sim.meshtastic.settings import (
    CONFIG_SECTIONS,
    MODULE_SECTIONS,
    MOST_HOPS,
    LoRa,
)

if TYPE_CHECKING:
    from sim.meshtastic.radio import Radio

Error = mesh_pb2.Routing.Error

REBOOT_S = 7.0  # DEFAULT_REBOOT_SECONDS: from a change to the reboot that it needs
PASSKEY_BYTES = 8
PASSKEY_RENEW_S = 150.0
PASSKEY_LIFE_S = 300.0
LEAST_NODE_INFO_S = 3600
LEAST_BATTERY_SHUTDOWN_S = 30
LICENSED_NOTICE = "Licensed mode activated, removing admin channel and encryption from all channels"
# Parts of the LoRa configuration that the chip takes up only when it is started anew.
_LORA_REBOOT = (
    "use_preset", "region", "modem_preset", "bandwidth", "spread_factor", "coding_rate", "tx_power",
    "frequency_offset", "override_frequency", "channel_num", "sx126x_rx_boosted_gain",
)  # fmt: skip
_DEVICE_REBOOT = ("button_gpio", "buzzer_gpio", "role", "rebroadcast_mode")
_POWER_REBOOT = (
    "device_battery_ina_address", "is_power_saving", "ls_secs", "min_wake_secs",
    "on_battery_shutdown_after_secs", "sds_secs", "wait_bluetooth_secs",
)  # fmt: skip
_DISPLAY_REBOOT = ("screen_on_secs", "flip_screen", "oled", "displaymode")
_SECURITY_REBOOT = ("debug_log_api_enabled", "serial_enabled")

Reply = admin_pb2.AdminMessage


class Admin:
    """Answers admin messages.

    `handle` returns the answer: an `AdminMessage`, a routing error number (0 is an
    acknowledgement), None where none is asked for, or IGNORED where nothing at all is due.
    """

    def __init__(self, radio: Radio) -> None:
        self._radio = radio
        self._editing = False
        self._passkey = b""
        self._passkey_s = 0.0
        self._actions: dict[str, Callable[[Any, Any], Any]] = {
            "get_channel_request": self._get_channel,
            "get_owner_request": self._get_owner,
            "get_config_request": self._get_config,
            "get_module_config_request": self._get_module_config,
            "get_canned_message_module_messages_request": self._get_canned_messages,
            "get_ringtone_request": self._get_ringtone,
            "get_device_metadata_request": self._get_metadata,
            "get_device_connection_status_request": self._get_connection_status,
            "get_node_remote_hardware_pins_request": self._get_pins,
            "get_ui_config_request": self._get_ui,
            "set_owner": self._set_owner,
            "set_channel": self._set_channel,
            "set_config": self._set_config,
            "set_module_config": self._set_module_config,
            "set_canned_message_module_messages": self._set_canned_messages,
            "set_ringtone_message": self._set_ringtone,
            "set_ham_mode": self._set_ham_mode,
            "store_ui_config": self._store_ui,
            "remove_by_nodenum": self._remove_node,
            "set_favorite_node": self._set_favorite,
            "remove_favorite_node": self._remove_favorite,
            "set_ignored_node": self._set_ignored,
            "remove_ignored_node": self._remove_ignored,
            "toggle_muted_node": self._toggle_muted,
            "add_contact": self._add_contact,
            "set_fixed_position": self._set_fixed_position,
            "remove_fixed_position": self._remove_fixed_position,
            "set_time_only": self._set_time,
            "begin_edit_settings": self._begin,
            "commit_edit_settings": self._commit,
            "reboot_seconds": self._reboot,
            "reboot_ota_seconds": self._reboot,
            "ota_request": self._start_ota,
            "shutdown_seconds": self._shutdown,
            "factory_reset_config": self._reset_config,
            "factory_reset_device": self._reset_device,
            "nodedb_reset": self._reset_nodes,
            "backup_preferences": self._backup,
            "restore_preferences": self._restore,
            "remove_backup_preferences": self._forget_backup,
        }

    def reset(self) -> None:
        """Boot: an open transaction is gone, and so is the passkey."""
        self._editing = False
        self._passkey = b""

    def handle(self, packet: Any) -> Any:
        """Do what a packet on the admin port asks for. Its `from` is 0 if a client sent it."""
        radio = self._radio
        asked = packet.decoded.want_response
        try:
            request = admin_pb2.AdminMessage.FromString(packet.decoded.payload)
        except DecodeError:
            request = None
        if request is None or too_large(request) is not None:
            radio.counters["undecodable"] += 1
            return Error.NO_RESPONSE if asked else IGNORED
        kind = request.WhichOneof("payload_variant") or ""
        answer = self._refusal(packet, request, kind)
        if answer is None and kind in self._actions:
            radio.log("INFO", f"[Router] Handle admin payload {kind}")
            answer = self._actions[kind](getattr(request, kind), packet)
        if isinstance(answer, Reply):
            answer.session_passkey = self._current_passkey()
        if not asked:
            return None  # a refusal too: what came is acknowledged, and nothing more
        return Error.NONE if answer is None else answer

    # -- who may ---------------------------------------------------------------------------------
    def _refusal(self, packet: Any, request: Any, kind: str) -> int | None:
        """Return a routing error, or None if the sender may."""
        sender = getattr(packet, "from")
        security = self._radio.settings.config.security
        if kind.endswith("_response"):
            return None
        if sender == 0:
            return int(Error.NO_RESPONSE) if security.is_managed else None
        if packet.pki_encrypted:
            if bytes(packet.public_key) not in [bytes(key) for key in security.admin_key]:
                return int(Error.ADMIN_PUBLIC_KEY_UNAUTHORIZED)
            if self._radio.settings.role != "CLIENT_BASE":
                self._mark(sender, "is_favorite", True)
        elif not self._came_by_admin_channel(packet) or not security.admin_channel_enabled:
            return int(Error.NOT_AUTHORIZED)
        if not kind.endswith("_request") and not self._knows_passkey(request):
            return int(Error.ADMIN_BAD_SESSION_KEY)
        return None

    def _came_by_admin_channel(self, packet: Any) -> bool:
        name = self._radio.settings.channels[packet.channel].settings.name
        return str(name).lower() == ADMIN_CHANNEL

    def _current_passkey(self) -> bytes:
        now_s = self._radio.env.now
        if not self._passkey or now_s > self._passkey_s + PASSKEY_RENEW_S:
            self._passkey = self._radio.stream.randbytes(PASSKEY_BYTES)
            self._passkey_s = now_s
        return self._passkey

    def _knows_passkey(self, request: Any) -> bool:
        fresh = self._radio.env.now < self._passkey_s + PASSKEY_LIFE_S
        return bool(self._passkey) and fresh and bytes(request.session_passkey) == self._passkey

    # -- reading ---------------------------------------------------------------------------------
    def _get_channel(self, one_based: int, packet: Any) -> Any:
        if not 1 <= one_based <= CHANNELS:
            return Error.BAD_REQUEST
        if packet.decoded.want_response:
            return Reply(get_channel_response=self._radio.settings.channels[one_based - 1])
        return None

    def _get_owner(self, _: Any, packet: Any) -> Any:
        if packet.decoded.want_response:
            return Reply(get_owner_response=self._radio.settings.owner)
        return None

    def _get_config(self, number: int, packet: Any) -> Any:
        if not packet.decoded.want_response:
            return None
        reply = Reply()
        reply.get_config_response.SetInParent()
        if 0 <= number < len(CONFIG_SECTIONS):
            section = config_section(self._radio.settings.config, CONFIG_SECTIONS[number])
            reply.get_config_response.CopyFrom(section)
        return reply

    def _get_module_config(self, number: int, packet: Any) -> Any:
        if not packet.decoded.want_response:
            return None
        reply = Reply()
        reply.get_module_config_response.SetInParent()
        if 0 <= number < len(MODULE_SECTIONS):
            section = module_section(self._radio.settings.modules, MODULE_SECTIONS[number])
            reply.get_module_config_response.CopyFrom(section)
        return reply

    def _get_canned_messages(self, _: Any, __: Any) -> Any:
        text = self._radio.settings.canned_messages
        return Reply(get_canned_message_module_messages_response=text)

    def _get_ringtone(self, _: Any, __: Any) -> Any:
        return Reply(get_ringtone_response=self._radio.settings.ringtone)

    def _get_metadata(self, _: Any, __: Any) -> Any:
        return Reply(get_device_metadata_response=self._radio.metadata())

    def _get_connection_status(self, _: Any, __: Any) -> Any:
        radio = self._radio
        status = connection_status_pb2.DeviceConnectionStatus()
        status.wifi.ssid = radio.settings.config.network.wifi_ssid
        status.wifi.status.is_connected = radio.tcp.api is not None
        status.bluetooth.pin = radio.settings.config.bluetooth.fixed_pin
        status.serial.baud = radio.baud
        status.serial.is_connected = True
        return Reply(get_device_connection_status_response=status)

    def _get_pins(self, _: Any, __: Any) -> Any:
        reply = Reply()
        reply.get_node_remote_hardware_pins_response.SetInParent()
        return reply

    def _get_ui(self, _: Any, __: Any) -> Any:
        return Reply(get_ui_config_response=self._radio.settings.ui)

    # -- settings --------------------------------------------------------------------------------
    def _saved(self, *, reboot: bool) -> None:
        """Write the flash, unless a transaction is open; reboot where the change needs it."""
        if self._editing:
            return
        self._radio.settings_changed()
        if reboot:
            self._radio.reboot(REBOOT_S)

    def _set_owner(self, user: Any, _: Any) -> Any:
        if any(text and not text.strip() for text in (user.long_name, user.short_name)):
            return Error.BAD_REQUEST
        owner = self._radio.settings.owner
        before = owner.SerializeToString()
        if user.long_name:
            owner.long_name = user.long_name
        if user.short_name:
            owner.short_name = user.short_name
        if owner.is_licensed != user.is_licensed:
            owner.is_licensed = user.is_licensed
            self._keep_to_licence()
        if user.HasField("is_unmessagable"):
            owner.is_unmessagable = user.is_unmessagable
        if owner.SerializeToString() != before:
            if not self._editing:
                self._radio.services.send_node_info()
            self._saved(reboot=True)
        return None

    def _set_channel(self, channel: Any, _: Any) -> Any:
        try:
            self._radio.settings.channels.set(channel)
        except (IndexError, ValueError):
            return Error.BAD_REQUEST
        self._keep_to_licence()
        self._saved(reboot=False)
        return None

    def _keep_to_licence(self) -> None:
        """A licensed operator sends nothing encrypted."""
        settings = self._radio.settings
        if settings.owner.is_licensed and settings.channels.decrypt():
            self._radio.notify(LICENSED_NOTICE)

    def _set_config(self, new: Any, _: Any) -> Any:
        section = new.WhichOneof("payload_variant")
        config = self._radio.settings.config
        if section is None or section not in config.DESCRIPTOR.fields_by_name:
            return None  # session key and UI: the firmware does nothing
        if section == "lora" and new.lora.region == LoRa.RegionCode.LORA_24:
            return Error.BAD_REQUEST  # the chip knows no 2.4 GHz
        old = type(getattr(config, section))()
        old.CopyFrom(getattr(config, section))
        value = getattr(config, section)
        value.CopyFrom(getattr(new, section))
        fix = getattr(self, f"_fix_{section}", None)
        reboot = True if fix is None else bool(fix(old, value))
        self._saved(reboot=reboot)
        return None

    def _fix_device(self, old: Any, new: Any) -> bool:
        modes = config_pb2.Config.DeviceConfig.RebroadcastMode
        if new.rebroadcast_mode == modes.NONE and _is_router(new.role):
            new.rebroadcast_mode = modes.ALL
            self._radio.notify("Rebroadcast mode can't be set to NONE for a router role")
        if new.role != old.role:
            self._radio.settings.install_role_defaults(new.role)
        if new.node_info_broadcast_secs < LEAST_NODE_INFO_S:
            new.node_info_broadcast_secs = LEAST_NODE_INFO_S
        roles = config_pb2.Config.DeviceConfig.Role
        if new.role in (roles.ROUTER_CLIENT, roles.REPEATER) or new.role not in roles.values():
            new.role = roles.CLIENT
        self._radio.settings.owner.role = new.role
        return _differ(old, new, _DEVICE_REBOOT)

    def _fix_power(self, old: Any, new: Any) -> bool:
        if 0 < new.on_battery_shutdown_after_secs < LEAST_BATTERY_SHUTDOWN_S:
            new.on_battery_shutdown_after_secs = LEAST_BATTERY_SHUTDOWN_S
        return _differ(old, new, _POWER_REBOOT)

    def _fix_display(self, old: Any, new: Any) -> bool:
        return _differ(old, new, _DISPLAY_REBOOT)

    def _fix_lora(self, old: Any, new: Any) -> bool:
        if new.region not in LoRa.RegionCode.values():
            new.region = old.region
        if new.modem_preset not in LoRa.ModemPreset.values():
            new.modem_preset = old.modem_preset
        if not self._radio.can_use(new):
            self._radio.notify(
                f"Invalid preset {LoRa.ModemPreset.Name(new.modem_preset)} "
                f"for region {LoRa.RegionCode.Name(new.region)}"
            )
            new.CopyFrom(old)
        new.hop_limit = min(new.hop_limit, MOST_HOPS)
        if old.region == LoRa.RegionCode.UNSET and new.region != LoRa.RegionCode.UNSET:
            self._radio.settings.first_region()
        return _differ(old, new, _LORA_REBOOT)

    def _fix_security(self, old: Any, new: Any) -> bool:
        self._radio.settings.set_private_key(bytes(new.private_key))
        if new.is_managed and not any(new.admin_key):
            new.is_managed = False
            self._radio.notify(
                "You must provide at least one admin public key to enable managed mode"
            )
        return _differ(old, new, _SECURITY_REBOOT)

    def _set_module_config(self, new: Any, _: Any) -> Any:
        section = new.WhichOneof("payload_variant")
        if section is None:
            return None
        value = getattr(self._radio.settings.modules, section)
        value.CopyFrom(getattr(new, section))
        self._saved(reboot=section != "statusmessage")
        return None

    def _set_canned_messages(self, text: str, _: Any) -> Any:
        self._radio.settings.canned_messages = text
        self._saved(reboot=False)

    def _set_ringtone(self, text: str, _: Any) -> Any:
        self._radio.settings.ringtone = text
        self._saved(reboot=False)

    def _set_ham_mode(self, ham: Any, _: Any) -> Any:
        """A licensed operator: call sign for a name, no duty cycle, no encryption."""
        settings = self._radio.settings
        if any(text and not text.strip() for text in (ham.call_sign, ham.short_name)):
            return None
        settings.owner.long_name = ham.call_sign
        settings.owner.short_name = ham.short_name
        settings.owner.is_licensed = True
        settings.config.lora.override_duty_cycle = True
        settings.config.lora.tx_power = ham.tx_power
        settings.config.lora.override_frequency = ham.frequency
        settings.config.device.node_info_broadcast_secs = 600
        device = settings.config.device
        device.rebroadcast_mode = device.RebroadcastMode.LOCAL_ONLY
        self._keep_to_licence()
        self._saved(reboot=True)
        return None

    def _store_ui(self, ui: Any, _: Any) -> Any:
        self._radio.settings.ui.CopyFrom(ui)
        self._saved(reboot=False)

    def _begin(self, _: Any, __: Any) -> Any:
        self._editing = True

    def _commit(self, _: Any, __: Any) -> Any:
        self._editing = False
        self._saved(reboot=True)

    # -- nodes -----------------------------------------------------------------------------------
    def _remove_node(self, number: int, _: Any) -> Any:
        self._radio.nodes.remove(number)
        self._radio.nodes.save()

    def _set_favorite(self, number: int, _: Any) -> Any:
        self._mark(number, "is_favorite", True)

    def _remove_favorite(self, number: int, _: Any) -> Any:
        self._mark(number, "is_favorite", False)

    def _set_ignored(self, number: int, _: Any) -> Any:
        self._radio.nodes.ignore(number)
        self._radio.nodes.save()

    def _remove_ignored(self, number: int, _: Any) -> Any:
        self._mark(number, "is_ignored", False)

    def _toggle_muted(self, number: int, _: Any) -> Any:
        node = self._radio.nodes.get(number)
        if node is not None:
            self._mark(number, "is_muted", not node.is_muted)

    def _mark(self, number: int, what: str, value: bool) -> None:
        node = self._radio.nodes.get(number)
        if node is not None:
            setattr(node, what, value)
            self._radio.nodes.save()

    def _add_contact(self, contact: Any, _: Any) -> Any:
        self._radio.nodes.add_contact(contact)
        self._radio.nodes.save()

    # -- position and time -----------------------------------------------------------------------
    def _set_fixed_position(self, position: Any, _: Any) -> Any:
        settings = self._radio.settings
        settings.fixed_position.CopyFrom(position)
        settings.config.position.fixed_position = True
        self._saved(reboot=False)
        self._radio.services.send_position()

    def _remove_fixed_position(self, _: Any, __: Any) -> Any:
        settings = self._radio.settings
        settings.fixed_position.Clear()
        settings.config.position.fixed_position = False
        self._saved(reboot=False)

    def _set_time(self, time_s: int, _: Any) -> Any:
        self._radio.set_time(time_s)

    # -- power -----------------------------------------------------------------------------------
    def _reboot(self, delay_s: int, _: Any) -> Any:
        self._radio.reboot(None if delay_s < 0 else float(delay_s))

    def _start_ota(self, request: Any, _: Any) -> Any:
        if len(request.ota_hash) != 32:
            self._radio.notify("Cannot start OTA: Invalid `ota_hash` provided.")
        else:
            self._radio.notify("Cannot start OTA: Cannot find OTA Loader partition.")
        self._radio.reboot(1.0)

    def _shutdown(self, delay_s: int, _: Any) -> Any:
        self._radio.shut_down(None if delay_s < 0 else float(delay_s))

    def _reset_config(self, _: Any, __: Any) -> Any:
        self._factory_reset(keep_key=True)

    def _reset_device(self, _: Any, __: Any) -> Any:
        self._factory_reset(keep_key=False)

    def _factory_reset(self, *, keep_key: bool) -> None:
        radio = self._radio
        radio.settings.factory_reset(keep_key=keep_key)
        radio.nodes.reset(keep_favorites=False)
        radio.settings_changed()
        radio.reboot(REBOOT_S)

    def _reset_nodes(self, keep_favorites: bool, _: Any) -> Any:
        router = _is_router(self._radio.settings.config.device.role)
        self._radio.nodes.reset(keep_favorites=router or keep_favorites)
        self._radio.nodes.save()
        self._radio.reboot(REBOOT_S)

    def _backup(self, _: Any, __: Any) -> Any:
        self._radio.settings.backup()
        return Error.NONE

    def _restore(self, _: Any, __: Any) -> Any:
        if not self._radio.settings.restore():
            return Error.BAD_REQUEST
        self._radio.reboot(1.0)
        return Error.NONE

    def _forget_backup(self, _: Any, __: Any) -> Any:
        self._radio.settings.forget_backup()


def _differ(old: Any, new: Any, names: tuple[str, ...]) -> bool:
    return any(getattr(old, name) != getattr(new, name) for name in names)


def _is_router(role: int) -> bool:
    roles = config_pb2.Config.DeviceConfig.Role
    return role in (roles.ROUTER, roles.ROUTER_LATE)
