"""[dialects]: which of other people's formats are taken, and from whom; all off unless switched on.

[dialects]
torque = true
osmand = true
thingsboard = true

[[dialects.torque_senders]]                 # phones that send no key
id = "8a10dcdc03a8b509d9ff1dc42b855a4e"     # as the app sends it
eml = "ada@example.org"                     # must then be this; absent: whatever
device = "phone-1"                          # a registered device

[dialects.thingsboard_keys]                 # words of its devices, beside the catalogue's own
temperature = "AMBIANT_AIR_TEMP"
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from server.catalogue import by_name
from server.config_section import Section, describe
from server.devices.key import DEVICE_ID
from server.errors import CatalogueError

_KEY = re.compile(r"[^\x00-\x1f\x7f]{1,100}")


class TorqueSender(msgspec.Struct, frozen=True):
    """A phone that is known by what the app says of it."""

    id: str
    device: str
    eml: str = ""


class DialectsConfig(msgspec.Struct, frozen=True):
    """Which dialects are on.

    Attributes:
        torque: uploads of the Torque app.
        osmand: positions of OsmAnd, Traccar Client and their like.
        thingsboard: telemetry JSON of ThingsBoard devices.
        torque_senders: phones that send no key, by their id.
        thingsboard_keys: words that stand for a signal, beside names, paths and ids; id by word.
    """

    torque: bool = False
    osmand: bool = False
    thingsboard: bool = False
    torque_senders: Mapping[str, TorqueSender] = {}
    thingsboard_keys: Mapping[str, int] = {}


def parse_dialects(section: Section) -> DialectsConfig:
    """Read the table.

    Raises:
        ConfigError: names the key.
    """
    config = DialectsConfig(
        torque=section.flag("torque", False),
        osmand=section.flag("osmand", False),
        thingsboard=section.flag("thingsboard", False),
        torque_senders=_senders(section),
        thingsboard_keys=_keys(section.section("thingsboard_keys")),
    )
    section.done()
    return config


def _senders(section: Section) -> dict[str, TorqueSender]:
    senders: dict[str, TorqueSender] = {}
    for one in section.tables("torque_senders"):
        sender = TorqueSender(one.text("id"), one.text("device"), one.text("eml", ""))
        one.done()
        if not DEVICE_ID.fullmatch(sender.device):
            expected = "1 to 64 letters, digits, '.', '_' or '-'"
            raise one.where.error("device", expected, describe(sender.device))
        if sender.id in senders:
            raise one.where.error("id", "each id once", describe(sender.id))
        senders[sender.id] = sender
    return senders


def _keys(section: Section) -> dict[str, int]:
    keys: dict[str, int] = {}
    for key in section.table:
        if not _KEY.fullmatch(key):
            raise section.where.error(key, "a word of 1 to 100 characters", describe(key))
        name = section.text(key)
        try:
            keys[key] = by_name(name).id
        except CatalogueError as error:
            expected = f"the short name of a built-in signal ({error})"
            raise section.where.error(key, expected, describe(name)) from None
    return keys
