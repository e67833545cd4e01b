"""The bench file: which real hardware stands on the desk, apart from what is done with it.

    can: {interface: pcan, channel: PCAN_USBBUS1, bitrate: 500 kbit/s}

For now it names a CAN interface; a scenario stays the same whatever stands there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rig.quantity import BIT_RATE
from rig.scenario.document import Node, Variables, read_document
from rig.walltime.can_interfaces import DEFAULT_BITRATE_BPS, CanInterfaceSpec

BENCH_KEYS = ("can",)
CAN_KEYS = ("interface", "channel", "bitrate", "options")
EXAMPLE = "can: {interface: pcan, channel: PCAN_USBBUS1, bitrate: 500 kbit/s}"
LOWEST_BPS, HIGHEST_BPS = 5_000, 1_000_000  # of classical CAN


@dataclass(frozen=True, slots=True)
class Bench:
    """What a bench file names.

    Attributes:
        can: the CAN interface; None: there is none.
    """

    can: CanInterfaceSpec | None = None


def read_bench(path: Path) -> Bench:
    """Return what `path` names.

    Raises:
        ScenarioError: it cannot be used; the message says where, what was expected and what stands
            there.
    """
    root = Node(path, read_document(path, "bench", EXAMPLE), Variables({}, set()))
    can = root.as_table("a bench", BENCH_KEYS).get("can")
    return Bench(None if can is None or can.is_null else _read_can(path, can))


def _read_can(path: Path, node: Node) -> CanInterfaceSpec:
    table = node.as_table("'can'", CAN_KEYS)
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
        place=f"{path}:{node.line}",
    )


def _bit_rate(node: Node) -> int:
    text = node.as_text("a bit rate such as 500 kbit/s")
    if re.fullmatch(r"\d{1,9}", text):
        return node.as_integer("'bitrate' in bit/s", LOWEST_BPS, HIGHEST_BPS)
    return round(node.as_quantity(BIT_RATE, minimum=LOWEST_BPS, maximum=HIGHEST_BPS))
