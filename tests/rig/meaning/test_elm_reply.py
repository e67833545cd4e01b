"""Payloads in an adapter's replies, in every form in which adapters write them."""

from __future__ import annotations

import pytest

from rig.meaning.elm_reply import payloads

RPM = bytes.fromhex("410C1AF8")
VIN = bytes.fromhex("490201") + b"WP0ZZZ99ZTS390000"


@pytest.mark.parametrize(
    "text",
    [
        "41 0C 1A F8 \r\r>",
        "410C1AF8\r\r>",
        "7E8 04 41 0C 1A F8 \r\r>",
        "7E804410C1AF8\r\n\r\n>",
        "7E8 04 41 0C 1A F8 AA AA AA \r\r>",
        "18 DA F1 10 04 41 0C 1A F8 \r\r>",
        "18DAF11004410C1AF8\r\r>",
        "48 6B 10 41 0C 1A F8 31 \r\r>",
        "41 6B 10 41 0C 1A F8 31 \r\r>",
        "83 F1 11 41 0C 1A F8 C4 \r\r>",
        "SEARCHING...\r41 0C 1A F8 \r\r>",
        "010C\r41 0C 1A F8 \r\r>",
    ],
)
def test_one_answer_in_every_form(text: str) -> None:
    """Headers, spaces, echo, padding and search change nothing about what the ECU said."""
    assert list(payloads(text)) == [RPM]


@pytest.mark.parametrize(
    "text",
    [
        "014 \r0: 49 02 01 57 50 30 \r1: 5A 5A 5A 39 39 5A 54 \r2: 53 33 39 30 30 30 30 \r\r>",
        "7E8 10 14 49 02 01 57 50 30\r7E8 21 5A 5A 5A 39 39 5A 54\r7E8 22 53 33 39 30 30 30 30\r>",
    ],
)
def test_an_answer_of_several_frames_is_put_together(text: str) -> None:
    """Numbered lines and raw frames give the same 20 bytes."""
    assert list(payloads(text)) == [VIN]


def test_two_ecus_give_two_answers() -> None:
    """In the order in which they began to speak."""
    text = "7E8 04 41 0C 1A F8 \r7EA 04 41 0C 1A F0 \r\r>"
    assert list(payloads(text)) == [RPM, bytes.fromhex("410C1AF0")]


@pytest.mark.parametrize(
    "text",
    ["", ">", "NO DATA\r\r>", "?\r\r>", "OK\r\r>", "13.1V\r\r>", "ELM327 v1.5\r\r>",
     "7E8 10 14 49 02", "STOPPED\r\r>", "41 0", "\x00\xff\r>"],
)  # fmt: skip
def test_what_is_no_answer_gives_none(text: str) -> None:
    """Words of the adapter, and answers that were cut off."""
    assert list(payloads(text)) == []
