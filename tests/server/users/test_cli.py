"""`telerig users` and `telerig create-user`, on a database and over the API."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from server.api.role import Role
from server.users.cli import COMMAND, CREATE_USER
from tests.server.users.conftest import PASSWORD, SECRET

API = f'[api]\nsecret = "{SECRET}"\n'


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No gateway and no password in the environment."""
    for name in ("TELERIG_API_SECRET", "TELERIG_URL", "TELERIG_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


def run(command: Any, *arguments: str) -> int:
    """Run a command; give its exit code."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


@pytest.mark.promise("E01")
@pytest.mark.promise("A07")
def test_the_first_admin_needs_no_gateway(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the database itself: made, listed, changed; the older command makes an admin first."""
    monkeypatch.setenv("TELERIG_DATABASE_URL", database_url)
    assert run(CREATE_USER, "ada", "ada@example.com", PASSWORD) == 0
    capsys.readouterr()
    assert run(CREATE_USER, "bob", "bob@example.com", PASSWORD, "--json") == 0
    assert json.loads(capsys.readouterr().out)["user"]["email"] == "bob@example.com"
    monkeypatch.setenv("TELERIG_PASSWORD", PASSWORD)
    assert run(COMMAND, "create", "eve", "--role", "operator", "--scope", "car-1,car-2") == 0
    capsys.readouterr()
    assert run(COMMAND, "list", "--json") == 0
    users = {user["name"]: user for user in json.loads(capsys.readouterr().out)["users"]}
    assert [users[name]["role"] for name in ("ada", "bob", "eve")] == [
        "admin",
        "viewer",
        "operator",
    ]
    assert users["eve"]["scope"] == ["car-1", "car-2"]
    assert run(COMMAND, "role", "eve", "viewer", "--scope", "all") == 0
    assert "everything" in capsys.readouterr().out
    assert run(COMMAND, "disable", "ada") == 1
    assert "another admin first" in capsys.readouterr().err
    assert run(COMMAND, "password", "nobody") == 1
    assert "expected the name of a user" in capsys.readouterr().err


async def test_over_a_gateway(
    run_gateway: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the API secret; a gateway's refusal is told in a line."""

    def runs(*arguments: str) -> int:
        return run(COMMAND, *arguments, "--url", gateway.url, "--secret", SECRET)

    async with run_gateway(API) as gateway:
        monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
        assert await asyncio.to_thread(runs, "create", "ada", "--role", "admin") == 0
        monkeypatch.setenv("TELERIG_PASSWORD", PASSWORD + " 2")
        assert await asyncio.to_thread(runs, "create", "bob") == 0
        assert await asyncio.to_thread(runs, "password", "ada") == 0
        assert await asyncio.to_thread(runs, "role", "bob", "operator", "--scope", "car-1") == 0
        assert await asyncio.to_thread(runs, "disable", "bob") == 0
        capsys.readouterr()
        assert await asyncio.to_thread(runs, "list") == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[1].split()[:3] == ["ada", "admin", "yes"]
        assert lines[2].split()[:4] == ["bob", "operator", "no", "car-1"]
        assert (await gateway.users.accounts.with_password("ada", PASSWORD + " 2")) is not None
        monkeypatch.setenv("TELERIG_PASSWORD", "short")
        assert await asyncio.to_thread(runs, "create", "eve") == 1
        told = capsys.readouterr().err
        assert told.startswith("telerig users: POST /api/v1/users: ")
        assert "10 to 256 characters" in told
        assert await gateway.users.accounts.find("bob")
        assert (await gateway.users.accounts.find("ada")).role is Role.ADMIN


def test_wrong_usage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No password anywhere, a database that is none, a gateway that is not there."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert run(COMMAND, "create", "ada") == 2
    assert "TELERIG_PASSWORD" in capsys.readouterr().err
    monkeypatch.setenv("TELERIG_DATABASE_URL", "sqlite:///x")
    assert run(COMMAND, "list") == 2
    gone = ("--url", "http://127.0.0.1:1", "--secret", SECRET)
    assert run(COMMAND, "list", *gone) == 1
    assert "expected a gateway at" in capsys.readouterr().err


def test_only_the_answer_is_printed(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a new database too, whose tables are made first, standard output has the JSON alone; one
    that is switched off is not made."""
    structlog.reset_defaults()  # as in a process of its own, which prints what is logged
    monkeypatch.setenv("TELERIG_DATABASE_URL", empty_database_url)
    assert run(COMMAND, "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"users": []}
    monkeypatch.setenv("TELERIG_DATABASE_ENABLED", "false")
    assert run(COMMAND, "list") == 2
    assert "[database] enabled = false" in capsys.readouterr().err
