"""The firmware's table of signals against the gateway's catalogue."""

from __future__ import annotations

import pytest

from firmware_stubs import signals
from server.catalogue import CATALOGUE, by_name


def test_every_signal_of_the_catalogue_that_a_car_or_receiver_says_is_there() -> None:
    """Names and numbers are the catalogue's."""
    said = [signal for signal in CATALOGUE if signal.source.startswith(("obd:", "gps"))]
    expected = {signal.name: signal.id for signal in said}
    assert {name: found(name).id for name in signals.names()} == expected


@pytest.mark.parametrize("name", signals.names())
def test_scale_offset_and_range_are_those_of_the_catalogue(name: str) -> None:
    """The value of the raw minimum and maximum, and the step, agree with the catalogue."""
    ours, theirs = found(name), by_name(name)
    scale = ours.scale_num / ours.scale_den
    assert scale == pytest.approx(theirs.resolution, rel=1e-12)
    assert ours.minimum * scale + ours.offset == pytest.approx(theirs.minimum, abs=scale * 1.01)
    assert ours.maximum * scale + ours.offset == pytest.approx(theirs.maximum, abs=scale * 1.01)


def test_raw_integers_are_read_as_the_standard_writes_them() -> None:
    """Two bytes are big endian; evaporative pressure has a sign; MAX_MAF is the first of four."""
    assert found("RPM").raw(b"\x1a\xf8") == 0x1AF8
    assert found("EVAP_VAPOR_PRESSURE").raw(b"\xff\xfe") == -2
    assert found("EVAP_VAPOR_PRESSURE").raw(b"\x7f\xff") == 0x7FFF
    assert found("MAX_MAF").raw(b"\x20\x00\x00\x00") == 0x20


def test_an_unknown_name_has_no_signal() -> None:
    """A name that is in no row gives None."""
    assert signals.by_name("RPMS") is None


def found(name: str) -> signals.Signal:
    """Give a signal that must be there."""
    signal = signals.by_name(name)
    assert signal is not None
    return signal
