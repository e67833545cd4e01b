"""Hellos that name profile and templates by hash: what is not known is asked for, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import server.ingest.uplink_store as store_module
from firmware_stubs import commands
from server.gateway import Gateway
from server.ingest.shipped_profiles import read_profiles
from server.wire.codec.profile import Profile, SignalPlan
from server.wire.telemetry_pb2 import CommandTemplate, Downlink, Uplink
from tests.server.ingest.conftest import Sender, gateway_config, rows, running, stored
from tests.server.ingest.logger import Logger, plan, truth
from tests.server.ingest.test_uplink import BOOT, check, send

TEMPLATES = [CommandTemplate.FromString(told.to_bytes()) for told in commands.templates()]


def said(logger: Logger, *, profile: bool = False, templates: bool = False) -> bytes:
    """An uplink as the firmware sends it: hashes, and the parts that were asked for."""
    message = Uplink.FromString(logger.uplink(short=True))
    hello = message.hello
    hello.templates_hash = commands.templates_hash()
    hello.vin = "WF0DXXGAKDDK12345"
    hello.reset_reason = "power-on"
    if profile:
        hello.profile = logger.profile.to_bytes()
    if templates:
        hello.templates.extend(TEMPLATES)
    return message.SerializeToString()


def needs(answer: Downlink) -> tuple[bool, bool, bool]:
    """What an answer asks for."""
    return answer.need_hello, answer.need_profile, answer.need_templates


async def test_the_first_boot_ever_costs_one_more_exchange(
    gateway: Gateway, sender: Sender, database_url: str
) -> None:
    """Packets wait for the profile, neither acknowledged nor refused; later boots tell hashes."""
    first = Logger(BOOT)
    first.drive(300)
    answer = await send(sender, said(first))
    assert needs(answer) == (False, True, True)
    assert (answer.ack, list(answer.acked), list(answer.refused)) == (0, [], [])
    assert await stored(database_url) == []
    answer = await send(sender, said(first, profile=True, templates=True))
    assert needs(answer) == (False, False, False)
    assert answer.ack == len(first.packets)
    told = await gateway.control.templates("esp-1")
    assert {template.name for template in told} == {told.name for told in TEMPLATES}
    await check(database_url, 300)

    second = Logger(BOOT + 1)
    second.drive(200)
    body = said(second)
    assert Uplink.FromString(body).hello.ByteSize() < 150
    answer = await send(sender, body)
    assert needs(answer) == (False, False, False)
    assert answer.ack == len(second.packets)
    await check(database_url, 200, BOOT + 1)


async def test_each_part_is_asked_for_by_itself(sender: Sender) -> None:
    """A gateway that knows the profile asks for the templates alone, and the other way round."""
    logger = Logger(BOOT)
    logger.drive(50)
    await send(sender, logger.uplink())
    assert needs(await send(sender, said(logger))) == (False, False, True)
    await send(sender, said(logger, templates=True))
    other = Logger(BOOT + 1)
    other.profile = Profile.cold(200, plan().signals)
    assert needs(await send(sender, said(other))) == (False, True, False)


async def test_a_restarted_gateway_knows_what_was_told(database_url: str) -> None:
    """Profile and templates are in the database: nothing is asked for again."""
    first, second = Logger(BOOT), Logger(BOOT + 1)
    async with running(gateway_config(database_url)) as gateway:
        _, minted = await gateway.registry.register("esp-1")
        sender = Sender(gateway.url, minted.key)
        first.drive(100)
        await send(sender, said(first, profile=True, templates=True))
        await sender.http.aclose()
    async with running(gateway_config(database_url)) as gateway:
        sender = Sender(gateway.url, minted.key)
        second.drive(100)
        answer = await send(sender, said(second))
        assert needs(answer) == (False, False, False)
        assert answer.ack == len(second.packets)
        await sender.http.aclose()
    await check(database_url, 100, BOOT + 1)


async def test_a_restart_between_name_and_profile(database_url: str) -> None:
    """A gateway that stopped after asking takes the profile all the same, and every packet."""
    logger = Logger(BOOT)
    logger.drive(200)
    async with running(gateway_config(database_url)) as gateway:
        _, minted = await gateway.registry.register("esp-1")
        sender = Sender(gateway.url, minted.key)
        assert (await send(sender, said(logger))).need_profile
        await sender.http.aclose()
    async with running(gateway_config(database_url)) as gateway:
        sender = Sender(gateway.url, minted.key)
        assert (await send(sender, logger.uplink(hello=False))).need_hello
        assert (await send(sender, said(logger))).need_profile
        assert (await send(sender, said(logger, profile=True))).ack == len(logger.packets)
        await sender.http.aclose()
    await check(database_url, 200)


async def test_another_device_with_the_same_profile(
    gateway: Gateway, sender: Sender, database_url: str
) -> None:
    """What one device has told, the next one only names; its templates are its own at once."""
    await send(sender, said(Logger(BOOT), profile=True, templates=True))
    _, minted = await gateway.registry.register("esp-2")
    other = Sender(gateway.url, minted.key)
    logger = Logger(BOOT)
    logger.drive(100)
    answer = await send(other, said(logger))
    assert needs(answer) == (False, False, False)
    assert answer.ack == len(logger.packets)
    assert len(await gateway.control.templates("esp-2")) == len(TEMPLATES)
    await check(database_url, 100, device="esp-2")
    await other.http.aclose()


async def test_another_profile_in_the_same_boot_is_waited_for(
    sender: Sender, database_url: str
) -> None:
    """Packets of a named, unknown profile are not tried with the one before, which refuses them."""
    logger = Logger(BOOT)
    logger.drive(100)
    await send(sender, said(logger, profile=True, templates=True))
    other = Logger(BOOT)
    other.profile = Profile.cold(100, plan().signals[:2])
    other.encoder = type(other.encoder)(other.profile, BOOT, first_seq=len(logger.packets))
    for number in range(100, 200):
        assert other.encoder.add(number, [number * 10, 5]) is None
    packet = other.encoder.flush()
    assert packet is not None
    other.packets = [packet]
    answer = await send(sender, said(other))
    assert answer.need_profile
    assert not answer.refused
    assert answer.ack == len(logger.packets)
    answer = await send(sender, said(other, profile=True))
    assert answer.ack == len(logger.packets) + 1
    assert len(await stored(database_url)) == len(truth(100)) + 200


def _bad(**parts: Any) -> bytes:
    message = Uplink.FromString(said(Logger(BOOT), profile=True, templates=True))
    for name, value in parts.items():
        setattr(message.hello, name, value)
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (_bad(profile_hash=bytes(8)), "hello.profile"),
        (_bad(templates_hash=bytes(8)), "hello.templates"),
        (_bad(profile_hash=b"1234567"), "hello.profile_hash"),
        (_bad(templates_hash=bytes(32)), "hello.templates_hash"),
    ],
    ids=["profile", "templates", "short", "long"],
)
async def test_content_of_another_hash_is_refused(
    gateway: Gateway, sender: Sender, database_url: str, body: bytes, where: str
) -> None:
    """Nothing is kept under a name that is not its own; the answer names the field."""
    answer = await sender.post("/uplink", body)
    assert answer.status_code == 400
    assert answer.json()["where"] == where
    for table in ("wire_profiles", "wire_templates"):
        kept = await rows(database_url, f"SELECT hash FROM {table}")
        assert bytes(8) not in [row["hash"] for row in kept]
    assert not await gateway.control.templates("esp-1")


async def test_a_device_that_never_sends_its_profile(
    gateway: Gateway, sender: Sender, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked each time, nothing of it is stored, and its boots take a bounded place."""
    monkeypatch.setattr(store_module, "STATES", 5)
    for boot in range(1, 21):
        logger = Logger(boot)
        logger.profile = Profile.cold(100 + boot, plan().signals)
        logger.drive(5)
        for _ in range(2):
            answer = await send(sender, said(logger))
            assert needs(answer) == (False, True, True)
            assert not answer.acked
            assert not answer.refused
    states = gateway.uplinks._store._states
    assert len(states) == 5
    assert all(state.decoder is None and len(state.wanted) == 8 for state in states.values())
    assert await stored(database_url) == []
    assert await rows(database_url, "SELECT * FROM wire_profiles") == []


