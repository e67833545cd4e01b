"""The splitter finds every whole sentence in whatever a serial line delivers."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise
from operator import xor

from hypothesis import given
from hypothesis import strategies as st

from server.links.nmea_lines import (
    MAX_SENTENCE_BYTES,
    SentenceSplitter,
    checksum,
    has_checksum,
)

RMC = b"$GNRMC,171926.00,A,4404.14063,N,12118.85478,W,0.117,,180315,,,A*76"
VTG = b"$GNVTG,,T,,M,0.117,N,0.216,K,A*3F"

bodies = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="$*"),
    min_size=1,
    max_size=90,
).map(str.encode)


def feed_all(stream: bytes, cuts: list[int]) -> tuple[list[bytes], SentenceSplitter]:
    """Feed `stream` cut at `cuts`."""
    splitter = SentenceSplitter()
    found: list[bytes] = []
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for begin, end in pairwise(edges):
        found += splitter.feed(stream[begin:end])
    return found, splitter


@given(st.lists(bodies, max_size=6), st.lists(st.integers(0, 10_000), max_size=20))
def test_every_sentence_survives_any_cutting(texts: list[bytes], cuts: list[int]) -> None:
    """Sentences come out whole and in order wherever the stream is cut into chunks."""
    sentences = [b"$%s*%02X" % (text, checksum(text)) for text in texts]
    found, splitter = feed_all(b"".join(sentence + b"\r\n" for sentence in sentences), cuts)
    assert found == sentences
    assert all(has_checksum(sentence) for sentence in found)
    assert splitter.counters["noise_bytes"] == 0


@given(st.binary(max_size=3000), st.lists(st.integers(0, 10_000), max_size=20))
def test_random_bytes_never_raise_and_never_hide_the_next_sentence(
    noise: bytes, cuts: list[int]
) -> None:
    """Whatever came before, a whole sentence is found, and the buffer stays bounded."""
    found, splitter = feed_all(noise + b"\n" + RMC, cuts)
    assert found[-1] == RMC
    assert len(splitter._tail) <= MAX_SENTENCE_BYTES
    assert splitter.counters["bytes"] == len(noise) + 1 + len(RMC)


@given(st.binary(max_size=300))
def test_the_folded_checksum_is_the_xor_of_the_bytes(body: bytes) -> None:
    """`checksum` equals the loop over bytes for any length."""
    assert checksum(body) == reduce(xor, body, 0)


def test_a_flood_without_newline_is_bounded() -> None:
    """A megabyte without an end is dropped and counted; the sentence behind it is found."""
    splitter = SentenceSplitter()
    for _ in range(256):
        assert splitter.feed(b"$" + b"A" * 4095) == []
        assert len(splitter._tail) <= MAX_SENTENCE_BYTES
    assert splitter.feed(b"\r\n" + RMC + b"\r\n") == [RMC]
    assert splitter.counters["noise_bytes"] == 256 * 4096
    assert splitter.counters["sentences_cut"] == 256


def test_two_sentences_on_one_line_are_two() -> None:
    """A lost line end costs nothing."""
    assert SentenceSplitter().feed(RMC + VTG + b"\r\n") == [RMC, VTG]


def test_a_cut_sentence_costs_only_itself() -> None:
    """A sentence that stops in the middle is counted, the next one is found."""
    splitter = SentenceSplitter()
    assert splitter.feed(RMC[:30] + VTG + b"\r\n") == [VTG]
    assert splitter.counters["sentences_cut"] == 1
    assert splitter.counters["noise_bytes"] == 30


def test_a_sentence_without_checksum_is_not_one() -> None:
    """A sentence cut before its `*` is not handed on (it would parse as a shorter message)."""
    assert SentenceSplitter().feed(RMC[:-3] + b"\r\n" + VTG) == [VTG]


def test_nul_bytes_are_dropped() -> None:
    """NULs before and inside a sentence do not spoil it (python's NMEA reader fails on them)."""
    splitter = SentenceSplitter()
    assert splitter.feed(b"\0\0" + RMC[:20] + b"\0" + RMC[20:]) == [RMC]
    assert splitter.counters["noise_bytes"] == 3


def test_a_wrong_checksum_is_seen() -> None:
    """One changed character makes `has_checksum` False; lower case digits are accepted."""
    assert has_checksum(RMC)
    assert not has_checksum(RMC.replace(b"171926", b"171927"))
    assert has_checksum(VTG[:-2] + VTG[-2:].lower())
