"""The command `telerig export`."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from server.devices.client import DEFAULT_URL, ApiError, Client, UsageError, part
from server.errors import ServerError
from server.export.job import FORMATS, Format, Packing, What

CHUNK_BYTES = 1 << 16
TIMEOUT_S = 120.0
"""A gateway that sends nothing for so long has gone."""
SHOWN_S = 0.5
_ENDINGS = {"gz": Packing.GZIP, "zst": Packing.ZSTD}


class NotWritten(Exception):  # noqa: N818 (named for what happened)
    """What came cannot be written; the cause says why.

    It is no `OSError`: those of a download are the gateway's, as its client takes them.
    """

    def __init__(self, target: object, cause: OSError) -> None:
        super().__init__(f"expected to write {target}, got: {cause.strerror or cause}")
        self.__cause__ = cause


class ExportCommand:
    """Download a session, or a device's readings, from a running gateway.

    The format is that of --format, else that of the file's name: .csv, .json, .parquet, .gpx, .kml,
    with .gz or .zst behind it where the file shall be compressed. The file appears when it is
    whole; an export that breaks leaves nothing.

    examples:
      telerig export 12                                  signals as CSV, named by the gateway
      telerig export 12 -o drive.parquet
      telerig export 12 --frames --period-ms 100 -o drive.csv.zst
      telerig export 12 -o track.gpx
      telerig export --device car-1 --start 2026-01-02 --sources gps,obd -o day.csv.gz
      telerig export 12 --channels rpm,speed -o - | head

    Set TELERIG_API_SECRET to the gateway's [api] secret where it asks for it.
    exit code: 0 done, 1 no answer, a refusal, or a broken export, 2 wrong usage
    """

    help = "download a session as CSV, JSON, Parquet, GPX or KML"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("session", nargs="?", type=int, help="id (telerig sessions)")
        parser.add_argument("--device", help="all of a device, instead of one session")
        parser.add_argument(
            "--format", choices=[format.value for format in Format], help="(by the file, else csv)"
        )
        parser.add_argument("-o", "--output", metavar="FILE", help="where to; '-': standard output")
        parser.add_argument(
            "--frames", action="store_true", help="snapshots with a column for each signal"
        )
        parser.add_argument(
            "--period-ms", type=int, metavar="MS", help="of snapshots (1000); 0: each instant"
        )
        parser.add_argument("--start", metavar="TIME", help="earliest instant, ISO 8601")
        parser.add_argument("--end", metavar="TIME", help="first instant not wanted, ISO 8601")
        for name in ("sources", "channels", "signals"):
            parser.add_argument(
                f"--{name}", action="append", default=[], metavar="A,B", help=f"only these {name}"
            )
        parser.add_argument(
            "--compress", choices=[p.value for p in Packing], help="(by the file, else none)"
        )
        parser.add_argument(
            "--url",
            default=os.environ.get("TELERIG_URL", DEFAULT_URL),
            help=f"of the gateway (TELERIG_URL, else {DEFAULT_URL})",
        )
        parser.add_argument("--secret", help="API secret (default: TELERIG_API_SECRET)")
        parser.add_argument("--json", action="store_true", help="say what was done as JSON")

    def run(self, args: argparse.Namespace) -> int:
        """Download; give the exit code."""
        try:
            secret = args.secret or os.environ.get("TELERIG_API_SECRET", "")
            client = Client(args.url, secret, needed=False)
            file, size_bytes = download(client, path_of(args), args.output)
        except ServerError as error:
            print(f"telerig export: {error}", file=sys.stderr)
            return error.exit_code
        except NotWritten as error:
            if not isinstance(error.__cause__, BrokenPipeError):
                print(f"telerig export: {error}", file=sys.stderr)
                return 1
            # Who read the standard output has enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        if args.json:
            said = json.dumps({"file": file, "bytes": size_bytes})
            print(said, file=sys.stderr if file == "-" else sys.stdout)
        elif file != "-":
            print(f"{file}: {size_bytes} bytes")
        return 0


COMMAND = ExportCommand()


def path_of(args: argparse.Namespace) -> str:
    """Give path and query of what is asked for.

    Raises:
        UsageError: that cannot be asked.
    """
    if (args.session is None) == (args.device is None):
        raise UsageError(
            "expected a session or --device, found " + ("both" if args.device else "none")
        )
    named = Path(args.output).name if args.output not in (None, "-") else ""
    stem, _, ending = named.rpartition(".")
    packing = _ENDINGS.get(ending, Packing.NONE)
    if packing is not Packing.NONE:
        ending = stem.rpartition(".")[2]
    formats = {format.value: format for format in Format}
    format = formats[args.format] if args.format else formats.get(ending)
    if format is None:
        if named:
            expected = "a file name that ends with " + ", ".join(formats)
            raise UsageError(f"expected --format or {expected}, found {named!r}")
        format = Format.CSV
    what = What.TRACK if format in FORMATS[What.TRACK] else What.SIGNALS
    if args.frames:
        if what is What.TRACK:
            raise UsageError(f"expected a table for --frames, found {format.value}")
        what = What.FRAMES
    whose = f"devices/{part(args.device)}" if args.device else f"sessions/{args.session}"
    query = [
        *(("start_time", value) for value in (args.start,) if value),
        *(("end_time", value) for value in (args.end,) if value),
        *(
            (name, value)
            for name in ("sources", "channels", "signals")
            for value in getattr(args, name)
        ),
        *(("period_ms", str(value)) for value in (args.period_ms,) if value is not None),
    ]
    compress = args.compress or packing.value
    if compress != Packing.NONE.value:
        query.append(("compress", compress))
    text = f"?{urllib.parse.urlencode(query)}" if query else ""
    return f"/api/v1/export/{whose}/{what.value}.{format.value}{text}"


def download(client: Client, path: str, output: str | None) -> tuple[str, int]:
    """Download to a file, which appears when it is whole; give its name and size.

    Raises:
        ApiError: no answer, a refusal, or the export broke off.
        NotWritten: the file cannot be written.
    """
    with client.answer("GET", path, timeout_s=TIMEOUT_S) as answer:
        if output == "-":
            return "-", _copy(answer, "the standard output", sys.stdout.buffer)
        target = Path(output or _name_of(answer))
        beside = target.parent / f".{target.name}.{os.getpid()}.part"
        try:
            with _writing(target):
                file = beside.open("xb")
            with file:
                size_bytes = _copy(answer, target, file)
            with _writing(target):
                beside.replace(target)
        finally:
            with contextlib.suppress(OSError):
                beside.unlink()
    return str(target), size_bytes


@contextlib.contextmanager
def _writing(target: object) -> Iterator[None]:
    """Tell errors of writing from those of the answer."""
    try:
        yield
    except OSError as error:
        raise NotWritten(target, error) from error


def _copy(answer: http.client.HTTPResponse, target: object, out: BinaryIO) -> int:
    progress = _Progress()
    try:
        while chunk := answer.read(CHUNK_BYTES):
            with _writing(target):
                out.write(chunk)
            progress.add(len(chunk))
        with _writing(target):
            out.flush()
    except http.client.IncompleteRead:
        raise ApiError("the export broke off; the gateway's log says why") from None
    finally:
        progress.end()
    return progress.size_bytes


class _Progress:
    """A line on the terminal that tells how much there is."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._began_s = self._told_s = time.monotonic()
        self._is_shown = sys.stderr.isatty()

    def add(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        now_s = time.monotonic()
        if self._is_shown and now_s - self._told_s >= SHOWN_S:
            self._told_s = now_s
            rate = self.size_bytes / 1e6 / (now_s - self._began_s)
            text = f"\r{self.size_bytes / 1e6:.1f} MB, {rate:.1f} MB/s "
            print(text, end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._is_shown and self._told_s > self._began_s:
            print(file=sys.stderr)


def _name_of(answer: http.client.HTTPResponse) -> str:
    """Give the name that the gateway proposes, without any folder."""
    text = answer.headers.get("content-disposition", "")
    name = text.partition('filename="')[2].partition('"')[0]
    name = Path(name).name
    return name if name and not name.startswith(".") else "telerig-export"
