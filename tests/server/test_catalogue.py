"""The signal catalogue."""

from __future__ import annotations

import msgspec
import pytest

from server import catalogue
from server.catalogue import (
    CATALOGUE,
    SHORT_NAMES,
    Signal,
    all_signals,
    by_id,
    by_name,
    by_path,
    register,
)
from server.errors import CatalogueError


def test_ids_names_and_paths_are_unique() -> None:
    """No two signals share an id, a name or a path."""
    for attribute in ("id", "name", "path"):
        values = [getattr(signal, attribute) for signal in CATALOGUE]
        assert len(set(values)) == len(values)


def test_obd_ids_are_pids() -> None:
    """An OBD signal's id is the PID in its source."""
    obd = [signal for signal in CATALOGUE if signal.source.startswith("obd:01")]
    assert len(obd) > 40
    assert all(signal.id == int(signal.source.removeprefix("obd:01"), 16) for signal in obd)


def test_ranges_are_whole_steps_wide() -> None:
    """Range and resolution of an OBD signal belong to the same scaling."""
    for signal in CATALOGUE:
        assert signal.minimum < signal.maximum
        if signal.source.startswith("obd:"):
            steps = (signal.maximum - signal.minimum) / signal.resolution
            assert steps == pytest.approx(round(steps), rel=1e-4), signal.name


def test_lookups_agree() -> None:
    """A signal is found by id, name and path."""
    rpm = by_name("RPM")
    assert by_id(12) is rpm
    assert by_path("Vehicle.Powertrain.CombustionEngine.Speed") is rpm
    assert rpm.resolution == 0.25


def test_unknown_name_gets_a_suggestion() -> None:
    """A misspelt name is answered with the nearest one, in a message without quotes around."""
    with pytest.raises(CatalogueError) as caught:
        by_name("COOLANT_TMP")
    assert str(caught.value).endswith("did you mean COOLANT_TEMP or OIL_TEMP?")
    with pytest.raises(CatalogueError, match="no signal has the id 9"):
        by_id(9999)
    with pytest.raises(CatalogueError, match=r"did you mean Vehicle\.Speed"):
        by_path("Vehicle.Sped")


def test_signals_of_a_configuration() -> None:
    """They are found as the built-in ones are; the same again replaces, others' ids are refused."""
    own = Signal(0x1000_0001, "OwnSpeed", "Vehicle.Speed", "km/h", 1, 0, 300, "can:A")
    try:
        register([own])
        assert (by_id(own.id), by_name("OwnSpeed")) == (own, own)
        assert by_path("Vehicle.Speed").name == "SPEED"  # stays with the built-in one
        assert own in all_signals()[len(catalogue.CATALOGUE) :]
        assert SHORT_NAMES[own.id] == "OwnSpeed"
        register([msgspec.structs.replace(own, path="Vehicle.CAN.A.OwnSpeed")])
        assert by_path("Vehicle.CAN.A.OwnSpeed").id == own.id
        with pytest.raises(CatalogueError, match="has the id 268435457 of OwnSpeed"):
            register([msgspec.structs.replace(own, name="Other")])
        with pytest.raises(CatalogueError, match="RPM has the name of a built-in signal"):
            register([msgspec.structs.replace(own, id=0x1000_0002, name="RPM")])
    finally:
        del catalogue._own[own.id], catalogue._BY_ID[own.id], catalogue._BY_NAME["OwnSpeed"]
        del SHORT_NAMES[own.id]
        catalogue._BY_PATH.pop("Vehicle.CAN.A.OwnSpeed", None)
