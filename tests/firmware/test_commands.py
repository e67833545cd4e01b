"""Commands from the gateway: each accepted, and each refused."""

from __future__ import annotations

import json

import pytest

from firmware_stubs.commands import templates
from server.wire.messages import ACCEPTED, DONE, FAILED, REFUSED, Command, Downlink, Uplink
from tests.firmware import worlds
from tests.firmware.fake_board import EPOCH_MS, FakeBoard
from tests.firmware.worlds import drained

RPM = 0x0C


@pytest.fixture
def board() -> FakeBoard:
    """A board that has driven for 15 seconds."""
    made = worlds.board()
    made.restart()
    made.run(15_000)
    return made


def order(
    board: FakeBoard, name: str, parameters: object = None, *, id: int = 7, raw: str | None = None
) -> list[tuple[int, str]]:
    """Send a command with the next answer; give (status, detail) of what came back."""
    text = raw if raw is not None else "" if parameters is None else json.dumps(parameters)
    command = Command(
        id=id, name=name, parameters=text, expires_ms=EPOCH_MS + board.now_ms + 60_000
    )
    before = len(board.gateway.results)
    board.gateway.commands = [command]
    board.run(15_000)
    return [(status, detail) for _, status, detail in board.gateway.results[before:]]


def test_templates_describe_every_command_with_a_json_schema(board: FakeBoard) -> None:
    """The Hello carries ten templates; each schema is JSON, and names what set_rates knows."""
    (hello,) = board.gateway.hellos.values()
    names = {template.name: json.loads(template.schema) for template in hello.templates}
    assert set(names) == {
        "start_logger",
        "stop_logger",
        "set_rates",
        "set_bounds",
        "set_plan",
        "request_keyframe",
        "read_dtcs",
        "clear_dtcs",
        "get_status",
        "reboot",
    }
    assert "RPM" in names["set_rates"]["propertyNames"]["enum"]
    assert names["set_rates"]["additionalProperties"]["maximum"] == 20
    assert all(schema["type"] == "object" for schema in names.values())
    assert sum(len(t.to_bytes()) for t in templates()) < 3000


def test_stop_and_start(board: FakeBoard) -> None:
    """A stopped logger asks nothing, a started one goes on."""
    assert order(board, "stop_logger") == [(DONE, "null")]
    asked = len(board.car.asked)
    board.run(5000)
    assert len(board.car.asked) == asked
    assert order(board, "start_logger", id=8) == [(DONE, "null")]
    board.run(5000)
    assert len(board.car.asked) > asked + 10


def test_set_rates_makes_another_plan_that_survives_a_reset(board: FakeBoard) -> None:
    """The answer says the rates that the grid has; the plan is in NVS; a new boot has begun."""
    ((status, detail),) = order(board, "set_rates", {"RPM": 10, "FUEL_LEVEL": 0})
    assert status == DONE
    assert json.loads(detail)["RPM"] == 10
    assert "FUEL_LEVEL" not in json.loads(detail)
    board.run(15_000)
    assert len(board.gateway.hellos) == 2
    board.restart()
    assert board.logger is not None
    assert board.logger.plan.rates()["RPM"] == 10
    board.run(20_000)
    boots = list(drained(board).values())
    assert len(boots) == 3
    assert len(boots[2].values[RPM]) > 150


def test_set_bounds_makes_the_record_coarser_and_says_so(board: FakeBoard) -> None:
    """With a bound of 50 rpm no value is more than 50 rpm from what the car said."""
    ((status, _),) = order(board, "set_bounds", {"RPM": 50})
    assert status == DONE
    said = len(board.car.told[RPM])
    board.run(30_000)
    boot = list(drained(board).values())[-1]
    got = boot.values[RPM]
    truth = board.car.told[RPM][-len(got) :]
    assert len(board.car.told[RPM]) > said
    assert max(abs(a - b) for a, b in zip(got, truth, strict=True)) <= 200
    assert got != truth


def test_set_plan_replaces_everything(board: FakeBoard) -> None:
    """Only what is named is sampled afterwards."""
    ((status, _),) = order(board, "set_plan", {"rates": {"SPEED": 2, "LAT": 1}, "flush_ms": 3000})
    assert status == DONE
    board.run(20_000)
    boot = list(drained(board).values())[-1]
    assert set(boot.values) == {0x0D, 1001}


def test_request_keyframe(board: FakeBoard) -> None:
    """The next packet stands alone, though there is one to continue from."""
    board.run(20_000)
    newest = max(board.gateway.packets)
    assert order(board, "request_keyframe") == [(DONE, "null")]
    board.run(10_000)
    behind = [key for key in sorted(board.gateway.packets) if key > newest]
    kinds = [worlds.number_of(board.gateway.packets[key])[1] < 0 for key in behind]
    assert any(kinds)


def test_read_dtcs(board: FakeBoard) -> None:
    """ACCEPTED first, then stored and pending codes by ECU."""
    first, second = order(board, "read_dtcs")
    assert first == (ACCEPTED, "")
    assert second[0] == DONE
    assert json.loads(second[1]) == {"stored": {"7E8": ["P0301", "P0420"]}, "pending": {"7E8": []}}


