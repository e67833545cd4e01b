"""Meshtastic's own messages, from the optional package `meshtastic` (GPL-3.0).

Only this package's modules import them, and only through here: whoever has no radio in the world
needs no `meshtastic`.

Raises, on import:
    MeshtasticMissingError: the package is not installed.
"""

from __future__ import annotations

from sim.meshtastic.errors import MeshtasticMissingError

try:
    from meshtastic.protobuf import (
        admin_pb2,
        channel_pb2,
        config_pb2,
        connection_status_pb2,
        device_ui_pb2,
        localonly_pb2,
        mesh_pb2,
        module_config_pb2,
        portnums_pb2,
        telemetry_pb2,
    )
except ModuleNotFoundError as error:
    raise MeshtasticMissingError(
        "a Meshtastic radio needs the package `meshtastic`, which is not installed "
        f"({error.name} is missing); install it with: pip install 'telerig[mesh]'"
    ) from error

__all__ = [
    "admin_pb2",
    "channel_pb2",
    "config_pb2",
    "connection_status_pb2",
    "device_ui_pb2",
    "localonly_pb2",
    "mesh_pb2",
    "module_config_pb2",
    "portnums_pb2",
    "telemetry_pb2",
]

BROADCAST = 0xFFFFFFFF
