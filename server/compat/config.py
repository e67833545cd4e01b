"""[compat]: the interfaces of older systems, off unless switched on."""

from __future__ import annotations

from pathlib import Path

import msgspec


class LoggerConfig(msgspec.Struct, frozen=True):
    """The supervised logger process; no shell ever sees the command."""

    command: tuple[str, ...] = ()
    stop_timeout_s: float = 5.0
    restart: bool = False


class CompatConfig(msgspec.Struct, frozen=True):
    """Which interfaces are on, and who may use them.

    Attributes:
        s0: POST /api/export.
        s2: /ws (telerig.s2), /telemetry-types, /command-templates, /historical-data.
        s4: /ws (telerig.s4), /api/telemetry, /status, /logger/…
        s2_key: who may use S2; None: this machine only.
        s4_key: who may use S4; None: this machine only.
        s4_port: a second address to listen on, where /ws means S4; None: none, 0: any free one.
        ws: what /ws means to a client that names no subprotocol; None: S2 where that is on.
        device: whose commands and history S2's clients mean; None: the gateway's own.
        telemetry_types: file that /telemetry-types shows instead of the catalogue.
        logger: the logger process of S4.
    """

    s0: bool = False
    s2: bool = False
    s4: bool = False
    s2_key: str | None = None
    s4_key: str | None = None
    s4_port: int | None = None
    ws: str | None = None
    device: str | None = None
    telemetry_types: Path | None = None
    logger: LoggerConfig = LoggerConfig()

    @property
    def default_dialect(self) -> str:
        """What /ws means to a client that names no subprotocol."""
        return self.ws or ("s2" if self.s2 else "s4")

    def __repr__(self) -> str:
        return f"CompatConfig(s2={self.s2}, s4={self.s4}, s4_port={self.s4_port}, ws={self.ws!r})"
