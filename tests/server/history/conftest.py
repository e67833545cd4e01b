"""Fixtures: a store."""

from __future__ import annotations

from tests.server.kept_database import connection, database_url, kept_database

__all__ = ["connection", "database_url", "kept_database"]
