"""The gateway's errors: one tree, each message one line for a person.

    ServerError                    anything the gateway reports by itself; `exit_code` 1
    ├── ConfigError (ValueError)   the configuration is wrong; names file and line; `exit_code` 2
    ├── CatalogueError (KeyError)  no such signal
    ├── ListenError (OSError)      the HTTP address cannot be listened on
    ├── LinkError
    │   ├── LinkLost (ConnectionError)  a link went away or never came; the supervisor tries again
    │   └── LinkStateError              a link state changed in a way that is not possible
    ├── RegistryError               asked for what the registry of devices cannot do
    │   ├── UnknownDevice (KeyError)    no such device, or no such key of it
    │   └── DeviceConflict              not in the state that it is in
    ├── LoggerError                 the logger process cannot be started
    ├── CommandRefused              a command to a device is not given
    └── StoreError
        ├── DatabaseUnreachable (ConnectionError)  no answer, refused, or wrong credentials
        ├── MigrationError                         the schema is not one that this version knows
        ├── EmbeddedPostgresError                  the embedded server cannot start
        ├── BodyError (ValueError)                 a hot-log body cannot be decoded
        ├── StoreFull                              too much waits for its commit
        ├── StoreAway (ConnectionError)            not committed, as far as is known
        ├── StaleState                             made from a state that is not the newest
        ├── Fenced                                 what is written for has another owner now
        ├── NameTaken                              another gateway of this name lives
        └── ReadingsNotStored                      stopped with accepted readings unstored

A message says what was expected, what came, from where, and what to do next.
"""

from __future__ import annotations


class ServerError(Exception):
    """Base of all errors of this package."""

    exit_code = 1


class ConfigError(ServerError, ValueError):
    """The configuration is wrong.

    Attributes:
        file: path of the file or name of the environment variable.
        line: 1-based line in the file; None where there is none (environment, whole file).
        expected: what should have stood there.
        found: what stood there.
    """

    exit_code = 2

    def __init__(self, file: str, line: int | None, expected: str, found: str) -> None:
        self.file = file
        self.line = line
        self.expected = expected
        self.found = found
        place = file if line is None else f"{file}:{line}"
        super().__init__(f"{place}: expected {expected}, found {found}")


class CatalogueError(ServerError, KeyError):
    """No signal of that name, id or path."""

    def __str__(self) -> str:
        return str(self.args[0])


class ListenError(ServerError, OSError):
    """The HTTP address cannot be listened on (busy port, unknown host, no permission)."""


class LinkError(ServerError):
    """Base of the errors of links."""


class LinkLost(LinkError, ConnectionError):  # noqa: N818 (named for what happened)
    """The device went away, never answered, or answers nonsense; the supervisor tries again."""


class LinkStateError(LinkError):
    """A link state changed in a way that is not possible: a bug in the link or the supervisor."""


class RegistryError(ServerError):
    """Base of the errors of the registry of devices.

    Attributes:
        where: what was asked for wrongly.
        expected: what should have been asked.
        found: what was asked.
    """

    def __init__(self, where: str, expected: str, found: str) -> None:
        super().__init__(f"{where}: expected {expected}, found {found}")
        self.where = where
        self.expected = expected
        self.found = found


class UnknownDevice(RegistryError, KeyError):  # noqa: N818 (named for what happened)
    """No device of that id is registered, or it has no such key."""

    def __str__(self) -> str:
        return str(self.args[0])


class DeviceConflict(RegistryError):  # noqa: N818 (named for what happened)
    """The device is not in a state in which that can be done."""


class LoggerError(ServerError):
    """The supervised logger process cannot be started.

    Attributes:
        expected: what it needs.
        found: what is there.
    """

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        self.found = found


class CommandRefused(ServerError):  # noqa: N818 (named for what happened)
    """A command to a device is not given.

    Attributes:
        status: of an HTTP answer that says so.
        where: part of the order that is at fault.
        expected: what should have been there.
        found: what is there.
    """

    def __init__(self, status: int, where: str, expected: str, found: str) -> None:
        super().__init__(f"{where}: expected {expected}, found {found}")
        self.status = status
        self.where = where
        self.expected = expected
        self.found = found


class StoreError(ServerError):
    """Base of the errors of the store."""


class DatabaseUnreachable(StoreError, ConnectionError):  # noqa: N818 (named for what happened)
    """PostgreSQL does not answer, refuses, or has no such database.

    Attributes:
        briefly: the same without a word of where it is and who asks, for those who only use the
            gateway: a device that is told to come again, a page.
    """

    briefly = "PostgreSQL does not answer"


class MigrationError(StoreError):
    """The database's schema is newer than this version, or was changed by hand."""


class EmbeddedPostgresError(StoreError):
    """The embedded PostgreSQL server cannot be found or started."""


class BodyError(StoreError, ValueError):
    """The body of a hot-log row cannot be decoded."""


class StoreFull(StoreError):  # noqa: N818 (named for what happened)
    """So much waits for its commit that no more is taken; try again soon.

    Attributes:
        one_device: True where one device alone has filled its share.
        again_s: whole seconds after which there is room, about.
    """

    def __init__(self, message: str, *, one_device: bool, again_s: int = 1) -> None:
        super().__init__(message)
        self.one_device = one_device
        self.again_s = again_s


class StoreAway(StoreError, ConnectionError):  # noqa: N818 (named for what happened)
    """The database did not commit; nothing may be acknowledged. The same again changes nothing."""


class StaleState(StoreError):  # noqa: N818 (named for what happened)
    """Another gateway has gone on from the state that this was made from: nothing was written."""


class Fenced(StoreError):  # noqa: N818 (named for what happened)
    """The shard, or the store's place, has another owner now: nothing was written."""


class NameTaken(StoreError):  # noqa: N818 (named for what happened)
    """Another gateway of this name lives on the same database."""


class ReadingsNotStored(StoreError):  # noqa: N818 (named for what happened)
    """The gateway stopped while accepted readings could not be stored."""
