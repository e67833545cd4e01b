"""The services of J1979 over the bus."""

from __future__ import annotations

from typing import Any

import pytest

ECM_ID, TCM_ID = 0x7E0, 0x7E1


def test_several_pids_in_one_request(bench: Any) -> None:
    """Up to six PIDs are answered together, in the order asked for."""
    answer = bench.ask_ecm("01 0C 0D 05 0F 11 04")
    assert [answer[i] for i in (1, 4, 6, 8, 10, 12)] == [0x0C, 0x0D, 0x05, 0x0F, 0x11, 0x04]
    assert [pid for _t, _ecu, pid, _data, _state in bench.samples] == [
        0x0C, 0x0D, 0x05, 0x0F, 0x11, 0x04,
    ]  # fmt: skip


def test_datasheet_transcript(bench: Any) -> None:
    """The ELM327 data sheet's multi-PID answer (p. 45) comes out byte for byte."""
    bench.car.state.load_pct = 24.7
    bench.car.state.coolant_c = 28.0
    bench.car.state.map_kpa = 33.0
    bench.car.state.rpm = 0x17B8 / 4
    bench.ask("01 04 05 0B 0C", ECM_ID)
    assert bench.lines() == ["7E8100A41043F05440B", "7E821210C17B8000000"]


def test_unsupported_pids_are_left_out(bench: Any) -> None:
    """A request that mixes supported and unsupported PIDs gets the supported ones."""
    assert bench.ask("01 08 0D") == [bytes.fromhex("41 0D 6C")]


def test_adding_a_pid_is_enough(bench: Any) -> None:
    """A PID put into the table is answered and shown in the bitmap; one taken out is neither."""
    spec = bench.ecus.ecm.pids.pop(0x0C)
    assert bench.ask("010C") == []
    before = int.from_bytes(bench.ask_ecm("0100")[2:], "big")
    bench.ecus.ecm.pids[0x0C] = spec
    after = int.from_bytes(bench.ask_ecm("0100")[2:], "big")
    assert before ^ after == 1 << (32 - 0x0C)
    assert len(bench.ask("010C")) == 1


def test_samples_are_reported_once_with_what_was_sent(bench: Any) -> None:
    """Each PID answered is reported with ECU, bytes and state; bitmaps are not."""
    bench.ask("0100")
    assert bench.samples == []
    bench.ask("010C")
    ((_t_s, ecu, pid, data, state),) = bench.samples
    assert (ecu, pid, state) == ("ecm", 0x0C, bench.car.state)
    assert bench.answers[0][2] == b"\x41\x0c" + data


def test_functional_request_reaches_both(bench: Any) -> None:
    """PID 01 is answered by ECM and TCM, each once."""
    bench.ask("0101")
    assert sorted(arbitration_id for _t, arbitration_id, _p in bench.answers) == [0x7E8, 0x7E9]


def test_codes_by_service(bench: Any) -> None:
    """Pending, confirmed and permanent codes stand in services 07, 03 and 0A, with their number."""
    dtcs = bench.ecus.ecm.dtcs
    bench.run(1.0)
    dtcs.inject("P0420")
    dtcs.inject("P0301", confirmed=True)
    assert bench.ask_ecm("07").hex() == "47" + "02" + "0420" + "0301"
    assert bench.ask_ecm("03").hex() == "43" + "01" + "0301"
    assert bench.ask_ecm("0A").hex() == "4a" + "01" + "0301"
    assert bench.ask("03", TCM_ID) == [b"\x43\x00"]


def test_many_codes_need_several_frames(bench: Any) -> None:
    """More than two codes come as a segmented message with their number."""
    for number in range(5):
        bench.ecus.ecm.dtcs.inject(f"P020{number}", confirmed=True)
    answer = bench.ask_ecm("03")
    assert answer.hex() == "4305" + "02000201020202030204"


def test_lamp_and_count_follow_the_codes(bench: Any) -> None:
    """PID 01 shows lamp and number of confirmed codes by itself."""
    bench.run(1.0)
    assert bench.ask_ecm("0101")[2] == 0x00
    bench.ecus.ecm.dtcs.inject("P0420")
    assert bench.ask_ecm("0101")[2] == 0x00
    bench.ecus.ecm.dtcs.inject("P0301", confirmed=True)
    assert bench.ask_ecm("0101")[2] == 0x81
    assert bench.ask("0101", TCM_ID)[0][2] == 0x00


def test_only_the_engines_ecu_has_the_engines_monitors(bench: Any) -> None:
    """The gearbox reports comprehensive component monitoring and nothing else (ISO 15031-5)."""
    assert bench.ask_ecm("0101")[3:5] == bytes((0x07, 0xE5))
    assert bench.ask("0101", TCM_ID)[0].hex() == "410100040000"
    assert bench.ask("0141", TCM_ID)[0].hex() == "414100040000"


