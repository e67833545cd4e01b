"""Frames on a serial line, among garbage."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.wire import frame
from server.wire.frame import Decoder, FrameError
from tests import micropython

PAYLOADS = st.binary(max_size=60)
FRAMES = st.tuples(st.integers(0, 255), PAYLOADS)

BOTH = """
from server.wire.frame import Decoder, frame, hello
decoder = Decoder()
stream = b"boot: ok\\r\\n" + frame(2, bytes(range(256))) + b"\\xfa" + hello("d")
stream += frame(9, b"")[:-1] + b"\\xfa\\xf5\\x02\\x00\\xff" + frame(4, b"line")
for at in range(0, len(stream), 7):
    for kind, payload in decoder.feed(stream[at : at + 7]):
        print(kind, payload.hex())
print([(k, p.hex()) for k, p in decoder.give_up()], decoder.skipped_bytes, decoder.damaged)
print(decoder.text().hex(), stream.hex())
"""


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Cut a stream at these places."""
    places = sorted({cut % (len(stream) + 1) for cut in cuts} | {0, len(stream)})
    return [stream[a:b] for a, b in itertools.pairwise(places)]


def decode(parts: list[bytes]) -> tuple[list[tuple[int, bytes]], Decoder]:
    """Feed all parts, then end the wait."""
    decoder = Decoder()
    found = [item for part in parts for item in decoder.feed(part)]
    return found + decoder.give_up(), decoder


@given(st.lists(st.one_of(FRAMES, st.text(max_size=30)), max_size=8), st.lists(st.integers(0, 999)))
def test_frames_between_lines_of_text_come_whole_however_they_are_cut(
    items: list[tuple[int, bytes] | str], cuts: list[int]
) -> None:
    """Every frame is found, in order; every byte of text is counted and kept."""
    parts = [item.encode() if isinstance(item, str) else frame.frame(*item) for item in items]
    found, decoder = decode(pieces(b"".join(parts), cuts))
    assert found == [item for item in items if not isinstance(item, str)]
    text = b"".join(item.encode() for item in items if isinstance(item, str))
    assert decoder.text() == text
    assert decoder.skipped_bytes == len(text)


GARBAGE = st.one_of(
    st.binary(max_size=40),
    st.binary(max_size=8).map(lambda tail: frame.SYNC + tail),
    FRAMES.map(lambda item: frame.frame(*item)[:-1]),
    st.tuples(FRAMES, st.integers(0, 500), st.integers(1, 255)).map(
        lambda draw: damaged(frame.frame(*draw[0]), draw[1], draw[2])
    ),
)


def damaged(whole: bytes, at: int, by: int) -> bytes:
    """Change one byte of a frame."""
    at %= len(whole)
    return whole[:at] + bytes((whole[at] ^ by,)) + whole[at + 1 :]


def frames_in(stream: bytes) -> dict[int, tuple[int, bytes]]:
    """Find the frames of a stream by trying each place, behind the end of the last one."""
    found = {}
    at = 0
    while at + frame.OVERHEAD_BYTES <= len(stream):
        size = int.from_bytes(stream[at + 3 : at + 5], "little")
        payload = stream[at + 6 : at + 6 + size]
        whole = stream[at : at + size + frame.OVERHEAD_BYTES]
        if len(payload) == size and frame.frame(stream[at + 2], payload) == whole:
            found[at] = (stream[at + 2], payload)
            at += len(whole)
        else:
            at += 1
    return found


@given(
    st.lists(st.one_of(FRAMES.map(lambda item: frame.frame(*item)), GARBAGE)),
    st.lists(st.integers(0, 9999)),
)
@example([b"\xfa", frame.frame(1, b"")], [])
@example([b"\xfa\xfa", frame.frame(1, b"\xfa\xf5")], [1, 2, 3])
def test_every_intact_frame_is_found_after_any_garbage(items: list[bytes], cuts: list[int]) -> None:
    """Random bytes, cut frames and damaged frames hide no intact frame, and are counted."""
    stream = b"".join(items)
    found, decoder = decode(pieces(stream, cuts))
    assert found == list(frames_in(stream).values())
    used = sum(len(payload) + frame.OVERHEAD_BYTES for _, payload in found)
    assert used + decoder.skipped_bytes == len(stream)


@given(FRAMES, st.data())
def test_a_damaged_frame_is_never_given(item: tuple[int, bytes], data: st.DataObject) -> None:
    """One changed byte anywhere, and no frame comes."""
    whole = frame.frame(*item)
    at = data.draw(st.integers(0, len(whole) - 1))
    found, _ = decode([damaged(whole, at, data.draw(st.integers(1, 255)))])
    assert found == []


def test_a_line_of_garbage_is_held_in_bounded_memory() -> None:
    """A megabyte of noise and false headers leaves at most one frame's room in use."""
    chance = random.Random(7)
    decoder = Decoder(16384)
    liar = frame.frame(2, bytes(16384))[:6]
    for _ in range(1000):
        decoder.feed(chance.randbytes(1000) + liar)
        assert len(decoder._buffer) <= 16384 + frame.OVERHEAD_BYTES
        assert len(decoder._text) <= 4096
    assert decoder.frames == 0
    assert decoder.damaged >= 900


def test_a_frame_whose_end_never_comes_is_given_up_when_the_line_is_silent() -> None:
    """What came behind a cut frame is found as soon as the reader stops waiting for the rest."""
    decoder = Decoder()
    cut = frame.frame(2, bytes(500))[:200]
    assert decoder.feed(cut + frame.frame(3, b"ok")) == []
    assert decoder.waits()
    assert decoder.give_up() == [(3, b"ok")]
    assert not decoder.waits()
    assert decoder.damaged == 1


def test_a_payload_that_is_too_long_is_refused() -> None:
    """The writer says how much a frame holds."""
    with pytest.raises(FrameError, match="at most 65535 bytes, not 65536"):
        frame.frame(1, bytes(65536))


def test_micropython_frames_and_finds_the_same() -> None:
    """One stream with text, cut and damaged frames gives the same in both Pythons."""
    assert micropython.run(BOTH) == micropython.run_here(BOTH)


def test_a_frame_longer_than_a_board_has_room_for_is_passed_over() -> None:
    """A decoder with a limit of its own finds the next frame."""
    decoder = Decoder(100)
    assert decoder.feed(frame.frame(3, bytes(101)) + frame.frame(3, bytes(100))) == [
        (3, bytes(100))
    ]
    assert decoder.damaged == 1
