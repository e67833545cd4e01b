"""Errors of the database come with what to do about them (O09)."""

from __future__ import annotations

import socket

import asyncpg
import pytest

from server.errors import DatabaseUnreachable
from server.operation.explain import explain
from server.store.connection import connect


@pytest.mark.promise("O09")
@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (asyncpg.InvalidPasswordError("x"), "user and password"),
        (asyncpg.InvalidCatalogNameError("x"), "createdb --owner telerig telerig"),
        (asyncpg.UndefinedTableError("x"), "start the gateway again"),
        (asyncpg.DiskFullError("x"), "make room"),
        (asyncpg.CannotConnectNowError("x"), "try again in a moment"),
        (ConnectionRefusedError("x"), "start PostgreSQL"),
        (socket.gaierror(-2, "Name or service not known"), "host of [database] url is unknown"),
        (OSError("SSL upgrade refused"), "sslmode"),
        (RuntimeError("what?"), ""),
    ],
)
def test_what_to_do(error: BaseException, advice: str) -> None:
    """Each kind of error has its own advice; an unknown one has none."""
    found = explain(error)
    assert advice in found
    assert bool(found) == bool(advice)


async def test_the_start_says_it() -> None:
    """The error of a gateway that cannot start names place, reason and way out; no password."""
    with pytest.raises(DatabaseUnreachable) as caught:
        await connect("postgresql://u:pw@127.0.0.1:1/d")
    text = str(caught.value)
    assert "postgresql://u@127.0.0.1:1/d" in text
    assert "start PostgreSQL, or correct host and port" in text
    assert "pw" not in text