def test_clear_dtcs_is_refused_while_the_engine_runs(board: FakeBoard) -> None:
    """The codes are still there."""
    assert order(board, "clear_dtcs") == [(ACCEPTED, ""), (REFUSED, "the engine runs")]
    assert board.car.codes
    assert b"\x04" not in board.car.asked


def test_clear_dtcs_with_the_engine_standing(board: FakeBoard) -> None:
    """The codes are gone."""
    board.car.idle = True
    assert order(board, "clear_dtcs") == [(ACCEPTED, ""), (DONE, '["7E8"]')]
    assert board.car.codes == b""


@pytest.mark.parametrize("name", ["read_dtcs", "clear_dtcs"])
def test_a_car_that_does_not_answer_fails_the_command(board: FakeBoard, name: str) -> None:
    """FAILED says what is missing, and clearing without knowing the engine's speed is not done."""
    board.car.asleep = True
    first, (status, detail) = order(board, name)
    assert first == (ACCEPTED, "")
    assert status == FAILED
    assert "the car does not" in detail


def test_get_status(board: FakeBoard) -> None:
    """The detail is JSON with what an operator asks for."""
    ((status, detail),) = order(board, "get_status")
    assert status == DONE
    told = json.loads(detail)
    assert told["running"] is True
    assert told["car_answers"] is True
    assert told["rates"]["RPM"] == 5
    assert abs(told["utc_ms"] - EPOCH_MS - told["uptime_ms"]) < 30


def test_reboot_tells_its_result_and_packs_what_is_open(board: FakeBoard) -> None:
    """The result is out before the reset, and the open packet is on flash."""
    assert order(board, "reboot") == [(DONE, "null")]
    assert board.resets == ["command"]
    board.resets.clear()
    board.restart()
    board.run(15_000)
    boots = drained(board)
    assert [value for boot in boots.values() for value in boot.values[RPM]] == board.car.told[RPM]


@pytest.mark.parametrize(
    ("name", "raw", "reason"),
    [
        ("set_rates", "{", "the parameters are no JSON object"),
        ("set_rates", "[1]", "the parameters are no JSON object"),
        ("set_rates", "{}", "at least one signal expected"),
        ("set_rates", '{"RPMS": 1}', "no signal is named RPMS"),
        ("set_rates", '{"RPM": 100}', "RPM: a rate above 0, to 20 Hz, expected"),
        ("set_rates", '{"RPM": "5"}', "rates.RPM: a number expected"),
        ("set_bounds", '{"RPM": -3}', "bounds.RPM: 0 to the signal's range expected"),
        ("set_bounds", '{"RPM": null}', "bounds.RPM: a number expected"),
        ("set_plan", '{"speed": 1}', "rates, bounds or flush_ms expected, found speed"),
        ("set_plan", '{"rates": {}, "flush_ms": 1}', "flush_ms: 1000 to 600000 expected"),
        ("stop_logger", '{"now": true}', "no parameters expected, found now"),
        ("read_dtcs", '{"ecu": 1}', "no parameters expected, found ecu"),
        ("format_disk", "", "no command is named format_disk"),
        ("", "", "no command is named "),
    ],
)
def test_a_command_that_cannot_be_is_refused_with_the_reason(
    board: FakeBoard, name: str, raw: str, reason: str
) -> None:
    """REFUSED, and the plan stays as it was."""
    assert board.logger is not None
    wish = board.logger.plan.wish
    assert order(board, name, raw=raw) == [(REFUSED, reason)]
    assert board.logger.plan.wish == wish
    assert board.logger.running


def test_a_command_that_comes_again_is_answered_again_and_done_once(board: FakeBoard) -> None:
    """The gateway did not hear the answer: the same number gives the same result."""
    assert order(board, "set_rates", {"RPM": 10}) == order(board, "set_rates", {"RPM": 2})
    assert board.logger is not None
    assert board.logger.plan.rates()["RPM"] == 10


def test_a_command_that_comes_too_late_is_refused(board: FakeBoard) -> None:
    """Its time is over by the device's clock."""
    board.gateway.commands = [Command(id=3, name="stop_logger", expires_ms=EPOCH_MS + 1000)]
    board.run(12_000)
    assert board.gateway.results[-1] == (3, REFUSED, "it came too late")


def test_three_plans_may_wait_and_a_fourth_is_refused(board: FakeBoard) -> None:
    """While packets of three plans cannot be sent, another plan would make them unreadable."""

    def busy(up: Uplink, down: Downlink) -> None:
        down.acked = []

    board.gateway.answer = busy
    board.run(15_000)
    outcomes = []
    for number, hz in enumerate((1, 2, 5, 10)):
        board.run(15_000)
        command = Command(id=20 + number, name="set_rates", parameters=f'{{"SPEED": {hz}}}')
        assert board.logger is not None
        board.logger.take_command(command)
        outcomes.append((board.logger.results[-1].status, board.logger.results[-1].detail))
    assert [status for status, _ in outcomes] == [DONE, DONE, DONE, REFUSED]
    assert outcomes[-1][1] == "packets of three other plans still wait for the gateway"
    board.gateway.answer = None
    board.run(120_000)
    boots = drained(board)
    assert [v for boot in boots.values() for v in boot.values[RPM]] == board.car.told[RPM]
