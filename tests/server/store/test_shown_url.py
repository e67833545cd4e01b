"""A database URL as it may be shown."""

from __future__ import annotations

from server.store.shown_url import shown


def test_a_shown_url_has_no_password() -> None:
    """Passwords do not reach messages, wherever they stand."""
    assert shown("postgresql://u:s:ec@h:1/d") == "postgresql://u@h:1/d"
    assert shown("postgresql://u:p@ss/x@h/d") == "postgresql://u@h/d"
    assert "secret" not in shown("postgresql://h/d?user=u&password=secret&x=1")
