"""The export process: `python -m server.export`, started by the gateway.

A job comes as one line of JSON on the standard input, the file goes to the standard output. What
went wrong is said in one line of JSON on the standard error: {"status", "expected", "found"}; the
exit code is then 1, and the file not whole.

It is a process of its own so that a long export takes nothing of the gateway's time and memory, and
so that to end one is to end a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import msgspec

from server.catalogue import Signal, register
from server.errors import DatabaseUnreachable, ServerError
from server.export.job import Job
from server.export.writing import NoParquet, NothingToExport, write_export
from server.store.connection import DATABASE_ERRORS, connect, first_line

NICE = 10
JOB_BYTES = 1_000_000
_SIGNALS = "SELECT id, name, path, unit, resolution, minimum, maximum, source FROM signals"
"""What the ids of a configuration's own signals mean."""


def main() -> int:
    """Do one job."""
    with contextlib.suppress(OSError):
        os.nice(NICE)
    job = msgspec.json.decode(sys.stdin.buffer.readline(JOB_BYTES), type=Job)
    try:
        asyncio.run(_export(job))
    except NothingToExport as error:
        return _failed(404, "readings to export", str(error))
    except NoParquet as error:
        return _failed(501, "a gateway that can write Parquet", str(error))
    except BrokenPipeError:
        # Who wanted it has gone. The interpreter would try to write the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (DatabaseUnreachable, *DATABASE_ERRORS) as error:
        return _failed(503, "an answer from the database", first_line(error))
    except ServerError as error:
        return _failed(500, "readings that can be decoded", first_line(error))
    return 0


async def _export(job: Job) -> None:
    connection = await connect(job.url)
    try:
        rows = await connection.fetch(_SIGNALS)
        register(Signal(*row) for row in rows)
        await write_export(connection, job, sys.stdout.buffer)
    finally:
        connection.terminate()


def _failed(status: int, expected: str, found: str) -> int:
    said = msgspec.json.encode({"status": status, "expected": expected, "found": found})
    sys.stderr.buffer.write(said + b"\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
