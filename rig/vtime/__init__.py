"""Virtual time: an unmodified asyncio program with blocking threads on the world's SimPy clock.

Rules, each proven by a test:
    1. *Baton*: of the event loop and the blocking threads exactly one runs at any moment.
    2. *Whoever would block drives the world*: it steps SimPy until it is its own turn again, and
       hands the baton over only when somebody else's turn comes first. Most waits cost no thread
       switch at all.
    3. *The selector is the clock*: where asyncio would sleep, time jumps; `loop.time() == env.now`.
       World events of an instant run before asyncio timers of the same instant.
    4. *Time stands still while a database request is open* (`rig.vtime.external`).

`install()` must run before the program under test is imported, in a fresh process; that process
ends with `os._exit`, because library threads that are parked in virtual time cannot be unwound.
"""

from rig.vtime.kernel import Deadlock, Kernel, VirtualTimeError, WorldClock
from rig.vtime.patches import install

__all__ = ["Deadlock", "Kernel", "VirtualTimeError", "WorldClock", "install"]
