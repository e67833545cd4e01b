"""How large the firmware lets fields be: a message with a larger one is not decoded at all.

The library lets a client send what the firmware's decoder (nanopb) has no room for; it then drops
the whole message. Source: meshtastic/protobufs, the `.options` files of mesh, admin, channel,
config and module_config.
"""

from __future__ import annotations

from typing import Any

# Bytes of a byte string, or of a text in UTF-8 (one less than its buffer).
LONGEST_BYTES = {
    "AdminMessage.session_passkey": 8,
    "AdminMessage.set_canned_message_module_messages": 200,
    "AdminMessage.set_ringtone_message": 230,
    "AdminMessage.delete_file_request": 200,
    "CannedMessageConfig.allow_input_source": 15,
    "ChannelSettings.name": 11,
    "ChannelSettings.psk": 32,
    "Data.payload": 233,
    "DetectionSensorConfig.name": 19,
    "DeviceConfig.tzdef": 64,
    "HamParameters.call_sign": 7,
    "HamParameters.short_name": 4,
    "MQTTConfig.address": 63,
    "MQTTConfig.password": 31,
    "MQTTConfig.root": 31,
    "MQTTConfig.username": 63,
    "MeshPacket.encrypted": 256,
    "MeshPacket.public_key": 32,
    "MqttClientProxyMessage.data": 435,
    "MqttClientProxyMessage.text": 434,
    "MqttClientProxyMessage.topic": 59,
    "NetworkConfig.ntp_server": 32,
    "NetworkConfig.rsyslog_server": 32,
    "NetworkConfig.wifi_psk": 64,
    "NetworkConfig.wifi_ssid": 32,
    "RemoteHardwarePin.name": 14,
    "SecurityConfig.admin_key": 32,
    "SecurityConfig.private_key": 32,
    "SecurityConfig.public_key": 32,
    "User.id": 15,
    "User.long_name": 39,
    "User.public_key": 32,
    "User.short_name": 4,
}
MOST_ITEMS = {
    "LoRaConfig.ignore_incoming": 3,
    "RemoteHardwareConfig.available_pins": 4,
    "SecurityConfig.admin_key": 3,
}
GREATEST = {
    "LoRaConfig.bandwidth": 0xFFFF,
    "LoRaConfig.channel_num": 0xFFFF,
    "LoRaConfig.coding_rate": 0xFF,
    "MeshPacket.channel": 0xFF,
    "MeshPacket.hop_limit": 0xFF,
    "MeshPacket.hop_start": 0xFF,
    "PowerConfig.device_battery_ina_address": 0xFF,
}


def too_large(message: Any) -> str | None:
    """Return the name of a field that the firmware has no room for, or None if all fit."""
    for field, value in message.ListFields():
        name = f"{field.containing_type.name}.{field.name}"
        is_list = hasattr(value, "append")
        items = value if is_list else (value,)
        if is_list and len(items) > MOST_ITEMS.get(name, len(items)):
            return name
        for item in items:
            if field.message_type is not None:
                inner = too_large(item)
                if inner is not None:
                    return inner
            elif not _fits(name, item):
                return name
    return None


def _fits(name: str, value: Any) -> bool:
    if isinstance(value, str):
        return len(value.encode()) <= LONGEST_BYTES.get(name, len(value.encode()))
    if isinstance(value, bytes):
        return len(value) <= LONGEST_BYTES.get(name, len(value))
    return bool(value <= GREATEST.get(name, value))
