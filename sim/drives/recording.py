"""Reads a recorded drive of any supported kind: CSV, NMEA, GPX, GENIVI log; plain, gzip or xz."""

from __future__ import annotations

import gzip
import lzma
import zlib
from pathlib import Path

from sim.drives.errors import RecordingError
from sim.drives.genivi import MARK, read_genivi
from sim.drives.gpx import read_gpx
from sim.drives.nmea import LOOKS_LIKE, read_nmea
from sim.drives.samples import Recording, Samples
from sim.drives.table import read_table

HEAD_CHARS = 65_536  # looked at to tell the kind
GZIP_MAGIC = b"\x1f\x8b"
XZ_MAGIC = b"\xfd7zXZ\x00"
MAX_BYTES = 512 * 1024 * 1024  # unpacked; a bound against a file that unpacks without end


def read_recording(path: str | Path) -> Recording:
    """Read a drive; raises RecordingError if the file cannot be read or holds no usable drive.

    The kind is told by the content, not by the file's name. Lines that cannot be used are skipped
    and counted. Speeds come from the file, or from the positions where it has no speeds.
    """
    path = Path(path)
    text = _read_text(path)
    head = text[:HEAD_CHARS]
    if head.lstrip("\ufeff \t\r\n").startswith("<"):
        samples = Samples(path, "track points with position and time")
        read_gpx(text.lstrip("\ufeff \t\r\n"), samples)
    elif LOOKS_LIKE.search(head):
        samples = Samples(path, "RMC or GGA sentences with a fix")
        read_nmea(text.split("\n"), samples)
    elif MARK in head:
        samples = Samples(path, f"{MARK[:-1]} lines with a position")
        read_genivi(text.split("\n"), samples)
    else:
        samples = Samples(path, "rows with a time and a speed or position")
        read_table(text, samples)
    return samples.finish()


def _read_text(path: Path) -> str:
    """The file's text, unpacked; bytes that are no UTF-8 become replacement characters."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(XZ_MAGIC))
        if magic.startswith(GZIP_MAGIC):
            with gzip.open(path) as packed:
                data = packed.read(MAX_BYTES + 1)
        elif magic == XZ_MAGIC:
            with lzma.open(path) as packed_xz:
                data = packed_xz.read(MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise RecordingError(path, None, "an intact gzip or xz file", str(error)) from error
    except OSError as error:
        raise RecordingError(
            path, None, "a readable file", error.strerror or type(error).__name__
        ) from error
    if len(data) > MAX_BYTES:
        raise RecordingError(path, None, f"at most {MAX_BYTES} bytes unpacked", "more")
    return data.decode("utf-8", "replace")
