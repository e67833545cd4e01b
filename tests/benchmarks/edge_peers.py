"""What other codecs need for the same readings, in bits for each; sizes counted from their papers.

The real libraries (zstandard, pcodec) compress; Gorilla and the swinging door are counted. Plain
protobuf is a record with a timestamp in milliseconds (7 bytes) and float fields (tag and 4 bytes).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import zstandard

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_RECORD_BYTES = 7
_SMOOTHING = 0.3
_BLOCK_S = 60


class Series:
    """One drive: steps, values and time from row to row."""

    def __init__(self, steps: Ints, scale: Floats, offset: Floats, period_ms: int) -> None:
        self.steps = steps
        self.values = np.round(steps * scale + offset, 7)
        self.rows, self.columns = steps.shape
        self.block_rows = max(1, _BLOCK_S * 1000 // period_ms)
        self.tag_bytes = np.where(np.arange(self.columns) < 14, 1, 2)


def protobuf(series: Series) -> float:
    """Every field in every record."""
    return float(8 * series.rows * (_RECORD_BYTES + (series.tag_bytes + 4).sum()))


def smoothing(series: Series) -> float:
    """The predecessor: fields that exponential smoothing foretold are left out, lossless."""
    foretold = series.steps[0].astype(float)
    total = float(_RECORD_BYTES + (series.tag_bytes + 4).sum())
    for row in series.steps[1:]:
        sent = np.abs(row - foretold) > 0.5
        used = np.where(sent, row, foretold)
        foretold = _SMOOTHING * used + (1 - _SMOOTHING) * foretold
        total += _RECORD_BYTES + ((series.tag_bytes + 4) * sent).sum()
    return 8 * total


def send_on_delta(series: Series) -> float:
    """A mask of what changed, and the changes as varints."""
    changes = np.diff(series.steps, axis=0)
    mask_bytes = (series.columns + 7) // 8
    sizes = _varint_bytes(changes) * (changes != 0)
    return float(8 * (mask_bytes * len(changes) + sizes.sum() + 4 * series.columns))


def swinging_door(series: Series) -> float:
    """Points between which straight lines stay within half a step; varints of time and change."""
    total = 0
    for column in series.steps.T.tolist():
        points = [0]
        anchor, high, low = 0, float("inf"), float("-inf")
        row = 1
        while row < len(column):
            rows = row - anchor
            high = min(high, (column[row] + 0.5 - column[anchor]) / rows)
            low = max(low, (column[row] - 0.5 - column[anchor]) / rows)
            if low > high:
                anchor = row - 1
                points.append(anchor)
                high, low = float("inf"), float("-inf")
            else:
                row += 1
        points.append(len(column) - 1)
        times = np.diff(np.array(points))
        changes = np.diff(np.array([column[point] for point in points]))
        total += int(_varint_bytes(times * 2).sum() + _varint_bytes(changes).sum()) + 4
    return 8.0 * total


def gorilla(series: Series) -> float:
    """XOR with the value before, leading and meaningful bits; values as doubles."""
    total = 0
    for column in series.values.T:
        words = struct.unpack(f"<{len(column)}Q", np.ascontiguousarray(column).tobytes())
        total += 64
        leading = trailing = -1
        for before, after in itertools.pairwise(words):
            xor = before ^ after
            if not xor:
                total += 1
                continue
            zeros = min(31, 64 - xor.bit_length())
            tail = (xor & -xor).bit_length() - 1
            if leading >= 0 and zeros >= leading and tail >= trailing:
                total += 2 + 64 - leading - trailing
            else:
                total += 13 + 64 - zeros - tail
                leading, trailing = zeros, tail
    return float(total)


def delta_zstd(series: Series) -> float:
    """Changes as varints, column after column, zstd level 19 over blocks of 60 s."""
    packer = zstandard.ZstdCompressor(level=19, write_content_size=False, write_checksum=False)
    total = 0
    for start in range(0, series.rows, series.block_rows):
        block = series.steps[start : start + series.block_rows]
        changes = np.diff(block, axis=0, prepend=0).T.ravel()
        total += len(packer.compress(_varints(changes)))
    return 8.0 * total


def pcodec(series: Series) -> float:
    """The real pcodec over blocks of 60 s, each column alone."""
    from pcodec import ChunkConfig, standalone  # type: ignore[import-not-found,unused-ignore]

    total = 0
    for start in range(0, series.rows, series.block_rows):
        block = series.steps[start : start + series.block_rows]
        for column in block.T:
            column = np.ascontiguousarray(column.astype(np.int32))
            total += len(standalone.simple_compress(column, ChunkConfig()))
    return 8.0 * total


def pcodec_is_here() -> bool:
    """True if the package is installed."""
    try:
        import pcodec  # noqa: F401
    except ImportError:
        return False
    return True


PEERS: dict[str, Callable[[Series], float]] = {
    "plain protobuf": protobuf,
    "protobuf, smoothing 0.3 (predecessor)": smoothing,
    "send on delta": send_on_delta,
    "swinging door": swinging_door,
    "Gorilla": gorilla,
    "delta + zstd-19, 60 s": delta_zstd,
    "pcodec, 60 s": pcodec,
}


def _zigzag(changes: Ints) -> npt.NDArray[np.uint64]:
    return np.where(changes < 0, -2 * changes - 1, 2 * changes).astype(np.uint64)


def _varint_bytes(changes: Ints) -> Ints:
    sizes = np.ones(changes.shape, dtype=np.int64)
    zigzag = _zigzag(changes)
    for digits in range(7, 64, 7):
        sizes += zigzag >= np.uint64(1 << digits)
    return sizes


def _varints(changes: Ints) -> bytes:
    out = bytearray()
    for number in _zigzag(changes).tolist():
        while number >= 128:
            out.append(number & 127 | 128)
            number >>= 7
        out.append(number)
    return bytes(out)
