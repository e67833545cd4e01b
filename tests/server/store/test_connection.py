"""What is said of a database that cannot be reached, and to whom."""

from __future__ import annotations

import socket

import pytest

from server.errors import DatabaseUnreachable
from server.store.connection import connect, first_line


async def test_a_device_is_not_told_where_the_database_is() -> None:
    """The operator's line has host, user and name; what anybody may be told has none of them."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DatabaseUnreachable) as away:
        await connect(f"postgresql://somebody:secret@127.0.0.1:{port}/cars")
    told, brief = str(away.value), first_line(away.value)
    for word in ("somebody", "127.0.0.1", str(port), "cars"):
        assert word in told
        assert word not in brief
    assert brief.startswith("PostgreSQL does not answer: connection refused; ")
    assert "secret" not in told