def test_life_of_a_fault_over_the_bus(bench: Any) -> None:
    """A fault goes from pending over confirmed to cleared as a tester sees it, by cycles."""
    bench.ecus.ecm.dtcs.inject("P0301")
    bench.drive_cycle()
    assert bench.ask_ecm("07").hex() == "47010301"
    assert bench.ask_ecm("03").hex() == "4300"
    bench.drive_cycle()
    assert bench.ask_ecm("03").hex() == "43010301"
    assert bench.ask_ecm("0101")[2] == 0x81
    bench.ecus.ecm.dtcs.heal("P0301")
    bench.car.state.engine_on = True
    bench.run(2.0)
    assert bench.ask_ecm("04").hex() == "7f0422"
    bench.car.state.engine_on = False
    assert bench.ask_ecm("04").hex() == "44"
    assert bench.ask_ecm("03").hex() == "4300"
    assert bench.ask_ecm("07").hex() == "4700"
    assert bench.ask_ecm("0101")[2] == 0x00
    assert bench.ask_ecm("0A").hex() == "4a010301"
    bench.drive_cycle()
    assert bench.ask_ecm("0A").hex() == "4a00"


def test_readiness_after_a_clear(bench: Any) -> None:
    """A clear resets PID 01's readiness, and driving brings it back; PID 41 starts each cycle."""
    assert bench.ask_ecm("0101")[5] == 0x00
    bench.car.state.engine_on = False
    bench.run(2.0)
    bench.ask_ecm("04")
    assert bench.ask_ecm("0101")[5] == 0xE5
    bench.drive_cycle(1000.0)
    assert bench.ask_ecm("0101")[5] == 0x00
    bench.car.state.engine_on = True
    bench.run(2.0)
    assert bench.ask_ecm("0141")[5] == 0xE5


def test_freeze_frame_keeps_the_first_instant(bench: Any) -> None:
    """Service 02 shows the car as it was when the code came up, not as it is."""
    bench.run(1.0)
    assert bench.ask_ecm("020200").hex() == "42020000" + "00"
    assert bench.ask("020C00") == []
    live = bench.ask_ecm("010C")
    bench.ecus.ecm.dtcs.inject("P0420")
    bench.car.state.rpm = 900.0
    assert bench.ask_ecm("020200").hex() == "4202000420"
    assert bench.ask_ecm("020C00") == b"\x42\x0c\x00" + live[2:]
    assert bench.ask_ecm("020C00 0D00")[:3] == b"\x42\x0c\x00"
    assert bench.ask("020C01") == []


def test_freeze_frame_bitmap(bench: Any) -> None:
    """The bitmap of service 02 has PID 02 and the live values, not the lamp status."""
    bits = int.from_bytes(bench.ask_ecm("020000")[3:], "big")
    assert bits >> 30 & 1
    assert not bits >> 31
    assert bits >> (32 - 0x0C) & 1


@pytest.mark.parametrize(
    ("mid", "tests"), [("01", 1), ("02", 3), ("21", 1), ("A1", 1), ("A2", 2), ("81", 2)]
)
def test_monitor_results(bench: Any, mid: str, tests: int) -> None:
    """Service 06 gives nine bytes for each test of a monitor."""
    answer = bench.ask_ecm("06" + mid)
    assert len(answer) == 1 + 9 * tests
    assert {answer[1 + 9 * n] for n in range(tests)} == {int(mid, 16)}


def test_monitor_bitmaps(bench: Any) -> None:
    """The bitmaps of service 06 chain up to the misfire monitors."""
    answer = bench.ask_ecm("06 00 20 40 60 80 A0")
    assert answer[1::5] == bytes((0x00, 0x20, 0x40, 0x60, 0x80, 0xA0))
    assert int.from_bytes(answer[27:31], "big") >> 27 == 0b11111


def test_failed_monitor_shows_in_its_result(bench: Any) -> None:
    """A stored misfire code shows as counts in service 06."""
    assert bench.ask_ecm("06A2")[4:6] == b"\x00\x00"
    bench.run(1.0)
    bench.ecus.ecm.dtcs.inject("P0301")
    assert int.from_bytes(bench.ask_ecm("06A2")[4:6], "big") > 0


def test_vehicle_information(bench: Any) -> None:
    """Service 09 gives VIN, calibration, verification, performance and name; the TCM has no VIN."""
    assert bench.ask_ecm("0900").hex() == "4900" + "55400000"
    assert bench.ask_ecm("0902") == b"\x49\x02\x01WF0DXXGAKDDK12345"
    assert len(bench.ask_ecm("0904")) == 3 + 16
    assert len(bench.ask_ecm("0906")) == 3 + 4
    assert len(bench.ask_ecm("0908")) == 3 + 40
    assert bench.ask_ecm("090A") == b"\x49\x0a\x01ECM\x00-EngineControl\x00\x00"
    assert bench.ask("0902") == [b"\x49\x02\x01WF0DXXGAKDDK12345"]
    assert len(bench.ask("0904")) == 2


def test_vin_is_always_the_same(bench: Any) -> None:
    """One car has one VIN."""
    assert len({bench.ask_ecm("0902") for _ in range(3)}) == 1
