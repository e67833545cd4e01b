"""The range coder: what is written is read, in as few bytes as the chances allow."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from server.wire.codec.coder import CodeReader, CodeWriter

DECISIONS = st.lists(
    st.tuples(st.integers(0, 1), st.one_of(st.integers(1, 32767), st.sampled_from([1, 32767]))),
    max_size=300,
)


def written(decisions: list[tuple[int, int]]) -> bytes:
    """Write decisions and finish."""
    writer = CodeWriter(2000)
    for bit, chance in decisions:
        writer.code(bit, chance)
    assert writer.length() == len(writer.finish())
    return writer.finish()


@given(DECISIONS)
def test_what_is_written_is_read(decisions: list[tuple[int, int]]) -> None:
    """All decisions come back, and the reader sees that the code is whole."""
    code = written(decisions)
    reader = CodeReader(code)
    assert [reader.code(0, chance) for _, chance in decisions] == [bit for bit, _ in decisions]
    assert reader.is_whole()
    assert not reader.is_over()
    bits = sum(-math.log2((p if bit else 32768 - p) / 32768) for bit, p in decisions)
    assert len(code) <= bits / 8 * 1.002 + 2


@given(DECISIONS, DECISIONS)
def test_going_back_forgets_what_came_after(
    kept: list[tuple[int, int]], more: list[tuple[int, int]]
) -> None:
    """Carries of what was taken back leave no trace."""
    writer = CodeWriter(2000)
    for bit, chance in kept:
        writer.code(bit, chance)
    writer.keep()
    for bit, chance in more:
        writer.code(bit, chance)
    writer.back()
    assert writer.finish() == written(kept)


@given(DECISIONS)
def test_a_code_with_something_after_it_is_not_whole(decisions: list[tuple[int, int]]) -> None:
    """One more byte, or the last one changed, is seen or read as other decisions."""
    code = written(decisions)
    reader = CodeReader(code + b"\1")
    for _, chance in decisions:
        reader.code(0, chance)
    assert not reader.is_whole()
