"""A CAN log as a sequence of entries, read by python-can as it is needed.

    CanLog(path) -> iterate LogEntry

The format is that of the suffix: BLF, ASC, candump, CSV, TRC, and MF4 where asammdf is installed.
Ours is what an error says and where, and that a file which ends in the middle of a frame, as a
killed recorder leaves it, is read up to there. Times are python-can's: floats, which have steps of
240 ns in seconds since 1970.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from sim.can_log.entry import LogEntry
from sim.can_log.errors import CanLogError
from sim.can_log.lines import CSV_HEADER, Lines

EXPECTED = {
    ".asc": "a frame as 0.010000 1  123  Rx  d 2 11 22",
    ".blf": "a BLF file, which begins with LOGG and has objects that begin with LOBJ",
    ".csv": f"python-can's CSV ({CSV_HEADER}), SavvyCAN's or CANedge's",
    ".log": "a line of candump -L, as (1436509052.249713) can0 123#11223344",
    ".mf4": "an MF4 file with CAN frames",
    ".trc": "a message of a PEAK trace of version 1.0 to 1.3, 2.0 or 2.1",
}
PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst")
SUFFIXES = tuple(EXPECTED)
SAME_AS = {".txt": ".log", ".candump": ".log"}
SIGNATURE_BYTES = 4


class CanLog:
    """One log file. Each iteration reads it from its beginning.

    Args:
        path: its suffix tells the format.

    Attributes:
        is_truncated: the last iteration found the file ending in the middle of a frame.

    Raises:
        CanLogError: no such file, an unknown suffix; in the iteration: what it says is wrong.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_truncated = False
        suffix = path.suffix.lower()
        self._suffix = SAME_AS.get(suffix, suffix)
        if self._suffix not in SUFFIXES:
            expected = f"a log with one of the suffixes {' '.join(SUFFIXES)}"
            if self._suffix in PACKED:
                expected += " (unpack it first)"
            raise CanLogError.at(path, "", expected, path.suffix or path.name)
        if not path.is_file():
            raise CanLogError.at(path, "", "a file", "a folder" if path.is_dir() else "nothing")

    def __iter__(self) -> Iterator[LogEntry]:
        self.is_truncated = False
        return self._entries()

    def _entries(self) -> Iterator[LogEntry]:
        read = {".blf": self._read_blf, ".mf4": self._read_mf4}.get(self._suffix, self._read_text)
        try:
            yield from read()
        except OSError as error:
            expected, found = "to read the file", error.strerror or str(error)
            raise CanLogError.at(self.path, "", expected, found) from error

    def _read_text(self) -> Iterator[LogEntry]:
        from sim.can_log.readers import read_text

        with self.path.open(encoding="utf-8-sig", errors="replace", newline=None) as file:
            lines = Lines(file)
            read_to = 0
            try:
                for entry in read_text(self._suffix, lines):
                    read_to = lines.number
                    yield entry
            except OSError:
                raise
            except Exception as error:
                if not lines.is_cut:
                    place = f"line {max(1, lines.number)}"
                    raise self._wrong(place, lines.text.strip(), error) from error
                self.is_truncated = True
            else:
                self.is_truncated = read_to < lines.number and lines.is_cut

    def _read_blf(self) -> Iterator[LogEntry]:
        from sim.can_log.readers import BlfReader, to_entry

        count = 0
        with self.path.open("rb") as file:
            found = file.read(SIGNATURE_BYTES).decode("latin-1")
            file_bytes = file.seek(0, 2)
            file.seek(0)
            try:
                reader = BlfReader(file)
                for message in reader:
                    entry = to_entry(message)
                    count += 1
                    yield entry
            except OSError:
                raise
            except struct.error as error:
                # in the header of an object: what is missing is the end of the file
                if found != "LOGG" or file.tell() < file_bytes:
                    raise self._wrong(f"after frame {count}", found, error) from error
                self.is_truncated = True
            except Exception as error:
                raise self._wrong(f"after frame {count}", found, error) from error
            else:
                self.is_truncated = reader.is_cut(file_bytes)

    def _read_mf4(self) -> Iterator[LogEntry]:
        from sim.can_log.readers import read_mf4

        count = 0
        try:
            for entry in read_mf4(self.path):
                count += 1
                yield entry
        except OSError:
            raise
        except NotImplementedError as error:
            expected = "the package asammdf, which reads MF4 (pip install asammdf)"
            raise CanLogError.at(self.path, "", expected, "none") from error
        except Exception as error:
            raise self._wrong(f"after frame {count}", "something else", error) from error

    def _wrong(self, place: str, found: str, error: Exception) -> CanLogError:
        return CanLogError.at(self.path, place, EXPECTED[self._suffix], found, str(error))
