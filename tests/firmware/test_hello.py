"""Short hellos: profile and templates go out when they are asked for, and only then."""

from __future__ import annotations

import json

import pytest

from firmware_stubs.commands import templates, templates_hash
from server.wire.messages import Command, Downlink, Uplink, read_uplink
from tests.firmware import worlds
from tests.firmware.fake_board import EPOCH_MS, FakeBoard
from tests.firmware.test_logger import MINUTE_MS, RPM, assert_nothing_lost_or_doubled
from tests.firmware.worlds import drained

SHORT_BYTES = 150


def hellos(board: FakeBoard, since: int = 0) -> list[tuple[bool, bool]]:
    """Tell of each Hello from an uplink on whether it had a profile, and templates."""
    found = [read_uplink(body).hello for body in board.gateway.uplinks[since:]]
    return [(bool(hello.profile), bool(hello.templates)) for hello in found if hello is not None]


def set_rates(board: FakeBoard, number: int, rates: dict[str, float]) -> None:
    """Order other rates with the next answer."""
    expires_ms = EPOCH_MS + board.now_ms + MINUTE_MS
    command = Command(
        id=number, name="set_rates", parameters=json.dumps(rates), expires_ms=expires_ms
    )
    board.gateway.commands = [command]


def test_the_first_boot_ever_tells_all_once_and_the_second_only_hashes() -> None:
    """Asked for both parts, the device sends both; after a reset less than 150 bytes are enough."""
    board = worlds.board()
    board.restart()
    board.run(MINUTE_MS)
    assert hellos(board)[:2] == [(False, False), (True, True)]
    assert hellos(board).count((True, True)) == 1
    assert board.gateway.hellos[read_uplink(board.gateway.uplinks[0]).boot].templates
    before = len(board.gateway.uplinks)
    told = len(board.gateway.hello_bytes)
    board.run_to_next_second()
    board.restart()
    board.run(MINUTE_MS)
    assert set(hellos(board, before)) == {(False, False)}
    assert max(board.gateway.hello_bytes[told:]) < SHORT_BYTES
    assert len(drained(board)) == 2


def test_another_device_of_the_same_plan_needs_no_long_hello() -> None:
    """A gateway that knows the profile from one board asks no other."""
    first = worlds.board()
    first.restart()
    first.run(20_000)
    second = worlds.board(seed=2)
    second.gateway = first.gateway
    told = len(first.gateway.hello_bytes)
    second.restart()
    second.run(MINUTE_MS)
    assert len(first.gateway.hello_bytes) > told
    assert max(first.gateway.hello_bytes[told:]) < SHORT_BYTES


@pytest.mark.parametrize("known", ["profile", "templates"])
def test_only_the_missing_part_is_sent(known: str) -> None:
    """A gateway that has one of the two gets the other alone."""
    board = worlds.board()
    board.restart()
    board.run(10_000)
    boot = read_uplink(board.gateway.uplinks[0]).boot
    if known == "profile":
        board.gateway.templates.clear()
    else:
        board.gateway.profiles.clear()
    before = len(board.gateway.uplinks)
    board.restart()
    board.run(MINUTE_MS)
    assert (known == "templates", known == "profile") in hellos(board, before)
    assert (True, True) not in hellos(board, before)
    assert len(board.gateway.hellos) == 2
    assert boot in board.gateway.hellos


def test_a_plan_that_comes_back_is_known() -> None:
    """A new plan costs its profile once, without templates; the plan before it only its hash."""
    board = worlds.board()
    board.restart()
    board.run(20_000)
    before = len(board.gateway.uplinks)
    set_rates(board, 1, {"RPM": 10})
    board.run(40_000)
    assert (True, False) in hellos(board, before)
    assert (True, True) not in hellos(board, before)
    before = len(board.gateway.uplinks)
    set_rates(board, 2, {"RPM": 5})
    board.run(40_000)
    assert set(hellos(board, before)) == {(False, False)}
    boots = drained(board)
    assert len(boots) == 3
    assert_nothing_lost_or_doubled(board, boots)


def test_packets_wait_for_the_profile_and_come_with_it() -> None:
    """What was logged before the first contact is sent again with the profile; none is lost."""
    board = worlds.board()
    board.online = False
    board.restart()
    board.run(2 * MINUTE_MS)
    board.online = True
    board.run(MINUTE_MS)
    taken = [read_uplink(body) for body in board.gateway.uplinks]
    first = [up for up in taken if up.packets][:2]
    assert first[0].packets == first[1].packets
    assert first[1].hello is not None
    assert first[1].hello.profile
    boots = drained(board)
    assert_nothing_lost_or_doubled(board, boots)
    assert board.gateway.repeats == 0


def test_a_gateway_that_knows_no_hashes_gets_the_whole_hello() -> None:
    """need_hello as the answer to a short hello brings profile and templates."""
    board = worlds.board()
    board.gateway.knows_hashes = False
    board.restart()
    board.run(MINUTE_MS)
    assert hellos(board)[:2] == [(False, False), (True, True)]
    assert_nothing_lost_or_doubled(board, drained(board))


def test_a_gateway_that_asks_for_ever_is_not_flooded() -> None:
    """Who asks for what was just sent is answered ever more slowly, and nothing is given up."""
    board = worlds.board()

    def answer(up: Uplink, down: Downlink) -> None:
        down.need_profile = down.need_templates = True
        down.acked = []

    board.gateway.answer = answer
    board.restart()
    board.run(5 * MINUTE_MS)
    assert len(board.gateway.uplinks) < 30
    board.gateway.answer = None
    board.run(2 * MINUTE_MS)
    boots = drained(board)
    assert_nothing_lost_or_doubled(board, boots)
    assert board.logger is not None
    assert board.logger.counters().rows_dropped == 0


def test_packets_whose_profile_is_lost_do_not_stop_the_others() -> None:
    """They are counted and named in voids; what came behind them arrives."""
    board = worlds.board()
    board.online = False
    board.restart()
    board.run(MINUTE_MS)
    board.nvs = {key: value for key, value in board.nvs.items() if not key.startswith("prof.")}
    board.nvs["plan"] = b'{"rates": {"RPM": 10}}'
    told = len(board.car.told[RPM])
    board.run_to_next_second()
    board.restart()
    board.online = True
    board.run(MINUTE_MS)
    (boot,) = drained(board).values()
    assert boot.values[RPM] == board.car.told[RPM][told:]
    assert board.logger is not None
    assert 400 <= board.logger.counters().rows_dropped <= 600
    assert board.gateway.voids
    assert any("profile is not kept" in line for line in board.gateway.logs)


def test_the_hash_is_that_of_the_templates_alone() -> None:
    """It changes with any of them, and not with what else a Hello says."""
    import hashlib

    from server.wire.telemetry_pb2 import Hello

    message = Hello()
    for told in templates():
        message.templates.add(name=told.name, description=told.description, schema=told.schema)
    assert templates_hash() == hashlib.sha256(message.SerializeToString()).digest()[:8]
