"""A worker's two ends of the pipe to its starter: a job in, messages out."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

from rig.errors import RigError
from rig.worker.job import Failed, Finished, Job, Message, decode_job, encode
from rig.worker.watchdog import keep_watch
from server.errors import ServerError


def say(message: Message) -> None:
    """Send a message to whoever started this worker."""
    sys.stdout.buffer.write(encode(message))
    sys.stdout.buffer.flush()


def work(run: Callable[[Job], Finished]) -> int:
    """Read the job, run it, say what became of it, and return the exit code."""
    job = decode_job(sys.stdin.buffer.read())
    keep_watch(job.wall_limit_s)
    try:
        say(run(job))
    except RigError as error:
        say(Failed(message=str(error), usage=error.usage))
        return 1
    except ServerError as error:  # the gateway's own: one line for a person, too
        say(Failed(message=str(error)))
        return 1
    except Exception as error:  # noqa: BLE001  process boundary: the starter shows one line
        traceback.print_exc()
        say(Failed(message=f"{type(error).__name__}: {error}"))
        return 1
    return 0
