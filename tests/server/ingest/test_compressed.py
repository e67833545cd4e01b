"""Bodies that are compressed with zstd: whole, bounded, nothing else."""

from __future__ import annotations

import os

import pytest
import zstandard

from server.answers import Refusal
from server.ingest.body import _decompressed

MOST = 1024 * 1024


@pytest.mark.parametrize("says_size", [True, False])
def test_a_frame_is_taken(says_size: bool) -> None:
    """A frame gives its content, whether it says its size or not."""
    packer = zstandard.ZstdCompressor(level=3, write_content_size=says_size)
    for plain in (b"", b"abc" * 1000, os.urandom(MOST)):
        assert _decompressed(packer.compress(plain), MOST) == plain


@pytest.mark.parametrize("says_size", [True, False])
def test_a_bomb_is_refused(says_size: bool) -> None:
    """A small frame of a huge content is refused at the bound."""
    packer = zstandard.ZstdCompressor(level=3, write_content_size=says_size)
    with pytest.raises(Refusal) as caught:
        _decompressed(packer.compress(bytes(100 * MOST)), MOST)
    assert caught.value.status == 413


@pytest.mark.parametrize("says_size", [True, False])
def test_what_is_no_whole_frame_is_refused(says_size: bool) -> None:
    """A part of a frame, two of them, or other bytes are refused."""
    packer = zstandard.ZstdCompressor(level=3, write_content_size=says_size)
    frame = packer.compress(b"abc" * 1000)
    for body in (b"", b"abc", frame[:-1], frame + b"x", frame + frame, os.urandom(500)):
        with pytest.raises(Refusal) as caught:
            _decompressed(body, MOST)
        assert caught.value.status == 400


def test_a_wide_window_is_refused() -> None:
    """A frame that wants more memory than a decoder has to have is refused before it gets it."""
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters)
    stream = packer.compressobj()
    frame = stream.compress(b"abc") + stream.flush()
    with pytest.raises(Refusal) as caught:
        _decompressed(frame, MOST)
    assert caught.value.status == 413
