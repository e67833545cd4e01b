"""Frames of the serial API are found as the firmware finds them, in whatever pieces they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.meshtastic.framing import LONGEST_BYTES, Deframer, frame

MESSAGES = st.lists(st.binary(max_size=LONGEST_BYTES), max_size=6)
NOISE = st.binary(max_size=40).map(lambda data: data.replace(b"\x94", b""))
HEADERS = [b"\x94", b"\x94\xc3", b"\x94\x94\xc3", b"\x94\xc3\x00", b"\x94\xc3\xff"]


class ByteWise:
    """StreamAPI::readStream, byte for byte."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.messages: list[bytes] = []

    def feed(self, data: bytes) -> None:
        buffer = self.buffer
        for byte in data:
            at = len(buffer)
            buffer.append(byte)
            if (at == 0 and byte != 0x94) or (at == 1 and byte != 0xC3):
                buffer.clear()
            elif at >= 3:
                length = (buffer[2] << 8) + buffer[3]
                if at == 3 and length > 512:
                    buffer.clear()
                elif at + 1 >= length + 4:
                    self.messages.append(bytes(buffer[4:]))
                    buffer.clear()


@given(MESSAGES, NOISE, st.integers(1, 50))
def test_messages_survive_noise_between_them_and_any_division(
    messages: list[bytes], noise: bytes, piece: int
) -> None:
    """Every message is found once and in order, wherever the stream is cut."""
    stream = b"".join(noise + frame(message) for message in messages)
    deframer = Deframer()
    found = []
    for start in range(0, len(stream), piece):
        found += deframer.feed(stream[start : start + piece])
    assert found == messages
    assert deframer.frames == len(messages)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from(
                [b"\x94", b"\x94\xc3", b"\x94\x94\xc3", b"\x94\xc3\x00", b"\x94\xc3\xff"]
            ),
            st.binary(max_size=20).map(frame),
        ),
        max_size=20,
    )
)
def test_any_bytes_are_read_as_the_firmware_reads_them(pieces: list[bytes]) -> None:
    """Truncated, oversized, repeated and broken headers have the firmware's outcome."""
    deframer, firmware = Deframer(), ByteWise()
    found = []
    for piece in pieces:
        found += deframer.feed(piece)
        firmware.feed(piece)
    assert found == firmware.messages


def test_a_length_of_zero_is_a_message() -> None:
    """An empty protobuf is legal."""
    assert Deframer().feed(b"\x94\xc3\x00\x00") == [b""]


def test_an_impossible_length_is_counted_and_the_next_frame_found() -> None:
    """513 bytes fit into no frame: the header is dropped, what follows is read."""
    deframer = Deframer()
    assert deframer.feed(b"\x94\xc3\x02\x01" + frame(b"next")) == [b"next"]
    assert deframer.oversized == 1


def test_a_cut_frame_swallows_what_follows_up_to_its_length() -> None:
    """There is no check sum: the firmware cannot know better."""
    deframer = Deframer()
    cut = frame(b"x" * 64)[:20]
    assert deframer.feed(cut + frame(b"a" * 30)) == []
    assert deframer.feed(frame(b"b" * 20)) != [b"b" * 20]
    assert deframer.feed(frame(b"c")) == [b"c"]


def test_a_message_that_fits_no_frame_is_refused() -> None:
    """The writer is told how long it may be."""
    with pytest.raises(ValueError, match="expected at most 512 bytes, got 513"):
        frame(bytes(513))
