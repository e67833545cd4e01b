"""Frames and what is wanted of them."""

from __future__ import annotations

from server.can.frame import ERROR, EXTENDED, REMOTE, Acceptance, CanFrame, Wanted, shown_id


def test_flags_of_an_identifier() -> None:
    """Width and kind of a frame are bits of its `can_id`."""
    frame = CanFrame(EXTENDED | REMOTE | 0x18DAF110, b"")
    assert (frame.id, frame.is_extended, frame.is_remote, frame.is_error) == (
        0x18DAF110,
        True,
        True,
        False,
    )
    assert CanFrame(ERROR | 0x40, b"").is_error
    assert (shown_id(EXTENDED | 0x123), shown_id(0x7E8)) == ("00000123", "7E8")


def test_everything_is_wanted_without_acceptances() -> None:
    """None lets all pass; an empty list nothing but error frames."""
    assert 0x123 in Wanted()
    nothing = Wanted([])
    assert 0x123 not in nothing
    assert ERROR | 0x40 in nothing


def test_masks_and_widths() -> None:
    """An identifier passes by its masked bits, and only with its own width."""
    wanted = Wanted([Acceptance(0x7E8, 0x7F8), Acceptance(0x18DAF100, 0x1FFFFF00, True)])
    assert 0x7EF in wanted
    assert 0x7F0 not in wanted
    assert EXTENDED | 0x7E8 not in wanted
    assert EXTENDED | 0x18DAF1AB in wanted
    assert 0x7E8 | REMOTE in wanted


def test_noise_does_not_fill_the_memory() -> None:
    """Answers are kept for so many identifiers at most, and stay right."""
    wanted = Wanted([Acceptance(5, 0x1FFFFFFF, True)])
    assert not any(EXTENDED | number in wanted for number in range(100, 10_000))
    assert EXTENDED | 5 in wanted
    assert len(wanted._known) < 5000
