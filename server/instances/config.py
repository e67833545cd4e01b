"""[instances]: several gateways on one database.

    [instances]                     # absent: this gateway is alone
    name = "gw-a"                   # unique among them; default: the device of [gateway]
    url = "http://10.0.0.7:8000"    # where others reach it; default: where it listens
    bus = "notify"                  # of PostgreSQL; or "nats://HOST:4222", several with commas
    ca_file = "…"                   # certificates of a NATS server of one's own, for nats+tls://
    lease_s = 1.0                   # how long a silent owner stays one
    live_ms = 20                    # what is told on the bus is gathered so long

It needs [database] url (an embedded server is one gateway's own), and a [gateway] device for each.
A password of NATS stands in the URL, or the whole in TELERIG_INSTANCES_BUS.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import msgspec

from server.config_section import Section, describe

NOTIFY = "notify"
NATS_PORT = 4222
SCHEMES = ("nats", "nats+tls", "tls")
NAME_WORDS = "1 to 64 letters, digits, '.', '_' or '-'"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_EXPECTED_BUS = '"notify" or "nats://HOST:4222" (nats+tls://, USER:PASSWORD@, several with commas)'


class InstancesConfig(msgspec.Struct, frozen=True):
    """How a gateway works with others.

    Attributes:
        name: unique among those on the database.
        url: where others reach it; None: where it listens.
        bus: "notify", or URLs of NATS servers with commas between.
        ca_file: certificates to trust instead of the machine's.
        lease_s: how long a silent owner stays one.
        live_ms: tick of the bus.
    """

    name: str
    url: str | None = None
    bus: str = NOTIFY
    ca_file: Path | None = None
    lease_s: float = 1.0
    live_ms: int = 20

    def __repr__(self) -> str:
        return (
            f"InstancesConfig(name={self.name!r}, bus={shown_bus(self.bus)!r}, "
            f"lease_s={self.lease_s}, live_ms={self.live_ms})"
        )


def read_instances(section: Section, device: str) -> InstancesConfig:
    """Read the table; `device` is the name where it has none.

    Raises:
        ConfigError: a value is not right.
    """
    name = section.text("name", device)
    if not is_name(name):
        raise section.where.error("name", NAME_WORDS, describe(name))
    ca_file = section.text("ca_file", None)
    if ca_file is not None and not Path(ca_file).expanduser().is_file():
        raise section.where.error("ca_file", "a file", describe(ca_file))
    config = InstancesConfig(
        name,
        _url(section),
        _bus(section),
        None if ca_file is None else Path(ca_file).expanduser(),
        section.number("lease_s", 1.0, minimum=0.2, maximum=60),
        section.integer("live_ms", 20, minimum=1, maximum=1000),
    )
    section.done()
    return config


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of one of several gateways."""
    return _NAME.fullmatch(text) is not None


def bus_servers(bus: str) -> list[str]:
    """Give the URLs of NATS servers as the client takes them, each with its port."""
    return [_with_port(urlsplit(text.strip())) for text in bus.split(",")]


def shown_bus(bus: str) -> str:
    """Give the bus as it may be shown, mistyped too: without users, passwords and tokens."""
    return re.sub(r"((?:^|,)\s*(?:[\w+.-]*:/+)?)[^,]*@", r"\1", bus)


def _with_port(parts: SplitResult) -> str:
    netloc = parts.netloc if parts.port is not None else f"{parts.netloc}:{NATS_PORT}"
    return f"{'nats' if parts.scheme == 'nats' else 'tls'}://{netloc}"


def _url(section: Section) -> str | None:
    url: str | None = section.text("url", None)
    if url is not None and not re.fullmatch(r"https?://[^/?#@\s]+", url):
        raise section.where.error("url", "a URL as http://HOST:PORT", describe(url))
    return url


def _bus(section: Section) -> str:
    bus: str = section.text("bus", NOTIFY).strip()
    if bus == NOTIFY:
        return bus
    schemes = set()
    for text in bus.split(","):
        found = describe(shown_bus(text.strip()))
        try:
            parts = urlsplit(text.strip())
            is_right = parts.port is None or parts.port > 0
        except ValueError:  # a port that is no number
            is_right = False
        if not is_right or parts.scheme not in SCHEMES or not parts.hostname:
            raise section.where.error("bus", _EXPECTED_BUS, found)
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise section.where.error("bus", "a URL without a path", found)
        schemes.add(parts.scheme != "nats")
    if len(schemes) > 1:
        raise section.where.error("bus", "all servers with TLS, or none", describe(shown_bus(bus)))
    return bus
