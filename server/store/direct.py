"""The database of a configuration, for commands that work without a gateway."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from server.errors import StoreError
from server.store.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from server.config import GatewayConfig


class NoDatabase(StoreError):  # noqa: N818 (named for what is missing)
    """The configuration has none."""

    exit_code = 2


@contextlib.contextmanager
def database_of(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[str]:
    """Give the URL of a configuration's database; an embedded one runs for as long as the block.

    The log goes to standard error from then on, warnings and errors only: what a command prints is
    its answer.

    Raises:
        NoDatabase: it is switched off.
        EmbeddedPostgresError: the embedded one does not start; a gateway may have it.
    """
    from server.commands import default_data_dir
    from server.logs import configure_logs

    database = config.database
    if not database.enabled:
        raise NoDatabase(
            "expected a database, found [database] enabled = false: this gateway keeps nothing"
        )
    configure_logs(format=config.log.format, level="warning")
    if database.url is not None:
        yield database.url
        return
    with EmbeddedPostgres(database.data_dir or default_data_dir(env)) as postgres:
        yield postgres.start()
