"""What an adapter has done and what it had to refuse, counted."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class SlcanCounters:
    """Counts since the adapter was made; power cycles do not reset them.

    Attributes:
        commands: lines that the host sent, empty ones included.
        refused: lines that were answered with BELL, or that a silent firmware ignored.
        long_lines: of those, lines longer than the input buffer.
        frames_received: frames taken from the bus into the receive FIFO.
        frames_filtered: frames that the acceptance filter kept out.
        frames_to_host: frames written to the host.
        rx_overruns: frames lost because the receive FIFO was full.
        frames_queued: frames of the host that were taken for transmission.
        frames_sent: of those, frames that have passed on the bus.
        frames_given_up: taken, and withdrawn by bus-off or by closing the channel.
        tx_refused: frames refused because the transmit FIFO was full, or the controller bus-off.
        fd_refused: CAN FD frames of the host; the world's bus is classical.
        bus_errors: error frames seen while the channel was open.
        bus_offs: how often the controller went bus-off.
        input_lost_bytes: characters that came while the input buffer was full.
    """

    commands: int = 0
    refused: int = 0
    long_lines: int = 0
    frames_received: int = 0
    frames_filtered: int = 0
    frames_to_host: int = 0
    rx_overruns: int = 0
    frames_queued: int = 0
    frames_sent: int = 0
    frames_given_up: int = 0
    tx_refused: int = 0
    fd_refused: int = 0
    bus_errors: int = 0
    bus_offs: int = 0
    input_lost_bytes: int = 0

    def as_dict(self) -> dict[str, int]:
        """Give the counts by name."""
        return asdict(self)
