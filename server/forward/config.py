"""[forward]: what this gateway stores goes to another gateway as well.

    [forward]
    url = "https://far.example"     # the other gateway; absent: nothing is forwarded
    key = "vtg_dev_…"               # device key there, of the device that this gateway's own
                                    # readings become
    folder = "/var/lib/telerig/forward"     # the queue; default: beside the embedded database
    max_mb = 256                    # of the queue, for each device; then the oldest is dropped
    devices = ["esp-1:vtg_dev_…"]   # remote devices whose readings go too, each with its own key
    ca_file = "…"                   # certificates of a far gateway of one's own

A far gateway with a private address has to stand in [outbound] allow.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from server.config_section import Section, describe
from server.outbound.http import BadUrl, parse_url

_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class ForwardConfig(msgspec.Struct, frozen=True):
    """Where to, with which keys, and how much is kept on the way.

    Attributes:
        url: of the far gateway; None: nothing is forwarded.
        key: for the gateway's own readings; None: they stay here.
        folder: of the queues; None: in the data folder of the embedded database.
        max_bytes: of the queue of one device.
        devices: remote devices with their keys.
        ca_file: certificates to trust instead of the machine's.
    """

    url: str | None = None
    key: str | None = None
    folder: Path | None = None
    max_bytes: int = 256 * 1024 * 1024
    devices: tuple[tuple[str, str], ...] = ()
    ca_file: Path | None = None

    def __repr__(self) -> str:
        return f"ForwardConfig(url={self.url!r}, folder={self.folder!r})"


def read_forward(section: Section) -> ForwardConfig:
    """Read the table.

    Raises:
        ConfigError: a value is not right, or there is nothing to forward.
    """
    url = section.text("url", None)
    key = _key(section, section.text("key", None))
    folder = section.text("folder", None)
    max_mb = section.integer("max_mb", 256, minimum=1, maximum=1_000_000)
    devices = _devices(section)
    ca_file = section.text("ca_file", None)
    section.done()
    if url is None:
        if section.table:
            raise section.where.error("url", "the far gateway's URL", "none")
        return ForwardConfig()
    try:
        target = parse_url(url)
    except BadUrl:
        expected = "a URL https://HOST or http://HOST:PORT without credentials and fragment"
        raise section.where.error("url", expected, describe(url)) from None
    if "?" in target.path:
        raise section.where.error("url", "a URL without a query", describe(url))
    if key is None and not devices:
        raise section.where.error("key", "a device key of the far gateway (or devices)", "none")
    if ca_file is not None and not Path(ca_file).expanduser().is_file():
        raise section.where.error("ca_file", "a file", describe(ca_file))
    return ForwardConfig(
        url.rstrip("/"),
        key,
        None if folder is None else Path(folder).expanduser(),
        max_mb * 1024 * 1024,
        devices,
        None if ca_file is None else Path(ca_file).expanduser(),
    )


def _key(section: Section, key: str | None) -> str | None:
    if key is not None and not (key.isascii() and key.isprintable() and key == key.strip()):
        raise section.where.error("key", "a key of printable ASCII characters", "others")
    return key


def _devices(section: Section) -> tuple[tuple[str, str], ...]:
    if isinstance(section.table.get("devices"), str):
        section.has("devices")
        texts = [text.strip() for text in section.table["devices"].split(",")]
        texts = list(filter(None, texts))
    else:
        texts = list(section.texts("devices", ()))
    found: dict[str, str] = {}
    for number, text in enumerate(texts):
        device, colon, key = text.partition(":")
        if not colon or not _DEVICE.fullmatch(device) or device in found:
            raise section.where.error(
                ("devices", number), "DEVICE:KEY, each device once", f"device {device[:80]!r}"
            )
        found[device] = _key(section, key) or ""
    return tuple(found.items())
