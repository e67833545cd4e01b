"""Reads a run's record; each stream is loaded when it is first asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from rig.record.errors import RecordError
from rig.record.manifest import Manifest, manifest_from
from rig.record.streams import (
    AIR,
    CAN,
    EVENTS,
    FIXED_STREAMS,
    HEARD,
    LOG_FILE,
    MANIFEST_FILE,
    PUBLISHED,
    SAMPLES,
    SOME_STREAMS,
    STORED,
    STORED_AT,
    SUFFIX,
    TRUTH,
    WIRE_PREFIX,
    CanRow,
    Event,
    Published,
    Reception,
    Sample,
    Stored,
    StoredAt,
    Stream,
    Transmission,
    WireChunk,
    wire_stream,
)
from rig.record.writer import trace_hash

_READ_BYTES = 1 << 20


class RecordReader:
    """A run's record, read only.

    Args:
        folder: the run's folder.

    Raises:
        RecordError: there is no record, or its manifest cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / MANIFEST_FILE
        try:
            values = msgspec.json.decode(path.read_bytes())
        except OSError as error:
            raise RecordError(
                f"{path}: expected a run's manifest, found: {error.strerror or error}; "
                "name the folder of a run, such as runs/<name>"
            ) from error
        except msgspec.DecodeError as error:
            raise RecordError(f"{path}: expected JSON, found: {error}") from error
        if not isinstance(values, dict):
            raise RecordError(f"{path}: expected a JSON object, found {type(values).__name__}")
        self.manifest: Manifest = manifest_from(values, str(path))

    @property
    def finished(self) -> bool:
        """False for a run that was cut off: it has no trace hash and no result."""
        return bool(self.manifest.trace_sha256)

    @cached_property
    def links(self) -> list[str]:
        """The links whose bytes were recorded, sorted."""
        names = [path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"wire.*{SUFFIX}")]
        return sorted(name.removeprefix(WIRE_PREFIX) for name in names)

    @property
    def streams(self) -> list[Stream]:
        """Every stream of the record, wires included, sorted by name."""
        there = [s for s in SOME_STREAMS if (self.folder / s.file_name).exists()]
        streams = [*FIXED_STREAMS, *there, *(wire_stream(link) for link in self.links)]
        return sorted(streams, key=lambda stream: stream.name)

    @cached_property
    def truth(self) -> list[list[float | None]]:
        """Rows of [time_ns, one value for each of the manifest's `truth_columns`]."""
        return self.rows(TRUTH)

    @cached_property
    def samples(self) -> list[Sample]:
        """The instants at which the world took values."""
        return self.rows(SAMPLES)

    @cached_property
    def published(self) -> list[Published]:
        """Readings as a WebSocket client got them, in order of arrival."""
        return self.rows(PUBLISHED)

    @cached_property
    def stored(self) -> list[Stored]:
        """Readings as the store gave them back."""
        return self.rows(STORED)

    @cached_property
    def stored_at(self) -> list[StoredAt]:
        """The instants of the commits."""
        return self.rows(STORED_AT)

    @cached_property
    def events(self) -> list[Event]:
        """What was worth a line, in order of time."""
        return self.rows(EVENTS)

    @cached_property
    def air(self) -> list[Transmission]:
        """The frames that radios sent, in order of their starts."""
        return self.rows(AIR)

    @cached_property
    def heard(self) -> list[Reception]:
        """What became of those frames at each radio in earshot, in order of their ends."""
        return self.rows(HEARD)

    @cached_property
    def can(self) -> list[CanRow]:
        """The frames and error frames of the CAN bus, in order of their ends."""
        return self.rows(CAN)

    def wire(self, link: str) -> list[WireChunk]:
        """Return the bytes of `link`; empty if none were recorded."""
        return self.rows(wire_stream(link))

    @cached_property
    def log_lines(self) -> list[str]:
        """The gateway's log."""
        path = self.folder / LOG_FILE
        return path.read_text("utf-8", "replace").splitlines() if path.exists() else []

    def rows(self, stream: Stream) -> list[Any]:
        """Return every row of `stream`, each of type `stream.row`; empty if it has no file.

        Raises:
            RecordError: a row is not of the stream's form.
        """
        decoder = msgspec.json.Decoder(stream.row)
        rows: list[Any] = []
        for chunk in self._chunks(stream):
            try:
                rows += decoder.decode_lines(chunk)
            except msgspec.DecodeError as error:
                raise RecordError(
                    f"{self.folder / stream.file_name}: expected rows of {stream.name}, "
                    f"found after row {len(rows)}: {error}"
                ) from error
        return rows

    def lines(self, stream: Stream) -> Iterator[bytes]:
        """Yield the canonical bytes of each row of `stream`, without the newline."""
        for chunk in self._chunks(stream):
            yield from chunk.splitlines()

    def stream_hash(self, stream: Stream) -> str:
        """Return the sha256 of the stream's bytes as they are on disk now."""
        digest = hashlib.sha256()
        for chunk in self._chunks(stream):
            digest.update(chunk)
        return digest.hexdigest()

    def trace_sha256(self) -> str:
        """Return the trace's sha256 as the files are now: another one if they were altered."""
        return trace_hash({s.name: self.stream_hash(s) for s in self.streams if s.in_trace})

    def _chunks(self, stream: Stream) -> Iterator[bytes]:
        """Yield the stream's bytes in pieces that end with a complete row.

        A last frame that was cut off (the run was killed) ends the stream quietly.
        """
        path = self.folder / stream.file_name
        if not path.exists():
            return
        rest = b""
        with path.open("rb") as file:
            unpacked = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            try:
                while piece := unpacked.read(_READ_BYTES):
                    whole, newline, tail = (rest + piece).rpartition(b"\n")
                    rest = tail
                    if newline:
                        yield whole + newline
            except zstandard.ZstdError as error:
                raise RecordError(
                    f"{path}: expected a zstandard stream, found: {error}; the file is damaged"
                ) from error
