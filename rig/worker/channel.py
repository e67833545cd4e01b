"""A worker's two ends of the pipe to its starter: a job in, messages out."""

from __future__ import annotations

import faulthandler
import sys
import traceback
from collections.abc import Callable

from rig.errors import RigError
from rig.worker.job import Failed, Finished, Job, Message, decode_job, encode
from server.errors import ServerError


def say(message: Message) -> None:
    """Send a message to whoever started this worker."""
    sys.stdout.buffer.write(encode(message))
    sys.stdout.buffer.flush()


def keep_watch(job: Job) -> None:
    """Give the run another `wall_limit_s`; when that passes, every thread's stack is dumped and the
    worker ends."""
    faulthandler.dump_traceback_later(job.wall_limit_s, exit=True)


def work(run: Callable[[Job], Finished]) -> int:
    """Read the job, run it, say what became of it, and return the exit code."""
    job = decode_job(sys.stdin.buffer.read())
    keep_watch(job)
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
