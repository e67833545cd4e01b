"""Who an ECU says it is."""

from __future__ import annotations

import pytest

from sim.ecu.dtc import DtcStore
from sim.ecu.identity import EcuIdentity, information_items


def test_lengths_are_those_of_the_standard() -> None:
    """VIN 17, calibration 16, verification 4, performance 40, name 20 bytes, count before."""
    items = information_items(
        EcuIdentity("ECM", "EngineControl", "ABC-1"), DtcStore(), "WF0DXXGAKDDK12345"
    )
    lengths = {infotype: len(read()) - 1 for infotype, read in items.items()}
    assert lengths == {0x02: 17, 0x04: 16, 0x06: 4, 0x08: 40, 0x0A: 20}


def test_verification_number_follows_the_calibration() -> None:
    """Two calibrations have two verification numbers, the same one always the same."""
    first, second = EcuIdentity("ECM", "Engine", "A"), EcuIdentity("ECM", "Engine", "B")
    assert first.verification_number != second.verification_number
    assert first.verification_number == EcuIdentity("TCM", "x", "A").verification_number


@pytest.mark.parametrize(
    "names", [("ENGINE", "e", "c"), ("ECM", "a name too long!", "c"), ("ECM", "e", "")]
)
def test_names_that_do_not_fit_are_refused(names: tuple[str, str, str]) -> None:
    """A name that does not fit into its field is refused."""
    with pytest.raises(ValueError, match="expected 1-"):
        EcuIdentity(*names)


def test_wrong_vin_is_refused() -> None:
    """A VIN must have 17 characters."""
    with pytest.raises(ValueError, match="expected 17"):
        information_items(EcuIdentity("ECM", "e", "c"), DtcStore(), "SHORT")
