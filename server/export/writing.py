"""Reads what a job wants and writes it, piece by piece: the work of the export process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import BinaryIO

import asyncpg
import msgspec

from server.errors import ServerError
from server.export.frames import Snapshots
from server.export.gpx import Gpx
from server.export.job import Format, Job, What
from server.export.kml import Kml
from server.export.packer import Packer
from server.export.slices import slices
from server.export.text import FrameCsv, FrameJson, SignalCsv, SignalJson, chunked
from server.export.track import TRACK_SIGNALS, Track
from server.history.reader import WINDOW_NS, columns
from server.history.wanted import Column, Wanted

FRAMES_AT_A_TIME = 2_000


class NothingToExport(ServerError):  # noqa: N818 (named for what was found)
    """There is no such reading."""


class NoParquet(ServerError):  # noqa: N818 (named for what is missing)
    """pyarrow is not installed."""


async def write_export(connection: asyncpg.Connection, job: Job, out: BinaryIO) -> None:
    """Write a job's file.

    Raises:
        NothingToExport: before anything was written.
        NoParquet: before anything was written.
        OSError: the other side has gone away.
    """
    match job.what:
        case What.SIGNALS:
            await _write_signals(connection, job, out)
        case What.FRAMES:
            await _write_frames(connection, job, out)
        case What.TRACK:
            await _write_track(connection, job, out)


async def windows(connection: asyncpg.Connection, job: Job) -> AsyncIterator[list[Column]]:
    """Give the columns of a job, those of one window together, in time order.

    A list is emptied when the next one is asked for: two windows are not held at a time.
    """
    subject = job.subject
    signals = TRACK_SIGNALS if job.what is What.TRACK else job.signals
    wanted = Wanted(subject.device, subject.start_ns, subject.end_ns, signals, subject.boot)
    held: list[Column] = []
    window: int | None = None
    async with aclosing(columns(connection, wanted)) as found:  # type: ignore[type-var]
        async for column in found:
            of = column.times_ns[0] // WINDOW_NS
            if of != window and held:
                yield held
                held.clear()
            window = of
            held.append(column)
    if held:
        yield held


async def _write_signals(connection: asyncpg.Connection, job: Job, out: BinaryIO) -> None:
    if job.format is Format.PARQUET:
        _check_pyarrow()
        from server.export.parquet import SignalParquet

        table = None
        async for window in windows(connection, job):
            table = table or SignalParquet(out, job.subject)
            for piece in slices(window):
                table.take(piece)
        if table is None:
            raise _nothing(job)
        table.close()
        out.flush()
        return
    packer = Packer(out, job.packing)
    writer = SignalCsv() if job.format is Format.CSV else SignalJson(job.subject)
    is_empty = True
    async for window in windows(connection, job):
        if is_empty:
            packer.write(writer.begin())
            is_empty = False
        for piece in slices(window):
            packer.write(writer.rows(piece))
    if is_empty:
        raise _nothing(job)
    packer.write(writer.end())
    packer.close()


async def _write_frames(connection: asyncpg.Connection, job: Job, out: BinaryIO) -> None:
    # The heading names all signals, so the readings are gone through twice.
    signals: set[int] = set()
    async for window in windows(connection, job):
        signals.update(column.signal for column in window)
    if not signals:
        raise _nothing(job)
    ordered = sorted(signals)
    job = msgspec.structs.replace(job, signals=frozenset(ordered))
    snapshots = Snapshots(ordered, job.period_ms, job.hold_s)
    if job.format is Format.PARQUET:
        _check_pyarrow()
        from server.export.parquet import FrameParquet

        table = FrameParquet(out, job.subject, ordered)
        async for window in windows(connection, job):
            for piece in slices(window):
                for frames in chunked(snapshots.take(piece), FRAMES_AT_A_TIME):
                    table.take(frames)
        table.take(list(snapshots.rest()))
        table.close()
        out.flush()
        return
    packer = Packer(out, job.packing)
    is_csv = job.format is Format.CSV
    writer = FrameCsv(ordered) if is_csv else FrameJson(job.subject, ordered)
    packer.write(writer.begin())
    async for window in windows(connection, job):
        for piece in slices(window):
            for frames in chunked(snapshots.take(piece), FRAMES_AT_A_TIME):
                packer.write(writer.rows(frames))
    packer.write(writer.rows(snapshots.rest()))
    packer.write(writer.end())
    packer.close()


async def _write_track(connection: asyncpg.Connection, job: Job, out: BinaryIO) -> None:
    packer = Packer(out, job.packing)
    writer = Gpx(job.subject) if job.format is Format.GPX else Kml(job.subject)
    track = Track()
    is_empty = True
    async for window in windows(connection, job):
        for piece in slices(window):
            points = list(track.take(piece))
            if points and is_empty:
                packer.write(writer.begin())
                is_empty = False
            packer.write(writer.rows(points))
    points = list(track.rest())
    if points and is_empty:
        packer.write(writer.begin())
        is_empty = False
    if is_empty:
        raise _nothing(job, "positions")
    packer.write(writer.rows(points))
    packer.write(writer.end())
    packer.close()


def _nothing(job: Job, what: str = "readings") -> NothingToExport:
    return NothingToExport(f"no {what} of {job.subject.device} pass these filters")


def _check_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise NoParquet(
            f"pyarrow is not installed: pip install 'telerig[export]' ({error})"
        ) from None
