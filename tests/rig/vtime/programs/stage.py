"""What the test programs stand on: a kernel, a loop, a log of (instant, words), one clean end.

Importing it installs virtual time, so a program imports it first. It is no test.
"""

from __future__ import annotations

import rig.vtime

rig.vtime.install()

import asyncio  # noqa: E402
import faulthandler  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Coroutine  # noqa: E402
from typing import Any, NoReturn  # noqa: E402

from rig.vtime.kernel import Kernel  # noqa: E402
from rig.vtime.loop import VirtualLoop  # noqa: E402
from rig.vtime.patches import active  # noqa: E402

EPOCH_NS = 1_700_000_000_000_000_000  # 2023-11-14 22:13:20 UTC
FREEZE_LIMIT_S = 20.0  # wall clock; a program that stands still for so long is dumped

until_s = float(os.environ.get("STAGE_UNTIL_S", "inf"))
seed = int(os.environ.get("STAGE_SEED", "1"))
kernel = Kernel(EPOCH_NS, until_s=until_s)
env = kernel.env


def log(*words: object) -> None:
    """Print the words behind the virtual instant, to nine digits."""
    print(f"{env.now:.9g}", *words, flush=True)


def at(instant_s: float, action: Callable[[], object]) -> None:
    """Let the world do something at an instant."""
    event = env.timeout(instant_s - env.now)
    assert event.callbacks is not None
    event.callbacks.append(lambda _event: action())


def play(main: Callable[[], Coroutine[Any, Any, object]]) -> NoReturn:
    """Run `main()` in virtual time; an error that reaches the caller is printed as one line."""
    faulthandler.dump_traceback_later(
        float(os.environ.get("STAGE_LIMIT_S", FREEZE_LIMIT_S)), exit=True
    )
    code = 0
    with active(kernel, random.Random(seed)):
        loop = VirtualLoop(kernel)
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(main())
        except BaseException as error:  # noqa: BLE001  process boundary
            log("raised", f"{type(error).__name__}:", error)
            code = 1
    sys.stdout.flush()
    os._exit(code)
