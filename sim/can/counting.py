"""How an error moves the counters of all nodes that saw it (ISO 11898-1, 12.1.4.2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sim.can.confinement import RECEIVE_PENALTY, TRANSMIT_PENALTY
from sim.can.error_frame import ErrorFrame
from sim.can.faults import ErrorKind
from sim.can.node import CanNode


def count_error(error: ErrorFrame, senders: Collection[CanNode], nodes: Iterable[CanNode]) -> None:
    """Count `error`: 8 for transmitters, 1 for receivers, and what late dominant bits add.

    A transmitter that is error passive and hears no acknowledge counts nothing, unless another
    node's flag is dominant: so a lone node does not go bus-off.
    """
    hearing = [node for node in nodes if node.takes_part and node not in senders]
    flagged = any(node.has_bus_rate and not node.is_passive for node in hearing)
    for node in senders:
        unheard = error.kind is ErrorKind.ACK and node.is_passive and not flagged
        if not (unheard or error.spares_transmitter):
            late = error.late_penalty if node.has_bus_rate else 0
            node._count(TRANSMIT_PENALTY + late, 0)
    for node in hearing:
        node._count(0, _receiver_penalty(error, node))


def _receiver_penalty(error: ErrorFrame, node: CanNode) -> int:
    if node.has_bus_rate:
        return RECEIVE_PENALTY + error.late_receiver_penalty + error.late_penalty
    return RECEIVE_PENALTY + (0 if node.is_passive else error.finder_penalty)
