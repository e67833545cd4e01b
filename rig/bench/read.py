"""Reads bench files.

bench: 1
name: desk
about: OBD real, the rest simulated
features: [sky]
links:
  obd: {real: /dev/serial/by-id/usb-FTDI_…, baud: 38400, power: {off: […], on: […]}}
  gps: model
  can: {drive: {interface: socketcand, channel: can0, bitrate: 500 kbit/s}}
gateway: local
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

from rig.bench.model import DRIVE, MODEL, PLACES, REAL, Bench, GatewayPlace, Place, PowerSwitch
from rig.quantity import BAUD, BIT_RATE, DURATION
from rig.scenario.document import Entry, Node, Table, Variables, read_document, suggestion
from rig.walltime.can_interfaces import DEFAULT_BITRATE_BPS, CanInterfaceSpec

FORMAT_VERSION = 1
BENCH_KEYS = ("bench", "name", "about", "features", "links", "gateway")
PLACE_KEYS = (REAL, DRIVE, "baud", "tap", "power", "clock_offset")
LARGEST_OFFSET_S = 3660 * 86_400.0  # a recording of ten years ago
CAN_KEYS = ("interface", "channel", "bitrate", "options")
POWER_KEYS = ("off", "on", "off_for", "settle")
GATEWAY_KEYS = ("at", "token", "database", "start", "stop")
EXAMPLE = "bench: 1"
LINK_EXAMPLE = "obd: {real: /dev/serial/by-id/usb-…, baud: 38400}"
CAN_EXAMPLE = "can: {drive: {interface: pcan, channel: PCAN_USBBUS1, bitrate: 500 kbit/s}}"
GATEWAY_EXAMPLE = 'gateway: {at: "http://192.168.7.2:8000"}'
LOWEST_BPS, HIGHEST_BPS = 5_000, 1_000_000  # of classical CAN
LOWEST_BAUD, HIGHEST_BAUD = 300, 4_000_000  # what UARTs of USB adapters can do
LONGEST_POWER_S = 600.0
SOCKETCAND, SOCKETCAND_CHANNEL = "socketcand", "can0"
SERIAL_SCHEMES = ("socket", "rfc2217", "hwgrep", "spy", "alt", "loop")
CAN_LINKS = ("can", "obd")
GPS = "gps"
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):(\d{1,5})")


def read_bench(path: Path) -> Bench:
    """Return what a bench file says.

    Raises:
        ScenarioError: it cannot be used; the message says where, what was expected, what stands
            there and what to do.
    """
    root = Node(path, read_document(path, "bench", EXAMPLE), Variables({}, set()))
    _refuse_the_old_form(root)
    table = root.as_table("a bench", BENCH_KEYS)
    version = table.require("bench", EXAMPLE)
    if version.as_text() != str(FORMAT_VERSION):
        raise version.error(f"format version {FORMAT_VERSION}")
    name, about, features = (table.get(key) for key in ("name", "about", "features"))
    return Bench(
        name=path.stem if name is None else name.as_text("a name"),
        path=path,
        about="" if about is None else about.as_text("a description"),
        features=_read_features(features),
        links=_read_links(table.get("links")),
        gateway=_read_gateway(table.get("gateway")),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _refuse_the_old_form(root: Node) -> None:
    """Say what to write instead of `can:` at the top, which was the whole format once."""
    if not root.is_mapping:
        return
    entry = root.as_table("a bench").entry("can")
    if entry is not None:
        raise entry.key.error(
            "links of a bench under 'links'",
            "'can' at the top, as bench files had it before",
            f"write `bench: 1` and `links: {{{CAN_EXAMPLE}}}`",
        )


def _read_features(node: Node | None) -> tuple[str, ...]:
    if node is None or node.is_null:
        return ()
    items = node.as_list("a list of features: [sky]")
    features = [item.as_name("a feature") for item in items]
    for item, feature in zip(items, features, strict=True):
        if feature in PLACES:
            hint = "every bench has every link: simulated, unless 'links' says otherwise"
            raise item.error("a feature that is no link", repr(feature), hint)
    if len(set(features)) != len(features):
        raise node.error("each feature once")
    return tuple(features)


# -- links -----------------------------------------------------------------------------------------
def _read_links(node: Node | None) -> dict[str, Place]:
    if node is None or node.is_null:
        return {}
    links: dict[str, Place] = {}
    for entry in node.as_table(f"'links', say {LINK_EXAMPLE}", PLACES):
        place = _read_place(entry)
        for other, known in links.items():
            if place.kind != MODEL and place.can is None and place.where == known.where:
                hint = "two programs at one port take each other's bytes"
                found = f"{place.where}, which {other!r} has already"
                raise entry.value.error("a place of its own for each link", found, hint)
        links[entry.word] = place
    return links


def _read_place(entry: Entry) -> Place:
    link, node = entry.word, entry.value
    what = f"`model`, or what stands there: {LINK_EXAMPLE}"
    if not node.is_mapping:
        if node.is_null or node.is_list or node.as_text() != MODEL:
            raise node.error(what, hint=_bare_place_hint(link, node))
        return Place(place=_place(node))
    table = node.as_table(f"the link {link!r}", PLACE_KEYS)
    given = [item for item in table if item.word in (REAL, DRIVE)]
    if len(given) != 1:
        found = " and ".join(item.word for item in given) or "neither"
        hint = "`real: PLACE` is a device that stands there, `drive: PLACE` a port for our model"
        raise node.error(f"one of {REAL!r} and {DRIVE!r} at the link {link!r}", found, hint)
    return _read_port(link, given[0], table)


def _bare_place_hint(link: str, node: Node) -> str:
    if node.is_null or node.is_list or node.as_text().startswith(("mod", "sim")):
        return "write `model` for a simulated device"
    return f"write `{link}: {{real: {node.as_text()}}}`"


def _read_port(link: str, given: Entry, table: Table) -> Place:
    kind, node = given.word, given.value
    device, url, address, can = _read_where(link, kind, node)
    baud, tap, power = (table.entry(key) for key in ("baud", "tap", "power"))
    if baud is not None and can is not None:
        raise baud.key.error("no 'baud' at a CAN interface", hint="`bitrate` belongs to 'can'")
    if baud is not None and address is not None:
        raise baud.key.error("no 'baud' at a TCP server", f"'baud' beside {node.describe()}")
    if tap is not None and (kind == DRIVE or can is not None):
        hint = "leave it out: what the rig itself sends and hears is on the record"
        raise tap.key.error("'tap' beside a real serial port", hint=hint)
    if power is not None and kind == DRIVE:
        raise power.key.error("'power' beside 'real'", hint="our model needs no switch")
    offset = table.entry("clock_offset")
    if offset is not None and (kind == DRIVE or link != GPS):
        hint = "latencies of other links need no clock but this machine's"
        raise offset.key.error("'clock_offset' beside a real receiver", hint=hint)
    return Place(
        kind=kind,
        device=device,
        url=url,
        address=address,
        can=can,
        baud=None
        if baud is None
        else round(baud.value.as_quantity(BAUD, minimum=LOWEST_BAUD, maximum=HIGHEST_BAUD)),
        tap=True if tap is None else tap.value.as_boolean("'tap'"),
        power=None if power is None else _read_power(power.value),
        clock_offset_s=0.0
        if offset is None
        else offset.value.as_quantity(
            DURATION, minimum=-LARGEST_OFFSET_S, maximum=LARGEST_OFFSET_S
        ),
        place=_place(node),
    )


_Where = tuple[str | None, str | None, tuple[str, int] | None, CanInterfaceSpec | None]


def _read_where(link: str, kind: str, node: Node) -> _Where:
    """Return device, URL, address and interface, of which one is set."""
    if node.is_mapping:
        if link not in CAN_LINKS:
            raise node.error("a port (a device path, a pyserial URL, host:port)")
        return None, None, None, _read_can(node)
    expected = "a place: a device path, a pyserial URL" + (
        ", host:port or an interface of python-can {interface: …, channel: …}"
        if link in CAN_LINKS
        else " or host:port"
    )
    text = node.as_text(expected).strip()
    if text.startswith("/"):
        return _checked_device(node, text, link), None, None, None
    if "://" in text:
        return None, *_read_url(node, text, kind), None
    if (match := _ADDRESS.fullmatch(text)) is not None:
        address = (match[1] or match[2], int(match[3]))
        if not 1 <= address[1] <= 65535:
            raise node.error("a TCP port from 1 to 65535", repr(text))
        if kind == DRIVE:
            raise node.error(
                "a real port that the model drives", f"the TCP server {text}",
                "a TCP server is driven by nobody: `telerig device` opens one",
            )  # fmt: skip
        if link == "can":
            return None, None, None, _socketcand(node, address)
        return None, None, address, None
    hint = f"write it in full: /dev/{text}" if re.match(r"tty|serial", text) else ""
    raise node.error(expected, repr(text), hint or suggestion(text, (MODEL,)))


def _checked_device(node: Node, text: str, link: str) -> str:
    if link == "can":
        hint = "write {interface: slcan, channel: " + text + "}"
        raise node.error("an interface of python-can at the link 'can'", repr(text), hint)
    return text


def _read_url(node: Node, text: str, kind: str) -> tuple[str | None, tuple[str, int] | None]:
    url = urlsplit(text)
    if url.scheme == "tcp":
        try:
            address = (url.hostname or "", url.port or 0)
        except ValueError:
            address = ("", 0)
        if not all(address) or kind == DRIVE:
            raise node.error("host:port of a TCP server that is real", repr(text))
        return None, address
    if url.scheme not in SERIAL_SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SERIAL_SCHEMES[:3])
        raise node.error(f"a URL of pyserial ({known} …)", repr(text))
    return text, None


def _socketcand(node: Node, address: tuple[str, int]) -> CanInterfaceSpec:
    host, port = address
    return CanInterfaceSpec(
        SOCKETCAND, SOCKETCAND_CHANNEL, options={"host": host, "port": port}, place=_place(node)
    )


def _read_can(node: Node) -> CanInterfaceSpec:
    table = node.as_table("a CAN interface", CAN_KEYS)
    interface = table.require("interface", "interface: socketcan").as_name("an interface")
    channel = table.require("channel", "channel: can0").as_text("a channel")
    bitrate = table.get("bitrate")
    options = table.get("options")
    return CanInterfaceSpec(
        interface=interface,
        channel=int(channel) if re.fullmatch(r"\d{1,9}", channel) else channel,
        bitrate_bps=DEFAULT_BITRATE_BPS if bitrate is None else _bit_rate(bitrate),
        options={}
        if options is None
        else {
            entry.word: entry.value.as_plain()
            for entry in options.as_table("'options', keywords of can.Bus")
        },
        place=_place(node),
    )


def _bit_rate(node: Node) -> int:
    text = node.as_text("a bit rate such as 500 kbit/s")
    if re.fullmatch(r"\d{1,9}", text):
        return node.as_integer("'bitrate' in bit/s", LOWEST_BPS, HIGHEST_BPS)
    return round(node.as_quantity(BIT_RATE, minimum=LOWEST_BPS, maximum=HIGHEST_BPS))


# -- power and gateway -----------------------------------------------------------------------------
def _read_power(node: Node) -> PowerSwitch:
    table = node.as_table("'power'", POWER_KEYS)
    example = "[uhubctl, -l, 1-1, -p, 2, -a, {}]"
    off = table.require("off", f"off: {example.format('off')}")
    on = table.require("on", f"on: {example.format('on')}")
    limits = {"minimum": 0.0, "maximum": LONGEST_POWER_S}
    usual = PowerSwitch((), ())
    return PowerSwitch(
        off=_read_command(off, "off"),
        on=_read_command(on, "on"),
        off_s=table.quantity("off_for", DURATION, usual.off_s, **limits),
        settle_s=table.quantity("settle", DURATION, usual.settle_s, **limits),
        place=_place(node),
    )


def _read_command(node: Node, what: str) -> tuple[str, ...]:
    expected = f"{what!r}, a command as a list of words: [uhubctl, -l, 1-1, -a, off]"
    words = tuple(item.as_text("a word of a command") for item in node.as_list(expected))
    if not words or not words[0]:
        raise node.error(expected, "an empty list")
    return words


def _read_gateway(node: Node | None) -> GatewayPlace:
    if node is None or node.is_null:
        return GatewayPlace()
    if not node.is_mapping:
        node.as_word(("local",), f"`local`, or where it is: {GATEWAY_EXAMPLE}")
        return GatewayPlace(place=_place(node))
    table = node.as_table("'gateway'", GATEWAY_KEYS)
    at = table.require("at", GATEWAY_EXAMPLE)
    texts = {
        key: value.as_text(f"a text for {key!r}")
        for key in ("token", "database")
        if (value := table.get(key)) is not None
    }
    commands = {
        key: _read_command(value, key)
        for key in ("start", "stop")
        if (value := table.get(key)) is not None
    }
    return GatewayPlace(
        at=_checked_origin(at),
        place=_place(node),
        token=texts.get("token", ""),
        database=texts.get("database", ""),
        start=commands.get("start", ()),
        stop=commands.get("stop", ()),
    )


def _checked_origin(node: Node) -> str:
    expected = "the gateway's address, say http://192.168.7.2:8000"
    text = node.as_text(expected).rstrip("/")
    url = urlsplit(text)
    try:
        good = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        good = False
    if not good or url.path or url.query:
        raise node.error(expected, repr(text))
    return text


def _place(node: Node) -> str:
    return f"{node.path}:{node.line}"
