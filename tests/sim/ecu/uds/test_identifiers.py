"""Reading by identifier: the usual ones, the mirror of mode 01, community data."""

from __future__ import annotations

from typing import Any

import pytest

from sim.ecu.body import BODY
from sim.ecu.powertrain import ECM
from sim.ecu.uds.community import BODY_DIDS, BRAKE_DIDS, ENGINE_DIDS
from sim.ecu.uds.identifiers import Certainty, Memory

VIN = "WF0DXXGAKDDK12345"
ALL_IDS = (0x7E0, 0x7E1, *(plan.request_id for plan in BODY))


def test_every_ecu_tells_the_same_vin(bench: Any) -> None:
    """F190 of each ECU is the car's, that of service 09."""
    for ecu in ALL_IDS:
        assert bench.talk("22f190", ecu) == "62f190" + VIN.encode().hex()


@pytest.mark.parametrize("did", ["f111", "f187", "f188", "f18a", "f18b", "f18c", "f191", "f195"])
def test_usual_identifiers(bench: Any, did: str) -> None:
    """Every ECU has them, and what belongs to one ECU differs from the next."""
    answers = {bench.talk(f"22{did}", ecu) for ecu in ALL_IDS}
    assert all(answer.startswith(f"62{did}") and len(answer) > 10 for answer in answers)
    if did in ("f111", "f187", "f188", "f18c"):
        assert len(answers) >= 5


def test_several_identifiers_in_one_request(bench: Any) -> None:
    """Known ones are answered in the order of the request, others left out."""
    assert bench.talk("22f186fffff40c") == "62f18601f40c26dd"
    assert bench.talk("22fffffffe") == "7f2231"


def test_forms(bench: Any) -> None:
    """Half an identifier, none, and too many are refused as wrong length."""
    for request in ("22", "22f1", "22f190f1", "22" + 33 * "f186"):
        assert bench.talk(request) == "7f2213"
    assert bench.talk("22" + 32 * "f186", wait_s=0.2) == "62" + 32 * "f18601"


def test_mirror_is_mode_01(bench: Any) -> None:
    """F4xx gives the bytes of service 01, bitmaps too, and no more parameters than that."""
    for pid in (0x00, 0x01, 0x05, 0x0C, 0x0F, 0x20, 0x2F, 0x3C, 0x70):
        (answer,) = bench.ask(f"01{pid:02x}", 0x7E0)
        assert bench.talk(f"22f4{pid:02x}") == f"62f4{pid:02x}" + answer[2:].hex()
    assert bench.talk("22f408") == "7f2231"
    assert bench.talk("22f40c", 0x726) == "7f2231"


def test_values_come_from_the_one_state(bench: Any) -> None:
    """Charge air, wheel speeds, odometer and battery follow the car's state."""
    bench.car.state.intake_c = 47.3
    bench.car.state.speed_mps = 27.5
    bench.car.state.distance_m = 12_000.0
    values = {}
    for to, specs in ((0x7E0, ENGINE_DIDS), (0x726, BODY_DIDS), (0x760, BRAKE_DIDS)):
        for spec in specs:
            data = bytes.fromhex(bench.talk(f"22{spec.did:04x}", to))[3:]
            assert len(data) == spec.n_bytes
            values[to, spec.did] = spec.decode(data)
    assert values[0x7E0, 0x03CA] == 47
    assert values[0x7E0, 0x0461] == pytest.approx(47.3, abs=0.006)
    assert values[0x7E0, 0x03E8] == -1
    assert [values[0x760, 0xFD01 + wheel] for wheel in range(4)] == [99.0] * 4
    assert values[0x726, 0xDD01] == 58_424
    assert 230 < values[0x726, 0x2813] < 260


def test_octane_adjust_is_the_published_example(bench: Any) -> None:
    """C000 stands for -1."""
    assert bench.talk("2203e8") == "6203e8c000"


def test_automatic_gearbox_identifiers_are_refused(bench: Any) -> None:
    """A manual car does not know them, on either powertrain ECU."""
    for did in ("1e12", "1e16", "1e1c"):
        assert bench.talk(f"22{did}") == f"{bench.talk(f'22{did}', 0x7E1)}" == "7f2231"


def test_every_identifier_names_its_source() -> None:
    """Community data are marked as such, and what has no published scale says so."""
    for plan in (ECM, *BODY):
        for spec in plan.dids:
            assert spec.source
            assert spec.scale
    assert {spec.certainty for spec in (*ENGINE_DIDS, *BODY_DIDS)} == {Certainty.COMMUNITY}
    unknown = {spec.did for spec in (*ENGINE_DIDS, *BODY_DIDS) if spec.scale.startswith("unknown")}
    assert unknown == {0x03E8, 0x0451, 0xDD04, 0x4028}


def test_data_fit_their_length_in_any_state(bench: Any, make_state: Any) -> None:
    """Values beyond an identifier's range are limited, never an error."""
    for state in (
        make_state(intake_c=-60.0, boost_kpa=-99.0, coolant_c=-50.0, battery_v=0.0),
        make_state(intake_c=2000.0, boost_kpa=900.0, coolant_c=900.0, distance_m=1e12),
    ):
        for plan in (ECM, *BODY):
            assert all(len(spec.read(state)) == spec.n_bytes for spec in plan.dids)


def test_an_identifier_that_stands_twice_is_refused(bench: Any) -> None:
    """A plan that would hide one of its own identifiers does not become an ECU."""
    import dataclasses
    import random

    from sim.ecu.control_unit import ControlUnit

    plan = dataclasses.replace(ECM, dids=(*ECM.dids, ECM.dids[0]))
    with pytest.raises(ValueError, match="03E8 twice"):
        ControlUnit(bench.env, bench.bus, plan, bench.car, random.Random(), VIN, random.Random())


def test_memory_is_its_own() -> None:
    """Two memories of the same beginning do not share what is written."""
    first, second = Memory({1: b"a"}), Memory({1: b"a"})
    first.write(1, b"b")
    assert second.values == {1: b"a"}
