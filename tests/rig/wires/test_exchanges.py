"""A recorded conversation with an ELM327 becomes requests and their answers, whatever happened."""

from __future__ import annotations

import pytest

from rig.record.streams import WireChunk
from rig.wires.exchanges import conversation, plain, without_count


def chunks(*rows: tuple[int, str, str]) -> list[WireChunk]:
    return [WireChunk(*row) for row in rows]


def test_what_comes_before_the_next_request_is_the_answer() -> None:
    """Echo, reply and prompt in pieces, each with its time after the request's last byte."""
    talk = conversation(
        chunks(
            (5, ">", "\r>"),
            (10, "<", "01"),
            (20, "<", "0C1\r"),
            (24, ">", "010C1\r"),
            (31, ">", "410C0FA0\r\r>"),
            (40, "<", "ATRV\r"),
        )
    )
    assert talk.banner == [(5, b"\r>")]
    first, second = talk.exchanges
    assert (first.request, first.asked_ns) == ("010C1", 20)
    assert first.answer == [(4, b"010C1\r"), (11, b"410C0FA0\r\r>")]
    assert first.has_prompt
    assert (second.request, second.answer) == ("ATRV", [])
    assert not second.has_prompt


def test_two_requests_in_one_write_are_two() -> None:
    """The first of them has no answer of its own."""
    talk = conversation(chunks((1, "<", "ATE0\rATL0\r"), (3, ">", "OK\r\r>")))
    assert [(e.request, len(e.answer)) for e in talk.exchanges] == [("ATE0", 0), ("ATL0", 1)]


@pytest.mark.parametrize(
    ("line", "expected"), [(b"01 0c 1", "010C1"), (b"\x00at rv ", "ATRV"), (b"", "")]
)
def test_blanks_and_case_do_not_matter(line: bytes, expected: str) -> None:
    """As they do not to the adapter."""
    assert plain(line) == expected


@pytest.mark.parametrize(
    ("request_", "expected"), [("010C1", "010C"), ("010C", "010C"), ("ATSP6", "ATSP6")]
)
def test_the_number_of_awaited_answers_is_no_part_of_what_is_asked(
    request_: str, expected: str
) -> None:
    """Only requests to the vehicle have one."""
    assert without_count(request_) == expected
