"""[provisioning]: what the gateway itself may reach to provision a device, for admins.

    [provisioning]
    enabled = true
    networks = ["192.168.4.0/24"]   # addresses of devices' own access points
    serial = ["/dev/ttyUSB*"]       # serial ports beside the USB ones that are found

A device in provisioning is asked at an address that an admin types, and [outbound] does not fit:
an access point of a device is a private network by its nature. So only these networks are dialled,
by address and never by name (a name may point elsewhere a moment later); 192.168.4.1 is where an
ESP32 has its access point unless its firmware says otherwise.
"""

from __future__ import annotations

import ipaddress

import msgspec

from server.config_section import Section, describe

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NETWORKS = ("192.168.4.0/24",)


class ProvisioningConfig(msgspec.Struct, frozen=True):
    """Where devices in provisioning may be looked for."""

    enabled: bool = True
    networks: tuple[Network, ...] = tuple(map(ipaddress.ip_network, NETWORKS))
    serial: tuple[str, ...] = ()


def read_provisioning(section: Section) -> ProvisioningConfig:
    """Read the table.

    Raises:
        ConfigError: a network is none, or a pattern is no path.
    """
    enabled = section.flag("enabled", default=True)
    networks: list[Network] = []
    for number, text in enumerate(section.texts("networks", NETWORKS)):
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            expected = 'a network as "192.168.4.0/24" (its first address)'
            raise section.where.error(("networks", number), expected, describe(text)) from None
    patterns = section.texts("serial", ())
    for number, text in enumerate(patterns):
        if not text.startswith("/") or ".." in text:
            expected = 'a path or pattern as "/dev/ttyUSB*"'
            raise section.where.error(("serial", number), expected, describe(text))
    section.done()
    return ProvisioningConfig(enabled, tuple(networks), tuple(patterns))
