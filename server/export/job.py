"""What is to be exported, as the gateway tells its export process."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

import msgspec

from server.export.instants import iso
from server.history.wanted import INT64_MAX

HOLD_S = 10.0
"""How long a snapshot shows a value that was not read again."""
PERIOD_MS = 1000
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_PART = 40


class What(enum.StrEnum):
    """The shape of an export."""

    SIGNALS = "signals"
    FRAMES = "frames"
    TRACK = "track"


class Format(enum.StrEnum):
    """How it is written."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    GPX = "gpx"
    KML = "kml"


class Packing(enum.StrEnum):
    """How the file is compressed as a whole."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


FORMATS: Mapping[What, tuple[Format, ...]] = {
    What.SIGNALS: (Format.CSV, Format.JSON, Format.PARQUET),
    What.FRAMES: (Format.CSV, Format.JSON, Format.PARQUET),
    What.TRACK: (Format.GPX, Format.KML),
}
MEDIA: Mapping[Format, str] = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON: "application/json",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.GPX: "application/gpx+xml",
    Format.KML: "application/vnd.google-earth.kml+xml",
}
PACKED_MEDIA: Mapping[Packing, str] = {
    Packing.GZIP: "application/gzip",
    Packing.ZSTD: "application/zstd",
}
_ENDINGS: Mapping[Packing, str] = {Packing.NONE: "", Packing.GZIP: ".gz", Packing.ZSTD: ".zst"}


class Subject(msgspec.Struct, frozen=True):
    """Whose readings, and what is said of them in the file.

    Attributes:
        device: whose.
        boot: of the device; None for all.
        start_ns: earliest instant measured.
        end_ns: first instant that is not wanted any more.
        session: id; None where a device is exported.
        name: of the session.
        vin: vehicle.
        driver: of the session.
        opened_ns: when the session began.
        closed_ns: when it ended.
    """

    device: str
    boot: int | None = None
    start_ns: int = 0
    end_ns: int = INT64_MAX
    session: int | None = None
    name: str = ""
    vin: str = ""
    driver: str = ""
    opened_ns: int | None = None
    closed_ns: int | None = None

    @property
    def title(self) -> str:
        """What people call it."""
        if self.session is None:
            return self.device
        return self.name or f"{self.device} session {self.session}"

    def described(self) -> dict[str, str | int]:
        """Give what is known of it, for the head of a file."""
        known: dict[str, str | int | None] = {
            "device": self.device,
            "session": self.session,
            "name": self.name or None,
            "vin": self.vin or None,
            "driver": self.driver or None,
            "opened": None if self.opened_ns is None else iso(self.opened_ns),
            "closed": None if self.closed_ns is None else iso(self.closed_ns),
            "start": None if self.start_ns == 0 else iso(self.start_ns),
            "end": None if self.end_ns == INT64_MAX else iso(self.end_ns),
        }
        return {key: value for key, value in known.items() if value is not None}


class Job(msgspec.Struct, frozen=True):
    """One export.

    Attributes:
        url: of the database.
        subject: whose readings.
        what: shape.
        format: of the file.
        packing: of the whole file.
        signals: ids; None for all.
        period_ms: of snapshots; 0: one for each instant at which something was read.
        hold_s: how long a snapshot shows a value that was not read again.
    """

    url: str
    subject: Subject
    what: What = What.SIGNALS
    format: Format = Format.CSV
    packing: Packing = Packing.NONE
    signals: frozenset[int] | None = None
    period_ms: int = PERIOD_MS
    hold_s: float = HOLD_S

    @property
    def media(self) -> str:
        """Content type of the answer."""
        return PACKED_MEDIA.get(self.packing) or MEDIA[self.format]

    @property
    def file_name(self) -> str:
        """Name of the file: safe on every system, and different for different exports."""
        subject = self.subject
        parts = ["telerig", subject.device]
        if subject.session is not None:
            parts += [f"session-{subject.session}", subject.name]
        began_ns = subject.opened_ns or subject.start_ns
        if began_ns:
            parts.append(iso(began_ns)[:19].replace(":", "").replace("-", "") + "Z")
        parts.append(self.what.value)
        safe = (_UNSAFE.sub("-", part)[:_LONGEST_PART].strip("-.") for part in parts)
        name = "_".join(part for part in safe if part)
        return f"{name}.{self.format.value}{_ENDINGS[self.packing]}"

    def __repr__(self) -> str:
        return f"Job({self.file_name!r})"  # the URL may hold a password
