"""Services 14 and 19 over the store that services 03, 07 and 0A read."""

from __future__ import annotations

from typing import Any

import pytest

from sim.ecu.uds.trouble_codes import status_of

CATALYST = "P0420"


def listed(answer: str) -> dict[str, int]:
    """Return code -> status of an answer to 19 02, 0A or 15."""
    data = bytes.fromhex(answer)[3:]
    return {data[i : i + 3].hex(): data[i + 3] for i in range(0, len(data), 4)}


def test_status_follows_the_life_of_a_code(bench: Any) -> None:
    """Pending in the first cycle, confirmed with lamp in the second, healed by three good ones."""
    store = bench.ecus.ecm.dtcs
    seen = []

    def look() -> None:
        seen.append(f"{status_of(store, CATALYST):02x}")

    look()  # not yet tested in this cycle
    bench.run(15.0)
    look()
    store.inject(CATALYST)
    look()
    bench.drive_cycle()
    look()
    bench.car.state.engine_on = True
    bench.run(2.0)
    look()
    store.heal(CATALYST)
    look()
    bench.drive_cycle(20.0)
    bench.drive_cycle(20.0)
    look()
    for _ in range(3):
        bench.drive_cycle(20.0)
    look()
    assert seen == ["40", "00", "27", "65", "af", "ae", "e8", "68"]


def test_reports_agree_with_obd(bench: Any) -> None:
    """Number and list by mask hold what services 03, 07 and 0A say."""
    store = bench.ecus.ecm.dtcs
    store.inject("P0301", confirmed=True)
    store.inject("P0171")
    bench.run(15.0)
    assert bench.ask_ecm("03").hex() == "43010301"
    assert listed(bench.talk("190208")) == {"030100": status_of(store, "P0301")}
    assert bench.talk("190108") == "5901ff000001"
    assert set(listed(bench.talk("190204"))) == {"030100", "017100"}
    assert bench.talk("190104") == "5901ff000002"
    assert set(listed(bench.talk("1915"))) == {"030100"}
    assert bench.talk("190200") == "5902ff"


def test_supported_codes_are_all_listed(bench: Any) -> None:
    """0A lists those that the ECU's monitors can set, each once, and remembered strangers."""
    plain = listed(bench.talk("190a", wait_s=0.3))
    assert {"030100", "042000", "c10100"} <= set(plain)
    bench.ecus.ecm.dtcs.inject("P1234")
    assert set(listed(bench.talk("190a", wait_s=0.3))) == {*plain, "123400"}


def test_snapshots(bench: Any) -> None:
    """First and latest detection, each with the parameters of its instant as F4xx."""
    store = bench.ecus.ecm.dtcs
    bench.run(1.0)
    bench.car.state.rpm = 1000.0
    store.inject(CATALYST)
    bench.drive_cycle()
    bench.car.state.rpm = 2000.0
    bench.car.state.engine_on = True
    bench.run(2.0)
    assert bench.talk("1903") == "5903" + "04200001" + "04200002"
    for number, rpm in ((1, "0fa0"), (2, "1f40")):
        answer = bench.talk(f"1904042000{number:02x}", wait_s=0.3)
        assert answer.startswith(f"5904042000{status_of(store, CATALYST):02x}{number:02x}")
        assert f"f40c{rpm}" in answer
    both = bench.talk("1904042000ff", wait_s=0.3)
    assert "f40c0fa0" in both
    assert "f40c1f40" in both
    assert bench.talk("190404200003") == "7f1931"
    assert bench.talk("1904030100ff") == f"5904030100{status_of(store, 'P0301'):02x}"


def test_extended_data(bench: Any) -> None:
    """Occurrences (01) and aging (02), alone and together."""
    bench.ecus.ecm.dtcs.inject(CATALYST)
    bench.drive_cycle()
    bench.drive_cycle()
    status = f"{status_of(bench.ecus.ecm.dtcs, CATALYST):02x}"
    assert bench.talk("190604200001") == f"5906042000{status}0102"
    assert bench.talk("1906042000ff") == f"5906042000{status}01020200"
    assert bench.talk("190604200077") == "7f1931"


@pytest.mark.parametrize(
    ("request_hex", "answer"),
    [
        ("19", "7f1913"),
        ("1902", "7f1913"),
        ("19020800", "7f1913"),
        ("1905", "7f1912"),
        ("1904ffff00ff", "7f1931"),
        ("1904042001ff", "7f1931"),
        ("1906042000", "7f1913"),
        ("14ffffff", "7f1422"),  # the engine runs
        ("14ffff", "7f1413"),
        ("14123400", "7f1431"),
        ("14042001", "7f1431"),
        ("19820f", ""),
    ],
)
def test_refusals(bench: Any, request_hex: str, answer: str) -> None:
    """Length, subfunction, code, record and conditions."""
    assert bench.talk(request_hex) == answer


def test_clearing(bench: Any) -> None:
    """One code, then all; services 03 and 02 see it, and permanent codes stay."""
    store = bench.ecus.ecm.dtcs
    for code in ("P0301", "P0171"):
        store.inject(code, confirmed=True)
        store.heal(code)
    bench.car.state.engine_on = False
    assert bench.talk("14030100") == "54"
    assert bench.ask_ecm("03").hex() == "43010171"
    assert bench.talk("14ffff33") == "54"
    assert bench.ask_ecm("03").hex() == "4300"
    assert bench.ask_ecm("0a").hex() == "4a0203010171"
    assert status_of(store, "P0301") == 0x50


def test_each_ecu_has_its_own_store(bench: Any) -> None:
    """A code of the brakes is theirs alone; they may be cleared with the engine running."""
    bench.ecus.named("abs").dtcs.inject("C0031", confirmed=True)
    assert set(listed(bench.talk("190208", 0x760))) == {"403100"}
    assert listed(bench.talk("190208", 0x7E0)) == listed(bench.talk("190208", 0x726)) == {}
    snapshot = bench.talk("1904403100ff", 0x760, wait_s=0.2)
    assert "fd012a30" in snapshot  # 108 km/h
    assert bench.talk("14ffff33", 0x760) == "7f1431"
    assert bench.talk("14ffffff", 0x760) == "54"
    assert listed(bench.talk("190208", 0x760)) == {}