async def test_templates_are_kept_for_the_last_firmwares(
    sender: Sender, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many sets are told, the newest few are kept; an older one is asked for again."""
    monkeypatch.setattr(store_module, "TEMPLATES_KEPT", 2)
    logger = Logger(BOOT)
    await send(sender, said(logger, profile=True, templates=True))
    for name in ("one", "two"):
        message = Uplink.FromString(logger.uplink())
        message.hello.templates.add(name=name, description="", schema="")
        await send(sender, message.SerializeToString())
    assert len(await rows(database_url, "SELECT * FROM wire_templates")) == 2
    assert (await send(sender, said(logger))).need_templates


async def test_a_profile_that_the_package_carries_is_never_asked_for(
    sender: Sender, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device with a shipped profile tells its hash alone, in its first boot too."""
    monkeypatch.setattr(store_module, "shipped_profiles", lambda: {plan().hash: plan()})
    logger = Logger(BOOT)
    logger.drive(100)
    answer = await send(sender, said(logger))
    assert not answer.need_profile
    assert answer.ack == len(logger.packets)
    await check(database_url, 100)


async def test_a_boot_of_a_shipped_profile_goes_on_after_a_restart(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state names a profile that is in the package, not in the database."""
    monkeypatch.setattr(store_module, "shipped_profiles", lambda: {plan().hash: plan()})
    logger = Logger(BOOT)
    for hello in (True, False):
        async with running(gateway_config(database_url)) as gateway:
            if hello:
                _, minted = await gateway.registry.register("esp-1")
            sender = Sender(gateway.url, minted.key)
            packets = logger.drive(100)
            answer = await send(sender, logger.uplink(packets, hello=hello, short=True))
            assert answer.ack == len(logger.packets)
            await sender.http.aclose()
    await check(database_url, 200)


def test_carried_profiles_are_read_and_bad_files_named(tmp_path: Path) -> None:
    """Files *.profile are found by hash; what is no profile of this gateway is in the log."""
    (tmp_path / "car.profile").write_bytes(plan().to_bytes())
    (tmp_path / "readme.txt").write_text("no profile")
    (tmp_path / "half.profile").write_bytes(plan().to_bytes()[:-3])
    (tmp_path / "odd.profile").write_bytes(Profile.cold(100, [SignalPlan(9999)]).to_bytes())
    with capture_logs() as logs:
        found = read_profiles(tmp_path)
    assert list(found) == [plan().hash]
    assert sorted(entry["file"] for entry in logs) == ["half.profile", "odd.profile"]
    assert read_profiles(tmp_path / "missing") == {}
