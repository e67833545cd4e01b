"""What can be wrong with an import."""

from __future__ import annotations

from server.errors import ServerError


class ImportRefused(ServerError):  # noqa: N818 (named for what happened)
    """The file cannot be read, or not as it was asked."""

    exit_code = 2
