"""Compresses what is written, as it is written."""

from __future__ import annotations

import zlib
from typing import BinaryIO, Protocol

from server.export.job import Packing

GZIP_LEVEL = 6
ZSTD_LEVEL = 3
_GZIP = 16 + zlib.MAX_WBITS


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Packer:
    """Writes to a file or pipe, compressed.

    Args:
        out: where to.
        packing: how.
    """

    def __init__(self, out: BinaryIO, packing: Packing) -> None:
        self._out = out
        self._compressor = _compressor(packing)

    def write(self, data: bytes) -> None:
        """Write; what is compressed may come later, and nothing begins nothing."""
        if not data:
            return
        if self._compressor is not None:
            data = self._compressor.compress(data)
        if data:
            self._out.write(data)

    def close(self) -> None:
        """Write what is left; the file or pipe stays open."""
        if self._compressor is not None:
            self._out.write(self._compressor.flush())
        self._out.flush()


def _compressor(packing: Packing) -> _Compressor | None:
    if packing is Packing.GZIP:
        return zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP)
    if packing is Packing.ZSTD:
        import zstandard

        compressor: _Compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()
        return compressor
    return None
